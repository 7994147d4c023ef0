/* snapshot.c - what all formats share of snapshot.h: copies, ends, look-ups. */
#include "table/snapshot.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"

/* ---- fields ---- */

static void field_deinit(tl_field *field) {
  tl_free(field->name);
  tl_free(field->metadata);
  tl_free(field->sql_type);
  *field = (tl_field){0};
}

void tl_fields_deinit(tl_fields *fields) {
  for (size_t i = 0; i < fields->count; i++) field_deinit(&fields->items[i]);
  tl_free(fields->items);
  *fields = (tl_fields){0};
}

static bool copy_text(const char *from, char **out) {
  *out = from ? tl_strdup(from) : NULL;
  return !from || *out;
}

tl_status tl_fields_copy(const tl_fields *from, tl_fields *out, tl_error *err) {
  *out = (tl_fields){.items = tl_calloc(from->count ? from->count : 1, sizeof *out->items), .last_id = from->last_id};
  bool whole = out->items != NULL;
  for (size_t i = 0; whole && i < from->count; i++) {
    tl_field *to = &out->items[out->count++];
    *to = from->items[i];
    to->name = to->metadata = to->sql_type = NULL;
    whole = copy_text(from->items[i].name, &to->name) && copy_text(from->items[i].metadata, &to->metadata) &&
            copy_text(from->items[i].sql_type, &to->sql_type);
  }
  if (whole) return TL_OK;
  tl_fields_deinit(out);
  return tl_fail(err, TL_ENOMEM, "cannot copy a schema of %zu columns", from->count);
}

int tl_fields_find(const tl_fields *fields, const char *name) {
  for (size_t i = 0; i < fields->count; i++)
    if (!strcmp(fields->items[i].name, name)) return (int)i;
  for (size_t i = 0; i < fields->count; i++)
    if (!strcasecmp(fields->items[i].name, name)) return (int)i;
  return -1;
}

static const char *scalar_sql_type(tl_field_type type) {
  switch (type) {
    case TL_FIELD_BOOL: return "BOOLEAN";
    case TL_FIELD_I8: return "TINYINT";
    case TL_FIELD_I16: return "SMALLINT";
    case TL_FIELD_I32: return "INTEGER";
    case TL_FIELD_I64: return "BIGINT";
    case TL_FIELD_F32: return "FLOAT";
    case TL_FIELD_F64: return "DOUBLE";
    case TL_FIELD_STRING: return "VARCHAR";
    case TL_FIELD_BINARY: return "BLOB";
    case TL_FIELD_DATE: return "DATE";
    case TL_FIELD_TIMESTAMP: return "TIMESTAMPTZ";
    case TL_FIELD_TIMESTAMP_NTZ: return "TIMESTAMP";
    case TL_FIELD_DECIMAL:
    case TL_FIELD_LIST:
    case TL_FIELD_OTHER: return NULL;
  }
  return NULL;
}

tl_status tl_field_sql_type(const tl_field *field, tl_buf *out, tl_error *err) {
  bool list = field->type == TL_FIELD_LIST;
  tl_field_type type = list ? field->element : field->type;
  const char *plain = scalar_sql_type(type);
  tl_status st;
  if (plain) st = tl_buf_appends(out, plain, err);
  else if (type == TL_FIELD_DECIMAL) st = tl_buf_appendf(out, err, "DECIMAL(%d,%d)", field->precision, field->scale);
  else if (field->sql_type) st = tl_buf_appends(out, field->sql_type, err);
  else return tl_fail(err, TL_EUSAGE, "column '%s' is of a type this engine does not know: it cannot be read or written", field->name);
  if (!st && list) st = tl_buf_appends(out, "[]", err);
  return st;
}

/* ---- partitions ---- */

void tl_partitioning_deinit(tl_partitioning *partitioning) {
  for (size_t i = 0; i < partitioning->count; i++) tl_free(partitioning->items[i].name);
  tl_free(partitioning->items);
  *partitioning = (tl_partitioning){0};
}

