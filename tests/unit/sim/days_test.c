/* The calendar against a list of known closures and early closes, the clock against instants known by heart. */
#include "sim/days.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Weekdays on which the New York Stock Exchange was or will be closed, from its published calendars. */
static const char *const closed[] = {
    "2016-01-01", "2016-01-18", "2016-02-15", "2016-03-25", "2016-05-30", "2016-07-04", "2016-09-05", "2016-11-24", "2016-12-26",
    "2017-01-02", "2017-01-16", "2017-02-20", "2017-04-14", "2017-05-29", "2017-07-04", "2017-09-04", "2017-11-23", "2017-12-25",
    "2018-01-01", "2018-01-15", "2018-02-19", "2018-03-30", "2018-05-28", "2018-07-04", "2018-09-03", "2018-11-22", "2018-12-05", "2018-12-25",
    "2019-01-01", "2019-01-21", "2019-02-18", "2019-04-19", "2019-05-27", "2019-07-04", "2019-09-02", "2019-11-28", "2019-12-25",
    "2020-01-01", "2020-01-20", "2020-02-17", "2020-04-10", "2020-05-25", "2020-07-03", "2020-09-07", "2020-11-26", "2020-12-25",
    "2021-01-01", "2021-01-18", "2021-02-15", "2021-04-02", "2021-05-31", "2021-07-05", "2021-09-06", "2021-11-25", "2021-12-24",
    "2022-01-17", "2022-02-21", "2022-04-15", "2022-05-30", "2022-06-20", "2022-07-04", "2022-09-05", "2022-11-24", "2022-12-26",
    "2023-01-02", "2023-01-16", "2023-02-20", "2023-04-07", "2023-05-29", "2023-06-19", "2023-07-04", "2023-09-04", "2023-11-23", "2023-12-25",
    "2024-01-01", "2024-01-15", "2024-02-19", "2024-03-29", "2024-05-27", "2024-06-19", "2024-07-04", "2024-09-02", "2024-11-28", "2024-12-25",
    "2025-01-01", "2025-01-09", "2025-01-20", "2025-02-17", "2025-04-18", "2025-05-26", "2025-06-19", "2025-07-04", "2025-09-01", "2025-11-27", "2025-12-25",
    "2026-01-01", "2026-01-19", "2026-02-16", "2026-04-03", "2026-05-25", "2026-06-19", "2026-07-03", "2026-09-07", "2026-11-26", "2026-12-25",
};
static const char *const half[] = {
    "2016-11-25", "2017-07-03", "2017-11-24", "2018-07-03", "2018-11-23", "2018-12-24", "2019-07-03", "2019-11-29", "2019-12-24",
    "2020-11-27", "2020-12-24", "2021-11-26", "2022-11-25", "2023-07-03", "2023-11-24", "2024-07-03", "2024-11-29", "2024-12-24",
    "2025-07-03", "2025-11-28", "2025-12-24", "2026-11-27", "2026-12-24",
};

static int64_t day_of(const char *text) {
  int64_t day = 0;
  assert_true(sim_day_parse(text, strlen(text), &day));
  return day;
}
static bool in(const char *const *list, size_t count, int64_t day) {
  for (size_t i = 0; i < count; i++)
    if (day_of(list[i]) == day) return true;
  return false;
}

static void every_day_from_2016_to_2026_is_open_half_or_closed_as_the_exchange_says(void **state) {
  (void)state;
  int weekday = 4; /* 2016-01-01 was a Friday */
  for (int64_t day = day_of("2016-01-01"); day <= day_of("2026-12-31"); day++, weekday = (weekday + 1) % 7) {
    sim_session want = weekday > 4 || in(closed, sizeof closed / sizeof *closed, day) ? SIM_CLOSED
                       : in(half, sizeof half / sizeof *half, day)                   ? SIM_HALF
                                                                                     : SIM_WHOLE;
    assert_int_equal(sim_day_weekday(day), weekday);
    assert_int_equal(sim_day_session(day), want);
  }
}

