/* fetch.c - opening, closing, adding, counting. The loop is in loop.c, the workers' part in worker.c. */
#include "fetch/fetch.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "fetch/chain.h"

enum { THREADS_DEFAULT = 8, THREADS_MAX = 1024, RETRIES_DEFAULT = 3, RETRIES_MAX = 100 };

void tl_line_put(tl_line *line, tl_link *link) {
  link->next = NULL;
  if (line->last) line->last->next = link;
  else line->first = link;
  line->last = link;
  line->count++;
}

void tl_line_put_first(tl_line *line, tl_link *link) {
  link->next = line->first;
  line->first = link;
  if (!line->last) line->last = link;
  line->count++;
}

tl_link *tl_line_take(tl_line *line) {
  tl_link *link = line->first;
  if (!link) return NULL;
  line->first = link->next;
  if (!line->first) line->last = NULL;
  line->count--;
  return link;
}

static uint32_t count_cores(void) {
  cpu_set_t set;
  CPU_ZERO(&set);
  int count = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
  return count > 0 ? (uint32_t)count : 1;
}

static void bench_close(tl_bench *bench) {
  if (!bench) return;
  tl_inflate_close(bench->inflate);
  tl_buf_deinit(&bench->text);
  tl_free(bench);
}

static tl_status bench_open(tl_bench **out, tl_error *err) {
  tl_bench *bench = tl_calloc(1, sizeof *bench);
  if (!bench) return tl_fail(err, TL_ENOMEM, "cannot set up a worker");
  tl_status st = tl_inflate_open(&bench->inflate, err);
  if (st) tl_free(bench);
  else *out = bench;
  return st;
}

static void take_options(tl_fetch *f, const tl_fetch_options *o) {
  f->threads = o->threads ? o->threads < THREADS_MAX ? o->threads : THREADS_MAX : THREADS_DEFAULT;
  f->workers = o->workers ? o->workers : count_cores();
  f->retries = o->retries < 0 ? 0 : !o->retries ? RETRIES_DEFAULT : o->retries < RETRIES_MAX ? (uint32_t)o->retries : RETRIES_MAX;
  f->page_bytes_max = o->page_bytes_max ? o->page_bytes_max : (size_t)64 << 20;
  f->refusal = o->refusal;
  f->canceled = o->canceled;
  f->user = o->user;
  f->admit = o->admit;
  f->tick = o->tick;
  f->seeds = tl_prng_init(o->seed ? o->seed : (uint64_t)tl_clock_now_ns());
  tl_adapt_init(&f->adapt, f->threads);
  atomic_store(&f->counts.in_flight_max, f->threads);
}

static tl_status open_parts(tl_fetch *f, const tl_fetch_options *o, tl_error *err) {
  tl_status st = tl_origin_parse(o->endpoint, o->allow_http, &f->origin, err);
  if (st) return st;
  st = tl_http_open(&(tl_http_options){.headers = o->headers,
                                       .connect_timeout_ns = o->connect_timeout_ns,
                                       .first_byte_timeout_ns = o->first_byte_timeout_ns,
                                       .stall_timeout_ns = o->stall_timeout_ns,
                                       .body_bytes_max = o->body_bytes_max},
                    &f->http, err);
  char scope[sizeof f->origin.host + 8];
  snprintf(scope, sizeof scope, "%s:%u", f->origin.host, f->origin.port);
  if (!st) st = tl_pace_open(scope, o->key ? o->key : "", o->rate_per_minute, o->rate_fixed, &f->pace, err);
  if (!st) st = bench_open(&f->bench_own, err);
  for (uint32_t i = 0; !st && i < f->workers; i++) {
    tl_bench *bench = NULL;
    st = bench_open(&bench, err);
    if (st) break;
    bench->next = f->benches;
    f->benches = bench;
  }
  /* At most so many chains are started at once (loop.c), so a put never waits. */
  return st ? st : tl_pool_open(f->workers, 4 * ((size_t)f->threads + 2 * f->workers), &f->pool, err);
}

