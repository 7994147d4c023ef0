/* source.c - see source.h. What the first file has decides: a time without a zone is UTC, a date New York's midnight, a
 * column that is missing NULL. Values of other types stay what they are; making files ours is adopt's work. */
#include "serve/source.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/io.h"

size_t tl_source_columns(const tl_kind_def *def, const char *names[TL_SOURCE_COLUMNS_MAX]) {
  size_t count = 0;
  names[count++] = TL_SYMBOL_COLUMN;
  for (size_t c = 0; c < def->column_count; c++) {
    names[count++] = def->columns[c].name;
    if (c == TL_COL_TIME && def->has_ns) names[count++] = TL_NS_COLUMN;
  }
  return count;
}

/* ---- files ---- */

static tl_status append_literal(const char *folder, const char *path, tl_buf *sql, tl_error *err) {
  char *full = tl_io_join(folder, path);
  tl_status st = full ? tl_sql_quote(sql, full, strlen(full), err) : tl_fail(err, TL_ENOMEM, "cannot read '%s'", folder);
  tl_free(full);
  return st;
}

tl_status tl_source_literals(const char *folder, const tl_table_file *files, size_t count, tl_buf *sql, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < count; i++) {
    st = tl_buf_appends(sql, i ? ", " : "[", err);
    if (!st) st = append_literal(folder, files[i].path, sql, err);
  }
  return st ? st : tl_buf_appends(sql, "]", err);
}

/* ---- columns ---- */

static const char *sql_type(const tl_kind_def *def, const char *column) {
  int c = tl_kind_column(def, column);
  if (c < 0) return !strcmp(column, TL_SYMBOL_COLUMN) ? "VARCHAR" : "BIGINT";
  return tl_type_sql(def->columns[c].type);
}

static const struct ArrowSchema *find(const struct ArrowSchema *schema, const char *column) {
  for (int64_t c = 0; c < schema->n_children; c++)
    if (!strcasecmp(schema->children[c]->name, column)) return schema->children[c];
  return NULL;
}

static tl_status append_symbol(const tl_source *source, const struct ArrowSchema *there, tl_buf *sql, tl_error *err) {
  if (source->symbol) return tl_sql_quote(sql, source->symbol, strlen(source->symbol), err);
  /* DuckDB 1.5.5 fails on min() and max() of a hive column where a condition leaves the first file alone: it looks for the
   * column's statistics in the file. Of an expression it wants none, and it still picks files by it. */
  if (source->layout == TL_LAYOUT_HIVE && !there) return tl_buf_appends(sql, "symbol || ''", err);
  if (there) return tl_buf_appends(sql, "CAST(symbol AS VARCHAR)", err);
  return tl_buf_appends(sql, "url_decode(regexp_extract(filename, '([^/]+)\\.\\d{4}(-\\d\\d?)?\\.parquet$', 1))", err);
}

static tl_status append_time(const char *format, tl_buf *sql, tl_error *err) {
  if (!strncmp(format, "ts", 2) && format[2] && format[3] == ':' && format[4]) /* has a zone */
    return tl_buf_appends(sql, "timestamp", err);
  if (!strncmp(format, "td", 2)) return tl_buf_appends(sql, "timezone('America/New_York', CAST(timestamp AS TIMESTAMP))", err);
  return tl_buf_appends(sql, "timezone('UTC', CAST(timestamp AS TIMESTAMP))", err);
}

static tl_status append_column(const tl_source *source, const struct ArrowSchema *schema, const char *column, tl_buf *sql,
                               tl_error *err) {
  const tl_kind_def *def = tl_kind_def_of(source->dataset->kind);
  const struct ArrowSchema *there = schema ? find(schema, column) : NULL;
  const struct ArrowSchema *time = schema ? find(schema, "timestamp") : NULL;
  tl_status st;
  if (!schema) st = tl_buf_appendf(sql, err, "CAST(NULL AS %s)", sql_type(def, column));
  else if (!strcmp(column, TL_SYMBOL_COLUMN)) st = append_symbol(source, there, sql, err);
  else if (there && !strcmp(column, "timestamp")) st = append_time(there->format, sql, err);
  else if (there) st = tl_sql_identifier(sql, column, strlen(column), err);
  else if (time && !strcmp(column, TL_NS_COLUMN))
    st = tl_buf_appends(sql, !strncmp(time->format, "tsn", 3) ? "epoch_ns(timestamp)" : "epoch_us(CAST(timestamp AS TIMESTAMP)) * 1000", err);
  else st = tl_buf_appendf(sql, err, "CAST(NULL AS %s)", sql_type(def, column));
  return st ? st : tl_buf_appendf(sql, err, " AS \"%s\"", column);
}

/* The columns of one file, as Arrow names types. */
static tl_status describe(tl_engine *engine, const char *path, struct ArrowSchema *out, tl_error *err) {
  tl_buf sql = {0};
  struct ArrowArrayStream stream = {0};
  tl_status st = tl_buf_appends(&sql, "SELECT * FROM read_parquet(", err);
  if (!st) st = tl_sql_quote(&sql, path, strlen(path), err);
  if (!st) st = tl_buf_appends(&sql, ", hive_partitioning = false) LIMIT 0", err);
  if (!st) st = tl_engine_query(engine, sql.data, NULL, 0, &stream, err);
  if (!st && stream.get_schema(&stream, out)) st = tl_fail(err, TL_ENOMEM, "cannot look at '%s'", path);
  if (stream.release) stream.release(&stream);
  tl_buf_deinit(&sql);
  return st;
}

static tl_status append_from(const tl_source *source, tl_buf *sql, tl_error *err) {
  if (!source->first) return tl_buf_appends(sql, " WHERE false", err);
  return tl_buf_appendf(sql, err, " FROM read_parquet(%s, %s%s)", source->files,
                        source->layout == TL_LAYOUT_HIVE && !source->symbol
                          ? "hive_partitioning = true, hive_types = {'symbol': VARCHAR, 'year': VARCHAR, 'month': VARCHAR}"
                          : "hive_partitioning = false, filename = true",
                        source->uniform ? "" : ", union_by_name = true");
}

tl_status tl_source_select(tl_engine *engine, const tl_source *source, const char *const *columns, size_t count, tl_buf *sql,
                           tl_error *err) {
  struct ArrowSchema schema = {0};
  tl_status st = source->first ? describe(engine, source->first, &schema, err) : TL_OK;
  for (size_t c = 0; !st && c < count; c++) {
    st = tl_buf_appends(sql, c ? ", " : "SELECT ", err);
    if (!st) st = append_column(source, source->first ? &schema : NULL, columns[c], sql, err);
  }
  if (!st) st = append_from(source, sql, err);
  if (schema.release) schema.release(&schema);
  return st;
}
