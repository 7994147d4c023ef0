/* What Alpaca is asked, how it refuses, and what the registry knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "provider/provider.h"

static const tl_provider *alpaca(void) { return tl_provider_find("alpaca"); }

/* 2024-03-08T14:30:00Z .. 2024-03-09T00:00:00Z */
static const tl_range march_8 = {INT64_C(1709908200) * 1000000000, INT64_C(1709942400) * 1000000000};

static void expect_url(const tl_ask *ask, const char *token, const char *expected) {
  tl_buf url = {0};
  tl_error err = {0};
  if (alpaca()->url(ask, token, &url, &err)) fail_msg("%s", err.message);
  assert_string_equal(url.data, expected);
  tl_buf_deinit(&url);
}

static void the_end_is_sent_a_nanosecond_early(void **state) {
  (void)state;
  const char *symbols[] = {"AAPL"};
  tl_ask ask = {.wire = TL_WIRE_BARS, .interval = {1, TL_MINUTE}, .symbols = symbols, .symbol_count = 1, .range = march_8,
                .page_limit = 10000, .feed = "sip", .adjustment = "raw"};
  expect_url(&ask, NULL,
             "/v2/stocks/bars?symbols=AAPL&timeframe=1Min&start=2024-03-08T14%3A30%3A00Z&end=2024-03-08T23%3A59%3A59.999999999Z"
             "&limit=10000&adjustment=raw&feed=sip&sort=asc");
}

static void symbols_and_tokens_are_encoded(void **state) {
  (void)state;
  const char *symbols[] = {"BRK.B", "BTC/USD", "A&b=c d\xc3\xa9"};
  tl_ask ask = {.wire = TL_WIRE_TRADES, .symbols = symbols, .symbol_count = 3, .range = {march_8.start_ns, march_8.start_ns + 1},
                .page_limit = 1, .feed = "iex", .adjustment = "split", .asof = "-", .currency = "EUR"};
  expect_url(&ask, "QUFB+/8=",
             "/v2/stocks/trades?symbols=BRK.B%2CBTC%2FUSD%2CA%26b%3Dc%20d%C3%A9&start=2024-03-08T14%3A30%3A00Z"
             "&end=2024-03-08T14%3A30%3A00Z&limit=1&asof=-&feed=iex&currency=EUR&sort=asc&page_token=QUFB%2B%2F8%3D");
}

static void the_delayed_feed_is_sip_in_the_past_and_a_feed_is_always_sent(void **state) {
  (void)state;
  const char *symbols[] = {"A"};
  tl_ask ask = {.wire = TL_WIRE_QUOTES, .symbols = symbols, .symbol_count = 1, .range = march_8, .feed = "delayed_sip"};
  static const char expected[] =
    "/v2/stocks/quotes?symbols=A&start=2024-03-08T14%3A30%3A00Z&end=2024-03-08T23%3A59%3A59.999999999Z&feed=sip&sort=asc";
  expect_url(&ask, NULL, expected);
  ask.feed = NULL;
  expect_url(&ask, "", expected);
}

static void timeframes_are_spelled_as_the_vendor_does(void **state) {
  (void)state;
  static const struct { tl_interval interval; const char *text; } cases[] = {
    {{5, TL_MINUTE}, "&timeframe=5Min&"}, {{1, TL_HOUR}, "&timeframe=1Hour&"}, {{1, TL_DAY}, "&timeframe=1Day&"},
    {{1, TL_WEEK}, "&timeframe=1Week&"}, {{1, TL_MONTH}, "&timeframe=1Month&"},
  };
  const char *symbols[] = {"A"};
  tl_ask ask = {.wire = TL_WIRE_BARS, .symbols = symbols, .symbol_count = 1, .range = march_8, .feed = "sip"};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tl_buf url = {0};
    ask.interval = cases[i].interval;
    assert_int_equal(alpaca()->url(&ask, NULL, &url, NULL), TL_OK);
    assert_non_null(strstr(url.data, cases[i].text));
    tl_buf_deinit(&url);
  }
  tl_buf url = {0};
  tl_error err = {0};
  ask.interval = (tl_interval){1, TL_SECOND};
  assert_int_equal(alpaca()->url(&ask, NULL, &url, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "shorter than a minute"));
  tl_buf_deinit(&url);
}

