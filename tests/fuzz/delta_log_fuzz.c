/* Any bytes as commit files of a Delta log (a byte 0x01 divides them): refused with a reason, or they make a state whose
 * actions, written by our writer, parse to the same state; paths stay below the table; statistics read without harm. */
#include "base/alloc.h"
#include "table/delta/delta.h"
#include "tests/fuzz/check.h"

static bool text_equal(const char *a, const char *b) { return a == b || (a && b && !strcmp(a, b)); }

static void check_refusal(tl_status st, const tl_error *err) {
  check(st == TL_ECORRUPT || st == TL_EUSAGE || st == TL_ELIMIT, "a status nobody promised");
  check(err->message[0], "a refusal without a reason");
}

/* The state as one commit, and back. */
static void round_trip(const tl_delta_state *state) {
  tl_buf text = {0};
  tl_error err = {0};
  tl_delta_file *file;
  tl_delta_actions again = {.version = state->version};
  if (state->has_protocol) check(tl_delta_put_protocol(&text, &state->protocol, &err) == TL_OK, "the protocol cannot be written");
  if (state->has_metadata) check(tl_delta_put_metadata(&text, &state->metadata, &err) == TL_OK, "the metadata cannot be written");
  for (size_t i = 0; i < state->txn_count; i++) check(tl_delta_put_txn(&text, &state->txns[i], &err) == TL_OK, "a txn cannot be written");
  for (size_t at = 0; tl_delta_state_next(state, &at, &file);) check(tl_delta_put_file(&text, file, &err) == TL_OK, "a file cannot be written");
  check(tl_delta_parse("again", tl_text_of(text.data ? text.data : "", text.len), &again, &err) == TL_OK, "what we wrote does not parse");
  check(again.file_count == state->used && again.txn_count == state->txn_count, "another count");
  check(again.has_protocol == state->has_protocol && again.has_metadata == state->has_metadata, "the head is gone");
  for (size_t i = 0; i < again.file_count; i++) {
    const tl_delta_file *mine = tl_delta_state_find(state, again.files[i]->path);
    check(mine && (mine->has_vector || tl_delta_file_equal(mine, again.files[i])), "a file reads differently");
  }
  if (state->has_metadata)
    check(text_equal(again.metadata.id, state->metadata.id) && text_equal(again.metadata.schema, state->metadata.schema) &&
            again.metadata.configuration.count == state->metadata.configuration.count, "the metadata read differently");
  tl_delta_actions_deinit(&again);
  tl_buf_deinit(&text);
}

/* What a snapshot does with the metadata. */
static void use_schema(const tl_delta_state *state) {
  tl_fields fields = {0}, back = {0};
  tl_partitioning partitioning = {0};
  tl_error err = {0};
  tl_buf text = {0};
  char *why = NULL;
  tl_status st = tl_delta_check_readable(&state->protocol, &state->metadata, &err);
  if (st) check_refusal(st, &err);
  st = tl_delta_schema_read(state->metadata.schema, &fields, &err);
  if (st) {
    check_refusal(st, &err);
    return;
  }
  check(tl_delta_unwritable(&state->protocol, &state->metadata, &fields, &why, &err) == TL_OK || err.message[0], "no reason");
  st = tl_delta_schema_write(&fields, state->metadata.schema, &text, &err);
  if (!st) {
    check(tl_delta_schema_read(text.data, &back, &err) == TL_OK && back.count == fields.count, "the schema we wrote reads differently");
    for (size_t i = 0; i < fields.count; i++)
      check(!strcmp(fields.items[i].name, back.items[i].name) && fields.items[i].type == back.items[i].type && fields.items[i].id == back.items[i].id, "a field differs");
    tl_fields_deinit(&back);
  } else {
    check_refusal(st, &err);
  }
  st = tl_delta_partitioning_read(&state->metadata, &fields, &partitioning, &err);
  if (st) check_refusal(st, &err);
  tl_delta_file *file;
  for (size_t at = 0; tl_delta_state_next(state, &at, &file);) {
    tl_file_stats stats;
    check(tl_file_stats_init(&stats, fields.count, &err) == TL_OK, "memory");
    check(tl_delta_stats_read(file->stats, &fields, &stats, &err) == TL_OK, "statistics are lenient");
    tl_data_file data = {.rows = tl_delta_stats_rows(file->stats), .stats = stats};
    tl_buf written = {0};
    check(tl_delta_stats_write(&data, &fields, &partitioning, &state->metadata, &written, &err) == TL_OK, "statistics cannot be written");
    tl_buf_deinit(&written);
    tl_file_stats_deinit(&stats);
  }
  tl_partitioning_deinit(&partitioning);
  tl_fields_deinit(&fields);
  tl_buf_deinit(&text);
  tl_free(why);
}

static void check_paths(const tl_delta_state *state) {
  tl_delta_file *file;
  for (size_t at = 0; tl_delta_state_next(state, &at, &file);) {
    tl_buf key = {0}, path = {0}, again = {0};
    tl_error err = {0};
    tl_status st = tl_delta_path_read("/lake/t", file->path, &key, &err);
    if (st) check_refusal(st, &err);
    else {
      check(key.len && !strstr(key.data, "/../"), "a path that leaves the table");
      check(tl_delta_path_write(key.data, &path, &err) == TL_OK && tl_delta_path_read("/lake/t", path.data, &again, &err) == TL_OK, "a path cannot be written");
      check(!strcmp(again.data, key.data), "a path reads differently");
    }
    tl_buf_deinit(&key);
    tl_buf_deinit(&path);
    tl_buf_deinit(&again);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int64_t live = tl_alloc_live();
  tl_delta_state state;
  tl_error err = {0};
  tl_status st = TL_OK;
  const char *at = (const char *)data, *end = at + size;
  tl_delta_state_init(&state);
  for (int64_t version = 0; !st && at <= end && size; version++) {
    const char *stop = memchr(at, 1, (size_t)(end - at));
    if (!stop) stop = end;
    tl_delta_actions actions = {.version = version};
    st = tl_delta_parse("fuzz", tl_text_of(at, (size_t)(stop - at)), &actions, &err);
    if (!st) check(tl_delta_state_apply(&state, &actions, &err) == TL_OK, "actions that parse cannot be applied");
    else check_refusal(st, &err);
    tl_delta_actions_deinit(&actions);
    at = stop + 1;
  }
  size_t live_files = 0;
  tl_delta_file *file;
  for (size_t i = 0; tl_delta_state_next(&state, &i, &file);) {
    live_files += !file->removed;
    check(tl_delta_state_find(&state, file->path) == file, "a file that is not found");
  }
  check(live_files == state.live, "another count of live files");
  round_trip(&state);
  if (state.has_metadata && state.has_protocol) use_schema(&state);
  check_paths(&state);
  tl_delta_state_deinit(&state);
  check(tl_alloc_live() == live, "memory is left over");
  return 0;
}
