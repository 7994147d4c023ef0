/* ledger_test.c - what a lake's ledger remembers and what it refuses. Its file is looked at with plain SQLite. */
#include <pthread.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "ledger/db.h"
#include "tests/unit/ledger/scratch.h"

static void write_file(const char *path, const void *data, size_t len) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, len, file), len);
  fclose(file);
}

static void run_sql(const scratch *s, const char *sql) {
  sqlite3 *db = NULL;
  assert_int_equal(sqlite3_open(s->ledger, &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
}

/* ---- open ---- */

static void a_lake_without_a_ledger_gets_one_only_when_asked(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_ledger *ledger = NULL;
  tl_error err = {0};
  assert_int_equal(open_ledger(s.lake, false, &ledger, &err), TL_ENOTFOUND);
  assert_null(ledger);
  assert_non_null(strstr(err.message, s.lake));
  tl_ledger_close(scratch_open(&s));
  assert_int_equal(open_ledger(s.lake, false, &ledger, &err), TL_OK);
  tl_ledger_close(ledger);
  tl_ledger_close(NULL);
  assert_int_not_equal(access(s.journal, F_OK), 0); /* one file travels with the lake, nothing beside it */
  scratch_remove(&s);
  assert_int_equal(tl_alloc_live(), 0);
}

static void a_file_that_a_crash_left_empty_becomes_a_ledger(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  char folder[96];
  snprintf(folder, sizeof folder, "%s/_ticklake", s.lake);
  assert_int_equal(mkdir(folder, 0755), 0);
  write_file(s.ledger, "", 0);
  tl_ledger *ledger = NULL;
  assert_int_equal(open_ledger(s.lake, false, &ledger, NULL), TL_ENOTFOUND);
  ledger = scratch_open(&s);
  tl_ledger_unit unit = unit_of("AAPL", 0, 1, TL_COVER_EMPTY, 0);
  state_units(ledger, &unit, 1);
  tl_ledger_close(ledger);
  scratch_remove(&s);
}

static void a_newer_format_is_refused_by_name(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_ledger_close(scratch_open(&s));
  run_sql(&s, "PRAGMA user_version = 97");
  tl_ledger *ledger = NULL;
  tl_error err = {0};
  assert_int_equal(open_ledger(s.lake, true, &ledger, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "format 97"));
  assert_non_null(strstr(err.message, s.ledger));
  scratch_remove(&s);
}

static void another_programs_database_is_left_alone(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_ledger_close(scratch_open(&s));
  run_sql(&s, "PRAGMA application_id = 7");
  tl_ledger *ledger = NULL;
  tl_error err = {0};
  assert_int_equal(open_ledger(s.lake, true, &ledger, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "another program"));
  scratch_remove(&s);
}

static void an_older_format_is_migrated_and_keeps_what_it_holds(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_ledger *ledger = scratch_open(&s);
  tl_ledger_unit unit = unit_of("AAPL", 0, 10, TL_COVER_PRESENT, 5);
  state_units(ledger, &unit, 1);
  tl_ledger_close(ledger);
  const char *const formats[] = {tl_ledger_formats[0], "ALTER TABLE unit ADD COLUMN note TEXT;",
                                 "CREATE TABLE extra(x); INSERT INTO extra VALUES(42);"};
  assert_int_equal(tl_ledger_open_formats(s.lake, false, formats, 3, &ledger, NULL), TL_OK);
  tl_segments segments;
  assert_int_equal(tl_ledger_coverage(ledger, "equities_1min", "AAPL", (tl_range){0, 0}, &segments, NULL), TL_OK);
  assert_int_equal(segments.count, 1);
  assert_int_equal(segments.items[0].rows, 5);
  tl_segments_deinit(&segments);
  int64_t extra = 0, version = 0;
  assert_int_equal(tl_db_number(ledger, 0, &extra, NULL, "SELECT x FROM extra", ""), TL_OK);
  assert_int_equal(tl_db_number(ledger, 0, &version, NULL, "PRAGMA user_version", ""), TL_OK);
  assert_int_equal(extra, 42);
  assert_int_equal(version, 3);
  tl_ledger_close(ledger);
  tl_error err = {0}; /* and this ticklake now meets a newer one */
  assert_int_equal(open_ledger(s.lake, true, &ledger, &err), TL_EUSAGE);
  scratch_remove(&s);
}

static void a_migration_that_fails_changes_nothing(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_ledger_close(scratch_open(&s));
  const char *const formats[] = {tl_ledger_formats[0], "CREATE TABLE half(x); CREATE TABLE half(x);"};
  tl_ledger *ledger = NULL;
  tl_error err = {0};
  assert_int_equal(tl_ledger_open_formats(s.lake, false, formats, 2, &ledger, &err), TL_ELEDGER);
  assert_non_null(strstr(err.message, "migrate"));
  ledger = scratch_open(&s);
  int64_t tables = 0;
  assert_int_equal(tl_db_number(ledger, 9, &tables, NULL, "SELECT count(*) FROM sqlite_schema WHERE name='half'", ""),
                   TL_OK);
  assert_int_equal(tables, 0);
  tl_ledger_close(ledger);
  scratch_remove(&s);
}

static void a_damaged_ledger_says_how_to_rebuild_and_can_be_set_aside(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_store *lake = NULL;
  assert_int_equal(tl_store_open(s.lake, NULL, &lake, NULL), TL_OK);
  assert_int_equal(tl_ledger_set_aside(lake, NULL), TL_OK); /* there is none */
  for (int round = 1; round <= 2; round++) {
    tl_ledger_close(scratch_open(&s));
    static const char noise[] = "this was a ledger before the disk had its say about it, and now it is a text .......";
    write_file(s.ledger, noise, sizeof noise);
    write_file(s.journal, "", 0);
    tl_ledger *ledger = NULL;
    tl_error err = {0};
    assert_int_equal(open_ledger(s.lake, true, &ledger, &err), TL_ECORRUPT);
    assert_non_null(strstr(err.message, s.ledger));
    assert_non_null(strstr(err.message, "audit --repair"));
    assert_int_equal(tl_ledger_set_aside(lake, &err), TL_OK);
    char aside[160];
    snprintf(aside, sizeof aside, "%s.damaged-%d", s.ledger, round);
    assert_int_equal(access(aside, F_OK), 0);
    assert_int_not_equal(access(s.journal, F_OK), 0);
  }
  tl_ledger *ledger = NULL;
  assert_int_equal(tl_ledger_open(lake, true, &ledger, NULL), TL_OK); /* a folder's is the file */
  assert_int_equal(access(s.ledger, F_OK), 0);
  tl_ledger_close(ledger);
  tl_store_close(lake);
  scratch_remove(&s);
}

/* Every page of a ledger is overwritten in turn: an answer is TL_OK, or it names the damage; never a crash. */
static void damage_anywhere_is_an_error_or_unseen(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_ledger *ledger = scratch_open(&s);
  enum { UNITS = 300 };
  static tl_ledger_unit units[UNITS];
  for (int i = 0; i < UNITS; i++)
    units[i] = unit_of("AAPL", i * 10, i * 10 + 10, i % 2 ? TL_COVER_PRESENT : TL_COVER_FAILED, 3);
  state_units(ledger, units, UNITS);
  tl_ledger_close(ledger);
  tl_buf whole = {0};
  assert_int_equal(tl_io_read_file(s.ledger, 1 << 22, &whole, NULL), TL_OK);
  size_t seen = 0;
  for (size_t at = 64; at < whole.len; at += 1024) {
    char kept[64];
    memcpy(kept, whole.data + at, sizeof kept);
    memset(whole.data + at, 0xA5, sizeof kept);
    write_file(s.ledger, whole.data, whole.len);
    memcpy(whole.data + at, kept, sizeof kept);
    tl_error err = {0};
    tl_segments segments = {0};
    tl_status st = open_ledger(s.lake, false, &ledger, &err);
    if (!st) st = tl_ledger_coverage(ledger, "equities_1min", "AAPL", (tl_range){0, 5000}, &segments, &err);
    if (!st) assert_true(segments.count > 0);
    else assert_true(err.message[0] != 0);
    seen += st == TL_ECORRUPT;
    tl_segments_deinit(&segments);
    tl_ledger_close(ledger);
  }
  assert_true(seen > 0);
  tl_buf_deinit(&whole);
  scratch_remove(&s);
  assert_int_equal(tl_alloc_live(), 0);
}

static void units_that_make_no_sense_are_damage_too(void **state) {
  (void)state;
  static const char *const harm[] = {
      "PRAGMA ignore_check_constraints=1; UPDATE unit SET state = 7",
      "PRAGMA ignore_check_constraints=1; UPDATE unit SET end_ns = start_ns - 5 WHERE start_ns = 10",
      "UPDATE unit SET end_ns = 15 WHERE start_ns = 0",
      "UPDATE unit SET state = 'present'",
  };
  for (size_t i = 0; i < sizeof harm / sizeof *harm; i++) {
    scratch s;
    scratch_make(&s);
    tl_ledger *ledger = scratch_open(&s);
    tl_ledger_unit units[] = {unit_of("A", 0, 10, TL_COVER_PRESENT, 1), unit_of("A", 10, 20, TL_COVER_PRESENT, 1)};
    state_units(ledger, units, 2);
    tl_ledger_close(ledger);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(s.ledger, &db), SQLITE_OK);
    int rc = sqlite3_exec(db, harm[i], NULL, NULL, NULL);
    sqlite3_close(db);
    ledger = scratch_open(&s);
    tl_segments segments;
    tl_error err = {0};
    tl_status st = tl_ledger_coverage(ledger, "equities_1min", "A", (tl_range){0, 0}, &segments, &err);
    assert_int_equal(st, rc == SQLITE_OK ? TL_ECORRUPT : TL_OK); /* or SQLite's own check refused the harm */
    tl_segments_deinit(&segments);
    tl_ledger_close(ledger);
    scratch_remove(&s);
  }
}

static void a_lake_that_may_only_be_read_answers_and_refuses_to_record(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_ledger *ledger = scratch_open(&s);
  tl_ledger_unit unit = unit_of("AAPL", 0, 10, TL_COVER_PRESENT, 5);
  state_units(ledger, &unit, 1);
  tl_ledger_close(ledger);
  chmod(s.ledger, 0444);
  if (access(s.ledger, W_OK) == 0) { /* root may write anyway: ask for a database that is marked read-only instead */
    assert_int_equal(open_ledger(s.lake, false, &ledger, NULL), TL_OK);
    sqlite3_close(ledger->db);
    assert_int_equal(sqlite3_open_v2(s.ledger, &ledger->db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    memset(ledger->kept, 0, sizeof ledger->kept);
  } else {
    assert_int_equal(open_ledger(s.lake, false, &ledger, NULL), TL_OK);
  }
  tl_segments segments;
  tl_error err = {0};
  assert_int_equal(tl_ledger_coverage(ledger, "equities_1min", "AAPL", (tl_range){0, 0}, &segments, &err), TL_OK);
  assert_int_equal(segments.items[0].rows, 5);
  tl_segments_deinit(&segments);
  tl_ledger_group group = {.units = &unit, .unit_count = 1};
  assert_int_equal(tl_ledger_commit(ledger, &group, &err), TL_ELEDGER);
  assert_non_null(strstr(err.message, "read-only"));
  tl_ledger_close(ledger);
  scratch_remove(&s);
}

static void a_lock_that_is_never_given_up_is_named_after_ten_minutes(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_ledger *ledger = scratch_open(&s);
  sqlite3 *other = NULL;
  assert_int_equal(sqlite3_open(s.ledger, &other), SQLITE_OK);
  assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
  tl_ledger_unit unit = unit_of("AAPL", 0, 10, TL_COVER_PRESENT, 5);
  tl_ledger_group group = {.units = &unit, .unit_count = 1};
  tl_error err = {0};
  tl_clock_fake_start(0);
  int64_t began_ns = tl_clock_mono_ns();
  assert_int_equal(tl_ledger_commit(ledger, &group, &err), TL_ELEDGER);
  int64_t waited_ns = tl_clock_mono_ns() - began_ns;
  tl_clock_fake_stop();
  assert_non_null(strstr(err.message, "locked"));
  assert_true(waited_ns >= 600 * TL_NS_PER_S && waited_ns < 601 * TL_NS_PER_S);
  assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(other);
  assert_int_equal(tl_ledger_commit(ledger, &group, &err), TL_OK); /* and the ledger is none the worse */
  tl_ledger_close(ledger);
  scratch_remove(&s);
}

/* ---- facts ---- */

static void a_lake_keeps_the_layout_of_its_first_import(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_ledger *ledger = scratch_open(&s);
  char got[16] = "x";
  tl_error err = {0};
  assert_int_equal(tl_ledger_layout(ledger, "", got, &err), TL_OK);
  assert_string_equal(got, "");
  assert_int_equal(tl_ledger_layout(ledger, "flat", got, &err), TL_OK);
  assert_int_equal(tl_ledger_layout(ledger, "hive", got, &err), TL_OK); /* nothing is there yet: a change of mind */
  tl_ledger_unit failed = unit_of("AAPL", 0, 10, TL_COVER_FAILED, 0);
  state_units(ledger, &failed, 1);
  assert_int_equal(tl_ledger_layout(ledger, "flat", got, &err), TL_OK); /* a failure holds nothing either */
  assert_string_equal(got, "flat");
  tl_ledger_unit unit = unit_of("AAPL", 0, 10, TL_COVER_PRESENT, 5);
  state_units(ledger, &unit, 1);
  assert_int_equal(tl_ledger_layout(ledger, "hive", got, &err), TL_EUSAGE);
  assert_string_equal(got, "flat");
  assert_non_null(strstr(err.message, "'flat'"));
  assert_non_null(strstr(err.message, "'hive'"));
  assert_int_equal(tl_ledger_layout(ledger, "flat", got, &err), TL_OK);
  tl_ledger_close(ledger);
  ledger = scratch_open(&s);
  assert_int_equal(tl_ledger_layout(ledger, "", got, &err), TL_OK);
  assert_string_equal(got, "flat");
  tl_ledger_close(ledger);
  scratch_remove(&s);
}

static void a_dataset_keeps_the_source_of_its_first_import(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_ledger *ledger = scratch_open(&s);
  tl_ledger_source sip = {.provider = "alpaca", .feed = "sip", .adjustment = "raw", .built_from = "bars"};
  tl_ledger_source iex = sip, got;
  strcpy(iex.feed, "iex");
  tl_error err = {0};
  assert_int_equal(tl_ledger_source_of(ledger, "equities_1min", NULL, &got, &err), TL_OK);
  assert_string_equal(got.provider, "");
  assert_int_equal(tl_ledger_source_of(ledger, "equities_1min", &iex, NULL, &err), TL_OK);
  assert_int_equal(tl_ledger_source_of(ledger, "equities_1min", &sip, &got, &err), TL_OK); /* nothing is there yet */
  tl_ledger_unit unit = unit_of("AAPL", 0, 10, TL_COVER_PRESENT, 5);
  state_units(ledger, &unit, 1);
  assert_int_equal(tl_ledger_source_of(ledger, "equities_1min", &sip, NULL, &err), TL_OK);
  assert_int_equal(tl_ledger_source_of(ledger, "equities_1min", &iex, &got, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "alpaca, feed sip, adjustment raw, from bars"));
  assert_non_null(strstr(err.message, "alpaca, feed iex, adjustment raw, from bars"));
  assert_int_equal(tl_ledger_source_of(ledger, "trades", &iex, NULL, &err), TL_OK); /* each dataset has its own */
  assert_int_equal(tl_ledger_source_of(ledger, "equities_1min", NULL, &got, &err), TL_OK);
  assert_memory_equal(&got, &sip, sizeof sip);
  tl_ledger_close(ledger);
  scratch_remove(&s);
}

/* ---- files, series, runs ---- */

static tl_ledger_file file_of(const char *path, const char *dataset, const char *symbol, int64_t rows, int64_t min,
                              int64_t max) {
  return (tl_ledger_file){path, dataset, symbol, rows, rows * 8, "0123456789abcdef0123456789abcdef", min, max};
}

static void files_are_replaced_by_path_and_summed_by_series(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_ledger *ledger = scratch_open(&s);
  tl_ledger_file files[] = {file_of("trades/symbol=B/b.parquet", "trades", "B", 7, -5, 50),
                            file_of("trades/symbol=A/2.parquet", "trades", "A", 10, 200, 290),
                            file_of("trades/symbol=A/1.parquet", "trades", "A", 20, 100, 190)};
  const char *removed[] = {"trades/symbol=B/b.parquet", "never/there.parquet"};
  tl_ledger_group group = {.files = files, .file_count = 3};
  assert_int_equal(tl_ledger_commit(ledger, &group, NULL), TL_OK);
  tl_ledger_file again = file_of("trades/symbol=A/2.parquet", "trades", "A", 11, 200, 299);
  tl_ledger_unit unit = unit_of("Z", 5, 6, TL_COVER_EMPTY, 0);
  group = (tl_ledger_group){.files = &again, .file_count = 1, .units = &unit, .unit_count = 1};
  assert_int_equal(tl_ledger_commit(ledger, &group, NULL), TL_OK);

  tl_ledger_file_list list;
  assert_int_equal(tl_ledger_files(ledger, "trades", NULL, &list, NULL), TL_OK);
  assert_int_equal(list.count, 3);
  assert_string_equal(list.items[0].path, "trades/symbol=A/1.parquet");
  assert_int_equal(list.items[1].rows, 11);
  assert_int_equal(list.items[1].bytes, 88);
  assert_string_equal(list.items[1].checksum, again.checksum);
  assert_string_equal(list.items[2].symbol, "B");
  assert_int_equal(list.items[2].time_min_ns, -5);
  tl_ledger_files_deinit(&list);

  tl_ledger_series_list series;
  assert_int_equal(tl_ledger_series_of(ledger, NULL, NULL, &series, NULL), TL_OK);
  assert_int_equal(series.count, 3);
  assert_string_equal(series.items[0].dataset, "equities_1min");
  assert_string_equal(series.items[0].symbol, "Z");
  assert_true(series.items[0].asked.start_ns == 5 && series.items[0].asked.end_ns == 6);
  assert_true(series.items[0].files == 0 && series.items[0].time_min_ns > series.items[0].time_max_ns);
  assert_string_equal(series.items[1].symbol, "A");
  assert_int_equal(series.items[1].rows, 31);
  assert_int_equal(series.items[1].files, 2);
  assert_int_equal(series.items[1].time_min_ns, 100);
  assert_int_equal(series.items[1].time_max_ns, 299);
  assert_true(tl_range_empty(series.items[1].asked));
  tl_ledger_series_deinit(&series);

  group = (tl_ledger_group){.removed = removed, .removed_count = 2};
  assert_int_equal(tl_ledger_commit(ledger, &group, NULL), TL_OK);
  assert_int_equal(tl_ledger_series_of(ledger, "trades", "B", &series, NULL), TL_OK);
  assert_int_equal(series.count, 0);
  tl_ledger_series_deinit(&series);

  group = (tl_ledger_group){.files = files, .file_count = 1};
  assert_int_equal(tl_ledger_rebuild(ledger, &group, NULL), TL_OK);
  assert_int_equal(tl_ledger_files(ledger, NULL, NULL, &list, NULL), TL_OK);
  assert_int_equal(list.count, 1);
  assert_string_equal(list.items[0].path, files[0].path);
  tl_ledger_files_deinit(&list);
  tl_ledger_close(ledger);
  scratch_remove(&s);
}

static void runs_tell_what_was_done_and_what_came_of_each_symbol(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_ledger *ledger = scratch_open(&s);
  int64_t first = 0, second = 0;
  assert_int_equal(tl_ledger_run_begin(ledger, "ticklake import 1m AAPL,BAD", 1000, &first, NULL), TL_OK);
  assert_int_equal(tl_ledger_run_begin(ledger, "ticklake update", 2000, &second, NULL), TL_OK);
  tl_ledger_group group = {.run = first, .counts = {.rows = 5, .requests = 2, .bytes = 300}};
  assert_int_equal(tl_ledger_commit(ledger, &group, NULL), TL_OK);
  assert_int_equal(tl_ledger_commit(ledger, &group, NULL), TL_OK);
  tl_ledger_run_list runs;
  assert_int_equal(tl_ledger_runs(ledger, 10, &runs, NULL), TL_OK);
  assert_int_equal(runs.count, 2);
  assert_int_equal(runs.items[0].id, second);
  assert_int_equal(runs.items[1].counts.rows, 10); /* of a run that is still going, or was killed */
  assert_true(runs.items[1].ended_ns == 0 && runs.items[1].exit_code == -1);
  tl_ledger_runs_deinit(&runs);

  tl_ledger_counts final = {.rows = 11, .rejected = 1, .files = 2, .requests = 6, .retries = 3, .bytes = 900};
  tl_ledger_result results[] = {{"AAPL", ""}, {"BAD", "invalid symbol"}};
  assert_int_equal(tl_ledger_run_end(ledger, first, 1500, 3, "1 of 2 symbols failed", &final, results, 2, NULL), TL_OK);
  assert_int_equal(tl_ledger_runs(ledger, 10, &runs, NULL), TL_OK);
  assert_string_equal(runs.items[1].command, "ticklake import 1m AAPL,BAD");
  assert_string_equal(runs.items[1].message, "1 of 2 symbols failed");
  assert_true(runs.items[1].started_ns == 1000 && runs.items[1].ended_ns == 1500 && runs.items[1].exit_code == 3);
  assert_memory_equal(&runs.items[1].counts, &final, sizeof final);
  tl_ledger_runs_deinit(&runs);
  assert_int_equal(tl_ledger_runs(ledger, 1, &runs, NULL), TL_OK);
  assert_int_equal(runs.count, 1);
  tl_ledger_runs_deinit(&runs);

  tl_ledger_result_list list;
  assert_int_equal(tl_ledger_run_results(ledger, first, &list, NULL), TL_OK);
  assert_int_equal(list.count, 2);
  assert_string_equal(list.items[0].reason, "");
  assert_string_equal(list.items[1].symbol, "BAD");
  assert_string_equal(list.items[1].reason, "invalid symbol");
  tl_ledger_results_deinit(&list);
  tl_ledger_close(ledger);
  scratch_remove(&s);
}

static void a_group_is_all_or_nothing(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_ledger *ledger = scratch_open(&s);
  tl_ledger_file file = file_of("a.parquet", "trades", "A", 1, 0, 1);
  tl_ledger_unit units[] = {unit_of("A", 0, 5, TL_COVER_PRESENT, 1), unit_of("A", 9, 9, TL_COVER_PRESENT, 1)};
  tl_ledger_group group = {.files = &file, .file_count = 1, .units = units, .unit_count = 2};
  tl_error err = {0};
  assert_int_equal(tl_ledger_commit(ledger, &group, &err), TL_EINTERNAL);
  tl_ledger_series_list series;
  assert_int_equal(tl_ledger_series_of(ledger, NULL, NULL, &series, NULL), TL_OK);
  assert_int_equal(series.count, 0);
  tl_ledger_series_deinit(&series);
  tl_ledger_close(ledger);
  scratch_remove(&s);
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 20 };
typedef struct worker {
  tl_ledger *ledger;
  char symbol[24];
  tl_status status;
} worker;

static void *work(void *argument) {
  worker *w = argument;
  for (int64_t k = 0; !w->status && k < ROUNDS; k++) {
    tl_ledger_unit unit = unit_of(w->symbol, k * 10, k * 10 + 10, TL_COVER_PRESENT, 1);
    tl_ledger_group group = {.units = &unit, .unit_count = 1};
    tl_segments segments = {0};
    w->status = tl_ledger_commit(w->ledger, &group, NULL);
    if (!w->status)
      w->status = tl_ledger_coverage(w->ledger, "equities_1min", w->symbol, (tl_range){0, 0}, &segments, NULL);
    if (!w->status && segments.items[0].rows != k + 1) w->status = TL_EINTERNAL;
    tl_segments_deinit(&segments);
  }
  return NULL;
}

static void threads_may_share_a_ledger_and_open_it_more_than_once(void **state) {
  (void)state;
  scratch s;
  scratch_make(&s);
  tl_ledger *ledgers[2] = {scratch_open(&s), scratch_open(&s)};
  worker workers[THREADS];
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) {
    workers[i] = (worker){.ledger = ledgers[i % 2]};
    snprintf(workers[i].symbol, sizeof workers[i].symbol, "T%d", i);
    assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(workers[i].status, TL_OK);
  }
  tl_ledger_close(ledgers[0]);
  tl_ledger_close(ledgers[1]);
  scratch_remove(&s);
  assert_int_equal(tl_alloc_live(), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_lake_without_a_ledger_gets_one_only_when_asked),
      cmocka_unit_test(a_file_that_a_crash_left_empty_becomes_a_ledger),
      cmocka_unit_test(a_newer_format_is_refused_by_name),
      cmocka_unit_test(another_programs_database_is_left_alone),
      cmocka_unit_test(an_older_format_is_migrated_and_keeps_what_it_holds),
      cmocka_unit_test(a_migration_that_fails_changes_nothing),
      cmocka_unit_test(a_damaged_ledger_says_how_to_rebuild_and_can_be_set_aside),
      cmocka_unit_test(damage_anywhere_is_an_error_or_unseen),
      cmocka_unit_test(units_that_make_no_sense_are_damage_too),
      cmocka_unit_test(a_lake_that_may_only_be_read_answers_and_refuses_to_record),
      cmocka_unit_test(a_lock_that_is_never_given_up_is_named_after_ten_minutes),
      cmocka_unit_test(a_lake_keeps_the_layout_of_its_first_import),
      cmocka_unit_test(a_dataset_keeps_the_source_of_its_first_import),
      cmocka_unit_test(files_are_replaced_by_path_and_summed_by_series),
      cmocka_unit_test(runs_tell_what_was_done_and_what_came_of_each_symbol),
      cmocka_unit_test(a_group_is_all_or_nothing),
      cmocka_unit_test(threads_may_share_a_ledger_and_open_it_more_than_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
