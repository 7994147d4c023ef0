/* A page's place in its chain. Pages come from a provider made for this test, whose bodies are short enough to read:
 *     "A:1a,2a,2b;B:5a"     rows of A at 1, 2 and 2 ns, of B at 5 ns; the letter is the rest of the row */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/prng.h"
#include "decode/decode.h"

static tl_status short_page(const tl_ask *ask, const char *body, size_t len, tl_page *out, tl_error *err) {
  tl_page_clear(out, TL_TRADES);
  tl_status st = TL_OK;
  const char *end = body + len;
  while (!st && body < end) {
    const char *symbol = "Z"; /* never asked for */
    for (size_t i = 0; i < ask->symbol_count; i++)
      if (*ask->symbols[i] == *body) symbol = ask->symbols[i];
    size_t begin = out->batch.rows;
    body++;
    while (!st && body < end && *body != ';') {
      char *after;
      st = tl_batch_reserve(&out->batch, 1, err);
      if (st) break;
      size_t row = out->batch.rows++;
      for (int c = 1; c < TL_TRADES_COLUMN_COUNT; c++) {
        if (out->batch.def->columns[c].type == TL_I64) out->batch.columns[c].i64[row] = 0;
        if (out->batch.def->columns[c].nullable) tl_column_set_null(&out->batch.columns[c], row);
      }
      tl_batch_times(&out->batch)[row] = strtoll(body + 1, &after, 10);
      out->batch.columns[TL_TRADES_PRICE].f64[row] = *after;
      body = after + 1;
    }
    if (!st && out->batch.rows > begin) st = tl_page_add_run(out, symbol, begin, out->batch.rows, err);
    if (body < end) body++;
  }
  if (!st) st = tl_page_seal(out, err);
  if (st) tl_page_clear(out, TL_TRADES);
  return st;
}

static const tl_provider short_provider = {.name = "short", .page = short_page};
static const char *const symbols[] = {"A", "B", "C"};
static const tl_ask ask = {.wire = TL_WIRE_TRADES, .symbols = symbols, .symbol_count = 3, .range = {0, 2000}};

static tl_decoder decoder;
static tl_page page;
static tl_buf text;

static void start(void) { tl_decoder_deinit(&decoder); }

static void put_page(tl_buf *out) {
  for (size_t i = 0; i < page.run_count; i++) {
    const tl_run *run = &page.runs[i];
    tl_buf_appendf(out, NULL, "%s%s", out->len ? ";" : "", run->symbol);
    for (size_t row = run->begin; row < run->end; row++)
      tl_buf_appendf(out, NULL, "%c%d%c", row > run->begin ? ',' : ':', (int)tl_batch_times(&page.batch)[row],
                     (char)page.batch.columns[TL_TRADES_PRICE].f64[row]);
  }
}

static void expect(const char *body, const char *rows) {
  tl_error err = {0};
  if (tl_decoder_page(&decoder, &short_provider, &ask, body, strlen(body), &page, &err)) fail_msg("%s: %s", body, err.message);
  tl_buf_clear(&text);
  put_page(&text);
  assert_string_equal(text.data ? text.data : "", rows);
}

static void expect_refused(const char *body, const char *reason) {
  tl_error err = {0};
  assert_int_equal(tl_decoder_page(&decoder, &short_provider, &ask, body, strlen(body), &page, &err), TL_EDECODE);
  if (!strstr(err.message, reason)) fail_msg("%s: '%s' does not say '%s'", body, err.message, reason);
  assert_true(page.batch.rows == 0 && page.run_count == 0);
}

static void rows_in_order_come_as_they_are(void **state) {
  (void)state;
  start();
  expect("A:1a,2a,2b;B:5a", "A:1a,2a,2b;B:5a");
  expect("B:5b,7a;C:1a", "B:5b,7a;C:1a");
  expect("", "");
  expect("C:1b", "C:1b");
  assert_int_equal(decoder.repeated_rows, 0);
}

