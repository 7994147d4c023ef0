/* Where S3 is and who we are there: each place, which goes first, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/io.h"
#include "config/aws.h"

static char folder[] = "/tmp/tl-aws-XXXXXX";
static const char *const variables[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
                                        "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"};

static int begin_all(void **state) {
  (void)state;
  return mkdtemp(folder) ? chdir(folder) : -1;
}

static int end_all(void **state) {
  (void)state;
  char command[100];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return chdir("/") || system(command);
}

static int begin(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) unsetenv(variables[i]);
  unlink(".aws/credentials");
  unlink(".aws/config");
  return setenv("HOME", folder, 1);
}

static void write_text(const char *path, const char *text) {
  assert_int_equal(tl_io_replace(path, text, strlen(text), NULL), TL_OK);
  assert_int_equal(chmod(path, 0600), 0);
}

static tl_settings *settings_of(const char *text) {
  tl_settings *s = NULL;
  tl_error err = {0};
  write_text("t.ini", text);
  if (tl_settings_open("t.ini", &s, &err)) fail_msg("%s", err.message);
  return s;
}

typedef struct expected {
  const char *id, *secret, *token, *region, *endpoint;
  bool path_style, allow_http;
} expected;

static void expect(const char *settings_text, expected want) {
  tl_settings *s = settings_text ? settings_of(settings_text) : NULL;
  tl_aws aws;
  tl_error err = {0};
  if (tl_aws_read(s, &aws, &err)) fail_msg("%s", err.message);
  assert_string_equal(tl_keep_data(aws.access_key), want.id);
  assert_string_equal(tl_keep_data(aws.secret_key), want.secret);
  if (want.token) assert_string_equal(tl_keep_data(aws.session_token), want.token);
  else assert_null(aws.session_token);
  assert_string_equal(aws.region, want.region);
  assert_string_equal(aws.endpoint, want.endpoint);
  assert_int_equal(aws.path_style, want.path_style);
  assert_int_equal(aws.allow_http, want.allow_http);
  tl_aws_deinit(&aws);
  tl_aws_deinit(&aws);
  tl_settings_close(s);
}

static void expect_refused(const char *settings_text, const char *words) {
  tl_settings *s = settings_text ? settings_of(settings_text) : NULL;
  tl_aws aws;
  tl_error err = {0};
  assert_int_equal(tl_aws_read(s, &aws, &err), TL_EUSAGE);
  if (!strstr(err.message, words)) fail_msg("'%s' lacks '%s'", err.message, words);
  assert_null(strstr(err.message, "canary"));
  assert_null(aws.access_key);
  tl_settings_close(s);
}

static void set(const char *name, const char *value) { assert_int_equal(setenv(name, value, 1), 0); }

static void environment_alone(void **state) {
  (void)state;
  set("AWS_ACCESS_KEY_ID", "env-id");
  set("AWS_SECRET_ACCESS_KEY", "env-secret");
  expect(NULL, (expected){"env-id", "env-secret", NULL, "us-east-1", "", false, false});
  set("AWS_SESSION_TOKEN", "env-token");
  set("AWS_DEFAULT_REGION", "r-default");
  set("AWS_ENDPOINT_URL", "https://all");
  expect(NULL, (expected){"env-id", "env-secret", "env-token", "r-default", "https://all", true, false});
  set("AWS_REGION", "r-first");
  set("AWS_ENDPOINT_URL_S3", "https://s3-only");
  expect(NULL, (expected){"env-id", "env-secret", "env-token", "r-first", "https://s3-only", true, false});
  set("AWS_SESSION_TOKEN", ""); /* empty is not set */
  expect(NULL, (expected){"env-id", "env-secret", NULL, "r-first", "https://s3-only", true, false});
}

static void settings_come_second(void **state) {
  (void)state;
  static const char text[] = "[s3]\naccess_key = ini-id\nsecret_key = ini-secret\nsession_token = ini-token\nregion = ini-region\nendpoint = http://ini:9000\npath_style = no\nallow_http = yes\n";
  expect(text, (expected){"ini-id", "ini-secret", "ini-token", "ini-region", "http://ini:9000", false, true});
  expect("[s3]\naccess_key_id = ini-id\nsecret_access_key = ini-secret\n", (expected){"ini-id", "ini-secret", NULL, "us-east-1", "", false, false});
  set("AWS_ACCESS_KEY_ID", "env-id"); /* a set is never mixed of two places */
  set("AWS_SECRET_ACCESS_KEY", "env-secret");
  set("AWS_REGION", "env-region");
  expect(text, (expected){"env-id", "env-secret", NULL, "env-region", "http://ini:9000", false, true});
}

