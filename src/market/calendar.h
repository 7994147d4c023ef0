/* calendar.h - sessions of the New York Stock Exchange (XNYS), 2000 to 2099, and dates as users type them.
 * Holidays and early closes are rules plus a list of special days, checked day by day against exchange_calendars.
 * Days are exchange-local. Before 2000 and after 2099 every weekday counts as a full session, so that nothing is
 * skipped there. All instants are UTC ns, ranges half-open. Cost: a few dozen instructions a day. Thread-safe.
 * Not here: intraday halts, other exchanges. */
#ifndef TL_MARKET_CALENDAR_H
#define TL_MARKET_CALENDAR_H
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "market/time.h"

typedef struct tl_session {
  int32_t day;
  bool early_close;
  tl_range regular;  /* [09:30, 16:00) New York; 13:00 on early closes */
  tl_range extended; /* [04:00, 20:00) New York; 17:00 on early closes */
} tl_session;

bool tl_calendar_session(int32_t day, tl_session *out); /* false: no trading that day. out may be NULL */
int32_t tl_calendar_next(int32_t day);                  /* first trading day after day */
int32_t tl_calendar_prev(int32_t day);                  /* last trading day before day */
int32_t tl_calendar_day(int64_t ns);                    /* New York day that holds the instant */
int64_t tl_calendar_day_start_ns(int32_t day);          /* New York midnight */

typedef enum tl_session_kind { TL_SESSION_ALL, TL_SESSION_REGULAR, TL_SESSION_EXTENDED } tl_session_kind;
bool tl_session_kind_parse(const char *text, tl_session_kind *out); /* all, regular, extended */
tl_range tl_session_window(const tl_session *session, tl_session_kind kind); /* ALL: the whole New York day */

/* Trading days whose window overlaps the range, in order:
 *   tl_session_iter it = tl_session_iter_of(range, TL_SESSION_EXTENDED);
 *   while (tl_session_iter_next(&it, &session)) ... */
typedef struct tl_session_iter {
  tl_range range;
  tl_session_kind kind;
  int32_t day;
} tl_session_iter;
tl_session_iter tl_session_iter_of(tl_range range, tl_session_kind kind);
bool tl_session_iter_next(tl_session_iter *iter, tl_session *out);

int64_t tl_calendar_sessions(tl_range range, tl_session_kind kind);   /* how many */
int64_t tl_calendar_session_ns(tl_range range, tl_session_kind kind); /* time of the range inside the windows */

/* Does the bar [start, start + interval) belong to the session? By its start; bars longer than 30 minutes when they
 * overlap it; bars of a day or longer always. For trades and quotes say one second. Keeps the last day it looked up. */
typedef struct tl_session_filter {
  tl_session_kind kind;
  tl_interval interval;
  tl_range day, window; /* of the day looked up last */
} tl_session_filter;
tl_session_filter tl_session_filter_of(tl_session_kind kind, tl_interval interval);
bool tl_session_filter_pass(tl_session_filter *filter, int64_t start_ns);

/* START and END as typed: dates are New York days, END included; RFC 3339 instants give [START, END); a date and an
 * instant may be mixed. Words: today, yesterday (days), now (an instant). An empty range is TL_EUSAGE. */
tl_status tl_days_to_range(const char *start, const char *end, int64_t now_ns, tl_range *out, tl_error *err);
#endif
