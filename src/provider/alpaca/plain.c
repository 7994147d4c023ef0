/* plain.c - the reference page decoder: a general JSON parser, then a walk over the document.
 * What page.c gives for any bytes is what this gives (tests/unit/provider/alpaca_differential_test.c, the fuzzer), but
 * for the wording of a refusal and the spelling of a reject's row, which is written anew here. Cost: ten times page.c. */
#include "json/read.h"
#include "provider/alpaca/alpaca.h"
#include "provider/alpaca/rows.h"

typedef struct plain {
  const tl_ask *ask;
  alpaca_row row;
  tl_buf raw; /* the rejected row's text */
  size_t hint;
} plain;

static alpaca_type type_of(const tl_json_value *value) {
  switch (tl_json_type_of(value)) {
  case TL_JSON_BOOL: return ALPACA_BOOL;
  case TL_JSON_NUMBER: return ALPACA_NUMBER;
  case TL_JSON_STRING: return ALPACA_STRING;
  case TL_JSON_ARRAY: return ALPACA_ARRAY;
  case TL_JSON_OBJECT: return ALPACA_OBJECT;
  case TL_JSON_NONE:
  case TL_JSON_NULL: break;
  }
  return ALPACA_NULL;
}

static tl_text scalar_text(const tl_json_value *value) {
  tl_text text = {"", 0};
  if (!tl_json_string(value, &text)) tl_json_number(value, &text);
  return text;
}

static tl_status write_value(const tl_json_value *value, tl_buf *out, tl_error *err);

static tl_status write_items(const tl_json_value *value, bool object, tl_buf *out, tl_error *err) {
  tl_json_iter iter = tl_json_iter_of(value);
  tl_text key;
  const tl_json_value *item;
  tl_status st = tl_buf_appends(out, object ? "{" : "[", err);
  for (bool first = true; !st && tl_json_iter_next(&iter, &key, &item); first = false) {
    if (!first) st = tl_buf_appends(out, ",", err);
    if (!st && object) st = tl_buf_append_json(out, key.data, key.len, err);
    if (!st && object) st = tl_buf_appends(out, ":", err);
    if (!st) st = write_value(item, out, err);
  }
  return st ? st : tl_buf_appends(out, object ? "}" : "]", err);
}

static tl_status write_value(const tl_json_value *value, tl_buf *out, tl_error *err) {
  tl_text text = scalar_text(value);
  bool yes = false;
  switch (type_of(value)) {
  case ALPACA_OBJECT: return write_items(value, true, out, err);
  case ALPACA_ARRAY: return write_items(value, false, out, err);
  case ALPACA_STRING: return tl_buf_append_json(out, text.data, text.len, err);
  case ALPACA_NUMBER: return tl_buf_append(out, text.data, text.len, err);
  case ALPACA_BOOL: tl_json_bool(value, &yes); return tl_buf_appends(out, yes ? "true" : "false", err);
  case ALPACA_NULL: break;
  }
  return tl_buf_appends(out, "null", err);
}

static tl_status decode_list(plain *p, const alpaca_member *member, const tl_json_value *value, tl_error *err) {
  tl_json_iter iter = tl_json_iter_of(value);
  const tl_json_value *item;
  tl_status st = TL_OK;
  alpaca_row_list_begin(&p->row);
  while (!st && tl_json_iter_next(&iter, NULL, &item))
    st = alpaca_row_list_item(&p->row, member, type_of(item), scalar_text(item), err);
  return st ? st : alpaca_row_list_end(&p->row, member, err);
}

static tl_status decode_row(plain *p, const char *symbol, const tl_json_value *value, tl_error *err) {
  if (type_of(value) != ALPACA_OBJECT) return tl_fail(err, TL_EDECODE, "a row of an answer of alpaca is not an object");
  tl_status st = alpaca_row_begin(&p->row, err);
  tl_json_iter iter = tl_json_iter_of(value);
  tl_text key;
  const tl_json_value *item;
  while (!st && tl_json_iter_next(&iter, &key, &item)) {
    const alpaca_member *member = alpaca_row_member(&p->row, key.data, key.len);
    if (!member) continue;
    if (member->form == ALPACA_LIST && type_of(item) == ALPACA_ARRAY) st = decode_list(p, member, item, err);
    else st = alpaca_row_set(&p->row, member, type_of(item), scalar_text(item), err);
  }
  bool taken = false;
  tl_buf raw = {0};
  if (!st) st = write_value(value, &raw, err);
  if (!st) st = tl_buf_append(&p->raw, raw.data, raw.len, err);
  if (!st) st = alpaca_row_end(&p->row, symbol, tl_text_of(NULL, raw.len), &taken, err);
  if (!st && taken) p->raw.len -= raw.len;
  tl_buf_deinit(&raw);
  return st;
}

