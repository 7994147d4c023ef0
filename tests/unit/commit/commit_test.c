/* commit_test.c - groups of pieces into a lake: files, ledger, faults, and several committers at once.
 * The truth: rows listed by hand, files read by parquet_reader.h, sums of xxhash over the whole file. */
#include "tests/unit/commit/lake.h"

#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>

#include "base/fault.h"
#include "base/prng.h"

static const tl_layout layouts[] = {TL_LAYOUT_HIVE, TL_LAYOUT_FLAT};
#define MINUTE (INT64_C(60) * 1000000000)
#define FEB_1 (JAN_1 + 31 * DAY_NS)
#define MAR_1 (JAN_1 + 60 * DAY_NS)

static size_t minutes(row *out, int64_t from, size_t count, int64_t value) {
  for (size_t i = 0; i < count; i++) out[i] = (row){from + (int64_t)i * MINUTE, value};
  return count;
}

static void a_piece_over_months_becomes_a_file_a_month(void **state) {
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    lake l;
    lake_make(&l, layouts[i], "1m");
    must_open(&l);
    row rows[] = {{JAN_1, 1}, {FEB_1 - MINUTE, 2}, {FEB_1, 3}, {MAR_1 + MINUTE, 4}};
    tl_piece pieces[] = {piece_of(&l, "AAPL", (tl_range){JAN_1, MAR_1 + DAY_NS}, rows, 4),
                         piece_of(&l, "BRK.B", (tl_range){JAN_1, FEB_1}, rows, 1),
                         piece_of(&l, "GONE", (tl_range){JAN_1, FEB_1}, NULL, 0)};
    must_commit(&l, pieces, 3);
    expect_file(&l, "AAPL", JAN_1, rows, 2);
    expect_file(&l, "AAPL", FEB_1, rows + 2, 1);
    expect_file(&l, "AAPL", MAR_1, rows + 3, 1);
    expect_file(&l, "BRK.B", JAN_1, rows, 1);
    assert_int_equal(count_files(&l), 4);
    expect_recorded(&l);
    int64_t known;
    assert_int_equal(state_of(&l, "AAPL", (tl_range){JAN_1, MAR_1 + DAY_NS}, &known), TL_COVER_PRESENT);
    assert_int_equal(known, 4);
    assert_int_equal(state_at(&l, "GONE", JAN_1), TL_COVER_EMPTY);
    assert_int_equal(state_at(&l, "GONE", FEB_1), TL_COVER_MISSING);
    assert_int_equal(totals_of(&l).rows, 5);
    assert_int_equal(totals_of(&l).files, 4);
    char path[160];
    path_of(&l, "AAPL", JAN_1, path);
    assert_string_equal(tl_commit_file(l.commit, 0), path);
    assert_null(tl_commit_file(l.commit, 4));
    lake_close(&l);
    lake_remove(&l);
  }
}

static void symbols_that_are_paths_stay_inside_the_lake(void **state) {
  (void)state;
  lake l;
  lake_make(&l, TL_LAYOUT_HIVE, "1m");
  must_open(&l);
  row rows[] = {{JAN_1, 1}};
  tl_piece pieces[] = {piece_of(&l, "../x", (tl_range){JAN_1, FEB_1}, rows, 1), piece_of(&l, "BTC/USD", (tl_range){JAN_1, FEB_1}, rows, 1)};
  must_commit(&l, pieces, 2);
  char *bytes;
  assert_true(slurp(&l, "equities_1min/symbol=..%2Fx/year=2024/month=01/data.parquet", &bytes) > 0);
  free(bytes);
  assert_true(slurp(&l, "equities_1min/symbol=BTC%2FUSD/year=2024/month=01/data.parquet", &bytes) > 0);
  free(bytes);
  lake_close(&l);
  lake_remove(&l);
}

