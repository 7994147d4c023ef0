/* batch.c - columns that grow together. */
#include "batch/batch.h"

#include <stdlib.h>

#include "base/alloc.h"

static size_t value_bytes(tl_type type) { return type == TL_WORD || type == TL_WORDS ? sizeof(uint32_t) : sizeof(int64_t); }

static size_t bitmap_bytes(size_t rows) { return (rows + 7) / 8; }

void tl_batch_init(tl_batch *batch, tl_kind kind) { *batch = (tl_batch){.def = tl_kind_def_of(kind)}; }

void tl_batch_deinit(tl_batch *batch) {
  for (size_t c = 0; c < TL_COLUMNS_MAX; c++) {
    tl_free(batch->columns[c].data);
    tl_free(batch->columns[c].valid);
    batch->columns[c] = (tl_column){0};
  }
  batch->rows = batch->rows_max = 0;
}

/* All rows up to rows_max beyond `rows` are kept marked valid, so that writing a row needs no bitmap work. */
static void mark_valid(uint8_t *valid, size_t from, size_t to) {
  for (; from < to && (from & 7u); from++) valid[from >> 3] = (uint8_t)(valid[from >> 3] | (1u << (from & 7u)));
  if (from < to) memset(valid + from / 8, 0xFF, bitmap_bytes(to) - from / 8);
}

void tl_batch_clear(tl_batch *batch) {
  for (size_t c = 0; c < TL_COLUMNS_MAX; c++)
    if (batch->columns[c].valid) memset(batch->columns[c].valid, 0xFF, bitmap_bytes(batch->rows_max));
  batch->rows = 0;
}

tl_status tl_batch_reserve(tl_batch *batch, size_t extra_rows, tl_error *err) {
  size_t need = 0;
  if (__builtin_add_overflow(batch->rows, extra_rows, &need) || need > SIZE_MAX / 32)
    return tl_fail(err, TL_ENOMEM, "cannot hold %zu more rows", extra_rows);
  if (need <= batch->rows_max) return TL_OK;
  size_t rows_max = batch->rows_max + batch->rows_max / 2;
  if (rows_max < need) rows_max = need;
  if (rows_max < 64) rows_max = 64;
  for (size_t c = 0; c < batch->def->column_count; c++) {
    tl_column *column = &batch->columns[c];
    void *grown = tl_realloc_array(column->data, rows_max, value_bytes(batch->def->columns[c].type));
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot grow a batch of %s to %zu rows", batch->def->name, rows_max);
    column->data = grown;
    if (!batch->def->columns[c].nullable) continue;
    uint8_t *valid = tl_realloc(column->valid, bitmap_bytes(rows_max));
    if (!valid) return tl_fail(err, TL_ENOMEM, "cannot grow a batch of %s to %zu rows", batch->def->name, rows_max);
    mark_valid(valid, column->valid ? batch->rows_max : 0, rows_max);
    column->valid = valid;
  }
  batch->rows_max = rows_max;
  return TL_OK;
}

tl_status tl_batch_append(tl_batch *to, const tl_batch *from, size_t begin, size_t end, tl_error *err) {
  if (begin >= end) return TL_OK;
  size_t count = end - begin;
  tl_status st = tl_batch_reserve(to, count, err);
  if (st) return st;
  for (size_t c = 0; c < to->def->column_count; c++) {
    size_t width = value_bytes(to->def->columns[c].type);
    memcpy((char *)to->columns[c].data + to->rows * width, (const char *)from->columns[c].data + begin * width, count * width);
    if (!to->columns[c].valid) continue;
    for (size_t row = 0; row < count; row++)
      if (!tl_column_valid(&from->columns[c], begin + row)) tl_column_set_null(&to->columns[c], to->rows + row);
  }
  to->rows += count;
  return TL_OK;
}

void tl_batch_move(tl_batch *from, tl_batch *to) {
  tl_batch_deinit(to);
  *to = *from;
  *from = (tl_batch){.def = to->def};
}

