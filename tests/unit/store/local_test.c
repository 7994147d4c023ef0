/* A folder as a store: what a put promises, who wins a race, what a list shows, and every call failing at every point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"
#include "store/store.h"

static char folder[64];
static tl_store *store;

static int begin(void **state) {
  (void)state;
  strcpy(folder, access("/dev/shm", W_OK) ? "/tmp/tl_store_XXXXXX" : "/dev/shm/tl_store_XXXXXX"); /* thousands of fsyncs */
  return mkdtemp(folder) && chdir(folder) == 0 && !tl_store_open("lake", NULL, &store, NULL) ? 0 : -1;
}

static int end(void **state) {
  (void)state;
  tl_store_close(store);
  store = NULL;
  char command[100];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return chdir("/") || system(command);
}

static tl_status put_text(const char *key, const char *text, tl_put_condition condition, const char *etag) {
  return tl_store_put(store, key, text, strlen(text), condition, etag, NULL, NULL);
}

static void expect_text(const char *key, const char *text) {
  tl_buf found = {0};
  assert_int_equal(tl_store_get(store, key, 1 << 20, &found, NULL, NULL), TL_OK);
  assert_int_equal(found.len, strlen(text));
  assert_memory_equal(found.data ? found.data : "", text, found.len);
  tl_buf_deinit(&found);
}

enum { KEYS_MAX = 1000 };

static int collect(void *to, const char *key, const tl_store_info *info) {
  assert_true(info->size_bytes >= 0 && info->etag[0]);
  char *keys = to; /* no memory is taken here, where its faults are tested */
  size_t used = strlen(keys);
  assert_true(used + strlen(key) + 2 <= KEYS_MAX);
  snprintf(keys + used, KEYS_MAX - used, "%s\n", key);
  return 0;
}

static void expect_list(const char *prefix, const char *after, bool aside, const char *expected) {
  char keys[KEYS_MAX] = "";
  assert_int_equal(tl_store_list(store, prefix, after, aside, collect, keys, NULL), TL_OK);
  assert_string_equal(keys, expected);
}

static void what_was_put_is_there(void **state) {
  (void)state;
  tl_store_info put = {0}, seen = {0}, read = {0};
  tl_buf text = {0};
  assert_int_equal(tl_store_put(store, "a/b=1/c.json", "hello", 5, TL_PUT_ANY, NULL, &put, NULL), TL_OK);
  assert_int_equal(tl_store_stat(store, "a/b=1/c.json", &seen, NULL), TL_OK);
  assert_int_equal(tl_buf_appends(&text, "> ", NULL), TL_OK);
  assert_int_equal(tl_store_get(store, "a/b=1/c.json", 5, &text, &read, NULL), TL_OK);
  assert_string_equal(text.data, "> hello");
  assert_int_equal(seen.size_bytes, 5);
  assert_string_equal(put.etag, seen.etag);
  assert_string_equal(put.etag, read.etag);
  assert_int_equal(put.mtime_ms, seen.mtime_ms);
  int64_t now_ms = tl_clock_now_ns() / TL_NS_PER_MS;
  assert_true(seen.mtime_ms <= now_ms && seen.mtime_ms > now_ms - 60000);
  put_text("empty", "", TL_PUT_ABSENT, NULL);
  expect_text("empty", "");
  tl_buf_deinit(&text);
}

static void what_is_not_there_is_said(void **state) {
  (void)state;
  tl_error err = {0};
  tl_store_info info;
  tl_buf text = {0};
  put_text("file", "x", TL_PUT_ANY, NULL);
  put_text("d/file", "x", TL_PUT_ANY, NULL);
  static const char *const absent[] = {"nothing", "no/folder/here", "file/below", "d"};
  for (size_t i = 0; i < 4; i++) {
    assert_int_equal(tl_store_get(store, absent[i], 100, &text, &info, &err), TL_ENOTFOUND);
    assert_non_null(strstr(err.message, absent[i]));
    assert_int_equal(tl_store_get_range(store, absent[i], 0, 1, &text, &err), TL_ENOTFOUND);
    assert_int_equal(tl_store_stat(store, absent[i], &info, &err), TL_ENOTFOUND);
    assert_int_equal(tl_store_fetch(store, absent[i], "copy", &err), TL_ENOTFOUND);
    if (i < 3) assert_int_equal(tl_store_delete(store, absent[i], &err), TL_OK);
  }
  assert_int_equal(access("copy", F_OK), -1);
  assert_null(text.data);
  expect_list("", NULL, true, "d/file\nfile\n");
}

