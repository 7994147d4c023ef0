/* avro.h - Avro object container files: read by the schema they carry, written by one of ours.
 *
 * Reading: the file's own schema becomes a tree of nodes; a cursor walks one object after the other, and the caller takes
 * or skips field by field, so foreign field orders, extra fields and unions come out right. Callers may rely on:
 * - no byte of the file is trusted: lengths, counts, branches, nesting and the work of skipping are bounded; what breaks
 *   the format is TL_ECORRUPT naming the file, never a crash. Codecs: null, deflate; another one is TL_EUSAGE by name;
 * - a failed take sticks in the cursor: callers need not check each, tl_avro_next reports it;
 * - texts are views into the current block: gone with the next call of tl_avro_next.
 * Writing: failures stick; tl_avro_finish returns them. Cost: one pass; a block in memory, 256 MiB at most.
 * Not here: what manifests mean (manifest.h), schema resolution by default values, aliases. */
#ifndef TL_TABLE_ICEBERG_AVRO_H
#define TL_TABLE_ICEBERG_AVRO_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

typedef enum tl_avro_type {
  TL_AVRO_NULL,
  TL_AVRO_BOOLEAN,
  TL_AVRO_INT,
  TL_AVRO_LONG,
  TL_AVRO_FLOAT,
  TL_AVRO_DOUBLE,
  TL_AVRO_BYTES,
  TL_AVRO_STRING,
  TL_AVRO_FIXED,
  TL_AVRO_ENUM,
  TL_AVRO_ARRAY,
  TL_AVRO_MAP,
  TL_AVRO_UNION,
  TL_AVRO_RECORD
} tl_avro_type;

typedef struct tl_avro_node tl_avro_node;

typedef struct tl_avro_child { /* a record's field, a union's branch, an array's item, a map's value */
  const tl_avro_node *node;
  char *name; /* of a field, else NULL */
  int id;     /* field-id or element-id; -1: none */
} tl_avro_child;

struct tl_avro_node {
  tl_avro_type type;
  char *name; /* of a record, fixed or enum, else NULL */
  tl_avro_child *children;
  size_t count;
  size_t fixed_bytes;
};

/* ---- reading ---- */

typedef struct tl_avro_cursor {
  const uint8_t *p, *end;
  int64_t budget; /* nodes that may still be visited in this block: zero-size values must not cost endless time */
  bool failed;
} tl_avro_cursor;

typedef struct tl_avro_file tl_avro_file;

/* data and what (the file's name, for errors) are borrowed for the file's life. */
tl_status tl_avro_open(const char *what, const void *data, size_t len, tl_avro_file **out, tl_error *err);
void tl_avro_close(tl_avro_file *file); /* NULL is fine */
const tl_avro_node *tl_avro_root(const tl_avro_file *file);
bool tl_avro_meta(const tl_avro_file *file, const char *key, tl_text *out);

/* Goes to the next object; the one before must have been taken whole. *cursor NULL: there is no more. */
tl_status tl_avro_next(tl_avro_file *file, tl_avro_cursor **cursor, tl_error *err);

/* Plain values, as written: no union before them. */
int64_t tl_avro_long(tl_avro_cursor *c); /* int too */
tl_text tl_avro_bytes(tl_avro_cursor *c); /* string too */
tl_text tl_avro_fixed(tl_avro_cursor *c, size_t bytes);
/* Items in the next block of an array or map; 0 at its end. Take so many, then ask again. */
int64_t tl_avro_items(tl_avro_cursor *c);

/* Values by their node, a union is resolved first. False: null, or (then the cursor failed) of another type. */
bool tl_avro_take_i64(tl_avro_cursor *c, const tl_avro_node *node, int64_t *out);  /* boolean, int, long, enum */
bool tl_avro_take_f64(tl_avro_cursor *c, const tl_avro_node *node, double *out);   /* float, double */
bool tl_avro_take_text(tl_avro_cursor *c, const tl_avro_node *node, tl_text *out); /* bytes, string, fixed */
/* The node behind a union; a null node on failure. */
const tl_avro_node *tl_avro_branch(tl_avro_cursor *c, const tl_avro_node *node);
void tl_avro_skip(tl_avro_cursor *c, const tl_avro_node *node);
bool tl_avro_fail(tl_avro_cursor *c); /* marks it failed; returns false */

/* ---- writing ---- */

typedef struct tl_avro_pair { const char *key, *value; } tl_avro_pair;

typedef struct tl_avro_writer {
  tl_buf *out, block;
  int64_t objects; /* in the block */
  char sync[16];
  bool deflate;
  tl_status status;
  tl_error *err;
} tl_avro_writer;

/* Appends the header to out. `sync` is any 16 bytes. The codec is deflate or null. */
void tl_avro_begin(tl_avro_writer *w, tl_buf *out, const char *schema_json, const tl_avro_pair *meta, size_t meta_count,
                   const char sync[16], bool deflate, tl_error *err);
void tl_avro_put_long(tl_avro_writer *w, int64_t value); /* int, union branch, count, array or map end (0) */
void tl_avro_put_boolean(tl_avro_writer *w, bool value);
void tl_avro_put_float(tl_avro_writer *w, float value);
void tl_avro_put_double(tl_avro_writer *w, double value);
void tl_avro_put_bytes(tl_avro_writer *w, const void *data, size_t len); /* string too */
void tl_avro_put_fixed(tl_avro_writer *w, const void *data, size_t len);
void tl_avro_put_end(tl_avro_writer *w); /* an object is whole */
tl_status tl_avro_finish(tl_avro_writer *w); /* writes the last block; always call it: it frees */
/* zlib's memory by base/alloc.h. */
void *tl_avro_zlib_alloc(void *to, unsigned items, unsigned size);
void tl_avro_zlib_free(void *to, void *block);
#endif
