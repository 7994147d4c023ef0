/* checkpoint.c - a state as a Parquet checkpoint: written aside through the engine, put, read back and compared; only then
 * does _last_checkpoint name it.
 * It holds protocol, metaData, txns, live adds by path with stats and tags, and removes younger than
 * delta.deletedFileRetentionDuration. Two writers of one version write the same: the first file stays, if it is sound.
 * Cost: memory of a batch of rows, a pointer a file; the engine's time. */
#include <errno.h>
#include <inttypes.h>
#include <nanoarrow/nanoarrow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"
#include "market/number.h"
#include "table/delta/delta.h"

enum { BATCH_ROWS = 16384 };

/* ---- what goes in ---- */

typedef struct content {
  const tl_delta_state *state;
  const tl_delta_file **files; /* adds by path, then removes by path */
  size_t file_count, add_count;
  int64_t add_bytes;
} content;

int64_t tl_delta_interval_ms(const tl_delta_metadata *metadata, const char *key, int64_t otherwise) {
  static const struct { const char *name; int64_t ms; } units[] = {
    {"millisecond", 1}, {"second", 1000}, {"minute", 60000}, {"hour", 3600000}, {"day", 86400000}, {"week", 604800000}};
  const char *at = tl_delta_pairs_get(&metadata->configuration, key);
  int64_t total = 0;
  if (!at) return otherwise;
  at += strspn(at, " ");
  if (!strncasecmp(at, "interval", 8)) at += 8;
  for (at += strspn(at, " "); *at; at += strspn(at, " ")) {
    int64_t count, part = -1;
    size_t digits = strspn(at, "0123456789");
    if (!digits || tl_number_i64(at, digits, &count) != TL_NUMBER_OK) return otherwise;
    at += digits + strspn(at + digits, " ");
    size_t letters = strcspn(at, " ");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
      size_t len = strlen(units[i].name);
      if (strncasecmp(at, units[i].name, len) != 0 || (letters != len && !(letters == len + 1 && (at[len] | 32) == 's'))) continue;
      if (__builtin_mul_overflow(count, units[i].ms, &part)) return otherwise;
    }
    if (part < 0 || __builtin_add_overflow(total, part, &total)) return otherwise;
    at += letters;
  }
  return total;
}

static int compare_files(const void *a, const void *b) {
  const tl_delta_file *x = *(const tl_delta_file *const *)a, *y = *(const tl_delta_file *const *)b;
  return x->removed != y->removed ? x->removed - y->removed : strcmp(x->path, y->path);
}

static tl_status gather(const tl_delta_state *state, content *out, tl_error *err) {
  int64_t week_ms = INT64_C(604800000);
  int64_t oldest_ms = tl_clock_now_ns() / TL_NS_PER_MS - tl_delta_interval_ms(&state->metadata, "delta.deletedFileRetentionDuration", week_ms);
  tl_delta_file *file;
  *out = (content){.state = state, .files = tl_calloc(state->used + 1, sizeof(tl_delta_file *))};
  if (!out->files) return tl_fail(err, TL_ENOMEM, "cannot hold a checkpoint of %zu files", state->used);
  for (size_t at = 0; tl_delta_state_next(state, &at, &file);) {
    if (file->removed && file->deleted_ms < oldest_ms) continue;
    if (!file->removed) {
      out->add_count++;
      if (__builtin_add_overflow(out->add_bytes, file->size_bytes, &out->add_bytes)) out->add_bytes = INT64_MAX;
    }
    out->files[out->file_count++] = file;
  }
  if (out->file_count) qsort(out->files, out->file_count, sizeof(tl_delta_file *), compare_files);
  return TL_OK;
}

static size_t row_count(const content *c) { return 2 + c->state->txn_count + c->file_count; }

/* ---- Arrow: one struct column per action ---- */

typedef enum action { TXN, ADD, REMOVE, METADATA, PROTOCOL, ACTION_COUNT } action;
typedef enum form { TEXT, I64, I32, BOOL, MAP, LIST, FORMAT } form;
enum { FIELDS_MAX = 8 };

