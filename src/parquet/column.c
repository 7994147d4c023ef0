/* column.c - values and levels of one column chunk; see column.h. */
#include "parquet/column.h"

#include <assert.h>
#include <string.h>

#include "parquet/encode.h"

enum { PAGE_ENTRIES = 20480, LIST_PAGE_ENTRIES = 3 * PAGE_ENTRIES, DISTINCT_MAX = 65536, SAMPLE = 2048, DEF_LIST_ITEM = 3 };

typedef struct values { /* of one chunk, without NULLs */
  size_t count, entries;
  const char *numbers;   /* 8 bytes each; NULL when only the dictionary has them */
  const uint32_t *index; /* into the dictionary, when the encoding is that */
  unsigned index_width;
  const uint8_t *def, *rep; /* def NULL: no row is NULL; rep NULL: not a list */
} values;

typedef struct span {
  uint32_t offset, count; /* in encoder->items */
} span;

void tl_encoder_deinit(tl_encoder *e) {
  tl_dict_deinit(&e->dict);
  tl_text_dict_deinit(&e->texts);
  tl_buf *bufs[] = {&e->numbers, &e->index, &e->def, &e->rep, &e->items, &e->spans, &e->codes, &e->met};
  for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++) tl_buf_deinit(bufs[i]);
}

/* ---- scratch ---- */

static tl_status reserve(tl_buf *buf, size_t count, size_t value_bytes, tl_error *err) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, value_bytes, &bytes)) return tl_fail(err, TL_ENOMEM, "cannot hold %zu values", count);
  tl_buf_clear(buf);
  return tl_buf_reserve(buf, bytes, err);
}

static size_t count_valid(const uint8_t *valid, size_t begin, size_t end) {
  size_t count = 0;
  for (; begin < end && (begin & 7u); begin++) count += ((unsigned)valid[begin >> 3] >> (begin & 7u)) & 1u;
  for (; begin + 64 <= end; begin += 64) {
    uint64_t bits;
    memcpy(&bits, valid + begin / 8, sizeof bits);
    count += (size_t)__builtin_popcountll(bits);
  }
  for (; begin < end; begin++) count += ((unsigned)valid[begin >> 3] >> (begin & 7u)) & 1u;
  return count;
}

/* def[i] = 1 when row begin + i has a value; NULL is left in v->def when all have. */
static tl_status put_validity(tl_encoder *e, const tl_column *column, size_t begin, size_t end, values *v, tl_error *err) {
  v->entries = end - begin;
  v->count = column->valid ? count_valid(column->valid, begin, end) : v->entries;
  if (v->count == v->entries) return TL_OK;
  tl_status st = reserve(&e->def, v->entries, 1, err);
  if (st) return st;
  uint8_t *def = (uint8_t *)e->def.data;
  for (size_t i = 0; i < v->entries; i++) def[i] = tl_column_valid(column, begin + i);
  v->def = def;
  return TL_OK;
}

/* ---- pages ---- */

static size_t page_end(const values *v, size_t begin) {
  size_t end = begin + (v->rep ? LIST_PAGE_ENTRIES : PAGE_ENTRIES);
  if (end >= v->entries) return v->entries;
  while (v->rep && end < v->entries && v->rep[end]) end++; /* a page begins with a row */
  return end;
}

static size_t page_values(const values *v, size_t begin, size_t end) {
  if (!v->def) return end - begin;
  size_t count = 0;
  uint8_t present = v->rep ? DEF_LIST_ITEM : 1;
  for (size_t i = begin; i < end; i++) count += v->def[i] == present;
  return count;
}

