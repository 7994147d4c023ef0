/* loop.c - the network thread: starts chains, sends, waits, and obeys what verdict.c and transfer.c decide.
 *
 * Each turn: take what the workers finished, wake the chains whose wait is over, send while the budget and adaptive
 * concurrency allow, then let the network move. Chains that have begun go before new ones, so that units complete and
 * memory stays bounded by the chains in flight. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "fetch/chain.h"

static const int64_t TICK_NS = 100 * TL_NS_PER_MS;
static const int64_t ASK_NS = 500 * TL_NS_PER_MS; /* a shut budget is asked again at least this often: its rate may change */
enum { REFUSAL_BYTES_MAX = 64 * 1024 };

static void end_link(tl_fetch *f, tl_link *link, tl_status status, const tl_error *why) {
  f->active--;
  tl_link_end(link, status, why);
}

static void rest(tl_fetch *f, tl_link *link) {
  link->due_ns = tl_clock_mono_ns() + link->transfer.wait_ns;
  tl_line_put(&f->resting, link);
}

/* link->why tells what happened; v what to do about it. */
static void on_trouble(tl_fetch *f, tl_link *link, tl_verdict v, int64_t retry_after_ns) {
  uint32_t tries = link->transfer.failures + 1;
  if (tl_transfer_on_trouble(&link->transfer, v, retry_after_ns) == TRANSFER_WAIT) {
    if (v == VERDICT_SLOW_DOWN) {
      atomic_fetch_add(&f->counts.refused, 1);
      tl_pace_pause(f->pace, link->transfer.wait_ns);
    }
    tl_log(TL_LOG_INFO, "%s: %s; asked again in %.2f s", link->label, link->why.message, (double)link->transfer.wait_ns / 1e9);
    rest(f, link);
    return;
  }
  if (v == VERDICT_RETRY && tries > 1) {
    char tail[40];
    snprintf(tail, sizeof tail, " (after %u tries)", tries);
    size_t len = strlen(link->why.message);
    if (len + sizeof tail < sizeof link->why.message) memcpy(link->why.message + len, tail, strlen(tail) + 1);
  }
  if (v == VERDICT_FATAL_ALL && !f->stop.status) f->stop = link->why;
  end_link(f, link, link->why.status, &link->why);
}

/* ---- answers ---- */

static void heed_rate_headers(tl_fetch *f, const tl_http_answer *a) {
  if (a->rate_limit <= 0) return;
  tl_pace_learn(f->pace, a->rate_limit);
  uint32_t rate = tl_pace_rate(f->pace);
  if (!a->rate_remaining && rate) tl_pace_pause(f->pace, 60 * TL_NS_PER_S / rate); /* until the bucket holds one again */
}

/* Reads the provider's own words out of an answer that is not 200. */
static void read_refusal(tl_fetch *f, const tl_http_answer *a, tl_refusal *said) {
  const tl_buf *text = &a->body;
  *said = (tl_refusal){0};
  if (a->gzip) {
    if (tl_inflate_gzip(f->bench_own->inflate, a->body.data, a->body.len, REFUSAL_BYTES_MAX, &f->bench_own->text, NULL)) return;
    text = &f->bench_own->text;
  }
  if (!text->len) return;
  if (f->refusal) f->refusal(a->code, text->data, text->len, said);
  char plain[sizeof said->text];
  tl_verdict_plain_text(said->text[0] ? said->text : text->data, said->text[0] ? strlen(said->text) : text->len, plain, sizeof plain);
  memcpy(said->text, plain, sizeof plain);
}

static void explain_refusal(tl_link *link, const tl_http_answer *a, const tl_refusal *said) {
  const char *colon = said->text[0] ? ": " : "";
  if (a->code == 401) tl_fail(&link->why, TL_EAUTH, "the provider refused the key (HTTP 401)%s%s", colon, said->text);
  else if (!said->text[0]) tl_fail(&link->why, tl_verdict_status(a->code), "the provider answered HTTP %d without a reason", a->code);
  else tl_fail(&link->why, tl_verdict_status(a->code), "HTTP %d: %s", a->code, said->text);
  link->why.http_code = a->code;
}