static void profiles_come_third(void **state) {
  (void)state;
  write_text(".aws/credentials", "\n# c\n; c\n[default]\naws_access_key_id=p-id\r\naws_secret_access_key = p-secret\n[ other ]\naws_access_key_id = o-id\naws_secret_access_key = o/se=cret+\naws_session_token = o-token\n");
  write_text(".aws/config", "[default]\nregion = p-region\n\n[profile other]\nregion = o-region\ns3 =\n    endpoint_url = https://o-s3\n    addressing_style = virtual\noutput = json\n"
                            "cli =\n    region = not-this\n[profile default2]\nregion = wrong\n[other]\nregion = wrong\n");
  expect(NULL, (expected){"p-id", "p-secret", NULL, "p-region", "", false, false});
  set("AWS_PROFILE", "other");
  expect(NULL, (expected){"o-id", "o/se=cret+", "o-token", "o-region", "https://o-s3", false, false});
  expect("[s3]\naccess_key = ini-id\nsecret_key = ini-secret\n", (expected){"ini-id", "ini-secret", NULL, "o-region", "https://o-s3", false, false});
  expect("[s3]\npath_style = true\n", (expected){"o-id", "o/se=cret+", "o-token", "o-region", "https://o-s3", true, false});
  rename(".aws/credentials", "moved");
  set("AWS_SHARED_CREDENTIALS_FILE", "moved");
  set("AWS_CONFIG_FILE", "nowhere");
  expect(NULL, (expected){"o-id", "o/se=cret+", "o-token", "us-east-1", "", false, false});
}

static void what_cannot_work_is_said(void **state) {
  (void)state;
  expect_refused(NULL, "AWS_ACCESS_KEY_ID");
  expect_refused("[s3]\nregion = x\n", "there are no S3 keys");
  expect_refused("[s3]\naccess_key = x\n", "secret_key");
  expect_refused("[s3]\nsecret_key = canary\n", "access_key");
  expect_refused("[s3]\npath_style = perhaps\n", "t.ini:2");
  expect_refused("[s3]\ntimeout = 1.5\n", "t.ini:2");
  write_text(".aws/credentials", "[half]\naws_access_key_id = x\n[otherhalf]\naws_secret_access_key = canary\n[empty]\n");
  write_text(".aws/config", "[profile r]\nrole_arn = arn:aws:iam::1:role/x\n[profile c]\ncredential_process = /bin/x\n[profile s]\nsso_session = x\n");
  static const struct { const char *profile, *words; } table[] = {{"half", "aws_secret_access_key"}, {"otherhalf", "aws_access_key_id"}, {"empty", "there are no S3 keys"},
                                                                  {"r", "role_arn"}, {"c", "credential_process"}, {"s", "sso_session"}, {"absent", "'absent' stands in neither"}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    set("AWS_PROFILE", table[i].profile);
    expect_refused(NULL, table[i].words);
  }
  set("AWS_ACCESS_KEY_ID", "x");
  expect_refused(NULL, "AWS_SECRET_ACCESS_KEY");
  unsetenv("AWS_ACCESS_KEY_ID");
  set("AWS_SECRET_ACCESS_KEY", "canary");
  expect_refused(NULL, "AWS_ACCESS_KEY_ID");
}

static void memory_may_run_out_anywhere(void **state) {
  (void)state;
  write_text(".aws/credentials", "[default]\naws_access_key_id=p-id\naws_secret_access_key = p-secret\naws_session_token = p-token\n");
  write_text(".aws/config", "[default]\nregion = p-region\n");
  tl_aws aws;
  assert_int_equal(tl_aws_read(NULL, &aws, NULL), TL_OK); /* the log remembers its secrets from now on */
  tl_aws_deinit(&aws);
  bool fired = true;
  for (long n = 1; fired; n++) {
    int64_t live = tl_alloc_live();
    tl_error err = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = tl_aws_read(NULL, &aws, &err);
    fired = tl_fault_disarm();
    assert_int_equal(st, fired ? TL_ENOMEM : TL_OK);
    tl_aws_deinit(&aws);
    assert_true(tl_alloc_live() == live);
  }
}

int main(void) {
#define T(name) cmocka_unit_test_setup(name, begin)
  const struct CMUnitTest tests[] = {T(environment_alone), T(settings_come_second), T(profiles_come_third), T(what_cannot_work_is_said), T(memory_may_run_out_anywhere)};
  return cmocka_run_group_tests(tests, begin_all, end_all);
}
