/* suggest.h - the nearest word of a list to what the user typed, for error messages. Pure. */
#ifndef TL_BASE_SUGGEST_H
#define TL_BASE_SUGGEST_H
#include <stddef.h>

/* The word with the smallest edit distance (a swap of neighbours counts 1), NULL when none is near: more than a third
 * of the letters, and at least 2, would have to change. Words over 63 bytes are never near. */
const char *tl_suggest(const char *typed, const char *const *words, size_t count);
#endif
