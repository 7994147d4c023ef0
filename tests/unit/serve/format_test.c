/* Results as table, CSV, JSON, Parquet and Arrow; the audit of a file. Expected texts are written by hand. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <nanoarrow/nanoarrow_ipc.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"
#include "serve/serve.h"

static tl_engine *engine;
static char folder[] = "/tmp/ticklake-format-XXXXXX", path[64];

static int set_up(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  snprintf(path, sizeof path, "%s/out", folder);
  /* One thread: of several, DuckDB may lose the reason of a failure. */
  return tl_engine_open(&(tl_engine_options){.threads = 1}, &engine, NULL) == TL_OK ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  unlink(path);
  tl_engine_close(engine);
  return rmdir(folder); /* nothing else is left in it */
}

static tl_status append_bytes(void *to, const void *data, size_t len, tl_error *err) { return tl_buf_append(to, data, len, err); }

static tl_status try_print(const tl_format_options *options, const char *sql, int64_t *rows, tl_error *err) {
  struct ArrowArrayStream stream = {0};
  tl_status st = tl_engine_query(engine, sql, NULL, 0, &stream, err);
  if (!st) st = tl_format_write(options, &stream, rows, err);
  if (!st) assert_null(stream.release);
  return st;
}

static char *print_with(tl_output_format format, const tl_zone *zone, int digits, const char *sql) {
  tl_buf out = {0};
  tl_error err = {0};
  tl_format_options options = {.format = format, .sink = append_bytes, .to = &out, .zone = zone, .time_digits = digits};
  if (try_print(&options, sql, NULL, &err)) fail_msg("%s", err.message);
  if (!out.len) assert_int_equal(tl_buf_append(&out, "", 1, NULL), TL_OK);
  return tl_buf_take(&out);
}

static void assert_prints(tl_output_format format, const char *sql, const char *expected) {
  char *text = print_with(format, NULL, -1, sql);
  assert_string_equal(text, expected);
  tl_free(text);
}

/* ---- texts ---- */

static void a_table_is_aligned_and_shows_null(void **state) {
  (void)state;
  assert_prints(TL_FORMAT_TABLE,
                "SELECT * FROM (VALUES ('AAPL', 220.99::DOUBLE, 100, NULL), ('é✓漢', -1e300, NULL, 'x'), (NULL, 0.1, 9223372036854775807, '')) t(symbol, price, size, note)",
                "symbol   price                 size  note\n"
                "------  ------  -------------------  ----\n"
                "AAPL    220.99                  100  NULL\n"
                "é✓漢     -1e300                 NULL  x\n"
                "NULL       0.1  9223372036854775807  \n");
  assert_prints(TL_FORMAT_TABLE, "SELECT 1::DOUBLE AS x WHERE false", "x\n-\n");
  assert_prints(TL_FORMAT_TABLE, "SELECT 'a\nb\tc\x1b[31m' || chr(155) AS \"odd\nname\"", "odd\\nname\n-------------------\na\\nb\\tc\\x1b[31m\\x9b\n");
}

static void rows_after_the_measured_ones_push_to_the_right(void **state) {
  (void)state;
  char *text = print_with(TL_FORMAT_TABLE, NULL, -1, "SELECT CASE WHEN i < 1999 THEN 1 ELSE 123456 END AS a, 2 AS b FROM range(2000) t(i)");
  size_t lines = 0;
  for (const char *c = text; *c; c++) lines += *c == '\n';
  assert_int_equal(lines, 2002);
  assert_int_equal(strncmp(text, "a  b\n-  -\n1  2\n", 15), 0);
  assert_non_null(strstr(text, "\n1  2\n123456  2\n"));
  tl_free(text);
}

static void csv_tells_null_from_empty_and_quotes_what_it_must(void **state) {
  (void)state;
  assert_prints(TL_FORMAT_CSV,
                "SELECT * FROM (VALUES (NULL, 'a,b', 1), ('', 'say \"hi\"', NULL), ('line\nbreak', 'cr\rx', 3), ('plain', 'it''s', 4)) t(a, \"b,c\", d)",
                "a,\"b,c\",d\n,\"a,b\",1\n\"\",\"say \"\"hi\"\"\",\n\"line\nbreak\",\"cr\rx\",3\nplain,it's,4\n");
  assert_prints(TL_FORMAT_CSV, "SELECT ['@', 'T'] AS conditions", "conditions\n\"[\"\"@\"\",\"\"T\"\"]\"\n");
}

