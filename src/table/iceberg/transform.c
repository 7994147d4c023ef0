/* transform.c - from a column's value to its partition: identity, year, month, day, bucket; see types.h. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "market/number.h"
#include "market/time.h"
#include "table/iceberg/types.h"

static const int64_t us_per_day = 86400 * INT64_C(1000000);

static bool is_time(tl_field_type type) { return type == TL_FIELD_TIMESTAMP || type == TL_FIELD_TIMESTAMP_NTZ; }

static bool can_hash(const tl_field *type) {
  return type->type == TL_FIELD_I32 || type->type == TL_FIELD_I64 || type->type == TL_FIELD_DATE || is_time(type->type) ||
         type->type == TL_FIELD_STRING || type->type == TL_FIELD_BINARY || (type->type == TL_FIELD_DECIMAL && type->precision <= 18);
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

/* ---- bucket ---- */

static uint32_t rotate(uint32_t x, int by) { return x << by | x >> (32 - by); }

static uint32_t scramble(uint32_t k) { return rotate(k * 0xcc9e2d51u, 15) * 0x1b873593u; }

uint32_t tl_murmur3(const void *data, size_t len) {
  const uint8_t *p = data;
  uint32_t h = 0, k = 0;
  size_t whole = len & ~(size_t)3;
  for (size_t i = 0; i < whole; i += 4) {
    k = (uint32_t)p[i] | (uint32_t)p[i + 1] << 8 | (uint32_t)p[i + 2] << 16 | (uint32_t)p[i + 3] << 24;
    h = rotate(h ^ scramble(k), 13) * 5 + 0xe6546b64u;
  }
  k = 0;
  for (size_t i = len; i > whole; i--) k = k << 8 | p[i - 1];
  h ^= scramble(k) ^ (uint32_t)len;
  h = (h ^ h >> 16) * 0x85ebca6bu;
  h = (h ^ h >> 13) * 0xc2b2ae35u;
  return h ^ h >> 16;
}

bool tl_iceberg_hash(const tl_field *type, const tl_datum *value, uint32_t *out) {
  uint8_t bytes[8];
  if (!can_hash(type)) return false;
  if (type->type == TL_FIELD_STRING || type->type == TL_FIELD_BINARY) {
    *out = tl_murmur3(value->text, value->len);
  } else if (type->type == TL_FIELD_DECIMAL) { /* the fewest bytes of its two's complement, the greatest first */
    size_t skip = 0;
    for (size_t i = 0; i < 8; i++) bytes[i] = (uint8_t)((uint64_t)value->i64 >> (56 - 8 * i));
    while (skip < 7 && ((bytes[skip] == 0 && !(bytes[skip + 1] & 0x80)) || (bytes[skip] == 0xff && (bytes[skip + 1] & 0x80)))) skip++;
    *out = tl_murmur3(bytes + skip, 8 - skip);
  } else { /* int and date hash as long */
    for (size_t i = 0; i < 8; i++) bytes[i] = (uint8_t)((uint64_t)value->i64 >> (8 * i));
    *out = tl_murmur3(bytes, 8);
  }
  return true;
}

/* ---- all ---- */

tl_status tl_iceberg_transform(const tl_partition_field *field, const tl_field *source, const tl_datum *value, tl_buf *text, tl_error *err) {
  tl_field result = tl_iceberg_result(field, source);
  if (result.type == TL_FIELD_OTHER)
    return tl_fail(err, TL_EUSAGE, "partition '%s' cannot be filled from column '%s': its type has no such transform", field->name, source->name);
  tl_iceberg_value out = {.i64 = value->i64, .f64 = value->f64, .text = tl_text_of(value->text, value->len)};
  int year = 0, month = 1, day_of_month;
  int64_t day = source->type == TL_FIELD_DATE ? value->i64 : tl_floor_div(value->i64, us_per_day);
  uint32_t hash = 0;
  if (field->transform == TL_TRANSFORM_YEAR || field->transform == TL_TRANSFORM_MONTH) {
    if (day != (int32_t)day) return tl_fail(err, TL_EUSAGE, "partition '%s' has no value for day %" PRId64, field->name, day);
    tl_civil_from_day((int32_t)day, &year, &month, &day_of_month);
    out.i64 = field->transform == TL_TRANSFORM_YEAR ? year - 1970 : (int64_t)(year - 1970) * 12 + month - 1;
  } else if (field->transform == TL_TRANSFORM_DAY) {
    out.i64 = day;
  } else if (field->transform == TL_TRANSFORM_BUCKET) {
    tl_iceberg_hash(source, value, &hash);
    out.i64 = (int64_t)(hash & INT32_MAX) % field->buckets;
  }
  return tl_iceberg_value_text(&result, field->transform, &out, text, err);
}
