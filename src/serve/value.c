/* value.c - see value.h. */
#include "serve/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "json/write.h"
#include "market/number.h"

/* ---- types ---- */

static void field_deinit(tl_field *field) {
  for (size_t c = 0; c < field->child_count; c++) field_deinit(&field->children[c]);
  tl_free(field->children);
  *field = (tl_field){0};
}

static tl_status field_init(tl_field *field, const struct ArrowSchema *schema, tl_error *err) {
  struct ArrowError why = {0};
  *field = (tl_field){0};
  if (ArrowSchemaViewInit(&field->type, schema, &why))
    return tl_fail(err, TL_ESQL, "cannot show column '%s': %s", schema->name ? schema->name : "", why.message);
  size_t count = schema->dictionary ? 1 : (size_t)schema->n_children;
  if (!count) return TL_OK;
  field->children = tl_calloc(count, sizeof *field->children);
  if (!field->children) return tl_fail(err, TL_ENOMEM, "cannot read the columns of a result");
  field->child_count = count;
  for (size_t c = 0; c < count; c++) {
    tl_status st = field_init(&field->children[c], schema->dictionary ? schema->dictionary : schema->children[c], err);
    if (st) return st;
  }
  return TL_OK;
}

bool tl_field_is_number(const tl_field *field) {
  switch (field->type.type) {
  case NANOARROW_TYPE_INT8:
  case NANOARROW_TYPE_INT16:
  case NANOARROW_TYPE_INT32:
  case NANOARROW_TYPE_INT64:
  case NANOARROW_TYPE_UINT8:
  case NANOARROW_TYPE_UINT16:
  case NANOARROW_TYPE_UINT32:
  case NANOARROW_TYPE_UINT64:
  case NANOARROW_TYPE_HALF_FLOAT:
  case NANOARROW_TYPE_FLOAT:
  case NANOARROW_TYPE_DOUBLE:
  case NANOARROW_TYPE_DECIMAL32:
  case NANOARROW_TYPE_DECIMAL64:
  case NANOARROW_TYPE_DECIMAL128:
  case NANOARROW_TYPE_DECIMAL256: return true;
  default: return false;
  }
}

/* ---- batches ---- */

static tl_status stream_failed(struct ArrowArrayStream *stream, tl_error *err) {
  const char *message = stream->get_last_error(stream);
  if (!message || !message[0]) return tl_fail(err, TL_ENOMEM, "the result could not be read");
  return tl_fail(err, strncmp(message, "Out of Memory", 13) == 0 ? TL_ENOMEM : TL_ESQL, "%s", message);
}

tl_status tl_batches_open(tl_batches *batches, struct ArrowArrayStream *stream, tl_error *err) {
  struct ArrowError why = {0};
  batches->stream = stream;
  if (stream->get_schema(stream, &batches->schema)) return stream_failed(stream, err);
  tl_status st = field_init(&batches->row, &batches->schema, err);
  if (!st && ArrowArrayViewInitFromSchema(&batches->view, &batches->schema, &why))
    st = tl_fail(err, TL_ESQL, "cannot show the result: %s", why.message);
  return st;
}

tl_status tl_batches_next(tl_batches *batches, bool *more, tl_error *err) {
  struct ArrowError why = {0};
  if (batches->array.release) batches->array.release(&batches->array);
  *more = false;
  if (batches->stream->get_next(batches->stream, &batches->array)) {
    batches->array.release = NULL;
    return stream_failed(batches->stream, err);
  }
  if (!batches->array.release) return TL_OK;
  if (ArrowArrayViewSetArray(&batches->view, &batches->array, &why))
    return tl_fail(err, TL_ESQL, "cannot show the result: %s", why.message);
  *more = true;
  return TL_OK;
}

void tl_batches_close(tl_batches *batches) {
  if (batches->array.release) batches->array.release(&batches->array);
  ArrowArrayViewReset(&batches->view);
  field_deinit(&batches->row);
  if (batches->schema.release) batches->schema.release(&batches->schema);
}

/* ---- numbers ---- */

static tl_status append_double(double value, bool json, tl_buf *out, tl_error *err) {
  char text[TL_F64_TEXT_MAX];
  if (isfinite(value)) return tl_buf_append(out, text, tl_f64_format(value, text), err);
  return tl_buf_appends(out, json ? "null" : isnan(value) ? "nan" : value > 0 ? "inf" : "-inf", err);
}

