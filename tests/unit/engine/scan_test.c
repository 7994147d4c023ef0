/* A Parquet file of any hand as batches of a kind. The files are made with DuckDB's COPY, as others' are. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"
#include "engine/engine.h"
#include "parquet/writer.h"

static tl_engine *engine;
static tl_words *words;
static char folder[] = "/tmp/ticklake-scan-XXXXXX", path[64];

static int set_up(void **state) {
  (void)state;
  if (!mkdtemp(folder) || tl_words_open(&words, NULL)) return -1;
  snprintf(path, sizeof path, "%s/it's [1].parquet", folder);
  return tl_engine_open(&(tl_engine_options){.threads = 2}, &engine, NULL) == TL_OK ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  unlink(path);
  tl_engine_close(engine);
  tl_words_close(words);
  return rmdir(folder);
}

static void write_file(const char *query, const char *options) {
  tl_buf sql = {0};
  tl_error err = {0};
  unlink(path);
  tl_buf_appendf(&sql, NULL, "COPY (%s) TO '%s/it''s [1].parquet' (FORMAT parquet%s)", query, folder, options);
  if (tl_engine_run(engine, sql.data, &err)) fail_msg("%s: %s", query, err.message);
  tl_buf_deinit(&sql);
}

/* Rows as text: "ns|value|value..." a line; NULL is "-", a list "[a,b]". */
static tl_status print_rows(void *to, const tl_batch *batch, tl_error *err) {
  tl_buf *out = to;
  for (size_t row = 0; row < batch->rows; row++) {
    for (size_t c = 0; c < batch->def->column_count; c++) {
      const tl_column *column = &batch->columns[c];
      if (c) tl_buf_appends(out, "|", NULL);
      if (!tl_column_valid(column, row)) {
        tl_buf_appends(out, "-", NULL);
        continue;
      }
      switch (batch->def->columns[c].type) {
      case TL_TIME:
      case TL_I64: tl_buf_appendf(out, NULL, "%lld", (long long)column->i64[row]); break;
      case TL_F64: tl_buf_appendf(out, NULL, "%.17g", column->f64[row]); break;
      case TL_WORD: {
        tl_text text = tl_words_text(words, column->word[row]);
        tl_buf_append(out, text.data, text.len, NULL);
        break;
      }
      case TL_WORDS: {
        tl_text list = tl_words_text(words, column->word[row]), item;
        tl_buf_appends(out, "[", NULL);
        for (bool first = true; tl_words_list_next(&list, &item); first = false) {
          if (!first) tl_buf_appends(out, ",", NULL);
          tl_buf_append(out, item.data, item.len, NULL);
        }
        tl_buf_appends(out, "]", NULL);
        break;
      }
      }
    }
    tl_buf_appends(out, "\n", err);
  }
  return TL_OK;
}

static tl_scan_info info;

static void assert_rows(tl_kind kind, const char *symbol, bool as_stored, const char *expected) {
  tl_buf out = {0};
  tl_error err = {0};
  tl_buf_appends(&out, "", NULL);
  tl_scan scan = {.path = path, .kind = kind, .words = words, .symbol = symbol, .as_stored = as_stored, .rows = print_rows, .to = &out};
  if (tl_engine_scan(engine, &scan, &info, &err)) fail_msg("%s", err.message);
  assert_string_equal(out.data ? out.data : "", expected);
  tl_buf_deinit(&out);
}

static void assert_refused(tl_kind kind, tl_status status, const char *say) {
  tl_buf out = {0};
  tl_error err = {0};
  tl_scan scan = {.path = path, .kind = kind, .words = words, .rows = print_rows, .to = &out};
  tl_status st = tl_engine_scan(engine, &scan, NULL, &err);
  if (st != status || !strstr(err.message, say)) fail_msg("status %d, '%s' does not say '%s'", (int)st, err.message, say);
  assert_non_null(strstr(err.message, "it's [1].parquet"));
  tl_buf_deinit(&out);
}

static tl_status ignore_rows(void *to, const tl_batch *batch, tl_error *err) {
  (void)to;
  (void)batch;
  (void)err;
  return TL_OK;
}

