/* delta_history.c - what the log remembers: its versions, forgetting the oldest of them, and which files they need.
 * Old versions are forgotten only below a checkpoint that was read: it is written where none stands, and files go from old
 * to new, so a crash leaves a log that is whole from the checkpoint on. */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "table/delta/delta.h"

/* ---- history ---- */

static int tell(const tl_delta_entry *entry, const tl_delta_info *info, bool current, tl_version_fn each, void *to) {
  const tl_version row = {
    .version = entry->version, .sequence = entry->version,
    .timestamp_ms = info->in_commit_ms >= 0 ? info->in_commit_ms : entry->mtime_ms,
    .operation = info->operation ? info->operation : "",
    .parameters_json = info->parameters ? info->parameters : "{}",
    .metrics_json = info->metrics ? info->metrics : "{}",
    .engine = info->engine ? info->engine : "",
    .user_text = info->user_text ? info->user_text : "",
    .parent = entry->version - 1, .current = current};
  return each(to, &row);
}

static tl_status not_found(tl_table_log *log, tl_error *err) {
  return tl_fail(err, TL_ENOTFOUND, "no Delta table at '%s': make one with ticklake table create", tl_store_uri(log->store));
}

tl_status tl_delta_history(tl_table_log *log, size_t versions_max, tl_version_fn each, void *to, tl_error *err) {
  tl_delta_entries entries;
  size_t told = 0;
  tl_status st = tl_delta_list(log, 0, INT64_MAX, &entries, err);
  if (st) return st;
  tl_delta_entries_order_times(&entries);
  for (size_t i = entries.count; !st && i-- > 0 && (versions_max == 0 || told < versions_max);) {
    tl_delta_actions actions;
    if (entries.items[i].kind != TL_DELTA_JSON) continue;
    st = tl_delta_read_commit(log, entries.items[i].version, &actions, NULL, err);
    bool stop = !st && tell(&entries.items[i], &actions.info, told == 0, each, to) != 0;
    tl_delta_actions_deinit(&actions);
    told++;
    if (stop) break;
  }
  if (!st && !entries.count) st = not_found(log, err);
  tl_delta_entries_deinit(&entries);
  return st;
}

/* ---- expire ---- */

typedef struct span { int64_t oldest, newest, keep; } span; /* versions of commit files; keep: the oldest to stay */

static bool find_span(const tl_delta_entries *entries, int64_t before_ms, int keep_min, span *out) {
  bool any = false;
  *out = (span){.keep = -1};
  for (size_t i = 0; i < entries->count; i++) {
    const tl_delta_entry *entry = &entries->items[i];
    if (entry->kind != TL_DELTA_JSON) continue;
    if (!any) out->oldest = entry->version;
    any = true;
    out->newest = entry->version;
    if (out->keep < 0 && entry->mtime_ms >= before_ms) out->keep = entry->version;
  }
  int64_t last = out->newest - (keep_min > 1 ? keep_min - 1 : 0);
  if (out->keep < 0 || out->keep > last) out->keep = last;
  return any && out->keep > out->oldest;
}

static bool has_checkpoint(const tl_delta_entries *entries, int64_t version) {
  size_t first;
  return tl_delta_entries_checkpoint(entries, version, &first) == version;
}

/* The table at `version`, from a checkpoint of just that version: read when it is there, else written (and read back). */
static tl_status ensure_checkpoint(tl_table_log *log, const tl_delta_entries *entries, int64_t version, tl_error *err) {
  tl_delta_state state;
  tl_delta_state_init(&state);
  tl_status st = tl_delta_replay(log, version, &state, err);
  if (!st && !(has_checkpoint(entries, version) && state.checkpoint == version)) st = tl_delta_checkpoint_write(log, &state, err);
  tl_delta_state_deinit(&state);
  return st;
}

static tl_status check_writable(tl_table_log *log, int64_t *before_ms, tl_error *err) {
  tl_snapshot *snapshot = NULL;
  tl_status st = tl_delta_advance(log, err);
  if (!st) st = tl_delta_snapshot_of(log, &log->newest, &snapshot, err);
  if (!st && snapshot->unwritable) st = tl_fail(err, TL_EUSAGE, "cannot clean up the log of '%s': %s", tl_store_uri(log->store), snapshot->unwritable);
  if (!st && *before_ms < 0)
    *before_ms = tl_clock_now_ns() / TL_NS_PER_MS - tl_delta_interval_ms(&log->newest.metadata, "delta.logRetentionDuration", INT64_C(2592000000));
  tl_snapshot_close(snapshot);
  return st;
}

