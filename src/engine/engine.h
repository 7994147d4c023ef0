/* engine.h - DuckDB, the only door to it: SQL in, Arrow or rows of a kind out.
 *
 * Opening costs 20 to 90 ms and 40 MB (the library is large), so callers open an engine only when they need one; an
 * import into fresh files never does. What callers may rely on:
 * - an engine is in memory, in UTC, reads local files and nothing else: no extension is installed or loaded, by itself
 *   or by a LOAD or INSTALL statement, so no query reaches the network; settings cannot be changed by a query (but see threads_vary);
 * - results stream, in the order the query states: memory does not grow with their rows;
 * - SQL has functions more: in_session(timestamp, 'regular' | 'extended' | 'all', '1m') says whether the bar of that
 *   length (or the tick: '1s') belongs to the exchange session (market/calendar.h); those of transforms.c;
 * - errors of a query are TL_ESQL with DuckDB's own text.
 * Thread-safe: every call works on a connection of its own. DuckDB's allocations do not go through base/alloc.h.
 * Not here: where a lake's files lie (table/), views over them (serve/). */
#ifndef TL_ENGINE_ENGINE_H
#define TL_ENGINE_ENGINE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "batch/batch.h"
#include "batch/words.h"
#include "market/schema.h"
#include "ticklake/arrow.h"

typedef struct tl_engine tl_engine;

typedef struct tl_engine_options {
  int64_t memory_bytes; /* limit of DuckDB's buffers, 0: its default, 80 % of the machine */
  int threads;          /* 0: one per core */
  bool threads_vary;    /* tl_link_copy may take one for a while; a query may set them then, too */
  const char *spill;    /* folder below which a folder of the engine's own takes what does not fit memory_bytes; NULL: nothing is spilled */
} tl_engine_options;

tl_status tl_engine_open(const tl_engine_options *options, tl_engine **out, tl_error *err); /* options may be NULL */
void tl_engine_close(tl_engine *engine); /* NULL is fine; open streams keep what they need */

/* A value for a ? of the query. Text is borrowed for the call. */
typedef struct tl_value {
  enum { TL_VALUE_I64, TL_VALUE_F64, TL_VALUE_TEXT, TL_VALUE_TIME, TL_VALUE_NULL } type;
  union {
    int64_t i64; /* TIME: ns since 1970 UTC, floored to a TIMESTAMPTZ of microseconds */
    double f64;
    const char *text;
  };
} tl_value;

/* Runs the statements of sql in order and forgets what they give. */
tl_status tl_engine_run(tl_engine *engine, const char *sql, tl_error *err);

/* Runs the statements of sql and streams what the last one gives; values go to its parameters. On TL_OK the caller owns
 * *out and releases it; get_next fails with EIO and DuckDB's text when a value cannot be computed. */
tl_status tl_engine_query(tl_engine *engine, const char *sql, const tl_value *values, size_t value_count,
                          struct ArrowArrayStream *out, tl_error *err);

/* The same after `before` ran on the same connection: the query sees its temporary views and tables. */
tl_status tl_engine_query_after(tl_engine *engine, const char *before, const char *sql, struct ArrowArrayStream *out,
                                tl_error *err);

/* First row of the result as integers (booleans 0 and 1, instants their microseconds); INT64_MIN stands for NULL.
 * TL_ENOTFOUND when there is no row, TL_ESQL when there are not `count` columns. */
tl_status tl_engine_numbers(tl_engine *engine, const char *sql, const tl_value *values, size_t value_count,
                            int64_t *out, size_t count, tl_error *err);

/* Writes the rows of a stream into a new Parquet file (zstd), which must not exist. The stream is read to its end and
 * not released. The file is neither synced nor renamed: that is the caller's. */
tl_status tl_engine_write_parquet(tl_engine *engine, struct ArrowArrayStream *stream, const char *path, tl_error *err);

/* ---- a Parquet file as batches ---- */

/* Rows of a Parquet file, ours or another's, in the columns of a kind:
 * - columns are found by name in any order and letter case, others are ignored; a nullable one may be absent (all NULL);
 * - timestamp may be TIMESTAMP of any unit (without a zone it is UTC) or DATE (that day's New York midnight); where the
 *   kind has timestamp_ns and the file too, the nanoseconds come from there;
 * - numbers of any width are taken when the value fits exactly; NaN in a nullable column is NULL; a fraction or overflow in an integer column, NaN
 *   or NULL where none may be, and text that is no number are TL_EDECODE naming column and value;
 * - rows come in ascending time (equal times in file order); the file is sorted only when it is not already. */
typedef struct tl_scan {
  const char *path;
  tl_kind kind;
  tl_words *words;
  const char *symbol;  /* when the file has a column symbol: only its rows; NULL: all rows */
  bool as_stored;      /* do not sort: rows come as they lie in the file */
  tl_status (*rows)(void *to, const tl_batch *batch, tl_error *err); /* a few thousand rows; valid during the call */
  void *to;
} tl_scan;

typedef struct tl_scan_info {
  int64_t rows;       /* given to the callback */
  int64_t file_rows;  /* in the file */
  bool was_sorted;    /* by time, as it lies; false also when as_stored was not asked and it had to be sorted */
  bool has_symbol;    /* the file has a column symbol */
} tl_scan_info;

/* info may be NULL. TL_ENOTFOUND, TL_ECORRUPT (not a Parquet file, cut, or damaged), TL_EDECODE, or what rows gave. */
tl_status tl_engine_scan(tl_engine *engine, const tl_scan *scan, tl_scan_info *info, tl_error *err);
#endif
