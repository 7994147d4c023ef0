/* File-system calls: what they promise, and every one of them failing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"

static char folder[64];

static int make_folder(void **state) {
  (void)state;
  strcpy(folder, "/tmp/tl_io_XXXXXX");
  return mkdtemp(folder) ? chdir(folder) : -1;
}

static int remove_folder(void **state) {
  (void)state;
  char command[100];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return chdir("/") || system(command);
}

static void put(const char *path, const char *text) { assert_int_equal(tl_io_replace(path, text, strlen(text), NULL), TL_OK); }

static void expect_file(const char *path, const char *text) {
  tl_buf found = {0};
  assert_int_equal(tl_io_read_file(path, 1 << 20, &found, NULL), TL_OK);
  assert_string_equal(found.data, text);
  tl_buf_deinit(&found);
}

static void replace_makes_folders_and_leaves_no_aside(void **state) {
  (void)state;
  put("a/b/c.txt", "one");
  put("a/b/c.txt", "two");
  put("plain.txt", "three");
  expect_file("a/b/c.txt", "two");
  expect_file("plain.txt", "three");
  tl_io_names names;
  assert_int_equal(tl_io_list("a/b", &names, NULL), TL_OK);
  assert_int_equal(names.count, 1);
  assert_string_equal(names.names[0], "c.txt");
  tl_io_names_deinit(&names);
}

static void listing_is_sorted(void **state) {
  (void)state;
  put("sorted/b", "");
  put("sorted/a", "");
  put("sorted/.hidden", "");
  put("sorted/c/d", "");
  tl_io_names names;
  assert_int_equal(tl_io_list("sorted", &names, NULL), TL_OK);
  assert_int_equal(names.count, 4);
  assert_string_equal(names.names[0], ".hidden");
  assert_string_equal(names.names[1], "a");
  assert_string_equal(names.names[3], "c");
  tl_io_names_deinit(&names);
  assert_int_equal(tl_io_list("nowhere", &names, NULL), TL_ENOTFOUND);
}

static void what_is_not_there_is_said(void **state) {
  (void)state;
  tl_error err = {0};
  tl_buf buf = {0};
  tl_io_info info;
  int fd = -1;
  assert_int_equal(tl_io_open("missing", O_RDONLY, 0, &fd, &err), TL_ENOTFOUND);
  assert_non_null(strstr(err.message, "missing"));
  assert_int_equal(tl_io_read_file("missing", 10, &buf, &err), TL_ENOTFOUND);
  assert_int_equal(tl_io_stat("missing", &info, &err), TL_ENOTFOUND);
  assert_int_equal(tl_io_unlink("missing", &err), TL_OK);
  assert_int_equal(tl_io_rmdir("missing", &err), TL_OK);
  assert_int_equal(tl_io_rename("missing", "x", &err), TL_EIO);
  assert_int_equal(tl_io_close(-1, "none", &err), TL_OK);
  put("there", "12345");
  assert_int_equal(tl_io_read_file("there", 4, &buf, &err), TL_ELIMIT);
  assert_int_equal(tl_io_stat("there", &info, &err), TL_OK);
  assert_int_equal(info.size_bytes, 5);
  assert_false(info.is_dir);
  assert_int_equal(tl_io_mkdirs("there", &err), TL_EIO);
  assert_int_equal(tl_io_mkdirs("there/below", &err), TL_EIO);
  tl_buf_deinit(&buf);
}

static void an_open_file_is_dated_and_looked_at(void **state) {
  (void)state;
  static const int64_t dates_ns[] = {0, -1, 1, INT64_C(1717156801987654321), -INT64_C(86400000000001)};
  put("dated", "12345");
  for (size_t i = 0; i < sizeof dates_ns / sizeof *dates_ns; i++) {
    int fd = -1;
    tl_io_info open_one, named;
    assert_int_equal(tl_io_open("dated", O_WRONLY, 0, &fd, NULL), TL_OK);
    assert_int_equal(tl_io_set_mtime(fd, "dated", dates_ns[i], NULL), TL_OK);
    assert_int_equal(tl_io_stat_open(fd, "dated", &open_one, NULL), TL_OK);
    assert_int_equal(tl_io_stat("dated", &named, NULL), TL_OK);
    struct stat system_says;
    assert_int_equal(stat("dated", &system_says), 0);
    assert_true(open_one.mtime_ns == dates_ns[i] && named.mtime_ns == dates_ns[i]);
    assert_true(open_one.inode == system_says.st_ino && open_one.device == system_says.st_dev && named.inode == open_one.inode && named.device == open_one.device);
    assert_int_equal(open_one.size_bytes, 5);
    assert_int_equal(unlink("dated"), 0); /* the open one stays what it is */
    assert_int_equal(tl_io_stat_open(fd, "dated", &open_one, NULL), TL_OK);
    assert_int_equal(open_one.size_bytes, 5);
    close(fd);
    put("dated", "12345");
  }
}

