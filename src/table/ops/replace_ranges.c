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
  tl_sql sql, order, columns; /* columns: of the table, with commas */
  tl_picks touched;           /* files with rows in a range */
  const char *const **partitions; /* written so far, borrowed */
  size_t partition_count;
} attempt;

enum { PART_MAX = 8, SYMBOLS_IN_WORDS = 200, RANGES_A_STATEMENT = 500 };

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
static void add_inside(attempt *a, tl_sql *sql, const char *t) {
  tl_sql_addf(sql, "EXISTS (SELECT 1 FROM \"tl#range\" r WHERE r.y = %s.", t);
  tl_sql_name(sql, a->request->symbol_column);
  tl_sql_addf(sql, " AND r.s <= %s.", t);
  tl_sql_name(sql, a->request->time_column);
  tl_sql_addf(sql, " AND r.e > %s.", t);
  tl_sql_name(sql, a->request->time_column);
  tl_sql_add(sql, ")");
}

/* Rows of files that lie inside (or outside) the ranges, with their place. */
static tl_status add_old(attempt *a, tl_sql *sql, const tl_picks *files, bool inside) {
  tl_sql_addf(sql, "SELECT %s, \"tl#file\", \"tl#row\" FROM ", a->columns.buf.data);
  tl_status st = tl_ops_scan(a->relation, a->work.snapshot, files, true, sql);
  tl_sql_addf(sql, " t WHERE %s", inside ? "" : "NOT ");
  add_inside(a, sql, "t");
  return st;
}

static void add_partition(tl_sql *sql, const char *const *texts, size_t count) {
  tl_sql_add(sql, "true");
  for (size_t i = 0; i < count; i++) {
    tl_sql_addf(sql, " AND \"tl#p%zu\" IS NOT DISTINCT FROM ", i);
    tl_sql_value(sql, texts[i], texts[i] ? strlen(texts[i]) : 0);
  }
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

/* "tl#new": the rows given, their partitions and their place. */
static tl_status stage_new(attempt *a, tl_error *err) {
  tl_sql_add(&a->sql, "CREATE OR REPLACE TEMP TABLE \"tl#new\" AS SELECT *, row_number() OVER () AS \"tl#row\" FROM (");
  tl_status st = tl_stage_select(&a->work, a->request->write, true, &a->sql, err);
  tl_sql_add(&a->sql, ")");
  if (!st) st = tl_ops_refusal(tl_sql_run(&a->sql, a->relation->link), err);
  int64_t outside = 0;
  tl_sql_add(&a->sql, "SELECT count(*) FROM \"tl#new\" n WHERE NOT ");
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
    if (new_side) tl_sql_add(sql, "\"tl#new\"");
    if (new_side) continue;
    tl_sql_add(sql, "(");
    st = add_old(a, sql, &a->touched, true);
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
  tl_sql_add(&a->sql, "SELECT count(*) FROM \"tl#new\"");
  return tl_sql_numbers(&a->sql, a->relation->link, &changed->rows_inserted, 1);
}

static bool same_partition(const char *const *a, const char *const *b, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (a[i] != b[i] && (!a[i] || !b[i] || strcmp(a[i], b[i]) != 0)) return false;
  return true;
}

static bool written(const attempt *a, const char *const *texts) {
  for (size_t i = 0; i < a->partition_count; i++)
    if (same_partition(a->partitions[i], texts, a->work.snapshot->partitioning.count)) return true;
  return false;
}

/* The rows of one partition: what is kept of its touched files, and the new ones. */
static tl_status add_rows(attempt *a, tl_sql *sql, const tl_picks *files, const char *const *texts) {
  tl_status st = TL_OK;
  tl_sql_addf(sql, "SELECT %s FROM (SELECT %s, -1 AS \"tl#file\", \"tl#row\" FROM \"tl#new\" WHERE ", a->columns.buf.data, a->columns.buf.data);
  add_partition(sql, texts, a->work.snapshot->partitioning.count);
  if (files->count) tl_sql_add(sql, " UNION ALL ");
  if (files->count) st = add_old(a, sql, files, false);
  tl_sql_add(sql, ")");
  return st ? st : sql->st;
}

static void add_order(attempt *a, tl_sql *sql) {
  tl_sql_addf(sql, " ORDER BY %s%s\"tl#file\", \"tl#row\"", a->order.buf.len ? a->order.buf.data : "", a->order.buf.len ? ", " : "");
}

static tl_status write_partition(attempt *a, const char *const *texts, tl_error *err) {
  tl_picks files = {.items = tl_calloc(a->touched.count + 1, sizeof *files.items)};
  const char *const **grown = tl_realloc_array(a->partitions, a->partition_count + 1, sizeof *grown);
  if (grown) a->partitions = grown;
  tl_sql select = {.err = err};
  tl_content content;
  tl_status st = files.items && grown ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot rewrite a partition");
  for (size_t i = 0; !st && i < a->touched.count; i++) {
    const tl_data_file *file = &a->work.snapshot->files[a->touched.items[i]];
    if (!same_partition((const char *const *)file->partition, texts, a->work.snapshot->partitioning.count)) continue;
    files.items[files.count++] = a->touched.items[i];
    st = tl_work_remove(&a->work, a->touched.items[i], err);
  }
  size_t from = a->work.add_count;
  if (!st) st = add_rows(a, &select, &files, texts);
  if (!st) st = tl_content_of(&a->work, select.buf.data, &content, err);
  if (!st) add_order(a, &select); /* as they are to lie in files */
  if (!st) st = select.st;
  if (!st && content.rows) st = tl_work_write(&a->work, texts, select.buf.data, content.rows, err);
  if (!st && content.rows) st = tl_work_check(&a->work, from, content, err);
  if (grown) a->partitions[a->partition_count++] = texts;
  tl_sql_deinit(&select);
  tl_picks_deinit(&files);
  return st;
}

static tl_status take_part(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  tl_staged *s = to;
  tl_staged_part *grown = tl_realloc_array(s->parts, s->count + 1, sizeof *grown);
  if (grown) s->parts = grown;
  char **texts = tl_calloc(count + 1, sizeof *texts);
  if (!grown || !texts) {
    tl_free(texts);
    return tl_fail(err, TL_ENOMEM, "cannot list %zu partitions", s->count + 1);
  }
  s->text_count = count;
  s->parts[s->count++] = (tl_staged_part){.texts = texts};
  for (size_t i = 0; i < count; i++)
    if (cells[i].text && !(texts[i] = tl_strndup(cells[i].text, cells[i].len))) return tl_fail(err, TL_ENOMEM, "cannot list partitions");
  return TL_OK;
}

static tl_status list_parts(attempt *a, tl_staged *out) {
  size_t count = a->work.snapshot->partitioning.count;
  int64_t rows = 0;
  out->text_count = count;
  tl_sql_add(&a->sql, "SELECT count(*) FROM \"tl#new\"");
  tl_status st = tl_sql_numbers(&a->sql, a->relation->link, &rows, 1);
  if (st || !rows) return st;
  if (!count) return take_part(out, NULL, 0, a->sql.err);
  tl_sql_add(&a->sql, "SELECT DISTINCT ");
  for (size_t i = 0; i < count; i++) tl_sql_addf(&a->sql, "%s\"tl#p%zu\"", i ? ", " : "", i);
  tl_sql_add(&a->sql, " FROM \"tl#new\" ORDER BY ALL");
  return tl_sql_rows(&a->sql, a->relation->link, take_part, out);
}

static tl_status write_all(attempt *a, const tl_staged *parts, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < parts->count; i++) st = write_partition(a, (const char *const *)parts->parts[i].texts, err);
  for (size_t i = 0; !st && i < a->touched.count; i++) {
    const tl_data_file *file = &a->work.snapshot->files[a->touched.items[i]];
    if (!written(a, (const char *const *)file->partition)) st = write_partition(a, (const char *const *)file->partition, err);
  }
  return st;
}

