/* The log: levels, one line a call, secrets never. And the worker pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/log.h"
#include "base/pool.h"

static char path[64] = "/tmp/tl_log_XXXXXX";

static char *logged(void) {
  static tl_buf text;
  tl_buf_deinit(&text);
  assert_int_equal(tl_io_read_file(path, 1 << 20, &text, NULL), TL_OK);
  return text.data;
}

static int open_log(void **state) {
  (void)state;
  int fd = mkstemp(path);
  if (fd < 0) return -1;
  close(fd);
  tl_log_set_level(TL_LOG_ERROR, TL_LOG_INFO);
  return (int)tl_log_open_file(path, NULL);
}

static int close_log(void **state) {
  (void)state;
  tl_log_close();
  return unlink(path);
}

static void levels_are_kept(void **state) {
  (void)state;
  tl_log(TL_LOG_INFO, "seen %d", 1);
  tl_log(TL_LOG_DEBUG, "unseen");
  assert_non_null(strstr(logged(), "INFO  seen 1\n"));
  assert_null(strstr(logged(), "unseen"));
  assert_true(tl_log_enabled(TL_LOG_INFO));
  assert_false(tl_log_enabled(TL_LOG_TRACE));
}

static void a_line_from_outside_stays_one_line(void **state) {
  (void)state;
  tl_log(TL_LOG_INFO, "vendor says: %s", "a\nINFO  forged\r\x1b[2J");
  assert_null(strstr(logged(), "\nINFO  forged"));
  assert_non_null(strstr(logged(), "vendor says: a INFO  forged"));
  assert_null(strchr(logged(), 0x1b));
}

static void secrets_are_starred(void **state) {
  (void)state;
  assert_int_equal(tl_log_hide("s3cr3t-key", NULL), TL_OK);
  assert_int_equal(tl_log_hide("s3cr3t-key", NULL), TL_OK);
  assert_int_equal(tl_log_hide("abc", NULL), TL_OK); /* too short to hide without eating words */
  assert_int_equal(tl_log_hide(NULL, NULL), TL_OK);
  tl_log(TL_LOG_INFO, "url?key=s3cr3t-key&again=s3cr3t-key abc");
  assert_null(strstr(logged(), "s3cr3t"));
  assert_non_null(strstr(logged(), "url?key=**********&again=********** abc"));
  char text[] = "x s3cr3t-key y";
  tl_log_redact(text);
  assert_string_equal(text, "x ********** y");
}

static int before_count, after_count;
static void before(void) { before_count++; }
static void after(void) { after_count++; }

static void hooks_stand_around_stderr_lines(void **state) {
  (void)state;
  tl_log_set_hooks(before, after);
  tl_log(TL_LOG_ERROR, "on stderr");
  tl_log(TL_LOG_INFO, "in the file only");
  tl_log_set_hooks(NULL, NULL);
  assert_int_equal(before_count, 1);
  assert_int_equal(after_count, 1);
}

static void a_long_line_is_cut(void **state) {
  (void)state;
  char big[5000];
  memset(big, 'x', sizeof big - 1);
  big[sizeof big - 1] = 0;
  tl_log(TL_LOG_INFO, "%s", big);
  tl_log(TL_LOG_INFO, "next");
  assert_non_null(strstr(logged(), "x\n"));
  assert_non_null(strstr(logged(), "INFO  next\n"));
}

static void a_file_that_cannot_be_opened_is_named(void **state) {
  (void)state;
  tl_error err = {0};
  assert_int_equal(tl_log_open_file("/proc/nowhere/log", &err), TL_EIO);
  assert_non_null(strstr(err.message, "/proc/nowhere"));
}

/* ---- pool ---- */

static atomic_int done_jobs, running_jobs, most_running;

static void count_job(void *argument) {
  int now = atomic_fetch_add(&running_jobs, 1) + 1;
  int most = atomic_load(&most_running);
  while (now > most && !atomic_compare_exchange_weak(&most_running, &most, now)) {
  }
  tl_log_set_worker(0);
  usleep(200);
  atomic_fetch_sub(&running_jobs, 1);
  atomic_fetch_add(&done_jobs, *(int *)argument);
}

static void a_pool_runs_every_job_once(void **state) {
  (void)state;
  tl_pool *pool = NULL;
  assert_int_equal(tl_pool_open(3, 2, &pool, NULL), TL_OK);
  int one = 1;
  for (int i = 0; i < 100; i++) tl_pool_put(pool, count_job, &one); /* the queue of 2 makes us wait, not fail */
  tl_pool_drain(pool);
  assert_int_equal(atomic_load(&done_jobs), 100);
  assert_in_range(atomic_load(&most_running), 1, 3);
  tl_pool_put(pool, count_job, &one);
  tl_pool_close(pool); /* drains */
  assert_int_equal(atomic_load(&done_jobs), 101);
  tl_pool_close(NULL);
}

static void a_pool_without_memory_says_so(void **state) {
  (void)state;
  for (long n = 1; n <= 3; n++) {
    int64_t live = tl_alloc_live();
    tl_pool *pool = NULL;
    tl_error err = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    assert_int_equal(tl_pool_open(2, 2, &pool, &err), TL_ENOMEM);
    assert_true(tl_fault_disarm());
    assert_true(err.message[0]);
    assert_int_equal(tl_alloc_live(), live);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(levels_are_kept),
      cmocka_unit_test(a_line_from_outside_stays_one_line),
      cmocka_unit_test(secrets_are_starred),
      cmocka_unit_test(hooks_stand_around_stderr_lines),
      cmocka_unit_test(a_long_line_is_cut),
      cmocka_unit_test(a_file_that_cannot_be_opened_is_named),
      cmocka_unit_test(a_pool_runs_every_job_once),
      cmocka_unit_test(a_pool_without_memory_says_so),
  };
  return cmocka_run_group_tests(tests, open_log, close_log);
}
