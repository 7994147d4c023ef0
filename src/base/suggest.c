/* suggest.c - optimal string alignment distance over short words. */
#include "base/suggest.h"

#include <string.h>

enum { WORD_MAX = 64 };

static size_t min3(size_t a, size_t b, size_t c) { return a < b ? (a < c ? a : c) : (b < c ? b : c); }

static size_t distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b);
  size_t rows[3][WORD_MAX];
  if (n >= WORD_MAX || m >= WORD_MAX) return WORD_MAX;
  size_t *before = rows[0], *above = rows[1], *row = rows[2];
  for (size_t j = 0; j <= m; j++) above[j] = j;
  for (size_t i = 1; i <= n; i++) {
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < row[j])
        row[j] = before[j - 2] + 1;
    }
    size_t *spare = before;
    before = above;
    above = row;
    row = spare;
  }
  return above[m];
}

const char *tl_suggest(const char *typed, const char *const *words, size_t count) {
  const char *best = NULL;
  size_t best_distance = WORD_MAX;
  for (size_t i = 0; i < count; i++) {
    size_t d = distance(typed, words[i]);
    if (d < best_distance) {
      best = words[i];
      best_distance = d;
    }
  }
  size_t allowed = strlen(typed) / 3;
  return best_distance <= (allowed < 2 ? 2 : allowed) ? best : NULL;
}
