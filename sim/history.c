/* history.c - one page of bars, trades or quotes, and the latest rows.
 *
 * Every walk is (symbol, time) in order and stops at the first row beyond the limit: only then is there a next page.
 * Nothing is kept between pages; the token says it all. */
#include "sim/history.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "sim/days.h"
#include "sim/page.h"
#include "sim/text.h"

enum { LIMIT_MAX = 10000, LIMIT_DEFAULT = 1000, SYMBOLS_MAX = 8192 };
#define DELAY_NS (15 * SIM_MINUTE_NS)

typedef struct name { char text[SIM_NAME_MAX + 1]; } name;

typedef struct request {
  const sim_world *world;
  sim_kind kind;
  bool single, descending, split, dividend;
  name *names; /* sorted, each once */
  size_t name_count;
  sim_timeframe timeframe;
  int64_t start_ns, end_ns; /* both included */
  int64_t asof, now_ns;
  uint64_t limit;
  sim_feed feed;
  bool consolidated; /* sip, where the newest 15 minutes cost extra */
  tl_text currency;
  sim_token token;
} request;

static const char *const member[] = {"bars", "trades", "quotes"};

static tl_status refuse(sim_answer *answer, bool *done, tl_error *err, const char *format, ...) TL_PRINTF(4, 5);
static tl_status refuse(sim_answer *answer, bool *done, tl_error *err, const char *format, ...) {
  char text[400];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  *done = true;
  return sim_answer_message(answer, 400, err, "%s", text);
}

static int compare_names(const void *a, const void *b) { return strcmp(((const name *)a)->text, ((const name *)b)->text); }

static tl_status add_name(request *r, tl_text symbol, sim_answer *answer, bool *done, tl_error *err) {
  if (!sim_symbol_well_formed(symbol.data, symbol.len))
    return refuse(answer, done, err, "invalid symbol: %.*s", (int)(symbol.len > 64 ? 64 : symbol.len), symbol.data ? symbol.data : "");
  memset(&r->names[r->name_count], 0, sizeof(name));
  memcpy(r->names[r->name_count++].text, symbol.data, symbol.len);
  return TL_OK;
}

static tl_status read_symbols(request *r, const sim_query *query, tl_text single, sim_answer *answer, bool *done, tl_error *err) {
  tl_text list = single.data ? single : sim_query_get(query, "symbols");
  if (!list.len) return refuse(answer, done, err, "Invalid format for parameter symbols: query parameter 'symbols' is required");
  size_t count = 1;
  for (size_t i = 0; i < list.len; i++) count += list.data[i] == ',';
  if (count > SYMBOLS_MAX) return refuse(answer, done, err, "too many symbols");
  r->names = tl_calloc(count, sizeof(name));
  if (!r->names) return tl_fail(err, TL_ENOMEM, "out of memory for %zu symbols", count);
  for (size_t at = 0, i = 0; i <= list.len && !*done; i++) {
    if (i < list.len && (list.data[i] != ',' || single.data)) continue;
    tl_status st = add_name(r, tl_text_of(list.data + at, i - at), answer, done, err);
    if (st) return st;
    at = i + 1;
  }
  if (*done) return TL_OK;
  qsort(r->names, r->name_count, sizeof(name), compare_names);
  size_t kept = 1;
  for (size_t i = 1; i < r->name_count; i++)
    if (strcmp(r->names[i].text, r->names[kept - 1].text)) r->names[kept++] = r->names[i];
  r->name_count = kept;
  return TL_OK;
}

/* A date alone is its first instant in New York as a start, its last one as an end. */
static bool read_instant(tl_text text, bool is_end, int64_t *t_ns) {
  int64_t day;
  if (sim_time_parse(text.data, text.len, t_ns)) return true;
  if (!sim_day_parse(text.data, text.len, &day) || day < -100000 || day > 100000) return false;
  *t_ns = is_end ? sim_day_midnight_ns(day + 1) - 1 : sim_day_midnight_ns(day);
  return true;
}

