/* iceberg_snapshot.c - from metadata to a snapshot: which version, its schema, its live files; statistics when asked.
 *
 * A file's `raw` is its manifest entry: statistics stay packed until somebody asks for them.
 * Cost: one read each of metadata, manifest list and every manifest that has live files. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "table/iceberg/iceberg_log.h"

enum { LOADS_MAX = 5 };

static tl_status no_memory(tl_error *err) { return tl_fail(err, TL_ENOMEM, "cannot hold a snapshot"); }

void tl_iceberg_own_free(tl_snapshot *snapshot) {
  tl_iceberg_own *own = snapshot->own;
  if (!own) return;
  size_t specs = own->state.metadata ? own->state.metadata->spec_count : 0;
  tl_iceberg_specs_close(own->specs, own->resolved, specs);
  tl_manifest_list_deinit(&own->list);
  tl_iceberg_state_deinit(&own->state);
  tl_free(own);
  snapshot->own = NULL;
}

/* ---- which version ---- */

static tl_status pick(const tl_iceberg_metadata *m, tl_at at, const char *where, const tl_iceberg_snap **out, tl_error *err) {
  int64_t id = m->current;
  *out = NULL;
  if (at.kind == TL_AT_VERSION) id = at.value;
  if (at.kind == TL_AT_TIMESTAMP) {
    id = -1;
    int64_t newest_ms = INT64_MIN;
    for (size_t i = 0; i < m->log_count; i++)
      if (m->log[i].timestamp_ms <= at.value && m->log[i].timestamp_ms >= newest_ms) {
        newest_ms = m->log[i].timestamp_ms;
        id = m->log[i].id;
      }
    for (size_t i = 0; !m->log_count && i < m->snap_count; i++) /* a table whose writer kept no log */
      if (m->snaps[i].timestamp_ms <= at.value && m->snaps[i].timestamp_ms >= newest_ms) {
        newest_ms = m->snaps[i].timestamp_ms;
        id = m->snaps[i].id;
      }
    if (id < 0) return tl_fail(err, TL_ENOTFOUND, "'%s' has no snapshot as old as that: none, or they have expired", where);
  }
  if (id < 0 && at.kind == TL_AT_LATEST) return TL_OK;
  *out = tl_iceberg_find_snap(m, id);
  return *out ? TL_OK : tl_fail(err, TL_ENOTFOUND, "'%s' has no snapshot %" PRId64 ": it never was, or it has expired", where, id);
}

/* ---- files ---- */

static tl_status read_entries(tl_table_log *log, tl_iceberg_own *own, tl_iceberg_entries *entries, tl_error *err) {
  bool *wanted = tl_calloc(own->list.count ? own->list.count : 1, sizeof *wanted);
  tl_status st = wanted ? TL_OK : no_memory(err);
  for (size_t i = 0; !st && i < own->list.count; i++) {
    const tl_manifest_info *info = &own->list.items[i];
    wanted[i] = info->files[TL_ENTRY_ADDED] != 0 || info->files[TL_ENTRY_EXISTING] != 0;
    if (wanted[i] && info->content != 0)
      st = tl_fail(err, TL_EUSAGE, "'%s' has row-level deletes (merge-on-read), which cannot be read: let the engine that wrote them rewrite its data files",
                   tl_store_uri(log->store));
  }
  if (!st) st = tl_iceberg_entries_load_all(log, own->state.metadata, &own->list, wanted, own->specs, entries, err);
  tl_free(wanted);
  return st;
}

/* Files of several specs share the fields that all of them have; the others are not told of. */
static bool shared_by_all(const tl_iceberg_own *own, const tl_iceberg_entries *entries, int id, bool *used) {
  const tl_iceberg_metadata *m = own->state.metadata;
  for (size_t i = 0; i < m->spec_count; i++) used[i] = m->specs[i].id == m->default_spec_id;
  for (size_t i = 0; i < entries->count; i++)
    for (size_t k = 0; k < m->spec_count; k++)
      if (m->specs[k].id == entries->items[i]->spec_id) used[k] = true;
  for (size_t i = 0; i < m->spec_count; i++) {
    bool has = !used[i];
    for (size_t k = 0; k < m->specs[i].fields.count; k++) has = has || m->specs[i].fields.items[k].id == id;
    if (!has) return false;
  }
  return true;
}

