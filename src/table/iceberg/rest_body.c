/* rest_body.c - a change as requirements and updates of the REST protocol; see rest_catalog.h. */
#include <string.h>

#include "table/iceberg/rest_catalog.h"

static void requirement(tl_json_writer *w, const char *type) {
  tl_json_put_object(w, NULL);
  tl_json_put_string(w, "type", type);
}

static void update(tl_json_writer *w, const char *action) {
  tl_json_put_object(w, NULL);
  tl_json_put_string(w, "action", action);
}

static void put_requirements(tl_json_writer *w, const tl_iceberg_metadata *old, const tl_iceberg_change *change) {
  tl_json_put_array(w, "requirements");
  requirement(w, "assert-table-uuid");
  tl_json_put_bytes(w, "uuid", old->uuid.data, old->uuid.len);
  tl_json_put_close(w);
  requirement(w, "assert-ref-snapshot-id");
  tl_json_put_string(w, "ref", "main");
  if (old->current >= 0) tl_json_put_i64(w, "snapshot-id", old->current);
  else tl_json_put_null(w, "snapshot-id");
  tl_json_put_close(w);
  if (change->added || change->fields) { /* what was written was written for this schema and this spec */
    requirement(w, "assert-current-schema-id");
    tl_json_put_i64(w, "current-schema-id", old->current_schema_id);
    tl_json_put_close(w);
    requirement(w, "assert-default-spec-id");
    tl_json_put_i64(w, "default-spec-id", old->default_spec_id);
    tl_json_put_close(w);
  }
  if (change->fields) {
    requirement(w, "assert-last-assigned-field-id");
    tl_json_put_i64(w, "last-assigned-field-id", old->last_column_id);
    tl_json_put_close(w);
  }
  tl_json_put_close(w);
}

static void put_schema(tl_json_writer *w, const tl_iceberg_metadata *old, const tl_fields *fields) {
  update(w, "add-schema");
  int id = old->current_schema_id;
  for (size_t i = 0; i < old->schema_count; i++)
    if (old->schemas[i].id >= id) id = old->schemas[i].id + 1;
  tl_iceberg_put_schema(w, "schema", tl_iceberg_find_schema(old, old->current_schema_id), fields, id);
  tl_json_put_i64(w, "last-column-id", fields->last_id > old->last_column_id ? fields->last_id : old->last_column_id);
  tl_json_put_close(w);
  update(w, "set-current-schema");
  tl_json_put_i64(w, "schema-id", -1); /* the one just added */
  tl_json_put_close(w);
}

static void put_properties(tl_json_writer *w, const tl_iceberg_change *change) {
  size_t set = 0, removed = 0;
  for (size_t i = 0; i < change->property_count; i++) {
    if (change->properties[i].value) set++;
    else removed++;
  }
  if (set) {
    update(w, "set-properties");
    tl_json_put_object(w, "updates");
    for (size_t i = 0; i < change->property_count; i++)
      if (change->properties[i].value) tl_json_put_string(w, change->properties[i].key, change->properties[i].value);
    tl_json_put_close(w);
    tl_json_put_close(w);
  }
  if (!removed) return;
  update(w, "remove-properties");
  tl_json_put_array(w, "removals");
  for (size_t i = 0; i < change->property_count; i++)
    if (!change->properties[i].value) tl_json_put_string(w, NULL, change->properties[i].key);
  tl_json_put_close(w);
  tl_json_put_close(w);
}

static void put_snapshot(tl_json_writer *w, const tl_iceberg_added *added) {
  update(w, "add-snapshot");
  tl_iceberg_put_snapshot(w, "snapshot", added);
  tl_json_put_close(w);
  update(w, "set-snapshot-ref");
  tl_json_put_string(w, "ref-name", "main");
  tl_json_put_string(w, "type", "branch");
  tl_json_put_i64(w, "snapshot-id", added->id);
  tl_json_put_close(w);
}

tl_status tl_iceberg_rest_body(const tl_iceberg_metadata *old, const tl_iceberg_change *change, tl_buf *out, tl_error *err) {
  tl_json_writer w = tl_json_writer_of(out, err);
  tl_json_put_object(&w, NULL);
  put_requirements(&w, old, change);
  tl_json_put_array(&w, "updates");
  if (change->fields) put_schema(&w, old, change->fields);
  put_properties(&w, change);
  if (change->added) put_snapshot(&w, change->added);
  if (change->expired_count) {
    update(&w, "remove-snapshots");
    tl_json_put_array(&w, "snapshot-ids");
    for (size_t i = 0; i < change->expired_count; i++) tl_json_put_i64(&w, NULL, change->expired[i]);
    tl_json_put_close(&w);
    tl_json_put_close(&w);
  }
  tl_json_put_close(&w);
  tl_json_put_close(&w);
  return tl_json_writer_end(&w);
}
