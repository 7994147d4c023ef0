/* import.h - plan an import, run it, keep a lake up to date, and ask what it holds. Part of ticklake.h. */
#ifndef TICKLAKE_IMPORT_H
#define TICKLAKE_IMPORT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ticklake/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tl_lake;
typedef int (*tl_write_fn)(void *user, const char *data, size_t len);

/** What a running import has done so far; all counters only grow. */
typedef struct tl_progress {
  size_t size;
  int64_t units_done, units_total;   /* chains of requests; the total may grow when a batch is split */
  int64_t rows, rejected;            /* rows decoded from the vendor's answers; rows that broke their contract */
  int64_t requests, retries, bytes;  /* sent, retries included; received */
  int64_t symbols_failed;
  int64_t elapsed_ns;
  double fraction;                   /* 0..1, by expected rows */
  int32_t in_flight, transfers_max;  /* transfers now, and how many adaptive concurrency allows */
  int64_t waiting_ns;                /* > 0: the rate budget makes everyone wait this long */
} tl_progress;

typedef struct tl_import_options {
  size_t size;
  const char *kind;          /* ticks quotes 1s 1m 5m 15m 30m 1h 1d 1w 1mo trades raw-quotes */
  const char *symbols;       /* "AAPL,MSFT"  "@list.csv"  "@list.txt"  "index:NAME" */
  const char *start, *end;   /* dates: exchange-local days, end included; instants (RFC 3339): [start, end) */
  const char *provider;      /* NULL: alpaca */
  const char *endpoint;      /* NULL: the environment, the settings, the vendor's own host */
  const char *layout;        /* hive (default), flat, delta, iceberg; fixed at a lake's first import */
  const char *feed, *adjustment, *asof, *currency;
  const char *bar;           /* ticks only: bar size, default 1s */
  const char *conditions;    /* sip (default): the tape's sale-condition rules; all: every trade */
  const char *partitioning;  /* calendar (default) or plain */
  const char *on_error;      /* bad rows: quarantine (default: kept in rejects/), skip, fail */
  const char *rate;          /* "200" or "200/min": at most so many requests in any 60 s, over all processes of the key */
  int32_t threads;           /* transfers in flight; 0: api_threads of the settings */
  int32_t retries;           /* of one request; 0: none, -1 (what tl_import_options_default sets): 3 */
  int32_t page_limit;        /* rows a page; 0: the vendor's largest */
  int32_t pages_per_unit;    /* 0: 5 */
  int32_t connect_timeout_ms, read_timeout_ms; /* 0: 10 s, 30 s */
  int64_t memory_max_bytes;  /* 0: 512 MiB */
  bool refresh;              /* ask again for what is covered */
  bool allow_http;           /* plain http to other hosts than loopback */
  int64_t look_back_ns;      /* tl_lake_update only: ask again for this much before now; 0: two sessions */
  void (*progress)(void *user, const tl_progress *progress); /* about 10 times a second, from one thread at a time */
  void *user;
  const char *faces;         /* of a lake of open tables: delta, iceberg or delta,iceberg; NULL: the layout's one */
} tl_import_options;

/** All defaults, with size set. */
TL_API tl_import_options tl_import_options_default(void);

typedef struct tl_import_result tl_import_result;

typedef struct tl_import_totals {
  size_t size;
  int64_t rows;     /* committed rows that were not there before, or changed */
  int64_t rejected, files, requests, retries, bytes;
  int64_t barless_volume; /* ticks: shares of trades in intervals no trade of which may set a price */
  double seconds;
  size_t successful_count, failed_count;
} tl_import_totals;

/** Fetches what the lake does not hold yet, shapes it and commits it.
 * @param out  May be NULL. Set whenever the run began, also on failure; the caller frees it with tl_import_result_free.
 * @return TL_OK also when some symbols failed (see the result); TL_EUSAGE; TL_EAUTH when the provider refused the
 *         credentials; TL_ECANCELED after tl_lake_cancel: what was whole is committed, running again resumes;
 *         TL_EIO, TL_ELEDGER, TL_ENOMEM when the run had to stop. */
TL_API tl_status tl_lake_import(struct tl_lake *lake, const tl_import_options *options, tl_import_result **out, tl_error *err);

/** As tl_lake_import for what is missing, partial or failed up to now, plus the look-back window, for the datasets the
 * lake holds: kind and symbols may be NULL for all; start and end are ignored; the source is the recorded one. */
TL_API tl_status tl_lake_update(struct tl_lake *lake, const tl_import_options *options, tl_import_result **out, tl_error *err);