/* A column that lies only in the partition values of a file (no statistics of it, but of others) cannot be filled in where its
 * partition field is not told of. */
static tl_status check_hidden(const tl_iceberg_own *own, const tl_iceberg_entries *entries, const tl_fields *fields, int id, tl_error *err) {
  const tl_iceberg_metadata *m = own->state.metadata;
  for (size_t i = 0; i < entries->count; i++) {
    const tl_manifest_entry *e = entries->items[i];
    size_t s = 0;
    while (m->specs[s].id != e->spec_id) s++;
    for (size_t k = 0; k < own->resolved[s].count; k++) {
      const tl_partition_field *f = &own->resolved[s].items[k];
      if (f->id != id || f->transform != TL_TRANSFORM_IDENTITY) continue;
      bool known = e->metric_count == 0;
      for (size_t j = 0; j < e->metric_count; j++) known = known || e->metrics[j].id == fields->items[f->source].id;
      if (!known)
        return tl_fail(err, TL_EUSAGE, "column '%s' of '%.*s' lies in partition values of a former spec only: it cannot be read",
                       fields->items[f->source].name, (int)(e->path.len < 200 ? e->path.len : 200), e->path.data);
    }
  }
  return TL_OK;
}

static tl_status choose_partitioning(tl_iceberg_own *own, const tl_iceberg_entries *entries, tl_snapshot *s, bool *mixed, tl_error *err) {
  const tl_iceberg_metadata *m = own->state.metadata;
  size_t at = 0;
  while (m->specs[at].id != m->default_spec_id) at++;
  tl_status st = tl_partitioning_copy(&own->resolved[at], &s->partitioning, err);
  *mixed = false;
  for (size_t i = 0; i < entries->count; i++) *mixed = *mixed || entries->items[i]->spec_id != m->default_spec_id;
  if (st || !*mixed) return st;
  bool *used = tl_calloc(m->spec_count, sizeof *used);
  if (!used) return no_memory(err);
  size_t kept = 0;
  for (size_t i = 0; i < s->partitioning.count; i++) {
    tl_partition_field *f = &s->partitioning.items[i];
    if (shared_by_all(own, entries, f->id, used)) s->partitioning.items[kept++] = *f;
    else tl_free(f->name);
  }
  s->partitioning.count = kept;
  for (size_t k = 0; !st && k < m->spec_count; k++)
    for (size_t i = 0; !st && used[k] && i < own->resolved[k].count; i++) {
      int id = own->resolved[k].items[i].id;
      bool told = false;
      for (size_t j = 0; j < kept; j++) told = told || s->partitioning.items[j].id == id;
      if (!told) st = check_hidden(own, entries, &s->fields, id, err);
    }
  tl_free(used);
  return st;
}

static tl_status make_file(tl_table_log *log, const tl_iceberg_own *own, const tl_snapshot *s, tl_manifest_entry *e, tl_data_file *out, tl_error *err) {
  const tl_iceberg_metadata *m = own->state.metadata;
  const tl_manifest_spec *spec = tl_iceberg_spec_of(own->specs, m->spec_count, e->spec_id);
  *out = (tl_data_file){.size_bytes = e->bytes, .rows = e->rows, .version = e->sequence, .spec_id = e->spec_id};
  char **texts = tl_calloc(spec->count ? spec->count : 1, sizeof *texts);
  out->partition = tl_calloc(s->partitioning.count ? s->partitioning.count : 1, sizeof *out->partition);
  tl_status st = texts && out->partition ? tl_iceberg_key(log, m, e->path, &out->path, err) : no_memory(err);
  if (!st) st = tl_iceberg_texts(e, spec, texts, err);
  for (size_t i = 0; !st && i < s->partitioning.count; i++)
    for (size_t k = 0; k < spec->count; k++)
      if (spec->fields[k].id == s->partitioning.items[i].id) {
        out->partition[i] = texts[k];
        texts[k] = NULL;
      }
  for (size_t k = 0; texts && k < spec->count; k++) tl_free(texts[k]);
  tl_free(texts);
  return st;
}

static int by_path(const void *a, const void *b) {
  return strcmp(((const tl_data_file *)a)->path, ((const tl_data_file *)b)->path);
}

static int by_id(const void *a, const void *b) {
  int64_t x = ((const tl_iceberg_log_entry *)a)->id, y = ((const tl_iceberg_log_entry *)b)->id;
  return (x > y) - (x < y);
}

