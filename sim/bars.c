/* bars.c - walks minutes or days of one symbol and adds them up. */
#include "sim/bars.h"

#include <string.h>

#include "sim/days.h"
#include "sim/text.h"

bool sim_timeframe_parse(const char *text, size_t len, sim_timeframe *out) {
  static const struct {
    const char *name;
    sim_unit unit;
    int32_t minutes, max;
  } units[] = {{"Min", SIM_BY_MINUTE, 1, 59}, {"T", SIM_BY_MINUTE, 1, 59}, {"Hour", SIM_BY_MINUTE, 60, 23}, {"H", SIM_BY_MINUTE, 60, 23},
               {"Day", SIM_BY_DAY, 1, 1},     {"D", SIM_BY_DAY, 1, 1},     {"Week", SIM_BY_WEEK, 1, 1},     {"W", SIM_BY_WEEK, 1, 1},
               {"Month", SIM_BY_MONTH, 1, 12}, {"M", SIM_BY_MONTH, 1, 12}};
  size_t digits = 0;
  uint64_t n = 0;
  while (digits < len && text[digits] >= '0' && text[digits] <= '9') digits++;
  if (!digits || digits > 2 || text[0] == '0' || !sim_parse_u64(text, digits, &n)) return false;
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    if (strlen(units[i].name) != len - digits || memcmp(units[i].name, text + digits, len - digits)) continue;
    if (n > (uint64_t)units[i].max || (units[i].unit == SIM_BY_MONTH && 12 % n)) return false;
    *out = (sim_timeframe){units[i].unit, (int32_t)n * units[i].minutes};
    return true;
  }
  return false;
}

/* a * b / c rounded half up; all positive. */
static uint64_t scale_half_up(uint64_t a, unsigned __int128 b, unsigned __int128 c) {
  return (uint64_t)((2 * (unsigned __int128)a * b + c) / (2 * c));
}

static int64_t last_close(const sim_bars *q, int64_t before_day) {
  for (int64_t day = before_day - 1; day > before_day - 10; day--) {
    sim_day d;
    sim_bar b;
    if (sim_day_open(q->world, q->symbol, SIM_FEED_SIP, day, &d) && sim_day_bar(&d, &b)) return b.c;
  }
  return 0;
}

/* One factor for every ex-date from the first day asked to now, each the product of it and all later ones. */
static void fill_factors(sim_bars *q) {
  q->factor_count = 0;
  if (!q->dividend) return;
  int64_t first = sim_day_of(q->from_ns), today = sim_day_of(q->now_ns), product = INT64_C(1) << 40;
  if (first < SIM_FIRST_DAY) first = SIM_FIRST_DAY;
  for (int64_t day = today < SIM_LAST_DAY ? today : SIM_LAST_DAY; day > first && q->factor_count < SIM_FACTORS_MAX; day--) {
    int64_t cents = sim_symbol_dividend_cents(q->symbol, day), close = cents ? last_close(q, day) : 0;
    if (!cents || close <= cents) continue;
    sim_ratio before = sim_symbol_ratio(q->symbol, day - 1), at = sim_symbol_ratio(q->symbol, day);
    close = close * before.down * at.up / (before.up * at.down);
    if (close <= cents) continue;
    product = (int64_t)((__int128)product * (close - cents) / close);
    q->factors[q->factor_count++] = (sim_factor){day, product};
  }
}

static int64_t factor_of(const sim_bars *q, int64_t day) {
  for (size_t i = q->factor_count; i-- > 0;) /* the earliest ex-date after the day holds the product */
    if (q->factors[i].ex_day > day) return q->factors[i].value;
  return INT64_C(1) << 40;
}

/* A sum of bars in the making, adjusted day by day. */
typedef struct sum {
  sim_row row;
  unsigned __int128 notional, notional_v; /* notional in cents times 2^40 when adjusted */
  bool any, adjusted;
  uint64_t vw_e6; /* of the only bar, as the vendor rounds it raw */
  int bars;
} sum;

static void sum_add(const sim_bars *q, sum *s, const sim_bar *b, int64_t day) {
  sim_ratio r = q->split ? sim_symbol_ratio(q->symbol, day) : (sim_ratio){1, 1};
  int64_t factor = factor_of(q, day), whole = INT64_C(1) << 40;
  bool adjusted = r.up != r.down || factor != whole;
  unsigned __int128 up = (unsigned __int128)r.down * (uint64_t)factor, down = (unsigned __int128)(uint64_t)r.up << 40;
  uint64_t o = (uint64_t)b->o, h = (uint64_t)b->h, l = (uint64_t)b->l, c = (uint64_t)b->c, v = (uint64_t)b->v;
  if (adjusted) {
    o = scale_half_up(o, up, down);
    h = scale_half_up(h, up, down);
    l = scale_half_up(l, up, down);
    c = scale_half_up(c, up, down);
    v = scale_half_up(v, (uint64_t)r.up, (uint64_t)r.down);
  }
  if (!s->any) s->row.o = o, s->row.h = h, s->row.l = l;
  if (h > s->row.h) s->row.h = h;
  if (l < s->row.l) s->row.l = l;
  s->row.c = c;
  s->row.v += v;
  s->row.n += (uint64_t)b->n;
  s->any = true;
  s->bars++;
  s->adjusted |= adjusted;
  s->notional += (unsigned __int128)(uint64_t)b->notional * (uint64_t)(factor >> 20);
  s->notional_v += (unsigned __int128)(uint64_t)b->notional_v * (uint64_t)r.up * 1000 / (uint64_t)r.down;
  s->vw_e6 = scale_half_up((uint64_t)b->notional, 10000, (uint64_t)b->notional_v);
  if (adjusted) s->vw_e6 = scale_half_up(s->vw_e6, up, down * 10000); /* cents from here on */
}

