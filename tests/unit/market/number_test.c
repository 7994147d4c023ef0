/* number_test.c - number text to values. The truth: values written by hand (hexadecimal floats for the halfway cases,
 * worked out with Python's decimal), and for random text the C library's strtod and 128-bit integers. */
#include "market/number.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
enum { OK = TL_NUMBER_OK, BAD = TL_NUMBER_BAD, FRACTION = TL_NUMBER_FRACTION, RANGE = TL_NUMBER_RANGE };

static char *exact_copy(const char *text, size_t len) { /* no byte behind it, so a sanitizer sees reads there */
  char *copy = test_malloc(len ? len : 1);
  memcpy(copy, text, len);
  return copy;
}

static void integers_are_exact_or_refused(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int status;
    int64_t value;
  } cases[] = {
    {"0", OK, 0}, {"-0", OK, 0}, {"123", OK, 123}, {"-123", OK, -123}, {"123.0", OK, 123}, {"123.000000000000000000000000000", OK, 123},
    {"1.23e+07", OK, 12300000}, {"1.23E7", OK, 12300000}, {"1e2", OK, 100}, {"1200e-2", OK, 12}, {"12300.00e-2", OK, 123},
    {"0e999999999999", OK, 0}, {"0.000e-5", OK, 0}, {"1e0", OK, 1}, {"1e-0", OK, 1},
    {"9007199254740993", OK, 9007199254740993},                    /* 2^53 + 1 */
    {"9223372036854775807", OK, INT64_MAX}, {"-9223372036854775808", OK, INT64_MIN},
    {"9223372036854775807.0", OK, INT64_MAX}, {"9.223372036854775807e18", OK, INT64_MAX},
    {"92233720368547758070e-1", OK, INT64_MAX},
    {"52983525029461", OK, 52983525029461},                        /* a trade id */
    {"9223372036854775808", RANGE, 0}, {"-9223372036854775809", RANGE, 0}, {"18446744073709551616", RANGE, 0}, /* 2^63, 2^64 */
    {"1e19", RANGE, 0}, {"1e309", RANGE, 0}, {"1e999999999999", RANGE, 0}, {"123456789012345678901234567890", RANGE, 0},
    {"0.5", FRACTION, 0}, {"123.4", FRACTION, 0}, {"-0.1", FRACTION, 0}, {"1.23e1", FRACTION, 0}, {"1e-1", FRACTION, 0},
    {"1e-400", FRACTION, 0}, {"123.00000000000000000000000001", FRACTION, 0}, {"1234567890123456789.5", FRACTION, 0},
    {"1e-999999999999", FRACTION, 0},
    {"", BAD, 0}, {"-", BAD, 0}, {"+1", BAD, 0}, {"01", BAD, 0}, {"-01", BAD, 0}, {"00", BAD, 0}, {".5", BAD, 0}, {"1.", BAD, 0},
    {"1.e5", BAD, 0}, {"1e", BAD, 0}, {"1e+", BAD, 0}, {"1e1.5", BAD, 0}, {"NaN", BAD, 0}, {"Infinity", BAD, 0}, {"-Infinity", BAD, 0},
    {"inf", BAD, 0}, {"0x10", BAD, 0}, {" 1", BAD, 0}, {"1 ", BAD, 0}, {"1,000", BAD, 0}, {"null", BAD, 0}, {"--1", BAD, 0},
    {"1_000", BAD, 0}, {"\xD9\xA1", BAD, 0},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    size_t len = strlen(cases[i].text);
    char *text = exact_copy(cases[i].text, len);
    int64_t value = 77;
    if ((int)tl_number_i64(text, len, &value) != cases[i].status) fail_msg("%s", cases[i].text);
    assert_int_equal(value, cases[i].status == OK ? cases[i].value : 77);
    test_free(text);
  }
}

