/* questions.c - what is read: coverage, what is not covered, estimates, series, files, runs.
 * Every answer is copied out before the call returns, so no reader ever holds up a writer for longer than its own
 * search. What comes out of the file is checked: a unit that makes no sense is TL_ECORRUPT, never a wrong answer. */
#include <string.h>

#include "base/alloc.h"
#include "ledger/db.h"
#include "ledger/text.h"
#include "market/calendar.h"

static tl_status damaged(const tl_ledger *ledger, const char *what, tl_error *err) {
  return tl_fail(err, TL_ECORRUPT,
                 "ledger '%s' is damaged (%s): 'ticklake audit --repair' makes it anew from the lake's files",
                 ledger->path, what);
}

/* ---- coverage ---- */

typedef struct coverage_walk {
  const tl_ledger *ledger;
  tl_range within;
  bool whole;    /* all that is known was asked for: no missing segments */
  int64_t at_ns; /* end of the last unit */
  tl_segments *out;
} coverage_walk;

static tl_status push_missing(coverage_walk *walk, int64_t until_ns, tl_error *err) {
  tl_segment missing = {.range = {walk->at_ns, until_ns}, .state = TL_COVER_MISSING, .answer = ""};
  return walk->whole ? TL_OK : tl_segments_push(walk->out, &missing, true, err);
}

static tl_status push_unit(sqlite3_stmt *row, void *context, tl_error *err) {
  coverage_walk *walk = context;
  tl_segments *out = walk->out;
  tl_range range = {sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1)};
  int64_t state = sqlite3_column_int64(row, 2), rows = sqlite3_column_int64(row, 3);
  tl_segment segment = {.range = tl_range_clip(range, walk->within), .state = (tl_coverage)state};
  if (state < TL_COVER_PRESENT || state > TL_COVER_FAILED)
    return damaged(walk->ledger, "a unit of unknown state", err);
  if (tl_range_empty(segment.range) || segment.range.start_ns < walk->at_ns)
    return damaged(walk->ledger, "units overlap", err);
  bool clipped = segment.range.start_ns != range.start_ns || segment.range.end_ns != range.end_ns;
  segment.rows = rows == 0 ? 0 : rows < 0 || clipped ? -1 : rows;
  const char *before = out->count ? out->items[out->count - 1].answer : NULL;
  tl_status st = tl_ledger_text_add(&out->text, tl_db_text(row, 4), before, &segment.answer, err);
  if (!st) st = push_missing(walk, segment.range.start_ns, err);
  if (!st) st = tl_segments_push(out, &segment, true, err);
  walk->at_ns = segment.range.end_ns;
  return st;
}

static tl_status read_coverage(tl_ledger *ledger, const char *dataset, const char *symbol, tl_range range,
                               tl_segments *out, tl_error *err) {
  static const char find[] = "SELECT start_ns, end_ns, state, rows, answer" TL_UNITS_OVERLAPPING " ORDER BY start_ns";
  bool whole = tl_range_empty(range);
  tl_range within = whole ? (tl_range){INT64_MIN, INT64_MAX} : range;
  coverage_walk walk = {ledger, within, whole, within.start_ns, out};
  int64_t dataset_id = 0, symbol_id = 0;
  tl_status st = tl_db_id(ledger, false, dataset, false, &dataset_id, err);
  if (!st) st = tl_db_id(ledger, true, symbol, false, &symbol_id, err);
  if (!st)
    st = tl_db_each(ledger, push_unit, &walk, err, find, "iiii", dataset_id, symbol_id, within.start_ns,
                    within.end_ns);
  return st ? st : push_missing(&walk, within.end_ns, err);
}

tl_status tl_ledger_coverage(tl_ledger *ledger, const char *dataset, const char *symbol, tl_range range,
                             tl_segments *out, tl_error *err) {
  *out = (tl_segments){0};
  tl_db_enter(ledger);
  tl_status st = tl_db_begin_read(ledger, err);
  if (!st) st = tl_db_end(ledger, read_coverage(ledger, dataset, symbol, range, out, err), err);
  tl_db_leave(ledger);
  if (st) tl_segments_deinit(out);
  return st;
}

/* ---- what is not covered ---- */

static tl_status add_covered(sqlite3_stmt *row, void *context, tl_error *err) {
  return tl_ranges_add(context, (tl_range){sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1)}, err);
}

