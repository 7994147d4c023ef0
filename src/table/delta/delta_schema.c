/* delta_schema.c - schemaString <-> fields, partition columns <-> partitioning.
 * Field ids: the log has none (column mapping apart, which we do not write), so columns are numbered in order, an element
 * behind its list, as a new table's are. Ids that differ from that are kept in the field's metadata. Pure. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "market/number.h"
#include "market/symbol.h"
#include "table/delta/delta.h"

static const char id_key[] = "ticklake.field.id", element_key[] = "ticklake.element.id";
static const char property_prefix[] = "ticklake.partition.";

static const struct { const char *name; tl_field_type type; } types[] = {
  {"boolean", TL_FIELD_BOOL},  {"byte", TL_FIELD_I8},       {"short", TL_FIELD_I16},   {"integer", TL_FIELD_I32},
  {"long", TL_FIELD_I64},      {"float", TL_FIELD_F32},     {"double", TL_FIELD_F64},  {"string", TL_FIELD_STRING},
  {"binary", TL_FIELD_BINARY}, {"date", TL_FIELD_DATE},     {"timestamp", TL_FIELD_TIMESTAMP},
  {"timestamp_ntz", TL_FIELD_TIMESTAMP_NTZ}};

static tl_status damaged(tl_error *err, const char *what) {
  return tl_fail(err, TL_ECORRUPT, "the table's schemaString %s: the log is damaged, or was not written by a Delta writer", what);
}

/* ---- types read ---- */

static bool small_number(const char **at, int *out) {
  if (**at < '0' || **at > '9') return false;
  *out = 0;
  for (int digits = 0; **at >= '0' && **at <= '9'; ++*at, digits++) {
    if (digits == 3) return false;
    *out = *out * 10 + (**at - '0');
  }
  return true;
}

static bool decimal(tl_text name, int *precision, int *scale) { /* decimal(p,s); the name ends in a NUL */
  const char *at = name.data + 7;
  *precision = 10;
  *scale = 0;
  if (name.len < 7 || memcmp(name.data, "decimal", 7) != 0) return false;
  if (name.len == 7) return true;
  if (*at++ != '(' || !small_number(&at, precision)) return false;
  while (*at == ' ') at++;
  if (*at == ',') {
    at++;
    while (*at == ' ') at++;
    if (!small_number(&at, scale)) return false;
  }
  return at[0] == ')' && !at[1] && *precision >= 1 && *precision <= 38 && *scale <= *precision;
}

static tl_field_type scalar(const tl_json_value *type, int *precision, int *scale) {
  tl_text name;
  if (!tl_json_string(type, &name) || memchr(name.data, 0, name.len)) return TL_FIELD_OTHER;
  if (decimal(name, precision, scale)) return TL_FIELD_DECIMAL;
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    if (tl_text_is(name, types[i].name)) return types[i].type;
  return TL_FIELD_OTHER;
}

/* DuckDB's words for any type; *known becomes false where it has none. */
static tl_status nested_sql(const tl_json_value *type, tl_buf *out, bool *known, unsigned depth, tl_error *err) {
  tl_field plain = {.name = (char *)(uintptr_t)""};
  tl_text name = {0}, key;
  const tl_json_value *field;
  plain.type = scalar(type, &plain.precision, &plain.scale);
  if (plain.type != TL_FIELD_OTHER) return tl_field_sql_type(&plain, out, err);
  tl_json_string(tl_json_get(type, "type"), &name);
  if (depth > 32) *known = false;
  else if (tl_text_is(name, "array")) {
    tl_status st = nested_sql(tl_json_get(type, "elementType"), out, known, depth + 1, err);
    return st ? st : tl_buf_appends(out, "[]", err);
  } else if (tl_text_is(name, "map")) {
    tl_status st = tl_buf_appends(out, "MAP(", err);
    if (!st) st = nested_sql(tl_json_get(type, "keyType"), out, known, depth + 1, err);
    if (!st) st = tl_buf_appends(out, ", ", err);
    if (!st) st = nested_sql(tl_json_get(type, "valueType"), out, known, depth + 1, err);
    return st ? st : tl_buf_appends(out, ")", err);
  } else if (tl_text_is(name, "struct") && tl_json_count(tl_json_get(type, "fields"))) {
    tl_json_iter iter = tl_json_iter_of(tl_json_get(type, "fields"));
    tl_status st = tl_buf_appends(out, "STRUCT(", err);
    for (bool first = true; !st && *known && tl_json_iter_next(&iter, NULL, &field); first = false) {
      if (!tl_json_string(tl_json_get(field, "name"), &key) || memchr(key.data, 0, key.len)) *known = false;
      if (!st && !first) st = tl_buf_appends(out, ", ", err);
      if (!st && *known) st = tl_sql_identifier(out, key.data, key.len, err);
      if (!st) st = tl_buf_appends(out, " ", err);
      if (!st && *known) st = nested_sql(tl_json_get(field, "type"), out, known, depth + 1, err);
    }
    return st ? st : tl_buf_appends(out, ")", err);
  } else {
    *known = false;
  }
  return TL_OK;
}

