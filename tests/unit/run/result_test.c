/* result_test.c - what became of each symbol: the first reason counts, and several runs add up. */
#include "run/result.h"

#include "tests/unit/commit/lake.h"

#include "base/fault.h"

static tl_run_result *result_of(const char *list) {
  tl_symbols symbols = {0};
  tl_run_result *result = NULL;
  assert_int_equal(tl_symbols_parse(&symbols, list, NULL), TL_OK);
  assert_int_equal(tl_run_result_open(&symbols, &result, NULL), TL_OK);
  tl_symbols_deinit(&symbols);
  return result;
}

static void expect_text(const char *got, const char *want) {
  if (want) assert_string_equal(got ? got : "(none)", want);
  else assert_null(got);
}

static void the_first_reason_of_a_symbol_counts(void **state) {
  (void)state;
  tl_run_result *r = result_of("A,B,C");
  const char *reason = NULL;
  assert_int_equal(tl_run_result_failures(r), 0);
  tl_run_result_fail(r, 1, "HTTP 500");
  tl_run_result_fail(r, 1, "stopped");
  assert_int_equal(tl_run_result_failures(r), 1);
  expect_text(tl_run_result_successful(r, 0), "A");
  expect_text(tl_run_result_successful(r, 1), "C");
  expect_text(tl_run_result_successful(r, 2), NULL);
  expect_text(tl_run_result_failed(r, 0, &reason), "B");
  assert_string_equal(reason, "HTTP 500");
  expect_text(tl_run_result_failed(r, 0, NULL), "B");
  expect_text(tl_run_result_failed(r, 1, &reason), NULL);
  expect_text(tl_run_result_file(r, 0), NULL);
  tl_import_totals totals = {.size = sizeof totals};
  tl_run_result_totals(r, &totals);
  assert_int_equal(totals.successful_count, 2);
  assert_int_equal(totals.failed_count, 1);
  tl_run_result_free(r);
  tl_run_result_free(NULL);
}

static void a_reason_that_cannot_be_copied_is_still_a_failure(void **state) {
  (void)state;
  tl_run_result *r = result_of("A"), *all = result_of("A,B");
  const char *reason = NULL;
  tl_fault_arm(TL_SEAM_ALLOC, 1, TL_FAULT_ERROR, 0);
  tl_run_result_fail(r, 0, "a long story");
  tl_fault_disarm();
  assert_int_equal(tl_run_result_failures(r), 1);
  expect_text(tl_run_result_failed(r, 0, &reason), "A");
  assert_string_equal(reason, "out of memory");
  assert_int_equal(tl_run_result_merge(all, r, NULL), TL_OK);
  expect_text(tl_run_result_failed(all, 0, &reason), "A");
  assert_string_equal(reason, "out of memory");
  tl_run_result_free(all);
}

static void an_older_program_gets_the_totals_it_knows(void **state) {
  (void)state;
  tl_run_result *r = result_of("A");
  r->totals.rows = 7;
  r->totals.rejected = 8;
  struct {
    tl_import_totals totals;
    char guard;
  } old;
  memset(&old, 0x55, sizeof old);
  old.totals.size = offsetof(tl_import_totals, rejected);
  tl_run_result_totals(r, &old.totals);
  assert_int_equal(old.totals.rows, 7);
  assert_int_equal(old.totals.size, offsetof(tl_import_totals, rejected));
  assert_int_equal(old.totals.rejected, INT64_C(0x5555555555555555)); /* not written */
  tl_import_totals zero = {0};
  tl_run_result_totals(r, &zero);
  assert_int_equal(zero.rejected, 8);
  assert_int_equal(zero.size, sizeof zero);
  tl_run_result_free(r);
}

static void runs_of_several_datasets_add_up_by_symbol(void **state) {
  (void)state;
  tl_run_result *into = result_of("A,B"), *from = result_of("B,C,A");
  const char *reason = NULL;
  into->totals.rows = 1;
  from->totals.rows = 2;
  from->totals.seconds = 0.5;
  tl_run_result_fail(into, 0, "first");
  tl_run_result_fail(from, 2, "second"); /* A again */
  tl_run_result_fail(from, 1, "third");  /* C */
  assert_int_equal(tl_run_result_merge(into, from, NULL), TL_OK);
  assert_int_equal(into->totals.rows, 3);
  assert_true(into->totals.seconds == 0.5);
  expect_text(tl_run_result_successful(into, 0), "B");
  expect_text(tl_run_result_successful(into, 1), NULL);
  expect_text(tl_run_result_failed(into, 0, &reason), "A");
  assert_string_equal(reason, "first");
  expect_text(tl_run_result_failed(into, 1, &reason), "C");
  assert_string_equal(reason, "third");
  tl_run_result_free(into);
}

static void files_of_a_commit_are_listed_once_it_is_closed(void **state) {
  (void)state;
  lake l;
  lake_make(&l, TL_LAYOUT_FLAT, "1m");
  must_open(&l);
  row rows[] = {{JAN_1, 1}, {JAN_1 + 40 * DAY_NS, 2}};
  tl_piece piece = piece_of(&l, "A", (tl_range){JAN_1, JAN_1 + 50 * DAY_NS}, rows, 2);
  must_commit(&l, &piece, 1);
  tl_run_result *r = result_of("A"), *other = result_of("A");
  assert_int_equal(tl_run_result_take_files(r, l.commit, NULL), TL_OK);
  lake_close(&l);
  expect_text(tl_run_result_file(r, 0), "bars/1m/A.2024-01.parquet");
  expect_text(tl_run_result_file(r, 1), "bars/1m/A.2024-02.parquet");
  expect_text(tl_run_result_file(r, 2), NULL);
  assert_int_equal(tl_run_result_merge(other, r, NULL), TL_OK);
  expect_text(tl_run_result_file(other, 1), "bars/1m/A.2024-02.parquet");
  tl_run_result_free(other);
  lake_remove(&l);
}

static void every_allocation_fails_in_turn_without_a_leak(void **state) {
  (void)state;
  tl_symbols symbols = {0};
  assert_int_equal(tl_symbols_parse(&symbols, "A,B", NULL), TL_OK);
  bool fired = true;
  for (long n = 1; fired; n++) {
    int64_t live = tl_alloc_live();
    tl_run_result *a = NULL, *b = NULL;
    tl_error err = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = tl_run_result_open(&symbols, &a, &err);
    if (!st) st = tl_run_result_open(&symbols, &b, &err);
    if (!st) {
      st = tl_run_result_merge(a, b, &err);
      b = NULL;
    }
    fired = tl_fault_disarm();
    assert_int_equal(st, fired ? TL_ENOMEM : TL_OK);
    assert_int_equal(err.message[0] != 0, fired);
    tl_run_result_free(a);
    tl_run_result_free(b);
    assert_int_equal(tl_alloc_live(), live);
  }
  tl_symbols_deinit(&symbols);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_first_reason_of_a_symbol_counts),
    cmocka_unit_test(a_reason_that_cannot_be_copied_is_still_a_failure),
    cmocka_unit_test(an_older_program_gets_the_totals_it_knows),
    cmocka_unit_test(runs_of_several_datasets_add_up_by_symbol),
    cmocka_unit_test(files_of_a_commit_are_listed_once_it_is_closed),
    cmocka_unit_test(every_allocation_fails_in_turn_without_a_leak),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return failed || tl_alloc_live() != 0;
}
