/* avro.c - reading Avro object container files; see avro.h. */
#include "table/iceberg/avro.h"

#include <assert.h>
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"
#include "table/iceberg/avro_schema.h"

enum { SYNC_BYTES = 16, DEPTH_MAX = 64, BUDGET_BASE = 1 << 16, BUDGET_PER_BYTE = 64 };
static const size_t block_bytes_max = (size_t)256 << 20;

typedef struct meta_pair { tl_text key, value; } meta_pair;

struct tl_avro_file {
  const char *what;
  tl_avro_nodes nodes;
  const tl_avro_node *root;
  meta_pair *meta; /* views into the data */
  size_t meta_count;
  const uint8_t *at, *end;   /* behind the header, or behind the current block */
  uint8_t sync[SYNC_BYTES];
  bool deflate;
  tl_buf text;               /* the current block, when it was deflated */
  tl_avro_cursor cursor;
  int64_t left, objects;     /* in the block; seen in all */
};

/* ---- plain values ---- */

bool tl_avro_fail(tl_avro_cursor *c) {
  c->failed = true;
  c->p = c->end;
  return false;
}

int64_t tl_avro_long(tl_avro_cursor *c) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (c->p == c->end) break;
    uint8_t byte = *c->p++;
    if (shift == 63 && byte > 1) break;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return (int64_t)(value >> 1 ^ (0 - (value & 1)));
  }
  tl_avro_fail(c);
  return 0;
}

tl_text tl_avro_fixed(tl_avro_cursor *c, size_t bytes) {
  if (bytes > (size_t)(c->end - c->p)) {
    tl_avro_fail(c);
    return tl_text_of("", 0);
  }
  tl_text out = tl_text_of((const char *)c->p, bytes);
  c->p += bytes;
  return out;
}

tl_text tl_avro_bytes(tl_avro_cursor *c) {
  int64_t len = tl_avro_long(c);
  if (len < 0 || len > c->end - c->p) {
    tl_avro_fail(c);
    return tl_text_of("", 0);
  }
  return tl_avro_fixed(c, (size_t)len);
}

int64_t tl_avro_items(tl_avro_cursor *c) {
  int64_t count = tl_avro_long(c);
  if (count < 0) {
    if (count == INT64_MIN || tl_avro_long(c) < 0) tl_avro_fail(c); /* the block's size in bytes: not needed */
    else count = -count;
  }
  if (c->failed) return 0;
  c->budget -= count > c->budget ? c->budget : count;
  if (c->budget <= 0) tl_avro_fail(c);
  return c->failed ? 0 : count;
}

/* ---- values by their node ---- */

static const tl_avro_node null_node = {.type = TL_AVRO_NULL};

static bool visit(tl_avro_cursor *c) { return --c->budget > 0 ? !c->failed : tl_avro_fail(c); }

const tl_avro_node *tl_avro_branch(tl_avro_cursor *c, const tl_avro_node *node) {
  if (!visit(c)) return &null_node;
  if (node->type != TL_AVRO_UNION) return node;
  int64_t branch = tl_avro_long(c);
  if (c->failed || branch < 0 || (uint64_t)branch >= node->count) {
    tl_avro_fail(c);
    return &null_node;
  }
  return node->children[branch].node;
}

bool tl_avro_take_i64(tl_avro_cursor *c, const tl_avro_node *node, int64_t *out) {
  node = tl_avro_branch(c, node);
  switch (node->type) {
    case TL_AVRO_NULL: return false;
    case TL_AVRO_BOOLEAN: {
      tl_text byte = tl_avro_fixed(c, 1);
      if (c->failed || (unsigned char)byte.data[0] > 1) return tl_avro_fail(c);
      *out = byte.data[0];
      return true;
    }
    case TL_AVRO_INT:
    case TL_AVRO_ENUM:
    case TL_AVRO_LONG:
      *out = tl_avro_long(c);
      if (node->type != TL_AVRO_LONG && *out != (int32_t)*out) return tl_avro_fail(c);
      return !c->failed;
    default: return tl_avro_fail(c);
  }
}

bool tl_avro_take_f64(tl_avro_cursor *c, const tl_avro_node *node, double *out) {
  node = tl_avro_branch(c, node);
  if (node->type == TL_AVRO_NULL) return false;
  if (node->type != TL_AVRO_FLOAT && node->type != TL_AVRO_DOUBLE) return tl_avro_fail(c);
  tl_text bytes = tl_avro_fixed(c, node->type == TL_AVRO_FLOAT ? 4 : 8);
  if (c->failed) return false;
  uint64_t bits = 0;
  for (size_t i = bytes.len; i > 0; i--) bits = bits << 8 | (uint8_t)bytes.data[i - 1];
  if (node->type == TL_AVRO_FLOAT) {
    uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof value);
    *out = (double)value;
  } else {
    memcpy(out, &bits, sizeof *out);
  }
  return true;
}