static void numbers_are_exact_and_short(void **state) {
  (void)state;
  assert_prints(TL_FORMAT_CSV, "SELECT 9007199254740993::BIGINT AS a, (-9223372036854775807 - 1)::BIGINT AS b, 18446744073709551615::UBIGINT AS c, sum(9223372036854775807) AS d, 0.1::DOUBLE + 0.2 AS e, 1e22::DOUBLE AS f, 5e-324::DOUBLE AS g, 0.1::FLOAT AS h, 16777216::FLOAT AS i, -0.0::DOUBLE AS j, 12345678901234567890.123456789::DECIMAL(38,9) AS k, -0.05::DECIMAL(5,3) AS l, true AS m FROM range(3)",
                "a,b,c,d,e,f,g,h,i,j,k,l,m\n"
                "9007199254740993,-9223372036854775808,18446744073709551615,27670116110564327421,0.30000000000000004,1e22,5e-324,0.1,16777216.0,-0.0,12345678901234567890.123456789,-0.050,true\n");
  assert_prints(TL_FORMAT_CSV, "SELECT 'nan'::DOUBLE AS a, 'inf'::DOUBLE AS b, '-inf'::FLOAT AS c, 16777217::FLOAT AS d, 3.4028235e38::FLOAT AS e", "a,b,c,d,e\nnan,inf,-inf,16777216.0,3.4028235e+38\n");
}

static void json_lines_hold_one_object_a_row(void **state) {
  (void)state;
  const char *sql = "SELECT 'q\"\\' || chr(10) AS \"k\"\"ey\", NULL AS n, 'nan'::DOUBLE AS f, 9007199254740993 AS i, [1, NULL] AS l, {'a': 1, 'b': ['x']} AS s, MAP {'k': 1, 'l': NULL} AS m, TIMESTAMPTZ '2024-01-02 14:30:00+00' AS t, true AS b, '\\xAB'::BLOB AS y, 'v'::ENUM('u', 'v') AS e, 1.50 AS d, [[]]::INT[][] AS ll, [1, 2]::INT[2] AS a FROM range(2)";
#define OBJECT "{\"k\\\"ey\":\"q\\\"\\\\\\u000a\",\"n\":null,\"f\":null,\"i\":9007199254740993,\"l\":[1,null],\"s\":{\"a\":1,\"b\":[\"x\"]},\"m\":{\"k\":1,\"l\":null},\"t\":\"2024-01-02T14:30:00Z\",\"b\":true,\"y\":\"ab\",\"e\":\"v\",\"d\":1.50,\"ll\":[[]],\"a\":[1,2]}"
  assert_prints(TL_FORMAT_JSONL, sql, OBJECT "\n" OBJECT "\n");
  assert_prints(TL_FORMAT_JSON, sql, "[" OBJECT ",\n" OBJECT "]\n");
  assert_prints(TL_FORMAT_JSONL, "SELECT 1 AS x WHERE false", "");
  assert_prints(TL_FORMAT_JSON, "SELECT 1 AS x WHERE false", "[]\n");
}

static void nests_keep_their_rows_apart(void **state) {
  (void)state;
  assert_prints(TL_FORMAT_JSONL, "SELECT i, [i, i + 1] AS l, {'x': i} AS s, MAP {i: 'v' || i} AS m, CASE WHEN i = 1 THEN NULL ELSE [['n' || i]] END AS n FROM range(3) t(i)",
                "{\"i\":0,\"l\":[0,1],\"s\":{\"x\":0},\"m\":{\"0\":\"v0\"},\"n\":[[\"n0\"]]}\n"
                "{\"i\":1,\"l\":[1,2],\"s\":{\"x\":1},\"m\":{\"1\":\"v1\"},\"n\":null}\n"
                "{\"i\":2,\"l\":[2,3],\"s\":{\"x\":2},\"m\":{\"2\":\"v2\"},\"n\":[[\"n2\"]]}\n");
}

