/* responder.c - what happens to a request, in order: test hooks; its number; credentials; rate limit; the page from the
 * cache or made anew; gzip. */
#include "sim/responder.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "sim/days.h"
#include "sim/inject.h"
#include "sim/pack.h"
#include "sim/tally.h"
#include "sim/text.h"

struct sim_responder {
  sim_options options;
  sim_cache *cache;
  sim_tally *tally;
  pthread_mutex_t script_lock; /* around the pointer and its use */
  sim_script *script;          /* NULL: no faults */
};

tl_status sim_responder_open(const sim_options *options, sim_responder **out, tl_error *err) {
  sim_responder *r = tl_calloc(1, sizeof *r);
  if (!r) return tl_fail(err, TL_ENOMEM, "out of memory for the simulator");
  r->options = *options;
  pthread_mutex_init(&r->script_lock, NULL);
  tl_status st = sim_cache_open(options->cache_bytes, &r->cache, err);
  if (!st) st = sim_tally_open(&r->tally, err);
  if (!st && options->faults) st = sim_script_open(options->faults, options->settings.world.seed, &r->script, err);
  if (st) {
    sim_responder_close(r);
    return st;
  }
  *out = r;
  return TL_OK;
}

void sim_responder_close(sim_responder *r) {
  if (!r) return;
  sim_cache_close(r->cache);
  sim_tally_close(r->tally);
  sim_script_close(r->script);
  pthread_mutex_destroy(&r->script_lock);
  tl_free(r);
}

void sim_delivery_deinit(sim_delivery *d) {
  sim_body_release(d->shared);
  tl_buf_deinit(&d->own);
  tl_buf_deinit(&d->head);
  memset(d, 0, sizeof *d);
}

int sim_responder_gzip_level(const sim_responder *r) { return r->options.gzip_level; }
void sim_responder_connection(sim_responder *r, int change) { sim_tally_connection(r->tally, change); }
void sim_responder_sent(sim_responder *r, size_t bytes) { sim_tally_bytes(r->tally, bytes); }

static int64_t now_of(const sim_responder *r) { return tl_clock_now_ns() + r->options.clock_shift_ns; }

/* Basic and Bearer are taken on trust unless a key is prescribed. */
static bool authorized(const sim_responder *r, const sim_request *q) {
  const sim_settings *s = &r->options.settings;
  char pair[512];
  size_t n;
  tl_text key = q->key, secret = q->secret;
  if (!key.len && q->authorization.len > 6 && memcmp(q->authorization.data, "Basic ", 6) == 0 &&
      sim_base64_decode(pair, sizeof pair, q->authorization.data + 6, q->authorization.len - 6, &n)) {
    const char *colon = memchr(pair, ':', n);
    if (!colon) return false;
    key = tl_text_of(pair, (size_t)(colon - pair));
    secret = tl_text_of(colon + 1, n - key.len - 1);
  }
  if (!key.len && !s->key && q->authorization.len > 7 && memcmp(q->authorization.data, "Bearer ", 7) == 0) return true;
  if (!key.len || !secret.len) return false;
  if (s->key && !tl_text_is(key, s->key)) return false;
  return !s->secret || tl_text_is(secret, s->secret);
}

/* Hash of the query without page_token, wherever that stands, and of the token: what tells pages of a chain apart. */
static void chain_of(const char *target, size_t len, uint64_t *query_hash, uint64_t *token_hash) {
  const char *question = memchr(target, '?', len);
  size_t at = question ? (size_t)(question - target) + 1 : len;
  *query_hash = sim_hash_text(target, at);
  *token_hash = 0;
  while (at < len) {
    const char *stop = memchr(target + at, '&', len - at);
    size_t n = stop ? (size_t)(stop - target) - at : len - at;
    char token[512];
    if (n > 11 && n < sizeof token && memcmp(target + at, "page_token=", 11) == 0) {
      memcpy(token, target + at + 11, n - 11);
      *token_hash = sim_hash_text(token, sim_url_decode(token, n - 11, false));
    } else if (n) {
      *query_hash += sim_hash_text(target + at, n);
    }
    at += n + 1;
  }
}

