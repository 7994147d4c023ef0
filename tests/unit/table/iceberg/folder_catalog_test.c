/* folder_catalog_test.c - which metadata file is the newest, whatever the hint says; writers at once; holes; tables that moved or
 * belong to a catalog. The truth: the folder as the test leaves it. */
#include <errno.h>
#include <sys/wait.h>

#include "base/fault.h"
#include "iceberg_table.h"
#include "table/iceberg/iceberg_log.h"

static void set_hint(table *t, const char *text) { /* NULL: none */
  const char *key = "metadata/version-hint.text";
  assert_int_equal(text ? tl_store_put(t->store, key, text, strlen(text), TL_PUT_ANY, NULL, NULL, NULL) : tl_store_delete(t->store, key, NULL), TL_OK);
}

static void assert_hint(table *t, const char *expected) {
  tl_buf text = {0};
  assert_int_equal(tl_store_get(t->store, "metadata/version-hint.text", 100, &text, NULL, NULL), TL_OK);
  assert_string_equal(text.data, expected);
  tl_buf_deinit(&text);
}

static void the_hint_is_no_truth_and_is_put_right(void **state) {
  (void)state;
  const char *hints[] = {"1", "2", "3\n", "4", "5", "99", "", "x", "-3", NULL};
  for (size_t i = 0; i < COUNT(hints); i++) {
    table t;
    table_open(&t, NULL);
    table_create(&t);
    append(&t, "a", "AAPL", "2024-01", 1);
    append(&t, "b", "AAPL", "2024-01", 1);
    append(&t, "c", "AAPL", "2024-01", 1);
    assert_hint(&t, "4");
    set_hint(&t, hints[i]);
    assert_live(&t, "a b c");
    assert_hint(&t, "4");
    set_hint(&t, hints[i]);
    append(&t, "d", "AAPL", "2024-01", 1);
    assert_live(&t, "a b c d");
    assert_hint(&t, "5");
    table_close(&t, true);
  }
}

static void numbers_of_metadata_files(void **state) {
  (void)state;
  const struct { const char *key; int number; } cases[] = {
    {"metadata/v1.metadata.json", 1}, {"metadata/v12.gz.metadata.json", 12}, {"metadata/v3.metadata.json.gz", 3}, {"metadata/v.metadata.json", -1},
    {"metadata/v1.metadata.jso", -1}, {"metadata/v1x.metadata.json", -1}, {"metadata/", -1}, {"m", -1}, {"metadata/v1", -1},
    {"data/v1.metadata.json", -1}, {"metadata/v-1.metadata.json", -1}, {"metadata/v99999999999999999999.metadata.json", -1},
  };
  for (size_t i = 0; i < COUNT(cases); i++) assert_int_equal(tl_iceberg_folder_number(cases[i].key), cases[i].number);
}

/* The bytes of v1 under another name. */
static void copy_metadata(table *t, const char *from, const char *to) {
  tl_buf text = {0};
  assert_int_equal(tl_store_get(t->store, from, 1 << 20, &text, NULL, NULL), TL_OK);
  assert_int_equal(tl_store_put(t->store, to, text.data, text.len, TL_PUT_ANY, NULL, NULL, NULL), TL_OK);
  tl_buf_deinit(&text);
}

static void a_table_of_a_catalog_is_read_only(void **state) {
  (void)state;
  table t;
  tl_error err = {0};
  tl_snapshot *s = NULL;
  table_open(&t, NULL);
  table_create(&t);
  append(&t, "a", "AAPL", "2024-01", 1);
  copy_metadata(&t, "metadata/v1.metadata.json", "metadata/00000-aa.metadata.json");
  copy_metadata(&t, "metadata/v2.metadata.json", "metadata/00001-bb.metadata.json");
  assert_int_equal(tl_store_delete(t.store, "metadata/v1.metadata.json", NULL), TL_OK);
  assert_int_equal(tl_store_delete(t.store, "metadata/v2.metadata.json", NULL), TL_OK);
  set_hint(&t, NULL);
  s = table_load(&t);
  assert_files(s, "a");
  assert_non_null(strstr(s->unwritable, "catalog"));
  const char *remove = "a";
  assert_int_equal(commit(&t, s, &(tl_edit){.operation = "DELETE", .removes = &remove, .remove_count = 1}, NULL, &err), TL_EUSAGE);
  tl_snapshot_close(s);
  copy_metadata(&t, "metadata/00000-aa.metadata.json", "metadata/00001-cc.metadata.json");
  assert_int_equal(tl_format_iceberg.load(t.log, (tl_at){.kind = TL_AT_LATEST}, &s, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "two metadata files of number 1"));
  table_close(&t, true);
}

static void a_moved_table_is_read_only_and_a_linked_one_is_not(void **state) {
  (void)state;
  table t, moved;
  char to[80], link_path[80];
  table_open(&t, NULL);
  table_create(&t);
  append(&t, "a", "AAPL", "2024-01", 1);
  snprintf(link_path, sizeof link_path, "%.60s-l", t.folder);
  assert_int_equal(symlink(t.folder, link_path), 0);
  table_open(&moved, link_path);
  append(&moved, "b", "AAPL", "2024-01", 1);
  assert_live(&moved, "a b");
  table_close(&moved, false);
  unlink(link_path);
  tl_format_iceberg.close(t.log);
  tl_store_close(t.store);
  snprintf(to, sizeof to, "%.60s-m", t.folder);
  assert_int_equal(rename(t.folder, to), 0);
  table_open(&moved, to);
  tl_snapshot *s = table_load(&moved);
  assert_files(s, "a b"); /* named as below the old place, read here */
  assert_non_null(strstr(s->unwritable, "moved"));
  tl_snapshot_close(s);
  table_close(&moved, true);
}

