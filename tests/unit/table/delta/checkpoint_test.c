/* checkpoint_test.c - checkpoints written, read, damaged, foreign. The truth: the same versions replayed from the JSON
 * commits alone, and Parquet files that DuckDB writes as Spark and delta-rs shape them. */
#include <utime.h>

#include "base/clock.h"
#include "base/prng.h"
#include "table/delta/checkpoint.h"
#include "tests/unit/table/delta/table.h"

#define NAME(version, rest) "0000000000000000000" #version rest

static void same_snapshot(const tl_snapshot *a, const tl_snapshot *b) {
  assert_int_equal(a->version, b->version);
  assert_string_equal(a->table_id, b->table_id);
  assert_string_equal(a->name, b->name);
  assert_int_equal(a->property_count, b->property_count);
  for (size_t i = 0; i < a->property_count; i++)
    assert_string_equal(a->properties[i].value, tl_snapshot_property(b, a->properties[i].key));
  assert_int_equal(a->txn_count, b->txn_count);
  for (size_t i = 0; i < a->txn_count; i++) assert_int_equal(a->txns[i].version, tl_snapshot_txn(b, a->txns[i].app));
  assert_int_equal(a->fields.count, b->fields.count);
  assert_int_equal(a->rows, b->rows);
  assert_int_equal(a->bytes, b->bytes);
  assert_int_equal(a->file_count, b->file_count);
  for (size_t i = 0; i < a->file_count; i++) {
    const tl_data_file *x = &a->files[i], *y = &b->files[i];
    assert_string_equal(x->path, y->path);
    assert_int_equal(x->size_bytes, y->size_bytes);
    assert_int_equal(x->rows, y->rows);
    assert_int_equal(x->modified_ms, y->modified_ms);
    assert_int_equal(!x->raw, !y->raw);
    if (x->raw) assert_string_equal(x->raw, y->raw);
    assert_int_equal(!x->partition[0], !y->partition[0]);
    if (x->partition[0]) assert_string_equal(x->partition[0], y->partition[0]);
  }
}

/* The newest version, read by a handle of its own; without: by the JSON commits alone. */
static tl_snapshot *load_fresh(table *t, bool without) {
  tl_table_log *log = NULL;
  tl_snapshot *s = NULL;
  if (without) table_command("mkdir -p '%s/aside' && mv '%s'/_delta_log/*checkpoint* '%s/aside/'", t->folder, t->folder, t->folder);
  assert_int_equal(F->open(t->store, &t->env, &log, &t->err), TL_OK);
  tl_status st = F->load(log, (tl_at){TL_AT_LATEST, 0}, &s, &t->err);
  if (st) print_message("%s\n", t->err.message);
  assert_int_equal(st, TL_OK);
  F->close(log);
  if (without) table_command("mv '%s'/aside/* '%s/_delta_log/'", t->folder, t->folder);
  return s;
}

static const char *const symbols[] = {"AAPL", "BTC/USD", NULL, "\xC3\xA9 \xE2\x9C\x93", "100%", "it's \"q\"", "..", "a\\b\n"};

/* Random appends and removes, some with txns, one with a property. */
static void grow(table *t, int versions, uint64_t seed) {
  tl_prng prng = tl_prng_init(seed);
  for (int v = 0; v < versions; v++) {
    tl_snapshot *s = table_load(t);
    file_of f[3];
    tl_data_file adds[3];
    char path[64], app[16];
    const char *removes[1];
    tl_edit edit = {.operation = "WRITE", .adds = adds, .add_count = 3, .data_change = true, .reads = TL_READS_ALL};
    for (int i = 0; i < 3; i++) {
      snprintf(path, sizeof path, "symbol=x/%d %% %d.parquet", v, i);
      file_init(&f[i], path, symbols[tl_prng_below(&prng, COUNT(symbols))], (int64_t)tl_prng_below(&prng, 100));
      if (i == 2) f[i].file.rows = -1; /* no statistics */
      adds[i] = f[i].file;
    }
    if (s->file_count > 4) {
      removes[0] = s->files[tl_prng_below(&prng, s->file_count)].path;
      edit.removes = removes;
      edit.remove_count = 1;
    }
    snprintf(app, sizeof app, "app%d", v % 3);
    if (v % 2) {
      edit.txn_app = app;
      edit.txn_version = v;
    }
    const tl_pair property = {(char *)(uintptr_t)"note", (char *)(uintptr_t)"x \"y\""};
    if (v == 5) {
      edit.properties = &property;
      edit.property_count = 1;
    }
    tl_committed done;
    tl_status st = F->commit(t->log, s, &edit, &done, &t->err);
    if (st) print_message("%s\n", t->err.message);
    assert_int_equal(st, TL_OK);
    tl_snapshot_close(s);
  }
}