static tl_status read_type(const tl_json_value *type, tl_field *field, tl_error *err) {
  tl_text name = {0};
  field->type = scalar(type, &field->precision, &field->scale);
  if (field->type != TL_FIELD_OTHER) return TL_OK;
  tl_json_string(tl_json_get(type, "type"), &name);
  if (tl_text_is(name, "array")) {
    field->element = scalar(tl_json_get(type, "elementType"), &field->precision, &field->scale);
    if (field->element != TL_FIELD_OTHER) {
      field->type = TL_FIELD_LIST;
      return TL_OK;
    }
  }
  field->element = TL_FIELD_BOOL;
  tl_buf sql = {0};
  bool known = true;
  tl_status st = nested_sql(type, &sql, &known, 0, err);
  if (!st && known) field->sql_type = tl_buf_take(&sql);
  tl_buf_deinit(&sql);
  return st;
}

static bool id_of(const tl_json_value *metadata, const char *key, int *out) {
  tl_text text;
  int64_t value;
  if (!tl_json_number(tl_json_get(metadata, key), &text) || tl_number_i64(text.data, text.len, &value) != TL_NUMBER_OK) return false;
  if (value < 1 || value > INT32_MAX) return false;
  *out = (int)value;
  return true;
}

static tl_status read_field(const tl_json_value *from, tl_fields *out, tl_error *err) {
  tl_field *field = &out->items[out->count];
  const tl_json_value *metadata = tl_json_get(from, "metadata");
  tl_text name;
  field->nullable = true;
  if (!tl_json_string(tl_json_get(from, "name"), &name) || !name.len || memchr(name.data, 0, name.len))
    return damaged(err, "has a column without a name");
  for (size_t i = 0; i < out->count; i++)
    if (!strcasecmp(out->items[i].name, name.data))
      return tl_fail(err, TL_ECORRUPT, "the table's schemaString has the column '%.100s' twice", name.data);
  field->name = tl_strndup(name.data, name.len);
  if (!field->name) return tl_fail(err, TL_ENOMEM, "cannot hold a schema");
  out->count++;
  tl_json_bool(tl_json_get(from, "nullable"), &field->nullable);
  if (tl_json_type_of(tl_json_get(from, "type")) == TL_JSON_NONE) return damaged(err, "has a column without a type");
  tl_status st = read_type(tl_json_get(from, "type"), field, err);
  if (!st && tl_json_count(metadata)) {
    tl_buf text = {0};
    st = tl_delta_put_value(&text, metadata, err);
    if (!st) field->metadata = tl_buf_take(&text);
    tl_buf_deinit(&text);
  }
  if (!id_of(metadata, id_key, &field->id)) field->id = out->last_id + 1;
  if (field->id > out->last_id) out->last_id = field->id;
  if (st || field->type != TL_FIELD_LIST) return st;
  if (!id_of(metadata, element_key, &field->element_id)) field->element_id = out->last_id + 1;
  if (field->element_id > out->last_id) out->last_id = field->element_id;
  return TL_OK;
}

