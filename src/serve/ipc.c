/* ipc.c - an Arrow stream as Arrow IPC bytes: the file format into a file, the stream format into a sink.
 * The encoder is nanoarrow's; its own small allocations do not go through base/alloc.h. */
#include <errno.h>
#include <nanoarrow/nanoarrow_ipc.h>
#include <string.h>

#include "serve/format.h"

typedef struct channel { /* nanoarrow's output stream; keeps our own error, which says more than an errno */
  tl_drain *drain;
  tl_error *err;
  tl_status status;
} channel;

static ArrowErrorCode write_bytes(struct ArrowIpcOutputStream *stream, const void *data, int64_t len, int64_t *written,
                                  struct ArrowError *error) {
  (void)error;
  channel *c = stream->private_data;
  *written = 0;
  c->status = tl_drain_write(c->drain, data, (size_t)len, c->err);
  if (c->status) return EIO;
  *written = len;
  return NANOARROW_OK;
}

static void release(struct ArrowIpcOutputStream *stream) { stream->release = NULL; }

static tl_status answer(const channel *c, ArrowErrorCode code, const struct ArrowError *why, tl_error *err) {
  if (c->status) return c->status;
  if (!code) return TL_OK;
  return tl_fail(err, code == ENOMEM ? TL_ENOMEM : TL_ESQL, "cannot write the result as Arrow: %s", why->message[0] ? why->message : strerror(code));
}

tl_status tl_format_arrow(tl_drain *drain, tl_batches *batches, int64_t *rows, tl_error *err) {
  channel c = {.drain = drain, .err = err};
  struct ArrowIpcOutputStream out = {write_bytes, release, &c};
  struct ArrowIpcWriter writer;
  struct ArrowError why = {0};
  bool is_file = drain->path != NULL, more = true;
  if (ArrowIpcWriterInit(&writer, &out)) return tl_fail(err, TL_ENOMEM, "cannot write the result as Arrow");
  tl_status st = is_file ? answer(&c, ArrowIpcWriterStartFile(&writer, &why), &why, err) : TL_OK;
  if (!st) st = answer(&c, ArrowIpcWriterWriteSchema(&writer, &batches->schema, &why), &why, err);
  while (!st) {
    st = tl_batches_next(batches, &more, err);
    if (st || !more) break;
    st = answer(&c, ArrowIpcWriterWriteArrayView(&writer, &batches->view, &why), &why, err);
    *rows += batches->array.length;
  }
  if (!st) st = answer(&c, ArrowIpcWriterWriteArrayView(&writer, NULL, &why), &why, err);
  if (!st && is_file) st = answer(&c, ArrowIpcWriterFinalizeFile(&writer, &why), &why, err);
  ArrowIpcWriterReset(&writer);
  return st;
}
