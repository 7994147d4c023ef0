/* replace_ranges.c - rows of some symbols and stretches of time taken out, others put in their place, in one commit.
 *
 * The ranges are a temporary table, so that thousands of them cost one join and not one condition each. Only files that hold
 * a row inside a range are rewritten; rows of equal sort keys stay in the order they had, the new ones in the order given. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "table/ops/ops.h"

typedef struct request {
  const tl_write *write;
  const char *symbol_column, *time_column;
  tl_replaced_range *ranges; /* by symbol and start, disjoint, none empty */
  size_t count;
  int64_t start, end;        /* of all */
} request;

typedef struct attempt {
  const request *request;
  tl_relation *relation;
  tl_work work;
  tl_sql sql, columns; /* columns: of the table, with commas */
  tl_staged staged;
  tl_picks touched;    /* files with rows in a range */
  tl_content *lost;    /* by file of the snapshot: the rows in a range */
} attempt;

enum { SYMBOLS_IN_WORDS = 200, RANGES_A_STATEMENT = 500 };

/* ---- what is asked ---- */

static int by_symbol_and_start(const void *a, const void *b) {
  const tl_replaced_range *x = a, *y = b;
  int order = strcmp(x->symbol, y->symbol);
  if (order) return order;
  return x->start < y->start ? -1 : x->start > y->start;
}

static tl_status take_ranges(request *r, const tl_replaced_range *ranges, size_t count, tl_error *err) {
  r->ranges = tl_calloc(count ? count : 1, sizeof *r->ranges);
  if (!r->ranges) return tl_fail(err, TL_ENOMEM, "cannot replace %zu ranges", count);
  for (size_t i = 0; i < count; i++)
    if (ranges[i].start < ranges[i].end) r->ranges[r->count++] = ranges[i];
  if (r->count) qsort(r->ranges, r->count, sizeof *r->ranges, by_symbol_and_start);
  size_t kept = 0;
  for (size_t i = 0; i < r->count; i++) {
    tl_replaced_range *last = kept ? &r->ranges[kept - 1] : NULL, *range = &r->ranges[i];
    if (last && !strcmp(last->symbol, range->symbol) && range->start <= last->end) last->end = range->end > last->end ? range->end : last->end;
    else r->ranges[kept++] = *range;
    if (!i || range->start < r->start) r->start = range->start;
    if (!i || range->end > r->end) r->end = range->end;
  }
  r->count = kept;
  return TL_OK;
}

/* ---- pieces of SQL ---- */

/* Whether a row of alias `t` lies in a range. */
static void add_inside(const attempt *a, tl_sql *sql, const char *t) {
  tl_sql_addf(sql, "EXISTS (SELECT 1 FROM \"tl#range\" r WHERE r.y = %s.", t);
  tl_sql_name(sql, a->request->symbol_column);
  tl_sql_addf(sql, " AND r.s <= %s.", t);
  tl_sql_name(sql, a->request->time_column);
  tl_sql_addf(sql, " AND r.e > %s.", t);
  tl_sql_name(sql, a->request->time_column);
  tl_sql_add(sql, ")");
}

/* Rows of touched files that lie inside the ranges, with their place. */
static tl_status add_old(attempt *a, tl_sql *sql) {
  tl_sql_addf(sql, "SELECT %s, \"tl#file\", \"tl#row\" FROM ", a->columns.buf.data);
  tl_status st = tl_ops_scan(a->relation, a->work.snapshot, &a->touched, true, sql);
  tl_sql_add(sql, " t WHERE ");
  add_inside(a, sql, "t");
  return st;
}

static void add_stay(const void *self, int64_t first, int64_t end, tl_sql *sql) {
  (void)first; /* what goes is said by the ranges alone */
  (void)end;
  tl_sql_add(sql, " WHERE NOT ");
  add_inside(self, sql, "t");
}

/* ---- the steps ---- */

static tl_status make_ranges(attempt *a) {
  const request *r = a->request;
  tl_sql_add(&a->sql, "CREATE OR REPLACE TEMP TABLE \"tl#range\" (y VARCHAR, s BIGINT, e BIGINT)");
  tl_status st = tl_sql_run(&a->sql, a->relation->link);
  for (size_t i = 0; !st && i < r->count;) {
    size_t end = i + RANGES_A_STATEMENT < r->count ? i + RANGES_A_STATEMENT : r->count;
    tl_sql_add(&a->sql, "INSERT INTO \"tl#range\" VALUES ");
    for (const char *comma = ""; i < end; i++, comma = ", ") {
      tl_sql_addf(&a->sql, "%s(", comma);
      tl_sql_value(&a->sql, r->ranges[i].symbol, strlen(r->ranges[i].symbol));
      tl_sql_addf(&a->sql, ", %" PRId64 ", %" PRId64 ")", r->ranges[i].start, r->ranges[i].end);
    }
    st = tl_sql_run(&a->sql, a->relation->link);
  }
  return st;
}