static void a_limit_is_kept(void **state) {
  (void)state;
  tl_buf text = {0};
  put_text("five", "12345", TL_PUT_ANY, NULL);
  assert_int_equal(tl_store_get(store, "five", 4, &text, NULL, NULL), TL_ELIMIT);
  assert_int_equal(text.len, 0);
  tl_buf_deinit(&text);
}

static void ranges_end_with_the_object(void **state) {
  (void)state;
  static const struct { int64_t offset; size_t len; const char *expected; } table[] = {
      {0, 3, "012"}, {3, 4, "3456"}, {8, 100, "89"}, {10, 1, ""}, {11, 5, ""}, {0, 0, ""}, {0, 10, "0123456789"}};
  put_text("digits", "0123456789", TL_PUT_ANY, NULL);
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tl_buf text = {0};
    assert_int_equal(tl_store_get_range(store, "digits", table[i].offset, table[i].len, &text, NULL), TL_OK);
    assert_string_equal(text.data ? text.data : "", table[i].expected);
    tl_buf_deinit(&text);
  }
  assert_int_equal(tl_store_get_range(store, "digits", -1, 1, &(tl_buf){0}, NULL), TL_EUSAGE);
}

static void absent_is_won_once(void **state) {
  (void)state;
  assert_int_equal(put_text("log/0.json", "first", TL_PUT_ABSENT, NULL), TL_OK);
  assert_int_equal(put_text("log/0.json", "second", TL_PUT_ABSENT, NULL), TL_ECONFLICT);
  expect_text("log/0.json", "first");
  expect_list("", NULL, true, "log/0.json\n");
  assert_int_equal(tl_store_delete(store, "log/0.json", NULL), TL_OK);
  assert_int_equal(put_text("log/0.json", "third", TL_PUT_ABSENT, NULL), TL_OK);
}

static void match_needs_the_version_read(void **state) {
  (void)state;
  tl_store_info one, two, three;
  assert_int_equal(put_text("k", "x", TL_PUT_MATCH, "1-1-1"), TL_ECONFLICT);
  expect_list("", NULL, true, "");
  assert_int_equal(tl_store_put(store, "k", "one", 3, TL_PUT_ANY, NULL, &one, NULL), TL_OK);
  assert_int_equal(tl_store_put(store, "k", "two", 3, TL_PUT_MATCH, one.etag, &two, NULL), TL_OK);
  assert_int_equal(put_text("k", "old", TL_PUT_MATCH, one.etag), TL_ECONFLICT);
  expect_text("k", "two");
  assert_int_equal(tl_store_put(store, "k", "3", 1, TL_PUT_MATCH, two.etag, &three, NULL), TL_OK);
  assert_int_equal(tl_store_delete(store, "k", NULL), TL_OK);
  assert_int_equal(put_text("k", "x", TL_PUT_MATCH, three.etag), TL_ECONFLICT);
  expect_list("", NULL, true, "");
}

static void an_etag_never_comes_back(void **state) {
  (void)state;
  enum { PUTS = 300 };
  static char seen[PUTS][96];
  tl_store_info info;
  tl_clock_fake_start(1700000000 * TL_NS_PER_S); /* a clock that stands still must not matter */
  assert_int_equal(tl_store_put(store, "k", "same", 4, TL_PUT_ANY, NULL, &info, NULL), TL_OK);
  for (int i = 0; i < PUTS; i++) {
    strcpy(seen[i], info.etag);
    for (int j = 0; j < i; j++) assert_string_not_equal(seen[i], seen[j]);
    assert_int_equal(tl_store_put(store, "k", "same", 4, TL_PUT_MATCH, seen[i], &info, NULL), TL_OK);
  }
  tl_clock_fake_stop();
}

