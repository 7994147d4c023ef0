/* symbol.c - escaping, quoting and lists of symbols; see symbol.h. */
#include "market/symbol.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/prng.h"

enum { LIST_BYTES_MAX = 64 << 20, SHOWN_BYTES = 60 };

/* ---- one symbol ---- */

static bool only_dots(const char *text, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (text[i] != '.') return false;
  return true;
}

/* Writes the escaped form as long as it fits bytes_max, with a NUL; returns how many bytes of text it took. */
static size_t escape_some(const char *text, size_t len, char *out, size_t bytes_max) {
  static const char hex[] = "0123456789ABCDEF";
  bool dots = only_dots(text, len);
  size_t used = 0, i = 0;
  for (; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '~' ||
                 c == '-' || (c == '.' && !dots);
    if (used + (plain ? 1 : 3) > bytes_max) break;
    if (plain) {
      out[used++] = (char)c;
    } else {
      out[used++] = '%';
      out[used++] = hex[c >> 4];
      out[used++] = hex[c & 15];
    }
  }
  out[used] = 0;
  return i;
}

static tl_status bad_symbol(const char *symbol, size_t len, const char *why, tl_error *err) {
  char name[SHOWN_BYTES + 1];
  bool whole = escape_some(symbol, len, name, SHOWN_BYTES) == len;
  return tl_fail(err, TL_EUSAGE, "cannot use symbol '%s%s': %s", name, whole ? "" : "...", why);
}

static bool is_utf8(const char *text, size_t len) {
  for (size_t n; len > 0; text += n, len -= n) {
    n = tl_utf8_length(text, len);
    if (n == 0) return false;
  }
  return true;
}

tl_status tl_symbol_escape(const char *symbol, size_t len, char out[TL_SYMBOL_ESCAPED_MAX + 1], tl_error *err) {
  out[0] = 0;
  if (len == 0) return tl_fail(err, TL_EUSAGE, "cannot use an empty symbol");
  if (memchr(symbol, 0, len)) return bad_symbol(symbol, len, "it contains a NUL byte", err);
  if (!is_utf8(symbol, len)) return bad_symbol(symbol, len, "it is not UTF-8", err);
  if (escape_some(symbol, len, out, TL_SYMBOL_ESCAPED_MAX) < len)
    return bad_symbol(symbol, len, "its file name would have more than 200 bytes", err);
  return TL_OK;
}

tl_status tl_symbol_check(const char *symbol, size_t len, tl_error *err) {
  char escaped[TL_SYMBOL_ESCAPED_MAX + 1];
  return tl_symbol_escape(symbol, len, escaped, err);
}

tl_status tl_symbol_unescape(const char *name, size_t len, tl_buf *out, tl_error *err) {
  tl_buf_clear(out);
  tl_status st = tl_buf_reserve(out, len, err);
  if (st) return st;
  for (size_t i = 0; i < len; i++) {
    char c = name[i];
    if (c == '%') {
      int high = i + 2 < len ? tl_hex_digit(name[i + 1]) : -1, low = high >= 0 ? tl_hex_digit(name[i + 2]) : -1;
      if (low < 0) return bad_symbol(name, len, "a % is not followed by two hex digits", err);
      c = (char)(high * 16 + low);
      i += 2;
    }
    out->data[out->len++] = c; /* never more bytes than the name has */
  }
  out->data[out->len] = 0;
  return tl_symbol_check(out->data, out->len, err);
}

/* ---- SQL ---- */

static tl_status quote_with(tl_buf *out, char quote, const char *text, size_t len, tl_error *err) {
  if (len > 0 && memchr(text, 0, len)) return tl_fail(err, TL_EUSAGE, "text with a NUL byte cannot be part of a query");
  size_t quotes = 2;
  for (size_t i = 0; i < len; i++) quotes += text[i] == quote;
  if (len > SIZE_MAX / 4) return tl_fail(err, TL_ENOMEM, "cannot quote %zu bytes", len);
  tl_status st = tl_buf_reserve(out, len + quotes, err);
  if (st) return st;
  char *p = out->data + out->len;
  *p++ = quote;
  for (size_t i = 0; i < len; i++) {
    if (text[i] == quote) *p++ = quote;
    *p++ = text[i];
  }
  *p++ = quote;
  *p = 0;
  out->len = (size_t)(p - out->data);
  return TL_OK;
}

tl_status tl_sql_quote(tl_buf *out, const char *text, size_t len, tl_error *err) {
  return quote_with(out, '\'', text, len, err);
}

tl_status tl_sql_identifier(tl_buf *out, const char *text, size_t len, tl_error *err) {
  return quote_with(out, '"', text, len, err);
}

/* ---- lists ---- */

static size_t slot_of(const tl_symbols *symbols, const char *symbol, size_t len) { /* its slot, or a free one */
  uint64_t hash = len;
  for (size_t i = 0; i < len; i++) hash = tl_prng_mix(hash ^ (unsigned char)symbol[i]);
  size_t slot = (size_t)hash & (symbols->slot_count - 1);
  for (; symbols->slots[slot]; slot = (slot + 1) & (symbols->slot_count - 1)) {
    const char *item = symbols->items[symbols->slots[slot] - 1];
    if (strncmp(item, symbol, len) == 0 && item[len] == 0) break;
  }
  return slot;
}

