/* footer.c - FileMetaData of parquet.thrift, field by field; see footer.h. */
#include "parquet/footer.h"

#include <string.h>

#include "parquet/thrift.h"
#include "ticklake/ticklake.h"

enum { TYPE_INT64 = 2, TYPE_DOUBLE = 5, TYPE_BYTE_ARRAY = 6 };
enum { REQUIRED = 0, OPTIONAL = 1, REPEATED = 2 };
enum { CONVERTED_UTF8 = 0, CONVERTED_LIST = 3, CONVERTED_TIMESTAMP_MICROS = 10 };
enum { LOGICAL_STRING = 1, LOGICAL_LIST = 3, LOGICAL_TIMESTAMP = 8 };
enum { UNIT_MICROS = 2, CODEC_ZSTD = 6 };

static int physical_type(tl_leaf_kind kind) {
  switch (kind) {
    case TL_LEAF_TIME_US:
    case TL_LEAF_I64: return TYPE_INT64;
    case TL_LEAF_F64: return TYPE_DOUBLE;
    case TL_LEAF_TEXT:
    case TL_LEAF_LIST: break;
  }
  return TYPE_BYTE_ARRAY;
}

static void put_name(tl_thrift *t, const char *name) { tl_thrift_binary(t, 4, name, strlen(name)); }

static void put_empty_struct(tl_thrift *t, int id) {
  tl_thrift_begin(t, id);
  tl_thrift_end(t);
}

static void put_group(tl_thrift *t, const char *name, int repetition, bool is_list) {
  tl_thrift_item(t);
  tl_thrift_i32(t, 3, repetition);
  put_name(t, name);
  tl_thrift_i32(t, 5, 1); /* children */
  if (is_list) {
    tl_thrift_i32(t, 6, CONVERTED_LIST);
    tl_thrift_begin(t, 10);
    put_empty_struct(t, LOGICAL_LIST);
    tl_thrift_end(t);
  }
  tl_thrift_end(t);
}

static void put_timestamp(tl_thrift *t) {
  tl_thrift_begin(t, 10);
  tl_thrift_begin(t, LOGICAL_TIMESTAMP);
  tl_thrift_bool(t, 1, true); /* isAdjustedToUTC */
  tl_thrift_begin(t, 2);
  put_empty_struct(t, UNIT_MICROS);
  tl_thrift_end(t);
  tl_thrift_end(t);
  tl_thrift_end(t);
}

static void put_leaf(tl_thrift *t, const char *name, tl_leaf_kind kind) {
  bool text = kind == TL_LEAF_TEXT || kind == TL_LEAF_LIST;
  tl_thrift_item(t);
  tl_thrift_i32(t, 1, physical_type(kind));
  tl_thrift_i32(t, 3, OPTIONAL);
  put_name(t, name);
  if (kind == TL_LEAF_TIME_US) {
    tl_thrift_i32(t, 6, CONVERTED_TIMESTAMP_MICROS);
    put_timestamp(t);
  } else if (text) {
    tl_thrift_i32(t, 6, CONVERTED_UTF8);
    tl_thrift_begin(t, 10);
    put_empty_struct(t, LOGICAL_STRING);
    tl_thrift_end(t);
  }
  tl_thrift_end(t);
}

static void put_schema(tl_thrift *t, const tl_leaf *leaves, size_t leaf_count) {
  size_t elements = 1 + leaf_count;
  for (size_t i = 0; i < leaf_count; i++) elements += leaves[i].kind == TL_LEAF_LIST ? 2 : 0;
  tl_thrift_list(t, 2, TL_THRIFT_STRUCT, elements);
  tl_thrift_item(t);
  put_name(t, "schema");
  tl_thrift_i32(t, 5, (int32_t)leaf_count);
  tl_thrift_end(t);
  for (size_t i = 0; i < leaf_count; i++) {
    bool list = leaves[i].kind == TL_LEAF_LIST;
    if (list) {
      put_group(t, leaves[i].name, OPTIONAL, true);
      put_group(t, "list", REPEATED, false);
    }
    put_leaf(t, list ? "element" : leaves[i].name, leaves[i].kind);
  }
}

static void put_statistics(tl_thrift *t, const tl_leaf *leaf, const tl_chunk *chunk) {
  if (leaf->kind == TL_LEAF_LIST) return; /* readers differ in what a null count of list items counts */
  tl_thrift_begin(t, 12);
  tl_thrift_i64(t, 3, chunk->null_count);
  if (chunk->has_bounds) {
    tl_thrift_binary(t, 5, chunk->max.data, chunk->max.len);
    tl_thrift_binary(t, 6, chunk->min.data, chunk->min.len);
  }
  tl_thrift_end(t);
}

