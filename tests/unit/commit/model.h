/* model.h - what a lake must hold after groups of pieces, as a naive list. Whoever includes it has said SYMBOLS and HELD_MOST. */
#ifndef TL_TEST_COMMIT_MODEL_H
#define TL_TEST_COMMIT_MODEL_H
#include "tests/unit/commit/lake.h"

typedef struct model { /* rows of each symbol, ascending, equal times as they came */
  row rows[SYMBOLS][HELD_MOST];
  size_t count[SYMBOLS];
  int64_t changed; /* bars: rows that came and were not there just so */
} model;

static inline void model_take(model *m, size_t symbol, bool by_range, tl_range range, const row *fresh, size_t count) {
  static row kept[HELD_MOST];
  size_t k = 0, n = 0;
  row *rows = m->rows[symbol];
  for (size_t i = 0; i < count; i++) {
    bool known = false;
    for (size_t j = 0; j < m->count[symbol]; j++) known = known || (rows[j].ns == fresh[i].ns && rows[j].value == fresh[i].value);
    m->changed += !known;
  }
  for (size_t j = 0; j < m->count[symbol]; j++) {
    bool gone = by_range && rows[j].ns >= range.start_ns && rows[j].ns < range.end_ns;
    for (size_t i = 0; !by_range && i < count; i++) gone = gone || rows[j].ns == fresh[i].ns;
    if (!gone) kept[k++] = rows[j];
  }
  assert_true(k + count <= HELD_MOST);
  m->count[symbol] = k + count;
  for (size_t a = 0, b = 0; n < k + count;) rows[n++] = b == count || (a < k && kept[a].ns < fresh[b].ns) ? kept[a++] : fresh[b++];
}
#endif
