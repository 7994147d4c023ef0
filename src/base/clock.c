/* clock.c - wall, monotonic and CPU clocks, with a hand-driven double for tests. */
#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

static atomic_bool fake_on;
static atomic_int_fast64_t fake_now_ns, fake_mono_ns, shift_ns;

static int64_t read_clock(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (int64_t)t.tv_sec * TL_NS_PER_S + t.tv_nsec;
}

#ifdef TL_FAULTS
static pthread_once_t shift_once = PTHREAD_ONCE_INIT;
static void read_shift(void) {
  const char *text = getenv("TICKLAKE_NOW");
  if (text) atomic_store(&shift_ns, strtoll(text, NULL, 10) * TL_NS_PER_S - read_clock(CLOCK_REALTIME));
}
#endif

int64_t tl_clock_now_ns(void) {
  if (atomic_load(&fake_on)) return atomic_load(&fake_now_ns);
#ifdef TL_FAULTS
  pthread_once(&shift_once, read_shift);
#endif
  return read_clock(CLOCK_REALTIME) + atomic_load(&shift_ns);
}

int64_t tl_clock_mono_ns(void) {
  return atomic_load(&fake_on) ? (int64_t)atomic_load(&fake_mono_ns) : read_clock(CLOCK_BOOTTIME);
}

int64_t tl_clock_cpu_ns(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

void tl_clock_sleep_ns(int64_t ns) {
  if (ns <= 0) return;
  if (atomic_load(&fake_on)) {
    tl_clock_fake_advance(ns);
    return;
  }
  struct timespec left = {.tv_sec = (time_t)(ns / TL_NS_PER_S), .tv_nsec = (long)(ns % TL_NS_PER_S)};
  while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
  }
}

void tl_clock_wait(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t ns) {
  int64_t until_ns = read_clock(CLOCK_REALTIME) + ns; /* a stepped clock wakes the caller early or late once */
  struct timespec until = {.tv_sec = (time_t)(until_ns / TL_NS_PER_S), .tv_nsec = (long)(until_ns % TL_NS_PER_S)};
  pthread_cond_timedwait(changed, lock, &until);
}

void tl_clock_fake_start(int64_t now_ns) {
  atomic_store(&fake_now_ns, now_ns);
  atomic_store(&fake_mono_ns, TL_NS_PER_S);
  atomic_store(&fake_on, true);
}

void tl_clock_fake_advance(int64_t ns) {
  atomic_fetch_add(&fake_now_ns, ns);
  atomic_fetch_add(&fake_mono_ns, ns);
}

void tl_clock_fake_stop(void) { atomic_store(&fake_on, false); }
