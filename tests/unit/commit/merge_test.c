/* merge_test.c - new rows into old ones. The truth: a list with every old row struck out that a new one replaces. */
#include "commit/merge.h"

#include "tests/unit/commit/rows.h"

#include "base/alloc.h"
#include "base/fault.h"
#include "base/prng.h"

enum { MOST = 400, SLICES_MOST = 6, US = 1000 };
static tl_words *words;
static tl_prng prng;

typedef struct sink {
  tl_buf bytes;
  long calls, refuse;
} sink;

static tl_status put(void *to, const void *data, size_t len, tl_error *err) {
  sink *s = to;
  if (++s->calls == s->refuse) return tl_fail(err, TL_EIO, "refused");
  return tl_buf_append(&s->bytes, data, len, err);
}

typedef struct scene { /* what goes in */
  tl_kind kind;
  row old[MOST], fresh[MOST]; /* fresh: of all slices, one after the other */
  size_t old_count, fresh_count;
  size_t slice_begin[SLICES_MOST + 1]; /* of fresh */
  tl_range ranges[SLICES_MOST];
  size_t slice_count;
} scene;

typedef struct outcome {
  row *rows;
  size_t count;
  int64_t unchanged, removed;
} outcome;

static bool by_range(const scene *s) { return s->kind == TL_TRADES || s->kind == TL_QUOTES; }

/* Old rows come `step` at a time, as the engine gives them; each slice has a batch of its own. */
static tl_status merge_scene(const scene *s, size_t step, sink *to, tl_merge *merge, tl_error *err) {
  tl_batch batches[SLICES_MOST];
  tl_slice slices[SLICES_MOST];
  for (size_t i = 0; i < s->slice_count; i++) {
    size_t begin = s->slice_begin[i], end = s->slice_begin[i + 1];
    batches[i] = batch_of_rows(s->kind, words, s->fresh + begin, end - begin);
    slices[i] = (tl_slice){&batches[i], 0, end - begin, s->ranges[i]};
  }
  tl_parquet *writer = NULL;
  tl_parquet_options options = {.kind = s->kind, .words = words, .sink = put, .to = to};
  tl_parquet_summary summary;
  tl_status st = tl_parquet_open(&options, &writer, err);
  *merge = tl_merge_of(writer, slices, s->slice_count, by_range(s));
  for (size_t at = 0; !st && at < s->old_count; at += step) {
    size_t end = at + step < s->old_count ? at + step : s->old_count;
    tl_batch old = batch_of_rows(s->kind, words, s->old + at, end - at);
    st = tl_merge_old(merge, &old, err);
    tl_batch_deinit(&old);
  }
  if (!st) st = tl_merge_finish(merge, err);
  if (!st) st = tl_parquet_finish(writer, &summary, err);
  tl_parquet_close(writer);
  for (size_t i = 0; i < s->slice_count; i++) tl_batch_deinit(&batches[i]);
  return st;
}

static bool replaced(const scene *s, row old) {
  if (by_range(s)) {
    for (size_t i = 0; i < s->slice_count; i++)
      if (old.ns >= s->ranges[i].start_ns && old.ns < s->ranges[i].end_ns) return true;
    return false;
  }
  for (size_t i = 0; i < s->fresh_count; i++)
    if (s->fresh[i].ns == old.ns) return true;
  return false;
}

static bool stated_again(const scene *s, row old) {
  for (size_t i = 0; i < s->fresh_count; i++)
    if (s->fresh[i].ns == old.ns && s->fresh[i].value == old.value) return true;
  return false;
}

static outcome truth_of(const scene *s) {
  outcome o = {.rows = malloc(2 * MOST * sizeof(row))};
  for (size_t i = 0; i < s->old_count; i++) {
    if (!replaced(s, s->old[i])) o.rows[o.count++] = s->old[i];
    else if (stated_again(s, s->old[i])) o.unchanged++;
    else o.removed++;
  }
  for (size_t i = 0; i < s->fresh_count; i++) o.rows[o.count++] = s->fresh[i];
  for (size_t i = 1; i < o.count; i++) /* insertion keeps equal times in order */
    for (size_t at = i; at && o.rows[at - 1].ns > o.rows[at].ns; at--) {
      row swap = o.rows[at];
      o.rows[at] = o.rows[at - 1];
      o.rows[at - 1] = swap;
    }
  return o;
}

static void expect_truth(const scene *s, size_t step) {
  sink to = {0};
  tl_merge merge;
  tl_error err = {0};
  if (merge_scene(s, step, &to, &merge, &err)) fail_msg("%s", err.message);
  outcome want = truth_of(s);
  row *got;
  size_t count = rows_of_file(to.bytes.data, to.bytes.len, NULL, &got);
  expect_rows(got, count, want.rows, want.count);
  assert_int_equal(merge.unchanged, want.unchanged);
  assert_int_equal(merge.removed, want.removed);
  free(got);
  free(want.rows);
  tl_buf_deinit(&to.bytes);
}

