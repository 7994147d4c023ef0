/* damage.c - spoils pages.
 *
 * A page is {"bars":{"AAA":[{row},{row}],...},"next_page_token":...} or its single form; rows are flat and no string in
 * it holds a brace, bracket, comma or escaped quote, so rows and members are found by counting. */
#include "sim/damage.h"

#include <libdeflate.h>
#include <string.h>

#include "base/alloc.h"
#include "base/prng.h"
#include "sim/text.h"

typedef struct span {
  size_t at, len;
} span;
enum { MEMBERS_MAX = 12 };

/* The n-th row from `from`; false when there is none. A row is an object that follows '[' or another row. */
static bool next_row(const tl_buf *page, size_t from, span *row) {
  for (size_t i = from; i < page->len; i++) {
    if (page->data[i] != '{' || i == 0) continue;
    char before = page->data[i - 1];
    if (before != '[' && !(before == ',' && i > 1 && page->data[i - 2] == '}')) continue;
    const char *end = memchr(page->data + i, '}', page->len - i);
    if (!end) return false;
    *row = (span){i, (size_t)(end - page->data) + 1 - i};
    return true;
  }
  return false;
}

static size_t count_rows(const tl_buf *page) {
  size_t n = 0;
  for (span row = {0, 0}; next_row(page, row.at + row.len, &row);) n++;
  return n;
}

typedef struct member {
  tl_text name, value; /* name without quotes */
} member;

static size_t read_members(const char *row, size_t len, member *out) {
  size_t n = 0;
  for (size_t i = 1; i < len && n < MEMBERS_MAX && row[i] == '"';) {
    size_t name = ++i;
    while (i < len && row[i] != '"') i++;
    out[n].name = tl_text_of(row + name, i - name);
    size_t value = i += 2;
    bool quoted = false;
    for (int depth = 0; i < len && (quoted || depth || (row[i] != ',' && row[i] != '}')); i++) {
      if (row[i] == '"') quoted = !quoted;
      if (!quoted) depth += (row[i] == '[') - (row[i] == ']');
    }
    out[n++].value = tl_text_of(row + value, i - value);
    i++;
  }
  return n;
}

static tl_status put_member(tl_buf *out, bool first, tl_text name, tl_text value, tl_error *err) {
  return tl_buf_appendf(out, err, "%s\"%.*s\":%.*s", first ? "" : ",", (int)name.len, name.data, (int)value.len, value.data);
}

/* 12345 as 1.2345e+04; 183.25 as 1.8325e+02: the same number. */
static tl_text as_exponent(tl_text value, char room[64]) {
  char digits[48];
  size_t n = 0, point = 0;
  bool seen = false;
  for (size_t i = 0; i < value.len && n < sizeof digits; i++) {
    if (value.data[i] == '.') {
      seen = true;
    } else if (value.data[i] >= '0' && value.data[i] <= '9') {
      digits[n++] = value.data[i];
      point += !seen;
    } else {
      return value;
    }
  }
  if (!n || digits[0] == '0') return value;
  char *p = room;
  *p++ = digits[0];
  if (n > 1) *p++ = '.';
  p = sim_put_text(p, digits + 1, n - 1);
  p = SIM_PUT(p, "e+");
  *p++ = (char)('0' + (point - 1) / 10);
  *p++ = (char)('0' + (point - 1) % 10);
  return tl_text_of(room, (size_t)(p - room));
}

/* 12345 as 12345.0 */
static tl_text as_fraction(tl_text value, char room[64]) {
  if (memchr(value.data, '.', value.len) || value.len > 48) return value;
  char *p = sim_put_text(room, value.data, value.len);
  p = SIM_PUT(p, ".0");
  return tl_text_of(room, (size_t)(p - room));
}

static tl_status put_row(const sim_fault *f, const char *row, size_t len, size_t index, tl_buf *out, tl_error *err) {
  member m[MEMBERS_MAX];
  char room[64];
  size_t n = read_members(row, len, m), start = f->action == SIM_DO_REORDER && n ? (index * 5 + 3) % n : 0;
  bool first = true;
  tl_status st = tl_buf_append(out, "{", 1, err);
  for (size_t k = 0; k < n && !st; k++) {
    member one = m[(start + k) % n];
    bool named = tl_text_is(one.name, f->name);
    if (named && f->action == SIM_DO_ROW_DROP) continue;
    if (named && f->action == SIM_DO_ROW_SET) one.value = tl_text_from(f->text);
    if (named && f->action == SIM_DO_EXPONENT) one.value = as_exponent(one.value, room);
    if (named && f->action == SIM_DO_FRACTION) one.value = as_fraction(one.value, room);
    st = put_member(out, first, one.name, one.value, err);
    first = false;
    if (!st && f->action == SIM_DO_DUPLICATE_KEYS) st = put_member(out, false, one.name, tl_text_from("0"), err);
  }
  if (!st && f->action == SIM_DO_ROW_ADD) st = put_member(out, first, tl_text_from(f->name), tl_text_from(f->text), err);
  return st ? st : tl_buf_append(out, "}", 1, err);
}

