/* conflict_test.c - two handles on one table: for every pair of edits, may the slower one be committed behind the faster?
 * The truth: a table of Delta's rules for the isolation level Serializable, written out pair by pair. */
#include <pthread.h>

#include "tests/unit/table/delta/table.h"

/* The table has a1, a2 in partition A and b1 in partition B. */
typedef enum kind { APPEND_A, APPEND_B, MERGE_A, MERGE_B, DELETE_ALL, OPTIMIZE_A, OPTIMIZE_B, INSERT_A, PROPERTY, KINDS } kind;
static const char *const names[KINDS] = {"append to A", "append to B", "merge in A", "merge in B", "delete all", "optimize A", "optimize B",
                                         "insert into A what A lacks", "set a property"};

/* Winner down, loser across: 1 may commit behind it, 0 must plan again. */
static const char allowed[KINDS][KINDS] = {
  /*                    apA apB meA meB del opA opB inA prop */
  [APPEND_A] = /*   */ {1, 1, 0, 1, 0, 1, 1, 0, 1},
  [APPEND_B] = /*   */ {1, 1, 1, 0, 0, 1, 1, 1, 1},
  [MERGE_A] = /*    */ {1, 1, 0, 1, 0, 0, 1, 0, 1},
  [MERGE_B] = /*    */ {1, 1, 1, 0, 0, 1, 0, 1, 1},
  [DELETE_ALL] = /* */ {1, 1, 0, 0, 0, 0, 0, 0, 1},
  [OPTIMIZE_A] = /* */ {1, 1, 0, 1, 0, 0, 1, 0, 1},
  [OPTIMIZE_B] = /* */ {1, 1, 1, 0, 0, 1, 0, 1, 1},
  [INSERT_A] = {1, 1, 0, 1, 0, 1, 1, 0, 1},
  [PROPERTY] = /*   */ {0, 0, 0, 0, 0, 0, 0, 0, 0},
};

static tl_status commit(table *t, tl_table_log *log, const tl_snapshot *base, kind k, const char *who, tl_committed *done) {
  static const char *const a[] = {"a1", "a2"}, *const b[] = {"b1"}, *const all[] = {"a1", "a2", "b1"};
  static const char *const part_a[] = {"A"}, *const part_b[] = {"B"};
  static const char *const *const read_a[] = {part_a}, *const *const read_b[] = {part_b};
  static const tl_pair property = {(char *)(uintptr_t)"p", (char *)(uintptr_t)"q"};
  file_of f;
  char path[64];
  bool in_b = k == APPEND_B || k == MERGE_B || k == OPTIMIZE_B;
  snprintf(path, sizeof path, "new-%s-%d", who, (int)k);
  file_init(&f, path, in_b ? "B" : "A", 1);
  tl_edit edit = {.operation = "WRITE", .adds = &f.file, .add_count = 1, .data_change = k != OPTIMIZE_A && k != OPTIMIZE_B};
  bool merges = k == MERGE_A || k == MERGE_B || k == INSERT_A;
  if (k == MERGE_A || k == OPTIMIZE_A) edit.removes = a, edit.remove_count = 2;
  if (k == MERGE_B || k == OPTIMIZE_B) edit.removes = b, edit.remove_count = 1;
  if (k == DELETE_ALL) edit.removes = all, edit.remove_count = 3, edit.add_count = 0;
  if (k == PROPERTY) edit.properties = &property, edit.property_count = 1, edit.add_count = 0;
  if (merges) edit.reads = TL_READS_PARTITIONS, edit.read_partitions = in_b ? read_b : read_a, edit.read_partition_count = 1;
  else edit.reads = k == DELETE_ALL ? TL_READS_ALL : k == OPTIMIZE_A || k == OPTIMIZE_B ? TL_READS_REMOVED : TL_READS_NOTHING;
  return F->commit(log, base, &edit, done, &t->err);
}

static void one_pair(kind winner, kind loser) {
  table t;
  tl_table_log *other = NULL;
  tl_snapshot *s = NULL, *s2 = NULL;
  tl_committed done;
  table_open(&t, false);
  table_create(&t, NULL, 0);
  const struct { const char *path, *symbol; } files[] = {{"a1", "A"}, {"a2", "A"}, {"b1", "B"}};
  for (size_t i = 0; i < 3; i++) {
    s = table_load(&t);
    assert_int_equal(table_append(&t, s, files[i].path, files[i].symbol, NULL), TL_OK);
    tl_snapshot_close(s);
  }
  s = table_load(&t);
  assert_int_equal(F->open(t.store, &t.env, &other, &t.err), TL_OK);
  assert_int_equal(F->load(other, (tl_at){TL_AT_LATEST, 0}, &s2, &t.err), TL_OK);
  assert_int_equal(commit(&t, t.log, s, winner, "winner", &done), TL_OK);
  assert_int_equal(done.version, 4);
  tl_status st = commit(&t, other, s2, loser, "loser", &done);
  if ((st == TL_OK) != (allowed[winner][loser] == 1) || (st && st != TL_ECONFLICT))
    fail_msg("%s, behind %s: %s", names[loser], names[winner], st ? t.err.message : "was committed");
  if (!st) {
    assert_int_equal(done.version, 5);
    assert_int_equal(done.attempts, 2);
  }
  tl_snapshot_close(s);
  s = table_load(&t);
  assert_int_equal(s->version, st ? 4 : 5);
  tl_snapshot_close(s);
  tl_snapshot_close(s2);
  F->close(other);
  table_close(&t);
}

