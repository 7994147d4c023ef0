/* iceberg_upkeep.c - history, expiry of snapshots, and what a vacuum must keep. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "market/number.h"
#include "table/iceberg/iceberg_log.h"

static tl_status no_memory(tl_error *err) { return tl_fail(err, TL_ENOMEM, "cannot walk the snapshots of the table"); }

/* ---- history ---- */

static int newest_first(const void *a, const void *b) {
  const tl_iceberg_snap *x = *(const tl_iceberg_snap *const *)a, *y = *(const tl_iceberg_snap *const *)b;
  if (x->sequence != y->sequence) return x->sequence < y->sequence ? 1 : -1;
  if (x->timestamp_ms != y->timestamp_ms) return x->timestamp_ms < y->timestamp_ms ? 1 : -1;
  return x < y ? 1 : -1; /* later in the file */
}

static const tl_iceberg_snap **sorted_snaps(const tl_iceberg_metadata *m) {
  const tl_iceberg_snap **out = tl_calloc(m->snap_count ? m->snap_count : 1, sizeof *out);
  if (!out) return NULL;
  for (size_t i = 0; i < m->snap_count; i++) out[i] = &m->snaps[i];
  qsort(out, m->snap_count, sizeof *out, newest_first);
  return out;
}

static const char parameter_prefix[] = "ticklake.parameter.";

/* The summary as two objects: what the writer was asked (its own parameters), and what it counted. */
static tl_status split_summary(const tl_json_value *summary, tl_buf *parameters, tl_buf *metrics, tl_buf *operation, tl_buf *engine, tl_error *err) {
  tl_json_writer p = tl_json_writer_of(parameters, err), m = tl_json_writer_of(metrics, err);
  const tl_json_value *value;
  tl_text key, text, name = {0}, words = {0}, of_engine = {0};
  tl_json_put_object(&p, NULL);
  tl_json_put_object(&m, NULL);
  for (tl_json_iter iter = tl_json_iter_of(summary); tl_json_iter_next(&iter, &key, &value);) {
    if (!iter.is_object || memchr(key.data, 0, key.len) || !tl_json_string(value, &text)) continue; /* keys are NUL-terminated */
    if (tl_text_is(key, "operation")) name = text;
    else if (tl_text_is(key, "ticklake.operation")) words = text;
    else if (tl_text_is(key, "engine-name")) of_engine = text;
    else if (!strncmp(key.data, parameter_prefix, sizeof parameter_prefix - 1)) tl_json_put_bytes(&p, key.data + sizeof parameter_prefix - 1, text.data, text.len);
    else tl_json_put_bytes(&m, key.data, text.data, text.len);
  }
  tl_json_put_close(&p);
  tl_json_put_close(&m);
  tl_text shown = words.len ? words : name;
  tl_status st = tl_json_writer_end(&p), other = tl_json_writer_end(&m);
  if (!st) st = other;
  if (!st) st = tl_buf_append(operation, shown.data, shown.len, err);
  return st ? st : tl_buf_append(engine, of_engine.data, of_engine.len, err);
}

static tl_status tell(const tl_iceberg_metadata *m, const tl_iceberg_snap *snap, tl_version_fn each, void *to, int *stop, tl_error *err) {
  tl_buf parameters = {0}, metrics = {0}, operation = {0}, engine = {0};
  tl_status st = split_summary(snap->summary, &parameters, &metrics, &operation, &engine, err);
  if (!st) {
    const tl_version version = {.version = snap->id, .sequence = snap->sequence, .timestamp_ms = snap->timestamp_ms,
                                .operation = operation.data, .parameters_json = parameters.data, .metrics_json = metrics.data,
                                .engine = engine.data, .user_text = "", .parent = snap->parent, .current = snap->id == m->current};
    *stop = each(to, &version);
  }
  tl_buf_deinit(&parameters);
  tl_buf_deinit(&metrics);
  tl_buf_deinit(&operation);
  tl_buf_deinit(&engine);
  return st;
}

