/* metadata_test.c - the metadata JSON: what is read, refused, written. The truth: texts by hand. */
#include "iceberg_table.h"
#include "table/iceberg/metadata.h"

static tl_iceberg_metadata *parse(const char *text, tl_status expected, const char *part) {
  tl_iceberg_metadata *m = NULL;
  tl_error err = {0};
  tl_status st = tl_iceberg_metadata_parse("m.json", text, strlen(text), &m, &err);
  if (st != expected) fail_msg("status %d: %s", (int)st, err.message);
  if (part && !strstr(err.message, part)) fail_msg("'%s' is not in: %s", part, err.message);
  return m;
}

/* Members any writer might add stand between ours. */
static const char foreign[] =
  "{\"format-version\":2,\"table-uuid\":\"u-1\",\"location\":\"s3://b/t/\",\"last-sequence-number\":4,\"last-updated-ms\":100,\"last-column-id\":3,"
  "\"current-schema-id\":1,\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"fields\":[{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":\"int\"}]},"
  "{\"type\":\"struct\",\"schema-id\":1,\"identifier-field-ids\":[1],\"fields\":[{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":\"int\",\"doc\":\"the a\",\"x\":1.50},"
  "{\"id\":3,\"name\":\"t\",\"required\":false,\"type\":\"timestamptz\"}]}],"
  "\"default-spec-id\":1,\"partition-specs\":[{\"spec-id\":0,\"fields\":[]},{\"spec-id\":1,\"fields\":[{\"name\":\"t_day\",\"transform\":\"day\",\"source-id\":3,\"field-id\":1000}]}],"
  "\"last-partition-id\":1000,\"default-sort-order-id\":0,\"sort-orders\":[{\"order-id\":0,\"fields\":[]}],\"properties\":{\"k\":\"v\",\"gone\":\"1\"},"
  "\"current-snapshot-id\":11,\"refs\":{\"main\":{\"snapshot-id\":11,\"type\":\"branch\",\"min-snapshots-to-keep\":5},\"audit\":{\"snapshot-id\":10,\"type\":\"tag\"}},"
  "\"snapshots\":[{\"snapshot-id\":10,\"sequence-number\":3,\"timestamp-ms\":90,\"summary\":{\"operation\":\"append\"},\"manifest-list\":\"s3://b/t/metadata/l10.avro\",\"schema-id\":0},"
  "{\"snapshot-id\":11,\"parent-snapshot-id\":10,\"sequence-number\":4,\"timestamp-ms\":100,\"summary\":{\"operation\":\"overwrite\"},\"manifest-list\":\"s3://b/t/metadata/l11.avro\",\"schema-id\":1,\"first-row\":9007199254740993}],"
  "\"snapshot-log\":[{\"snapshot-id\":10,\"timestamp-ms\":90},{\"snapshot-id\":11,\"timestamp-ms\":100}],\"metadata-log\":[],"
  "\"statistics\":[{\"snapshot-id\":10,\"statistics-path\":\"p10\"},{\"snapshot-id\":11,\"statistics-path\":\"p11\"}],\"a-new-thing\":{\"deep\":[1.0,null]}}";

static void metadata_is_read(void **state) {
  (void)state;
  tl_iceberg_metadata *m = parse(foreign, TL_OK, NULL);
  assert_true(tl_text_is(m->location, "s3://b/t"));
  assert_int_equal(m->last_sequence, 4);
  assert_int_equal(m->current, 11);
  assert_int_equal(m->schema_count, 2);
  assert_int_equal(m->snaps[1].parent, 10);
  assert_int_equal(m->snaps[0].parent, -1);
  assert_int_equal(m->log_count, 2);
  assert_string_equal(tl_iceberg_property(m, "k"), "v");
  tl_partitioning p;
  assert_int_equal(tl_iceberg_partitioning(tl_iceberg_find_spec(m, 1), &m->schemas[1].fields, &p, NULL), TL_OK);
  assert_int_equal(p.items[0].transform, TL_TRANSFORM_DAY);
  assert_int_equal(p.items[0].source, 1);
  tl_partitioning_deinit(&p);
  assert_int_equal(tl_iceberg_partitioning(tl_iceberg_find_spec(m, 1), &m->schemas[0].fields, &p, NULL), TL_OK);
  assert_int_equal(p.items[0].transform, TL_TRANSFORM_OTHER); /* its column is not in that schema */
  assert_int_equal(p.items[0].source, -1);
  tl_partitioning_deinit(&p);
  tl_iceberg_metadata_close(m);
}

