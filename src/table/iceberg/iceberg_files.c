/* iceberg_files.c - the files a table's metadata names: paths and keys, manifest lists, manifests, entries. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/pool.h"
#include "table/iceberg/iceberg_log.h"

enum { WORKERS = 8, FETCHES_MAX = 32 };
static const size_t list_bytes_max = (size_t)1 << 30;

/* ---- names ---- */

void tl_iceberg_uuid(tl_table_log *log, char out[TL_ICEBERG_UUID_MAX]) {
  uint64_t high = tl_prng_next(&log->random), low = tl_prng_next(&log->random);
  snprintf(out, TL_ICEBERG_UUID_MAX, "%08x-%04x-4%03x-%04x-%04x%08x", (unsigned)(high >> 32), (unsigned)(high >> 16 & 0xffff),
           (unsigned)(high & 0xfff), (unsigned)(0x8000 | (low >> 48 & 0x3fff)), (unsigned)(low >> 32 & 0xffff), (unsigned)(low & 0xffffffff));
}

int64_t tl_iceberg_now_ms(const tl_iceberg_metadata *metadata) {
  int64_t now_ms = tl_clock_now_ns() / TL_NS_PER_MS;
  return now_ms > metadata->last_updated_ms ? now_ms : metadata->last_updated_ms + 1;
}

/* ---- paths ---- */

/* Without the scheme of a local file, and with one name for the schemes of S3: file:/a, file:///a, /a; s3a://b/c, s3://b/c. */
static tl_text plain_path(tl_text path, bool *s3) {
  static const char *const schemes[] = {"s3://", "s3a://", "s3n://"};
  *s3 = false;
  for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
    size_t len = strlen(schemes[i]);
    if (path.len >= len && !memcmp(path.data, schemes[i], len)) {
      *s3 = true;
      return tl_text_of(path.data + len, path.len - len);
    }
  }
  if (path.len >= 5 && !memcmp(path.data, "file:", 5)) path = tl_text_of(path.data + 5, path.len - 5);
  while (path.len > 1 && path.data[0] == '/' && path.data[1] == '/') path = tl_text_of(path.data + 1, path.len - 1);
  return path;
}

/* The part of path below base; false when it does not lie there. */
static bool below(tl_text path, tl_text base, tl_text *out) {
  bool path_s3, base_s3;
  path = plain_path(path, &path_s3);
  base = plain_path(base, &base_s3);
  while (base.len > 1 && base.data[base.len - 1] == '/') base.len--;
  if (path_s3 != base_s3 || path.len <= base.len + 1 || memcmp(path.data, base.data, base.len) != 0 || path.data[base.len] != '/') return false;
  *out = tl_text_of(path.data + base.len + 1, path.len - base.len - 1);
  return true;
}

tl_status tl_iceberg_key(const tl_table_log *log, const tl_iceberg_metadata *metadata, tl_text path, char **out, tl_error *err) {
  tl_text key = path;
  if (!below(path, tl_text_from(tl_store_uri(log->store)), &key) && !below(path, metadata->location, &key)) {
    bool has_scheme = false;
    for (size_t i = 0; i < path.len && !has_scheme && path.data[i] != '/'; i++) has_scheme = path.data[i] == ':';
    if (!path.len || (path.data[0] != '/' && !has_scheme))
      return tl_fail(err, TL_ECORRUPT, "the table names a file '%.*s', which is no absolute path", (int)(path.len < 200 ? path.len : 200), path.data);
    key = path;
  }
  *out = tl_strndup(key.data, key.len);
  return *out ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot hold the path of a file");
}

/* A file elsewhere: its folder is opened as a store of its own. */
static tl_status get_elsewhere(tl_table_log *log, const char *uri, tl_buf *out, tl_error *err) {
  const char *slash = strrchr(uri, '/');
  if (!slash || slash == uri || !slash[1]) return tl_fail(err, TL_ECORRUPT, "the table names a file '%s', which has no folder", uri);
  char *folder = tl_strndup(uri, (size_t)(slash - uri));
  tl_store *store = NULL;
  if (!folder) return tl_fail(err, TL_ENOMEM, "cannot open '%s'", uri);
  tl_status st = tl_store_open(folder, log->env.settings, &store, err);
  if (!st) st = tl_store_get(store, slash + 1, list_bytes_max, out, NULL, err);
  tl_store_close(store);
  tl_free(folder);
  return st;
}

static bool is_key(const char *text) {
  const char *colon = strchr(text, ':'), *slash = strchr(text, '/');
  return text[0] != '/' && (!colon || (slash && slash < colon));
}

