/* sql_tokens.c - see sql_tokens.h. */
#include "serve/sql_tokens.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80; }
static bool is_space(char c) { return c && strchr(" \t\r\n\f\v", c); }

static const char *blank_end(const char *at) {
  if (at[0] == '-' && at[1] == '-') return at + strcspn(at, "\n");
  if (at[0] != '/' || at[1] != '*') {
    while (is_space(*at)) at++;
    return at;
  }
  for (size_t depth = 0; *at;) {
    if (at[0] == '/' && at[1] == '*') depth++, at += 2;
    else if (at[0] == '*' && at[1] == '/') depth--, at += 2;
    else at++;
    if (!depth) break;
  }
  return at;
}

/* at stands on the opening quote; a doubled one is part of the text. */
static const char *quoted_end(const char *at, bool backslashes) {
  char quote = *at++;
  for (; *at; at++) {
    if (backslashes && at[0] == '\\' && at[1]) at++;
    else if (*at == quote && at[1] == quote) at++;
    else if (*at == quote) return at + 1;
  }
  return at;
}

/* $$text$$ or $tag$text$tag$; at itself when it is neither. */
static const char *dollar_end(const char *at) {
  size_t len = 1;
  if (!isdigit((unsigned char)at[1]))
    while (is_word(at[len])) len++;
  if (at[len] != '$') return at;
  len++;
  for (const char *end = at + len; *end; end++)
    if (*end == '$' && !strncmp(end, at, len)) return end + len;
  return at + strlen(at);
}

tl_token tl_token_next(const char *at) {
  const char *end = at;
  tl_token token = {.at = at};
  if (!*at) return token;
  token.kind = TL_TOKEN_OTHER;
  if (is_space(*at) || (at[0] == '-' && at[1] == '-') || (at[0] == '/' && at[1] == '*')) {
    token.kind = TL_TOKEN_BLANK;
    end = blank_end(at);
  } else if ((*at == 'e' || *at == 'E') && at[1] == '\'') {
    end = quoted_end(at + 1, true);
  } else if (is_word(*at)) {
    token.kind = TL_TOKEN_WORD;
    while (is_word(*end) || *end == '$') end++;
  } else if (*at == '\'') {
    token.kind = TL_TOKEN_TEXT;
    end = quoted_end(at, false);
  } else if (*at == '"') {
    end = quoted_end(at, false);
  } else if (*at == '$') {
    end = dollar_end(at);
  }
  token.len = end > at ? (size_t)(end - at) : 1;
  return token;
}

tl_token tl_token_after(const char *at) {
  tl_token token = tl_token_next(at);
  while (token.kind == TL_TOKEN_BLANK) token = tl_token_next(token.at + token.len);
  return token;
}

bool tl_token_is(const tl_token *token, const char *word) {
  return token->len == strlen(word) && !strncasecmp(token->at, word, token->len);
}