static void years_outside_the_table_are_closed(void **state) {
  (void)state;
  assert_int_equal(sim_day_session(day_of("2015-12-31")), SIM_CLOSED);
  assert_int_equal(sim_day_session(day_of("2031-01-02")), SIM_CLOSED);
  assert_int_equal(sim_day_session(day_of("2030-12-31")), SIM_WHOLE);
}

static int64_t instant(const char *text) {
  int64_t t = 0;
  assert_true(sim_time_parse(text, strlen(text), &t));
  return t;
}

static void new_york_days_begin_at_5_in_winter_and_4_in_summer(void **state) {
  (void)state;
  static const struct {
    const char *day, *midnight, *four_in_the_morning;
  } cases[] = {
      {"2024-03-08", "2024-03-08T05:00:00Z", "2024-03-08T09:00:00Z"}, {"2024-03-10", "2024-03-10T05:00:00Z", "2024-03-10T08:00:00Z"},
      {"2024-03-11", "2024-03-11T04:00:00Z", "2024-03-11T08:00:00Z"}, {"2024-11-01", "2024-11-01T04:00:00Z", "2024-11-01T08:00:00Z"},
      {"2024-11-03", "2024-11-03T04:00:00Z", "2024-11-03T09:00:00Z"}, {"2024-11-04", "2024-11-04T05:00:00Z", "2024-11-04T09:00:00Z"},
      {"2026-03-09", "2026-03-09T04:00:00Z", "2026-03-09T08:00:00Z"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t day = day_of(cases[i].day);
    assert_int_equal(sim_day_midnight_ns(day), instant(cases[i].midnight));
    assert_int_equal(sim_day_start_ns(day), instant(cases[i].four_in_the_morning));
    assert_int_equal(sim_day_of(instant(cases[i].midnight)), day);
    assert_int_equal(sim_day_of(instant(cases[i].midnight) - 1), day - 1);
  }
  assert_int_equal(sim_day_offset_hours(instant("2024-03-10T06:59:59Z")), -5);
  assert_int_equal(sim_day_offset_hours(instant("2024-03-10T07:00:00Z")), -4);
  assert_int_equal(sim_day_offset_hours(instant("2024-11-03T05:59:59Z")), -4);
  assert_int_equal(sim_day_offset_hours(instant("2024-11-03T06:00:00Z")), -5);
}

static void times_are_read_with_any_offset_and_up_to_nine_digits(void **state) {
  (void)state;
  assert_int_equal(instant("1970-01-01T00:00:01Z"), SIM_NS);
  assert_int_equal(instant("2024-03-11T09:30:00-04:00"), instant("2024-03-11T13:30:00Z"));
  assert_int_equal(instant("2024-03-11T13:30:00.5Z") - instant("2024-03-11T13:30:00Z"), 500000000);
  assert_int_equal(instant("2024-03-11T13:30:00.000000001Z") - instant("2024-03-11T13:30:00Z"), 1);
  assert_int_equal(instant("1969-12-31T23:59:59.999999999Z"), -1);
  static const char *const bad[] = {"2024-02-30T00:00:00Z", "2024-03-11", "2024-03-11T24:00:00Z", "2024-03-11T00:00:00", "2024-03-11T00:00:00.Z",
                                    "2024-03-11T00:00:00.1234567890Z", "2024-03-11T00:00:00+0400", "x"};
  int64_t t;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(sim_time_parse(bad[i], strlen(bad[i]), &t));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_day_from_2016_to_2026_is_open_half_or_closed_as_the_exchange_says),
      cmocka_unit_test(years_outside_the_table_are_closed),
      cmocka_unit_test(new_york_days_begin_at_5_in_winter_and_4_in_summer),
      cmocka_unit_test(times_are_read_with_any_offset_and_up_to_nine_digits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
