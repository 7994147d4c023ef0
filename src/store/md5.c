/* md5.c - MD5 as RFC 1321 writes it. Words are read byte by byte: right on every byte order, and free on x86 and ARM. */
#include "store/md5.h"

#include <string.h>

static const uint32_t sines[64] = { /* floor(2^32 * abs(sin(i + 1))) */
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1,
    0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453,
    0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a, 0xfffa3942,
    0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05,
    0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d,
    0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
static const unsigned char turns[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

static uint32_t word(const unsigned char *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }

#define ROUND(mix, at)                                                       \
  for (unsigned j = 0; j < 16; j++, i++) {                                   \
    uint32_t sum = a + (mix) + sines[i] + w[(at) & 15];                      \
    unsigned by = turns[i >> 4][i & 3];                                      \
    a = d;                                                                   \
    d = c;                                                                   \
    c = b;                                                                   \
    b += sum << by | sum >> (32 - by);                                       \
  }

static void take_block(uint32_t state[4], const unsigned char *block) {
  uint32_t w[16], a = state[0], b = state[1], c = state[2], d = state[3];
  for (int i = 0; i < 16; i++) w[i] = word(block + (size_t)i * 4);
  unsigned i = 0;
  ROUND((b & c) | (~b & d), i)
  ROUND((d & b) | (~d & c), 5 * i + 1)
  ROUND(b ^ c ^ d, 3 * i + 5)
  ROUND(c ^ (b | ~d), 7 * i)
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
}

void tl_md5_init(tl_md5 *md5) { *md5 = (tl_md5){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}}; }

void tl_md5_add(tl_md5 *md5, const void *data, size_t len) {
  const unsigned char *at = data;
  size_t held = md5->len & 63;
  md5->len += len;
  if (held) {
    size_t more = len < 64 - held ? len : 64 - held;
    if (more) memcpy(md5->block + held, at, more);
    if (held + more < 64) return;
    take_block(md5->state, md5->block);
    at += more;
    len -= more;
  }
  for (; len >= 64; at += 64, len -= 64) take_block(md5->state, at);
  if (len) memcpy(md5->block, at, len);
}

void tl_md5_finish(tl_md5 *md5, unsigned char out[16]) {
  static const unsigned char padding[64] = {0x80};
  unsigned char bits[8];
  for (int i = 0; i < 8; i++) bits[i] = (unsigned char)(md5->len << 3 >> (8 * i));
  tl_md5_add(md5, padding, 64 - ((md5->len + 8) & 63));
  tl_md5_add(md5, bits, 8);
  for (int i = 0; i < 16; i++) out[i] = (unsigned char)(md5->state[i / 4] >> (8 * (i % 4)));
}

void tl_md5_hex(const unsigned char digest[16], char out[33]) {
  static const char digits[] = "0123456789abcdef";
  for (int i = 0; i < 16; i++) {
    out[2 * i] = digits[digest[i] >> 4];
    out[2 * i + 1] = digits[digest[i] & 15];
  }
  out[32] = 0;
}

void tl_md5_base64(const unsigned char digest[16], char out[25]) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char *to = out;
  for (int i = 0; i < 15; i += 3) {
    uint32_t three = (uint32_t)digest[i] << 16 | (uint32_t)digest[i + 1] << 8 | digest[i + 2];
    for (int shift = 18; shift >= 0; shift -= 6) *to++ = digits[three >> shift & 63];
  }
  *to++ = digits[digest[15] >> 2];
  *to++ = digits[(digest[15] & 3) << 4];
  memcpy(to, "==", 3);
}
