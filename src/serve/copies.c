/* copies.c - see copies.h. */
#include "serve/copies.h"

#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/pool.h"
#include "serve/kept_stream.h"

enum { AT_ONCE = 8 };

struct tl_copies {
  tl_store *store;
  char *folder; /* temporary; NULL: the lake is a folder */
};

tl_status tl_copies_open(tl_store *lake, tl_copies **out, tl_error *err) {
  tl_copies *c = tl_calloc(1, sizeof *c);
  tl_buf folder = {0};
  if (!c) return tl_fail(err, TL_ENOMEM, "cannot read from '%s'", tl_store_uri(lake));
  c->store = tl_store_share(lake);
  tl_status st = tl_store_is_local(lake) ? TL_OK : tl_io_temp_folder(&folder, err);
  if (!st && folder.len) c->folder = tl_buf_take(&folder);
  tl_buf_deinit(&folder);
  if (st) tl_copies_close(c);
  else *out = c;
  return st;
}

void tl_copies_close(tl_copies *c) {
  if (!c) return;
  if (c->folder) tl_io_remove_tree(c->folder, NULL);
  tl_store_close(c->store);
  tl_free(c->folder);
  tl_free(c);
}

const char *tl_copies_folder(const tl_copies *c) { return c->folder ? c->folder : tl_store_local(c->store); }

/* ---- bringing ---- */

typedef struct transfer {
  tl_copies *copies;
  const char *key;
  char *path;
  tl_status status;
  tl_error err;
} transfer;

static void bring(void *argument) {
  transfer *t = argument;
  t->status = tl_io_mkdir_parents(t->path, &t->err);
  if (!t->status) t->status = tl_store_fetch(t->copies->store, t->key, t->path, &t->err);
}

tl_status tl_copies_bring(tl_copies *c, const tl_table_file *files, size_t count, tl_error *err) {
  if (!c->folder || !count) return TL_OK;
  transfer *transfers = tl_calloc(count, sizeof *transfers);
  tl_pool *pool = NULL;
  tl_status st = transfers ? tl_pool_open(count < AT_ONCE ? count : AT_ONCE, AT_ONCE, &pool, err)
                           : tl_fail(err, TL_ENOMEM, "cannot read %zu files of '%s'", count, tl_store_uri(c->store));
  for (size_t i = 0; !st && i < count; i++) {
    transfers[i] = (transfer){.copies = c, .key = files[i].path, .path = tl_io_join(c->folder, files[i].path)};
    if (transfers[i].path) tl_pool_put(pool, bring, &transfers[i]);
    else st = tl_fail(err, TL_ENOMEM, "cannot read '%s'", files[i].path);
  }
  if (pool) tl_pool_drain(pool);
  tl_pool_close(pool);
  for (size_t i = 0; transfers && i < count; i++) {
    if (!st && transfers[i].status) {
      st = transfers[i].status;
      if (err) *err = transfers[i].err;
    }
    tl_free(transfers[i].path);
  }
  tl_free(transfers);
  return st;
}

void tl_copies_drop(tl_copies *c, const tl_table_file *files, size_t count) {
  for (size_t i = 0; c->folder && i < count; i++) {
    char *path = tl_io_join(c->folder, files[i].path);
    if (path) tl_io_unlink(path, NULL); /* else the folder's end is theirs */
    tl_free(path);
  }
}

static void drop(void *copies) { tl_copies_close(copies); }

tl_status tl_copies_keep(struct ArrowArrayStream *stream, tl_copies *copies, tl_error *err) {
  if (copies->folder) return tl_stream_keep(stream, drop, copies, err);
  tl_copies_close(copies);
  return TL_OK;
}
