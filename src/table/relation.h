/* relation.h - one open table with its rows: what a user does to a Delta or Iceberg table, over table/snapshot.h.
 *
 * Callers may rely on:
 * - every verb is one commit (two faces: one each, see below) or none; a lost race is planned again from the newest
 *   snapshot, at most `attempts_max` times (in a folder the losers take turns); what an edit reads is what its rows were computed from;
 * - nothing is lost: a rewrite (merge, delete, optimize, zorder) is checked before it is committed: row counts add up
 *   and, where rows only move, the order-free content hash of each file set is the same; else TL_ECORRUPT naming the
 *   file and nothing is committed. Files of a failed verb are removed; files of a killed one are vacuum's;
 * - new data files are durable before the log names them. Old ones are deleted by vacuum only;
 * - types: rows are cast to the table's types where every value fits exactly; what would have to widen is TL_EUSAGE
 *   naming column and type; a column the table does not have is TL_EUSAGE unless add_columns; one the rows lack is NULL;
 * - partition values are escaped in paths (%XX of all but A-Za-z0-9._~-), empty text, NUL and over 200 escaped bytes are
 *   TL_EUSAGE naming the value; NULL lies in NAME=__HIVE_DEFAULT_PARTITION__;
 * - merge and replace read and write only the partitions their rows touch.
 * Faces: a folder with both logs is one table whose every edit goes to both (Delta first). A crash between the two is
 * repaired by the next open for writing; a foreign commit to one face is taken over into the other there, or refused by
 * name. Rows: SQL of the engine. Memory: the engine's limit; spills to `temp`. One thread per handle.
 * Not here: the logs (delta/, iceberg/), where a lake keeps its tables (table.h), the ledger. */
#ifndef TL_TABLE_RELATION_H
#define TL_TABLE_RELATION_H
#include "table/snapshot.h"

typedef struct tl_relation tl_relation;

typedef struct tl_relation_options {
  const tl_settings *settings; /* may be NULL */
  tl_engine *engine;           /* borrowed; NULL: one of its own is opened */
  const char *temp;            /* local folder for work files; NULL: TMPDIR or /tmp */
  int64_t memory_bytes;        /* of an engine of its own; 0: 1 GiB */
  int64_t file_bytes;          /* aimed size of a data file; 0: 128 MiB */
  int attempts_max;            /* 0: 40 */
  bool read_only;              /* no repair; verbs that write are TL_EUSAGE */
  const char *face;            /* "delta" or "iceberg": this face alone, read-only; NULL: the table with all its faces */
} tl_relation_options;

typedef struct tl_changed { /* what a verb did: `ticklake table` prints it */
  int64_t version, sequence;      /* of the first face; version -1: nothing was committed as nothing had to change */
  int64_t rows_inserted, rows_updated, rows_deleted, rows_copied;
  int64_t files_added, files_removed, bytes_added, bytes_removed;
  int attempts;
  bool already;                   /* txn was committed before */
} tl_changed;

/* uri as tl_store_open takes it, or "rest:NAMESPACE.TABLE" of the Iceberg catalog in the settings (iceberg/rest.h). TL_ENOTFOUND when no table lies there. */
tl_status tl_relation_open(const char *uri, const tl_relation_options *options, tl_relation **out, tl_error *err);
void tl_relation_close(tl_relation *relation); /* NULL is fine */

typedef struct tl_relation_create {
  const char *faces;          /* "delta", "iceberg" or "delta,iceberg" */
  const char *columns;        /* "symbol VARCHAR NOT NULL, timestamp TIMESTAMPTZ, close DOUBLE", or NULL: those of `query` */
  const char *query;          /* gives the schema, not rows; NULL with columns */
  const char *partition_by;   /* "symbol,month(timestamp),day(ts),bucket(16,symbol)"; NULL: none. Delta: identity, month, day, year */
  const char *name;
  const tl_pair *properties;
  size_t property_count;
} tl_relation_create;
/* Makes the table and opens it. TL_ECONFLICT when one is there. */
tl_status tl_relation_create_table(const char *uri, const tl_relation_options *options, const tl_relation_create *create,
                                   tl_relation **out, tl_error *err);

/* The newest snapshot as of open or the last refresh; views until the next verb. */
const tl_snapshot *tl_relation_snapshot(const tl_relation *relation);
tl_status tl_relation_refresh(tl_relation *relation, tl_error *err);
const char *tl_relation_faces(const tl_relation *relation); /* "delta", "iceberg", "delta,iceberg" */
tl_store *tl_relation_store(const tl_relation *relation);
tl_table_log *tl_relation_log(const tl_relation *relation);       /* of the first face */

/* ---- reading ---- */

/* Appends a SELECT over the live files of a snapshot: columns in schema order, partition columns filled in, files pruned by
 * `where` (SQL over the table's columns; NULL: all) through partition values and statistics. Files of an S3 table are
 * fetched into temp first and live until the relation is closed. at: NULL is the snapshot held. */
