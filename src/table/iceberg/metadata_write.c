/* metadata_write.c - new metadata: a table's first, and the next after a change; see metadata.h. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "market/number.h"
#include "table/iceberg/metadata.h"

enum { LOG_MAX = 100, PARTITION_ID_FIRST = 1000 };

/* ---- schemas ---- */

void tl_iceberg_fields_number(tl_fields *fields) {
  for (size_t i = 0; i < fields->count; i++) {
    if (fields->items[i].id > fields->last_id) fields->last_id = fields->items[i].id;
    if (fields->items[i].element_id > fields->last_id) fields->last_id = fields->items[i].element_id;
  }
  for (size_t i = 0; i < fields->count; i++) {
    tl_field *f = &fields->items[i];
    if (f->id == 0) f->id = ++fields->last_id;
    if (f->type == TL_FIELD_LIST && f->element_id == 0) f->element_id = ++fields->last_id;
  }
}

static const tl_json_value *field_json(const tl_iceberg_schema *schema, int id) {
  const tl_json_value *field;
  tl_text text;
  int64_t number;
  if (!schema) return NULL;
  for (tl_json_iter iter = tl_json_iter_of(tl_json_get(schema->json, "fields")); tl_json_iter_next(&iter, NULL, &field);)
    if (tl_json_number(tl_json_get(field, "id"), &text) && !tl_number_i64(text.data, text.len, &number) && number == id) return field;
  return NULL;
}

static const tl_field *field_by_id(const tl_fields *fields, int id) {
  for (size_t i = 0; i < fields->count; i++)
    if (fields->items[i].id == id) return &fields->items[i];
  return NULL;
}

static bool same_type(const tl_field *a, const tl_field *b) {
  return a->type == b->type && a->element == b->element && a->precision == b->precision && a->scale == b->scale;
}

/* A field that was there keeps its members; what changed is written anew. */
static void put_old_field(tl_json_writer *w, const tl_json_value *json, const tl_field *old, const tl_field *now) {
  const tl_json_value *value;
  tl_text key;
  char name[64];
  tl_json_put_object(w, NULL);
  for (tl_json_iter iter = tl_json_iter_of(json); tl_json_iter_next(&iter, &key, &value);) {
    if (key.len >= sizeof name || memchr(key.data, 0, key.len)) continue;
    memcpy(name, key.data, key.len);
    name[key.len] = 0;
    if (!strcmp(name, "name")) tl_json_put_string(w, name, now->name);
    else if (!strcmp(name, "required")) tl_json_put_bool(w, name, !now->nullable);
    else if (!strcmp(name, "type") && !same_type(old, now)) tl_iceberg_put_type(w, now);
    else tl_json_put_value(w, name, value);
  }
  tl_json_put_close(w);
}

void tl_iceberg_put_schema(tl_json_writer *w, const char *key, const tl_iceberg_schema *old, const tl_fields *fields, int id) {
  tl_json_put_object(w, key);
  tl_json_put_string(w, "type", "struct");
  tl_json_put_i64(w, "schema-id", id);
  tl_json_put_array(w, "fields");
  for (size_t i = 0; i < fields->count; i++) {
    const tl_field *f = &fields->items[i], *was = old ? field_by_id(&old->fields, f->id) : NULL;
    if (was) put_old_field(w, field_json(old, f->id), was, f);
    else tl_iceberg_put_field(w, f);
  }
  tl_json_put_close(w);
  if (old && tl_json_get(old->json, "identifier-field-ids"))
    tl_json_put_value(w, "identifier-field-ids", tl_json_get(old->json, "identifier-field-ids"));
  tl_json_put_close(w);
}

tl_status tl_iceberg_evolves(const tl_iceberg_metadata *m, const tl_fields *fields, tl_error *err) {
  const tl_fields *old = &tl_iceberg_find_schema(m, m->current_schema_id)->fields;
  if (fields->count < old->count) return tl_fail(err, TL_EUSAGE, "columns cannot be dropped from the table");
  for (size_t i = 0; i < fields->count; i++) {
    const tl_field *now = &fields->items[i];
    if (i >= old->count) {
      if (!now->nullable) return tl_fail(err, TL_EUSAGE, "column '%s' cannot be added as NOT NULL: rows that are there lack it", now->name);
      if (now->id <= m->last_column_id || (now->type == TL_FIELD_LIST && now->element_id <= m->last_column_id))
        return tl_fail(err, TL_ECONFLICT, "column '%s' has id %d, which another change of the schema has taken", now->name, now->id);
      continue;
    }
    const tl_field *was = &old->items[i];
    if (was->id != now->id || (was->type == TL_FIELD_LIST && was->element_id != now->element_id))
      return tl_fail(err, TL_EUSAGE, "column '%s' cannot take the place of '%s'", now->name, was->name);
    if (was->nullable && !now->nullable) return tl_fail(err, TL_EUSAGE, "column '%s' cannot become NOT NULL", now->name);
    if (!tl_iceberg_promotes(was, now)) return tl_fail(err, TL_EUSAGE, "column '%s' cannot change to this type", now->name);
  }
  return tl_iceberg_fields_check(fields, err);
}