static void names_that_leave_the_base_are_refused(void **state) {
  (void)state;
  static const char *const bad[] = {"", "/etc/passwd", "..", ".", "a/../../b", "a/./b", "a//b", "a/", "../x", "a/.."};
  char longer[1100];
  memset(longer, 'a', sizeof longer - 1);
  longer[sizeof longer - 1] = 0;
  for (size_t i = 0; i <= sizeof bad / sizeof *bad; i++) {
    const char *key = i < sizeof bad / sizeof *bad ? bad[i] : longer;
    tl_error err = {0};
    tl_store_info info;
    assert_int_equal(put_text(key, "x", TL_PUT_ANY, NULL), TL_EUSAGE);
    assert_int_equal(tl_store_get(store, key, 10, &(tl_buf){0}, NULL, &err), TL_EUSAGE);
    assert_int_equal(tl_store_stat(store, key, &info, &err), TL_EUSAGE);
    assert_int_equal(tl_store_delete(store, key, &err), TL_EUSAGE);
    assert_non_null(strstr(err.message, folder));
  }
  static const char *const bad_prefixes[] = {"/", "../", "a/../", "a//", "./x"};
  for (size_t i = 0; i < 5; i++) assert_int_equal(tl_store_list(store, bad_prefixes[i], NULL, false, collect, NULL, NULL), TL_EUSAGE);
  assert_int_equal(put_text("d/.x.tmp", "x", TL_PUT_ANY, NULL), TL_EUSAGE); /* no list would show it */
}

static void awkward_names_are_literal(void **state) {
  (void)state;
  static const char *const keys[] = {"a b", "%2F=+&?#", "\xC3\xA9 \xE2\x9C\x93", "...", ".hidden", "a\nb", "it's", "..x/y..", "\xFF"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    assert_int_equal(put_text(keys[i], keys[i], TL_PUT_ABSENT, NULL), TL_OK);
    expect_text(keys[i], keys[i]);
  }
  expect_list("a", NULL, false, "a\nb\na b\n");
}

static void a_list_is_in_the_order_of_the_keys(void **state) {
  (void)state;
  /* '-' 2D and '.' 2E come before '/' 2F, '0' after: a folder stands where its '/' puts it. */
  static const char *const keys[] = {"a/x", "a-b", "a.b", "a0", "a/b/c", "a/b.c", "B", "b/\xC3\xA9", "b/z", "a/b"};
  for (size_t i = 0; i < 9; i++) assert_int_equal(put_text(keys[i], "", TL_PUT_ANY, NULL), TL_OK);
  expect_list("", NULL, false, "B\na-b\na.b\na/b.c\na/b/c\na/x\na0\nb/z\nb/\xC3\xA9\n");
  expect_list("a", NULL, false, "a-b\na.b\na/b.c\na/b/c\na/x\na0\n");
  expect_list("a/", NULL, false, "a/b.c\na/b/c\na/x\n");
  expect_list("a/b", NULL, false, "a/b.c\na/b/c\n");
  expect_list("a/b/", NULL, false, "a/b/c\n");
  expect_list("nothing/", NULL, false, "");
  expect_list("a/x/", NULL, false, "");
  static const struct { const char *after, *expected; } table[] = {
      {"", "B\na-b\na.b\na/b.c\na/b/c\na/x\na0\nb/z\nb/\xC3\xA9\n"}, {"a", "a-b\na.b\na/b.c\na/b/c\na/x\na0\nb/z\nb/\xC3\xA9\n"},
      {"a-b", "a.b\na/b.c\na/b/c\na/x\na0\nb/z\nb/\xC3\xA9\n"}, {"a/", "a/b.c\na/b/c\na/x\na0\nb/z\nb/\xC3\xA9\n"},
      {"a/b.c", "a/b/c\na/x\na0\nb/z\nb/\xC3\xA9\n"}, {"a/b/c", "a/x\na0\nb/z\nb/\xC3\xA9\n"}, {"a/zz", "a0\nb/z\nb/\xC3\xA9\n"},
      {"a0", "b/z\nb/\xC3\xA9\n"}, {"b/z", "b/\xC3\xA9\n"}, {"b/\xC3\xA9", ""}, {"c", ""}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) expect_list("", table[i].after, false, table[i].expected);
  expect_list("a/", "a/b.c", false, "a/b/c\na/x\n");
}

static int stop_at_second(void *to, const char *key, const tl_store_info *info) {
  (void)key, (void)info;
  return ++*(int *)to == 2;
}

