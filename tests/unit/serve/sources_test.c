/* "A file or a query" as one SELECT, and versions as text. Tables in queries: tests/cli/test_table.py, on real ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/io.h"
#include "serve/serve.h"
#include "serve/sources.h"
#include "table/relation.h"

static tl_engine *engine;
static char folder[] = "/tmp/ticklake-sources-XXXXXX", temp[64];

/* symbol VARCHAR, time TIMESTAMPTZ, close DOUBLE, lot BIGINT, day DATE, naive TIMESTAMP */
static tl_field fields[] = {{.name = "symbol", .type = TL_FIELD_STRING, .nullable = true, .id = 1},
                            {.name = "time", .type = TL_FIELD_TIMESTAMP, .nullable = true, .id = 2},
                            {.name = "close", .type = TL_FIELD_F64, .nullable = true, .id = 3},
                            {.name = "lot", .type = TL_FIELD_I64, .nullable = true, .id = 4},
                            {.name = "day", .type = TL_FIELD_DATE, .nullable = true, .id = 5},
                            {.name = "naive", .type = TL_FIELD_TIMESTAMP_NTZ, .nullable = true, .id = 6}};
static const tl_fields table = {fields, 6, 6};

static void put(const char *name, const char *text) {
  char *path = tl_io_join(folder, name);
  assert_int_equal(tl_io_mkdir_parents(path, NULL), TL_OK);
  assert_int_equal(tl_io_replace(path, text, strlen(text), NULL), TL_OK);
  tl_free(path);
}

static void run(const char *sql) {
  tl_error err = {0};
  if (tl_engine_run(engine, sql, &err)) fail_msg("%s", err.message);
}

static int set_up(void **state) {
  (void)state;
  if (!mkdtemp(folder) || chdir(folder)) return -1;
  snprintf(temp, sizeof temp, "%s/temp", folder);
  if (mkdir(temp, 0700) || tl_engine_open(&(tl_engine_options){.threads = 1}, &engine, NULL)) return -1;
  put("a.csv", "symbol,close,lot\nTRUE,1.5,1\n007,2,2\nNULL,,3\n");
  put("dates.json", "[{\"symbol\":\"2024-01-02\",\"close\":1},{\"symbol\":\"MSFT\",\"close\":2.5}]");
  put("more.jsonl", "{\"symbol\":\"2024-01-02\",\"close\":1}\n{\"symbol\":\"2024-01-03\",\"close\":2}\n");
  put("other.jsonl", "{\"symbol\":\"A\",\"extra\":1}\n");
  put("from.csv", "symbol\nX\n");
  put("odd.csv", "symbol,time,lot\nA,2024-01-01,1.5\nB,yesterday,\n");
  put("cut.csv", "day,naive\n2024-01-01 15:00:00,2024-01-01 00:00:00.123456789\n,\n");
  put("cut.jsonl", "{\"day\":\"2024-01-01 15:00:00\",\"naive\":\"2024-01-01 00:00:00.123456789\"}\n");
  put("odd.jsonl", "{\"lot\":1.5,\"time\":\"yesterday\"}\n{\"lot\":9007199254740993}\n");
  tl_buf late = {0};
  for (int i = 0; i < 30000; i++) assert_int_equal(tl_buf_appends(&late, "{\"lot\":1}\n", NULL), TL_OK);
  assert_int_equal(tl_buf_appends(&late, "{\"lot\":1,\"symbol\":\"7\"}\n", NULL), TL_OK);
  put("late.jsonl", late.data);
  tl_buf_clear(&late);
  assert_int_equal(tl_buf_appends(&late, "symbol,odd\n", NULL), TL_OK);
  for (int i = 0; i < 30000; i++) assert_int_equal(tl_buf_appends(&late, "1,2\n", NULL), TL_OK);
  assert_int_equal(tl_buf_appends(&late, "x,y\n", NULL), TL_OK);
  put("late.csv", late.data);
  tl_buf_deinit(&late);
  put("select one.csv", "symbol\nY\n");
  put("data", "no ending");
  run("COPY (SELECT 'x' AS symbol, 1.0 AS close) TO 'one.parquet'");
  put("hive/symbol=BRK%2FB/year=2024/keep", "");
  run("COPY (SELECT 2.0 AS close) TO 'hive/symbol=BRK%2FB/year=2024/data.parquet'");
  put("hive/symbol=7/year=2024/keep", "");
  run("COPY (SELECT 3.0 AS close, 9 AS lot) TO 'hive/symbol=7/year=2024/data.parquet'");
  run("COPY (SELECT 'z' AS symbol) TO 'z.csv.gz'");
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  char command[128];
  tl_engine_close(engine);
  tl_io_names left;
  int rc = tl_io_list(temp, &left, NULL) ? -1 : 0;
  if (left.count) rc = -1; /* work files are gone with the sources */
  tl_io_names_deinit(&left);
  snprintf(command, sizeof command, "rm -r %s", folder);
  if (chdir("/")) rc = -1;
  FILE *shell = popen(command, "r");
  return shell && !pclose(shell) ? rc : -1;
}

