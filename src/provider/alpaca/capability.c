/* capability.c - what Alpaca's market data API offers, as one table. */
#include "provider/alpaca/alpaca.h"

static const char *const aliases[] = {NULL};
static const char *const feeds[] = {"sip", "iex", "otc", "boats", "delayed_sip", NULL};
static const char *const adjustments[] = {"raw", "split", "dividend", "spin-off", "all", NULL};

const tl_provider tl_alpaca = {
  .name = "alpaca",
  .aliases = aliases,
  .endpoint = "https://data.alpaca.markets",
  .endpoint_env = "TICKLAKE_ALPACA_ENDPOINT",
  .key_env = "APCA_API_KEY_ID",
  .secret_env = "APCA_API_SECRET_KEY",
  .feeds = feeds,
  .adjustments = adjustments,
  .page_limit_max = 10000,
  .rate_per_minute = 200,     /* the free plan; paid plans say more in X-RateLimit-Limit */
  .symbols_per_ask_max = 500, /* keeps the request line under the 8 KB that web servers take */
  .history_start_ns = INT64_C(1451624400) * TL_NS_PER_S, /* 2016-01-01 New York */
  .fresh_delay_ns = INT64_C(16) * 60 * TL_NS_PER_S,      /* the rule says 15 minutes; one more for the clock's error */
  .url = tl_alpaca_url,
  .headers = tl_alpaca_headers,
  .page = tl_alpaca_page,
  .refusal = tl_alpaca_refusal,
  .symbol_ok = tl_alpaca_symbol_ok,
};
