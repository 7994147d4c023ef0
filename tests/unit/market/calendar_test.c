/* calendar_test.c - sessions of the exchange. The truth: the list below, made with exchange_calendars 4.13.2 (XNYS) and
 * compared again day by day to 2099 by tests/interop/test_calendar.py, which runs this program with
 * TICKLAKE_CALENDAR_DUMP=1 and reads the sessions it prints. */
#include "market/calendar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define MINUTE (60 * TL_NS_PER_S)

/* Weekdays without trading, and days that close at 13:00, as month and day. */
static const struct {
  int year;
  const char *closed, *early;
} special_days[] = {
  {2000, "0117 0221 0421 0529 0704 0904 1123 1225", "0703 1124"},
  {2001, "0101 0115 0219 0413 0528 0704 0903 0911 0912 0913 0914 1122 1225", "0703 1123 1224"},
  {2002, "0101 0121 0218 0329 0527 0704 0902 1128 1225", "0705 1129 1224"},
  {2003, "0101 0120 0217 0418 0526 0704 0901 1127 1225", "0703 1128 1224 1226"},
  {2004, "0101 0119 0216 0409 0531 0611 0705 0906 1125 1224", "1126"},
  {2005, "0117 0221 0325 0530 0704 0905 1124 1226", "1125"},
  {2006, "0102 0116 0220 0414 0529 0704 0904 1123 1225", "0703 1124"},
  {2007, "0101 0102 0115 0219 0406 0528 0704 0903 1122 1225", "0703 1123 1224"},
  {2008, "0101 0121 0218 0321 0526 0704 0901 1127 1225", "0703 1128 1224"},
  {2009, "0101 0119 0216 0410 0525 0703 0907 1126 1225", "1127 1224"},
  {2010, "0101 0118 0215 0402 0531 0705 0906 1125 1224", "1126"},
  {2011, "0117 0221 0422 0530 0704 0905 1124 1226", "1125"},
  {2012, "0102 0116 0220 0406 0528 0704 0903 1029 1030 1122 1225", "0703 1123 1224"},
  {2013, "0101 0121 0218 0329 0527 0704 0902 1128 1225", "0703 1129 1224"},
  {2014, "0101 0120 0217 0418 0526 0704 0901 1127 1225", "0703 1128 1224"},
  {2015, "0101 0119 0216 0403 0525 0703 0907 1126 1225", "1127 1224"},
  {2016, "0101 0118 0215 0325 0530 0704 0905 1124 1226", "1125"},
  {2017, "0102 0116 0220 0414 0529 0704 0904 1123 1225", "0703 1124"},
  {2018, "0101 0115 0219 0330 0528 0704 0903 1122 1205 1225", "0703 1123 1224"},
  {2019, "0101 0121 0218 0419 0527 0704 0902 1128 1225", "0703 1129 1224"},
  {2020, "0101 0120 0217 0410 0525 0703 0907 1126 1225", "1127 1224"},
  {2021, "0101 0118 0215 0402 0531 0705 0906 1125 1224", "1126"},
  {2022, "0117 0221 0415 0530 0620 0704 0905 1124 1226", "1125"},
  {2023, "0102 0116 0220 0407 0529 0619 0704 0904 1123 1225", "0703 1124"},
  {2024, "0101 0115 0219 0329 0527 0619 0704 0902 1128 1225", "0703 1129 1224"},
  {2025, "0101 0109 0120 0217 0418 0526 0619 0704 0901 1127 1225", "0703 1128 1224"},
  {2026, "0101 0119 0216 0403 0525 0619 0703 0907 1126 1225", "1127 1224"},
};

static int32_t day_of(const char *text) {
  int32_t day = 0;
  assert_true(tl_day_parse(text, strlen(text), &day));
  return day;
}

static int64_t at(const char *text) {
  int64_t ns = 0;
  assert_int_equal(tl_time_parse(text, strlen(text), &ns, NULL), TL_OK);
  return ns;
}

