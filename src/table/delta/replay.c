/* replay.c - actions of versions in order -> the state of a table: what counts last of each file, txn, metadata, protocol.
 * Files are in one hash by path, live ones and tombstones; memory is one pointer a file beside the file itself. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/prng.h"
#include "table/delta/delta.h"

void tl_delta_state_init(tl_delta_state *state) { *state = (tl_delta_state){.version = -1, .checkpoint = -1}; }

void tl_delta_state_deinit(tl_delta_state *state) {
  tl_delta_protocol_deinit(&state->protocol);
  tl_delta_metadata_deinit(&state->metadata);
  for (size_t i = 0; i < state->txn_count; i++) tl_free(state->txns[i].app);
  tl_free(state->txns);
  for (size_t i = 0; i < state->slot_count; i++) tl_delta_file_unref(state->slots[i]);
  tl_free(state->slots);
  tl_delta_state_init(state);
}

/* ---- files ---- */

static size_t slot_of(const tl_delta_state *state, const char *path) { /* of the path, or the free one where it belongs */
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (const char *at = path; *at; at++) hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
  size_t mask = state->slot_count - 1, slot = (size_t)tl_prng_mix(hash) & mask;
  while (state->slots[slot] && strcmp(state->slots[slot]->path, path) != 0) slot = (slot + 1) & mask;
  return slot;
}

static tl_status make_room(tl_delta_state *state, size_t more, tl_error *err) {
  size_t wanted = state->slot_count ? state->slot_count : 64;
  while (wanted / 4 * 3 < state->used + more) {
    if (wanted > SIZE_MAX / 16) return tl_fail(err, TL_ENOMEM, "cannot hold the files of a table");
    wanted *= 2;
  }
  if (wanted == state->slot_count) return TL_OK;
  tl_delta_state grown = {.slots = tl_calloc(wanted, sizeof *grown.slots), .slot_count = wanted};
  if (!grown.slots) return tl_fail(err, TL_ENOMEM, "cannot hold the %zu files of a table", state->used + more);
  for (size_t i = 0; i < state->slot_count; i++)
    if (state->slots[i]) grown.slots[slot_of(&grown, state->slots[i]->path)] = state->slots[i];
  tl_free(state->slots);
  state->slots = grown.slots;
  state->slot_count = wanted;
  return TL_OK;
}

static void put_file(tl_delta_state *state, tl_delta_file *file) { /* takes the reference */
  size_t slot = slot_of(state, file->path);
  tl_delta_file *before = state->slots[slot];
  if (before && !before->removed) state->live--;
  if (!before) state->used++;
  if (!file->removed) state->live++;
  tl_delta_file_unref(before);
  state->slots[slot] = file;
}

tl_delta_file *tl_delta_state_find(const tl_delta_state *state, const char *path) {
  return state->slot_count ? state->slots[slot_of(state, path)] : NULL;
}

bool tl_delta_state_next(const tl_delta_state *state, size_t *at, tl_delta_file **file) {
  while (*at < state->slot_count && !state->slots[*at]) ++*at;
  if (*at == state->slot_count) return false;
  *file = state->slots[(*at)++];
  return true;
}

/* ---- the rest ---- */

static tl_status make_txn_room(tl_delta_state *state, size_t more, tl_error *err) {
  if (state->txn_capacity - state->txn_count >= more) return TL_OK;
  size_t wanted = (state->txn_count + more) * 2;
  tl_delta_txn *grown = tl_realloc_array(state->txns, wanted, sizeof *grown);
  if (!grown) return tl_fail(err, TL_ENOMEM, "cannot hold the %zu transactions of a table", wanted);
  state->txns = grown;
  state->txn_capacity = wanted;
  return TL_OK;
}

static void put_txn(tl_delta_state *state, const tl_delta_txn *txn, size_t known) { /* takes the app; the first `known` may have it */
  for (size_t i = 0; i < known; i++)
    if (!strcmp(state->txns[i].app, txn->app)) {
      tl_free(state->txns[i].app);
      state->txns[i] = *txn;
      return;
    }
  state->txns[state->txn_count++] = *txn;
}

tl_status tl_delta_state_apply(tl_delta_state *state, tl_delta_actions *actions, tl_error *err) {
  size_t known = state->txn_count;
  tl_status st = make_room(state, actions->file_count, err);
  if (!st) st = make_txn_room(state, actions->txn_count, err);
  if (st) return st;
  for (size_t i = 0; i < actions->file_count; i++) put_file(state, actions->files[i]);
  actions->file_count = 0;
  for (size_t i = 0; i < actions->txn_count; i++) put_txn(state, &actions->txns[i], known);
  actions->txn_count = 0;
  if (actions->has_protocol) {
    tl_delta_protocol_deinit(&state->protocol);
    state->protocol = actions->protocol;
    actions->protocol = (tl_delta_protocol){0};
    state->has_protocol = true;
  }
  if (actions->has_metadata) {
    tl_delta_metadata_deinit(&state->metadata);
    state->metadata = actions->metadata;
    actions->metadata = (tl_delta_metadata){0};
    state->has_metadata = true;
  }
  state->version = actions->version;
  return TL_OK;
}
