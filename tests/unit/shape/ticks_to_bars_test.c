/* Trades to bars: the vendor's table condition by condition, the rest of the rules case by case, and random trades
 * against a naive computation that goes over all trades for every bar, in integers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fault.h"
#include "base/prng.h"
#include "shape/ticks_to_bars.h"

#define S INT64_C(1000000000)
#define MINUTE (60 * S)
#define DAY INT64_C(19724)                          /* 2024-01-02 */
#define OPEN_NS (DAY * 86400 * S + 52200 * S)       /* 14:30Z, 09:30 New York */
#define NO_SIZE INT32_MIN

typedef struct trade { /* conditions: a letter each, "-" for NULL; update "" for NULL */
  int64_t ns, price_e4;
  int32_t size;
  const char *conditions, *tape, *update;
} trade;

static tl_words *words;
static tl_batch trades, bars;
static tl_buf text;

static uint32_t word(const char *data, size_t len) {
  uint32_t code = 0;
  assert_int_equal(tl_words_intern(words, data, len, &code, NULL), TL_OK);
  return code;
}

static void put_word(int column, const char *value) {
  if (value && *value) trades.columns[column].word[trades.rows] = word(value, strlen(value));
  else tl_column_set_null(&trades.columns[column], trades.rows);
}

static void put_trades(const trade *rows, size_t count) {
  tl_batch_clear(&trades);
  assert_int_equal(tl_batch_reserve(&trades, count, NULL), TL_OK);
  for (size_t i = 0; i < count; i++) {
    char decimal[40];
    snprintf(decimal, sizeof decimal, "%lld.%04lld", (long long)(rows[i].price_e4 / 10000), (long long)(rows[i].price_e4 % 10000));
    tl_batch_times(&trades)[i] = rows[i].ns;
    trades.columns[TL_TRADES_PRICE].f64[i] = strtod(decimal, NULL);
    trades.columns[TL_TRADES_SIZE].i64[i] = rows[i].size;
    if (rows[i].size == NO_SIZE) tl_column_set_null(&trades.columns[TL_TRADES_SIZE], i);
    trades.columns[TL_TRADES_TRADE_ID].i64[i] = (int64_t)i;
    tl_buf list = {0};
    for (const char *c = rows[i].conditions; *c; c++) assert_int_equal(tl_words_list_add(&list, c, 1, NULL), TL_OK);
    trades.columns[TL_TRADES_CONDITIONS].word[i] = word(list.data ? list.data : "", list.len);
    if (rows[i].conditions[0] == '-') tl_column_set_null(&trades.columns[TL_TRADES_CONDITIONS], i);
    tl_buf_deinit(&list);
    put_word(TL_TRADES_EXCHANGE, "V");
    put_word(TL_TRADES_TAPE, rows[i].tape ? rows[i].tape : "C");
    put_word(TL_TRADES_UPDATE, rows[i].update);
    trades.rows++;
  }
}

static void put_bar(tl_buf *out, int64_t ns, const double prices[4], int64_t volume, int64_t count, double vwap) {
  char time[TL_TIME_TEXT_MAX];
  tl_time_format(ns, -1, time);
  tl_buf_appendf(out, NULL, "%s %.15g %.15g %.15g %.15g v%lld n%lld %.15g\n", time, prices[0], prices[1], prices[2], prices[3],
                 (long long)volume, (long long)count, vwap);
}

static const char *bars_text(void) {
  tl_buf_clear(&text);
  tl_buf_appends(&text, "", NULL);
  for (size_t row = 0; row < bars.rows; row++) {
    const tl_column *c = bars.columns;
    const double prices[] = {c[TL_BARS_OPEN].f64[row], c[TL_BARS_HIGH].f64[row], c[TL_BARS_LOW].f64[row], c[TL_BARS_CLOSE].f64[row]};
    int64_t volume = tl_column_valid(&c[TL_BARS_VOLUME], row) ? c[TL_BARS_VOLUME].i64[row] : -1;
    put_bar(&text, c[TL_COL_TIME].i64[row], prices, volume, c[TL_BARS_TRADE_COUNT].i64[row],
            tl_column_valid(&c[TL_BARS_VWAP], row) ? c[TL_BARS_VWAP].f64[row] : -1);
  }
  return text.data;
}

