/* schema.h - the one table of columns per kind of data.
 * Providers decode into these columns, shapes compute them, stores write them; nobody repeats a column name.
 * Callers may rely on: column 0 is the row's time, named "timestamp", type TL_TIME, never NULL; a column's index is
 * the constant below; names are static strings. The symbol is not a column: a batch or file is of one symbol (or says
 * which rows are whose), and a store that wants the column writes TL_SYMBOL_COLUMN before the others.
 * In files TL_TIME is UTC microseconds; kinds with has_ns also get the column TL_NS_COLUMN (epoch nanoseconds) right
 * after it, made from the same in-memory value. Sizes and ids are as Alpaca gives them here (SPEC section 1).
 * Cost: a table look-up. Not here: the rows (batch/), how a vendor spells the columns (provider/). */
#ifndef TL_MARKET_SCHEMA_H
#define TL_MARKET_SCHEMA_H
#include <stdbool.h>
#include <stddef.h>

typedef enum tl_kind { TL_BARS, TL_TRADES, TL_QUOTES, TL_QUOTES_1S, TL_KIND_COUNT } tl_kind;

typedef enum tl_type {
  TL_I64,
  TL_F64,
  TL_WORD,  /* short string, dictionary-coded u32 */
  TL_WORDS, /* list of short strings, dictionary-coded u32 each */
  TL_TIME   /* int64 ns since 1970-01-01T00:00:00Z in memory, microseconds (floored) in files */
} tl_type;

typedef struct tl_column_def {
  const char *name;
  tl_type type;
  bool nullable;
  const char *unit, *meaning; /* unit "" where there is none */
} tl_column_def;

typedef struct tl_kind_def {
  tl_kind kind;
  const char *name; /* "bars", "trades", "quotes", "quotes_1s" */
  const tl_column_def *columns;
  size_t column_count;
  bool has_ns; /* files carry TL_NS_COLUMN after timestamp */
} tl_kind_def;

#define TL_SYMBOL_COLUMN "symbol"
#define TL_NS_COLUMN "timestamp_ns"

enum { TL_COL_TIME = 0 };
enum {
  TL_BARS_OPEN = 1,
  TL_BARS_HIGH,
  TL_BARS_LOW,
  TL_BARS_CLOSE,
  TL_BARS_VOLUME,
  TL_BARS_TRADE_COUNT,
  TL_BARS_VWAP,
  TL_BARS_COLUMN_COUNT
};
enum {
  TL_TRADES_PRICE = 1,
  TL_TRADES_SIZE,
  TL_TRADES_EXCHANGE,
  TL_TRADES_CONDITIONS,
  TL_TRADES_TRADE_ID,
  TL_TRADES_TAPE,
  TL_TRADES_UPDATE,
  TL_TRADES_COLUMN_COUNT
};
enum {
  TL_QUOTES_BID_PRICE = 1,
  TL_QUOTES_BID_SIZE,
  TL_QUOTES_BID_EXCHANGE,
  TL_QUOTES_ASK_PRICE,
  TL_QUOTES_ASK_SIZE,
  TL_QUOTES_ASK_EXCHANGE,
  TL_QUOTES_CONDITIONS,
  TL_QUOTES_TAPE,
  TL_QUOTES_COLUMN_COUNT
};
enum {
  TL_QUOTES_1S_BID_PRICE = 1,
  TL_QUOTES_1S_BID_SIZE,
  TL_QUOTES_1S_BID_EXCHANGE,
  TL_QUOTES_1S_ASK_PRICE,
  TL_QUOTES_1S_ASK_SIZE,
  TL_QUOTES_1S_ASK_EXCHANGE,
  TL_QUOTES_1S_SPREAD,
  TL_QUOTES_1S_QUOTE_COUNT,
  TL_QUOTES_1S_COLUMN_COUNT
};
#define TL_COLUMNS_MAX 9 /* columns of the widest kind */

const char *tl_type_sql(tl_type type);                      /* in SQL of files: "BIGINT" "DOUBLE" "VARCHAR" "VARCHAR[]" "TIMESTAMPTZ" */
const tl_kind_def *tl_kind_def_of(tl_kind kind);            /* never NULL for a kind of the enum */
bool tl_kind_parse(const char *name, tl_kind *out);         /* exact name; false when there is no such kind */
int tl_kind_column(const tl_kind_def *def, const char *name); /* index of a column; -1 when there is none */
#endif
