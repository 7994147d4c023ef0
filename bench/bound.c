/* bound.c - what inflate + parse (+ shape) + encode of given pages costs on one core: the limit an engine can reach.
 *
 *   bound bars|trades|quotes PAGES_FILE SYMBOL...
 *
 * PAGES_FILE holds gzip bodies, each after its length as 4 bytes little-endian; the pages of one symbol follow each other.
 * Prints the rows and the best CPU seconds of 3 passes. Nothing is written: the encoder's bytes are dropped. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "net/inflate.h"
#include "parquet/writer.h"
#include "provider/provider.h"
#include "shape/quotes_tightest.h"
#include "shape/ticks_to_bars.h"

static tl_status drop(void *to, const void *data, size_t len, tl_error *err) {
  (void)data;
  (void)err;
  *(int64_t *)to += (int64_t)len;
  return TL_OK;
}

typedef struct lane { /* everything one pass keeps between pages, so that memory is reused */
  tl_inflate *inflate;
  tl_words *words;
  tl_page page;
  tl_buf text;
  tl_ticks_to_bars bars;
  tl_quotes_tightest tightest;
  tl_batch made;
} lane;

static tl_status flush_symbol(lane *l, tl_wire wire, int64_t *bytes, tl_error *err) {
  tl_status st = TL_OK;
  if (wire == TL_WIRE_TRADES) st = tl_ticks_to_bars_flush(&l->bars, &l->made, err);
  if (wire == TL_WIRE_QUOTES) st = tl_quotes_tightest_flush(&l->tightest, &l->made, err);
  if (st || !l->made.rows) return st;
  tl_parquet *writer = NULL;
  tl_parquet_summary summary;
  tl_parquet_options options = {.kind = l->made.def->kind, .words = l->words, .sink = drop, .to = bytes};
  st = tl_parquet_open(&options, &writer, err);
  if (!st) st = tl_parquet_write(writer, &l->made, 0, l->made.rows, err);
  if (!st) st = tl_parquet_finish(writer, &summary, err);
  tl_parquet_close(writer);
  tl_batch_clear(&l->made);
  return st;
}

static tl_status one_page(lane *l, const tl_provider *provider, const tl_ask *ask, const char *body, size_t len, char last[64],
                          int64_t *rows, int64_t *bytes, tl_error *err) {
  tl_wire wire = ask->wire;
  tl_status st = tl_inflate_gzip(l->inflate, body, len, (size_t)64 << 20, &l->text, err);
  if (!st) st = provider->page(ask, l->text.data, l->text.len, &l->page, err);
  for (size_t i = 0; !st && i < l->page.run_count; i++) {
    const tl_run *run = &l->page.runs[i];
    if (strcmp(last, run->symbol) != 0) {
      st = flush_symbol(l, wire, bytes, err);
      snprintf(last, 64, "%s", run->symbol);
    }
    *rows += (int64_t)(run->end - run->begin);
    if (!st && wire == TL_WIRE_BARS) st = tl_batch_append(&l->made, &l->page.batch, run->begin, run->end, err);
    if (!st && wire == TL_WIRE_TRADES) st = tl_ticks_to_bars_feed(&l->bars, &l->page.batch, run->begin, run->end, &l->made, err);
    if (!st && wire == TL_WIRE_QUOTES) st = tl_quotes_tightest_feed(&l->tightest, &l->page.batch, run->begin, run->end, &l->made, err);
  }
  return st;
}

static tl_status one_pass(lane *l, const tl_ask *ask, const tl_buf *pages, int64_t *rows, int64_t *bytes, tl_error *err) {
  const tl_provider *provider = tl_provider_find("alpaca");
  char last[64] = "";
  tl_status st = TL_OK;
  for (size_t at = 0; !st && at + 4 <= pages->len;) {
    uint32_t len;
    memcpy(&len, pages->data + at, 4);
    st = one_page(l, provider, ask, pages->data + at + 4, len, last, rows, bytes, err);
    at += 4 + (size_t)len;
  }
  return st ? st : flush_symbol(l, ask->wire, bytes, err);
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: bound bars|trades|quotes PAGES_FILE SYMBOL...\n");
    return 2;
  }
  tl_wire wire = !strcmp(argv[1], "bars") ? TL_WIRE_BARS : !strcmp(argv[1], "trades") ? TL_WIRE_TRADES : TL_WIRE_QUOTES;
  tl_ask ask = {.wire = wire, .interval = {1, TL_MINUTE}, .symbols = (const char *const *)argv + 3,
                .symbol_count = (size_t)argc - 3, .range = {INT64_MIN, INT64_MAX}};
  tl_error err = {0};
  tl_buf pages = {0};
  lane l = {0};
  int64_t rows = 0, bytes = 0, best_ns = INT64_MAX;
  tl_status st = tl_io_read_file(argv[2], (size_t)4 << 30, &pages, &err);
  if (!st) st = tl_inflate_open(&l.inflate, &err);
  if (!st) st = tl_words_open(&l.words, &err);
  if (!st) {
    tl_page_init(&l.page, l.words);
    tl_batch_init(&l.made, wire == TL_WIRE_QUOTES ? TL_QUOTES_1S : TL_BARS);
    if (wire == TL_WIRE_TRADES) st = tl_ticks_to_bars_init(&l.bars, (tl_interval){1, TL_SECOND}, TL_CONDITIONS_SIP, l.words, &err);
  }
  for (int i = 0; !st && i < 3; i++) {
    rows = bytes = 0;
    int64_t before_ns = tl_clock_cpu_ns();
    st = one_pass(&l, &ask, &pages, &rows, &bytes, &err);
    int64_t spent_ns = tl_clock_cpu_ns() - before_ns;
    if (spent_ns < best_ns) best_ns = spent_ns;
  }
  if (st) {
    fprintf(stderr, "bound: %s\n", err.message);
    return 1;
  }
  printf("{\"rows\":%lld,\"cpu_seconds\":%.6f,\"output_bytes\":%lld}\n", (long long)rows, (double)best_ns / 1e9, (long long)bytes);
  return 0;
}