static void feed(tl_ticks_to_bars *make, size_t begin, size_t end) {
  assert_int_equal(tl_ticks_to_bars_feed(make, &trades, begin, end, &bars, NULL), TL_OK);
}

/* The rows in one piece and in two, wherever they are cut. */
static void expect(tl_interval interval, tl_conditions conditions, const trade *rows, size_t count, const char *expected) {
  put_trades(rows, count);
  for (size_t cut = 0; cut <= count; cut++) {
    tl_ticks_to_bars make;
    assert_int_equal(tl_ticks_to_bars_init(&make, interval, conditions, words, NULL), TL_OK);
    tl_batch_clear(&bars);
    feed(&make, 0, cut);
    feed(&make, cut, count);
    assert_int_equal(tl_ticks_to_bars_flush(&make, &bars, NULL), TL_OK);
    tl_ticks_to_bars_deinit(&make);
    assert_string_equal(bars_text(), expected);
  }
}
#define EXPECT(count_, unit_, conditions, expected, ...)                                    \
  expect((tl_interval){count_, unit_}, conditions, (const trade[]){__VA_ARGS__},            \
         sizeof((const trade[]){__VA_ARGS__}) / sizeof(trade), expected)
#define SIP TL_CONDITIONS_SIP

/* ---- the vendor's table ---- */

/* Between a trade of 100 at 10.00 and one of 100 at 11.00 comes one of 50 with the condition, at 20.00. */
static void every_condition_by_minute_and_by_day(void **state) {
  (void)state;
  static const char full[] = "10 20 10 11 v250 n3 12.4", volume_only[] = "10 11 10 11 v250 n3 10.5", nothing[] = "10 11 10 11 v200 n2 10.5",
                    high_low_volume[] = "10 20 10 11 v250 n3 12.4", price_only[] = "10 20 10 11 v200 n2 10.5";
  static const struct { const char *conditions, *tape, *minute, *day; } cases[] = {
    {"@", "C", full, full}, {" ", "A", full, full}, {"", "C", full, full}, {"-", "C", full, full}, {"F", "C", full, full}, {"X", "B", full, full},
    {"I", "C", volume_only, volume_only}, {"C", "C", volume_only, volume_only}, {"N", "C", volume_only, volume_only},
    {"R", "C", volume_only, volume_only}, {"H", "A", volume_only, volume_only}, {"V", "C", volume_only, volume_only},
    {"W", "C", volume_only, volume_only}, {"7", "A", volume_only, volume_only}, {"U", "C", volume_only, volume_only},
    {"B", "A", volume_only, volume_only}, {"B", "B", volume_only, volume_only}, {"B", "C", full, full}, {"B", "O", full, full}, {"B", "", full, full},
    {"M", "C", nothing, nothing}, {"Q", "C", nothing, nothing},
    {"9", "C", nothing, price_only},
    {"T", "C", full, volume_only},
    {"P", "C", volume_only, high_low_volume}, {"4", "A", volume_only, high_low_volume}, {"Z", "C", volume_only, high_low_volume},
    {"G", "C", volume_only, high_low_volume},
    /* the strictest wins */
    {"@I", "C", volume_only, volume_only}, {"@FTI", "C", volume_only, volume_only}, {"TM", "C", nothing, nothing}, {"@T", "C", full, volume_only},
    {"ZI", "C", volume_only, volume_only}, {"ZT", "C", volume_only, volume_only}, {"9I", "C", nothing, nothing}, {"BT", "A", volume_only, volume_only},
    {"BT", "C", full, volume_only}, {"MI", "C", nothing, nothing},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const trade rows[] = {{OPEN_NS, 100000, 100, "@", "C", ""},
                          {OPEN_NS + 1, 200000, 50, cases[i].conditions, cases[i].tape, ""},
                          {OPEN_NS + 2, 110000, 100, "@", "C", ""}};
    char expected[200];
    for (int seconds = 0; seconds < 2; seconds++) { /* a second bar goes by the minute column */
      snprintf(expected, sizeof expected, "2024-01-02T14:30:00Z %s\n", cases[i].minute);
      expect((tl_interval){1, seconds ? TL_SECOND : TL_MINUTE}, SIP, rows, 3, expected);
    }
    snprintf(expected, sizeof expected, "2024-01-02T05:00:00Z %s\n", cases[i].day);
    expect((tl_interval){1, TL_DAY}, SIP, rows, 3, expected);
    snprintf(expected, sizeof expected, "2024-01-01T05:00:00Z %s\n", cases[i].day);
    expect((tl_interval){1, TL_WEEK}, SIP, rows, 3, expected);
    snprintf(expected, sizeof expected, "2024-01-02T14:30:00Z %s\n", full);
    expect((tl_interval){1, TL_MINUTE}, TL_CONDITIONS_ALL, rows, 3, expected);
    snprintf(expected, sizeof expected, "2024-01-02T05:00:00Z %s\n", full);
    expect((tl_interval){1, TL_DAY}, TL_CONDITIONS_ALL, rows, 3, expected);
  }
}

