/* inflate.c - gzip by libdeflate, which wants the whole input and an output that is large enough. */
#include "net/inflate.h"

#include <libdeflate.h>
#include <pthread.h>
#include <stdint.h>

#include "base/alloc.h"

enum { GZIP_BYTES_MIN = 18, DEFLATE_RATIO_MAX = 1032, FIRST_RATIO = 4 };

struct tl_inflate {
  struct libdeflate_decompressor *decompressor;
};

static pthread_once_t allocator_once = PTHREAD_ONCE_INIT;
static void set_allocator(void) { libdeflate_set_memory_allocator(tl_alloc, tl_free); }

tl_status tl_inflate_open(tl_inflate **out, tl_error *err) {
  pthread_once(&allocator_once, set_allocator);
  tl_inflate *inflate = tl_calloc(1, sizeof *inflate);
  if (inflate) inflate->decompressor = libdeflate_alloc_decompressor();
  if (!inflate || !inflate->decompressor) {
    tl_free(inflate);
    return tl_fail(err, TL_ENOMEM, "cannot prepare to inflate");
  }
  *out = inflate;
  return TL_OK;
}

void tl_inflate_close(tl_inflate *inflate) {
  if (!inflate) return;
  libdeflate_free_decompressor(inflate->decompressor);
  tl_free(inflate);
}

/* How much room to make first. The stream's own word for its size (its last four bytes) is a hint that may lie. */
static size_t first_guess(const uint8_t *data, size_t len, size_t bytes_max) {
  size_t hint = (size_t)data[len - 4] | (size_t)data[len - 3] << 8 | (size_t)data[len - 2] << 16 | (size_t)data[len - 1] << 24;
  size_t possible = len > SIZE_MAX / DEFLATE_RATIO_MAX ? SIZE_MAX : len * DEFLATE_RATIO_MAX;
  size_t guess = hint <= possible ? hint : len * FIRST_RATIO;
  return guess < bytes_max ? guess : bytes_max;
}

static tl_status too_large(size_t bytes_max, tl_error *err) {
  return tl_fail(err, TL_ELIMIT, "the answer inflates to more than %zu bytes", bytes_max);
}

/* Appends one member's text; *used is its length in the input. */
static tl_status take_member(tl_inflate *inflate, const uint8_t *data, size_t len, size_t bytes_max, tl_buf *text, size_t *used, tl_error *err) {
  for (;;) {
    size_t room = text->capacity_bytes - text->len - 1; /* the NUL's place */
    if (room > bytes_max - text->len) room = bytes_max - text->len;
    size_t made = 0;
    switch (libdeflate_gzip_decompress_ex(inflate->decompressor, data, len, text->data + text->len, room, used, &made)) {
    case LIBDEFLATE_SUCCESS:
      text->len += made;
      return TL_OK;
    case LIBDEFLATE_INSUFFICIENT_SPACE: break;
    case LIBDEFLATE_BAD_DATA:
    case LIBDEFLATE_SHORT_OUTPUT:
    default: return tl_fail(err, TL_ENET, "the compressed answer is damaged or cut short");
    }
    if (room >= bytes_max - text->len) return too_large(bytes_max, err);
    size_t more = room < 4096 ? 4096 : room * 2;
    if (more > bytes_max - text->len) more = bytes_max - text->len;
    tl_status st = tl_buf_reserve(text, more, err);
    if (st) return st;
  }
}

tl_status tl_inflate_gzip(tl_inflate *inflate, const void *data, size_t len, size_t bytes_max, tl_buf *text, tl_error *err) {
  const uint8_t *at = data;
  tl_buf_clear(text);
  if (len < GZIP_BYTES_MIN) return tl_fail(err, TL_ENET, "the compressed answer is cut short: %zu bytes", len);
  tl_status st = tl_buf_reserve(text, first_guess(at, len, bytes_max), err);
  size_t offset = 0;
  while (!st && offset < len) {
    if (offset && (len - offset < 2 || at[offset] != 0x1F || at[offset + 1] != 0x8B))
      st = tl_fail(err, TL_ENET, "%zu bytes follow the end of the compressed answer", len - offset);
    size_t used = 0;
    if (!st) st = take_member(inflate, at + offset, len - offset, bytes_max, text, &used, err);
    offset += used;
  }
  if (st) tl_buf_clear(text);
  else text->data[text->len] = 0;
  return st;
}
