/* time_test.c - instants, days and intervals. The truth: tables by hand, the C library's timegm. */
#include "market/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/prng.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define S TL_NS_PER_S

/* ---- days ---- */

static void days_agree_with_timegm(void **state) {
  (void)state;
  for (int32_t day = -120000; day <= 120000; day++) {
    time_t seconds = (time_t)day * 86400;
    struct tm tm;
    int year, month, day_of_month;
    gmtime_r(&seconds, &tm);
    tl_civil_from_day(day, &year, &month, &day_of_month);
    assert_int_equal(year, tm.tm_year + 1900);
    assert_int_equal(month, tm.tm_mon + 1);
    assert_int_equal(day_of_month, tm.tm_mday);
    assert_int_equal(tl_day_weekday(day), (tm.tm_wday + 6) % 7);
    assert_int_equal(tl_day_from_civil(year, month, day_of_month), day);
  }
}

static void a_date_is_ten_characters_and_exists(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int32_t day;
  } good[] = {{"1970-01-01", 0}, {"1969-12-31", -1}, {"2024-02-29", 19782}, {"2000-02-29", 11016}, {"0000-01-01", -719528}};
  static const char *const bad[] = {"2023-02-29", "1900-02-29",  "2024-04-31", "2024-13-01", "2024-00-10", "2024-01-00", "2024-1-01",
                                    "2024-01-01 ", "20240101",   "2024/01/01", "",           "+024-01-01", "2024-01-0a"};
  for (size_t i = 0; i < COUNT(good); i++) {
    int32_t day = 77;
    assert_true(tl_day_parse(good[i].text, strlen(good[i].text), &day));
    assert_int_equal(day, good[i].day);
  }
  for (size_t i = 0; i < COUNT(bad); i++) {
    int32_t day = 77;
    assert_false(tl_day_parse(bad[i], strlen(bad[i]), &day));
    assert_int_equal(day, 77);
  }
  char text[TL_DAY_TEXT_MAX];
  tl_day_format(19782, text);
  assert_string_equal(text, "2024-02-29");
}

/* ---- instants ---- */

static void instants_are_read_strictly(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t ns;
    const char *error; /* NULL: accepted */
  } cases[] = {
    {"1970-01-01T00:00:00Z", 0, NULL},
    {"1970-01-01T00:00:00.000000001Z", 1, NULL},
    {"1969-12-31T23:59:59.999999999Z", -1, NULL},
    {"2024-11-03T09:30:00Z", 1730626200 * S, NULL},
    {"2024-11-03T09:30:00.5Z", 1730626200 * S + S / 2, NULL},
    {"2024-11-03T09:30:00.0451Z", 1730626200 * S + 45100000, NULL},
    {"2024-11-03T09:30:00.123456789Z", 1730626200 * S + 123456789, NULL},
    {"2024-11-03t09:30:00z", 1730626200 * S, NULL},
    {"2024-11-03 09:30:00Z", 1730626200 * S, NULL},
    {"2024-11-03T09:30:00+00:00", 1730626200 * S, NULL},
    {"2024-11-03T09:30:00-00:00", 1730626200 * S, NULL},
    {"2024-11-03T04:30:00-05:00", 1730626200 * S, NULL},
    {"2024-11-03T15:00:00+0530", 1730626200 * S, NULL},
    {"2024-11-03T15:00:00.25+05:30", 1730626200 * S + S / 4, NULL},
    {"2024-02-29T00:00:00Z", 1709164800 * S, NULL},
    {"2023-12-31T23:59:59Z", 1704067199 * S, NULL},
    {"1677-09-21T00:12:43.145224192Z", INT64_MIN, NULL},
    {"2262-04-11T23:47:16.854775807Z", INT64_MAX, NULL},
    {"2262-04-12T00:47:16.854775807+01:00", INT64_MAX, NULL},
    {"1677-09-21T00:12:43.145224191Z", 0, "outside"},
    {"2262-04-11T23:47:16.854775808Z", 0, "outside"},
    {"9999-12-31T23:59:59Z", 0, "outside"},
    {"0001-01-01T00:00:00Z", 0, "outside"},
    {"2024-11-03T24:00:00Z", 0, "no such time of day"},
    {"2024-11-03T23:60:00Z", 0, "no such time of day"},
    {"2016-12-31T23:59:60Z", 0, "leap second"},
    {"2024-11-03T23:59:61Z", 0, "no such time of day"},
    {"2023-02-29T00:00:00Z", 0, "no such date"},
    {"2024-06-31T00:00:00Z", 0, "no such date"},
    {"2024-11-03T09:30:00", 0, "offset"},
    {"2024-11-03T09:30:00.Z", 0, "digits are missing"},
    {"2024-11-03T09:30:00.1234567891Z", 0, "more than nine"},
    {"2024-11-03T09:30:00+24:00", 0, "offset"},
    {"2024-11-03T09:30:00+05:60", 0, "offset"},
    {"2024-11-03T09:30:00+05", 0, "offset"},
    {"2024-11-03T09:30:00+5:30", 0, "offset"},
    {"2024-11-03T09:30:00ZZ", 0, "offset"},
    {"2024-11-03T09:30:00Z ", 0, "offset"},
    {"2024-11-03X09:30:00Z", 0, "expected"},
    {"2024-11-03T09-30:00Z", 0, "expected"},
    {"2024-11-03", 0, "expected"},
    {"", 0, "expected"},
    {"1730626200", 0, "expected"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    size_t len = strlen(cases[i].text);
    char *exact = test_malloc(len ? len : 1); /* no byte more than the text: a sanitizer sees reads behind it */
    memcpy(exact, cases[i].text, len);
    int64_t ns = 0;
    tl_error err = {0};
    tl_status st = tl_time_parse(exact, len, &ns, &err);
    test_free(exact);
    if (cases[i].error) {
      assert_int_equal(st, TL_EDECODE);
      assert_non_null(strstr(err.message, cases[i].error));
    } else {
      assert_int_equal(st, TL_OK);
      assert_int_equal(ns, cases[i].ns);
    }
  }
}

