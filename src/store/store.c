/* store.c - checks keys and conditions, then hands the call to the local folder or to S3. */
#include "store/store.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "store/backend.h"

enum { KEY_BYTES_MAX = 1024, URI_BYTES_MAX = 4096 };

static const char *after_scheme(const char *uri) { /* NULL: not S3 */
  static const char *const schemes[] = {"s3://", "s3a://", "s3n://"};
  for (size_t i = 0; i < 3; i++)
    if (!strncmp(uri, schemes[i], strlen(schemes[i]))) return uri + strlen(schemes[i]);
  return NULL;
}

bool tl_store_is_s3_uri(const char *uri) { return after_scheme(uri) != NULL; }

/* file:/a, file:///a and file://localhost/a are /a; taken literally, without %XX, as Hadoop does. */
static tl_status local_path(const char *uri, const char **path, tl_error *err) {
  *path = uri;
  if (!strncmp(uri, "file:", 5)) {
    uri += 5;
    if (!strncmp(uri, "//localhost/", 12)) uri += 11;
    else if (!strncmp(uri, "///", 3)) uri += 2;
    *path = uri;
    if (uri[0] != '/' || uri[1] == '/') return tl_fail(err, TL_EUSAGE, "cannot use '%s': write file:///folder", uri - 5);
    return TL_OK;
  }
  const char *colon = strstr(uri, "://");
  if (colon && strcspn(uri, "/") == (size_t)(colon - uri) + 1)
    return tl_fail(err, TL_EUSAGE, "cannot use '%s': a store is a folder, file:///folder or s3://bucket/prefix", uri);
  return TL_OK;
}

tl_status tl_store_open(const char *uri, const tl_settings *settings, tl_store **out, tl_error *err) {
  if (!uri || !*uri) return tl_fail(err, TL_EUSAGE, "the address of the store is empty");
  if (strlen(uri) > URI_BYTES_MAX) return tl_fail(err, TL_EUSAGE, "the address of the store is longer than %d bytes", URI_BYTES_MAX);
  tl_store *store = tl_calloc(1, sizeof *store);
  if (!store) return tl_fail(err, TL_ENOMEM, "cannot open '%s'", uri);
  const char *bucket = after_scheme(uri), *path = NULL;
  tl_status st = bucket ? TL_OK : local_path(uri, &path, err);
  if (!st) st = bucket ? tl_store_s3_open(store, bucket, settings, err) : tl_store_local_open(store, path, err);
  if (st) tl_store_close(store);
  else *out = store;
  return st;
}

tl_store *tl_store_share(tl_store *store) {
  atomic_fetch_add(&store->more_holders, 1);
  return store;
}

void tl_store_close(tl_store *store) {
  if (!store || atomic_fetch_sub(&store->more_holders, 1) > 0) return;
  if (store->self) store->backend->close(store->self);
  tl_free(store->uri);
  tl_free(store);
}

const char *tl_store_uri(const tl_store *store) { return store->uri; }
const char *tl_store_local(const tl_store *store) { return tl_store_is_local(store) ? store->uri : NULL; }
bool tl_store_is_local(const tl_store *store) { return store->backend->adopt != NULL; }

/* ---- keys ---- */

static bool part_is_sound(const char *part, size_t len) {
  return len && !(len == 1 && part[0] == '.') && !(len == 2 && part[0] == '.' && part[1] == '.');
}

bool tl_store_key_is_sound(const char *key, size_t len) {
  if (!len || len > KEY_BYTES_MAX || memchr(key, 0, len)) return false;
  for (const char *at = key, *end = key + len;;) {
    const char *slash = memchr(at, '/', (size_t)(end - at));
    if (!part_is_sound(at, (size_t)((slash ? slash : end) - at))) return false;
    if (!slash) return true;
    at = slash + 1;
  }
}

bool tl_store_is_aside(const char *key) {
  const char *slash = strrchr(key, '/'), *name = slash ? slash + 1 : key;
  size_t len = strlen(name);
  return name[0] == '.' && len > 5 && !strcmp(name + len - 4, ".tmp");
}

static tl_status check_key(const tl_store *store, const char *key, tl_error *err) {
  size_t len = key ? strlen(key) : 0;
  if (len > KEY_BYTES_MAX) return tl_fail(err, TL_EUSAGE, "a name in '%s' is longer than %d bytes: '%.100s...'", store->uri, KEY_BYTES_MAX, key);
  if (!tl_store_key_is_sound(key, len))
    return tl_fail(err, TL_EUSAGE, "'%s' cannot be a name in '%s': its parts must not be empty, '.' or '..'", key ? key : "", store->uri);
  return TL_OK;
}

