/* What a server can do to a transfer, and what comes out: every fault of RELIABILITY 14 that one transfer can meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "net/http.h"
#include "tests/unit/net/raw_server.h"

static const tl_http_options quick = {.headers = "APCA-API-KEY-ID: the-key\nAPCA-API-SECRET-KEY: the-secret\n",
                                      .connect_timeout_ns = TL_NS_PER_S,
                                      .first_byte_timeout_ns = 400 * TL_NS_PER_MS,
                                      .stall_timeout_ns = 300 * TL_NS_PER_MS,
                                      .body_bytes_max = 100000};

/* One GET of "/NAME" from a server that plays `handler`. */
static tl_http_answer ask(raw_handler handler, const char *path) {
  raw_server *server = raw_server_open(handler, NULL);
  tl_http *http = NULL;
  tl_http_answer answer = {0};
  tl_error err = {0};
  char url[256];
  snprintf(url, sizeof url, "%s%s", server->endpoint, path);
  assert_int_equal(tl_http_open(&quick, &http, &err), TL_OK);
  tl_status st = tl_http_get(http, url, &answer, &err);
  assert_int_equal(st, answer.status);
  if (st) assert_string_equal(err.message, answer.reason);
  tl_http_close(http);
  raw_server_close(server);
  return answer;
}

static bool plain(raw_request *r) {
  assert_non_null(strstr(r->text, "\r\nAccept-Encoding: gzip\r\n"));
  assert_non_null(strstr(r->text, "\r\nAPCA-API-KEY-ID: the-key\r\n"));
  assert_non_null(strstr(r->text, "\r\nAPCA-API-SECRET-KEY: the-secret\r\n"));
  raw_answer(r, 200, "X-RateLimit-Limit: 200\r\nx-ratelimit-remaining: 199\r\nX-RateLimit-Reset: 1700000000\r\nRetry-After: 7\r\n", "{\"bars\":{}}");
  return true;
}

static void a_whole_answer_comes_with_what_its_headers_say(void **state) {
  (void)state;
  tl_http_answer a = ask(plain, "/v2/stocks/bars?symbols=A%2CB");
  assert_int_equal(a.status, TL_OK);
  assert_int_equal(a.code, 200);
  assert_string_equal(a.body.data, "{\"bars\":{}}");
  assert_int_equal(a.bytes, 11);
  assert_int_equal(a.rate_limit, 200);
  assert_int_equal(a.rate_remaining, 199);
  assert_int_equal(a.rate_reset_s, 1700000000);
  assert_int_equal(a.retry_after_ns, 7 * TL_NS_PER_S);
  assert_false(a.gzip);
  tl_buf_deinit(&a.body);
}

static bool gzipped(raw_request *r) {
  raw_printf(r, "HTTP/1.1 200 OK\r\ncontent-encoding:  GZip \r\nContent-Length: 4\r\n\r\n");
  raw_write(r, "\x1F\x8B\x08\x01", 4);
  return true;
}
static bool brotli(raw_request *r) { return raw_answer(r, 200, "Content-Encoding: br\r\n", "????"), true; }

static void a_compressed_body_is_handed_over_as_it_came(void **state) {
  (void)state;
  tl_http_answer a = ask(gzipped, "/");
  assert_int_equal(a.status, TL_OK);
  assert_true(a.gzip);
  assert_int_equal(a.body.len, 4);
  assert_memory_equal(a.body.data, "\x1F\x8B\x08\x01", 4);
  tl_buf_deinit(&a.body);
  a = ask(brotli, "/");
  assert_int_equal(a.status, TL_ENET);
  assert_non_null(strstr(a.reason, "'br'"));
}

/* The value of Retry-After is the request's path, percent-encoded blanks. */
static bool retry_after(raw_request *r) {
  char value[200];
  size_t n = 0;
  for (const char *p = r->target + 1; *p; p++)
    if (*p == '_') value[n++] = ' ';
    else value[n++] = *p;
  value[n] = 0;
  raw_printf(r, "HTTP/1.1 429 Too Many\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", value);
  return true;
}

