/* text.c - hand-made formatting: a page is mostly digits, so this is where the simulator's speed is. */
#include "sim/text.h"

#include "sim/days.h"

static const char pairs[201] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657"
    "585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

char *sim_put_u64(char *to, uint64_t value) {
  char digits[20];
  int at = 20;
  while (value >= 100) {
    at -= 2;
    memcpy(digits + at, pairs + 2 * (value % 100), 2);
    value /= 100;
  }
  if (value >= 10) {
    at -= 2;
    memcpy(digits + at, pairs + 2 * value, 2);
  } else {
    digits[--at] = (char)('0' + value);
  }
  return sim_put_text(to, digits + at, (size_t)(20 - at));
}

char *sim_put_i64(char *to, int64_t value) {
  if (value < 0) {
    *to++ = '-';
    return sim_put_u64(to, (uint64_t)0 - (uint64_t)value);
  }
  return sim_put_u64(to, (uint64_t)value);
}

static char *put_two(char *to, unsigned value) {
  memcpy(to, pairs + 2 * (value % 100), 2);
  return to + 2;
}

char *sim_put_decimal(char *to, uint64_t value, int scale) {
  uint64_t unit = 1;
  for (int i = 0; i < scale; i++) unit *= 10;
  uint64_t fraction = value % unit;
  to = sim_put_u64(to, value / unit);
  if (!fraction) return to;
  *to++ = '.';
  while (fraction) {
    unit /= 10;
    *to++ = (char)('0' + fraction / unit);
    fraction %= unit;
  }
  return to;
}

char *sim_put_date(char *to, int64_t day) {
  int y, m, d;
  sim_day_split(day, &y, &m, &d);
  to = put_two(to, (unsigned)y / 100);
  to = put_two(to, (unsigned)y % 100);
  *to++ = '-';
  to = put_two(to, (unsigned)m);
  *to++ = '-';
  return put_two(to, (unsigned)d);
}

char *sim_put_fraction(char *to, uint32_t ns) {
  if (!ns) return to;
  *to++ = '.';
  uint32_t unit = 100000000;
  while (ns) {
    *to++ = (char)('0' + ns / unit);
    ns %= unit;
    unit /= 10;
  }
  return to;
}

char *sim_put_time(char *to, int64_t t_ns, bool whole_fraction) {
  int64_t day = sim_floor_div(t_ns, SIM_DAY_NS), in_day = t_ns - day * SIM_DAY_NS;
  unsigned seconds = (unsigned)(in_day / SIM_NS);
  uint32_t ns = (uint32_t)(in_day % SIM_NS);
  to = sim_put_date(to, day);
  *to++ = 'T';
  to = put_two(to, seconds / 3600);
  *to++ = ':';
  to = put_two(to, seconds / 60 % 60);
  *to++ = ':';
  to = put_two(to, seconds % 60);
  if (whole_fraction) {
    *to++ = '.';
    for (uint32_t unit = 100000000; unit; unit /= 10) *to++ = (char)('0' + ns / unit % 10);
  } else {
    to = sim_put_fraction(to, ns);
  }
  *to++ = 'Z';
  return to;
}

size_t sim_base64_encode(char *to, const char *text, size_t len) {
  static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char *start = to;
  for (size_t i = 0; i < len; i += 3) {
    unsigned a = (unsigned char)text[i], b = i + 1 < len ? (unsigned char)text[i + 1] : 0,
             c = i + 2 < len ? (unsigned char)text[i + 2] : 0;
    *to++ = set[a >> 2];
    *to++ = set[(a & 3) << 4 | b >> 4];
    *to++ = i + 1 < len ? set[(b & 15) << 2 | c >> 6] : '=';
    *to++ = i + 2 < len ? set[c & 63] : '=';
  }
  return (size_t)(to - start);
}

static int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  if (c == '/' || c == '_') return 63;
  return -1;
}

bool sim_base64_decode(char *to, size_t room, const char *text, size_t len, size_t *out_len) {
  unsigned bits = 0, held = 0;
  size_t n = 0;
  while (len && text[len - 1] == '=') len--;
  for (size_t i = 0; i < len; i++) {
    int v = base64_value(text[i]);
    if (v < 0) return false;
    held = (held << 6 | (unsigned)v) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      if (n == room) return false;
      to[n++] = (char)(held >> bits & 255);
    }
  }
  *out_len = n;
  return true;
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

size_t sim_url_decode(char *text, size_t len, bool plus_is_space) {
  size_t n = 0;
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    if (c == '%' && i + 2 < len && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
      c = (char)(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    text[n++] = c;
  }
  return n;
}

uint64_t sim_hash_text(const char *text, size_t len) {
  uint64_t h = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
  return h;
}

bool sim_parse_u64(const char *text, size_t len, uint64_t *out) {
  uint64_t v = 0;
  if (!len || len > 20) return false;
  for (size_t i = 0; i < len; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    if (__builtin_mul_overflow(v, UINT64_C(10), &v) || __builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v)) return false;
  }
  *out = v;
  return true;
}