/* "tl#src": the rows given, and "tl#row", their place. */
static tl_status stage_new(attempt *a, tl_error *err) {
  tl_sql select = {.err = err};
  tl_sql_add(&select, "SELECT *, row_number() OVER () AS \"tl#row\" FROM (");
  tl_status st = tl_stage_select(&a->work, a->request->write, true, &select, err);
  tl_sql_add(&select, ")");
  if (!st) st = select.st;
  a->work.tie = "\"tl#row\"";
  if (!st) st = tl_stage(&a->work, select.buf.data, &a->staged, err);
  a->work.tie = NULL;
  tl_sql_deinit(&select);
  int64_t outside = 0;
  tl_sql_add(&a->sql, "SELECT count(*) FROM \"tl#src\" n WHERE NOT ");
  add_inside(a, &a->sql, "n");
  if (!st) st = tl_sql_numbers(&a->sql, a->relation->link, &outside, 1);
  if (!st && outside) st = tl_fail(err, TL_EUSAGE, "%" PRId64 " rows lie in none of the ranges they are to replace", outside);
  return st;
}

static tl_status take_file(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  char text[24] = "";
  tl_picks *picks = to;
  if (count == 1 && cells[0].text && cells[0].len < sizeof text) snprintf(text, sizeof text, "%.*s", (int)cells[0].len, cells[0].text);
  size_t *grown = tl_realloc_array(picks->items, picks->count + 1, sizeof *grown);
  if (!grown) return tl_fail(err, TL_ENOMEM, "cannot pick %zu files", picks->count + 1);
  picks->items = grown;
  picks->items[picks->count++] = (size_t)strtoull(text, NULL, 10);
  return TL_OK;
}

static tl_status find_touched(attempt *a, tl_error *err) {
  const request *r = a->request;
  tl_picks near = {0};
  tl_sql where = {.err = err};
  tl_sql_name(&where, r->time_column);
  tl_sql_addf(&where, " >= %" PRId64 " AND ", r->start);
  tl_sql_name(&where, r->time_column);
  tl_sql_addf(&where, " < %" PRId64, r->end);
  for (size_t i = 0; r->count <= SYMBOLS_IN_WORDS && i < r->count; i++) {
    if (i && !strcmp(r->ranges[i].symbol, r->ranges[i - 1].symbol)) continue;
    if (!i) tl_sql_add(&where, " AND ");
    if (!i) tl_sql_name(&where, r->symbol_column);
    tl_sql_add(&where, i ? ", " : " IN (");
    tl_sql_value(&where, r->ranges[i].symbol, strlen(r->ranges[i].symbol));
  }
  if (r->count <= SYMBOLS_IN_WORDS) tl_sql_add(&where, ")");
  tl_status st = where.st ? where.st : tl_ops_prune(a->relation, a->work.snapshot, where.buf.data, &near, err);
  if (!st && near.count) {
    tl_sql_add(&a->sql, "SELECT DISTINCT CAST(\"tl#file\" AS VARCHAR) FROM ");
    st = tl_ops_scan(a->relation, a->work.snapshot, &near, true, &a->sql);
    tl_sql_addf(&a->sql, " t WHERE %s AND ", where.buf.data);
    add_inside(a, &a->sql, "t");
    tl_sql_add(&a->sql, " ORDER BY CAST(\"tl#file\" AS BIGINT)");
    if (!st) st = tl_sql_rows(&a->sql, a->relation->link, take_file, &a->touched);
  }
  tl_picks_deinit(&near);
  tl_sql_deinit(&where);
  return st;
}

/* How many rows of one side the other has not, each at its place among those of its symbol and instant. */
static tl_status count_difference(attempt *a, bool new_rows, int64_t *out) {
  const char *columns = a->columns.buf.data;
  tl_sql *sql = &a->sql;
  tl_status st = TL_OK;
  tl_sql_add(sql, "SELECT count(*) FROM (");
  for (int side = 0; !st && side < 2; side++) {
    bool new_side = (side == 0) == new_rows;
    tl_sql_addf(sql, "%sSELECT %s, row_number() OVER (PARTITION BY ", side ? " EXCEPT " : "", columns);
    tl_sql_name(sql, a->request->symbol_column);
    tl_sql_add(sql, ", ");
    tl_sql_name(sql, a->request->time_column);
    tl_sql_addf(sql, " ORDER BY %s\"tl#row\") FROM ", new_side ? "" : "\"tl#file\", ");
    if (new_side) tl_sql_add(sql, "\"tl#src\"");
    if (new_side) continue;
    tl_sql_add(sql, "(");
    st = add_old(a, sql);
    tl_sql_add(sql, ")");
  }
  tl_sql_add(sql, ")");
  return st ? st : tl_sql_numbers(sql, a->relation->link, out, 1);
}