static void retry_after_is_seconds_or_a_date_or_nothing(void **state) {
  (void)state;
  static const struct { const char *value; int64_t seconds; } table[] = {
      {"0", 0}, {"1", 1}, {"120", 120}, {"1000000000", 1000000000}, {"-1", -1}, {"+5", -1}, {"1.5", -1}, {"1e3", -1}, {"", -1},
      {"soon", -1}, {"99999999999999999999", -1}, {"Wed,_21_Oct_2015_07:28:00_GMT", -1}, {"9223372036854775807", INT64_MAX},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    char path[80];
    snprintf(path, sizeof path, "/%s", table[i].value);
    tl_http_answer a = ask(retry_after, path);
    int64_t want = table[i].seconds == INT64_MAX ? INT64_MAX : table[i].seconds < 0 ? -1 : table[i].seconds * TL_NS_PER_S;
    if (a.retry_after_ns != want) fail_msg("'%s' gave %lld", table[i].value, (long long)a.retry_after_ns);
    assert_int_equal(a.code, 429);
    tl_buf_deinit(&a.body);
  }
  time_t at = (time_t)(tl_clock_now_ns() / TL_NS_PER_S) + 30;
  struct tm utc;
  char path[80];
  strftime(path, sizeof path, "/%a,_%d_%b_%Y_%H:%M:%S_GMT", gmtime_r(&at, &utc));
  tl_http_answer a = ask(retry_after, path);
  assert_in_range(a.retry_after_ns, 28 * TL_NS_PER_S, 30 * TL_NS_PER_S);
  tl_buf_deinit(&a.body);
}

