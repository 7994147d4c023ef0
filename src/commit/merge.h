/* merge.h - new rows of one file merged into the stream of its old ones, on the way to the encoder.
 * Both sides ascend in time. Runs of rows go to the encoder without being copied. Pure but for the encoder's sink. */
#ifndef TL_COMMIT_MERGE_H
#define TL_COMMIT_MERGE_H
#include "batch/batch.h"
#include "market/time.h"
#include "parquet/writer.h"

typedef struct tl_slice { /* rows [begin, end) of a piece that belong into one file */
  const tl_batch *rows;
  size_t begin, end;
  tl_range range; /* of the piece */
} tl_slice;

typedef struct tl_merge { /* slices by time; their ranges disjoint */
  tl_parquet *writer;
  const tl_slice *slices;
  size_t slice_count;
  bool by_range;      /* old rows inside a slice's range are replaced; else old rows of equal time */
  size_t slice, row;  /* next new row; start at slice 0, row slices[0].begin */
  size_t range;       /* first slice whose range ends after the old row at hand */
  int64_t unchanged;  /* old rows that a new one equals */
  int64_t removed;    /* old rows in a replaced range without an equal new one */
} tl_merge;

tl_merge tl_merge_of(tl_parquet *writer, const tl_slice *slices, size_t count, bool by_range);
tl_status tl_merge_old(void *merge, const tl_batch *old, tl_error *err); /* a tl_scan.rows callback */
tl_status tl_merge_finish(tl_merge *merge, tl_error *err);               /* writes the new rows that are left */
#endif
