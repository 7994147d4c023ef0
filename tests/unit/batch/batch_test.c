/* Columns that grow together, stable sorting, the word pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/prng.h"
#include "batch/batch.h"
#include "batch/words.h"

static void push_bar(tl_batch *batch, int64_t ns, double close, int64_t count) { /* count below 0: NULL */
  assert_int_equal(tl_batch_reserve(batch, 1, NULL), TL_OK);
  size_t row = batch->rows++;
  batch->columns[TL_COL_TIME].i64[row] = ns;
  for (int c = TL_BARS_OPEN; c <= TL_BARS_CLOSE; c++) batch->columns[c].f64[row] = close;
  batch->columns[TL_BARS_VOLUME].i64[row] = 100;
  batch->columns[TL_BARS_TRADE_COUNT].i64[row] = count;
  if (count < 0) tl_column_set_null(&batch->columns[TL_BARS_TRADE_COUNT], row);
  batch->columns[TL_BARS_VWAP].f64[row] = close;
}

/* Row r of a batch made of (time r, count r or NULL when r % 7 == 3). */
static tl_batch numbered(size_t rows) {
  tl_batch batch;
  tl_batch_init(&batch, TL_BARS);
  for (size_t r = 0; r < rows; r++) push_bar(&batch, (int64_t)r, (double)r, r % 7 == 3 ? -1 : (int64_t)r);
  return batch;
}

static void expect_numbered(const tl_batch *batch, size_t row, size_t number) {
  assert_int_equal(tl_batch_times(batch)[row], number);
  assert_int_equal(tl_column_valid(&batch->columns[TL_BARS_TRADE_COUNT], row), number % 7 != 3);
  assert_true(tl_column_valid(&batch->columns[TL_BARS_OPEN], row));
}

static void rows_stay_while_it_grows(void **state) {
  (void)state;
  tl_batch batch = numbered(1000);
  for (size_t r = 0; r < 1000; r++) expect_numbered(&batch, r, r);
  assert_int_equal(tl_kind_row_bytes(TL_BARS), 8 * 8);
  assert_true(tl_batch_bytes(&batch) >= 1000 * 64);
  tl_batch_deinit(&batch);
  tl_batch_deinit(&batch);
  assert_int_equal(tl_alloc_live(), 0);
}

static void append_keeps_nulls_at_any_offset(void **state) {
  (void)state;
  tl_batch from = numbered(100);
  for (size_t begin = 0; begin < 20; begin++) {
    tl_batch to = numbered(begin % 5);
    assert_int_equal(tl_batch_append(&to, &from, begin, 100 - begin, NULL), TL_OK);
    assert_int_equal(to.rows, begin % 5 + 100 - 2 * begin);
    for (size_t r = begin; r < 100 - begin; r++) expect_numbered(&to, begin % 5 + r - begin, r);
    tl_batch_deinit(&to);
  }
  tl_batch to = numbered(0);
  assert_int_equal(tl_batch_append(&to, &from, 5, 5, NULL), TL_OK);
  assert_int_equal(to.rows, 0);
  tl_batch_deinit(&to);
  tl_batch_deinit(&from);
}

static void cleared_rows_are_valid_again(void **state) {
  (void)state;
  tl_batch batch = numbered(50);
  tl_batch_clear(&batch);
  for (int i = 0; i < 50; i++) push_bar(&batch, i, 1, 1);
  for (size_t r = 0; r < 50; r++) assert_true(tl_column_valid(&batch.columns[TL_BARS_TRADE_COUNT], r));
  tl_batch_deinit(&batch);
}

static void dropping_a_head_moves_the_rest(void **state) {
  (void)state;
  for (size_t drop = 0; drop <= 30; drop++) {
    tl_batch batch = numbered(30);
    tl_batch_drop_head(&batch, drop);
    assert_int_equal(batch.rows, 30 - drop);
    for (size_t r = 0; r < batch.rows; r++) expect_numbered(&batch, r, r + drop);
    push_bar(&batch, 5, 5, 5);
    assert_true(tl_column_valid(&batch.columns[TL_BARS_TRADE_COUNT], batch.rows - 1));
    tl_batch_deinit(&batch);
  }
}

