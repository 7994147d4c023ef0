/* writer.c - rows to row groups to a file; see writer.h.
 *
 *     PAR1 | row group: column chunks of pages | ... | footer | length | PAR1
 * Rows of unfinished groups wait in `staged`; a batch that holds a whole group is encoded where it lies. */
#include "parquet/writer.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "parquet/column.h"

enum { LEVEL_DEFAULT = 1, GROUP_ROWS_DEFAULT = 122880 };

struct tl_parquet {
  size_t group_rows;
  tl_leaf leaves[TL_LEAVES_MAX];
  tl_chunk chunks[TL_LEAVES_MAX]; /* of the row group written last */
  size_t leaf_count;
  int time_leaf;
  tl_batch staged;
  tl_pages pages;
  tl_encoder encoder;
  char *symbol;
  tl_buf groups; /* RowGroup structs of the footer */
  size_t group_count;
  tl_parquet_summary summary;
  bool unsound[TL_COLUMNS_MAX]; /* a NaN was seen: no bounds for the file */
};

static tl_leaf_kind leaf_kind(tl_type type) {
  switch (type) {
    case TL_I64: return TL_LEAF_I64;
    case TL_F64: return TL_LEAF_F64;
    case TL_WORD: return TL_LEAF_TEXT;
    case TL_WORDS: return TL_LEAF_LIST;
    case TL_TIME: break;
  }
  return TL_LEAF_TIME_US;
}

static void name_leaves(tl_parquet *w, const tl_kind_def *def) {
  if (w->symbol) w->leaves[w->leaf_count++] = (tl_leaf){TL_SYMBOL_COLUMN, TL_LEAF_TEXT, -1, false};
  w->time_leaf = (int)w->leaf_count;
  for (size_t c = 0; c < def->column_count; c++) {
    w->leaves[w->leaf_count++] = (tl_leaf){def->columns[c].name, leaf_kind(def->columns[c].type), (int)c, false};
    if (c == TL_COL_TIME && def->has_ns)
      w->leaves[w->leaf_count++] = (tl_leaf){TL_NS_COLUMN, TL_LEAF_I64, TL_COL_TIME, true};
  }
}

tl_status tl_parquet_open(const tl_parquet_options *options, tl_parquet **out, tl_error *err) {
  tl_parquet *w = tl_calloc(1, sizeof *w);
  if (!w) return tl_fail(err, TL_ENOMEM, "cannot make a Parquet writer");
  tl_batch_init(&w->staged, options->kind);
  w->group_rows = options->row_group_rows ? options->row_group_rows : GROUP_ROWS_DEFAULT;
  w->pages.sink = options->sink;
  w->pages.to = options->to;
  w->pages.level = options->zstd_level ? options->zstd_level : LEVEL_DEFAULT;
  tl_status st = tl_pages_init(&w->pages, err);
  if (!st && options->symbol) {
    w->symbol = tl_strdup(options->symbol);
    if (!w->symbol) st = tl_fail(err, TL_ENOMEM, "cannot keep the symbol");
  }
  if (!st) st = tl_buf_append(&w->pages.out, "PAR1", 4, err);
  if (st) {
    tl_parquet_close(w);
    return st;
  }
  name_leaves(w, w->staged.def);
  w->encoder.pages = &w->pages;
  w->encoder.words = options->words;
  w->encoder.symbol = w->symbol;
  *out = w;
  return TL_OK;
}

/* ---- statistics of the file ---- */

static void widen_i64(tl_column_stats *all, int64_t min, int64_t max) {
  if (!all->has_bounds || min < all->min.i64) all->min.i64 = min;
  if (!all->has_bounds || max > all->max.i64) all->max.i64 = max;
}

/* A chunk's zero bounds are -0.0 and +0.0 (column.c); equal zeros are not replaced, so the file's are the same. */
static void widen_f64(tl_column_stats *all, double min, double max) {
  if (!all->has_bounds || min < all->min.f64) all->min.f64 = min;
  if (!all->has_bounds || max > all->max.f64) all->max.f64 = max;
}

static void add_chunk_stats(tl_parquet *w, const tl_leaf *leaf, const tl_chunk *chunk) {
  if (leaf->column < 0 || leaf->is_ns) return;
  tl_column_stats *all = &w->summary.columns[leaf->column];
  all->null_count += chunk->null_count;
  if (chunk->unsound) w->unsound[leaf->column] = true;
  if (w->unsound[leaf->column]) all->has_bounds = false;
  else if (chunk->has_bounds && leaf->kind != TL_LEAF_TEXT) {
    double bounds[2];
    memcpy(bounds, chunk->bound_bits, sizeof bounds);
    if (leaf->kind == TL_LEAF_F64) widen_f64(all, bounds[0], bounds[1]);
    else widen_i64(all, (int64_t)chunk->bound_bits[0], (int64_t)chunk->bound_bits[1]);
    all->has_bounds = true;
  }
}

