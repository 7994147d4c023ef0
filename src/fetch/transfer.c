/* transfer.c - see transfer.h. */
#include "fetch/transfer.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

static const int64_t RETRY_BASE_NS = 250 * TL_NS_PER_MS, REFUSAL_BASE_NS = 250 * TL_NS_PER_MS;
static const int64_t WAIT_MAX_NS = 60 * TL_NS_PER_S; /* the providers' window: after it a refusal says nothing any more */

void tl_transfer_init(tl_transfer *t, uint32_t retries_max, uint64_t seed) {
  *t = (tl_transfer){.state = TRANSFER_SEND, .retries_max = retries_max, .jitter = tl_prng_init(seed)};
}

void tl_transfer_deinit(tl_transfer *t) {
  tl_free(t->tokens);
  t->tokens = NULL;
  t->token_count = t->token_max = 0;
}

void tl_transfer_on_sent(tl_transfer *t) { t->state = TRANSFER_IN_FLIGHT; }
void tl_transfer_on_wait_over(tl_transfer *t) { t->state = TRANSFER_SEND; }

tl_transfer_state tl_transfer_on_page(tl_transfer *t, bool has_next) {
  t->failures = t->refusals = 0;
  return t->state = has_next ? TRANSFER_SEND : TRANSFER_DONE;
}

static int64_t doubled(int64_t base_ns, uint32_t times) {
  return times >= 16 || base_ns << times > WAIT_MAX_NS ? WAIT_MAX_NS : base_ns << times;
}

static int64_t capped(int64_t wait_ns) { return wait_ns < WAIT_MAX_NS ? wait_ns : WAIT_MAX_NS; }

tl_transfer_state tl_transfer_on_trouble(tl_transfer *t, tl_verdict v, int64_t retry_after_ns) {
  switch (v) {
  case VERDICT_SLOW_DOWN:
    t->wait_ns = retry_after_ns >= 0 ? capped(retry_after_ns) : doubled(REFUSAL_BASE_NS, t->refusals);
    if (t->wait_ns < REFUSAL_BASE_NS) t->wait_ns = REFUSAL_BASE_NS; /* "Retry-After: 0" must not become a hot loop */
    t->refusals++;
    return t->state = TRANSFER_WAIT;
  case VERDICT_RETRY:
    if (t->failures >= t->retries_max) return t->state = TRANSFER_FAILED;
    t->wait_ns = retry_after_ns >= 0 ? capped(retry_after_ns)
                                     : (int64_t)tl_prng_below(&t->jitter, (uint64_t)doubled(RETRY_BASE_NS, t->failures) + 1);
    t->failures++;
    return t->state = TRANSFER_WAIT;
  case VERDICT_DECODE:
  case VERDICT_BISECT:
  case VERDICT_FATAL:
  case VERDICT_FATAL_ALL: break;
  }
  return t->state = TRANSFER_FAILED;
}

static uint64_t hash_token(const char *token) {
  uint64_t h = UINT64_C(0x51ed270b7a1f2e35);
  for (; *token; token++) h = tl_prng_mix((h ^ (unsigned char)*token) + UINT64_C(0x9e3779b97f4a7c15));
  return h;
}

bool tl_transfer_knows_token(const tl_transfer *t, const char *token) {
  uint64_t hash = hash_token(token);
  for (size_t i = 0; i < t->token_count; i++)
    if (t->tokens[i] == hash) return true;
  return false;
}

tl_status tl_transfer_add_token(tl_transfer *t, const char *token, tl_error *err) {
  if (t->token_count == t->token_max) {
    size_t more = t->token_max ? t->token_max * 2 : 16;
    uint64_t *grown = tl_realloc_array(t->tokens, more, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot remember a page token");
    t->tokens = grown;
    t->token_max = more;
  }
  t->tokens[t->token_count++] = hash_token(token);
  return TL_OK;
}
