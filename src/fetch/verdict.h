/* verdict.h - what an answer or a broken transfer means for its page. A table and no state. */
#ifndef TL_FETCH_VERDICT_H
#define TL_FETCH_VERDICT_H
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

typedef enum tl_verdict {
  VERDICT_DECODE,    /* a page: look inside */
  VERDICT_RETRY,     /* ask again, spends a try */
  VERDICT_SLOW_DOWN, /* too fast: wait, spends no try */
  VERDICT_BISECT,    /* one bad symbol among the asked: the chain ends, its owner may split it */
  VERDICT_FATAL,     /* the chain ends */
  VERDICT_FATAL_ALL  /* the key is refused: every chain ends */
} tl_verdict;

/* `transport` is TL_OK when an answer came, whose code is http_code; else why none came. `hopeless`: the same would
 * happen again. `bad_symbol`: the provider says that one symbol spoiled the request. */
tl_verdict tl_verdict_of(tl_status transport, bool hopeless, int http_code, bool bad_symbol);

tl_status tl_verdict_status(int http_code); /* TL_EAUTH for 401, TL_ENOTFOUND for 404, else TL_EHTTP */

/* One line for people out of an error body nobody understood: tags and control bytes out, blanks joined, cut. */
void tl_verdict_plain_text(const char *body, size_t len, char *text, size_t size_bytes);
#endif
