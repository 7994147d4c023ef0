/* avro_test.c - Avro container files. The truth: bytes worked out by hand from the specification, and files by fastavro. */
#include "foreign_avro.h"
#include "iceberg_table.h"
#include "table/iceberg/avro.h"

static const char sync_marker[16] = {'s', 's', 's', 's', 's', 's', 's', 's', 's', 's', 's', 's', 's', 's', 's', 's'};
static const char schema_json[] =
  "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"n\",\"type\":\"long\",\"field-id\":7},{\"name\":\"s\",\"type\":[\"null\",\"string\"]}]}";

/* Magic, metadata map of one block, marker; then a block of two objects. 3 -> 06, -64 -> 7f, "hi" -> 02 04 68 69. */
static void bytes_are_those_of_the_specification(void **state) {
  (void)state;
  tl_buf out = {0}, expected = {0};
  tl_avro_writer w;
  const tl_avro_pair meta[] = {{"k", "v"}};
  tl_avro_begin(&w, &out, schema_json, meta, 1, sync_marker, false, NULL);
  tl_avro_put_long(&w, 3);
  tl_avro_put_long(&w, 1);
  tl_avro_put_bytes(&w, "hi", 2);
  tl_avro_put_end(&w);
  tl_avro_put_long(&w, -64);
  tl_avro_put_long(&w, 0);
  tl_avro_put_end(&w);
  assert_int_equal(tl_avro_finish(&w), TL_OK);
  const size_t len = sizeof schema_json - 1; /* 64..8191: two bytes of varint */
  const char varint[2] = {(char)(((len << 1) & 0x7f) | 0x80), (char)((len << 1) >> 7)};
  tl_buf_append(&expected, "Obj\x01\x06\x14" "avro.codec\x08null\x16" "avro.schema", 34 - 1, NULL);
  tl_buf_append(&expected, varint, 2, NULL);
  tl_buf_append(&expected, schema_json, len, NULL);
  tl_buf_append(&expected, "\x02k\x02v\x00", 5, NULL);
  tl_buf_append(&expected, sync_marker, 16, NULL);
  tl_buf_append(&expected, "\x04\x0e\x06\x02\x04hi\x7f\x00", 9, NULL);
  tl_buf_append(&expected, sync_marker, 16, NULL);
  assert_int_equal(out.len, expected.len);
  assert_memory_equal(out.data, expected.data, expected.len);
  tl_buf_deinit(&out);
  tl_buf_deinit(&expected);
}

