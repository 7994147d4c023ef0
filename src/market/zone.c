/* zone.c - TZif tables, POSIX footer rules, and look-ups in them; see zone.h.
 * File layout (RFC 8536): a header and a block of 32-bit times that is skipped, then the same with 64-bit times:
 *     header 44 bytes: "TZif" version[1] reserved[15] isut isstd leap time type char (six big-endian counts)
 *     time x 8 transition times, time x 1 type of each, type x 6 (offset[4] is_dst[1] name[1]), char, leap x 12, ...
 *     "\n" rule for all times after the table "\n" */
#include "market/zone.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/io.h"

enum { TRANSITIONS_MAX = 1024, FILE_BYTES_MAX = 65536, HEADER_BYTES = 44 };

typedef struct rule_date { /* when a rule switches, in the wall time before the switch */
  enum { MONTH_WEEK_DAY, JULIAN_NO_LEAP, JULIAN } form;
  int month, week, day;
  int32_t time_s; /* may be negative or above a day */
} rule_date;

typedef struct zone_rule {
  bool exists, has_dst;
  int32_t std_offset_s, dst_offset_s;
  rule_date dst_start, dst_end;
} zone_rule;

struct tl_zone {
  size_t count;
  int32_t first_offset_s;
  zone_rule rule; /* for times from the last transition on; without one the last offset stays */
  int64_t at_s[TRANSITIONS_MAX]; /* ascending */
  int32_t offset_s[TRANSITIONS_MAX];
};

/* ---- the POSIX rule, e.g. EST5EDT,M3.2.0,M11.1.0 ---- */

static bool rule_number(const char **p, int max, int *out) {
  int value = 0;
  if (**p < '0' || **p > '9') return false;
  for (; **p >= '0' && **p <= '9'; (*p)++) {
    value = value * 10 + (**p - '0');
    if (value > max) return false;
  }
  *out = value;
  return true;
}

static bool rule_name(const char **p) {
  const char *start = *p;
  if (**p == '<') {
    while (**p && **p != '>') (*p)++;
    return *(*p)++ == '>';
  }
  while ((**p >= 'A' && **p <= 'Z') || (**p >= 'a' && **p <= 'z')) (*p)++;
  return *p - start >= 3;
}

static bool rule_time(const char **p, int hours_max, int32_t *out_s) { /* [+-]h[:m[:s]] */
  int hours = 0, minutes = 0, seconds = 0, sign = **p == '-' ? -1 : 1;
  if (**p == '-' || **p == '+') (*p)++;
  if (!rule_number(p, hours_max, &hours)) return false;
  if (**p == ':' && ((*p)++, !rule_number(p, 59, &minutes))) return false;
  if (**p == ':' && ((*p)++, !rule_number(p, 59, &seconds))) return false;
  *out_s = sign * (hours * 3600 + minutes * 60 + seconds);
  return true;
}

static bool rule_date_parse(const char **p, rule_date *out) { /* ,Mm.w.d or ,Jn or ,n and then [/time] */
  if (*(*p)++ != ',') return false;
  out->time_s = 7200;
  if (**p == 'M') {
    (*p)++;
    out->form = MONTH_WEEK_DAY;
    if (!rule_number(p, 12, &out->month) || *(*p)++ != '.' || !rule_number(p, 5, &out->week) || *(*p)++ != '.' ||
        !rule_number(p, 6, &out->day) || out->month < 1 || out->week < 1)
      return false;
  } else {
    out->form = **p == 'J' ? JULIAN_NO_LEAP : JULIAN;
    if (**p == 'J') (*p)++;
    if (!rule_number(p, 365, &out->day) || (out->form == JULIAN_NO_LEAP && out->day < 1)) return false;
  }
  return **p != '/' || ((*p)++, rule_time(p, 167, &out->time_s));
}

static bool rule_parse(const char *p, zone_rule *out) {
  int32_t west_s = 0;
  *out = (zone_rule){.exists = true};
  if (!rule_name(&p) || !rule_time(&p, 24, &west_s)) return false;
  out->std_offset_s = -west_s;
  if (!*p) return true;
  out->has_dst = true;
  out->dst_offset_s = out->std_offset_s + 3600;
  if (!rule_name(&p)) return false;
  if (*p != ',') {
    if (!rule_time(&p, 24, &west_s)) return false;
    out->dst_offset_s = -west_s;
  }
  return rule_date_parse(&p, &out->dst_start) && rule_date_parse(&p, &out->dst_end) && !*p;
}

