/* delta.c - Delta Lake as a table format: the handle, a new table, and the row of the registry.
 * New tables declare protocol (1, 2), which every engine reads and writes; with instants without a zone (3, 7). */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "table/delta/delta.h"

static int note_version(void *to, const char *key, const tl_store_info *info) {
  const char *name = key + strlen(TL_DELTA_LOG);
  (void)info;
  size_t digits = strspn(name, "0123456789");
  bool *found = to;
  *found = digits == 20 && name[digits] == '.' && (!strcmp(name + digits, ".json") || !strncmp(name + digits, ".checkpoint.", 12));
  return *found;
}

static tl_status detect(tl_store *store, bool *found, tl_error *err) {
  char key[TL_DELTA_KEY_MAX];
  tl_store_info info;
  tl_delta_commit_key(0, key);
  tl_status st = tl_store_stat(store, key, &info, err);
  *found = !st;
  if (st != TL_ENOTFOUND) return st;
  return tl_store_list(store, TL_DELTA_LOG, NULL, false, note_version, found, err);
}

static tl_status open_log(tl_store *store, const tl_table_env *env, tl_table_log **out, tl_error *err) {
  tl_table_log *log = tl_calloc(1, sizeof *log);
  if (!log) return tl_fail(err, TL_ENOMEM, "cannot open the log of '%s'", tl_store_uri(store));
  log->store = store;
  log->env = env;
  tl_delta_state_init(&log->newest);
  *out = log;
  return TL_OK;
}

static void close_log(tl_table_log *log) {
  if (!log) return;
  tl_delta_state_deinit(&log->newest);
  tl_free(log);
}

/* ---- create ---- */

/* Fields with ids: those that have none are counted on. */
static tl_status number_fields(const tl_fields *from, tl_fields *out, tl_error *err) {
  tl_status st = tl_fields_copy(from, out, err);
  if (st) return st;
  for (size_t i = 0; i < out->count; i++) {
    if (out->items[i].id > out->last_id) out->last_id = out->items[i].id;
    if (out->items[i].element_id > out->last_id) out->last_id = out->items[i].element_id;
  }
  for (size_t i = 0; i < out->count; i++) {
    tl_field *field = &out->items[i];
    if (!field->id) field->id = ++out->last_id;
    if (field->type == TL_FIELD_LIST && !field->element_id) field->element_id = ++out->last_id;
  }
  return TL_OK;
}

static tl_status make_metadata(const tl_create *create, const tl_fields *fields, int64_t now_ms, tl_delta_metadata *out, tl_error *err) {
  char id[TL_DELTA_UUID_MAX];
  tl_buf schema = {0};
  tl_delta_uuid(id);
  *out = (tl_delta_metadata){.created_ms = now_ms, .id = tl_strdup(id)};
  if (create->name && *create->name) out->name = tl_strdup(create->name);
  if (!out->id || (create->name && *create->name && !out->name)) return tl_fail(err, TL_ENOMEM, "cannot hold a table's metadata");
  if (!fields->count) return tl_fail(err, TL_EUSAGE, "a table must have at least one column");
  tl_status st = tl_delta_schema_write(fields, NULL, &schema, err);
  if (!st) out->schema = tl_buf_take(&schema);
  tl_buf_deinit(&schema);
  if (!st) st = tl_delta_check_properties(create->properties, create->property_count, err);
  for (size_t i = 0; !st && i < create->property_count; i++)
    st = tl_delta_pairs_set(&out->configuration, tl_text_from(create->properties[i].key),
                            create->properties[i].value ? tl_text_from(create->properties[i].value) : (tl_text){0}, err);
  return st ? st : tl_delta_partitioning_write(create->partitioning, fields, out, err);
}

static tl_status put_info(const tl_delta_metadata *metadata, int64_t now_ms, tl_buf *out, tl_error *err) {
  tl_buf list = {0}; /* ["symbol"] */
  tl_json_writer w = tl_json_writer_of(&list, err);
  tl_json_put_array(&w, NULL);
  for (size_t i = 0; i < metadata->partition_columns.count; i++) tl_json_put_string(&w, NULL, metadata->partition_columns.items[i]);
  tl_json_put_close(&w);
  tl_status st = tl_json_writer_end(&w);
  const tl_pair parameters[] = {{"partitionBy", list.data}, {"isManaged", "false"}};
  const tl_edit edit = {.operation = "CREATE TABLE", .parameters = parameters, .parameter_count = 2, .data_change = true};
  if (!st) st = tl_delta_put_info(&edit, true, -1, now_ms, out, err);
  tl_buf_deinit(&list);
  return st;
}