static tl_status open_schema(const char *schema, tl_json **json, const tl_json_value **fields, tl_error *err) {
  tl_text type = {0};
  tl_status st = tl_json_open(schema, strlen(schema), 0, json, err);
  if (st == TL_ENOMEM) return st;
  if (st) return tl_fail_within(err, TL_ECORRUPT, "the table's schemaString");
  tl_json_string(tl_json_get(tl_json_root(*json), "type"), &type);
  *fields = tl_json_get(tl_json_root(*json), "fields");
  if (tl_text_is(type, "struct") && tl_json_type_of(*fields) == TL_JSON_ARRAY) return TL_OK;
  tl_json_close(*json);
  return damaged(err, "is no struct");
}

tl_status tl_delta_schema_read(const char *schema, tl_fields *out, tl_error *err) {
  tl_json *json = NULL;
  const tl_json_value *fields, *field;
  *out = (tl_fields){0};
  tl_status st = open_schema(schema, &json, &fields, err);
  if (st) return st;
  out->items = tl_calloc(tl_json_count(fields) + 1, sizeof *out->items);
  if (!out->items) st = tl_fail(err, TL_ENOMEM, "cannot hold a schema");
  for (tl_json_iter iter = tl_json_iter_of(fields); !st && tl_json_iter_next(&iter, NULL, &field);) st = read_field(field, out, err);
  if (st) tl_fields_deinit(out);
  tl_json_close(json);
  return st;
}

/* ---- types written ---- */

static tl_status put_scalar(tl_json_writer *w, const char *key, const tl_field *field, tl_field_type type) {
  char text[32];
  if (type == TL_FIELD_DECIMAL) {
    snprintf(text, sizeof text, "decimal(%d,%d)", field->precision, field->scale);
    tl_json_put_string(w, key, text);
    return TL_OK;
  }
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    if (types[i].type == type) {
      tl_json_put_string(w, key, types[i].name);
      return TL_OK;
    }
  return tl_fail(w->err, TL_EUSAGE, "column '%s' is of a type this engine does not write into a Delta table", field->name);
}

static tl_status put_type(tl_json_writer *w, const tl_field *field) {
  if (field->type != TL_FIELD_LIST) return put_scalar(w, "type", field, field->type);
  tl_json_put_object(w, "type");
  tl_json_put_string(w, "type", "array");
  tl_status st = put_scalar(w, "elementType", field, field->element);
  tl_json_put_bool(w, "containsNull", true);
  tl_json_put_close(w);
  return st;
}

/* What the field had, with our ids where counting would not give them. */
static tl_status put_metadata(tl_json_writer *w, const tl_field *field, bool id, bool element) {
  tl_json *json = NULL;
  const tl_json_value *value;
  tl_text key;
  tl_status st = field->metadata ? tl_json_open(field->metadata, strlen(field->metadata), 0, &json, w->err) : TL_OK;
  tl_json_put_object(w, "metadata");
  for (tl_json_iter iter = tl_json_iter_of(json ? tl_json_root(json) : NULL); !st && tl_json_iter_next(&iter, &key, &value);)
    if (!tl_text_is(key, id_key) && !tl_text_is(key, element_key)) tl_json_put_value(w, key.data, value);
  if (id) tl_json_put_i64(w, id_key, field->id);
  if (element) tl_json_put_i64(w, element_key, field->element_id);
  if (!w->status) tl_json_put_close(w);
  tl_json_close(json);
  return st ? st : w->status;
}

static bool same_type(const tl_field *a, const tl_field *b) {
  bool decimal_in = a->type == TL_FIELD_DECIMAL || (a->type == TL_FIELD_LIST && a->element == TL_FIELD_DECIMAL);
  return a->type == b->type && (a->type != TL_FIELD_LIST || a->element == b->element) &&
         (!decimal_in || (a->precision == b->precision && a->scale == b->scale));
}

/* The old JSON of a field that did not change, or NULL. */
static const tl_json_value *kept(const tl_field *field, const tl_fields *old_fields, const tl_json_value *old_json) {
  tl_json_iter iter = tl_json_iter_of(old_json);
  const tl_json_value *value;
  for (size_t i = 0; tl_json_iter_next(&iter, NULL, &value); i++) {
    const tl_field *old = &old_fields->items[i];
    if (strcmp(old->name, field->name) != 0) continue;
    return same_type(old, field) && old->nullable == field->nullable && old->id == field->id && old->element_id == field->element_id ? value : NULL;
  }
  return NULL;
}

