/* settings.ini: which file counts, what it says, where each value came from, and how keys stay secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/log.h"
#include "config/settings.h"

static char folder[] = "/tmp/tl-settings-XXXXXX";

static void write_file(const char *path, const char *text, mode_t mode) {
  unlink(path); /* the one before may have been read-only */
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
  assert_int_equal(chmod(path, mode), 0);
}

static tl_settings *open_text(const char *text) {
  tl_settings *s = NULL;
  tl_error err = {0};
  write_file("t.ini", text, 0600);
  if (tl_settings_open("t.ini", &s, &err)) fail_msg("%s", err.message);
  return s;
}

static void expect(const tl_settings *s, const char *section, const char *key, const char *want) {
  const char *got = tl_settings_get(s, section, key);
  if (want) assert_string_equal(got ? got : "(none)", want);
  else assert_null(got);
}

static void a_file_is_read_as_people_write_it(void **state) {
  (void)state;
  char longest[3000], text[4000];
  memset(longest, 'y', sizeof longest);
  longest[sizeof longest - 1] = 0;
  snprintf(text, sizeof text,
           "\xEF\xBB\xBFtrading_timezone = America/New_York\r\n"
           "# a comment\r\n"
           "; another\n"
           "\n"
           "[linux]\n"
           "local_storage_dir = /data/my lake   ; where it lies\n"
           "  api_threads:12\n"
           "[ MacOS ] # both cases\n"
           "LOCAL_STORAGE_DIR = \"/Users/x/a;b\"\n"
           "[s3]\n"
           "endpoint = http://minio:9000/a=b\n"
           "region =\n"
           "session_token = %s\n"
           "[alpaca]\n"
           "feed = ${TL_TEST_FEED}\n"
           "rate = ${TL_TEST_UNSET}\n"
           "key = cmd:a ; b",
           longest);
  setenv("TL_TEST_FEED", "iex", 1);
  tl_settings *s = open_text(text);
  expect(s, "linux", "local_storage_dir", "/data/my lake");
  expect(s, "linux", "api_threads", "12");
  expect(s, "macos", "local_storage_dir", "/Users/x/a;b");
  expect(s, "Windows", "local_storage_dir", NULL);
  expect(s, "s3", "endpoint", "http://minio:9000/a=b");
  expect(s, "s3", "region", NULL);
  expect(s, "s3", "session_token", longest);
  expect(s, "alpaca", "feed", "iex");
  expect(s, "alpaca", "rate", NULL);
  expect(s, "alpaca", "key", "cmd:a ; b");
  expect(s, NULL, "trading_timezone", "America/New_York");
  char where[64];
  tl_settings_where(s, "linux", "api_threads", where, sizeof where);
  assert_string_equal(where, "t.ini:7");
  tl_settings_where(s, NULL, "trading_timezone", where, sizeof where);
  assert_string_equal(where, "t.ini:1");
  tl_settings_where(s, "linux", "endpoint", where, sizeof where);
  assert_string_equal(where, "");
  tl_settings_close(s);
}

static void mistakes_name_file_and_line(void **state) {
  (void)state;
  static const struct { const char *text, *error; } table[] = {
      {"[linux]\nlocal_storage_dir\n", "t.ini:2: neither a [section] nor a key = value"},
      {"\n\n= x\n", "t.ini:3: neither a [section] nor a key = value"},
      {"[linux\napi_threads = 3\n", "t.ini:1: a section is written [name]"},
      {"[linux] x\n", "t.ini:1: a section is written [name]"},
      {"[linux]\napi_threads = 3\n[macos]\napi_threads = 3\n[Linux]\nAPI_threads = 4\n", "t.ini:6: 'API_threads' is set in line 2 already"},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tl_settings *s = NULL;
    tl_error err = {0};
    write_file("t.ini", table[i].text, 0644);
    assert_int_equal(tl_settings_open("t.ini", &s, &err), TL_EUSAGE);
    assert_string_equal(err.message, table[i].error);
  }
  tl_settings *s = NULL;
  tl_error err = {0};
  FILE *file = fopen("t.ini", "w");
  fwrite("[a]\0b", 1, 5, file);
  fclose(file);
  assert_int_equal(tl_settings_open("t.ini", &s, &err), TL_EUSAGE);
  assert_int_equal(tl_settings_open("absent.ini", &s, &err), TL_ENOTFOUND);
  assert_int_equal(tl_settings_open(folder, &s, &err), TL_EUSAGE);
  assert_int_equal(truncate("t.ini", 2 << 20), 0);
  assert_int_equal(tl_settings_open("t.ini", &s, &err), TL_EUSAGE);
}

