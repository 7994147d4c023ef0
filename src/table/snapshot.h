/* snapshot.h - what every table format fulfils: log -> snapshot -> live files and their statistics; edit -> new version.
 *
 * A format is one folder (delta/, iceberg/) and one row of known_formats.c. It knows its log and nothing else: it neither reads
 * nor writes data files. Operations (write, merge, optimize, ...: table/relation.h) are written once, over this contract.
 * Callers may rely on: a snapshot never changes once loaded; a commit is one new version or none (TL_ECONFLICT: another
 * writer's change touches what this edit read; load again and plan again); what cannot be honoured is refused by name
 * (TL_EUSAGE), never ignored; a log that is not what the format documents is TL_ECORRUPT naming file and place.
 * One tl_log per table handle; not thread-safe; many processes may hold one table.
 * Ownership: structs with heap members have a _deinit; an edit borrows everything for the call. */
#ifndef TL_TABLE_SNAPSHOT_H
#define TL_TABLE_SNAPSHOT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "engine/engine.h"
#include "store/store.h"

/* ---- schema ---- */

typedef enum tl_field_type {
  TL_FIELD_BOOL,
  TL_FIELD_I8,        /* Iceberg has none: TL_EUSAGE there */
  TL_FIELD_I16,       /* likewise */
  TL_FIELD_I32,
  TL_FIELD_I64,
  TL_FIELD_F32,
  TL_FIELD_F64,
  TL_FIELD_DECIMAL,   /* precision 1..38 */
  TL_FIELD_STRING,
  TL_FIELD_BINARY,
  TL_FIELD_DATE,
  TL_FIELD_TIMESTAMP, /* microseconds, UTC */
  TL_FIELD_TIMESTAMP_NTZ,
  TL_FIELD_LIST,      /* of a scalar */
  TL_FIELD_OTHER      /* readable by name only (struct, map, list of lists): tables that have one are never written */
} tl_field_type;

typedef struct tl_field {
  char *name;
  tl_field_type type, element; /* element: of LIST */
  int precision, scale;        /* of DECIMAL, or a LIST's DECIMAL element */
  bool nullable;
  int id, element_id;          /* field ids in the Parquet files, from 1; element_id 0 when no list */
  char *metadata;              /* Delta's JSON of the field, carried over; NULL: none */
  char *sql_type;              /* of OTHER: DuckDB's words for it; else NULL */
  bool hidden;                 /* of OTHER: its members may have other names in the files, so it cannot be read */
} tl_field;

typedef struct tl_fields {
  tl_field *items;
  size_t count;
  int last_id;
} tl_fields;

void tl_fields_deinit(tl_fields *fields);
tl_status tl_fields_copy(const tl_fields *from, tl_fields *out, tl_error *err);
int tl_fields_find(const tl_fields *fields, const char *name); /* exact, else ignoring case; -1 */
/* "BIGINT", "TIMESTAMPTZ", "DOUBLE[]", ... : DuckDB's word for the field's type, appended. */
tl_status tl_field_sql_type(const tl_field *field, tl_buf *out, tl_error *err);

/* ---- partitions ---- */

typedef enum tl_transform {
  TL_TRANSFORM_IDENTITY,
  TL_TRANSFORM_YEAR,
  TL_TRANSFORM_MONTH,
  TL_TRANSFORM_DAY,
  TL_TRANSFORM_BUCKET,
  TL_TRANSFORM_OTHER /* a table that has it can be read, not written */
} tl_transform;

/* Iceberg hides transforms (column -1). In Delta a partition is a column; one that our writer fills from another column
 * (`month` of `timestamp`) is stated in the table's configuration: "ticklake.partition.month": "month(timestamp)". */
typedef struct tl_partition_field {
  char *name;
  tl_transform transform;
  int source;  /* field the value comes from */
  int column;  /* field that holds the value itself: source for identity; -1 when no column does */
  int buckets; /* of BUCKET */
  int id;      /* Iceberg: 1000 on */
} tl_partition_field;

typedef struct tl_partitioning {
  tl_partition_field *items;
  size_t count;
} tl_partitioning;

void tl_partitioning_deinit(tl_partitioning *partitioning);
tl_status tl_partitioning_copy(const tl_partitioning *from, tl_partitioning *out, tl_error *err);

/* Partition values travel as text, NULL for null: strings as they are (never empty), integers and booleans ("true") plain,
 * dates YYYY-MM-DD, timestamps YYYY-MM-DDTHH:MM:SS.ffffffZ, year YYYY, month YYYY-MM, day YYYY-MM-DD, bucket its number. */

/* ---- files ---- */

