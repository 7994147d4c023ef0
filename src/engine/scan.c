/* scan.c - a Parquet file, of ours or of others, as batches of a kind.
 *
 * The file's columns are looked up by name; for each column of the kind one SQL expression turns what the file has into
 * what the batch holds (BIGINT, DOUBLE, VARCHAR or VARCHAR[]), and refuses in words what cannot be turned exactly:
 *     volume DOUBLE  ->  CASE WHEN try_cast(v AS BIGINT) = v THEN ... ELSE error('column ''volume'' holds ...') END
 * A first pass over the times alone finds out whether the file must be sorted. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/io.h"
#include "engine/internal.h"
#include "market/symbol.h"

typedef struct file_column {
  char *name; /* heap, as the file spells it; NULL when it has none */
  duckdb_type type;
} file_column;

typedef struct scanner {
  tl_engine *engine;
  const tl_scan *scan;
  const tl_kind_def *def;
  duckdb_connection connection;
  duckdb_prepared_statement shape; /* SELECT * of the file: names and types */
  tl_buf source, columns, time, filter; /* parts of the query; source lacks its closing bracket */
  tl_batch batch;
  tl_buf list;                     /* the condition list being interned */
  struct {
    tl_buf text;
    uint32_t code;
    bool known;
  } last[TL_COLUMNS_MAX];          /* words repeat from row to row */
  tl_scan_info info;
  int64_t last_ns;
} scanner;

/* ---- what the file has ---- */

/* DuckDB's words about this file: our own refusals are TL_EDECODE, the rest means that the file cannot be read. */
static tl_status fail_file(const scanner *s, const char *message, tl_error *err) {
  static const char refusal[] = "Invalid Input Error: column '";
  message = tl_engine_reason(message);
  if (strncmp(message, "Out of Memory", 13) == 0) return tl_fail(err, TL_ENOMEM, "cannot read '%s': %s", s->scan->path, message);
  if (strncmp(message, refusal, sizeof refusal - 1) == 0)
    return tl_fail(err, TL_EDECODE, "cannot take '%s': %s", s->scan->path, message + sizeof "Invalid Input Error: " - 1);
  return tl_fail(err, TL_ECORRUPT, "cannot read '%s': %s", s->scan->path, message);
}

static tl_status prepare(scanner *s, const char *sql, duckdb_prepared_statement *out, tl_error *err) {
  if (duckdb_prepare(s->connection, sql, out) == DuckDBSuccess) return TL_OK;
  return fail_file(s, duckdb_prepare_error(*out), err);
}

static tl_status open_file(scanner *s, tl_error *err) {
  tl_buf sql = {0};
  const char *path = s->scan->path;
  tl_status st = tl_buf_appends(&s->source, "read_parquet(", err);
  if (!st) st = tl_sql_quote(&s->source, path, strlen(path), err);
  if (!st) st = tl_buf_appends(&s->source, ", hive_partitioning = false", err);
  if (!st) st = tl_buf_appendf(&sql, err, "SELECT * FROM %s)", s->source.data);
  if (!st) st = prepare(s, sql.data, &s->shape, err);
  tl_buf_deinit(&sql);
  return st;
}

/* The file's column of that name: spelled so, else the first that differs in letter case only; name NULL: none. */
static tl_status find_column(scanner *s, const char *name, file_column *out, tl_error *err) {
  *out = (file_column){0};
  bool exact = false;
  tl_status st = TL_OK;
  idx_t count = duckdb_prepared_statement_column_count(s->shape);
  for (idx_t c = 0; !st && !exact && c < count; c++) {
    const char *spelled = duckdb_prepared_statement_column_name(s->shape, c);
    exact = spelled && !strcmp(spelled, name);
    if (exact || (spelled && !out->name && !strcasecmp(spelled, name))) {
      tl_free(out->name);
      out->name = tl_strdup(spelled);
      out->type = duckdb_prepared_statement_column_type(s->shape, c);
      if (!out->name) st = tl_fail(err, TL_ENOMEM, "cannot read '%s'", s->scan->path);
    }
    duckdb_free((void *)(uintptr_t)spelled);
  }
  return st;
}