/* Writes every row anew through put_row that the fault means, and the rest as it stands. */
static tl_status rewrite_rows(const sim_fault *f, tl_buf *page, tl_error *err) {
  bool all = f->row == -2 || f->action == SIM_DO_REORDER || f->action == SIM_DO_EXPONENT || f->action == SIM_DO_FRACTION || f->action == SIM_DO_DUPLICATE_KEYS;
  size_t chosen = f->row >= 0 ? (size_t)f->row : count_rows(page) / 2, index = 0, copied = 0;
  tl_buf out = {0};
  tl_status st = TL_OK;
  for (span row = {0, 0}; !st && next_row(page, row.at + row.len, &row); index++) {
    if (!all && index != chosen) continue;
    st = tl_buf_append(&out, page->data + copied, row.at - copied, err);
    if (!st) st = put_row(f, page->data + row.at, row.len, index, &out, err);
    copied = row.at + row.len;
  }
  if (!st) st = tl_buf_append(&out, page->data + copied, page->len - copied, err);
  if (!st) {
    tl_buf old = *page;
    *page = out;
    out = old;
  }
  tl_buf_deinit(&out);
  return st;
}

/* Where ,"next_page_token":... stands: from the comma to the end of the token. */
static bool find_token(const tl_buf *page, span *out) {
  static const char mark[] = ",\"next_page_token\":";
  size_t tail = page->len > 600 ? page->len - 600 : 0;
  const char *at = memmem(page->data + tail, page->len - tail, mark, sizeof mark - 1);
  if (!at) return false;
  const char *value = at + sizeof mark - 1, *end = value[0] == '"' ? strchr(value + 1, '"') + 1 : value + 4;
  *out = (span){(size_t)(at - page->data), (size_t)(end - at)};
  return true;
}

static tl_status replace(tl_buf *page, span what, const char *with, tl_error *err) {
  tl_buf out = {0};
  tl_status st = tl_buf_append(&out, page->data, what.at, err);
  if (!st) st = tl_buf_appends(&out, with, err);
  if (!st) st = tl_buf_append(&out, page->data + what.at + what.len, page->len - what.at - what.len, err);
  if (!st) {
    tl_buf old = *page;
    *page = out;
    out = old;
  }
  tl_buf_deinit(&out);
  return st;
}

/* The token first, the data after; members of each row turned. */
static tl_status reorder(const sim_fault *f, tl_buf *page, tl_error *err) {
  span token;
  tl_status st = rewrite_rows(f, page, err);
  if (st || !find_token(page, &token)) return st;
  tl_buf moved = {0};
  st = tl_buf_append(&moved, "{", 1, err);
  if (!st) st = tl_buf_append(&moved, page->data + token.at + 1, token.len - 1, err);
  if (!st) st = tl_buf_append(&moved, ",", 1, err);
  if (!st) st = replace(page, token, "", err);
  if (!st) st = replace(page, (span){0, 1}, moved.data, err);
  tl_buf_deinit(&moved);
  return st;
}

static tl_status set_all(tl_buf *page, const char *text, tl_error *err) {
  tl_buf_clear(page);
  return tl_buf_appends(page, text, err);
}

/* The data member, from its value's first byte to before the comma that ends it. */
static bool find_data(const tl_buf *page, span *out) {
  const char *colon = page->len > 2 ? memchr(page->data, ':', page->len) : NULL;
  if (!colon) return false;
  int depth = 0;
  size_t start = (size_t)(colon - page->data) + 1, i = start;
  for (; i < page->len; i++) {
    char c = page->data[i];
    if (depth == 0 && i > start && (c == ',' || c == '}')) break;
    depth += (c == '{' || c == '[') - (c == '}' || c == ']');
  }
  *out = (span){start, i - start};
  return true;
}

static tl_status wrong_type(const sim_fault *f, tl_buf *page, tl_error *err) {
  span token, data;
  if (!find_token(page, &token) || !find_data(page, &data)) return TL_OK;
  const char *what = f->word[0] ? f->word : "map";
  if (strcmp(what, "token") == 0) return replace(page, token, ",\"next_page_token\":12345", err);
  if (strcmp(what, "top") == 0) return set_all(page, "[]", err);
  if (strcmp(what, "string") == 0) return replace(page, data, "\"no data\"", err);
  if (strcmp(what, "list") == 0) return replace(page, data, "{\"AAPL\":{}}", err); /* an object where a list belongs */
  if (strcmp(what, "row") == 0) return replace(page, data, "{\"AAPL\":[1,2]}", err);
  return replace(page, data, "[]", err); /* "map": a list where a map belongs */
}

