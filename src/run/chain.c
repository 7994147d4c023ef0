/* chain.c - one request chain at work: pages become rows of its symbols; when it ends they become pieces to commit.
 *
 * A chain that fails with several symbols is cut in two and asked again, so that one bad symbol takes nobody with it;
 * one that was refused because its end is too fresh for the account is asked again up to the age the vendor allows. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "base/log.h"
#include "run/pipeline.h"
#include "shape/quotes_tightest.h"
#include "shape/ticks_to_bars.h"

typedef struct output { /* rows of one symbol of the ask so far */
  tl_batch rows;
  int64_t wire_rows, rejected;
  tl_buf rejects;
} output;

typedef struct chain {
  tl_pipeline *p;
  uint32_t *symbols;       /* indexes into the job's */
  const char **names;
  size_t count;
  tl_range range;          /* not committed yet; the ask's own range may begin earlier */
  int64_t settles_ns, rows_expected, rows_shown; /* shown: of the expected rows, counted as progress so far */
  tl_ask ask;
  tl_decoder decoder;
  tl_ticks_to_bars bars;
  tl_quotes_tightest tightest;
  output *outputs;         /* one per symbol, made with the first page */
  size_t shaping;          /* the symbol the shape is fed with; count when none */
  tl_checksum *hash;
  int64_t pages, bytes, wire_rows, held_bytes;
  char bad_symbol[64];
  bool refused_for_symbol;
} chain;

static void chain_free(chain *c) {
  if (!c) return;
  if (c->held_bytes) tl_committer_hold(c->p->committer, -c->held_bytes);
  for (size_t i = 0; c->outputs && i < c->count; i++) {
    tl_batch_deinit(&c->outputs[i].rows);
    tl_buf_deinit(&c->outputs[i].rejects);
  }
  tl_free(c->outputs);
  tl_ticks_to_bars_deinit(&c->bars);
  tl_quotes_tightest_deinit(&c->tightest);
  tl_decoder_deinit(&c->decoder);
  tl_checksum_close(c->hash);
  tl_free(c->names);
  tl_free(c->symbols);
  tl_free(c);
}

enum { LABEL_BYTES = 72 };

static const char *label(const chain *c, char out[LABEL_BYTES]) {
  if (c->count == 1) snprintf(out, LABEL_BYTES, "%.40s", c->names[0]);
  else snprintf(out, LABEL_BYTES, "%.40s and %zu more", c->names[0], c->count - 1);
  return out;
}

/* ---- pages ---- */

static tl_status chain_url(void *chain_, const char *token, tl_buf *url, tl_error *err) {
  chain *c = chain_;
  char text[LABEL_BYTES];
  tl_log(TL_LOG_INFO, "[%s] Requesting %s for %s (page %lld, total fetched: %lld)...", c->p->vendor, c->p->noun, label(c, text),
         (long long)c->pages + 1, (long long)c->wire_rows);
  return c->p->job->provider->url(&c->ask, token, url, err);
}

static tl_status make_outputs(chain *c, tl_error *err) {
  if (c->outputs) return TL_OK;
  c->outputs = tl_calloc(c->count, sizeof *c->outputs);
  c->hash = tl_checksum_open();
  if (!c->outputs || !c->hash) return tl_fail(err, TL_ENOMEM, "cannot hold rows of %zu symbols", c->count);
  for (size_t i = 0; i < c->count; i++) tl_batch_init(&c->outputs[i].rows, c->p->job->kind.dataset.kind);
  c->shaping = c->count;
  if (c->p->job->kind.derived && c->p->job->kind.wire == TL_WIRE_TRADES)
    return tl_ticks_to_bars_init(&c->bars, c->p->job->kind.dataset.interval, c->p->job->conditions, c->p->words, err);
  return TL_OK;
}

static size_t symbol_at(const chain *c, const char *name, size_t hint) {
  for (size_t i = hint; i < c->count; i++)
    if (!strcmp(c->names[i], name)) return i;
  for (size_t i = 0; i < hint; i++)
    if (!strcmp(c->names[i], name)) return i;
  return c->count;
}