static void a_late_trade_opens_the_day_only_when_it_is_the_first(void **state) {
  (void)state;
  EXPECT(1, TL_DAY, SIP, "2024-01-02T05:00:00Z 20 20 10 12 v300 n3 14\n", {OPEN_NS, 200000, 100, "Z", "C", ""},
         {OPEN_NS + 1, 100000, 100, "@", "C", ""}, {OPEN_NS + 2, 120000, 100, "@", "C", ""});
  EXPECT(1, TL_DAY, SIP, "2024-01-02T05:00:00Z 20 20 20 20 v100 n1 20\n", {OPEN_NS, 200000, 100, "P", "C", ""});
  /* the second one is not the first: it moves high and low, the close stays */
  EXPECT(1, TL_DAY, SIP, "2024-01-02T05:00:00Z 20 21 20 20 v200 n2 20.5\n", {OPEN_NS, 200000, 100, "4", "C", ""},
         {OPEN_NS + 1, 210000, 100, "G", "C", ""});
  /* an odd lot before has no price, so the late one still is the first that has */
  EXPECT(1, TL_DAY, SIP, "2024-01-02T05:00:00Z 20 20 20 20 v101 n2 20\n", {OPEN_NS, 90000, 1, "I", "C", ""},
         {OPEN_NS + 1, 200000, 100, "P", "C", ""});
  /* each day has its own first */
  EXPECT(1, TL_DAY, SIP, "2024-01-02T05:00:00Z 10 10 10 10 v100 n1 10\n2024-01-03T05:00:00Z 20 20 20 20 v100 n1 20\n",
         {OPEN_NS, 100000, 100, "@", "C", ""}, {OPEN_NS + 86400 * S, 200000, 100, "Z", "C", ""});
}

/* ---- the other rules ---- */

static void canceled_and_incorrect_trades_are_left_out(void **state) {
  (void)state;
  for (int all = 0; all < 2; all++)
    EXPECT(1, TL_MINUTE, all ? TL_CONDITIONS_ALL : SIP, "2024-01-02T14:30:00Z 10 12 10 12 v200 n2 11\n", {OPEN_NS, 100000, 100, "@", "C", ""},
           {OPEN_NS + 1, 900000, 100, "@", "C", "canceled"}, {OPEN_NS + 2, 10000, 100, "@", "C", "incorrect"},
           {OPEN_NS + 3, 120000, 100, "@", "C", "corrected"});
}

