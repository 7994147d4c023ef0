/* write_test.c - JSON text. The truth: text by hand, and for doubles the C library's strtod. */
#include "json/write.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/prng.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static tl_status write_all(tl_buf *buf, tl_error *err) {
  tl_json_writer w = tl_json_writer_of(buf, err);
  tl_json_put_object(&w, NULL);
  tl_json_put_array(&w, "successful");
  tl_json_put_string(&w, NULL, "AAPL");
  tl_json_put_string(&w, NULL, "a\"b\\c\n\x01\xC3\xA9\xFF");
  tl_json_put_close(&w);
  tl_json_put_array(&w, "failed");
  tl_json_put_object(&w, NULL);
  tl_json_put_string(&w, "symbol", "X");
  tl_json_put_string(&w, "reason", NULL);
  tl_json_put_close(&w);
  tl_json_put_object(&w, NULL);
  tl_json_put_close(&w);
  tl_json_put_close(&w);
  tl_json_put_array(&w, "k\"ey");
  tl_json_put_close(&w);
  tl_json_put_i64(&w, "min", INT64_MIN);
  tl_json_put_i64(&w, "rows", 12);
  tl_json_put_f64(&w, "seconds", 0.1);
  tl_json_put_f64(&w, "nan", (double)NAN);
  tl_json_put_bool(&w, "yes", true);
  tl_json_put_bool(&w, "no", false);
  tl_json_put_null(&w, "nothing");
  tl_json_put_bytes(&w, "bytes", "a\0b", 3);
  tl_json_put_close(&w);
  return tl_json_writer_end(&w);
}

static void a_document_is_written_as_put(void **state) {
  (void)state;
  tl_buf buf = {0};
  assert_int_equal(write_all(&buf, NULL), TL_OK);
  assert_string_equal(buf.data,
                      "{\"successful\":[\"AAPL\",\"a\\\"b\\\\c\\u000a\\u0001\xC3\xA9\xEF\xBF\xBD\"],"
                      "\"failed\":[{\"symbol\":\"X\",\"reason\":null},{}],\"k\\\"ey\":[],\"min\":-9223372036854775808,\"rows\":12,"
                      "\"seconds\":0.1,\"nan\":null,\"yes\":true,\"no\":false,\"nothing\":null,\"bytes\":\"a\\u0000b\"}");
  tl_buf_deinit(&buf);
}

static void a_single_value_is_a_document(void **state) {
  (void)state;
  tl_buf buf = {0};
  tl_json_writer w = tl_json_writer_of(&buf, NULL);
  tl_json_put_i64(&w, NULL, -1);
  assert_int_equal(tl_json_writer_end(&w), TL_OK);
  assert_string_equal(buf.data, "-1");
  tl_buf_deinit(&buf);
}

static void sixty_levels_close_as_they_were_opened(void **state) {
  (void)state;
  tl_buf buf = {0};
  tl_json_writer w = tl_json_writer_of(&buf, NULL);
  char expected[400] = "", tail[200] = "";
  size_t used = 0;
  tl_json_put_object(&w, NULL);
  used += (size_t)snprintf(expected, sizeof expected, "{");
  for (int i = 0; i < 30; i++) {
    tl_json_put_array(&w, "a");
    tl_json_put_object(&w, NULL);
    used += (size_t)snprintf(expected + used, sizeof expected - used, "\"a\":[{");
    memcpy(tail + 2 * i, "}]", 3);
  }
  for (int i = 0; i < 61; i++) tl_json_put_close(&w);
  assert_int_equal(tl_json_writer_end(&w), TL_OK);
  snprintf(expected + used, sizeof expected - used, "%s}", tail);
  assert_string_equal(buf.data, expected);
  tl_buf_deinit(&buf);
}

