/* ledger.h - what was asked, what the vendor answered, what was committed; one ledger per lake.
 *
 * Callers may rely on: every call is one transaction, so a kill -9 leaves it done or not done; processes and threads
 * may share a lake (a call waits for the others, it never fails because they are busy); a lake's folder may be moved
 * with its ledger; nothing here holds a secret unless the caller puts one in.
 * Data is committed first, the ledger second: what the ledger says is there has been durable before.
 * Coverage is a set of statements. A statement about [start, end) of a (dataset, symbol) replaces what was known of
 * that range, except that "failed" never replaces present, empty or partial. "missing" forgets.
 * On an object store it is a log of entries committed by put-if-absent; the same calls hold, each a request or two.
 * Names of datasets are those of market/dataset.h ("equities_1min"). Times are UTC ns, ranges half-open.
 * Strings in lists that a call fills live until the list's _deinit. A list is {0} before the call; a failed call
 * leaves it {0}. TL_ECORRUPT means the ledger is damaged: tl_ledger_set_aside, then rebuild from the files.
 * Cost: a commit is one durable transaction (a few ms); a query is a search plus the rows it gives.
 * Not here: the files themselves, index membership (CSV files), how the ledger is stored (sqlite.c). */
#ifndef TL_LEDGER_LEDGER_H
#define TL_LEDGER_LEDGER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "market/schema.h"
#include "market/time.h"
#include "store/store.h"

/* ---- ranges: sorted, disjoint, none empty, none touching; {0} is the empty set ---- */

typedef struct tl_ranges {
  tl_range *items;
  size_t count, capacity;
} tl_ranges;

tl_status tl_ranges_add(tl_ranges *ranges, tl_range range, tl_error *err); /* union; O(1) amortised at the end */
/* out (replaced) = range minus / what both hold; out is neither input. */
tl_status tl_ranges_subtract(const tl_ranges *from, const tl_ranges *take, tl_ranges *out, tl_error *err);
tl_status tl_ranges_intersect(const tl_ranges *a, const tl_ranges *b, tl_ranges *out, tl_error *err);
int64_t tl_ranges_ns(const tl_ranges *ranges); /* time they hold; held at INT64_MAX */
void tl_ranges_deinit(tl_ranges *ranges);

/* ---- coverage ---- */

typedef enum tl_coverage {
  TL_COVER_MISSING,
  TL_COVER_PRESENT,
  TL_COVER_EMPTY,
  TL_COVER_PARTIAL,
  TL_COVER_FAILED
} tl_coverage;
const char *tl_coverage_name(tl_coverage state); /* "missing" "present" "empty" "partial" "failed" */

/* What a whole answer about a range is: partial while it settles (ends less than 16 minutes before now), else present
 * or empty. settles_ns is when the last row of the range is final: its end, or the end of its last bar. */
#define TL_SETTLE_NS (INT64_C(16) * 60 * TL_NS_PER_S)
tl_coverage tl_coverage_of(int64_t settles_ns, int64_t rows, int64_t now_ns);

typedef struct tl_segment {
  tl_range range;
  tl_coverage state;
  int64_t rows;       /* rows of the dataset in the range; -1 when not counted (a later statement cut the range) */
  const char *answer; /* the vendor's words when failed, what proves it when not asked ("calendar"); never NULL */
} tl_segment;

typedef struct tl_segments { /* sorted, disjoint; neighbours of one state (failed: and one answer) are one segment */
  tl_segment *items;
  size_t count, capacity;
  struct tl_ledger_text *text;
} tl_segments;

void tl_segments_deinit(tl_segments *segments);
/* Ranges that are not present or empty, of a list that spans the range asked for. */
tl_status tl_segments_open(const tl_segments *segments, tl_ranges *out, tl_error *err);
/* The gaps of coverage: session time of the exchange calendar that is missing, partial or failed, one segment per
 * session and state; nothing at or after now. Sessions are [04:00, 20:00) New York, whole days for `whole_days`
 * (bars of a day and longer, whose instant is midnight). `out` borrows the answers of `segments`. */
tl_status tl_segments_gaps(const tl_segments *segments, bool whole_days, int64_t now_ns, tl_segments *out,
                           tl_error *err);

/* ---- open ---- */

