/* rows.c - the member tables and the rules of a row. See rows.h. */
#include "provider/alpaca/rows.h"

#include <stdarg.h>
#include <stdio.h>

#include "market/number.h"

static const alpaca_wire wires[] = {
  [TL_WIRE_BARS] = {"bars", TL_BARS, {
    {"t", TL_COL_TIME, ALPACA_TIME, true},
    {"o", TL_BARS_OPEN, ALPACA_PRICE, true},
    {"h", TL_BARS_HIGH, ALPACA_PRICE, true},
    {"l", TL_BARS_LOW, ALPACA_PRICE, true},
    {"c", TL_BARS_CLOSE, ALPACA_PRICE, true},
    {"v", TL_BARS_VOLUME, ALPACA_COUNT, false},
    {"n", TL_BARS_TRADE_COUNT, ALPACA_COUNT, false},
    {"vw", TL_BARS_VWAP, ALPACA_PRICE, false},
  }},
  [TL_WIRE_TRADES] = {"trades", TL_TRADES, {
    {"t", TL_COL_TIME, ALPACA_TIME, true},
    {"p", TL_TRADES_PRICE, ALPACA_PRICE, true},
    {"s", TL_TRADES_SIZE, ALPACA_COUNT, false},
    {"x", TL_TRADES_EXCHANGE, ALPACA_WORD, false},
    {"c", TL_TRADES_CONDITIONS, ALPACA_LIST, false},
    {"i", TL_TRADES_TRADE_ID, ALPACA_COUNT, false},
    {"z", TL_TRADES_TAPE, ALPACA_WORD, false},
    {"u", TL_TRADES_UPDATE, ALPACA_WORD, false},
  }},
  [TL_WIRE_QUOTES] = {"quotes", TL_QUOTES, {
    {"t", TL_COL_TIME, ALPACA_TIME, true},
    {"bp", TL_QUOTES_BID_PRICE, ALPACA_PRICE, false},
    {"bs", TL_QUOTES_BID_SIZE, ALPACA_COUNT, false},
    {"bx", TL_QUOTES_BID_EXCHANGE, ALPACA_WORD, false},
    {"ap", TL_QUOTES_ASK_PRICE, ALPACA_PRICE, false},
    {"as", TL_QUOTES_ASK_SIZE, ALPACA_COUNT, false},
    {"ax", TL_QUOTES_ASK_EXCHANGE, ALPACA_WORD, false},
    {"c", TL_QUOTES_CONDITIONS, ALPACA_LIST, false},
    {"z", TL_QUOTES_TAPE, ALPACA_WORD, false},
  }},
};

const alpaca_wire *alpaca_wire_of(tl_wire wire) { return &wires[wire]; }

void alpaca_row_deinit(alpaca_row *row) { tl_buf_deinit(&row->list); }

tl_status alpaca_row_begin(alpaca_row *row, tl_error *err) {
  row->seen = row->filled = 0;
  row->reason[0] = 0;
  return tl_batch_reserve(&row->page->batch, 1, err);
}

void alpaca_row_refuse(alpaca_row *row, const char *format, ...) {
  if (row->reason[0]) return; /* the first reason is the one to tell */
  va_list args;
  va_start(args, format);
  vsnprintf(row->reason, sizeof row->reason, format, args);
  va_end(args);
}

const alpaca_member *alpaca_row_member(alpaca_row *row, const char *key, size_t len) {
  for (const alpaca_member *m = row->wire->members; m->key; m++) {
    if (strlen(m->key) != len || memcmp(m->key, key, len) != 0) continue;
    if (row->seen & 1u << m->column) alpaca_row_refuse(row, "member '%s' occurs twice", m->key);
    row->seen |= 1u << m->column;
    return m;
  }
  return NULL;
}

static void set_time(alpaca_row *row, const alpaca_member *m, tl_text text, int64_t *out) {
  tl_error why;
  if (tl_time_parse(text.data, text.len, out, &why)) alpaca_row_refuse(row, "'%s' is not a time: %.70s", m->key, why.message);
}

static void set_price(alpaca_row *row, const alpaca_member *m, tl_text text, double *out) {
  tl_number_status st = tl_number_f64(text.data, text.len, out);
  if (st) alpaca_row_refuse(row, "'%s' is %s", m->key, tl_number_status_text(st));
  else if (*out < 0) alpaca_row_refuse(row, "'%s' is negative", m->key);
  else *out += 0.0; /* -0 becomes 0 */
}

static void set_count(alpaca_row *row, const alpaca_member *m, tl_text text, int64_t *out) {
  tl_number_status st = tl_number_i64(text.data, text.len, out);
  if (st) alpaca_row_refuse(row, "'%s' is %s", m->key, tl_number_status_text(st));
  else if (*out < 0) alpaca_row_refuse(row, "'%s' is negative", m->key);
}

