/* limits.c - what Alpaca refuses, and how it says so: JSON {"message": ...}, an nginx page in HTML, or plain text. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "json/read.h"
#include "provider/alpaca/alpaca.h"

enum { SYMBOL_BYTES_MAX = 200, REFUSAL_BYTES_MAX = 64 * 1024 };

/* Only what cannot stand in the `symbols` list is refused here; whether such a symbol exists, the vendor decides. */
bool tl_alpaca_symbol_ok(const char *symbol, tl_error *err) {
  size_t len = strlen(symbol);
  if (!len || len > SYMBOL_BYTES_MAX) {
    tl_fail(err, TL_EUSAGE, "a symbol of alpaca has 1 to %d bytes, not %zu", SYMBOL_BYTES_MAX, len);
    return false;
  }
  if (strchr(symbol, ',')) {
    tl_fail(err, TL_EUSAGE, "symbol '%s' holds a comma, which parts symbols in a request to alpaca", symbol);
    return false;
  }
  return true;
}

/* One line: runs of white space and control bytes become one space. A cut never leaves half a UTF-8 sequence. */
static void copy_line(char *out, size_t size, const char *data, size_t len) {
  size_t n = 0;
  bool gap = false;
  for (size_t i = 0; i < len;) {
    if ((unsigned char)data[i] <= ' ' || data[i] == 0x7f) {
      gap = n > 0;
      i++;
      continue;
    }
    size_t step = tl_utf8_length(data + i, len - i);
    const char *bytes = step ? data + i : "?";
    size_t width = step ? step : 1;
    if (n + gap + width >= size) break;
    if (gap) out[n++] = ' ';
    gap = false;
    memcpy(out + n, bytes, width);
    n += width;
    i += width;
  }
  out[n] = 0;
}

static bool read_message(const char *body, size_t len, tl_refusal *out) {
  tl_json *json = NULL;
  tl_error ignored;
  if (tl_json_open(body, len, REFUSAL_BYTES_MAX, &json, &ignored)) return false;
  tl_text text;
  bool found = tl_json_string(tl_json_get(tl_json_root(json), "message"), &text);
  if (found) copy_line(out->text, sizeof out->text, text.data, text.len);
  tl_json_close(json);
  return found && out->text[0];
}

static const char *find_nocase(const char *data, const char *end, const char *word) {
  size_t len = strlen(word);
  for (; (size_t)(end - data) >= len; data++)
    if (strncasecmp(data, word, len) == 0) return data;
  return NULL;
}

/* The title of an HTML page; else its words without tags. */
static void read_words(const char *body, size_t len, tl_refusal *out) {
  const char *end = body + len;
  const char *title = find_nocase(body, end, "<title>");
  if (title) {
    title += strlen("<title>");
    const char *close = find_nocase(title, end, "</title>");
    copy_line(out->text, sizeof out->text, title, (size_t)((close ? close : end) - title));
    if (out->text[0]) return;
  }
  char plain[1024];
  size_t n = 0;
  bool tag = false;
  for (const char *p = body; p < end && n < sizeof plain; p++) {
    if (*p == '<') tag = true;
    if (!tag || *p == '>') plain[n++] = tag ? ' ' : *p;
    if (*p == '>') tag = false;
  }
  copy_line(out->text, sizeof out->text, plain, n);
}

static void find_symbol(tl_refusal *out) {
  static const char words[] = "invalid symbol: ";
  const char *end = out->text + strlen(out->text);
  const char *at = find_nocase(out->text, end, words);
  out->bad_symbol = at || find_nocase(out->text, end, "invalid symbol");
  if (!at) return;
  at += strlen(words);
  size_t len = strcspn(at, ","); /* all else can be part of a symbol; a name that is none of ours only costs a bisection */
  if (len < sizeof out->symbol) memcpy(out->symbol, at, len); /* the rest is zero already */
}

void tl_alpaca_refusal(int http_code, const char *body, size_t len, tl_refusal *out) {
  *out = (tl_refusal){0};
  if (len > REFUSAL_BYTES_MAX) len = REFUSAL_BYTES_MAX;
  if (!read_message(body, len, out)) read_words(body, len, out);
  if (http_code == 400 || http_code == 422) find_symbol(out);
  if (!out->text[0]) snprintf(out->text, sizeof out->text, "HTTP %d without a text", http_code);
}
