/* Answers as texts: pages, tokens, empty forms, refusals, renames, adjustments. Expected texts are the vendor's shapes
 * written out; rows are compared as bytes between ways of asking. */
#include "sim/alpaca.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "sim/days.h"

static sim_settings settings = {.world = {.seed = 3, .trade_density_e3 = 1000, .quote_density_e3 = 1000}};

static int64_t instant(const char *text) {
  int64_t t = 0;
  assert_true(sim_time_parse(text, strlen(text), &t));
  return t;
}

/* Asks; the caller frees the text. */
static char *ask_with(const sim_settings *with, const char *target, const char *now, int *status) {
  char copy[4096];
  sim_query query;
  sim_answer answer = {0};
  size_t len = strlen(target);
  assert_true(len < sizeof copy);
  memcpy(copy, target, len);
  sim_query_parse(copy, len, &query);
  assert_int_equal(sim_alpaca_answer(with, &query, instant(now), &answer, NULL), TL_OK);
  if (status) *status = answer.status;
  return tl_buf_take(&answer.body);
}
static char *ask(const char *target, int *status) { return ask_with(&settings, target, "2026-01-05T12:00:00Z", status); }

static void expect(const char *target, int status, const char *text) {
  int got;
  char *answer = ask(target, &got);
  assert_string_equal(answer, text);
  assert_int_equal(got, status);
  tl_free(answer);
}

/* Follows a chain to its end; appends every row's text with its symbol in front. Answers the number of pages. */
static int follow(const sim_settings *with, const char *target, int limit, tl_buf *rows) {
  char token[512] = "", url[2048], symbol[16] = "";
  int pages = 0;
  do {
    snprintf(url, sizeof url, "%s&limit=%d%s%s", target, limit, token[0] ? "&page_token=" : "", token);
    int status, on_page = 0;
    char *page = ask_with(with, url, "2026-01-05T12:00:00Z", &status);
    assert_int_equal(status, 200);
    for (char *at = page; *at; at++) {
      if (at[0] == '"' && at[1] >= 'A' && at[1] <= 'Z' && strstr(at, "\":[{") && strchr(at + 1, '"')[1] == ':' && strchr(at + 1, '"')[2] == '[') {
        size_t n = strcspn(at + 1, "\"");
        memcpy(symbol, at + 1, n);
        symbol[n] = 0;
        at += n + 1;
      }
      if (*at != '{' || at == page || (at[-1] != '[' && !(at[-1] == ',' && at[-2] == '}'))) continue;
      size_t n = strcspn(at, "}") + 1;
      assert_int_equal(tl_buf_appendf(rows, NULL, "%s %.*s\n", symbol, (int)n, at), TL_OK);
      at += n - 1;
      on_page++;
    }
    assert_true(on_page <= limit);
    const char *next = strstr(page, "\"next_page_token\":");
    assert_non_null(next);
    token[0] = 0;
    if (next[18] == '"') {
      size_t n = strcspn(next + 19, "\""), k = 0;
      for (size_t i = 0; i < n; i++) { /* percent-encode what base64 may hold */
        char c = next[19 + i];
        k += (size_t)snprintf(token + k, sizeof token - k, c == '+' || c == '/' || c == '=' ? "%%%02X" : "%c", c);
      }
    }
    tl_free(page);
    pages++;
    assert_true(pages < 20000);
  } while (token[0]);
  return pages;
}

static size_t lines_of(const tl_buf *b) {
  size_t n = 0;
  for (size_t i = 0; i < b->len; i++) n += b->data[i] == '\n';
  return n;
}

