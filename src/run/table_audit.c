/* table_audit.c - see table_audit.h. The log is the truth of files, the ledger of what was asked: rows the ledger does not
 * know are not wrong, they are asked for again and merge. */
#include "run/table_audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/link.h"
#include "table/dataset_table.h"

typedef struct stretch { /* one segment of coverage and what the table holds of it */
  const char *symbol;
  tl_range range;
  tl_coverage state;
  int64_t known, found;
} stretch;

typedef struct auditor {
  const tl_table_audit *audit;
  const tl_dataset *dataset;
  tl_relation *relation;
  tl_link *link;
  tl_ledger_series_list series; /* owns the symbols */
  stretch *stretches;
  size_t count, capacity;
  bool sound, stopped, wrong; /* wrong: this table */
} auditor;

enum { STRETCHES_A_STATEMENT = 500 };

static void give(auditor *a, const char *path, const char *verdict, const char *detail, bool ok) {
  tl_audit_row row = {sizeof row, path, verdict, detail, ok};
  if (!ok) a->wrong = true;
  if (!ok) a->sound = false;
  if (!a->stopped) a->stopped = a->audit->each(a->audit->user, &row) != 0;
}

static void problem(void *to, const char *path, const char *text) {
  auditor *a = to;
  tl_buf full = {0};
  bool named = path && *path && tl_buf_appendf(&full, NULL, "%s/%s", a->dataset->name, path) == TL_OK;
  give(a, named ? full.data : a->dataset->name, "unreadable", text, false);
  tl_buf_deinit(&full);
}

/* ---- what the ledger knows ---- */

