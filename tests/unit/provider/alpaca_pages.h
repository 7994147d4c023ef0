/* alpaca_pages.h - pages of every documented form, for tests: a seeded generator, a mutator, and the comparison of two
 * decoded pages. Header only; each test program includes it once. */
#ifndef TL_TESTS_ALPACA_PAGES_H
#define TL_TESTS_ALPACA_PAGES_H
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "provider/provider.h"

static const char *const page_symbols[] = {"AAA", "BB", "BRK.B", "ZZZ"};

typedef struct page_maker {
  tl_prng prng;
  tl_buf out;
  bool odd;   /* odd spellings, bad values, unknown members among the rows */
  bool sound; /* but only what is JSON */
} page_maker;

static inline bool maker_chance(page_maker *m, unsigned one_in) { return tl_prng_below(&m->prng, one_in) == 0; }
static inline unsigned maker_below(page_maker *m, unsigned bound) { return (unsigned)tl_prng_below(&m->prng, bound); }
static inline void maker_put(page_maker *m, const char *text) { tl_buf_appends(&m->out, text, NULL); }
#define maker_putf(m, ...) (void)tl_buf_appendf(&(m)->out, NULL, __VA_ARGS__)
#define maker_pick(m, list) (list)[maker_below(m, sizeof(list) / sizeof(list)[0])]

static inline void maker_space(page_maker *m) {
  static const char *const spaces[] = {" ", "\n", "\t", "\r\n ", "  "};
  if (m->odd && maker_chance(m, 40)) maker_put(m, maker_pick(m, spaces));
}

static inline void maker_key(page_maker *m, const char *key) {
  maker_space(m);
  if (m->odd && maker_chance(m, 60)) maker_putf(m, "\"\\u00%02x%s\"", (unsigned)key[0], key + 1);
  else maker_putf(m, "\"%s\"", key);
  maker_space(m);
  maker_put(m, ":");
  maker_space(m);
}

static inline void maker_odd_value(page_maker *m) {
  static const char *const values[] = {
    "null", "true", "\"text\"", "\"\"", "[]", "{}", "-1", "-0", "1e400", "1e-400", "0.1", "12.50", "1.5e1", "123.0", "1.23e+07", "100E-2",
    "9223372036854775807", "9223372036854775808", "18446744073709551615", "0.30000000000000004", "123456789012345678", "99999999",
    "12345678", "1234567.1234567", "12345678.5", "0.00000001", "0.123456789012", "[\"A\",1]", "{\"a\":[1,{\"b\":null}]}", "[null]",
    "\"a\\u0041\\n\\ud83d\\ude00\"", "\"\xc3\xa9\"", "0",
    "01", "1.", ".5", "+1", "1e", "-", "\"\\ud800\"", "\"\\x\"", "\"\xff\"", "tru", "00",
  };
  unsigned count = sizeof values / sizeof values[0], broken = 11; /* the last ones */
  maker_put(m, values[maker_below(m, m->sound ? count - broken : count)]);
}

static inline void maker_price(page_maker *m) {
  if (m->odd && maker_chance(m, 40)) { maker_odd_value(m); return; }
  unsigned decimals = maker_below(m, 7), whole = maker_below(m, maker_chance(m, 20) ? 1000000u : 900u);
  maker_putf(m, "%u", whole);
  if (!decimals) return;
  maker_put(m, ".");
  for (unsigned i = 0; i < decimals; i++) maker_putf(m, "%u", maker_below(m, 10));
}

static inline void maker_count(page_maker *m) {
  if (m->odd && maker_chance(m, 40)) { maker_odd_value(m); return; }
  if (maker_chance(m, 10)) maker_putf(m, "%llu", (unsigned long long)tl_prng_below(&m->prng, 60000000000000));
  else maker_putf(m, "%u", maker_below(m, 5000));
}

static inline void maker_letter(page_maker *m) {
  static const char letters[] = "ABCDKNPQVXZ ";
  if (m->odd && maker_chance(m, 40)) { maker_odd_value(m); return; }
  maker_putf(m, "\"%c\"", letters[maker_below(m, sizeof letters - 1)]);
}

static inline void maker_conditions(page_maker *m) {
  static const char *const lists[] = {"[\"@\"]", "[\" \"]", "[\"@\",\"I\"]", "[\"@\",\"F\",\"T\",\"I\"]", "[]", "[\"R\"]", "[ \"@\" , \"T\" ]",
                                      "[\"]\"]", "\"@\"", "\"\"", "[\"\\u0040\"]", "null", "[\"@\",\"]\",\"[\"]"};
  if (m->odd && maker_chance(m, 40)) { maker_odd_value(m); return; }
  if (m->odd) maker_put(m, maker_pick(m, lists));
  else maker_put(m, lists[maker_below(m, 4)]);
}

