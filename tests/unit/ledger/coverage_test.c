/* coverage_test.c - sets of ranges against one bit per instant; gaps against sessions spelled out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/prng.h"
#include "ledger/ledger.h"

enum { INSTANTS = 64 };

static uint64_t bits_of(const tl_ranges *ranges) {
  uint64_t bits = 0;
  for (size_t i = 0; i < ranges->count; i++) {
    tl_range r = ranges->items[i];
    assert_true(r.start_ns < r.end_ns);
    if (i) assert_true(ranges->items[i - 1].end_ns < r.start_ns); /* sorted, apart, not touching */
    for (int64_t t = r.start_ns; t < r.end_ns; t++) bits |= UINT64_C(1) << t;
  }
  return bits;
}

static tl_range random_range(tl_prng *prng) {
  int64_t start = (int64_t)tl_prng_below(prng, INSTANTS);
  return (tl_range){start, start + (int64_t)tl_prng_below(prng, (uint64_t)(INSTANTS - start) / 4 + 2)};
}

static void fill(tl_prng *prng, tl_ranges *ranges, uint64_t *bits) {
  size_t count = tl_prng_below(prng, 12);
  for (size_t i = 0; i < count; i++) {
    tl_range r = random_range(prng);
    if (r.end_ns > INSTANTS) r.end_ns = INSTANTS;
    assert_int_equal(tl_ranges_add(ranges, r, NULL), TL_OK);
    for (int64_t t = r.start_ns; t < r.end_ns; t++) *bits |= UINT64_C(1) << t;
    assert_true(bits_of(ranges) == *bits);
  }
}

static void sets_of_ranges_behave_like_sets_of_instants(void **state) {
  (void)state;
  tl_prng prng = tl_prng_init(1);
  for (int round = 0; round < 20000; round++) {
    tl_ranges a = {0}, b = {0}, minus = {0}, both = {0};
    uint64_t a_bits = 0, b_bits = 0;
    fill(&prng, &a, &a_bits);
    fill(&prng, &b, &b_bits);
    assert_int_equal(tl_ranges_subtract(&a, &b, &minus, NULL), TL_OK);
    assert_int_equal(tl_ranges_intersect(&a, &b, &both, NULL), TL_OK);
    assert_true(bits_of(&minus) == (a_bits & ~b_bits));
    assert_true(bits_of(&both) == (a_bits & b_bits));
    assert_int_equal(tl_ranges_ns(&a), __builtin_popcountll(a_bits));
    tl_ranges_deinit(&a);
    tl_ranges_deinit(&b);
    tl_ranges_deinit(&minus);
    tl_ranges_deinit(&both);
  }
  assert_int_equal(tl_alloc_live(), 0);
}

static void the_whole_of_time_is_longer_than_int64_says(void **state) {
  (void)state;
  tl_ranges all = {0};
  assert_int_equal(tl_ranges_add(&all, (tl_range){INT64_MIN, INT64_MAX}, NULL), TL_OK);
  assert_true(tl_ranges_ns(&all) == INT64_MAX);
  tl_ranges_deinit(&all);
}

static int64_t at(const char *text) {
  int64_t ns = 0;
  assert_int_equal(tl_time_parse(text, strlen(text), &ns, NULL), TL_OK);
  return ns;
}

static void an_answer_is_final_16_minutes_after_its_end(void **state) {
  (void)state;
  int64_t now = at("2024-06-03T20:00:00Z");
  assert_int_equal(tl_coverage_of(at("2024-06-03T19:44:00Z"), 1, now), TL_COVER_PRESENT);
  assert_int_equal(tl_coverage_of(at("2024-06-03T19:44:00Z"), 0, now), TL_COVER_EMPTY);
  assert_int_equal(tl_coverage_of(at("2024-06-03T19:44:00.000000001Z"), 1, now), TL_COVER_PARTIAL);
  assert_int_equal(tl_coverage_of(at("2024-06-04T04:00:00Z"), 0, now), TL_COVER_PARTIAL);
}

/* Prints segments as "start end state" lines, so that a test shows what it expects. */
static void expect_segments(const tl_segments *segments, const char *expected) {
  char text[4096] = "";
  for (size_t i = 0; i < segments->count; i++) {
    char start[TL_TIME_TEXT_MAX], end[TL_TIME_TEXT_MAX];
    tl_time_format(segments->items[i].range.start_ns, 0, start);
    tl_time_format(segments->items[i].range.end_ns, 0, end);
    size_t used = strlen(text);
    snprintf(text + used, sizeof text - used, "%.16s %.16s %s\n", start, end,
             tl_coverage_name(segments->items[i].state));
  }
  assert_string_equal(text, expected);
}

/* Thanksgiving week 2024: Thursday 28 closed, Friday 29 closes early (extended to 17:00), then a weekend.
 * New York is UTC-5, so [04:00, 20:00) is [09:00Z, 01:00Z next day). */