/* Hash of the token a body leads to; 0 when it ends the chain. The vendor puts it last. */
static uint64_t token_of(const tl_buf *body) {
  static const char mark[] = "\"next_page_token\":\"";
  size_t tail = body->len > 400 ? body->len - 400 : 0;
  const char *at = body->len ? memmem(body->data + tail, body->len - tail, mark, sizeof mark - 1) : NULL;
  const char *start = at ? at + sizeof mark - 1 : NULL, *end = start ? strchr(start, '"') : NULL;
  return end ? sim_hash_text(start, (size_t)(end - start)) : 0;
}

/* The end of the range asked for; INT64_MAX when it is not given or not understood. */
static int64_t end_of(const char *target, size_t len) {
  for (size_t at = 0; at + 5 < len; at++) {
    if ((target[at] != '?' && target[at] != '&') || memcmp(target + at + 1, "end=", 4)) continue;
    const char *value = target + at + 5, *stop = memchr(value, '&', len - at - 5);
    size_t n = stop ? (size_t)(stop - value) : len - at - 5;
    char text[64];
    int64_t t_ns, day;
    if (n > sizeof text) return INT64_MAX;
    memcpy(text, value, n);
    n = sim_url_decode(text, n, true);
    if (sim_day_parse(text, n, &day)) return (day + 2) * SIM_DAY_NS;
    return sim_time_parse(text, n, &t_ns) ? t_ns : INT64_MAX;
  }
  return INT64_MAX;
}

/* The answer to one target at one time: what lies in the past changes with the hour at most (asof, unfinished bars). */
static tl_status print_key(const sim_request *q, int64_t now_ns, bool gzip, tl_buf *key, tl_error *err) {
  bool past = end_of(q->target, q->target_len) < now_ns - 2 * SIM_DAY_NS;
  tl_buf_clear(key);
  tl_status st = tl_buf_append(key, q->target, q->target_len, err);
  return st ? st : tl_buf_appendf(key, err, " %c%lld", gzip ? 'z' : 'p', (long long)(now_ns / (past ? 3600 * SIM_NS : SIM_NS)));
}

/* A page as the cache keeps it. */
static tl_status pack(sim_packer *p, bool gzip, sim_body *body, tl_error *err) {
  body->status = p->answer.status;
  body->content_type = p->answer.content_type;
  body->token_hash = token_of(&p->answer.body);
  body->gzip = gzip && p->answer.body.len > SIM_GZIP_ABOVE_BYTES;
  if (body->gzip) return sim_pack(p, p->answer.body.data, p->answer.body.len, &body->bytes, err);
  return tl_buf_append(&body->bytes, p->answer.body.data, p->answer.body.len, err);
}

/* A page, from the cache when it was made before. The caller releases *out. */
static tl_status page_of(sim_responder *r, sim_packer *p, sim_request *q, int64_t now_ns, sim_body **out, tl_error *err) {
  tl_status st = print_key(q, now_ns, q->accepts_gzip, &p->key, err);
  if (st) return st;
  *out = sim_cache_get(r->cache, p->key.data, p->key.len);
  if (*out) return TL_OK;
  sim_body *body = sim_body_open(p->key.data, p->key.len);
  if (!body) return tl_fail(err, TL_ENOMEM, "out of memory for a page");
  sim_query query;
  sim_query_parse(q->target, q->target_len, &query);
  tl_buf_clear(&p->answer.body);
  st = sim_alpaca_answer(&r->options.settings, &query, now_ns, &p->answer, err);
  if (!st) st = pack(p, q->accepts_gzip, body, err);
  if (st) {
    sim_body_release(body);
    return st;
  }
  sim_cache_put(r->cache, body);
  *out = body;
  return TL_OK;
}

static void put_rate(sim_delivery *out, const sim_rate *rate) {
  char *p = SIM_PUT(out->headers, "X-RateLimit-Limit: ");
  p = sim_put_u64(p, rate->limit);
  p = sim_put_u64(SIM_PUT(p, "\r\nX-RateLimit-Remaining: "), rate->remaining);
  p = sim_put_i64(SIM_PUT(p, "\r\nX-RateLimit-Reset: "), rate->reset_s);
  *SIM_PUT(p, "\r\n") = 0;
}

