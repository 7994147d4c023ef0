/* The DuckDB session: what a query can reach, how results stream, the session function. */
#include <errno.h>
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
#include "base/fault.h"
#include "base/io.h"
#include "engine/engine.h"
#include "market/time.h"

static tl_engine *engine;

static int open_engine(void **state) {
  (void)state;
  return tl_engine_open(&(tl_engine_options){.memory_bytes = 256 << 20, .threads = 2}, &engine, NULL) == TL_OK ? 0 : -1;
}

static int close_engine(void **state) {
  (void)state;
  tl_engine_close(engine);
  return 0;
}

static int64_t number(const char *sql) {
  int64_t out = 0;
  tl_error err = {0};
  if (tl_engine_numbers(engine, sql, NULL, 0, &out, 1, &err)) fail_msg("%s", err.message);
  return out;
}

static void assert_fails(const char *sql, tl_status status, const char *words) {
  tl_error err = {0};
  assert_int_equal(tl_engine_run(engine, sql, &err), status);
  if (!strstr(err.message, words)) fail_msg("'%s' does not say '%s'", err.message, words);
}

static void numbers_come_exact(void **state) {
  (void)state;
  int64_t out[6];
  tl_value values[] = {{.type = TL_VALUE_I64, .i64 = INT64_MAX}, {.type = TL_VALUE_TEXT, .text = "it's"}, {.type = TL_VALUE_F64, .f64 = 0.5},
                       {.type = TL_VALUE_TIME, .i64 = -1}, {.type = TL_VALUE_NULL}};
  assert_int_equal(tl_engine_numbers(engine, "SELECT ?, ? = 'it''s', ? < 0.6, ?, ?::BIGINT, sum(x) FROM range(4) t(x)", values, 5, out, 6, NULL), TL_OK);
  assert_true(out[0] == INT64_MAX && out[1] == 1 && out[2] == 1 && out[3] == -1 && out[4] == INT64_MIN && out[5] == 6);
  tl_error err = {0};
  assert_int_equal(tl_engine_numbers(engine, "SELECT 1 WHERE false", NULL, 0, out, 1, &err), TL_ENOTFOUND);
  assert_int_equal(tl_engine_numbers(engine, "SELECT 1, 2", NULL, 0, out, 1, &err), TL_ESQL);
  assert_int_equal(tl_engine_numbers(engine, "SELECT 1.5", NULL, 0, out, 1, &err), TL_ESQL);
  assert_int_equal(tl_engine_numbers(engine, "SELECT 9223372036854775808::HUGEINT", NULL, 0, out, 1, &err), TL_ESQL);
  assert_int_equal(tl_engine_numbers(engine, "SELECT ?", NULL, 0, out, 1, &err), TL_ESQL);
}

static void statements_run_in_order_on_one_catalog(void **state) {
  (void)state;
  assert_int_equal(tl_engine_run(engine, "CREATE TABLE t(x INT); INSERT INTO t VALUES (1), (2); ", NULL), TL_OK);
  assert_int_equal(number("INSERT INTO t VALUES (3); SELECT sum(x) FROM t"), 6);
  assert_int_equal(tl_engine_run(engine, "DROP TABLE t", NULL), TL_OK);
}

static void failures_carry_duckdbs_text(void **state) {
  (void)state;
  assert_fails("SELEC 1", TL_ESQL, "syntax error");
  assert_fails("", TL_ESQL, "empty");
  assert_fails("-- nothing", TL_ESQL, "empty");
  assert_fails("SELECT * FROM nosuch", TL_ESQL, "nosuch");
  assert_fails("SELECT CAST('x' AS INT)", TL_ESQL, "Conversion Error");
  assert_fails("SELECT list(r) FROM range(100000000) t(r)", TL_ENOMEM, "Out of Memory");
}

static void queries_reach_no_network_and_change_no_setting(void **state) {
  (void)state;
  assert_fails("LOAD httpfs", TL_ESQL, "not available");
  assert_fails("INSTALL httpfs", TL_ESQL, "not available");
  assert_fails("SELECT 1; LOAD '/tmp/x.duckdb_extension'", TL_ESQL, "not available");
  assert_fails("UPDATE EXTENSIONS", TL_ESQL, "not available");
  assert_fails("SELECT * FROM read_parquet('http://127.0.0.1:9/x.parquet')", TL_ESQL, "httpfs");
  assert_fails("SELECT * FROM read_parquet('s3://bucket/x.parquet')", TL_ESQL, "httpfs");
  assert_fails("SET autoload_known_extensions = true", TL_ESQL, "locked");
  assert_fails("SET GLOBAL memory_limit = '100GB'", TL_ESQL, "locked");
  assert_int_equal(number("SELECT current_setting('TimeZone') = 'UTC' AND current_setting('temp_directory') = ''"), 1);
}

