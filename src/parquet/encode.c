/* encode.c - bit packing, RLE hybrid, delta; see encode.h. Bytes are little-endian, as is the machine. */
#include "parquet/encode.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are stored as they lie in memory");

enum { BLOCK = 128, MINIBLOCKS = 4, MINIBLOCK = BLOCK / MINIBLOCKS, SLACK_BYTES = 32 };
typedef unsigned __int128 u128;

unsigned tl_bit_width(uint64_t value) { return value ? 64u - (unsigned)__builtin_clzll(value) : 0; }

static uint8_t *put_varint(uint8_t *out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) *out++ = (uint8_t)(value | 0x80);
  *out++ = (uint8_t)value;
  return out;
}

static uint8_t *put_zigzag(uint8_t *out, int64_t value) {
  return put_varint(out, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

/* Eight values of `width` bits, lowest bit first, into exactly `width` bytes; stores up to 32 bytes. */
static inline __attribute__((always_inline)) uint8_t *pack8(uint8_t *out, const uint64_t *v, unsigned width) {
  if (width <= 16) {
    uint64_t low = v[0] | v[1] << width | v[2] << 2 * width | v[3] << 3 * width;
    uint64_t high = v[4] | v[5] << width | v[6] << 2 * width | v[7] << 3 * width;
    u128 bits = low | (u128)high << 4 * width;
    memcpy(out, &bits, sizeof bits);
  } else if (width < 32) {
    u128 low = (v[0] | v[1] << width) | (u128)(v[2] | v[3] << width) << 2 * width;
    u128 high = (v[4] | v[5] << width) | (u128)(v[6] | v[7] << width) << 2 * width;
    memcpy(out, &low, sizeof low);
    unsigned half = 4 * width; /* bits of one half; its last byte may be shared with the other half */
    high = high << (half & 7) | low >> (half & ~7u);
    memcpy(out + half / 8, &high, sizeof high);
  } else {
    u128 bits = 0;
    unsigned held = 0;
    uint8_t *at = out;
    for (int i = 0; i < 8; i++) {
      bits |= (u128)v[i] << held;
      for (held += width; held >= 32; held -= 32, bits >>= 32, at += 4) memcpy(at, &bits, 4);
    }
    memcpy(at, &bits, 4); /* what is left is whole bytes: 8 * width is a multiple of 8 */
  }
  return out + width;
}

size_t tl_hybrid_bytes_max(size_t count, unsigned width) { return (count / 8 + 1) * (width + 10) + SLACK_BYTES; }

size_t tl_run_encode(size_t count, uint32_t value, unsigned width, uint8_t *out) {
  uint8_t *at = put_varint(out, (uint64_t)count << 1);
  memcpy(at, &value, sizeof value);
  return (size_t)(at - out) + (width + 7) / 8;
}

static inline __attribute__((always_inline)) uint64_t value_at(const void *values, size_t i, size_t value_bytes) {
  return value_bytes == 1 ? ((const uint8_t *)values)[i] : ((const uint32_t *)values)[i];
}

static inline __attribute__((always_inline)) uint8_t *
put_literals(uint8_t *out, const void *values, size_t begin, size_t end, size_t value_bytes, unsigned width) {
  if (begin == end) return out;
  out = put_varint(out, (uint64_t)((end - begin + 7) / 8) << 1 | 1);
  uint64_t eight[8];
  for (; begin + 8 <= end; begin += 8) {
    for (size_t i = 0; i < 8; i++) eight[i] = value_at(values, begin + i, value_bytes);
    out = pack8(out, eight, width);
  }
  if (begin == end) return out;
  for (size_t i = 0; i < 8; i++) eight[i] = begin + i < end ? value_at(values, begin + i, value_bytes) : 0;
  return pack8(out, eight, width);
}

static inline __attribute__((always_inline)) bool
eight_equal(const void *values, size_t at, size_t value_bytes) {
  uint64_t w[4];
  if (value_bytes == 1) {
    memcpy(w, (const uint8_t *)values + at, 8);
    return w[0] == (w[0] & 0xFF) * UINT64_C(0x0101010101010101);
  }
  memcpy(w, (const uint32_t *)values + at, 32);
  return w[0] == w[1] && w[0] == w[2] && w[0] == w[3] && (uint32_t)w[0] == (uint32_t)(w[0] >> 32);
}

/* A run interrupts the bit-packed stretch (two more headers), so it must save more than that. */
static inline __attribute__((always_inline)) size_t
encode_hybrid(const void *values, size_t count, size_t value_bytes, unsigned width, uint8_t *out) {
  uint8_t *at = out;
  size_t literal = 0, i = 0, run_min = 8 + 48 / width;
  while (i + 8 <= count) {
    if (!eight_equal(values, i, value_bytes)) {
      i += 8;
      continue;
    }
    size_t end = i + 8;
    while (end + 8 <= count && eight_equal(values, end, value_bytes) &&
           value_at(values, end, value_bytes) == value_at(values, i, value_bytes))
      end += 8;
    while (end < count && value_at(values, end, value_bytes) == value_at(values, i, value_bytes)) end++;
    if (end - i >= run_min || (i == literal && end == count)) {
      at = put_literals(at, values, literal, i, value_bytes, width);
      at += tl_run_encode(end - i, (uint32_t)value_at(values, i, value_bytes), width, at);
      literal = i = end;
    } else {
      i += 8;
    }
  }
  return (size_t)(put_literals(at, values, literal, count, value_bytes, width) - out);
}

size_t tl_hybrid_encode(const uint32_t *values, size_t count, unsigned width, uint8_t *out) {
  assert(width >= 1 && width <= 32);
  return encode_hybrid(values, count, sizeof *values, width, out);
}

size_t tl_levels_encode(const uint8_t *levels, size_t count, unsigned width, uint8_t *out) {
  assert(width >= 1 && width <= 2);
  return width == 1 ? encode_hybrid(levels, count, 1, 1, out) : encode_hybrid(levels, count, 1, 2, out);
}

size_t tl_delta_bytes_max(size_t count) {
  return 40 + (count / BLOCK + 1) * (10 + MINIBLOCKS + BLOCK * sizeof(uint64_t)) + SLACK_BYTES;
}

/* One block: the smallest difference, a width per miniblock, the differences above the smallest bit-packed.
 * Differences are made modulo 2^64, so readers get the values back whatever they are. */
static uint8_t *put_block(uint8_t *out, const uint64_t *above, size_t count, int64_t least) {
  out = put_zigzag(out, least);
  uint8_t *widths = out;
  out += MINIBLOCKS;
  for (size_t m = 0; m < MINIBLOCKS; m++) {
    uint64_t all = 0;
    for (size_t i = m * MINIBLOCK; i < (m + 1) * MINIBLOCK; i++) all |= above[i];
    unsigned width = m * MINIBLOCK < count ? tl_bit_width(all) : 0;
    widths[m] = (uint8_t)width;
    if (!width) continue;
    for (size_t i = m * MINIBLOCK; i < (m + 1) * MINIBLOCK; i += 8) out = pack8(out, above + i, width);
  }
  return out;
}

static int64_t differences(const int64_t *values, size_t count, uint64_t *above) {
  int64_t least = INT64_MAX;
  for (size_t i = 0; i < count; i++) {
    int64_t delta = (int64_t)((uint64_t)values[i + 1] - (uint64_t)values[i]);
    above[i] = (uint64_t)delta;
    least = delta < least ? delta : least;
  }
  for (size_t i = 0; i < count; i++) above[i] -= (uint64_t)least;
  memset(above + count, 0, (BLOCK - count) * sizeof *above);
  return least;
}

size_t tl_delta_encode(const int64_t *values, size_t count, uint8_t *out) {
  uint8_t *at = put_varint(out, BLOCK);
  at = put_varint(at, MINIBLOCKS);
  at = put_varint(at, count);
  at = put_zigzag(at, count ? values[0] : 0);
  uint64_t above[BLOCK];
  for (size_t i = 0; i + 1 < count; i += BLOCK) {
    size_t some = count - 1 - i < BLOCK ? count - 1 - i : BLOCK;
    int64_t least = differences(values + i, some, above);
    at = put_block(at, above, some, least);
  }
  return (size_t)(at - out);
}