static void credentials_go_into_two_headers(void **state) {
  (void)state;
  tl_buf lines = {0};
  tl_error err = {0};
  assert_int_equal(alpaca()->headers("PKTEST", "s3cr3t", &lines, &err), TL_OK);
  assert_string_equal(lines.data, "APCA-API-KEY-ID: PKTEST\nAPCA-API-SECRET-KEY: s3cr3t\n");
  tl_buf_clear(&lines);
  assert_int_equal(alpaca()->headers("PKTEST\nHost: evil", "s", &lines, &err), TL_EUSAGE);
  assert_null(strstr(err.message, "PKTEST")); /* nor is the key in the error */
  assert_int_equal(alpaca()->headers("PKTEST", "s3cr3t x", &lines, &err), TL_EUSAGE);
  assert_null(strstr(err.message, "s3cr3t"));
  assert_int_equal(lines.len, 0);
  assert_int_equal(alpaca()->headers(NULL, "", &lines, &err), TL_OK);
  assert_int_equal(lines.len, 0);
  tl_buf_deinit(&lines);
}

static void refusals(void **state) {
  (void)state;
  static const struct { int code; const char *body, *text; bool bad_symbol; const char *symbol; } cases[] = {
    {400, "{\"message\":\"invalid symbol: A1\"}", "invalid symbol: A1", true, "A1"},
    {400, "{\"code\":40010001,\"message\":\"invalid symbol: BRK.b, try again\"}", "invalid symbol: BRK.b, try again", true, "BRK.b"},
    {400, "{\"message\":\"invalid symbol: A B\"}", "invalid symbol: A B", true, "A B"}, /* never taken for A */
    {422, "{\"message\":\"invalid symbol\"}", "invalid symbol", true, ""},
    {400, "{\"message\":\"invalid timeframe: 1Sec\"}", "invalid timeframe: 1Sec", false, ""},
    {500, "{\"message\":\"invalid symbol: A\"}", "invalid symbol: A", false, ""},
    {429, "{\"message\": \"too many requests.\"}", "too many requests.", false, ""},
    {400, "{\"message\":\"Invalid format for parameter start: error parsing 'X' as RFC3339: parsing time \\\"X\\\"\\n\"}",
     "Invalid format for parameter start: error parsing 'X' as RFC3339: parsing time \"X\"", false, ""},
    {401, "<html>\r\n<head><title>401 Authorization Required</title></head>\r\n<body>...</body></html>", "401 Authorization Required", false, ""},
    {502, "<HTML><TITLE> 502\n Bad Gateway", "502 Bad Gateway", false, ""},
    {502, "<p>upstream <b>is</b> gone</p>", "upstream is gone", false, ""},
    {503, "  no server\tis available \r\n", "no server is available", false, ""},
    {403, "{\"error\":\"x\"}", "{\"error\":\"x\"}", false, ""},
    {500, "", "HTTP 500 without a text", false, ""},
    {500, "{\"message\":\"\"}", "{\"message\":\"\"}", false, ""},
    {500, "a\xff\x01" "b\x7f", "a? b", false, ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tl_refusal refusal;
    alpaca()->refusal(cases[i].code, cases[i].body, strlen(cases[i].body), &refusal);
    assert_string_equal(refusal.text, cases[i].text);
    assert_int_equal(refusal.bad_symbol, cases[i].bad_symbol);
    assert_string_equal(refusal.symbol, cases[i].symbol);
  }
}

static void a_long_refusal_is_cut_between_characters(void **state) {
  (void)state;
  tl_buf body = {0};
  for (int i = 0; i < 300; i++) tl_buf_appends(&body, "\xc3\xa9", NULL);
  tl_refusal refusal;
  alpaca()->refusal(500, body.data, body.len, &refusal);
  assert_int_equal(strlen(refusal.text), 198); /* 99 characters of two bytes in 200, with the NUL */
  assert_memory_equal(refusal.text, body.data, 198);
  tl_buf_deinit(&body);
}

static void symbols(void **state) {
  (void)state;
  char longest[202], too_long[203];
  memset(longest, 'A', 200);
  memset(too_long, 'A', 201);
  longest[200] = too_long[201] = 0;
  const char *const good[] = {"A", "BRK.B", "BTC/USD", "A1", "brk.b", "AAA260116C00050000", "X-Y_Z:Q", "A B", "A&B", "A%2C", "A\n", "\xc3\xa9", "A'B", longest};
  const char *const bad[] = {"", "A,B", ",", too_long};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) assert_true(alpaca()->symbol_ok(good[i], NULL));
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    tl_error err = {0};
    assert_false(alpaca()->symbol_ok(bad[i], &err));
    assert_int_equal(err.status, TL_EUSAGE);
    assert_true(err.message[0]);
  }
}