static tl_buf next_of(const char *text, const tl_iceberg_change *change) {
  tl_iceberg_metadata *m = parse(text, TL_OK, NULL);
  tl_buf out = {0};
  tl_error err = {0};
  if (tl_iceberg_metadata_next(m, "s3://b/t/metadata/v4.metadata.json", change, &out, &err)) fail_msg("%s", err.message);
  tl_iceberg_metadata_close(m);
  return out;
}

static void assert_has(const tl_buf *text, const char *part) {
  if (!strstr(text->data, part)) fail_msg("%s is not in %s", part, text->data);
}

static void the_next_metadata_carries_everything_over(void **state) {
  (void)state;
  tl_pair summary[] = {{(char *)(uintptr_t)"operation", (char *)(uintptr_t)"append"}, {(char *)(uintptr_t)"added-records", (char *)(uintptr_t)"7"}};
  tl_pair properties[] = {{(char *)(uintptr_t)"gone", NULL}, {(char *)(uintptr_t)"new", (char *)(uintptr_t)"\xC3\xA9"}};
  const tl_iceberg_added added = {.id = 12, .parent = 11, .sequence = 5, .timestamp_ms = 200, .schema_id = 1, .manifest_list = "l12", .summary = summary, .summary_count = 2};
  tl_buf out = next_of(foreign, &(tl_iceberg_change){.added = &added, .properties = properties, .property_count = 2, .now_ms = 200});
  assert_has(&out, "\"a-new-thing\":{\"deep\":[1.0,null]}");
  assert_has(&out, "\"doc\":\"the a\",\"x\":1.50");
  assert_has(&out, "\"first-row\":9007199254740993");
  assert_has(&out, "\"properties\":{\"k\":\"v\",\"new\":\"\xC3\xA9\"}");
  assert_has(&out, "\"refs\":{\"main\":{\"snapshot-id\":12,\"type\":\"branch\",\"min-snapshots-to-keep\":5},\"audit\":{\"snapshot-id\":10,\"type\":\"tag\"}}");
  assert_has(&out, "{\"sequence-number\":5,\"snapshot-id\":12,\"parent-snapshot-id\":11,\"timestamp-ms\":200,\"summary\":{\"operation\":\"append\",\"added-records\":\"7\"},\"manifest-list\":\"l12\",\"schema-id\":1}");
  assert_has(&out, "\"snapshot-log\":[{\"snapshot-id\":10,\"timestamp-ms\":90},{\"snapshot-id\":11,\"timestamp-ms\":100},{\"snapshot-id\":12,\"timestamp-ms\":200}]");
  assert_has(&out, "\"metadata-log\":[{\"metadata-file\":\"s3://b/t/metadata/v4.metadata.json\",\"timestamp-ms\":100}]");
  assert_has(&out, "\"last-sequence-number\":5");
  tl_iceberg_metadata_close(parse(out.data, TL_OK, NULL));
  tl_buf_deinit(&out);
}

