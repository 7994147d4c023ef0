/* spans.h - between the steps of planning. Private to plan/.
 * A span is one unit to be: one symbol, one range, the rows expected. cut (plan.c) -> split in time (split.c) -> packed
 * over symbols into asks (pack.c). */
#ifndef TL_PLAN_SPANS_H
#define TL_PLAN_SPANS_H
#include "plan/plan.h"

typedef enum tl_span_kind { TL_SPAN_ASK, TL_SPAN_CALENDAR, TL_SPAN_HISTORY } tl_span_kind;

typedef struct tl_span {
  tl_range range;
  double rows;
  uint32_t symbol;
  tl_span_kind kind;
} tl_span;

typedef struct tl_spans {
  tl_span *items;
  size_t count, capacity;
} tl_spans;

/* TL_ELIMIT when a plan would have more units than anyone can wait for. */
tl_status tl_spans_add(tl_spans *spans, tl_span span, tl_error *err);
void tl_spans_deinit(tl_spans *spans);

/* split.c: rows the vendor is expected to send for the range, rps rows a full session. */
double tl_plan_rows(const tl_plan_input *input, tl_range range, double rows_per_session);
double tl_plan_rows_per_session(const tl_plan_input *input, size_t symbol); /* the estimate, else a guess by kind */
bool tl_plan_knows_closed_days(const tl_plan_input *input);
bool tl_plan_is_closed(const tl_plan_input *input, tl_range range); /* holds no day with a session */

/* split.c: the units of one uncovered piece. Bars are left whole: tl_plan_split_bars, once the size of the whole plan
 * is known. */
tl_status tl_plan_split(const tl_plan_input *input, uint32_t symbol, tl_range piece, tl_spans *out, tl_error *err);
tl_status tl_plan_split_bars(const tl_plan_input *input, const tl_span *whole, bool short_chains, tl_spans *out,
                             tl_error *err);

/* pack.c: sorts the spans, makes the asks of the plan, in their final order. */
tl_status tl_plan_pack(const tl_plan_input *input, tl_spans *spans, bool short_chains, tl_plan *plan, tl_error *err);
#endif
