/* parquet_bench.c - how fast and how small is src/parquet/? One core, rows made beforehand, bytes counted and dropped.
 *
 *     parquet_bench [REPEATS [ROWS]]        cmake --build --preset release --target parquet_bench
 * Rows look like the market's: prices walk in cents, volumes are log-normal and U-shaped over the day, ticks come at
 * random nanoseconds, conditions and venues repeat, trade ids count up by venue. Prints for each kind and zstd level:
 * million rows per CPU second and bytes a row of one big file and of 9,000-row files (a symbol's month of minutes),
 * and what a small file costs beyond its rows. The best of REPEATS counts: the machine is shared. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/prng.h"
#include "parquet/writer.h"

enum { SMALL_ROWS = 9000, BATCH_ROWS = 10000 };

static tl_prng prng = {20240101};
static tl_words *words;

static void check(tl_status st, const tl_error *err) {
  if (!st) return;
  fprintf(stderr, "parquet_bench: %s\n", err->message);
  exit(1);
}

static tl_status drop(void *to, const void *data, size_t len, tl_error *err) {
  (void)data;
  (void)err;
  *(int64_t *)to += (int64_t)len;
  return TL_OK;
}

static uint32_t word(const char *text, size_t len) {
  tl_error err;
  uint32_t code;
  check(tl_words_intern(words, text, len, &code, &err), &err);
  return code;
}

static uint32_t list(const char *items) { /* each character an item */
  tl_error err;
  tl_buf buf = {0};
  for (; *items; items++) check(tl_words_list_add(&buf, items, 1, &err), &err);
  uint32_t code = word(buf.data ? buf.data : "", buf.len);
  tl_buf_deinit(&buf);
  return code;
}

static uint32_t venue(void) { /* a few venues do most of the trade */
  static const char venues[] = "DDDDDDDDDDQQQQQPPPPKKKZZVVNNJJYUBAXHM";
  return word(&venues[tl_prng_below(&prng, sizeof venues - 1)], 1);
}

static double normal(void) {
  return sqrt(-2 * log(1 - tl_prng_unit(&prng))) * cos(2 * 3.14159265358979323846 * tl_prng_unit(&prng));
}

static double cents(double price) { return (double)llround(price * 100) / 100; }

static void fill_bars(tl_batch *b, size_t rows) {
  double price = 150;
  for (size_t r = 0; r < rows; r++) {
    size_t minute = r % 390;
    double shape = 1 + 2.5 * pow(((double)minute - 195) / 195, 2); /* more at the open and the close */
    double open = price, step = 0.0004 * shape * price;
    price += step * normal();
    double top = fmax(open, price) + step * fabs(normal()) / 2, bottom = fmin(open, price) - step * fabs(normal()) / 2;
    int64_t volume = (int64_t)exp(9.5 + log(shape) + 0.7 * normal());
    tl_batch_times(b)[r] = (INT64_C(1704205800) + (int64_t)(r / 390) * 86400 + (int64_t)minute * 60) * TL_NS_PER_S;
    b->columns[TL_BARS_OPEN].f64[r] = cents(open);
    b->columns[TL_BARS_HIGH].f64[r] = cents(top);
    b->columns[TL_BARS_LOW].f64[r] = cents(bottom);
    b->columns[TL_BARS_CLOSE].f64[r] = cents(price);
    b->columns[TL_BARS_VOLUME].i64[r] = volume;
    b->columns[TL_BARS_TRADE_COUNT].i64[r] = 1 + volume / 90 + (int64_t)tl_prng_below(&prng, 30);
    b->columns[TL_BARS_VWAP].f64[r] = (double)llround((bottom + tl_prng_unit(&prng) * (top - bottom)) * 1e6) / 1e6;
  }
}

