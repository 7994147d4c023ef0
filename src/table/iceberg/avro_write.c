/* avro_write.c - writing Avro object container files; see avro.h. */
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"
#include "table/iceberg/avro.h"

enum { BLOCK_BYTES = 256 << 10 };

static void keep(tl_avro_writer *w, tl_status st) {
  if (!w->status) w->status = st;
}

static void raw(tl_avro_writer *w, tl_buf *to, const void *data, size_t len) {
  if (!w->status) keep(w, tl_buf_append(to, data, len, w->err));
}

static void raw_long(tl_avro_writer *w, tl_buf *to, int64_t value) {
  uint64_t zigzag = (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
  uint8_t bytes[10];
  size_t len = 0;
  for (; zigzag > 0x7f; zigzag >>= 7) bytes[len++] = (uint8_t)(zigzag | 0x80);
  bytes[len++] = (uint8_t)zigzag;
  raw(w, to, bytes, len);
}

static void raw_bytes(tl_avro_writer *w, tl_buf *to, const void *data, size_t len) {
  raw_long(w, to, (int64_t)len);
  raw(w, to, data, len);
}

static void raw_pair(tl_avro_writer *w, const char *key, const char *value) {
  raw_bytes(w, w->out, key, strlen(key));
  raw_bytes(w, w->out, value, strlen(value));
}

void tl_avro_begin(tl_avro_writer *w, tl_buf *out, const char *schema_json, const tl_avro_pair *meta, size_t meta_count,
                   const char sync[16], bool deflate, tl_error *err) {
  *w = (tl_avro_writer){.out = out, .deflate = deflate, .err = err};
  memcpy(w->sync, sync, sizeof w->sync);
  raw(w, out, "Obj\x01", 4);
  raw_long(w, out, (int64_t)meta_count + 2);
  raw_pair(w, "avro.codec", deflate ? "deflate" : "null"); /* stated even when null: some readers guess otherwise */
  raw_pair(w, "avro.schema", schema_json);
  for (size_t i = 0; i < meta_count; i++) raw_pair(w, meta[i].key, meta[i].value);
  raw_long(w, out, 0);
  raw(w, out, w->sync, sizeof w->sync);
}

void tl_avro_put_long(tl_avro_writer *w, int64_t value) { raw_long(w, &w->block, value); }

void tl_avro_put_boolean(tl_avro_writer *w, bool value) { raw(w, &w->block, value ? "\x01" : "\x00", 1); }

static void put_little(tl_avro_writer *w, uint64_t bits, size_t len) {
  uint8_t bytes[8];
  for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)(bits >> (8 * i));
  raw(w, &w->block, bytes, len);
}

void tl_avro_put_float(tl_avro_writer *w, float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  put_little(w, bits, 4);
}

void tl_avro_put_double(tl_avro_writer *w, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  put_little(w, bits, 8);
}

void tl_avro_put_bytes(tl_avro_writer *w, const void *data, size_t len) { raw_bytes(w, &w->block, data, len); }

void tl_avro_put_fixed(tl_avro_writer *w, const void *data, size_t len) { raw(w, &w->block, data, len); }

static void flush_deflated(tl_avro_writer *w) {
  z_stream z = {.zalloc = tl_avro_zlib_alloc, .zfree = tl_avro_zlib_free, .next_in = (Bytef *)w->block.data, .avail_in = (uInt)w->block.len};
  tl_buf packed = {0};
  if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    keep(w, tl_fail(w->err, TL_ENOMEM, "cannot deflate a block of Avro"));
    return;
  }
  size_t room = deflateBound(&z, (uLong)w->block.len);
  keep(w, tl_buf_reserve(&packed, room, w->err));
  if (!w->status) {
    z.next_out = (Bytef *)packed.data;
    z.avail_out = (uInt)room;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END) keep(w, tl_fail(w->err, TL_EINTERNAL, "cannot deflate a block of Avro"));
    raw_bytes(w, w->out, packed.data, room - z.avail_out);
  }
  deflateEnd(&z);
  tl_buf_deinit(&packed);
}

static void flush(tl_avro_writer *w) {
  if (!w->objects) return;
  raw_long(w, w->out, w->objects);
  if (w->deflate) flush_deflated(w);
  else raw_bytes(w, w->out, w->block.data, w->block.len);
  raw(w, w->out, w->sync, sizeof w->sync);
  tl_buf_clear(&w->block);
  w->objects = 0;
}

void tl_avro_put_end(tl_avro_writer *w) {
  w->objects++;
  if (w->block.len >= BLOCK_BYTES && !w->status) flush(w);
}

tl_status tl_avro_finish(tl_avro_writer *w) {
  if (!w->status) flush(w);
  tl_buf_deinit(&w->block);
  return w->status;
}
