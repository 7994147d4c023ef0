/* writer_test.c - files of the Parquet encoder read back by parquet_reader.h, which shares nothing with it. */
#include "parquet/writer.h"

#include "parquet_reader.h"

#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/prng.h"

static tl_words *words;
static tl_prng prng;
static tl_error err;

/* ---- making rows and files ---- */

typedef struct place { /* a sink in memory that may refuse its n-th call */
  tl_buf bytes;
  long calls, refuse;
} place;

static tl_status put(void *to, const void *data, size_t len, tl_error *error) {
  place *p = to;
  if (++p->calls == p->refuse) return tl_fail(error, TL_EIO, "refused");
  return tl_buf_append(&p->bytes, data, len, error);
}

static uint32_t word(const char *data, size_t len) {
  uint32_t code;
  assert_int_equal(tl_words_intern(words, data, len, &code, &err), TL_OK);
  return code;
}

static uint32_t list(size_t count, const char *item, size_t len) { /* count times the same item */
  tl_buf buf = {0};
  for (size_t i = 0; i < count; i++) assert_int_equal(tl_words_list_add(&buf, item, len, &err), TL_OK);
  uint32_t code = word(buf.data ? buf.data : "", buf.len);
  tl_buf_deinit(&buf);
  return code;
}

static tl_batch batch_of(tl_kind kind, size_t rows) { /* all zero, all valid, a row a second */
  tl_batch batch;
  tl_batch_init(&batch, kind);
  assert_int_equal(tl_batch_reserve(&batch, rows ? rows : 1, &err), TL_OK);
  uint32_t nothing = word("", 0);
  for (size_t c = 0; c < batch.def->column_count; c++) {
    tl_type type = batch.def->columns[c].type;
    for (size_t row = 0; row < rows; row++) {
      if (type == TL_WORD || type == TL_WORDS) batch.columns[c].word[row] = nothing;
      else batch.columns[c].i64[row] = type == TL_TIME ? (int64_t)row * 1000000000 : 0;
    }
  }
  batch.rows = rows;
  return batch;
}

static uint32_t random_list(void) {
  static const char *const items[] = {"@", " ", "F", "T", "I", "", "\xc3\xa9", "long condition"};
  tl_buf buf = {0};
  for (uint64_t left = tl_prng_below(&prng, 5); left; left--) {
    const char *item = items[tl_prng_below(&prng, 8)];
    assert_int_equal(tl_words_list_add(&buf, item, strlen(item), &err), TL_OK);
  }
  uint32_t code = word(buf.data ? buf.data : "", buf.len);
  tl_buf_deinit(&buf);
  return code;
}

/* Columns differ in how many values are distinct, so that every encoding comes up; every 7th nullable value is NULL. */
static tl_batch random_batch(tl_kind kind, size_t rows) {
  tl_batch b = batch_of(kind, rows);
  for (size_t c = 0; c < b.def->column_count; c++) {
    uint64_t distinct = c == 1 ? 300 : c == 2 ? 5 : UINT64_C(1) << (7 * c);
    for (size_t row = 0; row < rows; row++) {
      uint64_t value = tl_prng_below(&prng, distinct);
      switch (b.def->columns[c].type) {
        case TL_TIME: b.columns[c].i64[row] = (int64_t)row * 1234567 - 5000000; break;
        case TL_I64: b.columns[c].i64[row] = (int64_t)value - 3; break;
        case TL_F64: b.columns[c].f64[row] = (double)value / 100; break;
        case TL_WORD: b.columns[c].word[row] = word((const char *)&value, 1 + value % 3); break;
        case TL_WORDS: b.columns[c].word[row] = random_list(); break;
      }
      if (b.columns[c].valid && tl_prng_below(&prng, 7) == 0) tl_column_set_null(&b.columns[c], row);
    }
  }
  return b;
}

static tl_parquet_options options_for(tl_kind kind, place *to, size_t group_rows) {
  return (tl_parquet_options){.kind = kind, .words = words, .row_group_rows = group_rows, .sink = put, .to = to};
}

