/* rows.h - rows small enough to think about, and files read back by parquet_reader.h, which shares nothing with the
 * encoder. A row is an instant and a number that stands for all its other columns. For tests of this folder. */
#ifndef TL_TEST_COMMIT_ROWS_H
#define TL_TEST_COMMIT_ROWS_H
#include "tests/unit/parquet/parquet_reader.h"

#include <stdio.h>

#include "batch/batch.h"
#include "batch/words.h"

typedef struct row {
  int64_t ns;
  int64_t value; /* below 1000 */
} row;

static inline uint32_t intern(tl_words *words, const char *of) {
  uint32_t code = 0;
  assert_int_equal(tl_words_intern(words, of, strlen(of), &code, NULL), TL_OK);
  return code;
}

static inline uint32_t intern_list(tl_words *words, int64_t value) { /* value % 3 items */
  tl_buf list = {0};
  for (int64_t i = 0; i < value % 3; i++) assert_int_equal(tl_words_list_add(&list, i ? "I" : "@", 1, NULL), TL_OK);
  uint32_t code = 0;
  assert_int_equal(tl_words_intern(words, list.data ? list.data : "", list.len, &code, NULL), TL_OK);
  tl_buf_deinit(&list);
  return code;
}

/* Every column but the time is made of the value, NULL where it may be and the value is a multiple of 7. */
static inline tl_batch batch_of_rows(tl_kind kind, tl_words *words, const row *rows, size_t count) {
  tl_batch b;
  tl_batch_init(&b, kind);
  assert_int_equal(tl_batch_reserve(&b, count ? count : 1, NULL), TL_OK);
  for (size_t i = 0; i < count; i++) {
    char letters[24];
    snprintf(letters, sizeof letters, "w%d", (int)(rows[i].value % 5));
    for (size_t c = 0; c < b.def->column_count; c++) {
      switch (b.def->columns[c].type) {
        case TL_TIME: b.columns[c].i64[i] = rows[i].ns; break;
        case TL_I64: b.columns[c].i64[i] = rows[i].value * 10 + (int64_t)c; break;
        case TL_F64: b.columns[c].f64[i] = (double)rows[i].value; break;
        case TL_WORD: b.columns[c].word[i] = intern(words, letters); break;
        case TL_WORDS: b.columns[c].word[i] = intern_list(words, rows[i].value); break;
      }
      if (b.columns[c].valid && c > 1 && rows[i].value % 7 == 0) tl_column_set_null(&b.columns[c], i);
    }
  }
  b.rows = count;
  return b;
}

static inline size_t leaf_named(const file *f, const char *name) {
  const node *columns = field(file_group(f, 0), 1);
  for (size_t leaf = 0; leaf < columns->count; leaf++) {
    const node *first = &field(file_chunk(f, 0, leaf), 3)->children[0];
    if (first->number == (int64_t)strlen(name) && !memcmp(first->bytes, name, strlen(name))) return leaf;
  }
  return SIZE_MAX;
}

/* All rows of a file's bytes, in its order; *rows is the caller's to free. symbol may be NULL: no such column. */
static inline size_t rows_of_file(const void *data, size_t len, const char *symbol, row **rows) {
  file f = file_open(data, len);
  size_t count = 0, total = (size_t)number_of(&f.footer, 3);
  *rows = malloc((total + 1) * sizeof **rows);
  for (size_t g = 0; g < file_groups(&f); g++) {
    size_t ns = leaf_named(&f, "timestamp_ns"), value = leaf_named(&f, "open");
    if (value == SIZE_MAX) value = leaf_named(&f, "price");
    if (value == SIZE_MAX) value = leaf_named(&f, "bid_price");
    assert_true(value != SIZE_MAX);
    assert_int_equal(leaf_named(&f, "symbol") != SIZE_MAX, symbol != NULL);
    chunk times = chunk_open(&f, g, ns != SIZE_MAX ? ns : leaf_named(&f, "timestamp")), values = chunk_open(&f, g, value);
    assert_int_equal(times.entries, values.entries);
    assert_int_equal(values.values, values.entries);
    for (size_t i = 0; i < times.entries; i++) {
      double number;
      memcpy(&number, &values.numbers[i], sizeof number);
      (*rows)[count++] = (row){(int64_t)times.numbers[i] * (ns != SIZE_MAX ? 1 : 1000), (int64_t)number};
    }
    chunk_close(&times);
    chunk_close(&values);
    if (symbol) {
      chunk names = chunk_open(&f, g, leaf_named(&f, "symbol"));
      for (size_t i = 0; i < names.values; i++) {
        assert_int_equal(names.texts[i].len, strlen(symbol));
        assert_memory_equal(names.texts[i].data, symbol, strlen(symbol));
      }
      chunk_close(&names);
    }
  }
  file_close(&f);
  assert_int_equal(count, total);
  return total;
}

static inline void expect_rows(const row *got, size_t got_count, const row *want, size_t want_count) {
  assert_int_equal(got_count, want_count);
  for (size_t i = 0; i < want_count; i++)
    if (got[i].ns != want[i].ns || got[i].value != want[i].value)
      fail_msg("row %zu is %lld:%lld, not %lld:%lld", i, (long long)got[i].ns, (long long)got[i].value,
               (long long)want[i].ns, (long long)want[i].value);
}
#endif
