/* format.h - what the writers of format.c share. Private to serve/. */
#ifndef TL_SERVE_FORMAT_H
#define TL_SERVE_FORMAT_H
#include "serve/sink.h"
#include "serve/value.h"

tl_status tl_format_arrow(tl_drain *drain, tl_batches *batches, int64_t *rows, tl_error *err);
tl_status tl_format_table(tl_drain *drain, tl_batches *batches, const tl_value_style *style, int64_t *rows, tl_error *err);
enum { TL_DRAIN_FLUSH_BYTES = 1 << 16 };
#endif
