/* pack.h - what a serving thread works with: a compressor and memory it uses again. Not shared between threads. */
#ifndef TL_SIM_PACK_H
#define TL_SIM_PACK_H
#include "sim/alpaca.h"

enum { SIM_GZIP_ABOVE_BYTES = 256 }; /* the vendor sends shorter bodies plain */

typedef struct sim_packer {
  struct libdeflate_compressor *compressor;
  sim_answer answer;
  tl_buf key;
} sim_packer;

tl_status sim_packer_open(int gzip_level, sim_packer **out, tl_error *err);
void sim_packer_close(sim_packer *packer); /* NULL is fine */
/* Appends one gzip member to *out. */
tl_status sim_pack(sim_packer *packer, const void *data, size_t len, tl_buf *out, tl_error *err);
#endif
