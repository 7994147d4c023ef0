/* statements_test.c - coverage after any sequence of statements equals an array with one state per minute. */
#include "base/alloc.h"
#include "base/prng.h"
#include "tests/unit/ledger/scratch.h"

enum { MINUTES = 240 };
static const int64_t minute_ns = 60 * TL_NS_PER_S;

typedef struct model { /* what is known of each minute; rows of a minute are counted by whoever states it */
  tl_coverage state[MINUTES];
} model;

static void model_state(model *m, int begin, int end, tl_coverage state) {
  for (int i = begin; i < end; i++) {
    bool held = m->state[i] == TL_COVER_PRESENT || m->state[i] == TL_COVER_EMPTY || m->state[i] == TL_COVER_PARTIAL;
    if (state != TL_COVER_FAILED || !held) m->state[i] = state;
  }
}

static void expect_coverage(tl_ledger *ledger, const model *m, int begin, int end) {
  tl_segments segments;
  tl_error err = {0};
  tl_range range = {begin * minute_ns, end * minute_ns};
  if (tl_ledger_coverage(ledger, "equities_1min", "AAPL", range, &segments, &err)) fail_msg("%s", err.message);
  int at = begin;
  for (size_t i = 0; i < segments.count; i++) {
    tl_segment s = segments.items[i];
    assert_int_equal(s.range.start_ns, at * minute_ns);
    assert_true(s.range.end_ns > s.range.start_ns);
    for (; at * minute_ns < s.range.end_ns; at++) assert_int_equal(s.state, m->state[at]);
    if (i) assert_true(segments.items[i - 1].state != s.state);
    assert_string_equal(s.answer, s.state == TL_COVER_FAILED ? "HTTP 500" : "");
  }
  assert_int_equal(at, end);
  tl_segments_deinit(&segments);
}

static void expect_uncovered(tl_ledger *ledger, const model *m, int begin, int end) {
  const char *symbols[] = {"MSFT", "AAPL"}; /* nothing is known of the first */
  tl_ranges open[2] = {{0}, {0}};
  assert_int_equal(tl_ledger_uncovered(ledger, "equities_1min", symbols, 2,
                                       (tl_range){begin * minute_ns, end * minute_ns}, open, NULL), TL_OK);
  assert_int_equal(open[0].count, 1);
  assert_int_equal(tl_ranges_ns(&open[0]), (end - begin) * minute_ns);
  for (int i = begin; i < end; i++) {
    bool is_open = false;
    for (size_t k = 0; k < open[1].count; k++) is_open |= tl_range_holds(open[1].items[k], i * minute_ns);
    assert_int_equal(is_open, m->state[i] != TL_COVER_PRESENT && m->state[i] != TL_COVER_EMPTY);
  }
  tl_ranges_deinit(&open[0]);
  tl_ranges_deinit(&open[1]);
}

static void the_newest_statement_wins_but_a_failure_never_destroys_what_a_commit_holds(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 12; seed++) {
    scratch s;
    scratch_make(&s);
    tl_ledger *ledger = scratch_open(&s);
    tl_prng prng = tl_prng_init(seed);
    model m = {0};
    for (int round = 0; round < 60; round++) {
      tl_ledger_unit units[8];
      size_t count = 1 + tl_prng_below(&prng, 8);
      for (size_t i = 0; i < count; i++) {
        int begin = (int)tl_prng_below(&prng, MINUTES - 1);
        int end = begin + 1 + (int)tl_prng_below(&prng, (uint64_t)(MINUTES - begin) / (seed % 3 + 1));
        if (end > MINUTES) end = MINUTES;
        tl_coverage what = (tl_coverage)tl_prng_below(&prng, 5);
        units[i] = unit_of("AAPL", begin * minute_ns, end * minute_ns, what, what == TL_COVER_PRESENT);
        model_state(&m, begin, end, what);
      }
      state_units(ledger, units, count);
      int begin = (int)tl_prng_below(&prng, MINUTES - 1);
      expect_coverage(ledger, &m, 0, MINUTES);
      expect_coverage(ledger, &m, begin, begin + 1 + (int)tl_prng_below(&prng, (uint64_t)(MINUTES - begin)));
      expect_uncovered(ledger, &m, begin, MINUTES);
    }
    tl_ledger_close(ledger);
    scratch_remove(&s);
  }
  assert_int_equal(tl_alloc_live(), 0);
}

