/* objects_test.c - the ledger as entries of a store, on a folder that fulfils the same contract: what is read is what the SQLite
 * ledger gives after the same calls, numbers have no gaps, one of several writers is first, and damage is named.
 * The oracle of races and crashes stands outside: what a process was told has been committed goes through a pipe. */
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/prng.h"
#include "ledger/entry.h"
#include "ledger/objects.h"
#include "tests/unit/ledger/scratch.h"

typedef struct place {
  char folder[64];
  tl_store *store;
} place;

static void place_open(place *p) {
  tl_error err = {0};
  if (tl_store_open(p->folder, NULL, &p->store, &err)) fail_msg("%s", err.message);
}

static void place_make(place *p) {
  snprintf(p->folder, sizeof p->folder, "%s/tl-objects-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  assert_non_null(mkdtemp(p->folder));
  place_open(p);
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *at) {
  (void)info, (void)type, (void)at;
  return remove(path);
}

static void place_remove(place *p) {
  tl_store_close(p->store);
  nftw(p->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static tl_ledger *open_objects(const place *p) {
  tl_ledger *ledger = NULL;
  tl_error err = {0};
  if (tl_objects_open(p->store, true, &ledger, &err)) fail_msg("open: %s", err.message);
  return ledger;
}

static void path_of(const place *p, int number, const char *ending, char out[160]) {
  snprintf(out, 160, "%s/_ticklake/ledger/%020d.%s", p->folder, number, ending);
}

static bool is_there(const place *p, int number, const char *ending) {
  char path[160];
  path_of(p, number, ending, path);
  return access(path, F_OK) == 0;
}

static int entries_of(const place *p) { /* without gaps, else it fails */
  int last = 0, count = 0;
  tl_io_names names;
  char folder[160];
  snprintf(folder, sizeof folder, "%s/_ticklake/ledger", p->folder);
  if (tl_io_list(folder, &names, NULL)) return 0;
  for (size_t i = 0; i < names.count; i++) {
    int number = 0, end = 0;
    if (sscanf(names.names[i], "%20d.json%n", &number, &end) != 1 || end != 25) continue;
    count++;
    if (number > last) last = number;
  }
  tl_io_names_deinit(&names);
  assert_int_equal(count, last);
  return count;
}

static void overwrite(const place *p, int number, const char *ending, const char *text) {
  char path[160];
  path_of(p, number, ending, path);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
  fclose(file);
}

/* Step k states [10k, 10k + 10) of a symbol and replaces one file row by "k + 1 rows". */
static tl_status step(tl_ledger *ledger, const char *symbol, int64_t k, tl_error *err) {
  tl_ledger_unit unit = unit_of(symbol, k * 10, k * 10 + 10, TL_COVER_PRESENT, k + 1);
  char path[80];
  snprintf(path, sizeof path, "trades/%s.parquet", symbol);
  tl_ledger_file file = {path, "trades", symbol, k + 1, 1, "00", 0, 1};
  return tl_ledger_commit(ledger, &(tl_ledger_group){.files = &file, .file_count = 1, .units = &unit, .unit_count = 1}, err);
}

static void must_step(tl_ledger *ledger, const char *symbol, int64_t k) {
  tl_error err = {0};
  if (step(ledger, symbol, k, &err)) fail_msg("step %d: %s", (int)k, err.message);
}

/* The ledger holds steps [0, n) of the symbol; gives n. */
static int64_t steps_held(tl_ledger *ledger, const char *symbol) {
  tl_segments segments;
  tl_ledger_file_list files;
  tl_error err = {0};
  if (tl_ledger_coverage(ledger, "equities_1min", symbol, (tl_range){0, 0}, &segments, &err)) fail_msg("%s", err.message);
  if (tl_ledger_files(ledger, "trades", symbol, &files, &err)) fail_msg("%s", err.message);
  assert_in_range(segments.count, 0, 1);
  int64_t n = segments.count ? segments.items[0].range.end_ns / 10 : 0;
  assert_int_equal(files.count, segments.count);
  if (n) {
    assert_int_equal(segments.items[0].range.start_ns, 0);
    assert_int_equal(segments.items[0].rows, n * (n + 1) / 2);
    assert_int_equal(files.items[0].rows, n);
  }
  tl_segments_deinit(&segments);
  tl_ledger_files_deinit(&files);
  return n;
}

/* ---- the same answers ---- */

/* Every call that writes, with what is awkward in it. */
static void write_everything(tl_ledger *ledger) {
  tl_error err = {0};
  char layout[16];
  int64_t run = 0;
  tl_ledger_source source = {.provider = "alpaca", .feed = "sip", .asof = "-", .built_from = "bars"};
  tl_ledger_unit units[] = {unit_of("A", 0, 100, TL_COVER_PRESENT, 7), unit_of("B\"\\/ \xc3\xa9 \x01", 50, 60, TL_COVER_FAILED, 0),
                            unit_of("A", INT64_MIN, -5, TL_COVER_EMPTY, 0), unit_of("A", 40, INT64_MAX, TL_COVER_PARTIAL, 1)};
  units[3].rows = INT64_MAX;
  units[1].hash = NULL;
  units[1].answer = "HTTP 500: {\"message\": \"no\"}\n";
  tl_ledger_file files[] = {{"equities_1min/symbol=A/x.parquet", "equities_1min", "A", 7, 70, "00ff", INT64_MIN, INT64_MAX},
                            {"gone.parquet", "equities_1min", "A", 1, 1, "01", 2, 3}};
  const char *removed[] = {"gone.parquet", "never.parquet"};
  tl_ledger_counts counts = {1, 2, 3, 4, 5, 6};
  tl_ledger_result results[] = {{"A", ""}, {"B", "no such symbol"}};
  assert_int_equal(tl_ledger_layout(ledger, "hive", layout, &err), TL_OK);
  assert_string_equal(layout, "hive");
  assert_int_equal(tl_ledger_layout(ledger, "flat", layout, &err), TL_OK); /* nothing was committed yet */
  assert_int_equal(tl_ledger_source_of(ledger, "equities_1min", &source, NULL, &err), TL_OK);
  assert_int_equal(tl_ledger_run_begin(ledger, "import 1m", 11, &run, &err), TL_OK);
  tl_ledger_group group = {.files = files, .file_count = 2, .units = units, .unit_count = 4, .run = run, .counts = counts};
  assert_int_equal(tl_ledger_commit(ledger, &group, &err), TL_OK);
  group = (tl_ledger_group){.removed = removed, .removed_count = 2, .run = run, .counts = counts};
  assert_int_equal(tl_ledger_commit(ledger, &group, &err), TL_OK);
  assert_int_equal(tl_ledger_recount(ledger, "equities_1min", "A", (tl_range){0, 40}, 5, &err), TL_OK);
  assert_int_equal(tl_ledger_run_end(ledger, run, 22, 3, "half of it", &counts, results, 2, &err), TL_OK);
  assert_int_equal(tl_ledger_run_begin(ledger, "second", 33, &run, &err), TL_OK);
  assert_int_equal(run, 2);
  files[1] = (tl_ledger_file){"new.parquet", "trades", "C", 1, 1, "02", 2, 3};
  assert_int_equal(tl_ledger_rebuild(ledger, &(tl_ledger_group){.files = files, .file_count = 2}, &err), TL_OK);
}


/* Both hold the same rows in every table, told by SQL that lists them as text. */
static tl_status add_text(sqlite3_stmt *row, void *context, tl_error *err) {
  return tl_buf_appendf(context, err, "%s\n", tl_db_text(row, 0));
}

static void dump(tl_ledger *ledger, tl_buf *out) {
  static const char *const queries[] = {
      "SELECT name || '=' || value FROM fact WHERE name <> 'entry' ORDER BY 1",
      "SELECT id || name || coalesce(provider || feed || adjustment || asof || currency || built_from || conditions, '') FROM dataset ORDER BY 1",
      "SELECT id || name FROM symbol ORDER BY 1",
      "SELECT dataset || ',' || symbol || ',' || start_ns || ',' || end_ns || ',' || state || ',' || rows || ',' || wire_rows || ',' || bytes || ',' ||"
      " pages || ',' || rejected || ',' || asked_ns || ',' || run || ',' || hash || ',' || answer FROM unit ORDER BY 1",
      "SELECT path || ',' || dataset || ',' || symbol || ',' || rows || ',' || bytes || ',' || time_min_ns || ',' || time_max_ns || checksum FROM file"
      " ORDER BY 1",
      "SELECT id || ',' || started_ns || ',' || ended_ns || ',' || exit_code || ',' || rows || ',' || rejected || ',' || files || ',' || requests || ','"
      " || retries || ',' || bytes || command || message FROM run ORDER BY 1",
      "SELECT run || symbol || reason FROM run_symbol ORDER BY 1"};
  tl_error err = {0};
  for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
    if (tl_db_each(ledger, add_text, out, &err, queries[i], "")) fail_msg("%s", err.message);
}

static void expect_same(tl_ledger *ledger, tl_ledger *other) {
  tl_buf a = {0}, b = {0};
  dump(ledger, &a);
  dump(other, &b);
  assert_true(a.len > 0);
  assert_string_equal(a.data, b.data);
  tl_buf_deinit(&a);
  tl_buf_deinit(&b);
}

static void entries_give_the_tables_that_sqlite_has_after_the_same_calls(void **state) {
  (void)state;
  scratch s;
  place p;
  scratch_make(&s);
  place_make(&p);
  tl_ledger *file = scratch_open(&s), *writer = open_objects(&p);
  write_everything(file);
  write_everything(writer);
  expect_same(file, writer);
  assert_int_equal(entries_of(&p), 10);
  tl_ledger *reader = open_objects(&p); /* from the entries alone */
  expect_same(file, reader);
  tl_ledger_close(reader);
  tl_ledger_close(writer);
  tl_ledger_close(file);
  place_remove(&p);
  scratch_remove(&s);
}

static void what_the_ledger_says_already_makes_no_entry(void **state) {
  (void)state;
  place p;
  place_make(&p);
  tl_ledger *ledger = open_objects(&p), *second = NULL;
  tl_ledger_source source = {.provider = "alpaca", .feed = "sip"};
  char layout[16];
  for (int i = 0; i < 3; i++) {
    assert_int_equal(tl_ledger_layout(ledger, "hive", layout, NULL), TL_OK);
    assert_int_equal(tl_ledger_source_of(ledger, "trades", &source, NULL, NULL), TL_OK);
  }
  assert_int_equal(entries_of(&p), 2);
  must_step(ledger, "A", 0);
  second = open_objects(&p);
  tl_error err = {0};
  assert_int_equal(tl_ledger_layout(second, "flat", layout, &err), TL_EUSAGE);
  assert_string_equal(layout, "hive");
  source.feed[0] = 'x';
  tl_ledger_source got;
  assert_int_equal(tl_ledger_source_of(second, "trades", &source, &got, &err), TL_EUSAGE);
  assert_string_equal(got.feed, "sip");
  assert_int_equal(entries_of(&p), 3);
  tl_ledger_close(second);
  tl_ledger_close(ledger);
  place_remove(&p);
}

static void two_handles_see_each_other_and_agree_on_ids(void **state) {
  (void)state;
  place p;
  place_make(&p);
  tl_ledger *a = open_objects(&p), *b = open_objects(&p);
  int64_t first = 0, second = 0;
  assert_int_equal(tl_ledger_run_begin(a, "a", 1, &first, NULL), TL_OK);
  assert_int_equal(tl_ledger_run_begin(b, "b", 2, &second, NULL), TL_OK);
  assert_true(first == 1 && second == 2);
  for (int64_t k = 0; k < 6; k++) must_step(k % 2 ? a : b, "A", k);
  assert_int_equal(steps_held(a, "A"), 6);
  assert_int_equal(steps_held(b, "A"), 6);
  expect_same(a, b);
  /* Whoever comes second to the layout is told. */
  char got[16];
  assert_int_equal(tl_ledger_layout(a, "hive", got, NULL), TL_OK);
  assert_int_equal(tl_ledger_layout(b, "flat", got, NULL), TL_EUSAGE);
  tl_ledger_close(a);
  tl_ledger_close(b);
  place_remove(&p);
}

static void a_lake_without_entries_has_no_ledger(void **state) {
  (void)state;
  place p;
  tl_ledger *ledger = NULL;
  tl_error err = {0};
  place_make(&p);
  assert_int_equal(tl_objects_open(p.store, false, &ledger, &err), TL_ENOTFOUND);
  assert_non_null(strstr(err.message, p.folder));
  assert_int_equal(tl_objects_set_aside(p.store, &err), TL_OK);
  ledger = open_objects(&p); /* creating writes nothing yet */
  assert_int_equal(entries_of(&p), 0);
  tl_ledger_close(ledger);
  place_remove(&p);
}

/* ---- checkpoints ---- */

static void an_opening_after_a_checkpoint_reads_no_entry_before_it(void **state) {
  (void)state;
  enum { STEPS = 2 * TL_ENTRIES_PER_CHECKPOINT + 30 };
  place p;
  place_make(&p);
  tl_ledger *ledger = open_objects(&p);
  for (int64_t k = 0; k < STEPS; k++) must_step(ledger, "A", k);
  tl_ledger_close(ledger);
  assert_true(is_there(&p, TL_ENTRIES_PER_CHECKPOINT, "db") && is_there(&p, 2 * TL_ENTRIES_PER_CHECKPOINT, "db"));
  for (int n = 1; n <= 2 * TL_ENTRIES_PER_CHECKPOINT; n++) overwrite(&p, n, "json", "no entry at all");
  ledger = open_objects(&p);
  assert_int_equal(steps_held(ledger, "A"), STEPS);
  must_step(ledger, "A", STEPS);
  assert_int_equal(steps_held(ledger, "A"), STEPS + 1);
  tl_ledger_close(ledger);
  place_remove(&p);
}

static void a_damaged_or_missing_checkpoint_is_done_without(void **state) {
  (void)state;
  enum { STEPS = TL_ENTRIES_PER_CHECKPOINT + 5 };
  place p;
  place_make(&p);
  tl_ledger *ledger = open_objects(&p);
  for (int64_t k = 0; k < STEPS; k++) must_step(ledger, "A", k);
  tl_ledger_close(ledger);
  char path[160], hint[160];
  path_of(&p, TL_ENTRIES_PER_CHECKPOINT, "db", path);
  snprintf(hint, sizeof hint, "%s/_ticklake/ledger/checkpoint.json", p.folder);
  for (int damage = 0; damage < 4; damage++) {
    if (damage == 0) { /* one bit of a row */
      FILE *file = fopen(path, "r+b");
      assert_non_null(file);
      fseek(file, -100, SEEK_END);
      fputc('~', file);
      fclose(file);
    } else if (damage == 1) {
      assert_int_equal(truncate(path, 5000), 0);
    } else if (damage == 2) {
      assert_int_equal(unlink(path), 0);
    } else {
      FILE *file = fopen(hint, "wb");
      assert_non_null(file);
      fputs("{\"format\":1,\"entry\":\"many\"", file);
      fclose(file);
    }
    ledger = open_objects(&p);
    assert_int_equal(steps_held(ledger, "A"), STEPS);
    tl_ledger_close(ledger);
  }
  ledger = open_objects(&p); /* the next writer makes a new one */
  must_step(ledger, "A", STEPS);
  tl_ledger_close(ledger);
  assert_true(is_there(&p, STEPS + 1, "db"));
  for (int n = 1; n <= STEPS + 1; n++) overwrite(&p, n, "json", "no entry at all");
  ledger = open_objects(&p);
  assert_int_equal(steps_held(ledger, "A"), STEPS + 1);
  tl_ledger_close(ledger);
  place_remove(&p);
}

/* ---- damage ---- */

static void damage_is_named_and_a_reset_begins_anew(void **state) {
  (void)state;
  static const char *const texts[] = {
      "", "{", "[]", "{\"format\":1,\"id\":\"x\",\"op\":\"dance\"}",
      "{\"format\":1,\"id\":\"x\",\"op\":\"layout\",\"layout\":7}",
      "{\"format\":1,\"id\":\"x\",\"op\":\"recount\",\"dataset\":\"a\",\"symbol\":\"b\",\"range\":[1],\"rows\":2}",
      "{\"format\":1,\"id\":\"x\",\"op\":\"commit\",\"run\":0,\"counts\":[0,0,0,0,0,0],\"files\":[],\"removed\":[],"
      "\"units\":[[\"d\",\"s\",5,5,\"present\",1,1,1,1,0,1,\"\",\"\"]]}",
      "{\"format\":1,\"id\":\"x\",\"op\":\"commit\",\"run\":0,\"counts\":[0,0,0,0,0,0],\"files\":[[\"p\",\"d\"]],\"removed\":[],\"units\":[]}",
      NULL /* missing */};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    place p;
    place_make(&p);
    tl_ledger *ledger = open_objects(&p), *again = NULL;
    for (int64_t k = 0; k < 4; k++) must_step(ledger, "A", k);
    tl_ledger_close(ledger);
    char path[160];
    path_of(&p, 3, "json", path);
    if (texts[i]) overwrite(&p, 3, "json", texts[i]);
    else assert_int_equal(unlink(path), 0);
    tl_error err = {0};
    assert_int_equal(tl_objects_open(p.store, true, &again, &err), TL_ECORRUPT);
    assert_non_null(strstr(err.message, "00000000000000000003.json"));
    assert_non_null(strstr(err.message, "audit --repair"));
    assert_int_equal(tl_objects_set_aside(p.store, &err), TL_OK);
    assert_true(is_there(&p, 5, "json"));
    ledger = open_objects(&p);
    assert_int_equal(steps_held(ledger, "A"), 0);
    must_step(ledger, "A", 0);
    assert_int_equal(steps_held(ledger, "A"), 1);
    tl_ledger_close(ledger);
    place_remove(&p);
  }
}

static void a_newer_format_is_refused_by_name(void **state) {
  (void)state;
  place p;
  place_make(&p);
  tl_ledger *ledger = open_objects(&p), *again = NULL;
  must_step(ledger, "A", 0);
  overwrite(&p, 2, "json", "{\"format\":2,\"id\":\"x\",\"op\":\"leap\"}");
  tl_error err = {0};
  assert_int_equal(step(ledger, "A", 1, &err), TL_EUSAGE);
  assert_true(strstr(err.message, "format 2") && strstr(err.message, "newer ticklake"));
  assert_int_equal(tl_objects_open(p.store, true, &again, &err), TL_EUSAGE);
  assert_int_equal(entries_of(&p), 2);
  tl_ledger_close(ledger);
  place_remove(&p);
}

/* ---- files without locks ---- */

typedef struct truth {
  const char *checksum; /* of the file that lies there */
  int asked;
} truth;

static tl_status look(void *to, const tl_ledger_file *file, bool *is, tl_error *err) {
  truth *t = to;
  (void)err;
  t->asked++;
  *is = !strcmp(file->checksum, t->checksum);
  return TL_OK;
}

static void record(tl_ledger *ledger, const char *checksum, int64_t since, truth *t) {
  tl_error err = {0};
  tl_ledger_file file = {"trades/A.parquet", "trades", "A", 1, 1, checksum, 0, 1};
  tl_ledger_group group = {.files = &file, .file_count = 1, .since = since, .still = look, .to = t};
  if (tl_ledger_commit(ledger, &group, &err)) fail_msg("%s", err.message);
}

static void expect_recorded(tl_ledger *ledger, const char *checksum) {
  tl_ledger_file_list files;
  assert_int_equal(tl_ledger_files(ledger, NULL, NULL, &files, NULL), TL_OK);
  assert_int_equal(files.count, 1);
  assert_string_equal(files.items[0].checksum, checksum);
  tl_ledger_files_deinit(&files);
}

/* a and b each replace one file; the object that lies there is b's. Whoever states first, the ledger ends with b's row. */
static void the_row_of_a_file_is_that_of_the_file_that_lies_there(void **state) {
  (void)state;
  for (int first = 0; first < 2; first++) {
    place p;
    place_make(&p);
    tl_ledger *a = open_objects(&p), *b = open_objects(&p);
    truth t = {.checksum = "b"};
    int64_t a_since = tl_ledger_seen(a), b_since = tl_ledger_seen(b);
    if (first == 0) {
      record(a, "a", a_since, &t);
      assert_int_equal(t.asked, 0); /* nobody was in between */
      record(b, "b", b_since, &t);
    } else {
      record(b, "b", b_since, &t);
      record(a, "a", a_since, &t);
    }
    assert_int_equal(t.asked, 1);
    expect_recorded(a, "b");
    expect_recorded(b, "b");
    int64_t since = tl_ledger_seen(a);
    record(a, "c", since, &t); /* a later round: b's row is known by now */
    assert_int_equal(t.asked, 1);
    expect_recorded(b, "c");
    /* b found the file gone, before a made it again: a's row stays; without a it goes. */
    const char *gone[] = {"trades/A.parquet"};
    for (int known = 0; known < 2; known++) {
      tl_ledger_group group = {.removed = gone, .removed_count = 1, .since = known ? tl_ledger_seen(b) : since, .still = look, .to = &t};
      assert_int_equal(tl_ledger_commit(b, &group, NULL), TL_OK);
      tl_ledger_file_list files;
      assert_int_equal(tl_ledger_files(a, NULL, NULL, &files, NULL), TL_OK);
      assert_int_equal(files.count, known ? 0 : 1);
      tl_ledger_files_deinit(&files);
    }
    tl_ledger_close(a);
    tl_ledger_close(b);
    place_remove(&p);
  }
}

/* ---- races and crashes ---- */

static void commit_until(place *p, const char *symbol, int64_t from, int64_t until, int report_fd) { /* in a child */
  tl_ledger *ledger = NULL;
  tl_error err = {0};
  if (tl_store_open(p->folder, NULL, &p->store, &err) || tl_objects_open(p->store, true, &ledger, &err)) {
    fprintf(stderr, "child: %s\n", err.message);
    _exit(3);
  }
  for (int64_t k = from; k < until; k++) {
    if (step(ledger, symbol, k, &err)) {
      fprintf(stderr, "child: %s\n", err.message);
      _exit(4);
    }
    if (report_fd >= 0 && write(report_fd, &k, sizeof k) != sizeof k) _exit(5);
  }
  _exit(0);
}

static void eight_processes_commit_at_once_and_nothing_is_lost_or_doubled(void **state) {
  (void)state;
  enum { PROCESSES = 8, STEPS = 20 };
  place p;
  place_make(&p);
  pid_t children[PROCESSES];
  char symbol[16];
  for (int i = 0; i < PROCESSES; i++) {
    children[i] = fork();
    assert_true(children[i] >= 0);
    snprintf(symbol, sizeof symbol, "A%d", i);
    if (children[i] == 0) commit_until(&p, symbol, 0, STEPS, -1);
  }
  for (int i = 0; i < PROCESSES; i++) {
    int status = 0;
    assert_int_equal(waitpid(children[i], &status, 0), children[i]);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  assert_int_equal(entries_of(&p), PROCESSES * STEPS);
  tl_ledger *ledger = open_objects(&p);
  for (int i = 0; i < PROCESSES; i++) {
    snprintf(symbol, sizeof symbol, "A%d", i);
    assert_int_equal(steps_held(ledger, symbol), STEPS);
  }
  tl_ledger_close(ledger);
  place_remove(&p);
}

static void what_was_acknowledged_survives_kill_9(void **state) {
  (void)state;
  enum { KILLS = 30 };
  place p;
  place_make(&p);
  tl_prng prng = tl_prng_init(7);
  int64_t held = 0;
  for (int i = 0; i < KILLS; i++) {
    int report[2];
    assert_int_equal(pipe(report), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      close(report[0]);
      commit_until(&p, "A", held, INT64_MAX, report[1]);
    }
    close(report[1]);
    tl_clock_sleep_ns((int64_t)tl_prng_below(&prng, 60) * TL_NS_PER_MS);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    int64_t acknowledged = held, k = 0;
    while (read(report[0], &k, sizeof k) == sizeof k) acknowledged = k + 1;
    close(report[0]);
    tl_ledger *ledger = open_objects(&p);
    held = steps_held(ledger, "A");
    assert_true(held == acknowledged || held == acknowledged + 1); /* +1: killed before it could say so */
    tl_ledger_close(ledger);
  }
  assert_true(held > 0);
  assert_int_equal(entries_of(&p), held);
  place_remove(&p);
}

#ifdef TL_FAULTS
static tl_status whole_life(const char *folder, tl_error *err) {
  tl_store *store = NULL;
  tl_ledger *ledger = NULL;
  tl_ledger_series_list series = {0};
  tl_ledger_counts counts = {0};
  tl_ledger_source source = {.provider = "alpaca", .feed = "sip"};
  tl_ledger_result result = {"A", "no"};
  int64_t run = 0;
  char layout[16];
  tl_status st = tl_store_open(folder, NULL, &store, err);
  if (!st) st = tl_objects_open(store, true, &ledger, err);
  if (!st) st = tl_ledger_layout(ledger, "hive", layout, err);
  if (!st) st = tl_ledger_source_of(ledger, "trades", &source, NULL, err);
  if (!st) st = tl_ledger_run_begin(ledger, "import", 1, &run, err);
  if (!st) st = step(ledger, "A", 0, err);
  if (!st) st = step(ledger, "A", 1, err);
  if (!st) st = tl_ledger_run_end(ledger, run, 2, 0, "", &counts, &result, 1, err);
  if (!st) st = tl_ledger_series_of(ledger, NULL, NULL, &series, err);
  if (!st) assert_int_equal(series.count, 2);
  tl_ledger_series_deinit(&series);
  tl_ledger_close(ledger);
  ledger = NULL;
  if (!st) st = tl_objects_open(store, false, &ledger, err);
  tl_ledger_close(ledger);
  tl_store_close(store);
  return st;
}

/* The n-th call fails, for every n until a run meets no fault. Whatever happened, the ledger goes on from there. */
static void sweep(tl_seam seam, tl_fault_action action, int code) {
  for (long n = 1;; n++) {
    place p;
    tl_error err = {0};
    place_make(&p);
    int64_t live = tl_alloc_live();
    tl_fault_arm(seam, n, action, code);
    tl_status st = whole_life(p.folder, &err);
    bool fired = tl_fault_disarm();
    if (st && !fired) fail_msg("failed without a fault: %s", err.message);
    if (st && !err.message[0]) fail_msg("fault %ld gave no message", n);
    if (tl_alloc_live() != live) fail_msg("fault %ld leaked %d blocks", n, (int)(tl_alloc_live() - live));
    tl_ledger *ledger = open_objects(&p);
    int64_t held = steps_held(ledger, "A");
    assert_in_range(held, 0, 2);
    for (int64_t k = held; k < 2; k++) must_step(ledger, "A", k);
    assert_int_equal(steps_held(ledger, "A"), 2);
    entries_of(&p);
    tl_ledger_close(ledger);
    place_remove(&p);
    if (!fired) break;
  }
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  sweep(TL_SEAM_ALLOC, TL_FAULT_ERROR, 0);
}
static void every_file_call_may_fail(void **state) {
  (void)state;
  sweep(TL_SEAM_DISK, TL_FAULT_ERROR, EIO);
}

/* A child that ends just before or after its n-th file call or step of a put; then the same work goes on. */
static void every_call_may_be_the_last(void **state) {
  (void)state;
  static const struct {
    tl_seam seam;
    tl_fault_action action;
  } ends[] = {{TL_SEAM_DISK, TL_FAULT_EXIT_BEFORE}, {TL_SEAM_DISK, TL_FAULT_EXIT_AFTER}, {TL_SEAM_STEP, TL_FAULT_EXIT_BEFORE}};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
    for (long n = 1;; n++) {
      place p;
      place_make(&p);
      pid_t child = fork();
      assert_true(child >= 0);
      if (child == 0) {
        tl_fault_arm(ends[i].seam, n, ends[i].action, 0);
        commit_until(&p, "A", 0, 3, -1);
      }
      int status = 0;
      assert_int_equal(waitpid(child, &status, 0), child);
      assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 99));
      tl_ledger *ledger = open_objects(&p);
      int64_t held = steps_held(ledger, "A");
      assert_in_range(held, 0, 3);
      for (int64_t k = held; k < 3; k++) must_step(ledger, "A", k);
      assert_int_equal(entries_of(&p), 3);
      tl_ledger_close(ledger);
      place_remove(&p);
      if (WEXITSTATUS(status) == 0) break;
    }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(entries_give_the_tables_that_sqlite_has_after_the_same_calls),
      cmocka_unit_test(what_the_ledger_says_already_makes_no_entry),
      cmocka_unit_test(two_handles_see_each_other_and_agree_on_ids),
      cmocka_unit_test(a_lake_without_entries_has_no_ledger),
      cmocka_unit_test(an_opening_after_a_checkpoint_reads_no_entry_before_it),
      cmocka_unit_test(a_damaged_or_missing_checkpoint_is_done_without),
      cmocka_unit_test(damage_is_named_and_a_reset_begins_anew),
      cmocka_unit_test(a_newer_format_is_refused_by_name),
      cmocka_unit_test(the_row_of_a_file_is_that_of_the_file_that_lies_there),
      cmocka_unit_test(eight_processes_commit_at_once_and_nothing_is_lost_or_doubled),
      cmocka_unit_test(what_was_acknowledged_survives_kill_9),
#ifdef TL_FAULTS
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(every_file_call_may_fail),
      cmocka_unit_test(every_call_may_be_the_last),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