static void move_leaves_an_empty_batch(void **state) {
  (void)state;
  tl_batch a = numbered(10), b = numbered(3);
  tl_batch_move(&a, &b);
  assert_int_equal(b.rows, 10);
  assert_int_equal(a.rows, 0);
  push_bar(&a, 1, 1, 1); /* still of its kind */
  tl_batch_deinit(&a);
  tl_batch_deinit(&b);
}

static void sorting_is_stable(void **state) {
  (void)state;
  tl_prng prng = tl_prng_init(42);
  tl_batch batch = numbered(0);
  for (int i = 0; i < 500; i++) push_bar(&batch, (int64_t)tl_prng_below(&prng, 40), i, i % 7 == 3 ? -1 : i);
  assert_int_equal(tl_batch_sort(&batch, NULL), TL_OK);
  for (size_t r = 1; r < batch.rows; r++) {
    int64_t before = tl_batch_times(&batch)[r - 1], now = tl_batch_times(&batch)[r];
    assert_true(before <= now);
    if (before == now) assert_true(batch.columns[TL_BARS_CLOSE].f64[r - 1] < batch.columns[TL_BARS_CLOSE].f64[r]);
    bool null = (int)batch.columns[TL_BARS_CLOSE].f64[r] % 7 == 3;
    assert_int_equal(tl_column_valid(&batch.columns[TL_BARS_TRADE_COUNT], r), !null);
  }
  tl_batch_deinit(&batch);
}

static void lower_bound_finds_the_first(void **state) {
  (void)state;
  tl_batch batch = numbered(0);
  static const int64_t times[] = {1, 3, 3, 3, 7};
  for (int i = 0; i < 5; i++) push_bar(&batch, times[i], 1, 1);
  static const struct { int64_t at; size_t row; } cases[] = {{0, 0}, {1, 0}, {2, 1}, {3, 1}, {4, 4}, {7, 4}, {8, 5}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_int_equal(tl_batch_lower_bound(&batch, 0, 5, cases[i].at), cases[i].row);
  assert_int_equal(tl_batch_lower_bound(&batch, 2, 4, 3), 2);
  tl_batch_deinit(&batch);
}

static void equal_rows(void **state) {
  (void)state;
  tl_batch a = numbered(20), b = numbered(20);
  for (size_t r = 0; r < 20; r++) assert_true(tl_batch_rows_equal(&a, r, &b, r));
  assert_false(tl_batch_rows_equal(&a, 1, &b, 2));
  b.columns[TL_BARS_VWAP].f64[5] += 1;
  assert_false(tl_batch_rows_equal(&a, 5, &b, 5));
  tl_column_set_null(&b.columns[TL_BARS_VWAP], 6);
  assert_false(tl_batch_rows_equal(&a, 6, &b, 6));
  b.columns[TL_BARS_TRADE_COUNT].i64[3] = 99; /* NULL in both: the value below does not count */
  assert_true(tl_batch_rows_equal(&a, 3, &b, 3));
  tl_batch_deinit(&a);
  tl_batch_deinit(&b);
}

static void memory_that_runs_out_changes_nothing(void **state) {
  (void)state;
  for (long n = 1; n < 30; n++) {
    tl_batch batch = numbered(10);
    tl_error err = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = tl_batch_reserve(&batch, 100000, &err);
    bool fired = tl_fault_disarm();
    assert_int_equal(st, fired ? TL_ENOMEM : TL_OK);
    for (size_t r = 0; r < 10; r++) expect_numbered(&batch, r, r);
    tl_batch_deinit(&batch);
    assert_int_equal(tl_alloc_live(), 0);
    if (!fired) return;
  }
  fail_msg("a reserve of bars takes 30 allocations?");
}

/* ---- words ---- */

static void equal_texts_get_one_code(void **state) {
  (void)state;
  tl_words *words = NULL;
  assert_int_equal(tl_words_open(&words, NULL), TL_OK);
  uint32_t codes[3000], again;
  for (int i = 0; i < 3000; i++) {
    char text[16];
    int len = snprintf(text, sizeof text, "w%d", i);
    assert_int_equal(tl_words_intern(words, text, (size_t)len, &codes[i], NULL), TL_OK);
  }
  assert_int_equal(tl_words_count(words), 3000);
  for (int i = 0; i < 3000; i++) {
    char text[16];
    int len = snprintf(text, sizeof text, "w%d", i);
    assert_int_equal(tl_words_intern(words, text, (size_t)len, &again, NULL), TL_OK);
    assert_int_equal(again, codes[i]);
    assert_true(tl_text_is(tl_words_text(words, again), text));
  }
  assert_int_equal(tl_words_intern(words, "a\0b", 3, &again, NULL), TL_OK);
  assert_int_equal(tl_words_text(words, again).len, 3);
  assert_int_equal(tl_words_intern(words, "", 0, &again, NULL), TL_OK);
  assert_int_equal(tl_words_text(words, again).len, 0);
  tl_words_close(words);
  tl_words_close(NULL);
  assert_int_equal(tl_alloc_live(), 0);
}

static void *intern_many(void *argument) {
  tl_words *words = argument;
  for (int round = 0; round < 3; round++)
    for (int i = 0; i < 2000; i++) {
      char text[16];
      uint32_t code;
      int len = snprintf(text, sizeof text, "t%d", i);
      if (tl_words_intern(words, text, (size_t)len, &code, NULL) != TL_OK || !tl_text_is(tl_words_text(words, code), text)) return (void *)1;
    }
  return NULL;
}

static void threads_share_a_pool(void **state) {
  (void)state;
  tl_words *words = NULL;
  assert_int_equal(tl_words_open(&words, NULL), TL_OK);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, intern_many, words), 0);
  for (int i = 0; i < 4; i++) {
    void *result = (void *)9;
    pthread_join(threads[i], &result);
    assert_null(result);
  }
  assert_int_equal(tl_words_count(words), 2000);
  tl_words_close(words);
}

