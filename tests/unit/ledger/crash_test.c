/* crash_test.c - eight processes at once, kill -9 at any moment, every allocation and every file call failing in turn.
 * The oracle stands outside: what a process was told has been committed goes through a pipe to its parent. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/prng.h"
#include "ledger/db.h"
#include "tests/unit/ledger/scratch.h"

/* Group k states [10k, 10k + 10) of symbols A and B and replaces one file row by "k rows". */
static tl_status commit_step(tl_ledger *ledger, const char *a, const char *b, int64_t k, tl_error *err) {
  tl_ledger_unit units[] = {unit_of(a, k * 10, k * 10 + 10, TL_COVER_PRESENT, k + 1),
                            unit_of(b, k * 10, k * 10 + 10, TL_COVER_EMPTY, 0)};
  char path[80];
  snprintf(path, sizeof path, "trades/%s.parquet", a);
  tl_ledger_file file = {path, "trades", a, k + 1, 1, "00", 0, 1};
  tl_ledger_group group = {.files = &file, .file_count = 1, .units = units, .unit_count = 2};
  return tl_ledger_commit(ledger, &group, err);
}

static int64_t sum_to(int64_t n) { return n * (n + 1) / 2; }

/* The ledger holds steps [0, n) of this pair, whole; gives n. */
static int64_t steps_held(tl_ledger *ledger, const char *a, const char *b) {
  tl_segments of_a, of_b;
  tl_ledger_file_list files;
  tl_error err = {0};
  if (tl_ledger_coverage(ledger, "equities_1min", a, (tl_range){0, 0}, &of_a, &err)) fail_msg("%s", err.message);
  if (tl_ledger_coverage(ledger, "equities_1min", b, (tl_range){0, 0}, &of_b, &err)) fail_msg("%s", err.message);
  if (tl_ledger_files(ledger, "trades", a, &files, &err)) fail_msg("%s", err.message);
  int64_t n = 0;
  if (of_a.count) {
    assert_int_equal(of_a.count, 1);
    assert_int_equal(of_b.count, 1);
    n = of_a.items[0].range.end_ns / 10;
    assert_int_equal(of_a.items[0].range.start_ns, 0);
    assert_memory_equal(&of_a.items[0].range, &of_b.items[0].range, sizeof(tl_range));
    assert_int_equal(of_a.items[0].rows, sum_to(n));
    assert_int_equal(files.count, 1);
    assert_int_equal(files.items[0].rows, n);
  } else {
    assert_true(of_b.count == 0 && files.count == 0);
  }
  tl_segments_deinit(&of_a);
  tl_segments_deinit(&of_b);
  tl_ledger_files_deinit(&files);
  return n;
}

