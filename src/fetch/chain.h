/* chain.h - what fetch.c, loop.c and worker.c share: a chain's record and the fetch around it. Inside fetch/ only.
 *
 * A chain is in exactly one place at a time: waiting (not started) -> ready -> in flight (net/) -> a worker -> mail ->
 * ready or resting (waits out a back-off) -> ... -> ended. Only `waiting`, `mail` and `benches` are shared with other
 * threads and need the lock; the rest belongs to the network thread, and a chain's fields to whoever holds the chain. */
#ifndef TL_FETCH_CHAIN_H
#define TL_FETCH_CHAIN_H
#include <pthread.h>

#include "base/pool.h"
#include "fetch/adapt.h"
#include "fetch/fetch.h"
#include "fetch/pace.h"
#include "fetch/transfer.h"
#include "net/http.h"
#include "net/inflate.h"
#include "net/origin.h"

typedef struct tl_link {
  struct tl_link *next;
  tl_fetch *fetch;
  const tl_chain_ops *ops;
  void *chain;
  char *label;
  bool urgent; /* does not ask admit() */
  tl_transfer transfer;
  char *token;    /* of the page asked for; NULL for the first */
  int64_t due_ns; /* resting: until when */
  tl_buf body;
  bool gzip;
  /* what the worker found */
  tl_verdict verdict; /* DECODE: taken */
  char *next_token;
  bool ended; /* done() has been called */
  tl_error why;
} tl_link;

typedef struct tl_line { /* first in, first out */
  tl_link *first, *last;
  size_t count;
} tl_line;

typedef struct tl_bench { /* a worker's tools; there is one for each */
  struct tl_bench *next;
  tl_inflate *inflate;
  tl_buf text;
} tl_bench;

struct tl_fetch {
  tl_origin origin;
  uint32_t threads, workers, retries;
  size_t page_bytes_max;
  void (*refusal)(int http_code, const char *body, size_t len, tl_refusal *out);
  const atomic_bool *canceled;
  void *user;
  bool (*admit)(void *user);
  void (*tick)(void *user);

  tl_http *http;
  tl_pace *pace;
  tl_pool *pool;
  tl_adapt adapt;
  tl_prng seeds;
  tl_bench *bench_own; /* the network thread's, for error bodies */

  pthread_mutex_t lock;
  tl_line waiting, mail;
  tl_bench *benches;

  tl_line ready, resting;
  uint32_t active, working; /* started and not ended; with a worker */
  tl_error stop;            /* status != TL_OK: why everything ends */
  int64_t open_at_ns, tick_at_ns;

  struct {
    atomic_uint_least64_t requests, retries, refused, bytes, pages;
    atomic_uint_least32_t in_flight, in_flight_max, chains_waiting, chains_active;
    atomic_int_least64_t paused_until_ns;
  } counts;
};

void tl_line_put(tl_line *line, tl_link *link);
void tl_line_put_first(tl_line *line, tl_link *link);
tl_link *tl_line_take(tl_line *line); /* NULL when empty */

void tl_link_work(void *link); /* a pool job: inflate, page(), done() after the last page; then mails the link */
void tl_link_end(tl_link *link, tl_status status, const tl_error *why); /* done(), unless it was called; frees the link */
#endif