/* A small answer of the simulator's own. */
static tl_status put_plain(sim_delivery *out, int status, const char *text, tl_error *err) {
  out->status = status;
  out->content_type = "application/json; charset=UTF-8";
  return tl_buf_appends(&out->own, text, err);
}

static tl_status replace_script(sim_responder *r, tl_text text, sim_delivery *out, tl_error *err) {
  sim_script *fresh = NULL;
  tl_error why = {0};
  char *copy = tl_strndup(text.data ? text.data : "", text.len);
  if (!copy) return tl_fail(err, TL_ENOMEM, "out of memory for the fault script");
  tl_status st = sim_script_open(copy, r->options.settings.world.seed, &fresh, &why);
  tl_free(copy);
  if (st) {
    sim_answer refusal = {0};
    st = sim_answer_message(&refusal, 400, err, "%s", why.message);
    out->status = 400;
    out->content_type = refusal.content_type;
    out->own = refusal.body;
    return st;
  }
  pthread_mutex_lock(&r->script_lock);
  sim_script *old = r->script;
  r->script = fresh;
  pthread_mutex_unlock(&r->script_lock);
  sim_script_close(old);
  return put_plain(out, 200, "{}", err);
}

static tl_status answer_hook(sim_responder *r, const sim_request *q, tl_error *err, sim_delivery *out) {
  tl_text path = {q->target, q->target_len};
  bool post = tl_text_is(q->method, "POST");
  if (tl_text_is(path, "/_sim/stats")) {
    tl_status st = put_plain(out, 200, "", err);
    return st ? st : sim_tally_print(r->tally, &out->own, err);
  }
  if (tl_text_is(path, "/_sim/reset") && post) {
    sim_tally_reset(r->tally);
    sim_cache_clear(r->cache);
    return put_plain(out, 200, "{}", err);
  }
  if (tl_text_is(path, "/_sim/faults") && post) return replace_script(r, q->body, out, err);
  return put_plain(out, 404, "{\"message\":\"no such hook\"}", err);
}

/* The fault for this request, if any. */
static bool find_fault(sim_responder *r, const sim_query *query, uint64_t number, uint32_t page, sim_packer *p, sim_fault *fault, tl_error *err,
                       tl_status *st) {
  pthread_mutex_lock(&r->script_lock);
  bool any = r->script != NULL, struck = false;
  if (any) {
    static const char stocks[] = "/v2/stocks/";
    tl_text list = sim_query_get(query, "symbols"), path = query->path;
    size_t n = sizeof stocks - 1;
    if (!list.len && path.len > n && memcmp(path.data, stocks, n) == 0) { /* the single form names its symbol in the path */
      const char *slash = memchr(path.data + n, '/', path.len - n);
      if (slash) list = tl_text_of(path.data + n, (size_t)(slash - path.data) - n);
    }
    tl_buf_clear(&p->key);
    *st = tl_buf_appendf(&p->key, err, ",%.*s,", (int)list.len, list.len ? list.data : "");
    sim_occasion o = {.number = number, .page = page, .path = query->path, .symbols = p->key.data};
    struck = !*st && sim_script_match(r->script, &o, fault);
  }
  pthread_mutex_unlock(&r->script_lock);
  return struck;
}

typedef struct visit { /* one data request on its way through */
  uint64_t number, query_hash, token_hash;
  uint32_t page;
  int64_t now_ns;
  char line[1024]; /* the target as it came, for the tally */
  size_t line_len;
  bool struck;
  sim_fault fault;
} visit;

static void note(sim_responder *r, const visit *v, int status) {
  sim_tally_answer(r->tally, v->number, tl_text_of(v->line, v->line_len), v->page, status, v->struck ? sim_action_word(v->fault.action) : NULL);
}

static tl_status send_answer(sim_responder *r, sim_packer *p, const visit *v, sim_delivery *out, tl_error *err) {
  out->status = p->answer.status;
  out->content_type = p->answer.content_type;
  note(r, v, out->status);
  return tl_buf_append(&out->own, p->answer.body.data, p->answer.body.len, err);
}

