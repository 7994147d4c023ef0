/* ops.h - what the files of ops/ share: a relation's inside, one verb at work, SQL being built.
 *
 * A verb is: plan on the newest snapshot -> write data files aside (work.c) -> check them -> move them in place -> commit
 * (both faces: faces.c) -> on TL_ECONFLICT all again. tl_work holds one such attempt; whatever it wrote and did not
 * commit is removed by tl_work_deinit.
 * Rows being handled lie in temporary tables of the relation's link; names of ours hold a '#', which keeps them apart
 * from a table's columns: "tl#file" (index of the file in the snapshot), "tl#p0" (text of partition field 0, where no
 * column is that text: tl_stage_text). */
#ifndef TL_TABLE_OPS_H
#define TL_TABLE_OPS_H
#include "engine/link.h"
#include "table/relation.h"

#define TL_WORK_FOLDER "_ticklake_tmp" /* work files below a local table: readers and vacuum of others pass it by */

/* ---- SQL being built: the first failure sticks, so that callers check once ---- */

typedef struct tl_sql {
  tl_buf buf;
  tl_status st;
  tl_error *err;
} tl_sql;
void tl_sql_addf(tl_sql *sql, const char *format, ...) TL_PRINTF(2, 3);
void tl_sql_add(tl_sql *sql, const char *text);
void tl_sql_name(tl_sql *sql, const char *name);              /* "name" */
void tl_sql_value(tl_sql *sql, const char *text, size_t len); /* 'text'; NULL for NULL */
void tl_sql_type(tl_sql *sql, const tl_field *field);
tl_status tl_sql_run(tl_sql *sql, tl_link *link);             /* runs what is there and begins anew */
tl_status tl_sql_numbers(tl_sql *sql, tl_link *link, int64_t *out, size_t count);
tl_status tl_sql_rows(tl_sql *sql, tl_link *link, tl_link_row each, void *to);
tl_status tl_sql_check(tl_sql *sql, tl_link *link); /* TL_EUSAGE when it could not run as worded, for what holds the caller's words; begins anew */
void tl_sql_deinit(tl_sql *sql);

/* ---- the relation ---- */

typedef struct tl_face {
  const tl_format *format;
  tl_table_log *log;
  tl_snapshot *snapshot;
} tl_face;

typedef struct tl_fetched { /* a file of an S3 table that lies in temp */
  char *path, *local;
} tl_fetched;

struct tl_relation {
  tl_store *store;
  tl_engine *engine;
  tl_link *link;
  tl_relation_options options; /* defaults filled in */
  bool own_engine;
  char *temp;                  /* this handle's folder; made when needed, removed at close */
  tl_table_env env;
  char *rest;                  /* env.rest: "NAMESPACE.TABLE" of "rest:NAMESPACE.TABLE"; NULL: a folder or a bucket */
  bool rest_found;             /* the catalog knows the table */
  tl_face faces[2];            /* Delta first */
  size_t face_count;
  tl_fetched *fetched;         /* by path */
  size_t fetched_count, fetched_capacity;
  uint64_t serial;             /* of names below temp */
  bool scanned;                /* a verb put files of a snapshot into a statement */
};

tl_status tl_relation_add_face(tl_relation *relation, const tl_format *format, tl_error *err);
tl_status tl_relation_may_write(const tl_relation *relation, tl_error *err);
/* "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx", never the same twice. */
#define TL_UUID_TEXT_MAX 37
void tl_uuid_make(char out[TL_UUID_TEXT_MAX]);

/* ---- columns ---- */

/* Does a column hold a partition's value (and so is not in the files)? The partition field's index, or -1. */
int tl_ops_partition_of(const tl_partitioning *partitioning, size_t field);
/* Columns of a query or of words as CREATE TABLE takes them; ids 0. */
tl_status tl_ops_fields_of_query(tl_link *link, const char *query, tl_fields *out, tl_error *err);
tl_status tl_ops_fields_of_words(tl_link *link, const char *words, tl_fields *out, tl_error *err);
bool tl_ops_name_taken(const char *name);
tl_status tl_ops_field_add(tl_fields *fields, const char *name, tl_field_type type, tl_error *err);
/* DuckDB's word for a type -> field->type and its like; false for one no table has. */
bool tl_ops_type_parse(const char *words, tl_field *field);
/* "symbol,month(timestamp)" -> partition fields. derive: such as month are columns, added when they are not there, as Delta has it. */
tl_status tl_ops_partitioning(const char *words, bool derive, tl_fields *fields, tl_partitioning *out, tl_error *err);
const char *tl_ops_transform_name(tl_transform transform); /* "month", ...; NULL for identity and others */
/* The text of a partition field's value as SQL over the table's columns. */
void tl_ops_partition_sql(tl_sql *sql, const tl_fields *fields, const tl_partition_field *field);
/* "symbol, timestamp DESC" -> ORDER BY terms with quoted names. strict: unknown columns are TL_EUSAGE, else left out. */
tl_status tl_ops_order(const char *words, const tl_fields *fields, bool strict, tl_sql *out, tl_error *err);
/* "symbol, timestamp" -> indexes of the columns; the caller frees. */
tl_status tl_ops_columns(const char *words, const tl_fields *fields, size_t **out, size_t *count, tl_error *err);