static tl_status set_word(alpaca_row *row, const alpaca_member *m, tl_text text, uint32_t *out, tl_error *err) {
  if (text.len <= TL_WORD_BYTES_MAX) return tl_words_intern(row->page->words, text.data, text.len, out, err);
  alpaca_row_refuse(row, "'%s' is longer than %d bytes", m->key, TL_WORD_BYTES_MAX);
  return TL_OK;
}

tl_status alpaca_row_set(alpaca_row *row, const alpaca_member *m, alpaca_type type, tl_text text, tl_error *err) {
  static const struct { alpaca_type type; const char *noun; } wanted[] = {
    [ALPACA_TIME] = {ALPACA_STRING, "a time"},   [ALPACA_PRICE] = {ALPACA_NUMBER, "a number"},
    [ALPACA_COUNT] = {ALPACA_NUMBER, "a number"}, [ALPACA_WORD] = {ALPACA_STRING, "a text"},
    [ALPACA_LIST] = {ALPACA_STRING, "a list of texts"},
  };
  if (type == ALPACA_NULL) return TL_OK; /* as if it were absent */
  if (type != wanted[m->form].type) {
    alpaca_row_refuse(row, "'%s' is not %s", m->key, wanted[m->form].noun);
    return TL_OK;
  }
  row->filled |= 1u << m->column;
  tl_column *column = &row->page->batch.columns[m->column];
  size_t at = row->page->batch.rows;
  switch (m->form) {
  case ALPACA_TIME: set_time(row, m, text, &column->i64[at]); return TL_OK;
  case ALPACA_PRICE: set_price(row, m, text, &column->f64[at]); return TL_OK;
  case ALPACA_COUNT: set_count(row, m, text, &column->i64[at]); return TL_OK;
  case ALPACA_WORD: return set_word(row, m, text, &column->word[at], err);
  case ALPACA_LIST: break;
  }
  alpaca_row_list_begin(row); /* one text is a list of one */
  tl_status st = alpaca_row_list_item(row, m, type, text, err);
  return st ? st : alpaca_row_list_end(row, m, err);
}

void alpaca_row_list_begin(alpaca_row *row) { tl_buf_clear(&row->list); }

tl_status alpaca_row_list_item(alpaca_row *row, const alpaca_member *m, alpaca_type type, tl_text text, tl_error *err) {
  if (type != ALPACA_STRING) {
    alpaca_row_refuse(row, "'%s' is not a list of texts", m->key);
    return TL_OK;
  }
  if (text.len > TL_WORD_BYTES_MAX || row->list.len + text.len + 1 > ALPACA_LIST_BYTES_MAX) {
    alpaca_row_refuse(row, "'%s' is too long", m->key);
    return TL_OK;
  }
  return tl_words_list_add(&row->list, text.data, text.len, err);
}

tl_status alpaca_row_list_end(alpaca_row *row, const alpaca_member *m, tl_error *err) {
  if (row->reason[0]) return TL_OK; /* texts of rejects do not fill the pool of words */
  row->filled |= 1u << m->column;
  return tl_words_intern(row->page->words, row->list.data ? row->list.data : "", row->list.len,
                         &row->page->batch.columns[m->column].word[row->page->batch.rows], err);
}

/* A NULL has the value 0 behind it, so that equal rows are equal bytes. */
static void set_null(tl_batch *batch, int column) {
  tl_column *c = &batch->columns[column];
  tl_type type = batch->def->columns[column].type;
  if (type == TL_WORD || type == TL_WORDS) c->word[batch->rows] = 0;
  else c->i64[batch->rows] = 0;
  tl_column_set_null(c, batch->rows);
}

tl_status alpaca_row_end(alpaca_row *row, const char *symbol, tl_text raw, bool *taken, tl_error *err) {
  for (const alpaca_member *m = row->wire->members; m->key; m++)
    if (m->required && !(row->filled & 1u << m->column)) alpaca_row_refuse(row, "'%s' is missing", m->key);
  *taken = !row->reason[0];
  if (!*taken) return tl_page_add_reject(row->page, symbol, raw, row->reason, err);
  for (const alpaca_member *m = row->wire->members; m->key; m++)
    if (!(row->filled & 1u << m->column)) set_null(&row->page->batch, m->column);
  row->page->batch.rows++;
  return TL_OK;
}

const char *alpaca_asked_symbol(const tl_ask *ask, const char *name, size_t len, size_t *hint) {
  for (size_t i = 0; i < ask->symbol_count; i++) {
    size_t at = *hint + i < ask->symbol_count ? *hint + i : *hint + i - ask->symbol_count;
    const char *symbol = ask->symbols[at];
    if (strlen(symbol) != len || memcmp(symbol, name, len) != 0) continue;
    *hint = at;
    return symbol;
  }
  return NULL;
}
