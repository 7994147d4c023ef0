/* dataset_test.c - KIND words, the datasets they fill and where these lie. The truth: the tables of INTERFACES. */
#include "market/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_kind_word_fills_its_dataset(void **state) {
  (void)state;
  static const struct {
    const char *word, *bar;
    tl_wire wire;
    bool derived;
    const char *name, *flat;
    bool by_year;
  } cases[] = {
      {"ticks", NULL, TL_WIRE_TRADES, true, "equities_1sec", "bars/1s", false},
      {"ticks", "1m", TL_WIRE_TRADES, true, "equities_1min", "bars/1m", false},
      {"ticks", "1d", TL_WIRE_TRADES, true, "equities_1day", "bars/1d", true},
      {"1s", NULL, TL_WIRE_TRADES, true, "equities_1sec", "bars/1s", false},
      {"quotes", NULL, TL_WIRE_QUOTES, true, "quotes_1sec", "quotes", false},
      {"1m", NULL, TL_WIRE_BARS, false, "equities_1min", "bars/1m", false},
      {"5m", NULL, TL_WIRE_BARS, false, "equities_5min", "bars/5m", false},
      {"15m", NULL, TL_WIRE_BARS, false, "equities_15min", "bars/15m", false},
      {"30m", NULL, TL_WIRE_BARS, false, "equities_30min", "bars/30m", false},
      {"1h", NULL, TL_WIRE_BARS, false, "equities_1hour", "bars/1h", false},
      {"1d", NULL, TL_WIRE_BARS, false, "equities_1day", "bars/1d", true},
      {"1w", NULL, TL_WIRE_BARS, false, "equities_1week", "bars/1w", true},
      {"1mo", NULL, TL_WIRE_BARS, false, "equities_1month", "bars/1mo", true},
      {"trades", NULL, TL_WIRE_TRADES, false, "trades", "trades", false},
      {"raw-quotes", NULL, TL_WIRE_QUOTES, false, "quotes", "raw_quotes", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tl_job_kind job;
    tl_error err = {0};
    if (tl_job_kind_parse(cases[i].word, cases[i].bar, &job, &err)) fail_msg("%s: %s", cases[i].word, err.message);
    assert_int_equal(job.wire, cases[i].wire);
    assert_int_equal(job.derived, cases[i].derived);
    assert_string_equal(job.dataset.name, cases[i].name);
    assert_string_equal(job.dataset.flat, cases[i].flat);
    assert_int_equal(job.dataset.by_year, cases[i].by_year);
    assert_int_equal(job.interval.count != 0, cases[i].wire == TL_WIRE_BARS); /* what the vendor is asked for */
    tl_dataset named;
    assert_int_equal(tl_dataset_of_name(cases[i].name, &named, NULL), TL_OK);
    assert_int_equal(named.kind, job.dataset.kind);
    assert_string_equal(named.flat, cases[i].flat);
  }
}

static void wrong_words_are_refused_by_name(void **state) {
  (void)state;
  static const struct { const char *word, *bar, *text; } cases[] = {
      {"tick", NULL, "'ticks'"},        {"raw_quotes", NULL, "'raw-quotes'"}, {"minutes", NULL, "unknown kind 'minutes'"},
      {"1m", "5m", "--bar goes with"},  {"ticks", "7m", "divide a day"},      {"ticks", "zzz", "zzz"},
      {"", NULL, "unknown kind ''"},    {"0m", NULL, "unknown kind '0m'"},    {"7s", NULL, "divide a day"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tl_job_kind job;
    tl_error err = {0};
    assert_int_equal(tl_job_kind_parse(cases[i].word, cases[i].bar, &job, &err), TL_EUSAGE);
    if (!strstr(err.message, cases[i].text)) fail_msg("'%s': %s", cases[i].word, err.message);
  }
  tl_dataset dataset;
  assert_int_equal(tl_dataset_parse("equities_x", &dataset, NULL), TL_EUSAGE);
  assert_int_equal(tl_dataset_parse("nothing", &dataset, NULL), TL_EUSAGE);
}

static void the_word_quotes_is_the_tightest_and_the_name_quotes_the_raw_ones(void **state) {
  (void)state;
  tl_dataset word, name;
  assert_int_equal(tl_dataset_parse("quotes", &word, NULL), TL_OK);
  assert_int_equal(tl_dataset_of_name("quotes", &name, NULL), TL_OK);
  assert_string_equal(word.name, "quotes_1sec");
  assert_string_equal(name.name, "quotes");
  assert_int_equal(name.kind, TL_QUOTES);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_kind_word_fills_its_dataset),
      cmocka_unit_test(wrong_words_are_refused_by_name),
      cmocka_unit_test(the_word_quotes_is_the_tightest_and_the_name_quotes_the_raw_ones),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
