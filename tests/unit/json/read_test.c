/* read_test.c - JSON documents. The truth: tables by hand. */
#include "json/read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/prng.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static tl_json *open_text(const char *text) {
  tl_json *json = NULL;
  tl_error err = {0};
  if (tl_json_open(text, strlen(text), 0, &json, &err)) fail_msg("%s", err.message);
  return json;
}

/* The value again as text: strings as <...>, numbers as they came. */
static void tell(const tl_json_value *value, tl_buf *out) {
  tl_text text = {0};
  bool flag = false;
  const tl_json_value *item = NULL;
  tl_json_iter iter = tl_json_iter_of(value);
  switch (tl_json_type_of(value)) {
  case TL_JSON_NONE: tl_buf_appends(out, "none", NULL); break;
  case TL_JSON_NULL: tl_buf_appends(out, "null", NULL); break;
  case TL_JSON_BOOL:
    assert_true(tl_json_bool(value, &flag));
    tl_buf_appends(out, flag ? "true" : "false", NULL);
    break;
  case TL_JSON_NUMBER:
    assert_true(tl_json_number(value, &text));
    tl_buf_append(out, text.data, text.len, NULL);
    break;
  case TL_JSON_STRING:
    assert_true(tl_json_string(value, &text));
    tl_buf_appendf(out, NULL, "<%.*s>", (int)text.len, text.data);
    break;
  case TL_JSON_ARRAY:
    tl_buf_appends(out, "[", NULL);
    while (tl_json_iter_next(&iter, &text, &item)) {
      assert_int_equal(text.len, 0);
      tell(item, out);
      tl_buf_appends(out, " ", NULL);
    }
    tl_buf_appends(out, "]", NULL);
    break;
  case TL_JSON_OBJECT:
    tl_buf_appends(out, "{", NULL);
    while (tl_json_iter_next(&iter, &text, &item)) {
      tl_buf_appendf(out, NULL, "%.*s=", (int)text.len, text.data);
      tell(item, out);
      tl_buf_appends(out, " ", NULL);
    }
    tl_buf_appends(out, "}", NULL);
    break;
  }
}

