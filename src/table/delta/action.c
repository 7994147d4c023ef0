/* action.c - the actions of a commit file: parsed line by line, checked against each other, held and freed.
 * Lines may end in LF or CRLF, be blank, and the last one need not end. What the format does not know is skipped, as it
 * demands; a line that is no object, an action without what it must have, and a file named twice are refused. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "market/number.h"
#include "table/delta/delta.h"

/* ---- files ---- */

static char *place(char **at, tl_text text) {
  char *start = *at;
  memcpy(start, text.data, text.len);
  start[text.len] = 0;
  *at += text.len + 1;
  return start;
}

static size_t words_bytes(const tl_delta_words *words, size_t count) {
  size_t bytes = count * sizeof(tl_pair);
  for (size_t i = 0; i < count; i++) bytes += words[i].key.len + (words[i].value.data ? words[i].value.len + 1 : 0) + 1;
  return bytes;
}

static void place_words(char **at, const tl_delta_words *words, size_t count, tl_pair *out) {
  for (size_t i = 0; i < count; i++) {
    out[i].key = place(at, words[i].key);
    out[i].value = words[i].value.data ? place(at, words[i].value) : NULL;
  }
}

tl_delta_file *tl_delta_file_new(const tl_delta_draft *draft) {
  size_t pairs = draft->partition_count + draft->tag_count;
  size_t bytes = sizeof(tl_delta_file) + draft->path.len + 1 + (draft->stats.data ? draft->stats.len + 1 : 0) +
                 words_bytes(draft->partition, draft->partition_count) + words_bytes(draft->tags, draft->tag_count);
  tl_delta_file *file = tl_alloc(bytes);
  if (!file) return NULL;
  memcpy(file, &draft->fixed, sizeof *file);
  atomic_init(&file->refs, 1);
  file->partition = (tl_pair *)(void *)(file + 1); /* pairs first: they need the alignment */
  file->tags = file->partition + draft->partition_count;
  file->partition_count = draft->partition_count;
  file->tag_count = draft->tag_count;
  char *at = (char *)(file->partition + pairs);
  file->path = place(&at, draft->path);
  file->stats = draft->stats.data ? place(&at, draft->stats) : NULL;
  place_words(&at, draft->partition, draft->partition_count, file->partition);
  place_words(&at, draft->tags, draft->tag_count, file->tags);
  return file;
}

tl_delta_file *tl_delta_file_ref(tl_delta_file *file) {
  atomic_fetch_add_explicit(&file->refs, 1, memory_order_relaxed);
  return file;
}

void tl_delta_file_unref(tl_delta_file *file) {
  if (file && atomic_fetch_sub_explicit(&file->refs, 1, memory_order_acq_rel) == 1) tl_free(file);
}

static bool text_equal(const char *a, const char *b) { return a == b || (a && b && !strcmp(a, b)); }

static bool pairs_equal(const tl_pair *a, size_t a_count, const tl_pair *b, size_t b_count) { /* in any order */
  if (a_count != b_count) return false;
  for (size_t i = 0; i < a_count; i++) {
    size_t k = 0;
    while (k < b_count && strcmp(a[i].key, b[k].key) != 0) k++;
    if (k == b_count || !text_equal(a[i].value, b[k].value)) return false;
  }
  return true;
}

bool tl_delta_file_equal(const tl_delta_file *a, const tl_delta_file *b) {
  return a->removed == b->removed && !strcmp(a->path, b->path) && a->size_bytes == b->size_bytes &&
         (a->removed ? a->deleted_ms == b->deleted_ms : a->modified_ms == b->modified_ms) && text_equal(a->stats, b->stats) &&
         pairs_equal(a->partition, a->partition_count, b->partition, b->partition_count) &&
         pairs_equal(a->tags, a->tag_count, b->tags, b->tag_count);
}

/* ---- names and pairs ---- */

bool tl_delta_names_has(const tl_delta_names *names, const char *name) {
  for (size_t i = 0; i < names->count; i++)
    if (!strcmp(names->items[i], name)) return true;
  return false;
}

tl_status tl_delta_names_add(tl_delta_names *names, tl_text name, tl_error *err) {
  char **grown = tl_realloc_array(names->items, names->count + 1, sizeof *grown);
  if (!grown) return tl_fail(err, TL_ENOMEM, "cannot hold a list of names");
  names->items = grown;
  grown[names->count] = tl_strndup(name.data, name.len);
  if (!grown[names->count]) return tl_fail(err, TL_ENOMEM, "cannot hold a list of names");
  names->count++;
  return TL_OK;
}