static tl_status append_bytes(void *to, const void *data, size_t len, tl_error *err) { return tl_buf_append(to, data, len, err); }

/* What the SELECT gives, as CSV lines. */
static tl_status rows_of(const char *from, const tl_fields *like, tl_buf *out, tl_error *err) {
  tl_sources *sources = NULL;
  tl_buf sql = {0};
  struct ArrowArrayStream stream = {0};
  tl_format_options options = {.format = TL_FORMAT_CSV, .sink = append_bytes, .to = out, .time_digits = -1};
  tl_status st = tl_sources_open(engine, NULL, temp, &sources, err);
  if (!st) st = tl_sources_select(sources, from, like, &sql, err);
  if (!st) st = tl_engine_query(engine, sql.data, NULL, 0, &stream, err);
  if (!st) st = tl_format_write(&options, &stream, NULL, err);
  tl_buf_deinit(&sql);
  tl_sources_close(sources);
  return st;
}

static void assert_rows(const char *from, const tl_fields *like, const char *expected) {
  tl_buf out = {0};
  tl_error err = {0};
  if (rows_of(from, like, &out, &err)) fail_msg("%s: %s", from, err.message);
  assert_string_equal(out.data, expected);
  tl_buf_deinit(&out);
}

static void a_query_is_told_from_a_file(void **state) {
  (void)state;
  assert_rows("select 1 as a", NULL, "a\n1\n");
  assert_rows(" -- why\n SELECT 1 AS a ; ; -- end", NULL, "a\n1\n");
  assert_rows("((select 1 as a))", NULL, "a\n1\n");
  assert_rows("with t as (select 1 as a) select a + 1 as b from t", NULL, "b\n2\n");
  assert_rows("from(values (3)) t(a)", NULL, "a\n3\n");
  assert_rows("VALUES (4, 'delta(''x'')')", NULL, "col0,col1\n4,delta('x')\n");
  assert_rows("from 'from.csv' where symbol = 'X' -- delta('nowhere')", NULL, "symbol\nX\n");
  assert_rows("from.csv", NULL, "symbol\nX\n");
  assert_rows("select one.csv", NULL, "symbol\nY\n");
}

static void columns_are_read_as_the_tables_types(void **state) {
  (void)state;
  assert_rows("a.csv", &table, "symbol,close,lot\nTRUE,1.5,1\n007,2.0,2\nNULL,,3\n");
  assert_rows("select symbol, lot from 'a.csv' where lot = 2", NULL, "symbol,lot\n007,2\n");
  assert_rows("dates.json", &table, "symbol,close\n2024-01-02,1.0\nMSFT,2.5\n");
  assert_rows("more.jsonl", &table, "symbol,close\n2024-01-02,1.0\n2024-01-03,2.0\n");
  assert_rows("other.jsonl", &table, "symbol,extra\nA,1\n");
  assert_rows("z.csv.gz", &table, "symbol\nz\n");
  assert_rows("one.parquet", &table, "symbol,close\nx,1.0\n");
}

/* DuckDB would make 2 of 1.5, of an instant it cannot read NULL, and of a date what comes before its hour: all must reach who checks them. */
static void numbers_and_instants_of_text_come_as_they_stand(void **state) {
  (void)state;
  assert_rows("odd.csv", &table, "symbol,time,lot\nA,2024-01-01,1.5\nB,yesterday,\n");
  assert_rows("cut.csv", &table, "day,naive\n2024-01-01 15:00:00,2024-01-01 00:00:00.123456789\n,\n");
  assert_rows("cut.jsonl", &table, "day,naive\n2024-01-01 15:00:00,2024-01-01 00:00:00.123456789\n");
  assert_rows("odd.jsonl", &table, "lot,time\n1.5,yesterday\n9007199254740993,\n");
}

