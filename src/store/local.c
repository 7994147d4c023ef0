/* local.c - a folder as a store.
 *
 * A put is written to .NAME.PID-N.tmp beside its place, dated, synced, then put in place in one step and the folder
 * synced: link(2) for TL_PUT_ABSENT, which fails when the name is taken; rename(2) else. TL_PUT_MATCH compares and renames
 * under a lock on a byte of .ticklake.lock in the base, made by the first such put; once it is there, plain puts and
 * deletes take it too. Each put is dated to the nanosecond, and a match later than what it replaces, so that inode, size and
 * date (the etag) never come back, whatever inodes the file system hands out again. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/prng.h"
#include "store/backend.h"

enum { COPY_BYTES = 256 * 1024, ASIDE_NAME_MAX = 200, ASIDE_TRIES = 1000, KEY_BYTES_MAX = 1024 };
static const char LOCK_NAME[] = ".ticklake.lock";

typedef struct local {
  const char *root; /* the store's uri */
} local;

static char *path_of(const local *l, const char *key) { return tl_io_join(l->root, key); }

static void describe(const tl_io_info *file, tl_store_info *out) {
  out->size_bytes = file->size_bytes;
  out->mtime_ms = file->mtime_ns / TL_NS_PER_MS - (file->mtime_ns % TL_NS_PER_MS < 0);
  snprintf(out->etag, sizeof out->etag, "%" PRIx64 "-%" PRIx64 "-%" PRIx64, file->inode, (uint64_t)file->size_bytes, (uint64_t)file->mtime_ns);
}

static tl_status not_there(const char *path, tl_error *err) { return tl_fail(err, TL_ENOTFOUND, "there is no file '%s'", path); }

/* ---- reading ---- */

static tl_status open_file(const char *path, int *fd, tl_io_info *file, tl_error *err) {
  tl_status st = tl_io_open(path, O_RDONLY, 0, fd, err);
  if (st == TL_EIO && tl_io_stat(path, file, NULL) == TL_ENOTFOUND) return not_there(path, err); /* a part of it is a file */
  if (!st) st = tl_io_stat_open(*fd, path, file, err);
  if (!st && file->is_dir) st = not_there(path, err);
  if (!st || *fd < 0) return st;
  tl_io_close(*fd, path, NULL);
  *fd = -1;
  return st;
}

static tl_status read_range(int fd, const char *path, const tl_io_info *file, int64_t offset, int64_t len, tl_buf *out, tl_error *err) {
  if (offset >= file->size_bytes) return TL_OK;
  size_t want = (size_t)(len < 0 || len > file->size_bytes - offset ? file->size_bytes - offset : len), got = 0;
  tl_status st = tl_buf_reserve(out, want, err);
  if (!st) st = tl_io_pread(fd, path, out->data + out->len, want, offset, &got, err);
  if (st) return st;
  out->len += got;
  out->data[out->len] = 0;
  return got == want ? TL_OK : tl_fail(err, TL_EIO, "'%s' became shorter while it was read", path);
}

static tl_status local_get(void *self, const char *key, int64_t offset, int64_t len, size_t bytes_max, tl_buf *out, tl_store_info *info, tl_error *err) {
  char *path = path_of(self, key);
  if (!path) return tl_fail(err, TL_ENOMEM, "cannot read '%s'", key);
  int fd = -1;
  tl_io_info file;
  tl_status st = open_file(path, &fd, &file, err);
  if (!st && len < 0 && (uint64_t)file.size_bytes > bytes_max) st = tl_fail(err, TL_ELIMIT, "'%s' is larger than %zu bytes", path, bytes_max);
  if (!st) st = read_range(fd, path, &file, offset, len, out, err);
  if (!st && info) describe(&file, info);
  tl_io_close(fd, path, NULL);
  tl_free(path);
  return st;
}

static tl_status local_stat(void *self, const char *key, tl_store_info *info, tl_error *err) {
  char *path = path_of(self, key);
  if (!path) return tl_fail(err, TL_ENOMEM, "cannot look at '%s'", key);
  tl_io_info file;
  tl_status st = tl_io_stat(path, &file, err);
  if (!st && file.is_dir) st = not_there(path, err);
  if (!st) describe(&file, info);
  tl_free(path);
  return st;
}