static void a_bar_needs_a_price_and_a_volume(void **state) {
  (void)state;
  EXPECT(1, TL_SECOND, SIP, "", {OPEN_NS, 100000, 50, "I", "C", ""});
  EXPECT(1, TL_SECOND, SIP, "", {OPEN_NS, 100000, 0, "@", "C", ""});
  EXPECT(1, TL_SECOND, SIP, "", {OPEN_NS, 100000, NO_SIZE, "@", "C", ""});
  EXPECT(1, TL_SECOND, SIP, "", {OPEN_NS, 0, 100, "@", "C", ""});
  EXPECT(1, TL_DAY, SIP, "", {OPEN_NS, 100000, 100, "9", "C", ""}); /* a price without volume */
  EXPECT(1, TL_DAY, SIP, "", {OPEN_NS, 100000, 100, "9", "C", ""}, {OPEN_NS, 100000, 100, "I", "C", ""}); /* and no vwap */
  EXPECT(1, TL_SECOND, SIP, "2024-01-02T14:30:00Z 10 11 10 11 v100 n2 10\n", {OPEN_NS, 100000, 100, "@", "C", ""},
         {OPEN_NS + 1, 110000, NO_SIZE, "@", "C", ""});
}

static void volume_without_a_bar_is_told(void **state) {
  (void)state;
  const trade rows[] = {{OPEN_NS, 100000, 30, "I", "C", ""}, {OPEN_NS + 1, 100000, 40, "I", "C", ""}, {OPEN_NS + 2, 100000, 5, "M", "C", ""},
                        {OPEN_NS + S, 100000, 100, "@", "C", ""}, {OPEN_NS + S, 100000, 7, "@", "C", "canceled"}};
  put_trades(rows, 5);
  tl_ticks_to_bars make;
  assert_int_equal(tl_ticks_to_bars_init(&make, (tl_interval){1, TL_SECOND}, SIP, words, NULL), TL_OK);
  tl_batch_clear(&bars);
  feed(&make, 0, 5);
  assert_int_equal(tl_ticks_to_bars_flush(&make, &bars, NULL), TL_OK);
  assert_true(make.trades == 5 && make.left_out == 1 && make.barless_trades == 2 && make.barless_volume == 70);
  assert_int_equal(bars.rows, 1);
  tl_ticks_to_bars_deinit(&make);
}

static void longer_bars_are_made_of_minute_and_day_bars(void **state) {
  (void)state;
  /* 14:31 has no price, so its 50 shares are in no minute bar and not in the 5-minute bar */
  EXPECT(5, TL_MINUTE, SIP, "2024-01-02T14:30:00Z 10 12 10 12 v200 n2 11\n2024-01-02T14:35:00Z 9 9 9 9 v1 n1 9\n",
         {OPEN_NS, 100000, 100, "@", "C", ""}, {OPEN_NS + MINUTE, 300000, 50, "I", "C", ""}, {OPEN_NS + 2 * MINUTE, 120000, 100, "@", "C", ""},
         {OPEN_NS + 5 * MINUTE, 90000, 1, "@", "C", ""});
  EXPECT(1, TL_HOUR, SIP, "2024-01-02T14:00:00Z 10 10 10 10 v100 n1 10\n2024-01-02T15:00:00Z 12 12 12 12 v100 n1 12\n",
         {OPEN_NS, 100000, 100, "@", "C", ""}, {OPEN_NS + 30 * MINUTE, 120000, 100, "@", "C", ""});
  /* seconds are cut from the trades themselves */
  EXPECT(5, TL_SECOND, SIP, "2024-01-02T14:30:00Z 10 12 10 12 v250 n3 11\n", {OPEN_NS, 100000, 100, "@", "C", ""},
         {OPEN_NS + S, 300000, 50, "I", "C", ""}, {OPEN_NS + 5 * S - 1, 120000, 100, "@", "C", ""});
  /* a week of day bars; the second day has volume only */
  EXPECT(1, TL_WEEK, SIP, "2024-01-01T05:00:00Z 10 12 10 12 v200 n2 11\n", {OPEN_NS, 100000, 100, "@", "C", ""},
         {OPEN_NS + 86400 * S, 300000, 50, "I", "C", ""}, {OPEN_NS + 2 * 86400 * S, 120000, 100, "@", "C", ""});
  EXPECT(1, TL_MONTH, SIP, "2024-01-01T05:00:00Z 10 10 10 10 v100 n1 10\n2024-02-01T05:00:00Z 12 12 12 12 v100 n1 12\n",
         {OPEN_NS, 100000, 100, "@", "C", ""}, {OPEN_NS + 30 * 86400 * S, 120000, 100, "@", "C", ""});
}