static tl_status read_range(request *r, const sim_settings *settings, const sim_query *query, sim_answer *answer, bool *done, tl_error *err) {
  tl_text start = sim_query_get(query, "start"), end = sim_query_get(query, "end");
  r->start_ns = sim_day_midnight_ns(sim_day_of(r->now_ns));
  r->end_ns = settings->realtime ? r->now_ns : r->now_ns - DELAY_NS;
  if (!end.len && r->start_ns > r->end_ns) r->start_ns = r->end_ns;
  const char *bad = NULL;
  tl_text value = start;
  if (start.len && !read_instant(start, false, &r->start_ns)) bad = "start";
  if (!bad && end.len && !read_instant(end, true, &r->end_ns)) bad = "end", value = end;
  if (bad) {
    int n = (int)(value.len > 60 ? 60 : value.len);
    return refuse(answer, done, err,
                  "Invalid format for parameter %s: error parsing '%.*s' as RFC3339 or 2006-01-02 time: parsing time \"%.*s\" as "
                  "\"2006-01-02\": cannot parse \"%.*s\" as \"2006\"",
                  bad, n, value.data, n, value.data, n, value.data);
  }
  if (r->end_ns < r->start_ns) return refuse(answer, done, err, "end should not be before start");
  return TL_OK;
}

static tl_status read_feed(request *r, const sim_query *query, sim_answer *answer, bool *done, tl_error *err) {
  tl_text feed = sim_query_get(query, "feed");
  r->consolidated = !feed.len || tl_text_is(feed, "sip");
  r->feed = SIM_FEED_SIP;
  if (r->consolidated) return TL_OK;
  r->feed = tl_text_is(feed, "iex") ? SIM_FEED_IEX : SIM_FEED_EMPTY;
  if (r->feed == SIM_FEED_EMPTY && !tl_text_is(feed, "otc") && !tl_text_is(feed, "boats"))
    return refuse(answer, done, err, "invalid feed: %.*s", (int)(feed.len > 40 ? 40 : feed.len), feed.data);
  return TL_OK;
}

static tl_status read_adjustment(request *r, const sim_query *query, sim_answer *answer, bool *done, tl_error *err) {
  tl_text list = sim_query_get(query, "adjustment");
  for (size_t at = 0, i = 0; list.len && i <= list.len; i++) {
    if (i < list.len && list.data[i] != ',') continue;
    tl_text one = {list.data + at, i - at};
    at = i + 1;
    bool all = tl_text_is(one, "all"), split = tl_text_is(one, "split"), dividend = tl_text_is(one, "dividend");
    if (!all && !split && !dividend && !tl_text_is(one, "raw") && !tl_text_is(one, "spin-off"))
      return refuse(answer, done, err, "invalid adjustment: %.*s", (int)(list.len > 40 ? 40 : list.len), list.data);
    r->split |= all || split;
    r->dividend |= all || dividend;
  }
  return TL_OK;
}

static tl_status read_asof(request *r, const sim_query *query, sim_answer *answer, bool *done, tl_error *err) {
  tl_text asof = sim_query_get(query, "asof");
  r->asof = sim_day_of(r->now_ns);
  if (tl_text_is(asof, "-")) {
    r->asof = SIM_ASOF_OFF;
  } else if (asof.len && !sim_day_parse(asof.data, asof.len, &r->asof)) {
    return refuse(answer, done, err, "invalid asof: %.*s", (int)(asof.len > 40 ? 40 : asof.len), asof.data);
  }
  return TL_OK;
}

static tl_status read_paging(request *r, const sim_settings *settings, const sim_query *query, sim_answer *answer, bool *done, tl_error *err) {
  tl_text limit = sim_query_get(query, "limit"), sort = sim_query_get(query, "sort"), token = sim_query_get(query, "page_token");
  r->limit = LIMIT_DEFAULT;
  if (limit.len && (!sim_parse_u64(limit.data, limit.len, &r->limit) || !r->limit || r->limit > LIMIT_MAX))
    return refuse(answer, done, err, "invalid limit: must be between 1 and %d", LIMIT_MAX);
  r->descending = tl_text_is(sort, "desc");
  if (sort.len && !r->descending && !tl_text_is(sort, "asc")) return refuse(answer, done, err, "invalid sort");
  if (token.len && !sim_token_parse(token.data, token.len, (int)r->kind, settings->old_tokens, r->descending, &r->token))
    return refuse(answer, done, err, "invalid page_token");
  if (settings->token_edge) r->token.after = settings->token_edge == SIM_TOKEN_EXCLUDES;
  return TL_OK;
}