static void on_answer(tl_fetch *f, tl_http_answer *a) {
  tl_link *link = a->user;
  tl_refusal said = {0};
  atomic_fetch_add(&f->counts.bytes, a->bytes);
  if (a->sends > 1) { /* curl tried again by itself on a fresh connection */
    atomic_fetch_add(&f->counts.requests, a->sends - 1);
    atomic_fetch_add(&f->counts.retries, a->sends - 1);
  }
  link->why = (tl_error){0};
  if (a->status) {
    tl_fail(&link->why, a->status, "%s:%u: %s", f->origin.host, f->origin.port, a->reason);
    link->why.http_code = a->code;
  } else if (a->code != 200) {
    read_refusal(f, a, &said);
    explain_refusal(link, a, &said);
  } else {
    heed_rate_headers(f, a);
  }
  if (a->status == TL_ECANCELED) { /* the stop that cut it off says why */
    end_link(f, link, f->stop.status, &f->stop);
    tl_http_recycle(f->http, &a->body);
    return;
  }
  tl_verdict v = tl_verdict_of(a->status, a->hopeless, a->code, said.bad_symbol);
  if (v == VERDICT_DECODE) {
    tl_adapt_good(&f->adapt);
    link->body = a->body;
    link->gzip = a->gzip;
    f->working++;
    tl_pool_put(f->pool, tl_link_work, link);
    return;
  }
  tl_http_recycle(f->http, &a->body);
  if (v == VERDICT_RETRY || v == VERDICT_SLOW_DOWN) tl_adapt_trouble(&f->adapt, tl_clock_mono_ns());
  if (v == VERDICT_BISECT && link->ops->bad_symbol) link->ops->bad_symbol(link->chain, said.symbol);
  on_trouble(f, link, v, a->retry_after_ns);
}

static void on_mail(tl_fetch *f, tl_link *link) {
  f->working--;
  tl_http_recycle(f->http, &link->body);
  if (link->verdict != VERDICT_DECODE) {
    tl_free(link->next_token);
    link->next_token = NULL;
    on_trouble(f, link, link->verdict, -1);
    return;
  }
  atomic_fetch_add(&f->counts.pages, 1);
  if (tl_transfer_on_page(&link->transfer, link->next_token != NULL) == TRANSFER_DONE) {
    end_link(f, link, TL_OK, NULL);
    return;
  }
  tl_free(link->token);
  link->token = link->next_token;
  link->next_token = NULL;
  tl_line_put(&f->ready, link);
}

static void take_mail(tl_fetch *f) {
  pthread_mutex_lock(&f->lock);
  tl_line mail = f->mail;
  f->mail = (tl_line){0};
  pthread_mutex_unlock(&f->lock);
  for (tl_link *link; (link = tl_line_take(&mail)) != NULL;) on_mail(f, link);
}

/* ---- sending ---- */

static void wake_rested(tl_fetch *f, int64_t now_ns) {
  tl_line resting = f->resting;
  f->resting = (tl_line){0};
  for (tl_link *link; (link = tl_line_take(&resting)) != NULL;) {
    bool over = link->due_ns <= now_ns;
    if (over) tl_transfer_on_wait_over(&link->transfer);
    tl_line_put(over ? &f->ready : &f->resting, link);
  }
}

/* Puts one new chain in line when there is room for it. */
static bool start_one(tl_fetch *f) {
  uint32_t room = f->threads + 2 * f->workers;
  if (f->active - (uint32_t)f->resting.count >= room || f->active >= 4 * room) return false;
  pthread_mutex_lock(&f->lock);
  bool any = f->waiting.first, urgent = any && f->waiting.first->urgent;
  pthread_mutex_unlock(&f->lock);
  if (!any || (!urgent && f->admit && !f->admit(f->user))) return false;
  pthread_mutex_lock(&f->lock);
  tl_link *link = tl_line_take(&f->waiting); /* only this thread takes */
  atomic_store(&f->counts.chains_waiting, (uint32_t)f->waiting.count);
  pthread_mutex_unlock(&f->lock);
  f->active++;
  tl_line_put(&f->ready, link);
  return true;
}

