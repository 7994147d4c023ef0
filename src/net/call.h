/* call.h - one HTTP request with a body, start to end: what a catalog's API needs.
 *
 * Connections are kept between calls of a handle. TLS is verified, no redirect is followed, loopback never goes through a
 * proxy, the answer comes uncompressed. Nothing is retried. Seam "net": a call fails before it is sent; TL_FAULT_SHORT: it is
 * sent and its answer lost. One thread per handle. Not here: many at once (http.h), signed ones (s3http.h). */
#ifndef TL_NET_CALL_H
#define TL_NET_CALL_H
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

typedef struct tl_call tl_call;

/* bearer: a token for every request, or NULL; kept off core dumps. */
tl_status tl_call_open(const char *bearer, tl_call **out, tl_error *err);
void tl_call_close(tl_call *call); /* NULL is fine */

typedef struct tl_call_answer {
  int code;      /* 0: no answer came */
  bool sent;     /* something of the request got out: what it asks may have happened */
  tl_buf body;   /* the caller's: kept between calls, tl_buf_deinit in the end */
} tl_call_answer;

/* method GET, POST or DELETE; json NULL: no body. TL_OK: a whole answer came, whatever its code; else TL_ENET, TL_ELIMIT
 * (over bytes_max), TL_ENOMEM. */
tl_status tl_call_send(tl_call *call, const char *method, const char *url, const char *json, size_t json_len, size_t bytes_max,
                       tl_call_answer *answer, tl_error *err);
#endif
