/* file_stats.c - what DuckDB's COPY counted of a file -> bounds a reader may prune by.
 *
 * Wrong bounds lose rows without a word, so a bound is left out whenever its text is not plainly understood:
 * - floats: none when there is a NaN, nor an infinite one; a zero becomes -0.0 below and +0.0 above, for DuckDB counts them
 *   equal; FLOAT bounds are those of the float, not of its decimal digits;
 * - times before year 1, after 9999 and infinite: none; text that is not UTF-8 or holds a NUL: none; over 255 bytes DuckDB
 *   has cut it (upwards where it is the highest), so it is a bound, but does not occur;
 * - lists: no bounds and no NULLs (DuckDB counts an empty list as one), BLOB: no bounds. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "market/number.h"
#include "market/time.h"
#include "table/ops/ops.h"

enum { EXACT_TEXT_MAX = 255 };

static bool cell_is(tl_cell cell, const char *text) { return cell.text && strlen(text) == cell.len && !memcmp(cell.text, text, cell.len); }

/* "we ""ird" -> the field; nested: the key goes on behind the name. */
static int field_of(const tl_fields *fields, tl_cell key, bool *nested) {
  tl_buf name = {0};
  size_t i = 1;
  tl_status st = key.text && key.len > 2 && key.text[0] == '"' ? TL_OK : TL_EUSAGE;
  for (; !st && i < key.len; i++) {
    if (key.text[i] == '"' && (i + 1 == key.len || key.text[i + 1] != '"')) break;
    if (key.text[i] == '"') i++;
    st = tl_buf_append(&name, key.text + i, 1, NULL);
  }
  int field = st || !name.data ? -1 : tl_fields_find(fields, name.data);
  *nested = i + 1 < key.len;
  tl_buf_deinit(&name);
  return field;
}

static bool plain_text(tl_cell value) {
  if (memchr(value.text, 0, value.len)) return false;
  for (size_t i = 0; i < value.len;) {
    size_t len = tl_utf8_length(value.text + i, value.len - i);
    if (!len) return false;
    i += len;
  }
  return true;
}

/* "2024-01-01[ 00:00:00[.123456][+00]]" -> days or microseconds. */
static bool read_time(tl_cell value, bool date, int64_t *out) {
  int32_t day;
  int year = 0, month, of_month;
  if (value.len < 10 || !tl_day_parse(value.text, 10, &day)) return false;
  tl_civil_from_day(day, &year, &month, &of_month);
  if (year < 1 || year > 9999) return false;
  *out = day;
  if (date) return value.len == 10;
  char text[16];
  const char *p = value.text + 10;
  size_t len = value.len - 10;
  if (len > 3 && !memcmp(p + len - 3, "+00", 3)) len -= 3;
  if (len < 9 || len > sizeof text || p[0] != ' ' || p[3] != ':' || p[6] != ':') return false;
  int64_t parts[4] = {0, 0, 0, 0}; /* h m s us */
  static const int at[3] = {1, 4, 7};
  for (int i = 0; i < 3; i++) {
    if (p[at[i]] < '0' || p[at[i]] > '9' || p[at[i] + 1] < '0' || p[at[i] + 1] > '9') return false;
    parts[i] = (p[at[i]] - '0') * 10 + (p[at[i] + 1] - '0');
  }
  if (len > 9 && (p[9] != '.' || len == 10)) return false;
  for (size_t i = 10; i < 16; i++) {
    if (i < len && (p[i] < '0' || p[i] > '9')) return false;
    if (len > 9) parts[3] = parts[3] * 10 + (i < len ? p[i] - '0' : 0);
  }
  *out = (((day * 24 + parts[0]) * 60 + parts[1]) * 60 + parts[2]) * 1000000 + parts[3];
  return true;
}

