/* dict.h - distinct values of a column in order of first appearance, and each value's index among them.
 *
 * One tl_dict is reused for many columns. Values are 64-bit patterns (doubles and integers: equal bits are equal
 * values, so NaN payloads and -0.0 survive) or codes of a word pool. Cost: 2-3 ns a value while the distinct values
 * fit the cache. Not here: whether a dictionary pays (column.c), page bytes. */
#ifndef TL_PARQUET_DICT_H
#define TL_PARQUET_DICT_H
#include <stdbool.h>
#include <stdint.h>

#include "batch/words.h"

typedef struct tl_dict {
  uint64_t *values; /* distinct bit patterns; count of them */
  uint32_t *slots;  /* index + 1 by hash, 0 is free */
  size_t slot_count, slots_max; /* in use and allocated: a short column clears only what it needs */
  uint32_t count;
} tl_dict;

void tl_dict_deinit(tl_dict *dict); /* {0} and twice are fine */
/* Gives each of the 8-byte values its index. *fits is false, and the rest undefined, when more than `distinct_max`
 * differ or a first stretch shows that nearly all do. */
tl_status tl_dict_build(tl_dict *dict, const void *values, size_t count, size_t distinct_max, uint32_t *index, bool *fits,
                        tl_error *err);

/* Texts by word code. A text's index is that of its first appearance. */
typedef struct tl_text_dict {
  tl_text *texts; /* distinct texts, borrowed from the pool */
  uint32_t *slots; /* index + 1 by hash of the text, 0 is free */
  size_t slot_count, texts_max;
  uint32_t count;
  size_t bytes; /* of all texts */
} tl_text_dict;

void tl_text_dict_deinit(tl_text_dict *dict);
tl_status tl_text_dict_clear(tl_text_dict *dict, tl_error *err);
tl_status tl_text_dict_add(tl_text_dict *dict, tl_text text, uint32_t *index, tl_error *err);
#endif
