/* One host gets the key: which URLs are it, which only look like it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "net/origin.h"

static void endpoint_is_read_as_people_write_it(void **state) {
  (void)state;
  static const struct {
    const char *endpoint, *request; /* what asking for /v2/x becomes; NULL: refused */
  } table[] = {
      {"https://data.alpaca.markets", "https://data.alpaca.markets/v2/x"},
      {"https://data.alpaca.markets/", "https://data.alpaca.markets/v2/x"},
      {"https://data.alpaca.markets/v2", "https://data.alpaca.markets/v2/x"},
      {"https://data.alpaca.markets/v2/", "https://data.alpaca.markets/v2/x"},
      {"https://data.alpaca.markets/v1beta3", "https://data.alpaca.markets/v2/x"},
      {"https://proxy.local/alpaca/v1", "https://proxy.local/alpaca/v2/x"},
      {"https://proxy.local/alpaca/", "https://proxy.local/alpaca/v2/x"},
      {"https://proxy.local/vendor", "https://proxy.local/vendor/v2/x"}, /* a v and no digit is a name */
      {"https://proxy.local/v", "https://proxy.local/v/v2/x"},
      {"HTTPS://Data.Alpaca.Markets:443", "https://data.alpaca.markets/v2/x"},
      {"https://data.alpaca.markets:8443", "https://data.alpaca.markets:8443/v2/x"},
      {"http://127.0.0.1:9090", "http://127.0.0.1:9090/v2/x"},
      {"http://127.255.0.9", "http://127.255.0.9/v2/x"},
      {"http://localhost:80/v2", "http://localhost/v2/x"},
      {"http://[::1]:9090", "http://[::1]:9090/v2/x"},
      {"http://data.alpaca.markets", NULL}, /* the key in the clear */
      {"http://localhost.evil.example", NULL},
      {"http://127.0.0.1.evil.example", NULL},
      {"http://127.1", NULL},
      {"http://128.0.0.1", NULL},
      {"http://127.0.0.256", NULL},
      {"http://[::2]", NULL},
      {"http://169.254.169.254", NULL},
      {"data.alpaca.markets", NULL},
      {"ftp://data.alpaca.markets", NULL},
      {"file:///etc/passwd", NULL},
      {"https://", NULL},
      {"https:///v2", NULL},
      {"https://user:pass@data.alpaca.markets", NULL},
      {"https://data.alpaca.markets:0", NULL},
      {"https://data.alpaca.markets:65536", NULL},
      {"https://data.alpaca.markets:8o", NULL},
      {"https://data.alpaca.markets:", NULL},
      {"https://data.alpaca.markets?x=1", NULL},
      {"https://data.alpaca.markets/#x", NULL},
      {"https://data.alpaca.markets/a b", NULL},
      {"https://data\\.alpaca.markets", NULL},
      {"https://[::1", NULL},
      {"https://[]", NULL},
      {"https://[::1]x", NULL},
      {"https://d\xC3\xA4ta.markets", NULL},
      {"https://.markets", NULL},
      {"", NULL},
      {NULL, NULL},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tl_origin origin;
    tl_error err = {0};
    tl_buf url = {0};
    tl_status st = tl_origin_parse(table[i].endpoint, false, &origin, &err);
    if (st) assert_non_null(err.message[0] ? err.message : NULL);
    else assert_int_equal(tl_origin_url(&origin, "/v2/x", &url, &err), TL_OK);
    if (!table[i].request) assert_int_equal(st, TL_EUSAGE);
    else if (st || strcmp(url.data, table[i].request)) fail_msg("%s gave %s %s", table[i].endpoint, st ? "refused" : url.data, err.message);
    tl_buf_deinit(&url);
  }
}

static void plain_http_elsewhere_needs_a_word(void **state) {
  (void)state;
  tl_origin origin;
  tl_error err = {0};
  assert_int_equal(tl_origin_parse("http://10.0.0.5:8080/v2", true, &origin, &err), TL_OK);
  assert_false(origin.loopback);
  assert_int_equal(tl_origin_parse("http://10.0.0.5:8080", false, &origin, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "--allow-http"));
}