/* A bound as the field's datum; false: none. */
static bool read_bound(const tl_field *field, tl_cell value, bool is_max, tl_datum *out) {
  *out = (tl_datum){0};
  switch (field->type) {
    case TL_FIELD_BOOL:
      out->i64 = cell_is(value, "1") || cell_is(value, "true");
      return out->i64 || cell_is(value, "0") || cell_is(value, "false");
    case TL_FIELD_F32:
    case TL_FIELD_F64:
      if (!tl_ops_datum_parse(field, value.text, value.len, out) || !isfinite(out->f64)) return false;
      if (out->f64 == 0) out->f64 = is_max ? 0.0 : -0.0;
      return true;
    case TL_FIELD_DATE: return read_time(value, true, &out->i64);
    case TL_FIELD_TIMESTAMP:
    case TL_FIELD_TIMESTAMP_NTZ: return read_time(value, false, &out->i64);
    case TL_FIELD_STRING: return plain_text(value) && (out->text = tl_strndup(value.text, value.len)) && ((out->len = value.len), true);
    case TL_FIELD_DECIMAL: return field->precision <= 18 && tl_ops_datum_parse(field, value.text, value.len, out);
    case TL_FIELD_I8:
    case TL_FIELD_I16:
    case TL_FIELD_I32:
    case TL_FIELD_I64: return tl_number_i64(value.text, value.len, &out->i64) == TL_NUMBER_OK;
    default: return false;
  }
}

static void take_count(tl_cell value, int64_t *out) {
  int64_t n;
  if (tl_number_i64(value.text, value.len, &n) == TL_NUMBER_OK && n >= 0) *out = n;
}

static void take_stat(const tl_field *field, const tl_copied_stat *stat, tl_column_bounds *b, bool *nan) {
  bool list = field->type == TL_FIELD_LIST;
  if (!stat->value.text) return;
  if (cell_is(stat->key, "column_size_bytes")) take_count(stat->value, &b->size_bytes);
  else if (list) return;
  else if (cell_is(stat->key, "null_count")) take_count(stat->value, &b->null_count);
  else if (cell_is(stat->key, "num_values")) take_count(stat->value, &b->value_count);
  else if (cell_is(stat->key, "has_nan")) *nan = !cell_is(stat->value, "false");
  else if (cell_is(stat->key, "min") && !b->has_min) b->has_min = read_bound(field, stat->value, false, &b->min);
  else if (cell_is(stat->key, "max") && !b->has_max) b->has_max = read_bound(field, stat->value, true, &b->max);
}

static void drop_bounds(tl_column_bounds *b) {
  tl_free(b->min.text);
  tl_free(b->max.text);
  b->min = b->max = (tl_datum){0};
  b->has_min = b->has_max = b->exact = false;
}

tl_status tl_ops_file_stats(const tl_fields *fields, const tl_copied *copied, tl_file_stats *out, tl_error *err) {
  tl_status st = tl_file_stats_init(out, fields->count, err);
  if (st) return st;
  for (size_t i = 0; i < copied->stat_count;) {
    bool nested = false, nan = false, floats = false;
    tl_cell key = copied->stats[i].column;
    int at = field_of(fields, key, &nested);
    floats = at >= 0 && (fields->items[at].type == TL_FIELD_F32 || fields->items[at].type == TL_FIELD_F64);
    nan = floats; /* until DuckDB says there is none */
    size_t end = i;
    while (end < copied->stat_count && copied->stats[end].column.len == key.len && !memcmp(copied->stats[end].column.text, key.text, key.len)) end++;
    for (; i < end; i++)
      if (at >= 0 && (!nested || fields->items[at].type == TL_FIELD_LIST)) take_stat(&fields->items[at], &copied->stats[i], &out->columns[at], &nan);
    if (at < 0) continue;
    tl_column_bounds *b = &out->columns[at];
    const tl_field *field = &fields->items[at];
    if (floats && !nan) b->nan_count = 0;
    /* One bound without its fellow is one DuckDB knew something about that we do not. */
    if (nan || !b->has_min || !b->has_max || tl_ops_datum_compare(field, &b->min, &b->max) > 0 ||
        (field->type != TL_FIELD_STRING && b->null_count == copied->rows))
      drop_bounds(b);
    b->exact = b->has_min && !floats && !(field->type == TL_FIELD_STRING && (b->min.len > EXACT_TEXT_MAX || b->max.len > EXACT_TEXT_MAX));
    if (b->value_count >= 0 && b->value_count != copied->rows) b->value_count = b->null_count = -1;
    if (field->type != TL_FIELD_LIST && b->value_count < 0) b->value_count = copied->rows;
  }
  return TL_OK;
}
