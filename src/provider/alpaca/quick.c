/* quick.c - digits eight at a time, no branch that the row before does not foretell. See quick.h.
 *
 * A row begins only when ROW_BYTES_MAX bytes are left, and its members are bounded: each at most once, none over
 * MEMBER_BYTES_MAX. So nothing in here compares with the page's end but the row's first line. */
#include "provider/alpaca/quick.h"

#include "base/alloc.h"

enum {
  MEMBER_BYTES_MAX = 40, /* "t":"2024-01-02T09:30:00.123456789Z", is the longest: 37 */
  READ_AHEAD_BYTES = 32,
  ROW_BYTES_MAX = ALPACA_MEMBERS_MAX * MEMBER_BYTES_MAX + READ_AHEAD_BYTES
};
#define ZEROS UINT64_C(0x3030303030303030)
#define HIGHS UINT64_C(0x8080808080808080)
#define ONES UINT64_C(0x0101010101010101)
#define ALWAYS_INLINE inline __attribute__((always_inline))

static ALWAYS_INLINE uint32_t load4(const char *p) {
  uint32_t x;
  memcpy(&x, p, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  x = __builtin_bswap32(x);
#endif
  return x;
}

static ALWAYS_INLINE uint64_t load8(const char *p) { /* the first byte is the lowest */
  uint64_t x;
  memcpy(&x, p, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  x = __builtin_bswap64(x);
#endif
  return x;
}

/* Top bit of every byte that is no digit, of text ^ ZEROS; true up to the first byte of 0x80 and more. */
static ALWAYS_INLINE uint64_t non_digits(uint64_t x) { return (x | (x + UINT64_C(0x7676767676767676))) & HIGHS; }

/* Eight digit values, the first the lowest byte, as a number. */
static ALWAYS_INLINE uint64_t digits8(uint64_t x) {
  x = x * 10 + (x >> 8);
  return ((x & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x000F424000000064) +
          ((x >> 16) & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x0000271000000001)) >> 32;
}

/* The first `count` (1..8) digit values of x as a number. */
static ALWAYS_INLINE uint64_t digits(uint64_t x, unsigned count) { return digits8(x << (64 - count * 8)); }

static const uint64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
static const double powers_f64[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

static ALWAYS_INLINE bool has_needless_zero(uint64_t x, unsigned count) { return (x & 0xff) == 0 && count > 1; }

/* 1 to 15 digits. */
static ALWAYS_INLINE const char *read_count(const char *p, int64_t *out) {
  uint64_t x = load8(p) ^ ZEROS, stops = non_digits(x);
  if (__builtin_expect(stops != 0, 1)) {
    unsigned count = (unsigned)__builtin_ctzll(stops) >> 3;
    if (count == 0 || has_needless_zero(x, count)) return NULL;
    *out = (int64_t)digits(x, count);
    return p + count;
  }
  if ((x & 0xff) == 0) return NULL;
  uint64_t head = digits8(x);
  x = load8(p + 8) ^ ZEROS;
  stops = non_digits(x);
  if (!stops) return NULL;
  unsigned count = (unsigned)__builtin_ctzll(stops) >> 3;
  *out = (int64_t)(count ? head * powers[count] + digits(x, count) : head);
  return p + 8 + count;
}

/* Whole digits, then decimals in the next eight bytes: 15 digits at most, below 2^53, so one division rounds right. */
static ALWAYS_INLINE const char *read_long_price(const char *p, uint64_t x, unsigned whole, double *out) {
  uint64_t y = load8(p + whole + 1) ^ ZEROS, stops = non_digits(y);
  if (!stops) return NULL;
  unsigned decimals = (unsigned)__builtin_ctzll(stops) >> 3;
  if (!decimals) return NULL;
  *out = (double)(int64_t)(digits(x, whole) * powers[decimals] + digits(y, decimals)) / powers_f64[decimals];
  return p + whole + 1 + decimals;
}

/* At most 7 digits before the point and 7 behind it. */
static ALWAYS_INLINE const char *read_price(const char *p, double *out) {
  uint64_t x = load8(p) ^ ZEROS, stops = non_digits(x);
  if (!stops) return NULL;
  unsigned whole_bits = (unsigned)__builtin_ctzll(stops) & ~7u, whole = whole_bits >> 3;
  if (whole == 0 || has_needless_zero(x, whole)) return NULL;
  if (p[whole] != '.') {
    *out = (double)(int64_t)digits(x, whole);
    return p + whole;
  }
  uint64_t second = stops & (stops - 1);
  if (!second) return read_long_price(p, x, whole, out);
  unsigned length = (unsigned)__builtin_ctzll(second) >> 3; /* of all, with the point */
  if (length == whole + 1) return NULL;
  uint64_t front = x & ((UINT64_C(1) << whole_bits) - 1), back = x >> whole_bits >> 8 << whole_bits;
  *out = (double)(int64_t)digits(front | back, length - 1) / powers_f64[length - 1 - whole];
  return p + length;
}

static ALWAYS_INLINE const char *read_time(alpaca_quick *quick, const char *p, const char *end, int64_t *out) {
  const char *after;
  if (*p != '"' || !tl_time_parse_utc(p + 1, end, &quick->times, out, &after) || *after != '"') return NULL;
  return after + 1;
}

/* The fraction after the point: 1 to 9 digits. */
static ALWAYS_INLINE const char *read_fraction(const char *p, int64_t *out_ns) {
  uint64_t x = load8(p) ^ ZEROS, stops = non_digits(x);
  if (!stops) {
    *out_ns = (int64_t)digits8(x) * 10;
    p += 8;
    if ((unsigned)(*p - '0') <= 9) *out_ns += *p++ - '0';
    return p;
  }
  unsigned count = (unsigned)__builtin_ctzll(stops) >> 3;
  if (!count) return NULL;
  *out_ns = (int64_t)(digits(x, count) * powers[9 - count]);
  return p + count;
}

/* ns is of a day that is wholly inside the range of instants: tl_time_parse_utc takes no other. */
static void keep_minute(alpaca_quick *quick, const char *text, int64_t ns) {
  const int64_t minute_ns = 60 * TL_NS_PER_S;
  quick->minute_ns = tl_floor_div(ns, minute_ns) * minute_ns;
  quick->minute[0] = load8(text);
  quick->minute[1] = load8(text + 8);
}

/* The time of a tick, which mostly lies in the same minute as the tick before. */
static ALWAYS_INLINE const char *read_tick_time(alpaca_quick *quick, const char *p, const char *end, int64_t *out) {
  if (load8(p + 1) != quick->minute[0] || load8(p + 9) != quick->minute[1]) {
    const char *after = read_time(quick, p, end, out);
    if (after) keep_minute(quick, p + 1, *out);
    return after;
  }
  uint32_t second = load4(p + 17); /* ":SS." */
  unsigned tens = (second >> 8 & 0xff) - '0', ones = (second >> 16 & 0xff) - '0';
  int64_t fraction_ns = 0;
  if (*p != '"' || (second & 0xff) != ':' || tens > 5 || ones > 9) return NULL;
  const char *r = p + 20;
  if (second >> 24 == '.') r = read_fraction(r + 1, &fraction_ns);
  if (!r || r[0] != 'Z' || r[1] != '"') return NULL;
  *out = quick->minute_ns + (int64_t)(tens * 10 + ones) * TL_NS_PER_S + fraction_ns;
  return r + 2;
}

static ALWAYS_INLINE const char *read_word(const alpaca_quick *quick, const char *p, uint32_t *out) {
  uint32_t x = load4(p), code = quick->letters[x >> 8 & 0xff];
  if (((x ^ ('"' | '"' << 16)) & 0x00ff00ff) | !code) return NULL;
  *out = code - 1;
  return p + 3;
}

/* Lowest set bit: the top bit of the first ']' among eight bytes; 0 when there is none. */
static ALWAYS_INLINE uint64_t list_end(uint64_t x) {
  uint64_t close = x ^ ONES * ']';
  close = (close - ONES) & ~close & HIGHS;
  return close;
}

static ALWAYS_INLINE unsigned end_bytes(uint64_t close) { return ((unsigned)__builtin_ctzll(close) >> 3) + 1; }

/* The bytes up to the first ']' as words, zero behind; their count, 0 when there are too many. The general path never
 * teaches a list with a ']' inside a text, so a match is always the whole list. */
static ALWAYS_INLINE size_t list_words(const char *p, uint64_t raw[ALPACA_LIST_WORDS]) {
  for (size_t i = 0; i < ALPACA_LIST_WORDS; i++) {
    raw[i] = load8(p + i * 8);
    uint64_t close = list_end(raw[i]);
    if (!close) continue;
    raw[i] &= close ^ (close - 1);
    for (size_t k = i + 1; k < ALPACA_LIST_WORDS; k++) raw[k] = 0;
    return i * 8 + end_bytes(close);
  }
  return 0;
}

static ALWAYS_INLINE size_t short_slot(uint64_t raw) { return (size_t)(raw * UINT64_C(0xff51afd7ed558ccd) >> 58); }

static ALWAYS_INLINE size_t list_slot(const uint64_t raw[ALPACA_LIST_WORDS]) {
  uint64_t hash = (raw[0] ^ raw[1] * UINT64_C(0x9e3779b97f4a7c15) ^ raw[2] * UINT64_C(0xc2b2ae3d27d4eb4f)) *
                  UINT64_C(0xff51afd7ed558ccd);
  return (size_t)(hash >> 55); /* 0 .. ALPACA_LISTS_MAX - 1 */
}

static ALWAYS_INLINE bool is_list(const struct alpaca_list *list, const uint64_t raw[ALPACA_LIST_WORDS]) {
  return ((list->raw[0] ^ raw[0]) | (list->raw[1] ^ raw[1]) | (list->raw[2] ^ raw[2])) == 0;
}

static const char *read_long_list(const alpaca_quick *quick, const char *p, uint32_t *out) {
  uint64_t raw[ALPACA_LIST_WORDS];
  size_t length = list_words(p, raw);
  if (!length) return NULL;
  size_t slot = list_slot(raw);
  const struct alpaca_list *list = &quick->lists[slot];
  if (!is_list(list, raw)) list = &quick->lists[slot ^ 1];
  if (!is_list(list, raw)) return NULL;
  *out = list->code;
  return p + length;
}

static ALWAYS_INLINE const char *read_list(const alpaca_quick *quick, const char *p, uint32_t *out) {
  uint64_t x = load8(p), close = list_end(x);
  if (close) {
    const struct alpaca_short_list *list = &quick->short_lists[short_slot(x & (close ^ (close - 1)))];
    if (list->raw == (x & (close ^ (close - 1)))) {
      *out = list->code;
      return p + end_bytes(close);
    }
  }
  return read_long_list(quick, p, out);
}

/* ---- teaching ---- */

tl_status alpaca_quick_of(tl_page *page, alpaca_quick **out, tl_error *err) {
  alpaca_quick *quick = page->scratch;
  if (!quick) {
    quick = tl_calloc(1, sizeof *quick);
    if (!quick) return tl_fail(err, TL_ENOMEM, "cannot make the caches of a page");
    page->scratch = quick;
  }
  if (quick->words != page->words) {
    *quick = (alpaca_quick){.words = page->words, .times = TL_TIME_CACHE_INIT};
    keep_minute(quick, "1970-01-01T00:00", 0); /* as for the dates: an empty cache must not match empty bytes */
  }
  *out = quick;
  return TL_OK;
}

void alpaca_quick_learn_letter(alpaca_quick *quick, tl_text content, uint32_t code) {
  if (content.len != 1) return;
  unsigned char letter = (unsigned char)content.data[0];
  if (letter < 0x20 || letter >= 128 || letter == '"' || letter == '\\') return; /* not written as themselves */
  quick->letters[letter] = code + 1;
}

void alpaca_quick_learn_list(alpaca_quick *quick, tl_text raw, uint32_t code) {
  char padded[ALPACA_LIST_WORDS * 8] = {0};
  struct alpaca_list list = {.code = code};
  if (raw.len > sizeof padded) return;
  memcpy(padded, raw.data, raw.len);
  if (list_words(padded, list.raw) != raw.len) return; /* a ']' inside a text */
  if (raw.len <= 8) quick->short_lists[short_slot(list.raw[0])] = (struct alpaca_short_list){list.raw[0], code};
  struct alpaca_list *first = &quick->lists[list_slot(list.raw)];
  struct alpaca_list *second = &quick->lists[list_slot(list.raw) ^ 1];
  *second = *first;
  *first = list;
}

/* ---- rows ---- */

static void set_nulls(tl_batch *batch, size_t row, unsigned missing) {
  for (; missing; missing &= missing - 1) {
    int column = __builtin_ctz(missing);
    tl_type type = batch->def->columns[column].type;
    if (type == TL_WORD || type == TL_WORDS) batch->columns[column].word[row] = 0;
    else batch->columns[column].i64[row] = 0;
    tl_column_set_null(&batch->columns[column], row);
  }
}

#define BYTE(c) ((uint64_t)(unsigned char)(c))
#define BIT(column) (1u << (column))
#define PRICE(column) read_price(r, &batch->columns[column].f64[row])
#define COUNT(column) read_count(r, &batch->columns[column].i64[row])
#define TIME(column) read_time(quick, r, end, &batch->columns[column].i64[row])
#define TICK_TIME(column) read_tick_time(quick, r, end, &batch->columns[column].i64[row])
#define WORD(column) read_word(quick, r, &batch->columns[column].word[row])
#define LIST(column) read_list(quick, r, &batch->columns[column].word[row])

/* The members of a wire in an order the vendor writes: M1(byte before, key, column, reader), M2 with a key of two letters. */
#define BARS_DOCUMENTED(M1, M2)            \
  M1('{', 't', TL_COL_TIME, TIME)          \
  M1(',', 'o', TL_BARS_OPEN, PRICE)        \
  M1(',', 'h', TL_BARS_HIGH, PRICE)        \
  M1(',', 'l', TL_BARS_LOW, PRICE)         \
  M1(',', 'c', TL_BARS_CLOSE, PRICE)       \
  M1(',', 'v', TL_BARS_VOLUME, COUNT)      \
  M1(',', 'n', TL_BARS_TRADE_COUNT, COUNT) \
  M2(',', 'v', 'w', TL_BARS_VWAP, PRICE)
#define BARS_ALPHABETICAL(M1, M2)          \
  M1('{', 'c', TL_BARS_CLOSE, PRICE)       \
  M1(',', 'h', TL_BARS_HIGH, PRICE)        \
  M1(',', 'l', TL_BARS_LOW, PRICE)         \
  M1(',', 'n', TL_BARS_TRADE_COUNT, COUNT) \
  M1(',', 'o', TL_BARS_OPEN, PRICE)        \
  M1(',', 't', TL_COL_TIME, TIME)          \
  M1(',', 'v', TL_BARS_VOLUME, COUNT)      \
  M2(',', 'v', 'w', TL_BARS_VWAP, PRICE)
#define TRADES_DOCUMENTED(M1, M2)           \
  M1('{', 't', TL_COL_TIME, TICK_TIME)      \
  M1(',', 'x', TL_TRADES_EXCHANGE, WORD)    \
  M1(',', 'p', TL_TRADES_PRICE, PRICE)      \
  M1(',', 's', TL_TRADES_SIZE, COUNT)       \
  M1(',', 'c', TL_TRADES_CONDITIONS, LIST)  \
  M1(',', 'i', TL_TRADES_TRADE_ID, COUNT)   \
  M1(',', 'z', TL_TRADES_TAPE, WORD)
#define TRADES_ALPHABETICAL(M1, M2)         \
  M1('{', 'c', TL_TRADES_CONDITIONS, LIST)  \
  M1(',', 'i', TL_TRADES_TRADE_ID, COUNT)   \
  M1(',', 'p', TL_TRADES_PRICE, PRICE)      \
  M1(',', 's', TL_TRADES_SIZE, COUNT)       \
  M1(',', 't', TL_COL_TIME, TICK_TIME)      \
  M1(',', 'x', TL_TRADES_EXCHANGE, WORD)    \
  M1(',', 'z', TL_TRADES_TAPE, WORD)
#define QUOTES_DOCUMENTED(M1, M2)                \
  M1('{', 't', TL_COL_TIME, TICK_TIME)           \
  M2(',', 'a', 'x', TL_QUOTES_ASK_EXCHANGE, WORD) \
  M2(',', 'a', 'p', TL_QUOTES_ASK_PRICE, PRICE)  \
  M2(',', 'a', 's', TL_QUOTES_ASK_SIZE, COUNT)   \
  M2(',', 'b', 'x', TL_QUOTES_BID_EXCHANGE, WORD) \
  M2(',', 'b', 'p', TL_QUOTES_BID_PRICE, PRICE)  \
  M2(',', 'b', 's', TL_QUOTES_BID_SIZE, COUNT)   \
  M1(',', 'c', TL_QUOTES_CONDITIONS, LIST)       \
  M1(',', 'z', TL_QUOTES_TAPE, WORD)
#define QUOTES_ALPHABETICAL(M1, M2)              \
  M2('{', 'a', 'p', TL_QUOTES_ASK_PRICE, PRICE)  \
  M2(',', 'a', 's', TL_QUOTES_ASK_SIZE, COUNT)   \
  M2(',', 'a', 'x', TL_QUOTES_ASK_EXCHANGE, WORD) \
  M2(',', 'b', 'p', TL_QUOTES_BID_PRICE, PRICE)  \
  M2(',', 'b', 's', TL_QUOTES_BID_SIZE, COUNT)   \
  M2(',', 'b', 'x', TL_QUOTES_BID_EXCHANGE, WORD) \
  M1(',', 'c', TL_QUOTES_CONDITIONS, LIST)       \
  M1(',', 't', TL_COL_TIME, TICK_TIME)           \
  M1(',', 'z', TL_QUOTES_TAPE, WORD)

/* A row in one order: each key is one comparison, with the byte before it. */
#define NEXT1(before, a, column, READ)                                                                         \
  if (load8(r) << 24 != (BYTE(before) | BYTE('"') << 8 | BYTE(a) << 16 | BYTE('"') << 24 | BYTE(':') << 32) << 24) \
    return NULL;                                                                                               \
  r += 5;                                                                                                      \
  r = READ(column);                                                                                            \
  if (!r) return NULL;
#define NEXT2(before, a, b, column, READ)                                                          \
  if (load8(r) << 16 != (BYTE(before) | BYTE('"') << 8 | BYTE(a) << 16 | BYTE(b) << 24 | BYTE('"') << 32 | \
                         BYTE(':') << 40) << 16)                                                   \
    return NULL;                                                                                   \
  r += 6;                                                                                          \
  r = READ(column);                                                                                \
  if (!r) return NULL;

/* A row in any order: two bytes tell the keys of a wire apart, the whole key is compared before it counts. */
#define SLOT(a, b) ((unsigned)(BYTE(a) + BYTE(b)) & 31u)
#define ONCE(column, READ)                 \
  if (seen & BIT(column)) return NULL;     \
  seen |= BIT(column);                     \
  r = READ(column);                        \
  break;
#define CASE1(before, a, column, READ)                                                    \
  case SLOT(a, '"'):                                                                      \
    if (load4(r) != (BYTE('"') | BYTE(a) << 8 | BYTE('"') << 16 | BYTE(':') << 24)) return NULL; \
    r += 4;                                                                               \
    ONCE(column, READ)
#define CASE2(before, a, b, column, READ)                                                                   \
  case SLOT(a, b):                                                                                          \
    if (load4(r) != (BYTE('"') | BYTE(a) << 8 | BYTE(b) << 16 | BYTE('"') << 24) || r[4] != ':') return NULL; \
    r += 5;                                                                                                 \
    ONCE(column, READ)

/* The rows of one wire. `never` is a column the two orders do not have. */
#define QUICK_ROWS(wire, MEMBERS_1, MEMBERS_2, required, all, never)                                                        \
  static ALWAYS_INLINE const char *wire##_documented(alpaca_quick *quick, tl_batch *batch, size_t row, const char *r,        \
                                                     const char *end) {                                                     \
    MEMBERS_1(NEXT1, NEXT2)                                                                                                 \
    (void)end;                                                                                                              \
    return *r == '}' ? r + 1 : NULL;                                                                                        \
  }                                                                                                                         \
  static const char *wire##_alphabetical(alpaca_quick *quick, tl_batch *batch, size_t row, const char *r, const char *end) { \
    MEMBERS_2(NEXT1, NEXT2)                                                                                                 \
    return *r == '}' ? r + 1 : NULL;                                                                                        \
  }                                                                                                                         \
  static const char *wire##_any(alpaca_quick *quick, tl_batch *batch, size_t row, const char *r, const char *end) {          \
    unsigned seen = 0;                                                                                                      \
    do {                                                                                                                    \
      r++;                                                                                                                  \
      switch (SLOT(r[1], r[2])) {                                                                                           \
        MEMBERS_1(CASE1, CASE2)                                                                                             \
        default: return NULL;                                                                                               \
      }                                                                                                                     \
      if (!r) return NULL;                                                                                                  \
    } while (*r == ',');                                                                                                    \
    if (*r != '}' || (seen & (required)) != (required)) return NULL;                                                        \
    set_nulls(batch, row, (all) & ~(never) & ~seen);                                                                        \
    return r + 1;                                                                                                           \
  }                                                                                                                         \
  static const char *wire##_rows(alpaca_quick *quick, tl_batch *batch, const char *p, const char *end, bool *between) {      \
    size_t row = batch->rows, rows_max = batch->rows_max;                                                                   \
    *between = false;                                                                                                       \
    while (row < rows_max && end - p >= ROW_BYTES_MAX && *p == '{') {                                                       \
      const char *r = wire##_documented(quick, batch, row, p, end);                                                         \
      if (!r) r = wire##_alphabetical(quick, batch, row, p, end);                                                           \
      if (!r) r = wire##_any(quick, batch, row, p, end);                                                                    \
      if (!r) break;                                                                                                        \
      if (never) set_nulls(batch, row, never);                                                                              \
      row++;                                                                                                                \
      p = r;                                                                                                                \
      *between = p[0] != ',' || p[1] != '{';                                                                                \
      if (*between) break;                                                                                                  \
      p++;                                                                                                                  \
    }                                                                                                                       \
    batch->rows = row;                                                                                                      \
    return p;                                                                                                               \
  }

