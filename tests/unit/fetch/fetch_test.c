/* The whole fetch stage against a scripted server. A page's body is "rows;next=TOKEN" (no TOKEN on the last page); the
 * rows of a chain must come out once each and in order, whatever happens on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "fetch/fetch.h"
#include "tests/unit/net/raw_server.h"

/* ---- a chain that collects its rows ---- */
typedef struct chain {
  tl_fetch *fetch;
  char name[32], rows[4096];
  int pages, done, inside;
  bool check_token;
  tl_status status;
  tl_error why;
  char bad_symbol[64];
  struct chain *split[2]; /* added when the batch is refused for a bad symbol */
  const tl_chain_ops *ops;
} chain;

static tl_status chain_url(void *argument, const char *token, tl_buf *url, tl_error *err) {
  chain *c = argument;
  return tl_buf_appendf(url, err, "/%s%s%s", c->name, token ? "?token=" : "", token ? token : "");
}

static tl_status chain_page(void *argument, const char *body, size_t len, char **next_token, tl_error *err) {
  chain *c = argument;
  assert_int_equal(c->inside++, 0); /* never two at once */
  assert_int_equal(strlen(body), len);
  tl_status st = TL_OK;
  const char *next = strstr(body, ";next=");
  if (!strncmp(body, "slow", 4)) st = tl_fail(err, TL_ELIMIT, "Note: our standard API call frequency");
  else if (!next) st = tl_fail(err, TL_EDECODE, "cannot read the page at byte %zu", len);
  if (!st && c->check_token) st = tl_fetch_token_check(next + 6, err);
  if (!st && next[6]) st = (*next_token = tl_strdup(next + 6)) ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot keep a token");
  if (!st) {
    strncat(c->rows, body, (size_t)(next - body));
    c->pages++;
  }
  c->inside--;
  return st;
}

static void chain_bad_symbol(void *argument, const char *symbol) { snprintf(((chain *)argument)->bad_symbol, 64, "%s", symbol); }

static void chain_done(void *argument, tl_status status, const tl_error *why) {
  chain *c = argument;
  c->done++;
  c->status = status;
  if (why) c->why = *why;
  for (int i = 0; i < 2; i++)
    if (status && c->split[i]) assert_int_equal(tl_fetch_add(c->fetch, c->ops, c->split[i], c->split[i]->name, NULL), TL_OK);
}

static const tl_chain_ops ops = {chain_url, chain_page, chain_bad_symbol, chain_done};

static void refusal(int http_code, const char *body, size_t len, tl_refusal *out) {
  (void)http_code;
  if (strncmp(body, "{\"message\":\"", 12) != 0 || len < 14) return; /* an HTML page */
  snprintf(out->text, sizeof out->text, "%.*s", (int)(len - 14), body + 12);
  out->bad_symbol = strstr(out->text, "invalid symbol") != NULL;
  if (out->bad_symbol) snprintf(out->symbol, sizeof out->symbol, "%s", strstr(out->text, ": ") + 2);
}

/* ---- the server's script: what the n-th request of a path gets; else the page it asks for ---- */
typedef struct fault {
  int index;          /* of the request over all; -1: every one */
  const char *path;   /* begins with; "" all */
  bool (*play)(raw_request *r);
} fault;

typedef struct script {
  fault faults[16];
  int pages, delay_ms;
  bool gzip;
} script;

