/* words.c - intern pool: open addressing under a lock, texts in blocks that never move. */
#include "batch/words.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"

enum { BLOCK_WORDS = 1024, BLOCKS_MAX = TL_WORDS_MAX / BLOCK_WORDS, SLOTS_MIN = 256 };

struct tl_words {
  pthread_mutex_t lock;
  _Atomic(tl_text *) blocks[BLOCKS_MAX];
  atomic_uint count;
  uint32_t *slots; /* code + 1, 0 is free */
  size_t slot_count;
};

tl_status tl_words_open(tl_words **out, tl_error *err) {
  tl_words *words = tl_calloc(1, sizeof *words);
  if (words) words->slots = tl_calloc(SLOTS_MIN, sizeof *words->slots);
  if (!words || !words->slots) {
    tl_free(words);
    return tl_fail(err, TL_ENOMEM, "cannot make a word pool");
  }
  words->slot_count = SLOTS_MIN;
  pthread_mutex_init(&words->lock, NULL);
  *out = words;
  return TL_OK;
}

void tl_words_close(tl_words *words) {
  if (!words) return;
  uint32_t count = tl_words_count(words);
  for (uint32_t code = 0; code < count; code++) tl_free((void *)(uintptr_t)tl_words_text(words, code).data);
  for (size_t i = 0; i < BLOCKS_MAX; i++) tl_free(atomic_load(&words->blocks[i]));
  tl_free(words->slots);
  pthread_mutex_destroy(&words->lock);
  tl_free(words);
}

uint32_t tl_words_count(const tl_words *words) { return atomic_load_explicit(&words->count, memory_order_acquire); }

tl_text tl_words_text(const tl_words *words, uint32_t code) {
  return atomic_load_explicit(&words->blocks[code / BLOCK_WORDS], memory_order_acquire)[code % BLOCK_WORDS];
}

static size_t slot_of(const uint32_t *slots, size_t slot_count, const tl_words *words, const char *data, size_t len) {
  size_t at = (size_t)XXH3_64bits(data, len) & (slot_count - 1);
  while (slots[at] && !tl_text_equal(tl_words_text(words, slots[at] - 1), tl_text_of(data, len)))
    at = (at + 1) & (slot_count - 1);
  return at;
}

static tl_status grow(tl_words *words, tl_error *err) {
  size_t slot_count = words->slot_count * 2;
  uint32_t *slots = tl_calloc(slot_count, sizeof *slots);
  if (!slots) return tl_fail(err, TL_ENOMEM, "cannot grow a word pool");
  uint32_t count = tl_words_count(words);
  for (uint32_t code = 0; code < count; code++) {
    tl_text text = tl_words_text(words, code);
    slots[slot_of(slots, slot_count, words, text.data, text.len)] = code + 1;
  }
  tl_free(words->slots);
  words->slots = slots;
  words->slot_count = slot_count;
  return TL_OK;
}

static tl_status add(tl_words *words, const char *data, size_t len, uint32_t *code, tl_error *err) {
  uint32_t next = tl_words_count(words);
  if (next == TL_WORDS_MAX) return tl_fail(err, TL_ELIMIT, "more than %d different short texts", TL_WORDS_MAX);
  if ((size_t)next * 2 >= words->slot_count) {
    tl_status st = grow(words, err);
    if (st) return st;
  }
  if (!atomic_load(&words->blocks[next / BLOCK_WORDS])) {
    tl_text *block = tl_calloc(BLOCK_WORDS, sizeof *block);
    if (!block) return tl_fail(err, TL_ENOMEM, "cannot grow a word pool");
    atomic_store_explicit(&words->blocks[next / BLOCK_WORDS], block, memory_order_release);
  }
  char *copy = tl_strndup(data, len);
  if (!copy) return tl_fail(err, TL_ENOMEM, "cannot keep a word of %zu bytes", len);
  atomic_load(&words->blocks[next / BLOCK_WORDS])[next % BLOCK_WORDS] = tl_text_of(copy, len);
  words->slots[slot_of(words->slots, words->slot_count, words, data, len)] = next + 1;
  atomic_store_explicit(&words->count, next + 1, memory_order_release);
  *code = next;
  return TL_OK;
}

tl_status tl_words_intern(tl_words *words, const char *data, size_t len, uint32_t *code, tl_error *err) {
  pthread_mutex_lock(&words->lock);
  tl_status st = TL_OK;
  uint32_t found = words->slots[slot_of(words->slots, words->slot_count, words, data, len)];
  if (found) *code = found - 1;
  else st = add(words, data, len, code, err);
  pthread_mutex_unlock(&words->lock);
  return st;
}

tl_status tl_words_list_add(tl_buf *list, const char *item, size_t len, tl_error *err) {
  if (len > TL_WORD_BYTES_MAX) return tl_fail(err, TL_ELIMIT, "a list item of %zu bytes is too long", len);
  char length = (char)(unsigned char)len;
  tl_status st = tl_buf_append(list, &length, 1, err);
  return st ? st : tl_buf_append(list, item, len, err);
}

bool tl_words_list_next(tl_text *list, tl_text *item) {
  if (!list->len) return false;
  size_t len = (unsigned char)list->data[0];
  if (len + 1 > list->len) return false;
  *item = tl_text_of(list->data + 1, len);
  *list = tl_text_of(list->data + 1 + len, list->len - 1 - len);
  return true;
}