/* ---- expressions ---- */

typedef enum shape_kind { SHAPE_INTEGER, SHAPE_EXACT, SHAPE_FLOAT, SHAPE_TEXT, SHAPE_LIST, SHAPE_TIME, SHAPE_OTHER } shape_kind;

static shape_kind shape_of(duckdb_type type) {
  switch (type) {
  case DUCKDB_TYPE_TINYINT:
  case DUCKDB_TYPE_SMALLINT:
  case DUCKDB_TYPE_INTEGER:
  case DUCKDB_TYPE_BIGINT:
  case DUCKDB_TYPE_UTINYINT:
  case DUCKDB_TYPE_USMALLINT:
  case DUCKDB_TYPE_UINTEGER: return SHAPE_INTEGER;
  case DUCKDB_TYPE_UBIGINT:
  case DUCKDB_TYPE_HUGEINT:
  case DUCKDB_TYPE_UHUGEINT:
  case DUCKDB_TYPE_DECIMAL: return SHAPE_EXACT;
  case DUCKDB_TYPE_FLOAT:
  case DUCKDB_TYPE_DOUBLE: return SHAPE_FLOAT;
  case DUCKDB_TYPE_VARCHAR:
  case DUCKDB_TYPE_ENUM: return SHAPE_TEXT;
  case DUCKDB_TYPE_LIST: return SHAPE_LIST;
  case DUCKDB_TYPE_TIMESTAMP:
  case DUCKDB_TYPE_TIMESTAMP_S:
  case DUCKDB_TYPE_TIMESTAMP_MS:
  case DUCKDB_TYPE_TIMESTAMP_NS:
  case DUCKDB_TYPE_TIMESTAMP_TZ:
  case DUCKDB_TYPE_DATE: return SHAPE_TIME;
  default: return SHAPE_OTHER;
  }
}

static tl_status wrong_type(const scanner *s, const char *column, const char *holds, tl_error *err) {
  return tl_fail(err, TL_EDECODE, "cannot take '%s': column '%s' has a type that holds no %s", s->scan->path, column, holds);
}

/* error('column ''x'' holds VALUE, which is no WHAT') of SQL. The names come from schema.c: nothing to quote in them. */
static tl_status append_refusal(tl_buf *sql, const char *column, const char *v, const char *what, tl_error *err) {
  return tl_buf_appendf(sql, err, "error('column ''%s'' holds ' || CAST(%s AS VARCHAR) || ', which is %s')", column, v, what);
}

static tl_status append_i64(const scanner *s, tl_buf *sql, const char *v, duckdb_type type, const char *column, tl_error *err) {
  shape_kind shape = shape_of(type);
  if (shape == SHAPE_INTEGER) return tl_buf_appendf(sql, err, "CAST(%s AS BIGINT)", v);
  if (shape != SHAPE_EXACT && shape != SHAPE_FLOAT && shape != SHAPE_TEXT) return wrong_type(s, column, "integer", err);
  tl_status st = tl_buf_appendf(sql, err, "CASE WHEN %s IS NULL%s%s%s THEN NULL WHEN ", v, shape == SHAPE_FLOAT ? " OR isnan(" : "",
                                shape == SHAPE_FLOAT ? v : "", shape == SHAPE_FLOAT ? ")" : "");
  if (!st && shape == SHAPE_TEXT) st = tl_buf_appendf(sql, err, "regexp_full_match(%s, '[-+]?[0-9]+') AND TRY_CAST(%s AS BIGINT) IS NOT NULL", v, v);
  else if (!st) st = tl_buf_appendf(sql, err, "TRY_CAST(%s AS BIGINT) = %s", v, v);
  if (!st) st = tl_buf_appendf(sql, err, " THEN TRY_CAST(%s AS BIGINT) ELSE ", v);
  if (!st) st = append_refusal(sql, column, v, "no 64-bit integer", err);
  return st ? st : tl_buf_appends(sql, " END", err);
}

