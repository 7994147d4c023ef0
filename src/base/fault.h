/* fault.h - make the n-th call through a named seam fail, so that every failure path can be run.
 *
 * Compiled in only with TL_FAULTS (dev, sanitizer and coverage builds); in a release build tl_fault_hit is the
 * constant 0. A test arms a seam in its own process; a child process is armed by the environment:
 *     TICKLAKE_FAULT=disk:17:ENOSPC        the 17th file-system call fails with that errno (or EIO, EINTR, ...)
 *     TICKLAKE_FAULT=disk:17:exit-before   _exit(99) just before the call; exit-after: just after it succeeded
 *     TICKLAKE_FAULT=disk:17:short         the 17th call, when it is a read or write, moves only part of its bytes
 *     TICKLAKE_FAULT=alloc:5               the 5th allocation answers NULL;  net:3  the 3rd transfer fails
 *     TICKLAKE_FAULT=disk:0:count          nothing fails; at exit "fault seam disk: N calls" goes to stderr
 * Counting is over all threads of the process. One armed seam at a time. */
#ifndef TL_BASE_FAULT_H
#define TL_BASE_FAULT_H
#include <stdbool.h>

typedef enum tl_seam { TL_SEAM_ALLOC, TL_SEAM_DISK, TL_SEAM_NET, TL_SEAM_STEP, TL_SEAM_COUNT } tl_seam;
typedef enum tl_fault_action {
  TL_FAULT_NONE,
  TL_FAULT_ERROR,       /* fail; tl_fault_errno() says with what */
  TL_FAULT_SHORT,       /* move only part of the bytes (reads and writes) */
  TL_FAULT_EXIT_BEFORE, /* never returned: the process has ended */
  TL_FAULT_EXIT_AFTER   /* do the call, then tl_fault_exit() */
} tl_fault_action;

#ifdef TL_FAULTS
tl_fault_action tl_fault_hit(tl_seam seam); /* counts one call; says what shall happen to it */
int tl_fault_errno(void);
void tl_fault_exit(void);                   /* _exit(99) */
void tl_fault_arm(tl_seam seam, long n, tl_fault_action action, int errno_value);
bool tl_fault_disarm(void); /* true when the armed call was reached */
long tl_fault_calls(void);  /* calls through the armed seam since tl_fault_arm */
#else
#define tl_fault_hit(seam) TL_FAULT_NONE
#define tl_fault_errno() 0
#define tl_fault_exit() ((void)0)
#endif

/* A named point between two steps of a commit; only TICKLAKE_FAULT=step:n:exit-before acts on it. */
#define TL_FAULT_STEP() ((void)tl_fault_hit(TL_SEAM_STEP))
#endif
