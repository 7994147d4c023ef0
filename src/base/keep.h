/* keep.h - memory for secrets: never in a core dump, out of swap where the system allows it, wiped when given back.
 * Each block has pages of its own, so it is meant for a handful of keys, not for data. Counts as a block of tl_alloc. */
#ifndef TL_BASE_KEEP_H
#define TL_BASE_KEEP_H
#include <stddef.h>

typedef struct tl_keep tl_keep;

tl_keep *tl_keep_open(size_t size_bytes);           /* zeroed; NULL when memory ran out */
tl_keep *tl_keep_text(const char *text, size_t len); /* a copy with a NUL */
char *tl_keep_data(tl_keep *keep);                  /* NULL for NULL */
size_t tl_keep_size(const tl_keep *keep);
void tl_keep_close(tl_keep *keep);                  /* NULL is fine */
#endif