/* Ascending instants in [from, from + span); unique ones for kinds that are merged by time. */
static size_t random_rows(row *out, size_t most, int64_t from, int64_t span, bool unique, int64_t values) {
  size_t count = 0, wanted = tl_prng_below(&prng, most + 1);
  int64_t at = from;
  while (count < wanted) {
    at += (int64_t)tl_prng_below(&prng, 4) + unique;
    if (at >= from + span) break;
    out[count++] = (row){at * US, (int64_t)tl_prng_below(&prng, (uint64_t)values)};
  }
  return count;
}

static scene random_scene(tl_kind kind) {
  scene s = {.kind = kind};
  bool unique = !by_range(&s);
  s.old_count = random_rows(s.old, MOST, (int64_t)tl_prng_below(&prng, 50), 400, unique, 3);
  s.slice_count = tl_prng_below(&prng, SLICES_MOST + 1);
  int64_t at = -20;
  for (size_t i = 0; i < s.slice_count; i++) {
    at += (int64_t)tl_prng_below(&prng, 60); /* 0: it touches the one before */
    int64_t span = 1 + (int64_t)tl_prng_below(&prng, 80);
    s.ranges[i] = (tl_range){at * US, (at + span) * US};
    s.slice_begin[i] = s.fresh_count;
    s.fresh_count += random_rows(s.fresh + s.fresh_count, 60, at, span, unique, 3);
    at += span;
  }
  s.slice_begin[s.slice_count] = s.fresh_count;
  return s;
}

static void random_rows_merge_as_the_naive_list_says(void **state) {
  (void)state;
  static const size_t steps[] = {1, 2, 7, 64, MOST};
  for (int round = 0; round < 600; round++) {
    scene s = random_scene((tl_kind)(round % TL_KIND_COUNT));
    expect_truth(&s, steps[(round / TL_KIND_COUNT) % 5]);
  }
}

static void old_rows_of_one_time_are_all_replaced_by_the_new_one(void **state) {
  (void)state; /* a foreign file may hold a bar twice */
  scene s = {.kind = TL_BARS, .old = {{1000, 1}, {2000, 1}, {2000, 2}, {3000, 1}}, .old_count = 4,
             .fresh = {{2000, 2}}, .fresh_count = 1, .slice_begin = {0, 1}, .ranges = {{0, 9000}}, .slice_count = 1};
  expect_truth(&s, 1);
  expect_truth(&s, 4);
}

static void an_empty_slice_of_ticks_removes_its_range_and_one_of_bars_nothing(void **state) {
  (void)state;
  scene s = {.kind = TL_TRADES, .old = {{1000, 1}, {2000, 1}, {3000, 1}}, .old_count = 3, .slice_begin = {0, 0},
             .ranges = {{2000, 3000}}, .slice_count = 1};
  sink to = {0};
  tl_merge merge;
  row *got;
  assert_int_equal(merge_scene(&s, 3, &to, &merge, NULL), TL_OK);
  size_t count = rows_of_file(to.bytes.data, to.bytes.len, NULL, &got);
  expect_rows(got, count, (row[]){{1000, 1}, {3000, 1}}, 2);
  assert_int_equal(merge.removed, 1);
  free(got);
  to.bytes.len = 0;
  s.kind = TL_BARS;
  assert_int_equal(merge_scene(&s, 3, &to, &merge, NULL), TL_OK);
  count = rows_of_file(to.bytes.data, to.bytes.len, NULL, &got);
  expect_rows(got, count, s.old, 3);
  assert_int_equal(merge.removed, 0);
  free(got);
  tl_buf_deinit(&to.bytes);
}

static void ticks_of_one_instant_stay_in_the_vendors_order(void **state) {
  (void)state;
  scene s = {.kind = TL_TRADES, .old = {{1000, 9}, {2000, 8}}, .old_count = 2,
             .fresh = {{1000, 3}, {1000, 1}, {1000, 2}}, .fresh_count = 3, .slice_begin = {0, 3}, .ranges = {{1000, 1001}},
             .slice_count = 1};
  expect_truth(&s, 2);
}

static void a_sink_that_refuses_ends_the_merge_with_its_error(void **state) {
  (void)state;
  scene s = random_scene(TL_TRADES);
  while (s.old_count < 50 || !s.fresh_count) s = random_scene(TL_TRADES);
  for (long refuse = 1;; refuse++) {
    sink to = {.refuse = refuse};
    tl_merge merge;
    tl_error err = {0};
    tl_status st = merge_scene(&s, 20, &to, &merge, &err);
    tl_buf_deinit(&to.bytes);
    if (to.calls < refuse) {
      assert_int_equal(st, TL_OK);
      assert_true(refuse > 1);
      return;
    }
    assert_int_equal(st, TL_EIO);
    assert_string_equal(err.message, "refused");
  }
}

int main(void) {
  prng = tl_prng_init(20240301);
  if (tl_words_open(&words, NULL)) return 1;
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(random_rows_merge_as_the_naive_list_says),
    cmocka_unit_test(old_rows_of_one_time_are_all_replaced_by_the_new_one),
    cmocka_unit_test(an_empty_slice_of_ticks_removes_its_range_and_one_of_bars_nothing),
    cmocka_unit_test(ticks_of_one_instant_stay_in_the_vendors_order),
    cmocka_unit_test(a_sink_that_refuses_ends_the_merge_with_its_error),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  tl_words_close(words);
  return failed || tl_alloc_live() != 0;
}
