/* plan.h - stage 1: what is not covered yet -> what to ask the vendor for, and what it will cost.
 *
 * Pure: no ledger, clock or network; same input, same plan. The caller says per symbol which ranges are not covered
 * (tl_ledger_uncovered; the whole range to refresh) and what is known of the vendor and of row counts.
 * Callers may rely on: for every symbol the asks' ranges are disjoint and together are exactly its uncovered ranges,
 * cut at latest_ns (nothing younger is asked or recorded); no ask is a sliver; asks come ordered by symbol, then time,
 * packed ones by their first symbol. An ask is one chain of pages; (each symbol of an ask) x (its range) is one unit,
 * the grain of resume and what the ledger records.
 * Units: bars by the formula of SPEC section 3, cut at New York midnights and packed over symbols where that needs no
 * more pages; ticks one symbol and one New York day (23 and 25 hours when clocks change), packed or cut finer only
 * when estimates say so. Days without a session belong to the unit before (else after) them; a range that has only
 * such days, or lies before the vendor's history, becomes an ask with `closed` set: no request, recorded as empty.
 * Cost: linear in asks and sessions; about 100 bytes an ask. Not here: paging, retries, the rate (fetch/). */
#ifndef TL_PLAN_PLAN_H
#define TL_PLAN_PLAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "market/dataset.h"
#include "market/time.h"

typedef struct tl_plan_symbol {
  const char *name;          /* as the vendor spells it; borrowed */
  const tl_range *uncovered; /* sorted, disjoint */
  size_t uncovered_count;
  double rows_per_session;   /* tl_ledger_estimates; 0 when nothing is known */
} tl_plan_symbol;

typedef struct tl_plan_input {
  tl_job_kind job;
  const tl_plan_symbol *symbols;
  size_t symbol_count;
  int64_t now_ns;
  int64_t latest_ns;        /* nothing at or after is asked: now, or now less the feed's delay */
  int64_t history_start_ns; /* of the provider; INT64_MIN when it has none */
  uint32_t page_limit, pages_per_unit; /* 10000 and 5 */
  uint32_t symbols_per_ask_max;
  uint32_t rate_per_minute; /* requests; 0: no limit known */
  double bytes_per_row;     /* compressed wire; 0 when nothing is known */
  bool plain;               /* --partitioning plain: the formula alone, no calendar, no packing */
  bool always_open;         /* the feed knows no closed days (boats, overnight, crypto) */
} tl_plan_input;

typedef struct tl_plan_ask {
  const uint32_t *symbols; /* indexes into input.symbols, ascending */
  uint32_t symbol_count;
  uint32_t pages_expected; /* 0 for a closed ask */
  tl_range range;
  int64_t rows_expected;
  int64_t settles_ns;      /* when its last row is final: for tl_coverage_of */
  const char *closed;      /* NULL: ask the vendor. Else record as empty with this as the answer, without asking:
                              "calendar" or "before the provider's history" */
} tl_plan_ask;

typedef struct tl_plan {
  tl_plan_ask *asks;
  size_t ask_count, ask_max;
  /* totals of the asks that are not closed */
  int64_t requests; /* chains of pages = asks */
  int64_t units;    /* symbols x ranges */
  int64_t pages;    /* HTTP answers expected */
  int64_t rows, bytes;
  double minutes;   /* pages at the key's rate; 0 when no rate is known */
  int64_t closed_units;
  uint32_t *index_pool; /* what asks' symbols point into */
  size_t index_count, index_max;
} tl_plan;

/* The range whose coverage is asked for and recorded: rows made from ticks need whole bars, so for derived jobs the
 * range grows to bar (quotes: second) boundaries. Others stay as they are. Call before asking the ledger. */
tl_range tl_plan_align(const tl_job_kind *job, tl_range range);

tl_status tl_plan_make(const tl_plan_input *input, tl_plan *out, tl_error *err); /* out {0} before, and on failure */
void tl_plan_deinit(tl_plan *plan);

/* What `ticklake plan` prints. */
tl_status tl_plan_print_text(const tl_plan_input *input, const tl_plan *plan, tl_buf *out, tl_error *err);
tl_status tl_plan_print_json(const tl_plan_input *input, const tl_plan *plan, tl_buf *out, tl_error *err);
#endif
