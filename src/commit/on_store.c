/* on_store.c - the files of a lake on an object store: fetched, merged and encoded in a temporary folder, then put on the
 * condition that what lies there still is what was merged with. Who comes second merges again, so both writers' rows are
 * kept, and equal input gives the same file in whichever order.
 *
 * Rows of files in the ledger: two writers' entries may come in another order than their puts. Whoever finds, while his
 * entry is being committed, that another recorded a file of his group since the group began, looks at the object
 * (tl_on_store_still) and leaves his row out when it is not his any more. One of any two is the second to commit, and a
 * third who put in between will find both: the last row is that of the object, unless its writer died before his entry. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/prng.h"
#include "commit/task.h"

static const int64_t give_up_ns = INT64_C(600) * TL_NS_PER_S;

struct tl_on_store {
  tl_store *store;
  char *folder;       /* temporary */
  atomic_uint serial; /* of its files */
  uint64_t *rejects;  /* hashes of keys that may be there, so that not every unit without rejects costs a request; 0 is free */
  size_t reject_count, reject_slots;
};

/* ---- rejects ---- */

static uint64_t hash_of(const char *key) { return XXH3_64bits(key, strlen(key)) | 1; }

static size_t place_of(const uint64_t *slots, size_t count, uint64_t hash) {
  size_t at = (size_t)hash & (count - 1);
  while (slots[at] && slots[at] != hash) at = (at + 1) & (count - 1);
  return at;
}

static tl_status know_reject(struct tl_on_store *s, const char *key, tl_error *err) {
  if (s->reject_count * 2 >= s->reject_slots) {
    size_t more = s->reject_slots ? s->reject_slots * 2 : 64;
    uint64_t *grown = tl_calloc(more, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot remember rejects '%s'", key);
    for (size_t i = 0; i < s->reject_slots; i++)
      if (s->rejects[i]) grown[place_of(grown, more, s->rejects[i])] = s->rejects[i];
    tl_free(s->rejects);
    s->rejects = grown;
    s->reject_slots = more;
  }
  uint64_t hash = hash_of(key);
  size_t at = place_of(s->rejects, s->reject_slots, hash);
  s->reject_count += !s->rejects[at];
  s->rejects[at] = hash;
  return TL_OK;
}

typedef struct reject_list {
  struct tl_on_store *s;
  tl_status status;
  tl_error *err;
} reject_list;

static int add_reject(void *to, const char *key, const tl_store_info *info) {
  reject_list *list = to;
  (void)info;
  list->status = know_reject(list->s, key, list->err);
  return list->status != TL_OK;
}

tl_status tl_on_store_rejects(struct tl_on_store *s, const char *key, const tl_buf *lines, tl_error *err) {
  if (lines->len) {
    tl_status st = know_reject(s, key, err);
    return st ? st : tl_store_put(s->store, key, lines->data, lines->len, TL_PUT_ANY, NULL, NULL, err);
  }
  bool known = s->reject_slots && s->rejects[place_of(s->rejects, s->reject_slots, hash_of(key))];
  return known ? tl_store_delete(s->store, key, err) : TL_OK;
}

/* ---- open and close ---- */

tl_status tl_on_store_open(tl_commit *c, tl_error *err) {
  struct tl_on_store *s = c->on_store = tl_calloc(1, sizeof *s);
  tl_buf folder = {0}, prefix = {0};
  if (!s) return tl_fail(err, TL_ENOMEM, "cannot open lake '%s' for committing", c->lake);
  s->store = c->options.store;
  tl_status st = tl_io_temp_folder(&folder, err);
  if (!st) s->folder = tl_buf_take(&folder);
  reject_list list = {s, TL_OK, err};
  if (!st) st = tl_buf_appendf(&prefix, err, "rejects/%s/", c->options.dataset.name);
  if (!st) st = tl_store_list(s->store, prefix.data, NULL, false, add_reject, &list, err);
  tl_buf_deinit(&prefix);
  tl_buf_deinit(&folder);
  return st ? st : list.status;
}

void tl_on_store_close(struct tl_on_store *s) {
  if (!s) return;
  if (s->folder) tl_io_remove_tree(s->folder, NULL);
  tl_free(s->folder);
  tl_free(s->rejects);
  tl_free(s);
}

static tl_status temp_path(struct tl_on_store *s, tl_buf *path, tl_error *err) {
  return tl_buf_appendf(path, err, "%s/%u.parquet", s->folder, atomic_fetch_add(&s->serial, 1));
}

/* ---- one file ---- */

static tl_status encode_to(tl_file_task *task, const char *old, const char *path, int64_t *bytes, tl_error *err) {
  tl_aside a = {.path = (char *)(uintptr_t)path, .fd = -1, .hash = tl_checksum_open()};
  tl_status st = a.hash ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot write '%s'", task->path);
  if (!st) st = tl_io_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600, &a.fd, err);
  if (!st) st = tl_commit_encode(task, old, &a, err);
  if (!st) tl_checksum_text(a.hash, task->checksum);
  tl_io_close(a.fd, path, NULL);
  tl_checksum_close(a.hash);
  *bytes = a.bytes;
  return st;
}

