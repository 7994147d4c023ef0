/* decode.h - stage 3: the pages of one request chain, in order, as rows that are new, in order and asked for.
 *
 * The provider reads a page; this puts it in its place in the chain:
 *  - rows at the head of a symbol's run that equal, in order, the tail of that symbol's rows so far (what an older
 *    meaning of the page token repeats) are dropped and counted; at most the last TL_DECODER_TAIL_MAX rows are compared,
 *  - rows of a run that are out of order are sorted by time, equal times in the order they came,
 *  - a row outside the asked range (bars of a day and longer: one that does not overlap it), a time that goes back from one page to the next, a symbol that comes again after
 *    another page had gone on to others: TL_EDECODE, and the chain stays as it was, so the page may be asked again.
 * Callers may rely on: after TL_OK the runs of the page are the new rows, each run sorted, and the rows of a symbol
 * over all pages ascend in time. Rows of the batch outside the runs (a dropped head that is not at the very front) are
 * no part of the page: take rows by run, count them by tl_page_rows.
 * Cost: one comparison a row and a copy of the last few rows. Memory: TL_DECODER_TAIL_MAX rows and 16 bytes a symbol.
 * One decoder per chain, one thread at a time. Not here: fetching, repeated tokens (fetch/), what the rows become. */
#ifndef TL_DECODE_DECODE_H
#define TL_DECODE_DECODE_H
#include "provider/provider.h"

enum { TL_DECODER_TAIL_MAX = 1024 };

typedef struct tl_decoder { /* {0} is ready */
  struct tl_decoder_symbol *symbols; /* by index of the ask */
  size_t symbol_count;
  tl_batch tail, next_tail;          /* last rows of the symbols the next page may go on with */
  uint64_t repeated_rows;            /* dropped so far; for the caller to read */
  tl_status (*token_check)(const char *token, tl_error *err); /* may be NULL; a page whose next token it refuses is not taken */
} tl_decoder;

void tl_decoder_deinit(tl_decoder *decoder); /* {0} and twice are fine */

/* The next page of the chain `ask`, whose symbols and range must be the same in all calls. Fails as the provider's page() does, and with
 * TL_EDECODE for a page out of its place; then `page` is empty. */
tl_status tl_decoder_page(tl_decoder *decoder, const tl_provider *provider, const tl_ask *ask, const char *body,
                          size_t len, tl_page *page, tl_error *err);
#endif
