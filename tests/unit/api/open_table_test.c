/* include/ticklake/table.h as a program sees it: handles, sizes of structs, streams in and out, whose memory is whose.
 * What the verbs do to a table is tests/cli/test_table.py's and tests/interop's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "engine/engine.h"
#include "ticklake/ticklake.h"

static char folder[] = "/tmp/ticklake-api-table-XXXXXX";
static tl_engine *engine; /* makes Arrow streams */

static int set_up(void **state) {
  (void)state;
  if (!mkdtemp(folder) || chdir(folder)) return -1;
  return tl_engine_open(&(tl_engine_options){.threads = 1}, &engine, NULL) == TL_OK ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  char command[128];
  tl_engine_close(engine);
  snprintf(command, sizeof command, "rm -r %s", folder);
  if (chdir("/")) return -1;
  FILE *shell = popen(command, "r");
  return shell && !pclose(shell) ? 0 : -1;
}

static void check(tl_status st, const tl_error *err) {
  if (st) fail_msg("%d: %s", st, err->message);
}

static tl_table *make(const char *name, const char *faces) {
  tl_table *table = NULL;
  tl_error err = {0};
  tl_table_create_options create = {.size = sizeof create, .columns = "symbol VARCHAR, n BIGINT", .faces = faces};
  check(tl_table_create(name, NULL, &create, &table, &err), &err);
  return table;
}

static struct ArrowArrayStream stream_of(const char *sql) {
  struct ArrowArrayStream stream = {0};
  tl_error err = {0};
  check(tl_engine_query(engine, sql, NULL, 0, &stream, &err), &err);
  return stream;
}

/* The sum of an int64 column, and how many rows; NULL counts as nothing. */
static void sum(tl_table *table, const tl_table_read_options *options, int64_t *total, int64_t *rows) {
  struct ArrowArrayStream stream;
  tl_error err = {0};
  check(tl_table_read(table, options, &stream, &err), &err);
  *total = *rows = 0;
  for (;;) {
    struct ArrowArray part;
    assert_int_equal(stream.get_next(&stream, &part), 0);
    if (!part.release) break;
    const int64_t *values = part.children[0]->buffers[1];
    for (int64_t i = 0; i < part.length; i++) *total += values[part.offset + part.children[0]->offset + i];
    *rows += part.length;
    part.release(&part);
  }
  stream.release(&stream);
}

static void streams_go_in_and_out(void **state) {
  (void)state;
  static const char *const faces[] = {"delta", "iceberg", "delta,iceberg"};
  for (size_t f = 0; f < 3; f++) {
    char name[16];
    snprintf(name, sizeof name, "stream%zu", f);
    tl_table *table = make(name, faces[f]);
    tl_error err = {0};
    struct ArrowArrayStream stream = stream_of("select 's' || i % 3 as symbol, i::bigint as n from range(5000) t(i)");
    tl_table_write_options write = {.size = sizeof write, .stream = &stream};
    tl_table_change change = {.size = sizeof change};
    check(tl_table_append(table, &write, &change, &err), &err);
    assert_null(stream.release);
    assert_int_equal(change.rows_inserted, 5000);
    int64_t total, rows;
    sum(table, &(tl_table_read_options){.size = sizeof(tl_table_read_options), .columns = "n"}, &total, &rows);
    assert_int_equal(rows, 5000);
    assert_int_equal(total, 5000 * 4999 / 2);
    sum(table, &(tl_table_read_options){.size = sizeof(tl_table_read_options), .columns = "n", .where = "n >= 10 and n < 20 -- ten"}, &total, &rows);
    assert_int_equal(rows, 10);
    assert_int_equal(total, 145);
    sum(table, &(tl_table_read_options){.size = sizeof(tl_table_read_options), .columns = "n", .limit = 7}, &total, &rows);
    assert_int_equal(rows, 7);
    char version[32];
    snprintf(version, sizeof version, "%lld", (long long)change.version);
    check(tl_table_delete(table, "n >= 100", NULL, &err), &err);
    sum(table, &(tl_table_read_options){.size = sizeof(tl_table_read_options), .columns = "n"}, &total, &rows);
    assert_int_equal(rows, 100);
    sum(table, &(tl_table_read_options){.size = sizeof(tl_table_read_options), .columns = "n", .version = version}, &total, &rows);
    assert_int_equal(rows, 5000);
    tl_table_close(table);
  }
}