static void days_are_new_york_days(void **state) {
  (void)state;
  /* 2024-03-10, a Sunday, has 23 hours: it begins at 05:00Z, the Monday after at 04:00Z */
  int64_t sunday = (DAY + 68) * 86400 * S + 5 * 3600 * S;
  EXPECT(1, TL_DAY, SIP,
         "2024-03-09T05:00:00Z 10 10 10 10 v1 n1 10\n2024-03-10T05:00:00Z 11 12 11 12 v2 n2 11.5\n2024-03-11T04:00:00Z 13 13 13 13 v1 n1 13\n",
         {sunday - 1, 100000, 1, "@", "C", ""}, {sunday, 110000, 1, "@", "C", ""}, {sunday + 23 * 3600 * S - 1, 120000, 1, "@", "C", ""},
         {sunday + 23 * 3600 * S, 130000, 1, "@", "C", ""});
}

static void vwap_is_exact_and_rounded_half_up_to_six_decimals(void **state) {
  (void)state;
  EXPECT(1, TL_MINUTE, SIP, "2024-01-02T14:30:00Z 10 10.0001 10 10.0001 v3 n2 10.000067\n", {OPEN_NS, 100000, 1, "@", "C", ""},
         {OPEN_NS, 100001, 2, "@", "C", ""}); /* 10.0000666... */
  EXPECT(1, TL_MINUTE, SIP, "2024-01-02T14:30:00Z 1 1.0001 1 1.0001 v200 n2 1.000001\n", {OPEN_NS, 10000, 199, "@", "C", ""},
         {OPEN_NS, 10001, 1, "@", "C", ""}); /* 1.0000005 */
}

static void sums_beyond_their_type_are_null(void **state) {
  (void)state;
  const trade rows[] = {{OPEN_NS, 100000, 1, "@", "C", ""}, {OPEN_NS, 110000, 1, "@", "C", ""}, {OPEN_NS + MINUTE, 100000, 1, "@", "C", ""}};
  static const char expected[] = "2024-01-02T14:30:00Z 10 11 10 11 v-1 n2 -1\n2024-01-02T14:31:00Z 9e+15 9e+15 9e+15 9e+15 v1 n1 -1\n";
  put_trades(rows, 3);
  trades.columns[TL_TRADES_SIZE].i64[0] = trades.columns[TL_TRADES_SIZE].i64[1] = INT64_MAX;
  trades.columns[TL_TRADES_PRICE].f64[2] = 9e15;
  tl_ticks_to_bars make;
  assert_int_equal(tl_ticks_to_bars_init(&make, (tl_interval){1, TL_MINUTE}, SIP, words, NULL), TL_OK);
  tl_batch_clear(&bars);
  feed(&make, 0, 3);
  assert_int_equal(tl_ticks_to_bars_flush(&make, &bars, NULL), TL_OK);
  tl_ticks_to_bars_deinit(&make);
  assert_string_equal(bars_text(), expected);
}

