/* iceberg.c - Apache Iceberg, format version 2, as a table format of ours (table/snapshot.h): opening, creating, and the
 * table of functions. docs/formats/iceberg.md says what is written, byte by byte where it matters. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "table/iceberg/rest_catalog.h"

static tl_status open_log(tl_store *store, const tl_table_env *env, tl_table_log **out, tl_error *err) {
  tl_table_log *log = tl_calloc(1, sizeof *log);
  uint64_t seed = 0;
  if (!log) return tl_fail(err, TL_ENOMEM, "cannot open a table");
  log->store = store;
  if (env) log->env = *env;
  /* names and ids must differ between processes that start in the same instant */
  if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) seed = 0;
  seed ^= tl_prng_mix((uint64_t)tl_clock_now_ns()) ^ tl_prng_mix((uint64_t)getpid() << 32 ^ (uint64_t)tl_clock_mono_ns());
  log->random = tl_prng_init(seed ^ (uint64_t)(uintptr_t)log);
  if (env && env->rest) {
    tl_status st = tl_iceberg_rest_open(env->settings, env->rest, &log->rest, err);
    if (st) {
      tl_free(log);
      return st;
    }
  }
  *out = log;
  return TL_OK;
}

static void close_log(tl_table_log *log) {
  tl_iceberg_rest_close(log->rest);
  tl_free(log);
}

tl_status tl_iceberg_state_load(tl_table_log *log, tl_iceberg_state *out, tl_error *err) {
  return log->rest ? tl_iceberg_rest_load(log->rest, out, err) : tl_iceberg_folder_load(log, out, err);
}

bool tl_iceberg_state_is_newest(tl_table_log *log, const tl_iceberg_state *state) {
  return log->rest || tl_iceberg_folder_is_newest(log, state); /* a catalog is asked at the commit */
}

tl_status tl_iceberg_state_commit(tl_table_log *log, const tl_iceberg_state *state, const tl_iceberg_change *change, int64_t *number,
                                  bool *unknown, tl_error *err) {
  if (log->rest) return tl_iceberg_rest_commit(log->rest, state, change, number, unknown, err);
  return tl_iceberg_folder_commit(log, state, change, number, unknown, err);
}

tl_status tl_iceberg_state_create(tl_table_log *log, const tl_iceberg_new *table, tl_error *err) {
  return log->rest ? tl_iceberg_rest_create(log->rest, table, err) : tl_iceberg_folder_create(log, table, err);
}

static tl_status create(tl_table_log *log, const tl_create *create, tl_committed *out, tl_error *err) {
  tl_fields fields = {0};
  char uuid[TL_ICEBERG_UUID_MAX];
  int64_t now_ms = tl_clock_now_ns() / TL_NS_PER_MS;
  *out = (tl_committed){0};
  tl_iceberg_uuid(log, uuid);
  tl_status st = tl_fields_copy(create->fields, &fields, err);
  if (st) return st;
  tl_iceberg_fields_number(&fields);
  const tl_iceberg_new table = {.uuid = uuid, .location = tl_store_uri(log->store), .name = create->name, .fields = &fields,
                                .partitioning = create->partitioning, .properties = create->properties,
                                .property_count = create->property_count, .now_ms = now_ms};
  st = tl_iceberg_state_create(log, &table, err);
  if (!st) *out = (tl_committed){.version = -1, .sequence = log->rest ? 0 : 1, .timestamp_ms = now_ms, .attempts = 1};
  tl_fields_deinit(&fields);
  return st;
}

const tl_format tl_format_iceberg = {
  .name = "iceberg",
  .detect = tl_iceberg_folder_detect,
  .open = open_log,
  .close = close_log,
  .create = create,
  .load = tl_iceberg_load,
  .stats = tl_iceberg_stats,
  .commit = tl_iceberg_commit,
  .history = tl_iceberg_history,
  .checkpoint = tl_iceberg_checkpoint,
  .expire = tl_iceberg_expire,
  .keeps = tl_iceberg_keeps,
  .snapshot_deinit = tl_iceberg_own_free,
};
