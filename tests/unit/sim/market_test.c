/* The market against itself: its trades, added up here by the vendor's table, are its bars.
 * The rules are written down anew from the vendor's table, by condition letter; nothing of sim/ decides here. */
#include "sim/market.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/bars.h"
#include "sim/days.h"

static const sim_world world = {.seed = 7, .trade_density_e3 = 1000, .quote_density_e3 = 1000};

typedef struct total { /* one bar by brute force; money in 1/10000 dollars */
  int64_t o, h, l, c, v, n;
  __int128 notional;
  int64_t notional_v;
} total;

static bool has(const sim_trade *t, const char *letters) {
  for (const char *c = t->conditions; *c; c++)
    if (strchr(letters, *c)) return true;
  return false;
}

static void add(total *b, const sim_trade *t, char tape, bool day) {
  if (t->update == SIM_CANCELED || t->update == SIM_INCORRECT || has(t, "MQ")) return;
  bool price = !has(t, "ICNRHVW7U") && !(tape != 'C' && has(t, "B")), volume = true, late = false;
  if (has(t, "9")) { /* a corrected close: the day takes its price, nobody its volume */
    if (!day) return;
    volume = false;
  }
  if (day && has(t, "T")) price = false;
  if (has(t, "P4ZG")) {
    late = day;
    price = price && day;
  }
  if (volume) b->v += t->size, b->n++;
  if (!price) return;
  int64_t p = t->price_e4;
  if (!b->o) {
    b->o = b->h = b->l = b->c = p;
  } else {
    if (p > b->h) b->h = p;
    if (p < b->l) b->l = p;
    if (!late) b->c = p;
  }
  if (!volume) return;
  b->notional += (__int128)p * t->size;
  b->notional_v += t->size;
}

static void assert_same(const total *want, const sim_bar *got, bool shown) {
  assert_int_equal(want->o > 0, shown);
  if (!shown) return;
  assert_int_equal(want->o, got->o * 100);
  assert_int_equal(want->h, got->h * 100);
  assert_int_equal(want->l, got->l * 100);
  assert_int_equal(want->c, got->c * 100);
  assert_int_equal(want->v, got->v);
  assert_int_equal(want->n, got->n);
  assert_true(want->notional == (__int128)got->notional * 100);
  assert_int_equal(want->notional_v, got->notional_v);
}

static int64_t day_from_text(const char *text) {
  int64_t day = 0;
  assert_true(sim_day_parse(text, strlen(text), &day));
  return day;
}

/* Every minute and the day of one symbol; counts what kinds of prints were met. */
static void check_day(const sim_world *w, const char *name, sim_feed feed, int64_t day, size_t met[256]) {
  sim_symbol s;
  sim_day d;
  assert_true(sim_symbol_find(name, strlen(name), SIM_ASOF_OFF, &s));
  if (!sim_day_open(w, &s, feed, day, &d)) return;
  total whole = {0};
  int64_t last_ns = d.start_ns;
  for (int32_t m = 0; m < d.minutes; m++) {
    size_t room = sim_minute_trades_max(&d, m);
    sim_trade *trades = calloc(room, sizeof *trades);
    assert_non_null(trades);
    size_t count = sim_minute_trades(&d, m, trades);
    assert_true(count <= room);
    total minute = {0};
    for (size_t i = 0; i < count; i++) {
      int64_t in_minute = trades[i].t_ns - d.start_ns - m * SIM_MINUTE_NS;
      assert_true(in_minute >= 0 && in_minute < SIM_MINUTE_NS && trades[i].t_ns >= last_ns);
      assert_true(trades[i].price_e4 > 0 && trades[i].size > 0);
      met[1] += trades[i].t_ns == last_ns;
      met[2] += trades[i].update == SIM_CORRECTED;
      met[3] += trades[i].update == SIM_CANCELED || trades[i].update == SIM_INCORRECT;
      met[4] += trades[i].id > (UINT64_C(1) << 53);
      last_ns = trades[i].t_ns;
      add(&minute, &trades[i], s.tape, false);
      add(&whole, &trades[i], s.tape, true);
      for (const char *c = trades[i].conditions; *c; c++) met[(unsigned char)*c]++;
    }
    sim_bar bar;
    bool shown = sim_minute_bar(&d, m, &bar);
    assert_same(&minute, &bar, shown);
    met[5] += !shown && minute.v > 0;
    free(trades);
  }
  sim_bar bar;
  assert_same(&whole, &bar, sim_day_bar(&d, &bar));
}