static tl_status add_stretch(auditor *a, const char *symbol, const tl_segment *s, tl_error *err) {
  if (a->count == a->capacity) {
    size_t more = a->capacity ? a->capacity * 2 : 64;
    stretch *grown = tl_realloc_array(a->stretches, more, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot check %zu stretches of time", more);
    a->stretches = grown;
    a->capacity = more;
  }
  a->stretches[a->count++] = (stretch){symbol, s->range, s->state, s->rows, 0};
  return TL_OK;
}

static tl_status list_stretches(auditor *a, tl_error *err) {
  const tl_symbols *only = a->audit->only;
  tl_status st = tl_ledger_series_of(a->audit->ledger, a->dataset->name, NULL, &a->series, err);
  for (size_t i = 0; !st && i < a->series.count; i++) {
    const char *symbol = a->series.items[i].symbol;
    tl_segments segments = {0};
    if (only->count && !tl_symbols_find(only, symbol, strlen(symbol), NULL)) continue;
    st = tl_ledger_coverage(a->audit->ledger, a->dataset->name, symbol, (tl_range){0}, &segments, err);
    for (size_t s = 0; !st && s < segments.count; s++) {
      tl_coverage state = segments.items[s].state;
      if (state == TL_COVER_PRESENT || state == TL_COVER_EMPTY || state == TL_COVER_PARTIAL) st = add_stretch(a, symbol, &segments.items[s], err);
    }
    tl_segments_deinit(&segments);
  }
  return st;
}

/* ---- what the table holds ---- */

static tl_status put_stretches(auditor *a, tl_error *err) {
  tl_buf sql = {0};
  tl_status st = tl_link_run(a->link, "CREATE OR REPLACE TEMP TABLE stretch (i BIGINT, y VARCHAR, s BIGINT, e BIGINT)", err);
  for (size_t i = 0; !st && i < a->count;) {
    size_t end = i + STRETCHES_A_STATEMENT < a->count ? i + STRETCHES_A_STATEMENT : a->count;
    tl_buf_clear(&sql);
    st = tl_buf_appends(&sql, "INSERT INTO stretch VALUES ", err);
    for (const char *comma = ""; !st && i < end; i++, comma = ", ") {
      st = tl_buf_appendf(&sql, err, "%s(%zu, ", comma, i);
      if (!st) st = tl_sql_quote(&sql, a->stretches[i].symbol, strlen(a->stretches[i].symbol), err);
      if (!st) st = tl_buf_appendf(&sql, err, ", %" PRId64 ", %" PRId64 ")", a->stretches[i].range.start_ns, a->stretches[i].range.end_ns);
    }
    if (!st) st = tl_link_run(a->link, sql.data, err);
  }
  tl_buf_deinit(&sql);
  return st;
}

static int64_t number_of(const tl_cell *cell) {
  char text[24] = "-1";
  if (cell->text && cell->len < sizeof text) snprintf(text, sizeof text, "%.*s", (int)cell->len, cell->text);
  return strtoll(text, NULL, 10);
}

static tl_status take_count(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  auditor *a = to;
  int64_t i = count == 2 ? number_of(&cells[0]) : -1;
  if (i < 0 || (size_t)i >= a->count) return tl_fail(err, TL_ECORRUPT, "cannot count the rows of '%s'", a->dataset->name);
  a->stretches[i].found = number_of(&cells[1]);
  return TL_OK;
}

/* Stretches of a symbol are disjoint: the last that begins at or before a row is the only one that can hold it. */
static tl_status count_rows(auditor *a, tl_error *err) {
  bool has_ns = tl_kind_def_of(a->dataset->kind)->has_ns;
  tl_buf sql = {0};
  tl_status st = tl_buf_appendf(&sql, err, "SELECT CAST(i AS VARCHAR), CAST(count(*) AS VARCHAR) FROM (SELECT symbol, %s AS t FROM (",
                                has_ns ? TL_NS_COLUMN : "epoch_us(timestamp) * 1000");
  if (!st) st = tl_relation_sql(a->relation, NULL, NULL, &sql, err);
  if (!st) st = tl_buf_appends(&sql, ")) x ASOF JOIN stretch ON x.symbol = stretch.y AND x.t >= stretch.s WHERE x.t < stretch.e GROUP BY i", err);
  if (!st) st = put_stretches(a, err);
  if (!st) st = tl_link_rows(a->link, sql.data, take_count, a, err);
  tl_buf_deinit(&sql);
  return st;
}

static tl_status check_keys(auditor *a, tl_error *err) {
  int64_t twice = 0;
  if (tl_kind_def_of(a->dataset->kind)->has_ns) return TL_OK;
  tl_buf sql = {0};
  tl_status st = tl_buf_appends(&sql, "SELECT count(*) FROM (SELECT 1 FROM (", err);
  if (!st) st = tl_relation_sql(a->relation, NULL, NULL, &sql, err);
  if (!st) st = tl_buf_appends(&sql, ") GROUP BY symbol, timestamp HAVING count(*) > 1)", err);
  if (!st) st = tl_link_numbers(a->link, sql.data, &twice, 1, err);
  char detail[80];
  snprintf(detail, sizeof detail, "%" PRId64 " keys (symbol, timestamp) occur more than once", twice);
  if (!st && twice) give(a, a->dataset->name, "changed", detail, false);
  tl_buf_deinit(&sql);
  return st;
}

/* ---- the two against each other ---- */

static tl_status forget(auditor *a, const stretch *s, tl_error *err) {
  tl_ledger_unit unit = {.dataset = a->dataset->name, .symbol = s->symbol, .range = s->range, .state = TL_COVER_MISSING};
  return tl_ledger_commit(a->audit->ledger, &(tl_ledger_group){.units = &unit, .unit_count = 1}, err);
}

static tl_status compare(auditor *a, const stretch *s, tl_error *err) {
  char start[TL_TIME_TEXT_MAX], end[TL_TIME_TEXT_MAX], detail[240];
  bool lost = s->found < s->known;
  tl_status st = TL_OK;
  if (s->known < 0 && a->audit->repair && s->state == TL_COVER_PRESENT)
    return tl_ledger_recount(a->audit->ledger, a->dataset->name, s->symbol, s->range, s->found, err);
  if (s->known < 0 || s->known == s->found) return TL_OK;
  if (a->audit->repair && lost) st = forget(a, s, err);
  else if (a->audit->repair) st = tl_ledger_recount(a->audit->ledger, a->dataset->name, s->symbol, s->range, s->found, err);
  tl_time_format(s->range.start_ns, -1, start);
  tl_time_format(s->range.end_ns, -1, end);
  snprintf(detail, sizeof detail, "%.40s from %s to %s: %" PRId64 " rows, the ledger says %" PRId64 "%s", s->symbol, start, end, s->found, s->known,
           !a->audit->repair ? "" : lost ? "; it will be asked for again" : "; counted again");
  if (!st) give(a, a->dataset->name, a->audit->repair ? "repaired" : "changed", detail, a->audit->repair);
  return st;
}

static tl_status audit_table(auditor *a, tl_error *err) {
  tl_verified verified = {0};
  tl_relation_options options = {.settings = a->audit->lake->settings, .engine = a->audit->engine,
                                  .read_only = !a->audit->repair}; /* opened for writing, two faces are brought level */
  tl_error why = {0};
  tl_status st = tl_dataset_table_open(a->audit->lake->path, a->dataset, &options, &a->relation, &why);
  if (st == TL_ECORRUPT) give(a, a->dataset->name, "unreadable", why.message, false);
  if (st == TL_ECORRUPT) return TL_OK;
  if (st == TL_ENOTFOUND) st = TL_OK; /* the ledger may know rows of it all the same */
  if (st && err) *err = why;
  if (!st && a->relation) st = tl_relation_verify(a->relation, problem, a, &verified, err);
  if (st || a->wrong) return st; /* files that cannot be read cannot be counted */
  st = tl_link_open(a->audit->engine, &a->link, err);
  if (!st) st = list_stretches(a, err);
  if (!st && a->relation) st = check_keys(a, err);
  if (!st && a->relation) st = count_rows(a, err);
  for (size_t i = 0; !st && i < a->count && !a->stopped; i++) st = compare(a, &a->stretches[i], err);
  if (st || a->wrong || !a->relation) return st;
  char detail[160];
  snprintf(detail, sizeof detail, "%" PRId64 " rows in %" PRId64 " files, %s version %" PRId64, verified.rows, verified.files,
           tl_relation_faces(a->relation), tl_relation_snapshot(a->relation)->version);
  give(a, a->dataset->name, "sound", detail, true);
  return TL_OK;
}

static tl_status audit_one(const tl_table_audit *audit, const tl_dataset *dataset, bool *sound, bool *stopped, tl_error *err) {
  auditor a = {.audit = audit, .dataset = dataset, .sound = true};
  tl_status st = audit_table(&a, err);
  *sound = *sound && a.sound;
  *stopped = a.stopped;
  tl_link_close(a.link);
  tl_relation_close(a.relation);
  tl_ledger_series_deinit(&a.series);
  tl_free(a.stretches);
  return st;
}

/* Datasets that have a table or of which the ledger knows rows. */
static tl_status list_datasets(const tl_table_audit *audit, tl_table_datasets *out, tl_error *err) {
  tl_ledger_series_list series = {0};
  tl_status st = tl_dataset_tables_list(audit->lake->path, audit->lake->settings, out, NULL, err);
  if (!st) st = tl_ledger_series_of(audit->ledger, NULL, NULL, &series, err);
  for (size_t i = 0; !st && i < series.count; i++) {
    bool there = false;
    for (size_t d = 0; !there && d < out->count; d++) there = !strcmp(out->items[d].name, series.items[i].dataset);
    tl_dataset dataset;
    if (!there && !(st = tl_dataset_of_name(series.items[i].dataset, &dataset, err))) st = tl_table_datasets_add(out, &dataset, err);
  }
  tl_ledger_series_deinit(&series);
  return st;
}

tl_status tl_run_audit_tables(const tl_table_audit *audit, bool *sound, tl_error *err) {
  bool stopped = false;
  *sound = true;
  if (audit->dataset) return audit_one(audit, audit->dataset, sound, &stopped, err);
  tl_table_datasets all = {0};
  tl_status st = list_datasets(audit, &all, err);
  for (size_t i = 0; !st && i < all.count && !stopped; i++) st = audit_one(audit, &all.items[i], sound, &stopped, err);
  tl_table_datasets_deinit(&all);
  return st;
}

tl_status tl_run_tables_detect(tl_run_lake *lake, tl_layout *out) {
  tl_table_datasets all = {0};
  tl_status st = tl_dataset_tables_list(lake->path, lake->settings, &all, out, NULL);
  if (!st && !all.count) st = TL_ENOTFOUND;
  tl_table_datasets_deinit(&all);
  return st;
}
