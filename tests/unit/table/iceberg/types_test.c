/* types_test.c - types, bounds, partition values, transforms. The truth: the specification's appendix D (bytes of single
 * values), and values worked out by hand. */
#include <math.h>

#include "iceberg_table.h"
#include "table/iceberg/types.h"

static tl_field type_of(tl_field_type type) { return (tl_field){.name = (char *)(uintptr_t)"c", .type = type}; }

static tl_datum text_of(const char *text) { return (tl_datum){.text = (char *)(uintptr_t)text, .len = strlen(text)}; }

typedef struct bound { tl_field type; tl_datum value; const char *bytes; size_t len; } bound;

static void bounds_are_the_bytes_of_appendix_d(void **state) {
  (void)state;
  const tl_field decimal = {.type = TL_FIELD_DECIMAL, .precision = 9, .scale = 2};
  const bound cases[] = {
    {{.type = TL_FIELD_BOOL}, {.i64 = 0}, "\x00", 1},
    {{.type = TL_FIELD_BOOL}, {.i64 = 1}, "\x01", 1},
    {{.type = TL_FIELD_I32}, {.i64 = 1234}, "\xd2\x04\x00\x00", 4},
    {{.type = TL_FIELD_I32}, {.i64 = -2}, "\xfe\xff\xff\xff", 4},
    {{.type = TL_FIELD_I64}, {.i64 = 1234}, "\xd2\x04\x00\x00\x00\x00\x00\x00", 8},
    {{.type = TL_FIELD_F32}, {.f64 = 1.0}, "\x00\x00\x80\x3f", 4},
    {{.type = TL_FIELD_F64}, {.f64 = 6.0}, "\x00\x00\x00\x00\x00\x00\x18\x40", 8},
    {{.type = TL_FIELD_DATE}, {.i64 = 1000}, "\xe8\x03\x00\x00", 4},
    {{.type = TL_FIELD_TIMESTAMP}, {.i64 = 400000}, "\x80\x1a\x06\x00\x00\x00\x00\x00", 8},
    {{.type = TL_FIELD_STRING}, text_of("ABC"), "ABC", 3},
    {{.type = TL_FIELD_STRING}, text_of(""), "", 0},
    {decimal, {.i64 = 1420}, "\x05\x8c", 2},
    {decimal, {.i64 = 0}, "\x00", 1},
    {decimal, {.i64 = 128}, "\x00\x80", 2},
    {decimal, {.i64 = -128}, "\x80", 1},
    {decimal, {.i64 = -129}, "\xff\x7f", 2},
  };
  for (size_t i = 0; i < COUNT(cases); i++)
    for (int upper = 0; upper < 2; upper++) {
      tl_buf out = {0};
      bool have = false, memory = false;
      tl_datum back;
      assert_int_equal(tl_iceberg_bound_encode(&cases[i].type, &cases[i].value, upper, &out, &have, NULL), TL_OK);
      assert_true(have);
      assert_int_equal(out.len, cases[i].len);
      if (out.len) assert_memory_equal(out.data, cases[i].bytes, out.len);
      assert_true(tl_iceberg_bound_decode(&cases[i].type, tl_text_of(out.data ? out.data : "", out.len), &back, &memory));
      assert_true(back.i64 == cases[i].value.i64 && !(back.f64 < cases[i].value.f64) && !(back.f64 > cases[i].value.f64) && back.len == cases[i].value.len);
      tl_free(back.text);
      tl_buf_deinit(&out);
    }
}

static void assert_bound(const tl_field *type, tl_datum value, bool upper, const char *bytes, size_t len) { /* bytes NULL: none */
  tl_buf out = {0};
  bool have = true;
  assert_int_equal(tl_iceberg_bound_encode(type, &value, upper, &out, &have, NULL), TL_OK);
  assert_int_equal(have, bytes != NULL);
  if (bytes) {
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, bytes, len);
  }
  tl_buf_deinit(&out);
}