static void every_page_size_gives_the_same_rows(void **state) {
  (void)state;
  static const char *const targets[] = {
      "/v2/stocks/bars?symbols=T,AAPL,ZZQ,BRK.B&timeframe=1Min&start=2024-03-08T20:50:00Z&end=2024-03-11T13:40:00Z&feed=sip",
      "/v2/stocks/bars?symbols=SPLT,AAPL&timeframe=1Day&start=2024-05-01T00:00:00Z&end=2024-06-20T00:00:00Z&feed=sip&adjustment=all",
      "/v2/stocks/bars?symbols=OLDN,NEWN&timeframe=1Week&start=2024-01-01T00:00:00Z&end=2024-06-20T00:00:00Z&feed=sip",
      "/v2/stocks/trades?symbols=AAPL,ILLQ,KO&start=2024-03-11T19:59:30Z&end=2024-03-11T20:00:30Z&feed=sip",
      "/v2/stocks/quotes?symbols=KO,ILLQ,T&start=2024-11-29T17:55:00Z&end=2024-11-29T18:01:08.5Z&feed=iex",
      "/v2/stocks/quotes?symbols=KO,T&start=2024-11-29T17:59:58Z&end=2024-11-29T18:00:00.5Z&feed=sip",
  };
  for (size_t k = 0; k < sizeof targets / sizeof *targets; k++)
    for (int variant = 0; variant < 6; variant++) {
      sim_settings with = settings;
      char target[1024];
      tl_buf one = {0}, seven = {0}, all = {0};
      with.old_tokens = variant & 1;
      with.empty_last_page = variant >= 4;
      snprintf(target, sizeof target, "%s%s", targets[k], variant & 2 ? "&sort=desc" : "");
      int pages = follow(&with, target, 10000, &all);
      assert_int_equal(pages, variant >= 4 ? 2 : 1);
      follow(&with, target, 7, &seven);
      follow(&with, target, 1, &one);
      assert_true(lines_of(&all) > 14);
      assert_string_equal(one.data, all.data);
      assert_string_equal(seven.data, all.data);
      tl_buf_deinit(&one);
      tl_buf_deinit(&seven);
      tl_buf_deinit(&all);
    }
}

static void the_end_is_inclusive_so_a_session_to_four_has_391_minutes(void **state) {
  (void)state;
  tl_buf rows = {0};
  follow(&settings, "/v2/stocks/bars?symbols=AAPL&timeframe=1Min&start=2024-03-11T13:30:00Z&end=2024-03-11T20:00:00Z&feed=sip", 10000, &rows);
  assert_int_equal(lines_of(&rows), 391);
  rows.len = 0;
  follow(&settings, "/v2/stocks/bars?symbols=AAPL&timeframe=1Min&start=2024-11-29T09:30:00-05:00&end=2024-11-29T12:59:59.999999999-05:00&feed=sip", 10000, &rows);
  assert_int_equal(lines_of(&rows), 210);
  tl_buf_deinit(&rows);
}

static void rows_look_like_the_vendors(void **state) {
  (void)state;
  int status;
  char *page = ask("/v2/stocks/AAPL/bars?timeframe=1Day&start=2024-03-11&end=2024-03-11&feed=sip&currency=EUR", &status);
  double c, h, l, o, vw;
  long long n, v;
  int used = 0;
  assert_int_equal(sscanf(page, "{\"bars\":[{\"c\":%lf,\"h\":%lf,\"l\":%lf,\"n\":%lld,\"o\":%lf,\"t\":\"2024-03-11T04:00:00Z\",\"v\":%lld,\"vw\":%lf}]%n", &c, &h, &l, &n, &o, &v, &vw, &used), 7);
  assert_string_equal(page + used, ",\"symbol\":\"AAPL\",\"next_page_token\":null,\"currency\":\"EUR\"}");
  assert_true(l <= o && l <= c && o <= h && c <= h && l < vw && vw < h && v > n);
  tl_free(page);
  page = ask("/v2/stocks/trades?symbols=AAPL&start=2024-03-11T13:30:00Z&end=2024-03-11T13:30:01.5Z&feed=sip&limit=1", &status);
  assert_true(strncmp(page, "{\"trades\":{\"AAPL\":[{\"c\":[\"@\"", 28) == 0);
  assert_non_null(strstr(page, "\"x\":\"Q\",\"z\":\"C\"}]},\"next_page_token\":\""));
  tl_free(page);
  page = ask("/v2/stocks/AAPL/quotes?start=2016-12-30T15:00:00Z&end=2016-12-30T15:01:00Z&feed=sip&limit=1", &status);
  assert_null(strstr(page, "\"z\":")); /* old quotes name no tape */
  tl_free(page);
}

