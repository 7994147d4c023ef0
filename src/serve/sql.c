/* sql.c - SQL over the lake: one temporary view per dataset on the query's own connection. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/io.h"
#include "serve/copies.h"
#include "serve/reading_tables.h"
#include "serve/source.h"
#include "table/dataset_table.h"

/* The word stands somewhere in the text, in any letter case, not as part of a longer word. */
static bool names(const char *text, const char *word) {
  size_t len = strlen(word);
  for (const char *at = text; (at = strcasestr(at, word)) != NULL; at++) {
    bool begins = at == text || (!isalnum((unsigned char)at[-1]) && at[-1] != '_');
    bool ends = !isalnum((unsigned char)at[len]) && at[len] != '_';
    if (begins && ends) return true;
  }
  return false;
}

/* Making a view looks at the dataset's files, so it is done only for what the text may need: the tables it names, or
 * all when it asks what tables there are. */
static bool may_need(const char *sql, const char *dataset) {
  static const char *const catalogs[] = {"show", "describe", "summarize", "pragma", "information_schema", "sqlite_master"};
  for (size_t i = 0; i < sizeof catalogs / sizeof *catalogs; i++)
    if (names(sql, catalogs[i])) return true;
  return names(sql, dataset) || strcasestr(sql, "duckdb_");
}

static tl_status append_view(tl_engine *engine, tl_store *lake, tl_copies *copies, tl_layout layout, const tl_dataset *dataset, tl_buf *views,
                             tl_error *err) {
  const char *columns[TL_SOURCE_COLUMNS_MAX];
  size_t count = tl_source_columns(tl_kind_def_of(dataset->kind), columns);
  tl_table_files files = {0};
  tl_buf literals = {0};
  char *first = NULL;
  tl_source source = {.layout = layout, .dataset = dataset, .uniform = true};
  tl_status st = tl_table_list(lake, layout, dataset, NULL, NULL, &files, err);
  if (!st) st = tl_copies_bring(copies, files.items, files.count, err);
  if (!st && files.count) {
    const char *folder = tl_copies_folder(copies);
    for (size_t i = 0; i < files.count; i++) source.uniform &= files.items[i].canonical;
    first = tl_io_join(folder, files.items[0].path);
    st = first ? tl_source_literals(folder, files.items, files.count, &literals, err) : tl_fail(err, TL_ENOMEM, "cannot read '%s'", folder);
    source.first = first;
    source.files = literals.data;
    if (!st) st = tl_buf_appendf(views, err, "CREATE OR REPLACE TEMP VIEW \"%s\" AS ", dataset->name);
    if (!st) st = tl_source_select(engine, &source, columns, count, views, err);
    if (!st) st = tl_buf_appends(views, ";\n", err);
  }
  tl_free(first);
  tl_buf_deinit(&literals);
  tl_table_files_deinit(&files);
  return st;
}

/* "Table with name x does not exist!" gets the names of those that do, instead of DuckDB's guess among its own. */
static tl_status explain(tl_status st, const tl_table_datasets *datasets, tl_error *err) {
  char *end = err && st == TL_ESQL && strstr(err->message, "Table with name") ? strstr(err->message, "does not exist!") : NULL;
  if (!end) return st;
  size_t at = (size_t)(end - err->message) + strlen("does not exist!"), room = sizeof err->message;
  int written = snprintf(err->message + at, room - at, datasets->count ? " This lake has" : " This lake is empty");
  for (size_t i = 0; written > 0 && (at += (size_t)written) < room && i < datasets->count; i++)
    written = snprintf(err->message + at, room - at, "%s %s", i ? "," : "", datasets->items[i].name);
  return st;
}

tl_status tl_sql_open(tl_engine *engine, tl_store *lake, tl_layout layout, tl_sources *sources, const char *sql,
                      struct ArrowArrayStream *out, tl_error *err) {
  bool tables = tl_layout_is_table(layout);
  tl_table_datasets datasets = {0};
  tl_buf views = {0};
  tl_copies *copies = NULL;
  tl_status st = tables ? tl_dataset_tables_list(tl_store_uri(lake), tl_sources_settings(sources), &datasets, NULL, err)
                        : tl_table_datasets_list(lake, layout, &datasets, err);
  if (!st) st = tl_copies_open(lake, &copies, err);
  for (size_t i = 0; !st && i < datasets.count; i++) {
    if (!may_need(sql, datasets.items[i].name)) continue;
    st = tables ? tl_read_table_view(sources, lake, &datasets.items[i], &views, err)
                : append_view(engine, lake, copies, layout, &datasets.items[i], &views, err);
  }
  if (!st) st = explain(tl_engine_query_after(engine, views.len ? views.data : NULL, sql, out, err), &datasets, err);
  if (!st) st = tl_copies_keep(out, copies, err);
  else tl_copies_close(copies);
  tl_buf_deinit(&views);
  tl_table_datasets_deinit(&datasets);
  return st;
}
