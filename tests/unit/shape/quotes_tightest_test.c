/* Quotes to one a second, by cases and against a naive second look at all rows: for each second all its quotes are
 * collected and compared pairwise, spreads in long double of decimal text. */
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
#include "shape/quotes_tightest.h"

#define S INT64_C(1000000000)

typedef struct quote { /* prices in 1/10000; negative: NULL */
  int64_t ns, bid_e4, ask_e4;
  int size; /* tells quotes apart */
} quote;

static tl_batch quotes, seconds;
static tl_buf text;

static void set_price(tl_batch *batch, int column, int64_t e4) {
  char decimal[32];
  snprintf(decimal, sizeof decimal, "%lld.%04lld", (long long)(e4 < 0 ? 0 : e4 / 10000), (long long)(e4 < 0 ? 0 : e4 % 10000));
  batch->columns[column].f64[batch->rows] = strtod(decimal, NULL);
  if (e4 < 0) tl_column_set_null(&batch->columns[column], batch->rows);
}

static void put_quotes(const quote *rows, size_t count) {
  tl_batch_clear(&quotes);
  assert_int_equal(tl_batch_reserve(&quotes, count, NULL), TL_OK);
  for (size_t i = 0; i < count; i++) {
    for (int c = 1; c < TL_QUOTES_COLUMN_COUNT; c++) {
      tl_type type = quotes.def->columns[c].type;
      if (type == TL_WORD || type == TL_WORDS) quotes.columns[c].word[i] = (uint32_t)(rows[i].size * 2 + c);
      if (type == TL_I64) quotes.columns[c].i64[i] = rows[i].size * 10 + c;
    }
    if (rows[i].size % 5 == 4) tl_column_set_null(&quotes.columns[TL_QUOTES_ASK_EXCHANGE], i);
    tl_batch_times(&quotes)[i] = rows[i].ns;
    set_price(&quotes, TL_QUOTES_BID_PRICE, rows[i].bid_e4);
    set_price(&quotes, TL_QUOTES_ASK_PRICE, rows[i].ask_e4);
    quotes.rows++;
  }
}

/* "second bid ask size spread count" a row; the size is that of the quote chosen. */
static const char *seconds_text(void) {
  tl_buf_clear(&text);
  tl_buf_appends(&text, "", NULL);
  for (size_t row = 0; row < seconds.rows; row++) {
    const tl_column *c = seconds.columns;
    assert_int_equal(c[TL_COL_TIME].i64[row] % S, 0);
    tl_buf_appendf(&text, NULL, "%lld", (long long)(c[TL_COL_TIME].i64[row] / S));
    static const int prices[] = {TL_QUOTES_1S_BID_PRICE, TL_QUOTES_1S_ASK_PRICE};
    for (int i = 0; i < 2; i++) {
      if (tl_column_valid(&c[prices[i]], row)) tl_buf_appendf(&text, NULL, " %.17g", c[prices[i]].f64[row]);
      else tl_buf_appends(&text, " -", NULL);
    }
    int64_t size = c[TL_QUOTES_1S_BID_SIZE].i64[row] / 10;
    assert_int_equal(c[TL_QUOTES_1S_ASK_SIZE].i64[row], size * 10 + TL_QUOTES_ASK_SIZE); /* all of one quote */
    assert_int_equal(c[TL_QUOTES_1S_BID_EXCHANGE].word[row], size * 2 + TL_QUOTES_BID_EXCHANGE);
    assert_int_equal(tl_column_valid(&c[TL_QUOTES_1S_ASK_EXCHANGE], row), size % 5 != 4);
    tl_buf_appendf(&text, NULL, " #%lld", (long long)size);
    if (tl_column_valid(&c[TL_QUOTES_1S_SPREAD], row)) tl_buf_appendf(&text, NULL, " %.17g", c[TL_QUOTES_1S_SPREAD].f64[row]);
    else tl_buf_appends(&text, " -", NULL);
    tl_buf_appendf(&text, NULL, " %lld\n", (long long)c[TL_QUOTES_1S_QUOTE_COUNT].i64[row]);
  }
  return text.data;
}

