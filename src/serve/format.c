/* format.c - an Arrow stream as text or a file; see serve.h for what each format promises. */
#include "serve/format.h"

#include <string.h>

#include "base/suggest.h"

static const char *const format_names[] = {"table", "csv", "jsonl", "json", "parquet", "arrow"};

tl_status tl_format_parse(const char *name, tl_output_format *out, tl_error *err) {
  size_t count = sizeof format_names / sizeof *format_names;
  for (size_t i = 0; i < count; i++)
    if (!strcmp(name, format_names[i])) {
      *out = (tl_output_format)i;
      return TL_OK;
    }
  const char *near = tl_suggest(name, format_names, count);
  if (near) return tl_fail(err, TL_EUSAGE, "unknown format '%s'; did you mean '%s'?", name, near);
  return tl_fail(err, TL_EUSAGE, "unknown format '%s'; formats are table, csv, jsonl, json, parquet, arrow", name);
}

int tl_format_time_digits(const tl_dataset *dataset) { return tl_kind_def_of(dataset->kind)->has_ns ? 6 : 0; }

/* ---- csv ---- */

/* Appends a field that stands from `at` to the end of buf again, quoted when it must be; empty text is always quoted,
 * because an empty field is NULL. */
static tl_status quote_csv(tl_buf *buf, size_t at, tl_buf *scratch, tl_error *err) {
  size_t len = buf->len - at;
  bool plain = len > 0;
  for (size_t i = at; plain && i < buf->len; i++) plain = !strchr(",\"\r\n", buf->data[i]) && buf->data[i];
  if (plain) return TL_OK;
  tl_buf_clear(scratch);
  tl_status st = tl_buf_append(scratch, "\"", 1, err);
  for (size_t i = at; !st && i < buf->len; i++) {
    if (buf->data[i] == '"') st = tl_buf_append(scratch, "\"", 1, err);
    if (!st) st = tl_buf_append(scratch, &buf->data[i], 1, err);
  }
  if (!st) st = tl_buf_append(scratch, "\"", 1, err);
  buf->len = at;
  return st ? st : tl_buf_append(buf, scratch->data, scratch->len, err);
}

static tl_status csv_header(tl_drain *drain, const tl_batches *batches, tl_buf *scratch, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t c = 0; !st && c < batches->row.child_count; c++) {
    st = c ? tl_buf_appends(&drain->buf, ",", err) : TL_OK;
    size_t at = drain->buf.len;
    if (!st) st = tl_buf_appends(&drain->buf, tl_batches_name(batches, c), err);
    if (!st) st = quote_csv(&drain->buf, at, scratch, err);
  }
  return st ? st : tl_buf_appends(&drain->buf, "\n", err);
}

static tl_status csv_row(tl_drain *drain, const tl_batches *batches, const tl_value_style *style, int64_t row, tl_buf *scratch,
                         tl_error *err) {
  tl_status st = TL_OK;
  int64_t at_row = batches->view.offset + row;
  for (size_t c = 0; !st && c < batches->row.child_count; c++) {
    const struct ArrowArrayView *view = batches->view.children[c];
    st = c ? tl_buf_appends(&drain->buf, ",", err) : TL_OK;
    if (st || tl_value_is_null(view, at_row)) continue;
    size_t at = drain->buf.len;
    st = tl_value_append(style, &batches->row.children[c], view, at_row, false, &drain->buf, err);
    if (!st) st = quote_csv(&drain->buf, at, scratch, err);
  }
  return st ? st : tl_buf_appends(&drain->buf, "\n", err);
}

/* ---- json ---- */

static tl_status json_row(tl_drain *drain, const tl_batches *batches, const tl_value_style *style, int64_t row, tl_error *err) {
  return tl_value_append(style, &batches->row, &batches->view, row, true, &drain->buf, err);
}

/* ---- rows of text ---- */

static tl_status write_row(const tl_format_options *options, tl_drain *drain, const tl_batches *batches, int64_t row, bool first,
                           tl_buf *scratch, tl_error *err) {
  tl_value_style style = {options->zone, options->time_digits};
  if (options->format == TL_FORMAT_CSV) return csv_row(drain, batches, &style, row, scratch, err);
  tl_status st = options->format == TL_FORMAT_JSON && !first ? tl_buf_appends(&drain->buf, ",\n", err) : TL_OK;
  if (!st) st = json_row(drain, batches, &style, row, err);
  return st || options->format == TL_FORMAT_JSON ? st : tl_buf_appends(&drain->buf, "\n", err);
}

