/* Tokens of SQL text: nothing that looks like a call inside text, names or comments is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "serve/sql_tokens.h"

/* "W:select B: T:'a' ..." */
static const char *tokens_of(const char *sql) {
  static char out[1024];
  size_t used = 0;
  out[0] = 0;
  for (tl_token t = tl_token_next(sql); t.kind != TL_TOKEN_END; t = tl_token_next(t.at + t.len))
    if (t.kind != TL_TOKEN_BLANK)
      used += (size_t)snprintf(out + used, sizeof out - used, "%s%c:%.*s", used ? " " : "", "EBWTO"[t.kind], (int)t.len, t.at);
  return out;
}

static void texts_names_and_comments_are_one_token(void **state) {
  (void)state;
  static const struct {
    const char *sql, *tokens;
  } rows[] = {
    {"", ""},
    {"select 1.5e3, x$y", "W:select W:1 O:. W:5e3 O:, W:x$y"},
    {"'it''s' 'x", "T:'it''s' T:'x"},
    {"\"a\"\"'b\" 'c'", "O:\"a\"\"'b\" T:'c'"},
    {"e'a\\'b' E'\\\\' ee'x'", "O:e'a\\'b' O:E'\\\\' W:ee T:'x'"},
    {"$$ 'a' $$ $t$ $$ b' $t$ $1", "O:$$ 'a' $$ O:$t$ $$ b' $t$ O:$ W:1"},
    {"a -- 'b'\nc", "W:a W:c"},
    {"a /* x /* 'y */ z' */ b", "W:a W:b"},
    {"a /* open", "W:a"},
    {"a - -1 / 2 * 3", "W:a O:- O:- W:1 O:/ W:2 O:* W:3"},
    {"\xc3\xa9t\xc3\xa9 = 'x'", "W:\xc3\xa9t\xc3\xa9 O:= T:'x'"},
    {"delta('a''b',version=>3)", "W:delta O:( T:'a''b' O:, W:version O:= O:> W:3 O:)"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_string_equal(tokens_of(rows[i].sql), rows[i].tokens);
}

static void every_byte_belongs_to_one_token(void **state) {
  (void)state;
  /* Every byte belongs to exactly one token, whatever the text: all strings of length 5 over what starts something. */
  static const char alphabet[] = "'\"$-/*eE\\ a\n.1";
  size_t n = sizeof alphabet - 1;
  char sql[6] = {0};
  for (size_t code = 0; code < n * n * n * n * n; code++) {
    size_t rest = code;
    for (int i = 0; i < 5; i++, rest /= n) sql[i] = alphabet[rest % n];
    size_t covered = 0;
    for (tl_token t = tl_token_next(sql); t.kind != TL_TOKEN_END; t = tl_token_next(t.at + t.len)) {
      assert_ptr_equal(t.at, sql + covered);
      assert_true(t.len > 0);
      covered += t.len;
      assert_true(covered <= 5);
    }
    assert_int_equal(covered, 5);
  }
}

static void a_word_is_known_in_any_case_and_whole(void **state) {
  (void)state;
  tl_token t = tl_token_after(" /* x */ -- y\n DELTA('x')");
  assert_true(tl_token_is(&t, "delta"));
  assert_false(tl_token_is(&t, "delt"));
  assert_false(tl_token_is(&t, "deltas"));
  assert_int_equal(tl_token_after("  -- nothing").kind, TL_TOKEN_END);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(texts_names_and_comments_are_one_token), cmocka_unit_test(every_byte_belongs_to_one_token), cmocka_unit_test(a_word_is_known_in_any_case_and_whole)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
