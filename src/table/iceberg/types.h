/* types.h - Iceberg's types and single values: schema JSON, bounds, partition values.
 *
 * A scalar type is a tl_field of which type, precision and scale count. Callers may rely on: bytes of a bound are the
 * specification's (Appendix D) and nothing that would be unsound is written (a NaN; a zero keeps the sign that is safe);
 * what cannot be read back exactly as this type is refused, never guessed. Pure; memory only for texts.
 * Not here: computing a partition from a column (engine/), Avro (avro.h), where schemas stand in the metadata (metadata.h). */
#ifndef TL_TABLE_ICEBERG_TYPES_H
#define TL_TABLE_ICEBERG_TYPES_H
#include "json/read.h"
#include "json/write.h"
#include "table/snapshot.h"

/* ---- schema ---- */

/* {"type":"struct","fields":[...]}; last_id is the greatest id. TL_ECORRUPT. A type of no scalar of ours is OTHER. */
tl_status tl_iceberg_fields_parse(const tl_json_value *schema, tl_fields *out, tl_error *err);
/* The member "type" of a field. */
void tl_iceberg_put_type(tl_json_writer *w, const tl_field *field);
/* One field object, its id as it is. */
void tl_iceberg_put_field(tl_json_writer *w, const tl_field *field);
/* TL_EUSAGE naming the first column whose type Iceberg has not, or names that differ in nothing but case. */
tl_status tl_iceberg_fields_check(const tl_fields *fields, tl_error *err);
/* May a column of type `from` become `to`: the same, or a promotion of the specification? */
bool tl_iceberg_promotes(const tl_field *from, const tl_field *to);
/* The scalar that statistics are about: the field itself, or a list's element. */
tl_field tl_iceberg_leaf(const tl_field *field, int *id);

/* ---- bounds ---- */

/* Appends the bytes; *have false and nothing appended when the value makes no sound bound. Strings over 256 bytes are cut to 16
 * code points; an upper one is then raised. */
tl_status tl_iceberg_bound_encode(const tl_field *type, const tl_datum *value, bool upper, tl_buf *out, bool *have, tl_error *err);
/* False: not bytes of this type, or a NaN. The text of *out is on the heap; when memory ran out *memory is set. */
bool tl_iceberg_bound_decode(const tl_field *type, tl_text bytes, tl_datum *out, bool *memory);

/* ---- partition values ---- */

typedef struct tl_iceberg_value { /* by the type: i64, f64 or text; decimals i64 */
  bool null;
  int64_t i64;
  double f64;
  tl_text text;
} tl_iceberg_value;

/* The type of the values of a partition field; type OTHER where this engine cannot read or write them. */
tl_field tl_iceberg_result(const tl_partition_field *field, const tl_field *source);
const char *tl_iceberg_transform_name(const tl_partition_field *field, char out[32]); /* "bucket[16]" */
bool tl_iceberg_transform_parse(tl_text name, tl_partition_field *out);               /* fills transform and buckets; false: OTHER */

/* snapshot.h says what the texts look like. */
tl_status tl_iceberg_value_text(const tl_field *result, tl_transform transform, const tl_iceberg_value *value, tl_buf *out, tl_error *err);
/* text NULL is null. Text values view `text`. TL_EUSAGE when it is none of this type. */
tl_status tl_iceberg_value_parse(const tl_field *result, tl_transform transform, const char *text, tl_iceberg_value *out, tl_error *err);
/* Order within the type, nulls last; NaN above all. */
int tl_iceberg_value_compare(const tl_field *result, const tl_iceberg_value *a, const tl_iceberg_value *b);
/* As a bound of a manifest's summary. */
tl_status tl_iceberg_value_bound(const tl_field *result, const tl_iceberg_value *value, bool upper, tl_buf *out, bool *have, tl_error *err);
#endif
