/* responder.c - what happens to a request, in order: test hooks; its number; credentials; rate limit; the page from the
 * cache or made anew; gzip. */
#include "sim/responder.h"

#include <libdeflate.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "sim/days.h"
#include "sim/tally.h"
#include "sim/text.h"

enum { GZIP_ABOVE_BYTES = 256 };

struct sim_responder {
  sim_options options;
  sim_cache *cache;
  sim_tally *tally;
};

struct sim_packer {
  struct libdeflate_compressor *compressor;
  sim_answer answer; /* body is scratch */
  tl_buf key;
};

tl_status sim_responder_open(const sim_options *options, sim_responder **out, tl_error *err) {
  sim_responder *r = tl_calloc(1, sizeof *r);
  if (!r) return tl_fail(err, TL_ENOMEM, "out of memory for the simulator");
  r->options = *options;
  tl_status st = sim_cache_open(options->cache_bytes, &r->cache, err);
  if (!st) st = sim_tally_open(&r->tally, err);
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
  tl_free(r);
}

tl_status sim_packer_open(const sim_responder *r, sim_packer **out, tl_error *err) {
  sim_packer *p = tl_calloc(1, sizeof *p);
  if (p) p->compressor = libdeflate_alloc_compressor(r->options.gzip_level);
  if (!p || !p->compressor) {
    tl_free(p);
    return tl_fail(err, TL_ENOMEM, "out of memory for a compressor");
  }
  *out = p;
  return TL_OK;
}

void sim_packer_close(sim_packer *p) {
  if (!p) return;
  libdeflate_free_compressor(p->compressor);
  tl_buf_deinit(&p->answer.body);
  tl_buf_deinit(&p->key);
  tl_free(p);
}

void sim_delivery_deinit(sim_delivery *d) {
  sim_body_release(d->shared);
  tl_buf_deinit(&d->own);
  tl_buf_deinit(&d->head);
  memset(d, 0, sizeof *d);
}

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

/* The answer to one target at one time: what lies in the past changes with the hour at most (asof, unfinished bars). */
static tl_status print_key(const sim_request *q, int64_t now_ns, bool gzip, tl_buf *key, tl_error *err) {
  char copy[2048];
  size_t n = q->target_len < sizeof copy ? q->target_len : 0;
  sim_query query;
  memcpy(copy, q->target, n);
  sim_query_parse(copy, n, &query);
  tl_text end = sim_query_get(&query, "end");
  int64_t end_ns = INT64_MAX, day;
  if (end.len == 10 && sim_day_parse(end.data, end.len, &day)) end_ns = (day + 2) * SIM_DAY_NS;
  if (end.len > 10 && !sim_time_parse(end.data, end.len, &end_ns)) end_ns = INT64_MAX;
  bool past = end_ns < now_ns - 2 * SIM_DAY_NS;
  tl_buf_clear(key);
  tl_status st = tl_buf_append(key, q->target, q->target_len, err);
  if (!st) st = tl_buf_appendf(key, err, " %c%lld", gzip ? 'z' : 'p', (long long)(now_ns / (past ? 3600 * SIM_NS : SIM_NS)));
  return st;
}

