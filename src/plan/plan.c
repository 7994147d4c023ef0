/* plan.c - the steps in order: cut what is not covered, split it in time, pack it over symbols, add up the cost. */
#include "plan/plan.h"

#include <string.h>

#include "base/alloc.h"
#include "market/calendar.h"
#include "plan/spans.h"

enum { SPANS_MAX = 5 * 1000 * 1000 };
static const int64_t settle_ns = INT64_C(16) * 60 * TL_NS_PER_S; /* younger answers are partial: INTERFACES.md */

tl_status tl_spans_add(tl_spans *spans, tl_span span, tl_error *err) {
  if (tl_range_empty(span.range)) return TL_OK;
  if (spans->count == SPANS_MAX)
    return tl_fail(err, TL_ELIMIT, "the plan has more than %d units: ask for less at a time or raise the page limit",
                   SPANS_MAX);
  if (spans->count == spans->capacity) {
    size_t more = spans->capacity ? spans->capacity * 2 : 64;
    tl_span *grown = tl_realloc_array(spans->items, more, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "out of memory for a plan of %zu units", more);
    spans->items = grown;
    spans->capacity = more;
  }
  spans->items[spans->count++] = span;
  return TL_OK;
}

void tl_spans_deinit(tl_spans *spans) {
  tl_free(spans->items);
  *spans = (tl_spans){0};
}

tl_range tl_plan_align(const tl_job_kind *job, tl_range range) {
  if (!job->derived || tl_range_empty(range)) return range;
  tl_interval interval = job->dataset.interval.count ? job->dataset.interval : (tl_interval){1, TL_SECOND};
  return (tl_range){tl_interval_floor(interval, range.start_ns), tl_interval_next(interval, range.end_ns - 1)};
}

/* ---- cut ---- */

/* What is younger than this is asked for apart, because it will be asked for again. */
static int64_t fresh_start(const tl_plan_input *input) {
  int64_t settled_ns = input->now_ns - settle_ns;
  int64_t day_ns = tl_calendar_day_start_ns(tl_calendar_day(settled_ns));
  return input->job.dataset.interval.count ? tl_interval_floor(input->job.dataset.interval, day_ns) : day_ns;
}

static tl_status cut_range(const tl_plan_input *input, uint32_t symbol, tl_range range, tl_spans *out, tl_error *err) {
  if (range.end_ns > input->latest_ns) range.end_ns = input->latest_ns;
  int64_t history_ns = tl_plan_align(&input->job, (tl_range){input->history_start_ns, INT64_MAX}).start_ns;
  tl_range before = tl_range_clip(range, (tl_range){INT64_MIN, history_ns});
  range = tl_range_clip(range, (tl_range){history_ns, INT64_MAX});
  tl_status st = tl_spans_add(out, (tl_span){before, 0, symbol, TL_SPAN_HISTORY}, err);
  if (st || tl_range_empty(range)) return st;
  if (input->plain) return tl_plan_split(input, symbol, range, out, err);
  int64_t fresh_ns = fresh_start(input);
  tl_range settled = tl_range_clip(range, (tl_range){INT64_MIN, fresh_ns});
  tl_range fresh = tl_range_clip(range, (tl_range){fresh_ns, INT64_MAX});
  if (!tl_range_empty(settled)) st = tl_plan_split(input, symbol, settled, out, err);
  if (!st && !tl_range_empty(fresh)) st = tl_plan_split(input, symbol, fresh, out, err);
  return st;
}

static tl_status cut(const tl_plan_input *input, tl_spans *out, tl_error *err) {
  for (size_t i = 0; i < input->symbol_count; i++)
    for (size_t k = 0; k < input->symbols[i].uncovered_count; k++) {
      tl_status st = cut_range(input, (uint32_t)i, input->symbols[i].uncovered[k], out, err);
      if (st) return st;
    }
  return TL_OK;
}

/* ---- the size of the whole plan decides how long its chains are ---- */

/* A plan of a few pages is quick anyway, and one that needs the minute's whole budget cannot afford a page that is not
 * full. Between them chains are kept short, so that many run side by side. */
static bool wants_short_chains(const tl_plan_input *input, const tl_spans *spans) {
  double rows = 0;
  for (size_t i = 0; i < spans->count; i++) rows += spans->items[i].rows;
  double pages = rows / input->page_limit;
  return pages >= 24 && (input->rate_per_minute == 0 || 2 * pages <= input->rate_per_minute);
}

static tl_status split_bars(const tl_plan_input *input, bool short_chains, tl_spans *spans, tl_error *err) {
  tl_spans split = {0};
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < spans->count; i++) {
    const tl_span *span = &spans->items[i];
    if (span->kind == TL_SPAN_ASK) st = tl_plan_split_bars(input, span, short_chains, &split, err);
    else st = tl_spans_add(&split, *span, err);
  }
  tl_spans_deinit(spans);
  *spans = split;
  return st;
}

/* ---- cost ---- */

static double default_bytes_per_row(tl_wire wire) { /* gzip of JSON, measured on pages of 10000 rows and rounded up */
  return wire == TL_WIRE_QUOTES ? 14 : wire == TL_WIRE_TRADES ? 18 : 22;
}

static void add_up(const tl_plan_input *input, tl_plan *plan) {
  double rows = 0;
  for (size_t i = 0; i < plan->ask_count; i++) {
    const tl_plan_ask *ask = &plan->asks[i];
    if (ask->closed) {
      plan->closed_units += ask->symbol_count;
      continue;
    }
    plan->requests++;
    plan->units += ask->symbol_count;
    plan->pages += ask->pages_expected;
    rows += (double)ask->rows_expected;
  }
  double bytes_per_row = input->bytes_per_row > 0 ? input->bytes_per_row : default_bytes_per_row(input->job.wire);
  plan->rows = rows < 9e18 ? (int64_t)rows : INT64_MAX;
  plan->bytes = rows * bytes_per_row < 9e18 ? (int64_t)(rows * bytes_per_row) : INT64_MAX;
  plan->minutes = input->rate_per_minute ? (double)plan->pages / input->rate_per_minute : 0;
}

/* ---- all of it ---- */

static tl_status check_input(const tl_plan_input *input, tl_error *err) {
  if (!input->page_limit) return tl_fail(err, TL_EUSAGE, "the page limit must be at least 1");
  if (!input->pages_per_unit) return tl_fail(err, TL_EUSAGE, "the pages per unit must be at least 1");
  if (!input->symbols_per_ask_max) return tl_fail(err, TL_EUSAGE, "a request must be able to name a symbol");
  if (input->symbol_count > UINT32_MAX) return tl_fail(err, TL_ELIMIT, "too many symbols for one plan");
  return TL_OK;
}

tl_status tl_plan_make(const tl_plan_input *input, tl_plan *out, tl_error *err) {
  tl_spans spans = {0};
  tl_plan plan = {0};
  *out = plan;
  tl_status st = check_input(input, err);
  if (!st) st = cut(input, &spans, err);
  bool short_chains = !st && wants_short_chains(input, &spans);
  if (!st && !input->plain && input->job.wire == TL_WIRE_BARS) st = split_bars(input, short_chains, &spans, err);
  if (!st) st = tl_plan_pack(input, &spans, short_chains, &plan, err);
  tl_spans_deinit(&spans);
  if (st) {
    tl_plan_deinit(&plan);
    return st;
  }
  add_up(input, &plan);
  *out = plan;
  return TL_OK;
}

void tl_plan_deinit(tl_plan *plan) {
  tl_free(plan->asks);
  tl_free(plan->index_pool);
  *plan = (tl_plan){0};
}
