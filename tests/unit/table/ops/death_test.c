/* Processes that die at any step of a verb, and calls that fail: the table is whole, the next one cleans up, nothing leaks. */
#include <sys/wait.h>

#include "base/fault.h"
#include "tests/unit/table/ops/bars.h"

/* ---- death at any step ---- */

typedef tl_status (*verb)(tl_relation *relation, tl_error *err);

static const char extra[] = "SELECT 'A' AS symbol, TIMESTAMPTZ '2024-01-01 00:00:00+00' + g * INTERVAL 20 MINUTE AS timestamp, -1.0 AS close, 5 AS volume FROM range(10) t(g)";
static tl_status do_append(tl_relation *r, tl_error *err) { return tl_relation_append(r, &(tl_write){.rows = extra, .txn_app = "t", .txn_version = 1}, NULL, err); }
static tl_status do_merge(tl_relation *r, tl_error *err) { return tl_relation_merge(r, &(tl_write){.rows = extra}, "symbol,timestamp", NULL, err); }
static tl_status do_delete(tl_relation *r, tl_error *err) { return tl_relation_delete(r, "volume % 5 = 1", NULL, err); }
static tl_status do_optimize(tl_relation *r, tl_error *err) { return tl_relation_optimize(r, &(tl_optimize){.zorder_by = "volume"}, NULL, err); }
static tl_status do_vacuum(tl_relation *r, tl_error *err) { return tl_relation_vacuum(r, 0, true, false, NULL, NULL, &(tl_vacuumed){0}, err); }
static tl_status do_columns(tl_relation *r, tl_error *err) {
  return tl_fields_find(&tl_relation_snapshot(r)->fields, "more") >= 0 ? TL_OK : tl_relation_add_columns(r, "more INTEGER", NULL, err);
}

static const struct {
  const char *name;
  verb run;
  const char *after; /* the rows then; before: truth */
} verbs[] = {
  {"append", do_append, "FROM truth UNION ALL SELECT 'A', TIMESTAMPTZ '2024-01-01 00:00:00+00' + g * INTERVAL 20 MINUTE, -1.0, 5 FROM range(10) t(g)"},
  {"merge", do_merge, "SELECT * FROM truth WHERE NOT (symbol = 'A' AND volume IN (0, 2)) UNION ALL SELECT 'A', TIMESTAMPTZ '2024-01-01 00:00:00+00' + g * INTERVAL 20 MINUTE, -1.0, 5 FROM range(10) t(g)"},
  {"delete", do_delete, "SELECT * FROM truth WHERE volume % 5 <> 1"},
  {"optimize", do_optimize, "FROM truth"},
  {"vacuum", do_vacuum, "FROM truth"},
  {"add columns", do_columns, "FROM truth"},
};