/* Seconds since 1970 of the wall time at which the rule switches in a year. */
static int64_t rule_date_s(const rule_date *date, int year) {
  int64_t day;
  if (date->form == MONTH_WEEK_DAY) {
    int32_t first = tl_day_from_civil(year, date->month, 1);
    int to_weekday = ((date->day + 6) % 7 - tl_day_weekday(first) + 7) % 7; /* in rules Sunday is 0 */
    int in_month = to_weekday + (date->week - 1) * 7;
    if (in_month >= tl_days_in_month(year, date->month)) in_month -= 7; /* week 5 means the last one */
    day = first + in_month;
  } else {
    bool after_leap_day = date->form == JULIAN_NO_LEAP && date->day >= 60 && tl_days_in_month(year, 2) == 29;
    day = tl_day_from_civil(year, 1, 1) + date->day - (date->form == JULIAN_NO_LEAP) + after_leap_day;
  }
  return day * 86400 + date->time_s;
}

static int32_t rule_offset_s(const zone_rule *rule, int64_t at_s) {
  if (!rule->has_dst) return rule->std_offset_s;
  int year, month, day_of_month;
  tl_civil_from_day((int32_t)tl_floor_div(at_s + rule->std_offset_s, 86400), &year, &month, &day_of_month);
  int64_t start_s = rule_date_s(&rule->dst_start, year) - rule->std_offset_s;
  int64_t end_s = rule_date_s(&rule->dst_end, year) - rule->dst_offset_s;
  bool dst = start_s < end_s ? start_s <= at_s && at_s < end_s : !(end_s <= at_s && at_s < start_s);
  return dst ? rule->dst_offset_s : rule->std_offset_s;
}

/* ---- the file ---- */

static uint32_t be32(const unsigned char *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t be64(const unsigned char *p) { return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4)); }

typedef struct tzif_counts {
  size_t isut, isstd, leap, time, type, chars;
} tzif_counts;

static bool header_parse(const unsigned char *p, size_t len, tzif_counts *out) {
  if (len < HEADER_BYTES || memcmp(p, "TZif", 4) != 0 || p[4] < '2') return false;
  *out = (tzif_counts){be32(p + 20), be32(p + 24), be32(p + 28), be32(p + 32), be32(p + 36), be32(p + 40)};
  return true; /* the counts have 32 bits, so sums of them below cannot overflow */
}

static uint64_t block_bytes(const tzif_counts *n, uint64_t time_bytes) {
  return n->time * (time_bytes + 1) + n->type * UINT64_C(6) + n->chars + n->leap * (time_bytes + 4) + n->isstd + n->isut;
}

/* NULL, or what is wrong. */
static const char *table_parse(const unsigned char *p, const tzif_counts *n, tl_zone *zone) {
  const unsigned char *types_of = p + n->time * 8, *types = types_of + n->time;
  if (n->leap != 0) return "it counts leap seconds";
  if (n->time > TRANSITIONS_MAX) return "it has too many transitions";
  if (n->type < 1 || n->type > 256) return "it has no local time type";
  for (size_t i = 0; i < n->type; i++) {
    int32_t offset_s = (int32_t)be32(types + i * 6);
    if (offset_s < -93599 || offset_s > 93599) return "an offset is out of range";
  }
  zone->first_offset_s = (int32_t)be32(types);
  for (size_t i = 0; i < n->time; i++) {
    if (types_of[i] >= n->type) return "a transition names no type";
    zone->at_s[i] = be64(p + i * 8);
    zone->offset_s[i] = (int32_t)be32(types + types_of[i] * 6);
    if (i > 0 && zone->at_s[i - 1] >= zone->at_s[i]) return "transitions are not in order";
  }
  zone->count = n->time;
  return NULL;
}

static const char *footer_parse(const unsigned char *p, size_t len, tl_zone *zone) {
  char text[128];
  const unsigned char *end = len > 1 ? memchr(p + 1, '\n', len - 1) : NULL;
  if (!end || p[0] != '\n' || (size_t)(end - p) > sizeof text) return "its footer is missing or too long";
  size_t text_len = (size_t)(end - p) - 1;
  memcpy(text, p + 1, text_len);
  text[text_len] = 0;
  if (text_len > 0 && (strlen(text) != text_len || !rule_parse(text, &zone->rule))) return "its footer is no rule";
  return NULL;
}

static const char *zone_parse(const unsigned char *p, size_t len, tl_zone *zone) {
  tzif_counts n;
  *zone = (tl_zone){0};
  if (!header_parse(p, len, &n)) return "it is not a TZif file of version 2 or later";
  if (block_bytes(&n, 4) > len - HEADER_BYTES) return "it is cut short";
  size_t skip = HEADER_BYTES + (size_t)block_bytes(&n, 4);
  p += skip;
  len -= skip;
  if (!header_parse(p, len, &n)) return "its second header is missing";
  p += HEADER_BYTES;
  len -= HEADER_BYTES;
  if (block_bytes(&n, 8) > len) return "it is cut short";
  const char *wrong = table_parse(p, &n, zone);
  size_t block = (size_t)block_bytes(&n, 8);
  return wrong ? wrong : footer_parse(p + block, len - block, zone);
}

