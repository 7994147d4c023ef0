/* kept_stream.c - one stream around another. */
#include "serve/kept_stream.h"

#include "base/alloc.h"

typedef struct keeper {
  struct ArrowArrayStream inner;
  void (*drop)(void *held);
  void *held;
} keeper;

static int kept_schema(struct ArrowArrayStream *self, struct ArrowSchema *out) {
  keeper *k = self->private_data;
  return k->inner.get_schema(&k->inner, out);
}

static int kept_next(struct ArrowArrayStream *self, struct ArrowArray *out) {
  keeper *k = self->private_data;
  return k->inner.get_next(&k->inner, out);
}

static const char *kept_error(struct ArrowArrayStream *self) {
  keeper *k = self->private_data;
  return k->inner.get_last_error(&k->inner);
}

static void kept_release(struct ArrowArrayStream *self) {
  keeper *k = self->private_data;
  k->inner.release(&k->inner);
  k->drop(k->held);
  tl_free(k);
  *self = (struct ArrowArrayStream){0};
}

tl_status tl_stream_keep(struct ArrowArrayStream *stream, void (*drop)(void *held), void *held, tl_error *err) {
  keeper *k = tl_alloc(sizeof *k);
  if (!k) {
    stream->release(stream);
    drop(held);
    return tl_fail(err, TL_ENOMEM, "cannot give out the rows of a query");
  }
  *k = (keeper){*stream, drop, held};
  *stream = (struct ArrowArrayStream){kept_schema, kept_next, kept_error, kept_release, k};
  return TL_OK;
}