static tl_status append_f64(const scanner *s, tl_buf *sql, const char *v, duckdb_type type, const char *column, bool nullable,
                            tl_error *err) {
  shape_kind shape = shape_of(type);
  if (shape == SHAPE_INTEGER || shape == SHAPE_EXACT) return tl_buf_appendf(sql, err, "CAST(%s AS DOUBLE)", v);
  if (shape != SHAPE_FLOAT && shape != SHAPE_TEXT) return wrong_type(s, column, "number", err);
  tl_status st = tl_buf_appendf(sql, err, "CASE WHEN %s IS NULL THEN NULL WHEN isfinite(TRY_CAST(%s AS DOUBLE)) THEN TRY_CAST(%s AS DOUBLE)",
                                v, v, v);
  if (!st && nullable) st = tl_buf_appendf(sql, err, " WHEN isnan(TRY_CAST(%s AS DOUBLE)) THEN NULL", v);
  if (!st) st = tl_buf_appends(sql, " ELSE ", err);
  if (!st) st = append_refusal(sql, column, v, "no number", err);
  return st ? st : tl_buf_appends(sql, " END", err);
}

static tl_status append_time(const scanner *s, tl_buf *sql, const char *v, duckdb_type type, tl_error *err) {
  if (shape_of(type) != SHAPE_TIME) return wrong_type(s, s->def->columns[TL_COL_TIME].name, "time", err);
  if (type == DUCKDB_TYPE_TIMESTAMP_NS) return tl_buf_appendf(sql, err, "epoch_ns(%s)", v);
  if (type == DUCKDB_TYPE_DATE)
    return tl_buf_appendf(sql, err, "epoch_us(timezone('America/New_York', CAST(%s AS TIMESTAMP))) * 1000", v);
  if (type == DUCKDB_TYPE_TIMESTAMP_TZ) return tl_buf_appendf(sql, err, "epoch_us(%s) * 1000", v);
  return tl_buf_appendf(sql, err, "epoch_us(CAST(%s AS TIMESTAMP)) * 1000", v);
}

/* The expression of one column of the kind over the file's column `from`. */
static tl_status append_expression(const scanner *s, tl_buf *sql, const tl_column_def *column, const file_column *from,
                                   tl_error *err) {
  tl_buf v = {0};
  tl_status st = tl_sql_identifier(&v, from->name, strlen(from->name), err);
  if (!st) switch (column->type) {
    case TL_TIME: st = append_time(s, sql, v.data, from->type, err); break;
    case TL_I64: st = append_i64(s, sql, v.data, from->type, column->name, err); break;
    case TL_F64: st = append_f64(s, sql, v.data, from->type, column->name, column->nullable, err); break;
    case TL_WORD:
      st = shape_of(from->type) <= SHAPE_TEXT ? tl_buf_appendf(sql, err, "CAST(%s AS VARCHAR)", v.data)
                                              : wrong_type(s, column->name, "text", err);
      break;
    case TL_WORDS:
      st = shape_of(from->type) == SHAPE_LIST ? tl_buf_appendf(sql, err, "CAST(%s AS VARCHAR[])", v.data)
                                              : wrong_type(s, column->name, "list", err);
      break;
    }
  tl_buf_deinit(&v);
  return st;
}

static const char *duckdb_name(tl_type type) {
  return type == TL_F64 ? "DOUBLE" : type == TL_WORD ? "VARCHAR" : type == TL_WORDS ? "VARCHAR[]" : "BIGINT";
}

