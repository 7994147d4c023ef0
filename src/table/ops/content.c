/* content.c - what rows hold, whatever their order: how many, and sums over a hash of each. With it a verb proves, before it
 * commits, that the files it wrote hold what they must. Every sum is a scan of the rows; none of them is kept in memory. */
#include <inttypes.h>

#include "base/alloc.h"
#include "market/number.h"
#include "table/ops/ops.h"

tl_content tl_content_add(tl_content a, tl_content b) {
  return (tl_content){a.rows + b.rows, a.sum_high + b.sum_high, a.sum_low + b.sum_low, a.mixed ^ b.mixed};
}
tl_content tl_content_less(tl_content a, tl_content b) {
  return (tl_content){a.rows - b.rows, a.sum_high - b.sum_high, a.sum_low - b.sum_low, a.mixed ^ b.mixed};
}
bool tl_content_equal(tl_content a, tl_content b) {
  return a.rows == b.rows && a.sum_high == b.sum_high && a.sum_low == b.sum_low && a.mixed == b.mixed;
}

void tl_content_hash(tl_sql *sql, const tl_fields *fields, const char *alias) {
  tl_sql_add(sql, "hash(");
  for (size_t i = 0; i < fields->count; i++) {
    tl_sql_addf(sql, "%s%s.", i ? ", " : "", alias);
    tl_sql_name(sql, fields->items[i].name);
  }
  tl_sql_add(sql, ")");
}

void tl_content_sums(tl_sql *sql, const char *hash) {
  tl_sql_addf(sql, "count(*), CAST(coalesce(sum(%s >> 32), 0) AS BIGINT), CAST(coalesce(sum(%s & 4294967295), 0) AS BIGINT), "
                   "CAST(coalesce(bit_xor(%s >> 1), 0) AS BIGINT)", hash, hash, hash);
}

tl_status tl_content_of(tl_work *work, const char *select, tl_content *out, tl_error *err) {
  tl_sql sql = {.err = err};
  int64_t n[4] = {0};
  tl_sql_add(&sql, "SELECT ");
  tl_content_sums(&sql, "h");
  tl_sql_add(&sql, " FROM (SELECT ");
  tl_content_hash(&sql, &work->fields, "t");
  tl_sql_addf(&sql, " AS h FROM (%s) t)", select);
  tl_status st = tl_sql_numbers(&sql, work->relation->link, n, 4);
  *out = (tl_content){n[0], n[1], n[2], n[3]};
  tl_sql_deinit(&sql);
  return st;
}

typedef struct taker {
  tl_content *out;
  size_t count;
} taker;

/* cells: which, and the four numbers */
static tl_status take_content(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  const taker *t = to;
  int64_t n[5] = {-1};
  for (size_t i = 0; i < 5 && i < count; i++)
    if (tl_number_i64(cells[i].text, cells[i].len, &n[i]) != TL_NUMBER_OK) return tl_fail(err, TL_EINTERNAL, "what rows hold came as no number");
  if (n[0] < 0 || (size_t)n[0] >= t->count) return tl_fail(err, TL_EINTERNAL, "rows are of no group that is known");
  t->out[n[0]] = tl_content_add(t->out[n[0]], (tl_content){n[1], n[2], n[3], n[4]});
  return TL_OK;
}

tl_status tl_content_by(tl_work *work, const char *select, const char *which, tl_content *out, size_t count, tl_error *err) {
  tl_sql sql = {.err = err};
  tl_sql_add(&sql, "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM (SELECT w, ");
  tl_content_sums(&sql, "h");
  tl_sql_addf(&sql, " FROM (SELECT t.%s AS w, ", which);
  tl_content_hash(&sql, &work->fields, "t");
  tl_sql_addf(&sql, " AS h FROM (%s) t) GROUP BY w)", select);
  tl_status st = tl_sql_rows(&sql, work->relation->link, take_content, &(taker){out, count});
  tl_sql_deinit(&sql);
  return st;
}

tl_status tl_content_of_adds(tl_work *work, size_t from, tl_content *out, tl_error *err) {
  size_t count = work->add_count - from;
  tl_data_file *files = tl_calloc(count ? count : 1, sizeof *files);
  tl_picks picks = {0};
  tl_sql sql = {.err = err};
  if (!files) return tl_fail(err, TL_ENOMEM, "cannot check new files");
  for (size_t i = 0; i < count; i++) {
    files[i] = work->adds[from + i];
    files[i].path = work->locals[from + i];
  }
  tl_snapshot written = {.fields = work->fields, .partitioning = work->snapshot->partitioning, .files = files, .file_count = count};
  tl_status st = tl_picks_all(&written, &picks, err);
  if (!st) {
    tl_sql_add(&sql, "SELECT * FROM ");
    st = tl_ops_scan(work->relation, &written, &picks, true, &sql);
  }
  if (!st) st = tl_content_by(work, sql.buf.data, "\"tl#file\"", out, count, err);
  tl_sql_deinit(&sql);
  tl_picks_deinit(&picks);
  tl_free(files);
  return st;
}

tl_status tl_content_judge(const tl_work *work, size_t from, size_t end, const tl_content *found, tl_content wanted, tl_error *err) {
  tl_content sum = {0};
  for (size_t i = 0; i < end - from; i++) sum = tl_content_add(sum, found[i]);
  if (tl_content_equal(sum, wanted)) return TL_OK;
  return tl_fail(err, TL_ECORRUPT, "what was written is not what was read: %" PRId64 " rows instead of %" PRId64 " in %zu files, first '%s': nothing is committed",
                 sum.rows, wanted.rows, end - from, end > from ? work->adds[from].path : "");
}

tl_status tl_work_check(tl_work *work, size_t from, tl_content wanted, tl_error *err) {
  tl_content *found = tl_calloc(work->add_count - from + 1, sizeof *found);
  tl_status st = found ? tl_content_of_adds(work, from, found, err) : tl_fail(err, TL_ENOMEM, "cannot check new files");
  if (!st) st = tl_content_judge(work, from, work->add_count, found, wanted, err);
  tl_free(found);
  return st;
}
