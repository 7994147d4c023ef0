/* iceberg_added.c - what a commit says of its files: the manifest of the added ones, the snapshot's summary. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "table/iceberg/iceberg_plan.h"

/* ---- statistics -> metrics ---- */

typedef struct metrics {
  tl_manifest_metric *items;
  size_t count;
  tl_buf *bounds; /* 2 per item */
} metrics;

static void metrics_free(metrics *m, size_t capacity) {
  for (size_t i = 0; m->bounds && i < capacity * 2; i++) tl_buf_deinit(&m->bounds[i]);
  tl_free(m->bounds);
  tl_free(m->items);
}

static bool holds_nan(const tl_column_bounds *b) { return b->nan_count > 0; }

static tl_status add_metric(metrics *m, const tl_field *field, const tl_column_bounds *b, tl_error *err) {
  tl_manifest_metric *to = &m->items[m->count];
  tl_buf *lower = &m->bounds[2 * m->count], *upper = lower + 1;
  tl_status st = TL_OK;
  *to = (tl_manifest_metric){.size_bytes = b->size_bytes, .values = -1, .nulls = -1, .nans = -1};
  tl_field leaf = tl_iceberg_leaf(field, &to->id);
  if (field->type != TL_FIELD_LIST) { /* a list's counts would be those of its elements, which nobody counted */
    to->values = b->value_count;
    to->nulls = b->null_count;
    to->nans = leaf.type == TL_FIELD_F32 || leaf.type == TL_FIELD_F64 ? b->nan_count : -1;
    /* engines do not agree whether a NaN is above all numbers: with one there are no bounds */
    if (b->has_min && !holds_nan(b)) st = tl_iceberg_bound_encode(&leaf, &b->min, false, lower, &to->has_lower, err);
    if (!st && b->has_max && !holds_nan(b)) st = tl_iceberg_bound_encode(&leaf, &b->max, true, upper, &to->has_upper, err);
  }
  to->lower = tl_text_of(lower->data, lower->len);
  to->upper = tl_text_of(upper->data, upper->len);
  m->count++;
  return st;
}

static int by_id(const void *a, const void *b) {
  int x = ((const tl_manifest_metric *)a)->id, y = ((const tl_manifest_metric *)b)->id;
  return (x > y) - (x < y);
}

/* ---- one file ---- */

static tl_status full_path(const tl_iceberg_plan *p, const char *path, tl_buf *out, tl_error *err) {
  tl_text location = p->state.metadata->location;
  if (path[0] == '/' || strstr(path, "://") || !strncmp(path, "file:", 5)) return tl_buf_appends(out, path, err);
  return tl_buf_appendf(out, err, "%.*s/%s", (int)location.len, location.data, path);
}

static tl_status put_file(tl_iceberg_plan *p, tl_manifest_writer *w, const tl_data_file *file, tl_error *err) {
  const tl_fields *fields = p->edit->fields ? p->edit->fields : &p->base->fields;
  size_t columns = file->stats.count < fields->count ? file->stats.count : fields->count, capacity = columns ? columns : 1;
  metrics m = {.items = tl_calloc(capacity, sizeof *m.items), .bounds = tl_calloc(capacity * 2, sizeof *m.bounds)};
  tl_iceberg_value *values = tl_calloc(w->spec->count ? w->spec->count : 1, sizeof *values);
  tl_buf path = {0};
  tl_status st = m.items && m.bounds && values ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot describe '%s'", file->path);
  if (!st && (file->rows < 0 || file->size_bytes < 0)) st = tl_fail(err, TL_EINTERNAL, "an edit adds '%s' without its size or row count", file->path);
  for (size_t i = 0; !st && i < columns; i++) st = add_metric(&m, &fields->items[i], &file->stats.columns[i], err);
  for (size_t i = 0; !st && i < w->spec->count; i++) {
    st = tl_iceberg_value_parse(&w->spec->results[i], w->spec->fields[i].transform, file->partition ? file->partition[i] : NULL, &values[i], err);
    if (st) tl_fail_within(err, st, "partition '%s' of '%s'", w->spec->fields[i].name, file->path);
  }
  if (!st) st = full_path(p, file->path, &path, err);
  if (!st) {
    qsort(m.items, m.count, sizeof *m.items, by_id);
    const tl_manifest_entry entry = {.snapshot_id = p->id, .sequence = -1, .file_sequence = -1, .rows = file->rows, .bytes = file->size_bytes,
                                     .sort_order_id = -1, .spec_id = w->spec->id, .path = tl_text_of(path.data, path.len),
                                     .partition = values, .partition_count = w->spec->count, .metrics = m.items, .metric_count = m.count};
    st = tl_manifest_put(w, &entry, TL_ENTRY_ADDED, err);
  }
  metrics_free(&m, capacity);
  tl_free(values);
  tl_buf_deinit(&path);
  return st;
}