/* ---- zones without a file ---- */

static const struct {
  int year_first, year_last;
  const char *rule;
} us_eastern[] = { /* Uniform Time Act and its changes; the footer goes on from the end of 2007 */
  {1967, 1973, "EST5EDT,M4.5.0,M10.5.0"}, {1974, 1974, "EST5EDT,J6,M10.5.0"},     {1975, 1975, "EST5EDT,J54,M10.5.0"},
  {1976, 1986, "EST5EDT,M4.5.0,M10.5.0"}, {1987, 2006, "EST5EDT,M4.1.0,M10.5.0"}, {2007, 2007, "EST5EDT,M3.2.0,M11.1.0"},
};

static void rules_only(tl_zone *zone, const char *footer) {
  *zone = (tl_zone){0};
  bool ok = rule_parse(footer, &zone->rule);
  assert(ok);
  (void)ok;
  zone->first_offset_s = zone->rule.std_offset_s;
}

static void new_york_rules(tl_zone *zone) {
  rules_only(zone, "EST5EDT,M3.2.0,M11.1.0");
  for (size_t i = 0; i < sizeof us_eastern / sizeof us_eastern[0]; i++) {
    zone_rule rule;
    bool ok = rule_parse(us_eastern[i].rule, &rule);
    assert(ok);
    (void)ok;
    for (int year = us_eastern[i].year_first; year <= us_eastern[i].year_last; year++) {
      zone->at_s[zone->count] = rule_date_s(&rule.dst_start, year) - rule.std_offset_s;
      zone->offset_s[zone->count++] = rule.dst_offset_s;
      zone->at_s[zone->count] = rule_date_s(&rule.dst_end, year) - rule.dst_offset_s;
      zone->offset_s[zone->count++] = rule.std_offset_s;
    }
  }
}

static bool built_in(const char *name, tl_zone *zone) {
  if (strcmp(name, "America/New_York") == 0 || strcmp(name, "US/Eastern") == 0) new_york_rules(zone);
  else if (strcmp(name, "UTC") == 0 || strcmp(name, "Etc/UTC") == 0) rules_only(zone, "UTC0");
  else return false;
  return true;
}

/* ---- opening ---- */

static const char *zone_dir(void) {
  const char *dir = getenv("TZDIR");
  return dir && *dir ? dir : "/usr/share/zoneinfo";
}

