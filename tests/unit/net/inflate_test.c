/* RELIABILITY 15 and 16: whatever happens to a gzip stream, the text is the original or there is an error. zlib makes
 * the streams, so the code under test is not its own judge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/prng.h"
#include "net/inflate.h"

enum { CAP = 8 << 20 };
static tl_inflate *inflate_tool;
static tl_buf text;

static size_t pack(const void *data, size_t len, unsigned char *out, size_t size) {
  z_stream z = {0};
  if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) abort();
  z.next_in = (Bytef *)(uintptr_t)data;
  z.avail_in = (uInt)len;
  z.next_out = out;
  z.avail_out = (uInt)size;
  if (deflate(&z, Z_FINISH) != Z_STREAM_END) abort();
  size_t made = z.total_out;
  deflateEnd(&z);
  return made;
}

/* JSON-like text that compresses to roughly `stream_bytes`. */
static size_t make_stream(size_t stream_bytes, char **plain, size_t *plain_len, unsigned char **stream) {
  size_t size = stream_bytes * 16 + 65536;
  *plain = malloc(size);
  *stream = malloc(size);
  tl_prng p = tl_prng_init(7);
  size_t len = 0, made = 0;
  while (made < stream_bytes && len + 64 < size) {
    for (int i = 0; i < 8; i++)
      len += (size_t)snprintf(*plain + len, 64, "{\"p\":%u.%02u,\"s\":%u},", (unsigned)tl_prng_below(&p, 999), (unsigned)tl_prng_below(&p, 99), (unsigned)tl_prng_below(&p, 9));
    if (stream_bytes < 4096 || len > stream_bytes * 2) made = pack(*plain, len, *stream, size);
  }
  *plain_len = len;
  return made;
}

static tl_status take(const void *data, size_t len, size_t cap, tl_error *err) { return tl_inflate_gzip(inflate_tool, data, len, cap, &text, err); }

static void whole_streams_give_their_text(void **state) {
  (void)state;
  static char zeros[(3 << 20) + 1];
  static const size_t sizes[] = {0, 1, 100, 65536, 3 << 20};
  unsigned char *stream = malloc(4 << 20);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    tl_error err = {0};
    size_t len = pack(zeros, sizes[i], stream, 4 << 20);
    assert_int_equal(take(stream, len, CAP, &err), TL_OK);
    assert_int_equal(text.len, sizes[i]);
    assert_memory_equal(text.data, zeros, sizes[i] + 1); /* and a NUL */
  }
  free(stream);
}

static void every_prefix_is_refused(void **state) {
  (void)state;
  char *plain;
  size_t plain_len;
  unsigned char *stream;
  size_t len = make_stream(65536, &plain, &plain_len, &stream);
  assert_true(len >= 65536);
  const char *scale = getenv("TICKLAKE_RELIABILITY_SCALE"); /* below 1: all near both ends, the middle in steps */
  size_t step = !scale || strtof(scale, NULL) >= 1 ? 1 : 13;
  for (size_t cut = 0; cut < len; cut++) {
    tl_error err = {0};
    unsigned char *exact = malloc(cut ? cut : 1); /* so that reading past the end is seen */
    memcpy(exact, stream, cut);
    assert_int_equal(take(exact, cut, CAP, &err), TL_ENET);
    assert_true(err.message[0] && !text.len);
    free(exact);
    if (len - cut > 2048 && cut > 2048) cut += step - 1;
  }
  assert_int_equal(take(stream, len, CAP, NULL), TL_OK);
  assert_int_equal(text.len, plain_len);
  free(plain);
  free(stream);
}

static void every_flipped_bit_is_refused_or_harmless(void **state) {
  (void)state;
  char *plain;
  size_t plain_len, harmless = 0;
  unsigned char *stream;
  size_t len = make_stream(1024, &plain, &plain_len, &stream);
  assert_true(len >= 1024);
  for (size_t bit = 0; bit < len * 8; bit++) {
    stream[bit / 8] ^= (unsigned char)(1u << bit % 8);
    tl_error err = {0};
    tl_status st = take(stream, len, CAP, &err);
    if (!st) {
      assert_int_equal(text.len, plain_len);
      assert_memory_equal(text.data, plain, plain_len);
      harmless++;
    } else {
      assert_true((st == TL_ENET || st == TL_ELIMIT) && err.message[0] && !text.len);
    }
    stream[bit / 8] ^= (unsigned char)(1u << bit % 8);
  }
  assert_in_range(harmless, 1, 9 * 8); /* time stamp, system and flag bytes of the header carry no data */
  free(plain);
  free(stream);
}