/* ---- the name mapping: how files without ids are read ---- */

static bool mapping_knows(const tl_json_value *mapping, int id) {
  const tl_json_value *item;
  tl_text text;
  int64_t number;
  for (tl_json_iter iter = tl_json_iter_of(mapping); tl_json_iter_next(&iter, NULL, &item);)
    if (tl_json_number(tl_json_get(item, "field-id"), &text) && !tl_number_i64(text.data, text.len, &number) && number == id) return true;
  return false;
}

static void put_mapping(tl_json_writer *w, int id, const char *name) {
  tl_json_put_object(w, NULL);
  tl_json_put_i64(w, "field-id", id);
  tl_json_put_array(w, "names");
  tl_json_put_string(w, NULL, name);
  tl_json_put_close(w);
}

tl_status tl_iceberg_mapping(const char *old_mapping, const tl_fields *fields, tl_buf *out, tl_error *err) {
  tl_json *json = NULL;
  const tl_json_value *item, *old = NULL;
  if (old_mapping && tl_json_open(old_mapping, strlen(old_mapping), 0, &json, NULL) == TL_OK) old = tl_json_root(json);
  if (tl_json_type_of(old) != TL_JSON_ARRAY) old = NULL;
  tl_json_writer w = tl_json_writer_of(out, err);
  tl_json_put_array(&w, NULL);
  for (tl_json_iter iter = tl_json_iter_of(old); tl_json_iter_next(&iter, NULL, &item);) tl_json_put_value(&w, NULL, item);
  for (size_t i = 0; i < fields->count; i++) {
    const tl_field *f = &fields->items[i];
    if (mapping_knows(old, f->id)) continue;
    put_mapping(&w, f->id, f->name);
    if (f->type == TL_FIELD_LIST) {
      tl_json_put_array(&w, "fields");
      put_mapping(&w, f->element_id, "element");
      tl_json_put_close(&w);
      tl_json_put_close(&w);
    }
    tl_json_put_close(&w);
  }
  tl_json_put_close(&w);
  tl_json_close(json);
  return tl_json_writer_end(&w);
}

/* ---- a table's first metadata ---- */

tl_status tl_iceberg_put_spec(tl_json_writer *w, const char *key, const tl_fields *fields, const tl_partitioning *partitioning, tl_error *err) {
  char transform[32];
  tl_json_put_object(w, key);
  tl_json_put_i64(w, "spec-id", 0);
  tl_json_put_array(w, "fields");
  for (size_t i = 0; partitioning && i < partitioning->count; i++) {
    const tl_partition_field *f = &partitioning->items[i];
    assert(f->source >= 0 && (size_t)f->source < fields->count);
    const tl_field *source = &fields->items[f->source];
    if (tl_iceberg_result(f, source).type == TL_FIELD_OTHER)
      return tl_fail(err, TL_EUSAGE, "a table cannot be partitioned by %s of column '%s': its type has no such transform",
                     f->transform == TL_TRANSFORM_OTHER ? "an unknown transform" : tl_iceberg_transform_name(f, transform), source->name);
    tl_json_put_object(w, NULL);
    tl_json_put_string(w, "name", f->name);
    tl_json_put_string(w, "transform", tl_iceberg_transform_name(f, transform));
    tl_json_put_i64(w, "source-id", source->id);
    tl_json_put_i64(w, "field-id", f->id > 0 ? f->id : PARTITION_ID_FIRST + (int)i);
    tl_json_put_close(w);
  }
  tl_json_put_close(w);
  tl_json_put_close(w);
  return w->status;
}

static bool has_key(const tl_pair *pairs, size_t count, const char *key) {
  for (size_t i = 0; i < count; i++)
    if (!strcmp(pairs[i].key, key)) return true;
  return false;
}

