/* reference.c - corporate actions, assets, calendar and clock: small answers, written plainly. */
#include "sim/reference.h"

#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "sim/days.h"
#include "sim/text.h"

/* Is `word` one of the comma list? An absent list holds everything. */
static bool listed(tl_text list, const char *word) {
  if (!list.len) return true;
  for (size_t at = 0, i = 0; i <= list.len; i++) {
    if (i < list.len && list.data[i] != ',') continue;
    if (tl_text_is(tl_text_of(list.data + at, i - at), word)) return true;
    at = i + 1;
  }
  return false;
}

static const char *date_text(char room[48], int64_t day) {
  *sim_put_date(room, day) = 0;
  return room;
}

static void identity(char cusip[10], char id[37], const char *name, int64_t day) {
  uint64_t h = tl_prng_mix(sim_hash_text(name, strlen(name))), g = tl_prng_mix(h + (uint64_t)day);
  for (int i = 0; i < 9; i++) cusip[i] = "0123456789"[h >> (4 * i) & 7];
  cusip[9] = 0;
  snprintf(id, 37, "%08x-%04x-4%03x-a%03x-%012llx", (unsigned)(g >> 32), (unsigned)(g >> 16 & 0xffff), (unsigned)(g & 0xfff),
           (unsigned)(h & 0xfff), (unsigned long long)(tl_prng_mix(g) & 0xffffffffffffULL));
}

typedef struct actions { /* one answer in the making */
  tl_text symbols, types;
  int64_t from, to;
  uint64_t skip, limit, seen;
  bool more, any_group, group_open;
  tl_buf *out;
  tl_error *err;
} actions;

/* Opens the row of an action when it is asked for and on this page. */
static bool action_begin(actions *a, const char *group, const char *symbol, int64_t day, tl_status *st) {
  if (*st || day < a->from || day > a->to || !listed(a->symbols, symbol)) return false;
  uint64_t index = a->seen++;
  if (index < a->skip) return false;
  if (index >= a->skip + a->limit) {
    a->more = true;
    return false;
  }
  char date[48], cusip[10], id[37];
  identity(cusip, id, symbol, day);
  if (!a->group_open) *st = tl_buf_appendf(a->out, a->err, "%s\"%s\":[", a->any_group ? "," : "", group);
  if (!*st && a->group_open) *st = tl_buf_append(a->out, ",", 1, a->err);
  a->group_open = a->any_group = true;
  if (!*st)
    *st = tl_buf_appendf(a->out, a->err, "{\"id\":\"%s\",\"process_date\":\"%s\"", id, date_text(date, day));
  return !*st;
}

static tl_status group_end(actions *a, tl_status st) {
  if (!st && a->group_open) st = tl_buf_append(a->out, "]", 1, a->err);
  a->group_open = false;
  return st;
}

static tl_status put_dividends(actions *a) {
  tl_status st = TL_OK;
  for (size_t i = 0; i < sim_universe_count() && !st; i++) {
    sim_symbol s;
    const char *name = sim_universe_name(i);
    char ex[48], paid[48], cusip[10], id[37], rate[48];
    if (!listed(a->symbols, name) || !sim_symbol_find(name, strlen(name), SIM_ASOF_OFF, &s)) continue;
    for (int64_t day = a->from > SIM_FIRST_DAY ? a->from : SIM_FIRST_DAY; day <= a->to && day <= SIM_LAST_DAY && !st; day++) {
      int64_t cents = sim_symbol_dividend_cents(&s, day);
      if (!cents || !action_begin(a, "cash_dividends", name, day, &st)) continue;
      identity(cusip, id, name, day);
      *sim_put_decimal(rate, (uint64_t)cents, 2) = 0;
      st = tl_buf_appendf(a->out, a->err,
                          ",\"symbol\":\"%s\",\"cusip\":\"%s\",\"rate\":%s,\"special\":false,\"foreign\":false,\"ex_date\":\"%s\","
                          "\"record_date\":\"%s\",\"payable_date\":\"%s\"}",
                          name, cusip, rate, date_text(ex, day), ex, date_text(paid, day + 21));
    }
  }
  return group_end(a, st);
}

static tl_status put_splits(actions *a, bool reverse) {
  tl_status st = TL_OK;
  for (size_t i = 0; i < sim_split_count && !st; i++) {
    const sim_split *s = &sim_splits[i];
    char ex[48], cusip[10], id[37];
    int64_t day = sim_split_day(s);
    if ((s->new_rate < s->old_rate) != reverse || !action_begin(a, reverse ? "reverse_splits" : "forward_splits", s->company, day, &st)) continue;
    identity(cusip, id, s->company, day);
    date_text(ex, day);
    if (reverse) {
      st = tl_buf_appendf(a->out, a->err,
                          ",\"symbol\":\"%s\",\"old_cusip\":\"%s\",\"new_cusip\":\"%c%s\",\"new_rate\":%d,\"old_rate\":%d,\"ex_date\":\"%s\"}",
                          s->company, cusip, '8', cusip + 1, s->new_rate, s->old_rate, ex);
    } else {
      st = tl_buf_appendf(a->out, a->err, ",\"symbol\":\"%s\",\"cusip\":\"%s\",\"new_rate\":%d,\"old_rate\":%d,\"ex_date\":\"%s\"}",
                          s->company, cusip, s->new_rate, s->old_rate, ex);
    }
  }
  return group_end(a, st);
}