static tl_status write_rows(const tl_format_options *options, tl_drain *drain, tl_batches *batches, int64_t *rows, tl_error *err) {
  tl_buf scratch = {0};
  bool more = true;
  tl_status st = TL_OK;
  if (options->format == TL_FORMAT_CSV) st = csv_header(drain, batches, &scratch, err);
  else if (options->format == TL_FORMAT_JSON) st = tl_buf_appends(&drain->buf, "[", err);
  while (!st && !(st = tl_batches_next(batches, &more, err)) && more)
    for (int64_t row = 0; !st && row < batches->array.length; row++, ++*rows) {
      st = write_row(options, drain, batches, row, *rows == 0, &scratch, err);
      if (!st) st = tl_drain_flush(drain, TL_DRAIN_FLUSH_BYTES, err);
    }
  if (!st && options->format == TL_FORMAT_JSON) st = tl_buf_appends(&drain->buf, "]\n", err);
  tl_buf_deinit(&scratch);
  return st;
}

/* ---- parquet ---- */

/* DuckDB writes the file itself, so the rows are counted on their way through. */
typedef struct counted {
  struct ArrowArrayStream *from;
  int64_t rows;
} counted;

static int counted_schema(struct ArrowArrayStream *self, struct ArrowSchema *out) {
  struct ArrowArrayStream *from = ((counted *)self->private_data)->from;
  return from->get_schema(from, out);
}

static int counted_next(struct ArrowArrayStream *self, struct ArrowArray *out) {
  counted *c = self->private_data;
  int code = c->from->get_next(c->from, out);
  if (!code && out->release) c->rows += out->length;
  return code;
}

static const char *counted_error(struct ArrowArrayStream *self) {
  struct ArrowArrayStream *from = ((counted *)self->private_data)->from;
  return from->get_last_error(from);
}

static void counted_release(struct ArrowArrayStream *self) { self->release = NULL; }

static tl_status write_parquet(const tl_format_options *options, tl_drain *drain, struct ArrowArrayStream *stream, int64_t *rows,
                               tl_error *err) {
  tl_engine *own = NULL;
  counted count = {.from = stream};
  struct ArrowArrayStream counter = {counted_schema, counted_next, counted_error, counted_release, &count};
  if (!drain->aside) return tl_fail(err, TL_EUSAGE, "format parquet needs a file to write to: add -o FILE");
  tl_status st = options->engine ? TL_OK : tl_engine_open(NULL, &own, err);
  if (!st) st = tl_engine_write_parquet(options->engine ? options->engine : own, &counter, drain->aside, err);
  tl_engine_close(own);
  *rows = count.rows;
  return st;
}

/* ---- any format ---- */

static tl_status write_format(const tl_format_options *options, tl_drain *drain, struct ArrowArrayStream *stream, int64_t *rows,
                              tl_error *err) {
  if (options->format == TL_FORMAT_PARQUET) return write_parquet(options, drain, stream, rows, err);
  tl_batches batches = {0};
  tl_value_style style = {options->zone, options->time_digits};
  tl_status st = tl_batches_open(&batches, stream, err);
  if (!st) st = tl_drain_start(drain, err);
  if (!st) switch (options->format) {
    case TL_FORMAT_TABLE: st = tl_format_table(drain, &batches, &style, rows, err); break;
    case TL_FORMAT_ARROW: st = tl_format_arrow(drain, &batches, rows, err); break;
    default: st = write_rows(options, drain, &batches, rows, err); break;
    }
  tl_batches_close(&batches);
  return st;
}

tl_status tl_format_write(const tl_format_options *options, struct ArrowArrayStream *stream, int64_t *rows, tl_error *err) {
  tl_drain drain;
  int64_t written = 0;
  tl_status st = tl_drain_open(&drain, options->path, options->sink, options->to, err);
  if (!st) st = write_format(options, &drain, stream, &written, err);
  stream->release(stream);
  if (!st) st = tl_drain_finish(&drain, err);
  tl_drain_close(&drain);
  if (!st && rows) *rows = written;
  return st;
}
