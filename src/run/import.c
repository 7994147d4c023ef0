/* import.c - import, update and plan: what is not covered, planned, and run through the pipeline. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "market/calendar.h"
#include "plan/plan.h"
#include "run/job.h"
#include "run/pipeline.h"

typedef struct demand { /* what a job still needs, as the planner takes it */
  tl_ranges *uncovered; /* by symbol */
  double *rows_per_session;
  tl_plan_symbol *symbols;
  tl_plan_input input;
  tl_plan plan;
} demand;

static void demand_deinit(demand *d, size_t count) {
  for (size_t i = 0; d->uncovered && i < count; i++) tl_ranges_deinit(&d->uncovered[i]);
  tl_free(d->uncovered);
  tl_free(d->rows_per_session);
  tl_free(d->symbols);
  tl_plan_deinit(&d->plan);
}

/* Covered ranges that are to be asked again all the same. starts: first instant by symbol, NULL: the job's. */
static tl_status widen(const tl_job *job, const int64_t *starts, demand *d, tl_error *err) {
  for (size_t i = 0; i < job->symbols.count; i++) {
    tl_range own = {starts ? starts[i] : job->range.start_ns, job->range.end_ns};
    tl_range again = job->refresh ? own : tl_range_clip(own, (tl_range){job->look_back_from_ns, INT64_MAX});
    if (!tl_range_empty(again)) {
      tl_status st = tl_ranges_add(&d->uncovered[i], again, err);
      if (st) return st;
    }
    if (!starts) continue;
    tl_ranges clip = {0}, kept = {0};
    tl_status st = tl_range_empty(own) ? TL_OK : tl_ranges_add(&clip, own, err);
    if (!st) st = tl_ranges_intersect(&d->uncovered[i], &clip, &kept, err);
    tl_ranges_deinit(&clip);
    tl_ranges_deinit(&d->uncovered[i]);
    d->uncovered[i] = kept;
    if (st) return st;
  }
  return TL_OK;
}

static tl_status find_demand(const tl_job *job, tl_ledger *ledger, const int64_t *starts, demand *d, tl_error *err) {
  size_t count = job->symbols.count;
  const char *dataset = job->kind.dataset.name;
  const char *const *names = (const char *const *)job->symbols.items;
  double bytes_per_row = 0;
  if (!count) return tl_fail(err, TL_EUSAGE, "no symbols are given");
  d->uncovered = tl_calloc(count, sizeof *d->uncovered);
  d->rows_per_session = tl_calloc(count, sizeof *d->rows_per_session);
  d->symbols = tl_calloc(count, sizeof *d->symbols);
  if (!d->uncovered || !d->rows_per_session || !d->symbols) return tl_fail(err, TL_ENOMEM, "cannot plan %zu symbols", count);
  tl_status st = TL_OK;
  if (ledger) {
    st = tl_ledger_uncovered(ledger, dataset, names, count, job->range, d->uncovered, err);
    if (!st) st = tl_ledger_estimates(ledger, dataset, names, count, d->rows_per_session, &bytes_per_row, err);
  } else {
    for (size_t i = 0; !st && i < count; i++) st = tl_ranges_add(&d->uncovered[i], job->range, err);
  }
  if (!st) st = widen(job, starts, d, err);
  for (size_t i = 0; i < count; i++)
    d->symbols[i] = (tl_plan_symbol){names[i], d->uncovered[i].items, d->uncovered[i].count, d->rows_per_session[i]};
  d->input = (tl_plan_input){.job = job->kind,
                             .symbols = d->symbols,
                             .symbol_count = count,
                             .now_ns = job->now_ns,
                             .latest_ns = job->latest_ns,
                             .history_start_ns = job->provider->history_start_ns,
                             .page_limit = job->page_limit,
                             .pages_per_unit = job->pages_per_unit,
                             .symbols_per_ask_max = job->provider->symbols_per_ask_max,
                             .rate_per_minute = job->rate_per_minute,
                             .bytes_per_row = bytes_per_row,
                             .plain = job->plain,
                             .always_open = !strcmp(job->source.feed, "boats")};
  return st ? st : tl_plan_make(&d->input, &d->plan, err);
}

static tl_status end_run(tl_ledger *ledger, int64_t run, tl_run_result *result, tl_status status, const tl_error *why,
                         tl_error *err) {
  const tl_import_totals *t = &result->totals;
  tl_ledger_counts counts = {t->rows, t->rejected, t->files, t->requests, t->retries, t->bytes};
  tl_ledger_result *results = tl_calloc(result->count, sizeof *results);
  if (!results) return tl_fail(err, TL_ENOMEM, "cannot record the run");
  for (size_t i = 0; i < result->count; i++)
    results[i] = (tl_ledger_result){result->symbols[i], result->reasons[i] ? result->reasons[i] : ""};
  int code = status ? 1 : !result->failed_count ? 0 : result->failed_count == result->count ? 1 : 3;
  tl_status st = tl_ledger_run_end(ledger, run, tl_clock_now_ns(), code, status ? why->message : NULL, &counts, results,
                                   result->count, err);
  tl_free(results);
  return st;
}

