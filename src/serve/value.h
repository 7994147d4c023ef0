/* value.h - Arrow batches as text, value by value, for any type a query can give. Private to serve/.
 * Text of a value: integers and decimals exact; doubles the fewest digits that read back the same; instants RFC 3339,
 * in the style's zone when they have one, else as they are; lists, structs and maps as JSON; bytes in hex. */
#ifndef TL_SERVE_VALUE_H
#define TL_SERVE_VALUE_H
#include <nanoarrow/nanoarrow.h>

#include "serve/serve.h"

typedef struct tl_value_style {
  const tl_zone *zone;
  int time_digits;
} tl_value_style;

typedef struct tl_field { /* a type, understood once */
  struct ArrowSchemaView type;
  struct tl_field *children; /* of lists, structs, maps; one for what a dictionary's codes mean */
  size_t child_count;
} tl_field;

/* An open stream, one batch at a time. */
typedef struct tl_batches {
  struct ArrowArrayStream *stream;
  struct ArrowSchema schema;
  struct ArrowArray array;
  struct ArrowArrayView view; /* of the batch */
  tl_field row;               /* a struct: one child per column */
} tl_batches;

tl_status tl_batches_open(tl_batches *batches, struct ArrowArrayStream *stream, tl_error *err); /* *batches is {0} */
tl_status tl_batches_next(tl_batches *batches, bool *more, tl_error *err); /* TL_ESQL with the query's own words */
void tl_batches_close(tl_batches *batches);                               /* not the stream */

static inline const char *tl_batches_name(const tl_batches *b, size_t column) { return b->schema.children[column]->name; }
bool tl_field_is_number(const tl_field *field);

/* Appends the value; as JSON text is quoted and NaN null. A NULL is "null" in JSON; else the caller asks before. */
bool tl_value_is_null(const struct ArrowArrayView *view, int64_t row);
tl_status tl_value_append(const tl_value_style *style, const tl_field *field, const struct ArrowArrayView *view, int64_t row,
                          bool json, tl_buf *out, tl_error *err);
#endif
