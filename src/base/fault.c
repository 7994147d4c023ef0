/* fault.c - the armed seam and its counter. */
#include "base/fault.h"

#ifdef TL_FAULTS
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
  atomic_int seam; /* TL_SEAM_COUNT when nothing is armed */
  long n;
  tl_fault_action action;
  int errno_value;
  atomic_long calls;
  atomic_bool fired;
} armed = {.seam = TL_SEAM_COUNT};

static pthread_once_t environment_once = PTHREAD_ONCE_INIT;

static void print_count(void) {
  static const char *const names[] = {"alloc", "disk", "net", "step"};
  int seam = atomic_load(&armed.seam);
  if (seam < TL_SEAM_COUNT) dprintf(2, "fault seam %s: %ld calls\n", names[seam], atomic_load(&armed.calls));
}

static int errno_by_name(const char *name) {
  static const struct { const char *name; int value; } list[] = {
      {"ENOSPC", ENOSPC}, {"EIO", EIO},       {"EDQUOT", EDQUOT}, {"EMFILE", EMFILE}, {"EROFS", EROFS},
      {"EINTR", EINTR},   {"EACCES", EACCES}, {"ENOMEM", ENOMEM}, {"EAGAIN", EAGAIN},
  };
  for (size_t i = 0; i < sizeof list / sizeof *list; i++)
    if (!strcmp(name, list[i].name)) return list[i].value;
  return EIO;
}

static void read_environment(void) {
  const char *text = getenv("TICKLAKE_FAULT");
  if (!text) return;
  static const char *const names[] = {"alloc:", "disk:", "net:", "step:"};
  for (int seam = 0; seam < TL_SEAM_COUNT; seam++) {
    size_t len = strlen(names[seam]);
    if (strncmp(text, names[seam], len) != 0) continue;
    char *rest = NULL;
    long n = strtol(text + len, &rest, 10);
    const char *word = *rest == ':' ? rest + 1 : "EIO";
    tl_fault_action action = !strcmp(word, "exit-before")  ? TL_FAULT_EXIT_BEFORE
                             : !strcmp(word, "exit-after") ? TL_FAULT_EXIT_AFTER
                             : !strcmp(word, "short")      ? TL_FAULT_SHORT
                                                           : TL_FAULT_ERROR;
    if (!strcmp(word, "count")) atexit(print_count);
    armed.n = n;
    armed.action = action;
    armed.errno_value = errno_by_name(word);
    atomic_store(&armed.seam, seam);
  }
}

tl_fault_action tl_fault_hit(tl_seam seam) {
  pthread_once(&environment_once, read_environment);
  if (atomic_load_explicit(&armed.seam, memory_order_acquire) != (int)seam) return TL_FAULT_NONE;
  long call = atomic_fetch_add(&armed.calls, 1) + 1;
  if (call != armed.n) return TL_FAULT_NONE;
  atomic_store(&armed.fired, true);
  if (armed.action == TL_FAULT_EXIT_BEFORE) tl_fault_exit();
  return armed.action;
}

int tl_fault_errno(void) { return armed.errno_value; }

void tl_fault_exit(void) { _exit(99); }

void tl_fault_arm(tl_seam seam, long n, tl_fault_action action, int errno_value) {
  pthread_once(&environment_once, read_environment);
  atomic_store(&armed.seam, TL_SEAM_COUNT);
  armed.n = n;
  armed.action = action;
  armed.errno_value = errno_value;
  atomic_store(&armed.calls, 0);
  atomic_store(&armed.fired, false);
  atomic_store(&armed.seam, (int)seam);
}

bool tl_fault_disarm(void) {
  atomic_store(&armed.seam, TL_SEAM_COUNT);
  return atomic_load(&armed.fired);
}

long tl_fault_calls(void) { return atomic_load(&armed.calls); }
#else
typedef int tl_fault_not_built; /* a translation unit may not be empty */
#endif
