/* checksum.c - XXH3-128 in pieces; see checksum.h. */
#define XXH_STATIC_LINKING_ONLY /* the size of the state, so that our allocator can hold it */
#include "base/checksum.h"

#include <fcntl.h>
#include <stdio.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/io.h"

enum { BLOCK_BYTES = 1 << 20, ALIGNMENT = 64 };

struct tl_checksum { /* the state wants 64-byte alignment, which tl_alloc does not promise: room to move it */
  XXH3_state_t *state;
  char room[sizeof(XXH3_state_t) + ALIGNMENT];
};

tl_checksum *tl_checksum_open(void) {
  tl_checksum *sum = tl_calloc(1, sizeof *sum);
  if (!sum) return NULL;
  uintptr_t at = ((uintptr_t)sum->room + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  sum->state = (XXH3_state_t *)at;
  XXH3_128bits_reset(sum->state);
  return sum;
}

void tl_checksum_add(tl_checksum *sum, const void *data, size_t len) {
  if (len) XXH3_128bits_update(sum->state, data, len);
}

void tl_checksum_text(const tl_checksum *sum, char out[TL_CHECKSUM_TEXT_MAX]) {
  XXH128_hash_t hash = XXH3_128bits_digest(sum->state);
  snprintf(out, TL_CHECKSUM_TEXT_MAX, "%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}

void tl_checksum_close(tl_checksum *sum) { tl_free(sum); }

tl_status tl_checksum_file(const char *path, char out[TL_CHECKSUM_TEXT_MAX], int64_t *bytes, tl_error *err) {
  int fd = -1;
  tl_checksum *sum = NULL;
  char *block = NULL;
  int64_t at = 0;
  tl_status st = tl_io_open(path, O_RDONLY, 0, &fd, err);
  if (st) return st;
  sum = tl_checksum_open();
  block = tl_alloc(BLOCK_BYTES);
  if (!sum || !block) st = tl_fail(err, TL_ENOMEM, "cannot read '%s'", path);
  for (size_t got = BLOCK_BYTES; !st && got == BLOCK_BYTES; at += (int64_t)got) {
    st = tl_io_pread(fd, path, block, BLOCK_BYTES, at, &got, err);
    if (!st) tl_checksum_add(sum, block, got);
  }
  if (!st) {
    tl_checksum_text(sum, out);
    *bytes = at;
  }
  tl_free(block);
  tl_checksum_close(sum);
  tl_io_close(fd, path, NULL);
  return st;
}
