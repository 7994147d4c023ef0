/* plan_test.c - any request: the units are exactly what is not covered; what a plan prints; no memory. */
#include "base/alloc.h"
#include "base/fault.h"
#include "base/prng.h"
#include "tests/unit/plan/request.h"

static request r;
static const char *const kinds[] = {"ticks", "quotes", "trades", "raw-quotes", "1m", "5m", "1h", "1d", "1w", "1mo"};

enum { RANGES_MAX = 5, SYMBOLS = 6, UNITS_MAX = 200000 };
static tl_range uncovered[SYMBOLS][RANGES_MAX];

static int64_t random_instant(tl_prng *prng, int64_t from_ns, int64_t days) {
  int64_t ns = from_ns + (int64_t)tl_prng_below(prng, (uint64_t)days) * TL_NS_PER_DAY;
  switch (tl_prng_below(prng, 3)) {
  case 0: return tl_calendar_day_start_ns(tl_calendar_day(ns)); /* a date, as people type it */
  case 1: return ns + (int64_t)tl_prng_below(prng, 86400) * TL_NS_PER_S;
  default: return ns + (int64_t)tl_prng_below(prng, (uint64_t)TL_NS_PER_DAY);
  }
}

/* Sorted, disjoint, aligned ranges between 2014 and 2026, with two clock changes a year. */
static size_t random_ranges(tl_prng *prng, tl_range *out) {
  size_t count = 0;
  int64_t at_ns = at("2014-01-01") + (int64_t)tl_prng_below(prng, 3000) * TL_NS_PER_DAY;
  for (size_t want = tl_prng_below(prng, RANGES_MAX + 1); count < want;) {
    int64_t days = (int64_t)1 << tl_prng_below(prng, 9);
    int64_t start = random_instant(prng, at_ns, days), end = random_instant(prng, start, days);
    if (end <= start) end = start + 1;
    tl_range range = tl_plan_align(&r.input.job, (tl_range){start, end});
    if (count && range.start_ns <= out[count - 1].end_ns) range.start_ns = out[count - 1].end_ns; /* touching is fine */
    if (range.end_ns > range.start_ns) out[count++] = range;
    at_ns = range.end_ns;
  }
  return count;
}

static void random_request(tl_prng *prng) {
  request_make(&r, kinds[tl_prng_below(prng, sizeof kinds / sizeof *kinds)], SYMBOLS, "2024-01-02", "2024-01-03");
  bool alike = tl_prng_below(prng, 2);
  for (size_t i = 0; i < SYMBOLS; i++) {
    if (i && alike) memcpy(uncovered[i], uncovered[0], sizeof uncovered[0]);
    size_t count = i && alike ? r.symbols[0].uncovered_count : random_ranges(prng, uncovered[i]);
    static const double estimates[] = {0, 0.5, 40, 900, 50000, 4e5};
    r.symbols[i] = (tl_plan_symbol){r.names[i], uncovered[i], count, estimates[tl_prng_below(prng, 6)]};
  }
  static const uint32_t limits[] = {1, 7, 100, 1000, 10000, 10000};
  r.input.page_limit = limits[tl_prng_below(prng, 6)];
  for (size_t i = 0; i < SYMBOLS && r.input.page_limit < 1000; i++) { /* one range of some days keeps the plan small */
    tl_range *first = &uncovered[i][0];
    r.symbols[i].uncovered_count = r.symbols[i].uncovered_count > 0;
    if (first->end_ns - first->start_ns > 12 * TL_NS_PER_DAY) first->end_ns = first->start_ns + 12 * TL_NS_PER_DAY;
    *first = tl_plan_align(&r.input.job, *first);
  }
  r.input.pages_per_unit = 1 + (uint32_t)tl_prng_below(prng, 6);
  r.input.symbols_per_ask_max = 1 + (uint32_t)tl_prng_below(prng, 8);
  r.input.rate_per_minute = (uint32_t)tl_prng_below(prng, 3) * 1000;
  r.input.plain = tl_prng_below(prng, 4) == 0;
  r.input.always_open = tl_prng_below(prng, 4) == 0;
  if (tl_prng_below(prng, 2)) r.input.now_ns = r.input.latest_ns = random_instant(prng, at("2016-01-01"), 3000);
  if (tl_prng_below(prng, 2)) r.input.history_start_ns = at("2016-01-01T00:00:00Z");
}

static int by_start(const void *a, const void *b) {
  int64_t x = ((const tl_range *)a)->start_ns, y = ((const tl_range *)b)->start_ns;
  return (x > y) - (x < y);
}

/* A boundary is one that the request has, or one a unit may have: a day's midnight or a bar's (a minute's) start. A
 * unit below a second is a sliver unless the request's own boundaries make it. */
static void expect_no_sliver(tl_range unit, const tl_plan_symbol *symbol) {
  if (unit.end_ns - unit.start_ns >= TL_NS_PER_S || r.input.plain) return;
  bool own = false;
  for (size_t i = 0; i < symbol->uncovered_count; i++)
    own |= unit.start_ns == symbol->uncovered[i].start_ns || unit.end_ns == symbol->uncovered[i].end_ns;
  assert_true(own || unit.end_ns == r.input.latest_ns);
}

