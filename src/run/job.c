/* job.c - options over environment over settings over defaults. */
#include "run/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/suggest.h"
#include "config/settings.h"
#include "net/origin.h"

static const char *first_of(const char *a, const char *b, const char *c) { return a && *a ? a : b && *b ? b : c; }

static tl_status pick_provider(tl_job *job, const tl_import_options *o, tl_error *err) {
  const char *name = first_of(o->provider, NULL, "alpaca");
  job->provider = tl_provider_find(name);
  if (job->provider) return TL_OK;
  const char *names[16];
  size_t count = 0;
  for (const tl_provider *p; count < 16 && (p = tl_provider_at(count)) != NULL;) names[count++] = p->name;
  const char *near = tl_suggest(name, names, count);
  return tl_fail(err, TL_EUSAGE, "unknown provider '%s'; %s '%s'", name, near ? "did you mean" : "this version knows", near ? near : names[0]);
}

/* A word of a provider's list, in any letter case, copied in the list's spelling. */
static tl_status pick_word(const char *what, const char *given, const char *const *allowed, char *out, size_t size, tl_error *err) {
  char lower[64];
  snprintf(lower, sizeof lower, "%s", first_of(given, NULL, allowed[0]));
  for (char *c = lower; *c; c++)
    if (*c >= 'A' && *c <= 'Z') *c = (char)(*c + 32);
  size_t count = 0;
  for (; allowed[count]; count++)
    if (!strcmp(allowed[count], lower)) {
      snprintf(out, size, "%s", allowed[count]);
      return TL_OK;
    }
  const char *near = tl_suggest(lower, allowed, count);
  return tl_fail(err, TL_EUSAGE, "unknown %s '%s'; %s '%s'", what, given, near ? "did you mean" : "the default is", near ? near : allowed[0]);
}

/* "split,spin-off" is a list; each word must be known. */
static tl_status pick_adjustment(tl_job *job, const char *given, tl_error *err) {
  tl_ledger_source *s = &job->source;
  if (job->kind.wire != TL_WIRE_BARS) {
    if (given && strcmp(given, "raw") != 0)
      return tl_fail(err, TL_EUSAGE, "only the vendor's bars can be adjusted; kind '%s' is raw", job->kind.word);
    return TL_OK;
  }
  s->adjustment[0] = 0;
  for (const char *at = first_of(given, NULL, "raw"); at && *at;) {
    char word[24], known[24];
    size_t len = strcspn(at, ",");
    snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1), at);
    tl_status st = pick_word("adjustment", word, job->provider->adjustments, known, sizeof known, err);
    if (st) return st;
    size_t used = strlen(s->adjustment);
    if (used + strlen(known) + 2 > sizeof s->adjustment) return tl_fail(err, TL_EUSAGE, "adjustment '%s' is too long", given);
    if (used) s->adjustment[used++] = ',';
    memcpy(s->adjustment + used, known, strlen(known) + 1);
    at += len + (at[len] == ',');
  }
  return TL_OK;
}

static tl_status pick_asof(tl_job *job, const char *given, tl_error *err) {
  int32_t day;
  if (!given || !*given) return TL_OK;
  if (strcmp(given, "-") != 0 && !tl_day_parse(given, strlen(given), &day))
    return tl_fail(err, TL_EUSAGE, "asof '%s' is neither a date (YYYY-MM-DD) nor -", given);
  snprintf(job->source.asof, sizeof job->source.asof, "%s", given);
  return TL_OK;
}

static tl_status pick_source(tl_job *job, const tl_run_lake *lake, const tl_import_options *o, tl_error *err) {
  tl_ledger_source *s = &job->source;
  snprintf(s->provider, sizeof s->provider, "%s", job->provider->name);
  const char *feed = first_of(o->feed, tl_settings_get(lake->settings, job->provider->name, "feed"), NULL);
  tl_status st = pick_word("feed", feed, job->provider->feeds, s->feed, sizeof s->feed, err);
  if (!st) st = pick_adjustment(job, o->adjustment, err);
  if (!st) st = pick_asof(job, o->asof, err);
  if (st) return st;
  snprintf(s->currency, sizeof s->currency, "%s", first_of(o->currency, NULL, ""));
  snprintf(s->built_from, sizeof s->built_from, "%s",
           job->kind.wire == TL_WIRE_BARS ? "bars" : job->kind.wire == TL_WIRE_TRADES ? "trades" : "quotes");
  const char *conditions = first_of(o->conditions, NULL, "sip");
  if (strcmp(conditions, "sip") != 0 && strcmp(conditions, "all") != 0)
    return tl_fail(err, TL_EUSAGE, "conditions '%s' is not sip or all", conditions);
  job->conditions = !strcmp(conditions, "all") ? TL_CONDITIONS_ALL : TL_CONDITIONS_SIP;
  bool bars_of_ticks = job->kind.derived && job->kind.wire == TL_WIRE_TRADES;
  if (bars_of_ticks) snprintf(s->conditions, sizeof s->conditions, "%s", conditions);
  else if (o->conditions) return tl_fail(err, TL_EUSAGE, "--conditions goes with kind ticks, not '%s'", job->kind.word);
  return TL_OK;
}