static void numbers_of_every_size_come_back(void **state) {
  (void)state;
  static const int64_t numbers[] = {0, -1, 1, 63, 64, -65, 8191, 8192, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
  for (int deflate = 0; deflate < 2; deflate++) {
    tl_buf out = {0};
    tl_avro_writer w;
    tl_avro_begin(&w, &out, "\"long\"", NULL, 0, sync_marker, deflate, NULL);
    for (size_t k = 0; k < 30000; k++) { /* over several blocks */
      tl_avro_put_long(&w, numbers[k % COUNT(numbers)]);
      tl_avro_put_end(&w);
    }
    assert_int_equal(tl_avro_finish(&w), TL_OK);
    tl_avro_file *file = NULL;
    tl_avro_cursor *c = NULL;
    assert_int_equal(tl_avro_open("f", out.data, out.len, &file, NULL), TL_OK);
    size_t k = 0;
    for (; tl_avro_next(file, &c, NULL) == TL_OK && c; k++) {
      int64_t value = 5;
      assert_true(tl_avro_take_i64(c, tl_avro_root(file), &value));
      assert_true(value == numbers[k % COUNT(numbers)]);
    }
    assert_int_equal(k, 30000);
    tl_avro_close(file);
    tl_buf_deinit(&out);
  }
}

/* Reads and skips everything; the status at the end. */
static tl_status walk(const void *data, size_t len, tl_error *err) {
  tl_avro_file *file = NULL;
  tl_avro_cursor *c = NULL;
  tl_status st = tl_avro_open("f.avro", data, len, &file, err);
  while (!st && !(st = tl_avro_next(file, &c, err)) && c) tl_avro_skip(c, tl_avro_root(file));
  tl_avro_close(file);
  return st;
}

static void a_file_cut_or_changed_anywhere_is_refused_or_read(void **state) {
  (void)state;
  assert_int_equal(walk(foreign_manifest, sizeof foreign_manifest, NULL), TL_OK);
  assert_int_equal(walk(foreign_list, sizeof foreign_list, NULL), TL_OK);
  for (size_t cut = 1; cut < sizeof foreign_list; cut++) {
    tl_error err = {0};
    tl_status st = walk(foreign_list, sizeof foreign_list - cut, &err);
    bool header_only = cut >= 1 && st == TL_OK; /* cut exactly at the header's end: a file of no objects */
    assert_true(header_only || (st == TL_ECORRUPT && strstr(err.message, "f.avro")));
  }
  unsigned char changed[sizeof foreign_manifest];
  for (size_t i = 0; i < sizeof changed; i++) {
    tl_error err = {0};
    memcpy(changed, foreign_manifest, sizeof changed);
    changed[i] ^= 0x41;
    tl_status st = walk(changed, sizeof changed, &err);
    assert_true(st == TL_OK || err.message[0]);
    assert_true(st == TL_OK || st == TL_ECORRUPT || st == TL_EUSAGE || st == TL_ELIMIT);
  }
}

static tl_status walk_schema(const char *schema, const void *objects, size_t len, int64_t count, tl_error *err) {
  tl_buf out = {0};
  tl_avro_writer w;
  tl_avro_begin(&w, &out, schema, NULL, 0, sync_marker, false, NULL);
  tl_avro_put_fixed(&w, objects, len);
  w.objects = count;
  tl_avro_finish(&w);
  tl_status st = walk(out.data, out.len, err);
  tl_buf_deinit(&out);
  return st;
}

static void schemas_that_do_harm_are_refused(void **state) {
  (void)state;
  tl_error err = {0};
  /* a record that holds itself, without an end */
  assert_int_equal(walk_schema("{\"type\":\"record\",\"name\":\"a\",\"fields\":[{\"name\":\"x\",\"type\":\"a\"}]}", "abc", 3, 1, &err), TL_ECORRUPT);
  /* two to the power of forty nulls in no byte */
  tl_buf schema = {0};
  tl_buf_appends(&schema, "{\"type\":\"record\",\"name\":\"r0\",\"fields\":[", NULL);
  for (int i = 1; i < 20; i++) tl_buf_appendf(&schema, NULL, "{\"name\":\"f%d\",\"type\":{\"type\":\"record\",\"name\":\"r%d\",\"fields\":[", i, i);
  tl_buf_appends(&schema, "{\"name\":\"n\",\"type\":\"null\"}", NULL);
  for (int i = 19; i > 0; i--) tl_buf_appendf(&schema, NULL, "]}},{\"name\":\"g%d\",\"type\":\"r%d\"}", i, i);
  tl_buf_appends(&schema, "]}", NULL);
  assert_int_equal(walk_schema(schema.data, "x", 1, 1, &err), TL_ECORRUPT);
  tl_buf_deinit(&schema);
  assert_int_equal(walk_schema("{\"type\":\"array\",\"items\":\"null\"}", "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", 11, 1, &err), TL_ECORRUPT);
  assert_int_equal(walk_schema("\"nothing\"", "x", 1, 1, &err), TL_ECORRUPT);
  assert_int_equal(walk_schema("{\"type\":\"record\",\"name\":\"a\"}", "x", 1, 1, &err), TL_ECORRUPT);
  assert_int_equal(walk_schema("[\"null\",[\"null\"]]", "\x00", 1, 1, &err), TL_ECORRUPT);
  assert_int_equal(walk_schema("[\"null\",\"long\"]", "\x04", 1, 1, &err), TL_ECORRUPT);
  assert_int_equal(walk_schema("\"string\"", "\x7f", 1, 1, &err), TL_ECORRUPT);
  assert_int_equal(walk_schema("\"long\"", "\x00\x00", 2, 1, &err), TL_ECORRUPT);
  assert_int_equal(walk_schema("\"long\"", "\x00", 1, 2, &err), TL_ECORRUPT);
  assert_int_equal(walk_schema("\"long\"", "\x00\x00", 2, 2, &err), TL_OK);
}

static void another_codec_is_named(void **state) {
  (void)state;
  tl_error err = {0};
  static const char snappy[] = "Obj\x01\x04\x16" "avro.schema\x0c\"long\"\x14" "avro.codec\x0csnappy\x00ssssssssssssssss";
  assert_int_equal(walk(snappy, sizeof snappy - 1, &err), TL_EUSAGE);
  assert_string_equal(err.message, "'f.avro' is compressed by 'snappy': only null and deflate are read");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(bytes_are_those_of_the_specification),
    cmocka_unit_test(numbers_of_every_size_come_back),
    cmocka_unit_test(a_file_cut_or_changed_anywhere_is_refused_or_read),
    cmocka_unit_test(schemas_that_do_harm_are_refused),
    cmocka_unit_test(another_codec_is_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