/* RELIABILITY 21: what a next_url may look like, seen from https://api.polygon.io */
static void only_the_same_origin_is_followed(void **state) {
  (void)state;
  static const struct {
    const char *url, *request; /* NULL: refused */
  } table[] = {
      {"https://api.polygon.io/v3/trades/A?cursor=x", "https://api.polygon.io/v3/trades/A?cursor=x"},
      {"https://api.polygon.io:443/v3?c=1", "https://api.polygon.io/v3?c=1"},
      {"https://api.polygon.io?c=1", "https://api.polygon.io/?c=1"},
      {"https://API.Polygon.IO/v3", "https://api.polygon.io/v3"}, /* letter case of a host means nothing */
      {"HTTPS://api.polygon.io/v3", "https://api.polygon.io/v3"},
      {"/v3/x", "https://api.polygon.io/v3/x"},
      {"https://api.polygon.com/v3", NULL},         /* another host */
      {"https://evil.example/v3", NULL},
      {"https://api.polygon.io.evil.example/", NULL},
      {"https://evil.example/https://api.polygon.io/", NULL},
      {"https://api.polygon.io:8443/v3", NULL},     /* another port */
      {"https://api.polygon.io:80/v3", NULL},
      {"http://api.polygon.io/v3", NULL},           /* another scheme */
      {"http://api.polygon.io:443/v3", NULL},
      {"file:///etc/passwd", NULL},
      {"file://api.polygon.io/etc/passwd", NULL},
      {"gopher://api.polygon.io/", NULL},
      {"javascript:alert(1)", NULL},
      {"http://169.254.169.254/latest/meta-data/", NULL},
      {"https://169.254.169.254/", NULL},
      {"https://[::1]/", NULL},
      {"https://[::1%25eth0]/", NULL},
      {"https://user@api.polygon.io/v3", NULL},     /* user names, on either side */
      {"https://api.polygon.io@evil.example/v3", NULL},
      {"https://api.polygon.io:443@evil.example/", NULL},
      {"https://evil.example\\@api.polygon.io/", NULL},
      {"https://api.polygon.io\\.evil.example/", NULL},
      {"https://api.p\xD0\xBElygon.io/v3", NULL},    /* a Cyrillic o */
      {"https://xn--api-polygon.io/v3", NULL},
      {"https://api%2epolygon.io/", NULL},
      {"https://api.polygon.io./v3", NULL},         /* a trailing dot is another name to a cookie jar and a certificate */
      {"//evil.example/v3", NULL},
      {"///v3", NULL},
      {"\\\\evil.example", NULL},
      {"https:/api.polygon.io/v3", NULL},
      {"https:api.polygon.io/v3", NULL},
      {" https://api.polygon.io/v3", NULL},
      {"https://api.polygon.io /v3", NULL},
      {"https://api.polygon.io/v3\r\nHost: evil", NULL},
      {"/v3\r\nHost: evil", NULL},
      {"/v3 x", NULL},
      {"/v3#f", NULL},
      {"v3/x", NULL},
      {"?cursor=1", NULL},
      {"", NULL},
  };
  tl_origin origin;
  tl_error err = {0};
  assert_int_equal(tl_origin_parse("https://api.polygon.io", false, &origin, &err), TL_OK);
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tl_buf url = {0};
    err = (tl_error){0};
    tl_status st = tl_origin_url(&origin, table[i].url, &url, &err);
    if (table[i].request && (st || strcmp(url.data, table[i].request))) fail_msg("'%s' gave %s", table[i].url, st ? err.message : url.data);
    if (!table[i].request && (st != TL_EORIGIN || url.len)) fail_msg("'%s' was followed: %s", table[i].url, url.data);
    if (*table[i].url != '/') assert_int_equal(tl_origin_same(&origin, table[i].url), table[i].request != NULL);
    tl_buf_deinit(&url);
  }
}

static void error_text_names_the_host_and_no_secret(void **state) {
  (void)state;
  static const struct { const char *url, *shown; } table[] = {
      {"https://evil.example/v3?apiKey=SECRET", "https://evil.example"},
      {"https://me:SECRET@evil.example:99/v3", "https://evil.example:99"},
      {"https://a@b:SECRET@evil.example", "https://evil.example"},
      {"//evil.example/x", ""},
      {"https://api.p\xD0\xBElygon.io/", "https://api.p??lygon.io"},
      {"not a url", "not a url"},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    char shown[300];
    tl_origin_describe(table[i].url, shown, sizeof shown);
    assert_string_equal(shown, table[i].shown);
  }
}

static void query_values_are_percent_encoded(void **state) {
  (void)state;
  tl_buf url = {0};
  assert_int_equal(tl_origin_append_value(&url, "BTC/USD", 7, NULL), TL_OK);
  assert_string_equal(url.data, "BTC%2FUSD");
  tl_buf_clear(&url);
  assert_int_equal(tl_origin_append_value(&url, "aZ09-._~ +&=%?#\"\xC3\xA9\0,", 20, NULL), TL_OK);
  assert_string_equal(url.data, "aZ09-._~%20%2B%26%3D%25%3F%23%22%C3%A9%00%2C");
  tl_buf_deinit(&url);
}

static void no_memory_is_reported(void **state) {
  (void)state;
  tl_origin origin;
  tl_error err = {0};
  assert_int_equal(tl_origin_parse("https://api.polygon.io:8443/base", false, &origin, &err), TL_OK);
  tl_fault_arm(TL_SEAM_ALLOC, 1, TL_FAULT_ERROR, 0);
  tl_buf url = {0};
  assert_int_equal(tl_origin_url(&origin, "/x", &url, &err), TL_ENOMEM);
  assert_true(tl_fault_disarm());
  tl_buf_deinit(&url);
  tl_fault_arm(TL_SEAM_ALLOC, 1, TL_FAULT_ERROR, 0);
  assert_int_equal(tl_origin_append_value(&url, "x", 1, &err), TL_ENOMEM);
  assert_true(tl_fault_disarm());
  tl_buf_deinit(&url);
  assert_int_equal(tl_alloc_live(), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(endpoint_is_read_as_people_write_it),   cmocka_unit_test(plain_http_elsewhere_needs_a_word),
      cmocka_unit_test(only_the_same_origin_is_followed),      cmocka_unit_test(error_text_names_the_host_and_no_secret),
      cmocka_unit_test(query_values_are_percent_encoded),      cmocka_unit_test(no_memory_is_reported),
  };
  return cmocka_run_group_tests_name("net/origin", tests, NULL, NULL);
}
