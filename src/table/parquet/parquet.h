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
#endif