static void doubles_have_the_fewest_digits_that_read_back(void **state) {
  (void)state;
  static const struct {
    double value;
    const char *text;
  } cases[] = {
    {0.1, "0.1"}, {187.25, "187.25"}, {-0.01, "-0.01"}, {1.0 / 3, "0.3333333333333333"}, {0.1 + 0.2, "0.30000000000000004"},
  };
  char text[TL_F64_TEXT_MAX];
  for (size_t i = 0; i < COUNT(cases); i++) {
    assert_int_equal(tl_f64_format(cases[i].value, text), strlen(cases[i].text));
    assert_string_equal(text, cases[i].text);
  }
  assert_int_equal(tl_f64_format((double)NAN, text), 0);
  assert_int_equal(tl_f64_format((double)INFINITY, text), 0);
  assert_int_equal(tl_f64_format(-(double)INFINITY, text), 0);
  tl_prng prng = tl_prng_init(4);
  for (int i = 0; i < 200000; i++) {
    uint64_t bits = tl_prng_next(&prng);
    double value, again;
    memcpy(&value, &bits, sizeof value);
    if (i % 2) value = (double)tl_prng_below(&prng, 10000000) / 10000; /* as prices are */
    if (!isfinite(value)) continue;
    size_t len = tl_f64_format(value, text), digits = 0;
    again = strtod(text, NULL);
    assert_memory_equal(&value, &again, sizeof value);
    assert_int_equal(len, strlen(text));
    bool leading = true;
    for (const char *p = text; *p && *p != 'e'; p++) {
      leading = leading && (*p == '0' || *p == '.' || *p == '-');
      digits += !leading && *p >= '0' && *p <= '9';
    }
    if (digits > 1 && (len < 2 || strcmp(text + len - 2, ".0") != 0)) { /* one digit fewer is another number */
      char fewer[64];
      snprintf(fewer, sizeof fewer, "%.*e", (int)digits - 2, value);
      assert_true(strtod(fewer, NULL) != value);
    }
  }
}

#ifdef TL_FAULTS
static void a_failed_allocation_sticks_and_is_returned(void **state) {
  (void)state;
  for (long n = 1;; n++) {
    tl_buf buf = {0};
    tl_error err = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 12);
    tl_status st = write_all(&buf, &err);
    bool fired = tl_fault_disarm();
    assert_int_equal(st, fired ? TL_ENOMEM : TL_OK);
    tl_buf_deinit(&buf);
    assert_int_equal(tl_alloc_live(), 0);
    if (!fired) break;
  }
}
#endif

static void a_value_that_was_read_is_written_as_it_was(void **state) {
  (void)state;
  const char *text = "{\"a\":[1,1.50e+3,-0,[],{}],\"b\\u0000c\":\"\\u00e9\\n\",\"n\":null,\"t\":true,\"f\":false}";
  const char *expected = "{\"kept\":{\"a\":[1,1.50e+3,-0,[],{}],\"b\\u0000c\":\"\xC3\xA9\\u000a\",\"n\":null,\"t\":true,\"f\":false},\"after\":1}";
  tl_json *json = NULL;
  tl_buf buf = {0};
  assert_int_equal(tl_json_open(text, strlen(text), 0, &json, NULL), TL_OK);
  tl_json_writer w = tl_json_writer_of(&buf, NULL);
  tl_json_put_object(&w, NULL);
  tl_json_put_value(&w, "kept", tl_json_root(json));
  tl_json_put_i64(&w, "after", 1);
  tl_json_put_close(&w);
  assert_int_equal(tl_json_writer_end(&w), TL_OK);
  assert_string_equal(buf.data, expected);
  tl_json_close(json);
  tl_buf_deinit(&buf);
}

static void a_value_too_deep_to_write_is_refused(void **state) {
  (void)state;
  char text[129] = {0};
  memset(text, '[', 64);
  memset(text + 64, ']', 64);
  tl_json *json = NULL;
  tl_buf buf = {0};
  tl_error err = {0};
  assert_int_equal(tl_json_open(text, 128, 0, &json, NULL), TL_OK);
  tl_json_writer w = tl_json_writer_of(&buf, &err);
  tl_json_put_array(&w, NULL);
  tl_json_put_value(&w, NULL, tl_json_root(json));
  tl_json_put_close(&w);
  assert_int_equal(tl_json_writer_end(&w), TL_ELIMIT);
  assert_string_equal(err.message, "cannot write JSON that nests deeper than 63 levels");
  tl_json_close(json);
  tl_buf_deinit(&buf);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_value_that_was_read_is_written_as_it_was),
    cmocka_unit_test(a_value_too_deep_to_write_is_refused),
    cmocka_unit_test(a_document_is_written_as_put),
    cmocka_unit_test(a_single_value_is_a_document),
    cmocka_unit_test(sixty_levels_close_as_they_were_opened),
    cmocka_unit_test(doubles_have_the_fewest_digits_that_read_back),
#ifdef TL_FAULTS
    cmocka_unit_test(a_failed_allocation_sticks_and_is_returned),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
