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

static ALWAYS_INLINE const char *read_word(const alpaca_quick *quick, const char *p, uint32_t *out) {
  unsigned char letter = (unsigned char)p[1];
  if (p[0] != '"' || p[2] != '"' || letter >= 128 || !quick->letters[letter]) return NULL;
  *out = quick->letters[letter] - 1;
  return p + 3;
}

/* The bytes up to the first ']' as words, zero behind; their count, 0 when there are too many. The general path never
 * teaches a list with a ']' inside a text, so a match is always the whole list. */
static ALWAYS_INLINE size_t list_words(const char *p, uint64_t raw[ALPACA_LIST_WORDS]) {
  for (size_t i = 0; i < ALPACA_LIST_WORDS; i++) {
    uint64_t x = load8(p + i * 8), close = x ^ ONES * ']';
    close = (close - ONES) & ~close & HIGHS;
    raw[i] = x;
    if (!close) continue;
    unsigned count = ((unsigned)__builtin_ctzll(close) >> 3) + 1;
    raw[i] = count == 8 ? x : x & ((UINT64_C(1) << count * 8) - 1);
    for (size_t k = i + 1; k < ALPACA_LIST_WORDS; k++) raw[k] = 0;
    return i * 8 + count;
  }
  return 0;
}

static ALWAYS_INLINE size_t list_slot(const uint64_t raw[ALPACA_LIST_WORDS]) {
  uint64_t hash = (raw[0] ^ raw[1] * UINT64_C(0x9e3779b97f4a7c15) ^ raw[2] * UINT64_C(0xc2b2ae3d27d4eb4f)) *
                  UINT64_C(0xff51afd7ed558ccd);
  return (size_t)(hash >> 55); /* 0 .. ALPACA_LISTS_MAX - 1 */
}

static ALWAYS_INLINE bool is_list(const struct alpaca_list *list, const uint64_t raw[ALPACA_LIST_WORDS]) {
  return ((list->raw[0] ^ raw[0]) | (list->raw[1] ^ raw[1]) | (list->raw[2] ^ raw[2])) == 0;
}

static ALWAYS_INLINE const char *read_list(const alpaca_quick *quick, const char *p, uint32_t *out) {
  uint64_t raw[ALPACA_LIST_WORDS];
  size_t length = list_words(p, raw);
  if (!length || *p != '[') return NULL;
  size_t slot = list_slot(raw);
  const struct alpaca_list *list = &quick->lists[slot];
  if (!is_list(list, raw)) list = &quick->lists[slot ^ 1];
  if (!is_list(list, raw)) return NULL;
  *out = list->code;
  return p + length;
}

/* ---- teaching ---- */

tl_status alpaca_quick_of(tl_page *page, alpaca_quick **out, tl_error *err) {
  alpaca_quick *quick = page->scratch;
  if (!quick) {
    quick = tl_calloc(1, sizeof *quick);
    if (!quick) return tl_fail(err, TL_ENOMEM, "cannot make the caches of a page");
    page->scratch = quick;
  }
  if (quick->words != page->words) *quick = (alpaca_quick){.words = page->words, .times = TL_TIME_CACHE_INIT};
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
  struct alpaca_list *first = &quick->lists[list_slot(list.raw)];
  struct alpaca_list *second = &quick->lists[list_slot(list.raw) ^ 1];
  *second = *first;
  *first = list;
}

/* ---- rows ---- */

/* A key with its quotes and colon is told apart by two bytes; the whole of it is compared before it counts. */
#define KEY_SLOT(a, b) (((unsigned)(unsigned char)(a) + (unsigned)(unsigned char)(b)) & 31u)
#define KEY(a, b, c, d) \
  ((uint32_t)(unsigned char)(a) | (uint32_t)(unsigned char)(b) << 8 | (uint32_t)(unsigned char)(c) << 16 | \
   (uint32_t)(unsigned char)(d) << 24)

#define TAKE(column, skip, read)          \
  if (seen & 1u << (column)) return p;    \
  seen |= 1u << (column);                 \
  r += (skip);                            \
  r = (read);                             \
  break;
#define ONE(a, column, read)                               \
  case KEY_SLOT(a, '"'):                                   \
    if (load4(r) != KEY('"', a, '"', ':')) return p;       \
    TAKE(column, 4, read)
#define TWO(a, b, column, read)                            \
  case KEY_SLOT(a, b):                                     \
    if (load4(r) != KEY('"', a, b, '"') || r[4] != ':') return p; \
    TAKE(column, 5, read)

#define PRICE(column) read_price(r, &batch->columns[column].f64[row])
#define COUNT(column) read_count(r, &batch->columns[column].i64[row])
#define TIME() read_time(quick, r, end, &batch->columns[TL_COL_TIME].i64[row])
#define WORD(column) read_word(quick, r, &batch->columns[column].word[row])
#define LIST(column) read_list(quick, r, &batch->columns[column].word[row])