static tl_status pick_endpoint(tl_job *job, const tl_run_lake *lake, const tl_import_options *o, tl_error *err) {
  const char *name = job->provider->name;
  const char *given = first_of(o->endpoint, getenv(job->provider->endpoint_env), tl_settings_get(lake->settings, name, "endpoint"));
  tl_origin origin;
  tl_status st = tl_buf_appends(&job->endpoint, first_of(given, NULL, job->provider->endpoint), err);
  return st ? st : tl_origin_parse(job->endpoint.data, job->allow_http, &origin, err);
}

static const char *const key_names[] = {"api_key", "key", "key_id", NULL};
static const char *const secret_names[] = {"secret_key", "api_secret", "secret", NULL};

static tl_status pick_keys(tl_job *job, const tl_run_lake *lake, tl_error *err) {
  const tl_provider *p = job->provider;
  tl_status st = tl_settings_secret(lake->settings, p->key_env, p->name, key_names, &job->key, err);
  if (!st && p->secret_env) st = tl_settings_secret(lake->settings, p->secret_env, p->name, secret_names, &job->secret, err);
  if (st) return st;
  if (job->key && (job->secret || !p->secret_env)) {
    tl_settings_harden();
    return TL_OK;
  }
  if (!tl_origin_is_loopback(job->endpoint.data))
    return tl_fail(err, TL_EUSAGE, "no credentials for %s: set %s and %s, or run 'ticklake simulate' and give its address as --endpoint",
                   p->name, p->key_env, p->secret_env ? p->secret_env : p->key_env);
  tl_keep_close(job->key); /* a simulator on this machine takes any key */
  tl_keep_close(job->secret);
  job->key = tl_keep_text("simulator", 9);
  job->secret = tl_keep_text("simulator", 9);
  return job->key && job->secret ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot keep a key");
}

static tl_status pick_rate(tl_job *job, const tl_run_lake *lake, const char *given, tl_error *err) {
  const char *text = first_of(given, tl_settings_get(lake->settings, job->provider->name, "rate"), NULL);
  job->rate_per_minute = job->provider->rate_per_minute;
  if (!text) return TL_OK;
  char *rest = NULL;
  unsigned long rate = *text >= '0' && *text <= '9' ? strtoul(text, &rest, 10) : 0;
  if (!rate || rate > 10000000 || (*rest && strcmp(rest, "/min") != 0))
    return tl_fail(err, TL_EUSAGE, "rate '%s' is not N or N/min with N above 0", text);
  job->rate_per_minute = (uint32_t)rate;
  job->rate_fixed = true;
  return TL_OK;
}

static tl_status pick_numbers(tl_job *job, const tl_run_lake *lake, const tl_import_options *o, tl_error *err) {
  const char *system = tl_settings_system(lake->settings);
  const char *threads = tl_settings_get(lake->settings, system, "api_threads");
  char *rest = NULL;
  long from_file = threads ? strtol(threads, &rest, 10) : 0;
  if (threads && (*rest || from_file < 1 || from_file > 1000))
    return tl_fail(err, TL_EUSAGE, "%s: api_threads '%s' is not a number from 1 to 1000", tl_settings_file(lake->settings), threads);
  if (o->threads < 0 || o->threads > 1000) return tl_fail(err, TL_EUSAGE, "threads must be 1 to 1000");
  job->threads = o->threads ? (uint32_t)o->threads : from_file ? (uint32_t)from_file : !strcmp(system, "macos") ? 6 : 8;
  uint32_t most = job->provider->page_limit_max;
  if (o->page_limit < 0 || (uint32_t)o->page_limit > most) return tl_fail(err, TL_EUSAGE, "page limit must be 1 to %u", most);
  job->page_limit = o->page_limit ? (uint32_t)o->page_limit : most;
  if (o->pages_per_unit < 0 || o->pages_per_unit > 10000) return tl_fail(err, TL_EUSAGE, "pages per unit must be 1 to 10000");
  job->pages_per_unit = o->pages_per_unit ? (uint32_t)o->pages_per_unit : 5;
  if (o->retries > 10) return tl_fail(err, TL_EUSAGE, "retries must be 0 to 10");
  job->retries = o->retries < 0 ? 0 : o->retries == 0 ? -1 : o->retries; /* fetch: 0 is its default of 3, negative none */
  if (o->connect_timeout_ms < 0 || o->read_timeout_ms < 0) return tl_fail(err, TL_EUSAGE, "timeouts must not be negative");
  job->connect_timeout_ns = (int64_t)o->connect_timeout_ms * TL_NS_PER_MS;
  job->read_timeout_ns = (int64_t)o->read_timeout_ms * TL_NS_PER_MS;
  job->memory_max_bytes = o->memory_max_bytes ? o->memory_max_bytes : (int64_t)512 << 20;
  if (job->memory_max_bytes < 64 << 20) return tl_fail(err, TL_EUSAGE, "max-memory must be at least 64M");
  return TL_OK;
}