/* The symbol at work has no more rows: its last bar or second is final. */
static tl_status end_symbol(chain *c, tl_error *err) {
  if (!c->p->job->kind.derived || c->shaping == c->count) return TL_OK;
  tl_batch *rows = &c->outputs[c->shaping].rows;
  c->shaping = c->count;
  if (c->p->job->kind.wire == TL_WIRE_TRADES) return tl_ticks_to_bars_flush(&c->bars, rows, err);
  return tl_quotes_tightest_flush(&c->tightest, rows, err);
}

static tl_status take_run(chain *c, const tl_page *page, const tl_run *run, size_t symbol, tl_error *err) {
  output *out = &c->outputs[symbol];
  out->wire_rows += (int64_t)(run->end - run->begin);
  if (!c->p->job->kind.derived) return tl_batch_append(&out->rows, &page->batch, run->begin, run->end, err);
  if (c->shaping != symbol) {
    tl_status st = end_symbol(c, err);
    if (st) return st;
    c->shaping = symbol;
  }
  if (c->p->job->kind.wire == TL_WIRE_TRADES)
    return tl_ticks_to_bars_feed(&c->bars, &page->batch, run->begin, run->end, &out->rows, err);
  return tl_quotes_tightest_feed(&c->tightest, &page->batch, run->begin, run->end, &out->rows, err);
}

static tl_status take_reject(chain *c, const tl_reject *reject, size_t symbol, tl_error *err) {
  output *out = &c->outputs[symbol];
  tl_log(TL_LOG_WARN, "[%s] rejected a row of %s on page %lld: %s", c->p->vendor, reject->symbol, (long long)c->pages + 1,
         reject->reason);
  out->rejected++;
  if (c->p->job->on_error == TL_ON_ERROR_SKIP) return TL_OK;
  if (c->p->job->on_error == TL_ON_ERROR_FAIL) {
    tl_error why;
    tl_fail(&why, TL_ECORRUPT, "a row of '%s' breaks its contract: %s", reject->symbol, reject->reason);
    tl_pipeline_stop(c->p, TL_ECORRUPT, &why);
    if (err) *err = why;
    return TL_ECORRUPT;
  }
  tl_status st = tl_buf_appends(&out->rejects, "{\"symbol\":", err);
  if (!st) st = tl_buf_append_json(&out->rejects, reject->symbol, strlen(reject->symbol), err);
  if (!st) st = tl_buf_appendf(&out->rejects, err, ",\"page\":%lld,\"reason\":", (long long)c->pages + 1);
  if (!st) st = tl_buf_append_json(&out->rejects, reject->reason, strlen(reject->reason), err);
  if (!st) st = tl_buf_appends(&out->rejects, ",\"row\":", err);
  if (!st) st = tl_buf_append_json(&out->rejects, reject->row.data, reject->row.len, err);
  return st ? st : tl_buf_appends(&out->rejects, "}\n", err);
}

static tl_status take_rows(chain *c, const tl_page *page, int64_t *rows, tl_error *err) {
  size_t symbol = 0;
  for (size_t i = 0; i < page->run_count; i++) {
    symbol = symbol_at(c, page->runs[i].symbol, symbol);
    if (symbol == c->count) return tl_fail(err, TL_EINTERNAL, "rows of '%s' were not asked for", page->runs[i].symbol);
    tl_status st = take_run(c, page, &page->runs[i], symbol, err);
    if (st) return st;
    *rows += (int64_t)(page->runs[i].end - page->runs[i].begin);
  }
  for (size_t i = 0; i < page->reject_count; i++) {
    symbol = symbol_at(c, page->rejects[i].symbol, symbol < c->count ? symbol : 0);
    tl_status st = take_reject(c, &page->rejects[i], symbol < c->count ? symbol : 0, err);
    if (st) return st;
  }
  return TL_OK;
}

static void count_held(chain *c) {
  int64_t bytes = 0;
  for (size_t i = 0; i < c->count; i++)
    bytes += (int64_t)(tl_batch_bytes(&c->outputs[i].rows) + c->outputs[i].rejects.capacity_bytes);
  tl_committer_hold(c->p->committer, bytes - c->held_bytes);
  c->held_bytes = bytes;
}

/* ---- pieces ---- */

