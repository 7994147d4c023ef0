/* inject.c - faults at work. */
#include "sim/inject.h"

#include <stdio.h>
#include <string.h>

#include "sim/damage.h"
#include "sim/days.h"
#include "sim/history.h"
#include "sim/page.h"
#include "sim/text.h"

/* ---- instead of an answer ---- */

static tl_status put_html(sim_delivery *out, const char *title, tl_error *err) {
  out->content_type = "text/html";
  return tl_buf_appendf(&out->own, err,
                        "<html>\r\n<head><title>%d %s</title></head>\r\n<body>\r\n<center><h1>%d %s</h1></center>\r\n<hr><center>nginx</center>\r\n"
                        "</body>\r\n</html>\r\n",
                        out->status, title, out->status, title);
}

static tl_status put_status(const sim_fault *f, sim_delivery *out, tl_error *err) {
  const char *title = f->status == 502 ? "Bad Gateway" : f->status == 503 ? "Service Temporarily Unavailable"
                      : f->status == 504 ? "Gateway Time-out" : f->status == 408 ? "Request Time-out" : "Internal Server Error";
  const char *text = f->text[0] ? f->text : f->status == 429 ? "too many requests." : title;
  bool html = strcmp(f->word, "html") == 0 || (!f->word[0] && f->status >= 502 && f->status <= 504);
  out->status = f->status;
  out->content_type = "application/json; charset=UTF-8";
  if (strlen(f->retry_after)) snprintf(out->headers, sizeof out->headers, "Retry-After: %s\r\n", f->retry_after);
  if (strcmp(f->word, "empty") == 0) return TL_OK;
  if (html) return put_html(out, title, err);
  tl_status st = tl_buf_appends(&out->own, "{\"message\": ", err);
  if (!st) st = tl_buf_append_json(&out->own, text, strlen(text), err);
  return st ? st : tl_buf_append(&out->own, "}", 1, err);
}

static tl_status put_redirect(const sim_fault *f, tl_text target, sim_delivery *out, tl_error *err) {
  bool loop = !f->text[0] || strcmp(f->text, "loop") == 0;
  out->status = f->status ? f->status : 302;
  int n = snprintf(out->headers, sizeof out->headers, "Location: %.*s\r\n", loop ? (int)target.len : (int)strlen(f->text), loop ? target.data : f->text);
  if (n < 0 || (size_t)n >= sizeof out->headers) out->headers[0] = 0;
  return put_html(out, "Found", err);
}

tl_status sim_inject_answer(const sim_fault *f, tl_text target, sim_delivery *out, bool *done, tl_error *err) {
  *done = true;
  switch ((int)f->action) {
    case SIM_DO_STATUS: return put_status(f, out, err);
    case SIM_DO_REDIRECT: return put_redirect(f, target, out, err);
    case SIM_DO_INVALID_SYMBOL:
      out->status = 400;
      out->content_type = "application/json; charset=UTF-8";
      return tl_buf_appends(&out->own, f->text[0] ? f->text : "{\"message\":\"invalid symbol\"}", err);
    default: *done = false; return TL_OK;
  }
}

/* ---- on a page's text ---- */

bool sim_inject_spoils(sim_action a) { return (a >= SIM_DO_GZIP_TRUNCATE && a <= SIM_DO_DUPLICATE_KEYS) || a == SIM_DO_BODY; }

static bool kind_of(const sim_query *query, sim_kind *kind) {
  static const char *const words[] = {"/bars", "/trades", "/quotes"};
  for (int i = 0; i < 3; i++) {
    size_t n = strlen(words[i]);
    if (query->path.len >= n && memcmp(query->path.data + query->path.len - n, words[i], n) == 0) {
      *kind = (sim_kind)i;
      return true;
    }
  }
  return false;
}

/* Finds the page's first row: its symbol and its time. */
static bool first_row(const tl_buf *page, sim_token *out) {
  const char *open = page->len ? strstr(page->data, "[{") : NULL, *t = open ? strstr(open, "\"t\":\"") : NULL, *end = t ? strchr(t + 5, '"') : NULL;
  const char *name_end = open && open > page->data + 2 && open[-1] == ':' ? open - 2 : NULL, *name = name_end;
  if (!end || !name) return false;
  while (name > page->data && name[-1] != '"') name--;
  size_t n = (size_t)(name_end - name);
  if (!sim_symbol_well_formed(name, n)) return false;
  *out = (sim_token){.present = true};
  memcpy(out->symbol, name, n);
  return sim_time_parse(t + 5, (size_t)(end - t - 5), &out->t_ns);
}