static void put_default(tl_json_writer *w, const tl_iceberg_new *t, const char *key, const char *value) {
  if (value && !has_key(t->properties, t->property_count, key)) tl_json_put_string(w, key, value);
}

static void put_properties(tl_json_writer *w, const tl_iceberg_new *t, const char *mapping) {
  tl_json_put_object(w, "properties");
  /* Old metadata files are of no use to anyone once a hundred newer ones are there, and each is as large as all snapshots. */
  put_default(w, t, "write.metadata.delete-after-commit.enabled", "true");
  put_default(w, t, "write.metadata.previous-versions-max", "100");
  put_default(w, t, TL_ICEBERG_MAPPING, mapping);
  put_default(w, t, TL_ICEBERG_NAME, t->name);
  for (size_t i = 0; i < t->property_count; i++)
    if (t->properties[i].value) tl_json_put_string(w, t->properties[i].key, t->properties[i].value);
  tl_json_put_close(w);
}

tl_status tl_iceberg_metadata_create(const tl_iceberg_new *t, tl_buf *out, tl_error *err) {
  tl_buf mapping = {0};
  int last_partition_id = PARTITION_ID_FIRST - 1 + (int)(t->partitioning ? t->partitioning->count : 0);
  tl_status st = tl_iceberg_fields_check(t->fields, err);
  if (!st) st = tl_iceberg_mapping(NULL, t->fields, &mapping, err);
  if (st) goto done;
  for (size_t i = 0; t->partitioning && i < t->partitioning->count; i++)
    if (t->partitioning->items[i].id > last_partition_id) last_partition_id = t->partitioning->items[i].id;
  tl_json_writer w = tl_json_writer_of(out, err);
  tl_json_put_object(&w, NULL);
  tl_json_put_i64(&w, "format-version", 2);
  tl_json_put_string(&w, "table-uuid", t->uuid);
  tl_json_put_string(&w, "location", t->location);
  tl_json_put_i64(&w, "last-sequence-number", 0);
  tl_json_put_i64(&w, "last-updated-ms", t->now_ms);
  tl_json_put_i64(&w, "last-column-id", t->fields->last_id);
  tl_json_put_array(&w, "schemas");
  tl_iceberg_put_schema(&w, NULL, NULL, t->fields, 0);
  tl_json_put_close(&w);
  tl_json_put_i64(&w, "current-schema-id", 0);
  tl_json_put_array(&w, "partition-specs");
  st = tl_iceberg_put_spec(&w, NULL, t->fields, t->partitioning, err);
  if (st) goto done;
  tl_json_put_close(&w);
  tl_json_put_i64(&w, "default-spec-id", 0);
  tl_json_put_i64(&w, "last-partition-id", last_partition_id);
  tl_json_put_array(&w, "sort-orders");
  tl_json_put_object(&w, NULL);
  tl_json_put_i64(&w, "order-id", 0);
  tl_json_put_array(&w, "fields");
  tl_json_put_close(&w);
  tl_json_put_close(&w);
  tl_json_put_close(&w);
  tl_json_put_i64(&w, "default-sort-order-id", 0);
  put_properties(&w, t, mapping.data);
  tl_json_put_i64(&w, "current-snapshot-id", -1);
  tl_json_put_object(&w, "refs");
  tl_json_put_close(&w);
  tl_json_put_array(&w, "snapshots");
  tl_json_put_close(&w);
  tl_json_put_array(&w, "snapshot-log");
  tl_json_put_close(&w);
  tl_json_put_array(&w, "metadata-log");
  tl_json_put_close(&w);
  tl_json_put_close(&w);
  st = tl_json_writer_end(&w);
done:
  tl_buf_deinit(&mapping);
  return st;
}

/* ---- the next one ---- */

static const char *const rewritten[] = {"format-version", "last-sequence-number", "last-updated-ms", "last-column-id", "schemas",
                                        "current-schema-id", "properties", "current-snapshot-id", "refs", "snapshots", "snapshot-log",
                                        "metadata-log", "statistics", "partition-statistics"};

static bool is_rewritten(tl_text key) {
  for (size_t i = 0; i < sizeof rewritten / sizeof *rewritten; i++)
    if (tl_text_is(key, rewritten[i])) return true;
  return false;
}

static bool is_expired(const tl_iceberg_change *change, int64_t id) {
  for (size_t i = 0; i < change->expired_count; i++)
    if (change->expired[i] == id) return true;
  return false;
}

