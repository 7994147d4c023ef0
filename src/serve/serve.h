/* serve.h - from committed files to readers: rows of a kind, SQL over the lake, text and files for people, audit.
 *
 * On an object store files are brought into a temporary folder while they are read: of rows of a kind some at a time, of SQL
 * all of the datasets it names.
 * Everything leaves as an Arrow stream; tl_format_write turns any Arrow stream into a table, CSV, JSON lines, Parquet
 * or Arrow IPC. Reading takes no lock: files are replaced whole, so a reader sees each file before or after a commit.
 * Thread-safe as the engine is. Not here: what is covered or missing (ledger), progress, exit codes. */
#ifndef TL_SERVE_SERVE_H
#define TL_SERVE_SERVE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/checksum.h"
#include "base/status.h"
#include "engine/engine.h"
#include "market/calendar.h"
#include "market/zone.h"
#include "table/table.h"

/* ---- rows of a kind: reading_files.c, reading_tables.c ---- */

struct tl_sources; /* sources.h; may be NULL with the layouts of files */

typedef struct tl_read {
  tl_store *lake;
  tl_layout layout;
  tl_dataset dataset;
  const char *const *symbols; /* none: every symbol the dataset has */
  size_t symbol_count;
  tl_range range;             /* {INT64_MIN, INT64_MAX}: all */
  tl_session_kind session;
  const char *const *columns; /* none: symbol and all columns of the kind */
  size_t column_count;
  int64_t limit;              /* rows at most; 0: all */
  struct tl_sources *sources; /* of a layout of tables: opened with the same engine, closed after the stream (tl_sources_keep) */
} tl_read;

typedef struct tl_read_info {
  size_t files;   /* that may hold rows asked for */
  size_t symbols; /* of those asked for, how many the dataset has, be it outside the range */
} tl_read_info;

/* Rows ordered by (symbol, timestamp), timestamps in UTC. Only the files of the symbols and months asked for are opened.
 * Nothing there is an empty stream with the right columns. A column the kind has not: TL_EUSAGE naming the nearest.
 * info may be NULL. On TL_OK the caller releases *out. */
tl_status tl_read_open(tl_engine *engine, const tl_read *read, struct ArrowArrayStream *out, tl_read_info *info,
                       tl_error *err);

/* First and last timestamp and row count of a symbol, from file statistics; TL_ENOTFOUND when it has no rows. */
typedef struct tl_read_extent {
  int64_t first_ns, last_ns, rows;
} tl_read_extent;
tl_status tl_read_extent_of(tl_engine *engine, tl_store *lake, tl_layout layout, struct tl_sources *sources,
                            const tl_dataset *dataset, const char *symbol, tl_read_extent *out, tl_error *err);

/* Symbols that have rows, in byte order. */
tl_status tl_read_symbols(tl_engine *engine, tl_store *lake, tl_layout layout, struct tl_sources *sources,
                          const tl_dataset *dataset, tl_symbols *out, tl_error *err);

/* ---- SQL over the lake: sql.c ---- */

/* Runs statements over views named as the datasets (equities_1min, quotes_1sec, trades, quotes, ...), with columns
 * symbol, timestamp, ... in every layout; relative paths in the query are relative to the working directory. Only the
 * views the text may need are made. A table that is not there: TL_ESQL, with the names of those that are. */
tl_status tl_sql_open(tl_engine *engine, tl_store *lake, tl_layout layout, struct tl_sources *sources, const char *sql,
                      struct ArrowArrayStream *out, tl_error *err);

/* ---- out to people and files: format.c ---- */

typedef enum tl_output_format {
  TL_FORMAT_TABLE,
  TL_FORMAT_CSV,
  TL_FORMAT_JSONL,
  TL_FORMAT_JSON, /* one array of the objects of jsonl */
  TL_FORMAT_PARQUET,
  TL_FORMAT_ARROW
} tl_output_format;
tl_status tl_format_parse(const char *name, tl_output_format *out, tl_error *err); /* TL_EUSAGE naming the nearest */

typedef tl_status (*tl_sink)(void *to, const void *data, size_t len, tl_error *err);

typedef struct tl_format_options {
  tl_output_format format;
  const char *path;    /* written aside and renamed, so it is whole or as before; a device or pipe is written in place */
  tl_sink sink;        /* when path is NULL: takes the bytes in order */
  void *to;
  const tl_zone *zone; /* of instants in text formats, shown with the offset; NULL: UTC, shown with Z */
  int time_digits;     /* fraction digits of instants: 0 to 9, or below 0 for as many as each needs */
  tl_engine *engine;   /* for Parquet; NULL opens one */
} tl_format_options;

/* Reads the stream to its end and releases it, also on failure. rows may be NULL.
 * table: columns aligned by the first 1000 rows, numbers to the right, NULL spelled NULL. csv: RFC 4180 with \n; NULL is
 * an empty field, empty text is "". jsonl: one object a row; NaN and infinities are null. Integers and decimals are
 * exact, doubles the shortest text that reads back the same, lists JSON arrays.
 * arrow: the IPC file format into path, the IPC stream format into the sink. parquet needs a path (TL_EUSAGE).
 * A failing query is TL_ESQL, a failing sink what the sink gave. */
tl_status tl_format_write(const tl_format_options *options, struct ArrowArrayStream *stream, int64_t *rows, tl_error *err);
int tl_format_time_digits(const tl_dataset *dataset); /* 0 for bars and quotes_1sec, 6 for trades and quotes */

/* A sink that writes to the descriptor *(int *)to. TL_ECANCELED when nobody reads any more (EPIPE; ignore SIGPIPE). */
tl_status tl_sink_fd(void *to, const void *data, size_t len, tl_error *err);

/* ---- one file against its dataset: audit.c ---- */

typedef struct tl_audit {
  int64_t rows, bytes, first_ns, last_ns; /* first and last undefined when rows is 0 */
  char checksum[TL_CHECKSUM_TEXT_MAX];    /* base/checksum.h */
  bool sorted;                            /* by time */
  bool unique;                            /* bars, quotes_1s: no time twice; true for the others */
} tl_audit;

/* Reads the whole file, every value. TL_ENOTFOUND, TL_ECORRUPT or TL_EDECODE when it cannot be read as its dataset;
 * out->checksum and bytes are set whenever the bytes could be read. */
tl_status tl_audit_file(tl_engine *engine, const char *path, const tl_dataset *dataset, tl_audit *out, tl_error *err);
#endif
