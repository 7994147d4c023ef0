/* alter.c - verbs that change what a table says of itself: columns, properties, which version is the newest; checkpoints and
 * forgetting old versions. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "table/iceberg/types.h"
#include "table/ops/ops.h"

/* ---- columns and properties ---- */

static tl_status take_columns(tl_work *work, const tl_fields *more, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < more->count; i++) {
    const tl_field *field = &more->items[i];
    if (tl_fields_find(&work->fields, field->name) >= 0) return tl_fail(err, TL_EUSAGE, "the table has a column '%s' already", field->name);
    if (!field->nullable) return tl_fail(err, TL_EUSAGE, "column '%s' cannot be NOT NULL: the rows that are there have no value for it", field->name);
    st = tl_ops_field_add(&work->fields, field->name, field->type, err);
    if (st) break;
    tl_field *made = &work->fields.items[work->fields.count - 1];
    made->element = field->element;
    made->precision = field->precision;
    made->scale = field->scale;
    made->id = ++work->fields.last_id;
    if (field->type == TL_FIELD_LIST) made->element_id = ++work->fields.last_id;
  }
  work->fields_changed = more->count > 0;
  return st;
}

static tl_status add_columns(tl_relation *relation, const void *columns, tl_changed *changed, tl_error *err) {
  tl_work work = {0};
  tl_fields more = {0};
  tl_buf names = {0};
  tl_status st = tl_work_begin(&work, relation, NULL, changed, err);
  if (!st) st = tl_ops_fields_of_words(relation->link, columns, &more, err);
  if (!st) st = take_columns(&work, &more, err);
  for (size_t i = 0; !st && i < more.count; i++) {
    st = tl_buf_appends(&names, i ? "," : "[", err);
    if (!st) st = tl_buf_append_json(&names, more.items[i].name, strlen(more.items[i].name), err);
  }
  if (!st) st = tl_buf_appends(&names, "]", err);
  tl_pair parameters[] = {{(char *)(uintptr_t) "columns", names.data}};
  tl_commit commit = {.operation = "ADD COLUMNS", .parameters = parameters, .parameter_count = 1, .reads = TL_READS_NOTHING};
  if (!st) st = tl_work_commit(&work, &commit, err);
  tl_buf_deinit(&names);
  tl_fields_deinit(&more);
  tl_work_deinit(&work);
  return st;
}

tl_status tl_relation_add_columns(tl_relation *relation, const char *columns, tl_changed *out, tl_error *err) {
  return tl_ops_attempts(relation, add_columns, columns, out, err);
}

typedef struct property_request {
  const tl_pair *pairs;
  size_t count;
} property_request;

static bool changes(const tl_snapshot *snapshot, const tl_pair *pair) {
  const char *has = tl_snapshot_property(snapshot, pair->key);
  return has && pair->value ? strcmp(has, pair->value) != 0 : has != pair->value;
}

static tl_status set_properties(tl_relation *relation, const void *argument, tl_changed *changed, tl_error *err) {
  const property_request *request = argument;
  tl_work work = {0};
  tl_sql order = {.err = err};
  tl_buf json = {0};
  size_t different = 0;
  tl_status st = tl_work_begin(&work, relation, NULL, changed, err);
  for (size_t i = 0; !st && i < request->count; i++) {
    const tl_pair *pair = &request->pairs[i];
    if (tl_ops_own_property(pair->key)) st = tl_fail(err, TL_EUSAGE, "property '%s' says how the table is made and cannot be set", pair->key);
    else if (!strcmp(pair->key, "ticklake.sort") && pair->value) st = tl_ops_order(pair->value, &work.fields, true, &order, err);
    if (!st) different += changes(work.snapshot, pair);
    if (!st) st = tl_buf_appends(&json, i ? "," : "{", err);
    if (!st) st = tl_buf_append_json(&json, pair->key, strlen(pair->key), err);
    if (!st) st = tl_buf_appends(&json, ":", err);
    if (!st) st = pair->value ? tl_buf_append_json(&json, pair->value, strlen(pair->value), err) : tl_buf_appends(&json, "null", err);
  }
  if (!st) st = tl_buf_appends(&json, request->count ? "}" : "{}", err);
  tl_pair parameters[] = {{(char *)(uintptr_t) "properties", json.data}};
  tl_commit commit = {.operation = "SET TBLPROPERTIES", .parameters = parameters, .parameter_count = 1, .reads = TL_READS_NOTHING,
                      .properties = request->pairs, .property_count = different ? request->count : 0};
  if (!st) st = tl_work_commit(&work, &commit, err);
  tl_sql_deinit(&order);
  tl_buf_deinit(&json);
  tl_work_deinit(&work);
  return st;
}

tl_status tl_relation_set_properties(tl_relation *relation, const tl_pair *properties, size_t count, tl_changed *out, tl_error *err) {
  return tl_ops_attempts(relation, set_properties, &(property_request){properties, count}, out, err);
}

