/* into_table.h - stage 6 where a dataset is one open table: a group's pieces become one commit of its log.
 *
 * The rows are encoded into staged Parquet files by this process (parquet/writer.h), symbols in order and each in row groups of
 * its own; one verb of the table takes them in: bars and quotes_1s merge by (symbol, timestamp), trades and raw quotes
 * replace what their symbols hold in their ranges. Ticks of one nanosecond keep the order they came in.
 * The table is made at the first row. Staged files lie in the lake's _ticklake/ (of a bucket: in TMPDIR) and go with the
 * call; those of a killed process go at the next open.
 * Not here: locks, rejects and the ledger (commit.c). One thread at a time. */
#ifndef TL_COMMIT_INTO_TABLE_H
#define TL_COMMIT_INTO_TABLE_H
#include "base/pool.h"
#include "commit/commit.h"

typedef struct tl_into_table tl_into_table;

/* options and pool are borrowed for the table's life. Opens nothing yet. */
tl_status tl_into_table_init(const tl_commit_options *options, tl_pool *pool, size_t workers, tl_into_table **out, tl_error *err);
void tl_into_table_close(tl_into_table *table); /* NULL is fine */

typedef tl_status (*tl_file_added)(void *to, const char *path, tl_error *err); /* relative to the lake */

/* *rows_changed: rows that were not there before or changed. added is told each data file of the commit. */
tl_status tl_into_table_write(tl_into_table *table, const tl_piece *pieces, size_t count, int64_t *rows_changed,
                              tl_file_added added, void *to, tl_error *err);
#endif
