/* link.c - statements one after the other on one connection, their results as text. */
#include "engine/link.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "base/alloc.h"
#include "engine/internal.h"

struct tl_link {
  duckdb_connection connection;
  int64_t threads; /* of the engine; 0: leave them alone */
  bool alone;
};

tl_status tl_link_open(tl_engine *engine, tl_link **out, tl_error *err) {
  tl_link *link = tl_calloc(1, sizeof *link);
  if (!link) return tl_fail(err, TL_ENOMEM, "cannot connect to DuckDB");
  tl_status st = tl_engine_connect(engine, &link->connection, err);
  link->threads = engine->threads;
  if (st) tl_free(link);
  else *out = link;
  return st;
}

/* The engine has one thread now, or its own number again. DuckDB knows it only for the whole database. */
static tl_status be_alone(tl_link *link, bool alone, tl_error *err) {
  char sql[48];
  duckdb_result result = {0};
  if (!link->threads || link->alone == alone) return TL_OK;
  snprintf(sql, sizeof sql, "SET threads = %" PRId64, alone ? 1 : link->threads);
  tl_status st = tl_engine_execute(link->connection, sql, NULL, 0, false, &result, err);
  duckdb_destroy_result(&result);
  if (!st) link->alone = alone;
  return st;
}

void tl_link_close(tl_link *link) {
  if (!link) return;
  be_alone(link, false, NULL);
  duckdb_disconnect(&link->connection);
  tl_free(link);
}

tl_status tl_link_run(tl_link *link, const char *sql, tl_error *err) {
  duckdb_result result = {0};
  tl_status st = be_alone(link, false, err);
  if (!st) st = tl_engine_execute(link->connection, sql, NULL, 0, false, &result, err);
  duckdb_destroy_result(&result);
  return st;
}

tl_status tl_link_numbers(tl_link *link, const char *sql, int64_t *out, size_t count, tl_error *err) {
  tl_status st = be_alone(link, false, err);
  return st ? st : tl_engine_numbers_on(link->connection, sql, NULL, 0, out, count, err);
}

tl_status tl_link_check(tl_link *link, const char *sql, tl_error *err) {
  duckdb_prepared_statement statement = NULL;
  tl_status st = TL_OK;
  if (duckdb_prepare(link->connection, sql, &statement) != DuckDBSuccess) st = tl_engine_fail(err, duckdb_prepare_error(statement));
  duckdb_destroy_prepare(&statement);
  return st;
}

/* ---- text ---- */

static bool is_valid(duckdb_vector vector, idx_t row) {
  uint64_t *validity = duckdb_vector_get_validity(vector);
  return !validity || duckdb_validity_row_is_valid(validity, row);
}

static tl_cell cell_at(duckdb_vector vector, idx_t row) {
  if (!is_valid(vector, row)) return (tl_cell){0};
  duckdb_string_t *text = (duckdb_string_t *)duckdb_vector_get_data(vector) + row;
  return (tl_cell){duckdb_string_t_data(text), duckdb_string_t_length(*text)};
}

static tl_status read_rows(duckdb_data_chunk chunk, tl_cell *cells, size_t count, tl_link_row each, void *to, tl_error *err) {
  idx_t rows = duckdb_data_chunk_get_size(chunk);
  tl_status st = TL_OK;
  for (idx_t row = 0; !st && row < rows; row++) {
    for (size_t c = 0; c < count; c++) cells[c] = cell_at(duckdb_data_chunk_get_vector(chunk, c), row);
    st = each(to, cells, count, err);
  }
  return st;
}

static tl_status only_text(duckdb_result *result, size_t count, tl_error *err) {
  for (size_t c = 0; c < count; c++)
    if (duckdb_column_type(result, c) != DUCKDB_TYPE_VARCHAR)
      return tl_fail(err, TL_EINTERNAL, "column %zu of a query for text is not VARCHAR", c);
  return TL_OK;
}

