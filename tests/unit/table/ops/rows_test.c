/* Rows into an open table and out again: types, partitions, awkward values, conditions that prune. Each test runs for
 * Delta, Iceberg and a table with both faces. */
#include "base/prng.h"
#include "tests/unit/table/ops/table.h"

static bool has_delta(const table_fixture *t) { return strncmp(t->faces, "delta", 5) == 0; }

/* ---- awkward values, and conditions ---- */

static const char awkward_columns[] = "symbol VARCHAR, \"timestamp\" TIMESTAMPTZ NOT NULL, n BIGINT, i INTEGER, x DOUBLE, f FLOAT, s VARCHAR, d DATE, b BOOLEAN, "
                                      "c DECIMAL(10,2), ladder DOUBLE[], raw BLOB";

static void make_awkward(table_fixture *t) {
  run_sql(t, "CREATE OR REPLACE TABLE truth AS SELECT "
             "  [NULL, 'BTC/USD', '../x', 'é ✓ 漢', '100%%', 'a=b', '..', 'it''s', 'A B', '__HIVE_DEFAULT_PARTITION__'][1 + g %% 10] AS symbol, "
             "  CASE WHEN g %% 50 = 7 THEN TIMESTAMPTZ '2024-03-10 06:59:59.999999+00' ELSE TIMESTAMPTZ '2024-03-09 22:00:00.000001+00' + to_microseconds(CAST(g AS BIGINT) * 1800000001) END AS timestamp, "
             "  CASE WHEN g %% 11 = 3 THEN NULL WHEN g %% 97 = 5 THEN 9223372036854775807 ELSE CAST(g AS BIGINT) * 1000003 - 500 END AS n, "
             "  CAST(g %% 1000 - 500 AS INTEGER) AS i, "
             "  CASE g %% 13 WHEN 0 THEN NULL WHEN 1 THEN -0.0 WHEN 2 THEN 0.0 ELSE g / 7.0 - 100 END::DOUBLE AS x, "
             "  (g * 0.1)::FLOAT AS f, "
             "  CASE g %% 9 WHEN 0 THEN '' WHEN 1 THEN repeat('x', 300) || g WHEN 2 THEN repeat(chr(1114111), 80) || g WHEN 3 THEN NULL WHEN 4 THEN repeat('ü', 31) || chr(127) || g ELSE 'w' || g END AS s, "
             "  DATE '2024-02-29' + CAST(g %% 700 AS INTEGER) - 300 AS d, g %% 3 = 0 AS b, (g %% 2000 - 1000)::DECIMAL(10,2) / 100 AS c, "
             "  CASE g %% 4 WHEN 0 THEN NULL WHEN 1 THEN [] ELSE [g * 1.0, NULL, 'nan'::DOUBLE] END AS ladder, "
             "  ('r' || g)::BLOB AS raw "
             "FROM range(3000) t(g)");
  run_sql(t, "ALTER TABLE truth ALTER c TYPE DECIMAL(10,2)");
  run_sql(t, "UPDATE truth SET x = 'nan' WHERE i %% 17 = 1 AND symbol = 'a=b'; UPDATE truth SET x = 'inf' WHERE symbol = '..' AND i %% 5 = 1; "
             "UPDATE truth SET x = '-inf' WHERE symbol = 'A B' AND i %% 5 = 1; UPDATE truth SET f = 'nan' WHERE i = 77; "
             "UPDATE truth SET d = DATE '0044-03-15 (BC)' WHERE i = -123");
}

