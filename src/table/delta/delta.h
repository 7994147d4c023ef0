/* delta.h - what the files of delta/ share: actions of a log, the state they add up to, one handle.
 *
 * A commit file is parsed into actions, a checkpoint too; a state is actions applied in the order of versions; a snapshot
 * is a state in the terms of table/snapshot.h. Files (adds and removes) are single heap blocks that never change and
 * are counted, so states and snapshots share them. Private to delta/: no other folder includes this. */
#ifndef TL_TABLE_DELTA_DELTA_H
#define TL_TABLE_DELTA_DELTA_H
#include <stdatomic.h>

#include "json/read.h"
#include "json/write.h"
#include "table/snapshot.h"

#define TL_DELTA_LOG "_delta_log/"
#define TL_DELTA_HINT "_delta_log/_last_checkpoint"
enum { TL_DELTA_KEY_MAX = 64, TL_DELTA_UUID_MAX = 37 };
#define TL_DELTA_COMMIT_BYTES_MAX ((size_t)1 << 30)

/* ---- actions ---- */

typedef struct tl_delta_file { /* an add or a remove; path, stats and pairs lie in the same block */
  atomic_uint refs;
  bool removed, data_change;
  bool has_vector;           /* a deletion vector: we do not read those */
  bool has_partition;        /* a remove may come without */
  char *path;                /* as the log spells it */
  char *stats;               /* JSON text, or NULL */
  tl_pair *partition, *tags; /* value NULL: null */
  size_t partition_count, tag_count;
  int64_t size_bytes;        /* -1: a remove that does not say */
  int64_t modified_ms;       /* of an add */
  int64_t deleted_ms;        /* of a remove; 0 when it does not say */
  int64_t version;           /* that added it; of a file from a checkpoint the checkpoint's */
} tl_delta_file;

typedef struct tl_delta_words { tl_text key, value; } tl_delta_words; /* value.data NULL: null */

typedef struct tl_delta_draft { /* a file to be: all borrowed */
  tl_delta_file fixed;          /* its flags and numbers */
  tl_text path, stats;          /* stats.data NULL: none */
  const tl_delta_words *partition, *tags;
  size_t partition_count, tag_count;
} tl_delta_draft;

tl_delta_file *tl_delta_file_new(const tl_delta_draft *draft); /* one reference; NULL when memory ran out */
tl_delta_file *tl_delta_file_ref(tl_delta_file *file);
void tl_delta_file_unref(tl_delta_file *file); /* NULL is fine */
bool tl_delta_file_equal(const tl_delta_file *a, const tl_delta_file *b); /* all but version, data_change and order of pairs' memory */

typedef struct tl_delta_names { char **items; size_t count; } tl_delta_names;
bool tl_delta_names_has(const tl_delta_names *names, const char *name);
tl_status tl_delta_names_add(tl_delta_names *names, tl_text name, tl_error *err);
void tl_delta_names_deinit(tl_delta_names *names);

typedef struct tl_delta_protocol {
  int64_t reader, writer;
  tl_delta_names reader_features, writer_features;
} tl_delta_protocol;
void tl_delta_protocol_deinit(tl_delta_protocol *protocol);

typedef struct tl_delta_pairs { tl_pair *items; size_t count; } tl_delta_pairs;
tl_status tl_delta_pairs_set(tl_delta_pairs *pairs, tl_text key, tl_text value, tl_error *err); /* value.data NULL removes */
const char *tl_delta_pairs_get(const tl_delta_pairs *pairs, const char *key);
void tl_delta_pairs_deinit(tl_delta_pairs *pairs);

typedef struct tl_delta_metadata {
  char *id, *name, *description; /* name, description may be NULL */
  char *schema;                  /* schemaString */
  tl_delta_names partition_columns;
  tl_delta_pairs configuration;
  int64_t created_ms;            /* -1: not said */
} tl_delta_metadata;
void tl_delta_metadata_deinit(tl_delta_metadata *metadata);
tl_status tl_delta_metadata_copy(const tl_delta_metadata *from, tl_delta_metadata *out, tl_error *err);

typedef struct tl_delta_txn { char *app; int64_t version, updated_ms; } tl_delta_txn; /* updated_ms -1: not said */

typedef struct tl_delta_info { /* commitInfo; texts NULL when absent */
  char *operation, *parameters, *metrics, *engine, *user_text, *txn_id;
  int64_t timestamp_ms, in_commit_ms, read_version; /* -1: absent */
} tl_delta_info;

typedef struct tl_delta_actions { /* of one commit or checkpoint; {0} is empty */
  int64_t version;
  bool has_protocol, has_metadata, has_info;
  tl_delta_protocol protocol;
  tl_delta_metadata metadata;
  tl_delta_info info;
  tl_delta_txn *txns;
  size_t txn_count, txn_capacity;
  tl_delta_file **files; /* adds and removes as they stand */
  size_t file_count, file_capacity;
} tl_delta_actions;
void tl_delta_actions_deinit(tl_delta_actions *actions);
tl_status tl_delta_actions_add_file(tl_delta_actions *actions, const tl_delta_draft *draft, tl_error *err);
tl_status tl_delta_actions_add_txn(tl_delta_actions *actions, tl_text app, int64_t version, int64_t updated_ms, tl_error *err);