/* The verb on a table, in a process of its own that dies before the n-th step; n 0: it counts them. */
static int run_child(const char *folder, verb run, int n, long *steps) {
  int pipes[2];
  assert_int_equal(pipe(pipes), 0);
  pid_t child = fork();
  if (child == 0) {
    tl_relation *relation = NULL;
    tl_error err = {0};
    tl_relation_options options = {.file_bytes = 1 << 20, .memory_bytes = 256 << 20};
    tl_fault_arm(TL_SEAM_STEP, n ? n : 1000000, TL_FAULT_EXIT_BEFORE, 0);
    tl_status st = tl_relation_open(folder, &options, &relation, &err);
    if (!st) st = run(relation, &err);
    if (st) fprintf(stderr, "child: %s\n", err.message);
    tl_relation_close(relation);
    long calls = tl_fault_calls();
    if (write(pipes[1], &calls, sizeof calls) != sizeof calls) _exit(5);
    _exit(st ? 4 : 0);
  }
  int status = 0;
  close(pipes[1]);
  if (read(pipes[0], steps, sizeof *steps) != sizeof *steps) *steps = -1;
  close(pipes[0]);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static bool rows_are(table_fixture *t, const char *truth) {
  tl_buf sql = {0}, ours = {0};
  MUST(tl_relation_sql(t->relation, NULL, NULL, &ours, err));
  MUST(tl_buf_appendf(&sql, err, "SELECT count(*) FROM ((SELECT %s FROM (%s) EXCEPT ALL (%s)) UNION ALL ((%s) EXCEPT ALL SELECT %s FROM (%s)))", columns, ours.data, truth, truth, columns, ours.data));
  int64_t wrong = one_number(t, sql.data);
  tl_buf_deinit(&sql);
  tl_buf_deinit(&ours);
  return wrong == 0;
}

static void open_again(table_fixture *t, const char *folder) {
  MUST(tl_engine_open(&(tl_engine_options){.memory_bytes = 256 << 20, .threads = 2}, &t->engine, err));
  run_sql(t, "CREATE TABLE truth AS SELECT ['A', 'BTC/USD'][1 + g %% 2] AS symbol, TIMESTAMPTZ '2024-01-01 00:00:00+00' + g * INTERVAL 1 HOUR AS timestamp, "
             "g / 3.0::DOUBLE AS close, g::BIGINT AS volume FROM range(1000) t(g)");
  tl_relation_options options = table_options(t);
  MUST(tl_relation_open(folder, &options, &t->relation, err));
}

static void close_all(table_fixture *t) {
  tl_relation_close(t->relation);
  tl_engine_close(t->engine);
  t->relation = NULL;
  t->engine = NULL;
}

enum { POINTS = 3 };

static void death_body(table_fixture *t) {
  char template[80], folder[64];
  long steps;
  start_bars(t);
  close_all(t);
  snprintf(template, sizeof template, "%s.template", t->folder);
  snprintf(folder, sizeof folder, "%s", t->folder);
  assert_int_equal(shell("mv '%s' '%s'", folder, template), 0);
  for (size_t v = 0; v < sizeof verbs / sizeof *verbs; v++) {
    assert_int_equal(shell("rm -rf '%s' && cp -a '%s' '%s'", folder, template, folder), 0);
    assert_int_equal(run_child(folder, verbs[v].run, 0, &steps), 0);
    long all = steps, last = 0;
    for (int p = 0; p < POINTS; p++) {
      long n = 1 + all * p / POINTS;
      if (n == last || n > all) continue;
      last = n;
      assert_int_equal(shell("rm -rf '%s' && cp -a '%s' '%s'", folder, template, folder), 0);
      assert_int_equal(run_child(folder, verbs[v].run, (int)n, &steps), 99);
      open_again(t, folder);
      if (!rows_are(t, "FROM truth") && !rows_are(t, verbs[v].after)) fail_msg("%s died before step %ld of %ld and left neither the old nor the new rows", verbs[v].name, n, all);
      MUST(verbs[v].run(t->relation, err));
      assert_table(t, columns, verbs[v].after);
      MUST(tl_relation_vacuum(t->relation, 0, true, false, NULL, NULL, &(tl_vacuumed){0}, err));
      assert_table(t, columns, verbs[v].after);
      assert_int_equal(shell("test ! -e '%s/_ticklake_tmp'", folder), 0);
      close_all(t);
    }
  }
  assert_int_equal(shell("rm -rf '%s'", template), 0);
}
static void death_at_any_step_leaves_a_whole_version(void **state) {
  (void)state;
  FOR_EACH_FACES(death_body)
}

/* ---- calls that fail ---- */

static void failing_body(table_fixture *t) {
  start_bars(t);
  static const struct {
    tl_seam seam;
    int errno_value;
  } seams[] = {{TL_SEAM_ALLOC, 0}, {TL_SEAM_DISK, 28}};
  for (size_t s = 0; s < 2; s++)
    for (long n = 1, step = 1;; n += step, step += step / 2 + 1) { /* sparser and sparser */
      tl_relation *own = NULL;
      tl_error why = {0};
      tl_relation_options options = table_options(t);
      int64_t live = tl_alloc_live();
      tl_fault_arm(seams[s].seam, n, TL_FAULT_ERROR, seams[s].errno_value);
      tl_status st = tl_relation_open(t->folder, &options, &own, &why);
      if (!st) st = do_merge(own, &why);
      tl_relation_close(own);
      bool reached = tl_fault_disarm();
      assert_int_equal(tl_alloc_live(), live);
      if (st && (st == TL_EINTERNAL || !why.message[0])) fail_msg("call %ld failing: status %d, '%s'", n, (int)st, why.message);
      if (!reached) break;
    }
  table_reopen(t);
  MUST(do_merge(t->relation, err));
  assert_table(t, columns, verbs[1].after);
}
static void calls_that_fail_leave_no_leak_and_a_whole_table(void **state) {
  (void)state;
  FOR_EACH_FACES(failing_body)
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(death_at_any_step_leaves_a_whole_version),
    cmocka_unit_test(calls_that_fail_leave_no_leak_and_a_whole_table),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
