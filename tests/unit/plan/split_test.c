/* split_test.c - units of time: the formula, trading days, clock changes, holidays, what is young, what is too old. */
#include "tests/unit/plan/request.h"

static request r; /* large; every test makes it anew */

static int64_t plain_units(const char *kind, size_t symbols, const char *start, const char *end, uint32_t limit) {
  request_make(&r, kind, symbols, start, end);
  r.input.plain = true;
  r.input.page_limit = limit;
  int64_t units = request_plan(&r)->units;
  assert_int_equal(units, r.plan.requests);
  tl_plan_deinit(&r.plan);
  return units;
}

/* Counts of the Spark source this replaces for a year; 12, 107 and 1052 there included a sliver where 525600 minutes
 * are not cut evenly (11 and 106 are what it wanted). */
static void the_formula_gives_the_units_people_know_without_slivers(void **state) {
  (void)state;
  static const char from[] = "2021-01-01T00:00:00Z", to[] = "2022-01-01T00:00:00Z";
  static const struct {
    const char *kind;
    uint32_t limit;
    int64_t units;
  } year[] = {
      {"1d", 10000, 1},    {"1h", 10000, 1},    {"30m", 10000, 1}, {"15m", 10000, 1},   {"5m", 10000, 3},
      {"1m", 10000, 11},   {"1w", 10000, 1},    {"1mo", 10000, 1}, {"trades", 10000, 365},
      {"1m", 1000, 106},   {"1m", 100, 1052},   {"1m", 1, 105120}, {"1m", 99999, 2},
  };
  for (size_t i = 0; i < sizeof year / sizeof *year; i++) {
    int64_t units = plain_units(year[i].kind, 1, from, to, year[i].limit);
    if (units != year[i].units) fail_msg("%s at %u: %d units", year[i].kind, year[i].limit, (int)units);
  }
  assert_int_equal(plain_units("trades", 3, "2024-01-08", "2024-01-15", 10000), 21);
  assert_int_equal(plain_units("1m", 3, "2024-01-08", "2024-01-15", 10000), 3);
  assert_int_equal(plain_units("trades", 3, "2024-03-08", "2024-03-15", 10000), 21); /* one of the days has 23 hours */
  assert_int_equal(plain_units("trades", 3, "2024-11-01", "2024-11-08", 10000), 21); /* and one has 25 */
  assert_int_equal(plain_units("trades", 1, "2024-01-08", "2024-01-09T05:00:00.000001Z", 10000), 1);
}

static void plain_bars_are_cut_evenly_to_the_nanosecond(void **state) {
  (void)state;
  request_make(&r, "1m", 1, "2021-01-01T00:00:00.000000007Z", "2022-01-01T00:00:00.00000009Z");
  r.input.plain = true;
  request_plan(&r);
  assert_int_equal(r.plan.ask_count, 11);
  int64_t first = r.plan.asks[0].range.end_ns - r.plan.asks[0].range.start_ns;
  for (size_t i = 0; i < 11; i++) {
    tl_range range = r.plan.asks[i].range;
    assert_in_range(range.end_ns - range.start_ns, first - 1, first + 1);
    if (i) assert_int_equal(r.plan.asks[i - 1].range.end_ns, range.start_ns);
  }
  assert_int_equal(r.plan.asks[10].range.end_ns, r.range.end_ns);
  tl_plan_deinit(&r.plan);
}