static bool serve(raw_request *r) {
  const script *s = r->server->user;
  for (const fault *f = s->faults; f < s->faults + 16 && f->play; f++)
    if ((f->index < 0 || f->index == r->index) && !strncmp(r->target + 1, f->path, strlen(f->path))) return f->play(r);
  char name[64] = "", body[256], next[32] = "";
  int page = 1;
  sscanf(r->target, "/%63[^?]?token=t%d", name, &page);
  if (page < s->pages) snprintf(next, sizeof next, "t%d", page + 1);
  snprintf(body, sizeof body, "%s%d ;next=%s", name, page, next);
  raw_sleep_ms(r, s->delay_ms);
  if (!s->gzip) return raw_answer(r, 200, "", body), true;
  unsigned char packed[512];
  z_stream z = {.next_in = (Bytef *)body, .avail_in = (uInt)strlen(body), .next_out = packed, .avail_out = sizeof packed};
  deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
  deflate(&z, Z_FINISH);
  raw_printf(r, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %lu\r\n\r\n", z.total_out);
  raw_write(r, packed, z.total_out);
  deflateEnd(&z);
  return true;
}

/* ---- faults: RELIABILITY 14 ---- */
static bool f_429(raw_request *r) { return raw_answer(r, 429, "", "{\"message\": \"too many requests.\"}"), true; }
static bool f_429_after(raw_request *r) { return raw_answer(r, 429, "Retry-After: 1\r\n", ""), true; }
static bool f_429_date(raw_request *r) { return raw_answer(r, 429, "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", ""), true; }
static bool f_429_negative(raw_request *r) { return raw_answer(r, 429, "Retry-After: -30\r\n", ""), true; }
static bool f_408(raw_request *r) { return raw_answer(r, 408, "", ""), false; }
static bool f_425(raw_request *r) { return raw_answer(r, 425, "", ""), true; }
static bool f_500(raw_request *r) { return raw_answer(r, 500, "", "{\"message\":\"internal server error\"}"), true; }
static bool f_502(raw_request *r) { return raw_answer(r, 502, "", "<html>bad gateway</html>"), true; }
static bool f_503(raw_request *r) { return raw_answer(r, 503, "Retry-After: 0\r\n", ""), true; }
static bool f_504(raw_request *r) { return raw_answer(r, 504, "", ""), true; }
static bool f_rst(raw_request *r) { return raw_reset(r); }
static bool f_rst_header(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\nCont"), raw_reset(r); }
static bool f_rst_body(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nrows"), raw_reset(r); }
static bool f_short(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nrows;next="), false; }
static bool f_chunk(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc"), false; }
static bool f_late(raw_request *r) { return raw_sleep_ms(r, 3000), false; }
static bool f_loris(raw_request *r) {
  raw_printf(r, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
  for (int i = 0; i < 300 && !atomic_load(&r->server->stop); i++) raw_write(r, "x", 1), raw_sleep_ms(r, 10);
  return false;
}
static bool f_headers(raw_request *r) {
  raw_printf(r, "HTTP/1.1 200 OK\r\n");
  for (int i = 0; i < 20000; i++) raw_printf(r, "X-%d: endless\r\n", i);
  return false;
}
static bool f_html(raw_request *r) { return raw_answer(r, 200, "Content-Type: text/html\r\n", "<html>captive portal</html>"), true; }
static bool f_note(raw_request *r) { return raw_answer(r, 200, "", "slow down"), true; }
static bool f_gzip_cut(raw_request *r) { return raw_printf(r, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1F\x8B\x08z"), true; }
static bool f_gzip_text(raw_request *r) { return raw_answer(r, 200, "Content-Encoding: gzip\r\n", "this is not gzip at all;next="), true; }
static bool f_empty(raw_request *r) { return raw_answer(r, 200, "", ""), true; }
static bool f_token_again(raw_request *r) { return raw_answer(r, 200, "", "WRONG ;next=t2"), true; } /* a token given before */
static bool f_redirect(raw_request *r) { return raw_answer(r, 302, "Location: /elsewhere\r\n", ""), true; }
static bool f_redirect_away(raw_request *r) { return raw_answer(r, 302, "Location: http://evil.example/\r\n", ""), true; }
static bool f_401(raw_request *r) { return raw_answer(r, 401, "Content-Type: text/html\r\n", "<html>\r\n<head><title>401 Authorization Required</title></head>\r\n</html>"), true; }
static bool f_403(raw_request *r) { return raw_answer(r, 403, "", "{\"message\":\"subscription does not permit querying recent SIP data\"}"), true; }
static bool f_404(raw_request *r) { return raw_answer(r, 404, "", "{\"message\":\"no bar found for X\"}"), true; }
static bool f_bad_symbol(raw_request *r) { return raw_answer(r, 400, "", "{\"message\":\"invalid symbol: B4D\"}"), true; }
static bool f_400(raw_request *r) { return raw_answer(r, 400, "", "{\"message\":\"end should not be before start\"}"), true; }
static bool f_limited(raw_request *r) { return raw_answer(r, 200, "X-RateLimit-Limit: 6000\r\nX-RateLimit-Remaining: 0\r\n", "row ;next="), true; }
static bool f_400_gzip(raw_request *r) { /* {"message":"packed words"} */
  unsigned char packed[128];
  static char text[] = "{\"message\":\"packed words\"}";
  z_stream z = {.next_in = (Bytef *)text, .avail_in = sizeof text - 1, .next_out = packed, .avail_out = sizeof packed};
  deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
  deflate(&z, Z_FINISH);
  raw_printf(r, "HTTP/1.1 400 X\r\nContent-Encoding: gzip\r\nContent-Length: %lu\r\n\r\n", z.total_out);
  raw_write(r, packed, z.total_out);
  deflateEnd(&z);
  return true;
}
static bool f_400_broken_gzip(raw_request *r) { return raw_answer(r, 400, "Content-Encoding: gzip\r\n", "not gzip at all, but long enough"), true; }
static bool f_large(raw_request *r) {
  static char body[3000];
  memset(body, 'x', sizeof body - 1);
  return raw_answer(r, 200, "", body), true;
}
static bool f_leak(raw_request *r) { return raw_answer(r, 400, "", "{\"message\":\"key the-secret-key is odd\"}"), true; }

static const tl_fetch_options quick = {.headers = "Key: the-secret-key\n", .key = "unit", .threads = 4, .workers = 2, .retries = 3, .rate_fixed = true,
                                       .connect_timeout_ns = TL_NS_PER_S, .first_byte_timeout_ns = 300 * TL_NS_PER_MS,
                                       .stall_timeout_ns = 200 * TL_NS_PER_MS, .seed = 42, .refusal = refusal};

typedef struct run {
  raw_server *server;
  tl_fetch *fetch;
  chain chains[64];
  int count, received;
  tl_status status;
  tl_error err;
  tl_fetch_counts counts;
} run;

static void begin(run *t, const script *s, tl_fetch_options options, int chains) {
  *t = (run){.count = chains};
  t->server = raw_server_open(serve, (void *)(uintptr_t)s);
  options.endpoint = t->server->endpoint;
  assert_int_equal(tl_fetch_open(&options, &t->fetch, &t->err), TL_OK);
  for (int i = 0; i < chains; i++) {
    t->chains[i] = (chain){.fetch = t->fetch, .ops = &ops, .check_token = true};
    snprintf(t->chains[i].name, sizeof t->chains[i].name, "c%d_", i);
    assert_int_equal(tl_fetch_add(t->fetch, &ops, &t->chains[i], t->chains[i].name, &t->err), TL_OK);
  }
}

static void end(run *t) {
  t->status = tl_fetch_run(t->fetch, &t->err);
  tl_fetch_counters(t->fetch, &t->counts);
  assert_int_equal(t->counts.in_flight + t->counts.chains_active + t->counts.chains_waiting, 0);
  tl_fetch_close(t->fetch);
  t->received = atomic_load(&t->server->requests);
  raw_server_close(t->server);
  for (int i = 0; i < t->count; i++) assert_int_equal(t->chains[i].done, 1);
}

static void expect_rows(const chain *c, int pages) {
  char want[4096] = "";
  for (int p = 1; p <= pages; p++) snprintf(want + strlen(want), 64, "%s%d ", c->name, p);
  if (c->status) fail_msg("%s failed: %s", c->name, c->why.message);
  assert_string_equal(c->rows, want);
}

static void chains_of_pages_come_in_order(void **state) {
  (void)state;
  for (int gzip = 0; gzip < 2; gzip++) {
    static run t;
    script s = {.pages = 7, .gzip = gzip};
    begin(&t, &s, quick, 30);
    end(&t);
    assert_int_equal(t.status, TL_OK);
    for (int i = 0; i < 30; i++) expect_rows(&t.chains[i], 7);
    assert_int_equal(t.counts.requests, 210);
    assert_int_equal(t.counts.pages, 210);
    assert_int_equal(t.counts.retries, 0);
    assert_true(t.counts.bytes > 210);
  }
}

static void every_passing_fault_at_every_page_is_survived(void **state) {
  (void)state;
  static const struct { bool (*play)(raw_request *r); const char *name; } table[] = {
      {f_429, "429"}, {f_429_after, "429 Retry-After: 1"}, {f_429_date, "429 date in the past"}, {f_429_negative, "429 negative"},
      {f_408, "408"}, {f_425, "425"}, {f_500, "500"}, {f_502, "502"}, {f_503, "503"}, {f_504, "504"}, {f_rst, "reset"},
      {f_rst_header, "reset in header"}, {f_rst_body, "reset in body"}, {f_short, "short"}, {f_chunk, "chunk"}, {f_late, "no first byte"},
      {f_loris, "loris"}, {f_headers, "endless headers"}, {f_html, "HTML"}, {f_note, "rate text with 200"}, {f_gzip_cut, "cut gzip"},
      {f_gzip_text, "not gzip"}, {f_empty, "empty body"},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    for (int at = 0; at < 3; at += i % 3 == 0 ? 1 : 2) { /* first and last page, for some the middle too */
      static run t;
      script s = {.pages = 3, .faults = {{at, "", table[i].play}}};
      begin(&t, &s, quick, 1);
      end(&t);
      if (t.chains[0].status) fail_msg("%s at %d: %s", table[i].name, at, t.chains[0].why.message);
      expect_rows(&t.chains[0], 3);
      assert_int_equal(t.counts.requests, 4);
      assert_int_equal(t.counts.retries, 1);
      assert_int_equal(t.chains[0].pages, 3);
    }
}

static void a_repeated_token_is_asked_again_and_never_the_end(void **state) {
  (void)state;
  static run t;
  script s = {.pages = 4, .faults = {{1, "", f_token_again}, {3, "", f_token_again}}};
  begin(&t, &s, quick, 1);
  end(&t);
  expect_rows(&t.chains[0], 4);
  assert_int_equal(t.counts.retries, 2);
  /* for ever: */
  s = (script){.pages = 4, .faults = {{-1, "c0_?token=t2", f_token_again}}};
  begin(&t, &s, quick, 1);
  end(&t);
  assert_int_equal(t.chains[0].status, TL_EDECODE);
  assert_string_equal(t.chains[0].rows, "c0_1 ");
  assert_int_equal(t.counts.requests, 1 + 4);
  /* a chain that keeps rows before it looks at the token can only fail */
  begin(&t, &s, quick, 1);
  t.chains[0].check_token = false;
  end(&t);
  assert_int_equal(t.chains[0].status, TL_EDECODE);
  assert_int_equal(t.counts.requests, 2);
}

static void lasting_faults_end_the_chain_with_their_reason_and_no_other(void **state) {
  (void)state;
  static const struct { bool (*play)(raw_request *r); tl_status status; int code, requests; const char *text; } table[] = {
      {f_500, TL_EHTTP, 500, 4, "c1_: HTTP 500: internal server error (after 4 tries)"},
      {f_502, TL_EHTTP, 502, 4, "c1_: HTTP 502: bad gateway (after 4 tries)"},
      {f_rst, TL_ENET, 0, 4, "(after 4 tries)"},
      {f_html, TL_EDECODE, 0, 4, "cannot read the page at byte 27 (after 4 tries)"},
      {f_gzip_cut, TL_ENET, 0, 4, "compressed"},
      {f_403, TL_EHTTP, 403, 1, "c1_: HTTP 403: subscription does not permit querying recent SIP data"},
      {f_404, TL_ENOTFOUND, 404, 1, "no bar found for X"},
      {f_400, TL_EHTTP, 400, 1, "end should not be before start"},
      {f_400_gzip, TL_EHTTP, 400, 1, "c1_: HTTP 400: packed words"},
      {f_400_broken_gzip, TL_EHTTP, 400, 1, "c1_: the provider answered HTTP 400 without a reason"},
      {f_large, TL_ELIMIT, 0, 4, "larger than 2000 bytes"},
      {f_redirect, TL_EORIGIN, 302, 1, "http://127.0.0.1"},
      {f_redirect_away, TL_EORIGIN, 302, 1, "http://evil.example"},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    static run t;
    script s = {.pages = 2, .faults = {{-1, "c1_", table[i].play}}};
    tl_fetch_options options = quick;
    options.page_bytes_max = 2000;
    begin(&t, &s, options, 3);
    end(&t);
    assert_int_equal(t.status, TL_OK);
    expect_rows(&t.chains[0], 2);
    expect_rows(&t.chains[2], 2);
    const chain *bad = &t.chains[1];
    if (bad->status != table[i].status || bad->why.status != bad->status || bad->why.http_code != table[i].code || !strstr(bad->why.message, table[i].text))
      fail_msg("%s: %d %d %s", table[i].text, (int)bad->status, bad->why.http_code, bad->why.message);
    assert_int_equal(t.counts.requests, t.received);
    if (bad->status != TL_ENET) assert_int_equal(t.received, 4 + table[i].requests); /* curl repeats a reset on a kept connection */
  }
}

static void a_refused_key_ends_everything_at_once(void **state) {
  (void)state;
  static run t;
  script s = {.pages = 2, .faults = {{-1, "", f_401}}};
  begin(&t, &s, quick, 40);
  end(&t);
  assert_int_equal(t.status, TL_EAUTH);
  assert_int_equal(t.err.http_code, 401);
  assert_string_equal(t.err.message, "the provider refused the key (HTTP 401): 401 Authorization Required");
  for (int i = 0; i < 40; i++) assert_int_equal(t.chains[i].status, TL_EAUTH);
  assert_in_range(t.counts.requests, 1, 8);
}

static void a_429_never_spends_a_try(void **state) {
  (void)state;
  static run t;
  script s = {.pages = 1, .faults = {{0, "", f_429}, {1, "", f_429}, {2, "", f_429}}};
  tl_fetch_options options = quick;
  options.retries = -1;
  int64_t start_ns = tl_clock_mono_ns();
  begin(&t, &s, options, 1);
  end(&t);
  expect_rows(&t.chains[0], 1);
  assert_int_equal(t.counts.refused, 3);
  assert_true(tl_clock_mono_ns() - start_ns >= (250 + 500 + 1000) * TL_NS_PER_MS);
}

static void a_bad_symbol_splits_the_batch_and_the_halves_get_through(void **state) {
  (void)state;
  static run t;
  static chain halves[2];
  script s = {.pages = 2, .faults = {{-1, "c0_", f_bad_symbol}}};
  begin(&t, &s, quick, 2);
  for (int i = 0; i < 2; i++) {
    halves[i] = (chain){.fetch = t.fetch, .ops = &ops, .check_token = true};
    snprintf(halves[i].name, sizeof halves[i].name, "half%d_", i);
    t.chains[0].split[i] = &halves[i];
  }
  end(&t);
  assert_int_equal(t.status, TL_OK);
  assert_int_equal(t.chains[0].status, TL_EHTTP);
  assert_string_equal(t.chains[0].bad_symbol, "B4D");
  assert_string_equal(t.chains[1].bad_symbol, "");
  for (int i = 0; i < 2; i++) expect_rows(&halves[i], 2);
}

static atomic_bool canceled;
static int ticks;
static void cancel_soon(void *user) {
  (void)user;
  if (++ticks >= 3) atomic_store(&canceled, true);
}

static void a_cancel_stops_sending_and_every_chain_hears_of_it(void **state) {
  (void)state;
  static run t;
  script s = {.pages = 1000000, .delay_ms = 10};
  tl_fetch_options options = quick;
  options.canceled = &canceled;
  options.tick = cancel_soon;
  begin(&t, &s, options, 20);
  end(&t);
  assert_int_equal(t.status, TL_ECANCELED);
  for (int i = 0; i < 20; i++) assert_int_equal(t.chains[i].status, TL_ECANCELED);
  assert_true(t.chains[0].pages > 0);
}

static int admitted, released;
static bool admit_three(void *user) { return (void)user, admitted < released && ++admitted; }
static void release_more(void *user) { /* the run's memory got free: two more chains may start with every tick */
  raw_server *server = *(raw_server **)user;
  assert_true(atomic_load(&server->requests) <= admitted * 2);
  released += 2;
}

static void no_chain_starts_that_is_not_admitted(void **state) {
  (void)state;
  static run t;
  script s = {.pages = 2};
  tl_fetch_options options = quick;
  options.admit = admit_three;
  options.tick = release_more;
  options.user = &t.server;
  begin(&t, &s, options, 8);
  end(&t);
  assert_int_equal(t.status, TL_OK);
  assert_int_equal(admitted, 8);
  for (int i = 0; i < 8; i++) expect_rows(&t.chains[i], 2);
}

static void the_budget_holds_back_requests(void **state) {
  (void)state;
  static run t;
  script s = {.pages = 5};
  tl_fetch_options options = quick;
  options.key = "budget test";
  options.rate_per_minute = 3;
  options.canceled = &canceled;
  atomic_store(&canceled, false);
  ticks = 0;
  options.tick = cancel_soon; /* it would take a minute */
  begin(&t, &s, options, 2);
  end(&t);
  assert_int_equal(t.status, TL_ECANCELED);
  assert_int_equal(t.counts.requests, 3);
  assert_true(t.counts.paused_ns > 50 * TL_NS_PER_S);
}

static tl_status away_url(void *argument, const char *token, tl_buf *url, tl_error *err) {
  (void)token;
  return tl_buf_appends(url, ((chain *)argument)->name, err);
}

static void the_rate_of_the_answers_headers_is_learned(void **state) {
  (void)state;
  static run t;
  script s = {.pages = 1, .faults = {{-1, "", f_limited}}};
  tl_fetch_options options = quick;
  options.key = "learning test";
  options.rate_per_minute = 5; /* alone this would take a minute */
  options.rate_fixed = false;
  int64_t start_ns = tl_clock_mono_ns();
  begin(&t, &s, options, 12);
  end(&t);
  assert_int_equal(t.status, TL_OK);
  for (int i = 0; i < 12; i++) assert_string_equal(t.chains[i].rows, "row ");
  assert_in_range(tl_clock_mono_ns() - start_ns, 50 * TL_NS_PER_MS, 30 * TL_NS_PER_S); /* 10 ms after each "0 remaining" */
}

static atomic_bool gate;
static bool admit_when_open(void *user) { return (void)user, atomic_load(&gate); }
static void *open_gate(void *fetch) {
  usleep(30000);
  atomic_store(&gate, true);
  tl_fetch_wakeup(fetch);
  return NULL;
}

static void a_wakeup_asks_for_admission_again(void **state) {
  (void)state;
  static run t;
  script s = {.pages = 1};
  tl_fetch_options options = quick;
  options.admit = admit_when_open;
  begin(&t, &s, options, 2);
  pthread_t thread;
  pthread_create(&thread, NULL, open_gate, t.fetch);
  end(&t);
  pthread_join(thread, NULL);
  expect_rows(&t.chains[1], 1);
}

static void a_next_url_elsewhere_is_refused(void **state) {
  (void)state;
  static const char *const targets[] = {"http://evil.example/x", "http://127.0.0.1:1/x", "https://127.0.0.1/x", "//evil.example/x", "http://169.254.169.254/", "file:///etc/passwd"};
  static const tl_chain_ops away = {away_url, chain_page, NULL, chain_done};
  static run t;
  static chain chains[6];
  script s = {.pages = 1};
  begin(&t, &s, quick, 1);
  for (int i = 0; i < 6; i++) {
    chains[i] = (chain){.ops = &away};
    snprintf(chains[i].name, sizeof chains[i].name, "%s", targets[i]);
    assert_int_equal(tl_fetch_add(t.fetch, &away, &chains[i], "x", NULL), TL_OK);
  }
  end(&t);
  for (int i = 0; i < 6; i++) assert_int_equal(chains[i].status, TL_EORIGIN);
  assert_int_equal(t.counts.requests, 1);
}

static void a_secret_never_shows_in_an_error(void **state) {
  (void)state;
  static run t;
  script s = {.pages = 1, .faults = {{-1, "", f_leak}}};
  assert_int_equal(tl_log_hide("the-secret-key", NULL), TL_OK);
  begin(&t, &s, quick, 1);
  end(&t);
  assert_string_equal(t.chains[0].why.message, "c0_: HTTP 400: key ************** is odd");
  tl_log_close();
}

static void one_answer_can_be_had_alone(void **state) {
  (void)state;
  static run t;
  script s = {.pages = 1, .gzip = true, .faults = {{1, "assets", f_404}}};
  begin(&t, &s, quick, 0);
  tl_buf body = {0};
  tl_error err = {0};
  assert_int_equal(tl_fetch_get(t.fetch, "/assets", &body, &err), TL_OK);
  assert_string_equal(body.data, "assets1 ;next=");
  assert_int_equal(tl_fetch_get(t.fetch, "/assets", &body, &err), TL_ENOTFOUND);
  assert_non_null(strstr(err.message, "no bar found"));
  tl_buf_deinit(&body);
  end(&t);
}

static void a_closed_fetch_still_answers_for_its_chains(void **state) {
  (void)state;
  static run t;
  script s = {.pages = 1};
  begin(&t, &s, quick, 3);
  tl_fetch_close(t.fetch);
  raw_server_close(t.server);
  for (int i = 0; i < 3; i++) assert_true(t.chains[i].done == 1 && t.chains[i].status == TL_ECANCELED);
}

static void wrong_options_are_named(void **state) {
  (void)state;
  tl_fetch *f = NULL;
  tl_error err = {0};
  assert_int_equal(tl_fetch_open(&(tl_fetch_options){.endpoint = "http://example.com"}, &f, &err), TL_EUSAGE);
  assert_int_equal(tl_fetch_open(&(tl_fetch_options){.endpoint = "nonsense"}, &f, &err), TL_EUSAGE);
  assert_int_equal(tl_fetch_open(&(tl_fetch_options){.endpoint = NULL}, &f, &err), TL_EUSAGE);
}

/* Every transfer fails once, then every allocation: rows once and in order, or a reason; nothing left behind. */
static void every_network_fault_is_survived(void **state) {
  (void)state;
  for (long n = 1;; n++) {
    static run t;
    script s = {.pages = 3};
    tl_fault_arm(TL_SEAM_NET, n, TL_FAULT_ERROR, 0);
    begin(&t, &s, quick, 2);
    end(&t);
    bool fired = tl_fault_disarm();
    for (int i = 0; i < 2; i++) expect_rows(&t.chains[i], 3);
    assert_int_equal(t.counts.retries, fired);
    if (!fired) break;
    assert_true(n < 10);
  }
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  long n = 1;
  for (;; n++) {
    script s = {.pages = 3, .gzip = true};
    raw_server *server = raw_server_open(serve, &s);
    tl_fetch_options options = quick;
    options.endpoint = server->endpoint;
    options.workers = 1;
    tl_fetch *f = NULL;
    tl_error err = {0};
    static chain c;
    c = (chain){.name = "c0_", .check_token = true};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = tl_fetch_open(&options, &f, &err);
    bool added = false;
    if (!st) st = tl_fetch_add(f, &ops, &c, "label", &err);
    added = !st;
    if (!st) st = tl_fetch_run(f, &err);
    bool fired = tl_fault_disarm();
    tl_fetch_close(f);
    raw_server_close(server);
    assert_int_equal(c.done, added);
    if (st) assert_true(err.message[0]);
    if (added && c.status) assert_true(c.why.message[0]);
    if (added && !c.status) expect_rows(&c, 3);
    if (tl_alloc_live()) fail_msg("allocation %ld leaked %lld blocks", n, (long long)tl_alloc_live());
    if (!fired) {
      assert_true(!st && !c.status);
      break;
    }
    assert_true(n < 100000);
  }
  assert_true(n > 50);
}

static int nothing_left(void **state) {
  (void)state;
  return tl_alloc_live() != 0;
}

#define T(f) cmocka_unit_test_teardown(f, nothing_left)
int main(void) {
  char state[] = "/tmp/tl-fetch-XXXXXX", command[64];
  if (!mkdtemp(state)) return 1;
  setenv("TICKLAKE_STATE", state, 1);
  tl_log_set_level(TL_LOG_ERROR, TL_LOG_INFO);
  const struct CMUnitTest tests[] = {
      T(chains_of_pages_come_in_order),
      T(every_passing_fault_at_every_page_is_survived),
      T(a_repeated_token_is_asked_again_and_never_the_end),
      T(lasting_faults_end_the_chain_with_their_reason_and_no_other),
      T(a_refused_key_ends_everything_at_once),
      T(a_429_never_spends_a_try),
      T(a_bad_symbol_splits_the_batch_and_the_halves_get_through),
      T(a_cancel_stops_sending_and_every_chain_hears_of_it),
      T(no_chain_starts_that_is_not_admitted),
      T(the_budget_holds_back_requests),
      T(the_rate_of_the_answers_headers_is_learned),
      T(a_wakeup_asks_for_admission_again),
      T(a_next_url_elsewhere_is_refused),
      T(a_secret_never_shows_in_an_error),
      T(one_answer_can_be_had_alone),
      T(a_closed_fetch_still_answers_for_its_chains),
      T(wrong_options_are_named),
      T(every_network_fault_is_survived),
      T(every_allocation_may_fail),
  };
  int failed = cmocka_run_group_tests_name("fetch/fetch", tests, NULL, NULL);
  snprintf(command, sizeof command, "rm -r %s", state);
  return system(command) || failed;
}
