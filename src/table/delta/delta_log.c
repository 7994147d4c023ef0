/* delta_log.c - the folder _delta_log: what lies there, which of it makes up a version, and reading that in order.
 * A version is the newest readable checkpoint at or before it and every commit file from there on; a version missing in
 * between is TL_ECORRUPT. Cost: one listing from the checkpoint on (its version is in _last_checkpoint, a hint that may be
 * absent, torn or old), the checkpoint, a get per later commit. A handle remembers the state it loaded last and then reads
 * only what is new. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "table/delta/delta.h"

enum { VERSION_DIGITS = 20, REPLAYS_MAX = 3, ADVANCE_MAX = 50 };

void tl_delta_commit_key(int64_t version, char out[TL_DELTA_KEY_MAX]) {
  snprintf(out, TL_DELTA_KEY_MAX, TL_DELTA_LOG "%020" PRId64 ".json", version);
}

/* ---- listing ---- */

static bool parse_digits(const char *at, int count, int64_t *out) {
  *out = 0;
  for (int i = 0; i < count; i++)
    if (at[i] < '0' || at[i] > '9' || __builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, at[i] - '0', out)) return false;
  return true;
}

/* The file's place in the log by its name; false when it has none. */
static bool classify(const char *key, tl_delta_entry *out) {
  const char *name = key + strlen(TL_DELTA_LOG);
  int64_t part, parts;
  if (strncmp(key, TL_DELTA_LOG, strlen(TL_DELTA_LOG)) != 0 || strlen(name) <= VERSION_DIGITS || name[VERSION_DIGITS] != '.' ||
      strchr(name, '/') || !parse_digits(name, VERSION_DIGITS, &out->version))
    return false;
  const char *rest = name + VERSION_DIGITS + 1;
  out->kind = TL_DELTA_OTHER;
  out->part = out->parts = 1;
  if (!strcmp(rest, "json")) out->kind = TL_DELTA_JSON;
  else if (!strcmp(rest, "checkpoint.parquet")) out->kind = TL_DELTA_CHECKPOINT;
  else if (!strncmp(rest, "checkpoint.", 11) && strlen(rest) == 40 && rest[21] == '.' && !strcmp(rest + 32, ".parquet") &&
           parse_digits(rest + 11, 10, &part) && parse_digits(rest + 22, 10, &parts) && part >= 1 && part <= parts && parts < 100000) {
    out->kind = TL_DELTA_CHECKPOINT;
    out->part = (int)part;
    out->parts = (int)parts;
  }
  return true;
}

typedef struct listing {
  tl_delta_entries *out;
  int64_t to;
  tl_status st;
  tl_error *err;
} listing;

static int add_entry(void *to, const char *key, const tl_store_info *info) {
  listing *l = to;
  tl_delta_entry entry = {.size_bytes = info->size_bytes, .mtime_ms = info->mtime_ms};
  if (key[strlen(TL_DELTA_LOG)] > '9') return 1; /* _last_checkpoint and folders sort behind all versions */
  if (!classify(key, &entry)) return 0;
  if (entry.version > l->to) return 1;
  if (l->out->count == l->out->capacity) {
    size_t more = l->out->capacity ? l->out->capacity * 2 : 32;
    tl_delta_entry *grown = tl_realloc_array(l->out->items, more, sizeof *grown);
    if (grown) {
      l->out->items = grown;
      l->out->capacity = more;
    }
  }
  entry.key = l->out->count < l->out->capacity ? tl_strdup(key) : NULL;
  if (!entry.key) {
    l->st = tl_fail(l->err, TL_ENOMEM, "cannot hold the names of a table's log");
    return 1;
  }
  memcpy(entry.etag, info->etag, sizeof entry.etag);
  l->out->items[l->out->count++] = entry;
  return 0;
}

