/* delta_schema_test.c - schemaString <-> fields, and paths and partition texts between log and store. */
#include "tests/unit/table/delta/table.h"

#define STRUCT(fields) "{\"type\":\"struct\",\"fields\":[" fields "]}"
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type ",\"nullable\":true,\"metadata\":{}}"

static void every_type_reads_and_writes_itself(void **state) {
  (void)state;
  static const struct { const char *type; tl_field_type is; const char *sql; } cases[] = {
    {"\"boolean\"", TL_FIELD_BOOL, "BOOLEAN"}, {"\"byte\"", TL_FIELD_I8, "TINYINT"}, {"\"short\"", TL_FIELD_I16, "SMALLINT"},
    {"\"integer\"", TL_FIELD_I32, "INTEGER"}, {"\"long\"", TL_FIELD_I64, "BIGINT"}, {"\"float\"", TL_FIELD_F32, "FLOAT"},
    {"\"double\"", TL_FIELD_F64, "DOUBLE"}, {"\"string\"", TL_FIELD_STRING, "VARCHAR"}, {"\"binary\"", TL_FIELD_BINARY, "BLOB"},
    {"\"date\"", TL_FIELD_DATE, "DATE"}, {"\"timestamp\"", TL_FIELD_TIMESTAMP, "TIMESTAMPTZ"}, {"\"timestamp_ntz\"", TL_FIELD_TIMESTAMP_NTZ, "TIMESTAMP"},
    {"\"decimal(38,10)\"", TL_FIELD_DECIMAL, "DECIMAL(38,10)"},
    {"{\"type\":\"array\",\"elementType\":\"double\",\"containsNull\":true}", TL_FIELD_LIST, "DOUBLE[]"},
    {"{\"type\":\"array\",\"elementType\":\"decimal(5,2)\",\"containsNull\":true}", TL_FIELD_LIST, "DECIMAL(5,2)[]"}};
  for (size_t i = 0; i < COUNT(cases); i++) {
    char schema[300];
    tl_fields fields;
    tl_buf sql = {0}, again = {0};
    tl_error err;
    snprintf(schema, sizeof schema, STRUCT(FIELD("a", "%s")), cases[i].type);
    assert_int_equal(tl_delta_schema_read(schema, &fields, &err), TL_OK);
    assert_int_equal(fields.count, 1);
    assert_int_equal(fields.items[0].type, cases[i].is);
    assert_int_equal(fields.items[0].id, 1);
    assert_int_equal(tl_field_sql_type(&fields.items[0], &sql, &err), TL_OK);
    assert_string_equal(sql.data, cases[i].sql);
    assert_int_equal(tl_delta_schema_write(&fields, NULL, &again, &err), TL_OK);
    assert_string_equal(again.data, schema);
    tl_buf_deinit(&sql);
    tl_buf_deinit(&again);
    tl_fields_deinit(&fields);
  }
}

static void other_types_are_read_by_their_sql_name(void **state) {
  (void)state;
  static const struct { const char *type, *sql; } cases[] = {
    {STRUCT(FIELD("x y", "\"long\"") "," FIELD("z", "{\"type\":\"array\",\"elementType\":\"string\",\"containsNull\":true}")), "STRUCT(\"x y\" BIGINT, \"z\" VARCHAR[])"},
    {"{\"type\":\"map\",\"keyType\":\"string\",\"valueType\":\"decimal(4,1)\",\"valueContainsNull\":true}", "MAP(VARCHAR, DECIMAL(4,1))"},
    {"{\"type\":\"array\",\"elementType\":{\"type\":\"array\",\"elementType\":\"date\",\"containsNull\":true},\"containsNull\":true}", "DATE[][]"},
    {"\"variant\"", NULL}, {"\"decimal(39,1)\"", NULL}, {"\"decimal(4,5)\"", NULL}, {"{\"type\":\"array\",\"elementType\":\"void\"}", NULL}};
  for (size_t i = 0; i < COUNT(cases); i++) {
    char schema[500];
    tl_fields fields;
    tl_error err;
    snprintf(schema, sizeof schema, STRUCT(FIELD("a", "%s")), cases[i].type);
    assert_int_equal(tl_delta_schema_read(schema, &fields, &err), TL_OK);
    assert_int_equal(fields.items[0].type, TL_FIELD_OTHER);
    if (cases[i].sql) assert_string_equal(fields.items[0].sql_type, cases[i].sql);
    else assert_null(fields.items[0].sql_type);
    tl_fields_deinit(&fields);
  }
}