static void a_list_can_be_stopped(void **state) {
  (void)state;
  for (int i = 0; i < 5; i++) {
    char key[20];
    snprintf(key, sizeof key, "d%d/k", i);
    put_text(key, "", TL_PUT_ANY, NULL);
  }
  int seen = 0;
  assert_int_equal(tl_store_list(store, "", NULL, false, stop_at_second, &seen, NULL), TL_OK);
  assert_int_equal(seen, 2);
}

static void files_aside_show_only_when_asked(void **state) {
  (void)state;
  put_text("d/real", "x", TL_PUT_ANY, NULL);
  assert_int_equal(tl_io_replace("lake/d/.part.1-2.tmp", "half", 4, NULL), TL_OK);
  put_text("d/real", "y", TL_PUT_MATCH, "0-0-0"); /* makes nothing */
  tl_store_info info;
  assert_int_equal(tl_store_stat(store, "d/real", &info, NULL), TL_OK);
  assert_int_equal(put_text("d/real", "z", TL_PUT_MATCH, info.etag), TL_OK);
  assert_int_equal(access("lake/.ticklake.lock", F_OK), 0);
  expect_list("", NULL, false, "d/real\n");
  expect_list("", NULL, true, "d/.part.1-2.tmp\nd/real\n");
  assert_int_equal(tl_store_delete(store, "d/.part.1-2.tmp", NULL), TL_OK);
  expect_list("", NULL, true, "d/real\n");
}

static void a_ring_of_links_ends(void **state) {
  (void)state;
  put_text("d/e/f", "x", TL_PUT_ANY, NULL);
  assert_int_equal(symlink("..", "lake/d/e/up"), 0);
  assert_int_equal(symlink(".", "lake/d/self"), 0);
  assert_int_equal(symlink("nowhere", "lake/d/broken"), 0);
  assert_int_equal(symlink("d", "lake/other"), 0); /* no ring: its files count */
  expect_list("", NULL, true, "d/e/f\nother/e/f\n");
}

static void a_file_is_copied_in_and_out(void **state) {
  (void)state;
  enum { LEN = 700001 };
  char *bytes = malloc(LEN);
  assert_non_null(bytes);
  for (int i = 0; i < LEN; i++) bytes[i] = (char)(i * 7 + i / 253);
  assert_int_equal(tl_io_replace("in", bytes, LEN, NULL), TL_OK);
  tl_store_info info;
  assert_int_equal(tl_store_put_file(store, "big/file", "in", TL_PUT_ABSENT, NULL, &info, NULL), TL_OK);
  assert_int_equal(info.size_bytes, LEN);
  assert_int_equal(tl_store_put_file(store, "big/file", "in", TL_PUT_ABSENT, NULL, NULL, NULL), TL_ECONFLICT);
  assert_int_equal(tl_store_put_file(store, "big/file", "in", TL_PUT_MATCH, info.etag, &info, NULL), TL_OK);
  assert_int_equal(tl_store_put_file(store, "big/other", "missing", TL_PUT_ANY, NULL, NULL, NULL), TL_ENOTFOUND);
  assert_int_equal(tl_io_replace("out", "old", 3, NULL), TL_OK);
  assert_int_equal(tl_store_fetch(store, "big/file", "out", NULL), TL_OK);
  tl_buf got = {0};
  assert_int_equal(tl_io_read_file("out", LEN, &got, NULL), TL_OK);
  assert_int_equal(got.len, LEN);
  assert_memory_equal(got.data, bytes, LEN);
  tl_buf_deinit(&got);
  struct stat a, b;
  assert_int_equal(stat("in", &a) || stat("lake/big/file", &b), 0);
  assert_true(a.st_ino != b.st_ino && b.st_nlink == 1);
  expect_list("", NULL, true, "big/file\n");
  free(bytes);
}

static void adopting_moves_and_never_replaces(void **state) {
  (void)state;
  char path[200];
  tl_error err = {0};
  assert_int_equal(tl_io_mkdirs("lake/stage", NULL), TL_OK);
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/stage/.part.tmp", tl_store_local(store));
    assert_int_equal(tl_io_replace(path, i ? "two" : "one", 3, NULL), TL_OK);
    assert_int_equal(tl_store_adopt_file(store, path, "p=1/x.parquet", &err), i ? TL_ECONFLICT : TL_OK);
    expect_list("", NULL, true, i ? "p=1/x.parquet\nstage/.part.tmp\n" : "p=1/x.parquet\n");
  }
  expect_text("p=1/x.parquet", "one");
  assert_int_equal(tl_io_replace("outside", "x", 1, NULL), TL_OK);
  snprintf(path, sizeof path, "%s/outside", folder);
  assert_int_equal(tl_store_adopt_file(store, path, "y", &err), TL_EINTERNAL);
  snprintf(path, sizeof path, "%s/../outside", tl_store_local(store));
  assert_int_equal(tl_store_adopt_file(store, path, "y", &err), TL_EINTERNAL);
}

