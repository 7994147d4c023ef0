/* universe.c - the listed symbols with their traits, and the rule that gives every other name its own. */
#include "sim/universe.h"

#include <string.h>

#include "base/prng.h"
#include "sim/days.h"
#include "sim/text.h"

typedef struct listing {
  const char *name;
  char tape, exchange; /* A N: New York, B P: Arca, C Q: Nasdaq */
  int32_t dollars;     /* price level in shares of today */
  uint32_t trades;     /* of a typical day */
} listing;

/* In byte order of the names: looked up by bisection. */
static const listing listings[] = {
    {"A", 'A', 'N', 130, 4000},      {"AA", 'A', 'N', 35, 6000},      {"AAL", 'C', 'Q', 14, 9000},
    {"AAPL", 'C', 'Q', 180, 44000},  {"ABBV", 'A', 'N', 165, 8000},   {"ABNB", 'C', 'Q', 135, 8000},
    {"ABT", 'A', 'N', 110, 7000},    {"ACN", 'A', 'N', 330, 5000},    {"ADBE", 'C', 'Q', 520, 9000},
    {"ADI", 'C', 'Q', 190, 5000},    {"ADM", 'A', 'N', 60, 4000},     {"ADP", 'C', 'Q', 240, 4000},
    {"AEP", 'C', 'Q', 88, 4000},     {"AFL", 'A', 'N', 85, 3000},     {"AIG", 'A', 'N', 72, 4000},
    {"AMAT", 'C', 'Q', 190, 9000},   {"AMD", 'C', 'Q', 150, 32000},   {"AMGN", 'C', 'Q', 290, 5000},
    {"AMT", 'A', 'N', 200, 4000},    {"AMZN", 'C', 'Q', 175, 36000},  {"AON", 'A', 'N', 310, 2500},
    {"APA", 'C', 'Q', 30, 5000},     {"APD", 'A', 'N', 270, 3000},    {"ASML", 'C', 'Q', 900, 5000},
    {"AVGO", 'C', 'Q', 160, 12000},  {"AXP", 'A', 'N', 225, 5000},    {"BA", 'A', 'N', 185, 9000},
    {"BABA", 'A', 'N', 85, 12000},   {"BAC", 'A', 'N', 38, 14000},    {"BDX", 'A', 'N', 235, 3000},
    {"BIIB", 'C', 'Q', 210, 3000},   {"BK", 'A', 'N', 58, 3500},      {"BKNG", 'C', 'Q', 3700, 3000},
    {"BLK", 'A', 'N', 800, 2500},    {"BMY", 'A', 'N', 45, 9000},     {"BP", 'A', 'N', 36, 5000},
    {"BRK.A", 'A', 'N', 610000, 600}, {"BRK.B", 'A', 'N', 410, 9000}, {"BSX", 'A', 'N', 75, 5000},
    {"BUSY", 'C', 'Q', 100, 120000}, {"BX", 'A', 'N', 125, 5000},     {"C", 'A', 'N', 62, 11000},
    {"CAT", 'A', 'N', 350, 6000},    {"CB", 'A', 'N', 255, 3000},     {"CCL", 'A', 'N', 16, 9000},
    {"CHTR", 'C', 'Q', 280, 3000},   {"CI", 'A', 'N', 345, 3000},     {"CL", 'A', 'N', 95, 4000},
    {"CMCSA", 'C', 'Q', 40, 9000},   {"CME", 'C', 'Q', 205, 3000},    {"CMG", 'A', 'N', 60, 6000},
    {"COF", 'A', 'N', 140, 4000},    {"COIN", 'C', 'Q', 230, 14000},  {"COP", 'A', 'N', 115, 6000},
    {"COST", 'C', 'Q', 780, 7000},   {"CRM", 'A', 'N', 270, 9000},    {"CSCO", 'C', 'Q', 48, 10000},
    {"CSX", 'C', 'Q', 34, 6000},     {"CVS", 'A', 'N', 60, 7000},     {"CVX", 'A', 'N', 155, 8000},
    {"D", 'A', 'N', 52, 4000},       {"DAL", 'A', 'N', 47, 6000},     {"DD", 'A', 'N', 78, 3000},
    {"DE", 'A', 'N', 380, 4000},     {"DELI", 'A', 'N', 22, 900},     {"DHR", 'A', 'N', 250, 4000},
    {"DIA", 'B', 'P', 390, 5000},    {"DIS", 'A', 'N', 105, 10000},   {"DIVD", 'A', 'N', 50, 2500},
    {"DOW", 'A', 'N', 55, 4000},     {"DUK", 'A', 'N', 100, 3500},    {"EBAY", 'C', 'Q', 52, 4000},
    {"EEM", 'B', 'P', 42, 7000},     {"EMR", 'A', 'N', 110, 3000},    {"ENPH", 'C', 'Q', 115, 6000},
    {"EOG", 'A', 'N', 125, 4000},    {"EQIX", 'C', 'Q', 800, 2000},   {"ETN", 'A', 'N', 315, 3500},
    {"EXC", 'C', 'Q', 37, 4500},     {"F", 'A', 'N', 12, 11000},      {"FCX", 'A', 'N', 47, 8000},
    {"FDX", 'A', 'N', 260, 4000},    {"FSLR", 'C', 'Q', 190, 5000},   {"GD", 'A', 'N', 285, 2500},
    {"GE", 'A', 'N', 160, 7000},     {"GILD", 'C', 'Q', 70, 6000},    {"GLD", 'B', 'P', 215, 8000},
    {"GM", 'A', 'N', 44, 8000},      {"GME", 'A', 'N', 20, 9000},     {"GOOG", 'C', 'Q', 170, 20000},
    {"GOOGL", 'C', 'Q', 168, 26000}, {"GS", 'A', 'N', 440, 5000},     {"HAL", 'A', 'N', 36, 6000},
    {"HD", 'A', 'N', 350, 6000},     {"HON", 'C', 'Q', 203, 4000},    {"HPQ", 'A', 'N', 33, 5000},
    {"HYG", 'B', 'P', 77, 6000},     {"IBM", 'A', 'N', 180, 6000},    {"ILLQ", 'A', 'N', 31, 14},
    {"INTC", 'C', 'Q', 33, 16000},   {"INTU", 'C', 'Q', 640, 4000},   {"IPOX", 'C', 'Q', 27, 3000},
    {"ISRG", 'C', 'Q', 400, 3500},   {"IWM", 'B', 'P', 205, 22000},   {"JNJ", 'A', 'N', 150, 8000},
    {"JPM", 'A', 'N', 198, 10000},   {"KHC", 'C', 'Q', 35, 5000},     {"KLAC", 'C', 'Q', 720, 2500},
    {"KMB", 'A', 'N', 130, 3000},    {"KMI", 'A', 'N', 19, 6000},     {"KO", 'A', 'N', 62, 8000},
    {"LIN", 'C', 'Q', 440, 3000},    {"LLY", 'A', 'N', 780, 7000},    {"LMT", 'A', 'N', 465, 3000},
    {"LOW", 'A', 'N', 225, 4500},    {"LRCX", 'C', 'Q', 950, 4000},   {"LUV", 'A', 'N', 28, 6000},
    {"MA", 'A', 'N', 455, 5000},     {"MAR", 'C', 'Q', 240, 3000},    {"MCD", 'A', 'N', 260, 5000},
    {"MDLZ", 'C', 'Q', 68, 5000},    {"MDT", 'A', 'N', 83, 5000},     {"MET", 'A', 'N', 72, 3500},
    {"META", 'C', 'Q', 490, 28000},  {"MMM", 'A', 'N', 100, 4000},    {"MO", 'A', 'N', 45, 6000},
    {"MRK", 'A', 'N', 130, 7000},    {"MRNA", 'C', 'Q', 130, 7000},   {"MS", 'A', 'N', 97, 7000},
    {"MSFT", 'C', 'Q', 415, 34000},  {"MU", 'C', 'Q', 125, 14000},    {"NEE", 'A', 'N', 72, 8000},
    {"NEWN", 'A', 'N', 64, 3000},    {"NFLX", 'C', 'Q', 640, 12000},  {"NKE", 'A', 'N', 93, 8000},
    {"NOC", 'A', 'N', 460, 2000},    {"NOW", 'A', 'N', 740, 3500},    {"NVDA", 'C', 'Q', 118, 48000},
    {"ODDL", 'C', 'Q', 90, 800},     {"ORCL", 'A', 'N', 125, 8000},   {"OXY", 'A', 'N', 63, 6000},
    {"PANW", 'C', 'Q', 310, 6000},   {"PEP", 'C', 'Q', 175, 6000},    {"PFE", 'A', 'N', 28, 12000},
    {"PG", 'A', 'N', 165, 7000},     {"PLTR", 'A', 'N', 24, 16000},   {"PM", 'A', 'N', 98, 5000},
    {"PNC", 'A', 'N', 155, 3500},    {"PYPL", 'C', 'Q', 64, 11000},   {"QCOM", 'C', 'Q', 180, 10000},
    {"QQQ", 'C', 'Q', 450, 40000},   {"RBLX", 'A', 'N', 36, 7000},    {"RIVN", 'C', 'Q', 11, 12000},
    {"ROKU", 'C', 'Q', 60, 6000},    {"RTX", 'A', 'N', 103, 5000},    {"RVRS", 'C', 'Q', 18, 1800},
    {"SBUX", 'C', 'Q', 77, 8000},    {"SCHW", 'A', 'N', 74, 7000},    {"SHOP", 'A', 'N', 65, 8000},
    {"SLB", 'A', 'N', 48, 7000},     {"SNAP", 'A', 'N', 15, 10000},   {"SNOW", 'A', 'N', 155, 6000},
    {"SO", 'A', 'N', 77, 4000},      {"SOFI", 'C', 'Q', 7, 9000},     {"SPGI", 'A', 'N', 435, 2500},
    {"SPLT", 'C', 'Q', 55, 5000},    {"SPY", 'B', 'P', 540, 46000},   {"SQ", 'A', 'N', 67, 9000},
    {"T", 'A', 'N', 18, 11000},      {"TGT", 'A', 'N', 150, 6000},    {"TJX", 'A', 'N', 103, 4500},
    {"TLT", 'B', 'P', 92, 14000},    {"TMO", 'A', 'N', 570, 3000},    {"TMUS", 'C', 'Q', 170, 4500},
    {"TSLA", 'C', 'Q', 190, 46000},  {"TSM", 'A', 'N', 160, 12000},   {"TXN", 'C', 'Q', 190, 6000},
    {"UAL", 'C', 'Q', 50, 7000},     {"UBER", 'A', 'N', 68, 11000},   {"UNH", 'A', 'N', 500, 6000},
    {"UNP", 'A', 'N', 230, 4000},    {"UPS", 'A', 'N', 140, 5000},    {"USB", 'A', 'N', 41, 6000},
    {"USO", 'B', 'P', 76, 4000},     {"V", 'A', 'N', 275, 7000},      {"VOO", 'B', 'P', 495, 7000},
    {"VTI", 'B', 'P', 265, 6000},    {"VZ", 'A', 'N', 40, 9000},      {"WBA", 'C', 'Q', 16, 7000},
    {"WFC", 'A', 'N', 59, 10000},    {"WMT", 'A', 'N', 66, 9000},     {"XLE", 'B', 'P', 92, 8000},
    {"XLF", 'B', 'P', 42, 10000},    {"XLK", 'B', 'P', 215, 7000},    {"XOM", 'A', 'N', 115, 10000},
    {"ZM", 'C', 'Q', 61, 5000},
};
enum { LISTINGS = sizeof listings / sizeof *listings };