static void a_forgotten_snapshot_takes_its_log_and_statistics_along(void **state) {
  (void)state;
  const int64_t gone[] = {10};
  tl_buf out = next_of(foreign, &(tl_iceberg_change){.expired = gone, .expired_count = 1, .now_ms = 200});
  assert_null(strstr(out.data, "l10.avro"));
  assert_has(&out, "\"snapshot-log\":[{\"snapshot-id\":11,\"timestamp-ms\":100}]");
  assert_has(&out, "\"statistics\":[{\"snapshot-id\":11,\"statistics-path\":\"p11\"}]");
  assert_has(&out, "\"current-snapshot-id\":11");
  tl_buf_deinit(&out);
}

static void a_new_schema_keeps_what_fields_said(void **state) {
  (void)state;
  tl_field items[] = {{.name = (char *)(uintptr_t)"a", .type = TL_FIELD_I64, .nullable = true, .id = 1},
                      {.name = (char *)(uintptr_t)"t", .type = TL_FIELD_TIMESTAMP, .nullable = true, .id = 3},
                      {.name = (char *)(uintptr_t)"l", .type = TL_FIELD_LIST, .element = TL_FIELD_F64, .nullable = true, .id = 4, .element_id = 5}};
  const tl_fields fields = {items, 3, 5};
  tl_iceberg_metadata *m = parse(foreign, TL_OK, NULL);
  assert_int_equal(tl_iceberg_evolves(m, &fields, NULL), TL_OK);
  tl_iceberg_metadata_close(m);
  tl_buf out = next_of(foreign, &(tl_iceberg_change){.fields = &fields, .now_ms = 200});
  assert_has(&out, "{\"type\":\"struct\",\"schema-id\":2,\"fields\":[{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":\"long\",\"doc\":\"the a\",\"x\":1.50},"
                   "{\"id\":3,\"name\":\"t\",\"required\":false,\"type\":\"timestamptz\"},"
                   "{\"id\":4,\"name\":\"l\",\"required\":false,\"type\":{\"type\":\"list\",\"element-id\":5,\"element\":\"double\",\"element-required\":false}}],\"identifier-field-ids\":[1]}");
  assert_has(&out, "\"current-schema-id\":2,\"last-column-id\":5");
  tl_buf_deinit(&out);
}

static void what_a_schema_may_not_become(void **state) {
  (void)state;
  const tl_field a = {.name = (char *)(uintptr_t)"a", .type = TL_FIELD_I32, .id = 1}, t = {.name = (char *)(uintptr_t)"t", .type = TL_FIELD_TIMESTAMP, .nullable = true, .id = 3};
  const struct { tl_field items[3]; size_t count; const char *part; } cases[] = {
    {{a}, 1, "dropped"},
    {{t, a}, 2, "cannot take the place"},
    {{{.name = (char *)(uintptr_t)"a", .type = TL_FIELD_STRING, .id = 1}, t}, 2, "cannot change to this type"},
    {{a, {.name = (char *)(uintptr_t)"t", .type = TL_FIELD_TIMESTAMP, .id = 3}}, 2, "cannot become NOT NULL"},
    {{a, t, {.name = (char *)(uintptr_t)"n", .type = TL_FIELD_I64, .id = 4}}, 3, "cannot be added as NOT NULL"},
    {{a, t, {.name = (char *)(uintptr_t)"n", .type = TL_FIELD_I64, .nullable = true, .id = 3}}, 3, "has id 3"},
    {{a, t, {.name = (char *)(uintptr_t)"n", .type = TL_FIELD_I8, .nullable = true, .id = 4}}, 3, "small integer"},
    {{a, t, {.name = (char *)(uintptr_t)"A", .type = TL_FIELD_I64, .nullable = true, .id = 4}}, 3, "differ in nothing but case"},
  };
  tl_iceberg_metadata *m = parse(foreign, TL_OK, NULL);
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_error err = {0};
    tl_field items[3];
    memcpy(items, cases[i].items, sizeof items);
    assert_int_not_equal(tl_iceberg_evolves(m, &(tl_fields){items, cases[i].count, 4}, &err), TL_OK);
    if (!strstr(err.message, cases[i].part)) fail_msg("'%s' is not in: %s", cases[i].part, err.message);
  }
  tl_iceberg_metadata_close(m);
}