static void every_day_from_2000_to_2026_is_as_listed(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(special_days); i++) {
    int year = special_days[i].year;
    for (int32_t day = tl_day_from_civil(year, 1, 1); day < tl_day_from_civil(year + 1, 1, 1); day++) {
      int y, month, day_of_month;
      char text[16];
      tl_session session;
      tl_civil_from_day(day, &y, &month, &day_of_month);
      snprintf(text, sizeof text, "%02d%02d", month, day_of_month);
      bool trades = tl_day_weekday(day) < 5 && !strstr(special_days[i].closed, text);
      bool early = trades && strstr(special_days[i].early, text);
      if (tl_calendar_session(day, &session) != trades) fail_msg("%d-%s: trading day or not", year, text);
      if (trades && session.early_close != early) fail_msg("%d-%s: early close or not", year, text);
    }
  }
}

static void sessions_have_new_york_hours(void **state) {
  (void)state;
  static const struct {
    const char *day, *extended_start, *open, *close, *extended_end;
    bool early;
  } cases[] = {
    {"2024-11-04", "09:00", "14:30", "21:00", "01:00", false}, /* winter: UTC is five hours ahead */
    {"2024-11-01", "08:00", "13:30", "20:00", "00:00", false}, /* summer: four */
    {"2024-03-08", "09:00", "14:30", "21:00", "01:00", false}, /* the Friday before the clocks change, */
    {"2024-03-11", "08:00", "13:30", "20:00", "00:00", false}, /* and the Monday after */
    {"2024-11-29", "09:00", "14:30", "18:00", "22:00", true},  /* day after Thanksgiving: 13:00 and 17:00 */
    {"2024-07-03", "08:00", "13:30", "17:00", "21:00", true},
    {"2024-12-24", "09:00", "14:30", "18:00", "22:00", true},
    {"2006-10-30", "09:00", "14:30", "21:00", "01:00", false}, /* the rules before 2007 */
    {"2000-04-03", "08:00", "13:30", "20:00", "00:00", false},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_session session;
    char text[TL_TIME_TEXT_MAX];
    assert_true(tl_calendar_session(day_of(cases[i].day), &session));
    const int64_t instants[] = {session.extended.start_ns, session.regular.start_ns, session.regular.end_ns, session.extended.end_ns};
    const char *const expected[] = {cases[i].extended_start, cases[i].open, cases[i].close, cases[i].extended_end};
    for (size_t k = 0; k < 4; k++) {
      tl_time_format(instants[k], 0, text);
      assert_memory_equal(text + 11, expected[k], 5);
    }
    assert_int_equal(session.early_close, cases[i].early);
    assert_int_equal(session.day, day_of(cases[i].day));
    assert_true(session.extended.end_ns - session.extended.start_ns == (cases[i].early ? 13 : 16) * 60 * MINUTE);
  }
}

static void outside_its_years_every_weekday_is_a_full_session(void **state) {
  (void)state;
  tl_session session;
  assert_true(tl_calendar_session(day_of("1999-12-24"), &session) && !session.early_close);
  assert_true(tl_calendar_session(day_of("1999-07-05"), &session));
  assert_true(tl_calendar_session(day_of("2100-01-01"), &session));
  assert_false(tl_calendar_session(day_of("1999-12-25"), &session));
  assert_true(tl_calendar_session(106751, &session) || tl_calendar_session(106750, &session)); /* held, no overflow */
}

static void neighbours_skip_holidays_and_weekends(void **state) {
  (void)state;
  assert_int_equal(tl_calendar_next(day_of("2024-11-27")), day_of("2024-11-29"));
  assert_int_equal(tl_calendar_next(day_of("2024-11-29")), day_of("2024-12-02"));
  assert_int_equal(tl_calendar_prev(day_of("2024-12-02")), day_of("2024-11-29"));
  assert_int_equal(tl_calendar_next(day_of("2001-09-10")), day_of("2001-09-17"));
  assert_int_equal(tl_calendar_prev(day_of("2012-10-31")), day_of("2012-10-26"));
  assert_int_equal(tl_calendar_day(at("2024-11-04T04:59:59.999999999Z")), day_of("2024-11-03"));
  assert_int_equal(tl_calendar_day(at("2024-11-04T05:00:00Z")), day_of("2024-11-04"));
}

