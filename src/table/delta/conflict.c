/* conflict.c - may an edit that lost a race be committed behind the winner? The rules of Delta's own conflict checker, in
 * their order, for the isolation level Serializable. Pure. */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "table/delta/delta.h"

static tl_status lost(const tl_delta_actions *winner, const char *what, const char *path, tl_error *err) {
  return tl_fail(err, TL_ECONFLICT, "version %" PRId64 ", committed by another writer meanwhile, %s%s%.150s%s", winner->version, what,
                 path ? " '" : "", path ? path : "", path ? "'" : "");
}

static bool equal(const char *a, const char *b) { return a == b || (a && b && !strcmp(a, b)); }

/* Is the winner's file in a partition the edit read? A partition we cannot tell counts as read. */
static tl_status was_read(const tl_snapshot *base, const tl_edit *edit, const tl_delta_file *file, bool *out, tl_error *err) {
  size_t count = base->partitioning.count;
  *out = edit->reads == TL_READS_ALL;
  if (edit->reads != TL_READS_PARTITIONS) return TL_OK;
  *out = !file->has_partition;
  if (*out) return TL_OK;
  char **texts = tl_calloc(count + 1, sizeof *texts);
  if (!texts) return tl_fail(err, TL_ENOMEM, "cannot compare partitions");
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < count; i++) {
    const tl_partition_field *p = &base->partitioning.items[i];
    const char *value = NULL;
    for (size_t k = 0; k < file->partition_count; k++)
      if (!strcmp(file->partition[k].key, p->name)) value = file->partition[k].value;
    st = tl_delta_value_read(&base->fields.items[p->column], value, &texts[i], err);
  }
  for (size_t r = 0; !st && !*out && r < edit->read_partition_count; r++) {
    bool same = true;
    for (size_t i = 0; same && i < count; i++) same = equal(texts[i], edit->read_partitions[r][i]);
    *out = same;
  }
  for (size_t i = 0; i < count; i++) tl_free(texts[i]);
  tl_free(texts);
  return st;
}

static const tl_delta_file *base_file(const tl_snapshot *base, const char *log_path) {
  const tl_delta_own *own = base->own;
  for (size_t i = 0; i < own->file_count; i++)
    if (!strcmp(own->files[i]->path, log_path)) return own->files[i];
  return NULL;
}

static bool is_removed(const tl_snapshot *base, const tl_edit *edit, const tl_delta_file *file) { /* by the edit */
  const tl_delta_own *own = base->own;
  for (size_t i = 0; i < own->file_count; i++) {
    if (own->files[i] != file) continue;
    for (size_t r = 0; r < edit->remove_count; r++)
      if (!strcmp(edit->removes[r], base->files[i].path)) return true;
  }
  return false;
}

static tl_status check_added(const tl_snapshot *base, const tl_edit *edit, const tl_delta_actions *winner, tl_error *err) {
  for (size_t i = 0; i < winner->file_count; i++) {
    const tl_delta_file *file = winner->files[i];
    bool read = false;
    if (file->removed) continue;
    tl_status st = was_read(base, edit, file, &read, err);
    if (st) return st;
    if (read) return lost(winner, "added to what this change read: file", file->path, err);
  }
  return TL_OK;
}

static tl_status check_same(const tl_edit *edit, const tl_delta_actions *winner, tl_error *err) {
  tl_buf path = {0};
  tl_status st = TL_OK;
  for (size_t a = 0; !st && a < edit->add_count; a++) {
    tl_buf_clear(&path);
    st = tl_delta_path_write(edit->adds[a].path, &path, err);
    for (size_t i = 0; !st && i < winner->file_count; i++)
      if (!strcmp(path.data, winner->files[i]->path)) st = lost(winner, "touched the same file", path.data, err);
  }
  tl_buf_deinit(&path);
  return st;
}

/* Of what was removed only files of the base matter: of a later one the add has been looked at already. */
static tl_status check_removed(const tl_snapshot *base, const tl_edit *edit, const tl_delta_actions *winner, tl_error *err) {
  for (int removes = 0; removes < 2; removes++) /* first what was read, then what is removed */
    for (size_t i = 0; i < winner->file_count; i++) {
      bool hit = false;
      if (!winner->files[i]->removed) continue;
      const tl_delta_file *file = base_file(base, winner->files[i]->path);
      if (!file) continue;
      tl_status st = removes ? TL_OK : was_read(base, edit, file, &hit, err);
      if (st) return st;
      if (removes) hit = is_removed(base, edit, file);
      if (hit) return lost(winner, removes ? "removed a file this change removes too:" : "removed a file this change read:", file->path, err);
    }
  return TL_OK;
}

tl_status tl_delta_conflict(const tl_snapshot *base, const tl_edit *edit, const tl_delta_actions *winner, bool *already, tl_error *err) {
  *already = false;
  if (winner->has_protocol) return lost(winner, "changed the table's protocol", NULL, err);
  if (winner->has_metadata) return lost(winner, "changed the table's schema or properties", NULL, err);
  for (size_t i = 0; edit->txn_app && i < winner->txn_count; i++) {
    if (strcmp(winner->txns[i].app, edit->txn_app) != 0) continue;
    *already = winner->txns[i].version >= edit->txn_version;
    return *already ? TL_OK : lost(winner, "was committed by the same application", NULL, err);
  }
  tl_status st = check_added(base, edit, winner, err);
  if (!st) st = check_removed(base, edit, winner, err);
  return st ? st : check_same(edit, winner, err);
}
