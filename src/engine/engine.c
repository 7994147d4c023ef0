/* engine.c - open a DuckDB that reaches nothing but local files, and run statements on it. */
#include "engine/engine.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/internal.h"
#include "market/time.h"

const char *tl_engine_reason(const char *message) {
  static const char wrapper[] = "closed pending query result\nError: ";
  const char *inner = message ? strstr(message, wrapper) : NULL;
  return inner ? inner + sizeof wrapper - 1 : message ? message : "";
}

bool tl_engine_lost_reason(const char *message) { return strncmp(tl_engine_reason(message), "INTERRUPT Error", 15) == 0; }

tl_status tl_engine_fail(tl_error *err, const char *message) {
  message = tl_engine_reason(message);
  if (!message[0]) return tl_fail(err, TL_ESQL, "the query failed without a message");
  if (tl_engine_lost_reason(message))
    return tl_fail(err, TL_ESQL, "the query failed in one thread and DuckDB lost the reason: run it again to see it");
  if (strncmp(message, "Out of Memory", 13) == 0) return tl_fail(err, TL_ENOMEM, "%s", message);
  return tl_fail(err, TL_ESQL, "%s", message);
}

/* ---- opening ---- */

static tl_status configure(duckdb_config config, const tl_engine_options *options, tl_error *err) {
  static atomic_uint engines;
  char memory[32], threads[16];
  tl_buf spill = {0}; /* a folder of this engine's own, made when it is needed: DuckDB's files have the same names in every process */
  tl_status st = options->spill ? tl_buf_appendf(&spill, err, "%s/ticklake-spill-%d-%u", options->spill, (int)getpid(), atomic_fetch_add(&engines, 1)) : TL_OK;
  snprintf(memory, sizeof memory, "%" PRId64 "B", options->memory_bytes);
  snprintf(threads, sizeof threads, "%d", options->threads);
  const struct {
    const char *name, *value;
  } settings[] = {
    {"autoinstall_known_extensions", "false"},
    {"autoload_known_extensions", "false"},
    {"allow_community_extensions", "false"},
    {"temp_directory", spill.data ? spill.data : ""},
    {"enable_external_file_cache", "false"}, /* files are replaced under their names; and it holds memory */
    {options->memory_bytes > 0 ? "memory_limit" : NULL, memory},
    {options->threads > 0 ? "threads" : NULL, threads},
  };
  for (size_t i = 0; !st && i < sizeof settings / sizeof settings[0]; i++)
    if (settings[i].name && duckdb_set_config(config, settings[i].name, settings[i].value) != DuckDBSuccess)
      st = tl_fail(err, TL_EINTERNAL, "cannot set DuckDB's %s to '%s'", settings[i].name, settings[i].value);
  tl_buf_deinit(&spill);
  return st;
}

static tl_status open_database(tl_engine *engine, const tl_engine_options *options, tl_error *err) {
  duckdb_config config = NULL;
  char *message = NULL;
  if (duckdb_create_config(&config) != DuckDBSuccess) {
    duckdb_destroy_config(&config);
    return tl_fail(err, TL_ENOMEM, "cannot open DuckDB");
  }
  tl_status st = configure(config, options, err);
  if (!st && duckdb_open_ext(NULL, &engine->database, config, &message) != DuckDBSuccess) {
    tl_engine_fail(err, message);
    st = tl_fail_within(err, TL_ESQL, "cannot open DuckDB");
  }
  duckdb_free(message);
  duckdb_destroy_config(&config);
  return st;
}

static tl_status set_up(tl_engine *engine, bool threads_vary, tl_error *err) {
  duckdb_connection connection = NULL;
  duckdb_result result = {0};
  tl_status st = tl_engine_connect(engine, &connection, err);
  if (st) return st;
  st = tl_engine_add_session(connection, err);
  if (!st) st = tl_engine_add_table_functions(connection, err);
  if (!st && threads_vary) {
    st = tl_engine_numbers_on(connection, "SET GLOBAL allowed_configs = ['threads']; SELECT current_setting('threads')", NULL, 0, &engine->threads, 1, err);
    if (engine->threads == 1) engine->threads = 0;
  }
  if (!st) st = tl_engine_execute(connection, "SET GLOBAL TimeZone = 'UTC'; SET GLOBAL lock_configuration = true", NULL, 0,
                                  false, &result, err);
  duckdb_destroy_result(&result);
  duckdb_disconnect(&connection);
  return st;
}

