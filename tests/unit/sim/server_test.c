/* The simulator as a process: over real sockets, with the faults of the way (waits, resets, bad framing), its hooks,
 * limits and its end. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <libdeflate.h>

#include "base/clock.h"
#include "sim/sim.h"

typedef struct process {
  pid_t pid;
  uint16_t port;
} process;

/* Starts `simulate --port 0` and more arguments (NULL ends) in a child, waits for its line. */
static process start(const char *first, ...) {
  char *argv[16] = {(char *)(uintptr_t) "simulate", (char *)(uintptr_t) "--port", (char *)(uintptr_t) "0"};
  int argc = 3, ends[2];
  va_list args;
  va_start(args, first);
  for (const char *a = first; a; a = va_arg(args, const char *)) argv[argc++] = (char *)(uintptr_t)a;
  va_end(args);
  assert_int_equal(pipe(ends), 0);
  process p = {.pid = fork()};
  assert_true(p.pid >= 0);
  if (p.pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    exit(sim_main(argc, argv));
  }
  close(ends[1]);
  char line[128] = "";
  size_t n = 0;
  while (n + 1 < sizeof line && !strchr(line, '\n')) {
    ssize_t got = read(ends[0], line + n, sizeof line - 1 - n);
    assert_true(got > 0);
    n += (size_t)got;
    line[n] = 0;
  }
  close(ends[0]);
  unsigned port = 0;
  assert_int_equal(sscanf(line, "listening on http://127.0.0.1:%u\n", &port), 1);
  p.port = (uint16_t)port;
  return p;
}

static void stop(process p, int signal_number) {
  int status = 0;
  assert_int_equal(kill(p.pid, signal_number), 0);
  assert_int_equal(waitpid(p.pid, &status, 0), p.pid);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static int dial(process p) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(p.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  return fd;
}

static void say(int fd, const char *text) { assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text)); }

#define KEYS "APCA-API-KEY-ID: k\r\nAPCA-API-SECRET-KEY: s\r\n"
#define BARS "/v2/stocks/bars?symbols=AAPL&timeframe=1Min&start=2024-03-11T13:30:00Z&end=2024-03-11T20:00:00Z&feed=sip&limit=100"

typedef struct reply {
  char *data; /* all that came until the end, NUL after */
  size_t len, body; /* where the body starts */
  int error;        /* errno of the read that ended it, 0 for an orderly end */
  int64_t ms;
} reply;

static reply hear(int fd, size_t most) {
  reply r = {.data = calloc(1, most + 1)};
  int64_t begin = tl_clock_mono_ns();
  assert_non_null(r.data);
  while (r.len < most) {
    ssize_t n = recv(fd, r.data + r.len, most - r.len, 0);
    if (n < 0) r.error = errno;
    if (n <= 0) break;
    r.len += (size_t)n;
  }
  close(fd);
  const char *end = strstr(r.data, "\r\n\r\n");
  r.body = end ? (size_t)(end - r.data) + 4 : r.len;
  r.ms = (tl_clock_mono_ns() - begin) / TL_NS_PER_MS;
  return r;
}

static reply fetch(process p, const char *target, const char *headers) {
  char request[2048];
  snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n%sConnection: close\r\n\r\n", target, headers);
  int fd = dial(p);
  say(fd, request);
  return hear(fd, 4 << 20);
}

static void post(process p, const char *target, const char *body, const char *want_status) {
  char request[2048];
  snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", target, strlen(body), body);
  int fd = dial(p);
  say(fd, request);
  reply r = hear(fd, 65536);
  assert_memory_equal(r.data, want_status, strlen(want_status));
  free(r.data);
}

static size_t announced_length(const reply *r) {
  const char *at = strstr(r->data, "Content-Length: ");
  assert_non_null(at);
  return (size_t)strtoull(at + 16, NULL, 10);
}

