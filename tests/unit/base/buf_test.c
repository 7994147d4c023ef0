/* Growing bytes, borrowed texts, JSON strings, errors and suggestions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fault.h"
#include "base/suggest.h"

static void appends_and_keeps_a_nul(void **state) {
  (void)state;
  tl_buf buf = {0};
  assert_int_equal(tl_buf_appends(&buf, "abc", NULL), TL_OK);
  assert_int_equal(tl_buf_append(&buf, "d\0e", 3, NULL), TL_OK);
  assert_int_equal(tl_buf_appendf(&buf, NULL, "%d-%s", 42, "x"), TL_OK);
  assert_int_equal(buf.len, 10);
  assert_memory_equal(buf.data, "abcd\0e42-x", 11);
  tl_buf_clear(&buf);
  assert_int_equal(buf.len, 0);
  assert_string_equal(buf.data, "");
  tl_buf_deinit(&buf);
  tl_buf_deinit(&buf);
  assert_int_equal(tl_alloc_live(), 0);
}

static void take_gives_the_bytes_away(void **state) {
  (void)state;
  tl_buf buf = {0};
  assert_null(tl_buf_take(&buf));
  assert_int_equal(tl_buf_appends(&buf, "mine", NULL), TL_OK);
  char *text = tl_buf_take(&buf);
  assert_string_equal(text, "mine");
  assert_null(buf.data);
  tl_free(text);
}

static void grows_over_many_sizes(void **state) {
  (void)state;
  tl_buf buf = {0};
  for (int i = 0; i < 5000; i++) assert_int_equal(tl_buf_append(&buf, "0123456789", 10, NULL), TL_OK);
  assert_int_equal(buf.len, 50000);
  for (size_t i = 0; i < buf.len; i++) assert_int_equal(buf.data[i], '0' + (char)(i % 10));
  tl_error err;
  assert_int_equal(tl_buf_reserve(&buf, SIZE_MAX - 10, &err), TL_ENOMEM);
  assert_int_equal(buf.len, 50000);
  tl_buf_deinit(&buf);
}

static void a_failed_growth_loses_nothing(void **state) {
  (void)state;
  tl_buf buf = {0};
  assert_int_equal(tl_buf_appends(&buf, "kept", NULL), TL_OK);
  tl_error err = {0};
  tl_fault_arm(TL_SEAM_ALLOC, 1, TL_FAULT_ERROR, 0);
  assert_int_equal(tl_buf_reserve(&buf, 100000, &err), TL_ENOMEM);
  assert_true(tl_fault_disarm());
  assert_true(err.message[0]);
  assert_string_equal(buf.data, "kept");
  tl_buf_deinit(&buf);
}

static void json_strings(void **state) {
  (void)state;
  static const struct { const char *in; size_t len; const char *out; } cases[] = {
      {"plain", 5, "\"plain\""},
      {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
      {"\n\t\x01", 3, "\"\\u000a\\u0009\\u0001\""},
      {"\0", 1, "\"\\u0000\""},
      {"é ✓ 漢", 10, "\"é ✓ 漢\""},
      {"\xF0\x9F\x98\x80", 4, "\"\xF0\x9F\x98\x80\""},
      {"\xFF", 1, "\"\xEF\xBF\xBD\""},                     /* no UTF-8 at all */
      {"\xC0\xAF", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},     /* overlong */
      {"\xED\xA0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""}, /* a surrogate */
      {"\xE6\xBC", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},     /* cut */
      {"", 0, "\"\""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tl_buf buf = {0};
    assert_int_equal(tl_buf_append_json(&buf, cases[i].in, cases[i].len, NULL), TL_OK);
    assert_string_equal(buf.data, cases[i].out);
    tl_buf_deinit(&buf);
  }
}

static void texts(void **state) {
  (void)state;
  assert_true(tl_text_is(tl_text_of("abcd", 3), "abc"));
  assert_false(tl_text_is(tl_text_of("abcd", 4), "abc"));
  assert_true(tl_text_equal(tl_text_from(NULL), tl_text_of(NULL, 0)));
  assert_int_equal(tl_text_from("xyz").len, 3);
}

static void errors_name_things(void **state) {
  (void)state;
  tl_error err = {.http_code = 7};
  assert_int_equal(tl_fail(&err, TL_EUSAGE, "no '%s' in %d", "x", 3), TL_EUSAGE);
  assert_string_equal(err.message, "no 'x' in 3");
  assert_int_equal(err.http_code, 0);
  err.http_code = 404;
  assert_int_equal(tl_fail_within(&err, TL_EHTTP, "symbol %s", "A"), TL_EHTTP);
  assert_string_equal(err.message, "symbol A: no 'x' in 3");
  assert_int_equal(err.http_code, 404);
  assert_int_equal(tl_fail_errno(&err, ENOSPC, "cannot write '%s'", "f"), TL_EIO);
  assert_string_equal(err.message, "cannot write 'f': No space left on device");
  assert_int_equal(tl_fail(NULL, TL_EIO, "nobody listens"), TL_EIO);
  assert_int_equal(tl_fail_errno(NULL, ENOSPC, "nobody"), TL_EIO);
  assert_int_equal(tl_fail_within(NULL, TL_EIO, "nobody"), TL_EIO);
}

static void a_long_error_is_cut_between_characters(void **state) {
  (void)state;
  tl_error err;
  char text[1000];
  for (int shift = 0; shift < 4; shift++) {
    memset(text, 'a', (size_t)shift);
    for (size_t i = (size_t)shift; i + 3 < sizeof text; i += 3) memcpy(text + i, "漢", 3);
    text[sizeof text - 4 - (sizeof text - 4 - (size_t)shift) % 3] = 0;
    tl_fail(&err, TL_EIO, "%s", text);
    size_t len = strlen(err.message);
    assert_in_range(len, sizeof err.message - 4, sizeof err.message - 1);
    assert_int_equal((len - (size_t)shift) % 3, 0);
  }
}

static void every_status_has_a_text(void **state) {
  (void)state;
#define X(name, value, text) assert_string_equal(tl_status_text(name), text);
  TL_STATUS_MAP(X)
#undef X
  assert_string_equal(tl_status_text((tl_status)9999), "unknown status");
}

static void suggestions(void **state) {
  (void)state;
  static const char *const words[] = {"import", "plan", "update", "read", "threads"};
  static const struct { const char *typed, *near; } cases[] = {
      {"imprt", "import"}, {"improt", "import"}, {"theads", "threads"}, {"raed", "read"},
      {"zzzzzz", NULL},    {"plan", "plan"},     {"updates", "update"}, {"", NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *near = tl_suggest(cases[i].typed, words, 5);
    if (cases[i].near) assert_string_equal(near, cases[i].near);
    else assert_null(near);
  }
  char longer[200];
  memset(longer, 'x', sizeof longer - 1);
  longer[sizeof longer - 1] = 0;
  assert_null(tl_suggest(longer, words, 5));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(appends_and_keeps_a_nul), cmocka_unit_test(take_gives_the_bytes_away),
      cmocka_unit_test(grows_over_many_sizes),   cmocka_unit_test(a_failed_growth_loses_nothing),
      cmocka_unit_test(json_strings),            cmocka_unit_test(texts),
      cmocka_unit_test(errors_name_things),      cmocka_unit_test(a_long_error_is_cut_between_characters),
      cmocka_unit_test(every_status_has_a_text), cmocka_unit_test(suggestions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
