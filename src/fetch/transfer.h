/* transfer.h - the life of one request chain as a pure state machine: no curl, no clock, no threads. The driver reports
 * what happened and obeys the new state; waits are spans, not moments.
 *
 *     SEND --sent--> IN_FLIGHT --page taken, token--> SEND           --page taken, no token--> DONE
 *                              --trouble--> WAIT --over--> SEND      --out of tries, refused--> FAILED
 *
 * A page has 1 + retries tries; a page that was taken gives the next one all of them again. A 429 spends none. */
#ifndef TL_FETCH_TRANSFER_H
#define TL_FETCH_TRANSFER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"
#include "base/status.h"
#include "fetch/verdict.h"

typedef enum tl_transfer_state { TRANSFER_SEND, TRANSFER_IN_FLIGHT, TRANSFER_WAIT, TRANSFER_DONE, TRANSFER_FAILED } tl_transfer_state;

typedef struct tl_transfer {
  tl_transfer_state state;
  uint32_t failures, retries_max; /* of the page that is asked for now */
  uint32_t refusals;              /* 429s in a row */
  int64_t wait_ns;                /* in TRANSFER_WAIT: how long */
  tl_prng jitter;
  uint64_t *tokens; /* hashes of all tokens this chain was given */
  size_t token_count, token_max;
} tl_transfer;

void tl_transfer_init(tl_transfer *t, uint32_t retries_max, uint64_t seed);
void tl_transfer_deinit(tl_transfer *t);

void tl_transfer_on_sent(tl_transfer *t);
tl_transfer_state tl_transfer_on_page(tl_transfer *t, bool has_next); /* a page was taken */
tl_transfer_state tl_transfer_on_trouble(tl_transfer *t, tl_verdict v, int64_t retry_after_ns); /* any verdict but DECODE; -1: not told */
void tl_transfer_on_wait_over(tl_transfer *t);

bool tl_transfer_knows_token(const tl_transfer *t, const char *token); /* the provider gave it before: it is going in circles */
tl_status tl_transfer_add_token(tl_transfer *t, const char *token, tl_error *err);
#endif
