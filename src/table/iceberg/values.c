/* values.c - single values of Iceberg: bytes of bounds, texts of partitions; see types.h. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "market/number.h"
#include "market/time.h"
#include "table/iceberg/types.h"

enum { TEXT_BYTES_MAX = 256, TEXT_POINTS_MAX = 16 };
static const int64_t us_per_day = 86400 * INT64_C(1000000);

/* ---- bytes ---- */

static tl_status put_little(tl_buf *out, uint64_t bits, size_t len, tl_error *err) {
  uint8_t bytes[8];
  for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)(bits >> (8 * i));
  return tl_buf_append(out, bytes, len, err);
}

/* Two's complement, most significant byte first, no byte more than the sign needs. */
static tl_status put_unscaled(tl_buf *out, int64_t value, tl_error *err) {
  uint8_t bytes[8];
  size_t skip = 0;
  for (size_t i = 0; i < 8; i++) bytes[i] = (uint8_t)((uint64_t)value >> (56 - 8 * i));
  while (skip < 7 && ((bytes[skip] == 0 && !(bytes[skip + 1] & 0x80)) || (bytes[skip] == 0xff && (bytes[skip + 1] & 0x80)))) skip++;
  return tl_buf_append(out, bytes + skip, 8 - skip, err);
}

/* Bytes of the first `points` code points; bytes that are no UTF-8 count one each. */
static size_t cut_at(const char *text, size_t len, int points) {
  size_t at = 0;
  for (; points > 0 && at < len; points--) {
    size_t step = tl_utf8_length(text + at, len - at);
    at += step ? step : 1;
  }
  return at;
}

/* Appends the smallest text above all that begin with these bytes: the last code point that can grow grows. */
static tl_status put_raised(tl_buf *out, const char *text, size_t len, bool *have, tl_error *err) {
  for (*have = false; len > 0;) {
    size_t begin = len - 1;
    while (begin > 0 && ((uint8_t)text[begin] & 0xC0) == 0x80) begin--;
    uint32_t point = 0;
    size_t bytes = len - begin;
    uint8_t lead = (uint8_t)text[begin];
    if (tl_utf8_length(text + begin, bytes) != bytes) return TL_OK; /* no UTF-8: no bound */
    point = bytes == 1 ? lead : lead & (0xFFu >> (bytes + 1));
    for (size_t i = 1; i < bytes; i++) point = point << 6 | ((uint8_t)text[begin + i] & 0x3F);
    if (++point == 0xD800) point = 0xE000;
    len = begin;
    if (point > 0x10FFFF) continue;
    uint8_t utf8[4];
    size_t n = 0;
    if (point < 0x80) utf8[n++] = (uint8_t)point;
    else if (point < 0x800) utf8[n++] = (uint8_t)(0xC0 | point >> 6);
    else if (point < 0x10000) utf8[n++] = (uint8_t)(0xE0 | point >> 12);
    else utf8[n++] = (uint8_t)(0xF0 | point >> 18);
    if (point >= 0x10000) utf8[n++] = (uint8_t)(0x80 | (point >> 12 & 0x3F));
    if (point >= 0x800) utf8[n++] = (uint8_t)(0x80 | (point >> 6 & 0x3F));
    if (point >= 0x80) utf8[n++] = (uint8_t)(0x80 | (point & 0x3F));
    *have = true;
    tl_status st = tl_buf_append(out, text, len, err);
    return st ? st : tl_buf_append(out, utf8, n, err);
  }
  return TL_OK;
}

static tl_status put_text(const char *text, size_t len, bool upper, tl_buf *out, bool *have, tl_error *err) {
  *have = true;
  if (len <= TEXT_BYTES_MAX) return tl_buf_append(out, text, len, err);
  size_t cut = cut_at(text, len, TEXT_POINTS_MAX);
  return upper ? put_raised(out, text, cut, have, err) : tl_buf_append(out, text, cut, err);
}