/* Compresses answer->body into body->bytes when it is worth it and asked for; else moves it there. */
static tl_status pack(sim_packer *p, bool gzip, sim_body *body, tl_error *err) {
  tl_buf *plain = &p->answer.body;
  body->status = p->answer.status;
  body->content_type = p->answer.content_type;
  body->token_hash = token_of(plain);
  if (!gzip || plain->len <= GZIP_ABOVE_BYTES) return tl_buf_append(&body->bytes, plain->data, plain->len, err);
  tl_buf packed = {0};
  tl_status st = tl_buf_reserve(&packed, libdeflate_gzip_compress_bound(p->compressor, plain->len), err);
  if (!st) {
    size_t n = libdeflate_gzip_compress(p->compressor, plain->data, plain->len, packed.data, packed.capacity_bytes);
    st = n ? tl_buf_append(&body->bytes, packed.data, n, err) : tl_fail(err, TL_EINTERNAL, "cannot compress a page");
    body->gzip = true;
  }
  tl_buf_deinit(&packed);
  return st;
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

static tl_status put_rate(sim_delivery *out, const sim_rate *rate) {
  char *p = SIM_PUT(out->headers, "X-RateLimit-Limit: ");
  p = sim_put_u64(p, rate->limit);
  p = sim_put_u64(SIM_PUT(p, "\r\nX-RateLimit-Remaining: "), rate->remaining);
  p = sim_put_i64(SIM_PUT(p, "\r\nX-RateLimit-Reset: "), rate->reset_s);
  *SIM_PUT(p, "\r\n") = 0;
  return TL_OK;
}

/* A small answer of the simulator's own. */
static tl_status put_plain(sim_delivery *out, int status, const char *text, tl_error *err) {
  out->status = status;
  out->content_type = "application/json; charset=UTF-8";
  return tl_buf_appends(&out->own, text, err);
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
  return put_plain(out, 404, "{\"message\":\"no such hook\"}", err);
}

static tl_status answer_refusal(sim_responder *r, sim_packer *p, uint64_t number, tl_text target, uint32_t page, sim_delivery *out, tl_error *err) {
  out->status = p->answer.status;
  out->content_type = p->answer.content_type;
  sim_tally_answer(r->tally, number, target, page, out->status, NULL);
  return tl_buf_append(&out->own, p->answer.body.data, p->answer.body.len, err);
}

tl_status sim_respond(sim_responder *r, sim_packer *p, sim_request *q, sim_delivery *out, tl_error *err) {
  tl_text target = {q->target, q->target_len};
  if (q->target_len > 6 && memcmp(q->target, "/_sim/", 6) == 0) return answer_hook(r, q, err, out);
  uint64_t number = sim_tally_request(r->tally), query_hash, token_hash;
  int64_t now_ns = now_of(r);
  sim_rate rate;
  chain_of(q->target, q->target_len, &query_hash, &token_hash);
  uint32_t page = sim_tally_page(r->tally, query_hash, token_hash);
  out->first_byte_ms = r->options.latency_ms;
  tl_buf_clear(&p->answer.body);
  if (!authorized(r, q)) {
    tl_status st = sim_answer_unauthorized(&p->answer, err);
    return st ? st : answer_refusal(r, p, number, target, page, out, err);
  }
  if (!tl_text_is(q->method, "GET")) {
    tl_status st = sim_answer_message(&p->answer, 405, err, "method not allowed");
    return st ? st : answer_refusal(r, p, number, target, page, out, err);
  }
  uint64_t key_hash = sim_hash_text(q->key.data, q->key.len) ^ sim_hash_text(q->authorization.data, q->authorization.len);
  if (!sim_tally_take(r->tally, key_hash, r->options.rate_per_minute, tl_clock_mono_ns(), now_ns, &rate)) {
    sim_tally_answer(r->tally, number, target, page, 429, NULL);
    return put_plain(out, 429, "{\"message\": \"too many requests.\"}", err);
  }
  char line[1024]; /* the target is decoded in place below: keep it for the tally */
  size_t line_len = q->target_len < sizeof line ? q->target_len : sizeof line;
  memcpy(line, q->target, line_len);
  sim_body *body = NULL;
  tl_status st = page_of(r, p, q, now_ns, &body, err);
  if (st) return st;
  out->shared = body;
  out->status = body->status;
  out->content_type = body->content_type;
  out->gzip = body->gzip;
  if (body->token_hash) sim_tally_page_set(r->tally, query_hash, body->token_hash, page ? page + 1 : 0);
  if (body->status == 200) st = put_rate(out, &rate);
  sim_tally_answer(r->tally, number, tl_text_of(line, line_len), page, out->status, NULL);
  return st;
}