tl_status tl_fetch_open(const tl_fetch_options *options, tl_fetch **out, tl_error *err) {
  tl_fetch *f = tl_calloc(1, sizeof *f);
  if (!f) return tl_fail(err, TL_ENOMEM, "cannot set up the fetcher");
  pthread_mutex_init(&f->lock, NULL);
  take_options(f, options);
  tl_status st = open_parts(f, options, err);
  if (st) tl_fetch_close(f);
  else *out = f;
  return st;
}

void tl_fetch_close(tl_fetch *f) {
  if (!f) return;
  tl_pool_close(f->pool);
  tl_error why = {0};
  tl_fail(&why, TL_ECANCELED, "not started");
  for (tl_link *link; (link = tl_line_take(&f->waiting)) != NULL;) tl_link_end(link, TL_ECANCELED, &why);
  bench_close(f->bench_own);
  while (f->benches) {
    tl_bench *bench = f->benches;
    f->benches = bench->next;
    bench_close(bench);
  }
  tl_pace_close(f->pace);
  tl_http_close(f->http);
  pthread_mutex_destroy(&f->lock);
  tl_free(f);
}

static tl_status add(tl_fetch *f, const tl_chain_ops *ops, void *chain, const char *label, bool urgent, tl_error *err) {
  tl_link *link = tl_calloc(1, sizeof *link);
  if (link) link->label = tl_strdup(label ? label : "");
  if (!link || !link->label) {
    tl_free(link);
    return tl_fail(err, TL_ENOMEM, "cannot queue a request");
  }
  link->fetch = f;
  link->ops = ops;
  link->chain = chain;
  link->urgent = urgent;
  pthread_mutex_lock(&f->lock);
  tl_transfer_init(&link->transfer, f->retries, tl_prng_next(&f->seeds));
  if (urgent) tl_line_put_first(&f->waiting, link);
  else tl_line_put(&f->waiting, link);
  atomic_store(&f->counts.chains_waiting, (uint32_t)f->waiting.count);
  pthread_mutex_unlock(&f->lock);
  tl_http_wakeup(f->http);
  return TL_OK;
}

tl_status tl_fetch_add(tl_fetch *f, const tl_chain_ops *ops, void *chain, const char *label, tl_error *err) {
  return add(f, ops, chain, label, false, err);
}

void tl_fetch_wakeup(tl_fetch *f) { tl_http_wakeup(f->http); }

void tl_fetch_counters(const tl_fetch *f, tl_fetch_counts *out) {
  int64_t paused_ns = atomic_load(&f->counts.paused_until_ns) - tl_clock_mono_ns();
  *out = (tl_fetch_counts){.requests = atomic_load(&f->counts.requests),
                           .retries = atomic_load(&f->counts.retries),
                           .refused = atomic_load(&f->counts.refused),
                           .bytes = atomic_load(&f->counts.bytes),
                           .pages = atomic_load(&f->counts.pages),
                           .in_flight = atomic_load(&f->counts.in_flight),
                           .in_flight_max = atomic_load(&f->counts.in_flight_max),
                           .chains_waiting = atomic_load(&f->counts.chains_waiting),
                           .chains_active = atomic_load(&f->counts.chains_active),
                           .paused_ns = paused_ns > 0 ? paused_ns : 0};
}

typedef struct one_answer { /* a chain of one page */
  const char *target;
  tl_buf *body;
  tl_status status;
  tl_error why;
} one_answer;

static tl_status one_url(void *chain, const char *token, tl_buf *url, tl_error *err) {
  (void)token;
  return tl_buf_appends(url, ((one_answer *)chain)->target, err);
}

static tl_status one_page(void *chain, const char *body, size_t len, char **next_token, tl_error *err) {
  *next_token = NULL;
  return tl_buf_append(((one_answer *)chain)->body, body, len, err);
}

static void one_done(void *chain, tl_status status, const tl_error *why) {
  one_answer *one = chain;
  one->status = status;
  if (why) one->why = *why;
}

tl_status tl_fetch_get(tl_fetch *f, const char *path_and_query, tl_buf *body, tl_error *err) {
  static const tl_chain_ops ops = {.url = one_url, .page = one_page, .done = one_done};
  one_answer one = {.target = path_and_query, .body = body};
  tl_buf_clear(body);
  tl_status st = add(f, &ops, &one, "", true, err);
  if (!st) st = tl_fetch_run(f, err);
  if (one.status && err) *err = one.why;
  return one.status ? one.status : st;
}
