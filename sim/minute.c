/* minute.c - the closed form of a minute, its bar, and the trades and quotes that realise it.
 *
 * The n trades that may set prices are: the first at o, the last at c, one at h and one at l in between (as far as n
 * reaches), one block at the middle, the rest in fours: (middle + a, middle - a) of size s + e and (middle + b,
 * middle - b) of size s - e. So volume and notional need no sum over trades. Odd lots come in twos of s and 100 - s. */
#include "sim/minute.h"

#include <string.h>

#include "base/prng.h"
#include "sim/days.h"

/* A count with mean weight * rate >> 32 (rate in 1/65536): bursty, and fair where the mean is below one. */
static int64_t draw_count(uint32_t weight, uint64_t rate, uint64_t h) { /* of the lowest 32 bits of h */
  uint64_t mean = (uint64_t)(((unsigned __int128)weight * rate) >> 32);
  uint64_t burst = 400 + (h & 1023) + ((h >> 10 & 31) == 0 ? 1500u : 0u);
  return (int64_t)((mean * burst / 1000 + (h >> 16 & 0xffff)) >> 16);
}

/* A number in [0, bound) from 16 bits of h, without a division. */
static int64_t pick(uint64_t h, int64_t bound) { return (int64_t)(((h & 0xffff) * (uint64_t)bound) >> 16); }

static void draw_prices(const sim_day *d, int32_t m, sim_minute *out) {
  uint64_t h = tl_prng_mix(out->hash + 3);
  int64_t a = d->path[m] >> SIM_PATH_SHIFT, b = d->path[m + 1] >> SIM_PATH_SHIFT, jitter = d->symbol->spread_cents;
  int64_t move = d->move_cents;
  out->o = a + pick(h, 2 * jitter + 1) - jitter;
  out->c = b + pick(h >> 16, 2 * jitter + 1) - jitter;
  if (out->o < 10) out->o = 10;
  if (out->c < 10) out->c = 10;
  if (out->full == 1) out->c = out->o;
  int64_t high = out->o > out->c ? out->o : out->c, low = out->o + out->c - high;
  int64_t up = pick(h >> 32, move + 1), down = pick(h >> 44, move + 1);
  out->middle = (out->o + out->c) / 2;
  bool marks_high = out->full > 3 || (out->full == 3 && (h >> 60 & 1)), marks_low = out->full > 3 || (out->full == 3 && !marks_high);
  out->h = marks_high ? high + up : high;
  out->l = marks_low ? (low - down < 5 ? 5 : low - down) : low;
  if (out->l > low) out->l = low;
  int64_t above = out->h - out->middle, below = out->middle - out->l;
  out->reach = above < below ? above : below;
}

static void draw_sizes(const sim_day *d, sim_minute *out) {
  uint64_t h = tl_prng_mix(out->hash + 4);
  out->edge_size = 100 * (1 + (int64_t)(h & 1) + (int64_t)(h >> 1 & 1));
  out->pair_size = 100 * (1 + (int64_t)(h >> 2 & 3)) + ((h >> 4 & 3) == 0 ? (int64_t)(h >> 6 & 63) : 0);
  uint64_t kind = h >> 12 & 1023;
  out->block_size = 100 * (1 + (int64_t)(h >> 22 & 3));
  if (kind < 100) out->block_size = 100 * (5 + (int64_t)(h >> 24 & 63));
  if (kind == 1000) out->block_size = 10000 + (int64_t)(h >> 24 & 65535);
  out->block_side = out->side > 0 && (h >> 44 & 15) == 0 && d->symbol->habit != SIM_ODD_LOTS_ONLY ? 100 + 100 * (int64_t)(h >> 50 & 15) : 0;
}

/* What the trades that may set prices add up to. */
static void add_up_full(sim_minute *out) {
  int64_t edges = out->full < 4 ? out->full : 4, sum = out->full == 1 ? out->o : out->o + out->c;
  if (out->full == 3) sum += out->h > (out->o > out->c ? out->o : out->c) ? out->h : out->l;
  if (out->full > 3) sum += out->h + out->l;
  out->full_v = edges * out->edge_size;
  out->notional = sum * out->edge_size;
  if (out->full > 4) {
    int64_t middle_v = out->block_size + (out->full - 5) * out->pair_size;
    out->full_v += middle_v;
    out->notional += middle_v * out->middle;
  }
}

