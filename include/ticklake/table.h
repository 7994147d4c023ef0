/* table.h - one open table, Delta Lake or Apache Iceberg, on a disk or on S3. Part of ticklake.h; stands alone too.
 *
 *     tl_table *table = NULL;
 *     tl_table_create_options c = {.size = sizeof c, .columns = "symbol VARCHAR, timestamp TIMESTAMPTZ, close DOUBLE",
 *                                  .faces = "delta,iceberg", .partition_by = "month(timestamp)"};
 *     tl_status st = tl_table_create("lake/closes", NULL, &c, &table, &err);
 *     tl_table_write_options w = {.size = sizeof w, .from = "closes.csv", .keys = "symbol,timestamp"};
 *     tl_table_change change = {.size = sizeof change};
 *     if (!st) st = tl_table_merge(table, &w, &change, &err);
 *
 * A verb that writes is one commit (one for each face of a table with two) or none: readers see the table before or after
 * it. Verbs plan again when another writer was faster. Nothing is lost: a rewrite is checked against what it read before it is
 * committed, and old files stay until tl_table_vacuum.
 * A URI is a path (relative to the working directory), file:/path, or s3://bucket/prefix with the AWS_ variables, [s3] of
 * the settings, or a profile. Which format a table has is found out by looking.
 * Versions and times are text: a version as tl_table_history gives it (Delta's version, Iceberg's snapshot id); a time is
 * RFC 3339, or a date or a time without a zone, which are UTC, and means the newest version at or before it.
 * WHERE conditions, expressions and queries are SQL of the embedded DuckDB.
 * Options: as in ticklake.h, size first, zeroed members mean the default. Results: the caller sets size, the rest is filled.
 * Strings given to callbacks live for the call; those of tl_table_info until the next call with the table.
 * One thread at a time per tl_table; tables, and processes on one table, are independent. */
#ifndef TICKLAKE_TABLE_H
#define TICKLAKE_TABLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ticklake/arrow.h"
#include "ticklake/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tl_table tl_table;

typedef struct tl_table_options {
  size_t size;
  const char *config_file;  /* as for a lake: settings.ini, whose [s3] counts here */
  const char *temp;         /* local folder for work files; NULL: TMPDIR, else /tmp */
  int64_t memory_max_bytes; /* of the engine; 0: a quarter of the machine's, 1 GiB at least. What does not fit spills to temp */
  int64_t file_bytes;       /* aimed size of a data file; 0: 128 MiB */
  int32_t attempts_max;     /* commits tried while others are faster; 0: 40 */
  bool read_only;           /* nothing of the table is written or repaired; verbs that write are TL_EUSAGE */
  const char *face;         /* of a table with two, "delta" or "iceberg": that one's versions, read-only; NULL: the table */
} tl_table_options;

/** @param options  May be NULL.
 * @param out       On TL_OK the caller owns *out and closes it with tl_table_close.
 * @return TL_OK; TL_ENOTFOUND when there is no table; TL_ECORRUPT naming the file that is not what the format says;
 *         TL_EUSAGE for a feature this library does not read, by name; TL_EAUTH, TL_ENET, TL_EIO, TL_ENOMEM. */
TL_API tl_status tl_table_open(const char *uri, const tl_table_options *options, tl_table **out, tl_error *err);
TL_API void tl_table_close(tl_table *table); /* NULL is fine */

typedef struct tl_table_create_options {
  size_t size;
  const char *faces;          /* "delta" (default), "iceberg", or "delta,iceberg": one set of files under both logs */
  const char *columns;        /* "symbol VARCHAR NOT NULL, timestamp TIMESTAMPTZ, close DOUBLE"; NULL: those of `from` */
  const char *from;           /* as of tl_table_write_options: gives the columns, no rows */
  const char *partition_by;   /* "symbol,month(timestamp)"; also year(), day(), bucket(16,symbol) */
  const char *name;
  const char *const *properties; /* "key=value", ended by NULL */
} tl_table_create_options;

/** Makes an empty table. @return as tl_table_open; TL_ECONFLICT when there is a table already. */
TL_API tl_status tl_table_create(const char *uri, const tl_table_options *options, const tl_table_create_options *create,
                                 tl_table **out, tl_error *err);

/* ---- what a table is ---- */

