/* units.c - what is written: statements about units, files, and the facts of the lake.
 *
 * A statement about [s, e) keeps the units of its (dataset, symbol) disjoint:
 *     before   |---- a ----|---- b ----|        a is cut at s, b at e; what they lose is replaced
 *     stated          [s ------- e)
 *     after    |- a --|---- new ----|b-|        rows of the pieces are no longer known (-1), unless they were 0
 * A failure is stated only where nothing was committed, so it is first cut into the pieces that are free. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "ledger/db.h"

/* ---- names ---- */

tl_status tl_db_id(tl_ledger *ledger, bool is_symbol, const char *name, bool add, int64_t *out, tl_error *err) {
  const char *find = is_symbol ? "SELECT id FROM symbol WHERE name = ?1" : "SELECT id FROM dataset WHERE name = ?1";
  tl_status st = tl_db_number(ledger, 0, out, err, find, "t", name);
  if (st || *out || !add) return st;
  const char *insert = is_symbol ? "INSERT INTO symbol(name) VALUES(?1)" : "INSERT INTO dataset(name) VALUES(?1)";
  st = tl_db_run(ledger, err, insert, "t", name);
  *out = sqlite3_last_insert_rowid(ledger->db);
  return st;
}

typedef struct series { /* the ids of the last names: neighbours in a group are mostly of one */
  const char *dataset, *symbol;
  int64_t dataset_id, symbol_id;
} series;

static tl_status series_find(tl_ledger *ledger, series *s, const char *dataset, const char *symbol, tl_error *err) {
  tl_status st = TL_OK;
  if (!s->dataset || strcmp(s->dataset, dataset) != 0) {
    st = tl_db_id(ledger, false, dataset, true, &s->dataset_id, err);
    s->dataset = st ? NULL : dataset;
  }
  if (!st && (!s->symbol || strcmp(s->symbol, symbol) != 0)) {
    st = tl_db_id(ledger, true, symbol, true, &s->symbol_id, err);
    s->symbol = st ? NULL : symbol;
  }
  return st;
}

/* ---- statements ---- */

/* Frees [range) of the series: what spans its end begins there, what spans its start ends there, the rest goes. */
static tl_status cut_out(tl_ledger *ledger, const series *s, tl_range range, tl_error *err) {
  static const char keep_right[] =
      "INSERT INTO unit SELECT dataset, symbol, ?4, end_ns, state, CASE rows WHEN 0 THEN 0 ELSE -1 END, -1, -1, pages,"
      " rejected, asked_ns, run, hash, answer FROM unit WHERE dataset = ?1 AND symbol = ?2 AND end_ns > ?4"
      " AND start_ns = (SELECT max(start_ns) FROM unit WHERE dataset = ?1 AND symbol = ?2 AND start_ns < ?4)"
      " AND ?3 < ?4";
  static const char keep_left[] =
      "UPDATE unit SET end_ns = ?3, rows = CASE rows WHEN 0 THEN 0 ELSE -1 END, wire_rows = -1, bytes = -1"
      " WHERE dataset = ?1 AND symbol = ?2 AND end_ns > ?3"
      " AND start_ns = (SELECT max(start_ns) FROM unit WHERE dataset = ?1 AND symbol = ?2 AND start_ns < ?3)";
  static const char drop[] =
      "DELETE FROM unit WHERE dataset = ?1 AND symbol = ?2 AND start_ns >= ?3 AND start_ns < ?4";
  tl_status st = tl_db_run(ledger, err, keep_right, "iiii", s->dataset_id, s->symbol_id, range.start_ns, range.end_ns);
  if (!st) st = tl_db_run(ledger, err, keep_left, "iii", s->dataset_id, s->symbol_id, range.start_ns);
  if (!st) st = tl_db_run(ledger, err, drop, "iiii", s->dataset_id, s->symbol_id, range.start_ns, range.end_ns);
  return st;
}

static tl_status put(tl_ledger *ledger, const series *s, const tl_ledger_unit *unit, tl_range range, int64_t run,
                     tl_error *err) {
  static const char insert[] = "INSERT INTO unit(dataset, symbol, start_ns, end_ns, state, rows, wire_rows, bytes,"
                               " pages, rejected, asked_ns, run, hash, answer)"
                               " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
  tl_status st = cut_out(ledger, s, range, err);
  if (st || unit->state == TL_COVER_MISSING) return st;
  return tl_db_run(ledger, err, insert, "iiiiiiiiiiiitt", s->dataset_id, s->symbol_id, range.start_ns, range.end_ns,
                   (int64_t)unit->state, unit->rows, unit->wire_rows, unit->bytes, unit->pages, unit->rejected,
                   unit->asked_ns, run, unit->hash ? unit->hash : "", unit->answer ? unit->answer : "");
}