static const struct {
  const char *name;
  struct { const char *name; form form; } fields[FIELDS_MAX + 1];
} layout[ACTION_COUNT] = {
  [TXN] = {"txn", {{"appId", TEXT}, {"version", I64}, {"lastUpdated", I64}}},
  [ADD] = {"add", {{"path", TEXT}, {"partitionValues", MAP}, {"size", I64}, {"modificationTime", I64}, {"dataChange", BOOL}, {"tags", MAP}, {"stats", TEXT}}},
  [REMOVE] = {"remove", {{"path", TEXT}, {"deletionTimestamp", I64}, {"dataChange", BOOL}, {"extendedFileMetadata", BOOL}, {"partitionValues", MAP}, {"size", I64}}},
  [METADATA] = {"metaData", {{"id", TEXT}, {"name", TEXT}, {"description", TEXT}, {"format", FORMAT}, {"schemaString", TEXT}, {"partitionColumns", LIST},
                             {"configuration", MAP}, {"createdTime", I64}}},
  [PROTOCOL] = {"protocol", {{"minReaderVersion", I32}, {"minWriterVersion", I32}, {"readerFeatures", LIST}, {"writerFeatures", LIST}}},
};

static size_t field_count(action a) {
  size_t n = 0;
  while (layout[a].fields[n].name) n++;
  return n;
}

static int set_form(struct ArrowSchema *s, form f) {
  static const enum ArrowType types[] = {[TEXT] = NANOARROW_TYPE_STRING, [I64] = NANOARROW_TYPE_INT64, [I32] = NANOARROW_TYPE_INT32,
                                         [BOOL] = NANOARROW_TYPE_BOOL, [MAP] = NANOARROW_TYPE_MAP, [LIST] = NANOARROW_TYPE_LIST};
  if (f != FORMAT) NANOARROW_RETURN_NOT_OK(ArrowSchemaSetType(s, types[f]));
  if (f == LIST) return ArrowSchemaSetType(s->children[0], NANOARROW_TYPE_STRING);
  if (f == MAP) {
    NANOARROW_RETURN_NOT_OK(ArrowSchemaSetType(s->children[0]->children[0], NANOARROW_TYPE_STRING));
    return ArrowSchemaSetType(s->children[0]->children[1], NANOARROW_TYPE_STRING);
  }
  if (f != FORMAT) return 0;
  NANOARROW_RETURN_NOT_OK(ArrowSchemaSetTypeStruct(s, 2));
  NANOARROW_RETURN_NOT_OK(set_form(s->children[0], TEXT));
  NANOARROW_RETURN_NOT_OK(ArrowSchemaSetName(s->children[0], "provider"));
  NANOARROW_RETURN_NOT_OK(set_form(s->children[1], MAP));
  return ArrowSchemaSetName(s->children[1], "options");
}

static int set_schema(struct ArrowSchema *s) {
  ArrowSchemaInit(s);
  NANOARROW_RETURN_NOT_OK(ArrowSchemaSetTypeStruct(s, ACTION_COUNT));
  for (int a = 0; a < ACTION_COUNT; a++) {
    struct ArrowSchema *column = s->children[a];
    size_t count = field_count((action)a);
    NANOARROW_RETURN_NOT_OK(ArrowSchemaSetTypeStruct(column, (int64_t)count));
    NANOARROW_RETURN_NOT_OK(ArrowSchemaSetName(column, layout[a].name));
    for (size_t f = 0; f < count; f++) {
      NANOARROW_RETURN_NOT_OK(set_form(column->children[f], layout[a].fields[f].form));
      NANOARROW_RETURN_NOT_OK(ArrowSchemaSetName(column->children[f], layout[a].fields[f].name));
    }
  }
  return 0;
}

/* A row under construction: values go to the fields of one action in the order of the layout; the first failure sticks. */
typedef struct builder {
  struct ArrowArray *column;
  size_t field;
  int code;
} builder;

#define TRY(b, call)                  \
  do {                                \
    if (!(b)->code) (b)->code = (call); \
  } while (0)

static struct ArrowArray *next_field(builder *b) { return b->column->children[b->field++]; }

static int add_text(struct ArrowArray *array, const char *text) {
  return text ? ArrowArrayAppendString(array, ArrowCharView(text)) : ArrowArrayAppendNull(array, 1);
}

static void put_text(builder *b, const char *text) { TRY(b, add_text(next_field(b), text)); }

static void put_i64(builder *b, int64_t value, bool known) {
  struct ArrowArray *array = next_field(b);
  TRY(b, known ? ArrowArrayAppendInt(array, value) : ArrowArrayAppendNull(array, 1));
}

