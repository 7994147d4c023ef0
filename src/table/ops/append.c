/* append.c - the caller's rows into the table: laid ready by partition and order, written, appended. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "market/number.h"
#include "table/ops/ops.h"

/* ---- rows laid ready ---- */

void tl_staged_deinit(tl_staged *staged) {
  for (size_t i = 0; i < staged->count; i++) {
    for (size_t p = 0; staged->parts[i].texts && p < staged->text_count; p++) tl_free(staged->parts[i].texts[p]);
    tl_free(staged->parts[i].texts);
  }
  tl_free(staged->parts);
  *staged = (tl_staged){0};
}

typedef struct part_reader {
  tl_staged *staged;
  const tl_partitioning *partitioning;
} part_reader;

static tl_status take_text(const part_reader *reader, size_t p, tl_cell cell, char **out, tl_error *err) {
  const void *nul = cell.text ? memchr(cell.text, 0, cell.len) : NULL;
  if (nul)
    return tl_fail(err, TL_EUSAGE, "partition column '%s' holds '%.60s' and a NUL behind it, which no path can", reader->partitioning->items[p].name, cell.text);
  if (cell.text && !(*out = tl_strndup(cell.text, cell.len))) return tl_fail(err, TL_ENOMEM, "cannot hold a partition");
  return TL_OK;
}