/* What tl_time_parse_utc must do, said again with sscanf and timegm. */
static bool slow_utc(const char *text, size_t len, int64_t *ns, size_t *used) {
  static const char form[] = "dddd-dd-ddTdd:dd:dd";
  struct tm tm = {0};
  char head[20] = {0};
  if (len < 20) return false;
  for (size_t i = 0; i < 19; i++)
    if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i]) return false;
  memcpy(head, text, 19);
  sscanf(head, "%4d-%2d-%2dT%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec);
  if (tm.tm_year < 1678 || tm.tm_year > 2261 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59) return false;
  struct tm given = tm, normal = {0};
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  time_t seconds = timegm(&tm);
  gmtime_r(&seconds, &normal);
  if (normal.tm_mon + 1 != given.tm_mon || normal.tm_mday != given.tm_mday) return false;
  size_t at = 19;
  char nanos[10] = "000000000";
  if (text[at] == '.') {
    size_t digits = 0;
    for (at++; at < len && digits < 9 && text[at] >= '0' && text[at] <= '9'; at++) nanos[digits++] = text[at];
    if (!digits) return false;
  }
  if (at >= len || text[at] != 'Z') return false;
  *used = at + 1;
  *ns = (int64_t)seconds * S + atoll(nanos);
  return true;
}

static void check_fast(const char *text, size_t len, tl_time_cache *cache) {
  char *exact = test_malloc(len ? len : 1);
  memcpy(exact, text, len);
  int64_t ns = 0, expected_ns = 0;
  size_t used = 0;
  const char *after = NULL;
  bool expected = slow_utc(text, len, &expected_ns, &used);
  bool ok = tl_time_parse_utc(exact, exact + len, cache, &ns, &after);
  if (ok != expected || ns != expected_ns || (ok && after != exact + used)) fail_msg("differs for '%.*s'", (int)len, text);
  test_free(exact);
}

static void the_vendors_form_is_read_alike_by_the_fast_path(void **state) {
  (void)state;
  tl_prng prng = tl_prng_init(18);
  tl_time_cache cache = TL_TIME_CACHE_INIT;
  for (int i = 0; i < 100000; i++) {
    int64_t ns = (int64_t)tl_prng_next(&prng) / 2;
    char text[TL_TIME_TEXT_MAX + 8];
    size_t len = tl_time_format(ns, (int)tl_prng_below(&prng, 11) - 1, text);
    if (i % 3 == 0) len += (size_t)snprintf(text + len, 8, "\",\"p\""); /* as on a page: bytes follow */
    check_fast(text, len, &cache);
  }
}

