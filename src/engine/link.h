/* link.h - one connection of an engine held open: its temporary tables live from one statement to the next.
 * For work that takes several statements (table/ops). Values come as text; a Parquet COPY hands back what DuckDB counted
 * while writing. One thread per link. The engine must outlive it. */
#ifndef TL_ENGINE_LINK_H
#define TL_ENGINE_LINK_H
#include "engine/engine.h"

typedef struct tl_link tl_link;

tl_status tl_link_open(tl_engine *engine, tl_link **out, tl_error *err);
void tl_link_close(tl_link *link); /* NULL is fine */

tl_status tl_link_run(tl_link *link, const char *sql, tl_error *err);
tl_status tl_link_numbers(tl_link *link, const char *sql, int64_t *out, size_t count, tl_error *err); /* as tl_engine_numbers */
tl_status tl_link_check(tl_link *link, const char *sql, tl_error *err); /* would the statement run, as far as its names and types say? */

typedef struct tl_cell { /* NULL: text is NULL. A view for the call */
  const char *text;
  size_t len;
} tl_cell;
/* Every row of a query whose columns all are VARCHAR. */
typedef tl_status (*tl_link_row)(void *to, const tl_cell *cells, size_t count, tl_error *err);
tl_status tl_link_rows(tl_link *link, const char *sql, tl_link_row each, void *to, tl_error *err);

typedef struct tl_copied_stat { /* column as DuckDB quotes it: "a", "list"."element"; key: min, max, null_count, ... */
  tl_cell column, key, value;
} tl_copied_stat;
typedef struct tl_copied { /* one file a COPY wrote */
  tl_cell path;
  int64_t rows, size_bytes;
  const tl_copied_stat *stats;
  size_t stat_count;
} tl_copied;
typedef tl_status (*tl_link_copied)(void *to, const tl_copied *file, tl_error *err);
/* sql: COPY ... (FORMAT parquet, RETURN_STATS, ...) of about `rows`. A file without rows is told too. Those of a row group at
 * most are written by one thread, where the engine lets them vary: handing so few rows from thread to thread doubles the cost. */
tl_status tl_link_copy(tl_link *link, const char *sql, int64_t rows, tl_link_copied each, void *to, tl_error *err);
#endif