static void answers_over_http_with_keep_alive_and_pipelining(void **state) {
  (void)state;
  process p = start(NULL, NULL);
  int fd = dial(p);
  say(fd, "GET /v2/clock HTTP/1.1\r\n" KEYS "\r\nGET " BARS " HTTP/1.1\r\n" KEYS "\r\n");
  say(fd, "GET /v2/clock HTTP/1.1\r\n" KEYS "Connection: close\r\n\r\n");
  reply r = hear(fd, 1 << 20);
  int answers = 0;
  for (const char *at = r.data; (at = strstr(at, "HTTP/1.1 200 OK\r\n")); at++) answers++;
  assert_int_equal(answers, 3);
  assert_non_null(strstr(r.data, "X-RateLimit-Limit: 10000\r\nX-RateLimit-Remaining: 9998\r\nX-RateLimit-Reset: "));
  free(r.data);
  stop(p, SIGTERM);
}

static void only_bodies_above_256_bytes_are_compressed_and_only_when_asked(void **state) {
  (void)state;
  process p = start("--gzip-level", "6", NULL);
  reply plain = fetch(p, BARS, KEYS), packed = fetch(p, BARS, KEYS "Accept-Encoding: deflate, gzip\r\n"), small = fetch(p, "/v2/clock", KEYS "Accept-Encoding: gzip\r\n");
  assert_null(strstr(plain.data, "Content-Encoding"));
  assert_null(strstr(small.data, "Content-Encoding"));
  assert_non_null(strstr(packed.data, "Content-Encoding: gzip\r\n"));
  char out[65536];
  size_t got = 0;
  struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
  assert_int_equal(libdeflate_gzip_decompress(d, packed.data + packed.body, packed.len - packed.body, out, sizeof out, &got), LIBDEFLATE_SUCCESS);
  libdeflate_free_decompressor(d);
  assert_int_equal(got, plain.len - plain.body);
  assert_memory_equal(out, plain.data + plain.body, got);
  assert_int_equal(announced_length(&packed), packed.len - packed.body);
  free(plain.data);
  free(packed.data);
  free(small.data);
  stop(p, SIGINT);
}

