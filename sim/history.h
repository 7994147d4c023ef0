/* history.h - one page of bars, trades or quotes: reads the parameters, walks the market, writes rows and token. */
#ifndef TL_SIM_HISTORY_H
#define TL_SIM_HISTORY_H
#include "sim/alpaca.h"

typedef enum sim_kind { SIM_BARS, SIM_TRADES, SIM_QUOTES } sim_kind;

/* symbol: of the single-symbol form; {NULL, 0} for the form with `symbols`. */
tl_status sim_history_answer(const sim_settings *settings, const sim_query *query, sim_kind kind, tl_text symbol, int64_t now_ns,
                             sim_answer *answer, tl_error *err);
/* .../latest and snapshots */
tl_status sim_latest_answer(const sim_settings *settings, const sim_query *query, sim_kind kind, tl_text symbol, bool snapshot,
                            int64_t now_ns, sim_answer *answer, tl_error *err);
#endif
