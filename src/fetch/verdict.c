/* verdict.c - the table; first row that fits wins. */
#include "fetch/verdict.h"

#include <limits.h>
#include <string.h>

static const struct {
  int code_min, code_max;
  bool only_bad_symbol;
  tl_verdict verdict;
} http_verdicts[] = {
    {200, 200, false, VERDICT_DECODE},
    {400, 400, true, VERDICT_BISECT},
    {401, 401, false, VERDICT_FATAL_ALL},
    {408, 408, false, VERDICT_RETRY},
    {422, 422, true, VERDICT_BISECT}, /* older form of 400 */
    {425, 425, false, VERDICT_RETRY},
    {429, 429, false, VERDICT_SLOW_DOWN},
    {500, 599, false, VERDICT_RETRY},
    {INT_MIN, INT_MAX, false, VERDICT_FATAL}, /* 400, 403, 404, redirects, surprises */
};

static const struct {
  tl_status status;
  tl_verdict verdict;
} transport_verdicts[] = {
    {TL_ENET, VERDICT_RETRY},
    {TL_ELIMIT, VERDICT_RETRY}, /* a body without end may be this answer's fault alone */
    {TL_EDECODE, VERDICT_RETRY},
};

tl_verdict tl_verdict_of(tl_status transport, bool hopeless, int http_code, bool bad_symbol) {
  if (transport) {
    for (size_t i = 0; !hopeless && i < sizeof transport_verdicts / sizeof *transport_verdicts; i++)
      if (transport_verdicts[i].status == transport) return transport_verdicts[i].verdict;
    return VERDICT_FATAL;
  }
  size_t i = 0;
  while (http_code < http_verdicts[i].code_min || http_code > http_verdicts[i].code_max || (http_verdicts[i].only_bad_symbol && !bad_symbol)) i++;
  return http_verdicts[i].verdict;
}

tl_status tl_verdict_status(int http_code) {
  return http_code == 401 ? TL_EAUTH : http_code == 404 ? TL_ENOTFOUND : TL_EHTTP;
}

void tl_verdict_plain_text(const char *body, size_t len, char *text, size_t size_bytes) {
  size_t used = 0;
  bool in_tag = false, blank = false;
  size_t i = 0;
  for (; i < len && used + 5 < size_bytes; i++) {
    unsigned char c = (unsigned char)body[i];
    if (c == '<') in_tag = true;
    bool visible = !in_tag && c > ' ' && c != 0x7F;
    if (c == '>') in_tag = false;
    if (!visible) {
      blank = true; /* a tag parts words too */
      continue;
    }
    if (blank && used) text[used++] = ' ';
    blank = false;
    text[used++] = (char)c;
  }
  if (i < len) { /* no half character at the cut */
    while (used && ((unsigned char)text[used - 1] & 0xC0u) == 0x80u) used--;
    if (used && (unsigned char)text[used - 1] >= 0x80u) used--;
  }
  text[used] = 0;
}