tl_status tl_iceberg_plan_added(tl_iceberg_plan *p, int64_t sequence, tl_error *err) {
  const tl_iceberg_metadata *m = p->state.metadata;
  const tl_manifest_spec *spec = tl_iceberg_spec_of(p->specs, m->spec_count, m->default_spec_id);
  if (p->added.path) { /* written by an earlier attempt: only what it inherits changes */
    p->added.sequence = p->added.min_sequence = sequence;
    return TL_OK;
  }
  tl_manifest_writer w = {0};
  tl_buf schema = {0};
  char sync[16], *path = NULL;
  tl_iceberg_plan_sync(p, sync);
  tl_status st = tl_iceberg_schema_text(m, m->current_schema_id, &schema, err);
  if (!st) st = tl_manifest_begin(&w, spec, schema.data, m->current_schema_id, p->id, sync, err);
  for (size_t i = 0; !st && i < p->edit->add_count; i++) st = put_file(p, &w, &p->edit->adds[i], err);
  if (!st) st = tl_manifest_finish(&w, sequence, err);
  if (!st) st = tl_iceberg_plan_put_manifest(p, &w.out, &path, &p->added_key, err);
  if (!st) {
    p->added = w.info;
    p->added.path = path;
    w.info = (tl_manifest_info){0};
  }
  if (w.spec) tl_manifest_writer_deinit(&w);
  tl_buf_deinit(&schema);
  return st;
}

/* ---- the summary ---- */

static tl_status say(tl_iceberg_plan *p, tl_error *err, const char *key, const char *format, ...) TL_PRINTF(4, 5);

