/* The fault script: which requests a rule strikes, what is refused, what a spoilt page looks like. */
#include "sim/faults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libdeflate.h>

#include "base/alloc.h"
#include "sim/damage.h"

/* Sends requests past a script; answers 'x' for each it strikes, '.' for each it lets pass. */
typedef struct trial {
  const char *path, *symbols;
  uint32_t page;
} trial;

static void expect_strikes(const char *text, const trial *trials, size_t count, const char *want) {
  sim_script *script = NULL;
  tl_error err = {0};
  char got[128] = "";
  assert_int_equal(sim_script_open(text, 1, &script, &err), TL_OK);
  for (size_t i = 0; i < count; i++) {
    sim_fault fault;
    sim_occasion o = {.number = i + 1, .page = trials[i].page, .path = tl_text_from(trials[i].path), .symbols = trials[i].symbols};
    got[i] = sim_script_match(script, &o, &fault) ? 'x' : '.';
  }
  assert_string_equal(got, want);
  sim_script_close(script);
}

static void conditions_choose_requests(void **state) {
  (void)state;
  static const trial t[8] = {
      {"/v2/stocks/bars", ",AAPL,", 1},       {"/v2/stocks/bars", ",AAPL,", 2},      {"/v2/stocks/trades", ",AAPL,BAD,", 1}, {"/v2/stocks/bars", ",BAD,", 1},
      {"/v2/stocks/AAPL/trades", ",AAPL,", 2}, {"/v2/stocks/bars", ",BADGE,", 2},    {"/v2/calendar", ",,", 1},              {"/v2/stocks/bars", ",AAPL,", 3},
  };
  static const struct {
    const char *script, *strikes;
  } cases[] = {
      {"when always do 500", "xxxxxxxx"},
      {"when always times=3 do 500", "xxx....."},
      {"when n=3 do 500", "..x....."},
      {"when n=3-5 do 500", "..xxx..."},
      {"when n=7- do 500", "......xx"},
      {"when every=3 do 500", "..x..x.."},
      {"when symbol=BAD do 500", "..xx...."},
      {"when path=/v2/stocks/bars do 500", "xx.x.x.x"},
      {"when path=/v2/stocks/* do 500", "xxxxxx.x"},
      {"when kind=trades do 500", "..x.x..."},
      {"when page=2 do 500", ".x......"},
      {"when page=2- do 500", ".x..xx.x"},
      {"when page=2 times=2 do 500", ".x..x..."},
      {"when token=yes do 500", ".x..xx.x"},
      {"when token=no kind=bars do 500", "x..x...."},
      {"when kind=bars nth=2 do 500", ".x......"},
      {"when kind=bars nth=2-3 do 500", ".x.x...."},
      {"when p=0 do 500", "........"},
      {"when p=1 do 500", "xxxxxxxx"},
      {"# a comment\n\n  when n=1 do 500  # the first\nwhen n=8 do 502\n", "x......x"},
      {"", "........"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) expect_strikes(cases[i].script, t, 8, cases[i].strikes);
}

static void probability_is_seeded_and_about_right(void **state) {
  (void)state;
  int struck[3] = {0}, differ = 0;
  for (int k = 0; k < 3; k++) {
    sim_script *script = NULL;
    static bool first[2000];
    assert_int_equal(sim_script_open("when p=0.1 do 500", k == 2 ? 9 : 4, &script, NULL), TL_OK);
    for (uint64_t n = 1; n <= 2000; n++) {
      sim_fault fault;
      sim_occasion o = {.number = n, .page = 1, .path = tl_text_from("/v2/clock"), .symbols = ",,"};
      bool hit = sim_script_match(script, &o, &fault);
      struck[k] += hit;
      if (k == 0) first[n - 1] = hit;
      if (k == 1) assert_int_equal(hit, first[n - 1]);
      if (k == 2) differ += hit != first[n - 1];
    }
    sim_script_close(script);
  }
  assert_true(struck[0] > 140 && struck[0] < 260);
  assert_true(differ > 100);
}

static sim_fault only_fault(const char *text) {
  sim_script *script = NULL;
  sim_fault fault = {0};
  sim_occasion o = {.number = 1, .page = 1, .path = tl_text_from("/v2/clock"), .symbols = ",,"};
  assert_int_equal(sim_script_open(text, 1, &script, NULL), TL_OK);
  assert_true(sim_script_match(script, &o, &fault));
  sim_script_close(script);
  return fault;
}

static void actions_take_their_arguments(void **state) {
  (void)state;
  sim_fault f = only_fault("when n=1 do 429 retry-after=Wed,%2021%20Oct%202026 json message=slow down, please");
  assert_int_equal(f.action, SIM_DO_STATUS);
  assert_int_equal(f.status, 429);
  assert_string_equal(f.retry_after, "Wed, 21 Oct 2026");
  assert_string_equal(f.word, "json");
  assert_string_equal(f.text, "slow down, please");
  f = only_fault("when n=1 do stall-after=1000,250");
  assert_int_equal(f.action, SIM_DO_STALL);
  assert_int_equal(f.number[0], 1000);
  assert_int_equal(f.number[1], 250);
  f = only_fault("when n=1 do reset body 77");
  assert_string_equal(f.word, "body");
  assert_int_equal(f.number[0], 77);
  f = only_fault("when n=1 do set v=1.5e2 row=7");
  assert_string_equal(f.name, "v");
  assert_string_equal(f.text, "1.5e2");
  assert_int_equal(f.row, 7);
  f = only_fault("when n=1 do redirect=http://127.0.0.1:1/a,b?c=d status=307");
  assert_string_equal(f.text, "http://127.0.0.1:1/a,b?c=d");
  assert_int_equal(f.status, 307);
}

static void a_wrong_script_is_refused_by_line(void **state) {
  (void)state;
  static const struct {
    const char *script, *message;
  } cases[] = {
      {"nonsense", "fault script line 1: a rule begins with 'when', not 'nonsense'"},
      {"when n=1 do 500\nwhen n=x do 500", "fault script line 2: cannot read the condition 'n=x'"},
      {"when do 500", "fault script line 1: write 'when CONDITION ... do ACTION', not 'when do 500'"},
      {"when n=1 500", "fault script line 1: cannot read the condition '500'"},
      {"when n=1 do explode", "fault script line 1: unknown action 'explode'"},
      {"when p=1.5 do 500", "fault script line 1: cannot read the condition 'p=1.5'"},
      {"when every=0 do 500", "fault script line 1: cannot read the condition 'every=0'"},
      {"when n=1 do", "fault script line 1: no action after 'do'"},
      {"when n=1 do set", "fault script line 1: no member after 'set'"},
      {"when n=1 do status", "fault script line 1: no status after 'status'"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    sim_script *script = NULL;
    tl_error err = {0};
    assert_int_equal(sim_script_open(cases[i].script, 1, &script, &err), TL_EUSAGE);
    assert_string_equal(err.message, cases[i].message);
    assert_null(script);
  }
}

#define ROW1 "{\"c\":1.5,\"t\":\"2024-03-11T13:30:00Z\",\"v\":1200}"
#define ROW2 "{\"c\":2,\"t\":\"2024-03-11T13:31:00Z\",\"v\":31}"
#define TOKEN "\"next_page_token\":\"QUE=\""
static const char page[] = "{\"bars\":{\"A\":[" ROW1 "," ROW2 "]}," TOKEN "}";

static void spoilt_pages_are_spoilt_as_said(void **state) {
  (void)state;
  static const struct {
    const char *action, *text;
  } cases[] = {
      {"json-truncate=9", "{\"bars\":{"},
      {"wrong-type", "{\"bars\":[]," TOKEN "}"},
      {"wrong-type token", "{\"bars\":{\"A\":[" ROW1 "," ROW2 "]},\"next_page_token\":12345}"},
      {"wrong-type top", "[]"},
      {"wrong-type row", "{\"bars\":{\"AAPL\":[1,2]}," TOKEN "}"},
      {"wrong-type list", "{\"bars\":{\"AAPL\":{}}," TOKEN "}"},
      {"wrong-type string", "{\"bars\":\"no data\"," TOKEN "}"},
      {"null-page", "null"},
      {"empty-object", "{}"},
      {"no-data", "{" TOKEN "}"},
      {"error-200=call%20frequency", "{\"message\":\"call frequency\"}"},
      {"body=%7B%22a%22:1", "{\"a\":1"},
      {"reorder", "{" TOKEN ",\"bars\":{\"A\":[{\"c\":1.5,\"t\":\"2024-03-11T13:30:00Z\",\"v\":1200},{\"v\":31,\"c\":2,\"t\":\"2024-03-11T13:31:00Z\"}]}}"},
      {"set v=1e309 row=0", "{\"bars\":{\"A\":[{\"c\":1.5,\"t\":\"2024-03-11T13:30:00Z\",\"v\":1e309}," ROW2 "]}," TOKEN "}"},
      {"set c=%22x%22 row=all", "{\"bars\":{\"A\":[{\"c\":\"x\",\"t\":\"2024-03-11T13:30:00Z\",\"v\":1200},{\"c\":\"x\",\"t\":\"2024-03-11T13:31:00Z\",\"v\":31}]}," TOKEN "}"},
      {"drop t", "{\"bars\":{\"A\":[" ROW1 ",{\"c\":2,\"v\":31}]}," TOKEN "}"},
      {"add extra={\"a\":[1]} row=0", "{\"bars\":{\"A\":[{\"c\":1.5,\"t\":\"2024-03-11T13:30:00Z\",\"v\":1200,\"extra\":{\"a\":[1]}}," ROW2 "]}," TOKEN "}"},
      {"exponent v", "{\"bars\":{\"A\":[{\"c\":1.5,\"t\":\"2024-03-11T13:30:00Z\",\"v\":1.200e+03},{\"c\":2,\"t\":\"2024-03-11T13:31:00Z\",\"v\":3.1e+01}]}," TOKEN "}"},
      {"fraction v", "{\"bars\":{\"A\":[{\"c\":1.5,\"t\":\"2024-03-11T13:30:00Z\",\"v\":1200.0},{\"c\":2,\"t\":\"2024-03-11T13:31:00Z\",\"v\":31.0}]}," TOKEN "}"},
      {"deep=3", "{\"bars\":[[["},
      {"many-keys=2", "{\"bars\":{\"K0\":[],\"K1\":[]},\"next_page_token\":null}"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char rule[256] = "when always do ";
    tl_buf text = {0};
    strcat(rule, cases[i].action);
    sim_fault f = only_fault(rule);
    assert_int_equal(tl_buf_appends(&text, page, NULL), TL_OK);
    assert_int_equal(sim_damage_json(&f, &text, NULL), TL_OK);
    assert_string_equal(text.data, cases[i].text);
    tl_buf_deinit(&text);
  }
}

static void a_bomb_is_a_valid_stream_of_zeros(void **state) {
  (void)state;
  tl_buf bomb = {0};
  size_t room = 4 << 20, got = 0;
  unsigned char *out = malloc(room);
  struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
  assert_non_null(out);
  assert_int_equal(sim_gzip_bomb(3, &bomb, NULL), TL_OK);
  assert_true(bomb.len < 3300);
  assert_int_equal(libdeflate_gzip_decompress(d, bomb.data, bomb.len, out, room, &got), LIBDEFLATE_SUCCESS);
  assert_true(got > (3 << 20) - 300 && got < (3 << 20) + 300);
  for (size_t i = 0; i < got; i++) assert_true(out[i] == 0);
  libdeflate_free_decompressor(d);
  free(out);
  tl_buf_deinit(&bomb);
}

static void streams_are_spoilt_so_that_a_decompressor_notices(void **state) {
  (void)state;
  static const char *const actions[] = {"gzip-truncate", "gzip-truncate=30", "gzip-flip", "gzip-flip=200", "gzip-crc", "gzip-size"};
  struct libdeflate_compressor *c = libdeflate_alloc_compressor(1);
  struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
  for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
    char rule[64] = "when always do ", packed[1024], out[1024];
    tl_buf stream = {0};
    size_t n = libdeflate_gzip_compress(c, page, sizeof page, packed, sizeof packed), got;
    strcat(rule, actions[i]);
    sim_fault f = only_fault(rule);
    assert_int_equal(tl_buf_append(&stream, packed, n, NULL), TL_OK);
    assert_int_equal(libdeflate_gzip_decompress(d, stream.data, stream.len, out, sizeof out, &got), LIBDEFLATE_SUCCESS);
    assert_int_equal(sim_damage_gzip(&f, &stream, NULL), TL_OK);
    assert_int_not_equal(libdeflate_gzip_decompress(d, stream.data, stream.len, out, sizeof out, &got), LIBDEFLATE_SUCCESS);
    tl_buf_deinit(&stream);
  }
  libdeflate_free_compressor(c);
  libdeflate_free_decompressor(d);
}

static int nothing_leaks(void **state) {
  (void)state;
  return tl_alloc_live() != 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(conditions_choose_requests, nothing_leaks),
      cmocka_unit_test_teardown(probability_is_seeded_and_about_right, nothing_leaks),
      cmocka_unit_test_teardown(actions_take_their_arguments, nothing_leaks),
      cmocka_unit_test_teardown(a_wrong_script_is_refused_by_line, nothing_leaks),
      cmocka_unit_test_teardown(spoilt_pages_are_spoilt_as_said, nothing_leaks),
      cmocka_unit_test_teardown(a_bomb_is_a_valid_stream_of_zeros, nothing_leaks),
      cmocka_unit_test_teardown(streams_are_spoilt_so_that_a_decompressor_notices, nothing_leaks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
