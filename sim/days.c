/* days.c - holidays by rule, two closures by decree, New York's daylight saving time, date texts. */
#include "sim/days.h"

#include <pthread.h>
#include <string.h>

int64_t sim_day_from(int year, int month, int day) { /* Hinnant's days_from_civil */
  int64_t y = year - (month <= 2);
  int64_t era = sim_floor_div(y, 400), yoe = y - era * 400;
  int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

void sim_day_split(int64_t day, int *year, int *month, int *day_of_month) {
  int64_t z = day + 719468, era = sim_floor_div(z, 146097), doe = z - era * 146097;
  int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
  *day_of_month = (int)(doy - (153 * mp + 2) / 5 + 1);
  *month = (int)(mp < 10 ? mp + 3 : mp - 9);
  *year = (int)(yoe + era * 400 + (*month <= 2));
}

int sim_day_weekday(int64_t day) {
  int64_t w = (day + 3) % 7; /* 1970-01-01 was a Thursday */
  return (int)(w < 0 ? w + 7 : w);
}

/* The n-th (from 1) given weekday of a month; n 0 means the last one. */
static int64_t nth_weekday(int year, int month, int weekday, int n) {
  if (n == 0) {
    int64_t last = (month == 12 ? sim_day_from(year + 1, 1, 1) : sim_day_from(year, month + 1, 1)) - 1;
    return last - (sim_day_weekday(last) - weekday + 7) % 7;
  }
  int64_t first = sim_day_from(year, month, 1);
  return first + (weekday - sim_day_weekday(first) + 7) % 7 + 7 * (n - 1);
}

static int64_t easter_sunday(int year) { /* Gregorian computus (Meeus, Jones, Butcher) */
  int a = year % 19, b = year / 100, c = year % 100, d = b / 4, e = b % 4, f = (b + 8) / 25, g = (b - f + 1) / 3;
  int h = (19 * a + b - d - g + 15) % 30, i = c / 4, k = c % 4, l = (32 + 2 * e + 2 * i - h - k) % 7;
  int m = (a + 11 * h + 22 * l) / 451, month = (h + l - 7 * m + 114) / 31, day = (h + l - 7 * m + 114) % 31 + 1;
  return sim_day_from(year, month, day);
}

static unsigned char sessions[SIM_LAST_DAY - SIM_FIRST_DAY + 1];
static int64_t dst_start[16], dst_end[16]; /* 2016.. : the two Sundays of each year */
static pthread_once_t sessions_once = PTHREAD_ONCE_INIT;

static void set_day(int64_t day, sim_session session) {
  if (day >= SIM_FIRST_DAY && day <= SIM_LAST_DAY && sim_day_weekday(day) < 5)
    sessions[day - SIM_FIRST_DAY] = (unsigned char)session;
}

/* A fixed-date holiday: Sunday moves to Monday, Saturday to Friday. */
static void close_observed(int64_t day) {
  int w = sim_day_weekday(day);
  set_day(w == 6 ? day + 1 : w == 5 ? day - 1 : day, SIM_CLOSED);
}

static void fill_year(int year) {
  int64_t july4 = sim_day_from(year, 7, 4), christmas = sim_day_from(year, 12, 25);
  int64_t new_year = sim_day_from(year, 1, 1), thanksgiving = nth_weekday(year, 11, 3, 4);
  set_day(thanksgiving + 1, SIM_HALF);
  if (sim_day_weekday(july4) >= 1 && sim_day_weekday(july4) <= 4) set_day(july4 - 1, SIM_HALF);
  if (sim_day_weekday(christmas) >= 1 && sim_day_weekday(christmas) <= 4) set_day(christmas - 1, SIM_HALF);
  if (sim_day_weekday(new_year) != 5) close_observed(new_year); /* a Saturday New Year is not made up for */
  set_day(nth_weekday(year, 1, 0, 3), SIM_CLOSED);              /* Martin Luther King */
  set_day(nth_weekday(year, 2, 0, 3), SIM_CLOSED);              /* Presidents */
  set_day(easter_sunday(year) - 2, SIM_CLOSED);
  set_day(nth_weekday(year, 5, 0, 0), SIM_CLOSED); /* Memorial Day */
  if (year >= 2022) close_observed(sim_day_from(year, 6, 19));
  close_observed(july4);
  set_day(nth_weekday(year, 9, 0, 1), SIM_CLOSED); /* Labor Day */
  set_day(thanksgiving, SIM_CLOSED);
  close_observed(christmas);
}

static void fill_sessions(void) {
  for (int64_t d = SIM_FIRST_DAY; d <= SIM_LAST_DAY; d++) set_day(d, SIM_WHOLE);
  for (int year = 2016; year <= 2030; year++) fill_year(year);
  set_day(sim_day_from(2018, 12, 5), SIM_CLOSED); /* mourning for G. H. W. Bush */
  set_day(sim_day_from(2025, 1, 9), SIM_CLOSED);  /* mourning for J. Carter */
  for (int i = 0; i < 16; i++) {
    dst_start[i] = nth_weekday(2016 + i, 3, 6, 2);
    dst_end[i] = nth_weekday(2016 + i, 11, 6, 1);
  }
}

sim_session sim_day_session(int64_t day) {
  pthread_once(&sessions_once, fill_sessions);
  if (day < SIM_FIRST_DAY || day > SIM_LAST_DAY) return SIM_CLOSED;
  return (sim_session)sessions[day - SIM_FIRST_DAY];
}

static void dst_sundays(int64_t day, int64_t *start, int64_t *end) {
  int year, month, dom;
  sim_day_split(day, &year, &month, &dom);
  pthread_once(&sessions_once, fill_sessions);
  if (year >= 2016 && year < 2032) {
    *start = dst_start[year - 2016];
    *end = dst_end[year - 2016];
  } else {
    *start = nth_weekday(year, 3, 6, 2);
    *end = nth_weekday(year, 11, 6, 1);
  }
}

int64_t sim_day_midnight_ns(int64_t day) { /* clocks move at 02:00, so midnight still has the old offset */
  int64_t start, end;
  dst_sundays(day, &start, &end);
  return day * SIM_DAY_NS + (day > start && day <= end ? 4 : 5) * 3600 * SIM_NS;
}

int64_t sim_day_start_ns(int64_t day) {
  int64_t start, end;
  dst_sundays(day, &start, &end);
  return day * SIM_DAY_NS + ((day >= start && day < end ? 4 : 5) + 4) * 3600 * SIM_NS;
}

int sim_day_offset_hours(int64_t t_ns) {
  int64_t start, end, utc_day = sim_floor_div(t_ns, SIM_DAY_NS);
  dst_sundays(utc_day, &start, &end);
  int64_t from = start * SIM_DAY_NS + 7 * 3600 * SIM_NS, to = end * SIM_DAY_NS + 6 * 3600 * SIM_NS;
  return t_ns >= from && t_ns < to ? -4 : -5;
}

int64_t sim_day_of(int64_t t_ns) {
  return sim_floor_div(t_ns + sim_day_offset_hours(t_ns) * 3600 * SIM_NS, SIM_DAY_NS);
}

static bool digits(const char *text, int count, int *value) {
  *value = 0;
  for (int i = 0; i < count; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    *value = *value * 10 + (text[i] - '0');
  }
  return true;
}

bool sim_day_parse(const char *text, size_t len, int64_t *day) {
  int y, m, d, y2, m2, d2;
  if (len != 10 || text[4] != '-' || text[7] != '-') return false;
  if (!digits(text, 4, &y) || !digits(text + 5, 2, &m) || !digits(text + 8, 2, &d)) return false;
  if (m < 1 || m > 12 || d < 1 || d > 31 || y < 1) return false;
  *day = sim_day_from(y, m, d);
  sim_day_split(*day, &y2, &m2, &d2);
  return y2 == y && m2 == m && d2 == d;
}

/* Reads "Z", "+hh:mm" or "-hh:mm" at the end of a time. */
static bool offset_parse(const char *text, size_t len, int *seconds) {
  int h, m;
  if (len == 1 && (text[0] == 'Z' || text[0] == 'z')) {
    *seconds = 0;
    return true;
  }
  if (len != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return false;
  if (!digits(text + 1, 2, &h) || !digits(text + 4, 2, &m) || h > 23 || m > 59) return false;
  *seconds = (h * 3600 + m * 60) * (text[0] == '-' ? -1 : 1);
  return true;
}

bool sim_time_parse(const char *text, size_t len, int64_t *t_ns) {
  int64_t day;
  int h, m, s, offset, fraction = 0, scale = (int)SIM_NS;
  if (len < 20 || !sim_day_parse(text, 10, &day) || (text[10] != 'T' && text[10] != 't')) return false;
  if (!digits(text + 11, 2, &h) || text[13] != ':' || !digits(text + 14, 2, &m) || text[16] != ':') return false;
  if (!digits(text + 17, 2, &s) || h > 23 || m > 59 || s > 59) return false;
  size_t at = 19;
  if (text[at] == '.') {
    size_t first = ++at;
    while (at < len && text[at] >= '0' && text[at] <= '9' && at - first < 9) {
      fraction = fraction * 10 + (text[at++] - '0');
      scale /= 10;
    }
    if (at == first) return false;
    fraction *= scale;
  }
  if (!offset_parse(text + at, len - at, &offset)) return false;
  if (day < -100000 || day > 100000) { /* far outside any data: keep the sign, avoid overflow */
    *t_ns = day < 0 ? INT64_MIN / 2 : INT64_MAX / 2;
    return true;
  }
  *t_ns = (day * 86400 + h * 3600 + m * 60 + s - offset) * SIM_NS + fraction;
  return true;
}