static void schemas_that_are_none_are_refused(void **state) {
  (void)state;
  static const char *const cases[] = {"", "{}", "[]", "{\"type\":\"struct\"}", STRUCT("{}"), STRUCT("{\"name\":\"\",\"type\":\"long\"}"),
                                      STRUCT("{\"name\":\"a\"}"), STRUCT(FIELD("a", "\"long\"") "," FIELD("A", "\"long\"")), STRUCT("7")};
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_fields fields;
    tl_error err;
    assert_int_equal(tl_delta_schema_read(cases[i], &fields, &err), TL_ECORRUPT);
    assert_int_equal(fields.count, 0);
  }
}

static void names_a_table_cannot_have_are_refused(void **state) {
  (void)state;
  static const char *const names[] = {"", "a b", "a,b", "a;b", "a{", "a(", "a\nb", "a=b"};
  for (size_t i = 0; i < COUNT(names); i++) {
    tl_field item = {.name = (char *)(uintptr_t)names[i], .type = TL_FIELD_I64, .id = 1};
    tl_buf out = {0};
    tl_error err;
    assert_int_equal(tl_delta_schema_write(&(tl_fields){&item, 1, 1}, NULL, &out, &err), TL_EUSAGE);
    tl_buf_deinit(&out);
  }
}

static void ids_count_and_differing_ones_are_kept(void **state) {
  (void)state;
  static char a[] = "a", b[] = "b", c[] = "c";
  static const struct { int ids[3], element; bool plain; } cases[] = {{{1, 2, 4}, 3, true}, {{1, 3, 4}, 2, false}, {{1, 2, 3}, 4, false}, {{5, 9, 2}, 7, false}};
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_field items[] = {{.name = a, .type = TL_FIELD_I64, .id = cases[i].ids[0]},
                        {.name = b, .type = TL_FIELD_LIST, .element = TL_FIELD_F64, .id = cases[i].ids[1], .element_id = cases[i].element},
                        {.name = c, .type = TL_FIELD_I64, .id = cases[i].ids[2]}};
    tl_buf out = {0};
    tl_fields back;
    tl_error err;
    assert_int_equal(tl_delta_schema_write(&(tl_fields){items, 3, 9}, NULL, &out, &err), TL_OK);
    assert_int_equal(strstr(out.data, "ticklake.") == NULL, cases[i].plain);
    assert_int_equal(tl_delta_schema_read(out.data, &back, &err), TL_OK);
    for (int k = 0; k < 3; k++) assert_int_equal(back.items[k].id, cases[i].ids[k]);
    assert_int_equal(back.items[1].element_id, cases[i].element);
    tl_fields_deinit(&back);
    tl_buf_deinit(&out);
  }
}

static void paths_are_encoded_once_more_than_the_disk_has_them(void **state) {
  (void)state;
  static const struct { const char *key, *path; } cases[] = {
    {"a.parquet", "a.parquet"}, {"symbol=BTC%2FUSD/p.parquet", "symbol=BTC%252FUSD/p.parquet"}, {"s=a b/x", "s=a%20b/x"},
    {"s=\xC3\xA9/x", "s=%C3%A9/x"}, {"s=100%25/q?#x", "s=100%2525/q%3F%23x"}, {"a+b&c~d_e-f.g", "a%2Bb%26c~d_e-f.g"}, {"it's", "it%27s"},
    {"s3://other/b x", "s3://other/b%20x"}, {"file:/etc/x", "file:/etc/x"}};
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_buf path = {0}, key = {0};
    tl_error err;
    assert_int_equal(tl_delta_path_write(cases[i].key, &path, &err), TL_OK);
    assert_string_equal(path.data, cases[i].path);
    assert_int_equal(tl_delta_path_read("/lake/t", cases[i].path, &key, &err), TL_OK);
    assert_string_equal(key.data, cases[i].key);
    tl_buf_deinit(&path);
    tl_buf_deinit(&key);
  }
}