/* Binary: cut to 16 bytes; an upper one is raised by its last byte that is not 0xFF. */
static tl_status put_binary(const char *data, size_t len, bool upper, tl_buf *out, bool *have, tl_error *err) {
  *have = true;
  if (len <= TEXT_BYTES_MAX) return tl_buf_append(out, data, len, err);
  size_t cut = TEXT_POINTS_MAX;
  if (!upper) return tl_buf_append(out, data, cut, err);
  while (cut > 0 && (uint8_t)data[cut - 1] == 0xff) cut--;
  *have = cut > 0;
  tl_status st = tl_buf_append(out, data, cut, err);
  if (!st && *have) out->data[out->len - 1] = (char)((uint8_t)out->data[out->len - 1] + 1);
  return st;
}

static tl_status put_float(tl_field_type type, double value, bool upper, tl_buf *out, bool *have, tl_error *err) {
  *have = !isnan(value);
  if (!*have) return TL_OK;
  if (value == 0) value = upper ? 0.0 : -0.0; /* both zeros are within */
  if (type == TL_FIELD_F64) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_little(out, bits, 8, err);
  }
  float narrow = (float)value;
  if (upper ? (double)narrow < value : (double)narrow > value) narrow = nextafterf(narrow, upper ? INFINITY : -INFINITY);
  uint32_t bits;
  memcpy(&bits, &narrow, sizeof bits);
  return put_little(out, bits, 4, err);
}

tl_status tl_iceberg_bound_encode(const tl_field *type, const tl_datum *value, bool upper, tl_buf *out, bool *have, tl_error *err) {
  *have = true;
  switch (type->type) {
    case TL_FIELD_BOOL: return put_little(out, value->i64 != 0, 1, err);
    case TL_FIELD_I32:
    case TL_FIELD_DATE:
      *have = value->i64 == (int32_t)value->i64;
      return *have ? put_little(out, (uint64_t)value->i64, 4, err) : TL_OK;
    case TL_FIELD_I64:
    case TL_FIELD_TIMESTAMP:
    case TL_FIELD_TIMESTAMP_NTZ: return put_little(out, (uint64_t)value->i64, 8, err);
    case TL_FIELD_F32:
    case TL_FIELD_F64: return put_float(type->type, value->f64, upper, out, have, err);
    case TL_FIELD_DECIMAL:
      *have = type->precision <= 18; /* a wider one does not fit a datum */
      return *have ? put_unscaled(out, value->i64, err) : TL_OK;
    case TL_FIELD_STRING: return put_text(value->text, value->len, upper, out, have, err);
    case TL_FIELD_BINARY: return put_binary(value->text, value->len, upper, out, have, err);
    case TL_FIELD_I8:
    case TL_FIELD_I16:
    case TL_FIELD_LIST:
    case TL_FIELD_OTHER: break;
  }
  *have = false;
  return TL_OK;
}

static uint64_t little(tl_text bytes) {
  uint64_t bits = 0;
  for (size_t i = bytes.len; i > 0; i--) bits = bits << 8 | (uint8_t)bytes.data[i - 1];
  return bits;
}

static bool take_float(tl_text bytes, bool wide, double *out) {
  if (bytes.len == 4) { /* also of a column that was a float when the file was written */
    uint32_t bits = (uint32_t)little(bytes);
    float value;
    memcpy(&value, &bits, sizeof value);
    *out = (double)value;
  } else if (bytes.len == 8 && wide) {
    uint64_t bits = little(bytes);
    memcpy(out, &bits, sizeof *out);
  } else {
    return false;
  }
  return !isnan(*out);
}

static bool take_unscaled(tl_text bytes, int64_t *out) {
  if (bytes.len == 0 || bytes.len > 8) return false;
  uint64_t bits = (uint8_t)bytes.data[0] & 0x80 ? UINT64_MAX : 0;
  for (size_t i = 0; i < bytes.len; i++) bits = bits << 8 | (uint8_t)bytes.data[i];
  *out = (int64_t)bits;
  return true;
}