static void tokens_name_the_next_bar_or_in_the_old_style_the_last_one(void **state) {
  (void)state;
  static const char target[] = "/v2/stocks/bars?symbols=AAPL&timeframe=1Day&start=2024-03-11&end=2024-03-13&feed=sip&limit=1";
  sim_settings old = settings;
  old.old_tokens = true;
  char *page = ask(target, NULL);
  assert_non_null(strstr(page, "\"next_page_token\":\"QUFQTHxEfDE3MTAyMTYwMDAwMDAwMDAwMDA=\"")); /* AAPL|D|1710216000000000000 */
  tl_free(page);
  page = ask_with(&old, target, "2026-01-05T12:00:00Z", NULL);
  assert_non_null(strstr(page, "\"next_page_token\":\"QUFQTHxEfDIwMjQtMDMtMTFUMDQ6MDA6MDAuMDAwMDAwMDAwWg==\"")); /* AAPL|D|2024-03-11T04:00:00.000000000Z */
  tl_free(page);
}

static void nothing_is_said_in_the_vendors_ways(void **state) {
  (void)state;
  static const char *const targets[] = {
      "/v2/stocks/bars?symbols=AAPL&timeframe=1Min&start=2024-12-25T00:00:00Z&end=2024-12-25T23:59:59Z", /* a holiday */
      "/v2/stocks/bars?symbols=AAPL&timeframe=1Day&start=2015-01-02&end=2015-03-02",                     /* before history */
      "/v2/stocks/bars?symbols=ZZTOP&timeframe=1Day&start=2024-01-02&end=2024-03-02",                    /* unknown */
      "/v2/stocks/bars?symbols=AAPL&timeframe=1Day&start=2024-01-02&end=2024-03-02&feed=otc",
      "/v2/stocks/bars?symbols=DELI&timeframe=1Day&start=2023-07-03&end=2024-03-02",
      "/v2/stocks/bars?symbols=IPOX&timeframe=1Day&start=2022-01-03&end=2022-09-13",
  };
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) expect(targets[i], 200, "{\"bars\":{},\"next_page_token\":null}");
  expect("/v2/stocks/ZZTOP/quotes?start=2024-01-02&end=2024-01-03", 200, "{\"quotes\":null,\"symbol\":\"ZZTOP\",\"next_page_token\":null}");
  expect("/v2/stocks/ZZTOP/trades/latest?feed=iex", 404, "{\"message\":\"no trade found for ZZTOP\"}");
  expect("/v2/stocks/snapshots?symbols=ZZTOP&feed=iex", 200, "{\"ZZTOP\":null}");
}