static void expect_exact(size_t symbol) {
  static tl_range units[UNITS_MAX];
  size_t count = 0;
  const tl_plan_symbol *s = &r.symbols[symbol];
  for (size_t i = 0; i < r.plan.ask_count; i++)
    for (uint32_t k = 0; k < r.plan.asks[i].symbol_count; k++)
      if (r.plan.asks[i].symbols[k] == symbol) {
        assert_true(count < sizeof units / sizeof *units);
        units[count++] = r.plan.asks[i].range;
      }
  qsort(units, count, sizeof *units, by_start);
  size_t at_unit = 0;
  for (size_t i = 0; i < s->uncovered_count; i++) { /* each uncovered range is tiled by the next units */
    tl_range want = s->uncovered[i];
    if (want.end_ns > r.input.latest_ns) want.end_ns = r.input.latest_ns;
    int64_t reached = want.start_ns;
    while (reached < want.end_ns) {
      assert_true(at_unit < count);
      assert_true(units[at_unit].start_ns == reached);
      assert_true(units[at_unit].end_ns > reached);
      expect_no_sliver(units[at_unit], s);
      reached = units[at_unit++].end_ns;
    }
    if (want.end_ns > want.start_ns) assert_true(reached == want.end_ns);
  }
  assert_int_equal(at_unit, count);
}

static void expect_totals(void) {
  int64_t requests = 0, units = 0, pages = 0, rows = 0, closed = 0;
  for (size_t i = 0; i < r.plan.ask_count; i++) {
    const tl_plan_ask *ask = &r.plan.asks[i];
    assert_true(ask->settles_ns >= ask->range.end_ns);
    if (ask->closed) {
      assert_true(ask->pages_expected == 0 && ask->rows_expected == 0);
      closed += ask->symbol_count;
      continue;
    }
    assert_true(ask->pages_expected >= 1 && ask->symbol_count >= 1);
    assert_true(ask->symbol_count <= r.input.symbols_per_ask_max);
    assert_true(ask->range.end_ns <= r.input.latest_ns);
    requests++;
    units += ask->symbol_count;
    pages += ask->pages_expected;
    rows += ask->rows_expected;
    if (i && r.plan.asks[i - 1].symbols[0] == ask->symbols[0] && ask->symbol_count == 1 &&
        r.plan.asks[i - 1].symbol_count == 1)
      assert_true(r.plan.asks[i - 1].range.end_ns <= ask->range.start_ns);
  }
  assert_int_equal(r.plan.requests, requests);
  assert_int_equal(r.plan.units, units);
  assert_int_equal(r.plan.pages, pages);
  assert_int_equal(r.plan.rows, rows);
  assert_int_equal(r.plan.closed_units, closed);
}

/* A closed unit must not hold a trading day; asked of tl_calendar_session day by day. */
static void expect_closed_days_are_closed(void) {
  for (size_t i = 0; i < r.plan.ask_count; i++) {
    const tl_plan_ask *ask = &r.plan.asks[i];
    if (!ask->closed || strcmp(ask->closed, "calendar") != 0) continue;
    assert_false(r.input.plain || r.input.always_open);
    for (int32_t day = tl_calendar_day(ask->range.start_ns); day <= tl_calendar_day(ask->range.end_ns - 1); day++)
      assert_false(tl_calendar_session(day, NULL));
  }
}

static void the_units_are_exactly_what_is_not_covered(void **state) {
  (void)state;
  int looked_at = 0;
  for (uint64_t seed = 1; seed <= 2000; seed++) {
    tl_prng prng = tl_prng_init(seed);
    tl_error err = {0};
    random_request(&prng);
    tl_plan_deinit(&r.plan);
    tl_status st = tl_plan_make(&r.input, &r.plan, &err);
    if (st == TL_ELIMIT || r.plan.ask_count > UNITS_MAX) continue; /* pages of one row, for years: rare */
    looked_at++;
    if (st) fail_msg("seed %d: %s", (int)seed, err.message);
    for (size_t i = 0; i < SYMBOLS; i++) expect_exact(i);
    expect_totals();
    expect_closed_days_are_closed();
  }
  assert_true(looked_at > 1900);
  tl_plan_deinit(&r.plan);
  assert_int_equal(tl_alloc_live(), 0);
}

