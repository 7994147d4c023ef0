/* delta_stats.c - statistics of a file <-> the JSON text of add.stats.
 * A bound that is too tight silently loses rows in every reader, none at all never does: whatever cannot be said soundly is
 * left out. Written: the first 32 columns (delta.dataSkippingNumIndexedCols, -1: all; delta.dataSkippingStatsColumns names
 * them) that are no partition columns. Strings are cut at 32 characters, a maximum then gets U+007F or U+10FFFF behind it;
 * instants have milliseconds, the minimum rounded down, the maximum up; a zero is -0.0 as minimum and 0.0 as maximum, for
 * readers that order them; NaN, infinities and years outside 1..9999 give no bound. Read: others' instants of milliseconds
 * are widened by what they may have cut, decimals of 16 digits and more by what a double rounds. Pure. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "market/number.h"
#include "market/time.h"
#include "table/delta/delta.h"

enum { STRING_CHARACTERS = 32, COLUMNS_DEFAULT = 32, DECIMAL_DIGITS_MAX = 18 };

/* ---- which columns ---- */

static bool is_partition(const tl_partitioning *partitioning, size_t field) {
  for (size_t i = 0; i < partitioning->count; i++)
    if (partitioning->items[i].column == (int)field) return true;
  return false;
}

static bool listed(const char *list, const char *name) { /* "a, `b c`" */
  size_t len = strlen(name);
  while (*list) {
    size_t item = strcspn(list, ",");
    const char *at = list, *end = list + item;
    while (at < end && (*at == ' ' || *at == '`')) at++;
    while (end > at && (end[-1] == ' ' || end[-1] == '`')) end--;
    if ((size_t)(end - at) == len && !memcmp(at, name, len)) return true;
    list += item + (list[item] == ',');
  }
  return false;
}

static tl_status choose(const tl_fields *fields, const tl_partitioning *partitioning, const tl_delta_metadata *metadata, bool **out, tl_error *err) {
  const char *names = tl_delta_pairs_get(&metadata->configuration, "delta.dataSkippingStatsColumns");
  const char *count_text = tl_delta_pairs_get(&metadata->configuration, "delta.dataSkippingNumIndexedCols");
  int64_t count = COLUMNS_DEFAULT;
  if (count_text && tl_number_i64(count_text, strlen(count_text), &count) != TL_NUMBER_OK) count = COLUMNS_DEFAULT;
  bool *chosen = tl_calloc(fields->count + 1, sizeof *chosen);
  if (!chosen) return tl_fail(err, TL_ENOMEM, "cannot hold the statistics of %zu columns", fields->count);
  int64_t seen = 0;
  for (size_t i = 0; i < fields->count; i++) {
    if (is_partition(partitioning, i)) continue;
    chosen[i] = names ? listed(names, fields->items[i].name) : count < 0 || seen < count;
    seen++;
  }
  *out = chosen;
  return TL_OK;
}

/* ---- values written ---- */

/* Bytes of the first STRING_CHARACTERS characters; SIZE_MAX when the text is not UTF-8. */
static size_t cut_at(const char *text, size_t len) {
  size_t at = 0, cut = len;
  for (size_t count = 0; at < len; count++) {
    size_t step = tl_utf8_length(text + at, len - at);
    if (!step) return SIZE_MAX;
    if (count == STRING_CHARACTERS) cut = at;
    at += step;
  }
  return cut;
}

static void put_string(tl_json_writer *w, const char *key, const tl_datum *datum, bool max) {
  char text[STRING_CHARACTERS * 4 + 4];
  size_t cut = cut_at(datum->text, datum->len), len = cut;
  if (cut == SIZE_MAX) return;
  if (!max || cut == datum->len) {
    tl_json_put_bytes(w, key, datum->text, cut);
    return;
  }
  const char *next = datum->text + cut;
  if (!memcmp(next, "\xF4\x8F\xBF\xBF", tl_utf8_length(next, datum->len - cut))) return; /* nothing sorts behind U+10FFFF */
  memcpy(text, datum->text, cut);
  if ((unsigned char)*next < 0x7F) text[len++] = 0x7F;
  else {
    memcpy(text + len, "\xF4\x8F\xBF\xBF", 4);
    len += 4;
  }
  tl_json_put_bytes(w, key, text, len);
}