static void zeros_and_nans_make_sound_bounds(void **state) {
  (void)state;
  const tl_field f64 = type_of(TL_FIELD_F64), f32 = type_of(TL_FIELD_F32);
  assert_bound(&f64, (tl_datum){.f64 = 0.0}, false, "\x00\x00\x00\x00\x00\x00\x00\x80", 8);
  assert_bound(&f64, (tl_datum){.f64 = -0.0}, true, "\x00\x00\x00\x00\x00\x00\x00\x00", 8);
  assert_bound(&f32, (tl_datum){.f64 = 0.0}, false, "\x00\x00\x00\x80", 4);
  assert_bound(&f64, (tl_datum){.f64 = (double)NAN}, false, NULL, 0);
  assert_bound(&f64, (tl_datum){.f64 = (double)INFINITY}, true, "\x00\x00\x00\x00\x00\x00\xf0\x7f", 8);
  assert_bound(&f32, (tl_datum){.f64 = 0.1}, false, "\xcc\xcc\xcc\x3d", 4); /* the floats beside 0.1: below ... */
  assert_bound(&f32, (tl_datum){.f64 = 0.1}, true, "\xcd\xcc\xcc\x3d", 4);  /* ... and above */
}

static void long_texts_are_cut_and_raised(void **state) {
  (void)state;
  const tl_field text = type_of(TL_FIELD_STRING), binary = type_of(TL_FIELD_BINARY);
  char long_text[300];
  memset(long_text, 'a', sizeof long_text);
  tl_datum value = {.text = long_text, .len = 256};
  assert_bound(&text, value, true, long_text, 256); /* 256 bytes are written whole */
  value.len = 257;
  assert_bound(&text, value, false, "aaaaaaaaaaaaaaaa", 16);
  assert_bound(&text, value, true, "aaaaaaaaaaaaaaab", 16);
  for (size_t i = 0; i + 1 < sizeof long_text; i += 2) memcpy(long_text + i, "\xC3\xA9", 2); /* é; after it comes ê */
  value.len = 300;
  assert_bound(&text, value, true, "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xAA", 32);
  for (size_t i = 0; i < sizeof long_text; i += 4) memcpy(long_text + i, "\xF4\x8F\xBF\xBF", 4); /* U+10FFFF: nothing is above */
  assert_bound(&text, value, true, NULL, 0);
  long_text[0] = 'x';
  memset(long_text + 1, '\xff', sizeof long_text - 1);
  assert_bound(&binary, value, true, "y", 1);
  memcpy(long_text, "\xED\x9F\xBF", 3); /* U+D7FF, before the surrogates: U+E000 follows */
  memset(long_text + 3, 'z', sizeof long_text - 3);
  for (size_t i = 3; i < 48; i += 3) memcpy(long_text + i, "\xED\x9F\xBF", 3);
  char raised[48];
  memcpy(raised, long_text, 48);
  memcpy(raised + 45, "\xEE\x80\x80", 3);
  assert_bound(&text, value, true, raised, 48);
}

static void bytes_of_another_type_are_no_bound(void **state) {
  (void)state;
  const struct { tl_field_type type; const char *bytes; size_t len; } cases[] = {
    {TL_FIELD_BOOL, "\x02", 1}, {TL_FIELD_BOOL, "", 0}, {TL_FIELD_I32, "\x01", 1}, {TL_FIELD_I64, "12345", 5}, {TL_FIELD_F32, "12345678", 8},
    {TL_FIELD_F64, "\x00\x00\x00\x00\x00\x00\xf8\x7f", 8}, {TL_FIELD_DATE, "", 0}, {TL_FIELD_STRING, "\xff", 1}, {TL_FIELD_TIMESTAMP, "1234", 4},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_datum out;
    bool memory;
    const tl_field type = type_of(cases[i].type);
    assert_false(tl_iceberg_bound_decode(&type, tl_text_of(cases[i].bytes, cases[i].len), &out, &memory));
    assert_false(memory);
  }
  tl_datum out;
  bool memory;
  const tl_field now_long = type_of(TL_FIELD_I64), now_double = type_of(TL_FIELD_F64); /* promoted since the file was written */
  assert_true(tl_iceberg_bound_decode(&now_long, tl_text_of("\xfe\xff\xff\xff", 4), &out, &memory));
  assert_int_equal(out.i64, -2);
  assert_true(tl_iceberg_bound_decode(&now_double, tl_text_of("\x00\x00\x80\x3f", 4), &out, &memory));
  assert_true(out.f64 == 1.0);
}

