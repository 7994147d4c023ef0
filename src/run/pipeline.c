/* pipeline.c - opens the stages, feeds the plan in, reports progress, and takes everything down again. */
#include "run/pipeline.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#define TABLE_MEMORY_MIN (INT64_C(96) << 20)

void tl_pipeline_stop(tl_pipeline *p, tl_status status, const tl_error *why) {
  pthread_mutex_lock(&p->lock);
  if (!p->status) {
    p->status = status;
    p->error = *why;
  }
  pthread_mutex_unlock(&p->lock);
  atomic_store(&p->stop, true);
}

tl_page *tl_pipeline_page_take(tl_pipeline *p) {
  tl_page *page = NULL;
  pthread_mutex_lock(&p->lock);
  if (p->page_count) page = p->pages[--p->page_count];
  pthread_mutex_unlock(&p->lock);
  if (page) return page;
  page = tl_calloc(1, sizeof *page);
  if (page) tl_page_init(page, p->words);
  return page;
}

static void free_page(tl_page *page) {
  tl_page_deinit(page);
  tl_free(page);
}

void tl_pipeline_page_give(tl_pipeline *p, tl_page *page) {
  pthread_mutex_lock(&p->lock);
  bool room = p->page_count < p->page_max;
  if (room) p->pages[p->page_count++] = page;
  pthread_mutex_unlock(&p->lock);
  if (!room) free_page(page);
}

/* ---- callbacks of fetch ---- */

static bool admit(void *user) {
  tl_pipeline *p = user;
  return tl_committer_room(p->committer);
}

static void report(tl_pipeline *p) {
  if (!p->job->progress) return;
  tl_fetch_counts counts;
  tl_fetch_counters(p->fetch, &counts);
  tl_progress progress = {.size = sizeof progress,
                          .units_done = atomic_load(&p->units_done),
                          .units_total = atomic_load(&p->units),
                          .rows = atomic_load(&p->rows),
                          .rejected = atomic_load(&p->rejected),
                          .requests = (int64_t)counts.requests,
                          .retries = (int64_t)counts.retries,
                          .bytes = (int64_t)counts.bytes,
                          .symbols_failed = (int64_t)tl_run_result_failures(p->result),
                          .elapsed_ns = tl_clock_mono_ns() - p->started_ns,
                          .in_flight = (int32_t)counts.in_flight,
                          .transfers_max = (int32_t)counts.in_flight_max,
                          .waiting_ns = counts.paused_ns};
  int64_t expected = atomic_load(&p->rows_expected);
  progress.fraction = expected ? (double)atomic_load(&p->rows_expected_done) / (double)expected : 0;
  p->job->progress(p->job->user, &progress);
}

static void tick(void *user) {
  tl_pipeline *p = user;
  if (atomic_load(p->canceled)) atomic_store(&p->stop, true);
  if (tl_committer_failed(p->committer)) atomic_store(&p->stop, true); /* its error is taken at the end */
  report(p);
}

/* ---- taking it up and down ---- */

static tl_status open_fetch(tl_pipeline *p, tl_error *err) {
  const tl_job *job = p->job;
  tl_buf headers = {0};
  tl_status st = TL_OK;
  const char *key = tl_keep_data(job->key), *secret = tl_keep_data(job->secret);
  if (key && secret) st = job->provider->headers(key, secret, &headers, err);
  tl_fetch_options options = {.endpoint = job->endpoint.data,
                              .allow_http = job->allow_http,
                              .headers = headers.len ? headers.data : NULL,
                              .key = key ? key : "",
                              .rate_per_minute = job->rate_per_minute,
                              .rate_fixed = job->rate_fixed,
                              .threads = job->threads,
                              .retries = job->retries,
                              .connect_timeout_ns = job->connect_timeout_ns,
                              .first_byte_timeout_ns = job->read_timeout_ns,
                              .stall_timeout_ns = job->read_timeout_ns,
                              .refusal = job->provider->refusal,
                              .canceled = &p->stop,
                              .user = p,
                              .admit = admit,
                              .tick = tick};
  if (!st) st = tl_fetch_open(&options, &p->fetch, err);
  if (headers.data) explicit_bzero(headers.data, headers.capacity_bytes);
  tl_buf_deinit(&headers);
  return st;
}

static tl_status open_stages(tl_pipeline *p, const tl_run_lake *lake, tl_ledger *ledger, int64_t run, tl_error *err) {
  const tl_job *job = p->job;
  int64_t budget = job->memory_max_bytes / 4; /* of rows held: the rest is for pages, encoding and DuckDB */
  p->cut_bytes = budget / (2 * (int64_t)job->threads);
  if (p->cut_bytes < 4 << 20) p->cut_bytes = 4 << 20;
  snprintf(p->vendor, sizeof p->vendor, "%s", job->provider->name);
  p->vendor[0] = (char)toupper((unsigned char)p->vendor[0]);
  p->noun = job->kind.wire == TL_WIRE_BARS ? "bars" : job->kind.wire == TL_WIRE_TRADES ? "trades" : "quotes";
  p->page_max = 32;
  p->pages = tl_calloc(p->page_max, sizeof *p->pages);
  p->stats = tl_calloc(job->symbols.count, sizeof *p->stats);
  if (!p->pages || !p->stats) return tl_fail(err, TL_ENOMEM, "cannot start the import");
  tl_status st = tl_words_open(&p->words, err);
  tl_commit_options commit = {.lake = lake->path, .store = lake->store, .layout = job->layout, .dataset = job->kind.dataset, .words = p->words,
                              .ledger = ledger, .run = run, .settings = lake->settings,
                              .memory_bytes = job->memory_max_bytes / 4};
  if (tl_layout_is_table(job->layout)) /* DuckDB sorts and writes the rows: below this it gives up */
    commit.memory_bytes = job->memory_max_bytes / 2 > TABLE_MEMORY_MIN ? job->memory_max_bytes / 2 : TABLE_MEMORY_MIN;
  if (!st) st = tl_commit_open(&commit, &p->commit, err);
  if (!st) st = tl_committer_open(p->commit, budget, &p->committer, err);
  return st ? st : open_fetch(p, err);
}

