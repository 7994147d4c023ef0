/* manifest_write.c - writing manifests; see manifest.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "table/iceberg/manifest.h"

/* ---- the Avro schema ---- */

/* Bytes that hold every unscaled value of so many digits (to 18). */
static int decimal_bytes(int precision) {
  int64_t greatest = 1;
  for (int i = 0; i < precision; i++) greatest *= 10;
  int bytes = 1;
  while (bytes < 8 && greatest - 1 > (INT64_C(1) << (8 * bytes - 1)) - 1) bytes++;
  return bytes;
}

static void put_avro_type(tl_json_writer *w, const tl_field *result) {
  char name[32];
  const char *plain = NULL;
  switch (result->type) {
    case TL_FIELD_BOOL: plain = "boolean"; break;
    case TL_FIELD_I32: plain = "int"; break;
    case TL_FIELD_I64: plain = "long"; break;
    case TL_FIELD_F32: plain = "float"; break;
    case TL_FIELD_F64: plain = "double"; break;
    case TL_FIELD_DATE:
    case TL_FIELD_TIMESTAMP:
    case TL_FIELD_TIMESTAMP_NTZ:
      tl_json_put_object(w, NULL);
      tl_json_put_string(w, "type", result->type == TL_FIELD_DATE ? "int" : "long");
      tl_json_put_string(w, "logicalType", result->type == TL_FIELD_DATE ? "date" : "timestamp-micros");
      if (result->type != TL_FIELD_DATE) tl_json_put_bool(w, "adjust-to-utc", result->type == TL_FIELD_TIMESTAMP);
      tl_json_put_close(w);
      return;
    case TL_FIELD_DECIMAL:
      snprintf(name, sizeof name, "decimal_%d_%d", result->precision, result->scale);
      tl_json_put_object(w, NULL);
      tl_json_put_string(w, "type", "fixed");
      tl_json_put_string(w, "name", name);
      tl_json_put_i64(w, "size", decimal_bytes(result->precision));
      tl_json_put_string(w, "logicalType", "decimal");
      tl_json_put_i64(w, "precision", result->precision);
      tl_json_put_i64(w, "scale", result->scale);
      tl_json_put_close(w);
      return;
    default: plain = "string";
  }
  tl_json_put_string(w, NULL, plain);
}

/* Avro's names are letters, digits and _; others become _xHH, as Java's writer has it. */
static tl_status avro_name(const char *name, tl_buf *out, tl_error *err) {
  tl_status st = TL_OK;
  for (const char *p = name; !st && *p; p++) {
    bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_', digit = *p >= '0' && *p <= '9';
    if (letter || (digit && p > name)) st = tl_buf_append(out, p, 1, err);
    else if (digit) st = tl_buf_appendf(out, err, "_%c", *p);
    else st = tl_buf_appendf(out, err, "_x%02X", (unsigned)(uint8_t)*p);
  }
  return st;
}

static tl_status partition_schema(const tl_manifest_spec *spec, tl_buf *out, tl_error *err) {
  tl_json_writer w = tl_json_writer_of(out, err);
  tl_buf name = {0};
  tl_status st = TL_OK;
  tl_json_put_object(&w, NULL);
  tl_json_put_string(&w, "type", "record");
  tl_json_put_string(&w, "name", "r102");
  tl_json_put_array(&w, "fields");
  for (size_t i = 0; !st && i < spec->count; i++) {
    tl_buf_clear(&name);
    st = avro_name(spec->fields[i].name, &name, err);
    tl_json_put_object(&w, NULL);
    tl_json_put_bytes(&w, "name", name.data, name.len);
    tl_json_put_array(&w, "type");
    tl_json_put_string(&w, NULL, "null");
    put_avro_type(&w, &spec->results[i]);
    tl_json_put_close(&w);
    tl_json_put_null(&w, "default");
    tl_json_put_i64(&w, "field-id", spec->fields[i].id);
    tl_json_put_close(&w);
  }
  tl_json_put_close(&w);
  tl_json_put_close(&w);
  tl_status written = tl_json_writer_end(&w);
  tl_buf_deinit(&name);
  return st ? st : written;
}

