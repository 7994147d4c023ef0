/* tally.h - what was asked and answered: counts, the last request lines, page numbers, and the rate limit per key.
 * Thread-safe. */
#ifndef TL_SIM_TALLY_H
#define TL_SIM_TALLY_H
#include <stdint.h>

#include "base/buf.h"

typedef struct sim_tally sim_tally;
tl_status sim_tally_open(sim_tally **out, tl_error *err);
void sim_tally_close(sim_tally *tally); /* NULL is fine */
void sim_tally_reset(sim_tally *tally);

/* Numbers a data request from 1 and answers its number. */
uint64_t sim_tally_request(sim_tally *tally);
/* Once it is answered. `fault` may be NULL. */
void sim_tally_answer(sim_tally *tally, uint64_t number, tl_text target, uint32_t page, int status, const char *fault);
void sim_tally_bytes(sim_tally *tally, size_t sent);
void sim_tally_connection(sim_tally *tally, int change); /* +1 opened, -1 closed */
tl_status sim_tally_print(sim_tally *tally, tl_buf *out, tl_error *err); /* one JSON object */

/* Pages of a chain are numbered from 1; the number is remembered under the token that leads there. */
uint32_t sim_tally_page(sim_tally *tally, uint64_t query_hash, uint64_t token_hash); /* token_hash 0: page 1 */
void sim_tally_page_set(sim_tally *tally, uint64_t query_hash, uint64_t token_hash, uint32_t page);

typedef struct sim_rate { /* state of the bucket after a request, for the headers */
  uint32_t limit, remaining;
  int64_t reset_s; /* epoch second at which it is full again */
} sim_rate;
/* Takes one token of `key`'s bucket (burst `per_minute`, refill per_minute / 60 s). False: none left. */
bool sim_tally_take(sim_tally *tally, uint64_t key_hash, uint32_t per_minute, int64_t mono_ns, int64_t now_ns, sim_rate *out);
#endif