static void predicate(tl_prng *dice, char *out, size_t size) {
  static const char *const columns[] = {"symbol", "timestamp", "n", "i", "x", "f", "s", "d", "b", "c"};
  static const char *const constants[][6] = {
    {"'BTC/USD'", "'a=b'", "''", "'é ✓ 漢'", "'..'", "'zzz'"},
    {"TIMESTAMPTZ '2024-03-10 07:00:00+00'", "'2024-03-10 06:59:59.999999+00'", "DATE '2024-04-01'", "'2024-03-31 23:59:59.9999995+00'", "TIMESTAMP '2024-05-01 00:00:00'", "'1970-01-01'"},
    {"0", "9223372036854775807", "1000003000.5", "-500", "'2500007000'", "1e9"},
    {"0", "-500", "499", "2147483648", "1.5", "-1"},
    {"0", "-0.0", "0.0", "'nan'::DOUBLE", "'inf'::DOUBLE", "-100"},
    {"0.1", "'nan'::FLOAT", "299.9", "0", "100", "-1"},
    {"''", "'w1000'", "'xxx'", "'w'", "5", "'zz'"},
    {"DATE '2024-02-29'", "'2024-01-01'", "TIMESTAMP '2024-02-29 12:00:00'", "DATE '0001-01-01'", "'infinity'::DATE", "'2025-03-30'"},
    {"TRUE", "FALSE", "TRUE", "FALSE", "TRUE", "FALSE"},
    {"0", "-9.99", "9.995", "5", "'1.23'", "100000000"}};
  static const char *const signs[] = {"=", "<", "<=", ">", ">=", "<>"};
  size_t len = 0;
  for (int part = 0; part < 1 + (int)tl_prng_below(dice, 3); part++) {
    size_t c = tl_prng_below(dice, 10);
    const char *a = constants[c][tl_prng_below(dice, 6)], *b = constants[c][tl_prng_below(dice, 6)], *joint = part ? " AND " : "";
    bool strange = c == 6 && (!strcmp(a, "5") || !strcmp(b, "5")); /* a text column against a number is an error of its own */
    if (strange) a = b = "'w5'";
    switch (tl_prng_below(dice, 6)) {
      case 0: len += (size_t)snprintf(out + len, size - len, "%s%s IS %sNULL", joint, columns[c], tl_prng_below(dice, 2) ? "NOT " : ""); break;
      case 1: len += (size_t)snprintf(out + len, size - len, "%s%s BETWEEN %s AND %s", joint, columns[c], a, b); break;
      case 2: len += (size_t)snprintf(out + len, size - len, "%s%s IN (%s, %s)", joint, columns[c], a, b); break;
      case 3: len += (size_t)snprintf(out + len, size - len, "%s(%s %s %s OR %s = %s)", joint, columns[c], signs[tl_prng_below(dice, 6)], a, columns[c], b); break;
      case 4: len += (size_t)snprintf(out + len, size - len, "%s%s %s %s", joint, a, signs[tl_prng_below(dice, 6)], columns[c]); break;
      default: len += (size_t)snprintf(out + len, size - len, "%s%s %s %s", joint, columns[c], signs[tl_prng_below(dice, 6)], a);
    }
  }
}

static void awkward_rows_come_back_body(table_fixture *t) {
  table_create(t, awkward_columns, "symbol,month(timestamp)", "symbol, timestamp");
  make_awkward(t);
  append_rows(t, "SELECT * FROM truth WHERE i % 3 = 0");
  append_rows(t, "SELECT symbol, s, x, n, i, f, d, b, c, ladder, raw, timestamp FROM truth WHERE i % 3 <> 0 ORDER BY hash(i)");
  assert_int_equal(t->changed.rows_inserted, one_number(t, "SELECT count(*) FROM truth WHERE i % 3 <> 0"));
  static const char columns[] = "symbol, timestamp, n, i, x, f, s, d, b, c, ladder, raw";
  assert_table(t, columns, "FROM truth");
  if (has_delta(t)) assert_rows_where(t, t->relation, NULL, NULL, "timestamp, month", "SELECT timestamp, strftime(timestamp::TIMESTAMP, '%Y-%m') AS month FROM truth");
  tl_prng dice = tl_prng_init(20240310);
  char where[600], truth[700];
  for (int i = 0; i < 100; i++) {
    predicate(&dice, where, sizeof where);
    snprintf(truth, sizeof truth, "SELECT * FROM truth WHERE %s", where);
    assert_rows_where(t, t->relation, NULL, where, "symbol, timestamp, i", truth);
  }
}
static void awkward_rows_come_back_and_conditions_prune_soundly(void **state) {
  (void)state;
  FOR_EACH_FACES(awkward_rows_come_back_body)
}

static size_t files_of(table_fixture *t, const char *where) { /* how many files the SELECT names */
  tl_buf sql = {0};
  size_t count = 0;
  MUST(tl_relation_sql(t->relation, NULL, where, &sql, err));
  for (const char *p = sql.data; (p = strstr(p, ".parquet'")); p++) count++;
  tl_buf_deinit(&sql);
  return count;
}

