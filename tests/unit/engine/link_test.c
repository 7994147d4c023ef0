/* A connection held open: its temporary tables, values as text, what COPY counted; the functions open tables need. */
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
#include "engine/link.h"

static tl_engine *engine;
static tl_link *link_open;

static int set_up(void **state) {
  (void)state;
  if (tl_engine_open(&(tl_engine_options){.memory_bytes = 256 << 20, .threads = 2}, &engine, NULL)) return -1;
  return tl_link_open(engine, &link_open, NULL) == TL_OK ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  tl_link_close(link_open);
  tl_engine_close(engine);
  return tl_alloc_live() == 0 ? 0 : -1;
}

static tl_status join_cells(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  char *text = to;
  (void)err;
  for (size_t i = 0; i < count; i++) {
    size_t len = strlen(text);
    snprintf(text + len, 400 - len, "%.*s%s", cells[i].text ? (int)cells[i].len : 4, cells[i].text ? cells[i].text : "NULL", i + 1 < count ? "|" : ";");
  }
  return TL_OK;
}

static tl_status refuse(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  (void)to, (void)cells, (void)count;
  return tl_fail(err, TL_ECORRUPT, "enough");
}

static void temporary_tables_live_as_long_as_the_link(void **state) {
  (void)state;
  int64_t out[2];
  tl_link *other = NULL;
  assert_int_equal(tl_link_run(link_open, "CREATE TEMP TABLE t AS SELECT range AS x FROM range(5000)", NULL), TL_OK);
  assert_int_equal(tl_link_numbers(link_open, "SELECT count(*), max(x) FROM t", out, 2, NULL), TL_OK);
  assert_true(out[0] == 5000 && out[1] == 4999);
  tl_error err = {0};
  assert_int_equal(tl_link_check(link_open, "SELECT x FROM t", NULL), TL_OK);
  assert_int_equal(tl_link_check(link_open, "SELECT y FROM t", &err), TL_ESQL);
  assert_non_null(strstr(err.message, "\"y\" not found"));
  assert_int_equal(tl_link_open(engine, &other, NULL), TL_OK);
  assert_int_equal(tl_link_check(other, "SELECT x FROM t", NULL), TL_ESQL);
  tl_link_close(other);
}

static void rows_come_as_text(void **state) {
  (void)state;
  char text[400] = "";
  tl_error err = {0};
  assert_int_equal(tl_link_rows(link_open, "SELECT * FROM (VALUES ('a', NULL), ('', 'a text of more than twelve bytes')) v(a, b)", join_cells, text, NULL), TL_OK);
  assert_string_equal(text, "a|NULL;|a text of more than twelve bytes;");
  assert_int_equal(tl_link_rows(link_open, "SELECT 1", join_cells, text, &err), TL_EINTERNAL);
  assert_int_equal(tl_link_rows(link_open, "SELECT nosuch", join_cells, text, &err), TL_ESQL);
  assert_int_equal(tl_link_rows(link_open, "SELECT 'x'", refuse, NULL, &err), TL_ECORRUPT);
}

static tl_status tell_file(void *to, const tl_copied *file, tl_error *err) {
  char *text = to;
  (void)err;
  size_t len = strlen(text);
  len += (size_t)snprintf(text + len, 400 - len, "%lld rows, %s;", (long long)file->rows, file->size_bytes > 0 ? "bytes" : "none");
  for (size_t i = 0; i < file->stat_count; i++)
    if (file->stats[i].key.len == 3 && (!memcmp(file->stats[i].key.text, "min", 3) || !memcmp(file->stats[i].key.text, "max", 3)))
      len += (size_t)snprintf(text + len, 400 - len, " %.*s %.*s=%.*s", (int)file->stats[i].column.len, file->stats[i].column.text, (int)file->stats[i].key.len,
                              file->stats[i].key.text, (int)file->stats[i].value.len, file->stats[i].value.text);
  return TL_OK;
}

static void copy_tells_what_it_counted(void **state) {
  (void)state;
  char path[] = "/tmp/ticklake-link-XXXXXX", sql[300], text[400] = "";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  snprintf(sql, sizeof sql, "COPY (SELECT range AS a, 'x' || range AS \"b\"\"c\" FROM range(10)) TO '%s' (FORMAT parquet, RETURN_STATS)", path);
  assert_int_equal(tl_link_copy(link_open, sql, 1, tell_file, text, NULL), TL_OK);
  assert_string_equal(text, "10 rows, bytes; \"a\" max=9 \"a\" min=0 \"b\"\"c\" max=x9 \"b\"\"c\" min=x0");
  snprintf(sql, sizeof sql, "COPY (SELECT 1 AS a) TO '%s' (FORMAT parquet)", path);
  assert_int_equal(tl_link_copy(link_open, sql, 1, tell_file, text, NULL), TL_EINTERNAL); /* without RETURN_STATS */
  unlink(path);
}