static bool number_of(const tl_json_value *value, const char *key, int64_t *out) {
  tl_text text;
  return tl_json_number(tl_json_get(value, key), &text) && !tl_number_i64(text.data, text.len, out);
}

static void put_schemas(tl_json_writer *w, const tl_iceberg_metadata *old, const tl_iceberg_change *change) {
  int id = old->current_schema_id, last_column_id = old->last_column_id;
  tl_json_put_array(w, "schemas");
  for (size_t i = 0; i < old->schema_count; i++) tl_json_put_value(w, NULL, old->schemas[i].json);
  if (change->fields) {
    for (size_t i = 0; i < old->schema_count; i++)
      if (old->schemas[i].id >= id) id = old->schemas[i].id + 1;
    tl_iceberg_put_schema(w, NULL, tl_iceberg_find_schema(old, old->current_schema_id), change->fields, id);
    if (change->fields->last_id > last_column_id) last_column_id = change->fields->last_id;
  }
  tl_json_put_close(w);
  tl_json_put_i64(w, "current-schema-id", id);
  tl_json_put_i64(w, "last-column-id", last_column_id);
}

void tl_iceberg_put_snapshot(tl_json_writer *w, const char *key, const tl_iceberg_added *a) {
  tl_json_put_object(w, key);
  tl_json_put_i64(w, "sequence-number", a->sequence);
  tl_json_put_i64(w, "snapshot-id", a->id);
  if (a->parent >= 0) tl_json_put_i64(w, "parent-snapshot-id", a->parent);
  tl_json_put_i64(w, "timestamp-ms", a->timestamp_ms);
  tl_json_put_object(w, "summary");
  for (size_t i = 0; i < a->summary_count; i++) tl_json_put_string(w, a->summary[i].key, a->summary[i].value);
  tl_json_put_close(w);
  tl_json_put_string(w, "manifest-list", a->manifest_list);
  tl_json_put_i64(w, "schema-id", a->schema_id);
  tl_json_put_close(w);
}

static void put_log_entry(tl_json_writer *w, int64_t id, int64_t timestamp_ms) {
  tl_json_put_object(w, NULL);
  tl_json_put_i64(w, "snapshot-id", id);
  tl_json_put_i64(w, "timestamp-ms", timestamp_ms);
  tl_json_put_close(w);
}

static void put_snapshots(tl_json_writer *w, const tl_iceberg_metadata *old, const tl_iceberg_change *change) {
  const tl_iceberg_added *added = change->added;
  size_t first = 0; /* of the log: what lies before a forgotten snapshot is history with a hole, and goes with it */
  tl_json_put_array(w, "snapshots");
  for (size_t i = 0; i < old->snap_count; i++)
    if (!is_expired(change, old->snaps[i].id)) tl_json_put_value(w, NULL, old->snaps[i].json);
  if (added) tl_iceberg_put_snapshot(w, NULL, added);
  tl_json_put_close(w);
  for (size_t i = 0; i < old->log_count; i++)
    if (is_expired(change, old->log[i].id)) first = i + 1;
  tl_json_put_array(w, "snapshot-log");
  for (size_t i = first; i < old->log_count; i++) put_log_entry(w, old->log[i].id, old->log[i].timestamp_ms);
  if (added) put_log_entry(w, added->id, added->timestamp_ms);
  tl_json_put_close(w);
}

static void put_member(tl_json_writer *w, tl_text key, const tl_json_value *value) {
  char name[256];
  if (key.len >= sizeof name || memchr(key.data, 0, key.len)) return; /* no name anybody writes */
  memcpy(name, key.data, key.len);
  name[key.len] = 0;
  tl_json_put_value(w, name, value);
}

/* refs.main must be the current snapshot; its retention, and other branches and tags, stay as they are. */
static void put_refs(tl_json_writer *w, const tl_iceberg_metadata *old, int64_t current) {
  const tl_json_value *refs = tl_json_get(tl_json_root(old->json), "refs"), *value, *main_ref = tl_json_get(refs, "main");
  tl_text key;
  tl_json_put_object(w, "refs");
  if (current >= 0) {
    tl_json_put_object(w, "main");
    tl_json_put_i64(w, "snapshot-id", current);
    tl_json_put_string(w, "type", "branch");
    for (tl_json_iter iter = tl_json_iter_of(main_ref); tl_json_iter_next(&iter, &key, &value);)
      if (iter.is_object && !tl_text_is(key, "snapshot-id") && !tl_text_is(key, "type")) put_member(w, key, value);
    tl_json_put_close(w);
  }
  for (tl_json_iter iter = tl_json_iter_of(refs); tl_json_iter_next(&iter, &key, &value);)
    if (iter.is_object && !tl_text_is(key, "main")) put_member(w, key, value);
  tl_json_put_close(w);
}