static void conditions_prune_body(table_fixture *t) {
  table_create(t, "symbol VARCHAR, \"timestamp\" TIMESTAMPTZ, close DOUBLE, volume BIGINT", "symbol,month(timestamp)", "timestamp");
  append_rows(t, "SELECT 'S' || (g % 4) AS symbol, TIMESTAMPTZ '2024-01-01 00:00:00+00' + g * INTERVAL 1 HOUR AS timestamp, g * 1.0 AS close, g AS volume FROM range(2000) t(g)");
  assert_int_equal(files_of(t, NULL), 12); /* 4 symbols, 3 months */
  assert_int_equal(files_of(t, "symbol = 'S1'"), 3);
  assert_int_equal(files_of(t, "symbol IN ('S1', 'S3') AND timestamp >= '2024-03-01'"), 2);
  assert_int_equal(files_of(t, "timestamp < TIMESTAMPTZ '2024-02-01 00:00:00+00'"), 4);
  assert_int_equal(files_of(t, "volume BETWEEN 0 AND 3"), 4);
  assert_int_equal(files_of(t, "volume = 3"), 4); /* lies within the bounds of each January */
  assert_int_equal(files_of(t, "close < 0.5"), 1);
  assert_int_equal(files_of(t, "volume IS NULL"), 0);
  assert_int_equal(files_of(t, "volume = 3 OR volume = 1999"), 12); /* no conjunction: not looked into */
  assert_int_equal(files_of(t, "lower(symbol) = 's2' AND volume > 1990"), 1);
  /* ANDs that are none of the whole condition's, which is true for every row, or may be */
  assert_int_equal(files_of(t, "[volume >= 0 AND symbol = 'S1' AND volume >= 0, true][2]"), 12);
  assert_int_equal(files_of(t, "{'a': volume >= 0 AND symbol = 'S1' AND volume >= 0, 'b': true}.b"), 12);
  assert_int_equal(files_of(t, "symbol != e'a\\' AND volume = 3 AND \\'b'"), 12);
}
static void conditions_leave_out_files(void **state) {
  (void)state;
  FOR_EACH_FACES(conditions_prune_body)
}

/* Names the engine's own statements could use. */
static void partition_names_body(table_fixture *t) {
  table_create(t, "i INTEGER, k0 VARCHAR, v BIGINT", "i,k0", NULL);
  append_rows(t, "SELECT g::INTEGER AS i, 'x' || g AS k0, g AS v FROM range(10, 15) t(g)");
  assert_int_equal(files_of(t, "i = 12"), 1);
  assert_int_equal(files_of(t, "k0 = 'x13'"), 1);
  assert_int_equal(files_of(t, "i > 13 OR k0 = 'x10'"), 2);
  MUST(tl_relation_delete(t->relation, "i = 12", &t->changed, err));
  assert_int_equal(t->changed.rows_deleted, 1);
  assert_table(t, "v", "SELECT * FROM (VALUES (10), (11), (13), (14)) w(v)");
}

static void partition_columns_may_have_short_names(void **state) {
  (void)state;
  FOR_EACH_FACES(partition_names_body)
}

/* ---- types and columns ---- */

static tl_status try_append(table_fixture *t, const char *rows, tl_error *err) {
  *err = (tl_error){0};
  return tl_relation_append(t->relation, &(tl_write){.rows = rows}, &t->changed, err);
}

