/* http_header.c - a table of the few header lines that matter here. */
#include "net/http_header.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

/* Plain decimal digits only; -1 for anything else: a sign, a fraction, an overflow, nothing at all. */
static int64_t read_count(const char *value) {
  int64_t n = 0;
  if (!*value) return -1;
  for (; *value; value++) {
    if (*value < '0' || *value > '9') return -1;
    if (__builtin_mul_overflow(n, (int64_t)10, &n) || __builtin_add_overflow(n, (int64_t)(*value - '0'), &n)) return -1;
  }
  return n;
}

static bool take_encoding(tl_http_answer *a, const char *value) {
  if (!*value || !strcasecmp(value, "identity")) return true;
  if (!strcasecmp(value, "gzip") || !strcasecmp(value, "x-gzip")) {
    if (a->gzip) goto refuse; /* twice compressed */
    return a->gzip = true;
  }
refuse:
  a->status = TL_ENET;
  snprintf(a->reason, sizeof a->reason, "the answer came in content coding '%.40s', which was not asked for", value);
  return false;
}

static bool take_retry_after(tl_http_answer *a, const char *value) {
  int64_t seconds = read_count(value);
  if (seconds < 0 && strlen(value) > 10) { /* an HTTP-date is never shorter */
    int64_t at_s = (int64_t)curl_getdate(value, NULL);
    seconds = at_s > 0 ? at_s - tl_clock_now_ns() / TL_NS_PER_S : -1;
  }
  if (seconds < 0) return true;
  if (__builtin_mul_overflow(seconds, TL_NS_PER_S, &a->retry_after_ns)) a->retry_after_ns = INT64_MAX;
  return true;
}

static bool take_rate_limit(tl_http_answer *a, const char *value) { return a->rate_limit = read_count(value), true; }
static bool take_rate_remaining(tl_http_answer *a, const char *value) { return a->rate_remaining = read_count(value), true; }
static bool take_rate_reset(tl_http_answer *a, const char *value) { return a->rate_reset_s = read_count(value), true; }

static const struct {
  const char *name;
  bool (*take)(tl_http_answer *answer, const char *value);
} headers[] = {
    {"content-encoding", take_encoding},
    {"retry-after", take_retry_after},
    {"x-ratelimit-limit", take_rate_limit},
    {"x-ratelimit-remaining", take_rate_remaining},
    {"x-ratelimit-reset", take_rate_reset},
};

void tl_http_header_reset(tl_http_answer *a) {
  a->gzip = false;
  a->retry_after_ns = a->rate_limit = a->rate_remaining = a->rate_reset_s = -1;
}

bool tl_http_header_take(tl_http_answer *answer, const char *line, size_t len) {
  if (len > 5 && !memcmp(line, "HTTP/", 5)) { /* a 1xx answer may come before the real one */
    tl_http_header_reset(answer);
    return true;
  }
  const char *colon = memchr(line, ':', len);
  if (!colon) return true;
  size_t name_len = (size_t)(colon - line);
  const char *value = colon + 1, *end = line + len;
  while (value < end && (*value == ' ' || *value == '\t')) value++;
  while (end > value && (unsigned char)end[-1] <= ' ') end--;
  char text[80];
  if ((size_t)(end - value) >= sizeof text) return true; /* none of ours is so long */
  memcpy(text, value, (size_t)(end - value));
  text[end - value] = 0;
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
    if (strlen(headers[i].name) == name_len && !strncasecmp(headers[i].name, line, name_len)) return headers[i].take(answer, text);
  return true;
}
