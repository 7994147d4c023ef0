/* What keeps a table whole: vacuum, verify, writers that race, faces that were left apart. */
#include <pthread.h>

#include "base/clock.h"
#include "tests/unit/table/ops/bars.h"

/* ---- vacuum ---- */

static void count_path(void *to, const char *path, int64_t bytes) {
  (void)bytes;
  if (strchr(path, '/') || strstr(path, ".parquet")) ++*(int *)to;
}

static void vacuum_body(table_fixture *t) {
  tl_vacuumed done;
  tl_error why = {0};
  int told = 0;
  start_bars(t);
  tl_at before = {TL_AT_VERSION, tl_relation_snapshot(t->relation)->version};
  MUST(tl_relation_optimize(t->relation, &(tl_optimize){0}, &t->changed, err));
  int64_t removed = t->changed.files_removed;
  MUST(tl_relation_vacuum(t->relation, 168 * INT64_C(3600000), false, false, count_path, &told, &done, err));
  assert_int_equal(done.files, 0); /* all too young */
  assert_refused(tl_relation_vacuum(t->relation, 0, false, false, NULL, NULL, &done, &why), TL_EUSAGE, &why, "168 hours");
  assert_int_equal(shell("mkdir -p '%s/_ticklake_tmp/99999999-dead' && echo x > '%s/_ticklake_tmp/99999999-dead/1.parquet' && mkdir -p '%s/_other' && touch '%s/_other/x' '%s/.hidden' "
                         "&& echo orphan > '%s/orphan.parquet' && cd '%s' && for f in _delta_log metadata; do test ! -d $f || echo torn > $f/.7.json.99999999-0.tmp; done",
                         t->folder, t->folder, t->folder, t->folder, t->folder, t->folder, t->folder), 0);
  /* three weeks on: tombstones and files are old, and old versions forgotten */
  tl_clock_fake_start(tl_clock_now_ns() + 21 * TL_NS_PER_DAY);
  MUST(tl_relation_expire(t->relation, tl_clock_now_ns() / TL_NS_PER_MS - 1000, 1, false, &(tl_expired){0}, err));
  MUST(tl_relation_vacuum(t->relation, 168 * INT64_C(3600000), false, true, count_path, &told, &done, err));
  assert_int_equal(done.files, told);
  assert_true(done.files >= removed + 2 || strcmp(t->faces, "delta") == 0); /* the orphan, the dead writer's file; Delta's tombstones may be kept by its log */
  int64_t planned = done.files;
  assert_table(t, columns, "FROM truth");
  MUST(tl_relation_vacuum(t->relation, 168 * INT64_C(3600000), false, false, NULL, NULL, &done, err));
  tl_clock_fake_stop();
  assert_int_equal(done.files, planned);
  assert_int_equal(shell("test -e '%s/_other/x' -a -e '%s/.hidden' -a ! -e '%s/orphan.parquet' -a ! -e '%s/_ticklake_tmp' && test -z \"$(find '%s' -name '.7.*')\"", t->folder, t->folder, t->folder, t->folder, t->folder), 0);
  table_reopen(t);
  assert_table(t, columns, "FROM truth");
  tl_status st = tl_relation_restore(t->relation, before, &t->changed, &why);
  assert_int_equal(st, TL_ENOTFOUND);
}
static void vacuum_deletes_what_no_version_needs(void **state) {
  (void)state;
  FOR_EACH_FACES(vacuum_body)
}

static void a_longer_retention_of_the_table_itself_counts(void **state) {
  (void)state;
  static const int64_t week_ms = 168 * INT64_C(3600000);
  table_fixture t;
  tl_vacuumed done;
  tl_pair keep = {"delta.deletedFileRetentionDuration", "interval 30 days"};
  table_start(&t, "delta");
  table_create(&t, "id INTEGER", NULL, NULL);
  MUST(tl_relation_set_properties(t.relation, &keep, 1, &t.changed, err));
  append_rows(&t, "SELECT 1 AS id");
  tl_at before = {TL_AT_VERSION, t.changed.version};
  MUST(tl_relation_delete(t.relation, "true", &t.changed, err));
  tl_clock_fake_start(tl_clock_now_ns() + 10 * TL_NS_PER_DAY);
  MUST(tl_relation_vacuum(t.relation, week_ms, false, false, NULL, NULL, &done, err));
  assert_int_equal(done.files, 0);
  assert_rows_where(&t, t.relation, &before, NULL, "id", "SELECT 1::INTEGER AS id");
  MUST(tl_relation_vacuum(t.relation, 24 * INT64_C(3600000), true, true, NULL, NULL, &done, err));
  assert_int_equal(done.files, 1); /* less than a week was asked for by name */
  tl_clock_fake_start(tl_clock_now_ns() + 21 * TL_NS_PER_DAY);
  MUST(tl_relation_vacuum(t.relation, week_ms, false, false, NULL, NULL, &done, err));
  assert_int_equal(done.files, 1);
  tl_clock_fake_stop();
  table_stop(&t);
}