static tl_status add_piece(chain *c, size_t symbol, tl_range range, tl_coverage state, const char *answer, tl_error *err) {
  tl_piece piece = {.range = range, .state = state, .asked_ns = tl_clock_now_ns(), .pages = c->pages};
  tl_batch_init(&piece.rows, c->p->job->kind.dataset.kind);
  piece.symbol = tl_strdup(c->names[symbol]);
  piece.answer = answer ? tl_strdup(answer) : NULL;
  if (!piece.symbol || (answer && !piece.answer)) {
    tl_piece_deinit(&piece);
    return tl_fail(err, TL_ENOMEM, "cannot keep rows of '%s'", c->names[symbol]);
  }
  if (c->outputs && state != TL_COVER_FAILED) {
    output *out = &c->outputs[symbol];
    tl_batch_move(&out->rows, &piece.rows);
    piece.wire_rows = out->wire_rows;
    piece.rejected = out->rejected;
    piece.rejects = out->rejects;
    piece.bytes = c->wire_rows ? (int64_t)((double)c->bytes / (double)c->wire_rows * (double)out->wire_rows) : 0;
    out->rejects = (tl_buf){0};
    out->wire_rows = out->rejected = 0;
    if (c->hash) tl_checksum_text(c->hash, piece.hash);
    pthread_mutex_lock(&c->p->lock);
    c->p->stats[c->symbols[symbol]].rows += (int64_t)piece.rows.rows;
    c->p->stats[c->symbols[symbol]].wire_rows += piece.wire_rows;
    pthread_mutex_unlock(&c->p->lock);
  }
  return tl_committer_add(c->p->committer, &piece, err);
}

/* A chain of one symbol that holds much gives up what is final: rows before the second (bar, instant) of the newest. */
static tl_status give_up_finished_part(chain *c, tl_error *err) {
  if (c->count != 1 || c->held_bytes < c->p->cut_bytes) return TL_OK;
  output *out = &c->outputs[0];
  if (out->rows.rows < 2) return TL_OK;
  int64_t cut_ns = tl_batch_times(&out->rows)[out->rows.rows - 1]; /* rows of this instant may go on */
  if (c->p->job->kind.derived)
    cut_ns = c->p->job->kind.wire == TL_WIRE_TRADES ? tl_ticks_to_bars_cut(&c->bars) : tl_quotes_tightest_cut(&c->tightest);
  size_t keep_from = tl_batch_lower_bound(&out->rows, 0, out->rows.rows, cut_ns);
  if (cut_ns <= c->range.start_ns || !keep_from) return TL_OK;
  tl_batch rest;
  tl_batch_init(&rest, out->rows.def->kind);
  tl_status st = tl_batch_append(&rest, &out->rows, keep_from, out->rows.rows, err);
  if (st) {
    tl_batch_deinit(&rest);
    return st;
  }
  out->rows.rows = keep_from;
  tl_committer_hold(c->p->committer, -c->held_bytes); /* the piece counts itself */
  c->held_bytes = 0;
  st = add_piece(c, 0, (tl_range){c->range.start_ns, cut_ns}, TL_COVER_PRESENT, NULL, err);
  tl_batch_move(&rest, &out->rows);
  if (!st) c->range.start_ns = cut_ns;
  return st;
}

static tl_status take_page(chain *c, tl_page *page, const char *body, size_t len, char **next_token, tl_error *err) {
  tl_status st = tl_decoder_page(&c->decoder, c->p->job->provider, &c->ask, body, len, page, err);
  if (st) return st;
  char *token = NULL;
  if (page->token.len && !(token = tl_strndup(page->token.data, page->token.len)))
    return tl_fail(err, TL_ENOMEM, "cannot keep the page token");
  int64_t rows = 0;
  st = make_outputs(c, err);
  if (!st) st = take_rows(c, page, &rows, err);
  if (st) {
    tl_free(token);
    return st == TL_EDECODE ? TL_EINTERNAL : st; /* some rows were kept: the page must not come again */
  }
  char text[LABEL_BYTES];
  tl_checksum_add(c->hash, body, len);
  c->pages++;
  c->wire_rows += rows;
  c->bytes += (int64_t)tl_fetch_page_bytes();
  atomic_fetch_add(&c->p->rows, rows);
  atomic_fetch_add(&c->p->rejected, (long long)page->reject_count);
  int64_t most = c->rows_expected / 20 * 19, shown = c->wire_rows < most ? c->wire_rows : most; /* the rest when it ends */
  atomic_fetch_add(&c->p->rows_expected_done, shown - c->rows_shown);
  c->rows_shown = shown;
  tl_log(TL_LOG_INFO, "[%s] Received %lld %s in page %lld for %s", c->p->vendor, (long long)rows, c->p->noun,
         (long long)c->pages, label(c, text));
  if (token) tl_log(TL_LOG_INFO, "[%s] → More %.*s data available...", c->p->vendor, (int)strlen(c->p->noun) - 1, c->p->noun);
  *next_token = token;
  return TL_OK;
}

