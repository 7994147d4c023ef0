/* commit_test.c - creating, committing and loading tables in a folder; who conflicts with whom. The truth: the state of the table
 * written out by hand after each step. */
#include "iceberg_table.h"

static void a_table_is_created_empty_and_once(void **state) {
  (void)state;
  table t;
  bool found = true;
  tl_error err = {0};
  tl_committed out;
  table_open(&t, NULL);
  assert_int_equal(tl_format_iceberg.detect(t.store, &found, NULL), TL_OK);
  assert_false(found);
  tl_snapshot *s = NULL;
  assert_int_equal(tl_format_iceberg.load(t.log, (tl_at){.kind = TL_AT_LATEST}, &s, &err), TL_ENOTFOUND);
  table_create(&t);
  assert_int_equal(tl_format_iceberg.detect(t.store, &found, NULL), TL_OK);
  assert_true(found);
  s = table_load(&t);
  assert_int_equal(s->version, -1);
  assert_int_equal(s->sequence, 1);
  assert_int_equal(s->file_count, 0);
  assert_int_equal(s->fields.count, 4);
  assert_string_equal(s->fields.items[3].name, "ladder");
  assert_int_equal(s->fields.items[3].id, 4);
  assert_int_equal(s->fields.items[3].element_id, 5);
  assert_int_equal(s->fields.last_id, 5);
  assert_false(s->fields.items[0].nullable);
  assert_int_equal(s->partitioning.count, 2);
  assert_int_equal(s->partitioning.items[1].transform, TL_TRANSFORM_MONTH);
  assert_int_equal(s->partitioning.items[1].source, 1);
  assert_int_equal(s->partitioning.items[1].column, -1);
  assert_int_equal(s->partitioning.items[0].column, 0);
  assert_int_equal(s->partitioning.items[1].id, 1001);
  assert_string_equal(s->name, "ticks");
  assert_null(s->unwritable);
  assert_string_equal(tl_snapshot_property(s, "schema.name-mapping.default"),
                      "[{\"field-id\":1,\"names\":[\"symbol\"]},{\"field-id\":2,\"names\":[\"at\"]},{\"field-id\":3,\"names\":[\"price\"]},"
                      "{\"field-id\":4,\"names\":[\"ladder\"],\"fields\":[{\"field-id\":5,\"names\":[\"element\"]}]}]");
  tl_snapshot_close(s);
  const tl_fields fields = table_fields();
  const tl_create again = {.fields = &fields};
  assert_int_equal(tl_format_iceberg.create(t.log, &again, &out, &err), TL_ECONFLICT);
  table_close(&t, true);
}

static void an_append_is_a_snapshot_with_its_file(void **state) {
  (void)state;
  table t;
  table_open(&t, NULL);
  table_create(&t);
  tl_committed first = append(&t, "data/a.parquet", "AAPL", "2024-01", 10);
  tl_committed second = append(&t, "data/symbol=BTC%2FUSD/b.parquet", "BTC/USD", NULL, 5);
  assert_int_equal(first.sequence, 2);
  assert_int_equal(second.sequence, 3);
  assert_int_equal(second.attempts, 1);
  tl_snapshot *s = table_load(&t);
  assert_int_equal(s->version, second.version);
  assert_files(s, "data/a.parquet data/symbol=BTC%2FUSD/b.parquet");
  assert_int_equal(s->rows, 15);
  assert_int_equal(s->bytes, 1500);
  assert_int_equal(s->files[0].version, 1);
  assert_int_equal(s->files[1].version, 2);
  assert_string_equal(s->files[0].partition[0], "AAPL");
  assert_string_equal(s->files[0].partition[1], "2024-01");
  assert_string_equal(s->files[1].partition[0], "BTC/USD");
  assert_null(s->files[1].partition[1]);
  tl_snapshot_close(s);
  s = table_load_at(&t, (tl_at){TL_AT_VERSION, first.version});
  assert_files(s, "data/a.parquet");
  tl_snapshot_close(s);
  s = table_load_at(&t, (tl_at){TL_AT_TIMESTAMP, second.timestamp_ms - 1});
  assert_files(s, "data/a.parquet");
  tl_snapshot_close(s);
  tl_error err = {0};
  assert_int_equal(tl_format_iceberg.load(t.log, (tl_at){TL_AT_TIMESTAMP, first.timestamp_ms - 1}, &s, &err), TL_ENOTFOUND);
  assert_int_equal(tl_format_iceberg.load(t.log, (tl_at){TL_AT_VERSION, 77}, &s, &err), TL_ENOTFOUND);
  table_close(&t, true);
}