static tl_status read_uncovered(tl_ledger *ledger, int64_t dataset_id, const char *symbol, tl_range range,
                                tl_ranges *covered, tl_ranges *out, tl_error *err) {
  static const char find[] = "SELECT start_ns, end_ns" TL_UNITS_OVERLAPPING " AND state IN (1, 2) ORDER BY start_ns";
  int64_t symbol_id = 0;
  tl_ranges whole = {0};
  covered->count = 0;
  tl_status st = tl_db_id(ledger, true, symbol, false, &symbol_id, err);
  if (!st)
    st = tl_db_each(ledger, add_covered, covered, err, find, "iiii", dataset_id, symbol_id, range.start_ns,
                    range.end_ns);
  if (!st) st = tl_ranges_add(&whole, range, err);
  if (!st) st = tl_ranges_subtract(&whole, covered, out, err);
  tl_ranges_deinit(&whole);
  return st;
}

tl_status tl_ledger_uncovered(tl_ledger *ledger, const char *dataset, const char *const *symbols, size_t count,
                              tl_range range, tl_ranges *out, tl_error *err) {
  tl_ranges covered = {0};
  int64_t dataset_id = 0;
  tl_db_enter(ledger);
  tl_status st = tl_db_begin_read(ledger, err);
  if (!st) {
    st = tl_db_id(ledger, false, dataset, false, &dataset_id, err);
    for (size_t i = 0; !st && i < count; i++)
      st = read_uncovered(ledger, dataset_id, symbols[i], range, &covered, &out[i], err);
    st = tl_db_end(ledger, st, err);
  }
  tl_db_leave(ledger);
  tl_ranges_deinit(&covered);
  for (size_t i = 0; st && i < count; i++) tl_ranges_deinit(&out[i]);
  return st;
}

/* ---- estimates ---- */

static const double full_session_ns = 16.0 * 3600e9;

typedef struct sample {
  double rows, session_ns;
} sample;

static tl_status add_sample(sqlite3_stmt *row, void *context, tl_error *err) {
  (void)err;
  sample *sum = context;
  tl_range unit = {sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1)};
  sum->rows += (double)sqlite3_column_int64(row, 2);
  sum->session_ns += (double)tl_calendar_session_ns(unit, TL_SESSION_EXTENDED);
  return TL_OK;
}

static tl_status read_estimate(tl_ledger *ledger, int64_t dataset_id, const char *symbol, double *out,
                               tl_error *err) {
  static const char find[] = "SELECT start_ns, end_ns, wire_rows FROM unit WHERE dataset = ?1 AND symbol = ?2"
                             " AND wire_rows >= 0 AND pages > 0 AND state < 4 ORDER BY start_ns DESC LIMIT 32";
  int64_t symbol_id = 0;
  sample sum = {0};
  tl_status st = tl_db_id(ledger, true, symbol, false, &symbol_id, err);
  if (!st) st = tl_db_each(ledger, add_sample, &sum, err, find, "ii", dataset_id, symbol_id);
  *out = st || sum.session_ns <= 0 ? 0 : sum.rows * full_session_ns / sum.session_ns;
  return st;
}

tl_status tl_ledger_estimates(tl_ledger *ledger, const char *dataset, const char *const *symbols, size_t count,
                              double *rows_per_session, double *bytes_per_row, tl_error *err) {
  static const char mean[] = "SELECT CAST(1000.0 * sum(bytes) / sum(wire_rows) AS INTEGER) FROM (SELECT bytes,"
                             " wire_rows FROM unit WHERE dataset = ?1 AND wire_rows > 0 AND bytes > 0 LIMIT 1000)";
  int64_t dataset_id = 0, millibytes = 0;
  tl_db_enter(ledger);
  tl_status st = tl_db_begin_read(ledger, err);
  if (!st) {
    st = tl_db_id(ledger, false, dataset, false, &dataset_id, err);
    for (size_t i = 0; !st && i < count; i++)
      st = read_estimate(ledger, dataset_id, symbols[i], &rows_per_session[i], err);
    if (!st) st = tl_db_number(ledger, 0, &millibytes, err, mean, "i", dataset_id);
    st = tl_db_end(ledger, st, err);
  }
  tl_db_leave(ledger);
  *bytes_per_row = (double)millibytes / 1000;
  return st;
}

/* ---- series and files ---- */

static tl_status add_series(sqlite3_stmt *row, void *context, tl_error *err) {
  tl_ledger_series_list *out = context;
  tl_status st = TL_DB_GROW(out, err);
  if (st) return st;
  const char *before = out->count ? out->items[out->count - 1].dataset : NULL;
  tl_ledger_series *series = &out->items[out->count++];
  *series = (tl_ledger_series){
      .asked = {sqlite3_column_int64(row, 2), sqlite3_column_int64(row, 3)},
      .rows = sqlite3_column_int64(row, 4),
      .bytes = sqlite3_column_int64(row, 5),
      .files = sqlite3_column_int64(row, 6),
      .time_min_ns = sqlite3_column_int64(row, 7),
      .time_max_ns = sqlite3_column_int64(row, 8),
  };
  if (sqlite3_column_type(row, 7) == SQLITE_NULL) series->time_min_ns = INT64_MAX, series->time_max_ns = INT64_MIN;
  st = tl_ledger_text_add(&out->text, tl_db_text(row, 0), before, &series->dataset, err);
  return st ? st : tl_ledger_text_add(&out->text, tl_db_text(row, 1), NULL, &series->symbol, err);
}