tl_status tl_delta_list(tl_table_log *log, int64_t from, int64_t to, tl_delta_entries *out, tl_error *err) {
  char after[TL_DELTA_KEY_MAX];
  listing l = {out, to, TL_OK, err};
  *out = (tl_delta_entries){0};
  snprintf(after, sizeof after, TL_DELTA_LOG "%020" PRId64, from < 0 ? 0 : from);
  tl_status st = tl_store_list(log->store, TL_DELTA_LOG, after, false, add_entry, &l, err);
  if (!st) st = l.st;
  if (st) tl_delta_entries_deinit(out);
  return st;
}

void tl_delta_entries_deinit(tl_delta_entries *entries) {
  for (size_t i = 0; i < entries->count; i++) tl_free(entries->items[i].key);
  tl_free(entries->items);
  *entries = (tl_delta_entries){0};
}

void tl_delta_entries_order_times(tl_delta_entries *entries) {
  int64_t last = INT64_MIN;
  for (size_t i = 0; i < entries->count; i++) {
    tl_delta_entry *entry = &entries->items[i];
    if (entry->kind != TL_DELTA_JSON) continue;
    if (entry->mtime_ms <= last) entry->mtime_ms = last + 1;
    last = entry->mtime_ms;
  }
}

/* All parts of one checkpoint stand in a row. */
static bool complete(const tl_delta_entries *entries, size_t at) {
  const tl_delta_entry *first = &entries->items[at];
  if (first->kind != TL_DELTA_CHECKPOINT || first->part != 1) return false;
  for (int part = 2; part <= first->parts; part++) {
    size_t next = at + (size_t)part - 1;
    if (next >= entries->count) return false;
    const tl_delta_entry *entry = &entries->items[next];
    if (entry->kind != TL_DELTA_CHECKPOINT || entry->version != first->version || entry->part != part || entry->parts != first->parts) return false;
  }
  return true;
}

int64_t tl_delta_entries_checkpoint(const tl_delta_entries *entries, int64_t to, size_t *first) {
  for (size_t i = entries->count; i-- > 0;)
    if (entries->items[i].version <= to && complete(entries, i)) {
      *first = i;
      return entries->items[i].version;
    }
  return -1;
}

/* ---- one commit ---- */

tl_status tl_delta_read_commit(tl_table_log *log, int64_t version, tl_delta_actions *out, tl_store_info *info, tl_error *err) {
  char key[TL_DELTA_KEY_MAX];
  tl_buf text = {0};
  *out = (tl_delta_actions){.version = version};
  tl_delta_commit_key(version, key);
  tl_status st = tl_store_get(log->store, key, TL_DELTA_COMMIT_BYTES_MAX, &text, info, err);
  /* Others take it for a version without changes; but it is what a crash leaves of a commit that was not made durable. */
  if (!st && (!text.data || !text.data[strspn(text.data, " \t\r\n")]))
    st = tl_fail(err, TL_ECORRUPT, "'%s' of '%s' is empty: a writer or a disk broke off; if it is the newest version, remove it", key, tl_store_uri(log->store));
  if (!st) st = tl_delta_parse(key, tl_text_of(text.data ? text.data : "", text.len), out, err);
  tl_buf_deinit(&text);
  return st;
}

/* ---- replay ---- */

static bool in_commit_times(const tl_delta_metadata *metadata) {
  const char *value = tl_delta_pairs_get(&metadata->configuration, "delta.enableInCommitTimestamps");
  return value && !strcmp(value, "true");
}

static tl_status apply_commit(tl_table_log *log, tl_delta_state *state, const tl_delta_entry *entry, tl_error *err) {
  tl_delta_actions actions;
  tl_store_info info = {0};
  tl_status st = tl_delta_read_commit(log, entry->version, &actions, &info, err);
  int64_t in_commit_ms = actions.has_info ? actions.info.in_commit_ms : -1;
  if (!st) st = tl_delta_state_apply(state, &actions, err);
  tl_delta_actions_deinit(&actions);
  if (st) return st;
  int64_t at_ms = in_commit_ms >= 0 && in_commit_times(&state->metadata) ? in_commit_ms : entry->mtime_ms;
  state->timestamp_ms = at_ms;
  memcpy(state->etag, info.etag, sizeof state->etag);
  return TL_OK;
}