/* When a file came: the time of the snapshot that added it, 0 when that has expired. */
static tl_status date_files(const tl_iceberg_metadata *m, tl_snapshot *s, tl_error *err) {
  tl_iceberg_log_entry *times = tl_calloc(m->snap_count ? m->snap_count : 1, sizeof *times);
  if (!times) return no_memory(err);
  for (size_t i = 0; i < m->snap_count; i++) times[i] = (tl_iceberg_log_entry){m->snaps[i].id, m->snaps[i].timestamp_ms};
  qsort(times, m->snap_count, sizeof *times, by_id);
  for (size_t i = 0; i < s->file_count; i++) {
    const tl_iceberg_log_entry key = {.id = ((const tl_manifest_entry *)s->files[i].raw)->snapshot_id};
    const tl_iceberg_log_entry *at = bsearch(&key, times, m->snap_count, sizeof *times, by_id);
    if (at) s->files[i].modified_ms = at->timestamp_ms;
  }
  tl_free(times);
  return TL_OK;
}

static tl_status make_files(tl_table_log *log, const tl_iceberg_own *own, tl_iceberg_entries *entries, tl_snapshot *s, tl_error *err) {
  s->files = tl_calloc(entries->count ? entries->count : 1, sizeof *s->files);
  if (!s->files) return no_memory(err);
  for (size_t i = 0; i < entries->count; i++) {
    tl_data_file *file = &s->files[i];
    s->file_count = i + 1;
    tl_status st = make_file(log, own, s, entries->items[i], file, err);
    if (st) return st;
    file->raw = entries->items[i]; /* from here on the file's */
    entries->items[i] = NULL;
    if (__builtin_add_overflow(s->rows, file->rows, &s->rows) || __builtin_add_overflow(s->bytes, file->size_bytes, &s->bytes))
      return tl_fail(err, TL_ECORRUPT, "the row counts of '%s' are impossible", tl_store_uri(log->store));
  }
  qsort(s->files, s->file_count, sizeof *s->files, by_path);
  for (size_t i = 1; i < s->file_count; i++)
    if (!strcmp(s->files[i - 1].path, s->files[i].path))
      return tl_fail(err, TL_ECORRUPT, "the table holds '%s' twice: its rows would be read twice", s->files[i].path);
  return TL_OK;
}

/* ---- the rest of a snapshot ---- */

static bool is_txn(const char *key) { return !strncmp(key, TL_ICEBERG_TXN, sizeof TL_ICEBERG_TXN - 1); }

static tl_status copy_properties(const tl_iceberg_metadata *m, tl_snapshot *s, tl_error *err) {
  s->properties = tl_calloc(m->property_count ? m->property_count : 1, sizeof *s->properties);
  s->txns = tl_calloc(m->property_count ? m->property_count : 1, sizeof *s->txns);
  if (!s->properties || !s->txns) return no_memory(err);
  for (size_t i = 0; i < m->property_count; i++) {
    const tl_pair *from = &m->properties[i];
    if (is_txn(from->key)) {
      tl_txn *txn = &s->txns[s->txn_count];
      tl_iceberg_value version;
      tl_field type = {.type = TL_FIELD_I64};
      if (tl_iceberg_value_parse(&type, TL_TRANSFORM_IDENTITY, from->value, &version, NULL)) continue; /* not one of ours */
      txn->version = version.i64;
      txn->app = tl_strdup(from->key + sizeof TL_ICEBERG_TXN - 1);
      if (!txn->app) return no_memory(err);
      s->txn_count++;
      continue;
    }
    tl_pair *to = &s->properties[s->property_count++];
    to->key = tl_strdup(from->key);
    to->value = tl_strdup(from->value);
    if (!to->key || !to->value) return no_memory(err);
  }
  return TL_OK;
}

