/* dataset_table.c - see dataset_table.h. */
#include "table/dataset_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "table/parquet/parquet.h"

tl_status tl_dataset_columns(const tl_dataset *dataset, bool types, tl_buf *sql, tl_error *err) {
  const tl_kind_def *def = tl_kind_def_of(dataset->kind);
  tl_status st = tl_buf_appendf(sql, err, "\"%s\"%s", TL_SYMBOL_COLUMN, types ? " VARCHAR" : "");
  for (size_t c = 0; !st && c < def->column_count; c++) {
    st = tl_buf_appendf(sql, err, ", \"%s\"%s%s", def->columns[c].name, types ? " " : "", types ? tl_type_sql(def->columns[c].type) : "");
    if (!st && c == TL_COL_TIME && def->has_ns) st = tl_buf_appendf(sql, err, ", \"%s\"%s", TL_NS_COLUMN, types ? " BIGINT" : "");
  }
  return st;
}

const char *tl_dataset_time_column(const tl_dataset *dataset) {
  const tl_kind_def *def = tl_kind_def_of(dataset->kind);
  return def->has_ns ? TL_NS_COLUMN : def->columns[TL_COL_TIME].name;
}

tl_status tl_dataset_table_open(const char *lake, const tl_dataset *dataset, const tl_relation_options *options,
                                tl_relation **out, tl_error *err) {
  char *uri = tl_io_join(lake, dataset->name);
  tl_status st = uri ? tl_relation_open(uri, options, out, err) : tl_fail(err, TL_ENOMEM, "cannot open a table of '%s'", lake);
  tl_free(uri);
  return st;
}

tl_status tl_dataset_table_make(const char *lake, tl_layout layout, const tl_dataset *dataset,
                                const tl_relation_options *options, tl_relation **out, tl_error *err) {
  tl_status st = tl_dataset_table_open(lake, dataset, options, out, err);
  if (st != TL_ENOTFOUND) return st;
  char key[] = "ticklake.sort", by_time[] = "symbol,timestamp", by_ns[] = "symbol,timestamp_ns";
  const tl_pair properties[] = {{key, tl_kind_def_of(dataset->kind)->has_ns ? by_ns : by_time}};
  tl_buf columns = {0};
  char *uri = tl_io_join(lake, dataset->name);
  st = uri ? tl_dataset_columns(dataset, true, &columns, err) : tl_fail(err, TL_ENOMEM, "cannot make a table of '%s'", lake);
  tl_relation_create create = {.faces = tl_layout_name(layout), .columns = columns.data, .partition_by = "month(timestamp)",
                               .name = dataset->name, .properties = properties, .property_count = 1};
  if (!st) st = tl_relation_create_table(uri, options, &create, out, err);
  if (st == TL_ECONFLICT) st = tl_relation_open(uri, options, out, err); /* another process was faster */
  tl_buf_deinit(&columns);
  tl_free(uri);
  return st;
}

/* ---- what tables a lake has ---- */

typedef struct folders { /* of the lake, by name */
  char **names;
  size_t count, capacity;
  tl_status status;
} folders;

static tl_status add_folder(folders *f, const char *name, size_t len, tl_error *err) {
  if (f->count == f->capacity) {
    size_t more = f->capacity ? f->capacity * 2 : 16;
    char **grown = tl_realloc_array(f->names, more, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot list the tables of a lake");
    f->names = grown;
    f->capacity = more;
  }
  f->names[f->count] = tl_strndup(name, len);
  if (!f->names[f->count]) return tl_fail(err, TL_ENOMEM, "cannot list the tables of a lake");
  f->count++;
  return TL_OK;
}

static int first_key(void *to, const char *key, const tl_store_info *info) {
  (void)info;
  folders *f = to;
  const char *slash = strchr(key, '/');
  f->status = slash ? add_folder(f, key, (size_t)(slash - key), NULL) : add_folder(f, key, strlen(key), NULL);
  return 1;
}

/* A bucket has no folders: the first key behind each folder's last one tells the next. */
static tl_status list_bucket(tl_store *store, folders *f, tl_error *err) {
  tl_buf after = {0};
  tl_status st = TL_OK;
  for (size_t count = SIZE_MAX; !st && count != f->count;) {
    count = f->count;
    tl_buf_clear(&after);
    if (count) st = tl_buf_appendf(&after, err, "%s0", f->names[count - 1]); /* '0' follows '/' */
    if (!st) st = tl_store_list(store, "", count ? after.data : NULL, false, first_key, f, err);
    if (!st && f->status) st = tl_fail(err, f->status, "cannot list the tables of a lake");
  }
  tl_buf_deinit(&after);
  return st;
}

static tl_status list_folders(tl_store *store, folders *f, tl_error *err) {
  if (!tl_store_is_local(store)) return list_bucket(store, f, err);
  tl_io_names names = {0};
  tl_status st = tl_io_list(tl_store_local(store), &names, err);
  for (size_t i = 0; !st && i < names.count; i++) st = add_folder(f, names.names[i], strlen(names.names[i]), err);
  tl_io_names_deinit(&names);
  return st == TL_ENOTFOUND ? TL_OK : st;
}

static tl_status detect_face(const char *format, tl_store *store, bool *found, tl_error *err) {
  const tl_format *f = tl_format_find(format);
  *found = false;
  return f ? f->detect(store, found, err) : TL_OK;
}

/* Which logs lie at LAKE/NAME; *found false when none does. */
static tl_status detect_logs(const char *lake, const char *name, const tl_settings *settings, bool *found, tl_layout *layout,
                             tl_error *err) {
  bool delta = false, iceberg = false;
  tl_store *store = NULL;
  char *uri = tl_io_join(lake, name);
  tl_status st = uri ? tl_store_open(uri, settings, &store, err) : tl_fail(err, TL_ENOMEM, "cannot look at '%s'", name);
  if (!st) st = detect_face("delta", store, &delta, err);
  if (!st) st = detect_face("iceberg", store, &iceberg, err);
  *found = delta || iceberg;
  *layout = delta && iceberg ? TL_LAYOUT_DELTA_ICEBERG : iceberg ? TL_LAYOUT_ICEBERG : TL_LAYOUT_DELTA;
  tl_store_close(store);
  tl_free(uri);
  return st;
}

static int by_name(const void *a, const void *b) { return strcmp(((const tl_dataset *)a)->name, ((const tl_dataset *)b)->name); }

tl_status tl_dataset_tables_list(const char *lake, const tl_settings *settings, tl_table_datasets *out, tl_layout *layout,
                                 tl_error *err) {
  folders f = {0};
  tl_store *store = NULL;
  tl_status st = tl_store_open(lake, settings, &store, err);
  if (!st) st = list_folders(store, &f, err);
  for (size_t i = 0; !st && i < f.count; i++) {
    tl_dataset dataset;
    tl_layout own = TL_LAYOUT_DELTA;
    bool found = false;
    if (!tl_parquet_dataset_folder(TL_LAYOUT_HIVE, f.names[i], &dataset)) continue;
    st = detect_logs(lake, f.names[i], settings, &found, &own, err);
    if (!st && found) st = tl_table_datasets_add(out, &dataset, err);
    if (!st && found && layout && out->count == 1) *layout = own;
  }
  if (!st && out->count) qsort(out->items, out->count, sizeof *out->items, by_name);
  for (size_t i = 0; i < f.count; i++) tl_free(f.names[i]);
  tl_free(f.names);
  tl_store_close(store);
  return st;
}