static tl_status fill(tl_buf *page, const char *head, const char *piece, int64_t times, const char *tail, tl_error *err) {
  size_t n = strlen(piece);
  tl_buf_clear(page);
  tl_status st = tl_buf_appends(page, head, err);
  if (!st) st = tl_buf_reserve(page, n * (size_t)times + 1, err);
  for (int64_t i = 0; i < times && !st; i++) st = tl_buf_append(page, piece, n, err);
  return st ? st : tl_buf_appends(page, tail, err);
}

static tl_status many_keys(int64_t count, tl_buf *page, tl_error *err) {
  tl_buf_clear(page);
  tl_status st = tl_buf_appends(page, "{\"bars\":{", err);
  for (int64_t i = 0; i < count && !st; i++) st = tl_buf_appendf(page, err, "%s\"K%lld\":[]", i ? "," : "", (long long)i);
  return st ? st : tl_buf_appends(page, "},\"next_page_token\":null}", err);
}

static int64_t argument(const sim_fault *f, int64_t otherwise) { return f->number[0] >= 0 ? f->number[0] : otherwise; }

tl_status sim_damage_json(const sim_fault *f, tl_buf *page, tl_error *err) {
  span token;
  size_t half = page->len / 2;
  switch ((int)f->action) {
    case SIM_DO_JSON_TRUNCATE: {
      size_t keep = f->number[0] >= 0 && (size_t)f->number[0] < page->len ? (size_t)f->number[0] : half;
      page->len = keep;
      page->data[keep] = 0;
      return TL_OK;
    }
    case SIM_DO_JSON_GARBLE:
      for (size_t i = half; i < page->len && i < half + 16; i++) page->data[i] = (char)("\x01\x7f}{\"]\\:,x\xff" "Z[0e."[i - half]);
      return TL_OK;
    case SIM_DO_WRONG_TYPE: return wrong_type(f, page, err);
    case SIM_DO_HTML: return set_all(page, "<html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>\n", err);
    case SIM_DO_ERROR:
      tl_buf_clear(page);
      return tl_buf_appendf(page, err, "{\"message\":\"%s\"}", f->text[0] ? f->text : "internal server error");
    case SIM_DO_NULL_PAGE: return set_all(page, "null", err);
    case SIM_DO_EMPTY_OBJECT: return set_all(page, "{}", err);
    case SIM_DO_BODY: return set_all(page, f->text, err);
    case SIM_DO_NO_DATA:
      if (!find_token(page, &token)) return TL_OK;
      return replace(page, (span){1, token.at}, "", err);
    case SIM_DO_REORDER: return reorder(f, page, err);
    case SIM_DO_ROW_SET:
    case SIM_DO_ROW_ADD:
    case SIM_DO_ROW_DROP:
    case SIM_DO_EXPONENT:
    case SIM_DO_FRACTION: return rewrite_rows(f, page, err);
    case SIM_DO_DUPLICATE_KEYS: {
      tl_status st = rewrite_rows(f, page, err);
      return st ? st : replace(page, (span){page->len - 1, 1}, ",\"next_page_token\":\"QQ==\"}", err);
    }
    case SIM_DO_DEEP: return fill(page, "{\"bars\":", "[", argument(f, 100000), "", err);
    case SIM_DO_HUGE_STRING: {
      char mib[1025];
      memset(mib, 'x', 1024);
      mib[1024] = 0;
      return fill(page, "{\"bars\":{\"", mib, 1024 * argument(f, 64), "\":[]},\"next_page_token\":null}", err);
    }
    case SIM_DO_MANY_KEYS: return many_keys(argument(f, 1000000), page, err);
    default: return TL_OK;
  }
}

tl_status sim_damage_prepend(tl_buf *page, const tl_buf *donor, tl_error *err) {
  span rows[SIM_REPEAT_MAX], first;
  size_t n = 0;
  for (span row = {0, 0}; n < SIM_REPEAT_MAX && next_row(donor, row.at + row.len, &row);) rows[n++] = row;
  if (!next_row(page, 0, &first)) return TL_OK;
  tl_buf text = {0};
  tl_status st = TL_OK;
  while (n-- > 0 && !st) {
    st = tl_buf_append(&text, donor->data + rows[n].at, rows[n].len, err);
    if (!st) st = tl_buf_append(&text, ",", 1, err);
  }
  if (!st && text.len) st = replace(page, (span){first.at, 0}, text.data, err);
  tl_buf_deinit(&text);
  return st;
}