static void every_pair_of_edits_is_serial_or_refused(void **state) {
  (void)state;
  for (int winner = 0; winner < KINDS; winner++)
    for (int loser = 0; loser < KINDS; loser++) one_pair((kind)winner, (kind)loser);
}

static void a_new_protocol_stops_everybody(void **state) {
  (void)state;
  table t;
  table_open(&t, false);
  table_create(&t, NULL, 0);
  tl_snapshot *s = table_load(&t);
  table_commit_text(&t, 1, "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n");
  assert_int_equal(table_append(&t, s, "x", "A", NULL), TL_ECONFLICT);
  assert_non_null(strstr(t.err.message, "protocol"));
  tl_snapshot_close(s);
  table_close(&t);
}

static void a_txn_of_ours_that_won_is_not_committed_again(void **state) {
  (void)state;
  table t;
  tl_committed done;
  table_open(&t, false);
  table_create(&t, NULL, 0);
  tl_snapshot *s = table_load(&t);
  static const struct { int64_t theirs, ours; tl_status status; bool already; } cases[] = {{5, 5, TL_OK, true}, {6, 5, TL_OK, true}, {4, 5, TL_ECONFLICT, false}};
  for (size_t i = 0; i < COUNT(cases); i++) {
    char text[100];
    file_of f;
    snprintf(text, sizeof text, "{\"txn\":{\"appId\":\"me\",\"version\":%d}}\n", (int)cases[i].theirs);
    table_commit_text(&t, 1, text);
    file_init(&f, "x", "A", 1);
    tl_edit edit = {.operation = "WRITE", .adds = &f.file, .add_count = 1, .data_change = true, .txn_app = "me", .txn_version = cases[i].ours};
    assert_int_equal(F->commit(t.log, s, &edit, &done, &t.err), cases[i].status);
    assert_int_equal(done.already, cases[i].already);
    edit.txn_app = "you";
    assert_int_equal(F->commit(t.log, s, &edit, &done, &t.err), TL_OK);
    assert_int_equal(done.version, 2);
    table_command("rm '%s'/_delta_log/00000000000000000002.json", t.folder);
  }
  tl_snapshot_close(s);
  table_close(&t);
}

static void null_partitions_and_instants_are_compared_as_values(void **state) {
  (void)state;
  static char ts[] = "ts", a[] = "a";
  static const struct { const char *theirs, *ours; tl_status status; } cases[] = {
    {"null", NULL, TL_ECONFLICT}, {"\"\"", NULL, TL_ECONFLICT}, {"\"2024-01-01 00:00:00\"", NULL, TL_OK},
    {"\"2024-01-01 00:00:00\"", "2024-01-01T00:00:00.000000Z", TL_ECONFLICT}, {"\"2024-01-01T01:00:00+01:00\"", "2024-01-01T00:00:00.000000Z", TL_ECONFLICT}};
  for (size_t i = 0; i < COUNT(cases); i++) {
    table t;
    tl_committed done;
    char text[200];
    table_open(&t, false);
    tl_field items[] = {{.name = ts, .type = TL_FIELD_TIMESTAMP, .nullable = true}, {.name = a, .type = TL_FIELD_I64, .nullable = true}};
    tl_fields fields = {items, 2, 0};
    tl_partition_field by = {.name = ts, .transform = TL_TRANSFORM_IDENTITY};
    tl_partitioning partitioning = {&by, 1};
    tl_create create = {.fields = &fields, .partitioning = &partitioning};
    assert_int_equal(F->create(t.log, &create, &done, &t.err), TL_OK);
    tl_snapshot *s = table_load(&t);
    snprintf(text, sizeof text, "{\"add\":{\"path\":\"w\",\"size\":1,\"partitionValues\":{\"ts\":%s},\"dataChange\":true}}\n", cases[i].theirs);
    table_commit_text(&t, 1, text);
    file_of f;
    file_init(&f, "l", cases[i].ours, 1);
    const char *part[] = {cases[i].ours};
    const char *const *const read[] = {part};
    tl_edit edit = {.operation = "MERGE", .adds = &f.file, .add_count = 1, .data_change = true, .reads = TL_READS_PARTITIONS, .read_partitions = read, .read_partition_count = 1};
    tl_status st = F->commit(t.log, s, &edit, &done, &t.err);
    if (st != cases[i].status) fail_msg("case %zu: %d %s", i, (int)st, t.err.message);
    tl_snapshot_close(s);
    table_close(&t);
  }
}