const sim_split sim_splits[] = {
    {"AAPL", 2020, 8, 31, 4, 1}, {"AMZN", 2022, 6, 6, 20, 1}, {"CMG", 2024, 6, 26, 50, 1}, {"GE", 2021, 8, 2, 1, 8},
    {"GOOG", 2022, 7, 18, 20, 1}, {"GOOGL", 2022, 7, 18, 20, 1}, {"NVDA", 2021, 7, 20, 4, 1}, {"NVDA", 2024, 6, 10, 10, 1},
    {"RVRS", 2024, 5, 13, 1, 10}, {"SPLT", 2024, 6, 10, 4, 1}, {"TSLA", 2020, 8, 31, 5, 1}, {"TSLA", 2022, 8, 25, 3, 1},
    {"WMT", 2024, 2, 26, 3, 1},
};
const size_t sim_split_count = sizeof sim_splits / sizeof *sim_splits;

const sim_rename sim_renames[] = {
    {"FB", "META", 2022, 6, 9},
    {"OLDN", "NEWN", 2024, 3, 18},
};
const size_t sim_rename_count = sizeof sim_renames / sizeof *sim_renames;

int64_t sim_split_day(const sim_split *split) { return sim_day_from(split->year, split->month, split->day); }

size_t sim_universe_count(void) { return LISTINGS; }
const char *sim_universe_name(size_t index) { return listings[index].name; }

