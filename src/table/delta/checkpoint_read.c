/* checkpoint_read.c - checkpoints as any writer makes them: one Parquet file or numbered parts, struct columns of which any
 * may be absent, read through the engine. stats_parsed and partitionValues_parsed are not needed. A checkpoint that has no
 * protocol or metaData, a file twice, or rows that are no actions is TL_ECORRUPT. Cost: the engine reads the file once. */
#include <inttypes.h>
#include <nanoarrow/nanoarrow.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "market/number.h"
#include "market/symbol.h"
#include "table/delta/checkpoint.h"

typedef enum column {
  TXN_APP, TXN_VERSION, TXN_UPDATED, ADD_PATH, ADD_PARTITION, ADD_SIZE, ADD_MODIFIED, ADD_STATS, ADD_TAGS, ADD_VECTOR, REMOVE_PATH,
  REMOVE_PARTITION, REMOVE_SIZE, REMOVE_DELETED, REMOVE_VECTOR, META_ID, META_NAME, META_DESCRIPTION, META_SCHEMA, META_PARTITION,
  META_CONFIGURATION, META_CREATED, META_PROVIDER, PROTOCOL_READER, PROTOCOL_WRITER, PROTOCOL_READS, PROTOCOL_WRITES, SIDECAR,
  COLUMN_COUNT
} column;

static const struct { const char *action, *field, *inner, *type; } columns[COLUMN_COUNT] = {
  [TXN_APP] = {"txn", "appId", NULL, "VARCHAR"},
  [TXN_VERSION] = {"txn", "version", NULL, "BIGINT"},
  [TXN_UPDATED] = {"txn", "lastUpdated", NULL, "BIGINT"},
  [ADD_PATH] = {"add", "path", NULL, "VARCHAR"},
  [ADD_PARTITION] = {"add", "partitionValues", NULL, "MAP(VARCHAR, VARCHAR)"},
  [ADD_SIZE] = {"add", "size", NULL, "BIGINT"},
  [ADD_MODIFIED] = {"add", "modificationTime", NULL, "BIGINT"},
  [ADD_STATS] = {"add", "stats", NULL, "VARCHAR"},
  [ADD_TAGS] = {"add", "tags", NULL, "MAP(VARCHAR, VARCHAR)"},
  [ADD_VECTOR] = {"add", "deletionVector", "storageType", "VARCHAR"},
  [REMOVE_PATH] = {"remove", "path", NULL, "VARCHAR"},
  [REMOVE_PARTITION] = {"remove", "partitionValues", NULL, "MAP(VARCHAR, VARCHAR)"},
  [REMOVE_SIZE] = {"remove", "size", NULL, "BIGINT"},
  [REMOVE_DELETED] = {"remove", "deletionTimestamp", NULL, "BIGINT"},
  [REMOVE_VECTOR] = {"remove", "deletionVector", "storageType", "VARCHAR"},
  [META_ID] = {"metaData", "id", NULL, "VARCHAR"},
  [META_NAME] = {"metaData", "name", NULL, "VARCHAR"},
  [META_DESCRIPTION] = {"metaData", "description", NULL, "VARCHAR"},
  [META_SCHEMA] = {"metaData", "schemaString", NULL, "VARCHAR"},
  [META_PARTITION] = {"metaData", "partitionColumns", NULL, "VARCHAR[]"},
  [META_CONFIGURATION] = {"metaData", "configuration", NULL, "MAP(VARCHAR, VARCHAR)"},
  [META_CREATED] = {"metaData", "createdTime", NULL, "BIGINT"},
  [META_PROVIDER] = {"metaData", "format", "provider", "VARCHAR"},
  [PROTOCOL_READER] = {"protocol", "minReaderVersion", NULL, "BIGINT"},
  [PROTOCOL_WRITER] = {"protocol", "minWriterVersion", NULL, "BIGINT"},
  [PROTOCOL_READS] = {"protocol", "readerFeatures", NULL, "VARCHAR[]"},
  [PROTOCOL_WRITES] = {"protocol", "writerFeatures", NULL, "VARCHAR[]"},
  [SIDECAR] = {"sidecar", "path", NULL, "VARCHAR"},
};

/* ---- a stream of rows ---- */

typedef struct rows {
  struct ArrowArrayStream stream;
  struct ArrowSchema schema;
  struct ArrowArray array;
  struct ArrowArrayView view;
  bool open, has_schema, has_view;
} rows;

static void rows_close(rows *r) {
  if (r->array.release) r->array.release(&r->array);
  if (r->has_view) ArrowArrayViewReset(&r->view);
  if (r->has_schema && r->schema.release) r->schema.release(&r->schema);
  if (r->open) r->stream.release(&r->stream);
  *r = (rows){0};
}