static void refusals_use_the_vendors_words(void **state) {
  (void)state;
  static const struct {
    const char *target;
    int status;
    const char *message;
  } cases[] = {
      {"/v2/stocks/bars?timeframe=1Min", 400, "Invalid format for parameter symbols: query parameter 'symbols' is required"},
      {"/v2/stocks/bars?symbols=AAPL,X1&timeframe=1Min", 400, "invalid symbol: X1"},
      {"/v2/stocks/bars?symbols=AAPL,,MSFT&timeframe=1Min", 400, "invalid symbol: "},
      {"/v2/stocks/bars?symbols=BTC%2FUSD&timeframe=1Min", 400, "invalid symbol: BTC/USD"},
      {"/v2/stocks/bars?symbols=AAPL&timeframe=1min", 400, "invalid timeframe: 1min"},
      {"/v2/stocks/bars?symbols=AAPL&timeframe=60Min", 400, "invalid timeframe: 60Min"},
      {"/v2/stocks/bars?symbols=AAPL&timeframe=5Month", 400, "invalid timeframe: 5Month"},
      {"/v2/stocks/bars?symbols=AAPL&timeframe=2Day", 400, "invalid timeframe: 2Day"},
      {"/v2/stocks/bars?symbols=AAPL&timeframe=1Day&start=2024-01-03&end=2024-01-02", 400, "end should not be before start"},
      {"/v2/stocks/bars?symbols=AAPL&timeframe=1Day&start=tomorrow&end=2024-01-02", 400,
       "Invalid format for parameter start: error parsing 'tomorrow' as RFC3339 or 2006-01-02 time: parsing time \\\"tomorrow\\\" as \\\"2006-01-02\\\": cannot parse \\\"tomorrow\\\" as \\\"2006\\\""},
      {"/v2/stocks/bars?symbols=AAPL&timeframe=1Day&start=2024-01-02&end=2024-01-03&limit=10001", 400, "invalid limit: must be between 1 and 10000"},
      {"/v2/stocks/bars?symbols=AAPL&timeframe=1Day&start=2024-01-02&end=2024-01-03&page_token=null", 400, "invalid page_token"},
      {"/v2/stocks/trades?symbols=AAPL&start=2026-01-02&end=2026-01-05T11:50:00Z&feed=sip", 403, "subscription does not permit querying recent SIP data"},
      {"/v2/stocks/trades?symbols=AAPL&start=2027-01-02&end=2027-01-03", 403, "subscription does not permit querying recent SIP data"},
      {"/v2/stocks/news", 404, "endpoint not found."},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char want[600];
    snprintf(want, sizeof want, "{\"message\":\"%s\"}", cases[i].message);
    expect(cases[i].target, cases[i].status, want);
  }
  int status;
  char *answer = ask("/v2/stocks/trades?symbols=AAPL&start=2026-01-02&end=2026-01-05T11:45:00Z&feed=sip&limit=1", &status);
  assert_int_equal(status, 200); /* 15 minutes old is old enough */
  tl_free(answer);
}

/* A symbol's daily rows, its name cut off. */
static void days_of(const char *symbol, const char *asof, tl_buf *rows) {
  char target[256];
  tl_buf named = {0};
  snprintf(target, sizeof target, "/v2/stocks/bars?symbols=%s&timeframe=1Day&start=2024-03-11&end=2024-03-22&feed=sip%s%s", symbol, asof ? "&asof=" : "", asof ? asof : "");
  follow(&settings, target, 10000, &named);
  for (char *line = named.data; line && *line; line = strchr(line, '\n') + 1) {
    size_t n = strlen(symbol);
    assert_memory_equal(line, symbol, n);
    assert_int_equal(tl_buf_append(rows, line + n, strcspn(line + n, "\n") + 1, NULL), TL_OK);
  }
  tl_buf_deinit(&named);
}

static void a_rename_is_stitched_and_relabelled_unless_asof_says_otherwise(void **state) {
  (void)state;
  static const struct {
    const char *symbol, *asof;
    size_t days;
  } cases[] = {{"NEWN", NULL, 10}, {"NEWN", "2024-03-19", 10}, {"NEWN", "2024-03-18", 5}, {"NEWN", "-", 5}, {"OLDN", NULL, 5}, {"OLDN", "2024-03-12", 5}, {"OLDN", "-", 5}};
  tl_buf rows[7] = {{0}};
  for (size_t i = 0; i < 7; i++) {
    days_of(cases[i].symbol, cases[i].asof, &rows[i]);
    assert_int_equal(lines_of(&rows[i]), cases[i].days);
  }
  assert_memory_equal(rows[0].data, rows[4].data, rows[4].len);               /* the first week is OLDN's */
  assert_string_equal(rows[0].data + rows[4].len, rows[3].data);              /* the second NEWN's */
  for (size_t i = 0; i < 7; i++) tl_buf_deinit(&rows[i]);
}