static tl_status chain_page(void *chain_, const char *body, size_t len, char **next_token, tl_error *err) {
  chain *c = chain_;
  *next_token = NULL;
  tl_committer_wait(c->p->committer);
  tl_page *page = tl_pipeline_page_take(c->p);
  if (!page) return tl_fail(err, TL_ENOMEM, "cannot decode a page");
  tl_status st = take_page(c, page, body, len, next_token, err);
  tl_pipeline_page_give(c->p, page);
  if (st) return st;
  count_held(c);
  st = give_up_finished_part(c, err);
  if (!st) return TL_OK;
  tl_free(*next_token);
  *next_token = NULL;
  return st;
}

static void chain_bad_symbol(void *chain_, const char *symbol) {
  chain *c = chain_;
  c->refused_for_symbol = true;
  snprintf(c->bad_symbol, sizeof c->bad_symbol, "%s", symbol);
}

/* ---- the end ---- */

static void log_symbol_done(const chain *c, uint32_t symbol, const char *name) {
  const tl_pipeline *p = c->p;
  const tl_symbol_stats *s = &p->stats[symbol];
  if (s->chains_left || s->failed) return;
  tl_log(TL_LOG_INFO, "[%s] ✓ Final: Fetched %lld %s from %s for %s", p->vendor, (long long)s->wire_rows, p->noun, p->vendor, name);
  if (!p->job->kind.derived) {
    tl_log(TL_LOG_INFO, "[Parquet] Writing %lld %s for %s...", (long long)s->rows, p->noun, name);
  } else if (p->job->kind.wire == TL_WIRE_QUOTES) {
    tl_log(TL_LOG_INFO, "Aggregating %lld quotes to 1 per second (tightest spread)...", (long long)s->wire_rows);
    tl_log(TL_LOG_INFO, "Aggregated to %lld quotes (from %lld)", (long long)s->rows, (long long)s->wire_rows);
    tl_log(TL_LOG_INFO, "[Parquet] Writing %lld aggregated quotes for %s...", (long long)s->rows, name);
  } else {
    char size[TL_INTERVAL_TEXT_MAX];
    tl_interval_short(p->job->kind.dataset.interval, size);
    tl_log(TL_LOG_INFO, "Aggregating %lld trades to %s bars...", (long long)s->wire_rows, size);
    tl_log(TL_LOG_INFO, "Aggregated to %lld bars (from %lld)", (long long)s->rows, (long long)s->wire_rows);
    tl_log(TL_LOG_INFO, "[Parquet] Writing %lld aggregated bars for %s...", (long long)s->rows, name);
  }
}

static void count_done(chain *c) {
  atomic_fetch_add(&c->p->units_done, 1);
  atomic_fetch_add(&c->p->rows_expected_done, c->rows_expected - c->rows_shown);
  pthread_mutex_lock(&c->p->lock);
  for (size_t i = 0; i < c->count; i++) {
    c->p->stats[c->symbols[i]].chains_left--;
    log_symbol_done(c, c->symbols[i], c->names[i]);
  }
  pthread_mutex_unlock(&c->p->lock);
}

static tl_status finish(chain *c, tl_error *err) {
  tl_status st = make_outputs(c, err); /* a chain may end with a first page that had no rows */
  if (!st) st = end_symbol(c, err);
  if (c->held_bytes) tl_committer_hold(c->p->committer, -c->held_bytes);
  c->held_bytes = 0;
  int64_t now_ns = tl_clock_now_ns();
  for (size_t i = 0; !st && i < c->count; i++) {
    tl_coverage state = tl_coverage_of(c->settles_ns, (int64_t)c->outputs[i].rows.rows, now_ns);
    st = add_piece(c, i, c->range, state, NULL, err);
  }
  atomic_fetch_add(&c->p->barless_volume, c->bars.barless_volume);
  return st;
}

