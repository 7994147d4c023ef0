/* job.h - an import with everything decided: what the options, the settings, the environment and the lake say. */
#ifndef TL_RUN_JOB_H
#define TL_RUN_JOB_H
#include <stdatomic.h>

#include "base/keep.h"
#include "ledger/ledger.h"
#include "market/calendar.h"
#include "market/symbol.h"
#include "plan/plan.h"
#include "provider/provider.h"
#include "run/run.h"
#include "shape/ticks_to_bars.h"
#include "table/table.h"

typedef enum tl_on_error { TL_ON_ERROR_QUARANTINE, TL_ON_ERROR_SKIP, TL_ON_ERROR_FAIL } tl_on_error;

typedef struct tl_job {
  tl_job_kind kind;
  const tl_provider *provider;
  tl_symbols symbols;
  tl_range range;
  tl_layout layout;
  tl_ledger_source source;      /* as recorded in the lake: feed, adjustment, asof, currency, conditions */
  tl_conditions conditions;
  tl_on_error on_error;
  tl_buf endpoint;
  bool allow_http, refresh, plain, rate_fixed, layout_given;
  tl_keep *key, *secret;        /* NULL when there are none: the simulator and crypto history need no real ones */
  uint32_t page_limit, pages_per_unit, threads, rate_per_minute;
  int32_t retries;              /* negative: none */
  int64_t connect_timeout_ns, read_timeout_ns, memory_max_bytes;
  int64_t look_back_from_ns;    /* update: covered ranges from here on are asked again; INT64_MAX: none */
  int64_t now_ns, latest_ns;    /* nothing younger is asked for */
  void (*progress)(void *user, const tl_progress *progress);
  void *user;
} tl_job;

/* Reads the options; symbols "-" leaves them to the caller. Touches nothing of the lake but stored indices. */
tl_status tl_job_init(tl_job *job, tl_run_lake *lake, const tl_import_options *options, tl_error *err);
void tl_job_deinit(tl_job *job); /* {0} is fine */
/* Fixes layout and source in the ledger, or TL_EUSAGE when the lake or dataset has another. */
tl_status tl_job_claim(tl_job *job, tl_ledger *ledger, tl_error *err);

/* lake.c: the ledger of a lake that is there already; TL_ENOTFOUND says how to get one. */
tl_status tl_run_ledger(const tl_run_lake *lake, tl_ledger **out, tl_error *err);
/* reading.c: the layout of a lake that is there; TL_ENOTFOUND when none is. */
tl_status tl_run_layout(tl_run_lake *lake, tl_layout *out, tl_error *err);
/* reading.c: an engine for reading, and what holds the tables and files it reads. */
struct tl_sources;
struct tl_engine;
tl_status tl_run_open_engine(tl_run_lake *lake, tl_layout layout, struct tl_engine **engine, struct tl_sources **sources, tl_error *err);
/* table_audit.c: the layout of a lake of tables that has no ledger. */
tl_status tl_run_tables_detect(tl_run_lake *lake, tl_layout *out);
/* index.c: SYMBOLS of a command: a list, @file, or index:NAME of this lake (members of today). */
tl_status tl_run_symbols_parse(tl_run_lake *lake, const char *argument, tl_symbols *out, tl_error *err);
#endif