static void a_stream_is_released_also_when_the_verb_fails(void **state) {
  (void)state;
  tl_table *table = make("released", "delta");
  tl_error err = {0};
  struct ArrowArrayStream stream = stream_of("select 1 as nothing_like_it");
  tl_table_write_options write = {.size = sizeof write, .stream = &stream};
  assert_int_equal(tl_table_append(table, &write, NULL, &err), TL_EUSAGE);
  assert_null(stream.release);
  stream = stream_of("select 1 as n");
  write.from = "both.csv";
  assert_int_equal(tl_table_append(table, &write, NULL, &err), TL_EUSAGE);
  assert_null(stream.release);
  stream = stream_of("select 1 as n");
  write = (tl_table_write_options){.size = sizeof write, .stream = &stream};
  assert_int_equal(tl_table_merge(table, &write, NULL, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "keys"));
  assert_null(stream.release);
  tl_table_close(table);
}

static void structs_of_an_older_header_are_filled_as_far_as_they_go(void **state) {
  (void)state;
  tl_table *table = make("older", "delta");
  tl_error err = {0};
  tl_table_info info;
  memset(&info, 0x5A, sizeof info);
  info.size = offsetof(tl_table_info, unwritable);
  check(tl_table_describe(table, NULL, NULL, &info, &err), &err);
  assert_string_equal(info.faces, "delta");
  assert_int_equal(info.size, offsetof(tl_table_info, unwritable));
  int64_t untouched;
  memset(&untouched, 0x5A, sizeof untouched);
  assert_int_equal(info.version, untouched);
  assert_int_equal(info.bytes, untouched);
  tl_table_write_options write = {.size = offsetof(tl_table_write_options, txn_app), .from = "select 1::bigint as n", .txn_app = "not looked at", .txn_version = 1};
  tl_table_change change = {.size = offsetof(tl_table_change, rows_updated), .rows_updated = 77, .attempts = 77};
  check(tl_table_append(table, &write, &change, &err), &err);
  assert_int_equal(change.rows_inserted, 1);
  assert_int_equal(change.rows_updated, 77);
  assert_int_equal(change.attempts, 77);
  check(tl_table_append(table, &write, &change, &err), &err); /* no txn, so again */
  assert_int_equal(change.version, 2);
  tl_table_close(table);
}

static int count(void *user, const tl_table_version *version) {
  assert_int_equal(version->size, sizeof *version);
  return ++*(int *)user == 2;
}

static int first_column(void *user, const tl_table_column *column) {
  snprintf(user, 32, "%s %s %d", column->name, column->type, (int)column->id);
  return 1;
}

static void a_callback_can_stop(void **state) {
  (void)state;
  tl_table *table = make("stops", "delta");
  tl_error err = {0};
  tl_table_write_options write = {.size = sizeof write, .from = "select 1::bigint as n"};
  for (int i = 0; i < 3; i++) check(tl_table_append(table, &write, NULL, &err), &err);
  int versions = 0;
  check(tl_table_history(table, 0, count, &versions, &err), &err);
  assert_int_equal(versions, 2);
  char column[32] = "";
  check(tl_table_schema(table, "0", NULL, first_column, column, &err), &err);
  assert_string_equal(column, "symbol VARCHAR 1");
  assert_int_equal(tl_table_history(table, -1, count, &versions, &err), TL_EUSAGE);
  tl_table_close(table);
}

static void read_only_is_read_only(void **state) {
  (void)state;
  tl_table_close(make("safe", "delta"));
  tl_table *table = NULL;
  tl_error err = {0};
  tl_table_options options = {.size = sizeof options, .read_only = true};
  check(tl_table_open("safe", &options, &table, &err), &err);
  tl_table_write_options write = {.size = sizeof write, .from = "select 1::bigint as n"};
  assert_int_equal(tl_table_append(table, &write, NULL, &err), TL_EUSAGE);
  assert_int_equal(tl_table_delete(table, "true", NULL, &err), TL_EUSAGE);
  assert_int_equal(tl_table_optimize(table, NULL, NULL, &err), TL_EUSAGE);
  tl_table_close(table);
  tl_table_create_options create = {.size = sizeof create, .columns = "n BIGINT"};
  assert_int_equal(tl_table_create("other", &options, &create, &table, &err), TL_EUSAGE);
  assert_int_not_equal(access("other", F_OK), 0);
}