static void what_comes_late_in_a_file_counts(void **state) {
  (void)state;
  tl_buf out = {0};
  tl_error err = {0};
  if (rows_of("late.jsonl", &table, &out, &err)) fail_msg("%s", err.message);
  assert_memory_equal(out.data, "lot,symbol\n", 11);
  assert_string_equal(out.data + out.len - 4, "1,7\n");
  tl_buf_clear(&out);
  if (rows_of("late.csv", &table, &out, &err)) fail_msg("%s", err.message);
  assert_string_equal(out.data + out.len - 4, "x,y\n");
  tl_buf_deinit(&out);
}

static void columns_of_the_path_count_where_the_table_has_them(void **state) {
  (void)state;
  assert_rows("hive/symbol=BRK%2FB/year=2024/data.parquet", &table, "close,symbol\n2.0,BRK/B\n");
  assert_rows("hive/symbol=BRK%2FB/year=2024/data.parquet", NULL, "close,symbol,year\n2.0,BRK/B,2024\n");
  assert_rows("hive/symbol=7/*/*.parquet", &table, "close,lot,symbol\n3.0,9,7\n");
}

static void what_is_neither_is_refused_by_name(void **state) {
  (void)state;
  static const struct {
    const char *from, *said;
    tl_status status;
  } rows[] = {
    {"", "neither a file nor a query", TL_EUSAGE},
    {"none.csv", "there is no file 'none.csv'", TL_EUSAGE},
    {"update t set a = 1", "does not read as a query", TL_EUSAGE},
    {"data", "ends in none of .parquet", TL_EUSAGE},
    {"hive", "is a folder", TL_EUSAGE},
    {"select 1; select 2", "one query", TL_EUSAGE},
    {"select 1) union (select 2", "a bracket is closed", TL_EUSAGE},
    {"none/*.parquet", "none/*.parquet", TL_ESQL},
    {"s3://bucket/a/*.csv", "globs are for local files", TL_EUSAGE},
    {"s3://bucket/a/", "names no object", TL_EUSAGE},
    {"from delta('t', verison => 1)", "did you mean version", TL_EUSAGE},
    {"from delta('t', 3)", "write delta('URI', version => 3)", TL_EUSAGE},
    {"from iceberg('t', snapshot 3)", "write iceberg('URI'", TL_EUSAGE},
    {"from delta('t', timestamp => 3)", "cannot read delta", TL_EUSAGE},
    {"from delta('t', version => 3, snapshot => 4)", "twice", TL_EUSAGE},
    {"from delta('t', version => 3, timestamp => '2024-01-01')", "not both", TL_EUSAGE},
    {"from delta('t', timestamp => TIMESTAMP '2024-13-01')", "is not a time", TL_EUSAGE},
    {"from delta('t', version => -1)", "cannot read delta", TL_EUSAGE},
    {"from delta('t', version => 1e3)", "is not a version", TL_EUSAGE},
    {"from delta('')", "names no table", TL_EUSAGE},
    {"from delta('t'", "cannot read delta", TL_EUSAGE},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    tl_buf out = {0};
    tl_error err = {0};
    assert_int_equal(rows_of(rows[i].from, &table, &out, &err), rows[i].status);
    if (!strstr(err.message, rows[i].said)) fail_msg("%s: %s", rows[i].from, err.message);
    tl_buf_deinit(&out);
  }
}

static void every_cut_of_a_query_is_refused_or_left_alone(void **state) {
  (void)state;
  static const char query[] = "/* a */ with \"x\" as (select 'it''s', $$b$$) from delta ( 't', version := 3 ) d join Iceberg('u' , timestamp => TIMESTAMP '2024-01-31') -- c";
  for (size_t len = 0; len < sizeof query; len++) {
    tl_sources *sources = NULL;
    tl_buf sql = {0};
    tl_error err = {0};
    char *cut = tl_strndup(query, len); /* on the heap, where reading past the end shows */
    assert_int_equal(tl_sources_open(engine, NULL, temp, &sources, NULL), TL_OK);
    tl_status st = tl_sources_expand(sources, cut, &sql, &err);
    if (!st) assert_string_equal(sql.data ? sql.data : "", cut);
    else assert_true(st == TL_EUSAGE || st == TL_ENOTFOUND);
    tl_buf_deinit(&sql);
    tl_sources_close(sources);
    tl_free(cut);
  }
}

