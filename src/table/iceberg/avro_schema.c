/* avro_schema.c - JSON to nodes; see avro_schema.h. */
#include "table/iceberg/avro_schema.h"

#include <string.h>

#include "base/alloc.h"
#include "json/read.h"
#include "market/number.h"

static const struct { const char *name; tl_avro_type type; } primitives[] = {
  {"null", TL_AVRO_NULL},   {"boolean", TL_AVRO_BOOLEAN}, {"int", TL_AVRO_INT},     {"long", TL_AVRO_LONG},
  {"float", TL_AVRO_FLOAT}, {"double", TL_AVRO_DOUBLE},   {"bytes", TL_AVRO_BYTES}, {"string", TL_AVRO_STRING},
};

void tl_avro_nodes_deinit(tl_avro_nodes *nodes) {
  for (size_t i = 0; i < nodes->count; i++) {
    tl_avro_node *node = nodes->items[i];
    for (size_t k = 0; k < node->count; k++) tl_free(node->children[k].name);
    tl_free(node->children);
    tl_free(node->name);
    tl_free(node);
  }
  tl_free(nodes->items);
  *nodes = (tl_avro_nodes){0};
}

static tl_status no_memory(tl_error *err) { return tl_fail(err, TL_ENOMEM, "cannot hold an Avro schema"); }

static tl_status node_add(tl_avro_nodes *nodes, tl_avro_type type, size_t children, tl_avro_node **out, tl_error *err) {
  if (nodes->count == nodes->capacity) {
    size_t more = nodes->capacity ? nodes->capacity * 2 : 64;
    tl_avro_node **grown = tl_realloc_array(nodes->items, more, sizeof *grown);
    if (!grown) return no_memory(err);
    nodes->items = grown;
    nodes->capacity = more;
  }
  tl_avro_node *node = tl_calloc(1, sizeof *node);
  if (!node) return no_memory(err);
  nodes->items[nodes->count++] = node;
  *node = (tl_avro_node){.type = type};
  if (children) {
    node->children = tl_calloc(children, sizeof *node->children);
    if (!node->children) return no_memory(err);
    node->count = children;
    for (size_t i = 0; i < children; i++) node->children[i].id = -1;
  }
  *out = node;
  return TL_OK;
}

static tl_text last_part(tl_text name) {
  for (size_t i = name.len; i > 0; i--)
    if (name.data[i - 1] == '.') return tl_text_of(name.data + i, name.len - i);
  return name;
}

/* A type by its name: a primitive, or one defined before (with or without its namespace). */
static tl_status parse_name(tl_text name, tl_avro_nodes *nodes, const tl_avro_node **out, tl_error *err) {
  for (size_t i = 0; i < sizeof primitives / sizeof *primitives; i++) {
    if (!tl_text_is(name, primitives[i].name)) continue;
    tl_avro_node *node = NULL;
    tl_status st = node_add(nodes, primitives[i].type, 0, &node, err);
    *out = node;
    return st;
  }
  for (int whole = 1; whole >= 0; whole--)
    for (size_t i = 0; i < nodes->count; i++) {
      const tl_avro_node *node = nodes->items[i];
      if (!node->name) continue;
      tl_text known = tl_text_from(node->name);
      if (whole ? tl_text_equal(known, name) : tl_text_equal(last_part(known), last_part(name))) {
        *out = node;
        return TL_OK;
      }
    }
  return tl_fail(err, TL_ECORRUPT, "its schema uses a type '%.*s' it does not define", (int)(name.len < 64 ? name.len : 64), name.data);
}

static int id_of(const tl_json_value *value, const char *key) {
  tl_text text;
  int64_t id = -1;
  if (!tl_json_number(tl_json_get(value, key), &text) || tl_number_i64(text.data, text.len, &id)) return -1;
  return id >= 0 && id <= INT32_MAX ? (int)id : -1;
}

static tl_status take_name(const tl_json_value *value, char **out, tl_error *err) {
  tl_text text;
  if (!tl_json_string(tl_json_get(value, "name"), &text)) return tl_fail(err, TL_ECORRUPT, "its schema has a type or field without a name");
  *out = tl_strndup(text.data, text.len);
  return *out ? TL_OK : no_memory(err);
}

static tl_status parse(const tl_json_value *value, tl_avro_nodes *nodes, const tl_avro_node **out, tl_error *err);

