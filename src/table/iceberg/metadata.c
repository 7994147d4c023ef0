/* metadata.c - reading the metadata file; see metadata.h. */
#include "table/iceberg/metadata.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "market/number.h"

static const size_t bytes_max = (size_t)1 << 30;

typedef struct parser { /* the sticky first failure */
  const char *what;
  tl_status status;
  tl_error *err;
} parser;

static void wrong(parser *p, const char *how) {
  if (!p->status) p->status = tl_fail(p->err, TL_ECORRUPT, "'%s' is no sound Iceberg metadata: %s", p->what, how);
}

static bool whole_number(const tl_json_value *value, int64_t *out) {
  tl_text text;
  return tl_json_number(value, &text) && tl_number_i64(text.data, text.len, out) == TL_NUMBER_OK;
}

/* A member that may be missing or null. */
static int64_t number_or(parser *p, const tl_json_value *object, const char *key, int64_t missing) {
  const tl_json_value *value = tl_json_get(object, key);
  int64_t number = missing;
  if (tl_json_type_of(value) == TL_JSON_NONE || tl_json_type_of(value) == TL_JSON_NULL) return missing;
  if (!whole_number(value, &number)) wrong(p, key);
  return number;
}

static int id_or(parser *p, const tl_json_value *object, const char *key, int missing) {
  int64_t number = number_or(p, object, key, missing);
  if (number == missing) return missing;
  if (number < 0 || number > INT32_MAX) wrong(p, key);
  return (int)number;
}

static tl_text text_or(parser *p, const tl_json_value *object, const char *key, const char *missing) {
  tl_text text = tl_text_from(missing);
  const tl_json_value *value = tl_json_get(object, key);
  tl_json_type type = tl_json_type_of(value);
  if (type == TL_JSON_NONE || type == TL_JSON_NULL) return text;
  if (!tl_json_string(value, &text) || memchr(text.data, 0, text.len)) wrong(p, key);
  return text;
}

static void *array_of(parser *p, size_t count, size_t size) {
  void *items = tl_calloc(count ? count : 1, size);
  if (!items && !p->status) p->status = tl_fail(p->err, TL_ENOMEM, "cannot hold '%s'", p->what);
  return items;
}

/* ---- schemas and specs ---- */

static void parse_schemas(parser *p, tl_iceberg_metadata *m, const tl_json_value *root) {
  const tl_json_value *list = tl_json_get(root, "schemas"), *one = tl_json_get(root, "schema"), *value;
  bool many = tl_json_count(list) > 0;
  if (!many && tl_json_type_of(one) != TL_JSON_OBJECT) wrong(p, "it has no schema");
  if (p->status || !(m->schemas = array_of(p, tl_json_count(list), sizeof *m->schemas))) return;
  tl_json_iter iter = tl_json_iter_of(list);
  while (!p->status && (many ? tl_json_iter_next(&iter, NULL, &value) : (value = one) != NULL)) {
    tl_iceberg_schema *schema = &m->schemas[m->schema_count];
    tl_status st = tl_iceberg_fields_parse(value, &schema->fields, p->err);
    if (st) {
      p->status = tl_fail_within(p->err, st, "cannot read '%s'", p->what);
      return;
    }
    m->schema_count++;
    schema->json = value;
    schema->id = id_or(p, value, "schema-id", 0);
    if (!many) break;
  }
  m->current_schema_id = many ? id_or(p, root, "current-schema-id", 0) : m->schemas[0].id;
  if (!p->status && !tl_iceberg_find_schema(m, m->current_schema_id)) wrong(p, "its current schema is not among its schemas");
  m->last_column_id = id_or(p, root, "last-column-id", 0);
  for (size_t i = 0; i < m->schema_count; i++)
    if (m->schemas[i].fields.last_id > m->last_column_id) m->last_column_id = m->schemas[i].fields.last_id;
}

static void parse_spec_fields(parser *p, tl_iceberg_spec *spec, const tl_json_value *fields) {
  const tl_json_value *field;
  int next_id = 1000; /* of version 1, which may leave them out */
  if (!(spec->fields.items = array_of(p, tl_json_count(fields), sizeof *spec->fields.items))) return;
  for (tl_json_iter iter = tl_json_iter_of(fields); !p->status && tl_json_iter_next(&iter, NULL, &field);) {
    tl_partition_field *to = &spec->fields.items[spec->fields.count];
    tl_text name = text_or(p, field, "name", "");
    if (p->status) return;
    to->name = tl_strndup(name.data, name.len);
    if (!to->name) {
      p->status = tl_fail(p->err, TL_ENOMEM, "cannot hold '%s'", p->what);
      return;
    }
    spec->fields.count++;
    tl_iceberg_transform_parse(text_or(p, field, "transform", ""), to);
    to->source = id_or(p, field, "source-id", -1);
    to->column = -1;
    to->id = id_or(p, field, "field-id", next_id);
    next_id = to->id + 1;
    if (!name.len || to->source < 0) wrong(p, "a partition field lacks its name or source");
  }
}

