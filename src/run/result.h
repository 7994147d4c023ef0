/* result.h - what became of each symbol of a run, and its totals. Thread-safe while the run goes on. */
#ifndef TL_RUN_RESULT_H
#define TL_RUN_RESULT_H
#include <pthread.h>

#include "commit/commit.h"
#include "market/symbol.h"
#include "run/run.h"

struct tl_run_result {
  pthread_mutex_t lock;
  char **symbols;  /* of the job, in its order */
  char **reasons;  /* NULL: nothing failed so far */
  size_t count, failed_count;
  char **files;
  size_t file_count;
  tl_import_totals totals;
};

tl_status tl_run_result_open(const tl_symbols *symbols, tl_run_result **out, tl_error *err);
/* The first reason counts. Memory that runs out leaves a shorter text, never a success. */
void tl_run_result_fail(tl_run_result *result, size_t symbol, const char *reason);
size_t tl_run_result_failures(tl_run_result *result);
tl_status tl_run_result_take_files(tl_run_result *result, const tl_commit *commit, tl_error *err);
/* Another run's symbols and files are added to this one's (update: one run a dataset); from is freed. */
tl_status tl_run_result_merge(tl_run_result *into, tl_run_result *from, tl_error *err);
#endif
