/* path.c - (layout, dataset, symbol, time) <-> path of a Parquet file. Pure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "table/parquet/parquet.h"

static const char *const layout_names[] = {"hive", "flat", "delta", "iceberg", "delta,iceberg"};

const char *tl_layout_name(tl_layout layout) { return layout_names[layout]; }

bool tl_layout_parse(const char *name, tl_layout *out) {
  for (size_t i = 0; i < sizeof layout_names / sizeof *layout_names; i++)
    if (!strcmp(name, layout_names[i])) {
      *out = (tl_layout)i;
      return true;
    }
  return false;
}

/* ---- periods ---- */

static bool by_year(tl_layout layout, const tl_dataset *dataset) { return layout == TL_LAYOUT_FLAT && dataset->by_year; }

static tl_range period_of(int year, int month) { /* month 0: the whole year */
  int next_year = month == 0 || month == 12 ? year + 1 : year;
  int next_month = month == 0 || month == 12 ? 1 : month + 1;
  return (tl_range){tl_day_ns(tl_day_from_civil(year, month ? month : 1, 1)), tl_day_ns(tl_day_from_civil(next_year, next_month, 1))};
}

tl_range tl_table_period(tl_layout layout, const tl_dataset *dataset, int64_t time_ns) {
  int year, month, day;
  tl_civil_from_day(tl_time_day(time_ns), &year, &month, &day);
  return period_of(year, by_year(layout, dataset) ? 0 : month);
}

/* ---- to a path ---- */

/* Hive readers (DuckDB, Spark) take these words for "no value"; escaped they are text as any other. */
static bool means_null(const char *escaped) {
  return strcasecmp(escaped, "null") == 0 || strcasecmp(escaped, "__HIVE_DEFAULT_PARTITION__") == 0;
}

static tl_status append_hive(const tl_dataset *dataset, const char *escaped, int year, int month, tl_buf *path, tl_error *err) {
  if (means_null(escaped))
    return tl_buf_appendf(path, err, "%s/symbol=%%%02X%s/year=%04d/month=%02d/data.parquet", dataset->name,
                          (unsigned char)escaped[0], escaped + 1, year, month);
  return tl_buf_appendf(path, err, "%s/symbol=%s/year=%04d/month=%02d/data.parquet", dataset->name, escaped, year, month);
}

tl_status tl_table_path(tl_layout layout, const tl_dataset *dataset, const char *symbol, int64_t time_ns, tl_buf *path,
                        tl_error *err) {
  char escaped[TL_SYMBOL_ESCAPED_MAX + 1];
  tl_status st = tl_symbol_escape(symbol, strlen(symbol), escaped, err);
  if (st) return st;
  int year, month, day;
  tl_civil_from_day(tl_time_day(time_ns), &year, &month, &day);
  if (layout == TL_LAYOUT_HIVE) return append_hive(dataset, escaped, year, month, path, err);
  if (by_year(layout, dataset)) return tl_buf_appendf(path, err, "%s/%s.%04d.parquet", dataset->flat, escaped, year);
  return tl_buf_appendf(path, err, "%s/%s.%04d-%02d.parquet", dataset->flat, escaped, year, month);
}

/* ---- from a path ---- */

/* Digits only, at most four of them; false when that is not what stands there or the value is outside [min, max]. */
static bool parse_number(tl_text text, int min, int max, int *out) {
  if (text.len == 0 || text.len > 4) return false;
  int value = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (text.data[i] < '0' || text.data[i] > '9') return false;
    value = value * 10 + (text.data[i] - '0');
  }
  *out = value;
  return value >= min && value <= max;
}

static bool take_prefix(tl_text *text, const char *prefix) {
  size_t len = strlen(prefix);
  if (text->len < len || memcmp(text->data, prefix, len) != 0) return false;
  *text = tl_text_of(text->data + len, text->len - len);
  return true;
}

static bool take_suffix(tl_text *text, const char *suffix) {
  size_t len = strlen(suffix);
  if (text->len < len || memcmp(text->data + text->len - len, suffix, len) != 0) return false;
  text->len -= len;
  return true;
}

bool tl_parquet_year_folder(const char *name, int *year) {
  tl_text text = tl_text_from(name);
  return take_prefix(&text, "year=") && parse_number(text, 1, 9998, year);
}

bool tl_parquet_month_folder(const char *name, int *month) {
  tl_text text = tl_text_from(name);
  return take_prefix(&text, "month=") && parse_number(text, 1, 12, month);
}

tl_range tl_parquet_period(int year, int month) { return period_of(year, month); }

bool tl_parquet_data_name(const char *name) {
  tl_text text = tl_text_from(name);
  return name[0] != '.' && name[0] != '_' && take_suffix(&text, ".parquet") && text.len > 0;
}

tl_status tl_parquet_symbol_folder(const char *name, tl_buf *symbol, tl_error *err) {
  tl_text text = tl_text_from(name);
  if (!take_prefix(&text, "symbol=") || text.len == 0 || !strcmp(text.data, "__HIVE_DEFAULT_PARTITION__"))
    return tl_fail(err, TL_ENOTFOUND, "'%s' is not the folder of a symbol", name);
  tl_status st = tl_symbol_unescape(text.data, text.len, symbol, err);
  return st == TL_EUSAGE ? tl_fail(err, TL_ENOTFOUND, "'%s' is not the folder of a symbol", name) : st;
}

