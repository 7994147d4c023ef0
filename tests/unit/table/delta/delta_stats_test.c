/* delta_stats_test.c - statistics as Delta's JSON. The truth: texts worked out by hand from the format's rules, and bounds
 * compared with the values they stand for. */
#include <math.h>

#include "base/prng.h"
#include "tests/unit/table/delta/table.h"

static char name_of[] = "x";

static char *write_one(tl_field field, tl_column_bounds bounds, int64_t rows) {
  field.name = name_of;
  tl_fields fields = {&field, 1, 1};
  tl_data_file file = {.rows = rows, .stats = {&bounds, 1}};
  tl_buf out = {0};
  tl_error err;
  assert_int_equal(tl_delta_stats_write(&file, &fields, &(tl_partitioning){0}, &(tl_delta_metadata){0}, &out, &err), TL_OK);
  return tl_buf_take(&out);
}

static void check(tl_field field, tl_column_bounds bounds, const char *min, const char *max) {
  char expected[900];
  int used = snprintf(expected, sizeof expected, "{\"numRecords\":3,\"minValues\":{");
  if (min) used += snprintf(expected + used, sizeof expected - (size_t)used, "\"x\":%s", min);
  used += snprintf(expected + used, sizeof expected - (size_t)used, "},\"maxValues\":{");
  if (max) used += snprintf(expected + used, sizeof expected - (size_t)used, "\"x\":%s", max);
  snprintf(expected + used, sizeof expected - (size_t)used, "},\"nullCount\":{\"x\":1}}");
  bounds.null_count = 1;
  char *text = write_one(field, bounds, 3);
  assert_string_equal(text, expected);
  tl_free(text);
}

static tl_column_bounds of_i64(int64_t min, int64_t max) { return (tl_column_bounds){.has_min = true, .has_max = true, .min.i64 = min, .max.i64 = max}; }
static tl_column_bounds of_f64(double min, double max) { return (tl_column_bounds){.has_min = true, .has_max = true, .min.f64 = min, .max.f64 = max}; }
static tl_column_bounds of_text(const char *min, const char *max) {
  return (tl_column_bounds){.has_min = true, .has_max = true, .min = {.text = (char *)(uintptr_t)min, .len = strlen(min)}, .max = {.text = (char *)(uintptr_t)max, .len = strlen(max)}};
}

static void numbers_are_exact_and_zeros_are_both(void **state) {
  (void)state;
  tl_field i = {.type = TL_FIELD_I64}, f = {.type = TL_FIELD_F64}, f4 = {.type = TL_FIELD_F32}, d = {.type = TL_FIELD_DECIMAL, .precision = 18, .scale = 2};
  check(i, of_i64(INT64_MIN, INT64_MAX), "-9223372036854775808", "9223372036854775807");
  check(f, of_f64(-1.5, 0.1), "-1.5", "0.1");
  check(f, of_f64(0.0, 0.0), "-0.0", "0.0");
  check(f, of_f64(-0.0, -0.0), "-0.0", "0.0");
  check(f, of_f64((double)-INFINITY, (double)INFINITY), NULL, NULL);
  check(f, of_f64(1, (double)NAN), "1.0", NULL);
  check(f4, of_f64((double)0.1f, (double)0.1f), "0.10000000149011612", "0.10000000149011612"); /* the float, not 0.1 */
  check(d, of_i64(-5, 12345), "-0.05", "123.45");
  d.scale = 0;
  check(d, of_i64(-5, 0), "-5", "0");
  d.precision = 38;
  check(d, of_i64(-5, 0), NULL, NULL);
  tl_column_bounds nan = of_f64(1, 2);
  nan.nan_count = 1;
  check(f, nan, NULL, NULL);
  check((tl_field){.type = TL_FIELD_BOOL}, of_i64(0, 1), NULL, NULL);
  check((tl_field){.type = TL_FIELD_BINARY}, of_text("a", "b"), NULL, NULL);
}

