/* symbol_test.c - symbols as values, file names, SQL text and lists. The truth: tables by hand. */
#include "market/symbol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/prng.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define NFC "\xC3\xA9"
#define NFD "e\xCC\x81"
#define RTL "\xE2\x80\x8F"

/* ---- names ---- */

static void names_are_safe_and_come_back(void **state) {
  (void)state;
  static const struct {
    const char *symbol, *escaped;
  } cases[] = {
    {"AAPL", "AAPL"}, {"aapl", "aapl"}, {"BRK.B", "BRK.B"}, {"BRK/B", "BRK%2FB"}, {"BTC/USD", "BTC%2FUSD"},
    {"../../etc", "..%2F..%2Fetc"}, {"..", "%2E%2E"}, {".", "%2E"}, {"...", "%2E%2E%2E"}, {"../x", "..%2Fx"}, {"CON", "CON"},
    {"%2e%2e", "%252e%252e"}, {"%", "%25"}, {NFC " \xE2\x9C\x93 \xE6\xBC\xA2", "%C3%A9%20%E2%9C%93%20%E6%BC%A2"}, {NFD, "e%CC%81"},
    {"A" RTL "B", "A%E2%80%8FB"}, {"-rf", "-rf"}, {"_x", "_x"}, {"'", "%27"}, {"\"", "%22"}, {"a\nb", "a%0Ab"}, {"a=b", "a%3Db"},
    {"a\\b", "a%5Cb"}, {"~x", "~x"}, {" ", "%20"}, {"\x7F", "%7F"}, {"*?", "%2A%3F"}, {"a:b", "a%3Ab"},
  };
  tl_buf back = {0};
  for (size_t i = 0; i < COUNT(cases); i++) {
    char escaped[TL_SYMBOL_ESCAPED_MAX + 1];
    size_t len = strlen(cases[i].symbol);
    assert_int_equal(tl_symbol_check(cases[i].symbol, len, NULL), TL_OK);
    assert_int_equal(tl_symbol_escape(cases[i].symbol, len, escaped, NULL), TL_OK);
    assert_string_equal(escaped, cases[i].escaped);
    assert_null(strchr(escaped, '/'));
    assert_int_equal(tl_symbol_unescape(escaped, strlen(escaped), &back, NULL), TL_OK);
    assert_int_equal(back.len, len);
    assert_memory_equal(back.data, cases[i].symbol, len);
  }
  tl_buf_deinit(&back);
}