/* ---- streams ---- */

static void rows_stream_in_order_and_outlive_the_engine(void **state) {
  (void)state;
  char path[] = "/tmp/ticklake-engine-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  char sql[300];
  snprintf(sql, sizeof sql, "COPY (SELECT range AS x, 'row ' || range AS t FROM range(1000000)) TO '%s' (FORMAT parquet, ROW_GROUP_SIZE 10000)", path);
  tl_engine *own = NULL;
  struct ArrowArrayStream stream;
  struct ArrowSchema schema;
  assert_int_equal(tl_engine_open(&(tl_engine_options){.threads = 4}, &own, NULL), TL_OK);
  assert_int_equal(tl_engine_run(own, sql, NULL), TL_OK);
  snprintf(sql, sizeof sql, "SELECT x, t FROM read_parquet('%s') WHERE x %% 3 = 0", path);
  assert_int_equal(tl_engine_query(own, sql, NULL, 0, &stream, NULL), TL_OK);
  tl_engine_close(own);
  assert_int_equal(stream.get_schema(&stream, &schema), 0);
  assert_int_equal(schema.n_children, 2);
  assert_string_equal(schema.children[0]->format, "l");
  assert_string_equal(schema.children[0]->name, "x");
  assert_string_equal(schema.children[1]->format, "u");
  schema.release(&schema);
  int64_t expected = 0;
  for (;;) {
    struct ArrowArray array;
    assert_int_equal(stream.get_next(&stream, &array), 0);
    if (!array.release) break;
    const int64_t *x = array.children[0]->buffers[1];
    for (int64_t i = 0; i < array.length; i++, expected += 3)
      if (x[array.children[0]->offset + i] != expected) fail_msg("row %ld came as %ld", (long)expected / 3, (long)x[i]);
    array.release(&array);
  }
  assert_int_equal(expected, 1000002);
  stream.release(&stream);
  assert_null(stream.release);
  unlink(path);
}

static void an_error_behind_the_first_rows_is_no_end(void **state) {
  (void)state;
  struct ArrowArrayStream stream;
  tl_engine *own = NULL; /* of one thread: of several, DuckDB may lose the reason */
  assert_int_equal(tl_engine_open(&(tl_engine_options){.threads = 1}, &own, NULL), TL_OK);
  assert_int_equal(tl_engine_query(own, "SELECT CASE WHEN x < 500000 THEN x ELSE error('too far') END AS x FROM range(1000000) t(x)", NULL, 0, &stream, NULL), TL_OK);
  int code = 0;
  for (struct ArrowArray array; !(code = stream.get_next(&stream, &array)) && array.release;) array.release(&array);
  assert_int_equal(code, EIO);
  assert_non_null(strstr(stream.get_last_error(&stream), "too far"));
  stream.release(&stream);
  tl_engine_close(own);
}

static void a_failure_in_one_of_several_threads_is_a_failure(void **state) {
  (void)state;
  for (int i = 0; i < 50; i++) {
    struct ArrowArrayStream stream;
    int code = 0;
    assert_int_equal(tl_engine_query(engine, "SELECT CASE WHEN x < 500000 THEN x ELSE error('too far') END AS x FROM range(1000000) t(x)", NULL, 0, &stream, NULL), TL_OK);
    for (struct ArrowArray array; !(code = stream.get_next(&stream, &array)) && array.release;) array.release(&array);
    assert_int_equal(code, EIO);
    const char *message = stream.get_last_error(&stream);
    assert_true(strstr(message, "too far") || strstr(message, "run it again"));
    stream.release(&stream);
  }
}