static void fill_trades(tl_batch *b, size_t rows) {
  static const char *const conditions[] = {"@", "@", "@", "@", "@I", "@I", "@I", " I", "@F", "@F", "@FI", "@FI", " FTI", "@T", "@TI"};
  int64_t ids[256] = {0}, t = INT64_C(1704205800) * TL_NS_PER_S;
  double price = 150;
  for (size_t r = 0; r < rows; r++) {
    t += (int64_t)(-log(1 - tl_prng_unit(&prng)) * 30e6);
    if (tl_prng_below(&prng, 3) == 0) price += 0.01 * normal();
    tl_batch_times(b)[r] = t;
    b->columns[TL_TRADES_PRICE].f64[r] =
        tl_prng_below(&prng, 12) ? cents(price) : (double)llround(price * 1e4 + (double)tl_prng_below(&prng, 100) - 50) / 1e4;
    b->columns[TL_TRADES_SIZE].i64[r] = tl_prng_below(&prng, 2) ? 100 : tl_prng_below(&prng, 4) ? 1 + (int64_t)exp(3 + 1.2 * normal()) : 200;
    uint32_t at = venue();
    b->columns[TL_TRADES_EXCHANGE].word[r] = at;
    b->columns[TL_TRADES_CONDITIONS].word[r] = list(conditions[tl_prng_below(&prng, sizeof conditions / sizeof conditions[0])]);
    ids[at & 255] += 1 + (int64_t)tl_prng_below(&prng, 3);
    b->columns[TL_TRADES_TRADE_ID].i64[r] = ids[at & 255] + (at % 8 == 0 ? INT64_C(52983525000000) : 0);
    b->columns[TL_TRADES_TAPE].word[r] = word("C", 1);
    tl_column_set_null(&b->columns[TL_TRADES_UPDATE], r);
  }
}

static void fill_quotes(tl_batch *b, size_t rows) {
  int64_t t = INT64_C(1704205800) * TL_NS_PER_S;
  double middle = 150;
  int64_t sizes[2] = {3, 3};
  uint32_t venues[2] = {venue(), venue()};
  double prices[2] = {149.99, 150.01};
  for (size_t r = 0; r < rows; r++) {
    t += (int64_t)(-log(1 - tl_prng_unit(&prng)) * 5e6);
    if (tl_prng_below(&prng, 20) == 0) middle += 0.008 * normal();
    size_t side = tl_prng_below(&prng, 2); /* a quote changes one side */
    prices[side] = cents(middle + (side ? 0.01 : -0.01));
    sizes[side] = tl_prng_below(&prng, 3) ? 1 + (int64_t)exp(0.9 * normal() + 0.5) : sizes[side];
    if (tl_prng_below(&prng, 3) == 0) venues[side] = venue();
    tl_batch_times(b)[r] = t;
    b->columns[TL_QUOTES_BID_PRICE].f64[r] = prices[0];
    b->columns[TL_QUOTES_BID_SIZE].i64[r] = sizes[0];
    b->columns[TL_QUOTES_BID_EXCHANGE].word[r] = venues[0];
    b->columns[TL_QUOTES_ASK_PRICE].f64[r] = prices[1];
    b->columns[TL_QUOTES_ASK_SIZE].i64[r] = sizes[1];
    b->columns[TL_QUOTES_ASK_EXCHANGE].word[r] = venues[1];
    b->columns[TL_QUOTES_CONDITIONS].word[r] = list("R");
    b->columns[TL_QUOTES_TAPE].word[r] = word("C", 1);
  }
}

