/* internal.h - what the files of engine/ share: connections, statements, DuckDB's texts as tl_errors. */
#ifndef TL_ENGINE_INTERNAL_H
#define TL_ENGINE_INTERNAL_H
#include <duckdb.h>

#include "base/buf.h"
#include "engine/engine.h"

struct tl_engine {
  duckdb_database database;
  int64_t threads; /* 0: they do not vary */
};

tl_status tl_engine_connect(tl_engine *engine, duckdb_connection *out, tl_error *err);

/* DuckDB's message as TL_ESQL, or TL_ENOMEM when it says so. */
tl_status tl_engine_fail(tl_error *err, const char *message);

/* DuckDB's message without the sentence it puts before one when a query fails ahead of its first row; NULL gives "". */
const char *tl_engine_reason(const char *message);

/* When one of several threads fails, DuckDB stops the others first, and now and then (1 in 100) their "interrupted" wins
 * over the reason. Nobody here interrupts a query, so that text always means this. */
bool tl_engine_lost_reason(const char *message);

/* Runs the statements of sql; *last is the last one's result, to be destroyed also after a failure. */
tl_status tl_engine_execute(duckdb_connection connection, const char *sql, const tl_value *values, size_t value_count,
                            bool streaming, duckdb_result *last, tl_error *err);

/* tl_engine_numbers on a connection that is there. */
tl_status tl_engine_numbers_on(duckdb_connection connection, const char *sql, const tl_value *values, size_t value_count,
                               int64_t *out, size_t count, tl_error *err);

/* Adds in_session to the catalog; iceberg_bucket and zorder. */
tl_status tl_engine_add_session(duckdb_connection connection, tl_error *err);
tl_status tl_engine_add_table_functions(duckdb_connection connection, tl_error *err);
#endif