static tl_status copy(const char *from, int to, const char *to_path, tl_error *err) {
  int fd = -1;
  tl_io_info file;
  tl_status st = open_file(from, &fd, &file, err);
  char *block = st ? NULL : tl_alloc(COPY_BYTES);
  if (!st && !block) st = tl_fail(err, TL_ENOMEM, "cannot copy '%s'", from);
  for (int64_t at = 0; !st;) {
    size_t got = 0;
    st = tl_io_pread(fd, from, block, COPY_BYTES, at, &got, err);
    if (!st) st = tl_io_write(to, to_path, block, got, err);
    at += (int64_t)got;
    if (got < COPY_BYTES) break;
  }
  tl_free(block);
  tl_io_close(fd, from, NULL);
  return st;
}

static tl_status local_fetch(void *self, const char *key, int fd, const char *local_path, tl_error *err) {
  char *path = path_of(self, key);
  if (!path) return tl_fail(err, TL_ENOMEM, "cannot copy '%s'", key);
  tl_status st = copy(path, fd, local_path, err);
  tl_free(path);
  return st;
}

/* ---- writing ---- */

typedef struct place { /* where a put goes */
  char *path;
  tl_buf aside;
  bool made; /* the file aside is there */
  tl_io_info file;
} place;

static void place_deinit(place *p) {
  if (p->made) tl_io_unlink(p->aside.data, NULL);
  tl_buf_deinit(&p->aside);
  tl_free(p->path);
}

static tl_status open_aside(place *p, int *fd, tl_error *err) {
  static atomic_uint serial;
  const char *name = strrchr(p->path, '/') + 1;
  int len = (int)strlen(name);
  while (len > ASIDE_NAME_MAX) len--; /* room for our own part of the name; bytes may be cut anywhere */
  tl_status st = TL_ECONFLICT;
  for (int i = 0; st == TL_ECONFLICT && i < ASIDE_TRIES; i++) { /* taken: left by a process of the same number, or another machine's */
    tl_buf_clear(&p->aside);
    st = tl_buf_appendf(&p->aside, err, "%.*s.%.*s.%d-%u.tmp", (int)(name - p->path), p->path, len, name, (int)getpid(), atomic_fetch_add(&serial, 1));
    if (!st) st = tl_io_open(p->aside.data, O_WRONLY | O_CREAT | O_EXCL, 0644, fd, err);
  }
  return st == TL_ECONFLICT ? tl_fail(err, TL_EIO, "cannot find a free name beside '%s'", p->path) : st;
}

/* Writes, dates and syncs the file aside. */
static tl_status write_aside(place *p, const tl_store_source *source, tl_error *err) {
  int fd = -1;
  tl_status st = tl_io_mkdir_parents(p->path, err);
  if (!st) st = open_aside(p, &fd, err);
  if (st) return st;
  p->made = true;
  st = source->path ? copy(source->path, fd, p->aside.data, err) : tl_io_write(fd, p->aside.data, source->data, source->len, err);
  if (!st) st = tl_io_set_mtime(fd, p->aside.data, tl_clock_now_ns(), err);
  if (!st) st = tl_io_fsync(fd, p->aside.data, err);
  if (!st) st = tl_io_stat_open(fd, p->aside.data, &p->file, err);
  tl_io_close(fd, p->aside.data, NULL);
  return st;
}

static tl_status sync_folder(char *path, tl_error *err) { /* takes no memory: nothing but the disk may fail from here on */
  char *slash = strrchr(path, '/');
  *slash = 0;
  tl_status st = tl_io_fsync_dir(*path ? path : "/", err);
  if (st) st = tl_io_fsync_dir(*path ? path : "/", err); /* the put is in place: a passing fault must not report it lost */
  *slash = '/';
  return st ? tl_fail_within(err, st, "'%s' is in place but may not outlast a power cut", path) : TL_OK;
}

/* A file server may answer "exists" to a link it has made itself when it is asked twice. */
static bool is_same_file(const char *path, const tl_io_info *file) {
  tl_io_info there;
  return !tl_io_stat(path, &there, NULL) && there.device == file->device && there.inode == file->inode;
}

static tl_status link_in(const char *from, const char *path, const tl_io_info *file, tl_error *err) {
  TL_FAULT_STEP();
  tl_status st = tl_io_link(from, path, err);
  if (st == TL_ECONFLICT && is_same_file(path, file)) st = TL_OK;
  TL_FAULT_STEP();
  return st;
}