static tl_status add_column(scanner *s, const tl_column_def *column, tl_buf *sql, tl_error *err) {
  file_column from = {0};
  tl_column_def as = *column;
  tl_status st = TL_OK;
  if (column->type == TL_TIME && s->def->has_ns) { /* exact nanoseconds where the file keeps them */
    st = find_column(s, TL_NS_COLUMN, &from, err);
    if (from.name) {
      as.type = TL_I64;
      as.name = TL_NS_COLUMN;
    }
  }
  if (!st && !from.name) st = find_column(s, column->name, &from, err);
  if (!st) {
    if (from.name) st = append_expression(s, sql, &as, &from, err);
    else if (column->nullable) st = tl_buf_appendf(sql, err, "CAST(NULL AS %s)", duckdb_name(column->type));
    else st = tl_fail(err, TL_EDECODE, "cannot take '%s': it has no column '%s'", s->scan->path, column->name);
  }
  tl_free(from.name);
  return st;
}

static tl_status build(scanner *s, tl_error *err) {
  file_column symbol;
  tl_status st = add_column(s, &s->def->columns[TL_COL_TIME], &s->time, err);
  for (size_t c = 1; !st && c < s->def->column_count; c++) {
    st = tl_buf_appends(&s->columns, ", ", err);
    if (!st) st = add_column(s, &s->def->columns[c], &s->columns, err);
  }
  if (st) return st;
  st = find_column(s, TL_SYMBOL_COLUMN, &symbol, err);
  s->info.has_symbol = symbol.name != NULL;
  if (!st && symbol.name && s->scan->symbol) {
    st = tl_buf_appends(&s->filter, " WHERE CAST(", err);
    if (!st) st = tl_sql_identifier(&s->filter, symbol.name, strlen(symbol.name), err);
    if (!st) st = tl_buf_appends(&s->filter, " AS VARCHAR) = ", err);
    if (!st) st = tl_sql_quote(&s->filter, s->scan->symbol, strlen(s->scan->symbol), err);
  }
  tl_free(symbol.name);
  return st;
}

/* ---- rows ---- */

static bool is_null(const uint64_t *validity, idx_t row) { return validity && !((validity[row / 64] >> (row % 64)) & 1u); }

static tl_status null_value(const scanner *s, const char *column, tl_error *err) {
  return tl_fail(err, TL_EDECODE, "cannot take '%s': column '%s' holds NULL where a value must be", s->scan->path, column);
}

static tl_status intern(scanner *s, size_t c, const char *data, size_t len, uint32_t *code, tl_error *err) {
  if (s->last[c].known && s->last[c].text.len == len && (len == 0 || memcmp(s->last[c].text.data, data, len) == 0)) {
    *code = s->last[c].code;
    return TL_OK;
  }
  if (len > TL_WORD_BYTES_MAX && s->def->columns[c].type == TL_WORD)
    return tl_fail(err, TL_EDECODE, "cannot take '%s': column '%s' holds a text of %zu bytes; at most %d are possible",
                   s->scan->path, s->def->columns[c].name, len, TL_WORD_BYTES_MAX);
  tl_status st = tl_words_intern(s->scan->words, data, len, code, err);
  tl_buf_clear(&s->last[c].text);
  if (!st) st = tl_buf_append(&s->last[c].text, data, len, err);
  s->last[c].known = st == TL_OK;
  s->last[c].code = *code;
  return st;
}

static tl_status intern_list(scanner *s, size_t c, duckdb_vector vector, duckdb_list_entry entry, uint32_t *code, tl_error *err) {
  duckdb_vector child = duckdb_list_vector_get_child(vector);
  duckdb_string_t *items = duckdb_vector_get_data(child);
  const uint64_t *validity = duckdb_vector_get_validity(child);
  tl_status st = TL_OK;
  tl_buf_clear(&s->list);
  for (uint64_t i = entry.offset; !st && i < entry.offset + entry.length; i++) {
    if (is_null(validity, i)) st = null_value(s, s->def->columns[c].name, err);
    else st = tl_words_list_add(&s->list, duckdb_string_t_data(&items[i]), duckdb_string_t_length(items[i]), err);
  }
  return st ? st : intern(s, c, s->list.data ? s->list.data : "", s->list.len, code, err);
}