static void put_double(tl_json_writer *w, const char *key, double value, bool max) {
  char text[TL_F64_TEXT_MAX];
  if (!isfinite(value)) return;
  if (value == 0) tl_json_put_raw(w, key, max ? "0.0" : "-0.0", max ? 3 : 4);
  else tl_json_put_raw(w, key, text, tl_f64_format(value, text));
}

static void put_decimal(tl_json_writer *w, const char *key, int64_t unscaled, int scale) {
  char digits[32], text[40];
  uint64_t size = unscaled < 0 ? 0 - (uint64_t)unscaled : (uint64_t)unscaled;
  int len = snprintf(digits, sizeof digits, "%0*" PRIu64, scale + 1, size);
  if (len <= 0 || scale > DECIMAL_DIGITS_MAX) return;
  int whole = len - scale;
  int used = snprintf(text, sizeof text, "%s%.*s%s%s", unscaled < 0 ? "-" : "", whole, digits, scale ? "." : "", digits + whole);
  tl_json_put_raw(w, key, text, (size_t)used);
}

static void put_instant(tl_json_writer *w, const char *key, int64_t us, bool zone, bool max) {
  char text[40];
  if (max && us > INT64_MAX - 999) return;
  int64_t ms = tl_floor_div(max ? us + 999 : us, 1000);
  if (ms > INT64_MAX / 1000 || ms < INT64_MIN / 1000) return;
  if (tl_delta_instant_format(ms * 1000, 3, zone, 'T', text)) tl_json_put_string(w, key, text);
}

static void put_date(tl_json_writer *w, const char *key, int64_t day) {
  char text[TL_DAY_TEXT_MAX];
  if (day < tl_day_from_civil(1, 1, 1) || day > tl_day_from_civil(9999, 12, 31)) return;
  tl_day_format((int32_t)day, text);
  tl_json_put_string(w, key, text);
}

static void put_bound(tl_json_writer *w, const tl_field *field, const tl_column_bounds *bounds, bool max) {
  const tl_datum *datum = max ? &bounds->max : &bounds->min;
  if (!(max ? bounds->has_max : bounds->has_min) || bounds->nan_count > 0) return;
  switch (field->type) {
    case TL_FIELD_I8:
    case TL_FIELD_I16:
    case TL_FIELD_I32:
    case TL_FIELD_I64: tl_json_put_i64(w, field->name, datum->i64); break;
    case TL_FIELD_F32:
    case TL_FIELD_F64: put_double(w, field->name, datum->f64, max); break;
    case TL_FIELD_DECIMAL:
      if (field->precision <= DECIMAL_DIGITS_MAX) put_decimal(w, field->name, datum->i64, field->scale);
      break;
    case TL_FIELD_STRING:
      if (datum->text) put_string(w, field->name, datum, max);
      break;
    case TL_FIELD_DATE: put_date(w, field->name, datum->i64); break;
    case TL_FIELD_TIMESTAMP:
    case TL_FIELD_TIMESTAMP_NTZ: put_instant(w, field->name, datum->i64, field->type == TL_FIELD_TIMESTAMP, max); break;
    case TL_FIELD_BOOL:
    case TL_FIELD_BINARY:
    case TL_FIELD_LIST:
    case TL_FIELD_OTHER: break;
  }
}

