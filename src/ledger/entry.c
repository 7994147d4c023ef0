/* entry.c - see entry.h. */
#include "ledger/entry.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "json/write.h"
#include "market/number.h"

static const struct {
  tl_op_type type;
  const char *name;
} ops[] = {{TL_OP_LAYOUT, "layout"},   {TL_OP_SOURCE, "source"},       {TL_OP_COMMIT, "commit"},   {TL_OP_REBUILD, "rebuild"},
           {TL_OP_RECOUNT, "recount"}, {TL_OP_RUN_BEGIN, "run_begin"}, {TL_OP_RUN_END, "run_end"}, {TL_OP_RESET, "reset"}};
enum { OPS = sizeof ops / sizeof *ops };

/* ---- out ---- */

static const char *text_of(const char *text) { return text ? text : ""; }

static void put_counts(tl_json_writer *w, const tl_ledger_counts *c) {
  const int64_t values[] = {c->rows, c->rejected, c->files, c->requests, c->retries, c->bytes};
  tl_json_put_array(w, "counts");
  for (size_t i = 0; i < 6; i++) tl_json_put_i64(w, NULL, values[i]);
  tl_json_put_close(w);
}

static void put_file(tl_json_writer *w, const tl_ledger_file *f) {
  tl_json_put_array(w, NULL);
  tl_json_put_string(w, NULL, f->path);
  tl_json_put_string(w, NULL, f->dataset);
  tl_json_put_string(w, NULL, f->symbol);
  tl_json_put_i64(w, NULL, f->rows);
  tl_json_put_i64(w, NULL, f->bytes);
  tl_json_put_string(w, NULL, f->checksum);
  tl_json_put_i64(w, NULL, f->time_min_ns);
  tl_json_put_i64(w, NULL, f->time_max_ns);
  tl_json_put_close(w);
}

static void put_unit(tl_json_writer *w, const tl_ledger_unit *u) {
  const int64_t numbers[] = {u->rows, u->wire_rows, u->bytes, u->pages, u->rejected, u->asked_ns};
  tl_json_put_array(w, NULL);
  tl_json_put_string(w, NULL, u->dataset);
  tl_json_put_string(w, NULL, u->symbol);
  tl_json_put_i64(w, NULL, u->range.start_ns);
  tl_json_put_i64(w, NULL, u->range.end_ns);
  tl_json_put_string(w, NULL, tl_coverage_name(u->state));
  for (size_t i = 0; i < 6; i++) tl_json_put_i64(w, NULL, numbers[i]);
  tl_json_put_string(w, NULL, text_of(u->hash));
  tl_json_put_string(w, NULL, text_of(u->answer));
  tl_json_put_close(w);
}

static void put_group(tl_json_writer *w, const tl_ledger_group *g) {
  tl_json_put_i64(w, "run", g->run);
  put_counts(w, &g->counts);
  tl_json_put_array(w, "files");
  for (size_t i = 0; i < g->file_count; i++) put_file(w, &g->files[i]);
  tl_json_put_close(w);
  tl_json_put_array(w, "removed");
  for (size_t i = 0; i < g->removed_count; i++) tl_json_put_string(w, NULL, g->removed[i]);
  tl_json_put_close(w);
  tl_json_put_array(w, "units");
  for (size_t i = 0; i < g->unit_count; i++) put_unit(w, &g->units[i]);
  tl_json_put_close(w);
}

static void put_source(tl_json_writer *w, const tl_op *op) {
  tl_json_put_string(w, "dataset", op->dataset);
  tl_json_put_object(w, "source");
  for (size_t i = 0; i < TL_SOURCE_FIELDS; i++)
    tl_json_put_string(w, tl_source_fields[i].name, (const char *)op->source + tl_source_fields[i].offset);
  tl_json_put_close(w);
}

static void put_recount(tl_json_writer *w, const tl_op *op) {
  tl_json_put_string(w, "dataset", op->dataset);
  tl_json_put_string(w, "symbol", op->symbol);
  tl_json_put_array(w, "range");
  tl_json_put_i64(w, NULL, op->range.start_ns);
  tl_json_put_i64(w, NULL, op->range.end_ns);
  tl_json_put_close(w);
  tl_json_put_i64(w, "rows", op->rows);
}

