/* delta_log_test.c - from files in _delta_log to snapshots and back. The truth: logs written by hand as the format's text
 * and other writers have them. */
#include "tests/unit/table/delta/table.h"

#define PROTOCOL "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}\n"
#define SCHEMA(fields) "\"schemaString\":\"{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[" fields "]}\""
#define FIELD(name, type) "{\\\"name\\\":\\\"" name "\\\",\\\"type\\\":\\\"" type "\\\",\\\"nullable\\\":true,\\\"metadata\\\":{}}"
#define METADATA                                                                                                        \
  "{\"metaData\":{\"id\":\"0a0b\",\"format\":{\"provider\":\"parquet\",\"options\":{}}," SCHEMA(                       \
    FIELD("symbol", "string") "," FIELD("close", "double")) ",\"partitionColumns\":[\"symbol\"],\"configuration\":{},\"createdTime\":1}}\n"
#define ADD(path, symbol)                                                                                               \
  "{\"add\":{\"path\":\"" path "\",\"partitionValues\":{\"symbol\":" symbol "},\"size\":7,\"modificationTime\":3,\"dataChange\":true," \
  "\"stats\":\"{\\\"numRecords\\\":5}\"}}\n"
#define REMOVE(path) "{\"remove\":{\"path\":\"" path "\",\"deletionTimestamp\":9,\"dataChange\":true}}\n"

static void a_log_by_hand_is_a_snapshot(void **state) {
  (void)state;
  table t;
  table_open(&t, false);
  table_commit_text(&t, 0, PROTOCOL METADATA ADD("symbol=BTC%252FUSD/a.parquet", "\"BTC/USD\""));
  table_commit_text(&t, 1, ADD("b.parquet", "null") ADD("c%20d.parquet", "\"\""));
  table_commit_text(&t, 2, REMOVE("b.parquet"));
  tl_snapshot *s = table_load(&t);
  assert_int_equal(s->version, 2);
  assert_int_equal(s->file_count, 2);
  assert_string_equal(s->files[0].path, "c d.parquet");
  assert_null(s->files[0].partition[0]); /* "" is NULL too */
  assert_string_equal(s->files[1].path, "symbol=BTC%2FUSD/a.parquet"); /* decoded once: what the disk holds */
  assert_string_equal(s->files[1].partition[0], "BTC/USD");
  assert_int_equal(s->files[1].version, 0);
  assert_int_equal(s->rows, 10);
  assert_int_equal(s->bytes, 14);
  assert_null(s->unwritable);
  assert_string_equal(s->table_id, "0a0b");
  tl_snapshot_close(s);
  s = table_load_version(&t, 1);
  assert_int_equal(s->file_count, 3);
  tl_snapshot_close(s);
  table_close(&t);
}

static void lines_end_as_they_like_and_order_means_nothing(void **state) {
  (void)state;
  table t;
  table_open(&t, false);
  table_commit_text(&t, 0, "\n" ADD("a.parquet", "\"A\"") "\r\n  \n{\"unheardOf\":{\"x\":1}}\n" METADATA "\r\n"
                           "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}}");
  tl_snapshot *s = table_load(&t);
  assert_int_equal(s->file_count, 1);
  tl_snapshot_close(s);
  table_commit_text(&t, 1, "{}\n"); /* nothing we know is a version too */
  s = table_load(&t);
  assert_int_equal(s->version, 1);
  tl_snapshot_close(s);
  table_close(&t);
}