static void a_checkpoint_is_what_the_commits_add_up_to(void **state) {
  (void)state;
  table t;
  table_open(&t, true);
  table_create(&t, NULL, 0);
  grow(&t, 23, 1);
  assert_true(table_has(&t, "00000000000000000010.checkpoint.parquet"));
  assert_true(table_has(&t, "00000000000000000020.checkpoint.parquet"));
  tl_snapshot *plain = load_fresh(&t, true), *quick = load_fresh(&t, false);
  same_snapshot(plain, quick);
  assert_int_equal(quick->version, 23);
  tl_snapshot_close(plain);
  tl_snapshot_close(quick);
  tl_buf hint = {0};
  assert_int_equal(tl_store_get(t.store, TL_DELTA_HINT, 1000, &hint, NULL, &t.err), TL_OK);
  assert_true(!strncmp(hint.data, "{\"version\":20,\"size\":", 21));
  assert_non_null(strstr(hint.data, "\"sizeInBytes\":"));
  assert_non_null(strstr(hint.data, "\"numOfAddFiles\":"));
  tl_buf_deinit(&hint);
  /* The commits before it are not needed any more. */
  table_command("rm '%s'/_delta_log/0000000000000000000*.json '%s'/_delta_log/0000000000000000001*.json", t.folder, t.folder);
  tl_snapshot *s = load_fresh(&t, false);
  assert_int_equal(s->version, 23);
  tl_snapshot_close(s);
  assert_int_equal(F->load(t.log, (tl_at){TL_AT_VERSION, 7}, &s, &t.err), TL_ENOTFOUND);
  assert_non_null(strstr(t.err.message, "cleaned up"));
  table_close(&t);
}

static void a_damaged_checkpoint_or_hint_only_costs_time(void **state) {
  (void)state;
  table t;
  table_open(&t, true);
  table_create(&t, NULL, 0);
  grow(&t, 22, 2);
  tl_snapshot *plain = load_fresh(&t, true);
  static const char *const damages[] = {
    "truncate -s 100 '%s/_delta_log/00000000000000000020.checkpoint.parquet'",
    "truncate -s 0 '%s/_delta_log/00000000000000000020.checkpoint.parquet'",
    "truncate -s 3 '%s/_delta_log/_last_checkpoint'",
    "printf '{\"version\":900}' > '%s/_delta_log/_last_checkpoint'",
    "printf '{\"version\":-1}' > '%s/_delta_log/_last_checkpoint'",
    "rm '%s/_delta_log/_last_checkpoint'",
    "rm '%s/_delta_log/00000000000000000020.checkpoint.parquet'",
    "printf 'PAR1 not at all' > '%s/_delta_log/00000000000000000010.checkpoint.parquet'",
  };
  for (size_t i = 0; i < COUNT(damages); i++) {
    char command[300];
    snprintf(command, sizeof command, damages[i], t.folder);
    assert_int_equal(system(command), 0);
    tl_snapshot *s = load_fresh(&t, false);
    same_snapshot(plain, s);
    tl_snapshot_close(s);
  }
  /* The next checkpoint of a version whose file is damaged replaces it. */
  tl_snapshot *at20 = table_load_version(&t, 20);
  table_put(&t, "00000000000000000020.checkpoint.parquet", "PAR1 broken off");
  assert_int_equal(F->checkpoint(t.log, at20, &t.err), TL_OK);
  tl_snapshot_close(at20);
  table_command("rm '%s'/_delta_log/0000000000000000000*.json", t.folder);
  tl_snapshot *s = load_fresh(&t, false);
  same_snapshot(plain, s);
  tl_snapshot_close(s);
  tl_snapshot_close(plain);
  table_close(&t);
}