tl_status tl_delta_expire(tl_table_log *log, int64_t before_ms, int keep_min, bool dry_run, tl_expired *out, tl_error *err) {
  tl_delta_entries entries;
  span s;
  *out = (tl_expired){0};
  tl_status st = check_writable(log, &before_ms, err);
  if (!st) st = tl_delta_list(log, 0, INT64_MAX, &entries, err);
  if (st) return st;
  tl_delta_entries_order_times(&entries);
  bool any = find_span(&entries, before_ms, keep_min, &s);
  if (any && !dry_run) st = ensure_checkpoint(log, &entries, s.keep, err);
  for (size_t i = 0; any && !st && i < entries.count; i++) {
    const tl_delta_entry *entry = &entries.items[i];
    if (entry->version >= s.keep) break;
    if (!dry_run) st = tl_store_delete(log->store, entry->key, err);
    if (st) break;
    out->versions += entry->kind == TL_DELTA_JSON;
    out->files++;
    out->bytes += entry->size_bytes;
  }
  tl_delta_entries_deinit(&entries);
  return st;
}

/* ---- keeps ---- */

typedef struct keeper {
  tl_table_log *log;
  int (*each)(void *to, const char *path);
  void *to;
  bool stopped;
  tl_error *err;
} keeper;

static tl_status keep_file(keeper *k, const tl_delta_file *file) {
  tl_buf path = {0};
  tl_status st = tl_delta_path_read(tl_store_uri(k->log->store), file->path, &path, k->err);
  if (!st) k->stopped = k->each(k->to, path.data) != 0;
  tl_buf_deinit(&path);
  return st;
}

static tl_status keep_state(keeper *k, const tl_delta_state *state, int64_t since_ms) {
  tl_delta_file *file;
  tl_status st = TL_OK;
  for (size_t at = 0; !st && !k->stopped && tl_delta_state_next(state, &at, &file);)
    if (!file->removed || file->deleted_ms >= since_ms) st = keep_file(k, file);
  return st;
}

/* Commits since then name what was added and taken away meanwhile, also where a tombstone has left the checkpoints. */
static tl_status keep_commit(keeper *k, const tl_delta_entry *entry) {
  tl_delta_actions actions;
  tl_status st = tl_delta_read_commit(k->log, entry->version, &actions, NULL, k->err);
  for (size_t i = 0; !st && !k->stopped && i < actions.file_count; i++) st = keep_file(k, actions.files[i]);
  tl_delta_actions_deinit(&actions);
  return st == TL_ENOTFOUND ? TL_OK : st; /* cleaned up since the listing: nobody reaches it any more */
}

static int keep_log_file(void *to, const char *key, const tl_store_info *info) {
  keeper *k = to;
  (void)info;
  k->stopped = k->each(k->to, key) != 0;
  return k->stopped;
}

/* The table's own retention counts where it is the longer one, unless less than the usual week was asked for. */
static int64_t kept_since(const tl_delta_metadata *metadata, int64_t since_ms) {
  static const int64_t week_ms = INT64_C(604800000);
  int64_t now_ms = tl_clock_now_ns() / TL_NS_PER_MS;
  int64_t own_ms = now_ms - tl_delta_interval_ms(metadata, "delta.deletedFileRetentionDuration", week_ms);
  return since_ms <= now_ms - week_ms && own_ms < since_ms ? own_ms : since_ms;
}

tl_status tl_delta_keeps(tl_table_log *log, int64_t since_ms, int (*each)(void *to, const char *path), void *to, tl_error *err) {
  keeper k = {log, each, to, false, err};
  tl_delta_entries entries = {0};
  tl_status st = tl_delta_advance(log, err);
  if (!st) st = tl_delta_check_readable(&log->newest.protocol, &log->newest.metadata, err);
  if (!st) since_ms = kept_since(&log->newest.metadata, since_ms);
  if (!st) st = keep_state(&k, &log->newest, since_ms);
  if (!st && !k.stopped) st = tl_delta_list(log, 0, INT64_MAX, &entries, err);
  for (size_t i = 0; !st && !k.stopped && i < entries.count; i++)
    if (entries.items[i].kind == TL_DELTA_JSON && entries.items[i].mtime_ms >= since_ms) st = keep_commit(&k, &entries.items[i]);
  tl_delta_entries_deinit(&entries);
  if (!st && !k.stopped) st = tl_store_list(log->store, TL_DELTA_LOG, NULL, false, keep_log_file, &k, err);
  return st;
}
