/* alloc.c - counted allocation with a fault seam. */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

static atomic_int_fast64_t live_blocks;

void *tl_alloc(size_t size_bytes) {
  if (tl_fault_hit(TL_SEAM_ALLOC)) return NULL;
  void *block = malloc(size_bytes ? size_bytes : 1);
  if (block) atomic_fetch_add_explicit(&live_blocks, 1, memory_order_relaxed);
  return block;
}

void *tl_calloc(size_t count, size_t size_bytes) {
  if (tl_fault_hit(TL_SEAM_ALLOC)) return NULL;
  void *block = calloc(count ? count : 1, size_bytes ? size_bytes : 1);
  if (block) atomic_fetch_add_explicit(&live_blocks, 1, memory_order_relaxed);
  return block;
}

void *tl_realloc(void *block, size_t size_bytes) {
  if (!block) return tl_alloc(size_bytes);
  if (tl_fault_hit(TL_SEAM_ALLOC)) return NULL;
  return realloc(block, size_bytes ? size_bytes : 1);
}

void *tl_realloc_array(void *block, size_t count, size_t size_bytes) {
  size_t total = 0;
  if (__builtin_mul_overflow(count, size_bytes, &total)) return NULL;
  return tl_realloc(block, total);
}

void tl_free(void *block) {
  if (!block) return;
  atomic_fetch_sub_explicit(&live_blocks, 1, memory_order_relaxed);
  free(block);
}

char *tl_strdup(const char *text) { return tl_strndup(text, strlen(text)); }

char *tl_strndup(const char *text, size_t len) {
  char *copy = tl_alloc(len + 1);
  if (!copy) return NULL;
  if (len) memcpy(copy, text, len);
  copy[len] = 0;
  return copy;
}

int64_t tl_alloc_live(void) { return atomic_load_explicit(&live_blocks, memory_order_relaxed); }
