/* buf.c - growing bytes. Amortised O(1) appends: capacity doubles. */
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

tl_text tl_text_from(const char *cstr) { return (tl_text){cstr, cstr ? strlen(cstr) : 0}; }

bool tl_text_equal(tl_text a, tl_text b) { return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len)); }

bool tl_text_is(tl_text a, const char *cstr) { return tl_text_equal(a, tl_text_from(cstr)); }

tl_status tl_buf_reserve(tl_buf *buf, size_t extra_bytes, tl_error *err) {
  size_t need = 0;
  if (__builtin_add_overflow(buf->len, extra_bytes, &need) || __builtin_add_overflow(need, (size_t)1, &need))
    return tl_fail(err, TL_ENOMEM, "cannot grow a buffer of %zu bytes by %zu", buf->len, extra_bytes);
  if (need <= buf->capacity_bytes) return TL_OK;
  size_t capacity = buf->capacity_bytes > SIZE_MAX / 2 ? need : buf->capacity_bytes * 2;
  if (capacity < need) capacity = need;
  if (capacity < 64) capacity = 64;
  char *grown = tl_realloc(buf->data, capacity);
  if (!grown) return tl_fail(err, TL_ENOMEM, "cannot grow a buffer to %zu bytes", capacity);
  grown[buf->len] = 0;
  buf->data = grown;
  buf->capacity_bytes = capacity;
  return TL_OK;
}

tl_status tl_buf_append(tl_buf *buf, const void *data, size_t len, tl_error *err) {
  tl_status st = tl_buf_reserve(buf, len, err);
  if (st) return st;
  if (len) memcpy(buf->data + buf->len, data, len);
  buf->len += len;
  buf->data[buf->len] = 0;
  return TL_OK;
}

tl_status tl_buf_appends(tl_buf *buf, const char *cstr, tl_error *err) {
  return tl_buf_append(buf, cstr, strlen(cstr), err);
}

tl_status tl_buf_vappendf(tl_buf *buf, tl_error *err, const char *format, va_list args) {
  va_list again;
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, again);
  va_end(again);
  if (n < 0) return tl_fail(err, TL_EINTERNAL, "cannot format '%s'", format);
  tl_status st = tl_buf_reserve(buf, (size_t)n, err);
  if (st) return st;
  vsnprintf(buf->data + buf->len, (size_t)n + 1, format, args);
  buf->len += (size_t)n;
  return TL_OK;
}

tl_status tl_buf_appendf(tl_buf *buf, tl_error *err, const char *format, ...) {
  va_list args;
  va_start(args, format);
  tl_status st = tl_buf_vappendf(buf, err, format, args);
  va_end(args);
  return st;
}

void tl_buf_clear(tl_buf *buf) {
  buf->len = 0;
  if (buf->data) buf->data[0] = 0;
}

void tl_buf_deinit(tl_buf *buf) {
  tl_free(buf->data);
  *buf = (tl_buf){0};
}

char *tl_buf_take(tl_buf *buf) {
  char *data = buf->data;
  *buf = (tl_buf){0};
  return data;
}

size_t tl_utf8_length(const char *data, size_t n) {
  const unsigned char *p = (const unsigned char *)data;
  if (p[0] < 0x80) return 1;
  size_t len = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
  if (p[0] < 0xC2 || p[0] > 0xF4 || n < len) return 0;
  for (size_t i = 1; i < len; i++)
    if ((p[i] & 0xC0u) != 0x80u) return 0;
  if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F)) return 0;
  if ((p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F)) return 0;
  return len;
}

tl_status tl_buf_append_json(tl_buf *buf, const char *data, size_t len, tl_error *err) {
  tl_status st = tl_buf_append(buf, "\"", 1, err);
  for (size_t i = 0; !st && i < len;) {
    unsigned char c = (unsigned char)data[i];
    if (c == '"' || c == '\\') {
      char pair[2] = {'\\', (char)c};
      st = tl_buf_append(buf, pair, 2, err);
      i++;
    } else if (c < 0x20) {
      st = tl_buf_appendf(buf, err, "\\u%04x", c);
      i++;
    } else {
      size_t n = tl_utf8_length(data + i, len - i);
      st = n ? tl_buf_append(buf, data + i, n, err) : tl_buf_append(buf, "\xEF\xBF\xBD", 3, err);
      i += n ? n : 1;
    }
  }
  return st ? st : tl_buf_append(buf, "\"", 1, err);
}