static void a_stream_becomes_a_parquet_file(void **state) {
  (void)state;
  char folder[] = "/tmp/ticklake-engine-XXXXXX", path[64], sql[600];
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/it's.parquet", folder);
  const char *query = "SELECT x, x / 7 AS f, CASE WHEN x % 5 > 0 THEN 's' || x END AS s, [x, NULL] AS l, TIMESTAMPTZ '2024-01-02 03:04:05.678901+00' + INTERVAL (x) SECOND AS t, CAST(x AS HUGEINT) AS h FROM range(10000) r(x)";
  struct ArrowArrayStream stream;
  tl_error err = {0};
  assert_int_equal(tl_engine_query(engine, query, NULL, 0, &stream, &err), TL_OK);
  if (tl_engine_write_parquet(engine, &stream, path, &err)) fail_msg("%s", err.message);
  stream.release(&stream);
  snprintf(sql, sizeof sql, "SELECT count(*) FROM (SELECT x, f, s, l, t FROM read_parquet('%s/it''s.parquet') INTERSECT ALL SELECT x, f, s, l, t FROM (%s))", folder, query);
  assert_int_equal(number(sql), 10000);
  snprintf(sql, sizeof sql, "SELECT bool_and(compression = 'ZSTD') FROM parquet_metadata('%s/it''s.parquet')", folder);
  assert_int_equal(number(sql), 1);
  unlink(path);
  assert_int_equal(tl_engine_query(engine, "SELECT CASE WHEN x < 500000 THEN x ELSE error('too far') END AS x FROM range(1000000) t(x)", NULL, 0, &stream, NULL), TL_OK);
  assert_int_equal(tl_engine_write_parquet(engine, &stream, path, &err), TL_ESQL);
  assert_true(strstr(err.message, "too far") || strstr(err.message, "run it again"));
  stream.release(&stream);
  unlink(path);
  rmdir(folder);
}

/* ---- in_session ---- */

static void assert_session(const char *utc, const char *session, const char *bar, bool expected) {
  char sql[200];
  snprintf(sql, sizeof sql, "SELECT in_session(TIMESTAMPTZ '%s+00', '%s', '%s')", utc, session, bar);
  if (number(sql) != expected) fail_msg("%s %s %s should %s", utc, session, bar, expected ? "pass" : "not pass");
}

static void sessions_follow_the_exchange_calendar(void **state) {
  (void)state;
  static const struct {
    const char *utc, *session, *bar;
    bool pass;
  } cases[] = {
    {"2024-11-04 14:29:00", "regular", "1m", false}, {"2024-11-04 14:30:00", "regular", "1m", true}, /* winter: 09:30 is 14:30Z */
    {"2024-11-04 20:59:00", "regular", "1m", true}, {"2024-11-04 21:00:00", "regular", "1m", false},
    {"2024-11-01 13:30:00", "regular", "1m", true}, {"2024-11-01 13:29:59", "regular", "1s", false}, /* summer: 13:30Z */
    {"2024-03-08 14:30:00", "regular", "1m", true}, {"2024-03-11 13:30:00", "regular", "1m", true}, /* around 10 March */
    {"2024-03-11 20:00:00", "regular", "1m", false}, {"2024-03-08 20:30:00", "regular", "1m", true},
    {"2024-11-29 17:59:00", "regular", "1m", true}, {"2024-11-29 18:00:00", "regular", "1m", false}, /* half day: 13:00 */
    {"2024-11-28 15:00:00", "regular", "1m", false}, {"2024-11-28 15:00:00", "all", "1m", true},      /* Thanksgiving */
    {"2024-11-30 15:00:00", "extended", "1m", false},                                                 /* a Saturday */
    {"2024-11-04 09:00:00", "extended", "1m", true}, {"2024-11-04 08:59:59", "extended", "1s", false},
    {"2024-11-05 00:59:00", "extended", "1m", true}, {"2024-11-05 01:00:00", "extended", "1m", false},
    {"2024-11-04 14:00:00", "regular", "1h", true}, {"2024-11-04 13:00:00", "regular", "1h", false}, /* overlaps 09:30 */
    {"2024-11-04 05:00:00", "regular", "1d", true}, {"2024-11-30 05:00:00", "regular", "1d", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) assert_session(cases[i].utc, cases[i].session, cases[i].bar, cases[i].pass);
  assert_int_equal(number("SELECT in_session(NULL, 'regular', '1m') IS NULL AND in_session(TIMESTAMPTZ 'infinity', 'regular', '1m') IS NULL"), 1);
  /* A week of minutes with a half day and a holiday: 3 * 390 + 210. */
  assert_int_equal(number("SELECT count(*) FROM range(TIMESTAMPTZ '2024-11-24', TIMESTAMPTZ '2024-12-01', INTERVAL 1 MINUTE) t(m) WHERE in_session(m, 'regular', '1m')"), 1380);
  assert_fails("SELECT in_session(TIMESTAMPTZ '2024-11-04', 'lunch', '1m')", TL_ESQL, "lunch");
  assert_fails("SELECT in_session(TIMESTAMPTZ '2024-11-04', 'regular', 'soon')", TL_ESQL, "soon");
  assert_fails("SELECT in_session(TIMESTAMPTZ '2024-11-04', repeat('x', 99), '1m')", TL_ESQL, "regular, extended or all");
}

#ifdef TL_FAULTS
static tl_status open_and_ask(tl_error *err) {
  tl_engine *own = NULL;
  struct ArrowArrayStream stream = {0};
  struct ArrowSchema schema = {0};
  tl_status st = tl_engine_open(NULL, &own, err);
  if (!st) st = tl_engine_query(own, "SELECT 1 AS x", NULL, 0, &stream, err);
  if (!st && stream.get_schema(&stream, &schema)) st = tl_fail(err, TL_ENOMEM, "no schema");
  if (schema.release) schema.release(&schema);
  if (stream.release) stream.release(&stream);
  tl_engine_close(own);
  return st;
}

static void every_failing_allocation_of_ours_is_reported_without_a_leak(void **state) {
  (void)state;
  int64_t live = tl_alloc_live();
  bool fired = true;
  for (long n = 1; fired; n++) {
    tl_error err = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, ENOMEM);
    tl_status st = open_and_ask(&err);
    fired = tl_fault_disarm();
    assert_true(fired == (st != TL_OK) && (!st || err.message[0]));
    assert_int_equal(tl_alloc_live(), live);
  }
}
#endif