static void link_gives_a_conflict(void **state) {
  (void)state;
  put("first", "1");
  tl_error err;
  assert_int_equal(tl_io_link("first", "second", &err), TL_OK);
  assert_int_equal(tl_io_link("first", "second", &err), TL_ECONFLICT);
  assert_int_equal(tl_io_link("missing", "third", &err), TL_EIO);
  expect_file("second", "1");
  put("full/of", "it");
  assert_int_equal(tl_io_rmdir("full", &err), TL_OK); /* not empty: stays */
  expect_file("full/of", "it");
}

static void join_keeps_one_slash(void **state) {
  (void)state;
  static const struct { const char *dir, *name, *path; } cases[] = {
      {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "b"}, {"a//", "b/c", "a/b/c"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *path = tl_io_join(cases[i].dir, cases[i].name);
    assert_string_equal(path, cases[i].path);
    tl_free(path);
  }
}

/* Makes the n-th call of replace fail, for every n: the old content stays or the new is whole, and no aside is left. */
static void every_call_of_replace_fails_cleanly(void **state) {
  (void)state;
  static const int codes[] = {ENOSPC, EIO, EROFS};
  for (size_t c = 0; c < 3; c++) {
    for (long n = 1;; n++) {
      put("swept/file", "old");
      tl_error err = {0};
      tl_fault_arm(TL_SEAM_DISK, n, TL_FAULT_ERROR, codes[c]);
      tl_status st = tl_io_replace("swept/file", "new", 3, &err);
      bool fired = tl_fault_disarm();
      assert_int_equal(fired, st != TL_OK);
      if (!fired) break;
      assert_true(err.message[0]);
      tl_buf found = {0};
      assert_int_equal(tl_io_read_file("swept/file", 10, &found, NULL), TL_OK);
      assert_true(!strcmp(found.data, "old") || !strcmp(found.data, "new"));
      tl_buf_deinit(&found);
      tl_io_names names;
      assert_int_equal(tl_io_list("swept", &names, NULL), TL_OK);
      assert_int_equal(names.count, 1);
      tl_io_names_deinit(&names);
      assert_in_range(n, 1, 50);
    }
  }
  assert_int_equal(tl_alloc_live(), 0);
}

static void interrupted_and_short_calls_are_finished(void **state) {
  (void)state;
  for (long n = 1; n < 12; n++) {
    tl_fault_arm(TL_SEAM_DISK, n, TL_FAULT_ERROR, EINTR);
    assert_int_equal(tl_io_replace("patient/file", "whole text", 10, NULL), TL_OK);
    tl_fault_disarm();
    expect_file("patient/file", "whole text");
    tl_fault_arm(TL_SEAM_DISK, n, TL_FAULT_SHORT, 0);
    assert_int_equal(tl_io_replace("patient/file", "other text", 10, NULL), TL_OK);
    tl_fault_disarm();
    tl_fault_arm(TL_SEAM_DISK, n, TL_FAULT_SHORT, 0);
    expect_file("patient/file", "other text");
    tl_fault_disarm();
  }
}

static void every_allocation_of_listing_fails_cleanly(void **state) {
  (void)state;
  for (int i = 0; i < 40; i++) {
    char path[32];
    snprintf(path, sizeof path, "many/%d", i);
    put(path, "");
  }
  for (long n = 1;; n++) {
    tl_io_names names;
    tl_error err = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = tl_io_list("many", &names, &err);
    bool fired = tl_fault_disarm();
    if (!fired) {
      assert_int_equal(names.count, 40);
      tl_io_names_deinit(&names);
      break;
    }
    assert_int_equal(st, TL_ENOMEM);
    assert_int_equal(tl_alloc_live(), 0);
  }
}

static void a_process_can_be_ended_before_or_after_a_call(void **state) {
  (void)state;
  for (int after = 0; after < 2; after++) {
    put("crash", "old");
    pid_t child = fork();
    if (child == 0) {
      for (long n = 1; n < 30; n++) {
        pid_t inner = fork();
        if (inner == 0) {
          tl_fault_arm(TL_SEAM_DISK, n, after ? TL_FAULT_EXIT_AFTER : TL_FAULT_EXIT_BEFORE, 0);
          tl_io_replace("crash", "new", 3, NULL);
          _exit(0);
        }
        int status = 0;
        waitpid(inner, &status, 0);
        if (WEXITSTATUS(status) == 0) _exit(n > 5 ? 0 : 1); /* open, write, fsync, rename, fsync of the folder were all reached */
        if (WEXITSTATUS(status) != 99) _exit(2);
      }
      _exit(3);
    }
    int status = 0;
    waitpid(child, &status, 0);
    assert_int_equal(WEXITSTATUS(status), 0);
    tl_buf found = {0};
    assert_int_equal(tl_io_read_file("crash", 10, &found, NULL), TL_OK);
    assert_string_equal(found.data, "new");
    tl_buf_deinit(&found);
  }
}

static atomic_int inside;

static void *lock_and_count(void *argument) {
  int fd = -1;
  (void)argument;
  tl_io_open("lock", O_RDWR | O_CREAT, 0644, &fd, NULL);
  for (int i = 0; i < 200; i++) {
    if (tl_io_lock(fd, "lock", 7, NULL) != TL_OK) return (void *)1;
    int before = atomic_fetch_add(&inside, 1);
    atomic_fetch_sub(&inside, 1);
    tl_io_unlock(fd, 7);
    if (before != 0) return (void *)2;
  }
  tl_io_close(fd, "lock", NULL);
  return NULL;
}

static void one_at_a_time_has_the_turn_of_a_folder_and_nobody_waits_for_ever(void **state) {
  (void)state;
  int first = tl_io_turn(".", 0);
  assert_true(first >= 0);
  int64_t began_ns = tl_clock_mono_ns();
  assert_int_equal(tl_io_turn(".", 20000000), -1);
  assert_true(tl_clock_mono_ns() - began_ns >= 20000000);
  tl_io_turn_end(first);
  int second = tl_io_turn(".", 0);
  assert_true(second >= 0);
  tl_io_turn_end(second);
  tl_io_turn_end(-1);
  assert_int_equal(tl_io_turn("no-such-folder", 1000000000), -1);
}

static void a_temporary_folder_is_ones_own_and_goes_with_all_below_it(void **state) {
  (void)state;
  char below[] = "/tmp/ticklake-io-XXXXXX", path[200];
  assert_non_null(mkdtemp(below));
  setenv("TMPDIR", below, 1);
  tl_buf a = {0}, b = {0};
  assert_int_equal(tl_io_temp_folder(&a, NULL), TL_OK);
  assert_int_equal(tl_io_temp_folder(&b, NULL), TL_OK);
  assert_true(!strncmp(a.data, below, strlen(below)) && strcmp(a.data, b.data) != 0);
  struct stat info;
  assert_int_equal(stat(a.data, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0700);
  snprintf(path, sizeof path, "%s/x/y/file", a.data);
  assert_int_equal(tl_io_replace(path, "1", 1, NULL), TL_OK);
  snprintf(path, sizeof path, "%s/link", a.data);
  assert_int_equal(symlink(b.data, path), 0); /* what it points to stays */
  assert_int_equal(tl_io_remove_tree(a.data, NULL), TL_OK);
  assert_int_not_equal(access(a.data, F_OK), 0);
  assert_int_equal(access(b.data, F_OK), 0);
  assert_int_equal(tl_io_remove_tree(a.data, NULL), TL_OK);
  assert_int_equal(tl_io_remove_tree(b.data, NULL), TL_OK);
  setenv("TMPDIR", "/no/such/folder", 1);
  tl_error err = {0};
  tl_buf_clear(&a);
  assert_int_equal(tl_io_temp_folder(&a, &err), TL_EIO);
  assert_true(a.len == 0 && strstr(err.message, "/no/such/folder"));
  unsetenv("TMPDIR");
  tl_buf_deinit(&a);
  tl_buf_deinit(&b);
  rmdir(below);
}

static void locks_exclude_threads(void **state) {
  (void)state;
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, lock_and_count, NULL), 0);
  for (int i = 0; i < 3; i++) {
    void *result = (void *)9;
    pthread_join(threads[i], &result);
    assert_null(result);
  }
}

