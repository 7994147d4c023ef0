/* iceberg_commit.c - one edit becomes one snapshot, or, when others were faster, one on top of theirs.
 *
 * An attempt: what is the newest metadata; may the edit still be made on it; write its manifests and its list; swap the
 * metadata. Data files the edit adds lie in one manifest of their own, which serves every attempt (its entries inherit
 * their sequence number). Removing files rewrites the manifests that hold them: the others there become EXISTING with
 * their numbers, the removed ones DELETED. An append copies the parent's list and never conflicts but with its own txn, a
 * changed schema or a changed partition spec.
 * Conflicts (TL_ECONFLICT: load and plan again): a removed file is not live any more; a file was added, since the base, to
 * a partition that was read (TL_READS_PARTITIONS) or anywhere (TL_READS_ALL); a column was changed.
 * Files of an attempt that failed clearly are deleted; after an unclear failure they stay for vacuum. */
#include "table/iceberg/iceberg_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "market/number.h"

enum { ATTEMPTS_MAX = 300 };

/* ---- may it still be made? ---- */

static int64_t txn_of(const tl_iceberg_metadata *m, const char *app) {
  size_t prefix = sizeof TL_ICEBERG_TXN - 1;
  for (size_t i = 0; i < m->property_count; i++) {
    int64_t version;
    const tl_pair *p = &m->properties[i];
    if (!strncmp(p->key, TL_ICEBERG_TXN, prefix) && !strcmp(p->key + prefix, app) && !tl_number_i64(p->value, strlen(p->value), &version)) return version;
  }
  return -1;
}

/* The newest schema holds every column of the base as it was; what others added is nullable. */
static bool schema_grew_only(const tl_fields *base, const tl_fields *now) {
  for (size_t i = 0; i < base->count; i++) {
    const tl_field *a = &base->items[i], *b = NULL;
    for (size_t k = 0; k < now->count; k++)
      if (now->items[k].id == a->id) b = &now->items[k];
    if (!b || strcmp(a->name, b->name) != 0 || a->type != b->type || a->element != b->element || a->precision != b->precision ||
        a->scale != b->scale || a->nullable != b->nullable || a->element_id != b->element_id)
      return false;
  }
  for (size_t k = 0; k < now->count; k++) {
    bool known = false;
    for (size_t i = 0; i < base->count; i++) known = known || base->items[i].id == now->items[k].id;
    if (!known && !now->items[k].nullable) return false;
  }
  return true;
}

static tl_status check_table(const tl_iceberg_plan *p, tl_error *err) {
  const tl_iceberg_metadata *m = p->state.metadata;
  const tl_iceberg_own *own = p->base->own;
  const char *where = tl_store_uri(p->log->store);
  if (strlen(p->base->table_id) != m->uuid.len || memcmp(p->base->table_id, m->uuid.data, m->uuid.len) != 0)
    return tl_fail(err, TL_ECONFLICT, "the table at '%s' was replaced by another one", where);
  if (p->state.unwritable) return tl_fail(err, TL_EUSAGE, "cannot write to '%s': %s", where, p->state.unwritable);
  if (own->state.metadata->default_spec_id != m->default_spec_id) return tl_fail(err, TL_ECONFLICT, "the partitioning of '%s' was changed", where);
  if (p->edit->fields) { /* a new schema goes onto the one it was made from */
    if (own->state.metadata->current_schema_id != m->current_schema_id) return tl_fail(err, TL_ECONFLICT, "the schema of '%s' was changed", where);
    return tl_iceberg_evolves(m, p->edit->fields, err);
  }
  const tl_iceberg_schema *now = tl_iceberg_find_schema(m, m->current_schema_id);
  bool same = own->schema_id == m->current_schema_id || schema_grew_only(&p->base->fields, &now->fields);
  return same ? TL_OK : tl_fail(err, TL_ECONFLICT, "the schema of '%s' was changed", where);
}

/* ---- one attempt ---- */