static void damage_is_refused_by_file_and_line(void **state) {
  (void)state;
  static const struct { const char *text; tl_status status; const char *says; } cases[] = {
    {ADD("a", "\"A\"") ADD("a", "\"A\""), TL_ECORRUPT, "'a' twice"},
    {REMOVE("a") REMOVE("a"), TL_ECORRUPT, "'a' twice"},
    {ADD("a", "\"A\"") REMOVE("a"), TL_ECORRUPT, "'a' twice"},
    {"", TL_ECORRUPT, "is empty"},
    {" \r\n\n", TL_ECORRUPT, "is empty"},
    {"{\"add\":", TL_ECORRUPT, "00000000000000000001.json' line 1"},
    {"\n[]", TL_ECORRUPT, "00000000000000000001.json' line 2"},
    {"{\"add\":{\"path\":\"a\",\"partitionValues\":{\"symbol\":\"A\"},\"dataChange\":true}}", TL_ECORRUPT, "no size"},
    {"{\"add\":{\"path\":\"a\",\"size\":1,\"dataChange\":true}}", TL_ECORRUPT, "no partitionValues"},
    {"{\"add\":{\"path\":\"a\",\"size\":1,\"partitionValues\":{},\"dataChange\":true}}", TL_ECORRUPT, "partition column 'symbol'"},
    {"{\"add\":{\"path\":\"\",\"size\":1,\"partitionValues\":{}}}", TL_ECORRUPT, "no path"},
    {ADD("../a", "\"A\""), TL_ECORRUPT, "not below the table"},
    {ADD("a%2", "\"A\""), TL_ECORRUPT, "no URI"},
    {METADATA METADATA, TL_ECORRUPT, "second"},
    {"{\"txn\":{\"appId\":\"x\",\"version\":1}}\n{\"txn\":{\"appId\":\"x\",\"version\":2}}", TL_ECORRUPT, "second time"},
    {"{\"add\":{\"path\":\"a\",\"size\":1,\"partitionValues\":{\"symbol\":null},\"deletionVector\":{\"storageType\":\"u\"}}}", TL_EUSAGE, "deletionVectors"},
    {"{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"warpDrive\"],\"writerFeatures\":[\"warpDrive\"]}}", TL_EUSAGE, "'warpDrive'"},
    {"{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"deletionVectors\"],\"writerFeatures\":[\"deletionVectors\"]}}", TL_EUSAGE, "'deletionVectors'"},
    {"{\"protocol\":{\"minReaderVersion\":4,\"minWriterVersion\":7}}", TL_EUSAGE, "reader of version 4"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    table t;
    tl_snapshot *s = NULL;
    table_open(&t, false);
    table_commit_text(&t, 0, PROTOCOL METADATA);
    table_commit_text(&t, 1, cases[i].text);
    assert_int_equal(F->load(t.log, (tl_at){TL_AT_LATEST, 0}, &s, &t.err), cases[i].status);
    if (!strstr(t.err.message, cases[i].says)) fail_msg("case %zu says: %s", i, t.err.message);
    table_close(&t);
  }
}

static void a_hole_in_the_versions_is_damage(void **state) {
  (void)state;
  table t;
  tl_snapshot *s = NULL;
  table_open(&t, false);
  table_commit_text(&t, 0, PROTOCOL METADATA);
  table_commit_text(&t, 2, ADD("a", "\"A\""));
  assert_int_equal(F->load(t.log, (tl_at){TL_AT_LATEST, 0}, &s, &t.err), TL_ECORRUPT);
  assert_non_null(strstr(t.err.message, "version 1 is missing"));
  assert_int_equal(F->load(t.log, (tl_at){TL_AT_VERSION, 7}, &s, &t.err), TL_ECORRUPT);
  table_commit_text(&t, 1, "{}\n");
  assert_int_equal(F->load(t.log, (tl_at){TL_AT_VERSION, 7}, &s, &t.err), TL_ENOTFOUND);
  assert_non_null(strstr(t.err.message, "no version 7"));
  table_close(&t);
}

static void what_we_may_not_write_is_named(void **state) {
  (void)state;
#define WITH(configuration, fields)                                                                                          \
  "{\"metaData\":{\"id\":\"i\",\"format\":{\"provider\":\"parquet\"}," SCHEMA(fields) ",\"partitionColumns\":[],\"configuration\":{" configuration "}}}\n"
#define V7(name) "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"" name "\"]}}\n"
#define LEGACY(w) "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":" #w "}}\n"
  static const struct { const char *text, *says; } cases[] = {
    {V7("rowTracking") WITH("", FIELD("a", "long")), "'rowTracking'"},
    {V7("domainMetadata") WITH("", FIELD("a", "long")), "'domainMetadata'"},
    {V7("icebergCompatV1") WITH("", FIELD("a", "long")), "'icebergCompatV1'"},
    {V7("appendOnly") WITH("", FIELD("a", "long")), NULL},
    {LEGACY(6) WITH("", FIELD("a", "long")), NULL},
    {LEGACY(3) WITH("\"delta.constraints.c\":\"a > 0\"", FIELD("a", "long")), "'checkConstraints'"},
    {LEGACY(4) WITH("\"delta.enableChangeDataFeed\":\"true\"", FIELD("a", "long")), "'changeDataFeed'"},
    {LEGACY(8) WITH("", FIELD("a", "long")), "version 8"},
    {PROTOCOL WITH("", "{\\\"name\\\":\\\"a\\\",\\\"type\\\":\\\"long\\\",\\\"nullable\\\":true,\\\"metadata\\\":{\\\"delta.invariants\\\":\\\"x\\\"}}"), "'invariants'"},
    {PROTOCOL WITH("\"ticklake.partition.a\":\"fortnight(b)\"", FIELD("a", "long")), NULL},
    {PROTOCOL WITH("", "{\\\"name\\\":\\\"a\\\",\\\"type\\\":{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[" FIELD("x", "long") "]},\\\"nullable\\\":true}"), "column 'a'"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    table t;
    table_open(&t, false);
    table_commit_text(&t, 0, cases[i].text);
    tl_snapshot *s = table_load(&t);
    if (!cases[i].says) assert_null(s->unwritable);
    else if (!s->unwritable || !strstr(s->unwritable, cases[i].says)) fail_msg("case %zu says: %s", i, s->unwritable);
    if (cases[i].says) {
      assert_int_equal(table_append(&t, s, "x.parquet", NULL, NULL), TL_EUSAGE);
      assert_non_null(strstr(t.err.message, cases[i].says));
    }
    tl_snapshot_close(s);
    table_close(&t);
  }
}

static void a_new_table_is_what_we_say_it_is(void **state) {
  (void)state;
  table t;
  table_open(&t, false);
  bool found = true;
  assert_int_equal(F->detect(t.store, &found, &t.err), TL_OK);
  assert_false(found);
  tl_snapshot *s = NULL;
  assert_int_equal(F->load(t.log, (tl_at){TL_AT_LATEST, 0}, &s, &t.err), TL_ENOTFOUND);
  table_create(&t, &(tl_pair){(char *)(uintptr_t)"k", (char *)(uintptr_t)"v"}, 1);
  assert_int_equal(F->detect(t.store, &found, &t.err), TL_OK);
  assert_true(found);
  s = table_load(&t);
  assert_int_equal(s->version, 0);
  assert_string_equal(s->name, "bars");
  assert_string_equal(tl_snapshot_property(s, "k"), "v");
  assert_int_equal(s->fields.count, 4);
  assert_int_equal(s->fields.items[3].id, 4);
  assert_int_equal(s->partitioning.count, 1);
  tl_buf text = {0};
  assert_int_equal(tl_store_get(t.store, "_delta_log/00000000000000000000.json", 1 << 20, &text, NULL, &t.err), TL_OK);
  assert_non_null(strstr(text.data, "\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":2}"));
  assert_true(!strncmp(text.data, "{\"commitInfo\":{\"timestamp\":", 27));
  assert_int_equal(text.data[text.len - 1], '\n');
  tl_buf_deinit(&text);
  tl_fields fields = {0};
  tl_create again = {.fields = &fields};
  tl_committed done;
  assert_int_equal(F->create(t.log, &again, &done, &t.err), TL_ECONFLICT);
  tl_snapshot_close(s);
  table_close(&t);
}

static void appends_removes_and_properties_are_versions(void **state) {
  (void)state;
  table t;
  tl_committed done;
  table_open(&t, false);
  table_create(&t, NULL, 0);
  tl_snapshot *s = table_load(&t);
  assert_int_equal(table_append(&t, s, "symbol=BTC%2FUSD/a b.parquet", "BTC/USD", &done), TL_OK);
  assert_int_equal(done.version, 1);
  assert_int_equal(done.attempts, 1);
  tl_snapshot_close(s);
  s = table_load(&t);
  assert_int_equal(s->file_count, 1);
  assert_string_equal(s->files[0].path, "symbol=BTC%2FUSD/a b.parquet");
  assert_string_equal(s->files[0].partition[0], "BTC/USD");
  assert_int_equal(s->rows, 10);
  assert_int_equal(s->files[0].version, 1);
  tl_buf text = {0};
  assert_int_equal(tl_store_get(t.store, "_delta_log/00000000000000000001.json", 1 << 20, &text, NULL, &t.err), TL_OK);
  assert_non_null(strstr(text.data, "\"path\":\"symbol=BTC%252FUSD/a%20b.parquet\"")); /* encoded once more */
  assert_non_null(strstr(text.data, "\"isBlindAppend\":true"));
  tl_buf_deinit(&text);
  assert_int_equal(table_append(&t, s, "x.parquet", "", NULL), TL_EUSAGE);
  assert_int_equal(table_append(&t, s, s->files[0].path, "A", NULL), TL_EUSAGE);

  const char *removes[] = {s->files[0].path};
  const tl_pair properties[] = {{(char *)(uintptr_t)"delta.appendOnly", (char *)(uintptr_t)"true"}};
  tl_edit edit = {.operation = "DELETE", .removes = removes, .remove_count = 1, .data_change = true, .reads = TL_READS_ALL,
                  .properties = properties, .property_count = 1};
  assert_int_equal(F->commit(t.log, s, &edit, &done, &t.err), TL_OK);
  tl_snapshot_close(s);
  s = table_load(&t);
  assert_int_equal(s->version, 2);
  assert_int_equal(s->file_count, 0);
  assert_string_equal(tl_snapshot_property(s, "delta.appendOnly"), "true");
  assert_int_equal(table_append(&t, s, "symbol=A/b.parquet", NULL, &done), TL_OK);
  tl_snapshot_close(s);
  s = table_load(&t);
  assert_null(s->files[0].partition[0]);
  const char *b[] = {s->files[0].path};
  edit = (tl_edit){.operation = "DELETE", .removes = b, .remove_count = 1, .data_change = true, .reads = TL_READS_ALL};
  assert_int_equal(F->commit(t.log, s, &edit, &done, &t.err), TL_EUSAGE);
  assert_non_null(strstr(t.err.message, "delta.appendOnly"));
  edit.removes = (const char *const[]){"nobody"};
  edit.data_change = false;
  assert_int_equal(F->commit(t.log, s, &edit, &done, &t.err), TL_EUSAGE);
  tl_snapshot_close(s);
  table_close(&t);
}

static void a_txn_commits_once(void **state) {
  (void)state;
  table t;
  tl_committed done;
  table_open(&t, false);
  table_create(&t, NULL, 0);
  tl_snapshot *old = table_load(&t);
  for (int i = 0; i < 3; i++) {
    file_of f;
    char path[20];
    snprintf(path, sizeof path, "f%d", i);
    file_init(&f, path, "A", 1);
    tl_edit edit = {.operation = "WRITE", .adds = &f.file, .add_count = 1, .data_change = true, .txn_app = "ticklake:job", .txn_version = 5};
    tl_snapshot *s = i == 2 ? table_load(&t) : NULL; /* 1: from a base that does not know; 2: from one that does */
    assert_int_equal(F->commit(t.log, s ? s : old, &edit, &done, &t.err), TL_OK);
    assert_int_equal(done.already, i > 0);
    assert_int_equal(done.version, 1);
    if (s) assert_int_equal(tl_snapshot_txn(s, "ticklake:job"), 5);
    if (s) assert_int_equal(s->file_count, 1);
    tl_snapshot_close(s);
  }
  tl_snapshot_close(old);
  table_close(&t);
}

static void a_new_column_keeps_the_old_ones_to_the_letter(void **state) {
  (void)state;
  table t;
  tl_committed done;
  table_open(&t, false);
  table_commit_text(&t, 0, PROTOCOL "{\"metaData\":{\"id\":\"i\",\"description\":\"d\",\"format\":{\"provider\":\"parquet\"}," SCHEMA(
    "{\\\"name\\\":\\\"a\\\",\\\"type\\\":{\\\"type\\\":\\\"array\\\",\\\"elementType\\\":\\\"double\\\",\\\"containsNull\\\":false},\\\"nullable\\\":true,\\\"metadata\\\":{\\\"comment\\\":\\\"x\\\"}}")
    ",\"partitionColumns\":[],\"configuration\":{\"p\":\"q\"},\"createdTime\":77}}\n");
  tl_snapshot *s = table_load(&t);
  tl_fields fields;
  assert_int_equal(tl_fields_copy(&s->fields, &fields, &t.err), TL_OK);
  assert_int_equal(fields.items[0].id, 1);
  assert_int_equal(fields.items[0].element_id, 2);
  fields.items = tl_realloc(fields.items, 2 * sizeof *fields.items);
  fields.items[1] = (tl_field){.name = tl_strdup("venue"), .type = TL_FIELD_STRING, .nullable = true, .id = 3};
  fields.count = 2;
  tl_edit edit = {.operation = "ADD COLUMNS", .fields = &fields, .data_change = false};
  assert_int_equal(F->commit(t.log, s, &edit, &done, &t.err), TL_OK);
  fields.items[1].nullable = false;
  fields.items[0].type = TL_FIELD_F64;
  tl_buf text = {0};
  assert_int_equal(tl_store_get(t.store, "_delta_log/00000000000000000001.json", 1 << 20, &text, NULL, &t.err), TL_OK);
  assert_non_null(strstr(text.data, "\\\"containsNull\\\":false},\\\"nullable\\\":true,\\\"metadata\\\":{\\\"comment\\\":\\\"x\\\"}},"
                                    "{\\\"name\\\":\\\"venue\\\",\\\"type\\\":\\\"string\\\",\\\"nullable\\\":true,\\\"metadata\\\":{}}]}"));
  assert_non_null(strstr(text.data, "\"description\":\"d\""));
  assert_non_null(strstr(text.data, "\"configuration\":{\"p\":\"q\"},\"createdTime\":77"));
  tl_buf_deinit(&text);
  tl_snapshot_close(s);
  s = table_load(&t);
  assert_int_equal(s->fields.count, 2);
  assert_int_equal(s->fields.items[1].id, 3);
  tl_fields_deinit(&fields);
  tl_snapshot_close(s);
  table_close(&t);
}

static void a_month_column_is_known_by_its_property(void **state) {
  (void)state;
  table t;
  tl_committed done;
  table_open(&t, false);
  static char ts[] = "timestamp", month[] = "month";
  tl_field items[] = {{.name = ts, .type = TL_FIELD_TIMESTAMP, .nullable = true, .id = 7}, {.name = month, .type = TL_FIELD_STRING, .nullable = true}};
  tl_fields fields = {items, 2, 0};
  tl_partition_field by = {.name = month, .transform = TL_TRANSFORM_MONTH, .source = 0, .column = 1};
  tl_partitioning partitioning = {&by, 1};
  tl_create create = {.fields = &fields, .partitioning = &partitioning};
  by.column = -1;
  assert_int_equal(F->create(t.log, &create, &done, &t.err), TL_EUSAGE);
  by.column = 1;
  assert_int_equal(F->create(t.log, &create, &done, &t.err), TL_OK);
  tl_snapshot *s = table_load(&t);
  assert_string_equal(tl_snapshot_property(s, "ticklake.partition.month"), "month(timestamp)");
  assert_int_equal(s->partitioning.items[0].transform, TL_TRANSFORM_MONTH);
  assert_int_equal(s->partitioning.items[0].source, 0);
  assert_int_equal(s->partitioning.items[0].column, 1);
  assert_int_equal(s->fields.items[0].id, 7); /* an id that counting would not give is kept */
  assert_int_equal(s->fields.items[1].id, 8);
  tl_snapshot_close(s);
  table_close(&t);
}

static void instants_without_a_zone_need_the_newer_protocol(void **state) {
  (void)state;
  table t;
  tl_committed done;
  table_open(&t, false);
  static char ts[] = "local", a[] = "a";
  tl_field items[] = {{.name = ts, .type = TL_FIELD_TIMESTAMP_NTZ, .nullable = true}, {.name = a, .type = TL_FIELD_I64, .nullable = true}};
  tl_fields fields = {items, 2, 0};
  tl_partition_field by = {.name = ts, .transform = TL_TRANSFORM_IDENTITY, .source = 0, .column = 0};
  tl_partitioning partitioning = {&by, 1};
  tl_create create = {.fields = &fields, .partitioning = &partitioning};
  assert_int_equal(F->create(t.log, &create, &done, &t.err), TL_OK);
  tl_snapshot *s = table_load(&t);
  assert_null(s->unwritable);
  assert_int_equal(table_append(&t, s, "f", "2024-02-03T04:05:06.000007Z", NULL), TL_OK);
  tl_buf text = {0};
  assert_int_equal(tl_store_get(t.store, "_delta_log/00000000000000000000.json", 1 << 20, &text, NULL, &t.err), TL_OK);
  assert_non_null(strstr(text.data, "{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[\"timestampNtz\"],"
                                    "\"writerFeatures\":[\"appendOnly\",\"invariants\",\"timestampNtz\"]}"));
  tl_buf_clear(&text);
  assert_int_equal(tl_store_get(t.store, "_delta_log/00000000000000000001.json", 1 << 20, &text, NULL, &t.err), TL_OK);
  assert_non_null(strstr(text.data, "{\"local\":\"2024-02-03 04:05:06.000007\"}"));
  tl_buf_deinit(&text);
  tl_snapshot_close(s);
  s = table_load(&t);
  assert_string_equal(s->files[0].partition[0], "2024-02-03T04:05:06.000007Z");
  tl_snapshot_close(s);
  table_close(&t);
}

static void set_time(table *t, int version, time_t seconds) {
  char path[200];
  snprintf(path, sizeof path, "%s/_delta_log/%020d.json", t->folder, version);
  assert_int_equal(utime(path, &(struct utimbuf){seconds, seconds}), 0);
}

static void time_travel_goes_by_the_files_times(void **state) {
  (void)state;
  table t;
  tl_snapshot *s;
  table_open(&t, false);
  table_commit_text(&t, 0, PROTOCOL METADATA);
  for (int v = 1; v < 5; v++) table_commit_text(&t, v, "{}\n");
  for (int v = 0; v < 5; v++) set_time(&t, v, v == 3 ? 1000 : 1000 + v * 10); /* 3 lies before 2: counts as 2 plus 1 ms */
  static const struct { int64_t at_ms, version; } cases[] = {{1000000, 0}, {1009999, 0}, {1010000, 1}, {1020000, 2}, {1020001, 3}, {1039999, 3}, {1040000, 4}, {9000000, 4}};
  for (size_t i = 0; i < COUNT(cases); i++) {
    assert_int_equal(F->load(t.log, (tl_at){TL_AT_TIMESTAMP, cases[i].at_ms}, &s, &t.err), TL_OK);
    assert_int_equal(s->version, cases[i].version);
    tl_snapshot_close(s);
  }
  assert_int_equal(F->load(t.log, (tl_at){TL_AT_TIMESTAMP, 999999}, &s, &t.err), TL_ENOTFOUND);
  table_close(&t);
}

static void commits_own_times_count_where_the_table_keeps_them(void **state) {
  (void)state;
  table t;
  tl_snapshot *s;
  table_open(&t, false);
#define ICT(ms) "{\"commitInfo\":{\"inCommitTimestamp\":" #ms "}}\n"
  table_commit_text(&t, 0, "{\"protocol\":{\"minReaderVersion\":1,\"minWriterVersion\":7,\"writerFeatures\":[\"inCommitTimestamp\"]}}\n"
                           "{\"metaData\":{\"id\":\"i\"," SCHEMA(FIELD("a", "long")) ",\"partitionColumns\":[],\"configuration\":{\"delta.enableInCommitTimestamps\":\"true\"}}}\n");
  table_commit_text(&t, 1, ICT(5000));
  table_commit_text(&t, 2, ICT(6000));
  set_time(&t, 0, 1);
  assert_int_equal(F->load(t.log, (tl_at){TL_AT_TIMESTAMP, 5999}, &s, &t.err), TL_OK);
  assert_int_equal(s->version, 1);
  assert_int_equal(s->timestamp_ms, 5000);
  assert_non_null(strstr(s->unwritable, "inCommitTimestamp"));
  tl_snapshot_close(s);
  table_close(&t);
}

static int note(void *to, const tl_version *v) {
  char *at = to;
  snprintf(at + strlen(at), 500 - strlen(at), "%d %s %s %s %s %d;", (int)v->version, v->operation, v->parameters_json, v->metrics_json, v->engine, v->current);
  return 0;
}

static void history_is_newest_first(void **state) {
  (void)state;
  table t;
  char text[500] = "";
  table_open(&t, false);
  table_commit_text(&t, 0, PROTOCOL METADATA);
  table_commit_text(&t, 1, "{\"commitInfo\":{\"timestamp\":5,\"operation\":\"MERGE\",\"operationParameters\":{\"p\":\"[]\"},\"operationMetrics\":{\"n\":\"3\"},\"engineInfo\":\"Spark\"}}\n");
  assert_int_equal(F->history(t.log, 0, note, text, &t.err), TL_OK);
  assert_string_equal(text, "1 MERGE {\"p\":\"[]\"} {\"n\":\"3\"} Spark 1;0  {} {}  0;");
  text[0] = 0;
  assert_int_equal(F->history(t.log, 1, note, text, &t.err), TL_OK);
  assert_string_equal(text, "1 MERGE {\"p\":\"[]\"} {\"n\":\"3\"} Spark 1;");
  table_close(&t);
}

static void a_table_made_anew_is_not_mistaken_for_the_old_one(void **state) {
  (void)state;
  table t;
  table_open(&t, false);
  table_commit_text(&t, 0, PROTOCOL METADATA ADD("a", "\"A\""));
  table_commit_text(&t, 1, ADD("b", "\"A\""));
  tl_snapshot *s = table_load(&t);
  assert_int_equal(s->file_count, 2);
  tl_snapshot_close(s);
  table_command("rm -rf '%s'/_delta_log", t.folder);
  table_commit_text(&t, 0, PROTOCOL METADATA);
  table_commit_text(&t, 1, ADD("ccc", "\"A\""));
  s = table_load(&t);
  assert_int_equal(s->file_count, 1);
  assert_string_equal(s->files[0].path, "ccc");
  tl_snapshot_close(s);
  table_close(&t);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  table t;
  table_open(&t, false);
  table_create(&t, NULL, 0);
  int64_t live = tl_alloc_live();
  bool done = false;
  for (long n = 1; !done; n++) {
    tl_committed committed;
    tl_snapshot *s = NULL;
    file_of f;
    char path[32];
    snprintf(path, sizeof path, "f%ld", n);
    file_init(&f, path, "A", 1);
    const tl_pair property = {(char *)(uintptr_t)"k", (char *)(uintptr_t)"v"};
    tl_edit edit = {.operation = "WRITE", .adds = &f.file, .add_count = 1, .data_change = true, .txn_app = "app", .txn_version = n,
                    .properties = &property, .property_count = 1, .parameters = &property, .parameter_count = 1};
    tl_table_log *log = NULL;
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = F->open(t.store, &t.env, &log, &t.err);
    if (!st) st = F->load(log, (tl_at){TL_AT_LATEST, 0}, &s, &t.err);
    if (!st && s->version < 6) st = F->commit(log, s, &edit, &committed, &t.err);
    done = !tl_fault_disarm();
    if (!done && st != TL_OK) assert_int_equal(st, TL_ENOMEM);
    if (done) assert_int_equal(st, TL_OK);
    tl_snapshot_close(s);
    F->close(log);
    assert_int_equal(tl_alloc_live(), live);
  }
  table_close(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_log_by_hand_is_a_snapshot),
    cmocka_unit_test(lines_end_as_they_like_and_order_means_nothing),
    cmocka_unit_test(damage_is_refused_by_file_and_line),
    cmocka_unit_test(a_hole_in_the_versions_is_damage),
    cmocka_unit_test(what_we_may_not_write_is_named),
    cmocka_unit_test(a_new_table_is_what_we_say_it_is),
    cmocka_unit_test(appends_removes_and_properties_are_versions),
    cmocka_unit_test(a_txn_commits_once),
    cmocka_unit_test(a_new_column_keeps_the_old_ones_to_the_letter),
    cmocka_unit_test(a_month_column_is_known_by_its_property),
    cmocka_unit_test(instants_without_a_zone_need_the_newer_protocol),
    cmocka_unit_test(time_travel_goes_by_the_files_times),
    cmocka_unit_test(commits_own_times_count_where_the_table_keeps_them),
    cmocka_unit_test(history_is_newest_first),
    cmocka_unit_test(a_table_made_anew_is_not_mistaken_for_the_old_one),
    cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