bool tl_iceberg_bound_decode(const tl_field *type, tl_text bytes, tl_datum *out, bool *memory) {
  *out = (tl_datum){0};
  *memory = false;
  switch (type->type) {
    case TL_FIELD_BOOL:
      out->i64 = bytes.len == 1 ? (uint8_t)bytes.data[0] : 2;
      return out->i64 <= 1;
    case TL_FIELD_I32:
    case TL_FIELD_DATE:
      out->i64 = (int32_t)little(bytes);
      return bytes.len == 4;
    case TL_FIELD_I64:
      if (bytes.len == 4) { /* of a column that was an int when the file was written */
        out->i64 = (int32_t)little(bytes);
        return true;
      }
      out->i64 = (int64_t)little(bytes);
      return bytes.len == 8;
    case TL_FIELD_TIMESTAMP:
    case TL_FIELD_TIMESTAMP_NTZ: out->i64 = (int64_t)little(bytes); return bytes.len == 8;
    case TL_FIELD_F32: return take_float(bytes, false, &out->f64);
    case TL_FIELD_F64: return take_float(bytes, true, &out->f64);
    case TL_FIELD_DECIMAL: return type->precision <= 18 && take_unscaled(bytes, &out->i64);
    case TL_FIELD_STRING:
      for (size_t at = 0, step; at < bytes.len; at += step)
        if (!(step = tl_utf8_length(bytes.data + at, bytes.len - at))) return false;
      break;
    case TL_FIELD_BINARY: break;
    case TL_FIELD_I8:
    case TL_FIELD_I16:
    case TL_FIELD_LIST:
    case TL_FIELD_OTHER: return false;
  }
  out->text = tl_strndup(bytes.data, bytes.len);
  out->len = bytes.len;
  *memory = !out->text;
  return out->text != NULL;
}

/* ---- partition values as text ---- */

static bool is_text(tl_field_type type) { return type == TL_FIELD_STRING || type == TL_FIELD_BINARY; }

static tl_status no_text(int64_t value, const char *what, tl_error *err) {
  return tl_fail(err, TL_EUSAGE, "a partition value is %s %" PRId64 ", outside the years 0 to 9999", what, value);
}

static const int32_t day_first = -719528, day_last = 2932896; /* 0000-01-01, 9999-12-31 */

static tl_status day_text(int64_t day, tl_buf *out, tl_error *err) {
  char text[TL_DAY_TEXT_MAX];
  if (day < day_first || day > day_last) return no_text(day, "day", err);
  tl_day_format((int32_t)day, text);
  return tl_buf_appends(out, text, err);
}

static tl_status time_text(int64_t us, tl_buf *out, tl_error *err) {
  int64_t day = tl_floor_div(us, us_per_day), rest = us - day * us_per_day, s = rest / 1000000;
  if (day < day_first || day > day_last) return no_text(us, "microsecond", err);
  tl_status st = day_text(day, out, err);
  if (st) return st;
  return tl_buf_appendf(out, err, "T%02d:%02d:%02d.%06dZ", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60), (int)(rest % 1000000));
}

static tl_status float_text(double value, tl_buf *out, tl_error *err) {
  char text[TL_F64_TEXT_MAX];
  if (isnan(value)) return tl_buf_appends(out, "NaN", err);
  if (isinf(value)) return tl_buf_appends(out, value > 0 ? "Infinity" : "-Infinity", err);
  tl_f64_format(value, text);
  return tl_buf_appends(out, text, err);
}

static tl_status decimal_text(int64_t value, int scale, tl_buf *out, tl_error *err) {
  char digits[24];
  uint64_t plain = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  int len = snprintf(digits, sizeof digits, "%0*" PRIu64, scale + 1, plain);
  return tl_buf_appendf(out, err, "%s%.*s%s%s", value < 0 ? "-" : "", len - scale, digits, scale ? "." : "", digits + len - scale);
}