typedef struct tl_table_info {
  size_t size;
  const char *uri, *format, *faces, *id, *name; /* faces: "delta", "iceberg" or "delta,iceberg"; format: the first of them, whose
                                 versions are told */
  const char *partition_by;   /* "symbol,month(timestamp)"; "" when it is not partitioned */
  const char *unwritable;     /* NULL, or the feature for which this library does not write the table */
  int64_t version, sequence;  /* Delta: its version, both; Iceberg: snapshot id (-1: none yet), metadata number */
  int64_t timestamp_ms;       /* of the version; since 1970 UTC */
  int64_t files, rows, bytes; /* live ones; rows -1 when the log does not say */
} tl_table_info;

/** version and timestamp: at most one; both NULL: the newest. @return TL_ENOTFOUND for a version that is not there (any more). */
TL_API tl_status tl_table_describe(tl_table *table, const char *version, const char *timestamp, tl_table_info *out, tl_error *err);

typedef struct tl_table_column {
  size_t size;
  const char *name, *type;    /* type in DuckDB's words: BIGINT, TIMESTAMPTZ, DOUBLE[], ... */
  bool nullable;
  int32_t id;                 /* field id by the log of the face shown: in the Parquet files too, but for a table with both faces, whose files have Iceberg's */
  const char *partition;      /* "identity", "month", "bucket(16)", ... when partitions come from it; else "" */
} tl_table_column;
TL_API tl_status tl_table_schema(tl_table *table, const char *version, const char *timestamp,
                                 int (*each)(void *user, const tl_table_column *column), void *user, tl_error *err);
TL_API tl_status tl_table_properties(tl_table *table, int (*each)(void *user, const char *key, const char *value), void *user,
                                     tl_error *err);

typedef struct tl_table_version {
  size_t size;
  int64_t version, sequence, timestamp_ms, parent; /* sequence: Iceberg's of the snapshot; parent -1: none */
  const char *operation;                 /* WRITE, MERGE, DELETE, OPTIMIZE, ...; Iceberg: append, overwrite, replace, delete */
  const char *parameters_json, *metrics_json; /* one object each */
  const char *engine;                    /* who wrote it; "" when it does not say */
  bool current;
} tl_table_version;
/** Newest first. @param limit  0: all the log still knows. A non-zero answer of each stops. */
TL_API tl_status tl_table_history(tl_table *table, int64_t limit, int (*each)(void *user, const tl_table_version *version),
                                  void *user, tl_error *err);

/* ---- reading ---- */

typedef struct tl_table_read_options {
  size_t size;
  const char *version, *timestamp; /* at most one; NULL: the newest */
  const char *columns;        /* comma list, or any SELECT list; NULL: all */
  const char *where;          /* files are left out by partition values and statistics where it allows */
  int64_t limit;              /* rows; 0: all */
} tl_table_read_options;

/** Rows in no order but that of the files; times UTC. @param out  Released by the caller before the table is closed. */
TL_API tl_status tl_table_read(tl_table *table, const tl_table_read_options *options, struct ArrowArrayStream *out, tl_error *err);

/* ---- writing ---- */

/** What a verb did. */
typedef struct tl_table_change {
  size_t size;
  int64_t version, sequence;  /* version -1: nothing had to change and nothing was committed */
  int64_t rows_inserted, rows_updated, rows_deleted, rows_copied; /* copied: moved to another file unchanged */
  int64_t files_added, files_removed, bytes_added, bytes_removed;
  int32_t attempts;
  bool already;               /* the txn was committed before */
} tl_table_change;

typedef struct tl_table_write_options {
  size_t size;
  const char *from;           /* a Parquet, CSV or JSON file (.gz too, a glob, s3://...), or a query: SELECT, WITH, FROM,
                                 VALUES, TABLE ...; delta('URI') and iceberg('URI') stand for tables in it */
  struct ArrowArrayStream *stream; /* instead of from: read to its end and released, also on failure */
  const char *keys;           /* merge: "symbol,timestamp" */
  const char *where;          /* replace: what the rows stand for; NULL: the partitions they touch */
  const char *txn_app;        /* with txn_version: a unit of work that is committed once, however often it is tried */
  int64_t txn_version;
  bool add_columns;           /* columns the table lacks are added; otherwise TL_EUSAGE names them */
  bool widen;                 /* a column that has to widen (INTEGER to BIGINT) is rewritten; otherwise TL_EUSAGE names it */
  const char *order_by;       /* of the rows in their files; NULL: property ticklake.sort, else as they come */
} tl_table_write_options;