static void the_cut_is_the_open_bar_and_a_flush_ends_the_symbol(void **state) {
  (void)state;
  const trade rows[] = {{OPEN_NS + S, 100000, 1, "@", "C", ""}, {OPEN_NS + 7 * MINUTE, 110000, 1, "@", "C", ""}};
  put_trades(rows, 2);
  tl_ticks_to_bars make;
  assert_int_equal(tl_ticks_to_bars_init(&make, (tl_interval){5, TL_MINUTE}, SIP, words, NULL), TL_OK);
  tl_batch_clear(&bars);
  assert_true(tl_ticks_to_bars_cut(&make) == INT64_MIN);
  feed(&make, 0, 1);
  assert_true(tl_ticks_to_bars_cut(&make) == OPEN_NS && bars.rows == 0);
  feed(&make, 1, 2);
  assert_true(tl_ticks_to_bars_cut(&make) == OPEN_NS + 5 * MINUTE && bars.rows == 1);
  assert_int_equal(tl_ticks_to_bars_flush(&make, &bars, NULL), TL_OK);
  assert_true(tl_ticks_to_bars_cut(&make) == INT64_MIN && bars.rows == 2);
  assert_int_equal(tl_ticks_to_bars_flush(&make, &bars, NULL), TL_OK);
  assert_int_equal(bars.rows, 2);
  feed(&make, 0, 1); /* another symbol, earlier */
  assert_int_equal(tl_ticks_to_bars_flush(&make, &bars, NULL), TL_OK);
  assert_string_equal(bars_text(), "2024-01-02T14:30:00Z 10 10 10 10 v1 n1 10\n2024-01-02T14:35:00Z 11 11 11 11 v1 n1 11\n"
                                   "2024-01-02T14:30:00Z 10 10 10 10 v1 n1 10\n");
  feed(&make, 1, 2);
  assert_int_equal(tl_ticks_to_bars_feed(&make, &trades, 0, 1, &bars, NULL), TL_EINTERNAL);
  tl_ticks_to_bars_deinit(&make);
}

/* ---- against another way of computing it ---- */

static bool has(const trade *t, const char *letters) { return strpbrk(t->conditions, letters) != NULL; }
static bool is_out(const trade *t) { return strcmp(t->update, "canceled") == 0 || strcmp(t->update, "incorrect") == 0; }
static bool held_back(const trade *t) { return has(t, "ICNRHVW7U") || (has(t, "B") && (t->tape[0] == 'A' || t->tape[0] == 'B')); }
static bool counts(const trade *t) { return !is_out(t) && !has(t, "MQ9"); } /* for volume; the same in both columns */
static bool moves(const trade *t, bool day) { /* high and low */
  if (is_out(t) || has(t, "MQ") || held_back(t)) return false;
  return day ? !has(t, "T") : !has(t, "9P4ZG");
}
static bool closes(const trade *t, bool day) { return moves(t, day) && !has(t, "P4ZG"); }

typedef struct bar {
  bool is;
  int64_t o, h, l, c, v, n, vv;
  __int128 sum;
} bar;

static bar naive_base(const trade *rows, size_t count, int64_t from, int64_t to, bool day) {
  bar b = {0};
  size_t first = count, last = count;
  for (size_t i = 0; i < count; i++) {
    if (rows[i].ns < from || rows[i].ns >= to) continue;
    if (moves(&rows[i], day) && first == count) first = i; /* a late one opens when nothing with a price came before */
    if (closes(&rows[i], day)) last = i;
  }
  if (first == count) return b;
  b.o = rows[first].price_e4;
  b.c = last == count ? b.o : rows[last].price_e4;
  b.h = 0, b.l = INT64_MAX;
  for (size_t i = 0; i < count; i++) {
    const trade *t = &rows[i];
    if (t->ns < from || t->ns >= to) continue;
    if (moves(t, day) && t->price_e4 > b.h) b.h = t->price_e4;
    if (moves(t, day) && t->price_e4 < b.l) b.l = t->price_e4;
    if (counts(t)) b.v += t->size, b.n++;
    if (counts(t) && moves(t, day)) b.sum += (__int128)t->price_e4 * t->size, b.vv += t->size;
  }
  b.is = b.v > 0 && b.sum > 0 && b.l > 0;
  return b;
}