static tl_range range_of(const char *start, const char *end) {
  tl_range range = {0, 0};
  tl_error err = {0};
  if (tl_days_to_range(start, end, at("2024-11-05T15:00:00Z"), &range, &err)) fail_msg("%s", err.message);
  return range;
}

static void sessions_of_a_range_are_counted_and_measured(void **state) {
  (void)state;
  static const struct {
    const char *start, *end;
    int64_t sessions, regular_minutes, extended_minutes;
  } cases[] = {
    {"2024-11-04", "2024-11-04", 1, 390, 960},
    {"2024-11-25", "2024-11-29", 4, 3 * 390 + 210, 3 * 960 + 780}, /* Thanksgiving week */
    {"2024-11-28", "2024-11-28", 0, 0, 0},
    {"2024-11-02", "2024-11-03", 0, 0, 0},
    {"2024-01-01", "2024-12-31", 252, 252 * 390 - 3 * 180, 252 * 960 - 3 * 180},
    {"2023-01-01", "2023-12-31", 250, 250 * 390 - 2 * 180, 250 * 960 - 2 * 180},
    {"2001-09-10", "2001-09-17", 2, 780, 1920},
    {"2024-11-04T14:30:00Z", "2024-11-04T14:31:00Z", 1, 1, 1},
    {"2024-11-04T12:00:00Z", "2024-11-04T14:30:00Z", 0, 0, 150},
    {"2024-11-04T20:59:00Z", "2024-11-05T14:31:00Z", 2, 2, 241 + 331},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_range range = range_of(cases[i].start, cases[i].end);
    assert_int_equal(tl_calendar_sessions(range, TL_SESSION_REGULAR), cases[i].sessions);
    assert_int_equal(tl_calendar_session_ns(range, TL_SESSION_REGULAR), cases[i].regular_minutes * MINUTE);
    assert_int_equal(tl_calendar_session_ns(range, TL_SESSION_EXTENDED), cases[i].extended_minutes * MINUTE);
  }
  assert_int_equal(tl_calendar_session_ns(range_of("2024-11-04", "2024-11-04"), TL_SESSION_ALL), 1440 * MINUTE);
  assert_int_equal(tl_calendar_sessions((tl_range){5, 5}, TL_SESSION_ALL), 0);
}