bool tl_symbols_find(const tl_symbols *symbols, const char *symbol, size_t len, size_t *index) {
  if (symbols->count == 0 || memchr(symbol, 0, len)) return false;
  size_t slot = slot_of(symbols, symbol, len);
  if (!symbols->slots[slot]) return false;
  if (index) *index = symbols->slots[slot] - 1;
  return true;
}

static tl_status grow(tl_symbols *symbols, tl_error *err) {
  size_t capacity = symbols->capacity ? symbols->capacity * 2 : 16;
  size_t *slots = tl_calloc(capacity * 2, sizeof *slots); /* at most half full */
  char **items = slots ? tl_realloc_array(symbols->items, capacity, sizeof *items) : NULL;
  if (!items) {
    tl_free(slots);
    return tl_fail(err, TL_ENOMEM, "cannot hold a list of %zu symbols", capacity);
  }
  tl_free(symbols->slots);
  *symbols = (tl_symbols){items, symbols->count, capacity, slots, capacity * 2};
  for (size_t i = 0; i < symbols->count; i++) slots[slot_of(symbols, items[i], strlen(items[i]))] = i + 1;
  return TL_OK;
}

tl_status tl_symbols_add(tl_symbols *out, const char *symbol, size_t len, tl_error *err) {
  tl_status st = tl_symbol_check(symbol, len, err);
  if (!st && out->count == out->capacity) st = grow(out, err);
  if (st) return st;
  size_t slot = slot_of(out, symbol, len);
  if (out->slots[slot]) return TL_OK;
  char *item = tl_strndup(symbol, len);
  if (!item) return tl_fail(err, TL_ENOMEM, "cannot hold a symbol of %zu bytes", len);
  out->items[out->count++] = item;
  out->slots[slot] = out->count;
  return TL_OK;
}

void tl_symbols_deinit(tl_symbols *symbols) {
  for (size_t i = 0; i < symbols->count; i++) tl_free(symbols->items[i]);
  tl_free(symbols->items);
  tl_free(symbols->slots);
  *symbols = (tl_symbols){0};
}

static tl_text trimmed(const char *start, const char *end) { /* of blanks around it */
  while (start < end && (*start == ' ' || *start == '\t')) start++;
  while (end > start && (end[-1] == ' ' || end[-1] == '\t')) end--;
  return (tl_text){start, (size_t)(end - start)};
}

static const char *after_mark(const char *data, const char *end) { /* behind a UTF-8 byte order mark */
  return end - data >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0 ? data + 3 : data;
}

tl_status tl_symbols_add_lines(tl_symbols *out, const char *data, size_t len, tl_error *err) {
  const char *end = data + len, *p = len ? after_mark(data, end) : data;
  for (size_t line = 1; p < end; line++) {
    const char *stop = memchr(p, '\n', (size_t)(end - p));
    const char *next = stop ? stop + 1 : end;
    if (!stop) stop = end;
    if (stop > p && stop[-1] == '\r') stop--;
    for (const char *c = p; c < stop; c++) /* a # inside a symbol is part of it */
      if (*c == '#' && (c == p || c[-1] == ' ' || c[-1] == '\t')) stop = c;
    tl_text symbol = trimmed(p, stop);
    tl_status st = symbol.len ? tl_symbols_add(out, symbol.data, symbol.len, err) : TL_OK;
    if (st) return tl_fail_within(err, st, "line %zu", line);
    p = next;
  }
  return TL_OK;
}

/* ---- CSV ---- */

typedef struct csv { /* comma, "quoted ""fields""" with any byte inside, rows end in LF, CRLF or CR */
  const char *p, *end;
  size_t line;
  bool row_done; /* the field read last was the row's last */
} csv;

static tl_status csv_quoted(csv *in, tl_buf *field, tl_error *err) {
  for (in->p++; in->p < in->end; in->p++) {
    if (*in->p == '"' && (++in->p == in->end || *in->p != '"')) return TL_OK;
    in->line += *in->p == '\n';
    tl_status st = tl_buf_append(field, in->p, 1, err);
    if (st) return st;
  }
  return tl_fail(err, TL_EUSAGE, "line %zu: a quote is not closed", in->line);
}

static tl_status csv_field(csv *in, tl_buf *field, tl_error *err) {
  tl_status st = TL_OK;
  tl_buf_clear(field);
  while (in->p < in->end && (*in->p == ' ' || *in->p == '\t')) in->p++;
  bool quoted = in->p < in->end && *in->p == '"';
  if (quoted && (st = csv_quoted(in, field, err))) return st;
  const char *start = in->p;
  while (in->p < in->end && *in->p != ',' && *in->p != '\r' && *in->p != '\n') in->p++;
  tl_text plain = trimmed(start, in->p);
  if (quoted && plain.len) return tl_fail(err, TL_EUSAGE, "line %zu: text follows a closing quote", in->line);
  st = tl_buf_append(field, plain.data, plain.len, err);
  in->row_done = in->p == in->end || *in->p != ',';
  if (in->p < in->end && *in->p == '\r' && in->p + 1 < in->end && in->p[1] == '\n') in->p++;
  if (in->p < in->end) in->p++;
  return st;
}