/* ---- reading ---- */

typedef struct tl_picks { /* files of a snapshot by index, ascending */
  size_t *items;
  size_t count;
} tl_picks;
void tl_picks_deinit(tl_picks *picks);
tl_status tl_picks_all(const tl_snapshot *snapshot, tl_picks *out, tl_error *err);
/* Files that may hold rows for which `where` (NULL: all) is true. */
tl_status tl_ops_prune(tl_relation *relation, const tl_snapshot *snapshot, const char *where, tl_picks *out, tl_error *err);
typedef struct tl_layout { /* files that call their columns the same: [first, first + count) of tl_layouts.files */
  char **names;            /* by field of the snapshot; NULL: they have none, or a partition holds it */
  size_t first, count;
} tl_layout;
typedef struct tl_layouts {
  tl_picks files; /* the files asked for, by layout */
  tl_layout *items;
  size_t count, field_count;
} tl_layouts;
/* Of a snapshot whose columns are found by id. The files can be read already. */
tl_status tl_ops_layouts(tl_relation *relation, const tl_snapshot *snapshot, const tl_picks *files, tl_layouts *out, tl_error *err);
void tl_layouts_deinit(tl_layouts *layouts);
/* ['PATH', ...] of these files. */
void tl_ops_paths(tl_relation *relation, const tl_snapshot *snapshot, const tl_picks *files, tl_sql *sql);
/* (SELECT columns[, "tl#file", "tl#row"] FROM files) of a snapshot; row: its number in the file. Fetches what lies on S3. */
tl_status tl_ops_scan(tl_relation *relation, const tl_snapshot *snapshot, const tl_picks *files, bool with_file, tl_sql *out);
/* A verb's statement failed: when a file of the newest snapshot cannot be read by itself, TL_ECORRUPT names it; else st. Reads what
 * of the table lies here, unless the failure is one of words or nothing was scanned. */
tl_status tl_ops_name_unreadable(tl_relation *relation, tl_status st, tl_error *err);
/* A file of our writer, by its name. Its folders say where its rows were put (work.c); others' may lie anywhere. */
bool tl_ops_is_ours(const char *path);
/* Where a file can be read by DuckDB; appended. */
tl_status tl_ops_local_path(tl_relation *relation, const char *path, tl_buf *out, tl_error *err);

/* Does `where` name only columns that hold partition values (constants too)? */
bool tl_ops_partition_only(tl_relation *relation, const tl_snapshot *snapshot, const char *where);
/* Files of the partitions for which such a `where` is true. */
tl_status tl_ops_partition_picks(tl_relation *relation, const tl_snapshot *snapshot, const char *where, tl_picks *out, tl_error *err);

/* A value as text that comes out exact: integers, days, microseconds, unscaled decimals, text as it is. False: no such form. */
bool tl_ops_datum_sql(tl_sql *sql, const tl_field *field, const char *expression);
bool tl_ops_datum_parse(const tl_field *field, const char *text, size_t len, tl_datum *out); /* text is borrowed */
int tl_ops_datum_compare(const tl_field *field, const tl_datum *a, const tl_datum *b);       /* no NaN */
/* What is known of a column in a file, from its statistics and its partition. False: it holds NULLs only. */
bool tl_ops_bounds(const tl_snapshot *snapshot, size_t file, const tl_file_stats *stats, size_t field, tl_column_bounds *out);

/* ---- one verb at work ---- */