/* Is the folder that `location` names another than the one we read? A link to it is the same. */
static tl_status has_moved(tl_table_log *log, const tl_iceberg_own *own, bool *moved, tl_error *err) {
  const tl_iceberg_metadata as_if = {.location = tl_text_from(tl_store_uri(log->store))};
  tl_text location = own->state.metadata->location;
  const char *name = strrchr(own->state.path, '/'); /* "/v7.metadata.json" */
  tl_buf there = {0};
  tl_io_info there_info, here_info;
  char *key = NULL;
  tl_status st = tl_buf_appendf(&there, err, "%.*s/metadata%s", (int)location.len, location.data, name ? name : "");
  if (!st) st = tl_iceberg_key(log, &as_if, tl_text_of(there.data, there.len), &key, err); /* spellings aside: a key when it lies here */
  if (st) goto done;
  const char *local = strncmp(key, "file:", 5) == 0 ? key + 5 : key;
  *moved = local[0] == '/' || strstr(key, "://");
  if (*moved && local[0] == '/' && tl_store_is_local(log->store) && tl_io_stat(local, &there_info, NULL) == TL_OK &&
      tl_io_stat(own->state.path, &here_info, NULL) == TL_OK)
    *moved = there_info.inode != here_info.inode || there_info.mtime_ns != here_info.mtime_ns || there_info.size_bytes != here_info.size_bytes;
done:
  tl_free(key);
  tl_buf_deinit(&there);
  return st;
}

static tl_status judge_writable(tl_table_log *log, const tl_iceberg_own *own, tl_snapshot *s, bool mixed, tl_error *err) {
  const tl_iceberg_metadata *m = own->state.metadata;
  tl_buf why = {0};
  bool moved = false;
  tl_status st = has_moved(log, own, &moved, err);
  if (st) return st;
  if (own->state.unwritable) st = tl_buf_appends(&why, own->state.unwritable, err);
  else if (m->format_version < 2) st = tl_buf_appends(&why, "it is of format version 1", err);
  else if (moved) st = tl_buf_appendf(&why, err, "it was moved: its files are named as below '%.*s'", (int)m->location.len, m->location.data);
  else if (mixed) st = tl_buf_appends(&why, "its files are of several partition specs", err);
  else if (tl_iceberg_property(m, "encryption.key-id")) st = tl_buf_appends(&why, "it is encrypted", err);
  for (size_t i = 0; !st && !why.len && i < s->fields.count; i++)
    if (s->fields.items[i].type == TL_FIELD_OTHER) st = tl_buf_appendf(&why, err, "column '%s' is of a type that is not written", s->fields.items[i].name);
  for (size_t i = 0; !st && !why.len && i < s->partitioning.count; i++) {
    const tl_partition_field *field = &s->partitioning.items[i];
    tl_field_type type = field->transform == TL_TRANSFORM_IDENTITY ? s->fields.items[field->source].type : TL_FIELD_STRING;
    if (field->transform == TL_TRANSFORM_OTHER) st = tl_buf_appendf(&why, err, "partition '%s' has a transform that is not written", field->name);
    else if (type == TL_FIELD_F32 || type == TL_FIELD_F64)
      st = tl_buf_appendf(&why, err, "it is partitioned by '%s', whose type has more than one spelling for a value", field->name);
  }
  if (!st && why.len && !(s->unwritable = tl_buf_take(&why))) st = no_memory(err);
  tl_buf_deinit(&why);
  return st;
}

static tl_status fill(tl_table_log *log, tl_at at, tl_snapshot *s, tl_iceberg_own *own, tl_iceberg_entries *entries, tl_error *err) {
  const tl_iceberg_snap *snap = NULL;
  bool mixed = false;
  tl_status st = tl_iceberg_state_load(log, &own->state, err);
  if (st) return st;
  const tl_iceberg_metadata *m = own->state.metadata;
  st = pick(m, at, tl_store_uri(log->store), &snap, err);
  if (st) return st;
  const char *name = tl_iceberg_property(m, TL_ICEBERG_NAME);
  bool latest = !snap || snap->id == m->current;
  s->version = snap ? snap->id : -1;
  s->sequence = latest ? own->state.number : snap->sequence;
  s->timestamp_ms = snap ? snap->timestamp_ms : m->last_updated_ms;
  s->table_id = tl_strndup(m->uuid.data, m->uuid.len);
  s->name = tl_strdup(name ? name : "");
  if (!s->table_id || !s->name) return no_memory(err);
  own->schema_id = at.kind == TL_AT_LATEST || snap->schema_id < 0 ? m->current_schema_id : snap->schema_id;
  const tl_iceberg_schema *schema = tl_iceberg_find_schema(m, own->schema_id);
  if (!schema) return tl_fail(err, TL_ECORRUPT, "snapshot %" PRId64 " has schema %d, which the table has not", s->version, own->schema_id);
  st = tl_fields_copy(&schema->fields, &s->fields, err);
  if (st) return st;
  if (s->fields.last_id < m->last_column_id) s->fields.last_id = m->last_column_id;
  tl_iceberg_names(m, schema, &s->fields, &s->by_id);
  st = tl_iceberg_specs_open(m, &s->fields, &own->specs, &own->resolved, err);
  if (!st && snap) st = tl_iceberg_list_load(log, m, snap->manifest_list, &own->list, err);
  if (!st) st = read_entries(log, own, entries, err);
  if (!st) st = choose_partitioning(own, entries, s, &mixed, err);
  if (!st) st = make_files(log, own, entries, s, err);
  if (!st) st = date_files(m, s, err);
  if (!st) st = copy_properties(m, s, err);
  return st ? st : judge_writable(log, own, s, mixed, err);
}