/* Reads everything; *done when the answer is a refusal already. */
static tl_status read_request(request *r, const sim_settings *settings, const sim_query *query, tl_text single, sim_answer *answer,
                              bool *done, tl_error *err) {
  tl_status st = read_symbols(r, query, single, answer, done, err);
  if (st || *done) return st;
  if (r->kind == SIM_BARS) {
    tl_text f = sim_query_get(query, "timeframe");
    if (!f.len) return refuse(answer, done, err, "Invalid format for parameter timeframe: query parameter 'timeframe' is required");
    if (!sim_timeframe_parse(f.data, f.len, &r->timeframe))
      return refuse(answer, done, err, "invalid timeframe: %.*s", (int)(f.len > 40 ? 40 : f.len), f.data);
    st = read_adjustment(r, query, answer, done, err);
  }
  if (!st && !*done) st = read_range(r, settings, query, answer, done, err);
  if (!st && !*done) st = read_feed(r, query, answer, done, err);
  if (!st && !*done) st = read_asof(r, query, answer, done, err);
  if (!st && !*done) st = read_paging(r, settings, query, answer, done, err);
  if (st || *done) return st;
  if (r->consolidated && !settings->realtime && r->end_ns > r->now_ns - DELAY_NS) {
    *done = true;
    return sim_answer_message(answer, 403, err, "subscription does not permit querying recent SIP data");
  }
  r->currency = sim_query_get(query, "currency");
  if (r->currency.len > 3) r->currency.len = 3;
  return TL_OK;
}

/* The page in the making. A walk offers rows one after the other until `take` says no. */
typedef struct page {
  const request *r;
  const sim_symbol *symbol;
  tl_buf *out;
  tl_error *err;
  tl_status st;
  uint64_t rows;
  bool symbol_open, any_symbol, more;
  sim_token last, next; /* of the last row taken, and of the first one refused */
} page;

static bool page_room(page *p, const sim_token *row) {
  if (p->rows == p->r->limit) {
    p->more = true;
    p->next = *row;
    return false;
  }
  p->last = *row;
  p->rows++;
  if (p->symbol_open) {
    p->st = tl_buf_append(p->out, ",", 1, p->err);
  } else if (p->r->single) {
    p->st = tl_buf_append(p->out, "[", 1, p->err);
  } else {
    p->st = tl_buf_appendf(p->out, p->err, "%s\"%s\":[", p->any_symbol ? "]," : "", p->symbol->name);
  }
  p->symbol_open = p->any_symbol = true;
  return p->st == TL_OK;
}

static sim_token token_at(const page *p, int64_t t_ns) {
  sim_token k = {.present = true, .t_ns = t_ns};
  memcpy(k.symbol, p->symbol->name, sizeof k.symbol);
  return k;
}

static bool take_bar(void *state, const sim_row *row) {
  page *p = state;
  sim_token k = token_at(p, row->t_ns);
  if (!page_room(p, &k)) return false;
  p->st = sim_row_put(p->out, row, p->err);
  return p->st == TL_OK;
}

static bool take_trade(page *p, const sim_trade *t) {
  sim_token k = token_at(p, t->t_ns);
  k.exchange = t->exchange;
  k.id = t->id;
  if (!page_room(p, &k)) return false;
  p->st = sim_trade_put(p->out, t, p->symbol->tape, p->err);
  return p->st == TL_OK;
}

static bool take_quote(page *p, const sim_quote *q, size_t index) {
  sim_token k = token_at(p, q->t_ns);
  k.id = index;
  if (!page_room(p, &k)) return false;
  p->st = sim_quote_put(p->out, q, p->symbol->tape, p->err);
  return p->st == TL_OK;
}