tl_status tl_ledger_series_of(tl_ledger *ledger, const char *dataset, const char *symbol, tl_ledger_series_list *out,
                              tl_error *err) {
  static const char find[] =
      "SELECT d.name, s.name,"
      " (SELECT start_ns FROM unit WHERE dataset = d.id AND symbol = s.id ORDER BY start_ns LIMIT 1) AS first,"
      " (SELECT end_ns FROM unit WHERE dataset = d.id AND symbol = s.id ORDER BY start_ns DESC LIMIT 1),"
      " f.rows, f.bytes, f.files, f.time_min, f.time_max FROM dataset d JOIN symbol s LEFT JOIN"
      " (SELECT dataset, symbol, sum(rows) AS rows, sum(bytes) AS bytes, count(*) AS files,"
      "  min(iif(rows > 0, time_min_ns, NULL)) AS time_min, max(iif(rows > 0, time_max_ns, NULL)) AS time_max"
      "  FROM file GROUP BY dataset, symbol) f" /* a file whose rows were all taken back has no times */
      " ON f.dataset = d.id AND f.symbol = s.id"
      " WHERE (?1 IS NULL OR d.name = ?1) AND (?2 IS NULL OR s.name = ?2)"
      " AND (first IS NOT NULL OR f.files IS NOT NULL) ORDER BY d.name, s.name";
  *out = (tl_ledger_series_list){0};
  tl_db_enter(ledger);
  tl_status st = tl_db_fresh(ledger, err);
  if (!st) st = tl_db_each(ledger, add_series, out, err, find, "tt", dataset, symbol);
  tl_db_leave(ledger);
  if (st) tl_ledger_series_deinit(out);
  return st;
}

void tl_ledger_series_deinit(tl_ledger_series_list *list) {
  tl_free(list->items);
  tl_ledger_text_deinit(&list->text);
  *list = (tl_ledger_series_list){0};
}

static tl_status add_file(sqlite3_stmt *row, void *context, tl_error *err) {
  tl_ledger_file_list *out = context;
  tl_status st = TL_DB_GROW(out, err);
  if (st) return st;
  const tl_ledger_file *last = out->count ? &out->items[out->count - 1] : NULL;
  tl_ledger_file *file = &out->items[out->count++];
  *file = (tl_ledger_file){.rows = sqlite3_column_int64(row, 3),
                           .bytes = sqlite3_column_int64(row, 4),
                           .time_min_ns = sqlite3_column_int64(row, 6),
                           .time_max_ns = sqlite3_column_int64(row, 7)};
  st = tl_ledger_text_add(&out->text, tl_db_text(row, 0), NULL, &file->path, err);
  if (!st) st = tl_ledger_text_add(&out->text, tl_db_text(row, 1), last ? last->dataset : NULL, &file->dataset, err);
  if (!st) st = tl_ledger_text_add(&out->text, tl_db_text(row, 2), last ? last->symbol : NULL, &file->symbol, err);
  return st ? st : tl_ledger_text_add(&out->text, tl_db_text(row, 5), NULL, &file->checksum, err);
}

tl_status tl_ledger_files(tl_ledger *ledger, const char *dataset, const char *symbol, tl_ledger_file_list *out,
                          tl_error *err) {
  static const char find[] =
      "SELECT f.path, d.name, s.name, f.rows, f.bytes, f.checksum, f.time_min_ns, f.time_max_ns FROM file f"
      " JOIN dataset d ON d.id = f.dataset JOIN symbol s ON s.id = f.symbol"
      " WHERE (?1 IS NULL OR d.name = ?1) AND (?2 IS NULL OR s.name = ?2) ORDER BY f.path";
  *out = (tl_ledger_file_list){0};
  tl_db_enter(ledger);
  tl_status st = tl_db_fresh(ledger, err);
  if (!st) st = tl_db_each(ledger, add_file, out, err, find, "tt", dataset, symbol);
  tl_db_leave(ledger);
  if (st) tl_ledger_files_deinit(out);
  return st;
}

void tl_ledger_files_deinit(tl_ledger_file_list *list) {
  tl_free(list->items);
  tl_ledger_text_deinit(&list->text);
  *list = (tl_ledger_file_list){0};
}