static tl_status load_once(tl_table_log *log, tl_at at, tl_snapshot **out, bool *overtaken, tl_error *err) {
  tl_snapshot *s = tl_calloc(1, sizeof *s);
  tl_iceberg_own *own = tl_calloc(1, sizeof *own);
  tl_iceberg_entries entries = {0};
  *overtaken = false;
  if (!s || !own) {
    tl_free(s);
    tl_free(own);
    return no_memory(err);
  }
  s->format = &tl_format_iceberg;
  s->own = own;
  tl_status st = fill(log, at, s, own, &entries, err);
  tl_iceberg_entries_deinit(&entries);
  if (st == TL_ECORRUPT && own->state.metadata) *overtaken = !tl_iceberg_state_is_newest(log, &own->state);
  if (st) tl_snapshot_close(s);
  else *out = s;
  return st;
}

tl_status tl_iceberg_load(tl_table_log *log, tl_at at, tl_snapshot **out, tl_error *err) {
  for (int tries = 1;; tries++) {
    bool overtaken = false;
    tl_status st = load_once(log, at, out, &overtaken, err);
    if (!overtaken || tries == LOADS_MAX) return st; /* a file was gone: another writer committed, and expired what we read */
  }
}

/* ---- statistics ---- */

static const tl_manifest_metric *metric_of(const tl_manifest_entry *e, int id) {
  size_t low = 0, high = e->metric_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (e->metrics[middle].id < id) low = middle + 1;
    else high = middle;
  }
  return low < e->metric_count && e->metrics[low].id == id ? &e->metrics[low] : NULL;
}

static tl_status take_bounds(const tl_field *type, const tl_manifest_metric *m, tl_column_bounds *out, tl_error *err) {
  bool memory = false;
  if (m->has_lower) out->has_min = tl_iceberg_bound_decode(type, m->lower, &out->min, &memory);
  if (!memory && m->has_upper) out->has_max = tl_iceberg_bound_decode(type, m->upper, &out->max, &memory);
  if (memory) return no_memory(err);
  bool is_float = type->type == TL_FIELD_F32 || type->type == TL_FIELD_F64;
  if (is_float && out->nan_count != 0) out->has_max = false; /* bounds know no NaN, which is above all numbers */
  out->exact = out->has_min && out->has_max && type->type != TL_FIELD_STRING && type->type != TL_FIELD_BINARY;
  return TL_OK;
}

tl_status tl_iceberg_stats(const tl_snapshot *snapshot, size_t file, tl_file_stats *out, tl_error *err) {
  const tl_manifest_entry *e = snapshot->files[file].raw;
  tl_status st = tl_file_stats_init(out, snapshot->fields.count, err);
  for (size_t i = 0; !st && i < snapshot->fields.count; i++) {
    int id = 0;
    tl_field leaf = tl_iceberg_leaf(&snapshot->fields.items[i], &id);
    const tl_manifest_metric *m = metric_of(e, id);
    tl_column_bounds *to = &out->columns[i];
    if (!m) continue;
    to->size_bytes = m->size_bytes;
    if (snapshot->fields.items[i].type == TL_FIELD_LIST) continue; /* counts of elements say nothing about lists */
    to->value_count = m->values;
    to->null_count = m->nulls;
    to->nan_count = m->nans;
    st = take_bounds(&leaf, m, to, err);
  }
  if (st) tl_file_stats_deinit(out);
  return st;
}