/* ---- edits of all kinds ---- */

typedef struct change { /* removes and adds, each "" or one path; all of AAPL in 2024-01 unless partition says otherwise */
  const char *remove, *add, *symbol, *month;
  tl_reads reads;
  const char *read_symbol, *read_month;
} change;

static tl_status apply(table *t, const tl_snapshot *base, const change *c, tl_committed *out, tl_error *err) {
  const char *const partition[2] = {c->read_symbol, c->read_month};
  const char *const *const partitions[1] = {partition};
  tl_data_file file = file_of(c->add, c->symbol ? c->symbol : "AAPL", c->month ? c->month : "2024-01", 10);
  const tl_edit edit = {.operation = "MERGE", .removes = &c->remove, .remove_count = *c->remove != 0, .adds = &file, .add_count = *c->add != 0,
                        .data_change = true, .reads = c->reads, .read_partitions = partitions,
                        .read_partition_count = c->reads == TL_READS_PARTITIONS};
  tl_status st = commit(t, base, &edit, out, err);
  free(file.partition);
  return st;
}

static void three_files(table *t) {
  table_open(t, NULL);
  table_create(t);
  append(t, "a", "AAPL", "2024-01", 10);
  append(t, "b", "AAPL", "2024-02", 10);
  append(t, "c", "MSFT", "2024-01", 10);
}