static tl_status put_field(tl_json_writer *w, const tl_field *field, int *last_id) {
  bool list = field->type == TL_FIELD_LIST, id = field->id != *last_id + 1;
  if (field->id > *last_id) *last_id = field->id;
  bool element = list && field->element_id != *last_id + 1;
  if (list && field->element_id > *last_id) *last_id = field->element_id;
  tl_json_put_object(w, NULL);
  tl_json_put_string(w, "name", field->name);
  tl_status st = put_type(w, field);
  tl_json_put_bool(w, "nullable", field->nullable);
  if (!st) st = put_metadata(w, field, id, element);
  if (!st) tl_json_put_close(w);
  return st;
}

static tl_status check_names(const tl_fields *fields, tl_error *err) {
  for (size_t i = 0; i < fields->count; i++) {
    const char *name = fields->items[i].name;
    if (!name || !*name || name[strcspn(name, " ,;{}()\n\t=")])
      return tl_fail(err, TL_EUSAGE, "'%.100s' cannot be a column of a Delta table: a name must not be empty or hold space , ; { } ( ) = tab", name ? name : "");
    for (size_t k = 0; k < i; k++)
      if (!strcasecmp(fields->items[k].name, name)) return tl_fail(err, TL_EUSAGE, "the column '%.100s' is there twice, letter case ignored", name);
  }
  return TL_OK;
}

tl_status tl_delta_schema_write(const tl_fields *fields, const char *old, tl_buf *out, tl_error *err) {
  tl_json *json = NULL;
  const tl_json_value *old_json = NULL;
  tl_fields old_fields = {0};
  tl_json_writer w = tl_json_writer_of(out, err);
  int last_id = 0;
  tl_status st = TL_OK;
  if (old) st = tl_delta_schema_read(old, &old_fields, err);
  if (!st && old) st = open_schema(old, &json, &old_json, err);
  if (st) json = NULL;
  if (!old) st = check_names(fields, err);
  tl_json_put_object(&w, NULL);
  tl_json_put_string(&w, "type", "struct");
  tl_json_put_array(&w, "fields");
  for (size_t i = 0; !st && i < fields->count; i++) {
    const tl_field *field = &fields->items[i];
    const tl_json_value *same = kept(field, &old_fields, old_json);
    if (!same) {
      st = put_field(&w, field, &last_id);
      continue;
    }
    tl_json_put_value(&w, NULL, same);
    st = w.status;
    if (field->id > last_id) last_id = field->id;
    if (field->element_id > last_id) last_id = field->element_id;
  }
  if (!st) {
    tl_json_put_close(&w);
    tl_json_put_close(&w);
    st = tl_json_writer_end(&w);
  }
  tl_json_close(json);
  tl_fields_deinit(&old_fields);
  return st;
}

/* ---- partitioning ---- */

static const struct { const char *name; tl_transform transform; } transforms[] = {
  {"year(", TL_TRANSFORM_YEAR}, {"month(", TL_TRANSFORM_MONTH}, {"day(", TL_TRANSFORM_DAY}};

/* "month(timestamp)" -> MONTH of that field; anything else: OTHER, so that nobody writes what he cannot fill. */
static void read_transform(const char *text, const tl_fields *fields, tl_partition_field *out) {
  size_t len = strlen(text);
  out->transform = TL_TRANSFORM_OTHER;
  for (size_t i = 0; i < sizeof transforms / sizeof transforms[0]; i++) {
    size_t head = strlen(transforms[i].name);
    if (len <= head + 1 || strncmp(text, transforms[i].name, head) != 0 || text[len - 1] != ')') continue;
    for (size_t f = 0; f < fields->count; f++) {
      const char *name = fields->items[f].name;
      if (strlen(name) != len - head - 1 || memcmp(name, text + head, len - head - 1) != 0) continue;
      out->transform = transforms[i].transform;
      out->source = (int)f;
    }
  }
}

static tl_status property_name(const char *column, tl_buf *out, tl_error *err) {
  return tl_buf_appendf(out, err, "%s%s", property_prefix, column);
}

