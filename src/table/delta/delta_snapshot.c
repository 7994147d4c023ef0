/* delta_snapshot.c - the state of a log in the terms of table/snapshot.h. Cost: a few small blocks a live file. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "table/delta/delta.h"

void tl_delta_snapshot_deinit(tl_snapshot *snapshot) {
  tl_delta_own *own = snapshot->own;
  if (!own) return;
  for (size_t i = 0; i < own->file_count; i++) tl_delta_file_unref(own->files[i]);
  tl_free(own->files);
  tl_delta_protocol_deinit(&own->protocol);
  tl_delta_metadata_deinit(&own->metadata);
  tl_free(own);
  snapshot->own = NULL;
}

static tl_status copy_protocol(const tl_delta_protocol *from, tl_delta_protocol *out, tl_error *err) {
  tl_status st = TL_OK;
  *out = (tl_delta_protocol){.reader = from->reader, .writer = from->writer};
  for (size_t i = 0; !st && i < from->reader_features.count; i++)
    st = tl_delta_names_add(&out->reader_features, tl_text_from(from->reader_features.items[i]), err);
  for (size_t i = 0; !st && i < from->writer_features.count; i++)
    st = tl_delta_names_add(&out->writer_features, tl_text_from(from->writer_features.items[i]), err);
  return st;
}

static const char *partition_value(const tl_delta_file *file, const char *name, bool *found) {
  *found = true;
  for (size_t i = 0; i < file->partition_count; i++)
    if (!strcmp(file->partition[i].key, name)) return file->partition[i].value;
  *found = false;
  return NULL;
}

static tl_status fill_file(const tl_snapshot *s, const tl_delta_file *from, tl_data_file *out, tl_error *err) {
  size_t count = s->partitioning.count;
  tl_status st = TL_OK;
  out->partition = tl_calloc(count + 1, sizeof *out->partition);
  out->raw = from->stats ? tl_strdup(from->stats) : NULL;
  if (!out->partition || (from->stats && !out->raw)) return tl_fail(err, TL_ENOMEM, "cannot hold the files of a table");
  for (size_t i = 0; !st && i < count; i++) {
    bool found;
    const tl_partition_field *p = &s->partitioning.items[i];
    const char *value = partition_value(from, p->name, &found);
    if (!found) return tl_fail(err, TL_ECORRUPT, "the file '%.150s' of the log has no value for the partition column '%.60s'", from->path, p->name);
    st = tl_delta_value_read(&s->fields.items[p->column], value, &out->partition[i], err);
  }
  out->size_bytes = from->size_bytes;
  out->rows = tl_delta_stats_rows(from->stats);
  out->modified_ms = from->modified_ms;
  out->version = from->version;
  return st;
}

typedef struct named { /* small, for sorting */
  char *path;
  tl_delta_file *file;
} named;

static int compare_named(const void *a, const void *b) { return strcmp(((const named *)a)->path, ((const named *)b)->path); }

static tl_status name_file(const tl_table_log *log, tl_delta_file *file, named *out, tl_error *err) {
  tl_buf path = {0};
  if (file->has_vector)
    return tl_fail(err, TL_EUSAGE, "the file '%.150s' has a deletion vector: the feature 'deletionVectors' is not read by this engine", file->path);
  tl_status st = tl_delta_path_read(tl_store_uri(log->store), file->path, &path, err);
  *out = (named){st ? NULL : tl_buf_take(&path), file};
  tl_buf_deinit(&path);
  return st;
}

/* Live files by path; the paths are the caller's. */
static tl_status sort_files(const tl_table_log *log, const tl_delta_state *state, named *sorted, size_t *count, tl_error *err) {
  tl_delta_file *file;
  tl_status st = TL_OK;
  for (size_t at = 0; !st && tl_delta_state_next(state, &at, &file);)
    if (!file->removed) st = name_file(log, file, &sorted[(*count)++], err);
  if (!st && *count) qsort(sorted, *count, sizeof *sorted, compare_named);
  for (size_t i = 1; !st && i < *count; i++)
    if (!strcmp(sorted[i - 1].path, sorted[i].path))
      st = tl_fail(err, TL_ECORRUPT, "the log names the file '%.200s' in two spellings: its rows would count twice", sorted[i].path);
  return st;
}

static tl_status fill_files(const tl_table_log *log, const tl_delta_state *state, tl_snapshot *s, tl_error *err) {
  tl_delta_own *own = s->own;
  size_t count = 0, filled = 0;
  named *sorted = tl_calloc(state->live + 1, sizeof *sorted);
  s->files = tl_calloc(state->live + 1, sizeof *s->files);
  own->files = tl_calloc(state->live + 1, sizeof(tl_delta_file *));
  tl_status st = sorted && s->files && own->files ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot hold the %zu files of a table", state->live);
  if (!st) st = sort_files(log, state, sorted, &count, err);
  for (; !st && filled < count; filled++) {
    s->files[s->file_count++].path = sorted[filled].path;
    own->files[own->file_count++] = tl_delta_file_ref(sorted[filled].file);
    st = fill_file(s, sorted[filled].file, &s->files[filled], err);
  }
  for (; filled < count; filled++) tl_free(sorted[filled].path);
  tl_free(sorted);
  return st;
}

