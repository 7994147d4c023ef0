/* stream.c - results out as Arrow streams, Arrow streams in as Parquet files.
 * A stream owns its connection and result; DuckDB makes each chunk (2048 rows) when it is asked for. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/internal.h"
#include "market/symbol.h"

typedef struct stream {
  duckdb_connection connection;
  duckdb_result result;
  duckdb_arrow_options options;
  char error[sizeof((tl_error *)0)->message];
} stream;

/* DuckDB's answer to a conversion; consumes it. */
static int answer(stream *s, duckdb_error_data failure) {
  int code = 0;
  if (duckdb_error_data_has_error(failure)) {
    snprintf(s->error, sizeof s->error, "%s", duckdb_error_data_message(failure));
    code = EIO;
  }
  duckdb_destroy_error_data(&failure);
  return code;
}

static int get_schema(struct ArrowArrayStream *self, struct ArrowSchema *out) {
  stream *s = self->private_data;
  idx_t count = duckdb_column_count(&s->result);
  const char **names = tl_calloc(count, sizeof *names);
  duckdb_logical_type *types = tl_calloc(count, sizeof *types);
  int code = names && types ? 0 : ENOMEM;
  memset(out, 0, sizeof *out);
  if (!code) {
    for (idx_t c = 0; c < count; c++) {
      names[c] = duckdb_column_name(&s->result, c);
      types[c] = duckdb_column_logical_type(&s->result, c);
    }
    code = answer(s, duckdb_to_arrow_schema(s->options, types, names, count, out));
    for (idx_t c = 0; c < count; c++) duckdb_destroy_logical_type(&types[c]);
  }
  tl_free(types);
  tl_free(names);
  return code;
}

static int get_next(struct ArrowArrayStream *self, struct ArrowArray *out) {
  stream *s = self->private_data;
  memset(out, 0, sizeof *out);
  duckdb_data_chunk chunk = duckdb_fetch_chunk(s->result);
  if (!chunk) {
    const char *message = duckdb_result_error(&s->result);
    if (!message || !message[0]) return 0;
    tl_error err = {0};
    tl_engine_fail(&err, message);
    snprintf(s->error, sizeof s->error, "%s", err.message);
    return EIO;
  }
  int code = answer(s, duckdb_data_chunk_to_arrow(s->options, chunk, out));
  duckdb_destroy_data_chunk(&chunk);
  return code;
}

static const char *get_last_error(struct ArrowArrayStream *self) {
  stream *s = self->private_data;
  return s->error[0] ? s->error : NULL;
}

static void free_stream(stream *s) {
  duckdb_destroy_arrow_options(&s->options);
  duckdb_destroy_result(&s->result);
  duckdb_disconnect(&s->connection);
  tl_free(s);
}

static void release(struct ArrowArrayStream *self) {
  free_stream(self->private_data);
  self->private_data = NULL;
  self->release = NULL;
}

static tl_status open_stream(tl_engine *engine, const char *before, const char *sql, const tl_value *values,
                             size_t value_count, struct ArrowArrayStream *out, tl_error *err) {
  duckdb_result nothing = {0};
  stream *s = tl_calloc(1, sizeof *s);
  if (!s) return tl_fail(err, TL_ENOMEM, "cannot run a query");
  tl_status st = tl_engine_connect(engine, &s->connection, err);
  if (!st && before) st = tl_engine_execute(s->connection, before, NULL, 0, false, &nothing, err);
  duckdb_destroy_result(&nothing);
  if (!st) st = tl_engine_execute(s->connection, sql, values, value_count, true, &s->result, err);
  if (st) {
    free_stream(s);
    return st;
  }
  s->options = duckdb_result_get_arrow_options(&s->result);
  *out = (struct ArrowArrayStream){get_schema, get_next, get_last_error, release, s};
  return TL_OK;
}

tl_status tl_engine_query(tl_engine *engine, const char *sql, const tl_value *values, size_t value_count,
                          struct ArrowArrayStream *out, tl_error *err) {
  return open_stream(engine, NULL, sql, values, value_count, out, err);
}

tl_status tl_engine_query_after(tl_engine *engine, const char *before, const char *sql, struct ArrowArrayStream *out,
                                tl_error *err) {
  return open_stream(engine, before, sql, NULL, 0, out, err);
}

/* ---- Arrow in ---- */

/* What DuckDB scans in place of the caller's stream. duckdb_arrow_scan asks for the schema twice and forgets to release
 * one of them, so each gets a view of the one schema kept here, whose release does nothing but mark it released. */
typedef struct borrowed {
  struct ArrowArrayStream *from;
  struct ArrowSchema schema;
} borrowed;

static void release_view(struct ArrowSchema *schema) { schema->release = NULL; }

static int borrowed_schema(struct ArrowArrayStream *self, struct ArrowSchema *out) {
  *out = ((borrowed *)self->private_data)->schema;
  out->release = release_view;
  return 0;
}

static int borrowed_next(struct ArrowArrayStream *self, struct ArrowArray *out) {
  struct ArrowArrayStream *from = ((borrowed *)self->private_data)->from;
  return from->get_next(from, out);
}

static const char *borrowed_error(struct ArrowArrayStream *self) {
  struct ArrowArrayStream *from = ((borrowed *)self->private_data)->from;
  return from->get_last_error(from);
}

static void borrowed_release(struct ArrowArrayStream *self) { self->release = NULL; }

static tl_status copy_view(duckdb_connection connection, const char *path, tl_error *err) {
  tl_buf sql = {0};
  duckdb_result result = {0};
  tl_status st = tl_buf_appends(&sql, "COPY (SELECT * FROM ticklake_stream) TO ", err);
  if (!st) st = tl_sql_quote(&sql, path, strlen(path), err);
  if (!st) st = tl_buf_appends(&sql, " (FORMAT parquet, COMPRESSION zstd, WRITE_BLOOM_FILTER false, OVERWRITE_OR_IGNORE false)", err);
  if (!st) st = tl_engine_execute(connection, sql.data, NULL, 0, false, &result, err);
  duckdb_destroy_result(&result);
  tl_buf_deinit(&sql);
  return st;
}

tl_status tl_engine_write_parquet(tl_engine *engine, struct ArrowArrayStream *from, const char *path, tl_error *err) {
  duckdb_connection connection = NULL;
  borrowed b = {.from = from};
  struct ArrowArrayStream view = {borrowed_schema, borrowed_next, borrowed_error, borrowed_release, &b};
  if (from->get_schema(from, &b.schema) != 0) {
    const char *message = from->get_last_error(from);
    return tl_fail(err, TL_ESQL, "%s", message ? message : "the rows have no schema");
  }
  tl_status st = tl_engine_connect(engine, &connection, err);
  if (!st && duckdb_arrow_scan(connection, "ticklake_stream", (duckdb_arrow_stream)&view) != DuckDBSuccess)
    st = tl_fail(err, TL_ESQL, "the rows have a type that Parquet cannot hold");
  if (!st) st = copy_view(connection, path, err);
  duckdb_disconnect(&connection);
  if (b.schema.release) b.schema.release(&b.schema);
  return st;
}
