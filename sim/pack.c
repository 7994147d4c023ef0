/* pack.c - gzip by libdeflate. */
#include "sim/pack.h"

#include <libdeflate.h>

#include "base/alloc.h"

tl_status sim_packer_open(int gzip_level, sim_packer **out, tl_error *err) {
  sim_packer *p = tl_calloc(1, sizeof *p);
  if (p) p->compressor = libdeflate_alloc_compressor(gzip_level);
  if (!p || !p->compressor) {
    tl_free(p);
    return tl_fail(err, TL_ENOMEM, "out of memory for a compressor");
  }
  *out = p;
  return TL_OK;
}

void sim_packer_close(sim_packer *p) {
  if (!p) return;
  libdeflate_free_compressor(p->compressor);
  tl_buf_deinit(&p->answer.body);
  tl_buf_deinit(&p->key);
  tl_free(p);
}

tl_status sim_pack(sim_packer *p, const void *data, size_t len, tl_buf *out, tl_error *err) {
  size_t bound = libdeflate_gzip_compress_bound(p->compressor, len);
  tl_buf packed = {0}; /* then copied: cached pages must not keep the bound's size */
  tl_status st = tl_buf_reserve(&packed, bound, err);
  if (!st) {
    size_t n = libdeflate_gzip_compress(p->compressor, data, len, packed.data, bound);
    st = n ? tl_buf_append(out, packed.data, n, err) : tl_fail(err, TL_EINTERNAL, "cannot compress a page");
  }
  tl_buf_deinit(&packed);
  return st;
}