static tl_status rename_in(place *p, tl_error *err) {
  TL_FAULT_STEP();
  tl_status st = tl_io_rename(p->aside.data, p->path, err);
  if (!st) p->made = false;
  TL_FAULT_STEP();
  return st;
}

/* ---- the lock between matching puts, plain puts and deletes ---- */

static int64_t lock_byte(const char *key) {
  uint64_t hash = 0;
  for (; *key; key++) hash = tl_prng_mix(hash + (unsigned char)*key + 1);
  return (int64_t)(hash >> 2); /* a file offset */
}

/* *fd -1: nobody has matched in this base yet, so there is nobody to keep out. */
static tl_status lock(const local *l, const char *key, bool make, int *fd, tl_error *err) {
  char *path = path_of(l, LOCK_NAME);
  if (!path) return tl_fail(err, TL_ENOMEM, "cannot lock '%s'", key);
  tl_status st = tl_io_open(path, O_RDWR | (make ? O_CREAT : 0), 0644, fd, err);
  if (!st) st = tl_io_lock(*fd, path, lock_byte(key), err);
  else if (st == TL_ENOTFOUND) st = TL_OK;
  if (st && *fd >= 0) {
    tl_io_close(*fd, path, NULL);
    *fd = -1;
  }
  tl_free(path);
  return st;
}

static void unlock(int fd) { tl_io_close(fd, LOCK_NAME, NULL); } /* the lock ends with its only descriptor */

static tl_status conflict(const char *path, tl_error *err) {
  return tl_fail(err, TL_ECONFLICT, "'%s' was changed by another writer", path);
}

/* What is in place now is what the caller read: dates the new file later and answers TL_OK. */
static tl_status still_matches(place *p, const char *etag, tl_error *err) {
  tl_io_info there;
  tl_store_info info;
  tl_status st = tl_io_stat(p->path, &there, err);
  if (st == TL_ENOTFOUND || (!st && there.is_dir)) return conflict(p->path, err);
  if (st) return st;
  describe(&there, &info);
  if (strcmp(info.etag, etag) != 0) return conflict(p->path, err);
  if (!p->made || p->file.mtime_ns > there.mtime_ns) return TL_OK;
  int fd = -1;
  st = tl_io_open(p->aside.data, O_WRONLY, 0, &fd, err);
  if (!st) st = tl_io_set_mtime(fd, p->aside.data, p->file.mtime_ns = there.mtime_ns + 1, err);
  if (!st) st = tl_io_fsync(fd, p->aside.data, err);
  tl_io_close(fd, p->aside.data, NULL);
  return st;
}

static tl_status put_absent(place *p, const tl_store_source *source, tl_error *err) {
  tl_io_info there;
  if (!tl_io_stat(p->path, &there, NULL)) return tl_fail(err, TL_ECONFLICT, "'%s' exists already", p->path); /* spares the writing */
  tl_status st = write_aside(p, source, err);
  return st ? st : link_in(p->aside.data, p->path, &p->file, err);
}

static tl_status put_over(const local *l, const char *key, place *p, const tl_store_source *source, const tl_store_put_as *as, tl_error *err) {
  bool match = as->condition == TL_PUT_MATCH;
  int fd = -1;
  tl_status st = match ? still_matches(p, as->etag, err) : TL_OK; /* spares the writing */
  if (!st) st = write_aside(p, source, err);
  if (!st) st = lock(l, key, match, &fd, err);
  if (!st && match) st = still_matches(p, as->etag, err);
  if (!st) st = rename_in(p, err);
  unlock(fd);
  return st;
}

static tl_status local_put(void *self, const char *key, const tl_store_source *source, const tl_store_put_as *as, tl_store_info *info, tl_error *err) {
  place p = {.path = path_of(self, key)};
  if (!p.path) return tl_fail(err, TL_ENOMEM, "cannot write '%s'", key);
  tl_status st = as->condition == TL_PUT_ABSENT ? put_absent(&p, source, err) : put_over(self, key, &p, source, as, err);
  if (!st) {
    describe(&p.file, info);
    st = sync_folder(p.path, err);
  }
  place_deinit(&p);
  return st;
}

static tl_status sync_file(const char *path, tl_io_info *file, tl_error *err) {
  int fd = -1;
  tl_status st = open_file(path, &fd, file, err);
  if (!st) st = tl_io_fsync(fd, path, err);
  tl_io_close(fd, path, NULL);
  return st;
}