static tl_status put_renames(actions *a) {
  tl_status st = TL_OK;
  for (size_t i = 0; i < sim_rename_count && !st; i++) {
    const sim_rename *r = &sim_renames[i];
    char cusip[10], id[37];
    int64_t day = sim_day_from(r->year, r->month, r->day);
    const char *name = listed(a->symbols, r->new_name) ? r->new_name : r->old_name;
    if (!action_begin(a, "name_changes", name, day, &st)) continue;
    identity(cusip, id, r->new_name, day);
    st = tl_buf_appendf(a->out, a->err, ",\"old_symbol\":\"%s\",\"old_cusip\":\"%s\",\"new_symbol\":\"%s\",\"new_cusip\":\"%s\"}",
                        r->old_name, cusip, r->new_name, cusip);
  }
  return group_end(a, st);
}

static tl_status put_removals(actions *a) {
  tl_status st = TL_OK;
  char cusip[10], id[37];
  int64_t day = sim_day_from(2023, 7, 3);
  if (action_begin(a, "worthless_removals", "DELI", day, &st)) {
    identity(cusip, id, "DELI", day);
    st = tl_buf_appendf(a->out, a->err, ",\"symbol\":\"DELI\",\"cusip\":\"%s\"}", cusip);
  }
  return group_end(a, st);
}

tl_status sim_corporate_actions_answer(const sim_query *query, int64_t now_ns, sim_answer *answer, tl_error *err) {
  tl_text start = sim_query_get(query, "start"), end = sim_query_get(query, "end"), limit = sim_query_get(query, "limit");
  tl_text token = sim_query_get(query, "page_token");
  actions a = {.symbols = sim_query_get(query, "symbols"), .types = sim_query_get(query, "types"), .limit = 100, .out = &answer->body, .err = err};
  a.from = a.to = sim_day_of(now_ns);
  if (start.len && !sim_day_parse(start.data, start.len, &a.from)) return sim_answer_message(answer, 400, err, "invalid start");
  if (end.len && !sim_day_parse(end.data, end.len, &a.to)) return sim_answer_message(answer, 400, err, "invalid end");
  if (a.to < a.from) return sim_answer_message(answer, 400, err, "end should not be before start");
  if (limit.len && (!sim_parse_u64(limit.data, limit.len, &a.limit) || !a.limit || a.limit > 1000))
    return sim_answer_message(answer, 400, err, "invalid limit: must be between 1 and 1000");
  char position[32];
  size_t n;
  if (token.len && (!sim_base64_decode(position, sizeof position, token.data, token.len, &n) || !sim_parse_u64(position, n, &a.skip)))
    return sim_answer_message(answer, 400, err, "invalid page_token");
  tl_status st = tl_buf_appends(&answer->body, "{\"corporate_actions\":{", err);
  if (!st && listed(a.types, "cash_dividend")) st = put_dividends(&a);
  if (!st && listed(a.types, "forward_split")) st = put_splits(&a, false);
  if (!st && listed(a.types, "name_change")) st = put_renames(&a);
  if (!st && listed(a.types, "reverse_split")) st = put_splits(&a, true);
  if (!st && listed(a.types, "worthless_removal")) st = put_removals(&a);
  char next[64] = "null";
  if (a.more) {
    size_t len = (size_t)(sim_put_u64(position, a.skip + a.limit) - position);
    next[0] = '"';
    size_t coded = sim_base64_encode(next + 1, position, len);
    memcpy(next + 1 + coded, "\"", 2);
  }
  return st ? st : tl_buf_appendf(&answer->body, err, "},\"next_page_token\":%s}", next);
}