/* Commits behind the state's version, each one there. */
static tl_status apply_commits(tl_table_log *log, tl_delta_state *state, const tl_delta_entries *entries, int64_t to, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < entries->count; i++) {
    const tl_delta_entry *entry = &entries->items[i];
    if (entry->kind != TL_DELTA_JSON || entry->version <= state->version || entry->version > to) continue;
    if (entry->version != state->version + 1)
      return tl_fail(err, TL_ECORRUPT, "version %" PRId64 " is missing from the log of '%s': its file in _delta_log was lost or removed",
                     state->version + 1, tl_store_uri(log->store));
    st = apply_commit(log, state, entry, err);
  }
  return st;
}

static bool worth_another(tl_status st) { /* the checkpoint is damaged, which an older one may not be */
  return st == TL_ECORRUPT || st == TL_EDECODE || st == TL_ESQL || st == TL_ENOTFOUND || st == TL_ELIMIT;
}

static tl_status begin_with(tl_table_log *log, const tl_delta_entry *checkpoint, tl_delta_state *state, tl_error *err) {
  tl_delta_actions actions = {0};
  tl_status st = tl_delta_checkpoint_read(log, checkpoint, &actions, err);
  if (!st) st = tl_delta_state_apply(state, &actions, err);
  tl_delta_actions_deinit(&actions);
  if (st) return st;
  state->checkpoint = checkpoint->version;
  state->timestamp_ms = checkpoint->mtime_ms;
  return TL_OK;
}

/* The checkpoint's own commit file says when the version was, and whether it still is the same table. */
static tl_status date_checkpoint(tl_table_log *log, const tl_delta_entries *entries, tl_delta_state *state, tl_error *err) {
  tl_delta_actions actions = {0};
  tl_status st = TL_OK;
  for (size_t i = 0; i < entries->count; i++) {
    const tl_delta_entry *entry = &entries->items[i];
    if (entry->kind != TL_DELTA_JSON || entry->version != state->version) continue;
    state->timestamp_ms = entry->mtime_ms;
    memcpy(state->etag, entry->etag, sizeof state->etag);
    if (!in_commit_times(&state->metadata)) return TL_OK;
    st = tl_delta_read_commit(log, entry->version, &actions, NULL, err);
    if (!st && actions.has_info && actions.info.in_commit_ms >= 0) state->timestamp_ms = actions.info.in_commit_ms;
    tl_delta_actions_deinit(&actions);
  }
  return st;
}

/* Tries the checkpoints that are listed, newest first; *found: the state begins with one. */
static tl_status begin(tl_table_log *log, const tl_delta_entries *entries, int64_t to, tl_delta_state *state, bool *found, tl_error *err) {
  size_t first;
  *found = false;
  for (int64_t version = to; (version = tl_delta_entries_checkpoint(entries, version, &first)) >= 0; version--) {
    tl_error why = {0};
    tl_status st = begin_with(log, &entries->items[first], state, &why);
    if (!st) {
      *found = true;
      return date_checkpoint(log, entries, state, err);
    }
    tl_delta_state_deinit(state);
    if (!worth_another(st)) return tl_fail(err, st, "checkpoint %" PRId64 ": %s", version, why.message);
    tl_log(TL_LOG_WARN, "checkpoint %" PRId64 " of '%s' cannot be read, using what is before it: %s", version, tl_store_uri(log->store), why.message);
  }
  return TL_OK;
}

