/* adapt.c - additive increase, multiplicative decrease. */
#include "fetch/adapt.h"

#include "base/clock.h"

static const int64_t WINDOW_NS = TL_NS_PER_S;

void tl_adapt_init(tl_adapt *a, uint32_t limit_max) {
  if (!limit_max) limit_max = 1;
  *a = (tl_adapt){.limit = limit_max, .limit_max = limit_max, .calm_at_ns = INT64_MIN};
}

void tl_adapt_good(tl_adapt *a) {
  if (++a->good < a->limit) return;
  a->good = 0;
  if (a->limit < a->limit_max) a->limit++;
}

void tl_adapt_trouble(tl_adapt *a, int64_t now_ns) {
  a->good = 0;
  if (now_ns < a->calm_at_ns) return;
  a->calm_at_ns = now_ns + WINDOW_NS;
  if (a->limit > 1) a->limit /= 2;
}
