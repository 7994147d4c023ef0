/* text.c - chunks of NUL-terminated strings. */
#include "ledger/text.h"

#include <string.h>

#include "base/alloc.h"

enum { CHUNK_BYTES = 4096 };

struct tl_ledger_text { /* newest chunk first */
  tl_ledger_text *next;
  size_t used_bytes, bytes_max;
  char data[];
};

static tl_ledger_text *add_chunk(tl_ledger_text **pool, size_t need_bytes) {
  size_t bytes = need_bytes > CHUNK_BYTES ? need_bytes : CHUNK_BYTES;
  tl_ledger_text *chunk = tl_alloc(sizeof *chunk + bytes);
  if (!chunk) return NULL;
  *chunk = (tl_ledger_text){.next = *pool, .bytes_max = bytes};
  *pool = chunk;
  return chunk;
}

tl_status tl_ledger_text_add(tl_ledger_text **pool, const char *text, const char *before, const char **out,
                             tl_error *err) {
  if (!text || !*text) {
    *out = "";
    return TL_OK;
  }
  if (before && !strcmp(before, text)) {
    *out = before;
    return TL_OK;
  }
  size_t need_bytes = strlen(text) + 1;
  tl_ledger_text *chunk = *pool;
  if (!chunk || chunk->bytes_max - chunk->used_bytes < need_bytes) chunk = add_chunk(pool, need_bytes);
  if (!chunk) return tl_fail(err, TL_ENOMEM, "out of memory for the ledger's answer");
  memcpy(chunk->data + chunk->used_bytes, text, need_bytes);
  *out = chunk->data + chunk->used_bytes;
  chunk->used_bytes += need_bytes;
  return TL_OK;
}

void tl_ledger_text_deinit(tl_ledger_text **pool) {
  while (*pool) {
    tl_ledger_text *next = (*pool)->next;
    tl_free(*pool);
    *pool = next;
  }
}
