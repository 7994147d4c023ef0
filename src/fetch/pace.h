/* pace.h - one request budget per key, shared by all threads and processes of this machine.
 *
 * The rule is "at most N grants in any 60 s" (a sliding window, so a fresh key may burst to N), plus a pause that
 * everybody obeys after a 429. It lives in a file of a few KiB in the user's state folder under a hash of the key:
 * TICKLAKE_STATE, else $XDG_STATE_HOME/ticklake, else ~/.local/state/ticklake, each with pace/<hash>. The lock on it
 * dies with its holder; a damaged file, a reboot or an unwritable folder cost accuracy, never a failure: then the
 * budget is this process's own and a warning says so. Steps of the wall clock do not matter.
 * Thread-safe. Cost: a lock, two reads and two writes of some bytes per grant. */
#ifndef TL_FETCH_PACE_H
#define TL_FETCH_PACE_H
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct tl_pace tl_pace;

/* `scope` and `key` name the budget, e.g. the provider's host and the key id; only a hash of both is stored.
 * rate_per_minute 0: no limit but the pauses. `fixed`: what tl_pace_learn hears does not change the rate. */
tl_status tl_pace_open(const char *scope, const char *key, uint32_t rate_per_minute, bool fixed, tl_pace **out, tl_error *err);
void tl_pace_close(tl_pace *pace); /* NULL is fine */

bool tl_pace_take(tl_pace *pace, int64_t *wait_ns);  /* true: one request may go now. false: ask again in *wait_ns */
void tl_pace_pause(tl_pace *pace, int64_t for_ns);   /* nobody sends for so long; a longer pause stays; at most 60 s */
void tl_pace_learn(tl_pace *pace, int64_t limit);    /* the provider stated its limit per minute; remembered for the others */
uint32_t tl_pace_rate(const tl_pace *pace);          /* per minute, as it stands; 0: no limit */
#endif