static tl_status put_levels(tl_buf *body, const uint8_t *levels, size_t count, unsigned width, tl_error *err) {
  tl_status st = tl_buf_reserve(body, sizeof(uint32_t) + tl_hybrid_bytes_max(count, width), err);
  if (st) return st;
  uint8_t *at = (uint8_t *)body->data + body->len;
  size_t len = levels ? tl_levels_encode(levels, count, width, at + sizeof(uint32_t))
                      : tl_run_encode(count, 1, width, at + sizeof(uint32_t));
  uint32_t len32 = (uint32_t)len;
  memcpy(at, &len32, sizeof len32);
  body->len += sizeof len32 + len;
  return TL_OK;
}

static const int64_t *integers(const values *v) { return (const int64_t *)(const void *)v->numbers; }

static tl_status put_values(tl_buf *body, int encoding, const values *v, size_t begin, size_t count, tl_error *err) {
  if (!count && encoding == TL_ENCODING_PLAIN) return TL_OK;
  if (encoding == TL_ENCODING_PLAIN)
    return tl_buf_append(body, v->numbers + begin * sizeof(uint64_t), count * sizeof(uint64_t), err);
  bool delta = encoding == TL_ENCODING_DELTA;
  tl_status st = tl_buf_reserve(body, delta ? tl_delta_bytes_max(count) : 1 + tl_hybrid_bytes_max(count, v->index_width), err);
  if (st) return st;
  uint8_t *at = (uint8_t *)body->data + body->len;
  if (delta) {
    body->len += tl_delta_encode(integers(v) + begin, count, at);
  } else {
    at[0] = (uint8_t)v->index_width;
    body->len += 1 + tl_hybrid_encode(v->index + begin, count, v->index_width, at + 1);
  }
  return TL_OK;
}

static tl_status put_pages(tl_encoder *e, const values *v, tl_chunk *chunk, tl_error *err) {
  tl_status st = TL_OK;
  tl_buf *body = &e->pages->body;
  chunk->data_offset = tl_pages_offset(e->pages);
  chunk->entries = (int64_t)v->entries;
  for (size_t begin = 0, value = 0; !st && begin < v->entries;) {
    size_t end = page_end(v, begin), count = page_values(v, begin, end);
    if (end - begin > INT32_MAX) return tl_fail(err, TL_ELIMIT, "a list of %zu items is more than a page can hold", end - begin);
    if (v->rep) st = put_levels(body, v->rep + begin, end - begin, 1, err);
    if (!st) st = put_levels(body, v->def ? v->def + begin : NULL, end - begin, v->rep ? 2 : 1, err);
    if (!st) st = put_values(body, chunk->encoding, v, value, count, err);
    if (!st) st = tl_pages_add_data(e->pages, chunk, end - begin, err);
    begin = end;
    value += count;
  }
  return st;
}

/* ---- numbers ---- */

static int64_t floor_us(int64_t ns) { return ns / 1000 - (ns % 1000 < 0); }

/* Points v->numbers at the values: the batch's own when nothing has to change. */
static tl_status take_numbers(tl_encoder *e, const tl_leaf *leaf, const tl_column *column, size_t begin, values *v,
                              tl_error *err) {
  const char *from = (const char *)column->data + begin * sizeof(uint64_t);
  v->numbers = from;
  if (leaf->kind != TL_LEAF_TIME_US && !v->def) return TL_OK;
  tl_status st = reserve(&e->numbers, v->entries, sizeof(uint64_t), err);
  if (st) return st;
  v->numbers = e->numbers.data;
  if (leaf->kind == TL_LEAF_TIME_US) { /* never NULL */
    for (size_t i = 0; i < v->entries; i++) {
      int64_t us = floor_us(column->i64[begin + i]);
      memcpy(e->numbers.data + i * sizeof us, &us, sizeof us);
    }
    return TL_OK;
  }
  for (size_t i = 0, to = 0; i < v->entries; i++) { /* an entry is written over until it is a value */
    memcpy(e->numbers.data + to * sizeof(uint64_t), from + i * sizeof(uint64_t), sizeof(uint64_t));
    to += v->def[i];
  }
  return TL_OK;
}

