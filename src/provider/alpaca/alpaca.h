/* alpaca.h - the functions behind the Alpaca row of registry.c, and the plain page decoder for tests.
 * Only registry.c, this folder, its tests and its benchmark include this. */
#ifndef TL_PROVIDER_ALPACA_ALPACA_H
#define TL_PROVIDER_ALPACA_ALPACA_H
#include "provider/provider.h"

extern const tl_provider tl_alpaca;

tl_status tl_alpaca_url(const tl_ask *ask, const char *token, tl_buf *url, tl_error *err);
tl_status tl_alpaca_headers(const char *key, const char *secret, tl_buf *lines, tl_error *err);
tl_status tl_alpaca_page(const tl_ask *ask, const char *body, size_t len, tl_page *out, tl_error *err);
void tl_alpaca_refusal(int http_code, const char *body, size_t len, tl_refusal *out);
bool tl_alpaca_symbol_ok(const char *symbol, tl_error *err);

/* The same function as tl_alpaca_page, by way of a general JSON parser: slow, short, and the measure of the other. */
tl_status tl_alpaca_page_plain(const tl_ask *ask, const char *body, size_t len, tl_page *out, tl_error *err);
#endif
