/* schema_test.c - the column table, said again as text. */
#include "market/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *type_name(tl_type type) {
  static const char *const names[] = {[TL_I64] = "i64", [TL_F64] = "f64", [TL_WORD] = "word", [TL_WORDS] = "words", [TL_TIME] = "time"};
  return names[type];
}

static void columns_have_these_names_types_and_order(void **state) {
  (void)state;
  static const struct {
    tl_kind kind;
    const char *name, *columns; /* ? may be NULL */
    bool has_ns;
  } cases[] = {
    {TL_BARS, "bars", "timestamp:time open:f64 high:f64 low:f64 close:f64 volume:i64? trade_count:i64? vwap:f64? ", false},
    {TL_TRADES, "trades",
     "timestamp:time price:f64 size:i64? exchange:word? conditions:words? trade_id:i64? tape:word? update:word? ", true},
    {TL_QUOTES, "quotes",
     "timestamp:time bid_price:f64? bid_size:i64? bid_exchange:word? ask_price:f64? ask_size:i64? ask_exchange:word? "
     "conditions:words? tape:word? ",
     true},
    {TL_QUOTES_1S, "quotes_1s",
     "timestamp:time bid_price:f64? bid_size:i64? bid_exchange:word? ask_price:f64? ask_size:i64? ask_exchange:word? "
     "spread:f64? quote_count:i64 ",
     false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const tl_kind_def *def = tl_kind_def_of(cases[i].kind);
    char text[512] = "";
    size_t used = 0;
    for (size_t c = 0; c < def->column_count; c++) {
      const tl_column_def *column = &def->columns[c];
      used += (size_t)snprintf(text + used, sizeof text - used, "%s:%s%s ", column->name, type_name(column->type), column->nullable ? "?" : "");
      assert_true(column->unit != NULL && column->meaning[0] != 0);
      assert_int_equal(tl_kind_column(def, column->name), c);
    }
    assert_string_equal(text, cases[i].columns);
    assert_string_equal(def->name, cases[i].name);
    assert_int_equal(def->kind, cases[i].kind);
    assert_int_equal(def->has_ns, cases[i].has_ns);
    assert_true(def->column_count <= TL_COLUMNS_MAX);
    assert_int_equal(tl_kind_column(def, "symbol"), -1);
    tl_kind kind = TL_KIND_COUNT;
    assert_true(tl_kind_parse(cases[i].name, &kind) && kind == cases[i].kind);
  }
  tl_kind kind;
  assert_false(tl_kind_parse("Bars", &kind) || tl_kind_parse("", &kind));
}

static void column_numbers_name_the_columns(void **state) {
  (void)state;
  static const struct {
    tl_kind kind;
    int column;
    const char *name;
  } cases[] = {
    {TL_BARS, TL_COL_TIME, "timestamp"}, {TL_BARS, TL_BARS_OPEN, "open"}, {TL_BARS, TL_BARS_VWAP, "vwap"},
    {TL_TRADES, TL_TRADES_PRICE, "price"}, {TL_TRADES, TL_TRADES_CONDITIONS, "conditions"}, {TL_TRADES, TL_TRADES_UPDATE, "update"},
    {TL_QUOTES, TL_QUOTES_ASK_PRICE, "ask_price"}, {TL_QUOTES, TL_QUOTES_TAPE, "tape"},
    {TL_QUOTES_1S, TL_QUOTES_1S_SPREAD, "spread"}, {TL_QUOTES_1S, TL_QUOTES_1S_QUOTE_COUNT, "quote_count"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_string_equal(tl_kind_def_of(cases[i].kind)->columns[cases[i].column].name, cases[i].name);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(columns_have_these_names_types_and_order),
    cmocka_unit_test(column_numbers_name_the_columns),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