static void files_that_other_tables_may_share_stay(void **state) {
  (void)state;
  table_fixture t;
  tl_error why = {0};
  table_start(&t, "iceberg");
  table_create(&t, "id INTEGER", NULL, NULL);
  MUST(tl_relation_set_properties(t.relation, &(tl_pair){"gc.enabled", "false"}, 1, &t.changed, err));
  assert_refused(tl_relation_vacuum(t.relation, 0, true, true, NULL, NULL, &(tl_vacuumed){0}, &why), TL_EUSAGE, &why, "gc.enabled");
  assert_refused(tl_relation_expire(t.relation, INT64_MAX, 1, true, &(tl_expired){0}, &why), TL_EUSAGE, &why, "gc.enabled");
  table_stop(&t);
}

static void a_table_around_another_is_not_vacuumed(void **state) {
  (void)state;
  static const char *const logs[] = {"inner/_delta_log/00000000000000000000.json", "a/inner/metadata/v1.metadata.json", "_ticklake/ledger"};
  for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
    table_fixture t;
    tl_vacuumed done;
    tl_error why = {0};
    int64_t live = tl_alloc_live();
    table_start(&t, "delta");
    table_create(&t, "id INTEGER", NULL, NULL);
    assert_int_equal(shell("cd '%s' && mkdir -p $(dirname %s) && touch %s old.parquet && touch -d '30 days ago' old.parquet", t.folder, logs[i], logs[i]), 0);
    assert_refused(tl_relation_vacuum(t.relation, 168 * INT64_C(3600000), false, false, NULL, NULL, &done, &why), TL_EUSAGE, &why, logs[i]);
    assert_int_equal(shell("test -e '%s/old.parquet' && rm -r '%s/%.*s'", t.folder, t.folder, (int)strcspn(logs[i], "/"), logs[i]), 0);
    MUST(tl_relation_vacuum(t.relation, 168 * INT64_C(3600000), false, false, NULL, NULL, &done, err));
    assert_int_equal(done.files, 1);
    table_stop(&t);
    assert_int_equal(tl_alloc_live(), live);
  }
}

/* ---- where a table may be made ---- */

static tl_status create_at(table_fixture *t, const char *below, tl_error *why) {
  char uri[200];
  tl_relation *made = NULL;
  tl_relation_options options = table_options(t);
  tl_relation_create create = {.faces = t->faces, .columns = "id INTEGER"};
  snprintf(uri, sizeof uri, "%s%s", t->folder, below);
  tl_status st = tl_relation_create_table(uri, &options, &create, &made, why);
  tl_relation_close(made);
  return st;
}

static void place_body(table_fixture *t) {
  static const struct { const char *there, *table, *words; } places[] = {
    {"_ticklake/ledger.sqlite", "", "is a lake"},
    {"old/2024.parquet", "/old", "holds files already ('2024.parquet')"},
    {"notes.txt", "", "holds files already ('notes.txt')"},
    {"inner/_delta_log/00000000000000000000.json", "", "holds files already ('inner/"},
    {"_delta_log/00000000000000000000.json", "/a/b", "in the folder of the table"},
    {"a/metadata/v3.metadata.json", "/a/b", "in the folder of the table"},
    {"a/metadata/00003-f00d.metadata.json", "/a/b", "in the folder of the table"}};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    tl_error why = {0};
    assert_int_equal(shell("cd '%s' && mkdir -p $(dirname %s) && touch %s && mkdir -p a", t->folder, places[i].there, places[i].there), 0);
    assert_refused(create_at(t, places[i].table, &why), TL_EUSAGE, &why, places[i].words);
    assert_int_equal(shell("cd '%s' && rm -r %.*s", t->folder, (int)strcspn(places[i].there, "/"), places[i].there), 0);
  }
  assert_int_equal(shell("cd '%s' && mkdir -p _own empty/folder a/_ticklake metadata && touch _own/x .hidden a/_ticklake/ledger", t->folder), 0);
  tl_error why = {0};
  assert_int_equal(create_at(t, "/a/closes", &why), TL_OK); /* in a lake, not of it */
  assert_refused(create_at(t, "/a/closes", &why), TL_ECONFLICT, &why, "already");
  assert_int_equal(shell("rm -r '%s/a'", t->folder), 0);
  assert_int_equal(create_at(t, "", &why), TL_OK); /* what a vacuum leaves alone may be there */
}
static void a_table_is_made_where_it_harms_nothing(void **state) {
  (void)state;
  FOR_EACH_FACES(place_body)
}

