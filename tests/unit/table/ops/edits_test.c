/* Every verb that changes rows, against plain SQL on a copy of them, for Delta, Iceberg and a table with both faces. */
#include "base/prng.h"
#include "tests/unit/table/ops/table.h"

static const char bar_columns[] = "symbol VARCHAR, \"timestamp\" TIMESTAMPTZ, close DOUBLE, volume BIGINT, note VARCHAR";
static const char columns[] = "symbol, timestamp, close, volume, note";

/* 4 symbols (one of them NULL), 3 months, awkward values of close. */
static void make_bars(table_fixture *t) {
  run_sql(t, "CREATE OR REPLACE TABLE truth AS SELECT [NULL, 'BTC/USD', 'é ✓', 'a=b'][1 + g %% 4] AS symbol, "
             "TIMESTAMPTZ '2024-01-01 00:00:00+00' + g * INTERVAL 1 HOUR AS timestamp, "
             "CASE g %% 9 WHEN 0 THEN 'nan'::DOUBLE WHEN 1 THEN 'inf'::DOUBLE WHEN 2 THEN NULL ELSE g / 3.0 END::DOUBLE AS close, g::BIGINT AS volume, NULL::VARCHAR AS note "
             "FROM range(2000) t(g)");
}

static void start_bars(table_fixture *t, const char *partition_by) {
  table_create(t, bar_columns, partition_by, "symbol, timestamp");
  make_bars(t);
  append_rows(t, "FROM truth WHERE volume % 2 = 0");
  append_rows(t, "FROM truth WHERE volume % 2 = 1");
}

static int64_t version_of(table_fixture *t) { return tl_relation_snapshot(t->relation)->version; }

/* ---- merge ---- */

static void plain_merge(table_fixture *t) { /* "src" into "truth", by NULL-safe keys, without asking the code under test */
  run_sql(t, "DELETE FROM truth WHERE EXISTS (SELECT 1 FROM (SELECT DISTINCT * FROM src) s WHERE s.symbol IS NOT DISTINCT FROM truth.symbol AND s.timestamp IS NOT DISTINCT FROM truth.timestamp);"
             "INSERT INTO truth SELECT DISTINCT * FROM src");
}

