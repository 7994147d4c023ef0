/* The decisions of the fetch stage, as tables: what an answer means, how long to wait, how many at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "fetch/adapt.h"
#include "fetch/transfer.h"

#define MS TL_NS_PER_MS

static void every_http_code_has_one_verdict(void **state) {
  (void)state;
  for (int code = -1; code < 1000; code++) { /* written the other way round than the table: by what a user expects */
    tl_verdict want = code == 200 ? VERDICT_DECODE : code == 401 ? VERDICT_FATAL_ALL : code == 429 ? VERDICT_SLOW_DOWN
                      : code == 408 || code == 425 || code / 100 == 5 ? VERDICT_RETRY : VERDICT_FATAL;
    assert_int_equal(tl_verdict_of(TL_OK, false, code, false), want);
    assert_int_equal(tl_verdict_of(TL_OK, false, code, true), code == 400 || code == 422 ? VERDICT_BISECT : want);
    assert_int_equal(tl_verdict_status(code), code == 401 ? TL_EAUTH : code == 404 ? TL_ENOTFOUND : TL_EHTTP);
  }
}

static void broken_transfers_are_retried_unless_hopeless(void **state) {
  (void)state;
  static const struct { tl_status status; bool hopeless; tl_verdict want; } table[] = {
      {TL_ENET, false, VERDICT_RETRY},   {TL_ENET, true, VERDICT_FATAL}, /* e.g. a certificate that is not trusted */
      {TL_ELIMIT, false, VERDICT_RETRY}, {TL_EDECODE, false, VERDICT_RETRY}, {TL_EORIGIN, true, VERDICT_FATAL},
      {TL_EORIGIN, false, VERDICT_FATAL}, {TL_ENOMEM, false, VERDICT_FATAL}, {TL_EUSAGE, false, VERDICT_FATAL}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    assert_int_equal(tl_verdict_of(table[i].status, table[i].hopeless, 200, false), table[i].want);
}

static void error_pages_become_one_line(void **state) {
  (void)state;
  static const struct { const char *body, *text; } table[] = {
      {"<html>\r\n<head><title>401 Authorization Required</title></head>\r\n<body>\r\n</body></html>", "401 Authorization Required"},
      {"  two \t\n words ", "two words"},
      {"a\x01\x1b[31mb", "a [31mb"},
      {"", ""},
      {"<unclosed", ""},
      {"1 > 0", "1 > 0"},
  };
  char text[64];
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tl_verdict_plain_text(table[i].body, strlen(table[i].body), text, sizeof text);
    assert_string_equal(text, table[i].text);
  }
  char body[500];
  memset(body, 'x', sizeof body);
  tl_verdict_plain_text(body, sizeof body, text, sizeof text);
  assert_in_range(strlen(text), 50, sizeof text - 1);
}

static void characters_are_whole(void **state) {
  (void)state;
  char text[16];
  tl_verdict_plain_text("\xC3\xA9t\xC3\xA9", 5, text, 12);
  assert_string_equal(text, "\xC3\xA9t\xC3\xA9");
  for (size_t size = 6; size < sizeof text; size++) {
    tl_verdict_plain_text("\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC", 15, text, size);
    assert_true(strlen(text) < size && strlen(text) % 3 == 0);
  }
}

static void a_chain_goes_page_by_page_to_its_last_token(void **state) {
  (void)state;
  tl_transfer t;
  tl_transfer_init(&t, 3, 1);
  for (int page = 0; page < 5; page++) {
    assert_int_equal(t.state, TRANSFER_SEND);
    tl_transfer_on_sent(&t);
    assert_int_equal(t.state, TRANSFER_IN_FLIGHT);
    assert_int_equal(tl_transfer_on_page(&t, page < 4), page < 4 ? TRANSFER_SEND : TRANSFER_DONE);
  }
  tl_transfer_deinit(&t);
}