/* A writer slept through more than a hundred commits: the place of its version was deleted, and its put wins there. */
static void a_commit_into_a_hole_is_taken_back(void **state) {
  (void)state;
  table t, sleeper;
  tl_iceberg_state old = {0};
  int64_t number;
  bool unknown;
  tl_error err = {0};
  char name[16];
  table_open(&t, NULL);
  table_create(&t);
  table_open(&sleeper, t.folder);
  assert_int_equal(tl_iceberg_state_load(sleeper.log, &old, NULL), TL_OK);
  assert_int_equal(old.number, 1);
  for (int i = 0; i < 104; i++) {
    snprintf(name, sizeof name, "f%03d", i);
    append(&t, name, "AAPL", "2024-01", 1);
  }
  tl_pair pair = {(char *)(uintptr_t)"k", (char *)(uintptr_t)"v"};
  const tl_iceberg_change change = {.properties = &pair, .property_count = 1, .now_ms = 5};
  assert_int_equal(tl_iceberg_state_commit(sleeper.log, &old, &change, &number, &unknown, &err), TL_ECONFLICT);
  assert_false(unknown);
  tl_store_info info;
  assert_int_equal(tl_store_stat(t.store, "metadata/v2.metadata.json", &info, NULL), TL_ENOTFOUND);
  tl_snapshot *s = table_load(&t);
  assert_int_equal(s->file_count, 104);
  tl_snapshot_close(s);
  tl_iceberg_state_deinit(&old);
  table_close(&sleeper, false);
  table_close(&t, true);
}

enum { WRITERS = 6, COMMITS = 25 };

static void write_many(const char *folder, int writer) { /* a process of its own */
  table t;
  table_open(&t, folder);
  for (int i = 0; i < COMMITS; i++) {
    char path[40];
    snprintf(path, sizeof path, "w%d-%02d", writer, i);
    append(&t, path, "AAPL", "2024-01", 1);
  }
  table_close(&t, false);
}

static void writers_at_once_lose_nothing(void **state) {
  (void)state;
  table t;
  pid_t children[WRITERS];
  table_open(&t, NULL);
  table_create(&t);
  for (int w = 0; w < WRITERS; w++) {
    children[w] = fork();
    if (children[w] == 0) {
      write_many(t.folder, w);
      _exit(0);
    }
  }
  for (int w = 0; w < WRITERS; w++) {
    int status = 0;
    assert_int_equal(waitpid(children[w], &status, 0), children[w]);
    assert_int_equal(status, 0);
  }
  tl_snapshot *s = table_load(&t);
  assert_int_equal(s->file_count, WRITERS * COMMITS);
  assert_int_equal(s->sequence, 1 + WRITERS * COMMITS); /* one version each, none skipped */
  char text[16];
  snprintf(text, sizeof text, "%d", 1 + WRITERS * COMMITS);
  assert_hint(&t, text);
  size_t at = 0;
  for (int w = 0; w < WRITERS; w++)
    for (int i = 0; i < COMMITS; i++) {
      char path[40];
      snprintf(path, sizeof path, "w%d-%02d", w, i);
      assert_string_equal(s->files[at++].path, path);
    }
  tl_snapshot_close(s);
  table_close(&t, true);
}

#ifdef TL_FAULTS
/* A process that ends at each named step of a commit: readers see the version before or after it, and the next commit works. */
static void a_crash_at_any_step_leaves_a_whole_table(void **state) {
  (void)state;
  bool crashed = true;
  for (long step = 1; crashed; step++) {
    table t;
    table_open(&t, NULL);
    table_create(&t);
    append(&t, "a", "AAPL", "2024-01", 1);
    pid_t child = fork();
    if (child == 0) {
      table mine;
      table_open(&mine, t.folder);
      tl_fault_arm(TL_SEAM_STEP, step, TL_FAULT_EXIT_BEFORE, 0);
      append(&mine, "b", "AAPL", "2024-01", 1);
      _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    crashed = WIFEXITED(status) && WEXITSTATUS(status) == 99;
    assert_true(crashed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    tl_snapshot *s = table_load(&t);
    assert_true(s->file_count == 1 || s->file_count == 2);
    bool there = s->file_count == 2;
    tl_snapshot_close(s);
    append(&t, "c", "AAPL", "2024-01", 1);
    assert_live(&t, there ? "a b c" : "a c");
    table_close(&t, true);
    assert_true(step < 100);
    if (!crashed) assert_true(step > 3); /* there were steps */
  }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_hint_is_no_truth_and_is_put_right),
    cmocka_unit_test(numbers_of_metadata_files),
    cmocka_unit_test(a_table_of_a_catalog_is_read_only),
    cmocka_unit_test(a_moved_table_is_read_only_and_a_linked_one_is_not),
    cmocka_unit_test(a_commit_into_a_hole_is_taken_back),
    cmocka_unit_test(writers_at_once_lose_nothing),
#ifdef TL_FAULTS
    cmocka_unit_test(a_crash_at_any_step_leaves_a_whole_table),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
