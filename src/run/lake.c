/* lake.c - where the lake lies and what its settings say. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "config/settings.h"
#include "run/job.h"
#include "store/store.h"

tl_status tl_run_lake_init(tl_run_lake *lake, const char *path, const char *config_file, tl_error *err) {
  *lake = (tl_run_lake){0};
  tl_status st = tl_settings_open(config_file, &lake->settings, err);
  if (st) return st == TL_ENOTFOUND ? TL_EUSAGE : st;
  if (!path || !*path) path = getenv("TICKLAKE_LAKE");
  if (!path || !*path) path = tl_settings_get(lake->settings, tl_settings_system(lake->settings), "local_storage_dir");
  if (!path || !*path) path = "lake";
  if (!strncmp(path, "file://", 7)) path += 7;
  if (!(lake->path = tl_strdup(path))) st = tl_fail(err, TL_ENOMEM, "cannot open lake '%s'", path);
  size_t len = st ? 0 : strlen(lake->path);
  while (len > 1 && lake->path[len - 1] == '/') lake->path[--len] = 0;
  if (!st) st = tl_store_open(lake->path, lake->settings, &lake->store, err);
  if (st) tl_run_lake_deinit(lake);
  return st;
}

void tl_run_lake_deinit(tl_run_lake *lake) {
  tl_store_close(lake->store);
  tl_settings_close(lake->settings);
  tl_free(lake->path);
  *lake = (tl_run_lake){0};
}

tl_status tl_run_ledger(const tl_run_lake *lake, tl_ledger **out, tl_error *err) {
  tl_status st = tl_ledger_open(lake->store, false, out, err);
  if (st != TL_ENOTFOUND) return st;
  return tl_fail(err, st, "there is no lake at '%s'; import something, or name one with --lake", lake->path);
}
