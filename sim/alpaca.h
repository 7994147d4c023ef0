/* alpaca.h - Alpaca's market-data and trading paths: a request in, an answer out. Pure but for the clock it is given;
 * sockets, rate limits, compression and faults are the server's. Thread-safe: nothing is kept between calls. */
#ifndef TL_SIM_ALPACA_H
#define TL_SIM_ALPACA_H
#include "base/buf.h"
#include "sim/market.h"

typedef enum sim_token_edge { SIM_TOKEN_AS_STYLED, SIM_TOKEN_INCLUDES, SIM_TOKEN_EXCLUDES } sim_token_edge;

typedef struct sim_settings { /* fixed for a process */
  sim_world world;
  const char *key, *secret; /* NULL: any that is not empty */
  bool old_tokens;          /* bar tokens name the last row delivered */
  bool empty_last_page;     /* the last page with rows leads to an empty one */
  sim_token_edge token_edge; /* whether a page begins with the row its token names; by the style but for inner requests */
  bool realtime;            /* the plan may ask for the last 15 minutes */
} sim_settings;

typedef struct sim_param {
  tl_text name, value; /* decoded */
} sim_param;
enum { SIM_PARAMS_MAX = 48 };

typedef struct sim_query {
  tl_text path; /* decoded, without the query */
  sim_param params[SIM_PARAMS_MAX];
  size_t param_count;
} sim_query;

/* Takes the target of a request line apart, in place: target's bytes are overwritten by what they decode to. */
void sim_query_parse(char *target, size_t len, sim_query *out);
tl_text sim_query_get(const sim_query *query, const char *name); /* {NULL, 0} when absent */

typedef struct sim_answer {
  int status;
  const char *content_type;
  tl_buf body;
} sim_answer;

/* Appends to answer->body, which comes empty. TL_OK for every answer, refusals included. */
tl_status sim_alpaca_answer(const sim_settings *settings, const sim_query *query, int64_t now_ns, sim_answer *answer, tl_error *err);

/* Whether the path is one that counts against the rate limit and may be hit by faults. */
bool sim_alpaca_owns(tl_text path);

/* The refusals the server needs too. */
tl_status sim_answer_unauthorized(sim_answer *answer, tl_error *err);
tl_status sim_answer_message(sim_answer *answer, int status, tl_error *err, const char *format, ...) TL_PRINTF(4, 5);
#endif
