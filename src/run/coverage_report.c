/* coverage_report.c - coverage and gaps of a lake, series by series. */
#include <string.h>

#include "base/clock.h"
#include "ledger/ledger.h"
#include "market/dataset.h"
#include "run/job.h"
#include "serve/serve.h"
#include "serve/sources.h"

typedef struct report {
  tl_run_lake *lake;
  tl_engine *engine; /* opened when rows have to be counted, and then */
  tl_layout layout;  /* asked for, which opens the ledger once more */
  tl_sources *sources;
  tl_coverage_fn each;
  void *user;
  const tl_ledger_series *series;
  bool stopped;
} report;

static void give(report *r, const tl_segments *segments) {
  for (size_t i = 0; i < segments->count && !r->stopped; i++) {
    const tl_segment *s = &segments->items[i];
    tl_coverage_row row = {.size = sizeof row,
                           .kind = r->series->dataset,
                           .symbol = r->series->symbol,
                           .start_ns = s->range.start_ns,
                           .end_ns = s->range.end_ns,
                           .state = tl_coverage_name(s->state),
                           .rows = s->rows,
                           .reason = s->state == TL_COVER_FAILED ? s->answer : ""};
    r->stopped = r->each(r->user, &row) != 0;
  }
}

static bool whole_days(const char *dataset) {
  tl_dataset parsed;
  return tl_dataset_parse(dataset, &parsed, NULL) == TL_OK && parsed.kind == TL_BARS && !tl_interval_below_day(parsed.interval);
}

/* Rows of a stretch whose count a later answer made unknown: from the files. A half-open stretch of instants. */
static tl_status count_rows(report *r, const tl_dataset *dataset, tl_range range, int64_t *rows, tl_error *err) {
  static const char *const columns[] = {"timestamp"};
  tl_status st = r->engine ? TL_OK : tl_run_layout(r->lake, &r->layout, err);
  tl_read read = {.lake = r->lake->store, .layout = r->layout, .dataset = *dataset, .symbols = &r->series->symbol, .symbol_count = 1,
                  .range = range, .columns = columns, .column_count = 1, .limit = -1};
  struct ArrowArrayStream stream;
  if (!st && !r->engine) st = tl_run_open_engine(r->lake, r->layout, &r->engine, &r->sources, err);
  read.sources = r->sources;
  if (!st) st = tl_read_open(r->engine, &read, &stream, NULL, err);
  if (st) return st;
  *rows = 0;
  for (bool more = true; more && !st;) {
    struct ArrowArray part;
    if (stream.get_next(&stream, &part) != 0) {
      const char *why = stream.get_last_error(&stream);
      st = tl_fail(err, TL_ESQL, "cannot count rows of '%s': %s", r->series->symbol, why ? why : "no reason was given");
      break;
    }
    more = part.release != NULL;
    if (more) {
      *rows += part.length;
      part.release(&part);
    }
  }
  stream.release(&stream);
  return st;
}

static tl_status count_unknown(report *r, tl_segments *segments, tl_error *err) {
  tl_dataset dataset;
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < segments->count; i++) {
    if (segments->items[i].rows >= 0) continue;
    st = tl_dataset_of_name(r->series->dataset, &dataset, err);
    if (!st) st = count_rows(r, &dataset, segments->items[i].range, &segments->items[i].rows, err);
  }
  return st;
}

static tl_status report_series(tl_ledger *ledger, report *r, bool gaps, tl_error *err) {
  tl_segments segments = {0}, open = {0};
  tl_range range = gaps ? r->series->asked : (tl_range){0};
  tl_status st = tl_ledger_coverage(ledger, r->series->dataset, r->series->symbol, range, &segments, err);
  if (!st && !gaps) st = count_unknown(r, &segments, err);
  if (!st && gaps) st = tl_segments_gaps(&segments, whole_days(r->series->dataset), tl_clock_now_ns(), &open, err);
  if (!st) give(r, gaps ? &open : &segments);
  tl_segments_deinit(&open); /* borrows the answers of segments */
  tl_segments_deinit(&segments);
  return st;
}

tl_status tl_run_coverage(tl_run_lake *lake, bool gaps, const char *kind, const char *symbols, tl_coverage_fn each,
                          void *user, tl_error *err) {
  tl_ledger *ledger = NULL;
  tl_ledger_series_list list = {0};
  tl_symbols only = {0};
  tl_dataset dataset;
  report r = {.lake = lake, .each = each, .user = user};
  tl_status st = kind ? tl_dataset_parse(kind, &dataset, err) : TL_OK;
  if (!st && symbols) st = tl_run_symbols_parse(lake, symbols, &only, err);
  if (!st) st = tl_run_ledger(lake, &ledger, err);
  if (!st) st = tl_ledger_series_of(ledger, kind ? dataset.name : NULL, NULL, &list, err);
  for (size_t i = 0; !st && i < list.count && !r.stopped; i++) {
    r.series = &list.items[i];
    if (only.count && !tl_symbols_find(&only, r.series->symbol, strlen(r.series->symbol), NULL)) continue;
    if (tl_range_empty(r.series->asked)) continue;
    st = report_series(ledger, &r, gaps, err);
  }
  tl_sources_close(r.sources);
  tl_engine_close(r.engine);
  tl_ledger_series_deinit(&list);
  tl_ledger_close(ledger);
  tl_symbols_deinit(&only);
  return st;
}