static tl_status fail_symbol(chain *c, size_t i, const char *reason, tl_error *err) {
  char text[LABEL_BYTES];
  size_t len = strlen(label(c, text));
  if (!strncmp(reason, text, len) && !strncmp(reason + len, ": ", 2)) reason += len + 2; /* the symbol is named beside it */
  tl_log(TL_LOG_ERROR, "[%s] %s failed: %s", c->p->vendor, c->names[i], reason);
  tl_run_result_fail(c->p->result, c->symbols[i], reason);
  pthread_mutex_lock(&c->p->lock);
  c->p->stats[c->symbols[i]].failed = true;
  pthread_mutex_unlock(&c->p->lock);
  return add_piece(c, i, c->range, TL_COVER_FAILED, reason, err);
}

static tl_status fail_symbols(chain *c, const char *reason, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < c->count; i++) st = fail_symbol(c, i, reason, err);
  return st;
}

static tl_status ask_again(chain *c, size_t begin, size_t end, tl_range range, tl_error *err) {
  if (begin >= end) return TL_OK;
  int64_t rows = c->rows_expected / (int64_t)c->count * (int64_t)(end - begin);
  int64_t settles_ns = range.end_ns < c->range.end_ns ? range.end_ns : c->settles_ns;
  return tl_chain_add(c->p, c->symbols + begin, end - begin, range, settles_ns, rows, err);
}

/* Without the symbol the refusal names; in halves when it names none of ours. */
static tl_status split(chain *c, const tl_error *why, tl_error *err) {
  size_t bad = c->refused_for_symbol && c->bad_symbol[0] ? symbol_at(c, c->bad_symbol, 0) : c->count;
  if (bad == c->count) {
    tl_status st = ask_again(c, 0, c->count / 2, c->range, err);
    return st ? st : ask_again(c, c->count / 2, c->count, c->range, err);
  }
  tl_status st = fail_symbol(c, bad, why->message, err);
  if (st) return st;
  for (size_t i = bad; i + 1 < c->count; i++) { /* the others stay one ask, in order */
    uint32_t swap = c->symbols[i];
    c->symbols[i] = c->symbols[i + 1];
    c->symbols[i + 1] = swap;
  }
  return ask_again(c, 0, c->count - 1, c->range, err);
}

/* A failure that says something about a symbol or its data, not about the line or the account. */
static bool worth_splitting(tl_status status, const tl_error *why) {
  return status == TL_EHTTP || status == TL_EDECODE || status == TL_ELIMIT || (status == TL_ENET && why->http_code);
}

/* The vendor's refusal of what is too fresh for the account: asked again up to the age it allows. What has no such part
 * (the bar of today) waits for a later run, unless the user asked for just that. */
static bool handle_too_fresh(chain *c, const tl_error *why, tl_status *st, tl_error *err) {
  const tl_job *job = c->p->job;
  tl_interval interval = job->kind.dataset.interval;
  int64_t allowed_ns = tl_interval_floor((tl_interval){1, TL_MINUTE}, tl_clock_now_ns() - TL_SETTLE_NS);
  if (interval.count) allowed_ns = tl_interval_floor(interval, allowed_ns);
  if (c->range.end_ns <= allowed_ns) return false;
  if (c->range.start_ns < allowed_ns) {
    tl_log(TL_LOG_WARN, "[%s] %s; asking up to 16 minutes ago", c->p->vendor, why->message);
    *st = ask_again(c, 0, c->count, (tl_range){c->range.start_ns, allowed_ns}, err);
    return true;
  }
  bool updating = job->look_back_from_ns != INT64_MAX, open_bar = interval.count && !tl_interval_below_day(interval);
  if (!updating && !open_bar) return false;
  tl_log(TL_LOG_WARN, "[%s] %s; left for a later run", c->p->vendor, why->message);
  for (size_t i = 0; !*st && i < c->count; i++) *st = add_piece(c, i, c->range, TL_COVER_PARTIAL, why->message, err);
  return true;
}