static void merge_body_of(table_fixture *t, const char *partition_by) {
  start_bars(t, partition_by);
  run_sql(t, "CREATE OR REPLACE TABLE src AS "
             "SELECT symbol, timestamp, close, volume, CASE WHEN volume %% 20 = 0 THEN 'changed' END AS note FROM truth WHERE volume BETWEEN 100 AND 399 "
             "UNION ALL SELECT symbol, timestamp + INTERVAL 30 MINUTE, 1.5, volume + 10000, 'new' FROM truth WHERE volume BETWEEN 700 AND 799 "
             "UNION ALL SELECT 'only new', TIMESTAMPTZ '2025-06-01 00:00:00+00', -0.0, 1, NULL "
             "UNION ALL SELECT 'only new', TIMESTAMPTZ '2025-06-01 00:00:00+00', -0.0, 1, NULL");
  merge_rows(t, "FROM src", "symbol, timestamp");
  assert_int_equal(t->changed.rows_updated, 15);
  assert_int_equal(t->changed.rows_inserted, 101);
  plain_merge(t);
  assert_table(t, columns, "FROM truth");
  int64_t version = version_of(t);
  merge_rows(t, "SELECT * FROM src ORDER BY hash(volume)", "symbol, timestamp"); /* the same again */
  assert_int_equal(t->changed.version, -1);
  assert_int_equal(t->changed.rows_updated + t->changed.rows_inserted, 0);
  assert_int_equal(version_of(t), version);
  tl_error why = {0};
  tl_status st = tl_relation_merge(t->relation, &(tl_write){.rows = "SELECT symbol, timestamp, 1.0 AS close FROM truth WHERE volume = 5 UNION ALL SELECT symbol, timestamp, 2.0 FROM truth WHERE volume = 5"},
                                   "symbol, timestamp", &t->changed, &why);
  assert_refused(st, TL_EUSAGE, &why, "two of one key");
  st = tl_relation_merge(t->relation, &(tl_write){.rows = "SELECT symbol, timestamp, 1.0 AS close FROM truth UNION ALL SELECT NULL, timestamp, 2.0 FROM truth WHERE volume = 800"},
                         "symbol, timestamp", &t->changed, &why); /* far apart, and NULL is a key */
  assert_refused(st, TL_EUSAGE, &why, "'symbol': NULL, 'timestamp': '2024-02-03 08:00:00+00'");
  assert_refused(tl_relation_merge(t->relation, &(tl_write){.rows = "FROM src"}, "symbol, nosuch", &t->changed, &why), TL_EUSAGE, &why, "no column 'nosuch'");
  assert_refused(tl_relation_merge(t->relation, &(tl_write){.rows = "FROM src"}, "symbol, SYMBOL", &t->changed, &why), TL_EUSAGE, &why, "named twice");
  merge_rows(t, "SELECT * FROM src WHERE false", "symbol, timestamp");
  assert_int_equal(t->changed.version, -1);
  assert_table(t, columns, "FROM truth");
}
static void merge_partitioned_body(table_fixture *t) { merge_body_of(t, "symbol,month(timestamp)"); }
static void merge_by_month_body(table_fixture *t) { merge_body_of(t, "month(timestamp)"); }
static void merge_plain_body(table_fixture *t) { merge_body_of(t, NULL); }
static void merges_update_and_insert(void **state) {
  (void)state;
  FOR_EACH_FACES(merge_partitioned_body)
  FOR_EACH_FACES(merge_by_month_body)
  FOR_EACH_FACES(merge_plain_body)
}

static void merge_touches_body(table_fixture *t) {
  start_bars(t, "symbol,month(timestamp)");
  merge_rows(t, "SELECT symbol, timestamp, 7.5 AS close, volume, 'x' AS note FROM truth WHERE volume = 5", "symbol, timestamp");
  assert_int_equal(t->changed.files_removed, 1);
  assert_int_equal(t->changed.files_added, 1);
  assert_int_equal(t->changed.rows_updated, 1);
  merge_rows(t, "SELECT 'a=b' AS symbol, TIMESTAMPTZ '2024-01-01 00:30:00+00' AS timestamp, 1.0 AS close, 1 AS volume", "symbol, timestamp");
  assert_int_equal(t->changed.files_removed, 0); /* nothing of that key: a file more */
  assert_int_equal(t->changed.files_added, 1);
}
static void merges_rewrite_only_files_that_hold_a_key(void **state) {
  (void)state;
  FOR_EACH_FACES(merge_touches_body)
}

/* The key does not decide the partition: an update moves the row to another one. */
static void merge_moves_body(table_fixture *t) {
  table_create(t, bar_columns, "symbol", NULL);
  append_rows(t, "SELECT 'A' AS symbol, g AS volume, 1.0 AS close FROM range(10) t(g) UNION ALL SELECT 'B', g + 10, 2.0 FROM range(10) t(g)");
  merge_rows(t, "SELECT 'B' AS symbol, 3 AS volume, 9.0 AS close UNION ALL SELECT 'C', 12, 9.0 UNION ALL SELECT 'A', 99, 9.0", "volume");
  assert_int_equal(t->changed.rows_updated, 2);
  assert_int_equal(t->changed.rows_inserted, 1);
  assert_table(t, "symbol, volume, close",
               "SELECT 'A' AS symbol, g AS volume, 1.0::DOUBLE AS close FROM range(10) t(g) WHERE g <> 3 UNION ALL SELECT 'B', g + 10, 2.0 FROM range(10) t(g) WHERE g <> 2 "
               "UNION ALL VALUES ('B', 3, 9.0), ('C', 12, 9.0), ('A', 99, 9.0)");
}
static void merges_move_rows_between_partitions(void **state) {
  (void)state;
  FOR_EACH_FACES(merge_moves_body)
}