/* The loop around a wire's members. */
#define QUICK_ROWS(name, required, all, MEMBERS)                                                              \
  static const char *name(alpaca_quick *quick, tl_batch *batch, const char *p, const char *end, bool *between) { \
    *between = false;                                                                                         \
    while (batch->rows < batch->rows_max && end - p >= ROW_BYTES_MAX && *p == '{') {                          \
      size_t row = batch->rows;                                                                               \
      unsigned seen = 0;                                                                                      \
      const char *r = p;                                                                                      \
      do {                                                                                                    \
        r++;                                                                                                  \
        switch (KEY_SLOT(r[1], r[2])) {                                                                       \
          MEMBERS                                                                                             \
          default: return p;                                                                                  \
        }                                                                                                     \
        if (!r) return p;                                                                                     \
      } while (*r == ',');                                                                                    \
      if (*r != '}' || (seen & (required)) != (required)) return p;                                           \
      if (seen != (all)) set_nulls(batch, row, (all) & ~seen);                                                \
      batch->rows++;                                                                                          \
      p = r + 1;                                                                                              \
      *between = true;                                                                                        \
      if (p[0] != ',' || p[1] != '{') return p;                                                               \
      p++;                                                                                                    \
      *between = false;                                                                                       \
    }                                                                                                         \
    return p;                                                                                                 \
  }

static void set_nulls(tl_batch *batch, size_t row, unsigned missing) {
  for (; missing; missing &= missing - 1) {
    int column = __builtin_ctz(missing);
    tl_type type = batch->def->columns[column].type;
    if (type == TL_WORD || type == TL_WORDS) batch->columns[column].word[row] = 0;
    else batch->columns[column].i64[row] = 0;
    tl_column_set_null(&batch->columns[column], row);
  }
}

#define BIT(column) (1u << (column))
#define BARS_REQUIRED \
  (BIT(TL_COL_TIME) | BIT(TL_BARS_OPEN) | BIT(TL_BARS_HIGH) | BIT(TL_BARS_LOW) | BIT(TL_BARS_CLOSE))
#define BARS_MEMBERS                              \
  ONE('t', TL_COL_TIME, TIME())                   \
  ONE('o', TL_BARS_OPEN, PRICE(TL_BARS_OPEN))     \
  ONE('h', TL_BARS_HIGH, PRICE(TL_BARS_HIGH))     \
  ONE('l', TL_BARS_LOW, PRICE(TL_BARS_LOW))       \
  ONE('c', TL_BARS_CLOSE, PRICE(TL_BARS_CLOSE))   \
  ONE('v', TL_BARS_VOLUME, COUNT(TL_BARS_VOLUME)) \
  ONE('n', TL_BARS_TRADE_COUNT, COUNT(TL_BARS_TRADE_COUNT)) \
  TWO('v', 'w', TL_BARS_VWAP, PRICE(TL_BARS_VWAP))
QUICK_ROWS(quick_bars, BARS_REQUIRED, BIT(TL_BARS_COLUMN_COUNT) - 1, BARS_MEMBERS)

#define TRADES_MEMBERS                                            \
  ONE('t', TL_COL_TIME, TIME())                                   \
  ONE('p', TL_TRADES_PRICE, PRICE(TL_TRADES_PRICE))               \
  ONE('s', TL_TRADES_SIZE, COUNT(TL_TRADES_SIZE))                 \
  ONE('x', TL_TRADES_EXCHANGE, WORD(TL_TRADES_EXCHANGE))          \
  ONE('c', TL_TRADES_CONDITIONS, LIST(TL_TRADES_CONDITIONS))      \
  ONE('i', TL_TRADES_TRADE_ID, COUNT(TL_TRADES_TRADE_ID))         \
  ONE('z', TL_TRADES_TAPE, WORD(TL_TRADES_TAPE))
QUICK_ROWS(quick_trades, BIT(TL_COL_TIME) | BIT(TL_TRADES_PRICE), BIT(TL_TRADES_COLUMN_COUNT) - 1, TRADES_MEMBERS)

#define QUOTES_MEMBERS                                                \
  ONE('t', TL_COL_TIME, TIME())                                       \
  TWO('b', 'p', TL_QUOTES_BID_PRICE, PRICE(TL_QUOTES_BID_PRICE))      \
  TWO('b', 's', TL_QUOTES_BID_SIZE, COUNT(TL_QUOTES_BID_SIZE))        \
  TWO('b', 'x', TL_QUOTES_BID_EXCHANGE, WORD(TL_QUOTES_BID_EXCHANGE)) \
  TWO('a', 'p', TL_QUOTES_ASK_PRICE, PRICE(TL_QUOTES_ASK_PRICE))      \
  TWO('a', 's', TL_QUOTES_ASK_SIZE, COUNT(TL_QUOTES_ASK_SIZE))        \
  TWO('a', 'x', TL_QUOTES_ASK_EXCHANGE, WORD(TL_QUOTES_ASK_EXCHANGE)) \
  ONE('c', TL_QUOTES_CONDITIONS, LIST(TL_QUOTES_CONDITIONS))          \
  ONE('z', TL_QUOTES_TAPE, WORD(TL_QUOTES_TAPE))
QUICK_ROWS(quick_quotes, BIT(TL_COL_TIME), BIT(TL_QUOTES_COLUMN_COUNT) - 1, QUOTES_MEMBERS)

const char *alpaca_quick_rows(alpaca_quick *quick, tl_batch *batch, const char *p, const char *end, bool *between) {
  switch (batch->def->kind) {
  case TL_BARS: return quick_bars(quick, batch, p, end, between);
  case TL_TRADES: return quick_trades(quick, batch, p, end, between);
  default: return quick_quotes(quick, batch, p, end, between);
  }
}
