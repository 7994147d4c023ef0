/* What a page of Alpaca means, form by form: the body, and what it becomes as text written by hand. Each page goes
 * through both decoders; `page` puts rows in the usual form around the one under test when asked, so that the quick
 * path is in the middle of its work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "provider/alpaca/alpaca.h"

static const char *const symbols[] = {"AAA", "BB", "BRK.B"};
static tl_words *words;
static tl_page page;
static tl_buf text;

static tl_ask ask_of(tl_wire wire, size_t symbol_count) {
  return (tl_ask){.wire = wire, .interval = {1, TL_MINUTE}, .symbols = symbols, .symbol_count = symbol_count, .feed = "sip"};
}

static void put_value(const tl_batch *batch, size_t column, size_t row) {
  const tl_column *c = &batch->columns[column];
  if (!tl_column_valid(c, row)) {
    tl_buf_appends(&text, " -", NULL);
    return;
  }
  char time[TL_TIME_TEXT_MAX];
  tl_text word, item;
  switch (batch->def->columns[column].type) {
  case TL_TIME:
    tl_time_format(c->i64[row], -1, time);
    tl_buf_appends(&text, time, NULL);
    break;
  case TL_I64: tl_buf_appendf(&text, NULL, " %lld", (long long)c->i64[row]); break;
  case TL_F64: tl_buf_appendf(&text, NULL, " %.17g", c->f64[row]); break;
  case TL_WORD:
    word = tl_words_text(words, c->word[row]);
    tl_buf_appendf(&text, NULL, " '%.*s'", (int)word.len, word.data);
    break;
  case TL_WORDS:
    word = tl_words_text(words, c->word[row]);
    tl_buf_appends(&text, " [", NULL);
    while (tl_words_list_next(&word, &item)) tl_buf_appendf(&text, NULL, "'%.*s'", (int)item.len, item.data);
    tl_buf_appends(&text, "]", NULL);
  }
}

/* "AAA\n<row>\n...! AAA reason\n> token\n" */
static const char *page_text(void) {
  tl_buf_clear(&text);
  for (size_t i = 0; i < page.run_count; i++) {
    tl_buf_appendf(&text, NULL, "%s\n", page.runs[i].symbol);
    for (size_t row = page.runs[i].begin; row < page.runs[i].end; row++) {
      for (size_t c = 0; c < page.batch.def->column_count; c++) put_value(&page.batch, c, row);
      tl_buf_appends(&text, "\n", NULL);
    }
  }
  for (size_t i = 0; i < page.reject_count; i++)
    tl_buf_appendf(&text, NULL, "! %s %s\n", page.rejects[i].symbol, page.rejects[i].reason);
  if (page.token.len) tl_buf_appendf(&text, NULL, "> %s\n", page.token.data);
  return text.data ? text.data : "";
}

typedef tl_status (*decoder)(const tl_ask *, const char *, size_t, tl_page *, tl_error *);
static const decoder decoders[] = {tl_alpaca_page, tl_alpaca_page_plain};

static void expect(tl_wire wire, const char *body, const char *expected) {
  tl_ask ask = ask_of(wire, 3);
  for (size_t i = 0; i < 2; i++) {
    tl_error err = {0};
    if (decoders[i](&ask, body, strlen(body), &page, &err)) fail_msg("%s: %s", body, err.message);
    assert_string_equal(page_text(), expected);
  }
}

static void expect_refused(tl_wire wire, const char *body, const char *reason) {
  tl_ask ask = ask_of(wire, 3);
  for (size_t i = 0; i < 2; i++) {
    tl_error err = {0};
    tl_status st = decoders[i](&ask, body, strlen(body), &page, &err);
    if (st != TL_EDECODE) fail_msg("%s: taken, or another failure: %d", body, st);
    assert_true(page.batch.rows == 0 && page.run_count == 0 && page.reject_count == 0 && page.token.len == 0);
    if (i == 0 && !strstr(err.message, reason)) fail_msg("%s:\n'%s' does not say '%s'", body, err.message, reason);
  }
}

