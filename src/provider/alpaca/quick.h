/* quick.h - rows in the form the vendor writes them, at the machine's speed.
 * The usual form: no white space, known members each once (quickest in the two orders the vendor is known to write, and
 * in any other), prices and counts as plain digits (at most
 * 15 of a price), times in UTC, one-letter texts and condition lists that were met before. Anything else is left to the
 * general path, which also teaches this one the texts it meets. */
#ifndef TL_PROVIDER_ALPACA_QUICK_H
#define TL_PROVIDER_ALPACA_QUICK_H
#include "market/time.h"
#include "provider/alpaca/rows.h"

enum { ALPACA_SHORT_LISTS_MAX = 64, ALPACA_LISTS_MAX = 512, ALPACA_LIST_WORDS = 3 };

typedef struct alpaca_quick { /* lives in page->scratch; plain memory */
  const tl_words *words;      /* the pool the codes below are of */
  tl_time_cache times;
  uint64_t minute[2];         /* "2024-01-02T09:30" of the last tick, and its start */
  int64_t minute_ns;
  uint32_t letters[256];      /* code + 1 of a one-letter text; 0 when it was not met */
  struct alpaca_short_list {  /* lists of at most 8 bytes, ["R"] */
    uint64_t raw;             /* the list as it stands in the page, zero behind; 0 is free */
    uint32_t code;
  } short_lists[ALPACA_SHORT_LISTS_MAX];
  struct alpaca_list {        /* lists of at most 24 bytes */
    uint64_t raw[ALPACA_LIST_WORDS];
    uint32_t code;
  } lists[ALPACA_LISTS_MAX];
} alpaca_quick;

/* The memory of this page's caches, made at the first call and emptied when the pool of words is another one. */
tl_status alpaca_quick_of(tl_page *page, alpaca_quick **out, tl_error *err);

void alpaca_quick_learn_letter(alpaca_quick *quick, tl_text content, uint32_t code);
void alpaca_quick_learn_list(alpaca_quick *quick, tl_text raw, uint32_t code);

/* Adds rows from p (at a '{') on while they are in the usual form and there is room in the batch. Gives the byte after
 * the last row taken and *between = true, or the '{' of a row it did not take and *between = false. */
const char *alpaca_quick_rows(alpaca_quick *quick, tl_batch *batch, const char *p, const char *end, bool *between);
#endif
