/* iceberg_table.h - a table in a folder of one's own, two handles on it, and edits in a line each. For tests of this folder. */
#ifndef TL_TEST_TABLE_ICEBERG_TABLE_H
#define TL_TEST_TABLE_ICEBERG_TABLE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/io.h"
#include "table/snapshot.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

typedef struct table {
  char folder[128];
  tl_store *store;
  tl_table_log *log;
} table;

static inline void table_open(table *t, const char *folder) { /* NULL: a new one */
  tl_error err = {0};
  if (folder) {
    snprintf(t->folder, sizeof t->folder, "%s", folder);
  } else {
    snprintf(t->folder, sizeof t->folder, "%s/tl-iceberg-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(t->folder));
  }
  if (tl_store_open(t->folder, NULL, &t->store, &err)) fail_msg("open: %s", err.message);
  if (tl_format_iceberg.open(t->store, NULL, &t->log, &err)) fail_msg("open: %s", err.message);
}

static inline void table_close(table *t, bool remove) {
  tl_format_iceberg.close(t->log);
  tl_store_close(t->store);
  if (remove) assert_int_equal(tl_io_remove_tree(t->folder, NULL), TL_OK);
}

/* symbol, at, price, ladder; by symbol and month of at. */
static inline tl_fields table_fields(void) {
  static tl_field items[4];
  items[0] = (tl_field){.name = (char *)(uintptr_t)"symbol", .type = TL_FIELD_STRING};
  items[1] = (tl_field){.name = (char *)(uintptr_t)"at", .type = TL_FIELD_TIMESTAMP, .nullable = true};
  items[2] = (tl_field){.name = (char *)(uintptr_t)"price", .type = TL_FIELD_F64, .nullable = true};
  items[3] = (tl_field){.name = (char *)(uintptr_t)"ladder", .type = TL_FIELD_LIST, .element = TL_FIELD_F64, .nullable = true};
  return (tl_fields){.items = items, .count = 4};
}

static inline void table_create(table *t) {
  static tl_partition_field by[2];
  by[0] = (tl_partition_field){.name = (char *)(uintptr_t)"symbol", .transform = TL_TRANSFORM_IDENTITY, .source = 0, .column = 0};
  by[1] = (tl_partition_field){.name = (char *)(uintptr_t)"at_month", .transform = TL_TRANSFORM_MONTH, .source = 1, .column = -1};
  const tl_fields fields = table_fields();
  const tl_partitioning partitioning = {by, 2};
  const tl_create create = {.name = "ticks", .fields = &fields, .partitioning = &partitioning};
  tl_committed out;
  tl_error err = {0};
  if (tl_format_iceberg.create(t->log, &create, &out, &err)) fail_msg("create: %s", err.message);
  assert_int_equal(out.version, -1);
  assert_int_equal(out.sequence, 1);
}

static inline tl_snapshot *table_load_at(table *t, tl_at at) {
  tl_snapshot *s = NULL;
  tl_error err = {0};
  if (tl_format_iceberg.load(t->log, at, &s, &err)) fail_msg("load: %s", err.message);
  return s;
}

static inline tl_snapshot *table_load(table *t) { return table_load_at(t, (tl_at){.kind = TL_AT_LATEST}); }

/* "data/a.parquet" of AAPL in 2024-01 with 10 rows. */
static inline tl_data_file file_of(const char *path, const char *symbol, const char *month, int64_t rows) {
  char **texts = calloc(2, sizeof *texts);
  texts[0] = (char *)(uintptr_t)symbol;
  texts[1] = (char *)(uintptr_t)month;
  return (tl_data_file){.path = (char *)(uintptr_t)path, .partition = texts, .size_bytes = rows * 100, .rows = rows};
}

static inline tl_status commit(table *t, const tl_snapshot *base, const tl_edit *edit, tl_committed *out, tl_error *err) {
  tl_committed mine;
  return tl_format_iceberg.commit(t->log, base, edit, out ? out : &mine, err);
}

/* Appends one file onto the newest snapshot. */
static inline tl_committed append(table *t, const char *path, const char *symbol, const char *month, int64_t rows) {
  tl_snapshot *base = table_load(t);
  tl_data_file file = file_of(path, symbol, month, rows);
  const tl_edit edit = {.operation = "WRITE", .adds = &file, .add_count = 1, .data_change = true};
  tl_committed out;
  tl_error err = {0};
  if (commit(t, base, &edit, &out, &err)) fail_msg("append: %s", err.message);
  free(file.partition);
  tl_snapshot_close(base);
  return out;
}

/* "a.parquet b.parquet": the live files, by path. */
static inline void assert_files(const tl_snapshot *s, const char *expected) {
  char text[4096] = "";
  for (size_t i = 0; i < s->file_count; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "", s->files[i].path);
  assert_string_equal(text, expected);
}

static inline void assert_live(table *t, const char *expected) {
  tl_snapshot *s = table_load(t);
  assert_files(s, expected);
  tl_snapshot_close(s);
}
#endif