static void every_wrong_byte_and_every_cut_is_refused_by_the_fast_path(void **state) {
  (void)state;
  static const char *const good[] = {"2024-03-10T07:59:59.123456789Z", "2024-03-10T07:59:59.1234567Z\",\"x\":1",
                                     "2024-02-29T23:59:59Z", "2024-12-31T00:00:00.5Z", "2024-12-31T19:09:00.12345678Z,,,,"};
  for (size_t i = 0; i < COUNT(good); i++) {
    size_t len = strlen(good[i]);
    char text[64];
    for (size_t at = 0; at < len; at++)
      for (int byte = 0; byte < 256; byte++) {
        tl_time_cache fresh = TL_TIME_CACHE_INIT, warm = TL_TIME_CACHE_INIT;
        memcpy(text, good[i], len + 1);
        check_fast(text, len, &warm);
        text[at] = (char)byte;
        check_fast(text, len, &fresh);
        check_fast(text, len, &warm);
      }
    for (size_t cut = 0; cut <= len; cut++) {
      tl_time_cache cache = TL_TIME_CACHE_INIT;
      check_fast(good[i], cut, &cache);
    }
  }
}

static void instants_are_written_with_the_digits_asked_for(void **state) {
  (void)state;
  static const struct {
    int64_t ns;
    int digits;
    const char *text;
  } cases[] = {
    {0, 0, "1970-01-01T00:00:00Z"},
    {0, -1, "1970-01-01T00:00:00Z"},
    {0, 3, "1970-01-01T00:00:00.000Z"},
    {500000000, -1, "1970-01-01T00:00:00.5Z"},
    {45100000, -1, "1970-01-01T00:00:00.0451Z"},
    {1, -1, "1970-01-01T00:00:00.000000001Z"},
    {1999, 6, "1970-01-01T00:00:00.000001Z"},
    {-1, 6, "1969-12-31T23:59:59.999999Z"},
    {-1, 0, "1969-12-31T23:59:59Z"},
    {INT64_MIN, 9, "1677-09-21T00:12:43.145224192Z"},
    {INT64_MAX, 9, "2262-04-11T23:47:16.854775807Z"},
  };
  char text[TL_TIME_TEXT_MAX];
  for (size_t i = 0; i < COUNT(cases); i++) {
    assert_int_equal(tl_time_format(cases[i].ns, cases[i].digits, text), strlen(cases[i].text));
    assert_string_equal(text, cases[i].text);
  }
  tl_time_format_offset(1730644200 * S, -18000, 0, text);
  assert_string_equal(text, "2024-11-03T09:30:00-05:00");
  tl_time_format_offset(1730644200 * S, 19800, -1, text);
  assert_string_equal(text, "2024-11-03T20:00:00+05:30");
}

static void microseconds_and_seconds_floor_towards_the_past(void **state) {
  (void)state;
  assert_int_equal(tl_time_us(1999), 1);
  assert_int_equal(tl_time_us(-1), -1);
  assert_int_equal(tl_time_us(-1000), -1);
  assert_int_equal(tl_time_us(-1001), -2);
  assert_int_equal(tl_time_us(INT64_MIN), -9223372036854776);
  assert_int_equal(tl_time_floor_s(-1), -S);
  assert_int_equal(tl_time_floor_s(S + 1), S);
  assert_int_equal(tl_time_day(-1), -1);
  assert_int_equal(tl_day_ns(INT32_MIN), INT64_MIN);
  assert_int_equal(tl_day_ns(INT32_MAX), INT64_MAX);
}

static void ranges_are_half_open(void **state) {
  (void)state;
  tl_range r = {10, 20};
  assert_true(tl_range_holds(r, 10) && tl_range_holds(r, 19) && !tl_range_holds(r, 20) && !tl_range_holds(r, 9));
  assert_true(tl_range_overlaps(r, (tl_range){19, 30}) && !tl_range_overlaps(r, (tl_range){20, 30}));
  assert_false(tl_range_overlaps(r, (tl_range){15, 15}));
  tl_range clip = tl_range_clip(r, (tl_range){15, 30});
  assert_true(clip.start_ns == 15 && clip.end_ns == 20);
  assert_true(tl_range_empty(tl_range_clip(r, (tl_range){20, 30})));
}

