/* page.c - row texts and page tokens. */
#include "sim/page.h"

#include <string.h>

#include "sim/days.h"
#include "sim/text.h"

enum { ROW_ROOM = 512 };
#define TAPE_SINCE_NS (17167 * SIM_DAY_NS) /* 2017-01-01: quotes older than that name no tape */

static char *row_begin(tl_buf *out, tl_status *st, tl_error *err) {
  *st = tl_buf_reserve(out, ROW_ROOM, err);
  return *st ? NULL : out->data + out->len;
}

static void row_end(tl_buf *out, const char *end) {
  out->len = (size_t)(end - out->data);
  out->data[out->len] = 0;
}

/* Rows follow each other in time: the text up to the minute is kept from one to the next. */
typedef struct stamp {
  int64_t minute;
  char text[24];
} stamp;
static _Thread_local stamp last_stamp = {.minute = INT64_MIN};

static char *put_stamp(char *to, int64_t t_ns) {
  int64_t minute = sim_floor_div(t_ns, SIM_MINUTE_NS);
  if (minute != last_stamp.minute) {
    char text[48];
    sim_put_time(text, minute * SIM_MINUTE_NS, false);
    memcpy(last_stamp.text, text, 17);
    last_stamp.minute = minute;
  }
  int64_t in_minute = t_ns - minute * SIM_MINUTE_NS;
  unsigned seconds = (unsigned)(in_minute / SIM_NS);
  to = sim_put_text(to, last_stamp.text, 17);
  *to++ = (char)('0' + seconds / 10);
  *to++ = (char)('0' + seconds % 10);
  to = sim_put_fraction(to, (uint32_t)(in_minute % SIM_NS));
  *to++ = 'Z';
  return to;
}

tl_status sim_row_put(tl_buf *out, const sim_row *row, tl_error *err) {
  tl_status st;
  char *p = row_begin(out, &st, err);
  if (!p) return st;
  p = sim_put_decimal(SIM_PUT(p, "{\"c\":"), row->c, 2);
  p = sim_put_decimal(SIM_PUT(p, ",\"h\":"), row->h, 2);
  p = sim_put_decimal(SIM_PUT(p, ",\"l\":"), row->l, 2);
  p = sim_put_u64(SIM_PUT(p, ",\"n\":"), row->n);
  p = sim_put_decimal(SIM_PUT(p, ",\"o\":"), row->o, 2);
  p = put_stamp(SIM_PUT(p, ",\"t\":\""), row->t_ns);
  p = sim_put_u64(SIM_PUT(p, "\",\"v\":"), row->v);
  p = sim_put_decimal(SIM_PUT(p, ",\"vw\":"), row->vw, row->vw_scale);
  *p++ = '}';
  row_end(out, p);
  return TL_OK;
}

static char *put_conditions(char *p, const char *conditions) {
  p = SIM_PUT(p, "\"c\":[");
  for (size_t i = 0; conditions[i]; i++) {
    if (i) *p++ = ',';
    *p++ = '"';
    *p++ = conditions[i];
    *p++ = '"';
  }
  *p++ = ']';
  return p;
}

tl_status sim_trade_put(tl_buf *out, const sim_trade *t, char tape, tl_error *err) {
  static const char *const updates[] = {"", "canceled", "incorrect", "corrected"};
  tl_status st;
  char *p = row_begin(out, &st, err);
  if (!p) return st;
  *p++ = '{';
  p = put_conditions(p, t->conditions);
  p = sim_put_u64(SIM_PUT(p, ",\"i\":"), t->id);
  p = sim_put_decimal(SIM_PUT(p, ",\"p\":"), (uint64_t)t->price_e4, 4);
  p = sim_put_u64(SIM_PUT(p, ",\"s\":"), t->size);
  p = put_stamp(SIM_PUT(p, ",\"t\":\""), t->t_ns);
  if (t->update != SIM_PLAIN) {
    p = SIM_PUT(p, "\",\"u\":\"");
    p = sim_put_text(p, updates[t->update], strlen(updates[t->update]));
  }
  p = SIM_PUT(p, "\",\"x\":\"");
  *p++ = t->exchange;
  p = SIM_PUT(p, "\",\"z\":\"");
  *p++ = tape;
  p = SIM_PUT(p, "\"}");
  row_end(out, p);
  return TL_OK;
}