/* One second after another with the quote chosen in it. */
static void fill_quotes_1s(tl_batch *b, size_t rows) {
  double middle = 150;
  for (size_t r = 0; r < rows; r++) {
    middle += 0.01 * normal();
    double bid = cents(middle - 0.005), ask = bid + 0.01 + 0.01 * (double)tl_prng_below(&prng, 2);
    tl_batch_times(b)[r] = (INT64_C(1704205800) + (int64_t)r) * TL_NS_PER_S;
    b->columns[TL_QUOTES_1S_BID_PRICE].f64[r] = bid;
    b->columns[TL_QUOTES_1S_BID_SIZE].i64[r] = 1 + (int64_t)exp(0.9 * normal() + 0.5);
    b->columns[TL_QUOTES_1S_BID_EXCHANGE].word[r] = venue();
    b->columns[TL_QUOTES_1S_ASK_PRICE].f64[r] = cents(ask);
    b->columns[TL_QUOTES_1S_ASK_SIZE].i64[r] = 1 + (int64_t)exp(0.9 * normal() + 0.5);
    b->columns[TL_QUOTES_1S_ASK_EXCHANGE].word[r] = venue();
    b->columns[TL_QUOTES_1S_SPREAD].f64[r] = cents(ask) - bid;
    b->columns[TL_QUOTES_1S_QUOTE_COUNT].i64[r] = 1 + (int64_t)exp(4 + 0.8 * normal());
  }
}

static void write_file(const tl_parquet_options *options, const tl_batch *rows, size_t begin, size_t end) {
  tl_error err;
  tl_parquet *writer = NULL;
  tl_parquet_summary summary;
  check(tl_parquet_open(options, &writer, &err), &err);
  for (; begin < end; begin += BATCH_ROWS)
    check(tl_parquet_write(writer, rows, begin, begin + BATCH_ROWS < end ? begin + BATCH_ROWS : end, &err), &err);
  check(tl_parquet_finish(writer, &summary, &err), &err);
  tl_parquet_close(writer);
}

/* CPU seconds of the best repeat for all rows in files of file_rows. */
static double measure(tl_parquet_options *options, const tl_batch *rows, size_t file_rows, int repeats, int64_t *bytes) {
  double best = INFINITY;
  for (int i = 0; i < repeats; i++) {
    *bytes = 0;
    options->to = bytes;
    int64_t start_ns = tl_clock_cpu_ns();
    for (size_t begin = 0; begin + file_rows <= rows->rows; begin += file_rows)
      write_file(options, rows, begin, begin + file_rows);
    double seconds = (double)(tl_clock_cpu_ns() - start_ns) * 1e-9;
    if (seconds < best) best = seconds;
  }
  return best;
}

int main(int argc, char **argv) {
  static void (*const fill[])(tl_batch *, size_t) = {fill_bars, fill_trades, fill_quotes, fill_quotes_1s};
  int repeats = argc > 1 ? atoi(argv[1]) : 5;
  size_t rows = argc > 2 ? strtoull(argv[2], NULL, 10) : 720000;
  tl_error err;
  check(tl_words_open(&words, &err), &err);
  printf("%-10s %5s %22s %22s %14s\n", "kind", "zstd", "one file Mrow/s B/row", "9000 rows Mrow/s B/row", "ms a file more");
  for (tl_kind kind = 0; kind < TL_KIND_COUNT; kind++) {
    tl_batch batch;
    tl_batch_init(&batch, kind);
    check(tl_batch_reserve(&batch, rows, &err), &err);
    fill[kind](&batch, rows);
    batch.rows = rows;
    for (int level = 1; level <= 3; level += 2) {
      tl_parquet_options options = {.kind = kind, .words = words, .zstd_level = level, .sink = drop};
      int64_t bytes, small_bytes;
      double big = measure(&options, &batch, rows, repeats, &bytes) / (double)rows;
      size_t files = rows / SMALL_ROWS;
      double small = measure(&options, &batch, SMALL_ROWS, repeats, &small_bytes) / (double)files;
      printf("%-10s %5d %14.2f %7.2f %14.2f %7.2f %14.3f\n", tl_kind_def_of(kind)->name, level, 1e-6 / big,
             (double)bytes / (double)rows, 1e-6 * SMALL_ROWS / small, (double)small_bytes / (double)(files * SMALL_ROWS),
             (small - big * SMALL_ROWS) * 1e3);
    }
    tl_batch_deinit(&batch);
  }
  tl_words_close(words);
  return 0;
}