/* ---- intervals ---- */

static void an_interval_has_one_name_and_many_spellings(void **state) {
  (void)state;
  static const struct {
    const char *spellings[8], *brief, *name, *table, *vendor;
  } cases[] = {
    {{"1s", "1S", "1sec", "1Sec", "1second"}, "1s", "1sec", "equities_1sec", "1Sec"},
    {{"1m", "1min", "1Min", "1T", "1minute", "60s"}, "1m", "1min", "equities_1min", "1Min"},
    {{"5m", "5Min", "5minutes", "300s"}, "5m", "5min", "equities_5min", "5Min"},
    {{"15m"}, "15m", "15min", "equities_15min", "15Min"},
    {{"30m"}, "30m", "30min", "equities_30min", "30Min"},
    {{"1h", "1H", "1hour", "1Hour", "60min", "60m", "3600s"}, "1h", "1hour", "equities_1hour", "1Hour"},
    {{"1d", "1D", "1day", "1Day"}, "1d", "1day", "equities_1day", "1Day"},
    {{"1w", "1W", "1week", "1Week"}, "1w", "1week", "equities_1week", "1Week"},
    {{"1mo", "1M", "1month", "1Month", "1MO"}, "1mo", "1month", "equities_1month", "1Month"},
    {{"90s"}, "90s", "90sec", "equities_90sec", "90Sec"},
    {{"3M", "3months"}, "3mo", "3month", "equities_3month", "3Month"},
  };
  for (size_t i = 0; i < COUNT(cases); i++)
    for (const char *const *spelling = cases[i].spellings; *spelling; spelling++) {
      tl_interval interval = {0, TL_SECOND};
      char text[TL_INTERVAL_TEXT_MAX];
      assert_int_equal(tl_interval_parse(*spelling, &interval, NULL), TL_OK);
      tl_interval_short(interval, text);
      assert_string_equal(text, cases[i].brief);
      tl_interval_name(interval, text);
      assert_string_equal(text, cases[i].name);
      tl_interval_table(interval, text);
      assert_string_equal(text, cases[i].table);
      tl_interval_vendor(interval, text);
      assert_string_equal(text, cases[i].vendor);
    }
  static const char *const refused[] = {"", "m", "0m", "01m", "-1m", "1", "1x", "1.5h", "1 m", "10000s", "99999999999m", "1mm"};
  for (size_t i = 0; i < COUNT(refused); i++) {
    tl_interval interval = {7, TL_WEEK};
    tl_error err = {0};
    assert_int_equal(tl_interval_parse(refused[i], &interval, &err), TL_EUSAGE);
    assert_non_null(strstr(err.message, "interval"));
    assert_int_equal(interval.count, 7);
  }
}

static int64_t at(const char *text) {
  int64_t ns = 0;
  assert_int_equal(tl_time_parse(text, strlen(text), &ns, NULL), TL_OK);
  return ns;
}