static void unknown_words_are_warned_of_with_the_nearest_known(void **state) {
  (void)state;
  assert_int_equal(tl_log_open_file("log", NULL), TL_OK);
  tl_settings_close(open_text("[linux]\napi_thread = 3\n[alpca]\nfeed = iex\n[polygon]\nzzzzzz = 1\n[s3]\nregion = x\ntrading_timezone = x\n"));
  tl_log_open_file(NULL, NULL);
  static char text[4096];
  FILE *file = fopen("log", "r");
  text[fread(text, 1, sizeof text - 1, file)] = 0;
  fclose(file);
  assert_non_null(strstr(text, "t.ini:2: unknown key 'api_thread' of [linux] is ignored; did you mean 'api_threads'?"));
  assert_non_null(strstr(text, "t.ini:4: unknown section [alpca] is ignored; did you mean [alpaca]?"));
  assert_non_null(strstr(text, "t.ini:6: unknown key 'zzzzzz' of [polygon] is ignored\n"));
  assert_null(strstr(text, "region"));
  assert_null(strstr(text, "timezone"));
}

static void the_first_file_found_counts_and_no_other(void **state) {
  (void)state;
  setenv("XDG_CONFIG_HOME", folder, 1);
  tl_settings *s = NULL;
  assert_int_equal(tl_settings_open(NULL, &s, NULL), TL_OK);
  assert_string_equal(tl_settings_file(s), "");
  expect(s, "linux", "api_threads", NULL);
  tl_settings_close(s);
  assert_int_equal(mkdir("ticklake", 0755) | mkdir("config", 0755), 0);
  static const struct { const char *path, *threads; } places[] = {{"ticklake/settings.ini", "1"}, {"config/config.ini", "2"}, {"settings.ini", "3"}};
  for (int i = 0; i < 3; i++) { /* each is before the ones that are there already */
    char text[80];
    snprintf(text, sizeof text, "[linux]\napi_threads = %s\n%s", places[i].threads, i ? "" : "local_storage_dir = /only/here\n");
    write_file(places[i].path, text, 0644);
    assert_int_equal(tl_settings_open(NULL, &s, NULL), TL_OK);
    assert_non_null(strstr(tl_settings_file(s), places[i].path));
    expect(s, "linux", "api_threads", places[i].threads);
    expect(s, "linux", "local_storage_dir", i ? NULL : "/only/here"); /* never merged */
    tl_settings_close(s);
  }
  unlink("settings.ini");
  unlink("config/config.ini");
  unsetenv("XDG_CONFIG_HOME");
  setenv("HOME", folder, 1);
  assert_int_equal(mkdir(".config", 0755) | mkdir(".config/ticklake", 0755), 0);
  write_file(".config/ticklake/settings.ini", "[linux]\napi_threads = 9\n", 0644);
  assert_int_equal(tl_settings_open(NULL, &s, NULL), TL_OK);
  expect(s, "linux", "api_threads", "9");
  tl_settings_close(s);
}

