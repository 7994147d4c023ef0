/* ticks_to_bars.h - trades of one symbol, in order, as bars of any interval by the rules of the consolidated tape.
 *
 *   tl_ticks_to_bars_init(&bars, interval, TL_CONDITIONS_SIP, words);
 *   tl_ticks_to_bars_feed(&bars, &trades, begin, end, &out, err);    as often as rows come
 *   tl_ticks_to_bars_flush(&bars, &out, err);                        the symbol ends: its last bar
 *
 * SIP rules (facts of the vendor, in ticks_to_bars.c as a table): a trade may set open and close, high and low, and
 * count for volume; each of its conditions can take some of that away. Intraday bars go by the minute column, bars of
 * a day and longer by the day column. Bars of several minutes or hours are put together from minute bars, of several
 * days, weeks and months from day bars: a minute without a bar adds nothing to its hour.
 * A bar exists only when it has a price, a volume and a vwap other than 0. Trades marked canceled or incorrect are
 * left out, whatever the conditions. TL_CONDITIONS_ALL: every other trade sets everything.
 * Volume: sum of sizes; trade_count: trades that count for volume; vwap: sum of price * size over sum of size, of the
 * trades that count for high/low and volume, summed exactly (price * 1e9 as integer) and rounded half up to six decimals,
 * as the vendor's own bars show it. A trade without a size counts with size 0. Sums beyond int64 (vwap: also a price of
 * 9e9 and more) give NULL.
 * Callers may rely on: the bars depend on the rows only, not on how they are cut into calls; memory is the open bar.
 * Prices must be >= 0 (decoders see to it). Cost: about 10 ns a trade. Not here: what order the rows are in (decode/), bars from the vendor's bars. */
#ifndef TL_SHAPE_TICKS_TO_BARS_H
#define TL_SHAPE_TICKS_TO_BARS_H
#include "batch/batch.h"
#include "batch/words.h"
#include "market/time.h"

typedef enum tl_conditions { TL_CONDITIONS_SIP, TL_CONDITIONS_ALL } tl_conditions;

typedef struct tl_bar_sums { /* a bar under construction */
  uint64_t open, high, low, close; /* bits of doubles >= 0, which order as the doubles do */
  int64_t volume, trade_count;
  int64_t vwap_volume;
  __int128 vwap_e9; /* sum of price * 1e9 * size */
  bool priced, volume_over, vwap_over;
} tl_bar_sums;

typedef struct tl_ticks_to_bars { /* counters may be read, the rest is for ticks_to_bars.c */
  tl_interval interval, base; /* base: the bars the others are put together from; may be the same */
  tl_conditions conditions;
  tl_words *words;
  uint32_t word_a, word_b, word_canceled, word_incorrect;
  uint8_t *rules; /* by code of the conditions: what such a trade may do; 0 is not looked up yet */
  size_t rule_count;
  int64_t base_end_ns, bar_start_ns, bar_end_ns, last_ns; /* meaningful when fed */
  tl_bar_sums base_sums, bar_sums;
  bool fed; /* since the last flush */
  int64_t trades, left_out;             /* fed; canceled or incorrect among them */
  int64_t barless_trades, barless_volume; /* counted for volume in a base interval that made no bar */
} tl_ticks_to_bars;

tl_status tl_ticks_to_bars_init(tl_ticks_to_bars *bars, tl_interval interval, tl_conditions conditions, tl_words *words,
                                tl_error *err); /* words: the pool of the trades; must stay open */
void tl_ticks_to_bars_deinit(tl_ticks_to_bars *bars); /* {0} and twice are fine */

/* Rows [begin, end) of `trades` (TL_TRADES), ascending in time and not before those fed already. Appends the bars that
 * are final to `out` (TL_BARS). TL_ENOMEM, TL_EINTERNAL (rows out of order): then only deinit is left to do. */
tl_status tl_ticks_to_bars_feed(tl_ticks_to_bars *bars, const tl_batch *trades, size_t begin, size_t end, tl_batch *out,
                                tl_error *err);
/* The symbol's rows are over: appends its open bar and is ready for another symbol. Counters go on. */
tl_status tl_ticks_to_bars_flush(tl_ticks_to_bars *bars, tl_batch *out, tl_error *err);

/* All bars that start before this instant have been given; making them again needs no row before it. It is the start
 * of the open bar; INT64_MIN when nothing was fed since the last flush. */
int64_t tl_ticks_to_bars_cut(const tl_ticks_to_bars *bars);
#endif