static void intervals_start_where_the_vendor_starts_them(void **state) {
  (void)state;
  static const struct {
    const char *interval, *instant, *start, *next;
  } cases[] = {
    {"1s", "2024-11-04T14:30:00.999999999Z", "2024-11-04T14:30:00Z", "2024-11-04T14:30:01Z"},
    {"1s", "1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"},
    {"5m", "2024-11-04T14:34:59Z", "2024-11-04T14:30:00Z", "2024-11-04T14:35:00Z"},
    {"1h", "2024-11-04T14:30:00Z", "2024-11-04T14:00:00Z", "2024-11-04T15:00:00Z"},
    {"4h", "2024-11-04T14:30:00Z", "2024-11-04T12:00:00Z", "2024-11-04T16:00:00Z"},
    /* days begin at New York midnight: 05:00Z in winter, 04:00Z in summer */
    {"1d", "2024-11-04T04:59:59Z", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"},
    {"1d", "2024-11-04T05:00:00Z", "2024-11-04T05:00:00Z", "2024-11-05T05:00:00Z"},
    {"1d", "2024-03-10T12:00:00Z", "2024-03-10T05:00:00Z", "2024-03-11T04:00:00Z"}, /* 23 hours */
    {"1d", "2024-11-03T12:00:00Z", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"}, /* 25 hours */
    {"1d", "2024-03-31T12:00:00Z", "2024-03-31T04:00:00Z", "2024-04-01T04:00:00Z"}, /* Europe's switch is none here */
    {"1w", "2024-11-10T12:00:00Z", "2024-11-04T05:00:00Z", "2024-11-11T05:00:00Z"}, /* Sunday belongs to Monday's */
    {"1w", "2024-11-04T05:00:00Z", "2024-11-04T05:00:00Z", "2024-11-11T05:00:00Z"},
    {"1w", "2024-03-13T00:00:00Z", "2024-03-11T04:00:00Z", "2024-03-18T04:00:00Z"},
    {"1mo", "2024-11-30T12:00:00Z", "2024-11-01T04:00:00Z", "2024-12-01T05:00:00Z"},
    {"1mo", "2024-12-01T04:59:59Z", "2024-11-01T04:00:00Z", "2024-12-01T05:00:00Z"}, /* still 30 November there */
    {"1mo", "1969-12-15T00:00:00Z", "1969-12-01T05:00:00Z", "1970-01-01T05:00:00Z"},
    {"3mo", "2024-06-15T00:00:00Z", "2024-04-01T04:00:00Z", "2024-07-01T04:00:00Z"},
    {"12mo", "2024-06-15T00:00:00Z", "2024-01-01T05:00:00Z", "2025-01-01T05:00:00Z"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_interval interval;
    assert_int_equal(tl_interval_parse(cases[i].interval, &interval, NULL), TL_OK);
    assert_int_equal(tl_interval_floor(interval, at(cases[i].instant)), at(cases[i].start));
    assert_int_equal(tl_interval_next(interval, at(cases[i].instant)), at(cases[i].next));
  }
}

static void intervals_tile_time_without_gap(void **state) {
  (void)state;
  static const char *const all[] = {"1s", "7s", "1m", "5m", "1h", "5h", "1d", "2d", "1w", "2w", "1mo", "2mo", "12mo"};
  tl_prng prng = tl_prng_init(3);
  for (size_t i = 0; i < COUNT(all); i++) {
    tl_interval interval;
    assert_int_equal(tl_interval_parse(all[i], &interval, NULL), TL_OK);
    for (int k = 0; k < 2000; k++) {
      int64_t ns = (int64_t)(tl_prng_next(&prng) / 2) - INT64_MAX / 2;
      ns = ns / 2; /* 1823 .. 2116, far from the ends */
      int64_t start = tl_interval_floor(interval, ns), next = tl_interval_next(interval, ns);
      assert_true(start <= ns && ns < next);
      assert_int_equal(tl_interval_floor(interval, start), start);
      assert_int_equal(tl_interval_floor(interval, next - 1), start);
      assert_int_equal(tl_interval_floor(interval, next), next);
    }
    /* at the ends of the range the results are held, and nothing overflows */
    assert_true(tl_interval_floor(interval, INT64_MIN) <= INT64_MIN + 400 * TL_NS_PER_DAY);
    assert_true(tl_interval_next(interval, INT64_MAX) == INT64_MAX);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(days_agree_with_timegm),
    cmocka_unit_test(a_date_is_ten_characters_and_exists),
    cmocka_unit_test(instants_are_read_strictly),
    cmocka_unit_test(the_vendors_form_is_read_alike_by_the_fast_path),
    cmocka_unit_test(every_wrong_byte_and_every_cut_is_refused_by_the_fast_path),
    cmocka_unit_test(instants_are_written_with_the_digits_asked_for),
    cmocka_unit_test(microseconds_and_seconds_floor_towards_the_past),
    cmocka_unit_test(ranges_are_half_open),
    cmocka_unit_test(an_interval_has_one_name_and_many_spellings),
    cmocka_unit_test(intervals_start_where_the_vendor_starts_them),
    cmocka_unit_test(intervals_tile_time_without_gap),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
