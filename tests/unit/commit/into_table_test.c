/* Groups committed into open tables: what the tables hold is held against a naive list. */
#include "tests/unit/commit/lake.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>

#include "base/fault.h"
#include "base/prng.h"
#include "engine/link.h"
#include "table/dataset_table.h"

enum { SYMBOLS = 3, HELD_MOST = 6000, GROUPS_EACH = 6, PIECES_MOST = 12, ROWS_MOST = 900 };
#define HOUR (INT64_C(3600) * 1000000000)
static const char *const names[SYMBOLS] = {"A", "B/C", "it's"};

#include "tests/unit/commit/model.h"

/* ---- the table, read ---- */

static tl_relation *open_table(const lake *l) {
  tl_relation *table = NULL;
  tl_error err = {0};
  if (tl_dataset_table_open(l->path, &l->dataset, &(tl_relation_options){.read_only = true}, &table, &err)) fail_msg("%s", err.message);
  return table;
}

typedef struct reader {
  const model *want;
  size_t symbol, at;
} reader;

static int64_t number(const tl_cell *cell) {
  char digits[32];
  snprintf(digits, sizeof digits, "%.*s", (int)cell->len, cell->text);
  return strtoll(digits, NULL, 10);
}

static tl_status take(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  (void)err;
  reader *r = to;
  assert_int_equal(count, 5);
  while (r->symbol < SYMBOLS && r->at == r->want->count[r->symbol]) {
    r->symbol++;
    r->at = 0;
  }
  assert_true(r->symbol < SYMBOLS);
  const row *want = &r->want->rows[r->symbol][r->at++];
  assert_int_equal(cells[0].len, strlen(names[r->symbol]));
  assert_memory_equal(cells[0].text, names[r->symbol], cells[0].len);
  assert_int_equal(number(&cells[1]), want->ns);
  assert_int_equal(number(&cells[2]), want->value);
  if (want->value % 7 == 0) assert_null(cells[3].text); /* see batch_of_rows */
  else assert_int_equal(number(&cells[3]), want->value * 10 + number(&cells[4]));
  return TL_OK;
}

static void expect_table(const lake *l, const model *m) {
  bool ticks = l->dataset.kind == TL_TRADES;
  tl_relation *table = open_table(l);
  tl_engine *engine = NULL;
  tl_link *link = NULL;
  tl_buf sql = {0};
  tl_error err = {0};
  reader r = {.want = m};
  assert_int_equal(tl_buf_appendf(&sql, &err, "SELECT symbol, CAST(%s AS VARCHAR), CAST(CAST(%s AS BIGINT) AS VARCHAR), CAST(%s AS VARCHAR), '%d' FROM (",
                                  ticks ? "timestamp_ns" : "epoch_us(timestamp) * 1000", ticks ? "price" : "open", ticks ? "size" : "volume",
                                  ticks ? TL_TRADES_SIZE : TL_BARS_VOLUME), TL_OK);
  if (tl_relation_sql_placed(table, NULL, NULL, &sql, &err)) fail_msg("%s", err.message);
  assert_int_equal(tl_buf_appendf(&sql, &err, ") ORDER BY symbol, timestamp%s, \"tl#file\", \"tl#row\"", ticks ? "_ns" : ""), TL_OK);
  assert_int_equal(tl_engine_open(NULL, &engine, &err), TL_OK);
  assert_int_equal(tl_link_open(engine, &link, &err), TL_OK);
  if (tl_link_rows(link, sql.data, take, &r, &err)) fail_msg("%s", err.message);
  while (r.symbol < SYMBOLS && r.at == m->count[r.symbol]) {
    r.symbol++;
    r.at = 0;
  }
  assert_int_equal(r.symbol, SYMBOLS); /* all of them came */
  tl_link_close(link);
  tl_engine_close(engine);
  tl_relation_close(table);
  tl_buf_deinit(&sql);
}

static void expect_no_staged_files(const lake *l) {
  char folder[96];
  tl_io_names found = {0};
  snprintf(folder, sizeof folder, "%s/_ticklake", l->path);
  assert_int_equal(tl_io_list(folder, &found, NULL), TL_OK);
  for (size_t i = 0; i < found.count; i++) assert_null(strstr(found.names[i], ".stage."));
  tl_io_names_deinit(&found);
}

/* ---- tests ---- */