tl_status tl_link_rows(tl_link *link, const char *sql, tl_link_row each, void *to, tl_error *err) {
  duckdb_result result = {0};
  tl_cell *cells = NULL;
  tl_status st = be_alone(link, false, err);
  if (!st) st = tl_engine_execute(link->connection, sql, NULL, 0, false, &result, err);
  size_t count = st ? 0 : duckdb_column_count(&result);
  if (!st) st = only_text(&result, count, err);
  if (!st && !(cells = tl_calloc(count ? count : 1, sizeof *cells))) st = tl_fail(err, TL_ENOMEM, "cannot read a query's rows");
  while (!st) {
    duckdb_data_chunk chunk = duckdb_fetch_chunk(result);
    if (!chunk) break;
    st = read_rows(chunk, cells, count, each, to, err);
    duckdb_destroy_data_chunk(&chunk);
  }
  tl_free(cells);
  duckdb_destroy_result(&result);
  return st;
}

/* ---- what COPY returns ---- */

enum { ROW_GROUP = 122880 }; /* DuckDB's: what one thread writes */
enum { COPIED_PATH, COPIED_ROWS, COPIED_BYTES, COPIED_STATS = 4, COPIED_COLUMNS = 6 };

typedef struct pairs { /* a MAP vector: where each row's pairs lie, and their two sides */
  const duckdb_list_entry *entries;
  duckdb_vector keys, values;
} pairs;

static pairs pairs_of(duckdb_vector map) {
  duckdb_vector child = duckdb_list_vector_get_child(map);
  return (pairs){duckdb_vector_get_data(map), duckdb_struct_vector_get_child(child, 0), duckdb_struct_vector_get_child(child, 1)};
}

static tl_status copied_at(duckdb_data_chunk chunk, idx_t row, tl_link_copied each, void *to, tl_error *err) {
  duckdb_vector map = duckdb_data_chunk_get_vector(chunk, COPIED_STATS);
  pairs columns = pairs_of(map), keys = pairs_of(columns.values);
  duckdb_list_entry span = is_valid(map, row) ? columns.entries[row] : (duckdb_list_entry){0};
  const uint64_t *rows = duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, COPIED_ROWS));
  const uint64_t *bytes = duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, COPIED_BYTES));
  size_t count = 0, at = 0;
  for (idx_t c = span.offset; c < span.offset + span.length; c++) count += keys.entries[c].length;
  tl_copied_stat *stats = tl_calloc(count ? count : 1, sizeof *stats);
  if (!stats) return tl_fail(err, TL_ENOMEM, "cannot read the statistics of a file");
  for (idx_t c = span.offset; c < span.offset + span.length; c++)
    for (idx_t k = keys.entries[c].offset; k < keys.entries[c].offset + keys.entries[c].length; k++)
      stats[at++] = (tl_copied_stat){cell_at(columns.keys, c), cell_at(keys.keys, k), cell_at(keys.values, k)};
  tl_copied file = {cell_at(duckdb_data_chunk_get_vector(chunk, COPIED_PATH), row), (int64_t)rows[row], (int64_t)bytes[row], stats, count};
  tl_status st = each(to, &file, err);
  tl_free(stats);
  return st;
}

tl_status tl_link_copy(tl_link *link, const char *sql, int64_t rows, tl_link_copied each, void *to, tl_error *err) {
  duckdb_result result = {0};
  tl_status st = be_alone(link, rows <= ROW_GROUP, err);
  if (!st) st = tl_engine_execute(link->connection, sql, NULL, 0, false, &result, err);
  if (!st && (duckdb_column_count(&result) != COPIED_COLUMNS || duckdb_column_type(&result, COPIED_STATS) != DUCKDB_TYPE_MAP))
    st = tl_fail(err, TL_EINTERNAL, "DuckDB's COPY does not return the statistics it should");
  while (!st) {
    duckdb_data_chunk chunk = duckdb_fetch_chunk(result);
    if (!chunk) break;
    for (idx_t row = 0; !st && row < duckdb_data_chunk_get_size(chunk); row++) st = copied_at(chunk, row, each, to, err);
    duckdb_destroy_data_chunk(&chunk);
  }
  duckdb_destroy_result(&result);
  return st;
}
