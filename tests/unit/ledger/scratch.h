/* scratch.h - a lake folder of one's own for a test of the ledger, and short names for what tests write again and
 * again. For tests of this folder. */
#ifndef TL_TEST_LEDGER_SCRATCH_H
#define TL_TEST_LEDGER_SCRATCH_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "ledger/db.h"

typedef struct scratch {
  char lake[64], ledger[96], journal[112];
} scratch;

static inline void scratch_make(scratch *s) {
  snprintf(s->lake, sizeof s->lake, "%s/tl-ledger-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  assert_non_null(mkdtemp(s->lake));
  snprintf(s->ledger, sizeof s->ledger, "%s/_ticklake/ledger.db", s->lake);
  snprintf(s->journal, sizeof s->journal, "%s-journal", s->ledger);
}

static inline void scratch_remove(const scratch *s) {
  char folder[96];
  snprintf(folder, sizeof folder, "%s/_ticklake", s->lake);
  tl_io_names names;
  if (tl_io_list(folder, &names, NULL) == TL_OK) {
    for (size_t i = 0; i < names.count; i++) {
      char path[400];
      snprintf(path, sizeof path, "%s/%s", folder, names.names[i]);
      unlink(path);
    }
    tl_io_names_deinit(&names);
  }
  rmdir(folder);
  rmdir(s->lake);
}

/* The ledger of a folder, without a store around it. */
static inline tl_status open_ledger(const char *lake, bool create, tl_ledger **out, tl_error *err) {
  return tl_ledger_open_formats(lake, create, tl_ledger_formats, tl_ledger_format_newest, out, err);
}

static inline tl_ledger *scratch_open(const scratch *s) {
  tl_ledger *ledger = NULL;
  tl_error err = {0};
  if (open_ledger(s->lake, true, &ledger, &err)) fail_msg("open: %s", err.message);
  return ledger;
}

static inline tl_ledger_unit unit_of(const char *symbol, int64_t start_ns, int64_t end_ns, tl_coverage state,
                                     int64_t rows) {
  return (tl_ledger_unit){.dataset = "equities_1min",
                          .symbol = symbol,
                          .range = {start_ns, end_ns},
                          .state = state,
                          .rows = rows,
                          .wire_rows = rows,
                          .bytes = rows * 10,
                          .pages = rows > 0,
                          .asked_ns = 1,
                          .hash = "00ff",
                          .answer = state == TL_COVER_FAILED ? "HTTP 500" : ""};
}

static inline void state_units(tl_ledger *ledger, const tl_ledger_unit *units, size_t count) {
  tl_error err = {0};
  tl_ledger_group group = {.units = units, .unit_count = count};
  if (tl_ledger_commit(ledger, &group, &err)) fail_msg("commit: %s", err.message);
}
#endif
