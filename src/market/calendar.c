/* calendar.c - holiday rules, sessions, the session filter, START and END; see calendar.h. */
#include "market/calendar.h"

#include <string.h>
#include <strings.h>

#include "market/zone.h"

enum { MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY };
enum { YEAR_FIRST = 2000, YEAR_LAST = 2099 };

typedef struct date {
  int year, month, day, weekday;
} date;

/* ---- rules ---- */

static const struct {
  int year_first, month, day;
  bool friday_when_saturday; /* New Year's Day is not moved into the old year */
} fixed_holidays[] = {
  {2000, 1, 1, false},
  {2022, 6, 19, true}, /* Juneteenth */
  {2000, 7, 4, true},
  {2000, 12, 25, true},
};
static const struct {
  int month, weekday, nth; /* nth 5: the last */
} weekday_holidays[] = {
  {1, MONDAY, 3}, /* Martin Luther King Day */
  {2, MONDAY, 3}, /* Washington's birthday */
  {5, MONDAY, 5}, /* Memorial Day */
  {9, MONDAY, 1}, /* Labor Day */
  {11, THURSDAY, 4}, /* Thanksgiving */
};
static const struct {
  int year, month, day;
} closed_days[] = {
  {2001, 9, 11}, {2001, 9, 12}, {2001, 9, 13}, {2001, 9, 14}, /* attacks of 11 September */
  {2004, 6, 11},                                              /* mourning of President Reagan */
  {2007, 1, 2},                                               /* of President Ford */
  {2012, 10, 29}, {2012, 10, 30},                             /* hurricane Sandy */
  {2018, 12, 5},                                              /* of President G. H. W. Bush */
  {2025, 1, 9},                                               /* of President Carter */
}, early_days[] = {
  {2002, 7, 5}, {2003, 12, 26},
};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static date date_of(int32_t day) {
  date d = {.weekday = tl_day_weekday(day)};
  tl_civil_from_day(day, &d.year, &d.month, &d.day);
  return d;
}

static int32_t easter(int year) { /* Sunday; the anonymous Gregorian computus */
  int golden = year % 19, century = year / 100, in_century = year % 100;
  int epact = (19 * golden + century - century / 4 - (century - (century + 8) / 25 + 1) / 3 + 15) % 30;
  int weekday = (32 + 2 * (century % 4) + 2 * (in_century / 4) - epact - in_century % 4) % 7;
  int late = (golden + 11 * epact + 22 * weekday) / 451;
  int days = epact + weekday - 7 * late + 114;
  return tl_day_from_civil(year, days / 31, days % 31 + 1);
}

static bool is_fixed_holiday(int32_t day, date d) {
  for (size_t i = 0; i < COUNT(fixed_holidays); i++) {
    if (d.year < fixed_holidays[i].year_first) continue;
    int32_t on = tl_day_from_civil(d.year, fixed_holidays[i].month, fixed_holidays[i].day);
    int weekday = tl_day_weekday(on);
    if (weekday == SUNDAY) on++;
    if (weekday == SATURDAY && fixed_holidays[i].friday_when_saturday) on--;
    if (on == day) return true;
  }
  return false;
}

static bool is_weekday_holiday(date d) {
  for (size_t i = 0; i < COUNT(weekday_holidays); i++) {
    if (d.month != weekday_holidays[i].month || d.weekday != weekday_holidays[i].weekday) continue;
    int nth = weekday_holidays[i].nth;
    if (nth == 5 ? d.day > tl_days_in_month(d.year, d.month) - 7 : (d.day - 1) / 7 + 1 == nth) return true;
  }
  return false;
}

static bool is_closed(int32_t day, date d) {
  if (d.weekday >= SATURDAY) return true;
  if (d.year < YEAR_FIRST || d.year > YEAR_LAST) return false;
  for (size_t i = 0; i < COUNT(closed_days); i++)
    if (d.year == closed_days[i].year && d.month == closed_days[i].month && d.day == closed_days[i].day) return true;
  return is_fixed_holiday(day, d) || is_weekday_holiday(d) || day == easter(d.year) - 2;
}

static bool is_early(date d) { /* of a day that trades */
  if (d.year < YEAR_FIRST || d.year > YEAR_LAST) return false;
  for (size_t i = 0; i < COUNT(early_days); i++)
    if (d.year == early_days[i].year && d.month == early_days[i].month && d.day == early_days[i].day) return true;
  if (d.month == 11 && d.weekday == FRIDAY) return d.day >= 23 && d.day <= 29; /* after the fourth Thursday */
  if (d.month == 12 && d.day == 24) return true;
  return d.month == 7 && d.day == 3 && d.weekday != FRIDAY && (d.weekday != WEDNESDAY || d.year >= 2013);
}

/* ---- sessions ---- */

int32_t tl_calendar_day(int64_t ns) { return tl_zone_day(tl_zone_new_york(), ns); }

int64_t tl_calendar_day_start_ns(int32_t day) { return tl_zone_day_start_ns(tl_zone_new_york(), day); }

static int64_t minutes_after(int64_t ns, int minutes) {
  int64_t sum;
  return __builtin_add_overflow(ns, minutes * 60 * TL_NS_PER_S, &sum) ? INT64_MAX : sum;
}

bool tl_calendar_session(int32_t day, tl_session *out) {
  date d = date_of(day);
  if (is_closed(day, d)) return false;
  if (!out) return true;
  bool early = is_early(d);
  /* the clock changes at 02:00, so from 04:00 on the day has one offset */
  int64_t four_ns = tl_zone_utc_ns(tl_zone_new_york(), minutes_after(tl_day_ns(day), 240));
  *out = (tl_session){
    .day = day,
    .early_close = early,
    .regular = {minutes_after(four_ns, 330), minutes_after(four_ns, early ? 540 : 720)},
    .extended = {four_ns, minutes_after(four_ns, early ? 780 : 960)},
  };
  return true;
}