static tl_status say(tl_iceberg_plan *p, tl_error *err, const char *key, const char *format, ...) {
  if (p->summary_count == p->summary_capacity) {
    size_t more = p->summary_capacity ? p->summary_capacity * 2 : 32;
    tl_pair *grown = tl_realloc_array(p->summary, more, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot describe the commit");
    p->summary = grown;
    p->summary_capacity = more;
  }
  tl_buf text = {0};
  va_list args;
  va_start(args, format);
  tl_status st = tl_buf_vappendf(&text, err, format, args);
  va_end(args);
  char *name = tl_strdup(key);
  if (!st && !name) st = tl_fail(err, TL_ENOMEM, "cannot describe the commit");
  if (st) {
    tl_free(name);
    tl_buf_deinit(&text);
    return st;
  }
  p->summary[p->summary_count++] = (tl_pair){name, tl_buf_take(&text)};
  return TL_OK;
}

static tl_status say_count(tl_iceberg_plan *p, const char *key, int64_t count, tl_error *err) { return say(p, err, key, "%" PRId64, count); }

typedef struct texts { char *const *items; size_t count; } texts;

static int compare_texts(const void *a, const void *b) {
  const texts *x = a, *y = b;
  for (size_t i = 0; i < x->count; i++) {
    const char *s = x->items[i], *t = y->items[i];
    int order = !s || !t ? (s != NULL) - (t != NULL) : strcmp(s, t);
    if (order) return order;
  }
  return 0;
}

/* How many partitions have files added or removed. */
static tl_status count_partitions(const tl_iceberg_plan *p, int64_t *out, tl_error *err) {
  const tl_edit *edit = p->edit;
  size_t count = 0, fields = p->base->partitioning.count;
  texts *all = tl_calloc(edit->add_count + edit->remove_count + 1, sizeof *all);
  if (!all) return tl_fail(err, TL_ENOMEM, "cannot describe the commit");
  for (size_t i = 0; i < edit->add_count; i++)
    if (edit->adds[i].partition) all[count++] = (texts){edit->adds[i].partition, fields};
  for (size_t i = 0, at = 0; i < edit->remove_count; i++) { /* both are sorted by path */
    while (strcmp(p->base->files[at].path, p->removes[i]) != 0) at++;
    all[count++] = (texts){p->base->files[at].partition, fields};
  }
  qsort(all, count, sizeof *all, compare_texts);
  *out = count > 0;
  for (size_t i = 1; i < count; i++) *out += compare_texts(&all[i - 1], &all[i]) != 0;
  tl_free(all);
  return TL_OK;
}

static bool total_before(const tl_iceberg_plan *p, const char *key, int64_t *out) {
  const tl_iceberg_metadata *m = p->state.metadata;
  const tl_iceberg_snap *parent = m->current >= 0 ? tl_iceberg_find_snap(m, m->current) : NULL;
  tl_field type = {.type = TL_FIELD_I64};
  tl_iceberg_value value;
  tl_text text;
  *out = 0;
  if (!parent) return true;
  if (!tl_json_string(tl_json_get(parent->summary, key), &text) || tl_iceberg_value_parse(&type, TL_TRANSFORM_IDENTITY, text.data, &value, NULL)) return false;
  *out = value.i64;
  return true;
}

static tl_status say_totals(tl_iceberg_plan *p, const tl_iceberg_counts *added, tl_error *err) {
  int64_t files = 0, rows = 0, bytes = 0;
  for (size_t i = 0; i < p->next.count; i++) {
    const tl_manifest_info *info = &p->next.items[i];
    files += info->files[TL_ENTRY_ADDED] + info->files[TL_ENTRY_EXISTING];
    rows += info->rows[TL_ENTRY_ADDED] + info->rows[TL_ENTRY_EXISTING];
  }
  bool known = total_before(p, "total-files-size", &bytes);
  if (!known && p->state.metadata->current == p->base->version) {
    bytes = p->base->bytes;
    known = true;
  }
  tl_status st = say_count(p, "total-records", rows, err);
  if (!st && known) st = say_count(p, "total-files-size", bytes + added->bytes - p->removed.bytes, err);
  if (!st) st = say_count(p, "total-data-files", files, err);
  if (!st) st = say_count(p, "total-delete-files", 0, err);
  if (!st) st = say_count(p, "total-position-deletes", 0, err);
  return st ? st : say_count(p, "total-equality-deletes", 0, err);
}

static tl_status say_changes(tl_iceberg_plan *p, const tl_iceberg_counts *added, tl_error *err) {
  int64_t partitions = 0;
  tl_status st = count_partitions(p, &partitions, err);
  if (!st && added->files) st = say_count(p, "added-data-files", added->files, err);
  if (!st && added->files) st = say_count(p, "added-files-size", added->bytes, err);
  if (!st && added->files) st = say_count(p, "added-records", added->rows, err);
  if (!st && p->removed.files) st = say_count(p, "deleted-data-files", p->removed.files, err);
  if (!st && p->removed.files) st = say_count(p, "removed-files-size", p->removed.bytes, err);
  if (!st && p->removed.files) st = say_count(p, "deleted-records", p->removed.rows, err);
  if (!st && p->rewrite) st = say_count(p, "manifests-replaced", (int64_t)p->manifests_read, err);
  if (!st && p->rewrite) st = say_count(p, "manifests-created", (int64_t)p->key_count, err);
  return st ? st : say_count(p, "changed-partition-count", partitions, err);
}

tl_status tl_iceberg_plan_summary(tl_iceberg_plan *p, const char *operation, tl_iceberg_added *added, tl_error *err) {
  const tl_edit *edit = p->edit;
  tl_iceberg_counts sum = {.files = (int64_t)edit->add_count};
  tl_buf key = {0};
  for (size_t i = 0; i < edit->add_count; i++) {
    sum.rows += edit->adds[i].rows;
    sum.bytes += edit->adds[i].size_bytes;
  }
  tl_status st = say(p, err, "operation", "%s", operation);
  if (!st) st = say_changes(p, &sum, err);
  if (!st) st = say_totals(p, &sum, err);
  if (!st) st = say(p, err, "engine-name", "ticklake");
  if (!st) st = say(p, err, "engine-version", "%s", tl_iceberg_engine_version);
  if (!st && edit->operation) st = say(p, err, "ticklake.operation", "%s", edit->operation);
  for (size_t i = 0; !st && i < edit->parameter_count; i++) {
    if (!edit->parameters[i].value) continue;
    tl_buf_clear(&key);
    st = tl_buf_appendf(&key, err, "ticklake.parameter.%s", edit->parameters[i].key);
    if (!st) st = say(p, err, key.data, "%s", edit->parameters[i].value);
  }
  tl_buf_deinit(&key);
  added->summary = p->summary;
  added->summary_count = p->summary_count;
  return st;
}
