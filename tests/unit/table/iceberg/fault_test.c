/* fault_test.c - every allocation and every file-system call of every command fails once: nothing leaks, the reason is told, and
 * the table is whole: as it was before the command, or as it should be after it. */
#include <errno.h>

#include "base/fault.h"
#include "iceberg_table.h"

#ifdef TL_FAULTS

typedef enum command { CREATE, APPEND, MERGE, PROPERTIES, CHECKPOINT, EXPIRE, READ, COMMANDS } command;

static int ignore_version(void *to, const tl_version *v) {
  (void)to;
  (void)v;
  return 0;
}

static int ignore_path(void *to, const char *path) {
  (void)to;
  (void)path;
  return 0;
}

static tl_status edit_table(tl_table_log *log, tl_snapshot *s, command what, tl_error *err) {
  tl_data_file file = file_of("new", "BTC/USD", "2024-05", 3);
  const char *remove = "a";
  tl_pair pair = {(char *)(uintptr_t)"k", (char *)(uintptr_t)"v"};
  tl_edit edit = {.operation = "WRITE", .data_change = true, .txn_app = "job", .txn_version = 1};
  tl_committed out;
  if (what == APPEND || what == MERGE) {
    edit.adds = &file;
    edit.add_count = 1;
  }
  if (what == MERGE) {
    edit.removes = &remove;
    edit.remove_count = 1;
    edit.reads = TL_READS_ALL;
  }
  if (what == PROPERTIES) {
    edit.properties = &pair;
    edit.property_count = 1;
  }
  tl_status st = tl_format_iceberg.commit(log, s, &edit, &out, err);
  free(file.partition);
  return st;
}

static tl_status read_table(tl_table_log *log, tl_snapshot *s, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < s->file_count; i++) {
    tl_file_stats stats;
    st = tl_snapshot_stats(s, i, &stats, err);
    if (!st) tl_file_stats_deinit(&stats);
  }
  if (!st) st = tl_format_iceberg.history(log, 10, ignore_version, NULL, err);
  return st ? st : tl_format_iceberg.keeps(log, 0, ignore_path, NULL, err);
}

/* One command, from opening the table to closing it. */
static tl_status run(const char *folder, command what, tl_error *err) {
  tl_store *store = NULL;
  tl_table_log *log = NULL;
  tl_snapshot *s = NULL;
  tl_committed out;
  tl_expired gone;
  const tl_fields fields = table_fields();
  const tl_create create = {.fields = &fields};
  tl_status st = tl_store_open(folder, NULL, &store, err);
  if (!st) st = tl_format_iceberg.open(store, NULL, &log, err);
  if (!st && what == CREATE) st = tl_format_iceberg.create(log, &create, &out, err);
  else if (!st) st = tl_format_iceberg.load(log, (tl_at){.kind = TL_AT_LATEST}, &s, err);
  if (!st && (what == APPEND || what == MERGE || what == PROPERTIES)) st = edit_table(log, s, what, err);
  if (!st && what == CHECKPOINT) st = tl_format_iceberg.checkpoint(log, s, err);
  if (!st && what == EXPIRE) st = tl_format_iceberg.expire(log, INT64_MAX, 1, false, &gone, err);
  if (!st && what == READ) st = read_table(log, s, err);
  tl_snapshot_close(s);
  if (log) tl_format_iceberg.close(log);
  tl_store_close(store);
  return st;
}

static void prepare(table *t, command what) {
  table_open(t, NULL);
  if (what == CREATE) return;
  table_create(t);
  append(t, "a", "AAPL", "2024-01", 10);
  append(t, "b", "AAPL", "2024-02", 10);
}

/* Live files after the command: before it "a b". */
static const char *const after[COMMANDS] = {"", "a b new", "b new", "a b", "a b", "a b", "a b"};

static void assert_whole(table *t, command what, bool done) {
  tl_snapshot *s = NULL;
  tl_error err = {0};
  tl_status st = tl_format_iceberg.load(t->log, (tl_at){.kind = TL_AT_LATEST}, &s, &err);
  if (what == CREATE && !done && st == TL_ENOTFOUND) return;
  if (st) fail_msg("command %d: %s", (int)what, err.message);
  char text[64] = "";
  for (size_t i = 0; i < s->file_count; i++) snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "", s->files[i].path);
  bool as_after = !strcmp(text, after[what]), as_before = !strcmp(text, what == CREATE ? "" : "a b");
  if (!(done ? as_after : as_after || as_before)) fail_msg("command %d left '%s'", (int)what, text);
  tl_snapshot_close(s);
}

static void sweep(tl_seam seam, command what) {
  for (long n = 1; n < 100000; n++) {
    table t;
    tl_error err = {0};
    prepare(&t, what);
    int64_t live = tl_alloc_live();
    tl_fault_arm(seam, n, TL_FAULT_ERROR, ENOSPC);
    tl_status st = run(t.folder, what, &err);
    bool fired = tl_fault_disarm();
    if (st && !err.message[0]) fail_msg("command %d, fault %ld: no reason", (int)what, n);
    if (st && !fired) fail_msg("command %d failed without a fault: %s", (int)what, err.message);
    if (tl_alloc_live() != live) fail_msg("command %d, fault %ld: %lld blocks leaked", (int)what, n, (long long)(tl_alloc_live() - live));
    assert_whole(&t, what, st == TL_OK);
    tl_error again_err = {0};
    if (st && run(t.folder, what, &again_err) && !(what == CREATE && again_err.status == TL_ECONFLICT) &&
        !(what == MERGE && again_err.status == TL_EUSAGE) && !(what == APPEND && again_err.status == TL_EUSAGE))
      fail_msg("command %d, fault %ld: again: %s", (int)what, n, again_err.message);
    if (st) assert_whole(&t, what, true);
    table_close(&t, true);
    if (!fired) return;
  }
  fail_msg("still failing");
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  for (int what = 0; what < COMMANDS; what++) sweep(TL_SEAM_ALLOC, (command)what);
}

static void every_call_of_the_disk_may_fail(void **state) {
  (void)state;
  for (int what = 0; what < COMMANDS; what++) sweep(TL_SEAM_DISK, (command)what);
}
#endif

static void without_faults_every_command_does_its_work(void **state) {
  (void)state;
#ifdef TL_FAULTS
  for (int what = 0; what < COMMANDS; what++) {
    table t;
    tl_error err = {0};
    prepare(&t, (command)what);
    if (run(t.folder, (command)what, &err)) fail_msg("%s", err.message);
    assert_whole(&t, (command)what, true);
    table_close(&t, true);
  }
#endif
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(without_faults_every_command_does_its_work),
#ifdef TL_FAULTS
    cmocka_unit_test(every_allocation_may_fail),
    cmocka_unit_test(every_call_of_the_disk_may_fail),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