static void bars_merge_by_time_and_equal_rows_change_nothing(void **state) {
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    lake l;
    lake_make(&l, layouts[i], "1m");
    must_open(&l);
    row rows[20];
    minutes(rows, JAN_1, 10, 1);
    tl_piece piece = piece_of(&l, "AAPL", (tl_range){JAN_1, JAN_1 + 10 * MINUTE}, rows, 10);
    must_commit(&l, &piece, 1);
    assert_int_equal(totals_of(&l).rows, 10);

    minutes(rows + 5, JAN_1 + 5 * MINUTE, 15, 1); /* five rows known, ten new */
    rows[7].value = 2;                            /* one of them corrected */
    piece = piece_of(&l, "AAPL", (tl_range){JAN_1 + 5 * MINUTE, JAN_1 + 20 * MINUTE}, rows + 5, 15);
    must_commit(&l, &piece, 1);
    expect_file(&l, "AAPL", JAN_1, rows, 20);
    assert_int_equal(totals_of(&l).rows, 10 + 11);
    assert_int_equal(totals_of(&l).files, 1); /* one file, written twice */
    expect_recorded(&l);
    lake_close(&l);

    char path[160], full[256];
    path_of(&l, "AAPL", JAN_1, path);
    snprintf(full, sizeof full, "%s/%s", l.path, path);
    struct stat old, now;
    assert_int_equal(stat(full, &old), 0);
    must_open(&l);
    piece = piece_of(&l, "AAPL", (tl_range){JAN_1, JAN_1 + 20 * MINUTE}, rows, 20);
    must_commit(&l, &piece, 1);
    assert_int_equal(stat(full, &now), 0);
    assert_true(now.st_ino == old.st_ino && now.st_mtim.tv_sec == old.st_mtim.tv_sec && now.st_mtim.tv_nsec == old.st_mtim.tv_nsec);
    assert_int_equal(totals_of(&l).rows, 0);
    assert_int_equal(totals_of(&l).files, 0);
    assert_int_equal(count_files(&l), 1);
    expect_recorded(&l);
    lake_close(&l);
    lake_remove(&l);
  }
}

static void trades_replace_their_range_in_every_file_it_touches(void **state) {
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    lake l;
    lake_make(&l, layouts[i], "trades");
    must_open(&l);
    row old[] = {{JAN_1 + 1, 1}, {FEB_1 - 1, 2}, {FEB_1 + 5, 3}, {MAR_1 + 1, 4}, {MAR_1 + DAY_NS, 5}};
    tl_piece piece = piece_of(&l, "A", (tl_range){JAN_1, MAR_1 + 2 * DAY_NS}, old, 5);
    must_commit(&l, &piece, 1);
    row now[] = {{FEB_1 - 1, 2}, {FEB_1 - 1, 6}, {MAR_1 + 1, 7}}; /* the vendor took February's trade back */
    piece = piece_of(&l, "A", (tl_range){JAN_1 + 2, MAR_1 + 2}, now, 3);
    must_commit(&l, &piece, 1);
    expect_file(&l, "A", JAN_1, (row[]){{JAN_1 + 1, 1}, {FEB_1 - 1, 2}, {FEB_1 - 1, 6}}, 3);
    expect_file(&l, "A", FEB_1, NULL, 0);
    expect_file(&l, "A", MAR_1, (row[]){{MAR_1 + 1, 7}, {MAR_1 + DAY_NS, 5}}, 2);
    expect_recorded(&l);
    tl_ledger_series_list series; /* a file without rows has no first instant */
    assert_int_equal(tl_ledger_series_of(l.ledger, NULL, "A", &series, NULL), TL_OK);
    assert_int_equal(series.items[0].time_min_ns, JAN_1 + 1);
    assert_int_equal(series.items[0].time_max_ns, MAR_1 + DAY_NS);
    tl_ledger_series_deinit(&series);
    piece = piece_of(&l, "B", (tl_range){JAN_1, MAR_1}, NULL, 0); /* proven empty: no file comes of it */
    int files = count_files(&l);
    must_commit(&l, &piece, 1);
    assert_int_equal(count_files(&l), files);
    assert_int_equal(state_at(&l, "B", JAN_1), TL_COVER_EMPTY);
    lake_close(&l);
    lake_remove(&l);
  }
}