static void the_running_system_picks_the_section(void **state) {
  (void)state;
  static const struct { const char *named, *system; } table[] = {{NULL, "linux"}, {"", "linux"}, {"macos", "macos"}, {"Windows", "windows"}, {"beos", NULL}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    if (table[i].named) setenv("TICKLAKE_OS", table[i].named, 1);
    tl_settings *s = NULL;
    tl_error err = {0};
    write_file("t.ini", "", 0644);
    assert_int_equal(tl_settings_open("t.ini", &s, &err), table[i].system ? TL_OK : TL_EUSAGE);
    if (s) assert_string_equal(tl_settings_system(s), table[i].system);
    else assert_non_null(strstr(err.message, "'beos'"));
    tl_settings_close(s);
  }
  unsetenv("TICKLAKE_OS");
}

/* ---- secrets ---- */
static const char *const names[] = {"api_key", "key", NULL};

static tl_status ask(const char *text, mode_t mode, const char *variable, char *secret, tl_error *err) {
  tl_settings *s = NULL;
  tl_keep *kept = NULL;
  write_file("t.ini", text, mode);
  tl_status st = tl_settings_open("t.ini", &s, err);
  if (!st) st = tl_settings_secret(s, variable, "alpaca", names, &kept, err);
  snprintf(secret, 200, "%s", kept ? tl_keep_data(kept) : "(none)");
  tl_keep_close(kept);
  tl_settings_close(s);
  return st;
}

static void a_secret_comes_from_where_the_file_points(void **state) {
  (void)state;
  write_file("mine", "file-secret \nsecond line\n", 0600);
  write_file("ours", "shared-secret\n", 0640);
  write_file("empty", "\n", 0600);
  setenv("TL_TEST_KEY", "  env-secret\n", 1);
  unsetenv("TL_TEST_NONE");
  static const struct { const char *value; mode_t mode; const char *variable, *secret, *error; } table[] = {
      {"api_key = typed-secret", 0600, NULL, "typed-secret", NULL},
      {"key = typed-secret", 0400, NULL, "typed-secret", NULL},
      {"api_key = typed-secret", 0644, NULL, NULL, "run: chmod 600 't.ini'"},
      {"api_key = typed-secret", 0640, NULL, NULL, "run: chmod 600 't.ini'"},
      {"api_key = typed-secret", 0604, NULL, NULL, "run: chmod 600 't.ini'"},
      {"api_key = typed-secret", 0644, "TL_TEST_KEY", "env-secret", NULL}, /* the environment wins */
      {"api_key = typed-secret", 0600, "TL_TEST_NONE", "typed-secret", NULL},
      {"", 0644, NULL, "(none)", NULL},
      {"api_key =", 0644, NULL, "(none)", NULL},
      {"api_key = ${TL_TEST_KEY}", 0644, NULL, "env-secret", NULL}, /* a reference is no secret */
      {"api_key = ${TL_TEST_NONE}", 0644, NULL, NULL, "t.ini:2: the variable 'TL_TEST_NONE' is not set"},
      {"api_key = file:mine", 0644, NULL, "file-secret", NULL},
      {"api_key = file:ours", 0644, NULL, NULL, "run: chmod 600 'ours'"},
      {"api_key = file:absent", 0644, NULL, NULL, "t.ini:2: there is no file 'absent'"},
      {"api_key = file:empty", 0644, NULL, NULL, "t.ini:2: the key is empty"},
      {"api_key = cmd:printf 'cmd-secret\\nmore'", 0644, NULL, "cmd-secret", NULL},
      {"api_key = cmd:cat; echo from-nowhere", 0644, NULL, "from-nowhere", NULL}, /* it gets no input */
      {"api_key = cmd:echo half; exit 3", 0644, NULL, NULL, "t.ini:2: the command that should print the key failed with exit code 3"},
      {"api_key = cmd:kill -9 $$", 0644, NULL, NULL, "signal 9"},
      {"api_key = cmd:true", 0644, NULL, NULL, "t.ini:2: the key is empty"},
      {"api_key = cmd:yes | tr -d '\\n'", 0644, NULL, NULL, "longer than 4096 bytes"},
      {"api_key = aws-sm:name", 0644, NULL, NULL, "aws secretsmanager"},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    char text[200], secret[200];
    tl_error err = {0};
    snprintf(text, sizeof text, "[alpaca]\n%s\n", table[i].value);
    tl_status st = ask(text, table[i].mode, table[i].variable, secret, &err);
    if (table[i].secret && (st || strcmp(secret, table[i].secret) != 0)) fail_msg("%s: '%s' %s", table[i].value, secret, err.message);
    if (!table[i].secret && (st != TL_EUSAGE || !strstr(err.message, table[i].error))) fail_msg("%s: %d %s", table[i].value, (int)st, err.message);
    static const char *const secrets[] = {"typed-secret", "env-secret", "file-secret", "shared-secret", "cmd-secret"};
    for (size_t k = 0; k < 5; k++) assert_null(strstr(err.message, secrets[k]));
  }
  char shown[64] = "it is typed-secret, then";
  tl_log_redact(shown);
  assert_string_equal(shown, "it is ************, then");
  tl_log_close();
}