typedef struct tl_datum { /* by the field's type: i64 (BOOL I8..I64 DATE: days, TIMESTAMP*: us, DECIMAL to 18 digits: unscaled), f64, text */
  int64_t i64;
  double f64;
  char *text; /* STRING, BINARY: heap, len bytes and a NUL behind them */
  size_t len;
} tl_datum;

typedef struct tl_column_bounds {
  bool has_min, has_max;       /* both false: unknown, no value, or bounds would be unsound (a NaN, an infinity in Delta) */
  bool exact;                  /* min and max occur; false: only bounds (cut strings) */
  int64_t null_count, nan_count, value_count, size_bytes; /* -1: unknown. value_count counts NULLs */
  tl_datum min, max;
} tl_column_bounds;

typedef struct tl_file_stats { /* by index of the snapshot's fields */
  tl_column_bounds *columns;
  size_t count;
} tl_file_stats;
void tl_file_stats_deinit(tl_file_stats *stats);
/* By index of `fields`, all unknown: null_count and the others -1. */
tl_status tl_file_stats_init(tl_file_stats *stats, size_t count, tl_error *err);

typedef struct tl_data_file {
  char *path;        /* a store key below the table's base, not escaped: what the disk or bucket holds. A file elsewhere: its full URI */
  char **partition;  /* one text per partition field */
  int64_t size_bytes, rows, modified_ms; /* rows -1: the log does not say */
  int64_t version;   /* Delta version or Iceberg sequence number that added it; 0 in an edit: to be filled */
  int spec_id;       /* Iceberg: its partition spec */
  tl_file_stats stats;   /* in an edit: what the log shall say; in a snapshot: empty, ask tl_snapshot_stats */
  void *raw;         /* the format's own form of the statistics */
} tl_data_file;
/* `partition_count` texts; raw is freed with tl_free. */
void tl_data_file_deinit(tl_data_file *file, size_t partition_count);

/* ---- snapshot ---- */

typedef struct tl_pair { char *key, *value; } tl_pair;

typedef struct tl_txn { char *app; int64_t version; } tl_txn;

typedef struct tl_snapshot {
  const struct tl_format *format;
  int64_t version;       /* Delta's version; Iceberg: snapshot id, -1 for a table without any */
  int64_t sequence;      /* grows by every commit: Delta's version, Iceberg's metadata number N of vN.metadata.json (REST: its sequence number) */
  int64_t timestamp_ms;
  char *table_id;
  char *name;            /* "" when it has none */
  tl_fields fields;
  bool by_id;            /* files may have other names for columns: these are found by field id (Iceberg) */
  tl_partitioning partitioning;
  tl_pair *properties;
  size_t property_count;
  tl_txn *txns;
  size_t txn_count;
  tl_data_file *files;   /* live ones, by path in byte order */
  size_t file_count;
  int64_t rows, bytes;   /* rows -1 when a file does not say */
  char *unwritable;      /* NULL, or why this engine must not write the table: the feature by name */
  void *own;             /* the format's */
} tl_snapshot;

void tl_snapshot_close(tl_snapshot *snapshot); /* NULL is fine */
const char *tl_snapshot_property(const tl_snapshot *snapshot, const char *key); /* NULL when not set */
/* Statistics of one live file, all unknown when the log has none; the caller deinits. */
tl_status tl_snapshot_stats(const tl_snapshot *snapshot, size_t file, tl_file_stats *out, tl_error *err);
int64_t tl_snapshot_txn(const tl_snapshot *snapshot, const char *app); /* -1: never committed */

typedef struct tl_at {
  enum { TL_AT_LATEST, TL_AT_VERSION, TL_AT_TIMESTAMP } kind;
  int64_t value; /* version (Iceberg: snapshot id), or ms since 1970: the newest at or before it */
} tl_at;

/* ---- edit ---- */

typedef enum tl_reads {
  TL_READS_NOTHING,    /* blind append: conflicts with nothing but protocol, schema and its own txn */
  TL_READS_REMOVED,    /* only the files it removes (optimize, zorder) */
  TL_READS_PARTITIONS, /* every file of the partitions in read_partitions (merge, replace) */
  TL_READS_ALL
} tl_reads;

typedef struct tl_edit {
  const char *operation;      /* Delta's words: WRITE, MERGE, DELETE, OPTIMIZE, RESTORE, ADD COLUMNS, SET TBLPROPERTIES, VACUUM END */
  const tl_pair *parameters;  /* operationParameters: value is text, or JSON text as Delta wants it */
  size_t parameter_count;
  const tl_pair *metrics;     /* operationMetrics, Iceberg: summary entries are counted by the format itself */
  size_t metric_count;
  const char *const *removes; /* paths of live files of the base snapshot */
  size_t remove_count;
  const tl_data_file *adds;   /* durable already; partition texts by the base's partitioning */
  size_t add_count;
  bool data_change;           /* false: the same rows in other files */
  tl_reads reads;
  const char *const *const *read_partitions; /* [read_partition_count][partitioning.count] */
  size_t read_partition_count;
  const tl_fields *fields;    /* the new schema, or NULL. Old fields keep their place and id; new ones are nullable */
  const tl_pair *properties;  /* set; a NULL value removes */
  size_t property_count;
  const char *txn_app;        /* NULL: none. Committed already at this version or later: TL_OK and `already` */
  int64_t txn_version;
} tl_edit;