static tl_status count_changes(attempt *a, tl_changed *changed) {
  if (a->touched.count) {
    tl_status st = count_difference(a, true, &changed->rows_inserted);
    return st ? st : count_difference(a, false, &changed->rows_deleted);
  }
  changed->rows_inserted = a->staged.rows;
  return TL_OK;
}

static tl_status write_all(attempt *a, tl_error *err) {
  size_t count = a->work.snapshot->file_count;
  tl_status st = TL_OK;
  a->lost = tl_calloc(count + 1, sizeof *a->lost);
  if (!a->lost) return tl_fail(err, TL_ENOMEM, "cannot plan %zu files", count);
  if (a->touched.count) {
    st = add_old(a, &a->sql);
    if (!st) st = a->sql.st ? a->sql.st : tl_content_by(&a->work, a->sql.buf.data, "\"tl#file\"", a->lost, count, err);
    tl_buf_clear(&a->sql.buf);
  }
  const tl_regroup regroup = {.work = &a->work, .staged = &a->staged, .files = &a->touched, .lost = a->lost, .stay = add_stay, .self = a};
  return st ? st : tl_regroup_write(&regroup, err);
}

static tl_status commit(attempt *a, tl_error *err) {
  char mode[] = "mode", overwrite[] = "Overwrite";
  const tl_pair parameters[] = {{mode, overwrite}};
  size_t count = 0;
  const char *const **read = tl_calloc(a->staged.count + a->touched.count + 1, sizeof *read);
  if (!read) return tl_fail(err, TL_ENOMEM, "cannot commit ranges");
  for (size_t i = 0; i < a->staged.count; i++) read[count++] = (const char *const *)a->staged.parts[i].texts;
  for (size_t i = 0; i < a->touched.count; i++) read[count++] = (const char *const *)a->work.snapshot->files[a->touched.items[i]].partition;
  tl_commit edit = {.operation = "WRITE", .parameters = parameters, .parameter_count = 1, .reads = TL_READS_PARTITIONS,
                    .read_partitions = read, .read_partition_count = count,
                    .txn_app = a->request->write->txn_app, .txn_version = a->request->write->txn_version};
  tl_status st = tl_work_commit(&a->work, &edit, err);
  tl_free(read);
  return st;
}

static tl_status prepare(attempt *a, tl_error *err) {
  const tl_fields *fields = &a->work.fields;
  const char *needed[] = {a->request->symbol_column, a->request->time_column};
  for (size_t i = 0; i < 2; i++)
    if (tl_fields_find(fields, needed[i]) < 0) return tl_fail(err, TL_EUSAGE, "the table has no column '%s'", needed[i]);
  for (size_t i = 0; i < fields->count; i++) {
    if (i) tl_sql_add(&a->columns, ", ");
    tl_sql_name(&a->columns, fields->items[i].name);
  }
  return a->columns.st;
}

static tl_status replace_once(tl_relation *relation, const void *asked, tl_changed *changed, tl_error *err) {
  attempt a = {.request = asked, .relation = relation, .sql = {.err = err}, .columns = {.err = err}};
  tl_status st = tl_work_begin(&a.work, relation, a.request->write->order_by, changed, err);
  if (!st) st = prepare(&a, err);
  if (!st) st = make_ranges(&a);
  if (!st) st = stage_new(&a, err);
  if (!st) st = find_touched(&a, err);
  if (!st) st = count_changes(&a, changed);
  if (!st && (changed->rows_inserted || changed->rows_deleted)) st = write_all(&a, err);
  if (!st) st = commit(&a, err);
  tl_link_run(relation->link, "DROP TABLE IF EXISTS \"tl#src\"; DROP TABLE IF EXISTS \"tl#range\"", NULL);
  tl_staged_deinit(&a.staged);
  tl_free(a.lost);
  tl_picks_deinit(&a.touched);
  tl_sql_deinit(&a.sql);
  tl_sql_deinit(&a.columns);
  tl_work_deinit(&a.work);
  return st;
}

tl_status tl_relation_replace_ranges(tl_relation *relation, const tl_write *write, const char *symbol_column, const char *time_column,
                                     const tl_replaced_range *ranges, size_t count, tl_changed *out, tl_error *err) {
  request r = {.write = write, .symbol_column = symbol_column, .time_column = time_column};
  tl_status st = tl_relation_may_write(relation, err);
  if (!st) st = take_ranges(&r, ranges, count, err);
  if (!st) st = tl_ops_attempts(relation, replace_once, &r, out, err);
  tl_free(r.ranges);
  return st;
}
