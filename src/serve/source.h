/* source.h - the Parquet files of a dataset as one SQL query with the columns of the kind. Private to serve/. */
#ifndef TL_SERVE_SOURCE_H
#define TL_SERVE_SOURCE_H
#include "serve/serve.h"

typedef struct tl_source {
  tl_layout layout;
  const tl_dataset *dataset;
  const char *files;  /* SQL: ['file', ...], which DuckDB opens faster than what a pattern finds */
  const char *first;  /* path of a file whose columns stand for all; NULL: there is no file, the query gives no row */
  const char *symbol; /* of all rows; NULL: each file's own */
  bool uniform;       /* false: files may have different columns */
} tl_source;

enum { TL_SOURCE_COLUMNS_MAX = TL_COLUMNS_MAX + 2 }; /* with symbol and timestamp_ns */

/* Names of the columns in their order: symbol, timestamp, ... Returns how many. */
size_t tl_source_columns(const tl_kind_def *def, const char *names[TL_SOURCE_COLUMNS_MAX]);

/* Appends "SELECT symbol, timestamp, ... FROM read_parquet(...)" with these columns. */
tl_status tl_source_select(tl_engine *engine, const tl_source *source, const char *const *columns, size_t count, tl_buf *sql,
                           tl_error *err);

/* reading_files.c: what rows of a kind from any layout have in common. */
tl_status tl_read_check_columns(const tl_read *read, const char *const *known, size_t known_count, tl_error *err);
tl_status tl_read_append_columns(const tl_read *read, const char *const *known, size_t known_count, tl_buf *sql, tl_error *err);
tl_status tl_read_append_range(const tl_read *read, bool has_ns, tl_buf *sql, tl_error *err); /* WHERE ..., or nothing */

/* The SELECT over these files, whose paths are below folder; sorted: they come in order and each is sorted. */
tl_status tl_read_build(tl_engine *engine, const tl_read *read, const char *folder, const tl_table_files *files, bool sorted, tl_buf *sql,
                        tl_error *err);
/* reading_parts.c: the rows of files of an object store. Takes the files, also on failure. */
tl_status tl_read_parts(const tl_read *read, tl_table_files *files, bool sorted, struct ArrowArrayStream *out, tl_error *err);

/* Appends ['...', ...] of all files, whose paths are below folder. */
tl_status tl_source_literals(const char *folder, const tl_table_file *files, size_t count, tl_buf *sql, tl_error *err);
#endif
