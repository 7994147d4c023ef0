/* split.c - one symbol's uncovered range into units of time.
 *
 * plain      the formula alone: range / max(1, ceil(range / (timeframe * limit * pages))), ticks a day from the start.
 *            Boundaries are start + range * i / n, so rounding never leaves a sliver.
 * ticks      one trading day from New York midnight; the closed days after it belong to it:
 *                Thu | Fri Sat Sun | Mon | ...            a day that is known to be huge is cut finer
 * bars       whole sessions, as many as fill the pages of a unit; also cut at New York midnights
 * Rows are expected by the session: time of the exchange's extended hours over 16 hours. */
#include <math.h>

#include "market/calendar.h"
#include "plan/spans.h"

enum { TICK_UNITS_PER_CUT = 4 }; /* a day of ticks may be this many times the pages of a unit before it is cut */
static const double session_hours_ns = 16.0 * 3600e9;
static const double day_hours_ns = 24.0 * 3600e9;

/* ---- what is expected ---- */

static double bars_per_session(tl_interval interval) {
  switch (interval.unit) {
  case TL_MONTH: return 1.0 / (21.0 * interval.count);
  case TL_WEEK: return 1.0 / (5.0 * interval.count);
  case TL_DAY: return 1.0 / interval.count;
  default: break;
  }
  double filled = interval.unit == TL_SECOND ? 0.1 : tl_interval_ns(interval) < 300 * TL_NS_PER_S ? 0.625 : 0.9;
  return filled * session_hours_ns / (double)tl_interval_ns(interval); /* minutes: 600 of 960 have a trade */
}

double tl_plan_rows_per_session(const tl_plan_input *input, size_t symbol) {
  if (input->job.wire == TL_WIRE_BARS && !tl_interval_below_day(input->job.interval))
    return bars_per_session(input->job.interval); /* known, not estimated */
  if (input->symbols[symbol].rows_per_session > 0) return input->symbols[symbol].rows_per_session;
  if (input->job.wire == TL_WIRE_BARS) return bars_per_session(input->job.interval);
  return input->job.wire == TL_WIRE_TRADES ? 20000 : 150000;
}

bool tl_plan_knows_closed_days(const tl_plan_input *input) {
  tl_interval interval = input->job.interval; /* bars of weeks and months begin on closed days too */
  bool long_bars = input->job.wire == TL_WIRE_BARS && !tl_interval_below_day(interval) &&
                   !tl_interval_equal(interval, (tl_interval){1, TL_DAY});
  return !input->plain && !input->always_open && !long_bars;
}

static bool by_session_count(const tl_plan_input *input) { /* a half day has one daily bar, not three quarters of one */
  return input->job.wire == TL_WIRE_BARS && !tl_interval_below_day(input->job.interval);
}

/* Full sessions the range is worth. */
static double sessions_of(const tl_plan_input *input, tl_range range) {
  if (input->always_open) return ((double)range.end_ns - (double)range.start_ns) / day_hours_ns;
  if (by_session_count(input)) return (double)tl_calendar_sessions(range, TL_SESSION_ALL);
  return (double)tl_calendar_session_ns(range, TL_SESSION_EXTENDED) / session_hours_ns;
}

double tl_plan_rows(const tl_plan_input *input, tl_range range, double rows_per_session) {
  double rows = sessions_of(input, range) * rows_per_session;
  return rows > 1 ? rows : 1;
}

bool tl_plan_is_closed(const tl_plan_input *input, tl_range range) {
  return tl_plan_knows_closed_days(input) && tl_calendar_sessions(range, TL_SESSION_ALL) == 0;
}

/* ---- plain ---- */

static int64_t timeframe_ns(tl_interval interval) { /* of the formula: a week is 5 days, a month 20 */
  if (interval.unit == TL_WEEK) return 5 * TL_NS_PER_DAY * interval.count;
  if (interval.unit == TL_MONTH) return 20 * TL_NS_PER_DAY * interval.count;
  return tl_interval_ns(interval);
}

static tl_status add_unit(const tl_plan_input *input, uint32_t symbol, tl_range unit, tl_spans *out, tl_error *err) {
  double rows = tl_plan_rows(input, unit, tl_plan_rows_per_session(input, symbol));
  return tl_spans_add(out, (tl_span){unit, rows, symbol, TL_SPAN_ASK}, err);
}