/* No row goes before the first, and a key of NULL in it is no double of that. */
static void merge_null_first_body(table_fixture *t) {
  table_create(t, bar_columns, "symbol", NULL);
  append_rows(t, "SELECT NULL AS symbol, 1 AS volume, 1.0 AS close UNION ALL SELECT 'A', 2, 1.0");
  merge_rows(t, "SELECT NULL AS symbol, 2.0 AS close", "symbol");
  assert_int_equal(t->changed.rows_updated, 1);
  merge_rows(t, "SELECT NULL AS symbol, NULL AS volume, 3.0 AS close UNION ALL SELECT 'A', NULL, 4.0 UNION ALL SELECT 'A', 2, 5.0 UNION ALL SELECT 'B', NULL, 6.0", "symbol, volume");
  assert_int_equal(t->changed.rows_updated, 1);
  assert_int_equal(t->changed.rows_inserted, 3);
  assert_table(t, "symbol, volume, close", "SELECT * FROM (VALUES (NULL, 1, 2.0::DOUBLE), (NULL, NULL, 3.0), ('A', NULL, 4.0), ('A', 2, 5.0), ('B', NULL, 6.0)) v(symbol, volume, close)");
}
static void merges_take_keys_of_null(void **state) {
  (void)state;
  FOR_EACH_FACES(merge_null_first_body)
}

/* Names our statements might use themselves. */
static void merge_names_body(table_fixture *t) {
  table_create(t, "k VARCHAR, h BIGINT, r BIGINT, before BIGINT, w BIGINT, t BIGINT, s BIGINT, sid BIGINT, file BIGINT, changed BIGINT", "k", "h");
  run_sql(t, "CREATE OR REPLACE TABLE truth AS SELECT 'x' || g %% 3 AS k, g::BIGINT AS h, 1::BIGINT AS r, 2::BIGINT AS before, 3::BIGINT AS w, 4::BIGINT AS t, 5::BIGINT AS s, "
             "6::BIGINT AS sid, 7::BIGINT AS file, 8::BIGINT AS changed FROM range(30) v(g)");
  append_rows(t, "FROM truth");
  merge_rows(t, "SELECT * REPLACE (9 AS r) FROM truth WHERE h < 5 UNION ALL SELECT * REPLACE (h + 100 AS h) FROM truth WHERE h < 4", "k, h");
  assert_int_equal(t->changed.rows_updated, 5);
  assert_int_equal(t->changed.rows_inserted, 4);
  run_sql(t, "INSERT INTO truth SELECT * REPLACE (h + 100 AS h) FROM truth WHERE h < 4; UPDATE truth SET r = 9 WHERE h < 5");
  assert_table(t, "k, h, r, before, w, t, s, sid, file, changed", "FROM truth");
}
static void merges_take_columns_of_any_name(void **state) {
  (void)state;
  FOR_EACH_FACES(merge_names_body)
}

