/* kept_stream.h - a stream that owns what it reads from. Private to serve/. */
#ifndef TL_SERVE_KEPT_STREAM_H
#define TL_SERVE_KEPT_STREAM_H
#include "base/status.h"
#include "ticklake/arrow.h"

/* From here on the stream owns `held` and gives it to `drop` after its own release. On failure both are released here. */
tl_status tl_stream_keep(struct ArrowArrayStream *stream, void (*drop)(void *held), void *held, tl_error *err);
#endif