/* Another token for the place where this page begins: the one asked for with a field more, or one made from the first
 * row, of no row's id, so that every row of that instant follows. */
static bool token_of_start(const sim_settings *settings, const sim_query *query, sim_kind kind, const tl_buf *page, char token[512]) {
  tl_text given = sim_query_get(query, "page_token");
  bool descending = tl_text_is(sim_query_get(query, "sort"), "desc");
  char text[160];
  size_t n;
  sim_token k;
  if (given.len) {
    if (!sim_base64_decode(text, sizeof text - 2, given.data, given.len, &n)) return false;
    memcpy(text + n, "|0", 2);
    token[sim_base64_encode(token, text, n + 2)] = 0;
    return true;
  }
  if (!first_row(page, &k)) return false;
  k.exchange = 'D';
  k.id = kind == SIM_TRADES ? 0 : 0xffffffff;
  if (kind == SIM_BARS && (settings->old_tokens || descending)) k.t_ns += descending ? 1 : -1;
  sim_token_print(token, &k, (int)kind, 'M', settings->old_tokens, descending);
  return true;
}

/* No rows, and a token that leads to where this page begins: nothing is lost by following it. */
static tl_status empty_with_token(const sim_settings *settings, const sim_query *query, tl_buf *page, tl_error *err) {
  static const char *const member[] = {"bars", "trades", "quotes"};
  sim_kind kind;
  char token[512];
  if (!kind_of(query, &kind) || !token_of_start(settings, query, kind, page, token)) return TL_OK;
  tl_buf_clear(page);
  return tl_buf_appendf(page, err, "{\"%s\":{},\"next_page_token\":\"%s\"}", member[kind], token);
}

/* The token asked for, again: a loop. The first page has none and stays right. */
static tl_status same_token(const sim_query *query, tl_buf *page, tl_error *err) {
  static const char mark[] = "\"next_page_token\":";
  tl_text token = sim_query_get(query, "page_token");
  char *at = page->len ? memmem(page->data, page->len, mark, sizeof mark - 1) : NULL;
  if (!at || !token.len) return TL_OK;
  page->len = (size_t)(at - page->data);
  return tl_buf_appendf(page, err, "%s\"%.*s\"}", mark, (int)token.len, token.data);
}

/* The rows that come before this page's first one, read backwards by an inner request. */
static tl_status repeat_rows(const sim_fault *f, const sim_settings *settings, const sim_query *query, int64_t now_ns, tl_buf *page, tl_error *err) {
  sim_kind kind;
  sim_token k;
  tl_text given = sim_query_get(query, "page_token"), symbols = sim_query_get(query, "symbols");
  bool descending = tl_text_is(sim_query_get(query, "sort"), "desc");
  if (!given.len || !symbols.len || !kind_of(query, &kind) || !first_row(page, &k)) return TL_OK;
  sim_token asked;
  if (!sim_token_parse(given.data, given.len, (int)kind, settings->old_tokens, descending, &asked)) return TL_OK;
  char count[24], token[256];
  *sim_put_i64(count, f->number[0] > 0 && f->number[0] <= SIM_REPEAT_MAX ? f->number[0] : 3) = 0;
  sim_settings inner = *settings; /* a token that names the last row delivered: that one is the first to repeat */
  inner.token_edge = asked.after ? SIM_TOKEN_INCLUDES : SIM_TOKEN_EXCLUDES;
  sim_token_print(token, &asked, (int)kind, 'M', settings->old_tokens, !descending);
  sim_query back = *query;
  back.param_count = 0;
  for (size_t i = 0; i < query->param_count; i++) {
    tl_text name = query->params[i].name;
    if (!tl_text_is(name, "page_token") && !tl_text_is(name, "sort") && !tl_text_is(name, "limit") && !tl_text_is(name, "symbols"))
      back.params[back.param_count++] = query->params[i];
  }
  if (back.param_count + 4 > SIM_PARAMS_MAX) return TL_OK;
  back.params[back.param_count++] = (sim_param){tl_text_from("page_token"), tl_text_from(token)};
  back.params[back.param_count++] = (sim_param){tl_text_from("sort"), tl_text_from(descending ? "asc" : "desc")};
  back.params[back.param_count++] = (sim_param){tl_text_from("limit"), tl_text_from(count)};
  back.params[back.param_count++] = (sim_param){tl_text_from("symbols"), tl_text_from(asked.symbol)};
  sim_answer before = {0};
  tl_status st = sim_history_answer(&inner, &back, kind, (tl_text){NULL, 0}, now_ns, &before, err);
  if (!st && before.status == 200 && strcmp(asked.symbol, k.symbol) == 0) st = sim_damage_prepend(page, &before.body, err);
  tl_buf_deinit(&before.body);
  return st;
}