static void old_removes_leave_checkpoints_young_ones_stay(void **state) {
  (void)state;
  table t;
  table_open(&t, true);
  table_create(&t, NULL, 0);
  int64_t now_ms = tl_clock_now_ns() / TL_NS_PER_MS;
  char text[400];
  snprintf(text, sizeof text,
           "{\"remove\":{\"path\":\"old\",\"deletionTimestamp\":%lld,\"dataChange\":true,\"size\":3,\"partitionValues\":{\"symbol\":null}}}\n"
           "{\"remove\":{\"path\":\"young\",\"deletionTimestamp\":%lld,\"dataChange\":true}}\n",
           (long long)(now_ms - INT64_C(8) * 86400000), (long long)(now_ms - INT64_C(6) * 86400000));
  table_commit_text(&t, 1, text);
  tl_snapshot *s = table_load(&t);
  assert_int_equal(F->checkpoint(t.log, s, &t.err), TL_OK);
  tl_snapshot_close(s);
  tl_delta_actions actions = {0};
  char key[] = "_delta_log/00000000000000000001.checkpoint.parquet";
  tl_delta_entry entry = {.version = 1, .part = 1, .parts = 1, .key = key};
  assert_int_equal(tl_delta_checkpoint_read(t.log, &entry, &actions, &t.err), TL_OK);
  assert_int_equal(actions.file_count, 1);
  assert_string_equal(actions.files[0]->path, "young");
  assert_true(actions.files[0]->removed);
  tl_delta_actions_deinit(&actions);
  table_close(&t);
}

/* ---- others' checkpoints ---- */

#define SCHEMA_STRING "{\"type\":\"struct\",\"fields\":[{\"name\":\"symbol\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}},{\"name\":\"close\",\"type\":\"double\",\"nullable\":true,\"metadata\":{}}]}"
#define PROTOCOL_ROW "SELECT NULL AS add, {'minReaderVersion': 1, 'minWriterVersion': 2} AS protocol, NULL AS \"metaData\""
#define METADATA_ROW "SELECT NULL, NULL, {'id': 'foreign', 'format': {'provider': 'parquet', 'options': MAP{}}, 'schemaString': '" SCHEMA_STRING "', 'partitionColumns': ['symbol'], 'configuration': MAP{}}"

static void foreign(table *t, const char *rows, const char *name) {
  tl_buf sql = {0};
  assert_int_equal(tl_buf_appendf(&sql, &t->err, "COPY (%s) TO '%s/_delta_log/%s' (FORMAT parquet)", rows, t->folder, name), TL_OK);
  table_command("mkdir -p '%s/_delta_log'", t->folder);
  tl_status st = tl_engine_run(t->engine, sql.data, &t->err);
  if (st) print_message("%s\n", t->err.message);
  assert_int_equal(st, TL_OK);
  tl_buf_deinit(&sql);
}

#define ADD_ROW(path) \
  "SELECT {'path': '" path "', 'partitionValues': MAP{'symbol': NULL::VARCHAR}, 'size': 5::BIGINT, 'modificationTime': 7::BIGINT, 'dataChange': true, " \
  "'stats_parsed': {'numRecords': 3}, 'tags': NULL::MAP(VARCHAR, VARCHAR)}, NULL, NULL"

static void absent_columns_and_more_than_we_know_are_fine(void **state) {
  (void)state;
  table t;
  table_open(&t, true);
  foreign(&t, PROTOCOL_ROW " UNION ALL " METADATA_ROW " UNION ALL " ADD_ROW("a%20b") " UNION ALL " ADD_ROW("c"), NAME(7, ".checkpoint.parquet"));
  tl_snapshot *s = table_load(&t);
  assert_int_equal(s->version, 7);
  assert_int_equal(s->file_count, 2);
  assert_string_equal(s->files[0].path, "a b");
  assert_null(s->files[0].partition[0]);
  assert_int_equal(s->files[0].rows, -1);
  assert_int_equal(s->rows, -1);
  assert_int_equal(s->files[0].modified_ms, 7);
  tl_snapshot_close(s);
  table_close(&t);
}