static void answers_do_not_depend_on_what_was_asked_before(void **state) {
  (void)state;
  static const char *const targets[] = {
      "/v2/stocks/quotes?symbols=KO&start=2024-03-11T14:00:00Z&end=2024-03-11T14:00:20Z&feed=sip",
      "/v2/stocks/bars?symbols=AAPL,KO&timeframe=5Min&start=2024-03-11T14:00:00Z&end=2024-03-12T14:00:20Z&feed=sip",
      "/v2/stocks/trades?symbols=AAPL&start=2024-03-11T14:00:00Z&end=2024-03-11T14:00:20Z&feed=sip",
  };
  char *first[3];
  for (int i = 0; i < 3; i++) first[i] = ask(targets[i], NULL);
  for (int i = 2; i >= 0; i--) {
    char *again = ask(targets[i], NULL);
    assert_string_equal(first[i], again);
    tl_free(again);
    tl_free(first[i]);
  }
}

static void calendar_clock_assets_and_actions_have_their_shapes(void **state) {
  (void)state;
  expect("/v2/calendar?start=2024-11-28&end=2024-12-01", 200,
         "[{\"date\":\"2024-11-29\",\"open\":\"09:30\",\"close\":\"13:00\",\"session_open\":\"0400\",\"session_close\":\"1700\",\"settlement_date\":\"2024-12-02\"}]");
  expect("/v2/clock", 200, "{\"timestamp\":\"2026-01-05T07:00:00-05:00\",\"is_open\":false,\"next_open\":\"2026-01-05T09:30:00-05:00\",\"next_close\":\"2026-01-05T16:00:00-05:00\"}");
  char *text = ask("/v2/assets?status=active&asset_class=us_equity", NULL);
  assert_non_null(strstr(text, "\"class\":\"us_equity\",\"exchange\":\"NASDAQ\",\"symbol\":\"AAPL\""));
  assert_null(strstr(text, "\"symbol\":\"DELI\""));
  tl_free(text);
  text = ask("/v2/assets?status=inactive", NULL);
  assert_non_null(strstr(text, "\"symbol\":\"DELI\""));
  tl_free(text);
  text = ask("/v1/corporate-actions?symbols=SPLT,NEWN&start=2024-01-01&end=2024-12-31&types=forward_split,name_change", NULL);
  assert_non_null(strstr(text, "\"forward_splits\":[{\"id\":\""));
  assert_non_null(strstr(text, "\"symbol\":\"SPLT\",\"cusip\":\""));
  assert_non_null(strstr(text, "\"new_rate\":4,\"old_rate\":1,\"ex_date\":\"2024-06-10\"}]"));
  assert_non_null(strstr(text, "\"name_changes\":[{\"id\":\""));
  assert_null(strstr(text, "cash_dividends"));
  tl_free(text);
  expect("/v1/corporate-actions?symbols=SPLT&start=2023-01-01&end=2023-01-31", 200, "{\"corporate_actions\":{},\"next_page_token\":null}");
}

static void corporate_actions_come_in_pages_too(void **state) {
  (void)state;
  tl_buf one = {0}, all = {0};
  follow(&settings, "/v1/corporate-actions?start=2024-05-01&end=2024-06-30", 1000, &all);
  follow(&settings, "/v1/corporate-actions?start=2024-05-01&end=2024-06-30", 3, &one);
  assert_true(lines_of(&all) > 20);
  assert_string_equal(one.data, all.data);
  tl_buf_deinit(&one);
  tl_buf_deinit(&all);
}