static void a_hardened_process_leaves_no_core(void **state) {
  (void)state;
  tl_settings_harden();
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
  assert_int_equal(limit.rlim_cur, 0);
  assert_int_equal(limit.rlim_max, 0);
  assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
}

static void kept_memory_is_wiped_and_counted(void **state) {
  (void)state;
  int64_t before = tl_alloc_live();
  tl_keep *keep = tl_keep_text("abc", 3);
  assert_string_equal(tl_keep_data(keep), "abc");
  assert_int_equal(tl_keep_size(keep), 4);
  assert_int_equal(tl_alloc_live(), before + 1);
  tl_keep_close(keep);
  tl_keep_close(NULL);
  assert_null(tl_keep_data(NULL));
  assert_int_equal(tl_alloc_live(), before);
}

static void every_disk_or_memory_fault_is_a_clean_error(void **state) {
  (void)state;
  static const tl_seam seams[] = {TL_SEAM_DISK, TL_SEAM_ALLOC};
  write_file("settings.ini", "[alpaca]\napi_key = file:mine\nfeed = iex\n", 0600);
  write_file("mine", "file-secret\n", 0600);
  for (int i = 0; i < 2; i++)
    for (long n = 1;; n++) {
      tl_settings *s = NULL;
      tl_keep *kept = NULL;
      tl_error err = {0};
      tl_fault_arm(seams[i], n, TL_FAULT_ERROR, EIO);
      tl_status st = tl_settings_open(NULL, &s, &err);
      if (!st) st = tl_settings_secret(s, NULL, "alpaca", names, &kept, &err);
      bool fired = tl_fault_disarm();
      assert_int_equal(fired, st != TL_OK);
      if (st) assert_true(err.message[0] && !kept);
      else assert_string_equal(tl_keep_data(kept), "file-secret");
      tl_keep_close(kept);
      tl_settings_close(s);
      tl_log_close();
      assert_int_equal(tl_alloc_live(), 0);
      if (!fired) break;
      assert_true(n < 100);
    }
  unlink("settings.ini");
}

int main(void) {
  if (!mkdtemp(folder) || chdir(folder)) return 1;
  tl_log_set_level(TL_LOG_ERROR, TL_LOG_INFO);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_file_is_read_as_people_write_it),
      cmocka_unit_test(mistakes_name_file_and_line),
      cmocka_unit_test(unknown_words_are_warned_of_with_the_nearest_known),
      cmocka_unit_test(the_first_file_found_counts_and_no_other),
      cmocka_unit_test(the_running_system_picks_the_section),
      cmocka_unit_test(a_secret_comes_from_where_the_file_points),
      cmocka_unit_test(kept_memory_is_wiped_and_counted),
      cmocka_unit_test(every_disk_or_memory_fault_is_a_clean_error),
      cmocka_unit_test(a_hardened_process_leaves_no_core), /* last: it stays so */
  };
  int failed = cmocka_run_group_tests_name("config/settings", tests, NULL, NULL);
  char command[64];
  snprintf(command, sizeof command, "rm -r %s", folder);
  return system(command) || failed;
}