static void values_come_in_order_with_their_numbers_as_text(void **state) {
  (void)state;
  static const struct {
    const char *text, *told;
  } cases[] = {
    {"null", "null"}, {" true ", "true"}, {"[]", "[]"}, {"{}", "{}"}, {"\"a\\u00e9\\n\"", "<a\xC3\xA9\n>"},
    {"[1,1.0,1.23e+07,-0,9223372036854775808,0.10]", "[1 1.0 1.23e+07 -0 9223372036854775808 0.10 ]"},
    {"{\"a\":[{\"b\":null},{}],\"next_page_token\":null}", "{a=[{b=null } {} ] next_page_token=null }"},
    {"{\"b\":[[],[1,[2]],3],\"a\":{\"x\":{\"y\":false}}}", "{b=[[] [1 [2 ] ] 3 ] a={x={y=false } } }"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_json *json = open_text(cases[i].text);
    tl_buf told = {0};
    tell(tl_json_root(json), &told);
    assert_string_equal(told.data, cases[i].told);
    tl_buf_deinit(&told);
    tl_json_close(json);
  }
}

static void look_ups_chain_over_what_is_not_there(void **state) {
  (void)state;
  tl_json *json = open_text("{\"a\":{\"b\":\"x\",\"b\":\"y\"},\"n\":5,\"z\":null,\"t\":true,\"list\":[1,2,3]}");
  const tl_json_value *root = tl_json_root(json);
  tl_text text = {0};
  bool flag = false;
  assert_true(tl_json_string(tl_json_get(tl_json_get(root, "a"), "b"), &text) && tl_text_is(text, "x")); /* the first counts */
  assert_int_equal(tl_json_type_of(tl_json_get(tl_json_get(root, "none"), "b")), TL_JSON_NONE);
  assert_null(tl_json_get(tl_json_get(root, "n"), "b"));
  assert_null(tl_json_get(tl_json_get(root, "list"), "b"));
  assert_int_equal(tl_json_type_of(tl_json_get(root, "z")), TL_JSON_NULL);
  assert_false(tl_json_string(tl_json_get(root, "n"), &text) || tl_json_number(tl_json_get(root, "t"), &text));
  assert_false(tl_json_number(tl_json_get(root, "a"), &text) || tl_json_string(NULL, &text) || tl_json_number(NULL, &text));
  assert_false(tl_json_bool(tl_json_get(root, "n"), &flag) || tl_json_bool(NULL, &flag));
  assert_true(tl_json_bool(tl_json_get(root, "t"), &flag) && flag);
  assert_int_equal(tl_json_count(tl_json_get(root, "list")), 3);
  assert_int_equal(tl_json_count(tl_json_get(root, "a")), 2);
  assert_int_equal(tl_json_count(tl_json_get(root, "n")), 0);
  assert_int_equal(tl_json_count(NULL), 0);
  tl_json_iter iter = tl_json_iter_of(tl_json_get(root, "n"));
  const tl_json_value *item = NULL;
  assert_false(tl_json_iter_next(&iter, NULL, &item));
  tl_json_close(json);
  tl_json_close(NULL);
}

static void what_is_not_json_is_refused_with_its_position(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int byte; /* at which the message points; -1: wherever */
  } cases[] = {
    {"", 0}, {"{\"a\":1,}", -1}, {"[1,]", -1}, {"{\"a\" 1}", 5}, {"{'a':1}", 1}, {"[1 2]", 3}, {"nul", -1}, {"[NaN]", 1}, {"[Infinity]", 1},
    {"[+1]", 1}, {"[01]", -1}, {"[.5]", 1}, {"[1.]", -1}, {"[1e]", -1}, {"[-]", -1}, {"{\"a\":1", -1}, {"\"abc", -1}, {"[1]x", 3}, {"// c\n1", 0},
    {"\"\xFF\"", -1}, {"\"\xED\xA0\x80\"", -1}, {"\"\\ud800\"", -1}, {"\"a\nb\"", -1}, {"\"\\x\"", -1}, {"\xEF\xBB\xBF{}", -1},
    {"<html><head><title>401 Authorization Required</title>", 0}, {"]", 0}, {"}", 0}, {"[}", 1},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_json *json = NULL;
    tl_error err = {0};
    size_t len = strlen(cases[i].text);
    char expected[24], *exact = test_malloc(len ? len : 1);
    memcpy(exact, cases[i].text, len);
    if (tl_json_open(exact, len, 0, &json, &err) != TL_EDECODE) fail_msg("'%s' was taken", cases[i].text);
    snprintf(expected, sizeof expected, "at byte %d", cases[i].byte);
    if (!strstr(err.message, cases[i].byte < 0 ? "at byte " : expected)) fail_msg("'%s': %s", cases[i].text, err.message);
    assert_null(json);
    test_free(exact);
  }
}

static void depth_and_size_have_limits(void **state) {
  (void)state;
  enum { DEEP = 100000 };
  static const char *const opens[] = {"[", "{\"a\":"};
  tl_error err = {0};
  tl_json *json = NULL;
  for (size_t i = 0; i < COUNT(opens); i++) {
    tl_buf text = {0};
    for (int depth = 0; depth < DEEP; depth++) tl_buf_appends(&text, opens[i], NULL);
    assert_int_equal(tl_json_open(text.data, text.len, 0, &json, &err), TL_ELIMIT);
    char expected[32];
    snprintf(expected, sizeof expected, "at byte %zu", TL_JSON_DEPTH_MAX * strlen(opens[i]));
    assert_non_null(strstr(err.message, expected));
    tl_buf_deinit(&text);
  }
  char nested[2 * TL_JSON_DEPTH_MAX + 3];
  for (size_t depth = TL_JSON_DEPTH_MAX; depth <= TL_JSON_DEPTH_MAX + 1; depth++) {
    memset(nested, '[', depth);
    memset(nested + depth, ']', depth);
    assert_int_equal(tl_json_open(nested, 2 * depth, 0, &json, &err), depth > TL_JSON_DEPTH_MAX ? TL_ELIMIT : TL_OK);
    if (depth <= TL_JSON_DEPTH_MAX) tl_json_close(json);
  }
  /* brackets inside strings, also behind escaped quotes, do not count */
  json = open_text("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[\\\\\"]");
  tl_json_close(json);
  assert_int_equal(tl_json_open("[1234]", 6, 5, &json, &err), TL_ELIMIT);
  assert_int_equal(tl_json_open("[1234]", 6, 6, &json, &err), TL_OK);
  tl_json_close(json);
}