static void bound_integers(const char *numbers, size_t count, tl_chunk *chunk) {
  int64_t min = INT64_MAX, max = INT64_MIN;
  for (size_t i = 0; i < count; i++) {
    int64_t value;
    memcpy(&value, numbers + i * sizeof value, sizeof value);
    min = value < min ? value : min;
    max = value > max ? value : max;
  }
  chunk->bound_bits[0] = (uint64_t)min;
  chunk->bound_bits[1] = (uint64_t)max;
}

/* The format's rules: no bounds with a NaN, and a zero bound has the sign that includes the other zero. */
static void bound_doubles(const char *numbers, size_t count, tl_chunk *chunk) {
  double min = __builtin_inf(), max = -__builtin_inf();
  bool ordered = true;
  for (size_t i = 0; i < count; i++) {
    double value;
    memcpy(&value, numbers + i * sizeof value, sizeof value);
    min = value < min ? value : min;
    max = value > max ? value : max;
    ordered &= value == value;
  }
  if (min == 0) min = -0.0;
  if (max == 0) max = 0.0;
  chunk->unsound = !ordered;
  memcpy(&chunk->bound_bits[0], &min, sizeof min);
  memcpy(&chunk->bound_bits[1], &max, sizeof max);
}

static void bound_numbers(tl_leaf_kind kind, const char *numbers, size_t count, tl_chunk *chunk) {
  if (kind == TL_LEAF_F64) bound_doubles(numbers, count, chunk);
  else bound_integers(numbers, count, chunk);
  chunk->has_bounds = !chunk->unsound;
  chunk->min = tl_text_of((const char *)&chunk->bound_bits[0], sizeof chunk->bound_bits[0]);
  chunk->max = tl_text_of((const char *)&chunk->bound_bits[1], sizeof chunk->bound_bits[1]);
}

static bool spans_too_far(const tl_chunk *chunk) { /* max - min does not fit: some readers' sums would overflow */
  return chunk->bound_bits[1] - chunk->bound_bits[0] > INT64_MAX;
}

/* Bits of an index as written: minimal, but a width next to a byte's is rounded up, so that zstd sees whole symbols. */
static unsigned index_width(uint32_t distinct) {
  static const uint8_t widths[33] = {1, 1, 2, 4, 4, 8, 8, 8, 8, 9, 10, 11, 12, 13, 16, 16, 16};
  unsigned bits = tl_bit_width(distinct - 1);
  return bits <= 16 ? widths[bits] : bits;
}

static tl_status put_dictionary(tl_encoder *e, tl_chunk *chunk, tl_error *err) {
  chunk->encoding = TL_ENCODING_DICTIONARY;
  tl_status st = tl_buf_append(&e->pages->body, e->dict.values, e->dict.count * sizeof *e->dict.values, err);
  return st ? st : tl_pages_add_dictionary(e->pages, chunk, e->dict.count, err);
}

/* Compressed bytes of `count` values in an encoding, as far as a sample of them tells. */
static tl_status try_encoding(tl_encoder *e, int encoding, const values *v, double *bytes, tl_error *err) {
  size_t count = v->count < SAMPLE ? v->count : SAMPLE, begin = (v->count - count) / 2, compressed = 0;
  tl_buf *body = &e->pages->body;
  tl_status st = put_values(body, encoding, v, begin, count, err);
  if (!st) st = tl_pages_try(e->pages, &compressed, err);
  *bytes = (double)compressed / (double)count * (double)v->count;
  if (st || encoding != TL_ENCODING_DICTIONARY) return st;
  count = e->dict.count < SAMPLE ? e->dict.count : SAMPLE;
  st = tl_buf_append(body, e->dict.values, count * sizeof *e->dict.values, err);
  if (!st) st = tl_pages_try(e->pages, &compressed, err);
  *bytes += (double)compressed / (double)count * (double)e->dict.count;
  return st;
}