static tl_status parse_record(const tl_json_value *value, tl_avro_nodes *nodes, const tl_avro_node **out, tl_error *err) {
  const tl_json_value *fields = tl_json_get(value, "fields"), *field;
  if (tl_json_type_of(fields) != TL_JSON_ARRAY) return tl_fail(err, TL_ECORRUPT, "its schema has a record without fields");
  tl_avro_node *node = NULL;
  tl_status st = node_add(nodes, TL_AVRO_RECORD, tl_json_count(fields), &node, err);
  if (!st) st = take_name(value, &node->name, err);
  tl_json_iter iter = tl_json_iter_of(fields);
  for (size_t i = 0; !st && tl_json_iter_next(&iter, NULL, &field); i++) {
    tl_avro_child *child = &node->children[i];
    child->id = id_of(field, "field-id");
    st = take_name(field, &child->name, err);
    if (!st) st = parse(tl_json_get(field, "type"), nodes, &child->node, err);
  }
  *out = node;
  return st;
}

static tl_status parse_one_child(const tl_json_value *value, tl_avro_type type, const char *key, const char *id_key,
                                 tl_avro_nodes *nodes, const tl_avro_node **out, tl_error *err) {
  tl_avro_node *node = NULL;
  tl_status st = node_add(nodes, type, 1, &node, err);
  if (st) return st;
  node->children[0].id = id_of(value, id_key);
  *out = node;
  return parse(tl_json_get(value, key), nodes, &node->children[0].node, err);
}

static tl_status parse_sized(const tl_json_value *value, tl_avro_type type, tl_avro_nodes *nodes, const tl_avro_node **out, tl_error *err) {
  tl_avro_node *node = NULL;
  tl_status st = node_add(nodes, type, 0, &node, err);
  if (!st) st = take_name(value, &node->name, err);
  *out = node;
  if (st || type == TL_AVRO_ENUM) return st;
  int size = id_of(value, "size");
  if (size < 0) return tl_fail(err, TL_ECORRUPT, "its schema has a fixed type without a size");
  node->fixed_bytes = (size_t)size;
  return TL_OK;
}

static tl_status parse_union(const tl_json_value *value, tl_avro_nodes *nodes, const tl_avro_node **out, tl_error *err) {
  tl_avro_node *node = NULL;
  const tl_json_value *branch;
  tl_status st = node_add(nodes, TL_AVRO_UNION, tl_json_count(value), &node, err);
  tl_json_iter iter = tl_json_iter_of(value);
  for (size_t i = 0; !st && tl_json_iter_next(&iter, NULL, &branch); i++) {
    st = parse(branch, nodes, &node->children[i].node, err);
    if (!st && node->children[i].node->type == TL_AVRO_UNION) st = tl_fail(err, TL_ECORRUPT, "its schema has a union in a union");
  }
  *out = node;
  return st;
}

static tl_status parse(const tl_json_value *value, tl_avro_nodes *nodes, const tl_avro_node **out, tl_error *err) {
  tl_text name;
  if (tl_json_string(value, &name)) return parse_name(name, nodes, out, err);
  if (tl_json_type_of(value) == TL_JSON_ARRAY) return parse_union(value, nodes, out, err);
  const tl_json_value *type = tl_json_get(value, "type");
  if (!tl_json_string(type, &name)) {
    if (!type) return tl_fail(err, TL_ECORRUPT, "its schema has a place without a type");
    return parse(type, nodes, out, err); /* {"type": {...}} */
  }
  if (tl_text_is(name, "record")) return parse_record(value, nodes, out, err);
  if (tl_text_is(name, "array")) return parse_one_child(value, TL_AVRO_ARRAY, "items", "element-id", nodes, out, err);
  if (tl_text_is(name, "map")) return parse_one_child(value, TL_AVRO_MAP, "values", "value-id", nodes, out, err);
  if (tl_text_is(name, "fixed")) return parse_sized(value, TL_AVRO_FIXED, nodes, out, err);
  if (tl_text_is(name, "enum")) return parse_sized(value, TL_AVRO_ENUM, nodes, out, err);
  return parse_name(name, nodes, out, err);
}

tl_status tl_avro_schema_parse(const char *json, size_t len, tl_avro_nodes *nodes, const tl_avro_node **root, tl_error *err) {
  tl_json *document = NULL;
  tl_status st = tl_json_open(json, len, 0, &document, err);
  if (!st) st = parse(tl_json_root(document), nodes, root, err);
  tl_json_close(document);
  if (st == TL_EDECODE || st == TL_ELIMIT) return tl_fail_within(err, TL_ECORRUPT, "its schema");
  return st;
}
