/* parquet.h - what path.c and list.c share: the parts of a path, each read on its own. */
#ifndef TL_TABLE_PARQUET_PARQUET_H
#define TL_TABLE_PARQUET_PARQUET_H
#include "table/table.h"

/* "equities_1min" or "bars/1m" and no other spelling of it. */
bool tl_parquet_dataset_folder(tl_layout layout, const char *folder, tl_dataset *out);
bool tl_parquet_year_folder(const char *name, int *year);    /* year=2024 */
bool tl_parquet_month_folder(const char *name, int *month);  /* month=01, month=1 */
bool tl_parquet_data_name(const char *name);                 /* *.parquet that no reader takes for hidden */
tl_range tl_parquet_period(int year, int month);             /* month 0: the year */
tl_status tl_parquet_symbol_folder(const char *name, tl_buf *symbol, tl_error *err); /* TL_ENOTFOUND when it is none */
tl_status tl_parquet_flat_name(const char *name, tl_buf *symbol, tl_range *period, tl_error *err); /* likewise */
/* Fills *out; on failure it holds nothing. */
tl_status tl_parquet_file(tl_layout layout, const tl_dataset *dataset, const char *symbol, tl_range period,
                          const char *path, tl_table_file *out, tl_error *err);

tl_status tl_parquet_room(tl_table_files *files, tl_table_file **next, tl_error *err); /* for one more, not counted yet */

/* list_objects.c: what list.c gives, from the keys of a store. Any store: a folder too, for tests. Not sorted. */
tl_status tl_parquet_list_objects(tl_store *lake, tl_layout layout, const tl_dataset *dataset, const char *symbol,
                                  const tl_range *range, tl_table_files *out, tl_error *err);
tl_status tl_parquet_has_object(tl_store *lake, tl_layout layout, const tl_dataset *dataset, const char *symbol, bool *found,
                                tl_error *err);
tl_status tl_parquet_symbols_of_objects(tl_store *lake, tl_layout layout, const tl_dataset *dataset, tl_symbols *out, tl_error *err);
/* prefix "" or "bars/": datasets whose folder's name goes on from there. */
tl_status tl_parquet_datasets_of_objects(tl_store *lake, tl_layout layout, const char *prefix, tl_table_datasets *out, tl_error *err);
#endif
