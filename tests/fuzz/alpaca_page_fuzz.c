/* Any bytes as a page of Alpaca: both decoders agree on the verdict and on everything they give; a refusal explains
 * itself and leaves no rows. The first byte picks the wire and how many symbols were asked for. */
#include <assert.h>
#include <stdlib.h>

#include "provider/alpaca/alpaca.h"
#include "tests/unit/provider/alpaca_pages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "alpaca_page_fuzz: %s\n", what);
  abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!size) return 0;
  tl_ask ask = {.wire = (tl_wire)(data[0] % 3), .interval = {1, TL_MINUTE}, .symbols = page_symbols,
                .symbol_count = data[0] & 8 ? 1 : 4, .feed = "sip"};
  const char *body = (const char *)data + 1;
  tl_words *words = NULL;
  if (tl_words_open(&words, NULL)) return 0;
  tl_page quick, plain;
  tl_error quick_err = {0}, plain_err = {0};
  tl_page_init(&quick, words);
  tl_page_init(&plain, words);
  tl_status quick_st = tl_alpaca_page(&ask, body, size - 1, &quick, &quick_err);
  tl_status plain_st = tl_alpaca_page_plain(&ask, body, size - 1, &plain, &plain_err);
  check(quick_st == plain_st, "the verdicts differ");
  check(*pages_differ(&quick, &plain) == 0, pages_differ(&quick, &plain));
  check(quick_st == TL_OK || (quick_err.message[0] && !quick.batch.rows && !quick.run_count), "a refusal left rows or gave no reason");
  if (quick_st == TL_OK) { /* once more with warm caches */
    check(tl_alpaca_page(&ask, body, size - 1, &quick, &quick_err) == TL_OK, "a second decode was refused");
    check(*pages_differ(&quick, &plain) == 0, "a second decode differs");
  }
  tl_page_deinit(&quick);
  tl_page_deinit(&plain);
  tl_words_close(words);
  return 0;
}