static void bars_are_filtered_by_their_start_or_by_overlap(void **state) {
  (void)state;
  static const struct {
    const char *interval, *start;
    bool regular, extended;
  } cases[] = {
    {"1m", "2024-11-04T14:29:00Z", false, true},
    {"1m", "2024-11-04T14:30:00Z", true, true},
    {"1m", "2024-11-04T20:59:00Z", true, true},
    {"1m", "2024-11-04T21:00:00Z", false, true},
    {"1m", "2024-11-05T00:59:00Z", false, true},
    {"1m", "2024-11-05T01:00:00Z", false, false},
    {"1m", "2024-11-04T08:59:00Z", false, false},
    {"1m", "2024-11-04T09:00:00Z", false, true},
    {"1s", "2024-11-04T14:29:59Z", false, true},
    {"30m", "2024-11-04T14:15:00Z", false, true},
    {"30m", "2024-11-04T20:30:00Z", true, true},
    {"1m", "2024-11-29T17:59:00Z", true, true},   /* half day */
    {"1m", "2024-11-29T18:00:00Z", false, true},
    {"1m", "2024-11-29T22:00:00Z", false, false},
    {"1m", "2024-11-28T15:00:00Z", false, false}, /* Thanksgiving */
    {"1m", "2024-11-03T15:00:00Z", false, false}, /* Sunday */
    {"1h", "2024-11-04T13:00:00Z", false, true},
    {"1h", "2024-11-04T14:00:00Z", true, true},   /* 14:30 lies in it */
    {"1h", "2024-11-04T20:00:00Z", true, true},
    {"1h", "2024-11-04T21:00:00Z", false, true},
    {"1h", "2024-11-04T08:00:00Z", false, false},
    {"12h", "2024-11-04T00:00:00Z", false, true}, /* from Sunday evening into Monday's pre-market */
    {"15h", "2024-11-04T00:00:00Z", true, true},
    {"12h", "2024-11-02T12:00:00Z", false, false},
    {"1d", "2024-11-28T05:00:00Z", true, true},   /* a day or longer always passes */
    {"1w", "2024-11-04T05:00:00Z", true, true},
    {"1mo", "2024-11-01T04:00:00Z", true, true},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_interval interval;
    assert_int_equal(tl_interval_parse(cases[i].interval, &interval, NULL), TL_OK);
    tl_session_filter regular = tl_session_filter_of(TL_SESSION_REGULAR, interval);
    tl_session_filter extended = tl_session_filter_of(TL_SESSION_EXTENDED, interval);
    tl_session_filter all = tl_session_filter_of(TL_SESSION_ALL, interval);
    for (int again = 0; again < 2; again++) { /* the second time from what the filter keeps */
      if (tl_session_filter_pass(&regular, at(cases[i].start)) != cases[i].regular) fail_msg("%s regular", cases[i].start);
      if (tl_session_filter_pass(&extended, at(cases[i].start)) != cases[i].extended) fail_msg("%s extended", cases[i].start);
      assert_true(tl_session_filter_pass(&all, at(cases[i].start)));
    }
  }
}

static void a_filter_gives_the_same_answers_in_any_order(void **state) {
  (void)state;
  tl_prng prng = tl_prng_init(9);
  tl_session_filter kept = tl_session_filter_of(TL_SESSION_EXTENDED, (tl_interval){1, TL_MINUTE});
  int64_t start = at("2024-10-01T00:00:00Z");
  for (int i = 0; i < 20000; i++) {
    int64_t ns = start + (int64_t)tl_prng_below(&prng, 100 * 1440) * MINUTE;
    tl_session_filter fresh = tl_session_filter_of(TL_SESSION_EXTENDED, (tl_interval){1, TL_MINUTE});
    assert_int_equal(tl_session_filter_pass(&kept, ns), tl_session_filter_pass(&fresh, ns));
  }
}

static void sessions_have_three_names(void **state) {
  (void)state;
  tl_session_kind kind = TL_SESSION_ALL;
  assert_true(tl_session_kind_parse("regular", &kind) && kind == TL_SESSION_REGULAR);
  assert_true(tl_session_kind_parse("extended", &kind) && kind == TL_SESSION_EXTENDED);
  assert_true(tl_session_kind_parse("all", &kind) && kind == TL_SESSION_ALL);
  assert_false(tl_session_kind_parse("Regular", &kind) || tl_session_kind_parse("", &kind));
}

