/* merge.c - two ascending streams into one. */
#include "commit/merge.h"

/* The cursor never rests on a slice that is used up. */
static void settle(tl_merge *m) {
  while (m->slice < m->slice_count && m->row >= m->slices[m->slice].end)
    if (++m->slice < m->slice_count) m->row = m->slices[m->slice].begin;
}

tl_merge tl_merge_of(tl_parquet *writer, const tl_slice *slices, size_t count, bool by_range) {
  tl_merge merge = {.writer = writer, .slices = slices, .slice_count = count, .by_range = by_range,
                    .row = count ? slices[0].begin : 0};
  settle(&merge);
  return merge;
}

/* Writes the new rows with time < until_ns. */
static tl_status write_new_before(tl_merge *m, int64_t until_ns, bool all, tl_error *err) {
  while (m->slice < m->slice_count) {
    const tl_slice *s = &m->slices[m->slice];
    size_t end = all ? s->end : tl_batch_lower_bound(s->rows, m->row, s->end, until_ns);
    if (end > m->row) {
      tl_status st = tl_parquet_write(m->writer, s->rows, m->row, end, err);
      if (st) return st;
      m->row = end;
    }
    if (m->row < s->end) return TL_OK;
    settle(m);
  }
  return TL_OK;
}

/* The new rows are all still findable: looks in the slices, not at the cursor. */
static bool equals_a_new_row(const tl_merge *m, const tl_batch *old, size_t row) {
  int64_t at_ns = tl_batch_times(old)[row];
  for (size_t i = m->range; i < m->slice_count; i++) {
    const tl_slice *s = &m->slices[i];
    size_t at = tl_batch_lower_bound(s->rows, s->begin, s->end, at_ns);
    if (at < s->end && tl_batch_times(s->rows)[at] == at_ns)
      for (; at < s->end && tl_batch_times(s->rows)[at] == at_ns; at++)
        if (tl_batch_rows_equal(s->rows, at, old, row)) return true;
    if (s->range.start_ns > at_ns) break;
  }
  return false;
}

static bool replaced_by_range(tl_merge *m, int64_t at_ns) {
  while (m->range < m->slice_count && m->slices[m->range].range.end_ns <= at_ns) m->range++;
  return m->range < m->slice_count && tl_range_holds(m->slices[m->range].range, at_ns);
}

static bool replaced_by_time(const tl_merge *m, int64_t at_ns) {
  return m->slice < m->slice_count && tl_batch_times(m->slices[m->slice].rows)[m->row] == at_ns;
}

tl_status tl_merge_old(void *merge, const tl_batch *old, tl_error *err) {
  tl_merge *m = merge;
  const int64_t *times = tl_batch_times(old);
  size_t kept_from = 0; /* old rows [kept_from, row) are kept and not written yet; no new row lies between them */
  for (size_t row = 0; row <= old->rows; row++) {
    bool end = row == old->rows;
    bool new_comes = !end && m->slice < m->slice_count && tl_batch_times(m->slices[m->slice].rows)[m->row] < times[row];
    bool replaced = !end && (m->by_range ? replaced_by_range(m, times[row]) : (!new_comes && replaced_by_time(m, times[row])));
    if ((end || new_comes || replaced) && row > kept_from) {
      tl_status st = tl_parquet_write(m->writer, old, kept_from, row, err);
      if (st) return st;
      kept_from = row;
    }
    if (end) break;
    if (new_comes) {
      tl_status st = write_new_before(m, times[row], false, err);
      if (st) return st;
      if (!m->by_range) replaced = replaced_by_time(m, times[row]);
    }
    if (replaced) {
      if (equals_a_new_row(m, old, row)) m->unchanged++;
      else m->removed++;
      kept_from = row + 1;
    }
  }
  return TL_OK;
}

tl_status tl_merge_finish(tl_merge *m, tl_error *err) { return write_new_before(m, 0, true, err); }
