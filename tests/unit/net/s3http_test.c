/* Signed requests against a server of scripted bytes: what is sent, what is read of the answer, what is no answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"
#include "net/s3http.h"
#include "tests/unit/net/raw_server.h"

static const tl_s3http_options quick = {.access_key = "THEKEY", .secret_key = "canary-secret", .session_token = "the-token", .region = "eu-x-1", .loopback = true,
                                        .connect_timeout_ns = TL_NS_PER_S, .stall_timeout_ns = TL_NS_PER_S};
static char last[16384]; /* the last request's header */

static tl_s3http *open_http(void) {
  tl_s3http *http = NULL;
  tl_error err = {0};
  if (tl_s3http_open(&quick, &http, &err)) fail_msg("%s", err.message);
  return http;
}

/* One request to a server that answers with `handler`. The body is the caller's. */
static tl_s3_answer ask(raw_handler handler, tl_s3_request request) {
  raw_server *server = raw_server_open(handler, NULL);
  tl_s3http *http = open_http();
  tl_s3_answer a = {0};
  char url[200];
  snprintf(url, sizeof url, "%s/bucket/k%%20%%3D?a=&b=1", server->endpoint);
  request.url = url;
  if (!request.method) request.method = "GET";
  if (!request.answer_bytes_max) request.answer_bytes_max = 1000;
  tl_s3http_ask(http, &request, &a);
  tl_s3http_close(http);
  raw_server_close(server);
  return a;
}

static bool plain(raw_request *r) {
  snprintf(last, sizeof last, "%s", r->text);
  raw_answer(r, 200, "ETag: \"5d41402abc4b2a76b9719d911017c592\"\r\nLast-Modified: Fri, 31 May 2024 12:00:01 GMT\r\nX-Amz-Request-Id: 1\r\nx-amz-meta-ticklake-put: my-put\r\n"
                     "Date: Fri, 31 May 2024 12:00:02 GMT\r\nx-amz-bucket-region: eu-west-3\r\nRetry-After: 7\r\nContent-Type: text/plain\r\nContent-Range: bytes 3-7/20\r\n", "hello");
  return true;
}

static void a_request_is_signed_and_its_answer_read(void **state) {
  (void)state;
  tl_s3_answer a = ask(plain, (tl_s3_request){.headers = {"Range: bytes=3-7", NULL, "If-Match: \"x\""}});
  assert_int_equal(a.status, TL_OK);
  assert_int_equal(a.code, 200);
  assert_true(a.sent && a.is_s3 && a.etag_is_md5);
  assert_string_equal(a.body.data, "hello");
  assert_string_equal(a.etag, "5d41402abc4b2a76b9719d911017c592");
  assert_string_equal(a.put_id, "my-put");
  assert_string_equal(a.region, "eu-west-3");
  assert_string_equal(a.type, "text/plain");
  assert_true(a.length == 5 && a.range_start == 3 && a.range_total == 20);
  assert_true(a.modified_ms == INT64_C(1717156801000) && a.date_s == 1717156802 && a.retry_after_ns == 7 * TL_NS_PER_S);
  assert_non_null(strstr(last, "GET /bucket/k%20%3D?a=&b=1 HTTP/1.1\r\n"));
  assert_non_null(strstr(last, "Authorization: AWS4-HMAC-SHA256 Credential=THEKEY/"));
  assert_non_null(strstr(last, "/eu-x-1/s3/aws4_request, SignedHeaders=host;if-match;range;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature="));
  assert_non_null(strstr(last, "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"));
  assert_non_null(strstr(last, "x-amz-security-token: the-token\r\n"));
  assert_null(strstr(last, "canary-secret"));
  tl_buf_deinit(&a.body);
}

static void methods_follow_each_other_on_one_connection(void **state) {
  (void)state;
  raw_server *server = raw_server_open(plain, NULL);
  tl_s3http *http = open_http();
  tl_s3_answer a = {0};
  char url[200];
  static const struct { const char *method, *line; } table[] = {{"GET", "GET /x "}, {"DELETE", "DELETE /x "}, {"GET", "GET /x "}, {"PUT", "PUT /x "}, {"POST", "POST /x "}, {"GET", "GET /x "}};
  snprintf(url, sizeof url, "%s/x", server->endpoint);
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tl_s3http_ask(http, &(tl_s3_request){.method = table[i].method, .url = url, .answer_bytes_max = 100}, &a);
    assert_int_equal(a.status, TL_OK);
    assert_string_equal(a.body.data, "hello");
    assert_memory_equal(last, table[i].line, strlen(table[i].line));
    bool body = table[i].method[0] == 'P';
    assert_true(body == (strstr(last, "Content-Length: 0\r\n") != NULL));
  }
  assert_int_equal(server->connections, 1);
  tl_buf_deinit(&a.body);
  tl_s3http_close(http);
  raw_server_close(server);
}