typedef struct tl_committed {
  int64_t version, sequence, timestamp_ms;
  int attempts;  /* 1: nobody was faster */
  bool already;  /* the txn was there; nothing was committed */
} tl_committed;

typedef struct tl_version { /* one row of the history */
  int64_t version, sequence, timestamp_ms;
  const char *operation;
  const char *parameters_json, *metrics_json; /* one JSON object each */
  const char *engine, *user_text;
  int64_t parent; /* -1: none */
  bool current;
} tl_version;
typedef int (*tl_version_fn)(void *to, const tl_version *version); /* non-zero stops */

typedef struct tl_create {
  const char *name;           /* may be NULL */
  const tl_fields *fields;    /* ids 0 are given in order from 1 */
  const tl_partitioning *partitioning; /* may be NULL */
  const tl_pair *properties;
  size_t property_count;
} tl_create;

typedef struct tl_expired {
  int64_t versions, files, bytes; /* versions forgotten; log files deleted */
} tl_expired;

/* ---- the format ---- */

typedef struct tl_table_log tl_table_log;

typedef struct tl_table_env { /* borrowed by a log for its life */
  tl_engine *engine;          /* for Parquet checkpoints; open */
  const tl_settings *settings; /* may be NULL */
  const char *temp;           /* an existing local folder for short-lived files */
  const char *rest;           /* Iceberg: "NAMESPACE.TABLE" of the REST catalog in the settings (iceberg/rest.h); NULL: the folder is the catalog */
} tl_table_env;

typedef struct tl_format {
  const char *name; /* "delta", "iceberg" */
  /* Is there a table of this format at the store's base? */
  tl_status (*detect)(tl_store *store, bool *found, tl_error *err);
  tl_status (*open)(tl_store *store, const tl_table_env *env, tl_table_log **out, tl_error *err); /* the store outlives the log */
  void (*close)(tl_table_log *log);
  /* TL_ECONFLICT when there is a table already. */
  tl_status (*create)(tl_table_log *log, const tl_create *create, tl_committed *out, tl_error *err);
  /* TL_ENOTFOUND: no table, or no such version (cleaned up, or never was: the text says which). Repairs what a crash left
   * of the log itself (Iceberg's version hint). */
  tl_status (*load)(tl_table_log *log, tl_at at, tl_snapshot **out, tl_error *err);
  tl_status (*stats)(const tl_snapshot *snapshot, size_t file, tl_file_stats *out, tl_error *err);
  /* Commits on top of `base`, or of what others committed since where the rules allow it. */
  tl_status (*commit)(tl_table_log *log, const tl_snapshot *base, const tl_edit *edit, tl_committed *out, tl_error *err);
  tl_status (*history)(tl_table_log *log, size_t versions_max, tl_version_fn each, void *to, tl_error *err); /* newest first */
  /* Writes what makes opening quick (Delta: checkpoint and _last_checkpoint; Iceberg: manifests rewritten into few). */
  tl_status (*checkpoint)(tl_table_log *log, const tl_snapshot *snapshot, tl_error *err);
  /* Forgets versions older than before_ms (never the newest `keep_min`), and the log files only they need. before_ms below
   * 0: the table's own retention where it has one (Delta: delta.logRetentionDuration, 30 days). */
  tl_status (*expire)(tl_table_log *log, int64_t before_ms, int keep_min, bool dry_run, tl_expired *out, tl_error *err);
  /* Every data file any reachable version, or a tombstone younger than since_ms, still needs, and every log file: what a
   * vacuum must keep. Paths as in tl_data_file. */
  tl_status (*keeps)(tl_table_log *log, int64_t since_ms, int (*each)(void *to, const char *path), void *to, tl_error *err);
  void (*snapshot_deinit)(tl_snapshot *snapshot); /* of `own` */
} tl_format;

extern const tl_format tl_format_delta, tl_format_iceberg;
const tl_format *tl_format_find(const char *name); /* NULL when there is no such format */
/* The format of the table at the store's base: TL_ENOTFOUND when there is none; both faces: Delta. */
tl_status tl_format_detect(tl_store *store, const tl_format **out, tl_error *err);
#endif
