/* read.c - yyjson behind our allocator, limits and errors; see read.h. */
#include "json/read.h"

#include <yyjson.h>

#include "base/alloc.h"

static void *pool_malloc(void *ctx, size_t size) {
  (void)ctx;
  return tl_alloc(size);
}

static void *pool_realloc(void *ctx, void *block, size_t old_size, size_t size) {
  (void)ctx;
  (void)old_size;
  return tl_realloc(block, size);
}

static void pool_free(void *ctx, void *block) {
  (void)ctx;
  tl_free(block);
}

/* Position of the bracket that nests too deep, or len. Looks at brackets only; the parser judges the rest. */
static size_t too_deep_at(const char *data, size_t len) {
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < len; i++) {
    char c = data[i];
    if (in_string) {
      if (c == '\\') i++;
      else if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > TL_JSON_DEPTH_MAX) return i;
    } else if ((c == ']' || c == '}') && depth > 0) {
      depth--;
    }
  }
  return len;
}

tl_status tl_json_open(const char *data, size_t len, size_t bytes_max, tl_json **out, tl_error *err) {
  const yyjson_alc alc = {pool_malloc, pool_realloc, pool_free, NULL};
  if (bytes_max == 0) bytes_max = TL_JSON_BYTES_MAX;
  if (len > bytes_max) return tl_fail(err, TL_ELIMIT, "a JSON text of %zu bytes is over the limit of %zu", len, bytes_max);
  if (len == 0) return tl_fail(err, TL_EDECODE, "cannot read JSON at byte 0: the text is empty");
  size_t deep = too_deep_at(data, len);
  if (deep < len) return tl_fail(err, TL_ELIMIT, "JSON nests deeper than %d levels at byte %zu", TL_JSON_DEPTH_MAX, deep);
  yyjson_read_err why;
  /* without the in-situ flag yyjson only reads the text; its parameter is not const because of that flag */
  yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)data, len, YYJSON_READ_NUMBER_AS_RAW, &alc, &why);
  if (!doc && why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
    return tl_fail(err, TL_ENOMEM, "cannot hold a JSON text of %zu bytes", len);
  if (!doc) return tl_fail(err, TL_EDECODE, "cannot read JSON at byte %zu: %s", why.pos, why.msg);
  *out = (tl_json *)doc;
  return TL_OK;
}

void tl_json_close(tl_json *json) { yyjson_doc_free((yyjson_doc *)json); }

const tl_json_value *tl_json_root(const tl_json *json) {
  return yyjson_doc_get_root((yyjson_doc *)(uintptr_t)json);
}

/* yyjson's readers take pointers that are not const, and do not write through them. */
static yyjson_val *plain(const tl_json_value *value) { return (yyjson_val *)(uintptr_t)value; }

tl_json_type tl_json_type_of(const tl_json_value *value) {
  switch (yyjson_get_type(plain(value))) {
  case YYJSON_TYPE_NULL: return TL_JSON_NULL;
  case YYJSON_TYPE_BOOL: return TL_JSON_BOOL;
  case YYJSON_TYPE_RAW: return TL_JSON_NUMBER;
  case YYJSON_TYPE_STR: return TL_JSON_STRING;
  case YYJSON_TYPE_ARR: return TL_JSON_ARRAY;
  case YYJSON_TYPE_OBJ: return TL_JSON_OBJECT;
  default: return TL_JSON_NONE;
  }
}

const tl_json_value *tl_json_get(const tl_json_value *object, const char *key) {
  return yyjson_obj_get(plain(object), key);
}

size_t tl_json_count(const tl_json_value *value) {
  return yyjson_is_obj(plain(value)) ? yyjson_obj_size(plain(value)) : yyjson_arr_size(plain(value));
}

bool tl_json_string(const tl_json_value *value, tl_text *out) {
  if (!yyjson_is_str(plain(value))) return false;
  *out = tl_text_of(yyjson_get_str(plain(value)), yyjson_get_len(plain(value)));
  return true;
}

bool tl_json_number(const tl_json_value *value, tl_text *out) {
  if (!yyjson_is_raw(plain(value))) return false;
  *out = tl_text_of(yyjson_get_raw(plain(value)), yyjson_get_len(plain(value)));
  return true;
}

bool tl_json_bool(const tl_json_value *value, bool *out) {
  if (!yyjson_is_bool(plain(value))) return false;
  *out = yyjson_get_bool(plain(value));
  return true;
}

tl_json_iter tl_json_iter_of(const tl_json_value *value) {
  tl_json_iter iter = {NULL, tl_json_count(value), yyjson_is_obj(plain(value))};
  if (iter.left) iter.at = unsafe_yyjson_get_first(plain(value)); /* safe: there is a first one */
  return iter;
}

bool tl_json_iter_next(tl_json_iter *iter, tl_text *key, const tl_json_value **value) {
  if (iter->left == 0) return false;
  yyjson_val *at = plain(iter->at);
  if (key) *key = iter->is_object ? tl_text_of(yyjson_get_str(at), yyjson_get_len(at)) : tl_text_of("", 0);
  *value = iter->is_object ? at + 1 : at; /* a member is its key and, right behind it, its value */
  iter->left--;
  if (iter->left) iter->at = unsafe_yyjson_get_next(plain(*value));
  return true;
}
