/* http.h - many GET transfers at once over libcurl's multi interface; the only door to the network.
 *
 * Answers are handed out whole and as they travelled: a gzip body stays compressed (net/inflate.h), so that the CPU work
 * can be done elsewhere. Keep-alive, HTTP/2 with multiplexing where the server offers it by ALPN, TLS 1.2 or newer,
 * always verified; no redirect is followed; http_proxy, https_proxy, no_proxy, CURL_CA_BUNDLE, SSL_CERT_FILE and
 * SSL_CERT_DIR are honoured, loopback never goes through a proxy. Seam "net": a transfer fails as a reset.
 * One thread per tl_http; only tl_http_wakeup may come from others. Nothing is retried here (fetch/). */
#ifndef TL_NET_HTTP_H
#define TL_NET_HTTP_H
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

typedef struct tl_http tl_http;

typedef struct tl_http_options { /* {0} is a working set */
  const char *headers; /* "Name: value\n" lines sent with every request; may hold secrets: kept off core dumps, wiped */
  int64_t connect_timeout_ns;    /* 0: 10 s; name look-up, TCP and TLS */
  int64_t first_byte_timeout_ns; /* 0: 30 s; from request sent to the first header line */
  int64_t stall_timeout_ns;      /* 0: 20 s; an answer must bring at least 1 KiB in every such span, or its end */
  size_t body_bytes_max;         /* 0: 64 MiB, as it travels */
  size_t header_bytes_max;       /* 0: 64 KiB, all header lines of one answer */
} tl_http_options;

typedef struct tl_http_answer {
  void *user;          /* as given to tl_http_send */
  tl_status status;    /* TL_OK: a whole answer came, whatever its code. Else no answer: TL_ENET (try again), TL_EORIGIN
                          (a redirect; never followed), TL_ELIMIT (over body_bytes_max), TL_ENOMEM, TL_EUSAGE */
  bool hopeless;       /* asking again would give the same, e.g. a certificate that is not trusted */
  int code;            /* HTTP code; 0 when no status line came */
  bool gzip;           /* body is gzip */
  tl_buf body;         /* owned by whoever took the answer: tl_buf_deinit, or tl_http_recycle */
  int64_t retry_after_ns; /* from now; -1: absent or not understood */
  int64_t rate_limit, rate_remaining, rate_reset_s; /* X-RateLimit-*; -1: absent. reset in seconds since 1970 */
  uint64_t bytes;      /* of body received */
  uint32_t sends;      /* requests sent: 0 when none got out, 2 and more when a kept connection turned out dead */
  int64_t elapsed_ns;  /* from tl_http_send */
  char reason[256];    /* why status is not TL_OK */
} tl_http_answer;

tl_status tl_http_open(const tl_http_options *options, tl_http **out, tl_error *err);

/* Begins a transfer; the URL is copied. Fails only with TL_ENOMEM or TL_EINTERNAL, then no answer will come. */
tl_status tl_http_send(tl_http *http, const char *url, void *user, tl_error *err);

/* Moves bytes; returns when an answer is ready, when woken, or after timeout_ns. */
tl_status tl_http_step(tl_http *http, int64_t timeout_ns, tl_error *err);

bool tl_http_next(tl_http *http, tl_http_answer *out); /* takes one finished answer; false when there is none */
void tl_http_recycle(tl_http *http, tl_buf *body);     /* gives a body's memory back for the next answer; *body = {0} */
size_t tl_http_in_flight(const tl_http *http);         /* sent and not taken by tl_http_next */
void tl_http_abort(tl_http *http);                     /* every transfer in flight ends now with TL_ECANCELED, to be taken by tl_http_next */
void tl_http_wakeup(tl_http *http);                    /* from any thread: tl_http_step returns soon */
void tl_http_close(tl_http *http);                     /* transfers in flight are dropped; NULL is fine */

/* One GET, start to end, on a tl_http with nothing in flight. `out` as tl_http_next gives it. */
tl_status tl_http_get(tl_http *http, const char *url, tl_http_answer *out, tl_error *err);
#endif
