/* adopt_test.c - lakes made by others become ours without losing or doubling a row. The lakes are ours with their names
 * changed and the ledger taken away. */
#include "run/job.h"

#include "tests/unit/commit/lake.h"

#include "parquet/writer.h"

#define HOUR (INT64_C(3600) * 1000000000)
#define FEB_1 (JAN_1 + 31 * DAY_NS)

typedef struct verdicts {
  int adopted, unreadable;
} verdicts;

static int see(void *user, const tl_audit_row *of) {
  verdicts *v = user;
  v->adopted += !strcmp(of->verdict, "adopted");
  v->unreadable += !strcmp(of->verdict, "unreadable");
  return 0;
}

static verdicts adopt(const lake *l) {
  tl_run_lake run = {.path = (char *)(uintptr_t)l->path};
  tl_import_options options = {.size = sizeof options};
  tl_error err = {0};
  verdicts v = {0};
  if (tl_store_open(l->path, NULL, &run.store, &err)) fail_msg("%s", err.message);
  if (tl_run_adopt(&run, &options, see, &v, &err)) fail_msg("%s", err.message);
  tl_store_close(run.store);
  return v;
}

/* Commits rows as a file of ours, then gives it a name of others: from and to are relative to the lake. */
static void plant(lake *l, const row *rows, size_t count, const char *to) {
  must_open(l);
  tl_piece piece = piece_of(l, "A", (tl_range){rows[0].ns, rows[count - 1].ns + 1}, rows, count);
  must_commit(l, &piece, 1);
  lake_close(l);
  char path[160], from_full[256], to_full[256];
  path_of(l, "A", rows[0].ns, path);
  snprintf(from_full, sizeof from_full, "%s/%s", l->path, path);
  snprintf(to_full, sizeof to_full, "%s/%s", l->path, to);
  assert_int_equal(tl_io_mkdir_parents(to_full, NULL), TL_OK);
  assert_int_equal(rename(from_full, to_full), 0);
  snprintf(from_full, sizeof from_full, "%s/_ticklake", l->path);
  nftw(from_full, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

typedef struct target {
  int fd;
} target;

static tl_status put(void *to, const void *data, size_t len, tl_error *err) {
  return tl_io_write(((target *)to)->fd, "planted file", data, len, err);
}

/* The same for rows that no commit of ours would put into one file. */
static void plant_file(lake *l, const row *rows, size_t count, const char *to) {
  char path[256];
  target planted;
  snprintf(path, sizeof path, "%s/%s", l->path, to);
  assert_int_equal(tl_io_mkdir_parents(path, NULL), TL_OK);
  assert_int_equal(tl_io_open(path, O_WRONLY | O_CREAT, 0644, &planted.fd, NULL), TL_OK);
  assert_int_equal(tl_words_open(&l->words, NULL), TL_OK);
  tl_batch batch = batch_of_rows(l->dataset.kind, l->words, rows, count);
  tl_parquet_options options = {.kind = l->dataset.kind, .words = l->words, .symbol = l->layout == TL_LAYOUT_FLAT ? "A" : NULL, .sink = put, .to = &planted};
  tl_parquet *writer = NULL;
  tl_parquet_summary summary;
  assert_int_equal(tl_parquet_open(&options, &writer, NULL), TL_OK);
  assert_int_equal(tl_parquet_write(writer, &batch, 0, count, NULL), TL_OK);
  assert_int_equal(tl_parquet_finish(writer, &summary, NULL), TL_OK);
  tl_parquet_close(writer);
  tl_batch_deinit(&batch);
  tl_io_close(planted.fd, path, NULL);
  lake_close(l);
}

static void expect_adopted(lake *l, int files) {
  verdicts v = adopt(l);
  assert_int_equal(v.adopted, files);
  assert_int_equal(v.unreadable, 0);
  must_open(l);
  assert_int_equal(count_files(l), files);
  expect_recorded(l);
}

static void ticks_after_midnight_utc_survive_the_turn_of_the_month(void **state) {
  (void)state; /* 19:30 in New York on 31 January is February in UTC; the day has rows in both files */
  static const char *const names[][2] = {
    {"trades/symbol=A/year=2024/month=1/data_0.parquet", "trades/symbol=A/year=2024/month=2/data_0.parquet"},
    {"trades/symbol=A/year=2024/month=01/data.parquet", "trades/symbol=A/year=2024/month=02/data.parquet"},
  };
  for (size_t i = 0; i < 2; i++) {
    lake l;
    lake_make(&l, TL_LAYOUT_HIVE, "trades");
    row january[] = {{FEB_1 - 5 * HOUR, 1}, {FEB_1 - 1, 2}}, february[] = {{FEB_1 + HOUR / 2, 3}, {FEB_1 + 15 * HOUR, 4}};
    plant(&l, january, 2, names[i][0]);
    plant(&l, february, 2, names[i][1]);
    expect_adopted(&l, 2);
    expect_file(&l, "A", JAN_1, january, 2);
    expect_file(&l, "A", FEB_1, february, 2);
    assert_int_equal(state_at(&l, "A", FEB_1 - 1), TL_COVER_PRESENT);
    assert_int_equal(state_at(&l, "A", FEB_1 + HOUR), TL_COVER_PRESENT);
    assert_int_equal(state_at(&l, "A", FEB_1 + 3 * DAY_NS), TL_COVER_MISSING); /* not claimed: nobody knows */
    lake_close(&l);
    expect_adopted(&l, 2); /* again: nothing changes */
    expect_file(&l, "A", JAN_1, january, 2);
    expect_file(&l, "A", FEB_1, february, 2);
    lake_close(&l);
    lake_remove(&l);
  }
}

static void months_of_new_york_become_months_of_utc(void **state) {
  (void)state; /* others cut their files by the local date: January's holds rows of February in UTC */
  static const struct { tl_layout layout; const char *january, *february; } names[] = {
    {TL_LAYOUT_HIVE, "trades/symbol=A/year=2024/month=1/data_0.parquet", "trades/symbol=A/year=2024/month=2/data_0.parquet"},
    {TL_LAYOUT_HIVE, "trades/symbol=A/year=2024/month=01/data.parquet", "trades/symbol=A/year=2024/month=02/data.parquet"},
    {TL_LAYOUT_FLAT, "trades/A.2024-01.parquet", "trades/A.2024-02.parquet"},
  };
  for (size_t i = 0; i < 3; i++) {
    lake l;
    lake_make(&l, names[i].layout, "trades");
    row all[] = {{FEB_1 - 5 * HOUR, 1}, {FEB_1 + HOUR / 2, 2}, {FEB_1 + 15 * HOUR, 3}};
    plant(&l, all + 2, 1, names[i].february);
    plant_file(&l, all, 2, names[i].january);
    expect_adopted(&l, 2);
    expect_file(&l, "A", JAN_1, all, 1);
    expect_file(&l, "A", FEB_1, all + 1, 2);
    lake_close(&l);
    lake_remove(&l);
  }
}

static void several_files_of_a_month_become_one_without_duplicates(void **state) {
  (void)state;
  lake l;
  lake_make(&l, TL_LAYOUT_HIVE, "1m");
  row first[] = {{JAN_1 + 15 * HOUR, 1}, {JAN_1 + 16 * HOUR, 2}}, second[] = {{JAN_1 + 16 * HOUR, 3}, {JAN_1 + 17 * HOUR, 4}};
  plant(&l, first, 2, "equities_1min/symbol=A/year=2024/month=1/data_0.parquet");
  plant(&l, second, 2, "equities_1min/symbol=A/year=2024/month=1/data_1.parquet");
  expect_adopted(&l, 1);
  expect_file(&l, "A", JAN_1, (row[]){{JAN_1 + 15 * HOUR, 1}, {JAN_1 + 16 * HOUR, 3}, {JAN_1 + 17 * HOUR, 4}}, 3);
  lake_close(&l);
  lake_remove(&l);

  lake_make(&l, TL_LAYOUT_HIVE, "trades"); /* ticks of one instant stay, the same tick in two files does not */
  row ticks[] = {{JAN_1 + 15 * HOUR, 1}, {JAN_1 + 15 * HOUR, 2}}, again[] = {{JAN_1 + 15 * HOUR, 2}, {JAN_1 + 15 * HOUR, 5}};
  plant(&l, ticks, 2, "trades/symbol=A/year=2024/month=1/data_0.parquet");
  plant(&l, again, 2, "trades/symbol=A/year=2024/month=1/data_1.parquet");
  expect_adopted(&l, 1);
  row *rows;
  assert_int_equal(rows_in(&l, "A", JAN_1, &rows), 3);
  free(rows);
  lake_close(&l);
  lake_remove(&l);
}

static void long_bars_are_known_bar_by_bar(void **state) {
  (void)state;
  lake l;
  lake_make(&l, TL_LAYOUT_HIVE, "1w");
  row weeks[] = {{JAN_1 + 5 * HOUR, 1}, {JAN_1 + 28 * DAY_NS + 5 * HOUR, 2}}; /* Mondays of New York; the second ends in February */
  plant(&l, weeks, 2, "equities_1week/symbol=A/year=2024/month=1/data_0.parquet");
  expect_adopted(&l, 1);
  expect_file(&l, "A", JAN_1, weeks, 2);
  assert_int_equal(state_at(&l, "A", JAN_1 + 6 * DAY_NS), TL_COVER_PRESENT);
  assert_int_equal(state_at(&l, "A", JAN_1 + 8 * DAY_NS), TL_COVER_MISSING); /* nobody knows of the weeks between */
  assert_int_equal(state_at(&l, "A", FEB_1 + 2 * DAY_NS), TL_COVER_PRESENT);
  lake_close(&l);
  lake_remove(&l);
}

static void a_flat_lake_is_adopted_as_it_is(void **state) {
  (void)state;
  lake l;
  lake_make(&l, TL_LAYOUT_FLAT, "1m");
  row rows[] = {{JAN_1 + 15 * HOUR, 1}};
  plant(&l, rows, 1, "bars/1m/A.2024-01.parquet");
  expect_adopted(&l, 1);
  expect_file(&l, "A", JAN_1, rows, 1);
  lake_close(&l);
  lake_remove(&l);
}

static void a_file_that_cannot_be_read_is_left_and_named(void **state) {
  (void)state;
  lake l;
  lake_make(&l, TL_LAYOUT_FLAT, "1m");
  row rows[] = {{JAN_1 + 15 * HOUR, 1}};
  plant(&l, rows, 1, "bars/1m/A.2024-01.parquet");
  char full[160], *content;
  snprintf(full, sizeof full, "%s/bars/1m/B.2024-01.parquet", l.path);
  int fd = open(full, O_WRONLY | O_CREAT, 0644);
  assert_true(write(fd, "not parquet", 11) == 11);
  close(fd);
  verdicts v = adopt(&l);
  assert_int_equal(v.adopted, 1);
  assert_int_equal(v.unreadable, 1);
  assert_int_equal(slurp(&l, "bars/1m/B.2024-01.parquet", &content), 11);
  free(content);
  lake_remove(&l);
}

static void there_must_be_something_to_adopt(void **state) {
  (void)state;
  lake l;
  lake_make(&l, TL_LAYOUT_FLAT, "1m");
  tl_run_lake run = {.path = l.path};
  tl_import_options options = {.size = sizeof options};
  verdicts v = {0};
  tl_error err = {0};
  assert_int_equal(tl_store_open(l.path, NULL, &run.store, NULL), TL_OK);
  assert_int_equal(tl_run_adopt(&run, &options, see, &v, &err), TL_ENOTFOUND);
  tl_store_close(run.store);
  assert_true(err.message[0]);
  lake_remove(&l);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(ticks_after_midnight_utc_survive_the_turn_of_the_month),
    cmocka_unit_test(months_of_new_york_become_months_of_utc),
    cmocka_unit_test(several_files_of_a_month_become_one_without_duplicates),
    cmocka_unit_test(long_bars_are_known_bar_by_bar),
    cmocka_unit_test(a_flat_lake_is_adopted_as_it_is),
    cmocka_unit_test(a_file_that_cannot_be_read_is_left_and_named),
    cmocka_unit_test(there_must_be_something_to_adopt),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return failed || tl_alloc_live() != 0;
}