static void expect_sound(tl_ledger *ledger) {
  sqlite3_stmt *check = NULL;
  assert_int_equal(sqlite3_prepare_v2(ledger->db, "PRAGMA integrity_check", -1, &check, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(check), SQLITE_ROW);
  assert_string_equal((const char *)sqlite3_column_text(check, 0), "ok");
  sqlite3_finalize(check);
}

/* Runs in a child: no assertion of the parent's framework may be used. */
static void commit_until(const char *lake, const char *a, const char *b, int64_t from, int64_t until, int report_fd) {
  tl_ledger *ledger = NULL;
  tl_error err = {0};
  if (open_ledger(lake, true, &ledger, &err)) {
    fprintf(stderr, "child: %s\n", err.message);
    _exit(3);
  }
  for (int64_t k = from; k < until; k++) {
    if (commit_step(ledger, a, b, k, &err)) {
      fprintf(stderr, "child: %s\n", err.message);
      _exit(4);
    }
    if (report_fd >= 0 && write(report_fd, &k, sizeof k) != sizeof k) _exit(5);
  }
  tl_ledger_close(ledger);
  _exit(0);
}

enum { PROCESSES = 8 };

/* Child i commits steps [0, steps) of symbols Ai and Bi; all of them end well. The first also race to create the ledger. */
static void eight_commit(const char *lake, int64_t steps) {
  pid_t children[PROCESSES];
  for (int i = 0; i < PROCESSES; i++) {
    children[i] = fork();
    assert_true(children[i] >= 0);
    char a[16], b[16];
    snprintf(a, sizeof a, "A%d", i);
    snprintf(b, sizeof b, "B%d", i);
    if (children[i] == 0) commit_until(lake, a, b, 0, steps, -1);
  }
  for (int i = 0; i < PROCESSES; i++) {
    int status = 0;
    assert_int_equal(waitpid(children[i], &status, 0), children[i]);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
}

/* Children look at the file while the first of them fills it. */
static void a_ledger_being_made_is_taken_for_what_it_will_be(void **state) {
  (void)state;
  for (int round = 0; round < 60; round++) {
    scratch s;
    scratch_make(&s);
    eight_commit(s.lake, 0);
    scratch_remove(&s);
  }
}

static void eight_processes_commit_at_once_and_none_is_told_that_it_is_busy(void **state) {
  (void)state;
  enum { STEPS = 20 };
  scratch s;
  scratch_make(&s);
  eight_commit(s.lake, STEPS);
  tl_ledger *ledger = scratch_open(&s);
  expect_sound(ledger);
  for (int i = 0; i < PROCESSES; i++) {
    char a[16], b[16];
    snprintf(a, sizeof a, "A%d", i);
    snprintf(b, sizeof b, "B%d", i);
    assert_int_equal(steps_held(ledger, a, b), STEPS);
  }
  tl_ledger_close(ledger);
  assert_int_not_equal(access(s.journal, F_OK), 0);
  scratch_remove(&s);
}

static void what_was_acknowledged_survives_kill_9_and_the_next_run_goes_on(void **state) {
  (void)state;
  enum { KILLS = 40 };
  scratch s;
  scratch_make(&s);
  tl_prng prng = tl_prng_init(7);
  int64_t held = 0;
  for (int i = 0; i < KILLS; i++) {
    int report[2];
    assert_int_equal(pipe(report), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      close(report[0]);
      commit_until(s.lake, "A", "B", held, INT64_MAX, report[1]);
    }
    close(report[1]);
    tl_clock_sleep_ns((int64_t)tl_prng_below(&prng, 60) * TL_NS_PER_MS);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    int64_t acknowledged = held, k = 0;
    while (read(report[0], &k, sizeof k) == sizeof k) acknowledged = k + 1;
    close(report[0]);
    tl_ledger *ledger = scratch_open(&s);
    expect_sound(ledger);
    int64_t now_held = steps_held(ledger, "A", "B");
    assert_true(now_held == acknowledged || now_held == acknowledged + 1); /* +1: killed before it could say so */
    held = now_held;
    tl_ledger_close(ledger);
  }
  assert_true(held > 0);
  scratch_remove(&s);
}

#ifdef TL_FAULTS
/* Everything a ledger does, once; what it answers is checked when nothing failed. */
static tl_status whole_life(const char *lake, bool check, tl_error *err) {
  tl_ledger *ledger = NULL;
  tl_segments coverage = {0}, gaps = {0};
  tl_ledger_series_list series = {0};
  tl_ledger_file_list files = {0};
  tl_ledger_run_list runs = {0};
  tl_ledger_result_list results = {0};
  tl_ranges open[2] = {{0}, {0}};
  const char *symbols[] = {"A", "B"};
  double rows[2], bytes_per_row = 0;
  int64_t run = 0;
  char layout[16];
  tl_ledger_source source = {.provider = "alpaca", .feed = "sip"};
  tl_ledger_unit failed = unit_of("A", 0, 100, TL_COVER_FAILED, 0), cut = unit_of("A", 3, 5, TL_COVER_PRESENT, 9);
  tl_ledger_group group = {.units = &failed, .unit_count = 1};
  tl_ledger_result result = {"A", "no"};
  tl_ledger_counts counts = {0};
  tl_status st = open_ledger(lake, true, &ledger, err);
  if (!st) st = tl_ledger_layout(ledger, "hive", layout, err);
  if (!st) st = tl_ledger_source_of(ledger, "equities_1min", &source, NULL, err);
  if (!st) st = tl_ledger_run_begin(ledger, "import", 1, &run, err);
  if (!st) st = commit_step(ledger, "A", "B", 0, err);
  if (!st) st = tl_ledger_commit(ledger, &group, err);
  group.units = &cut;
  if (!st) st = tl_ledger_commit(ledger, &group, err);
  if (!st) st = tl_ledger_recount(ledger, "equities_1min", "A", (tl_range){0, 10}, 20, err);
  if (!st) st = tl_ledger_run_end(ledger, run, 2, 0, "", &counts, &result, 1, err);
  if (!st) st = tl_ledger_coverage(ledger, "equities_1min", "A", (tl_range){0, 200}, &coverage, err);
  if (!st) st = tl_segments_gaps(&coverage, true, INT64_MAX, &gaps, err);
  if (!st) st = tl_ledger_uncovered(ledger, "equities_1min", symbols, 2, (tl_range){0, 200}, open, err);
  if (!st) st = tl_ledger_estimates(ledger, "equities_1min", symbols, 2, rows, &bytes_per_row, err);
  if (!st) st = tl_ledger_series_of(ledger, NULL, NULL, &series, err);
  if (!st) st = tl_ledger_files(ledger, NULL, NULL, &files, err);
  if (!st) st = tl_ledger_runs(ledger, 5, &runs, err);
  if (!st) st = tl_ledger_run_results(ledger, run, &results, err);
  if (!st && check) {
    assert_int_equal(coverage.count, 3); /* present [0, 10), failed [10, 100), missing */
    assert_int_equal(coverage.items[0].rows, 20);
    assert_int_equal(coverage.items[1].range.end_ns, 100);
    assert_true(open[0].count == 1 && open[0].items[0].start_ns == 10);
    assert_int_equal(series.count, 3);
    assert_int_equal(files.count, 1);
    assert_int_equal(runs.count, 1);
    assert_int_equal(results.count, 1);
  }
  tl_segments_deinit(&coverage);
  tl_segments_deinit(&gaps);
  tl_ledger_series_deinit(&series);
  tl_ledger_files_deinit(&files);
  tl_ledger_runs_deinit(&runs);
  tl_ledger_results_deinit(&results);
  tl_ranges_deinit(&open[0]);
  tl_ranges_deinit(&open[1]);
  tl_ledger_close(ledger);
  return st;
}

/* Arms call n of the seam until a run meets no fault. A fault that SQLite survives by itself must not change a
 * thing. */
static void sweep(tl_seam seam, tl_fault_action action, int code, long step) {
  for (long n = 1;; n += step) {
    scratch s;
    tl_error err = {0};
    scratch_make(&s);
    tl_fault_arm(seam, n, action, code);
    tl_status st = whole_life(s.lake, true, &err);
    bool fired = tl_fault_disarm();
    if (st && !fired) fail_msg("failed without a fault: %s", err.message);
    if (st && !err.message[0]) fail_msg("fault %ld gave no message", n);
    if (st && seam == TL_SEAM_ALLOC && st != TL_ENOMEM) fail_msg("fault %ld: %d %s", n, st, err.message);
    if (tl_alloc_live() != 0) fail_msg("fault %ld leaked %d blocks", n, (int)tl_alloc_live());
    tl_ledger *ledger = scratch_open(&s); /* whatever happened, the ledger is usable and whole */
    expect_sound(ledger);
    tl_ledger_close(ledger);
    scratch_remove(&s);
    if (!fired) break;
  }
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  sweep(TL_SEAM_ALLOC, TL_FAULT_ERROR, 0, 1);
}
static void every_file_call_may_fail(void **state) {
  (void)state;
  sweep(TL_SEAM_DISK, TL_FAULT_ERROR, EIO, 1);
  sweep(TL_SEAM_DISK, TL_FAULT_ERROR, ENOSPC, 1);
}
static void short_reads_and_writes_change_nothing(void **state) {
  (void)state;
  sweep(TL_SEAM_DISK, TL_FAULT_SHORT, 0, 1);
}

/* A child that ends just before or just after its n-th file call, for every n; then the same work goes on. */
static void every_file_call_may_be_the_last(void **state) {
  (void)state;
  static const tl_fault_action actions[] = {TL_FAULT_EXIT_BEFORE, TL_FAULT_EXIT_AFTER};
  for (size_t i = 0; i < 2; i++)
    for (long n = 1;; n++) {
      scratch s;
      scratch_make(&s);
      pid_t child = fork();
      assert_true(child >= 0);
      if (child == 0) {
        tl_ledger *ledger = NULL;
        tl_fault_arm(TL_SEAM_DISK, n, actions[i], 0);
        if (open_ledger(s.lake, true, &ledger, NULL)) _exit(3);
        for (int64_t k = 0; k < 3; k++)
          if (commit_step(ledger, "A", "B", k, NULL)) _exit(4);
        tl_ledger_close(ledger);
        _exit(0);
      }
      int status = 0;
      assert_int_equal(waitpid(child, &status, 0), child);
      assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 99));
      tl_ledger *ledger = scratch_open(&s);
      expect_sound(ledger);
      int64_t held = steps_held(ledger, "A", "B");
      assert_in_range(held, 0, 3);
      for (int64_t k = held; k < 3; k++) assert_int_equal(commit_step(ledger, "A", "B", k, NULL), TL_OK);
      assert_int_equal(steps_held(ledger, "A", "B"), 3);
      tl_ledger_close(ledger);
      scratch_remove(&s);
      if (WEXITSTATUS(status) == 0) break;
    }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_ledger_being_made_is_taken_for_what_it_will_be),
      cmocka_unit_test(eight_processes_commit_at_once_and_none_is_told_that_it_is_busy),
      cmocka_unit_test(what_was_acknowledged_survives_kill_9_and_the_next_run_goes_on),
#ifdef TL_FAULTS
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(every_file_call_may_fail),
      cmocka_unit_test(short_reads_and_writes_change_nothing),
      cmocka_unit_test(every_file_call_may_be_the_last),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
