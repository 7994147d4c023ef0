/* One budget per key: never more than N in any 60 s, whoever asks, whatever happens to the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/prng.h"
#include "fetch/pace.h"

#define MINUTE (60 * TL_NS_PER_S)
static char folder[] = "/tmp/tl-pace-XXXXXX";

static tl_pace *open_pace(const char *key, uint32_t rate) {
  tl_pace *pace = NULL;
  assert_int_equal(tl_pace_open("data.example", key, rate, true, &pace, NULL), TL_OK);
  return pace;
}

/* The oracle: all grant times, checked by brute force. */
static int64_t grants[200000];
static size_t grant_count;
static void check_window(uint32_t rate) {
  for (size_t i = rate; i < grant_count; i++)
    if (grants[i] - grants[i - rate] < MINUTE) fail_msg("%u + 1 grants within %lld ns", rate, (long long)(grants[i] - grants[i - rate]));
}

static bool take(tl_pace *pace, int64_t *wait_ns) {
  bool ok = tl_pace_take(pace, wait_ns);
  if (ok) grants[grant_count++] = tl_clock_mono_ns();
  else assert_true(*wait_ns > 0 && *wait_ns <= MINUTE + TL_NS_PER_S);
  return ok;
}

static void never_more_than_the_rate_in_any_minute(void **state) {
  (void)state;
  static const uint32_t rates[] = {1, 5, 200, 8192, 10000, 30000};
  for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
    char key[32];
    snprintf(key, sizeof key, "rate%u", rates[i]);
    tl_clock_fake_start(0);
    tl_pace *pace = open_pace(key, rates[i]);
    tl_prng p = tl_prng_init(i);
    grant_count = 0;
    size_t want = rates[i] * 4 > 60000 ? 60000 : rates[i] * 4;
    while (grant_count < want) {
      int64_t wait_ns = 0;
      if (take(pace, &wait_ns)) tl_clock_fake_advance((int64_t)tl_prng_below(&p, 3 * TL_NS_PER_MS));
      else tl_clock_fake_advance(tl_prng_below(&p, 2) ? wait_ns : (int64_t)tl_prng_below(&p, (uint64_t)wait_ns) + 1);
    }
    check_window(rates[i]);
    /* And hardly less than it, either: the last burst's window belongs to it. */
    double minutes = (double)(grants[grant_count - 1] - grants[0]) / 6e10 + 1.0 / ((rates[i] + 8191) / 8192);
    if ((double)want / minutes < rates[i] * 0.9) fail_msg("only %.0f a minute of %u", (double)want / minutes, rates[i]);
    tl_pace_close(pace);
    tl_clock_fake_stop();
  }
}

static void a_fresh_key_may_burst_to_its_rate(void **state) {
  (void)state;
  tl_pace *pace = open_pace("burst", 200);
  int64_t wait_ns = 0;
  for (int i = 0; i < 200; i++) assert_true(tl_pace_take(pace, &wait_ns));
  assert_false(tl_pace_take(pace, &wait_ns));
  assert_in_range(wait_ns, 55 * TL_NS_PER_S, 61 * TL_NS_PER_S);
  tl_pace_close(pace);
}

static void keys_and_scopes_have_budgets_of_their_own(void **state) {
  (void)state;
  int64_t wait_ns = 0;
  static const char *const names[][2] = {{"a.example", "k"}, {"b.example", "k"}, {"a.example", "kk"}, {"a.examplek", ""}};
  for (size_t i = 0; i < 4; i++) {
    tl_pace *pace = NULL;
    assert_int_equal(tl_pace_open(names[i][0], names[i][1], 1, true, &pace, NULL), TL_OK);
    assert_true(tl_pace_take(pace, &wait_ns));
    assert_false(tl_pace_take(pace, &wait_ns));
    tl_pace_close(pace);
    assert_int_equal(tl_pace_open(names[i][0], names[i][1], 1, true, &pace, NULL), TL_OK);
    assert_false(tl_pace_take(pace, &wait_ns)); /* it is remembered */
    tl_pace_close(pace);
  }
}