void tl_batch_drop_head(tl_batch *batch, size_t rows) {
  if (!rows) return;
  size_t left = batch->rows - rows;
  for (size_t c = 0; c < batch->def->column_count; c++) {
    size_t width = value_bytes(batch->def->columns[c].type);
    char *data = batch->columns[c].data;
    if (left) memmove(data, data + rows * width, left * width);
    uint8_t *valid = batch->columns[c].valid;
    if (!valid) continue;
    for (size_t row = 0; row < left; row++) {
      unsigned bit = ((unsigned)valid[(row + rows) >> 3] >> ((row + rows) & 7u)) & 1u;
      valid[row >> 3] = (uint8_t)((valid[row >> 3] & ~(1u << (row & 7u))) | (bit << (row & 7u)));
    }
    mark_valid(valid, left, batch->rows_max);
  }
  batch->rows = left;
}

size_t tl_kind_row_bytes(tl_kind kind) {
  const tl_kind_def *def = tl_kind_def_of(kind);
  size_t total = 0;
  for (size_t c = 0; c < def->column_count; c++) total += value_bytes(def->columns[c].type);
  return total;
}

size_t tl_batch_bytes(const tl_batch *batch) { return batch->def ? batch->rows_max * tl_kind_row_bytes(batch->def->kind) : 0; }

typedef struct order {
  int64_t time_ns;
  size_t row;
} order;

static int compare_orders(const void *a, const void *b) {
  const order *x = a, *y = b;
  if (x->time_ns != y->time_ns) return x->time_ns < y->time_ns ? -1 : 1;
  return x->row < y->row ? -1 : x->row > y->row;
}

static bool is_sorted(const tl_batch *batch) {
  const int64_t *times = tl_batch_times(batch);
  for (size_t row = 1; row < batch->rows; row++)
    if (times[row] < times[row - 1]) return false;
  return true;
}

static void take_rows(tl_batch *sorted, const tl_batch *from, const order *orders) {
  for (size_t c = 0; c < from->def->column_count; c++) {
    const tl_column *source = &from->columns[c];
    tl_column *target = &sorted->columns[c];
    bool narrow = value_bytes(from->def->columns[c].type) == sizeof(uint32_t);
    for (size_t row = 0; row < from->rows; row++) {
      if (narrow) target->word[row] = source->word[orders[row].row];
      else target->i64[row] = source->i64[orders[row].row];
      if (target->valid && !tl_column_valid(source, orders[row].row)) tl_column_set_null(target, row);
    }
  }
  sorted->rows = from->rows;
}

tl_status tl_batch_sort(tl_batch *batch, tl_error *err) {
  if (is_sorted(batch)) return TL_OK;
  tl_batch sorted = {.def = batch->def};
  order *orders = tl_realloc_array(NULL, batch->rows, sizeof *orders);
  tl_status st = orders ? tl_batch_reserve(&sorted, batch->rows, err)
                        : tl_fail(err, TL_ENOMEM, "cannot sort %zu rows", batch->rows);
  if (!st) {
    for (size_t row = 0; row < batch->rows; row++) orders[row] = (order){tl_batch_times(batch)[row], row};
    qsort(orders, batch->rows, sizeof *orders, compare_orders);
    take_rows(&sorted, batch, orders);
    tl_batch_move(&sorted, batch);
  }
  tl_batch_deinit(&sorted);
  tl_free(orders);
  return st;
}

size_t tl_batch_lower_bound(const tl_batch *batch, size_t begin, size_t end, int64_t at_ns) {
  const int64_t *times = tl_batch_times(batch);
  while (begin < end) {
    size_t middle = begin + (end - begin) / 2;
    if (times[middle] < at_ns) begin = middle + 1;
    else end = middle;
  }
  return begin;
}

bool tl_batch_rows_equal(const tl_batch *x, size_t a, const tl_batch *y, size_t b) {
  for (size_t c = 0; c < x->def->column_count; c++) {
    bool valid = tl_column_valid(&x->columns[c], a);
    if (valid != tl_column_valid(&y->columns[c], b)) return false;
    if (!valid) continue;
    if (value_bytes(x->def->columns[c].type) == sizeof(uint32_t)) {
      if (x->columns[c].word[a] != y->columns[c].word[b]) return false;
    } else if (memcmp(&x->columns[c].i64[a], &y->columns[c].i64[b], sizeof(int64_t)) != 0) {
      return false;
    }
  }
  return true;
}