static void pieces_of_one_file_in_any_order_make_one_file(void **state) {
  (void)state;
  lake l;
  lake_make(&l, TL_LAYOUT_HIVE, "1m");
  must_open(&l);
  enum { PIECES = 9, EACH = 4 };
  row rows[PIECES * EACH];
  minutes(rows, JAN_1, PIECES * EACH, 3);
  tl_piece pieces[PIECES];
  for (size_t i = 0; i < PIECES; i++) {
    size_t at = (i * 5 % PIECES) * EACH; /* a shuffle */
    pieces[i] = piece_of(&l, "AAPL", (tl_range){rows[at].ns, rows[at].ns + EACH * MINUTE}, rows + at, EACH);
  }
  must_commit(&l, pieces, PIECES);
  expect_file(&l, "AAPL", JAN_1, rows, PIECES * EACH);
  assert_int_equal(totals_of(&l).files, 1);
  assert_int_equal(totals_of(&l).rows, PIECES * EACH);
  expect_recorded(&l);
  lake_close(&l);
  lake_remove(&l);
}

static void a_failed_range_is_stated_and_touches_no_file(void **state) {
  (void)state;
  lake l;
  lake_make(&l, TL_LAYOUT_HIVE, "trades");
  must_open(&l);
  row rows[] = {{JAN_1, 1}};
  tl_piece piece = piece_of(&l, "A", (tl_range){JAN_1, FEB_1}, rows, 1);
  must_commit(&l, &piece, 1);
  piece = piece_of(&l, "A", (tl_range){JAN_1, MAR_1}, NULL, 0);
  piece.state = TL_COVER_FAILED;
  piece.answer = tl_strdup("HTTP 500");
  must_commit(&l, &piece, 1);
  expect_file(&l, "A", JAN_1, rows, 1);
  assert_int_equal(state_at(&l, "A", JAN_1), TL_COVER_PRESENT); /* what is known is not forgotten */
  assert_int_equal(state_at(&l, "A", FEB_1), TL_COVER_FAILED);
  assert_int_equal(tl_commit_group(l.commit, NULL, 0, NULL), TL_OK);
  lake_close(&l);
  lake_remove(&l);
}

static void rejects_lie_beside_and_are_stated_anew_with_their_unit(void **state) {
  (void)state;
  lake l;
  lake_make(&l, TL_LAYOUT_HIVE, "1m");
  must_open(&l);
  row rows[] = {{JAN_1, 1}};
  char path[160], *content;
  snprintf(path, sizeof path, "rejects/equities_1min/symbol=A%%2FB/%lld_%lld.jsonl", (long long)JAN_1, (long long)FEB_1);
  for (int round = 0; round < 2; round++) {
    tl_piece piece = piece_of(&l, "A/B", (tl_range){JAN_1, FEB_1}, rows, 1);
    assert_int_equal(tl_buf_appends(&piece.rejects, "{\"reason\":\"x\"}\n", NULL), TL_OK);
    piece.rejected = 1;
    must_commit(&l, &piece, 1);
    assert_true(slurp(&l, path, &content) > 0);
    assert_string_equal(content, "{\"reason\":\"x\"}\n");
    free(content);
  }
  assert_int_equal(totals_of(&l).rejected, 2);
  tl_piece piece = piece_of(&l, "A/B", (tl_range){JAN_1, FEB_1}, rows, 1);
  must_commit(&l, &piece, 1);
  assert_int_equal(slurp(&l, path, &content), 0);
  lake_close(&l);
  lake_remove(&l);
}

