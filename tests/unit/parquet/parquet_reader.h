/* parquet_reader.h - a second opinion on a Parquet file: reads what the writer may write, one value at a time.
 *
 * Written from the format's documents, sharing nothing with src/parquet/. Everything is asserted: a byte that is not as
 * the format says fails the test. Slow and simple on purpose. */
#ifndef TL_TESTS_PARQUET_READER_H
#define TL_TESTS_PARQUET_READER_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zstd.h>

/* ---- Thrift's compact protocol, as a tree ---- */

typedef struct node {
  int id, type; /* 1, 2 bool; 3..6 integer; 8 binary; 9 list; 12 struct */
  int64_t number; /* integer, bool, or the length of binary */
  const uint8_t *bytes;
  struct node *children;
  size_t count;
} node;

static inline uint64_t read_varint(const uint8_t **at, const uint8_t *end) {
  uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    assert_true(*at < end && shift < 64);
    uint8_t byte = *(*at)++;
    value |= (uint64_t)(byte & 0x7F) << shift;
    if (!(byte & 0x80)) return value;
  }
}

static inline int64_t read_zigzag(const uint8_t **at, const uint8_t *end) {
  uint64_t value = read_varint(at, end);
  return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static inline node read_node(int type, const uint8_t **at, const uint8_t *end);

static inline node *add_child(node *parent) {
  parent->children = realloc(parent->children, (parent->count + 1) * sizeof *parent->children);
  assert_non_null(parent->children);
  return &parent->children[parent->count++];
}

static inline node read_struct(const uint8_t **at, const uint8_t *end) {
  node result = {.type = 12};
  for (int id = 0;;) {
    assert_true(*at < end);
    uint8_t head = *(*at)++;
    if (!head) return result;
    id = head >> 4 ? id + (head >> 4) : (int)read_zigzag(at, end);
    node child = read_node(head & 15, at, end);
    child.id = id;
    *add_child(&result) = child;
  }
}

static inline node read_node(int type, const uint8_t **at, const uint8_t *end) {
  node result = {.type = type};
  switch (type) {
    case 1: result.number = 1; break;
    case 2: result.number = 0; break;
    case 3: case 4: case 5: case 6: result.number = read_zigzag(at, end); break;
    case 8:
      result.number = (int64_t)read_varint(at, end);
      result.bytes = *at;
      assert_true(result.number <= end - *at);
      *at += result.number;
      break;
    case 9: {
      assert_true(*at < end);
      uint8_t head = *(*at)++;
      uint64_t count = head >> 4 == 15 ? read_varint(at, end) : head >> 4;
      for (uint64_t i = 0; i < count; i++) {
        node child = read_node(head & 15, at, end);
        *add_child(&result) = child;
      }
      break;
    }
    case 12: return read_struct(at, end);
    default: fail_msg("compact type %d", type);
  }
  return result;
}

static inline void free_node(node *n) {
  for (size_t i = 0; i < n->count; i++) free_node(&n->children[i]);
  free(n->children);
  n->children = NULL;
}

static inline const node *field(const node *parent, int id) { /* NULL when absent */
  for (size_t i = 0; parent && i < parent->count; i++)
    if (parent->children[i].id == id) return &parent->children[i];
  return NULL;
}

static inline int64_t number_of(const node *parent, int id) {
  const node *n = field(parent, id);
  assert_non_null(n);
  return n->number;
}

/* ---- files ---- */

typedef struct file {
  const uint8_t *data;
  size_t len;
  node footer; /* FileMetaData */
} file;

static inline file file_open(const void *data, size_t len) {
  file f = {.data = data, .len = len};
  uint32_t footer_len;
  assert_true(len >= 12);
  assert_memory_equal(f.data, "PAR1", 4);
  assert_memory_equal(f.data + len - 4, "PAR1", 4);
  memcpy(&footer_len, f.data + len - 8, 4);
  assert_true(footer_len <= len - 12);
  const uint8_t *at = f.data + len - 8 - footer_len, *end = f.data + len - 8;
  f.footer = read_struct(&at, end);
  assert_ptr_equal(at, end);
  return f;
}

static inline void file_close(file *f) { free_node(&f->footer); }

static inline size_t file_groups(const file *f) { return field(&f->footer, 4)->count; }
static inline const node *file_group(const file *f, size_t group) { return &field(&f->footer, 4)->children[group]; }
static inline const node *file_chunk(const file *f, size_t group, size_t leaf) { /* ColumnMetaData */
  return field(&field(file_group(f, group), 1)->children[leaf], 3);
}

/* ---- encodings, bit by bit ---- */

static inline uint64_t read_bits(const uint8_t *data, size_t bit, unsigned width) {
  uint64_t value = 0;
  for (unsigned i = 0; i < width; i++) value |= (uint64_t)((data[(bit + i) / 8] >> ((bit + i) % 8)) & 1) << i;
  return value;
}

/* Exactly count values from a hybrid stream that ends at end or before. */
static inline void read_hybrid(const uint8_t *at, const uint8_t *end, unsigned width, size_t count, uint32_t *out) {
  for (size_t done = 0; done < count;) {
    uint64_t head = read_varint(&at, end);
    size_t run = (size_t)(head >> 1) * (head & 1 ? 8 : 1), bytes = head & 1 ? (size_t)(head >> 1) * width : (width + 7) / 8;
    assert_true(run > 0 && bytes <= (size_t)(end - at));
    for (size_t i = 0; i < run && done < count; i++)
      out[done++] = (uint32_t)(head & 1 ? read_bits(at, i * width, width) : read_bits(at, 0, width));
    at += bytes;
  }
  assert_ptr_equal(at, end);
}

static inline void read_delta(const uint8_t *at, const uint8_t *end, size_t count, int64_t *out) {
  uint64_t block = read_varint(&at, end), minis = read_varint(&at, end), total = read_varint(&at, end);
  int64_t value = read_zigzag(&at, end);
  assert_true(block % 128 == 0 && minis > 0 && block / minis % 32 == 0 && total == count);
  if (count) out[0] = value;
  for (size_t done = 1; done < count;) {
    int64_t least = read_zigzag(&at, end);
    const uint8_t *widths = at;
    at += minis;
    assert_true(at <= end);
    for (uint64_t m = 0; m < minis && done < count; m++) {
      size_t size = block / minis;
      assert_true(widths[m] <= 64 && size * widths[m] / 8 <= (size_t)(end - at));
      for (size_t i = 0; i < size && done < count; i++) {
        value = (int64_t)((uint64_t)value + (uint64_t)least + read_bits(at, i * widths[m], widths[m]));
        out[done++] = value;
      }
      at += size * widths[m] / 8;
    }
  }
  assert_ptr_equal(at, end);
}

/* ---- column chunks ---- */

typedef struct text {
  const uint8_t *data; /* owned by the chunk */
  uint32_t len;
} text;

typedef struct chunk {    /* entries in order; a value per entry whose def is the highest */
  size_t entries, values, pages;
  uint32_t *rep, *def;
  uint64_t *numbers;      /* INT64 and DOUBLE */
  text *texts;            /* BYTE_ARRAY */
  int encoding;           /* of the data pages */
  uint8_t *bodies[1000];  /* uncompressed pages */
  size_t body_count;
} chunk;

static inline void put_plain(chunk *c, bool is_text, const uint8_t *at, const uint8_t *end, size_t count) {
  if (is_text) c->texts = realloc(c->texts, (c->values + count + 1) * sizeof *c->texts);
  else c->numbers = realloc(c->numbers, (c->values + count + 1) * sizeof *c->numbers);
  for (size_t i = 0; i < count; i++) {
    if (is_text) {
      text t;
      assert_true(end - at >= 4);
      memcpy(&t.len, at, 4);
      t.data = at + 4;
      assert_true(t.len <= end - t.data);
      at = t.data + t.len;
      c->texts[c->values++] = t;
    } else {
      assert_true(end - at >= 8);
      memcpy(&c->numbers[c->values++], at, 8);
      at += 8;
    }
  }
  assert_ptr_equal(at, end);
}

static inline void put_levels(uint32_t **levels, size_t had, const uint8_t **at, const uint8_t *end, size_t count, unsigned width) {
  uint32_t len;
  assert_true(end - *at >= 4);
  memcpy(&len, *at, 4);
  *at += 4;
  assert_true(len <= end - *at);
  *levels = realloc(*levels, (had + count + 1) * sizeof **levels);
  read_hybrid(*at, *at + len, width, count, *levels + had);
  *at += len;
}

static inline void put_data_page(chunk *c, const chunk *dictionary, bool is_text, bool is_list, const node *header,
                          const uint8_t *at, const uint8_t *end) {
  size_t entries = (size_t)number_of(header, 1), present = 0;
  int encoding = (int)number_of(header, 2);
  assert_int_equal(number_of(header, 3), 3);
  assert_int_equal(number_of(header, 4), 3);
  assert_true(!c->pages++ || c->encoding == encoding);
  c->encoding = encoding;
  if (is_list) put_levels(&c->rep, c->entries, &at, end, entries, 1);
  put_levels(&c->def, c->entries, &at, end, entries, is_list ? 2 : 1);
  if (is_list) assert_int_equal(c->rep[c->entries], 0); /* a page begins with a row */
  for (size_t i = 0; i < entries; i++) present += c->def[c->entries + i] == (is_list ? 3 : 1);
  c->entries += entries;
  if (encoding == 0) {
    put_plain(c, is_text, at, end, present);
    return;
  }
  size_t first = c->values;
  c->values += present;
  if (is_text) c->texts = realloc(c->texts, (c->values + 1) * sizeof *c->texts);
  else c->numbers = realloc(c->numbers, (c->values + 1) * sizeof *c->numbers);
  if (encoding == 5) {
    read_delta(at, end, present, (int64_t *)c->numbers + first);
    return;
  }
  assert_int_equal(encoding, 8);
  uint32_t *index = malloc((present + 1) * sizeof *index);
  assert_true(at < end);
  read_hybrid(at + 1, end, at[0], present, index);
  for (size_t i = 0; i < present; i++) {
    assert_true(index[i] < dictionary->values);
    if (is_text) c->texts[first + i] = dictionary->texts[index[i]];
    else c->numbers[first + i] = dictionary->numbers[index[i]];
  }
  free(index);
}

static inline void chunk_close(chunk *c) {
  for (size_t i = 0; i < c->body_count; i++) free(c->bodies[i]);
  free(c->rep);
  free(c->def);
  free(c->numbers);
  free(c->texts);
}

/* Walks the pages from the first to the last byte the footer promises, and checks the footer's sums on the way. */
static inline chunk chunk_open(const file *f, size_t group, size_t leaf) {
  const node *meta = file_chunk(f, group, leaf), *first = field(meta, 11);
  bool is_text = number_of(meta, 1) == 6, is_list = field(meta, 3)->count == 3;
  int64_t begin = first ? first->number : number_of(meta, 9), end = begin + number_of(meta, 7), plain = 0;
  chunk c = {0}, dictionary = {0};
  assert_int_equal(number_of(meta, 4), 6); /* zstd */
  assert_true(begin >= 4 && end <= (int64_t)f->len);
  for (const uint8_t *at = f->data + begin, *last = f->data + end; at < last;) {
    const uint8_t *page = at;
    node header = read_struct(&at, last);
    size_t len = (size_t)number_of(&header, 2), compressed = (size_t)number_of(&header, 3);
    bool is_dictionary = number_of(&header, 1) == 2;
    uint8_t *body = malloc(len + 1);
    assert_true(compressed <= (size_t)(last - at) && c.body_count < 1000);
    assert_int_equal(ZSTD_decompress(body, len + 1, at, compressed), len);
    c.bodies[c.body_count++] = body;
    plain += (int64_t)len + (at - page);
    at += compressed;
    if (is_dictionary) {
      assert_ptr_equal(page, f->data + begin);
      assert_int_equal(number_of(field(&header, 7), 2), 0);
      put_plain(&dictionary, is_text, body, body + len, (size_t)number_of(field(&header, 7), 1));
    } else {
      if (!c.pages) assert_ptr_equal(page, f->data + number_of(meta, 9));
      put_data_page(&c, &dictionary, is_text, is_list, field(&header, 5), body, body + len);
    }
    free_node(&header);
  }
  assert_int_equal(plain, number_of(meta, 6));
  assert_int_equal(c.entries, number_of(meta, 5));
  assert_int_equal(!!first, c.encoding == 8);
  const node *encodings = field(meta, 2); /* all that are used and no other */
  for (size_t i = 0; i < encodings->count; i++) {
    int64_t e = encodings->children[i].number;
    assert_true(e == 3 || e == c.encoding || (e == 0 && first));
  }
  free(dictionary.numbers);
  free(dictionary.texts);
  return c;
}
#endif