/* The whole life of a file; `step` rows at a time, 0 for all at once. */
static tl_status write_rows(const tl_parquet_options *options, const tl_batch *batch, size_t step, tl_parquet_summary *summary) {
  tl_parquet *writer = NULL;
  tl_status st = tl_parquet_open(options, &writer, &err);
  for (size_t at = 0; !st && at < batch->rows;) {
    size_t end = step && at + step < batch->rows ? at + step : batch->rows;
    st = tl_parquet_write(writer, batch, at, end, &err);
    at = end;
  }
  if (!st) st = tl_parquet_finish(writer, summary, &err);
  tl_parquet_close(writer);
  return st;
}

static file file_of(const tl_batch *batch, size_t group_rows, place *to, tl_parquet_summary *summary) {
  tl_parquet_options options = options_for(batch->def->kind, to, group_rows);
  assert_int_equal(write_rows(&options, batch, 0, summary), TL_OK);
  assert_int_equal(summary->bytes, to->bytes.len);
  assert_int_equal(summary->rows, batch->rows);
  return file_open(to->bytes.data, to->bytes.len);
}

static void drop(file *f, place *to, tl_batch *batch) {
  file_close(f);
  tl_buf_deinit(&to->bytes);
  tl_batch_deinit(batch);
}

/* ---- comparing ---- */

static void check_text(text found, tl_text wanted) {
  assert_int_equal(found.len, wanted.len);
  if (wanted.len) assert_memory_equal(found.data, wanted.data, wanted.len);
}

static void check_list(const chunk *c, size_t *entry, size_t *value, bool valid, tl_text wanted) {
  tl_text item;
  assert_int_equal(c->rep[*entry], 0);
  if (!valid || !wanted.len) {
    assert_int_equal(c->def[(*entry)++], valid ? 1 : 0);
    return;
  }
  for (bool first = true; tl_words_list_next(&wanted, &item); first = false, ++*entry, ++*value) {
    assert_true(*entry < c->entries && *value < c->values);
    assert_int_equal(c->rep[*entry], first ? 0 : 1);
    assert_int_equal(c->def[*entry], 3);
    check_text(c->texts[*value], item);
  }
}

/* Leaf `leaf` of rows [begin, end): column `column` of the batch; is_ns: the time as it is. */
static void check_leaf(const file *f, size_t group, size_t leaf, const tl_batch *b, size_t column, bool is_ns, size_t begin,
                       size_t end) {
  chunk c = chunk_open(f, group, leaf);
  tl_type type = b->def->columns[column].type;
  size_t entry = 0, value = 0;
  for (size_t row = begin; row < end; row++) {
    const tl_column *from = &b->columns[column];
    bool valid = tl_column_valid(from, row);
    assert_true(entry < c.entries);
    if (type == TL_WORDS) {
      check_list(&c, &entry, &value, valid, valid ? tl_words_text(words, from->word[row]) : (tl_text){0});
      continue;
    }
    assert_int_equal(c.def[entry++], valid);
    if (!valid) continue;
    assert_true(value < c.values);
    if (type == TL_WORD) {
      check_text(c.texts[value], tl_words_text(words, from->word[row]));
    } else if (type == TL_TIME && !is_ns) { /* the microsecond that holds the nanosecond */
      __int128 start = (__int128)(int64_t)c.numbers[value] * 1000;
      assert_true(start <= from->i64[row] && from->i64[row] < start + 1000);
    } else {
      assert_memory_equal(&c.numbers[value], &from->i64[row], 8);
    }
    value++;
  }
  assert_int_equal(entry, c.entries);
  assert_int_equal(value, c.values);
  chunk_close(&c);
}

static void check_file(const file *f, const tl_batch *b, size_t group_rows) {
  size_t begin = 0;
  assert_int_equal(number_of(&f->footer, 3), b->rows);
  for (size_t g = 0; g < file_groups(f); g++) {
    size_t end = begin + group_rows < b->rows ? begin + group_rows : b->rows, leaf = 0;
    assert_int_equal(number_of(file_group(f, g), 3), end - begin);
    for (size_t c = 0; c < b->def->column_count; c++) {
      check_leaf(f, g, leaf++, b, c, false, begin, end);
      if (!c && b->def->has_ns) check_leaf(f, g, leaf++, b, c, true, begin, end);
    }
    begin = end;
  }
  assert_int_equal(begin, b->rows);
}