static void leftovers_of_a_killed_writer_are_removed_and_nothing_else(void **state) {
  (void)state;
  lake l;
  lake_make(&l, TL_LAYOUT_FLAT, "1m");
  must_open(&l);
  row rows[] = {{JAN_1, 1}};
  tl_piece piece = piece_of(&l, "A", (tl_range){JAN_1, FEB_1}, rows, 1);
  must_commit(&l, &piece, 1);
  static const char *const names[] = {"bars/1m/.A.2024-01.parquet.123-4.tmp", "bars/1m/.A.2024-02.parquet.123-4.tmp",
                                      "bars/1m/.A.2024-01.parquet.keep", "bars/1m/A.2024-01.parquet.tmp"};
  for (size_t i = 0; i < 4; i++) {
    char full[256];
    snprintf(full, sizeof full, "%s/%s", l.path, names[i]);
    int fd = open(full, O_WRONLY | O_CREAT, 0644);
    assert_true(fd >= 0 && write(fd, "half", 4) == 4);
    close(fd);
  }
  piece = piece_of(&l, "A", (tl_range){JAN_1, FEB_1}, rows, 1);
  must_commit(&l, &piece, 1);
  for (size_t i = 0; i < 4; i++) {
    char *content;
    assert_int_equal(slurp(&l, names[i], &content), i == 0 ? 0 : 4); /* February has a lock of its own */
    free(content);
  }
  lake_close(&l);
  lake_remove(&l);
}

static void a_file_that_cannot_be_read_fails_the_group_and_stays(void **state) {
  (void)state;
  lake l;
  lake_make(&l, TL_LAYOUT_FLAT, "1m");
  must_open(&l);
  row rows[] = {{JAN_1, 1}, {FEB_1, 2}};
  tl_piece piece = piece_of(&l, "A", (tl_range){JAN_1, MAR_1}, rows, 2);
  must_commit(&l, &piece, 1);
  char full[160], *content;
  snprintf(full, sizeof full, "%s/bars/1m/A.2024-01.parquet", l.path);
  assert_int_equal(truncate(full, 20), 0);
  rows[1].value = 5;
  piece = piece_of(&l, "A", (tl_range){JAN_1, MAR_1}, rows, 2);
  piece.state = TL_COVER_PARTIAL;
  tl_error err = {0};
  assert_int_equal(tl_commit_group(l.commit, &piece, 1, &err), TL_ECORRUPT);
  assert_non_null(strstr(err.message, "A.2024-01.parquet"));
  assert_int_equal(slurp(&l, "bars/1m/A.2024-01.parquet", &content), 20);
  free(content);
  assert_int_equal(state_at(&l, "A", JAN_1), TL_COVER_PRESENT); /* the group was not stated */
  assert_int_equal(unlink(full), 0);
  assert_int_equal(tl_commit_group(l.commit, &piece, 1, &err), TL_OK);
  tl_piece_deinit(&piece);
  expect_file(&l, "A", JAN_1, rows, 1);
  expect_file(&l, "A", FEB_1, rows + 1, 1);
  expect_recorded(&l);
  lake_close(&l);
  lake_remove(&l);
}

/* ---- random groups against a naive list ---- */

enum { SYMBOLS = 2, HELD_MOST = 4000, GROUPS_EACH = 10, PIECES_MOST = 8 };
#define HOUR (INT64_C(3600) * 1000000000)

#include "tests/unit/commit/model.h"

static void expect_model(const lake *l, const model *m) {
  static const char *const names[SYMBOLS] = {"A", "B"};
  for (size_t s = 0; s < SYMBOLS; s++) {
    const row *rows = m->rows[s], *end = rows + m->count[s];
    int64_t month[] = {JAN_1, FEB_1, MAR_1, JAN_1 + 91 * DAY_NS};
    for (size_t i = 0; i < 3; i++) {
      const row *until = rows;
      while (until < end && until->ns < month[i + 1]) until++;
      expect_file(l, names[s], month[i], rows, (size_t)(until - rows));
      rows = until;
    }
    assert_ptr_equal(rows, end);
  }
}

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
        int64_t begin = at + (int64_t)tl_prng_below(&prng, 100), end = begin + 1 + (int64_t)tl_prng_below(&prng, 240);
        row rows[700];
        size_t n = 0;
        for (int64_t h = begin; h < end; h++)
          for (uint64_t times = tl_prng_below(&prng, by_range ? 3 : 2); times; times--)
            rows[n++] = (row){h * HOUR, (int64_t)tl_prng_below(&prng, 3)};
        tl_range range = {begin * HOUR, end * HOUR};
        model_take(&m, s, by_range, range, rows, n);
        pieces[count++] = piece_of(&l, s ? "B" : "A", range, rows, n);
        at = end;
      }
    }
    for (size_t i = count; i > 1; i--) { /* they end in any order */
      size_t j = tl_prng_below(&prng, i);
      tl_piece swap = pieces[j];
      pieces[j] = pieces[i - 1];
      pieces[i - 1] = swap;
    }
    must_commit(&l, pieces, count);
    expect_model(&l, &m);
    if (!by_range) assert_int_equal(totals_of(&l).rows, m.changed);
  }
  expect_recorded(&l);
  lake_close(&l);
  lake_remove(&l);
}

