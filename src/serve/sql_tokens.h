/* sql_tokens.h - SQL text as tokens, as far as finding a call in it needs. Pure; understands 'text' with '' inside,
 * E'text', $tag$text$tag$, "names", -- and nested comments. What is not closed ends with the text: DuckDB will say so. */
#ifndef TL_SERVE_SQL_TOKENS_H
#define TL_SERVE_SQL_TOKENS_H
#include <stdbool.h>
#include <stddef.h>

typedef enum tl_token_kind {
  TL_TOKEN_END,
  TL_TOKEN_BLANK, /* white space and comments */
  TL_TOKEN_WORD,  /* names without quotes, key words, numbers */
  TL_TOKEN_TEXT,  /* '...' */
  TL_TOKEN_OTHER  /* one character, a quoted name, or text of another form */
} tl_token_kind;

typedef struct tl_token {
  tl_token_kind kind;
  const char *at;
  size_t len;
} tl_token;

tl_token tl_token_next(const char *at);
tl_token tl_token_after(const char *at); /* the first at or after `at` that is not BLANK */
bool tl_token_is(const tl_token *token, const char *word); /* in any letter case */
#endif