#define BAR "10.5 AS open, 11 AS high, 10::FLOAT AS low, 10.25::DOUBLE AS close"

static void bars_of_the_usual_shape_are_taken_as_they_are(void **state) {
  (void)state;
  write_file("SELECT 'A' AS symbol, TIMESTAMPTZ '2024-01-02 14:30:00+00' AS timestamp, " BAR ", 9007199254740993::BIGINT AS volume, 12::INT AS trade_count, 10.3 AS vwap", "");
  assert_rows(TL_BARS, NULL, false, "1704205800000000000|10.5|11|10|10.25|9007199254740993|12|10.300000000000001\n");
  assert_true(info.rows == 1 && info.file_rows == 1 && info.was_sorted && info.has_symbol);
}

static void foreign_orders_types_and_letter_case_are_taken(void **state) {
  (void)state;
  write_file("SELECT 7 AS extra, 10.3::FLOAT AS VWAP, '12' AS trade_count, 100.0 AS volume, " BAR ", TIMESTAMP '2024-01-02 14:30:00' AS \"Timestamp\"", "");
  assert_rows(TL_BARS, NULL, false, "1704205800000000000|10.5|11|10|10.25|100|12|10.300000190734863\n");
  assert_false(info.has_symbol);
  write_file("SELECT DATE '2024-07-01' AS timestamp, " BAR ", 18446744073709551615::UBIGINT - 18446744073709551610::UBIGINT AS volume", "");
  assert_rows(TL_BARS, NULL, false, "1719806400000000000|10.5|11|10|10.25|5|-|-\n"); /* New York midnight is 04:00Z in July */
  write_file("SELECT TIMESTAMP_NS '2024-01-02 14:30:00.000000001' AS timestamp, " BAR ", 'nan'::DOUBLE AS volume, 'nan'::FLOAT AS vwap", "");
  assert_rows(TL_BARS, NULL, false, "1704205800000000001|10.5|11|10|10.25|-|-|-\n");
  write_file("SELECT TIMESTAMP_S '1969-12-31 23:59:59' AS timestamp, " BAR ", NULL::INT AS volume", "");
  assert_rows(TL_BARS, NULL, false, "-1000000000|10.5|11|10|10.25|-|-|-\n");
  write_file("SELECT TIMESTAMP_MS '2024-01-02 14:30:00' AS timestamp, '1.5' AS open, '2' AS high, 1::TINYINT AS low, 2::DECIMAL(38,10) AS close", "");
  assert_rows(TL_BARS, NULL, false, "1704205800000000000|1.5|2|1|2|-|-|-\n");
}

