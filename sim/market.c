/* market.c - levels, paths and days: everything above the minute. The rest is minute.c. */
#include "sim/market.h"

#include <pthread.h>
#include <string.h>

#include "base/prng.h"
#include "sim/days.h"
#include "sim/minute.h"

/* A number in [-1, 1] with 20 bits of fraction. */
static int64_t swing(uint64_t h) { return (int64_t)(h >> 43) - (1 << 20); }

/* Value noise: hashed values at multiples of `period`, straight lines between. */
static int64_t noise(uint64_t seed, int64_t day, int64_t period) {
  int64_t cell = sim_floor_div(day, period), in_cell = day - cell * period;
  int64_t a = swing(tl_prng_mix(seed + (uint64_t)cell * UINT64_C(0x9e3779b97f4a7c15)));
  int64_t b = swing(tl_prng_mix(seed + (uint64_t)(cell + 1) * UINT64_C(0x9e3779b97f4a7c15)));
  return a + (b - a) * in_cell / period;
}

/* cents * exp(ppm / 10^6), in integers so that every machine agrees: (1 + x/64)^64. */
static int64_t grow(int64_t cents, int64_t ppm) {
  if (ppm > 2500000) ppm = 2500000;
  if (ppm < -2500000) ppm = -2500000;
  uint64_t x = (uint64_t)((INT64_C(1) << 30) + ppm * (1 << 24) / 1000000); /* 30 bits of fraction */
  for (int i = 0; i < 6; i++) x = (uint64_t)(((unsigned __int128)x * x) >> 30);
  return (int64_t)(((unsigned __int128)(uint64_t)cents * x) >> 30);
}

/* The price around which day trades, in cents of that day's shares. */
static int64_t level_cents(const sim_symbol *s, uint64_t seed, int64_t day, sim_ratio ratio) {
  static const int64_t root2[11] = {1000, 1414, 2000, 2828, 4000, 5657, 8000, 11314, 16000, 22627, 32000};
  int64_t ppm = 0;
  for (int k = 0; k < 11; k++) {
    int64_t n = noise(seed + (uint64_t)k * 7919, day + 1000 * k, INT64_C(1) << k);
    ppm += (n * s->volatility_ppm * root2[k] / 1800) >> 20;
  }
  int64_t cents = grow(s->base_cents, ppm) * ratio.up / ratio.down;
  return cents < 50 ? 50 : cents > 100000000 ? 100000000 : cents;
}

static int64_t shift_ppm(int64_t cents, int64_t ppm, uint64_t h) {
  int64_t moved = cents + ((cents * ppm / 1000000 * swing(h)) >> 20);
  return moved < 20 ? 20 : moved;
}

/* Midpoint displacement between two known ends of the path. */
static void fill_path(int32_t *path, int low, int high, int64_t swing_max, uint64_t seed) {
  if (high - low < 2) return;
  int middle = (low + high) / 2;
  int64_t straight = path[low] + ((int64_t)path[high] - path[low]) * (middle - low) / (high - low);
  int64_t value = straight + ((swing_max * swing(tl_prng_mix(seed + (uint64_t)middle * UINT64_C(0xd1342543de82ef95)))) >> 20);
  path[middle] = (int32_t)(value < (20 << SIM_PATH_SHIFT) ? 20 << SIM_PATH_SHIFT : value);
  int64_t next = swing_max * 46341 >> 16; /* over the root of 2 */
  fill_path(path, low, middle, next, seed);
  fill_path(path, middle, high, next, seed);
}

