/* minute.h - one minute in closed form; private to market.c and minute.c. */
#ifndef TL_SIM_MINUTE_H
#define TL_SIM_MINUTE_H
#include "sim/market.h"

typedef struct sim_minute {
  uint64_t hash;
  bool extended; /* every trade carries T */
  int64_t full;  /* trades that may do everything */
  int64_t side;  /* trades for volume only */
  int64_t o, h, l, c, middle, reach; /* cents; pairs lie within middle +- reach */
  int64_t edge_size;                 /* of the trades that mark o, c, h, l */
  int64_t block_size, pair_size;     /* of one trade at the middle, and the mean of the pairs */
  int64_t block_side;                /* size of a volume-only round lot; 0 when there is none */
  int64_t full_v, side_v, notional;
} sim_minute;

uint32_t sim_minute_weight(const sim_day *d, int32_t minute); /* share of the day, 2^32 is all */
/* False: no ordinary trade. Without prices they and the notional are 0: half the work, for a minute whose volume is all
 * that counts. */
bool sim_minute_draw(const sim_day *d, int32_t minute, bool with_prices, sim_minute *out);
#endif
