/* jsonscan.c - see jsonscan.h. */
#include "provider/alpaca/jsonscan.h"

#include "json/read.h"
#include "market/number.h"

tl_status alpaca_scan_fail(const alpaca_scan *scan, const char *expected) {
  return tl_fail(scan->err, TL_EDECODE, "expected %s at byte %zu of an answer of alpaca%s", expected,
                 (size_t)(scan->at - scan->body), scan->at == scan->end ? ", where it ends" : "");
}

tl_status alpaca_scan_open(alpaca_scan *scan, char bracket, const char *expected) {
  if (!alpaca_scan_take(scan, bracket)) return alpaca_scan_fail(scan, expected);
  if (++scan->depth > TL_JSON_DEPTH_MAX) return alpaca_scan_fail(scan, "fewer levels of brackets");
  return TL_OK;
}

void alpaca_scan_close(alpaca_scan *scan) { scan->depth--; }

/* Four hex digits at `at`; -1 when they are not. */
static int32_t scan_hex4(alpaca_scan *scan) {
  int32_t value = 0;
  if (scan->end - scan->at < 4) return -1;
  for (int i = 0; i < 4; i++) {
    int digit = tl_hex_digit(scan->at[i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  scan->at += 4;
  return value;
}

static size_t encode_utf8(uint32_t point, char out[4]) {
  if (point < 0x80) {
    out[0] = (char)point;
    return 1;
  }
  size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
  for (size_t i = len - 1; i > 0; i--, point >>= 6) out[i] = (char)(0x80u | (point & 0x3Fu));
  out[0] = (char)(leads[len] | point);
  return len;
}

static tl_status scan_unicode(alpaca_scan *scan) {
  int32_t high = scan_hex4(scan);
  uint32_t point = (uint32_t)high;
  if (high < 0 || (high >= 0xDC00 && high <= 0xDFFF)) return alpaca_scan_fail(scan, "the four hex digits of a character");
  if (high >= 0xD800 && high <= 0xDBFF) {
    if (scan->end - scan->at < 2 || scan->at[0] != '\\' || scan->at[1] != 'u') return alpaca_scan_fail(scan, "a low surrogate");
    scan->at += 2;
    int32_t low = scan_hex4(scan);
    if (low < 0xDC00 || low > 0xDFFF) return alpaca_scan_fail(scan, "a low surrogate");
    point = 0x10000u + (((uint32_t)high - 0xD800u) << 10) + ((uint32_t)low - 0xDC00u);
  }
  char bytes[4];
  return tl_buf_append(&scan->text, bytes, encode_utf8(point, bytes), scan->err);
}

static tl_status scan_escape(alpaca_scan *scan) { /* after the backslash */
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  if (scan->at == scan->end) return alpaca_scan_fail(scan, "an escaped character");
  char c = *scan->at;
  if (c == 'u') {
    scan->at++;
    return scan_unicode(scan);
  }
  const char *found = c ? strchr(names, c) : NULL;
  if (!found) return alpaca_scan_fail(scan, "an escaped character");
  scan->at++;
  return tl_buf_append(&scan->text, &values[found - names], 1, scan->err);
}

tl_status alpaca_scan_string(alpaca_scan *scan, tl_text *out) {
  if (!alpaca_scan_take(scan, '"')) return alpaca_scan_fail(scan, "a string");
  const char *start = scan->at; /* of the stretch without escapes that is not in `text` yet */
  bool escaped = false;
  while (scan->at < scan->end && *scan->at != '"') {
    unsigned char c = (unsigned char)*scan->at;
    if (c == '\\') {
      if (!escaped) tl_buf_clear(&scan->text);
      escaped = true;
      tl_status st = tl_buf_append(&scan->text, start, (size_t)(scan->at - start), scan->err);
      scan->at++;
      if (!st) st = scan_escape(scan);
      if (st) return st;
      start = scan->at;
      continue;
    }
    size_t len = c < 0x20 ? 0 : tl_utf8_length(scan->at, (size_t)(scan->end - scan->at));
    if (!len) return alpaca_scan_fail(scan, c < 0x20 ? "no control character" : "UTF-8");
    scan->at += len;
  }
  if (scan->at == scan->end) return alpaca_scan_fail(scan, "the end of a string");
  size_t len = (size_t)(scan->at - start);
  scan->at++;
  if (!escaped) {
    *out = tl_text_of(start, len);
    return TL_OK;
  }
  tl_status st = tl_buf_append(&scan->text, start, len, scan->err);
  *out = tl_text_of(scan->text.data, scan->text.len);
  return st;
}

tl_status alpaca_scan_key(alpaca_scan *scan, tl_text *out) {
  tl_status st = alpaca_scan_string(scan, out);
  if (st) return st;
  return alpaca_scan_take(scan, ':') ? TL_OK : alpaca_scan_fail(scan, "':'");
}

tl_status alpaca_scan_next(alpaca_scan *scan, char close, bool *more) {
  *more = alpaca_scan_take(scan, ',');
  if (*more || alpaca_scan_take(scan, close)) return TL_OK;
  return alpaca_scan_fail(scan, close == ']' ? "',' or ']'" : "',' or '}'");
}

static tl_status skip_nested(alpaca_scan *scan, bool object) {
  char close = object ? '}' : ']';
  tl_status st = alpaca_scan_open(scan, object ? '{' : '[', "a bracket");
  bool more = !st && !alpaca_scan_take(scan, close);
  alpaca_type type;
  tl_text text;
  while (!st && more) {
    if (object) st = alpaca_scan_key(scan, &text);
    if (!st) st = alpaca_scan_value(scan, &type, &text);
    if (!st) st = alpaca_scan_next(scan, close, &more);
  }
  alpaca_scan_close(scan);
  return st;
}

static tl_status scan_word(alpaca_scan *scan, const char *word) {
  size_t len = strlen(word);
  if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0) return alpaca_scan_fail(scan, "a value");
  scan->at += len;
  return TL_OK;
}

tl_status alpaca_scan_value(alpaca_scan *scan, alpaca_type *type, tl_text *text) {
  tl_decimal number;
  *text = tl_text_of("", 0);
  alpaca_scan_space(scan);
  switch (scan->at < scan->end ? *scan->at : 0) {
  case '"': *type = ALPACA_STRING; return alpaca_scan_string(scan, text);
  case '{': *type = ALPACA_OBJECT; return skip_nested(scan, true);
  case '[': *type = ALPACA_ARRAY; return skip_nested(scan, false);
  case 'n': *type = ALPACA_NULL; return scan_word(scan, "null");
  case 't': *type = ALPACA_BOOL; return scan_word(scan, "true");
  case 'f': *type = ALPACA_BOOL; return scan_word(scan, "false");
  default: break;
  }
  const char *after = tl_decimal_scan(scan->at, scan->end, &number);
  if (!after) return alpaca_scan_fail(scan, "a value");
  *type = ALPACA_NUMBER;
  *text = tl_text_of(scan->at, (size_t)(after - scan->at));
  scan->at = after;
  return TL_OK;
}