static void wrong_or_absent_credentials_get_the_html_page(void **state) {
  (void)state;
  process p = start("--key", "KK", "--secret", "SS", NULL);
  static const struct {
    const char *headers;
    bool good;
  } cases[] = {{"", false}, {KEYS, false}, {"apca-api-key-id: KK\r\nAPCA-API-SECRET-KEY:SS\r\n", true}, {"Authorization: Basic S0s6U1M=\r\n", true},
               {"Authorization: Basic S0s6U1Mx\r\n", false}, {"Authorization: Bearer t\r\n", false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    reply r = fetch(p, "/v2/clock", cases[i].headers);
    assert_memory_equal(r.data, cases[i].good ? "HTTP/1.1 200" : "HTTP/1.1 401", 12);
    if (!cases[i].good) assert_non_null(strstr(r.data, "Content-Type: text/html\r\n"));
    if (!cases[i].good) assert_non_null(strstr(r.data, "<title>401 Authorization Required</title>"));
    free(r.data);
  }
  stop(p, SIGTERM);
}

static void the_rate_is_a_token_bucket_whose_refusal_says_nothing_more(void **state) {
  (void)state;
  process p = start("--rate", "60/min", NULL);
  int granted = 0, refused = 0;
  for (int i = 0; i < 70; i++) {
    reply r = fetch(p, "/v2/clock", KEYS);
    if (strncmp(r.data, "HTTP/1.1 200", 12) == 0) {
      granted++;
    } else {
      assert_memory_equal(r.data, "HTTP/1.1 429", 12);
      assert_null(strstr(r.data, "RateLimit"));
      assert_null(strstr(r.data, "Retry-After"));
      assert_string_equal(r.data + r.body, "{\"message\": \"too many requests.\"}");
      refused++;
    }
    free(r.data);
  }
  assert_true(granted >= 60 && refused >= 1);
  reply other = fetch(p, "/v2/clock", "APCA-API-KEY-ID: another\r\nAPCA-API-SECRET-KEY: s\r\n");
  assert_memory_equal(other.data, "HTTP/1.1 200", 12); /* a bucket per key */
  free(other.data);
  stop(p, SIGTERM);
}

static void what_is_no_request_is_refused_and_the_rest_goes_on(void **state) {
  (void)state;
  process p = start(NULL, NULL);
  static const char *const bad[] = {"hello\r\n\r\n", "GET /v2/clock\r\n\r\n", "GET v2/clock HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n",
                                    "POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "\r\n\r\n"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    int fd = dial(p);
    say(fd, bad[i]);
    reply r = hear(fd, 65536);
    assert_memory_equal(r.data, "HTTP/1.1 400", 12);
    free(r.data);
  }
  int fd = dial(p);
  char line[1024];
  memset(line, 'a', sizeof line);
  for (int i = 0; i < 100; i++)
    if (send(fd, line, sizeof line, MSG_NOSIGNAL) < 0) break; /* 100 KB without an end */
  reply r = hear(fd, 65536);
  if (!r.error) assert_memory_equal(r.data, "HTTP/1.1 400", 12);
  free(r.data);
  for (int i = 0; i < 20; i++) { /* half a request, and gone */
    fd = dial(p);
    say(fd, "GET /v2/cl");
    close(fd);
  }
  r = fetch(p, "/v2/clock", KEYS);
  assert_memory_equal(r.data, "HTTP/1.1 200", 12);
  free(r.data);
  r = fetch(p, "/nowhere", KEYS);
  assert_memory_equal(r.data, "HTTP/1.1 404", 12);
  free(r.data);
  stop(p, SIGTERM);
}

static void hundreds_of_connections_are_served(void **state) {
  (void)state;
  process p = start("--threads", "3", NULL);
  int fds[300];
  for (int i = 0; i < 300; i++) {
    fds[i] = dial(p);
    say(fds[i], "GET " BARS " HTTP/1.1\r\n" KEYS "Connection: close\r\n\r\n");
  }
  char *first = NULL;
  for (int i = 0; i < 300; i++) {
    reply r = hear(fds[i], 1 << 20);
    assert_int_equal(announced_length(&r), r.len - r.body);
    if (!first) first = strdup(r.data + r.body);
    assert_string_equal(first, r.data + r.body);
    free(r.data);
  }
  free(first);
  stop(p, SIGTERM);
}

static void faults_of_the_way_happen_as_said(void **state) {
  (void)state;
  process p = start(NULL, NULL);
  reply right = fetch(p, BARS, KEYS);
  size_t whole = right.len - right.body;
  static const struct {
    const char *rule;
    int error;
    size_t body_least, body_most;
    int64_t ms_least;
  } cases[] = {
      {"slow-first-byte=300", 0, SIZE_MAX, SIZE_MAX, 290}, {"stall-after=500,300", 0, SIZE_MAX, SIZE_MAX, 290},
      {"drip=40000", 0, SIZE_MAX, SIZE_MAX, 200},          {"reset=before", ECONNRESET, 0, 0, 0},
      {"reset=headers", ECONNRESET, 0, 0, 0},              {"reset=body,500", ECONNRESET, 0, 500, 0},
      {"close=500", 0, 500, 500, 0},                       {"close", 0, 1000, 20000, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char rule[128];
    snprintf(rule, sizeof rule, "when always times=1 do %s", cases[i].rule);
    post(p, "/_sim/faults", rule, "HTTP/1.1 200");
    reply r = fetch(p, BARS, KEYS);
    size_t got = r.len - r.body;
    assert_int_equal(r.error, cases[i].error);
    assert_true(got >= (cases[i].body_least == SIZE_MAX ? whole : cases[i].body_least));
    assert_true(got <= (cases[i].body_most == SIZE_MAX ? whole : cases[i].body_most));
    assert_true(r.ms >= cases[i].ms_least);
    if (cases[i].error == 0) assert_int_equal(announced_length(&r), whole);
    free(r.data);
    r = fetch(p, BARS, KEYS); /* once only */
    assert_int_equal(r.len - r.body, whole);
    assert_memory_equal(r.data + r.body, right.data + right.body, whole);
    free(r.data);
  }
  post(p, "/_sim/faults", "when always do endless-headers", "HTTP/1.1 200");
  int fd = dial(p);
  say(fd, "GET " BARS " HTTP/1.1\r\n" KEYS "\r\n");
  reply r = hear(fd, 1 << 20);
  assert_int_equal(r.len, 1 << 20);
  assert_null(strstr(r.data, "\r\n\r\n"));
  free(r.data);
  post(p, "/_sim/faults", "when always do bad-chunks", "HTTP/1.1 200");
  r = fetch(p, BARS, KEYS);
  assert_non_null(strstr(r.data, "Transfer-Encoding: chunked\r\n"));
  assert_non_null(strstr(r.data, "\r\nnot a size\r\n"));
  free(r.data);
  free(right.data);
  stop(p, SIGTERM);
}

static void hooks_count_replace_and_reset(void **state) {
  (void)state;
  process p = start(NULL, NULL);
  post(p, "/_sim/faults", "when kind=bars nth=2 do 503 html\nwhen symbol=MSFT do invalid-symbol", "HTTP/1.1 200");
  post(p, "/_sim/faults", "when", "HTTP/1.1 400"); /* refused: the old rules stay */
  for (int i = 0; i < 3; i++) {
    reply r = fetch(p, BARS, KEYS);
    assert_memory_equal(r.data, i == 1 ? "HTTP/1.1 503" : "HTTP/1.1 200", 12);
    if (i == 1) assert_non_null(strstr(r.data, "<center>nginx</center>"));
    free(r.data);
  }
  reply r = fetch(p, "/v2/stocks/MSFT/trades/latest", KEYS);
  assert_string_equal(r.data + r.body, "{\"message\":\"invalid symbol\"}");
  free(r.data);
  r = fetch(p, "/_sim/stats", "");
  assert_non_null(strstr(r.data, "{\"requests\":4,\"faults\":2,"));
  assert_non_null(strstr(r.data, "\"by_path\":{\"/v2/stocks/bars\":3,\"/v2/stocks/MSFT/trades/latest\":1}"));
  assert_non_null(strstr(r.data, "\"by_status\":{\"200\":2,\"503\":1,\"400\":1}"));
  assert_non_null(strstr(r.data, "\"by_fault\":{\"status\":1,\"invalid-symbol\":1}"));
  assert_non_null(strstr(r.data, "{\"n\":2,\"page\":1,\"status\":503,\"fault\":\"status\",\"target\":\"" BARS "\"}"));
  free(r.data);
  post(p, "/_sim/reset", "", "HTTP/1.1 200");
  r = fetch(p, "/_sim/stats", "");
  assert_non_null(strstr(r.data, "{\"requests\":0,\"faults\":0,"));
  free(r.data);
  r = fetch(p, "/_sim/other", "");
  assert_memory_equal(r.data, "HTTP/1.1 404", 12);
  free(r.data);
  stop(p, SIGTERM);
}

/* The text of a page and its token (percent-encoded), found by hand. */
static char *page_text(process p, const char *token, char next[512]) {
  char target[1024];
  snprintf(target, sizeof target, "%s%s%s", BARS, token[0] ? "&page_token=" : "", token);
  reply r = fetch(p, target, KEYS);
  assert_memory_equal(r.data, "HTTP/1.1 200", 12);
  char *text = strdup(r.data + r.body), *at = strstr(text, "\"next_page_token\":\"");
  size_t n = 0;
  if (at)
    for (at += 19; *at != '"'; at++) n += (size_t)snprintf(next + n, 512 - n, *at == '=' ? "%%3D" : *at == '+' ? "%%2B" : *at == '/' ? "%%2F" : "%c", *at);
  next[n] = 0;
  free(r.data);
  return text;
}

static void pages_are_numbered_and_their_faults_do_what_they_say(void **state) {
  (void)state;
  process p = start(NULL, NULL);
  char second[512], third[512], token[512], after[512];
  char *one = page_text(p, "", second), *two = page_text(p, second, third);
  post(p, "/_sim/faults", "when page=2 do empty-with-token", "HTTP/1.1 200");
  char *empty = page_text(p, second, token);
  assert_memory_equal(empty, "{\"bars\":{},\"next_page_token\":\"", 30);
  char *two_again = page_text(p, token, after);
  assert_string_equal(two_again, two);
  assert_string_equal(after, third);
  post(p, "/_sim/faults", "when page=2 do same-token", "HTTP/1.1 200");
  char *loop = page_text(p, second, token);
  assert_string_equal(token, second);
  post(p, "/_sim/faults", "when page=2 do repeat-rows=2", "HTTP/1.1 200");
  char *repeated = page_text(p, second, token);
  size_t extra = strlen(repeated) - strlen(two);
  const char *tail = strstr(one, "]}"); /* the last two rows of page one, and a comma, are in front */
  assert_memory_equal(repeated + 17, tail - (extra - 1), extra - 1);
  assert_string_equal(repeated + 17 + extra, two + 17);
  free(one);
  free(two);
  free(empty);
  free(two_again);
  free(loop);
  free(repeated);
  stop(p, SIGTERM);
}

static void latency_and_the_clock_can_be_set(void **state) {
  (void)state;
  process p = start("--latency", "120", "--now", "2024-11-04T15:00:00Z", NULL);
  reply r = fetch(p, "/v2/clock", KEYS);
  assert_true(r.ms >= 115);
  assert_non_null(strstr(r.data, "{\"timestamp\":\"2024-11-04T10:00:0"));
  assert_non_null(strstr(r.data, "\"is_open\":true"));
  free(r.data);
  stop(p, SIGTERM);
}

static void wrong_usage_is_exit_2(void **state) {
  (void)state;
  static const char *const cases[][2] = {{"--port", "99999"}, {"--rate", "x"}, {"--token-style", "older"}, {"--nonsense", "1"}, {"--density", "0"},
                                         {"--now", "yesterday"}, {"--gzip-level", "9"}, {"--seed", NULL}};
  int keep = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
  dup2(null, STDERR_FILENO);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *argv[] = {(char *)(uintptr_t) "simulate", (char *)(uintptr_t)cases[i][0], (char *)(uintptr_t)cases[i][1], NULL};
    assert_int_equal(sim_main(cases[i][1] ? 3 : 2, argv), 2);
  }
  dup2(keep, STDERR_FILENO);
  close(keep);
  close(null);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(answers_over_http_with_keep_alive_and_pipelining),
      cmocka_unit_test(only_bodies_above_256_bytes_are_compressed_and_only_when_asked),
      cmocka_unit_test(wrong_or_absent_credentials_get_the_html_page),
      cmocka_unit_test(the_rate_is_a_token_bucket_whose_refusal_says_nothing_more),
      cmocka_unit_test(what_is_no_request_is_refused_and_the_rest_goes_on),
      cmocka_unit_test(hundreds_of_connections_are_served),
      cmocka_unit_test(faults_of_the_way_happen_as_said),
      cmocka_unit_test(hooks_count_replace_and_reset),
      cmocka_unit_test(pages_are_numbered_and_their_faults_do_what_they_say),
      cmocka_unit_test(latency_and_the_clock_can_be_set),
      cmocka_unit_test(wrong_usage_is_exit_2),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