static bool has_rows(const tl_file_task *task) {
  for (size_t i = 0; i < task->slice_count; i++)
    if (task->slices[i].end > task->slices[i].begin) return true;
  return false;
}

/* One go: TL_ECONFLICT when another writer was there between the look and the put. */
static tl_status merge_and_put(tl_file_task *task, const char *old, const char *path, tl_error *err) {
  tl_store *store = task->commit->on_store->store;
  tl_store_info info;
  bool same = false;
  int64_t bytes = 0;
  tl_error why = {0};
  tl_status st = tl_store_stat(store, task->path, &info, &why);
  bool exists = st == TL_OK;
  if (st && st != TL_ENOTFOUND) {
    if (err) *err = why;
    return st;
  }
  if (!exists && !has_rows(task)) return TL_OK; /* a range without rows, and no file whose rows it could replace */
  st = exists ? tl_store_fetch(store, task->path, old, err) : TL_OK; /* newer than info when replaced meanwhile: the put says so */
  if (st == TL_ENOTFOUND) return TL_ECONFLICT;
  if (!st) st = encode_to(task, exists ? old : NULL, path, &bytes, err);
  if (!st && exists) st = tl_commit_same_bytes(old, task, bytes, &same, err);
  if (!st && !same) st = tl_store_put_file(store, task->path, path, exists ? TL_PUT_MATCH : TL_PUT_ABSENT, exists ? info.etag : NULL, NULL, err);
  if (st) return st;
  task->recorded = true;
  task->written = !same;
  return TL_OK;
}

tl_status tl_on_store_write(tl_file_task *task, tl_error *err) {
  struct tl_on_store *s = task->commit->on_store;
  tl_buf old = {0}, path = {0};
  int64_t until_ns = tl_clock_mono_ns() + give_up_ns;
  tl_prng prng = tl_prng_init((uint64_t)tl_clock_now_ns() ^ tl_prng_mix((uint64_t)getpid()) ^ (uint64_t)task->lock_byte);
  tl_status st = temp_path(s, &old, err);
  if (!st) st = temp_path(s, &path, err);
  if (!st) st = TL_ECONFLICT;
  for (unsigned tries = 0; st == TL_ECONFLICT; tries++) {
    if (tries && tl_clock_mono_ns() > until_ns) {
      st = tl_fail(err, TL_ECONFLICT, "cannot write '%s/%s': other writers have been first for %d s", tl_store_uri(s->store), task->path,
                   (int)(give_up_ns / TL_NS_PER_S));
      break;
    }
    if (tries) {
      tl_log(TL_LOG_DEBUG, "'%s' was replaced by another writer: merging again", task->path);
      tl_clock_sleep_ns((int64_t)tl_prng_below(&prng, tries < 6 ? UINT64_C(10) << tries : 500) * TL_NS_PER_MS);
    }
    st = merge_and_put(task, old.data, path.data, err);
  }
  if (old.len) tl_io_unlink(old.data, NULL);
  if (path.len) tl_io_unlink(path.data, NULL);
  tl_buf_deinit(&old);
  tl_buf_deinit(&path);
  return st;
}

tl_status tl_on_store_still(void *on_store, const tl_ledger_file *file, bool *is, tl_error *err) {
  struct tl_on_store *s = on_store;
  tl_buf path = {0};
  char checksum[TL_CHECKSUM_TEXT_MAX];
  int64_t bytes = 0;
  tl_error why = {0};
  *is = false;
  tl_status st = temp_path(s, &path, err);
  if (st) return st;
  st = tl_store_fetch(s->store, file->path, path.data, &why);
  if (!st) st = tl_checksum_file(path.data, checksum, &bytes, &why);
  if (!st) *is = !strcmp(checksum, file->checksum);
  tl_io_unlink(path.data, NULL);
  tl_buf_deinit(&path);
  if (st == TL_ENOTFOUND) return TL_OK;
  if (st && err) *err = why;
  return st;
}