static void round_trip(tl_batch batch, size_t group_rows) { /* takes the batch */
  place to = {0};
  tl_parquet_summary summary;
  file f = file_of(&batch, group_rows, &to, &summary);
  check_file(&f, &batch, group_rows);
  drop(&f, &to, &batch);
}

/* ---- values ---- */

static void every_kind_gives_its_rows_back(void **state) {
  (void)state;
  for (tl_kind kind = 0; kind < TL_KIND_COUNT; kind++) {
    round_trip(random_batch(kind, 1), 1);
    round_trip(random_batch(kind, 23), 1);       /* many row groups: the long form of a list's length */
    round_trip(random_batch(kind, 45000), 50000); /* several pages */
    round_trip(random_batch(kind, 5000), 1999);
  }
}

static void a_file_without_rows_is_a_file(void **state) {
  (void)state;
  for (tl_kind kind = 0; kind < TL_KIND_COUNT; kind++) {
    tl_batch batch = batch_of(kind, 0);
    place to = {0};
    tl_parquet_summary summary;
    file f = file_of(&batch, 100, &to, &summary);
    assert_int_equal(file_groups(&f), 0);
    for (size_t c = 0; c < batch.def->column_count; c++) {
      assert_false(summary.columns[c].has_bounds);
      assert_int_equal(summary.columns[c].null_count, 0);
    }
    drop(&f, &to, &batch);
  }
}

static void columns_of_nothing_but_null_are_read_as_null(void **state) {
  (void)state;
  for (tl_kind kind = 0; kind < TL_KIND_COUNT; kind++) {
    tl_batch batch = batch_of(kind, 30000);
    for (size_t c = 0; c < batch.def->column_count; c++)
      for (size_t row = 0; batch.columns[c].valid && row < batch.rows; row++) {
        tl_column_set_null(&batch.columns[c], row);
        memset((char *)batch.columns[c].data + 4 * row, 0xFF, 4); /* what lies under a NULL is nobody's business */
      }
    place to = {0};
    tl_parquet_summary summary;
    file f = file_of(&batch, 100000, &to, &summary);
    check_file(&f, &batch, 100000);
    for (size_t c = 0; c < batch.def->column_count; c++) {
      assert_int_equal(summary.columns[c].null_count, batch.columns[c].valid ? 30000 : 0);
      if (batch.columns[c].valid) assert_false(summary.columns[c].has_bounds);
    }
    drop(&f, &to, &batch);
  }
}

static void doubles_keep_every_bit(void **state) {
  (void)state;
  static const uint64_t odd[] = {0x7ff8000000000000, 0xfff8000000000001, 0x7ff0000000000001, 0x7ff0000000000000,
                                 0xfff0000000000000, 0x8000000000000000, 0, 1, 0x7fefffffffffffff};
  tl_batch few = batch_of(TL_BARS, 9000), all = batch_of(TL_BARS, 9000);
  for (size_t row = 0; row < 9000; row++) {
    memcpy(&few.columns[TL_BARS_OPEN].f64[row], &odd[row % 9], 8); /* a dictionary */
    uint64_t bits = tl_prng_next(&prng);
    memcpy(&all.columns[TL_BARS_OPEN].f64[row], &bits, 8); /* plain */
  }
  round_trip(few, 100000);
  round_trip(all, 100000);
}

static void integers_of_any_size_come_back(void **state) {
  (void)state;
  tl_batch b = batch_of(TL_TRADES, 9000);
  for (size_t row = 0; row < b.rows; row++) {
    b.columns[TL_TRADES_SIZE].i64[row] = row % 2 ? INT64_MIN : INT64_MAX;
    b.columns[TL_TRADES_TRADE_ID].i64[row] = (int64_t)tl_prng_next(&prng);
    tl_batch_times(&b)[row] = row < 4500 ? INT64_MIN + (int64_t)row : INT64_MAX - 9000 + (int64_t)row;
  }
  round_trip(b, 100000);
}

