/* Any bytes as a TZif file: refused with a reason, or a zone whose clock can be read forth and back. */
#include "market/zone.h"
#include "tests/fuzz/check.h"

/* A zone that jumps several times within days is no clock anybody lives by; it must only not break anything. */
static bool is_calm(const tl_zone *zone, int64_t ns) {
  int changes = 0;
  for (int hour = -72; hour < 72; hour++)
    changes += tl_zone_offset_s(zone, ns + hour * 3600 * TL_NS_PER_S) != tl_zone_offset_s(zone, ns + (hour + 1) * 3600 * TL_NS_PER_S);
  return changes <= 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int64_t instants[] = {0, -1, INT64_C(1709649000123456789), INT64_C(1730613600000000000), INT64_C(-2717650800000000000),
                                     INT64_C(4102444800000000000), INT64_MIN, INT64_MAX, INT64_C(951782400000000000)};
  tl_zone *zone = NULL;
  tl_error err = {0};
  tl_status st = tl_zone_open_bytes(data, size, "Test/Zone", &zone, &err);
  check(st == TL_OK || ((st == TL_ECORRUPT || st == TL_ELIMIT) && err.message[0] && !zone), "a refusal of another kind or without a reason");
  if (st) return 0;
  for (size_t i = 0; i < sizeof instants / sizeof *instants; i++) {
    int32_t offset = tl_zone_offset_s(zone, instants[i]);
    check(offset > -200000 && offset < 200000, "an offset of days");
    int64_t local = tl_zone_local_ns(zone, instants[i]), back = tl_zone_utc_ns(zone, local);
    if (instants[i] == INT64_MIN || instants[i] == INT64_MAX || !is_calm(zone, instants[i])) continue;
    check(tl_zone_local_ns(zone, back) == local && back <= instants[i], "a wall time that was shown is not found");
    int32_t day = tl_zone_day(zone, instants[i]);
    check(tl_zone_day_start_ns(zone, day) <= instants[i], "a day that begins after its instant");
  }
  tl_zone_close(zone);
  return 0;
}
