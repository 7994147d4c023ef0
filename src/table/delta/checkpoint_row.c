/* checkpoint_row.c - one row of a checkpoint -> the action it holds, checked as a line of a commit is. Pure. */
#include <string.h>

#include "base/alloc.h"
#include "table/delta/checkpoint.h"

const tl_delta_row tl_delta_row_null = {
  .txn_version = INT64_MIN, .txn_updated = INT64_MIN, .add_size = INT64_MIN, .add_modified = INT64_MIN, .remove_size = INT64_MIN,
  .remove_deleted = INT64_MIN, .created = INT64_MIN, .reader = INT64_MIN, .writer = INT64_MIN};

static tl_status bad(const char *what, tl_error *err) { return tl_fail(err, TL_ECORRUPT, "a row of the checkpoint has %s", what); }

static bool has_nul(tl_text text) { return text.data && memchr(text.data, 0, text.len); }

static bool words_are_plain(const tl_delta_words *words, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!words[i].key.data || has_nul(words[i].key) || has_nul(words[i].value)) return false;
  return true;
}

static bool keys_differ(const tl_delta_words *words, size_t count) {
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < i; k++)
      if (tl_text_equal(words[i].key, words[k].key)) return false;
  return true;
}

static bool is_plain(const tl_delta_row *row) {
  const tl_text texts[] = {row->txn_app, row->add_path, row->stats, row->remove_path, row->id, row->name, row->description, row->schema, row->provider};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (has_nul(texts[i])) return false;
  return words_are_plain(row->partition, row->partition_count) && words_are_plain(row->tags, row->tag_count) &&
         words_are_plain(row->configuration, row->configuration_count) && words_are_plain(row->partition_columns, row->partition_column_count) &&
         words_are_plain(row->reader_features, row->reader_feature_count) && words_are_plain(row->writer_features, row->writer_feature_count);
}

static int64_t number_or(int64_t value, int64_t otherwise) { return value == INT64_MIN ? otherwise : value; }

static tl_status apply_file(const tl_delta_row *row, tl_delta_actions *actions, tl_error *err) {
  bool removed = !row->add_path.data;
  tl_delta_draft draft = {.path = removed ? row->remove_path : row->add_path, .partition = row->partition, .partition_count = row->partition_count};
  draft.fixed = (tl_delta_file){.removed = removed, .data_change = true, .has_partition = row->has_partition, .version = actions->version};
  if (!draft.path.len) return bad("an empty path", err);
  if (row->add_path.data && row->remove_path.data) return bad("an add and a remove", err);
  if (!keys_differ(row->partition, row->partition_count) || !keys_differ(row->tags, row->tag_count)) return bad("a map with a key twice", err);
  if (removed) {
    draft.fixed.has_vector = row->remove_vector;
    draft.fixed.size_bytes = number_or(row->remove_size, -1);
    draft.fixed.deleted_ms = number_or(row->remove_deleted, 0);
    if (draft.fixed.size_bytes < -1) return bad("a remove of a negative size", err);
  } else {
    draft.stats = row->stats;
    draft.tags = row->tags;
    draft.tag_count = row->tag_count;
    draft.fixed.has_vector = row->add_vector;
    draft.fixed.size_bytes = row->add_size;
    draft.fixed.modified_ms = number_or(row->add_modified, 0);
    if (row->add_size < 0) return bad("an add without a size", err);
    if (!row->has_partition) return bad("an add without partitionValues", err);
  }
  return tl_delta_actions_add_file(actions, &draft, err);
}

static tl_status keep(tl_text text, char **out, tl_error *err) {
  if (!text.data) return TL_OK;
  *out = tl_strndup(text.data, text.len);
  return *out ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot hold a table's metadata");
}

static tl_status keep_names(const tl_delta_words *words, size_t count, tl_delta_names *out, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < count; i++) st = tl_delta_names_add(out, words[i].key, err);
  return st;
}

static tl_status apply_metadata(const tl_delta_row *row, tl_delta_actions *actions, tl_error *err) {
  tl_delta_metadata *m = &actions->metadata;
  if (actions->has_metadata) return bad("the second metaData", err);
  if (!row->id.data || !row->schema.data) return bad("metaData without id or schemaString", err);
  if (row->provider.data && !tl_text_is(row->provider, "parquet")) return tl_fail(err, TL_EUSAGE, "the table's files are not parquet: they cannot be read");
  if (!keys_differ(row->configuration, row->configuration_count)) return bad("a map with a key twice", err);
  actions->has_metadata = true;
  m->created_ms = number_or(row->created, -1);
  tl_status st = keep(row->id, &m->id, err);
  if (!st) st = keep(row->name, &m->name, err);
  if (!st) st = keep(row->description, &m->description, err);
  if (!st) st = keep(row->schema, &m->schema, err);
  if (!st) st = keep_names(row->partition_columns, row->partition_column_count, &m->partition_columns, err);
  for (size_t i = 0; !st && i < row->configuration_count; i++)
    st = tl_delta_pairs_set(&m->configuration, row->configuration[i].key, row->configuration[i].value, err);
  return st;
}

static tl_status apply_protocol(const tl_delta_row *row, tl_delta_actions *actions, tl_error *err) {
  tl_delta_protocol *p = &actions->protocol;
  if (actions->has_protocol) return bad("the second protocol", err);
  if (row->reader < 1 || row->writer < 1) return bad("a protocol without versions", err);
  actions->has_protocol = true;
  p->reader = row->reader;
  p->writer = row->writer;
  tl_status st = keep_names(row->reader_features, row->reader_feature_count, &p->reader_features, err);
  return st ? st : keep_names(row->writer_features, row->writer_feature_count, &p->writer_features, err);
}

tl_status tl_delta_row_apply(const tl_delta_row *row, tl_delta_actions *actions, tl_error *err) {
  tl_status st = is_plain(row) ? TL_OK : bad("a text that is not plain", err);
  if (!st && row->txn_app.data) {
    if (row->txn_version == INT64_MIN) return bad("a txn without version", err);
    st = tl_delta_actions_add_txn(actions, row->txn_app, row->txn_version, number_or(row->txn_updated, -1), err);
  }
  if (!st && (row->add_path.data || row->remove_path.data)) st = apply_file(row, actions, err);
  if (!st && row->is_metadata) st = apply_metadata(row, actions, err);
  if (!st && row->is_protocol) st = apply_protocol(row, actions, err);
  return st;
}