static tl_status failed(rows *r, tl_error *err) {
  const char *message = r->stream.get_last_error(&r->stream);
  return tl_fail(err, TL_ECORRUPT, "%s", message ? message : "its rows cannot be read");
}

static tl_status rows_open(tl_engine *engine, const char *sql, rows *r, tl_error *err) {
  *r = (rows){0};
  tl_status st = tl_engine_query(engine, sql, NULL, 0, &r->stream, err);
  if (st) return st;
  r->open = true;
  if (r->stream.get_schema(&r->stream, &r->schema) != 0) st = failed(r, err);
  else r->has_schema = true;
  if (!st) {
    int code = ArrowArrayViewInitFromSchema(&r->view, &r->schema, NULL);
    r->has_view = true;
    if (code) st = tl_fail(err, TL_ENOMEM, "cannot read the rows of a checkpoint");
  }
  if (st) rows_close(r);
  return st;
}

static tl_status rows_next(rows *r, bool *more, tl_error *err) {
  if (r->array.release) r->array.release(&r->array);
  r->array = (struct ArrowArray){0};
  if (r->stream.get_next(&r->stream, &r->array) != 0) return failed(r, err);
  *more = r->array.release != NULL;
  if (*more && ArrowArrayViewSetArray(&r->view, &r->array, NULL)) return tl_fail(err, TL_ECORRUPT, "its rows do not have the types they should");
  return TL_OK;
}

static bool is_null(const struct ArrowArrayView *view, int64_t row) { return ArrowArrayViewIsNull(view, row); }

static tl_text text_at(const struct ArrowArrayView *view, int64_t row) {
  if (is_null(view, row)) return (tl_text){0};
  struct ArrowStringView text = ArrowArrayViewGetStringUnsafe(view, row);
  return tl_text_of(text.data ? text.data : "", (size_t)text.size_bytes);
}

static int64_t number_at(const struct ArrowArrayView *view, int64_t row) {
  return is_null(view, row) ? INT64_MIN : ArrowArrayViewGetIntUnsafe(view, row);
}

/* ---- which fields the file has ---- */

typedef struct shape { bool has[COLUMN_COUNT]; } shape;

/* parquet_schema lists a tree depth first; a field stands below its struct. */
static void note_name(tl_text name, const char **path, size_t depth, shape *out) {
  for (size_t c = 0; c < COLUMN_COUNT; c++) {
    const char *last = columns[c].inner ? columns[c].inner : columns[c].field;
    if (depth != (columns[c].inner ? 3 : 2) || !tl_text_is(name, last)) continue;
    if (!path[1] || strcmp(path[1], columns[c].action) != 0 || (columns[c].inner && (!path[2] || strcmp(path[2], columns[c].field) != 0))) continue;
    out->has[c] = true;
  }
}

static const char *known_name(tl_text name) {
  for (size_t c = 0; c < COLUMN_COUNT; c++) {
    if (tl_text_is(name, columns[c].action)) return columns[c].action;
    if (tl_text_is(name, columns[c].field)) return columns[c].field;
  }
  return NULL;
}

static tl_status read_shape(tl_engine *engine, const char *quoted, shape *out, tl_error *err) {
  enum { DEPTH_MAX = 32 };
  const char *path[DEPTH_MAX] = {NULL};
  int64_t left[DEPTH_MAX] = {0};
  size_t depth = 0;
  bool more = true;
  rows r;
  tl_buf sql = {0};
  *out = (shape){0};
  tl_status st = tl_buf_appendf(&sql, err, "SELECT name, coalesce(num_children, 0)::BIGINT FROM parquet_schema(%s)", quoted);
  if (!st) st = rows_open(engine, sql.data, &r, err);
  tl_buf_deinit(&sql);
  if (st) return st;
  while (!st && !(st = rows_next(&r, &more, err)) && more)
    for (int64_t row = 0; !st && row < r.array.length; row++) {
      tl_text name = text_at(r.view.children[0], row);
      int64_t children = number_at(r.view.children[1], row);
      note_name(name, path, depth, out);
      if (children > 0 && depth + 1 < DEPTH_MAX) {
        path[depth] = known_name(name);
        left[depth++] = children;
        continue;
      }
      if (children > 0) st = tl_fail(err, TL_ECORRUPT, "its columns nest too deep");
      while (depth > 0 && --left[depth - 1] == 0) depth--;
    }
  rows_close(&r);
  return st;
}

/* ---- rows ---- */

