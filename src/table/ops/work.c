/* work.c - one verb at work: files written aside, looked at again, moved in place, committed; or removed.
 *
 *   TABLE/_ticklake_tmp/PID-UUID/3.parquet   written by DuckDB (S3: below temp)
 *   TABLE/symbol=AAPL/part-00003-UUID.zstd.parquet   renamed there, synced (S3: put)
 * An Iceberg table without a Delta face keeps its files below data/. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/prng.h"
#include "table/ops/ops.h"

enum { ESCAPED_MAX = 200, PLACERS = 8 };
#define TURN_PATIENCE_NS (10 * TL_NS_PER_S)

/* ---- begin and end ---- */

/* About what a row takes: of the table's own files, else guessed from the types. */
static double guess_row_bytes(const tl_snapshot *snapshot) {
  double guess = 1;
  for (size_t i = 0; i < snapshot->fields.count; i++) {
    tl_field_type type = snapshot->fields.items[i].type;
    guess += type == TL_FIELD_STRING || type == TL_FIELD_BINARY || type == TL_FIELD_LIST ? 16 : 5;
  }
  return snapshot->rows > 10000 && snapshot->bytes > 0 ? (double)snapshot->bytes / (double)snapshot->rows : guess;
}

tl_status tl_work_begin(tl_work *work, tl_relation *relation, const char *order_by, tl_changed *changed, tl_error *err) {
  const tl_snapshot *snapshot = relation->faces[0].snapshot;
  *work = (tl_work){.relation = relation, .snapshot = snapshot, .changed = changed, .partition_count = snapshot->partitioning.count};
  tl_status st = tl_relation_may_write(relation, err);
  if (!st) st = tl_fields_copy(&snapshot->fields, &work->fields, err);
  work->row_bytes = guess_row_bytes(snapshot);
  work->file_bytes = relation->options.file_bytes;
  const char *order = order_by ? order_by : tl_snapshot_property(snapshot, "ticklake.sort");
  work->order.err = err;
  if (!st && order && order[0]) st = tl_ops_order(order, &work->fields, order_by != NULL, &work->order, err);
  return st;
}

static void empty_folder(const char *folder) {
  tl_io_names names = {0};
  if (tl_io_list(folder, &names, NULL)) return;
  for (size_t i = 0; i < names.count; i++) {
    char *path = tl_io_join(folder, names.names[i]);
    tl_io_info info;
    if (path && !tl_io_stat(path, &info, NULL) && info.is_dir) empty_folder(path);
    else if (path) tl_io_unlink(path, NULL);
    tl_free(path);
  }
  tl_io_names_deinit(&names);
  tl_io_rmdir(folder, NULL);
}

void tl_ops_remove_folder(const char *folder) { empty_folder(folder); }

void tl_work_deinit(tl_work *work) {
  tl_work_release(work);
  for (size_t i = 0; i < work->placed && !work->committing; i++)
    if (tl_store_delete(work->relation->store, work->adds[i].path, NULL))
      tl_log(TL_LOG_WARN, "cannot remove '%s', which no version names: vacuum will", work->adds[i].path);
  if (work->folder) {
    empty_folder(work->folder);
    char *slash = strrchr(work->folder, '/');
    if (slash) *slash = 0;
    tl_io_rmdir(work->folder, NULL); /* gone with the last writer */
  }
  tl_free(work->folder);
  for (size_t i = 0; i < work->add_count; i++) {
    tl_data_file_deinit(&work->adds[i], work->partition_count);
    tl_free(work->locals[i]);
  }
  tl_free(work->adds);
  tl_free(work->locals);
  tl_free(work->removes);
  tl_free(work->absent);
  tl_free(work->ids);
  tl_free(work->element_ids);
  tl_fields_deinit(&work->fields);
  tl_sql_deinit(&work->order);
  *work = (tl_work){0};
}

/* Another writer may take the folder above away with its own, being the last, just then. */
static tl_status make_folder(const char *path, tl_error *err) {
  tl_status st = TL_EIO;
  for (int i = 0; st == TL_EIO && i < 20; i++) st = tl_io_mkdirs(path, err);
  return st;
}

