/* pages.c - version 1 pages: all readers take them, levels are compressed with the values; see pages.h. */
#include "parquet/pages.h"

#include <string.h>

/* zstd's memory goes through base/alloc.h like all other: counted, and made to fail in tests. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

#include "base/alloc.h"
#include "parquet/thrift.h"

enum { SEND_BYTES = 256 * 1024, PAGE_DATA = 0, PAGE_DICTIONARY = 2 };

static void *zstd_alloc(void *opaque, size_t size_bytes) {
  (void)opaque;
  return tl_alloc(size_bytes);
}

static void zstd_free(void *opaque, void *block) {
  (void)opaque;
  tl_free(block);
}

tl_status tl_pages_init(tl_pages *pages, tl_error *err) {
  pages->zstd = ZSTD_createCCtx_advanced((ZSTD_customMem){zstd_alloc, zstd_free, NULL});
  return pages->zstd ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot make a compressor");
}

void tl_pages_deinit(tl_pages *pages) {
  ZSTD_freeCCtx(pages->zstd);
  tl_buf_deinit(&pages->body);
  tl_buf_deinit(&pages->header);
  tl_buf_deinit(&pages->out);
  *pages = (tl_pages){0};
}

int64_t tl_pages_offset(const tl_pages *pages) { return pages->sent_bytes + (int64_t)pages->out.len; }

tl_status tl_pages_send(tl_pages *pages, tl_error *err) {
  if (!pages->out.len) return TL_OK;
  tl_status st = pages->sink(pages->to, pages->out.data, pages->out.len, err);
  if (st) return st;
  pages->sent_bytes += (int64_t)pages->out.len;
  tl_buf_clear(&pages->out);
  return TL_OK;
}

/* The body goes behind the header, whose length depends on the compressed length: compress, then put in between. */
static tl_status add(tl_pages *pages, tl_chunk *chunk, size_t compressed, tl_error *err) {
  tl_buf *out = &pages->out, *header = &pages->header;
  tl_status st = tl_buf_reserve(out, header->len + compressed, err);
  if (st) return st;
  memmove(out->data + out->len + header->len, out->data + out->len, compressed);
  memcpy(out->data + out->len, header->data, header->len);
  out->len += header->len + compressed;
  chunk->plain_bytes += (int64_t)(header->len + pages->body.len);
  chunk->bytes += (int64_t)(header->len + compressed);
  tl_buf_clear(&pages->body);
  return out->len >= SEND_BYTES ? tl_pages_send(pages, err) : TL_OK;
}

static tl_status compress(tl_pages *pages, size_t *compressed, tl_error *err) {
  if (pages->body.len > INT32_MAX - (1 << 24))
    return tl_fail(err, TL_ELIMIT, "a page of %zu bytes is more than Parquet can hold", pages->body.len);
  size_t room = ZSTD_compressBound(pages->body.len);
  tl_status st = tl_buf_reserve(&pages->out, room, err);
  if (st) return st;
  *compressed = ZSTD_compressCCtx(pages->zstd, pages->out.data + pages->out.len, room, pages->body.data, pages->body.len,
                                  pages->level);
  if (!ZSTD_isError(*compressed)) return TL_OK;
  bool memory = ZSTD_getErrorCode(*compressed) == ZSTD_error_memory_allocation;
  return tl_fail(err, memory ? TL_ENOMEM : TL_EINTERNAL, "cannot compress a page: %s", ZSTD_getErrorName(*compressed));
}

tl_status tl_pages_try(tl_pages *pages, size_t *compressed, tl_error *err) {
  tl_status st = compress(pages, compressed, err);
  tl_buf_clear(&pages->body);
  return st;
}

static tl_status add_page(tl_pages *pages, tl_chunk *chunk, int type, size_t count, tl_error *err) {
  size_t compressed = 0;
  tl_status st = compress(pages, &compressed, err);
  if (st) return st;
  tl_buf_clear(&pages->header);
  tl_thrift t = tl_thrift_init(&pages->header, err);
  tl_thrift_i32(&t, 1, type);
  tl_thrift_i32(&t, 2, (int32_t)pages->body.len);
  tl_thrift_i32(&t, 3, (int32_t)compressed);
  tl_thrift_begin(&t, type == PAGE_DATA ? 5 : 7);
  tl_thrift_i32(&t, 1, (int32_t)count);
  tl_thrift_i32(&t, 2, type == PAGE_DATA ? chunk->encoding : TL_ENCODING_PLAIN);
  if (type == PAGE_DATA) {
    tl_thrift_i32(&t, 3, TL_ENCODING_RLE);
    tl_thrift_i32(&t, 4, TL_ENCODING_RLE);
  }
  tl_thrift_end(&t);
  tl_thrift_end(&t);
  return t.status ? t.status : add(pages, chunk, compressed, err);
}

tl_status tl_pages_add_dictionary(tl_pages *pages, tl_chunk *chunk, size_t values, tl_error *err) {
  return add_page(pages, chunk, PAGE_DICTIONARY, values, err);
}

tl_status tl_pages_add_data(tl_pages *pages, tl_chunk *chunk, size_t entries, tl_error *err) {
  return add_page(pages, chunk, PAGE_DATA, entries, err);
}
