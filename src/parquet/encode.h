/* encode.h - Parquet's two integer encodings, as pure functions from arrays to bytes.
 *
 * Hybrid: runs of equal values as (count, value), the rest bit-packed; used for levels and dictionary indices.
 * Delta: DELTA_BINARY_PACKED with blocks of 128 in 4 miniblocks; used for times and counts. Differences wrap, so any
 * 64-bit values are right. Both write at most *_bytes_max bytes and may touch all of them (wide stores), return
 * the bytes used, and cannot fail. Cost: about 1 ns a value. Not here: pages, compression, dictionaries. */
#ifndef TL_PARQUET_ENCODE_H
#define TL_PARQUET_ENCODE_H
#include <stddef.h>
#include <stdint.h>

unsigned tl_bit_width(uint64_t value); /* bits needed; 0 for 0 */

size_t tl_hybrid_bytes_max(size_t count, unsigned width);
size_t tl_hybrid_encode(const uint32_t *values, size_t count, unsigned width, uint8_t *out); /* width 1..32 */
size_t tl_levels_encode(const uint8_t *levels, size_t count, unsigned width, uint8_t *out);  /* width 1..2 */
size_t tl_run_encode(size_t count, uint32_t value, unsigned width, uint8_t *out);            /* one value, count times */

size_t tl_delta_bytes_max(size_t count);
size_t tl_delta_encode(const int64_t *values, size_t count, uint8_t *out);
#endif