/* Reads a commit file. TL_ECORRUPT names `name` and the line; a file twice in one commit is one of them. actions->version
 * must be set; deinit also after a failure. */
tl_status tl_delta_parse(const char *name, tl_text text, tl_delta_actions *actions, tl_error *err);

/* ---- actions as lines ---- */

tl_status tl_delta_put_protocol(tl_buf *out, const tl_delta_protocol *protocol, tl_error *err);
tl_status tl_delta_put_metadata(tl_buf *out, const tl_delta_metadata *metadata, tl_error *err);
tl_status tl_delta_put_txn(tl_buf *out, const tl_delta_txn *txn, tl_error *err);
tl_status tl_delta_put_file(tl_buf *out, const tl_delta_file *file, tl_error *err);
/* Appends the text of a JSON value; TL_ELIMIT when it nests too deep to be written again. */
tl_status tl_delta_put_value(tl_buf *out, const tl_json_value *value, tl_error *err);
void tl_delta_uuid(char out[TL_DELTA_UUID_MAX]); /* random, version 4 */

/* ---- schema, protocol, paths, statistics: pure ---- */

tl_status tl_delta_schema_read(const char *schema, tl_fields *out, tl_error *err);
/* The schema text of `fields`. Where `old` (may be NULL) has the field of that name and type, its own JSON is kept. */
tl_status tl_delta_schema_write(const tl_fields *fields, const char *old, tl_buf *out, tl_error *err);
/* Partition columns and the property ticklake.partition.NAME. */
tl_status tl_delta_partitioning_read(const tl_delta_metadata *metadata, const tl_fields *fields, tl_partitioning *out, tl_error *err);
/* "month(timestamp)"; the table's property for a column that our writer fills. */
tl_status tl_delta_partitioning_write(const tl_partitioning *partitioning, const tl_fields *fields, tl_delta_metadata *metadata, tl_error *err);

tl_status tl_delta_protocol_for(const tl_fields *fields, tl_delta_protocol *out, tl_error *err); /* what a new table declares */
tl_status tl_delta_check_readable(const tl_delta_protocol *protocol, const tl_delta_metadata *metadata, tl_error *err);
/* Why we must not write the table, on the heap; NULL: we may. */
/* Values of the properties we act on, as a user sets them: TL_EUSAGE by name, where a log's own would count as not set. */
tl_status tl_delta_check_properties(const tl_pair *properties, size_t count, tl_error *err);
tl_status tl_delta_unwritable(const tl_delta_protocol *protocol, const tl_delta_metadata *metadata, const tl_fields *fields, char **why, tl_error *err);

/* add.path <-> store key. A file elsewhere keeps its URI, decoded. base: tl_store_uri. */
tl_status tl_delta_path_read(const char *base, const char *path, tl_buf *key, tl_error *err);
tl_status tl_delta_path_write(const char *key, tl_buf *path, tl_error *err);
/* A partition value's text in the log <-> that of snapshot.h (instants differ). NULL and "" are null: *out NULL. */
tl_status tl_delta_value_read(const tl_field *field, const char *text, char **out, tl_error *err);
tl_status tl_delta_value_write(const tl_field *field, const char *text, tl_buf *out, tl_error *err);

/* stats JSON of a file; nothing is appended when the rows are not known. */
tl_status tl_delta_stats_write(const tl_data_file *file, const tl_fields *fields, const tl_partitioning *partitioning,
                               const tl_delta_metadata *metadata, tl_buf *out, tl_error *err);
/* Lenient: what cannot be understood is unknown. `out` has been initialised. */
tl_status tl_delta_stats_read(const char *stats, const tl_fields *fields, tl_file_stats *out, tl_error *err);
int64_t tl_delta_stats_rows(const char *stats); /* numRecords, -1 when it does not say; a scan of the first bytes */

/* Instants of any year 1..9999: microseconds since 1970. */
bool tl_delta_instant_parse(const char *text, size_t len, int64_t *out_us, unsigned *fraction_digits);
bool tl_delta_instant_format(int64_t us, unsigned digits, bool zone, char separator, char out[40]); /* digits 3 or 6 */

/* ---- state ---- */

typedef struct tl_delta_state {
  int64_t version;          /* -1: nothing yet */
  int64_t timestamp_ms;
  int64_t checkpoint;       /* version of the checkpoint it began with; -1: none */
  bool has_protocol, has_metadata;
  tl_delta_protocol protocol;
  tl_delta_metadata metadata;
  tl_delta_txn *txns;
  size_t txn_count, txn_capacity;
  tl_delta_file **slots;    /* hash of files by path, live and removed */
  size_t slot_count, used, live;
  char etag[sizeof((tl_store_info *)0)->etag]; /* of its newest commit file; "" when that is gone */
} tl_delta_state;
void tl_delta_state_init(tl_delta_state *state);
void tl_delta_state_deinit(tl_delta_state *state);
/* Takes what the actions hold out of them. */
tl_status tl_delta_state_apply(tl_delta_state *state, tl_delta_actions *actions, tl_error *err);
tl_delta_file *tl_delta_state_find(const tl_delta_state *state, const char *path); /* NULL: never heard of */
bool tl_delta_state_next(const tl_delta_state *state, size_t *at, tl_delta_file **file); /* begins with *at 0 */