static void a_page_has_one_try_and_its_retries(void **state) {
  (void)state;
  for (uint32_t retries = 0; retries < 6; retries++) {
    tl_transfer t;
    tl_transfer_init(&t, retries, 1);
    for (uint32_t i = 0; i < retries; i++) assert_int_equal(tl_transfer_on_trouble(&t, VERDICT_RETRY, -1), TRANSFER_WAIT);
    tl_transfer_on_wait_over(&t);
    assert_int_equal(t.state, TRANSFER_SEND);
    assert_int_equal(tl_transfer_on_trouble(&t, VERDICT_RETRY, -1), TRANSFER_FAILED);
    tl_transfer_init(&t, retries, 1);
    for (uint32_t i = 0; i < retries; i++) tl_transfer_on_trouble(&t, VERDICT_RETRY, -1);
    tl_transfer_on_page(&t, true); /* the next page has all of them again */
    assert_int_equal(tl_transfer_on_trouble(&t, VERDICT_RETRY, -1), retries ? TRANSFER_WAIT : TRANSFER_FAILED);
  }
}

static void retries_back_off_with_full_jitter(void **state) {
  (void)state;
  int64_t low[8], high[8], sum[8] = {0};
  enum { RUNS = 4000 };
  for (int r = 0; r < RUNS; r++) {
    tl_transfer t;
    tl_transfer_init(&t, 20, (uint64_t)r);
    for (int i = 0; i < 8; i++) {
      tl_transfer_on_trouble(&t, VERDICT_RETRY, -1);
      if (!r || t.wait_ns < low[i]) low[i] = t.wait_ns;
      if (!r || t.wait_ns > high[i]) high[i] = t.wait_ns;
      sum[i] += t.wait_ns;
    }
    for (int i = 8; i < 20; i++) {
      tl_transfer_on_trouble(&t, VERDICT_RETRY, -1);
      assert_in_range(t.wait_ns, 0, 60000 * MS);
    }
  }
  static const int64_t top_ms[8] = {250, 500, 1000, 2000, 4000, 8000, 16000, 32000};
  for (int i = 0; i < 8; i++) { /* uniform from 0 to the top */
    assert_in_range(low[i], 0, top_ms[i] * MS / 100);
    assert_in_range(high[i], top_ms[i] * MS * 99 / 100, top_ms[i] * MS);
    assert_in_range(sum[i] / RUNS, top_ms[i] * MS * 47 / 100, top_ms[i] * MS * 53 / 100);
  }
}

static void what_the_provider_asks_for_is_obeyed_up_to_its_window(void **state) {
  (void)state;
  static const struct { tl_verdict verdict; int64_t retry_after_ns, wait_ns; } table[] = {
      {VERDICT_RETRY, 7000 * MS, 7000 * MS},     {VERDICT_RETRY, 0, 0},
      {VERDICT_RETRY, INT64_MAX, 60000 * MS},    {VERDICT_SLOW_DOWN, 7000 * MS, 7000 * MS},
      {VERDICT_SLOW_DOWN, INT64_MAX, 60000 * MS}, {VERDICT_SLOW_DOWN, 0, 250 * MS}, /* no hot loop */
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tl_transfer t;
    tl_transfer_init(&t, 3, 1);
    assert_int_equal(tl_transfer_on_trouble(&t, table[i].verdict, table[i].retry_after_ns), TRANSFER_WAIT);
    assert_int_equal(t.wait_ns, table[i].wait_ns);
  }
}

static void a_429_never_spends_a_try(void **state) {
  (void)state;
  tl_transfer t;
  tl_transfer_init(&t, 0, 1);
  int64_t want = 250 * MS;
  for (int i = 0; i < 100; i++) {
    assert_int_equal(tl_transfer_on_trouble(&t, VERDICT_SLOW_DOWN, -1), TRANSFER_WAIT);
    assert_int_equal(t.wait_ns, want);
    want = want * 2 < 60000 * MS ? want * 2 : 60000 * MS;
  }
  tl_transfer_on_page(&t, true);
  tl_transfer_on_trouble(&t, VERDICT_SLOW_DOWN, -1);
  assert_int_equal(t.wait_ns, 250 * MS);
}