tl_status tl_iceberg_value_text(const tl_field *result, tl_transform transform, const tl_iceberg_value *value, tl_buf *out, tl_error *err) {
  int64_t i = value->i64;
  if (transform == TL_TRANSFORM_YEAR || transform == TL_TRANSFORM_MONTH) {
    int64_t year = transform == TL_TRANSFORM_YEAR ? i + 1970 : tl_floor_div(i, 12) + 1970;
    if (year < 0 || year > 9999) return no_text(i, transform == TL_TRANSFORM_YEAR ? "year" : "month", err);
    if (transform == TL_TRANSFORM_YEAR) return tl_buf_appendf(out, err, "%04d", (int)year);
    return tl_buf_appendf(out, err, "%04d-%02d", (int)year, (int)(i - tl_floor_div(i, 12) * 12) + 1);
  }
  switch (result->type) {
    case TL_FIELD_BOOL: return tl_buf_appends(out, i ? "true" : "false", err);
    case TL_FIELD_I32:
    case TL_FIELD_I64: return tl_buf_appendf(out, err, "%" PRId64, i);
    case TL_FIELD_DATE: return day_text(i, out, err);
    case TL_FIELD_TIMESTAMP:
    case TL_FIELD_TIMESTAMP_NTZ: return time_text(i, out, err);
    case TL_FIELD_F32:
    case TL_FIELD_F64: return float_text(value->f64, out, err);
    case TL_FIELD_DECIMAL: return decimal_text(i, result->scale, out, err);
    case TL_FIELD_STRING:
      if (memchr(value->text.data, 0, value->text.len)) return tl_fail(err, TL_EUSAGE, "a partition value holds a NUL byte");
      return tl_buf_append(out, value->text.data, value->text.len, err);
    case TL_FIELD_I8:
    case TL_FIELD_I16:
    case TL_FIELD_BINARY:
    case TL_FIELD_LIST:
    case TL_FIELD_OTHER: break;
  }
  return tl_fail(err, TL_EUSAGE, "a partition by values of this type cannot be read");
}

/* ---- and back ---- */

static bool digits_at(const char *p, int count, int *out) {
  *out = 0;
  for (int i = 0; i < count; i++) {
    if (p[i] < '0' || p[i] > '9') return false;
    *out = *out * 10 + (p[i] - '0');
  }
  return true;
}

/* YYYY-MM-DDTHH:MM:SS[.f][Z], a blank for the T too. */
static bool parse_time(const char *text, int64_t *us) {
  size_t len = strlen(text);
  int32_t day;
  int hour, minute, second;
  if (len < 19 || !tl_day_parse(text, 10, &day) || (text[10] != 'T' && text[10] != ' ') || text[13] != ':' || text[16] != ':') return false;
  if (!digits_at(text + 11, 2, &hour) || !digits_at(text + 14, 2, &minute) || !digits_at(text + 17, 2, &second)) return false;
  if (hour > 23 || minute > 59 || second > 59) return false;
  const char *p = text + 19;
  int64_t fraction = 0, unit = 1000000;
  if (*p == '.')
    for (p++; *p >= '0' && *p <= '9'; p++) {
      if (unit == 1) return false;
      unit /= 10;
      fraction += (*p - '0') * unit;
    }
  if (*p == 'Z') p++;
  *us = (int64_t)day * us_per_day + (int64_t)(hour * 3600 + minute * 60 + second) * 1000000 + fraction;
  return *p == 0;
}

static bool parse_period(tl_transform transform, const char *text, int64_t *out) {
  int year, month = 1;
  size_t len = strlen(text);
  if (transform == TL_TRANSFORM_YEAR) {
    if (len != 4 || !digits_at(text, 4, &year)) return false;
    *out = year - 1970;
    return true;
  }
  if (len != 7 || text[4] != '-' || !digits_at(text, 4, &year) || !digits_at(text + 5, 2, &month) || month < 1 || month > 12) return false;
  *out = (int64_t)(year - 1970) * 12 + month - 1;
  return true;
}

static bool parse_float(const char *text, double *out) {
  if (!strcmp(text, "NaN")) *out = (double)NAN;
  else if (!strcmp(text, "Infinity")) *out = (double)INFINITY;
  else if (!strcmp(text, "-Infinity")) *out = -(double)INFINITY;
  else return tl_number_f64(text, strlen(text), out) == TL_NUMBER_OK;
  return true;
}

