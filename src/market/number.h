/* number.h - JSON number text to integers, doubles and exact decimals, without a detour through double.
 * Grammar: JSON's, strictly ("-0" is fine; "+1" "01" ".5" "1." "NaN" are not numbers). Integers accept 123, 123.0 and
 * 1.23e+07 when the value is whole, and never round. Doubles are correctly rounded; too small gives 0, too large
 * TL_NUMBER_RANGE. Independent of the locale. Cost: one pass; doubles of at most 15 digits or so and small exponents need one
 * multiplication or division, others strtod. Thread-safe; takes no heap. */
#ifndef TL_MARKET_NUMBER_H
#define TL_MARKET_NUMBER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum tl_number_status {
  TL_NUMBER_OK,
  TL_NUMBER_BAD,      /* not a JSON number */
  TL_NUMBER_FRACTION, /* has digits below what the type holds */
  TL_NUMBER_RANGE     /* too large or too small for the type */
} tl_number_status;
const char *tl_number_status_text(tl_number_status status); /* "not a number", "a fraction", "out of range" */

tl_number_status tl_number_i64(const char *text, size_t len, int64_t *out);
tl_number_status tl_number_f64(const char *text, size_t len, double *out);
tl_number_status tl_number_e9(const char *text, size_t len, int64_t *out_e9); /* value * 1e9, exact */

/* For decoders that scan and convert in one go: value = +-mantissa * 10^exponent. */
typedef struct tl_decimal {
  uint64_t mantissa;      /* the first 19 significant digits */
  int64_t exponent;       /* held within +-10^9 */
  const char *text, *end; /* the number's own bytes */
  bool negative, cut;     /* cut: a digit other than 0 did not fit the mantissa */
} tl_decimal;

/* Reads the longest number at p: the byte after it, or NULL when there is none or it breaks the grammar. */
const char *tl_decimal_scan(const char *p, const char *end, tl_decimal *out);
tl_number_status tl_decimal_i64(const tl_decimal *decimal, int64_t *out);
tl_number_status tl_decimal_f64(const tl_decimal *decimal, double *out);
tl_number_status tl_decimal_e9(const tl_decimal *decimal, int64_t *out_e9);
double tl_e9_f64(int64_t value_e9); /* the double nearest to value / 1e9 */
#endif
