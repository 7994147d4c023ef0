/* schema.c - the column table; see schema.h. */
#include "market/schema.h"

#include <assert.h>
#include <string.h>

#define TIME_COLUMN(meaning) {"timestamp", TL_TIME, false, "ns since 1970 UTC", meaning}

static const tl_column_def bars[] = {
  TIME_COLUMN("start of the bar"),
  {"open", TL_F64, false, "currency", "price of the first trade"},
  {"high", TL_F64, false, "currency", "highest price"},
  {"low", TL_F64, false, "currency", "lowest price"},
  {"close", TL_F64, false, "currency", "price of the last trade"},
  {"volume", TL_I64, true, "shares", "sum of the sizes"},
  {"trade_count", TL_I64, true, "trades", "trades that count for volume"},
  {"vwap", TL_F64, true, "currency", "volume-weighted average price"},
};
static const tl_column_def trades[] = {
  TIME_COLUMN("when the trade was reported"),
  {"price", TL_F64, false, "currency", "price of one share"},
  {"size", TL_I64, true, "shares", "shares traded"},
  {"exchange", TL_WORD, true, "", "venue code"},
  {"conditions", TL_WORDS, true, "", "sale conditions"},
  {"trade_id", TL_I64, true, "", "id, unique by symbol, day and venue"},
  {"tape", TL_WORD, true, "", "consolidated tape: A, B or C"},
  {"update", TL_WORD, true, "", "the vendor's correction word: canceled, incorrect or corrected"},
};
static const tl_column_def quotes[] = {
  TIME_COLUMN("when the quote was reported"),
  {"bid_price", TL_F64, true, "currency", "best bid; 0 when there is none"},
  {"bid_size", TL_I64, true, "as the vendor states", "size at the bid"},
  {"bid_exchange", TL_WORD, true, "", "venue code of the bid"},
  {"ask_price", TL_F64, true, "currency", "best ask; 0 when there is none"},
  {"ask_size", TL_I64, true, "as the vendor states", "size at the ask"},
  {"ask_exchange", TL_WORD, true, "", "venue code of the ask"},
  {"conditions", TL_WORDS, true, "", "quote conditions"},
  {"tape", TL_WORD, true, "", "consolidated tape: A, B or C"},
};
static const tl_column_def quotes_1s[] = {
  TIME_COLUMN("start of the second"),
  {"bid_price", TL_F64, true, "currency", "bid of the chosen quote"},
  {"bid_size", TL_I64, true, "as the vendor states", "size at that bid"},
  {"bid_exchange", TL_WORD, true, "", "venue code of that bid"},
  {"ask_price", TL_F64, true, "currency", "ask of the chosen quote"},
  {"ask_size", TL_I64, true, "as the vendor states", "size at that ask"},
  {"ask_exchange", TL_WORD, true, "", "venue code of that ask"},
  {"spread", TL_F64, true, "currency", "ask - bid; NULL when the second has no two-sided, uncrossed quote"},
  {"quote_count", TL_I64, false, "quotes", "quotes in the second"},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
static const tl_kind_def kinds[] = {
  {TL_BARS, "bars", bars, COUNT(bars), false},
  {TL_TRADES, "trades", trades, COUNT(trades), true},
  {TL_QUOTES, "quotes", quotes, COUNT(quotes), true},
  {TL_QUOTES_1S, "quotes_1s", quotes_1s, COUNT(quotes_1s), false},
};
_Static_assert(COUNT(bars) == TL_BARS_COLUMN_COUNT, "bars: table and enum differ");
_Static_assert(COUNT(trades) == TL_TRADES_COLUMN_COUNT, "trades: table and enum differ");
_Static_assert(COUNT(quotes) == TL_QUOTES_COLUMN_COUNT, "quotes: table and enum differ");
_Static_assert(COUNT(quotes_1s) == TL_QUOTES_1S_COLUMN_COUNT, "quotes_1s: table and enum differ");
_Static_assert(COUNT(kinds) == TL_KIND_COUNT, "a kind has no table");

const char *tl_type_sql(tl_type type) {
  switch (type) {
    case TL_I64: return "BIGINT";
    case TL_F64: return "DOUBLE";
    case TL_WORD: return "VARCHAR";
    case TL_WORDS: return "VARCHAR[]";
    case TL_TIME: break;
  }
  return "TIMESTAMPTZ";
}

const tl_kind_def *tl_kind_def_of(tl_kind kind) {
  assert((unsigned)kind < TL_KIND_COUNT);
  return &kinds[kind];
}

bool tl_kind_parse(const char *name, tl_kind *out) {
  for (size_t i = 0; i < COUNT(kinds); i++)
    if (strcmp(kinds[i].name, name) == 0) {
      *out = kinds[i].kind;
      return true;
    }
  return false;
}

int tl_kind_column(const tl_kind_def *def, const char *name) {
  for (size_t i = 0; i < def->column_count; i++)
    if (strcmp(def->columns[i].name, name) == 0) return (int)i;
  return -1;
}