static void put_chunk(tl_thrift *t, const tl_leaf *leaf, const tl_chunk *chunk) {
  bool dictionary = chunk->encoding == TL_ENCODING_DICTIONARY, list = leaf->kind == TL_LEAF_LIST;
  tl_thrift_item(t);
  tl_thrift_i64(t, 2, 0); /* file_offset: deprecated, 0 says the metadata is only here */
  tl_thrift_begin(t, 3);
  tl_thrift_i32(t, 1, physical_type(leaf->kind));
  tl_thrift_list(t, 2, TL_THRIFT_I32, dictionary ? 3 : 2);
  if (dictionary) tl_thrift_item_i32(t, TL_ENCODING_PLAIN);
  tl_thrift_item_i32(t, TL_ENCODING_RLE);
  tl_thrift_item_i32(t, chunk->encoding);
  tl_thrift_list(t, 3, TL_THRIFT_BINARY, list ? 3 : 1);
  tl_thrift_item_binary(t, leaf->name, strlen(leaf->name));
  if (list) {
    tl_thrift_item_binary(t, "list", 4);
    tl_thrift_item_binary(t, "element", 7);
  }
  tl_thrift_i32(t, 4, CODEC_ZSTD);
  tl_thrift_i64(t, 5, chunk->entries);
  tl_thrift_i64(t, 6, chunk->plain_bytes);
  tl_thrift_i64(t, 7, chunk->bytes);
  tl_thrift_i64(t, 9, chunk->data_offset);
  if (dictionary) tl_thrift_i64(t, 11, chunk->offset);
  put_statistics(t, leaf, chunk);
  tl_thrift_end(t);
  tl_thrift_end(t);
}

tl_status tl_footer_add_group(tl_buf *groups, const tl_leaf *leaves, const tl_chunk *chunks, size_t leaf_count, int64_t rows,
                              int sorted_leaf, tl_error *err) {
  tl_thrift t = tl_thrift_init(groups, err);
  int64_t plain_bytes = 0, bytes = 0;
  tl_thrift_list(&t, 1, TL_THRIFT_STRUCT, leaf_count);
  for (size_t i = 0; i < leaf_count; i++) {
    put_chunk(&t, &leaves[i], &chunks[i]);
    plain_bytes += chunks[i].plain_bytes;
    bytes += chunks[i].bytes;
  }
  tl_thrift_i64(&t, 2, plain_bytes);
  tl_thrift_i64(&t, 3, rows);
  if (sorted_leaf >= 0) {
    tl_thrift_list(&t, 4, TL_THRIFT_STRUCT, 1);
    tl_thrift_item(&t);
    tl_thrift_i32(&t, 1, sorted_leaf);
    tl_thrift_bool(&t, 2, false); /* descending */
    tl_thrift_bool(&t, 3, false); /* nulls_first */
    tl_thrift_end(&t);
  }
  tl_thrift_i64(&t, 5, chunks[0].offset);
  tl_thrift_i64(&t, 6, bytes);
  tl_thrift_end(&t);
  return t.status;
}

tl_status tl_footer_end(tl_buf *out, const tl_leaf *leaves, size_t leaf_count, int64_t rows, const tl_buf *groups,
                        size_t group_count, tl_error *err) {
  static const char maker[] = "ticklake version " TICKLAKE_VERSION;
  size_t begin = out->len;
  tl_thrift t = tl_thrift_init(out, err);
  tl_thrift_i32(&t, 1, 2); /* version 2: DELTA_BINARY_PACKED is among its encodings */
  put_schema(&t, leaves, leaf_count);
  tl_thrift_i64(&t, 3, rows);
  tl_thrift_list(&t, 4, TL_THRIFT_STRUCT, group_count);
  tl_thrift_raw(&t, groups->data, groups->len);
  tl_thrift_binary(&t, 6, maker, sizeof maker - 1);
  tl_thrift_list(&t, 7, TL_THRIFT_STRUCT, leaf_count); /* column_orders: all TypeDefinedOrder */
  for (size_t i = 0; i < leaf_count; i++) {
    tl_thrift_item(&t);
    put_empty_struct(&t, 1);
    tl_thrift_end(&t);
  }
  tl_thrift_end(&t);
  if (t.status) return t.status;
  size_t len = out->len - begin;
  if (len > INT32_MAX) return tl_fail(err, TL_ELIMIT, "a footer of %zu bytes is more than Parquet can hold", len);
  uint32_t len32 = (uint32_t)len;
  tl_status st = tl_buf_append(out, &len32, sizeof len32, err);
  return st ? st : tl_buf_append(out, "PAR1", 4, err);
}
