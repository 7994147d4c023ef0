/* time.c - civil days, RFC 3339, bar intervals; see time.h. */
#include "market/time.h"

#include <stdio.h>
#include <strings.h>

#include "market/zone.h"

/* ---- civil days ---- */

static int64_t mul_held(int64_t a, int64_t b) {
  int64_t product;
  if (!__builtin_mul_overflow(a, b, &product)) return product;
  return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
}


int64_t tl_day_ns(int32_t day) { return mul_held(day, TL_NS_PER_DAY); }

/* Years are counted from 1 March, so that the leap day is a year's last; 400 of them have 146097 days. */
int32_t tl_day_from_civil(int year, int month, int day_of_month) {
  int64_t y = (int64_t)year - (month <= 2);
  int64_t era = tl_floor_div(y, 400), year_of_era = y - era * 400;
  int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day_of_month - 1;
  int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return (int32_t)(era * 146097 + day_of_era - 719468);
}

void tl_civil_from_day(int32_t day, int *year, int *month, int *day_of_month) {
  int64_t shifted = (int64_t)day + 719468;
  int64_t era = tl_floor_div(shifted, 146097), day_of_era = shifted - era * 146097;
  int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t from_march = (5 * day_of_year + 2) / 153;
  *day_of_month = (int)(day_of_year - (153 * from_march + 2) / 5 + 1);
  *month = (int)(from_march < 10 ? from_march + 3 : from_march - 9);
  *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

int tl_day_weekday(int32_t day) { /* 1970-01-01 was a Thursday */
  int64_t from_monday = (int64_t)day + 3;
  return (int)(from_monday - tl_floor_div(from_monday, 7) * 7);
}

int tl_days_in_month(int year, int month) {
  static const signed char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : days[month - 1];
}

/* The number in `count` digits at p; -1 when one is not a digit. */
static int digits_at(const char *p, int count) {
  int value = 0;
  for (int i = 0; i < count; i++) {
    if (p[i] < '0' || p[i] > '9') return -1;
    value = value * 10 + (p[i] - '0');
  }
  return value;
}

bool tl_day_parse(const char *data, size_t len, int32_t *out) {
  if (len != 10 || data[4] != '-' || data[7] != '-') return false;
  int year = digits_at(data, 4), month = digits_at(data + 5, 2), day_of_month = digits_at(data + 8, 2);
  if (year < 0 || month < 1 || month > 12 || day_of_month < 1 || day_of_month > tl_days_in_month(year, month))
    return false;
  *out = tl_day_from_civil(year, month, day_of_month);
  return true;
}

static char *put_digits(char *p, int64_t value, int count) {
  for (int i = count - 1; i >= 0; i--, value /= 10) p[i] = (char)('0' + value % 10);
  return p + count;
}

static char *put_day(char *p, int32_t day) {
  int year, month, day_of_month;
  tl_civil_from_day(day, &year, &month, &day_of_month);
  p = put_digits(p, year < 0 ? 0 : year > 9999 ? 9999 : year, 4);
  *p++ = '-';
  p = put_digits(p, month, 2);
  *p++ = '-';
  return put_digits(p, day_of_month, 2);
}

void tl_day_format(int32_t day, char out[TL_DAY_TEXT_MAX]) { *put_day(out, day) = 0; }

/* ---- instants as text ---- */

bool tl_time_fraction(const char **at, const char *end, int64_t *out_ns) {
  const char *p = *at;
  int64_t ns = 0, place = TL_NS_PER_S / 10;
  for (; p < end && *p >= '0' && *p <= '9' && place > 0; p++, place /= 10) ns += (*p - '0') * place;
  if (p == *at) return false;
  *at = p;
  *out_ns = ns;
  return true;
}

bool tl_time_cache_date(tl_time_cache *cache, const char *date) {
  int32_t day;
  /* every instant of a day inside these years fits; the rest may still be read by tl_time_parse */
  if (!tl_day_parse(date, 10, &day) || memcmp(date, "1678", 4) < 0 || memcmp(date, "2261", 4) > 0) return false;
  memcpy(cache->date, date, 10);
  cache->day_ns = (int64_t)day * TL_NS_PER_DAY;
  return true;
}

/* Seconds east of UTC after the time of day: Z, +HH:MM or +HHMM, and nothing behind it. */
static bool parse_offset(const char *p, const char *end, int32_t *out_s) {
  if (end - p == 1 && (*p == 'Z' || *p == 'z')) {
    *out_s = 0;
    return true;
  }
  bool colon = end - p == 6 && p[3] == ':';
  if ((!colon && end - p != 5) || (*p != '+' && *p != '-')) return false;
  int hours = digits_at(p + 1, 2), minutes = digits_at(p + (colon ? 4 : 3), 2);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return false;
  *out_s = (hours * 3600 + minutes * 60) * (*p == '-' ? -1 : 1);
  return true;
}

static tl_status bad_time(tl_error *err, const char *data, size_t len, const char *why) {
  return tl_fail(err, TL_EDECODE, "cannot read time '%.*s': %s", (int)(len < 64 ? len : 64), data, why);
}

tl_status tl_time_parse(const char *data, size_t len, int64_t *out_ns, tl_error *err) {
  const char *p = data, *end = data + len;
  int32_t day = 0, offset_s = 0;
  if (len < 20 || (p[10] != 'T' && p[10] != 't' && p[10] != ' ') || p[13] != ':' || p[16] != ':')
    return bad_time(err, data, len, "expected YYYY-MM-DDTHH:MM:SS with Z or an offset such as -05:00");
  if (!tl_day_parse(p, 10, &day)) return bad_time(err, data, len, "there is no such date");
  int hour = digits_at(p + 11, 2), minute = digits_at(p + 14, 2), second = digits_at(p + 17, 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
    return bad_time(err, data, len, second == 60 ? "leap seconds are not supported" : "there is no such time of day");
  int64_t fraction_ns = 0;
  p += 19;
  if (*p == '.' && (p++, !tl_time_fraction(&p, end, &fraction_ns)))
    return bad_time(err, data, len, "digits are missing after the dot");
  if (p < end && *p >= '0' && *p <= '9') return bad_time(err, data, len, "more than nine digits after the dot");
  if (!parse_offset(p, end, &offset_s)) return bad_time(err, data, len, "expected Z or an offset such as -05:00");
  int64_t seconds = (int64_t)day * 86400 + hour * 3600 + minute * 60 + second - offset_s;
  __int128 ns = (__int128)seconds * TL_NS_PER_S + fraction_ns;
  if (ns < INT64_MIN || ns > INT64_MAX)
    return bad_time(err, data, len, "outside 1677-09-21T00:12:43Z .. 2262-04-11T23:47:16Z");
  *out_ns = (int64_t)ns;
  return TL_OK;
}

/* Date, time and fraction of the wall time `offset_s` away; returns the end. */
static char *put_time(char *p, int64_t ns, int32_t offset_s, int digits) {
  int64_t seconds = tl_floor_div(ns, TL_NS_PER_S);
  int64_t fraction_ns = (int64_t)((uint64_t)ns - (uint64_t)seconds * (uint64_t)TL_NS_PER_S); /* may wrap, then ends right */
  seconds += offset_s;
  int64_t day = tl_floor_div(seconds, 86400), in_day = seconds - day * 86400;
  p = put_day(p, (int32_t)day);
  *p++ = 'T';
  p = put_digits(p, in_day / 3600, 2);
  *p++ = ':';
  p = put_digits(p, in_day / 60 % 60, 2);
  *p++ = ':';
  p = put_digits(p, in_day % 60, 2);
  if (digits == 0 || (digits < 0 && fraction_ns == 0)) return p;
  *p++ = '.';
  put_digits(p, fraction_ns, 9);
  if (digits < 0)
    for (digits = 9; p[digits - 1] == '0';) digits--;
  return p + (digits < 9 ? digits : 9);
}

size_t tl_time_format(int64_t ns, int digits, char out[TL_TIME_TEXT_MAX]) {
  char *p = put_time(out, ns, 0, digits);
  *p++ = 'Z';
  *p = 0;
  return (size_t)(p - out);
}

size_t tl_time_format_offset(int64_t ns, int32_t offset_s, int digits, char out[TL_TIME_TEXT_MAX]) {
  char *p = put_time(out, ns, offset_s, digits);
  int32_t size_s = offset_s < 0 ? -offset_s : offset_s;
  *p++ = offset_s < 0 ? '-' : '+';
  p = put_digits(p, size_s / 3600, 2);
  *p++ = ':';
  p = put_digits(p, size_s / 60 % 60, 2);
  *p = 0;
  return (size_t)(p - out);
}

/* ---- bar intervals ---- */

static const struct {
  const char *brief, *name, *vendor, *spellings[5]; /* spellings in any letter case; "m" and "M" apart */
  int64_t length_s;
} units[] = {
  [TL_SECOND] = {"s", "sec", "Sec", {"s", "sec", "second", "seconds"}, 1},
  [TL_MINUTE] = {"m", "min", "Min", {"t", "min", "minute", "minutes"}, 60},
  [TL_HOUR] = {"h", "hour", "Hour", {"h", "hour", "hours"}, 3600},
  [TL_DAY] = {"d", "day", "Day", {"d", "day", "days"}, 86400},
  [TL_WEEK] = {"w", "week", "Week", {"w", "week", "weeks"}, 7 * 86400},
  [TL_MONTH] = {"mo", "month", "Month", {"mo", "month", "months"}, 30 * 86400},
};

static bool unit_parse(const char *word, tl_unit *out) {
  if (strcmp(word, "m") == 0 || strcmp(word, "M") == 0) {
    *out = *word == 'm' ? TL_MINUTE : TL_MONTH;
    return true;
  }
  for (size_t unit = 0; unit < sizeof units / sizeof units[0]; unit++)
    for (const char *const *spelling = units[unit].spellings; *spelling; spelling++)
      if (strcasecmp(word, *spelling) == 0) {
        *out = (tl_unit)unit;
        return true;
      }
  return false;
}

tl_status tl_interval_parse(const char *text, tl_interval *out, tl_error *err) {
  tl_interval i = {0, TL_SECOND};
  const char *p = text;
  for (; *p >= '0' && *p <= '9' && i.count <= 9999; p++) i.count = i.count * 10 + (*p - '0');
  if (*text == '0' || i.count < 1 || i.count > 9999 || !unit_parse(p, &i.unit))
    return tl_fail(err, TL_EUSAGE, "cannot read interval '%.40s': say 1s, 5m, 1h, 1d, 1w or 1mo", text);
  if (i.unit == TL_SECOND && i.count % 60 == 0) i = (tl_interval){i.count / 60, TL_MINUTE};
  if (i.unit == TL_MINUTE && i.count % 60 == 0) i = (tl_interval){i.count / 60, TL_HOUR};
  *out = i;
  return TL_OK;
}

void tl_interval_short(tl_interval interval, char out[TL_INTERVAL_TEXT_MAX]) {
  snprintf(out, TL_INTERVAL_TEXT_MAX, "%d%s", interval.count, units[interval.unit].brief);
}

void tl_interval_name(tl_interval interval, char out[TL_INTERVAL_TEXT_MAX]) {
  snprintf(out, TL_INTERVAL_TEXT_MAX, "%d%s", interval.count, units[interval.unit].name);
}

void tl_interval_table(tl_interval interval, char out[TL_INTERVAL_TEXT_MAX]) {
  snprintf(out, TL_INTERVAL_TEXT_MAX, "equities_%d%s", interval.count, units[interval.unit].name);
}

void tl_interval_vendor(tl_interval interval, char out[TL_INTERVAL_TEXT_MAX]) {
  snprintf(out, TL_INTERVAL_TEXT_MAX, "%d%s", interval.count, units[interval.unit].vendor);
}

int64_t tl_interval_ns(tl_interval interval) { return interval.count * units[interval.unit].length_s * TL_NS_PER_S; }

/* Number of the interval, counted from the one that holds the unit's origin (see time.h). */
static int64_t interval_index(tl_interval interval, int64_t ns) {
  if (tl_interval_below_day(interval)) return tl_floor_div(ns, tl_interval_ns(interval));
  int32_t day = tl_zone_day(tl_zone_new_york(), ns);
  int year, month, day_of_month;
  switch (interval.unit) {
  case TL_WEEK: return tl_floor_div(tl_floor_div((int64_t)day + 3, 7), interval.count);
  case TL_MONTH:
    tl_civil_from_day(day, &year, &month, &day_of_month);
    return tl_floor_div((year - 1970) * 12 + month - 1, interval.count);
  default: return tl_floor_div(day, interval.count);
  }
}

static int64_t interval_start(tl_interval interval, int64_t index) {
  if (tl_interval_below_day(interval)) return mul_held(index, tl_interval_ns(interval));
  int64_t units_in = index * interval.count;
  if (interval.unit == TL_WEEK) units_in = units_in * 7 - 3;
  if (interval.unit == TL_MONTH) {
    int64_t year = tl_floor_div(units_in, 12);
    units_in = tl_day_from_civil((int)(1970 + year), (int)(units_in - year * 12) + 1, 1);
  }
  return tl_zone_day_start_ns(tl_zone_new_york(), (int32_t)units_in);
}

int64_t tl_interval_floor(tl_interval interval, int64_t ns) {
  return interval_start(interval, interval_index(interval, ns));
}

int64_t tl_interval_next(tl_interval interval, int64_t ns) {
  return interval_start(interval, interval_index(interval, ns) + 1);
}