/* --faces names the logs of a lake of tables; --layout delta --faces delta,iceberg says it twice. */
static tl_status pick_layout(tl_job *job, const tl_import_options *o, tl_error *err) {
  tl_layout faces;
  job->layout_given = o->layout != NULL || o->faces != NULL;
  if (o->layout && !tl_layout_parse(o->layout, &job->layout))
    return tl_fail(err, TL_EUSAGE, "layout '%s' is not one of hive, flat, delta, iceberg", o->layout);
  if (!o->faces) return TL_OK;
  const char *words = !strcmp(o->faces, "iceberg,delta") ? "delta,iceberg" : o->faces;
  if (!tl_layout_parse(words, &faces) || !tl_layout_is_table(faces))
    return tl_fail(err, TL_EUSAGE, "faces '%s' is not delta, iceberg or delta,iceberg", o->faces);
  if (o->layout && faces != job->layout && (faces != TL_LAYOUT_DELTA_ICEBERG || !tl_layout_is_table(job->layout)))
    return tl_fail(err, TL_EUSAGE, "layout '%s' and faces '%s' do not go together", o->layout, o->faces);
  job->layout = faces;
  return TL_OK;
}

static tl_status pick_word_options(tl_job *job, const tl_import_options *o, tl_error *err) {
  const char *on_error = first_of(o->on_error, NULL, "quarantine");
  const char *partitioning = first_of(o->partitioning, NULL, "calendar");
  if (!strcmp(on_error, "skip")) job->on_error = TL_ON_ERROR_SKIP;
  else if (!strcmp(on_error, "fail")) job->on_error = TL_ON_ERROR_FAIL;
  else if (strcmp(on_error, "quarantine") != 0) return tl_fail(err, TL_EUSAGE, "on-error '%s' is not quarantine, skip or fail", on_error);
  job->plain = !strcmp(partitioning, "plain");
  if (!job->plain && strcmp(partitioning, "calendar") != 0)
    return tl_fail(err, TL_EUSAGE, "partitioning '%s' is not calendar or plain", partitioning);
  return pick_layout(job, o, err);
}

tl_status tl_job_init(tl_job *job, tl_run_lake *lake, const tl_import_options *o, tl_error *err) {
  *job = (tl_job){.allow_http = o->allow_http, .refresh = o->refresh,
                  .progress = o->progress, .user = o->user, .look_back_from_ns = INT64_MAX, .now_ns = tl_clock_now_ns()};
  if (!o->kind || !o->symbols || !o->start || !o->end) return tl_fail(err, TL_EUSAGE, "an import needs KIND SYMBOLS START END");
  tl_status st = tl_job_kind_parse(o->kind, o->bar, &job->kind, err);
  if (!st && strcmp(o->symbols, "-") != 0) st = tl_run_symbols_parse(lake, o->symbols, &job->symbols, err);
  if (!st) st = tl_days_to_range(o->start, o->end, job->now_ns, &job->range, err);
  if (!st) st = pick_provider(job, o, err);
  if (!st) st = pick_source(job, lake, o, err);
  if (!st) st = pick_endpoint(job, lake, o, err);
  if (!st) st = pick_keys(job, lake, err);
  if (!st) st = pick_rate(job, lake, o->rate, err);
  if (!st) st = pick_numbers(job, lake, o, err);
  if (!st) st = pick_word_options(job, o, err);
  if (st) return st;
  bool delayed = !strcmp(job->source.feed, "delayed_sip");
  job->latest_ns = job->now_ns - (delayed ? job->provider->fresh_delay_ns : 0);
  job->range = tl_plan_align(&job->kind, job->range);
  return TL_OK;
}

void tl_job_deinit(tl_job *job) {
  tl_symbols_deinit(&job->symbols);
  tl_buf_deinit(&job->endpoint);
  tl_keep_close(job->key);
  tl_keep_close(job->secret);
  *job = (tl_job){0};
}

tl_status tl_job_claim(tl_job *job, tl_ledger *ledger, tl_error *err) {
  char got[16] = "";
  tl_status st = job->layout_given ? TL_OK : tl_ledger_layout(ledger, "", got, err);
  if (!st && got[0]) tl_layout_parse(got, &job->layout);
  if (!st && !got[0]) st = tl_ledger_layout(ledger, tl_layout_name(job->layout), got, err);
  return st ? st : tl_ledger_source_of(ledger, job->kind.dataset.name, &job->source, NULL, err);
}