#define LONG_FIELD(name, id) "{\"name\":\"" name "\",\"type\":\"long\",\"field-id\":" #id "}"
#define OPTIONAL_FIELD(name, type, id) "{\"name\":\"" name "\",\"type\":[\"null\",\"" type "\"],\"default\":null,\"field-id\":" #id "}"
/* logicalType map: without it Spark and PyIceberg fail and DuckDB ends the process */
#define MAP_FIELD(name, type, id, key, value)                                                                              \
  "{\"name\":\"" name "\",\"type\":[\"null\",{\"type\":\"array\",\"logicalType\":\"map\",\"items\":{\"type\":\"record\",\"name\":\"k" #key \
  "_v" #value "\",\"fields\":[{\"name\":\"key\",\"type\":\"int\",\"field-id\":" #key "},{\"name\":\"value\",\"type\":\"" type             \
  "\",\"field-id\":" #value "}]}}],\"default\":null,\"field-id\":" #id "}"

static tl_status manifest_schema(const tl_manifest_spec *spec, tl_buf *out, tl_error *err) {
  tl_status st = tl_buf_appends(out,
    "{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":["
    "{\"name\":\"status\",\"type\":\"int\",\"field-id\":0}," OPTIONAL_FIELD("snapshot_id", "long", 1) ","
    OPTIONAL_FIELD("sequence_number", "long", 3) "," OPTIONAL_FIELD("file_sequence_number", "long", 4) ","
    "{\"name\":\"data_file\",\"field-id\":2,\"type\":{\"type\":\"record\",\"name\":\"r2\",\"fields\":["
    "{\"name\":\"content\",\"type\":\"int\",\"field-id\":134},"
    "{\"name\":\"file_path\",\"type\":\"string\",\"field-id\":100},"
    "{\"name\":\"file_format\",\"type\":\"string\",\"field-id\":101},"
    "{\"name\":\"partition\",\"field-id\":102,\"type\":", err);
  if (!st) st = partition_schema(spec, out, err);
  if (!st) st = tl_buf_appends(out,
    "}," LONG_FIELD("record_count", 103) "," LONG_FIELD("file_size_in_bytes", 104) ","
    MAP_FIELD("column_sizes", "long", 108, 117, 118) "," MAP_FIELD("value_counts", "long", 109, 119, 120) ","
    MAP_FIELD("null_value_counts", "long", 110, 121, 122) "," MAP_FIELD("nan_value_counts", "long", 137, 138, 139) ","
    MAP_FIELD("lower_bounds", "bytes", 125, 126, 127) "," MAP_FIELD("upper_bounds", "bytes", 128, 129, 130) ","
    "{\"name\":\"split_offsets\",\"type\":[\"null\",{\"type\":\"array\",\"items\":\"long\",\"element-id\":133}],\"default\":null,\"field-id\":132},"
    OPTIONAL_FIELD("sort_order_id", "int", 140) "]}}]}", err);
  return st;
}

/* The header's "partition-spec": the fields only. */
static tl_status spec_json(const tl_manifest_spec *spec, tl_buf *out, tl_error *err) {
  tl_json_writer w = tl_json_writer_of(out, err);
  char transform[32];
  tl_json_put_array(&w, NULL);
  for (size_t i = 0; i < spec->count; i++) {
    tl_json_put_object(&w, NULL);
    tl_json_put_string(&w, "name", spec->fields[i].name);
    tl_json_put_string(&w, "transform", tl_iceberg_transform_name(&spec->fields[i], transform));
    tl_json_put_i64(&w, "source-id", spec->fields[i].source); /* by id here: see tl_iceberg_spec */
    tl_json_put_i64(&w, "field-id", spec->fields[i].id);
    tl_json_put_close(&w);
  }
  tl_json_put_close(&w);
  return tl_json_writer_end(&w);
}

/* ---- the writer ---- */

static tl_status writer_alloc(tl_manifest_writer *w, tl_error *err) {
  size_t count = w->spec->count ? w->spec->count : 1;
  w->info.summaries = tl_calloc(count, sizeof *w->info.summaries);
  w->least = tl_calloc(count, sizeof *w->least);
  w->greatest = tl_calloc(count, sizeof *w->greatest);
  w->texts = tl_calloc(count * 2, sizeof *w->texts);
  if (!w->info.summaries || !w->least || !w->greatest || !w->texts) return tl_fail(err, TL_ENOMEM, "cannot write a manifest");
  w->info.summary_count = w->spec->count;
  for (size_t i = 0; i < w->spec->count; i++) w->least[i].null = w->greatest[i].null = true;
  return TL_OK;
}

tl_status tl_manifest_begin(tl_manifest_writer *w, const tl_manifest_spec *spec, const char *schema_json, int schema_id,
                            int64_t snapshot_id, const char sync[16], tl_error *err) {
  tl_buf avro_schema = {0}, fields = {0};
  char schema_text[16], spec_text[16];
  *w = (tl_manifest_writer){.spec = spec, .info = {.snapshot_id = snapshot_id, .spec_id = spec->id, .sequence = -1, .min_sequence = -1}};
  tl_status st = writer_alloc(w, err);
  if (!st) st = manifest_schema(spec, &avro_schema, err);
  if (!st) st = spec_json(spec, &fields, err);
  if (!st) {
    snprintf(schema_text, sizeof schema_text, "%d", schema_id);
    snprintf(spec_text, sizeof spec_text, "%d", spec->id);
    const tl_avro_pair meta[] = {{"schema", schema_json},          {"schema-id", schema_text}, {"partition-spec", fields.data},
                                 {"partition-spec-id", spec_text}, {"format-version", "2"},    {"content", "data"}};
    tl_avro_begin(&w->avro, &w->out, avro_schema.data, meta, sizeof meta / sizeof *meta, sync, true, err);
    st = w->avro.status;
  }
  tl_buf_deinit(&avro_schema);
  tl_buf_deinit(&fields);
  return st;
}

void tl_manifest_writer_deinit(tl_manifest_writer *w) {
  tl_buf_deinit(&w->avro.block);
  tl_buf_deinit(&w->out);
  if (w->texts)
    for (size_t i = 0; i < w->spec->count * 2; i++) tl_buf_deinit(&w->texts[i]);
  tl_free(w->texts);
  tl_free(w->least);
  tl_free(w->greatest);
  tl_manifest_info_deinit(&w->info);
  *w = (tl_manifest_writer){0};
}

static void put_value(tl_avro_writer *a, const tl_field *result, const tl_iceberg_value *value) {
  uint8_t bytes[8];
  tl_avro_put_long(a, value->null ? 0 : 1);
  if (value->null) return;
  switch (result->type) {
    case TL_FIELD_BOOL: tl_avro_put_boolean(a, value->i64 != 0); break;
    case TL_FIELD_F32: tl_avro_put_float(a, (float)value->f64); break;
    case TL_FIELD_F64: tl_avro_put_double(a, value->f64); break;
    case TL_FIELD_STRING: tl_avro_put_bytes(a, value->text.data, value->text.len); break;
    case TL_FIELD_DECIMAL: {
      size_t len = (size_t)decimal_bytes(result->precision);
      for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)((uint64_t)value->i64 >> (8 * (len - 1 - i)));
      tl_avro_put_fixed(a, bytes, len);
      break;
    }
    default: tl_avro_put_long(a, value->i64);
  }
}