tl_status tl_relation_sql(tl_relation *relation, const tl_at *at, const char *where, tl_buf *sql, tl_error *err);
/* The same with two columns more: "tl#file" (files by path in byte order) and "tl#row", the row's number in its file. */
tl_status tl_relation_sql_placed(tl_relation *relation, const tl_at *at, const char *where, tl_buf *sql, tl_error *err);

/* ---- writing: `rows` is a SELECT (or FROM ...) of the engine ---- */

typedef struct tl_write {
  const char *rows;
  const char *txn_app;   /* NULL: none */
  int64_t txn_version;
  bool add_columns;      /* columns the table lacks are added, as the new schema, in the same commit */
  bool widen;            /* rewrites the table where a column must widen (int to bigint, float to double) */
  const char *order_by;  /* order of rows in the files; NULL: the table's property ticklake.sort, else as given */
} tl_write;

tl_status tl_relation_append(tl_relation *relation, const tl_write *write, tl_changed *out, tl_error *err);
/* Update + insert: rows with equal keys (comma-separated columns; NULLs are equal) replace the table's, the others are added. Of
 * rows with equal keys in `rows` itself TL_EUSAGE names one, unless they are equal throughout. Columns the rows lack keep what the
 * table holds; lacking a key or what decides the partition is TL_EUSAGE. */
tl_status tl_relation_merge(tl_relation *relation, const tl_write *write, const char *keys, tl_changed *out, tl_error *err);
/* Replaces what `where` (over any columns; NULL: the partitions the rows touch) selects by the rows, all of which must satisfy it. */
tl_status tl_relation_replace(tl_relation *relation, const tl_write *write, const char *where, tl_changed *out, tl_error *err);

typedef struct tl_replaced_range { /* [start, end) of one symbol, in units of the time column */
  const char *symbol;
  int64_t start, end;
} tl_replaced_range;
/* Replaces what the table holds of some symbols in some stretches of time by the rows, all of which must lie in one of them: thousands
 * of ranges in one commit, of which only files with a row inside are rewritten. Rows of equal sort keys stay in the order they
 * are given and had; rows_inserted counts those that were not there so, rows_deleted those that are no more. The time
 * column is an integer. */
tl_status tl_relation_replace_ranges(tl_relation *relation, const tl_write *write, const char *symbol_column, const char *time_column,
                                     const tl_replaced_range *ranges, size_t count, tl_changed *out, tl_error *err);
tl_status tl_relation_delete(tl_relation *relation, const char *where, tl_changed *out, tl_error *err);
tl_status tl_relation_add_columns(tl_relation *relation, const char *columns, tl_changed *out, tl_error *err);
tl_status tl_relation_set_properties(tl_relation *relation, const tl_pair *properties, size_t count, tl_changed *out, tl_error *err);
/* The rows as they were at `at`, as a new version; columns (newer ones are NULL) and properties stay today's. TL_EUSAGE naming the
 * column when its type was another then; TL_ENOTFOUND when files it needs are gone, naming one. */
tl_status tl_relation_restore(tl_relation *relation, tl_at at, tl_changed *out, tl_error *err);

/* ---- maintenance ---- */

typedef struct tl_optimize {
  const char *where;        /* over partition columns; NULL: all */
  const char *zorder_by;    /* comma-separated columns; NULL: bin-packing only */
  int64_t file_bytes;       /* 0: the relation's; files of three quarters of it and more are left alone when bin-packing */
} tl_optimize;
tl_status tl_relation_optimize(tl_relation *relation, const tl_optimize *optimize, tl_changed *out, tl_error *err);

typedef struct tl_vacuumed {
  int64_t files, bytes;     /* deleted, or that would be */
  int64_t kept;
} tl_vacuumed;
/* Deletes files no face needs: not referenced by a reachable snapshot or younger tombstone, and themselves older than
 * retain_ms. Under 168 h TL_EUSAGE unless force. each (may be NULL) is told every path. */
tl_status tl_relation_vacuum(tl_relation *relation, int64_t retain_ms, bool force, bool dry_run,
                             void (*each)(void *to, const char *path, int64_t bytes), void *to, tl_vacuumed *out, tl_error *err);
tl_status tl_relation_checkpoint(tl_relation *relation, tl_error *err);
tl_status tl_relation_expire(tl_relation *relation, int64_t before_ms, int keep_min, bool dry_run, tl_expired *out, tl_error *err);

typedef struct tl_verified {
  int64_t files, rows, bytes, wrong;
} tl_verified;
/* Reads every live file: there, size, row count, statistics sound, partition values those of the rows, no file twice; faces agree.
 * each is told what is wrong. */
tl_status tl_relation_verify(tl_relation *relation, void (*each)(void *to, const char *path, const char *problem), void *to,
                             tl_verified *out, tl_error *err);
#endif
