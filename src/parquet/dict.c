/* dict.c - open addressing with linear probing; see dict.h. */
#include "parquet/dict.h"

#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"

enum { SLOTS_MIN = 1024, SAMPLE = 2048 };

void tl_dict_deinit(tl_dict *dict) {
  tl_free(dict->values);
  tl_free(dict->slots);
  *dict = (tl_dict){0};
}

static inline size_t slot_start(uint64_t bits, unsigned shift) {
  bits ^= bits >> 32;
  return (size_t)(bits * UINT64_C(0x9e3779b97f4a7c15) >> shift);
}

static unsigned shift_for(size_t slot_count) { return 64u - (unsigned)__builtin_ctzll(slot_count); }

static void put_slot(tl_dict *dict, uint64_t bits, uint32_t entry) {
  size_t at = slot_start(bits, shift_for(dict->slot_count));
  while (dict->slots[at]) at = (at + 1) & (dict->slot_count - 1);
  dict->slots[at] = entry;
}

/* All slots free, values kept: they are put back. */
static tl_status use_slots(tl_dict *dict, size_t slot_count, tl_error *err) {
  if (slot_count > dict->slots_max) {
    uint64_t *values = tl_realloc_array(dict->values, slot_count / 2, sizeof *values);
    if (!values) return tl_fail(err, TL_ENOMEM, "cannot grow a dictionary to %zu values", slot_count / 2);
    dict->values = values;
    uint32_t *slots = tl_realloc_array(dict->slots, slot_count, sizeof *slots);
    if (!slots) return tl_fail(err, TL_ENOMEM, "cannot grow a dictionary to %zu values", slot_count / 2);
    dict->slots = slots;
    dict->slots_max = slot_count;
  }
  dict->slot_count = slot_count;
  memset(dict->slots, 0, slot_count * sizeof *dict->slots);
  for (uint32_t i = 0; i < dict->count; i++) put_slot(dict, dict->values[i], i + 1);
  return TL_OK;
}

/* Values [begin, end); stops with *at < end when the slots are half full. */
static void index_values(tl_dict *dict, const char *values, size_t *at, size_t end, uint32_t *index) {
  const unsigned shift = shift_for(dict->slot_count);
  const size_t mask = dict->slot_count - 1;
  const uint32_t count_max = (uint32_t)(dict->slot_count / 2);
  uint32_t *slots = dict->slots;
  uint64_t *known = dict->values;
  uint32_t count = dict->count;
  size_t i = *at;
  for (; i < end && count < count_max; i++) {
    uint64_t bits;
    memcpy(&bits, values + i * sizeof bits, sizeof bits);
    size_t slot = slot_start(bits, shift);
    uint32_t entry;
    while ((entry = slots[slot]) && known[entry - 1] != bits) slot = (slot + 1) & mask;
    if (!entry) {
      known[count] = bits;
      slots[slot] = entry = ++count;
    }
    index[i] = entry - 1;
  }
  dict->count = count;
  *at = i;
}

tl_status tl_dict_build(tl_dict *dict, const void *values, size_t count, size_t distinct_max, uint32_t *index, bool *fits,
                        tl_error *err) {
  dict->count = 0;
  tl_status st = use_slots(dict, SLOTS_MIN, err);
  *fits = true;
  for (size_t at = 0; !st && at < count;) {
    size_t end = at < SAMPLE && count > SAMPLE ? SAMPLE : count;
    index_values(dict, values, &at, end, index);
    *fits = dict->count <= distinct_max && !(at == SAMPLE && count > SAMPLE && dict->count > SAMPLE * 7 / 8);
    if (!*fits) return TL_OK;
    if (at < end) st = use_slots(dict, dict->slot_count * 4, err);
  }
  return st;
}

void tl_text_dict_deinit(tl_text_dict *dict) {
  tl_free(dict->texts);
  tl_free(dict->slots);
  *dict = (tl_text_dict){0};
}

static size_t text_slot(const tl_text_dict *dict, tl_text text) {
  size_t at = (size_t)XXH3_64bits(text.data, text.len) & (dict->slot_count - 1);
  while (dict->slots[at] && !tl_text_equal(dict->texts[dict->slots[at] - 1], text)) at = (at + 1) & (dict->slot_count - 1);
  return at;
}

static tl_status resize_texts(tl_text_dict *dict, size_t slot_count, tl_error *err) {
  tl_text *texts = tl_realloc_array(dict->texts, slot_count / 2, sizeof *texts);
  if (!texts) return tl_fail(err, TL_ENOMEM, "cannot grow a dictionary to %zu texts", slot_count / 2);
  dict->texts = texts;
  uint32_t *slots = tl_realloc_array(dict->slots, slot_count, sizeof *slots);
  if (!slots) return tl_fail(err, TL_ENOMEM, "cannot grow a dictionary to %zu texts", slot_count / 2);
  dict->slots = slots;
  dict->slot_count = slot_count;
  memset(slots, 0, slot_count * sizeof *slots);
  for (uint32_t i = 0; i < dict->count; i++) slots[text_slot(dict, texts[i])] = i + 1;
  return TL_OK;
}

tl_status tl_text_dict_clear(tl_text_dict *dict, tl_error *err) {
  dict->count = 0;
  dict->bytes = 0;
  return resize_texts(dict, 64, err);
}

tl_status tl_text_dict_add(tl_text_dict *dict, tl_text text, uint32_t *index, tl_error *err) {
  size_t slot = text_slot(dict, text);
  if (!dict->slots[slot]) {
    if (dict->count == dict->slot_count / 2) {
      tl_status st = resize_texts(dict, dict->slot_count * 2, err);
      if (st) return st;
      slot = text_slot(dict, text);
    }
    dict->texts[dict->count] = text;
    dict->bytes += text.len;
    dict->slots[slot] = ++dict->count;
  }
  *index = dict->slots[slot] - 1;
  return TL_OK;
}