/* Columns the rows do not have keep what they hold; a key or a partition cannot be guessed. */
static void merge_partial_of(table_fixture *t, const char *partition_by) {
  tl_error why = {0};
  start_bars(t, partition_by);
  merge_rows(t, "SELECT symbol, timestamp, 'told' AS note, CASE volume % 50 WHEN 0 THEN 7 ELSE volume END AS volume FROM truth WHERE volume BETWEEN 90 AND 299 "
                "UNION ALL SELECT 'only new', TIMESTAMPTZ '2025-06-01 00:00:00+00', 'new', 1",
             "symbol, timestamp");
  run_sql(t, "UPDATE truth SET note = 'told', volume = CASE volume %% 50 WHEN 0 THEN 7 ELSE volume END WHERE volume BETWEEN 90 AND 299;"
             "INSERT INTO truth VALUES ('only new', TIMESTAMPTZ '2025-06-01 00:00:00+00', NULL, 1, 'new')");
  assert_int_equal(t->changed.rows_updated, 210);
  assert_int_equal(t->changed.rows_inserted, 1);
  assert_table(t, columns, "FROM truth");
  merge_rows(t, "SELECT symbol, timestamp FROM truth", "symbol, timestamp"); /* says nothing new */
  assert_int_equal(t->changed.version, -1);
  assert_refused(tl_relation_merge(t->relation, &(tl_write){.rows = "SELECT symbol, close FROM truth"}, "symbol, timestamp", &t->changed, &why), TL_EUSAGE, &why, "no column 'timestamp', which is a key");
}
static void merge_partial_body(table_fixture *t) { merge_partial_of(t, "symbol,month(timestamp)"); }
static void merge_partial_plain_body(table_fixture *t) { merge_partial_of(t, NULL); }
static void merge_partial_partition_body(table_fixture *t) {
  tl_error why = {0};
  start_bars(t, "symbol");
  assert_refused(tl_relation_merge(t->relation, &(tl_write){.rows = "SELECT volume, close FROM truth"}, "volume", &t->changed, &why), TL_EUSAGE, &why, "no column 'symbol', which decides where");
}
static void merges_keep_columns_that_are_not_given(void **state) {
  (void)state;
  FOR_EACH_FACES(merge_partial_body)
  FOR_EACH_FACES(merge_partial_plain_body)
  FOR_EACH_FACES(merge_partial_partition_body)
}

/* An append may have put a key there twice: a merge leaves one. */
static void merge_doubled_body(table_fixture *t) {
  table_create(t, "id INTEGER, x INTEGER", NULL, NULL);
  append_rows(t, "SELECT unnest([1, 2, 3]) AS id, 1 AS x");
  append_rows(t, "SELECT unnest([1, 2]) AS id, unnest([1, 5]) AS x");
  merge_rows(t, "SELECT 1 AS id, 1 AS x UNION ALL SELECT 2, 5", "id");
  assert_table(t, "id, x", "FROM (VALUES (1, 1), (1, 1), (2, 5), (3, 1)) v(id, x)");
}
static void merges_replace_every_row_of_a_key(void **state) {
  (void)state;
  FOR_EACH_FACES(merge_doubled_body)
}

static void merge_widens_body(table_fixture *t) {
  table_create(t, "id INTEGER, x FLOAT, p VARCHAR", "p", NULL);
  append_rows(t, "SELECT g::INTEGER AS id, 0.5 AS x, 'P' || (g % 3) AS p FROM range(30) t(g)");
  MUST(tl_relation_merge(t->relation, &(tl_write){.rows = "SELECT 3::BIGINT AS id, 0.1::DOUBLE AS x, 'P0' AS p, 'n' AS more UNION ALL SELECT 5000000000, 0.2, 'P9', NULL", .widen = true, .add_columns = true},
                         "id", &t->changed, err));
  assert_table(t, "id, x, p, more", "SELECT g AS id, CASE WHEN g = 3 THEN 0.1 ELSE 0.5 END::DOUBLE AS x, 'P' || (g % 3) AS p, CASE WHEN g = 3 THEN 'n' END AS more FROM range(30) t(g) "
                                    "UNION ALL SELECT 5000000000, 0.2, 'P9', NULL");
}
static void merges_widen_and_add_columns(void **state) {
  (void)state;
  FOR_EACH_FACES(merge_widens_body)
}

/* ---- replace ---- */