static tl_status local_adopt(void *self, const char *local_path, const char *key, tl_error *err) {
  const local *l = self;
  size_t root_len = strcmp(l->root, "/") ? strlen(l->root) : 0;
  if (strncmp(local_path, l->root, root_len) != 0 || local_path[root_len] != '/' || strstr(local_path, "/../"))
    return tl_fail(err, TL_EINTERNAL, "'%s' does not lie in '%s'", local_path, l->root);
  char *path = path_of(l, key);
  if (!path) return tl_fail(err, TL_ENOMEM, "cannot move '%s'", local_path);
  tl_io_info file;
  tl_status st = sync_file(local_path, &file, err);
  if (!st) st = tl_io_mkdir_parents(path, err);
  if (!st) st = link_in(local_path, path, &file, err);
  if (!st) {
    tl_io_unlink(local_path, NULL); /* a name left behind is a file aside like any other */
    st = sync_folder(path, err);
  }
  tl_free(path);
  return st;
}

static tl_status local_remove(void *self, const char *key, tl_error *err) {
  char *path = path_of(self, key);
  if (!path) return tl_fail(err, TL_ENOMEM, "cannot remove '%s'", key);
  int fd = -1;
  tl_io_info file;
  tl_status st = lock(self, key, false, &fd, err);
  if (!st) st = tl_io_unlink(path, err);
  unlock(fd);
  if (st && tl_io_stat(path, &file, NULL) == TL_ENOTFOUND) st = TL_OK; /* a part of it is a file */
  tl_free(path);
  return st;
}

/* ---- listing ---- */

typedef struct entry {
  char *name; /* of the names' */
  tl_io_info file;
} entry;

typedef struct ancestor { /* folders above, so that a ring of symbolic links ends */
  const struct ancestor *above;
  uint64_t device, inode;
} ancestor;

typedef struct walk {
  const local *l;
  const tl_store_list_as *as;
  tl_buf key; /* of the folder, with '/' at its end, or empty */
  bool stopped;
} walk;

/* In the order of the keys: a folder's name counts with its '/'. */
static int compare_entries(const void *a, const void *b) {
  const entry *x = a, *y = b;
  const unsigned char *p = (const unsigned char *)x->name, *q = (const unsigned char *)y->name;
  while (*p && *p == *q) p++, q++;
  return (*p ? *p : x->file.is_dir ? '/' : 0) - (*q ? *q : y->file.is_dir ? '/' : 0);
}

/* Whether w->key with `name` put to its end may be listed, as a file or as a folder of listed files. */
static bool may_count(const walk *w, const char *name) {
  size_t base = w->key.len, len = base + strlen(name), prefix_len = strlen(w->as->prefix);
  if (!strcmp(name, LOCK_NAME) || len > KEY_BYTES_MAX) return false;
  if (prefix_len > base && strncmp(w->as->prefix + base, name, prefix_len - base) != 0) return false; /* folders above are in it */
  const char *after = w->as->after;
  int order = base ? strncmp(after, w->key.data, base) : 0;
  if (order) return order < 0;
  size_t name_len = strlen(name);
  order = strncmp(after + base, name, name_len);
  return order ? order < 0 : (unsigned char)after[base + name_len] <= '/'; /* '/' itself: it is a folder above `after` */
}

static bool is_listed(const walk *w, const entry *e, const char *key) {
  return e->file.is_file && strcmp(key, w->as->after) > 0 && (w->as->aside || !tl_store_is_aside(e->name));
}

static tl_status look_at_entries(const walk *w, const char *folder, const tl_io_names *names, entry *entries, size_t *count, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < names->count; i++) {
    if (!may_count(w, names->names[i])) continue;
    char *path = tl_io_join(folder, names->names[i]);
    if (!path) return tl_fail(err, TL_ENOMEM, "cannot list '%s'", folder);
    entry *e = &entries[*count];
    e->name = names->names[i];
    st = tl_io_stat(path, &e->file, err);
    if (st == TL_ENOTFOUND) st = TL_OK; /* removed since, or a link to nowhere */
    else if (!st) (*count)++;
    tl_free(path);
  }
  return st;
}

static tl_status walk_folder(walk *w, const ancestor *above, tl_error *err);