static void random_groups_leave_what_a_naive_list_holds(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 8; seed++) random_groups(layouts[seed & 1], seed & 2 ? "trades" : "1m", seed);
}

/* ---- every call fails in turn ---- */

enum { HELD = 30, ASKED = 20 }; /* minutes in the lake, minutes the second group brings; ten of them are known */

typedef struct scene {
  row rows[HELD + ASKED];
  bool merge; /* the lake holds the first minutes already */
} scene;

static tl_range asked_range(const scene *s) { return (tl_range){s->rows[HELD - 10].ns, s->rows[HELD + 10].ns}; }

static void make_pieces(const scene *s, const lake *l, tl_piece pieces[3]) {
  row february = {FEB_1, 8};
  pieces[0] = piece_of(l, "A", asked_range(s), s->rows + HELD - 10, ASKED);
  pieces[1] = piece_of(l, "A", (tl_range){FEB_1, FEB_1 + DAY_NS}, &february, 1);
  pieces[2] = piece_of(l, "B", asked_range(s), s->rows + HELD - 10, ASKED);
  assert_int_equal(tl_buf_appends(&pieces[2].rejects, "{}\n", NULL), TL_OK);
  pieces[2].rejected = 1;
}

static void prepare_lake(const scene *s, lake *l) {
  lake_make(l, TL_LAYOUT_HIVE, "1m");
  if (!s->merge) return;
  must_open(l);
  tl_range range = {s->rows[0].ns, s->rows[HELD].ns};
  tl_piece pieces[] = {piece_of(l, "A", range, s->rows, HELD), piece_of(l, "B", range, s->rows, HELD)};
  must_commit(l, pieces, 2);
  lake_close(l);
}

static void expect_whole(const scene *s, const lake *l) {
  size_t from = s->merge ? 0 : HELD - 10, count = (s->merge ? HELD - 10 : 0) + ASKED;
  expect_file(l, "A", JAN_1, s->rows + from, count);
  expect_file(l, "B", JAN_1, s->rows + from, count);
  expect_file(l, "A", FEB_1, (row[]){{FEB_1, 8}}, 1);
}

/* A file holds what it held or what it shall hold, and what the ledger says is there is there. */
static void expect_nothing_lost(const scene *s, const lake *l) {
  static const char *const symbols[] = {"A", "B"};
  size_t held = s->merge ? HELD : 0, whole = s->merge ? HELD + 10 : ASKED;
  for (size_t i = 0; i < 2; i++) {
    row *rows;
    size_t count = rows_in(l, symbols[i], JAN_1, &rows);
    assert_true(count == held || count == whole);
    expect_rows(rows, count, s->merge ? s->rows : s->rows + HELD - 10, count);
    free(rows);
    if (state_at(l, symbols[i], s->rows[HELD].ns) != TL_COVER_MISSING) assert_int_equal(count, whole);
  }
}

