/* request.h - plans as a test writes them: kind, symbols, dates. For tests of this folder. */
#ifndef TL_TEST_PLAN_REQUEST_H
#define TL_TEST_PLAN_REQUEST_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "market/calendar.h"
#include "plan/plan.h"

enum { REQUEST_SYMBOLS_MAX = 1200 };

static inline int64_t at(const char *text) { /* RFC 3339, or a New York date: its midnight */
  int64_t ns = 0;
  int32_t day = 0;
  if (tl_day_parse(text, strlen(text), &day)) return tl_calendar_day_start_ns(day);
  assert_int_equal(tl_time_parse(text, strlen(text), &ns, NULL), TL_OK);
  return ns;
}

typedef struct request {
  tl_plan_input input;
  tl_plan_symbol symbols[REQUEST_SYMBOLS_MAX];
  char names[REQUEST_SYMBOLS_MAX][8];
  tl_range range;
  tl_plan plan;
} request;

/* All of [start, end) is uncovered, for `count` symbols S000, S001, ...; it is long ago. *r was {0} or made before. */
static inline void request_make(request *r, const char *kind, size_t count, const char *start, const char *end) {
  tl_plan_deinit(&r->plan);
  memset(r, 0, sizeof *r);
  tl_error err = {0};
  if (tl_job_kind_parse(kind, NULL, &r->input.job, &err)) fail_msg("%s", err.message);
  r->range = tl_plan_align(&r->input.job, (tl_range){at(start), at(end)});
  assert_true(count <= REQUEST_SYMBOLS_MAX);
  for (size_t i = 0; i < count; i++) {
    snprintf(r->names[i], sizeof r->names[i], "S%03u", (unsigned)(i % 10000));
    r->symbols[i] = (tl_plan_symbol){r->names[i], &r->range, 1, 0};
  }
  r->input.symbols = r->symbols;
  r->input.symbol_count = count;
  r->input.now_ns = r->input.latest_ns = at("2030-01-01");
  r->input.history_start_ns = INT64_MIN;
  r->input.page_limit = 10000;
  r->input.pages_per_unit = 5;
  r->input.symbols_per_ask_max = 1000;
  r->input.rate_per_minute = 200;
}

static inline const tl_plan *request_plan(request *r) {
  tl_error err = {0};
  tl_plan_deinit(&r->plan);
  if (tl_plan_make(&r->input, &r->plan, &err)) fail_msg("%s", err.message);
  return &r->plan;
}

static inline void request_expect_ask(const request *r, size_t index, const char *start, const char *end) {
  assert_true(index < r->plan.ask_count);
  tl_range range = r->plan.asks[index].range;
  char want[128], got[128], a[TL_TIME_TEXT_MAX], b[TL_TIME_TEXT_MAX];
  tl_time_format(at(start), -1, a);
  tl_time_format(at(end), -1, b);
  snprintf(want, sizeof want, "%s %s", a, b);
  tl_time_format(range.start_ns, -1, a);
  tl_time_format(range.end_ns, -1, b);
  snprintf(got, sizeof got, "%s %s", a, b);
  assert_string_equal(got, want);
}
#endif