bool sim_minute_draw(const sim_day *d, int32_t m, bool with_prices, sim_minute *out) {
  out->hash = tl_prng_mix(d->hash + (uint64_t)(m + 1) * UINT64_C(0x9e3779b97f4a7c15));
  uint32_t weight = sim_minute_weight(d, m);
  uint64_t h = tl_prng_mix(out->hash + 1);
  int64_t full = draw_count(weight, d->trade_rate * 9 / 20, h), side = draw_count(weight, d->trade_rate * 11 / 20, h >> 32);
  if (m < d->first_minute) full = side = 0;
  if (d->symbol->habit == SIM_ODD_LOTS_ONLY) full = 0;
  out->full = full;
  out->side = side;
  out->o = out->h = out->l = out->c = out->middle = out->reach = 0;
  out->full_v = out->side_v = out->notional = 0;
  out->extended = m < SIM_OPEN_MINUTE || m >= d->close_minute;
  if (!full && !side) return false;
  if (with_prices) draw_prices(d, m, out);
  draw_sizes(d, out);
  if (full) add_up_full(out);
  if (side) {
    int64_t odd = side - (out->block_side > 0);
    out->side_v = out->block_side + odd / 2 * 100 + (odd & 1 ? 1 + (int64_t)(out->hash >> 8) % 99 : 0);
  }
  return true;
}

bool sim_minute_bar(const sim_day *d, int32_t m, sim_bar *out) {
  sim_minute minute;
  bool any = sim_minute_draw(d, m, true, &minute);
  sim_bar b = {.t_ns = d->start_ns + m * SIM_MINUTE_NS};
  if (any && minute.full) {
    b.o = minute.o;
    b.h = minute.h;
    b.l = minute.l;
    b.c = minute.c;
  }
  if (any) {
    b.n = minute.full + minute.side;
    b.v = minute.full_v + minute.side_v;
    b.notional = minute.notional;
    b.notional_v = minute.full_v;
  }
  for (size_t i = 0; i < d->special_count; i++) {
    const sim_special *s = &d->specials[i];
    if (s->minute != m || s->effect == SIM_NOTHING || s->effect == SIM_PRICE) continue;
    b.n++;
    b.v += s->size;
    if (s->effect != SIM_FULL) continue;
    b.notional += s->cents * s->size; /* an auction: it comes before all others of its minute */
    b.notional_v += s->size;
    if (!b.o) b.h = b.l = b.c = s->cents;
    b.o = s->cents;
    if (s->cents > b.h) b.h = s->cents;
    if (s->cents < b.l) b.l = s->cents;
  }
  *out = b;
  return b.o > 0;
}

/* Timestamps of n rows of a minute, in order: one in each n-th of it, some cut to coarser units, some shared. */
typedef struct ticker {
  int64_t from_ns, span_ns, last_ns;
  uint64_t hash;
  int64_t n;
} ticker;

static ticker ticker_of(const sim_day *d, int32_t m, int64_t n, uint64_t hash) {
  int64_t free_ns = m == SIM_OPEN_MINUTE || m == d->close_minute ? 2 * SIM_NS : 0; /* auctions come first */
  int64_t from = d->start_ns + m * SIM_MINUTE_NS + free_ns;
  return (ticker){from, (SIM_MINUTE_NS - free_ns) / n, from, hash, n};
}

static int64_t ticker_next(ticker *k, int64_t i, uint64_t h) {
  if (i && (h & 7) == 0) return k->last_ns;
  int64_t t = k->from_ns + i * k->span_ns + (int64_t)(((unsigned __int128)(uint64_t)k->span_ns * (h >> 32)) >> 32);
  unsigned cut = h >> 3 & 63;
  if (cut < 8) t -= t % 1000;
  if (cut < 4) t -= t % 1000000;
  if (cut == 0) t -= t % SIM_NS;
  if (t < k->last_ns) t = k->last_ns;
  k->last_ns = t;
  return t;
}

