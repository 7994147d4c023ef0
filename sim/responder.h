/* responder.h - from a request to a delivery: credentials, rate limit, page cache, compression, faults, test hooks. */
#ifndef TL_SIM_RESPONDER_H
#define TL_SIM_RESPONDER_H
#include "sim/alpaca.h"
#include "sim/delivery.h"
#include "sim/pack.h"

typedef struct sim_options {
  sim_settings settings;
  uint32_t rate_per_minute;
  int64_t latency_ms;
  int gzip_level;
  size_t cache_bytes;
  int64_t clock_shift_ns; /* added to the wall clock */
  const char *faults;     /* text of the fault script; NULL for none */
} sim_options;

typedef struct sim_request { /* borrowed from the connection's buffer; target may be overwritten */
  tl_text method;
  char *target;
  size_t target_len;
  tl_text key, secret, authorization, body;
  bool accepts_gzip;
} sim_request;

typedef struct sim_responder sim_responder;

tl_status sim_responder_open(const sim_options *options, sim_responder **out, tl_error *err);
void sim_responder_close(sim_responder *responder); /* NULL is fine */
int sim_responder_gzip_level(const sim_responder *responder);
/* *out comes zeroed and is given back with sim_delivery_deinit. Fails only when memory ran out. */
tl_status sim_respond(sim_responder *responder, sim_packer *packer, sim_request *request, sim_delivery *out, tl_error *err);
void sim_responder_connection(sim_responder *responder, int change);
void sim_responder_sent(sim_responder *responder, size_t bytes);
void sim_delivery_deinit(sim_delivery *delivery);
#endif
