/* number.c - JSON numbers as decimals; see number.h. */
#include "market/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MANTISSA_DIGITS = 19, DOUBLE_DIGITS = 800, EXPONENT_MAX = 1000000000 };

const char *tl_number_status_text(tl_number_status status) {
  switch (status) {
  case TL_NUMBER_OK: return "a number";
  case TL_NUMBER_BAD: return "not a number";
  case TL_NUMBER_FRACTION: return "a fraction";
  case TL_NUMBER_RANGE: return "out of range";
  }
  return "not a number";
}

static inline bool is_digit(const char *p, const char *end) { return p < end && (unsigned char)(*p - '0') <= 9; }

/* Reads digits into the mantissa; `place` is what a digit does to the exponent when it is kept (0 or -1). */
static const char *scan_digits(const char *p, const char *end, int place, int *kept, tl_decimal *out) {
  for (; is_digit(p, end); p++) {
    if (*kept < MANTISSA_DIGITS) {
      out->mantissa = out->mantissa * 10 + (uint64_t)(*p - '0');
      out->exponent += place;
      *kept += out->mantissa != 0; /* leading zeros are not significant */
    } else {
      out->exponent += 1 + place;
      out->cut |= *p != '0';
    }
  }
  return p;
}

const char *tl_decimal_scan(const char *p, const char *end, tl_decimal *out) {
  int kept = 0;
  *out = (tl_decimal){.text = p};
  if (p < end && *p == '-') {
    out->negative = true;
    p++;
  }
  if (!is_digit(p, end)) return NULL;
  if (*p == '0' && is_digit(p + 1, end)) return NULL;
  p = scan_digits(p, end, 0, &kept, out);
  if (p < end && *p == '.') {
    if (!is_digit(++p, end)) return NULL;
    p = scan_digits(p, end, -1, &kept, out);
  }
  if (p < end && (*p | 0x20) == 'e') {
    int64_t exponent = 0;
    p++;
    bool minus = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    if (!is_digit(p, end)) return NULL;
    for (; is_digit(p, end); p++)
      if (exponent < EXPONENT_MAX) exponent = exponent * 10 + (*p - '0');
    out->exponent += minus ? -exponent : exponent;
  }
  if (out->exponent > EXPONENT_MAX) out->exponent = EXPONENT_MAX;
  if (out->exponent < -EXPONENT_MAX) out->exponent = -EXPONENT_MAX;
  out->end = p;
  return p;
}

/* The decimal times 10^shift as an integer. */
static tl_number_status to_integer(const tl_decimal *d, int shift, int64_t *out) {
  uint64_t magnitude = d->mantissa, limit = d->negative ? (uint64_t)1 << 63 : INT64_MAX;
  int64_t exponent = d->exponent + shift;
  if (magnitude == 0) exponent = 0;
  for (; exponent < 0 && magnitude % 10 == 0; exponent++) magnitude /= 10;
  /* with a digit cut the mantissa is full: a positive exponent is then out of range by itself, the loop says so */
  if (exponent < 0 || (exponent == 0 && d->cut)) return TL_NUMBER_FRACTION;
  for (; exponent > 0; exponent--)
    if (__builtin_mul_overflow(magnitude, 10, &magnitude)) return TL_NUMBER_RANGE;
  if (magnitude > limit) return TL_NUMBER_RANGE;
  *out = d->negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
  return TL_NUMBER_OK;
}

tl_number_status tl_decimal_i64(const tl_decimal *decimal, int64_t *out) { return to_integer(decimal, 0, out); }

tl_number_status tl_decimal_e9(const tl_decimal *decimal, int64_t *out_e9) { return to_integer(decimal, 9, out_e9); }

/* The only strtod. It is given digits and an exponent, never a dot, so that the locale plays no part. More than 800
 * digits cannot change the nearest double except by not being zero, which one more digit 1 stands for. */
static double slow_f64(const tl_decimal *d) {
  char digits[DOUBLE_DIGITS + 32];
  size_t count = 0;
  int64_t exponent = d->exponent;
  if (!d->cut) {
    count = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, d->mantissa);
  } else {
    bool rest = false;
    exponent += MANTISSA_DIGITS; /* now of 0.ddd, whatever number of digits follows */
    for (const char *p = d->text; p < d->end && (*p | 0x20) != 'e'; p++) {
      if (*p < '0' || *p > '9' || (count == 0 && *p == '0')) continue;
      if (count < DOUBLE_DIGITS) digits[count++] = *p;
      else rest |= *p != '0';
    }
    if (rest) digits[count++] = '1';
    exponent -= (int64_t)count;
  }
  snprintf(digits + count, sizeof digits - count, "e%" PRId64, exponent);
  return strtod(digits, NULL);
}

tl_number_status tl_decimal_f64(const tl_decimal *decimal, double *out) {
  static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  const uint64_t exact_max = (uint64_t)1 << 53;
  uint64_t mantissa = decimal->mantissa;
  int64_t exponent = decimal->exponent;
  double value = 0;
  if (!decimal->cut)
    for (; mantissa > exact_max && mantissa % 10 == 0; mantissa /= 10) exponent++;
  if (mantissa != 0) { /* both factors are exact, so one rounding is the right one */
    if (decimal->cut || mantissa > exact_max || exponent < -22 || exponent > 22) value = slow_f64(decimal);
    else if (exponent < 0) value = (double)mantissa / power[-exponent];
    else value = (double)mantissa * power[exponent];
  }
  if (!isfinite(value)) return TL_NUMBER_RANGE;
  *out = decimal->negative ? -value : value;
  return TL_NUMBER_OK;
}

double tl_e9_f64(int64_t value_e9) {
  uint64_t magnitude = value_e9 < 0 ? 0 - (uint64_t)value_e9 : (uint64_t)value_e9;
  tl_decimal decimal = {.mantissa = magnitude, .exponent = -9, .negative = value_e9 < 0};
  double value = 0;
  tl_decimal_f64(&decimal, &value); /* at most 9.3e9: always in range */
  return value;
}

static bool scan_all(const char *text, size_t len, tl_decimal *out) {
  return tl_decimal_scan(text, text + len, out) == text + len;
}

tl_number_status tl_number_i64(const char *text, size_t len, int64_t *out) {
  tl_decimal d;
  return scan_all(text, len, &d) ? tl_decimal_i64(&d, out) : TL_NUMBER_BAD;
}

tl_number_status tl_number_f64(const char *text, size_t len, double *out) {
  tl_decimal d;
  return scan_all(text, len, &d) ? tl_decimal_f64(&d, out) : TL_NUMBER_BAD;
}

tl_number_status tl_number_e9(const char *text, size_t len, int64_t *out_e9) {
  tl_decimal d;
  return scan_all(text, len, &d) ? tl_decimal_e9(&d, out_e9) : TL_NUMBER_BAD;
}