static void close_stages(tl_pipeline *p) {
  tl_fetch_close(p->fetch);
  tl_committer_close(p->committer);
  tl_commit_close(p->commit);
  for (size_t i = 0; i < p->page_count; i++) free_page(p->pages[i]);
  tl_free(p->pages);
  tl_words_close(p->words);
  tl_free(p->stats);
  pthread_mutex_destroy(&p->lock);
}

static tl_status add_plan(tl_pipeline *p, const tl_plan *plan, tl_error *err) {
  for (size_t i = 0; i < plan->ask_count; i++) {
    const tl_plan_ask *ask = &plan->asks[i];
    tl_status st = ask->closed ? tl_chain_add_closed(p, ask->symbols, ask->symbol_count, ask->range, ask->closed, err)
                               : tl_chain_add(p, ask->symbols, ask->symbol_count, ask->range, ask->settles_ns,
                                              ask->rows_expected, err);
    if (st) return st;
  }
  return TL_OK;
}

static void take_totals(tl_pipeline *p) {
  tl_import_totals *t = &p->result->totals;
  tl_commit_totals committed = {0};
  if (p->commit) tl_commit_totals_of(p->commit, &committed);
  tl_fetch_counts counts = {0};
  if (p->fetch) tl_fetch_counters(p->fetch, &counts);
  t->rows = committed.rows;
  t->files = committed.files;
  t->rejected = atomic_load(&p->rejected);
  t->requests = (int64_t)counts.requests;
  t->retries = (int64_t)counts.retries;
  t->bytes = (int64_t)counts.bytes;
  t->barless_volume = atomic_load(&p->barless_volume);
  t->seconds = (double)(tl_clock_mono_ns() - p->started_ns) / 1e9;
}

/* The first thing that went wrong names the run: a stopped pipeline, then commit, then fetch. */
static tl_status run_stages(tl_pipeline *p, const tl_plan *plan, tl_error *err) {
  tl_error commit_error = {0}, fetch_error = {0};
  tl_status added = add_plan(p, plan, &fetch_error);
  if (added) tl_pipeline_stop(p, added, &fetch_error); /* the chains added so far still have to end */
  tl_log_set_worker(TL_LOG_W0);
  tl_status fetched = tl_fetch_run(p->fetch, &fetch_error);
  tl_log_set_worker(0);
  tl_status committed = tl_committer_finish(p->committer, &commit_error);
  if (p->status) {
    if (err) *err = p->error;
    return p->status;
  }
  if (committed) {
    if (err) *err = commit_error;
    return committed;
  }
  if (fetched && err) *err = fetch_error;
  return fetched;
}

/* The run failed as a whole (a refused key, a full disk): no symbol it asked for is claimed to be done. */
static void fail_asked(tl_pipeline *p, const tl_plan *plan, const tl_error *why) {
  const char *reason = why && why->message[0] ? why->message : "the run failed";
  for (size_t i = 0; i < plan->ask_count; i++)
    for (size_t s = 0; s < plan->asks[i].symbol_count; s++) tl_run_result_fail(p->result, plan->asks[i].symbols[s], reason);
}

tl_status tl_pipeline_run(const tl_job *job, const tl_plan *plan, const tl_run_lake *lake, tl_ledger *ledger, int64_t run,
                          const atomic_bool *canceled, tl_run_result *result, tl_error *err) {
  tl_pipeline p = {.job = job, .result = result, .canceled = canceled, .started_ns = tl_clock_mono_ns()};
  pthread_mutex_init(&p.lock, NULL);
  tl_status st = open_stages(&p, lake, ledger, run, err);
  if (!st) st = run_stages(&p, plan, err);
  if (st && st != TL_ECANCELED) fail_asked(&p, plan, err);
  take_totals(&p);
  if (p.commit && tl_run_result_take_files(result, p.commit, st ? NULL : err) && !st) st = TL_ENOMEM;
  if (!st && p.noun && (result->totals.files || !tl_run_result_failures(result)))
    tl_log(TL_LOG_INFO, "[Parquet] ✓ Successfully wrote %lld %s to %lld file(s)", (long long)result->totals.rows,
           job->kind.derived && job->kind.wire == TL_WIRE_TRADES ? "bars" : p.noun, (long long)result->totals.files);
  close_stages(&p);
  return st;
}