static void start_and_end_are_days_or_instants(void **state) {
  (void)state;
  static const struct {
    const char *start, *end, *from, *to; /* to NULL: refused, and `from` is in the message */
  } cases[] = { /* now is 2024-11-05 10:00 in New York */
    {"2024-11-04", "2024-11-04", "2024-11-04T05:00:00Z", "2024-11-05T05:00:00Z"},
    {"2024-11-03", "2024-11-03", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"},
    {"2024-03-10", "2024-03-10", "2024-03-10T05:00:00Z", "2024-03-11T04:00:00Z"},
    {"2024-02-29", "2024-03-01", "2024-02-29T05:00:00Z", "2024-03-02T05:00:00Z"},
    {"2024-12-31", "2024-12-31", "2024-12-31T05:00:00Z", "2025-01-01T05:00:00Z"},
    {"2024-11-04T14:30:00Z", "2024-11-04T21:00:00Z", "2024-11-04T14:30:00Z", "2024-11-04T21:00:00Z"},
    {"2024-11-04T09:30:00-05:00", "2024-11-04", "2024-11-04T14:30:00Z", "2024-11-05T05:00:00Z"},
    {"2024-11-04", "2024-11-04T16:00:00-05:00", "2024-11-04T05:00:00Z", "2024-11-04T21:00:00Z"},
    {"today", "now", "2024-11-05T05:00:00Z", "2024-11-05T15:00:00Z"},
    {"yesterday", "today", "2024-11-04T05:00:00Z", "2024-11-06T05:00:00Z"},
    {"Yesterday", "YESTERDAY", "2024-11-04T05:00:00Z", "2024-11-05T05:00:00Z"},
    {"1969-12-31", "1970-01-01", "1969-12-31T05:00:00Z", "1970-01-02T05:00:00Z"},
    {"2024-11-05", "2024-11-04", "empty", NULL},
    {"2024-11-04T14:30:00Z", "2024-11-04T14:30:00Z", "empty", NULL},
    {"2024-11-31", "2024-12-01", "START '2024-11-31'", NULL},
    {"2024-11-01", "tomorrow", "END 'tomorrow'", NULL},
    {"2024-11-01", "", "END ''", NULL},
    {"2024-11-04T14:30:00", "2024-11-05", "START: cannot read time '2024-11-04T14:30:00'", NULL},
    {"2024-11-04", "2024-11-05T24:00:00Z", "END: cannot read time", NULL},
    {"2024-11-04", "9999-12-31T00:00:00Z", "outside", NULL},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_range range = {1, 2};
    tl_error err = {0};
    tl_status st = tl_days_to_range(cases[i].start, cases[i].end, at("2024-11-05T15:00:00Z"), &range, &err);
    if (cases[i].to) {
      if (st) fail_msg("%s", err.message);
      assert_int_equal(range.start_ns, at(cases[i].from));
      assert_int_equal(range.end_ns, at(cases[i].to));
    } else {
      assert_int_equal(st, TL_EUSAGE);
      assert_int_equal(err.status, TL_EUSAGE);
      if (!strstr(err.message, cases[i].from)) fail_msg("'%s' lacks '%s'", err.message, cases[i].from);
      assert_true(range.start_ns == 1 && range.end_ns == 2);
    }
  }
  assert_int_equal(range_of("2024-01-01", "9999-12-31").end_ns, INT64_MAX); /* a far day is held at the range's end */
}

static int dump(void) {
  for (int32_t day = tl_day_from_civil(2000, 1, 1); day <= tl_day_from_civil(2099, 12, 31); day++) {
    tl_session session;
    char date[TL_DAY_TEXT_MAX], open[TL_TIME_TEXT_MAX], close[TL_TIME_TEXT_MAX];
    if (!tl_calendar_session(day, &session)) continue;
    tl_day_format(day, date);
    tl_time_format(session.regular.start_ns, 0, open);
    tl_time_format(session.regular.end_ns, 0, close);
    printf("%s %s %s %s\n", date, open, close, session.early_close ? "early" : "full");
  }
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_day_from_2000_to_2026_is_as_listed),
    cmocka_unit_test(sessions_have_new_york_hours),
    cmocka_unit_test(outside_its_years_every_weekday_is_a_full_session),
    cmocka_unit_test(neighbours_skip_holidays_and_weekends),
    cmocka_unit_test(sessions_of_a_range_are_counted_and_measured),
    cmocka_unit_test(bars_are_filtered_by_their_start_or_by_overlap),
    cmocka_unit_test(a_filter_gives_the_same_answers_in_any_order),
    cmocka_unit_test(sessions_have_three_names),
    cmocka_unit_test(start_and_end_are_days_or_instants),
  };
  if (getenv("TICKLAKE_CALENDAR_DUMP")) return dump();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
