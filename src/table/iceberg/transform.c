/* transform.c - partition transforms: their names, and the type their values have; see types.h. */
#include <stdio.h>
#include <string.h>

#include "market/number.h"
#include "table/iceberg/types.h"

static bool is_time(tl_field_type type) { return type == TL_FIELD_TIMESTAMP || type == TL_FIELD_TIMESTAMP_NTZ; }

/* What the engine's bucket functions take: a partition our writer could not fill is none we know. */
static bool can_hash(const tl_field *type) {
  return type->type == TL_FIELD_I32 || type->type == TL_FIELD_I64 || type->type == TL_FIELD_DATE || is_time(type->type) ||
         type->type == TL_FIELD_STRING;
}

tl_field tl_iceberg_result(const tl_partition_field *field, const tl_field *source) {
  tl_field out = {.type = TL_FIELD_OTHER, .nullable = true};
  bool dated = source && (is_time(source->type) || source->type == TL_FIELD_DATE);
  if (!source) return out;
  switch (field->transform) {
    case TL_TRANSFORM_IDENTITY:
      if (source->type == TL_FIELD_LIST || source->type == TL_FIELD_BINARY) return out;
      if (source->type == TL_FIELD_DECIMAL && source->precision > 18) return out;
      out.type = source->type;
      out.precision = source->precision;
      out.scale = source->scale;
      return out;
    case TL_TRANSFORM_YEAR:
    case TL_TRANSFORM_MONTH: out.type = dated ? TL_FIELD_I32 : TL_FIELD_OTHER; return out;
    case TL_TRANSFORM_DAY: out.type = dated ? TL_FIELD_DATE : TL_FIELD_OTHER; return out;
    case TL_TRANSFORM_BUCKET: out.type = can_hash(source) && field->buckets > 0 ? TL_FIELD_I32 : TL_FIELD_OTHER; return out;
    case TL_TRANSFORM_OTHER: return out;
  }
  return out;
}

const char *tl_iceberg_transform_name(const tl_partition_field *field, char out[32]) {
  switch (field->transform) {
    case TL_TRANSFORM_IDENTITY: return "identity";
    case TL_TRANSFORM_YEAR: return "year";
    case TL_TRANSFORM_MONTH: return "month";
    case TL_TRANSFORM_DAY: return "day";
    case TL_TRANSFORM_BUCKET: snprintf(out, 32, "bucket[%d]", field->buckets); return out;
    case TL_TRANSFORM_OTHER: break;
  }
  return "void";
}

bool tl_iceberg_transform_parse(tl_text name, tl_partition_field *out) {
  int64_t buckets = 0;
  out->buckets = 0;
  if (tl_text_is(name, "identity")) out->transform = TL_TRANSFORM_IDENTITY;
  else if (tl_text_is(name, "year")) out->transform = TL_TRANSFORM_YEAR;
  else if (tl_text_is(name, "month")) out->transform = TL_TRANSFORM_MONTH;
  else if (tl_text_is(name, "day")) out->transform = TL_TRANSFORM_DAY;
  else if (name.len > 8 && !memcmp(name.data, "bucket[", 7) && name.data[name.len - 1] == ']' &&
           !tl_number_i64(name.data + 7, name.len - 8, &buckets) && buckets > 0 && buckets <= INT32_MAX) {
    out->transform = TL_TRANSFORM_BUCKET;
    out->buckets = (int)buckets;
  } else {
    out->transform = TL_TRANSFORM_OTHER;
  }
  return out->transform != TL_TRANSFORM_OTHER;
}