/* ---- gzip ---- */

tl_status sim_damage_gzip(const sim_fault *f, tl_buf *stream, tl_error *err) {
  if (stream->len < 20) return TL_OK;
  size_t bits = stream->len * 8, bit;
  switch ((int)f->action) {
    case SIM_DO_GZIP_TRUNCATE:
      stream->len = f->number[0] >= 0 && (size_t)f->number[0] < stream->len ? (size_t)f->number[0] : stream->len / 2;
      return TL_OK;
    case SIM_DO_GZIP_FLIP:
      bit = f->number[0] >= 0 ? (size_t)f->number[0] % bits : 80 + tl_prng_mix(stream->len) % (bits - 144); /* in the compressed data */
      stream->data[bit / 8] = (char)(stream->data[bit / 8] ^ (1 << (bit % 8)));
      return TL_OK;
    case SIM_DO_GZIP_TRAILING: return tl_buf_append(stream, "trailing garbage after the end", 30, err);
    case SIM_DO_GZIP_CRC: stream->data[stream->len - 8] = (char)(stream->data[stream->len - 8] ^ 1); return TL_OK;
    case SIM_DO_GZIP_SIZE: stream->data[stream->len - 4] = (char)(stream->data[stream->len - 4] ^ 1); return TL_OK;
    default: return TL_OK;
  }
}

typedef struct bits {
  unsigned char *data;
  size_t count;
} bits;

static void put_bits(bits *b, unsigned value, unsigned n) { /* lowest bit first, as deflate packs */
  for (unsigned i = 0; i < n; i++, b->count++)
    if (value >> i & 1) b->data[b->count / 8] = (unsigned char)(b->data[b->count / 8] | 1u << (b->count % 8));
}

/* One block with its own code: literal 0 is "10", end is "11", "258 bytes from 1 back" is "0" and "0". So after the
 * first byte every 258 more are two zero bits. */
static void put_bomb_head(bits *b) {
  static const unsigned char lengths[18] = {0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2}; /* 16 17 18 0 8 7 9 6 10 5 11 4 12 3 13 2 14 1 */
  put_bits(b, 1, 1);
  put_bits(b, 2, 2);
  put_bits(b, 29, 5); /* 286 literal and length codes, 1 distance code, 18 code lengths */
  put_bits(b, 0, 5);
  put_bits(b, 14, 4);
  for (int i = 0; i < 18; i++) put_bits(b, lengths[i], 3);
  /* code of the lengths: 18 is 0, 1 is 10, 2 is 11 (first bit first) */
  put_bits(b, 3, 2);                             /* literal 0: 2 bits */
  put_bits(b, 0, 1), put_bits(b, 138 - 11, 7);   /* 1 .. 138 unused */
  put_bits(b, 0, 1), put_bits(b, 117 - 11, 7);   /* .. 255 */
  put_bits(b, 3, 2);                             /* end: 2 bits */
  put_bits(b, 0, 1), put_bits(b, 28 - 11, 7);    /* 257 .. 284 */
  put_bits(b, 1, 2);                             /* length 258: 1 bit */
  put_bits(b, 1, 2);                             /* distance 1: 1 bit */
  put_bits(b, 1, 2);                             /* the literal 0 */
}

tl_status sim_gzip_bomb(int64_t mib, tl_buf *out, tl_error *err) {
  uint64_t matches = (uint64_t)mib * 1048576 / 258, size = 1 + matches * 258;
  size_t room = (size_t)(matches / 4) + 128;
  static const unsigned char zeros[65536];
  tl_status st = tl_buf_append(out, "\x1f\x8b\x08\0\0\0\0\0\0\x03", 10, err);
  if (!st) st = tl_buf_reserve(out, room, err);
  if (st) return st;
  bits b = {(unsigned char *)out->data + out->len, 0};
  memset(b.data, 0, room);
  put_bomb_head(&b);
  b.count += 2 * matches;
  put_bits(&b, 3, 2);
  out->len += (b.count + 7) / 8;
  uint32_t crc = 0, tail[2];
  for (uint64_t left = size; left;) {
    size_t n = left < sizeof zeros ? (size_t)left : sizeof zeros;
    crc = libdeflate_crc32(crc, zeros, n);
    left -= n;
  }
  tail[0] = crc;
  tail[1] = (uint32_t)size;
  return tl_buf_append(out, tail, 8, err); /* little-endian, as every machine this runs on */
}
