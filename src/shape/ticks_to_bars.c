/* ticks_to_bars.c - the tape's rules as a table, and a bar that grows trade by trade. See ticks_to_bars.h. */
#include "shape/ticks_to_bars.h"

#include "base/alloc.h"
#include "shape/price.h"

/* ---- what a trade may do ---- */

enum {
  VOLUME = 1,     /* counts for volume and trade_count */
  HIGH_LOW = 2,   /* may set high and low */
  OPEN_CLOSE = 4, /* may set open and close */
  FIRST = 8,      /* may set open and close when the bar has no price yet */
  KNOWN = 16,     /* the rule of these conditions was looked up */
  TAPE_AB = 32,   /* ... and on tapes A and B it is volume only at most */
  ALL = VOLUME | HIGH_LOW | OPEN_CLOSE | FIRST
};

/* The strictest of a trade's conditions wins: a trade may do what each of them allows. Others allow everything. */
static const struct {
  char condition;
  uint8_t minute, day;
} rules[] = {
  {'I', VOLUME, VOLUME}, {'C', VOLUME, VOLUME}, {'N', VOLUME, VOLUME}, {'R', VOLUME, VOLUME},
  {'H', VOLUME, VOLUME}, {'V', VOLUME, VOLUME}, {'W', VOLUME, VOLUME}, {'7', VOLUME, VOLUME},
  {'U', VOLUME, VOLUME},
  {'M', 0, 0}, {'Q', 0, 0},
  {'9', 0, HIGH_LOW | OPEN_CLOSE | FIRST},
  {'T', ALL, VOLUME},
  {'P', VOLUME, VOLUME | HIGH_LOW | FIRST}, {'4', VOLUME, VOLUME | HIGH_LOW | FIRST},
  {'Z', VOLUME, VOLUME | HIGH_LOW | FIRST}, {'G', VOLUME, VOLUME | HIGH_LOW | FIRST},
};

static bool is_daily(const tl_ticks_to_bars *bars) { return !tl_interval_below_day(bars->base); }

static uint8_t look_up_rule(const tl_ticks_to_bars *bars, uint32_t code) {
  if (bars->conditions == TL_CONDITIONS_ALL) return KNOWN | ALL;
  uint8_t allowed = ALL, tape_ab = 0;
  tl_text list = tl_words_text(bars->words, code), item;
  while (tl_words_list_next(&list, &item)) {
    if (item.len != 1) continue;
    if (item.data[0] == 'B') tape_ab = TAPE_AB;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
      if (rules[i].condition == item.data[0]) allowed &= is_daily(bars) ? rules[i].day : rules[i].minute;
  }
  return (uint8_t)(KNOWN | allowed | tape_ab);
}

/* Codes are dense and few, so the rules of all of them fit a small array that grows with the pool. */
static tl_status learn_rule(tl_ticks_to_bars *bars, uint32_t code, tl_error *err) {
  if (code >= bars->rule_count) {
    size_t rule_count = (size_t)code + 256;
    uint8_t *grown = tl_realloc(bars->rules, rule_count);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot keep the rules of %zu sale conditions", rule_count);
    memset(grown + bars->rule_count, 0, rule_count - bars->rule_count);
    bars->rules = grown;
    bars->rule_count = rule_count;
  }
  bars->rules[code] = look_up_rule(bars, code);
  return TL_OK;
}

/* ---- one bar ---- */

static inline uint64_t bits_of(double price) {
  uint64_t bits;
  memcpy(&bits, &price, sizeof bits);
  return bits;
}

static inline uint64_t all_if(bool yes) { return (uint64_t)0 - yes; }

/* Without branches on what the trade may do: conditions come in no order a processor could foretell. */
static inline void add_volume(tl_bar_sums *sums, unsigned allowed, double price, int64_t size) {
  int64_t counted = size & (int64_t)all_if(allowed & VOLUME);
  sums->trade_count += allowed & VOLUME;
  sums->volume_over |= __builtin_add_overflow(sums->volume, counted, &sums->volume);
  if (price >= TL_PRICE_MAX) {
    sums->vwap_over |= (allowed & (VOLUME | HIGH_LOW)) == (VOLUME | HIGH_LOW);
    return;
  }
  int64_t weighed = counted & (int64_t)all_if(allowed & HIGH_LOW);
  sums->vwap_over |= __builtin_add_overflow(sums->vwap_e9, (__int128)tl_price_e9(price) * weighed, &sums->vwap_e9);
  sums->vwap_over |= __builtin_add_overflow(sums->vwap_volume, weighed, &sums->vwap_volume);
}