/* The fewest digits that give the same float, which are fewer than its double would need. */
static tl_status append_float(double value, bool json, tl_buf *out, tl_error *err) {
  char text[32];
  if (!isfinite(value)) return append_double(value, json, out, err);
  for (int digits = 6; digits <= 9; digits++) {
    double back = 0;
    int len = snprintf(text, sizeof text, "%.*g", digits, value);
    if (tl_number_f64(text, (size_t)len, &back) == TL_NUMBER_OK && (float)back == (float)value) break;
  }
  return tl_buf_appendf(out, err, "%s%s", text, strpbrk(text, ".e") ? "" : ".0"); /* as doubles: never like an integer */
}

static tl_status append_decimal(const tl_field *field, const struct ArrowArrayView *view, int64_t row, tl_buf *out, tl_error *err) {
  struct ArrowDecimal decimal;
  struct ArrowBuffer digits;
  ArrowDecimalInit(&decimal, field->type.decimal_bitwidth, field->type.decimal_precision, field->type.decimal_scale);
  ArrowArrayViewGetDecimalUnsafe(view, row, &decimal);
  ArrowBufferInit(&digits);
  tl_status st = ArrowDecimalAppendStringToBuffer(&decimal, &digits)
                   ? tl_fail(err, TL_ENOMEM, "cannot show a decimal number")
                   : tl_buf_append(out, digits.data, (size_t)digits.size_bytes, err);
  ArrowBufferReset(&digits);
  return st;
}

/* ---- times ---- */

static int64_t per_second(enum ArrowTimeUnit unit) {
  return unit == NANOARROW_TIME_UNIT_SECOND ? 1 : unit == NANOARROW_TIME_UNIT_MILLI ? 1000 : unit == NANOARROW_TIME_UNIT_MICRO ? 1000000 : 1000000000;
}

static tl_status append_date(int64_t day, tl_buf *out, tl_error *err) {
  if (day == INT32_MAX || day == -INT32_MAX) return tl_buf_appends(out, day < 0 ? "-infinity" : "infinity", err);
  int year, month, day_of_month;
  tl_civil_from_day((int32_t)day, &year, &month, &day_of_month);
  return tl_buf_appendf(out, err, "%04d-%02d-%02d", year, month, day_of_month);
}

