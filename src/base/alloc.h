/* alloc.h - the only malloc/realloc/free. Counts live blocks; every allocation is seam "alloc" (base/fault.h).
 * A block is aligned for any type. Thread-safe. tl_free(NULL) is fine. */
#ifndef TL_BASE_ALLOC_H
#define TL_BASE_ALLOC_H
#include <stddef.h>
#include <stdint.h>

void *tl_alloc(size_t size_bytes);                                     /* NULL when memory ran out; size 0 gives a block */
void *tl_calloc(size_t count, size_t size_bytes);                      /* zeroed; NULL also on overflow */
void *tl_realloc(void *block, size_t size_bytes);                      /* NULL leaves block as it was */
void *tl_realloc_array(void *block, size_t count, size_t size_bytes);  /* as tl_realloc; NULL also on overflow */
void tl_free(void *block);
char *tl_strdup(const char *text);
char *tl_strndup(const char *text, size_t len); /* exactly len bytes and a NUL */
int64_t tl_alloc_live(void);                    /* blocks handed out and not freed yet, over all threads */
#endif
