/* Any bytes as JSON: refused with a reason, or the tree, written by our writer, reads back as the same tree. */
#include "json/read.h"
#include "json/write.h"
#include "market/number.h"
#include "tests/fuzz/check.h"

/* Keys with a NUL cannot be written by name. */
static bool writable(tl_text key) { return !key.data || !memchr(key.data, 0, key.len); }

static bool put(tl_json_writer *w, const char *key, const tl_json_value *value) {
  tl_text text, name;
  bool truth, all = true;
  const tl_json_value *item;
  size_t count = 0;
  tl_json_iter iter = tl_json_iter_of(value);
  double number;
  switch (tl_json_type_of(value)) {
  case TL_JSON_STRING:
    check(tl_json_string(value, &text) && text.data[text.len] == 0, "a string without its end");
    tl_json_put_bytes(w, key, text.data, text.len);
    break;
  case TL_JSON_NUMBER:
    check(tl_json_number(value, &text), "a number without text");
    tl_number_status st = tl_number_f64(text.data, text.len, &number);
    check(st == TL_NUMBER_OK || st == TL_NUMBER_RANGE, "a number that number.h does not read");
    if (st == TL_NUMBER_RANGE) number = 0;
    tl_json_put_f64(w, key, number);
    break;
  case TL_JSON_BOOL:
    check(tl_json_bool(value, &truth), "no truth in it");
    tl_json_put_bool(w, key, truth);
    break;
  case TL_JSON_ARRAY:
  case TL_JSON_OBJECT:
    if (tl_json_type_of(value) == TL_JSON_ARRAY) tl_json_put_array(w, key);
    else tl_json_put_object(w, key);
    while (tl_json_iter_next(&iter, &name, &item)) {
      count++;
      if (writable(name)) all &= put(w, iter.is_object ? name.data : NULL, item);
      else all = false;
    }
    check(count == tl_json_count(value), "another count");
    tl_json_put_close(w);
    break;
  case TL_JSON_NULL: tl_json_put_null(w, key); break;
  case TL_JSON_NONE: check(false, "a value that is none");
  }
  return all;
}

static bool same(const tl_json_value *a, const tl_json_value *b) {
  if (tl_json_type_of(a) != tl_json_type_of(b) || tl_json_count(a) != tl_json_count(b)) return false;
  tl_text x, y, p, q;
  double m = 0, n = 0;
  if (tl_json_string(a, &x)) return tl_json_string(b, &y) && tl_text_equal(x, y);
  if (tl_json_number(a, &x) && tl_json_number(b, &y)) {
    if (tl_number_f64(x.data, x.len, &m) == TL_NUMBER_RANGE) m = 0;
    return tl_number_f64(y.data, y.len, &n) == TL_NUMBER_OK && m == n;
  }
  tl_json_iter i = tl_json_iter_of(a), j = tl_json_iter_of(b);
  const tl_json_value *c, *d;
  while (tl_json_iter_next(&i, &p, &c))
    if (!tl_json_iter_next(&j, &q, &d) || !tl_text_equal(p, q) || !same(c, d)) return false;
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tl_json *json = NULL, *again = NULL;
  tl_error err = {0};
  tl_status st = tl_json_open((const char *)data, size, 0, &json, &err);
  check(st == TL_OK || st == TL_EDECODE || st == TL_ELIMIT, "a status nobody promised");
  if (st) {
    check(err.message[0] && !json, "a refusal without a reason");
    return 0;
  }
  tl_buf text = {0};
  /* The writer nests 63 deep, one less than the reader takes. */
  unsigned depth = 0, deepest = 0;
  bool quoted = false;
  for (size_t i = 0; i < size; i++) {
    if (quoted && data[i] == '\\') i++;
    else if (data[i] == '"') quoted = !quoted;
    else if (!quoted && (data[i] == '[' || data[i] == '{')) deepest = ++depth > deepest ? depth : deepest;
    else if (!quoted && (data[i] == ']' || data[i] == '}')) depth--;
  }
  if (deepest < 60) {
    tl_json_writer w = tl_json_writer_of(&text, NULL);
    bool all = put(&w, NULL, tl_json_root(json));
    check(tl_json_writer_end(&w) == TL_OK, "the writer failed");
    check(tl_json_open(text.data, text.len, 0, &again, NULL) == TL_OK, "what we wrote does not read");
    check(!all || same(tl_json_root(json), tl_json_root(again)), "what we wrote reads differently");
  }
  tl_buf_deinit(&text);
  tl_json_close(again);
  tl_json_close(json);
  return 0;
}