typedef struct tl_work {
  tl_relation *relation;
  const tl_snapshot *snapshot; /* of the first face */
  tl_fields fields;            /* the schema after the edit */
  bool fields_changed, widened; /* widened: a column took a wider type, so every file is written anew */
  int *ids, *element_ids;      /* of the fields in the files */
  tl_sql order;                /* ORDER BY terms, empty: as given */
  const char *tie;             /* further terms, over columns of the selects written; NULL: none */
  char *folder;                /* of work files, made at the first */
  tl_data_file *adds;
  char **locals;               /* where adds lie until they are in place */
  size_t add_count, add_capacity, placed;
  const char **removes;        /* paths of the snapshot */
  size_t remove_count, remove_capacity, partition_count;
  int64_t file_bytes;          /* aimed size of a file */
  double row_bytes;            /* what a row takes in a file, about */
  bool *absent;                /* by field: the caller's rows do not have it; NULL until they were looked at */
  bool held;                   /* "tl#old" holds what is scanned */
  bool committing;             /* a commit was begun whose end is not known: its files must stay */
  tl_changed *changed;
} tl_work;

/* order_by: NULL is the table's property, "" as given. */
tl_status tl_work_begin(tl_work *work, tl_relation *relation, const char *order_by, tl_changed *changed, tl_error *err);
void tl_work_deinit(tl_work *work); /* removes what was not committed */

/* Names of the columns that lie in the files, with commas: all but those that hold a partition's value. */
void tl_work_columns(const tl_work *work, tl_sql *sql);
/* Rows of `select` (at least the columns in the files) that all lie in one partition -> files. rows: how many there are. */
tl_status tl_work_write(tl_work *work, const char *const *partition, const char *select, int64_t rows, tl_error *err);
/* As it comes, into an unpartitioned table, with no order: in one pass. */
tl_status tl_work_write_stream(tl_work *work, const char *select, int64_t *rows, tl_error *err);
tl_status tl_work_remove(tl_work *work, size_t file, tl_error *err);
/* Rows of these files are kept in a temporary table until the release, when there are not too many, for to be scanned again and
 * again: opening a file costs as much as reading a hundred thousand rows. Until then no other file may be scanned. */
enum { TL_HELD_ROWS_MAX = 4000000 };
tl_status tl_work_hold(tl_work *work, const tl_picks *files, tl_error *err);
void tl_work_release(tl_work *work);
/* Files of the snapshot in the columns and types the table will have, with "tl#file" and "tl#row". */
tl_status tl_work_scan(tl_work *work, const tl_picks *files, tl_sql *out);

/* Order-free content of rows: how many, and two sums over the hash of each. */
typedef struct tl_content {
  int64_t rows, sum_high, sum_low, mixed;
} tl_content;
void tl_content_hash(tl_sql *sql, const tl_fields *fields, const char *alias); /* hash(alias.a, alias.b, ...) */
void tl_content_sums(tl_sql *sql, const char *hash);                            /* the four numbers of a tl_content, of rows' hashes */
tl_status tl_content_of(tl_work *work, const char *select, tl_content *out, tl_error *err);
/* Of rows by group: `which` is a column of the select with numbers below count; out[number] is added to. */
tl_status tl_content_by(tl_work *work, const char *select, const char *which, tl_content *out, size_t count, tl_error *err);
tl_content tl_content_add(tl_content a, tl_content b);
tl_content tl_content_less(tl_content a, tl_content b);
bool tl_content_equal(tl_content a, tl_content b);
/* Reads adds [from, add_count) back from where they were written; out[i] is adds[from + i]. */
tl_status tl_content_of_adds(tl_work *work, size_t from, tl_content *out, tl_error *err);
/* Holds adds [from, end), read as found[0...], against what they must be together. */
tl_status tl_content_judge(const tl_work *work, size_t from, size_t end, const tl_content *found, tl_content wanted, tl_error *err);
/* Both for all of [from, add_count). */
tl_status tl_work_check(tl_work *work, size_t from, tl_content wanted, tl_error *err);

typedef struct tl_commit { /* what tl_edit needs besides the work's files */
  const char *operation;
  const tl_pair *parameters;
  size_t parameter_count;
  bool keeps_rows;             /* the same rows in other files */
  tl_reads reads;
  const char *const *const *read_partitions;
  size_t read_partition_count;
  const tl_pair *properties;
  size_t property_count;
  const char *txn_app;
  int64_t txn_version;
} tl_commit;
/* Moves the files in place and commits; nothing to add, remove, set: version -1. TL_ECONFLICT: begin anew. */
tl_status tl_work_commit(tl_work *work, const tl_commit *commit, tl_error *err);

/* Runs `attempt` until it does not lose a race. */
typedef tl_status (*tl_attempt)(tl_relation *relation, const void *request, tl_changed *changed, tl_error *err);
tl_status tl_ops_attempts(tl_relation *relation, tl_attempt attempt, const void *request, tl_changed *changed, tl_error *err);

/* ---- rows given by the caller ---- */