static void types_body(table_fixture *t) {
  tl_error err;
  table_create(t, "id INTEGER NOT NULL, x FLOAT, d DECIMAL(6,2), day DATE, \"timestamp\" TIMESTAMPTZ, s VARCHAR, w DECIMAL(38,10)", NULL, NULL);
  append_rows(t, "SELECT 1::BIGINT AS id, 0.5::DOUBLE AS x, 12.5::DOUBLE AS d, TIMESTAMP '2024-01-02 00:00:00' AS day, TIMESTAMP_NS '2024-01-02 03:04:05.000006' AS timestamp, 'a' AS s");
  append_rows(t, "SELECT '7' AS id, '1.25' AS d, NULL AS day, '2024-01-02 03:04:05+01:00' AS timestamp, ' 1234567890123456789012345678.0123456789' AS w -- a comment");
  assert_table(t, "w", "SELECT NULL::DECIMAL(38,10) AS w UNION ALL SELECT 1234567890123456789012345678.0123456789"); /* more digits than a double has */
  assert_table(t, "id, x, d, day, timestamp, s",
               "SELECT 1 AS id, 0.5 AS x, 12.5 AS d, DATE '2024-01-02' AS day, TIMESTAMPTZ '2024-01-02 03:04:05.000006+00' AS timestamp, 'a' AS s "
               "UNION ALL SELECT 7, NULL, 1.25, NULL, TIMESTAMPTZ '2024-01-02 02:04:05+00', NULL");
  static const struct {
    const char *rows, *words;
  } refused[] = {
    {"SELECT 3000000000 AS id", "column 'id' is INTEGER and cannot hold BIGINT 3000000000: --widen"},
    {"SELECT 1.5::DOUBLE AS id", "column 'id' is INTEGER and cannot hold DOUBLE 1.5"},
    {"SELECT '1.5' AS id", "column 'id' is INTEGER and cannot hold VARCHAR 1.5"},
    {"SELECT '3000000000' AS id", "column 'id' is INTEGER and cannot hold VARCHAR 3000000000: --widen"},
    {"SELECT 1 AS id, 0.1::DOUBLE AS x", "column 'x' is FLOAT and cannot hold DOUBLE 0.1"},
    {"SELECT 1 AS id, 1.234::DECIMAL(9,3) AS d", "column 'd' is DECIMAL(6,2) and cannot hold DECIMAL(9,3) 1.234"},
    {"SELECT 1 AS id, '0.12345678901' AS w", "column 'w' is DECIMAL(38,10) and cannot hold VARCHAR 0.12345678901"},
    {"SELECT 1 AS id, TIMESTAMP '2024-01-02 00:00:01' AS day", "column 'day' is DATE"},
    {"SELECT 1 AS id, TIMESTAMP_NS '2024-01-02 00:00:00.000000001' AS timestamp", "column 'timestamp' is TIMESTAMP"},
    {"SELECT 0.5 AS x", "column 'id' must not be NULL"},
    {"SELECT 1 AS id, 2 AS idd", "no column 'idd' (it has 'id')"},
    {"SELECT 1 AS id, 2 AS ID_", "no column 'ID_'"},
  };
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) assert_refused(try_append(t, refused[i].rows, &err), TL_EUSAGE, &err, refused[i].words);
  assert_refused(try_append(t, "SELECT 1 AS id WHERE nosuch", &err), TL_EUSAGE, &err, "nosuch");
  assert_null(strstr(err.message, "LINE")); /* that would be of a statement the caller never saw */
  append_rows(t, "SELECT 1 AS id WHERE false");
  assert_int_equal(t->changed.version, -1);
}
static void values_that_fit_are_taken_and_others_refused_by_name(void **state) {
  (void)state;
  FOR_EACH_FACES(types_body)
}

/* A column file_index would make the table unreadable, a column rowid would be taken for the number of a row. */
static void kept_names_body(table_fixture *t) {
  static const char *const rows[] = {"SELECT 1 AS id, 2 AS file_index", "SELECT 1 AS id, 2 AS File_Row_Number", "SELECT 1 AS id, 2 AS rowid", "SELECT 1 AS id, 2 AS \"tl#file\""};
  tl_error err;
  table_create(t, "id INTEGER", NULL, NULL);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    err = (tl_error){0};
    assert_refused(tl_relation_append(t->relation, &(tl_write){.rows = rows[i], .add_columns = true}, &t->changed, &err), TL_EUSAGE, &err, "a column cannot be named '");
  }
  err = (tl_error){0};
  assert_refused(tl_relation_add_columns(t->relation, "rowid BIGINT", &t->changed, &err), TL_EUSAGE, &err, "a column cannot be named 'rowid'");
  append_rows(t, "SELECT 1 AS id");
  assert_table(t, "id", "SELECT 1 AS id");
}

static void names_duckdb_keeps_are_refused(void **state) {
  (void)state;
  FOR_EACH_FACES(kept_names_body)
}