/* ---- the handle ---- */

struct tl_table_log {
  tl_store *store;
  const tl_table_env *env;
  tl_delta_state newest;  /* of the last load, so that the next one reads what is new only */
  bool has_newest;
};

typedef struct tl_delta_own { /* of a snapshot */
  tl_delta_protocol protocol;
  tl_delta_metadata metadata;
  tl_delta_file **files; /* as the snapshot's */
  size_t file_count;
} tl_delta_own;

/* Appends the line commitInfo of an edit; read_version -1: none was read. */
tl_status tl_delta_put_info(const tl_edit *edit, bool blind, int64_t read_version, int64_t now_ms, tl_buf *out, tl_error *err);
extern const char tl_delta_engine[];                       /* engineInfo: "ticklake/VERSION" */
void tl_delta_commit_key(int64_t version, char out[TL_DELTA_KEY_MAX]);
tl_status tl_delta_snapshot_of(const tl_table_log *log, const tl_delta_state *state, tl_snapshot **out, tl_error *err);
void tl_delta_snapshot_deinit(tl_snapshot *snapshot);
tl_status tl_delta_stats(const tl_snapshot *snapshot, size_t file, tl_file_stats *out, tl_error *err);

/* Reads one commit file: TL_ENOTFOUND when there is none. info may be NULL. */
tl_status tl_delta_read_commit(tl_table_log *log, int64_t version, tl_delta_actions *out, tl_store_info *info, tl_error *err);

/* What lies in _delta_log: one entry per file that matters, in the order of keys. */
typedef struct tl_delta_entry {
  int64_t version, size_bytes, mtime_ms;
  enum { TL_DELTA_JSON, TL_DELTA_CHECKPOINT, TL_DELTA_OTHER } kind; /* OTHER: belongs to a version, is not needed to read it */
  int part, parts;       /* of a checkpoint: 1 of 1, ... */
  char etag[sizeof((tl_store_info *)0)->etag];
  char *key;
} tl_delta_entry;
typedef struct tl_delta_entries {
  tl_delta_entry *items;
  size_t count, capacity;
} tl_delta_entries;
/* Versions [from, to]; to INT64_MAX: all. */
tl_status tl_delta_list(tl_table_log *log, int64_t from, int64_t to, tl_delta_entries *out, tl_error *err);
void tl_delta_entries_deinit(tl_delta_entries *entries);
/* Timestamps must grow with versions; where two files' do not, the later counts as 1 ms after the former. */
void tl_delta_entries_order_times(tl_delta_entries *entries);
/* The newest version <= to with a complete checkpoint, and its first entry: -1 when there is none. */
int64_t tl_delta_entries_checkpoint(const tl_delta_entries *entries, int64_t to, size_t *first);

/* version -1: the newest. `state` has been initialised. */
tl_status tl_delta_replay(tl_table_log *log, int64_t version, tl_delta_state *state, tl_error *err);
tl_status tl_delta_advance(tl_table_log *log, tl_error *err); /* log->newest becomes the newest */
tl_status tl_delta_version_at(tl_table_log *log, int64_t at_ms, int64_t *version, tl_error *err);

tl_status tl_delta_commit(tl_table_log *log, const tl_snapshot *base, const tl_edit *edit, tl_committed *out, tl_error *err);
/* The rules by which a lost race may be run again. `winner` is one commit after base; *already: it holds our txn. */
tl_status tl_delta_conflict(const tl_snapshot *base, const tl_edit *edit, const tl_delta_actions *winner, bool *already, tl_error *err);

/* ---- checkpoints ---- */

tl_status tl_delta_checkpoint_read(tl_table_log *log, const tl_delta_entry *parts, tl_delta_actions *out, tl_error *err);
tl_status tl_delta_checkpoint_write(tl_table_log *log, const tl_delta_state *state, tl_error *err);
tl_status tl_delta_checkpoint(tl_table_log *log, const tl_snapshot *snapshot, tl_error *err);
typedef struct tl_delta_hint { int64_t version, size, parts; } tl_delta_hint; /* parts 0: not said */
bool tl_delta_hint_parse(tl_text text, tl_delta_hint *out); /* false: torn or not ours to understand; it is only a hint */
int64_t tl_delta_interval_ms(const tl_delta_metadata *metadata, const char *key, int64_t otherwise); /* "interval 7 days" */

tl_status tl_delta_history(tl_table_log *log, size_t versions_max, tl_version_fn each, void *to, tl_error *err);
tl_status tl_delta_expire(tl_table_log *log, int64_t before_ms, int keep_min, bool dry_run, tl_expired *out, tl_error *err);
tl_status tl_delta_keeps(tl_table_log *log, int64_t since_ms, int (*each)(void *to, const char *path), void *to, tl_error *err);
#endif
