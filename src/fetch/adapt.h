/* adapt.h - how many transfers may be in flight: one more after each round that went well, half after trouble.
 * Pure: the caller brings the time. Trouble is a 429, a 5xx, a broken or late transfer; of many in one window (they come
 * in herds, from transfers sent before we slowed down) only the first counts. */
#ifndef TL_FETCH_ADAPT_H
#define TL_FETCH_ADAPT_H
#include <stdint.h>

typedef struct tl_adapt {
  uint32_t limit, limit_max;
  uint32_t good; /* since the last change */
  int64_t calm_at_ns; /* trouble before this has been counted */
} tl_adapt;

void tl_adapt_init(tl_adapt *a, uint32_t limit_max); /* starts at limit_max */
void tl_adapt_good(tl_adapt *a);
void tl_adapt_trouble(tl_adapt *a, int64_t now_ns);
#endif