static inline void add_price(tl_bar_sums *sums, unsigned allowed, uint64_t price) {
  if (!sums->priced) { /* a trade that may set high and low may also be the first, so nothing is lost here */
    if (!(allowed & FIRST)) return;
    sums->open = sums->high = sums->low = sums->close = price;
    sums->priced = true;
    return;
  }
  uint64_t high_low = all_if(allowed & HIGH_LOW), up = price & high_low, down = price | ~high_low;
  sums->high = up > sums->high ? up : sums->high;
  sums->low = down < sums->low ? down : sums->low;
  sums->close ^= (sums->close ^ price) & all_if(allowed & OPEN_CLOSE);
}

static inline void add_trade(tl_bar_sums *sums, unsigned allowed, double price, int64_t size) {
  add_volume(sums, allowed, price, size);
  add_price(sums, allowed, bits_of(price));
}

static bool makes_bar(const tl_bar_sums *sums) {
  return sums->priced && sums->low > 0 && (sums->volume || sums->volume_over) && (sums->vwap_e9 || sums->vwap_over);
}

static void merge(tl_bar_sums *to, const tl_bar_sums *from) {
  if (!to->priced) {
    *to = *from;
    return;
  }
  if (from->high > to->high) to->high = from->high;
  if (from->low < to->low) to->low = from->low;
  to->close = from->close;
  to->trade_count += from->trade_count;
  to->volume_over |= from->volume_over;
  to->volume_over |= __builtin_add_overflow(to->volume, from->volume, &to->volume);
  to->vwap_over |= from->vwap_over;
  to->vwap_over |= __builtin_add_overflow(to->vwap_e9, from->vwap_e9, &to->vwap_e9);
  to->vwap_over |= __builtin_add_overflow(to->vwap_volume, from->vwap_volume, &to->vwap_volume);
}

/* Exact quotient, half up to 1e-6, then the nearest double. */
static double vwap_of(const tl_bar_sums *sums) {
  __int128 divisor = (__int128)sums->vwap_volume * 1000;
  __int128 quotient_e6 = (sums->vwap_e9 + divisor / 2) / divisor;
  return (double)(int64_t)quotient_e6 / 1e6;
}

static tl_status give_bar(const tl_bar_sums *sums, int64_t start_ns, tl_batch *out, tl_error *err) {
  tl_status st = tl_batch_reserve(out, 1, err);
  if (st) return st;
  size_t row = out->rows++;
  tl_column *c = out->columns;
  c[TL_COL_TIME].i64[row] = start_ns;
  memcpy(&c[TL_BARS_OPEN].f64[row], &sums->open, sizeof(double));
  memcpy(&c[TL_BARS_HIGH].f64[row], &sums->high, sizeof(double));
  memcpy(&c[TL_BARS_LOW].f64[row], &sums->low, sizeof(double));
  memcpy(&c[TL_BARS_CLOSE].f64[row], &sums->close, sizeof(double));
  c[TL_BARS_VOLUME].i64[row] = sums->volume_over ? 0 : sums->volume;
  c[TL_BARS_TRADE_COUNT].i64[row] = sums->trade_count;
  c[TL_BARS_VWAP].f64[row] = sums->vwap_over ? 0 : vwap_of(sums);
  if (sums->volume_over) tl_column_set_null(&c[TL_BARS_VOLUME], row);
  if (sums->vwap_over) tl_column_set_null(&c[TL_BARS_VWAP], row);
  return TL_OK;
}

/* ---- the stream ---- */

static tl_interval base_of(tl_interval interval) {
  if (interval.unit == TL_SECOND) return interval;
  return (tl_interval){1, interval.unit < TL_DAY ? TL_MINUTE : TL_DAY};
}

tl_status tl_ticks_to_bars_init(tl_ticks_to_bars *bars, tl_interval interval, tl_conditions conditions, tl_words *words,
                                tl_error *err) {
  *bars = (tl_ticks_to_bars){.interval = interval, .base = base_of(interval), .conditions = conditions, .words = words};
  tl_status st = tl_words_intern(words, "A", 1, &bars->word_a, err);
  if (!st) st = tl_words_intern(words, "B", 1, &bars->word_b, err);
  if (!st) st = tl_words_intern(words, "canceled", strlen("canceled"), &bars->word_canceled, err);
  if (!st) st = tl_words_intern(words, "incorrect", strlen("incorrect"), &bars->word_incorrect, err);
  return st;
}

void tl_ticks_to_bars_deinit(tl_ticks_to_bars *bars) {
  tl_free(bars->rules);
  *bars = (tl_ticks_to_bars){0};
}

static void close_base(tl_ticks_to_bars *bars) {
  if (makes_bar(&bars->base_sums)) {
    merge(&bars->bar_sums, &bars->base_sums);
  } else {
    bars->barless_trades += bars->base_sums.trade_count;
    if (__builtin_add_overflow(bars->barless_volume, bars->base_sums.volume, &bars->barless_volume))
      bars->barless_volume = INT64_MAX;
  }
  bars->base_sums = (tl_bar_sums){0};
}

