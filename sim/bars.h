/* bars.h - bars of any timeframe from minutes and days, adjusted as the vendor adjusts.
 * Longer intraday bars come from minute bars, weeks and months from day bars. A bar is shown once its time is over. */
#ifndef TL_SIM_BARS_H
#define TL_SIM_BARS_H
#include "base/status.h"
#include "sim/market.h"

typedef enum sim_unit { SIM_BY_MINUTE, SIM_BY_DAY, SIM_BY_WEEK, SIM_BY_MONTH } sim_unit;
typedef struct sim_timeframe {
  sim_unit unit;
  int32_t count; /* minutes or months; 1 for days and weeks */
} sim_timeframe;

/* [1-59]Min|T, [1-23]Hour|H, 1Day|D, 1Week|W, [1,2,3,4,6,12]Month|M; case-sensitive. */
bool sim_timeframe_parse(const char *text, size_t len, sim_timeframe *out);

typedef struct sim_row { /* a bar as it is written */
  int64_t t_ns;
  uint64_t o, h, l, c; /* cents */
  uint64_t v, n, vw;
  int vw_scale; /* vw / 10^vw_scale dollars */
} sim_row;

typedef struct sim_factor { /* dividends: prices of days before `ex_day` times value / 2^40 */
  int64_t ex_day, value;
} sim_factor;
enum { SIM_FACTORS_MAX = 64 };

typedef struct sim_bars { /* what is asked of one symbol */
  const sim_world *world;
  const sim_symbol *symbol;
  sim_feed feed;
  sim_timeframe timeframe;
  bool split, dividend, descending;
  int64_t from_ns, to_ns, now_ns; /* bars with from <= t <= to that are over by now */
  sim_factor factors[SIM_FACTORS_MAX]; /* filled by sim_bars_walk */
  size_t factor_count;
} sim_bars;

/* Calls sink for every bar in order until it answers false. */
typedef bool (*sim_bar_sink)(void *state, const sim_row *row);
void sim_bars_walk(sim_bars *bars, sim_bar_sink sink, void *state);
#endif