static void random_names_are_safe_and_come_back(void **state) {
  (void)state;
  static const char *const parts[] = {"A", "z", ".", "..", "/", "%", "%2F", "\n", "\x01", NFC, "\xF0\x9F\x93\x88", " ", "-", "_", "=", "'"};
  tl_prng prng = tl_prng_init(19);
  tl_buf symbol = {0}, back = {0};
  for (int i = 0; i < 20000; i++) {
    char escaped[TL_SYMBOL_ESCAPED_MAX + 1];
    tl_buf_clear(&symbol);
    for (uint64_t n = 1 + tl_prng_below(&prng, 12); n > 0; n--) tl_buf_appends(&symbol, parts[tl_prng_below(&prng, COUNT(parts))], NULL);
    assert_int_equal(tl_symbol_escape(symbol.data, symbol.len, escaped, NULL), TL_OK);
    assert_int_equal(strspn(escaped, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-%"), strlen(escaped));
    assert_true(strcmp(escaped, ".") != 0 && strcmp(escaped, "..") != 0);
    assert_int_equal(tl_symbol_unescape(escaped, strlen(escaped), &back, NULL), TL_OK);
    assert_true(back.len == symbol.len && memcmp(back.data, symbol.data, back.len) == 0);
  }
  tl_buf_deinit(&symbol);
  tl_buf_deinit(&back);
}

static void what_cannot_be_a_symbol_is_refused_by_name(void **state) {
  (void)state;
  char long_name[4097], wide[200];
  memset(long_name, 'A', sizeof long_name - 1);
  long_name[4096] = 0;
  memset(wide, '/', sizeof wide);
  const struct {
    const char *symbol;
    size_t len;
    const char *message; /* NULL: accepted */
  } cases[] = {
    {"", 0, "empty"}, {"a\0b", 3, "'a%00b': it contains a NUL"}, {"\0", 1, "NUL"}, {long_name, 4096, "AAA...': its file name"},
    {long_name, 201, "200"}, {long_name, 200, NULL}, {wide, 66, NULL}, {wide, 67, "200"}, {"\xFF", 1, "'%FF': it is not UTF-8"},
    {"\xC3", 1, "UTF-8"}, {"\xED\xA0\x80", 3, "UTF-8"}, {"A\xC3\xA9", 2, "UTF-8"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_error err = {0};
    tl_status st = tl_symbol_check(cases[i].symbol, cases[i].len, &err);
    assert_int_equal(st, cases[i].message ? TL_EUSAGE : TL_OK);
    if (cases[i].message && !strstr(err.message, cases[i].message)) fail_msg("'%s' lacks '%s'", err.message, cases[i].message);
  }
}

static void foreign_spellings_of_names_are_understood(void **state) {
  (void)state;
  static const struct {
    const char *name, *symbol; /* NULL: refused */
  } cases[] = {
    {"BTC%2fUSD", "BTC/USD"}, {"%41APL", "AAPL"}, {"a b", "a b"}, {NFC, NFC}, {"BRK%2EB", "BRK.B"}, {"a+b", "a+b"},
    {"%", NULL}, {"%2", NULL}, {"%2G", NULL}, {"%G2", NULL}, {"AAPL%", NULL}, {"%00", NULL}, {"", NULL}, {"%FF", NULL}, {"%%41", NULL},
  };
  tl_buf out = {0};
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_error err = {0};
    size_t len = strlen(cases[i].name);
    char *exact = test_malloc(len ? len : 1);
    memcpy(exact, cases[i].name, len);
    assert_int_equal(tl_symbol_unescape(exact, len, &out, &err), cases[i].symbol ? TL_OK : TL_EUSAGE);
    if (cases[i].symbol) assert_string_equal(out.data, cases[i].symbol);
    else assert_true(err.message[0] != 0);
    test_free(exact);
  }
  tl_buf_deinit(&out);
}

static void sql_text_is_quoted(void **state) {
  (void)state;
  static const struct {
    const char *text, *literal, *identifier;
  } cases[] = {
    {"AAPL", "'AAPL'", "\"AAPL\""}, {"", "''", "\"\""}, {"O'Neil", "'O''Neil'", "\"O'Neil\""}, {"a\"b", "'a\"b'", "\"a\"\"b\""},
    {"'; DROP TABLE t; --", "'''; DROP TABLE t; --'", "\"'; DROP TABLE t; --\""}, {"a\\'b", "'a\\''b'", "\"a\\'b\""}, {"a\nb", "'a\nb'", "\"a\nb\""},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_buf out = {0};
    tl_buf_appends(&out, "=", NULL);
    assert_int_equal(tl_sql_quote(&out, cases[i].text, strlen(cases[i].text), NULL), TL_OK);
    assert_string_equal(out.data + 1, cases[i].literal);
    assert_int_equal(out.len, strlen(out.data));
    tl_buf_clear(&out);
    assert_int_equal(tl_sql_identifier(&out, cases[i].text, strlen(cases[i].text), NULL), TL_OK);
    assert_string_equal(out.data, cases[i].identifier);
    tl_buf_deinit(&out);
  }
  tl_buf out = {0};
  assert_int_equal(tl_sql_quote(&out, "a\0b", 3, NULL), TL_EUSAGE);
  assert_int_equal(tl_sql_identifier(&out, "a\0b", 3, NULL), TL_EUSAGE);
  assert_int_equal(out.len, 0);
}

/* ---- lists ---- */

static char *shown(const tl_symbols *symbols, char out[256]) { /* "[AAPL] [MSFT] " */
  size_t used = 0;
  out[0] = 0;
  for (size_t i = 0; i < symbols->count; i++) used += (size_t)snprintf(out + used, 256 - used, "[%s] ", symbols->items[i]);
  return out;
}

static void an_argument_is_a_comma_list(void **state) {
  (void)state;
  static const struct {
    const char *argument, *expected; /* NULL: refused */
  } cases[] = {
    {"AAPL", "[AAPL] "}, {"AAPL,MSFT", "[AAPL] [MSFT] "}, {" AAPL , MSFT ", "[AAPL] [MSFT] "}, {"MSFT,AAPL,MSFT,aapl", "[MSFT] [AAPL] [aapl] "},
    {"BTC/USD,../x,-rf,_x,'", "[BTC/USD] [../x] [-rf] [_x] ['] "}, {NFC "," NFD, "[" NFC "] [" NFD "] "}, {"BRK B", "[BRK B] "},
    {"", NULL}, {",", NULL}, {"AAPL,", NULL}, {"AAPL,,MSFT", NULL}, {"\xFF", NULL},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_symbols symbols = {0};
    tl_error err = {0};
    char text[256];
    tl_status st = tl_symbols_parse(&symbols, cases[i].argument, &err);
    assert_int_equal(st, cases[i].expected ? TL_OK : TL_EUSAGE);
    if (cases[i].expected) assert_string_equal(shown(&symbols, text), cases[i].expected);
    else assert_true(err.message[0] != 0);
    tl_symbols_deinit(&symbols);
    tl_symbols_deinit(&symbols);
  }
  assert_string_equal(tl_symbols_index_name("index:SP500"), "SP500");
  assert_null(tl_symbols_index_name("AAPL"));
  assert_null(tl_symbols_index_name("INDEX:x"));
}

static void text_files_have_one_symbol_a_line(void **state) {
  (void)state;
  static const struct {
    const char *content, *expected; /* expected with "line" is the error */
  } cases[] = {
    {"AAPL\nMSFT\n", "[AAPL] [MSFT] "}, {"AAPL\r\nMSFT", "[AAPL] [MSFT] "}, {"\xEF\xBB\xBF" "AAPL\n", "[AAPL] "},
    {"# my list\n\nAAPL # Apple\n\tMSFT\t\nAAPL\n#GOOG\n", "[AAPL] [MSFT] "}, {"BRK#A\n", "[BRK#A] "}, {"AAPL#\n", "[AAPL#] "}, {"", ""}, {"\n \n", ""},
    {"AAPL\n\n\xFF\n", "line 3: "}, {"A,B\n", "[A,B] "},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_symbols symbols = {0};
    tl_error err = {0};
    char text[256];
    size_t len = strlen(cases[i].content);
    char *exact = test_malloc(len ? len : 1);
    memcpy(exact, cases[i].content, len);
    tl_status st = tl_symbols_add_lines(&symbols, exact, len, &err);
    if (strncmp(cases[i].expected, "line", 4) == 0) assert_non_null(strstr(err.message, cases[i].expected));
    else assert_true(st == TL_OK && strcmp(shown(&symbols, text), cases[i].expected) == 0);
    tl_symbols_deinit(&symbols);
    test_free(exact);
  }
}

static void csv_files_have_a_column_of_symbols(void **state) {
  (void)state;
  static const struct {
    const char *content, *expected;
  } cases[] = {
    {"symbol\nAAPL\nMSFT\n", "[AAPL] [MSFT] "},
    {"Name,Symbol,Weight\nApple,AAPL,7\nMicrosoft,MSFT,6\n", "[AAPL] [MSFT] "},
    {"TICKER;x,Ticker\n1,AAPL\n", "[AAPL] "},
    {"ticker,symbol\nA1,AAPL\n", "[AAPL] "},              /* symbol wins over ticker, wherever it stands */
    {"symbol,ticker\nAAPL,A1\n", "[AAPL] "},
    {"SYMBOL,added_date\r\nAAPL,2024-01-01\r\nMSFT,2024-01-01\r\n", "[AAPL] [MSFT] "},
    {"\xEF\xBB\xBFsymbol,x\nAAPL,1\n", "[AAPL] "},
    {"\xEF\xBB\xBF\"symbol\",x\nAAPL,1\n", "[AAPL] "},
    {"Company,Sector\nAAPL,Tech\nMSFT,Tech\n", "[AAPL] [MSFT] "}, /* no such column: the first, its header known by case */
    {"AAPL\nMSFT\n", "[AAPL] [MSFT] "},                   /* no header at all loses no symbol */
    {"aapl\nmsft\n", "[aapl] [msft] "},
    {"aapl\n", "[aapl] "},
    {"AAPL,Apple\nMSFT,Microsoft", "[AAPL] [MSFT] "},
    {"symbol\n\"BTC/USD\"\n\"a,b\"\n\"say \"\"hi\"\"\"\n\"two\nlines\"\n", "[BTC/USD] [a,b] [say \"hi\"] [two\nlines] "},
    {"symbol\n\" padded \"\n  plain  \n", "[ padded ] [plain] "},
    {"symbol\n../x\n" NFC " \xE2\x9C\x93 \xE6\xBC\xA2\n", "[../x] [" NFC " \xE2\x9C\x93 \xE6\xBC\xA2] "},
    {"symbol\nAAPL\n\n,,\nAAPL\nMSFT\n", "[AAPL] [MSFT] "}, /* blank rows, duplicates */
    {"symbol\rAAPL\rMSFT\r", "[AAPL] [MSFT] "},
    {"", ""}, {"symbol\n", ""},
    {"x,symbol\n1,AAPL\n2\n", "line 3: "},                /* a row without its symbol */
    {"x,symbol\n1,AAPL\n2,\n", "line 3: "},
    {"symbol\nAAPL\n\"MSFT\n", "line 4: a quote is not closed"},
    {"symbol\nAAPL\n\"MS\"FT\n", "line 3: text follows"},
    {"symbol\nAAPL\n\xC3\n", "line 3: "},
    {"\"symbol\nAAPL\n", "a quote is not closed"},
    {"x,symbol\n\"a\nb\",AAPL\n1,\n", "line 4: "},         /* lines are counted inside quotes too */
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_symbols symbols = {0};
    tl_error err = {0};
    char text[256];
    size_t len = strlen(cases[i].content);
    char *exact = test_malloc(len ? len : 1);
    memcpy(exact, cases[i].content, len);
    tl_status st = tl_symbols_add_csv(&symbols, exact, len, &err);
    if (st ? !strstr(err.message, cases[i].expected) : strcmp(shown(&symbols, text), cases[i].expected) != 0)
      fail_msg("case %zu gave %s%s", i, st ? err.message : "", st ? "" : text);
    assert_true(st == TL_OK || st == TL_EUSAGE);
    tl_symbols_deinit(&symbols);
    test_free(exact);
  }
}

static void a_nul_byte_in_a_list_is_refused_not_cut(void **state) {
  (void)state;
  tl_symbols symbols = {0};
  assert_int_equal(tl_symbols_add_csv(&symbols, "symbol\na\0b\n", 11, NULL), TL_EUSAGE);
  assert_int_equal(tl_symbols_add_lines(&symbols, "a\0b\n", 4, NULL), TL_EUSAGE);
  assert_int_equal(symbols.count, 0);
  tl_symbols_deinit(&symbols);
}

static char folder[] = "/tmp/ticklake_symbols_XXXXXX";

static char *file_with(const char *name, const char *content) { /* "@path" */
  char path[200], *argument = test_malloc(220);
  snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_int_equal(tl_io_replace(path, content, strlen(content), NULL), TL_OK);
  snprintf(argument, 220, "@%s", path);
  return argument;
}

static void list_files_are_told_apart_by_their_name(void **state) {
  (void)state;
  static const struct {
    const char *name, *content, *expected, *error;
  } cases[] = {
    {"list.csv", "Name,Symbol\nApple,AAPL\n", "[AAPL] ", NULL},
    {"LIST.CSV", "Name,Symbol\nApple,AAPL\n", "[AAPL] ", NULL},
    {"list.txt", "AAPL\n# x\nMSFT\n", "[AAPL] [MSFT] ", NULL},
    {"list", "AAPL\n", "[AAPL] ", NULL},
    {"empty.txt", "# nothing\n", NULL, "has no symbols"},
    {"bad.txt", "AAPL\n\xFF\n", NULL, "bad.txt': line 2"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    tl_symbols symbols = {0};
    tl_error err = {0};
    char text[256], *argument = file_with(cases[i].name, cases[i].content);
    tl_status st = tl_symbols_parse(&symbols, argument, &err);
    if (cases[i].expected) {
      assert_int_equal(st, TL_OK);
      assert_string_equal(shown(&symbols, text), cases[i].expected);
    } else {
      assert_int_equal(st, TL_EUSAGE);
      assert_non_null(strstr(err.message, cases[i].error));
    }
    tl_symbols_deinit(&symbols);
    tl_io_unlink(argument + 1, NULL);
    test_free(argument);
  }
  tl_symbols symbols = {0};
  tl_error err = {0};
  assert_int_equal(tl_symbols_parse(&symbols, "@/nonexistent/list.csv", &err), TL_ENOTFOUND);
  assert_non_null(strstr(err.message, "/nonexistent/list.csv"));
}

static void a_long_list_keeps_order_and_finds_its_items(void **state) {
  (void)state;
  tl_symbols symbols = {0};
  char name[16];
  size_t index;
  for (int round = 0; round < 2; round++)
    for (size_t i = 0; i < 12000; i++) {
      size_t len = (size_t)snprintf(name, sizeof name, "S%zu", i * 7);
      assert_int_equal(tl_symbols_add(&symbols, name, len, NULL), TL_OK);
    }
  assert_int_equal(symbols.count, 12000);
  for (size_t i = 0; i < 12000; i++) {
    size_t len = (size_t)snprintf(name, sizeof name, "S%zu", i * 7);
    assert_string_equal(symbols.items[i], name);
    assert_true(tl_symbols_find(&symbols, name, len, &index) && index == i);
  }
  assert_true(tl_symbols_find(&symbols, "S70", 2, &index) && index == 1); /* the length counts, not the NUL */
  assert_false(tl_symbols_find(&symbols, "S", 1, NULL));
  assert_false(tl_symbols_find(&symbols, "S0\0", 3, NULL));
  tl_symbols_deinit(&symbols);
  assert_false(tl_symbols_find(&symbols, "S0", 2, NULL));
}

#ifdef TL_FAULTS
static tl_status whole_use(const char *argument, tl_error *err) {
  tl_symbols symbols = {0};
  tl_buf text = {0};
  tl_status st = tl_symbols_parse(&symbols, argument, err);
  for (int i = 0; !st && i < 40; i++) {
    char name[8];
    st = tl_symbols_add(&symbols, name, (size_t)snprintf(name, sizeof name, "N%d", i), err);
  }
  if (!st) st = tl_symbol_unescape("a%20b", 5, &text, err);
  if (!st) st = tl_sql_quote(&text, "x", 1, err);
  tl_buf_deinit(&text);
  tl_symbols_deinit(&symbols);
  return st;
}

static void every_failed_allocation_or_read_is_an_error_without_a_leak(void **state) {
  (void)state;
  static const tl_seam seams[] = {TL_SEAM_ALLOC, TL_SEAM_DISK};
  char *argument = file_with("list.csv", "Name,Other\n\"Ap\"\"ple\",x\nMSFT,y\n");
  for (size_t s = 0; s < COUNT(seams); s++)
    for (long n = 1;; n++) {
      tl_error err = {0};
      int64_t live = tl_alloc_live();
      tl_fault_arm(seams[s], n, TL_FAULT_ERROR, 5);
      tl_status st = whole_use(argument, &err);
      bool fired = tl_fault_disarm();
      assert_int_equal(fired, st != TL_OK);
      assert_true(st == TL_OK || err.message[0]);
      assert_int_equal(tl_alloc_live(), live);
      if (!fired) break;
    }
  tl_io_unlink(argument + 1, NULL);
  test_free(argument);
}
#endif

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
  (void)state;
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(names_are_safe_and_come_back),
    cmocka_unit_test(random_names_are_safe_and_come_back),
    cmocka_unit_test(what_cannot_be_a_symbol_is_refused_by_name),
    cmocka_unit_test(foreign_spellings_of_names_are_understood),
    cmocka_unit_test(sql_text_is_quoted),
    cmocka_unit_test(an_argument_is_a_comma_list),
    cmocka_unit_test(text_files_have_one_symbol_a_line),
    cmocka_unit_test(csv_files_have_a_column_of_symbols),
    cmocka_unit_test(a_nul_byte_in_a_list_is_refused_not_cut),
    cmocka_unit_test(list_files_are_told_apart_by_their_name),
    cmocka_unit_test(a_long_list_keeps_order_and_finds_its_items),
#ifdef TL_FAULTS
    cmocka_unit_test(every_failed_allocation_or_read_is_an_error_without_a_leak),
#endif
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