static bool sum_finish(sum *s, int64_t t_ns) {
  if (!s->any) return false;
  s->row.t_ns = t_ns;
  s->row.vw_scale = s->adjusted ? 2 : 6;
  s->row.vw = s->vw_e6;
  if (s->bars > 1) {
    unsigned __int128 q = s->notional * 1000 * (s->adjusted ? 1 : 10000), v = s->notional_v << 20;
    s->row.vw = (uint64_t)((2 * q + v) / (2 * v));
  }
  return s->row.vw > 0 && s->row.v > 0 && s->row.o > 0 && s->row.l > 0;
}

static bool wanted(const sim_bars *q, int64_t t_ns, int64_t end_ns) { return t_ns >= q->from_ns && t_ns <= q->to_ns && end_ns <= q->now_ns; }

/* The intraday bars of one day. Windows are counted from midnight New York. */
static bool walk_day(sim_bars *q, int64_t day, sim_bar_sink sink, void *state) {
  sim_day d;
  if (!sim_day_open(q->world, q->symbol, q->feed, day, &d)) return true;
  int32_t size = q->timeframe.count, first = 240 / size, last = (240 + d.minutes - 1) / size;
  for (int32_t i = 0; i <= last - first; i++) {
    int32_t w = q->descending ? last - i : first + i;
    int64_t t = d.start_ns + (w * size - 240) * SIM_MINUTE_NS;
    if (!wanted(q, t, t + size * SIM_MINUTE_NS)) continue;
    sum s = {0};
    for (int32_t m = w * size - 240; m < (w + 1) * size - 240; m++) {
      sim_bar b;
      if (m >= 0 && m < d.minutes && sim_minute_bar(&d, m, &b)) sum_add(q, &s, &b, day);
    }
    if (sum_finish(&s, t) && !sink(state, &s.row)) return false;
  }
  return true;
}

/* First day of the period that holds `day`, and of the next one. */
static void period_of(sim_timeframe f, int64_t day, int64_t *first, int64_t *next) {
  int y, m, dom;
  *first = day;
  *next = day + 1;
  if (f.unit == SIM_BY_WEEK) {
    *first = day - sim_day_weekday(day);
    *next = *first + 7;
  } else if (f.unit == SIM_BY_MONTH) {
    sim_day_split(day, &y, &m, &dom);
    m = (m - 1) / f.count * f.count;
    *first = sim_day_from(y, m + 1, 1);
    m += f.count;
    *next = sim_day_from(y + m / 12, m % 12 + 1, 1);
  }
}

static bool walk_period(sim_bars *q, int64_t first, int64_t next, sim_bar_sink sink, void *state) {
  int64_t t = sim_day_midnight_ns(first);
  if (!wanted(q, t, sim_day_start_ns(next - 1) + 16 * 60 * SIM_MINUTE_NS)) return true;
  sum s = {0};
  for (int64_t day = first; day < next; day++) {
    sim_day d;
    sim_bar b;
    if (sim_day_open(q->world, q->symbol, q->feed, day, &d) && sim_day_bar(&d, &b)) sum_add(q, &s, &b, day);
  }
  return !sum_finish(&s, t) || sink(state, &s.row);
}

void sim_bars_walk(sim_bars *q, sim_bar_sink sink, void *state) {
  int64_t low = q->from_ns, high = q->to_ns < q->now_ns ? q->to_ns : q->now_ns;
  int64_t floor_ns = SIM_FIRST_DAY * SIM_DAY_NS, ceiling_ns = (SIM_LAST_DAY + 1) * SIM_DAY_NS;
  if (low < floor_ns) low = floor_ns;
  if (high > ceiling_ns) high = ceiling_ns;
  if (high < low) return;
  fill_factors(q);
  int64_t first = sim_day_of(low), last = sim_day_of(high), next;
  if (q->timeframe.unit != SIM_BY_MINUTE) {
    period_of(q->timeframe, last, &last, &next);
    period_of(q->timeframe, first, &first, &next);
  }
  int64_t day = q->descending ? last : first;
  while (day >= first && day <= last) {
    int64_t start;
    period_of(q->timeframe, day, &start, &next);
    bool go = q->timeframe.unit == SIM_BY_MINUTE ? walk_day(q, day, sink, state) : walk_period(q, start, next, sink, state);
    if (!go) return;
    if (!q->descending) {
      day = next;
    } else {
      period_of(q->timeframe, start - 1, &day, &next);
    }
  }
}