static void a_unit_of_ticks_is_a_trading_day_and_the_closed_days_after_it(void **state) {
  (void)state;
  request_make(&r, "trades", 1, "2024-11-25", "2024-12-04"); /* Thanksgiving on Thursday 28, half day on Friday */
  request_plan(&r);
  assert_int_equal(r.plan.ask_count, 6);
  request_expect_ask(&r, 0, "2024-11-25", "2024-11-26");
  request_expect_ask(&r, 1, "2024-11-26", "2024-11-27");
  request_expect_ask(&r, 2, "2024-11-27", "2024-11-29");
  request_expect_ask(&r, 3, "2024-11-29", "2024-12-02");
  request_expect_ask(&r, 4, "2024-12-02", "2024-12-03");
  request_expect_ask(&r, 5, "2024-12-03", "2024-12-04");
  assert_int_equal(r.plan.asks[2].rows_expected, 20000);
  assert_int_equal(r.plan.asks[3].rows_expected, 20000 * 13 / 16); /* 04:00 to 17:00 */
  request_make(&r, "trades", 1, "2024-11-30", "2024-12-03"); /* begins on a Saturday */
  request_plan(&r);
  assert_int_equal(r.plan.ask_count, 1);
  request_expect_ask(&r, 0, "2024-11-30", "2024-12-03");
  tl_plan_deinit(&r.plan);
}

static void days_have_23_and_25_hours_when_the_clocks_change(void **state) {
  (void)state;
  request_make(&r, "quotes", 1, "2024-03-08", "2024-03-12");
  request_plan(&r);
  assert_int_equal(r.plan.ask_count, 2); /* Friday with its weekend, Monday */
  request_expect_ask(&r, 0, "2024-03-08T05:00:00Z", "2024-03-11T04:00:00Z");
  request_expect_ask(&r, 1, "2024-03-11T04:00:00Z", "2024-03-12T04:00:00Z");
  request_make(&r, "quotes", 1, "2024-11-03", "2024-11-04"); /* that Sunday alone, on a feed that never closes */
  r.input.always_open = true;
  request_plan(&r);
  assert_int_equal(r.plan.ask_count, 1);
  assert_int_equal(r.plan.asks[0].range.end_ns - r.plan.asks[0].range.start_ns, 25 * 3600 * TL_NS_PER_S);
  tl_plan_deinit(&r.plan);
}

static void days_without_a_session_are_recorded_but_not_asked_for(void **state) {
  (void)state;
  static const char *const kinds[] = {"trades", "ticks", "quotes", "1m", "1h", "1d"};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    request_make(&r, kinds[i], 3, "2024-12-25", "2024-12-26");
    request_plan(&r);
    assert_int_equal(r.plan.requests, 0);
    assert_int_equal(r.plan.pages, 0);
    assert_int_equal(r.plan.closed_units, 3);
    assert_int_equal(r.plan.ask_count, 1);
    assert_string_equal(r.plan.asks[0].closed, "calendar");
    request_expect_ask(&r, 0, "2024-12-25", "2024-12-26");
    r.input.always_open = true;
    request_plan(&r);
    assert_int_equal(r.plan.closed_units, 0);
    assert_true(r.plan.requests > 0);
    tl_plan_deinit(&r.plan);
  }
  request_make(&r, "1mo", 1, "2024-01-01", "2024-01-02"); /* the month's bar begins on New Year's Day */
  request_plan(&r);
  assert_int_equal(r.plan.requests, 1);
  tl_plan_deinit(&r.plan);
}

static void nothing_is_asked_before_the_vendors_history_or_after_now(void **state) {
  (void)state;
  request_make(&r, "1d", 2, "2015-12-01", "2016-02-01");
  r.input.history_start_ns = at("2016-01-01T00:00:00Z");
  r.input.latest_ns = r.input.now_ns = at("2016-01-20T15:00:00Z");
  request_plan(&r);
  assert_int_equal(r.plan.ask_count, 3);
  request_expect_ask(&r, 0, "2015-12-01", "2016-01-01T00:00:00Z");
  assert_string_equal(r.plan.asks[0].closed, "before the provider's history");
  request_expect_ask(&r, 1, "2016-01-01T00:00:00Z", "2016-01-20"); /* the day that is not over is asked for apart */
  request_expect_ask(&r, 2, "2016-01-20", "2016-01-20T15:00:00Z");
  assert_true(r.plan.asks[1].settles_ns == at("2016-01-20"));
  assert_true(r.plan.asks[2].settles_ns == at("2016-01-21")); /* its bar is final at midnight */
  r.input.latest_ns = at("2015-01-01");
  request_plan(&r);
  assert_int_equal(r.plan.ask_count, 0);
  tl_plan_deinit(&r.plan);
}