/* One row among eight of the usual form. The usual rows are left out of the text. */
static void expect_row(tl_wire wire, const char *row, const char *expected) {
  static const char *const usual[] = {
    "{\"t\":\"2024-01-02T09:30:00Z\",\"o\":1.5,\"h\":2,\"l\":1,\"c\":1.25,\"v\":10,\"n\":3,\"vw\":1.333333}",
    "{\"t\":\"2024-01-02T09:30:00.000000001Z\",\"x\":\"V\",\"p\":187.15,\"s\":100,\"c\":[\"@\",\"I\"],\"i\":52983525000000,\"z\":\"C\"}",
    "{\"t\":\"2024-01-02T09:30:00.5Z\",\"ax\":\"Q\",\"ap\":187.2,\"as\":2,\"bx\":\"V\",\"bp\":187.19,\"bs\":1,\"c\":[\"R\"],\"z\":\"C\"}",
  };
  static const char *const keys[] = {"bars", "trades", "quotes"};
  tl_buf body = {0};
  tl_buf_appendf(&body, NULL, "{\"%s\":{\"AAA\":[", keys[wire]);
  for (int i = 0; i < 4; i++) tl_buf_appendf(&body, NULL, "%s,", usual[wire]);
  tl_buf_appends(&body, row, NULL);
  for (int i = 0; i < 8; i++) tl_buf_appendf(&body, NULL, ",%s", usual[wire]);
  tl_buf_appends(&body, "]},\"next_page_token\":null}", NULL);
  tl_ask ask = ask_of(wire, 3);
  for (size_t i = 0; i < 2; i++) {
    tl_error err = {0};
    if (decoders[i](&ask, body.data, body.len, &page, &err)) fail_msg("%s: %s", row, err.message);
    bool taken = page.batch.rows == 13;
    assert_true(taken ? page.reject_count == 0 : page.batch.rows == 12 && page.reject_count == 1);
    if (taken) page.runs[0].begin = 4, page.runs[0].end = 5;
    else page.run_count = 0;
    const char *got = page_text() + (taken ? strlen("AAA\n") : 0);
    if (strcmp(got, expected) != 0) fail_msg("%s\ngave     %s\nexpected %s", row, got, expected);
    if (!taken && i == 0) { /* the row as it came */
      assert_int_equal(page.rejects[0].row.len, strlen(row));
      assert_memory_equal(page.rejects[0].row.data, row, strlen(row));
    }
  }
  tl_buf_deinit(&body);
}

#define T "\"t\":\"2024-03-08T14:30:00Z\","
#define BAR(members) "{" T "\"o\":1,\"h\":2,\"l\":0.5,\"c\":1.5" members "}"
#define AT "2024-03-08T14:30:00Z"

