/* path.c - names of files between log and store, and the text of partition values.
 * The store holds names as they are; add.path is that name URI-encoded once more (a name with %2F in it has %252F in the
 * log), or, of a file elsewhere, a URI. Instants have two spellings in foreign logs; here they have one. Pure. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "market/time.h"
#include "table/delta/delta.h"

static bool plain(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c && strchr("._~-/=", c));
}

static int nibble(char c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; }

static tl_status decode(const char *path, tl_buf *out, tl_error *err) {
  tl_status st = tl_buf_reserve(out, strlen(path) + 1, err);
  for (const char *at = path; !st && *at;) {
    size_t plain_len = strcspn(at, "%");
    st = tl_buf_append(out, at, plain_len, err);
    at += plain_len;
    if (st || !*at) break;
    int high = nibble(at[1]), low = high >= 0 ? nibble(at[2]) : -1;
    if (low < 0 || (high == 0 && low == 0)) return tl_fail(err, TL_ECORRUPT, "the path '%.200s' of the log is no URI", path);
    const char byte = (char)(high * 16 + low);
    st = tl_buf_append(out, &byte, 1, err);
    at += 3;
  }
  return st;
}

/* "s3://", "file:/": letters, digits, +-. and a colon with a slash behind it. */
static bool has_scheme(const char *path) {
  size_t len = strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
  return len > 1 && path[len] == ':' && path[len + 1] == '/';
}

tl_status tl_delta_path_write(const char *key, tl_buf *path, tl_error *err) {
  static const char hex[] = "0123456789ABCDEF";
  size_t scheme = has_scheme(key) ? strcspn(key, ":") + 1 : 0;
  tl_status st = tl_buf_reserve(path, strlen(key) * 3 + 1, err);
  if (!st) st = tl_buf_append(path, key, scheme, err);
  for (const char *at = key + scheme; !st && *at; at++) {
    unsigned byte = (unsigned char)*at;
    const char escaped[3] = {'%', hex[byte >> 4], hex[byte & 15]};
    st = plain(*at) ? tl_buf_append(path, at, 1, err) : tl_buf_append(path, escaped, 3, err);
  }
  return st;
}

/* The path behind spellings of one place: file:/x, file:///x and /x; s3:, s3a: and s3n:. */
static const char *bare(const char *uri) {
  static const char *const schemes[] = {"s3a://", "s3n://", "s3://"};
  for (size_t i = 0; i < 3; i++)
    if (!strncmp(uri, schemes[i], strlen(schemes[i]))) return uri + strlen(schemes[i]);
  if (strncmp(uri, "file:", 5) != 0) return uri;
  uri += 5;
  while (uri[0] == '/' && uri[1] == '/') uri++;
  return uri;
}