static tl_status need_folder(tl_work *work, tl_error *err) {
  tl_buf path = {0};
  char uuid[TL_UUID_TEXT_MAX];
  if (work->folder) return TL_OK;
  tl_uuid_make(uuid);
  const char *base = tl_store_local(work->relation->store);
  tl_status st = base ? tl_buf_appendf(&path, err, "%s/" TL_WORK_FOLDER "/%ld-%s", base, (long)getpid(), uuid)
                      : tl_buf_appendf(&path, err, "%s/work/%ld-%s", work->relation->temp, (long)getpid(), uuid);
  if (!st) st = make_folder(path.data, err);
  if (!st && !(work->ids = tl_calloc(2 * work->fields.count + 2, sizeof *work->ids))) st = tl_fail(err, TL_ENOMEM, "cannot number columns");
  if (!st && !(work->element_ids = tl_calloc(work->fields.count + 1, sizeof *work->ids))) st = tl_fail(err, TL_ENOMEM, "cannot number columns");
  if (!st) st = tl_faces_ids(work->relation, &work->fields, work->ids, work->element_ids, err);
  if (!st) work->folder = tl_buf_take(&path);
  tl_buf_deinit(&path);
  return st;
}

/* ---- names ---- */

static tl_status escape(tl_buf *out, const char *text, const char *name, tl_error *err) {
  size_t from = out->len, len = strlen(text);
  bool dots = strspn(text, ".") == len;
  if (!len) return tl_fail(err, TL_EUSAGE, "partition column '%s' holds an empty text, which no table format can tell from NULL", name);
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("._~-", c));
    st = plain && !dots ? tl_buf_append(out, &c, 1, err) : tl_buf_appendf(out, err, "%%%02X", c);
  }
  if (!st && out->len - from > ESCAPED_MAX)
    return tl_fail(err, TL_EUSAGE, "partition column '%s' holds '%.60s...', whose name in a path would be over %d bytes", name, text, ESCAPED_MAX);
  return st;
}

static tl_status file_key(const tl_work *work, const char *const *partition, tl_buf *out, tl_error *err) {
  char uuid[TL_UUID_TEXT_MAX];
  const tl_face *first = &work->relation->faces[0];
  tl_status st = tl_buf_appends(out, strcmp(first->format->name, "delta") == 0 ? "" : "data/", err);
  for (size_t p = 0; !st && p < work->partition_count; p++) {
    const char *name = work->snapshot->partitioning.items[p].name;
    st = escape(out, name, name, err);
    if (!st) st = tl_buf_appends(out, "=", err);
    if (!st) st = partition[p] ? escape(out, partition[p], name, err) : tl_buf_appends(out, "__HIVE_DEFAULT_PARTITION__", err);
    if (!st) st = tl_buf_appends(out, "/", err);
  }
  tl_uuid_make(uuid);
  return st ? st : tl_buf_appendf(out, err, "part-%05zu-%s.zstd.parquet", work->add_count, uuid);
}

/* ---- files ---- */

static tl_status add_file(tl_work *work, const char *const *partition, tl_data_file **out, tl_error *err) {
  if (work->add_count == work->add_capacity) {
    size_t capacity = work->add_capacity ? work->add_capacity * 2 : 16;
    tl_data_file *adds = tl_realloc_array(work->adds, capacity, sizeof *adds);
    if (adds) work->adds = adds;
    char **locals = adds ? tl_realloc_array(work->locals, capacity, sizeof *locals) : NULL;
    if (!locals) return tl_fail(err, TL_ENOMEM, "cannot hold %zu new files", capacity);
    work->locals = locals;
    work->add_capacity = capacity;
  }
  tl_buf key = {0};
  tl_data_file *file = &work->adds[work->add_count];
  work->locals[work->add_count] = NULL;
  *file = (tl_data_file){.partition = tl_calloc(work->partition_count + 1, sizeof *file->partition)};
  tl_status st = file->partition ? file_key(work, partition, &key, err) : tl_fail(err, TL_ENOMEM, "cannot hold a new file");
  for (size_t p = 0; !st && p < work->partition_count; p++)
    if (partition[p] && !(file->partition[p] = tl_strdup(partition[p]))) st = tl_fail(err, TL_ENOMEM, "cannot hold a new file");
  file->path = tl_buf_take(&key);
  if (st) tl_data_file_deinit(file, work->partition_count);
  else *out = &work->adds[work->add_count++];
  return st;
}

typedef struct taker { /* takes what COPY says of its files */
  tl_work *work;
  const char *const *partition;
  int64_t rows, bytes;
} taker;