static tl_status close_bar(tl_ticks_to_bars *bars, tl_batch *out, tl_error *err) {
  tl_status st = bars->bar_sums.priced ? give_bar(&bars->bar_sums, bars->bar_start_ns, out, err) : TL_OK;
  bars->bar_sums = (tl_bar_sums){0};
  return st;
}

/* The trade at ns is the first of another base interval. */
static tl_status roll(tl_ticks_to_bars *bars, int64_t ns, tl_batch *out, tl_error *err) {
  if (bars->fed && ns < bars->last_ns) return tl_fail(err, TL_EINTERNAL, "trades go back in time");
  tl_status st = TL_OK;
  if (bars->fed) close_base(bars);
  if (bars->fed && ns >= bars->bar_end_ns) st = close_bar(bars, out, err);
  if (!bars->fed || ns >= bars->bar_end_ns) {
    bars->bar_start_ns = tl_interval_floor(bars->interval, ns);
    bars->bar_end_ns = tl_interval_next(bars->interval, ns);
  }
  bool same = tl_interval_equal(bars->interval, bars->base);

  bars->base_end_ns = same ? bars->bar_end_ns : tl_interval_next(bars->base, ns);
  bars->fed = true;
  return st;
}

static bool is_left_out(const tl_ticks_to_bars *bars, const tl_batch *trades, size_t row) {
  const tl_column *update = &trades->columns[TL_TRADES_UPDATE];
  if (!tl_column_valid(update, row)) return false;
  return update->word[row] == bars->word_canceled || update->word[row] == bars->word_incorrect;
}

static tl_status rule_of(tl_ticks_to_bars *bars, const tl_batch *trades, size_t row, unsigned *allowed, tl_error *err) {
  *allowed = ALL;
  const tl_column *conditions = &trades->columns[TL_TRADES_CONDITIONS];
  if (!tl_column_valid(conditions, row)) return TL_OK;
  uint32_t code = conditions->word[row];
  if (code >= bars->rule_count || !bars->rules[code]) {
    tl_status st = learn_rule(bars, code, err);
    if (st) return st;
  }
  *allowed = bars->rules[code];
  const tl_column *tape = &trades->columns[TL_TRADES_TAPE];
  if ((*allowed & TAPE_AB) && tl_column_valid(tape, row) &&
      (tape->word[row] == bars->word_a || tape->word[row] == bars->word_b))
    *allowed &= VOLUME;
  return TL_OK;
}

/* Rows of one base interval. The sums are a local copy meanwhile: they stay in registers. */
static tl_status add_rows(tl_ticks_to_bars *bars, const tl_batch *trades, size_t row, size_t end, tl_error *err) {
  const double *prices = trades->columns[TL_TRADES_PRICE].f64;
  const tl_column *sizes = &trades->columns[TL_TRADES_SIZE];
  tl_bar_sums sums = bars->base_sums;
  tl_status st = TL_OK;
  for (; row < end; row++) {
    unsigned allowed;
    if (is_left_out(bars, trades, row)) {
      bars->left_out++;
      continue;
    }
    st = rule_of(bars, trades, row, &allowed, err);
    if (st) break;
    add_trade(&sums, allowed, prices[row], tl_column_valid(sizes, row) ? sizes->i64[row] : 0);
  }
  bars->base_sums = sums;
  return st;
}

tl_status tl_ticks_to_bars_feed(tl_ticks_to_bars *bars, const tl_batch *trades, size_t begin, size_t end, tl_batch *out,
                                tl_error *err) {
  const int64_t *times = tl_batch_times(trades);
  tl_status st = TL_OK;
  for (size_t row = begin; !st && row < end;) {
    if (!bars->fed || times[row] >= bars->base_end_ns || times[row] < bars->last_ns) st = roll(bars, times[row], out, err);
    size_t stop = row + 1; /* the interval is this row's */
    while (stop < end && times[stop] < bars->base_end_ns) stop++;
    if (!st) st = add_rows(bars, trades, row, stop, err);
    bars->last_ns = times[stop - 1];
    bars->trades += (int64_t)(stop - row);
    row = stop;
  }
  return st;
}

tl_status tl_ticks_to_bars_flush(tl_ticks_to_bars *bars, tl_batch *out, tl_error *err) {
  if (!bars->fed) return TL_OK;
  close_base(bars);
  bars->fed = false;
  return close_bar(bars, out, err);
}

int64_t tl_ticks_to_bars_cut(const tl_ticks_to_bars *bars) { return bars->fed ? bars->bar_start_ns : INT64_MIN; }