int32_t tl_calendar_next(int32_t day) {
  do day++;
  while (!tl_calendar_session(day, NULL));
  return day;
}

int32_t tl_calendar_prev(int32_t day) {
  do day--;
  while (!tl_calendar_session(day, NULL));
  return day;
}

bool tl_session_kind_parse(const char *text, tl_session_kind *out) {
  static const char *const names[] = {[TL_SESSION_ALL] = "all", [TL_SESSION_REGULAR] = "regular",
                                      [TL_SESSION_EXTENDED] = "extended"};
  for (size_t i = 0; i < COUNT(names); i++)
    if (strcmp(text, names[i]) == 0) {
      *out = (tl_session_kind)i;
      return true;
    }
  return false;
}

static tl_range day_range(int32_t day) {
  return (tl_range){tl_calendar_day_start_ns(day), tl_calendar_day_start_ns(day + 1)};
}

tl_range tl_session_window(const tl_session *session, tl_session_kind kind) {
  if (kind == TL_SESSION_ALL) return day_range(session->day);
  return kind == TL_SESSION_REGULAR ? session->regular : session->extended;
}

tl_session_iter tl_session_iter_of(tl_range range, tl_session_kind kind) {
  return (tl_session_iter){range, kind, tl_calendar_day(range.start_ns)};
}

bool tl_session_iter_next(tl_session_iter *iter, tl_session *out) {
  if (tl_range_empty(iter->range)) return false;
  int32_t last = tl_calendar_day(iter->range.end_ns - 1);
  while (iter->day <= last) {
    if (tl_calendar_session(iter->day++, out) && tl_range_overlaps(tl_session_window(out, iter->kind), iter->range))
      return true;
  }
  return false;
}

int64_t tl_calendar_sessions(tl_range range, tl_session_kind kind) {
  tl_session session;
  int64_t count = 0;
  for (tl_session_iter it = tl_session_iter_of(range, kind); tl_session_iter_next(&it, &session);) count++;
  return count;
}

int64_t tl_calendar_session_ns(tl_range range, tl_session_kind kind) {
  tl_session session;
  int64_t sum_ns = 0;
  for (tl_session_iter it = tl_session_iter_of(range, kind); tl_session_iter_next(&it, &session);) {
    tl_range inside = tl_range_clip(tl_session_window(&session, kind), range);
    sum_ns += inside.end_ns - inside.start_ns;
  }
  return sum_ns;
}

/* ---- filter ---- */

tl_session_filter tl_session_filter_of(tl_session_kind kind, tl_interval interval) {
  return (tl_session_filter){.kind = kind, .interval = interval};
}

bool tl_session_filter_pass(tl_session_filter *filter, int64_t start_ns) {
  if (filter->kind == TL_SESSION_ALL || !tl_interval_below_day(filter->interval)) return true;
  if (!tl_range_holds(filter->day, start_ns)) {
    tl_session session;
    int32_t day = tl_calendar_day(start_ns);
    filter->day = day_range(day);
    filter->window = (tl_range){0, 0};
    if (tl_calendar_session(day, &session)) filter->window = tl_session_window(&session, filter->kind);
  }
  int64_t length_ns = tl_interval_ns(filter->interval);
  if (length_ns <= 1800 * TL_NS_PER_S) return tl_range_holds(filter->window, start_ns);
  tl_range bar = {start_ns, 0};
  if (__builtin_add_overflow(start_ns, length_ns, &bar.end_ns)) bar.end_ns = INT64_MAX;
  if (bar.end_ns <= filter->day.end_ns) return tl_range_overlaps(filter->window, bar);
  tl_session_iter it = tl_session_iter_of(bar, filter->kind); /* reaches into the next day */
  tl_session session;
  return tl_session_iter_next(&it, &session);
}

/* ---- START END ---- */

static tl_status parse_bound(const char *which, const char *text, bool is_end, int64_t now_ns, int64_t *out_ns,
                             tl_error *err) {
  int32_t day = 0;
  size_t len = strlen(text);
  if (strcasecmp(text, "now") == 0) {
    *out_ns = now_ns;
    return TL_OK;
  }
  if (strcasecmp(text, "today") == 0) day = tl_calendar_day(now_ns);
  else if (strcasecmp(text, "yesterday") == 0) day = tl_calendar_day(now_ns) - 1;
  else if (!tl_day_parse(text, len, &day)) {
    if (len > 10) return tl_time_parse(text, len, out_ns, err) ? tl_fail_within(err, TL_EUSAGE, "%s", which) : TL_OK;
    return tl_fail(err, TL_EUSAGE,
                   "cannot read %s '%s': say a date such as 2024-11-04, an instant such as 2024-11-04T14:30:00Z, "
                   "today, yesterday or now",
                   which, text);
  }
  *out_ns = tl_calendar_day_start_ns(day + is_end);
  return TL_OK;
}

tl_status tl_days_to_range(const char *start, const char *end, int64_t now_ns, tl_range *out, tl_error *err) {
  tl_range range = {0, 0};
  tl_status st = parse_bound("START", start, false, now_ns, &range.start_ns, err);
  if (!st) st = parse_bound("END", end, true, now_ns, &range.end_ns, err);
  if (st) return st;
  if (tl_range_empty(range))
    return tl_fail(err, TL_EUSAGE, "the range from %.64s to %.64s is empty: END must lie after START", start, end);
  *out = range;
  return TL_OK;
}