static tl_status select_columns(const shape *has, const char *quoted, tl_buf *sql, tl_error *err) {
  tl_status st = tl_buf_appends(sql, "SELECT ", err);
  for (size_t c = 0; !st && c < COLUMN_COUNT; c++) {
    const char *comma = c ? ", " : "";
    if (!has->has[c]) st = tl_buf_appendf(sql, err, "%sNULL::%s", comma, columns[c].type);
    else if (!columns[c].inner)
      st = tl_buf_appendf(sql, err, "%sstruct_extract(\"%s\", '%s')::%s", comma, columns[c].action, columns[c].field, columns[c].type);
    else
      st = tl_buf_appendf(sql, err, "%sstruct_extract(struct_extract(\"%s\", '%s'), '%s')::%s", comma, columns[c].action, columns[c].field,
                          columns[c].inner, columns[c].type);
  }
  return st ? st : tl_buf_appendf(sql, err, " FROM read_parquet(%s, hive_partitioning = false)", quoted);
}

typedef struct words { /* reused from row to row */
  tl_delta_words *items;
  size_t capacity;
} words;

/* A list's or map's items of one row. */
static tl_status words_at(const struct ArrowArrayView *view, int64_t row, words *to, const tl_delta_words **out, size_t *count, tl_error *err) {
  *out = NULL;
  *count = 0;
  if (is_null(view, row)) return TL_OK;
  int64_t begin = ArrowArrayViewListChildOffset(view, view->offset + row), end = ArrowArrayViewListChildOffset(view, view->offset + row + 1);
  const struct ArrowArrayView *items = view->children[0];
  bool map = view->storage_type == NANOARROW_TYPE_MAP;
  if (end < begin) return tl_fail(err, TL_ECORRUPT, "its maps are damaged");
  size_t wanted = (size_t)(end - begin);
  if (wanted > to->capacity) {
    tl_delta_words *grown = tl_realloc_array(to->items, wanted, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot hold a row of a checkpoint");
    to->items = grown;
    to->capacity = wanted;
  }
  for (int64_t i = begin; i < end; i++) {
    tl_delta_words *word = &to->items[(*count)++];
    *word = (tl_delta_words){.key = text_at(map ? items->children[0] : items, i)};
    if (map) word->value = text_at(items->children[1], i);
  }
  *out = to->items;
  return TL_OK;
}

static tl_status apply_row(struct ArrowArrayView *const *at, int64_t row, words scratch[4], tl_delta_actions *actions, tl_error *err) {
  tl_delta_row out = tl_delta_row_null;
  const struct { column column; tl_text *to; } texts[] = {
    {TXN_APP, &out.txn_app}, {ADD_PATH, &out.add_path}, {ADD_STATS, &out.stats}, {REMOVE_PATH, &out.remove_path}, {META_ID, &out.id},
    {META_NAME, &out.name}, {META_DESCRIPTION, &out.description}, {META_SCHEMA, &out.schema}, {META_PROVIDER, &out.provider}};
  const struct { column column; int64_t *to; } numbers[] = {
    {TXN_VERSION, &out.txn_version}, {TXN_UPDATED, &out.txn_updated}, {ADD_SIZE, &out.add_size}, {ADD_MODIFIED, &out.add_modified},
    {REMOVE_SIZE, &out.remove_size}, {REMOVE_DELETED, &out.remove_deleted}, {META_CREATED, &out.created}, {PROTOCOL_READER, &out.reader},
    {PROTOCOL_WRITER, &out.writer}};
  if (!is_null(at[SIDECAR], row)) return tl_fail(err, TL_EUSAGE, "the table has the feature 'v2Checkpoint', which this engine cannot read");
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) *texts[i].to = text_at(at[texts[i].column], row);
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) *numbers[i].to = number_at(at[numbers[i].column], row);
  out.add_vector = !is_null(at[ADD_VECTOR], row);
  out.remove_vector = !is_null(at[REMOVE_VECTOR], row);
  out.is_metadata = out.id.data || out.schema.data;
  out.is_protocol = out.reader != INT64_MIN || out.writer != INT64_MIN;
  column partition = out.add_path.data ? ADD_PARTITION : REMOVE_PARTITION;
  out.has_partition = !is_null(at[partition], row);
  tl_status st = words_at(at[partition], row, &scratch[0], &out.partition, &out.partition_count, err);
  if (!st) st = words_at(at[ADD_TAGS], row, &scratch[1], &out.tags, &out.tag_count, err);
  if (!st && out.is_metadata) st = words_at(at[META_CONFIGURATION], row, &scratch[2], &out.configuration, &out.configuration_count, err);
  if (!st && out.is_metadata) st = words_at(at[META_PARTITION], row, &scratch[3], &out.partition_columns, &out.partition_column_count, err);
  if (!st && out.is_protocol) st = words_at(at[PROTOCOL_READS], row, &scratch[2], &out.reader_features, &out.reader_feature_count, err);
  if (!st && out.is_protocol) st = words_at(at[PROTOCOL_WRITES], row, &scratch[3], &out.writer_features, &out.writer_feature_count, err);
  return st ? st : tl_delta_row_apply(&out, actions, err);
}

