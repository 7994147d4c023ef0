/* MD5: the test suite of RFC 1321 (A.5), and pieces of every size give what the whole gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "store/md5.h"

static void hex_of(const char *text, size_t len, size_t step, char out[33]) {
  tl_md5 md5;
  unsigned char digest[16];
  tl_md5_init(&md5);
  for (size_t i = 0; i < len; i += step) tl_md5_add(&md5, text + i, len - i < step ? len - i : step);
  tl_md5_finish(&md5, digest);
  tl_md5_hex(digest, out);
}

static void what_the_rfc_says(void **state) {
  (void)state;
  static const struct { const char *text, *hex; } table[] = {
      {"", "d41d8cd98f00b204e9800998ecf8427e"},
      {"a", "0cc175b9c0f1b6a831c399e269772661"},
      {"abc", "900150983cd24fb0d6963f7d28e17f72"},
      {"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
      {"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
      {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"},
      {"12345678901234567890123456789012345678901234567890123456789012345678901234567890", "57edf4a22be3c955ac49da2e2107b67a"}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    char hex[33];
    hex_of(table[i].text, strlen(table[i].text), 1000, hex);
    assert_string_equal(hex, table[i].hex);
  }
}

static void pieces_make_the_whole(void **state) {
  (void)state;
  static char text[300];
  for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i * 31 + 7);
  for (size_t len = 0; len <= sizeof text; len++) {
    char whole[33], parts[33];
    hex_of(text, len, sizeof text, whole);
    for (size_t step = 1; step < 130; step += 7) {
      hex_of(text, len, step, parts);
      assert_string_equal(parts, whole);
    }
  }
}

static void base64_is_padded(void **state) {
  (void)state;
  unsigned char digest[16];
  char text[25];
  tl_md5 md5;
  tl_md5_init(&md5);
  tl_md5_finish(&md5, digest);
  tl_md5_base64(digest, text);
  assert_string_equal(text, "1B2M2Y8AsgTpgAmY7PhCfg=="); /* known to everybody who ever put an empty object */
  memset(digest, 0xFF, sizeof digest);
  tl_md5_base64(digest, text);
  assert_string_equal(text, "/////////////////////w==");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(what_the_rfc_says), cmocka_unit_test(pieces_make_the_whole), cmocka_unit_test(base64_is_padded)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