TL_API void tl_import_result_totals(const tl_import_result *result, tl_import_totals *out);
/** i-th symbol without failure; views until the result is freed; NULL past the end. */
TL_API const char *tl_import_result_successful(const tl_import_result *result, size_t i);
/** i-th failed symbol, *reason why; NULL past the end. */
TL_API const char *tl_import_result_failed(const tl_import_result *result, size_t i, const char **reason);
/** i-th committed file, relative to the lake; NULL past the end. */
TL_API const char *tl_import_result_file(const tl_import_result *result, size_t i);
TL_API void tl_import_result_free(tl_import_result *result);

/** Writes what an import would ask for: requests, pages, rows, bytes, minutes at the key's rate. Fetches nothing.
 * @param json  One JSON document instead of a table. */
TL_API tl_status tl_lake_plan(struct tl_lake *lake, const tl_import_options *options, bool json, tl_write_fn write,
                              void *user, tl_error *err);

/** One stretch of time of one symbol, half-open, and what the lake knows of it. Strings live for the callback. */
typedef struct tl_coverage_row {
  size_t size;
  const char *kind, *symbol; /* kind is the dataset, e.g. "equities_1min" */
  int64_t start_ns, end_ns;
  const char *state;         /* present empty partial failed missing */
  int64_t rows;              /* of the dataset in it; -1 when a later answer cut the stretch and nobody counted since */
  const char *reason;        /* of failed; else "" */
} tl_coverage_row;
typedef int (*tl_coverage_fn)(void *user, const tl_coverage_row *row); /* non-zero stops */

/** What the lake holds, by symbol and range. kind and symbols may be NULL for all. */
TL_API tl_status tl_lake_coverage(struct tl_lake *lake, const char *kind, const char *symbols, tl_coverage_fn each,
                                  void *user, tl_error *err);
/** Session ranges between the first and the last covered instant of each symbol that are missing, partial or failed;
 * never an interval the vendor answered without rows. */
TL_API tl_status tl_lake_gaps(struct tl_lake *lake, const char *kind, const char *symbols, tl_coverage_fn each,
                              void *user, tl_error *err);

typedef struct tl_audit_row {
  size_t size;
  const char *path;    /* relative to the lake */
  const char *verdict; /* sound, missing, unrecorded, changed, unreadable, unsorted, leftover, repaired */
  const char *detail;
  bool ok;
} tl_audit_row;
typedef int (*tl_audit_fn)(void *user, const tl_audit_row *row);

/** Compares files with the ledger: there, readable, rows, checksums, order, no key twice.
 * @param repair   Record what the files hold and remove leftovers of interrupted runs.
 * @param sound    Set to whether everything holds (after repair). */
TL_API tl_status tl_lake_audit(struct tl_lake *lake, const char *kind, const char *symbols, bool repair,
                               tl_audit_fn each, void *user, bool *sound, tl_error *err);

/** Takes over an existing hive or flat lake made by others, in place, without duplicates: tl_lake_path is the folder.
 * Files are rewritten in this lake's form, their days recorded as covered; files that cannot be read are left and named. */
TL_API tl_status tl_lake_adopt(struct tl_lake *lake, const tl_import_options *options, tl_audit_fn each, void *user,
                               tl_error *err);

/** Stores `symbols` as index NAME (metadata/indices/NAME.csv): known symbols keep their added_date, absent ones get a
 * removed_date. */
TL_API tl_status tl_lake_index_store(struct tl_lake *lake, const char *name, const char *symbols, tl_error *err);

typedef struct tl_index_row {
  size_t size;
  const char *index, *symbol, *added_date, *removed_date; /* RFC 3339 UTC; removed_date "" while a member */
} tl_index_row;
typedef int (*tl_index_fn)(void *user, const tl_index_row *row);
/** Members of an index, past ones included; NAME NULL: one row per stored index (symbol ""). */
TL_API tl_status tl_lake_index_load(struct tl_lake *lake, const char *name, tl_index_fn each, void *user, tl_error *err);

/** One line per thing checked: settings, keys (never their values), endpoint, lake, disk, zone data, clock.
 * @param ok  Set to whether an import could run. */
typedef int (*tl_doctor_fn)(void *user, const char *what, bool ok, const char *detail);
TL_API tl_status tl_lake_doctor(struct tl_lake *lake, const tl_import_options *options, tl_doctor_fn each, void *user,
                                bool *ok, tl_error *err);

#ifdef __cplusplus
}
#endif
#endif