/* Two writers read the same snapshot; the first commits, then the second. */
static void who_conflicts_with_whom(void **state) {
  (void)state;
  const struct { change first, second; tl_status expected; const char *files; } cases[] = {
    {{"", "d", NULL, NULL, TL_READS_NOTHING, NULL, NULL}, {"", "e", NULL, NULL, TL_READS_NOTHING, NULL, NULL}, TL_OK, "a b c d e"},
    {{"a", "d", NULL, NULL, TL_READS_ALL, NULL, NULL}, {"", "e", NULL, NULL, TL_READS_NOTHING, NULL, NULL}, TL_OK, "b c d e"},
    {{"", "d", NULL, NULL, TL_READS_NOTHING, NULL, NULL}, {"a", "e", NULL, NULL, TL_READS_ALL, NULL, NULL}, TL_ECONFLICT, "a b c d"},
    {{"", "d", NULL, NULL, TL_READS_NOTHING, NULL, NULL}, {"a", "e", NULL, NULL, TL_READS_REMOVED, NULL, NULL}, TL_OK, "b c d e"},
    {{"", "d", NULL, NULL, TL_READS_NOTHING, NULL, NULL}, {"a", "e", NULL, NULL, TL_READS_PARTITIONS, "AAPL", "2024-01"}, TL_ECONFLICT, "a b c d"},
    {{"", "d", "MSFT", "2024-01", TL_READS_NOTHING, NULL, NULL}, {"a", "e", NULL, NULL, TL_READS_PARTITIONS, "AAPL", "2024-01"}, TL_OK, "b c d e"},
    {{"", "d", "AAPL", "2024-02", TL_READS_NOTHING, NULL, NULL}, {"a", "e", NULL, NULL, TL_READS_PARTITIONS, "AAPL", "2024-01"}, TL_OK, "b c d e"},
    {{"b", "", NULL, NULL, TL_READS_ALL, NULL, NULL}, {"a", "e", NULL, NULL, TL_READS_PARTITIONS, "AAPL", "2024-01"}, TL_OK, "c e"},
    {{"a", "d", NULL, NULL, TL_READS_ALL, NULL, NULL}, {"a", "e", NULL, NULL, TL_READS_REMOVED, NULL, NULL}, TL_ECONFLICT, "b c d"},
    {{"a", "", NULL, NULL, TL_READS_ALL, NULL, NULL}, {"a", "", NULL, NULL, TL_READS_REMOVED, NULL, NULL}, TL_ECONFLICT, "b c"},
    {{"c", "d", "MSFT", "2024-01", TL_READS_PARTITIONS, "MSFT", "2024-01"}, {"a", "e", NULL, NULL, TL_READS_PARTITIONS, "AAPL", "2024-01"}, TL_OK, "b d e"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    table t, other;
    tl_error err = {0};
    three_files(&t);
    table_open(&other, t.folder);
    tl_snapshot *base = table_load(&t), *same = table_load(&other);
    tl_committed out;
    assert_int_equal(apply(&t, base, &cases[i].first, NULL, &err), TL_OK);
    tl_status st = apply(&other, same, &cases[i].second, &out, &err);
    if (st != cases[i].expected) fail_msg("case %zu: status %d, %s", i, (int)st, err.message);
    if (!st) assert_int_equal(out.sequence, 6);
    assert_live(&t, cases[i].files);
    tl_snapshot_close(base);
    tl_snapshot_close(same);
    table_close(&other, false);
    table_close(&t, true);
  }
}

static void a_removed_file_lives_on_in_older_snapshots(void **state) {
  (void)state;
  table t;
  three_files(&t);
  tl_snapshot *base = table_load(&t);
  tl_committed merged, removed;
  assert_int_equal(apply(&t, base, &(change){"a", "d", NULL, NULL, TL_READS_ALL, NULL, NULL}, &merged, NULL), TL_OK);
  tl_snapshot *s = table_load(&t);
  assert_files(s, "b c d");
  assert_int_equal(s->rows, 30);
  assert_int_equal(s->files[0].version, 2); /* rewritten, its number kept */
  assert_int_equal(s->files[2].version, 4);
  assert_int_equal(apply(&t, s, &(change){"b", "", NULL, NULL, TL_READS_ALL, NULL, NULL}, &removed, NULL), TL_OK);
  assert_live(&t, "c d");
  tl_snapshot_close(s);
  s = table_load_at(&t, (tl_at){TL_AT_VERSION, merged.version});
  assert_files(s, "b c d");
  tl_snapshot_close(s);
  s = table_load_at(&t, (tl_at){TL_AT_VERSION, base->version});
  assert_files(s, "a b c");
  tl_snapshot_close(s);
  tl_snapshot_close(base);
  table_close(&t, true);
}

static void what_makes_no_sense_is_refused(void **state) {
  (void)state;
  table t;
  tl_error err = {0};
  three_files(&t);
  tl_snapshot *base = table_load(&t);
  assert_int_equal(apply(&t, base, &(change){"x", "", NULL, NULL, TL_READS_ALL, NULL, NULL}, NULL, &err), TL_EUSAGE);
  assert_string_equal(err.message, "'x' is no file of the table");
  assert_int_equal(apply(&t, base, &(change){"", "a", NULL, NULL, TL_READS_ALL, NULL, NULL}, NULL, &err), TL_EUSAGE);
  assert_string_equal(err.message, "'a' is in the table already");
  assert_int_equal(apply(&t, base, &(change){"", "d", "MSFT", "January", TL_READS_ALL, NULL, NULL}, NULL, &err), TL_EUSAGE);
  assert_string_equal(err.message, "partition 'at_month' of 'd': 'January' is no value of this partition");
  assert_live(&t, "a b c");
  tl_snapshot_close(base);
  table_close(&t, true);
}

/* ---- txns, properties, schemas ---- */

static void a_txn_commits_once(void **state) {
  (void)state;
  table t;
  three_files(&t);
  tl_snapshot *base = table_load(&t);
  tl_data_file file = file_of("d", "AAPL", "2024-01", 1);
  tl_edit edit = {.operation = "WRITE", .adds = &file, .add_count = 1, .data_change = true, .txn_app = "job/1", .txn_version = 7};
  tl_committed out;
  assert_int_equal(tl_snapshot_txn(base, "job/1"), -1);
  assert_int_equal(commit(&t, base, &edit, &out, NULL), TL_OK);
  assert_false(out.already);
  file.path = (char *)(uintptr_t)"e";
  assert_int_equal(commit(&t, base, &edit, &out, NULL), TL_OK); /* from the old snapshot, as one who did not hear of it */
  assert_true(out.already);
  tl_snapshot *s = table_load(&t);
  assert_files(s, "a b c d");
  assert_int_equal(tl_snapshot_txn(s, "job/1"), 7);
  assert_null(tl_snapshot_property(s, "ticklake.txn.job/1"));
  edit.txn_version = 8;
  assert_int_equal(commit(&t, s, &edit, &out, NULL), TL_OK);
  assert_false(out.already);
  assert_live(&t, "a b c d e");
  free(file.partition);
  tl_snapshot_close(s);
  tl_snapshot_close(base);
  table_close(&t, true);
}

static void properties_are_set_and_removed_without_a_snapshot(void **state) {
  (void)state;
  table t;
  three_files(&t);
  tl_snapshot *base = table_load(&t);
  tl_pair pairs[] = {{(char *)(uintptr_t)"owner", (char *)(uintptr_t)"me \"quoted\""}, {(char *)(uintptr_t)"ticklake.name", NULL}};
  const tl_edit edit = {.operation = "SET TBLPROPERTIES", .properties = pairs, .property_count = 2};
  tl_committed out;
  assert_int_equal(commit(&t, base, &edit, &out, NULL), TL_OK);
  assert_int_equal(out.version, base->version);
  assert_int_equal(out.sequence, 5);
  tl_snapshot *s = table_load(&t);
  assert_string_equal(tl_snapshot_property(s, "owner"), "me \"quoted\"");
  assert_string_equal(s->name, "");
  assert_int_equal(s->version, base->version);
  assert_int_equal(s->sequence, 5);
  tl_snapshot_close(s);
  tl_snapshot_close(base);
  table_close(&t, true);
}

static tl_fields with_column(const tl_snapshot *s, const char *name, bool nullable) {
  tl_fields fields;
  assert_int_equal(tl_fields_copy(&s->fields, &fields, NULL), TL_OK);
  fields.items = tl_realloc_array(fields.items, fields.count + 1, sizeof *fields.items);
  fields.items[fields.count++] = (tl_field){.name = tl_strdup(name), .type = TL_FIELD_I64, .nullable = nullable, .id = ++fields.last_id};
  return fields;
}

static void a_column_is_added_with_a_new_schema(void **state) {
  (void)state;
  table t, other;
  tl_error err = {0};
  three_files(&t);
  table_open(&other, t.folder);
  tl_snapshot *base = table_load(&t);
  tl_fields fields = with_column(base, "volume", true), strict = with_column(base, "size", false), rival = with_column(base, "count", true);
  tl_data_file file = file_of("d", "AAPL", "2024-01", 1);
  assert_int_equal(commit(&t, base, &(tl_edit){.operation = "ADD COLUMNS", .fields = &strict}, NULL, &err), TL_EUSAGE);
  assert_int_equal(commit(&t, base, &(tl_edit){.operation = "ADD COLUMNS", .fields = &fields, .adds = &file, .add_count = 1}, NULL, &err), TL_OK);
  assert_int_equal(commit(&other, base, &(tl_edit){.operation = "ADD COLUMNS", .fields = &rival}, NULL, &err), TL_ECONFLICT);
  tl_snapshot *s = table_load(&t);
  assert_int_equal(s->fields.count, 5);
  assert_string_equal(s->fields.items[4].name, "volume");
  assert_int_equal(s->fields.items[4].id, 6);
  assert_non_null(strstr(tl_snapshot_property(s, "schema.name-mapping.default"), "{\"field-id\":6,\"names\":[\"volume\"]}"));
  tl_snapshot *old = table_load_at(&t, (tl_at){TL_AT_VERSION, base->version});
  assert_int_equal(old->fields.count, 4); /* as it was then */
  file.path = (char *)(uintptr_t)"e"; /* an append by one who knows only the old schema still fits */
  assert_int_equal(commit(&other, base, &(tl_edit){.operation = "WRITE", .adds = &file, .add_count = 1, .data_change = true}, NULL, &err), TL_OK);
  assert_live(&t, "a b c d e");
  free(file.partition);
  tl_snapshot_close(old);
  tl_snapshot_close(s);
  tl_snapshot_close(base);
  tl_fields_deinit(&fields);
  tl_fields_deinit(&strict);
  tl_fields_deinit(&rival);
  table_close(&other, false);
  table_close(&t, true);
}

/* ---- statistics ---- */

static void statistics_come_back_as_they_were_given(void **state) {
  (void)state;
  table t;
  table_open(&t, NULL);
  table_create(&t);
  tl_snapshot *base = table_load(&t);
  tl_data_file files[2] = {file_of("a", "AAPL", "2024-01", 10), file_of("b", "AAPL", "2024-01", 10)};
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(tl_file_stats_init(&files[i].stats, 4, NULL), TL_OK);
    tl_column_bounds *b = files[i].stats.columns;
    b[0] = (tl_column_bounds){.has_min = true, .has_max = true, .null_count = 0, .nan_count = -1, .value_count = 10, .size_bytes = 44,
                              .min = {.text = tl_strdup("AAPL"), .len = 4}, .max = {.text = tl_strdup("AAPL"), .len = 4}};
    b[2] = (tl_column_bounds){.has_min = true, .has_max = true, .null_count = 2, .nan_count = (int64_t)i, .value_count = 10, .size_bytes = -1,
                              .min = {.f64 = -1.5}, .max = {.f64 = 99.25}};
  }
  const tl_edit edit = {.operation = "WRITE", .adds = files, .add_count = 2, .data_change = true};
  assert_int_equal(commit(&t, base, &edit, NULL, NULL), TL_OK);
  tl_snapshot *s = table_load(&t);
  tl_file_stats stats;
  assert_int_equal(tl_snapshot_stats(s, 0, &stats, NULL), TL_OK);
  assert_int_equal(stats.count, 4);
  assert_true(stats.columns[0].has_min && stats.columns[0].has_max);
  assert_string_equal(stats.columns[0].max.text, "AAPL");
  assert_int_equal(stats.columns[0].size_bytes, 44);
  assert_false(stats.columns[1].has_min);
  assert_int_equal(stats.columns[1].null_count, -1);
  assert_true(stats.columns[2].has_min && stats.columns[2].min.f64 == -1.5 && stats.columns[2].has_max && stats.columns[2].max.f64 == 99.25);
  assert_int_equal(stats.columns[2].null_count, 2);
  assert_int_equal(stats.columns[2].value_count, 10);
  tl_file_stats_deinit(&stats);
  assert_int_equal(tl_snapshot_stats(s, 1, &stats, NULL), TL_OK);
  assert_int_equal(stats.columns[2].nan_count, 1);
  assert_false(stats.columns[2].has_min || stats.columns[2].has_max); /* a NaN: no bounds are safe in every engine */
  tl_file_stats_deinit(&stats);
  for (size_t i = 0; i < 2; i++) {
    tl_file_stats_deinit(&files[i].stats);
    free(files[i].partition);
  }
  tl_snapshot_close(s);
  tl_snapshot_close(base);
  table_close(&t, true);
}