static void minutes_and_days_are_what_their_trades_add_up_to(void **state) {
  (void)state;
  static const struct {
    const char *symbol, *day;
  } cases[] = {
      {"AAPL", "2024-03-11"}, {"AAPL", "2024-11-29"}, {"SPY", "2024-11-04"}, {"MSFT", "2024-07-03"}, {"SPLT", "2024-06-07"}, {"SPLT", "2024-06-10"},
      {"RVRS", "2024-05-10"}, {"NEWN", "2024-03-18"}, {"OLDN", "2024-03-15"}, {"BRK.A", "2019-12-24"}, {"BRK.B", "2016-01-04"}, {"ILLQ", "2023-05-01"},
      {"ODDL", "2023-05-02"}, {"QXZW", "2021-02-03"}, {"BUSY", "2025-11-03"}, {"TLT", "2030-12-31"},
  };
  size_t met[256] = {0};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_day(&world, cases[i].symbol, SIM_FEED_SIP, day_from_text(cases[i].day), met);
  assert_true(met['I'] && met['T'] && met['F'] && met['O'] && met['Q'] && met['6'] && met['M'] && met['X'] && met['@'] && met[' ']);
  assert_true(met['W'] && met['B'] && met['7'] && met['U']);
  assert_true(met[1] > 1000); /* shared timestamps */
  assert_true(met[4] > 1000); /* ids beyond a double */
  assert_true(met[5] > 0);    /* minutes of odd lots only */
}

static void rare_prints_keep_the_rules_too(void **state) {
  (void)state;
  size_t met[256] = {0};
  for (int64_t day = day_from_text("2022-01-03"); day < day_from_text("2022-06-30"); day++) {
    check_day(&world, "DIVD", SIM_FEED_SIP, day, met);
    check_day(&world, "ILLQ", SIM_FEED_SIP, day, met);
    check_day(&world, "HAL", SIM_FEED_IEX, day, met);
  }
  assert_true(met['Z'] && met['P'] && met['4'] && met['G'] && met['9']);
  assert_true(met[2] && met[3]); /* corrected; canceled or incorrect */
}

static void dense_and_thin_worlds_keep_the_rules_too(void **state) {
  (void)state;
  size_t met[256] = {0};
  sim_world dense = world, thin = world;
  dense.trades_per_second = 40;
  thin.trade_density_e3 = 20;
  check_day(&dense, "KO", SIM_FEED_SIP, day_from_text("2024-03-12"), met);
  for (int64_t day = day_from_text("2024-03-11"); day < day_from_text("2024-04-11"); day++) check_day(&thin, "KO", SIM_FEED_SIP, day, met);
}

static void a_day_is_the_same_whoever_asks_and_when(void **state) {
  (void)state;
  sim_symbol a, b;
  sim_day first, other, again;
  static sim_trade x[4096], y[4096];
  assert_true(sim_symbol_find("NVDA", 4, SIM_ASOF_OFF, &a));
  assert_true(sim_symbol_find("AMD", 3, SIM_ASOF_OFF, &b));
  int64_t day = day_from_text("2024-03-12");
  assert_true(sim_day_open(&world, &a, SIM_FEED_SIP, day, &first));
  assert_true(sim_minute_trades_max(&first, 400) <= 4096);
  size_t n = sim_minute_trades(&first, 400, x);
  assert_true(sim_day_open(&world, &b, SIM_FEED_SIP, day + 1, &other));
  assert_true(sim_minute_trades_max(&other, 331) <= 4096);
  sim_minute_trades(&other, 331, y);
  assert_true(sim_day_open(&world, &a, SIM_FEED_SIP, day, &again));
  assert_int_equal(sim_minute_trades(&again, 400, y), n);
  for (size_t i = 0; i < n; i++) {
    assert_int_equal(x[i].t_ns, y[i].t_ns);
    assert_int_equal(x[i].price_e4, y[i].price_e4);
    assert_true(x[i].id == y[i].id && x[i].size == y[i].size && strcmp(x[i].conditions, y[i].conditions) == 0);
  }
  sim_world elsewhere = world;
  elsewhere.seed = 8;
  assert_true(sim_day_open(&elsewhere, &a, SIM_FEED_SIP, day, &again));
  sim_bar here, there;
  assert_true(sim_day_bar(&first, &here) && sim_day_bar(&again, &there));
  assert_true(here.v != there.v);
}

