/* decode.c - a page's place in its chain. See decode.h.
 * Everything is worked out on the page and in tentative fields first; the chain's state changes only at the end. */
#include "decode/decode.h"

#include <stdlib.h>

#include "base/alloc.h"

typedef struct tl_decoder_symbol {
  int64_t last_ns;
  bool seen;                    /* a page before had rows of it */
  size_t tail_begin, tail_end;  /* its rows in decoder->tail; none when equal */
} symbol_state;

void tl_decoder_deinit(tl_decoder *decoder) {
  tl_free(decoder->symbols);
  tl_batch_deinit(&decoder->tail);
  tl_batch_deinit(&decoder->next_tail);
  *decoder = (tl_decoder){0};
}

static tl_status prepare(tl_decoder *decoder, const tl_ask *ask, const tl_page *page, tl_error *err) {
  if (!decoder->symbols) {
    decoder->symbols = tl_calloc(ask->symbol_count, sizeof *decoder->symbols);
    if (!decoder->symbols) return tl_fail(err, TL_ENOMEM, "cannot follow %zu symbols", ask->symbol_count);
    decoder->symbol_count = ask->symbol_count;
    tl_batch_init(&decoder->tail, page->batch.def->kind);
    tl_batch_init(&decoder->next_tail, page->batch.def->kind);
  }
  if (decoder->symbol_count != ask->symbol_count || decoder->tail.def != page->batch.def)
    return tl_fail(err, TL_EINTERNAL, "the request of a chain changed between its pages");
  return TL_OK;
}

/* Symbols of a page come in about the order they were asked in, so the search begins where the last one ended. */
static tl_status find_symbol(const tl_ask *ask, const char *symbol, size_t *index, tl_error *err) {
  for (size_t i = 0; i < ask->symbol_count; i++) {
    size_t at = *index + i < ask->symbol_count ? *index + i : *index + i - ask->symbol_count;
    if (strcmp(ask->symbols[at], symbol) != 0) continue;
    *index = at;
    return TL_OK;
  }
  return tl_fail(err, TL_EDECODE, "a page holds rows of '%s', which was not asked for", symbol);
}

/* ---- within the page ---- */

static bool run_is_sorted(const tl_batch *batch, const tl_run *run) {
  const int64_t *times = tl_batch_times(batch);
  bool sorted = true;
  for (size_t row = run->begin + 1; row < run->end; row++) sorted &= times[row - 1] <= times[row];
  return sorted;
}

static bool symbols_ascend(const tl_page *page) {
  for (size_t i = 1; i < page->run_count; i++)
    if (strcmp(page->runs[i - 1].symbol, page->runs[i].symbol) >= 0) return false;
  return true;
}

static bool rows_ascend(const tl_page *page) {
  for (size_t i = 0; i < page->run_count; i++)
    if (!run_is_sorted(&page->batch, &page->runs[i])) return false;
  return true;
}

static int compare_runs(const void *a, const void *b) {
  const tl_run *x = a, *y = b;
  int order = strcmp(x->symbol, y->symbol);
  return order ? order : x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* One sorted run a symbol, symbols ascending: for pages whose members came in another order. */
static tl_status rebuild(tl_page *page, tl_error *err) {
  tl_batch ordered = {.def = page->batch.def}, one = {.def = page->batch.def};
  size_t run_count = 0;
  tl_status st = tl_batch_reserve(&ordered, page->batch.rows, err);
  qsort(page->runs, page->run_count, sizeof *page->runs, compare_runs);
  for (size_t i = 0; !st && i < page->run_count;) {
    const char *symbol = page->runs[i].symbol;
    tl_batch_clear(&one);
    for (; !st && i < page->run_count && strcmp(page->runs[i].symbol, symbol) == 0; i++)
      st = tl_batch_append(&one, &page->batch, page->runs[i].begin, page->runs[i].end, err);
    if (!st) st = tl_batch_sort(&one, err);
    size_t begin = ordered.rows;
    if (!st) st = tl_batch_append(&ordered, &one, 0, one.rows, err);
    if (!st) page->runs[run_count++] = (tl_run){symbol, begin, ordered.rows};
  }
  if (!st) {
    tl_batch_move(&ordered, &page->batch);
    page->run_count = run_count;
  }
  tl_batch_deinit(&ordered);
  tl_batch_deinit(&one);
  return st;
}

static tl_status check_range(const tl_ask *ask, const tl_page *page, tl_error *err) {
  tl_range range = ask->range;
  if (ask->wire == TL_WIRE_BARS && !tl_interval_below_day(ask->interval)) /* the bar that holds `start` may be given too */
    range.start_ns = tl_interval_floor(ask->interval, range.start_ns);
  for (size_t i = 0; i < page->run_count; i++) {
    const tl_run *run = &page->runs[i];
    int64_t first_ns = tl_batch_times(&page->batch)[run->begin], last_ns = tl_batch_times(&page->batch)[run->end - 1];
    if (tl_range_holds(range, first_ns) && tl_range_holds(range, last_ns)) continue;
    char text[TL_TIME_TEXT_MAX];
    tl_time_format(tl_range_holds(range, first_ns) ? last_ns : first_ns, -1, text);
    return tl_fail(err, TL_EDECODE, "a page holds a row of '%s' at %s, outside the range asked for", run->symbol, text);
  }
  return TL_OK;
}

/* ---- between pages ---- */

static bool rows_equal(const tl_batch *tail, size_t at, const tl_batch *batch, size_t begin, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!tl_batch_rows_equal(tail, at + i, batch, begin + i)) return false;
  return true;
}