static tl_status walk_entry(walk *w, const ancestor *above, const entry *e, tl_error *err) {
  size_t base = w->key.len;
  tl_status st = tl_buf_appends(&w->key, e->name, err);
  if (!st && is_listed(w, e, w->key.data)) {
    tl_store_info info;
    describe(&e->file, &info);
    w->stopped = w->as->each(w->as->to, w->key.data, &info) != 0;
  } else if (!st && e->file.is_dir) {
    bool ring = false;
    for (const ancestor *a = above; a; a = a->above) ring = ring || (a->device == e->file.device && a->inode == e->file.inode);
    ancestor here = {above, e->file.device, e->file.inode};
    if (!ring && !(st = tl_buf_appends(&w->key, "/", err))) st = walk_folder(w, &here, err);
  }
  w->key.len = base;
  if (w->key.data) w->key.data[base] = 0;
  return st;
}

static tl_status walk_folder(walk *w, const ancestor *above, tl_error *err) {
  tl_io_names names = {0};
  char *folder = tl_io_join(w->l->root, w->key.data ? w->key.data : "");
  if (!folder) return tl_fail(err, TL_ENOMEM, "cannot list '%s'", w->l->root);
  size_t count = 0;
  entry *entries = NULL;
  tl_status st = tl_io_list(folder, &names, err);
  if (st == TL_ENOTFOUND) st = TL_OK;
  else if (!st && names.count && !(entries = tl_calloc(names.count, sizeof *entries))) st = tl_fail(err, TL_ENOMEM, "cannot list '%s'", folder);
  if (!st && entries) st = look_at_entries(w, folder, &names, entries, &count, err);
  if (!st && count) qsort(entries, count, sizeof *entries, compare_entries);
  for (size_t i = 0; !st && !w->stopped && i < count; i++) st = walk_entry(w, above, &entries[i], err);
  tl_free(entries);
  tl_io_names_deinit(&names);
  tl_free(folder);
  return st;
}

static tl_status local_list(void *self, const tl_store_list_as *as, tl_error *err) {
  walk w = {.l = self, .as = as};
  const char *slash = strrchr(as->prefix, '/');
  tl_status st = slash ? tl_buf_append(&w.key, as->prefix, (size_t)(slash + 1 - as->prefix), err) : TL_OK;
  if (!st) st = walk_folder(&w, NULL, err);
  tl_buf_deinit(&w.key);
  return st;
}

/* ---- opening ---- */

/* The absolute path, its ".", ".." and double slashes taken out of the text, as Python's os.path.abspath does. */
static tl_status make_absolute(const char *path, tl_buf *out, tl_error *err) {
  char here[4096] = "";
  if (*path != '/' && !getcwd(here, sizeof here)) return tl_fail_errno(err, errno, "cannot tell the working directory");
  const char *parts[2] = {here, path};
  for (int i = 0; i < 2; i++)
    for (const char *at = parts[i]; *at;) {
      size_t len = strcspn(at, "/");
      if (len == 2 && !strncmp(at, "..", 2)) {
        while (out->len && out->data[out->len - 1] != '/') out->len--;
        if (out->len) out->data[--out->len] = 0;
      } else if (len && !(len == 1 && *at == '.')) {
        tl_status st = tl_buf_appends(out, "/", err);
        if (!st) st = tl_buf_append(out, at, len, err);
        if (st) return st;
      }
      at += len;
      at += strspn(at, "/");
    }
  return out->len ? TL_OK : tl_buf_appends(out, "/", err);
}

static void local_close(void *self) { tl_free(self); }

static const tl_backend backend = {local_close, local_get, local_stat, local_fetch, local_put, local_adopt, local_remove, local_list};

tl_status tl_store_local_open(tl_store *store, const char *path, tl_error *err) {
  tl_buf root = {0};
  tl_status st = make_absolute(path, &root, err);
  tl_io_info file;
  if (!st && !tl_io_stat(root.data, &file, NULL) && !file.is_dir) st = tl_fail(err, TL_EUSAGE, "'%s' is not a folder", root.data);
  local *l = st ? NULL : tl_calloc(1, sizeof *l);
  if (!st && !l) st = tl_fail(err, TL_ENOMEM, "cannot open '%s'", root.data);
  if (st) {
    tl_buf_deinit(&root);
    return st;
  }
  l->root = store->uri = tl_buf_take(&root);
  store->self = l;
  store->backend = &backend;
  return TL_OK;
}
