/* read.h - JSON documents of moderate size: errors, calendars, assets, corporate actions, plain reference decoding.
 * A thin wrapper over yyjson: strict JSON, UTF-8 checked, numbers kept as their text. A document is refused when it is
 * larger than the limit or nested deeper than TL_JSON_DEPTH_MAX; errors name the byte position. Values live as long
 * as their document. Of equal keys the first counts. Documents may be read by several threads.
 * Cost: memory up to about 20 times the text. Not here: the fast page decoders (provider/), writing (write.h). */
#ifndef TL_JSON_READ_H
#define TL_JSON_READ_H
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"

#define TL_JSON_DEPTH_MAX 64
#define TL_JSON_BYTES_MAX ((size_t)16 << 20) /* what bytes_max 0 means */

typedef struct tl_json tl_json;
typedef struct yyjson_val tl_json_value;
typedef enum tl_json_type {
  TL_JSON_NONE, /* of NULL: no such value */
  TL_JSON_NULL,
  TL_JSON_BOOL,
  TL_JSON_NUMBER,
  TL_JSON_STRING,
  TL_JSON_ARRAY,
  TL_JSON_OBJECT
} tl_json_type;

/* TL_EDECODE, TL_ELIMIT (size or depth), TL_ENOMEM. The text is copied. */
tl_status tl_json_open(const char *data, size_t len, size_t bytes_max, tl_json **out, tl_error *err);
void tl_json_close(tl_json *json); /* NULL is fine */
const tl_json_value *tl_json_root(const tl_json *json);

/* All take NULL as "no such value", so that look-ups chain. */
tl_json_type tl_json_type_of(const tl_json_value *value);
const tl_json_value *tl_json_get(const tl_json_value *object, const char *key); /* NULL when absent or no object */
size_t tl_json_count(const tl_json_value *value);                               /* of array or object, else 0 */
bool tl_json_string(const tl_json_value *value, tl_text *out);                  /* also NUL-terminated; may hold NUL */
bool tl_json_number(const tl_json_value *value, tl_text *out);                  /* the number's text: number.h */
bool tl_json_bool(const tl_json_value *value, bool *out);

/* Items of an array (key is empty) or members of an object, in order. */
typedef struct tl_json_iter {
  const tl_json_value *at;
  size_t left;
  bool is_object;
} tl_json_iter;
tl_json_iter tl_json_iter_of(const tl_json_value *value); /* nothing when it is neither */
bool tl_json_iter_next(tl_json_iter *iter, tl_text *key, const tl_json_value **value); /* key may be NULL */
#endif