static tl_status take_file(void *to, const tl_copied *copied, tl_error *err) {
  taker *t = to;
  tl_work *work = t->work;
  tl_data_file *file = NULL;
  if (!copied->rows) return TL_OK; /* lies in the work folder and goes with it */
  tl_status st = add_file(work, t->partition, &file, err);
  if (st) return st;
  work->locals[work->add_count - 1] = tl_strndup(copied->path.text, copied->path.len);
  if (!work->locals[work->add_count - 1]) return tl_fail(err, TL_ENOMEM, "cannot hold a new file");
  file->rows = copied->rows;
  file->size_bytes = copied->size_bytes;
  file->modified_ms = tl_clock_now_ns() / TL_NS_PER_MS;
  t->rows += copied->rows;
  t->bytes += copied->size_bytes;
  return tl_ops_file_stats(&work->fields, copied, &file->stats, err);
}

void tl_work_columns(const tl_work *work, tl_sql *sql) {
  const char *comma = "";
  for (size_t i = 0; i < work->fields.count; i++) {
    if (tl_ops_partition_of(&work->snapshot->partitioning, i) >= 0) continue;
    tl_sql_add(sql, comma);
    tl_sql_name(sql, work->fields.items[i].name);
    comma = ", ";
  }
  if (!comma[0]) sql->st = tl_fail(sql->err, TL_EUSAGE, "a table needs a column that is no partition");
}

static void copy_options(const tl_work *work, tl_sql *sql) {
  const char *comma = "";
  /* Words repeat within a row group; numbers rarely do, and trying a dictionary of them first costs half of the writing.
   * DuckDB 1.5.5 hashes 0.0 and -0.0 apart in a bloom filter, so that `= 0` would find one and miss the other. */
  tl_sql_add(sql, " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 1000, WRITE_BLOOM_FILTER false, RETURN_STATS, FIELD_IDS {");
  for (size_t i = 0; i < work->fields.count; i++) {
    const tl_field *field = &work->fields.items[i];
    if (tl_ops_partition_of(&work->snapshot->partitioning, i) >= 0) continue;
    tl_sql_add(sql, comma);
    tl_sql_value(sql, field->name, strlen(field->name));
    if (field->type == TL_FIELD_LIST) tl_sql_addf(sql, ": {__duckdb_field_id: %d, element: %d}", work->ids[i], work->element_ids[i]);
    else tl_sql_addf(sql, ": %d", work->ids[i]);
    comma = ", ";
  }
  tl_sql_add(sql, "}");
}

static tl_status run_copy(tl_sql *sql, int64_t rows, taker *t) {
  tl_status st = sql->st ? sql->st : tl_link_copy(t->work->relation->link, sql->buf.data, rows, take_file, t, sql->err);
  if (!st && t->rows > 1000) t->work->row_bytes = (double)t->bytes / (double)t->rows;
  tl_sql_deinit(sql);
  return tl_ops_refusal(st, sql->err);
}

static void copy_to(tl_work *work, tl_sql *sql) {
  tl_sql_add(sql, ") TO ");
  tl_buf path = {0};
  if (!sql->st) sql->st = tl_buf_appendf(&path, sql->err, "%s/%" PRIu64 ".parquet", work->folder, work->relation->serial++);
  if (!sql->st) tl_sql_value(sql, path.data, path.len);
  tl_buf_deinit(&path);
  copy_options(work, sql);
}

static void order_by(const tl_work *work, tl_sql *sql) {
  if (work->order.buf.len) tl_sql_addf(sql, " ORDER BY %s%s%s", work->order.buf.data, work->tie ? ", " : "", work->tie ? work->tie : "");
}

static tl_status write_one(tl_work *work, taker *t, const char *select, int64_t rows, tl_error *err) {
  tl_sql sql = {.err = err};
  tl_sql_add(&sql, "COPY (SELECT ");
  tl_work_columns(work, &sql);
  tl_sql_addf(&sql, " FROM (%s)", select);
  order_by(work, &sql);
  copy_to(work, &sql);
  tl_sql_add(&sql, ")");
  return run_copy(&sql, rows, t);
}