/* Pieces of up to ten days from the middle of January to the middle of March, on hours, so that instants meet again. */
static void random_groups(tl_layout layout, const char *kind, uint64_t seed) {
  static model m;
  m = (model){.changed = 0};
  lake l;
  lake_make(&l, layout, kind);
  must_open(&l);
  tl_prng prng = tl_prng_init(seed);
  bool by_range = l.dataset.kind == TL_TRADES;
  for (int g = 0; g < GROUPS_EACH; g++) {
    tl_piece pieces[PIECES_MOST];
    size_t count = 0;
    for (size_t s = 0; s < SYMBOLS; s++) {
      int64_t at = JAN_1 / HOUR + 15 * 24 + (int64_t)tl_prng_below(&prng, 480);
      for (size_t p = 0; p < PIECES_MOST / SYMBOLS && tl_prng_below(&prng, 4); p++) {
        static row rows[ROWS_MOST];
        int64_t begin = at + (int64_t)tl_prng_below(&prng, 100), end = begin + 1 + (int64_t)tl_prng_below(&prng, 240);
        size_t n = 0;
        for (int64_t h = begin; h < end; h++)
          for (uint64_t times = tl_prng_below(&prng, by_range ? 3 : 2); times; times--)
            rows[n++] = (row){h * HOUR, 1 + (int64_t)tl_prng_below(&prng, by_range ? 900 : 3)};
        tl_range range = {begin * HOUR, end * HOUR};
        model_take(&m, s, by_range, range, rows, n);
        pieces[count++] = piece_of(&l, names[s], range, rows, n);
        at = end;
      }
    }
    for (size_t i = count; i > 1; i--) { /* they end in any order */
      size_t j = tl_prng_below(&prng, i);
      tl_piece swap = pieces[j];
      pieces[j] = pieces[i - 1];
      pieces[i - 1] = swap;
    }
    if (count) must_commit(&l, pieces, count);
    if (m.count[0] + m.count[1] + m.count[2]) expect_table(&l, &m);
    if (!by_range) assert_int_equal(totals_of(&l).rows, m.changed);
    expect_no_staged_files(&l);
  }
  lake_close(&l);
  lake_remove(&l);
}

static void random_groups_leave_what_a_naive_list_holds(void **state) {
  (void)state;
  uint64_t seed = 1;
  for (tl_layout layout = TL_LAYOUT_DELTA; layout <= TL_LAYOUT_DELTA_ICEBERG; layout++) {
    random_groups(layout, "trades", seed++);
    random_groups(layout, "1m", seed++);
  }
}

static void the_same_again_commits_nothing(void **state) {
  (void)state;
  static const char *const kinds[] = {"1m", "trades"};
  for (int k = 0; k < 2; k++) {
    lake l;
    lake_make(&l, TL_LAYOUT_DELTA, kinds[k]);
    must_open(&l);
    row rows[5] = {{JAN_1, 1}, {JAN_1 + HOUR, 2}, {JAN_1 + HOUR * 2, 3}, {JAN_1 + DAY_NS * 40, 4}, {JAN_1 + DAY_NS * 40 + HOUR, 5}};
    tl_range range = {JAN_1, JAN_1 + 60 * DAY_NS};
    for (int round = 0; round < 3; round++) {
      if (round == 2) rows[1].value = 6;
      tl_piece piece = piece_of(&l, "A", range, rows, 5);
      must_commit(&l, &piece, 1);
      tl_relation *table = open_table(&l);
      assert_int_equal(tl_relation_snapshot(table)->version, round < 2 ? 1 : 2); /* version 0 made the table */
      assert_int_equal(totals_of(&l).rows, round < 2 ? 5 : 6);
      assert_int_equal(totals_of(&l).files, round < 2 ? 2 : k ? 4 : 3); /* two months; then what changed, and of ticks all that was given */
      assert_true(!strncmp(tl_commit_file(l.commit, 0), l.dataset.name, strlen(l.dataset.name)));
      tl_relation_close(table);
    }
    int64_t counted = 0;
    assert_int_equal(state_of(&l, "A", range, &counted), TL_COVER_PRESENT);
    assert_int_equal(counted, 5);
    lake_close(&l);
    lake_remove(&l);
  }
}

static void nothing_to_write_makes_no_table(void **state) {
  (void)state;
  lake l;
  lake_make(&l, TL_LAYOUT_ICEBERG, "trades");
  must_open(&l);
  tl_range range = {JAN_1, JAN_1 + DAY_NS};
  tl_piece pieces[] = {piece_of(&l, "A", range, NULL, 0), piece_of(&l, "B", range, NULL, 0)};
  pieces[1].state = TL_COVER_FAILED;
  must_commit(&l, pieces, 2);
  assert_int_equal(state_at(&l, "A", JAN_1), TL_COVER_EMPTY);
  assert_int_equal(state_at(&l, "B", JAN_1), TL_COVER_FAILED);
  assert_int_equal(totals_of(&l).files + totals_of(&l).rows, 0);
  tl_relation *table = NULL;
  assert_int_equal(tl_dataset_table_open(l.path, &l.dataset, NULL, &table, NULL), TL_ENOTFOUND);
  lake_close(&l);
  lake_remove(&l);
}