tl_status tl_delta_stats_write(const tl_data_file *file, const tl_fields *fields, const tl_partitioning *partitioning,
                               const tl_delta_metadata *metadata, tl_buf *out, tl_error *err) {
  bool *chosen = NULL;
  if (file->rows < 0) return TL_OK;
  tl_status st = choose(fields, partitioning, metadata, &chosen, err);
  if (st) return st;
  tl_json_writer w = tl_json_writer_of(out, err);
  size_t count = file->stats.count < fields->count ? file->stats.count : fields->count;
  tl_json_put_object(&w, NULL);
  tl_json_put_i64(&w, "numRecords", file->rows);
  for (int max = 0; max < 2; max++) {
    tl_json_put_object(&w, max ? "maxValues" : "minValues");
    for (size_t i = 0; i < count; i++)
      if (chosen[i]) put_bound(&w, &fields->items[i], &file->stats.columns[i], max);
    tl_json_put_close(&w);
  }
  tl_json_put_object(&w, "nullCount");
  for (size_t i = 0; i < count; i++)
    if (chosen[i] && file->stats.columns[i].null_count >= 0) tl_json_put_i64(&w, fields->items[i].name, file->stats.columns[i].null_count);
  tl_json_put_close(&w);
  tl_json_put_close(&w);
  tl_free(chosen);
  return tl_json_writer_end(&w);
}

/* ---- values read ---- */

static bool read_decimal(tl_text text, int precision, int scale, int64_t *out) {
  tl_decimal d;
  if (precision > DECIMAL_DIGITS_MAX || tl_decimal_scan(text.data, text.data + text.len, &d) != text.data + text.len || d.cut) return false;
  uint64_t value = d.mantissa;
  for (int64_t power = d.exponent + scale; value && power != 0; power += power < 0 ? 1 : -1) {
    if (power < 0 && value % 10) return false;
    if (power < 0) value /= 10;
    else if (__builtin_mul_overflow(value, 10, &value)) return false;
  }
  if (value > INT64_MAX) return false;
  *out = d.negative ? -(int64_t)value : (int64_t)value;
  return true;
}

/* delta-rs writes decimals as doubles, which tell 15 digits apart and no more: a bound may lie within the values by what they round. */
static bool widen_decimal(int precision, bool max, int64_t *value, bool *exact) {
  int64_t size = *value < 0 ? -*value : *value, most = 1;
  if (size < INT64_C(1000000000000000)) return true;
  for (int i = 0; i < precision; i++) most *= 10;
  int64_t slack = (size >> 50) + 1;
  *exact = false;
  if (__builtin_add_overflow(*value, max ? slack : -slack, value)) return false;
  if (*value > most - 1) *value = most - 1; /* what the type holds */
  if (*value < 1 - most) *value = 1 - most;
  return true;
}

static bool read_instant(tl_text text, bool max, int64_t *out) {
  unsigned digits;
  if (!tl_delta_instant_parse(text.data, text.len, out, &digits)) return false;
  if (max) *out += digits < 3 ? 999999 : digits < 6 ? 999 : digits > 6;
  return true;
}

static size_t characters(tl_text text) {
  size_t count = 0;
  for (size_t at = 0; at < text.len; count++) at += tl_utf8_length(text.data + at, text.len - at);
  return count;
}

