/* option_test.c - the command line as typed. The program's objects are not in the library, so its source is taken in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

#include "cli/option.c"

int cli_refuse(const char *command_name, const char *format, ...) { /* as command.c words it */
  va_list args;
  va_start(args, format);
  fprintf(stderr, "ticklake %s: ", command_name);
  vfprintf(stderr, format, args);
  fprintf(stderr, "\n");
  va_end(args);
  return 2;
}

static const cli_option *const every_group[] = {cli_source_options, cli_transfer_options, cli_update_options, cli_read_options, cli_output_options,
                                                cli_zone_options, cli_common_options, NULL};
static const cli_command command = {.name = "try", .summary = "Tries.", .usage = "A [B]", .groups = every_group, .words_min = 1, .words_max = 2};

static char said[4000]; /* what the last parse wrote to stderr */

static int parse(cli_args *args, int argc, char **argv) {
  *args = (cli_args){0};
  fflush(stderr);
  FILE *file = tmpfile();
  int before = dup(STDERR_FILENO);
  dup2(fileno(file), STDERR_FILENO);
  int rc = cli_parse(&command, argc, argv, args);
  fflush(stderr);
  dup2(before, STDERR_FILENO);
  close(before);
  rewind(file);
  said[fread(said, 1, sizeof said - 1, file)] = 0;
  fclose(file);
  return rc;
}

#define PARSE(args, ...) parse((args), (int)(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)), (char *[]){__VA_ARGS__})

static void options_stand_anywhere_and_in_every_form(void **state) {
  (void)state;
  cli_args a;
  assert_int_equal(PARSE(&a, "--threads", "3", "word", "--feed=iex", "-o", "out.csv", "-q", "--json", "second"), 0);
  assert_int_equal(a.import.threads, 3);
  assert_string_equal(a.import.feed, "iex");
  assert_string_equal(a.output, "out.csv");
  assert_true(a.quiet && a.json && !a.help);
  assert_int_equal(a.word_count, 2);
  assert_string_equal(a.words[1], "second");
  assert_string_equal(said, "");
  assert_int_equal(PARSE(&a, "--", "--json", "-"), 0); /* -- ends options, - is a word */
  assert_false(a.json);
  assert_string_equal(a.words[0], "--json");
  assert_int_equal(PARSE(&a, "-", "--lake="), 0); /* an empty value is a value */
  assert_string_equal(a.lake, "");
  assert_int_equal(PARSE(&a, "--help"), 0); /* whoever asks for help need not know the arguments */
}

static void values_have_units(void **state) {
  (void)state;
  static const struct { const char *option, *value; int64_t want; } cases[] = {
    {"--max-memory", "64M", INT64_C(64) << 20}, {"--max-memory", "64MiB", INT64_C(64) << 20}, {"--max-memory", "1G", INT64_C(1) << 30},
    {"--max-memory", "512k", 512 << 10},        {"--max-memory", "7", 7},
    {"--look-back", "3", INT64_C(3000000000)},  {"--look-back", "2d", INT64_C(172800000000000)},
    {"--look-back", "15min", INT64_C(900000000000)}, {"--look-back", "1h", INT64_C(3600000000000)},
    {"--look-back", "250ms", INT64_C(250000000)},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cli_args a;
    assert_int_equal(PARSE(&a, "word", (char *)(uintptr_t)cases[i].option, (char *)(uintptr_t)cases[i].value), 0);
    assert_true((cases[i].option[2] == 'm' ? a.import.memory_max_bytes : a.import.look_back_ns) == cases[i].want);
  }
  cli_args a;
  assert_int_equal(PARSE(&a, "word", "--read-timeout", "500ms", "--connect-timeout=10s", "--limit", "2k"), 0);
  assert_int_equal(a.import.read_timeout_ms, 500);
  assert_int_equal(a.import.connect_timeout_ms, 10000);
  assert_true(a.read.limit == 2048);
}

static void what_does_not_fit_is_exit_2_and_says_why(void **state) {
  (void)state;
  static const struct { char *a, *b; const char *words; } cases[] = {
    {"--thread", "3", "unknown option '--thread'; did you mean '--threads'?"},
    {"--zzzzzzzzzz", "3", "'ticklake try --help' lists them"},
    {"-z", "3", "unknown option '-"},
    {"-oq", "3", "unknown option"},
    {"--=", "3", "unknown option '--'"},
    {"--json=yes", "x", "option '--json' takes no value"},
    {"word", "--threads", "option '--threads' needs a value: N"},
    {"--threads", "many", "'many' does not fit option '--threads': N"},
    {"--threads", "-1", "'-1' does not fit"},
    {"--threads", "3000000000", "does not fit"},
    {"--threads", "99999999999999999999", "does not fit"},
    {"--max-memory", "9999999999G", "does not fit"},
    {"--max-memory", "1X", "does not fit"},
    {"--read-timeout", "100d", "does not fit"},
    {"--read-timeout", "soon", "does not fit"},
    {"--layout", "hiv", "'hiv' does not fit option '--layout': hive|flat"},
    {"--layout", "", "does not fit"},
    {"--layout", "hive|flat", "does not fit"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cli_args a;
    int rc = PARSE(&a, "word", cases[i].a, cases[i].b);
    if (rc != 2 || !strstr(said, cases[i].words)) fail_msg("%s %s: exit %d, '%s'", cases[i].a, cases[i].b, rc, said);
  }
  cli_args a;
  assert_int_equal(PARSE(&a, "a", "b", "c"), 2);
  assert_non_null(strstr(said, "unexpected argument 'c'\nusage: ticklake try A [B]"));
  assert_int_equal(PARSE(&a, "--json"), 2);
  assert_non_null(strstr(said, "an argument is missing\nusage: ticklake try A [B]"));
}

/* Each option of the tables, so that none is without help or collides with another. */
static void every_option_is_named_once_and_explained(void **state) {
  (void)state;
  for (size_t g = 0; every_group[g]; g++)
    for (const cli_option *o = every_group[g]; o->name; o++) {
      size_t same = 0;
      for (size_t h = 0; every_group[h]; h++)
        for (const cli_option *p = every_group[h]; p->name; p++) same += !strcmp(o->name, p->name) || (o->letter && o->letter == p->letter);
      assert_int_equal(same, 1);
      assert_true(strlen(o->help) > 5 && strlen(o->name) < 30);
      assert_int_equal(o->type == CLI_FLAG, o->value == NULL);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(options_stand_anywhere_and_in_every_form),
    cmocka_unit_test(values_have_units),
    cmocka_unit_test(what_does_not_fit_is_exit_2_and_says_why),
    cmocka_unit_test(every_option_is_named_once_and_explained),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