static void times_are_floored_to_the_microsecond(void **state) {
  (void)state;
  static const struct {
    int64_t ns, us;
  } cases[] = {{-1000001, -1001}, {-1000000, -1000}, {-999999, -1000}, {-1001, -2}, {-1000, -1}, {-999, -1}, {-1, -1},
               {0, 0}, {1, 0}, {999, 0}, {1000, 1}, {1999, 1}, {INT64_MAX, INT64_C(9223372036854775)}};
  enum { COUNT = sizeof cases / sizeof cases[0] };
  tl_batch batch = batch_of(TL_TRADES, COUNT);
  for (size_t i = 0; i < COUNT; i++) tl_batch_times(&batch)[i] = cases[i].ns;
  place to = {0};
  tl_parquet_summary summary;
  file f = file_of(&batch, 1000, &to, &summary);
  chunk us = chunk_open(&f, 0, 0), ns = chunk_open(&f, 0, 1);
  for (size_t i = 0; i < COUNT; i++) {
    assert_int_equal(us.numbers[i], cases[i].us);
    assert_int_equal(ns.numbers[i], cases[i].ns);
  }
  assert_int_equal(summary.time_min_ns, -1000001);
  assert_int_equal(summary.time_max_ns, INT64_MAX);
  assert_int_equal(summary.columns[TL_COL_TIME].min.i64, -1001);
  assert_int_equal(summary.columns[TL_COL_TIME].max.i64, INT64_C(9223372036854775));
  chunk_close(&us);
  chunk_close(&ns);
  drop(&f, &to, &batch);
}

static void texts_may_hold_any_byte(void **state) {
  (void)state;
  char all[300];
  for (size_t i = 0; i < sizeof all; i++) all[i] = (char)i;
  tl_batch b = batch_of(TL_TRADES, 600);
  for (size_t row = 0; row < b.rows; row++) {
    b.columns[TL_TRADES_EXCHANGE].word[row] = word(all, row % 300); /* NUL first of all */
    b.columns[TL_TRADES_TAPE].word[row] = word("\xe6\xbc\xa2\0x", 5);
    b.columns[TL_TRADES_CONDITIONS].word[row] = list(1 + row % 3, all, row % 256);
  }
  round_trip(b, 100000);
}

static void lists_of_every_shape_come_back(void **state) {
  (void)state;
  static const size_t counts[] = {0, 1, 300, 2, 0, 0, 1, 1, 70000, 0};
  tl_batch b = batch_of(TL_QUOTES, 40);
  for (size_t row = 0; row < b.rows; row++) { /* the long one is more than a page by itself */
    b.columns[TL_QUOTES_CONDITIONS].word[row] = list(counts[row % 10], "R", row % 2);
    if (row % 7 == 3) tl_column_set_null(&b.columns[TL_QUOTES_CONDITIONS], row);
  }
  round_trip(b, 100000);

  tl_batch empty = batch_of(TL_QUOTES, 25000); /* no item anywhere */
  for (size_t row = 0; row < empty.rows; row += 2) tl_column_set_null(&empty.columns[TL_QUOTES_CONDITIONS], row);
  round_trip(empty, 100000);
}

static void a_million_rows_fill_many_row_groups(void **state) {
  (void)state;
  enum { ROWS = 1000000, GROUP = 122880 };
  tl_batch batch = batch_of(TL_BARS, ROWS);
  for (size_t row = 0; row < ROWS; row++) batch.columns[TL_BARS_CLOSE].f64[row] = (double)(row * 7 % 10007) / 100;
  place to = {0};
  tl_parquet_summary summary;
  file f = file_of(&batch, 0, &to, &summary);
  assert_int_equal(file_groups(&f), 9);
  for (size_t g = 0; g < 9; g++) {
    size_t begin = g * GROUP, end = begin + GROUP < ROWS ? begin + GROUP : ROWS;
    check_leaf(&f, g, 0, &batch, 0, false, begin, end);
    check_leaf(&f, g, 4, &batch, TL_BARS_CLOSE, false, begin, end);
  }
  assert_true(summary.columns[TL_BARS_CLOSE].max.f64 == 100.06);
  drop(&f, &to, &batch);
}

