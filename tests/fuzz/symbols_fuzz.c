/* Any bytes as a symbol list (CSV or lines), and as one symbol: no duplicates, every symbol names one harmless path
 * component that gives it back, and quotes cannot be escaped from in SQL. */
#include "market/symbol.h"
#include "tests/fuzz/check.h"

static void check_escape(const char *symbol, size_t len) {
  char name[TL_SYMBOL_ESCAPED_MAX + 1];
  tl_error err = {0};
  tl_status st = tl_symbol_escape(symbol, len, name, &err);
  check((st == TL_OK) == (tl_symbol_check(symbol, len, NULL) == TL_OK), "a symbol that passes has no file name, or the other way");
  if (st) {
    check(err.message[0], "a refusal without a reason");
    return;
  }
  check(*name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0, "the name means a folder");
  check(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-%") == strlen(name), "a byte that is not harmless");
  tl_buf back = {0};
  check(tl_symbol_unescape(name, strlen(name), &back, &err) == TL_OK && back.len == len && !memcmp(back.data, symbol, len), "the name does not give the symbol back");
  tl_buf_deinit(&back);
}

static void check_list(const char *data, size_t size, tl_status (*add)(tl_symbols *, const char *, size_t, tl_error *)) {
  tl_symbols list = {0};
  tl_error err = {0};
  if (add(&list, data, size, &err)) check(err.message[0], "a refusal without a reason");
  for (size_t i = 0; i < list.count; i++) {
    size_t at = SIZE_MAX;
    check(tl_symbols_find(&list, list.items[i], strlen(list.items[i]), &at) && at == i, "a symbol occurs twice or is not found");
    check_escape(list.items[i], strlen(list.items[i]));
  }
  tl_symbols_deinit(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data;
  check_list(text, size, tl_symbols_add_csv);
  check_list(text, size, tl_symbols_add_lines);
  if (size) check_escape(text, size);
  tl_buf sql = {0}, back = {0};
  if (tl_sql_quote(&sql, text, size, NULL) == TL_OK) {
    size_t end = 1;
    for (; end < sql.len && (sql.data[end] != '\'' || sql.data[end + 1] == '\''); end++) end += sql.data[end] == '\'';
    check(end + 1 == sql.len && !memchr(sql.data, 0, sql.len), "the literal ends early");
  }
  if (tl_symbol_unescape(text, size, &back, NULL) == TL_OK) check(tl_symbol_check(back.data, back.len, NULL) == TL_OK, "an unescaped name is no symbol");
  tl_buf_deinit(&sql);
  tl_buf_deinit(&back);
  return 0;
}