static void put_run_end(tl_json_writer *w, const tl_op *op) {
  tl_json_put_i64(w, "run", op->run);
  tl_json_put_i64(w, "at_ns", op->at_ns);
  tl_json_put_i64(w, "exit_code", op->exit_code);
  tl_json_put_string(w, "message", op->text);
  put_counts(w, &op->counts);
  tl_json_put_array(w, "results");
  for (size_t i = 0; i < op->result_count; i++) {
    tl_json_put_array(w, NULL);
    tl_json_put_string(w, NULL, op->results[i].symbol);
    tl_json_put_string(w, NULL, text_of(op->results[i].reason));
    tl_json_put_close(w);
  }
  tl_json_put_close(w);
}

tl_status tl_entry_write(const tl_op *op, const char *id, tl_buf *out, tl_error *err) {
  tl_json_writer w = tl_json_writer_of(out, err);
  tl_json_put_object(&w, NULL);
  tl_json_put_i64(&w, "format", TL_ENTRY_FORMAT);
  tl_json_put_string(&w, "id", id);
  for (size_t i = 0; i < OPS; i++)
    if (ops[i].type == op->type) tl_json_put_string(&w, "op", ops[i].name);
  switch (op->type) {
  case TL_OP_LAYOUT: tl_json_put_string(&w, "layout", op->text); break;
  case TL_OP_SOURCE: put_source(&w, op); break;
  case TL_OP_COMMIT:
  case TL_OP_REBUILD: put_group(&w, op->group); break;
  case TL_OP_RECOUNT: put_recount(&w, op); break;
  case TL_OP_RUN_BEGIN:
    tl_json_put_string(&w, "command", op->text);
    tl_json_put_i64(&w, "at_ns", op->at_ns);
    break;
  case TL_OP_RUN_END: put_run_end(&w, op); break;
  case TL_OP_RESET: break;
  }
  tl_json_put_close(&w);
  return tl_json_writer_end(&w);
}

/* ---- in: what is not there or of another type clears `sound` and reads as nothing ---- */

typedef struct reading {
  bool sound;
  tl_json_iter at; /* of a row: the fields that are left */
} reading;

static const char *text_in(reading *r, const tl_json_value *value) {
  tl_text text = {0};
  if (!tl_json_string(value, &text) || memchr(text.data, 0, text.len)) r->sound = false;
  return r->sound ? text.data : "";
}

static int64_t number_in(reading *r, const tl_json_value *value) {
  tl_text text = {0};
  int64_t number = 0;
  if (!tl_json_number(value, &text) || tl_number_i64(text.data, text.len, &number)) r->sound = false;
  return r->sound ? number : 0;
}

static void enter_row(reading *r, const tl_json_value *row, size_t fields) {
  if (tl_json_type_of(row) != TL_JSON_ARRAY || tl_json_count(row) < fields) r->sound = false;
  r->at = tl_json_iter_of(row);
}

static const tl_json_value *next(reading *r) {
  const tl_json_value *value = NULL;
  if (!tl_json_iter_next(&r->at, NULL, &value)) r->sound = false;
  return value;
}

static const char *next_text(reading *r) { return text_in(r, next(r)); }
static int64_t next_number(reading *r) { return number_in(r, next(r)); }

static tl_ledger_counts counts_in(reading *r, const tl_json_value *row) {
  tl_ledger_counts c = {0};
  int64_t *const values[] = {&c.rows, &c.rejected, &c.files, &c.requests, &c.retries, &c.bytes};
  enter_row(r, row, 6);
  for (size_t i = 0; i < 6; i++) *values[i] = next_number(r);
  return c;
}

static tl_ledger_file file_in(reading *r, const tl_json_value *row) {
  tl_ledger_file f = {0};
  enter_row(r, row, 8);
  f.path = next_text(r);
  f.dataset = next_text(r);
  f.symbol = next_text(r);
  f.rows = next_number(r);
  f.bytes = next_number(r);
  f.checksum = next_text(r);
  f.time_min_ns = next_number(r);
  f.time_max_ns = next_number(r);
  return f;
}

