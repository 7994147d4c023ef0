/* delta_commit.c - an edit as one commit file, put where no file is; behind others' commits where conflict.c allows it.
 * Steps for crash tests (base/fault.h): text made | put | checkpoint | _last_checkpoint. What is put was parsed and checked
 * like any foreign commit before. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/prng.h"
#include "market/number.h"
#include "table/delta/delta.h"

enum { ATTEMPTS_MAX = 1000, CHECKPOINT_INTERVAL = 10 };

/* ---- what the edit may ask for ---- */

static int64_t find_file(const tl_snapshot *base, const char *path) {
  size_t low = 0, high = base->file_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = strcmp(base->files[middle].path, path);
    if (order == 0) return (int64_t)middle;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return -1;
}

static bool append_only(const tl_snapshot *base) {
  const char *value = tl_snapshot_property(base, "delta.appendOnly");
  return value && !strcasecmp(value, "true");
}

static tl_status check_add(const tl_snapshot *base, const tl_data_file *file, tl_error *err) {
  if (find_file(base, file->path) >= 0) return tl_fail(err, TL_EUSAGE, "the file '%.200s' is in the table already", file->path);
  if (file->size_bytes < 0) return tl_fail(err, TL_EUSAGE, "the file '%.200s' to add has no size", file->path);
  for (size_t i = 0; i < base->partitioning.count; i++) {
    const char *text = file->partition ? file->partition[i] : NULL;
    if (text && !*text)
      return tl_fail(err, TL_EUSAGE, "an empty text cannot be a value of the partition column '%s': Delta takes it for NULL", base->partitioning.items[i].name);
    for (size_t at = 0, len = text ? strlen(text) : 0, step; at < len; at += step)
      if (!(step = tl_utf8_length(text + at, len - at)))
        return tl_fail(err, TL_EUSAGE, "a value of the partition column '%s' is not UTF-8", base->partitioning.items[i].name);
  }
  return TL_OK;
}

static tl_status check_edit(const tl_table_log *log, const tl_snapshot *base, const tl_edit *edit, tl_error *err) {
  if (base->unwritable) return tl_fail(err, TL_EUSAGE, "cannot write '%s': %s", tl_store_uri(log->store), base->unwritable);
  if (edit->remove_count && edit->data_change && append_only(base))
    return tl_fail(err, TL_EUSAGE, "cannot remove rows of '%s': its property delta.appendOnly forbids it", tl_store_uri(log->store));
  for (size_t i = 0; i < edit->remove_count; i++)
    if (find_file(base, edit->removes[i]) < 0)
      return tl_fail(err, TL_EUSAGE, "the file '%.200s' to remove is not in version %" PRId64, edit->removes[i], base->version);
  for (size_t i = 0; i < edit->add_count; i++) {
    tl_status st = check_add(base, &edit->adds[i], err);
    if (st) return st;
  }
  return TL_OK;
}

static bool same_type(const tl_field *a, const tl_field *b) {
  return a->type == b->type && (a->type != TL_FIELD_LIST || a->element == b->element) && a->precision == b->precision && a->scale == b->scale;
}

/* Columns stay what and where they are, new ones come behind them; a type may change when no old file stays. */
static tl_status check_fields(const tl_snapshot *base, const tl_edit *edit, tl_error *err) {
  const tl_fields *old = &base->fields, *new = edit->fields;
  bool all_rewritten = edit->remove_count == base->file_count, restore = edit->operation && !strcmp(edit->operation, "RESTORE");
  if (new->count < old->count && !restore && !all_rewritten)
    return tl_fail(err, TL_EUSAGE, "cannot drop the column '%s': its values would stay in the files", old->items[new->count].name);
  for (size_t i = 0; i < new->count; i++) {
    const tl_field *field = &new->items[i], *before = i < old->count ? &old->items[i] : NULL;
    if (!before && !field->nullable && base->file_count > edit->remove_count)
      return tl_fail(err, TL_EUSAGE, "the new column '%s' must be nullable: older rows have no value", field->name);
    if (!before || restore) continue;
    if (strcmp(before->name, field->name) != 0) return tl_fail(err, TL_EUSAGE, "cannot rename the column '%s': the table has no column mapping", before->name);
    if (!same_type(before, field) && !all_rewritten)
      return tl_fail(err, TL_EUSAGE, "cannot change the type of the column '%s' while files with the old one stay", before->name);
    if (before->nullable && !field->nullable && !all_rewritten)
      return tl_fail(err, TL_EUSAGE, "cannot make the column '%s' NOT NULL: older rows may hold NULL", before->name);
  }
  return TL_OK;
}

/* ---- the lines ---- */

