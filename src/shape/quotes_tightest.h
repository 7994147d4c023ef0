/* quotes_tightest.h - quotes of one symbol, in order, as the tightest quote of each second.
 *
 * A quote is two-sided when both prices are there and above 0, and uncrossed when ask >= bid (a locked one has spread
 * 0). Of a second's two-sided, uncrossed quotes the one with the smallest spread is kept; of equal spreads the latest
 * in (timestamp_ns, arrival). A second without any keeps its latest quote, with spread NULL. quote_count counts all
 * quotes of the second. The spread is the exact decimal difference (of prices as integers * 1e9). A price of 9e9 and more
 * is taken for none.
 * Callers may rely on: the rows depend on the quotes only, not on how they are cut into calls; memory is one row.
 * Cost: about 5 ns a quote. Not here: the order of the rows (decode/). */
#ifndef TL_SHAPE_QUOTES_TIGHTEST_H
#define TL_SHAPE_QUOTES_TIGHTEST_H
#include "batch/batch.h"
#include "market/time.h"

typedef struct tl_quotes_tightest { /* {0} is ready */
  bool open;          /* a second is */
  bool fresh;         /* the second's best quote is row `best_row` of the batch being fed, not yet in `best` */
  size_t best_row;
  int64_t second_ns, last_ns, best_spread_e9, quote_count; /* best_spread_e9 INT64_MAX: none is two-sided */
  tl_batch best;      /* one row, TL_QUOTES */
  int64_t quotes;     /* fed; for the caller to read */
} tl_quotes_tightest;

void tl_quotes_tightest_deinit(tl_quotes_tightest *tightest); /* {0} and twice are fine */

/* Rows [begin, end) of `quotes` (TL_QUOTES), ascending in time and not before those fed already. Appends the seconds
 * that are final to `out` (TL_QUOTES_1S). TL_ENOMEM, TL_EINTERNAL (rows out of order): then only deinit is left. */
tl_status tl_quotes_tightest_feed(tl_quotes_tightest *tightest, const tl_batch *quotes, size_t begin, size_t end,
                                  tl_batch *out, tl_error *err);
/* The symbol's rows are over: appends its open second and is ready for another symbol. */
tl_status tl_quotes_tightest_flush(tl_quotes_tightest *tightest, tl_batch *out, tl_error *err);
/* As tl_ticks_to_bars_cut: the start of the open second, INT64_MIN when there is none. */
int64_t tl_quotes_tightest_cut(const tl_quotes_tightest *tightest);
#endif