static inline void maker_time(page_maker *m) {
  if (m->odd && maker_chance(m, 40)) { maker_odd_value(m); return; }
  unsigned digits = maker_below(m, 10);
  if (!maker_chance(m, 3)) maker_putf(m, "\"2024-03-08T14:3%u:%02u", maker_chance(m, 20), maker_below(m, 60)); /* as ticks lie */
  else maker_putf(m, "\"2024-%02u-%02uT%02u:%02u:%02u", 1 + maker_below(m, 12), 1 + maker_below(m, m->odd ? 31 : 28), maker_below(m, 24),
             maker_below(m, 60), maker_below(m, m->odd && maker_chance(m, 50) ? 62 : 60));
  if (digits) maker_put(m, ".");
  for (unsigned i = 0; i < digits; i++) maker_putf(m, "%u", maker_below(m, 10));
  static const char *const zones[] = {"Z", "z", "+00:00", "-05:00", "+0530", "", "+05"};
  maker_put(m, m->odd && maker_chance(m, 20) ? maker_pick(m, zones) : "Z");
  maker_put(m, "\"");
}

/* p price, n count, w letter, c conditions, t time; one letter per key */
static inline void maker_value(page_maker *m, char form) {
  switch (form) {
  case 'p': maker_price(m); break;
  case 'n': maker_count(m); break;
  case 'w': maker_letter(m); break;
  case 'c': maker_conditions(m); break;
  case 't': maker_time(m); break;
  default: maker_odd_value(m);
  }
}

typedef struct maker_form {
  const char *data, *keys[10], *forms;
} maker_form;
static const maker_form maker_forms[] = {
  [TL_WIRE_BARS] = {"bars", {"t", "o", "h", "l", "c", "v", "n", "vw"}, "tppppnnp"},
  [TL_WIRE_TRADES] = {"trades", {"t", "x", "p", "s", "c", "i", "z", "u"}, "twpncnww"},
  [TL_WIRE_QUOTES] = {"quotes", {"t", "ax", "ap", "as", "bx", "bp", "bs", "c", "z"}, "twpnwpncw"},
};

static inline void maker_row(page_maker *m, tl_wire wire, const unsigned *order, unsigned count) {
  const maker_form *form = &maker_forms[wire];
  if (m->odd && maker_chance(m, 400)) { maker_odd_value(m); return; } /* not even an object */
  maker_put(m, "{");
  bool first = true;
  for (unsigned i = 0; i < count; i++) {
    unsigned k = order[i];
    if (form->keys[k][0] == 'u' && !maker_chance(m, 10)) continue;
    if (m->odd && maker_chance(m, 30)) continue;
    if (!first) maker_put(m, ",");
    first = false;
    maker_key(m, form->keys[k]);
    maker_value(m, form->forms[k]);
    if (m->odd && maker_chance(m, 50)) {
      static const char *const others[] = {"q", "tt", "a", "", "vwx", "r\\u0020", "t", "c", "p"};
      maker_putf(m, ",\"%s\":", maker_pick(m, others));
      maker_odd_value(m);
    }
  }
  maker_space(m);
  maker_put(m, "}");
}

static inline void maker_rows(page_maker *m, tl_wire wire, unsigned rows) {
  unsigned order[9], count = (unsigned)strlen(maker_forms[wire].forms), kind = maker_below(m, 3);
  for (unsigned i = 0; i < count; i++) order[i] = i; /* as documented */
  for (unsigned i = 0; i < count; i++)
    for (unsigned j = i + 1; j < count; j++) {
      bool swap = kind == 1   ? strcmp(maker_forms[wire].keys[order[j]], maker_forms[wire].keys[order[i]]) < 0 /* alphabetical */
                  : kind == 2 ? maker_chance(m, 2)
                              : false;
      unsigned held = order[i];
      if (swap) order[i] = order[j], order[j] = held;
    }
  maker_put(m, "[");
  for (unsigned i = 0; i < rows; i++) {
    if (i) maker_put(m, ",");
    maker_space(m);
    maker_row(m, wire, order, count);
    maker_space(m);
  }
  maker_put(m, "]");
}

