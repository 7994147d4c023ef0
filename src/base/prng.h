/* prng.h - seeded random numbers (splitmix64); nothing else may be random. Not for secrets.
 * Same seed, same sequence, on every machine. One tl_prng per thread. */
#ifndef TL_BASE_PRNG_H
#define TL_BASE_PRNG_H
#include <stdint.h>

typedef struct tl_prng {
  uint64_t state;
} tl_prng;

static inline uint64_t tl_prng_mix(uint64_t x) { /* a good hash of one 64-bit word (splitmix64's finaliser) */
  x ^= x >> 30;
  x *= UINT64_C(0xbf58476d1ce4e5b9);
  x ^= x >> 27;
  x *= UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}
static inline tl_prng tl_prng_init(uint64_t seed) { return (tl_prng){seed}; }
static inline uint64_t tl_prng_next(tl_prng *p) { return tl_prng_mix(p->state += UINT64_C(0x9e3779b97f4a7c15)); }
static inline uint64_t tl_prng_below(tl_prng *p, uint64_t bound) { /* uniform in [0, bound); bound > 0 */
  return (uint64_t)(((unsigned __int128)tl_prng_next(p) * bound) >> 64);
}
static inline double tl_prng_unit(tl_prng *p) { return (double)(tl_prng_next(p) >> 11) * 0x1.0p-53; } /* [0, 1) */
#endif
