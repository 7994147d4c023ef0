/* rows.h - what Alpaca's records mean: members, their columns, and the rules that make a row a row or a reject.
 * Used by both decoders for everything that is not plain parsing: the general one (plain.c) for each row, the quick
 * one (page.c) for each row that is not in the usual form.
 *     t time, o h l c p prices: a bar without t or a price, a trade without t or p, a quote without t is a reject
 *     other members: absent or null is NULL
 *     prices: numbers >= 0; counts and sizes: whole numbers >= 0 below 2^63, in any spelling (123, 123.0, 1.23e2)
 *     texts: at most 255 bytes; conditions: a list of texts or one text, at most 4096 bytes in all
 *     a known member twice in a row: reject; an unknown member: ignored
 * A reject names the first broken rule in the order of the text, missing members last. */
#ifndef TL_PROVIDER_ALPACA_ROWS_H
#define TL_PROVIDER_ALPACA_ROWS_H
#include "provider/provider.h"

enum { ALPACA_MEMBERS_MAX = TL_COLUMNS_MAX, ALPACA_LIST_BYTES_MAX = 4096, ALPACA_TOKEN_BYTES_MAX = 4096 };

typedef enum alpaca_form { ALPACA_TIME, ALPACA_PRICE, ALPACA_COUNT, ALPACA_WORD, ALPACA_LIST } alpaca_form;

typedef struct alpaca_member {
  const char *key;
  int column;
  alpaca_form form;
  bool required;
} alpaca_member;

typedef struct alpaca_wire {
  const char *key; /* "bars" */
  tl_kind kind;
  alpaca_member members[ALPACA_MEMBERS_MAX + 1]; /* ends with key NULL */
} alpaca_wire;

const alpaca_wire *alpaca_wire_of(tl_wire wire);

typedef enum alpaca_type { ALPACA_NULL, ALPACA_BOOL, ALPACA_NUMBER, ALPACA_STRING, ALPACA_ARRAY, ALPACA_OBJECT } alpaca_type;

typedef struct alpaca_row { /* the row under construction; keep one for a whole page */
  tl_page *page;
  const alpaca_wire *wire;
  uint32_t seen, filled; /* bits by column */
  char reason[120];      /* "" while the row is good */
  tl_buf list;           /* conditions so far */
} alpaca_row;

void alpaca_row_deinit(alpaca_row *row);
tl_status alpaca_row_begin(alpaca_row *row, tl_error *err); /* makes room in the batch */
void alpaca_row_refuse(alpaca_row *row, const char *format, ...) TL_PRINTF(2, 3);

/* The member a key names; NULL when it is unknown. Notes a member that comes twice. */
const alpaca_member *alpaca_row_member(alpaca_row *row, const char *key, size_t len);

/* A value that is no list: text is the number's text or the string's content. Fails only for want of memory or room
 * in the pool of words; a value that breaks a rule makes the row a reject. */
tl_status alpaca_row_set(alpaca_row *row, const alpaca_member *member, alpaca_type type, tl_text text, tl_error *err);

/* A list: begin, each item, end. */
void alpaca_row_list_begin(alpaca_row *row);
tl_status alpaca_row_list_item(alpaca_row *row, const alpaca_member *member, alpaca_type type, tl_text text, tl_error *err);
tl_status alpaca_row_list_end(alpaca_row *row, const alpaca_member *member, tl_error *err);

/* Adds the row to the batch and *taken = true, or `raw` to the rejects. */
tl_status alpaca_row_end(alpaca_row *row, const char *symbol, tl_text raw, bool *taken, tl_error *err);

/* The asked symbol with these bytes; NULL when it was not asked for. hint: where the last one was found. */
const char *alpaca_asked_symbol(const tl_ask *ask, const char *name, size_t len, size_t *hint);
#endif