static tl_status no_such_version(tl_table_log *log, const tl_delta_entries *entries, int64_t version, tl_error *err) {
  const char *uri = tl_store_uri(log->store);
  bool other_checkpoint = false, json = false;
  for (size_t i = 0; i < entries->count; i++) {
    other_checkpoint |= entries->items[i].kind == TL_DELTA_OTHER && strstr(entries->items[i].key, ".checkpoint.");
    json |= entries->items[i].kind == TL_DELTA_JSON;
  }
  if (other_checkpoint) return tl_fail(err, TL_EUSAGE, "the table '%s' has the feature 'v2Checkpoint', which this engine cannot read", uri);
  if (version >= 0 && json) return tl_fail(err, TL_ENOTFOUND, "version %" PRId64 " of '%s' was cleaned up: what it began with is gone", version, uri);
  if (json) return tl_fail(err, TL_ECORRUPT, "the log of '%s' does not begin with version 0 and has no checkpoint that can be read", uri);
  if (version < 0) return tl_fail(err, TL_ENOTFOUND, "no Delta table at '%s': make one with ticklake table create", uri);
  bool found = false;
  tl_status st = tl_format_delta.detect(log->store, &found, err);
  if (st) return st;
  if (!found) return tl_fail(err, TL_ENOTFOUND, "no Delta table at '%s': make one with ticklake table create", uri);
  return tl_fail(err, TL_ENOTFOUND, "version %" PRId64 " of '%s' was cleaned up: what it began with is gone", version, uri);
}

/* From the listing to a state. TL_ENOTFOUND with *older: nothing to begin with is listed, ask for more. */
static tl_status replay_listed(tl_table_log *log, const tl_delta_entries *entries, int64_t from, int64_t version, tl_delta_state *state,
                               bool *older, tl_error *err) {
  bool found;
  int64_t to = version < 0 ? INT64_MAX : version;
  tl_status st = begin(log, entries, to, state, &found, err);
  if (st) return st;
  *older = !found && from > 0;
  if (*older) return TL_OK;
  bool first = found;
  for (size_t i = 0; !first && i < entries->count; i++) first = entries->items[i].kind == TL_DELTA_JSON && entries->items[i].version == 0;
  if (!first) return no_such_version(log, entries, version, err);
  st = apply_commits(log, state, entries, to, err);
  if (st || version < 0 || state->version == version) return st;
  return tl_fail(err, TL_ENOTFOUND, "there is no version %" PRId64 " of '%s': the newest is %" PRId64, version, tl_store_uri(log->store), state->version);
}

static tl_status read_hint(tl_table_log *log, int64_t *version, tl_error *err) {
  tl_buf text = {0};
  tl_delta_hint hint;
  *version = 0;
  tl_status st = tl_store_get(log->store, TL_DELTA_HINT, (size_t)1 << 24, &text, NULL, err);
  if (!st && tl_delta_hint_parse(tl_text_of(text.data ? text.data : "", text.len), &hint)) *version = hint.version;
  tl_buf_deinit(&text);
  return st == TL_ENOTFOUND || st == TL_ELIMIT ? TL_OK : st;
}

static tl_status replay_once(tl_table_log *log, int64_t version, tl_delta_state *state, tl_error *err) {
  int64_t from = version, step = 100;
  tl_status st = version < 0 ? read_hint(log, &from, err) : TL_OK;
  if (!st && version >= 0) from = version < step ? 0 : version - step;
  for (bool older = true; !st && older;) {
    tl_delta_entries entries;
    st = tl_delta_list(log, from, version < 0 ? INT64_MAX : version, &entries, err);
    if (st) return st;
    tl_delta_entries_order_times(&entries);
    st = replay_listed(log, &entries, from, version, state, &older, err);
    tl_delta_entries_deinit(&entries);
    step *= 10;
    from = version < 0 || version < step ? 0 : version - step;
  }
  return st;
}

tl_status tl_delta_replay(tl_table_log *log, int64_t version, tl_delta_state *state, tl_error *err) {
  tl_status st = TL_OK;
  for (int i = 0; i < REPLAYS_MAX; i++) { /* a clean-up between the listing and the gets is no damage */
    tl_delta_state_deinit(state);
    st = replay_once(log, version, state, err);
    if (!st || (st != TL_ENOTFOUND && st != TL_ECORRUPT)) break;
  }
  if (st) tl_delta_state_deinit(state);
  return st;
}