static void a_base_whose_log_was_cleaned_up_does_not_commit_into_the_void(void **state) {
  (void)state;
  table t;
  tl_expired gone;
  table_open(&t, true);
  table_create(&t, NULL, 0);
  tl_snapshot *old = table_load(&t);
  for (int v = 1; v < 5; v++) {
    char path[16];
    snprintf(path, sizeof path, "f%d", v);
    tl_snapshot *s = table_load(&t);
    assert_int_equal(table_append(&t, s, path, "A", NULL), TL_OK);
    tl_snapshot_close(s);
  }
  assert_int_equal(F->expire(t.log, INT64_MAX, 1, false, &gone, &t.err), TL_OK);
  assert_false(table_has(&t, "00000000000000000001.json"));
  assert_int_equal(table_append(&t, old, "lost", "A", NULL), TL_ECONFLICT);
  assert_false(table_has(&t, "00000000000000000001.json"));
  tl_snapshot *s = table_load(&t);
  assert_int_equal(table_append(&t, s, "found", "A", NULL), TL_OK);
  tl_snapshot_close(s);
  tl_snapshot_close(old);
  table_close(&t);
}

/* ---- many writers ---- */

enum { WRITERS = 6, COMMITS = 15 };

typedef struct writer {
  const char *folder;
  tl_engine *engine;
  int number;
  int acknowledged;
} writer;

static void *write_all(void *argument) {
  writer *w = argument;
  tl_error err;
  tl_store *store = NULL;
  tl_table_log *log = NULL;
  tl_table_env env = {.engine = w->engine, .temp = "/tmp"};
  if (tl_store_open(w->folder, NULL, &store, &err) || F->open(store, &env, &log, &err)) return NULL;
  for (int i = 0; i < COMMITS; i++) {
    tl_status st = TL_ECONFLICT;
    while (st == TL_ECONFLICT) {
      tl_snapshot *s = NULL;
      tl_committed done;
      file_of f;
      char path[32];
      const char *removes[1];
      st = F->load(log, (tl_at){TL_AT_LATEST, 0}, &s, &err);
      if (st) break;
      snprintf(path, sizeof path, "w%d-%d", w->number, i);
      file_init(&f, path, "A", 1);
      tl_edit edit = {.operation = "WRITE", .adds = &f.file, .add_count = 1, .data_change = true, .reads = TL_READS_NOTHING};
      if (i % 3 == 2 && s->file_count) { /* replaces one file: reads what it removes */
        removes[0] = s->files[(size_t)(w->number + i) % s->file_count].path;
        edit.removes = removes;
        edit.remove_count = 1;
        edit.reads = TL_READS_REMOVED;
      }
      st = F->commit(log, s, &edit, &done, &err);
      tl_snapshot_close(s);
    }
    w->acknowledged += st == TL_OK;
  }
  F->close(log);
  tl_store_close(store);
  return NULL;
}

static void writers_at_once_make_one_history(void **state) {
  (void)state;
  table t;
  writer writers[WRITERS];
  pthread_t threads[WRITERS];
  table_open(&t, true);
  table_create(&t, NULL, 0);
  for (int i = 0; i < WRITERS; i++) {
    writers[i] = (writer){t.folder, t.engine, i, 0};
    assert_int_equal(pthread_create(&threads[i], NULL, write_all, &writers[i]), 0);
  }
  for (int i = 0; i < WRITERS; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(writers[i].acknowledged, COMMITS);
  }
  tl_snapshot *s = table_load(&t);
  assert_int_equal(s->version, WRITERS * COMMITS); /* every acknowledged commit is one version */
  assert_int_equal(s->file_count, WRITERS * (COMMITS - COMMITS / 3)); /* each third one took a file away */
  tl_snapshot_close(s);
  table_close(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_pair_of_edits_is_serial_or_refused),
    cmocka_unit_test(a_new_protocol_stops_everybody),
    cmocka_unit_test(a_txn_of_ours_that_won_is_not_committed_again),
    cmocka_unit_test(null_partitions_and_instants_are_compared_as_values),
    cmocka_unit_test(a_base_whose_log_was_cleaned_up_does_not_commit_into_the_void),
    cmocka_unit_test(writers_at_once_make_one_history),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