static tl_status copy_words(scanner *s, size_t c, duckdb_vector vector, size_t rows, tl_error *err) {
  tl_column *to = &s->batch.columns[c];
  const uint64_t *validity = duckdb_vector_get_validity(vector);
  void *data = duckdb_vector_get_data(vector);
  tl_status st = TL_OK;
  for (size_t row = 0; !st && row < rows; row++) {
    to->word[row] = 0;
    if (is_null(validity, row)) {
      tl_column_set_null(to, row);
    } else if (s->def->columns[c].type == TL_WORD) {
      duckdb_string_t *text = &((duckdb_string_t *)data)[row];
      st = intern(s, c, duckdb_string_t_data(text), duckdb_string_t_length(*text), &to->word[row], err);
    } else {
      st = intern_list(s, c, vector, ((duckdb_list_entry *)data)[row], &to->word[row], err);
    }
  }
  return st;
}

static tl_status copy_numbers(scanner *s, size_t c, duckdb_vector vector, size_t rows, tl_error *err) {
  tl_column *to = &s->batch.columns[c];
  const uint64_t *validity = duckdb_vector_get_validity(vector);
  memcpy(to->data, duckdb_vector_get_data(vector), rows * sizeof(int64_t));
  if (!validity) return TL_OK;
  for (size_t row = 0; row < rows; row++) {
    if (!is_null(validity, row)) continue;
    if (!s->def->columns[c].nullable) return null_value(s, s->def->columns[c].name, err);
    to->i64[row] = 0; /* equal rows are equal bytes */
    tl_column_set_null(to, row);
  }
  return TL_OK;
}

static tl_status take_rows(scanner *s, duckdb_data_chunk chunk, tl_error *err) {
  size_t rows = duckdb_data_chunk_get_size(chunk);
  tl_batch_clear(&s->batch);
  tl_status st = tl_batch_reserve(&s->batch, rows, err);
  for (size_t c = 0; !st && c < s->def->column_count; c++) {
    duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, c);
    bool words = s->def->columns[c].type == TL_WORD || s->def->columns[c].type == TL_WORDS;
    st = words ? copy_words(s, c, vector, rows, err) : copy_numbers(s, c, vector, rows, err);
  }
  if (st || !rows) return st;
  s->batch.rows = rows;
  const int64_t *times = tl_batch_times(&s->batch);
  for (size_t row = 0; row < rows; row++) {
    if (times[row] < s->last_ns) s->info.was_sorted = false;
    s->last_ns = times[row];
  }
  s->info.rows += (int64_t)rows;
  return s->scan->rows(s->scan->to, &s->batch, err);
}

static tl_status take_times(scanner *s, duckdb_data_chunk chunk, tl_error *err) {
  size_t rows = duckdb_data_chunk_get_size(chunk);
  duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, 0);
  const int64_t *times = duckdb_vector_get_data(vector);
  const uint64_t *validity = duckdb_vector_get_validity(vector);
  for (size_t row = 0; row < rows; row++) {
    if (is_null(validity, row)) return null_value(s, s->def->columns[TL_COL_TIME].name, err);
    if (times[row] < s->last_ns) s->info.was_sorted = false;
    s->last_ns = times[row];
  }
  return TL_OK;
}

typedef tl_status (*take_chunk)(scanner *s, duckdb_data_chunk chunk, tl_error *err);

static tl_status take_nothing(scanner *s, duckdb_data_chunk chunk, tl_error *err) {
  (void)s;
  (void)chunk;
  (void)err;
  return TL_OK;
}