static void naive(const trade *rows, size_t count, int64_t start, int64_t end, int64_t base, int64_t whole, bool day, tl_buf *out) {
  tl_buf_clear(out);
  tl_buf_appends(out, "", NULL);
  for (int64_t at = start; at < end; at += whole) {
    bar sum = {0};
    for (int64_t part = at; part < at + whole; part += base) {
      bar b = naive_base(rows, count, part, part + base, day);
      if (!b.is) continue;
      if (!sum.is) sum = b;
      else {
        sum.h = b.h > sum.h ? b.h : sum.h;
        sum.l = b.l < sum.l ? b.l : sum.l;
        sum.c = b.c, sum.v += b.v, sum.n += b.n, sum.vv += b.vv, sum.sum += b.sum;
      }
    }
    if (!sum.is) continue;
    const double prices[] = {(double)sum.o / 1e4, (double)sum.h / 1e4, (double)sum.l / 1e4, (double)sum.c / 1e4};
    int64_t twice_e6 = (int64_t)(sum.sum * 200 / sum.vv); /* floor of twice the millionths: odd or above means round up */
    put_bar(out, at, prices, sum.v, sum.n, (double)((twice_e6 + 1) / 2) / 1e6);
  }
}

static void random_trades_in_random_pieces(void **state) {
  (void)state;
  static const struct { tl_interval interval; int64_t base, whole, start, step; bool day; } kinds[] = {
    {{1, TL_SECOND}, S, S, OPEN_NS, S / 3, false},
    {{10, TL_SECOND}, 10 * S, 10 * S, OPEN_NS, 4 * S, false},
    {{1, TL_MINUTE}, MINUTE, MINUTE, OPEN_NS, 20 * S, false},
    {{5, TL_MINUTE}, MINUTE, 5 * MINUTE, OPEN_NS, 30 * S, false},
    {{1, TL_HOUR}, MINUTE, 60 * MINUTE, OPEN_NS - 30 * MINUTE, 60 * S, false},
    {{1, TL_DAY}, 1440 * MINUTE, 1440 * MINUTE, DAY * 86400 * S + 300 * MINUTE, 180 * MINUTE, true},
    {{1, TL_WEEK}, 1440 * MINUTE, 7 * 1440 * MINUTE, (DAY - 1) * 86400 * S + 300 * MINUTE, 360 * MINUTE, true},
  };
  static const char *const conditions[] = {"@", "@", "@", "@I", "I", "@F", "T", "@TI", "Z", "P", "4", "9", "M", "Q", "B", "U", "-", "", "G9", "7"};
  static const char *const tapes[] = {"A", "B", "C", "C"}, *const updates[] = {"", "", "", "", "", "", "", "canceled", "incorrect", "corrected"};
  tl_prng prng = tl_prng_init(3);
  tl_buf expected = {0};
  for (int round = 0; round < 700; round++) {
    size_t k = (size_t)round % (sizeof kinds / sizeof kinds[0]);
    trade rows[120];
    size_t count = tl_prng_below(&prng, 120);
    int64_t ns = kinds[k].start;
    for (size_t i = 0; i < count; i++) {
      ns += tl_prng_below(&prng, 3) ? (int64_t)tl_prng_below(&prng, (uint64_t)kinds[k].step) : 0;
      rows[i] = (trade){ns, 100000 + (int64_t)tl_prng_below(&prng, 3000), 1 + (int32_t)tl_prng_below(&prng, 300),
                        conditions[tl_prng_below(&prng, sizeof conditions / sizeof conditions[0])], tapes[tl_prng_below(&prng, 4)],
                        updates[tl_prng_below(&prng, 10)]};
    }
    naive(rows, count, kinds[k].start, ns + 1, kinds[k].base, kinds[k].whole, kinds[k].day, &expected);
    put_trades(rows, count);
    tl_ticks_to_bars make;
    assert_int_equal(tl_ticks_to_bars_init(&make, kinds[k].interval, SIP, words, NULL), TL_OK);
    tl_batch_clear(&bars);
    for (size_t at = 0; at < count;) {
      size_t next = at + 1 + tl_prng_below(&prng, 20);
      if (next > count) next = count;
      feed(&make, at, next);
      at = next;
    }
    assert_int_equal(tl_ticks_to_bars_flush(&make, &bars, NULL), TL_OK);
    tl_ticks_to_bars_deinit(&make);
    assert_string_equal(bars_text(), expected.data);
  }
  tl_buf_deinit(&expected);
}