static void endless_times_body(table_fixture *t) {
  tl_error err;
  table_create(t, "day DATE, \"timestamp\" TIMESTAMPTZ, naive TIMESTAMP, list TIMESTAMP[]", NULL, NULL);
  static const struct {
    const char *rows, *words;
  } refused[] = {
    {"SELECT DATE 'infinity' AS day", "column 'day' is DATE and cannot hold infinity"},
    {"SELECT DATE '-infinity' AS day", "column 'day' is DATE and cannot hold -infinity"},
    {"SELECT TIMESTAMP '-infinity' AS day", "column 'day' is DATE and cannot hold TIMESTAMP -infinity"},
    {"SELECT TIMESTAMPTZ 'infinity' AS timestamp", "column 'timestamp' is TIMESTAMPTZ and cannot hold infinity"},
    {"SELECT '-infinity' AS timestamp", "column 'timestamp' is TIMESTAMPTZ and cannot hold VARCHAR -infinity"},
    {"SELECT DATE 'infinity' AS naive", "column 'naive' is TIMESTAMP and cannot hold DATE infinity"},
    {"SELECT TIMESTAMP_NS 'infinity' AS naive", "column 'naive' is TIMESTAMP and cannot hold TIMESTAMP_NS infinity"},
    {"SELECT unnest([TIMESTAMP '2024-01-01', 'infinity']) AS naive", "column 'naive' is TIMESTAMP and cannot hold infinity"},
    {"SELECT [TIMESTAMP '2024-01-01', NULL, 'infinity'] AS list", "column 'list' is TIMESTAMP[] and cannot hold ["},
  };
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) assert_refused(try_append(t, refused[i].rows, &err), TL_EUSAGE, &err, refused[i].words);
  static const char rows[] = "SELECT DATE '9999-12-31' AS day, TIMESTAMPTZ '0001-01-01 00:00:00+00' AS timestamp, TIMESTAMP '9999-12-31 23:59:59.999999' AS naive, [NULL, TIMESTAMP '1970-01-01'] AS list "
                             "UNION ALL SELECT NULL, NULL, NULL, NULL UNION ALL SELECT NULL, NULL, NULL, []";
  append_rows(t, rows);
  assert_table(t, "day, timestamp, naive, list", rows);
}
static void times_without_end_are_refused_by_name(void **state) {
  (void)state;
  FOR_EACH_FACES(endless_times_body)
}

static void texts_of_times_body(table_fixture *t) {
  tl_error err;
  table_create(t, "day DATE, \"timestamp\" TIMESTAMPTZ, naive TIMESTAMP", NULL, NULL);
  static const struct {
    const char *column, *text;
  } refused[] = {
    {"timestamp", "2024-01-01T00:00:00.123456789Z"}, {"timestamp", "2024-01-01 00:00:00.0000001+02:00"}, {"timestamp", "2024-01-01T00:00:00.12345600001"},
    {"naive", "2024-01-01 00:00:00.1234567"},        {"naive", "yesterday"},                             {"day", "2024-01-01 15:00:00"},
    {"day", "2024-01-01 00:00:00.000001"},           {"day", "2024-01-01 00:00:00.0000001"},             {"day", "2024-01-01T23:59"},
    {"day", "2024-01-01 and more"}};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    char rows[200], words[200];
    snprintf(rows, sizeof rows, "SELECT '%s' AS %s", refused[i].text, refused[i].column);
    snprintf(words, sizeof words, "and cannot hold VARCHAR %s", refused[i].text);
    assert_refused(try_append(t, rows, &err), TL_EUSAGE, &err, words);
  }
  append_rows(t, "FROM (VALUES ('2024-01-01', '2024-01-01T00:00:00.123456000Z', '2024-01-01T00:00:00.123456000'), (' 2024-1-2 ', '2024-01-01 00:00:00.1234560+02:00', '2024-01-01'), "
                 "('2024-01-03T00:00:00.0000000Z', '2024-01-01', '2024-01-01 00:00:00.5'), ('0044-03-15 (BC)', '2024-07-01 00:00:00-0530', NULL)) t(day, timestamp, naive)");
  assert_table(t, "day, timestamp, naive",
               "SELECT DATE '2024-01-01' AS day, make_timestamptz(1704067200123456) AS timestamp, make_timestamp(1704067200123456) AS naive "
               "UNION ALL SELECT DATE '2024-01-02', make_timestamptz(1704060000123456), make_timestamp(1704067200000000) "
               "UNION ALL SELECT DATE '2024-01-03', make_timestamptz(1704067200000000), make_timestamp(1704067200500000) "
               "UNION ALL SELECT make_date(-43, 3, 15), make_timestamptz(1719811800000000), NULL");
}
static void texts_of_times_lose_nothing(void **state) {
  (void)state;
  FOR_EACH_FACES(texts_of_times_body)
}

