/* names.c - may columns be found in data files by name?
 *
 * Iceberg knows a column by its id; what a file calls it is the name it had when the file was written. A column may have
 * been renamed since, or dropped and another of its name added; Spark and PyIceberg write names with blanks and signs
 * as something else ("52w high" as _52w_x20high); files without ids go by a mapping. Where none of this can be, names
 * do, which saves a look into every file. Pure. */
#include <string.h>
#include <strings.h>

#include "market/number.h"
#include "table/iceberg/metadata.h"

/* Written as it is by everybody. */
static bool is_plain(const char *name, size_t len) {
  for (size_t i = 0; i < len; i++) {
    bool letter = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') || name[i] == '_';
    if (!letter && (i == 0 || name[i] < '0' || name[i] > '9')) return false;
  }
  return len > 0;
}

/* Schemas are numbered from 0; one that is missing may have had any names. */
static bool all_known(const tl_iceberg_metadata *m) {
  if (!tl_json_count(tl_json_get(tl_json_root(m->json), "schemas"))) return false; /* version 1 keeps the last one only */
  for (size_t i = 0; i < m->schema_count; i++)
    if (!tl_iceberg_find_schema(m, (int)i)) return false;
  return true;
}

static bool column_moved(const tl_fields *now, const tl_fields *then) {
  for (size_t i = 0; i < now->count; i++)
    for (size_t k = 0; k < then->count; k++)
      if ((now->items[i].id == then->items[k].id) != !strcasecmp(now->items[i].name, then->items[k].name)) return true;
  return false;
}

static bool names_alone(const tl_json_value *entry, const tl_fields *fields) { /* does the entry say what the column's name says? */
  const tl_json_value *names = tl_json_get(entry, "names"), *value = NULL;
  tl_json_iter iter = tl_json_iter_of(names);
  tl_text name = {0}, id = {0};
  int64_t number = -1;
  if (tl_json_count(names) != 1 || !tl_json_iter_next(&iter, NULL, &value) || !tl_json_string(value, &name)) return false;
  if (!tl_json_number(tl_json_get(entry, "field-id"), &id) || tl_number_i64(id.data, id.len, &number) != TL_NUMBER_OK) return false;
  for (size_t i = 0; i < fields->count; i++)
    if (fields->items[i].id == number) return !strcasecmp(fields->items[i].name, name.data);
  return true;
}

static bool has_other_names(const tl_iceberg_metadata *m, const tl_fields *fields) { /* the mapping, for columns */
  const char *text = tl_iceberg_property(m, TL_ICEBERG_MAPPING);
  const tl_json_value *entry;
  tl_json *json = NULL;
  if (!text) return false;
  if (tl_json_open(text, strlen(text), 0, &json, NULL)) return true;
  bool other = false;
  for (tl_json_iter iter = tl_json_iter_of(tl_json_root(json)); tl_json_iter_next(&iter, NULL, &entry);) other |= !names_alone(entry, fields);
  tl_json_close(json);
  return other;
}

/* ---- inside structs ---- */

static bool same_text(const tl_json_value *a, const tl_json_value *b) {
  tl_text x, y;
  bool texts = (tl_json_string(a, &x) && tl_json_string(b, &y)) || (tl_json_number(a, &x) && tl_json_number(b, &y));
  return texts && x.len == y.len && !strncasecmp(x.data, y.data, x.len);
}

static bool has_odd_names(const tl_json_value *type) {
  static const char *const below[] = {"element", "key", "value"};
  const tl_json_value *field;
  bool odd = false;
  for (tl_json_iter iter = tl_json_iter_of(tl_json_get(type, "fields")); !odd && tl_json_iter_next(&iter, NULL, &field);) {
    tl_text name = {0};
    odd = !tl_json_string(tl_json_get(field, "name"), &name) || !is_plain(name.data, name.len) || has_odd_names(tl_json_get(field, "type"));
  }
  for (size_t i = 0; !odd && i < sizeof below / sizeof *below; i++)
    if (tl_json_get(type, below[i])) odd = has_odd_names(tl_json_get(type, below[i]));
  return odd;
}

static bool member_moved(const tl_json_value *now, const tl_json_value *then) { /* types */
  static const char *const below[] = {"element", "key", "value"};
  const tl_json_value *field, *old;
  for (tl_json_iter a = tl_json_iter_of(tl_json_get(now, "fields")); tl_json_iter_next(&a, NULL, &field);)
    for (tl_json_iter b = tl_json_iter_of(tl_json_get(then, "fields")); tl_json_iter_next(&b, NULL, &old);) {
      bool same = same_text(tl_json_get(field, "id"), tl_json_get(old, "id"));
      if (same != same_text(tl_json_get(field, "name"), tl_json_get(old, "name"))) return true;
      if (same && member_moved(tl_json_get(field, "type"), tl_json_get(old, "type"))) return true;
    }
  for (size_t i = 0; i < sizeof below / sizeof *below; i++)
    if (tl_json_get(now, below[i]) && member_moved(tl_json_get(now, below[i]), tl_json_get(then, below[i]))) return true;
  return false;
}

static const tl_json_value *type_of(const tl_iceberg_schema *schema, int id) {
  size_t i = 0;
  const tl_json_value *field;
  for (tl_json_iter iter = tl_json_iter_of(tl_json_get(schema->json, "fields")); tl_json_iter_next(&iter, NULL, &field); i++)
    if (i < schema->fields.count && schema->fields.items[i].id == id) return tl_json_get(field, "type");
  return NULL;
}

static bool is_hidden(const tl_iceberg_metadata *m, const tl_json_value *type, int id) {
  bool hidden = has_odd_names(type) || (tl_json_type_of(type) == TL_JSON_OBJECT && !all_known(m));
  for (size_t i = 0; !hidden && i < m->schema_count; i++) hidden = member_moved(type, type_of(&m->schemas[i], id));
  return hidden;
}

/* ---- the whole ---- */

void tl_iceberg_names(const tl_iceberg_metadata *m, const tl_iceberg_schema *schema, tl_fields *fields, bool *by_id) {
  *by_id = !all_known(m) || has_other_names(m, fields);
  for (size_t i = 0; !*by_id && i < m->schema_count; i++) *by_id = column_moved(fields, &m->schemas[i].fields);
  for (size_t i = 0; i < fields->count; i++) {
    tl_field *field = &fields->items[i];
    *by_id = *by_id || !is_plain(field->name, strlen(field->name));
    field->hidden = field->type == TL_FIELD_OTHER && is_hidden(m, type_of(schema, field->id), field->id); /* members go by name */
  }
}
