/* latest.c - the newest row of each symbol, and snapshots: a descending page of one row, unwrapped. */
#include <stdlib.h>
#include <string.h>

#include "sim/days.h"
#include "sim/history.h"
#include "sim/text.h"

typedef struct ask { /* what the inner pages share */
  const sim_settings *settings;
  tl_text feed;
  int64_t now_ns, end_ns;
  tl_error *err;
} ask;

/* Appends the newest row of `symbol` up to end_ns, or null. *t_ns gets its time, INT64_MIN without one. */
static tl_status put_newest(const ask *a, sim_kind kind, const char *timeframe, tl_text symbol, int64_t end_ns, tl_buf *out, int64_t *t_ns) {
  char start[48], end[48];
  *sim_put_time(start, end_ns - 10 * SIM_DAY_NS, false) = 0;
  *sim_put_time(end, end_ns, false) = 0;
  sim_query q = {.param_count = 6,
                 .params = {{tl_text_from("start"), tl_text_from(start)},
                            {tl_text_from("end"), tl_text_from(end)},
                            {tl_text_from("limit"), tl_text_from("1")},
                            {tl_text_from("sort"), tl_text_from("desc")},
                            {tl_text_from("feed"), a->feed},
                            {tl_text_from("timeframe"), tl_text_from(timeframe)}}};
  sim_answer page = {0};
  sim_settings settings = *a->settings;
  settings.realtime = true; /* the caller asked for no more than it may */
  *t_ns = INT64_MIN;
  tl_status st = sim_history_answer(&settings, &q, kind, symbol, a->now_ns, &page, a->err);
  char *row = st ? NULL : strchr(page.body.data, '['), *close = row ? strstr(row, "}]") : NULL;
  if (!st && page.status == 200 && row && close) {
    char *t = strstr(row, "\"t\":\"");
    char *quote = t ? strchr(t + 5, '"') : NULL;
    if (quote && !sim_time_parse(t + 5, (size_t)(quote - t - 5), t_ns)) *t_ns = INT64_MIN;
    st = tl_buf_append(out, row + 1, (size_t)(close - row), a->err);
  } else if (!st) {
    st = tl_buf_appends(out, "null", a->err);
  }
  tl_buf_deinit(&page.body);
  return st;
}

static tl_status put_snapshot(const ask *a, tl_text symbol, tl_buf *out, bool *any) {
  static const struct {
    const char *member, *timeframe;
    sim_kind kind;
  } parts[] = {{"latestTrade", "1Min", SIM_TRADES}, {"latestQuote", "1Min", SIM_QUOTES}, {"minuteBar", "1Min", SIM_BARS},
               {"dailyBar", "1Day", SIM_BARS}, {"prevDailyBar", "1Day", SIM_BARS}};
  int64_t t_ns = INT64_MIN, end_ns = a->end_ns;
  *any = false;
  tl_status st = TL_OK;
  for (size_t i = 0; i < sizeof parts / sizeof *parts && !st; i++) {
    if (i == 4 && t_ns > INT64_MIN) end_ns = t_ns - 1;
    st = tl_buf_appendf(out, a->err, "%s\"%s\":", i ? "," : "", parts[i].member);
    if (!st) st = put_newest(a, parts[i].kind, parts[i].timeframe, symbol, end_ns, out, &t_ns);
    *any |= t_ns > INT64_MIN;
  }
  return st;
}

static tl_status put_one(const ask *a, sim_kind kind, bool snapshot, tl_text symbol, tl_buf *out, bool *any) {
  int64_t t_ns;
  if (!snapshot) {
    tl_status st = put_newest(a, kind, "1Min", symbol, a->end_ns, out, &t_ns);
    *any = t_ns > INT64_MIN;
    return st;
  }
  return put_snapshot(a, symbol, out, any);
}

static const char *const one[] = {"bar", "trade", "quote"};

