/* days.h - the exchange calendar (2016 to 2030), New York's clock, dates and RFC 3339 texts.
 * A day is a count of days since 1970-01-01. Everything is a pure function; the table is filled once by whoever
 * comes first. New York's rule is the one in force since 2007. */
#ifndef TL_SIM_DAYS_H
#define TL_SIM_DAYS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_NS INT64_C(1000000000)
#define SIM_MINUTE_NS (60 * SIM_NS)
#define SIM_DAY_NS (86400 * SIM_NS)
#define SIM_FIRST_DAY 16801 /* 2016-01-01: history starts here */
#define SIM_LAST_DAY 22279  /* 2030-12-31 */

typedef enum sim_session { SIM_CLOSED, SIM_HALF, SIM_WHOLE } sim_session;

int64_t sim_day_from(int year, int month, int day);
void sim_day_split(int64_t day, int *year, int *month, int *day_of_month);
int sim_day_weekday(int64_t day);         /* 0 Monday .. 6 Sunday */
sim_session sim_day_session(int64_t day); /* SIM_CLOSED outside the table */
int64_t sim_day_midnight_ns(int64_t day); /* 00:00 New York */
int64_t sim_day_start_ns(int64_t day);    /* 04:00 New York, where extended hours begin */
int64_t sim_day_of(int64_t t_ns);         /* New York date of an instant */
int sim_day_offset_hours(int64_t t_ns);   /* New York minus UTC at an instant: -5 or -4 */

/* "2024-03-11" (exactly) to a day. */
bool sim_day_parse(const char *text, size_t len, int64_t *day);
/* RFC 3339 with any offset and up to 9 fraction digits. False when it is not one. */
bool sim_time_parse(const char *text, size_t len, int64_t *t_ns);

static inline int64_t sim_floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
#endif
