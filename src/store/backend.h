/* backend.h - what a place for bytes must do; local.c and s3.c do it, store.c checks arguments and hands calls on.
 * Keys come checked (store.h). Inside store/ only. */
#ifndef TL_STORE_BACKEND_H
#define TL_STORE_BACKEND_H
#include <stdatomic.h>

#include "store/store.h"

typedef struct tl_store_source { /* what a put writes: the file when path is set, else the bytes */
  const void *data;
  size_t len;
  const char *path;
} tl_store_source;

typedef struct tl_store_put_as {
  tl_put_condition condition;
  const char *etag; /* for TL_PUT_MATCH */
} tl_store_put_as;

typedef struct tl_store_list_as {
  const char *prefix, *after; /* never NULL; after "" begins at the first */
  bool aside;
  tl_store_each each;
  void *to;
} tl_store_list_as;

typedef struct tl_backend {
  void (*close)(void *self);
  /* len -1: the whole object, TL_ELIMIT over bytes_max. On failure out may hold more than before: store.c cuts it. */
  tl_status (*get)(void *self, const char *key, int64_t offset, int64_t len, size_t bytes_max, tl_buf *out, tl_store_info *info, tl_error *err);
  tl_status (*stat)(void *self, const char *key, tl_store_info *info, tl_error *err);
  tl_status (*fetch)(void *self, const char *key, int fd, const char *local_path, tl_error *err); /* into an empty open file */
  tl_status (*put)(void *self, const char *key, const tl_store_source *source, const tl_store_put_as *as, tl_store_info *info, tl_error *err);
  tl_status (*adopt)(void *self, const char *local_path, const char *key, tl_error *err); /* NULL: it cannot */
  tl_status (*remove)(void *self, const char *key, tl_error *err);
  tl_status (*list)(void *self, const tl_store_list_as *as, tl_error *err);
} tl_backend;

struct tl_store {
  const tl_backend *backend;
  void *self;
  char *uri; /* owned */
  atomic_int more_holders;
};

tl_status tl_store_local_open(tl_store *store, const char *path, tl_error *err);
tl_status tl_store_s3_open(tl_store *store, const char *uri, const tl_settings *settings, tl_error *err);

bool tl_store_is_aside(const char *key); /* its last part is .NAME.tmp */
bool tl_store_key_is_sound(const char *key, size_t len);

#endif
