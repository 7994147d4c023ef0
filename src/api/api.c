/* api.c - libticklake: include/ticklake/ onto run/. Thin: checks of the struct sizes, and nothing else. */
#include <string.h>

#include "api/options.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/suggest.h"
#include "run/run.h"
#include "ticklake/ticklake.h"

struct tl_lake {
  tl_run_lake run;
};

const char *tl_version(void) { return TICKLAKE_VERSION; }

const char *tl_nearest_word(const char *typed, const char *const *words, size_t count) { return tl_suggest(typed, words, count); }

static tl_status level_of(const char *name, tl_log_level *out, tl_error *err) {
  static const char *const names[] = {"error", "warn", "info", "debug", "trace"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(name, names[i])) {
      *out = (tl_log_level)i;
      return TL_OK;
    }
  if (!strcmp(name, "none")) {
    *out = (tl_log_level)-1;
    return TL_OK;
  }
  return tl_fail(err, TL_EUSAGE, "log level '%s' is not one of error, warn, info, debug, trace, none", name);
}

tl_status tl_log_configure(const tl_log_options *given, tl_error *err) {
  tl_log_options o;
  tl_take_options(&o, sizeof o, given);
  tl_log_level level = TL_LOG_WARN, file_level = TL_LOG_INFO;
  tl_status st = o.stderr_level ? level_of(o.stderr_level, &level, err) : TL_OK;
  if (!st && o.file_level) st = level_of(o.file_level, &file_level, err);
  if (!st) st = tl_log_open_file(o.file, err);
  if (st) return st;
  tl_log_set_level(level, file_level);
  tl_log_set_hooks(o.before, o.after);
  return TL_OK;
}

tl_status tl_lake_open(const tl_lake_options *given, tl_lake **out, tl_error *err) {
  tl_lake_options o;
  tl_take_options(&o, sizeof o, given);
  tl_lake *lake = tl_calloc(1, sizeof *lake);
  if (!lake) return tl_fail(err, TL_ENOMEM, "cannot open a lake");
  tl_status st = tl_run_lake_init(&lake->run, o.path, o.config_file, err);
  if (st) tl_free(lake);
  else *out = lake;
  return st;
}

void tl_lake_close(tl_lake *lake) {
  if (!lake) return;
  tl_run_lake_deinit(&lake->run);
  tl_free(lake);
}

const char *tl_lake_path(const tl_lake *lake) { return lake->run.path; }

void tl_lake_cancel(tl_lake *lake) { atomic_store(&lake->run.canceled, true); }

tl_import_options tl_import_options_default(void) {
  return (tl_import_options){.size = sizeof(tl_import_options), .retries = -1};
}

tl_status tl_lake_import(tl_lake *lake, const tl_import_options *given, tl_import_result **out, tl_error *err) {
  tl_import_options o;
  tl_take_options(&o, sizeof o, given);
  tl_run_result *result = NULL;
  tl_status st = tl_run_import(&lake->run, &o, &result, err);
  if (out) *out = (tl_import_result *)result;
  else tl_run_result_free(result);
  return st;
}

tl_status tl_lake_update(tl_lake *lake, const tl_import_options *given, tl_import_result **out, tl_error *err) {
  tl_import_options o;
  tl_take_options(&o, sizeof o, given);
  tl_run_result *result = NULL;
  tl_status st = tl_run_update(&lake->run, &o, &result, err);
  if (out) *out = (tl_import_result *)result;
  else tl_run_result_free(result);
  return st;
}

static const tl_run_result *inner(const tl_import_result *result) { return (const tl_run_result *)result; }

void tl_import_result_totals(const tl_import_result *result, tl_import_totals *out) { tl_run_result_totals(inner(result), out); }
const char *tl_import_result_successful(const tl_import_result *result, size_t i) { return tl_run_result_successful(inner(result), i); }
const char *tl_import_result_failed(const tl_import_result *result, size_t i, const char **reason) { return tl_run_result_failed(inner(result), i, reason); }
const char *tl_import_result_file(const tl_import_result *result, size_t i) { return tl_run_result_file(inner(result), i); }
void tl_import_result_free(tl_import_result *result) { tl_run_result_free((tl_run_result *)result); }