static tl_status put_remove(const tl_snapshot *base, const tl_edit *edit, const char *path, int64_t now_ms, tl_buf *out, tl_error *err) {
  const tl_delta_own *own = base->own;
  const tl_delta_file *from = own->files[find_file(base, path)];
  tl_delta_file file = {.removed = true, .data_change = edit->data_change, .has_partition = true, .path = from->path, .partition = from->partition,
                        .partition_count = from->partition_count, .size_bytes = from->size_bytes, .deleted_ms = now_ms};
  return tl_delta_put_file(out, &file, err);
}

static tl_status partition_texts(const tl_snapshot *base, const tl_data_file *from, tl_pair *pairs, tl_error *err) {
  for (size_t i = 0; i < base->partitioning.count; i++) {
    const tl_partition_field *p = &base->partitioning.items[i];
    const char *value = from->partition ? from->partition[i] : NULL;
    tl_buf text = {0};
    pairs[i].key = p->name;
    if (!value) continue;
    tl_status st = tl_delta_value_write(&base->fields.items[p->column], value, &text, err);
    pairs[i].value = st ? NULL : tl_buf_take(&text);
    tl_buf_deinit(&text);
    if (st) return st;
  }
  return TL_OK;
}

static tl_status put_add(const tl_snapshot *base, const tl_fields *fields, const tl_delta_metadata *metadata, const tl_edit *edit,
                         const tl_data_file *from, int64_t now_ms, tl_buf *out, tl_error *err) {
  size_t count = base->partitioning.count;
  tl_buf path = {0}, stats = {0};
  tl_pair *pairs = tl_calloc(count + 1, sizeof *pairs);
  tl_status st = pairs ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot hold a commit");
  if (!st) st = tl_delta_path_write(from->path, &path, err);
  if (!st) st = partition_texts(base, from, pairs, err);
  if (!st) st = tl_delta_stats_write(from, fields, &base->partitioning, metadata, &stats, err);
  tl_delta_file file = {.data_change = edit->data_change, .has_partition = true, .path = path.data, .stats = stats.len ? stats.data : NULL,
                        .partition = pairs, .partition_count = count, .size_bytes = from->size_bytes,
                        .modified_ms = from->modified_ms > 0 ? from->modified_ms : now_ms};
  if (!st) st = tl_delta_put_file(out, &file, err);
  for (size_t i = 0; pairs && i < count; i++) tl_free(pairs[i].value);
  tl_free(pairs);
  tl_buf_deinit(&path);
  tl_buf_deinit(&stats);
  return st;
}

/* A new instant without a zone needs a newer protocol. */
static tl_status put_protocol(const tl_snapshot *base, const tl_fields *fields, tl_buf *out, tl_error *err) {
  const tl_delta_own *own = base->own;
  tl_delta_protocol wanted;
  tl_status st = tl_delta_protocol_for(fields, &wanted, err);
  if (st) return st;
  if (wanted.writer == 7 && !tl_delta_names_has(&own->protocol.writer_features, "timestampNtz")) {
    if (own->protocol.reader > 1 || own->protocol.writer > 2)
      st = tl_fail(err, TL_EUSAGE, "cannot add a TIMESTAMP without time zone: the table's protocol (%" PRId64 ",%" PRId64 ") would have to change",
                   own->protocol.reader, own->protocol.writer);
    else st = tl_delta_put_protocol(out, &wanted, err);
  }
  tl_delta_protocol_deinit(&wanted);
  return st;
}

static tl_status new_metadata(const tl_snapshot *base, const tl_edit *edit, tl_delta_metadata *out, tl_error *err) {
  const tl_delta_own *own = base->own;
  tl_status st = tl_delta_metadata_copy(&own->metadata, out, err);
  if (!st && edit->fields) {
    tl_buf schema = {0};
    st = check_fields(base, edit, err);
    if (!st) st = tl_delta_schema_write(edit->fields, own->metadata.schema, &schema, err);
    if (!st) {
      tl_free(out->schema);
      out->schema = tl_buf_take(&schema);
    }
    tl_buf_deinit(&schema);
  }
  if (!st) st = tl_delta_check_properties(edit->properties, edit->property_count, err);
  for (size_t i = 0; !st && i < edit->property_count; i++)
    st = tl_delta_pairs_set(&out->configuration, tl_text_from(edit->properties[i].key),
                            edit->properties[i].value ? tl_text_from(edit->properties[i].value) : (tl_text){0}, err);
  return st;
}

static tl_status check_metadata(const tl_delta_protocol *protocol, const tl_delta_metadata *metadata, const tl_fields *fields, tl_error *err) {
  char *why = NULL;
  tl_status st = tl_delta_unwritable(protocol, metadata, fields, &why, err);
  if (why) st = tl_fail(err, TL_EUSAGE, "cannot change the table so: %s", why);
  tl_free(why);
  return st;
}

