/* arrow.h - the Arrow C data and stream interfaces, as published by Apache Arrow (their layout never changes).
 * Guarded with Arrow's own macros, so a program may include pyarrow's, DuckDB's or nanoarrow's copies too, in any order.
 * A struct whose release is NULL is empty. Whoever holds a struct calls release once when done with it. */
#ifndef TICKLAKE_ARROW_H
#define TICKLAKE_ARROW_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
  const char *format; /* the type in Arrow's letters: "l" is int64, "g" double, "u" UTF-8, "tsu:UTC" an instant in us */
  const char *name;
  const char *metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema **children;
  struct ArrowSchema *dictionary;
  void (*release)(struct ArrowSchema *);
  void *private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void **buffers;
  struct ArrowArray **children;
  struct ArrowArray *dictionary;
  void (*release)(struct ArrowArray *);
  void *private_data;
};

#endif /* ARROW_C_DATA_INTERFACE */

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out); /* 0, else an errno value */
  int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);    /* out->release is NULL at the end */
  const char *(*get_last_error)(struct ArrowArrayStream *);              /* valid until the next call; may be NULL */
  void (*release)(struct ArrowArrayStream *);
  void *private_data;
};

#endif /* ARROW_C_STREAM_INTERFACE */

#ifdef __cplusplus
}
#endif
#endif