tl_status tl_delta_partitioning_read(const tl_delta_metadata *metadata, const tl_fields *fields, tl_partitioning *out, tl_error *err) {
  size_t count = metadata->partition_columns.count;
  *out = (tl_partitioning){.items = tl_calloc(count + 1, sizeof *out->items)};
  tl_status st = out->items ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot hold a partitioning");
  for (size_t i = 0; !st && i < count; i++) {
    const char *name = metadata->partition_columns.items[i];
    int field = tl_fields_find(fields, name);
    if (field < 0) {
      st = tl_fail(err, TL_ECORRUPT, "the partition column '%.100s' is not in the table's schema", name);
      break;
    }
    tl_partition_field *p = &out->items[out->count++];
    *p = (tl_partition_field){.name = tl_strdup(name), .source = field, .column = field, .id = 1000 + (int)i};
    tl_buf property = {0};
    st = p->name ? property_name(name, &property, err) : tl_fail(err, TL_ENOMEM, "cannot hold a partitioning");
    const char *text = st ? NULL : tl_delta_pairs_get(&metadata->configuration, property.data);
    if (text) read_transform(text, fields, p);
    tl_buf_deinit(&property);
  }
  if (st) tl_partitioning_deinit(out);
  return st;
}

static const char *transform_name(tl_transform transform) {
  for (size_t i = 0; i < sizeof transforms / sizeof transforms[0]; i++)
    if (transforms[i].transform == transform) return transforms[i].name;
  return NULL;
}

static tl_status check_partition(const tl_partition_field *p, const tl_fields *fields, tl_error *err) {
  if (p->column < 0 || (size_t)p->column >= fields->count || p->source < 0 || (size_t)p->source >= fields->count)
    return tl_fail(err, TL_EUSAGE, "the partition '%.100s' has no column of its own: Delta partitions by columns", p->name ? p->name : "");
  const tl_field *field = &fields->items[p->column];
  if (p->transform != TL_TRANSFORM_IDENTITY && !transform_name(p->transform))
    return tl_fail(err, TL_EUSAGE, "the partition '%.100s' is not of a kind Delta tables can have: identity, year, month, day", field->name);
  if (p->transform != TL_TRANSFORM_IDENTITY && field->type != TL_FIELD_STRING && !(p->transform == TL_TRANSFORM_DAY && field->type == TL_FIELD_DATE))
    return tl_fail(err, TL_EUSAGE, "the partition column '%.100s' must be a string, as its values are computed", field->name);
  if (field->type == TL_FIELD_LIST || field->type == TL_FIELD_OTHER || field->type == TL_FIELD_BINARY)
    return tl_fail(err, TL_EUSAGE, "column '%.100s' cannot partition a table: its type has no text", field->name);
  return TL_OK;
}

tl_status tl_delta_partitioning_write(const tl_partitioning *partitioning, const tl_fields *fields, tl_delta_metadata *metadata, tl_error *err) {
  tl_status st = TL_OK;
  if (partitioning && partitioning->count && partitioning->count == fields->count)
    return tl_fail(err, TL_EUSAGE, "a table must have a column besides those it is partitioned by");
  for (size_t i = 0; !st && partitioning && i < partitioning->count; i++) {
    const tl_partition_field *p = &partitioning->items[i];
    if ((st = check_partition(p, fields, err)) != TL_OK) break;
    const char *name = fields->items[p->column].name;
    if (tl_delta_names_has(&metadata->partition_columns, name))
      return tl_fail(err, TL_EUSAGE, "the table is to be partitioned by column '%.100s' twice", name);
    st = tl_delta_names_add(&metadata->partition_columns, tl_text_from(name), err);
    if (st || p->transform == TL_TRANSFORM_IDENTITY) continue;
    tl_buf key = {0}, value = {0};
    st = property_name(name, &key, err);
    if (!st) st = tl_buf_appendf(&value, err, "%s%s)", transform_name(p->transform), fields->items[p->source].name);
    if (!st) st = tl_delta_pairs_set(&metadata->configuration, tl_text_from(key.data), tl_text_from(value.data), err);
    tl_buf_deinit(&key);
    tl_buf_deinit(&value);
  }
  return st;
}
