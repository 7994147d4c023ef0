/* table.c - rows as aligned columns for a terminal. The first rows are held back to measure the columns; a later value
 * that is wider pushes its row to the right. Control characters are shown as \xNN, so data cannot steer a terminal. */
#include <string.h>

#include "base/alloc.h"
#include "serve/format.h"

enum { MEASURED_ROWS = 1000 };

typedef struct table {
  tl_drain *drain;
  tl_batches *batches;
  const tl_value_style *style;
  size_t columns;
  size_t *widths;
  tl_buf cells;      /* text of the rows held back, each cell with a NUL after it */
  size_t held;       /* rows in cells */
  tl_buf cell, shown;
} table;

static size_t width_of(const char *text) { /* characters: bytes that do not continue one */
  size_t width = 0;
  for (; *text; text++) width += ((unsigned char)*text & 0xC0) != 0x80;
  return width;
}

static tl_status append_shown(tl_buf *out, const char *data, size_t len, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < len; i++) {
    unsigned char c = (unsigned char)data[i];
    bool c1 = c == 0xC2 && i + 1 < len && (unsigned char)data[i + 1] < 0xA0; /* U+0080..U+009F steer terminals too */
    if (c >= 0x20 && c != 0x7F && !c1) st = tl_buf_append(out, &data[i], 1, err);
    else if (c == '\n') st = tl_buf_appends(out, "\\n", err);
    else if (c == '\t') st = tl_buf_appends(out, "\\t", err);
    else st = tl_buf_appendf(out, err, "\\x%02x", c1 ? (unsigned char)data[++i] : c);
  }
  return st;
}

static tl_status put_cell(table *t, size_t column, const char *text, tl_error *err) {
  tl_buf *out = &t->drain->buf;
  size_t width = width_of(text), pad = width < t->widths[column] ? t->widths[column] - width : 0;
  bool right = tl_field_is_number(&t->batches->row.children[column]), last = column + 1 == t->columns;
  tl_status st = column ? tl_buf_appends(out, "  ", err) : TL_OK;
  if (!st && right) st = tl_buf_appendf(out, err, "%*s", (int)pad, "");
  if (!st) st = tl_buf_appends(out, text, err);
  if (!st && !right && !last) st = tl_buf_appendf(out, err, "%*s", (int)pad, "");
  return st || !last ? st : tl_buf_appends(out, "\n", err);
}

/* Text of a cell, terminated, in t->shown. */
static tl_status show(table *t, size_t column, int64_t row, tl_error *err) {
  const struct ArrowArrayView *view = &t->batches->view;
  tl_buf_clear(&t->cell);
  tl_buf_clear(&t->shown);
  tl_status st = tl_value_append(t->style, &t->batches->row.children[column], view->children[column], view->offset + row, false, &t->cell, err);
  if (!st && t->cell.len) st = append_shown(&t->shown, t->cell.data, t->cell.len, err);
  return st ? st : tl_buf_append(&t->shown, "", 1, err);
}

static tl_status put_header(table *t, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t c = 0; !st && c < t->columns; c++) {
    const char *name = tl_batches_name(t->batches, c);
    tl_buf_clear(&t->shown);
    st = append_shown(&t->shown, name, strlen(name), err);
    if (!st) st = tl_buf_append(&t->shown, "", 1, err);
    if (!st) st = put_cell(t, c, t->shown.data, err);
  }
  for (size_t c = 0; !st && c < t->columns; c++) {
    st = tl_buf_appends(&t->drain->buf, c ? "  " : "", err);
    for (size_t i = 0; !st && i < t->widths[c]; i++) st = tl_buf_appends(&t->drain->buf, "-", err);
  }
  return st ? st : tl_buf_appends(&t->drain->buf, "\n", err);
}

/* The columns are measured: header and the rows held back. */
static tl_status put_held(table *t, tl_error *err) {
  tl_status st = put_header(t, err);
  const char *cell = t->cells.data;
  for (size_t row = 0; !st && row < t->held; row++)
    for (size_t c = 0; !st && c < t->columns; c++, cell += strlen(cell) + 1) st = put_cell(t, c, cell, err);
  t->held = 0;
  tl_buf_deinit(&t->cells);
  return st;
}

static tl_status take_row(table *t, int64_t row, bool hold, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t c = 0; !st && c < t->columns; c++) {
    st = show(t, c, row, err);
    if (st) break;
    size_t width = width_of(t->shown.data);
    if (hold && width > t->widths[c]) t->widths[c] = width;
    st = hold ? tl_buf_append(&t->cells, t->shown.data, t->shown.len, err) : put_cell(t, c, t->shown.data, err);
  }
  if (hold) t->held++;
  return st ? st : tl_drain_flush(t->drain, TL_DRAIN_FLUSH_BYTES, err);
}

tl_status tl_format_table(tl_drain *drain, tl_batches *batches, const tl_value_style *style, int64_t *rows, tl_error *err) {
  table t = {.drain = drain, .batches = batches, .style = style, .columns = batches->row.child_count};
  bool more = true, measured = false;
  tl_status st = TL_OK;
  t.widths = tl_calloc(t.columns, sizeof *t.widths);
  if (!t.widths) st = tl_fail(err, TL_ENOMEM, "cannot print a table");
  for (size_t c = 0; !st && c < t.columns; c++) t.widths[c] = width_of(tl_batches_name(batches, c));
  while (!st && !(st = tl_batches_next(batches, &more, err)) && more)
    for (int64_t row = 0; !st && row < batches->array.length; row++, ++*rows) {
      if (!measured && *rows == MEASURED_ROWS) {
        st = put_held(&t, err);
        measured = true;
      }
      if (!st) st = take_row(&t, row, !measured, err);
    }
  if (!st && !measured) st = put_held(&t, err);
  tl_free(t.widths);
  tl_buf *bufs[] = {&t.cells, &t.cell, &t.shown};
  for (size_t i = 0; i < 3; i++) tl_buf_deinit(bufs[i]);
  return st;
}
