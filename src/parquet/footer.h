/* footer.h - what a Parquet file says about itself: schema, row groups, statistics.
 *
 * Callers may rely on: no time, host or random value in it, so equal files have equal footers. Every column is
 * OPTIONAL, so the schema stays the same when a provider starts to leave a value out. Field numbers are those of
 * parquet.thrift (format 2.10). Cost: about 100 bytes a column and row group. Not here: pages. */
#ifndef TL_PARQUET_FOOTER_H
#define TL_PARQUET_FOOTER_H
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "market/schema.h"

typedef enum tl_leaf_kind { TL_LEAF_TIME_US, TL_LEAF_I64, TL_LEAF_F64, TL_LEAF_TEXT, TL_LEAF_LIST } tl_leaf_kind;

typedef struct tl_leaf { /* a column as written */
  const char *name;
  tl_leaf_kind kind;
  int column; /* of the batch; -1 for the symbol */
  bool is_ns; /* the time once more, as it is in memory */
} tl_leaf;

enum { TL_LEAVES_MAX = TL_COLUMNS_MAX + 2 }; /* symbol and timestamp_ns */
enum { TL_ENCODING_PLAIN = 0, TL_ENCODING_RLE = 3, TL_ENCODING_DELTA = 5, TL_ENCODING_DICTIONARY = 8 };

typedef struct tl_chunk {     /* one column of one row group */
  int encoding;               /* of the data pages */
  int64_t entries;            /* rows, or list items with one for each NULL or empty list */
  int64_t null_count;         /* of the rows */
  int64_t offset;             /* of the first page, the dictionary when there is one */
  int64_t data_offset;        /* of the first data page */
  int64_t plain_bytes, bytes; /* of all pages with their headers, before and after compression */
  bool has_bounds;
  bool unsound;               /* it holds a NaN: nothing can be said about bounds */
  uint64_t bound_bits[2];     /* min, max of a number */
  tl_text min, max;           /* as PLAIN: of bound_bits or borrowed */
} tl_chunk;

/* Appends one RowGroup. `sorted_leaf` is the leaf its rows ascend by, -1 for none. */
tl_status tl_footer_add_group(tl_buf *groups, const tl_leaf *leaves, const tl_chunk *chunks, size_t leaf_count, int64_t rows,
                              int sorted_leaf, tl_error *err);
/* Appends the footer, its length and the closing magic. */
tl_status tl_footer_end(tl_buf *out, const tl_leaf *leaves, size_t leaf_count, int64_t rows, const tl_buf *groups,
                        size_t group_count, tl_error *err);
#endif