tl_status sim_assets_answer(const sim_query *query, sim_answer *answer, tl_error *err) {
  tl_text status = sim_query_get(query, "status"), class = sim_query_get(query, "asset_class"), exchange = sim_query_get(query, "exchange");
  bool stocks = !class.len || tl_text_is(class, "us_equity"), first = true;
  tl_status st = tl_buf_append(&answer->body, "[", 1, err);
  for (size_t i = 0; i < sim_universe_count() && stocks && !st; i++) {
    const char *name = sim_universe_name(i);
    char cusip[10], id[37];
    sim_symbol s;
    if (!sim_symbol_find(name, strlen(name), SIM_ASOF_OFF, &s)) continue;
    bool active = s.last_day == SIM_LAST_DAY;
    const char *place = s.tape == 'A' ? "NYSE" : s.tape == 'B' ? "ARCA" : "NASDAQ", *state = active ? "active" : "inactive";
    if ((status.len && !tl_text_is(status, state)) || (exchange.len && !tl_text_is(exchange, place))) continue;
    identity(cusip, id, name, 0);
    st = tl_buf_appendf(&answer->body, err,
                        "%s{\"id\":\"%s\",\"class\":\"us_equity\",\"exchange\":\"%s\",\"symbol\":\"%s\",\"name\":\"%s Simulated Company\","
                        "\"status\":\"%s\",\"tradable\":%s,\"marginable\":true,\"maintenance_margin_requirement\":30,"
                        "\"margin_requirement_long\":\"30\",\"margin_requirement_short\":\"30\",\"shortable\":%s,\"easy_to_borrow\":%s,"
                        "\"fractionable\":%s,\"attributes\":[]}",
                        first ? "" : ",", id, place, name, name, state, active ? "true" : "false", active ? "true" : "false",
                        active ? "true" : "false", s.trades_per_day > 1000 ? "true" : "false");
    first = false;
  }
  return st ? st : tl_buf_append(&answer->body, "]", 1, err);
}

static int64_t next_open_day(int64_t day) {
  do day++;
  while (day <= SIM_LAST_DAY && sim_day_session(day) == SIM_CLOSED);
  return day;
}

tl_status sim_calendar_answer(const sim_query *query, sim_answer *answer, tl_error *err) {
  tl_text start = sim_query_get(query, "start"), end = sim_query_get(query, "end");
  int64_t from = SIM_FIRST_DAY, to = SIM_LAST_DAY;
  bool first = true;
  if (start.len > 10) start.len = 10; /* instants count as their date */
  if (end.len > 10) end.len = 10;
  if (start.len && !sim_day_parse(start.data, start.len, &from)) return sim_answer_message(answer, 422, err, "invalid format for start");
  if (end.len && !sim_day_parse(end.data, end.len, &to)) return sim_answer_message(answer, 422, err, "invalid format for end");
  if (from < SIM_FIRST_DAY) from = SIM_FIRST_DAY;
  if (to > SIM_LAST_DAY) to = SIM_LAST_DAY;
  tl_status st = tl_buf_append(&answer->body, "[", 1, err);
  for (int64_t day = from; day <= to && !st; day++) {
    sim_session session = sim_day_session(day);
    char date[48], settled[48];
    if (session == SIM_CLOSED) continue;
    int64_t settlement = next_open_day(day);
    if (day < 19871) settlement = next_open_day(settlement); /* two days until 2024-05-28 */
    st = tl_buf_appendf(&answer->body, err,
                        "%s{\"date\":\"%s\",\"open\":\"09:30\",\"close\":\"%s\",\"session_open\":\"0400\",\"session_close\":\"%s\","
                        "\"settlement_date\":\"%s\"}",
                        first ? "" : ",", date_text(date, day), session == SIM_HALF ? "13:00" : "16:00", session == SIM_HALF ? "1700" : "2000",
                        date_text(settled, settlement));
    first = false;
  }
  return st ? st : tl_buf_append(&answer->body, "]", 1, err);
}

/* RFC 3339 with New York's offset. */
static const char *local_text(char room[64], int64_t t_ns) {
  int offset = sim_day_offset_hours(t_ns);
  char *p = sim_put_time(room, t_ns + offset * 3600 * SIM_NS, false) - 1; /* over the Z */
  memcpy(p, offset == -4 ? "-04:00" : "-05:00", 7);
  return room;
}

tl_status sim_clock_answer(int64_t now_ns, sim_answer *answer, tl_error *err) {
  char now[64], open[64], close[64];
  int64_t day = sim_day_of(now_ns);
  int64_t opens = 0, closes = 0;
  bool is_open = false;
  for (int64_t i = day; i < day + 20 && (!opens || !closes); i++) {
    sim_session session = sim_day_session(i);
    if (session == SIM_CLOSED) continue;
    int64_t at = sim_day_start_ns(i) + 330 * SIM_MINUTE_NS, until = sim_day_start_ns(i) + (session == SIM_HALF ? 540 : 720) * SIM_MINUTE_NS;
    is_open |= now_ns >= at && now_ns < until;
    if (!opens && at > now_ns) opens = at;
    if (!closes && until > now_ns) closes = until;
  }
  return tl_buf_appendf(&answer->body, err, "{\"timestamp\":\"%s\",\"is_open\":%s,\"next_open\":\"%s\",\"next_close\":\"%s\"}",
                        local_text(now, now_ns), is_open ? "true" : "false", local_text(open, opens), local_text(close, closes));
}