static void gaps_are_session_time_that_nobody_answered(void **state) {
  (void)state;
  tl_segment items[] = {
      {.range = {at("2024-11-25T05:00:00Z"), at("2024-11-26T05:00:00Z")}, .state = TL_COVER_PRESENT, .answer = ""},
      {.range = {at("2024-11-26T05:00:00Z"), at("2024-11-26T15:00:00Z")}, .state = TL_COVER_EMPTY, .answer = ""},
      {.range = {at("2024-11-26T15:00:00Z"), at("2024-11-27T05:00:00Z")}, .state = TL_COVER_FAILED, .answer = "no"},
      {.range = {at("2024-11-27T05:00:00Z"), at("2024-12-02T05:00:00Z")}, .state = TL_COVER_MISSING, .answer = ""},
      {.range = {at("2024-12-02T05:00:00Z"), at("2024-12-04T05:00:00Z")}, .state = TL_COVER_PARTIAL, .answer = ""},
  };
  tl_segments segments = {.items = items, .count = 5}, gaps = {0};
  assert_int_equal(tl_segments_gaps(&segments, false, at("2024-12-02T20:00:00Z"), &gaps, NULL), TL_OK);
  expect_segments(&gaps, "2024-11-26T15:00 2024-11-27T01:00 failed\n"
                         "2024-11-27T09:00 2024-11-28T01:00 missing\n"
                         "2024-11-29T09:00 2024-11-29T22:00 missing\n"
                         "2024-12-02T09:00 2024-12-02T20:00 partial\n");
  assert_string_equal(gaps.items[0].answer, "no");
  tl_segments_deinit(&gaps);
  assert_int_equal(tl_segments_gaps(&segments, true, at("2024-12-02T20:00:00Z"), &gaps, NULL), TL_OK);
  expect_segments(&gaps, "2024-11-26T15:00 2024-11-27T05:00 failed\n"
                         "2024-11-27T05:00 2024-11-28T05:00 missing\n"
                         "2024-11-29T05:00 2024-11-30T05:00 missing\n"
                         "2024-12-02T05:00 2024-12-02T20:00 partial\n");
  tl_segments_deinit(&gaps);
  tl_ranges open = {0};
  assert_int_equal(tl_segments_open(&segments, &open, NULL), TL_OK);
  assert_int_equal(open.count, 1);
  assert_true(open.items[0].start_ns == items[2].range.start_ns && open.items[0].end_ns == items[4].range.end_ns);
  tl_ranges_deinit(&open);
  assert_int_equal(tl_alloc_live(), 0);
}

static void a_lake_that_is_covered_has_no_gaps_on_days_the_clocks_change(void **state) {
  (void)state;
  tl_segment items[] = {
      {.range = {at("2024-03-08T05:00:00Z"), at("2024-03-09T01:00:00Z")}, .state = TL_COVER_PRESENT, .answer = ""},
      {.range = {at("2024-03-09T01:00:00Z"), at("2024-03-11T08:00:00Z")}, .state = TL_COVER_MISSING, .answer = ""},
      {.range = {at("2024-03-11T08:00:00Z"), at("2024-03-12T00:00:00Z")}, .state = TL_COVER_PRESENT, .answer = ""},
  }; /* Monday's session begins at 04:00 EDT = 08:00Z, Friday's ended at 20:00 EST = 01:00Z */
  tl_segments segments = {.items = items, .count = 3}, gaps = {0};
  assert_int_equal(tl_segments_gaps(&segments, false, INT64_MAX, &gaps, NULL), TL_OK);
  assert_int_equal(gaps.count, 0);
  items[1].range.end_ns += 1;
  items[2].range.start_ns += 1;
  assert_int_equal(tl_segments_gaps(&segments, false, INT64_MAX, &gaps, NULL), TL_OK);
  assert_int_equal(gaps.count, 1);
  assert_int_equal(gaps.items[0].range.end_ns - gaps.items[0].range.start_ns, 1);
  tl_segments_deinit(&gaps);
}

static void every_state_has_a_name(void **state) {
  (void)state;
  static const char *const names[] = {"missing", "present", "empty", "partial", "failed"};
  for (int i = 0; i < 5; i++) assert_string_equal(tl_coverage_name((tl_coverage)i), names[i]);
  assert_string_equal(tl_coverage_name((tl_coverage)9), "unknown");
}

#ifdef TL_FAULTS
static void running_out_of_memory_is_said_and_leaks_nothing(void **state) {
  (void)state;
  tl_segment items[40];
  for (int i = 0; i < 40; i++)
    items[i] = (tl_segment){.range = {i * TL_NS_PER_DAY, i * TL_NS_PER_DAY + TL_NS_PER_DAY / 2},
                            .state = TL_COVER_MISSING,
                            .answer = ""};
  tl_segments segments = {.items = items, .count = 40};
  for (long n = 1;; n++) {
    tl_error err = {0};
    tl_ranges open = {0}, minus = {0};
    tl_segments gaps = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = tl_segments_open(&segments, &open, &err);
    if (!st) st = tl_segments_gaps(&segments, false, INT64_MAX, &gaps, &err);
    tl_ranges one = {.items = &items[3].range, .count = 1};
    if (!st) st = tl_ranges_subtract(&open, &one, &minus, &err);
    bool fired = tl_fault_disarm();
    assert_int_equal(st, fired ? TL_ENOMEM : TL_OK);
    assert_true(!st || err.message[0]);
    tl_ranges_deinit(&open);
    tl_ranges_deinit(&minus);
    tl_segments_deinit(&gaps);
    assert_int_equal(tl_alloc_live(), 0);
    if (!fired) break;
  }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sets_of_ranges_behave_like_sets_of_instants),
      cmocka_unit_test(the_whole_of_time_is_longer_than_int64_says),
      cmocka_unit_test(an_answer_is_final_16_minutes_after_its_end),
      cmocka_unit_test(gaps_are_session_time_that_nobody_answered),
      cmocka_unit_test(a_lake_that_is_covered_has_no_gaps_on_days_the_clocks_change),
      cmocka_unit_test(every_state_has_a_name),
#ifdef TL_FAULTS
      cmocka_unit_test(running_out_of_memory_is_said_and_leaks_nothing),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