static tl_status add_range(sqlite3_stmt *row, void *context, tl_error *err) {
  return tl_ranges_add(context, (tl_range){sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1)}, err);
}

/* The parts of the range that no commit holds. */
static tl_status find_free(tl_ledger *ledger, const series *s, tl_range range, tl_ranges *out, tl_error *err) {
  static const char held[] = "SELECT start_ns, end_ns" TL_UNITS_OVERLAPPING " AND state <> 4 ORDER BY start_ns";
  tl_ranges whole = {0}, taken = {0};
  tl_status st = tl_ranges_add(&whole, range, err);
  if (!st)
    st = tl_db_each(ledger, add_range, &taken, err, held, "iiii", s->dataset_id, s->symbol_id, range.start_ns,
                    range.end_ns);
  if (!st) st = tl_ranges_subtract(&whole, &taken, out, err);
  tl_ranges_deinit(&whole);
  tl_ranges_deinit(&taken);
  return st;
}

static tl_status state_unit(tl_ledger *ledger, series *s, const tl_ledger_unit *unit, int64_t run, tl_error *err) {
  if (tl_range_empty(unit->range))
    return tl_fail(err, TL_EINTERNAL, "unit of '%s' in '%s' has an empty range", unit->symbol, unit->dataset);
  tl_status st = series_find(ledger, s, unit->dataset, unit->symbol, err);
  if (st) return st;
  if (unit->state != TL_COVER_FAILED) return put(ledger, s, unit, unit->range, run, err);
  tl_ranges pieces = {0};
  st = find_free(ledger, s, unit->range, &pieces, err);
  for (size_t i = 0; !st && i < pieces.count; i++) st = put(ledger, s, unit, pieces.items[i], run, err);
  tl_ranges_deinit(&pieces);
  return st;
}

/* ---- groups ---- */

static tl_status put_file(tl_ledger *ledger, series *s, const tl_ledger_file *file, tl_error *err) {
  static const char insert[] = "INSERT OR REPLACE INTO file(path, dataset, symbol, rows, bytes, time_min_ns,"
                               " time_max_ns, checksum) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
  tl_status st = series_find(ledger, s, file->dataset, file->symbol, err);
  if (st) return st;
  return tl_db_run(ledger, err, insert, "tiiiiiit", file->path, s->dataset_id, s->symbol_id, file->rows, file->bytes,
                   file->time_min_ns, file->time_max_ns, file->checksum);
}

static tl_status put_group(tl_ledger *ledger, const tl_ledger_group *group, tl_error *err) {
  static const char remove_file[] = "DELETE FROM file WHERE path = ?1";
  static const char count[] = "UPDATE run SET rows = rows + ?2, rejected = rejected + ?3, files = files + ?4,"
                              " requests = requests + ?5, retries = retries + ?6, bytes = bytes + ?7 WHERE id = ?1";
  series s = {0};
  tl_status st = TL_OK;
  const tl_ledger_counts *c = &group->counts;
  for (size_t i = 0; !st && i < group->removed_count; i++)
    st = tl_db_run(ledger, err, remove_file, "t", group->removed[i]);
  for (size_t i = 0; !st && i < group->file_count; i++) st = put_file(ledger, &s, &group->files[i], err);
  for (size_t i = 0; !st && i < group->unit_count; i++) st = state_unit(ledger, &s, &group->units[i], group->run, err);
  if (!st && group->run)
    st = tl_db_run(ledger, err, count, "iiiiiii", group->run, c->rows, c->rejected, c->files, c->requests, c->retries,
                   c->bytes);
  return st;
}

static tl_status recount(tl_ledger *ledger, const tl_op *op, tl_error *err) {
  static const char clear[] = "UPDATE unit SET rows = 0 WHERE dataset = ?1 AND symbol = ?2 AND start_ns >= ?3"
                              " AND end_ns <= ?4 AND start_ns < ?4";
  static const char set[] =
      "UPDATE unit SET rows = ?5 WHERE dataset = ?1 AND symbol = ?2 AND end_ns <= ?4 AND start_ns ="
      " (SELECT min(start_ns) FROM unit WHERE dataset = ?1 AND symbol = ?2 AND start_ns >= ?3)";
  series s = {0};
  tl_range range = op->range;
  tl_status st = series_find(ledger, &s, op->dataset, op->symbol, err);
  if (!st) st = tl_db_run(ledger, err, clear, "iiii", s.dataset_id, s.symbol_id, range.start_ns, range.end_ns);
  if (!st)
    st = tl_db_run(ledger, err, set, "iiiii", s.dataset_id, s.symbol_id, range.start_ns, range.end_ns, op->rows);
  return st;
}