/* Reads one row and keeps its field number `column` (0 when it has fewer: an empty field). */
static tl_status csv_row(csv *in, size_t column, tl_buf *kept, bool *blank, tl_error *err) {
  tl_buf field = {0};
  tl_status st = TL_OK;
  tl_buf_clear(kept);
  *blank = true;
  in->line++;
  in->row_done = false;
  for (size_t i = 0; !st && !in->row_done; i++) {
    st = csv_field(in, i == column ? kept : &field, err);
    if (!st && (i == column ? kept : &field)->len) *blank = false;
  }
  tl_buf_deinit(&field);
  return st;
}

static bool has_lower(const tl_buf *text) {
  for (size_t i = 0; i < text->len; i++)
    if (text->data[i] >= 'a' && text->data[i] <= 'z') return true;
  return false;
}

/* Finds the column called symbol or ticker in the first row. */
static tl_status csv_header(csv *in, size_t *column, bool *found, tl_error *err) {
  tl_buf field = {0};
  tl_status st = TL_OK;
  bool symbol = false, ticker = false;
  *column = 0;
  for (size_t i = 0; !st && !in->row_done && in->p < in->end; i++) {
    st = csv_field(in, &field, err);
    const char *name = !st && field.len ? field.data : "";
    if (!symbol && (strcasecmp(name, "symbol") == 0 || (!ticker && strcasecmp(name, "ticker") == 0))) {
      *column = i;
      symbol = strcasecmp(name, "symbol") == 0;
      ticker = true;
    }
  }
  *found = ticker;
  tl_buf_deinit(&field);
  return st;
}

/* Without a column of that name the first row is still a header when its first field has lower-case letters and no
 * field below it does: "Company" over AAPL and MSFT. A single row is data. */
static tl_status csv_first_is_header(csv in, bool *is_header, tl_error *err) {
  tl_buf field = {0};
  bool blank = false, lower_below = false;
  size_t rows = 0;
  tl_status st = TL_OK;
  *is_header = false;
  while (!st && !lower_below && in.p < in.end) {
    st = csv_row(&in, 0, &field, &blank, err);
    if (st || blank) continue;
    if (rows++ == 0) *is_header = has_lower(&field);
    else lower_below = has_lower(&field);
  }
  *is_header = *is_header && rows > 1 && !lower_below;
  tl_buf_deinit(&field);
  return st;
}

tl_status tl_symbols_add_csv(tl_symbols *out, const char *data, size_t len, tl_error *err) {
  const char *end = data + len;
  csv in = {.p = len ? after_mark(data, end) : data, .end = end}, header = in;
  tl_buf symbol = {0};
  size_t column = 0;
  bool named = false, skip = false, blank = false;
  header.line = 1;
  tl_status st = csv_header(&header, &column, &named, err);
  if (!st && !named) st = csv_first_is_header(in, &skip, err);
  if (named) in = header;
  while (!st && in.p < in.end) {
    st = csv_row(&in, column, &symbol, &blank, err);
    if (st || blank) continue;
    if (!skip && (st = tl_symbols_add(out, symbol.data, symbol.len, err)))
      st = tl_fail_within(err, st, "line %zu", in.line);
    skip = false;
  }
  tl_buf_deinit(&symbol);
  return st;
}

/* ---- what users type ---- */

static bool ends_with_csv(const char *path) {
  size_t len = strlen(path);
  return len >= 4 && strcasecmp(path + len - 4, ".csv") == 0;
}

static tl_status add_file(tl_symbols *out, const char *path, tl_error *err) {
  tl_buf bytes = {0};
  size_t before = out->count;
  tl_status st = tl_io_read_file(path, LIST_BYTES_MAX, &bytes, err);
  if (!st) {
    st = ends_with_csv(path) ? tl_symbols_add_csv(out, bytes.data, bytes.len, err)
                             : tl_symbols_add_lines(out, bytes.data, bytes.len, err);
    if (st) st = tl_fail_within(err, st, "list '%s'", path);
    else if (before == 0 && out->count == 0) st = tl_fail(err, TL_EUSAGE, "list '%s' has no symbols", path);
  }
  tl_buf_deinit(&bytes);
  return st;
}

const char *tl_symbols_index_name(const char *argument) {
  return strncmp(argument, "index:", 6) == 0 ? argument + 6 : NULL;
}

tl_status tl_symbols_parse(tl_symbols *out, const char *argument, tl_error *err) {
  if (*argument == '@') return add_file(out, argument + 1, err);
  for (const char *p = argument;; p++) {
    const char *stop = p + strcspn(p, ",");
    tl_text symbol = trimmed(p, stop);
    tl_status st = tl_symbols_add(out, symbol.data, symbol.len, err);
    if (st) return st;
    if (!*stop) return TL_OK;
    p = stop;
  }
}