static void put_map_into(builder *b, struct ArrowArray *map, const tl_pair *pairs, size_t count, bool known) {
  if (!known) {
    TRY(b, ArrowArrayAppendNull(map, 1));
    return;
  }
  for (size_t i = 0; i < count; i++) {
    TRY(b, add_text(map->children[0]->children[0], pairs[i].key));
    TRY(b, add_text(map->children[0]->children[1], pairs[i].value));
    TRY(b, ArrowArrayFinishElement(map->children[0]));
  }
  TRY(b, ArrowArrayFinishElement(map));
}

static void put_map(builder *b, const tl_pair *pairs, size_t count, bool known) { put_map_into(b, next_field(b), pairs, count, known); }

static void put_list(builder *b, const tl_delta_names *names, bool known) {
  struct ArrowArray *list = next_field(b);
  for (size_t i = 0; known && i < names->count; i++) TRY(b, add_text(list->children[0], names->items[i]));
  TRY(b, known ? ArrowArrayFinishElement(list) : ArrowArrayAppendNull(list, 1));
}

static void put_file(builder *b, const tl_delta_file *file) {
  put_text(b, file->path);
  if (file->removed) {
    put_i64(b, file->deleted_ms, true);
    put_i64(b, file->data_change, true);
    put_i64(b, file->has_partition && file->size_bytes >= 0, true);
    put_map(b, file->partition, file->partition_count, file->has_partition);
    put_i64(b, file->size_bytes, file->size_bytes >= 0);
    return;
  }
  put_map(b, file->partition, file->partition_count, true);
  put_i64(b, file->size_bytes, true);
  put_i64(b, file->modified_ms, true);
  put_i64(b, false, true); /* dataChange: a checkpoint changes nothing */
  put_map(b, file->tags, file->tag_count, file->tag_count > 0);
  put_text(b, file->stats);
}

static void put_metadata(builder *b, const tl_delta_metadata *m) {
  put_text(b, m->id);
  put_text(b, m->name);
  put_text(b, m->description);
  struct ArrowArray *format = next_field(b);
  TRY(b, add_text(format->children[0], "parquet"));
  put_map_into(b, format->children[1], NULL, 0, true);
  TRY(b, ArrowArrayFinishElement(format));
  put_text(b, m->schema);
  put_list(b, &m->partition_columns, true);
  put_map(b, m->configuration.items, m->configuration.count, true);
  put_i64(b, m->created_ms, m->created_ms >= 0);
}

static void put_protocol(builder *b, const tl_delta_protocol *p) {
  put_i64(b, p->reader, true);
  put_i64(b, p->writer, true);
  put_list(b, &p->reader_features, p->reader >= 3);
  put_list(b, &p->writer_features, p->writer >= 7);
}

static int add_row(struct ArrowArray *rows, const content *c, size_t row) {
  const tl_delta_state *s = c->state;
  size_t txn = row - 2, file = txn - s->txn_count;
  action a = row == 0 ? PROTOCOL : row == 1 ? METADATA : txn < s->txn_count ? TXN : c->files[file]->removed ? REMOVE : ADD;
  builder b = {.column = rows->children[a]};
  if (a == PROTOCOL) put_protocol(&b, &s->protocol);
  else if (a == METADATA) put_metadata(&b, &s->metadata);
  else if (a == TXN) {
    put_text(&b, s->txns[txn].app);
    put_i64(&b, s->txns[txn].version, true);
    put_i64(&b, s->txns[txn].updated_ms, s->txns[txn].updated_ms >= 0);
  } else {
    put_file(&b, c->files[file]);
  }
  TRY(&b, ArrowArrayFinishElement(b.column));
  for (int other = 0; other < ACTION_COUNT; other++)
    if (other != (int)a) TRY(&b, ArrowArrayAppendNull(rows->children[other], 1));
  TRY(&b, ArrowArrayFinishElement(rows));
  return b.code;
}

typedef struct source { /* behind the stream the engine reads */
  const content *content;
  size_t row;
} source;

static int get_schema(struct ArrowArrayStream *self, struct ArrowSchema *out) {
  (void)self;
  int code = set_schema(out);
  if (code && out->release) out->release(out);
  return code;
}