static bool head(raw_request *r) {
  raw_printf(r, "HTTP/1.1 200 OK\r\nContent-Length: 123456789012\r\nETag: W/\"abc-2\"\r\n\r\n");
  return true;
}

static void a_head_has_a_length_and_no_body(void **state) {
  (void)state;
  tl_s3_answer a = ask(head, (tl_s3_request){.method = "HEAD"});
  assert_int_equal(a.status, TL_OK);
  assert_true(a.length == INT64_C(123456789012) && !a.body.len && !a.is_s3 && !a.etag_is_md5);
  assert_string_equal(a.etag, "abc-2");
  assert_true(a.modified_ms == -1 && a.date_s == -1 && a.retry_after_ns == -1 && a.range_start == -1 && a.range_total == -1);
  tl_buf_deinit(&a.body);
}

static const char *etag_lines;
static bool etags(raw_request *r) {
  raw_answer(r, 200, etag_lines, "x");
  return true;
}

static void which_etags_are_an_md5(void **state) {
  (void)state;
#define MD5 "ETag: \"5d41402abc4b2a76b9719d911017c592\"\r\n"
  static const struct { const char *lines; bool md5; } table[] = {
      {MD5, true}, {MD5 "x-amz-server-side-encryption: AES256\r\n", true}, {MD5 "x-amz-server-side-encryption: aws:kms\r\n", false},
      {"X-Amz-Server-Side-Encryption: aws:kms:dsse\r\n" MD5, false}, {MD5 "x-amz-server-side-encryption-customer-algorithm: AES256\r\n", false},
      {"ETag: \"5d41402abc4b2a76b9719d911017c592-2\"\r\n", false}, {"ETag: \"5D41402ABC4B2A76B9719D911017C592\"\r\n", false}, {"ETag: \"\"\r\n", false}, {"", false}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    etag_lines = table[i].lines;
    tl_s3_answer a = ask(etags, (tl_s3_request){0});
    assert_int_equal(a.status, TL_OK);
    assert_int_equal(a.etag_is_md5, table[i].md5);
    tl_buf_deinit(&a.body);
  }
}

static bool short_body(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), false; }
static bool no_length(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\n\r\nhello"), false; }
static bool cut_chunks(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), false; }
static bool nothing(raw_request *r) { (void)r; return false; }
static bool reset(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhe"), raw_reset(r); }
static bool not_http(raw_request *r) { return raw_printf(r, "SSH-2.0-OpenSSH_9.2\r\n"), false; }
static bool silent(raw_request *r) { return raw_sleep_ms(r, 20000), false; }
static bool endless_header(raw_request *r) {
  raw_printf(r, "HTTP/1.1 200 OK\r\n");
  for (int i = 0; i < 3000; i++) raw_printf(r, "X-Filler-%d: 1234567890123456789012345678901234567890\r\n", i);
  return false;
}
static bool large(raw_request *r) {
  static char body[2000];
  memset(body, 'x', sizeof body - 1);
  return raw_answer(r, 200, "", body), false;
}
static bool chunks(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), true; }
static bool early(raw_request *r) { return raw_printf(r, "HTTP/1.1 100 Continue\r\nETag: \"early\"\r\n\r\n"), raw_answer(r, 404, "", "x"), true; }
static bool moved(raw_request *r) { return raw_answer(r, 307, "Location: http://127.0.0.1:1/secret?key=1\r\n", ""), true; }

static void what_is_not_whole_is_no_answer(void **state) {
  (void)state;
  static const struct { raw_handler handler; tl_status status; const char *what; } table[] = {
      {short_body, TL_ENET, "short"}, {no_length, TL_ENET, "without length"}, {cut_chunks, TL_ENET, "no last chunk"}, {nothing, TL_ENET, "nothing"}, {reset, TL_ENET, "reset"},
      {not_http, TL_ENET, "not HTTP"}, {silent, TL_ENET, "silent"}, {endless_header, TL_ENET, "endless header"}, {large, TL_ELIMIT, "too large"}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    int64_t begin_ns = tl_clock_mono_ns();
    tl_s3_answer a = ask(table[i].handler, (tl_s3_request){0});
    if (a.status != table[i].status || !a.sent || !a.reason[0]) fail_msg("%s: status %d, '%s'", table[i].what, (int)a.status, a.reason);
    assert_true(tl_clock_mono_ns() - begin_ns < 8 * TL_NS_PER_S);
    assert_null(strstr(a.reason, "canary"));
    tl_buf_deinit(&a.body);
  }
}

