/* page.c - a page of bars, trades or quotes in one pass, from the vendor's text to columns.
 *
 *   {"bars":{"AAA":[{...},...],"BBB":[...]},"next_page_token":null}       many symbols
 *   {"bars":[{...},...],"symbol":"AAA","next_page_token":"..."}           one symbol
 *
 * Rows in the usual form are taken by quick.c, the others one by one by decode_row here; what a row means is in rows.c.
 * The page's own rules:
 *  - members in any order; 'next_page_token' must be there (null or a text of 1 to 4096 bytes): a page without it is cut
 *    off or no page at all; it, 'symbol' and the data may occur once
 *  - the data may be null, {} or []: no rows. Only the form of one symbol, which says so by 'symbol', may leave it out
 *    or make it a list; where many symbols were asked the vendor always sends the map, so a page without is damaged
 *  - a symbol's rows may be null; a symbol may occur twice (two runs); one that was not asked for is an error
 *  - unknown members are checked as JSON and skipped
 * Broken JSON anywhere fails the page with the byte, and so does a row that is no object: then it is another kind of
 * page. An object that is no good row is a reject.
 * Cost: about 40 ns a row in the usual form, ten times that in any other. */
#include "provider/alpaca/alpaca.h"
#include "provider/alpaca/quick.h"
#include "provider/alpaca/jsonscan.h"

typedef struct decoder {
  const tl_ask *ask;
  alpaca_scan scan;
  alpaca_row row;
  alpaca_quick *quick;
  size_t hint;
  bool has_data, has_token, has_symbol, has_other; /* members met so far; other: a list or object under another name */
  bool single;     /* the data is a list, its runs and rejects wait for their symbol */
  bool named;      /* 'symbol' is a text, in `name` */
  tl_buf name;
} decoder;

/* ---- rows ---- */

static tl_status decode_list(decoder *d, const alpaca_member *member, tl_error *err) {
  alpaca_scan *scan = &d->scan;
  const char *start = scan->at;
  tl_status st = alpaca_scan_open(scan, '[', "a list");
  bool more = !st && !alpaca_scan_take(scan, ']');
  alpaca_row_list_begin(&d->row);
  while (!st && more) {
    alpaca_type type;
    tl_text text;
    st = alpaca_scan_value(scan, &type, &text);
    if (!st) st = alpaca_row_list_item(&d->row, member, type, text, err);
    if (!st) st = alpaca_scan_next(scan, ']', &more);
  }
  if (st) return st;
  alpaca_scan_close(scan);
  st = alpaca_row_list_end(&d->row, member, err);
  if (!st && !d->row.reason[0])
    alpaca_quick_learn_list(d->quick, tl_text_of(start, (size_t)(scan->at - start)),
                            d->row.page->batch.columns[member->column].word[d->row.page->batch.rows]);
  return st;
}

static tl_status decode_member(decoder *d, tl_error *err) {
  tl_text text;
  alpaca_type type;
  tl_status st = alpaca_scan_key(&d->scan, &text);
  if (st) return st;
  const alpaca_member *member = alpaca_row_member(&d->row, text.data, text.len);
  alpaca_scan_space(&d->scan);
  if (member && member->form == ALPACA_LIST && d->scan.at < d->scan.end && *d->scan.at == '[')
    return decode_list(d, member, err);
  st = alpaca_scan_value(&d->scan, &type, &text);
  if (st || !member) return st;
  st = alpaca_row_set(&d->row, member, type, text, err);
  if (!st && member->form == ALPACA_WORD && type == ALPACA_STRING && text.len == 1)
    alpaca_quick_learn_letter(d->quick, text, d->row.page->batch.columns[member->column].word[d->row.page->batch.rows]);
  return st;
}

static tl_status decode_object(decoder *d, tl_error *err) {
  tl_status st = alpaca_scan_open(&d->scan, '{', "a row");
  bool more = !st && !alpaca_scan_take(&d->scan, '}');
  while (!st && more) {
    st = decode_member(d, err);
    if (!st) st = alpaca_scan_next(&d->scan, '}', &more);
  }
  alpaca_scan_close(&d->scan);
  return st;
}

