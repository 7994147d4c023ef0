/* universe.h - which symbols exist, what they are like, and what happened to their companies.
 * Any well-formed symbol exists (its traits follow from its name), but for those that start with ZZ. A company is
 * known by its last name; its rows lie under the name it had on the day. See README.md for the special symbols. */
#ifndef TL_SIM_UNIVERSE_H
#define TL_SIM_UNIVERSE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_NAME_MAX 8 /* AAAAA.BB */

typedef enum sim_habit { SIM_ORDINARY, SIM_ODD_LOTS_ONLY, SIM_NEVER_QUOTED } sim_habit;

typedef struct sim_symbol {
  char name[SIM_NAME_MAX + 1];    /* the label of its rows: as asked */
  char company[SIM_NAME_MAX + 1]; /* the last name */
  uint64_t hash;                  /* of the company; what its market is drawn from */
  int64_t first_day, last_day;    /* days on which it has rows under what was asked, both included */
  int64_t base_cents;             /* price level, in shares of today */
  uint32_t trades_per_day;
  uint32_t volatility_ppm; /* a day's typical move */
  uint32_t spread_cents;
  char tape, exchange;
  sim_habit habit;
} sim_symbol;

/* [A-Z]{1,5}([.][A-Z]{1,2})? */
bool sim_symbol_well_formed(const char *name, size_t len);

/* Resolves a well-formed name as the vendor does on day `asof` (SIM_ASOF_OFF: names are names). False: no rows ever. */
#define SIM_ASOF_OFF INT64_MIN
bool sim_symbol_find(const char *name, size_t len, int64_t asof, sim_symbol *out);

typedef struct sim_split {
  const char *company;
  int16_t year;
  int8_t month, day; /* ex-date */
  int16_t new_rate, old_rate;
} sim_split;
typedef struct sim_rename {
  const char *old_name, *new_name;
  int16_t year;
  int8_t month, day; /* first day under the new name */
} sim_rename;
extern const sim_split sim_splits[];
extern const size_t sim_split_count;
extern const sim_rename sim_renames[];
extern const size_t sim_rename_count;
int64_t sim_split_day(const sim_split *split);

/* Shares of today per share of that day: the product of new/old of all later splits, as a fraction. */
typedef struct sim_ratio {
  int64_t up, down;
} sim_ratio;
sim_ratio sim_symbol_ratio(const sim_symbol *symbol, int64_t day);

/* The ex-dates of a payer: one a quarter. Cents a share, in shares of that day; 0 when the day is none. */
int64_t sim_symbol_dividend_cents(const sim_symbol *symbol, int64_t day);

/* The listed universe (assets): names in byte order. */
size_t sim_universe_count(void);
const char *sim_universe_name(size_t index);
#endif