/* ---- many commits, upkeep ---- */

typedef struct counting { const char *end; size_t count; } counting;

static int count_one(void *to, const char *key, const tl_store_info *info) {
  counting *c = to;
  (void)info;
  size_t len = strlen(key), end = strlen(c->end);
  c->count += len >= end && !strcmp(key + len - end, c->end);
  return 0;
}

static size_t count_objects(table *t, const char *prefix, const char *end) {
  counting c = {end, 0};
  assert_int_equal(tl_store_list(t->store, prefix, NULL, false, count_one, &c, NULL), TL_OK);
  return c.count;
}

static void hundreds_of_appends_stay_few_manifests(void **state) {
  (void)state;
  table t;
  table_open(&t, NULL);
  table_create(&t);
  char name[16];
  for (int i = 0; i < 210; i++) {
    snprintf(name, sizeof name, "f%03d", i);
    append(&t, name, i % 2 ? "AAPL" : "MSFT", "2024-01", 1);
  }
  tl_snapshot *s = table_load(&t);
  assert_int_equal(s->file_count, 210);
  assert_int_equal(s->rows, 210);
  assert_int_equal(s->sequence, 211);
  assert_int_equal(s->files[0].version, 1);
  assert_int_equal(s->files[209].version, 210);
  assert_int_equal(count_objects(&t, "metadata/v", ".metadata.json"), 101); /* the newest and a hundred before it */
  tl_snapshot_close(s);
  table_close(&t, true);
}