static const char *operation_of(const tl_iceberg_plan *p) {
  const tl_edit *edit = p->edit;
  if (p->rewrite || (!edit->data_change && edit->remove_count && edit->add_count)) return "replace";
  if (edit->remove_count) return edit->add_count ? "overwrite" : "delete";
  return "append";
}

/* Properties of the commit: the edit's, its txn, and the name mapping of a new schema. */
static tl_status gather_properties(tl_iceberg_plan *p, tl_pair **out, size_t *count, tl_buf texts[3], tl_error *err) {
  const tl_edit *edit = p->edit;
  tl_pair *pairs = tl_calloc(edit->property_count + 2, sizeof *pairs);
  if (!pairs) return tl_fail(err, TL_ENOMEM, "cannot commit");
  *out = pairs;
  *count = 0;
  for (size_t i = 0; i < edit->property_count; i++) pairs[(*count)++] = edit->properties[i];
  tl_status st = TL_OK;
  if (edit->txn_app) {
    st = tl_buf_appendf(&texts[0], err, TL_ICEBERG_TXN "%s", edit->txn_app);
    if (!st) st = tl_buf_appendf(&texts[1], err, "%" PRId64, edit->txn_version);
    pairs[(*count)++] = (tl_pair){texts[0].data, texts[1].data};
  }
  if (!st && edit->fields) {
    st = tl_iceberg_mapping(tl_iceberg_property(p->state.metadata, TL_ICEBERG_MAPPING), edit->fields, &texts[2], err);
    pairs[(*count)++] = (tl_pair){(char *)(uintptr_t)TL_ICEBERG_MAPPING, texts[2].data};
  }
  return st;
}

static tl_status commit_change(tl_iceberg_plan *p, const tl_iceberg_added *added, int64_t now_ms, int64_t *number, bool *unknown, tl_error *err) {
  tl_pair *pairs = NULL;
  tl_buf texts[3] = {{0}, {0}, {0}};
  size_t count = 0;
  tl_status st = gather_properties(p, &pairs, &count, texts, err);
  if (!st) {
    const tl_iceberg_change change = {.added = added, .fields = p->edit->fields, .properties = pairs, .property_count = count, .now_ms = now_ms};
    st = tl_iceberg_state_commit(p->log, &p->state, &change, number, unknown, err);
  }
  for (size_t i = 0; i < 3; i++) tl_buf_deinit(&texts[i]);
  tl_free(pairs);
  return st;
}

static int64_t new_snapshot_id(tl_iceberg_plan *p) {
  for (;;) {
    int64_t id = (int64_t)(tl_prng_next(&p->log->random) >> 1);
    if (id > 0 && !tl_iceberg_find_snap(p->state.metadata, id)) return id;
  }
}

/* The snapshot's id is that of the plan, so that the manifest of added files stays right over all attempts. */
static tl_status attempt(tl_iceberg_plan *p, tl_committed *out, bool *unknown, tl_error *err) {
  const tl_iceberg_metadata *m = p->state.metadata;
  int64_t now_ms = tl_iceberg_now_ms(m), number = 0;
  bool has_snapshot = p->edit->add_count || p->edit->remove_count || p->rewrite;
  tl_status st = check_table(p, err);
  p->final = st != TL_OK;
  if (st) return st;
  if (!has_snapshot) {
    st = commit_change(p, NULL, now_ms, &number, unknown, err);
    out->version = m->current;
  } else {
    tl_iceberg_added added = {.id = p->id, .parent = m->current, .sequence = m->last_sequence + 1, .timestamp_ms = now_ms,
                              .schema_id = m->current_schema_id};
    if (p->edit->fields)
      for (size_t i = 0; i < m->schema_count; i++)
        if (m->schemas[i].id >= added.schema_id) added.schema_id = m->schemas[i].id + 1;
    st = tl_iceberg_plan_write(p, operation_of(p), &added, err);
    if (!st) st = commit_change(p, &added, now_ms, &number, unknown, err);
    out->version = p->id;
  }
  out->sequence = number;
  out->timestamp_ms = now_ms;
  return st;
}