static tl_status fill_properties(tl_snapshot *s, const tl_delta_metadata *m, tl_error *err) {
  const tl_delta_pairs *pairs = &m->configuration;
  s->properties = tl_calloc(pairs->count + 1, sizeof *s->properties);
  if (!s->properties) return tl_fail(err, TL_ENOMEM, "cannot hold a table's properties");
  for (size_t i = 0; i < pairs->count; i++) {
    tl_pair *p = &s->properties[s->property_count++];
    *p = (tl_pair){tl_strdup(pairs->items[i].key), tl_strdup(pairs->items[i].value)};
    if (!p->key || !p->value) return tl_fail(err, TL_ENOMEM, "cannot hold a table's properties");
  }
  s->table_id = tl_strdup(m->id);
  s->name = tl_strdup(m->name ? m->name : "");
  return s->table_id && s->name ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot hold a table's name");
}

static tl_status fill_txns(tl_snapshot *s, const tl_delta_state *state, tl_error *err) {
  s->txns = tl_calloc(state->txn_count + 1, sizeof *s->txns);
  for (size_t i = 0; s->txns && i < state->txn_count; i++) {
    s->txns[i] = (tl_txn){tl_strdup(state->txns[i].app), state->txns[i].version};
    s->txn_count++;
    if (!s->txns[i].app) return tl_fail(err, TL_ENOMEM, "cannot hold a table's transactions");
  }
  return s->txns ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot hold a table's transactions");
}

static void count_rows(tl_snapshot *s) {
  for (size_t i = 0; i < s->file_count; i++) {
    int64_t rows = s->files[i].rows;
    if (__builtin_add_overflow(s->bytes, s->files[i].size_bytes, &s->bytes)) s->bytes = INT64_MAX;
    if (s->rows >= 0 && (rows < 0 || __builtin_add_overflow(s->rows, rows, &s->rows))) s->rows = -1;
  }
}

static tl_status check_partition_types(const tl_snapshot *s, tl_error *err) {
  for (size_t i = 0; i < s->partitioning.count; i++) {
    tl_field_type type = s->fields.items[s->partitioning.items[i].column].type;
    if (type == TL_FIELD_LIST || type == TL_FIELD_OTHER)
      return tl_fail(err, TL_ECORRUPT, "the partition column '%.100s' is of a type that cannot partition a table", s->partitioning.items[i].name);
  }
  return TL_OK;
}

tl_status tl_delta_snapshot_of(const tl_table_log *log, const tl_delta_state *state, tl_snapshot **out, tl_error *err) {
  if (!state->has_protocol || !state->has_metadata)
    return tl_fail(err, TL_ECORRUPT, "the log of '%s' has no %s up to version %" PRId64, tl_store_uri(log->store),
                   state->has_protocol ? "metaData" : "protocol", state->version);
  tl_status st = tl_delta_check_readable(&state->protocol, &state->metadata, err);
  if (st) return tl_fail_within(err, st, "'%s'", tl_store_uri(log->store));
  tl_snapshot *s = tl_calloc(1, sizeof *s);
  tl_delta_own *own = tl_calloc(1, sizeof *own);
  if (!s || !own) {
    tl_free(s);
    tl_free(own);
    return tl_fail(err, TL_ENOMEM, "cannot hold a snapshot");
  }
  *s = (tl_snapshot){.format = &tl_format_delta, .version = state->version, .sequence = state->version, .timestamp_ms = state->timestamp_ms, .own = own};
  st = copy_protocol(&state->protocol, &own->protocol, err);
  if (!st) st = tl_delta_metadata_copy(&state->metadata, &own->metadata, err);
  if (!st) st = tl_delta_schema_read(own->metadata.schema, &s->fields, err);
  if (!st) st = tl_delta_partitioning_read(&own->metadata, &s->fields, &s->partitioning, err);
  if (!st) st = check_partition_types(s, err);
  if (!st) st = fill_properties(s, &own->metadata, err);
  if (!st) st = fill_txns(s, state, err);
  if (!st) st = tl_delta_unwritable(&own->protocol, &own->metadata, &s->fields, &s->unwritable, err);
  if (!st) st = fill_files(log, state, s, err);
  if (!st) count_rows(s);
  if (st) tl_snapshot_close(s);
  else *out = s;
  return st;
}

tl_status tl_delta_stats(const tl_snapshot *snapshot, size_t file, tl_file_stats *out, tl_error *err) {
  tl_status st = tl_file_stats_init(out, snapshot->fields.count, err);
  if (!st) st = tl_delta_stats_read(snapshot->files[file].raw, &snapshot->fields, out, err);
  if (st) tl_file_stats_deinit(out);
  return st;
}
