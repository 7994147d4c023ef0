/* list.c - what of a lake is there: one directory listing per folder that may hold an answer. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "table/parquet/parquet.h"

/* A walk through one dataset. `at` is the folder the walk is in, relative to the lake. */
typedef struct walk {
  const char *lake;
  tl_layout layout;
  const tl_dataset *dataset;
  const char *symbol;    /* NULL: all */
  const tl_range *range; /* NULL: all */
  tl_table_files *out;   /* NULL: only find out whether there is a file */
  bool found;            /* there is one, of this symbol unless `any` */
  bool any;              /* the first file of any symbol ends the walk */
  tl_buf at, full, name; /* name: the symbol of the entry looked at */
} walk;

static void walk_deinit(walk *w) {
  tl_buf_deinit(&w->at);
  tl_buf_deinit(&w->full);
  tl_buf_deinit(&w->name);
}

/* Lists a folder of the lake; a folder that is not there (any more), or is a file, has no entries. */
static tl_status list_folder(walk *w, tl_io_names *names, tl_error *err) {
  *names = (tl_io_names){0};
  tl_buf_clear(&w->full);
  tl_error why = {0};
  tl_status st = tl_buf_appendf(&w->full, &why, "%s/%s", w->lake, w->at.len ? w->at.data : ".");
  if (!st) st = tl_io_list(w->full.data, names, &why);
  return !st || st == TL_ENOTFOUND ? TL_OK : tl_fail(err, st, "%s", why.message);
}

static tl_status enter(walk *w, const char *name, tl_error *err) { return tl_buf_appendf(&w->at, err, "/%s", name); }

static void leave(walk *w, size_t len) {
  w->at.len = len;
  w->at.data[len] = 0;
}

static bool wanted(const walk *w, tl_range period) {
  return !tl_range_empty(period) && (!w->range || tl_range_overlaps(period, *w->range));
}

static tl_status add_file(walk *w, const char *symbol, tl_range period, tl_error *err) {
  w->found = true;
  if (!w->out) return TL_OK;
  tl_table_file *file = NULL;
  tl_status st = tl_parquet_room(w->out, &file, err);
  if (!st) st = tl_parquet_file(w->layout, w->dataset, symbol, period, w->at.data, file, err);
  if (!st) w->out->count++;
  return st;
}