static tl_status handle_failure(chain *c, tl_status status, const tl_error *why, tl_error *err) {
  tl_status st = TL_OK;
  if (why->http_code == 403 && handle_too_fresh(c, why, &st, err)) return st;
  if (c->count > 1 && worth_splitting(status, why)) return split(c, why, err);
  return fail_symbols(c, why->message, err);
}

/* Not in the ledger: nothing is wrong with them. */
static void name_unfinished(const chain *c) {
  for (size_t i = 0; i < c->count; i++) tl_run_result_fail(c->p->result, c->symbols[i], "stopped before it was done");
}

static void chain_done(void *chain_, tl_status status, const tl_error *why) {
  chain *c = chain_;
  tl_pipeline *p = c->p;
  tl_error err = {0};
  tl_status st = TL_OK;
  if (status == TL_OK) st = finish(c, &err);
  else if (status == TL_ENOMEM || status == TL_EINTERNAL || status == TL_EIO || status == TL_ELEDGER) tl_pipeline_stop(p, status, why);
  else if (status == TL_ECANCELED && atomic_load(p->canceled)) name_unfinished(c);
  else if (status != TL_ECANCELED && status != TL_EAUTH && !atomic_load(&p->stop)) st = handle_failure(c, status, why, &err);
  if (st) tl_pipeline_stop(p, st, &err);
  count_done(c);
  chain_free(c);
}

static const tl_chain_ops chain_ops = {chain_url, chain_page, chain_bad_symbol, chain_done};

/* ---- making one ---- */

static tl_status chain_make(tl_pipeline *p, const uint32_t *symbols, size_t count, tl_range range, chain **out, tl_error *err) {
  chain *c = tl_calloc(1, sizeof *c);
  if (!c) return tl_fail(err, TL_ENOMEM, "cannot ask for %zu symbols", count);
  const tl_job *job = p->job;
  c->p = p;
  c->range = range;
  c->symbols = tl_realloc_array(NULL, count, sizeof *c->symbols);
  c->names = tl_realloc_array(NULL, count, sizeof *c->names);
  if (!c->symbols || !c->names) {
    chain_free(c);
    return tl_fail(err, TL_ENOMEM, "cannot ask for %zu symbols", count);
  }
  for (size_t i = 0; i < count; i++) {
    c->symbols[i] = symbols[i];
    c->names[i] = job->symbols.items[symbols[i]];
  }
  c->count = count;
  c->decoder.token_check = tl_fetch_token_check;
  c->ask = (tl_ask){.wire = job->kind.wire, .interval = job->kind.interval, .symbols = c->names, .symbol_count = count,
                    .range = range, .page_limit = job->page_limit, .feed = job->source.feed,
                    .adjustment = job->source.adjustment, .asof = job->source.asof, .currency = job->source.currency};
  *out = c;
  return TL_OK;
}

static void count_added(chain *c) {
  atomic_fetch_add(&c->p->units, 1);
  atomic_fetch_add(&c->p->rows_expected, c->rows_expected);
  pthread_mutex_lock(&c->p->lock);
  for (size_t i = 0; i < c->count; i++) c->p->stats[c->symbols[i]].chains_left++;
  pthread_mutex_unlock(&c->p->lock);
}

tl_status tl_chain_add(tl_pipeline *p, const uint32_t *symbols, size_t count, tl_range range, int64_t settles_ns,
                       int64_t rows_expected, tl_error *err) {
  chain *c = NULL;
  char text[LABEL_BYTES];
  tl_status st = chain_make(p, symbols, count, range, &c, err);
  if (st) return st;
  c->settles_ns = settles_ns;
  c->rows_expected = rows_expected;
  count_added(c); /* before another thread can see it end */
  st = tl_fetch_add(p->fetch, &chain_ops, c, label(c, text), err);
  if (st) chain_free(c);
  return st;
}

tl_status tl_chain_add_closed(tl_pipeline *p, const uint32_t *symbols, size_t count, tl_range range, const char *why,
                              tl_error *err) {
  chain *c = NULL;
  tl_status st = chain_make(p, symbols, count, range, &c, err);
  for (size_t i = 0; !st && i < count; i++) st = add_piece(c, i, range, TL_COVER_EMPTY, why, err);
  chain_free(c);
  return st;
}
