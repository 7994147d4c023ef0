/* alpaca.c - query strings, routes and refusals. */
#include "sim/alpaca.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sim/history.h"
#include "sim/reference.h"
#include "sim/text.h"

static const char json_type[] = "application/json; charset=UTF-8";

void sim_query_parse(char *target, size_t len, sim_query *out) {
  char *question = memchr(target, '?', len);
  size_t path_len = question ? (size_t)(question - target) : len;
  out->param_count = 0;
  char *at = question ? question + 1 : target + len, *end = target + len;
  while (at < end && out->param_count < SIM_PARAMS_MAX) {
    char *stop = memchr(at, '&', (size_t)(end - at));
    if (!stop) stop = end;
    char *equals = memchr(at, '=', (size_t)(stop - at));
    size_t name_len = (size_t)((equals ? equals : stop) - at);
    char *value = equals ? equals + 1 : stop;
    sim_param *p = &out->params[out->param_count++];
    p->value = tl_text_of(value, sim_url_decode(value, (size_t)(stop - value), true));
    p->name = tl_text_of(at, sim_url_decode(at, name_len, true));
    at = stop + 1;
  }
  out->path = tl_text_of(target, sim_url_decode(target, path_len, false));
}

tl_text sim_query_get(const sim_query *query, const char *name) {
  for (size_t i = 0; i < query->param_count; i++)
    if (tl_text_is(query->params[i].name, name)) return query->params[i].value;
  return (tl_text){NULL, 0};
}

tl_status sim_answer_message(sim_answer *answer, int status, tl_error *err, const char *format, ...) {
  char text[480];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  answer->status = status;
  answer->content_type = json_type;
  tl_status st = tl_buf_appends(&answer->body, "{\"message\":", err);
  if (!st) st = tl_buf_append_json(&answer->body, text, strlen(text), err);
  return st ? st : tl_buf_append(&answer->body, "}", 1, err);
}

tl_status sim_answer_unauthorized(sim_answer *answer, tl_error *err) {
  answer->status = 401;
  answer->content_type = "text/html";
  return tl_buf_appends(&answer->body,
                        "<html>\r\n<head><title>401 Authorization Required</title></head>\r\n<body>\r\n<center><h1>401 Authorization "
                        "Required</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
                        err);
}

static bool starts(tl_text text, const char *prefix) {
  size_t n = strlen(prefix);
  return text.len >= n && memcmp(text.data, prefix, n) == 0;
}

bool sim_alpaca_owns(tl_text path) { return starts(path, "/v2/") || starts(path, "/v1/") || starts(path, "/v1beta"); }

/* Cuts the last segment off: "a/b" -> "a" and answers "b"; the whole text when it has no slash. */
static tl_text last_segment(tl_text *path) {
  size_t at = path->len;
  while (at && path->data[at - 1] != '/') at--;
  tl_text last = {path->data + at, path->len - at};
  path->len = at ? at - 1 : 0;
  return last;
}

static bool kind_of(tl_text word, sim_kind *kind) {
  static const char *const words[] = {"bars", "trades", "quotes"};
  for (int i = 0; i < 3; i++)
    if (tl_text_is(word, words[i])) {
      *kind = (sim_kind)i;
      return true;
    }
  return false;
}

/* What follows /v2/stocks/: [symbol/]bars, [symbol/]bars/latest, snapshots, symbol/snapshot */
static tl_status stocks_answer(const sim_settings *s, const sim_query *q, tl_text rest, int64_t now_ns, sim_answer *answer, tl_error *err) {
  sim_kind kind = SIM_BARS;
  tl_text none = {NULL, 0}, last = last_segment(&rest);
  if (tl_text_is(last, "snapshots") && !rest.len) return sim_latest_answer(s, q, kind, none, true, now_ns, answer, err);
  if (tl_text_is(last, "snapshot") && rest.len) return sim_latest_answer(s, q, kind, rest, true, now_ns, answer, err);
  bool latest = tl_text_is(last, "latest");
  if (latest) last = last_segment(&rest);
  if (!kind_of(last, &kind)) return sim_answer_message(answer, 404, err, "endpoint not found.");
  tl_text symbol = rest.len ? rest : none;
  if (latest) return sim_latest_answer(s, q, kind, symbol, false, now_ns, answer, err);
  return sim_history_answer(s, q, kind, symbol, now_ns, answer, err);
}

tl_status sim_alpaca_answer(const sim_settings *settings, const sim_query *query, int64_t now_ns, sim_answer *answer, tl_error *err) {
  tl_text path = query->path;
  answer->content_type = json_type;
  answer->status = 200;
  if (starts(path, "/v2/stocks/")) {
    size_t n = strlen("/v2/stocks/");
    return stocks_answer(settings, query, tl_text_of(path.data + n, path.len - n), now_ns, answer, err);
  }
  if (tl_text_is(path, "/v1/corporate-actions")) return sim_corporate_actions_answer(query, now_ns, answer, err);
  if (tl_text_is(path, "/v2/assets")) return sim_assets_answer(query, answer, err);
  if (tl_text_is(path, "/v2/calendar")) return sim_calendar_answer(query, answer, err);
  if (tl_text_is(path, "/v2/clock")) return sim_clock_answer(now_ns, answer, err);
  return sim_answer_message(answer, 404, err, "endpoint not found.");
}