static void *thread_takes(void *argument) {
  tl_pace *pace = argument;
  intptr_t got = 0;
  int64_t wait_ns = 0;
  for (int i = 0; i < 100; i++) got += tl_pace_take(pace, &wait_ns);
  return (void *)got;
}

static void threads_share_one_budget(void **state) {
  (void)state;
  tl_pace *one = open_pace("threads", 150), *two = open_pace("threads", 150);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, thread_takes, i % 2 ? one : two);
  intptr_t got = 0;
  for (int i = 0; i < 4; i++) {
    void *n = NULL;
    pthread_join(threads[i], &n);
    got += (intptr_t)n;
  }
  assert_int_equal(got, 150);
  tl_pace_close(one);
  tl_pace_close(two);
}

/* Children take as fast as they can and are killed at random moments, also while they hold the lock. */
static void processes_share_one_budget_and_may_be_killed(void **state) {
  (void)state;
  int pipes[2];
  assert_int_equal(pipe(pipes), 0);
  enum { RATE = 5000 };
  tl_prng p = tl_prng_init(3);
  for (int round = 0; round < 30; round++) {
    pid_t child = fork();
    if (!child) {
      tl_pace *pace = NULL;
      if (tl_pace_open("data.example", "killed", RATE, true, &pace, NULL)) _exit(1);
      for (int64_t wait_ns = 0; tl_pace_take(pace, &wait_ns);)
        if (write(pipes[1], "x", 1) != 1) _exit(1); /* the request is sent: only now it counts */
      _exit(0);
    }
    usleep((unsigned)tl_prng_below(&p, 4000));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
  }
  tl_pace *pace = open_pace("killed", RATE);
  int64_t wait_ns = 0, rest = 0;
  while (tl_pace_take(pace, &wait_ns)) rest++; /* nobody holds the lock any more */
  close(pipes[1]);
  char block[4096];
  int64_t sent = 0;
  for (ssize_t n; (n = read(pipes[0], block, sizeof block)) > 0;) sent += n;
  close(pipes[0]);
  assert_in_range(sent + rest, RATE - 60, RATE); /* a kill may lose the grant it hit, never make one up */
  assert_true(sent > 0);
  tl_pace_close(pace);
}

static void a_pause_holds_everybody_and_is_at_most_a_minute(void **state) {
  (void)state;
  tl_clock_fake_start(0);
  tl_pace *one = open_pace("pause", 0), *two = open_pace("pause", 0);
  int64_t wait_ns = 0;
  assert_true(tl_pace_take(two, &wait_ns));
  tl_pace_pause(one, 5 * TL_NS_PER_S);
  tl_pace_pause(one, 2 * TL_NS_PER_S); /* the longer one stays */
  assert_false(tl_pace_take(two, &wait_ns));
  assert_int_equal(wait_ns, 5 * TL_NS_PER_S);
  tl_clock_fake_advance(5 * TL_NS_PER_S);
  assert_true(tl_pace_take(two, &wait_ns));
  tl_pace_pause(two, INT64_MAX);
  assert_false(tl_pace_take(one, &wait_ns));
  assert_int_equal(wait_ns, MINUTE);
  tl_pace_close(one);
  tl_pace_close(two);
  tl_clock_fake_stop();
}

