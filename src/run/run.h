/* run.h - the verbs of a lake, wired from the stages: the only code that knows all seven. api/ is a thin cover of it.
 * Thread-safety: one call at a time per tl_run_lake, except tl_run_cancel. */
#ifndef TL_RUN_RUN_H
#define TL_RUN_RUN_H
#include <stdatomic.h>
#include <stdbool.h>

#include "base/status.h"
#include "ticklake/import.h"
#include "ticklake/read.h"

typedef struct tl_run_lake { /* what tl_lake is inside */
  char *path;             /* as it was named */
  struct tl_store *store; /* where its bytes live */
  struct tl_settings *settings;
  atomic_bool canceled;
} tl_run_lake;

typedef struct tl_run_result tl_run_result;

tl_status tl_run_lake_init(tl_run_lake *lake, const char *path, const char *config_file, tl_error *err);
void tl_run_lake_deinit(tl_run_lake *lake);

tl_status tl_run_import(tl_run_lake *lake, const tl_import_options *options, tl_run_result **out, tl_error *err);
tl_status tl_run_update(tl_run_lake *lake, const tl_import_options *options, tl_run_result **out, tl_error *err);
tl_status tl_run_plan(tl_run_lake *lake, const tl_import_options *options, bool json, tl_write_fn write, void *user,
                      tl_error *err);

void tl_run_result_totals(const tl_run_result *result, tl_import_totals *out);
const char *tl_run_result_successful(const tl_run_result *result, size_t i);
const char *tl_run_result_failed(const tl_run_result *result, size_t i, const char **reason);
const char *tl_run_result_file(const tl_run_result *result, size_t i);
void tl_run_result_free(tl_run_result *result);

tl_status tl_run_coverage(tl_run_lake *lake, bool gaps, const char *kind, const char *symbols, tl_coverage_fn each,
                          void *user, tl_error *err);
tl_status tl_run_audit(tl_run_lake *lake, const char *kind, const char *symbols, bool repair, tl_audit_fn each,
                       void *user, bool *sound, tl_error *err);
tl_status tl_run_adopt(tl_run_lake *lake, const tl_import_options *options, tl_audit_fn each, void *user, tl_error *err);
tl_status tl_run_index_store(tl_run_lake *lake, const char *name, const char *symbols, tl_error *err);
tl_status tl_run_index_load(tl_run_lake *lake, const char *name, tl_index_fn each, void *user, tl_error *err);
tl_status tl_run_doctor(tl_run_lake *lake, const tl_import_options *options, tl_doctor_fn each, void *user, bool *ok,
                        tl_error *err);
tl_status tl_run_read(tl_run_lake *lake, const tl_read_options *options, struct ArrowArrayStream *out, tl_error *err);
tl_status tl_run_read_to(tl_run_lake *lake, const tl_read_options *options, const tl_output *output, int64_t *rows,
                         tl_error *err);
tl_status tl_run_sql(tl_run_lake *lake, const char *query, struct ArrowArrayStream *out, tl_error *err);
tl_status tl_run_sql_to(tl_run_lake *lake, const char *query, const tl_output *output, int64_t *rows, tl_error *err);
tl_status tl_run_symbols(tl_run_lake *lake, const char *kind, int (*each)(void *user, const char *symbol), void *user,
                         tl_error *err);
tl_status tl_run_range(tl_run_lake *lake, const char *kind, const char *symbol, int64_t *first_ns, int64_t *last_ns,
                       int64_t *rows, tl_error *err);
#endif
