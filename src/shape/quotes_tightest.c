/* quotes_tightest.c - one pass that keeps the row number of the best quote so far. See quotes_tightest.h. */
#include "shape/quotes_tightest.h"

#include "market/number.h"
#include "shape/price.h"

void tl_quotes_tightest_deinit(tl_quotes_tightest *t) {
  tl_batch_deinit(&t->best);
  *t = (tl_quotes_tightest){0};
}

/* INT64_MAX when the quote is not two-sided or crossed. */
static inline int64_t spread_e9(const tl_batch *quotes, size_t row) {
  const tl_column *bids = &quotes->columns[TL_QUOTES_BID_PRICE], *asks = &quotes->columns[TL_QUOTES_ASK_PRICE];
  double bid = bids->f64[row], ask = asks->f64[row];
  if (!(bid > 0 && ask >= bid && ask < TL_PRICE_MAX)) return INT64_MAX;
  if (!tl_column_valid(bids, row) || !tl_column_valid(asks, row)) return INT64_MAX;
  return tl_price_e9(ask) - tl_price_e9(bid);
}

static void copy_column(const tl_batch *from, size_t row, int from_column, tl_batch *to, int to_column) {
  const tl_column *source = &from->columns[from_column];
  tl_column *target = &to->columns[to_column];
  if (from->def->columns[from_column].type == TL_WORD) target->word[to->rows] = source->word[row];
  else target->i64[to->rows] = source->i64[row];
  if (!tl_column_valid(source, row)) tl_column_set_null(target, to->rows);
}

static tl_status give_second(tl_quotes_tightest *t, const tl_batch *quotes, tl_batch *out, tl_error *err) {
  static const struct { int from, to; } columns[] = {
    {TL_QUOTES_BID_PRICE, TL_QUOTES_1S_BID_PRICE},       {TL_QUOTES_BID_SIZE, TL_QUOTES_1S_BID_SIZE},
    {TL_QUOTES_BID_EXCHANGE, TL_QUOTES_1S_BID_EXCHANGE}, {TL_QUOTES_ASK_PRICE, TL_QUOTES_1S_ASK_PRICE},
    {TL_QUOTES_ASK_SIZE, TL_QUOTES_1S_ASK_SIZE},         {TL_QUOTES_ASK_EXCHANGE, TL_QUOTES_1S_ASK_EXCHANGE},
  };
  tl_status st = tl_batch_reserve(out, 1, err);
  if (st) return st;
  const tl_batch *from = t->fresh ? quotes : &t->best;
  size_t row = t->fresh ? t->best_row : 0;
  for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) copy_column(from, row, columns[i].from, out, columns[i].to);
  bool two_sided = t->best_spread_e9 != INT64_MAX;
  out->columns[TL_COL_TIME].i64[out->rows] = t->second_ns;
  out->columns[TL_QUOTES_1S_SPREAD].f64[out->rows] = two_sided ? tl_e9_f64(t->best_spread_e9) : 0;
  if (!two_sided) tl_column_set_null(&out->columns[TL_QUOTES_1S_SPREAD], out->rows);
  out->columns[TL_QUOTES_1S_QUOTE_COUNT].i64[out->rows] = t->quote_count;
  out->rows++;
  return TL_OK;
}

static void open_second(tl_quotes_tightest *t, int64_t ns) {
  t->second_ns = tl_time_floor_s(ns);
  t->best_spread_e9 = INT64_MAX;
  t->quote_count = 0;
  t->open = true;
  t->fresh = false;
}

/* First row in [row, end) at or after the second's end. */
static size_t second_end(const int64_t *times, size_t row, size_t end, int64_t second_ns) {
  uint64_t first = (uint64_t)second_ns;
  while (row < end && (uint64_t)times[row] - first < (uint64_t)TL_NS_PER_S) row++;
  return row;
}

tl_status tl_quotes_tightest_feed(tl_quotes_tightest *t, const tl_batch *quotes, size_t begin, size_t end, tl_batch *out,
                                  tl_error *err) {
  const int64_t *times = tl_batch_times(quotes);
  if (!t->best.def) tl_batch_init(&t->best, TL_QUOTES);
  if (begin < end && t->open && times[begin] < t->last_ns) return tl_fail(err, TL_EINTERNAL, "quotes go back in time");
  tl_status st = TL_OK;
  for (size_t row = begin; row < end;) {
    size_t stop = t->open ? second_end(times, row, end, t->second_ns) : row;
    if (stop == row) {
      if (t->open && times[row] < t->second_ns) return tl_fail(err, TL_EINTERNAL, "quotes go back in time");
      if (t->open) st = give_second(t, quotes, out, err);
      if (st) return st;
      open_second(t, times[row]);
      continue;
    }
    t->quote_count += (int64_t)(stop - row);
    for (; row < stop; row++) {
      int64_t spread = spread_e9(quotes, row);
      if (spread > t->best_spread_e9) continue; /* equal: the later one is kept */
      t->best_spread_e9 = spread;
      t->best_row = row;
      t->fresh = true;
    }
  }
  if (begin < end) t->last_ns = times[end - 1];
  t->quotes += (int64_t)(end - begin);
  if (!t->open || !t->fresh) return TL_OK;
  tl_batch_clear(&t->best); /* the batch goes away, its best row must not */
  t->fresh = false;
  return tl_batch_append(&t->best, quotes, t->best_row, t->best_row + 1, err);
}

tl_status tl_quotes_tightest_flush(tl_quotes_tightest *t, tl_batch *out, tl_error *err) {
  if (!t->open) return TL_OK;
  t->open = false;
  return give_second(t, &t->best, out, err);
}

int64_t tl_quotes_tightest_cut(const tl_quotes_tightest *t) { return t->open ? t->second_ns : INT64_MIN; }