/* False: not a value of the field's type, or memory ran out (*st). */
static bool read_bound(const tl_field *field, const tl_json_value *value, bool max, tl_datum *out, bool *exact, tl_status *st, tl_error *err) {
  tl_text text;
  int32_t day;
  bool number = tl_json_number(value, &text);
  if (!number && !tl_json_string(value, &text)) return false;
  switch (field->type) {
    case TL_FIELD_I8:
    case TL_FIELD_I16:
    case TL_FIELD_I32:
    case TL_FIELD_I64: return number && tl_number_i64(text.data, text.len, &out->i64) == TL_NUMBER_OK;
    case TL_FIELD_F32:
    case TL_FIELD_F64: return number && tl_number_f64(text.data, text.len, &out->f64) == TL_NUMBER_OK;
    case TL_FIELD_DECIMAL: return read_decimal(text, field->precision, field->scale, &out->i64) && widen_decimal(field->precision, max, &out->i64, exact);
    case TL_FIELD_DATE:
      if (number || !tl_day_parse(text.data, text.len, &day)) return false;
      out->i64 = day;
      return true;
    case TL_FIELD_TIMESTAMP:
    case TL_FIELD_TIMESTAMP_NTZ:
      *exact = false;
      return !number && read_instant(text, max, &out->i64);
    case TL_FIELD_STRING:
      if (number) return false;
      if (characters(text) >= STRING_CHARACTERS) *exact = false;
      out->text = tl_strndup(text.data, text.len);
      out->len = text.len;
      if (!out->text) *st = tl_fail(err, TL_ENOMEM, "cannot hold the statistics of a file");
      return out->text != NULL;
    case TL_FIELD_BOOL:
    case TL_FIELD_BINARY:
    case TL_FIELD_LIST:
    case TL_FIELD_OTHER: break;
  }
  return false;
}

static tl_status read_column(const tl_json_value *root, const tl_field *field, int64_t rows, tl_column_bounds *out, tl_error *err) {
  tl_status st = TL_OK;
  tl_text text;
  int64_t nulls;
  out->exact = true;
  out->has_min = read_bound(field, tl_json_get(tl_json_get(root, "minValues"), field->name), false, &out->min, &out->exact, &st, err);
  if (!st) out->has_max = read_bound(field, tl_json_get(tl_json_get(root, "maxValues"), field->name), true, &out->max, &out->exact, &st, err);
  if (tl_json_number(tl_json_get(tl_json_get(root, "nullCount"), field->name), &text) &&
      tl_number_i64(text.data, text.len, &nulls) == TL_NUMBER_OK && nulls >= 0)
    out->null_count = nulls;
  out->value_count = rows;
  if (!out->has_min && !out->has_max) out->exact = false;
  return st;
}

tl_status tl_delta_stats_read(const char *stats, const tl_fields *fields, tl_file_stats *out, tl_error *err) {
  tl_json *json = NULL;
  tl_status st = stats && *stats ? tl_json_open(stats, strlen(stats), strlen(stats) + 1, &json, err) : TL_OK;
  if (st == TL_ENOMEM) return st;
  if (!json) return TL_OK; /* a bare NaN and its like: unknown, never wrong */
  const tl_json_value *root = tl_json_root(json);
  int64_t rows = tl_delta_stats_rows(stats);
  st = TL_OK;
  for (size_t i = 0; !st && i < fields->count && i < out->count; i++) st = read_column(root, &fields->items[i], rows, &out->columns[i], err);
  tl_json_close(json);
  return st;
}

/* ---- numRecords without a parser: every file of a table is asked at every load ---- */

static const char *skip_string(const char *at) { /* at the quote; behind the closing one, or at the NUL */
  for (at++; *at && *at != '"'; at++)
    if (*at == '\\' && at[1]) at++;
  return *at ? at + 1 : at;
}

int64_t tl_delta_stats_rows(const char *stats) {
  static const char key[] = "\"numRecords\"";
  unsigned depth = 0;
  for (const char *at = stats ? stats : ""; *at;) {
    if (*at == '{' || *at == '[') depth++;
    else if ((*at == '}' || *at == ']') && depth) depth--;
    if (*at != '"') {
      at++;
      continue;
    }
    const char *word = at;
    at = skip_string(at);
    if (depth != 1 || (size_t)(at - word) != sizeof key - 1 || memcmp(word, key, sizeof key - 1) != 0) continue;
    at += strspn(at, " \t\r\n");
    if (*at != ':') continue;
    at += 1 + strspn(at + 1, " \t\r\n");
    int64_t rows;
    size_t len = strcspn(at, " \t\r\n,}");
    return tl_number_i64(at, len, &rows) == TL_NUMBER_OK && rows >= 0 ? rows : -1;
  }
  return -1;
}