static tl_status take_part(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  const part_reader *reader = to;
  tl_staged *staged = reader->staged;
  tl_status st = TL_OK;
  int64_t last = 0;
  if (staged->count == staged->capacity) {
    size_t capacity = staged->capacity ? staged->capacity * 2 : 16;
    tl_staged_part *grown = tl_realloc_array(staged->parts, capacity, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot hold %zu partitions", capacity);
    staged->parts = grown;
    staged->capacity = capacity;
  }
  tl_staged_part *part = &staged->parts[staged->count];
  *part = (tl_staged_part){.texts = tl_calloc(staged->text_count + 1, sizeof *part->texts)};
  if (!part->texts) return tl_fail(err, TL_ENOMEM, "cannot hold a partition");
  staged->count++;
  for (size_t p = 0; !st && p < staged->text_count; p++) st = take_text(reader, p, cells[p], &part->texts[p], err);
  if (st) return st;
  if (tl_number_i64(cells[count - 3].text, cells[count - 3].len, &part->first) != TL_NUMBER_OK ||
      tl_number_i64(cells[count - 2].text, cells[count - 2].len, &last) != TL_NUMBER_OK ||
      tl_number_i64(cells[count - 1].text, cells[count - 1].len, &part->rows) != TL_NUMBER_OK || last - part->first + 1 != part->rows)
    return tl_fail(err, TL_EINTERNAL, "the rows of a partition do not lie together");
  staged->rows += part->rows;
  return TL_OK;
}

/* How the rows shall lie: by partition and order. */
static tl_status stage_order(const tl_work *work, tl_sql *terms) {
  tl_stage_texts(work, "", terms);
  if (work->order.buf.len) tl_sql_addf(terms, "%s%s", work->partition_count ? ", " : "", work->order.buf.data);
  if (work->tie && terms->buf.len) tl_sql_addf(terms, ", %s", work->tie);
  return terms->st;
}

/* Rows mostly come in order, and to see that they do costs a tenth of sorting them. Comparing goes upwards only. */
static tl_status lay_in_order(tl_work *work, const char *select, const char *terms, tl_error *err) {
  tl_sql sql = {.err = err};
  bool look = terms && !strstr(terms, " DESC");
  int64_t wrong = 0;
  tl_sql_addf(&sql, "CREATE OR REPLACE TEMP TABLE \"tl#src\" AS SELECT * FROM (%s)%s%s", select, terms && !look ? " ORDER BY " : "", terms && !look ? terms : "");
  tl_status st = tl_ops_refusal(tl_sql_run(&sql, work->relation->link), err);
  if (!st && look) {
    tl_sql_addf(&sql, "SELECT count(*) FROM (SELECT row(%s) AS \"tl#k\", lag(\"tl#k\") OVER () AS \"tl#before\" FROM \"tl#src\") WHERE \"tl#k\" < \"tl#before\"", terms);
    st = tl_sql_numbers(&sql, work->relation->link, &wrong, 1);
  }
  if (!st && wrong) {
    tl_sql_addf(&sql, "CREATE OR REPLACE TEMP TABLE \"tl#src\" AS SELECT * FROM \"tl#src\" ORDER BY %s", terms);
    st = tl_sql_run(&sql, work->relation->link);
  }
  tl_sql_deinit(&sql);
  return st;
}

tl_status tl_stage(tl_work *work, const char *select, tl_staged *out, tl_error *err) {
  tl_sql sql = {.err = err}, terms = {.err = err};
  *out = (tl_staged){.text_count = work->partition_count};
  tl_status st = stage_order(work, &terms);
  if (!st) st = lay_in_order(work, select, terms.buf.len ? terms.buf.data : NULL, err);
  tl_sql_deinit(&terms);
  if (!st) {
    tl_stage_texts(work, "SELECT ", &sql);
    tl_sql_add(&sql, work->partition_count ? ", " : "SELECT ");
    tl_sql_add(&sql, "CAST(min(rowid) AS VARCHAR), CAST(max(rowid) AS VARCHAR), CAST(count(*) AS VARCHAR) FROM \"tl#src\"");
    tl_stage_texts(work, " GROUP BY ", &sql);
    tl_sql_add(&sql, " HAVING count(*) > 0 ORDER BY min(rowid)");
    st = tl_sql_rows(&sql, work->relation->link, take_part, &(part_reader){out, &work->snapshot->partitioning});
  }
  tl_sql_deinit(&sql);
  if (st) tl_staged_deinit(out);
  return st;
}

tl_status tl_stage_write(tl_work *work, const tl_staged *staged, tl_error *err) {
  tl_sql sql = {.err = err};
  tl_status st = TL_OK;
  tl_sql order = work->order;
  work->order = (tl_sql){.err = err}; /* they lie in order */
  for (size_t i = 0; !st && i < staged->count; i++) {
    const tl_staged_part *part = &staged->parts[i];
    tl_buf_clear(&sql.buf);
    tl_sql_addf(&sql, "SELECT * FROM \"tl#src\" WHERE rowid >= %" PRId64 " AND rowid < %" PRId64, part->first, part->first + part->rows);
    st = sql.st ? sql.st : tl_work_write(work, (const char *const *)part->texts, sql.buf.data, part->rows, err);
  }
  tl_sql_deinit(&work->order);
  work->order = order;
  tl_sql_deinit(&sql);
  return st;
}

/* ---- files written anew ---- */

int tl_ops_compare_texts(const char *const *a, const char *const *b, size_t count) {
  for (size_t p = 0; p < count; p++) {
    int order = a[p] && b[p] ? strcmp(a[p], b[p]) : (a[p] != NULL) - (b[p] != NULL);
    if (order) return order;
  }
  return 0;
}

static int compare_partitions(const tl_snapshot *snapshot, size_t a, size_t b) {
  return tl_ops_compare_texts((const char *const *)snapshot->files[a].partition, (const char *const *)snapshot->files[b].partition, snapshot->partitioning.count);
}

static int by_partition(const void *a, const void *b, void *snapshot) {
  size_t x = *(const size_t *)a, y = *(const size_t *)b;
  int order = compare_partitions(snapshot, x, y);
  return order ? order : (x > y) - (x < y);
}

tl_status tl_ops_groups(const tl_snapshot *snapshot, const tl_picks *files, tl_group_fn each, void *to, tl_error *err) {
  size_t *sorted = tl_calloc(files->count ? files->count : 1, sizeof *sorted), end;
  if (!sorted) return tl_fail(err, TL_ENOMEM, "cannot group %zu files", files->count);
  if (files->count) memcpy(sorted, files->items, files->count * sizeof *sorted);
  qsort_r(sorted, files->count, sizeof *sorted, by_partition, (void *)(uintptr_t)snapshot);
  tl_status st = TL_OK;
  for (size_t from = 0; !st && from < files->count; from = end) {
    end = from + 1;
    while (end < files->count && compare_partitions(snapshot, sorted[from], sorted[end]) == 0) end++;
    tl_picks group = {sorted + from, end - from};
    st = each(to, &group, (const char *const *)snapshot->files[sorted[from]].partition, err);
  }
  tl_free(sorted);
  return st;
}

enum { READ_TWICE_MAX = 32 };

tl_status tl_work_rewrite(tl_work *work, const tl_picks *files, const char *const *partition, const char *kept, int64_t rows, tl_error *err) {
  tl_sql select = {.err = err};
  tl_content wanted = {0};
  size_t from = work->add_count;
  const char *tie = work->tie;
  tl_status st = files->count > READ_TWICE_MAX ? tl_work_hold(work, files, err) : TL_OK;
  tl_sql_add(&select, "SELECT * FROM ");
  if (!st) st = tl_work_scan(work, files, &select);
  if (kept) tl_sql_addf(&select, " WHERE (%s)", kept);
  if (!st) st = select.st;
  if (!st) st = tl_content_of(work, select.buf.data, &wanted, err);
  if (!st && rows >= 0 && wanted.rows != rows)
    st = tl_fail(err, TL_ECORRUPT, "'%s' and the files beside it have %" PRId64 " rows instead of %" PRId64 ": nothing is committed",
                 work->snapshot->files[files->items[0]].path, wanted.rows, rows);
  work->tie = "\"tl#file\", \"tl#row\"";
  if (!st) st = tl_work_write(work, partition, select.buf.data, wanted.rows, err);
  work->tie = tie;
  if (!st && wanted.rows) st = tl_work_check(work, from, wanted, err);
  for (size_t i = 0; !st && i < files->count; i++) st = tl_work_remove(work, files->items[i], err);
  if (!st) work->changed->rows_copied += wanted.rows;
  tl_work_release(work);
  tl_sql_deinit(&select);
  return st;
}

static tl_status rewrite_group(void *to, const tl_picks *files, const char *const *partition, tl_error *err) {
  return tl_work_rewrite(to, files, partition, NULL, -1, err);
}

tl_status tl_work_rewrite_all(tl_work *work, tl_error *err) {
  tl_picks all = {0};
  tl_status st = tl_picks_all(work->snapshot, &all, err);
  if (!st) st = tl_ops_groups(work->snapshot, &all, rewrite_group, work, err);
  tl_picks_deinit(&all);
  return st;
}

/* ---- append ---- */

bool tl_ops_txn_done(const tl_relation *relation, const tl_write *write, tl_changed *changed) {
  if (!write->txn_app || tl_snapshot_txn(relation->faces[0].snapshot, write->txn_app) < write->txn_version) return false;
  *changed = (tl_changed){.version = -1, .already = true};
  return true;
}

static tl_status append(tl_relation *relation, const void *request, tl_changed *changed, tl_error *err) {
  const tl_write *write = request;
  tl_work work = {0};
  tl_sql select = {.err = err};
  tl_staged staged = {0};
  if (tl_ops_txn_done(relation, write, changed)) return TL_OK;
  tl_status st = tl_work_begin(&work, relation, write->order_by, changed, err);
  bool stream = !work.partition_count && !work.order.buf.len;
  if (!st) st = tl_stage_select(&work, write, !stream, &select, err);
  if (!st && stream) st = tl_work_write_stream(&work, select.buf.data, &changed->rows_inserted, err);
  else if (!st) {
    st = tl_stage(&work, select.buf.data, &staged, err);
    if (!st) st = tl_stage_write(&work, &staged, err);
    changed->rows_inserted = staged.rows;
    tl_link_run(relation->link, "DROP TABLE IF EXISTS \"tl#src\"", NULL);
  }
  if (!st && work.widened) st = tl_work_rewrite_all(&work, err);
  tl_pair parameters[] = {{(char *)(uintptr_t) "mode", (char *)(uintptr_t) "Append"}};
  tl_commit commit = {.operation = "WRITE", .parameters = parameters, .parameter_count = 1, .txn_app = write->txn_app, .txn_version = write->txn_version,
                      .reads = work.widened ? TL_READS_ALL : TL_READS_NOTHING};
  if (!st) st = tl_work_commit(&work, &commit, err);
  tl_staged_deinit(&staged);
  tl_sql_deinit(&select);
  tl_work_deinit(&work);
  return st;
}

tl_status tl_relation_append(tl_relation *relation, const tl_write *write, tl_changed *out, tl_error *err) {
  return tl_ops_attempts(relation, append, write, out, err);
}