static void feed(tl_quotes_tightest *tightest, size_t begin, size_t end) {
  assert_int_equal(tl_quotes_tightest_feed(tightest, &quotes, begin, end, &seconds, NULL), TL_OK);
}

static void expect(const quote *rows, size_t count, const char *expected) {
  put_quotes(rows, count);
  for (size_t cut = 0; cut <= count; cut++) { /* the rows in one piece, and in two, wherever they are cut */
    tl_quotes_tightest tightest = {0};
    tl_batch_clear(&seconds);
    feed(&tightest, 0, cut);
    feed(&tightest, cut, count);
    assert_int_equal(tl_quotes_tightest_flush(&tightest, &seconds, NULL), TL_OK);
    tl_quotes_tightest_deinit(&tightest);
    assert_string_equal(seconds_text(), expected);
  }
}
#define EXPECT(expected, ...) expect((const quote[]){__VA_ARGS__}, sizeof((const quote[]){__VA_ARGS__}) / sizeof(quote), expected)

static void the_tightest_wins(void **state) {
  (void)state;
  EXPECT("1 10 10.01 #2 0.01 3\n", {S, 100000, 100500, 1}, {S + 1, 100000, 100100, 2}, {2 * S - 1, 100000, 100200, 3});
}

static void a_tie_goes_to_the_latest(void **state) {
  (void)state;
  EXPECT("1 20 20.010000000000002 #3 0.01 4\n", {S, 100000, 100100, 1}, {S + 5, 100000, 100100, 2}, {S + 5, 200000, 200100, 3},
         {S + 5, 200000, 200200, 4});
}

static void a_locked_quote_has_spread_zero_and_a_crossed_one_none(void **state) {
  (void)state;
  EXPECT("1 10 10 #2 0 3\n", {S, 100000, 100100, 1}, {S, 100000, 100000, 2}, {S, 100100, 100000, 3});
}

static void without_two_sides_the_latest_quote_stands_with_no_spread(void **state) {
  (void)state;
  EXPECT("1 - 10 #3 - 3\n2 10 0 #4 - 1\n3 10.1 10 #6 - 2\n", {S, 0, 100000, 1}, {S, 100000, -1, 2}, {S, -1, 100000, 3}, {2 * S, 100000, 0, 4},
         {3 * S, -1, -1, 5}, {3 * S, 101000, 100000, 6});
  EXPECT("1 10 10.5 #1 0.5 3\n", {S, 100000, 105000, 1}, {S, 0, 100000, 2}, {S, 100000, -1, 3});
}

static void the_spread_is_the_decimal_difference(void **state) {
  (void)state;
  /* 0.3 - 0.1 and 187.19 - 187.17 are not these doubles */
  EXPECT("1 0.10000000000000001 0.29999999999999999 #1 0.20000000000000001 1\n2 187.16999999999999 187.19 #2 0.02 1\n", {S, 1000, 3000, 1},
         {2 * S, 1871700, 1871900, 2});
}

static void seconds_begin_at_whole_seconds_also_before_1970(void **state) {
  (void)state;
  EXPECT("-2 1 2 #1 1 1\n-1 1 2 #3 1 2\n0 1 2 #4 1 1\n", {-S - 1, 10000, 20000, 1}, {-S, 10000, 20000, 2}, {-1, 10000, 20000, 3},
         {0, 10000, 20000, 4});
}

static void a_price_beyond_measure_is_no_side(void **state) {
  (void)state;
  EXPECT("1 1 8999999999 #1 8999999998 2\n", {S, 10000, 89999999990000, 1}, {S, 10000, 90000000000000, 2});
}

