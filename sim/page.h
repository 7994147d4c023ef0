/* page.h - a page in the making: rows as JSON text, the limit over all symbols, the token that leads on. */
#ifndef TL_SIM_PAGE_H
#define TL_SIM_PAGE_H
#include "base/buf.h"
#include "sim/bars.h"

/* Members in the order the vendor writes them. Each reserves what it needs. */
tl_status sim_row_put(tl_buf *out, const sim_row *row, tl_error *err);
tl_status sim_trade_put(tl_buf *out, const sim_trade *trade, char tape, tl_error *err);
tl_status sim_quote_put(tl_buf *out, const sim_quote *quote, char tape, tl_error *err);

typedef struct sim_token { /* where a page starts: the text inside the base64, taken apart */
  bool present;
  char symbol[SIM_NAME_MAX + 1];
  int64_t t_ns;
  bool after;         /* the row at t_ns was delivered */
  char exchange;      /* trades */
  uint64_t id;        /* trades: the id; quotes: index within its minute */
} sim_token;

enum { SIM_TOKEN_BARS, SIM_TOKEN_TRADES, SIM_TOKEN_QUOTES };
/* False when it is not one of ours. */
bool sim_token_parse(const char *base64, size_t len, int kind, bool old_form, bool descending, sim_token *out);
/* Writes base64 text and NUL; room for 200 bytes. `unit` is the letter of bar tokens. */
void sim_token_print(char *to, const sim_token *token, int kind, char unit, bool old_form, bool descending);
#endif