typedef enum map_kind { MAP_SIZES, MAP_VALUES, MAP_NULLS, MAP_NANS, MAP_LOWER, MAP_UPPER, MAP_COUNT } map_kind;

static bool map_has(const tl_manifest_metric *m, map_kind kind, int64_t *count) {
  switch (kind) {
    case MAP_SIZES: *count = m->size_bytes; return *count >= 0;
    case MAP_VALUES: *count = m->values; return *count >= 0;
    case MAP_NULLS: *count = m->nulls; return *count >= 0;
    case MAP_NANS: *count = m->nans; return *count >= 0;
    case MAP_LOWER: return m->has_lower;
    default: return m->has_upper;
  }
}

static void put_map(tl_avro_writer *a, const tl_manifest_entry *entry, map_kind kind) {
  int64_t items = 0, count = 0;
  for (size_t i = 0; i < entry->metric_count; i++) items += map_has(&entry->metrics[i], kind, &count);
  tl_avro_put_long(a, items ? 1 : 0);
  if (!items) return;
  tl_avro_put_long(a, items);
  for (size_t i = 0; i < entry->metric_count; i++) {
    const tl_manifest_metric *m = &entry->metrics[i];
    if (!map_has(m, kind, &count)) continue;
    tl_avro_put_long(a, m->id);
    if (kind == MAP_LOWER) tl_avro_put_bytes(a, m->lower.data, m->lower.len);
    else if (kind == MAP_UPPER) tl_avro_put_bytes(a, m->upper.data, m->upper.len);
    else tl_avro_put_long(a, count);
  }
  tl_avro_put_long(a, 0);
}

static void put_optional(tl_avro_writer *a, bool there, int64_t value) {
  tl_avro_put_long(a, there ? 1 : 0);
  if (there) tl_avro_put_long(a, value);
}

