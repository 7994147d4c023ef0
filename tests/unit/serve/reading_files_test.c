/* Rows and SQL out of a lake. Lakes are made with DuckDB's COPY in both layouts and in other people's spellings. */
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
#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"
#include "serve/source.h"

static tl_engine *engine;
static char folder[64];
static tl_store *lake;

static int set_up(void **state) {
  (void)state;
  return tl_engine_open(&(tl_engine_options){.threads = 2}, &engine, NULL) == TL_OK ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  tl_engine_close(engine);
  return 0;
}

static int make_lake(void **state) {
  (void)state;
  strcpy(folder, "/tmp/ticklake [x]-XXXXXX");
  return mkdtemp(folder) && tl_store_open(folder, NULL, &lake, NULL) == TL_OK ? 0 : -1;
}

static int remove_lake(void **state) {
  (void)state;
  char command[100];
  snprintf(command, sizeof command, "rm -r '%s'", folder);
  tl_store_close(lake);
  return system(command);
}

static tl_dataset dataset_of(const char *name) {
  tl_dataset dataset;
  assert_int_equal(tl_dataset_parse(name, &dataset, NULL), TL_OK);
  return dataset;
}

static void write_at(const char *path, const char *query) {
  tl_buf sql = {0};
  tl_error err = {0};
  char *full = tl_io_join(folder, path);
  assert_int_equal(tl_io_mkdir_parents(full, NULL), TL_OK);
  tl_buf_appendf(&sql, NULL, "COPY (%s) TO ", query);
  tl_sql_quote(&sql, full, strlen(full), NULL);
  tl_buf_appends(&sql, " (FORMAT parquet)", NULL);
  if (tl_engine_run(engine, sql.data, &err)) fail_msg("%s", err.message);
  tl_free(full);
  tl_buf_deinit(&sql);
}

/* `minutes` minute bars from `start`; open counts them. */
static void write_bars(const char *path, const char *symbol_column, const char *start, int minutes) {
  char query[700];
  snprintf(query, sizeof query, "SELECT %s TIMESTAMPTZ '%s+00' + INTERVAL (i) MINUTE AS timestamp, i::DOUBLE AS open, 2.0::DOUBLE AS high, 1.0::DOUBLE AS low, 1.5::DOUBLE AS close, 100::BIGINT AS volume, 3::BIGINT AS trade_count, NULL::DOUBLE AS vwap FROM range(%d) t(i)",
           symbol_column, start, minutes);
  write_at(path, query);
}

static tl_status append_bytes(void *to, const void *data, size_t len, tl_error *err) { return tl_buf_append(to, data, len, err); }

/* CSV of what comes, in UTC. */
static char *csv_of(struct ArrowArrayStream *stream) {
  tl_buf out = {0};
  tl_error err = {0};
  tl_format_options options = {.format = TL_FORMAT_CSV, .sink = append_bytes, .to = &out, .time_digits = -1};
  if (tl_format_write(&options, stream, NULL, &err)) fail_msg("%s", err.message);
  return tl_buf_take(&out);
}

static tl_read_info info;

static char *read_csv(const tl_read *read) {
  struct ArrowArrayStream stream;
  tl_error err = {0};
  if (tl_read_open(engine, read, &stream, &info, &err)) fail_msg("%s", err.message);
  return csv_of(&stream);
}

static void assert_read(const tl_read *read, const char *expected) {
  char *csv = read_csv(read);
  assert_string_equal(csv, expected);
  tl_free(csv);
}

static char *sql_csv(tl_layout layout, const char *sql) {
  struct ArrowArrayStream stream;
  tl_error err = {0};
  if (tl_sql_open(engine, lake, layout, NULL, sql, &stream, &err)) fail_msg("%s", err.message);
  return csv_of(&stream);
}

static void assert_sql(tl_layout layout, const char *sql, const char *expected) {
  char *csv = sql_csv(layout, sql);
  assert_string_equal(csv, expected);
  tl_free(csv);
}

static const tl_range all_time = {INT64_MIN, INT64_MAX};
#define AT(seconds) (INT64_C(seconds) * TL_NS_PER_S)

