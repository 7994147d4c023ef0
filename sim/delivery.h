/* delivery.h - one answer on its way out: what is sent, and how badly. The zero value is an empty, well-sent 0. */
#ifndef TL_SIM_DELIVERY_H
#define TL_SIM_DELIVERY_H
#include <stdint.h>

#include "base/buf.h"
#include "sim/cache.h"

typedef enum sim_cut { SIM_CUT_NEVER, SIM_CUT_CLOSE, SIM_CUT_RESET } sim_cut;

typedef enum sim_cut_point { SIM_CUT_BEFORE, SIM_CUT_HEAD, SIM_CUT_BODY } sim_cut_point;

typedef struct sim_delivery {
  int status;
  const char *content_type;
  char headers[1024]; /* more header lines, each with its CR LF */
  bool gzip;          /* Content-Encoding */
  sim_body *shared;   /* the body, or else: */
  tl_buf own;
  tl_buf head;             /* filled by the server */
  int64_t first_byte_ms;   /* wait before anything is sent */
  size_t stall_after;      /* of the body's bytes */
  int64_t stall_ms;        /* 0: no stall */
  uint64_t drip_per_s;     /* bytes a second; 0: no drip */
  sim_cut cut;
  sim_cut_point cut_point;
  size_t cut_after; /* bytes of the body, for SIM_CUT_BODY */
  bool bad_chunks, endless_headers;
} sim_delivery;

static inline tl_text sim_delivery_body(const sim_delivery *d) {
  return d->shared ? (tl_text){d->shared->bytes.data, d->shared->bytes.len} : (tl_text){d->own.data, d->own.len};
}
#endif