/* Ids are unique per exchange and day; those of some exchanges do not fit a double. */
static uint64_t trade_id(char exchange, int32_t m, uint64_t i) {
  uint64_t base = exchange == 'D' ? UINT64_C(71675240000000) : exchange == 'P' ? UINT64_C(52983525000000) : UINT64_C(1000);
  if (exchange == 'Z') base = UINT64_C(9007199254740993);
  if (exchange == 'K') base = UINT64_C(4611686018427387905);
  return base + ((uint64_t)m << 32) + i;
}

static char draw_exchange(const sim_day *d, uint64_t h, bool off_exchange) {
  static const char venues[16] = {'P', 'Z', 'K', 'V', 'J', 'U', 'B', 'H', 'P', 'Z', 'K', 'X', 'M', 'Y', 'A', 'N'};
  if (d->feed == SIM_FEED_IEX) return 'V';
  if (off_exchange) return 'D';
  return h & 1 ? d->symbol->exchange : venues[h >> 1 & 15];
}

static char regular_mark(const sim_day *d) { return d->symbol->tape == 'C' ? '@' : ' '; }

typedef struct drawing { /* what the trades of one minute have in common */
  const sim_day *day;
  sim_minute m;
  int64_t high_at, low_at, rest, rest_first; /* positions among the full trades */
} drawing;

static drawing drawing_of(const sim_day *d, const sim_minute *m) {
  drawing g = {.day = d, .m = *m, .high_at = -1, .low_at = -1};
  uint64_t h = tl_prng_mix(m->hash + 6);
  if (m->full > 3) {
    uint64_t inner = (uint64_t)m->full - 2;
    g.high_at = 1 + (int64_t)(h % inner);
    g.low_at = 1 + (int64_t)(((uint64_t)g.high_at + (h >> 32) % (inner - 1)) % inner);
    g.rest = m->full - 4;
    g.rest_first = g.rest ? (int64_t)(h >> 16 & 0xffff) % g.rest : 0;
  }
  return g;
}

/* The r-th of the trades that mark no edge; r 0 is the block. */
static void draw_rest(const drawing *g, int64_t r, int64_t *cents, int64_t *size) {
  const sim_minute *m = &g->m;
  *cents = m->middle;
  *size = r ? m->pair_size : m->block_size;
  int64_t four = (r - 1) / 4, within = (r - 1) & 3;
  if (!r || four >= (g->rest - 1) / 4) return;
  uint64_t h = tl_prng_mix(m->hash + 1000 + (uint64_t)four);
  int64_t e = 100 * ((int64_t)(h & 0xffff) % (m->pair_size / 100)), span = m->reach + 1;
  int64_t away = within < 2 ? (int64_t)(h >> 16 & 0xffffff) % span : (int64_t)(h >> 40) % span;
  *size += within < 2 ? e : -e;
  *cents += within & 1 ? -away : away;
}

static void draw_full(const drawing *g, int64_t f, int64_t *rest_seen, int64_t *cents, int64_t *size) {
  const sim_minute *m = &g->m;
  *size = m->edge_size;
  if (f == 0) {
    *cents = m->o;
  } else if (f == m->full - 1) {
    *cents = m->c;
  } else if (m->full == 3) {
    *cents = m->h > (m->o > m->c ? m->o : m->c) ? m->h : m->l;
  } else if (f == g->high_at) {
    *cents = m->h;
  } else if (f == g->low_at) {
    *cents = m->l;
  } else {
    draw_rest(g, (*rest_seen + g->rest_first) % g->rest, cents, size);
    ++*rest_seen;
  }
}

static int64_t side_size(const sim_minute *m, int64_t s) {
  if (m->block_side) {
    if (s == 0) return m->block_side;
    s--;
  }
  int64_t odd = m->side - (m->block_side > 0);
  if (s == odd - 1 && (odd & 1)) return m->side_v - m->block_side - odd / 2 * 100;
  int64_t small = 1 + (int64_t)(tl_prng_mix(m->hash + 500000 + (uint64_t)(s / 2)) % 99);
  return s & 1 ? 100 - small : small;
}