static void replace_body(table_fixture *t) {
  tl_error why = {0};
  start_bars(t, "symbol,month(timestamp)");
  /* no condition: the partitions the rows lie in */
  MUST(tl_relation_replace(t->relation, &(tl_write){.rows = "SELECT 'a=b' AS symbol, TIMESTAMPTZ '2024-02-01 00:00:00+00' AS timestamp, 5 AS volume UNION ALL SELECT NULL, TIMESTAMPTZ '2024-01-05 00:00:00+00', 6"},
                           NULL, &t->changed, err));
  run_sql(t, "DELETE FROM truth WHERE symbol = 'a=b' AND strftime(timestamp::TIMESTAMP, '%%Y-%%m') = '2024-02';"
             "DELETE FROM truth WHERE symbol IS NULL AND strftime(timestamp::TIMESTAMP, '%%Y-%%m') = '2024-01';"
             "INSERT INTO truth VALUES ('a=b', '2024-02-01 00:00:00+00', NULL, 5, NULL), (NULL, '2024-01-05 00:00:00+00', NULL, 6, NULL)");
  assert_table(t, columns, "FROM truth");
  /* over a partition column */
  MUST(tl_relation_replace(t->relation, &(tl_write){.rows = "SELECT 'BTC/USD' AS symbol, TIMESTAMPTZ '2024-01-01 00:00:00+00' AS timestamp, 1.0 AS close"}, "symbol = 'BTC/USD'", &t->changed, err));
  run_sql(t, "DELETE FROM truth WHERE symbol = 'BTC/USD'; INSERT INTO truth VALUES ('BTC/USD', '2024-01-01 00:00:00+00', 1.0, NULL, NULL)");
  assert_table(t, columns, "FROM truth");
  /* over any column: files are cut */
  MUST(tl_relation_replace(t->relation, &(tl_write){.rows = "SELECT 'é ✓' AS symbol, TIMESTAMPTZ '2024-02-01 00:00:00+00' AS timestamp, g AS volume FROM range(500, 510) t(g)"}, "volume >= 500 AND volume < 700",
                           &t->changed, err));
  run_sql(t, "DELETE FROM truth WHERE volume >= 500 AND volume < 700; INSERT INTO truth SELECT 'é ✓', TIMESTAMPTZ '2024-02-01 00:00:00+00', NULL, g, NULL FROM range(500, 510) t(g)");
  assert_table(t, columns, "FROM truth");
  /* rows the condition does not select */
  tl_status st = tl_relation_replace(t->relation, &(tl_write){.rows = "SELECT 'x' AS symbol, 5 AS volume UNION ALL SELECT 'x', NULL"}, "volume = 5", &t->changed, &why);
  assert_refused(st, TL_EUSAGE, &why, "1 of the rows given is not what");
  st = tl_relation_replace(t->relation, &(tl_write){.rows = "SELECT 'x' AS symbol"}, "volume = = 5", &t->changed, &why);
  assert_refused(st, TL_EUSAGE, &why, "syntax error");
  assert_table(t, columns, "FROM truth");
}
static void replacements_take_out_what_the_condition_selects(void **state) {
  (void)state;
  FOR_EACH_FACES(replace_body)
}

/* ---- delete ---- */

static void delete_body(table_fixture *t) {
  tl_error why = {0};
  static const char *const conditions[] = {"symbol = 'a=b'", "volume % 7 = 3", "isnan(close) AND symbol = 'é ✓'", "close > 100", "close IS NULL OR volume < 50",
                                           "symbol IS NULL AND timestamp >= '2024-01-08'", "timestamp BETWEEN TIMESTAMPTZ '2024-01-10 00:00:00+00' AND TIMESTAMPTZ '2024-01-20 00:00:00+00'"};
  start_bars(t, "symbol,month(timestamp)");
  for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
    char count[200];
    snprintf(count, sizeof count, "SELECT count(*) FROM truth WHERE %s", conditions[i]);
    int64_t rows = one_number(t, count);
    assert_true(rows > 0);
    MUST(tl_relation_delete(t->relation, conditions[i], &t->changed, err));
    assert_int_equal(t->changed.rows_deleted, rows);
    run_sql(t, "DELETE FROM truth WHERE %s", conditions[i]);
    assert_table(t, columns, "FROM truth");
    MUST(tl_relation_delete(t->relation, conditions[i], &t->changed, err));
    assert_int_equal(t->changed.version, -1);
  }
  assert_refused(tl_relation_delete(t->relation, "", &t->changed, &why), TL_EUSAGE, &why, "condition");
  assert_refused(tl_relation_delete(t->relation, "nosuch = 1", &t->changed, &why), TL_EUSAGE, &why, "nosuch");
  assert_null(strstr(why.message, "tl#")); /* of the columns it might have meant, none is ours */
  MUST(tl_relation_delete(t->relation, "true", &t->changed, err));
  assert_table(t, columns, "FROM truth WHERE false");
  append_rows(t, "FROM truth");
  assert_table(t, columns, "FROM truth");
}
static void deletions_take_rows_for_which_the_condition_is_true(void **state) {
  (void)state;
  FOR_EACH_FACES(delete_body)
}