static void what_does_not_fit_is_refused_by_name(void **state) {
  (void)state;
  static const struct {
    const char *columns, *say;
  } cases[] = {
    {"TIMESTAMP '2024-01-02' AS timestamp, " BAR ", 1.5::DOUBLE AS volume", "column 'volume' holds 1.5"},
    {"TIMESTAMP '2024-01-02' AS timestamp, " BAR ", 1.50::DECIMAL(10,2) AS volume", "column 'volume' holds 1.50"},
    {"TIMESTAMP '2024-01-02' AS timestamp, " BAR ", 9223372036854775808::UBIGINT AS volume", "column 'volume' holds 9223372036854775808"},
    {"TIMESTAMP '2024-01-02' AS timestamp, " BAR ", 1e300 AS volume", "column 'volume' holds 1e+300"},
    {"TIMESTAMP '2024-01-02' AS timestamp, " BAR ", '1.5' AS volume", "column 'volume' holds 1.5"},
    {"TIMESTAMP '2024-01-02' AS timestamp, " BAR ", 'many' AS volume", "column 'volume' holds many"},
    {"TIMESTAMP '2024-01-02' AS timestamp, " BAR ", [1] AS volume", "column 'volume' has a type"},
    {"TIMESTAMP '2024-01-02' AS timestamp, 'x' AS open, 1 AS high, 1 AS low, 1 AS close", "column 'open' holds x"},
    {"TIMESTAMP '2024-01-02' AS timestamp, 'inf'::DOUBLE AS open, 1 AS high, 1 AS low, 1 AS close", "column 'open' holds inf"},
    {"TIMESTAMP '2024-01-02' AS timestamp, 'nan'::DOUBLE AS open, 1 AS high, 1 AS low, 1 AS close", "column 'open' holds nan"},
    {"TIMESTAMP '2024-01-02' AS timestamp, NULL::DOUBLE AS open, 1 AS high, 1 AS low, 1 AS close", "column 'open' holds NULL"},
    {"TIMESTAMP '2024-01-02' AS timestamp, 1 AS high, 1 AS low, 1 AS close", "no column 'open'"},
    {"1704205800 AS timestamp, " BAR, "column 'timestamp' has a type"},
    {"NULL::TIMESTAMP AS timestamp, " BAR, "column 'timestamp' holds NULL"},
    {"TIMESTAMPTZ 'infinity' AS timestamp, " BAR, "column 'timestamp' holds NULL"},
    {BAR, "no column 'timestamp'"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char query[400];
    snprintf(query, sizeof query, "SELECT %s", cases[i].columns);
    write_file(query, "");
    assert_refused(TL_BARS, TL_EDECODE, cases[i].say);
  }
}

static void trades_keep_nanoseconds_ids_and_lists(void **state) {
  (void)state;
  write_file("SELECT * FROM (VALUES (TIMESTAMPTZ '2024-01-02 14:30:00+00', 1704205800123456789, 1.5, 100, 'V', ['@', ' T', ''], 9223372036854775807, 'C', NULL),"
             "(TIMESTAMPTZ '2024-01-02 14:30:01+00', 1704205801000000001, 2, NULL, 'V', [], NULL, 'C', 'canceled'),"
             "(TIMESTAMPTZ '2024-01-02 14:30:01+00', 1704205801000000001, 3, 1, 'V', NULL, 1, NULL, 'canceled'))"
             " t(timestamp, timestamp_ns, price, size, exchange, conditions, trade_id, tape, update)", "");
  assert_rows(TL_TRADES, NULL, false, "1704205800123456789|1.5|100|V|[@, T,]|9223372036854775807|C|-\n"
                                      "1704205801000000001|2|-|V|[]|-|C|canceled\n"
                                      "1704205801000000001|3|1|V|-|1|-|canceled\n");
  write_file("SELECT TIMESTAMPTZ '2024-01-02 14:30:00.123456+00' AS timestamp, 1.5 AS price", "");
  assert_rows(TL_TRADES, NULL, false, "1704205800123456000|1.5|-|-|-|-|-|-\n");
  write_file("SELECT TIMESTAMPTZ '2024-01-02 14:30:00+00' AS timestamp, 1.5 AS price, ['@', NULL] AS conditions", "");
  assert_refused(TL_TRADES, TL_EDECODE, "column 'conditions' holds NULL");
  write_file("SELECT TIMESTAMPTZ '2024-01-02 14:30:00+00' AS timestamp, 1.5 AS price, '[@]' AS conditions", "");
  assert_refused(TL_TRADES, TL_EDECODE, "column 'conditions' has a type");
  write_file("SELECT TIMESTAMPTZ '2024-01-02 14:30:00+00' AS timestamp, 1.5 AS price, repeat('x', 256) AS exchange", "");
  assert_refused(TL_TRADES, TL_EDECODE, "column 'exchange' holds a text of 256 bytes");
}

static void a_file_replaced_under_its_name_is_read_anew(void **state) {
  (void)state;
  struct timespec same[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}}; /* as a clock of whole seconds would show it */
  for (int i = 0; i < 4; i++) {
    char query[200], expected[100];
    snprintf(query, sizeof query, "SELECT TIMESTAMP '2024-01-02 14:30:00' AS timestamp, %d AS open, 1 AS high, 1 AS low, 1 AS close", i);
    write_file(query, "");
    assert_int_equal(utimensat(AT_FDCWD, path, same, 0), 0);
    snprintf(expected, sizeof expected, "1704205800000000000|%d|1|1|1|-|-|-\n", i);
    assert_rows(TL_BARS, NULL, false, expected);
  }
}