static void checksums_match_the_published_ones(void **state) {
  (void)state;
  char text[TL_CHECKSUM_TEXT_MAX];
  int64_t bytes = -1;
  put("empty", "");
  assert_int_equal(tl_checksum_file("empty", text, &bytes, NULL), TL_OK);
  assert_string_equal(text, "99aa06d3014798d86001c324468d497f"); /* xxhsum -H2 of nothing */
  assert_int_equal(bytes, 0);
  tl_checksum *sum = tl_checksum_open();
  tl_checksum_add(sum, "he", 2);
  tl_checksum_add(sum, "llo", 3);
  char pieces[TL_CHECKSUM_TEXT_MAX];
  tl_checksum_text(sum, pieces);
  tl_checksum_close(sum);
  put("hello", "hello");
  assert_int_equal(tl_checksum_file("hello", text, &bytes, NULL), TL_OK);
  assert_string_equal(text, pieces);
  assert_int_equal(tl_checksum_file("missing", text, &bytes, NULL), TL_ENOTFOUND);
}

static void a_fake_clock_stands_still(void **state) {
  (void)state;
  tl_clock_fake_start(1000);
  assert_int_equal(tl_clock_now_ns(), 1000);
  int64_t mono_ns = tl_clock_mono_ns();
  tl_clock_sleep_ns(500);
  assert_int_equal(tl_clock_now_ns(), 1500);
  assert_int_equal(tl_clock_mono_ns() - mono_ns, 500);
  tl_clock_sleep_ns(-5);
  assert_int_equal(tl_clock_now_ns(), 1500);
  tl_clock_fake_stop();
  int64_t before_ns = tl_clock_mono_ns();
  tl_clock_sleep_ns(2 * TL_NS_PER_MS);
  assert_true(tl_clock_mono_ns() - before_ns >= 2 * TL_NS_PER_MS);
  assert_true(tl_clock_cpu_ns() > 0);
  assert_true(tl_clock_now_ns() > INT64_C(1700000000) * TL_NS_PER_S);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(replace_makes_folders_and_leaves_no_aside),
      cmocka_unit_test(listing_is_sorted),
      cmocka_unit_test(what_is_not_there_is_said),
      cmocka_unit_test(an_open_file_is_dated_and_looked_at),
      cmocka_unit_test(link_gives_a_conflict),
      cmocka_unit_test(join_keeps_one_slash),
      cmocka_unit_test(every_call_of_replace_fails_cleanly),
      cmocka_unit_test(interrupted_and_short_calls_are_finished),
      cmocka_unit_test(every_allocation_of_listing_fails_cleanly),
      cmocka_unit_test(a_process_can_be_ended_before_or_after_a_call),
      cmocka_unit_test(a_temporary_folder_is_ones_own_and_goes_with_all_below_it),
      cmocka_unit_test(locks_exclude_threads),
      cmocka_unit_test(one_at_a_time_has_the_turn_of_a_folder_and_nobody_waits_for_ever),
      cmocka_unit_test(checksums_match_the_published_ones),
      cmocka_unit_test(a_fake_clock_stands_still),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