static void the_symbol_is_the_first_column_of_a_flat_file(void **state) {
  (void)state;
  tl_batch batch = batch_of(TL_BARS, 25000);
  place to = {0};
  tl_parquet_options options = options_for(TL_BARS, &to, 20000);
  tl_parquet_summary summary;
  options.symbol = "BTC/USD";
  assert_int_equal(write_rows(&options, &batch, 0, &summary), TL_OK);
  file f = file_open(to.bytes.data, to.bytes.len);
  for (size_t g = 0; g < 2; g++) {
    chunk c = chunk_open(&f, g, 0);
    const node *stats = field(file_chunk(&f, g, 0), 12);
    assert_int_equal(c.values, g ? 5000 : 20000);
    for (size_t i = 0; i < c.values; i++) check_text(c.texts[i], tl_text_from("BTC/USD"));
    assert_memory_equal(field(stats, 5)->bytes, "BTC/USD", 7);
    assert_memory_equal(field(stats, 6)->bytes, "BTC/USD", 7);
    chunk_close(&c);
    check_leaf(&f, g, 1, &batch, 0, false, g * 20000, g ? 25000 : 20000);
  }
  drop(&f, &to, &batch);
}

static void every_symbol_gets_row_groups_of_its_own(void **state) {
  (void)state;
  tl_batch batch = batch_of(TL_BARS, 300);
  place to = {0};
  tl_parquet_options options = options_for(TL_BARS, &to, 200);
  tl_parquet_summary summary;
  tl_parquet *writer = NULL;
  options.symbol = "A";
  assert_int_equal(tl_parquet_open(&options, &writer, &err), TL_OK);
  assert_int_equal(tl_parquet_next_symbol(writer, "A", &err), TL_OK); /* nothing changes */
  assert_int_equal(tl_parquet_write(writer, &batch, 0, 250, &err), TL_OK);
  assert_int_equal(tl_parquet_next_symbol(writer, "BTC/USD", &err), TL_OK);
  assert_int_equal(tl_parquet_next_symbol(writer, "C", &err), TL_OK); /* B has no rows, so no group */
  assert_int_equal(tl_parquet_write(writer, &batch, 250, 300, &err), TL_OK);
  assert_int_equal(tl_parquet_finish(writer, &summary, &err), TL_OK);
  tl_parquet_close(writer);
  assert_int_equal(summary.rows, 300);
  file f = file_open(to.bytes.data, to.bytes.len);
  static const struct { const char *symbol; size_t begin, end; } groups[] = {{"A", 0, 200}, {"A", 200, 250}, {"C", 250, 300}};
  for (size_t g = 0; g < 3; g++) {
    chunk c = chunk_open(&f, g, 0);
    assert_int_equal(c.values, groups[g].end - groups[g].begin);
    for (size_t i = 0; i < c.values; i++) check_text(c.texts[i], tl_text_from(groups[g].symbol));
    chunk_close(&c);
    check_leaf(&f, g, 1, &batch, 0, false, groups[g].begin, groups[g].end);
  }
  drop(&f, &to, &batch);
}

/* ---- what the footer says ---- */

static const char *name_of(const node *element) {
  static char name[64];
  const node *n = field(element, 4);
  snprintf(name, sizeof name, "%.*s", (int)n->number, (const char *)n->bytes);
  return name;
}

static void the_schema_says_utc_microseconds_text_and_lists(void **state) {
  (void)state;
  tl_batch batch = batch_of(TL_TRADES, 1);
  place to = {0};
  tl_parquet_summary summary;
  file f = file_of(&batch, 10, &to, &summary);
  const node *schema = field(&f.footer, 2);
  static const char *const names[] = {"schema", "timestamp", "timestamp_ns", "price", "size", "exchange", "conditions",
                                      "list", "element", "trade_id", "tape", "update"};
  assert_int_equal(schema->count, 12);
  for (size_t i = 0; i < 12; i++) assert_string_equal(name_of(&schema->children[i]), names[i]);
  assert_int_equal(number_of(&schema->children[0], 5), 9); /* children of the root */

  const node *time = &schema->children[1], *stamp = field(field(time, 10), 8);
  assert_int_equal(number_of(time, 1), 2);  /* INT64 */
  assert_int_equal(number_of(time, 6), 10); /* TIMESTAMP_MICROS */
  assert_int_equal(number_of(stamp, 1), 1); /* isAdjustedToUTC */
  assert_non_null(field(field(stamp, 2), 2));
  assert_int_equal(number_of(&schema->children[2], 1), 2);
  assert_null(field(&schema->children[2], 6)); /* timestamp_ns is a plain integer */
  assert_int_equal(number_of(&schema->children[3], 1), 5);
  assert_int_equal(number_of(&schema->children[5], 6), 0); /* UTF8 */
  assert_non_null(field(field(&schema->children[5], 10), 1));
  assert_int_equal(number_of(&schema->children[6], 6), 3); /* LIST */
  assert_int_equal(number_of(&schema->children[7], 3), 2); /* repeated */
  for (size_t i = 1; i < 12; i++)
    if (i != 7) assert_int_equal(number_of(&schema->children[i], 3), 1); /* optional */
  assert_null(field(&f.footer, 5)); /* no key-value metadata: nothing that could vary */
  assert_int_equal(field(&f.footer, 7)->count, 9);
  drop(&f, &to, &batch);
}