static void quotes_per_second_need_their_count(void **state) {
  (void)state;
  write_file("SELECT TIMESTAMPTZ '2024-01-02 14:30:00+00' AS timestamp, 1.5 AS bid_price, 2 AS ask_price, 3::UTINYINT AS quote_count, 0.5 AS spread", "");
  assert_rows(TL_QUOTES_1S, NULL, false, "1704205800000000000|1.5|-|-|2|-|-|0.5|3\n");
  write_file("SELECT TIMESTAMPTZ '2024-01-02 14:30:00+00' AS timestamp", "");
  assert_refused(TL_QUOTES_1S, TL_EDECODE, "no column 'quote_count'");
}

static void an_unsorted_file_comes_sorted_with_ties_in_file_order(void **state) {
  (void)state;
  write_file("SELECT make_timestamp((x[1])::BIGINT) AS timestamp, x[2] AS open, 1 AS high, 1 AS low, 1 AS close FROM (VALUES ([3, 1]), ([1, 2]), ([3, 3]), ([2, 4]), ([1, 5])) t(x)", "");
  assert_rows(TL_BARS, NULL, false, "1000|2|1|1|1|-|-|-\n1000|5|1|1|1|-|-|-\n2000|4|1|1|1|-|-|-\n3000|1|1|1|1|-|-|-\n3000|3|1|1|1|-|-|-\n");
  assert_false(info.was_sorted);
  assert_rows(TL_BARS, NULL, true, "3000|1|1|1|1|-|-|-\n1000|2|1|1|1|-|-|-\n3000|3|1|1|1|-|-|-\n2000|4|1|1|1|-|-|-\n1000|5|1|1|1|-|-|-\n");
  assert_false(info.was_sorted);
}

static void only_the_rows_of_the_symbol_asked_for_come(void **state) {
  (void)state;
  write_file("SELECT s AS symbol, make_timestamp(i) AS timestamp, i AS open, 1 AS high, 1 AS low, 1 AS close FROM (VALUES ('it''s', 2), ('B', 1), ('it''s', 1)) t(s, i)", "");
  assert_rows(TL_BARS, "it's", false, "1000|1|1|1|1|-|-|-\n2000|2|1|1|1|-|-|-\n");
  assert_true(info.rows == 2 && info.file_rows == 3);
  assert_rows(TL_BARS, "C", false, "");
  assert_int_equal(info.rows, 0);
}

static void a_bad_value_in_a_far_row_group_is_named_whichever_thread_meets_it(void **state) {
  (void)state;
  write_file("SELECT make_timestamp(x * 1000000) AS timestamp, x AS open, 1 AS high, 1 AS low, 1 AS close, CASE WHEN x < 250000 THEN 1 ELSE 0.5 END AS volume FROM range(300000) t(x)", ", ROW_GROUP_SIZE 4096");
  for (int i = 0; i < 20; i++) {
    tl_error err = {0};
    tl_scan scan = {.path = path, .kind = TL_BARS, .words = words, .rows = ignore_rows};
    tl_status st = tl_engine_scan(engine, &scan, NULL, &err);
    if (st != TL_EDECODE || !strstr(err.message, "column 'volume' holds 0.5")) fail_msg("%d: %s", (int)st, err.message);
  }
}

static tl_status to_buf(void *to, const void *data, size_t len, tl_error *err) { return tl_buf_append(to, data, len, err); }

static tl_status keep_rows(void *to, const tl_batch *batch, tl_error *err) { return tl_batch_append(to, batch, 0, batch->rows, err); }