static void dividends_lower_the_prices_before_them(void **state) {
  (void)state;
  double raw[3], adjusted[3];
  static const char *const days[] = {"2024-11-07", "2024-11-08", "2024-11-11"}; /* DIVD goes ex on the 8th: 1.00 */
  for (int i = 0; i < 3; i++) {
    char target[200];
    for (int k = 0; k < 2; k++) {
      snprintf(target, sizeof target, "/v2/stocks/DIVD/bars?timeframe=1Day&start=%s&end=%s&adjustment=%s&feed=sip", days[i], days[i], k ? "dividend" : "raw");
      char *page = ask_with(&settings, target, "2024-12-02T12:00:00Z", NULL);
      assert_int_equal(sscanf(page, "{\"bars\":[{\"c\":%lf", k ? &adjusted[i] : &raw[i]), 1);
      tl_free(page);
    }
  }
  assert_true(raw[1] == adjusted[1] && raw[2] == adjusted[2]);
  double want = raw[0] * (1 - 1.0 / raw[0]); /* the close before is its own */
  assert_true(adjusted[0] > want - 0.006 && adjusted[0] < want + 0.006);
}

#ifdef TL_FAULTS
static void memory_that_runs_out_is_an_error_and_no_leak(void **state) {
  (void)state;
  static const char *const targets[] = {
      "/v2/stocks/bars?symbols=AAPL,KO&timeframe=1Min&start=2024-03-11T13:30:00Z&end=2024-03-11T14:00:00Z&feed=sip",
      "/v2/stocks/trades?symbols=AAPL,KO&start=2024-03-11T13:30:00Z&end=2024-03-11T13:32:00Z&feed=sip",
      "/v2/stocks/KO/quotes?start=2024-03-11T13:30:00Z&end=2024-03-11T13:32:00Z&feed=sip",
      "/v2/stocks/snapshots?symbols=AAPL,KO&feed=delayed_sip",
      "/v1/corporate-actions?start=2024-05-01&end=2024-06-30",
      "/v2/assets",
      "/v2/stocks/bars?symbols=x",
  };
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
    tl_status st = TL_ENOMEM;
    long n = 1;
    for (; st; n++) {
      char copy[512];
      sim_query query;
      sim_answer answer = {0};
      tl_error err = {0};
      int64_t live = tl_alloc_live();
      memcpy(copy, targets[i], strlen(targets[i]));
      sim_query_parse(copy, strlen(targets[i]), &query);
      tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
      st = sim_alpaca_answer(&settings, &query, instant("2026-01-05T12:00:00Z"), &answer, &err);
      bool reached = tl_fault_disarm();
      assert_int_equal(st, reached ? TL_ENOMEM : TL_OK);
      tl_buf_deinit(&answer.body);
      assert_int_equal(tl_alloc_live(), live);
    }
    assert_true(n > 2);
  }
}
#endif

static int nothing_leaks(void **state) {
  (void)state;
  return tl_alloc_live() != 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(every_page_size_gives_the_same_rows, nothing_leaks),
      cmocka_unit_test_teardown(the_end_is_inclusive_so_a_session_to_four_has_391_minutes, nothing_leaks),
      cmocka_unit_test_teardown(rows_look_like_the_vendors, nothing_leaks),
      cmocka_unit_test_teardown(tokens_name_the_next_bar_or_in_the_old_style_the_last_one, nothing_leaks),
      cmocka_unit_test_teardown(nothing_is_said_in_the_vendors_ways, nothing_leaks),
      cmocka_unit_test_teardown(refusals_use_the_vendors_words, nothing_leaks),
      cmocka_unit_test_teardown(a_rename_is_stitched_and_relabelled_unless_asof_says_otherwise, nothing_leaks),
      cmocka_unit_test_teardown(answers_do_not_depend_on_what_was_asked_before, nothing_leaks),
      cmocka_unit_test_teardown(calendar_clock_assets_and_actions_have_their_shapes, nothing_leaks),
      cmocka_unit_test_teardown(corporate_actions_come_in_pages_too, nothing_leaks),
      cmocka_unit_test_teardown(dividends_lower_the_prices_before_them, nothing_leaks),
#ifdef TL_FAULTS
      cmocka_unit_test_teardown(memory_that_runs_out_is_an_error_and_no_leak, nothing_leaks),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