/* ---- restore ---- */

/* Files from before a widening: a Delta table has no word for them; Iceberg reads them as the wider type. */
static void widened_body(table_fixture *t) {
  tl_error why = {0};
  table_create(t, "a INTEGER, b DOUBLE", NULL, NULL);
  append_rows(t, "SELECT 1 AS a, 0.5 AS b");
  tl_at narrow = {TL_AT_VERSION, tl_relation_snapshot(t->relation)->version};
  MUST(tl_relation_append(t->relation, &(tl_write){.rows = "SELECT 5000000000 AS a, 1.5 AS b", .widen = true}, &t->changed, err));
  tl_at wide = {TL_AT_VERSION, tl_relation_snapshot(t->relation)->version};
  tl_status st = tl_relation_restore(t->relation, narrow, &t->changed, &why);
  if (!strcmp(t->faces, "iceberg")) {
    assert_int_equal(st, TL_OK);
    assert_table(t, "*", "SELECT 1::BIGINT AS a, 0.5::DOUBLE AS b");
  } else {
    assert_refused(st, TL_EUSAGE, &why, "column 'a' was INTEGER then and is BIGINT now");
    assert_int_equal(tl_relation_snapshot(t->relation)->version, wide.value);
    assert_table(t, "*", "FROM (VALUES (1::BIGINT, 0.5::DOUBLE), (5000000000, 1.5)) t(a, b)");
  }
  append_rows(t, "SELECT 7000000000 AS a, 2.5 AS b");
  MUST(tl_relation_restore(t->relation, wide, &t->changed, err));
  assert_table(t, "*", "FROM (VALUES (1::BIGINT, 0.5::DOUBLE), (5000000000, 1.5)) t(a, b)");
}
static void a_restore_over_a_changed_type_is_refused_where_files_would_lie(void **state) {
  (void)state;
  FOR_EACH_FACES(widened_body)
}

/* ---- verify ---- */

static void keep_problem(void *to, const char *path, const char *problem) {
  (void)path;
  snprintf(to, 400, "%s", problem);
}

static void verify_body(table_fixture *t) {
  tl_verified found;
  char said[400] = "";
  start_bars(t);
  MUST(tl_relation_verify(t->relation, keep_problem, said, &found, err));
  assert_int_equal(found.wrong, 0);
  assert_int_equal(found.rows, 1000);
  char file[300], sql[1200];
  snprintf(file, sizeof file, "%s/%s", t->folder, tl_relation_snapshot(t->relation)->files[0].path);
  snprintf(sql, sizeof sql, "COPY (SELECT * REPLACE (volume - 5000 AS volume) FROM read_parquet('%s', hive_partitioning = false)) TO '%s.new' (FORMAT parquet)", file, file);
  run_sql(t, "%s", sql);
  assert_int_equal(shell("mv '%s' '%s.old' && mv '%s.new' '%s'", file, file, file, file), 0);
  MUST(tl_relation_verify(t->relation, keep_problem, said, &found, err));
  assert_int_equal(found.wrong, 1); /* another length, and values below the least stated */
  assert_non_null(strstr(said, "below the least"));
  assert_int_equal(shell("rm '%s'", file), 0);
  MUST(tl_relation_verify(t->relation, keep_problem, said, &found, err));
  assert_int_equal(found.wrong, 1);
  assert_string_equal(said, "it is gone");
  assert_int_equal(shell("echo nonsense > '%s'", file), 0);
  MUST(tl_relation_verify(t->relation, keep_problem, said, &found, err));
  assert_int_equal(found.wrong, 1);
  assert_non_null(strstr(said, "cannot be read"));
  assert_int_equal(shell("mv '%s.old' '%s'", file, file), 0);
  assert_table(t, columns, "FROM truth");
}
static void verify_names_what_is_wrong(void **state) {
  (void)state;
  FOR_EACH_FACES(verify_body)
}

