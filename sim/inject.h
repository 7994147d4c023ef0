/* inject.h - carries a fault out, in four places: instead of an answer, on a page's text, on its stream, on its way. */
#ifndef TL_SIM_INJECT_H
#define TL_SIM_INJECT_H
#include "sim/delivery.h"
#include "sim/faults.h"
#include "sim/pack.h"

/* An answer without a page: statuses, redirects. *done when it is given. */
tl_status sim_inject_answer(const sim_fault *fault, tl_text target, sim_delivery *out, bool *done, tl_error *err);
/* Whether the action needs a page of its own to spoil. */
bool sim_inject_spoils(sim_action action);
/* Changes packer->answer, which holds the right page. */
tl_status sim_inject_text(const sim_fault *fault, const sim_settings *settings, const sim_query *query, int64_t now_ns, sim_packer *packer,
                          tl_error *err);
/* Puts packer->answer into *out, compressed when the client takes it, and spoils the stream. */
tl_status sim_inject_stream(const sim_fault *fault, bool gzip, sim_packer *packer, sim_delivery *out, tl_error *err);
/* Sets how *out is sent. */
tl_status sim_inject_transport(const sim_fault *fault, sim_delivery *out, tl_error *err);
#endif
