/* dataset.h - the named sets of rows a lake holds, and the KIND words that ask for them.
 *
 * KIND            asks the vendor for   gives dataset     hive folder     flat folder (month or year per file)
 * ticks           trades                equities_1sec     equities_1sec   bars/1s    (--bar SIZE: any other size)
 * quotes          quotes                quotes_1sec       quotes_1sec     quotes
 * 1s 1m 5m ...    bars                  equities_1min ... equities_1min   bars/1m    (1d, 1w, 1mo: one file a year)
 * trades          trades                trades            trades          trades
 * raw-quotes      quotes                quotes            quotes          raw_quotes
 * Pure functions; thread-safe. */
#ifndef TL_MARKET_DATASET_H
#define TL_MARKET_DATASET_H
#include <stdbool.h>

#include "base/status.h"
#include "market/schema.h"
#include "market/time.h"

typedef enum tl_wire { TL_WIRE_BARS, TL_WIRE_TRADES, TL_WIRE_QUOTES } tl_wire; /* what the vendor is asked for */

typedef struct tl_dataset {
  tl_kind kind;
  tl_interval interval; /* of bars; count 0 for the others */
  char name[32];        /* "equities_1min", "quotes_1sec", "trades", "quotes" */
  char flat[32];        /* folder in the flat layout, e.g. "bars/1m" */
  bool by_year;         /* flat layout: one file a year instead of a month */
} tl_dataset;

typedef struct tl_job_kind {
  char word[16];      /* canonical KIND word */
  tl_wire wire;
  tl_interval interval; /* of the bars asked for (wire bars); count 0 otherwise */
  bool derived;         /* rows are made from the wire's rows: ticks and quotes */
  tl_dataset dataset;
} tl_job_kind;

tl_dataset tl_dataset_bars(tl_interval interval);
/* Reads a KIND word. bar (may be NULL) is --bar of ticks. TL_EUSAGE names the nearest word. */
tl_status tl_job_kind_parse(const char *word, const char *bar, tl_job_kind *out, tl_error *err);
/* A dataset by a KIND word or its lake name ("equities_5min"); the word "quotes" is quotes_1sec. TL_EUSAGE otherwise. */
tl_status tl_dataset_parse(const char *name, tl_dataset *out, tl_error *err);
/* A dataset by its lake name and nothing else: here "quotes" is the raw quotes. TL_EUSAGE for no such name. */
tl_status tl_dataset_of_name(const char *name, tl_dataset *out, tl_error *err);
#endif