static tl_status decode_rows(plain *p, tl_text name, const tl_json_value *value, tl_error *err) {
  tl_page *page = p->row.page;
  const char *symbol = alpaca_asked_symbol(p->ask, name.data, name.len, &p->hint);
  if (!symbol) return tl_fail(err, TL_EDECODE, "an answer of alpaca names '%.*s', which was not asked for",
                              (int)(name.len < 40 ? name.len : 40), name.data);
  if (type_of(value) == ALPACA_NULL) return TL_OK;
  if (type_of(value) != ALPACA_ARRAY) return tl_fail(err, TL_EDECODE, "the rows of '%s' are not a list", symbol);
  size_t begin = page->batch.rows;
  tl_json_iter iter = tl_json_iter_of(value);
  const tl_json_value *item;
  tl_status st = TL_OK;
  while (!st && tl_json_iter_next(&iter, NULL, &item)) st = decode_row(p, symbol, item, err);
  return st || page->batch.rows == begin ? st : tl_page_add_run(page, symbol, begin, page->batch.rows, err);
}

typedef struct envelope { /* the page's own members */
  const tl_json_value *data, *token, *symbol;
  bool other; /* a list or object under a name we do not know */
} envelope;

static tl_status find_members(const tl_json_value *root, const char *data_key, envelope *out, tl_error *err) {
  tl_json_iter iter = tl_json_iter_of(root);
  tl_text key;
  const tl_json_value *value;
  while (tl_json_iter_next(&iter, &key, &value)) {
    const tl_json_value **slot = tl_text_is(key, data_key)            ? &out->data
                                 : tl_text_is(key, "next_page_token") ? &out->token
                                 : tl_text_is(key, "symbol")          ? &out->symbol
                                                                      : NULL;
    if (slot && *slot) return tl_fail(err, TL_EDECODE, "member '%.*s' of an answer occurs twice", (int)key.len, key.data);
    if (slot) *slot = value;
    else out->other |= type_of(value) >= ALPACA_ARRAY;
  }
  if (!out->token) return tl_fail(err, TL_EDECODE, "an answer of alpaca has no 'next_page_token'");
  if (type_of(out->symbol) != ALPACA_STRING && (!out->data || type_of(out->data) == ALPACA_ARRAY))
    return tl_fail(err, TL_EDECODE, "an answer of alpaca has no '%s' by symbol", data_key);
  if (!out->data && out->other) return tl_fail(err, TL_EDECODE, "an answer of alpaca has other data than '%s'", data_key);
  if (type_of(out->symbol) != ALPACA_NULL && type_of(out->symbol) != ALPACA_STRING)
    return tl_fail(err, TL_EDECODE, "'symbol' of an answer is not a text");
  return TL_OK;
}

static tl_status decode_token(plain *p, const tl_json_value *token, tl_error *err) {
  if (type_of(token) == ALPACA_NULL) return TL_OK;
  tl_text text = scalar_text(token);
  if (type_of(token) != ALPACA_STRING || !text.len || text.len > ALPACA_TOKEN_BYTES_MAX || memchr(text.data, 0, text.len))
    return tl_fail(err, TL_EDECODE, "'next_page_token' of an answer is neither null nor a token");
  return tl_buf_append(&p->row.page->token, text.data, text.len, err);
}

static tl_status decode_data(plain *p, const envelope *members, tl_error *err) {
  tl_text name = {"", 0};
  if (type_of(members->data) == ALPACA_NULL) return TL_OK;
  if (type_of(members->data) == ALPACA_ARRAY) {
    name = scalar_text(members->symbol);
    return decode_rows(p, name, members->data, err);
  }
  if (type_of(members->data) != ALPACA_OBJECT)
    return tl_fail(err, TL_EDECODE, "'%s' of an answer is neither an object nor a list", p->row.wire->key);
  tl_json_iter iter = tl_json_iter_of(members->data);
  const tl_json_value *rows;
  tl_status st = TL_OK;
  while (!st && tl_json_iter_next(&iter, &name, &rows)) st = decode_rows(p, name, rows, err);
  return st;
}

/* Rejects were noted by length while their texts were still moving. */
static tl_status finish(plain *p, tl_error *err) {
  tl_page *page = p->row.page;
  const char *at = p->raw.data;
  for (size_t i = 0; i < page->reject_count; i++) {
    page->rejects[i].row.data = at;
    at += page->rejects[i].row.len;
  }
  return tl_page_seal(page, err);
}

tl_status tl_alpaca_page_plain(const tl_ask *ask, const char *body, size_t len, tl_page *out, tl_error *err) {
  plain p = {.ask = ask, .row = {.page = out, .wire = alpaca_wire_of(ask->wire)}};
  tl_json *json = NULL;
  envelope members = {0};
  tl_page_clear(out, p.row.wire->kind);
  tl_status st = tl_json_open(body, len, len + 1, &json, err);
  if (!st && tl_json_type_of(tl_json_root(json)) != TL_JSON_OBJECT)
    st = tl_fail(err, TL_EDECODE, "an answer of alpaca is not a JSON object");
  if (!st) st = find_members(tl_json_root(json), p.row.wire->key, &members, err);
  if (!st) st = decode_token(&p, members.token, err);
  if (!st) st = decode_data(&p, &members, err);
  if (!st) st = finish(&p, err);
  if (st) tl_page_clear(out, p.row.wire->kind);
  if (st == TL_ELIMIT) st = tl_fail_within(err, TL_EDECODE, "a page of alpaca is beyond all measure");
  tl_json_close(json);
  alpaca_row_deinit(&p.row);
  tl_buf_deinit(&p.raw);
  return st;
}