typedef struct ticks { /* rows of one minute; the memory is reused from minute to minute */
  sim_trade *trades;
  sim_quote *quotes;
  size_t count, room;
} ticks;

static bool draw_ticks(page *p, const sim_day *d, int32_t minute, ticks *k) {
  bool trades = p->r->kind == SIM_TRADES;
  size_t need = trades ? sim_minute_trades_max(d, minute) : sim_minute_quotes_max(d, minute);
  if (need > k->room) {
    need += need / 2;
    void *block = tl_realloc_array(trades ? (void *)k->trades : (void *)k->quotes, need, trades ? sizeof(sim_trade) : sizeof(sim_quote));
    if (!block) {
      p->st = tl_fail(p->err, TL_ENOMEM, "out of memory for %zu ticks of a minute", need);
      return false;
    }
    if (trades) k->trades = block;
    if (!trades) k->quotes = block;
    k->room = need;
  }
  k->count = trades ? sim_minute_trades(d, minute, k->trades) : k->room ? sim_minute_quotes(d, minute, k->quotes) : 0;
  return true;
}

/* Index of the row the token names, in this minute; count when it is not here. */
static size_t find_token(const page *p, const ticks *k) {
  const sim_token *t = &p->r->token;
  for (size_t i = 0; i < k->count; i++) {
    if (p->r->kind == SIM_TRADES && k->trades[i].t_ns == t->t_ns && k->trades[i].id == t->id && k->trades[i].exchange == t->exchange) return i;
    if (p->r->kind == SIM_QUOTES && k->quotes[i].t_ns == t->t_ns && i == t->id) return i;
  }
  return k->count;
}

static bool walk_minute(page *p, const sim_day *d, int32_t minute, int64_t from_ns, int64_t to_ns, bool resumed, ticks *k) {
  if (!draw_ticks(p, d, minute, k)) return false;
  bool trades = p->r->kind == SIM_TRADES, down = p->r->descending;
  size_t named = resumed ? find_token(p, k) : k->count;
  for (size_t j = 0; j < k->count; j++) {
    size_t i = down ? k->count - 1 - j : j;
    int64_t t = trades ? k->trades[i].t_ns : k->quotes[i].t_ns;
    if (t < from_ns || t > to_ns) continue;
    if (named < k->count && (down ? i > named : i < named)) continue;
    if (i == named && p->r->token.after) continue;
    if (!(trades ? take_trade(p, &k->trades[i]) : take_quote(p, &k->quotes[i], i))) return false;
  }
  return true;
}

static bool walk_ticks(page *p, int64_t from_ns, int64_t to_ns, bool resumed, ticks *k) {
  const request *r = p->r;
  if (to_ns > r->now_ns) to_ns = r->now_ns;
  if (from_ns < SIM_FIRST_DAY * SIM_DAY_NS) from_ns = SIM_FIRST_DAY * SIM_DAY_NS;
  if (to_ns > (SIM_LAST_DAY + 1) * SIM_DAY_NS) to_ns = (SIM_LAST_DAY + 1) * SIM_DAY_NS;
  if (to_ns < from_ns) return true;
  int64_t first = sim_day_of(from_ns), days = sim_day_of(to_ns) - first + 1;
  for (int64_t i = 0; i < days; i++) {
    sim_day d;
    if (!sim_day_open(r->world, p->symbol, r->feed, r->descending ? first + days - 1 - i : first + i, &d)) continue;
    for (int32_t j = 0; j < d.minutes; j++) {
      int32_t m = r->descending ? d.minutes - 1 - j : j;
      int64_t t = d.start_ns + m * SIM_MINUTE_NS;
      if (t > to_ns || t + SIM_MINUTE_NS <= from_ns) continue;
      if (!walk_minute(p, &d, m, from_ns, to_ns, resumed, k)) return false;
    }
  }
  return true;
}

