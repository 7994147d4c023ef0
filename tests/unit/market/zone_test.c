/* zone_test.c - civil time of places. The truth: the C library's localtime_r on the same zone data, tables by hand. */
#include "market/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/prng.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define S TL_NS_PER_S

static int64_t at(const char *text) {
  int64_t ns = 0;
  assert_int_equal(tl_time_parse(text, strlen(text), &ns, NULL), TL_OK);
  return ns;
}

static tl_zone *zone_of(const char *name) {
  tl_zone *zone = NULL;
  tl_error err = {0};
  if (tl_zone_open(name, &zone, &err)) fail_msg("%s", err.message);
  return zone;
}

static void set_tz(const char *name) {
  setenv("TZ", name, 1);
  tzset();
}

static int32_t libc_offset_s(int64_t seconds) {
  time_t when = (time_t)seconds;
  struct tm tm;
  localtime_r(&when, &tm);
  return (int32_t)tm.tm_gmtoff;
}

static void offsets_agree_with_the_c_library(void **state) {
  (void)state;
  static const char *const names[] = {"UTC", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Europe/Dublin", "Africa/Casablanca",
                                      "Europe/London", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Gaza", "America/Nuuk"};
  tl_prng prng = tl_prng_init(7);
  for (size_t i = 0; i < COUNT(names); i++) {
    tl_zone *zone = zone_of(names[i]);
    set_tz(names[i]);
    for (int k = 0; k < 30000; k++) {
      int64_t seconds = (int64_t)tl_prng_below(&prng, 9500000000) - 2300000000; /* 1897 .. 2198 */
      int64_t ns = seconds * S + (int64_t)tl_prng_below(&prng, 1000000000);
      if (tl_zone_offset_s(zone, ns) != libc_offset_s(seconds)) fail_msg("%s differs at %lld", names[i], (long long)seconds);
    }
    tl_zone_close(zone);
  }
}

static void new_york_switches_at_the_second(void **state) {
  (void)state;
  static const struct {
    const char *instant;
    int hours;
  } cases[] = {
    {"2024-03-10T06:59:59.999999999Z", -5}, {"2024-03-10T07:00:00Z", -4}, {"2024-11-03T05:59:59.999999999Z", -4},
    {"2024-11-03T06:00:00Z", -5},           {"2024-03-31T01:00:00Z", -4}, {"1970-01-01T00:00:00Z", -5},
    {"1969-12-31T23:59:59.999999999Z", -5}, {"2006-04-02T07:00:00Z", -4}, {"2006-10-29T06:00:00Z", -5},
    {"2007-03-11T07:00:00Z", -4},           {"2007-11-04T06:00:00Z", -5}, {"2099-07-01T00:00:00Z", -4},
    {"2261-12-31T00:00:00Z", -5},
  };
  static const char *const hosts[] = {"UTC", "America/New_York", "Asia/Kolkata", "Pacific/Apia"};
  for (size_t host = 0; host < COUNT(hosts); host++) { /* the machine's own zone plays no part */
    set_tz(hosts[host]);
    for (size_t i = 0; i < COUNT(cases); i++) {
      assert_int_equal(tl_zone_offset_s(tl_zone_new_york(), at(cases[i].instant)), cases[i].hours * 3600);
      assert_int_equal(tl_zone_offset_s(tl_zone_new_york_rules(), at(cases[i].instant)), cases[i].hours * 3600);
    }
  }
}

static void the_built_in_rules_equal_the_file_every_hour_from_1967(void **state) {
  (void)state;
  int64_t end = at("2200-01-01T00:00:00Z");
  for (int64_t ns = at("1967-01-01T05:00:00Z"); ns < end; ns += 3600 * S)
    if (tl_zone_offset_s(tl_zone_new_york(), ns) != tl_zone_offset_s(tl_zone_new_york_rules(), ns))
      fail_msg("differs at %lld", (long long)ns);
}

static void wall_times_that_occur_twice_or_never_follow_the_rule(void **state) {
  (void)state;
  static const struct {
    const char *zone, *wall, *instant;
  } cases[] = {
    {"America/New_York", "2024-11-04T09:30:00Z", "2024-11-04T14:30:00Z"},
    {"America/New_York", "2024-07-04T09:30:00Z", "2024-07-04T13:30:00Z"},
    {"America/New_York", "2024-03-10T01:59:59Z", "2024-03-10T06:59:59Z"},
    {"America/New_York", "2024-03-10T02:30:00Z", "2024-03-10T07:30:00Z"}, /* never: becomes 03:30 */
    {"America/New_York", "2024-03-10T03:00:00Z", "2024-03-10T07:00:00Z"},
    {"America/New_York", "2024-11-03T00:59:59Z", "2024-11-03T04:59:59Z"},
    {"America/New_York", "2024-11-03T01:30:00Z", "2024-11-03T05:30:00Z"}, /* twice: the first */
    {"America/New_York", "2024-11-03T02:00:00Z", "2024-11-03T07:00:00Z"},
    {"Europe/London", "2024-03-31T01:30:00Z", "2024-03-31T01:30:00Z"},    /* never: becomes 02:30 */
    {"Europe/London", "2024-10-27T01:30:00Z", "2024-10-27T00:30:00Z"},    /* twice */
    {"Asia/Kolkata", "2024-11-04T09:30:00Z", "2024-11-04T04:00:00Z"},
    {"Pacific/Apia", "2011-12-31T00:00:00Z", "2011-12-30T10:00:00Z"},
    {"Pacific/Apia", "2011-12-30T00:00:00Z", "2011-12-30T10:00:00Z"},     /* a day that never was */
    {"Australia/Lord_Howe", "2024-10-06T02:15:00Z", "2024-10-05T15:45:00Z"}, /* half an hour is skipped: becomes 02:45 */
    {"UTC", "2024-10-06T02:15:00Z", "2024-10-06T02:15:00Z"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_zone *zone = zone_of(cases[i].zone);
    int64_t ns = tl_zone_utc_ns(zone, at(cases[i].wall));
    if (ns != at(cases[i].instant)) fail_msg("%s %s gave %lld", cases[i].zone, cases[i].wall, (long long)ns);
    tl_zone_close(zone);
  }
}

static void wall_time_and_back_is_the_instant_or_its_earlier_twin(void **state) {
  (void)state;
  static const char *const names[] = {"America/New_York", "Pacific/Apia", "Europe/Dublin", "Australia/Lord_Howe"};
  tl_prng prng = tl_prng_init(11);
  for (size_t i = 0; i < COUNT(names); i++) {
    tl_zone *zone = zone_of(names[i]);
    for (int k = 0; k < 50000; k++) {
      int64_t ns = (int64_t)tl_prng_below(&prng, 6000000) * 1000 * S; /* 1970 .. 2160 */
      int64_t local_ns = tl_zone_local_ns(zone, ns), again = tl_zone_utc_ns(zone, local_ns);
      assert_true(again <= ns && ns - again <= 3600 * S);
      assert_int_equal(tl_zone_local_ns(zone, again), local_ns);
      int32_t day = tl_zone_day(zone, ns);
      assert_int_equal(day, tl_time_day(local_ns));
      assert_true(tl_zone_day_start_ns(zone, day) <= ns && ns < tl_zone_day_start_ns(zone, day + 1));
    }
    tl_zone_close(zone);
  }
}

/* America/Toronto, 1919-03-30 23:30 EST: the next minute was 00:30 EDT of the 31st. */
static void a_day_whose_midnight_was_skipped_begins_with_the_jump(void **state) {
  (void)state;
  tl_zone *zone = zone_of("America/Toronto");
  int32_t day = tl_day_from_civil(1919, 3, 31);
  int64_t jump_ns = tl_day_ns(day) + (4 * 3600 + 1800) * S;
  assert_int_equal(tl_zone_day_start_ns(zone, day), jump_ns);
  assert_int_equal(tl_zone_day(zone, jump_ns), day);
  assert_int_equal(tl_zone_day(zone, jump_ns - 1), day - 1);
  tl_zone_close(zone);
}

static void results_are_held_at_the_ends_of_the_range(void **state) {
  (void)state;
  const tl_zone *zone = tl_zone_new_york();
  assert_int_equal(tl_zone_local_ns(zone, INT64_MIN), INT64_MIN);
  assert_int_equal(tl_zone_utc_ns(zone, INT64_MAX), INT64_MAX);
  assert_int_equal(tl_zone_day_start_ns(zone, INT32_MAX), INT64_MAX);
  assert_true(tl_zone_day_start_ns(zone, INT32_MIN) < INT64_MIN + TL_NS_PER_DAY);
}

static void names_cannot_leave_the_zone_folder(void **state) {
  (void)state;
  static const struct {
    const char *name;
    tl_status status;
  } cases[] = {
    {"", TL_EUSAGE},           {"/etc/passwd", TL_EUSAGE},        {"../passwd", TL_EUSAGE}, {"America//New_York", TL_EUSAGE},
    {"America/", TL_EUSAGE},   {"EST5EDT,M3.2.0", TL_EUSAGE},     {"a b", TL_EUSAGE},       {"Mars/Olympus_Mons", TL_ENOTFOUND},
    {"zone.tab", TL_EUSAGE},   {"leapseconds", TL_ECORRUPT},      {"\xC3\xA9", TL_EUSAGE},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_zone *zone = NULL;
    tl_error err = {0};
    assert_int_equal(tl_zone_open(cases[i].name, &zone, &err), cases[i].status);
    assert_true(err.message[0] != 0);
    assert_null(zone);
  }
}

static void without_zone_files_new_york_and_utc_still_open(void **state) {
  (void)state;
  static const char *const names[] = {"America/New_York", "US/Eastern", "UTC", "Etc/UTC"};
  setenv("TZDIR", "/nonexistent", 1);
  for (size_t i = 0; i < COUNT(names); i++) {
    tl_zone *zone = zone_of(names[i]);
    assert_int_equal(tl_zone_offset_s(zone, at("2024-07-04T12:00:00Z")), i < 2 ? -4 * 3600 : 0);
    tl_zone_close(zone);
  }
  tl_zone *zone = NULL;
  assert_int_equal(tl_zone_open("Europe/London", &zone, NULL), TL_ENOTFOUND);
  unsetenv("TZDIR");
}

/* ---- bytes ---- */

static tl_buf file_of(const char *name) {
  tl_buf bytes = {0};
  char *path = tl_io_join("/usr/share/zoneinfo", name);
  assert_int_equal(tl_io_read_file(path, 100000, &bytes, NULL), TL_OK);
  tl_free(path);
  return bytes;
}

static void look_around(const tl_zone *zone) {
  for (int64_t ns = INT64_MIN / 2; ns < INT64_MAX / 2; ns += INT64_MAX / 50) {
    int32_t offset_s = tl_zone_offset_s(zone, ns);
    assert_true(offset_s > -100000 && offset_s < 100000);
    tl_zone_utc_ns(zone, ns);
  }
}

static void hostile_bytes_are_refused_or_give_a_zone_that_answers(void **state) {
  (void)state;
  tl_buf bytes = file_of("America/New_York");
  tl_prng prng = tl_prng_init(5);
  tl_error err = {0};
  for (size_t len = 0; len < bytes.len; len++) { /* every prefix lacks something */
    char *exact = test_malloc(len ? len : 1);
    memcpy(exact, bytes.data, len);
    tl_zone *zone = NULL;
    assert_int_equal(tl_zone_open_bytes(exact, len, "cut", &zone, &err), TL_ECORRUPT);
    test_free(exact);
  }
  for (int k = 0; k < 20000; k++) {
    char *exact = test_malloc(bytes.len);
    memcpy(exact, bytes.data, bytes.len);
    for (uint64_t flips = 1 + tl_prng_below(&prng, 3); flips > 0; flips--) {
      uint64_t where = tl_prng_below(&prng, 4) ? tl_prng_below(&prng, bytes.len) : bytes.len - 1 - tl_prng_below(&prng, 30);
      exact[where] = (char)tl_prng_next(&prng);
    }
    tl_zone *zone = NULL;
    tl_status st = tl_zone_open_bytes(exact, bytes.len, "flipped", &zone, &err);
    assert_true(st == TL_OK || (st == TL_ECORRUPT && err.message[0]));
    if (zone) look_around(zone);
    tl_zone_close(zone);
    test_free(exact);
  }
  tl_buf_deinit(&bytes);
}

/* A file without transitions, with one type of offset 0, and the given footer. */
static size_t tiny_file(char out[256], const char *footer) {
  static const char header[44] = {'T', 'Z', 'i', 'f', '2', [39] = 1, [43] = 1}; /* one type, one byte of names */
  char *p = out;
  for (int block = 0; block < 2; block++) {
    memcpy(p, header, sizeof header);
    memset(p + 44, 0, 7);
    p += 51;
  }
  *p++ = '\n';
  memcpy(p, footer, strlen(footer));
  p += strlen(footer);
  *p++ = '\n';
  return (size_t)(p - out);
}

static void footers_are_rules_or_refused(void **state) {
  (void)state;
  static const struct {
    const char *footer;
    int32_t january_s, july_s; /* 0 and -1: refused */
  } cases[] = {
    {"EST5EDT,M3.2.0,M11.1.0", -18000, -14400},
    {"<-03>3", -10800, -10800},
    {"<+0530>-5:30", 19800, 19800},
    {"IST-1GMT0,M10.5.0,M3.5.0/1", 0, 3600},
    {"AEST-10AEDT,M10.1.0,M4.1.0/3", 39600, 36000},
    {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", -7200, -3600},
    {"AAA3BBB,J60,J300", -10800, -7200},
    {"AAA3BBB,59/0,299/24", -10800, -7200},
    {"AAA3BBB2:30,59,299", -10800, -9000},
    {"", 0, 0}, /* no rule: the table's */
    {"ES5", 0, -1}, {"EST", 0, -1}, {"EST25", 0, -1}, {"EST5:60", 0, -1}, {"EST5EDT", 0, -1}, {"EST5EDT,", 0, -1},
    {"EST5EDT,M3.2.0", 0, -1}, {"EST5EDT,M13.2.0,M11.1.0", 0, -1}, {"EST5EDT,M0.2.0,M11.1.0", 0, -1}, {"EST5EDT,M3.6.0,M11.1.0", 0, -1},
    {"EST5EDT,M3.2.7,M11.1.0", 0, -1}, {"EST5EDT,M3.2.0,M11.1.0x", 0, -1}, {"EST5EDT,M3.2.0/168,M11.1.0", 0, -1}, {"EST5EDT,J0,J300", 0, -1},
    {"EST5EDT,366,J300", 0, -1}, {"<EST5", 0, -1}, {"5", 0, -1}, {"EST99999999999", 0, -1},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    char bytes[256];
    size_t len = tiny_file(bytes, cases[i].footer);
    tl_zone *zone = NULL;
    tl_status st = tl_zone_open_bytes(bytes, len, "tiny", &zone, NULL);
    if (cases[i].july_s == -1) {
      if (st != TL_ECORRUPT) fail_msg("'%s' was taken", cases[i].footer);
      continue;
    }
    if (st) fail_msg("'%s' was refused", cases[i].footer);
    assert_int_equal(tl_zone_offset_s(zone, at("2030-01-15T00:00:00Z")), cases[i].january_s);
    assert_int_equal(tl_zone_offset_s(zone, at("2030-07-15T00:00:00Z")), cases[i].july_s);
    tl_zone_close(zone);
  }
}

#ifdef TL_FAULTS
static void a_failed_allocation_or_read_is_an_error_without_a_leak(void **state) {
  (void)state;
  static const tl_seam seams[] = {TL_SEAM_ALLOC, TL_SEAM_DISK};
  for (size_t s = 0; s < COUNT(seams); s++)
    for (long n = 1;; n++) {
      tl_zone *zone = NULL;
      tl_error err = {0};
      int64_t live = tl_alloc_live();
      tl_fault_arm(seams[s], n, TL_FAULT_ERROR, 5);
      tl_status st = tl_zone_open("Europe/London", &zone, &err);
      bool fired = tl_fault_disarm();
      assert_int_equal(fired, st != TL_OK);
      assert_true(st == TL_OK || err.message[0]);
      tl_zone_close(zone);
      assert_int_equal(tl_alloc_live(), live);
      if (!fired) break;
    }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(offsets_agree_with_the_c_library),
    cmocka_unit_test(new_york_switches_at_the_second),
    cmocka_unit_test(the_built_in_rules_equal_the_file_every_hour_from_1967),
    cmocka_unit_test(wall_times_that_occur_twice_or_never_follow_the_rule),
    cmocka_unit_test(wall_time_and_back_is_the_instant_or_its_earlier_twin),
    cmocka_unit_test(a_day_whose_midnight_was_skipped_begins_with_the_jump),
    cmocka_unit_test(results_are_held_at_the_ends_of_the_range),
    cmocka_unit_test(names_cannot_leave_the_zone_folder),
    cmocka_unit_test(without_zone_files_new_york_and_utc_still_open),
    cmocka_unit_test(hostile_bytes_are_refused_or_give_a_zone_that_answers),
    cmocka_unit_test(footers_are_rules_or_refused),
#ifdef TL_FAULTS
    cmocka_unit_test(a_failed_allocation_or_read_is_an_error_without_a_leak),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