static bool leaves(const char *path) { /* a part is empty, "." or ".." */
  for (const char *at = path;;) {
    size_t len = strcspn(at, "/");
    if (len == 0 || (len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.')) return true;
    if (!at[len]) return false;
    at += len + 1;
  }
}

tl_status tl_delta_path_read(const char *base, const char *path, tl_buf *key, tl_error *err) {
  bool elsewhere = path[0] == '/' || has_scheme(path);
  size_t before = key->len;
  tl_status st = decode(path, key, err);
  if (st) return st;
  if (elsewhere) {
    const char *here = bare(base), *there = bare(key->data + before);
    size_t len = strlen(here);
    if (!strncmp(here, there, len) && there[len] == '/' && (here[0] == '/') == (there[0] == '/')) {
      size_t skip = (size_t)(there - key->data) - before + len + 1;
      memmove(key->data + before, key->data + before + skip, key->len - before - skip + 1);
      key->len -= skip;
      elsewhere = false;
    }
  }
  if (elsewhere || !leaves(key->data + before)) return TL_OK;
  return tl_fail(err, TL_ECORRUPT, "the path '%.200s' of the log is not below the table", path);
}

/* ---- instants of any year ---- */

static bool two(const char *at, int max, int *out) {
  if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9') return false;
  *out = (at[0] - '0') * 10 + (at[1] - '0');
  return *out <= max;
}

/* "Z", "+HH:MM", "+HHMM" or nothing. */
static bool parse_offset(const char *at, const char *end, int64_t *out_s) {
  int hours, minutes;
  *out_s = 0;
  if (at == end || (end - at == 1 && (*at == 'Z' || *at == 'z'))) return true;
  if ((*at != '+' && *at != '-') || (end - at != 6 && end - at != 5)) return false;
  const char *rest = at + (end - at == 6 ? 4 : 3);
  if ((end - at == 6 && at[3] != ':') || !two(at + 1, 18, &hours) || !two(rest, 59, &minutes)) return false;
  *out_s = (hours * 3600 + minutes * 60) * (*at == '-' ? -1 : 1);
  return true;
}

bool tl_delta_instant_parse(const char *text, size_t len, int64_t *out_us, unsigned *fraction_digits) {
  const char *end = text + len, *at = text + 19;
  int32_t day;
  int hours, minutes, seconds;
  int64_t us = 0, offset_s;
  *fraction_digits = 0;
  if (len < 19 || !tl_day_parse(text, 10, &day) || (text[10] != 'T' && text[10] != ' ') || text[13] != ':' || text[16] != ':') return false;
  if (!two(text + 11, 23, &hours) || !two(text + 14, 59, &minutes) || !two(text + 17, 59, &seconds)) return false;
  if (at < end && *at == '.') {
    int64_t unit = 100000;
    for (at++; at < end && *at >= '0' && *at <= '9' && *fraction_digits < 9; at++, unit /= 10, ++*fraction_digits) us += (*at - '0') * unit;
    if (!*fraction_digits) return false;
  }
  if (!parse_offset(at, end, &offset_s)) return false;
  *out_us = (((int64_t)day * 86400 + hours * 3600 + minutes * 60 + seconds) - offset_s) * 1000000 + us;
  return true;
}

bool tl_delta_instant_format(int64_t us, unsigned digits, bool zone, char separator, char out[40]) {
  int64_t day_us = INT64_C(86400000000), day = tl_floor_div(us, day_us), rest = us - day * day_us;
  char date[TL_DAY_TEXT_MAX], fraction[8];
  if (day < tl_day_from_civil(1, 1, 1) || day > tl_day_from_civil(9999, 12, 31)) return false;
  tl_day_format((int32_t)day, date);
  snprintf(fraction, sizeof fraction, "%06d", (int)(rest % 1000000));
  int seconds = (int)(rest / 1000000);
  snprintf(out, 40, "%s%c%02d:%02d:%02d.%.*s%s", date, separator, seconds / 3600, seconds / 60 % 60, seconds % 60, (int)digits,
           fraction, zone ? "Z" : "");
  return true;
}

/* ---- partition values ---- */

static bool is_instant(const tl_field *field) { return field->type == TL_FIELD_TIMESTAMP || field->type == TL_FIELD_TIMESTAMP_NTZ; }

/* \u0001\u00FF, as the format spells bytes -> \x01\xFF, as the engine does. Others write bytes as they are. */
static void respell_bytes(char *text) {
  size_t len = strlen(text), to = 0;
  for (size_t i = 0; i < len; i += 6)
    if (len - i < 6 || strncasecmp(text + i, "\\u00", 4) != 0 || tl_hex_digit(text[i + 4]) < 0 || tl_hex_digit(text[i + 5]) < 0) return;
  for (size_t i = 0; i < len; i += 6) {
    const char byte[] = {'\\', 'x', text[i + 4], text[i + 5]};
    memcpy(text + to, byte, sizeof byte);
    to += sizeof byte;
  }
  text[to] = 0;
}

tl_status tl_delta_value_read(const tl_field *field, const char *text, char **out, tl_error *err) {
  char instant[40];
  int64_t us;
  unsigned digits;
  *out = NULL;
  if (!text || !*text) return TL_OK;
  if (is_instant(field) && tl_delta_instant_parse(text, strlen(text), &us, &digits) && tl_delta_instant_format(us, 6, true, 'T', instant))
    text = instant;
  *out = tl_strdup(text);
  if (*out && field->type == TL_FIELD_BINARY) respell_bytes(*out);
  return *out ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot hold a partition value");
}

tl_status tl_delta_value_write(const tl_field *field, const char *text, tl_buf *out, tl_error *err) {
  char instant[40];
  int64_t us;
  unsigned digits;
  if (field->type == TL_FIELD_TIMESTAMP_NTZ && tl_delta_instant_parse(text, strlen(text), &us, &digits) &&
      tl_delta_instant_format(us, 6, false, ' ', instant))
    text = instant;
  return tl_buf_appends(out, text, err);
}
