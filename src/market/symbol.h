/* symbol.h - symbols as values: validation, safe reversible file names, SQL quoting, lists as users give them.
 * A symbol is any UTF-8 text without NUL whose escaped form has at most TL_SYMBOL_ESCAPED_MAX bytes; letter case and
 * Unicode form stay as they came. Escaped: bytes outside [A-Za-z0-9._~-] are %XX (upper-case hex), and so is each dot
 * of a name that is only dots: one path component that never means another folder. It may begin with - or _, so put
 * a prefix or a folder before it. Cost: one pass. Not here: what a vendor calls a symbol, stored indices. */
#ifndef TL_MARKET_SYMBOL_H
#define TL_MARKET_SYMBOL_H
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"

#define TL_SYMBOL_ESCAPED_MAX 200

tl_status tl_symbol_check(const char *symbol, size_t len, tl_error *err); /* TL_EUSAGE with the reason */
tl_status tl_symbol_escape(const char *symbol, size_t len, char out[TL_SYMBOL_ESCAPED_MAX + 1], tl_error *err);
/* Back again; takes foreign spellings too (lower-case hex, bytes left plain, needless escapes). What it gives passes
 * tl_symbol_check. TL_EUSAGE on a broken %XX. out is overwritten. */
tl_status tl_symbol_unescape(const char *name, size_t len, tl_buf *out, tl_error *err);

/* Appends the text as an SQL literal 'it''s' or an identifier "a""b". TL_EUSAGE on NUL, which SQL text cannot hold. */
tl_status tl_sql_quote(tl_buf *out, const char *text, size_t len, tl_error *err);
tl_status tl_sql_identifier(tl_buf *out, const char *text, size_t len, tl_error *err);

typedef struct tl_symbols { /* {0} is empty; no duplicates; in the order given */
  char **items;
  size_t count, capacity;
  size_t *slots, slot_count; /* hash of items: index + 1, 0 is free */
} tl_symbols;

/* "AAPL,MSFT", "@list.csv" (the column symbol or ticker in any case, else the first column) or "@list.txt" (one a
 * line, # begins a comment). Adds to out; a failure may have added some. Names the item or line at fault. */
tl_status tl_symbols_parse(tl_symbols *out, const char *argument, tl_error *err);
const char *tl_symbols_index_name(const char *argument); /* NAME of "index:NAME", else NULL; the caller looks it up */
tl_status tl_symbols_add(tl_symbols *out, const char *symbol, size_t len, tl_error *err); /* checked; known is fine */
tl_status tl_symbols_add_csv(tl_symbols *out, const char *data, size_t len, tl_error *err);
tl_status tl_symbols_add_lines(tl_symbols *out, const char *data, size_t len, tl_error *err);
bool tl_symbols_find(const tl_symbols *symbols, const char *symbol, size_t len, size_t *index); /* index may be NULL */
void tl_symbols_deinit(tl_symbols *symbols);
#endif