/* ---- writers at once ---- */

static void stale_body(table_fixture *t) {
  tl_relation *other = NULL;
  tl_relation_options options = table_options(t);
  start_bars(t);
  MUST(tl_relation_open(t->folder, &options, &other, err));
  /* what the other handle has not seen yet is merged with all the same */
  append_rows(t, "SELECT 'A' AS symbol, TIMESTAMPTZ '2024-01-01 00:30:00+00' AS timestamp, 1.0 AS close, 1 AS volume");
  MUST(tl_relation_merge(other, &(tl_write){.rows = "SELECT 'A' AS symbol, TIMESTAMPTZ '2024-01-01 00:30:00+00' AS timestamp, 2.0 AS close, 2 AS volume"}, "symbol,timestamp", &t->changed, err));
  assert_int_equal(t->changed.rows_updated, 1);
  assert_true(t->changed.attempts > 1);
  MUST(tl_relation_refresh(t->relation, err));
  assert_table(t, columns, "FROM truth UNION ALL SELECT 'A', TIMESTAMPTZ '2024-01-01 00:30:00+00', 2.0, 2");
  /* two optimize the same files: the second finds nothing left */
  MUST(tl_relation_refresh(other, err));
  MUST(tl_relation_optimize(t->relation, &(tl_optimize){0}, &t->changed, err));
  MUST(tl_relation_optimize(other, &(tl_optimize){0}, &t->changed, err));
  assert_int_equal(t->changed.version, -1);
  MUST(tl_relation_delete(t->relation, "volume = 2 AND close = 2", &t->changed, err));
  MUST(tl_relation_append(other, &(tl_write){.rows = "SELECT 'N' AS symbol, 7 AS volume"}, &t->changed, err));
  tl_relation_close(other);
  MUST(tl_relation_refresh(t->relation, err));
  assert_table(t, columns, "FROM truth UNION ALL SELECT 'N', NULL, NULL, 7");
}
static void a_verb_is_planned_again_on_what_others_committed(void **state) {
  (void)state;
  FOR_EACH_FACES(stale_body)
}

enum { WRITERS = 4, TURNS = 5 };
typedef struct writer {
  table_fixture *t;
  int id;
  tl_error err;
  tl_status st;
} writer;

/* Each turn: a merge of keys all writers share, stating turn and writer, and a row of its own. */
static void *write_turns(void *argument) {
  writer *w = argument;
  tl_relation *own = NULL;
  tl_relation_options options = table_options(w->t);
  w->st = tl_relation_open(w->t->folder, &options, &own, &w->err);
  for (int turn = 0; !w->st && turn < TURNS; turn++) {
    char rows[400];
    snprintf(rows, sizeof rows, "SELECT 'S' || (g %% 3) AS symbol, TIMESTAMPTZ '2024-01-01 00:00:00+00' + g * INTERVAL 1 HOUR AS timestamp, %d.0 AS close, %d AS volume FROM range(%d, %d) t(g)",
             turn, w->id, turn * 2, turn * 2 + 6);
    w->st = tl_relation_merge(own, &(tl_write){.rows = rows}, "symbol, timestamp", NULL, &w->err);
    snprintf(rows, sizeof rows, "SELECT 'own' AS symbol, %d.0 AS close, %d AS volume", turn, w->id);
    if (!w->st) w->st = tl_relation_append(own, &(tl_write){.rows = rows}, NULL, &w->err);
  }
  tl_relation_close(own);
  return NULL;
}