void tl_delta_names_deinit(tl_delta_names *names) {
  for (size_t i = 0; i < names->count; i++) tl_free(names->items[i]);
  tl_free(names->items);
  *names = (tl_delta_names){0};
}

static size_t pairs_find(const tl_delta_pairs *pairs, tl_text key) {
  size_t i = 0;
  while (i < pairs->count && !tl_text_is(key, pairs->items[i].key)) i++;
  return i;
}

tl_status tl_delta_pairs_set(tl_delta_pairs *pairs, tl_text key, tl_text value, tl_error *err) {
  size_t at = pairs_find(pairs, key);
  if (!value.data) {
    if (at == pairs->count) return TL_OK;
    tl_free(pairs->items[at].key);
    tl_free(pairs->items[at].value);
    memmove(&pairs->items[at], &pairs->items[at + 1], (--pairs->count - at) * sizeof *pairs->items);
    return TL_OK;
  }
  char *copy = tl_strndup(value.data, value.len), *name = at == pairs->count ? tl_strndup(key.data, key.len) : NULL;
  tl_pair *grown = at < pairs->count ? pairs->items : tl_realloc_array(pairs->items, at + 1, sizeof *grown);
  if (grown) pairs->items = grown;
  if (!copy || !grown || (at == pairs->count && !name)) {
    tl_free(copy);
    tl_free(name);
    return tl_fail(err, TL_ENOMEM, "cannot hold a table's properties");
  }
  if (at < pairs->count) {
    tl_free(grown[at].value);
    grown[at].value = copy;
  } else {
    grown[pairs->count++] = (tl_pair){name, copy};
  }
  return TL_OK;
}

const char *tl_delta_pairs_get(const tl_delta_pairs *pairs, const char *key) {
  size_t at = pairs_find(pairs, tl_text_from(key));
  return at < pairs->count ? pairs->items[at].value : NULL;
}

void tl_delta_pairs_deinit(tl_delta_pairs *pairs) {
  for (size_t i = 0; i < pairs->count; i++) {
    tl_free(pairs->items[i].key);
    tl_free(pairs->items[i].value);
  }
  tl_free(pairs->items);
  *pairs = (tl_delta_pairs){0};
}

/* ---- protocol, metadata, info ---- */

void tl_delta_protocol_deinit(tl_delta_protocol *protocol) {
  tl_delta_names_deinit(&protocol->reader_features);
  tl_delta_names_deinit(&protocol->writer_features);
  *protocol = (tl_delta_protocol){0};
}

void tl_delta_metadata_deinit(tl_delta_metadata *metadata) {
  tl_free(metadata->id);
  tl_free(metadata->name);
  tl_free(metadata->description);
  tl_free(metadata->schema);
  tl_delta_names_deinit(&metadata->partition_columns);
  tl_delta_pairs_deinit(&metadata->configuration);
  *metadata = (tl_delta_metadata){0};
}

static bool copy_text(const char *from, char **out) {
  *out = from ? tl_strdup(from) : NULL;
  return !from || *out;
}

tl_status tl_delta_metadata_copy(const tl_delta_metadata *from, tl_delta_metadata *out, tl_error *err) {
  *out = (tl_delta_metadata){.created_ms = from->created_ms};
  tl_status st = copy_text(from->id, &out->id) && copy_text(from->name, &out->name) &&
                         copy_text(from->description, &out->description) && copy_text(from->schema, &out->schema)
                     ? TL_OK
                     : tl_fail(err, TL_ENOMEM, "cannot copy a table's metadata");
  for (size_t i = 0; !st && i < from->partition_columns.count; i++)
    st = tl_delta_names_add(&out->partition_columns, tl_text_from(from->partition_columns.items[i]), err);
  for (size_t i = 0; !st && i < from->configuration.count; i++)
    st = tl_delta_pairs_set(&out->configuration, tl_text_from(from->configuration.items[i].key),
                            tl_text_from(from->configuration.items[i].value), err);
  if (st) tl_delta_metadata_deinit(out);
  return st;
}

static void info_deinit(tl_delta_info *info) {
  tl_free(info->operation);
  tl_free(info->parameters);
  tl_free(info->metrics);
  tl_free(info->engine);
  tl_free(info->user_text);
  tl_free(info->txn_id);
  *info = (tl_delta_info){0};
}

