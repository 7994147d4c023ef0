/* Any bytes as an instant, a day, an interval: both readers of instants agree, and what is written reads back. */
#include "market/time.h"
#include "tests/fuzz/check.h"

static void check_instant(const char *text, size_t size) {
  int64_t ns = 0, quick_ns = 0, again_ns = 0;
  const char *after = NULL;
  tl_time_cache cache = {0};
  tl_error err = {0};
  bool strict = tl_time_parse(text, size, &ns, &err) == TL_OK;
  check(strict || err.message[0], "a refusal without a reason");
  bool quick = tl_time_parse_utc(text, text + size, &cache, &quick_ns, &after);
  if (quick && after == text + size) check(strict && ns == quick_ns, "the quick reader sees another instant");
  if (quick) { /* with the date remembered, the same */
    check(tl_time_parse_utc(text, text + size, &cache, &again_ns, &after) && again_ns == quick_ns, "a remembered date changes the instant");
  }
  if (!strict) return;
  char out[TL_TIME_TEXT_MAX];
  size_t len = tl_time_format(ns, -1, out);
  check(len == strlen(out) && tl_time_parse(out, len, &again_ns, &err) == TL_OK && again_ns == ns, "an instant does not read back");
  len = tl_time_format_offset(ns, -18000, -1, out);
  if (ns > INT64_MIN + 86400 * TL_NS_PER_S) check(tl_time_parse(out, len, &again_ns, &err) == TL_OK && again_ns == ns, "an offset form does not read back");
  check(ns < INT64_MIN + 1000 || tl_time_us(ns) * 1000 <= ns, "microseconds round up");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 200) return 0;
  char text[256];
  memcpy(text, data, size);
  text[size] = 0;
  check_instant(text, size);
  int32_t day = 0, again = 0;
  if (tl_day_parse(text, size, &day)) {
    char out[TL_DAY_TEXT_MAX];
    tl_day_format(day, out);
    check(strlen(out) == size && !memcmp(out, text, size) && tl_day_parse(out, size, &again) && again == day, "a day does not read back");
  }
  tl_interval interval, same;
  tl_error err = {0};
  if (tl_interval_parse(text, &interval, &err) == TL_OK) {
    char out[TL_INTERVAL_TEXT_MAX];
    tl_interval_short(interval, out);
    check(tl_interval_parse(out, &same, &err) == TL_OK && tl_interval_equal(interval, same), "an interval's name is not its own");
    tl_interval_name(interval, out);
    check(tl_interval_parse(out, &same, &err) == TL_OK && tl_interval_equal(interval, same), "an interval's long name is not its own");
    int64_t at = INT64_C(1709649000123456789), floor = tl_interval_floor(interval, at), next = tl_interval_next(interval, at);
    check(floor <= at && at < next && tl_interval_floor(interval, floor) == floor, "an interval does not hold its instant");
  } else {
    check(err.message[0], "a refusal without a reason");
  }
  return 0;
}