static void a_million_keys_are_only_keys(void **state) {
  (void)state;
  tl_buf text = {0};
  tl_buf_appends(&text, "{", NULL);
  for (int i = 0; i < 1000000; i++) tl_buf_appendf(&text, NULL, "%s\"k%d\":1", i ? "," : "", i % 1000);
  tl_buf_appends(&text, "}", NULL);
  tl_json *json = NULL;
  assert_int_equal(tl_json_open(text.data, text.len, 0, &json, NULL), TL_OK);
  assert_int_equal(tl_json_count(tl_json_root(json)), 1000000);
  tl_json_close(json);
  tl_buf_deinit(&text);
}

static void changed_bytes_are_refused_or_read(void **state) {
  (void)state;
  static const char good[] = "{\"bars\":{\"AAPL\":[{\"t\":\"2024-11-04T14:30:00Z\",\"o\":1.5,\"v\":100,\"c\":[\" \",\"@\"]}]},\"next_page_token\":null}";
  tl_prng prng = tl_prng_init(16);
  for (int k = 0; k < 50000; k++) {
    size_t len = sizeof good - 1 - (tl_prng_below(&prng, 4) == 0 ? tl_prng_below(&prng, sizeof good - 1) : 0);
    char *exact = test_malloc(len);
    memcpy(exact, good, len);
    for (uint64_t flips = 1 + tl_prng_below(&prng, 3); flips > 0; flips--) exact[tl_prng_below(&prng, len)] = (char)tl_prng_next(&prng);
    tl_json *json = NULL;
    tl_error err = {0};
    tl_buf told = {0};
    tl_status st = tl_json_open(exact, len, 0, &json, &err);
    if (!st) tell(tl_json_root(json), &told);
    assert_true(st == TL_OK ? told.len > 0 : err.message[0] != 0);
    tl_buf_deinit(&told);
    tl_json_close(json);
    test_free(exact);
  }
}

#ifdef TL_FAULTS
static void every_failed_allocation_is_an_error_without_a_leak(void **state) {
  (void)state;
  for (long n = 1;; n++) {
    static const char text[] = "{\"a\":[1,2,3],\"b\":\"x\"}";
    tl_json *json = NULL;
    tl_error err = {0};
    int64_t live = tl_alloc_live();
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 12);
    tl_status st = tl_json_open(text, sizeof text - 1, 0, &json, &err);
    bool fired = tl_fault_disarm();
    assert_int_equal(st, fired ? TL_ENOMEM : TL_OK);
    tl_json_close(json);
    assert_int_equal(tl_alloc_live(), live);
    if (!fired) break;
  }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(values_come_in_order_with_their_numbers_as_text),
    cmocka_unit_test(look_ups_chain_over_what_is_not_there),
    cmocka_unit_test(what_is_not_json_is_refused_with_its_position),
    cmocka_unit_test(depth_and_size_have_limits),
    cmocka_unit_test(a_million_keys_are_only_keys),
    cmocka_unit_test(changed_bytes_are_refused_or_read),
#ifdef TL_FAULTS
    cmocka_unit_test(every_failed_allocation_is_an_error_without_a_leak),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