static int collect_keeps(void *to, const char *path) {
  char *text = to;
  if (!strstr(path, "metadata/")) snprintf(text + strlen(text), 4096 - strlen(text), "%s ", path);
  return 0;
}

static void expiry_forgets_snapshots_and_only_their_files(void **state) {
  (void)state;
  table t;
  tl_expired gone;
  three_files(&t);
  tl_snapshot *first = table_load(&t);
  assert_int_equal(apply(&t, first, &(change){"a", "d", NULL, NULL, TL_READS_ALL, NULL, NULL}, NULL, NULL), TL_OK);
  char kept[4096] = "";
  assert_int_equal(tl_format_iceberg.keeps(t.log, 0, collect_keeps, kept, NULL), TL_OK);
  assert_string_equal(kept, "a b c d ");
  size_t before = count_objects(&t, "metadata/", ".avro");
  assert_int_equal(tl_format_iceberg.expire(t.log, INT64_MAX, 1, true, &gone, NULL), TL_OK);
  assert_int_equal(gone.versions, 3);
  assert_int_equal(gone.files, 4); /* three lists, the manifest of a */
  assert_int_equal(count_objects(&t, "metadata/", ".avro"), before);
  assert_int_equal(tl_format_iceberg.expire(t.log, INT64_MAX, 1, false, &gone, NULL), TL_OK);
  assert_int_equal(count_objects(&t, "metadata/", ".avro"), before - 4);
  tl_snapshot *s = NULL;
  assert_int_equal(tl_format_iceberg.load(t.log, (tl_at){TL_AT_VERSION, first->version}, &s, NULL), TL_ENOTFOUND);
  assert_int_equal(tl_format_iceberg.load(t.log, (tl_at){TL_AT_TIMESTAMP, first->timestamp_ms}, &s, NULL), TL_ENOTFOUND);
  assert_live(&t, "b c d");
  kept[0] = 0;
  assert_int_equal(tl_format_iceberg.keeps(t.log, 0, collect_keeps, kept, NULL), TL_OK);
  assert_string_equal(kept, "b c d ");
  assert_int_equal(tl_format_iceberg.expire(t.log, INT64_MAX, 1, false, &gone, NULL), TL_OK);
  assert_int_equal(gone.versions, 0);
  tl_snapshot_close(first);
  table_close(&t, true);
}