static void a_stream_becomes_a_select(void **state) {
  (void)state;
  tl_sources *sources = NULL;
  tl_buf sql = {0}, out = {0};
  struct ArrowArrayStream stream;
  tl_format_options options = {.format = TL_FORMAT_CSV, .sink = append_bytes, .to = &out, .time_digits = -1};
  assert_int_equal(tl_sources_open(engine, NULL, temp, &sources, NULL), TL_OK);
  assert_int_equal(tl_engine_query(engine, "select i::BIGINT as i, [i] as l from range(3) t(i)", NULL, 0, &stream, NULL), TL_OK);
  assert_int_equal(tl_sources_spool(sources, &stream, &sql, NULL), TL_OK);
  assert_null(stream.release);
  assert_int_equal(tl_engine_query(engine, sql.data, NULL, 0, &stream, NULL), TL_OK);
  assert_int_equal(tl_sources_keep(&stream, sources, NULL, NULL), TL_OK); /* the file lives as long as the stream */
  assert_int_equal(tl_format_write(&options, &stream, NULL, NULL), TL_OK);
  assert_string_equal(out.data, "i,l\n0,[0]\n1,[1]\n2,[2]\n");
  tl_buf_deinit(&sql);
  tl_buf_deinit(&out);
}

static void versions_and_times_are_text(void **state) {
  (void)state;
  static const struct {
    const char *version, *timestamp;
    int kind;
    int64_t value; /* times as date -u +%s says, in ms */
  } rows[] = {{NULL, NULL, TL_AT_LATEST, 0},
              {"0", NULL, TL_AT_VERSION, 0},
              {"8745298475928374652", NULL, TL_AT_VERSION, INT64_C(8745298475928374652)},
              {NULL, "2024-01-31", TL_AT_TIMESTAMP, INT64_C(1706659200000)},
              {NULL, "2024-01-31T12:00:00Z", TL_AT_TIMESTAMP, INT64_C(1706702400000)},
              {NULL, "2024-01-31 12:00:00.1239", TL_AT_TIMESTAMP, INT64_C(1706702400123)},
              {NULL, "2024-01-31T12:00:00-05:00", TL_AT_TIMESTAMP, INT64_C(1706720400000)},
              {NULL, "1969-12-31T23:59:59.9995Z", TL_AT_TIMESTAMP, -1}};
  static const struct {
    const char *version, *timestamp;
  } wrong[] = {{"", NULL}, {"-1", NULL}, {"3x", NULL}, {"9223372036854775808", NULL}, {" 3", NULL}, {NULL, ""}, {NULL, "yesterday"}, {NULL, "2024-02-30"}, {"3", "2024-01-31"},
               {NULL, "2024-01-31T12:00:00.000000000000000000000000000000000000Z"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    tl_at at;
    assert_int_equal(tl_at_parse(rows[i].version, rows[i].timestamp, &at, NULL), TL_OK);
    assert_int_equal(at.kind, rows[i].kind);
    assert_int_equal(at.value, rows[i].value);
  }
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    tl_at at;
    assert_int_equal(tl_at_parse(wrong[i].version, wrong[i].timestamp, &at, NULL), TL_EUSAGE);
  }
}

#ifdef TL_FAULTS
static void every_fault_is_reported_without_a_leak(void **state) {
  (void)state;
  static const char *const froms[] = {"select 1 as a;", "a.csv", "hive/symbol=7/year=2024/data.parquet"};
  int64_t live = tl_alloc_live();
  for (size_t i = 0; i < 3; i++) {
    bool fired = true;
    for (long n = 1; fired; n++) {
      tl_sources *sources = NULL;
      tl_buf sql = {0};
      tl_error err = {0};
      tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, ENOMEM);
      tl_status st = tl_sources_open(engine, NULL, temp, &sources, &err);
      if (!st) st = tl_sources_select(sources, froms[i], &table, &sql, &err);
      fired = tl_fault_disarm();
      if (fired != (st != TL_OK)) fail_msg("%s, fault %ld: %s", froms[i], n, err.message);
      tl_buf_deinit(&sql);
      tl_sources_close(sources);
      assert_int_equal(tl_alloc_live(), live);
    }
  }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_query_is_told_from_a_file),
    cmocka_unit_test(columns_are_read_as_the_tables_types),
    cmocka_unit_test(numbers_and_instants_of_text_come_as_they_stand),
    cmocka_unit_test(what_comes_late_in_a_file_counts),
    cmocka_unit_test(columns_of_the_path_count_where_the_table_has_them),
    cmocka_unit_test(what_is_neither_is_refused_by_name),
    cmocka_unit_test(every_cut_of_a_query_is_refused_or_left_alone),
    cmocka_unit_test(a_stream_becomes_a_select),
    cmocka_unit_test(versions_and_times_are_text),
#ifdef TL_FAULTS
    cmocka_unit_test(every_fault_is_reported_without_a_leak),
#endif
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