static void put_data_file(tl_manifest_writer *w, const tl_manifest_entry *e) {
  tl_avro_writer *a = &w->avro;
  tl_avro_put_long(a, 0); /* content: data */
  tl_avro_put_bytes(a, e->path.data, e->path.len);
  tl_avro_put_bytes(a, "PARQUET", 7);
  for (size_t i = 0; i < w->spec->count; i++) put_value(a, &w->spec->results[i], &e->partition[i]);
  tl_avro_put_long(a, e->rows);
  tl_avro_put_long(a, e->bytes);
  for (int kind = 0; kind < MAP_COUNT; kind++) put_map(a, e, (map_kind)kind);
  tl_avro_put_long(a, e->split_count ? 1 : 0);
  if (e->split_count) {
    tl_avro_put_long(a, (int64_t)e->split_count);
    for (size_t i = 0; i < e->split_count; i++) tl_avro_put_long(a, e->splits[i]);
    tl_avro_put_long(a, 0);
  }
  put_optional(a, e->sort_order_id >= 0, e->sort_order_id);
}

/* Keeps a copy of the value, its text too. */
static tl_status keep_value(tl_iceberg_value *into, tl_buf *text, const tl_iceberg_value *value, tl_error *err) {
  *into = *value;
  if (!value->text.len) return TL_OK;
  tl_buf_clear(text);
  tl_status st = tl_buf_append(text, value->text.data, value->text.len, err);
  into->text = tl_text_of(text->data, text->len);
  return st;
}

static tl_status summarise(tl_manifest_writer *w, const tl_manifest_entry *e, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < w->spec->count; i++) {
    const tl_field *result = &w->spec->results[i];
    const tl_iceberg_value *value = &e->partition[i];
    tl_manifest_summary *s = &w->info.summaries[i];
    bool is_float = result->type == TL_FIELD_F32 || result->type == TL_FIELD_F64;
    if (value->null) s->contains_null = true;
    else if (is_float && isnan(value->f64)) s->contains_nan = 1;
    if (value->null || (is_float && isnan(value->f64))) continue;
    if (w->least[i].null || tl_iceberg_value_compare(result, value, &w->least[i]) < 0) st = keep_value(&w->least[i], &w->texts[2 * i], value, err);
    if (!st && (w->greatest[i].null || tl_iceberg_value_compare(result, value, &w->greatest[i]) > 0))
      st = keep_value(&w->greatest[i], &w->texts[2 * i + 1], value, err);
  }
  return st;
}

tl_status tl_manifest_put(tl_manifest_writer *w, const tl_manifest_entry *entry, tl_entry_status status, tl_error *err) {
  tl_avro_writer *a = &w->avro;
  tl_avro_put_long(a, (int64_t)status);
  put_optional(a, true, entry->snapshot_id);
  put_optional(a, entry->sequence >= 0, entry->sequence);
  put_optional(a, entry->file_sequence >= 0, entry->file_sequence);
  put_data_file(w, entry);
  tl_avro_put_end(a);
  w->entries++;
  w->info.files[status]++;
  w->info.rows[status] += entry->rows;
  if (status != TL_ENTRY_DELETED && entry->sequence >= 0 && (w->info.min_sequence < 0 || entry->sequence < w->info.min_sequence))
    w->info.min_sequence = entry->sequence;
  return a->status ? a->status : summarise(w, entry, err);
}

tl_status tl_manifest_finish(tl_manifest_writer *w, int64_t sequence, tl_error *err) {
  tl_status st = tl_avro_finish(&w->avro);
  for (size_t i = 0; !st && i < w->spec->count; i++) {
    tl_manifest_summary *s = &w->info.summaries[i];
    if (!w->least[i].null) st = tl_iceberg_value_bound(&w->spec->results[i], &w->least[i], false, &s->lower, &s->has_lower, err);
    if (!st && !w->greatest[i].null) st = tl_iceberg_value_bound(&w->spec->results[i], &w->greatest[i], true, &s->upper, &s->has_upper, err);
  }
  w->info.sequence = sequence;
  if (w->info.min_sequence < 0 || w->info.files[TL_ENTRY_ADDED] > 0) /* added entries inherit this one's number */
    w->info.min_sequence = w->info.min_sequence < 0 || w->info.min_sequence > sequence ? sequence : w->info.min_sequence;
  w->info.length_bytes = (int64_t)w->out.len;
  return st;
}