/* ---- restore ---- */

static tl_status check_there(tl_relation *relation, const tl_data_file *file, tl_error *err) {
  tl_store_info info;
  if (strstr(file->path, "://") || file->path[0] == '/') return TL_OK; /* elsewhere: not ours to vacuum */
  tl_status st = tl_store_stat(relation->store, file->path, &info, err);
  if (st == TL_ENOTFOUND) return tl_fail(err, st, "cannot restore: '%s' is gone, a vacuum took it", file->path);
  if (!st && info.size_bytes != file->size_bytes) return tl_fail(err, TL_ECORRUPT, "cannot restore: '%s' is not as long as the log says", file->path);
  return st;
}

/* The file as it was, with what its log said of it, by today's columns (old ones keep their place). */
static tl_status add_old(tl_relation *relation, const tl_snapshot *then, size_t at, tl_data_file *add, const tl_fields *fields, tl_error *err) {
  const tl_data_file *file = &then->files[at];
  tl_file_stats stats = {0};
  *add = *file;
  add->raw = NULL;
  add->version = 0;
  add->stats = (tl_file_stats){0};
  tl_status st = check_there(relation, file, err);
  if (!st) st = tl_snapshot_stats(then, at, &stats, err);
  if (!st) st = tl_file_stats_init(&add->stats, fields->count, err);
  for (size_t i = 0; !st && i < fields->count && i < stats.count; i++) {
    tl_column_bounds none = add->stats.columns[i];
    if (i >= then->fields.count || strcmp(then->fields.items[i].name, fields->items[i].name) != 0 || then->fields.items[i].type != fields->items[i].type) continue;
    add->stats.columns[i] = stats.columns[i];
    stats.columns[i] = none; /* moved */
  }
  tl_file_stats_deinit(&stats);
  return st;
}

static tl_status restore_edit(tl_relation *relation, const tl_snapshot *then, tl_data_file *adds, const char **removes, tl_changed *changed, tl_error *err) {
  const tl_snapshot *now = relation->faces[0].snapshot;
  size_t t = 0, n = 0;
  tl_status st = TL_OK;
  while (!st && (t < then->file_count || n < now->file_count)) {
    int order = t == then->file_count ? 1 : n == now->file_count ? -1 : strcmp(then->files[t].path, now->files[n].path);
    if (order < 0) {
      changed->rows_inserted += then->files[t].rows > 0 ? then->files[t].rows : 0;
      changed->bytes_added += then->files[t].size_bytes;
      st = add_old(relation, then, t, &adds[changed->files_added++], &now->fields, err);
    } else if (order > 0) {
      changed->rows_deleted += now->files[n].rows > 0 ? now->files[n].rows : 0;
      changed->bytes_removed += now->files[n].size_bytes;
      removes[changed->files_removed++] = now->files[n].path;
    }
    t += order <= 0;
    n += order >= 0;
  }
  return st;
}

static bool same_partitioning(const tl_snapshot *a, const tl_snapshot *b) {
  bool same = a->partitioning.count == b->partitioning.count;
  for (size_t i = 0; same && i < a->partitioning.count; i++)
    same = a->partitioning.items[i].transform == b->partitioning.items[i].transform && !strcmp(a->partitioning.items[i].name, b->partitioning.items[i].name);
  return same;
}

static const tl_field *then_field(const tl_snapshot *then, const tl_field *field, bool by_id) {
  for (size_t i = 0; i < then->fields.count; i++)
    if (by_id ? then->fields.items[i].id == field->id : !strcmp(then->fields.items[i].name, field->name)) return &then->fields.items[i];
  return NULL;
}

static tl_status type_changed(const tl_snapshot *then, const tl_field *was, const tl_field *is, tl_error *err) {
  tl_buf old = {0}, now = {0};
  const char *format = then->format->name;
  tl_status st = tl_field_sql_type(was, &old, err);
  if (!st) st = tl_field_sql_type(is, &now, err);
  if (!st)
    st = tl_fail(err, TL_EUSAGE, "cannot restore: column '%s' was %s then and is %s now, which the old files are not; put its rows back instead: "
                 "ticklake table replace URI --where true --from \"from %s('URI', %s => %lld)\"", is->name, old.data, now.data, format,
                 strcmp(format, "delta") ? "snapshot" : "version", (long long)then->version);
  tl_buf_deinit(&old);
  tl_buf_deinit(&now);
  return st;
}

/* A restore brings files back, not columns: today's must be able to read them. Iceberg reads a narrower type as the wider one,
 * and knows columns by id; Delta, without column mapping and type widening, does and has neither. */