static void half_days_end_at_five_and_closed_days_have_no_market(void **state) {
  (void)state;
  sim_symbol s;
  sim_day d;
  assert_true(sim_symbol_find("SPY", 3, SIM_ASOF_OFF, &s));
  assert_true(sim_day_open(&world, &s, SIM_FEED_SIP, day_from_text("2024-11-29"), &d));
  assert_int_equal(d.minutes, 13 * 60);
  assert_int_equal(d.close_minute - SIM_OPEN_MINUTE, 210);
  assert_true(sim_day_open(&world, &s, SIM_FEED_SIP, day_from_text("2024-11-27"), &d));
  assert_int_equal(d.minutes, 16 * 60);
  assert_int_equal(d.close_minute - SIM_OPEN_MINUTE, 390);
  assert_false(sim_day_open(&world, &s, SIM_FEED_SIP, day_from_text("2024-11-28"), &d));
  assert_false(sim_day_open(&world, &s, SIM_FEED_SIP, day_from_text("2024-11-30"), &d));
  assert_false(sim_day_open(&world, &s, SIM_FEED_EMPTY, day_from_text("2024-11-27"), &d));
}

static void quotes_are_in_order_and_some_are_odd(void **state) {
  (void)state;
  sim_symbol s;
  sim_day d;
  size_t locked = 0, crossed = 0, no_ask = 0, no_bid = 0, no_size = 0, blank = 0, all = 0;
  assert_true(sim_symbol_find("AAPL", 4, SIM_ASOF_OFF, &s));
  assert_true(sim_day_open(&world, &s, SIM_FEED_SIP, day_from_text("2024-03-11"), &d));
  for (int32_t m = 0; m < d.minutes; m++) {
    size_t room = sim_minute_quotes_max(&d, m);
    sim_quote *q = calloc(room + 1, sizeof *q);
    assert_non_null(q);
    size_t n = sim_minute_quotes(&d, m, q);
    assert_int_equal(n, room);
    for (size_t i = 0; i < n; i++) {
      assert_true(q[i].t_ns >= d.start_ns + m * SIM_MINUTE_NS && q[i].t_ns < d.start_ns + (m + 1) * SIM_MINUTE_NS);
      assert_true(i == 0 || q[i].t_ns >= q[i - 1].t_ns);
      bool two_sided = q[i].ask_cents && q[i].bid_cents;
      locked += two_sided && q[i].ask_cents == q[i].bid_cents;
      crossed += two_sided && q[i].ask_cents < q[i].bid_cents;
      no_ask += !q[i].ask_cents && q[i].ask_exchange == ' ';
      no_bid += !q[i].bid_cents && q[i].bid_exchange == ' ';
      no_size += two_sided && (!q[i].ask_size || !q[i].bid_size);
      blank += q[i].conditions[0] == ' ';
    }
    all += n;
    free(q);
  }
  assert_true(all > 250000 && all < 700000);
  assert_true(locked && crossed && no_ask && no_bid && no_size && blank);
  assert_true(locked + crossed + no_ask + no_bid < all / 10);
}

/* ---- bars of other sizes: from the minutes and days above ---- */

typedef struct rows {
  sim_row row[16384];
  size_t count;
} rows;

static bool collect(void *state, const sim_row *row) {
  rows *r = state;
  assert_true(r->count < 16384);
  r->row[r->count++] = *row;
  return true;
}

