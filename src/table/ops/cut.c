/* cut.c - delete, and replace: what a condition selects goes, rows come.
 *
 * A condition over partition columns takes whole files without reading them. Any other is counted file by file among
 * those it may touch: all rows -> the file goes; some -> it is written anew without them, and checked; none -> it stays. */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "market/number.h"
#include "table/ops/ops.h"

typedef struct cutting {
  tl_work *work;
  const char *where;   /* NULL: the partitions the rows touch */
  int64_t *rows, *hits; /* by file of the snapshot, of those looked at */
  tl_picks whole, partly;
  tl_staged staged;
  tl_sql rest;         /* NOT coalesce((where), false) */
} cutting;

static void cutting_deinit(cutting *c) {
  tl_free(c->rows);
  tl_free(c->hits);
  tl_picks_deinit(&c->whole);
  tl_picks_deinit(&c->partly);
  tl_staged_deinit(&c->staged);
  tl_sql_deinit(&c->rest);
}

/* cells: file, rows, hits */
static tl_status take_counts(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  cutting *c = to;
  int64_t n[3];
  for (size_t i = 0; i < 3 && i < count; i++)
    if (tl_number_i64(cells[i].text, cells[i].len, &n[i]) != TL_NUMBER_OK) return tl_fail(err, TL_EINTERNAL, "a count of rows is no number");
  if (n[0] < 0 || (size_t)n[0] >= c->work->snapshot->file_count) return tl_fail(err, TL_EINTERNAL, "a count is of no file");
  c->rows[n[0]] = n[1];
  c->hits[n[0]] = n[2];
  return TL_OK;
}

static tl_status count_hits(cutting *c, const tl_picks *candidates, tl_error *err) {
  tl_sql sql = {.err = err};
  tl_sql_addf(&sql, "SELECT CAST(\"tl#file\" AS VARCHAR), CAST(count(*) AS VARCHAR), CAST(count(*) FILTER (WHERE (%s\n)) AS VARCHAR) FROM ", c->where);
  tl_work_scan(c->work, candidates, &sql);
  tl_sql_add(&sql, " GROUP BY \"tl#file\"");
  tl_status st = tl_sql_rows(&sql, c->work->relation->link, take_counts, c);
  tl_sql_deinit(&sql);
  return st;
}

static tl_status find_partly(cutting *c, tl_error *err) {
  const tl_snapshot *snapshot = c->work->snapshot;
  tl_picks candidates = {0};
  tl_status st = tl_ops_prune(c->work->relation, snapshot, c->where, &candidates, err);
  c->rows = tl_calloc(snapshot->file_count + 1, sizeof *c->rows);
  c->hits = tl_calloc(snapshot->file_count + 1, sizeof *c->hits);
  c->whole.items = tl_calloc(snapshot->file_count + 1, sizeof *c->whole.items);
  c->partly.items = tl_calloc(snapshot->file_count + 1, sizeof *c->partly.items);
  if (!st && (!c->rows || !c->hits || !c->whole.items || !c->partly.items)) st = tl_fail(err, TL_ENOMEM, "cannot plan a deletion");
  if (!st && candidates.count) st = count_hits(c, &candidates, err);
  for (size_t i = 0; !st && i < candidates.count; i++) {
    size_t file = candidates.items[i];
    if (!c->hits[file]) continue;
    tl_picks *to = c->hits[file] == c->rows[file] ? &c->whole : &c->partly;
    to->items[to->count++] = file;
    c->work->changed->rows_deleted += c->hits[file];
  }
  tl_picks_deinit(&candidates);
  return st;
}

static bool touched(const cutting *c, size_t file) {
  for (size_t i = 0; i < c->staged.count; i++)
    if (!tl_ops_compare_texts((const char *const *)c->staged.parts[i].texts, (const char *const *)c->work->snapshot->files[file].partition, c->work->partition_count)) return true;
  return false;
}

static tl_status find_touched(cutting *c, tl_error *err) {
  tl_status st = tl_picks_all(c->work->snapshot, &c->whole, err);
  size_t kept = 0;
  for (size_t i = 0; !st && i < c->whole.count; i++)
    if (touched(c, i)) c->whole.items[kept++] = i;
  c->whole.count = kept;
  return st;
}

static tl_status find(cutting *c, bool *by_partition, tl_error *err) {
  tl_work *work = c->work;
  *by_partition = !c->where || tl_ops_partition_only(work->relation, work->snapshot, c->where);
  tl_status st = !c->where         ? find_touched(c, err)
                 : *by_partition   ? tl_ops_partition_picks(work->relation, work->snapshot, c->where, &c->whole, err)
                                   : find_partly(c, err);
  for (size_t i = 0; !st && *by_partition && i < c->whole.count; i++) {
    int64_t rows = work->snapshot->files[c->whole.items[i]].rows;
    work->changed->rows_deleted += rows > 0 ? rows : 0;
  }
  return st;
}

static tl_status rewrite_group(void *to, const tl_picks *files, const char *const *partition, tl_error *err) {
  cutting *c = to;
  int64_t rows = 0;
  for (size_t i = 0; i < files->count; i++) rows += c->rows[files->items[i]] - c->hits[files->items[i]];
  return tl_work_rewrite(c->work, files, partition, c->rest.buf.data, rows, err);
}