static void the_rate_is_learned_and_told_to_the_others(void **state) {
  (void)state;
  tl_pace *one = NULL, *two = NULL, *fixed = open_pace("learn", 7);
  assert_int_equal(tl_pace_open("data.example", "learn", 200, false, &one, NULL), TL_OK);
  assert_int_equal(tl_pace_open("data.example", "learn", 200, false, &two, NULL), TL_OK);
  tl_pace_learn(one, 10000);
  tl_pace_learn(one, 0);
  tl_pace_learn(one, -5);
  tl_pace_learn(one, INT64_MAX);
  tl_pace_learn(fixed, 9);
  int64_t wait_ns = 0;
  assert_int_equal(tl_pace_rate(one), 10000);
  assert_true(tl_pace_take(two, &wait_ns));
  assert_int_equal(tl_pace_rate(two), 10000);
  assert_true(tl_pace_take(fixed, &wait_ns));
  assert_int_equal(tl_pace_rate(fixed), 7);
  tl_pace_close(one);
  tl_pace_close(two);
  tl_pace_close(fixed);
}

/* Path of the only file that is younger than the others: the budget just opened. */
static void file_of(const char *key, char *path, size_t size) {
  char dir[128];
  snprintf(dir, sizeof dir, "%s/clean", folder);
  setenv("TICKLAKE_STATE", dir, 1);
  tl_pace_close(open_pace(key, 1));
  setenv("TICKLAKE_STATE", folder, 1);
  snprintf(dir, sizeof dir, "%s/clean/pace", folder);
  DIR *d = opendir(dir);
  for (struct dirent *e; (e = readdir(d)) != NULL;)
    if (e->d_name[0] != '.') snprintf(path, size, "%s/pace/%s", folder, e->d_name);
  closedir(d);
  snprintf(dir, sizeof dir, "rm -r %s/clean", folder);
  assert_int_equal(system(dir), 0);
}

static void damage_costs_accuracy_and_nothing_else(void **state) {
  (void)state;
  char path[512];
  file_of("damaged", path, sizeof path);
  tl_prng p = tl_prng_init(11);
  for (int round = 0; round < 200; round++) {
    tl_pace *pace = open_pace("damaged", 50);
    int64_t wait_ns = 0;
    int got = 0;
    while (got < 1000 && tl_pace_take(pace, &wait_ns)) got++;
    assert_true(got <= 50); /* a fresh start at worst */
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    FILE *file = fopen(path, "r+");
    switch (round % 4) {
    case 0: /* a random byte */
      fseek(file, (long)tl_prng_below(&p, (uint64_t)info.st_size), SEEK_SET);
      fputc((int)tl_prng_below(&p, 256), file);
      break;
    case 1: /* cut short, also while it is open */
      assert_int_equal(truncate(path, (off_t)tl_prng_below(&p, (uint64_t)info.st_size + 1)), 0);
      break;
    case 2: /* all rubbish */
      for (long i = 0; i < info.st_size; i++) fputc((int)tl_prng_below(&p, 256), file);
      break;
    default: /* longer than it should be */
      fseek(file, 0, SEEK_END);
      for (int i = 0; i < 100000; i++) fputc(0xFF, file);
    }
    fclose(file);
    got = 0;
    while (got < 1000 && tl_pace_take(pace, &wait_ns)) got++;
    assert_true(got <= 50);
    tl_pace_close(pace);
  }
}

static void another_boot_starts_anew(void **state) {
  (void)state;
  char path[512];
  file_of("boot", path, sizeof path);
  tl_clock_fake_start(0);
  tl_clock_fake_advance(100 * MINUTE);
  tl_pace *pace = open_pace("boot", 1);
  int64_t wait_ns = 0;
  assert_true(tl_pace_take(pace, &wait_ns));
  assert_false(tl_pace_take(pace, &wait_ns));
  tl_pace_close(pace);
  FILE *file = fopen(path, "r+"); /* the boot id of the header */
  fseek(file, 8, SEEK_SET);
  fputc('?', file);
  fclose(file);
  pace = open_pace("boot", 1);
  assert_true(tl_pace_take(pace, &wait_ns));
  tl_pace_close(pace);
  tl_clock_fake_stop();
}

