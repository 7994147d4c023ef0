/* Any bytes as a gzip body, and any text compressed, flipped and cut: what comes out is what zlib says was put in, or an
 * error and nothing. */
#include <zlib.h>

#include "net/inflate.h"
#include "tests/fuzz/check.h"

enum { TEXT_MAX = 1 << 16, GZIP = 15 + 16 };

/* zlib's reading of all members; -1 when it is not a whole, sound stream of at most TEXT_MAX bytes. */
static long reference(const uint8_t *data, size_t size, unsigned char *text) {
  z_stream z = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)size, .next_out = text, .avail_out = TEXT_MAX};
  if (inflateInit2(&z, GZIP) != Z_OK) return -1;
  int rc = Z_STREAM_END;
  do {
    if ((rc = inflate(&z, Z_FINISH)) != Z_STREAM_END) break;
    uLong so_far = z.avail_out;
    inflateReset(&z);
    z.avail_out = (uInt)so_far;
  } while (z.avail_in);
  long got = rc == Z_STREAM_END && !z.avail_in ? (long)(TEXT_MAX - z.avail_out) : -1;
  inflateEnd(&z);
  return got;
}

static void try_body(tl_inflate *inflate, const uint8_t *data, size_t size, size_t limit, tl_buf *text) {
  static unsigned char expected[TEXT_MAX];
  tl_error err = {0};
  tl_status st = tl_inflate_gzip(inflate, data, size, limit, text, &err);
  check(st == TL_OK || st == TL_ENET || st == TL_ELIMIT, "a status nobody promised");
  check(st == TL_OK ? text->len <= limit : !text->len && err.message[0], "text over the limit, or after a failure, or no reason");
  long known = reference(data, size, expected);
  if (known < 0 || st == TL_ELIMIT) return;
  check(st != TL_OK || ((size_t)known == text->len && !memcmp(expected, text->data ? text->data : "", text->len)), "not what zlib reads");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static tl_inflate *inflate;
  static tl_buf text;
  static uint8_t packed[TEXT_MAX * 2];
  if (!inflate) check(tl_inflate_open(&inflate, NULL) == TL_OK, "cannot open");
  if (size < 3 || size > TEXT_MAX / 2) return 0;
  size_t at = (size_t)data[0] << 8 | data[1];
  try_body(inflate, data + 2, size - 2, data[0] & 1 ? 100 : TEXT_MAX, &text);

  z_stream z = {.next_in = (Bytef *)(uintptr_t)(data + 2), .avail_in = (uInt)(size - 2), .next_out = packed, .avail_out = sizeof packed};
  check(deflateInit2(&z, data[1] % 10, Z_DEFLATED, GZIP, 8, data[0] % 5) == Z_OK && deflate(&z, Z_FINISH) == Z_STREAM_END, "cannot compress");
  size_t packed_len = sizeof packed - z.avail_out;
  deflateEnd(&z);
  check(tl_inflate_gzip(inflate, packed, packed_len, TEXT_MAX, &text, NULL) == TL_OK && text.len == size - 2 && !memcmp(text.data, data + 2, text.len),
        "a sound stream is not read as it was");
  check(tl_inflate_gzip(inflate, packed, at % packed_len, TEXT_MAX, &text, NULL) != TL_OK, "a cut stream is taken");
  packed[at % packed_len] ^= (uint8_t)(1u << (at % 8));
  if (tl_inflate_gzip(inflate, packed, packed_len, TEXT_MAX, &text, NULL) == TL_OK)
    check(text.len == size - 2 && !memcmp(text.data, data + 2, text.len), "a flipped bit gave another text");
  return 0;
}