static void what_is_whole_is_an_answer_whatever_its_code(void **state) {
  (void)state;
  tl_s3_answer a = ask(chunks, (tl_s3_request){0});
  assert_true(!a.status && a.code == 200 && a.chunked && a.length == -1 && !strcmp(a.body.data, "hello"));
  tl_buf_deinit(&a.body);
  a = ask(early, (tl_s3_request){0});
  assert_true(!a.status && a.code == 404 && !a.etag[0]); /* what came before the answer is not it */
  tl_buf_deinit(&a.body);
  a = ask(moved, (tl_s3_request){0}); /* never followed */
  assert_true(!a.status && a.code == 307);
  tl_buf_deinit(&a.body);
}

static void nobody_there_is_not_sent(void **state) {
  (void)state;
  tl_s3http *http = open_http();
  tl_s3_answer a = {0};
  tl_s3http_ask(http, &(tl_s3_request){.method = "PUT", .url = "http://127.0.0.1:1/x"}, &a);
  assert_int_equal(a.status, TL_ENET);
  assert_false(a.sent);
  assert_true(a.reason[0]);
  tl_s3http_close(http);
}

static void the_seam_strikes_before_or_after(void **state) {
  (void)state;
  raw_server *server = raw_server_open(plain, NULL);
  tl_s3http *http = open_http();
  tl_s3_answer a = {0};
  tl_s3_request request = {.method = "PUT", .url = server->endpoint, .answer_bytes_max = 100};
  for (int after = 0; after < 2; after++) {
    tl_fault_arm(TL_SEAM_NET, 1, after ? TL_FAULT_SHORT : TL_FAULT_ERROR, 0);
    tl_s3http_ask(http, &request, &a);
    assert_true(tl_fault_disarm());
    assert_int_equal(a.status, TL_ENET);
    assert_int_equal(a.sent, after);
    assert_int_equal(server->requests, after);
  }
  tl_s3http_ask(http, &request, &a);
  assert_int_equal(a.status, TL_OK);
  tl_buf_deinit(&a.body);
  tl_s3http_close(http);
  raw_server_close(server);
}

static void a_file_that_fails_is_said(void **state) {
  (void)state;
  char path[] = "/tmp/tl_s3http_XXXXXX";
  int fd = mkstemp(path);
  assert_int_equal(write(fd, "short", 5), 5);
  tl_s3_answer a = ask(silent, (tl_s3_request){.method = "PUT", .path = path, .fd = fd, .body_len = 6});
  assert_int_equal(a.status, TL_EIO);
  assert_true(a.hopeless);
  assert_non_null(strstr(a.reason, path));
  tl_buf_deinit(&a.body);
  close(fd);
  unlink(path);
}

static void wrong_keys_are_refused(void **state) {
  (void)state;
  static const tl_s3http_options bad[] = {{"key\n", "secret", NULL, "r", true, 0, 0}, {"key", "canary secret", NULL, "r", true, 0, 0}, {"key", "secret", "to\tken", "r", true, 0, 0},
                                          {"key", "secret", NULL, "", true, 0, 0},     {"key", "secret", NULL, "r:x", true, 0, 0}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    tl_s3http *http = NULL;
    tl_error err = {0};
    assert_int_equal(tl_s3http_open(&bad[i], &http, &err), TL_EUSAGE);
    assert_true(err.message[0] && !strstr(err.message, "canary"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_request_is_signed_and_its_answer_read), cmocka_unit_test(methods_follow_each_other_on_one_connection), cmocka_unit_test(a_head_has_a_length_and_no_body),
      cmocka_unit_test(which_etags_are_an_md5), cmocka_unit_test(what_is_not_whole_is_no_answer), cmocka_unit_test(what_is_whole_is_an_answer_whatever_its_code),
      cmocka_unit_test(nobody_there_is_not_sent), cmocka_unit_test(the_seam_strikes_before_or_after), cmocka_unit_test(a_file_that_fails_is_said), cmocka_unit_test(wrong_keys_are_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