static void the_cut_is_the_open_second(void **state) {
  (void)state;
  const quote rows[] = {{S, 10000, 20000, 1}, {5 * S + 7, 10000, 20000, 2}};
  put_quotes(rows, 2);
  tl_quotes_tightest tightest = {0};
  tl_batch_clear(&seconds);
  assert_true(tl_quotes_tightest_cut(&tightest) == INT64_MIN);
  feed(&tightest, 0, 1);
  assert_true(tl_quotes_tightest_cut(&tightest) == S && seconds.rows == 0);
  feed(&tightest, 1, 2);
  assert_true(tl_quotes_tightest_cut(&tightest) == 5 * S && seconds.rows == 1);
  assert_int_equal(tl_quotes_tightest_flush(&tightest, &seconds, NULL), TL_OK);
  assert_true(tl_quotes_tightest_cut(&tightest) == INT64_MIN && seconds.rows == 2);
  feed(&tightest, 0, 1); /* another symbol may begin earlier */
  assert_int_equal(tightest.quotes, 3);
  tl_quotes_tightest_deinit(&tightest);
}

static void rows_out_of_order_are_our_own_mistake(void **state) {
  (void)state;
  const quote rows[] = {{5 * S, 10000, 20000, 1}, {5 * S + 1, 10000, 20000, 2}, {4 * S, 10000, 20000, 3}};
  put_quotes(rows, 3);
  tl_quotes_tightest tightest = {0};
  assert_int_equal(tl_quotes_tightest_feed(&tightest, &quotes, 0, 3, &seconds, NULL), TL_EINTERNAL);
  tl_quotes_tightest_deinit(&tightest);
  feed(&tightest, 0, 2);
  assert_int_equal(tl_quotes_tightest_feed(&tightest, &quotes, 0, 1, &seconds, NULL), TL_EINTERNAL);
  tl_quotes_tightest_deinit(&tightest);
}

/* ---- against another way of computing it ---- */

static bool two_sided(const quote *q) { return q->bid_e4 > 0 && q->ask_e4 > 0 && q->ask_e4 >= q->bid_e4; }

static void naive(const quote *rows, size_t count, tl_buf *out) {
  tl_buf_clear(out);
  tl_buf_appends(out, "", NULL);
  for (int64_t second = 0; second < 60; second++) {
    const quote *best = NULL, *latest = NULL;
    int in_second = 0;
    for (size_t i = 0; i < count; i++) {
      if (rows[i].ns < second * S || rows[i].ns >= (second + 1) * S) continue;
      in_second++;
      latest = &rows[i];
      bool beaten = !two_sided(&rows[i]);
      for (size_t k = 0; k < count && !beaten; k++)
        beaten = rows[k].ns / S == second && two_sided(&rows[k]) &&
                 (rows[k].ask_e4 - rows[k].bid_e4 < rows[i].ask_e4 - rows[i].bid_e4 ||
                  (k > i && rows[k].ask_e4 - rows[k].bid_e4 == rows[i].ask_e4 - rows[i].bid_e4));
      if (!beaten) best = &rows[i];
    }
    if (!latest) continue;
    const quote *q = best ? best : latest;
    tl_buf_appendf(out, NULL, "%lld", (long long)second);
    if (q->bid_e4 < 0) tl_buf_appends(out, " -", NULL);
    else tl_buf_appendf(out, NULL, " %.17g", (double)((long double)q->bid_e4 / 10000.0L));
    if (q->ask_e4 < 0) tl_buf_appends(out, " -", NULL);
    else tl_buf_appendf(out, NULL, " %.17g", (double)((long double)q->ask_e4 / 10000.0L));
    tl_buf_appendf(out, NULL, " #%d", q->size);
    if (best) tl_buf_appendf(out, NULL, " %.17g", (double)((long double)(q->ask_e4 - q->bid_e4) / 10000.0L));
    else tl_buf_appends(out, " -", NULL);
    tl_buf_appendf(out, NULL, " %d\n", in_second);
  }
}