static void a_checkpoint_is_the_same_table_in_one_manifest(void **state) {
  (void)state;
  table t;
  three_files(&t);
  tl_snapshot *before = table_load(&t);
  assert_int_equal(tl_format_iceberg.checkpoint(t.log, before, NULL), TL_OK);
  tl_snapshot *after = table_load(&t);
  assert_files(after, "a b c");
  assert_int_equal(after->files[0].version, 1);
  assert_int_equal(after->files[2].version, 3);
  assert_true(after->version != before->version);
  assert_int_equal(tl_format_iceberg.checkpoint(t.log, after, NULL), TL_OK); /* nothing to do */
  tl_snapshot *same = table_load(&t);
  assert_int_equal(same->version, after->version);
  assert_int_equal(apply(&t, after, &(change){"b", "e", "AAPL", "2024-02", TL_READS_ALL, NULL, NULL}, NULL, NULL), TL_OK);
  assert_live(&t, "a c e");
  tl_snapshot_close(before);
  tl_snapshot_close(after);
  tl_snapshot_close(same);
  table_close(&t, true);
}

static int tell_version(void *to, const tl_version *v) {
  char *text = to;
  snprintf(text + strlen(text), 4096 - strlen(text), "%s seq %d%s%s; ", v->operation, (int)v->sequence, v->current ? " current" : "", v->parent < 0 ? " first" : "");
  if (v->current) assert_non_null(strstr(v->metrics_json, "\"total-records\":\"30\""));
  assert_string_equal(v->engine, "ticklake");
  return 0;
}

static void history_is_told_newest_first(void **state) {
  (void)state;
  table t;
  three_files(&t);
  tl_snapshot *s = table_load(&t);
  assert_int_equal(apply(&t, s, &(change){"a", "d", NULL, NULL, TL_READS_ALL, NULL, NULL}, NULL, NULL), TL_OK);
  char text[4096] = "";
  assert_int_equal(tl_format_iceberg.history(t.log, 100, tell_version, text, NULL), TL_OK);
  assert_string_equal(text, "MERGE seq 4 current; WRITE seq 3; WRITE seq 2; WRITE seq 1 first; ");
  text[0] = 0;
  assert_int_equal(tl_format_iceberg.history(t.log, 1, tell_version, text, NULL), TL_OK);
  assert_string_equal(text, "MERGE seq 4 current; ");
  tl_snapshot_close(s);
  table_close(&t, true);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_table_is_created_empty_and_once),
    cmocka_unit_test(an_append_is_a_snapshot_with_its_file),
    cmocka_unit_test(who_conflicts_with_whom),
    cmocka_unit_test(a_removed_file_lives_on_in_older_snapshots),
    cmocka_unit_test(what_makes_no_sense_is_refused),
    cmocka_unit_test(a_txn_commits_once),
    cmocka_unit_test(properties_are_set_and_removed_without_a_snapshot),
    cmocka_unit_test(a_column_is_added_with_a_new_schema),
    cmocka_unit_test(statistics_come_back_as_they_were_given),
    cmocka_unit_test(hundreds_of_appends_stay_few_manifests),
    cmocka_unit_test(expiry_forgets_snapshots_and_only_their_files),
    cmocka_unit_test(a_checkpoint_is_the_same_table_in_one_manifest),
    cmocka_unit_test(history_is_told_newest_first),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