/* Rows of a kind with every kind of value and NULL in turn. */
static void fill(tl_batch *batch, tl_kind kind, size_t rows) {
  tl_batch_init(batch, kind);
  assert_int_equal(tl_batch_reserve(batch, rows, NULL), TL_OK);
  uint32_t codes[3];
  tl_buf list = {0};
  for (uint32_t i = 0; i < 3; i++) { /* texts that are lists too: none, one item, two items */
    assert_int_equal(tl_words_intern(words, list.data ? list.data : "", list.len, &codes[i], NULL), TL_OK);
    assert_int_equal(tl_words_list_add(&list, i ? "\xc3\xa9" : " ", i ? 2 : 1, NULL), TL_OK);
  }
  tl_buf_deinit(&list);
  for (size_t row = 0; row < rows; row++)
    for (size_t c = 0; c < batch->def->column_count; c++) {
      tl_column *column = &batch->columns[c];
      switch (batch->def->columns[c].type) {
      case TL_TIME: column->i64[row] = INT64_C(1704205800000000001) + (int64_t)(row / 2) * (batch->def->has_ns ? 1 : 1000); break;
      case TL_I64: column->i64[row] = INT64_MAX - (int64_t)row; break;
      case TL_F64: column->f64[row] = (double)row / 7 - 3; break;
      case TL_WORD:
      case TL_WORDS: column->word[row] = codes[row % 3]; break;
      }
      if (column->valid && (row + c) % 4 == 0) tl_column_set_null(column, row);
    }
  batch->rows = rows;
}

static void files_of_our_own_writer_come_back_the_same(void **state) {
  (void)state;
  for (tl_kind kind = 0; kind < TL_KIND_COUNT; kind++)
    for (int flat = 0; flat < 2; flat++) {
      tl_batch rows, back;
      tl_buf bytes = {0};
      tl_parquet *writer = NULL;
      tl_parquet_summary summary;
      tl_error err = {0};
      fill(&rows, kind, 5000);
      if (!rows.def->has_ns) /* files hold microseconds */
        for (size_t row = 0; row < rows.rows; row++) rows.columns[0].i64[row] -= 1;
      tl_batch_init(&back, kind);
      tl_parquet_options options = {.kind = kind, .symbol = flat ? "A/B" : NULL, .words = words, .row_group_rows = 1024, .sink = to_buf, .to = &bytes};
      assert_int_equal(tl_parquet_open(&options, &writer, NULL), TL_OK);
      assert_int_equal(tl_parquet_write(writer, &rows, 0, rows.rows, NULL), TL_OK);
      assert_int_equal(tl_parquet_finish(writer, &summary, NULL), TL_OK);
      tl_parquet_close(writer);
      assert_int_equal(tl_io_replace(path, bytes.data, bytes.len, NULL), TL_OK);
      tl_scan scan = {.path = path, .kind = kind, .words = words, .symbol = "A/B", .rows = keep_rows, .to = &back};
      if (tl_engine_scan(engine, &scan, &info, &err)) fail_msg("%s", err.message);
      assert_int_equal(back.rows, rows.rows);
      assert_int_equal(info.has_symbol, flat);
      for (size_t row = 0; row < rows.rows; row++)
        if (!tl_batch_rows_equal(&rows, row, &back, row)) fail_msg("%s row %zu differs", rows.def->name, row);
      tl_batch_deinit(&rows);
      tl_batch_deinit(&back);
      tl_buf_deinit(&bytes);
    }
}

typedef struct tally {
  int64_t rows, next_ns;
} tally;

static tl_status count_rows(void *to, const tl_batch *batch, tl_error *err) {
  tally *t = to;
  for (size_t row = 0; row < batch->rows; row++, t->next_ns += TL_NS_PER_S)
    if (tl_batch_times(batch)[row] != t->next_ns) return tl_fail(err, TL_EINTERNAL, "row %lld is out of order", (long long)t->rows);
  t->rows += (int64_t)batch->rows;
  return TL_OK;
}

static void many_row_groups_come_in_order(void **state) {
  (void)state;
  write_file("SELECT make_timestamp(x * 1000000) AS timestamp, x AS open, 1 AS high, 1 AS low, 1 AS close FROM range(300000) t(x)", ", ROW_GROUP_SIZE 4096");
  tally t = {0};
  tl_error err = {0};
  tl_scan scan = {.path = path, .kind = TL_BARS, .words = words, .rows = count_rows, .to = &t};
  if (tl_engine_scan(engine, &scan, NULL, &err)) fail_msg("%s", err.message);
  assert_int_equal(t.rows, 300000);
}