static tl_coverage state_in(reading *r, const char *name) {
  for (int state = TL_COVER_MISSING; state <= TL_COVER_FAILED; state++)
    if (!strcmp(name, tl_coverage_name((tl_coverage)state))) return (tl_coverage)state;
  r->sound = false;
  return TL_COVER_MISSING;
}

static tl_ledger_unit unit_in(reading *r, const tl_json_value *row) {
  tl_ledger_unit u = {0};
  int64_t *const numbers[] = {&u.rows, &u.wire_rows, &u.bytes, &u.pages, &u.rejected, &u.asked_ns};
  enter_row(r, row, 13);
  u.dataset = next_text(r);
  u.symbol = next_text(r);
  u.range.start_ns = next_number(r);
  u.range.end_ns = next_number(r);
  u.state = state_in(r, next_text(r));
  for (size_t i = 0; i < 6; i++) *numbers[i] = next_number(r);
  u.hash = next_text(r);
  u.answer = next_text(r);
  if (tl_range_empty(u.range)) r->sound = false;
  return u;
}

static tl_ledger_result result_in(reading *r, const tl_json_value *row) {
  tl_ledger_result result = {0};
  enter_row(r, row, 2);
  result.symbol = next_text(r);
  result.reason = next_text(r);
  return result;
}

/* Room for the items of an array; out of memory is told from unsound by *st. */
static void *room(reading *r, const tl_json_value *array, size_t item_bytes, size_t *count, tl_status *st) {
  if (tl_json_type_of(array) != TL_JSON_ARRAY) r->sound = false;
  *count = r->sound ? tl_json_count(array) : 0;
  void *items = tl_calloc(*count + 1, item_bytes);
  if (!items) {
    *st = TL_ENOMEM;
    *count = 0;
  }
  return items;
}

static tl_status group_in(reading *r, const tl_json_value *root, tl_entry *e) {
  tl_ledger_group *g = &e->group;
  tl_status st = TL_OK;
  const tl_json_value *item = NULL;
  const tl_json_value *files = tl_json_get(root, "files"), *removed = tl_json_get(root, "removed"), *units = tl_json_get(root, "units");
  g->run = number_in(r, tl_json_get(root, "run"));
  g->counts = counts_in(r, tl_json_get(root, "counts"));
  e->files = room(r, files, sizeof *e->files, &g->file_count, &st);
  e->removed = room(r, removed, sizeof *e->removed, &g->removed_count, &st);
  e->units = room(r, units, sizeof *e->units, &g->unit_count, &st);
  if (st) return st;
  size_t i = 0;
  for (tl_json_iter at = tl_json_iter_of(files); i < g->file_count && tl_json_iter_next(&at, NULL, &item);) e->files[i++] = file_in(r, item);
  i = 0;
  for (tl_json_iter at = tl_json_iter_of(removed); i < g->removed_count && tl_json_iter_next(&at, NULL, &item);) e->removed[i++] = text_in(r, item);
  i = 0;
  for (tl_json_iter at = tl_json_iter_of(units); i < g->unit_count && tl_json_iter_next(&at, NULL, &item);) e->units[i++] = unit_in(r, item);
  g->files = e->files;
  g->removed = e->removed;
  g->units = e->units;
  e->op.group = g;
  return TL_OK;
}

static void source_in(reading *r, const tl_json_value *root, tl_entry *e) {
  const tl_json_value *source = tl_json_get(root, "source");
  e->op.dataset = text_in(r, tl_json_get(root, "dataset"));
  for (size_t i = 0; i < TL_SOURCE_FIELDS; i++) {
    const char *text = text_in(r, tl_json_get(source, tl_source_fields[i].name));
    if (strlen(text) >= tl_source_fields[i].size) r->sound = false;
    snprintf((char *)&e->source + tl_source_fields[i].offset, tl_source_fields[i].size, "%s", text);
  }
  e->op.source = &e->source;
}

