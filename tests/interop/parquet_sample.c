/* parquet_sample.c - a random table of one kind as a Parquet file, and the truth beside it for test_parquet_writer.py.
 *
 *     parquet_sample KIND SEED ROWS GROUP_ROWS SYMBOL|- OUT.parquet OUT.jsonl
 * The truth has one JSON array a row, in the schema's order without the symbol: times and integers as text, doubles as
 * the hex digits of their bits, texts as the hex digits of their bytes, lists as arrays of those, or null. It is
 * printed from the random row itself, not from the batch. Each column draws a style from the seed: how many NULLs, and
 * constant, few, walking, any-bits or extreme values. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "parquet/writer.h"

enum { BATCH_ROWS = 777, ITEMS_MAX = 300 };
enum { CONSTANT, FEW, WALK, ANY, EXTREME, STYLES };

typedef struct style {
  int kind;
  unsigned nulls; /* of 256 */
  int64_t at;     /* where a walk is */
} style;

static tl_prng prng;
static tl_words *words;
static FILE *truth;

static void check(tl_status st, const tl_error *err) {
  if (!st) return;
  fprintf(stderr, "parquet_sample: %s\n", err->message);
  exit(1);
}

static tl_status to_file(void *to, const void *data, size_t len, tl_error *err) {
  return fwrite(data, 1, len, to) == len ? TL_OK : tl_fail(err, TL_EIO, "cannot write");
}

static void print_hex(const char *data, size_t len) {
  fputc('"', truth);
  for (size_t i = 0; i < len; i++) fprintf(truth, "%02x", (unsigned char)data[i]);
  fputc('"', truth);
}

static int64_t random_integer(style *s) {
  static const int64_t extremes[] = {INT64_MIN, INT64_MAX, 0, -1, 1, INT64_MIN + 1, INT64_MAX - 1, 1 << 30};
  switch (s->kind) {
    case CONSTANT: return 100;
    case FEW: return (int64_t)tl_prng_below(&prng, 20) * 100;
    case WALK: return s->at += (int64_t)tl_prng_below(&prng, 2001) - 1000;
    case ANY: return (int64_t)(tl_prng_next(&prng) >> tl_prng_below(&prng, 64));
    default: return extremes[tl_prng_below(&prng, sizeof extremes / sizeof extremes[0])];
  }
}

static double random_double(style *s) {
  static const double extremes[] = {0.0, -0.0, 1e308, -1e308, 5e-324, 0.1, -2.5, 1.7976931348623157e308};
  switch (s->kind) {
    case CONSTANT: return 12.5;
    case FEW: return (double)tl_prng_below(&prng, 20) / 100;
    case WALK: return (double)(s->at += (int64_t)tl_prng_below(&prng, 5) - 2) / 100;
    case ANY: { /* any bits: infinities and NaNs too */
      uint64_t bits = tl_prng_next(&prng);
      double value;
      if (tl_prng_below(&prng, 50) == 0) bits = tl_prng_below(&prng, 2) << 63 | UINT64_C(0x7ff0000000000000);
      if (tl_prng_below(&prng, 50) == 0) bits = UINT64_C(0x7ff8000000000000);
      memcpy(&value, &bits, sizeof value);
      return value;
    }
    default: return extremes[tl_prng_below(&prng, sizeof extremes / sizeof extremes[0])];
  }
}

static size_t random_text(style *s, char *text) {
  static const char *const odd[] = {"", " ", "\xc3\xa9", "\xe6\xbc\xa2", "\xf0\x9f\x8e\x89", "a,b\"c", "'", "NULL"};
  size_t len = 1;
  switch (s->kind) {
    case CONSTANT: text[0] = 'Q'; break;
    case FEW: text[0] = (char)('A' + tl_prng_below(&prng, 20)); break;
    case WALK: len = (size_t)snprintf(text, 16, "w%" PRIu64, tl_prng_below(&prng, 5000)); break;
    case ANY: len = tl_prng_below(&prng, 256); /* NUL among them; one byte each in UTF-8 */
      for (size_t i = 0; i < len; i++) text[i] = (char)tl_prng_below(&prng, 128);
      break;
    default: {
      const char *from = odd[tl_prng_below(&prng, sizeof odd / sizeof odd[0])];
      len = strlen(from);
      memcpy(text, from, len);
    }
  }
  return len;
}

static uint32_t random_word(style *s) {
  char text[256];
  tl_error err;
  uint32_t code;
  size_t len = random_text(s, text);
  print_hex(text, len);
  check(tl_words_intern(words, text, len, &code, &err), &err);
  return code;
}