static void parts_make_one_checkpoint_when_all_are_there(void **state) {
  (void)state;
  table t;
  table_open(&t, true);
  foreign(&t, PROTOCOL_ROW " UNION ALL " METADATA_ROW, NAME(3, ".checkpoint.parquet"));
  foreign(&t, PROTOCOL_ROW " UNION ALL " METADATA_ROW " UNION ALL " ADD_ROW("a"), NAME(5, ".checkpoint.0000000001.0000000002.parquet"));
  table_commit_text(&t, 4, "{}\n");
  table_commit_text(&t, 5, "{\"add\":{\"path\":\"json\",\"partitionValues\":{\"symbol\":\"A\"},\"size\":1,\"dataChange\":true}}");
  tl_snapshot *s = table_load(&t);
  assert_int_equal(s->file_count, 1);
  assert_string_equal(s->files[0].path, "json"); /* from 3 on: half a checkpoint is none */
  tl_snapshot_close(s);
  foreign(&t, "SELECT {'path': 'b', 'partitionValues': MAP{'symbol': 'B'}, 'size': 5::BIGINT} AS add", NAME(5, ".checkpoint.0000000002.0000000002.parquet"));
  s = load_fresh(&t, false);
  assert_int_equal(s->version, 5);
  assert_int_equal(s->file_count, 2);
  assert_string_equal(s->files[1].path, "b");
  tl_snapshot_close(s);
  table_close(&t);
}

static void checkpoints_that_lie_are_refused(void **state) {
  (void)state;
  static const struct { const char *rows, *says; tl_status status; } cases[] = {
    {"SELECT NULL AS add, NULL AS protocol, {'id': 'x', 'schemaString': 'y'} AS \"metaData\"", "no checkpoint that can be read", TL_ECORRUPT},
    {PROTOCOL_ROW " UNION ALL " METADATA_ROW " UNION ALL " ADD_ROW("a") " UNION ALL " ADD_ROW("a"), "no checkpoint that can be read", TL_ECORRUPT},
    {PROTOCOL_ROW " UNION ALL " METADATA_ROW " UNION ALL SELECT {'path': 'a', 'size': 5}, NULL, NULL", "no checkpoint that can be read", TL_ECORRUPT},
    {"SELECT 1 AS x", "no checkpoint that can be read", TL_ECORRUPT},
    {"SELECT *, {'path': 'x.parquet', 'sizeInBytes': 5} AS sidecar FROM (" PROTOCOL_ROW " UNION ALL " METADATA_ROW ")", "v2Checkpoint", TL_EUSAGE},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    table t;
    tl_snapshot *s = NULL;
    table_open(&t, true);
    foreign(&t, cases[i].rows, NAME(2, ".checkpoint.parquet"));
    table_commit_text(&t, 2, "{}\n");
    assert_int_equal(F->load(t.log, (tl_at){TL_AT_LATEST, 0}, &s, &t.err), cases[i].status);
    if (!strstr(t.err.message, cases[i].says)) fail_msg("case %zu says: %s", i, t.err.message);
    table_close(&t);
  }
}

static void hints_are_parsed_or_ignored(void **state) {
  (void)state;
  tl_delta_hint hint;
  assert_true(tl_delta_hint_parse(tl_text_from("{\"version\":5,\"size\":6,\"parts\":2,\"checkpointSchema\":{}}"), &hint));
  assert_int_equal(hint.version, 5);
  assert_int_equal(hint.parts, 2);
  static const char *const others[] = {"", "{", "{\"version\":", "[]", "{\"size\":1}", "{\"version\":\"5\"}", "{\"version\":-5}", "{\"version\":1e40}"};
  for (size_t i = 0; i < COUNT(others); i++) assert_false(tl_delta_hint_parse(tl_text_from(others[i]), &hint));
}

static void intervals_are_those_of_spark(void **state) {
  (void)state;
  static const struct { const char *text; int64_t ms; } cases[] = {
    {"interval 1 week", 604800000}, {"interval 30 days", 2592000000}, {"INTERVAL 168 hours", 604800000}, {"2 days 3 hours", 183600000},
    {"interval 5 minutes", 300000}, {"interval 1 second", 1000}, {"", 0}, {"interval 1 fortnight", -7}, {"interval", 0}, {"interval x", -7},
    {"interval 99999999999999 weeks", -7}, {"interval 5", -7}};
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_pair pair = {(char *)(uintptr_t)"k", (char *)(uintptr_t)cases[i].text};
    tl_delta_metadata m = {.configuration = {&pair, 1}};
    int64_t ms = tl_delta_interval_ms(&m, "k", -7);
    if (ms != cases[i].ms) fail_msg("'%s' gave %lld", cases[i].text, (long long)ms);
  }
  assert_int_equal(tl_delta_interval_ms(&(tl_delta_metadata){0}, "k", 9), 9);
}