static void draw_path(sim_day *d, uint64_t company_seed, sim_ratio ratio) {
  const sim_symbol *s = d->symbol;
  int64_t vol = s->volatility_ppm, before = level_cents(s, company_seed, d->day, ratio);
  int64_t after = level_cents(s, company_seed, d->day + 1, ratio);
  uint64_t h = tl_prng_mix(company_seed ^ (uint64_t)d->day * UINT64_C(0xa24baed4963ee407));
  int64_t open = shift_ppm(before, vol / 3, tl_prng_mix(h + 1)), close = shift_ppm(after, vol / 8, tl_prng_mix(h + 2));
  int64_t range = (open * vol / 1000000 << SIM_PATH_SHIFT) / 2;
  int end = d->minutes;
  d->path[0] = (int32_t)(shift_ppm(before, vol / 6, tl_prng_mix(h + 3)) << SIM_PATH_SHIFT);
  d->path[SIM_OPEN_MINUTE] = (int32_t)(open << SIM_PATH_SHIFT);
  d->path[d->close_minute] = (int32_t)(close << SIM_PATH_SHIFT);
  d->path[end] = (int32_t)(shift_ppm(close, vol / 6, tl_prng_mix(h + 4)) << SIM_PATH_SHIFT);
  fill_path(d->path, 0, SIM_OPEN_MINUTE, range / 3, h + 11);
  fill_path(d->path, SIM_OPEN_MINUTE, d->close_minute, range, h + 12);
  fill_path(d->path, d->close_minute, end, range / 4, h + 13);
  d->move_cents = 1 + open * vol / 1000000 / 24;
}

/* How busy each minute is: U-shaped with long thin wings; the weights of a day sum to about 2^32. */
static uint32_t weights[2][SIM_MINUTES];
static pthread_once_t weights_once = PTHREAD_ONCE_INIT;

static uint64_t raw_weight(int minute, int close) {
  if (minute < SIM_OPEN_MINUTE) return 60 + (uint64_t)minute * 140 / SIM_OPEN_MINUTE + (minute >= 240 ? 120u : 0u);
  if (minute >= close) return minute - close < 10 ? 700 : minute - close < 60 ? 220 : 110;
  int64_t x = (2 * (minute - SIM_OPEN_MINUTE) - (close - SIM_OPEN_MINUTE)) * INT64_C(1000) / (close - SIM_OPEN_MINUTE);
  int64_t square = x * x / 1000;
  return (uint64_t)(1400 + 3600 * square / 1000 * square / 1000);
}

static void fill_weights(void) {
  for (int half = 0; half < 2; half++) {
    int close = half ? 540 : 720, end = half ? 780 : 960;
    uint64_t sum = 0;
    for (int m = 0; m < end; m++) sum += raw_weight(m, close);
    for (int m = 0; m < end; m++) weights[half][m] = (uint32_t)((raw_weight(m, close) << 32) / sum);
  }
}

uint32_t sim_minute_weight(const sim_day *d, int32_t minute) { return weights[d->close_minute == 540][minute]; }

/* Rows of a day in 1/65536. Of 8 rows 7 fall into the regular session's 23,400 seconds (bursts included). */
static uint64_t day_rate(uint32_t per_second, uint64_t per_day, uint32_t density_e3) {
  uint64_t rows = per_second ? (uint64_t)per_second * 23400 * 8 / 7 : per_day;
  rows = rows * density_e3 / 1000;
  return rows << 16;
}

static void add_special(sim_day *d, sim_special special) { /* kept in order of minutes */
  if (d->special_count == SIM_SPECIALS_MAX) return;
  size_t at = d->special_count++;
  for (; at > 0 && d->specials[at - 1].minute > special.minute; at--) d->specials[at] = d->specials[at - 1];
  d->specials[at] = special;
}

