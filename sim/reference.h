/* reference.h - corporate actions, assets, calendar and clock. */
#ifndef TL_SIM_REFERENCE_H
#define TL_SIM_REFERENCE_H
#include "sim/alpaca.h"

tl_status sim_corporate_actions_answer(const sim_query *query, int64_t now_ns, sim_answer *answer, tl_error *err);
tl_status sim_assets_answer(const sim_query *query, sim_answer *answer, tl_error *err);
tl_status sim_calendar_answer(const sim_query *query, sim_answer *answer, tl_error *err);
tl_status sim_clock_answer(int64_t now_ns, sim_answer *answer, tl_error *err);
#endif
