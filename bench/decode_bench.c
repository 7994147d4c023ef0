/* decode_bench.c - rows per CPU second of DECODE and SHAPE on pages of 10,000 rows, best of N.
 *
 *   decode_bench [repeats]
 *
 * Pages are made in memory in the vendor's form: seeded, about 112 B a quote, 101 B a trade, 101 B a bar. Three columns
 * of numbers: the page decoder alone, decoder and place in the chain (decode/), and all with the aggregation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/prng.h"
#include "decode/decode.h"
#include "provider/alpaca/alpaca.h"
#include "shape/quotes_tightest.h"
#include "shape/ticks_to_bars.h"

enum { ROWS = 10000, PAGES = 8 };

static const char *const symbols[] = {"AAPL"};
static const char *const wire_names[] = {"bars", "trades", "quotes"};

typedef struct book {
  tl_buf pages[PAGES];
} book;

static void put_time(tl_buf *out, int64_t ns) {
  char text[TL_TIME_TEXT_MAX];
  tl_time_format(ns, -1, text);
  tl_buf_appendf(out, NULL, "\"t\":\"%s\"", text);
}

static void put_price(tl_buf *out, const char *key, int64_t cents) {
  if (cents % 100 == 0) tl_buf_appendf(out, NULL, ",\"%s\":%d", key, (int)(cents / 100));
  else if (cents % 10 == 0) tl_buf_appendf(out, NULL, ",\"%s\":%d.%d", key, (int)(cents / 100), (int)(cents % 100 / 10));
  else tl_buf_appendf(out, NULL, ",\"%s\":%d.%02d", key, (int)(cents / 100), (int)(cents % 100));
}

static void put_bar(tl_buf *out, tl_prng *prng, int64_t *ns, int64_t *cents) {
  *ns += 60 * TL_NS_PER_S;
  int64_t up = (int64_t)tl_prng_below(prng, 40), down = (int64_t)tl_prng_below(prng, 40);
  put_time(out, *ns);
  put_price(out, "o", *cents);
  put_price(out, "h", *cents + up);
  put_price(out, "l", *cents - down);
  put_price(out, "c", *cents + up - down);
  tl_buf_appendf(out, NULL, ",\"v\":%d,\"n\":%d,\"vw\":%d.%06d", 100 + (int)tl_prng_below(prng, 90000), 10 + (int)tl_prng_below(prng, 900),
                 (int)(*cents / 100), 1 + (int)tl_prng_below(prng, 999999));
}

static void put_trade(tl_buf *out, tl_prng *prng, int64_t *ns, int64_t *cents, int64_t *id) {
  static const char *const conditions[] = {"[\"@\"]", "[\"@\",\"I\"]", "[\"@\",\"F\"]", "[\"@\",\"F\",\"I\"]", "[\"@\",\"T\"]", "[\"@\",\"T\",\"I\"]"};
  static const char venues[] = "VDQPNZKJ";
  *ns += (int64_t)tl_prng_below(prng, 40000000);
  put_time(out, *ns);
  tl_buf_appendf(out, NULL, ",\"x\":\"%c\"", venues[tl_prng_below(prng, sizeof venues - 1)]);
  put_price(out, "p", *cents);
  tl_buf_appendf(out, NULL, ",\"s\":%d,\"c\":%s,\"i\":%lld,\"z\":\"C\"", 1 + (int)tl_prng_below(prng, 400),
                 conditions[tl_prng_below(prng, sizeof conditions / sizeof conditions[0])], (long long)(52983525000000 + (*id)++));
}

static void put_quote(tl_buf *out, tl_prng *prng, int64_t *ns, int64_t *cents) {
  static const char venues[] = "VDQPNZKJ";
  *ns += (int64_t)tl_prng_below(prng, 10000000);
  put_time(out, *ns);
  tl_buf_appendf(out, NULL, ",\"ax\":\"%c\"", venues[tl_prng_below(prng, sizeof venues - 1)]);
  put_price(out, "ap", *cents + 1 + (int64_t)tl_prng_below(prng, 5));
  tl_buf_appendf(out, NULL, ",\"as\":%d,\"bx\":\"%c\"", 1 + (int)tl_prng_below(prng, 12), venues[tl_prng_below(prng, sizeof venues - 1)]);
  put_price(out, "bp", *cents - (int64_t)tl_prng_below(prng, 5));
  tl_buf_appendf(out, NULL, ",\"bs\":%d,\"c\":[\"%c\"],\"z\":\"C\"", 1 + (int)tl_prng_below(prng, 12), "RRRRRRRA"[tl_prng_below(prng, 8)]);
}

static void make_book(book *b, tl_wire wire) {
  tl_prng prng = tl_prng_init(7);
  int64_t ns = INT64_C(1704205800) * TL_NS_PER_S, cents = 18715, id = 1;
  for (size_t i = 0; i < PAGES; i++) {
    tl_buf *out = &b->pages[i];
    *out = (tl_buf){0};
    tl_buf_appendf(out, NULL, "{\"%s\":{\"AAPL\":[", wire_names[wire]);
    for (int row = 0; row < ROWS; row++) {
      tl_buf_appends(out, row ? ",{" : "{", NULL);
      if (tl_prng_below(&prng, 3) == 0) cents += (int64_t)tl_prng_below(&prng, 5) - 2;
      if (wire == TL_WIRE_BARS) put_bar(out, &prng, &ns, &cents);
      else if (wire == TL_WIRE_TRADES) put_trade(out, &prng, &ns, &cents, &id);
      else put_quote(out, &prng, &ns, &cents);
      tl_buf_appends(out, "}", NULL);
    }
    tl_buf_appends(out, "]},\"next_page_token\":\"QUFQTHxNfDE3MDQyMDU4MDA=\"}", NULL);
  }
}

typedef enum depth { PLAIN, PAGE, CHAIN, SHAPE, DEPTH_COUNT } depth;

static tl_status run_book(const book *b, const tl_ask *ask, depth how, tl_words *words, tl_page *page, tl_batch *out, tl_error *err) {
  tl_decoder decoder = {0};
  tl_quotes_tightest tightest = {0};
  tl_ticks_to_bars bars = {0};
  tl_status st = tl_ticks_to_bars_init(&bars, (tl_interval){1, TL_SECOND}, TL_CONDITIONS_SIP, words, err);
  for (size_t i = 0; !st && i < PAGES; i++) {
    const tl_buf *body = &b->pages[i];
    if (how == PLAIN) st = tl_alpaca_page_plain(ask, body->data, body->len, page, err);
    else if (how == PAGE) st = tl_alpaca_page(ask, body->data, body->len, page, err);
    else st = tl_decoder_page(&decoder, &tl_alpaca, ask, body->data, body->len, page, err);
    if (st || how != SHAPE) continue;
    if (ask->wire == TL_WIRE_QUOTES) st = tl_quotes_tightest_feed(&tightest, &page->batch, 0, page->batch.rows, out, err);
    if (ask->wire == TL_WIRE_TRADES) st = tl_ticks_to_bars_feed(&bars, &page->batch, 0, page->batch.rows, out, err);
  }
  tl_batch_clear(out);
  tl_decoder_deinit(&decoder);
  tl_quotes_tightest_deinit(&tightest);
  tl_ticks_to_bars_deinit(&bars);
  return st;
}

int main(int argc, char **argv) {
  int repeats = argc > 1 ? atoi(argv[1]) : 20;
  const char *only = argc > 2 ? argv[2] : "";
  static const char *const names[] = {"plain", "decode", "+ chain", "+ shape"};
  for (tl_wire wire = TL_WIRE_BARS; wire <= TL_WIRE_QUOTES; wire++) {
    if (*only && strcmp(only, wire_names[wire]) != 0) continue;
    book b;
    make_book(&b, wire);
    size_t bytes = 0;
    for (size_t i = 0; i < PAGES; i++) bytes += b.pages[i].len;
    printf("%-7s %5.1f B a row", wire_names[wire], (double)bytes / (ROWS * PAGES));
    tl_ask ask = {.wire = wire, .interval = {1, TL_MINUTE}, .symbols = symbols, .symbol_count = 1, .range = {0, INT64_MAX}, .feed = "sip"};
    tl_words *words = NULL;
    tl_error err = {0};
    tl_page page;
    tl_batch out;
    if (tl_words_open(&words, &err)) return 1;
    tl_page_init(&page, words);
    tl_batch_init(&out, wire == TL_WIRE_QUOTES ? TL_QUOTES_1S : TL_BARS);
    for (depth how = *only ? PAGE : PLAIN; how < DEPTH_COUNT; how++) {
      int64_t best_ns = INT64_MAX;
      for (int i = 0; i < repeats; i++) {
        int64_t start_ns = tl_clock_cpu_ns();
        if (run_book(&b, &ask, how, words, &page, &out, &err)) {
          fprintf(stderr, "decode_bench: %s\n", err.message);
          return 1;
        }
        int64_t took_ns = tl_clock_cpu_ns() - start_ns;
        if (took_ns < best_ns) best_ns = took_ns;
      }
      printf("   %s %.2f M/s", names[how], (double)(ROWS * PAGES) * 1e3 / (double)best_ns);
    }
    printf("\n");
    for (size_t i = 0; i < PAGES; i++) tl_buf_deinit(&b.pages[i]);
    tl_batch_deinit(&out);
    tl_page_deinit(&page);
    tl_words_close(words);
  }
  return 0;
}
