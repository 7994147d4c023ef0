/* committer_test.c - when groups close, who waits, and what a failure stops. The clock is driven by hand. */
#include "run/committer.h"

#include "tests/unit/commit/lake.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/fault.h"

#define MINUTE (INT64_C(60) * 1000000000)
enum { PIECE_ROWS = 10, ROOMY = 1 << 30 };

typedef struct scene {
  lake l;
  tl_committer *committer;
} scene;

static void begin(scene *s, int64_t budget) {
  tl_error err = {0};
  lake_make(&s->l, TL_LAYOUT_HIVE, "1m");
  must_open(&s->l);
  if (tl_committer_open(s->l.commit, budget, &s->committer, &err)) fail_msg("%s", err.message);
}

static void end(scene *s) {
  tl_committer_close(s->committer);
  lake_close(&s->l);
  lake_remove(&s->l);
}

/* The i-th piece: ten minutes of symbol A. */
static tl_piece piece_at(const scene *s, int i) {
  row rows[PIECE_ROWS];
  int64_t from = JAN_1 + i * PIECE_ROWS * MINUTE;
  for (int r = 0; r < PIECE_ROWS; r++) rows[r] = (row){from + r * MINUTE, i + 1};
  return piece_of(&s->l, "A", (tl_range){from, from + PIECE_ROWS * MINUTE}, rows, PIECE_ROWS);
}

static int64_t bytes_of_a_piece(const scene *s) {
  tl_piece p = piece_at(s, 0);
  int64_t bytes = (int64_t)tl_batch_bytes(&p.rows);
  tl_piece_deinit(&p);
  return bytes;
}

static tl_status add(scene *s, int i, tl_error *err) {
  tl_piece p = piece_at(s, i);
  tl_status st = tl_committer_add(s->committer, &p, err);
  assert_null(p.symbol); /* taken, also on failure */
  return st;
}

static bool stated(const scene *s, int i) {
  return state_at(&s->l, "A", JAN_1 + i * PIECE_ROWS * MINUTE) == TL_COVER_PRESENT;
}

static bool stated_soon(const scene *s, int i) { /* the committing thread looks at the clock once a second */
  for (int tries = 0; tries < 2000; tries++) {
    if (stated(s, i)) return true;
    struct timespec ten_ms = {0, 10000000};
    nanosleep(&ten_ms, NULL);
  }
  return false;
}

static void a_group_closes_when_its_oldest_piece_is_30_s_old(void **state) {
  (void)state;
  scene s;
  tl_clock_fake_start(JAN_1);
  begin(&s, ROOMY);
  assert_int_equal(add(&s, 0, NULL), TL_OK);
  tl_clock_fake_advance(29 * TL_NS_PER_S);
  assert_int_equal(add(&s, 1, NULL), TL_OK); /* young, but it goes with the old one */
  struct timespec longer_than_its_look = {1, 300000000};
  nanosleep(&longer_than_its_look, NULL);
  assert_false(stated(&s, 0));
  tl_clock_fake_advance(TL_NS_PER_S);
  assert_true(stated_soon(&s, 0));
  assert_true(stated(&s, 1)); /* one group, one transaction */
  assert_int_equal(add(&s, 2, NULL), TL_OK);
  assert_int_equal(tl_committer_finish(s.committer, NULL), TL_OK);
  assert_true(stated(&s, 2));
  end(&s);
  tl_clock_fake_stop();
}

static void a_group_closes_when_it_fills_half_the_budget(void **state) {
  (void)state;
  scene s;
  tl_clock_fake_start(JAN_1);
  begin(&s, ROOMY);
  int64_t each = bytes_of_a_piece(&s);
  tl_committer_close(s.committer);
  assert_int_equal(tl_committer_open(s.l.commit, each * 6, &s.committer, NULL), TL_OK);
  assert_int_equal(add(&s, 0, NULL), TL_OK);
  assert_int_equal(add(&s, 1, NULL), TL_OK);
  assert_false(stated(&s, 0));
  assert_int_equal(add(&s, 2, NULL), TL_OK); /* three of six */
  assert_true(stated_soon(&s, 0));
  assert_true(stated(&s, 2));
  end(&s);
  tl_clock_fake_stop();
}

static void want_of_room_closes_a_group_early(void **state) {
  (void)state;
  scene s;
  tl_clock_fake_start(JAN_1);
  begin(&s, 1 << 20);
  assert_true(tl_committer_room(s.committer));
  tl_committer_hold(s.committer, (1 << 20) - 1); /* chains at work */
  assert_true(tl_committer_room(s.committer));
  assert_int_equal(add(&s, 0, NULL), TL_OK);
  assert_false(stated(&s, 0)); /* small and young */
  assert_false(tl_committer_room(s.committer));
  assert_true(stated_soon(&s, 0));
  tl_committer_hold(s.committer, 1 - (1 << 20));
  assert_true(tl_committer_room(s.committer)); /* a committed piece holds nothing */
  end(&s);
  tl_clock_fake_stop();
}

