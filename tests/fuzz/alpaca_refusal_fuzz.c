/* Any bytes as the body of an error: the text is one line of UTF-8 that is never empty, and a symbol comes only with
 * bad_symbol. The first byte picks the HTTP code. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provider/alpaca/alpaca.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "alpaca_refusal_fuzz: %s\n", what);
  abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int codes[] = {400, 401, 403, 422, 429, 500, 0};
  if (!size) return 0;
  tl_refusal refusal;
  memset(&refusal, 0x55, sizeof refusal);
  tl_alpaca_refusal(codes[data[0] % 7], (const char *)data + 1, size - 1, &refusal);
  size_t len = strnlen(refusal.text, sizeof refusal.text);
  check(len > 0 && len < sizeof refusal.text, "an empty or endless text");
  for (size_t i = 0; i < len;) {
    size_t step = tl_utf8_length(refusal.text + i, len - i);
    check(step && (unsigned char)refusal.text[i] >= ' ' && refusal.text[i] != 0x7f, "a text that is no line of UTF-8");
    i += step;
  }
  check(strnlen(refusal.symbol, sizeof refusal.symbol) < sizeof refusal.symbol, "an endless symbol");
  check(refusal.bad_symbol || !refusal.symbol[0], "a symbol that is not bad");
  return 0;
}