static void add_auctions(sim_day *d, uint64_t trades, uint64_t h) {
  uint32_t shares = (uint32_t)(trades > 10000000 ? 10000000 : trades) * 2;
  uint32_t opening = 100 + shares + (uint32_t)(h % (shares + 1)), closing = 300 + 4 * shares + (uint32_t)(h >> 20 & 0xffff) % (2 * shares + 1);
  int64_t open = d->path[SIM_OPEN_MINUTE] >> SIM_PATH_SHIFT, close = d->path[d->close_minute] >> SIM_PATH_SHIFT;
  uint32_t at = 20000 + (uint32_t)(h >> 40 & 0xfffff) % 900000, close_at = 30000 + (uint32_t)(h >> 30 & 0xfffff) % 800000;
  char x = d->symbol->exchange;
  add_special(d, (sim_special){SIM_OPEN_MINUTE, at, open, opening, SIM_FULL, SIM_PLAIN, "OX", x});
  add_special(d, (sim_special){SIM_OPEN_MINUTE, at + 55, open, opening, SIM_NOTHING, SIM_PLAIN, "Q", x});
  add_special(d, (sim_special){d->close_minute, close_at, close, closing, SIM_FULL, SIM_PLAIN, "6X", x});
  add_special(d, (sim_special){d->close_minute, close_at + 91, close, closing, SIM_NOTHING, SIM_PLAIN, "M", x});
}

/* Late prints (they may mark the day's high or low), a corrected close, prints that were taken back. */
static void add_oddities(sim_day *d, uint64_t h) {
  static const char *const late[4] = {"Z", "P", "4", "G"};
  int regular = d->close_minute - SIM_OPEN_MINUTE - 2;
  for (uint64_t k = 0; k < (h & 3); k++) {
    uint64_t r = tl_prng_mix(h + 101 + k);
    int32_t m = SIM_OPEN_MINUTE + 1 + (int32_t)(r % (uint64_t)regular);
    int64_t base = d->path[m] >> SIM_PATH_SHIFT, reach = d->move_cents * 12;
    int64_t cents = base + ((reach * swing(tl_prng_mix(r))) >> 20);
    sim_special s = {m, (uint32_t)(r >> 20) % 60000000, cents < 10 ? 10 : cents, 100 + 100 * (uint32_t)(r >> 50 & 7),
                     SIM_LATE, SIM_PLAIN, "", 'D'};
    s.conditions[0] = late[r >> 60 & 3][0];
    add_special(d, s);
  }
  for (uint64_t k = 0; k < (h >> 2 & 3); k++) {
    uint64_t r = tl_prng_mix(h + 201 + k);
    int32_t m = SIM_OPEN_MINUTE + 1 + (int32_t)(r % (uint64_t)regular);
    int64_t wild = (d->path[m] >> SIM_PATH_SHIFT) * (80 + (int64_t)(r >> 40 & 63)) / 100;
    add_special(d, (sim_special){m, (uint32_t)(r >> 20) % 60000000, wild < 1 ? 1 : wild, 100 + (uint32_t)(r >> 50 & 1023), SIM_NOTHING,
                                 r >> 63 ? SIM_CANCELED : SIM_INCORRECT, "", 'P'});
  }
  if ((h >> 4 & 63) == 0) {
    int64_t close = d->path[d->close_minute] >> SIM_PATH_SHIFT;
    int64_t corrected = close + d->move_cents * ((int64_t)(h >> 10 & 7) - 3);
    add_special(d, (sim_special){d->close_minute + 8, (uint32_t)(h >> 20) % 60000000, corrected < 1 ? 1 : corrected, 100, SIM_PRICE,
                                 SIM_PLAIN, "9", d->symbol->exchange});
  }
}