/* Sorted once into a temporary table, then cut by its row numbers. */
static tl_status write_many(tl_work *work, taker *t, const char *select, int64_t rows, tl_error *err) {
  tl_sql sql = {.err = err};
  tl_link *link = work->relation->link;
  tl_sql_add(&sql, "CREATE OR REPLACE TEMP TABLE \"tl#out\" AS SELECT ");
  tl_work_columns(work, &sql);
  tl_sql_addf(&sql, " FROM (%s)", select);
  order_by(work, &sql);
  tl_status st = tl_ops_refusal(tl_sql_run(&sql, link), err);
  for (int64_t from = 0; !st && from < rows;) {
    double most = (double)work->file_bytes / work->row_bytes;
    int64_t take = most < 1 ? 1 : most > 1e15 ? rows : (int64_t)most;
    if (rows - from < take + take / 2) take = rows - from;
    tl_sql_addf(&sql, "COPY (SELECT * FROM \"tl#out\" WHERE rowid >= %" PRId64 " AND rowid < %" PRId64, from, from + take);
    copy_to(work, &sql);
    tl_sql_add(&sql, ")");
    st = run_copy(&sql, take, t);
    sql = (tl_sql){.err = err};
    from += take;
  }
  tl_sql_deinit(&sql);
  tl_link_run(link, "DROP TABLE IF EXISTS \"tl#out\"", NULL);
  return st;
}

tl_status tl_work_write(tl_work *work, const char *const *partition, const char *select, int64_t rows, tl_error *err) {
  taker t = {.work = work, .partition = partition};
  if (!rows) return TL_OK;
  tl_status st = need_folder(work, err);
  bool one = (double)rows * work->row_bytes < 1.5 * (double)work->file_bytes;
  if (!st) st = one ? write_one(work, &t, select, rows, err) : write_many(work, &t, select, rows, err);
  if (!st && t.rows != rows)
    st = tl_fail(err, TL_ECORRUPT, "DuckDB wrote %" PRId64 " rows instead of %" PRId64 ": nothing is committed", t.rows, rows);
  return st;
}

tl_status tl_work_write_stream(tl_work *work, const char *select, int64_t *rows, tl_error *err) {
  taker t = {.work = work};
  tl_sql sql = {.err = err};
  tl_buf folder = {0};
  tl_status st = need_folder(work, err);
  if (!st) st = tl_buf_appendf(&folder, err, "%s/s%" PRIu64, work->folder, work->relation->serial++);
  if (!st) st = tl_io_mkdirs(folder.data, err);
  if (!st) {
    tl_sql_add(&sql, "COPY (SELECT ");
    tl_work_columns(work, &sql);
    tl_sql_addf(&sql, " FROM (%s)) TO ", select);
    tl_sql_value(&sql, folder.data, folder.len);
    copy_options(work, &sql);
    tl_sql_addf(&sql, ", FILE_SIZE_BYTES %" PRId64 ")", work->file_bytes);
    st = run_copy(&sql, INT64_MAX, &t);
  }
  tl_sql_deinit(&sql);
  tl_buf_deinit(&folder);
  *rows = t.rows;
  return st;
}

