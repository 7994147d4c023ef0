/* pack_test.c - how many pages and requests: many symbols in one where that needs fewer pages, alone where not. */
#include "base/prng.h"
#include "tests/unit/plan/request.h"

static request r;

static void a_year_of_daily_bars_of_500_symbols_needs_13_pages(void **state) {
  (void)state;
  request_make(&r, "1d", 500, "2023-01-01", "2024-01-03"); /* 251 sessions */
  request_plan(&r);
  assert_int_equal(r.plan.rows, 500 * 251);
  assert_int_equal(r.plan.pages, 13);
  assert_int_equal(r.plan.requests, 3);
  assert_int_equal(r.plan.units, 500);
  assert_true(r.plan.minutes > 13.0 / 200 - 1e-9 && r.plan.minutes < 13.0 / 200 + 1e-9);
  tl_plan_deinit(&r.plan);
}

static void a_month_of_minutes_of_50_symbols_is_spread_over_many_short_chains(void **state) {
  (void)state;
  request_make(&r, "1m", 50, "2024-11-01", "2024-12-01"); /* 20 sessions, one of them short */
  for (int i = 0; i < 50; i++) r.symbols[i].rows_per_session = 900;
  request_plan(&r);
  assert_in_range(r.plan.rows, 880000, 900000);
  assert_in_range(r.plan.pages, 90, 100);
  assert_true(r.plan.requests >= 16);
  for (size_t i = 0; i < r.plan.ask_count; i++) assert_true(r.plan.asks[i].pages_expected <= 5);
  tl_plan_deinit(&r.plan);
}

static void a_week_of_minutes_of_three_symbols_is_one_request(void **state) {
  (void)state;
  request_make(&r, "1m", 3, "2024-01-08", "2024-01-15");
  request_plan(&r);
  assert_int_equal(r.plan.requests, 1);
  assert_int_equal(r.plan.pages, 1);
  assert_int_equal(r.plan.units, 3);
  r.input.plain = true;
  request_plan(&r);
  assert_int_equal(r.plan.requests, 3);
  tl_plan_deinit(&r.plan);
}

static void ticks_are_packed_only_when_they_are_known_to_be_few(void **state) {
  (void)state;
  request_make(&r, "trades", 400, "2024-01-08", "2024-01-10");
  request_plan(&r);
  assert_int_equal(r.plan.requests, 800);
  for (int i = 0; i < 400; i++) r.symbols[i].rows_per_session = 100;
  request_plan(&r); /* 40000 rows a day are four pages */
  assert_int_equal(r.plan.units, 800);
  assert_int_equal(r.plan.pages, 8);
  assert_int_equal(r.plan.requests, 2);
  tl_plan_deinit(&r.plan);
}

static void a_request_names_no_more_symbols_than_allowed_and_fits_a_url(void **state) {
  (void)state;
  request_make(&r, "1d", 1200, "2024-01-08", "2024-01-09");
  r.input.symbols_per_ask_max = 100;
  request_plan(&r);
  assert_int_equal(r.plan.requests, 12);
  r.input.symbols_per_ask_max = 10000;
  request_plan(&r);
  size_t symbols = 0;
  for (size_t i = 0; i < r.plan.ask_count; i++) {
    assert_true(r.plan.asks[i].symbol_count * 7 <= 4000); /* "S123%2C" */
    symbols += r.plan.asks[i].symbol_count;
  }
  assert_int_equal(symbols, 1200);
  assert_int_equal(r.plan.requests, 3); /* 571 fit */
  for (int i = 0; i < 1200; i++) memcpy(r.names[i], "A/B/C/", 7);
  request_plan(&r);
  for (size_t i = 0; i < r.plan.ask_count; i++) assert_true(r.plan.asks[i].symbol_count * (3 + 9 + 3) <= 4000);
  tl_plan_deinit(&r.plan);
}

static void symbols_whose_missing_ranges_differ_are_not_packed(void **state) {
  (void)state;
  request_make(&r, "1d", 4, "2024-01-08", "2024-01-10");
  tl_range other = {at("2024-01-08"), at("2024-01-09")};
  r.symbols[1].uncovered = &other;
  r.symbols[3].uncovered_count = 0;
  request_plan(&r);
  assert_int_equal(r.plan.ask_count, 2);
  assert_int_equal(r.plan.asks[0].symbol_count, 2);
  assert_int_equal(r.plan.asks[0].symbols[0], 0);
  assert_int_equal(r.plan.asks[0].symbols[1], 2);
  assert_int_equal(r.plan.asks[1].symbol_count, 1);
  assert_int_equal(r.plan.asks[1].symbols[0], 1);
  tl_plan_deinit(&r.plan);
}

/* Pages as the vendor would send them: rows of a chain by the page limit. Packing is never worse than one by one, and
 * a chain has no more pages than a unit may have unless one symbol alone has them. */
static void packing_never_costs_pages(void **state) {
  (void)state;
  tl_prng prng = tl_prng_init(5);
  for (int round = 0; round < 300; round++) {
    size_t count = 1 + tl_prng_below(&prng, 60);
    request_make(&r, "1m", count, "2024-01-08", "2024-01-20");
    r.input.page_limit = (uint32_t)(1000 + tl_prng_below(&prng, 9000));
    r.input.rate_per_minute = (uint32_t)tl_prng_below(&prng, 400);
    int64_t alone = 0;
    for (size_t i = 0; i < count; i++) {
      r.symbols[i].rows_per_session = 1 + (double)tl_prng_below(&prng, 960);
      double rows = r.symbols[i].rows_per_session * 9; /* Monday 15th is a holiday */
      int64_t pages = ((int64_t)rows + r.input.page_limit - 1) / r.input.page_limit;
      alone += pages;
      if (pages > r.input.pages_per_unit) alone += 2; /* must be cut, and each cut may leave a page that is not full */
    }
    request_plan(&r);
    assert_true(r.plan.pages <= alone);
    int64_t pages = 0;
    for (size_t i = 0; i < r.plan.ask_count; i++) {
      const tl_plan_ask *ask = &r.plan.asks[i];
      pages += (ask->rows_expected + r.input.page_limit - 1) / r.input.page_limit;
      assert_true(ask->pages_expected <= r.input.pages_per_unit);
      for (uint32_t k = 1; k < ask->symbol_count; k++) assert_true(ask->symbols[k - 1] < ask->symbols[k]);
    }
    assert_int_equal(pages, r.plan.pages);
  }
  tl_plan_deinit(&r.plan);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_year_of_daily_bars_of_500_symbols_needs_13_pages),
      cmocka_unit_test(a_month_of_minutes_of_50_symbols_is_spread_over_many_short_chains),
      cmocka_unit_test(a_week_of_minutes_of_three_symbols_is_one_request),
      cmocka_unit_test(ticks_are_packed_only_when_they_are_known_to_be_few),
      cmocka_unit_test(a_request_names_no_more_symbols_than_allowed_and_fits_a_url),
      cmocka_unit_test(symbols_whose_missing_ranges_differ_are_not_packed),
      cmocka_unit_test(packing_never_costs_pages),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