static void what_is_young_has_units_of_its_own(void **state) {
  (void)state;
  request_make(&r, "1mo", 1, "2024-01-01", "2024-03-16");
  r.input.now_ns = r.input.latest_ns = at("2024-03-20T15:00:00Z");
  request_plan(&r);
  assert_int_equal(r.plan.ask_count, 2);
  request_expect_ask(&r, 0, "2024-01-01", "2024-03-01");
  request_expect_ask(&r, 1, "2024-03-01", "2024-03-16");
  assert_true(r.plan.asks[1].settles_ns == at("2024-04-01")); /* so it is partial although it ended days ago */
  request_make(&r, "trades", 1, "2024-03-15", "2024-03-18"); /* Friday's weekend is going on: Friday is final */
  r.input.now_ns = r.input.latest_ns = at("2024-03-16T15:00:00Z");
  request_plan(&r);
  assert_int_equal(r.plan.ask_count, 2);
  request_expect_ask(&r, 0, "2024-03-15", "2024-03-16");
  request_expect_ask(&r, 1, "2024-03-16", "2024-03-16T15:00:00Z");
  assert_string_equal(r.plan.asks[1].closed, "calendar");
  tl_plan_deinit(&r.plan);
}

static void ticks_that_become_bars_are_never_cut_within_a_bar(void **state) {
  (void)state;
  static const char *const bars[] = {"1s", "1m", "5m", "1h", "2h", "4h", "12h", "1d", "1w", "1mo"};
  for (size_t i = 0; i < sizeof bars / sizeof *bars; i++) {
    request_make(&r, "1d", 1, "2024-02-20", "2024-04-03");
    assert_int_equal(tl_job_kind_parse("ticks", bars[i], &r.input.job, NULL), TL_OK);
    r.range = tl_plan_align(&r.input.job, (tl_range){at("2024-02-20T15:00:00.5Z"), at("2024-04-03T15:00:01.5Z")});
    tl_interval bar = r.input.job.dataset.interval;
    for (int round = 0; round < 4; round++) {
      r.input.plain = round & 1;
      r.symbols[0].rows_per_session = round & 2 ? 9e6 : 0; /* huge days are cut finer */
      request_plan(&r);
      for (size_t k = 0; k < r.plan.ask_count; k++) {
        assert_true(tl_interval_floor(bar, r.plan.asks[k].range.start_ns) == r.plan.asks[k].range.start_ns);
        assert_true(tl_interval_floor(bar, r.plan.asks[k].range.end_ns) == r.plan.asks[k].range.end_ns);
      }
      assert_true(r.plan.ask_count >= (bar.unit == TL_MONTH ? 1 : 2));
    }
    tl_plan_deinit(&r.plan);
  }
}

static void a_day_of_ticks_that_is_known_to_be_huge_is_fetched_side_by_side(void **state) {
  (void)state;
  request_make(&r, "raw-quotes", 1, "2024-06-03", "2024-06-04");
  request_plan(&r);
  assert_int_equal(r.plan.ask_count, 1); /* nothing is known: one chain */
  r.symbols[0].rows_per_session = 9.3e6;
  request_plan(&r);
  assert_int_equal(r.plan.ask_count, 47); /* 930 pages by 20 */
  assert_in_range(r.plan.pages, 930, 930 + 47);
  for (size_t i = 0; i + 1 < r.plan.ask_count; i++) {
    assert_int_equal(r.plan.asks[i].range.end_ns, r.plan.asks[i + 1].range.start_ns);
    assert_int_equal(r.plan.asks[i].range.end_ns % (60 * TL_NS_PER_S), 0);
  }
  tl_plan_deinit(&r.plan);
}