static void lists_come_apart_as_they_were_made(void **state) {
  (void)state;
  tl_buf list = {0};
  assert_int_equal(tl_words_list_add(&list, "@", 1, NULL), TL_OK);
  assert_int_equal(tl_words_list_add(&list, "", 0, NULL), TL_OK);
  assert_int_equal(tl_words_list_add(&list, " ", 1, NULL), TL_OK);
  char big[300] = {0};
  assert_int_equal(tl_words_list_add(&list, big, 256, NULL), TL_ELIMIT);
  assert_int_equal(tl_words_list_add(&list, big, 255, NULL), TL_OK);
  tl_text rest = tl_text_of(list.data, list.len), item;
  static const size_t lengths[] = {1, 0, 1, 255};
  for (int i = 0; i < 4; i++) {
    assert_true(tl_words_list_next(&rest, &item));
    assert_int_equal(item.len, lengths[i]);
  }
  assert_false(tl_words_list_next(&rest, &item));
  tl_text cut = tl_text_of("\x05" "ab", 3);
  assert_false(tl_words_list_next(&cut, &item));
  tl_buf_deinit(&list);
}

static void a_pool_without_memory_says_so(void **state) {
  (void)state;
  bool fired = true;
  for (long n = 1; fired; n++) {
    tl_words *words = NULL;
    tl_error err = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = tl_words_open(&words, &err);
    for (int i = 0; !st && i < 300; i++) {
      char text[16];
      uint32_t code;
      st = tl_words_intern(words, text, (size_t)snprintf(text, sizeof text, "x%d", i), &code, &err);
    }
    fired = tl_fault_disarm();
    assert_int_equal(st, fired ? TL_ENOMEM : TL_OK);
    tl_words_close(words);
    assert_int_equal(tl_alloc_live(), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_stay_while_it_grows),
      cmocka_unit_test(append_keeps_nulls_at_any_offset),
      cmocka_unit_test(cleared_rows_are_valid_again),
      cmocka_unit_test(dropping_a_head_moves_the_rest),
      cmocka_unit_test(move_leaves_an_empty_batch),
      cmocka_unit_test(sorting_is_stable),
      cmocka_unit_test(lower_bound_finds_the_first),
      cmocka_unit_test(equal_rows),
      cmocka_unit_test(memory_that_runs_out_changes_nothing),
      cmocka_unit_test(equal_texts_get_one_code),
      cmocka_unit_test(threads_share_a_pool),
      cmocka_unit_test(lists_come_apart_as_they_were_made),
      cmocka_unit_test(a_pool_without_memory_says_so),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