static void columns_body(table_fixture *t) {
  table_create(t, "id INTEGER, x FLOAT", NULL, NULL);
  append_rows(t, "SELECT 1 AS id, 1.5 AS x");
  tl_at before = {TL_AT_VERSION, tl_relation_snapshot(t->relation)->version};
  MUST(tl_relation_append(t->relation, &(tl_write){.rows = "SELECT 2 AS id, 'new' AS s, [1.5, NULL]::DOUBLE[] AS l", .add_columns = true}, &t->changed, err));
  MUST(tl_relation_add_columns(t->relation, "day DATE, d DECIMAL(20,4)", &t->changed, err));
  append_rows(t, "SELECT 3 AS id, DATE '2024-01-01' AS day, [2.5]::DOUBLE[] AS l");
  assert_table(t, "id, x, s, l, day, d",
               "SELECT 1 AS id, 1.5 AS x, NULL AS s, NULL::DOUBLE[] AS l, NULL::DATE AS day, NULL::DECIMAL(20,4) AS d "
               "UNION ALL SELECT 2, NULL, 'new', [1.5, NULL], NULL, NULL UNION ALL SELECT 3, NULL, NULL, [2.5], DATE '2024-01-01', NULL");
  assert_rows_where(t, t->relation, &before, NULL, "*", "SELECT 1::INTEGER AS id, 1.5::FLOAT AS x");
  MUST(tl_relation_append(t->relation, &(tl_write){.rows = "SELECT 3000000000 AS id, 0.1::DOUBLE AS x", .widen = true}, &t->changed, err));
  assert_table(t, "id, x, day", "SELECT 1::BIGINT AS id, 1.5::DOUBLE AS x, NULL::DATE AS day UNION ALL SELECT 2, NULL, NULL UNION ALL SELECT 3, NULL, DATE '2024-01-01' "
                                "UNION ALL SELECT 3000000000, 0.1::DOUBLE, NULL");
  MUST(tl_relation_add_columns(t->relation, "n INTEGER", &t->changed, err));
  MUST(tl_relation_append(t->relation, &(tl_write){.rows = "SELECT '4' AS id, '5' AS n", .widen = true}, &t->changed, err));
  assert_int_equal(t->changed.rows_copied, 0); /* it fits */
  MUST(tl_relation_append(t->relation, &(tl_write){.rows = "SELECT '6' AS id, '3000000000' AS n", .widen = true}, &t->changed, err));
  assert_table(t, "n", "SELECT NULL::BIGINT AS n FROM range(4) UNION ALL SELECT 5 UNION ALL SELECT 3000000000");
  MUST(tl_relation_delete(t->relation, "n IS NOT NULL", &t->changed, err));
  table_reopen(t);
  assert_int_equal(one_number(t, "SELECT 1"), 1);
  assert_table(t, "id", "SELECT unnest([1, 2, 3, 3000000000]) AS id");
}
static void columns_are_added_and_widened(void **state) {
  (void)state;
  FOR_EACH_FACES(columns_body)
}

static void partition_values_body(table_fixture *t) {
  tl_error err;
  table_create(t, "p VARCHAR, n INTEGER", "p", NULL);
  assert_refused(try_append(t, "SELECT '' AS p, 1 AS n", &err), TL_EUSAGE, &err, "column 'p' holds an empty text");
  assert_refused(try_append(t, "SELECT 'a' || chr(0) || 'b' AS p, 1 AS n", &err), TL_EUSAGE, &err, "NUL");
  assert_refused(try_append(t, "SELECT repeat('/', 67) AS p, 1 AS n", &err), TL_EUSAGE, &err, "200 bytes");
  append_rows(t, "SELECT repeat('/', 66) AS p, 1 AS n UNION ALL SELECT repeat('.', 66), 2");
  assert_table(t, "p, n", "SELECT repeat('/', 66) AS p, 1 AS n UNION ALL SELECT repeat('.', 66), 2");
  char command[200];
  snprintf(command, sizeof command, "test -z \"$(ls -A %s/_ticklake_tmp 2>/dev/null)\"", t->folder);
  assert_int_equal(system(command), 0); /* no work file is left, of the refused ones either */
}
static void partition_values_without_a_path_are_refused(void **state) {
  (void)state;
  FOR_EACH_FACES(partition_values_body)
}

static void derived_columns_are_filled_and_checked(void **state) {
  (void)state;
  table_fixture t;
  tl_error err;
  table_start(&t, "delta");
  table_create(&t, "\"timestamp\" TIMESTAMPTZ, n INTEGER", "month(timestamp)", NULL);
  append_rows(&t, "SELECT TIMESTAMPTZ '2024-02-29 23:59:59.999999+00' AS timestamp, 1 AS n, '2024-02' AS month UNION ALL SELECT NULL, 2, NULL");
  assert_refused(try_append(&t, "SELECT TIMESTAMPTZ '2024-03-01 00:00:00+00' AS timestamp, 1 AS n, '2024-02' AS month", &err), TL_EUSAGE, &err,
                 "column 'month' is the month of another and cannot be 2024-02 here");
  assert_table(&t, "n, month", "SELECT 1 AS n, '2024-02' AS month UNION ALL SELECT 2, NULL");
  table_stop(&t);
}