/* ---- versions ---- */

static void versions_body(table_fixture *t) {
  tl_error why = {0};
  tl_at at[4];
  start_bars(t, "symbol");
  at[0] = (tl_at){TL_AT_VERSION, version_of(t)};
  run_sql(t, "CREATE TABLE v0 AS FROM truth");
  MUST(tl_relation_delete(t->relation, "symbol = 'a=b'", &t->changed, err));
  at[1] = (tl_at){TL_AT_VERSION, version_of(t)};
  MUST(tl_relation_append(t->relation, &(tl_write){.rows = "SELECT 'z' AS symbol, 1 AS more", .add_columns = true}, &t->changed, err));
  at[2] = (tl_at){TL_AT_VERSION, version_of(t)};
  assert_rows_where(t, t->relation, &at[0], NULL, columns, "FROM v0");
  assert_rows_where(t, t->relation, &at[1], "symbol IS NULL", columns, "FROM v0 WHERE symbol IS NULL");
  assert_rows_where(t, t->relation, &at[1], NULL, columns, "FROM v0 WHERE symbol IS DISTINCT FROM 'a=b'");
  MUST(tl_relation_restore(t->relation, at[0], &t->changed, err));
  assert_table(t, "*", "SELECT *, NULL::INTEGER AS more FROM v0");
  at[3] = (tl_at){TL_AT_VERSION, version_of(t)};
  assert_rows_where(t, t->relation, &at[2], NULL, "symbol, more", "SELECT symbol, NULL::INTEGER AS more FROM v0 WHERE symbol IS DISTINCT FROM 'a=b' UNION ALL SELECT 'z', 1");
  MUST(tl_relation_restore(t->relation, at[3], &t->changed, err));
  assert_int_equal(t->changed.version, -1);
  assert_refused(tl_relation_restore(t->relation, (tl_at){TL_AT_VERSION, 12345}, &t->changed, &why), TL_ENOTFOUND, &why, "12345");
  /* older than the oldest */
  assert_refused(tl_relation_restore(t->relation, (tl_at){TL_AT_TIMESTAMP, 1000}, &t->changed, &why), TL_ENOTFOUND, &why, "");
}
static void old_versions_are_read_and_restored(void **state) {
  (void)state;
  FOR_EACH_FACES(versions_body)
}

/* ---- optimize ---- */