static void doubles_are_the_nearest(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int status;
    double value;
  } cases[] = {
    {"0", OK, 0.0}, {"1", OK, 1.0}, {"0.1", OK, 0x1.999999999999ap-4}, {"187.25", OK, 187.25}, {"-187.25", OK, -187.25},
    {"1e2", OK, 100}, {"1E+2", OK, 100}, {"1.5e-3", OK, 0x1.89374bc6a7efap-10},
    {"9007199254740992", OK, 0x1p53}, {"9007199254740993", OK, 0x1p53}, {"9007199254740995", OK, 0x1.0000000000002p53},
    {"9007199254740993.00000000000000000000000000000000001", OK, 0x1.0000000000001p53},
    {"9223372036854775808", OK, 0x1p63}, {"18446744073709551616", OK, 0x1p64}, {"-9223372036854775808", OK, -0x1p63},
    {"1e22", OK, 1e22}, {"1e23", OK, 0x1.52d02c7e14af6p76},
    {"123456789.123456789123456789", OK, 0x1.d6f34547e6b75p26},
    {"0.123456789012345678", OK, 0x1.f9add3746f65fp-4},                             /* 18 digits */
    {"1.7976931348623157e308", OK, 0x1.fffffffffffffp1023}, {"1.7976931348623158e308", OK, 0x1.fffffffffffffp1023},
    {"1.797693134862315807e308", OK, 0x1.fffffffffffffp1023}, {"4.9e-324", OK, 0x1p-1074}, {"2.5e-324", OK, 0x1p-1074},
    {"2.4e-324", OK, 0.0}, {"1e-400", OK, 0.0}, {"1e-999999999999", OK, 0.0}, {"0e999999999999", OK, 0.0},
    {"2.2250738585072011e-308", OK, 0x0.fffffffffffffp-1022},                       /* the text that hung PHP and Java */
    {"2.2250738585072012e-308", OK, 0x1p-1022},
    {"6929495644600919.5", OK, 0x1.89e56ee5e7a58p52}, {"3.14159265358979323846264338327950288", OK, 0x1.921fb54442d18p1},
    {"1e309", RANGE, 0}, {"-1e309", RANGE, 0}, {"1.7976931348623159e308", RANGE, 0}, {"1e999999999999", RANGE, 0},
    {"NaN", BAD, 0}, {"Infinity", BAD, 0}, {"+1.5", BAD, 0}, {"01.5", BAD, 0}, {".5", BAD, 0}, {"5.", BAD, 0}, {"", BAD, 0},
    {"1e", BAD, 0}, {"0x1p3", BAD, 0}, {"1,5", BAD, 0},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    size_t len = strlen(cases[i].text);
    char *text = exact_copy(cases[i].text, len);
    double value = 77;
    if ((int)tl_number_f64(text, len, &value) != cases[i].status) fail_msg("%s", cases[i].text);
    if (value != (cases[i].status == OK ? cases[i].value : 77)) fail_msg("%s gave %a", cases[i].text, value);
    test_free(text);
  }
  double zero = 1;
  assert_int_equal(tl_number_f64("-0", 2, &zero), OK);
  assert_true(zero == 0 && signbit(zero));
  assert_int_equal(tl_number_f64("-0.00e5", 7, &zero), OK);
  assert_true(zero == 0 && signbit(zero));
}

static void a_long_tail_of_digits_still_decides_a_tie(void **state) {
  (void)state;
  /* 1 + 2^-53 lies halfway between 1 and the next double; 900 zeros and a digit behind it lie above */
  static const char half[] = "1.00000000000000011102230246251565404236316680908203125";
  char text[2000];
  double value = 0;
  assert_int_equal(tl_number_f64(half, sizeof half - 1, &value), OK);
  assert_true(value == 1.0);
  for (int zeros = 0; zeros < 1500; zeros += 50) {
    size_t len = (size_t)snprintf(text, sizeof text, "%s%0*d", half, zeros + 1, 1);
    assert_int_equal(tl_number_f64(text, len, &value), OK);
    assert_true(value == 0x1.0000000000001p0);
  }
  memset(text, '9', sizeof text); /* 2000 nines are out of range, a fraction of them is 1 */
  assert_int_equal(tl_number_f64(text, sizeof text, &value), RANGE);
  memcpy(text, "0.", 2);
  assert_int_equal(tl_number_f64(text, sizeof text, &value), OK);
  assert_true(value == 1.0);
}