static tl_status split_plain_bars(const tl_plan_input *input, uint32_t symbol, tl_range range, tl_spans *out,
                                  tl_error *err) {
  __int128 length_ns = (__int128)range.end_ns - range.start_ns;
  __int128 unit_ns = (__int128)timeframe_ns(input->job.interval) * input->page_limit * input->pages_per_unit;
  __int128 n = (length_ns + unit_ns - 1) / unit_ns;
  int64_t at_ns = range.start_ns;
  for (__int128 i = 1; i <= n; i++) {
    int64_t end_ns = (int64_t)(range.start_ns + length_ns * i / n);
    tl_status st = add_unit(input, symbol, (tl_range){at_ns, end_ns}, out, err);
    if (st) return st;
    at_ns = end_ns;
  }
  return TL_OK;
}

/* The same time of day, day after day; a rest of an hour or less joins the last unit. */
static tl_status split_plain_ticks(const tl_plan_input *input, uint32_t symbol, tl_range range, tl_spans *out,
                                   tl_error *err) {
  int32_t day = tl_calendar_day(range.start_ns);
  int64_t time_of_day_ns = range.start_ns - tl_calendar_day_start_ns(day), at_ns = range.start_ns;
  while (at_ns < range.end_ns) {
    int64_t end_ns = 0;
    if (__builtin_add_overflow(tl_calendar_day_start_ns(++day), time_of_day_ns, &end_ns)) end_ns = range.end_ns;
    if (input->job.derived && input->job.dataset.interval.count)
      end_ns = tl_interval_floor(input->job.dataset.interval, end_ns); /* whole bars only */
    if ((__int128)range.end_ns - end_ns <= 3600 * TL_NS_PER_S) end_ns = range.end_ns;
    tl_status st = add_unit(input, symbol, (tl_range){at_ns, end_ns}, out, err);
    if (st) return st;
    if (end_ns > at_ns) at_ns = end_ns;
  }
  return TL_OK;
}

/* ---- within a day ---- */

/* Cuts one trading day's unit into pieces of about equal session time; cuts lie on multiples of `grain`. */
static tl_status split_day(const tl_plan_input *input, uint32_t symbol, tl_range day, tl_interval grain,
                           double pieces, tl_spans *out, tl_error *err) {
  tl_session session;
  tl_session_iter sessions = tl_session_iter_of(day, TL_SESSION_EXTENDED);
  tl_range open = day;
  if (!input->always_open && tl_session_iter_next(&sessions, &session)) open = tl_range_clip(session.extended, day);
  double length_ns = (double)open.end_ns - (double)open.start_ns;
  int64_t at_ns = day.start_ns;
  pieces = fmin(pieces, 86400);
  for (double i = 1; i < pieces; i++) {
    int64_t cut_ns = tl_interval_floor(grain, open.start_ns + (int64_t)(length_ns * i / pieces));
    if (cut_ns <= at_ns || cut_ns >= day.end_ns) continue; /* finer than the grain */
    tl_status st = add_unit(input, symbol, (tl_range){at_ns, cut_ns}, out, err);
    if (st) return st;
    at_ns = cut_ns;
  }
  return add_unit(input, symbol, (tl_range){at_ns, day.end_ns}, out, err);
}

/* ---- ticks ---- */

/* Where the unit that begins at `at` ends: the next trading day's midnight. Where ticks make bars that this would cut
 * in two (of 12 hours, of weeks), the end of that bar. */
static int64_t tick_unit_end(const tl_plan_input *input, int64_t at_ns) {
  tl_interval bar = input->job.derived ? input->job.dataset.interval : (tl_interval){0, TL_SECOND};
  int32_t day = tl_calendar_day(at_ns);
  if (!tl_plan_knows_closed_days(input)) day++;
  else if (tl_calendar_session(day, NULL)) day = tl_calendar_next(day);
  else day = tl_calendar_next(tl_calendar_next(day)); /* closed days at the head join the first session */
  int64_t end_ns = tl_calendar_day_start_ns(day);
  return bar.count ? tl_interval_next(bar, end_ns - 1) : end_ns;
}

/* Without an estimate the size of a day is not known, and one chain is the safe guess. */
static tl_status add_tick_unit(const tl_plan_input *input, uint32_t symbol, tl_range unit, tl_spans *out,
                               tl_error *err) {
  double rows_per_session = input->symbols[symbol].rows_per_session;
  if (rows_per_session <= 0) return add_unit(input, symbol, unit, out, err);
  tl_interval bar = input->job.derived ? input->job.dataset.interval : (tl_interval){0, TL_SECOND};
  tl_interval grain = bar.count ? bar : (tl_interval){1, TL_MINUTE};
  double pages = tl_plan_rows(input, unit, rows_per_session) / input->page_limit;
  double pieces = ceil(pages / ((double)input->pages_per_unit * TICK_UNITS_PER_CUT));
  if (pieces <= 1 || !tl_interval_below_day(grain)) return add_unit(input, symbol, unit, out, err);
  return split_day(input, symbol, unit, grain, pieces, out, err);
}

