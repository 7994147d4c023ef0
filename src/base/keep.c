/* keep.c - anonymous pages, locked and left out of dumps as far as the system lets us. */
#include "base/keep.h"

#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/fault.h"

struct tl_keep {
  char *data;
  size_t size_bytes;
};

tl_keep *tl_keep_open(size_t size_bytes) {
  if (!size_bytes) size_bytes = 1;
  tl_keep *keep = tl_alloc(sizeof *keep);
  if (!keep) return NULL;
  void *pages = tl_fault_hit(TL_SEAM_ALLOC) ? MAP_FAILED
                                            : mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) {
    tl_free(keep);
    return NULL;
  }
  madvise(pages, size_bytes, MADV_DONTDUMP);
  mlock(pages, size_bytes); /* a low RLIMIT_MEMLOCK refuses this: the secret works all the same */
  *keep = (tl_keep){pages, size_bytes};
  return keep;
}

tl_keep *tl_keep_text(const char *text, size_t len) {
  tl_keep *keep = tl_keep_open(len + 1);
  if (keep && len) memcpy(keep->data, text, len);
  return keep;
}

char *tl_keep_data(tl_keep *keep) { return keep ? keep->data : NULL; }

size_t tl_keep_size(const tl_keep *keep) { return keep ? keep->size_bytes : 0; }

void tl_keep_close(tl_keep *keep) {
  if (!keep) return;
  explicit_bzero(keep->data, keep->size_bytes);
  munmap(keep->data, keep->size_bytes);
  tl_free(keep);
}
