/* vacuum.c - deletes what no face needs: files that no reachable snapshot, younger tombstone or log names, and that are
 * themselves older than the retention, for a running writer's files are protected by nothing but their age.
 * Never touched: what begins with _ or . at the top of the table (logs, ledgers, work folders of the living), but for the
 * folders of a partition column that is named so. What writers that died had begun aside (work folders, .NAME.PID-N.tmp
 * beside any file, the logs' too; on S3 .probe-ID.tmp) is removed after a day, with `force` at once. A folder that holds another table, or a lake,
 * is not vacuumed at all: nothing of it is named by this table's logs.
 * Cost: one listing of the table; the paths kept, in memory. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"
#include "table/ops/ops.h"

static const int64_t retain_min_ms = INT64_C(168) * 3600 * 1000, day_ms = INT64_C(24) * 3600 * 1000;

typedef struct keeping {
  char **paths; /* sorted once all are there */
  size_t count, capacity;
  bool failed;
} keeping;

static int keep(void *to, const char *path) {
  keeping *k = to;
  if (k->count == k->capacity) {
    size_t capacity = k->capacity ? k->capacity * 2 : 1024;
    char **grown = tl_realloc_array(k->paths, capacity, sizeof *grown);
    if (!grown) return k->failed = true;
    k->paths = grown;
    k->capacity = capacity;
  }
  k->paths[k->count] = tl_strdup(path);
  if (!k->paths[k->count]) return k->failed = true;
  k->count++;
  return 0;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static bool is_kept(const keeping *k, const char *path) { return k->count && bsearch(&path, k->paths, k->count, sizeof *k->paths, by_text); }

static tl_status collect(tl_relation *relation, int64_t since_ms, keeping *k, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < relation->face_count; i++) {
    st = relation->faces[i].format->keeps(relation->faces[i].log, since_ms, keep, k, err);
    const tl_snapshot *now = relation->faces[i].snapshot; /* whatever the log says: the live ones stay */
    for (size_t f = 0; !st && !k->failed && f < now->file_count; f++) keep(k, now->files[f].path);
  }
  if (!st && k->failed) st = tl_fail(err, TL_ENOMEM, "cannot hold the paths to keep");
  if (!st && k->count) qsort(k->paths, k->count, sizeof *k->paths, by_text);
  return st;
}

/* ---- what is there ---- */

typedef struct sweep {
  tl_relation *relation;
  const keeping *kept;
  int64_t before_ms;
  char **paths;
  int64_t *sizes;
  size_t count, capacity;
  char *foreign; /* the first file seen of another table */
  int64_t stay;
  bool force, failed;
} sweep;

