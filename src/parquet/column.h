/* column.h - one column of one row group: values to levels, encoding and pages.
 *
 * Chooses the encoding by what the values are: times and counts by differences, prices, sizes and texts by a dictionary
 * when that is smaller, else plain. The choice depends on the values alone, so equal rows give equal bytes. Scratch
 * memory grows to one row group's column and is reused. Not here: the file around it (writer.c), compression (pages.c). */
#ifndef TL_PARQUET_COLUMN_H
#define TL_PARQUET_COLUMN_H
#include "batch/batch.h"
#include "parquet/dict.h"
#include "parquet/pages.h"

typedef struct tl_encoder {
  tl_pages *pages;
  const tl_words *words;
  const char *symbol;
  tl_dict dict;
  tl_text_dict texts;
  tl_buf numbers;       /* 8-byte values: converted or without the NULL ones */
  tl_buf index;         /* uint32_t each: where in the dictionary */
  tl_buf def, rep;      /* uint8_t levels */
  tl_buf items, spans;  /* lists met so far: indices of their items; (offset, count) of each list */
  tl_buf codes;         /* uint32_t by word code: 1 + what the code stands for, 0 when not met yet */
  tl_buf met;           /* word codes to set back to 0 */
} tl_encoder;

void tl_encoder_deinit(tl_encoder *encoder);
/* Writes rows [begin, end), at least one, of leaf's column. */
tl_status tl_encoder_put(tl_encoder *encoder, const tl_leaf *leaf, const tl_batch *batch, size_t begin, size_t end,
                         tl_chunk *chunk, tl_error *err);
#endif
