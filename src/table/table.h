/* table.h - where the rows of a lake lie: (dataset, symbol, time) <-> relative path, and what is there.
 *
 *   hive   equities_1min/symbol=AAPL/year=2024/month=01/data.parquet     symbol in the path only
 *   flat   bars/1m/AAPL.2024-11.parquet   bars/1d/AAPL.2024.parquet      symbol also a column
 *          quotes/ (one per second)  trades/  raw_quotes/
 * Year and month are those of the UTC timestamp. Symbols are escaped by market/symbol.h: a path never leaves the lake
 * and gives the symbol back. Foreign spellings are found too: month=1, data_0.parquet, several files a month, a symbol
 * spelled raw or with lower-case escapes. Paths are relative to the lake's folder, with / between parts.
 * Cost: pure, or one directory listing per folder visited: symbol, year and month folders outside the request are not
 * opened. On an object store one LIST of 1000 keys after the other, of the symbol's or the dataset's. Thread-safe. Paths, periods and lists are of hive and flat; an open table's log knows its files.
 * Not here: tables with a log (relation.h), reading the rows (engine), the ledger. */
#ifndef TL_TABLE_TABLE_H
#define TL_TABLE_TABLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "market/dataset.h"
#include "market/symbol.h"
#include "market/time.h"
#include "store/store.h"

typedef enum tl_layout {
  TL_LAYOUT_HIVE,
  TL_LAYOUT_FLAT,
  TL_LAYOUT_DELTA,  /* from here on a dataset is one open table (table/relation.h) at LAKE/DATASET */
  TL_LAYOUT_ICEBERG,
  TL_LAYOUT_DELTA_ICEBERG /* one table with both logs */
} tl_layout;
const char *tl_layout_name(tl_layout layout); /* "hive", "flat", "delta", "iceberg", "delta,iceberg": of a table its faces */
bool tl_layout_parse(const char *name, tl_layout *out);
static inline bool tl_layout_is_table(tl_layout layout) { return layout >= TL_LAYOUT_DELTA; }

/* The file that holds an instant covers this UTC month or year; held at the ends of the int64 range. */
tl_range tl_table_period(tl_layout layout, const tl_dataset *dataset, int64_t time_ns);

/* Appends the path of the file that holds the symbol's rows of that instant. TL_EUSAGE for a symbol with no file name. */
tl_status tl_table_path(tl_layout layout, const tl_dataset *dataset, const char *symbol, int64_t time_ns, tl_buf *path,
                        tl_error *err);

typedef struct tl_table_file {
  char *path, *symbol; /* heap; symbol is the true one */
  tl_range period;
  bool canonical;      /* spelled as tl_table_path does: ours, so sorted and with one source */
  int64_t bytes;       /* from the list of an object store; 0 in a folder, which does not tell without a look */
} tl_table_file;
void tl_table_file_deinit(tl_table_file *file);

/* Reads a path back, foreign spellings too. TL_ENOTFOUND when it is no data file of this layout; *dataset is set by
 * the folder it lies in. */
tl_status tl_table_parse(tl_layout layout, const char *path, tl_dataset *dataset, tl_table_file *out, tl_error *err);

typedef struct tl_table_files { /* by symbol (byte order), then period, then path */
  tl_table_file *items;
  size_t count, capacity;
} tl_table_files;

/* Files of a dataset: of one symbol or all (NULL), whose period overlaps range (NULL: all). A lake or dataset that
 * is not there has none. Adds to *out, which the caller deinits, also after a failure. */
tl_status tl_table_list(tl_store *lake, tl_layout layout, const tl_dataset *dataset, const char *symbol,
                        const tl_range *range, tl_table_files *out, tl_error *err);
void tl_table_files_deinit(tl_table_files *files);

/* Is there any file: of one symbol or any (NULL). Stops at the first. */
tl_status tl_table_has(tl_store *lake, tl_layout layout, const tl_dataset *dataset, const char *symbol, bool *found,
                       tl_error *err);

/* Symbols that have files, in byte order. */
tl_status tl_table_symbols(tl_store *lake, tl_layout layout, const tl_dataset *dataset, tl_symbols *out, tl_error *err);

typedef struct tl_table_datasets {
  tl_dataset *items;
  size_t count, capacity;
} tl_table_datasets;
/* Datasets that have a folder, by name. */
tl_status tl_table_datasets_list(tl_store *lake, tl_layout layout, tl_table_datasets *out, tl_error *err);
tl_status tl_table_datasets_add(tl_table_datasets *datasets, const tl_dataset *dataset, tl_error *err);
void tl_table_datasets_deinit(tl_table_datasets *datasets);

/* Which layout a folder written by anyone has: the one with data files. TL_ENOTFOUND when neither has any. */
tl_status tl_table_detect(tl_store *lake, tl_layout *out, tl_error *err);
#endif