/* The n-th call fails; false when there is none. heal: commit again, which opens DuckDB and costs the most. */
static bool strike(const scene *s, tl_seam seam, long n, bool heal) {
  int64_t live = tl_alloc_live();
  lake l;
  prepare_lake(s, &l);
  tl_piece pieces[3];
  tl_error err = {0};
  assert_int_equal(tl_words_open(&l.words, NULL), TL_OK);
  assert_int_equal(tl_store_open(l.path, NULL, &l.store, NULL), TL_OK);
  assert_int_equal(tl_ledger_open(l.store, true, &l.ledger, NULL), TL_OK);
  make_pieces(s, &l, pieces);
  tl_fault_arm(seam, n, TL_FAULT_ERROR, n % 2 ? ENOSPC : EIO);
  tl_status st = lake_open_commit(&l, 1, &err);
  if (!st) st = tl_commit_group(l.commit, pieces, 3, &err);
  bool fired = tl_fault_disarm();
  if (st && !fired) fail_msg("without a fault: %s", err.message);
  if (st && !err.message[0]) fail_msg("fault %ld gave no message", n);
  for (size_t i = 0; i < 3; i++) tl_piece_deinit(&pieces[i]);
  lake_close(&l);

  must_open(&l); /* another run comes */
  if (st) expect_nothing_lost(s, &l);
  else expect_whole(s, &l);
  if (heal || !fired) {
    make_pieces(s, &l, pieces);
    must_commit(&l, pieces, 3);
    expect_whole(s, &l);
    expect_recorded(&l);
    assert_int_equal(state_at(&l, "B", s->rows[HELD].ns), TL_COVER_PRESENT);
  }
  lake_close(&l);
  lake_remove(&l);
  if (tl_alloc_live() != live) fail_msg("fault %ld left %lld blocks", n, (long long)(tl_alloc_live() - live));
  return fired;
}

static void sweep(tl_seam seam, bool merge, long stride, long heal_every) {
  scene s = {.merge = merge};
  minutes(s.rows, JAN_1, HELD + ASKED, 3);
  long n = 1;
  for (long strikes = 0; strike(&s, seam, n, strikes % heal_every == 0); strikes++) n += stride;
  assert_true(n > 20);
}

static void every_allocation_fails_in_turn_and_the_next_run_heals(void **state) {
  (void)state;
  sweep(TL_SEAM_ALLOC, false, 1, 5);
}

static void every_disk_call_fails_in_turn_and_the_next_run_heals(void **state) {
  (void)state;
  sweep(TL_SEAM_DISK, false, 1, 1);
}

/* Each strike opens DuckDB; every place allocates for both symbols and more, so one in five meets nearly all of them. */
static void allocations_of_a_merge_fail_in_turn(void **state) {
  (void)state;
  sweep(TL_SEAM_ALLOC, true, 5, 3);
}

static void every_disk_call_of_a_merge_fails_in_turn(void **state) {
  (void)state;
  sweep(TL_SEAM_DISK, true, 1, 2);
}

/* ---- several at once ---- */

enum { WRITERS = 2, GROUPS = 8, SLOT_ROWS = 5 };

/* Writer w commits every WRITERS-th slot of minutes for two symbols and months, each in another order. */
static tl_status write_slots(const lake *where, int writer) {
  lake l = *where;
  tl_error err = {0};
  tl_status st = lake_open(&l, 2, &err);
  for (int g = 0; !st && g < GROUPS; g++) {
    tl_piece pieces[4];
    for (int i = 0; i < 4; i++) {
      int which = writer ? 3 - i : i;
      row rows[SLOT_ROWS];
      int64_t from = (which & 1 ? FEB_1 : JAN_1) + (int64_t)(g * WRITERS + writer) * SLOT_ROWS * MINUTE;
      minutes(rows, from, SLOT_ROWS, g + 1);
      pieces[i] = piece_of(&l, which & 2 ? "B" : "A", (tl_range){from, from + SLOT_ROWS * MINUTE}, rows, SLOT_ROWS);
    }
    st = tl_commit_group(l.commit, pieces, 4, &err);
    for (int i = 0; i < 4; i++) tl_piece_deinit(&pieces[i]);
  }
  if (st) fprintf(stderr, "writer %d: %s\n", writer, err.message);
  lake_close(&l);
  return st;
}