static void make_hive(void) {
  write_bars("equities_1min/symbol=AAPL/year=2024/month=01/data.parquet", "", "2024-01-31 23:58:00", 2);
  write_bars("equities_1min/symbol=AAPL/year=2024/month=02/data.parquet", "", "2024-02-01 00:00:00", 2);
  write_bars("equities_1min/symbol=BTC%2FUSD/year=2024/month=01/data.parquet", "", "2024-01-02 00:00:00", 1);
  write_bars("equities_1min/symbol=1/year=2024/month=01/data.parquet", "", "2024-01-02 00:00:00", 1);
  write_bars("equities_1min/symbol=%4EULL/year=2024/month=01/data.parquet", "", "2024-01-02 00:00:00", 1);
}

static void rows_come_by_symbol_and_time_over_the_months_end(void **state) {
  (void)state;
  make_hive();
  const char *columns[] = {"symbol", "timestamp", "open"};
  tl_read read = {.lake = lake, .layout = TL_LAYOUT_HIVE, .dataset = dataset_of("1m"), .range = all_time, .columns = columns, .column_count = 3};
  assert_read(&read, "symbol,timestamp,open\n1,2024-01-02T00:00:00Z,0.0\nAAPL,2024-01-31T23:58:00Z,0.0\nAAPL,2024-01-31T23:59:00Z,1.0\n"
                     "AAPL,2024-02-01T00:00:00Z,0.0\nAAPL,2024-02-01T00:01:00Z,1.0\nBTC/USD,2024-01-02T00:00:00Z,0.0\nNULL,2024-01-02T00:00:00Z,0.0\n");
  assert_true(info.files == 5 && info.symbols == 4);
  read.limit = 2;
  assert_read(&read, "symbol,timestamp,open\n1,2024-01-02T00:00:00Z,0.0\nAAPL,2024-01-31T23:58:00Z,0.0\n");
  read.limit = 0;
  const char *symbols[] = {"BTC/USD", "AAPL", "AAPL", "nobody"};
  read.symbols = symbols;
  read.symbol_count = 4;
  read.range = (tl_range){AT(1706745540), AT(1706745600)}; /* the last minute of January */
  assert_read(&read, "symbol,timestamp,open\nAAPL,2024-01-31T23:59:00Z,1.0\n");
  assert_true(info.files == 2 && info.symbols == 2); /* February is not opened */
  read.range = (tl_range){AT(1893456000), AT(1893542400)}; /* the symbols are there, 2030 is not */
  assert_read(&read, "symbol,timestamp,open\n");
  assert_true(info.files == 0 && info.symbols == 2);
  read.range = (tl_range){AT(1706745540) + 1, AT(1706745600) + 1}; /* a nanosecond later */
  assert_read(&read, "symbol,timestamp,open\nAAPL,2024-02-01T00:00:00Z,0.0\n");
}

static void no_rows_have_the_columns_of_the_kind(void **state) {
  (void)state;
  tl_read read = {.lake = lake, .layout = TL_LAYOUT_HIVE, .dataset = dataset_of("trades"), .range = all_time};
  assert_read(&read, "symbol,timestamp,timestamp_ns,price,size,exchange,conditions,trade_id,tape,update\n");
  struct ArrowArrayStream stream;
  struct ArrowSchema schema;
  assert_int_equal(tl_read_open(engine, &read, &stream, &info, NULL), TL_OK);
  assert_int_equal(stream.get_schema(&stream, &schema), 0);
  static const char *const formats[] = {"u", "tsu:UTC", "l", "g", "l", "u", "+l", "l", "u", "u"};
  for (int c = 0; c < 10; c++) assert_string_equal(schema.children[c]->format, formats[c]);
  schema.release(&schema);
  stream.release(&stream);
  assert_int_equal(info.files, 0);
}