static tl_status write_op(tl_ledger *ledger, tl_op *op, tl_error *err) {
  tl_db_enter(ledger);
  tl_status st = tl_db_write(ledger, op, err);
  tl_db_leave(ledger);
  return st;
}

tl_status tl_ledger_commit(tl_ledger *ledger, const tl_ledger_group *group, tl_error *err) {
  return write_op(ledger, &(tl_op){.type = TL_OP_COMMIT, .group = group}, err);
}

tl_status tl_ledger_rebuild(tl_ledger *ledger, const tl_ledger_group *group, tl_error *err) {
  return write_op(ledger, &(tl_op){.type = TL_OP_REBUILD, .group = group}, err);
}

tl_status tl_ledger_recount(tl_ledger *ledger, const char *dataset, const char *symbol, tl_range range, int64_t rows,
                            tl_error *err) {
  tl_op op = {.type = TL_OP_RECOUNT, .dataset = dataset, .symbol = symbol, .range = range, .rows = rows};
  return write_op(ledger, &op, err);
}

/* ---- facts ---- */

/* The lake, or the dataset when id is not 0, holds nothing that a commit put there. */
static tl_status holds_nothing(tl_ledger *ledger, int64_t dataset_id, bool *out, tl_error *err) {
  static const char find[] = "SELECT EXISTS(SELECT 1 FROM file WHERE ?1 = 0 OR dataset = ?1) OR"
                             " EXISTS(SELECT 1 FROM unit WHERE (?1 = 0 OR dataset = ?1) AND state <> 4)";
  int64_t found = 1;
  tl_status st = tl_db_number(ledger, 1, &found, err, find, "i", dataset_id);
  *out = !st && !found;
  return st;
}

static tl_status copy_layout(sqlite3_stmt *row, void *context, tl_error *err) {
  (void)err;
  snprintf(context, 16, "%s", tl_db_text(row, 0));
  return TL_OK;
}

static tl_status read_layout(tl_ledger *ledger, char got[16], tl_error *err) {
  got[0] = 0;
  return tl_db_each(ledger, copy_layout, got, err, "SELECT value FROM fact WHERE name = 'layout'", "");
}

static tl_status fix_layout(tl_ledger *ledger, tl_op *op, tl_error *err) {
  static const char put_fact[] = "INSERT OR REPLACE INTO fact(name, value) VALUES('layout', ?1)";
  const char *want = op->text;
  char got[16];
  bool nothing = false;
  tl_status st = read_layout(ledger, got, err); /* again: another process may have been first */
  op->idle = !st && !strcmp(got, want);
  if (st || op->idle) return st;
  if (got[0] && (st = holds_nothing(ledger, 0, &nothing, err)) != TL_OK) return st;
  if (got[0] && !nothing)
    return tl_fail(err, TL_EUSAGE, "this lake has the layout '%s', not '%s': leave --layout out or use another lake",
                   got, want);
  return tl_db_run(ledger, err, put_fact, "t", want);
}

tl_status tl_ledger_layout(tl_ledger *ledger, const char *want, char got[16], tl_error *err) {
  got[0] = 0;
  tl_db_enter(ledger);
  tl_status st = tl_db_fresh(ledger, err);
  if (!st) st = read_layout(ledger, got, err);
  if (!st && *want && strcmp(got, want) != 0) {
    st = tl_db_write(ledger, &(tl_op){.type = TL_OP_LAYOUT, .text = want}, err);
    tl_status read = read_layout(ledger, got, st ? NULL : err);
    if (!st) st = read;
  }
  tl_db_leave(ledger);
  return st;
}

/* ---- sources ---- */

#define FIELD(name) {#name, offsetof(tl_ledger_source, name), sizeof(((tl_ledger_source *)0)->name)}
const tl_source_field tl_source_fields[TL_SOURCE_FIELDS] = {FIELD(provider), FIELD(feed),       FIELD(adjustment), FIELD(asof),
                                                            FIELD(currency), FIELD(built_from), FIELD(conditions)};

static const char *field_of(const tl_ledger_source *source, size_t i) {
  return (const char *)source + tl_source_fields[i].offset;
}

static bool sources_equal(const tl_ledger_source *a, const tl_ledger_source *b) {
  for (size_t i = 0; i < TL_SOURCE_FIELDS; i++)
    if (strcmp(field_of(a, i), field_of(b, i)) != 0) return false;
  return true;
}

/* "alpaca, feed sip, adjustment raw, from bars" */
static void describe(const tl_ledger_source *source, char *out, size_t size) {
  size_t used = 0;
  out[0] = 0;
  for (size_t i = 0; i < TL_SOURCE_FIELDS && used < size; i++) {
    if (!*field_of(source, i)) continue;
    const char *name = !strcmp(tl_source_fields[i].name, "built_from") ? "from" : tl_source_fields[i].name;
    int n = snprintf(out + used, size - used, "%s%s%s%s", used ? ", " : "", i ? name : "", i ? " " : "",
                     field_of(source, i));
    used += n > 0 ? (size_t)n : 0;
  }
}