tl_status sim_inject_text(const sim_fault *f, const sim_settings *settings, const sim_query *query, int64_t now_ns, sim_packer *p, tl_error *err) {
  tl_buf *page = &p->answer.body;
  if (f->action == SIM_DO_HTML) p->answer.content_type = "text/html";
  if (f->action == SIM_DO_BODY || f->action == SIM_DO_HTML || f->action == SIM_DO_ERROR) p->answer.status = f->status ? f->status : 200;
  if (f->action == SIM_DO_EMPTY_WITH_TOKEN) return empty_with_token(settings, query, page, err);
  if (f->action == SIM_DO_SAME_TOKEN) return same_token(query, page, err);
  if (f->action == SIM_DO_REPEAT_ROWS) return repeat_rows(f, settings, query, now_ns, page, err);
  return sim_damage_json(f, page, err);
}

/* ---- on its stream ---- */

tl_status sim_inject_stream(const sim_fault *f, bool gzip, sim_packer *p, sim_delivery *out, tl_error *err) {
  const tl_buf *page = &p->answer.body;
  bool stream_fault = f->action >= SIM_DO_GZIP_TRUNCATE && f->action <= SIM_DO_GZIP_BOMB;
  out->status = p->answer.status;
  out->content_type = p->answer.content_type;
  out->gzip = gzip && (page->len > SIM_GZIP_ABOVE_BYTES || stream_fault);
  if (!out->gzip) return tl_buf_append(&out->own, page->data, page->len, err);
  if (f->action == SIM_DO_GZIP_BOMB) return sim_gzip_bomb(f->number[0] > 0 && f->number[0] <= 65536 ? f->number[0] : 1024, &out->own, err);
  size_t first = f->action == SIM_DO_GZIP_MEMBERS ? page->len / 2 : page->len;
  tl_status st = sim_pack(p, page->data, first, &out->own, err);
  if (!st && first < page->len) st = sim_pack(p, page->data + first, page->len - first, &out->own, err);
  return st ? st : sim_damage_gzip(f, &out->own, err);
}

/* ---- on its way ---- */

static int64_t number_or(const sim_fault *f, int i, int64_t otherwise) { return f->number[i] >= 0 ? f->number[i] : otherwise; }

/* Two chunks of the body, the second with a size that is no number. */
static tl_status spoil_chunks(sim_delivery *out, tl_error *err) {
  tl_buf chunks = {0};
  tl_text body = sim_delivery_body(out);
  size_t half = body.len / 2;
  tl_status st = tl_buf_appendf(&chunks, err, "%zx\r\n", half);
  if (!st) st = tl_buf_append(&chunks, body.data, half, err);
  if (!st) st = tl_buf_appends(&chunks, "\r\nnot a size\r\n", err);
  if (!st) st = tl_buf_append(&chunks, body.data + half, body.len - half, err);
  if (!st) st = tl_buf_appends(&chunks, "\r\n0\r\n\r\n", err);
  sim_body_release(out->shared);
  out->shared = NULL;
  tl_buf_deinit(&out->own);
  out->own = chunks;
  out->bad_chunks = true;
  return st;
}

tl_status sim_inject_transport(const sim_fault *f, sim_delivery *out, tl_error *err) {
  int64_t half = (int64_t)(sim_delivery_body(out).len / 2);
  switch ((int)f->action) {
    case SIM_DO_SLOW: out->first_byte_ms = number_or(f, 0, 1000); break;
    case SIM_DO_STALL:
      out->stall_after = (size_t)number_or(f, 0, half);
      out->stall_ms = number_or(f, 1, 600000);
      break;
    case SIM_DO_DRIP:
      out->drip_per_s = (uint64_t)number_or(f, 0, 1);
      if (!out->drip_per_s) out->drip_per_s = 1;
      break;
    case SIM_DO_RESET:
      out->cut = SIM_CUT_RESET;
      out->cut_point = strcmp(f->word, "before") == 0 ? SIM_CUT_BEFORE : strcmp(f->word, "headers") == 0 ? SIM_CUT_HEAD : SIM_CUT_BODY;
      out->cut_after = (size_t)number_or(f, 0, half);
      break;
    case SIM_DO_CLOSE:
      out->cut = SIM_CUT_CLOSE;
      out->cut_point = SIM_CUT_BODY;
      out->cut_after = (size_t)number_or(f, 0, half);
      break;
    case SIM_DO_BAD_CHUNKS: return spoil_chunks(out, err);
    case SIM_DO_ENDLESS_HEADERS: out->endless_headers = true; break;
    default: break;
  }
  return TL_OK;
}
