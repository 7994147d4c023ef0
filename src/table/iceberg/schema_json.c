/* schema_json.c - columns <-> the JSON of an Iceberg schema; see types.h. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "market/number.h"
#include "market/symbol.h"
#include "table/iceberg/types.h"

static const struct {
  const char *name;
  tl_field_type type;
  const char *sql; /* of OTHER */
} scalars[] = {
  {"boolean", TL_FIELD_BOOL, NULL},
  {"int", TL_FIELD_I32, NULL},
  {"long", TL_FIELD_I64, NULL},
  {"float", TL_FIELD_F32, NULL},
  {"double", TL_FIELD_F64, NULL},
  {"string", TL_FIELD_STRING, NULL},
  {"binary", TL_FIELD_BINARY, NULL},
  {"date", TL_FIELD_DATE, NULL},
  {"timestamptz", TL_FIELD_TIMESTAMP, NULL},
  {"timestamp", TL_FIELD_TIMESTAMP_NTZ, NULL},
  {"time", TL_FIELD_OTHER, "TIME"},
  {"uuid", TL_FIELD_OTHER, "UUID"},
};

/* "decimal(9, 2)": digits and blanks only between the brackets. */
static bool parse_decimal(tl_text name, int *precision, int *scale) {
  int numbers[2] = {0, 0}, at = 0, digits = 0;
  if (name.len < 12 || memcmp(name.data, "decimal(", 8) != 0 || name.data[name.len - 1] != ')') return false;
  for (size_t i = 8; i + 1 < name.len; i++) {
    char c = name.data[i];
    if (c == ' ') continue;
    if (c == ',' && at == 0 && digits) {
      at = 1;
      digits = 0;
    } else if (c >= '0' && c <= '9' && digits++ < 3) {
      numbers[at] = numbers[at] * 10 + (c - '0');
    } else {
      return false;
    }
  }
  *precision = numbers[0];
  *scale = numbers[1];
  return at == 1 && digits && *precision >= 1 && *precision <= 38 && *scale <= *precision;
}

static tl_status append_sql_type(const tl_json_value *type, tl_buf *out, tl_error *err);

/* True: a scalar of ours, or one readable under an SQL name (*sql). */
static bool parse_scalar(tl_text name, tl_field_type *type, int *precision, int *scale, const char **sql) {
  *sql = NULL;
  for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++)
    if (tl_text_is(name, scalars[i].name)) {
      *type = scalars[i].type;
      *sql = scalars[i].sql;
      return true;
    }
  if (parse_decimal(name, precision, scale)) {
    *type = TL_FIELD_DECIMAL;
    return true;
  }
  *type = TL_FIELD_OTHER;
  if (name.len > 6 && !memcmp(name.data, "fixed[", 6)) *sql = "BLOB";
  return *sql != NULL;
}

static tl_status append_struct(const tl_json_value *type, tl_buf *out, tl_error *err) {
  const tl_json_value *field;
  tl_status st = tl_buf_appends(out, "STRUCT(", err);
  bool first = true;
  for (tl_json_iter iter = tl_json_iter_of(tl_json_get(type, "fields")); !st && tl_json_iter_next(&iter, NULL, &field); first = false) {
    tl_text name;
    if (!tl_json_string(tl_json_get(field, "name"), &name)) return tl_fail(err, TL_ECORRUPT, "a field of a struct has no name");
    if (!first) st = tl_buf_appends(out, ", ", err);
    if (!st) st = tl_sql_identifier(out, name.data, name.len, err);
    if (!st) st = tl_buf_appends(out, " ", err);
    if (!st) st = append_sql_type(tl_json_get(field, "type"), out, err);
  }
  return st ? st : tl_buf_appends(out, ")", err);
}