static void race_body(table_fixture *t) {
  writer writers[WRITERS];
  pthread_t threads[WRITERS];
  table_create(t, bar_columns, "symbol", "timestamp");
  for (int i = 0; i < WRITERS; i++) {
    writers[i] = (writer){.t = t, .id = i};
    assert_int_equal(pthread_create(&threads[i], NULL, write_turns, &writers[i]), 0);
  }
  for (int i = 0; i < WRITERS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < WRITERS; i++)
    if (writers[i].st) fail_msg("writer %d: %s", i, writers[i].err.message);
  table_reopen(t);
  /* every key once, from the last turn that wrote it; every own row once */
  assert_rows_where(t, t->relation, NULL, "symbol <> 'own'", "symbol, timestamp", "SELECT 'S' || (g % 3) AS symbol, TIMESTAMPTZ '2024-01-01 00:00:00+00' + g * INTERVAL 1 HOUR AS timestamp FROM range(14) t(g)");
  assert_rows_where(t, t->relation, NULL, "symbol = 'own'", "close, volume", "SELECT a::DOUBLE AS close, b AS volume FROM range(5) x(a), range(4) y(b)");
  tl_verified found;
  MUST(tl_relation_verify(t->relation, tell_problem, NULL, &found, err));
  assert_int_equal(found.wrong, 0);
}
static void racing_writers_lose_and_double_nothing(void **state) {
  (void)state;
  FOR_EACH_FACES(race_body)
}

/* ---- faces ---- */

/* Somebody commits to one face: takes a file out and/or brings a copy of one under another name. */
static void foreign_commit(table_fixture *t, const tl_format *format, const char *remove, const char *copy_of, const char *copy_as) {
  tl_store *store = NULL;
  tl_table_log *log = NULL;
  tl_snapshot *now = NULL;
  tl_table_env env = {.engine = t->engine, .temp = "/tmp"};
  tl_committed done;
  MUST(tl_store_open(t->folder, NULL, &store, err));
  MUST(format->open(store, &env, &log, err));
  MUST(format->load(log, (tl_at){.kind = TL_AT_LATEST}, &now, err));
  tl_data_file add = {0};
  for (size_t i = 0; copy_of && i < now->file_count; i++)
    if (!strcmp(now->files[i].path, copy_of)) {
      add = now->files[i];
      add.raw = NULL;
      add.path = (char *)(uintptr_t)copy_as;
      MUST(tl_file_stats_init(&add.stats, now->fields.count, err));
      assert_int_equal(shell("cp '%s/%s' '%s/%s'", t->folder, copy_of, t->folder, copy_as), 0);
    }
  tl_edit edit = {.operation = "WRITE", .removes = &remove, .remove_count = remove ? 1 : 0, .adds = &add, .add_count = copy_of ? 1 : 0, .data_change = true, .reads = TL_READS_ALL};
  MUST(format->commit(log, now, &edit, &done, err));
  tl_file_stats_deinit(&add.stats);
  tl_snapshot_close(now);
  format->close(log);
  tl_store_close(store);
}

/* The symbol and month a file of ours holds, as a condition. */
static void condition_of(const tl_snapshot *snapshot, size_t file, char *out, size_t size) {
  snprintf(out, size, "symbol = '%s' AND strftime(timestamp::TIMESTAMP, '%%Y-%%m') = '%s' AND volume %% 3 %s 0", snapshot->files[file].partition[0], snapshot->files[file].partition[1],
           snapshot->files[file].version == 1 ? "=" : "<>");
}

static void a_commit_to_one_face_is_taken_over_into_the_other(void **state) {
  (void)state;
  const tl_format *formats[] = {&tl_format_delta, &tl_format_iceberg};
  for (int which = 0; which < 2; which++) {
    table_fixture t;
    char condition[300], copy[300], truth[900];
    table_start(&t, "delta,iceberg");
    start_bars(&t);
    const tl_snapshot *now = tl_relation_snapshot(t.relation);
    char *removed = tl_strdup(now->files[0].path), *copied = tl_strdup(now->files[1].path);
    condition_of(now, 0, condition, sizeof condition);
    snprintf(truth, sizeof truth, "SELECT * FROM truth WHERE NOT (%s) UNION ALL SELECT * FROM truth WHERE ", condition);
    condition_of(now, 1, truth + strlen(truth), sizeof truth - strlen(truth));
    snprintf(copy, sizeof copy, "foreign-%d.parquet", which);
    foreign_commit(&t, formats[which], removed, copied, copy);
    table_reopen(&t);
    assert_table(&t, columns, truth);
    /* and the table goes on as one */
    append_rows(&t, "SELECT 'new' AS symbol, 1 AS volume");
    MUST(tl_relation_delete(t.relation, "symbol = 'new'", &t.changed, err));
    assert_table(&t, columns, truth);
    tl_free(removed);
    tl_free(copied);
    table_stop(&t);
  }
}