tl_status tl_iceberg_get(tl_table_log *log, const tl_iceberg_metadata *metadata, const char *path, tl_buf *out, tl_error *err) {
  char *key = NULL;
  tl_status st = tl_iceberg_key(log, metadata, tl_text_from(path), &key, err);
  if (!st) st = is_key(key) ? tl_store_get(log->store, key, list_bytes_max, out, NULL, err) : get_elsewhere(log, key, out, err);
  if (st == TL_ENOTFOUND) st = tl_fail(err, TL_ECORRUPT, "'%s' is gone, though the table needs it", path);
  tl_free(key);
  return st;
}

tl_status tl_iceberg_list_load(tl_table_log *log, const tl_iceberg_metadata *metadata, tl_text path, tl_manifest_list *out, tl_error *err) {
  tl_buf data = {0};
  char *text = tl_strndup(path.data, path.len);
  if (!text) return tl_fail(err, TL_ENOMEM, "cannot hold the path of a manifest list");
  tl_status st = tl_iceberg_get(log, metadata, text, &data, err);
  if (!st) st = tl_manifest_list_read(text, data.data ? data.data : "", data.len, out, err);
  tl_buf_deinit(&data);
  tl_free(text);
  return st;
}

/* ---- specs ---- */

void tl_iceberg_specs_close(tl_manifest_spec *specs, tl_partitioning *resolved, size_t count) {
  for (size_t i = 0; specs && i < count; i++) tl_free(specs[i].results);
  for (size_t i = 0; resolved && i < count; i++) tl_partitioning_deinit(&resolved[i]);
  tl_free(specs);
  tl_free(resolved);
}

static tl_status open_spec(const tl_iceberg_spec *from, const tl_fields *fields, tl_manifest_spec *spec, tl_partitioning *resolved, tl_error *err) {
  tl_status st = tl_iceberg_partitioning(from, fields, resolved, err);
  if (st) return st;
  spec->results = tl_calloc(resolved->count ? resolved->count : 1, sizeof *spec->results);
  if (!spec->results) return tl_fail(err, TL_ENOMEM, "cannot hold a partition spec");
  spec->id = from->id;
  spec->fields = from->fields.items;
  spec->count = resolved->count;
  for (size_t i = 0; i < spec->count; i++) {
    const tl_partition_field *f = &resolved->items[i];
    spec->results[i] = tl_iceberg_result(f, f->source >= 0 ? &fields->items[f->source] : NULL);
  }
  return TL_OK;
}

tl_status tl_iceberg_specs_open(const tl_iceberg_metadata *metadata, const tl_fields *fields, tl_manifest_spec **specs,
                                tl_partitioning **resolved, tl_error *err) {
  *specs = tl_calloc(metadata->spec_count, sizeof **specs);
  *resolved = tl_calloc(metadata->spec_count, sizeof **resolved);
  tl_status st = *specs && *resolved ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot hold the partition specs");
  for (size_t i = 0; !st && i < metadata->spec_count; i++) st = open_spec(&metadata->specs[i], fields, &(*specs)[i], &(*resolved)[i], err);
  if (!st) return TL_OK;
  tl_iceberg_specs_close(*specs, *resolved, metadata->spec_count);
  *specs = NULL;
  *resolved = NULL;
  return st;
}

const tl_manifest_spec *tl_iceberg_spec_of(const tl_manifest_spec *specs, size_t count, int id) {
  for (size_t i = 0; i < count; i++)
    if (specs[i].id == id) return &specs[i];
  return NULL;
}

/* ---- entries ---- */

void tl_iceberg_entries_deinit(tl_iceberg_entries *entries) {
  for (size_t i = 0; i < entries->count; i++) tl_free(entries->items[i]);
  tl_free(entries->items);
  *entries = (tl_iceberg_entries){0};
}

typedef struct collect {
  tl_iceberg_entries *to;
  size_t manifest;
} collect;

static tl_status take_live(void *to, tl_manifest_entry *entry, tl_error *err) {
  collect *c = to;
  tl_iceberg_entries *e = c->to;
  if (entry->status == TL_ENTRY_DELETED) {
    tl_free(entry);
    return TL_OK;
  }
  if (e->count == e->capacity) {
    size_t more = e->capacity ? e->capacity * 2 : 64;
    tl_manifest_entry **grown = tl_realloc_array(e->items, more, sizeof *grown);
    if (!grown) {
      tl_free(entry);
      return tl_fail(err, TL_ENOMEM, "cannot hold %zu data files", more);
    }
    e->items = grown;
    e->capacity = more;
  }
  entry->manifest = c->manifest;
  e->items[e->count++] = entry;
  return TL_OK;
}

