/* inflate.h - whole gzip bodies to text, by libdeflate.
 *
 * Callers may rely on: output is either exactly what was compressed (CRC and length checked, of every member) or an
 * error; bytes after the last member are an error; output never exceeds the limit, and memory is never taken on the
 * word of the stream alone. Keep one tl_inflate per thread. Cost: one pass where the length hint is right (it is,
 * except over 4 GiB and for more than one member), else at most twice as much. */
#ifndef TL_NET_INFLATE_H
#define TL_NET_INFLATE_H
#include "base/buf.h"
#include "base/status.h"

typedef struct tl_inflate tl_inflate;

tl_status tl_inflate_open(tl_inflate **out, tl_error *err);
void tl_inflate_close(tl_inflate *inflate); /* NULL is fine */

/* Replaces the content of `text` (memory reused, NUL after the end). TL_ENET: not a whole, sound gzip stream;
 * TL_ELIMIT: more than bytes_max come out; TL_ENOMEM. On failure text is empty. */
tl_status tl_inflate_gzip(tl_inflate *inflate, const void *data, size_t len, size_t bytes_max, tl_buf *text, tl_error *err);
#endif
