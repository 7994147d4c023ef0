/* pack.c - spans of equal range into asks of many symbols, where that needs fewer pages.
 *
 * A page holds rows of all symbols of a request, so two symbols of half a page each fit into one. How full the chains
 * may get is tried out: each symbol alone, then chains of at most 1, 2, ... pages; the fewest pages in all win, and
 * alone wins a tie, because a failure then stays with one symbol.
 * Limits: the provider's symbols per request, 4000 bytes of symbols as they stand in the URL. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "plan/spans.h"

enum { SYMBOLS_BYTES_MAX = 4000 };

static size_t url_bytes(const char *symbol) { /* "BTC%2FUSD%2C": what is not plain takes three bytes */
  size_t bytes = 3;
  for (; *symbol; symbol++) {
    char c = *symbol;
    bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
    bytes += plain ? 1 : 3;
  }
  return bytes;
}

static int64_t whole_rows(double rows) { return rows < 9e18 ? (int64_t)ceil(rows) : INT64_MAX; }

static uint32_t pages_of(const tl_plan_input *input, double rows) {
  double pages = ceil(ceil(rows) / input->page_limit);
  return pages < 1 ? 1 : pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX;
}

/* Spans [begin, end) of the first chain that begins at `begin`, with at most `pages` pages; 0: one symbol alone. */
static size_t chain_end(const tl_plan_input *input, const tl_span *spans, size_t begin, size_t end, uint32_t pages) {
  double rows = 0, rows_max = (double)pages * input->page_limit;
  size_t bytes = 0, at = begin;
  for (; at < end && at - begin < input->symbols_per_ask_max; at++) {
    rows += spans[at].rows;
    bytes += url_bytes(input->symbols[spans[at].symbol].name);
    if (at > begin && (rows > rows_max || bytes > SYMBOLS_BYTES_MAX)) break;
  }
  return at;
}

static double pages_when(const tl_plan_input *input, const tl_span *spans, size_t count, uint32_t pages) {
  double total = 0;
  for (size_t begin = 0; begin < count;) {
    size_t end = chain_end(input, spans, begin, count, pages);
    double rows = 0;
    for (; begin < end; begin++) rows += spans[begin].rows;
    total += pages_of(input, rows);
  }
  return total;
}

static uint32_t choose_pages(const tl_plan_input *input, const tl_span *spans, size_t count, bool short_chains) {
  if (count < 2 || input->plain) return 0;
  uint32_t best = 0;
  double best_pages = pages_when(input, spans, count, 0);
  if (input->job.wire != TL_WIRE_BARS) best_pages /= 2; /* a day's ticks are hard to tell: only for a sure gain */
  for (uint32_t i = 0; i < input->pages_per_unit; i++) {
    uint32_t pages = short_chains ? i + 1 : input->pages_per_unit - i; /* among equals the first tried stays */
    double total = pages_when(input, spans, count, pages);
    if (total < best_pages) best = pages, best_pages = total;
  }
  return best;
}

/* ---- asks ---- */

static tl_status add_ask(tl_plan *plan, tl_plan_ask ask, tl_error *err) {
  if (plan->ask_count == plan->ask_max) {
    size_t more = plan->ask_max ? plan->ask_max * 2 : 32;
    tl_plan_ask *grown = tl_realloc_array(plan->asks, more, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "out of memory for a plan of %zu requests", more);
    plan->asks = grown;
    plan->ask_max = more;
  }
  plan->asks[plan->ask_count++] = ask;
  return TL_OK;
}

static int64_t settles(const tl_plan_input *input, tl_range range) {
  tl_interval interval = input->job.dataset.interval;
  return interval.count ? tl_interval_next(interval, range.end_ns - 1) : range.end_ns;
}

static tl_status add_chain(const tl_plan_input *input, const tl_span *spans, size_t count, tl_plan *plan,
                           tl_error *err) {
  double rows = 0;
  uint32_t *symbols = plan->index_pool + plan->index_count; /* the pool has room for every span: it does not move */
  for (size_t i = 0; i < count; i++) {
    symbols[i] = spans[i].symbol;
    rows += spans[i].rows;
  }
  plan->index_count += count;
  bool closed = spans->kind != TL_SPAN_ASK;
  tl_plan_ask ask = {.symbols = symbols,
                     .symbol_count = (uint32_t)count,
                     .pages_expected = closed ? 0 : pages_of(input, rows),
                     .range = spans->range,
                     .rows_expected = closed ? 0 : whole_rows(rows),
                     .settles_ns = settles(input, spans->range),
                     .closed = spans->kind == TL_SPAN_CALENDAR  ? "calendar"
                               : spans->kind == TL_SPAN_HISTORY ? "before the provider's history"
                                                                : NULL};
  return add_ask(plan, ask, err);
}

static tl_status pack_group(const tl_plan_input *input, const tl_span *spans, size_t count, bool short_chains,
                            tl_plan *plan, tl_error *err) {
  if (spans->kind != TL_SPAN_ASK) return add_chain(input, spans, count, plan, err);
  uint32_t pages = choose_pages(input, spans, count, short_chains);
  for (size_t begin = 0; begin < count;) {
    size_t end = chain_end(input, spans, begin, count, pages);
    tl_status st = add_chain(input, spans + begin, end - begin, plan, err);
    if (st) return st;
    begin = end;
  }
  return TL_OK;
}

/* ---- order ---- */

static int compare(int64_t a, int64_t b) { return (a > b) - (a < b); }

static int by_range(const void *left, const void *right) {
  const tl_span *a = left, *b = right;
  int order = compare(a->kind, b->kind);
  if (!order) order = compare(a->range.start_ns, b->range.start_ns);
  if (!order) order = compare(a->range.end_ns, b->range.end_ns);
  return order ? order : compare(a->symbol, b->symbol);
}

static bool same_group(const tl_span *a, const tl_span *b) {
  return a->kind == b->kind && a->range.start_ns == b->range.start_ns && a->range.end_ns == b->range.end_ns;
}

static int by_symbol(const void *left, const void *right) { /* files are of one symbol: finish them one by one */
  const tl_plan_ask *a = left, *b = right;
  int order = compare(a->symbols[0], b->symbols[0]);
  if (!order) order = compare(a->range.start_ns, b->range.start_ns);
  return order ? order : compare(a->range.end_ns, b->range.end_ns);
}

tl_status tl_plan_pack(const tl_plan_input *input, tl_spans *spans, bool short_chains, tl_plan *plan, tl_error *err) {
  if (!spans->count) return TL_OK;
  qsort(spans->items, spans->count, sizeof *spans->items, by_range);
  plan->index_pool = tl_realloc_array(NULL, spans->count, sizeof *plan->index_pool);
  if (!plan->index_pool) return tl_fail(err, TL_ENOMEM, "out of memory for a plan of %zu units", spans->count);
  plan->index_max = spans->count;
  for (size_t begin = 0, end; begin < spans->count; begin = end) {
    for (end = begin + 1; end < spans->count && same_group(&spans->items[begin], &spans->items[end]);) end++;
    tl_status st = pack_group(input, spans->items + begin, end - begin, short_chains, plan, err);
    if (st) return st;
  }
  qsort(plan->asks, plan->ask_count, sizeof *plan->asks, by_symbol);
  return TL_OK;
}