/* *lost: it failed and DuckDB does not say why. */
static tl_status stream_once(scanner *s, const char *sql, take_chunk take, bool *lost, tl_error *err) {
  duckdb_prepared_statement statement = NULL;
  duckdb_result result = {0};
  tl_status st = prepare(s, sql, &statement, err);
  if (!st && duckdb_execute_prepared_streaming(statement, &result) != DuckDBSuccess) {
    st = fail_file(s, duckdb_result_error(&result), err);
    *lost = tl_engine_lost_reason(duckdb_result_error(&result));
  }
  while (!st) {
    duckdb_data_chunk chunk = duckdb_fetch_chunk(result);
    if (!chunk) {
      const char *message = duckdb_result_error(&result);
      if (message && message[0]) st = fail_file(s, message, err);
      *lost = st && tl_engine_lost_reason(message);
      break;
    }
    st = take(s, chunk, err);
    duckdb_destroy_data_chunk(&chunk);
  }
  duckdb_destroy_result(&result);
  duckdb_destroy_prepare(&statement);
  return st;
}

static tl_status stream(scanner *s, const char *sql, take_chunk take, tl_error *err) {
  bool lost = false;
  s->last_ns = INT64_MIN;
  tl_status st = stream_once(s, sql, take, &lost, err);
  for (int tries = 0; st && lost && tries < 5; tries++) { /* only to learn the reason */
    lost = false;
    tl_status again = stream_once(s, sql, take_nothing, &lost, err);
    if (again) st = again;
  }
  return st;
}

static tl_status run(scanner *s, tl_error *err) {
  tl_buf sql = {0};
  tl_status st = TL_OK;
  const char *filter = s->filter.len ? s->filter.data : "";
  s->info.was_sorted = true;
  if (!s->scan->as_stored) {
    st = tl_buf_appendf(&sql, err, "SELECT %s FROM %s)%s", s->time.data, s->source.data, filter);
    if (!st) st = stream(s, sql.data, take_times, err);
  }
  tl_buf_clear(&sql);
  bool sort = !s->info.was_sorted;
  if (!st) st = tl_buf_appendf(&sql, err, "SELECT %s AS tl_time%s FROM %s%s%s%s", s->time.data, s->columns.data, s->source.data,
                               sort ? ", file_row_number = true)" : ")", filter, sort ? " ORDER BY tl_time, file_row_number" : "");
  if (!st) st = stream(s, sql.data, take_rows, err);
  tl_buf_clear(&sql);
  s->info.file_rows = s->info.rows;
  if (!st && s->filter.len) {
    st = tl_buf_appendf(&sql, err, "SELECT count(*) FROM %s)", s->source.data);
    if (!st) st = tl_engine_numbers(s->engine, sql.data, NULL, 0, &s->info.file_rows, 1, err);
  }
  tl_buf_deinit(&sql);
  return st;
}

tl_status tl_engine_scan(tl_engine *engine, const tl_scan *scan, tl_scan_info *info, tl_error *err) {
  tl_io_info there;
  scanner s = {.engine = engine, .scan = scan, .def = tl_kind_def_of(scan->kind)};
  tl_status st = tl_io_stat(scan->path, &there, err);
  if (st) return st;
  tl_batch_init(&s.batch, scan->kind);
  st = tl_engine_connect(engine, &s.connection, err);
  if (!st) st = open_file(&s, err);
  if (!st) st = build(&s, err);
  if (!st) st = run(&s, err);
  if (!st && info) *info = s.info;
  tl_batch_deinit(&s.batch);
  tl_buf *bufs[] = {&s.source, &s.columns, &s.time, &s.filter, &s.list};
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) tl_buf_deinit(bufs[i]);
  for (size_t c = 0; c < TL_COLUMNS_MAX; c++) tl_buf_deinit(&s.last[c].text);
  duckdb_destroy_prepare(&s.shape);
  duckdb_disconnect(&s.connection);
  return st;
}