static tl_status put_lines(const tl_create *create, int64_t now_ms, tl_buf *out, tl_error *err) {
  tl_fields fields = {0};
  tl_delta_protocol protocol = {0};
  tl_delta_metadata metadata = {0};
  char *why = NULL;
  tl_status st = number_fields(create->fields, &fields, err);
  if (!st) st = make_metadata(create, &fields, now_ms, &metadata, err);
  if (!st) st = tl_delta_protocol_for(&fields, &protocol, err);
  if (!st) st = tl_delta_unwritable(&protocol, &metadata, &fields, &why, err);
  if (!st && why) st = tl_fail(err, TL_EUSAGE, "cannot make the table: %s", why);
  if (!st) st = put_info(&metadata, now_ms, out, err);
  if (!st) st = tl_delta_put_protocol(out, &protocol, err);
  if (!st) st = tl_delta_put_metadata(out, &metadata, err);
  tl_free(why);
  tl_delta_metadata_deinit(&metadata);
  tl_delta_protocol_deinit(&protocol);
  tl_fields_deinit(&fields);
  return st;
}

static tl_status create_table(tl_table_log *log, const tl_create *create, tl_committed *out, tl_error *err) {
  char key[TL_DELTA_KEY_MAX];
  tl_buf text = {0};
  tl_store_info info = {0};
  bool found = false;
  int64_t now_ms = tl_clock_now_ns() / TL_NS_PER_MS;
  tl_status st = detect(log->store, &found, err);
  if (!st && found) st = tl_fail(err, TL_ECONFLICT, "there is a Delta table at '%s' already", tl_store_uri(log->store));
  if (!st) st = put_lines(create, now_ms, &text, err);
  if (!st) {
    tl_delta_commit_key(0, key);
    TL_FAULT_STEP();
    st = tl_store_put(log->store, key, text.data, text.len, TL_PUT_ABSENT, NULL, &info, err);
    if (st == TL_ECONFLICT) st = tl_fail(err, TL_ECONFLICT, "there is a Delta table at '%s' already", tl_store_uri(log->store));
    TL_FAULT_STEP();
  }
  if (!st) *out = (tl_committed){.timestamp_ms = info.mtime_ms > 0 ? info.mtime_ms : now_ms, .attempts = 1};
  tl_buf_deinit(&text);
  return st;
}

/* ---- load ---- */

static tl_status load(tl_table_log *log, tl_at at, tl_snapshot **out, tl_error *err) {
  int64_t version = at.value;
  tl_delta_state state;
  tl_status st = TL_OK;
  if (at.kind == TL_AT_LATEST) {
    st = tl_delta_advance(log, err);
    return st ? st : tl_delta_snapshot_of(log, &log->newest, out, err);
  }
  if (at.kind == TL_AT_VERSION && version < 0) return tl_fail(err, TL_ENOTFOUND, "there is no version below 0");
  if (at.kind == TL_AT_TIMESTAMP) st = tl_delta_version_at(log, at.value, &version, err);
  if (st) return st;
  tl_delta_state_init(&state);
  st = tl_delta_replay(log, version, &state, err);
  if (!st) st = tl_delta_snapshot_of(log, &state, out, err);
  tl_delta_state_deinit(&state);
  return st;
}

const tl_format tl_format_delta = {
  .name = "delta",
  .detect = detect,
  .open = open_log,
  .close = close_log,
  .create = create_table,
  .load = load,
  .stats = tl_delta_stats,
  .commit = tl_delta_commit,
  .history = tl_delta_history,
  .checkpoint = tl_delta_checkpoint,
  .expire = tl_delta_expire,
  .keeps = tl_delta_keeps,
  .snapshot_deinit = tl_delta_snapshot_deinit,
};