static void what_is_missing_is_said(void **state) {
  (void)state;
  tl_table *table = NULL;
  tl_error err = {0};
  assert_int_equal(tl_table_open(NULL, NULL, &table, &err), TL_EUSAGE);
  assert_int_equal(tl_table_open("nowhere", NULL, &table, &err), TL_ENOTFOUND);
  assert_int_equal(tl_table_create("nowhere", NULL, NULL, &table, &err), TL_EUSAGE);
  assert_null(table);
  assert_int_not_equal(access("nowhere", F_OK), 0);
  table = make("words", "delta");
  assert_int_equal(tl_table_append(table, NULL, NULL, &err), TL_EUSAGE);
  assert_int_equal(tl_table_delete(table, NULL, NULL, &err), TL_EUSAGE);
  assert_int_equal(tl_table_restore(table, NULL, NULL, NULL, &err), TL_EUSAGE);
  assert_int_equal(tl_table_restore(table, "1", "2024-01-01", NULL, &err), TL_EUSAGE);
  assert_int_equal(tl_table_expire(table, NULL, NULL, &err), TL_EUSAGE);
  assert_int_equal(tl_table_add_columns(table, "", NULL, &err), TL_EUSAGE);
  assert_int_equal(tl_table_set_properties(table, NULL, NULL, &err), TL_EUSAGE);
  assert_int_equal(tl_table_vacuum(table, &(tl_table_vacuum_options){.size = sizeof(tl_table_vacuum_options), .retain_ms = -1}, NULL, &err), TL_EUSAGE);
  tl_table_close(table);
  tl_table_close(NULL);
}

#ifdef TL_FAULTS
static tl_status look(tl_error *err) {
  tl_table *table = NULL;
  tl_table_info info = {.size = sizeof info};
  int versions = 0;
  char column[32];
  struct ArrowArrayStream stream = {0};
  tl_status st = tl_table_open("life", NULL, &table, err);
  if (st) return st;
  st = tl_table_describe(table, "0", NULL, &info, err);
  if (!st) st = tl_table_schema(table, NULL, NULL, first_column, column, err);
  if (!st) st = tl_table_history(table, 0, count, &versions, err);
  if (!st) st = tl_table_read(table, &(tl_table_read_options){.size = sizeof(tl_table_read_options), .where = "n > 0"}, &stream, err);
  if (stream.release) stream.release(&stream);
  tl_table_close(table);
  return st;
}

static tl_status change(tl_error *err) {
  static const char *const properties[] = {"a=b", "c", NULL};
  tl_table *table = NULL;
  tl_status st = tl_table_open("life", NULL, &table, err);
  if (!st) st = tl_table_append(table, &(tl_table_write_options){.size = sizeof(tl_table_write_options), .from = "select 2::bigint as n;"}, NULL, err);
  if (!st) st = tl_table_set_properties(table, properties, NULL, err);
  tl_table_close(table);
  return st;
}

/* Every step-th allocation of the body fails once: said, and nothing is left behind. What fails may be benign: hints that are
 * not read (_last_checkpoint), and all that comes after a commit, which stays done. */
static void sweep(tl_status (*body)(tl_error *err), long step) {
  int64_t live = tl_alloc_live();
  bool fired = true;
  for (long n = 1; fired; n += step) {
    tl_error err = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, ENOMEM);
    tl_status st = body(&err);
    fired = tl_fault_disarm();
    if (st && !fired) fail_msg("without a fault: %s", err.message);
    if (st && !err.message[0]) fail_msg("fault %ld was not explained", n);
    assert_int_equal(tl_alloc_live(), live);
  }
}

static void every_fault_is_reported_without_a_leak(void **state) {
  (void)state;
  tl_table_close(make("life", "delta"));
  sweep(look, 1);
  sweep(change, 29);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(streams_go_in_and_out),
    cmocka_unit_test(a_stream_is_released_also_when_the_verb_fails),
    cmocka_unit_test(structs_of_an_older_header_are_filled_as_far_as_they_go),
    cmocka_unit_test(a_callback_can_stop),
    cmocka_unit_test(read_only_is_read_only),
    cmocka_unit_test(what_is_missing_is_said),
#ifdef TL_FAULTS
    cmocka_unit_test(every_fault_is_reported_without_a_leak),
#endif
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