/* What the statement sees, told by the statistics of what it wrote; and what the next one sees. */
static void threads_of(tl_link *link, int64_t rows, const char *during, int64_t after) {
  char path[] = "/tmp/ticklake-link-XXXXXX", sql[200], text[400] = "";
  int64_t seen = 0;
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  snprintf(sql, sizeof sql, "COPY (SELECT current_setting('threads') AS t) TO '%s' (FORMAT parquet, RETURN_STATS)", path);
  assert_int_equal(tl_link_copy(link, sql, rows, tell_file, text, NULL), TL_OK);
  assert_string_equal(text, during);
  assert_int_equal(tl_link_numbers(link, "SELECT current_setting('threads')", &seen, 1, NULL), TL_OK);
  assert_int_equal(seen, after);
  unlink(path);
}

static void few_rows_are_written_by_one_thread(void **state) {
  (void)state;
  tl_engine *own = NULL;
  tl_link *link = NULL;
  tl_error err = {0};
  assert_int_equal(tl_engine_open(&(tl_engine_options){.threads = 3, .threads_vary = true}, &own, NULL), TL_OK);
  assert_int_equal(tl_link_open(own, &link, NULL), TL_OK);
  threads_of(link, 122880, "1 rows, bytes; \"t\" max=1 \"t\" min=1", 3);
  threads_of(link, 122881, "1 rows, bytes; \"t\" max=3 \"t\" min=3", 3);
  assert_int_equal(tl_link_run(link, "SET memory_limit = '1GB'", &err), TL_ESQL); /* all else stays locked */
  tl_link_close(link);
  tl_engine_close(own);
  threads_of(link_open, 1, "1 rows, bytes; \"t\" max=2 \"t\" min=2", 2); /* an engine whose threads do not vary */
  assert_int_equal(tl_link_run(link_open, "SET threads = 1", &err), TL_ESQL);
}

/* Hashes of appendix B of the Iceberg specification, of these 1 << 20 buckets. */
static void buckets_are_icebergs(void **state) {
  (void)state;
  static const struct {
    const char *expression;
    int32_t hash;
  } vectors[] = {
    {"iceberg_bucket_number(1048576, 34)", 2017239379},
    {"iceberg_bucket_number(1048576, datediff('day', DATE '1970-01-01', DATE '2017-11-16'))", -653330422},
    {"iceberg_bucket_number(1048576, epoch_us(TIMESTAMP '2017-11-16 22:31:08'))", -2047944441},
    {"iceberg_bucket_text(1048576, 'iceberg')", 1210000089},
  };
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    char sql[200];
    int64_t out = 0;
    snprintf(sql, sizeof sql, "SELECT %s", vectors[i].expression);
    assert_int_equal(tl_link_numbers(link_open, sql, &out, 1, NULL), TL_OK);
    assert_int_equal(out, (vectors[i].hash & 0x7fffffff) % (1 << 20));
  }
  int64_t out[2];
  assert_int_equal(tl_link_numbers(link_open, "SELECT iceberg_bucket_text(4, NULL), iceberg_bucket_number(NULL, 1)", out, 2, NULL), TL_OK);
  assert_true(out[0] == INT64_MIN && out[1] == INT64_MIN);
  assert_int_equal(tl_link_run(link_open, "SELECT iceberg_bucket_number(0, 1)", NULL), TL_ESQL);
}

static void zorder_puts_bits_between_each_other(void **state) {
  (void)state;
  int64_t out[4];
  assert_int_equal(tl_link_numbers(link_open, "SELECT zorder(0, 0)::BIGINT, zorder(1, 0)::BIGINT, zorder(3, 5)::BIGINT, zorder(NULL, 1, 1)::BIGINT", out, 4, NULL), TL_OK);
  assert_int_equal(out[0], 0);
  assert_int_equal(out[1], 2);      /* 1 0 */
  assert_int_equal(out[2], 0x1b);   /* 011 and 101: 01 10 11 */
  assert_int_equal(out[3], 3);
  assert_int_equal(tl_link_run(link_open, "SELECT zorder(1, 2, 3, 4, 5)", NULL), TL_ESQL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(temporary_tables_live_as_long_as_the_link),
    cmocka_unit_test(rows_come_as_text),
    cmocka_unit_test(copy_tells_what_it_counted), cmocka_unit_test(few_rows_are_written_by_one_thread),
    cmocka_unit_test(buckets_are_icebergs),
    cmocka_unit_test(zorder_puts_bits_between_each_other),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
