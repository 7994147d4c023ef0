/* on_store_test.c - commits as an object store has them, on a folder that fulfils the same contract: the same files as in a
 * folder, the union of writers that meet in one file, a ledger that names the file that lies there, and a writer that dies
 * anywhere. */
#include "tests/unit/commit/lake.h"

#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/prng.h"
#include "commit/task.h"
#include "ledger/objects.h"
#include "store/backend.h"

enum { DAYS = 12, ROWS_A_DAY = 20 };

static row rows[DAYS * ROWS_A_DAY];

static void make_rows(void) {
  for (int d = 0; d < DAYS; d++)
    for (int i = 0; i < ROWS_A_DAY; i++) rows[d * ROWS_A_DAY + i] = (row){JAN_1 + d * DAY_NS + (14 * 3600 + i * 60) * INT64_C(1000000000), (d * 31 + i) % 1000};
}

static tl_range days(int from, int until) { return (tl_range){JAN_1 + from * DAY_NS, JAN_1 + until * DAY_NS}; }

static tl_status open_on_store(lake *l, tl_error *err) {
  tl_status st = tl_words_open(&l->words, err);
  if (!st) st = tl_store_open(l->path, NULL, &l->store, err);
  if (!st) st = tl_objects_open(l->store, true, &l->ledger, err);
  if (!st) st = lake_open_commit(l, 2, err);
  return st ? st : tl_on_store_open(l->commit, err);
}

static void must_open_on_store(lake *l) {
  tl_error err = {0};
  if (open_on_store(l, &err)) fail_msg("%s", err.message);
}

static tl_piece piece_of_days(const lake *l, const char *symbol, int from, int until) {
  return piece_of(l, symbol, days(from, until), rows + from * ROWS_A_DAY, (size_t)((until - from) * ROWS_A_DAY));
}