tl_status tl_parquet_room(tl_table_files *files, tl_table_file **next, tl_error *err) {
  if (files->count == files->capacity) {
    size_t more = files->capacity ? files->capacity * 2 : 16;
    tl_table_file *grown = tl_realloc_array(files->items, more, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot list %zu files", more);
    files->items = grown;
    files->capacity = more;
  }
  *next = &files->items[files->count];
  return TL_OK;
}

/* ---- hive ---- */

static bool done(const walk *w) { return w->found && !w->out; }

static tl_status walk_month(walk *w, const char *symbol, tl_range period, tl_error *err) {
  tl_io_names names;
  tl_status st = list_folder(w, &names, err);
  size_t len = w->at.len;
  for (size_t i = 0; !st && i < names.count && !done(w); i++) {
    if (!tl_parquet_data_name(names.names[i])) continue;
    st = enter(w, names.names[i], err);
    if (!st) st = add_file(w, symbol, period, err);
    leave(w, len);
  }
  tl_io_names_deinit(&names);
  return st;
}

static tl_status walk_year(walk *w, const char *symbol, int year, tl_error *err) {
  tl_io_names names;
  tl_status st = list_folder(w, &names, err);
  size_t len = w->at.len;
  for (size_t i = 0; !st && i < names.count && !done(w); i++) {
    int month;
    if (!tl_parquet_month_folder(names.names[i], &month) || !wanted(w, tl_parquet_period(year, month))) continue;
    st = enter(w, names.names[i], err);
    if (!st) st = walk_month(w, symbol, tl_parquet_period(year, month), err);
    leave(w, len);
  }
  tl_io_names_deinit(&names);
  return st;
}

static tl_status walk_symbol(walk *w, const char *symbol, tl_error *err) {
  tl_io_names names;
  tl_status st = list_folder(w, &names, err);
  size_t len = w->at.len;
  for (size_t i = 0; !st && i < names.count && !done(w); i++) {
    int year;
    if (!tl_parquet_year_folder(names.names[i], &year) || !wanted(w, tl_parquet_period(year, 0))) continue;
    st = enter(w, names.names[i], err);
    if (!st) st = walk_year(w, symbol, year, err);
    leave(w, len);
  }
  tl_io_names_deinit(&names);
  return st;
}

typedef tl_status (*each_symbol)(walk *w, const char *symbol, void *to, tl_error *err);

static tl_status files_of_symbol(walk *w, const char *symbol, void *to, tl_error *err) {
  (void)to;
  return walk_symbol(w, symbol, err);
}

/* What reading a name gave: a name that is no data of ours is passed over. */
static tl_status recognised(tl_status st, const tl_error *why, bool *is_data, tl_error *err) {
  *is_data = st == TL_OK;
  return !st || st == TL_ENOTFOUND ? TL_OK : tl_fail(err, st, "%s", why->message);
}

static tl_status walk_hive(walk *w, each_symbol each, void *to, tl_error *err) {
  tl_io_names names;
  tl_error why = {0};
  tl_status st = tl_buf_appends(&w->at, w->dataset->name, err);
  if (st) return st;
  st = list_folder(w, &names, err);
  size_t len = w->at.len;
  for (size_t i = 0; !st && i < names.count && !(w->any && w->found); i++) {
    bool is_data = false;
    st = recognised(tl_parquet_symbol_folder(names.names[i], &w->name, &why), &why, &is_data, err);
    if (is_data && !(w->symbol && strcmp(w->symbol, w->name.data))) {
      st = enter(w, names.names[i], err);
      if (!st) st = each(w, w->name.data, to, err);
      leave(w, len);
    }
  }
  tl_io_names_deinit(&names);
  return st;
}

/* ---- flat ---- */

static tl_status file_of_symbol(walk *w, const char *symbol, void *to, tl_error *err) {
  return add_file(w, symbol, *(const tl_range *)to, err);
}

static tl_status walk_flat(walk *w, each_symbol each, void *to, tl_error *err) {
  tl_io_names names;
  tl_error why = {0};
  tl_status st = tl_buf_appends(&w->at, w->dataset->flat, err);
  if (st) return st;
  st = list_folder(w, &names, err);
  size_t len = w->at.len;
  for (size_t i = 0; !st && i < names.count && !(w->any && w->found); i++) {
    tl_range period;
    bool is_data = false;
    st = recognised(tl_parquet_flat_name(names.names[i], &w->name, &period, &why), &why, &is_data, err);
    if (is_data && wanted(w, period) && !(w->symbol && strcmp(w->symbol, w->name.data))) {
      st = enter(w, names.names[i], err);
      if (!st) st = each(w, w->name.data, to ? to : &period, err);
      leave(w, len);
    }
  }
  tl_io_names_deinit(&names);
  return st;
}

/* ---- what others ask ---- */

static int compare_files(const void *a, const void *b) {
  const tl_table_file *x = a, *y = b;
  int order = strcmp(x->symbol, y->symbol);
  if (order) return order;
  if (x->period.start_ns != y->period.start_ns) return x->period.start_ns < y->period.start_ns ? -1 : 1;
  return strcmp(x->path, y->path);
}

static tl_status go(walk *w, each_symbol hive, each_symbol flat, void *to, tl_error *err) {
  return w->layout == TL_LAYOUT_HIVE ? walk_hive(w, hive, to, err) : walk_flat(w, flat, to, err);
}

tl_status tl_table_list(tl_store *lake, tl_layout layout, const tl_dataset *dataset, const char *symbol,
                        const tl_range *range, tl_table_files *out, tl_error *err) {
  walk w = {.lake = tl_store_local(lake), .layout = layout, .dataset = dataset, .symbol = symbol, .range = range, .out = out};
  tl_status st = w.lake ? go(&w, files_of_symbol, file_of_symbol, NULL, err)
                        : tl_parquet_list_objects(lake, layout, dataset, symbol, range, out, err);
  if (!st && out->count) qsort(out->items, out->count, sizeof *out->items, compare_files);
  walk_deinit(&w);
  return st;
}

void tl_table_files_deinit(tl_table_files *files) {
  for (size_t i = 0; i < files->count; i++) tl_table_file_deinit(&files->items[i]);
  tl_free(files->items);
  *files = (tl_table_files){0};
}

static tl_status symbol_with_file(walk *w, const char *symbol, void *to, tl_error *err) {
  w->found = w->layout == TL_LAYOUT_FLAT;
  tl_status st = w->found ? TL_OK : walk_symbol(w, symbol, err);
  return st || !w->found ? st : tl_symbols_add(to, symbol, strlen(symbol), err);
}

static int compare_texts(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

tl_status tl_table_symbols(tl_store *lake, tl_layout layout, const tl_dataset *dataset, tl_symbols *out, tl_error *err) {
  walk w = {.lake = tl_store_local(lake), .layout = layout, .dataset = dataset};
  tl_symbols found = {0};
  tl_status st = w.lake ? go(&w, symbol_with_file, symbol_with_file, &found, err)
                        : tl_parquet_symbols_of_objects(lake, layout, dataset, &found, err);
  if (!st && found.count) { /* the hash in tl_symbols knows places, so it is filled again in order */
    qsort(found.items, found.count, sizeof *found.items, compare_texts);
    for (size_t i = 0; !st && i < found.count; i++) st = tl_symbols_add(out, found.items[i], strlen(found.items[i]), err);
  }
  tl_symbols_deinit(&found);
  walk_deinit(&w);
  return st;
}

tl_status tl_table_datasets_add(tl_table_datasets *out, const tl_dataset *dataset, tl_error *err) {
  if (out->count == out->capacity) {
    size_t more = out->capacity ? out->capacity * 2 : 8;
    tl_dataset *grown = tl_realloc_array(out->items, more, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot list the datasets of a lake");
    out->items = grown;
    out->capacity = more;
  }
  out->items[out->count++] = *dataset;
  return TL_OK;
}

/* Datasets among the entries of one folder of the lake; prefix "" or "bars". */
static tl_status add_datasets(const char *lake, tl_layout layout, const char *prefix, tl_table_datasets *out, tl_error *err) {
  walk w = {.lake = lake};
  tl_io_names names = {0};
  tl_buf folder = {0};
  tl_status st = tl_buf_appends(&w.at, prefix, err);
  if (!st) st = list_folder(&w, &names, err);
  for (size_t i = 0; !st && i < names.count; i++) {
    tl_dataset dataset;
    tl_buf_clear(&folder);
    st = tl_buf_appendf(&folder, err, "%s%s%s", prefix, prefix[0] ? "/" : "", names.names[i]);
    if (!st && tl_parquet_dataset_folder(layout, folder.data, &dataset)) st = tl_table_datasets_add(out, &dataset, err);
  }
  tl_buf_deinit(&folder);
  tl_io_names_deinit(&names);
  walk_deinit(&w);
  return st;
}

static int compare_datasets(const void *a, const void *b) {
  return strcmp(((const tl_dataset *)a)->name, ((const tl_dataset *)b)->name);
}

tl_status tl_table_datasets_list(tl_store *lake, tl_layout layout, tl_table_datasets *out, tl_error *err) {
  const char *folder = tl_store_local(lake);
  tl_status st = folder ? add_datasets(folder, layout, "", out, err) : tl_parquet_datasets_of_objects(lake, layout, "", out, err);
  if (!st && layout == TL_LAYOUT_FLAT)
    st = folder ? add_datasets(folder, layout, "bars", out, err) : tl_parquet_datasets_of_objects(lake, layout, "bars/", out, err);
  if (!st && out->count) qsort(out->items, out->count, sizeof *out->items, compare_datasets);
  return st;
}

void tl_table_datasets_deinit(tl_table_datasets *datasets) {
  tl_free(datasets->items);
  *datasets = (tl_table_datasets){0};
}

tl_status tl_table_has(tl_store *lake, tl_layout layout, const tl_dataset *dataset, const char *symbol, bool *found,
                       tl_error *err) {
  walk w = {.lake = tl_store_local(lake), .layout = layout, .dataset = dataset, .symbol = symbol, .any = true};
  tl_status st = w.lake ? go(&w, files_of_symbol, file_of_symbol, NULL, err)
                        : tl_parquet_has_object(lake, layout, dataset, symbol, &w.found, err);
  *found = w.found;
  walk_deinit(&w);
  return st;
}

tl_status tl_table_detect(tl_store *lake, tl_layout *out, tl_error *err) {
  for (tl_layout layout = TL_LAYOUT_HIVE; layout <= TL_LAYOUT_FLAT; layout++) {
    tl_table_datasets datasets = {0};
    bool found = false;
    tl_status st = tl_table_datasets_list(lake, layout, &datasets, err);
    for (size_t i = 0; !st && i < datasets.count && !found; i++) st = tl_table_has(lake, layout, &datasets.items[i], NULL, &found, err);
    tl_table_datasets_deinit(&datasets);
    if (st) return st;
    if (found) {
      *out = layout;
      return TL_OK;
    }
  }
  return tl_fail(err, TL_ENOTFOUND, "'%s' holds no Parquet files in the hive or the flat layout", tl_store_uri(lake));
}