static void recount_in(reading *r, const tl_json_value *root, tl_op *op) {
  op->dataset = text_in(r, tl_json_get(root, "dataset"));
  op->symbol = text_in(r, tl_json_get(root, "symbol"));
  op->rows = number_in(r, tl_json_get(root, "rows"));
  enter_row(r, tl_json_get(root, "range"), 2);
  op->range.start_ns = next_number(r);
  op->range.end_ns = next_number(r);
}

static tl_status run_end_in(reading *r, const tl_json_value *root, tl_entry *e) {
  tl_op *op = &e->op;
  tl_status st = TL_OK;
  const tl_json_value *item = NULL, *results = tl_json_get(root, "results");
  op->run = number_in(r, tl_json_get(root, "run"));
  op->at_ns = number_in(r, tl_json_get(root, "at_ns"));
  op->exit_code = number_in(r, tl_json_get(root, "exit_code"));
  op->text = text_in(r, tl_json_get(root, "message"));
  op->counts = counts_in(r, tl_json_get(root, "counts"));
  e->results = room(r, results, sizeof *e->results, &op->result_count, &st);
  if (st) return st;
  size_t i = 0;
  for (tl_json_iter at = tl_json_iter_of(results); i < op->result_count && tl_json_iter_next(&at, NULL, &item);) e->results[i++] = result_in(r, item);
  op->results = e->results;
  return TL_OK;
}

static tl_status op_in(reading *r, const tl_json_value *root, tl_entry *e) {
  const char *name = text_in(r, tl_json_get(root, "op"));
  size_t i = 0;
  while (i < OPS && strcmp(ops[i].name, name) != 0) i++;
  if (i == OPS) {
    r->sound = false;
    return TL_OK;
  }
  e->op.type = ops[i].type;
  switch (e->op.type) {
  case TL_OP_LAYOUT: e->op.text = text_in(r, tl_json_get(root, "layout")); break;
  case TL_OP_SOURCE: source_in(r, root, e); break;
  case TL_OP_COMMIT:
  case TL_OP_REBUILD: return group_in(r, root, e);
  case TL_OP_RECOUNT: recount_in(r, root, &e->op); break;
  case TL_OP_RUN_BEGIN:
    e->op.text = text_in(r, tl_json_get(root, "command"));
    e->op.at_ns = number_in(r, tl_json_get(root, "at_ns"));
    break;
  case TL_OP_RUN_END: return run_end_in(r, root, e);
  case TL_OP_RESET: break;
  }
  return TL_OK;
}

static tl_status damaged(const char *name, const char *why, tl_error *err) {
  return tl_fail(err, TL_ECORRUPT, "the ledger's entry '%s' is damaged (%s): 'ticklake audit --repair' makes the ledger anew from the lake's files",
                 name, why);
}

tl_status tl_entry_read(const char *name, const char *data, size_t len, tl_entry *out, tl_error *err) {
  *out = (tl_entry){.op = {.text = "", .dataset = "", .symbol = ""}};
  tl_error why = {0};
  reading r = {.sound = true};
  tl_status st = tl_json_open(data, len, len + 1, &out->json, &why);
  if (st == TL_ENOMEM) return tl_fail(err, st, "out of memory: cannot read the ledger's entry '%s'", name);
  if (st) return damaged(name, why.message, err);
  const tl_json_value *root = tl_json_root(out->json);
  int64_t format = number_in(&r, tl_json_get(root, "format"));
  if (r.sound && format > TL_ENTRY_FORMAT)
    st = tl_fail(err, TL_EUSAGE, "the ledger's entry '%s' has format %lld, this ticklake knows formats up to %d: use a newer ticklake", name,
                 (long long)format, TL_ENTRY_FORMAT);
  if (!st) {
    if (op_in(&r, root, out) == TL_ENOMEM) st = tl_fail(err, TL_ENOMEM, "out of memory: cannot read the ledger's entry '%s'", name);
    else if (!r.sound || format != TL_ENTRY_FORMAT) st = damaged(name, "it is not what an entry is", err);
  }
  if (st) tl_entry_deinit(out);
  return st;
}

void tl_entry_deinit(tl_entry *entry) {
  tl_free(entry->files);
  tl_free(entry->units);
  tl_free(entry->results);
  tl_free(entry->removed);
  tl_json_close(entry->json);
  *entry = (tl_entry){0};
}
