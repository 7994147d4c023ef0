/* reading_tables.h - what reading_files.c and sql.c do, where a dataset is one open table. Private to serve/.
 * Tables are opened through sources, which must live as long as the streams that read them. */
#ifndef TL_SERVE_READING_TABLES_H
#define TL_SERVE_READING_TABLES_H
#include "serve/serve.h"
#include "serve/sources.h"

tl_status tl_read_table(tl_engine *engine, const tl_read *read, struct ArrowArrayStream *out, tl_read_info *info, tl_error *err);
tl_status tl_read_table_extent(tl_engine *engine, tl_sources *sources, tl_store *lake, const tl_dataset *dataset,
                               const char *symbol, tl_read_extent *out, tl_error *err);
tl_status tl_read_table_symbols(tl_engine *engine, tl_sources *sources, tl_store *lake, const tl_dataset *dataset,
                                tl_symbols *out, tl_error *err);
/* Appends CREATE OR REPLACE TEMP VIEW of the dataset. */
tl_status tl_read_table_view(tl_sources *sources, tl_store *lake, const tl_dataset *dataset, tl_buf *views, tl_error *err);
#endif
