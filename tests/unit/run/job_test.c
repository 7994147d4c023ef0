/* job_test.c - what an import does: options over the environment over settings over defaults; and what is refused, by
 * name. */
#include "run/job.h"

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
#include "base/clock.h"
#include "base/fault.h"

#define NOON (INT64_C(1709314200) * TL_NS_PER_S) /* 2024-03-01T17:30:00Z */

static char folder[64], settings[96], lists[96];

static int make_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/tl-job-XXXXXX");
  if (!mkdtemp(folder)) return 1;
  snprintf(settings, sizeof settings, "%s/settings.ini", folder);
  snprintf(lists, sizeof lists, "%s/list.txt", folder);
  static const char *const names[] = {"TICKLAKE_LAKE", "TICKLAKE_ALPACA_ENDPOINT", "APCA_API_KEY_ID", "APCA_API_SECRET_KEY"};
  for (size_t i = 0; i < 4; i++) unsetenv(names[i]);
  setenv("TICKLAKE_OS", "linux", 1);
  tl_clock_fake_start(NOON);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  tl_clock_fake_stop();
  unlink(settings);
  unlink(lists);
  return rmdir(folder);
}

static void put_settings(const char *text) {
  FILE *f = fopen(settings, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
  chmod(settings, 0600);
}

static tl_import_options minute_bars(void) {
  return (tl_import_options){.size = sizeof(tl_import_options), .kind = "1m", .symbols = "AAPL,MSFT", .start = "2024-02-01",
                             .end = "2024-02-02", .endpoint = "http://127.0.0.1:1", .retries = -1};
}

typedef struct scene {
  tl_run_lake lake;
  tl_job job;
} scene;

static tl_status begin(scene *s, const char *text, const tl_import_options *options, tl_error *err) {
  *s = (scene){0};
  put_settings(text);
  tl_status st = tl_run_lake_init(&s->lake, folder, settings, err);
  return st ? st : tl_job_init(&s->job, &s->lake, options, err);
}

static void must_begin(scene *s, const char *text, const tl_import_options *options) {
  tl_error err = {0};
  if (begin(s, text, options, &err)) fail_msg("%s", err.message);
}

static void end(scene *s) {
  tl_job_deinit(&s->job);
  tl_run_lake_deinit(&s->lake);
}

static void nothing_said_means_the_defaults(void **state) {
  (void)state;
  scene s;
  tl_import_options o = minute_bars();
  must_begin(&s, "", &o);
  assert_string_equal(s.job.provider->name, "alpaca");
  assert_string_equal(s.job.kind.dataset.name, "equities_1min");
  assert_int_equal(s.job.symbols.count, 2);
  assert_true(s.job.range.start_ns == INT64_C(1706763600) * TL_NS_PER_S); /* 2024-02-01 in New York */
  assert_true(s.job.range.end_ns == INT64_C(1706936400) * TL_NS_PER_S);   /* to the end of 2024-02-02 */
  assert_string_equal(s.job.source.feed, "sip");
  assert_string_equal(s.job.source.adjustment, "raw");
  assert_string_equal(s.job.source.built_from, "bars");
  assert_string_equal(s.job.source.conditions, "");
  assert_int_equal(s.job.conditions, TL_CONDITIONS_SIP);
  assert_int_equal(s.job.on_error, TL_ON_ERROR_QUARANTINE);
  assert_int_equal(s.job.layout, TL_LAYOUT_HIVE);
  assert_false(s.job.layout_given || s.job.plain || s.job.refresh || s.job.allow_http || s.job.rate_fixed);
  assert_int_equal(s.job.threads, 8);
  assert_int_equal(s.job.page_limit, 10000);
  assert_int_equal(s.job.pages_per_unit, 5);
  assert_int_equal(s.job.rate_per_minute, 200);
  assert_int_equal(s.job.retries, 0); /* fetch's default of 3 */
  assert_true(s.job.memory_max_bytes == 512 << 20);
  assert_true(s.job.look_back_from_ns == INT64_MAX);
  assert_true(s.job.now_ns == NOON && s.job.latest_ns == NOON);
  assert_non_null(s.job.key); /* a simulator takes any */
  end(&s);
}

static void every_option_is_taken_as_said(void **state) {
  (void)state;
  scene s;
  tl_import_options o = minute_bars();
  o.provider = "alpaca";
  o.layout = "flat";
  o.feed = "IEX";
  o.adjustment = "Split,dividend";
  o.asof = "2024-01-31";
  o.currency = "EUR";
  o.partitioning = "plain";
  o.on_error = "skip";
  o.rate = "1000/min";
  o.threads = 3;
  o.retries = 0;
  o.page_limit = 7;
  o.pages_per_unit = 2;
  o.connect_timeout_ms = 5;
  o.read_timeout_ms = 6;
  o.memory_max_bytes = 64 << 20;
  o.refresh = o.allow_http = true;
  must_begin(&s, "", &o);
  assert_int_equal(s.job.layout, TL_LAYOUT_FLAT);
  assert_string_equal(s.job.source.feed, "iex");
  assert_string_equal(s.job.source.adjustment, "split,dividend");
  assert_string_equal(s.job.source.asof, "2024-01-31");
  assert_string_equal(s.job.source.currency, "EUR");
  assert_true(s.job.layout_given && s.job.plain && s.job.refresh && s.job.allow_http && s.job.rate_fixed);
  assert_int_equal(s.job.on_error, TL_ON_ERROR_SKIP);
  assert_int_equal(s.job.rate_per_minute, 1000);
  assert_int_equal(s.job.threads, 3);
  assert_int_equal(s.job.retries, -1); /* none */
  assert_int_equal(s.job.page_limit, 7);
  assert_int_equal(s.job.pages_per_unit, 2);
  assert_true(s.job.connect_timeout_ns == 5 * TL_NS_PER_MS && s.job.read_timeout_ns == 6 * TL_NS_PER_MS);
  assert_true(s.job.memory_max_bytes == 64 << 20);
  end(&s);

  o = minute_bars();
  o.kind = "ticks";
  o.bar = "5s";
  o.conditions = "all";
  o.feed = "delayed_sip";
  o.on_error = "fail";
  o.retries = 7;
  o.asof = "-";
  must_begin(&s, "", &o);
  assert_string_equal(s.job.kind.dataset.name, "equities_5sec");
  assert_int_equal(s.job.conditions, TL_CONDITIONS_ALL);
  assert_string_equal(s.job.source.conditions, "all");
  assert_string_equal(s.job.source.built_from, "trades");
  assert_string_equal(s.job.source.adjustment, "");
  assert_string_equal(s.job.source.asof, "-");
  assert_int_equal(s.job.on_error, TL_ON_ERROR_FAIL);
  assert_int_equal(s.job.retries, 7);
  assert_true(s.job.latest_ns == NOON - INT64_C(16) * 60 * TL_NS_PER_S); /* the delayed feed ends before now */
  end(&s);
}

static void settings_hold_until_the_environment_or_an_option_says_otherwise(void **state) {
  (void)state;
  static const char text[] = "[linux]\napi_threads = 12\nlocal_storage_dir = /from/settings\n"
                             "[alpaca]\nfeed = iex\nrate = 50/min\nendpoint = http://127.0.0.1:2\n"
                             "api_key = KEY-OF-SETTINGS\nsecret_key = SECRET-OF-SETTINGS\n";
  scene s;
  tl_import_options o = minute_bars();
  o.endpoint = NULL;
  must_begin(&s, text, &o);
  assert_string_equal(s.job.source.feed, "iex");
  assert_string_equal(s.job.endpoint.data, "http://127.0.0.1:2");
  assert_int_equal(s.job.threads, 12);
  assert_int_equal(s.job.rate_per_minute, 50);
  assert_true(s.job.rate_fixed);
  assert_string_equal(tl_keep_data(s.job.key), "KEY-OF-SETTINGS");
  assert_string_equal(tl_keep_data(s.job.secret), "SECRET-OF-SETTINGS");
  end(&s);

  setenv("TICKLAKE_ALPACA_ENDPOINT", "http://127.0.0.1:3", 1);
  setenv("APCA_API_KEY_ID", "KEY-OF-ENVIRONMENT", 1);
  must_begin(&s, text, &o);
  assert_string_equal(s.job.endpoint.data, "http://127.0.0.1:3");
  assert_string_equal(tl_keep_data(s.job.key), "KEY-OF-ENVIRONMENT");
  end(&s);

  o.endpoint = "http://127.0.0.1:4";
  o.feed = "otc";
  o.threads = 2;
  o.rate = "9";
  must_begin(&s, text, &o);
  assert_string_equal(s.job.endpoint.data, "http://127.0.0.1:4");
  assert_string_equal(s.job.source.feed, "otc");
  assert_int_equal(s.job.threads, 2);
  assert_int_equal(s.job.rate_per_minute, 9);
  end(&s);

  setenv("TICKLAKE_OS", "macos", 1);
  o.threads = 0;
  must_begin(&s, text, &o);
  assert_int_equal(s.job.threads, 6); /* the [linux] section is not this system's */
  end(&s);
}

static void the_vendors_own_host_is_the_endpoint_of_who_says_nothing(void **state) {
  (void)state;
  scene s;
  tl_import_options o = minute_bars();
  o.endpoint = NULL;
  tl_error err = {0};
  assert_int_equal(begin(&s, "", &o, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "APCA_API_KEY_ID"));
  assert_non_null(strstr(err.message, "ticklake simulate"));
  end(&s);
  must_begin(&s, "[alpaca]\napi_key = a-key\nsecret = a-secret\n", &o);
  assert_string_equal(s.job.endpoint.data, "https://data.alpaca.markets");
  end(&s);
  assert_int_equal(begin(&s, "[alpaca]\napi_key = a-key\n", &o, &err), TL_EUSAGE); /* half a pair */
  end(&s);
}

static void where_the_lake_lies(void **state) {
  (void)state;
  tl_run_lake lake;
  tl_error err = {0};
  put_settings("[linux]\nlocal_storage_dir = /from/settings/\n");
  assert_int_equal(tl_run_lake_init(&lake, NULL, settings, &err), TL_OK);
  assert_string_equal(lake.path, "/from/settings");
  tl_run_lake_deinit(&lake);
  setenv("TICKLAKE_LAKE", "from/environment//", 1);
  assert_int_equal(tl_run_lake_init(&lake, "", settings, &err), TL_OK);
  assert_string_equal(lake.path, "from/environment");
  tl_run_lake_deinit(&lake);
  assert_int_equal(tl_run_lake_init(&lake, "file:///said", settings, &err), TL_OK);
  assert_string_equal(lake.path, "/said");
  tl_run_lake_deinit(&lake);
  assert_int_equal(tl_run_lake_init(&lake, "/", settings, &err), TL_OK);
  assert_string_equal(lake.path, "/");
  tl_run_lake_deinit(&lake);
  static const char *const keys[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE"};
  for (size_t i = 0; i < 3; i++) unsetenv(keys[i]);
  setenv(keys[3], "/no/such/file", 1);
  assert_int_equal(tl_run_lake_init(&lake, "s3://bucket/x", settings, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "AWS_ACCESS_KEY_ID"));
  for (size_t i = 0; i < 2; i++) setenv(keys[i], "a-key-for-a-lake-nobody-asks", 1);
  assert_int_equal(tl_run_lake_init(&lake, "s3://bucket/x/", settings, &err), TL_OK); /* asks nobody yet */
  assert_string_equal(lake.path, "s3://bucket/x");
  tl_run_lake_deinit(&lake);
  for (size_t i = 0; i < 4; i++) unsetenv(keys[i]);
  assert_int_equal(tl_run_lake_init(&lake, "gs://bucket/x", settings, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "gs://bucket/x"));
  assert_int_equal(tl_run_lake_init(&lake, "x", "/no/such/settings.ini", &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "/no/such/settings.ini"));
  unsetenv("TICKLAKE_LAKE");
  put_settings("");
  assert_int_equal(tl_run_lake_init(&lake, NULL, settings, &err), TL_OK);
  assert_string_equal(lake.path, "lake");
  tl_run_lake_deinit(&lake);
}

/* One wrong member each; the message names the word at fault. */
static void what_is_wrong_is_named(void **state) {
  (void)state;
  static const struct {
    size_t member; /* offset of a const char * */
    const char *value, *words;
  } texts[] = {
#define TEXT(member, value, words) {offsetof(tl_import_options, member), value, words}
    TEXT(kind, NULL, "KIND SYMBOLS START END"),
    TEXT(symbols, NULL, "KIND SYMBOLS START END"),
    TEXT(start, NULL, "KIND SYMBOLS START END"),
    TEXT(end, NULL, "KIND SYMBOLS START END"),
    TEXT(kind, "quote", "did you mean 'quotes'"),
    TEXT(kind, "2x", "'2x'"),
    TEXT(symbols, "", "symbol"),
    TEXT(symbols, "@/no/such.csv", "/no/such.csv"),
    TEXT(symbols, "index:none", "'none'"),
    TEXT(start, "yesteryear", "yesteryear"),
    TEXT(end, "2024-13-01", "2024-13-01"),
    TEXT(end, "2023-01-01", "2023-01-01"),
    TEXT(provider, "alpacca", "did you mean 'alpaca'"),
    TEXT(provider, "bloomberg", "'bloomberg'"),
    TEXT(feed, "spi", "unknown feed 'spi'; did you mean 'sip'"),
    TEXT(feed, "zzzzzzzz", "the default is 'sip'"),
    TEXT(adjustment, "splits", "did you mean 'split'"),
    TEXT(adjustment, "split,split,split,split,split", "too long"),
    TEXT(asof, "soon", "asof 'soon'"),
    TEXT(bar, "5s", "--bar"),
    TEXT(conditions, "some", "conditions 'some'"),
    TEXT(conditions, "all", "--conditions goes with kind ticks"),
    TEXT(rate, "fast", "rate 'fast'"),
    TEXT(rate, "0", "rate '0'"),
    TEXT(rate, "-5", "rate '-5'"),
    TEXT(rate, "5/hour", "rate '5/hour'"),
    TEXT(rate, "99999999999999999999", "rate '9999"),
    TEXT(on_error, "ignore", "on-error 'ignore'"),
    TEXT(partitioning, "daily", "partitioning 'daily'"),
    TEXT(layout, "deep", "layout 'deep'"),
    TEXT(faces, "hive", "faces 'hive'"),
    TEXT(faces, "delta iceberg", "faces 'delta iceberg'"),
#undef TEXT
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    scene s;
    tl_error err = {0};
    tl_import_options o = minute_bars();
    memcpy((char *)&o + texts[i].member, &texts[i].value, sizeof texts[i].value);
    if (begin(&s, "", &o, &err) != TL_EUSAGE || !strstr(err.message, texts[i].words))
      fail_msg("'%s' gave '%s', not '%s'", texts[i].value ? texts[i].value : "NULL", err.message, texts[i].words);
    end(&s);
  }
  static const struct {
    size_t member; /* offset of an int32_t */
    int32_t value;
    const char *words;
  } numbers[] = {
#define NUMBER(member, value, words) {offsetof(tl_import_options, member), value, words}
    NUMBER(threads, -1, "threads"),         NUMBER(threads, 1001, "threads"),
    NUMBER(retries, 11, "retries"),         NUMBER(page_limit, -1, "page limit must be 1 to 10000"),
    NUMBER(page_limit, 10001, "page limit"), NUMBER(pages_per_unit, -1, "pages per unit"),
    NUMBER(pages_per_unit, 10001, "pages per unit"), NUMBER(connect_timeout_ms, -1, "timeout"),
    NUMBER(read_timeout_ms, -1, "timeout"),
#undef NUMBER
  };
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    scene s;
    tl_error err = {0};
    tl_import_options o = minute_bars();
    memcpy((char *)&o + numbers[i].member, &numbers[i].value, sizeof numbers[i].value);
    if (begin(&s, "", &o, &err) != TL_EUSAGE || !strstr(err.message, numbers[i].words))
      fail_msg("%d gave '%s', not '%s'", numbers[i].value, err.message, numbers[i].words);
    end(&s);
  }
  scene s;
  tl_error err = {0};
  tl_import_options o = minute_bars();
  o.memory_max_bytes = (64 << 20) - 1;
  assert_int_equal(begin(&s, "", &o, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "64M"));
  end(&s);
  o = minute_bars();
  o.kind = "trades";
  o.adjustment = "split";
  assert_int_equal(begin(&s, "", &o, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "kind 'trades' is raw"));
  end(&s);
  static const char *const bad_settings[] = {"[linux]\napi_threads = many\n", "[linux]\napi_threads = 8x\n",
                                             "[linux]\napi_threads = 0\n", "[linux]\napi_threads = 1001\n"};
  for (size_t i = 0; i < 4; i++) {
    o = minute_bars();
    assert_int_equal(begin(&s, bad_settings[i], &o, &err), TL_EUSAGE);
    assert_non_null(strstr(err.message, "settings.ini"));
    assert_non_null(strstr(err.message, "api_threads"));
    end(&s);
  }
}

static void faces_and_layout_name_the_logs_of_tables(void **state) {
  (void)state;
  static const struct { const char *layout, *faces, *want; } cases[] = {
    {NULL, NULL, "hive"}, {"delta", NULL, "delta"}, {"iceberg", NULL, "iceberg"}, {NULL, "delta", "delta"}, {NULL, "iceberg", "iceberg"},
    {NULL, "delta,iceberg", "delta,iceberg"}, {NULL, "iceberg,delta", "delta,iceberg"}, {"delta", "delta,iceberg", "delta,iceberg"},
    {"iceberg", "delta,iceberg", "delta,iceberg"}, {"delta", "delta", "delta"},
    {"hive", "delta", NULL}, {"flat", "delta,iceberg", NULL}, {"delta", "iceberg", NULL}, {"iceberg", "delta", NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    scene s;
    tl_error err = {0};
    tl_import_options o = minute_bars();
    o.layout = cases[i].layout;
    o.faces = cases[i].faces;
    tl_status st = begin(&s, "", &o, &err);
    if (cases[i].want) {
      assert_int_equal(st, TL_OK);
      assert_string_equal(tl_layout_name(s.job.layout), cases[i].want);
      assert_int_equal(s.job.layout_given, o.layout || o.faces);
    } else {
      assert_int_equal(st, TL_EUSAGE);
      assert_non_null(strstr(err.message, "do not go together"));
    }
    end(&s);
  }
}

static void the_lake_keeps_to_its_first_layout_and_source(void **state) {
  (void)state;
  scene s;
  char lake[96], command[160];
  snprintf(lake, sizeof lake, "%s/lake", folder);
  tl_store *store = NULL;
  tl_ledger *ledger = NULL;
  assert_int_equal(tl_store_open(lake, NULL, &store, NULL), TL_OK);
  assert_int_equal(tl_ledger_open(store, true, &ledger, NULL), TL_OK);
  tl_import_options o = minute_bars();
  o.layout = "flat";
  must_begin(&s, "", &o);
  assert_int_equal(tl_job_claim(&s.job, ledger, NULL), TL_OK);
  tl_ledger_unit unit = {.dataset = "equities_1min", .symbol = "A", .range = {0, 1}, .state = TL_COVER_PRESENT, .rows = 1};
  assert_int_equal(tl_ledger_commit(ledger, &(tl_ledger_group){.units = &unit, .unit_count = 1}, NULL), TL_OK);
  end(&s);

  o.layout = NULL;
  must_begin(&s, "", &o);
  assert_int_equal(tl_job_claim(&s.job, ledger, NULL), TL_OK);
  assert_int_equal(s.job.layout, TL_LAYOUT_FLAT); /* the lake's */
  end(&s);

  tl_error err = {0};
  o.layout = "hive";
  must_begin(&s, "", &o);
  assert_int_equal(tl_job_claim(&s.job, ledger, &err), TL_EUSAGE);
  assert_true(strstr(err.message, "hive") && strstr(err.message, "flat"));
  end(&s);

  o.layout = NULL;
  o.feed = "iex";
  must_begin(&s, "", &o);
  assert_int_equal(tl_job_claim(&s.job, ledger, &err), TL_EUSAGE);
  assert_true(strstr(err.message, "iex") && strstr(err.message, "sip"));
  end(&s);
  tl_ledger_close(ledger);
  tl_store_close(store);
  snprintf(command, sizeof command, "%s/_ticklake/ledger.db", lake);
  unlink(command);
  snprintf(command, sizeof command, "%s/_ticklake", lake);
  rmdir(command);
  rmdir(lake);
}

static void every_allocation_fails_in_turn_without_a_leak(void **state) {
  (void)state;
  bool fired = true;
  tl_import_options o = minute_bars();
  for (long n = 1; fired; n++) {
    int64_t live = tl_alloc_live();
    scene s;
    tl_error err = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = begin(&s, "[alpaca]\nfeed = iex\n", &o, &err);
    fired = tl_fault_disarm();
    assert_int_equal(st, fired ? TL_ENOMEM : TL_OK);
    assert_int_equal(err.message[0] != 0, fired);
    end(&s);
    assert_int_equal(tl_alloc_live(), live);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(nothing_said_means_the_defaults, make_folder, remove_folder),
    cmocka_unit_test_setup_teardown(every_option_is_taken_as_said, make_folder, remove_folder),
    cmocka_unit_test_setup_teardown(settings_hold_until_the_environment_or_an_option_says_otherwise, make_folder, remove_folder),
    cmocka_unit_test_setup_teardown(the_vendors_own_host_is_the_endpoint_of_who_says_nothing, make_folder, remove_folder),
    cmocka_unit_test_setup_teardown(where_the_lake_lies, make_folder, remove_folder),
    cmocka_unit_test_setup_teardown(what_is_wrong_is_named, make_folder, remove_folder),
    cmocka_unit_test_setup_teardown(faces_and_layout_name_the_logs_of_tables, make_folder, remove_folder),
    cmocka_unit_test_setup_teardown(the_lake_keeps_to_its_first_layout_and_source, make_folder, remove_folder),
    cmocka_unit_test_setup_teardown(every_allocation_fails_in_turn_without_a_leak, make_folder, remove_folder),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