static int get_next(struct ArrowArrayStream *self, struct ArrowArray *out) {
  source *s = self->private_data;
  struct ArrowSchema schema;
  size_t end = row_count(s->content);
  memset(out, 0, sizeof *out);
  if (s->row == end) return 0;
  if (end - s->row > BATCH_ROWS) end = s->row + BATCH_ROWS;
  int code = set_schema(&schema);
  if (!code) code = ArrowArrayInitFromSchema(out, &schema, NULL);
  if (schema.release) schema.release(&schema);
  if (!code) code = ArrowArrayStartAppending(out);
  while (!code && s->row < end) code = add_row(out, s->content, s->row++);
  if (!code) code = ArrowArrayFinishBuildingDefault(out, NULL);
  if (code && out->release) out->release(out);
  return code;
}

static const char *get_last_error(struct ArrowArrayStream *self) {
  (void)self;
  return "memory ran out for the rows of a checkpoint";
}

static void release(struct ArrowArrayStream *self) { self->release = NULL; }

static tl_status write_local(tl_engine *engine, const content *c, const char *path, tl_error *err) {
  source s = {.content = c};
  struct ArrowArrayStream stream = {get_schema, get_next, get_last_error, release, &s};
  return tl_engine_write_parquet(engine, &stream, path, err);
}

/* ---- read back ---- */

static bool names_equal(const tl_delta_names *a, const tl_delta_names *b) {
  for (size_t i = 0; i < a->count && i < b->count; i++)
    if (strcmp(a->items[i], b->items[i]) != 0) return false;
  return a->count == b->count;
}

static bool text_equal(const char *a, const char *b) { return a == b || (a && b && !strcmp(a, b)); }

static bool head_equal(const tl_delta_state *s, const tl_delta_actions *a) {
  const tl_delta_metadata *x = &s->metadata, *y = &a->metadata;
  if (s->protocol.reader != a->protocol.reader || s->protocol.writer != a->protocol.writer ||
      (s->protocol.reader >= 3 && !names_equal(&s->protocol.reader_features, &a->protocol.reader_features)) ||
      (s->protocol.writer >= 7 && !names_equal(&s->protocol.writer_features, &a->protocol.writer_features)))
    return false;
  if (!text_equal(x->id, y->id) || !text_equal(x->name, y->name) || !text_equal(x->description, y->description) ||
      !text_equal(x->schema, y->schema) || !names_equal(&x->partition_columns, &y->partition_columns) || x->created_ms != y->created_ms ||
      x->configuration.count != y->configuration.count)
    return false;
  for (size_t i = 0; i < x->configuration.count; i++)
    if (!text_equal(x->configuration.items[i].value, tl_delta_pairs_get(&y->configuration, x->configuration.items[i].key))) return false;
  return true;
}

static int find_txn(const void *app, const void *txn) { return strcmp(app, ((const tl_delta_txn *)txn)->app); }

/* What was read is sorted: txns by app, files by path. */
static bool txns_equal(const tl_delta_state *s, const tl_delta_actions *a) {
  if (s->txn_count != a->txn_count) return false;
  for (size_t i = 0; i < s->txn_count; i++) {
    const tl_delta_txn *txn = bsearch(s->txns[i].app, a->txns, a->txn_count, sizeof *txn, find_txn);
    if (!txn || txn->version != s->txns[i].version || txn->updated_ms != s->txns[i].updated_ms) return false;
  }
  return true;
}

static int find_file(const void *path, const void *file) { return strcmp(path, (*(tl_delta_file *const *)file)->path); }

static tl_status compare(const content *c, const tl_delta_actions *a, const char *key, tl_error *err) {
  if (!head_equal(c->state, a) || !txns_equal(c->state, a))
    return tl_fail(err, TL_ECORRUPT, "the checkpoint '%s' reads back with other metadata than it was written with", key);
  if (c->file_count != a->file_count)
    return tl_fail(err, TL_ECORRUPT, "the checkpoint '%s' reads back with %zu files instead of %zu", key, a->file_count, c->file_count);
  for (size_t i = 0; i < c->file_count; i++) {
    tl_delta_file *const *file = bsearch(c->files[i]->path, a->files, a->file_count, sizeof *file, find_file);
    if (!file || !tl_delta_file_equal(c->files[i], *file))
      return tl_fail(err, TL_ECORRUPT, "the checkpoint '%s' reads back differently for '%.150s'", key, c->files[i]->path);
  }
  return TL_OK;
}

static tl_status verify(tl_table_log *log, const content *c, const char *key, tl_error *err) {
  tl_delta_actions actions = {0};
  const tl_delta_entry entry = {.version = c->state->version, .kind = TL_DELTA_CHECKPOINT, .part = 1, .parts = 1, .key = (char *)(uintptr_t)key};
  tl_status st = tl_delta_checkpoint_read(log, &entry, &actions, err);
  if (!st) st = compare(c, &actions, key, err);
  tl_delta_actions_deinit(&actions);
  return st;
}

