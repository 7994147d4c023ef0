/* reading_parts.c - rows of a kind from an object store: some files at a time are brought, read to their end and dropped, so
 * neither disk nor memory grows with what is read. Files come in order of symbol and time, so their rows do too; files of
 * other hands have to be sorted together and are one part. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "serve/copies.h"
#include "serve/source.h"

enum { PART_FILES_MAX = 64 };
static const int64_t part_bytes_max = INT64_C(512) << 20; /* more only when one file has more */

typedef struct parts {
  tl_engine *engine;
  tl_copies *copies;
  tl_read read;         /* columns are ours */
  char **columns;
  tl_table_files files;
  bool sorted;          /* false: all files are one part */
  size_t begin, end;    /* of the part being read */
  bool streaming;
  struct ArrowArrayStream inner;
  int64_t left;         /* rows that may still be given; below 0: all */
  tl_error error;
} parts;

static size_t part_end(const parts *p, size_t begin) {
  int64_t bytes = 0;
  size_t end = begin;
  if (!p->sorted) return p->files.count;
  for (; end < p->files.count && end - begin < PART_FILES_MAX; end++) {
    bytes += p->files.items[end].bytes;
    if (end > begin && bytes > part_bytes_max) break;
  }
  return end;
}

/* The part after the one at hand, whose stream is released once the next is there: there is always one with a schema. */
static tl_status next_part(parts *p, tl_error *err) {
  size_t begin = p->end, end = part_end(p, begin);
  struct ArrowArrayStream next;
  tl_buf sql = {0};
  tl_table_files some = {.items = p->files.items ? p->files.items + begin : NULL, .count = end - begin};
  p->read.limit = p->left < 0 ? 0 : p->left;
  tl_status st = tl_copies_bring(p->copies, some.items, some.count, err);
  if (!st) st = tl_read_build(p->engine, &p->read, tl_copies_folder(p->copies), &some, p->sorted, &sql, err);
  if (!st) st = tl_engine_query(p->engine, sql.data, NULL, 0, &next, err);
  tl_buf_deinit(&sql);
  if (st) return st;
  if (p->streaming) {
    p->inner.release(&p->inner);
    tl_copies_drop(p->copies, p->files.items + p->begin, p->end - p->begin);
  }
  p->inner = next;
  p->streaming = true;
  p->begin = begin;
  p->end = end;
  return TL_OK;
}

static int parts_schema(struct ArrowArrayStream *self, struct ArrowSchema *out) {
  parts *p = self->private_data;
  return p->inner.get_schema(&p->inner, out);
}

static int parts_next(struct ArrowArrayStream *self, struct ArrowArray *out) {
  parts *p = self->private_data;
  for (;;) {
    int code = p->inner.get_next(&p->inner, out);
    if (code) {
      const char *why = p->inner.get_last_error(&p->inner);
      tl_fail(&p->error, TL_ESQL, "%s", why ? why : "no reason was given");
      return code;
    }
    if (out->release) {
      if (p->left > 0) p->left = out->length < p->left ? p->left - out->length : 0;
      return 0;
    }
    if (p->end == p->files.count || p->left == 0) return 0;
    if (next_part(p, &p->error)) return EIO;
  }
}

static const char *parts_error(struct ArrowArrayStream *self) {
  const parts *p = self->private_data;
  return p->error.message[0] ? p->error.message : NULL;
}

static void parts_close(parts *p) {
  if (p->streaming) p->inner.release(&p->inner);
  tl_copies_close(p->copies);
  tl_engine_close(p->engine);
  for (size_t c = 0; c < p->read.column_count; c++) tl_free(p->columns[c]);
  tl_free(p->columns);
  tl_table_files_deinit(&p->files);
  tl_free(p);
}

static void parts_release(struct ArrowArrayStream *self) {
  parts_close(self->private_data);
  *self = (struct ArrowArrayStream){0};
}

static tl_status copy_columns(parts *p, const tl_read *read, tl_error *err) {
  p->columns = tl_calloc(read->column_count + 1, sizeof *p->columns);
  if (!p->columns) return tl_fail(err, TL_ENOMEM, "cannot read %zu columns", read->column_count);
  for (size_t c = 0; c < read->column_count; c++) {
    p->columns[c] = tl_strdup(read->columns[c]);
    p->read.column_count = c + 1;
    if (!p->columns[c]) return tl_fail(err, TL_ENOMEM, "cannot read %zu columns", read->column_count);
  }
  p->read.columns = (const char *const *)p->columns;
  return TL_OK;
}

tl_status tl_read_parts(const tl_read *read, tl_table_files *files, bool sorted, struct ArrowArrayStream *out, tl_error *err) {
  parts *p = tl_calloc(1, sizeof *p);
  if (!p) return tl_fail(err, TL_ENOMEM, "cannot read from '%s'", tl_store_uri(read->lake));
  p->read = *read;
  p->read.symbols = NULL; /* they chose the files */
  p->read.symbol_count = p->read.column_count = 0;
  p->sorted = sorted;
  p->left = read->limit > 0 ? read->limit : -1;
  p->files = *files;
  *files = (tl_table_files){0};
  tl_status st = copy_columns(p, read, err);
  if (!st) st = tl_copies_open(read->lake, &p->copies, err);
  if (!st) st = tl_engine_open(NULL, &p->engine, err); /* the caller's may be closed before the stream */
  if (!st) st = next_part(p, err);
  if (st) parts_close(p);
  else *out = (struct ArrowArrayStream){parts_schema, parts_next, parts_error, parts_release, p};
  return st;
}