bool tl_avro_take_text(tl_avro_cursor *c, const tl_avro_node *node, tl_text *out) {
  node = tl_avro_branch(c, node);
  switch (node->type) {
    case TL_AVRO_NULL: return false;
    case TL_AVRO_BYTES:
    case TL_AVRO_STRING: *out = tl_avro_bytes(c); return !c->failed;
    case TL_AVRO_FIXED: *out = tl_avro_fixed(c, node->fixed_bytes); return !c->failed;
    default: return tl_avro_fail(c);
  }
}

static void skip(tl_avro_cursor *c, const tl_avro_node *node, int depth) {
  if (depth > DEPTH_MAX) {
    tl_avro_fail(c);
    return;
  }
  node = tl_avro_branch(c, node);
  switch (node->type) {
    case TL_AVRO_NULL: break;
    case TL_AVRO_BOOLEAN: tl_avro_fixed(c, 1); break;
    case TL_AVRO_INT:
    case TL_AVRO_LONG:
    case TL_AVRO_ENUM: tl_avro_long(c); break;
    case TL_AVRO_FLOAT: tl_avro_fixed(c, 4); break;
    case TL_AVRO_DOUBLE: tl_avro_fixed(c, 8); break;
    case TL_AVRO_BYTES:
    case TL_AVRO_STRING: tl_avro_bytes(c); break;
    case TL_AVRO_FIXED: tl_avro_fixed(c, node->fixed_bytes); break;
    case TL_AVRO_ARRAY:
    case TL_AVRO_MAP:
      for (int64_t n; (n = tl_avro_items(c)) > 0;)
        for (; n > 0 && !c->failed; n--) {
          if (node->type == TL_AVRO_MAP) tl_avro_bytes(c);
          skip(c, node->children[0].node, depth + 1);
        }
      break;
    case TL_AVRO_UNION: tl_avro_fail(c); break; /* a union in a union: the schema's parser lets none through */
    case TL_AVRO_RECORD:
      for (size_t i = 0; i < node->count && !c->failed; i++) skip(c, node->children[i].node, depth + 1);
      break;
  }
}

void tl_avro_skip(tl_avro_cursor *c, const tl_avro_node *node) { skip(c, node, 0); }

/* ---- blocks ---- */

void *tl_avro_zlib_alloc(void *to, unsigned items, unsigned size) {
  (void)to;
  return tl_calloc(items, size);
}

void tl_avro_zlib_free(void *to, void *block) {
  (void)to;
  tl_free(block);
}

static tl_status broken(const tl_avro_file *file, const char *how, tl_error *err) {
  return tl_fail(err, TL_ECORRUPT, "'%s' is not a sound Avro file: %s, at object %lld", file->what, how, (long long)file->objects);
}

/* A whole raw deflate stream of `len` bytes into file->text. */
static tl_status inflate_block(tl_avro_file *file, const uint8_t *data, size_t len, tl_error *err) {
  z_stream z = {.zalloc = tl_avro_zlib_alloc, .zfree = tl_avro_zlib_free, .next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)len};
  if (inflateInit2(&z, -15) != Z_OK) return tl_fail(err, TL_ENOMEM, "cannot inflate a block of '%s'", file->what);
  tl_buf_clear(&file->text);
  tl_status st = TL_OK;
  int rc = Z_OK;
  while (!st && rc == Z_OK) {
    size_t more = file->text.len < len * 2 + 1024 ? len * 4 + 1024 : file->text.len;
    if (more > block_bytes_max) more = block_bytes_max;
    if (file->text.len >= block_bytes_max) st = tl_fail(err, TL_ELIMIT, "a block of '%s' inflates to over %zu bytes", file->what, block_bytes_max);
    if (!st) st = tl_buf_reserve(&file->text, more, err);
    if (st) break;
    z.next_out = (Bytef *)file->text.data + file->text.len;
    z.avail_out = (uInt)more;
    rc = inflate(&z, Z_NO_FLUSH);
    file->text.len += more - z.avail_out;
    file->text.data[file->text.len] = 0;
  }
  bool whole = rc == Z_STREAM_END; /* fastavro leaves three bytes of a checksum behind it */
  inflateEnd(&z);
  if (st) return st;
  if (rc == Z_MEM_ERROR) return tl_fail(err, TL_ENOMEM, "cannot inflate a block of '%s'", file->what);
  return whole ? TL_OK : broken(file, "a compressed block is damaged", err);
}

