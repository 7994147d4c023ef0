/* time.h - instants, days, half-open ranges and bar intervals.
 * An instant is int64 nanoseconds since 1970-01-01T00:00:00Z (1677-09-21 .. 2262-04-11); a day is int32 days since
 * 1970-01-01. Everything floors towards the past, also before 1970. Nothing here reads a clock or the TZ variable.
 * Strictness: 24:00, second 60 (no instant of ours can hold a leap second; vendors send none) and days a month does
 * not have are refused, as is an instant outside the int64 range.
 * Cost: tl_time_parse_utc is about 20 instructions a row while the date stays the same. Thread-safe.
 * Not here: time zones (zone.h), exchange sessions and what users type as START END (calendar.h). */
#ifndef TL_MARKET_TIME_H
#define TL_MARKET_TIME_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"

/* ---- arithmetic ---- */

static inline int64_t tl_floor_div(int64_t value, int64_t divisor) { /* divisor > 0 */
  return value / divisor - (value % divisor < 0);
}
static inline int64_t tl_time_us(int64_t ns) { return tl_floor_div(ns, TL_NS_PER_US); }
static inline int64_t tl_time_floor_s(int64_t ns) { /* start of the second; the first partial second of all stays */
  return ns < INT64_MIN + TL_NS_PER_S ? ns : tl_floor_div(ns, TL_NS_PER_S) * TL_NS_PER_S;
}
static inline int32_t tl_time_day(int64_t ns) { return (int32_t)tl_floor_div(ns, TL_NS_PER_DAY); } /* UTC day */
int64_t tl_day_ns(int32_t day); /* first instant of the UTC day; held at the ends of the int64 range */

/* ---- civil days (proleptic Gregorian) ---- */

int32_t tl_day_from_civil(int year, int month, int day_of_month); /* the arguments must be a date */
void tl_civil_from_day(int32_t day, int *year, int *month, int *day_of_month);
int tl_day_weekday(int32_t day);                                  /* 0 is Monday, 6 is Sunday */
int tl_days_in_month(int year, int month);
bool tl_day_parse(const char *data, size_t len, int32_t *out);    /* YYYY-MM-DD and nothing else */
#define TL_DAY_TEXT_MAX 16
void tl_day_format(int32_t day, char out[TL_DAY_TEXT_MAX]);       /* YYYY-MM-DD; years 0..9999 */

/* ---- instants as text ---- */

/* RFC 3339: date, T (or t or a space), time, 0 to 9 fraction digits, then Z, z, +HH:MM or +HHMM. TL_EDECODE. */
tl_status tl_time_parse(const char *data, size_t len, int64_t *out_ns, tl_error *err);

/* RFC 3339 with `digits` fraction digits (0..9, cut not rounded), or -1 for as many as it needs; the UTC form ends
 * in Z, the other shows the offset. Returns the length. */
#define TL_TIME_TEXT_MAX 48
size_t tl_time_format(int64_t ns, int digits, char out[TL_TIME_TEXT_MAX]);
size_t tl_time_format_offset(int64_t ns, int32_t offset_s, int digits, char out[TL_TIME_TEXT_MAX]);

/* ---- the vendor's form, per row ---- */

typedef struct tl_time_cache { /* TL_TIME_CACHE_INIT to begin; one per decoder */
  char date[10];
  int64_t day_ns;
} tl_time_cache;
/* A date that is one: with {0}, ten NUL bytes in a page would pass for the day in the cache. */
#define TL_TIME_CACHE_INIT {{'1', '9', '7', '0', '-', '0', '1', '-', '0', '1'}, 0}

bool tl_time_cache_date(tl_time_cache *cache, const char *date);              /* 10 readable bytes */
bool tl_time_fraction(const char **at, const char *end, int64_t *out_ns);     /* after the dot: 1 to 9 digits */

/* Reads exactly YYYY-MM-DDTHH:MM:SS[.f]Z (f of 1 to 9 digits) at p. False when it is anything else, also an instant
 * that does not fit: the caller may try tl_time_parse. *after is the byte after the Z. */
