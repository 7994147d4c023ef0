/* runs.c - the diary: which command ran when, what came of it, and of each symbol. */
#include "base/alloc.h"
#include "ledger/db.h"
#include "ledger/text.h"

static tl_status put_begin(tl_ledger *ledger, tl_op *op, tl_error *err) {
  static const char insert[] = "INSERT INTO run(started_ns, command) VALUES(?1, ?2)";
  tl_status st = tl_db_run(ledger, err, insert, "it", op->at_ns, op->text);
  op->run = sqlite3_last_insert_rowid(ledger->db);
  return st;
}

static tl_status put_end(tl_ledger *ledger, const tl_op *op, tl_error *err) {
  static const char update[] = "UPDATE run SET ended_ns = ?2, exit_code = ?3, message = ?4, rows = ?5, rejected = ?6,"
                               " files = ?7, requests = ?8, retries = ?9, bytes = ?10 WHERE id = ?1";
  static const char insert[] = "INSERT OR REPLACE INTO run_symbol(run, symbol, reason) VALUES(?1, ?2, ?3)";
  const tl_ledger_counts *c = &op->counts;
  tl_status st = tl_db_run(ledger, err, update, "iiitiiiiii", op->run, op->at_ns, op->exit_code, op->text, c->rows,
                           c->rejected, c->files, c->requests, c->retries, c->bytes);
  for (size_t i = 0; !st && i < op->result_count; i++)
    st = tl_db_run(ledger, err, insert, "itt", op->run, op->results[i].symbol,
                   op->results[i].reason ? op->results[i].reason : "");
  return st;
}

tl_status tl_db_apply_run(tl_ledger *ledger, tl_op *op, tl_error *err) {
  return op->type == TL_OP_RUN_BEGIN ? put_begin(ledger, op, err) : put_end(ledger, op, err);
}

tl_status tl_ledger_run_begin(tl_ledger *ledger, const char *command, int64_t now_ns, int64_t *id, tl_error *err) {
  tl_op op = {.type = TL_OP_RUN_BEGIN, .text = command, .at_ns = now_ns};
  tl_db_enter(ledger);
  tl_status st = tl_db_write(ledger, &op, err);
  tl_db_leave(ledger);
  *id = op.run;
  return st;
}

tl_status tl_ledger_run_end(tl_ledger *ledger, int64_t id, int64_t now_ns, int exit_code, const char *message,
                            const tl_ledger_counts *counts, const tl_ledger_result *results, size_t result_count,
                            tl_error *err) {
  tl_op op = {.type = TL_OP_RUN_END, .run = id, .at_ns = now_ns, .exit_code = exit_code, .text = message ? message : "",
              .counts = *counts, .results = results, .result_count = result_count};
  tl_db_enter(ledger);
  tl_status st = tl_db_write(ledger, &op, err);
  tl_db_leave(ledger);
  return st;
}

static tl_status add_run(sqlite3_stmt *row, void *context, tl_error *err) {
  tl_ledger_run_list *out = context;
  tl_status st = TL_DB_GROW(out, err);
  if (st) return st;
  tl_ledger_run *run = &out->items[out->count++];
  *run = (tl_ledger_run){
      .id = sqlite3_column_int64(row, 0),
      .started_ns = sqlite3_column_int64(row, 1),
      .ended_ns = sqlite3_column_int64(row, 2),
      .exit_code = sqlite3_column_int(row, 3),
      .counts = {sqlite3_column_int64(row, 4), sqlite3_column_int64(row, 5), sqlite3_column_int64(row, 6),
                 sqlite3_column_int64(row, 7), sqlite3_column_int64(row, 8), sqlite3_column_int64(row, 9)},
  };
  st = tl_ledger_text_add(&out->text, tl_db_text(row, 10), NULL, &run->command, err);
  return st ? st : tl_ledger_text_add(&out->text, tl_db_text(row, 11), NULL, &run->message, err);
}

tl_status tl_ledger_runs(tl_ledger *ledger, size_t runs_max, tl_ledger_run_list *out, tl_error *err) {
  static const char find[] = "SELECT id, started_ns, ended_ns, exit_code, rows, rejected, files, requests, retries,"
                             " bytes, command, message FROM run ORDER BY id DESC LIMIT ?1";
  *out = (tl_ledger_run_list){0};
  int64_t limit = runs_max > INT32_MAX ? (int64_t)INT32_MAX : (int64_t)runs_max;
  tl_db_enter(ledger);
  tl_status st = tl_db_fresh(ledger, err);
  if (!st) st = tl_db_each(ledger, add_run, out, err, find, "i", limit);
  tl_db_leave(ledger);
  if (st) tl_ledger_runs_deinit(out);
  return st;
}

void tl_ledger_runs_deinit(tl_ledger_run_list *list) {
  tl_free(list->items);
  tl_ledger_text_deinit(&list->text);
  *list = (tl_ledger_run_list){0};
}

static tl_status add_result(sqlite3_stmt *row, void *context, tl_error *err) {
  tl_ledger_result_list *out = context;
  tl_status st = TL_DB_GROW(out, err);
  if (st) return st;
  tl_ledger_result *result = &out->items[out->count++];
  *result = (tl_ledger_result){"", ""};
  st = tl_ledger_text_add(&out->text, tl_db_text(row, 0), NULL, &result->symbol, err);
  return st ? st : tl_ledger_text_add(&out->text, tl_db_text(row, 1), NULL, &result->reason, err);
}

tl_status tl_ledger_run_results(tl_ledger *ledger, int64_t id, tl_ledger_result_list *out, tl_error *err) {
  static const char find[] = "SELECT symbol, reason FROM run_symbol WHERE run = ?1 ORDER BY symbol";
  *out = (tl_ledger_result_list){0};
  tl_db_enter(ledger);
  tl_status st = tl_db_fresh(ledger, err);
  if (!st) st = tl_db_each(ledger, add_result, out, err, find, "i", id);
  tl_db_leave(ledger);
  if (st) tl_ledger_results_deinit(out);
  return st;
}

void tl_ledger_results_deinit(tl_ledger_result_list *list) {
  tl_free(list->items);
  tl_ledger_text_deinit(&list->text);
  *list = (tl_ledger_result_list){0};
}
