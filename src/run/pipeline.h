/* pipeline.h - a planned job through fetch, decode, shape and commit. Private to run/. */
#ifndef TL_RUN_PIPELINE_H
#define TL_RUN_PIPELINE_H
#include <pthread.h>
#include <stdatomic.h>

#include "batch/words.h"
#include "decode/decode.h"
#include "fetch/fetch.h"
#include "plan/plan.h"
#include "run/committer.h"
#include "run/job.h"
#include "run/result.h"

typedef struct tl_symbol_stats { /* of one symbol of the job; under the pipeline's lock */
  int64_t wire_rows, rows;
  int64_t chains_left;
  bool failed;
} tl_symbol_stats;

typedef struct tl_pipeline {
  const tl_job *job;
  tl_run_result *result;
  const atomic_bool *canceled; /* by the user */
  atomic_bool stop;            /* by the user, or because the run cannot go on */
  tl_words *words;
  tl_commit *commit;
  tl_committer *committer;
  tl_fetch *fetch;
  char vendor[32];             /* "Alpaca": in log lines */
  const char *noun;            /* "quotes": what the vendor is asked for */
  int64_t cut_bytes;           /* a chain of one symbol that holds more gives up its finished part */
  pthread_mutex_t lock;
  tl_page **pages;             /* spare decoded pages: their memory is reused */
  size_t page_count, page_max;
  tl_symbol_stats *stats;
  tl_status status;            /* why the run as a whole stops; first one wins */
  tl_error error;
  atomic_llong rows, rejected, rows_expected, rows_expected_done, units, units_done, barless_volume;
  int64_t started_ns;
} tl_pipeline;

/* Fetches, shapes and commits what the plan says; outcomes of symbols go to result. */
tl_status tl_pipeline_run(const tl_job *job, const tl_plan *plan, const tl_run_lake *lake, tl_ledger *ledger, int64_t run,
                          const atomic_bool *canceled, tl_run_result *result, tl_error *err);

void tl_pipeline_stop(tl_pipeline *p, tl_status status, const tl_error *why); /* the run cannot go on */
tl_page *tl_pipeline_page_take(tl_pipeline *p);                               /* NULL when memory ran out */
void tl_pipeline_page_give(tl_pipeline *p, tl_page *page);

/* chain.c: one ask. symbols are indexes into the job's. Fails with TL_ENOMEM. */
tl_status tl_chain_add(tl_pipeline *p, const uint32_t *symbols, size_t count, tl_range range, int64_t settles_ns,
                       int64_t rows_expected, tl_error *err);
/* A range that needs no asking: recorded as empty. */
tl_status tl_chain_add_closed(tl_pipeline *p, const uint32_t *symbols, size_t count, tl_range range, const char *why,
                              tl_error *err);
#endif