static tl_status read_rows(tl_engine *engine, const shape *has, const char *quoted, tl_delta_actions *out, tl_error *err) {
  words scratch[4] = {{0}};
  bool more = true;
  rows r;
  tl_buf sql = {0};
  tl_status st = select_columns(has, quoted, &sql, err);
  if (!st) st = rows_open(engine, sql.data, &r, err);
  tl_buf_deinit(&sql);
  if (st) return st;
  while (!st && !(st = rows_next(&r, &more, err)) && more)
    for (int64_t row = 0; !st && row < r.array.length; row++) st = apply_row(r.view.children, row, scratch, out, err);
  for (size_t i = 0; i < 4; i++) tl_free(scratch[i].items);
  rows_close(&r);
  return st;
}

static tl_status read_local(tl_engine *engine, const char *path, tl_delta_actions *out, tl_error *err) {
  tl_buf quoted = {0};
  shape has;
  tl_status st = tl_sql_quote(&quoted, path, strlen(path), err);
  if (!st) st = read_shape(engine, quoted.data, &has, err);
  if (!st) st = read_rows(engine, &has, quoted.data, out, err);
  tl_buf_deinit(&quoted);
  return st;
}

/* ---- parts ---- */

static tl_status read_part(tl_table_log *log, const char *key, tl_delta_actions *out, tl_error *err) {
  char name[TL_DELTA_UUID_MAX];
  const char *folder = tl_store_local(log->store);
  if (!folder) tl_delta_uuid(name);
  char *path = folder ? tl_io_join(folder, key) : tl_io_join(log->env->temp, name);
  if (!path) return tl_fail(err, TL_ENOMEM, "cannot read '%s'", key);
  tl_status st = folder ? TL_OK : tl_store_fetch(log->store, key, path, err);
  if (!st) st = read_local(log->env->engine, path, out, err);
  if (!folder) tl_io_unlink(path, NULL);
  tl_free(path);
  return st == TL_ESQL ? tl_fail_within(err, TL_ECORRUPT, "'%s'", key) : st ? tl_fail_within(err, st, "'%s'", key) : TL_OK;
}

static int compare_files(const void *a, const void *b) {
  return strcmp((*(tl_delta_file *const *)a)->path, (*(tl_delta_file *const *)b)->path);
}

static int compare_txns(const void *a, const void *b) { return strcmp(((const tl_delta_txn *)a)->app, ((const tl_delta_txn *)b)->app); }

static tl_status check_whole(const char *key, tl_delta_actions *actions, tl_error *err) {
  if (!actions->has_protocol || !actions->has_metadata) return tl_fail(err, TL_ECORRUPT, "'%s' has no protocol or no metaData", key);
  if (actions->file_count) qsort(actions->files, actions->file_count, sizeof(tl_delta_file *), compare_files);
  for (size_t i = 1; i < actions->file_count; i++)
    if (!strcmp(actions->files[i - 1]->path, actions->files[i]->path))
      return tl_fail(err, TL_ECORRUPT, "'%s' names the file '%.200s' twice", key, actions->files[i]->path);
  if (actions->txn_count) qsort(actions->txns, actions->txn_count, sizeof(tl_delta_txn), compare_txns);
  for (size_t i = 1; i < actions->txn_count; i++)
    if (!strcmp(actions->txns[i - 1].app, actions->txns[i].app)) return tl_fail(err, TL_ECORRUPT, "'%s' has an appId twice", key);
  return TL_OK;
}

tl_status tl_delta_checkpoint_read(tl_table_log *log, const tl_delta_entry *parts, tl_delta_actions *out, tl_error *err) {
  tl_status st = TL_OK;
  out->version = parts->version;
  out->metadata.created_ms = -1;
  for (int i = 0; !st && i < parts->parts; i++) st = read_part(log, parts[i].key, out, err);
  return st ? st : check_whole(parts->key, out, err);
}

/* ---- the hint ---- */

static bool hint_number(const tl_json_value *root, const char *key, int64_t otherwise, int64_t *out) {
  tl_text text;
  *out = otherwise;
  const tl_json_value *value = tl_json_get(root, key);
  if (!value) return true;
  return tl_json_number(value, &text) && tl_number_i64(text.data, text.len, out) == TL_NUMBER_OK && *out >= 0;
}

bool tl_delta_hint_parse(tl_text text, tl_delta_hint *out) {
  tl_json *json = NULL;
  if (tl_json_open(text.data, text.len, text.len + 1, &json, NULL)) return false;
  const tl_json_value *root = tl_json_root(json);
  bool known = hint_number(root, "version", -1, &out->version) && out->version >= 0 && hint_number(root, "size", 0, &out->size) &&
               hint_number(root, "parts", 0, &out->parts);
  tl_json_close(json);
  return known;
}
