/* write.c - JSON text into a buffer; see write.h. */
#include "json/write.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <yyjson.h>

tl_json_writer tl_json_writer_of(tl_buf *buf, tl_error *err) {
  return (tl_json_writer){.buf = buf, .err = err, .status = TL_OK};
}

static void put_raw(tl_json_writer *w, const char *text, size_t len) {
  if (!w->status) w->status = tl_buf_append(w->buf, text, len, w->err);
}

/* What comes before a value: the comma and the key. */
static void put_before_len(tl_json_writer *w, const char *key, size_t key_len) {
  bool in_object = w->depth > 0 && !(w->arrays >> w->depth & 1);
  assert(in_object == (key != NULL));
  assert(w->depth > 0 || !w->comma); /* one value at the top */
  (void)in_object;
  if (w->comma) put_raw(w, ",", 1);
  w->comma = true;
  if (!key) return;
  if (!w->status) w->status = tl_buf_append_json(w->buf, key, key_len, w->err);
  put_raw(w, ":", 1);
}

static void put_before(tl_json_writer *w, const char *key) { put_before_len(w, key, key ? strlen(key) : 0); }

static void put_value(tl_json_writer *w, const char *key, const char *text, size_t len) {
  put_before(w, key);
  put_raw(w, text, len);
}

static void open_level(tl_json_writer *w, bool is_array) {
  put_raw(w, is_array ? "[" : "{", 1);
  assert(w->depth < 63);
  w->depth++;
  w->arrays = (w->arrays & ~(UINT64_C(1) << w->depth)) | (uint64_t)is_array << w->depth;
  w->comma = false;
}

static void put_open(tl_json_writer *w, const char *key, bool is_array) {
  put_before(w, key);
  open_level(w, is_array);
}

void tl_json_put_object(tl_json_writer *w, const char *key) { put_open(w, key, false); }

void tl_json_put_array(tl_json_writer *w, const char *key) { put_open(w, key, true); }

void tl_json_put_close(tl_json_writer *w) {
  assert(w->depth > 0);
  put_raw(w, w->arrays >> w->depth & 1 ? "]" : "}", 1);
  w->depth--;
  w->comma = true;
}

void tl_json_put_bytes(tl_json_writer *w, const char *key, const char *data, size_t len) {
  put_before(w, key);
  if (!w->status) w->status = tl_buf_append_json(w->buf, data, len, w->err);
}

void tl_json_put_string(tl_json_writer *w, const char *key, const char *text) {
  if (text) tl_json_put_bytes(w, key, text, strlen(text));
  else tl_json_put_null(w, key);
}

void tl_json_put_i64(tl_json_writer *w, const char *key, int64_t value) {
  char text[24];
  put_value(w, key, text, (size_t)snprintf(text, sizeof text, "%" PRId64, value));
}

void tl_json_put_f64(tl_json_writer *w, const char *key, double value) {
  char text[TL_F64_TEXT_MAX];
  size_t len = tl_f64_format(value, text);
  if (len) put_value(w, key, text, len);
  else tl_json_put_null(w, key);
}

void tl_json_put_bool(tl_json_writer *w, const char *key, bool value) {
  put_value(w, key, value ? "true" : "false", value ? 4 : 5);
}

void tl_json_put_null(tl_json_writer *w, const char *key) { put_value(w, key, "null", 4); }

static void put_copy(tl_json_writer *w, const tl_json_value *value) {
  tl_text text, key;
  bool truth = false;
  const tl_json_value *item;
  tl_json_type type = tl_json_type_of(value);
  if (tl_json_string(value, &text)) {
    if (!w->status) w->status = tl_buf_append_json(w->buf, text.data, text.len, w->err);
  } else if (tl_json_number(value, &text)) {
    put_raw(w, text.data, text.len);
  } else if (tl_json_bool(value, &truth)) {
    put_raw(w, truth ? "true" : "false", truth ? 4 : 5);
  } else if (type != TL_JSON_ARRAY && type != TL_JSON_OBJECT) {
    put_raw(w, "null", 4);
  } else if (w->depth >= 63) {
    if (!w->status) w->status = tl_fail(w->err, TL_ELIMIT, "cannot write JSON that nests deeper than 63 levels");
    put_raw(w, "null", 4);
  } else {
    bool is_array = type == TL_JSON_ARRAY;
    open_level(w, is_array);
    for (tl_json_iter iter = tl_json_iter_of(value); tl_json_iter_next(&iter, &key, &item);) {
      put_before_len(w, is_array ? NULL : key.data, key.len);
      put_copy(w, item);
    }
    tl_json_put_close(w);
  }
}

void tl_json_put_value(tl_json_writer *w, const char *key, const tl_json_value *value) {
  put_before(w, key);
  put_copy(w, value);
}

void tl_json_put_raw(tl_json_writer *w, const char *key, const char *text, size_t len) { put_value(w, key, text, len); }

tl_status tl_json_writer_end(tl_json_writer *w) {
  assert(w->depth == 0);
  return w->status;
}

size_t tl_f64_format(double value, char out[TL_F64_TEXT_MAX]) {
  char pool[1024]; /* yyjson asks its allocator for 32 bytes or so: never the heap, never fails */
  yyjson_alc alc;
  yyjson_mut_val number = {0};
  size_t len = 0;
  out[0] = 0;
  if (!isfinite(value)) return 0;
  yyjson_alc_pool_init(&alc, pool, sizeof pool);
  yyjson_mut_set_real(&number, value);
  const char *text = yyjson_mut_val_write_opts(&number, YYJSON_WRITE_NOFLAG, &alc, &len, NULL);
  assert(text && len < TL_F64_TEXT_MAX);
  memcpy(out, text, len);
  out[len] = 0;
  return len;
}
