/* thrift.h - the part of Thrift's compact protocol that Parquet's footer and page headers need, write only.
 *
 * Writes into one tl_buf. The first failure sticks: later calls do nothing and tl_thrift_status tells it, so callers
 * need no check per field. Fields of a struct must be written in ascending id. A struct inside a list has no field
 * header: use tl_thrift_item. Cost: a few bytes a field. Not here: reading, maps, doubles, sets. */
#ifndef TL_PARQUET_THRIFT_H
#define TL_PARQUET_THRIFT_H
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { TL_THRIFT_DEPTH_MAX = 12 };
enum { TL_THRIFT_I32 = 5, TL_THRIFT_BINARY = 8, TL_THRIFT_STRUCT = 12 }; /* element types of lists */

typedef struct tl_thrift {
  tl_buf *out;
  tl_error *err;
  tl_status status;
  int depth;
  int last_id[TL_THRIFT_DEPTH_MAX];
} tl_thrift;

tl_thrift tl_thrift_init(tl_buf *out, tl_error *err); /* inside the outermost struct */
void tl_thrift_bool(tl_thrift *t, int id, bool value);
void tl_thrift_i32(tl_thrift *t, int id, int32_t value);
void tl_thrift_i64(tl_thrift *t, int id, int64_t value);
void tl_thrift_binary(tl_thrift *t, int id, const void *data, size_t len);
void tl_thrift_begin(tl_thrift *t, int id); /* a struct field; close with tl_thrift_end */
void tl_thrift_list(tl_thrift *t, int id, int element_type, size_t count); /* then count items */
void tl_thrift_item(tl_thrift *t);          /* a struct as list item; close with tl_thrift_end */
void tl_thrift_item_i32(tl_thrift *t, int32_t value);
void tl_thrift_item_binary(tl_thrift *t, const void *data, size_t len);
void tl_thrift_raw(tl_thrift *t, const void *data, size_t len); /* bytes that are compact protocol already */
void tl_thrift_end(tl_thrift *t); /* of the struct opened last, the outermost one too */
#endif