/* Symbols the vendor cannot even be asked for fail by themselves, before a request. */
static tl_status drop_impossible(tl_job *job, demand *d, tl_run_result *result, tl_error *err) {
  bool any = false;
  for (size_t i = 0; i < job->symbols.count; i++) {
    tl_error why = {0};
    if (job->provider->symbol_ok(job->symbols.items[i], &why)) continue;
    tl_run_result_fail(result, i, why.message);
    tl_log(TL_LOG_ERROR, "%s failed: %s", job->symbols.items[i], why.message);
    d->symbols[i].uncovered_count = 0;
    any = true;
  }
  if (!any) return TL_OK;
  tl_plan_deinit(&d->plan);
  return tl_plan_make(&d->input, &d->plan, err);
}

/* A second run of a finished import must not even write to the ledger. */
static tl_status run_job(tl_run_lake *lake, tl_ledger *ledger, tl_job *job, const int64_t *starts, tl_run_result **out,
                         tl_error *err) {
  demand d = {0};
  tl_run_result *result = NULL;
  int64_t run = 0;
  tl_error why = {0};
  tl_status st = find_demand(job, ledger, starts, &d, err);
  if (!st) st = tl_run_result_open(&job->symbols, &result, err);
  if (!st) st = drop_impossible(job, &d, result, err);
  if (!st && d.plan.ask_count) {
    char command[256];
    snprintf(command, sizeof command, "import %s, %zu symbols, %s", job->kind.word, job->symbols.count, job->provider->name);
    st = tl_ledger_run_begin(ledger, command, job->now_ns, &run, err);
    if (!st) {
      st = tl_pipeline_run(job, &d.plan, lake, ledger, run, &lake->canceled, result, &why);
      if (st && err) *err = why;
      tl_status ended = end_run(ledger, run, result, st, &why, st ? NULL : err);
      if (!st) st = ended;
    }
  }
  demand_deinit(&d, job->symbols.count);
  *out = result;
  return st;
}

tl_status tl_run_import(tl_run_lake *lake, const tl_import_options *options, tl_run_result **out, tl_error *err) {
  tl_job job = {0};
  tl_ledger *ledger = NULL;
  *out = NULL;
  tl_status st = tl_job_init(&job, lake, options, err);
  if (!st) st = tl_ledger_open(lake->store, true, &ledger, err);
  if (!st) st = tl_job_claim(&job, ledger, err);
  if (!st) st = run_job(lake, ledger, &job, NULL, out, err);
  atomic_store(&lake->canceled, false); /* not at the start: a signal that came before the call began counts */
  tl_ledger_close(ledger);
  tl_job_deinit(&job);
  return st;
}

tl_status tl_run_plan(tl_run_lake *lake, const tl_import_options *options, bool json, tl_write_fn write, void *user,
                      tl_error *err) {
  tl_job job = {0};
  tl_ledger *ledger = NULL;
  demand d = {0};
  tl_buf text = {0};
  tl_status st = tl_job_init(&job, lake, options, err);
  if (!st) st = tl_ledger_open(lake->store, false, &ledger, err);
  if (st == TL_ENOTFOUND) st = TL_OK; /* a lake that is not there yet holds nothing */
  if (!st) st = find_demand(&job, ledger, NULL, &d, err);
  if (!st) st = json ? tl_plan_print_json(&d.input, &d.plan, &text, err) : tl_plan_print_text(&d.input, &d.plan, &text, err);
  if (!st && write(user, text.data, text.len)) st = tl_fail(err, TL_EIO, "cannot write the plan");
  tl_buf_deinit(&text);
  demand_deinit(&d, job.symbols.count);
  tl_ledger_close(ledger);
  tl_job_deinit(&job);
  return st;
}

/* ---- update ---- */

/* The KIND word that made a dataset, from what the ledger recorded of it. */
static void kind_word(const char *dataset, const tl_ledger_source *source, char word[40], char bar[40]) {
  bool ticks = !strncmp(dataset, "equities_", 9) && !strcmp(source->built_from, "trades");
  bar[0] = 0;
  if (ticks) {
    snprintf(word, 40, "ticks");
    snprintf(bar, 40, "%.30s", dataset + 9);
  } else if (!strncmp(dataset, "equities_", 9)) {
    snprintf(word, 40, "%.30s", dataset + 9);
  } else {
    snprintf(word, 40, "%s", !strcmp(dataset, "quotes_1sec") ? "quotes" : !strcmp(dataset, "quotes") ? "raw-quotes" : "trades");
  }
}

static bool wanted(const tl_symbols *only, const char *symbol) {
  return !only->count || tl_symbols_find(only, symbol, strlen(symbol), NULL);
}

