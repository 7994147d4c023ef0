/* worker.c - what happens to an answer on a CPU worker. */
#include "base/alloc.h"
#include "base/log.h"
#include "fetch/chain.h"

static _Thread_local tl_link *current; /* whose page() runs on this thread */

tl_status tl_fetch_token_check(const char *token, tl_error *err) {
  if (!token || !*token || !current || !tl_transfer_knows_token(&current->transfer, token)) return TL_OK;
  return tl_fail(err, TL_EDECODE, "the page token is one that was given before in this chain");
}

static tl_bench *take_bench(tl_fetch *f) {
  pthread_mutex_lock(&f->lock);
  tl_bench *bench = f->benches; /* never NULL: one for each worker */
  f->benches = bench->next;
  pthread_mutex_unlock(&f->lock);
  return bench;
}

static void give_back(tl_fetch *f, tl_bench *bench) {
  pthread_mutex_lock(&f->lock);
  bench->next = f->benches;
  f->benches = bench;
  pthread_mutex_unlock(&f->lock);
}

static tl_verdict page_verdict(tl_status st) {
  switch ((int)st) {
  case TL_OK: return VERDICT_DECODE;
  case TL_EDECODE: return VERDICT_RETRY;
  case TL_ELIMIT: return VERDICT_SLOW_DOWN;
  default: return VERDICT_FATAL;
  }
}

size_t tl_fetch_page_bytes(void) { return current ? current->body.len : 0; }

static tl_verdict take_page(tl_link *link, tl_bench *bench) {
  tl_fetch *f = link->fetch;
  const tl_buf *text = &link->body;
  link->why = (tl_error){0};
  if (link->gzip) {
    tl_status st = tl_inflate_gzip(bench->inflate, link->body.data, link->body.len, f->page_bytes_max, &bench->text, &link->why);
    if (st) return tl_verdict_of(st, false, 0, false);
    text = &bench->text;
  } else if (text->len > f->page_bytes_max) {
    tl_fail(&link->why, TL_ELIMIT, "the answer is larger than %zu bytes", f->page_bytes_max);
    return VERDICT_RETRY;
  }
  current = link;
  tl_status st = link->ops->page(link->chain, text->data ? text->data : "", text->len, &link->next_token, &link->why);
  current = NULL;
  if (st) link->why.status = st;
  if (st || !link->next_token) return page_verdict(st);
  if (!*link->next_token) {
    tl_free(link->next_token);
    link->next_token = NULL;
  } else if (tl_transfer_knows_token(&link->transfer, link->next_token)) {
    tl_fail(&link->why, TL_EDECODE, "the page token is one that was given before in this chain");
    return VERDICT_FATAL; /* the page's rows are kept: asking again would keep them twice */
  } else if (tl_transfer_add_token(&link->transfer, link->next_token, &link->why)) {
    return VERDICT_FATAL;
  }
  return VERDICT_DECODE;
}

void tl_link_work(void *argument) {
  tl_link *link = argument;
  tl_fetch *f = link->fetch;
  tl_bench *bench = take_bench(f);
  link->verdict = take_page(link, bench);
  give_back(f, bench);
  if (link->verdict == VERDICT_DECODE && !link->next_token) {
    link->ended = true;
    link->ops->done(link->chain, TL_OK, NULL);
  }
  pthread_mutex_lock(&f->lock);
  tl_line_put(&f->mail, link);
  pthread_mutex_unlock(&f->lock);
  tl_http_wakeup(f->http);
}

void tl_link_end(tl_link *link, tl_status status, const tl_error *why) {
  if (!link->ended) {
    tl_error named = {.status = status, .http_code = why->http_code};
    if (*link->label) tl_fail(&named, status, "%s: %s", link->label, why->message);
    else tl_fail(&named, status, "%s", why->message);
    named.http_code = why->http_code;
    tl_log_redact(named.message);
    link->ops->done(link->chain, status, &named);
  }
  tl_transfer_deinit(&link->transfer);
  tl_buf_deinit(&link->body);
  tl_free(link->token);
  tl_free(link->next_token);
  tl_free(link->label);
  tl_free(link);
}
