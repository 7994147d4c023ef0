/* dataset.c - KIND words and the datasets they fill. */
#include "market/dataset.h"

#include <stdio.h>
#include <string.h>

#include "base/suggest.h"

static const char *const kind_words[] = {"ticks", "quotes", "1s", "1m", "5m",  "15m",    "30m",
                                         "1h",    "1d",     "1w", "1mo", "trades", "raw-quotes"};

tl_dataset tl_dataset_bars(tl_interval interval) {
  tl_dataset dataset = {.kind = TL_BARS, .interval = interval, .by_year = !tl_interval_below_day(interval)};
  char text[TL_INTERVAL_TEXT_MAX];
  tl_interval_table(interval, text);
  snprintf(dataset.name, sizeof dataset.name, "%.31s", text);
  tl_interval_short(interval, text);
  snprintf(dataset.flat, sizeof dataset.flat, "bars/%.26s", text);
  return dataset;
}

static tl_dataset plain_dataset(tl_kind kind, const char *name, const char *flat) {
  tl_dataset dataset = {.kind = kind};
  snprintf(dataset.name, sizeof dataset.name, "%s", name);
  snprintf(dataset.flat, sizeof dataset.flat, "%s", flat);
  return dataset;
}

static tl_status unknown_kind(const char *word, tl_error *err) {
  const char *near = tl_suggest(word, kind_words, sizeof kind_words / sizeof *kind_words);
  if (near) return tl_fail(err, TL_EUSAGE, "unknown kind '%s'; did you mean '%s'?", word, near);
  return tl_fail(err, TL_EUSAGE,
                 "unknown kind '%s'; kinds are ticks, quotes, 1s 1m 5m 15m 30m 1h 1d 1w 1mo, trades, raw-quotes", word);
}

/* A bar made from ticks must not straddle the days the ticks are fetched by. */
static tl_status check_derived(tl_interval interval, tl_error *err) {
  if (!tl_interval_below_day(interval) || TL_NS_PER_DAY % tl_interval_ns(interval) == 0) return TL_OK;
  char text[TL_INTERVAL_TEXT_MAX];
  tl_interval_short(interval, text);
  return tl_fail(err, TL_EUSAGE, "cannot build bars of %s from ticks: the size must divide a day evenly", text);
}

tl_status tl_job_kind_parse(const char *word, const char *bar, tl_job_kind *out, tl_error *err) {
  tl_job_kind job = {.wire = TL_WIRE_BARS};
  tl_interval second = {1, TL_SECOND};
  bool ticks = !strcmp(word, "ticks");
  if (bar && !ticks) return tl_fail(err, TL_EUSAGE, "--bar goes with kind ticks, not '%s'", word);
  if (ticks) {
    if (bar && tl_interval_parse(bar, &second, err)) return TL_EUSAGE;
    tl_status st = check_derived(second, err);
    if (st) return st;
    job.wire = TL_WIRE_TRADES;
    job.derived = true;
    job.dataset = tl_dataset_bars(second);
  } else if (!strcmp(word, "quotes")) {
    job.wire = TL_WIRE_QUOTES;
    job.derived = true;
    job.dataset = plain_dataset(TL_QUOTES_1S, "quotes_1sec", "quotes");
  } else if (!strcmp(word, "trades")) {
    job.wire = TL_WIRE_TRADES;
    job.dataset = plain_dataset(TL_TRADES, "trades", "trades");
  } else if (!strcmp(word, "raw-quotes")) {
    job.wire = TL_WIRE_QUOTES;
    job.dataset = plain_dataset(TL_QUOTES, "quotes", "raw_quotes");
  } else {
    if (word[0] < '1' || word[0] > '9' || tl_interval_parse(word, &job.interval, NULL)) return unknown_kind(word, err);
    job.dataset = tl_dataset_bars(job.interval);
    if (job.interval.unit == TL_SECOND) { /* no vendor of ours serves second bars: they are made from ticks */
      tl_status st = check_derived(job.interval, err);
      if (st) return st;
      job.wire = TL_WIRE_TRADES;
      job.derived = true;
      job.interval = (tl_interval){0};
    }
  }
  snprintf(job.word, sizeof job.word, "%.15s", word);
  *out = job;
  return TL_OK;
}

tl_status tl_dataset_parse(const char *name, tl_dataset *out, tl_error *err) {
  if (!strcmp(name, "quotes_1sec")) {
    *out = plain_dataset(TL_QUOTES_1S, "quotes_1sec", "quotes");
    return TL_OK;
  }
  if (!strncmp(name, "equities_", 9)) {
    tl_interval interval;
    tl_status st = tl_interval_parse(name + 9, &interval, err);
    if (!st) *out = tl_dataset_bars(interval);
    return st;
  }
  tl_job_kind job;
  tl_status st = tl_job_kind_parse(name, NULL, &job, err);
  if (!st) *out = job.dataset;
  return st;
}

tl_status tl_dataset_of_name(const char *name, tl_dataset *out, tl_error *err) {
  if (!strcmp(name, "quotes")) {
    *out = plain_dataset(TL_QUOTES, "quotes", "raw_quotes");
    return TL_OK;
  }
  return tl_dataset_parse(name, out, err);
}