#ifdef TL_FAULTS
static void every_failed_allocation_is_told(void **state) {
  (void)state;
  const trade rows[] = {{OPEN_NS, 100000, 1, "@", "C", ""}, {OPEN_NS + S, 110000, 1, "@", "C", ""}, {OPEN_NS + 2 * S, 110000, 1, "@", "C", ""}};
  put_trades(rows, 3);
  int64_t live = tl_alloc_live();
  for (long n = 1; n < 200; n++) {
    tl_words *own = NULL;
    tl_batch out = {.def = tl_kind_def_of(TL_BARS)};
    tl_ticks_to_bars make = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = tl_words_open(&own, NULL);
    if (!st) st = tl_ticks_to_bars_init(&make, (tl_interval){1, TL_SECOND}, SIP, own, NULL);
    if (!st) make.words = words; /* whose codes the trades hold */
    if (!st) st = tl_ticks_to_bars_feed(&make, &trades, 0, 3, &out, NULL);
    if (!st) st = tl_ticks_to_bars_flush(&make, &out, NULL);
    bool fired = tl_fault_disarm();
    tl_ticks_to_bars_deinit(&make);
    tl_batch_deinit(&out);
    tl_words_close(own);
    assert_int_equal(tl_alloc_live(), live);
    assert_int_equal(st, fired ? TL_ENOMEM : TL_OK);
    if (!fired) return;
  }
  fail_msg("still faulting");
}
#endif

static int set_up(void **state) {
  (void)state;
  tl_batch_init(&trades, TL_TRADES);
  tl_batch_init(&bars, TL_BARS);
  return tl_words_open(&words, NULL) ? -1 : 0;
}

static int tear_down(void **state) {
  (void)state;
  tl_batch_deinit(&trades);
  tl_batch_deinit(&bars);
  tl_buf_deinit(&text);
  tl_words_close(words);
  return tl_alloc_live() == 0 ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_condition_by_minute_and_by_day),
    cmocka_unit_test(a_late_trade_opens_the_day_only_when_it_is_the_first),
    cmocka_unit_test(canceled_and_incorrect_trades_are_left_out),
    cmocka_unit_test(a_bar_needs_a_price_and_a_volume),
    cmocka_unit_test(volume_without_a_bar_is_told),
    cmocka_unit_test(longer_bars_are_made_of_minute_and_day_bars),
    cmocka_unit_test(days_are_new_york_days),
    cmocka_unit_test(vwap_is_exact_and_rounded_half_up_to_six_decimals),
    cmocka_unit_test(sums_beyond_their_type_are_null),
    cmocka_unit_test(the_cut_is_the_open_bar_and_a_flush_ends_the_symbol),
    cmocka_unit_test(random_trades_in_random_pieces),
#ifdef TL_FAULTS
    cmocka_unit_test(every_failed_allocation_is_told),
#endif
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