static tl_status commit(attempt *a, tl_error *err) {
  char mode[] = "mode", overwrite[] = "Overwrite";
  const tl_pair parameters[] = {{mode, overwrite}};
  tl_commit edit = {.operation = "WRITE", .parameters = parameters, .parameter_count = 1, .reads = TL_READS_PARTITIONS,
                    .read_partitions = a->partitions, .read_partition_count = a->partition_count,
                    .txn_app = a->request->write->txn_app, .txn_version = a->request->write->txn_version};
  return tl_work_commit(&a->work, &edit, err);
}

static tl_status prepare(attempt *a, tl_error *err) {
  const tl_fields *fields = &a->work.fields;
  const char *order = a->request->write->order_by ? a->request->write->order_by : tl_snapshot_property(a->work.snapshot, "ticklake.sort");
  const char *needed[] = {a->request->symbol_column, a->request->time_column};
  for (size_t i = 0; i < 2; i++)
    if (tl_fields_find(fields, needed[i]) < 0) return tl_fail(err, TL_EUSAGE, "the table has no column '%s'", needed[i]);
  for (size_t i = 0; i < fields->count; i++) {
    if (i) tl_sql_add(&a->columns, ", ");
    tl_sql_name(&a->columns, fields->items[i].name);
  }
  tl_status st = order ? tl_ops_order(order, fields, a->request->write->order_by != NULL, &a->order, err) : TL_OK;
  return st ? st : a->columns.st;
}

static tl_status replace_once(tl_relation *relation, const void *asked, tl_changed *changed, tl_error *err) {
  attempt a = {.request = asked, .relation = relation, .sql = {.err = err}, .order = {.err = err}, .columns = {.err = err}};
  tl_staged parts = {0};
  tl_status st = tl_work_begin(&a.work, relation, "", changed, err);
  if (!st) st = prepare(&a, err);
  if (!st) st = make_ranges(&a);
  if (!st) st = stage_new(&a, err);
  if (!st) st = find_touched(&a, err);
  if (!st) st = count_changes(&a, changed);
  if (!st && (changed->rows_inserted || changed->rows_deleted)) {
    st = list_parts(&a, &parts);
    if (!st) st = write_all(&a, &parts, err);
  }
  if (!st) st = commit(&a, err);
  tl_link_run(relation->link, "DROP TABLE IF EXISTS \"tl#new\"; DROP TABLE IF EXISTS \"tl#range\"", NULL);
  tl_staged_deinit(&parts);
  tl_free(a.partitions);
  tl_picks_deinit(&a.touched);
  tl_sql_deinit(&a.sql);
  tl_sql_deinit(&a.order);
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