/* Tried: the smallest of the encodings in `candidates`, a set of bits. */
static tl_status choose(tl_encoder *e, unsigned candidates, const values *v, int *best, tl_error *err) {
  double least = 0;
  bool found = false;
  *best = __builtin_ctz(candidates);
  if (!(candidates & (candidates - 1))) return TL_OK;
  for (; candidates; candidates &= candidates - 1) {
    int encoding = __builtin_ctz(candidates);
    double bytes = 0;
    tl_status st = try_encoding(e, encoding, v, &bytes, err);
    if (st) return st;
    if (encoding == TL_ENCODING_PLAIN) bytes *= 1.1; /* eight bytes a value to compress and to read: must pay */
    if (!found || bytes < least) *best = encoding, least = bytes;
    found = true;
  }
  return TL_OK;
}

/* Times by differences; few distinct values by a dictionary, doubles nearly all distinct plain: known beforehand. */
static tl_status put_numbers(tl_encoder *e, const tl_leaf *leaf, values *v, tl_chunk *chunk, tl_error *err) {
  bool time = leaf->kind == TL_LEAF_TIME_US || leaf->is_ns, real = leaf->kind == TL_LEAF_F64, fits = false;
  size_t distinct_max = v->count * 5 / 8 < DISTINCT_MAX ? v->count * 5 / 8 : DISTINCT_MAX;
  tl_status st = TL_OK;
  if (!time) {
    st = reserve(&e->index, v->count, sizeof(uint32_t), err);
    if (!st) st = tl_dict_build(&e->dict, v->numbers, v->count, distinct_max, (uint32_t *)(void *)e->index.data, &fits, err);
    if (st) return st;
  }
  if (fits) {
    v->index = (const uint32_t *)(const void *)e->index.data;
    v->index_width = index_width(e->dict.count);
    bound_numbers(leaf->kind, (const char *)e->dict.values, e->dict.count, chunk);
  } else {
    bound_numbers(leaf->kind, v->numbers, v->count, chunk);
  }
  const unsigned plain = 1u << TL_ENCODING_PLAIN, delta = 1u << TL_ENCODING_DELTA, dictionary = 1u << TL_ENCODING_DICTIONARY;
  bool differences = !real && !spans_too_far(chunk);
  unsigned candidates = plain | (differences ? delta : 0) | (fits ? dictionary : 0);
  if (time && differences) candidates = delta;
  if (fits && e->dict.count <= (real ? v->count / 4 : 256)) candidates = dictionary;
  st = choose(e, candidates, v, &chunk->encoding, err);
  return st || chunk->encoding != TL_ENCODING_DICTIONARY ? st : put_dictionary(e, chunk, err);
}

/* ---- texts ---- */

static tl_status put_text_dictionary(tl_encoder *e, values *v, tl_chunk *chunk, tl_error *err) {
  const tl_text_dict *texts = &e->texts;
  tl_buf *body = &e->pages->body;
  v->index = (const uint32_t *)(const void *)e->index.data;
  if (!texts->count) return TL_OK; /* no values: nothing to encode */
  v->index_width = index_width(texts->count);
  chunk->encoding = TL_ENCODING_DICTIONARY;
  tl_status st = TL_OK;
  for (uint32_t i = 0; !st && i < texts->count; i++) {
    tl_text text = texts->texts[i];
    uint32_t len = (uint32_t)text.len;
    if (text.len > INT32_MAX) return tl_fail(err, TL_ELIMIT, "a text of %zu bytes is too long", text.len);
    st = tl_buf_append(body, &len, sizeof len, err);
    if (!st) st = tl_buf_append(body, text.data, text.len, err);
  }
  return st ? st : tl_pages_add_dictionary(e->pages, chunk, texts->count, err);
}