/* 401, 405 or 429; *done when one of them is the answer. */
static tl_status admit(sim_responder *r, sim_packer *p, const sim_request *q, const visit *v, sim_rate *rate, sim_delivery *out, bool *done,
                       tl_error *err) {
  tl_buf_clear(&p->answer.body);
  *done = true;
  tl_status st;
  if (!authorized(r, q)) {
    st = sim_answer_unauthorized(&p->answer, err);
    return st ? st : send_answer(r, p, v, out, err);
  }
  if (!tl_text_is(q->method, "GET")) {
    st = sim_answer_message(&p->answer, 405, err, "method not allowed");
    return st ? st : send_answer(r, p, v, out, err);
  }
  uint64_t key_hash = sim_hash_text(q->key.data, q->key.len) ^ sim_hash_text(q->authorization.data, q->authorization.len);
  if (!sim_tally_take(r->tally, key_hash, r->options.rate_per_minute, tl_clock_mono_ns(), v->now_ns, rate)) {
    note(r, v, 429);
    return put_plain(out, 429, "{\"message\": \"too many requests.\"}", err);
  }
  *done = false;
  return TL_OK;
}

static tl_status send_page(sim_responder *r, sim_packer *p, sim_request *q, const visit *v, sim_delivery *out, tl_error *err) {
  sim_body *body = NULL;
  tl_status st = page_of(r, p, q, v->now_ns, &body, err);
  if (st) return st;
  out->shared = body;
  out->status = body->status;
  out->content_type = body->content_type;
  out->gzip = body->gzip;
  if (body->token_hash) sim_tally_page_set(r->tally, v->query_hash, body->token_hash, v->page ? v->page + 1 : 0);
  return TL_OK;
}

/* A page whose text or stream is spoilt: made anew, never from the cache nor into it. */
static tl_status send_spoilt(sim_responder *r, sim_packer *p, sim_request *q, const visit *v, sim_delivery *out, tl_error *err) {
  sim_query query;
  sim_query_parse(q->target, q->target_len, &query);
  tl_buf_clear(&p->answer.body);
  tl_status st = sim_alpaca_answer(&r->options.settings, &query, v->now_ns, &p->answer, err);
  uint64_t next = st ? 0 : token_of(&p->answer.body);
  if (!st) st = sim_inject_text(&v->fault, &r->options.settings, &query, v->now_ns, p, err);
  if (!st) st = sim_inject_stream(&v->fault, q->accepts_gzip, p, out, err);
  if (next) sim_tally_page_set(r->tally, v->query_hash, next, v->page ? v->page + 1 : 0);
  return st;
}

tl_status sim_respond(sim_responder *r, sim_packer *p, sim_request *q, sim_delivery *out, tl_error *err) {
  if (q->target_len > 6 && memcmp(q->target, "/_sim/", 6) == 0) return answer_hook(r, q, err, out);
  visit v = {.number = sim_tally_request(r->tally), .now_ns = now_of(r)};
  sim_rate rate;
  sim_query query;
  bool done = false;
  tl_status st = TL_OK;
  chain_of(q->target, q->target_len, &v.query_hash, &v.token_hash);
  v.page = sim_tally_page(r->tally, v.query_hash, v.token_hash);
  v.line_len = q->target_len < sizeof v.line ? q->target_len : sizeof v.line;
  memcpy(v.line, q->target, v.line_len);
  out->first_byte_ms = r->options.latency_ms;
  char *copy = tl_strndup(q->target, q->target_len); /* parsing overwrites what it reads */
  if (!copy) return tl_fail(err, TL_ENOMEM, "out of memory for a request");
  sim_query_parse(copy, q->target_len, &query);
  v.struck = find_fault(r, &query, v.number, v.page, p, &v.fault, err, &st);
  tl_free(copy);
  if (!st && v.struck) st = sim_inject_answer(&v.fault, tl_text_of(v.line, v.line_len), out, &done, err);
  if (!st && done) {
    note(r, &v, out->status);
    return TL_OK;
  }
  if (!st) st = admit(r, p, q, &v, &rate, out, &done, err);
  if (st || done) return st;
  bool spoilt = v.struck && sim_inject_spoils(v.fault.action);
  st = spoilt ? send_spoilt(r, p, q, &v, out, err) : send_page(r, p, q, &v, out, err);
  if (st) return st;
  if (v.struck) st = sim_inject_transport(&v.fault, out, err);
  if (!st && out->status == 200) put_rate(out, &rate);
  note(r, &v, out->status);
  return st;
}