static void buckets_and_days_partition_iceberg(void **state) {
  (void)state;
  table_fixture t;
  table_start(&t, "iceberg");
  table_create(&t, "s VARCHAR, n BIGINT, \"timestamp\" TIMESTAMPTZ, d DATE", "bucket(8, s), bucket(4, n), day(timestamp), year(d)", NULL);
  run_sql(&t, "CREATE TABLE truth AS SELECT 'S' || g AS s, g AS n, TIMESTAMPTZ '2024-01-01 12:00:00+00' + (g // 20) * INTERVAL 1 DAY AS timestamp, DATE '2020-01-01' + g::INTEGER * 30 AS d FROM range(60) t(g)");
  append_rows(&t, "FROM truth");
  assert_table(&t, "s, n, timestamp, d", "FROM truth");
  assert_rows_where(&t, t.relation, NULL, "timestamp >= '2024-01-02' AND timestamp < '2024-01-03'", "n", "SELECT n FROM truth WHERE n BETWEEN 20 AND 39");
  /* appendix B of the Iceberg specification: hash of 34 is 2017239379, of 'iceberg' 1210000089 */
  assert_int_equal(one_number(&t, "SELECT iceberg_bucket_number(1000, 34::BIGINT)"), 379);
  assert_int_equal(one_number(&t, "SELECT iceberg_bucket_text(1000, 'iceberg')"), 89);
  table_stop(&t);
}

static void creating_twice_or_nonsense_is_refused(void **state) {
  (void)state;
  table_fixture t;
  tl_relation *other = NULL;
  table_start(&t, "delta");
  table_create(&t, "id INTEGER", NULL, NULL);
  static const struct {
    const char *columns, *partition_by, *faces, *words;
    tl_status status;
  } refused[] = {
    {"id INTEGER", NULL, "delta", "already", TL_ECONFLICT},
    {"id INTEGER", NULL, "iceberg", "already", TL_ECONFLICT},
    {"id INTEGER", "nosuch", "delta", "no column 'nosuch'", TL_EUSAGE},
    {"id INTEGER", "id", "delta", "no partition", TL_EUSAGE},
    {"id INTEGER, s VARCHAR", "month(s)", "delta", "cannot be partitioned by month", TL_EUSAGE},
    {"id INTEGER, s VARCHAR", "bucket(0, s)", "iceberg", "bucket", TL_EUSAGE},
    {"id INTEGER, s VARCHAR", "bucket(4, s)", "delta", "no bucket partitions", TL_EUSAGE},
    {"id INTEGER, s VARCHAR", "truncate(s)", "iceberg", "cannot partition by", TL_EUSAGE},
    {"id HUGEINT", NULL, "delta", "HUGEINT", TL_EUSAGE},
    {"id INTEGER, ID INTEGER", NULL, "delta", "", TL_EUSAGE},
    {"id NOSUCH", NULL, "delta", "NOSUCH", TL_EUSAGE},
    {"id INTEGER, n INTEGER DEFAULT 5", NULL, "delta", "column 'n': a table keeps names, types and NOT NULL, but no DEFAULT 5", TL_EUSAGE},
    {"id INTEGER PRIMARY KEY", NULL, "delta", "no PRIMARY KEY(id)", TL_EUSAGE},
    {"id INTEGER CHECK (id > 0)", NULL, "iceberg", "no CHECK((id > 0))", TL_EUSAGE},
    {"id INTEGER", NULL, "hudi", "no format", TL_EUSAGE},
  };
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    tl_error err = {0};
    tl_relation_options options = table_options(&t);
    tl_relation_create create = {.faces = refused[i].faces, .columns = refused[i].columns, .partition_by = refused[i].partition_by};
    assert_refused(tl_relation_create_table(t.folder, &options, &create, &other, &err), refused[i].status, &err, refused[i].words);
  }
  table_stop(&t);
}

