/* s3http.h - signed requests to one S3 endpoint, start to end, on connections that are kept.
 *
 * Signature Version 4 is libcurl's own. Callers may rely on: no redirect is followed, TLS is verified, plain or encrypted
 * as the URL says (who may be asked in plain is the caller's rule), a body of known length has come whole, an answer that
 * is not whole is no answer. Nothing is retried here, but libcurl sends again when a kept connection turns out dead before
 * any byte came, also a PUT: who needs to know reads back. The secret and the token are in kept memory here; libcurl copies
 * the secret while it signs. Thread-safe: each call takes a connection of the pool. Seam "net": a request fails before it is
 * sent; TL_FAULT_SHORT: it is sent and its answer lost.
 * Not here: XML, what codes mean, when to try again (store/). */
#ifndef TL_NET_S3HTTP_H
#define TL_NET_S3HTTP_H
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

typedef struct tl_s3http tl_s3http;

typedef struct tl_s3http_options {
  const char *access_key, *secret_key, *session_token; /* token may be NULL; copied */
  const char *region;
  bool loopback;              /* this machine: never through a proxy */
  int64_t connect_timeout_ns; /* 0: 10 s */
  int64_t stall_timeout_ns;   /* 0: 30 s; less than some bytes a second for so long ends a transfer, also while waiting */
} tl_s3http_options;

enum { TL_S3_HEADERS_MAX = 6 };

typedef struct tl_s3_request {
  const char *method;                     /* GET HEAD PUT POST DELETE */
  const char *url;                        /* path percent-encoded, parameters sorted, those without value as "name=" */
  const char *headers[TL_S3_HEADERS_MAX]; /* "Name: value"; those that are NULL are left out */
  const void *body;                       /* of PUT and POST: body_len bytes from here, or of the open file when path is set */
  const char *path;
  int fd;
  int64_t offset;
  size_t body_len;
  size_t answer_bytes_max; /* of a 2xx answer's body; 0: 64 KiB, as for all others */
} tl_s3_request;

typedef struct tl_s3_answer {
  tl_status status;  /* TL_OK: a whole answer came, whatever its code. Else none: TL_ENET, TL_ELIMIT, TL_ENOMEM, or the file's */
  bool hopeless;     /* asking again would give the same */
  bool sent;         /* something of the request got out: what it asks may have happened */
  int code;
  bool chunked;      /* its end is marked in the body */
  bool is_s3;        /* it holds an x-amz- header */
  bool etag_is_md5;  /* the etag has the form of one, and nothing says that it is none */
  char etag[96];     /* without quotes */
  char region[40];   /* x-amz-bucket-region */
  char put_id[40];   /* x-amz-meta-ticklake-put */
  char type[40];     /* Content-Type */
  int64_t length, range_start, range_total; /* -1: not said */
  int64_t modified_ms, date_s, retry_after_ns; /* -1: not said */
  tl_buf body;       /* the caller's: kept between calls, tl_buf_deinit in the end */
  char reason[256];  /* why status is not TL_OK */
} tl_s3_answer;

tl_status tl_s3http_open(const tl_s3http_options *options, tl_s3http **out, tl_error *err);
void tl_s3http_close(tl_s3http *http); /* nothing may be under way; NULL is fine */

void tl_s3http_ask(tl_s3http *http, const tl_s3_request *request, tl_s3_answer *answer);
#endif