static void members_follow_each_other_but_nothing_else_does(void **state) {
  (void)state;
  unsigned char stream[512];
  size_t a = pack("abc", 3, stream, sizeof stream), b = pack("", 0, stream + a, sizeof stream - a), c = pack("defg", 4, stream + a + b, sizeof stream - a - b);
  size_t len = a + b + c;
  tl_error err = {0};
  assert_int_equal(take(stream, len, CAP, &err), TL_OK);
  assert_string_equal(text.data, "abcdefg");
  assert_int_equal(take(stream, len, 7, &err), TL_OK);
  assert_int_equal(take(stream, len, 6, &err), TL_ELIMIT);
  static const char *const tails[] = {"x", "\0", "\x1F", "\x1F\x8B", "\x1F\x8B\x08", "junk that is longer than a gzip header"};
  static const size_t tail_len[] = {1, 1, 1, 2, 3, 38};
  for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
    memcpy(stream + len, tails[i], tail_len[i]);
    assert_int_equal(take(stream, len + tail_len[i], CAP, &err), TL_ENET);
    assert_int_equal(text.len, 0);
  }
}

static void wrong_sum_or_length_is_refused(void **state) {
  (void)state;
  unsigned char stream[256];
  size_t len = pack("some text", 9, stream, sizeof stream);
  for (size_t i = 1; i <= 8; i++) { /* CRC32 and ISIZE */
    stream[len - i] ^= 0x55;
    assert_int_equal(take(stream, len, CAP, NULL), TL_ENET);
    stream[len - i] ^= 0x55;
  }
  assert_int_equal(take("plain text that is not gzip", 27, CAP, NULL), TL_ENET);
}

static void bombs_stop_at_the_limit(void **state) {
  (void)state;
  size_t plain_len = (size_t)256 << 20, size = 1 << 20;
  unsigned char *stream = malloc(size);
  z_stream z = {.next_out = stream, .avail_out = (uInt)size};
  if (deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY) != Z_OK) abort();
  static unsigned char zeros[1 << 20];
  for (size_t i = 0; i < plain_len >> 20; i++) {
    z.next_in = zeros;
    z.avail_in = sizeof zeros;
    if (deflate(&z, i + 1 < plain_len >> 20 ? Z_NO_FLUSH : Z_FINISH) < 0) abort();
  }
  size_t len = z.total_out;
  deflateEnd(&z);
  tl_error err = {0};
  assert_int_equal(take(stream, len, CAP, &err), TL_ELIMIT);
  assert_non_null(strstr(err.message, "8388608"));
  assert_true(text.capacity_bytes <= (size_t)2 * CAP + 64);
  stream[len - 4] = stream[len - 3] = stream[len - 2] = stream[len - 1] = 0; /* says it is empty */
  assert_int_equal(take(stream, len, CAP, &err), TL_ELIMIT);
  free(stream);
}

static void a_lying_length_takes_no_memory(void **state) {
  (void)state;
  unsigned char stream[256];
  size_t len = pack("tiny", 4, stream, sizeof stream);
  memset(stream + len - 4, 0xFF, 4); /* 4 GiB */
  tl_buf fresh = {0};
  assert_int_equal(tl_inflate_gzip(inflate_tool, stream, len, (size_t)1 << 40, &fresh, NULL), TL_ENET);
  assert_true(fresh.capacity_bytes < 65536);
  tl_buf_deinit(&fresh);
}

static void no_memory_is_reported(void **state) {
  (void)state;
  unsigned char stream[8192];
  static char zeros[4 << 20];
  size_t len = pack(zeros, sizeof zeros, stream, sizeof stream);
  stream[len - 1] = 0x7F; /* too large to be believed, so the output grows step by step */
  int64_t before = tl_alloc_live();
  for (long n = 1;; n++) {
    tl_error err = {0};
    tl_inflate *tool = NULL;
    tl_buf out = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = tl_inflate_open(&tool, &err);
    if (!st) st = tl_inflate_gzip(tool, stream, len, CAP, &out, &err);
    bool fired = tl_fault_disarm();
    tl_inflate_close(tool);
    tl_buf_deinit(&out);
    assert_int_equal(st, fired ? TL_ENOMEM : TL_ENET); /* at its end the length is found to be wrong */
    assert_int_equal(tl_alloc_live(), before);
    if (!fired) {
      assert_true(n > 4);
      break;
    }
  }
}

static int open_tool(void **state) {
  (void)state;
  return (int)tl_inflate_open(&inflate_tool, NULL);
}

static int close_tool(void **state) {
  (void)state;
  tl_inflate_close(inflate_tool);
  tl_buf_deinit(&text);
  return tl_alloc_live() != 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole_streams_give_their_text),
      cmocka_unit_test(every_prefix_is_refused),
      cmocka_unit_test(every_flipped_bit_is_refused_or_harmless),
      cmocka_unit_test(members_follow_each_other_but_nothing_else_does),
      cmocka_unit_test(wrong_sum_or_length_is_refused),
      cmocka_unit_test(bombs_stop_at_the_limit),
      cmocka_unit_test(a_lying_length_takes_no_memory),
      cmocka_unit_test(no_memory_is_reported),
  };
  return cmocka_run_group_tests_name("net/inflate", tests, open_tool, close_tool);
}