/* Every file the ledger names lies there with that sum and number of rows. */
static void expect_named(const lake *l, size_t files) {
  tl_ledger_file_list list;
  tl_error err = {0};
  if (tl_ledger_files(l->ledger, NULL, NULL, &list, &err)) fail_msg("%s", err.message);
  assert_int_equal(list.count, files);
  for (size_t i = 0; i < list.count; i++) {
    char *bytes, sum[40];
    row *got;
    size_t len = slurp(l, list.items[i].path, &bytes);
    XXH128_hash_t hash = XXH3_128bits(bytes, len);
    snprintf(sum, sizeof sum, "%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
    assert_string_equal(list.items[i].checksum, sum);
    assert_int_equal(list.items[i].rows, rows_of_file(bytes, len, l->layout == TL_LAYOUT_FLAT ? list.items[i].symbol : NULL, &got));
    free(got);
    free(bytes);
  }
  tl_ledger_files_deinit(&list);
}

static void the_files_are_those_of_a_folder(void **state) {
  (void)state;
  static const char *const kinds[] = {"1m", "trades"};
  for (int i = 0; i < 4; i++) {
    lake folder, objects;
    lake_make(&folder, i < 2 ? TL_LAYOUT_HIVE : TL_LAYOUT_FLAT, kinds[i % 2]);
    lake_make(&objects, folder.layout, kinds[i % 2]);
    must_open(&folder);
    must_open_on_store(&objects);
    lake *both[] = {&folder, &objects};
    for (int b = 0; b < 2; b++) {
      lake *l = both[b];
      tl_piece pieces[] = {piece_of_days(l, "A", 2, 6), piece_of_days(l, "B", 0, 3), piece_of_days(l, "C", 4, 4)};
      pieces[2].range = days(4, 5); /* empty: no file */
      must_commit(l, pieces, 3);
      tl_piece more[] = {piece_of_days(l, "A", 0, 4), piece_of_days(l, "A", 8, 9)};
      must_commit(l, more, 2);
      tl_piece again[] = {piece_of_days(l, "B", 0, 3)};
      must_commit(l, again, 1);
      assert_int_equal(totals_of(l).files, 2); /* the last group changed nothing */
    }
    char path[160], *a, *b;
    for (int s = 0; s < 2; s++) {
      path_of(&folder, s ? "B" : "A", JAN_1, path);
      size_t len = slurp(&folder, path, &a);
      assert_true(len > 0);
      assert_int_equal(slurp(&objects, path, &b), len);
      assert_memory_equal(a, b, len);
      free(a);
      free(b);
    }
    expect_named(&objects, 2);
    lake_close(&folder);
    lake_close(&objects);
    lake_remove(&folder);
    lake_remove(&objects);
  }
}

static void rejects_lie_beside_and_go_with_a_clean_answer(void **state) {
  (void)state;
  lake l;
  char path[256];
  lake_make(&l, TL_LAYOUT_HIVE, "1m");
  must_open_on_store(&l);
  tl_range range = days(0, 1);
  snprintf(path, sizeof path, "%s/rejects/equities_1min/symbol=A/%lld_%lld.jsonl", l.path, (long long)range.start_ns, (long long)range.end_ns);
  for (int round = 0; round < 4; round++) {
    bool bad = round % 2 == 0;
    tl_piece piece = piece_of_days(&l, "A", 0, 1);
    if (bad) assert_int_equal(tl_buf_appends(&piece.rejects, "{}\n", NULL), TL_OK);
    must_commit(&l, &piece, 1);
    assert_int_equal(access(path, F_OK) == 0, bad);
    if (round == 2) { /* another process finds them */
      lake_close(&l);
      must_open_on_store(&l);
    }
  }
  lake_close(&l);
  lake_remove(&l);
}

/* ---- writers of their own processes: this program again, as DuckDB's threads and locks do not survive a fork ---- */

enum { PROCESSES = 4 };
extern char **environ;

/* words: what to do, the lake's folder, "flat" or "hive", its kind, two numbers. */
static pid_t start(const char *what, const lake *l, const char *kind, long a, long b) {
  char first[24], second[24];
  snprintf(first, sizeof first, "%ld", a);
  snprintf(second, sizeof second, "%ld", b);
  char *words[] = {(char *)(uintptr_t)"on_store_test", (char *)(uintptr_t)what,           (char *)(uintptr_t)l->path, (char *)(uintptr_t)tl_layout_name(l->layout),
                   (char *)(uintptr_t)kind,            first,                             second,                     NULL};
  pid_t child = 0;
  assert_int_equal(posix_spawn(&child, "/proc/self/exe", NULL, NULL, words, environ), 0);
  return child;
}

static int end_of(pid_t child) {
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

/* Process i brings the days i, i + PROCESSES, ... of one file, and the days of its neighbour too. */
static tl_status bring(lake *l, int i, tl_error *err) {
  tl_status st = TL_OK;
  for (int round = 0; !st && round < DAYS; round++) {
    int day = (round + i * 5) % DAYS;
    if (day % PROCESSES != i && day % PROCESSES != (i + 1) % PROCESSES) continue;
    tl_piece piece = piece_of_days(l, "A", day, day + 1);
    st = tl_commit_group(l->commit, &piece, 1, err);
    tl_piece_deinit(&piece);
  }
  return st;
}

#ifdef TL_FAULTS
static const struct {
  tl_seam seam;
  tl_fault_action action;
  long stride;
} ends[] = {{TL_SEAM_STEP, TL_FAULT_EXIT_BEFORE, 1}, {TL_SEAM_DISK, TL_FAULT_EXIT_AFTER, 7}};

static tl_status die(lake *l, long end, long n, tl_error *err) {
  tl_piece pieces[] = {piece_of_days(l, "A", 1, 4), piece_of_days(l, "B", 0, 1)};
  tl_fault_arm(ends[end].seam, n, ends[end].action, 0);
  tl_status st = tl_commit_group(l->commit, pieces, 2, err);
  for (int i = 0; i < 2; i++) tl_piece_deinit(&pieces[i]);
  return st;
}
#endif

static int in_a_process(char **words) {
  lake l = {.layout = strcmp(words[3], "flat") ? TL_LAYOUT_HIVE : TL_LAYOUT_FLAT};
  tl_error err = {0};
  long a = strtol(words[5], NULL, 10);
  snprintf(l.path, sizeof l.path, "%s", words[2]);
  tl_status st = tl_dataset_parse(words[4], &l.dataset, &err);
  if (!st) st = open_on_store(&l, &err);
  if (!st && !strcmp(words[1], "bring")) st = bring(&l, (int)a, &err);
#ifdef TL_FAULTS
  if (!st && !strcmp(words[1], "die")) st = die(&l, a, strtol(words[6], NULL, 10), &err);
#endif
  if (st) fprintf(stderr, "%s: %s\n", words[1], err.message);
  lake_close(&l);
  return st ? 3 : 0;
}

/* ---- writers that meet ---- */

static void writers_of_one_file_leave_the_union_and_a_ledger_that_knows_it(void **state) {
  (void)state;
  static const char *const kinds[] = {"1m", "trades"};
  for (int round = 0; round < 4; round++) {
    lake l;
    lake_make(&l, round < 2 ? TL_LAYOUT_HIVE : TL_LAYOUT_FLAT, kinds[round % 2]);
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) children[i] = start("bring", &l, kinds[round % 2], i, 0);
    for (int i = 0; i < PROCESSES; i++) assert_int_equal(end_of(children[i]), 0);
    must_open_on_store(&l);
    expect_file(&l, "A", JAN_1, rows, DAYS * ROWS_A_DAY);
    expect_named(&l, 1);
    int64_t held = 0;
    assert_int_equal(state_of(&l, "A", days(0, DAYS), &held), TL_COVER_PRESENT);
    assert_int_equal(held, DAYS * ROWS_A_DAY);
    lake_close(&l);
    lake_remove(&l);
  }
}

/* One writer's put is held up until another has committed: before his file lies there, or before his entry does. */
static struct {
  const tl_backend *real;
  const char *prefix; /* of the key whose first put is held up */
  lake other;
  bool done;
} meeting;

static tl_status put_after_the_other(void *self, const char *key, const tl_store_source *source, const tl_store_put_as *as, tl_store_info *info,
                                     tl_error *err) {
  if (!meeting.done && !strncmp(key, meeting.prefix, strlen(meeting.prefix))) {
    meeting.done = true;
    tl_piece piece = piece_of_days(&meeting.other, "A", 3, 8);
    must_commit(&meeting.other, &piece, 1);
  }
  return meeting.real->put(self, key, source, as, info, err);
}

static void two_writers_meet_at_every_point(void **state) {
  (void)state;
  static const char *const prefixes[] = {"equities_1min/", "_ticklake/ledger/"};
  for (int round = 0; round < 4; round++) { /* the file is there already, or not */
    lake l;
    tl_error err = {0};
    lake_make(&l, TL_LAYOUT_HIVE, "1m");
    must_open_on_store(&l);
    if (round >= 2) {
      tl_piece first = piece_of_days(&l, "A", 0, 1);
      must_commit(&l, &first, 1);
    }
    meeting.prefix = prefixes[round % 2];
    meeting.done = false;
    meeting.other = (lake){.layout = l.layout, .dataset = l.dataset};
    memcpy(meeting.other.path, l.path, sizeof l.path);
    must_open_on_store(&meeting.other);
    tl_backend held_up = *l.store->backend;
    held_up.put = put_after_the_other;
    meeting.real = l.store->backend;
    l.store->backend = &held_up;
    tl_piece piece = piece_of_days(&l, "A", 0, 5);
    if (tl_commit_group(l.commit, &piece, 1, &err)) fail_msg("%s", err.message);
    tl_piece_deinit(&piece);
    l.store->backend = meeting.real;
    assert_true(meeting.done);
    expect_file(&l, "A", JAN_1, rows, 8 * ROWS_A_DAY);
    expect_named(&l, 1);
    expect_named(&meeting.other, 1);
    lake_close(&meeting.other);
    lake_close(&l);
    lake_remove(&l);
  }
}

#ifdef TL_FAULTS
/* A child that ends before its n-th step or around its n-th file call; then the same group comes again. */
static void a_writer_may_die_anywhere(void **state) {
  (void)state;
  for (int e = 0; e < 2; e++)
    for (long n = 1;; n += ends[e].stride) {
      lake l;
      lake_make(&l, TL_LAYOUT_HIVE, "1m");
      must_open_on_store(&l);
      tl_piece first = piece_of_days(&l, "A", 0, 2);
      must_commit(&l, &first, 1);
      lake_close(&l);
      int end = end_of(start("die", &l, "1m", e, n));
      assert_true(end == 0 || end == 99);
      must_open_on_store(&l);
      row *got;
      size_t count = rows_in(&l, "A", JAN_1, &got); /* the old file or the new one */
      assert_true(count == 2 * ROWS_A_DAY || count == 4 * ROWS_A_DAY);
      expect_rows(got, count, rows, count);
      free(got);
      if (state_at(&l, "A", JAN_1 + 3 * DAY_NS) != TL_COVER_MISSING) assert_int_equal(count, 4 * ROWS_A_DAY);
      tl_piece pieces[] = {piece_of_days(&l, "A", 1, 4), piece_of_days(&l, "B", 0, 1)};
      must_commit(&l, pieces, 2);
      expect_file(&l, "A", JAN_1, rows, 4 * ROWS_A_DAY);
      expect_file(&l, "B", JAN_1, rows, ROWS_A_DAY);
      expect_named(&l, 2);
      lake_close(&l);
      lake_remove(&l);
      if (end == 0) break;
    }
}

static void every_allocation_and_file_call_may_fail(void **state) {
  (void)state;
  for (int seam = 0; seam < 2; seam++)
    for (long n = 1;; n += seam ? 3 : 5) {
      int64_t live = tl_alloc_live();
      lake l;
      tl_error err = {0};
      lake_make(&l, TL_LAYOUT_FLAT, "1m");
      must_open_on_store(&l);
      tl_piece first = piece_of_days(&l, "A", 0, 2), pieces[] = {piece_of_days(&l, "A", 1, 4)};
      must_commit(&l, &first, 1);
      tl_fault_arm(seam ? TL_SEAM_DISK : TL_SEAM_ALLOC, n, TL_FAULT_ERROR, ENOSPC);
      tl_status st = tl_commit_group(l.commit, pieces, 1, &err);
      bool fired = tl_fault_disarm();
      tl_piece_deinit(&pieces[0]);
      if (st && !fired) fail_msg("failed without a fault: %s", err.message);
      if (st && !err.message[0]) fail_msg("fault %ld gave no message", n);
      lake_close(&l);
      must_open_on_store(&l);
      tl_piece again = piece_of_days(&l, "A", 1, 4);
      must_commit(&l, &again, 1);
      expect_file(&l, "A", JAN_1, rows, 4 * ROWS_A_DAY);
      expect_named(&l, 1);
      lake_close(&l);
      lake_remove(&l);
      if (tl_alloc_live() != live) fail_msg("fault %ld left %lld blocks", n, (long long)(tl_alloc_live() - live));
      if (!fired) break;
    }
}
#endif

int main(int argc, char **argv) {
  make_rows();
  if (argc == 7) return in_a_process(argv);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_files_are_those_of_a_folder),
      cmocka_unit_test(rejects_lie_beside_and_go_with_a_clean_answer),
      cmocka_unit_test(two_writers_meet_at_every_point),
      cmocka_unit_test(writers_of_one_file_leave_the_union_and_a_ledger_that_knows_it),
#ifdef TL_FAULTS
      cmocka_unit_test(a_writer_may_die_anywhere),
      cmocka_unit_test(every_allocation_and_file_call_may_fail),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