/* How many rows at the head of the run are the tail's last rows once more: the longest such stretch. */
static size_t repeated_rows(const tl_batch *tail, const symbol_state *state, const tl_batch *batch, const tl_run *run) {
  int64_t first_ns = tl_batch_times(batch)[run->begin];
  size_t at = tl_batch_lower_bound(tail, state->tail_begin, state->tail_end, first_ns);
  for (; at < state->tail_end && tl_batch_times(tail)[at] == first_ns; at++) {
    size_t count = state->tail_end - at;
    if (count <= run->end - run->begin && rows_equal(tail, at, batch, run->begin, count)) return count;
  }
  return 0;
}

static tl_status join(const tl_decoder *decoder, const tl_ask *ask, tl_page *page, uint64_t *repeated, tl_error *err) {
  size_t index = 0, continued = 0;
  for (size_t i = 0; i < page->run_count; i++) {
    tl_run *run = &page->runs[i];
    tl_status st = find_symbol(ask, run->symbol, &index, err);
    if (st) return st;
    const symbol_state *state = &decoder->symbols[index];
    if (!state->seen) continue;
    if (state->tail_begin == state->tail_end || continued++)
      return tl_fail(err, TL_EDECODE, "'%s' comes again after a page had gone on to another symbol", run->symbol);
    size_t count = repeated_rows(&decoder->tail, state, &page->batch, run);
    *repeated += count;
    run->begin += count;
    if (run->begin < run->end && tl_batch_times(&page->batch)[run->begin] < state->last_ns)
      return tl_fail(err, TL_EDECODE, "rows of '%s' go back in time from one page to the next", run->symbol);
  }
  return TL_OK;
}

/* The rows later pages may repeat: of the last symbol, or, when the page's order does not say which symbol was last,
 * of every one. */
static tl_status take_tail(tl_decoder *decoder, const tl_page *page, bool ordered, tl_error *err) {
  tl_batch_clear(&decoder->next_tail);
  tl_status st = TL_OK;
  for (size_t i = ordered ? page->run_count - 1 : 0; !st && i < page->run_count; i++) {
    const tl_run *run = &page->runs[i];
    size_t begin = run->end - run->begin > TL_DECODER_TAIL_MAX ? run->end - TL_DECODER_TAIL_MAX : run->begin;
    st = tl_batch_append(&decoder->next_tail, &page->batch, begin, run->end, err);
  }
  return st;
}

static void drop_empty_runs(tl_page *page) {
  size_t kept = 0;
  for (size_t i = 0; i < page->run_count; i++)
    if (page->runs[i].begin < page->runs[i].end) page->runs[kept++] = page->runs[i];
  page->run_count = kept;
  size_t front = kept ? page->runs[0].begin : page->batch.rows;
  tl_batch_drop_head(&page->batch, front);
  for (size_t i = 0; i < kept; i++) {
    page->runs[i].begin -= front;
    page->runs[i].end -= front;
  }
}

static void commit(tl_decoder *decoder, const tl_ask *ask, const tl_page *page, bool ordered) {
  for (size_t i = 0; i < decoder->symbol_count; i++) decoder->symbols[i].tail_begin = decoder->symbols[i].tail_end = 0;
  size_t index = 0, at = 0;
  for (size_t i = 0; i < page->run_count; i++) {
    const tl_run *run = &page->runs[i];
    if (find_symbol(ask, run->symbol, &index, NULL)) continue; /* cannot be: join() found it */
    symbol_state *state = &decoder->symbols[index];
    state->seen = true;
    state->last_ns = tl_batch_times(&page->batch)[run->end - 1];
    if (ordered && i + 1 < page->run_count) continue;
    size_t rows = run->end - run->begin;
    state->tail_begin = at;
    state->tail_end = at += rows < TL_DECODER_TAIL_MAX ? rows : TL_DECODER_TAIL_MAX;
  }
  tl_batch before = decoder->tail;
  decoder->tail = decoder->next_tail;
  decoder->next_tail = before;
}

tl_status tl_decoder_page(tl_decoder *decoder, const tl_provider *provider, const tl_ask *ask, const char *body,
                          size_t len, tl_page *page, tl_error *err) {
  tl_status st = provider->page(ask, body, len, page, err);
  if (st) return st;
  uint64_t repeated = 0;
  bool ordered = symbols_ascend(page);
  if (decoder->token_check && page->token.len) st = decoder->token_check(page->token.data, err);
  if (!st) st = prepare(decoder, ask, page, err);
  if (!st && !(ordered && rows_ascend(page))) st = rebuild(page, err);
  if (!st) st = check_range(ask, page, err);
  if (!st) st = join(decoder, ask, page, &repeated, err);
  if (!st) drop_empty_runs(page);
  if (!st && page->run_count) st = take_tail(decoder, page, ordered, err);
  if (st) {
    tl_page_clear(page, page->batch.def->kind);
    return st;
  }
  if (page->run_count) commit(decoder, ask, page, ordered);
  decoder->repeated_rows += repeated;
  return TL_OK;
}