static tl_status check_columns(const tl_relation *relation, const tl_snapshot *then, const tl_snapshot *now, tl_error *err) {
  bool iceberg = relation->face_count == 1 && !strcmp(now->format->name, "iceberg");
  size_t found = 0;
  for (size_t i = 0; i < now->fields.count; i++) {
    const tl_field *is = &now->fields.items[i], *was = then_field(then, is, iceberg);
    bool list = is->type == TL_FIELD_LIST;
    found += was != NULL;
    if (!is->nullable && (!was || was->nullable)) return tl_fail(err, TL_EUSAGE, "cannot restore: column '%s' is NOT NULL now, and had NULLs then", is->name);
    if (!was) continue;
    bool same = was->type == is->type && (!list || was->element == is->element) &&
                ((list ? is->element : is->type) != TL_FIELD_DECIMAL || (was->precision == is->precision && was->scale == is->scale));
    if (!same && !(iceberg && tl_iceberg_promotes(was, is))) return type_changed(then, was, is, err);
  }
  for (size_t i = 0; i < then->fields.count && found < then->fields.count; i++) {
    const tl_field *was = &then->fields.items[i];
    if (!then_field(now, was, iceberg))
      return tl_fail(err, TL_EUSAGE, "cannot restore: the table has no column '%s' any more; add it again, and put the rows back with ticklake table replace", was->name);
  }
  return TL_OK;
}

static tl_status restore(tl_relation *relation, const void *argument, tl_changed *changed, tl_error *err) {
  const tl_at *at = argument;
  tl_face *face = &relation->faces[0];
  tl_snapshot *then = NULL;
  tl_data_file *adds = NULL;
  const char **removes = NULL;
  tl_committed done = {0};
  tl_status st = tl_relation_may_write(relation, err);
  if (!st) st = face->format->load(face->log, *at, &then, err);
  if (!st && !same_partitioning(then, face->snapshot)) st = tl_fail(err, TL_EUSAGE, "cannot restore: the table was partitioned differently then");
  if (!st) st = check_columns(relation, then, face->snapshot, err);
  if (!st && (!(adds = tl_calloc(then->file_count + 1, sizeof *adds)) || !(removes = tl_calloc(face->snapshot->file_count + 1, sizeof *removes))))
    st = tl_fail(err, TL_ENOMEM, "cannot plan a restore");
  if (!st) st = restore_edit(relation, then, adds, removes, changed, err);
  char version[24] = "";
  if (!st) snprintf(version, sizeof version, "%lld", (long long)then->version);
  tl_pair parameters[] = {{(char *)(uintptr_t) "version", version}};
  tl_edit edit = {.operation = "RESTORE", .parameters = parameters, .parameter_count = 1, .removes = removes, .remove_count = (size_t)changed->files_removed,
                  .adds = adds, .add_count = (size_t)changed->files_added, .data_change = true, .reads = TL_READS_ALL};
  if (!st && (edit.add_count || edit.remove_count)) {
    st = tl_faces_commit(relation, &edit, &done, err);
    changed->version = st ? -1 : done.version;
    changed->sequence = done.sequence;
    changed->attempts += done.attempts;
  }
  for (int64_t i = 0; adds && i < changed->files_added; i++) tl_file_stats_deinit(&adds[i].stats);
  tl_free(adds);
  tl_free(removes);
  tl_snapshot_close(then);
  return st;
}

tl_status tl_relation_restore(tl_relation *relation, tl_at at, tl_changed *out, tl_error *err) {
  return tl_ops_attempts(relation, restore, &at, out, err);
}

/* ---- logs ---- */

tl_status tl_relation_checkpoint(tl_relation *relation, tl_error *err) {
  tl_status st = tl_relation_may_write(relation, err);
  for (size_t i = 0; !st && i < relation->face_count; i++)
    st = relation->faces[i].format->checkpoint(relation->faces[i].log, relation->faces[i].snapshot, err);
  return st ? st : tl_relation_refresh(relation, err);
}

tl_status tl_ops_may_forget(const tl_relation *relation, tl_error *err) {
  for (size_t i = 0; i < relation->face_count; i++) {
    const char *word = tl_snapshot_property(relation->faces[i].snapshot, "gc.enabled");
    if (word && !strcasecmp(word, "false"))
      return tl_fail(err, TL_EUSAGE, "cannot delete files of '%s': its property gc.enabled forbids it, for other tables may share them", tl_store_uri(relation->store));
  }
  return TL_OK;
}

tl_status tl_relation_expire(tl_relation *relation, int64_t before_ms, int keep_min, bool dry_run, tl_expired *out, tl_error *err) {
  tl_status st = tl_relation_may_write(relation, err);
  if (!st) st = tl_ops_may_forget(relation, err);
  *out = (tl_expired){0};
  for (size_t i = 0; !st && i < relation->face_count; i++) {
    tl_expired part = {0};
    st = relation->faces[i].format->expire(relation->faces[i].log, before_ms, keep_min, dry_run, &part, err);
    out->versions += part.versions;
    out->files += part.files;
    out->bytes += part.bytes;
  }
  return st || dry_run ? st : tl_relation_refresh(relation, err);
}