static void addresses(void **state) {
  (void)state;
  static const struct { const char *uri, *expected; } table[] = {
      {"/tmp/x/", "/tmp/x"}, {"file:/tmp/x", "/tmp/x"}, {"file:///tmp//x/.", "/tmp/x"}, {"file://localhost/tmp/y/../x", "/tmp/x"},
      {"/", "/"}, {"/..", "/"}, {"file:///tmp/a%20b", "/tmp/a%20b"}, {"s3", "s3"}, {"a:b//c", "a:b/c"}, {"./a/../b", "b"}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tl_store *s = NULL;
    char expected[200];
    snprintf(expected, sizeof expected, "%s%s%s", table[i].expected[0] == '/' ? "" : folder, table[i].expected[0] == '/' ? "" : "/", table[i].expected);
    assert_int_equal(tl_store_open(table[i].uri, NULL, &s, NULL), TL_OK);
    assert_string_equal(tl_store_uri(s), expected);
    assert_string_equal(tl_store_local(s), expected);
    assert_true(tl_store_is_local(s));
    tl_store_close(s);
  }
  put_text("plain", "x", TL_PUT_ANY, NULL);
  static const char *const bad[] = {"", "file:relative", "file://host/x", "http://x/y", "gs://b/p", "lake/plain"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    tl_store *s = NULL;
    tl_error err = {0};
    assert_int_equal(tl_store_open(bad[i], NULL, &s, &err), TL_EUSAGE);
    assert_null(s);
    assert_true(err.message[0]);
  }
  assert_true(tl_store_is_s3_uri("s3://b") && tl_store_is_s3_uri("s3a://b/c") && tl_store_is_s3_uri("s3n://b"));
  assert_false(tl_store_is_s3_uri("/s3://b"));
  assert_false(tl_store_is_s3_uri("s3:/b"));
}

/* ---- races ---- */

static void absent_has_one_winner_among_processes(void **state) {
  (void)state;
  enum { WRITERS = 16, ROUNDS = 40 };
  pid_t pids[WRITERS];
  for (int w = 0; w < WRITERS; w++) {
    if ((pids[w] = fork()) != 0) continue;
    int won = 0;
    for (int r = 0; r < ROUNDS; r++) {
      char key[30], text[20];
      snprintf(key, sizeof key, "log/%03d", r);
      snprintf(text, sizeof text, "%d", w);
      tl_status st = put_text(key, text, TL_PUT_ABSENT, NULL);
      if (st && st != TL_ECONFLICT) _exit(255);
      tl_buf found = {0};
      if (tl_store_get(store, key, 100, &found, NULL, NULL)) _exit(254);
      if ((strcmp(found.data, text) == 0) != (st == TL_OK)) _exit(253);
      won += !st;
    }
    _exit(won);
  }
  int won = 0;
  for (int w = 0; w < WRITERS; w++) {
    int status;
    assert_int_equal(waitpid(pids[w], &status, 0), pids[w]);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= ROUNDS);
    won += WEXITSTATUS(status);
  }
  assert_int_equal(won, ROUNDS);
}

enum { THREADS = 8, ADDS = 60 };

static void *add_up(void *unused) { /* a counter that is only right when no write is lost */
  (void)unused;
  for (int i = 0; i < ADDS;) {
    tl_buf text = {0};
    tl_store_info info;
    tl_status st = tl_store_get(store, "counter", 100, &text, &info, NULL);
    char next[32];
    snprintf(next, sizeof next, "%08ld", st ? -1 : strtol(text.data, NULL, 10) + 1);
    tl_buf_deinit(&text);
    if (!st) st = put_text("counter", next, TL_PUT_MATCH, info.etag);
    if (!st) i++;
    else if (st != TL_ECONFLICT) return "a put failed";
  }
  return NULL;
}

