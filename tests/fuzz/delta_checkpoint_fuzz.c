/* Any bytes as _last_checkpoint, and as the values of a checkpoint's rows (fields divided by bytes 0x01, rows by 0x02):
 * refused with a reason, or actions that a state takes and that are written as lines which parse to the same. */
#include "base/alloc.h"
#include "table/delta/checkpoint.h"
#include "tests/fuzz/check.h"

typedef struct input {
  const char *at, *end;
} input;

static tl_text next(input *in) { /* data NULL: null, or nothing is left */
  if (in->at >= in->end) return (tl_text){0};
  const char *stop = memchr(in->at, 1, (size_t)(in->end - in->at));
  if (!stop) stop = in->end;
  tl_text text = tl_text_of(in->at, (size_t)(stop - in->at));
  in->at = stop < in->end ? stop + 1 : stop;
  return text.len == 1 && text.data[0] == '-' ? (tl_text){0} : text;
}

static int64_t number(input *in) {
  tl_text text = next(in);
  if (!text.data) return INT64_MIN;
  uint64_t value = 0;
  for (size_t i = 0; i < text.len; i++) value = value * 256 + (uint8_t)text.data[i];
  return (int64_t)value;
}

static size_t words(input *in, tl_delta_words *out, size_t max) {
  tl_text count = next(in);
  size_t wanted = count.len ? (uint8_t)count.data[0] % (max + 1) : 0;
  for (size_t i = 0; i < wanted; i++) out[i] = (tl_delta_words){next(in), next(in)};
  return wanted;
}

enum { WORDS_MAX = 4 };

static void row_of(input *in, tl_delta_words store[3][WORDS_MAX], tl_delta_row *row) {
  *row = tl_delta_row_null;
  tl_text kind = next(in);
  switch (kind.len ? kind.data[0] : 0) {
    case 't':
      row->txn_app = next(in);
      row->txn_version = number(in);
      row->txn_updated = number(in);
      break;
    case 'a':
      row->add_path = next(in);
      row->add_size = number(in);
      row->add_modified = number(in);
      row->stats = next(in);
      row->tag_count = words(in, store[1], WORDS_MAX);
      row->tags = store[1];
      break;
    case 'r':
      row->remove_path = next(in);
      row->remove_size = number(in);
      row->remove_deleted = number(in);
      break;
    case 'm':
      row->is_metadata = true;
      row->id = next(in);
      row->name = next(in);
      row->schema = next(in);
      row->provider = next(in);
      row->created = number(in);
      row->partition_column_count = words(in, store[1], WORDS_MAX);
      row->partition_columns = store[1];
      row->configuration_count = words(in, store[2], WORDS_MAX);
      row->configuration = store[2];
      break;
    case 'p':
      row->is_protocol = true;
      row->reader = number(in);
      row->writer = number(in);
      row->reader_feature_count = words(in, store[1], WORDS_MAX);
      row->reader_features = store[1];
      break;
    default: break;
  }
  row->has_partition = next(in).data != NULL;
  row->partition_count = row->has_partition ? words(in, store[0], WORDS_MAX) : 0;
  row->partition = store[0];
}

static bool is_utf8(const char *text) {
  size_t step, len = text ? strlen(text) : 0;
  for (size_t at = 0; at < len; at += step)
    if (!(step = tl_utf8_length(text + at, len - at))) return false;
  return true;
}

static bool file_is_utf8(const tl_delta_file *f) { /* JSON holds nothing else */
  bool ok = is_utf8(f->path) && is_utf8(f->stats);
  for (size_t i = 0; i < f->partition_count; i++) ok &= is_utf8(f->partition[i].key) && is_utf8(f->partition[i].value);
  for (size_t i = 0; i < f->tag_count; i++) ok &= is_utf8(f->tags[i].key) && is_utf8(f->tags[i].value);
  return ok;
}

static void check_lines(const tl_delta_actions *actions) {
  for (size_t i = 0; i < actions->file_count; i++) {
    tl_buf text = {0};
    tl_delta_actions back = {.version = actions->version};
    tl_error err = {0};
    check(tl_delta_put_file(&text, actions->files[i], &err) == TL_OK, "a file cannot be written");
    if (file_is_utf8(actions->files[i])) {
      check(tl_delta_parse("again", tl_text_of(text.data, text.len), &back, &err) == TL_OK && back.file_count == 1, "what we wrote does not parse");
      check(actions->files[i]->has_vector || tl_delta_file_equal(actions->files[i], back.files[0]), "a file reads differently");
    }
    tl_delta_actions_deinit(&back);
    tl_buf_deinit(&text);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int64_t live = tl_alloc_live();
  tl_delta_hint hint;
  if (size && tl_delta_hint_parse(tl_text_of((const char *)data, size), &hint)) check(hint.version >= 0 && hint.parts >= 0, "a hint below zero");
  tl_delta_actions actions = {.version = 7};
  tl_delta_state state;
  tl_error err = {0};
  const char *at = (const char *)data, *end = at + size;
  while (size && at < end) {
    const char *stop = memchr(at, 2, (size_t)(end - at));
    if (!stop) stop = end;
    input in = {at, stop};
    tl_delta_words store[3][WORDS_MAX];
    tl_delta_row row;
    row_of(&in, store, &row);
    tl_status st = tl_delta_row_apply(&row, &actions, &err);
    check(st == TL_OK || ((st == TL_ECORRUPT || st == TL_EUSAGE) && err.message[0]), "a status nobody promised");
    at = stop + 1;
  }
  check_lines(&actions);
  tl_delta_state_init(&state);
  check(tl_delta_state_apply(&state, &actions, &err) == TL_OK, "actions cannot be applied");
  tl_delta_actions_deinit(&actions);
  tl_delta_state_deinit(&state);
  check(tl_alloc_live() == live, "memory is left over");
  return 0;
}