static tl_status append_clock(int64_t since_midnight, int64_t unit, tl_buf *out, tl_error *err) {
  int64_t seconds = since_midnight / unit, fraction = since_midnight % unit;
  tl_status st = tl_buf_appendf(out, err, "%02" PRId64 ":%02" PRId64 ":%02" PRId64, seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (st || !fraction) return st;
  char digits[24];
  snprintf(digits, sizeof digits, "%09" PRId64, fraction * (1000000000 / unit));
  size_t len = strlen(digits);
  while (len && digits[len - 1] == '0') len--;
  return tl_buf_appendf(out, err, ".%.*s", (int)len, digits);
}

/* An instant outside the years that nanoseconds reach, in UTC. */
static tl_status append_far_instant(int64_t value, int64_t unit, bool zoned, tl_buf *out, tl_error *err) {
  if (value == INT64_MAX || value == -INT64_MAX) return tl_buf_appends(out, value < 0 ? "-infinity" : "infinity", err);
  int64_t day = tl_floor_div(value, unit * 86400);
  if (day < INT32_MIN || day > INT32_MAX) return tl_buf_appendf(out, err, "%" PRId64, value);
  tl_status st = append_date(day, out, err);
  if (!st) st = tl_buf_appends(out, "T", err);
  if (!st) st = append_clock(value - day * unit * 86400, unit, out, err);
  return st || !zoned ? st : tl_buf_appends(out, "Z", err);
}

static tl_status append_instant(const tl_value_style *style, const tl_field *field, int64_t value, tl_buf *out, tl_error *err) {
  bool zoned = field->type.timezone && field->type.timezone[0];
  int64_t unit = per_second(field->type.time_unit), ns;
  char text[TL_TIME_TEXT_MAX];
  if (__builtin_mul_overflow(value, 1000000000 / unit, &ns)) return append_far_instant(value, unit, zoned, out, err);
  size_t len;
  if (zoned && style->zone) len = tl_time_format_offset(ns, tl_zone_offset_s(style->zone, ns), style->time_digits, text);
  else len = tl_time_format(ns, style->time_digits, text) - (zoned ? 0 : 1); /* without the Z */
  return tl_buf_append(out, text, len, err);
}

static tl_status append_interval(const struct ArrowArrayView *view, int64_t row, tl_buf *out, tl_error *err) {
  struct ArrowInterval interval = {0};
  interval.type = NANOARROW_TYPE_INTERVAL_MONTH_DAY_NANO;
  ArrowArrayViewGetIntervalUnsafe(view, row, &interval);
  tl_status st = tl_buf_appendf(out, err, "P%dM%dDT", interval.months, interval.days);
  if (!st && interval.ns < 0) st = tl_buf_appends(out, "-", err);
  uint64_t ns = interval.ns < 0 ? (uint64_t)0 - (uint64_t)interval.ns : (uint64_t)interval.ns;
  if (!st) st = tl_buf_appendf(out, err, "%" PRIu64, ns / 1000000000);
  if (!st && ns % 1000000000) st = tl_buf_appendf(out, err, ".%09" PRIu64, ns % 1000000000);
  return st ? st : tl_buf_appends(out, "S", err);
}

/* ---- bytes and nests ---- */

static tl_status append_text(const struct ArrowArrayView *view, int64_t row, bool json, tl_buf *out, tl_error *err) {
  struct ArrowStringView text = ArrowArrayViewGetStringUnsafe(view, row);
  if (json) return tl_buf_append_json(out, text.data, (size_t)text.size_bytes, err);
  return tl_buf_append(out, text.data, (size_t)text.size_bytes, err);
}

static tl_status append_hex(const struct ArrowArrayView *view, int64_t row, tl_buf *out, tl_error *err) {
  struct ArrowBufferView bytes = ArrowArrayViewGetBytesUnsafe(view, row);
  tl_status st = TL_OK;
  for (int64_t i = 0; !st && i < bytes.size_bytes; i++) st = tl_buf_appendf(out, err, "%02x", bytes.data.as_uint8[i]);
  return st;
}

static tl_status append_list(const tl_value_style *style, const tl_field *field, const struct ArrowArrayView *view, int64_t row,
                             tl_buf *out, tl_error *err) {
  bool fixed = field->type.type == NANOARROW_TYPE_FIXED_SIZE_LIST;
  int64_t size = field->type.fixed_size, at = view->offset + row;
  int64_t begin = fixed ? at * size : ArrowArrayViewListChildOffset(view, at);
  int64_t end = fixed ? begin + size : ArrowArrayViewListChildOffset(view, at + 1);
  tl_status st = tl_buf_appends(out, "[", err);
  for (int64_t i = begin; !st && i < end; i++) {
    if (i > begin) st = tl_buf_appends(out, ",", err);
    if (!st) st = tl_value_append(style, &field->children[0], view->children[0], i, true, out, err);
  }
  return st ? st : tl_buf_appends(out, "]", err);
}

static tl_status append_struct(const tl_value_style *style, const tl_field *field, const struct ArrowArrayView *view, int64_t row,
                               tl_buf *out, tl_error *err) {
  tl_status st = tl_buf_appends(out, "{", err);
  for (size_t c = 0; !st && c < field->child_count; c++) {
    const char *name = field->children[c].type.schema->name;
    if (c) st = tl_buf_appends(out, ",", err);
    if (!st) st = tl_buf_append_json(out, name, strlen(name), err);
    if (!st) st = tl_buf_appends(out, ":", err);
    if (!st) st = tl_value_append(style, &field->children[c], view->children[c], view->offset + row, true, out, err);
  }
  return st ? st : tl_buf_appends(out, "}", err);
}

/* {"key": value}; a key that is no text is quoted as its text. */
static tl_status append_map(const tl_value_style *style, const tl_field *field, const struct ArrowArrayView *view, int64_t row,
                            tl_buf *out, tl_error *err) {
  const tl_field *entry = &field->children[0];
  const struct ArrowArrayView *entries = view->children[0];
  int64_t at = view->offset + row;
  int64_t begin = ArrowArrayViewListChildOffset(view, at), end = ArrowArrayViewListChildOffset(view, at + 1);
  tl_status st = tl_buf_appends(out, "{", err);
  tl_buf key = {0};
  for (int64_t i = begin; !st && i < end; i++) {
    tl_buf_clear(&key);
    if (i > begin) st = tl_buf_appends(out, ",", err);
    if (!st) st = tl_value_append(style, &entry->children[0], entries->children[0], entries->offset + i, false, &key, err);
    if (!st) st = tl_buf_append_json(out, key.data ? key.data : "", key.len, err);
    if (!st) st = tl_buf_appends(out, ":", err);
    if (!st) st = tl_value_append(style, &entry->children[1], entries->children[1], entries->offset + i, true, out, err);
  }
  tl_buf_deinit(&key);
  return st ? st : tl_buf_appends(out, "}", err);
}

/* ---- any value ---- */

bool tl_value_is_null(const struct ArrowArrayView *view, int64_t row) { return ArrowArrayViewIsNull(view, row); }

/* Text that JSON has to quote: times, bytes. */
static tl_status append_quotable(const tl_value_style *style, const tl_field *field, const struct ArrowArrayView *view,
                                 int64_t row, tl_buf *out, tl_error *err) {
  switch (field->type.type) {
  case NANOARROW_TYPE_DATE32: return append_date(ArrowArrayViewGetIntUnsafe(view, row), out, err);
  case NANOARROW_TYPE_DATE64: return append_date(tl_floor_div(ArrowArrayViewGetIntUnsafe(view, row), 86400000), out, err);
  case NANOARROW_TYPE_TIME32:
  case NANOARROW_TYPE_TIME64:
    return append_clock(ArrowArrayViewGetIntUnsafe(view, row), per_second(field->type.time_unit), out, err);
  case NANOARROW_TYPE_TIMESTAMP: return append_instant(style, field, ArrowArrayViewGetIntUnsafe(view, row), out, err);
  case NANOARROW_TYPE_INTERVAL_MONTH_DAY_NANO: return append_interval(view, row, out, err);
  case NANOARROW_TYPE_BINARY:
  case NANOARROW_TYPE_LARGE_BINARY:
  case NANOARROW_TYPE_FIXED_SIZE_BINARY:
  case NANOARROW_TYPE_BINARY_VIEW: return append_hex(view, row, out, err);
  default: break;
  }
  const char *name = field->type.schema->name;
  return tl_fail(err, TL_ESQL, "cannot show column '%s' of type %s: cast it to VARCHAR", name ? name : "",
                 ArrowTypeString(field->type.type) ? ArrowTypeString(field->type.type) : "unknown");
}

tl_status tl_value_append(const tl_value_style *style, const tl_field *field, const struct ArrowArrayView *view, int64_t row,
                          bool json, tl_buf *out, tl_error *err) {
  if (ArrowArrayViewIsNull(view, row)) return tl_buf_appends(out, json ? "null" : "NULL", err);
  switch (field->type.type) {
  case NANOARROW_TYPE_NA: return tl_buf_appends(out, json ? "null" : "NULL", err);
  case NANOARROW_TYPE_BOOL: return tl_buf_appends(out, ArrowArrayViewGetIntUnsafe(view, row) ? "true" : "false", err);
  case NANOARROW_TYPE_INT8:
  case NANOARROW_TYPE_INT16:
  case NANOARROW_TYPE_INT32:
  case NANOARROW_TYPE_INT64: return tl_buf_appendf(out, err, "%" PRId64, ArrowArrayViewGetIntUnsafe(view, row));
  case NANOARROW_TYPE_UINT8:
  case NANOARROW_TYPE_UINT16:
  case NANOARROW_TYPE_UINT32:
  case NANOARROW_TYPE_UINT64: return tl_buf_appendf(out, err, "%" PRIu64, ArrowArrayViewGetUIntUnsafe(view, row));
  case NANOARROW_TYPE_HALF_FLOAT:
  case NANOARROW_TYPE_FLOAT: return append_float(ArrowArrayViewGetDoubleUnsafe(view, row), json, out, err);
  case NANOARROW_TYPE_DOUBLE: return append_double(ArrowArrayViewGetDoubleUnsafe(view, row), json, out, err);
  case NANOARROW_TYPE_DECIMAL32:
  case NANOARROW_TYPE_DECIMAL64:
  case NANOARROW_TYPE_DECIMAL128:
  case NANOARROW_TYPE_DECIMAL256: return append_decimal(field, view, row, out, err);
  case NANOARROW_TYPE_STRING:
  case NANOARROW_TYPE_LARGE_STRING:
  case NANOARROW_TYPE_STRING_VIEW: return append_text(view, row, json, out, err);
  case NANOARROW_TYPE_LIST:
  case NANOARROW_TYPE_LARGE_LIST:
  case NANOARROW_TYPE_FIXED_SIZE_LIST: return append_list(style, field, view, row, out, err);
  case NANOARROW_TYPE_STRUCT: return append_struct(style, field, view, row, out, err);
  case NANOARROW_TYPE_MAP: return append_map(style, field, view, row, out, err);
  case NANOARROW_TYPE_DICTIONARY:
    return tl_value_append(style, &field->children[0], view->dictionary, ArrowArrayViewGetIntUnsafe(view, row), json, out, err);
  default: break;
  }
  tl_status st = json ? tl_buf_appends(out, "\"", err) : TL_OK;
  if (!st) st = append_quotable(style, field, view, row, out, err);
  return st || !json ? st : tl_buf_appends(out, "\"", err);
}