static tl_status split_ticks(const tl_plan_input *input, uint32_t symbol, tl_range range, tl_spans *out,
                             tl_error *err) {
  for (int64_t at_ns = range.start_ns; at_ns < range.end_ns;) {
    int64_t end_ns = tick_unit_end(input, at_ns);
    if (end_ns > range.end_ns) end_ns = range.end_ns;
    tl_status st = add_tick_unit(input, symbol, (tl_range){at_ns, end_ns}, out, err);
    if (st) return st;
    at_ns = end_ns;
  }
  return TL_OK;
}

/* ---- bars ---- */

/* Days per unit: the fewest pages in all, of chains of at most `pages` pages; among equals the shortest chains of
 * at least `pages_min`. 0: not even one day fits. */
static int64_t choose_days(const tl_plan_input *input, double days, double rows_per_day, uint32_t pages_min) {
  int64_t best = 0;
  double best_pages = 0;
  for (uint32_t pages = pages_min; pages <= input->pages_per_unit; pages++) {
    double fit = floor((double)pages * input->page_limit / rows_per_day);
    if (fit < 1) continue;
    double units = ceil(days / fit), each = ceil(days / units);
    double total = units * ceil(each * rows_per_day / input->page_limit);
    if (best && total >= best_pages) continue;
    best = (int64_t)fmin(fit, 1e9);
    best_pages = total;
  }
  return best;
}

/* Trading days; for feeds and bars that know no closed days, every day. */
static bool is_day(const tl_plan_input *input, int32_t day) {
  return !tl_plan_knows_closed_days(input) || tl_calendar_session(day, NULL);
}
static int32_t day_after(const tl_plan_input *input, int32_t day) {
  return tl_plan_knows_closed_days(input) ? tl_calendar_next(day) : day + 1;
}
static int64_t days_of(const tl_plan_input *input, tl_range range) {
  if (tl_plan_knows_closed_days(input)) return tl_calendar_sessions(range, TL_SESSION_ALL);
  return tl_calendar_day(range.end_ns - 1) - tl_calendar_day(range.start_ns) + 1;
}

/* Even shares of the days, which differ by one day at most; a closed day belongs to the unit before it. */
static tl_status split_days(const tl_plan_input *input, const tl_span *whole, int64_t days, int64_t units,
                            tl_spans *out, tl_error *err) {
  int32_t day = tl_calendar_day(whole->range.start_ns);
  if (!is_day(input, day)) day = day_after(input, day);
  int64_t at_ns = whole->range.start_ns, taken = 0;
  for (int64_t i = 1; i <= units; i++) {
    for (; taken < days * i / units; taken++) day = day_after(input, day);
    int64_t end_ns = i == units ? whole->range.end_ns : tl_calendar_day_start_ns(day);
    tl_range unit = {at_ns, end_ns};
    double rows = tl_plan_rows(input, unit, tl_plan_rows_per_session(input, whole->symbol));
    double pieces = units == days ? ceil(rows / ((double)input->pages_per_unit * input->page_limit)) : 1;
    tl_status st = pieces > 1 && tl_interval_below_day(input->job.interval)
                       ? split_day(input, whole->symbol, unit, input->job.interval, pieces, out, err)
                       : add_unit(input, whole->symbol, unit, out, err);
    if (st) return st;
    at_ns = end_ns;
  }
  return TL_OK;
}

tl_status tl_plan_split_bars(const tl_plan_input *input, const tl_span *whole, bool short_chains, tl_spans *out,
                             tl_error *err) {
  uint32_t pages_min = short_chains && input->pages_per_unit > 3 ? 3 : input->pages_per_unit;
  if (whole->rows <= (double)pages_min * input->page_limit) return tl_spans_add(out, *whole, err);
  int64_t days = days_of(input, whole->range);
  if (days < 1) days = 1;
  int64_t per_unit = choose_days(input, (double)days, whole->rows / (double)days, pages_min);
  return split_days(input, whole, days, per_unit ? (days + per_unit - 1) / per_unit : days, out, err);
}

/* ---- one piece ---- */

tl_status tl_plan_split(const tl_plan_input *input, uint32_t symbol, tl_range piece, tl_spans *out, tl_error *err) {
  bool bars = input->job.wire == TL_WIRE_BARS;
  if (tl_plan_is_closed(input, piece)) return tl_spans_add(out, (tl_span){piece, 0, symbol, TL_SPAN_CALENDAR}, err);
  if (input->plain)
    return bars ? split_plain_bars(input, symbol, piece, out, err) : split_plain_ticks(input, symbol, piece, out, err);
  return bars ? add_unit(input, symbol, piece, out, err) : split_ticks(input, symbol, piece, out, err);
}
