/* checksum.h - XXH3-128 of bytes as 32 hex digits: what the ledger keeps of a file. Not a defence against forgery.
 * The text is that of xxhsum -H2. Cost: about 10 GB/s. */
#ifndef TL_BASE_CHECKSUM_H
#define TL_BASE_CHECKSUM_H
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define TL_CHECKSUM_TEXT_MAX 33

typedef struct tl_checksum tl_checksum; /* of bytes that come in pieces */
tl_checksum *tl_checksum_open(void);    /* NULL when memory ran out */
void tl_checksum_add(tl_checksum *sum, const void *data, size_t len);
void tl_checksum_text(const tl_checksum *sum, char out[TL_CHECKSUM_TEXT_MAX]); /* of the bytes so far */
void tl_checksum_close(tl_checksum *sum);                                      /* NULL is fine */

tl_status tl_checksum_file(const char *path, char out[TL_CHECKSUM_TEXT_MAX], int64_t *bytes, tl_error *err);
#endif