static void values_of_partitions_are_texts_and_back(void **state) {
  (void)state;
  const struct { tl_field result; tl_transform transform; int64_t i64; const char *text; } cases[] = {
    {{.type = TL_FIELD_BOOL}, TL_TRANSFORM_IDENTITY, 1, "true"},
    {{.type = TL_FIELD_I32}, TL_TRANSFORM_IDENTITY, -5, "-5"},
    {{.type = TL_FIELD_I64}, TL_TRANSFORM_IDENTITY, INT64_MIN, "-9223372036854775808"},
    {{.type = TL_FIELD_DATE}, TL_TRANSFORM_IDENTITY, 17486, "2017-11-16"},
    {{.type = TL_FIELD_DATE}, TL_TRANSFORM_DAY, -1, "1969-12-31"},
    {{.type = TL_FIELD_I32}, TL_TRANSFORM_YEAR, 54, "2024"},
    {{.type = TL_FIELD_I32}, TL_TRANSFORM_YEAR, -1, "1969"},
    {{.type = TL_FIELD_I32}, TL_TRANSFORM_MONTH, 648, "2024-01"},
    {{.type = TL_FIELD_I32}, TL_TRANSFORM_MONTH, -1, "1969-12"},
    {{.type = TL_FIELD_I32}, TL_TRANSFORM_BUCKET, 15, "15"},
    {{.type = TL_FIELD_TIMESTAMP}, TL_TRANSFORM_IDENTITY, INT64_C(1510871468000001), "2017-11-16T22:31:08.000001Z"},
    {{.type = TL_FIELD_TIMESTAMP_NTZ}, TL_TRANSFORM_IDENTITY, -1, "1969-12-31T23:59:59.999999Z"},
    {{.type = TL_FIELD_DECIMAL, .precision = 9, .scale = 2}, TL_TRANSFORM_IDENTITY, -5, "-0.05"},
    {{.type = TL_FIELD_DECIMAL, .precision = 9}, TL_TRANSFORM_IDENTITY, 120, "120"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_buf out = {0};
    tl_iceberg_value value = {.i64 = cases[i].i64}, back;
    assert_int_equal(tl_iceberg_value_text(&cases[i].result, cases[i].transform, &value, &out, NULL), TL_OK);
    assert_string_equal(out.data, cases[i].text);
    assert_int_equal(tl_iceberg_value_parse(&cases[i].result, cases[i].transform, out.data, &back, NULL), TL_OK);
    assert_true(back.i64 == cases[i].i64 && !back.null);
    tl_buf_deinit(&out);
  }
  const struct { tl_field result; tl_transform transform; const char *text; } wrong[] = {
    {{.type = TL_FIELD_BOOL}, TL_TRANSFORM_IDENTITY, "TRUE"},
    {{.type = TL_FIELD_I32}, TL_TRANSFORM_IDENTITY, "2147483648"},
    {{.type = TL_FIELD_DATE}, TL_TRANSFORM_DAY, "2024-02-30"},
    {{.type = TL_FIELD_I32}, TL_TRANSFORM_MONTH, "2024-13"},
    {{.type = TL_FIELD_I32}, TL_TRANSFORM_MONTH, "2024-1"},
    {{.type = TL_FIELD_I32}, TL_TRANSFORM_YEAR, "24"},
    {{.type = TL_FIELD_TIMESTAMP}, TL_TRANSFORM_IDENTITY, "2024-01-01T24:00:00Z"},
    {{.type = TL_FIELD_TIMESTAMP}, TL_TRANSFORM_IDENTITY, "2024-01-01"},
    {{.type = TL_FIELD_DECIMAL, .precision = 9, .scale = 2}, TL_TRANSFORM_IDENTITY, "0.123"},
    {{.type = TL_FIELD_DECIMAL, .precision = 18, .scale = 2}, TL_TRANSFORM_IDENTITY, "99999999999999999999"},
  };
  for (size_t i = 0; i < COUNT(wrong); i++) {
    tl_iceberg_value value;
    assert_int_equal(tl_iceberg_value_parse(&wrong[i].result, wrong[i].transform, wrong[i].text, &value, NULL), TL_EUSAGE);
  }
}

static void a_transform_has_the_type_of_its_values(void **state) {
  (void)state;
  const struct { const char *name; tl_field_type source; tl_field_type result; } cases[] = {
    {"identity", TL_FIELD_STRING, TL_FIELD_STRING},   {"identity", TL_FIELD_TIMESTAMP, TL_FIELD_TIMESTAMP},
    {"year", TL_FIELD_TIMESTAMP, TL_FIELD_I32},       {"month", TL_FIELD_DATE, TL_FIELD_I32},
    {"day", TL_FIELD_TIMESTAMP_NTZ, TL_FIELD_DATE},   {"bucket[16]", TL_FIELD_STRING, TL_FIELD_I32},
    {"month", TL_FIELD_STRING, TL_FIELD_OTHER},       {"bucket[16]", TL_FIELD_F64, TL_FIELD_OTHER},
    {"bucket[16]", TL_FIELD_DECIMAL, TL_FIELD_OTHER}, {"bucket[0]", TL_FIELD_STRING, TL_FIELD_OTHER},
    {"identity", TL_FIELD_LIST, TL_FIELD_OTHER},      {"identity", TL_FIELD_BINARY, TL_FIELD_OTHER},
    {"truncate[4]", TL_FIELD_STRING, TL_FIELD_OTHER}, {"hour", TL_FIELD_TIMESTAMP, TL_FIELD_OTHER},
    {"void", TL_FIELD_STRING, TL_FIELD_OTHER},        {"bucket[x]", TL_FIELD_STRING, TL_FIELD_OTHER},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_partition_field field = {0};
    const tl_field source = {.type = cases[i].source, .precision = 9, .scale = 2};
    char name[32];
    bool known = tl_iceberg_transform_parse(tl_text_from(cases[i].name), &field);
    assert_int_equal(tl_iceberg_result(&field, &source).type, cases[i].result);
    if (known) assert_string_equal(tl_iceberg_transform_name(&field, name), cases[i].name);
  }
  assert_int_equal(tl_iceberg_result(&(tl_partition_field){.transform = TL_TRANSFORM_DAY}, NULL).type, TL_FIELD_OTHER);
}

static void a_schema_is_read_with_every_type(void **state) {
  (void)state;
  static const char text[] =
    "{\"type\":\"struct\",\"fields\":["
    "{\"id\":1,\"name\":\"s\",\"required\":true,\"type\":\"string\"},"
    "{\"id\":2,\"name\":\"d\",\"required\":false,\"type\":\"decimal(9, 2)\"},"
    "{\"id\":3,\"name\":\"l\",\"required\":false,\"type\":{\"type\":\"list\",\"element-id\":4,\"element\":\"double\",\"element-required\":false}},"
    "{\"id\":5,\"name\":\"m\",\"required\":false,\"type\":{\"type\":\"map\",\"key-id\":6,\"key\":\"string\",\"value-id\":7,\"value\":"
    "{\"type\":\"struct\",\"fields\":[{\"id\":8,\"name\":\"a b\",\"required\":false,\"type\":\"int\"}]},\"value-required\":false}},"
    "{\"id\":9,\"name\":\"f\",\"required\":false,\"type\":\"fixed[16]\"},"
    "{\"id\":10,\"name\":\"v\",\"required\":false,\"type\":\"variant\"},"
    "{\"id\":11,\"name\":\"t\",\"required\":false,\"type\":\"timestamptz\"},"
    "{\"id\":12,\"name\":\"u\",\"required\":false,\"type\":\"uuid\"}]}";
  tl_json *json = NULL;
  tl_fields fields;
  assert_int_equal(tl_json_open(text, sizeof text - 1, 0, &json, NULL), TL_OK);
  assert_int_equal(tl_iceberg_fields_parse(tl_json_root(json), &fields, NULL), TL_OK);
  assert_int_equal(fields.count, 8);
  assert_int_equal(fields.last_id, 12);
  const char *expected[] = {"VARCHAR", "DECIMAL(9,2)", "DOUBLE[]", "MAP(VARCHAR, STRUCT(\"a b\" INTEGER))", "BLOB", NULL, "TIMESTAMPTZ", "UUID"};
  for (size_t i = 0; i < fields.count; i++) {
    tl_buf sql = {0};
    tl_status st = tl_field_sql_type(&fields.items[i], &sql, NULL);
    assert_int_equal(st, expected[i] ? TL_OK : TL_EUSAGE);
    if (expected[i]) assert_string_equal(sql.data, expected[i]);
    tl_buf_deinit(&sql);
  }
  assert_false(fields.items[0].nullable);
  assert_int_equal(fields.items[2].element_id, 4);
  tl_fields_deinit(&fields);
  tl_json_close(json);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(bounds_are_the_bytes_of_appendix_d),
    cmocka_unit_test(zeros_and_nans_make_sound_bounds),
    cmocka_unit_test(long_texts_are_cut_and_raised),
    cmocka_unit_test(bytes_of_another_type_are_no_bound),
    cmocka_unit_test(values_of_partitions_are_texts_and_back),
    cmocka_unit_test(a_transform_has_the_type_of_its_values),
    cmocka_unit_test(a_schema_is_read_with_every_type),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