/* DuckDB's words for any type. */
static tl_status append_sql_type(const tl_json_value *type, tl_buf *out, tl_error *err) {
  tl_text name;
  if (tl_json_string(type, &name)) {
    tl_field f = {.name = (char *)(uintptr_t)""};
    const char *sql;
    if (!parse_scalar(name, &f.type, &f.precision, &f.scale, &sql))
      return tl_fail(err, TL_EUSAGE, "the type '%.*s' cannot be read", (int)(name.len < 64 ? name.len : 64), name.data);
    return sql ? tl_buf_appends(out, sql, err) : tl_field_sql_type(&f, out, err);
  }
  if (!tl_json_string(tl_json_get(type, "type"), &name)) return tl_fail(err, TL_ECORRUPT, "a type is neither a name nor an object that has one");
  tl_status st = TL_OK;
  if (tl_text_is(name, "struct")) return append_struct(type, out, err);
  if (tl_text_is(name, "list")) {
    st = append_sql_type(tl_json_get(type, "element"), out, err);
    return st ? st : tl_buf_appends(out, "[]", err);
  }
  if (!tl_text_is(name, "map"))
    return tl_fail(err, TL_EUSAGE, "the type '%.*s' cannot be read", (int)(name.len < 64 ? name.len : 64), name.data);
  st = tl_buf_appends(out, "MAP(", err);
  if (!st) st = append_sql_type(tl_json_get(type, "key"), out, err);
  if (!st) st = tl_buf_appends(out, ", ", err);
  if (!st) st = append_sql_type(tl_json_get(type, "value"), out, err);
  return st ? st : tl_buf_appends(out, ")", err);
}

static bool parse_int(const tl_json_value *value, int *out) {
  tl_text text;
  int64_t number = 0;
  if (!tl_json_number(value, &text) || tl_number_i64(text.data, text.len, &number) || number < 0 || number > INT32_MAX) return false;
  *out = (int)number;
  return true;
}

static tl_status parse_other(const tl_json_value *type, tl_field *out, tl_error *err) {
  tl_buf sql = {0};
  out->type = TL_FIELD_OTHER;
  tl_status st = append_sql_type(type, &sql, err);
  if (st == TL_EUSAGE) st = TL_OK; /* a type without SQL words: reading it is refused by name when it is asked for */
  else if (!st && !(out->sql_type = tl_buf_take(&sql))) st = tl_fail(err, TL_ENOMEM, "cannot hold a type");
  tl_buf_deinit(&sql);
  return st;
}

static tl_status parse_type(const tl_json_value *type, tl_field *out, tl_error *err) {
  tl_text name;
  const char *sql = NULL;
  if (tl_json_string(type, &name)) {
    if (parse_scalar(name, &out->type, &out->precision, &out->scale, &sql) && !sql) return TL_OK;
    return parse_other(type, out, err);
  }
  const tl_json_value *element = tl_json_get(type, "element");
  if (tl_json_string(tl_json_get(type, "type"), &name) && tl_text_is(name, "list") && tl_json_string(element, &name) &&
      parse_scalar(name, &out->element, &out->precision, &out->scale, &sql) && !sql) {
    out->type = TL_FIELD_LIST;
    return parse_int(tl_json_get(type, "element-id"), &out->element_id) ? TL_OK : tl_fail(err, TL_ECORRUPT, "a list has no element-id");
  }
  return parse_other(type, out, err);
}

static tl_status parse_field(const tl_json_value *value, tl_field *out, tl_error *err) {
  tl_text name;
  bool required = false;
  if (!tl_json_string(tl_json_get(value, "name"), &name) || !name.len || memchr(name.data, 0, name.len))
    return tl_fail(err, TL_ECORRUPT, "a field of the schema has no name");
  if (!(out->name = tl_strndup(name.data, name.len))) return tl_fail(err, TL_ENOMEM, "cannot hold a schema");
  if (!parse_int(tl_json_get(value, "id"), &out->id)) return tl_fail(err, TL_ECORRUPT, "field '%s' of the schema has no id", out->name);
  out->nullable = !tl_json_bool(tl_json_get(value, "required"), &required) || !required;
  tl_status st = parse_type(tl_json_get(value, "type"), out, err);
  return st ? tl_fail_within(err, st, "field '%s'", out->name) : TL_OK;
}

tl_status tl_iceberg_fields_parse(const tl_json_value *schema, tl_fields *out, tl_error *err) {
  const tl_json_value *fields = tl_json_get(schema, "fields"), *field;
  if (tl_json_type_of(fields) != TL_JSON_ARRAY) return tl_fail(err, TL_ECORRUPT, "a schema has no fields");
  size_t count = tl_json_count(fields);
  *out = (tl_fields){.items = tl_calloc(count ? count : 1, sizeof *out->items)};
  tl_status st = out->items ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot hold a schema");
  for (tl_json_iter iter = tl_json_iter_of(fields); !st && tl_json_iter_next(&iter, NULL, &field);) {
    tl_field *f = &out->items[out->count++];
    st = parse_field(field, f, err);
    if (f->id > out->last_id) out->last_id = f->id;
    if (f->element_id > out->last_id) out->last_id = f->element_id;
  }
  if (st) tl_fields_deinit(out);
  return st;
}

