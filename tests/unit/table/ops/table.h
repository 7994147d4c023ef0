/* table.h - what the tests of ops/ share: a table in a folder of its own, rows by SQL, the truth beside it.
 * The truth is a plain DuckDB table that the same rows go to by plain INSERT, UPDATE and DELETE. */
#ifndef TL_TESTS_TABLE_H
#define TL_TESTS_TABLE_H
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
#include "table/relation.h"

typedef struct table_fixture {
  char folder[64];
  tl_engine *engine; /* shared by the table and the truth, so that one query sees both */
  tl_relation *relation;
  const char *faces;
  tl_changed changed; /* of the last verb */
} table_fixture;

#define MUST(call)                                                                 \
  do {                                                                             \
    tl_error must_err = {0};                                                       \
    tl_error *err = &must_err;                                                     \
    if ((call) != TL_OK) fail_msg("%s:%d: %s", __FILE__, __LINE__, must_err.message); \
  } while (0)

static inline void table_start(table_fixture *t, const char *faces) {
  *t = (table_fixture){.faces = faces};
  strcpy(t->folder, "/tmp/ticklake-ops-XXXXXX");
  assert_non_null(mkdtemp(t->folder));
  MUST(tl_engine_open(&(tl_engine_options){.memory_bytes = 512 << 20, .threads = 2}, &t->engine, err));
}

static inline tl_relation_options table_options(table_fixture *t) {
  return (tl_relation_options){.engine = t->engine, .file_bytes = 1 << 20};
}

static inline void table_stop(table_fixture *t) {
  char command[128];
  tl_relation_close(t->relation);
  tl_engine_close(t->engine);
  snprintf(command, sizeof command, "rm -rf '%s'", t->folder);
  assert_int_equal(system(command), 0);
  *t = (table_fixture){0};
}

static inline void table_create(table_fixture *t, const char *columns, const char *partition_by, const char *sort) {
  tl_pair properties[] = {{"ticklake.sort", (char *)(uintptr_t)sort}};
  tl_relation_create create = {.faces = t->faces, .columns = columns, .partition_by = partition_by, .properties = properties, .property_count = sort ? 1 : 0};
  tl_relation_options options = table_options(t);
  MUST(tl_relation_create_table(t->folder, &options, &create, &t->relation, err));
}

static inline void table_reopen(table_fixture *t) {
  tl_relation_options options = table_options(t);
  tl_relation_close(t->relation);
  t->relation = NULL;
  MUST(tl_relation_open(t->folder, &options, &t->relation, err));
}

static inline void run_sql(table_fixture *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void run_sql(table_fixture *t, const char *format, ...) {
  char sql[8192];
  va_list args;
  va_start(args, format);
  vsnprintf(sql, sizeof sql, format, args);
  va_end(args);
  MUST(tl_engine_run(t->engine, sql, err));
}

static inline int64_t one_number(table_fixture *t, const char *sql) {
  int64_t out = 0;
  tl_error why = {0};
  if (tl_engine_numbers(t->engine, sql, NULL, 0, &out, 1, &why)) fail_msg("%s\nin %.2000s", why.message, sql);
  return out;
}

static inline void append_rows(table_fixture *t, const char *rows) {
  MUST(tl_relation_append(t->relation, &(tl_write){.rows = rows}, &t->changed, err));
}
static inline void merge_rows(table_fixture *t, const char *rows, const char *keys) {
  MUST(tl_relation_merge(t->relation, &(tl_write){.rows = rows}, keys, &t->changed, err));
}

/* Rows of the table (where: pruned by, and filtered) that the query `truth` lacks, and the other way about, bag-wise; of the
 * columns named. */
static inline void assert_rows_where(table_fixture *t, tl_relation *relation, const tl_at *at, const char *where, const char *columns, const char *truth) {
  tl_buf sql = {0}, ours = {0};
  MUST(tl_relation_sql(relation, at, where, &ours, err));
  MUST(tl_buf_appendf(&sql, err,
                      "WITH ours AS MATERIALIZED (SELECT %s FROM (%s)), truth AS MATERIALIZED (SELECT %s FROM (%s)) "
                      "SELECT (SELECT count(*) FROM (FROM ours EXCEPT ALL FROM truth)) + (SELECT count(*) FROM (FROM truth EXCEPT ALL FROM ours))",
                      columns, ours.data, columns, truth));
  int64_t wrong = one_number(t, sql.data);
  if (wrong) fail_msg("%lld rows differ%s%s, against %s", (long long)wrong, where ? " where " : "", where ? where : "", truth);
  tl_buf_deinit(&sql);
  tl_buf_deinit(&ours);
}

static inline void tell_problem(void *to, const char *path, const char *problem) {
  (void)to;
  print_error("%s: %s\n", path, problem);
}

/* The rows are those of `truth`, in every face by itself too, and verify has no complaint. */
static inline void assert_table(table_fixture *t, const char *columns, const char *truth) {
  tl_verified verified;
  assert_rows_where(t, t->relation, NULL, NULL, columns, truth);
  MUST(tl_relation_verify(t->relation, tell_problem, NULL, &verified, err));
  assert_int_equal(verified.wrong, 0);
  for (const char *face = t->faces; !strcmp(t->faces, "delta,iceberg") && face; face = face == t->faces ? "iceberg" : NULL) {
    tl_relation *one = NULL;
    tl_relation_options options = table_options(t);
    options.face = face == t->faces ? "delta" : "iceberg";
    MUST(tl_relation_open(t->folder, &options, &one, err));
    assert_rows_where(t, one, NULL, NULL, columns, truth);
    MUST(tl_relation_verify(one, tell_problem, NULL, &verified, err));
    assert_int_equal(verified.wrong, 0);
    tl_relation_close(one);
  }
}

static const char *const faces_of[] = {"delta", "iceberg", "delta,iceberg"};
#define FOR_EACH_FACES(body)                      \
  for (size_t f = 0; f < 3; f++) {                \
    table_fixture t;                              \
    int64_t live = tl_alloc_live();               \
    table_start(&t, faces_of[f]);                 \
    body(&t);                                     \
    table_stop(&t);                               \
    assert_int_equal(tl_alloc_live(), live);      \
  }

static inline void assert_refused(tl_status st, tl_status wanted, const tl_error *err, const char *words) {
  if (st != wanted || !strstr(err->message, words)) fail_msg("status %d, '%s' instead of %d with '%s'", (int)st, err->message, (int)wanted, words);
}
#endif