typedef struct tl_ledger tl_ledger;

/* The ledger of a lake: a file in a folder, entries on an object store (objects.h). Without `create` a lake that has none
 * is TL_ENOTFOUND. An older format is migrated, a newer one is TL_EUSAGE naming both. The store must live longer. */
tl_status tl_ledger_open(tl_store *lake, bool create, tl_ledger **out, tl_error *err);
void tl_ledger_close(tl_ledger *ledger); /* NULL is fine */
/* Renames a damaged ledger to a free name ledger.db.damaged-N, so that the next open creates an empty one. No other
 * process may have it open. On an object store an entry says that the ledger begins anew there. TL_OK when there is none. */
tl_status tl_ledger_set_aside(tl_store *lake, tl_error *err);

/* ---- facts of the lake ---- */

/* want "hive" or "flat", or "" to ask; got (at least 16 bytes) is "" while none is fixed. The first want is recorded;
 * another is TL_EUSAGE naming both, unless nothing was committed yet. */
tl_status tl_ledger_layout(tl_ledger *ledger, const char *want, char got[16], tl_error *err);

typedef struct tl_ledger_source { /* "" where it does not apply */
  char provider[24], feed[24], adjustment[24], asof[24], currency[16];
  char built_from[16]; /* "bars", "trades", "quotes": the wire the rows were made from */
  char conditions[16];
} tl_ledger_source;
/* Records the source of a dataset at its first import; another is TL_EUSAGE naming both, unless the dataset holds
 * nothing yet. want NULL only asks; got (may be NULL) is all "" while none is recorded. */
tl_status tl_ledger_source_of(tl_ledger *ledger, const char *dataset, const tl_ledger_source *want,
                              tl_ledger_source *got, tl_error *err);

/* ---- commit ---- */

typedef struct tl_ledger_unit {
  const char *dataset, *symbol;
  tl_range range;
  tl_coverage state;
  int64_t rows;                      /* rows of the dataset now in the range */
  int64_t wire_rows, bytes;          /* rows the vendor sent, bytes received for them: feed the planner's estimates */
  int64_t pages, rejected, asked_ns; /* asked_ns: when the last page was received */
  const char *hash;                  /* hex hash of the pages; NULL or "" when there were none */
  const char *answer;                /* see tl_segment; NULL is "" */
} tl_ledger_unit;

typedef struct tl_ledger_file {
  const char *path; /* relative to the lake, '/' between folders; the key */
  const char *dataset, *symbol;
  int64_t rows, bytes;
  const char *checksum;              /* xxh3-128 of the bytes, hex */
  int64_t time_min_ns, time_max_ns;  /* first and last row */
} tl_ledger_file;

typedef struct tl_ledger_counts {
  int64_t rows, rejected, files, requests, retries, bytes;
} tl_ledger_counts;

typedef struct tl_ledger_group {
  const tl_ledger_file *files; /* recorded, replacing what was recorded for their paths */
  size_t file_count;
  const char *const *removed; /* paths that are no more; an unknown one is fine */
  size_t removed_count;
  const tl_ledger_unit *units; /* stated in this order */
  size_t unit_count;
  int64_t run;             /* of tl_ledger_run_begin, 0 for none */
  tl_ledger_counts counts; /* added to the run's */
  /* Where no lock keeps others from the files until the commit (object stores): of a file that another process recorded
   * since `since` this is asked before its row is replaced, as the later row need not be of the later file. false: the
   * lake's file is another one by now, whose row stays or is still to come. A path of `removed` that was recorded since stays
   * as well. NULL: rows are replaced and removed. */
  int64_t since;           /* tl_ledger_seen before the first file was read */
  tl_status (*still)(void *to, const tl_ledger_file *file, bool *is, tl_error *err);
  void *to;
} tl_ledger_group;

/* How far this handle has read what others wrote; grows. 0 for a ledger in a folder. */
int64_t tl_ledger_seen(tl_ledger *ledger);

tl_status tl_ledger_commit(tl_ledger *ledger, const tl_ledger_group *group, tl_error *err); /* all or nothing */
/* All file rows are replaced by these, and the units are stated, in one transaction: for audit and adopt. */
tl_status tl_ledger_rebuild(tl_ledger *ledger, const tl_ledger_group *group, tl_error *err);
/* Fills in rows of -1: the units inside the range lose their counts, the first takes `rows`. For whoever counted. */
tl_status tl_ledger_recount(tl_ledger *ledger, const char *dataset, const char *symbol, tl_range range, int64_t rows,
                            tl_error *err);