/* The rows of one symbol from where the token stands. False when the page is full or failed. */
static bool walk_symbol(page *p, ticks *k) {
  const request *r = p->r;
  int64_t from = r->start_ns, to = r->end_ns;
  bool resumed = r->token.present && strcmp(r->token.symbol, p->symbol->name) == 0;
  if (resumed && r->kind == SIM_BARS) { /* a bar's time names it; ticks share theirs and are looked up */
    int64_t t = r->token.t_ns;
    if (r->descending && t - r->token.after < to) to = t - r->token.after;
    if (!r->descending && t + r->token.after > from) from = t + r->token.after;
  } else if (resumed) {
    if (r->descending && r->token.t_ns < to) to = r->token.t_ns;
    if (!r->descending && r->token.t_ns > from) from = r->token.t_ns;
  }
  if (to < from) return true;
  if (r->kind != SIM_BARS) return walk_ticks(p, from, to, resumed, k);
  sim_bars bars = {.world = r->world, .symbol = p->symbol, .feed = r->feed, .timeframe = r->timeframe, .split = r->split,
                   .dividend = r->dividend, .descending = r->descending, .from_ns = from, .to_ns = to, .now_ns = r->now_ns};
  sim_bars_walk(&bars, take_bar, p);
  return !p->more && !p->st;
}

static char bar_unit(sim_timeframe f) { return "MDWM"[f.unit]; }

static tl_status end_page(page *p, const sim_settings *settings, tl_text single) {
  const request *r = p->r;
  char token[256] = "null";
  bool name_last = r->kind != SIM_BARS || settings->old_tokens || r->descending;
  sim_token k = name_last || !p->more ? p->last : p->next;
  if (!p->more && !name_last) k.t_ns++; /* beyond the last row there is none: an empty page */
  if (p->more || (settings->empty_last_page && p->rows)) {
    token[0] = '"';
    sim_token_print(token + 1, &k, (int)r->kind, bar_unit(r->timeframe), settings->old_tokens, r->descending);
    memcpy(token + strlen(token), "\"", 2);
  }
  const char *close = r->single ? (p->rows ? "]" : "null") : p->any_symbol ? "]}" : "}";
  tl_status st = tl_buf_appends(p->out, close, p->err);
  if (!st && r->single) st = tl_buf_appendf(p->out, p->err, ",\"symbol\":\"%.*s\"", (int)single.len, single.data);
  if (!st) st = tl_buf_appendf(p->out, p->err, ",\"next_page_token\":%s", token);
  if (!st && r->currency.len) {
    st = tl_buf_appends(p->out, ",\"currency\":", p->err);
    if (!st) st = tl_buf_append_json(p->out, r->currency.data, r->currency.len, p->err);
  }
  return st ? st : tl_buf_append(p->out, "}", 1, p->err);
}

static tl_status walk_page(page *p) {
  const request *r = p->r;
  ticks k = {0};
  for (size_t i = 0; i < r->name_count && !p->more && !p->st; i++) {
    sim_symbol symbol;
    const name *n = &r->names[i];
    if (r->token.present && strcmp(n->text, r->token.symbol) < 0) continue;
    if (!sim_symbol_find(n->text, strlen(n->text), r->asof, &symbol)) continue;
    p->symbol = &symbol;
    p->symbol_open = false;
    walk_symbol(p, &k);
  }
  p->symbol = NULL;
  tl_free(k.trades);
  tl_free(k.quotes);
  return p->st;
}

tl_status sim_history_answer(const sim_settings *settings, const sim_query *query, sim_kind kind, tl_text symbol, int64_t now_ns,
                             sim_answer *answer, tl_error *err) {
  request r = {.world = &settings->world, .kind = kind, .single = symbol.data != NULL, .now_ns = now_ns};
  bool done = false;
  tl_status st = read_request(&r, settings, query, symbol, answer, &done, err);
  if (st || done) goto out;
  page p = {.r = &r, .out = &answer->body, .err = err};
  st = tl_buf_appendf(&answer->body, err, r.single ? "{\"%s\":" : "{\"%s\":{", member[kind]);
  if (!st) st = walk_page(&p);
  if (!st) st = end_page(&p, settings, symbol);
  answer->status = 200;
  answer->content_type = "application/json; charset=UTF-8";
out:
  tl_free(r.names);
  return st;
}
