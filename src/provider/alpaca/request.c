/* request.c - an ask as Alpaca's URL: the multi-symbol endpoints /v2/stocks/{bars,trades,quotes}.
 * Our ranges are half-open and the vendor's are inclusive at both ends, so `end` is sent one nanosecond early.
 * `feed` and `sort` are always sent: what a missing feed means depends on the plan of the key. */
#include <string.h>

#include "provider/alpaca/alpaca.h"

static bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

static tl_status append_encoded(tl_buf *url, const char *text, tl_error *err) {
  tl_status st = TL_OK;
  for (; !st && *text; text++)
    st = is_unreserved(*text) ? tl_buf_append(url, text, 1, err)
                              : tl_buf_appendf(url, err, "%%%02X", (unsigned)(unsigned char)*text);
  return st;
}

static tl_status append_member(tl_buf *url, const char *name, const char *value, tl_error *err) {
  if (!value || !*value) return TL_OK;
  tl_status st = tl_buf_appendf(url, err, "&%s=", name);
  return st ? st : append_encoded(url, value, err);
}

static tl_status append_symbols(tl_buf *url, const tl_ask *ask, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < ask->symbol_count; i++) {
    if (i) st = tl_buf_appends(url, "%2C", err);
    if (!st) st = append_encoded(url, ask->symbols[i], err);
  }
  return st;
}

static tl_status append_time(tl_buf *url, const char *name, int64_t ns, tl_error *err) {
  char text[TL_TIME_TEXT_MAX];
  tl_time_format(ns, -1, text);
  return append_member(url, name, text, err);
}

static tl_status append_timeframe(tl_buf *url, const tl_ask *ask, tl_error *err) {
  if (ask->wire != TL_WIRE_BARS) return TL_OK;
  if (ask->interval.unit == TL_SECOND)
    return tl_fail(err, TL_EUSAGE, "alpaca has no bars shorter than a minute; import 'ticks' makes them from trades");
  char text[TL_INTERVAL_TEXT_MAX];
  tl_interval_vendor(ask->interval, text);
  return append_member(url, "timeframe", text, err);
}

tl_status tl_alpaca_url(const tl_ask *ask, const char *token, tl_buf *url, tl_error *err) {
  static const char *const paths[] = {"/v2/stocks/bars", "/v2/stocks/trades", "/v2/stocks/quotes"};
  if (!ask->symbol_count || tl_range_empty(ask->range))
    return tl_fail(err, TL_EINTERNAL, "a request to alpaca needs a symbol and a range");
  /* Old trades of the delayed feed are those of the tape itself; only `latest` knows it by its own name. */
  const char *feed = ask->feed && strcmp(ask->feed, "delayed_sip") == 0 ? "sip" : ask->feed;
  tl_status st = tl_buf_appendf(url, err, "%s?symbols=", paths[ask->wire]);
  if (!st) st = append_symbols(url, ask, err);
  if (!st) st = append_timeframe(url, ask, err);
  if (!st) st = append_time(url, "start", ask->range.start_ns, err);
  if (!st) st = append_time(url, "end", ask->range.end_ns - 1, err);
  if (!st && ask->page_limit) st = tl_buf_appendf(url, err, "&limit=%u", (unsigned)ask->page_limit);
  if (!st && ask->wire == TL_WIRE_BARS) st = append_member(url, "adjustment", ask->adjustment, err);
  if (!st) st = append_member(url, "asof", ask->asof, err);
  if (!st) st = append_member(url, "feed", feed && *feed ? feed : "sip", err);
  if (!st) st = append_member(url, "currency", ask->currency, err);
  if (!st) st = append_member(url, "sort", "asc", err);
  if (!st) st = append_member(url, "page_token", token, err);
  return st;
}

static bool is_header_value(const char *text) {
  for (; *text; text++)
    if ((unsigned char)*text < 0x21 || (unsigned char)*text > 0x7e) return false;
  return true;
}

tl_status tl_alpaca_headers(const char *key, const char *secret, tl_buf *lines, tl_error *err) {
  if (key && !is_header_value(key))
    return tl_fail(err, TL_EUSAGE, "the alpaca key id holds a space, a line break or another character no key has");
  if (secret && !is_header_value(secret))
    return tl_fail(err, TL_EUSAGE, "the alpaca secret holds a space, a line break or another character no key has");
  tl_status st = TL_OK;
  if (key && *key) st = tl_buf_appendf(lines, err, "APCA-API-KEY-ID: %s\n", key);
  if (!st && secret && *secret) st = tl_buf_appendf(lines, err, "APCA-API-SECRET-KEY: %s\n", secret);
  return st;
}
