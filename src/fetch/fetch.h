/* fetch.h - stage 2: request chains in, pages of plain text out, as many transfers in flight as the budget allows.
 *
 * A chain is one question to the provider: pages are asked one after the other until a page names no next token. The
 * loop (tl_fetch_run, the "network thread") sends, waits, retries and slows down; workers inflate the body and hand it
 * to the chain's page(). Retries, Retry-After, 429s, time-outs, the budget per key and adaptive concurrency all happen
 * in here and cannot be seen from outside but in the counters.
 * Callers may rely on: pages of one chain come in order and never at once; done() comes exactly once for every chain
 * that tl_fetch_add took, also after a cancel or a refused key; chains start in the order they were added; no request
 * leaves the configured origin; an error text never holds a registered secret.
 * Not here: what a URL or a page looks like (provider/), what is done with the rows (run/). */
#ifndef TL_FETCH_FETCH_H
#define TL_FETCH_FETCH_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "provider/provider.h"

typedef struct tl_fetch tl_fetch;

/* One request chain, implemented by run/. `chain` is the pointer given to tl_fetch_add. */
typedef struct tl_chain_ops {
  /* Appends the next page's absolute path and query ("/v2/stocks/bars?...") to `url`, as tl_provider.url does; a full
   * URL is taken too when it lies on the configured origin. token NULL asks for the first page. Network thread.
   * A failure ends the chain with that status. */
  tl_status (*url)(void *chain, const char *token, tl_buf *url, tl_error *err);

  /* A complete 200 answer, inflated: `len` bytes and a NUL, borrowed for the call. Worker thread.
   * TL_OK:      the page was taken; *next_token = NULL for the last page, else a tl_alloc'ed text (fetch frees it).
   * TL_EDECODE: not what the provider documents; nothing of it was kept; it is asked again (spends a try).
   * TL_ELIMIT:  a rate-limit text that came with HTTP 200; nothing of it was kept; treated as a 429 (spends no try).
   * any other:  the chain failed. */
  tl_status (*page)(void *chain, const char *body, size_t len, char **next_token, tl_error *err);

  /* Optional. The whole request was refused for one bad symbol ("" when the provider does not name it); done() with
   * TL_EHTTP follows at once, so this is where to remember that the batch should be split. Same thread as done(). */
  void (*bad_symbol)(void *chain, const char *symbol);

  /* The chain ended. TL_OK: all its pages were taken. Else `why` says why (after all retries), with http_code when an
   * answer was behind it. On a worker or the network thread, without locks held: tl_fetch_add is allowed in here.
   * The chain is not touched afterwards, so it may be freed in here. */
  void (*done)(void *chain, tl_status status, const tl_error *why);
} tl_chain_ops;

typedef struct tl_fetch_options { /* {0} and an endpoint is a working set; texts are copied */
  const char *endpoint;   /* scheme://host[:port][/prefix]; /v1, /v2, ... at its end is cut */
  bool allow_http;        /* plain http to other than loopback */
  const char *headers;    /* "Name: value\n" lines, credentials among them; NULL for none; kept off core dumps */
  const char *key;        /* the account: all with the same (endpoint host and port, key) share one budget; NULL = "" */
  uint32_t rate_per_minute; /* at most N requests in any 60 s, over all processes of the key; 0: no limit */
  bool rate_fixed;        /* the user said so: X-RateLimit-Limit headers do not change it */
  uint32_t threads;       /* transfers in flight at most; 0: 8 */
  uint32_t workers;       /* CPU threads for inflate and page(); 0: one per core */
  int32_t retries;        /* after the first try; 0: 3; negative: none */
  int64_t connect_timeout_ns;    /* 0: 10 s */
  int64_t first_byte_timeout_ns; /* request sent to first byte of the answer; 0: 30 s */
  int64_t stall_timeout_ns;      /* longest silence inside an answer; 0: 20 s */
  size_t body_bytes_max;  /* of one answer as it travels; 0: 64 MiB */
  size_t page_bytes_max;  /* of one page inflated; 0: 64 MiB */
  uint64_t seed;          /* of the jitter; 0: from the clock */
  void (*refusal)(int http_code, const char *body, size_t len, tl_refusal *out); /* tl_provider.refusal; may be NULL */

  const atomic_bool *canceled; /* may be NULL. True: nothing more is sent, pages that have arrived are still taken, every
                                  other chain ends with TL_ECANCELED. Call tl_fetch_wakeup to have it seen at once. */
  void *user;
  bool (*admit)(void *user);   /* may be NULL. Asked on the network thread before a NEW chain starts; false: not now. Asked
                                  again after any page or chain ends, after tl_fetch_wakeup, and with every tick. */
  void (*tick)(void *user);    /* may be NULL. About every 100 ms on the network thread, and once before run returns */
} tl_fetch_options;

typedef struct tl_fetch_counts {
  uint64_t requests;       /* sent, retries included */
  uint64_t retries;        /* of these, asked before (429s included) */
  uint64_t refused;        /* answers 429 */
  uint64_t bytes;          /* received: bodies as they travelled */
  uint64_t pages;          /* taken by page() */
  uint32_t in_flight;      /* transfers now */
  uint32_t in_flight_max;  /* what adaptive concurrency allows now */
  uint32_t chains_waiting; /* added, not started */
  uint32_t chains_active;  /* started, not done */
  int64_t paused_ns;       /* > 0: nothing may be sent for so long (budget or 429): "waiting for the rate limit" */
} tl_fetch_counts;

tl_status tl_fetch_open(const tl_fetch_options *options, tl_fetch **out, tl_error *err);

/* Thread-safe; before or during tl_fetch_run. `label` ("AAPL 2024-03-04") goes into error texts; copied. When it
 * fails (TL_ENOMEM) done() will not come. */
tl_status tl_fetch_add(tl_fetch *fetch, const tl_chain_ops *ops, void *chain, const char *label, tl_error *err);

/* Runs until every chain is done. TL_OK also when chains failed (each got its reason); TL_EAUTH when the provider
 * refused the key (401: all chains end with it); TL_ECANCELED; TL_ENOMEM or TL_EIO when the loop itself could not go
 * on. May be called again after more tl_fetch_add. */
tl_status tl_fetch_run(tl_fetch *fetch, tl_error *err);

/* Only inside page(), after decoding and before a row is kept: TL_EDECODE when the provider gave this token earlier in
 * this chain (return it, and the page is asked again). A page() that does not ask still never goes in circles, but then
 * its rows are kept already and the chain can only fail. NULL is fine. */
tl_status tl_fetch_token_check(const char *token, tl_error *err);

/* Only inside page(): bytes of its body as it travelled, compressed. */
size_t tl_fetch_page_bytes(void);

void tl_fetch_wakeup(tl_fetch *fetch);                                        /* any thread, not from a signal handler */
void tl_fetch_counters(const tl_fetch *fetch, tl_fetch_counts *out);          /* any thread */
void tl_fetch_close(tl_fetch *fetch);                                         /* NULL is fine; not while it runs */

/* One whole answer from the same origin with the same headers, retries and budget (assets, calendar): plain text with
 * a NUL in `body`. Runs the chains that were added, too, so call it before
 * tl_fetch_add; not while tl_fetch_run runs. TL_ENOTFOUND for 404. */
tl_status tl_fetch_get(tl_fetch *fetch, const char *path_and_query, tl_buf *body, tl_error *err);
#endif