/* A number of up to 25 digits with or without a dot and an exponent. */
static size_t random_number(tl_prng *prng, char *out) {
  size_t len = 0, digits = 1 + tl_prng_below(prng, 25), dot = tl_prng_below(prng, 3) ? tl_prng_below(prng, digits + 1) : 0;
  if (tl_prng_below(prng, 3) == 0) out[len++] = '-';
  for (size_t i = 0; i < digits; i++) {
    if (i > 0 && i == dot) out[len++] = '.';
    out[len++] = (char)('0' + (i == 0 && digits > 1 && dot != 1 ? 1 + tl_prng_below(prng, 9) : tl_prng_below(prng, 10)));
  }
  if (tl_prng_below(prng, 2)) {
    int limit = tl_prng_below(prng, 2) ? 30 : 330;
    len += (size_t)snprintf(out + len, 8, "e%d", (int)tl_prng_below(prng, (uint64_t)(2 * limit)) - limit);
  }
  out[len] = 0;
  return len;
}

static void random_doubles_equal_the_c_librarys(void **state) {
  (void)state;
  tl_prng prng = tl_prng_init(17);
  for (int i = 0; i < 300000; i++) {
    char text[64];
    size_t len = random_number(&prng, text);
    double value = 0, expected = strtod(text, NULL);
    tl_number_status status = tl_number_f64(text, len, &value);
    if ((int)status != (isinf(expected) ? RANGE : OK) || (!status && memcmp(&value, &expected, sizeof value))) fail_msg("%s", text);
  }
}

static void doubles_written_with_17_digits_come_back(void **state) {
  (void)state;
  tl_prng prng = tl_prng_init(18);
  for (int i = 0; i < 100000; i++) {
    uint64_t bits = tl_prng_next(&prng);
    double value, again = 0;
    char text[64];
    memcpy(&value, &bits, sizeof value);
    if (!isfinite(value)) continue;
    size_t len = (size_t)snprintf(text, sizeof text, "%.17g", value);
    assert_int_equal(tl_number_f64(text, len, &again), OK);
    assert_memory_equal(&value, &again, sizeof value);
  }
}

/* value * 10^places by schoolbook arithmetic on the text, for numbers without exponent. */
static int school(const char *text, int places, int64_t *out) {
  __int128 value = 0, limit = (__int128)1 << 100;
  bool negative = *text == '-', dot = false, rest = false;
  for (const char *p = text + negative; *p; p++) {
    if (*p == '.') {
      dot = true;
      continue;
    }
    if (dot && places == 0) rest |= *p != '0';
    else if (value < limit) value = value * 10 + (*p - '0');
    if (dot && places > 0) places--;
  }
  if (rest) return FRACTION;
  for (; places > 0 && value < limit; places--) value *= 10;
  if (negative) value = -value;
  if (value > INT64_MAX || value < INT64_MIN) return RANGE;
  *out = (int64_t)value;
  return OK;
}

static void random_integers_and_decimals_equal_schoolbook_arithmetic(void **state) {
  (void)state;
  tl_prng prng = tl_prng_init(19);
  for (int i = 0; i < 300000; i++) {
    char text[64];
    size_t len = random_number(&prng, text);
    char *e = strchr(text, 'e');
    if (e) *e = 0, len = (size_t)(e - text);
    for (int places = 0; places <= 9; places += 9) {
      int64_t value = 0, expected = 0;
      int status = school(text, places, &expected);
      tl_number_status got = places ? tl_number_e9(text, len, &value) : tl_number_i64(text, len, &value);
      /* too large and with a fraction: either refusal is right */
      if ((int)got != status && (status == OK || got == TL_NUMBER_OK || got == TL_NUMBER_BAD)) fail_msg("%s", text);
      if (value != expected) fail_msg("%s", text);
    }
  }
}