static void match_loses_no_write(void **state) {
  (void)state;
  put_text("counter", "00000000", TL_PUT_ANY, NULL);
  pthread_t threads[THREADS];
  pid_t child = fork(); /* two processes of threads */
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, add_up, NULL), 0);
  void *wrong = NULL;
  for (int i = 0; i < THREADS; i++) {
    void *answer;
    pthread_join(threads[i], &answer);
    if (answer) wrong = answer;
  }
  if (!child) _exit(wrong != NULL);
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  assert_null(wrong);
  char expected[20];
  snprintf(expected, sizeof expected, "%08d", 2 * THREADS * ADDS);
  expect_text("counter", expected);
}

/* ---- faults ---- */

typedef tl_status (*body)(tl_error *err);

static tl_status body_absent(tl_error *err) { return tl_store_put(store, "f/absent", "new", 3, TL_PUT_ABSENT, NULL, NULL, err); }
static tl_status body_any(tl_error *err) { return tl_store_put(store, "f/any", "new", 3, TL_PUT_ANY, NULL, NULL, err); }
static tl_status body_match(tl_error *err) {
  tl_store_info info;
  tl_status st = tl_store_stat(store, "f/match", &info, err);
  return st ? st : tl_store_put_file(store, "f/match", "in", TL_PUT_MATCH, info.etag, NULL, err);
}
static tl_status body_adopt(tl_error *err) {
  char path[200];
  snprintf(path, sizeof path, "%s/f/.stage.tmp", tl_store_local(store));
  return tl_store_adopt_file(store, path, "f/adopted", err);
}
static tl_status body_delete(tl_error *err) { return tl_store_delete(store, "f/match", err); }
static tl_status body_get(tl_error *err) {
  tl_buf text = {0};
  tl_status st = tl_store_get(store, "f/match", 100, &text, NULL, err);
  assert_true(st || !strcmp(text.data, "old"));
  tl_buf_deinit(&text);
  return st;
}
static tl_status body_fetch(tl_error *err) { return tl_store_fetch(store, "f/match", "out", err); }
static tl_status body_list(tl_error *err) {
  char keys[KEYS_MAX] = "";
  tl_status st = tl_store_list(store, "", NULL, false, collect, keys, err);
  assert_true(st || !strcmp(keys, "f/any\nf/match\n"));
  return st;
}
static tl_status body_open(tl_error *err) {
  tl_store *s = NULL;
  tl_status st = tl_store_open("a/./b", NULL, &s, err);
  tl_store_close(s);
  return st;
}

static void reset_files(void) {
  static const char *const files[] = {"f/absent", "f/adopted"};
  for (int i = 0; i < 2; i++) assert_int_equal(tl_store_delete(store, files[i], NULL), TL_OK);
  unlink("out");
  unlink("lake/.ticklake.lock");
  assert_int_equal(tl_io_replace("in", "new", 3, NULL), TL_OK);
  assert_int_equal(put_text("f/any", "old", TL_PUT_ANY, NULL), TL_OK);
  assert_int_equal(put_text("f/match", "old", TL_PUT_ANY, NULL), TL_OK);
  assert_int_equal(tl_io_replace("lake/f/.stage.tmp", "new", 3, NULL), TL_OK);
}

/* What is in place must be whole, and new exactly when the call said so; a failed one may leave files aside only. */
static void expect_sound(const char *name, long n, tl_status st, const char *key, const char *before, const char *after) {
  tl_buf text = {0};
  tl_status there = tl_store_get(store, key, 100, &text, NULL, NULL);
  const char *is = there == TL_ENOTFOUND ? "(absent)" : text.data;
  if (strcmp(is, st ? before : after) != 0) fail_msg("%s, fault %ld, status %d: '%s' is %s", name, n, (int)st, key, is);
  tl_buf_deinit(&text);
}