/* 2268 sessions of 600 minutes are 136 pages: units of whole sessions, five pages or less, none much shorter. */
static void years_of_minutes_are_cut_at_midnights_into_units_of_few_pages(void **state) {
  (void)state;
  request_make(&r, "1m", 1, "2015-01-02", "2024-01-06");
  request_plan(&r);
  assert_in_range(r.plan.pages, 136, 142);
  int64_t shortest = INT64_MAX, longest = 0;
  for (size_t i = 0; i < r.plan.ask_count; i++) {
    const tl_plan_ask *ask = &r.plan.asks[i];
    assert_true(tl_calendar_day_start_ns(tl_calendar_day(ask->range.start_ns)) == ask->range.start_ns);
    assert_true(ask->pages_expected <= 5);
    int64_t sessions = tl_calendar_sessions(ask->range, TL_SESSION_ALL);
    if (sessions < shortest) shortest = sessions;
    if (sessions > longest) longest = sessions;
    if (i) assert_true(tl_calendar_session(tl_calendar_day(ask->range.start_ns), NULL));
  }
  assert_true(longest - shortest <= 1);
  tl_plan_deinit(&r.plan);
}

static void more_rows_a_day_than_a_unit_may_have_are_cut_within_the_day(void **state) {
  (void)state;
  request_make(&r, "1m", 1, "2024-06-03", "2024-06-05");
  r.input.page_limit = 7;
  request_plan(&r); /* 600 rows a day, 35 a unit: 18 units a day */
  assert_int_equal(r.plan.ask_count, 36);
  for (size_t i = 0; i < r.plan.ask_count; i++) {
    assert_true(r.plan.asks[i].pages_expected <= 6);
    assert_int_equal(r.plan.asks[i].range.end_ns % (60 * TL_NS_PER_S), 0);
  }
  request_make(&r, "1d", 1, "2023-01-01", "2024-01-01"); /* 250 sessions, 5 a unit */
  r.input.page_limit = 1;
  request_plan(&r);
  assert_int_equal(r.plan.units, 50);
  tl_plan_deinit(&r.plan);
}

static void a_plan_without_end_is_refused(void **state) {
  (void)state;
  request_make(&r, "1m", 500, "2015-01-02", "2024-01-06");
  r.input.page_limit = r.input.pages_per_unit = 1;
  tl_error err = {0};
  assert_int_equal(tl_plan_make(&r.input, &r.plan, &err), TL_ELIMIT);
  assert_non_null(strstr(err.message, "units"));
  assert_int_equal(r.plan.ask_count, 0);
  r.input.page_limit = 0;
  assert_int_equal(tl_plan_make(&r.input, &r.plan, &err), TL_EUSAGE);
  r.input.page_limit = 1;
  r.input.pages_per_unit = 0;
  assert_int_equal(tl_plan_make(&r.input, &r.plan, &err), TL_EUSAGE);
  r.input.pages_per_unit = 1;
  r.input.symbols_per_ask_max = 0;
  assert_int_equal(tl_plan_make(&r.input, &r.plan, &err), TL_EUSAGE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_formula_gives_the_units_people_know_without_slivers),
      cmocka_unit_test(plain_bars_are_cut_evenly_to_the_nanosecond),
      cmocka_unit_test(a_unit_of_ticks_is_a_trading_day_and_the_closed_days_after_it),
      cmocka_unit_test(days_have_23_and_25_hours_when_the_clocks_change),
      cmocka_unit_test(days_without_a_session_are_recorded_but_not_asked_for),
      cmocka_unit_test(nothing_is_asked_before_the_vendors_history_or_after_now),
      cmocka_unit_test(what_is_young_has_units_of_its_own),
      cmocka_unit_test(ticks_that_become_bars_are_never_cut_within_a_bar),
      cmocka_unit_test(a_day_of_ticks_that_is_known_to_be_huge_is_fetched_side_by_side),
      cmocka_unit_test(years_of_minutes_are_cut_at_midnights_into_units_of_few_pages),
      cmocka_unit_test(more_rows_a_day_than_a_unit_may_have_are_cut_within_the_day),
      cmocka_unit_test(a_plan_without_end_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