static void decimals_keep_nine_places(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int status;
    int64_t value_e9;
  } cases[] = {
    {"187.25", OK, 187250000000}, {"0.000000001", OK, 1}, {"-0.000000001", OK, -1}, {"1e-9", OK, 1}, {"1.0000000010", OK, 1000000001},
    {"9223372036.854775807", OK, INT64_MAX}, {"-9223372036.854775808", OK, INT64_MIN}, {"1.5e3", OK, 1500000000000},
    {"0.0000000001", FRACTION, 0}, {"1e-10", FRACTION, 0}, {"9223372036.854775808", RANGE, 0}, {"1e10", RANGE, 0}, {"1.", BAD, 0},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    int64_t value = 77;
    if ((int)tl_number_e9(cases[i].text, strlen(cases[i].text), &value) != cases[i].status) fail_msg("%s", cases[i].text);
    assert_int_equal(value, cases[i].status == OK ? cases[i].value_e9 : 77);
  }
  assert_true(tl_e9_f64(187250000000) == 187.25);
  assert_true(tl_e9_f64(-1) == -1e-9);
  assert_true(tl_e9_f64(0) == 0 && tl_e9_f64(INT64_MAX) == 9223372036.854775807 && tl_e9_f64(INT64_MIN) == -9223372036.854775808);
  tl_prng prng = tl_prng_init(20);
  for (int i = 0; i < 100000; i++) {
    char text[64];
    int64_t value = (int64_t)(tl_prng_next(&prng) >> 1 >> tl_prng_below(&prng, 60));
    snprintf(text, sizeof text, "%lld.%09lld", (long long)(value / 1000000000), (long long)(value % 1000000000));
    assert_true(tl_e9_f64(value) == strtod(text, NULL));
    assert_true(tl_e9_f64(-value) == -strtod(text, NULL));
  }
}

static void a_scan_ends_where_the_number_ends(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int used; /* -1: no number */
  } cases[] = {
    {"12,", 2}, {"12.50}", 5}, {"-1e5]", 4}, {"0\"", 1}, {"0x", 1}, {"12abc", 2}, {"1-2", 1}, {"1..2", -1}, {"1e5.3", 3}, {"01", -1}, {"x", -1},
    {",", -1}, {"1.x", -1}, {"1ex", -1},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_decimal decimal;
    size_t len = strlen(cases[i].text);
    char *text = exact_copy(cases[i].text, len);
    const char *after = tl_decimal_scan(text, text + len, &decimal);
    if (cases[i].used < 0) assert_null(after);
    else assert_ptr_equal(after, text + cases[i].used);
    test_free(text);
  }
}

static void the_locale_plays_no_part(void **state) {
  (void)state;
  static const char *const with_comma[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "C.UTF-8", "C"}; /* the first there is */
  for (size_t i = 0; i < COUNT(with_comma) && !setlocale(LC_ALL, with_comma[i]); i++) {
  }
  double value = 0;
  assert_int_equal(tl_number_f64("1.50000000000000000000001", 25, &value), OK);
  setlocale(LC_ALL, "C");
  assert_true(value == 1.5);
}

static void statuses_have_words(void **state) {
  (void)state;
  assert_string_equal(tl_number_status_text(TL_NUMBER_OK), "a number");
  assert_string_equal(tl_number_status_text(TL_NUMBER_BAD), "not a number");
  assert_string_equal(tl_number_status_text(TL_NUMBER_FRACTION), "a fraction");
  assert_string_equal(tl_number_status_text(TL_NUMBER_RANGE), "out of range");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(integers_are_exact_or_refused),
    cmocka_unit_test(doubles_are_the_nearest),
    cmocka_unit_test(a_long_tail_of_digits_still_decides_a_tie),
    cmocka_unit_test(random_doubles_equal_the_c_librarys),
    cmocka_unit_test(doubles_written_with_17_digits_come_back),
    cmocka_unit_test(random_integers_and_decimals_equal_schoolbook_arithmetic),
    cmocka_unit_test(decimals_keep_nine_places),
    cmocka_unit_test(a_scan_ends_where_the_number_ends),
    cmocka_unit_test(the_locale_plays_no_part),
    cmocka_unit_test(statuses_have_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