/* Conditions in their usual order: the tape's mark, sweep, extended hours, then what the print is. */
static void put_conditions(const drawing *g, sim_trade *t, bool full, bool block, uint64_t h) {
  static const char only_volume[8] = {'W', '7', 'V', 'H', 'C', 'N', 'R', 'U'};
  size_t n = 0;
  bool tape_c = g->day->symbol->tape == 'C';
  t->conditions[n++] = regular_mark(g->day);
  if ((h >> 9 & 3) == 0) t->conditions[n++] = 'F';
  if (g->m.extended) t->conditions[n++] = 'T';
  if (block) {
    t->conditions[n++] = !tape_c && (h >> 14 & 7) == 0 ? 'B' : only_volume[h >> 11 & 7];
  } else if (!full) {
    t->conditions[n++] = 'I';
  } else if (tape_c && (h >> 11 & 127) == 0) {
    t->conditions[n++] = 'B'; /* bunched on tape C, where it takes nothing away */
  }
  t->conditions[n] = 0;
}

static void draw_trade(const drawing *g, int64_t i, bool full, int64_t which, int64_t *rest_seen, uint64_t h, sim_trade *t) {
  const sim_minute *m = &g->m;
  int64_t cents = m->middle, size = 0;
  bool block = !full && m->block_side && which == 0;
  if (full) {
    draw_full(g, which, rest_seen, &cents, &size);
    t->price_e4 = cents * 100;
  } else { /* may print outside the minute's range: it marks nothing */
    int64_t span = (m->h - m->l + 3) * 150, off = (int64_t)(tl_prng_mix(h) % (uint64_t)(2 * span + 1)) - span;
    size = side_size(m, which);
    t->price_e4 = cents * 100 + (h >> 20 & 1 ? off : off / 100 * 100);
    if (t->price_e4 < 100) t->price_e4 = 100;
  }
  t->size = (uint32_t)size;
  t->exchange = draw_exchange(g->day, h >> 21, full ? (h >> 30 & 3) == 0 : (h >> 30 & 1) == 0);
  t->id = trade_id(t->exchange, (int32_t)((t->t_ns - g->day->start_ns) / SIM_MINUTE_NS), (uint64_t)i);
  t->update = (h >> 40 & 8191) == 0 ? SIM_CORRECTED : SIM_PLAIN;
  put_conditions(g, t, full, block, h);
}

static void draw_special(const sim_day *d, const sim_special *s, size_t index, sim_trade *t) {
  *t = (sim_trade){.t_ns = d->start_ns + s->minute * SIM_MINUTE_NS + (int64_t)s->offset_us * 1000, .price_e4 = s->cents * 100,
                   .size = s->size, .exchange = s->exchange, .update = (unsigned char)s->update};
  if (d->feed == SIM_FEED_IEX) t->exchange = 'V';
  t->id = trade_id(t->exchange, s->minute, 0xffff0000u + index);
  size_t n = 0;
  t->conditions[n++] = regular_mark(d);
  for (size_t i = 0; n < SIM_CONDITIONS_MAX && s->conditions[i]; i++) t->conditions[n++] = s->conditions[i];
  t->conditions[n] = 0;
}

size_t sim_minute_trades_max(const sim_day *d, int32_t m) {
  sim_minute minute;
  return SIM_SPECIALS_MAX + (sim_minute_draw(d, m, true, &minute) ? (size_t)(minute.full + minute.side) : 0);
}

size_t sim_minute_trades(const sim_day *d, int32_t m, sim_trade *out) {
  sim_minute minute;
  size_t count = 0;
  if (sim_minute_draw(d, m, true, &minute)) {
    drawing g = drawing_of(d, &minute);
    int64_t n = minute.full + minute.side, full_seen = 0, side_seen = 0, rest_seen = 0, phase = (int64_t)(minute.hash >> 16 & 0xffff) % n;
    ticker k = ticker_of(d, m, n, minute.hash);
    for (int64_t i = 0; i < n; i++) { /* the two sorts are spread evenly over each other */
      uint64_t h = tl_prng_mix(minute.hash + 77 + (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15));
      bool full = (full_seen < minute.full && ((i + 1) * minute.full + phase) / n > full_seen) || side_seen == minute.side;
      sim_trade *t = &out[count++];
      t->t_ns = ticker_next(&k, i, h);
      draw_trade(&g, i, full, full ? full_seen++ : side_seen++, &rest_seen, tl_prng_mix(h + 1), t);
    }
  }
  for (size_t i = 0; i < d->special_count; i++) {
    if (d->specials[i].minute != m) continue;
    sim_trade t;
    draw_special(d, &d->specials[i], i, &t);
    size_t at = count++;
    for (; at > 0 && out[at - 1].t_ns > t.t_ns; at--) out[at] = out[at - 1];
    out[at] = t;
  }
  return count;
}