static void every_fault_leaves_whole_files(void **state) {
  (void)state;
  static const struct { const char *name; body run; const char *key, *before, *after; } bodies[] = {
      {"absent", body_absent, "f/absent", "(absent)", "new"}, {"any", body_any, "f/any", "old", "new"},
      {"match", body_match, "f/match", "old", "new"},         {"adopt", body_adopt, "f/adopted", "(absent)", "new"},
      {"delete", body_delete, "f/match", "old", "(absent)"},  {"get", body_get, "f/match", "old", "old"},
      {"fetch", body_fetch, "f/match", "old", "old"},         {"list", body_list, "f/any", "old", "old"},
      {"open", body_open, "f/any", "old", "old"}};
  static const struct { tl_seam seam; tl_fault_action action; int value; } kinds[] = {
      {TL_SEAM_DISK, TL_FAULT_ERROR, ENOSPC}, {TL_SEAM_DISK, TL_FAULT_ERROR, EINTR}, {TL_SEAM_DISK, TL_FAULT_SHORT, 0}, {TL_SEAM_ALLOC, TL_FAULT_ERROR, 0}};
  for (size_t b = 0; b < sizeof bodies / sizeof *bodies; b++)
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
      for (long n = 1;; n++) {
        assert_true(n < 1000);
        reset_files();
        int64_t live = tl_alloc_live();
        tl_error err = {0};
        tl_fault_arm(kinds[k].seam, n, kinds[k].action, kinds[k].value);
        tl_status st = bodies[b].run(&err);
        bool fired = tl_fault_disarm();
        if (tl_alloc_live() != live) fail_msg("%s leaks at fault %ld", bodies[b].name, n);
        assert_true(st == TL_OK || err.message[0]);
        if (kinds[k].action == TL_FAULT_SHORT || kinds[k].value == EINTR) assert_int_equal(st, TL_OK);
        expect_sound(bodies[b].name, n, st, bodies[b].key, bodies[b].before, bodies[b].after);
        if (!fired) break;
      }
}

static void a_crash_at_any_call_leaves_whole_files(void **state) {
  (void)state;
  static const struct { body run; const char *key, *before, *after; } bodies[] = {
      {body_absent, "f/absent", "(absent)", "new"}, {body_any, "f/any", "old", "new"}, {body_match, "f/match", "old", "new"}, {body_adopt, "f/adopted", "(absent)", "new"}};
  static const tl_fault_action actions[] = {TL_FAULT_EXIT_BEFORE, TL_FAULT_EXIT_AFTER};
  for (size_t b = 0; b < sizeof bodies / sizeof *bodies; b++)
    for (size_t a = 0; a < 4; a++)
      for (long n = 1;; n++) {
        reset_files();
        pid_t child = fork();
        if (!child) {
          tl_fault_arm(a < 2 ? TL_SEAM_DISK : TL_SEAM_STEP, n, actions[a % 2], 0);
          tl_error err = {0};
          tl_status st = bodies[b].run(&err);
          _exit(tl_fault_disarm() ? 2 : st != TL_OK);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        int code = WEXITSTATUS(status);
        if (code == 0) break;
        if (code == 2) continue; /* a seam without an "after": nothing ended */
        assert_int_equal(code, 99);
        tl_buf text = {0};
        tl_status there = tl_store_get(store, bodies[b].key, 100, &text, NULL, NULL);
        const char *is = there == TL_ENOTFOUND ? "(absent)" : text.data;
        assert_true(!strcmp(is, bodies[b].before) || !strcmp(is, bodies[b].after));
        bool in = !strcmp(is, bodies[b].after);
        tl_buf_deinit(&text);
        /* The next writer is not in the way of what was left behind. */
        tl_error err = {0};
        if (bodies[b].run != body_adopt || !in) assert_int_equal(bodies[b].run(&err), in && bodies[b].run == body_absent ? TL_ECONFLICT : TL_OK);
        expect_text(bodies[b].key, "new");
      }
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
      T(what_was_put_is_there), T(what_is_not_there_is_said), T(a_limit_is_kept), T(ranges_end_with_the_object),
      T(absent_is_won_once), T(match_needs_the_version_read), T(an_etag_never_comes_back),
      T(names_that_leave_the_base_are_refused), T(awkward_names_are_literal), T(a_list_is_in_the_order_of_the_keys),
      T(a_list_can_be_stopped), T(files_aside_show_only_when_asked), T(a_ring_of_links_ends),
      T(a_file_is_copied_in_and_out), T(adopting_moves_and_never_replaces), T(addresses),
      T(absent_has_one_winner_among_processes), T(match_loses_no_write), T(every_fault_leaves_whole_files),
      T(a_crash_at_any_call_leaves_whole_files)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