tl_status sim_quote_put(tl_buf *out, const sim_quote *q, char tape, tl_error *err) {
  tl_status st;
  char *p = row_begin(out, &st, err);
  if (!p) return st;
  p = sim_put_decimal(SIM_PUT(p, "{\"ap\":"), q->ask_cents, 2);
  p = sim_put_u64(SIM_PUT(p, ",\"as\":"), q->ask_size);
  p = SIM_PUT(p, ",\"ax\":\"");
  *p++ = q->ask_exchange;
  p = sim_put_decimal(SIM_PUT(p, "\",\"bp\":"), q->bid_cents, 2);
  p = sim_put_u64(SIM_PUT(p, ",\"bs\":"), q->bid_size);
  p = SIM_PUT(p, ",\"bx\":\"");
  *p++ = q->bid_exchange;
  p = put_conditions(SIM_PUT(p, "\","), q->conditions);
  p = put_stamp(SIM_PUT(p, ",\"t\":\""), q->t_ns);
  if (q->t_ns >= TAPE_SINCE_NS) {
    p = SIM_PUT(p, "\",\"z\":\"");
    *p++ = tape;
  }
  p = SIM_PUT(p, "\"}");
  row_end(out, p);
  return TL_OK;
}

#define DESCENDING_BASE INT64_C(9223372036000000000)

void sim_token_print(char *to, const sim_token *k, int kind, char unit, bool old_form, bool descending) {
  char text[128], *p = sim_put_text(text, k->symbol, strlen(k->symbol));
  *p++ = '|';
  if (kind == SIM_TOKEN_BARS) {
    *p++ = unit;
    *p++ = '|';
    if (old_form && !descending) {
      p = sim_put_time(p, k->t_ns, true);
    } else {
      p = sim_put_i64(p, descending ? DESCENDING_BASE - k->t_ns : k->t_ns);
    }
  } else {
    p = sim_put_time(p, k->t_ns, !(kind == SIM_TOKEN_QUOTES && descending));
    *p++ = '|';
    if (kind == SIM_TOKEN_TRADES) {
      char digits[24];
      size_t n = (size_t)(sim_put_u64(digits, k->id + (UINT64_C(1) << 63)) - digits);
      *p++ = k->exchange;
      *p++ = '|';
      for (size_t i = n; i < 20; i++) *p++ = '0';
      p = sim_put_text(p, digits, n);
    } else {
      for (int shift = 28; shift >= 0; shift -= 4) *p++ = "0123456789abcdef"[k->id >> shift & 15];
    }
  }
  to[sim_base64_encode(to, text, (size_t)(p - text))] = 0;
}

/* Cuts the next field off *text at '|'. */
static tl_text field(tl_text *text) {
  const char *bar = text->len ? memchr(text->data, '|', text->len) : NULL;
  tl_text f = {text->data, bar ? (size_t)(bar - text->data) : text->len};
  size_t used = f.len + (bar ? 1 : 0);
  *text = (tl_text){text->data + used, text->len - used};
  return f;
}

static bool bar_position(tl_text number, bool old_form, bool descending, sim_token *out) {
  uint64_t n;
  out->after = old_form || descending;
  if (old_form && !descending) return sim_time_parse(number.data, number.len, &out->t_ns);
  if (!sim_parse_u64(number.data, number.len, &n) || n > (uint64_t)DESCENDING_BASE) return false;
  out->t_ns = descending ? DESCENDING_BASE - (int64_t)n : (int64_t)n;
  return true;
}

/* Fields after the known ones are let pass: empty-with-token uses one to make another token of the same place. */
bool sim_token_parse(const char *base64, size_t len, int kind, bool old_form, bool descending, sim_token *out) {
  char text[128];
  size_t text_len;
  *out = (sim_token){.present = true};
  if (!sim_base64_decode(text, sizeof text, base64, len, &text_len)) return false;
  tl_text rest = {text, text_len}, symbol = field(&rest), second = field(&rest);
  if (!sim_symbol_well_formed(symbol.data, symbol.len)) return false;
  memcpy(out->symbol, symbol.data, symbol.len);
  if (kind == SIM_TOKEN_BARS) return bar_position(field(&rest), old_form, descending, out);
  out->after = true;
  if (!sim_time_parse(second.data, second.len, &out->t_ns)) return false;
  tl_text third = field(&rest);
  if (kind == SIM_TOKEN_TRADES) {
    tl_text id = field(&rest);
    if (third.len != 1 || !sim_parse_u64(id.data, id.len, &out->id)) return false;
    out->exchange = third.data[0];
    out->id -= UINT64_C(1) << 63;
    return true;
  }
  if (third.len != 8) return false;
  for (size_t i = 0; i < 8; i++) {
    const char *set = "0123456789abcdef", *at = memchr(set, third.data[i], 16);
    if (!at) return false;
    out->id = out->id << 4 | (uint64_t)(at - set);
  }
  return true;
}