/* One row, whatever its members are. A row that is no object makes it no page of rows. symbol is "" when it is not known yet. */
static tl_status decode_row(decoder *d, const char *symbol, tl_error *err) {
  tl_status st = alpaca_row_begin(&d->row, err);
  if (st) return st;
  alpaca_scan_space(&d->scan);
  const char *start = d->scan.at;
  bool taken;
  st = decode_object(d, err);
  return st ? st : alpaca_row_end(&d->row, symbol, tl_text_of(start, (size_t)(d->scan.at - start)), &taken, err);
}

static tl_status decode_rows(decoder *d, const char *symbol, tl_error *err) {
  alpaca_scan *scan = &d->scan;
  tl_page *page = d->row.page;
  size_t begin = page->batch.rows;
  tl_status st = alpaca_scan_open(scan, '[', "a list of rows");
  bool more = !st && !alpaca_scan_take(scan, ']');
  while (!st && more) {
    bool between;
    alpaca_scan_space(scan);
    scan->at = alpaca_quick_rows(d->quick, &page->batch, scan->at, scan->end, &between);
    if (!between) st = decode_row(d, symbol, err);
    if (!st) st = alpaca_scan_next(scan, ']', &more);
  }
  alpaca_scan_close(scan);
  return st || page->batch.rows == begin ? st : tl_page_add_run(page, symbol, begin, page->batch.rows, err);
}

/* ---- the page's members ---- */

static bool next_is(decoder *d, char c) {
  alpaca_scan_space(&d->scan);
  return d->scan.at < d->scan.end && *d->scan.at == c;
}

static tl_status decode_null(decoder *d, const char *expected) {
  const char *start = d->scan.at;
  alpaca_type type;
  tl_text text;
  tl_status st = alpaca_scan_value(&d->scan, &type, &text);
  if (st || type == ALPACA_NULL) return st;
  d->scan.at = start;
  return alpaca_scan_fail(&d->scan, expected);
}

static tl_status decode_symbol_rows(decoder *d, tl_error *err) {
  tl_text name;
  alpaca_scan_space(&d->scan);
  const char *start = d->scan.at;
  tl_status st = alpaca_scan_key(&d->scan, &name);
  if (st) return st;
  const char *symbol = alpaca_asked_symbol(d->ask, name.data, name.len, &d->hint);
  if (!symbol) {
    d->scan.at = start;
    return alpaca_scan_fail(&d->scan, "a symbol that was asked for");
  }
  return next_is(d, '[') ? decode_rows(d, symbol, err) : decode_null(d, "a list of rows or null");
}

static tl_status decode_data(decoder *d, tl_error *err) {
  d->single = next_is(d, '[');
  if (d->single) return decode_rows(d, "", err);
  if (!next_is(d, '{')) return decode_null(d, "the rows by symbol, a list of rows or null");
  tl_status st = alpaca_scan_open(&d->scan, '{', "the rows by symbol");
  bool more = !st && !alpaca_scan_take(&d->scan, '}');
  while (!st && more) {
    st = decode_symbol_rows(d, err);
    if (!st) st = alpaca_scan_next(&d->scan, '}', &more);
  }
  alpaca_scan_close(&d->scan);
  return st;
}

static tl_status decode_token(decoder *d, tl_error *err) {
  static const char expected[] = "a page token of 1 to 4096 bytes or null";
  if (!next_is(d, '"')) return decode_null(d, expected);
  const char *start = d->scan.at;
  tl_text text;
  tl_status st = alpaca_scan_string(&d->scan, &text);
  if (st) return st;
  if (text.len && text.len <= ALPACA_TOKEN_BYTES_MAX && !memchr(text.data, 0, text.len))
    return tl_buf_append(&d->row.page->token, text.data, text.len, err);
  d->scan.at = start;
  return alpaca_scan_fail(&d->scan, expected);
}