static tl_status put_single(const ask *a, sim_kind kind, bool snapshot, tl_text symbol, sim_answer *answer) {
  tl_buf inner = {0};
  bool any = false;
  tl_status st = put_one(a, kind, snapshot, symbol, &inner, &any);
  int n = (int)symbol.len;
  if (!st && !any) {
    st = sim_answer_message(answer, 404, a->err, "no %s found for %.*s", snapshot ? "snapshot" : one[kind], n, symbol.data);
  } else if (!st && snapshot) {
    st = tl_buf_appendf(&answer->body, a->err, "{\"symbol\":\"%.*s\",%s}", n, symbol.data, inner.data);
  } else if (!st) {
    st = tl_buf_appendf(&answer->body, a->err, "{\"symbol\":\"%.*s\",\"%s\":%s}", n, symbol.data, one[kind], inner.data);
  }
  tl_buf_deinit(&inner);
  return st;
}

static tl_status put_many(const ask *a, sim_kind kind, bool snapshot, tl_text list, sim_answer *answer) {
  tl_buf inner = {0};
  tl_status st = TL_OK;
  bool first = true;
  if (!snapshot) st = tl_buf_appendf(&answer->body, a->err, "{\"%ss\":", one[kind]);
  if (!st) st = tl_buf_append(&answer->body, "{", 1, a->err);
  for (size_t at = 0, i = 0; i <= list.len && !st; i++) {
    if (i < list.len && list.data[i] != ',') continue;
    tl_text symbol = {list.data + at, i - at};
    bool any = false;
    at = i + 1;
    tl_buf_clear(&inner);
    st = put_one(a, kind, snapshot, symbol, &inner, &any);
    if (st || (!any && !snapshot)) continue;
    if (snapshot) {
      st = tl_buf_appendf(&answer->body, a->err, "%s\"%.*s\":%s%s%s", first ? "" : ",", (int)symbol.len, symbol.data, any ? "{" : "",
                          any ? inner.data : "null", any ? "}" : "");
    } else {
      st = tl_buf_appendf(&answer->body, a->err, "%s\"%.*s\":%s", first ? "" : ",", (int)symbol.len, symbol.data, inner.data);
    }
    first = false;
  }
  tl_buf_deinit(&inner);
  return st ? st : tl_buf_appends(&answer->body, snapshot ? "}" : "}}", a->err);
}

tl_status sim_latest_answer(const sim_settings *settings, const sim_query *query, sim_kind kind, tl_text symbol, bool snapshot,
                            int64_t now_ns, sim_answer *answer, tl_error *err) {
  tl_text list = symbol.data ? symbol : sim_query_get(query, "symbols"), feed = sim_query_get(query, "feed");
  if (!list.len) return sim_answer_message(answer, 400, err, "Invalid format for parameter symbols: query parameter 'symbols' is required");
  for (size_t at = 0, i = 0; i <= list.len; i++) {
    if (i < list.len && list.data[i] != ',') continue;
    int n = (int)(i - at > 64 ? 64 : i - at);
    if (!sim_symbol_well_formed(list.data + at, i - at)) return sim_answer_message(answer, 400, err, "invalid symbol: %.*s", n, list.data + at);
    at = i + 1;
  }
  if (tl_text_is(feed, "sip") && !settings->realtime)
    return sim_answer_message(answer, 403, err, "subscription does not permit querying recent SIP data");
  ask a = {.settings = settings, .feed = tl_text_from(settings->realtime ? "sip" : "iex"), .now_ns = now_ns, .end_ns = now_ns, .err = err};
  if (tl_text_is(feed, "iex")) a.feed = feed;
  if (tl_text_is(feed, "delayed_sip")) {
    a.feed = tl_text_from("sip");
    a.end_ns = now_ns - 15 * SIM_MINUTE_NS;
  }
  answer->status = 200;
  answer->content_type = "application/json; charset=UTF-8";
  return symbol.data ? put_single(&a, kind, snapshot, symbol, answer) : put_many(&a, kind, snapshot, list, answer);
}