static tl_status put_symbol(tl_encoder *e, values *v, tl_chunk *chunk, tl_error *err) {
  uint32_t first = 0;
  chunk->min = chunk->max = tl_text_from(e->symbol);
  chunk->has_bounds = true;
  tl_status st = tl_text_dict_clear(&e->texts, err);
  if (!st) st = tl_text_dict_add(&e->texts, chunk->min, &first, err);
  if (!st) st = reserve(&e->index, v->count, sizeof first, err);
  if (st) return st;
  memset(e->index.data, 0, v->count * sizeof first);
  return put_text_dictionary(e, v, chunk, err);
}

/* Room for every code of the pool; a code's entry is 0 between columns. */
static tl_status begin_codes(tl_encoder *e, tl_error *err) {
  size_t bytes = tl_words_count(e->words) * sizeof(uint32_t), had = e->codes.len;
  tl_buf_clear(&e->met);
  tl_buf_clear(&e->items);
  tl_buf_clear(&e->spans);
  tl_status st = tl_text_dict_clear(&e->texts, err);
  if (!st) st = tl_buf_reserve(&e->items, sizeof(uint32_t), err); /* a pointer to add offsets to */
  if (st || bytes <= had) return st;
  st = tl_buf_reserve(&e->codes, bytes - had, err);
  if (st) return st;
  memset(e->codes.data + had, 0, bytes - had);
  e->codes.len = bytes;
  return TL_OK;
}

static void end_codes(tl_encoder *e) {
  for (size_t at = 0; at < e->met.len; at += sizeof(uint32_t)) {
    uint32_t code;
    memcpy(&code, e->met.data + at, sizeof code);
    memset(e->codes.data + code * sizeof code, 0, sizeof code);
  }
  tl_buf_clear(&e->met);
}

static tl_status meet(tl_encoder *e, uint32_t code, uint32_t meaning, tl_error *err) {
  tl_status st = tl_buf_append(&e->met, &code, sizeof code, err);
  if (!st) ((uint32_t *)(void *)e->codes.data)[code] = meaning + 1;
  return st;
}

static tl_status put_words(tl_encoder *e, const tl_column *column, size_t begin, values *v, tl_chunk *chunk, tl_error *err) {
  tl_status st = reserve(&e->index, v->count, sizeof(uint32_t), err);
  if (st) return st;
  const uint32_t *codes = (const uint32_t *)(const void *)e->codes.data;
  uint32_t *index = (uint32_t *)(void *)e->index.data;
  for (size_t i = 0, to = 0; i < v->entries; i++) {
    if (v->def && !v->def[i]) continue;
    uint32_t code = column->word[begin + i], meaning = codes[code];
    if (!meaning) {
      st = tl_text_dict_add(&e->texts, tl_words_text(e->words, code), &meaning, err);
      if (!st) st = meet(e, code, meaning, err);
      if (st) return st;
      meaning++;
    }
    index[to++] = meaning - 1;
  }
  return put_text_dictionary(e, v, chunk, err);
}

/* ---- lists ---- */

static tl_status meet_list(tl_encoder *e, uint32_t code, tl_error *err) {
  span met = {(uint32_t)(e->items.len / sizeof(uint32_t)), 0};
  tl_text list = tl_words_text(e->words, code), item;
  tl_status st = TL_OK;
  while (!st && tl_words_list_next(&list, &item)) {
    uint32_t index = 0;
    st = tl_text_dict_add(&e->texts, item, &index, err);
    if (!st) st = tl_buf_append(&e->items, &index, sizeof index, err);
    met.count++;
  }
  if (!st && e->items.len / sizeof(uint32_t) > UINT32_MAX) st = tl_fail(err, TL_ELIMIT, "too many different lists");
  uint32_t meaning = (uint32_t)(e->spans.len / sizeof met);
  if (!st) st = tl_buf_append(&e->spans, &met, sizeof met, err);
  return st ? st : meet(e, code, meaning, err);
}