static void the_registry_finds_providers_by_name_in_any_case(void **state) {
  (void)state;
  assert_non_null(alpaca());
  assert_ptr_equal(tl_provider_find("ALPACA"), alpaca());
  assert_null(tl_provider_find("alpac"));
  assert_null(tl_provider_find(""));
  assert_ptr_equal(tl_provider_at(0), alpaca());
  size_t count = 0;
  while (tl_provider_at(count)) count++;
  assert_null(tl_provider_at(count + 1));
  for (size_t i = 0; i < count; i++) { /* a row that is whole */
    const tl_provider *p = tl_provider_at(i);
    assert_true(p->url && p->headers && p->page && p->refusal && p->symbol_ok && p->aliases && p->key_env && p->secret_env);
    assert_true(p->feeds[0] && p->adjustments[0] && p->page_limit_max && p->symbols_per_ask_max);
    assert_int_equal(strncmp(p->endpoint, "https://", 8), 0);
    assert_ptr_equal(tl_provider_find(p->name), p);
  }
  assert_string_equal(alpaca()->feeds[0], "sip");
  assert_string_equal(alpaca()->adjustments[0], "raw");
}

#ifdef TL_FAULTS
static void every_failed_allocation_is_told(void **state) {
  (void)state;
  const char *names[] = {"AAPL", "BTC/USD"};
  tl_ask ask = {.wire = TL_WIRE_BARS, .interval = {1, TL_MINUTE}, .symbols = names, .symbol_count = 2, .range = march_8, .page_limit = 7,
                .feed = "sip", .adjustment = "raw", .asof = "2024-01-01", .currency = "USD"};
  for (long n = 1; n < 1000; n++) {
    tl_buf url = {0}, lines = {0};
    tl_error err = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = alpaca()->url(&ask, "token", &url, &err);
    if (!st) st = alpaca()->headers("key", "secret", &lines, &err);
    bool fired = tl_fault_disarm();
    tl_buf_deinit(&url);
    tl_buf_deinit(&lines);
    assert_int_equal(tl_alloc_live(), 0);
    assert_int_equal(st, fired ? TL_ENOMEM : TL_OK);
    if (!fired) return;
  }
  fail_msg("still faulting");
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_end_is_sent_a_nanosecond_early),
    cmocka_unit_test(symbols_and_tokens_are_encoded),
    cmocka_unit_test(the_delayed_feed_is_sip_in_the_past_and_a_feed_is_always_sent),
    cmocka_unit_test(timeframes_are_spelled_as_the_vendor_does),
    cmocka_unit_test(credentials_go_into_two_headers),
    cmocka_unit_test(refusals),
    cmocka_unit_test(a_long_refusal_is_cut_between_characters),
    cmocka_unit_test(symbols),
    cmocka_unit_test(the_registry_finds_providers_by_name_in_any_case),
#ifdef TL_FAULTS
    cmocka_unit_test(every_failed_allocation_is_told),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
