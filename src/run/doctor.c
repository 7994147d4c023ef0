/* doctor.c - can an import run here, and if not, what is in the way. */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "config/settings.h"
#include "fetch/fetch.h"
#include "market/zone.h"
#include "run/job.h"

typedef struct checkup {
  tl_doctor_fn each;
  void *user;
  bool ok;
} checkup;

static void say(checkup *c, const char *what, bool ok, const char *detail) {
  if (!ok) c->ok = false;
  c->each(c->user, what, ok, detail);
}

static void check_lake(checkup *c, const tl_run_lake *lake) {
  char detail[512];
  tl_error err = {0};
  tl_ledger *ledger = NULL;
  tl_status st = tl_ledger_open(lake->store, false, &ledger, &err);
  if (st == TL_ENOTFOUND) snprintf(detail, sizeof detail, "%.400s (not there yet: the first import makes it)", lake->path);
  else snprintf(detail, sizeof detail, "%s", st ? err.message : lake->path);
  say(c, "lake", !st || st == TL_ENOTFOUND, detail);
  tl_ledger_close(ledger);
  if (!tl_store_is_local(lake->store)) return;
  struct statvfs disk;
  char *at = tl_strdup(lake->path);
  bool found = false;
  while (at && !(found = statvfs(at, &disk) == 0) && strcmp(at, ".") != 0 && strcmp(at, "/") != 0) { /* the nearest that exists */
    char *slash = strrchr(at, '/');
    if (!slash) snprintf(at, strlen(at) + 1, ".");
    else slash[slash == at] = 0;
  }
  if (found) {
    double free_gb = (double)disk.f_bavail * (double)disk.f_frsize / 1e9;
    snprintf(detail, sizeof detail, "%.1f GB free", free_gb);
    say(c, "disk", free_gb > 1, detail);
  }
  tl_free(at);
}

/* One bar of one symbol: proves host, key and plan, and costs one request. */
static void check_endpoint(checkup *c, const tl_job *job) {
  char detail[500];
  tl_error err = {0};
  tl_buf headers = {0}, path = {0}, body = {0};
  tl_fetch *fetch = NULL;
  int64_t day_ns = tl_interval_floor((tl_interval){1, TL_DAY}, job->now_ns - 30 * TL_NS_PER_DAY);
  const char *symbols[] = {"AAPL"};
  tl_ask ask = {.wire = TL_WIRE_BARS, .interval = {1, TL_DAY}, .symbols = symbols, .symbol_count = 1, .page_limit = 1,
                .range = {day_ns, day_ns + 7 * TL_NS_PER_DAY}, .feed = job->source.feed, .adjustment = "raw"};
  tl_status st = job->provider->headers(tl_keep_data(job->key), tl_keep_data(job->secret), &headers, &err);
  if (!st) st = job->provider->url(&ask, NULL, &path, &err);
  tl_fetch_options options = {.endpoint = job->endpoint.data, .allow_http = job->allow_http, .headers = headers.data,
                              .key = tl_keep_data(job->key), .rate_per_minute = job->rate_per_minute,
                              .rate_fixed = job->rate_fixed, .retries = -1, .refusal = job->provider->refusal, .workers = 1};
  if (!st) st = tl_fetch_open(&options, &fetch, &err);
  if (!st) st = tl_fetch_get(fetch, path.data, &body, &err);
  snprintf(detail, sizeof detail, "%s%s%s", job->endpoint.data, st ? ": " : " answers and takes the key", st ? err.message : "");
  say(c, "endpoint", !st, detail);
  tl_fetch_close(fetch);
  if (headers.data) explicit_bzero(headers.data, headers.capacity_bytes);
  tl_buf_deinit(&headers);
  tl_buf_deinit(&path);
  tl_buf_deinit(&body);
}

tl_status tl_run_doctor(tl_run_lake *lake, const tl_import_options *given, tl_doctor_fn each, void *user, bool *ok, tl_error *err) {
  (void)err;
  checkup c = {each, user, true};
  const char *file = tl_settings_file(lake->settings);
  say(&c, "settings", true, *file ? file : "no settings.ini: defaults");
  check_lake(&c, lake);
  tl_zone *zone = NULL;
  bool zones = tl_zone_open("Europe/London", &zone, NULL) == TL_OK;
  tl_zone_close(zone);
  say(&c, "time zones", true, zones ? "system zone files" : "no zone files (package tzdata): New York is built in, --tz knows no other");
  int64_t now_ns = tl_clock_now_ns();
  char text[TL_TIME_TEXT_MAX];
  tl_time_format(now_ns, 0, text);
  say(&c, "clock", now_ns > INT64_C(1700000000) * TL_NS_PER_S, text);
  tl_import_options options = *given;
  options.kind = "1d";
  options.symbols = "AAPL";
  options.start = options.end = "yesterday";
  options.bar = options.conditions = NULL;
  tl_job job = {0};
  tl_error why = {0};
  tl_status st = tl_job_init(&job, lake, &options, &why);
  if (st) {
    say(&c, "credentials", false, why.message);
  } else {
    say(&c, "credentials", true, "found");
    check_endpoint(&c, &job);
  }
  tl_job_deinit(&job);
  *ok = c.ok;
  return TL_OK;
}