static void repeated_rows_at_the_head_are_dropped(void **state) {
  (void)state;
  static const struct { const char *first, *second, *rows; int repeated; } cases[] = {
    {"A:1a,2a,3a", "A:3a,4a", "A:4a", 1},
    {"A:1a,2a,3a", "A:2a,3a,4a", "A:4a", 2},
    {"A:1a,2a,3a", "A:1a,2a,3a", "", 3},           /* the page once more: nothing new */
    {"A:1a,2a,3a", "A:3b,4a", "A:3b,4a", 0},       /* same time, another row */
    {"A:1a,2a,2b,2c", "A:2b,2c,2d", "A:2d", 2},
    {"A:1a,2a,2b,2c", "A:2b,2d", "A:2b,2d", 0},    /* a row of the tail, but not its end */
    {"A:2a,2a", "A:2a,2a,2a", "A:2a", 2},          /* the longest stretch */
    {"A:1a;B:2a", "B:2a;C:9a", "C:9a", 1},
    {"A:1a;B:2a", "B:2a,3a;C:9a", "B:3a;C:9a", 1},
    {"A:1a;B:2a", "C:2a", "C:2a", 0},              /* another symbol */
    {"B:2a;A:1a", "A:1a,3a", "A:3a", 1},           /* members of the page in another order: either may go on */
    {"B:2a;A:1a", "B:2a,3a", "B:3a", 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    start();
    tl_error err = {0};
    assert_int_equal(tl_decoder_page(&decoder, &short_provider, &ask, cases[i].first, strlen(cases[i].first), &page, &err), TL_OK);
    expect(cases[i].second, cases[i].rows);
    assert_int_equal(decoder.repeated_rows, cases[i].repeated);
  }
}

static void unsorted_members_are_put_in_order(void **state) {
  (void)state;
  start();
  expect("A:3a,1a,2a,1b", "A:1a,1b,2a,3a");
  start();
  expect("C:1a;A:2a;B:5a", "A:2a;B:5a;C:1a");
  start();
  expect("A:2a;B:5a;A:1a,2b", "A:1a,2a,2b;B:5a"); /* a symbol twice in a page is one run */
}

static void a_week_that_holds_the_start_belongs_to_the_range(void **state) {
  (void)state;
  int64_t monday_ns = tl_interval_floor((tl_interval){1, TL_WEEK}, INT64_C(1720000000) * TL_NS_PER_S);
  tl_ask weekly = {.wire = TL_WIRE_BARS, .interval = {1, TL_WEEK}, .symbols = symbols, .symbol_count = 3,
                   .range = {monday_ns + 2 * TL_NS_PER_DAY, monday_ns + 9 * TL_NS_PER_DAY}};
  char body[64];
  snprintf(body, sizeof body, "A:%llda", (long long)monday_ns);
  start();
  assert_int_equal(tl_decoder_page(&decoder, &short_provider, &weekly, body, strlen(body), &page, NULL), TL_OK);
  assert_int_equal(tl_page_rows(&page), 1);
  start();
  weekly.interval.unit = TL_HOUR; /* shorter bars begin inside the range */
  assert_int_equal(tl_decoder_page(&decoder, &short_provider, &weekly, body, strlen(body), &page, NULL), TL_EDECODE);
}

static void a_page_out_of_its_place_is_refused_and_may_be_asked_again(void **state) {
  (void)state;
  start();
  expect("A:1a,5a", "A:1a,5a");
  expect_refused("A:4a", "'A' go back in time");
  expect("A:5b;B:1a,2a", "A:5b;B:1a,2a");
  expect_refused("A:9a", "'A' comes again");
  expect_refused("A:9a;B:3a", "'A' comes again");
  expect_refused("B:1b", "'B' go back in time");
  expect_refused("B:2c,1c", "'B' go back in time"); /* sorted first: 1 comes before the 2 of the page before */
  expect_refused("B:2000a", "outside the range");
  expect_refused("B:3a,2000a", "outside the range");
  expect_refused("C:-1a", "outside the range");
  expect_refused("Z:1a", "'Z', which was not asked for");
  assert_int_equal(decoder.repeated_rows, 0);
  expect("B:2a,999a;C:0a", "B:999a;C:0a");
  expect_refused("B:999b", "'B' comes again");
  start(); /* either symbol of a page in another order may go on, but not both */
  expect("B:2a;A:1a", "A:1a;B:2a");
  expect_refused("A:2a;B:3a", "'B' comes again");
  expect("B:3a;C:1a", "B:3a;C:1a");
}

static void another_request_in_one_chain_is_our_own_mistake(void **state) {
  (void)state;
  start();
  expect("A:1a", "A:1a");
  tl_ask other = ask;
  other.symbol_count = 2;
  tl_error err = {0};
  assert_int_equal(tl_decoder_page(&decoder, &short_provider, &other, "A:2a", 4, &page, &err), TL_EINTERNAL);
}

/* Rows of three symbols cut into pages of every size, by a vendor whose token names the next row, and by one whose
 * token names the last row delivered (so each page begins with it again): always the same rows. */
static void page_limits_do_not_show(void **state) {
  (void)state;
  tl_prng prng = tl_prng_init(5);
  char rows[60][12];
  int ns = 0;
  for (int i = 0; i < 60; i++) {
    if (i % 20 == 0) ns = 0;
    ns += (int)tl_prng_below(&prng, 3);
    snprintf(rows[i], sizeof rows[i], "%c:%d%c", "ABC"[i / 20], ns, 'a' + i % 26); /* neighbours differ */
  }
  for (int repeats = 0; repeats <= 1; repeats++)
    for (int limit = 1 + repeats; limit <= 61; limit++) {
      tl_buf body = {0}, all = {0}, expected = {0};
      start();
      for (int at = 0; at < 60;) {
        int first = repeats && at ? at - 1 : at, last = first + limit < 60 ? first + limit : 60;
        tl_buf_clear(&body);
        for (int i = first; i < last; i++) {
          bool same = i > first && rows[i][0] == rows[i - 1][0];
          tl_buf_appendf(&body, NULL, "%s%s", same ? "," : i > first ? ";" : "", rows[i] + (same ? 2 : 0));
        }
        assert_int_equal(tl_decoder_page(&decoder, &short_provider, &ask, body.data, body.len, &page, NULL), TL_OK);
        for (size_t r = 0; r < page.run_count; r++)
          for (size_t row = page.runs[r].begin; row < page.runs[r].end; row++)
            tl_buf_appendf(&all, NULL, "%s:%d%c ", page.runs[r].symbol, (int)tl_batch_times(&page.batch)[row],
                           (char)page.batch.columns[TL_TRADES_PRICE].f64[row]);
        at = last;
      }
      for (int i = 0; i < 60; i++) tl_buf_appendf(&expected, NULL, "%s ", rows[i]);
      assert_string_equal(all.data, expected.data);
      tl_buf_deinit(&body);
      tl_buf_deinit(&all);
      tl_buf_deinit(&expected);
    }
}

static void the_tail_is_bounded_and_a_longer_repeat_is_refused(void **state) {
  (void)state;
  tl_buf body = {0};
  start();
  tl_buf_appends(&body, "A", NULL);
  for (int i = 0; i < 1200; i++) tl_buf_appendf(&body, NULL, "%c%da", i ? ',' : ':', i);
  assert_int_equal(tl_decoder_page(&decoder, &short_provider, &ask, body.data, body.len, &page, NULL), TL_OK);
  assert_int_equal(decoder.tail.rows, TL_DECODER_TAIL_MAX);
  expect_refused(body.data, "'A' go back in time");
  expect("A:1198a,1199a,1200a", "A:1200a");
  tl_buf_deinit(&body);
}

#ifdef TL_FAULTS
static void every_failed_allocation_is_told_and_the_page_can_come_again(void **state) {
  (void)state;
  static const char *const bodies[] = {"B:1a;A:3a,1a,2a", "B:1a,2a;C:1a,0a", "C:1a,7a"};
  static const char expected[] = "A:1a,2a,3a;B:1a;B:2a;C:0a,1a;C:7a";
  tl_page_deinit(&page);
  start();
  int64_t live = tl_alloc_live();
  for (long n = 1; n < 1000; n++) {
    tl_buf all = {0};
    bool fired = false;
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    for (size_t i = 0; i < 3; i++) {
      tl_error err = {0};
      tl_status st = tl_decoder_page(&decoder, &short_provider, &ask, bodies[i], strlen(bodies[i]), &page, &err);
      if (st) {
        assert_int_equal(st, TL_ENOMEM);
        assert_true(tl_page_rows(&page) == 0);
        fired = tl_fault_disarm();
        assert_true(fired);
        assert_int_equal(tl_decoder_page(&decoder, &short_provider, &ask, bodies[i], strlen(bodies[i]), &page, &err), TL_OK);
        tl_fault_arm(TL_SEAM_ALLOC, 100000, TL_FAULT_ERROR, 0);
      }
      tl_fault_disarm();
      put_page(&all);
      if (!fired) tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    }
    tl_fault_disarm();
    if (strcmp(all.data, expected) != 0) fail_msg("fault %ld: %s", n, all.data);
    tl_buf_deinit(&all);
    start();
    tl_page_deinit(&page);
    assert_int_equal(tl_alloc_live(), live);
    if (!fired) return;
  }
  fail_msg("still faulting");
}
#endif

static int tear_down(void **state) {
  (void)state;
  tl_decoder_deinit(&decoder);
  tl_page_deinit(&page);
  tl_buf_deinit(&text);
  return tl_alloc_live() == 0 ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(rows_in_order_come_as_they_are),
    cmocka_unit_test(repeated_rows_at_the_head_are_dropped),
    cmocka_unit_test(unsorted_members_are_put_in_order),
    cmocka_unit_test(a_week_that_holds_the_start_belongs_to_the_range),
    cmocka_unit_test(a_page_out_of_its_place_is_refused_and_may_be_asked_again),
    cmocka_unit_test(another_request_in_one_chain_is_our_own_mistake),
    cmocka_unit_test(page_limits_do_not_show),
    cmocka_unit_test(the_tail_is_bounded_and_a_longer_repeat_is_refused),
#ifdef TL_FAULTS
    cmocka_unit_test(every_failed_allocation_is_told_and_the_page_can_come_again),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, tear_down);
}