tl_status tl_lake_plan(tl_lake *lake, const tl_import_options *given, bool json, tl_write_fn write, void *user, tl_error *err) {
  tl_import_options o;
  tl_take_options(&o, sizeof o, given);
  return tl_run_plan(&lake->run, &o, json, write, user, err);
}

tl_status tl_lake_coverage(tl_lake *lake, const char *kind, const char *symbols, tl_coverage_fn each, void *user, tl_error *err) {
  return tl_run_coverage(&lake->run, false, kind, symbols, each, user, err);
}

tl_status tl_lake_gaps(tl_lake *lake, const char *kind, const char *symbols, tl_coverage_fn each, void *user, tl_error *err) {
  return tl_run_coverage(&lake->run, true, kind, symbols, each, user, err);
}

tl_status tl_lake_audit(tl_lake *lake, const char *kind, const char *symbols, bool repair, tl_audit_fn each, void *user,
                        bool *sound, tl_error *err) {
  return tl_run_audit(&lake->run, kind, symbols, repair, each, user, sound, err);
}

tl_status tl_lake_adopt(tl_lake *lake, const tl_import_options *given, tl_audit_fn each, void *user, tl_error *err) {
  tl_import_options o;
  tl_take_options(&o, sizeof o, given);
  return tl_run_adopt(&lake->run, &o, each, user, err);
}

tl_status tl_lake_index_store(tl_lake *lake, const char *name, const char *symbols, tl_error *err) {
  return tl_run_index_store(&lake->run, name, symbols, err);
}

tl_status tl_lake_index_load(tl_lake *lake, const char *name, tl_index_fn each, void *user, tl_error *err) {
  return tl_run_index_load(&lake->run, name, each, user, err);
}

tl_status tl_lake_doctor(tl_lake *lake, const tl_import_options *given, tl_doctor_fn each, void *user, bool *ok, tl_error *err) {
  tl_import_options o;
  tl_take_options(&o, sizeof o, given);
  return tl_run_doctor(&lake->run, &o, each, user, ok, err);
}

tl_status tl_lake_read(tl_lake *lake, const tl_read_options *given, struct ArrowArrayStream *out, tl_error *err) {
  tl_read_options o;
  tl_take_options(&o, sizeof o, given);
  return tl_run_read(&lake->run, &o, out, err);
}

tl_status tl_lake_read_to(tl_lake *lake, const tl_read_options *given, const tl_output *output, int64_t *rows, tl_error *err) {
  tl_read_options o;
  tl_output to;
  tl_take_options(&o, sizeof o, given);
  tl_take_options(&to, sizeof to, output);
  return tl_run_read_to(&lake->run, &o, &to, rows, err);
}

tl_status tl_lake_sql(tl_lake *lake, const char *query, struct ArrowArrayStream *out, tl_error *err) {
  return tl_run_sql(&lake->run, query, out, err);
}

tl_status tl_lake_sql_to(tl_lake *lake, const char *query, const tl_output *output, int64_t *rows, tl_error *err) {
  tl_output to;
  tl_take_options(&to, sizeof to, output);
  return tl_run_sql_to(&lake->run, query, &to, rows, err);
}

tl_status tl_lake_symbols(tl_lake *lake, const char *kind, int (*each)(void *user, const char *symbol), void *user, tl_error *err) {
  return tl_run_symbols(&lake->run, kind, each, user, err);
}

tl_status tl_lake_range(tl_lake *lake, const char *kind, const char *symbol, int64_t *first_ns, int64_t *last_ns, int64_t *rows,
                        tl_error *err) {
  return tl_run_range(&lake->run, kind, symbol, first_ns, last_ns, rows, err);
}