static double double_of(const node *n) {
  double value;
  assert_int_equal(n->number, 8);
  memcpy(&value, n->bytes, 8);
  return value;
}

/* bounds of one chunk of doubles, and of the file */
static void check_bounds(const double *values, size_t count, bool has, double min, double max) {
  tl_batch batch = batch_of(TL_BARS, count);
  memcpy(batch.columns[TL_BARS_OPEN].f64, values, count * sizeof *values);
  place to = {0};
  tl_parquet_summary summary;
  file f = file_of(&batch, 1000, &to, &summary);
  const node *stats = field(file_chunk(&f, 0, TL_BARS_OPEN), 12);
  const tl_column_stats *whole = &summary.columns[TL_BARS_OPEN];
  assert_int_equal(!!field(stats, 5), has);
  assert_int_equal(!!field(stats, 6), has);
  assert_int_equal(whole->has_bounds, has);
  if (has) {
    double found[4] = {double_of(field(stats, 6)), double_of(field(stats, 5)), whole->min.f64, whole->max.f64};
    double wanted[4] = {min, max, min, max};
    assert_memory_equal(found, wanted, sizeof found); /* the sign of zero too */
  }
  drop(&f, &to, &batch);
}

static void bounds_of_doubles_follow_the_format(void **state) {
  (void)state;
  check_bounds((double[]){1, -2.5, 3}, 3, true, -2.5, 3);
  check_bounds((double[]){1, NAN, 3}, 3, false, 0, 0);
  check_bounds((double[]){NAN}, 1, false, 0, 0);
  check_bounds((double[]){0.0, 0.0}, 2, true, -0.0, 0.0);
  check_bounds((double[]){-0.0, -0.0}, 2, true, -0.0, 0.0);
  check_bounds((double[]){0.0, 5}, 2, true, -0.0, 5);
  check_bounds((double[]){-5, -0.0}, 2, true, -5, 0.0);
  check_bounds((double[]){INFINITY, -INFINITY, 1}, 3, true, -INFINITY, INFINITY);
}

static void one_nan_takes_the_bounds_from_the_whole_file(void **state) {
  (void)state;
  for (size_t at = 0; at < 3; at++) {
    tl_batch batch = batch_of(TL_BARS, 3);
    for (size_t row = 0; row < 3; row++) batch.columns[TL_BARS_OPEN].f64[row] = row == at ? NAN : 7;
    place to = {0};
    tl_parquet_summary summary;
    file f = file_of(&batch, 1, &to, &summary);
    for (size_t g = 0; g < 3; g++)
      assert_int_equal(!!field(field(file_chunk(&f, g, TL_BARS_OPEN), 12), 5), g != at);
    assert_false(summary.columns[TL_BARS_OPEN].has_bounds);
    assert_true(summary.columns[TL_BARS_HIGH].has_bounds);
    drop(&f, &to, &batch);
  }
}

