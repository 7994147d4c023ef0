/* Any bytes as the metadata file of an Iceberg table: refused with a reason, or read; then a change is written on top, and what
 * comes out is sound, holds the change, and has lost nothing. */
#include "base/alloc.h"
#include "table/iceberg/metadata.h"
#include "tests/fuzz/check.h"

static void resolve_all(const tl_iceberg_metadata *m) {
  for (size_t i = 0; i < m->schema_count; i++)
    for (size_t k = 0; k < m->spec_count; k++) {
      tl_partitioning p;
      check(!tl_iceberg_partitioning(&m->specs[k], &m->schemas[i].fields, &p, NULL), "a spec cannot be resolved");
      for (size_t f = 0; f < p.count; f++)
        check(p.items[f].source >= -1 && p.items[f].source < (int)m->schemas[i].fields.count, "a source outside the schema");
      tl_partitioning_deinit(&p);
    }
}

static bool has_snap(const tl_iceberg_metadata *m, int64_t id) { return tl_iceberg_find_snap(m, id) != NULL; }

static void check_next(const tl_iceberg_metadata *old, const tl_iceberg_metadata *now, bool expire, int64_t added) {
  check(now->current == added && has_snap(now, added), "the new snapshot is not there");
  check(now->snap_count == old->snap_count + 1 || expire, "a snapshot was lost");
  for (size_t i = 0; i < old->snap_count; i++)
    check(has_snap(now, old->snaps[i].id) || expire, "a snapshot was lost");
  check(tl_text_equal(old->uuid, now->uuid) && tl_text_equal(old->location, now->location), "the table is another");
  check(old->schema_count == now->schema_count && old->spec_count == now->spec_count, "a schema or spec was lost");
  check(old->current_schema_id == now->current_schema_id && old->last_column_id == now->last_column_id, "the schema is another");
  check(now->last_sequence == old->last_sequence + 1, "the sequence number did not grow by one");
  check(tl_iceberg_property(now, "fuzz") && !strcmp(tl_iceberg_property(now, "fuzz"), "1"), "the property is not set");
  for (size_t i = 0; i < old->property_count; i++) {
    const char *key = old->properties[i].key, *value = tl_iceberg_property(now, key);
    check(!strcmp(key, "fuzz") || (value && !strcmp(value, tl_iceberg_property(old, key))), "a property was lost");
  }
}

static void change(const tl_iceberg_metadata *old, bool expire) {
  int64_t added_id = 1;
  while (has_snap(old, added_id)) added_id++;
  const tl_pair summary = {(char *)(uintptr_t)"operation", (char *)(uintptr_t)"append"}, property = {(char *)(uintptr_t)"fuzz", (char *)(uintptr_t)"1"};
  const tl_iceberg_added added = {.id = added_id, .parent = old->current, .sequence = old->last_sequence + 1, .timestamp_ms = 5,
                                  .schema_id = old->current_schema_id, .manifest_list = "/t/metadata/l.avro", .summary = &summary, .summary_count = 1};
  const tl_iceberg_change next = {.added = &added, .properties = &property, .property_count = 1, .now_ms = 5,
                                  .expired = old->snap_count ? &old->snaps[0].id : NULL, .expired_count = expire && old->snap_count ? 1 : 0};
  tl_buf text = {0};
  tl_error err = {0};
  tl_iceberg_metadata *now = NULL;
  tl_status st = tl_iceberg_metadata_next(old, "/t/metadata/v1.metadata.json", &next, &text, &err);
  check(!st || (st == TL_ELIMIT && err.message[0]), "a change cannot be written");
  if (!st) {
    check(!tl_iceberg_metadata_parse("next", text.data, text.len, &now, &err), err.message);
    check_next(old, now, expire, added_id);
    tl_iceberg_metadata_close(now);
  }
  tl_buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tl_iceberg_metadata *m = NULL;
  tl_error err = {0};
  tl_status st = tl_iceberg_metadata_parse("m", (const char *)data, size, &m, &err);
  check(!st || (err.message[0] && (st == TL_ECORRUPT || st == TL_EUSAGE || st == TL_ELIMIT)), "a refusal of another kind");
  if (st) return 0;
  check(tl_iceberg_find_schema(m, m->current_schema_id) && tl_iceberg_find_spec(m, m->default_spec_id), "no current schema or spec");
  check(m->current == -1 || has_snap(m, m->current), "no current snapshot");
  if (m->schema_count * m->spec_count < 1000) resolve_all(m);
  if (m->last_sequence < INT64_MAX - 1) {
    change(m, false);
    change(m, true);
  }
  tl_iceberg_metadata_close(m);
  return 0;
}