static void rows_are_known_until_a_later_statement_cuts_their_unit(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_ledger *ledger = scratch_open(&s);
  tl_segments segments;
  tl_range none = {0, 0};
  tl_ledger_unit two_days[] = {unit_of("AAPL", 0, 100, TL_COVER_PRESENT, 390),
                               unit_of("AAPL", 100, 200, TL_COVER_PRESENT, 400)};
  state_units(ledger, two_days, 2);
  assert_int_equal(tl_ledger_coverage(ledger, "equities_1min", "AAPL", none, &segments, NULL), TL_OK);
  assert_int_equal(segments.count, 1);
  assert_int_equal(segments.items[0].rows, 790);
  tl_segments_deinit(&segments);

  tl_ledger_unit same[] = {unit_of("AAPL", 100, 200, TL_COVER_PRESENT, 410)}; /* asked again as it was: still known */
  state_units(ledger, same, 1);
  assert_int_equal(tl_ledger_coverage(ledger, "equities_1min", "AAPL", none, &segments, NULL), TL_OK);
  assert_int_equal(segments.items[0].rows, 800);
  tl_segments_deinit(&segments);

  tl_ledger_unit middle[] = {unit_of("AAPL", 50, 60, TL_COVER_PRESENT, 7)};
  state_units(ledger, middle, 1);
  assert_int_equal(tl_ledger_coverage(ledger, "equities_1min", "AAPL", none, &segments, NULL), TL_OK);
  assert_int_equal(segments.count, 1);
  assert_int_equal(segments.items[0].rows, -1);
  tl_segments_deinit(&segments);

  assert_int_equal(tl_ledger_recount(ledger, "equities_1min", "AAPL", (tl_range){0, 200}, 805, NULL), TL_OK);
  assert_int_equal(tl_ledger_coverage(ledger, "equities_1min", "AAPL", none, &segments, NULL), TL_OK);
  assert_int_equal(segments.items[0].rows, 805);
  assert_true(segments.items[0].range.start_ns == 0 && segments.items[0].range.end_ns == 200);
  tl_segments_deinit(&segments);

  tl_ledger_unit empty[] = {unit_of("MSFT", 0, 100, TL_COVER_EMPTY, 0), unit_of("MSFT", 20, 30, TL_COVER_EMPTY, 0)};
  state_units(ledger, empty, 2); /* half of nothing is nothing */
  assert_int_equal(tl_ledger_coverage(ledger, "equities_1min", "MSFT", none, &segments, NULL), TL_OK);
  assert_int_equal(segments.items[0].rows, 0);
  tl_segments_deinit(&segments);
  tl_ledger_close(ledger);
  scratch_remove(&s);
}

static void two_reasons_for_failure_are_two_segments(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_ledger *ledger = scratch_open(&s);
  tl_segments segments;
  tl_ledger_unit units[] = {unit_of("AAPL", 0, 10, TL_COVER_FAILED, 0), unit_of("AAPL", 10, 20, TL_COVER_FAILED, 0),
                            unit_of("AAPL", 20, 30, TL_COVER_FAILED, 0)};
  units[2].answer = "subscription does not permit querying recent SIP data";
  state_units(ledger, units, 3);
  assert_int_equal(tl_ledger_coverage(ledger, "equities_1min", "AAPL", (tl_range){0, 40}, &segments, NULL), TL_OK);
  assert_int_equal(segments.count, 3);
  assert_int_equal(segments.items[0].range.end_ns, 20);
  assert_string_equal(segments.items[0].answer, "HTTP 500");
  assert_string_equal(segments.items[1].answer, units[2].answer);
  assert_int_equal(segments.items[2].state, TL_COVER_MISSING);
  tl_segments_deinit(&segments);
  tl_ledger_close(ledger);
  scratch_remove(&s);
}

/* 2000 rows on Thursday to Sunday are 1000 a session: the weekend has none. */
static void estimates_are_rows_per_session_of_what_the_vendor_sent(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_ledger *ledger = scratch_open(&s);
  const char *symbols[] = {"AAPL", "NOBODY"};
  double rows[2], bytes_per_row = -1;
  int64_t thursday = INT64_C(1717646400) * TL_NS_PER_S; /* 2024-06-06T00:00 New York */
  tl_ledger_unit unit = unit_of("AAPL", thursday, thursday + 4 * TL_NS_PER_DAY, TL_COVER_PRESENT, 1);
  unit.wire_rows = 2000;
  unit.bytes = 50000;
  state_units(ledger, &unit, 1);
  assert_int_equal(tl_ledger_estimates(ledger, "equities_1min", symbols, 2, rows, &bytes_per_row, NULL), TL_OK);
  assert_true(rows[0] > 999.9 && rows[0] < 1000.1);
  assert_true(rows[1] == 0);
  assert_true(bytes_per_row == 25);
  tl_ledger_unit cut = unit_of("AAPL", thursday, thursday + TL_NS_PER_DAY, TL_COVER_PRESENT, 1);
  cut.wire_rows = 500; /* the other part's rows are no longer known, so it says nothing */
  state_units(ledger, &cut, 1);
  assert_int_equal(tl_ledger_estimates(ledger, "equities_1min", symbols, 2, rows, &bytes_per_row, NULL), TL_OK);
  assert_true(rows[0] > 499.9 && rows[0] < 500.1);
  assert_int_equal(tl_ledger_estimates(ledger, "trades", symbols, 2, rows, &bytes_per_row, NULL), TL_OK);
  assert_true(rows[0] == 0 && bytes_per_row == 0);
  tl_ledger_close(ledger);
  scratch_remove(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_newest_statement_wins_but_a_failure_never_destroys_what_a_commit_holds),
      cmocka_unit_test(rows_are_known_until_a_later_statement_cuts_their_unit),
      cmocka_unit_test(two_reasons_for_failure_are_two_segments),
      cmocka_unit_test(estimates_are_rows_per_session_of_what_the_vendor_sent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