#define BARS_REQUIRED \
  (BIT(TL_COL_TIME) | BIT(TL_BARS_OPEN) | BIT(TL_BARS_HIGH) | BIT(TL_BARS_LOW) | BIT(TL_BARS_CLOSE))
QUICK_ROWS(bars, BARS_DOCUMENTED, BARS_ALPHABETICAL, BARS_REQUIRED, BIT(TL_BARS_COLUMN_COUNT) - 1, 0u)
QUICK_ROWS(trades, TRADES_DOCUMENTED, TRADES_ALPHABETICAL, BIT(TL_COL_TIME) | BIT(TL_TRADES_PRICE),
           BIT(TL_TRADES_COLUMN_COUNT) - 1, BIT(TL_TRADES_UPDATE))
QUICK_ROWS(quotes, QUOTES_DOCUMENTED, QUOTES_ALPHABETICAL, BIT(TL_COL_TIME), BIT(TL_QUOTES_COLUMN_COUNT) - 1, 0u)

const char *alpaca_quick_rows(alpaca_quick *quick, tl_batch *batch, const char *p, const char *end, bool *between) {
  switch (batch->def->kind) {
  case TL_BARS: return bars_rows(quick, batch, p, end, between);
  case TL_TRADES: return trades_rows(quick, batch, p, end, between);
  default: return quotes_rows(quick, batch, p, end, between);
  }
}
