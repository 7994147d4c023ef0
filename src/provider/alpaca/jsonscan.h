/* jsonscan.h - a strict JSON scanner over one page: white space, strings, numbers, values to skip.
 * Looks at no byte past `end`, checks grammar, UTF-8 and depth as json/read.h does, allocates only to unescape. */
#ifndef TL_PROVIDER_ALPACA_JSONSCAN_H
#define TL_PROVIDER_ALPACA_JSONSCAN_H
#include "provider/alpaca/rows.h"

typedef struct alpaca_scan {
  const char *body, *at, *end;
  int depth;    /* brackets open now */
  tl_buf text;  /* the last string that held escapes */
  tl_error *err;
} alpaca_scan;

/* TL_EDECODE that says what should have been at `at`. */
tl_status alpaca_scan_fail(const alpaca_scan *scan, const char *expected);

static inline void alpaca_scan_space(alpaca_scan *scan) {
  while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t')) scan->at++;
}

/* Skips white space, then takes `c` when it is there. */
static inline bool alpaca_scan_take(alpaca_scan *scan, char c) {
  alpaca_scan_space(scan);
  if (scan->at == scan->end || *scan->at != c) return false;
  scan->at++;
  return true;
}

tl_status alpaca_scan_open(alpaca_scan *scan, char bracket, const char *expected); /* takes it and counts the depth */
void alpaca_scan_close(alpaca_scan *scan);                                         /* after its end was taken */

/* A string with its quotes: the content, unescaped; valid until the next string. */
tl_status alpaca_scan_string(alpaca_scan *scan, tl_text *out);
tl_status alpaca_scan_key(alpaca_scan *scan, tl_text *out); /* a string and the colon */

/* Any value; of a string or number also its text. Lists and objects are checked and skipped. */
tl_status alpaca_scan_value(alpaca_scan *scan, alpaca_type *type, tl_text *text);

/* Between items: *more says whether another one follows; false when `close` was taken. */
tl_status alpaca_scan_next(alpaca_scan *scan, char close, bool *more);
#endif