static void send_one(tl_fetch *f, tl_link *link) {
  tl_buf target = {0}, url = {0};
  tl_error why = {0};
  tl_status st = link->ops->url(link->chain, link->token, &target, &why);
  if (!st) st = tl_origin_url(&f->origin, target.data ? target.data : "/", &url, &why);
  if (!st) st = tl_http_send(f->http, url.data, link, &why);
  tl_buf_deinit(&target);
  tl_buf_deinit(&url);
  if (st) {
    end_link(f, link, st, &why);
    return;
  }
  atomic_fetch_add(&f->counts.requests, 1);
  if (link->transfer.failures || link->transfer.refusals) atomic_fetch_add(&f->counts.retries, 1);
  tl_transfer_on_sent(&link->transfer);
}

static void send_ready(tl_fetch *f, int64_t now_ns) {
  while (now_ns >= f->open_at_ns && tl_http_in_flight(f->http) < f->adapt.limit && (f->ready.first || start_one(f))) {
    int64_t wait_ns = 0;
    if (!tl_pace_take(f->pace, &wait_ns)) {
      f->open_at_ns = now_ns + (wait_ns < ASK_NS ? wait_ns : ASK_NS);
      atomic_store(&f->counts.paused_until_ns, now_ns + wait_ns);
      return;
    }
    atomic_store(&f->counts.paused_until_ns, 0);
    send_one(f, tl_line_take(&f->ready));
  }
}

/* ---- the turn ---- */

static bool is_waiting(tl_fetch *f) {
  pthread_mutex_lock(&f->lock);
  bool any = f->waiting.first;
  pthread_mutex_unlock(&f->lock);
  return any;
}

static void show_counts(tl_fetch *f) {
  atomic_store(&f->counts.in_flight, (uint32_t)tl_http_in_flight(f->http));
  atomic_store(&f->counts.in_flight_max, f->adapt.limit);
  atomic_store(&f->counts.chains_active, f->active);
}

/* Ends every chain that no worker holds. */
static void drop_all(tl_fetch *f) {
  tl_http_abort(f->http);
  for (tl_http_answer a; tl_http_next(f->http, &a);) on_answer(f, &a); /* whole pages are still taken */
  tl_link *link;
  while ((link = tl_line_take(&f->ready)) || (link = tl_line_take(&f->resting))) end_link(f, link, f->stop.status, &f->stop);
  for (;;) {
    pthread_mutex_lock(&f->lock);
    link = tl_line_take(&f->waiting);
    atomic_store(&f->counts.chains_waiting, (uint32_t)f->waiting.count);
    pthread_mutex_unlock(&f->lock);
    if (!link) return;
    tl_link_end(link, f->stop.status, &f->stop);
  }
}

static int64_t time_to_next(const tl_fetch *f, int64_t now_ns) {
  int64_t at_ns = f->tick_at_ns;
  if (f->ready.first && f->open_at_ns > now_ns && f->open_at_ns < at_ns) at_ns = f->open_at_ns;
  for (const tl_link *link = f->resting.first; link; link = link->next)
    if (link->due_ns < at_ns) at_ns = link->due_ns;
  return at_ns > now_ns ? at_ns - now_ns : 0;
}

static void turn(tl_fetch *f) {
  int64_t now_ns = tl_clock_mono_ns();
  take_mail(f);
  if (!f->stop.status && f->canceled && atomic_load(f->canceled)) tl_fail(&f->stop, TL_ECANCELED, "stopped on request");
  wake_rested(f, now_ns);
  if (f->stop.status) drop_all(f);
  else send_ready(f, now_ns);
  show_counts(f);
  if (f->tick && now_ns >= f->tick_at_ns) f->tick(f->user);
  if (now_ns >= f->tick_at_ns) f->tick_at_ns = now_ns + TICK_NS;
  if (!f->active && !is_waiting(f)) return;
  tl_error why = {0};
  if (tl_http_step(f->http, time_to_next(f, now_ns), &why)) {
    if (f->stop.status) tl_clock_sleep_ns(TL_NS_PER_MS); /* only workers are waited for any more */
    else f->stop = why;
  }
  for (tl_http_answer a; tl_http_next(f->http, &a);) on_answer(f, &a);
}

tl_status tl_fetch_run(tl_fetch *f, tl_error *err) {
  f->stop = (tl_error){0};
  do turn(f);
  while (f->active || is_waiting(f));
  show_counts(f);
  if (f->tick) f->tick(f->user);
  if (f->stop.status) tl_log_redact(f->stop.message);
  if (err && f->stop.status) *err = f->stop;
  return f->stop.status;
}