tl_status tl_engine_open(const tl_engine_options *options, tl_engine **out, tl_error *err) {
  tl_engine *engine = tl_calloc(1, sizeof *engine);
  if (!engine) return tl_fail(err, TL_ENOMEM, "cannot open DuckDB");
  tl_status st = open_database(engine, options ? options : &(tl_engine_options){0}, err);
  if (!st) st = set_up(engine, options && options->threads_vary, err);
  if (st) tl_engine_close(engine);
  else *out = engine;
  return st;
}

void tl_engine_close(tl_engine *engine) {
  if (!engine) return;
  duckdb_close(&engine->database); /* connections of open streams keep DuckDB's instance alive */
  tl_free(engine);
}

tl_status tl_engine_connect(tl_engine *engine, duckdb_connection *out, tl_error *err) {
  if (duckdb_connect(engine->database, out) == DuckDBSuccess) return TL_OK;
  return tl_fail(err, TL_ESQL, "cannot connect to DuckDB");
}

/* ---- statements ---- */

static duckdb_state bind(duckdb_prepared_statement statement, idx_t at, const tl_value *value) {
  switch (value->type) {
  case TL_VALUE_I64: return duckdb_bind_int64(statement, at, value->i64);
  case TL_VALUE_F64: return duckdb_bind_double(statement, at, value->f64);
  case TL_VALUE_TEXT: return duckdb_bind_varchar(statement, at, value->text);
  case TL_VALUE_TIME:
    return duckdb_bind_timestamp_tz(statement, at, (duckdb_timestamp){tl_time_us(value->i64)});
  case TL_VALUE_NULL: break;
  }
  return duckdb_bind_null(statement, at);
}

static tl_status bind_all(duckdb_prepared_statement statement, const tl_value *values, size_t value_count, tl_error *err) {
  idx_t wanted = duckdb_nparams(statement);
  if (wanted != value_count)
    return tl_fail(err, TL_ESQL, "the query has %" PRIu64 " parameters, but %zu values came", (uint64_t)wanted, value_count);
  for (size_t i = 0; i < value_count; i++)
    if (bind(statement, i + 1, &values[i]) != DuckDBSuccess) return tl_engine_fail(err, duckdb_prepare_error(statement));
  return TL_OK;
}

/* Extensions are how a query could reach the network (httpfs), so none can be brought in by one. */
static tl_status refuse_extensions(duckdb_prepared_statement statement, tl_error *err) {
  duckdb_statement_type type = duckdb_prepared_statement_type(statement);
  if (type != DUCKDB_STATEMENT_TYPE_LOAD && type != DUCKDB_STATEMENT_TYPE_UPDATE_EXTENSIONS) return TL_OK;
  return tl_fail(err, TL_ESQL, "LOAD and INSTALL are not available: queries read local files only");
}

static tl_status execute_one(duckdb_connection connection, duckdb_extracted_statements statements, idx_t index,
                             const tl_value *values, size_t value_count, bool streaming, duckdb_result *result,
                             tl_error *err) {
  duckdb_prepared_statement statement = NULL;
  tl_status st = TL_OK;
  if (duckdb_prepare_extracted_statement(connection, statements, index, &statement) != DuckDBSuccess) {
    st = tl_engine_fail(err, duckdb_prepare_error(statement));
    duckdb_destroy_prepare(&statement);
    return st;
  }
  st = refuse_extensions(statement, err);
  if (!st) st = bind_all(statement, values, value_count, err);
  if (!st) {
    duckdb_state state = streaming ? duckdb_execute_prepared_streaming(statement, result)
                                   : duckdb_execute_prepared(statement, result);
    if (state != DuckDBSuccess) st = tl_engine_fail(err, duckdb_result_error(result));
  }
  duckdb_destroy_prepare(&statement);
  return st;
}

