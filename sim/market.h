/* market.h - a market that is a pure function of (seed, symbol, time), drawn from the top.
 *
 *   level   a price for every day, from noise of many periods: O(1)
 *   day     open, close, a path through its minutes, auctions and odd prints: O(minutes). Its bar adds the minutes'
 *           closed forms up; no trade is drawn for it
 *   minute  counts, prices, volume and notional in closed form: O(1). Trades come in mirrored pairs around the
 *           minute's middle, so that their sums are known before any of them is drawn
 *   trades, quotes   drawn a minute at a time; they realise the minute's values exactly
 *
 * Nothing is remembered: a sim_day is all the state, and whoever asks again gets the same. Money is integer cents
 * (prints that may not set a price have four decimals). */
#ifndef TL_SIM_MARKET_H
#define TL_SIM_MARKET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/universe.h"

#define SIM_MINUTES 960 /* 04:00 to 20:00 New York */
#define SIM_OPEN_MINUTE 330
#define SIM_PATH_SHIFT 4
enum { SIM_SPECIALS_MAX = 14, SIM_CONDITIONS_MAX = 4 };

typedef struct sim_world { /* the knobs; fixed for a process */
  uint64_t seed;
  uint32_t trade_density_e3, quote_density_e3;      /* times trades and quotes, in thousandths */
  uint32_t trades_per_second, quotes_per_second;    /* 0: by symbol; else the mean over the regular session */
} sim_world;

typedef enum sim_feed { SIM_FEED_SIP, SIM_FEED_IEX, SIM_FEED_EMPTY } sim_feed;

/* What a trade's conditions let it do, in the minute's and the day's column of the vendor's rules. */
typedef enum sim_effect {
  SIM_FULL,    /* price and volume in both */
  SIM_VOLUME,  /* volume only in both */
  SIM_LATE,    /* P 4 Z G: volume in the minute; high, low and volume in the day, open and close when first */
  SIM_PRICE,   /* 9: nothing in the minute; price without volume in the day */
  SIM_NOTHING, /* M Q, canceled and incorrect trades */
} sim_effect;

typedef enum sim_update { SIM_PLAIN, SIM_CANCELED, SIM_INCORRECT, SIM_CORRECTED } sim_update;

typedef struct sim_special { /* a print the day decides on */
  int32_t minute;
  uint32_t offset_us; /* microseconds within the minute */
  int64_t cents;
  uint32_t size;
  sim_effect effect;
  sim_update update;
  char conditions[SIM_CONDITIONS_MAX]; /* after the tape's "regular" mark; NUL ends */
  char exchange;
} sim_special;

typedef struct sim_day {
  const sim_symbol *symbol;
  const sim_world *world;
  int64_t day, start_ns; /* start: 04:00 New York */
  uint64_t hash;         /* of seed, company, day and feed */
  int32_t first_minute, close_minute, minutes;
  uint64_t trade_rate, quote_rate; /* a minute's expected count is weight * rate >> 32 in 1/65536 */
  sim_feed feed;
  int64_t move_cents; /* a minute's typical move */
  int32_t path[SIM_MINUTES + 1]; /* price at the start of each minute, cents << SIM_PATH_SHIFT */
  sim_special specials[SIM_SPECIALS_MAX]; /* in order of minutes */
  size_t special_count;

} sim_day;

typedef struct sim_bar { /* n > 0 and o > 0, or it is no bar */
  int64_t t_ns, o, h, l, c; /* cents */
  int64_t v, n;
  int64_t notional, notional_v; /* over trades that update both high/low and volume: vw = notional / notional_v */
} sim_bar;

typedef struct sim_trade {
  int64_t t_ns, price_e4;
  uint64_t id;
  uint32_t size;
  char exchange;
  char conditions[SIM_CONDITIONS_MAX + 1]; /* NUL ends */
  unsigned char update;                    /* sim_update */
} sim_trade;

typedef struct sim_quote {
  int64_t t_ns;
  uint32_t bid_cents, ask_cents, bid_size, ask_size; /* sizes in round lots before 2025-11-03, shares since */
  char bid_exchange, ask_exchange;
  char conditions[3]; /* NUL ends */
} sim_quote;

/* False when the symbol has no market that day. *out borrows symbol and world. */
bool sim_day_open(const sim_world *world, const sim_symbol *symbol, sim_feed feed, int64_t day, sim_day *out);

/* Minutes count from 04:00. False when the minute has no bar. */
bool sim_minute_bar(const sim_day *day, int32_t minute, sim_bar *out);
bool sim_day_bar(const sim_day *day, sim_bar *out); /* by the day column; t_ns is midnight New York */

/* An upper bound of the rows of a minute, then the rows, in time order. Returns how many. */
size_t sim_minute_trades_max(const sim_day *day, int32_t minute);
size_t sim_minute_trades(const sim_day *day, int32_t minute, sim_trade *out);
size_t sim_minute_quotes_max(const sim_day *day, int32_t minute);
size_t sim_minute_quotes(const sim_day *day, int32_t minute, sim_quote *out);
#endif