static void put_properties_next(tl_json_writer *w, const tl_iceberg_metadata *old, const tl_iceberg_change *change) {
  tl_json_put_object(w, "properties");
  for (size_t i = 0; i < old->property_count; i++)
    if (!has_key(change->properties, change->property_count, old->properties[i].key) && !has_key(old->properties, i, old->properties[i].key))
      tl_json_put_string(w, old->properties[i].key, old->properties[i].value);
  for (size_t i = 0; i < change->property_count; i++)
    if (change->properties[i].value && !has_key(change->properties + i + 1, change->property_count - i - 1, change->properties[i].key))
      tl_json_put_string(w, change->properties[i].key, change->properties[i].value); /* the last of equal keys counts */
  tl_json_put_close(w);
}

static size_t log_max(const tl_iceberg_metadata *old) {
  const char *text = tl_iceberg_property(old, "write.metadata.previous-versions-max");
  int64_t value = LOG_MAX;
  if (text && tl_number_i64(text, strlen(text), &value)) value = LOG_MAX;
  return value < 1 ? 1 : value > 100000 ? 100000 : (size_t)value;
}

static void put_metadata_log(tl_json_writer *w, const tl_iceberg_metadata *old, const char *previous) {
  const tl_json_value *log = tl_json_get(tl_json_root(old->json), "metadata-log"), *value;
  size_t count = tl_json_count(log), most = log_max(old), i = 0;
  tl_json_put_array(w, "metadata-log");
  for (tl_json_iter iter = tl_json_iter_of(log); tl_json_iter_next(&iter, NULL, &value); i++)
    if (!iter.is_object && i + most > count) tl_json_put_value(w, NULL, value);
  tl_json_put_object(w, NULL);
  tl_json_put_string(w, "metadata-file", previous);
  tl_json_put_i64(w, "timestamp-ms", old->last_updated_ms);
  tl_json_put_close(w);
  tl_json_put_close(w);
}

/* Statistics files of snapshots that are forgotten go with them. */
static void put_statistics(tl_json_writer *w, const char *key, const tl_iceberg_metadata *old, const tl_iceberg_change *change) {
  const tl_json_value *list = tl_json_get(tl_json_root(old->json), key), *value;
  int64_t id;
  if (tl_json_type_of(list) != TL_JSON_ARRAY) return;
  tl_json_put_array(w, key);
  for (tl_json_iter iter = tl_json_iter_of(list); tl_json_iter_next(&iter, NULL, &value);)
    if (!number_of(value, "snapshot-id", &id) || !is_expired(change, id)) tl_json_put_value(w, NULL, value);
  tl_json_put_close(w);
}

tl_status tl_iceberg_metadata_next(const tl_iceberg_metadata *old, const char *previous, const tl_iceberg_change *change, tl_buf *out,
                                   tl_error *err) {
  const tl_json_value *value;
  tl_text key;
  int64_t current = change->added ? change->added->id : old->current;
  tl_json_writer w = tl_json_writer_of(out, err);
  tl_json_put_object(&w, NULL);
  tl_json_put_i64(&w, "format-version", old->format_version);
  for (tl_json_iter iter = tl_json_iter_of(tl_json_root(old->json)); tl_json_iter_next(&iter, &key, &value);)
    if (!is_rewritten(key)) put_member(&w, key, value);
  tl_json_put_i64(&w, "last-sequence-number", change->added ? change->added->sequence : old->last_sequence);
  tl_json_put_i64(&w, "last-updated-ms", change->now_ms);
  put_schemas(&w, old, change);
  put_properties_next(&w, old, change);
  tl_json_put_i64(&w, "current-snapshot-id", current);
  put_refs(&w, old, current);
  put_snapshots(&w, old, change);
  put_metadata_log(&w, old, previous);
  put_statistics(&w, "statistics", old, change);
  put_statistics(&w, "partition-statistics", old, change);
  tl_json_put_close(&w);
  return tl_json_writer_end(&w);
}