static inline bool tl_time_parse_utc(const char *p, const char *end, tl_time_cache *cache, int64_t *out_ns,
                                     const char **after) {
  if (end - p < 20) return false;
  if ((memcmp(p, cache->date, 10) != 0 || !p[0]) && !tl_time_cache_date(cache, p)) return false; /* {0} is no date */
  uint64_t x;
  memcpy(&x, p + 11, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  x = __builtin_bswap64(x);
#endif
  x ^= UINT64_C(0x30303a30303a3030); /* "HH:MM:SS": digits become 0..9, the colons 0 */
  if (((x | (x + UINT64_C(0x7676767676767676))) & UINT64_C(0x8080808080808080)) | (x & UINT64_C(0x0000ff0000ff0000)) |
      (uint64_t)(p[10] != 'T'))
    return false;
  uint32_t hour = (uint32_t)(x & 0xff) * 10 + (uint32_t)(x >> 8 & 0xff);
  uint32_t minute = (uint32_t)(x >> 24 & 0xff) * 10 + (uint32_t)(x >> 32 & 0xff);
  uint32_t second = (uint32_t)(x >> 48 & 0xff) * 10 + (uint32_t)(x >> 56);
  if ((hour > 23) | (minute > 59) | (second > 59)) return false;
  int64_t ns = cache->day_ns + (int64_t)(hour * 3600 + minute * 60 + second) * TL_NS_PER_S;
  p += 19;
  if (*p == '.') {
    int64_t fraction_ns;
    p++;
    if (end - p >= 10) { /* eight digits at once; the bytes from the first that is no digit count as 0 */
      memcpy(&x, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
      x = __builtin_bswap64(x);
#endif
      x ^= UINT64_C(0x3030303030303030);
      uint64_t other = (x | (x + UINT64_C(0x7676767676767676))) & UINT64_C(0x8080808080808080);
      unsigned digits = other ? (unsigned)__builtin_ctzll(other) >> 3 : 8;
      if (digits == 0) return false;
      if (digits < 8) x &= (UINT64_C(1) << (digits * 8)) - 1;
      x = (x * 10 + (x >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
      x = (x * 100 + (x >> 16)) & UINT64_C(0x0000ffff0000ffff);
      fraction_ns = (int64_t)((x * 10000 + (x >> 32)) & UINT64_C(0xffffffff)) * 10;
      p += digits;
      if (digits == 8 && (unsigned)(*p - '0') <= 9) fraction_ns += *p++ - '0';
    } else if (!tl_time_fraction(&p, end, &fraction_ns)) {
      return false;
    }
    ns += fraction_ns;
  }
  if (p == end || *p != 'Z') return false;
  *out_ns = ns;
  *after = p + 1;
  return true;
}

/* ---- half-open ranges ---- */

typedef struct tl_range { /* [start_ns, end_ns) */
  int64_t start_ns, end_ns;
} tl_range;

static inline bool tl_range_empty(tl_range r) { return r.start_ns >= r.end_ns; }
static inline bool tl_range_holds(tl_range r, int64_t ns) { return r.start_ns <= ns && ns < r.end_ns; }
static inline bool tl_range_overlaps(tl_range a, tl_range b) { /* an empty range overlaps nothing */
  return a.start_ns < b.end_ns && b.start_ns < a.end_ns && !tl_range_empty(a) && !tl_range_empty(b);
}
static inline tl_range tl_range_clip(tl_range r, tl_range to) { /* what both hold; maybe empty */
  return (tl_range){r.start_ns > to.start_ns ? r.start_ns : to.start_ns, r.end_ns < to.end_ns ? r.end_ns : to.end_ns};
}

/* ---- bar intervals ---- */

typedef enum tl_unit { TL_SECOND, TL_MINUTE, TL_HOUR, TL_DAY, TL_WEEK, TL_MONTH } tl_unit;
typedef struct tl_interval {
  int32_t count; /* 1 and up */
  tl_unit unit;
} tl_interval;

/* "1s" "5m" "1h" "1d" "1w" "1mo", the vendor's "1Min" "1T" "1H" "1Day" "1M", table names "1sec" "15min" "1month", and
 * "1minute" or "2hours". M alone is month, m minute. 60s is 1m and 60m 1h, so an interval has one name. TL_EUSAGE. */
tl_status tl_interval_parse(const char *text, tl_interval *out, tl_error *err);
static inline bool tl_interval_equal(tl_interval a, tl_interval b) { return a.count == b.count && a.unit == b.unit; }
static inline bool tl_interval_below_day(tl_interval i) { return i.unit < TL_DAY; }

#define TL_INTERVAL_TEXT_MAX 32
void tl_interval_short(tl_interval interval, char out[TL_INTERVAL_TEXT_MAX]);  /* "5m": commands, flat folders */
void tl_interval_name(tl_interval interval, char out[TL_INTERVAL_TEXT_MAX]);   /* "5min" */
void tl_interval_table(tl_interval interval, char out[TL_INTERVAL_TEXT_MAX]);  /* "equities_5min" */
void tl_interval_vendor(tl_interval interval, char out[TL_INTERVAL_TEXT_MAX]); /* "5Min": Alpaca's timeframe */

/* Length: exact below a day; a day is 24 h, a week 7 of them, a month 30, for planning. */
int64_t tl_interval_ns(tl_interval interval);

/* Start of the interval that holds the instant. Below a day counted from 1970 in UTC; days, weeks (Monday) and months
 * begin at New York midnight, several of them counted from 1970-01-01, 1969-12-29 and January 1970.
 * Results are held at the ends of the int64 range. */
int64_t tl_interval_floor(tl_interval interval, int64_t ns);
int64_t tl_interval_next(tl_interval interval, int64_t ns); /* start of the interval after the one that holds ns */
#endif