static tl_status grow_entries(tl_encoder *e, size_t entries, size_t items, size_t more, tl_error *err) {
  e->rep.len = e->def.len = entries; /* what realloc has to keep */
  e->index.len = items * sizeof(uint32_t);
  tl_status st = tl_buf_reserve(&e->rep, more, err);
  if (!st) st = tl_buf_reserve(&e->def, more, err);
  return st ? st : tl_buf_reserve(&e->index, more * sizeof(uint32_t), err);
}

/* Definition level: 0 NULL, 1 empty list, 3 an item (2 would be a NULL item: there are none). */
static tl_status put_lists(tl_encoder *e, const tl_column *column, size_t begin, size_t rows, values *v, tl_chunk *chunk,
                           tl_error *err) {
  const uint32_t *codes = (const uint32_t *)(const void *)e->codes.data;
  size_t entries = 0, items = 0, room = 0;
  tl_status st = TL_OK;
  for (size_t row = begin; row < begin + rows; row++) {
    span list = {0, 0};
    bool valid = tl_column_valid(column, row);
    if (valid) {
      uint32_t code = column->word[row];
      if (!codes[code]) st = meet_list(e, code, err);
      if (st) return st;
      list = ((const span *)(const void *)e->spans.data)[codes[code] - 1];
    }
    if (room < entries + list.count + 1) {
      room = entries + entries / 2 + list.count + rows;
      st = grow_entries(e, entries, items, room - entries, err);
      if (st) return st;
    }
    uint8_t *rep = (uint8_t *)e->rep.data + entries, *def = (uint8_t *)e->def.data + entries;
    const uint32_t *from = (const uint32_t *)(const void *)e->items.data + list.offset;
    uint32_t *index = (uint32_t *)(void *)e->index.data + items;
    rep[0] = 0;
    def[0] = valid;
    for (uint32_t i = 0; i < list.count; i++) {
      rep[i] = i > 0;
      def[i] = DEF_LIST_ITEM;
      index[i] = from[i];
    }
    entries += list.count ? list.count : 1;
    items += list.count;
  }
  v->entries = entries;
  v->count = items;
  v->rep = (const uint8_t *)e->rep.data;
  v->def = (const uint8_t *)e->def.data;
  return put_text_dictionary(e, v, chunk, err);
}

static tl_status put_text_leaf(tl_encoder *e, const tl_leaf *leaf, const tl_column *column, size_t begin, size_t rows,
                               values *v, tl_chunk *chunk, tl_error *err) {
  if (leaf->column < 0) return put_symbol(e, v, chunk, err);
  tl_status st = begin_codes(e, err);
  if (st) return st;
  if (leaf->kind == TL_LEAF_LIST) st = put_lists(e, column, begin, rows, v, chunk, err);
  else st = put_words(e, column, begin, v, chunk, err);
  end_codes(e);
  return st;
}

tl_status tl_encoder_put(tl_encoder *e, const tl_leaf *leaf, const tl_batch *batch, size_t begin, size_t end,
                         tl_chunk *chunk, tl_error *err) {
  static const tl_column always = {0};
  const tl_column *column = leaf->column < 0 ? &always : &batch->columns[leaf->column];
  assert(begin < end && end <= batch->rows);
  *chunk = (tl_chunk){.offset = tl_pages_offset(e->pages), .encoding = TL_ENCODING_PLAIN};
  tl_buf_clear(&e->pages->body);
  values v = {0};
  tl_status st = put_validity(e, column, begin, end, &v, err);
  if (st) return st;
  chunk->null_count = (int64_t)(v.entries - v.count);
  if (leaf->kind == TL_LEAF_TEXT || leaf->kind == TL_LEAF_LIST) {
    st = put_text_leaf(e, leaf, column, begin, end - begin, &v, chunk, err);
  } else {
    st = take_numbers(e, leaf, column, begin, &v, err);
    if (!st && v.count) st = put_numbers(e, leaf, &v, chunk, err);
  }
  return st ? st : put_pages(e, &v, chunk, err);
}