/* Everything but commitInfo: the same in every attempt. */
static tl_status put_body(const tl_snapshot *base, const tl_edit *edit, int64_t now_ms, tl_buf *out, tl_error *err) {
  const tl_delta_own *own = base->own;
  tl_delta_metadata changed = {0};
  const tl_fields *fields = edit->fields ? edit->fields : &base->fields;
  const tl_delta_metadata *metadata = &own->metadata;
  tl_status st = TL_OK;
  if (edit->fields || edit->property_count) {
    st = new_metadata(base, edit, &changed, err);
    if (!st) st = check_metadata(&own->protocol, &changed, fields, err);
    if (!st && edit->fields) st = put_protocol(base, fields, out, err);
    if (!st) st = tl_delta_put_metadata(out, &changed, err);
    metadata = &changed;
  }
  if (!st && edit->txn_app) {
    const tl_delta_txn txn = {(char *)(uintptr_t)edit->txn_app, edit->txn_version, now_ms};
    st = tl_delta_put_txn(out, &txn, err);
  }
  for (size_t i = 0; !st && i < edit->remove_count; i++) st = put_remove(base, edit, edit->removes[i], now_ms, out, err);
  for (size_t i = 0; !st && i < edit->add_count; i++) st = put_add(base, fields, metadata, edit, &edit->adds[i], now_ms, out, err);
  tl_delta_metadata_deinit(&changed);
  return st;
}

static void put_pairs(tl_json_writer *w, const char *key, const tl_pair *pairs, size_t count) {
  tl_json_put_object(w, key);
  for (size_t i = 0; i < count; i++) tl_json_put_string(w, pairs[i].key, pairs[i].value);
  tl_json_put_close(w);
}

tl_status tl_delta_put_info(const tl_edit *edit, bool blind, int64_t read_version, int64_t now_ms, tl_buf *out, tl_error *err) {
  char id[TL_DELTA_UUID_MAX];
  tl_json_writer w = tl_json_writer_of(out, err);
  tl_delta_uuid(id);
  tl_json_put_object(&w, NULL);
  tl_json_put_object(&w, "commitInfo");
  tl_json_put_i64(&w, "timestamp", now_ms);
  tl_json_put_string(&w, "operation", edit->operation ? edit->operation : "WRITE");
  put_pairs(&w, "operationParameters", edit->parameters, edit->parameter_count);
  if (read_version >= 0) tl_json_put_i64(&w, "readVersion", read_version);
  tl_json_put_string(&w, "isolationLevel", edit->data_change ? "Serializable" : "SnapshotIsolation");
  tl_json_put_bool(&w, "isBlindAppend", blind);
  put_pairs(&w, "operationMetrics", edit->metrics, edit->metric_count);
  tl_json_put_string(&w, "engineInfo", tl_delta_engine);
  tl_json_put_string(&w, "txnId", id);
  tl_json_put_close(&w);
  tl_json_put_close(&w);
  tl_status st = tl_json_writer_end(&w);
  return st ? st : tl_buf_append(out, "\n", 1, err);
}

static tl_status check_text(const tl_buf *body, tl_error *err) {
  tl_delta_actions actions = {0};
  tl_status st = tl_delta_parse("the commit to write", tl_text_of(body->data ? body->data : "", body->len), &actions, err);
  tl_delta_actions_deinit(&actions);
  return st == TL_ECORRUPT ? tl_fail_within(err, TL_EUSAGE, "nothing was committed") : st;
}

/* ---- the race ---- */

static int64_t now(void) { return tl_clock_now_ns() / TL_NS_PER_MS; }

static void pause_after(int attempts) { /* losers spread out; the first ones run at once */
  if (attempts < 4) return;
  tl_prng prng = tl_prng_init((uint64_t)tl_clock_mono_ns());
  int64_t longest_ms = attempts < 10 ? INT64_C(1) << (attempts - 3) : 100;
  tl_clock_sleep_ns((int64_t)tl_prng_below(&prng, (uint64_t)(longest_ms * TL_NS_PER_MS)));
}

/* Reads every commit from *version on; *version becomes the first that is free. */
static tl_status pass_winners(tl_table_log *log, const tl_snapshot *base, const tl_edit *edit, int64_t *version, tl_committed *out, tl_error *err) {
  int64_t lost_at = *version;
  for (tl_status st = TL_OK; !st;) {
    tl_delta_actions winner;
    tl_store_info info = {0};
    st = tl_delta_read_commit(log, *version, &winner, &info, err);
    if (!st) st = tl_delta_conflict(base, edit, &winner, &out->already, err);
    tl_delta_actions_deinit(&winner);
    if (st == TL_ENOTFOUND) break;
    if (st) return st;
    if (out->already) {
      out->version = out->sequence = *version;
      out->timestamp_ms = info.mtime_ms;
      return TL_OK;
    }
    ++*version;
  }
  if (*version > lost_at) return TL_OK;
  return tl_fail(err, TL_ECONFLICT, "version %" PRId64 " was committed by another writer and cleaned up since", lost_at);
}

