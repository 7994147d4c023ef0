/* write.h - append JSON to a tl_buf.
 * A failure (memory only) sticks: later calls do nothing and tl_json_writer_end returns it. Keys and strings are
 * escaped, bytes that are not UTF-8 become U+FFFD; doubles have the fewest digits that read back the same, NaN and
 * infinities are null. `key` is NULL in an array and at the top. Misuse (a key in an array) is our bug: assert.
 *   tl_json_writer w = tl_json_writer_of(&buf, err);
 *   tl_json_put_object(&w, NULL); tl_json_put_i64(&w, "rows", 3); tl_json_put_close(&w);
 *   return tl_json_writer_end(&w); */
#ifndef TL_JSON_WRITE_H
#define TL_JSON_WRITE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "json/read.h"

typedef struct tl_json_writer {
  tl_buf *buf;
  tl_error *err;
  tl_status status;
  unsigned depth;      /* at most 63 */
  uint64_t arrays;     /* bit d: level d is an array */
  bool comma;          /* a value stands before */
} tl_json_writer;

tl_json_writer tl_json_writer_of(tl_buf *buf, tl_error *err);
void tl_json_put_object(tl_json_writer *w, const char *key);
void tl_json_put_array(tl_json_writer *w, const char *key);
void tl_json_put_close(tl_json_writer *w); /* of the innermost object or array */
void tl_json_put_string(tl_json_writer *w, const char *key, const char *text); /* NULL text is null */
void tl_json_put_bytes(tl_json_writer *w, const char *key, const char *data, size_t len);
void tl_json_put_i64(tl_json_writer *w, const char *key, int64_t value);
void tl_json_put_f64(tl_json_writer *w, const char *key, double value);
void tl_json_put_bool(tl_json_writer *w, const char *key, bool value);
void tl_json_put_null(tl_json_writer *w, const char *key);
void tl_json_put_raw(tl_json_writer *w, const char *key, const char *text, size_t len); /* one JSON value as it is */
/* A value that was read, as it is: numbers keep their digits. TL_ELIMIT when it would nest deeper than a writer can. */
void tl_json_put_value(tl_json_writer *w, const char *key, const tl_json_value *value);
tl_status tl_json_writer_end(tl_json_writer *w); /* everything must be closed */

/* The same digits elsewhere (tables, CSV): shortest text that reads back as the value; "nan", "inf", "-inf" are NOT
 * given: returns 0 for them. */
#define TL_F64_TEXT_MAX 40
size_t tl_f64_format(double value, char out[TL_F64_TEXT_MAX]);
#endif