static void an_unknown_column_names_the_nearest(void **state) {
  (void)state;
  const char *columns[] = {"opne"}, *far[] = {"zzzzzzzz"};
  tl_read read = {.lake = lake, .layout = TL_LAYOUT_HIVE, .dataset = dataset_of("1m"), .range = all_time, .columns = columns, .column_count = 1};
  struct ArrowArrayStream stream;
  tl_error err = {0};
  assert_int_equal(tl_read_open(engine, &read, &stream, NULL, &err), TL_EUSAGE);
  assert_string_equal(err.message, "equities_1min has no column 'opne'; did you mean 'open'?");
  read.columns = far;
  assert_int_equal(tl_read_open(engine, &read, &stream, NULL, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "it has symbol, timestamp, open"));
}

/* Minutes of a half day (Friday 2024-11-29, open 09:30-13:00) and of the Monday after the change to winter time. */
static void sessions_are_those_of_the_exchange(void **state) {
  (void)state;
  write_bars("equities_1min/symbol=A/year=2024/month=11/data.parquet", "", "2024-11-01 00:00:00", 30 * 1440);
  const char *columns[] = {"timestamp"};
  static const struct {
    tl_session_kind session;
    int64_t day_s;
    size_t rows;
    const char *first, *last;
  } cases[] = {
    {TL_SESSION_REGULAR, 1732838400, 210, "2024-11-29T14:30:00Z", "2024-11-29T17:59:00Z"},
    {TL_SESSION_EXTENDED, 1732838400, 780, "2024-11-29T09:00:00Z", "2024-11-29T21:59:00Z"},
    {TL_SESSION_REGULAR, 1730678400, 390, "2024-11-04T14:30:00Z", "2024-11-04T20:59:00Z"},
    {TL_SESSION_REGULAR, 1730419200, 390, "2024-11-01T13:30:00Z", "2024-11-01T19:59:00Z"},
    {TL_SESSION_REGULAR, 1732752000, 0, NULL, NULL}, /* Thanksgiving */
    {TL_SESSION_ALL, 1732752000, 1440, "2024-11-28T00:00:00Z", "2024-11-28T23:59:00Z"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tl_read read = {.lake = lake, .layout = TL_LAYOUT_HIVE, .dataset = dataset_of("1m"), .session = cases[i].session, .columns = columns,
                    .column_count = 1, .range = {cases[i].day_s * TL_NS_PER_S, (cases[i].day_s + 86400) * TL_NS_PER_S}};
    char *csv = read_csv(&read), *line = csv, *first = NULL, *last = NULL;
    size_t rows = 0;
    strsep(&line, "\n");
    for (char *row; (row = strsep(&line, "\n")) && *row; rows++) {
      if (!first) first = row;
      last = row;
    }
    assert_int_equal(rows, cases[i].rows);
    if (rows) assert_string_equal(first, cases[i].first);
    if (rows) assert_string_equal(last, cases[i].last);
    tl_free(csv);
  }
}

static void a_flat_lake_reads_alike(void **state) {
  (void)state;
  write_bars("bars/1m/BRK.B.2024-01.parquet", "'BRK.B' AS symbol,", "2024-01-02 00:00:00", 2);
  write_bars("bars/1m/A%2FB.2024-01.parquet", "", "2024-01-02 00:00:00", 1); /* no symbol column: another's hand */
  write_bars("bars/1d/AAPL.2024.parquet", "'AAPL' AS symbol,", "2024-01-02 05:00:00", 1);
  const char *columns[] = {"symbol", "open"};
  tl_read read = {.lake = lake, .layout = TL_LAYOUT_FLAT, .dataset = dataset_of("1m"), .range = all_time, .columns = columns, .column_count = 2};
  const char *symbols[] = {"BRK.B"};
  read.symbols = symbols;
  read.symbol_count = 1;
  assert_read(&read, "symbol,open\nBRK.B,0.0\nBRK.B,1.0\n");
  symbols[0] = "A/B";
  assert_read(&read, "symbol,open\nA/B,0.0\n");
  read.dataset = dataset_of("1d");
  read.symbol_count = 0;
  read.session = TL_SESSION_REGULAR; /* days always pass */
  assert_read(&read, "symbol,open\nAAPL,0.0\n");
  assert_sql(TL_LAYOUT_FLAT, "SELECT symbol, count(*) AS n FROM equities_1min GROUP BY ALL ORDER BY ALL", "symbol,n\nA/B,1\nBRK.B,2\n");
  assert_sql(TL_LAYOUT_FLAT, "SELECT * FROM EQUITIES_1DAY", "symbol,timestamp,open,high,low,close,volume,trade_count,vwap\nAAPL,2024-01-02T05:00:00Z,0.0,2.0,1.0,1.5,100,3,\n");
}

static void files_of_other_hands_are_sorted_and_completed(void **state) {
  (void)state;
  write_at("equities_1min/symbol=aapl/year=2024/month=1/data_1.parquet", "SELECT TIMESTAMP '2024-01-02 10:00:00' AS timestamp, 1.0 AS open, 2.0 AS extra");
  write_at("equities_1min/symbol=aapl/year=2024/month=1/data_0.parquet", "SELECT * FROM (VALUES (TIMESTAMP '2024-01-02 11:00:00', 3.0), (TIMESTAMP '2024-01-02 09:00:00', 2.0)) t(timestamp, open)");
  const char *columns[] = {"symbol", "timestamp", "open", "volume"};
  tl_read read = {.lake = lake, .layout = TL_LAYOUT_HIVE, .dataset = dataset_of("1m"), .range = all_time, .columns = columns, .column_count = 4};
  assert_read(&read, "symbol,timestamp,open,volume\naapl,2024-01-02T09:00:00Z,2.0,\naapl,2024-01-02T10:00:00Z,1.0,\naapl,2024-01-02T11:00:00Z,3.0,\n");
  assert_sql(TL_LAYOUT_HIVE, "SELECT symbol, sum(open) AS s FROM equities_1min GROUP BY ALL", "symbol,s\naapl,6.0\n");
  write_at("trades/symbol=A/year=2024/month=01/part.parquet", "SELECT TIMESTAMP_NS '2024-01-02 10:00:00.000000001' AS timestamp, 1.0::DOUBLE AS price");
  const char *trade_columns[] = {"timestamp", "timestamp_ns", "price"};
  read = (tl_read){.lake = lake, .layout = TL_LAYOUT_HIVE, .dataset = dataset_of("trades"), .range = all_time, .columns = trade_columns, .column_count = 3};
  assert_read(&read, "timestamp,timestamp_ns,price\n2024-01-02T10:00:00Z,1704189600000000001,1.0\n");
}

static void views_stand_for_the_datasets_that_are_there(void **state) {
  (void)state;
  make_hive();
  assert_sql(TL_LAYOUT_HIVE, "SELECT symbol, count(*) AS n, sum(volume) AS v FROM equities_1min WHERE timestamp >= '2024-01-01' GROUP BY ALL ORDER BY ALL",
             "symbol,n,v\n1,1,100\nAAPL,4,400\nBTC/USD,1,100\nNULL,1,100\n");
  assert_sql(TL_LAYOUT_HIVE, "SHOW TABLES", "name\nequities_1min\n");
  assert_sql(TL_LAYOUT_HIVE, "SELECT 1 AS one", "one\n1\n");
  assert_sql(TL_LAYOUT_HIVE, "SELECT count(*) AS n FROM equities_1min WHERE in_session(timestamp, 'regular', '1m')", "n\n0\n");
  struct ArrowArrayStream stream;
  tl_error err = {0};
  assert_int_equal(tl_sql_open(engine, lake, TL_LAYOUT_HIVE, NULL, "SELECT * FROM trades", &stream, &err), TL_ESQL);
  assert_non_null(strstr(err.message, "trades does not exist! This lake has equities_1min"));
  tl_store *nowhere = NULL;
  assert_int_equal(tl_store_open("/nowhere", NULL, &nowhere, NULL), TL_OK);
  assert_int_equal(tl_sql_open(engine, nowhere, TL_LAYOUT_HIVE, NULL, "SELECT * FROM trades", &stream, &err), TL_ESQL);
  tl_store_close(nowhere);
  assert_non_null(strstr(err.message, "This lake is empty"));
}

static void the_extent_of_a_symbol_comes_from_its_first_and_last_file(void **state) {
  (void)state;
  make_hive();
  tl_dataset dataset = dataset_of("1m");
  tl_read_extent extent;
  tl_error err = {0};
  assert_int_equal(tl_read_extent_of(engine, lake, TL_LAYOUT_HIVE, NULL, &dataset, "AAPL", &extent, &err), TL_OK);
  assert_true(extent.rows == 4 && extent.first_ns == AT(1706745480) && extent.last_ns == AT(1706745660));
  assert_int_equal(tl_read_extent_of(engine, lake, TL_LAYOUT_HIVE, NULL, &dataset, "NOBODY", &extent, &err), TL_ENOTFOUND);
  write_bars("equities_1min/symbol=AAPL/year=2023/month=12/empty.parquet", "", "2023-12-01 00:00:00", 0);
  assert_int_equal(tl_read_extent_of(engine, lake, TL_LAYOUT_HIVE, NULL, &dataset, "AAPL", &extent, &err), TL_OK);
  assert_true(extent.rows == 4 && extent.first_ns == AT(1706745480) && extent.last_ns == AT(1706745660));
}

/* Every hard name as a symbol of both layouts, read back as a value by read and by SQL. */
static void hard_symbols_are_values(void **state) {
  (void)state;
  static const char *const hard[] = {"BRK/B", "BTC/USD", "../../etc", "..", ".", "CON", "%2e%2e", "é ✓ 漢", "-rf", "_x", "'", "\"", "a\nb",
                                     "null", "a=b", "x.2024-11", "*", "[a]", "aapl", "AAPL", "__HIVE_DEFAULT_PARTITION__", "007", "1e5", "true"};
  tl_dataset dataset = dataset_of("1m");
  for (tl_layout layout = TL_LAYOUT_HIVE; layout <= TL_LAYOUT_FLAT; layout++) {
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) {
      tl_buf path = {0}, column = {0};
      assert_int_equal(tl_table_path(layout, &dataset, hard[i], AT(1704153600), &path, NULL), TL_OK);
      if (layout == TL_LAYOUT_FLAT) {
        tl_sql_quote(&column, hard[i], strlen(hard[i]), NULL);
        tl_buf_appends(&column, " AS symbol,", NULL);
      }
      write_bars(path.data, column.data ? column.data : "", "2024-01-02 00:00:00", 1);
      tl_buf_deinit(&path);
      tl_buf_deinit(&column);
    }
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) {
      const char *columns[] = {"symbol"};
      tl_read read = {.lake = lake, .layout = layout, .dataset = dataset, .range = all_time, .columns = columns, .column_count = 1,
                      .symbols = &hard[i], .symbol_count = 1};
      struct ArrowArrayStream stream;
      struct ArrowArray array;
      tl_buf sql = {0};
      assert_int_equal(tl_read_open(engine, &read, &stream, NULL, NULL), TL_OK);
      assert_int_equal(stream.get_next(&stream, &array), 0);
      assert_int_equal(array.length, 1);
      const int32_t *offsets = array.children[0]->buffers[1];
      assert_int_equal(offsets[1] - offsets[0], strlen(hard[i]));
      assert_memory_equal((const char *)array.children[0]->buffers[2] + offsets[0], hard[i], strlen(hard[i]));
      array.release(&array);
      stream.release(&stream);
      tl_buf_appends(&sql, "SELECT count(*) AS n FROM equities_1min WHERE symbol = ", NULL);
      tl_sql_quote(&sql, hard[i], strlen(hard[i]), NULL);
      assert_sql(layout, sql.data, "n\n1\n");
      tl_buf_deinit(&sql);
    }
  }
}