static tl_status decode_symbol(decoder *d, tl_error *err) {
  d->named = next_is(d, '"');
  if (!d->named) return decode_null(d, "a symbol or null");
  tl_text text;
  tl_status st = alpaca_scan_string(&d->scan, &text);
  return st ? st : tl_buf_append(&d->name, text.data, text.len, err);
}

static tl_status decode_page_member(decoder *d, tl_error *err) {
  tl_text key;
  alpaca_scan_space(&d->scan);
  const char *start = d->scan.at;
  tl_status st = alpaca_scan_key(&d->scan, &key);
  if (st) return st;
  bool *met = tl_text_is(key, d->row.wire->key)    ? &d->has_data
              : tl_text_is(key, "next_page_token") ? &d->has_token
              : tl_text_is(key, "symbol")          ? &d->has_symbol
                                                   : NULL;
  if (!met) {
    alpaca_type type;
    tl_text text;
    st = alpaca_scan_value(&d->scan, &type, &text);
    d->has_other |= !st && type >= ALPACA_ARRAY;
    return st;
  }
  if (*met) {
    d->scan.at = start;
    return alpaca_scan_fail(&d->scan, "each member once");
  }
  *met = true;
  return met == &d->has_data ? decode_data(d, err) : met == &d->has_token ? decode_token(d, err) : decode_symbol(d, err);
}

/* Rows of the single form belong to the page's 'symbol', which may come after them. */
static tl_status name_rows(decoder *d, tl_error *err) {
  tl_page *page = d->row.page;
  const char *symbol = alpaca_asked_symbol(d->ask, d->name.data ? d->name.data : "", d->name.len, &d->hint);
  if (!symbol) return tl_fail(err, TL_EDECODE, "an answer of alpaca is about a symbol that was not asked for");
  for (size_t i = 0; i < page->run_count; i++) page->runs[i].symbol = symbol;
  for (size_t i = 0; i < page->reject_count; i++) page->rejects[i].symbol = symbol;
  return TL_OK;
}

static tl_status decode(decoder *d, tl_error *err) {
  alpaca_scan *scan = &d->scan;
  tl_status st = alpaca_scan_open(scan, '{', "an object");
  bool more = !st && !alpaca_scan_take(scan, '}');
  while (!st && more) {
    st = decode_page_member(d, err);
    if (!st) st = alpaca_scan_next(scan, '}', &more);
  }
  if (st) return st;
  alpaca_scan_space(scan);
  if (scan->at != scan->end) return alpaca_scan_fail(scan, "the end");
  if (!d->has_token) return alpaca_scan_fail(scan, "'next_page_token' before the end");
  if ((d->single || !d->has_data) && !d->named)
    return alpaca_scan_fail(scan, d->single ? "'symbol' before the end" : "the rows before the end");
  if (!d->has_data && d->has_other)
    return tl_fail(err, TL_EDECODE, "an answer of alpaca holds other data than '%s'", d->row.wire->key);
  st = d->single ? name_rows(d, err) : TL_OK;
  return st ? st : tl_page_seal(d->row.page, err);
}

tl_status tl_alpaca_page(const tl_ask *ask, const char *body, size_t len, tl_page *out, tl_error *err) {
  tl_error unread;
  if (!err) err = &unread;
  enum { ROW_BYTES_MIN = 64 }; /* a guess; a page of shorter rows grows the batch */
  decoder d = {
    .ask = ask,
    .scan = {.body = body, .at = body, .end = body + len, .err = err},
    .row = {.page = out, .wire = alpaca_wire_of(ask->wire)},
  };
  tl_page_clear(out, d.row.wire->kind);
  tl_status st = alpaca_quick_of(out, &d.quick, err);
  if (!st) st = tl_batch_reserve(&out->batch, len / ROW_BYTES_MIN + 1, err);
  if (!st) st = decode(&d, err);
  if (st) tl_page_clear(out, d.row.wire->kind);
  if (st == TL_ELIMIT) st = tl_fail_within(err, TL_EDECODE, "a page of alpaca has too many different texts");
  alpaca_row_deinit(&d.row);
  tl_buf_deinit(&d.scan.text);
  tl_buf_deinit(&d.name);
  return st;
}