tl_status tl_iceberg_entries_load(tl_table_log *log, const tl_iceberg_metadata *metadata, const tl_manifest_info *info, size_t index,
                                  const tl_manifest_spec *spec, tl_iceberg_entries *out, tl_error *err) {
  tl_buf data = {0};
  collect c = {out, index};
  tl_status st = tl_iceberg_get(log, metadata, info->path, &data, err);
  if (!st) st = tl_manifest_read(info->path, data.data ? data.data : "", data.len, info, spec, take_live, &c, err);
  tl_buf_deinit(&data);
  return st;
}

/* One manifest on its way: fetched by a worker, read in its turn. */
typedef struct fetch {
  tl_table_log *log;
  const tl_iceberg_metadata *metadata;
  const tl_manifest_info *info;
  tl_buf data;
  tl_status status;
  tl_error err;
} fetch;

static void fetch_one(void *argument) {
  fetch *f = argument;
  f->status = tl_iceberg_get(f->log, f->metadata, f->info->path, &f->data, &f->err);
}

static tl_status take_fetched(fetch *f, size_t index, const tl_manifest_spec *specs, tl_iceberg_entries *out, tl_error *err) {
  collect c = {out, index};
  const tl_manifest_spec *spec = tl_iceberg_spec_of(specs, f->metadata->spec_count, f->info->spec_id);
  if (f->status) {
    if (err) *err = f->err;
    return f->status;
  }
  if (!spec) return tl_fail(err, TL_ECORRUPT, "manifest '%s' is of partition spec %d, which the table has not", f->info->path, f->info->spec_id);
  return tl_manifest_read(f->info->path, f->data.data ? f->data.data : "", f->data.len, f->info, spec, take_live, &c, err);
}

/* `count` manifests from `first` on: all are fetched, then read. */
static tl_status load_some(tl_pool *pool, fetch *fetches, const size_t *indices, size_t count, const tl_manifest_spec *specs,
                           tl_iceberg_entries *out, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; i < count; i++) {
    if (pool) tl_pool_put(pool, fetch_one, &fetches[i]);
    else fetch_one(&fetches[i]);
  }
  if (pool) tl_pool_drain(pool);
  for (size_t i = 0; i < count; i++) {
    if (!st) st = take_fetched(&fetches[i], indices[i], specs, out, err);
    tl_buf_deinit(&fetches[i].data);
  }
  return st;
}

tl_status tl_iceberg_entries_load_all(tl_table_log *log, const tl_iceberg_metadata *metadata, const tl_manifest_list *list, const bool *wanted,
                                      const tl_manifest_spec *specs, tl_iceberg_entries *out, tl_error *err) {
  fetch fetches[FETCHES_MAX];
  size_t indices[FETCHES_MAX], total = 0, count = 0;
  tl_pool *pool = NULL;
  tl_status st = TL_OK;
  for (size_t i = 0; i < list->count; i++) total += wanted[i];
  bool far = !tl_store_is_local(log->store) && total > 1; /* a file of this machine is read quicker than handed over */
  if (far) st = tl_pool_open(WORKERS, FETCHES_MAX, &pool, err);
  for (size_t i = 0; !st && i < list->count; i++) {
    if (wanted[i]) {
      fetches[count] = (fetch){.log = log, .metadata = metadata, .info = &list->items[i]};
      indices[count++] = i;
    }
    if (count < (far ? FETCHES_MAX : 1) && i + 1 < list->count) continue;
    st = load_some(pool, fetches, indices, count, specs, out, err);
    count = 0;
  }
  tl_pool_close(pool);
  return st;
}

tl_status tl_iceberg_texts(const tl_manifest_entry *entry, const tl_manifest_spec *spec, char **out, tl_error *err) {
  for (size_t i = 0; i < spec->count; i++) {
    const tl_iceberg_value *value = &entry->partition[i];
    tl_buf text = {0};
    if (value->null) continue;
    tl_status st = tl_iceberg_value_text(&spec->results[i], spec->fields[i].transform, value, &text, err);
    if (!st) st = tl_buf_reserve(&text, 0, err); /* an empty text is a text */
    if (!st) out[i] = tl_buf_take(&text);
    tl_buf_deinit(&text);
    if (st) return st;
  }
  return TL_OK;
}