/* ---- some files at a time, as from S3 ---- */

/* All files of the dataset in parts; the lake is closed before the rows are read. */
static char *parts_csv(const tl_read *read, bool sorted) {
  tl_table_files files = {0};
  tl_read own = *read;
  struct ArrowArrayStream stream;
  tl_error err = {0};
  assert_int_equal(tl_store_open(folder, NULL, &own.lake, NULL), TL_OK);
  assert_int_equal(tl_table_list(own.lake, read->layout, &read->dataset, NULL, &read->range, &files, NULL), TL_OK);
  if (tl_read_parts(&own, &files, sorted, &stream, &err)) fail_msg("%s", err.message);
  tl_store_close(own.lake);
  return csv_of(&stream);
}

static void parts_give_what_all_files_give(void **state) {
  (void)state;
  enum { FILES = 150 }; /* more than two parts */
  for (int i = 0; i < FILES; i++) {
    char path[100];
    snprintf(path, sizeof path, "equities_1min/symbol=S%02d/year=2024/month=%02d/data.parquet", i / 12, i % 12 + 1);
    char start[40];
    snprintf(start, sizeof start, "2024-%02d-01 00:00:00", i % 12 + 1);
    write_bars(path, "", start, 2);
  }
  const char *columns[] = {"open", "symbol", "timestamp"};
  tl_read read = {.lake = lake, .layout = TL_LAYOUT_HIVE, .dataset = dataset_of("1m"), .range = all_time};
  for (int round = 0; round < 6; round++) {
    if (round == 1) read.columns = columns, read.column_count = 3;
    if (round == 2) read.limit = 129; /* one row into the second part */
    if (round == 3) read.limit = 128;
    if (round == 4) read.limit = 0, read.range = (tl_range){AT(1706745600), AT(1709251200)};
    if (round == 5) read.range = (tl_range){AT(1), AT(2)};
    char *whole = read_csv(&read), *parts = parts_csv(&read, true);
    assert_string_equal(whole, parts);
    tl_free(parts);
    parts = parts_csv(&read, false);
    assert_int_equal(strlen(whole), strlen(parts));
    tl_free(whole);
    tl_free(parts);
  }
}