static void a_failed_range_keeps_its_rows_and_an_empty_one_loses_them(void **state) {
  (void)state;
  static model m;
  lake l;
  lake_make(&l, TL_LAYOUT_DELTA_ICEBERG, "trades");
  must_open(&l);
  row rows[3] = {{JAN_1, 1}, {JAN_1, 2}, {JAN_1 + HOUR, 3}};
  tl_range range = {JAN_1, JAN_1 + DAY_NS};
  tl_piece first[] = {piece_of(&l, "A", range, rows, 3), piece_of(&l, "B/C", range, rows, 3)};
  must_commit(&l, first, 2);
  tl_piece second[] = {piece_of(&l, "A", range, NULL, 0), piece_of(&l, "B/C", (tl_range){JAN_1, JAN_1 + 1}, NULL, 0)};
  second[0].state = TL_COVER_FAILED;
  must_commit(&l, second, 2);
  m = (model){.changed = 0};
  model_take(&m, 0, true, range, rows, 3);
  model_take(&m, 1, true, range, rows + 2, 1);
  expect_table(&l, &m);
  lake_close(&l);
  lake_remove(&l);
}

static void a_table_with_other_faces_is_refused(void **state) {
  (void)state;
  lake l;
  lake_make(&l, TL_LAYOUT_ICEBERG, "1m");
  tl_relation *table = NULL;
  tl_error err = {0};
  if (tl_dataset_table_make(l.path, TL_LAYOUT_DELTA, &l.dataset, NULL, &table, &err)) fail_msg("%s", err.message);
  tl_relation_close(table);
  must_open(&l);
  row rows[1] = {{JAN_1, 1}};
  tl_piece piece = piece_of(&l, "A", (tl_range){JAN_1, JAN_1 + DAY_NS}, rows, 1);
  assert_int_equal(tl_commit_group(l.commit, &piece, 1, &err), TL_EUSAGE);
  assert_true(strstr(err.message, "delta") && strstr(err.message, "iceberg") && strstr(err.message, "equities_1min"));
  assert_int_equal(state_at(&l, "A", JAN_1), TL_COVER_MISSING);
  tl_piece_deinit(&piece);
  lake_close(&l);
  lake_remove(&l);
}

static void datasets_are_the_folders_with_a_log(void **state) {
  (void)state;
  static const tl_layout layouts[] = {TL_LAYOUT_DELTA_ICEBERG, TL_LAYOUT_DELTA, TL_LAYOUT_ICEBERG};
  static const char *const kinds[] = {"1m", "trades", "raw-quotes"};
  lake l;
  lake_make(&l, TL_LAYOUT_DELTA, "1m");
  tl_table_datasets found = {0};
  tl_layout layout = TL_LAYOUT_FLAT;
  tl_error err = {0};
  assert_int_equal(tl_dataset_tables_list(l.path, NULL, &found, &layout, &err), TL_OK);
  assert_int_equal(found.count, 0);
  assert_int_equal(layout, TL_LAYOUT_FLAT);
  for (int i = 0; i < 3; i++) {
    tl_job_kind job;
    tl_relation *table = NULL;
    assert_int_equal(tl_job_kind_parse(kinds[i], NULL, &job, NULL), TL_OK);
    if (tl_dataset_table_make(l.path, layouts[i], &job.dataset, NULL, &table, &err)) fail_msg("%s", err.message);
    assert_string_equal(tl_relation_faces(table), tl_layout_name(layouts[i]));
    tl_relation_close(table);
  }
  char other[96];
  snprintf(other, sizeof other, "%s/equities_5min", l.path);
  assert_int_equal(tl_io_mkdirs(other, NULL), TL_OK);
  assert_int_equal(tl_dataset_tables_list(l.path, NULL, &found, &layout, &err), TL_OK);
  assert_int_equal(found.count, 3);
  assert_string_equal(found.items[0].name, "equities_1min");
  assert_string_equal(found.items[1].name, "quotes");
  assert_string_equal(found.items[2].name, "trades");
  assert_int_equal(layout, TL_LAYOUT_DELTA_ICEBERG);
  tl_table_datasets_deinit(&found);
  lake_remove(&l);
}