static void bars(void **state) {
  (void)state;
  static const struct { const char *row, *expected; } cases[] = {
    {BAR(",\"v\":123,\"n\":7,\"vw\":1.25"), AT " 1 2 0.5 1.5 123 7 1.25\n"},
    {BAR(""), AT " 1 2 0.5 1.5 - - -\n"},
    {BAR(",\"v\":null,\"n\":null,\"vw\":null"), AT " 1 2 0.5 1.5 - - -\n"},
    {BAR(",\"v\":123.0,\"n\":1.5e1,\"vw\":1e-2"), AT " 1 2 0.5 1.5 123 15 0.01\n"},
    {BAR(",\"v\":1.23e+07,\"n\":1.230000000000000000e2,\"vw\":178.235733"), AT " 1 2 0.5 1.5 12300000 123 178.23573300000001\n"},
    {BAR(",\"v\":9223372036854775807,\"n\":0,\"vw\":-0"), AT " 1 2 0.5 1.5 9223372036854775807 0 0\n"},
    {"{\"vw\":1.1,\"n\":2,\"v\":3,\"c\":4,\"l\":5,\"h\":6,\"o\":7,\"t\":\"2024-03-08T14:30:00Z\"}", AT " 7 6 5 4 3 2 1.1000000000000001\n"},
    {"{ \"t\" : \"2024-03-08T14:30:00Z\" ,\n\"o\":\t1,\"h\":2,\"l\":3,\"c\":4\r}", AT " 1 2 3 4 - - -\n"},
    {"{\"\\u0074\":\"2024-03-08T14:30:00\\u005A\",\"\\u006f\":1,\"h\":2,\"l\":3,\"c\":4}", AT " 1 2 3 4 - - -\n"},
    {BAR(",\"x\":{\"a\":[1,{\"t\":2}],\"o\":null},\"vwap\":3,\"\":true"), AT " 1 2 0.5 1.5 - - -\n"},
    {"{\"t\":\"2024-03-08T09:30:00.123456789-05:00\",\"o\":1,\"h\":2,\"l\":3,\"c\":4}", "2024-03-08T14:30:00.123456789Z 1 2 3 4 - - -\n"},
    {"{\"t\":\"2024-03-08T14:30:00.1Z\",\"o\":1,\"h\":2,\"l\":3,\"c\":4}", "2024-03-08T14:30:00.1Z 1 2 3 4 - - -\n"},
    {"{" T "\"o\":0.1,\"h\":0.30000000000000004,\"l\":123456789012.123,\"c\":0.00000001}",
     AT " 0.10000000000000001 0.30000000000000004 123456789012.123 1e-08 - - -\n"},
    {"{" T "\"o\":1234567.1234567,\"h\":12345678.5,\"l\":9007199254740993,\"c\":7.2057594037927933e16}",
     AT " 1234567.1234567 12345678.5 9007199254740992 72057594037927936 - - -\n"},
    {BAR(",\"v\":1.5"), "! AAA 'v' is a fraction\n"},
    {BAR(",\"v\":9223372036854775808"), "! AAA 'v' is out of range\n"},
    {BAR(",\"v\":-1"), "! AAA 'v' is negative\n"},
    {BAR(",\"n\":\"7\""), "! AAA 'n' is not a number\n"},
    {BAR(",\"vw\":true"), "! AAA 'vw' is not a number\n"},
    {"{\"o\":1,\"h\":2,\"l\":0.5,\"c\":1.5}", "! AAA 't' is missing\n"},
    {"{" T "\"o\":1,\"h\":2,\"l\":0.5}", "! AAA 'c' is missing\n"},
    {"{" T "\"o\":null,\"h\":2,\"l\":0.5,\"c\":1}", "! AAA 'o' is missing\n"},
    {"{" T "\"o\":-1,\"h\":2,\"l\":0.5,\"c\":1}", "! AAA 'o' is negative\n"},
    {"{" T "\"o\":1e999,\"h\":2,\"l\":0.5,\"c\":1}", "! AAA 'o' is out of range\n"},
    {"{" T "\"o\":[1],\"h\":2,\"l\":0.5,\"c\":1}", "! AAA 'o' is not a number\n"},
    {"{\"t\":1709908200,\"o\":1,\"h\":2,\"l\":0.5,\"c\":1}", "! AAA 't' is not a time\n"},
    {"{" T T "\"o\":1,\"h\":2,\"l\":0.5,\"c\":1}", "! AAA member 't' occurs twice\n"},
    {BAR(",\"o\":1"), "! AAA member 'o' occurs twice\n"},
    {"{}", "! AAA 't' is missing\n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) expect_row(TL_WIRE_BARS, cases[i].row, cases[i].expected);
}

static void a_time_that_is_no_time_is_a_reject(void **state) {
  (void)state;
  static const char *const times[] = {"", "2024-03-08", "2024-02-30T00:00:00Z", "2024-03-08T24:00:00Z", "2024-03-08T14:30:60Z",
                                      "2024-03-08T14:30:00", "2024-03-08T14:30:00.1234567890Z", "2024-03-08T14:30:00.Z", "3024-03-08T14:30:00Z"};
  for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
    char body[400];
    snprintf(body, sizeof body, "{\"bars\":{\"AAA\":[{\"t\":\"%s\",\"o\":1,\"h\":1,\"l\":1,\"c\":1}]},\"next_page_token\":null}", times[i]);
    tl_ask ask = ask_of(TL_WIRE_BARS, 1);
    for (size_t k = 0; k < 2; k++) {
      assert_int_equal(decoders[k](&ask, body, strlen(body), &page, NULL), TL_OK);
      assert_true(page.batch.rows == 0 && page.reject_count == 1);
      assert_non_null(strstr(page.rejects[0].reason, "'t' is not a time"));
    }
  }
}

static void trades(void **state) {
  (void)state;
  static const struct { const char *row, *expected; } cases[] = {
    {"{" T "\"x\":\"D\",\"p\":187.1555,\"s\":100,\"c\":[\"@\",\"F\",\"T\",\"I\"],\"i\":71675577320245,\"z\":\"C\"}",
     AT " 187.15549999999999 100 'D' ['@''F''T''I'] 71675577320245 'C' -\n"},
    {"{" T "\"x\":\" \",\"p\":1,\"s\":1,\"c\":[\" \"],\"i\":9223372036854775807,\"z\":\"A\",\"u\":\"canceled\"}",
     AT " 1 1 ' ' [' '] 9223372036854775807 'A' 'canceled'\n"},
    {"{" T "\"p\":1}", AT " 1 - - - - - -\n"},
    {"{" T "\"p\":1,\"c\":null}", AT " 1 - - - - - -\n"},
    {"{" T "\"p\":1,\"c\":[]}", AT " 1 - - [] - - -\n"},
    {"{" T "\"p\":1,\"c\":\"@\"}", AT " 1 - - ['@'] - - -\n"},
    {"{" T "\"p\":1,\"c\":[ \"]\" , \"\\u0040\" ]}", AT " 1 - - [']''@'] - - -\n"},
    {"{" T "\"p\":1,\"x\":\"NYSE\",\"c\":[\"\\ud83d\\ude00\",\"\"]}", AT " 1 - 'NYSE' ['\xf0\x9f\x98\x80'''] - - -\n"},
    {"{" T "\"p\":1,\"i\":9223372036854775808}", "! AAA 'i' is out of range\n"},
    {"{" T "\"p\":1,\"i\":-5}", "! AAA 'i' is negative\n"},
    {"{" T "\"p\":1,\"s\":0.5}", "! AAA 's' is a fraction\n"},
    {"{" T "\"s\":1}", "! AAA 'p' is missing\n"},
    {"{" T "\"p\":\"1\"}", "! AAA 'p' is not a number\n"},
    {"{" T "\"p\":1,\"c\":[\"@\",7]}", "! AAA 'c' is not a list of texts\n"},
    {"{" T "\"p\":1,\"c\":{\"@\":1}}", "! AAA 'c' is not a list of texts\n"},
    {"{" T "\"p\":1,\"x\":7}", "! AAA 'x' is not a text\n"},
    {"{" T "\"p\":1,\"x\":[\"V\"]}", "! AAA 'x' is not a text\n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) expect_row(TL_WIRE_TRADES, cases[i].row, cases[i].expected);
}

static void quotes(void **state) {
  (void)state;
  static const struct { const char *row, *expected; } cases[] = {
    {"{" T "\"ax\":\"Q\",\"ap\":187.2,\"as\":2,\"bx\":\"V\",\"bp\":187.19,\"bs\":1,\"c\":[\"R\"],\"z\":\"C\"}",
     AT " 187.19 1 'V' 187.19999999999999 2 'Q' ['R'] 'C'\n"},
    {"{" T "\"ax\":\" \",\"ap\":0,\"as\":0,\"bx\":\"V\",\"bp\":187.19,\"bs\":1,\"c\":[\"R\",\"1\"]}",
     AT " 187.19 1 'V' 0 0 ' ' ['R''1'] -\n"},
    {"{" T "\"bp\":null}", AT " - - - - - - - -\n"},
    {"{\"t\":\"2024-03-08T14:30:00Z\"}", AT " - - - - - - - -\n"},
    {"{\"ap\":1}", "! AAA 't' is missing\n"},
    {"{" T "\"ap\":-0.01}", "! AAA 'ap' is negative\n"},
    {"{" T "\"bs\":1.5}", "! AAA 'bs' is a fraction\n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) expect_row(TL_WIRE_QUOTES, cases[i].row, cases[i].expected);
}

static void long_texts_are_rejects(void **state) {
  (void)state;
  tl_buf row = {0};
  tl_buf_appends(&row, "{" T "\"p\":1,\"x\":\"", NULL);
  for (int i = 0; i < 256; i++) tl_buf_appends(&row, "x", NULL);
  tl_buf_appends(&row, "\"}", NULL);
  expect_row(TL_WIRE_TRADES, row.data, "! AAA 'x' is longer than 255 bytes\n");
  tl_buf_clear(&row);
  tl_buf_appends(&row, "{" T "\"p\":1,\"c\":[\"@\"", NULL);
  for (int i = 0; i < 2048; i++) tl_buf_appends(&row, ",\"@\"", NULL);
  tl_buf_appends(&row, "]}", NULL);
  expect_row(TL_WIRE_TRADES, row.data, "! AAA 'c' is too long\n");
  tl_buf_deinit(&row);
}

#define ROW(minute) "{\"t\":\"2024-01-02T09:" minute ":00Z\",\"o\":1,\"h\":1,\"l\":1,\"c\":1}"
#define ROW_TEXT(minute) "2024-01-02T09:" minute ":00Z 1 1 1 1 - - -\n"

static void envelopes(void **state) {
  (void)state;
  static const struct { const char *body, *expected; } cases[] = {
    {"{\"bars\":{\"AAA\":[" ROW("30") "," ROW("31") "],\"BB\":[" ROW("30") "]},\"next_page_token\":null}",
     "AAA\n" ROW_TEXT("30") ROW_TEXT("31") "BB\n" ROW_TEXT("30")},
    {"{\"next_page_token\":\"QUFB\",\"bars\":{\"BRK.B\":[" ROW("30") "]},\"currency\":\"EUR\"}", "BRK.B\n" ROW_TEXT("30") "> QUFB\n"},
    {"{\"next_page_token\":\"a\\/b\\u003d\",\"bars\":{}}", "> a/b=\n"},
    {"{\"bars\":{\"BB\":[" ROW("30") "],\"AAA\":[" ROW("30") "],\"BB\":[" ROW("31") "]},\"next_page_token\":null}",
     "BB\n" ROW_TEXT("30") "AAA\n" ROW_TEXT("30") "BB\n" ROW_TEXT("31")},
    {"{\"bars\":[" ROW("30") "],\"symbol\":\"BB\",\"next_page_token\":null}", "BB\n" ROW_TEXT("30")},
    {"{\"symbol\":\"BB\",\"next_page_token\":null,\"bars\":[" ROW("30") ",{}]}", "BB\n" ROW_TEXT("30") "! BB 't' is missing\n"},
    {"{\"bars\":[],\"symbol\":\"BB\",\"next_page_token\":null}", ""},
    {"{\"bars\":null,\"symbol\":\"BB\",\"next_page_token\":null}", ""},
    {"{\"bars\":{},\"next_page_token\":null}", ""},
    {"{\"bars\":{\"AAA\":null,\"BB\":[]},\"next_page_token\":null}", ""},
    {"{\"bars\":null,\"next_page_token\":null}", ""},
    {"{\"symbol\":\"BB\",\"next_page_token\":null}", ""},
    {"{\"symbol\":\"BB\",\"next_page_token\":\"x\"}", "> x\n"},
    {" \r\n\t{ \"bars\" : { } , \"next_page_token\" : null } \n", ""},
    {"{\"bars\":{\"AAA\":[ " ROW("30") " , " ROW("31") " ]},\"next_page_token\":null}", "AAA\n" ROW_TEXT("30") ROW_TEXT("31")},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) expect(TL_WIRE_BARS, cases[i].body, cases[i].expected);
}

static void what_is_no_page_is_refused_with_the_byte(void **state) {
  (void)state;
  static const struct { const char *body, *reason; } cases[] = {
    {"", "expected an object at byte 0"},
    {"{}", "expected 'next_page_token' before the end"},
    {"{\"bars\":{}}", "expected 'next_page_token' before the end at byte 11"},
    {"{\"message\":\"too many requests.\"}", "next_page_token"},
    {"[]", "expected an object at byte 0"},
    {"null", "expected an object at byte 0"},
    {"<html>", "expected an object at byte 0"},
    {"{\"bars\":{},\"next_page_token\":null}}", "expected the end at byte 34"},
    {"{\"bars\":{},\"next_page_token\":null", "expected ',' or '}' at byte 33 of an answer of alpaca, where it ends"},
    {"{\"bars\":{\"AAA\":[{\"t\":\"2024-01-02T09:30:00Z\",\"o\":1,", "where it ends"},
    {"{\"bars\":{\"AAA\":[{\"t\":\"2024-01-02T09:30", "the end of a string"},
    {"{\"bars\":{\"AAA\":[,]},\"next_page_token\":null}", "expected a row at byte 16"},
    {"{\"bars\":{\"AAA\":[{}]" "\"next_page_token\":null}", "expected ',' or '}' at byte 19"},
    {"{\"bars\":{\"AAA\":[3]},\"next_page_token\":null}", "expected a row at byte 16"},
    {"{\"bars\":{\"AAA\":[" ROW("30") ",null]},\"next_page_token\":null}", "expected a row at byte"},
    {"{\"bars\":{\"AAA\":{}},\"next_page_token\":null}", "expected a list of rows or null at byte 15"},
    {"{\"bars\":{\"AAA\":7},\"next_page_token\":null}", "expected a list of rows or null at byte 15"},
    {"{\"bars\":\"AAA\",\"next_page_token\":null}", "expected the rows by symbol, a list of rows or null at byte 8"},
    {"{\"bars\":{\"NOPE\":[]},\"next_page_token\":null}", "expected a symbol that was asked for at byte 9"},
    {"{\"bars\":{\"AAA\\u0000\":[]},\"next_page_token\":null}", "expected a symbol that was asked for at byte 9"},
    {"{\"bars\":[],\"symbol\":\"NOPE\",\"next_page_token\":null}", "was not asked for"},
    {"{\"bars\":[],\"next_page_token\":null}", "expected 'symbol' before the end"},
    {"{\"bars\":[],\"symbol\":7,\"next_page_token\":null}", "expected a symbol or null at byte 20"},
    {"{\"next_page_token\":null}", "expected the rows before the end at byte 24"},
    {"{\"symbol\":null,\"next_page_token\":\"x\"}", "expected the rows before the end"},
    {"{\"symbol\":\"BB\",\"trades\":[],\"next_page_token\":null}", "holds other data than 'bars'"},
    {"{\"bars\":{},\"bars\":{},\"next_page_token\":null}", "expected each member once at byte 11"},
    {"{\"next_page_token\":null,\"bars\":{},\"next_page_token\":\"x\"}", "expected each member once"},
    {"{\"bars\":{},\"next_page_token\":\"\"}", "expected a page token of 1 to 4096 bytes or null at byte 29"},
    {"{\"bars\":{},\"next_page_token\":7}", "expected a page token"},
    {"{\"bars\":{},\"next_page_token\":\"a\\u0000b\"}", "expected a page token"},
    {"{\"trades\":{\"AAA\":[]},\"next_page_token\":null}", "expected the rows before the end"},
    {"{\"results\":[],\"next_page_token\":null}", "expected the rows before the end"},
    {"{\"bars\":{},\"x\":\"\xff\",\"next_page_token\":null}", "expected UTF-8 at byte 16"},
    {"{\"bars\":{},\"x\":\"\n\",\"next_page_token\":null}", "expected no control character at byte 16"},
    {"{\"bars\":{},\"x\":\"\\ud800\",\"next_page_token\":null}", "surrogate"},
    {"{\"bars\":{},\"x\":\"\\q\",\"next_page_token\":null}", "expected an escaped character"},
    {"{\"bars\":{},\"x\":01,\"next_page_token\":null}", "expected a value at byte 15"},
    {"{\"bars\":{},\"x\":tru,\"next_page_token\":null}", "expected a value at byte 15"},
    {"{\"bars\":{},\"next_page_token\":null,}", "expected a string at byte 34"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) expect_refused(TL_WIRE_BARS, cases[i].body, cases[i].reason);
}

static void brackets_nest_64_deep_and_no_deeper(void **state) {
  (void)state;
  for (int levels = 62; levels <= 65; levels++) { /* and the page's own bracket */
    tl_buf body = {0};
    tl_buf_appends(&body, "{\"next_page_token\":null,\"bars\":{},\"x\":", NULL);
    for (int i = 0; i < levels; i++) tl_buf_appends(&body, "[", NULL);
    for (int i = 0; i < levels; i++) tl_buf_appends(&body, "]", NULL);
    tl_buf_appends(&body, "}", NULL);
    if (levels <= 63) expect(TL_WIRE_BARS, body.data, "");
    else expect_refused(TL_WIRE_BARS, body.data, "expected fewer levels of brackets at byte ");
    tl_buf_deinit(&body);
  }
}

/* A list where the map belongs is damage, also when only one symbol was asked for. */
static void a_list_without_symbol_is_no_page(void **state) {
  (void)state;
  static const char body[] = "{\"quotes\":[],\"next_page_token\":null}";
  tl_ask ask = ask_of(TL_WIRE_QUOTES, 1);
  for (size_t i = 0; i < 2; i++) assert_int_equal(decoders[i](&ask, body, strlen(body), &page, NULL), TL_EDECODE);
}

/* Every prefix of a good page is refused: nothing cut off passes as the last page. */
static void no_prefix_of_a_page_is_a_page(void **state) {
  (void)state;
  static const char body[] = "{\"next_page_token\":null,\"trades\":{\"AAA\":[{" T "\"p\":1.25,\"c\":[\"@\"],\"x\":\"V\"},{" T "\"p\":2}]},\"currency\":\"USD\"}";
  tl_ask ask = ask_of(TL_WIRE_TRADES, 3);
  for (size_t len = 0; len < strlen(body); len++) {
    char *cut = tl_alloc(len ? len : 1); /* its own block: a sanitizer sees the first byte too far */
    memcpy(cut, body, len);
    for (size_t i = 0; i < 2; i++) assert_int_equal(decoders[i](&ask, cut, len, &page, NULL), TL_EDECODE);
    tl_free(cut);
  }
  expect(TL_WIRE_TRADES, body, "AAA\n" AT " 1.25 - 'V' ['@'] - - -\n" AT " 2 - - - - - -\n");
}

/* The quick path keeps the last date it read; an empty cache must match nothing. */
static void ten_nul_bytes_are_no_date(void **state) {
  (void)state;
  tl_buf body = {0};
  tl_buf_appends(&body, "{\"next_page_token\":null,\"bars\":{\"AAA\":[", NULL);
  size_t date = body.len + strlen("{\"t\":\"");
  for (int i = 0; i < 12; i++) tl_buf_appendf(&body, NULL, "%s%s", i ? "," : "", ROW("30"));
  tl_buf_appends(&body, "]}}", NULL);
  memset(body.data + date, 0, 10);
  tl_ask ask = ask_of(TL_WIRE_BARS, 3);
  tl_page fresh;
  tl_page_init(&fresh, words);
  for (size_t i = 0; i < 2; i++) assert_int_equal(decoders[i](&ask, body.data, body.len, &fresh, NULL), TL_EDECODE);
  tl_page_deinit(&fresh);
  tl_buf_deinit(&body);
}

/* The quick path keeps the minute it read last; the first and the last minute there are cannot be had whole. */
static void times_at_the_ends_of_their_range(void **state) {
  (void)state;
  static const char *const times[] = {"1677-09-21T00:12:43.145224192Z", "1677-09-21T00:12:43.2Z", "1677-09-21T00:12:43.145224191Z", "1677-09-21T00:13:00Z",
                                      "2262-04-11T23:46:59Z", "2262-04-11T23:47:16Z", "2262-04-11T23:47:16.854775807Z",
                                      "2262-04-11T23:47:16.854775808Z", "2262-04-11T23:47:59Z"};
  static const bool good[] = {true, true, false, true, true, true, true, false, false};
  tl_buf body = {0};
  tl_buf_appends(&body, "{\"next_page_token\":null,\"trades\":{\"AAA\":[", NULL);
  for (int i = 0; i < 27; i++) tl_buf_appendf(&body, NULL, "%s{\"t\":\"%s\",\"p\":1.5,\"s\":%d}", i ? "," : "", times[i % 9], i);
  tl_buf_appends(&body, "]}}", NULL);
  tl_ask ask = ask_of(TL_WIRE_TRADES, 3);
  for (size_t k = 0; k < 2; k++) {
    assert_int_equal(decoders[k](&ask, body.data, body.len, &page, NULL), TL_OK);
    assert_int_equal(page.batch.rows, 18);
    for (size_t i = 0, row = 0; i < 27; i++) {
      if (!good[i % 9]) continue;
      char text_of[TL_TIME_TEXT_MAX];
      tl_time_format(tl_batch_times(&page.batch)[row], -1, text_of);
      assert_string_equal(text_of, times[i % 9]);
      assert_int_equal(page.batch.columns[TL_TRADES_SIZE].i64[row++], i);
    }
  }
  tl_buf_deinit(&body);
}

#ifdef TL_FAULTS
static void sweep(decoder decode, const char *body) {
  tl_ask ask = ask_of(TL_WIRE_TRADES, 3);
  for (long n = 1; n < 1000; n++) {
    int64_t before = tl_alloc_live();
    tl_words *own_words = NULL;
    tl_page own = {0};
    tl_error err = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = tl_words_open(&own_words, &err);
    if (!st) {
      tl_page_init(&own, own_words);
      st = decode(&ask, body, strlen(body), &own, &err);
      assert_true(st == TL_OK || own.batch.rows == 0);
    }
    bool fired = tl_fault_disarm();
    tl_page_deinit(&own);
    tl_words_close(own_words);
    assert_int_equal(tl_alloc_live(), before);
    assert_int_equal(st, fired ? TL_ENOMEM : TL_OK);
    if (!fired) return;
  }
  fail_msg("still faulting");
}

static void every_failed_allocation_is_told(void **state) {
  (void)state;
  static const char body[] = "{\"symbol\":\"BB\",\"trades\":[{" T "\"p\":1.25,\"c\":[\"@\",\"\\u0049\"],\"x\":\"V\"},{\"p\":1},{},{" T "\"p\":2,\"c\":\"I\"}],"
                             "\"next_page_token\":\"QQ==\"}";
  sweep(tl_alpaca_page, body);
  sweep(tl_alpaca_page_plain, body);
}
#endif

static int set_up(void **state) {
  (void)state;
  if (tl_words_open(&words, NULL)) return -1;
  tl_page_init(&page, words);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  tl_page_deinit(&page);
  tl_buf_deinit(&text);
  tl_words_close(words);
  return tl_alloc_live() == 0 ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(bars),
    cmocka_unit_test(a_time_that_is_no_time_is_a_reject),
    cmocka_unit_test(trades),
    cmocka_unit_test(quotes),
    cmocka_unit_test(long_texts_are_rejects),
    cmocka_unit_test(envelopes),
    cmocka_unit_test(what_is_no_page_is_refused_with_the_byte),
    cmocka_unit_test(brackets_nest_64_deep_and_no_deeper),
    cmocka_unit_test(a_list_without_symbol_is_no_page),
    cmocka_unit_test(no_prefix_of_a_page_is_a_page),
    cmocka_unit_test(ten_nul_bytes_are_no_date),
    cmocka_unit_test(times_at_the_ends_of_their_range),
#ifdef TL_FAULTS
    cmocka_unit_test(every_failed_allocation_is_told),
#endif
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
