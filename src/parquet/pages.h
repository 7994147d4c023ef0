/* pages.h - page bodies in, compressed pages with headers out to the sink.
 *
 * Holds at most about 256 KiB and one page of bytes not yet sent. Page bodies are built by the caller in `body`.
 * Equal bodies give equal bytes. Cost: zstd. Not here: what is in a body (column.c). */
#ifndef TL_PARQUET_PAGES_H
#define TL_PARQUET_PAGES_H
#include "base/buf.h"
#include "parquet/footer.h"

typedef struct tl_pages {
  tl_status (*sink)(void *to, const void *data, size_t len, tl_error *err);
  void *to;
  struct ZSTD_CCtx_s *zstd;
  int level;
  tl_buf body; /* the page being built: scratch of the caller, taken by tl_pages_add_* */
  tl_buf header;
  tl_buf out;  /* bytes of the file not yet sent */
  int64_t sent_bytes;
} tl_pages;

tl_status tl_pages_init(tl_pages *pages, tl_error *err); /* of {0}; sink, to and level are the caller's to set */
void tl_pages_deinit(tl_pages *pages);
int64_t tl_pages_offset(const tl_pages *pages);                 /* where the next byte of the file goes */
tl_status tl_pages_send(tl_pages *pages, tl_error *err);        /* all of it */
tl_status tl_pages_try(tl_pages *pages, size_t *compressed, tl_error *err); /* how long the body gets; drops it */
tl_status tl_pages_add_dictionary(tl_pages *pages, tl_chunk *chunk, size_t values, tl_error *err);
tl_status tl_pages_add_data(tl_pages *pages, tl_chunk *chunk, size_t entries, tl_error *err);
#endif