typedef struct waiter {
  tl_committer *committer;
  atomic_bool through;
} waiter;

static void *wait_for_room(void *argument) {
  waiter *w = argument;
  tl_committer_wait(w->committer);
  atomic_store(&w->through, true);
  return NULL;
}

static void takers_of_pages_wait_while_twice_the_budget_is_held(void **state) {
  (void)state;
  scene s;
  begin(&s, 1 << 20);
  tl_committer_hold(s.committer, 2 << 20);
  tl_committer_wait(s.committer); /* no piece could make room: it does not wait for ever */
  assert_int_equal(add(&s, 0, NULL), TL_OK);
  waiter w = {.committer = s.committer};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, wait_for_room, &w), 0);
  pthread_join(thread, NULL); /* the wait closed the group, and its end let go */
  assert_true(atomic_load(&w.through));
  assert_true(stated(&s, 0));
  end(&s);
}

static void the_first_failure_is_told_to_all_that_come_later(void **state) {
  (void)state;
  scene s;
  begin(&s, 1); /* every piece fills it */
  char path[160], full[256];
  path_of(&s.l, "A", JAN_1, path);
  snprintf(full, sizeof full, "%s/equities_1min", s.l.path);
  int fd = open(full, O_WRONLY | O_CREAT, 0644); /* where a folder must be */
  assert_true(fd >= 0);
  close(fd);
  assert_int_equal(add(&s, 0, NULL), TL_OK);
  while (!tl_committer_failed(s.committer)) sched_yield();
  tl_error err = {0};
  assert_int_equal(add(&s, 1, &err), TL_EIO);
  assert_non_null(strstr(err.message, "equities_1min"));
  tl_committer_wait(s.committer); /* nobody waits for a committer that failed */
  err = (tl_error){0};
  assert_int_equal(unlink(full), 0);
  assert_int_equal(tl_committer_finish(s.committer, &err), TL_EIO);
  assert_non_null(strstr(err.message, "equities_1min"));
  assert_false(stated(&s, 0));
  assert_int_equal(count_files(&s.l), 0);
  end(&s);
}

static void closing_without_finish_drops_what_is_queued(void **state) {
  (void)state;
  scene s;
  int64_t live = tl_alloc_live();
  begin(&s, ROOMY);
  for (int i = 0; i < 100; i++) assert_int_equal(add(&s, i, NULL), TL_OK); /* more than the list begins with */
  tl_committer_close(s.committer);
  s.committer = NULL;
  assert_false(stated(&s, 0));
  assert_int_equal(count_files(&s.l), 0);
  end(&s); /* closes NULL, too */
  assert_int_equal(tl_alloc_live(), live);
}

static void many_pieces_are_all_stated_at_the_end(void **state) {
  (void)state;
  scene s;
  begin(&s, ROOMY);
  for (int i = 0; i < 100; i++) assert_int_equal(add(&s, i, NULL), TL_OK);
  assert_int_equal(tl_committer_finish(s.committer, NULL), TL_OK);
  for (int i = 0; i < 100; i++) assert_true(stated(&s, i));
  assert_int_equal(totals_of(&s.l).rows, 100 * PIECE_ROWS);
  assert_int_equal(totals_of(&s.l).files, 1);
  expect_recorded(&s.l);
  end(&s);
}

static void want_of_memory_is_an_error_that_leaks_nothing(void **state) {
  (void)state;
  scene s;
  begin(&s, ROOMY);
  int64_t live = tl_alloc_live();
  tl_error err = {0};
  tl_committer *other = NULL;
  tl_fault_arm(TL_SEAM_ALLOC, 1, TL_FAULT_ERROR, 0);
  assert_int_equal(tl_committer_open(s.l.commit, ROOMY, &other, &err), TL_ENOMEM);
  tl_fault_disarm();
  tl_piece p = piece_at(&s, 0);
  tl_fault_arm(TL_SEAM_ALLOC, 1, TL_FAULT_ERROR, 0);
  assert_int_equal(tl_committer_add(s.committer, &p, &err), TL_ENOMEM);
  tl_fault_disarm();
  assert_null(p.symbol);
  assert_non_null(strstr(err.message, "'A'"));
  assert_int_equal(tl_alloc_live(), live);
  end(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_group_closes_when_its_oldest_piece_is_30_s_old),
    cmocka_unit_test(a_group_closes_when_it_fills_half_the_budget),
    cmocka_unit_test(want_of_room_closes_a_group_early),
    cmocka_unit_test(takers_of_pages_wait_while_twice_the_budget_is_held),
    cmocka_unit_test(the_first_failure_is_told_to_all_that_come_later),
    cmocka_unit_test(closing_without_finish_drops_what_is_queued),
    cmocka_unit_test(many_pieces_are_all_stated_at_the_end),
    cmocka_unit_test(want_of_memory_is_an_error_that_leaks_nothing),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return failed || tl_alloc_live() != 0;
}