static tl_status open_block(tl_avro_file *file, tl_error *err) {
  tl_avro_cursor raw = {.p = file->at, .end = file->end, .budget = INT64_MAX};
  int64_t count = tl_avro_long(&raw);
  tl_text bytes = tl_avro_bytes(&raw);
  tl_text sync = tl_avro_fixed(&raw, SYNC_BYTES);
  if (raw.failed || count < 0) return broken(file, "it ends within a block", err);
  if (memcmp(sync.data, file->sync, SYNC_BYTES) != 0) return broken(file, "a block's marker is wrong", err);
  if (bytes.len > block_bytes_max) return tl_fail(err, TL_ELIMIT, "a block of '%s' has over %zu bytes", file->what, block_bytes_max);
  file->at = raw.p;
  if (file->deflate) {
    tl_status st = inflate_block(file, (const uint8_t *)bytes.data, bytes.len, err);
    if (st) return st;
    bytes = tl_text_of(file->text.data, file->text.len);
  }
  if ((uint64_t)count > bytes.len) return broken(file, "a block states more objects than it can hold", err);
  const uint8_t *begin = (const uint8_t *)(bytes.data ? bytes.data : "");
  file->cursor = (tl_avro_cursor){begin, begin + bytes.len, BUDGET_BASE + (int64_t)bytes.len * BUDGET_PER_BYTE, false};
  file->left = count;
  return TL_OK;
}

tl_status tl_avro_next(tl_avro_file *file, tl_avro_cursor **cursor, tl_error *err) {
  *cursor = NULL;
  if (file->cursor.failed) return broken(file, "an object is not what its schema says", err);
  while (file->left == 0) {
    if (file->cursor.p != file->cursor.end) return broken(file, "a block holds more than its objects", err);
    if (file->at == file->end) return TL_OK;
    tl_status st = open_block(file, err);
    if (st) return st;
  }
  file->left--;
  file->objects++;
  *cursor = &file->cursor;
  return TL_OK;
}

/* ---- the header ---- */

static tl_status take_meta(tl_avro_file *file, tl_avro_cursor *c, tl_error *err) {
  size_t capacity = 0;
  for (int64_t n; (n = tl_avro_items(c)) > 0;)
    for (; n > 0 && !c->failed; n--) {
      if (file->meta_count == capacity) {
        capacity = capacity ? capacity * 2 : 16;
        meta_pair *grown = tl_realloc_array(file->meta, capacity, sizeof *grown);
        if (!grown) return tl_fail(err, TL_ENOMEM, "cannot read the header of '%s'", file->what);
        file->meta = grown;
      }
      tl_text key = tl_avro_bytes(c);
      file->meta[file->meta_count++] = (meta_pair){key, tl_avro_bytes(c)};
    }
  return c->failed ? broken(file, "its header is cut short", err) : TL_OK;
}

static tl_status open_header(tl_avro_file *file, const uint8_t *data, size_t len, tl_error *err) {
  if (len < 4 || memcmp(data, "Obj\x01", 4) != 0) return broken(file, "it does not begin with Obj", err);
  tl_avro_cursor c = {.p = data + 4, .end = data + len, .budget = (int64_t)(len < INT32_MAX ? len : INT32_MAX) + 1};
  tl_status st = take_meta(file, &c, err);
  if (st) return st;
  tl_text sync = tl_avro_fixed(&c, SYNC_BYTES);
  if (c.failed) return broken(file, "its header is cut short", err);
  memcpy(file->sync, sync.data, SYNC_BYTES);
  file->at = c.p;
  file->end = c.end;
  file->cursor.p = file->cursor.end = c.p;
  tl_text codec, schema;
  if (tl_avro_meta(file, "avro.codec", &codec)) file->deflate = tl_text_is(codec, "deflate");
  else codec = tl_text_from("null");
  if (!file->deflate && !tl_text_is(codec, "null"))
    return tl_fail(err, TL_EUSAGE, "'%s' is compressed by '%.*s': only null and deflate are read", file->what,
                   (int)(codec.len < 32 ? codec.len : 32), codec.data);
  if (!tl_avro_meta(file, "avro.schema", &schema)) return broken(file, "its header has no schema", err);
  st = tl_avro_schema_parse(schema.data, schema.len, &file->nodes, &file->root, err);
  return st ? tl_fail_within(err, st, "cannot read '%s'", file->what) : TL_OK;
}

tl_status tl_avro_open(const char *what, const void *data, size_t len, tl_avro_file **out, tl_error *err) {
  tl_avro_file *file = tl_calloc(1, sizeof *file);
  if (!file) return tl_fail(err, TL_ENOMEM, "cannot open '%s'", what);
  file->what = what;
  tl_status st = open_header(file, data, len, err);
  if (st) tl_avro_close(file);
  else *out = file;
  return st;
}

void tl_avro_close(tl_avro_file *file) {
  if (!file) return;
  tl_avro_nodes_deinit(&file->nodes);
  tl_buf_deinit(&file->text);
  tl_free(file->meta);
  tl_free(file);
}

const tl_avro_node *tl_avro_root(const tl_avro_file *file) { return file->root; }

bool tl_avro_meta(const tl_avro_file *file, const char *key, tl_text *out) {
  for (size_t i = 0; i < file->meta_count; i++)
    if (tl_text_is(file->meta[i].key, key)) {
      *out = file->meta[i].value;
      return true;
    }
  return false;
}