static void version_1_is_read(void **state) {
  (void)state;
  tl_iceberg_metadata *m = parse("{\"format-version\":1,\"location\":\"/t\",\"schema\":{\"type\":\"struct\",\"fields\":[{\"id\":1,\"name\":\"x\",\"required\":true,\"type\":\"long\"}]},"
                                 "\"partition-spec\":[{\"name\":\"x\",\"transform\":\"identity\",\"source-id\":1}],\"current-snapshot-id\":null}", TL_OK, NULL);
  assert_int_equal(m->current, -1);
  assert_int_equal(m->specs[0].fields.items[0].id, 1000);
  assert_int_equal(m->last_column_id, 1);
  tl_iceberg_metadata_close(m);
}

#define HEAD "{\"format-version\":2,\"location\":\"/t\","
#define SCHEMA "\"schemas\":[{\"schema-id\":0,\"fields\":[]}],\"current-schema-id\":0"

static void what_is_wrong_is_refused_by_name(void **state) {
  (void)state;
  const struct { const char *text; tl_status status; const char *part; } cases[] = {
    {"", TL_ECORRUPT, "m.json"},
    {"[]", TL_ECORRUPT, "no object"},
    {"{}", TL_ECORRUPT, "no format-version"},
    {"{\"format-version\":3}", TL_EUSAGE, "'m.json' is Iceberg of format version 3: versions 1 and 2 are supported"},
    {"{\"format-version\":\"2\"}", TL_ECORRUPT, "format-version"},
    {"{\"format-version\":2," SCHEMA "}", TL_ECORRUPT, "no location"},
    {HEAD "\"schemas\":[]}", TL_ECORRUPT, "no schema"},
    {HEAD "\"schemas\":[{\"schema-id\":0,\"fields\":[]}],\"current-schema-id\":1}", TL_ECORRUPT, "current schema"},
    {HEAD "\"schemas\":[{\"schema-id\":0,\"fields\":[{\"id\":1,\"type\":\"int\"}]}]}", TL_ECORRUPT, "no name"},
    {HEAD "\"schemas\":[{\"schema-id\":0,\"fields\":[{\"id\":-1,\"name\":\"a\",\"type\":\"int\"}]}]}", TL_ECORRUPT, "no id"},
    {HEAD SCHEMA ",\"partition-specs\":[{\"spec-id\":1,\"fields\":[]}]}", TL_ECORRUPT, "default partition spec"},
    {HEAD SCHEMA ",\"current-snapshot-id\":5}", TL_ECORRUPT, "current snapshot"},
    {HEAD SCHEMA ",\"snapshots\":[{\"snapshot-id\":5}]}", TL_ECORRUPT, "no manifest list"},
    {HEAD SCHEMA ",\"snapshots\":[{\"snapshot-id\":5,\"manifests\":[]}]}", TL_EUSAGE, "old writers"},
    {HEAD SCHEMA ",\"properties\":{\"a\":1}}", TL_ECORRUPT, "a property is no text"},
    {HEAD SCHEMA ",\"last-sequence-number\":-1}", TL_ECORRUPT, "out of range"},
    {HEAD SCHEMA ",\"last-sequence-number\":1.5}", TL_ECORRUPT, "last-sequence-number"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) parse(cases[i].text, cases[i].status, cases[i].part);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(metadata_is_read),
    cmocka_unit_test(the_next_metadata_carries_everything_over),
    cmocka_unit_test(a_forgotten_snapshot_takes_its_log_and_statistics_along),
    cmocka_unit_test(a_new_schema_keeps_what_fields_said),
    cmocka_unit_test(what_a_schema_may_not_become),
    cmocka_unit_test(version_1_is_read),
    cmocka_unit_test(what_is_wrong_is_refused_by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