static tl_status check_put(const tl_store *store, const char *key, tl_put_condition condition, const char *etag, tl_error *err) {
  tl_status st = check_key(store, key, err);
  if (st) return st;
  if (tl_store_is_aside(key)) return tl_fail(err, TL_EUSAGE, "cannot write '%s' in '%s': such names are for files in the making", key, store->uri);
  if (condition == TL_PUT_MATCH && (!etag || !*etag)) return tl_fail(err, TL_EINTERNAL, "a put of '%s' in '%s' names no version to match", key, store->uri);
  return TL_OK;
}

static tl_status check_prefix(const tl_store *store, const char *prefix, tl_error *err) { /* its last part may be half a name */
  const char *slash = strrchr(prefix, '/');
  if (strlen(prefix) <= KEY_BYTES_MAX && (!slash || tl_store_key_is_sound(prefix, (size_t)(slash - prefix)))) return TL_OK;
  return tl_fail(err, TL_EUSAGE, "'%.200s' cannot begin a name in '%s'", prefix, store->uri);
}

/* ---- the calls ---- */

static tl_status get(tl_store *store, const char *key, int64_t offset, int64_t len, size_t bytes_max, tl_buf *out, tl_store_info *info, tl_error *err) {
  tl_status st = check_key(store, key, err);
  if (st) return st;
  size_t before = out->len;
  st = store->backend->get(store->self, key, offset, len, bytes_max, out, info, err);
  if (st && out->data) {
    out->len = before;
    out->data[before] = 0;
  }
  return st;
}

tl_status tl_store_get(tl_store *store, const char *key, size_t bytes_max, tl_buf *out, tl_store_info *info, tl_error *err) {
  return get(store, key, 0, -1, bytes_max, out, info, err);
}

tl_status tl_store_get_range(tl_store *store, const char *key, int64_t offset, size_t len, tl_buf *out, tl_error *err) {
  if (offset < 0 || len > INT64_MAX / 2 || offset > INT64_MAX / 2)
    return tl_fail(err, TL_EUSAGE, "cannot read '%s' in '%s': there are no such bytes", key, store->uri);
  return get(store, key, offset, (int64_t)len, len, out, NULL, err);
}

tl_status tl_store_stat(tl_store *store, const char *key, tl_store_info *info, tl_error *err) {
  tl_status st = check_key(store, key, err);
  return st ? st : store->backend->stat(store->self, key, info, err);
}

tl_status tl_store_fetch(tl_store *store, const char *key, const char *path, tl_error *err) {
  static atomic_uint serial;
  tl_buf aside = {0};
  int fd = -1;
  tl_status st = check_key(store, key, err);
  if (!st) st = tl_buf_appendf(&aside, err, "%s.%d-%u.tmp", path, (int)getpid(), atomic_fetch_add(&serial, 1));
  if (!st) st = tl_io_open(aside.data, O_RDWR | O_CREAT | O_TRUNC, 0644, &fd, err);
  bool made = !st;
  if (!st) st = store->backend->fetch(store->self, key, fd, aside.data, err);
  tl_io_close(fd, aside.data, NULL);
  if (!st) st = tl_io_rename(aside.data, path, err);
  if (st && made) tl_io_unlink(aside.data, NULL);
  tl_buf_deinit(&aside);
  return st;
}

static tl_status put(tl_store *store, const char *key, const tl_store_source *source, tl_store_put_as as, tl_store_info *info, tl_error *err) {
  tl_store_info unasked;
  tl_status st = check_put(store, key, as.condition, as.etag, err);
  return st ? st : store->backend->put(store->self, key, source, &as, info ? info : &unasked, err);
}

tl_status tl_store_put(tl_store *store, const char *key, const void *data, size_t len, tl_put_condition condition, const char *etag, tl_store_info *info, tl_error *err) {
  return put(store, key, &(tl_store_source){.data = data, .len = len}, (tl_store_put_as){condition, etag}, info, err);
}

tl_status tl_store_put_file(tl_store *store, const char *key, const char *path, tl_put_condition condition, const char *etag, tl_store_info *info, tl_error *err) {
  return put(store, key, &(tl_store_source){.path = path}, (tl_store_put_as){condition, etag}, info, err);
}

tl_status tl_store_adopt_file(tl_store *store, const char *path, const char *key, tl_error *err) {
  tl_status st = check_put(store, key, TL_PUT_ABSENT, NULL, err);
  if (!st && !store->backend->adopt) st = tl_fail(err, TL_EINTERNAL, "cannot move '%s' into '%s': it is no folder", path, store->uri);
  return st ? st : store->backend->adopt(store->self, path, key, err);
}

tl_status tl_store_delete(tl_store *store, const char *key, tl_error *err) {
  tl_status st = check_key(store, key, err);
  return st ? st : store->backend->remove(store->self, key, err);
}

tl_status tl_store_list(tl_store *store, const char *prefix, const char *after, bool aside, tl_store_each each, void *to, tl_error *err) {
  if (!prefix) prefix = "";
  tl_status st = check_prefix(store, prefix, err);
  return st ? st : store->backend->list(store->self, &(tl_store_list_as){prefix, after ? after : "", aside, each, to}, err);
}