/* "BRK.B.2024-11.parquet" -> the symbol, 2024, 11; "AAPL.2024.parquet" has month 0. */
tl_status tl_parquet_flat_name(const char *name, tl_buf *symbol, tl_range *period, tl_error *err) {
  tl_text text = tl_text_from(name);
  int year = 0, month = 0;
  const char *dot = take_suffix(&text, ".parquet") && text.len ? memrchr(text.data, '.', text.len) : NULL;
  if (!dot || dot == text.data) return tl_fail(err, TL_ENOTFOUND, "'%s' is not the name of a data file", name);
  tl_text date = tl_text_of(dot + 1, (size_t)(text.data + text.len - dot - 1));
  const char *dash = memchr(date.data, '-', date.len);
  bool good = dash ? parse_number(tl_text_of(date.data, (size_t)(dash - date.data)), 1, 9998, &year) &&
                       parse_number(tl_text_of(dash + 1, (size_t)(date.data + date.len - dash - 1)), 1, 12, &month)
                   : date.len == 4 && parse_number(date, 1, 9998, &year);
  tl_status st = good ? tl_symbol_unescape(text.data, (size_t)(dot - text.data), symbol, err) : TL_EUSAGE;
  if (st == TL_EUSAGE) return tl_fail(err, TL_ENOTFOUND, "'%s' is not the name of a data file", name);
  *period = period_of(year, month);
  return st;
}

bool tl_parquet_dataset_folder(tl_layout layout, const char *folder, tl_dataset *out) {
  bool hive = layout == TL_LAYOUT_HIVE;
  const char *prefix = hive ? "equities_" : "bars/";
  const char *kind = NULL;
  if (!strcmp(folder, "trades")) kind = "trades";
  else if (!strcmp(folder, hive ? "quotes_1sec" : "quotes")) kind = "quotes_1sec";
  else if (!strcmp(folder, hive ? "quotes" : "raw_quotes")) kind = "raw-quotes";
  if (kind) return tl_dataset_parse(kind, out, NULL) == TL_OK;
  tl_interval interval;
  if (strncmp(folder, prefix, strlen(prefix)) != 0 || tl_interval_parse(folder + strlen(prefix), &interval, NULL)) return false;
  *out = tl_dataset_bars(interval);
  return !strcmp(folder, hive ? out->name : out->flat); /* one folder per dataset: "bars/60s" is none */
}

tl_status tl_parquet_file(tl_layout layout, const tl_dataset *dataset, const char *symbol, tl_range period,
                          const char *path, tl_table_file *out, tl_error *err) {
  tl_buf ours = {0};
  *out = (tl_table_file){.period = period, .path = tl_strdup(path), .symbol = tl_strdup(symbol)};
  tl_status st = out->path && out->symbol ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot keep the path '%s'", path);
  if (!st) st = tl_table_path(layout, dataset, symbol, period.start_ns, &ours, err);
  if (!st) out->canonical = !strcmp(ours.data, path);
  tl_buf_deinit(&ours);
  if (st) tl_table_file_deinit(out);
  return st;
}

void tl_table_file_deinit(tl_table_file *file) {
  tl_free(file->path);
  tl_free(file->symbol);
  *file = (tl_table_file){0};
}

/* Cuts text in place at its last '/'; the part after it, or NULL when there is none. */
static char *cut_last(char *text) {
  char *slash = strrchr(text, '/');
  if (!slash) return NULL;
  *slash = 0;
  return slash + 1;
}

static tl_status parse_parts(tl_layout layout, char *path, tl_dataset *dataset, tl_buf *symbol, tl_range *period, tl_error *err) {
  const char *name = cut_last(path);
  int year, month;
  if (layout == TL_LAYOUT_FLAT) {
    if (name && tl_parquet_dataset_folder(layout, path, dataset)) return tl_parquet_flat_name(name, symbol, period, err);
  } else {
    const char *month_folder = cut_last(path), *year_folder = cut_last(path), *symbol_folder = cut_last(path);
    if (symbol_folder && tl_parquet_data_name(name) && tl_parquet_month_folder(month_folder, &month) &&
        tl_parquet_year_folder(year_folder, &year) && tl_parquet_dataset_folder(layout, path, dataset)) {
      *period = period_of(year, month);
      return tl_parquet_symbol_folder(symbol_folder, symbol, err);
    }
  }
  return tl_fail(err, TL_ENOTFOUND, "this is no data file of the %s layout", tl_layout_name(layout));
}

tl_status tl_table_parse(tl_layout layout, const char *path, tl_dataset *dataset, tl_table_file *out, tl_error *err) {
  tl_buf symbol = {0};
  tl_range period = {0};
  char *parts = tl_strdup(path);
  if (!parts) return tl_fail(err, TL_ENOMEM, "cannot read the path '%s'", path);
  tl_status st = parse_parts(layout, parts, dataset, &symbol, &period, err);
  if (st) st = tl_fail_within(err, st, "'%s'", path);
  else st = tl_parquet_file(layout, dataset, symbol.data, period, path, out, err);
  tl_buf_deinit(&symbol);
  tl_free(parts);
  return st;
}