/* ---- writing ---- */

static const char *scalar_name(tl_field_type type) {
  for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++)
    if (scalars[i].type == type && type != TL_FIELD_OTHER) return scalars[i].name;
  return NULL;
}

static const char *type_name(tl_field_type type, int precision, int scale, char text[32]) {
  if (type != TL_FIELD_DECIMAL) return scalar_name(type);
  snprintf(text, 32, "decimal(%d, %d)", precision, scale);
  return text;
}

void tl_iceberg_put_type(tl_json_writer *w, const tl_field *field) {
  char text[32];
  if (field->type != TL_FIELD_LIST) {
    tl_json_put_string(w, "type", type_name(field->type, field->precision, field->scale, text));
    return;
  }
  tl_json_put_object(w, "type");
  tl_json_put_string(w, "type", "list");
  tl_json_put_i64(w, "element-id", field->element_id);
  tl_json_put_string(w, "element", type_name(field->element, field->precision, field->scale, text));
  tl_json_put_bool(w, "element-required", false);
  tl_json_put_close(w);
}

void tl_iceberg_put_field(tl_json_writer *w, const tl_field *field) {
  tl_json_put_object(w, NULL);
  tl_json_put_i64(w, "id", field->id);
  tl_json_put_string(w, "name", field->name);
  tl_json_put_bool(w, "required", !field->nullable);
  tl_iceberg_put_type(w, field);
  tl_json_put_close(w);
}

tl_status tl_iceberg_fields_check(const tl_fields *fields, tl_error *err) {
  for (size_t i = 0; i < fields->count; i++) {
    const tl_field *f = &fields->items[i];
    tl_field_type type = f->type == TL_FIELD_LIST ? f->element : f->type;
    if (!f->name || !*f->name) return tl_fail(err, TL_EUSAGE, "a column has no name");
    if (type == TL_FIELD_I8 || type == TL_FIELD_I16)
      return tl_fail(err, TL_EUSAGE, "column '%s' is a small integer, which Iceberg has not: cast it to INTEGER", f->name);
    if (type != TL_FIELD_DECIMAL && !scalar_name(type)) return tl_fail(err, TL_EUSAGE, "column '%s' is of a type that is not written to Iceberg tables", f->name);
    if (type == TL_FIELD_DECIMAL && (f->precision < 1 || f->precision > 38 || f->scale < 0 || f->scale > f->precision))
      return tl_fail(err, TL_EUSAGE, "column '%s' is no decimal of 1 to 38 digits", f->name);
    for (size_t k = 0; k < i; k++)
      if (!strcasecmp(fields->items[k].name, f->name))
        return tl_fail(err, TL_EUSAGE, "columns '%s' and '%s' differ in nothing but case", fields->items[k].name, f->name);
  }
  return TL_OK;
}

bool tl_iceberg_promotes(const tl_field *from, const tl_field *to) {
  if (from->type == TL_FIELD_OTHER || to->type == TL_FIELD_OTHER) return from->type == to->type;
  if ((from->type == TL_FIELD_LIST) != (to->type == TL_FIELD_LIST)) return false;
  tl_field_type a = from->type == TL_FIELD_LIST ? from->element : from->type, b = to->type == TL_FIELD_LIST ? to->element : to->type;
  if (a == TL_FIELD_DECIMAL && b == a) return from->scale == to->scale && from->precision <= to->precision;
  return a == b || (a == TL_FIELD_I32 && b == TL_FIELD_I64) || (a == TL_FIELD_F32 && b == TL_FIELD_F64);
}

tl_field tl_iceberg_leaf(const tl_field *field, int *id) {
  bool list = field->type == TL_FIELD_LIST;
  *id = list ? field->element_id : field->id;
  return (tl_field){.type = list ? field->element : field->type, .precision = field->precision, .scale = field->scale};
}