static int64_t quote_count(const sim_day *d, int32_t m) {
  return draw_count(sim_minute_weight(d, m), d->quote_rate, tl_prng_mix(d->hash + 900000 + (uint64_t)m));
}

size_t sim_minute_quotes_max(const sim_day *d, int32_t m) { return (size_t)quote_count(d, m); }

/* A two-sided quote around the path; a few are locked, crossed, one-sided or of no size. */
static void draw_quote(const sim_day *d, int64_t middle, uint64_t h, sim_quote *q) {
  static const char venues[16] = {'P', 'Z', 'K', 'V', 'J', 'U', 'B', 'H', 'Q', 'N', 'Q', 'X', 'M', 'Y', 'Q', 'N'};
  int64_t spread = 1 + (int64_t)((h & 0xff) * d->symbol->spread_cents >> 7), lift = (int64_t)(h >> 8 & 7) - 3;
  int64_t bid = middle + lift - spread / 2;
  if (bid < 2) bid = 2;
  unsigned odd = h >> 11 & 1023;
  int64_t ask = bid + spread;
  if (odd < 20) ask = bid;                              /* locked */
  if (odd >= 20 && odd < 28) ask = bid - 1;             /* crossed */
  uint32_t unit = d->day >= 20395 ? 100 : 1;            /* 2025-11-03: sizes in shares from then on */
  q->bid_size = (1 + (uint32_t)(h >> 21 & 15)) * unit;
  q->ask_size = (1 + (uint32_t)(h >> 25 & 15)) * unit;
  q->bid_exchange = d->feed == SIM_FEED_IEX ? 'V' : venues[h >> 29 & 15];
  q->ask_exchange = d->feed == SIM_FEED_IEX ? 'V' : venues[h >> 33 & 15];
  if (odd >= 28 && odd < 36) ask = 0, q->ask_exchange = ' ', q->ask_size = 0;
  if (odd >= 36 && odd < 44) bid = 0, q->bid_exchange = ' ', q->bid_size = 0;
  if (odd == 44) q->ask_size = 0;
  if (odd == 45) q->bid_size = 0;
  q->bid_cents = (uint32_t)bid;
  q->ask_cents = (uint32_t)ask;
  memcpy(q->conditions, "R\0", 3);
  if ((h >> 40 & 63) == 0) q->conditions[0] = ' ';
  if ((h >> 46 & 255) == 0) memcpy(q->conditions, "RH", 3);
}

size_t sim_minute_quotes(const sim_day *d, int32_t m, sim_quote *out) {
  int64_t n = quote_count(d, m);
  if (n <= 0) return 0;
  uint64_t hash = tl_prng_mix(d->hash + 910000 + (uint64_t)m);
  int64_t a = d->path[m], b = d->path[m + 1];
  ticker k = ticker_of(d, m, n, hash);
  if (m == SIM_OPEN_MINUTE || m == d->close_minute) { /* quotes have no auction to wait for */
    k.from_ns -= 2 * SIM_NS;
    k.last_ns = k.from_ns;
    k.span_ns = SIM_MINUTE_NS / n;
  }
  for (int64_t i = 0; i < n; i++) {
    uint64_t h = tl_prng_mix(hash + (uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15));
    out[i].t_ns = ticker_next(&k, i, h);
    draw_quote(d, (a + (b - a) * i / n) >> SIM_PATH_SHIFT, tl_prng_mix(h + 1), &out[i]);
  }
  return (size_t)n;
}
