/* bars.h - a table of bars by symbol and month beside its truth, for the tests that do things to a table from outside. */
#ifndef TL_TESTS_BARS_H
#define TL_TESTS_BARS_H
#include "tests/unit/table/ops/table.h"

static const char bar_columns[] = "symbol VARCHAR, \"timestamp\" TIMESTAMPTZ, close DOUBLE, volume BIGINT";
static const char columns[] = "symbol, timestamp, close, volume";

static inline void start_bars(table_fixture *t) {
  table_create(t, bar_columns, "symbol,month(timestamp)", "symbol, timestamp");
  run_sql(t, "CREATE OR REPLACE TABLE truth AS SELECT ['A', 'BTC/USD'][1 + g %% 2] AS symbol, TIMESTAMPTZ '2024-01-01 00:00:00+00' + g * INTERVAL 1 HOUR AS timestamp, "
             "g / 3.0::DOUBLE AS close, g::BIGINT AS volume FROM range(1000) t(g)");
  append_rows(t, "FROM truth WHERE volume % 3 = 0");
  append_rows(t, "FROM truth WHERE volume % 3 <> 0");
}

static inline int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline int shell(const char *format, ...) {
  char command[600];
  va_list args;
  va_start(args, format);
  vsnprintf(command, sizeof command, format, args);
  va_end(args);
  return system(command);
}
#endif
