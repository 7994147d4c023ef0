/* price.h - a price as an integer count of 1e-9, so that sums and differences are exact. */
#ifndef TL_SHAPE_PRICE_H
#define TL_SHAPE_PRICE_H
#include <stdint.h>

#define TL_PRICE_MAX 9e9 /* prices from here on do not fit */

/* 0 <= price < TL_PRICE_MAX. The decimal the double was read from, for prices of up to nine decimals below 2e6 (fewer
 * decimals: correspondingly larger). No call to llrint: that alone would be a third of the cost of a quote. */
static inline int64_t tl_price_e9(double price) {
  double e9 = price * 1e9;
  return (int64_t)(e9 < 0x1p52 ? e9 + 0.5 : e9); /* from 2^52 on doubles are whole */
}
#endif