static void a_txn_commits_once_body(table_fixture *t) {
  table_create(t, "id INTEGER", NULL, NULL);
  for (int i = 0; i < 2; i++)
    for (int64_t version = 1; version < 4; version++)
      MUST(tl_relation_append(t->relation, &(tl_write){.rows = "SELECT 1 AS id", .txn_app = "job:1", .txn_version = version}, &t->changed, err));
  assert_true(t->changed.already);
  MUST(tl_relation_append(t->relation, &(tl_write){.rows = "SELECT 2 AS id", .txn_app = "job:2", .txn_version = 1}, &t->changed, err));
  assert_false(t->changed.already);
  assert_table(t, "id", "SELECT unnest([1, 1, 1, 2]) AS id");
}
static void a_txn_commits_once(void **state) {
  (void)state;
  FOR_EACH_FACES(a_txn_commits_once_body)
}

static void big_writes_are_cut_body(table_fixture *t) {
  table_create(t, "p VARCHAR, \"timestamp\" TIMESTAMPTZ, x DOUBLE", "p", "timestamp");
  run_sql(t, "CREATE TABLE truth AS SELECT 'P' || (g %% 2) AS p, TIMESTAMPTZ '2024-01-01 00:00:00+00' + hash(g) %% 1000000 * INTERVAL 1 SECOND AS timestamp, random() AS x FROM range(600000) t(g)");
  append_rows(t, "FROM truth");
  assert_true(t->changed.files_added >= 4); /* of about 1 MiB each */
  assert_table(t, "p, timestamp, x", "FROM truth");
  tl_buf sql = {0};
  MUST(tl_relation_sql_placed(t->relation, NULL, NULL, &sql, err));
  tl_buf disorder = {0};
  MUST(tl_buf_appendf(&disorder, err, "SELECT count(*) FROM (SELECT timestamp < lag(timestamp) OVER (PARTITION BY \"tl#file\" ORDER BY \"tl#row\") AS back FROM (%s)) WHERE back", sql.data));
  assert_int_equal(one_number(t, disorder.data), 0);
  tl_buf_deinit(&sql);
  tl_buf_deinit(&disorder);
}
static void big_writes_are_cut_into_sorted_files(void **state) {
  (void)state;
  FOR_EACH_FACES(big_writes_are_cut_body)
}

/* Readers find both zeros by either: a file holds nothing that says otherwise. */
static void zeros_body(table_fixture *t) {
  char sql[400];
  table_create(t, "a DOUBLE, b DOUBLE", NULL, NULL);
  append_rows(t, "SELECT CASE WHEN g = 3 THEN 0.0 ELSE g + 1.5 END AS a, CASE WHEN g = 4 THEN CAST('-0.0' AS DOUBLE) ELSE g + 1.5 END AS b FROM range(40) t(g)");
  snprintf(sql, sizeof sql, "SELECT (count(*) FILTER (WHERE a = CAST('-0.0' AS DOUBLE))) * 10 + count(*) FILTER (WHERE b = 0.0) FROM '%s/**/part-*.parquet'", t->folder);
  assert_int_equal(one_number(t, sql), 11);
  snprintf(sql, sizeof sql, "SELECT count(*) FROM '%s/**/part-*.parquet' WHERE a = CAST('-0.0' AS DOUBLE)", t->folder);
  assert_int_equal(one_number(t, sql), 1);
  snprintf(sql, sizeof sql, "SELECT count(*) FROM '%s/**/part-*.parquet' WHERE b = 0.0", t->folder);
  assert_int_equal(one_number(t, sql), 1);
}
static void both_zeros_are_found_by_either(void **state) {
  (void)state;
  FOR_EACH_FACES(zeros_body)
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(both_zeros_are_found_by_either),
    cmocka_unit_test(awkward_rows_come_back_and_conditions_prune_soundly),
    cmocka_unit_test(conditions_leave_out_files),
    cmocka_unit_test(partition_columns_may_have_short_names),
    cmocka_unit_test(names_duckdb_keeps_are_refused),
    cmocka_unit_test(values_that_fit_are_taken_and_others_refused_by_name),
    cmocka_unit_test(times_without_end_are_refused_by_name),
    cmocka_unit_test(texts_of_times_lose_nothing),
    cmocka_unit_test(columns_are_added_and_widened),
    cmocka_unit_test(partition_values_without_a_path_are_refused),
    cmocka_unit_test(derived_columns_are_filled_and_checked),
    cmocka_unit_test(buckets_and_days_partition_iceberg),
    cmocka_unit_test(creating_twice_or_nonsense_is_refused),
    cmocka_unit_test(a_txn_commits_once),
    cmocka_unit_test(big_writes_are_cut_into_sorted_files),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