/* True when the rows ascend by time. */
static bool add_times(tl_parquet *w, const int64_t *times, size_t begin, size_t end) {
  tl_parquet_summary *s = &w->summary;
  if (!s->rows) s->time_min_ns = s->time_max_ns = times[begin];
  bool ascending = true;
  for (size_t row = begin; row < end; row++) {
    if (times[row] < s->time_min_ns) s->time_min_ns = times[row];
    if (times[row] > s->time_max_ns) s->time_max_ns = times[row];
    ascending &= row == begin || times[row - 1] <= times[row];
  }
  return ascending;
}

/* ---- rows ---- */

static tl_status put_group(tl_parquet *w, const tl_batch *batch, size_t begin, size_t end, tl_error *err) {
  bool ascending = add_times(w, tl_batch_times(batch), begin, end);
  for (size_t i = 0; i < w->leaf_count; i++) {
    tl_status st = tl_encoder_put(&w->encoder, &w->leaves[i], batch, begin, end, &w->chunks[i], err);
    if (st) return st;
    add_chunk_stats(w, &w->leaves[i], &w->chunks[i]);
  }
  w->summary.rows += (int64_t)(end - begin);
  w->group_count++;
  return tl_footer_add_group(&w->groups, w->leaves, w->chunks, w->leaf_count, (int64_t)(end - begin),
                             ascending ? w->time_leaf : -1, err);
}

/* Rows wait for their row group. Beyond a third of it the room is for the whole group, and not half as much again. */
static tl_status stage(tl_parquet *w, const tl_batch *batch, size_t begin, size_t end, tl_error *err) {
  size_t rows = w->staged.rows + (end - begin);
  if (rows > w->group_rows / 3) {
    tl_status st = tl_batch_reserve(&w->staged, w->group_rows - w->staged.rows, err);
    if (st) return st;
  }
  return tl_batch_append(&w->staged, batch, begin, end, err);
}

static tl_status put_staged(tl_parquet *w, tl_error *err) {
  if (!w->staged.rows) return TL_OK;
  tl_status st = put_group(w, &w->staged, 0, w->staged.rows, err);
  tl_batch_clear(&w->staged);
  return st;
}

tl_status tl_parquet_write(tl_parquet *w, const tl_batch *batch, size_t begin, size_t end, tl_error *err) {
  tl_status st = TL_OK;
  while (!st && begin < end) {
    size_t missing = w->group_rows - w->staged.rows, some = end - begin < missing ? end - begin : missing;
    if (some == w->group_rows) {
      st = put_group(w, batch, begin, begin + some, err);
    } else {
      st = stage(w, batch, begin, begin + some, err);
      if (!st && some == missing) st = put_staged(w, err);
    }
    begin += some;
  }
  return st;
}

tl_status tl_parquet_next_symbol(tl_parquet *w, const char *symbol, tl_error *err) {
  assert(w->symbol);
  if (!strcmp(w->symbol, symbol)) return TL_OK;
  tl_status st = put_staged(w, err);
  char *own = st ? NULL : tl_strdup(symbol);
  if (!st && !own) st = tl_fail(err, TL_ENOMEM, "cannot keep the symbol");
  if (st) return st;
  tl_free(w->symbol);
  w->symbol = own;
  w->encoder.symbol = own;
  return TL_OK;
}

tl_status tl_parquet_finish(tl_parquet *w, tl_parquet_summary *summary, tl_error *err) {
  tl_status st = put_staged(w, err);
  if (!st)
    st = tl_footer_end(&w->pages.out, w->leaves, w->leaf_count, w->summary.rows, &w->groups, w->group_count, err);
  if (!st) st = tl_pages_send(&w->pages, err);
  if (st) return st;
  w->summary.bytes = w->pages.sent_bytes;
  *summary = w->summary;
  return TL_OK;
}

void tl_parquet_close(tl_parquet *w) {
  if (!w) return;
  tl_batch_deinit(&w->staged);
  tl_pages_deinit(&w->pages);
  tl_encoder_deinit(&w->encoder);
  tl_buf_deinit(&w->groups);
  tl_free(w->symbol);
  tl_free(w);
}
