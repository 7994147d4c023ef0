/* Any bytes as metadata/indices/NAME.csv: refused with file and line, or its members are symbols, and storing more of them
 * keeps those that were there. */
#include "market/symbol.h"
#include "run/run.h"
#include "store/store.h"
#include "tests/fuzz/check.h"

static int count_row(void *user, const tl_index_row *row) {
  check(tl_symbol_check(row->symbol, strlen(row->symbol), NULL) == TL_OK, "a member that is no symbol");
  check(row->added_date && row->removed_date, "a date that is NULL");
  ++*(size_t *)user;
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static char path[128];
  static tl_run_lake lake;
  if (!path[0]) {
    snprintf(path, sizeof path, "%s/metadata", scratch_folder());
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/metadata/indices", scratch_folder());
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/metadata/indices/fuzz.csv", scratch_folder());
    lake.path = (char *)(uintptr_t)scratch_folder();
    check(tl_store_open(lake.path, NULL, &lake.store, NULL) == TL_OK, "a folder cannot be opened");
  }
  scratch_write(path, data, size);
  tl_error err = {0};
  size_t before = 0, after = 0;
  tl_status st = tl_run_index_load(&lake, "fuzz", count_row, &before, &err);
  check(st == TL_OK || (err.message[0] && (st == TL_EUSAGE || st == TL_ECORRUPT || st == TL_ELIMIT)), "a refusal of another kind");
  if (!st) {
    check(tl_run_index_store(&lake, "fuzz", "NEW.ONE,OTHER", &err) == TL_OK, "a file that loads cannot be stored to");
    check(tl_run_index_load(&lake, "fuzz", count_row, &after, &err) == TL_OK && after >= before && after >= 2, "members are gone");
  }
  return 0;
}
