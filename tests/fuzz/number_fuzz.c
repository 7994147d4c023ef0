/* Any bytes as a number: what is a number is decided by a grammar of our own here, what it is by strtod and by 128-bit
 * whole-number arithmetic. */
#include <ctype.h>
#include <math.h>

#include "market/number.h"
#include "tests/fuzz/check.h"

static const char *digits(const char *p) {
  if (!isdigit((unsigned char)*p)) return NULL;
  while (isdigit((unsigned char)*p)) p++;
  return p;
}

static bool is_json_number(const char *p) {
  if (*p == '-') p++;
  p = *p == '0' ? p + 1 : digits(p);
  if (p && *p == '.') p = digits(p + 1);
  if (p && (*p == 'e' || *p == 'E')) p = digits(p + 1 + (p[1] == '+' || p[1] == '-'));
  return p && !*p;
}

/* The value of a text of digits and one point only, times 10^power, exactly; false when it is not whole or too long. */
static bool exact(const char *text, int power, __int128 *out) {
  const char *p = text + (*text == '-');
  __int128 value = 0;
  int after = -1, count = 0;
  for (; *p; p++) {
    if (*p == '.') {
      after = 0;
      continue;
    }
    if (*p == 'e' || *p == 'E' || ++count > 27) return false;
    value = value * 10 + (*p - '0');
    if (after >= 0) after++;
  }
  for (power -= after > 0 ? after : 0; power > 0; power--) value *= 10;
  for (; power < 0; power++) {
    if (value % 10) return false;
    value /= 10;
  }
  *out = *text == '-' ? -value : value;
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[512];
  if (size >= sizeof text) return 0;
  memcpy(text, data, size);
  text[size] = 0;
  bool number = strlen(text) == size && is_json_number(text);
  double f64 = 0;
  int64_t i64 = 0, e9 = 0;
  tl_number_status f = tl_number_f64(text, size, &f64), i = tl_number_i64(text, size, &i64), e = tl_number_e9(text, size, &e9);
  check((f != TL_NUMBER_BAD) == number && (i != TL_NUMBER_BAD) == number && (e != TL_NUMBER_BAD) == number, "not JSON's grammar");
  if (!number) return 0;
  double truth = strtod(text, NULL);
  check(f == TL_NUMBER_OK ? !memcmp(&truth, &f64, sizeof truth) || (truth == 0 && f64 == 0) : f == TL_NUMBER_RANGE && isinf(truth), "not the nearest double");
  if (f == TL_NUMBER_OK) check(f64 == truth, "not the nearest double");
  __int128 whole;
  bool fits = exact(text, 0, &whole);
  if (i == TL_NUMBER_OK && fits) check(whole == i64, "another whole number");
  if (fits && whole >= INT64_MIN && whole <= INT64_MAX) check(i == TL_NUMBER_OK, "a whole number is refused");
  fits = exact(text, 9, &whole);
  if (e == TL_NUMBER_OK && fits) check(whole == e9, "another exact decimal");
  if (fits && whole >= INT64_MIN && whole <= INT64_MAX) check(e == TL_NUMBER_OK, "an exact decimal is refused");
  if (e == TL_NUMBER_OK && f == TL_NUMBER_OK) check(tl_e9_f64(e9) == f64, "the exact decimal and the double differ");
  if (i == TL_NUMBER_OK) check(truth >= -9223372036854775808.0 && truth <= 9223372036854775808.0, "a whole number out of range");
  tl_decimal decimal;
  check(tl_decimal_scan(text, text + size, &decimal) == text + size, "the scan stops early");
  return 0;
}