/* A base so old that the log behind it was cleaned up leaves room where no reader looks. Clean-up goes from old to new, so
 * all is well while the version before ours is there. */
static tl_status check_place(tl_table_log *log, int64_t version, tl_error *err) {
  char key[TL_DELTA_KEY_MAX];
  tl_store_info info;
  tl_delta_entries entries;
  tl_delta_commit_key(version - 1, key);
  tl_status st = tl_store_stat(log->store, key, &info, NULL);
  if (st != TL_ENOTFOUND) return TL_OK; /* there, or cannot be asked now: the commit stands */
  if (tl_delta_list(log, version, INT64_MAX, &entries, NULL)) return TL_OK;
  bool behind = false;
  for (size_t i = 0; i < entries.count; i++) behind |= entries.items[i].kind == TL_DELTA_CHECKPOINT || entries.items[i].version > version;
  tl_delta_entries_deinit(&entries);
  if (!behind) return TL_OK;
  tl_delta_commit_key(version, key);
  st = tl_store_delete(log->store, key, err);
  return st ? st : tl_fail(err, TL_ECONFLICT, "the log behind version %" PRId64 " was cleaned up since it was read", version - 1);
}

static tl_status race(tl_table_log *log, const tl_snapshot *base, const tl_edit *edit, const tl_buf *body, tl_committed *out, tl_error *err) {
  bool blind = edit->reads == TL_READS_NOTHING && edit->remove_count == 0 && edit->add_count > 0;
  int64_t version = base->version + 1;
  tl_buf text = {0};
  tl_status st = TL_ECONFLICT;
  while (st == TL_ECONFLICT && out->attempts < ATTEMPTS_MAX) {
    char key[TL_DELTA_KEY_MAX];
    tl_store_info info = {0};
    int64_t now_ms = now();
    tl_delta_commit_key(version, key);
    tl_buf_clear(&text);
    st = tl_delta_put_info(edit, blind, base->version, now_ms, &text, err);
    if (!st) st = tl_buf_append(&text, body->data, body->len, err);
    if (st) break;
    out->attempts++;
    TL_FAULT_STEP();
    st = tl_store_put(log->store, key, text.data, text.len, TL_PUT_ABSENT, NULL, &info, err);
    if (!st) {
      TL_FAULT_STEP();
      out->version = out->sequence = version;
      out->timestamp_ms = info.mtime_ms > 0 ? info.mtime_ms : now_ms;
      st = check_place(log, version, err);
      break;
    }
    if (st != TL_ECONFLICT) break;
    tl_status passed = pass_winners(log, base, edit, &version, out, err);
    if (passed || out->already) {
      st = passed;
      break;
    }
    pause_after(out->attempts);
  }
  tl_buf_deinit(&text);
  return st;
}

/* ---- the commit ---- */

static int64_t interval(const tl_snapshot *base) {
  const char *text = tl_snapshot_property(base, "delta.checkpointInterval");
  int64_t value;
  return text && tl_number_i64(text, strlen(text), &value) == TL_NUMBER_OK && value > 0 ? value : CHECKPOINT_INTERVAL;
}

/* The commit stands whatever comes of this. */
static void write_checkpoint(tl_table_log *log, int64_t version) {
  tl_error err = {0};
  tl_delta_state state;
  tl_delta_state_init(&state);
  tl_status st = tl_delta_advance(log, &err);
  bool newest = !st && log->newest.version == version;
  if (!st && !newest) st = tl_delta_replay(log, version, &state, &err);
  if (!st) st = tl_delta_checkpoint_write(log, newest ? &log->newest : &state, &err);
  if (st)
    tl_log(TL_LOG_WARN, "version %" PRId64 " of '%s' is committed, but its checkpoint could not be written: %s", version, tl_store_uri(log->store), err.message);
  tl_delta_state_deinit(&state);
}

tl_status tl_delta_commit(tl_table_log *log, const tl_snapshot *base, const tl_edit *edit, tl_committed *out, tl_error *err) {
  tl_buf body = {0};
  *out = (tl_committed){.version = -1, .sequence = -1};
  if (edit->txn_app && tl_snapshot_txn(base, edit->txn_app) >= edit->txn_version) {
    *out = (tl_committed){.version = base->version, .sequence = base->sequence, .timestamp_ms = base->timestamp_ms, .already = true};
    return TL_OK;
  }
  tl_status st = check_edit(log, base, edit, err);
  if (!st) st = put_body(base, edit, now(), &body, err);
  if (!st) st = check_text(&body, err);
  if (!st) st = race(log, base, edit, &body, out, err);
  tl_buf_deinit(&body);
  if (!st && !out->already && out->version % interval(base) == 0) write_checkpoint(log, out->version);
  return st;
}
