/* Both decoders of Alpaca pages give the same: rows, runs, rejects with their reasons, token, or both refuse.
 * The plain one goes through a general JSON parser; so it is the truth for the quick one, on pages as documented, on
 * pages with every oddity, and on pages with broken bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alpaca_pages.h"
#include "base/alloc.h"
#include "provider/alpaca/alpaca.h"

typedef struct outcome {
  long taken, refused, rows, rejects;
} outcome;

static void compare(const tl_ask *ask, const char *body, size_t len, tl_page *quick, tl_page *plain, outcome *sum) {
  tl_error quick_err = {0}, plain_err = {0};
  char *exact = tl_strndup(body, len); /* a block of its own, so that a sanitizer sees reads behind its end */
  exact = tl_realloc(exact, len ? len : 1);
  tl_status quick_st = tl_alpaca_page(ask, exact, len, quick, &quick_err);
  tl_status plain_st = tl_alpaca_page_plain(ask, exact, len, plain, &plain_err);
  tl_free(exact);
  const char *difference = quick_st != plain_st ? "the verdict" : pages_differ(quick, plain);
  if (*difference)
    fail_msg("%s differs\nquick: %d %s\nplain: %d %s\npage: %.*s", difference, quick_st, quick_err.message, plain_st, plain_err.message,
             (int)len, body);
  if (quick_st) {
    assert_int_equal(quick_st, TL_EDECODE);
    assert_true(quick_err.message[0]);
    assert_true(quick->batch.rows == 0 && quick->run_count == 0 && quick->reject_count == 0 && quick->token.len == 0);
  }
  sum->taken += quick_st == TL_OK;
  sum->refused += quick_st != TL_OK;
  sum->rows += (long)quick->batch.rows;
  sum->rejects += (long)quick->reject_count;
}

static outcome run(uint64_t seed, long pages, bool odd, bool sound, bool mutate, unsigned rows_max) {
  tl_words *words = NULL;
  assert_int_equal(tl_words_open(&words, NULL), TL_OK);
  tl_page quick, plain;
  tl_page_init(&quick, words);
  tl_page_init(&plain, words);
  page_maker maker = {.prng = tl_prng_init(seed), .odd = odd, .sound = sound};
  outcome sum = {0};
  for (long i = 0; i < pages; i++) {
    tl_wire wire = (tl_wire)maker_below(&maker, 3);
    tl_ask ask = {.wire = wire, .interval = {1, TL_MINUTE}, .symbols = page_symbols, .symbol_count = maker_chance(&maker, 4) ? 1 : 4, .feed = "sip"};
    if (!odd) ask.symbol_count = 4;
    maker_page(&maker, wire, rows_max);
    if (mutate) maker_mutate(&maker);
    compare(&ask, maker.out.data, maker.out.len, &quick, &plain, &sum);
  }
  tl_buf_deinit(&maker.out);
  tl_page_deinit(&quick);
  tl_page_deinit(&plain);
  tl_words_close(words);
  print_message("%ld taken, %ld refused, %ld rows, %ld rejects\n", sum.taken, sum.refused, sum.rows, sum.rejects);
  return sum;
}

static void documented_pages(void **state) {
  (void)state;
  outcome sum = run(1, 400, false, false, false, 60);
  assert_int_equal(sum.refused, 0);
  assert_int_equal(sum.rejects, 0);
  assert_true(sum.rows > 10000);
}

static void odd_pages(void **state) {
  (void)state;
  outcome sum = run(2, 4000, true, false, false, 8);
  assert_true(sum.taken > 500 && sum.refused > 500 && sum.rejects > 500);
}

static void odd_rows_between_usual_ones(void **state) {
  (void)state;
  outcome sum = run(5, 1500, true, true, false, 40);
  assert_true(sum.taken > 500 && sum.rows > 5000 && sum.rejects > 2000);
}

static void mutated_documented_pages(void **state) {
  (void)state;
  outcome sum = run(3, 4000, false, false, true, 12);
  assert_true(sum.taken > 200 && sum.refused > 2000 && sum.rejects > 10);
}

static void mutated_odd_pages(void **state) {
  (void)state;
  outcome sum = run(4, 4000, true, false, true, 8);
  assert_true(sum.taken > 100 && sum.refused > 1000 && sum.rejects > 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(documented_pages),
    cmocka_unit_test(odd_pages),
    cmocka_unit_test(odd_rows_between_usual_ones),
    cmocka_unit_test(mutated_documented_pages),
    cmocka_unit_test(mutated_odd_pages),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