static bool upper(char c) { return c >= 'A' && c <= 'Z'; }

bool sim_symbol_well_formed(const char *name, size_t len) {
  size_t i = 0;
  while (i < len && upper(name[i])) i++;
  if (i < 1 || i > 5) return false;
  if (i == len) return true;
  if (name[i] != '.') return false;
  size_t suffix = len - i - 1;
  if (suffix < 1 || suffix > 2) return false;
  return upper(name[i + 1]) && (suffix == 1 || upper(name[i + 2]));
}

static const listing *listed(const char *name) {
  size_t low = 0, high = LISTINGS;
  while (low < high) {
    size_t middle = (low + high) / 2;
    int order = strcmp(name, listings[middle].name);
    if (order == 0) return &listings[middle];
    if (order < 0) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return NULL;
}

/* Traits of a name nobody listed: most are small companies. */
static void derive_traits(sim_symbol *s) {
  static const uint32_t trades[8] = {6000, 3000, 1800, 1200, 600, 300, 120, 30};
  uint64_t h = tl_prng_mix(s->hash ^ 0x51ed);
  s->base_cents = 400 + (int64_t)(h % 24000);
  s->trades_per_day = trades[h >> 20 & 7];
  s->volatility_ppm = 9000 + (uint32_t)(h >> 32 & 16383);
  s->tape = "AACCCB"[(h >> 48) % 6];
  s->exchange = s->tape == 'A' ? 'N' : s->tape == 'B' ? 'P' : 'Q';
}

static void fill_traits(sim_symbol *s) {
  const listing *l = listed(s->company);
  s->hash = sim_hash_text(s->company, strlen(s->company));
  derive_traits(s);
  if (l) {
    s->base_cents = (int64_t)l->dollars * 100;
    s->trades_per_day = l->trades;
    s->volatility_ppm = 8000 + (uint32_t)(s->hash >> 8 & 8191);
    s->tape = l->tape;
    s->exchange = l->exchange;
  }
  s->spread_cents = 1 + (uint32_t)(s->base_cents / 20000) + (s->trades_per_day < 1000 ? 3 : 0);
  s->habit = strcmp(s->company, "ODDL") == 0 ? SIM_ODD_LOTS_ONLY : strcmp(s->company, "ILLQ") == 0 ? SIM_NEVER_QUOTED : SIM_ORDINARY;
}

static void narrow_life(sim_symbol *s) {
  if (strcmp(s->company, "DELI") == 0 && s->last_day > sim_day_from(2023, 6, 30)) s->last_day = sim_day_from(2023, 6, 30);
  if (strcmp(s->company, "IPOX") == 0 && s->first_day < sim_day_from(2022, 9, 14)) s->first_day = sim_day_from(2022, 9, 14);
}

bool sim_symbol_find(const char *name, size_t len, int64_t asof, sim_symbol *out) {
  memset(out, 0, sizeof *out);
  if (len > SIM_NAME_MAX || !sim_symbol_well_formed(name, len)) return false;
  if (len >= 2 && name[0] == 'Z' && name[1] == 'Z') return false;
  memcpy(out->name, name, len);
  memcpy(out->company, name, len);
  out->first_day = SIM_FIRST_DAY;
  out->last_day = SIM_LAST_DAY;
  for (size_t i = 0; i < sim_rename_count; i++) {
    const sim_rename *r = &sim_renames[i];
    int64_t day = sim_day_from(r->year, r->month, r->day);
    if (strcmp(out->name, r->old_name) == 0) { /* the name ended; its own days never hold later ones */
      memset(out->company, 0, sizeof out->company);
      memcpy(out->company, r->new_name, strlen(r->new_name));
      out->last_day = day - 1;
    } else if (strcmp(out->name, r->new_name) == 0 && (asof == SIM_ASOF_OFF || asof <= day)) {
      out->first_day = day; /* the mapping knows of a rename only from the day after */
    }
  }
  fill_traits(out);
  narrow_life(out);
  return true;
}

sim_ratio sim_symbol_ratio(const sim_symbol *symbol, int64_t day) {
  sim_ratio r = {1, 1};
  for (size_t i = 0; i < sim_split_count; i++) {
    const sim_split *s = &sim_splits[i];
    if (strcmp(symbol->company, s->company) == 0 && day < sim_split_day(s)) {
      r.up *= s->new_rate;
      r.down *= s->old_rate;
    }
  }
  return r;
}

int64_t sim_symbol_dividend_cents(const sim_symbol *symbol, int64_t day) {
  bool always = strcmp(symbol->company, "DIVD") == 0 || strcmp(symbol->company, "AAPL") == 0;
  if (!always && (symbol->hash % 3 || !listed(symbol->company))) return 0;
  int y, m, d, y2, m2, d2;
  sim_day_split(day, &y, &m, &d);
  if (m % 3 != 2 || d < 8 || sim_day_session(day) == SIM_CLOSED) return 0;
  for (int64_t before = day - 1;; before--) { /* the first trading day from the 8th of Feb, May, Aug, Nov on */
    sim_day_split(before, &y2, &m2, &d2);
    if (d2 < 8 || m2 != m) break;
    if (sim_day_session(before) != SIM_CLOSED) return 0;
  }
  if (strcmp(symbol->company, "DIVD") == 0) return 100;
  sim_ratio r = sim_symbol_ratio(symbol, day);
  int64_t cents = symbol->base_cents / 240 * r.up / r.down;
  return cents > 0 ? cents : 1;
}
