/* dataset_table.h - a dataset of a lake as one open table: LAKE/DATASET with a Delta log, an Iceberg log, or both.
 *
 *   equities_1min/  month=2024-01/part-....parquet  _delta_log/  metadata/
 * Columns are symbol and those of market/schema.h in their order, by month(timestamp). Delta keeps the month in a last column
 * `month` that the writer fills; readers of a lake do not see it. Rows lie in files by (symbol, timestamp), ticks by (symbol,
 * timestamp_ns, arrival): the table's property ticklake.sort, arrival being the place in the file.
 * Not here: hive and flat files (table.h), what is done to a table (relation.h). */
#ifndef TL_TABLE_DATASET_TABLE_H
#define TL_TABLE_DATASET_TABLE_H
#include "market/dataset.h"
#include "table/relation.h"
#include "table/table.h"

/* `"symbol", "timestamp", ...` appended; with types: `"symbol" VARCHAR, ...`. */
tl_status tl_dataset_columns(const tl_dataset *dataset, bool types, tl_buf *sql, tl_error *err);
const char *tl_dataset_time_column(const tl_dataset *dataset); /* that rows are found by: timestamp_ns where there is one */

/* TL_ENOTFOUND when the lake has no table of the dataset. */
tl_status tl_dataset_table_open(const char *lake, const tl_dataset *dataset, const tl_relation_options *options,
                                tl_relation **out, tl_error *err);
/* Opens it, made first when it is not there; another process may make it at the same time. */
tl_status tl_dataset_table_make(const char *lake, tl_layout layout, const tl_dataset *dataset,
                                const tl_relation_options *options, tl_relation **out, tl_error *err);

/* Datasets that have a folder with a log, by name; *layout (may be NULL) is that of the first. */
tl_status tl_dataset_tables_list(const char *lake, const tl_settings *settings, tl_table_datasets *out, tl_layout *layout,
                                 tl_error *err);
#endif