void tl_delta_actions_deinit(tl_delta_actions *actions) {
  tl_delta_protocol_deinit(&actions->protocol);
  tl_delta_metadata_deinit(&actions->metadata);
  info_deinit(&actions->info);
  for (size_t i = 0; i < actions->txn_count; i++) tl_free(actions->txns[i].app);
  tl_free(actions->txns);
  for (size_t i = 0; i < actions->file_count; i++) tl_delta_file_unref(actions->files[i]);
  tl_free(actions->files);
  *actions = (tl_delta_actions){0};
}

tl_status tl_delta_actions_add_file(tl_delta_actions *actions, const tl_delta_draft *draft, tl_error *err) {
  if (actions->file_count == actions->file_capacity) {
    size_t more = actions->file_capacity ? actions->file_capacity * 2 : 16;
    tl_delta_file **grown = tl_realloc_array(actions->files, more, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot hold %zu files of a table", more);
    actions->files = grown;
    actions->file_capacity = more;
  }
  tl_delta_file *file = tl_delta_file_new(draft);
  if (!file) return tl_fail(err, TL_ENOMEM, "cannot hold %zu files of a table", actions->file_count + 1);
  actions->files[actions->file_count++] = file;
  return TL_OK;
}

tl_status tl_delta_actions_add_txn(tl_delta_actions *actions, tl_text app, int64_t version, int64_t updated_ms, tl_error *err) {
  if (actions->txn_count == actions->txn_capacity) {
    size_t more = actions->txn_capacity ? actions->txn_capacity * 2 : 4;
    tl_delta_txn *grown = tl_realloc_array(actions->txns, more, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot hold %zu transactions of a table", more);
    actions->txns = grown;
    actions->txn_capacity = more;
  }
  char *name = tl_strndup(app.data, app.len);
  if (!name) return tl_fail(err, TL_ENOMEM, "cannot hold a transaction of a table");
  actions->txns[actions->txn_count++] = (tl_delta_txn){name, version, updated_ms};
  return TL_OK;
}

/* ---- one line ---- */

typedef struct reader {
  const char *name;
  size_t line;
  tl_delta_actions *out;
  tl_error *err;
} reader;

static tl_status bad(const reader *r, const char *action, const char *what) {
  return tl_fail(r->err, TL_ECORRUPT, "'%s' line %zu: %s %s: the log is damaged, or was not written by a Delta writer", r->name,
                 r->line, action, what);
}

/* A string without NUL. Absent or null: TL_OK and data NULL. */
static tl_status get_text(const reader *r, const tl_json_value *object, const char *action, const char *key, tl_text *out) {
  const tl_json_value *value = tl_json_get(object, key);
  tl_json_type type = tl_json_type_of(value);
  *out = (tl_text){0};
  if (type == TL_JSON_NONE || type == TL_JSON_NULL) return TL_OK;
  if (tl_json_string(value, out) && !memchr(out->data, 0, out->len)) return TL_OK;
  char what[96];
  snprintf(what, sizeof what, "has a '%.40s' that is not plain text", key);
  return bad(r, action, what);
}

static tl_status keep_text(const reader *r, const tl_json_value *object, const char *action, const char *key, char **out) {
  tl_text text;
  tl_status st = get_text(r, object, action, key, &text);
  if (st || !text.data) return st;
  tl_free(*out);
  *out = tl_strndup(text.data, text.len);
  return *out ? TL_OK : tl_fail(r->err, TL_ENOMEM, "cannot hold the log's %s", action);
}

static tl_status get_i64(const reader *r, const tl_json_value *object, const char *action, const char *key, int64_t otherwise,
                         int64_t *out) {
  const tl_json_value *value = tl_json_get(object, key);
  tl_json_type type = tl_json_type_of(value);
  tl_text text;
  *out = otherwise;
  if (type == TL_JSON_NONE || type == TL_JSON_NULL) return TL_OK;
  if (tl_json_number(value, &text) && tl_number_i64(text.data, text.len, out) == TL_NUMBER_OK) return TL_OK;
  char what[96];
  snprintf(what, sizeof what, "has a '%.40s' that is not a whole number", key);
  return bad(r, action, what);
}

static tl_status get_bool(const reader *r, const tl_json_value *object, const char *action, const char *key, bool *out) {
  const tl_json_value *value = tl_json_get(object, key);
  tl_json_type type = tl_json_type_of(value);
  if (type == TL_JSON_NONE || type == TL_JSON_NULL || tl_json_bool(value, out)) return TL_OK;
  return bad(r, action, "has a flag that is neither true nor false");
}

/* An object of strings and nulls; *out on the heap. */
static tl_status get_words(const reader *r, const tl_json_value *object, const char *action, tl_delta_words **out, size_t *count) {
  tl_json_iter iter = tl_json_iter_of(object);
  const tl_json_value *value;
  tl_text key;
  *out = NULL;
  *count = 0;
  if (tl_json_type_of(object) != TL_JSON_OBJECT) return bad(r, action, "has a map that is none");
  if (!iter.left) return TL_OK;
  tl_delta_words *words = tl_calloc(iter.left, sizeof *words);
  if (!words) return tl_fail(r->err, TL_ENOMEM, "cannot hold the log's %s", action);
  *out = words;
  while (tl_json_iter_next(&iter, &key, &value)) {
    tl_delta_words *word = &words[(*count)++];
    word->key = key;
    bool text = tl_json_string(value, &word->value);
    if ((!text && tl_json_type_of(value) != TL_JSON_NULL) || memchr(key.data, 0, key.len) ||
        (text && memchr(word->value.data, 0, word->value.len)))
      return bad(r, action, "has a map with values that are not plain text");
    for (size_t i = 0; i + 1 < *count; i++)
      if (tl_text_equal(words[i].key, key)) return bad(r, action, "has a map with a key twice");
  }
  return TL_OK;
}

static bool given(const tl_json_value *object, const char *key) {
  tl_json_type type = tl_json_type_of(tl_json_get(object, key));
  return type != TL_JSON_NONE && type != TL_JSON_NULL;
}

static tl_status read_file_maps(const reader *r, const tl_json_value *object, const char *action, tl_delta_draft *draft,
                                tl_delta_words **partition, tl_delta_words **tags) {
  tl_status st = TL_OK;
  draft->fixed.has_partition = given(object, "partitionValues");
  if (draft->fixed.has_partition)
    st = get_words(r, tl_json_get(object, "partitionValues"), action, partition, &draft->partition_count);
  if (!st && !draft->fixed.removed && given(object, "tags")) st = get_words(r, tl_json_get(object, "tags"), action, tags, &draft->tag_count);
  draft->partition = *partition;
  draft->tags = *tags;
  return st;
}

static tl_status read_file(const reader *r, const tl_json_value *object, bool removed) {
  const char *action = removed ? "remove" : "add";
  tl_delta_draft draft = {.fixed = {.removed = removed, .data_change = true, .version = r->out->version}};
  tl_delta_file *fixed = &draft.fixed;
  tl_delta_words *partition = NULL, *tags = NULL;
  fixed->has_vector = given(object, "deletionVector");
  tl_status st = get_text(r, object, action, "path", &draft.path);
  if (!st && !draft.path.len) st = bad(r, action, "names no path");
  if (!st && !removed) st = get_text(r, object, action, "stats", &draft.stats);
  if (!st) st = get_i64(r, object, action, "size", -1, &fixed->size_bytes);
  if (!st) st = get_i64(r, object, action, "modificationTime", 0, &fixed->modified_ms);
  if (!st) st = get_i64(r, object, action, "deletionTimestamp", 0, &fixed->deleted_ms);
  if (!st) st = get_bool(r, object, action, "dataChange", &fixed->data_change);
  if (!st) st = read_file_maps(r, object, action, &draft, &partition, &tags);
  if (!st && fixed->size_bytes < (removed ? -1 : 0)) st = bad(r, action, "has no size");
  if (!st && !removed && !fixed->has_partition) st = bad(r, action, "has no partitionValues");
  if (!st) st = tl_delta_actions_add_file(r->out, &draft, r->err);
  tl_free(partition);
  tl_free(tags);
  return st;
}

static tl_status read_names(const reader *r, const tl_json_value *array, const char *action, tl_delta_names *out) {
  tl_json_type type = tl_json_type_of(array);
  tl_json_iter iter = tl_json_iter_of(array);
  const tl_json_value *value;
  tl_status st = TL_OK;
  if (type == TL_JSON_NONE || type == TL_JSON_NULL) return TL_OK;
  if (type != TL_JSON_ARRAY) return bad(r, action, "has a list that is none");
  while (!st && tl_json_iter_next(&iter, NULL, &value)) {
    tl_text name;
    if (!tl_json_string(value, &name) || memchr(name.data, 0, name.len)) return bad(r, action, "has a list of names that are not text");
    st = tl_delta_names_add(out, name, r->err);
  }
  return st;
}

static tl_status read_protocol(const reader *r, const tl_json_value *object) {
  tl_delta_protocol *p = &r->out->protocol;
  if (r->out->has_protocol) return bad(r, "protocol", "is the second of its commit");
  r->out->has_protocol = true;
  tl_status st = get_i64(r, object, "protocol", "minReaderVersion", -1, &p->reader);
  if (!st) st = get_i64(r, object, "protocol", "minWriterVersion", -1, &p->writer);
  if (!st) st = read_names(r, tl_json_get(object, "readerFeatures"), "protocol", &p->reader_features);
  if (!st) st = read_names(r, tl_json_get(object, "writerFeatures"), "protocol", &p->writer_features);
  if (!st && (p->reader < 1 || p->writer < 1)) st = bad(r, "protocol", "has no versions");
  return st;
}

static tl_status read_configuration(const reader *r, const tl_json_value *object, tl_delta_pairs *out) {
  tl_delta_words *words = NULL;
  size_t count = 0;
  if (!given(object, "configuration")) return TL_OK;
  tl_status st = get_words(r, tl_json_get(object, "configuration"), "metaData", &words, &count);
  for (size_t i = 0; !st && i < count; i++) st = tl_delta_pairs_set(out, words[i].key, words[i].value, r->err);
  tl_free(words);
  return st;
}

static tl_status read_metadata(const reader *r, const tl_json_value *object) {
  tl_delta_metadata *m = &r->out->metadata;
  tl_text provider = {0};
  if (r->out->has_metadata) return bad(r, "metaData", "is the second of its commit");
  r->out->has_metadata = true;
  tl_status st = keep_text(r, object, "metaData", "id", &m->id);
  if (!st) st = keep_text(r, object, "metaData", "name", &m->name);
  if (!st) st = keep_text(r, object, "metaData", "description", &m->description);
  if (!st) st = keep_text(r, object, "metaData", "schemaString", &m->schema);
  if (!st) st = get_i64(r, object, "metaData", "createdTime", -1, &m->created_ms);
  if (!st) st = read_names(r, tl_json_get(object, "partitionColumns"), "metaData", &m->partition_columns);
  if (!st) st = read_configuration(r, object, &m->configuration);
  if (!st) st = get_text(r, tl_json_get(object, "format"), "metaData", "provider", &provider);
  if (!st && provider.data && !tl_text_is(provider, "parquet"))
    st = tl_fail(r->err, TL_EUSAGE, "'%s': the table's files are '%.*s': only parquet is read", r->name, (int)(provider.len < 40 ? provider.len : 40), provider.data);
  if (!st && (!m->id || !m->schema)) st = bad(r, "metaData", "has no id or no schemaString");
  return st;
}

static tl_status read_txn(const reader *r, const tl_json_value *object) {
  tl_text app;
  int64_t version, updated_ms;
  tl_status st = get_text(r, object, "txn", "appId", &app);
  if (!st) st = get_i64(r, object, "txn", "version", INT64_MIN, &version);
  if (!st) st = get_i64(r, object, "txn", "lastUpdated", -1, &updated_ms);
  if (!st && (!app.data || version == INT64_MIN)) st = bad(r, "txn", "has no appId or no version");
  for (size_t i = 0; !st && i < r->out->txn_count; i++)
    if (tl_text_is(app, r->out->txns[i].app)) st = bad(r, "txn", "has an appId for the second time in its commit");
  return st ? st : tl_delta_actions_add_txn(r->out, app, version, updated_ms, r->err);
}

static tl_status keep_value(const reader *r, const tl_json_value *object, const char *key, char **out) {
  tl_buf text = {0};
  const tl_json_value *value = tl_json_get(object, key);
  if (tl_json_type_of(value) != TL_JSON_OBJECT) return TL_OK;
  tl_status st = tl_delta_put_value(&text, value, r->err);
  tl_free(*out);
  *out = st ? NULL : tl_buf_take(&text);
  tl_buf_deinit(&text);
  return st;
}

/* commitInfo is free-form: what is not of the usual type is left out. */
static tl_status read_info(const reader *r, const tl_json_value *object) {
  tl_delta_info *info = &r->out->info;
  const reader lenient = {r->name, r->line, r->out, NULL};
  const struct { const char *key; char **to; } texts[] = {{"operation", &info->operation}, {"engineInfo", &info->engine},
                                                          {"userMetadata", &info->user_text}, {"txnId", &info->txn_id}};
  const struct { const char *key; int64_t *to; } numbers[] = {
    {"timestamp", &info->timestamp_ms}, {"inCommitTimestamp", &info->in_commit_ms}, {"readVersion", &info->read_version}};
  if (r->out->has_info || tl_json_type_of(object) != TL_JSON_OBJECT) return TL_OK;
  r->out->has_info = true;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (keep_text(&lenient, object, "commitInfo", texts[i].key, texts[i].to) == TL_ENOMEM)
      return tl_fail(r->err, TL_ENOMEM, "cannot hold the log's commitInfo");
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (get_i64(&lenient, object, "commitInfo", numbers[i].key, -1, numbers[i].to)) *numbers[i].to = -1;
  tl_status st = keep_value(r, object, "operationParameters", &info->parameters);
  return st ? st : keep_value(r, object, "operationMetrics", &info->metrics);
}

static tl_status read_object(const reader *r, const tl_json_value *root) {
  static const struct { const char *name; tl_status (*read)(const reader *r, const tl_json_value *object); } kinds[] = {
    {"protocol", read_protocol}, {"metaData", read_metadata}, {"txn", read_txn}};
  tl_status st = TL_OK;
  for (int removed = 0; !st && removed < 2; removed++) {
    const char *name = removed ? "remove" : "add";
    if (given(root, name)) st = read_file(r, tl_json_get(root, name), removed);
  }
  for (size_t i = 0; !st && i < sizeof kinds / sizeof kinds[0]; i++)
    if (given(root, kinds[i].name)) st = kinds[i].read(r, tl_json_get(root, kinds[i].name));
  if (!st && given(root, "commitInfo")) st = read_info(r, tl_json_get(root, "commitInfo"));
  return st;
}

static tl_status read_line(const reader *r, tl_text line) {
  tl_json *json = NULL;
  tl_status st = tl_json_open(line.data, line.len, line.len + 1, &json, r->err);
  if (st == TL_ENOMEM) return st;
  if (st) return tl_fail_within(r->err, TL_ECORRUPT, "'%s' line %zu", r->name, r->line);
  if (tl_json_type_of(tl_json_root(json)) != TL_JSON_OBJECT) st = bad(r, "action", "is not an object");
  else st = read_object(r, tl_json_root(json));
  tl_json_close(json);
  return st;
}

/* ---- the whole commit ---- */

static int compare_files(const void *a, const void *b) {
  return strcmp((*(tl_delta_file *const *)a)->path, (*(tl_delta_file *const *)b)->path);
}

/* Two adds, two removes, or an add and a remove of one path have no meaning, save with deletion vectors. */
static tl_status lint(const char *name, const tl_delta_actions *actions, tl_error *err) {
  if (actions->file_count < 2) return TL_OK;
  tl_delta_file **sorted = tl_alloc(actions->file_count * sizeof *sorted);
  if (!sorted) return tl_fail(err, TL_ENOMEM, "cannot check the %zu files of '%s'", actions->file_count, name);
  memcpy(sorted, actions->files, actions->file_count * sizeof *sorted);
  qsort(sorted, actions->file_count, sizeof *sorted, compare_files);
  tl_status st = TL_OK;
  for (size_t i = 1; !st && i < actions->file_count; i++)
    if (!strcmp(sorted[i - 1]->path, sorted[i]->path) && !sorted[i - 1]->has_vector && !sorted[i]->has_vector)
      st = tl_fail(err, TL_ECORRUPT, "'%s' names the file '%.200s' twice: its rows would count twice, or none", name, sorted[i]->path);
  tl_free(sorted);
  return st;
}

tl_status tl_delta_parse(const char *name, tl_text text, tl_delta_actions *actions, tl_error *err) {
  reader r = {name, 0, actions, err};
  const char *at = text.data, *end = text.data + text.len;
  tl_status st = TL_OK;
  actions->info = (tl_delta_info){.timestamp_ms = -1, .in_commit_ms = -1, .read_version = -1};
  actions->metadata.created_ms = -1;
  while (!st && at < end) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    const char *next = stop ? stop + 1 : end;
    if (!stop) stop = end;
    r.line++;
    while (stop > at && (stop[-1] == '\r' || stop[-1] == ' ' || stop[-1] == '\t')) stop--;
    while (at < stop && (*at == ' ' || *at == '\t')) at++;
    if (at < stop) st = read_line(&r, tl_text_of(at, (size_t)(stop - at)));
    at = next;
  }
  return st ? st : lint(name, actions, err);
}
