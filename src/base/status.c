/* status.c - names of statuses and the one way to fill a tl_error. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *tl_status_text(tl_status status) {
  switch (status) {
#define X(name, value, text) \
  case name: return text;
    TL_STATUS_MAP(X)
#undef X
  }
  return "unknown status";
}

/* A message cut in the middle of a character would make logs and JSON invalid UTF-8. */
static void trim_partial_character(char *text) {
  size_t len = strlen(text);
  size_t back = 0;
  while (back < len && back < 3 && ((unsigned char)text[len - 1 - back] & 0xC0u) == 0x80u) back++;
  if (back >= len) return;
  unsigned char lead = (unsigned char)text[len - 1 - back];
  size_t need = lead >= 0xF0u ? 3 : lead >= 0xE0u ? 2 : lead >= 0xC0u ? 1 : 0;
  if (need > back) text[len - 1 - back] = 0;
}

static void fill(tl_error *err, tl_status status, const char *format, va_list args) {
  err->status = status;
  err->http_code = 0;
  int n = vsnprintf(err->message, sizeof err->message, format, args);
  if (n < 0) err->message[0] = 0;
  if ((size_t)n >= sizeof err->message) trim_partial_character(err->message);
}

tl_status tl_fail(tl_error *err, tl_status status, const char *format, ...) {
  if (!err) return status;
  va_list args;
  va_start(args, format);
  fill(err, status, format, args);
  va_end(args);
  return status;
}

tl_status tl_fail_errno(tl_error *err, int code, const char *format, ...) {
  if (!err) return TL_EIO;
  va_list args;
  va_start(args, format);
  fill(err, TL_EIO, format, args);
  va_end(args);
  char reason[128];
  size_t used = strlen(err->message);
  snprintf(err->message + used, sizeof err->message - used, ": %s", strerror_r(code, reason, sizeof reason));
  return TL_EIO;
}

tl_status tl_fail_within(tl_error *err, tl_status status, const char *format, ...) {
  if (!err) return status;
  char inner[sizeof err->message];
  memcpy(inner, err->message, sizeof inner);
  int http_code = err->http_code;
  va_list args;
  va_start(args, format);
  fill(err, status, format, args);
  va_end(args);
  err->http_code = http_code;
  size_t used = strlen(err->message);
  snprintf(err->message + used, sizeof err->message - used, ": %s", inner);
  trim_partial_character(err->message);
  return status;
}