static void a_plan_prints_its_cost_in_words_and_as_json(void **state) {
  (void)state;
  request_make(&r, "1d", 2, "2024-11-27", "2024-12-01");
  tl_range holiday = {at("2024-11-28"), at("2024-11-29")};
  r.symbols[1].uncovered = &holiday;
  request_plan(&r);
  tl_buf text = {0}, json = {0};
  assert_int_equal(tl_plan_print_text(&r.input, &r.plan, &text, NULL), TL_OK);
  assert_string_equal(
      text.data,
      "kind      1d into equities_1day\n"
      "symbols   2\n"
      "units     1 to ask for, 1 known to be empty without asking\n"
      "requests  1\n"
      "pages     about 1 of at most 10000 rows\n"
      "rows      about 2\n"
      "bytes     about 44 bytes compressed\n"
      "minutes   at least 0.0 at 200 requests a minute\n"
      "\n"
      "  start                 end                       rows  pages  symbols\n"
      "  2024-11-27T05:00:00Z  2024-12-01T05:00:00Z         2      1  S000\n"
      "  2024-11-28T05:00:00Z  2024-11-29T05:00:00Z         0      0  S001  not asked: calendar\n");
  assert_int_equal(tl_plan_print_json(&r.input, &r.plan, &json, NULL), TL_OK);
  assert_string_equal(
      json.data,
      "{\"kind\":\"1d\",\"dataset\":\"equities_1day\",\"symbols\":2,\"units\":1,\"closed_units\":1,\"requests\":1,"
      "\"pages\":1,\"rows\":2,\"bytes\":44,\"rate_per_minute\":200,\"minutes\":0.005,\"asks\":["
      "{\"symbols\":[\"S000\"],\"start\":\"2024-11-27T05:00:00Z\",\"end\":\"2024-12-01T05:00:00Z\",\"rows\":2,"
      "\"pages\":1,\"closed\":null},"
      "{\"symbols\":[\"S001\"],\"start\":\"2024-11-28T05:00:00Z\",\"end\":\"2024-11-29T05:00:00Z\",\"rows\":0,"
      "\"pages\":0,\"closed\":\"calendar\"}]}");
  tl_buf_deinit(&text);
  tl_buf_deinit(&json);

  request_make(&r, "trades", 3, "2024-01-02", "2024-03-02");
  request_plan(&r);
  assert_int_equal(tl_plan_print_text(&r.input, &r.plan, &text, NULL), TL_OK);
  assert_non_null(strstr(text.data, "... and 115 more (--json lists all)")); /* 3 x 42 trading days, 11 shown */
  assert_non_null(strstr(text.data, "about 45.4 MB compressed"));
  tl_buf_deinit(&text);

  request_make(&r, "1d", 3, "2024-01-02", "2024-01-05");
  request_plan(&r);
  assert_int_equal(tl_plan_print_text(&r.input, &r.plan, &text, NULL), TL_OK);
  assert_non_null(strstr(text.data, "S000 .. S002 (3 symbols)"));
  tl_buf_deinit(&text);
  r.input.symbol_count = 0;
  request_plan(&r);
  assert_int_equal(tl_plan_print_text(&r.input, &r.plan, &text, NULL), TL_OK);
  assert_non_null(strstr(text.data, "nothing to do"));
  tl_buf_deinit(&text);
  tl_plan_deinit(&r.plan);
}

static void ranges_of_rows_made_from_ticks_grow_to_whole_bars(void **state) {
  (void)state;
  tl_job_kind job;
  tl_range range = {at("2024-01-02T15:00:00.5Z"), at("2024-01-02T15:01:00.000000001Z")};
  assert_int_equal(tl_job_kind_parse("quotes", NULL, &job, NULL), TL_OK);
  tl_range grown = tl_plan_align(&job, range);
  assert_true(grown.start_ns == at("2024-01-02T15:00:00Z") && grown.end_ns == at("2024-01-02T15:01:01Z"));
  assert_int_equal(tl_job_kind_parse("ticks", "1d", &job, NULL), TL_OK);
  grown = tl_plan_align(&job, range);
  assert_true(grown.start_ns == at("2024-01-02") && grown.end_ns == at("2024-01-03"));
  assert_int_equal(tl_job_kind_parse("1d", NULL, &job, NULL), TL_OK); /* what the vendor makes stays as asked */
  grown = tl_plan_align(&job, range);
  assert_memory_equal(&grown, &range, sizeof range);
}

#ifdef TL_FAULTS
static void running_out_of_memory_is_said_and_leaks_nothing(void **state) {
  (void)state;
  for (long n = 1;; n++) {
    tl_error err = {0};
    tl_buf text = {0};
    request_make(&r, "1m", 40, "2024-01-02", "2024-12-31");
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = tl_plan_make(&r.input, &r.plan, &err);
    if (!st) st = tl_plan_print_text(&r.input, &r.plan, &text, &err);
    if (!st) st = tl_plan_print_json(&r.input, &r.plan, &text, &err);
    bool fired = tl_fault_disarm();
    assert_int_equal(st, fired ? TL_ENOMEM : TL_OK);
    assert_true(!st || err.message[0]);
    tl_plan_deinit(&r.plan);
    tl_buf_deinit(&text);
    assert_int_equal(tl_alloc_live(), 0);
    if (!fired) break;
  }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_units_are_exactly_what_is_not_covered),
      cmocka_unit_test(a_plan_prints_its_cost_in_words_and_as_json),
      cmocka_unit_test(ranges_of_rows_made_from_ticks_grow_to_whole_bars),
#ifdef TL_FAULTS
      cmocka_unit_test(running_out_of_memory_is_said_and_leaks_nothing),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