/* ---- broken transfers ---- */
static bool reset_at_once(raw_request *r) { return raw_reset(r); }
static bool close_at_once(raw_request *r) { return (void)r, false; }
static bool reset_in_headers(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\nContent-Le"), raw_reset(r); }
static bool close_in_headers(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"), false; }
static bool reset_in_body(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc"), raw_reset(r); }
static bool short_body(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc"), false; }
static bool bad_chunk(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc"), false; }
static bool huge_chunk(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nabc"), false; }
static bool cut_chunks(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), false; }
static bool not_http(raw_request *r) { return raw_printf(r, "SSH-2.0-OpenSSH_9.2\r\n"), false; }
static bool no_first_byte(raw_request *r) { return raw_sleep_ms(r, 5000), false; }
static bool stall_in_body(raw_request *r) {
  raw_printf(r, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc");
  return raw_sleep_ms(r, 5000), false;
}
static bool slow_loris(raw_request *r) { /* some byte comes all the time */
  raw_printf(r, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
  for (int i = 0; i < 500 && !atomic_load(&r->server->stop); i++) {
    raw_write(r, "x", 1);
    raw_sleep_ms(r, 10);
  }
  return false;
}
static bool slow_headers(raw_request *r) {
  raw_printf(r, "HTTP/1.1 200 OK\r\n");
  for (int i = 0; i < 300 && !atomic_load(&r->server->stop); i++) {
    raw_printf(r, "X-%d: 1\r\n", i);
    raw_sleep_ms(r, 20);
  }
  return false;
}
static bool endless_headers(raw_request *r) {
  raw_printf(r, "HTTP/1.1 200 OK\r\n");
  for (int i = 0; i < 100000; i++) raw_printf(r, "X-Header-%d: some value that takes room\r\n", i);
  return false;
}
static bool endless_header_line(raw_request *r) {
  raw_printf(r, "HTTP/1.1 200 OK\r\nX-Long: ");
  char block[1024];
  memset(block, 'x', sizeof block);
  for (int i = 0; i < 4000; i++) raw_write(r, block, sizeof block);
  return false;
}
static bool endless_continue(raw_request *r) {
  for (int i = 0; i < 100000; i++) raw_printf(r, "HTTP/1.1 102 Processing\r\nX: y\r\n\r\n");
  return false;
}

static void broken_transfers_are_named_and_may_be_tried_again(void **state) {
  (void)state;
  static const struct { raw_handler handler; const char *name; } table[] = {
      {reset_at_once, "reset at once"},       {close_at_once, "close at once"},
      {reset_in_headers, "reset in headers"}, {close_in_headers, "close in headers"},
      {reset_in_body, "reset in body"},       {short_body, "short body"},
      {bad_chunk, "bad chunk size"},          {huge_chunk, "chunk size over 64 bits"},
      {cut_chunks, "no last chunk"},          {not_http, "not HTTP"},
      {no_first_byte, "no first byte"},       {stall_in_body, "stall"},
      {slow_loris, "slow loris"},             {slow_headers, "slow headers"},
      {endless_headers, "endless headers"},   {endless_header_line, "endless header line"},
      {endless_continue, "endless 102"},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    int64_t start_ns = tl_clock_mono_ns();
    tl_http_answer a = ask(table[i].handler, "/");
    if (a.status != TL_ENET || a.hopeless || !a.reason[0] || a.body.data) fail_msg("%s: status %d '%s'", table[i].name, (int)a.status, a.reason);
    if (tl_clock_mono_ns() - start_ns > 10 * TL_NS_PER_S) fail_msg("%s took too long", table[i].name);
  }
}

static bool early_hints(raw_request *r) {
  raw_printf(r, "HTTP/1.1 103 Early Hints\r\nX-RateLimit-Limit: 5\r\nContent-Encoding: gzip\r\n\r\n");
  return raw_answer(r, 200, "", "ok"), true;
}

static void headers_of_an_answer_before_the_answer_do_not_count(void **state) {
  (void)state;
  tl_http_answer a = ask(early_hints, "/");
  assert_int_equal(a.code, 200);
  assert_int_equal(a.rate_limit, -1);
  assert_false(a.gzip);
  tl_buf_deinit(&a.body);
}

static bool large_announced(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\nabc"), raw_sleep_ms(r, 3000), false; }
static bool large_sent(raw_request *r) {
  raw_printf(r, "HTTP/1.1 200 OK\r\n\r\n");
  char block[4096] = {0};
  for (int i = 0; i < 100 && !atomic_load(&r->server->stop); i++) raw_write(r, block, sizeof block);
  return false;
}

static void a_body_over_the_limit_is_cut_off(void **state) {
  (void)state;
  tl_http_answer a = ask(large_sent, "/");
  assert_int_equal(a.status, TL_ELIMIT);
  assert_non_null(strstr(a.reason, "100000"));
  assert_in_range(a.bytes, 100001, 400000);
  a = ask(large_announced, "/"); /* its announcement takes no memory; it never comes, so it stalls */
  assert_int_equal(a.status, TL_ENET);
}

static bool redirect(raw_request *r) {
  raw_printf(r, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n",
             !strcmp(r->target, "/other")     ? "302 Found\r\nLocation: http://evil.example/x?key=SECRET"
             : !strcmp(r->target, "/self")    ? "301 Moved\r\nLocation: /self"
             : !strcmp(r->target, "/file")    ? "307 Moved\r\nLocation: file:///etc/passwd"
             : !strcmp(r->target, "/metal")   ? "308 Moved\r\nLocation: http://169.254.169.254/latest"
                                              : "303 See Other\r\nLocation: //user:SECRET@evil.example/");
  return true;
}

static void no_redirect_is_followed(void **state) {
  (void)state;
  static const struct { const char *path, *named; } table[] = {
      {"/other", "http://evil.example"}, {"/self", "http://127.0.0.1"}, {"/file", "file"}, {"/metal", "169.254.169.254"}, {"/user", "evil.example"}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tl_http_answer a = ask(redirect, table[i].path);
    assert_int_equal(a.status, TL_EORIGIN);
    assert_true(a.hopeless);
    assert_non_null(strstr(a.reason, table[i].named));
    assert_null(strstr(a.reason, "SECRET"));
  }
}

static void nobody_listening_is_a_broken_transfer(void **state) {
  (void)state;
  raw_server *server = raw_server_open(plain, NULL);
  char url[80];
  snprintf(url, sizeof url, "%s/", server->endpoint);
  raw_server_close(server);
  tl_http *http = NULL;
  tl_http_answer a = {0};
  tl_error err = {0};
  assert_int_equal(tl_http_open(&quick, &http, &err), TL_OK);
  assert_int_equal(tl_http_get(http, url, &a, &err), TL_ENET);
  assert_int_equal(a.code, 0);
  assert_int_equal(tl_http_get(http, "file:///etc/hostname", &a, &err), TL_ENET);
  assert_null(a.body.data);
  assert_int_equal(tl_http_get(http, "http://", &a, &err), TL_EUSAGE);
  tl_http_close(http);
}

static void a_proxy_is_never_asked_for_loopback(void **state) {
  (void)state;
  setenv("http_proxy", "http://127.0.0.1:1/", 1);
  tl_http_answer a = ask(plain, "/");
  unsetenv("http_proxy");
  assert_int_equal(a.status, TL_OK);
  tl_buf_deinit(&a.body);
}

static void a_key_with_a_line_end_is_refused(void **state) {
  (void)state;
  tl_http *http = NULL;
  tl_error err = {0};
  assert_int_equal(tl_http_open(&(tl_http_options){.headers = "Key: a\r\nHost: evil\n"}, &http, &err), TL_EUSAGE);
  assert_null(strstr(err.message, "evil"));
}

/* ---- many at once ---- */
static bool echo(raw_request *r) {
  raw_sleep_ms(r, 20);
  raw_answer(r, 200, "", r->target);
  return true;
}

static void many_transfers_share_few_connections_and_buffers(void **state) {
  (void)state;
  raw_server *server = raw_server_open(echo, NULL);
  tl_http *http = NULL;
  tl_error err = {0};
  assert_int_equal(tl_http_open(&quick, &http, &err), TL_OK);
  enum { ROUNDS = 5, WIDE = 8 };
  static char seen[ROUNDS * WIDE];
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < WIDE; i++) {
      char url[128];
      snprintf(url, sizeof url, "%s/%d", server->endpoint, round * WIDE + i);
      assert_int_equal(tl_http_send(http, url, &seen[round * WIDE + i], &err), TL_OK);
    }
    assert_int_equal(tl_http_in_flight(http), WIDE);
    while (tl_http_in_flight(http)) {
      assert_int_equal(tl_http_step(http, TL_NS_PER_S, &err), TL_OK);
      for (tl_http_answer a; tl_http_next(http, &a);) {
        assert_int_equal(a.status, TL_OK);
        assert_int_equal(atoi(a.body.data + 1), (char *)a.user - seen);
        ++*(char *)a.user;
        tl_http_recycle(http, &a.body);
        assert_null(a.body.data);
      }
    }
  }
  for (int i = 0; i < ROUNDS * WIDE; i++) assert_int_equal(seen[i], 1);
  assert_in_range(atomic_load(&server->connections), 1, 2 * WIDE);
  tl_http_close(http);
  raw_server_close(server);
}

static void abort_ends_all_transfers_and_close_drops_them(void **state) {
  (void)state;
  raw_server *server = raw_server_open(no_first_byte, NULL);
  tl_http *http = NULL;
  tl_error err = {0};
  assert_int_equal(tl_http_open(&quick, &http, &err), TL_OK);
  for (int i = 0; i < 3; i++) assert_int_equal(tl_http_send(http, server->endpoint, NULL, &err), TL_OK);
  assert_int_equal(tl_http_step(http, TL_NS_PER_MS, &err), TL_OK);
  tl_http_abort(http);
  tl_http_answer a;
  for (int i = 0; i < 3; i++) {
    assert_true(tl_http_next(http, &a));
    assert_int_equal(a.status, TL_ECANCELED);
  }
  assert_false(tl_http_next(http, &a));
  assert_int_equal(tl_http_send(http, server->endpoint, NULL, &err), TL_OK);
  assert_int_equal(tl_http_step(http, TL_NS_PER_MS, &err), TL_OK);
  tl_http_close(http); /* one still in flight */
  raw_server_close(server);
}

static void *wake_later(void *http) {
  usleep(50000);
  tl_http_wakeup(http);
  return NULL;
}

static void another_thread_can_wake_the_loop(void **state) {
  (void)state;
  tl_http *http = NULL;
  assert_int_equal(tl_http_open(&quick, &http, NULL), TL_OK);
  pthread_t thread;
  int64_t start_ns = tl_clock_mono_ns();
  pthread_create(&thread, NULL, wake_later, http);
  assert_int_equal(tl_http_step(http, 20 * TL_NS_PER_S, NULL), TL_OK);
  assert_in_range(tl_clock_mono_ns() - start_ns, 1, 10 * TL_NS_PER_S);
  pthread_join(thread, NULL);
  tl_http_close(http);
}

static void an_injected_network_fault_is_a_reset(void **state) {
  (void)state;
  tl_fault_arm(TL_SEAM_NET, 1, TL_FAULT_ERROR, 0);
  tl_http_answer a = ask(plain, "/");
  assert_true(tl_fault_disarm());
  assert_int_equal(a.status, TL_ENET);
  assert_int_equal(a.code, 0);
}

/* Every allocation of a GET, curl's own too, fails in turn. */
static void no_memory_anywhere_is_a_clean_error(void **state) {
  (void)state;
  raw_server *server = raw_server_open(echo, NULL);
  char url[128];
  snprintf(url, sizeof url, "%s/x", server->endpoint);
  for (long n = 1;; n++) {
    tl_http *http = NULL;
    tl_http_answer a = {0};
    tl_error err = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = tl_http_open(&quick, &http, &err);
    if (!st) st = tl_http_get(http, url, &a, &err);
    bool fired = tl_fault_disarm();
    if (st) assert_true(err.message[0]);
    else assert_string_equal(a.body.data, "/x"); /* curl may do without, say, a cache entry */
    tl_buf_deinit(&a.body);
    tl_http_close(http);
    if (tl_alloc_live()) fail_msg("allocation %ld leaked %lld blocks", n, (long long)tl_alloc_live());
    if (!fired) {
      assert_int_equal(st, TL_OK);
      assert_true(n > 20);
      break;
    }
  }
  raw_server_close(server);
}

/* ---- TLS, against openssl's own server ---- */
static void tls_is_verified_and_new_enough(void **state) {
  (void)state;
  char dir[] = "/tmp/tl-http-XXXXXX", command[1024];
  assert_non_null(mkdtemp(dir));
  snprintf(command, sizeof command,
           "cd %s && openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 2 -subj /CN=localhost "
           "-addext subjectAltName=DNS:localhost 2>/dev/null",
           dir);
  assert_int_equal(system(command), 0);
  char cert[64];
  snprintf(cert, sizeof cert, "%s/cert", dir);
  static const struct {
    const char *options, *host;
    bool trusted;
    tl_status status;
  } table[] = {
      {"-tls1_2", "localhost", true, TL_OK},
      {"-tls1_3", "localhost", true, TL_OK},
      {"-tls1_3", "localhost", false, TL_ENET}, /* self-signed */
      {"-tls1_3", "127.0.0.1", true, TL_ENET},  /* another name */
      {"-tls1_1 -cipher ALL:@SECLEVEL=0", "localhost", true, TL_ENET},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    raw_server *free_port = raw_server_open(plain, NULL);
    int port = free_port->port;
    raw_server_close(free_port);
    snprintf(command, sizeof command, "cd %s && exec openssl s_server -quiet -www -accept 127.0.0.1:%d -cert cert -key key %s >/dev/null 2>&1 & echo $! > %s/pid",
             dir, port, table[i].options, dir);
    assert_int_equal(system(command), 0);
    if (table[i].trusted) setenv("CURL_CA_BUNDLE", cert, 1);
    else unsetenv("CURL_CA_BUNDLE");
    tl_http *http = NULL;
    tl_error err = {0};
    assert_int_equal(tl_http_open(&quick, &http, &err), TL_OK);
    tl_http_answer a = {0};
    char url[64];
    snprintf(url, sizeof url, "https://%s:%d/", table[i].host, port);
    tl_status st = TL_ENET;
    for (int tries = 0; tries < 100; tries++) { /* until it listens */
      st = tl_http_get(http, url, &a, &err);
      if (!st || !strstr(a.reason, "connect to")) break;
      usleep(50000);
    }
    if (st != table[i].status) fail_msg("%s %s: %d %s", table[i].options, table[i].host, (int)st, a.reason);
    if (!table[i].trusted) assert_true(a.hopeless && strstr(a.reason, "CURL_CA_BUNDLE"));
    tl_buf_deinit(&a.body);
    tl_http_close(http);
    snprintf(command, sizeof command, "kill $(cat %s/pid)", dir);
    assert_int_equal(system(command), 0);
  }
  unsetenv("CURL_CA_BUNDLE");
  snprintf(command, sizeof command, "rm -r %s", dir);
  assert_int_equal(system(command), 0);
}

static int nothing_left(void **state) {
  (void)state;
  return tl_alloc_live() != 0;
}

#define T(f) cmocka_unit_test_teardown(f, nothing_left)
int main(void) {
  const struct CMUnitTest tests[] = {
      T(a_whole_answer_comes_with_what_its_headers_say),
      T(a_compressed_body_is_handed_over_as_it_came),
      T(retry_after_is_seconds_or_a_date_or_nothing),
      T(broken_transfers_are_named_and_may_be_tried_again),
      T(headers_of_an_answer_before_the_answer_do_not_count),
      T(a_body_over_the_limit_is_cut_off),
      T(no_redirect_is_followed),
      T(nobody_listening_is_a_broken_transfer),
      T(a_proxy_is_never_asked_for_loopback),
      T(a_key_with_a_line_end_is_refused),
      T(many_transfers_share_few_connections_and_buffers),
      T(abort_ends_all_transfers_and_close_drops_them),
      T(another_thread_can_wake_the_loop),
      T(an_injected_network_fault_is_a_reset),
      T(no_memory_anywhere_is_a_clean_error),
      T(tls_is_verified_and_new_enough),
  };
  return cmocka_run_group_tests_name("net/http", tests, NULL, NULL);
}
