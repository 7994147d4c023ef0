/* read.h - rows out of a lake: Arrow streams, or text and files in other formats. Part of ticklake.h. */
#ifndef TICKLAKE_READ_H
#define TICKLAKE_READ_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ticklake/arrow.h"
#include "ticklake/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tl_lake;
typedef int (*tl_write_fn)(void *user, const char *data, size_t len);

typedef struct tl_read_options {
  size_t size;
  const char *kind, *symbols; /* as for an import */
  const char *start, *end;    /* NULL: no bound; else as for an import */
  const char *session;        /* all (default), regular, extended */
  const char *columns;        /* comma list; NULL: all */
  int64_t limit;              /* rows; 0: all */
} tl_read_options;

/** Rows ordered by symbol and time; timestamps UTC.
 * @param out  On TL_OK the caller owns the stream and calls out->release(out); the lake may be closed before.
 * @return TL_OK, also without rows; TL_EUSAGE; TL_ENOTFOUND when the lake holds nothing of this kind; TL_ESQL; TL_EIO. */
TL_API tl_status tl_lake_read(struct tl_lake *lake, const tl_read_options *options, struct ArrowArrayStream *out, tl_error *err);

/** SQL of the embedded DuckDB over views of the lake's datasets: equities_1min, quotes_1sec, trades, quotes, ... */
TL_API tl_status tl_lake_sql(struct tl_lake *lake, const char *query, struct ArrowArrayStream *out, tl_error *err);

typedef struct tl_output {
  size_t size;
  const char *format; /* table (default), csv, jsonl, json, parquet, arrow */
  const char *path;   /* written whole and then renamed into place; NULL: to `write` */
  const char *tz;     /* zone that table, csv and jsonl show times of tl_lake_read_to in; NULL: trading_timezone of the
                         settings, else America/New_York */
  tl_write_fn write;
  void *user;
} tl_output;

/** As tl_lake_read and tl_lake_sql, written out. parquet and arrow are UTC; so is the output of sql.
 * @param rows  May be NULL; rows written. */
TL_API tl_status tl_lake_read_to(struct tl_lake *lake, const tl_read_options *options, const tl_output *output, int64_t *rows, tl_error *err);
TL_API tl_status tl_lake_sql_to(struct tl_lake *lake, const char *query, const tl_output *output, int64_t *rows, tl_error *err);

/** Symbols with rows of this kind, in byte order. Strings live for the callback; non-zero stops. */
TL_API tl_status tl_lake_symbols(struct tl_lake *lake, const char *kind, int (*each)(void *user, const char *symbol),
                                 void *user, tl_error *err);

/** First and last instant (ns, UTC) with rows, and how many; without scanning data. TL_ENOTFOUND when there are none. */
TL_API tl_status tl_lake_range(struct tl_lake *lake, const char *kind, const char *symbol, int64_t *first_ns,
                               int64_t *last_ns, int64_t *rows, tl_error *err);

#ifdef __cplusplus
}
#endif
#endif