/** Each verb that writes: @param out may be NULL. @return TL_OK; TL_EUSAGE for rows that do not fit, naming column or row;
 * TL_ECONFLICT when other writers won every attempt; TL_ECORRUPT when what was written is not what was read. */
TL_API tl_status tl_table_append(tl_table *table, const tl_table_write_options *options, tl_table_change *out, tl_error *err);
/** Rows with equal keys replace the table's, the others are added. Columns the rows do not have keep what the table holds; keys and
 * columns that decide the partition must be there. */
TL_API tl_status tl_table_merge(tl_table *table, const tl_table_write_options *options, tl_table_change *out, tl_error *err);
TL_API tl_status tl_table_replace(tl_table *table, const tl_table_write_options *options, tl_table_change *out, tl_error *err);
TL_API tl_status tl_table_delete(tl_table *table, const char *where, tl_table_change *out, tl_error *err);
/** columns: as in tl_table_create_options. Rows that are there get NULL. */
TL_API tl_status tl_table_add_columns(tl_table *table, const char *columns, tl_table_change *out, tl_error *err);
/** properties: "key=value" sets, "key" alone removes; ended by NULL. */
TL_API tl_status tl_table_set_properties(tl_table *table, const char *const *properties, tl_table_change *out, tl_error *err);
/** The rows as they were, as a new version; columns and properties stay today's. One of version and timestamp. A column whose
 * type was another then is TL_EUSAGE (Iceberg alone reads a narrower one as today's): tl_table_replace puts such rows back. */
TL_API tl_status tl_table_restore(tl_table *table, const char *version, const char *timestamp, tl_table_change *out, tl_error *err);

/* ---- maintenance ---- */

typedef struct tl_table_optimize_options {
  size_t size;
  const char *where;          /* over partition columns; NULL: the whole table */
  const char *zorder_by;      /* "symbol,timestamp": rows are clustered by these; NULL: small files are packed, and that is all */
  int64_t file_bytes;         /* 0: that of the table's options */
} tl_table_optimize_options;
TL_API tl_status tl_table_optimize(tl_table *table, const tl_table_optimize_options *options, tl_table_change *out, tl_error *err);

typedef struct tl_table_vacuum_options {
  size_t size;
  int64_t retain_ms;          /* files younger than this stay; 0: 168 hours; below 0: none is kept for its age */
  bool force;                 /* less than 168 hours: a reader or a writer that is at work may lose its files */
  bool dry_run;
  void (*each)(void *user, const char *path, int64_t bytes); /* every file, relative to the table; may be NULL */
  void *user;
} tl_table_vacuum_options;
typedef struct tl_table_vacuumed {
  size_t size;
  int64_t files, bytes, kept;
} tl_table_vacuumed;
/** Deletes files that no face needs: Delta those of its newest version and those removed within the
 * retention, Iceberg those of every snapshot.
 * options and out may be NULL. */
TL_API tl_status tl_table_vacuum(tl_table *table, const tl_table_vacuum_options *options, tl_table_vacuumed *out, tl_error *err);

/** Delta: a checkpoint of the newest version; Iceberg: manifests rewritten into few. Opening is quick afterwards. */
TL_API tl_status tl_table_checkpoint(tl_table *table, tl_error *err);

typedef struct tl_table_expire_options {
  size_t size;
  int64_t older_than_ms;      /* versions older than this ago are forgotten; must be above 0 */
  int32_t keep_min;           /* the newest that stay whatever their age; 0: 1 */
  bool dry_run;
} tl_table_expire_options;
typedef struct tl_table_expired {
  size_t size;
  int64_t versions, files, bytes; /* forgotten; log files deleted */
} tl_table_expired;
/** Forgets old versions: time travel to them ends, and the next vacuum may delete what only they needed. */
TL_API tl_status tl_table_expire(tl_table *table, const tl_table_expire_options *options, tl_table_expired *out, tl_error *err);

typedef struct tl_table_verified {
  size_t size;
  int64_t files, rows, bytes, wrong;
} tl_table_verified;
/** Reads every live file: there, its size, row count, statistics and partition values; the faces agree.
 * @param each  Told what is wrong; may be NULL.
 * @return TL_OK also when something is wrong: out->wrong counts it. */
TL_API tl_status tl_table_verify(tl_table *table, void (*each)(void *user, const char *path, const char *problem), void *user,
                                 tl_table_verified *out, tl_error *err);

#ifdef __cplusplus
}
#endif
#endif