/* Is what is listed the table we know, and little enough to read commit by commit? */
static bool continues(const tl_table_log *log, const tl_delta_entries *entries) {
  const tl_delta_state *known = &log->newest;
  size_t first;
  if (!known->etag[0] || !entries->count || tl_delta_entries_checkpoint(entries, INT64_MAX, &first) > known->version + ADVANCE_MAX) return false;
  for (size_t i = 0; i < entries->count; i++)
    if (entries->items[i].kind == TL_DELTA_JSON && entries->items[i].version == known->version)
      return !strcmp(entries->items[i].etag, known->etag);
  return false;
}

tl_status tl_delta_advance(tl_table_log *log, tl_error *err) {
  tl_delta_entries entries = {0};
  bool known = false;
  if (log->has_newest) {
    tl_status st = tl_delta_list(log, log->newest.version, INT64_MAX, &entries, err);
    if (st) return st;
    tl_delta_entries_order_times(&entries);
    known = continues(log, &entries);
    if (known && apply_commits(log, &log->newest, &entries, INT64_MAX, NULL)) known = false;
    tl_delta_entries_deinit(&entries);
  }
  if (known) return TL_OK;
  tl_status st = tl_delta_replay(log, -1, &log->newest, err);
  log->has_newest = !st;
  return st;
}

/* ---- time travel ---- */

/* A commit's own time where the table keeps those and the commit is new enough to have one. */
static tl_status commit_time(tl_table_log *log, const tl_delta_entry *entry, int64_t in_commit_from, int64_t *out, tl_error *err) {
  tl_delta_actions actions = {0};
  *out = entry->mtime_ms;
  if (entry->version < in_commit_from) return TL_OK;
  tl_status st = tl_delta_read_commit(log, entry->version, &actions, NULL, err);
  if (!st && actions.has_info && actions.info.in_commit_ms >= 0) *out = actions.info.in_commit_ms;
  tl_delta_actions_deinit(&actions);
  return st;
}

tl_status tl_delta_version_at(tl_table_log *log, int64_t at_ms, int64_t *version, tl_error *err) {
  tl_delta_entries entries;
  tl_status st = tl_delta_advance(log, err);
  int64_t in_commit_from = INT64_MAX;
  if (!st && in_commit_times(&log->newest.metadata)) {
    const char *text = tl_delta_pairs_get(&log->newest.metadata.configuration, "delta.inCommitTimestampEnablementVersion");
    in_commit_from = 0;
    if (text && (strlen(text) > 18 || !parse_digits(text, (int)strlen(text), &in_commit_from))) in_commit_from = 0;
  }
  if (!st) st = tl_delta_list(log, 0, INT64_MAX, &entries, err);
  if (st) return st;
  size_t count = 0;
  for (size_t i = 0; i < entries.count; i++) { /* commits only */
    if (entries.items[i].kind != TL_DELTA_JSON) tl_free(entries.items[i].key);
    else entries.items[count++] = entries.items[i];
  }
  entries.count = count;
  tl_delta_entries_order_times(&entries);
  size_t low = 0, high = count; /* times grow with versions: the first that is later */
  while (!st && low < high) {
    size_t middle = low + (high - low) / 2;
    int64_t time_ms;
    st = commit_time(log, &entries.items[middle], in_commit_from, &time_ms, err);
    if (time_ms <= at_ms) low = middle + 1;
    else high = middle;
  }
  if (!st && low) *version = entries.items[low - 1].version;
  else if (!st) st = tl_fail(err, TL_ENOTFOUND, "the table '%s' has no version that old: its oldest is younger", tl_store_uri(log->store));
  tl_delta_entries_deinit(&entries);
  return st;
}