bool sim_day_open(const sim_world *world, const sim_symbol *symbol, sim_feed feed, int64_t day, sim_day *out) {
  sim_session session = sim_day_session(day);
  if (session == SIM_CLOSED || day < symbol->first_day || day > symbol->last_day || feed == SIM_FEED_EMPTY) return false;
  pthread_once(&weights_once, fill_weights);
  uint64_t company_seed = tl_prng_mix(symbol->hash + tl_prng_mix(world->seed));
  out->symbol = symbol;
  out->world = world;
  out->feed = feed;
  out->day = day;
  out->start_ns = sim_day_start_ns(day);
  out->hash = tl_prng_mix(company_seed + (uint64_t)day * UINT64_C(0x2545f4914f6cdd1d) + (feed == SIM_FEED_IEX));
  out->first_minute = 0;
  out->close_minute = session == SIM_HALF ? 540 : 720;
  out->minutes = session == SIM_HALF ? 780 : 960;
  out->special_count = 0;
  draw_path(out, company_seed, sim_symbol_ratio(symbol, day));
  uint64_t h = tl_prng_mix(out->hash + 5), trades = symbol->trades_per_day;
  trades = trades * (650 + (h & 511) + ((h >> 9 & 31) == 0 ? 1500u : 0u)) / 1000; /* some days are twice as busy */
  if (feed == SIM_FEED_IEX) trades = (trades + 29) / 30;
  out->trade_rate = day_rate(world->trades_per_second, trades, world->trade_density_e3);
  out->quote_rate = day_rate(world->quotes_per_second, symbol->habit == SIM_NEVER_QUOTED ? trades : trades * 9, world->quote_density_e3);
  if (symbol->habit == SIM_ODD_LOTS_ONLY) return true;
  if (trades >= 400) {
    add_auctions(out, trades, tl_prng_mix(out->hash + 6));
    add_oddities(out, tl_prng_mix(out->hash + 7));
  } else if ((h >> 32 & 15) == 0) { /* the first print of the day is one sold out of sequence: it is open and close too */
    out->first_minute = SIM_OPEN_MINUTE;
    add_special(out, (sim_special){SIM_OPEN_MINUTE, 500000, out->path[SIM_OPEN_MINUTE] >> SIM_PATH_SHIFT, 200, SIM_LATE, SIM_PLAIN, "Z", 'D'});
  }
  return true;
}

static void take_price(sim_bar *b, int64_t cents) {
  if (!b->o) b->o = b->h = b->l = cents;
  if (cents > b->h) b->h = cents;
  if (cents < b->l) b->l = cents;
  b->c = cents;
}

/* One special print in the day's column. Late ones set open and close only when nothing did before. */
static void take_special(sim_bar *b, const sim_special *s) {
  if (s->effect == SIM_NOTHING) return;
  if (s->effect == SIM_LATE) {
    int64_t close = b->o ? b->c : s->cents;
    take_price(b, s->cents);
    b->c = close;
  } else if (s->effect != SIM_VOLUME) {
    take_price(b, s->cents);
  }
  if (s->effect == SIM_PRICE) return;
  b->v += s->size;
  b->n++;
  if (s->effect == SIM_VOLUME) return;
  b->notional += s->cents * s->size;
  b->notional_v += s->size;
}

/* Specials of a minute come before or after its pairs as far as open and close care: auctions and a first print come
 * in the two seconds the minute leaves free for them; the other late prints never set a close. */
bool sim_day_bar(const sim_day *d, sim_bar *out) {
  sim_bar b = {.t_ns = sim_day_midnight_ns(d->day)};
  size_t next = 0;
  for (int32_t m = d->first_minute; m < d->minutes; m++) {
    for (; next < d->special_count && d->specials[next].minute == m; next++) take_special(&b, &d->specials[next]);
    sim_minute minute;
    bool regular = m >= SIM_OPEN_MINUTE && m < d->close_minute;
    if (!sim_minute_draw(d, m, regular, &minute)) continue;
    b.v += minute.full_v + minute.side_v;
    b.n += minute.full + minute.side;
    if (!minute.full || !regular) continue;
    int64_t close = minute.c;
    take_price(&b, minute.o);
    take_price(&b, minute.h);
    take_price(&b, minute.l);
    b.c = close;
    b.notional += minute.notional;
    b.notional_v += minute.full_v;
  }
  *out = b;
  return b.o > 0 && b.n > 0 && b.v > 0 && b.notional_v > 0;
}
