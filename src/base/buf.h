/* buf.h - growing bytes, and borrowed (pointer, length) views.
 * A tl_buf is {0} when empty and always keeps a NUL after len once it holds memory, so data can be printed. */
#ifndef TL_BASE_BUF_H
#define TL_BASE_BUF_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

typedef struct tl_text { /* borrowed; not NUL-terminated */
  const char *data;
  size_t len;
} tl_text;

static inline tl_text tl_text_of(const char *data, size_t len) { return (tl_text){data, len}; }
static inline int tl_hex_digit(char c) { /* -1 when it is none */
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
tl_text tl_text_from(const char *cstr); /* NULL gives an empty text */
bool tl_text_equal(tl_text a, tl_text b);
bool tl_text_is(tl_text a, const char *cstr);
/* Length of the valid UTF-8 sequence at data (at most len bytes, len > 0), 0 when there is none. */
size_t tl_utf8_length(const char *data, size_t len);

typedef struct tl_buf {
  char *data;
  size_t len, capacity_bytes;
} tl_buf;

tl_status tl_buf_reserve(tl_buf *buf, size_t extra_bytes, tl_error *err); /* may fail; content stays */
tl_status tl_buf_append(tl_buf *buf, const void *data, size_t len, tl_error *err);
tl_status tl_buf_appends(tl_buf *buf, const char *cstr, tl_error *err);
tl_status tl_buf_appendf(tl_buf *buf, tl_error *err, const char *format, ...) TL_PRINTF(3, 4);
tl_status tl_buf_vappendf(tl_buf *buf, tl_error *err, const char *format, va_list args);
void tl_buf_clear(tl_buf *buf);  /* len 0, memory kept */
void tl_buf_deinit(tl_buf *buf); /* {0} and twice are fine */
char *tl_buf_take(tl_buf *buf);  /* caller owns the bytes (tl_free); buf becomes {0}; NULL when it holds none */

/* Appends text as a JSON string with quotes; bytes that are not UTF-8 become U+FFFD. */
tl_status tl_buf_append_json(tl_buf *buf, const char *data, size_t len, tl_error *err);
#endif