static void optimize_body(table_fixture *t) {
  tl_error why = {0};
  table_create(t, bar_columns, "symbol", "timestamp");
  make_bars(t);
  for (int i = 0; i < 8; i++) {
    char rows[100];
    snprintf(rows, sizeof rows, "FROM truth WHERE volume %% 8 = %d", i);
    append_rows(t, rows);
  }
  size_t files = tl_relation_snapshot(t->relation)->file_count;
  MUST(tl_relation_optimize(t->relation, &(tl_optimize){.where = "symbol = 'a=b'"}, &t->changed, err));
  assert_int_equal(t->changed.files_removed, 2); /* volume % 4 is 3 in 2 of 8 appends */
  assert_int_equal(t->changed.files_added, 1);
  MUST(tl_relation_optimize(t->relation, &(tl_optimize){0}, &t->changed, err));
  assert_int_equal(tl_relation_snapshot(t->relation)->file_count, 4);
  assert_true(files == 8);
  assert_table(t, columns, "FROM truth");
  MUST(tl_relation_optimize(t->relation, &(tl_optimize){0}, &t->changed, err));
  assert_int_equal(t->changed.version, -1);
  MUST(tl_relation_optimize(t->relation, &(tl_optimize){.zorder_by = "close, volume", .where = "symbol IS NOT NULL"}, &t->changed, err));
  assert_int_equal(t->changed.files_removed, 3);
  assert_table(t, columns, "FROM truth");
  assert_refused(tl_relation_optimize(t->relation, &(tl_optimize){.where = "volume = 1"}, &t->changed, &why), TL_EUSAGE, &why, "partition columns");
  assert_refused(tl_relation_optimize(t->relation, &(tl_optimize){.zorder_by = "nosuch"}, &t->changed, &why), TL_EUSAGE, &why, "nosuch");
  assert_refused(tl_relation_optimize(t->relation, &(tl_optimize){.zorder_by = "close,volume,note,timestamp,symbol"}, &t->changed, &why), TL_EUSAGE, &why, "to 4 columns");
}
static void optimizing_keeps_rows_and_makes_files_fewer(void **state) {
  (void)state;
  FOR_EACH_FACES(optimize_body)
}

/* Z-order of a grid: a box of a quarter by a quarter of it touches few of the files it is cut into. */
static void zorder_body(table_fixture *t) {
  table_create(t, "a INTEGER, b INTEGER, pad DOUBLE", NULL, NULL);
  run_sql(t, "CREATE TABLE truth AS SELECT (g %% 512)::INTEGER AS a, (g // 512)::INTEGER AS b, random() AS pad FROM range(262144) t(g)");
  append_rows(t, "FROM truth");
  MUST(tl_relation_optimize(t->relation, &(tl_optimize){.zorder_by = "a, b", .file_bytes = 48 << 10}, &t->changed, err));
  int64_t all = t->changed.files_added;
  assert_true(all >= 8);
  assert_table(t, "a, b, pad", "FROM truth");
  tl_buf sql = {0};
  int64_t count = 0;
  MUST(tl_relation_sql(t->relation, NULL, "a BETWEEN 128 AND 255 AND b BETWEEN 256 AND 383", &sql, err));
  for (const char *p = sql.data; (p = strstr(p, ".parquet'")); p++) count++;
  tl_buf_deinit(&sql);
  assert_true(count * 4 <= all);
  assert_rows_where(t, t->relation, NULL, "a BETWEEN 128 AND 255 AND b BETWEEN 256 AND 383", "a, b, pad", "FROM truth WHERE a BETWEEN 128 AND 255 AND b BETWEEN 256 AND 383");
}
static void zorder_brings_neighbours_together(void **state) {
  (void)state;
  FOR_EACH_FACES(zorder_body)
}

/* ---- properties ---- */

static void properties_body(table_fixture *t) {
  tl_error why = {0};
  start_bars(t, NULL);
  MUST(tl_relation_set_properties(t->relation, (tl_pair[]){{"ticklake.sort", "volume DESC"}, {"ticklake.note", "hi"}}, 2, &t->changed, err));
  table_reopen(t);
  assert_string_equal(tl_snapshot_property(tl_relation_snapshot(t->relation), "ticklake.sort"), "volume DESC");
  MUST(tl_relation_set_properties(t->relation, (tl_pair[]){{"ticklake.note", NULL}}, 1, &t->changed, err));
  assert_null(tl_snapshot_property(tl_relation_snapshot(t->relation), "ticklake.note"));
  assert_refused(tl_relation_set_properties(t->relation, (tl_pair[]){{"ticklake.sort", "nosuch"}}, 1, &t->changed, &why), TL_EUSAGE, &why, "nosuch");
  assert_refused(tl_relation_set_properties(t->relation, (tl_pair[]){{"ticklake.faces.delta", "1"}}, 1, &t->changed, &why), TL_EUSAGE, &why, "cannot be set");
  assert_refused(tl_relation_set_properties(t->relation, (tl_pair[]){{"write.metadata.compression-codec", "gzip"}}, 1, &t->changed, &why), TL_EUSAGE, &why, "cannot be set");
  assert_refused(tl_relation_set_properties(t->relation, (tl_pair[]){{"schema.name-mapping.default", NULL}}, 1, &t->changed, &why), TL_EUSAGE, &why, "cannot be set");
  assert_table(t, columns, "FROM truth");
}
static void properties_are_set_and_taken_away(void **state) {
  (void)state;
  FOR_EACH_FACES(properties_body)
}