static size_t entries_of(const char *folder) {
  tl_io_names names;
  assert_int_equal(tl_io_list(folder, &names, NULL), TL_OK);
  size_t count = names.count;
  tl_io_names_deinit(&names);
  return count;
}

/* Sorts more than the memory allowed holds. */
static void start_sort(tl_engine *sorter, struct ArrowArrayStream *out) {
  tl_error err = {0};
  if (tl_engine_query(sorter, "SELECT hash(i) AS h, repeat('x', 20) || i AS t FROM range(3000000) r(i) ORDER BY h", NULL, 0, out, &err)) fail_msg("%s", err.message);
}

static void what_does_not_fit_goes_to_a_folder_of_each_engine(void **state) {
  (void)state;
  char folder[] = "/tmp/ticklake-engine-XXXXXX";
  assert_non_null(mkdtemp(folder));
  tl_engine *engines[2];
  struct ArrowArrayStream streams[2];
  for (int i = 0; i < 2; i++) {
    tl_engine_options options = {.memory_bytes = 100 << 20, .threads = 1, .spill = folder};
    assert_int_equal(tl_engine_open(&options, &engines[i], NULL), TL_OK);
    start_sort(engines[i], &streams[i]);
  }
  int64_t rows[2] = {0};
  size_t folders = 0;
  for (int i = 1; i >= 0; i--) { /* the second ends, and cleans up, while the first one's rows still lie there */
    for (bool more = true; more;) {
      struct ArrowArray part;
      assert_int_equal(streams[i].get_next(&streams[i], &part), 0);
      if (entries_of(folder) > folders) folders = entries_of(folder);
      more = part.release != NULL;
      rows[i] += part.length;
      if (more) part.release(&part);
    }
    streams[i].release(&streams[i]);
    tl_engine_close(engines[i]);
  }
  assert_int_equal(rows[0], 3000000);
  assert_int_equal(rows[1], 3000000);
  assert_int_equal(folders, 2);
  assert_int_equal(rmdir(folder), 0); /* and nothing is left */
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_does_not_fit_goes_to_a_folder_of_each_engine),
    cmocka_unit_test(numbers_come_exact),
    cmocka_unit_test(statements_run_in_order_on_one_catalog),
    cmocka_unit_test(failures_carry_duckdbs_text),
    cmocka_unit_test(queries_reach_no_network_and_change_no_setting),
    cmocka_unit_test(rows_stream_in_order_and_outlive_the_engine),
    cmocka_unit_test(an_error_behind_the_first_rows_is_no_end),
    cmocka_unit_test(a_failure_in_one_of_several_threads_is_a_failure),
    cmocka_unit_test(a_stream_becomes_a_parquet_file),
    cmocka_unit_test(sessions_follow_the_exchange_calendar),
#ifdef TL_FAULTS
    cmocka_unit_test(every_failing_allocation_of_ours_is_reported_without_a_leak),
#endif
  };
  return cmocka_run_group_tests(tests, open_engine, close_engine);
}
