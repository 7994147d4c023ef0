/* s3.h - what the parts of the S3 store share: the store, one request with patience, and words for a refusal.
 * Inside store/ only. s3.c: opening, reading, listing; s3_ask.c: requests; s3_put.c: conditional puts and their proof;
 * s3_upload.c: multipart uploads. */
#ifndef TL_STORE_S3_H
#define TL_STORE_S3_H
#include <pthread.h>
#include <stdatomic.h>

#include "base/prng.h"
#include "net/origin.h"
#include "net/s3http.h"
#include "store/backend.h"
#include "store/s3_xml.h"

typedef struct tl_s3 {
  tl_s3http *http;
  const char *uri;    /* the store's */
  char endpoint[300]; /* for error texts */
  char bucket[64];
  tl_buf url;         /* of the bucket, '/' at its end */
  tl_buf prefix;      /* of every key: empty, or '/' at its end */
  pthread_mutex_t probe_lock;
  bool put_is_proven, upload_is_proven;
  atomic_bool bucket_seen; /* the bucket was there: a 404 without words is the key's */
  atomic_bool odd_etags;   /* its etags look like MD5 and are not: read back instead */
} tl_s3;

/* ---- requests (s3_ask.c) ---- */

typedef enum tl_s3_verdict {
  TL_S3_DONE,    /* 2xx */
  TL_S3_REFUSED, /* the answer stands: asking again would give the same */
  TL_S3_AGAIN    /* it may go better in a while; what was asked may have been done when answer->sent */
} tl_s3_verdict;

/* Reads the refusal, when there is one, into *refusal. */
tl_s3_verdict tl_s3_judge(const tl_s3_answer *answer, tl_s3_refusal *refusal);

typedef struct tl_s3_patience { /* {0} begins */
  int waits;
  int64_t begin_ns;
  tl_prng jitter;
} tl_s3_patience;
bool tl_s3_wait(tl_s3_patience *patience, const tl_s3_answer *answer); /* false: it is used up */

/* Asks until the answer stands or patience ends; for requests that may be made twice. TL_OK: the verdict is DONE or REFUSED. */
tl_status tl_s3_ask(tl_s3 *s, const char *key, const tl_s3_request *request, tl_s3_answer *answer, tl_s3_refusal *refusal, tl_error *err);

/* Says in a user's words why it did not go. Never TL_OK. key NULL: the bucket. */
tl_status tl_s3_explain(const tl_s3 *s, const char *key, const tl_s3_answer *answer, const tl_s3_refusal *refusal, tl_error *err);

tl_status tl_s3_url(const tl_s3 *s, const char *key, const char *query, tl_buf *url, tl_error *err); /* query NULL: none */
tl_status tl_s3_no_memory(const tl_s3 *s, const char *key, tl_error *err);

/* ---- reading (s3.c) ---- */

tl_status tl_s3_check_key(const tl_s3 *s, const char *key, tl_error *err);
tl_status tl_s3_no_object(const tl_s3 *s, const char *key, const tl_s3_answer *answer, tl_error *err); /* a 2xx that no S3 store gave */

/* TL_OK with the object's answer (code 200), or TL_ENOTFOUND when S3 itself says that there is none. */
tl_status tl_s3_head(tl_s3 *s, const char *key, tl_s3_answer *answer, tl_error *err);
/* Bytes [offset, offset + len) of the version `etag` (NULL: whichever) appended to answer->body; short at the object's end. */
tl_status tl_s3_read(tl_s3 *s, const char *key, const char *etag, int64_t offset, int64_t len, tl_s3_answer *answer, tl_error *err);
void tl_s3_describe(const tl_s3_answer *answer, int64_t size_bytes, tl_store_info *info);

/* ---- writing ---- */

typedef struct tl_s3_body { /* what is put: bytes, or size_bytes of an open file */
  const void *data;
  const char *path;
  int fd;
  int64_t size_bytes;
} tl_s3_body;

tl_status tl_s3_body_md5(const tl_s3_body *body, int64_t offset, int64_t len, unsigned char digest[16], tl_error *err);

enum { TL_S3_PUT_ID_MAX = 33 };
void tl_s3_new_put_id(char out[TL_S3_PUT_ID_MAX]); /* no other put of the world has it */

typedef enum tl_s3_whose { TL_S3_OURS, TL_S3_OTHERS, TL_S3_NOBODYS } tl_s3_whose;
/* Whose object is there now? Ours carries put_id, or where the store drops such notes, has the body's bytes. *again: with
 * this condition, what is there leaves room for the put to be tried again. */
tl_status tl_s3_read_back(tl_s3 *s, const char *key, const char *put_id, const tl_s3_body *body, const tl_store_put_as *as, tl_s3_whose *whose, bool *again,
                          tl_store_info *info, tl_error *err);
tl_status tl_s3_condition_header(const tl_store_put_as *as, tl_buf *out, tl_error *err); /* stays empty for TL_PUT_ANY */
tl_status tl_s3_lost(const tl_s3 *s, const char *key, tl_error *err);                     /* TL_ECONFLICT */

/* One object by one request, whatever its size; by parts. The condition must be proven (s3_put.c) before. */
tl_status tl_s3_put_one(tl_s3 *s, const char *key, const tl_s3_body *body, const tl_store_put_as *as, tl_store_info *info, tl_error *err);
tl_status tl_s3_upload(tl_s3 *s, const char *key, const tl_s3_body *body, const tl_store_put_as *as, tl_store_info *info, tl_error *err);
/* Refuses a store that ignores If-None-Match or If-Match, TL_EUSAGE; asks it once. */
tl_status tl_s3_prove(tl_s3 *s, bool upload, tl_error *err);
/* The last step of an upload of one small part onto `key` with If-None-Match: the code it is answered with. */
tl_status tl_s3_try_upload(tl_s3 *s, const char *key, int *code, tl_error *err);

tl_status tl_s3_remove(void *self, const char *key, tl_error *err);
tl_status tl_s3_put(void *self, const char *key, const tl_store_source *source, const tl_store_put_as *as, tl_store_info *info, tl_error *err);
#endif
