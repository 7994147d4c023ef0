/* thrift.c - compact protocol: a field is (id delta << 4 | type), integers are zigzag varints; see thrift.h. */
#include "parquet/thrift.h"

#include <assert.h>
#include <string.h>

enum { TYPE_TRUE = 1, TYPE_FALSE = 2, TYPE_I32 = 5, TYPE_I64 = 6, TYPE_BINARY = 8, TYPE_LIST = 9, TYPE_STRUCT = 12 };

tl_thrift tl_thrift_init(tl_buf *out, tl_error *err) { return (tl_thrift){.out = out, .err = err}; }

void tl_thrift_raw(tl_thrift *t, const void *data, size_t len) {
  if (!t->status && len) t->status = tl_buf_append(t->out, data, len, t->err);
}

static void put_varint(tl_thrift *t, uint64_t value) {
  uint8_t bytes[10];
  size_t len = 0;
  for (; value >= 0x80; value >>= 7) bytes[len++] = (uint8_t)(value | 0x80);
  bytes[len++] = (uint8_t)value;
  tl_thrift_raw(t, bytes, len);
}

static void put_zigzag(tl_thrift *t, int64_t value) {
  put_varint(t, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

static void put_header(tl_thrift *t, int id, int type) {
  int delta = id - t->last_id[t->depth];
  assert(delta > 0 && delta <= 15); /* Parquet's ids are dense: the long form never comes up */
  uint8_t byte = (uint8_t)((delta << 4) | type);
  tl_thrift_raw(t, &byte, 1);
  t->last_id[t->depth] = id;
}

void tl_thrift_bool(tl_thrift *t, int id, bool value) { put_header(t, id, value ? TYPE_TRUE : TYPE_FALSE); }

void tl_thrift_i32(tl_thrift *t, int id, int32_t value) {
  put_header(t, id, TYPE_I32);
  put_zigzag(t, value);
}

void tl_thrift_i64(tl_thrift *t, int id, int64_t value) {
  put_header(t, id, TYPE_I64);
  put_zigzag(t, value);
}

void tl_thrift_binary(tl_thrift *t, int id, const void *data, size_t len) {
  put_header(t, id, TYPE_BINARY);
  tl_thrift_item_binary(t, data, len);
}

void tl_thrift_begin(tl_thrift *t, int id) {
  put_header(t, id, TYPE_STRUCT);
  tl_thrift_item(t);
}

void tl_thrift_list(tl_thrift *t, int id, int element_type, size_t count) {
  put_header(t, id, TYPE_LIST);
  uint8_t byte = (uint8_t)((count < 15 ? count << 4 : 0xF0u) | (unsigned)element_type);
  tl_thrift_raw(t, &byte, 1);
  if (count >= 15) put_varint(t, count);
}

void tl_thrift_item(tl_thrift *t) {
  assert(t->depth + 1 < TL_THRIFT_DEPTH_MAX);
  t->last_id[++t->depth] = 0;
}

void tl_thrift_item_i32(tl_thrift *t, int32_t value) { put_zigzag(t, value); }

void tl_thrift_item_binary(tl_thrift *t, const void *data, size_t len) {
  put_varint(t, len);
  tl_thrift_raw(t, data, len);
}

void tl_thrift_end(tl_thrift *t) {
  uint8_t stop = 0;
  tl_thrift_raw(t, &stop, 1);
  if (t->depth > 0) t->depth--;
}
