/* audit.c - one file against its dataset: readable to the last value, in order, no key twice, and its checksum. */
#include "base/checksum.h"
#include "serve/serve.h"

typedef struct inspection {
  tl_audit *audit;
  bool by_time; /* a time is a key */
  int64_t last_ns;
} inspection;

static tl_status inspect(void *to, const tl_batch *batch, tl_error *err) {
  (void)err;
  inspection *i = to;
  const int64_t *times = tl_batch_times(batch);
  for (size_t row = 0; row < batch->rows; row++, i->audit->rows++) {
    if (i->audit->rows == 0) {
      i->audit->first_ns = i->audit->last_ns = times[row];
    } else {
      if (times[row] < i->last_ns) i->audit->sorted = false;
      if (times[row] == i->last_ns && i->by_time) i->audit->unique = false;
      if (times[row] < i->audit->first_ns) i->audit->first_ns = times[row];
      if (times[row] > i->audit->last_ns) i->audit->last_ns = times[row];
    }
    i->last_ns = times[row];
  }
  return TL_OK;
}

tl_status tl_audit_file(tl_engine *engine, const char *path, const tl_dataset *dataset, tl_audit *out, tl_error *err) {
  *out = (tl_audit){.sorted = true, .unique = true};
  tl_words *words = NULL;
  inspection i = {.audit = out, .by_time = !tl_kind_def_of(dataset->kind)->has_ns};
  tl_scan scan = {.path = path, .kind = dataset->kind, .as_stored = true, .rows = inspect, .to = &i};
  tl_status st = tl_checksum_file(path, out->checksum, &out->bytes, err);
  if (!st) st = tl_words_open(&words, err);
  scan.words = words;
  if (!st) st = tl_engine_scan(engine, &scan, NULL, err);
  /* Equal times apart from each other can only be seen in order. */
  if (!st && !out->sorted && i.by_time) {
    tl_audit again = {.sorted = true, .unique = true};
    i.audit = &again;
    scan.as_stored = false;
    st = tl_engine_scan(engine, &scan, NULL, err);
    out->unique = again.unique;
  }
  tl_words_close(words);
  return st;
}