/* ---- anything, in any order ---- */

static void random_body(table_fixture *t) {
  tl_prng dice = tl_prng_init(7);
  start_bars(t, "symbol,month(timestamp)");
  for (int i = 0; i < 14; i++) {
    int low = (int)tl_prng_below(&dice, 1900), high = low + (int)tl_prng_below(&dice, 200);
    char text[300];
    switch (tl_prng_below(&dice, 4)) {
      case 0:
        run_sql(t, "CREATE OR REPLACE TABLE src AS SELECT symbol, timestamp + to_minutes(CAST((volume %% 2) * %d AS BIGINT)) AS timestamp, close, volume, 'm%d' AS note FROM (SELECT DISTINCT ON (symbol, timestamp) * FROM truth ORDER BY ALL) WHERE volume BETWEEN %d AND %d", i * 7, i, low, high);
        run_sql(t, "CREATE OR REPLACE TABLE src AS SELECT DISTINCT ON (symbol, timestamp) * FROM src ORDER BY ALL");
        merge_rows(t, "FROM src", "timestamp, symbol");
        plain_merge(t);
        break;
      case 1:
        snprintf(text, sizeof text, "volume BETWEEN %d AND %d AND close > 0", low, high);
        MUST(tl_relation_delete(t->relation, text, &t->changed, err));
        run_sql(t, "DELETE FROM truth WHERE %s", text);
        break;
      case 2:
        MUST(tl_relation_optimize(t->relation, &(tl_optimize){.zorder_by = i % 2 ? "volume" : NULL}, &t->changed, err));
        break;
      default:
        snprintf(text, sizeof text, "SELECT 'r%d' AS symbol, timestamp, close, volume, NULL AS note FROM truth WHERE volume BETWEEN %d AND %d", i % 3, low, high);
        run_sql(t, "CREATE OR REPLACE TABLE src AS %s", text);
        append_rows(t, "FROM src");
        run_sql(t, "INSERT INTO truth FROM src");
    }
    if (i % 5 == 4) table_reopen(t);
    assert_rows_where(t, t->relation, NULL, NULL, columns, "FROM truth");
  }
  assert_table(t, columns, "FROM truth");
}
static void any_verbs_in_any_order(void **state) {
  (void)state;
  FOR_EACH_FACES(random_body)
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(merges_update_and_insert),
    cmocka_unit_test(merges_rewrite_only_files_that_hold_a_key),
    cmocka_unit_test(merges_keep_columns_that_are_not_given),
    cmocka_unit_test(merges_move_rows_between_partitions), cmocka_unit_test(merges_take_keys_of_null), cmocka_unit_test(merges_take_columns_of_any_name),
    cmocka_unit_test(merges_replace_every_row_of_a_key),
    cmocka_unit_test(merges_widen_and_add_columns),
    cmocka_unit_test(replacements_take_out_what_the_condition_selects),
    cmocka_unit_test(deletions_take_rows_for_which_the_condition_is_true),
    cmocka_unit_test(old_versions_are_read_and_restored),
    cmocka_unit_test(optimizing_keeps_rows_and_makes_files_fewer),
    cmocka_unit_test(zorder_brings_neighbours_together),
    cmocka_unit_test(properties_are_set_and_taken_away),
    cmocka_unit_test(any_verbs_in_any_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