/* ---- expire, keeps ---- */

static void age(table *t, int version, int64_t at_s) {
  char path[200];
  snprintf(path, sizeof path, "%s/_delta_log/%020d.json", t->folder, version);
  assert_int_equal(utime(path, &(struct utimbuf){at_s, at_s}), 0);
}

static void expiry_forgets_below_a_checkpoint_and_nothing_else(void **state) {
  (void)state;
  table t;
  tl_expired gone, dry;
  table_open(&t, true);
  table_create(&t, NULL, 0);
  grow(&t, 15, 3);
  for (int v = 0; v < 16; v++) age(&t, v, 1000 + v);
  tl_snapshot *before = load_fresh(&t, true), *at7 = table_load_version(&t, 7);
  assert_int_equal(F->expire(t.log, 1007000, 1, true, &dry, &t.err), TL_OK);
  assert_int_equal(dry.versions, 7);
  assert_true(table_has(&t, NAME(0, ".json")));
  assert_int_equal(F->expire(t.log, 1007000, 1, false, &gone, &t.err), TL_OK);
  assert_int_equal(gone.versions, 7);
  assert_int_equal(gone.files, dry.files);
  assert_int_equal(gone.bytes, dry.bytes);
  assert_true(table_has(&t, NAME(7, ".checkpoint.parquet")));
  assert_true(table_has(&t, NAME(7, ".json")));
  assert_false(table_has(&t, NAME(6, ".json")));
  tl_snapshot *s = load_fresh(&t, false);
  same_snapshot(before, s);
  tl_snapshot_close(s);
  s = table_load_version(&t, 7);
  same_snapshot(at7, s);
  tl_snapshot_close(s);
  assert_int_equal(F->load(t.log, (tl_at){TL_AT_VERSION, 6}, &s, &t.err), TL_ENOTFOUND);
  assert_int_equal(F->expire(t.log, INT64_MAX, 3, false, &gone, &t.err), TL_OK); /* the newest three stay */
  assert_int_equal(gone.versions, 6);
  assert_true(table_has(&t, "00000000000000000013.json"));
  s = load_fresh(&t, false);
  same_snapshot(before, s);
  tl_snapshot_close(s);
  assert_int_equal(F->expire(t.log, INT64_MAX, 3, false, &gone, &t.err), TL_OK);
  assert_int_equal(gone.files, 0);
  tl_snapshot_close(before);
  tl_snapshot_close(at7);
  table_close(&t);
}

typedef struct kept { char *paths[64]; size_t count; } kept;

static int keep(void *to, const char *path) {
  kept *k = to;
  assert_true(k->count < 64);
  k->paths[k->count++] = strdup(path);
  return 0;
}

static bool is_kept(const kept *k, const char *path) {
  for (size_t i = 0; i < k->count; i++)
    if (!strcmp(k->paths[i], path)) return true;
  return false;
}

static void what_a_vacuum_must_keep(void **state) {
  (void)state;
  table t;
  kept k = {{0}, 0};
  table_open(&t, true);
  table_create(&t, NULL, 0);
#define ADD1(path) "{\"add\":{\"path\":\"" path "\",\"partitionValues\":{\"symbol\":null},\"size\":1,\"dataChange\":true}}\n"
#define REMOVE1(path, ms) "{\"remove\":{\"path\":\"" path "\",\"deletionTimestamp\":" #ms ",\"dataChange\":true}}\n"
  table_commit_text(&t, 1, ADD1("live%20one") ADD1("gone") ADD1("buried") ADD1("recent"));
  table_commit_text(&t, 2, REMOVE1("gone", 5000));
  table_commit_text(&t, 3, REMOVE1("buried", 1000)); /* its tombstone is old, its commit is not */
  table_commit_text(&t, 4, REMOVE1("recent", 9000));
  for (int v = 0; v < 5; v++) age(&t, v, v < 3 ? 1 : 8);
  assert_int_equal(F->keeps(t.log, 6000, keep, &k, &t.err), TL_OK);
  assert_true(is_kept(&k, "live one"));
  assert_true(is_kept(&k, "recent"));
  assert_true(is_kept(&k, "buried"));
  assert_false(is_kept(&k, "gone"));
  assert_true(is_kept(&k, "_delta_log/00000000000000000002.json"));
  for (size_t i = 0; i < k.count; i++) free(k.paths[i]);
  table_close(&t);
}