static void two_faces_rewritten_apart_are_refused_by_name(void **state) {
  (void)state;
  table_fixture t;
  tl_error why = {0};
  tl_relation *relation = NULL;
  table_start(&t, "delta,iceberg");
  start_bars(&t);
  tl_relation_options options = table_options(&t);
  char *path = tl_strdup(tl_relation_snapshot(t.relation)->files[0].path);
  foreign_commit(&t, &tl_format_delta, path, path, "rewritten-1.parquet");
  foreign_commit(&t, &tl_format_iceberg, path, path, "rewritten-2.parquet");
  assert_refused(tl_relation_open(t.folder, &options, &relation, &why), TL_EUSAGE, &why, "both rewritten");
  assert_non_null(strstr(why.message, path));
  options.read_only = true; /* reading goes on */
  MUST(tl_relation_open(t.folder, &options, &relation, err));
  tl_relation_close(relation);
  tl_free(path);
  table_stop(&t);
}

/* Delta was committed, Iceberg not reached: as after a death between the two. */
static void a_face_left_behind_is_brought_level_at_the_next_open(void **state) {
  (void)state;
  table_fixture t;
  table_start(&t, "delta,iceberg");
  start_bars(&t);
  assert_int_equal(shell("cp -a '%s/metadata' '%s/../ticklake-ops-metadata-%d'", t.folder, t.folder, (int)getpid()), 0);
  MUST(tl_relation_delete(t.relation, "volume < 100", &t.changed, err));
  MUST(tl_relation_append(t.relation, &(tl_write){.rows = "SELECT 'x' AS symbol, 'wide' AS more", .add_columns = true}, &t.changed, err));
  tl_relation_close(t.relation);
  t.relation = NULL;
  assert_int_equal(shell("rm -r '%s/metadata' && mv '%s/../ticklake-ops-metadata-%d' '%s/metadata'", t.folder, t.folder, (int)getpid(), t.folder), 0);
  table_reopen(&t);
  assert_table(&t, "symbol, volume, more", "SELECT symbol, volume, NULL AS more FROM truth WHERE volume >= 100 UNION ALL SELECT 'x', NULL, 'wide'");
  table_stop(&t);
}

/* The creation died between the logs. */
static void a_second_face_that_was_not_made_is_made(void **state) {
  (void)state;
  table_fixture t;
  table_start(&t, "delta,iceberg");
  table_create(&t, bar_columns, "symbol,month(timestamp)", NULL);
  tl_relation_close(t.relation);
  t.relation = NULL;
  assert_int_equal(shell("rm -r '%s/metadata'", t.folder), 0);
  table_reopen(&t);
  assert_string_equal(tl_relation_faces(t.relation), "delta,iceberg");
  append_rows(&t, "SELECT 'A' AS symbol, TIMESTAMPTZ '2024-01-01 00:00:00+00' AS timestamp, 1 AS volume");
  assert_table(&t, "symbol, timestamp, volume", "SELECT 'A' AS symbol, TIMESTAMPTZ '2024-01-01 00:00:00+00' AS timestamp, 1 AS volume");
  table_stop(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(vacuum_deletes_what_no_version_needs),
    cmocka_unit_test(a_longer_retention_of_the_table_itself_counts),
    cmocka_unit_test(files_that_other_tables_may_share_stay),
    cmocka_unit_test(a_table_around_another_is_not_vacuumed),
    cmocka_unit_test(a_table_is_made_where_it_harms_nothing),
    cmocka_unit_test(a_restore_over_a_changed_type_is_refused_where_files_would_lie),
    cmocka_unit_test(verify_names_what_is_wrong),
    cmocka_unit_test(a_verb_is_planned_again_on_what_others_committed),
    cmocka_unit_test(racing_writers_lose_and_double_nothing),
    cmocka_unit_test(a_commit_to_one_face_is_taken_over_into_the_other),
    cmocka_unit_test(two_faces_rewritten_apart_are_refused_by_name),
    cmocka_unit_test(a_face_left_behind_is_brought_level_at_the_next_open),
    cmocka_unit_test(a_second_face_that_was_not_made_is_made),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