tl_status tl_iceberg_history(tl_table_log *log, size_t versions_max, tl_version_fn each, void *to, tl_error *err) {
  tl_iceberg_state state = {0};
  tl_status st = tl_iceberg_state_load(log, &state, err);
  if (st) return st;
  const tl_iceberg_snap **snaps = sorted_snaps(state.metadata);
  if (!snaps) st = no_memory(err);
  int stop = 0;
  for (size_t i = 0; !st && !stop && i < state.metadata->snap_count && i < versions_max; i++) st = tell(state.metadata, snaps[i], each, to, &stop, err);
  tl_free(snaps);
  tl_iceberg_state_deinit(&state);
  return st;
}

/* ---- sets of paths ---- */

typedef struct paths { /* heap texts, sorted by paths_sort */
  char **items;
  size_t count, capacity;
} paths;

static void paths_deinit(paths *p) {
  for (size_t i = 0; i < p->count; i++) tl_free(p->items[i]);
  tl_free(p->items);
  *p = (paths){0};
}

/* Takes the text. */
static tl_status paths_add(paths *p, char *text, tl_error *err) {
  if (p->count == p->capacity) {
    size_t more = p->capacity ? p->capacity * 2 : 64;
    char **grown = tl_realloc_array(p->items, more, sizeof *grown);
    if (!grown) {
      tl_free(text);
      return no_memory(err);
    }
    p->items = grown;
    p->capacity = more;
  }
  p->items[p->count++] = text;
  return TL_OK;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Sorted, each once. */
static void paths_sort(paths *p) {
  size_t kept = 0;
  if (p->count) qsort(p->items, p->count, sizeof *p->items, by_text);
  for (size_t i = 0; i < p->count; i++) {
    if (kept && !strcmp(p->items[kept - 1], p->items[i])) tl_free(p->items[i]);
    else p->items[kept++] = p->items[i];
  }
  p->count = kept;
}

static bool paths_have(const paths *p, const char *text) {
  return p->count && bsearch(&text, p->items, p->count, sizeof *p->items, by_text);
}

static tl_status add_key(tl_table_log *log, const tl_iceberg_metadata *m, tl_text path, paths *out, tl_error *err) {
  char *key = NULL;
  tl_status st = tl_iceberg_key(log, m, path, &key, err);
  return st ? st : paths_add(out, key, err);
}

/* The keys of a snapshot's list and manifests; data: those of its live data and delete files too. `seen` holds manifests whose files are in. */
static tl_status add_snapshot(tl_table_log *log, const tl_iceberg_metadata *m, const tl_iceberg_snap *snap, bool data, paths *seen, paths *out, tl_error *err) {
  tl_manifest_list list = {0};
  tl_manifest_spec *specs = NULL;
  tl_partitioning *resolved = NULL;
  const tl_iceberg_schema *schema = tl_iceberg_find_schema(m, m->current_schema_id);
  tl_status st = add_key(log, m, snap->manifest_list, out, err);
  if (!st) st = tl_iceberg_list_load(log, m, snap->manifest_list, &list, err);
  if (!st && data) st = tl_iceberg_specs_open(m, &schema->fields, &specs, &resolved, err);
  for (size_t i = 0; !st && i < list.count; i++) {
    const tl_manifest_info *info = &list.items[i];
    st = add_key(log, m, tl_text_from(info->path), out, err);
    if (st || !data || paths_have(seen, info->path)) continue; /* old snapshots may hold delete files, too */
    const tl_manifest_spec *spec = tl_iceberg_spec_of(specs, m->spec_count, info->spec_id);
    tl_iceberg_entries entries = {0};
    st = spec ? tl_iceberg_entries_load(log, m, info, i, spec, &entries, err)
              : tl_fail(err, TL_ECORRUPT, "manifest '%s' is of partition spec %d, which the table has not", info->path, info->spec_id);
    for (size_t k = 0; !st && k < entries.count; k++) st = add_key(log, m, entries.items[k]->path, out, err);
    tl_iceberg_entries_deinit(&entries);
  }
  for (size_t i = 0; !st && data && i < list.count; i++) {
    char *path = tl_strdup(list.items[i].path);
    st = path ? paths_add(seen, path, err) : no_memory(err);
  }
  if (!st && data) paths_sort(seen);
  tl_iceberg_specs_close(specs, resolved, m->spec_count);
  tl_manifest_list_deinit(&list);
  return st;
}

/* ---- what a vacuum must keep ---- */

typedef struct lister {
  paths *to;
  tl_status status;
  tl_error *err;
} lister;

static int add_metadata_file(void *to, const char *key, const tl_store_info *info) {
  lister *l = to;
  (void)info;
  size_t len = strlen(key);
  bool json = len > 5 && (!strcmp(key + len - 5, ".json") || !strcmp(key + len - 5, ".text"));
  bool packed = len > 8 && !strcmp(key + len - 8, ".json.gz");
  if (!json && !packed) return 0;
  char *copy = tl_strdup(key);
  l->status = copy ? paths_add(l->to, copy, l->err) : no_memory(l->err);
  return l->status != TL_OK;
}

/* Puffin files that the metadata names. */
static tl_status add_statistics(tl_table_log *log, const tl_iceberg_metadata *m, const char *key, paths *out, tl_error *err) {
  const tl_json_value *value;
  tl_text path;
  tl_status st = TL_OK;
  for (tl_json_iter iter = tl_json_iter_of(tl_json_get(tl_json_root(m->json), key)); !st && tl_json_iter_next(&iter, NULL, &value);)
    if (tl_json_string(tl_json_get(value, "statistics-path"), &path)) st = add_key(log, m, path, out, err);
  return st;
}

tl_status tl_iceberg_keeps(tl_table_log *log, int64_t since_ms, int (*each)(void *to, const char *path), void *to, tl_error *err) {
  (void)since_ms; /* a removed file has no tombstone: the snapshots that hold it, or its own age, protect it */
  tl_iceberg_state state = {0};
  paths keys = {0}, seen = {0};
  tl_status st = tl_iceberg_state_load(log, &state, err);
  if (st) return st;
  const tl_iceberg_metadata *m = state.metadata;
  lister l = {&keys, TL_OK, err};
  st = tl_store_list(log->store, "metadata/", NULL, false, add_metadata_file, &l, err);
  if (!st) st = l.status;
  for (size_t i = m->snap_count; !st && i > 0; i--) st = add_snapshot(log, m, &m->snaps[i - 1], true, &seen, &keys, err);
  if (!st) st = add_statistics(log, m, "statistics", &keys, err);
  if (!st) st = add_statistics(log, m, "partition-statistics", &keys, err);
  paths_sort(&keys);
  for (size_t i = 0; !st && i < keys.count; i++)
    if (each(to, keys.items[i])) break;
  paths_deinit(&keys);
  paths_deinit(&seen);
  tl_iceberg_state_deinit(&state);
  return st;
}

/* ---- expiry ---- */

static bool number_of(const tl_json_value *value, const char *key, int64_t *out) {
  tl_text text;
  return tl_json_number(tl_json_get(value, key), &text) && !tl_number_i64(text.data, text.len, out);
}

static void hold(const tl_iceberg_metadata *m, bool *held, int64_t id) {
  for (size_t i = 0; i < m->snap_count; i++)
    if (m->snaps[i].id == id) held[i] = true;
}

/* What stays: the current one and `keep_min` in all of its line, what is young enough, what a branch or tag names. */
static void choose_held(const tl_iceberg_metadata *m, int64_t before_ms, int keep_min, bool *held) {
  const tl_json_value *ref;
  int64_t id = m->current;
  for (int kept = 0; id >= 0 && (kept < keep_min || kept < 1) && (size_t)kept < m->snap_count; kept++) {
    const tl_iceberg_snap *snap = tl_iceberg_find_snap(m, id);
    if (!snap) break;
    hold(m, held, id);
    id = snap->parent;
  }
  for (size_t i = 0; i < m->snap_count; i++)
    if (m->snaps[i].timestamp_ms >= before_ms) held[i] = true;
  for (tl_json_iter iter = tl_json_iter_of(tl_json_get(tl_json_root(m->json), "refs")); tl_json_iter_next(&iter, NULL, &ref);) {
    tl_text type;
    if (!number_of(ref, "snapshot-id", &id)) continue;
    bool branch = tl_json_string(tl_json_get(ref, "type"), &type) && tl_text_is(type, "branch") && id != m->current;
    for (size_t steps = 0; id >= 0 && steps <= m->snap_count; steps++) { /* a foreign branch keeps its whole line */
      const tl_iceberg_snap *snap = tl_iceberg_find_snap(m, id);
      hold(m, held, id);
      if (!branch || !snap) break;
      id = snap->parent;
    }
  }
}

typedef struct expiry {
  tl_iceberg_state state;
  bool *held;
  int64_t *ids;
  size_t id_count;
  paths gone, kept;
} expiry;

static void expiry_deinit(expiry *e) {
  paths_deinit(&e->gone);
  paths_deinit(&e->kept);
  tl_free(e->held);
  tl_free(e->ids);
  tl_iceberg_state_deinit(&e->state);
}

static tl_status choose(tl_table_log *log, expiry *e, int64_t before_ms, int keep_min, tl_error *err) {
  tl_status st = tl_iceberg_state_load(log, &e->state, err);
  if (st) return st;
  const tl_iceberg_metadata *m = e->state.metadata;
  e->held = tl_calloc(m->snap_count ? m->snap_count : 1, sizeof *e->held);
  e->ids = tl_calloc(m->snap_count ? m->snap_count : 1, sizeof *e->ids);
  if (!e->held || !e->ids) return no_memory(err);
  choose_held(m, before_ms, keep_min, e->held);
  for (size_t i = 0; !st && i < m->snap_count; i++) {
    if (!e->held[i]) e->ids[e->id_count++] = m->snaps[i].id;
  }
  if (!e->id_count) return TL_OK;
  for (size_t i = 0; !st && i < m->snap_count; i++) {
    st = add_snapshot(log, m, &m->snaps[i], false, NULL, e->held[i] ? &e->kept : &e->gone, err);
    if (st == TL_ECORRUPT && !e->held[i]) st = TL_OK; /* its list is gone already: an expiry that was cut short */
  }
  paths_sort(&e->gone);
  paths_sort(&e->kept);
  return st;
}

static tl_status sweep(tl_table_log *log, const expiry *e, bool dry_run, tl_expired *out, tl_error *err) {
  for (size_t i = 0; i < e->gone.count; i++) {
    const char *key = e->gone.items[i];
    tl_store_info info;
    if (paths_have(&e->kept, key) || key[0] == '/' || strstr(key, "://")) continue; /* files elsewhere are not ours to delete */
    tl_status st = tl_store_stat(log->store, key, &info, err);
    if (st == TL_ENOTFOUND) continue;
    if (!st && !dry_run) st = tl_store_delete(log->store, key, err);
    if (st) return st;
    out->files++;
    out->bytes += info.size_bytes;
  }
  return TL_OK;
}

tl_status tl_iceberg_expire(tl_table_log *log, int64_t before_ms, int keep_min, bool dry_run, tl_expired *out, tl_error *err) {
  tl_status st;
  *out = (tl_expired){0};
  for (int attempts = 1;; attempts++) {
    expiry e = {0};
    bool unknown = false;
    int64_t number = 0;
    st = choose(log, &e, before_ms, keep_min, err);
    if (!st && e.id_count && e.state.unwritable) st = tl_fail(err, TL_EUSAGE, "cannot write to the table: %s", e.state.unwritable);
    if (!st && e.id_count && !dry_run) {
      const tl_iceberg_change change = {.expired = e.ids, .expired_count = e.id_count, .now_ms = tl_iceberg_now_ms(e.state.metadata)};
      st = tl_iceberg_state_commit(log, &e.state, &change, &number, &unknown, err);
    }
    out->versions = (int64_t)e.id_count;
    if (!st) st = sweep(log, &e, dry_run, out, err);
    expiry_deinit(&e);
    if (st != TL_ECONFLICT || unknown || attempts == 50) return st;
    *out = (tl_expired){0};
  }
}
