/* sink.c - see sink.h. */
#include "serve/sink.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"

tl_status tl_sink_fd(void *to, const void *data, size_t len, tl_error *err) {
  return tl_io_write(*(const int *)to, "<output>", data, len, err);
}

static tl_status name_aside(tl_drain *drain, tl_error *err) {
  const char *slash = strrchr(drain->path, '/'), *name = slash ? slash + 1 : drain->path;
  tl_buf aside = {0};
  tl_status st = tl_buf_appendf(&aside, err, "%.*s.%s.%d.tmp", (int)(name - drain->path), drain->path, name, (int)getpid());
  if (!st && !name[0]) st = tl_fail(err, TL_EUSAGE, "'%s' names a folder, not a file", drain->path);
  if (st) tl_buf_deinit(&aside);
  else drain->aside = tl_buf_take(&aside);
  return st;
}

tl_status tl_drain_open(tl_drain *drain, const char *path, tl_sink sink, void *to, tl_error *err) {
  *drain = (tl_drain){.path = path, .sink = sink, .to = to, .fd = -1};
  tl_io_info there = {0};
  tl_error why = {0};
  if (!path) return TL_OK;
  tl_status st = tl_io_stat(path, &there, &why);
  if (st == TL_ENOTFOUND || (!st && there.is_file)) return name_aside(drain, err);
  if (st) return tl_fail(err, st, "%s", why.message);
  return there.is_dir ? tl_fail(err, TL_EUSAGE, "'%s' is a folder, not a file", path) : TL_OK;
}

tl_status tl_drain_start(tl_drain *drain, tl_error *err) {
  if (!drain->path) return TL_OK;
  if (!drain->aside) return tl_io_open(drain->path, O_WRONLY, 0, &drain->fd, err);
  return tl_io_open(drain->aside, O_WRONLY | O_CREAT | O_TRUNC, 0644, &drain->fd, err);
}

tl_status tl_drain_write(tl_drain *drain, const void *data, size_t len, tl_error *err) {
  if (!drain->path) return drain->sink(drain->to, data, len, err);
  return tl_io_write(drain->fd, drain->aside ? drain->aside : drain->path, data, len, err);
}

tl_status tl_drain_flush(tl_drain *drain, size_t above_bytes, tl_error *err) {
  if (drain->buf.len <= above_bytes) return TL_OK;
  tl_status st = tl_drain_write(drain, drain->buf.data, drain->buf.len, err);
  tl_buf_clear(&drain->buf);
  return st;
}

static tl_status sync_folder(const char *path, tl_error *err) {
  const char *slash = strrchr(path, '/');
  if (!slash) return tl_io_fsync_dir(".", err);
  char *folder = tl_strndup(path, slash == path ? 1 : (size_t)(slash - path));
  tl_status st = folder ? tl_io_fsync_dir(folder, err) : tl_fail(err, TL_ENOMEM, "cannot finish '%s'", path);
  tl_free(folder);
  return st;
}

tl_status tl_drain_finish(tl_drain *drain, tl_error *err) {
  tl_status st = tl_drain_flush(drain, 0, err);
  if (st || !drain->aside) return st;
  if (drain->fd < 0) st = tl_io_open(drain->aside, O_RDONLY, 0, &drain->fd, err); /* written by somebody else */
  if (!st) st = tl_io_fsync(drain->fd, drain->aside, err);
  if (!st) st = tl_io_rename(drain->aside, drain->path, err);
  if (st) return st;
  drain->done = true;
  return sync_folder(drain->path, err);
}

void tl_drain_close(tl_drain *drain) {
  tl_io_close(drain->fd, drain->path ? drain->path : "", NULL);
  if (drain->aside && !drain->done) tl_io_unlink(drain->aside, NULL);
  tl_free(drain->aside);
  tl_buf_deinit(&drain->buf);
  *drain = (tl_drain){.fd = -1};
}
