/* list_objects.c - what of a lake is there on an object store: its keys from one prefix on, each read back as a path. Of a
 * symbol the prefixes are our spelling and the plain one: other spellings by other hands are found when all are listed. */
#include <string.h>

#include "table/parquet/parquet.h"

typedef struct sieve {
  tl_layout layout;
  const tl_dataset *dataset;
  const char *symbol;    /* NULL: all */
  const tl_range *range; /* NULL: all */
  tl_table_files *files; /* where what passes goes, or */
  tl_symbols *symbols;   /* its symbol, or NULL both: the first ends the list */
  bool found;
  tl_status status;
  tl_error *err;
} sieve;

static int sift(void *to, const char *key, const tl_store_info *info) {
  sieve *s = to;
  tl_dataset dataset;
  tl_table_file file = {0}, *next = NULL;
  tl_error why = {0};
  tl_status st = tl_table_parse(s->layout, key, &dataset, &file, &why);
  if (st == TL_ENOTFOUND) return 0; /* no data file of this layout */
  if (st && s->err) *s->err = why;
  bool passes = !st && !strcmp(dataset.name, s->dataset->name) && (!s->symbol || !strcmp(s->symbol, file.symbol)) &&
                !tl_range_empty(file.period) && (!s->range || tl_range_overlaps(file.period, *s->range));
  if (passes) s->found = true;
  if (passes && s->symbols) st = tl_symbols_add(s->symbols, file.symbol, strlen(file.symbol), s->err);
  if (passes && s->files && !(st = tl_parquet_room(s->files, &next, s->err))) {
    file.bytes = info->size_bytes;
    *next = file;
    file = (tl_table_file){0};
    s->files->count++;
  }
  tl_table_file_deinit(&file);
  s->status = st;
  return st || (passes && !s->files && !s->symbols);
}

static tl_status list(tl_store *lake, const char *prefix, sieve *s, tl_error *err) {
  s->err = err;
  tl_status st = tl_store_list(lake, prefix, NULL, false, sift, s, err);
  return st ? st : s->status;
}

/* "equities_1min/symbol=A%2FB/" or "bars/1m/A%2FB." */
static tl_status symbol_prefix(const sieve *s, bool plain, tl_buf *out, tl_error *err) {
  if (plain && s->layout == TL_LAYOUT_HIVE) return tl_buf_appendf(out, err, "%s/symbol=%s/", s->dataset->name, s->symbol);
  if (plain) return tl_buf_appendf(out, err, "%s/%s.", s->dataset->flat, s->symbol);
  tl_status st = tl_table_path(s->layout, s->dataset, s->symbol, 0, out, err);
  if (st) return st;
  const char *end = s->layout == TL_LAYOUT_HIVE ? strstr(out->data, "/year=") : out->data + out->len - strlen(s->dataset->by_year ? "1970.parquet" : "1970-01.parquet") - 1;
  out->len = (size_t)(end - out->data) + 1;
  out->data[out->len] = 0;
  return TL_OK;
}

static tl_status list_symbol(tl_store *lake, sieve *s, tl_error *err) {
  tl_buf ours = {0}, plain = {0};
  tl_status st = symbol_prefix(s, false, &ours, err);
  if (!st) st = symbol_prefix(s, true, &plain, err);
  if (!st) st = list(lake, ours.data, s, err);
  bool other = !st && strcmp(ours.data, plain.data) != 0 && !strchr(s->symbol, '/');
  if (other && !(s->found && !s->files)) st = list(lake, plain.data, s, err);
  tl_buf_deinit(&ours);
  tl_buf_deinit(&plain);
  return st;
}

static tl_status list_dataset(tl_store *lake, sieve *s, tl_error *err) {
  if (s->symbol) return list_symbol(lake, s, err);
  tl_buf prefix = {0};
  tl_status st = tl_buf_appendf(&prefix, err, "%s/", s->layout == TL_LAYOUT_HIVE ? s->dataset->name : s->dataset->flat);
  if (!st) st = list(lake, prefix.data, s, err);
  tl_buf_deinit(&prefix);
  return st;
}

tl_status tl_parquet_list_objects(tl_store *lake, tl_layout layout, const tl_dataset *dataset, const char *symbol,
                                  const tl_range *range, tl_table_files *out, tl_error *err) {
  sieve s = {.layout = layout, .dataset = dataset, .symbol = symbol, .range = range, .files = out};
  return list_dataset(lake, &s, err);
}

tl_status tl_parquet_has_object(tl_store *lake, tl_layout layout, const tl_dataset *dataset, const char *symbol, bool *found,
                                tl_error *err) {
  sieve s = {.layout = layout, .dataset = dataset, .symbol = symbol};
  tl_status st = list_dataset(lake, &s, err);
  *found = s.found;
  return st;
}

tl_status tl_parquet_symbols_of_objects(tl_store *lake, tl_layout layout, const tl_dataset *dataset, tl_symbols *out, tl_error *err) {
  sieve s = {.layout = layout, .dataset = dataset, .symbols = out};
  return list_dataset(lake, &s, err);
}

/* ---- datasets: one LIST a folder, each from behind the one before ---- */

typedef struct first_key {
  tl_buf key;
  tl_status status;
  tl_error *err;
} first_key;

static int take_key(void *to, const char *key, const tl_store_info *info) {
  first_key *first = to;
  (void)info;
  first->status = tl_buf_appends(&first->key, key, first->err);
  return 1;
}

tl_status tl_parquet_datasets_of_objects(tl_store *lake, tl_layout layout, const char *prefix, tl_table_datasets *out, tl_error *err) {
  first_key first = {.err = err};
  tl_buf after = {0};
  tl_status st = TL_OK;
  for (;;) {
    tl_dataset dataset;
    tl_buf_clear(&first.key);
    st = tl_store_list(lake, prefix, after.len ? after.data : NULL, false, take_key, &first, err);
    if (!st) st = first.status;
    if (st || !first.key.len) break;
    char *slash = strchr(first.key.data + strlen(prefix), '/');
    if (slash) *slash = 0;
    if (slash && tl_parquet_dataset_folder(layout, first.key.data, &dataset)) st = tl_table_datasets_add(out, &dataset, err);
    tl_buf_clear(&after);
    if (!st) st = tl_buf_appendf(&after, err, "%s%s", first.key.data, slash ? "0" : ""); /* '0' comes after '/' */
    if (st) break;
  }
  tl_buf_deinit(&first.key);
  tl_buf_deinit(&after);
  return st;
}