typedef struct found_source {
  bool known;
  tl_ledger_source source;
} found_source;

static tl_status copy_source(sqlite3_stmt *row, void *context, tl_error *err) {
  found_source *found = context;
  (void)err;
  found->known = true;
  for (size_t i = 0; i < TL_SOURCE_FIELDS; i++)
    snprintf((char *)&found->source + tl_source_fields[i].offset, tl_source_fields[i].size, "%s", tl_db_text(row, (int)i));
  return TL_OK;
}

static tl_status read_source(tl_ledger *ledger, const char *dataset, found_source *found, tl_error *err) {
  static const char find[] = "SELECT provider, feed, adjustment, asof, currency, built_from, conditions FROM dataset"
                             " WHERE name = ?1 AND provider IS NOT NULL";
  *found = (found_source){0};
  return tl_db_each(ledger, copy_source, found, err, find, "t", dataset);
}

static tl_status fix_source(tl_ledger *ledger, tl_op *op, tl_error *err) {
  static const char set[] = "UPDATE dataset SET provider = ?2, feed = ?3, adjustment = ?4, asof = ?5, currency = ?6,"
                            " built_from = ?7, conditions = ?8 WHERE id = ?1";
  const tl_ledger_source *want = op->source;
  found_source found;
  bool nothing = true;
  int64_t id = 0;
  tl_status st = read_source(ledger, op->dataset, &found, err); /* again: another process may have been first */
  op->idle = !st && found.known && sources_equal(want, &found.source);
  if (st || op->idle) return st;
  if ((st = tl_db_id(ledger, false, op->dataset, true, &id, err)) != TL_OK) return st;
  if (found.known && (st = holds_nothing(ledger, id, &nothing, err)) != TL_OK) return st;
  if (!nothing) {
    char have[128], asked[128];
    describe(&found.source, have, sizeof have);
    describe(want, asked, sizeof asked);
    return tl_fail(err, TL_EUSAGE, "'%s' in this lake comes from %s; asked for is %s: use another lake for it",
                   op->dataset, have, asked);
  }
  return tl_db_run(ledger, err, set, "ittttttt", id, want->provider, want->feed, want->adjustment, want->asof,
                   want->currency, want->built_from, want->conditions);
}

tl_status tl_ledger_source_of(tl_ledger *ledger, const char *dataset, const tl_ledger_source *want,
                              tl_ledger_source *got, tl_error *err) {
  found_source found = {0};
  tl_db_enter(ledger);
  tl_status st = tl_db_fresh(ledger, err);
  if (!st) st = read_source(ledger, dataset, &found, err);
  if (!st && want && !(found.known && sources_equal(want, &found.source))) {
    st = tl_db_write(ledger, &(tl_op){.type = TL_OP_SOURCE, .dataset = dataset, .source = want}, err);
    tl_status read = read_source(ledger, dataset, &found, st ? NULL : err);
    if (!st) st = read;
  }
  tl_db_leave(ledger);
  if (got) *got = found.source;
  return st;
}

/* ---- all that writes ---- */

static tl_status reset(tl_ledger *ledger, tl_error *err) {
  static const char *const empty[] = {"DELETE FROM fact", "DELETE FROM unit", "DELETE FROM file", "DELETE FROM run_symbol",
                                      "DELETE FROM run",  "DELETE FROM dataset", "DELETE FROM symbol"};
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < sizeof empty / sizeof *empty; i++) st = tl_db_run(ledger, err, empty[i], "");
  return st;
}

tl_status tl_db_apply(tl_ledger *ledger, tl_op *op, tl_error *err) {
  tl_status st = TL_OK;
  op->idle = false;
  switch (op->type) {
  case TL_OP_LAYOUT: return fix_layout(ledger, op, err);
  case TL_OP_SOURCE: return fix_source(ledger, op, err);
  case TL_OP_REBUILD: st = tl_db_run(ledger, err, "DELETE FROM file", ""); /* fall through */
  case TL_OP_COMMIT: return st ? st : put_group(ledger, op->group, err);
  case TL_OP_RECOUNT: return recount(ledger, op, err);
  case TL_OP_RUN_BEGIN:
  case TL_OP_RUN_END: return tl_db_apply_run(ledger, op, err);
  case TL_OP_RESET: return reset(ledger, err);
  }
  return tl_fail(err, TL_EINTERNAL, "the ledger knows no step %d", (int)op->type);
}
