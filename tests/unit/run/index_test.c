/* index_test.c - memberships with their dates, kept in CSV files that people and other programs write too. */
#include "run/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"

static char folder[64];
static tl_run_lake lake;

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *at) {
  (void)info, (void)type, (void)at;
  return remove(path);
}

static int make_lake(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/tl-index-XXXXXX");
  if (!mkdtemp(folder)) return 1;
  lake = (tl_run_lake){.path = folder};
  return tl_store_open(folder, NULL, &lake.store, NULL) != TL_OK;
}

static int remove_lake(void **state) {
  (void)state;
  tl_clock_fake_stop();
  tl_store_close(lake.store);
  return nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* 2024-01-0DAYT00:00:00Z */
static void on_day(int day) { tl_clock_fake_start((INT64_C(1704067200) + (day - 1) * 86400) * TL_NS_PER_S); }

static void store(const char *name, const char *symbols) {
  tl_error err = {0};
  if (tl_run_index_store(&lake, name, symbols, &err)) fail_msg("%s", err.message);
}

static void put_file(const char *name, const char *text, size_t len) {
  char path[256];
  snprintf(path, sizeof path, "%s/metadata", folder);
  mkdir(path, 0755);
  snprintf(path, sizeof path, "%s/metadata/indices", folder);
  mkdir(path, 0755);
  snprintf(path, sizeof path, "%s/metadata/indices/%s.csv", folder, name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  assert_int_equal(fwrite(text, 1, len, f), len);
  fclose(f);
}

static void expect_file(const char *name, const char *want) {
  char path[256], got[4096] = "";
  snprintf(path, sizeof path, "%s/metadata/indices/%s.csv", folder, name);
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  got[fread(got, 1, sizeof got - 1, f)] = 0;
  fclose(f);
  assert_string_equal(got, want);
}

static int append_row(void *user, const tl_index_row *row) { /* "index symbol added removed|" */
  char *text = user;
  size_t len = strlen(text);
  assert_int_equal(row->size, sizeof *row);
  snprintf(text + len, 2000 - len, "%s %s %s %s|", row->index, row->symbol, row->added_date, row->removed_date);
  return 0;
}

static int stop_at_once(void *user, const tl_index_row *row) {
  ++*(int *)user;
  (void)row;
  return 1;
}

static void expect_members(const char *name, const char *want) {
  char got[2000] = "";
  tl_error err = {0};
  if (tl_run_index_load(&lake, name, append_row, got, &err)) fail_msg("%s", err.message);
  assert_string_equal(got, want);
}

static void symbols_of(const char *argument, char got[2000]) { /* "A|B|" */
  tl_symbols symbols = {0};
  tl_error err = {0};
  if (tl_run_symbols_parse(&lake, argument, &symbols, &err)) fail_msg("%s", err.message);
  got[0] = 0;
  for (size_t i = 0; i < symbols.count; i++) snprintf(got + strlen(got), 2000 - strlen(got), "%s|", symbols.items[i]);
  tl_symbols_deinit(&symbols);
}

static void expect_symbols(const char *argument, const char *want) {
  char got[2000];
  symbols_of(argument, got);
  assert_string_equal(got, want);
}

static void who_comes_and_goes_gets_a_date(void **state) {
  (void)state;
  on_day(1);
  store("sp", "AAPL,MSFT");
  expect_file("sp", "symbol,added_date,removed_date\nAAPL,2024-01-01T00:00:00Z,\nMSFT,2024-01-01T00:00:00Z,\n");
  on_day(2);
  store("sp", "MSFT,NVDA");
  expect_members("sp", "sp AAPL 2024-01-01T00:00:00Z 2024-01-02T00:00:00Z|sp MSFT 2024-01-01T00:00:00Z |"
                       "sp NVDA 2024-01-02T00:00:00Z |");
  expect_symbols("index:sp", "MSFT|NVDA|"); /* members of today */
  on_day(3);
  store("sp", "index:sp"); /* it may be stored from itself */
  on_day(4);
  store("sp", "AAPL");
  expect_members("sp", "sp AAPL 2024-01-01T00:00:00Z |sp MSFT 2024-01-01T00:00:00Z 2024-01-04T00:00:00Z|"
                       "sp NVDA 2024-01-02T00:00:00Z 2024-01-04T00:00:00Z|");
  store("sp", "AAPL");
  expect_symbols("index:sp", "AAPL|");
}

static void files_of_others_are_read_as_they_write_them(void **state) {
  (void)state;
  static const struct { const char *what, *text, *members; } cases[] = {
    {"two columns", "symbol,added_date\nAAPL,2020-01-02\nBRK.B,2021-03-04\n", "i AAPL 2020-01-02 |i BRK.B 2021-03-04 |"},
    {"columns in another order, others between", "name,removed_date,symbol,added_date\nApple,,AAPL,d1\n\"Gone, Inc.\",d3,GONE,d2\n",
     "i AAPL d1 |i GONE d2 d3|"},
    {"BOM and CRLF", "\xEF\xBB\xBFsymbol,added_date\r\nAAPL,d\r\nMSFT,d\r\n", "i AAPL d |i MSFT d |"},
    {"lines that end in CR alone", "symbol,added_date\rAAPL,d\rMSFT,d\r", "i AAPL d |i MSFT d |"},
    {"no newline at the end", "symbol\nAAPL\nMSFT", "i AAPL  |i MSFT  |"},
    {"quotes, commas, line ends within quotes", "symbol,added_date\n\"A\"\"B\",\"x,y\"\n\"C\nD\",\"\"\n", "i A\"B x,y |i C\nD  |"},
    {"blank lines", "symbol\n\nAAPL\n\r\n\nMSFT\n\n", "i AAPL  |i MSFT  |"},
    {"short and long lines", "symbol,added_date,removed_date\nAAPL\nMSFT,d,,,,\n", "i AAPL  |i MSFT d |"},
    {"a header of another name: the first column", "Ticker,Company\nAAPL,Apple\n", "i AAPL  |"},
    {"a quote that never ends", "symbol\n\"AAPL", "i AAPL  |"},
    {"a header and nothing else", "symbol,added_date\n", ""},
    {"nothing at all", "", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    print_message("%s\n", cases[i].what);
    put_file("i", cases[i].text, strlen(cases[i].text));
    expect_members("i", cases[i].members);
  }
}

static void what_is_stored_reads_back_whatever_the_symbols(void **state) {
  (void)state;
  on_day(1);
  char list[300];
  snprintf(list, sizeof list, "@%s/list.csv", folder);
  FILE *f = fopen(list + 1, "w");
  fputs("symbol\n\"A,B\"\n\"C\"\"D\"\n\"E\nF\"\n../x\nBTC/USD\n\xC3\xA9\n", f);
  fclose(f);
  store("odd", list);
  expect_symbols("index:odd", "A,B|C\"D|E\nF|../x|BTC/USD|\xC3\xA9|");
  store("odd", list);
  expect_symbols("index:odd", "A,B|C\"D|E\nF|../x|BTC/USD|\xC3\xA9|");
}

static void indices_are_listed_by_name(void **state) {
  (void)state;
  expect_members(NULL, ""); /* a lake without any */
  on_day(1);
  store("nasdaq-100", "AAPL");
  store("dow", "AAPL");
  put_file("x", "", 0);
  char other[300];
  snprintf(other, sizeof other, "%s/metadata/indices/notes.txt", folder);
  fclose(fopen(other, "w"));
  expect_members(NULL, "dow   |nasdaq-100   |x   |");
  int seen = 0;
  assert_int_equal(tl_run_index_load(&lake, NULL, stop_at_once, &seen, NULL), TL_OK);
  assert_int_equal(tl_run_index_load(&lake, "dow", stop_at_once, &seen, NULL), TL_OK);
  assert_int_equal(seen, 2);
}

static void expect_refused(tl_status st, const tl_error *err, const char *words) {
  assert_int_equal(st, TL_EUSAGE);
  if (!strstr(err->message, words)) fail_msg("'%s' does not say '%s'", err->message, words);
}

static void what_cannot_be_is_refused_by_name(void **state) {
  (void)state;
  static const char *const bad[] = {"", "../up", "a/b", ".hidden", "a b", "caf\xC3\xA9"};
  char longest[128];
  tl_error err = {0};
  char got[2000] = "";
  tl_symbols symbols = {0};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    expect_refused(tl_run_index_store(&lake, bad[i], "AAPL", &err), &err, bad[i]);
    expect_refused(tl_run_index_load(&lake, bad[i], append_row, got, &err), &err, "is no index name");
  }
  memset(longest, 'a', sizeof longest);
  longest[101] = 0;
  expect_refused(tl_run_index_store(&lake, longest, "AAPL", &err), &err, "aaa");
  longest[100] = 0;
  store(longest, "AAPL");
  expect_refused(tl_run_index_load(&lake, "none", append_row, got, &err), &err, "no index 'none'");
  expect_refused(tl_run_symbols_parse(&lake, "index:none", &symbols, &err), &err, "no index 'none'");
  put_file("empty", "symbol\n", 7);
  expect_refused(tl_run_symbols_parse(&lake, "index:empty", &symbols, &err), &err, "index 'empty' has no members");
  put_file("bad", "symbol,added_date\nAAPL,d\n,d\n", 28);
  expect_refused(tl_run_index_load(&lake, "bad", append_row, got, &err), &err, "bad.csv:3");
  expect_refused(tl_run_index_store(&lake, "bad", "AAPL", &err), &err, "bad.csv:3");
  expect_refused(tl_run_index_store(&lake, "dow", "", &err), &err, "symbol");
  tl_symbols_deinit(&symbols);
}

static void sweep(tl_seam seam) {
  char got[2000];
  bool fired = true;
  long n = 1;
  on_day(1);
  store("i", "AAPL,MSFT");
  for (; fired; n++) {
    int64_t live = tl_alloc_live();
    tl_error err = {0};
    tl_fault_arm(seam, n, TL_FAULT_ERROR, EIO);
    got[0] = 0;
    tl_status st = tl_run_index_store(&lake, "i", "MSFT,NVDA", &err);
    if (!st) st = tl_run_index_load(&lake, "i", append_row, got, &err);
    if (!st) st = tl_run_index_load(&lake, NULL, append_row, got, &err);
    fired = tl_fault_disarm();
    assert_true(!st || (fired && err.message[0])); /* the store survives some by itself */
    assert_int_equal(tl_alloc_live(), live);
    symbols_of("index:i", got);
    assert_true(!strcmp(got, "AAPL|MSFT|") || !strcmp(got, "MSFT|NVDA|")); /* the old index or the new one */
    if (!fired) assert_string_equal(got, "MSFT|NVDA|");
    store("i", "AAPL,MSFT"); /* whatever happened, it can be stored again */
  }
  assert_true(n > 8);
}

static void every_allocation_fails_in_turn(void **state) { (void)state, sweep(TL_SEAM_ALLOC); }
static void every_disk_call_fails_in_turn(void **state) { (void)state, sweep(TL_SEAM_DISK); }

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(who_comes_and_goes_gets_a_date, make_lake, remove_lake),
    cmocka_unit_test_setup_teardown(files_of_others_are_read_as_they_write_them, make_lake, remove_lake),
    cmocka_unit_test_setup_teardown(what_is_stored_reads_back_whatever_the_symbols, make_lake, remove_lake),
    cmocka_unit_test_setup_teardown(indices_are_listed_by_name, make_lake, remove_lake),
    cmocka_unit_test_setup_teardown(what_cannot_be_is_refused_by_name, make_lake, remove_lake),
    cmocka_unit_test_setup_teardown(every_allocation_fails_in_turn, make_lake, remove_lake),
    cmocka_unit_test_setup_teardown(every_disk_call_fails_in_turn, make_lake, remove_lake),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return failed || tl_alloc_live() != 0;
}