/* America/Argentina/Ushuaia: words of letters, digits, _ + - between slashes. */
static bool name_is_plain(const char *name) {
  if (!*name || strlen(name) > 100) return false;
  for (const char *p = name; *p; p++) {
    bool word = (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || strchr("_+-", *p);
    if (!word && (*p != '/' || p == name || p[1] == '/' || p[1] == 0)) return false;
  }
  return true;
}

tl_status tl_zone_open_bytes(const void *data, size_t len, const char *name, tl_zone **out, tl_error *err) {
  tl_zone *zone = tl_alloc(sizeof *zone);
  if (!zone) return tl_fail(err, TL_ENOMEM, "cannot hold time zone '%s'", name);
  const char *wrong = zone_parse(data, len, zone);
  if (wrong) {
    tl_free(zone);
    return tl_fail(err, TL_ECORRUPT, "cannot read time zone '%s': %s", name, wrong);
  }
  *out = zone;
  return TL_OK;
}

static tl_status open_built_in(const char *name, tl_zone **out, tl_error *err) {
  tl_zone *zone = tl_alloc(sizeof *zone);
  if (!zone) return tl_fail(err, TL_ENOMEM, "cannot hold time zone '%s'", name);
  if (!built_in(name, zone)) {
    tl_free(zone);
    return tl_fail(err, TL_ENOTFOUND, "there is no time zone '%s' in %s: say one like America/New_York or UTC", name,
                   zone_dir());
  }
  *out = zone;
  return TL_OK;
}

tl_status tl_zone_open(const char *name, tl_zone **out, tl_error *err) {
  tl_buf bytes = {0};
  if (!name_is_plain(name))
    return tl_fail(err, TL_EUSAGE, "'%.100s' is not the name of a time zone: say one like America/New_York or UTC", name);
  char *path = tl_io_join(zone_dir(), name);
  if (!path) return tl_fail(err, TL_ENOMEM, "cannot hold the path of time zone '%s'", name);
  tl_status st = tl_io_read_file(path, FILE_BYTES_MAX, &bytes, err);
  if (st == TL_ENOTFOUND) st = open_built_in(name, out, err);
  else if (!st) st = tl_zone_open_bytes(bytes.data, bytes.len, name, out, err);
  tl_buf_deinit(&bytes);
  tl_free(path);
  return st;
}

void tl_zone_close(tl_zone *zone) { tl_free(zone); }

static tl_zone new_york, new_york_built_in;
static pthread_once_t new_york_once = PTHREAD_ONCE_INIT, new_york_rules_once = PTHREAD_ONCE_INIT;

static void load_new_york(void) { /* any failure is benign: the built-in rules are right too */
  unsigned char bytes[8192];
  char path[512];
  size_t got = 0;
  int fd = -1;
  bool read = snprintf(path, sizeof path, "%s/America/New_York", zone_dir()) < (int)sizeof path &&
              tl_io_open(path, O_RDONLY, 0, &fd, NULL) == TL_OK &&
              tl_io_pread(fd, path, bytes, sizeof bytes, 0, &got, NULL) == TL_OK;
  tl_io_close(fd, path, NULL);
  if (!read || zone_parse(bytes, got, &new_york) != NULL) new_york_rules(&new_york);
}

static void load_new_york_rules(void) { new_york_rules(&new_york_built_in); }

const tl_zone *tl_zone_new_york(void) {
  pthread_once(&new_york_once, load_new_york);
  return &new_york;
}

const tl_zone *tl_zone_new_york_rules(void) {
  pthread_once(&new_york_rules_once, load_new_york_rules);
  return &new_york_built_in;
}

/* ---- look-ups ---- */

static int32_t offset_at_s(const tl_zone *zone, int64_t at_s) {
  size_t low = 0, high = zone->count; /* transitions before low are at or before at_s */
  if (zone->rule.exists && (high == 0 || at_s >= zone->at_s[high - 1])) {
    /* what the table's last entry says and the rule can differ only in a file that contradicts itself */
    return rule_offset_s(&zone->rule, at_s);
  }
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (zone->at_s[middle] <= at_s) low = middle + 1;
    else high = middle;
  }
  return low == 0 ? zone->first_offset_s : zone->offset_s[low - 1];
}

int32_t tl_zone_offset_s(const tl_zone *zone, int64_t ns) { return offset_at_s(zone, tl_floor_div(ns, TL_NS_PER_S)); }

static int64_t add_seconds_held(int64_t ns, int64_t seconds) {
  int64_t sum;
  if (!__builtin_add_overflow(ns, seconds * TL_NS_PER_S, &sum)) return sum;
  return seconds < 0 ? INT64_MIN : INT64_MAX;
}

int64_t tl_zone_local_ns(const tl_zone *zone, int64_t ns) { return add_seconds_held(ns, tl_zone_offset_s(zone, ns)); }

int64_t tl_zone_utc_ns(const tl_zone *zone, int64_t local_ns) {
  int64_t local_s = tl_floor_div(local_ns, TL_NS_PER_S);
  int32_t before_s = offset_at_s(zone, local_s - 86400), after_s = offset_at_s(zone, local_s + 86400);
  bool before_fits = offset_at_s(zone, local_s - before_s) == before_s;
  bool after_fits = offset_at_s(zone, local_s - after_s) == after_s;
  int32_t offset_s = before_s; /* right before the switch, and what a skipped time is read with */
  if (after_fits && (!before_fits || after_s > before_s)) offset_s = after_s; /* a larger offset is an earlier instant */
  return add_seconds_held(local_ns, -(int64_t)offset_s);
}

int64_t tl_zone_day_start_ns(const tl_zone *zone, int32_t day) {
  int64_t midnight_ns = tl_day_ns(day), at_ns = tl_zone_utc_ns(zone, midnight_ns), gap_ns, low_ns;
  if (__builtin_sub_overflow(tl_zone_local_ns(zone, at_ns), midnight_ns, &gap_ns) || gap_ns <= 0 ||
      __builtin_sub_overflow(at_ns, gap_ns, &low_ns))
    return at_ns;
  while (at_ns - low_ns > 1) { /* the clock jumped over midnight: the day begins with the jump */
    int64_t middle_ns = low_ns + (at_ns - low_ns) / 2;
    if (tl_zone_local_ns(zone, middle_ns) < midnight_ns) low_ns = middle_ns;
    else at_ns = middle_ns;
  }
  return at_ns;
}

int32_t tl_zone_day(const tl_zone *zone, int64_t ns) {
  return (int32_t)tl_floor_div(tl_floor_div(ns, TL_NS_PER_S) + tl_zone_offset_s(zone, ns), 86400);
}