static void instants_have_milliseconds_the_maximum_rounded_up(void **state) {
  (void)state;
  tl_field t = {.type = TL_FIELD_TIMESTAMP}, n = {.type = TL_FIELD_TIMESTAMP_NTZ}, d = {.type = TL_FIELD_DATE};
  int64_t us = INT64_C(1704067200123456); /* 2024-01-01T00:00:00.123456Z */
  check(t, of_i64(us, us), "\"2024-01-01T00:00:00.123Z\"", "\"2024-01-01T00:00:00.124Z\"");
  check(t, of_i64(us - 456, us - 456), "\"2024-01-01T00:00:00.123Z\"", "\"2024-01-01T00:00:00.123Z\"");
  check(n, of_i64(us, us), "\"2024-01-01T00:00:00.123\"", "\"2024-01-01T00:00:00.124\"");
  check(t, of_i64(-1, -1), "\"1969-12-31T23:59:59.999Z\"", "\"1970-01-01T00:00:00.000Z\"");
  check(t, of_i64(INT64_C(1704067199999001), INT64_C(1704067199999001)), "\"2023-12-31T23:59:59.999Z\"", "\"2024-01-01T00:00:00.000Z\"");
  check(t, of_i64(INT64_MIN, INT64_MAX), NULL, NULL);
  check(t, of_i64(INT64_C(-62135596800000000), INT64_C(253402300799999000)), "\"0001-01-01T00:00:00.000Z\"", "\"9999-12-31T23:59:59.999Z\"");
  check(t, of_i64(INT64_C(-62135596800000001), INT64_C(253402300799999001)), NULL, NULL);
  check(d, of_i64(0, 19723), "\"1970-01-01\"", "\"2024-01-01\"");
  check(d, of_i64(-719163, 2932897), NULL, NULL); /* years 0 and 10000 */
  check(d, of_i64(-719162, 2932896), "\"0001-01-01\"", "\"9999-12-31\"");
}

#define A31 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define E31 "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9" \
            "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9"
#define TOP "\xF4\x8F\xBF\xBF"