/* ---- a call fails ---- */

typedef struct arming {
  tl_seam seam;
  long n;
} arming;
static arming armed;
enum { STRIKES = 8 }; /* of each seam, spread over the calls of one group */

static tl_status commit_two(lake *l, tl_error *err) {
  row rows[4] = {{JAN_1, 1}, {JAN_1 + HOUR, 2}, {JAN_1 + 40 * DAY_NS, 3}, {JAN_1 + 41 * DAY_NS, 4}};
  tl_range range = {JAN_1, JAN_1 + 60 * DAY_NS};
  tl_status st = lake_open(l, 1, err);
  if (st) return st;
  tl_piece pieces[] = {piece_of(l, names[0], range, rows, 4), piece_of(l, names[1], range, rows + 1, 2)};
  tl_fault_arm(armed.seam, armed.n, TL_FAULT_ERROR, EIO);
  st = tl_commit_group(l->commit, pieces, 2, err);
  for (size_t i = 0; i < 2; i++) tl_piece_deinit(&pieces[i]);
  return st;
}

static void expect_two(const lake *l) {
  static model m;
  row rows[4] = {{JAN_1, 1}, {JAN_1 + HOUR, 2}, {JAN_1 + 40 * DAY_NS, 3}, {JAN_1 + 41 * DAY_NS, 4}};
  tl_range range = {JAN_1, JAN_1 + 60 * DAY_NS};
  m = (model){.changed = 0};
  model_take(&m, 0, true, range, rows, 4);
  model_take(&m, 1, true, range, rows + 1, 2);
  expect_table(l, &m);
}

/* The n-th call of the group fails: an error with words, nothing leaked; the next run makes it whole. */
static bool strike(tl_layout layout, const char *kind, tl_seam seam, long n) {
  int64_t live = tl_alloc_live();
  lake l;
  tl_error err = {0};
  lake_make(&l, layout, kind);
  armed = (arming){seam, n};
  tl_status st = commit_two(&l, &err);
  bool fired = tl_fault_disarm();
  if (st && !fired) fail_msg("without a fault: %s", err.message);
  if (st && !err.message[0]) fail_msg("fault %ld gave no message", n);
  lake_close(&l);
  armed.n = LONG_MAX;
  if (commit_two(&l, &err)) fail_msg("after fault %ld: %s", n, err.message);
  tl_fault_disarm();
  expect_two(&l);
  assert_int_equal(state_at(&l, names[0], JAN_1), TL_COVER_PRESENT);
  expect_no_staged_files(&l);
  lake_close(&l);
  lake_remove(&l);
  if (tl_alloc_live() != live) fail_msg("fault %ld left %lld blocks", n, (long long)(tl_alloc_live() - live));
  return fired;
}

static void sweep(tl_layout layout, const char *kind, tl_seam seam) {
  lake l;
  tl_error err = {0};
  lake_make(&l, layout, kind);
  armed = (arming){seam, LONG_MAX};
  if (commit_two(&l, &err)) fail_msg("%s", err.message);
  long calls = tl_fault_calls();
  tl_fault_disarm();
  lake_close(&l);
  lake_remove(&l);
  assert_true(calls > STRIKES);
  for (long i = 0; i < STRIKES; i++) assert_true(strike(layout, kind, seam, 1 + i * (calls - 1) / (STRIKES - 1) - (i == STRIKES - 1 ? 2 : 0)));
}

static void failing_allocations_are_reported_and_healed(void **state) {
  (void)state;
  sweep(TL_LAYOUT_DELTA, "trades", TL_SEAM_ALLOC);
  sweep(TL_LAYOUT_ICEBERG, "1m", TL_SEAM_ALLOC);
}

static void failing_disk_calls_are_reported_and_healed(void **state) {
  (void)state;
  sweep(TL_LAYOUT_DELTA_ICEBERG, "trades", TL_SEAM_DISK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(random_groups_leave_what_a_naive_list_holds),
    cmocka_unit_test(the_same_again_commits_nothing),
    cmocka_unit_test(nothing_to_write_makes_no_table),
    cmocka_unit_test(a_failed_range_keeps_its_rows_and_an_empty_one_loses_them),
    cmocka_unit_test(a_table_with_other_faces_is_refused),
    cmocka_unit_test(failing_allocations_are_reported_and_healed),
    cmocka_unit_test(failing_disk_calls_are_reported_and_healed),
    cmocka_unit_test(datasets_are_the_folders_with_a_log),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
