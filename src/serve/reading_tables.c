/* reading_tables.c - rows of a kind from its open table.
 * The log's statistics leave out files that cannot hold the symbols and times asked for; what is left is sorted here, as a
 * table's files lie in no order. Ticks of one nanosecond come as they lie in their file, which is as they arrived. */
#include "serve/reading_tables.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "engine/link.h"
#include "serve/source.h"
#include "table/dataset_table.h"

/* NULL when the lake has no such table. */
static tl_status find_table(tl_sources *sources, tl_store *lake, const tl_dataset *dataset, tl_relation **out, tl_error *err) {
  char *uri = tl_io_join(tl_store_uri(lake), dataset->name);
  *out = NULL;
  if (!uri) return tl_fail(err, TL_ENOMEM, "cannot open a table of '%s'", tl_store_uri(lake));
  tl_status st = tl_sources_table(sources, uri, NULL, out, err);
  tl_free(uri);
  return st == TL_ENOTFOUND ? TL_OK : st;
}

static tl_status append_symbols(const char *const *symbols, size_t count, tl_buf *sql, tl_error *err) {
  tl_status st = tl_buf_appends(sql, TL_SYMBOL_COLUMN " IN (", err);
  for (size_t i = 0; !st && i < count; i++) {
    if (i) st = tl_buf_appends(sql, ", ", err);
    if (!st) st = tl_sql_quote(sql, symbols[i], strlen(symbols[i]), err);
  }
  return st ? st : tl_buf_appends(sql, ")", err);
}

static tl_status append_instant(const char *op, int64_t us, tl_buf *sql, tl_error *err) {
  char text[TL_TIME_TEXT_MAX];
  tl_time_format(us * TL_NS_PER_US, 6, text);
  return tl_buf_appendf(sql, err, " AND timestamp %s TIMESTAMPTZ '%s'", op, text);
}

/* What files are chosen by: symbols and times, in words the statistics understand. */
static tl_status append_filter(const tl_read *read, tl_buf *where, tl_error *err) {
  tl_status st = read->symbol_count ? append_symbols(read->symbols, read->symbol_count, where, err) : tl_buf_appends(where, "true", err);
  if (!st && read->range.start_ns > INT64_MIN) st = append_instant(">=", tl_time_us(read->range.start_ns), where, err);
  if (!st && read->range.end_ns < INT64_MAX) st = append_instant("<=", tl_time_us(read->range.end_ns), where, err);
  return st;
}

static tl_status append_order(const tl_dataset *dataset, tl_buf *sql, tl_error *err) {
  const char *tie = tl_kind_def_of(dataset->kind)->has_ns ? ", timestamp_ns, \"tl#file\", \"tl#row\"" : "";
  return tl_buf_appendf(sql, err, " ORDER BY symbol, timestamp%s", tie);
}

static tl_status append_empty(const tl_dataset *dataset, tl_buf *sql, tl_error *err) {
  tl_source source = {.layout = TL_LAYOUT_FLAT, .dataset = dataset};
  const char *known[TL_SOURCE_COLUMNS_MAX];
  size_t count = tl_source_columns(tl_kind_def_of(dataset->kind), known);
  return tl_source_select(NULL, &source, known, count, sql, err);
}

static tl_status append_rows(tl_relation *table, const tl_read *read, tl_buf *sql, tl_error *err) {
  tl_buf where = {0};
  tl_status st = append_filter(read, &where, err);
  if (!st) st = tl_buf_appends(sql, " FROM (SELECT * FROM (", err);
  if (!st && tl_kind_def_of(read->dataset.kind)->has_ns) st = tl_relation_sql_placed(table, NULL, where.data, sql, err);
  else if (!st) st = tl_relation_sql(table, NULL, where.data, sql, err);
  if (!st) st = tl_buf_appendf(sql, err, ") WHERE %s)", where.data);
  tl_buf_deinit(&where);
  return st;
}

static tl_status build(tl_relation *table, const tl_read *read, tl_buf *sql, tl_error *err) {
  const tl_kind_def *def = tl_kind_def_of(read->dataset.kind);
  const char *known[TL_SOURCE_COLUMNS_MAX];
  size_t known_count = tl_source_columns(def, known);
  tl_status st = tl_read_check_columns(read, known, known_count, err);
  if (!st) st = tl_read_append_columns(read, known, known_count, sql, err);
  if (!st && !table) {
    st = tl_buf_appends(sql, " FROM (", err);
    if (!st) st = append_empty(&read->dataset, sql, err);
    return st ? st : tl_buf_appends(sql, ")", err);
  }
  if (!st) st = append_rows(table, read, sql, err);
  if (!st) st = tl_read_append_range(read, def->has_ns, sql, err);
  if (!st) st = append_order(&read->dataset, sql, err);
  if (!st && read->limit > 0) st = tl_buf_appendf(sql, err, " LIMIT %" PRId64, read->limit);
  return st;
}