/* ---- questions ---- */

/* Coverage of the range, with what is not known as missing segments; an empty range gives all that is known, without
 * missing ones. */
tl_status tl_ledger_coverage(tl_ledger *ledger, const char *dataset, const char *symbol, tl_range range,
                             tl_segments *out, tl_error *err);
/* For each symbol what of the range is not present or empty: out[count], {0} each. On failure all are {0}. */
tl_status tl_ledger_uncovered(tl_ledger *ledger, const char *dataset, const char *const *symbols, size_t count,
                              tl_range range, tl_ranges *out, tl_error *err);
/* Average rows the vendor sent per full session (16 hours of session time), from each symbol's newest units; 0 when
 * nothing is known. bytes_per_row is over the dataset, 0 when nothing is known. */
tl_status tl_ledger_estimates(tl_ledger *ledger, const char *dataset, const char *const *symbols, size_t count,
                              double *rows_per_session, double *bytes_per_row, tl_error *err);

typedef struct tl_ledger_series { /* one (dataset, symbol) of which units or files are known */
  const char *dataset, *symbol;
  tl_range asked; /* from the first unit's start to the last one's end; empty when only files are known */
  int64_t rows, bytes, files;
  int64_t time_min_ns, time_max_ns; /* of the files; min > max when there are none */
} tl_ledger_series;
typedef struct tl_ledger_series_list { /* by (dataset, symbol) in byte order */
  tl_ledger_series *items;
  size_t count, capacity;
  struct tl_ledger_text *text;
} tl_ledger_series_list;
/* NULL means any dataset, any symbol. */
tl_status tl_ledger_series_of(tl_ledger *ledger, const char *dataset, const char *symbol, tl_ledger_series_list *out,
                              tl_error *err);
void tl_ledger_series_deinit(tl_ledger_series_list *list);

typedef struct tl_ledger_file_list { /* by path in byte order */
  tl_ledger_file *items;
  size_t count, capacity;
  struct tl_ledger_text *text;
} tl_ledger_file_list;
tl_status tl_ledger_files(tl_ledger *ledger, const char *dataset, const char *symbol, tl_ledger_file_list *out,
                          tl_error *err);
void tl_ledger_files_deinit(tl_ledger_file_list *list);

/* ---- runs ---- */

typedef struct tl_ledger_result {
  const char *symbol, *reason; /* reason "" when it succeeded */
} tl_ledger_result;
typedef struct tl_ledger_result_list {
  tl_ledger_result *items;
  size_t count, capacity;
  struct tl_ledger_text *text;
} tl_ledger_result_list;

typedef struct tl_ledger_run {
  int64_t id, started_ns, ended_ns; /* ended_ns 0: running, or killed */
  const char *command, *message;
  int exit_code; /* -1 while it has not ended */
  tl_ledger_counts counts;
} tl_ledger_run;
typedef struct tl_ledger_run_list { /* newest first */
  tl_ledger_run *items;
  size_t count, capacity;
  struct tl_ledger_text *text;
} tl_ledger_run_list;

/* command: as the user typed it, without secrets. */
tl_status tl_ledger_run_begin(tl_ledger *ledger, const char *command, int64_t now_ns, int64_t *id, tl_error *err);
/* counts are the run's final ones: they replace what its groups added. message may be NULL. */
tl_status tl_ledger_run_end(tl_ledger *ledger, int64_t id, int64_t now_ns, int exit_code, const char *message,
                            const tl_ledger_counts *counts, const tl_ledger_result *results, size_t result_count,
                            tl_error *err);
tl_status tl_ledger_runs(tl_ledger *ledger, size_t runs_max, tl_ledger_run_list *out, tl_error *err);
void tl_ledger_runs_deinit(tl_ledger_run_list *list);
tl_status tl_ledger_run_results(tl_ledger *ledger, int64_t id, tl_ledger_result_list *out, tl_error *err);
void tl_ledger_results_deinit(tl_ledger_result_list *list);
#endif
