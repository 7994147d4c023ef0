/* Any bytes as an endpoint, and as a URL beside it: what we take to be the same origin, curl's own parser takes to be the
 * same host, port and scheme; every URL we build goes to the origin. */
#include <curl/curl.h>
#include <strings.h>

#include "net/origin.h"
#include "tests/fuzz/check.h"

static void check_goes_to(const tl_origin *origin, const char *url) {
  CURLU *parsed = curl_url();
  char *host = NULL, *port = NULL, *scheme = NULL, *user = NULL;
  if (curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK) { /* then nothing is sent, unless it is the vendor's own */
    check(strcmp(origin->host, "data.alpaca.markets") != 0, "curl does not take the URL");
    curl_url_cleanup(parsed);
    return;
  }
  /* curl spells numeric hosts its own way (2130706433 as 127.0.0.1): ours must be the same in its eyes. */
  char bare[300], *own = NULL;
  CURLU *origin_alone = curl_url();
  snprintf(bare, sizeof bare, "http://%s/", origin->host);
  check(curl_url_set(origin_alone, CURLUPART_URL, bare, 0) == CURLUE_OK && curl_url_get(origin_alone, CURLUPART_HOST, &own, 0) == CURLUE_OK, "a host that curl does not take");
  check(curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK && strcasecmp(host, own) == 0, "another host");
  curl_free(own);
  curl_url_cleanup(origin_alone);
  check(curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK && atoi(port) == origin->port, "another port");
  check(curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK && strcasecmp(scheme, origin->https ? "https" : "http") == 0, "another scheme");
  check(curl_url_get(parsed, CURLUPART_USER, &user, 0) != CURLUE_OK, "a user name");
  curl_free(host);
  curl_free(port);
  curl_free(scheme);
  curl_url_cleanup(parsed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[2048];
  if (size < 1 || size > sizeof text - 1) return 0;
  memcpy(text, data, size);
  text[size] = 0;
  char *second = strchr(text, '\n');
  if (second) *second++ = 0;
  else second = text;
  tl_origin typed, fixed;
  tl_error err = {0};
  check(tl_origin_parse("https://data.alpaca.markets", false, &fixed, &err) == TL_OK, "the vendor's own endpoint");
  bool parsed = tl_origin_parse(text, true, &typed, &err) == TL_OK;
  check(parsed || err.message[0], "a refusal without a reason");
  const tl_origin *origins[] = {&fixed, &typed};
  for (size_t i = 0; i < (parsed ? 2u : 1u); i++) {
    tl_buf url = {0};
    if (tl_origin_same(origins[i], second)) check_goes_to(origins[i], second);
    if (tl_origin_url(origins[i], second, &url, &err) == TL_OK) check_goes_to(origins[i], url.data);
    else check(err.message[0], "a refusal without a reason");
    tl_buf_clear(&url);
    check(tl_origin_url(origins[i], "/v2/stocks/bars?symbols=A", &url, &err) == TL_OK, "a path is refused");
    check_goes_to(origins[i], url.data);
    tl_buf_deinit(&url);
  }
  char seen[128];
  tl_origin_describe(second, seen, sizeof seen);
  check(memchr(seen, 0, sizeof seen) != NULL, "no end of the description");
  return 0;
}