static tl_status count_symbols(tl_engine *engine, tl_relation *table, const tl_read *read, size_t *count, tl_error *err) {
  tl_buf where = {0}, sql = {0};
  int64_t found = 0;
  tl_status st = append_symbols(read->symbols, read->symbol_count, &where, err);
  if (!st) st = tl_buf_appends(&sql, "SELECT count(DISTINCT symbol) FROM (", err);
  if (!st) st = tl_relation_sql(table, NULL, where.data, &sql, err);
  if (!st) st = tl_buf_appendf(&sql, err, ") WHERE %s", where.data);
  if (!st) st = tl_engine_numbers(engine, sql.data, NULL, 0, &found, 1, err);
  *count = (size_t)found;
  tl_buf_deinit(&sql);
  tl_buf_deinit(&where);
  return st;
}

tl_status tl_read_table(tl_engine *engine, const tl_read *read, struct ArrowArrayStream *out, tl_read_info *info, tl_error *err) {
  tl_relation *table = NULL;
  tl_buf sql = {0};
  tl_read_info found = {0};
  tl_status st = find_table(read->sources, read->lake, &read->dataset, &table, err);
  if (!st && table) {
    found.files = tl_relation_snapshot(table)->file_count;
    if (read->symbol_count) st = count_symbols(engine, table, read, &found.symbols, err);
  }
  if (!st) st = build(table, read, &sql, err);
  if (!st) st = tl_engine_query(engine, sql.data, NULL, 0, out, err);
  if (!st && info) *info = found;
  tl_buf_deinit(&sql);
  return st;
}

tl_status tl_read_table_extent(tl_engine *engine, tl_sources *sources, tl_store *lake, const tl_dataset *dataset,
                               const char *symbol, tl_read_extent *out, tl_error *err) {
  const char *time = tl_dataset_time_column(dataset);
  tl_relation *table = NULL;
  tl_buf where = {0}, sql = {0};
  int64_t numbers[3] = {0};
  *out = (tl_read_extent){INT64_MIN, INT64_MIN, 0};
  tl_status st = find_table(sources, lake, dataset, &table, err);
  if (!st && table) {
    st = append_symbols(&symbol, 1, &where, err);
    if (!st) st = tl_buf_appendf(&sql, err, "SELECT count(*), min(%s), max(%s) FROM (", time, time);
    if (!st) st = tl_relation_sql(table, NULL, where.data, &sql, err);
    if (!st) st = tl_buf_appendf(&sql, err, ") WHERE %s", where.data);
    if (!st) st = tl_engine_numbers(engine, sql.data, NULL, 0, numbers, 3, err);
  }
  if (!st && !numbers[0]) st = tl_fail(err, TL_ENOTFOUND, "the lake holds no rows of '%s' in %s", symbol, dataset->name);
  int64_t unit_ns = tl_kind_def_of(dataset->kind)->has_ns ? 1 : TL_NS_PER_US;
  if (!st) *out = (tl_read_extent){numbers[1] * unit_ns, numbers[2] * unit_ns, numbers[0]};
  tl_buf_deinit(&sql);
  tl_buf_deinit(&where);
  return st;
}

static tl_status take_symbol(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  (void)count;
  return cells[0].text ? tl_symbols_add(to, cells[0].text, cells[0].len, err) : TL_OK;
}

tl_status tl_read_table_symbols(tl_engine *engine, tl_sources *sources, tl_store *lake, const tl_dataset *dataset,
                                tl_symbols *out, tl_error *err) {
  tl_relation *table = NULL;
  tl_link *link = NULL;
  tl_buf sql = {0};
  tl_status st = find_table(sources, lake, dataset, &table, err);
  if (!st && table) {
    st = tl_buf_appends(&sql, "SELECT DISTINCT symbol FROM (", err);
    if (!st) st = tl_relation_sql(table, NULL, NULL, &sql, err);
    if (!st) st = tl_buf_appends(&sql, ") ORDER BY symbol", err);
    if (!st) st = tl_link_open(engine, &link, err);
    if (!st) st = tl_link_rows(link, sql.data, take_symbol, out, err);
  }
  tl_link_close(link);
  tl_buf_deinit(&sql);
  return st;
}

tl_status tl_read_table_view(tl_sources *sources, tl_store *lake, const tl_dataset *dataset, tl_buf *views, tl_error *err) {
  tl_relation *table = NULL;
  tl_status st = find_table(sources, lake, dataset, &table, err);
  if (st || !table) return st;
  st = tl_buf_appendf(views, err, "CREATE OR REPLACE TEMP VIEW \"%s\" AS SELECT ", dataset->name);
  if (!st) st = tl_dataset_columns(dataset, false, views, err);
  if (!st) st = tl_buf_appends(views, " FROM (", err);
  if (!st) st = tl_relation_sql(table, NULL, NULL, views, err);
  return st ? st : tl_buf_appends(views, ");\n", err);
}