static void refusals_end_the_chain(void **state) {
  (void)state;
  static const tl_verdict ends[] = {VERDICT_FATAL, VERDICT_FATAL_ALL, VERDICT_BISECT};
  for (size_t i = 0; i < 3; i++) {
    tl_transfer t;
    tl_transfer_init(&t, 3, 1);
    assert_int_equal(tl_transfer_on_trouble(&t, ends[i], 5), TRANSFER_FAILED);
  }
}

static void tokens_are_remembered_for_the_whole_chain(void **state) {
  (void)state;
  tl_transfer t;
  char token[32];
  tl_transfer_init(&t, 3, 1);
  for (int i = 0; i < 3000; i++) {
    snprintf(token, sizeof token, "QUFQTHxNfDE3%d", i);
    assert_false(tl_transfer_knows_token(&t, token));
    assert_int_equal(tl_transfer_add_token(&t, token, NULL), TL_OK);
  }
  for (int i = 0; i < 3000; i += 7) {
    snprintf(token, sizeof token, "QUFQTHxNfDE3%d", i);
    assert_true(tl_transfer_knows_token(&t, token));
  }
  assert_false(tl_transfer_knows_token(&t, "QUFQTHxNfDE3"));
  tl_transfer_deinit(&t);
  tl_transfer_init(&t, 3, 1);
  tl_error err = {0};
  tl_fault_arm(TL_SEAM_ALLOC, 1, TL_FAULT_ERROR, 0);
  assert_int_equal(tl_transfer_add_token(&t, "x", &err), TL_ENOMEM);
  tl_fault_disarm();
  assert_false(tl_transfer_knows_token(&t, "x"));
  tl_transfer_deinit(&t);
  assert_int_equal(tl_alloc_live(), 0);
}

static void concurrency_halves_on_trouble_and_grows_by_one_a_round(void **state) {
  (void)state;
  tl_adapt a;
  int64_t now = 0;
  tl_adapt_init(&a, 16);
  assert_int_equal(a.limit, 16); /* starts at full width */
  for (int i = 0; i < 100; i++) tl_adapt_good(&a);
  assert_int_equal(a.limit, 16);
  for (int i = 0; i < 16; i++) tl_adapt_trouble(&a, now + i); /* a herd counts once */
  assert_int_equal(a.limit, 8);
  for (int i = 0; i < 8; i++) {
    assert_int_equal(a.limit, 8);
    tl_adapt_good(&a);
  }
  assert_int_equal(a.limit, 9);
  static const uint32_t want[] = {4, 2, 1, 1, 1};
  for (int i = 0; i < 5; i++) {
    now += 1100 * MS;
    tl_adapt_trouble(&a, now);
    assert_int_equal(a.limit, want[i]);
  }
  for (int i = 0; i < 1 + 2 + 3; i++) tl_adapt_good(&a);
  assert_int_equal(a.limit, 4);
  tl_adapt_init(&a, 0);
  assert_int_equal(a.limit, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_http_code_has_one_verdict),
      cmocka_unit_test(broken_transfers_are_retried_unless_hopeless),
      cmocka_unit_test(error_pages_become_one_line),
      cmocka_unit_test(characters_are_whole),
      cmocka_unit_test(a_chain_goes_page_by_page_to_its_last_token),
      cmocka_unit_test(a_page_has_one_try_and_its_retries),
      cmocka_unit_test(retries_back_off_with_full_jitter),
      cmocka_unit_test(what_the_provider_asks_for_is_obeyed_up_to_its_window),
      cmocka_unit_test(a_429_never_spends_a_try),
      cmocka_unit_test(refusals_end_the_chain),
      cmocka_unit_test(tokens_are_remembered_for_the_whole_chain),
      cmocka_unit_test(concurrency_halves_on_trouble_and_grows_by_one_a_round),
  };
  return cmocka_run_group_tests_name("fetch/transfer", tests, NULL, NULL);
}