static void expect_all_slots(lake *l) {
  row rows[GROUPS * WRITERS * SLOT_ROWS];
  must_open(l);
  for (int month = 0; month < 2; month++) {
    minutes(rows, month ? FEB_1 : JAN_1, GROUPS * WRITERS * SLOT_ROWS, 0);
    for (int i = 0; i < GROUPS * WRITERS * SLOT_ROWS; i++) rows[i].value = i / (SLOT_ROWS * WRITERS) + 1;
    expect_file(l, "A", rows[0].ns, rows, GROUPS * WRITERS * SLOT_ROWS);
    expect_file(l, "B", rows[0].ns, rows, GROUPS * WRITERS * SLOT_ROWS);
  }
  expect_recorded(l);
  lake_close(l);
}

static void two_processes_on_the_same_files_make_the_union(void **state) {
  (void)state;
  lake l;
  lake_make(&l, TL_LAYOUT_HIVE, "1m");
  pid_t children[WRITERS];
  for (int w = 0; w < WRITERS; w++) {
    children[w] = fork();
    assert_true(children[w] >= 0);
    if (!children[w]) { /* a program of its own: DuckDB's threads and locks do not survive a fork */
      char index[] = {(char)('0' + w), 0};
      execl("/proc/self/exe", "commit_test", "write", l.path, index, (char *)NULL);
      _exit(127);
    }
  }
  for (int w = 0; w < WRITERS; w++) {
    int status;
    assert_int_equal(waitpid(children[w], &status, 0), children[w]);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  expect_all_slots(&l);
  lake_remove(&l);
}

typedef struct writer {
  const lake *where;
  int index;
  tl_status status;
} writer;

static void *write_on_a_thread(void *argument) {
  writer *w = argument;
  w->status = write_slots(w->where, w->index);
  return NULL;
}

static void two_threads_on_the_same_files_make_the_union(void **state) {
  (void)state;
  lake l;
  lake_make(&l, TL_LAYOUT_FLAT, "1m");
  pthread_t threads[WRITERS];
  writer writers[WRITERS];
  for (int w = 0; w < WRITERS; w++) {
    writers[w] = (writer){&l, w, TL_OK};
    assert_int_equal(pthread_create(&threads[w], NULL, write_on_a_thread, &writers[w]), 0);
  }
  for (int w = 0; w < WRITERS; w++) {
    pthread_join(threads[w], NULL);
    assert_int_equal(writers[w].status, TL_OK);
  }
  expect_all_slots(&l);
  lake_remove(&l);
}

/* commit_test write LAKE INDEX: one writer of the test above. */
static int write_as_a_process(char **argv) {
  lake l;
  lake_make(&l, TL_LAYOUT_HIVE, "1m");
  rmdir(l.path);
  snprintf(l.path, sizeof l.path, "%s", argv[2]);
  return write_slots(&l, argv[3][0] - '0') != TL_OK;
}

int main(int argc, char **argv) {
  if (argc == 4 && !strcmp(argv[1], "write")) return write_as_a_process(argv);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(two_processes_on_the_same_files_make_the_union),
    cmocka_unit_test(two_threads_on_the_same_files_make_the_union),
    cmocka_unit_test(a_piece_over_months_becomes_a_file_a_month),
    cmocka_unit_test(symbols_that_are_paths_stay_inside_the_lake),
    cmocka_unit_test(bars_merge_by_time_and_equal_rows_change_nothing),
    cmocka_unit_test(trades_replace_their_range_in_every_file_it_touches),
    cmocka_unit_test(pieces_of_one_file_in_any_order_make_one_file),
    cmocka_unit_test(a_failed_range_is_stated_and_touches_no_file),
    cmocka_unit_test(rejects_lie_beside_and_are_stated_anew_with_their_unit),
    cmocka_unit_test(leftovers_of_a_killed_writer_are_removed_and_nothing_else),
    cmocka_unit_test(a_file_that_cannot_be_read_fails_the_group_and_stays),
    cmocka_unit_test(random_groups_leave_what_a_naive_list_holds),
    cmocka_unit_test(every_allocation_fails_in_turn_and_the_next_run_heals),
    cmocka_unit_test(every_disk_call_fails_in_turn_and_the_next_run_heals),
    cmocka_unit_test(allocations_of_a_merge_fail_in_turn),
    cmocka_unit_test(every_disk_call_of_a_merge_fails_in_turn),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return failed || tl_alloc_live() != 0;
}