tl_status tl_work_remove(tl_work *work, size_t file, tl_error *err) {
  if (work->remove_count == work->remove_capacity) {
    size_t capacity = work->remove_capacity ? work->remove_capacity * 2 : 64;
    const char **grown = tl_realloc_array(work->removes, capacity, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot plan the removal of %zu files", capacity);
    work->removes = grown;
    work->remove_capacity = capacity;
  }
  work->removes[work->remove_count++] = work->snapshot->files[file].path;
  work->changed->bytes_removed += work->snapshot->files[file].size_bytes;
  return TL_OK;
}

/* ---- reading ---- */

/* The snapshot's files in the columns and types the table will have. */
static void add_files(tl_work *work, const tl_picks *files, tl_sql *out) {
  const tl_fields *old = &work->snapshot->fields;
  if (!work->fields_changed) {
    tl_ops_scan(work->relation, work->snapshot, files, true, out);
    return;
  }
  tl_sql_add(out, "(SELECT ");
  for (size_t i = 0; i < work->fields.count; i++) {
    const tl_field *field = &work->fields.items[i];
    tl_sql_add(out, i ? ", CAST(" : "CAST(");
    if (i < old->count) tl_sql_name(out, field->name);
    else tl_sql_add(out, "NULL");
    tl_sql_add(out, " AS ");
    tl_sql_type(out, field);
    tl_sql_add(out, ") AS ");
    tl_sql_name(out, field->name);
  }
  tl_sql_add(out, ", \"tl#file\", \"tl#row\" FROM ");
  tl_ops_scan(work->relation, work->snapshot, files, true, out);
  tl_sql_add(out, ")");
}

tl_status tl_work_hold(tl_work *work, const tl_picks *files, tl_error *err) {
  tl_sql sql = {.err = err};
  int64_t rows = 0;
  for (size_t i = 0; i < files->count && rows >= 0; i++) {
    int64_t more = work->snapshot->files[files->items[i]].rows;
    rows = more < 0 || rows + more > TL_HELD_ROWS_MAX ? -1 : rows + more;
  }
  if (rows < 0) return TL_OK;
  tl_sql_add(&sql, "CREATE OR REPLACE TEMP TABLE \"tl#old\" AS SELECT * FROM ");
  add_files(work, files, &sql);
  tl_status st = tl_sql_run(&sql, work->relation->link);
  work->held = !st;
  tl_sql_deinit(&sql);
  return st;
}

void tl_work_release(tl_work *work) {
  if (work->held) tl_link_run(work->relation->link, "DROP TABLE IF EXISTS \"tl#old\"", NULL);
  work->held = false;
}

tl_status tl_work_scan(tl_work *work, const tl_picks *files, tl_sql *out) {
  if (work->held && files->count) {
    tl_sql_add(out, "(FROM \"tl#old\" WHERE \"tl#file\" IN (");
    for (size_t i = 0; i < files->count; i++) tl_sql_addf(out, "%s%zu", i ? ", " : "", files->items[i]);
    tl_sql_add(out, "))");
  } else {
    add_files(work, files, out);
  }
  return out->st;
}

/* ---- in place ---- */

typedef struct place_job {
  tl_store *store;
  const char *local, *key;
  tl_status st;
  tl_error err;
} place_job;

static void place(void *argument) {
  place_job *job = argument;
  job->st = tl_store_is_local(job->store) ? tl_store_adopt_file(job->store, job->local, job->key, &job->err)
                                          : tl_store_put_file(job->store, job->key, job->local, TL_PUT_ANY, NULL, NULL, &job->err);
}

static tl_status place_files(tl_work *work, tl_error *err) {
  size_t count = work->add_count;
  tl_pool *pool = NULL;
  place_job *jobs = tl_calloc(count ? count : 1, sizeof *jobs);
  tl_status st = jobs ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot move %zu files in place", count);
  if (!st && count) st = tl_pool_open(count < PLACERS ? count : PLACERS, 2 * PLACERS, &pool, err);
  if (!st) work->placed = count; /* from here on any of them may be there */
  for (size_t i = 0; !st && i < count; i++) {
    jobs[i] = (place_job){.store = work->relation->store, .local = work->locals[i], .key = work->adds[i].path};
    tl_pool_put(pool, place, &jobs[i]);
  }
  tl_pool_close(pool);
  for (size_t i = 0; !st && i < count; i++)
    if (jobs[i].st) {
      if (err) *err = jobs[i].err;
      st = jobs[i].st;
    }
  tl_free(jobs);
  return st;
}

/* ---- commit ---- */

enum { METRICS_MAX = 12, METRIC_TEXT = 24 };
typedef struct metrics {
  tl_pair pairs[METRICS_MAX];
  char texts[METRICS_MAX][METRIC_TEXT];
  size_t count;
} metrics;

static void add_metric(metrics *m, const char *name, int64_t value) {
  snprintf(m->texts[m->count], METRIC_TEXT, "%" PRId64, value);
  m->pairs[m->count] = (tl_pair){(char *)(uintptr_t)name, m->texts[m->count]};
  m->count++;
}

static void fill_metrics(const tl_changed *c, const char *operation, metrics *m) {
  if (!strcmp(operation, "WRITE")) {
    add_metric(m, "numFiles", c->files_added);
    add_metric(m, "numOutputRows", c->rows_inserted + c->rows_copied);
    add_metric(m, "numOutputBytes", c->bytes_added);
    if (c->files_removed) add_metric(m, "numRemovedFiles", c->files_removed);
    return;
  }
  bool merge = !strcmp(operation, "MERGE");
  if (merge) {
    add_metric(m, "numTargetRowsInserted", c->rows_inserted);
    add_metric(m, "numTargetRowsUpdated", c->rows_updated);
    add_metric(m, "numTargetRowsDeleted", c->rows_deleted);
    add_metric(m, "numTargetRowsCopied", c->rows_copied);
  } else if (!strcmp(operation, "DELETE")) {
    add_metric(m, "numDeletedRows", c->rows_deleted);
    add_metric(m, "numCopiedRows", c->rows_copied);
  }
  add_metric(m, merge ? "numTargetFilesAdded" : "numAddedFiles", c->files_added);
  add_metric(m, merge ? "numTargetFilesRemoved" : "numRemovedFiles", c->files_removed);
  add_metric(m, merge ? "numTargetBytesAdded" : "numAddedBytes", c->bytes_added);
  add_metric(m, merge ? "numTargetBytesRemoved" : "numRemovedBytes", c->bytes_removed);
}

tl_status tl_work_commit(tl_work *work, const tl_commit *commit, tl_error *err) {
  metrics m = {0};
  tl_committed done = {0};
  tl_changed *changed = work->changed;
  changed->version = -1;
  if (!work->add_count && !work->remove_count && !work->fields_changed && !commit->property_count && !commit->txn_app) return TL_OK;
  tl_status st = place_files(work, err);
  if (st) return st;
  TL_FAULT_STEP();
  changed->files_added = (int64_t)work->add_count;
  changed->files_removed = (int64_t)work->remove_count;
  for (size_t i = 0; i < work->add_count; i++) changed->bytes_added += work->adds[i].size_bytes;
  fill_metrics(changed, commit->operation, &m);
  tl_edit edit = {
    .operation = commit->operation, .parameters = commit->parameters, .parameter_count = commit->parameter_count,
    .metrics = m.pairs, .metric_count = m.count, .removes = work->removes, .remove_count = work->remove_count,
    .adds = work->adds, .add_count = work->add_count, .data_change = !commit->keeps_rows, .reads = commit->reads,
    .read_partitions = commit->read_partitions, .read_partition_count = commit->read_partition_count,
    .fields = work->fields_changed ? &work->fields : NULL, .properties = commit->properties, .property_count = commit->property_count,
    .txn_app = commit->txn_app, .txn_version = commit->txn_version};
  work->committing = true;
  st = tl_faces_commit(work->relation, &edit, &done, err);
  if (st == TL_ECONFLICT || st == TL_EUSAGE || done.already) work->committing = false;
  changed->version = st || done.already ? -1 : done.version;
  changed->sequence = done.sequence;
  changed->already = done.already;
  changed->attempts += done.attempts;
  return st;
}

/* Before the next attempt. In a folder the losers take turns, or a crowd would spend its time on work that is thrown away. */
static void wait_after_loss(const tl_relation *relation, tl_prng *dice, int lost, int *turn) {
  const char *folder = tl_store_local(relation->store);
  if (*turn >= 0) return; /* who won had not lost before: there are few of those */
  if (folder) *turn = tl_io_turn(folder, TURN_PATIENCE_NS);
  if (*turn < 0) tl_clock_sleep_ns((1 + (int64_t)tl_prng_below(dice, (uint64_t)20 << (lost < 6 ? lost : 6))) * TL_NS_PER_MS);
}

tl_status tl_ops_attempts(tl_relation *relation, tl_attempt attempt, const void *request, tl_changed *changed, tl_error *err) {
  tl_prng dice = tl_prng_init((uint64_t)tl_clock_mono_ns() ^ (uint64_t)getpid() << 32);
  tl_changed ignored;
  if (!changed) changed = &ignored;
  tl_status st = TL_OK;
  int lost = 0, turn = -1;
  for (;;) {
    *changed = (tl_changed){.version = -1};
    relation->scanned = false;
    st = attempt(relation, request, changed, err);
    if (st != TL_ECONFLICT || ++lost >= relation->options.attempts_max) break;
    wait_after_loss(relation, &dice, lost, &turn);
    tl_status loaded = tl_relation_reload(relation, err);
    if (loaded) {
      st = loaded;
      break;
    }
  }
  tl_io_turn_end(turn);
  st = tl_ops_name_unreadable(relation, st, err);
  if (st == TL_ECONFLICT) return tl_fail_within(err, st, "gave up after %d attempts", lost);
  if (st) return st;
  changed->attempts += lost;
  if (changed->version >= 0 || changed->already) {
    tl_error why = {0};
    if (tl_relation_reload(relation, &why)) tl_log(TL_LOG_WARN, "the commit is done, but the table cannot be read again: %s", why.message);
  }
  return TL_OK;
}