/* A pause that grows, and differs between writers. */
static void pause_after(tl_table_log *log, int attempts) {
  uint64_t most_ms = attempts < 6 ? UINT64_C(2) << attempts : 100;
  tl_clock_sleep_ns((int64_t)(1 + tl_prng_below(&log->random, most_ms)) * TL_NS_PER_MS);
}

static tl_status check_edit(const tl_snapshot *base, const tl_edit *edit, tl_error *err) {
  if (base->unwritable) return tl_fail(err, TL_EUSAGE, "cannot write to the table: %s", base->unwritable);
  if (edit->txn_app && !*edit->txn_app) return tl_fail(err, TL_EUSAGE, "a txn needs the name of an application");
  if (edit->reads != TL_READS_PARTITIONS && edit->read_partition_count) return tl_fail(err, TL_EINTERNAL, "an edit names partitions it does not read");
  return TL_OK;
}

static tl_status commit_loop(tl_iceberg_plan *p, tl_committed *out, tl_error *err) {
  for (out->attempts = 1;; out->attempts++) {
    bool unknown = false;
    if (p->edit->txn_app && txn_of(p->state.metadata, p->edit->txn_app) >= p->edit->txn_version) {
      out->already = true;
      out->version = p->state.metadata->current;
      out->sequence = p->state.number;
      out->timestamp_ms = p->state.metadata->last_updated_ms;
      return TL_OK;
    }
    if (!p->id) p->id = new_snapshot_id(p);
    tl_status st = attempt(p, out, &unknown, err);
    if (!st) p->committed = true;
    if (unknown) p->unclear = true;
    bool expired = st == TL_ECORRUPT && !unknown && !tl_iceberg_state_is_newest(p->log, &p->state); /* what we read was overtaken, and is gone */
    if ((st != TL_ECONFLICT && !expired) || p->final || unknown) return st; /* final: no newer metadata can make it possible */
    tl_iceberg_plan_undo(p, false);
    if (out->attempts == ATTEMPTS_MAX) return tl_fail_within(err, st, "lost %d races against other writers", ATTEMPTS_MAX);
    int64_t number = p->state.number;
    st = tl_iceberg_plan_state(p, false, err);
    if (st) return st;
    if (p->state.number <= number && out->attempts > 1) pause_after(p->log, out->attempts);
    else if (out->attempts > 2) pause_after(p->log, out->attempts);
  }
}

static tl_status run(tl_iceberg_plan *p, tl_committed *out, tl_error *err) {
  *out = (tl_committed){0};
  tl_status st = check_edit(p->base, p->edit, err);
  if (!st) st = tl_iceberg_plan_open(p, err);
  if (!st) st = tl_iceberg_plan_state(p, true, err);
  if (!st) st = commit_loop(p, out, err);
  if (!p->unclear && !p->committed) tl_iceberg_plan_undo(p, true);
  tl_iceberg_plan_close(p);
  return st;
}

tl_status tl_iceberg_commit(tl_table_log *log, const tl_snapshot *base, const tl_edit *edit, tl_committed *out, tl_error *err) {
  tl_iceberg_plan p = {.log = log, .base = base, .edit = edit};
  return run(&p, out, err);
}

tl_status tl_iceberg_checkpoint(tl_table_log *log, const tl_snapshot *snapshot, tl_error *err) {
  const tl_iceberg_own *own = snapshot->own;
  tl_edit edit = {.operation = "CHECKPOINT", .reads = TL_READS_NOTHING};
  tl_iceberg_plan p = {.log = log, .base = snapshot, .edit = &edit, .rewrite = true};
  tl_committed committed;
  if (own->list.count < 2) return TL_OK; /* one manifest is as few as there can be */
  return run(&p, &committed, err);
}