static void parse_specs(parser *p, tl_iceberg_metadata *m, const tl_json_value *root) {
  const tl_json_value *list = tl_json_get(root, "partition-specs"), *value;
  bool many = tl_json_count(list) > 0;
  if (p->status || !(m->specs = array_of(p, tl_json_count(list), sizeof *m->specs))) return;
  if (!many) parse_spec_fields(p, &m->specs[m->spec_count++], tl_json_get(root, "partition-spec"));
  for (tl_json_iter iter = tl_json_iter_of(list); many && !p->status && tl_json_iter_next(&iter, NULL, &value);) {
    tl_iceberg_spec *spec = &m->specs[m->spec_count++];
    spec->id = id_or(p, value, "spec-id", 0);
    parse_spec_fields(p, spec, tl_json_get(value, "fields"));
  }
  m->default_spec_id = many ? id_or(p, root, "default-spec-id", 0) : 0;
  if (!p->status && !tl_iceberg_find_spec(m, m->default_spec_id)) wrong(p, "its default partition spec is not among its specs");
  m->last_partition_id = id_or(p, root, "last-partition-id", 999);
}

/* ---- snapshots ---- */

static void parse_snap(parser *p, tl_iceberg_metadata *m, const tl_json_value *value) {
  tl_iceberg_snap *snap = &m->snaps[m->snap_count++];
  *snap = (tl_iceberg_snap){.id = number_or(p, value, "snapshot-id", -1),
                            .parent = number_or(p, value, "parent-snapshot-id", -1),
                            .sequence = number_or(p, value, "sequence-number", 0),
                            .timestamp_ms = number_or(p, value, "timestamp-ms", 0),
                            .schema_id = id_or(p, value, "schema-id", -1),
                            .manifest_list = text_or(p, value, "manifest-list", ""),
                            .summary = tl_json_get(value, "summary"),
                            .json = value};
  if (snap->id < 0 || snap->parent < -1 || snap->sequence < 0) wrong(p, "a snapshot has no id");
  if (!p->status && !snap->manifest_list.len && tl_json_get(value, "manifests"))
    p->status = tl_fail(p->err, TL_EUSAGE, "'%s' has snapshots without a manifest list, which only old writers made: it cannot be read", p->what);
  if (!snap->manifest_list.len) wrong(p, "a snapshot has no manifest list");
}

static void parse_snaps(parser *p, tl_iceberg_metadata *m, const tl_json_value *root) {
  const tl_json_value *list = tl_json_get(root, "snapshots"), *log = tl_json_get(root, "snapshot-log"), *value;
  if (p->status || !(m->snaps = array_of(p, tl_json_count(list), sizeof *m->snaps))) return;
  for (tl_json_iter iter = tl_json_iter_of(list); !p->status && tl_json_iter_next(&iter, NULL, &value);) parse_snap(p, m, value);
  m->current = number_or(p, root, "current-snapshot-id", -1);
  if (m->current < 0) m->current = -1; /* absent, null and -1 say the same */
  if (!p->status && m->current >= 0 && !tl_iceberg_find_snap(m, m->current)) wrong(p, "its current snapshot is not among its snapshots");
  if (p->status || !(m->log = array_of(p, tl_json_count(log), sizeof *m->log))) return;
  for (tl_json_iter iter = tl_json_iter_of(log); !p->status && tl_json_iter_next(&iter, NULL, &value);)
    m->log[m->log_count++] = (tl_iceberg_log_entry){number_or(p, value, "snapshot-id", -1), number_or(p, value, "timestamp-ms", 0)};
}

static void parse_properties(parser *p, tl_iceberg_metadata *m, const tl_json_value *root) {
  const tl_json_value *object = tl_json_get(root, "properties"), *value;
  tl_text key, text;
  if (p->status || !(m->properties = array_of(p, tl_json_count(object), sizeof *m->properties))) return;
  for (tl_json_iter iter = tl_json_iter_of(object); !p->status && tl_json_iter_next(&iter, &key, &value);) {
    if (!iter.is_object || !tl_json_string(value, &text) || memchr(text.data, 0, text.len) || memchr(key.data, 0, key.len)) {
      wrong(p, "a property is no text");
      return;
    }
    tl_pair *pair = &m->properties[m->property_count++];
    pair->key = tl_strndup(key.data, key.len);
    pair->value = tl_strndup(text.data, text.len);
    if (!pair->key || !pair->value) p->status = tl_fail(p->err, TL_ENOMEM, "cannot hold '%s'", p->what);
  }
}

/* ---- all ---- */