typedef struct tl_staged_part { /* rows of one partition in "tl#src": rowid in [first, first + rows) */
  char **texts;
  int64_t first, rows;
} tl_staged_part;
typedef struct tl_staged {
  tl_staged_part *parts;
  size_t count, capacity, text_count;
  int64_t rows;
} tl_staged;
void tl_staged_deinit(tl_staged *staged);
/* SELECT of the caller's rows cast to work->fields, partition texts behind them when `texts`. May add columns to work->fields. */
tl_status tl_stage_select(tl_work *work, const tl_write *write, bool texts, tl_sql *out, tl_error *err);
/* Puts that select, or any other with the same columns, into the temporary table "tl#src", by partition and order. */
tl_status tl_stage(tl_work *work, const char *select, tl_staged *out, tl_error *err);
/* The column of "tl#src" with the text of partition field `part`. */
void tl_stage_text(const tl_work *work, size_t part, tl_sql *sql);
void tl_stage_texts(const tl_work *work, const char *before, tl_sql *sql); /* of all: `before` the first, commas between */
/* Files of every partition of "tl#src"; sums are added to changed->rows_inserted. */
tl_status tl_stage_write(tl_work *work, const tl_staged *staged, tl_error *err);
/* Was this txn committed already? Then *changed says so. */
bool tl_ops_txn_done(const tl_relation *relation, const tl_write *write, tl_changed *changed);
/* Order of partitions by the texts of their fields, byte by byte; NULL comes first. */
int tl_ops_compare_texts(const char *const *a, const char *const *b, size_t count);
/* A file of Iceberg's metadata by its name, wherever it lies. */
bool tl_ops_is_metadata(const char *key);
/* Files of the snapshot that share their partition, one group after the other, in that order. each: non-OK ends. */
typedef tl_status (*tl_group_fn)(void *to, const tl_picks *files, const char *const *partition, tl_error *err);
tl_status tl_ops_groups(const tl_snapshot *snapshot, const tl_picks *files, tl_group_fn each, void *to, tl_error *err);
/* All rows of files of one partition in new files, checked; `kept`: of these rows those for which it is true, NULL: all. The
 * files are removed. rows: how many will be kept. */
tl_status tl_work_rewrite(tl_work *work, const tl_picks *files, const char *const *partition, const char *kept, int64_t rows, tl_error *err);
/* Partitions written anew: what stays of their files, and the rows of "tl#src" that lie there. */
typedef struct tl_regroup {
  tl_work *work;
  const tl_staged *staged;
  const tl_picks *files;  /* of the snapshot, to be written anew; they are removed */
  const tl_content *lost; /* by file of the snapshot: what does not stay of it */
  /* What follows " FROM (the files) t": keeps the rows that stay. What it asks "tl#src" for lies in rowids [first, end). */
  void (*stay)(const void *self, int64_t first, int64_t end, tl_sql *sql);
  const void *self;
} tl_regroup;
tl_status tl_regroup_write(const tl_regroup *regroup, tl_error *err);
/* Every file of a table whose column took a wider type. */
tl_status tl_work_rewrite_all(tl_work *work, tl_error *err);
/* What COPY counted -> bounds that are sound, or none. */
tl_status tl_ops_file_stats(const tl_fields *fields, const tl_copied *copied, tl_file_stats *out, tl_error *err);
void tl_ops_remove_folder(const char *folder); /* with all that is in it; what cannot be removed stays */
/* A failure of DuckDB that is a refusal of ours (error('column ...')) becomes TL_EUSAGE. */
tl_status tl_ops_refusal(tl_status st, tl_error *err);
/* So does one of the caller's words (tl_ops_is_wording): no SQL, or names that are not there. */
tl_status tl_ops_wording(tl_status st, tl_error *err);
bool tl_ops_is_wording(const tl_error *err);

/* ---- faces ---- */

/* Commits an edit to the first face and brings the second one level. */
tl_status tl_faces_commit(tl_relation *relation, const tl_edit *edit, tl_committed *out, tl_error *err);
/* Brings two faces level: what a crash left, what others committed to one of them. */
tl_status tl_faces_level(tl_relation *relation, tl_error *err);
/* Ids the fields have in files, which are Iceberg's where the table has that face. */
tl_status tl_faces_ids(const tl_relation *relation, const tl_fields *fields, int *ids, int *element_ids, tl_error *err);
tl_status tl_relation_reload(tl_relation *relation, tl_error *err);
/* Is it for this program, not for its user, to say? */
bool tl_ops_own_property(const char *key);
/* May files go that the log no longer names? Not where Iceberg's gc.enabled says that other tables may share them. */
tl_status tl_ops_may_forget(const tl_relation *relation, tl_error *err);
#endif
