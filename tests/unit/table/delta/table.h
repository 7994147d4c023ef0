/* table.h - a Delta table in a scratch folder, for the tests of delta/: raw logs by hand, or made through the format. */
#ifndef TL_TESTS_UNIT_TABLE_DELTA_TABLE_H
#define TL_TESTS_UNIT_TABLE_DELTA_TABLE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "table/delta/delta.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define F (&tl_format_delta)

typedef struct table {
  char folder[64];
  tl_store *store;
  tl_engine *engine;
  tl_table_env env;
  tl_table_log *log;
  tl_error err;
} table;

static inline void table_command(const char *format, ...) {
  char command[600];
  va_list args;
  va_start(args, format);
  vsnprintf(command, sizeof command, format, args);
  va_end(args);
  assert_int_equal(system(command), 0);
}

/* engine false: nothing of the test needs a checkpoint. */
static inline void table_open(table *t, bool engine) {
  memset(t, 0, sizeof *t);
  strcpy(t->folder, "/tmp/tl-delta-XXXXXX");
  assert_non_null(mkdtemp(t->folder));
  assert_int_equal(tl_store_open(t->folder, NULL, &t->store, &t->err), TL_OK);
  if (engine) assert_int_equal(tl_engine_open(&(tl_engine_options){.threads = 2}, &t->engine, &t->err), TL_OK);
  t->env = (tl_table_env){.engine = t->engine, .temp = "/tmp"};
  assert_int_equal(F->open(t->store, &t->env, &t->log, &t->err), TL_OK);
}

static inline void table_close(table *t) {
  F->close(t->log);
  tl_engine_close(t->engine);
  tl_store_close(t->store);
  table_command("rm -rf '%s'", t->folder);
}

static inline void table_put(table *t, const char *name, const char *text) { /* a file of _delta_log */
  char path[200];
  snprintf(path, sizeof path, "%s/_delta_log", t->folder);
  mkdir(path, 0755);
  snprintf(path, sizeof path, "%s/_delta_log/%s", t->folder, name);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
  assert_int_equal(fclose(file), 0);
}

static inline void table_commit_text(table *t, int version, const char *text) {
  char name[40];
  snprintf(name, sizeof name, "%020d.json", version);
  table_put(t, name, text);
}

static inline bool table_has(const table *t, const char *name) {
  char path[200];
  snprintf(path, sizeof path, "%s/_delta_log/%s", t->folder, name);
  return access(path, F_OK) == 0;
}

static inline tl_snapshot *table_load(table *t) {
  tl_snapshot *s = NULL;
  tl_status st = F->load(t->log, (tl_at){TL_AT_LATEST, 0}, &s, &t->err);
  if (st) print_message("%s\n", t->err.message);
  assert_int_equal(st, TL_OK);
  return s;
}

static inline tl_snapshot *table_load_version(table *t, int64_t version) {
  tl_snapshot *s = NULL;
  tl_status st = F->load(t->log, (tl_at){TL_AT_VERSION, version}, &s, &t->err);
  if (st) print_message("%s\n", t->err.message);
  assert_int_equal(st, TL_OK);
  return s;
}

/* symbol, timestamp, close, volume; partitioned by symbol. */
static inline void table_create(table *t, const tl_pair *properties, size_t property_count) {
  static char symbol[] = "symbol", timestamp[] = "timestamp", close[] = "close", volume[] = "volume";
  tl_field items[] = {{.name = symbol, .type = TL_FIELD_STRING, .nullable = true},
                      {.name = timestamp, .type = TL_FIELD_TIMESTAMP, .nullable = true},
                      {.name = close, .type = TL_FIELD_F64, .nullable = true},
                      {.name = volume, .type = TL_FIELD_I64, .nullable = true}};
  tl_fields fields = {items, COUNT(items), 0};
  tl_partition_field by = {.name = symbol, .transform = TL_TRANSFORM_IDENTITY, .source = 0, .column = 0};
  tl_partitioning partitioning = {&by, 1};
  tl_create create = {.name = "bars", .fields = &fields, .partitioning = &partitioning, .properties = properties, .property_count = property_count};
  tl_committed done;
  tl_status st = F->create(t->log, &create, &done, &t->err);
  if (st) print_message("%s\n", t->err.message);
  assert_int_equal(st, TL_OK);
}

typedef struct file_of { /* a data file to add: symbol NULL is the NULL partition */
  char path[200];
  char *partition[1];
  tl_data_file file;
} file_of;

static inline void file_init(file_of *f, const char *path, const char *symbol, int64_t rows) {
  memset(f, 0, sizeof *f);
  snprintf(f->path, sizeof f->path, "%s", path);
  f->partition[0] = (char *)(uintptr_t)symbol;
  f->file = (tl_data_file){.path = f->path, .partition = f->partition, .size_bytes = 1000 + rows, .rows = rows, .modified_ms = 1700000000000};
}

static inline tl_status table_append(table *t, const tl_snapshot *base, const char *path, const char *symbol, tl_committed *out) {
  file_of f;
  tl_committed ignored;
  file_init(&f, path, symbol, 10);
  tl_edit edit = {.operation = "WRITE", .adds = &f.file, .add_count = 1, .data_change = true, .reads = TL_READS_NOTHING};
  return F->commit(t->log, base, &edit, out ? out : &ignored, &t->err);
}
#endif