static uint32_t random_list(style *s) {
  char text[256];
  tl_error err;
  uint32_t code;
  tl_buf list = {0};
  uint64_t pick = tl_prng_below(&prng, 64), count = pick == 63 ? ITEMS_MAX : pick < 8 ? 0 : pick < 32 ? 1 : pick % 5;
  fputc('[', truth);
  for (uint64_t i = 0; i < count; i++) {
    size_t len = random_text(s, text);
    if (i) fputc(',', truth);
    print_hex(text, len);
    check(tl_words_list_add(&list, text, len, &err), &err);
  }
  fputc(']', truth);
  check(tl_words_intern(words, list.data ? list.data : "", list.len, &code, &err), &err);
  tl_buf_deinit(&list);
  return code;
}

static int64_t next_time(style *s) { /* ascending, from before 1970, now and then equal */
  if (tl_prng_below(&prng, 4)) s->at += (int64_t)(tl_prng_next(&prng) >> (24 + tl_prng_below(&prng, 30)));
  return s->at;
}

static void put_value(const tl_column_def *def, style *s, tl_column *column, size_t row) {
  if (def->nullable && tl_prng_below(&prng, 256) < s->nulls) {
    tl_column_set_null(column, row);
    memset((char *)column->data + row * (def->type == TL_WORD || def->type == TL_WORDS ? 4 : 8), 0xAB, 4);
    fputs("null", truth);
    return;
  }
  if (def->type == TL_F64) {
    column->f64[row] = random_double(s);
    uint64_t bits;
    memcpy(&bits, &column->f64[row], sizeof bits);
    fprintf(truth, "\"%016" PRIx64 "\"", bits);
  } else if (def->type == TL_WORD) {
    column->word[row] = random_word(s);
  } else if (def->type == TL_WORDS) {
    column->word[row] = random_list(s);
  } else {
    column->i64[row] = def->type == TL_TIME ? next_time(s) : random_integer(s);
    fprintf(truth, "%" PRId64, column->i64[row]);
  }
}

static void put_row(tl_batch *batch, style *styles) {
  for (size_t c = 0; c < batch->def->column_count; c++) {
    fputc(c ? ',' : '[', truth);
    put_value(&batch->def->columns[c], &styles[c], &batch->columns[c], batch->rows);
  }
  fputs("]\n", truth);
  batch->rows++;
}

int main(int argc, char **argv) {
  static const unsigned nulls[] = {0, 3, 128, 250, 256};
  tl_parquet_options options = {.sink = to_file};
  tl_error err = {0};
  if (argc != 8 || !tl_kind_parse(argv[1], &options.kind)) {
    fputs("usage: parquet_sample KIND SEED ROWS GROUP_ROWS SYMBOL|- OUT.parquet OUT.jsonl\n", stderr);
    return 2;
  }
  prng = tl_prng_init(strtoull(argv[2], NULL, 10));
  size_t rows = strtoull(argv[3], NULL, 10);
  FILE *out = fopen(argv[6], "wb");
  truth = fopen(argv[7], "w");
  if (!out || !truth) return 1;
  check(tl_words_open(&words, &err), &err);
  options.row_group_rows = strtoull(argv[4], NULL, 10);
  options.symbol = strcmp(argv[5], "-") ? argv[5] : NULL;
  options.words = words;
  options.to = out;

  style styles[TL_COLUMNS_MAX];
  for (size_t c = 0; c < TL_COLUMNS_MAX; c++)
    styles[c] = (style){(int)tl_prng_below(&prng, STYLES), nulls[tl_prng_below(&prng, 5)], 15000};
  styles[0].at = -INT64_C(1234567890123456789);

  tl_parquet *writer = NULL;
  tl_parquet_summary summary;
  tl_batch batch;
  tl_batch_init(&batch, options.kind);
  check(tl_batch_reserve(&batch, BATCH_ROWS, &err), &err);
  check(tl_parquet_open(&options, &writer, &err), &err);
  while (rows) {
    tl_batch_clear(&batch);
    for (; rows && batch.rows < BATCH_ROWS; rows--) put_row(&batch, styles);
    check(tl_parquet_write(writer, &batch, 0, batch.rows, &err), &err);
  }
  check(tl_parquet_finish(writer, &summary, &err), &err);
  tl_parquet_close(writer);
  tl_batch_deinit(&batch);
  tl_words_close(words);
  return fclose(out) || fclose(truth);
}