/* ---- putting it ---- */

static tl_status put_hint(tl_table_log *log, const content *c, int64_t size_bytes, tl_error *err) {
  tl_buf text = {0};
  tl_delta_hint hint = {.version = -1};
  tl_status st = tl_store_get(log->store, TL_DELTA_HINT, (size_t)1 << 24, &text, NULL, err);
  bool failed = st && st != TL_ENOTFOUND && st != TL_ELIMIT;
  bool newer = !st && tl_delta_hint_parse(tl_text_of(text.data ? text.data : "", text.len), &hint) && hint.version > c->state->version;
  tl_buf_clear(&text);
  if (!failed) st = TL_OK;
  if (!failed && !newer) {
    tl_json_writer w = tl_json_writer_of(&text, err);
    tl_json_put_object(&w, NULL);
    tl_json_put_i64(&w, "version", c->state->version);
    tl_json_put_i64(&w, "size", (int64_t)row_count(c));
    tl_json_put_i64(&w, "sizeInBytes", size_bytes);
    tl_json_put_i64(&w, "numOfAddFiles", (int64_t)c->add_count);
    tl_json_put_close(&w);
    st = tl_json_writer_end(&w);
    if (!st) st = tl_store_put(log->store, TL_DELTA_HINT, text.data, text.len, TL_PUT_ANY, NULL, NULL, err);
  }
  tl_buf_deinit(&text);
  return st;
}

/* When there is one already, another writer was faster (sound: it stays) or broke off (damaged: ours replaces it). */
static tl_status put_checked(tl_table_log *log, const content *c, const char *path, const char *key, tl_error *err) {
  tl_status st = tl_store_put_file(log->store, key, path, TL_PUT_ABSENT, NULL, NULL, err);
  bool there = st == TL_ECONFLICT;
  if (st && !there) return st;
  if (!there) TL_FAULT_STEP();
  st = verify(log, c, key, err);
  if (!there || st != TL_ECORRUPT) return st;
  st = tl_store_put_file(log->store, key, path, TL_PUT_ANY, NULL, NULL, err);
  return st ? st : verify(log, c, key, err);
}

tl_status tl_delta_checkpoint_write(tl_table_log *log, const tl_delta_state *state, tl_error *err) {
  char name[TL_DELTA_UUID_MAX + 16], id[TL_DELTA_UUID_MAX], key[TL_DELTA_KEY_MAX];
  content c;
  tl_io_info info;
  for (size_t i = 0; i < state->slot_count; i++)
    if (state->slots[i] && state->slots[i]->has_vector)
      return tl_fail(err, TL_EUSAGE, "the table has the feature 'deletionVectors', which this engine does not write");
  tl_status st = gather(state, &c, err);
  if (st) return st;
  tl_delta_uuid(id);
  snprintf(name, sizeof name, "checkpoint-%s", id);
  snprintf(key, sizeof key, TL_DELTA_LOG "%020" PRId64 ".checkpoint.parquet", state->version);
  char *path = tl_io_join(log->env->temp, name);
  if (!path) st = tl_fail(err, TL_ENOMEM, "cannot write a checkpoint");
  if (!st) st = write_local(log->env->engine, &c, path, err);
  if (!st) st = tl_io_stat(path, &info, err);
  if (!st) st = put_checked(log, &c, path, key, err);
  if (!st) {
    TL_FAULT_STEP();
    st = put_hint(log, &c, info.size_bytes, err);
  }
  if (path) tl_io_unlink(path, NULL);
  tl_free(path);
  tl_free(c.files);
  return st;
}

tl_status tl_delta_checkpoint(tl_table_log *log, const tl_snapshot *snapshot, tl_error *err) {
  tl_delta_state state;
  tl_delta_state_init(&state);
  if (snapshot->unwritable) return tl_fail(err, TL_EUSAGE, "cannot write a checkpoint of '%s': %s", tl_store_uri(log->store), snapshot->unwritable);
  bool newest = log->has_newest && log->newest.version == snapshot->version;
  tl_status st = newest ? TL_OK : tl_delta_replay(log, snapshot->version, &state, err);
  if (!st) st = tl_delta_checkpoint_write(log, newest ? &log->newest : &state, err);
  tl_delta_state_deinit(&state);
  return st;
}
