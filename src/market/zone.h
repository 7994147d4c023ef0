/* zone.h - civil time of a place: offsets from TZif files, never from the TZ variable.
 * Files are looked for in $TZDIR, then /usr/share/zoneinfo; after the table's last entry the footer rule counts.
 * New York and UTC always work: without the file New York falls back to the built-in United States rules (exact from
 * 1967, a failed read is benign). A zone does not change after it was opened, so threads may share it.
 * Cost: a binary search an offset; 12 KB a zone. Hostile bytes are refused with TL_ECORRUPT.
 * Not here: leap seconds (TZif files under "right/" are refused), names of zones in words. */
#ifndef TL_MARKET_ZONE_H
#define TL_MARKET_ZONE_H
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "market/time.h"

typedef struct tl_zone tl_zone;

/* TL_ENOTFOUND for a name that has no file, TL_EUSAGE for one that is no zone name ("../x", "/etc/passwd"). */
tl_status tl_zone_open(const char *name, tl_zone **out, tl_error *err);
tl_status tl_zone_open_bytes(const void *data, size_t len, const char *name, tl_zone **out, tl_error *err);
void tl_zone_close(tl_zone *zone); /* NULL is fine */

const tl_zone *tl_zone_new_york(void); /* one for the process, never closed, takes no heap */
const tl_zone *tl_zone_new_york_rules(void); /* the built-in rules, file or not; for tests */

int32_t tl_zone_offset_s(const tl_zone *zone, int64_t ns); /* seconds east of UTC at the instant */
int64_t tl_zone_local_ns(const tl_zone *zone, int64_t ns); /* ns + offset: wall time as if it were UTC */

/* The instant of a wall time given as if it were UTC. A wall time that occurs twice means the earlier instant, one
 * that the clock skips is read with the offset before the jump (02:30 becomes 03:30). Held at the int64 ends. */
int64_t tl_zone_utc_ns(const tl_zone *zone, int64_t local_ns);
int64_t tl_zone_day_start_ns(const tl_zone *zone, int32_t day); /* first instant of the local day */
int32_t tl_zone_day(const tl_zone *zone, int64_t ns);           /* local day that holds the instant */
#endif
