/* batch.h - rows of ONE kind as columns in memory: what DECODE gives, SHAPE turns, COMMIT writes.
 *
 * Columns are those of market/schema.h without the symbol: which rows belong to which symbol is said by runs beside
 * the batch. TL_TIME, TL_I64: int64_t. TL_F64: double. TL_WORD, TL_WORDS: uint32_t codes of one tl_words pool.
 * A nullable column has a validity bitmap in Arrow order (bit set = value present); new rows are valid.
 * Reserve may fail and then changes nothing; writing reserved rows cannot fail. Not thread-safe. */
#ifndef TL_BATCH_BATCH_H
#define TL_BATCH_BATCH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/status.h"
#include "market/schema.h"

typedef struct tl_column {
  union {
    void *data;
    int64_t *i64;
    double *f64;
    uint32_t *word;
  };
  uint8_t *valid; /* NULL for a column that is not nullable */
} tl_column;

typedef struct tl_batch {
  const tl_kind_def *def; /* NULL until init */
  size_t rows, rows_max;
  tl_column columns[TL_COLUMNS_MAX];
} tl_batch;

/* One stretch of rows with one symbol; text is borrowed from whoever made the runs. */
typedef struct tl_run {
  const char *symbol;
  size_t begin, end; /* rows [begin, end) */
} tl_run;

void tl_batch_init(tl_batch *batch, tl_kind kind); /* no memory yet */
void tl_batch_deinit(tl_batch *batch);             /* {0} and twice are fine */
void tl_batch_clear(tl_batch *batch);              /* rows 0, memory kept */
tl_status tl_batch_reserve(tl_batch *batch, size_t extra_rows, tl_error *err);
tl_status tl_batch_append(tl_batch *to, const tl_batch *from, size_t begin, size_t end, tl_error *err);
void tl_batch_move(tl_batch *from, tl_batch *to); /* *to (deinit'ed first) owns the columns; *from is empty, same kind */
void tl_batch_drop_head(tl_batch *batch, size_t rows); /* the rows after it move to the front */
size_t tl_batch_bytes(const tl_batch *batch);          /* memory held by the columns */
size_t tl_kind_row_bytes(tl_kind kind);                /* memory one row takes */

/* Rows in ascending time, equal times in the order they came (stable); no work when they are already. */
tl_status tl_batch_sort(tl_batch *batch, tl_error *err);
/* First row in [begin, end) with time >= at_ns, else end. The rows must be sorted. */
size_t tl_batch_lower_bound(const tl_batch *batch, size_t begin, size_t end, int64_t at_ns);
/* Rows a of `x` and b of `y` hold the same values and NULLs in every column (same pool of words). */
bool tl_batch_rows_equal(const tl_batch *x, size_t a, const tl_batch *y, size_t b);

static inline bool tl_column_valid(const tl_column *c, size_t row) {
  return !c->valid || (((unsigned)c->valid[row >> 3] >> (row & 7u)) & 1u);
}
static inline void tl_column_set_null(tl_column *c, size_t row) {
  c->valid[row >> 3] = (uint8_t)(c->valid[row >> 3] & ~(1u << (row & 7u)));
}
static inline int64_t *tl_batch_times(const tl_batch *b) { return b->columns[0].i64; } /* ns since epoch, UTC */
#endif