static void parse(parser *p, tl_iceberg_metadata *m) {
  const tl_json_value *root = tl_json_root(m->json);
  if (tl_json_type_of(root) != TL_JSON_OBJECT) wrong(p, "it is no object");
  m->format_version = id_or(p, root, "format-version", 0);
  if (p->status) return;
  if (m->format_version < 1) {
    wrong(p, "it has no format-version");
    return;
  }
  if (m->format_version > 2) {
    p->status = tl_fail(p->err, TL_EUSAGE, "'%s' is Iceberg of format version %d: versions 1 and 2 are supported", p->what, m->format_version);
    return;
  }
  m->uuid = text_or(p, root, "table-uuid", "");
  m->location = text_or(p, root, "location", "");
  while (m->location.len > 1 && m->location.data[m->location.len - 1] == '/') m->location.len--;
  if (!m->location.len) wrong(p, "it has no location");
  m->last_sequence = number_or(p, root, "last-sequence-number", 0);
  m->last_updated_ms = number_or(p, root, "last-updated-ms", 0);
  m->default_sort_order_id = id_or(p, root, "default-sort-order-id", 0);
  if (m->last_sequence < 0 || m->last_sequence == INT64_MAX || m->last_updated_ms > INT64_MAX / 2) wrong(p, "its numbers are out of range");
  parse_schemas(p, m, root);
  parse_specs(p, m, root);
  parse_snaps(p, m, root);
  parse_properties(p, m, root);
}

tl_status tl_iceberg_metadata_parse(const char *what, const char *data, size_t len, tl_iceberg_metadata **out, tl_error *err) {
  tl_iceberg_metadata *m = tl_calloc(1, sizeof *m);
  parser p = {.what = what, .err = err};
  if (!m) return tl_fail(err, TL_ENOMEM, "cannot hold '%s'", what);
  p.status = tl_json_open(data, len, bytes_max, &m->json, err);
  if (p.status == TL_EDECODE) p.status = tl_fail_within(err, TL_ECORRUPT, "'%s' is no sound Iceberg metadata", what);
  else if (p.status) tl_fail_within(err, p.status, "cannot read '%s'", what);
  if (!p.status) parse(&p, m);
  if (p.status) tl_iceberg_metadata_close(m);
  else *out = m;
  return p.status;
}

void tl_iceberg_metadata_close(tl_iceberg_metadata *m) {
  if (!m) return;
  for (size_t i = 0; i < m->schema_count; i++) tl_fields_deinit(&m->schemas[i].fields);
  for (size_t i = 0; i < m->spec_count; i++) tl_partitioning_deinit(&m->specs[i].fields);
  for (size_t i = 0; i < m->property_count; i++) {
    tl_free(m->properties[i].key);
    tl_free(m->properties[i].value);
  }
  tl_free(m->schemas);
  tl_free(m->specs);
  tl_free(m->snaps);
  tl_free(m->log);
  tl_free(m->properties);
  tl_json_close(m->json);
  tl_free(m);
}

const tl_iceberg_schema *tl_iceberg_find_schema(const tl_iceberg_metadata *m, int id) {
  for (size_t i = 0; i < m->schema_count; i++)
    if (m->schemas[i].id == id) return &m->schemas[i];
  return NULL;
}

const tl_iceberg_spec *tl_iceberg_find_spec(const tl_iceberg_metadata *m, int id) {
  for (size_t i = 0; i < m->spec_count; i++)
    if (m->specs[i].id == id) return &m->specs[i];
  return NULL;
}

const tl_iceberg_snap *tl_iceberg_find_snap(const tl_iceberg_metadata *m, int64_t id) {
  for (size_t i = m->snap_count; i > 0; i--) /* the newest is asked for most */
    if (m->snaps[i - 1].id == id) return &m->snaps[i - 1];
  return NULL;
}

const char *tl_iceberg_property(const tl_iceberg_metadata *m, const char *key) {
  for (size_t i = 0; i < m->property_count; i++)
    if (!strcmp(m->properties[i].key, key)) return m->properties[i].value;
  return NULL;
}

tl_status tl_iceberg_partitioning(const tl_iceberg_spec *spec, const tl_fields *fields, tl_partitioning *out, tl_error *err) {
  tl_status st = tl_partitioning_copy(&spec->fields, out, err);
  for (size_t i = 0; !st && i < out->count; i++) {
    tl_partition_field *field = &out->items[i];
    int index = -1;
    for (size_t k = 0; k < fields->count; k++)
      if (fields->items[k].id == field->source) index = (int)k;
    field->source = index;
    if (index < 0 || tl_iceberg_result(field, &fields->items[index]).type == TL_FIELD_OTHER) field->transform = TL_TRANSFORM_OTHER;
    field->column = field->transform == TL_TRANSFORM_IDENTITY ? index : -1;
  }
  return st;
}
