/* s3_xml.c - a scanner that calls for each element as it ends, and the documents on top of it. */
#include "store/s3_xml.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "market/time.h"

enum { DEPTH_MAX = 16, PATH_MAX_BYTES = 512 };

typedef struct scan {
  const char *at, *end;
  char path[PATH_MAX_BYTES]; /* of the open elements: "A/B/C" */
  size_t path_len, starts[DEPTH_MAX], depth;
  tl_buf text; /* since the last tag, entities decoded */
  bool had_root;
} scan;

/* Called as each element ends, with the text right before its end tag. */
typedef tl_status (*element)(void *to, const char *path, const tl_buf *text, tl_error *err);

static tl_status malformed(tl_error *err) { return tl_fail(err, TL_EDECODE, "the answer is not XML of S3"); }

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == ':' || (unsigned char)c >= 0x80;
}

static tl_status append_code_point(tl_buf *text, uint32_t c, tl_error *err) {
  if (!c || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return malformed(err);
  char utf8[4];
  size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  static const unsigned char heads[5] = {0, 0, 0xC0, 0xE0, 0xF0};
  for (size_t i = len; i > 1; i--, c >>= 6) utf8[i - 1] = (char)(0x80 | (c & 0x3F));
  utf8[0] = (char)(heads[len] | c);
  return tl_buf_append(text, utf8, len, err);
}

/* s->at stands on '&'. */
static tl_status take_entity(scan *s, tl_error *err) {
  static const struct { const char *name, *text; } entities[] = {{"amp;", "&"}, {"lt;", "<"}, {"gt;", ">"}, {"quot;", "\""}, {"apos;", "'"}};
  size_t left = (size_t)(s->end - ++s->at);
  for (size_t i = 0; i < 5; i++)
    if (left >= strlen(entities[i].name) && !memcmp(s->at, entities[i].name, strlen(entities[i].name))) {
      s->at += strlen(entities[i].name);
      return tl_buf_append(&s->text, entities[i].text, 1, err);
    }
  if (!left || *s->at++ != '#') return malformed(err);
  bool hex = s->at < s->end && *s->at == 'x';
  if (hex) s->at++;
  uint32_t c = 0;
  int digits = 0;
  for (; s->at < s->end && *s->at != ';' && digits < 8; s->at++, digits++) {
    char lower = (char)(*s->at | 0x20);
    bool decimal = *s->at >= '0' && *s->at <= '9';
    if (!decimal && (!hex || lower < 'a' || lower > 'f')) return malformed(err);
    c = c * (hex ? 16 : 10) + (uint32_t)(decimal ? *s->at - '0' : lower - 'a' + 10);
    if (c > 0x10FFFF) return malformed(err);
  }
  if (!digits || s->at == s->end || *s->at++ != ';') return malformed(err);
  return append_code_point(&s->text, c, err);
}

/* s->at stands behind "<"; takes an XML declaration or a comment. */
static bool take_aside(scan *s) {
  bool comment = *s->at == '!';
  if (comment && (s->end - s->at < 3 || memcmp(s->at, "!--", 3) != 0)) return false; /* a DTD, CDATA */
  const char *close = comment ? "-->" : "?>";
  size_t len = strlen(close);
  for (s->at += comment ? 3 : 1; (size_t)(s->end - s->at) >= len; s->at++)
    if (!memcmp(s->at, close, len)) {
      s->at += len;
      return true;
    }
  return false;
}

/* Moves to the tag's '>', over attributes. *alone: it ends with "/>". */
static bool skip_attributes(scan *s, bool *alone) {
  char quote = 0;
  *alone = false;
  for (; s->at < s->end; s->at++) {
    if (quote) {
      if (*s->at == quote) quote = 0;
    } else if (*s->at == '"' || *s->at == '\'') {
      quote = *s->at;
    } else if (*s->at == '>') {
      return true;
    } else if (*s->at == '<') {
      return false;
    }
    *alone = *s->at == '/' && !quote;
  }
  return false;
}

static tl_text take_name(scan *s) { /* without its namespace */
  const char *name = s->at;
  while (s->at < s->end && is_name(*s->at)) {
    if (*s->at == ':') name = s->at + 1;
    s->at++;
  }
  return tl_text_of(name, (size_t)(s->at - name));
}

static tl_status end_element(scan *s, element each, void *to, tl_error *err) {
  tl_status st = each(to, s->path, &s->text, err);
  s->path_len = s->starts[--s->depth];
  s->path[s->path_len] = 0;
  tl_buf_clear(&s->text);
  return st;
}

static tl_status take_close(scan *s, element each, void *to, tl_error *err) {
  s->at++;
  tl_text name = take_name(s);
  while (s->at < s->end && is_blank(*s->at)) s->at++;
  if (!s->depth || s->at == s->end || *s->at++ != '>') return malformed(err);
  size_t start = s->starts[s->depth - 1] + (s->depth > 1); /* behind the '/' */
  if (name.len != s->path_len - start || memcmp(s->path + start, name.data, name.len) != 0) return malformed(err);
  return end_element(s, each, to, err);
}

static tl_status take_open(scan *s, element each, void *to, tl_error *err) {
  bool alone;
  tl_text name = take_name(s);
  if (!name.len || (!s->depth && s->had_root) || s->depth == DEPTH_MAX || s->path_len + name.len + 2 > sizeof s->path) return malformed(err);
  if (!skip_attributes(s, &alone)) return malformed(err);
  s->at++;
  s->starts[s->depth] = s->path_len;
  if (s->depth++) s->path[s->path_len++] = '/';
  memcpy(s->path + s->path_len, name.data, name.len);
  s->path_len += name.len;
  s->path[s->path_len] = 0;
  s->had_root = true;
  tl_buf_clear(&s->text);
  return alone ? end_element(s, each, to, err) : TL_OK;
}

static tl_status walk(const char *data, size_t len, element each, void *to, tl_error *err) {
  scan s = {.at = data, .end = data + len};
  tl_status st = TL_OK;
  while (!st && s.at < s.end) {
    if (*s.at == '<') {
      s.at++;
      if (s.at == s.end) st = malformed(err);
      else if (*s.at == '?' || *s.at == '!') st = take_aside(&s) ? TL_OK : malformed(err);
      else st = *s.at == '/' ? take_close(&s, each, to, err) : take_open(&s, each, to, err);
    } else if (*s.at == '&') {
      st = s.depth ? take_entity(&s, err) : malformed(err);
    } else {
      const char *from = s.at;
      while (s.at < s.end && *s.at != '<' && *s.at != '&') s.at++;
      if (s.depth) st = tl_buf_append(&s.text, from, (size_t)(s.at - from), err);
      else
        for (; !st && from < s.at; from++) /* a byte order mark is fine */
          if (!is_blank(*from) && (s.had_root || !strchr("\xEF\xBB\xBF", *from))) st = malformed(err);
    }
  }
  if (!st && (s.depth || !s.had_root)) st = malformed(err);
  tl_buf_deinit(&s.text);
  return st;
}

static const char *text_of(const tl_buf *text) { return text->len ? text->data : ""; }

/* ---- an error ---- */

static void copy_printable(char *to, size_t size, const tl_buf *text) {
  size_t used = 0;
  for (size_t i = 0; i < text->len && used + 1 < size; i++) {
    char c = text->data[i];
    to[used++] = is_blank(c) ? ' ' : c > ' ' && c < 0x7F ? c : '?';
  }
  to[used] = 0;
}

typedef struct refusal_reader {
  tl_s3_refusal *out;
  bool is_error;
} refusal_reader;

static tl_status refusal_element(void *to, const char *path, const tl_buf *text, tl_error *err) {
  refusal_reader *r = to;
  (void)err;
  if (!strcmp(path, "Error")) r->is_error = true;
  if (!strcmp(path, "Error/Code")) copy_printable(r->out->code, sizeof r->out->code, text);
  if (!strcmp(path, "Error/Message")) copy_printable(r->out->message, sizeof r->out->message, text);
  if (!strcmp(path, "Error/Region")) copy_printable(r->out->region, sizeof r->out->region, text);
  return TL_OK;
}

bool tl_s3_xml_refusal(const char *data, size_t len, tl_s3_refusal *out) {
  *out = (tl_s3_refusal){0};
  refusal_reader r = {.out = out};
  if (!walk(data, len, refusal_element, &r, NULL) && r.is_error && out->code[0]) return true;
  *out = (tl_s3_refusal){0};
  return false;
}

/* ---- a page of a list ---- */

typedef struct page_reader {
  tl_s3_page *page;
  tl_s3_item item;
  bool is_list, has_key, has_size, url;
} page_reader;

static void copy_etag(char etag[96], const tl_buf *text) {
  const char *at = text_of(text);
  size_t len = text->len;
  if (len >= 2 && at[0] == '"' && at[len - 1] == '"') at++, len -= 2;
  if (len >= 96 || memchr(at, 0, len)) return;
  memcpy(etag, at, len);
  etag[len] = 0;
}

static bool read_size(const tl_buf *text, int64_t *out) {
  *out = 0;
  for (size_t i = 0; i < text->len; i++) {
    char c = text->data[i];
    if (c < '0' || c > '9' || __builtin_mul_overflow(*out, (int64_t)10, out) || __builtin_add_overflow(*out, (int64_t)(c - '0'), out)) return false;
  }
  return text->len > 0;
}

static tl_status add_item(page_reader *r, tl_error *err) {
  tl_s3_page *p = r->page;
  if (!r->has_key || !r->has_size) return tl_fail(err, TL_EDECODE, "the store lists an object without name or size");
  if (p->count == p->capacity) {
    size_t more = p->capacity ? p->capacity * 2 : 64;
    tl_s3_item *grown = tl_realloc_array(p->items, more, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot hold a list");
    p->items = grown;
    p->capacity = more;
  }
  p->items[p->count++] = r->item;
  r->item = (tl_s3_item){0};
  r->has_key = r->has_size = false;
  return TL_OK;
}

static tl_status take_key(page_reader *r, const tl_buf *text, tl_error *err) {
  if (memchr(text_of(text), 0, text->len)) return malformed(err);
  r->item.key_at = r->page->keys.len;
  r->has_key = true;
  return tl_buf_append(&r->page->keys, text_of(text), text->len + 1, err); /* with its NUL */
}

static tl_status take_modified(page_reader *r, const tl_buf *text, tl_error *err) {
  int64_t ns = 0;
  tl_status st = tl_time_parse(text_of(text), text->len, &ns, err);
  r->item.info.mtime_ms = tl_floor_div(ns, TL_NS_PER_S) * 1000;
  return st;
}

static tl_status page_element(void *to, const char *path, const tl_buf *text, tl_error *err) {
  page_reader *r = to;
  static const char root[] = "ListBucketResult";
  if (!strncmp(path, root, sizeof root - 1) && !path[sizeof root - 1]) r->is_list = true;
  if (strncmp(path, root, sizeof root - 1) != 0 || path[sizeof root - 1] != '/') return TL_OK;
  path += sizeof root;
  if (!strcmp(path, "IsTruncated")) r->page->truncated = !strcmp(text_of(text), "true");
  if (!strcmp(path, "EncodingType")) r->url = !strcmp(text_of(text), "url");
  if (!strcmp(path, "NextContinuationToken")) return tl_buf_append(&r->page->token, text_of(text), text->len, err);
  if (!strcmp(path, "Contents/Key")) return take_key(r, text, err);
  if (!strcmp(path, "Contents/LastModified")) return take_modified(r, text, err);
  if (!strcmp(path, "Contents/ETag")) copy_etag(r->item.info.etag, text);
  if (!strcmp(path, "Contents/Size") && !(r->has_size = read_size(text, &r->item.info.size_bytes))) return malformed(err);
  return strcmp(path, "Contents") ? TL_OK : add_item(r, err);
}

static bool decode_url(char *text) { /* in place */
  char *to = text;
  for (; *text; text++) {
    if (*text == '%') {
      int high = tl_hex_digit(text[1]), low = high < 0 ? -1 : tl_hex_digit(text[2]);
      if (low < 0 || !(high | low)) return false;
      *to++ = (char)(high << 4 | low);
      text += 2;
    } else {
      *to++ = *text == '+' ? ' ' : *text;
    }
  }
  *to = 0;
  return true;
}

tl_status tl_s3_xml_page(const char *data, size_t len, tl_s3_page *out, tl_error *err) {
  tl_buf_clear(&out->keys);
  tl_buf_clear(&out->token);
  out->count = 0;
  out->truncated = false;
  page_reader r = {.page = out};
  tl_status st = walk(data, len, page_element, &r, err);
  if (!st && !r.is_list) st = malformed(err);
  for (size_t i = 0; !st && r.url && i < out->count; i++)
    if (!decode_url(out->keys.data + out->items[i].key_at)) st = malformed(err);
  if (!st && out->truncated && !out->token.len) st = tl_fail(err, TL_EDECODE, "the store's list breaks off without saying where it goes on");
  if (st) out->count = 0;
  return st;
}

void tl_s3_page_deinit(tl_s3_page *page) {
  tl_buf_deinit(&page->keys);
  tl_buf_deinit(&page->token);
  tl_free(page->items);
  *page = (tl_s3_page){0};
}

/* ---- an upload ---- */

typedef struct text_reader {
  const char *path;
  tl_buf *out;
} text_reader;

static tl_status text_element(void *to, const char *path, const tl_buf *text, tl_error *err) {
  text_reader *r = to;
  if (strcmp(path, r->path) != 0) return TL_OK;
  tl_buf_clear(r->out);
  return tl_buf_append(r->out, text_of(text), text->len, err);
}

static tl_status read_text(const char *data, size_t len, const char *path, tl_buf *out, tl_error *err) {
  text_reader r = {path, out};
  tl_buf_clear(out);
  tl_status st = walk(data, len, text_element, &r, err);
  if (!st && (!out->len || memchr(out->data, 0, out->len))) st = malformed(err);
  if (st) tl_buf_clear(out);
  return st;
}

tl_status tl_s3_xml_upload_id(const char *data, size_t len, tl_buf *out, tl_error *err) {
  return read_text(data, len, "InitiateMultipartUploadResult/UploadId", out, err);
}

tl_status tl_s3_xml_completed(const char *data, size_t len, char etag[96], tl_error *err) {
  tl_buf text = {0};
  etag[0] = 0;
  tl_status st = read_text(data, len, "CompleteMultipartUploadResult/ETag", &text, err);
  if (!st) copy_etag(etag, &text);
  tl_buf_deinit(&text);
  return st || etag[0] ? st : malformed(err);
}