static void walk(const char *name, const char *frame, const char *from, const char *to, bool split, bool down, rows *out) {
  sim_symbol s;
  sim_bars q = {.world = &world, .symbol = &s, .feed = SIM_FEED_SIP, .split = split, .descending = down};
  assert_true(sim_symbol_find(name, strlen(name), SIM_ASOF_OFF, &s));
  assert_true(sim_timeframe_parse(frame, strlen(frame), &q.timeframe));
  q.from_ns = sim_day_midnight_ns(day_from_text(from));
  q.to_ns = sim_day_midnight_ns(day_from_text(to) + 1) - 1;
  q.now_ns = sim_day_midnight_ns(day_from_text("2028-01-03"));
  out->count = 0;
  sim_bars_walk(&q, collect, out);
}

static uint64_t highest(const rows *r, int64_t from, int64_t to) {
  uint64_t h = 0;
  for (size_t i = 0; i < r->count; i++)
    if (r->row[i].t_ns >= from && r->row[i].t_ns < to && r->row[i].h > h) h = r->row[i].h;
  return h;
}
static uint64_t volume(const rows *r, int64_t from, int64_t to) {
  uint64_t v = 0;
  for (size_t i = 0; i < r->count; i++)
    if (r->row[i].t_ns >= from && r->row[i].t_ns < to) v += r->row[i].v;
  return v;
}

static void longer_bars_add_up_shorter_ones(void **state) {
  (void)state;
  static rows minutes, longer;
  static const struct {
    const char *frame;
    int64_t length_ns;
  } cases[] = {{"5Min", 5 * SIM_MINUTE_NS}, {"15Min", 15 * SIM_MINUTE_NS}, {"30T", 30 * SIM_MINUTE_NS}, {"1Hour", 60 * SIM_MINUTE_NS}, {"4H", 240 * SIM_MINUTE_NS}};
  walk("XOM", "1Min", "2024-03-08", "2024-03-11", false, false, &minutes);
  assert_true(minutes.count > 1000);
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    walk("XOM", cases[k].frame, "2024-03-08", "2024-03-11", false, false, &longer);
    uint64_t all = 0;
    for (size_t i = 0; i < longer.count; i++) {
      int64_t t = longer.row[i].t_ns;
      assert_int_equal((t + sim_day_offset_hours(t) * 3600 * SIM_NS) % cases[k].length_ns, 0);
      assert_int_equal(longer.row[i].h, highest(&minutes, t, t + cases[k].length_ns));
      assert_int_equal(longer.row[i].v, volume(&minutes, t, t + cases[k].length_ns));
      all += longer.row[i].v;
    }
    assert_int_equal(all, volume(&minutes, INT64_MIN, INT64_MAX));
  }
}

static void weeks_and_months_begin_on_their_first_day_and_add_up_days(void **state) {
  (void)state;
  static rows days, longer;
  walk("XOM", "1Day", "2024-01-01", "2024-12-31", false, false, &days);
  assert_int_equal(days.count, 252);
  walk("XOM", "1Week", "2024-01-01", "2024-12-29", false, false, &longer);
  assert_int_equal(longer.count, 52);
  for (size_t i = 0; i < longer.count; i++) {
    int64_t day = sim_day_of(longer.row[i].t_ns);
    assert_int_equal(sim_day_weekday(day), 0);
    assert_int_equal(longer.row[i].t_ns, sim_day_midnight_ns(day));
    assert_int_equal(longer.row[i].v, volume(&days, longer.row[i].t_ns, sim_day_midnight_ns(day + 7)));
    assert_int_equal(longer.row[i].h, highest(&days, longer.row[i].t_ns, sim_day_midnight_ns(day + 7)));
  }
  walk("XOM", "3Month", "2024-01-01", "2024-12-31", false, false, &longer);
  assert_int_equal(longer.count, 4);
  assert_int_equal(longer.row[1].t_ns, sim_day_midnight_ns(day_from_text("2024-04-01")));
  assert_int_equal(longer.row[1].v, volume(&days, longer.row[1].t_ns, longer.row[2].t_ns));
}