static tl_status cut(cutting *c, tl_error *err) {
  tl_status st = TL_OK;
  c->rest.err = err;
  if (c->where) tl_sql_addf(&c->rest, "NOT coalesce((%s\n), false)", c->where);
  if (c->rest.st) return c->rest.st;
  for (size_t i = 0; !st && i < c->whole.count; i++) st = tl_work_remove(c->work, c->whole.items[i], err);
  return st ? st : tl_ops_groups(c->work->snapshot, &c->partly, rewrite_group, c, err);
}

/* Every row that comes must be one the condition selects. */
static tl_status check_rows(cutting *c, tl_error *err) {
  tl_sql sql = {.err = err};
  int64_t outside = 0;
  if (!c->where) return TL_OK;
  tl_sql_addf(&sql, "SELECT count(*) FROM \"tl#src\" WHERE NOT coalesce((%s\n), false)", c->where);
  tl_status st = tl_ops_wording(tl_sql_numbers(&sql, c->work->relation->link, &outside, 1), err);
  tl_sql_deinit(&sql);
  if (!st && outside) st = tl_fail(err, TL_EUSAGE, "%" PRId64 " of the rows given %s not what '%s' selects, so they cannot replace it", outside, outside == 1 ? "is" : "are", c->where);
  return st;
}

typedef struct cut_request {
  const tl_write *write; /* NULL: delete */
  const char *where;
} cut_request;

static tl_status commit(cutting *c, const cut_request *request, bool by_partition, tl_error *err) {
  tl_buf predicate = {0};
  tl_work *work = c->work;
  bool deletes = !request->write;
  const char *const **read = tl_calloc(c->staged.count + c->whole.count + 1, sizeof *read);
  tl_status st = read ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot commit");
  if (!st && c->where && deletes) { /* a list as JSON in a text */
    st = tl_buf_appends(&predicate, "[", err);
    if (!st) st = tl_buf_append_json(&predicate, c->where, strlen(c->where), err);
    if (!st) st = tl_buf_appends(&predicate, "]", err);
  } else if (!st && c->where) {
    st = tl_buf_appendf(&predicate, err, "(%s)", c->where);
  }
  size_t count = 0;
  for (size_t i = 0; read && i < c->staged.count; i++) read[count++] = (const char *const *)c->staged.parts[i].texts;
  for (size_t i = 0; read && i < c->whole.count; i++) read[count++] = (const char *const *)work->snapshot->files[c->whole.items[i]].partition;
  tl_pair parameters[2] = {{(char *)(uintptr_t)(deletes ? "predicate" : "mode"), deletes ? predicate.data : (char *)(uintptr_t) "Overwrite"},
                           {(char *)(uintptr_t) "predicate", predicate.data}};
  bool partitions = by_partition && work->partition_count;
  const tl_write *write = request->write;
  tl_commit how = {.operation = deletes ? "DELETE" : "WRITE", .parameters = parameters, .parameter_count = deletes || !c->where ? 1 : 2,
                   .reads = partitions ? TL_READS_PARTITIONS : TL_READS_ALL, .read_partitions = (const char *const *const *)read,
                   .read_partition_count = partitions ? count : 0, .txn_app = write ? write->txn_app : NULL,
                   .txn_version = write ? write->txn_version : 0};
  if (!st) st = tl_work_commit(work, &how, err);
  tl_free(read);
  tl_buf_deinit(&predicate);
  return st;
}

static tl_status stage_rows(cutting *c, const tl_write *write, tl_error *err) {
  tl_sql select = {.err = err};
  tl_status st = tl_stage_select(c->work, write, true, &select, err);
  if (!st && c->work->widened) st = tl_fail(err, TL_EUSAGE, "a replacement cannot widen columns: append or merge with --widen first");
  if (!st) st = tl_stage(c->work, select.buf.data, &c->staged, err);
  if (!st) st = check_rows(c, err);
  c->work->changed->rows_inserted = c->staged.rows;
  tl_sql_deinit(&select);
  return st;
}

static tl_status replace(tl_relation *relation, const void *argument, tl_changed *changed, tl_error *err) {
  const cut_request *request = argument;
  tl_work work = {0};
  cutting c = {.work = &work, .where = request->where};
  bool by_partition = false;
  if (request->write && tl_ops_txn_done(relation, request->write, changed)) return TL_OK;
  tl_status st = tl_work_begin(&work, relation, request->write ? request->write->order_by : NULL, changed, err);
  if (!st && request->write) st = stage_rows(&c, request->write, err);
  if (!st) st = find(&c, &by_partition, err);
  if (!st && request->write) st = tl_stage_write(&work, &c.staged, err);
  if (!st) st = cut(&c, err);
  if (!st) st = commit(&c, request, by_partition, err);
  tl_link_run(relation->link, "DROP TABLE IF EXISTS \"tl#src\"", NULL);
  cutting_deinit(&c);
  tl_work_deinit(&work);
  return st;
}

tl_status tl_relation_replace(tl_relation *relation, const tl_write *write, const char *where, tl_changed *out, tl_error *err) {
  return tl_ops_attempts(relation, replace, &(cut_request){write, where}, out, err);
}

tl_status tl_relation_delete(tl_relation *relation, const char *where, tl_changed *out, tl_error *err) {
  if (!where || !where[0]) return tl_fail(err, TL_EUSAGE, "a deletion needs a condition: true deletes all rows");
  return tl_ops_attempts(relation, replace, &(cut_request){NULL, where}, out, err);
}