tl_status tl_partitioning_copy(const tl_partitioning *from, tl_partitioning *out, tl_error *err) {
  *out = (tl_partitioning){.items = tl_calloc(from->count ? from->count : 1, sizeof *out->items)};
  bool whole = out->items != NULL;
  for (size_t i = 0; whole && i < from->count; i++) {
    out->items[out->count] = from->items[i];
    whole = copy_text(from->items[i].name, &out->items[out->count++].name);
  }
  if (whole) return TL_OK;
  tl_partitioning_deinit(out);
  return tl_fail(err, TL_ENOMEM, "cannot copy a partitioning of %zu fields", from->count);
}

/* ---- files ---- */

tl_status tl_file_stats_init(tl_file_stats *stats, size_t count, tl_error *err) {
  *stats = (tl_file_stats){.columns = tl_calloc(count ? count : 1, sizeof *stats->columns), .count = count};
  if (!stats->columns) {
    stats->count = 0;
    return tl_fail(err, TL_ENOMEM, "cannot hold the statistics of %zu columns", count);
  }
  for (size_t i = 0; i < count; i++) {
    tl_column_bounds *b = &stats->columns[i];
    b->null_count = b->nan_count = b->value_count = b->size_bytes = -1;
  }
  return TL_OK;
}

void tl_file_stats_deinit(tl_file_stats *stats) {
  for (size_t i = 0; i < stats->count; i++) {
    tl_free(stats->columns[i].min.text);
    tl_free(stats->columns[i].max.text);
  }
  tl_free(stats->columns);
  *stats = (tl_file_stats){0};
}

void tl_data_file_deinit(tl_data_file *file, size_t partition_count) {
  if (file->partition)
    for (size_t i = 0; i < partition_count; i++) tl_free(file->partition[i]);
  tl_free(file->partition);
  tl_free(file->path);
  tl_free(file->raw);
  tl_file_stats_deinit(&file->stats);
  *file = (tl_data_file){0};
}

/* ---- snapshot ---- */

void tl_snapshot_close(tl_snapshot *snapshot) {
  if (!snapshot) return;
  if (snapshot->format && snapshot->format->snapshot_deinit) snapshot->format->snapshot_deinit(snapshot);
  for (size_t i = 0; i < snapshot->file_count; i++) tl_data_file_deinit(&snapshot->files[i], snapshot->partitioning.count);
  tl_free(snapshot->files);
  for (size_t i = 0; i < snapshot->property_count; i++) {
    tl_free(snapshot->properties[i].key);
    tl_free(snapshot->properties[i].value);
  }
  tl_free(snapshot->properties);
  for (size_t i = 0; i < snapshot->txn_count; i++) tl_free(snapshot->txns[i].app);
  tl_free(snapshot->txns);
  tl_fields_deinit(&snapshot->fields);
  tl_partitioning_deinit(&snapshot->partitioning);
  tl_free(snapshot->table_id);
  tl_free(snapshot->name);
  tl_free(snapshot->unwritable);
  tl_free(snapshot);
}

const char *tl_snapshot_property(const tl_snapshot *snapshot, const char *key) {
  for (size_t i = 0; i < snapshot->property_count; i++)
    if (!strcmp(snapshot->properties[i].key, key)) return snapshot->properties[i].value;
  return NULL;
}

tl_status tl_snapshot_stats(const tl_snapshot *snapshot, size_t file, tl_file_stats *out, tl_error *err) {
  *out = (tl_file_stats){0};
  return snapshot->format->stats(snapshot, file, out, err);
}

int64_t tl_snapshot_txn(const tl_snapshot *snapshot, const char *app) {
  for (size_t i = 0; i < snapshot->txn_count; i++)
    if (!strcmp(snapshot->txns[i].app, app)) return snapshot->txns[i].version;
  return -1;
}