static void bounds_and_null_counts_are_those_of_the_rows(void **state) {
  (void)state;
  enum { ROWS = 3000, GROUP = 700, COLUMN = TL_TRADES_SIZE };
  tl_batch batch = random_batch(TL_TRADES, ROWS);
  for (size_t row = 700; row < 1400; row++) tl_column_set_null(&batch.columns[COLUMN], row); /* a whole group */
  place to = {0};
  tl_parquet_summary summary;
  file f = file_of(&batch, GROUP, &to, &summary);
  int64_t all_min = INT64_MAX, all_max = INT64_MIN, all_nulls = 0;
  for (size_t g = 0; g < file_groups(&f); g++) {
    int64_t min = INT64_MAX, max = INT64_MIN, nulls = 0, found;
    for (size_t row = g * GROUP; row < (g + 1) * GROUP && row < ROWS; row++) {
      int64_t value = batch.columns[COLUMN].i64[row];
      if (!tl_column_valid(&batch.columns[COLUMN], row)) nulls++;
      else min = value < min ? value : min, max = value > max ? value : max;
    }
    const node *stats = field(file_chunk(&f, g, COLUMN + 1), 12); /* timestamp_ns lies before */
    assert_int_equal(number_of(stats, 3), nulls);
    assert_int_equal(!!field(stats, 5), min <= max);
    if (min <= max) {
      memcpy(&found, field(stats, 6)->bytes, 8);
      assert_int_equal(found, min);
      memcpy(&found, field(stats, 5)->bytes, 8);
      assert_int_equal(found, max);
      if (min < all_min) all_min = min;
      if (max > all_max) all_max = max;
    }
    all_nulls += nulls;
  }
  assert_int_equal(summary.columns[COLUMN].min.i64, all_min);
  assert_int_equal(summary.columns[COLUMN].max.i64, all_max);
  assert_int_equal(summary.columns[COLUMN].null_count, all_nulls);
  assert_false(summary.columns[TL_TRADES_EXCHANGE].has_bounds);
  assert_false(summary.columns[TL_TRADES_CONDITIONS].has_bounds);
  drop(&f, &to, &batch);
}

static void the_order_of_rows_is_promised_only_when_it_is_true(void **state) {
  (void)state;
  tl_batch batch = batch_of(TL_TRADES, 6);
  tl_batch_times(&batch)[4] = 9000000000; /* the second group of three is not sorted */
  place to = {0};
  tl_parquet_summary summary;
  file f = file_of(&batch, 3, &to, &summary);
  const node *sorting = field(file_group(&f, 0), 4);
  assert_int_equal(sorting->count, 1);
  assert_int_equal(number_of(&sorting->children[0], 1), 0);
  assert_int_equal(number_of(&sorting->children[0], 2), 0);
  assert_null(field(file_group(&f, 1), 4));
  drop(&f, &to, &batch);
}

/* ---- sameness and failure ---- */

static void equal_rows_give_equal_bytes_however_they_come(void **state) {
  (void)state;
  static const size_t steps[] = {1, 7, 999, 1000, 1001, 4096};
  for (tl_kind kind = 0; kind < TL_KIND_COUNT; kind++) {
    tl_batch batch = random_batch(kind, 5000);
    place whole = {0};
    tl_parquet_options options = options_for(kind, &whole, 1000);
    tl_parquet_summary summary, other;
    assert_int_equal(write_rows(&options, &batch, 0, &summary), TL_OK);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
      place parts = {0};
      options.to = &parts;
      assert_int_equal(write_rows(&options, &batch, steps[i], &other), TL_OK);
      assert_int_equal(parts.bytes.len, whole.bytes.len);
      assert_memory_equal(parts.bytes.data, whole.bytes.data, whole.bytes.len);
      assert_int_equal(other.rows, summary.rows);
      assert_int_equal(other.time_max_ns, summary.time_max_ns);
      tl_buf_deinit(&parts.bytes);
    }
    tl_buf_deinit(&whole.bytes);
    tl_batch_deinit(&batch);
  }
}

/* Codes depend on what the pool met before; files must not. */
static void equal_texts_give_equal_bytes_whatever_their_codes(void **state) {
  (void)state;
  static const char *const texts[] = {"Q", "N", "P", "Z"};
  place first = {0}, second = {0};
  tl_words *kept = words;
  for (int pass = 0; pass < 2; pass++) {
    tl_parquet_summary summary;
    assert_int_equal(tl_words_open(&words, &err), TL_OK);
    for (int i = 3; pass && i >= 0; i--) word(texts[i], 1), list(2, texts[i], 1);
    tl_batch batch = batch_of(TL_TRADES, 400);
    for (size_t row = 0; row < 400; row++) {
      batch.columns[TL_TRADES_EXCHANGE].word[row] = word(texts[row / 7 % 4], 1);
      batch.columns[TL_TRADES_CONDITIONS].word[row] = list(row % 3, texts[row / 3 % 4], 1);
    }
    tl_parquet_options options = options_for(TL_TRADES, pass ? &second : &first, 0);
    assert_int_equal(write_rows(&options, &batch, 0, &summary), TL_OK);
    tl_batch_deinit(&batch);
    tl_words_close(words);
  }
  words = kept;
  assert_int_equal(first.bytes.len, second.bytes.len);
  assert_memory_equal(first.bytes.data, second.bytes.data, first.bytes.len);
  tl_buf_deinit(&first.bytes);
  tl_buf_deinit(&second.bytes);
}