static inline void maker_data(page_maker *m, tl_wire wire, unsigned rows_max) {
  if (maker_chance(m, 12)) { maker_put(m, maker_chance(m, 2) ? "null" : "{}"); return; }
  if (m->odd && maker_chance(m, 8)) { maker_rows(m, wire, maker_below(m, rows_max + 1)); return; }
  if (m->odd && maker_chance(m, 60)) { maker_odd_value(m); return; }
  maker_put(m, "{");
  unsigned symbols = maker_below(m, 4);
  for (unsigned i = 0; i < symbols; i++) {
    if (i) maker_put(m, ",");
    maker_key(m, m->odd && maker_chance(m, 60) ? "NOPE" : page_symbols[m->odd ? maker_below(m, 4) : i]);
    if (m->odd && maker_chance(m, 20)) maker_odd_value(m);
    else maker_rows(m, wire, maker_below(m, rows_max + 1));
  }
  maker_put(m, "}");
}

static inline void maker_token(page_maker *m) {
  static const char *const tokens[] = {"null", "\"QUFBfE18MTcwNA==\"", "\"a\\/b\"", "\"\"", "\"\\u0000\"", "7", "\"QQ\""};
  maker_put(m, m->odd && maker_chance(m, 3) ? maker_pick(m, tokens) : tokens[maker_below(m, 2)]);
}

/* A page of this wire into m->out. */
static inline void maker_page(page_maker *m, tl_wire wire, unsigned rows_max) {
  static const char *const extras[] = {"currency\":\"EUR\"", "symbol\":\"BB\"", "symbol\":null", "x\":{\"a\":[]}", "next_page_token\":null",
                                       "symbol\":3", "y\":1e5"};
  tl_buf_clear(&m->out);
  maker_space(m);
  maker_put(m, "{");
  bool token_first = maker_chance(m, 3), first = true;
  for (unsigned i = 0; i < 2; i++) {
    bool token = (i == 0) == token_first;
    if (m->odd && maker_chance(m, 40)) continue;
    if (!first) maker_put(m, ",");
    first = false;
    maker_key(m, token ? "next_page_token" : maker_forms[wire].data);
    if (token) maker_token(m);
    else maker_data(m, wire, rows_max);
    if (m->odd && maker_chance(m, 9)) maker_putf(m, ",\"%s", maker_pick(m, extras));
  }
  maker_put(m, "}");
  maker_space(m);
}

/* A few bytes changed, taken out, doubled, or the end cut off. */
static inline void maker_mutate(page_maker *m) {
  static const char bytes[] = "{}[]\",:.0123456789eE+-tfnu\\ \n\x00\x1f\x80\xff\xc3";
  for (unsigned n = 1 + maker_below(m, 3); n > 0 && m->out.len > 2; n--) {
    size_t at = (size_t)tl_prng_below(&m->prng, m->out.len), left = m->out.len - at;
    switch (maker_below(m, 5)) {
    case 0:
    case 1: m->out.data[at] = bytes[maker_below(m, sizeof bytes - 1)]; break;
    case 2: memmove(m->out.data + at, m->out.data + at + 1, left); m->out.len--; break;
    case 3:
      if (tl_buf_reserve(&m->out, 1, NULL)) break;
      memmove(m->out.data + at + 1, m->out.data + at, left);
      m->out.len++;
      break;
    default:
      if (maker_chance(m, 4)) m->out.len = at;
    }
  }
}

/* "" when both hold the same, else what differs. */
static inline const char *pages_differ(const tl_page *a, const tl_page *b) {
  if (a->batch.rows != b->batch.rows) return "count of rows";
  for (size_t row = 0; row < a->batch.rows; row++)
    if (!tl_batch_rows_equal(&a->batch, row, &b->batch, row)) return "a row";
  if (a->run_count != b->run_count) return "count of runs";
  for (size_t i = 0; i < a->run_count; i++)
    if (strcmp(a->runs[i].symbol, b->runs[i].symbol) != 0 || a->runs[i].begin != b->runs[i].begin || a->runs[i].end != b->runs[i].end)
      return "a run";
  if (a->reject_count != b->reject_count) return "count of rejects";
  for (size_t i = 0; i < a->reject_count; i++) {
    if (strcmp(a->rejects[i].symbol, b->rejects[i].symbol) != 0) return "a reject's symbol";
    if (strcmp(a->rejects[i].reason, b->rejects[i].reason) != 0) return "a reject's reason";
  }
  if (!tl_text_equal(tl_text_of(a->token.data, a->token.len), tl_text_of(b->token.data, b->token.len))) return "the token";
  return "";
}
#endif
