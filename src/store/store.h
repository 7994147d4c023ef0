/* store.h - where bytes live: one contract over a local folder and S3.
 *
 * A store is a base (a folder, or s3://bucket/prefix); keys are relative to it, '/' between parts, taken literally (a
 * key is not escaped here, S3 requests encode it). Callers may rely on:
 * - a put is whole or not there: written aside, synced, then linked or renamed with its folder synced, or one object;
 * - TL_PUT_ABSENT and TL_PUT_MATCH are exact among all writers of the same base: one winner, the others TL_ECONFLICT.
 *   An ambiguous put on S3 (time-out, reset, 5xx, 409, a 200 that is not S3's) is settled by reading back before it is
 *   reported, so it is never reported lost and is there, nor sent twice over another writer's object. S3 stores are
 *   probed at the first conditional put: one that ignores the header is refused (TL_EUSAGE) before anything is risked;
 * - an answer is checked: length, and the ETag of a put; a 200 page of a proxy is an error, never success;
 * - transient failures are retried with back-off (net and 5xx, 429, SlowDown); clear errors name the URI, never a secret;
 * - a key never leaves the base: empty, "..", "." parts, a leading '/', NUL and over 1024 bytes are TL_EUSAGE.
 * Thread-safe: calls run side by side, each S3 call on a connection of a pool.
 * Cost: a local call is its system calls; an S3 call one request or more. Memory: get holds the object, fetch and
 * put_file stream. Seams: "disk" (local) and "net" (S3) strike inside every call, "step" around each put's commit point.
 * Not here: what the keys mean (table/, ledger/). */
#ifndef TL_STORE_STORE_H
#define TL_STORE_STORE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "config/settings.h"

typedef struct tl_store tl_store;

typedef struct tl_store_info {
  int64_t size_bytes, mtime_ms; /* UTC ms since 1970; S3: LastModified, whole seconds */
  char etag[96];                /* changes when the content does; local: from inode, size and mtime */
} tl_store_info;

/* uri: a path, file:/path, file:///path, or s3://bucket[/prefix] (s3a:// and s3n:// too). A local folder need not be there
 * yet. S3 credentials and address: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION (AWS_DEFAULT_REGION),
 * AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL; then settings.ini [s3] (access_key, secret_key, session_token, region, endpoint,
 * path_style); then the profile AWS_PROFILE of ~/.aws/credentials and ~/.aws/config. settings may be NULL.
 * Path style wherever an endpoint is set and path_style is not false, else virtual-host style. */
tl_status tl_store_open(const char *uri, const tl_settings *settings, tl_store **out, tl_error *err);
void tl_store_close(tl_store *store); /* NULL is fine */
tl_store *tl_store_share(tl_store *store); /* one more holder, who closes too: for what may outlive whoever opened it */

bool tl_store_is_s3_uri(const char *uri);
const char *tl_store_uri(const tl_store *store);        /* absolute path of the folder, or s3://bucket/prefix; no slash at its end */
const char *tl_store_local(const tl_store *store);      /* the folder; NULL for S3 */
bool tl_store_is_local(const tl_store *store);

/* Objects that try out whether a store honours conditions; a writer that dies just then leaves one. */
#define TL_STORE_PROBE ".probe-"

/* TL_ENOTFOUND when there is none; TL_ELIMIT over bytes_max. Appends to out. info may be NULL. */
tl_status tl_store_get(tl_store *store, const char *key, size_t bytes_max, tl_buf *out, tl_store_info *info, tl_error *err);
/* Bytes [offset, offset + len) that the object has; fewer at its end. */
tl_status tl_store_get_range(tl_store *store, const char *key, int64_t offset, size_t len, tl_buf *out, tl_error *err);
tl_status tl_store_stat(tl_store *store, const char *key, tl_store_info *info, tl_error *err);
/* Streams the object into a new or replaced local file; the file is whole or removed again. */
tl_status tl_store_fetch(tl_store *store, const char *key, const char *local_path, tl_error *err);

typedef enum tl_put_condition {
  TL_PUT_ANY,
  TL_PUT_ABSENT, /* only when there is no such key */
  TL_PUT_MATCH   /* only when its etag still is `etag` */
} tl_put_condition;

tl_status tl_store_put(tl_store *store, const char *key, const void *data, size_t len, tl_put_condition condition,
                       const char *etag, tl_store_info *info, tl_error *err);
/* Streams a local file; S3: multipart above 16 MiB. The local file stays. With a local store on one file system the
 * content is copied, never linked. info may be NULL. */
tl_status tl_store_put_file(tl_store *store, const char *key, const char *local_path, tl_put_condition condition,
                            const char *etag, tl_store_info *info, tl_error *err);

/* Moves a local file that lies in the store's own folder (tl_store_local) to a key that must not exist; local stores only.
 * For writers that wrote aside in place: no copy. The file is synced first. */
tl_status tl_store_adopt_file(tl_store *store, const char *local_path, const char *key, tl_error *err);

tl_status tl_store_delete(tl_store *store, const char *key, tl_error *err); /* TL_OK when it is not there */

/* Keys that begin with `prefix` (a text, not a folder) and are greater than `after` (may be NULL), in byte order, all
 * folders below included; local writers' files aside (.NAME.tmp) are left out unless `aside`. Non-zero from `each` stops. */
typedef int (*tl_store_each)(void *to, const char *key, const tl_store_info *info);
tl_status tl_store_list(tl_store *store, const char *prefix, const char *after, bool aside, tl_store_each each, void *to,
                        tl_error *err);
#endif
