/* sink.h - where formatted bytes go: a file that appears whole, or the caller's sink. Private to serve/. */
#ifndef TL_SERVE_SINK_H
#define TL_SERVE_SINK_H
#include "serve/serve.h"

typedef struct tl_drain {
  const char *path;  /* NULL: sink */
  tl_sink sink;
  void *to;
  char *aside;       /* what is being written; NULL when in place or to the sink */
  int fd;            /* -1: none open */
  bool done;
  tl_buf buf;        /* bytes on their way */
} tl_drain;

/* Finds out how path can be written; opens nothing. TL_EUSAGE when it is a folder. */
tl_status tl_drain_open(tl_drain *drain, const char *path, tl_sink sink, void *to, tl_error *err);
tl_status tl_drain_start(tl_drain *drain, tl_error *err);  /* opens the file; not for one that somebody else writes */
tl_status tl_drain_write(tl_drain *drain, const void *data, size_t len, tl_error *err);
tl_status tl_drain_flush(tl_drain *drain, size_t above_bytes, tl_error *err); /* buf, when it holds more than that */
tl_status tl_drain_finish(tl_drain *drain, tl_error *err); /* flushes; the file is durable and in its place */
void tl_drain_close(tl_drain *drain);                      /* without finish nothing stays behind */
#endif