static void other_spellings_of_paths(void **state) {
  (void)state;
  static const struct { const char *base, *path, *key; } cases[] = {
    {"/lake/t", "file:///lake/t/a%20b", "a b"}, {"/lake/t", "file:/lake/t/a", "a"}, {"/lake/t", "/lake/t/a", "a"},
    {"/lake/t", "/lake/tt/a", "/lake/tt/a"}, {"/lake/t", "s3://b/lake/t/a", "s3://b/lake/t/a"}, {"s3://b/p", "s3a://b/p/x=1/a", "x=1/a"},
    {"s3://b/p", "s3://b/q/a", "s3://b/q/a"}, {"/lake/t", "a+b", "a+b"}, {"/lake/t", "%61", "a"},
    {"/lake/t", "..", NULL}, {"/lake/t", "a/../../b", NULL}, {"/lake/t", "%2e%2e/b", NULL}, {"/lake/t", "a//b", NULL}, {"/lake/t", "./a", NULL},
    {"/lake/t", "a%", NULL}, {"/lake/t", "a%zz", NULL}, {"/lake/t", "a%00b", NULL}, {"/lake/t", "/lake/t/../x", NULL}};
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_buf key = {0};
    tl_error err;
    tl_status st = tl_delta_path_read(cases[i].base, cases[i].path, &key, &err);
    if (st != (cases[i].key ? TL_OK : TL_ECORRUPT)) fail_msg("%s: %d", cases[i].path, (int)st);
    if (cases[i].key) assert_string_equal(key.data, cases[i].key);
    tl_buf_deinit(&key);
  }
}

static void instants_read_in_any_spelling(void **state) {
  (void)state;
  static const struct { const char *text; bool good; int64_t us; } cases[] = {
    {"1970-01-01T00:00:00Z", true, 0}, {"1970-01-01 00:00:00", true, 0}, {"1970-01-01T00:00:00.5Z", true, 500000},
    {"1970-01-01T00:00:00.1234567Z", true, 123456}, {"1970-01-01T01:00:00+01:00", true, 0}, {"1969-12-31T19:00:00-0500", true, 0},
    {"9999-12-31T23:59:59.999999Z", true, INT64_C(253402300799999999)}, {"0001-01-01T00:00:00Z", true, INT64_C(-62135596800000000)},
    {"1970-01-01", false, 0}, {"1970-01-01T24:00:00Z", false, 0}, {"1970-02-30T00:00:00Z", false, 0}, {"1970-01-01T00:00:00.Z", false, 0},
    {"1970-01-01T00:00:00X", false, 0}, {"1970-01-01T00-00-00Z", false, 0}, {"1970-01-01T00:00:00+1:00", false, 0}};
  for (size_t i = 0; i < COUNT(cases); i++) {
    int64_t us = -1;
    unsigned digits;
    bool good = tl_delta_instant_parse(cases[i].text, strlen(cases[i].text), &us, &digits);
    if (good != cases[i].good || (good && us != cases[i].us)) fail_msg("%s: %lld", cases[i].text, (long long)us);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_type_reads_and_writes_itself),
    cmocka_unit_test(other_types_are_read_by_their_sql_name),
    cmocka_unit_test(schemas_that_are_none_are_refused),
    cmocka_unit_test(names_a_table_cannot_have_are_refused),
    cmocka_unit_test(ids_count_and_differing_ones_are_kept),
    cmocka_unit_test(paths_are_encoded_once_more_than_the_disk_has_them),
    cmocka_unit_test(other_spellings_of_paths),
    cmocka_unit_test(instants_read_in_any_spelling),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