static bool parse_decimal_value(const char *text, int scale, int64_t *out) {
  bool negative = *text == '-';
  const char *p = text + negative;
  int after = -1;
  int64_t value = 0;
  if (*p < '0' || *p > '9') return false;
  for (; *p; p++) {
    if (*p == '.' && after < 0) {
      after = 0;
    } else if (*p >= '0' && *p <= '9') {
      if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *p - '0', &value)) return false;
      if (after >= 0) after++;
    } else {
      return false;
    }
  }
  if (after > scale) return false;
  for (int i = after < 0 ? 0 : after; i < scale; i++)
    if (__builtin_mul_overflow(value, 10, &value)) return false;
  *out = negative ? -value : value;
  return true;
}

static bool parse_plain(const tl_field *result, const char *text, tl_iceberg_value *out) {
  int32_t day = 0;
  switch (result->type) {
    case TL_FIELD_BOOL:
      out->i64 = !strcmp(text, "true");
      return out->i64 || !strcmp(text, "false");
    case TL_FIELD_I32: return !tl_number_i64(text, strlen(text), &out->i64) && out->i64 == (int32_t)out->i64;
    case TL_FIELD_I64: return !tl_number_i64(text, strlen(text), &out->i64);
    case TL_FIELD_DATE:
      if (!tl_day_parse(text, strlen(text), &day)) return false;
      out->i64 = day;
      return true;
    case TL_FIELD_TIMESTAMP:
    case TL_FIELD_TIMESTAMP_NTZ: return parse_time(text, &out->i64);
    case TL_FIELD_F32:
    case TL_FIELD_F64: return parse_float(text, &out->f64);
    case TL_FIELD_DECIMAL: return result->precision <= 18 && parse_decimal_value(text, result->scale, &out->i64);
    case TL_FIELD_STRING: out->text = tl_text_from(text); return true;
    case TL_FIELD_I8:
    case TL_FIELD_I16:
    case TL_FIELD_BINARY:
    case TL_FIELD_LIST:
    case TL_FIELD_OTHER: return false;
  }
  return false;
}

tl_status tl_iceberg_value_parse(const tl_field *result, tl_transform transform, const char *text, tl_iceberg_value *out, tl_error *err) {
  *out = (tl_iceberg_value){.null = !text};
  if (!text) return TL_OK;
  bool period = transform == TL_TRANSFORM_YEAR || transform == TL_TRANSFORM_MONTH;
  if (period ? parse_period(transform, text, &out->i64) : parse_plain(result, text, out)) return TL_OK;
  return tl_fail(err, TL_EUSAGE, "'%s' is no value of this partition", text);
}

static int compare_text(tl_text a, tl_text b) {
  size_t common = a.len < b.len ? a.len : b.len;
  int order = common ? memcmp(a.data, b.data, common) : 0;
  return order ? order : (a.len > b.len) - (a.len < b.len);
}

int tl_iceberg_value_compare(const tl_field *result, const tl_iceberg_value *a, const tl_iceberg_value *b) {
  if (a->null || b->null) return a->null - b->null;
  if (is_text(result->type)) return compare_text(a->text, b->text);
  if (result->type == TL_FIELD_F32 || result->type == TL_FIELD_F64) {
    if (isnan(a->f64) || isnan(b->f64)) return !!isnan(a->f64) - !!isnan(b->f64);
    return (a->f64 > b->f64) - (a->f64 < b->f64);
  }
  return (a->i64 > b->i64) - (a->i64 < b->i64);
}

tl_status tl_iceberg_value_bound(const tl_field *result, const tl_iceberg_value *value, bool upper, tl_buf *out, bool *have, tl_error *err) {
  tl_datum datum = {.i64 = value->i64, .f64 = value->f64, .text = (char *)(uintptr_t)value->text.data, .len = value->text.len};
  return tl_iceberg_bound_encode(result, &datum, upper, out, have, err);
}