static bool is_alive(const char *text) { /* "PID-..." */
  char *end = NULL;
  long pid = strtol(text, &end, 10);
  return pid > 0 && *end == '-' && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

/* ".NAME.PID-N.tmp": a put of a local store that was never finished. */
static const char *aside_writer(const char *key) {
  const char *slash = strrchr(key, '/'), *name = slash ? slash + 1 : key;
  size_t len = strlen(name);
  if (name[0] != '.' || len < 8 || strcmp(name + len - 4, ".tmp") != 0) return NULL;
  const char *writer = memrchr(name, '.', len - 4);
  return writer && writer > name && strchr(writer, '-') ? writer + 1 : NULL;
}

/* "_x=1/..." when the table is partitioned by a column _x */
static bool is_partition_folder(const tl_snapshot *snapshot, const char *key) {
  const char *equals = strchr(key, '='), *slash = strchr(key, '/');
  if (!equals || !slash || equals > slash || !snapshot->partitioning.count) return false;
  const char *name = snapshot->partitioning.items[0].name;
  return strlen(name) == (size_t)(equals - key) && !strncmp(name, key, strlen(name));
}

static int take(sweep *s, const char *key, const tl_store_info *info) {
  if (s->count == s->capacity) {
    size_t capacity = s->capacity ? s->capacity * 2 : 256;
    char **paths = tl_realloc_array(s->paths, capacity, sizeof *paths);
    if (paths) s->paths = paths;
    int64_t *sizes = paths ? tl_realloc_array(s->sizes, capacity, sizeof *sizes) : NULL;
    if (!sizes) return s->failed = true;
    s->sizes = sizes;
    s->capacity = capacity;
  }
  s->paths[s->count] = tl_strdup(key);
  if (!s->paths[s->count]) return s->failed = true;
  s->sizes[s->count++] = info->size_bytes;
  return 0;
}

/* The log of a table below this one, or the ledger of a lake around it. */
static bool is_foreign(const char *key) {
  return strstr(key, "/_delta_log/") || (tl_ops_is_metadata(key) && strstr(key, "/metadata/")) || !strncmp(key, "_ticklake/", 10);
}

static int look(void *to, const char *key, const tl_store_info *info) {
  sweep *s = to;
  if (is_foreign(key)) {
    s->foreign = tl_strdup(key);
    return s->failed = true;
  }
  bool local = tl_store_is_local(s->relation->store), probe = !local && !strncmp(key, TL_STORE_PROBE, sizeof TL_STORE_PROBE - 1);
  const char *writer = local ? aside_writer(key) : NULL;
  bool work = !strncmp(key, TL_WORK_FOLDER "/", sizeof TL_WORK_FOLDER); /* sweep_work's */
  if (probe || (writer && !work)) {
    bool old = tl_clock_now_ns() / TL_NS_PER_MS - info->mtime_ms > day_ms;
    return (old || s->force) && !(writer && is_alive(writer)) ? take(s, key, info) : 0;
  }
  bool hidden = (key[0] == '_' || key[0] == '.') && !is_partition_folder(s->relation->faces[0].snapshot, key);
  if (hidden) return 0;
  if (info->mtime_ms >= s->before_ms || is_kept(s->kept, key)) {
    s->stay++;
    return 0;
  }
  return take(s, key, info);
}
/* ---- work folders of the dead ---- */

static void measure(const char *folder, tl_vacuumed *out) {
  tl_io_names names = {0};
  if (tl_io_list(folder, &names, NULL)) return;
  for (size_t i = 0; i < names.count; i++) {
    tl_io_info info;
    char *path = tl_io_join(folder, names.names[i]);
    if (path && !tl_io_stat(path, &info, NULL)) {
      if (info.is_dir) measure(path, out);
      else {
        out->files++;
        out->bytes += info.size_bytes;
      }
    }
    tl_free(path);
  }
  tl_io_names_deinit(&names);
}

static void sweep_work(tl_relation *relation, bool force, bool dry_run, void (*each)(void *to, const char *path, int64_t bytes), void *to,
                       tl_vacuumed *out) {
  tl_io_names names = {0};
  const char *base = tl_store_local(relation->store);
  char *work = base ? tl_io_join(base, TL_WORK_FOLDER) : NULL;
  if (!work || tl_io_list(work, &names, NULL)) {
    tl_free(work);
    return;
  }
  for (size_t i = 0; i < names.count; i++) {
    tl_io_info info;
    char *folder = tl_io_join(work, names.names[i]), *shown = tl_io_join(TL_WORK_FOLDER, names.names[i]);
    bool old = folder && !tl_io_stat(folder, &info, NULL) && tl_clock_now_ns() - info.mtime_ns > day_ms * TL_NS_PER_MS;
    if (folder && shown && (old || force) && !is_alive(names.names[i])) {
      int64_t before = out->bytes;
      measure(folder, out);
      if (each) each(to, shown, out->bytes - before);
      if (!dry_run) tl_ops_remove_folder(folder);
    }
    tl_free(folder);
    tl_free(shown);
  }
  if (!dry_run) tl_io_rmdir(work, NULL);
  tl_io_names_deinit(&names);
  tl_free(work);
}

/* ---- the whole ---- */

tl_status tl_relation_vacuum(tl_relation *relation, int64_t retain_ms, bool force, bool dry_run,
                             void (*each)(void *to, const char *path, int64_t bytes), void *to, tl_vacuumed *out, tl_error *err) {
  tl_status st = dry_run ? TL_OK : tl_relation_may_write(relation, err);
  *out = (tl_vacuumed){0};
  if (!st && (retain_ms < 0 || (retain_ms < retain_min_ms && !force)))
    st = tl_fail(err, TL_EUSAGE, "keeping less than 168 hours can delete what a running writer or reader needs: --force does it");
  if (!st) st = tl_relation_refresh(relation, err);
  if (!st) st = tl_ops_may_forget(relation, err);
  if (st) return st;
  keeping kept = {0};
  int64_t before_ms = tl_clock_now_ns() / TL_NS_PER_MS - retain_ms;
  sweep s = {.relation = relation, .kept = &kept, .before_ms = before_ms, .force = force};
  st = collect(relation, before_ms, &kept, err);
  if (!st) st = tl_store_list(relation->store, "", NULL, true, look, &s, err);
  if (s.foreign)
    st = tl_fail(err, TL_EUSAGE, "the folder of '%s' holds another table or a lake ('%s'), whose files would be deleted: move one of them", tl_store_uri(relation->store),
                 s.foreign);
  else if (!st && s.failed) st = tl_fail(err, TL_ENOMEM, "cannot list what to delete");
  for (size_t i = 0; !st && i < s.count; i++) {
    TL_FAULT_STEP();
    if (!dry_run) st = tl_store_delete(relation->store, s.paths[i], err);
    if (st) break;
    if (each) each(to, s.paths[i], s.sizes[i]);
    out->files++;
    out->bytes += s.sizes[i];
  }
  out->kept = s.stay;
  if (!st) sweep_work(relation, force, dry_run, each, to, out);
  for (size_t i = 0; i < s.count; i++) tl_free(s.paths[i]);
  for (size_t i = 0; i < kept.count; i++) tl_free(kept.paths[i]);
  tl_free(s.paths);
  tl_free(s.sizes);
  tl_free(s.foreign);
  tl_free(kept.paths);
  return st;
}