/* Rows come late: the last two sessions are asked again unless the user says how far to look back. */
static int64_t look_back_from(const tl_import_options *options, int64_t now_ns) {
  if (options->look_back_ns > 0) return now_ns - options->look_back_ns;
  int32_t day = tl_calendar_day(now_ns);
  if (tl_calendar_session(day, NULL)) return tl_calendar_day_start_ns(tl_calendar_prev(day));
  return tl_calendar_day_start_ns(tl_calendar_prev(tl_calendar_prev(day)));
}

/* The source goes on as it was recorded; what the user says beside it is kept, so that another source is refused. */
static void pick_up(const char **option, const char *recorded) {
  if (!*option && *recorded) *option = recorded;
}

static tl_status update_dataset(tl_run_lake *lake, tl_ledger *ledger, const tl_import_options *options, const char *dataset,
                                const tl_ledger_series *series, size_t count, tl_run_result **out, tl_error *err) {
  tl_ledger_source source;
  tl_status st = tl_ledger_source_of(ledger, dataset, NULL, &source, err);
  if (st) return st;
  char word[40], bar[40], start[TL_TIME_TEXT_MAX];
  kind_word(dataset, &source, word, bar);
  int64_t *starts = tl_calloc(count, sizeof *starts);
  tl_job job = {0};
  int64_t first_ns = INT64_MAX;
  if (!starts) st = tl_fail(err, TL_ENOMEM, "cannot update '%s'", dataset);
  for (size_t i = 0; !st && i < count; i++) {
    starts[i] = series[i].asked.start_ns;
    if (starts[i] < first_ns) first_ns = starts[i];
  }
  tl_time_format(first_ns, -1, start);
  tl_import_options own = *options;
  own.kind = word;
  own.bar = bar[0] ? bar : NULL;
  own.symbols = "-"; /* put in below: a symbol may hold any character */
  own.start = start;
  own.end = "now";
  pick_up(&own.provider, source.provider);
  pick_up(&own.feed, source.feed);
  pick_up(&own.adjustment, source.adjustment);
  pick_up(&own.asof, source.asof);
  pick_up(&own.currency, source.currency);
  pick_up(&own.conditions, source.conditions);
  if (!st) st = tl_job_init(&job, lake, &own, err);
  if (!st) {
    tl_symbols_deinit(&job.symbols);
    for (size_t i = 0; !st && i < count; i++) st = tl_symbols_add(&job.symbols, series[i].symbol, strlen(series[i].symbol), err);
    job.look_back_from_ns = look_back_from(options, job.now_ns);
  }
  if (!st) st = tl_job_claim(&job, ledger, err);
  if (!st) st = run_job(lake, ledger, &job, starts, out, err);
  tl_job_deinit(&job);
  tl_free(starts);
  return st;
}

static tl_status update_all(tl_run_lake *lake, tl_ledger *ledger, const tl_import_options *options, const char *dataset,
                            const tl_symbols *only, tl_run_result **out, tl_error *err) {
  tl_ledger_series_list list = {0};
  tl_status st = tl_ledger_series_of(ledger, dataset, NULL, &list, err);
  size_t kept = 0;
  for (size_t i = 0; i < list.count; i++)
    if (wanted(only, list.items[i].symbol) && !tl_range_empty(list.items[i].asked)) list.items[kept++] = list.items[i];
  if (!st && !kept) st = tl_fail(err, TL_ENOTFOUND, "the lake '%s' holds nothing of this to update", lake->path);
  for (size_t i = 0; !st && i < only->count; i++) {
    size_t at = 0;
    while (at < kept && strcmp(list.items[at].symbol, only->items[i]) != 0) at++;
    if (at == kept) tl_log(TL_LOG_WARN, "%s is not updated: the lake holds nothing of it; import it first", only->items[i]);
  }
  for (size_t begin = 0, end; !st && begin < kept; begin = end) {
    for (end = begin + 1; end < kept && !strcmp(list.items[end].dataset, list.items[begin].dataset);) end++;
    tl_run_result *one = NULL;
    st = update_dataset(lake, ledger, options, list.items[begin].dataset, &list.items[begin], end - begin, &one, err);
    if (one && *out) {
      tl_status merged = tl_run_result_merge(*out, one, st ? NULL : err);
      if (!st) st = merged;
    } else if (one) {
      *out = one;
    }
  }
  tl_ledger_series_deinit(&list);
  return st;
}

tl_status tl_run_update(tl_run_lake *lake, const tl_import_options *options, tl_run_result **out, tl_error *err) {
  *out = NULL;
  tl_ledger *ledger = NULL;
  tl_symbols only = {0};
  tl_dataset dataset;
  tl_status st = TL_OK;
  if (options->kind) st = tl_dataset_parse(options->kind, &dataset, err);
  if (!st && options->symbols) st = tl_run_symbols_parse(lake, options->symbols, &only, err);
  if (!st) st = tl_run_ledger(lake, &ledger, err);
  if (!st) st = update_all(lake, ledger, options, options->kind ? dataset.name : NULL, &only, out, err);
  atomic_store(&lake->canceled, false);
  tl_ledger_close(ledger);
  tl_symbols_deinit(&only);
  return st;
}