static void every_refusal_of_the_sink_is_handed_on(void **state) {
  (void)state;
  tl_batch batch = random_batch(TL_BARS, 200000); /* more than the writer keeps back: several calls */
  int64_t live = tl_alloc_live();
  for (long n = 1;; n++) {
    place to = {.refuse = n};
    tl_parquet_options options = options_for(TL_BARS, &to, 20000);
    tl_parquet_summary summary;
    tl_status st = write_rows(&options, &batch, 0, &summary);
    tl_buf_deinit(&to.bytes);
    assert_int_equal(tl_alloc_live(), live);
    if (to.calls < n) {
      assert_int_equal(st, TL_OK);
      assert_true(n > 10);
      break;
    }
    assert_int_equal(st, TL_EIO);
    assert_string_equal(err.message, "refused");
    assert_int_equal(to.calls, n); /* not asked again */
  }
  tl_batch_deinit(&batch);
}

static tl_status count_only(void *to, const void *data, size_t len, tl_error *error) {
  (void)data;
  (void)error;
  *(size_t *)to += len;
  return TL_OK;
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  static const tl_kind kinds[] = {TL_BARS, TL_TRADES};
  for (size_t k = 0; k < 2; k++) {
    tl_batch batch = random_batch(kinds[k], 6000);
    int64_t live = tl_alloc_live();
    for (long n = 1;; n++) {
      size_t bytes = 0;
      tl_parquet_options options = options_for(kinds[k], NULL, 2500);
      tl_parquet_summary summary;
      options.symbol = "AAPL";
      options.sink = count_only;
      options.to = &bytes;
      tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
      tl_status st = write_rows(&options, &batch, 1700, &summary);
      bool reached = tl_fault_disarm();
      assert_int_equal(tl_alloc_live(), live);
      assert_int_equal(st, reached ? TL_ENOMEM : TL_OK);
      if (!reached) {
        assert_true(n > 30);
        break;
      }
    }
    tl_batch_deinit(&batch);
  }
}

static int set_up(void **state) {
  (void)state;
  prng = tl_prng_init(7);
  return tl_words_open(&words, &err) != TL_OK;
}

static int tear_down(void **state) {
  (void)state;
  tl_words_close(words);
  return tl_alloc_live() != 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_kind_gives_its_rows_back),
    cmocka_unit_test(a_file_without_rows_is_a_file),
    cmocka_unit_test(columns_of_nothing_but_null_are_read_as_null),
    cmocka_unit_test(doubles_keep_every_bit),
    cmocka_unit_test(integers_of_any_size_come_back),
    cmocka_unit_test(times_are_floored_to_the_microsecond),
    cmocka_unit_test(texts_may_hold_any_byte),
    cmocka_unit_test(lists_of_every_shape_come_back),
    cmocka_unit_test(a_million_rows_fill_many_row_groups),
    cmocka_unit_test(the_symbol_is_the_first_column_of_a_flat_file),
    cmocka_unit_test(every_symbol_gets_row_groups_of_its_own),
    cmocka_unit_test(the_schema_says_utc_microseconds_text_and_lists),
    cmocka_unit_test(bounds_of_doubles_follow_the_format),
    cmocka_unit_test(one_nan_takes_the_bounds_from_the_whole_file),
    cmocka_unit_test(bounds_and_null_counts_are_those_of_the_rows),
    cmocka_unit_test(the_order_of_rows_is_promised_only_when_it_is_true),
    cmocka_unit_test(equal_rows_give_equal_bytes_however_they_come),
    cmocka_unit_test(equal_texts_give_equal_bytes_whatever_their_codes),
    cmocka_unit_test(every_refusal_of_the_sink_is_handed_on),
    cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