static void strings_are_cut_at_32_characters(void **state) {
  (void)state;
  tl_field s = {.type = TL_FIELD_STRING};
  static const struct { const char *value, *min, *max; } cases[] = {
    {"", "\"\"", "\"\""},
    {A31 "a", "\"" A31 "a\"", "\"" A31 "a\""},
    {A31 "ab", "\"" A31 "a\"", "\"" A31 "a\x7F\""},
    {A31 "a\x7E", "\"" A31 "a\"", "\"" A31 "a\x7F\""},
    {A31 "a\x7F", "\"" A31 "a\"", "\"" A31 "a" TOP "\""},
    {A31 "a\xC3\xA9", "\"" A31 "a\"", "\"" A31 "a" TOP "\""},
    {A31 "a" TOP, "\"" A31 "a\"", NULL},
    {E31 "ab", "\"" E31 "a\"", "\"" E31 "a\x7F\""}, /* characters, not bytes */
    {"a\xFF", NULL, NULL},
    {A31 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xFF", NULL, NULL},
  };
  for (size_t i = 0; i < COUNT(cases); i++) check(s, of_text(cases[i].value, cases[i].value), cases[i].min, cases[i].max);
  tl_column_bounds nul = of_text("a", "b");
  nul.min = (tl_datum){.text = (char *)(uintptr_t)"a\0b", .len = 3};
  check(s, nul, "\"a\\u0000b\"", "\"b\"");
}

static void cut_strings_still_bound_what_they_stand_for(void **state) {
  (void)state;
  tl_prng prng = tl_prng_init(11);
  tl_field s = {.name = name_of, .type = TL_FIELD_STRING};
  tl_fields fields = {&s, 1, 1};
  for (int i = 0; i < 3000; i++) {
    char text[400];
    size_t len = 0, characters = 28 + tl_prng_below(&prng, 10);
    static const char *const alphabet[] = {"a", "~", "\x7F", "\xC3\xA9", "\xEF\xBF\xBF", "\xF0\x9F\x98\x80", TOP, "\"", "\x01"};
    for (size_t c = 0; c < characters; c++) {
      const char *one = alphabet[tl_prng_below(&prng, COUNT(alphabet))];
      len += (size_t)snprintf(text + len, sizeof text - len, "%s", one);
    }
    char *json = write_one(s, of_text(text, text), 1);
    tl_file_stats back;
    tl_error err;
    assert_int_equal(tl_file_stats_init(&back, 1, &err), TL_OK);
    assert_int_equal(tl_delta_stats_read(json, &fields, &back, &err), TL_OK);
    const tl_column_bounds *b = &back.columns[0];
    assert_true(b->has_min && strcmp(b->min.text, text) <= 0);
    assert_true(!b->has_max || strcmp(b->max.text, text) >= 0);
    if (characters < 32) assert_true(b->exact && !strcmp(b->max.text, text));
    else assert_false(b->exact);
    tl_file_stats_deinit(&back);
    tl_free(json);
  }
}

static void what_is_written_reads_back_wide_enough(void **state) {
  (void)state;
  tl_prng prng = tl_prng_init(12);
  tl_field kinds[] = {{.type = TL_FIELD_TIMESTAMP}, {.type = TL_FIELD_DATE}, {.type = TL_FIELD_I32}, {.type = TL_FIELD_DECIMAL, .precision = 18, .scale = 6}};
  for (int i = 0; i < 4000; i++) {
    tl_field f = kinds[i % 4];
    f.name = name_of;
    tl_fields fields = {&f, 1, 1};
    int64_t range = f.type == TL_FIELD_TIMESTAMP ? INT64_C(200000000000000000) : f.type == TL_FIELD_DATE ? 1400000 : f.type == TL_FIELD_I32 ? INT32_MAX : INT64_C(999999999999999999);
    int64_t value = (int64_t)tl_prng_below(&prng, (uint64_t)range);
    if (f.type != TL_FIELD_DATE && i % 8 < 4) value = -value / 4;
    char *json = write_one(f, of_i64(value, value), 1);
    tl_file_stats back;
    tl_error err;
    assert_int_equal(tl_file_stats_init(&back, 1, &err), TL_OK);
    assert_int_equal(tl_delta_stats_read(json, &fields, &back, &err), TL_OK);
    const tl_column_bounds *b = &back.columns[0];
    assert_true(b->has_min && b->has_max && b->min.i64 <= value && b->max.i64 >= value);
    int64_t slack = f.type == TL_FIELD_TIMESTAMP ? 1999 : f.type == TL_FIELD_DECIMAL ? 1000 : 0;
    assert_true(b->min.i64 >= value - slack && b->max.i64 <= value + slack);
    assert_int_equal(b->value_count, 1);
    tl_file_stats_deinit(&back);
    tl_free(json);
  }
}

static tl_column_bounds read_one(tl_field field, const char *json) {
  static tl_file_stats back;
  tl_error err;
  field.name = name_of;
  tl_fields fields = {&field, 1, 1};
  tl_file_stats_deinit(&back);
  assert_int_equal(tl_file_stats_init(&back, 1, &err), TL_OK);
  assert_int_equal(tl_delta_stats_read(json, &fields, &back, &err), TL_OK);
  tl_column_bounds b = back.columns[0];
  if (field.type != TL_FIELD_STRING) return b;
  tl_file_stats_deinit(&back);
  return b;
}

/* delta-rs writes decimals as doubles: a value of 18 digits comes back as a neighbour. */
static void decimals_that_went_through_a_double_are_within_their_bounds(void **state) {
  (void)state;
  tl_prng prng = tl_prng_init(18);
  int moved = 0;
  for (int i = 0; i < 4000; i++) {
    tl_field d = {.type = TL_FIELD_DECIMAL, .precision = 18, .scale = i % 7};
    int64_t value = (int64_t)tl_prng_below(&prng, UINT64_C(999999999999999999)) / (i % 3 ? 1 : 1000);
    char number[TL_F64_TEXT_MAX], json[200];
    double power = 1;
    for (int k = 0; k < d.scale; k++) power *= 10;
    size_t len = tl_f64_format((double)value / power, number);
    snprintf(json, sizeof json, "{\"numRecords\":1,\"minValues\":{\"x\":%.*s},\"maxValues\":{\"x\":%.*s}}", (int)len, number, (int)len, number);
    tl_column_bounds b = read_one(d, json);
    assert_true(!b.has_min || b.min.i64 <= value);
    assert_true(!b.has_max || b.max.i64 >= value);
    assert_true((!b.has_min || b.min.i64 >= value - 4000) && (!b.has_max || b.max.i64 <= INT64_C(999999999999999999)));
    moved += b.has_min && b.has_max && !b.exact;
  }
  assert_true(moved > 1000);
  tl_field d = {.type = TL_FIELD_DECIMAL, .precision = 15, .scale = 2};
  tl_column_bounds b = read_one(d, "{\"numRecords\":1,\"minValues\":{\"x\":9999999999999.99},\"maxValues\":{\"x\":9999999999999.99}}");
  assert_true(b.exact && b.min.i64 == INT64_C(999999999999999) && b.max.i64 == b.min.i64);
}

static void others_statistics_are_understood_or_unknown(void **state) {
  (void)state;
#define MIN(v) "{\"numRecords\":4,\"minValues\":{\"x\":" v "},\"nullCount\":{\"x\":2}}"
#define MAX(v) "{\"numRecords\":4,\"maxValues\":{\"x\":" v "}}"
  tl_field t = {.type = TL_FIELD_TIMESTAMP}, d = {.type = TL_FIELD_DECIMAL, .precision = 10, .scale = 2}, f = {.type = TL_FIELD_F64}, i = {.type = TL_FIELD_I32};
  assert_int_equal(read_one(t, MIN("\"2024-01-01T00:00:00.123Z\"")).min.i64, INT64_C(1704067200123000));
  assert_int_equal(read_one(t, MAX("\"2024-01-01T00:00:00.123Z\"")).max.i64, INT64_C(1704067200123999)); /* Spark cuts */
  assert_int_equal(read_one(t, MAX("\"2024-01-01T00:00:00.123456Z\"")).max.i64, INT64_C(1704067200123456));
  assert_int_equal(read_one(t, MAX("\"2024-01-01T01:00:00.5+01:00\"")).max.i64, INT64_C(1704067201499999));
  assert_int_equal(read_one(t, MIN("\"2024-01-01 00:00:00\"")).min.i64, INT64_C(1704067200000000));
  assert_int_equal(read_one(d, MIN("1.5")).min.i64, 150);
  assert_int_equal(read_one(d, MIN("-1e2")).min.i64, -10000);
  assert_int_equal(read_one(d, MIN("\"2.25\"")).min.i64, 225);
  assert_false(read_one(d, MIN("1.005")).has_min);
  assert_true(read_one(f, MIN("3")).min.f64 == 3);
  tl_column_bounds b = read_one(i, MIN("7"));
  assert_int_equal(b.null_count, 2);
  assert_int_equal(b.value_count, 4);
  assert_true(b.has_min && !b.has_max);
  static const char *const nothing[] = {"", "{", "[]", "null", "{\"numRecords\":4,\"minValues\":{\"x\":NaN}}", MIN("null"), MIN("\"a\""), MIN("{}"), MIN("1.5"), MIN("99999999999999999999")};
  for (size_t n = 0; n < COUNT(nothing); n++) {
    b = read_one(i, nothing[n]);
    assert_false(b.has_min || b.has_max);
  }
  assert_int_equal(read_one(i, MIN("7") "trailing").null_count, -1);
}

static void rows_are_found_without_parsing(void **state) {
  (void)state;
  static const struct { const char *text; int64_t rows; } cases[] = {
    {"{\"numRecords\":12,\"minValues\":{}}", 12}, {"{\"minValues\":{\"numRecords\":9},\"numRecords\" : 12 }", 12},
    {"{\"minValues\":{\"numRecords\":9}}", -1}, {"{\"a\":\"numRecords\",\"numRecords\":3}", 3}, {"{\"a\":\"\\\"numRecords\\\":5\",\"numRecords\":3}", 3},
    {"{\"numRecords\":-3}", -1}, {"{\"numRecords\":1.5}", -1}, {"{\"numRecords\":\"3\"}", -1}, {"{\"numRecords\":", -1}, {"\"numRecords", -1}, {"", -1}, {NULL, -1},
    {"{\"x\":[1,{\"numRecords\":8}],\"numRecords\":9223372036854775807}", INT64_MAX}};
  for (size_t i = 0; i < COUNT(cases); i++)
    if (tl_delta_stats_rows(cases[i].text) != cases[i].rows) fail_msg("%s", cases[i].text);
}

static void which_columns_have_statistics(void **state) {
  (void)state;
  enum { MANY = 40 };
  tl_field items[MANY];
  tl_column_bounds bounds[MANY];
  char names[MANY][8];
  for (int i = 0; i < MANY; i++) {
    snprintf(names[i], sizeof names[i], "c%d", i);
    items[i] = (tl_field){.name = names[i], .type = TL_FIELD_I32};
    bounds[i] = of_i64(i, i);
    bounds[i].null_count = -1;
  }
  tl_fields fields = {items, MANY, MANY};
  tl_partition_field by = {.name = names[0]};
  static const struct { const char *key, *value; int first, last; } cases[] = {
    {"k", "v", 1, 32}, {"delta.dataSkippingNumIndexedCols", "3", 1, 3}, {"delta.dataSkippingNumIndexedCols", "-1", 1, 39},
    {"delta.dataSkippingNumIndexedCols", "0", 1, 0}, {"delta.dataSkippingStatsColumns", "c35, `c36`", 35, 36}};
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_pair pair = {(char *)(uintptr_t)cases[i].key, (char *)(uintptr_t)cases[i].value};
    tl_delta_metadata m = {.configuration = {&pair, 1}};
    tl_data_file file = {.rows = 1, .stats = {bounds, MANY}};
    tl_buf out = {0}, min = {0};
    tl_error err;
    assert_int_equal(tl_delta_stats_write(&file, &fields, &(tl_partitioning){&by, 1}, &m, &out, &err), TL_OK);
    tl_buf_appends(&min, "{\"numRecords\":1,\"minValues\":{", &err);
    for (int c = cases[i].first; c <= cases[i].last; c++) tl_buf_appendf(&min, &err, "%s\"c%d\":%d", c > cases[i].first ? "," : "", c, c);
    tl_buf_appends(&min, "},", &err);
    assert_true(!strncmp(out.data, min.data, min.len));
    tl_buf_deinit(&out);
    tl_buf_deinit(&min);
  }
  tl_buf none = {0};
  tl_data_file unknown = {.rows = -1, .stats = {bounds, MANY}};
  assert_int_equal(tl_delta_stats_write(&unknown, &fields, &(tl_partitioning){0}, &(tl_delta_metadata){0}, &none, NULL), TL_OK);
  assert_int_equal(none.len, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(numbers_are_exact_and_zeros_are_both),
    cmocka_unit_test(instants_have_milliseconds_the_maximum_rounded_up),
    cmocka_unit_test(strings_are_cut_at_32_characters),
    cmocka_unit_test(cut_strings_still_bound_what_they_stand_for),
    cmocka_unit_test(what_is_written_reads_back_wide_enough),
    cmocka_unit_test(decimals_that_went_through_a_double_are_within_their_bounds),
    cmocka_unit_test(others_statistics_are_understood_or_unknown),
    cmocka_unit_test(rows_are_found_without_parsing),
    cmocka_unit_test(which_columns_have_statistics),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