#ifdef TL_FAULTS
static tl_status read_and_ask(tl_error *err) {
  const char *symbols[] = {"AAPL", "1"};
  tl_read read = {.lake = lake, .layout = TL_LAYOUT_HIVE, .dataset = dataset_of("1m"), .range = {AT(1), AT(1706745600)}, .session = TL_SESSION_EXTENDED,
                  .symbols = symbols, .symbol_count = 2};
  struct ArrowArrayStream stream = {0};
  tl_read_extent extent;
  tl_status st = tl_read_open(engine, &read, &stream, NULL, err);
  if (stream.release) stream.release(&stream);
  stream.release = NULL;
  if (!st) st = tl_sql_open(engine, lake, TL_LAYOUT_HIVE, NULL, "SELECT * FROM equities_1min", &stream, err);
  if (stream.release) stream.release(&stream);
  if (!st) st = tl_read_extent_of(engine, lake, TL_LAYOUT_HIVE, NULL, &read.dataset, "AAPL", &extent, err);
  return st;
}

static void every_failing_allocation_of_ours_is_reported_without_a_leak(void **state) {
  (void)state;
  make_hive();
  int64_t live = tl_alloc_live();
  bool fired = true;
  for (long n = 1; fired; n++) {
    tl_error err = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = read_and_ask(&err);
    fired = tl_fault_disarm();
    if (fired != (st != TL_OK)) fail_msg("fault %ld: %s", n, err.message);
    assert_true(!st || err.message[0]);
    assert_int_equal(tl_alloc_live(), live);
  }
}
#endif

int main(void) {
#define IN_A_LAKE(test) cmocka_unit_test_setup_teardown(test, make_lake, remove_lake)
  const struct CMUnitTest tests[] = {
    IN_A_LAKE(rows_come_by_symbol_and_time_over_the_months_end),
    IN_A_LAKE(no_rows_have_the_columns_of_the_kind),
    IN_A_LAKE(an_unknown_column_names_the_nearest),
    IN_A_LAKE(sessions_are_those_of_the_exchange),
    IN_A_LAKE(a_flat_lake_reads_alike),
    IN_A_LAKE(files_of_other_hands_are_sorted_and_completed),
    IN_A_LAKE(views_stand_for_the_datasets_that_are_there),
    IN_A_LAKE(the_extent_of_a_symbol_comes_from_its_first_and_last_file),
    IN_A_LAKE(hard_symbols_are_values),
    IN_A_LAKE(parts_give_what_all_files_give),
#ifdef TL_FAULTS
    IN_A_LAKE(every_failing_allocation_of_ours_is_reported_without_a_leak),
#endif
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
