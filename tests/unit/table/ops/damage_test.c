/* Data files that are damaged or gone: whichever verb meets one says which it is, and commits nothing. */
#include "tests/unit/table/ops/table.h"

/* Three files of ten rows whose bounds tell none of them apart. */
static void start_three_files(table_fixture *t) {
  table_create(t, "symbol VARCHAR, n BIGINT, x DOUBLE", NULL, NULL);
  for (int file = 0; file < 3; file++) {
    char rows[120];
    snprintf(rows, sizeof rows, "SELECT 'B' AS symbol, g * 3 + %d AS n, g / 7.0 AS x FROM range(10) t(g)", file);
    append_rows(t, rows);
  }
  assert_int_equal(tl_relation_snapshot(t->relation)->file_count, 3);
}

/* The footer stays, so that the file opens. */
static void damage(const char *path) {
  FILE *file = fopen(path, "r+b");
  assert_non_null(file);
  assert_int_equal(fseek(file, 4, SEEK_SET), 0);
  for (int i = 0; i < 60; i++) assert_int_equal(fputc(0xff, file), 0xff);
  assert_int_equal(fclose(file), 0);
}

static tl_status try_verb(table_fixture *t, int verb, tl_error *err) {
  *err = (tl_error){0};
  switch (verb) {
    case 0: return tl_relation_delete(t->relation, "x > 1.0", &t->changed, err);
    case 1: return tl_relation_optimize(t->relation, &(tl_optimize){0}, &t->changed, err);
    case 2: return tl_relation_optimize(t->relation, &(tl_optimize){.zorder_by = "symbol,n"}, &t->changed, err);
    case 3: return tl_relation_merge(t->relation, &(tl_write){.rows = "SELECT 'B' AS symbol, 12 AS n, 0.5 AS x"}, "symbol,n", &t->changed, err);
    case 4: return tl_relation_replace(t->relation, &(tl_write){.rows = "SELECT 'B' AS symbol, 12 AS n, 2.5 AS x"}, "x > 1.0", &t->changed, err);
    default: return tl_relation_append(t->relation, &(tl_write){.rows = "SELECT 'B' AS symbol, 12 AS n, 2.5 AS x, 1 AS more", .add_columns = true}, &t->changed, err);
  }
}
enum { READING_VERBS = 5 }; /* those before the last */

static void unreadable_body(table_fixture *t) {
  tl_error err;
  char path[512], words[600];
  start_three_files(t);
  int64_t version = tl_relation_snapshot(t->relation)->version;
  for (int gone = 0; gone < 2; gone++) {
    snprintf(path, sizeof path, "%s/%s", t->folder, tl_relation_snapshot(t->relation)->files[1].path);
    if (gone) assert_int_equal(unlink(path), 0);
    else damage(path);
    snprintf(words, sizeof words, "data file '%s' of the table cannot be read: %s", tl_relation_snapshot(t->relation)->files[1].path, gone ? "it is gone; " : "");
    for (int verb = 0; verb < READING_VERBS; verb++) {
      tl_status st = try_verb(t, verb, &err);
      assert_refused(st, TL_ECORRUPT, &err, words);
      assert_non_null(strstr(err.message, "table verify"));
      table_reopen(t);
      assert_int_equal(tl_relation_snapshot(t->relation)->version, version);
    }
  }
  assert_int_equal(try_verb(t, READING_VERBS, &err), TL_OK); /* adding rows needs no other file */
}
static void files_that_cannot_be_read_are_named(void **state) {
  (void)state;
  FOR_EACH_FACES(unreadable_body)
}

static void sound_body(table_fixture *t) {
  tl_error err = {0};
  start_three_files(t);
  tl_status st = tl_relation_delete(t->relation, "error(symbol || ' is not liked')", &t->changed, &err);
  assert_refused(st, TL_ESQL, &err, "is not liked");
}
static void other_failures_stay_what_they_are(void **state) {
  (void)state;
  FOR_EACH_FACES(sound_body)
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(files_that_cannot_be_read_are_named),
    cmocka_unit_test(other_failures_stay_what_they_are),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