static tl_status stop(void *to, const tl_batch *batch, tl_error *err) {
  (void)to;
  (void)batch;
  return tl_fail(err, TL_ECANCELED, "enough");
}

static void the_callbacks_answer_ends_the_scan(void **state) {
  (void)state;
  write_file("SELECT TIMESTAMP '2024-01-02' AS timestamp, " BAR, "");
  tl_error err = {0};
  tl_scan scan = {.path = path, .kind = TL_BARS, .words = words, .rows = stop};
  assert_int_equal(tl_engine_scan(engine, &scan, NULL, &err), TL_ECANCELED);
}

static void what_is_no_parquet_file_is_said_to_be_corrupt(void **state) {
  (void)state;
  tl_buf bytes = {0};
  write_file("SELECT make_timestamp(x * 1000000) AS timestamp, x AS open, 1 AS high, 1 AS low, 1 AS close FROM range(1000) t(x)", ", COMPRESSION zstd");
  assert_int_equal(tl_io_read_file(path, 1 << 20, &bytes, NULL), TL_OK);
  for (size_t len = 0; len < bytes.len; len += 97) { /* cut at many places */
    assert_int_equal(tl_io_replace(path, bytes.data, len, NULL), TL_OK);
    assert_refused(TL_BARS, TL_ECORRUPT, "cannot read");
  }
  tl_buf_deinit(&bytes);
  unlink(path);
  assert_refused(TL_BARS, TL_ENOTFOUND, "there is no");
}

#ifdef TL_FAULTS
static void every_failing_allocation_of_ours_is_reported_without_a_leak(void **state) {
  (void)state;
  write_file("SELECT TIMESTAMPTZ '2024-01-02 14:30:00+00' AS timestamp, 1.5 AS price, ['@', 'fresh' ] AS conditions, 'A' AS symbol", "");
  bool fired = true;
  for (long n = 1; fired; n++) {
    tl_error err = {0};
    tl_words *own = NULL;
    tally t = {.next_ns = INT64_C(1704205800) * TL_NS_PER_S};
    assert_int_equal(tl_words_open(&own, NULL), TL_OK);
    tl_scan scan = {.path = path, .kind = TL_TRADES, .words = own, .symbol = "A", .rows = count_rows, .to = &t};
    int64_t live = tl_alloc_live();
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = tl_engine_scan(engine, &scan, NULL, &err);
    fired = tl_fault_disarm();
    assert_true(fired == (st != TL_OK) && (!st || err.message[0]));
    assert_true(st != TL_OK || t.rows == 1);
    assert_true(tl_alloc_live() - live <= 3); /* the words kept in the pool */
    tl_words_close(own);
  }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(bars_of_the_usual_shape_are_taken_as_they_are),
    cmocka_unit_test(foreign_orders_types_and_letter_case_are_taken),
    cmocka_unit_test(what_does_not_fit_is_refused_by_name),
    cmocka_unit_test(trades_keep_nanoseconds_ids_and_lists),
    cmocka_unit_test(a_file_replaced_under_its_name_is_read_anew),
    cmocka_unit_test(quotes_per_second_need_their_count),
    cmocka_unit_test(an_unsorted_file_comes_sorted_with_ties_in_file_order),
    cmocka_unit_test(only_the_rows_of_the_symbol_asked_for_come),
    cmocka_unit_test(files_of_our_own_writer_come_back_the_same),
    cmocka_unit_test(many_row_groups_come_in_order),
    cmocka_unit_test(a_bad_value_in_a_far_row_group_is_named_whichever_thread_meets_it),
    cmocka_unit_test(the_callbacks_answer_ends_the_scan),
    cmocka_unit_test(what_is_no_parquet_file_is_said_to_be_corrupt),
#ifdef TL_FAULTS
    cmocka_unit_test(every_failing_allocation_of_ours_is_reported_without_a_leak),
#endif
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
