/* writer.h - rows of one kind and symbol -> the bytes of one Parquet file.
 *
 * The encoder behind COMMIT: batches in, file bytes to a sink, statistics out. Streams: holds one row group (measured:
 * 10-14 MB of 122,880 rows, 1-2 MB of 9,000) and 100 bytes of footer a column and row group, so memory does not grow with
 * the file. Equal rows give equal bytes, whatever the batch boundaries. Files are read by DuckDB, polars, pandas/pyarrow
 * and Spark with right types: timestamps as INT64 microseconds isAdjustedToUTC, timestamp_ns as INT64, short strings as
 * UTF8, condition lists as list<string>. How: docs/internals/parquet-writer.md.
 * Not here: where the file lies, fsync, rename (commit), reading (engine). Not thread-safe; one writer per file. */
#ifndef TL_PARQUET_WRITER_H
#define TL_PARQUET_WRITER_H
#include "batch/batch.h"
#include "batch/words.h"

typedef struct tl_parquet tl_parquet;

typedef struct tl_parquet_options {
  tl_kind kind;
  const char *symbol;        /* NULL: no symbol column (hive); else its value in every row (flat), dictionary-coded */
  const tl_words *words;
  int zstd_level;            /* 0 = default 1: level 3 takes 1.6 times the CPU for 4 % less */
  size_t row_group_rows;     /* 0 = default 122880 */
  tl_status (*sink)(void *to, const void *data, size_t len, tl_error *err); /* bytes of the file, in order */
  void *to;
} tl_parquet_options;

typedef struct tl_column_stats { /* over the whole file; of the column as written */
  bool has_bounds;               /* false when all values are NULL, or bounds would be unsound (NaN) */
  union { int64_t i64; double f64; } min, max; /* microseconds for timestamp; no bounds for strings and lists */
  int64_t null_count;
} tl_column_stats;

typedef struct tl_parquet_summary {
  int64_t rows, bytes;
  int64_t time_min_ns, time_max_ns; /* of the rows; undefined when rows is 0 */
  tl_column_stats columns[TL_COLUMNS_MAX]; /* by column index of market/schema.h */
} tl_parquet_summary;

tl_status tl_parquet_open(const tl_parquet_options *options, tl_parquet **out, tl_error *err);
/* Rows must come in ascending time. Errors: TL_ENOMEM, or what the sink answered. */
tl_status tl_parquet_write(tl_parquet *writer, const tl_batch *batch, size_t begin, size_t end, tl_error *err);
/* The rows that follow are of this symbol, in row groups of their own. Only for a writer opened with a symbol. */
tl_status tl_parquet_next_symbol(tl_parquet *writer, const char *symbol, tl_error *err);
tl_status tl_parquet_finish(tl_parquet *writer, tl_parquet_summary *summary, tl_error *err); /* footer; once */
void tl_parquet_close(tl_parquet *writer); /* frees; NULL is fine; without finish the bytes sent are not a file */
#endif
