/* clock.h - the only way to read time or to sleep.
 * Tests drive it by hand: after tl_clock_fake_start the wall and the monotonic clock stand still until advanced,
 * and tl_clock_sleep_ns advances them. With TL_FAULTS, TICKLAKE_NOW=<epoch seconds> shifts the wall clock of a
 * process so that it starts there. Thread-safe. */
#ifndef TL_BASE_CLOCK_H
#define TL_BASE_CLOCK_H
#include <pthread.h>
#include <stdint.h>

#define TL_NS_PER_US INT64_C(1000)
#define TL_NS_PER_MS INT64_C(1000000)
#define TL_NS_PER_S INT64_C(1000000000)
#define TL_NS_PER_DAY (INT64_C(86400) * TL_NS_PER_S)

int64_t tl_clock_now_ns(void);  /* wall clock, ns since 1970-01-01T00:00:00Z; may step */
int64_t tl_clock_mono_ns(void); /* never steps back; counts time asleep; comparable between processes of one boot */
int64_t tl_clock_cpu_ns(void);  /* user + system CPU time of this process so far */
void tl_clock_sleep_ns(int64_t ns);
void tl_clock_wait(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t ns); /* until signalled, or for about so long */

void tl_clock_fake_start(int64_t now_ns);
void tl_clock_fake_advance(int64_t ns);
void tl_clock_fake_stop(void);
#endif