static void random_quotes_in_random_pieces(void **state) {
  (void)state;
  tl_prng prng = tl_prng_init(11);
  tl_buf expected = {0};
  for (int round = 0; round < 300; round++) {
    quote rows[200];
    size_t count = tl_prng_below(&prng, 200);
    int64_t ns = 0;
    for (size_t i = 0; i < count; i++) {
      ns += tl_prng_below(&prng, 3) ? (int64_t)tl_prng_below(&prng, (uint64_t)S / 4) : 0;
      int64_t bid = 100000 + (int64_t)tl_prng_below(&prng, 50), ask = bid + (int64_t)tl_prng_below(&prng, 12) - 3;
      if (tl_prng_below(&prng, 8) == 0) bid = (int64_t)tl_prng_below(&prng, 2) - 1;
      if (tl_prng_below(&prng, 8) == 0) ask = (int64_t)tl_prng_below(&prng, 2) - 1;
      rows[i] = (quote){ns, bid, ask, (int)i};
    }
    naive(rows, count, &expected);
    put_quotes(rows, count);
    tl_quotes_tightest tightest = {0};
    tl_batch_clear(&seconds);
    for (size_t at = 0; at < count;) {
      size_t next = at + 1 + tl_prng_below(&prng, 30);
      if (next > count) next = count;
      feed(&tightest, at, next);
      at = next;
    }
    assert_int_equal(tl_quotes_tightest_flush(&tightest, &seconds, NULL), TL_OK);
    tl_quotes_tightest_deinit(&tightest);
    assert_string_equal(seconds_text(), expected.data);
  }
  tl_buf_deinit(&expected);
}

#ifdef TL_FAULTS
static void every_failed_allocation_is_told(void **state) {
  (void)state;
  const quote rows[] = {{S, 10000, 20000, 1}, {2 * S, 10000, 20000, 2}, {3 * S, 10000, 20000, 3}};
  put_quotes(rows, 3);
  int64_t live = tl_alloc_live();
  for (long n = 1; n < 200; n++) {
    tl_quotes_tightest tightest = {0};
    tl_batch out = {.def = tl_kind_def_of(TL_QUOTES_1S)};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = tl_quotes_tightest_feed(&tightest, &quotes, 0, 2, &out, NULL);
    if (!st) st = tl_quotes_tightest_feed(&tightest, &quotes, 2, 3, &out, NULL);
    if (!st) st = tl_quotes_tightest_flush(&tightest, &out, NULL);
    bool fired = tl_fault_disarm();
    tl_quotes_tightest_deinit(&tightest);
    tl_batch_deinit(&out);
    assert_int_equal(tl_alloc_live(), live);
    assert_int_equal(st, fired ? TL_ENOMEM : TL_OK);
    if (!fired) return;
  }
  fail_msg("still faulting");
}
#endif

static int set_up(void **state) {
  (void)state;
  tl_batch_init(&quotes, TL_QUOTES);
  tl_batch_init(&seconds, TL_QUOTES_1S);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  tl_batch_deinit(&quotes);
  tl_batch_deinit(&seconds);
  tl_buf_deinit(&text);
  return tl_alloc_live() == 0 ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_tightest_wins),
    cmocka_unit_test(a_tie_goes_to_the_latest),
    cmocka_unit_test(a_locked_quote_has_spread_zero_and_a_crossed_one_none),
    cmocka_unit_test(without_two_sides_the_latest_quote_stands_with_no_spread),
    cmocka_unit_test(the_spread_is_the_decimal_difference),
    cmocka_unit_test(seconds_begin_at_whole_seconds_also_before_1970),
    cmocka_unit_test(a_price_beyond_measure_is_no_side),
    cmocka_unit_test(the_cut_is_the_open_second),
    cmocka_unit_test(rows_out_of_order_are_our_own_mistake),
    cmocka_unit_test(random_quotes_in_random_pieces),
#ifdef TL_FAULTS
    cmocka_unit_test(every_failed_allocation_is_told),
#endif
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