/* ---- failures ---- */

static void a_failed_checkpoint_never_fails_the_commit(void **state) {
  (void)state;
  table t;
  tl_committed done;
  table_open(&t, true);
  table_create(&t, &(tl_pair){(char *)(uintptr_t)"delta.checkpointInterval", (char *)(uintptr_t)"2"}, 1);
  t.env.temp = "/nonexistent/folder";
  for (int v = 1; v <= 2; v++) {
    char path[16];
    snprintf(path, sizeof path, "f%d", v);
    tl_snapshot *s = table_load(&t);
    assert_int_equal(table_append(&t, s, path, "A", &done), TL_OK);
    tl_snapshot_close(s);
  }
  assert_false(table_has(&t, NAME(2, ".checkpoint.parquet")));
  tl_snapshot *s = table_load(&t);
  assert_int_equal(s->version, 2);
  assert_int_equal(F->checkpoint(t.log, s, &t.err), TL_ESQL);
  t.env.temp = "/tmp";
  assert_int_equal(F->checkpoint(t.log, s, &t.err), TL_OK);
  assert_true(table_has(&t, NAME(2, ".checkpoint.parquet")));
  assert_int_equal(F->checkpoint(t.log, s, &t.err), TL_OK); /* another one is as good */
  tl_snapshot_close(s);
  table_close(&t);
}

static void every_disk_call_of_a_checkpoint_may_fail(void **state) {
  (void)state;
  table t;
  table_open(&t, true);
  table_create(&t, NULL, 0);
  grow(&t, 3, 4);
  tl_snapshot *s = table_load(&t);
  bool done = false;
  for (long n = 1; !done; n++) {
    tl_fault_arm(TL_SEAM_DISK, n, TL_FAULT_ERROR, 5);
    tl_status st = F->checkpoint(t.log, s, &t.err);
    done = !tl_fault_disarm();
    assert_true(st == TL_OK || st == TL_EIO);
    if (done) assert_int_equal(st, TL_OK);
    tl_snapshot *again = load_fresh(&t, false);
    same_snapshot(s, again);
    tl_snapshot_close(again);
  }
  tl_snapshot_close(s);
  table_close(&t);
}

static void memory_may_run_out_in_a_checkpoint(void **state) {
  (void)state;
  table t;
  table_open(&t, true);
  table_create(&t, NULL, 0);
  grow(&t, 3, 5);
  tl_snapshot *s = table_load(&t);
  int64_t live = tl_alloc_live();
  bool done = false;
  for (long n = 1; !done; n += 1 + n / 8) {
    tl_table_log *log = NULL;
    tl_snapshot *again = NULL;
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = F->checkpoint(t.log, s, &t.err);
    if (!st) st = F->open(t.store, &t.env, &log, &t.err);
    if (!st) st = F->load(log, (tl_at){TL_AT_LATEST, 0}, &again, &t.err);
    done = !tl_fault_disarm();
    if (st != TL_OK) assert_int_equal(st, TL_ENOMEM);
    if (done) same_snapshot(s, again);
    tl_snapshot_close(again);
    F->close(log);
    assert_int_equal(tl_alloc_live(), live);
  }
  tl_snapshot_close(s);
  table_close(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_checkpoint_is_what_the_commits_add_up_to),
    cmocka_unit_test(a_damaged_checkpoint_or_hint_only_costs_time),
    cmocka_unit_test(old_removes_leave_checkpoints_young_ones_stay),
    cmocka_unit_test(absent_columns_and_more_than_we_know_are_fine),
    cmocka_unit_test(parts_make_one_checkpoint_when_all_are_there),
    cmocka_unit_test(checkpoints_that_lie_are_refused),
    cmocka_unit_test(hints_are_parsed_or_ignored),
    cmocka_unit_test(intervals_are_those_of_spark),
    cmocka_unit_test(expiry_forgets_below_a_checkpoint_and_nothing_else),
    cmocka_unit_test(what_a_vacuum_must_keep),
    cmocka_unit_test(a_failed_checkpoint_never_fails_the_commit),
    cmocka_unit_test(every_disk_call_of_a_checkpoint_may_fail),
    cmocka_unit_test(memory_may_run_out_in_a_checkpoint),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