static void descending_is_ascending_backwards(void **state) {
  (void)state;
  static rows up, down;
  static const char *const frames[] = {"1Min", "1Hour", "1Day", "1Week", "1Month"};
  for (size_t k = 0; k < sizeof frames / sizeof *frames; k++) {
    walk("T", frames[k], "2024-03-07", k < 2 ? "2024-03-12" : "2024-12-12", false, false, &up);
    walk("T", frames[k], "2024-03-07", k < 2 ? "2024-03-12" : "2024-12-12", false, true, &down);
    assert_int_equal(up.count, down.count);
    assert_true(up.count > 0);
    for (size_t i = 0; i < up.count; i++) assert_memory_equal(&up.row[i], &down.row[up.count - 1 - i], sizeof up.row[0]);
  }
}

static void splits_are_adjusted_to_cents_half_up_before_them_and_not_after(void **state) {
  (void)state;
  static rows raw, adjusted;
  for (int k = 0; k < 2; k++) {
    const char *name = k ? "RVRS" : "SPLT", *from = k ? "2024-05-01" : "2024-06-03", *to = k ? "2024-05-20" : "2024-06-14";
    int64_t ex = sim_day_midnight_ns(day_from_text(k ? "2024-05-13" : "2024-06-10"));
    walk(name, "1Min", from, to, false, false, &raw);
    walk(name, "1Min", from, to, true, false, &adjusted);
    assert_int_equal(raw.count, adjusted.count);
    for (size_t i = 0; i < raw.count; i++) {
      const sim_row *r = &raw.row[i], *a = &adjusted.row[i];
      assert_int_equal(r->n, a->n);
      if (r->t_ns >= ex) {
        assert_memory_equal(r, a, sizeof *r);
      } else if (k) { /* 1 for 10: prices times 10, volume a tenth, halves up */
        assert_int_equal(a->h, r->h * 10);
        assert_int_equal(a->v, r->v / 10 + (r->v % 10 >= 5));
        assert_int_equal(a->vw, r->vw / 1000 + (r->vw % 1000 >= 500));
        assert_int_equal(a->vw_scale, 2);
      } else { /* 4 for 1 */
        assert_int_equal(a->l, r->l / 4 + (r->l % 4 >= 2));
        assert_int_equal(a->v, r->v * 4);
        assert_int_equal(a->vw, r->vw / 40000 + (r->vw % 40000 >= 20000));
      }
    }
  }
}

static void a_bar_is_shown_once_its_time_is_over(void **state) {
  (void)state;
  static rows r;
  sim_symbol s;
  assert_true(sim_symbol_find("SPY", 3, SIM_ASOF_OFF, &s));
  sim_bars q = {.world = &world, .symbol = &s, .feed = SIM_FEED_SIP, .timeframe = {SIM_BY_DAY, 1}};
  q.from_ns = q.to_ns = sim_day_midnight_ns(day_from_text("2024-03-12"));
  for (int k = 0; k < 2; k++) {
    q.now_ns = q.from_ns + 20 * 60 * SIM_MINUTE_NS - 1 + k;
    r.count = 0;
    sim_bars_walk(&q, collect, &r);
    assert_int_equal(r.count, k);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(minutes_and_days_are_what_their_trades_add_up_to),
      cmocka_unit_test(rare_prints_keep_the_rules_too),
      cmocka_unit_test(dense_and_thin_worlds_keep_the_rules_too),
      cmocka_unit_test(a_day_is_the_same_whoever_asks_and_when),
      cmocka_unit_test(half_days_end_at_five_and_closed_days_have_no_market),
      cmocka_unit_test(quotes_are_in_order_and_some_are_odd),
      cmocka_unit_test(longer_bars_add_up_shorter_ones),
      cmocka_unit_test(weeks_and_months_begin_on_their_first_day_and_add_up_days),
      cmocka_unit_test(descending_is_ascending_backwards),
      cmocka_unit_test(splits_are_adjusted_to_cents_half_up_before_them_and_not_after),
      cmocka_unit_test(a_bar_is_shown_once_its_time_is_over),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