static void steps_of_the_wall_clock_do_not_matter(void **state) {
  (void)state;
  setenv("TICKLAKE_NOW", "1", 1); /* 1970; read by the first look at the wall clock, the pace never looks */
  tl_pace *pace = open_pace("wall", 2);
  int64_t wait_ns = 0;
  assert_true(tl_pace_take(pace, &wait_ns) && tl_pace_take(pace, &wait_ns));
  assert_false(tl_pace_take(pace, &wait_ns));
  assert_true(wait_ns > 50 * TL_NS_PER_S);
  tl_pace_close(pace);
  unsetenv("TICKLAKE_NOW");
}

static void without_a_folder_the_budget_is_the_process_own(void **state) {
  (void)state;
  setenv("TICKLAKE_STATE", "/proc/nowhere", 1);
  tl_pace *pace = open_pace("alone", 3);
  int64_t wait_ns = 0;
  for (int i = 0; i < 3; i++) assert_true(tl_pace_take(pace, &wait_ns));
  assert_false(tl_pace_take(pace, &wait_ns));
  tl_pace_close(pace);
  unsetenv("TICKLAKE_STATE");
  char *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
  setenv("HOME", folder, 1);
  unsetenv("XDG_STATE_HOME");
  tl_pace_close(open_pace("home", 3));
  char path[128];
  snprintf(path, sizeof path, "%s/.local/state/ticklake/pace", folder);
  assert_int_equal(access(path, F_OK), 0);
  if (home) setenv("HOME", home, 1);
  free(home);
  setenv("TICKLAKE_STATE", folder, 1);
}

static void every_disk_or_memory_fault_is_survived(void **state) {
  (void)state;
  static const tl_seam seams[] = {TL_SEAM_DISK, TL_SEAM_ALLOC};
  for (int s = 0; s < 2; s++)
    for (long n = 1;; n++) {
      char key[32];
      snprintf(key, sizeof key, "fault%d.%ld", s, n);
      int64_t wait_ns = 0, before = tl_alloc_live();
      tl_pace *pace = NULL;
      tl_error err = {0};
      tl_fault_arm(seams[s], n, TL_FAULT_ERROR, ENOSPC);
      tl_status st = tl_pace_open("data.example", key, 4, true, &pace, &err);
      int got = 0;
      while (!st && got < 100 && tl_pace_take(pace, &wait_ns)) got++;
      bool fired = tl_fault_disarm();
      if (st) assert_true(st == TL_ENOMEM && err.message[0]);
      else assert_in_range(got, 1, 8); /* at worst: the file's, then the process's own */
      tl_pace_close(pace);
      assert_int_equal(tl_alloc_live(), before);
      if (!fired) break;
    }
}

int main(void) {
  if (!mkdtemp(folder)) return 1;
  setenv("TICKLAKE_STATE", folder, 1);
  tl_log_set_level(TL_LOG_ERROR, TL_LOG_ERROR);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(never_more_than_the_rate_in_any_minute),
      cmocka_unit_test(a_fresh_key_may_burst_to_its_rate),
      cmocka_unit_test(keys_and_scopes_have_budgets_of_their_own),
      cmocka_unit_test(threads_share_one_budget),
      cmocka_unit_test(processes_share_one_budget_and_may_be_killed),
      cmocka_unit_test(a_pause_holds_everybody_and_is_at_most_a_minute),
      cmocka_unit_test(the_rate_is_learned_and_told_to_the_others),
      cmocka_unit_test(damage_costs_accuracy_and_nothing_else),
      cmocka_unit_test(another_boot_starts_anew),
      cmocka_unit_test(steps_of_the_wall_clock_do_not_matter),
      cmocka_unit_test(without_a_folder_the_budget_is_the_process_own),
      cmocka_unit_test(every_disk_or_memory_fault_is_survived),
  };
  int failed = cmocka_run_group_tests_name("fetch/pace", tests, NULL, NULL);
  char command[64];
  snprintf(command, sizeof command, "rm -r %s", folder);
  return system(command) || failed;
}
