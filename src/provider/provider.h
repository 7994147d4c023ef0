/* provider.h - what a market-data vendor is to the engine: knowledge, no machinery.
 *
 * A provider says how to ask (url, headers), how to read a page of rows, how to read a refusal, and what its limits
 * are. It owns no socket, clock or file; page() is a pure function of bytes. Adding one touches its own folder and one
 * row of registry.c. Thread-safe: all functions may run on any number of threads at once. */
#ifndef TL_PROVIDER_PROVIDER_H
#define TL_PROVIDER_PROVIDER_H
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "batch/batch.h"
#include "batch/words.h"
#include "market/dataset.h"
#include "market/time.h"

typedef struct tl_ask { /* one request chain: everything but the page token */
  tl_wire wire;
  tl_interval interval;       /* wire bars only */
  const char *const *symbols; /* as the vendor spells them */
  size_t symbol_count;
  tl_range range;             /* half-open; the provider turns it into its own convention */
  uint32_t page_limit;
  const char *feed, *adjustment, *asof, *currency; /* NULL or "" = the vendor's default; feed is always set */
} tl_ask;

typedef struct tl_reject { /* a row that broke its contract */
  const char *symbol;      /* borrowed from the page's text arena */
  tl_text row;             /* the row as it came */
  char reason[120];
} tl_reject;

typedef struct tl_page { /* one decoded page; reuse one per worker: memory is kept between pages */
  tl_batch batch;        /* rows of all symbols in the vendor's order */
  tl_run *runs;          /* one per symbol, in order of the page; a symbol without rows has none */
  size_t run_count, run_max;
  tl_reject *rejects;
  size_t reject_count, reject_max;
  tl_buf names;          /* symbols of the runs and rejects, NUL-terminated, point in here */
  tl_buf token;          /* next page's token, empty when this is the last page */
  tl_words *words;       /* borrowed: codes of the batch */
  void *scratch;         /* provider's own caches; freed by tl_page_deinit */
} tl_page;

void tl_page_init(tl_page *page, tl_words *words);
void tl_page_clear(tl_page *page, tl_kind kind); /* empty, ready for rows of this kind */
void tl_page_deinit(tl_page *page);
size_t tl_page_rows(const tl_page *page); /* rows that belong to a run; the batch may hold more (see decode/) */

/* For decoders: while a page is built, symbols and rows are borrowed from the ask and the body; seal copies them into
 * `names`, once, when the page is whole. */
tl_status tl_page_add_run(tl_page *page, const char *symbol, size_t begin, size_t end, tl_error *err);
tl_status tl_page_add_reject(tl_page *page, const char *symbol, tl_text row, const char *reason, tl_error *err);
tl_status tl_page_seal(tl_page *page, tl_error *err);

typedef struct tl_refusal { /* what an answer other than 200 says */
  char text[200];           /* the vendor's own message, one line, no tags */
  char symbol[64];          /* the symbol it complains of, "" when it names none */
  bool bad_symbol;          /* the batch was refused for one bad symbol */
} tl_refusal;

typedef struct tl_provider {
  const char *name;               /* "alpaca" */
  const char *const *aliases;     /* NULL-terminated */
  const char *endpoint;           /* default https://host */
  const char *endpoint_env;       /* "TICKLAKE_ALPACA_ENDPOINT" */
  const char *key_env, *secret_env;
  const char *const *feeds;       /* allowed, lower case, NULL-terminated; the first is the default */
  const char *const *adjustments; /* likewise */
  uint32_t page_limit_max, rate_per_minute, symbols_per_ask_max;
  int64_t history_start_ns, fresh_delay_ns; /* nothing before; ranges that end younger than this are refused or partial */
  /* Appends the absolute path and query ("/v2/stocks/bars?..."); token NULL for the first page. */
  tl_status (*url)(const tl_ask *ask, const char *token, tl_buf *url, tl_error *err);
  /* Appends "Name: value\n" lines that carry the credentials. Secret: goes to the transport only. */
  tl_status (*headers)(const char *key, const char *secret, tl_buf *lines, tl_error *err);
  /* Decodes a page of this wire. TL_EDECODE names the byte position and leaves the page empty. */
  tl_status (*page)(const tl_ask *ask, const char *body, size_t len, tl_page *out, tl_error *err);
  void (*refusal)(int http_code, const char *body, size_t len, tl_refusal *out);
  /* A symbol this vendor can be asked for at all; false puts the reason into err. */
  bool (*symbol_ok)(const char *symbol, tl_error *err);
} tl_provider;

const tl_provider *tl_provider_find(const char *name); /* by name or alias, any letter case; NULL when unknown */
const tl_provider *tl_provider_at(size_t index);       /* NULL past the last */
#endif