static void instants_show_the_offset_of_their_zone(void **state) {
  (void)state;
  static const struct {
    const char *sql, *new_york, *utc;
    int digits;
  } cases[] = {
    {"TIMESTAMPTZ '2024-01-02 14:30:00+00'", "2024-01-02T09:30:00-05:00", "2024-01-02T14:30:00Z", 0},
    {"TIMESTAMPTZ '2024-07-02 13:30:00+00'", "2024-07-02T09:30:00-04:00", "2024-07-02T13:30:00Z", 0},
    {"TIMESTAMPTZ '2024-11-03 05:30:00+00'", "2024-11-03T01:30:00-04:00", "2024-11-03T05:30:00Z", 0}, /* 01:30 twice */
    {"TIMESTAMPTZ '2024-11-03 06:30:00+00'", "2024-11-03T01:30:00-05:00", "2024-11-03T06:30:00Z", 0},
    {"TIMESTAMPTZ '2024-01-02 14:30:00.12+00'", "2024-01-02T09:30:00.120000-05:00", "2024-01-02T14:30:00.120000Z", 6},
    {"TIMESTAMPTZ '2024-01-02 14:30:00.12+00'", "2024-01-02T09:30:00.12-05:00", "2024-01-02T14:30:00.12Z", -1},
    {"TIMESTAMPTZ 'infinity'", "infinity", "infinity", 0},
    {"TIMESTAMPTZ '-infinity'", "-infinity", "-infinity", 0},
    {"TIMESTAMPTZ '9999-12-31 23:59:59.5+00'", "9999-12-31T23:59:59.5Z", "9999-12-31T23:59:59.5Z", 0},
    {"TIMESTAMP '2024-01-02 14:30:00'", "2024-01-02T14:30:00", "2024-01-02T14:30:00", 0}, /* has no zone */
    {"TIMESTAMP_NS '2024-01-02 14:30:00.000000001'", "2024-01-02T14:30:00.000000001", "2024-01-02T14:30:00.000000001", -1},
    {"TIMESTAMP_S '1969-12-31 23:59:59'", "1969-12-31T23:59:59", "1969-12-31T23:59:59", -1},
    {"DATE '2024-02-29'", "2024-02-29", "2024-02-29", 0},
    {"DATE 'infinity'", "infinity", "infinity", 0},
    {"TIME '09:30:00.5'", "09:30:00.5", "09:30:00.5", 0},
    {"INTERVAL '1 month 2 days 3.5 seconds'", "P1M2DT3.500000000S", "P1M2DT3.500000000S", 0},
    {"INTERVAL '-3 seconds'", "P0M0DT-3S", "P0M0DT-3S", 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT %s AS t", cases[i].sql);
    for (int utc = 0; utc < 2; utc++) {
      char *text = print_with(TL_FORMAT_JSONL, utc ? NULL : tl_zone_new_york(), cases[i].digits, sql), expected[100];
      snprintf(expected, sizeof expected, "{\"t\":\"%s\"}\n", utc ? cases[i].utc : cases[i].new_york);
      assert_string_equal(text, expected);
      tl_free(text);
    }
  }
}

static void formats_have_names(void **state) {
  (void)state;
  tl_output_format format;
  tl_error err = {0};
  assert_true(tl_format_parse("jsonl", &format, &err) == TL_OK && format == TL_FORMAT_JSONL);
  assert_true(tl_format_parse("arrow", &format, &err) == TL_OK && format == TL_FORMAT_ARROW);
  assert_int_equal(tl_format_parse("paruqet", &format, &err), TL_EUSAGE);
  assert_string_equal(err.message, "unknown format 'paruqet'; did you mean 'parquet'?");
  assert_int_equal(tl_format_parse("xlsx-2007", &format, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "formats are table, csv"));
  tl_dataset dataset;
  assert_int_equal(tl_dataset_parse("trades", &dataset, NULL), TL_OK);
  assert_int_equal(tl_format_time_digits(&dataset), 6);
}

/* ---- files ---- */

static int64_t number(const char *sql) {
  int64_t out = 0;
  tl_error err = {0};
  if (tl_engine_numbers(engine, sql, NULL, 0, &out, 1, &err)) fail_msg("%s", err.message);
  return out;
}

static void a_file_appears_whole_or_stays_as_it_was(void **state) {
  (void)state;
  tl_error err = {0};
  tl_buf text = {0};
  int64_t rows = 0;
  tl_format_options options = {.format = TL_FORMAT_CSV, .path = path, .time_digits = -1};
  assert_int_equal(try_print(&options, "SELECT 1 AS x", &rows, &err), TL_OK);
  assert_int_equal(rows, 1);
  assert_int_equal(try_print(&options, "SELECT CASE WHEN i < 500000 THEN i ELSE error('too far') END AS x FROM range(1000000) t(i)", &rows, &err), TL_ESQL);
  if (!strstr(err.message, "too far")) fail_msg("%s", err.message);
  assert_int_equal(tl_io_read_file(path, 100, &text, NULL), TL_OK);
  assert_string_equal(text.data, "x\n1\n");
  tl_buf_deinit(&text);
  options.path = folder;
  assert_int_equal(try_print(&options, "SELECT 1 AS x", &rows, &err), TL_EUSAGE);
  options.path = "/dev/null"; /* is written, not replaced */
  assert_int_equal(try_print(&options, "SELECT 1 AS x", &rows, &err), TL_OK);
  struct stat info;
  assert_true(stat("/dev/null", &info) == 0 && S_ISCHR(info.st_mode));
  options.path = "/nowhere/out.csv";
  assert_int_equal(try_print(&options, "SELECT 1 AS x", &rows, &err), TL_EIO);
}

#define MANY "SELECT i, i / 7 AS f, CASE WHEN i % 3 > 0 THEN 's' || i END AS s, [i::VARCHAR] AS l, TIMESTAMPTZ '2024-01-02 14:30:00+00' + INTERVAL (i) SECOND AS t FROM range(5000) r(i)"

static void parquet_goes_to_a_file_and_reads_back(void **state) {
  (void)state;
  tl_error err = {0};
  int64_t rows = 0;
  char sql[700];
  tl_format_options options = {.format = TL_FORMAT_PARQUET, .path = path};
  if (try_print(&options, MANY, &rows, &err)) fail_msg("%s", err.message);
  assert_int_equal(rows, 5000);
  snprintf(sql, sizeof sql, "SELECT count(*) FROM (SELECT * FROM read_parquet('%s') INTERSECT ALL %s)", path, MANY);
  assert_int_equal(number(sql), 5000);
  options.engine = engine;
  if (try_print(&options, MANY, &rows, &err)) fail_msg("%s", err.message);
  assert_int_equal(number(sql), 5000);
  options.path = NULL;
  options.sink = append_bytes;
  assert_int_equal(try_print(&options, MANY, &rows, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "-o FILE"));
  options.path = path;
  assert_int_equal(try_print(&options, "SELECT error('no') AS x FROM range(3)", &rows, &err), TL_ESQL);
  assert_int_equal(number(sql), 5000);
}

/* Reads IPC bytes back with nanoarrow's reader and counts rows and the sum of column i. */
static void assert_ipc(const char *data, size_t len) {
  struct ArrowBuffer buffer;
  struct ArrowIpcInputStream input;
  struct ArrowArrayStream stream;
  struct ArrowArray array;
  int64_t rows = 0, sum = 0;
  ArrowBufferInit(&buffer);
  assert_int_equal(ArrowBufferAppend(&buffer, data, (int64_t)len), NANOARROW_OK);
  assert_int_equal(ArrowIpcInputStreamInitBuffer(&input, &buffer), NANOARROW_OK);
  assert_int_equal(ArrowIpcArrayStreamReaderInit(&stream, &input, NULL), NANOARROW_OK);
  for (;;) {
    assert_int_equal(stream.get_next(&stream, &array), 0);
    if (!array.release) break;
    const int64_t *i = array.children[0]->buffers[1];
    for (int64_t row = 0; row < array.length; row++) sum += i[row];
    rows += array.length;
    array.release(&array);
  }
  stream.release(&stream);
  assert_true(rows == 5000 && sum == 5000 * 4999 / 2);
}

static void arrow_is_a_stream_on_the_sink_and_a_file_in_a_file(void **state) {
  (void)state;
  tl_error err = {0};
  tl_buf bytes = {0};
  int64_t rows = 0;
  tl_format_options options = {.format = TL_FORMAT_ARROW, .sink = append_bytes, .to = &bytes};
  if (try_print(&options, MANY, &rows, &err)) fail_msg("%s", err.message);
  assert_int_equal(rows, 5000);
  assert_ipc(bytes.data, bytes.len);
  options.path = path;
  if (try_print(&options, MANY, &rows, &err)) fail_msg("%s", err.message);
  assert_int_equal(tl_io_read_file(path, 1 << 24, &bytes, NULL), TL_OK);
  assert_memory_equal(bytes.data, "ARROW1\0\0", 8);
  assert_memory_equal(bytes.data + bytes.len - 6, "ARROW1", 6);
  assert_ipc(bytes.data + 8, bytes.len - 8); /* the stream lies inside the file */
  tl_buf_deinit(&bytes);
}

static tl_status stop(void *to, const void *data, size_t len, tl_error *err) {
  (void)data;
  *(size_t *)to += len;
  return tl_fail(err, TL_ELIMIT, "no more");
}

static void the_sinks_answer_is_the_answer(void **state) {
  (void)state;
  size_t taken = 0;
  tl_error err = {0};
  for (tl_output_format format = TL_FORMAT_TABLE; format <= TL_FORMAT_ARROW; format++) {
    if (format == TL_FORMAT_PARQUET) continue;
    tl_format_options options = {.format = format, .sink = stop, .to = &taken};
    assert_int_equal(try_print(&options, MANY, NULL, &err), TL_ELIMIT);
    assert_string_equal(err.message, "no more");
  }
  int ends[2];
  signal(SIGPIPE, SIG_IGN);
  assert_int_equal(pipe(ends), 0);
  close(ends[0]);
  tl_format_options options = {.format = TL_FORMAT_CSV, .sink = tl_sink_fd, .to = &ends[1]};
  assert_int_equal(try_print(&options, "SELECT 1 AS x", NULL, &err), TL_ECANCELED);
  close(ends[1]);
}

/* ---- audit ---- */

static void make_bars(const char *times) {
  char sql[400];
  unlink(path);
  snprintf(sql, sizeof sql, "COPY (SELECT make_timestamptz(1700000000000000 + i * 1000000) AS timestamp, 1.0 AS open, 1.0 AS high, 1.0 AS low, 1.0 AS close FROM (VALUES %s) t(i)) TO '%s' (FORMAT parquet)", times, path);
  assert_int_equal(tl_engine_run(engine, sql, NULL), TL_OK);
}

static void an_audit_reads_everything(void **state) {
  (void)state;
  static const struct {
    const char *times;
    bool sorted, unique;
  } cases[] = {{"(1), (2), (3)", true, true}, {"(1), (2), (2)", true, false}, {"(3), (2), (1)", false, true}, {"(2), (1), (2)", false, false}};
  tl_dataset bars, trades;
  assert_int_equal(tl_dataset_parse("1m", &bars, NULL), TL_OK);
  assert_int_equal(tl_dataset_parse("trades", &trades, NULL), TL_OK);
  tl_audit audit;
  tl_error err = {0};
  for (size_t i = 0; i < 4; i++) {
    make_bars(cases[i].times);
    if (tl_audit_file(engine, path, &bars, &audit, &err)) fail_msg("%s", err.message);
    assert_true(audit.rows == 3 && audit.sorted == cases[i].sorted && audit.unique == cases[i].unique);
    assert_true(audit.last_ns <= INT64_C(1700000003) * TL_NS_PER_S && audit.first_ns == INT64_C(1700000001) * TL_NS_PER_S);
  }
  assert_int_equal(tl_audit_file(engine, path, &trades, &audit, &err), TL_EDECODE);
  assert_int_equal(strlen(audit.checksum), 32);
  tl_buf bytes = {0};
  assert_int_equal(tl_io_read_file(path, 1 << 20, &bytes, NULL), TL_OK);
  assert_int_equal(audit.bytes, bytes.len);
  assert_int_equal(tl_io_replace(path, bytes.data, bytes.len - 1, NULL), TL_OK);
  char before[TL_CHECKSUM_TEXT_MAX];
  strcpy(before, audit.checksum);
  assert_int_equal(tl_audit_file(engine, path, &bars, &audit, &err), TL_ECORRUPT);
  assert_true(strcmp(before, audit.checksum) != 0 && audit.bytes == (int64_t)bytes.len - 1);
  tl_buf_deinit(&bytes);
  unlink(path);
  assert_int_equal(tl_audit_file(engine, path, &bars, &audit, &err), TL_ENOTFOUND);
}

static void a_checksum_is_that_of_xxhsum(void **state) {
  (void)state;
  char sum[TL_CHECKSUM_TEXT_MAX];
  int64_t bytes = -1;
  assert_int_equal(tl_io_replace(path, "", 0, NULL), TL_OK);
  assert_int_equal(tl_checksum_file(path, sum, &bytes, NULL), TL_OK);
  assert_string_equal(sum, "99aa06d3014798d86001c324468d497f"); /* xxhsum -H2 of nothing */
  assert_int_equal(bytes, 0);
  tl_checksum *in_pieces = tl_checksum_open();
  tl_checksum_add(in_pieces, "tick", 4);
  tl_checksum_add(in_pieces, "lake", 4);
  tl_checksum_text(in_pieces, sum);
  tl_checksum_close(in_pieces);
  char of_file[TL_CHECKSUM_TEXT_MAX];
  assert_int_equal(tl_io_replace(path, "ticklake", 8, NULL), TL_OK);
  assert_int_equal(tl_checksum_file(path, of_file, &bytes, NULL), TL_OK);
  assert_string_equal(sum, of_file);
}

#ifdef TL_FAULTS
static void sweep(tl_seam seam, tl_output_format format, bool to_file) {
  bool fired = true;
  int64_t live = tl_alloc_live();
  for (long n = 1; fired; n++) {
    struct ArrowArrayStream stream;
    tl_buf out = {0};
    tl_error err = {0};
    assert_int_equal(tl_engine_query(engine, "SELECT 'a\"b' AS s, [1] AS l, {'a': 1} AS t, MAP {'k': 1} AS m, 1.5 AS d FROM range(3)", NULL, 0, &stream, NULL), TL_OK);
    tl_format_options options = {.format = format, .sink = append_bytes, .to = &out, .path = to_file ? path : NULL, .engine = engine};
    tl_fault_arm(seam, n, TL_FAULT_ERROR, ENOSPC);
    tl_status st = tl_format_write(&options, &stream, NULL, &err);
    fired = tl_fault_disarm();
    if (fired && st == TL_OK && seam == TL_SEAM_DISK) st = TL_EIO; /* a failed clean-up is benign */
    if (fired != (st != TL_OK)) fail_msg("format %d fault %ld: %s", (int)format, n, err.message);
    tl_buf_deinit(&out);
    assert_null(stream.release);
    assert_int_equal(tl_alloc_live(), live);
  }
}

static void every_fault_is_reported_without_a_leak_or_a_file_left(void **state) {
  (void)state;
  for (tl_output_format format = TL_FORMAT_TABLE; format <= TL_FORMAT_ARROW; format++)
    for (int to_file = format == TL_FORMAT_PARQUET; to_file < 2; to_file++) {
      sweep(TL_SEAM_ALLOC, format, to_file);
      if (to_file) sweep(TL_SEAM_DISK, format, to_file);
    }
  tl_io_names left;
  assert_int_equal(tl_io_list(folder, &left, NULL), TL_OK);
  assert_int_equal(left.count, 1);
  tl_io_names_deinit(&left);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_table_is_aligned_and_shows_null),
    cmocka_unit_test(rows_after_the_measured_ones_push_to_the_right),
    cmocka_unit_test(csv_tells_null_from_empty_and_quotes_what_it_must),
    cmocka_unit_test(numbers_are_exact_and_short),
    cmocka_unit_test(json_lines_hold_one_object_a_row),
    cmocka_unit_test(nests_keep_their_rows_apart),
    cmocka_unit_test(instants_show_the_offset_of_their_zone),
    cmocka_unit_test(formats_have_names),
    cmocka_unit_test(a_file_appears_whole_or_stays_as_it_was),
    cmocka_unit_test(parquet_goes_to_a_file_and_reads_back),
    cmocka_unit_test(arrow_is_a_stream_on_the_sink_and_a_file_in_a_file),
    cmocka_unit_test(the_sinks_answer_is_the_answer),
    cmocka_unit_test(an_audit_reads_everything),
    cmocka_unit_test(a_checksum_is_that_of_xxhsum),
#ifdef TL_FAULTS
    cmocka_unit_test(every_fault_is_reported_without_a_leak_or_a_file_left),
#endif
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