tl_status tl_engine_execute(duckdb_connection connection, const char *sql, const tl_value *values, size_t value_count,
                            bool streaming, duckdb_result *last, tl_error *err) {
  duckdb_extracted_statements statements = NULL;
  tl_status st = TL_OK;
  idx_t count = duckdb_extract_statements(connection, sql, &statements);
  if (!count) {
    const char *message = duckdb_extract_statements_error(statements);
    st = message && message[0] ? tl_engine_fail(err, message) : tl_fail(err, TL_ESQL, "the query is empty");
  }
  for (idx_t i = 0; !st && i + 1 < count; i++) {
    st = execute_one(connection, statements, i, NULL, 0, false, last, err);
    duckdb_destroy_result(last);
  }
  if (!st) st = execute_one(connection, statements, count - 1, values, value_count, streaming, last, err);
  duckdb_destroy_extracted(&statements);
  return st;
}

tl_status tl_engine_run(tl_engine *engine, const char *sql, tl_error *err) {
  duckdb_connection connection = NULL;
  duckdb_result result = {0};
  tl_status st = tl_engine_connect(engine, &connection, err);
  if (st) return st;
  st = tl_engine_execute(connection, sql, NULL, 0, false, &result, err);
  duckdb_destroy_result(&result);
  duckdb_disconnect(&connection);
  return st;
}

/* ---- a row of numbers ---- */

static bool number_at(duckdb_type type, const void *data, int64_t *out) {
  switch (type) {
  case DUCKDB_TYPE_BOOLEAN: *out = *(const bool *)data; return true;
  case DUCKDB_TYPE_TINYINT: *out = *(const int8_t *)data; return true;
  case DUCKDB_TYPE_SMALLINT: *out = *(const int16_t *)data; return true;
  case DUCKDB_TYPE_INTEGER: *out = *(const int32_t *)data; return true;
  case DUCKDB_TYPE_UTINYINT: *out = *(const uint8_t *)data; return true;
  case DUCKDB_TYPE_USMALLINT: *out = *(const uint16_t *)data; return true;
  case DUCKDB_TYPE_UINTEGER: *out = *(const uint32_t *)data; return true;
  case DUCKDB_TYPE_BIGINT:
  case DUCKDB_TYPE_TIMESTAMP:
  case DUCKDB_TYPE_TIMESTAMP_TZ: *out = *(const int64_t *)data; return true;
  case DUCKDB_TYPE_HUGEINT: {
    const duckdb_hugeint *wide = data;
    *out = (int64_t)wide->lower;
    return wide->upper == (*out < 0 ? -1 : 0);
  }
  default: return false;
  }
}

static tl_status read_numbers(duckdb_result *result, duckdb_data_chunk chunk, int64_t *out, size_t count, tl_error *err) {
  if (duckdb_column_count(result) != count)
    return tl_fail(err, TL_ESQL, "the query gives %" PRIu64 " columns instead of %zu", (uint64_t)duckdb_column_count(result), count);
  for (size_t c = 0; c < count; c++) {
    duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, c);
    uint64_t *validity = duckdb_vector_get_validity(vector);
    out[c] = INT64_MIN;
    if (validity && !duckdb_validity_row_is_valid(validity, 0)) continue;
    duckdb_type type = duckdb_column_type(result, c);
    if (!number_at(type, duckdb_vector_get_data(vector), &out[c]))
      return tl_fail(err, TL_ESQL, "column '%s' of the query is no 64-bit integer", duckdb_column_name(result, c));
  }
  return TL_OK;
}

tl_status tl_engine_numbers_on(duckdb_connection connection, const char *sql, const tl_value *values, size_t value_count,
                               int64_t *out, size_t count, tl_error *err) {
  duckdb_result result = {0};
  duckdb_data_chunk chunk = NULL;
  tl_status st = tl_engine_execute(connection, sql, values, value_count, false, &result, err);
  if (!st && !(chunk = duckdb_fetch_chunk(result))) st = tl_fail(err, TL_ENOTFOUND, "the query gives no row");
  if (!st) st = read_numbers(&result, chunk, out, count, err);
  duckdb_destroy_data_chunk(&chunk);
  duckdb_destroy_result(&result);
  return st;
}

tl_status tl_engine_numbers(tl_engine *engine, const char *sql, const tl_value *values, size_t value_count,
                            int64_t *out, size_t count, tl_error *err) {
  duckdb_connection connection = NULL;
  tl_status st = tl_engine_connect(engine, &connection, err);
  if (st) return st;
  st = tl_engine_numbers_on(connection, sql, values, value_count, out, count, err);
  duckdb_disconnect(&connection);
  return st;
}
