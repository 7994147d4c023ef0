/* index.c - index memberships: metadata/indices/NAME.csv with the columns symbol,added_date,removed_date. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "market/symbol.h"
#include "market/time.h"
#include "run/job.h"
#include "store/store.h"

enum { INDEX_BYTES_MAX = 64 << 20, NAME_BYTES_MAX = 100 };

typedef struct member {
  char *symbol, *added, *removed; /* removed "" while a member */
} member;

typedef struct members {
  member *items;
  size_t count, capacity;
} members;

static void members_deinit(members *list) {
  for (size_t i = 0; i < list->count; i++) {
    tl_free(list->items[i].symbol);
    tl_free(list->items[i].added);
    tl_free(list->items[i].removed);
  }
  tl_free(list->items);
  *list = (members){0};
}

static tl_status add_member(members *list, const char *symbol, const char *added, const char *removed, tl_error *err) {
  if (list->count == list->capacity) {
    size_t more = list->capacity ? list->capacity * 2 : 64;
    member *grown = tl_realloc_array(list->items, more, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot hold an index of %zu symbols", more);
    list->items = grown;
    list->capacity = more;
  }
  member m = {tl_strdup(symbol), tl_strdup(added), tl_strdup(removed)};
  list->items[list->count++] = m;
  return m.symbol && m.added && m.removed ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot hold symbol '%s'", symbol);
}

#define FOLDER "metadata/indices/"
enum { KEY_BYTES_MAX = sizeof FOLDER + NAME_BYTES_MAX + sizeof ".csv" };

static tl_status index_key(const char *name, char key[KEY_BYTES_MAX], tl_error *err) {
  bool ok = name[0] && name[0] != '.' && strlen(name) <= NAME_BYTES_MAX;
  for (const char *c = name; ok && *c; c++)
    ok = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("._-", *c);
  if (!ok) return tl_fail(err, TL_EUSAGE, "'%s' is no index name: letters, digits, '.', '_' and '-' only", name);
  snprintf(key, KEY_BYTES_MAX, FOLDER "%s.csv", name);
  return TL_OK;
}

/* One field of an RFC 4180 line into `field`; returns where the next one begins, NULL when the line is over (and *at
 * behind its end). */
static const char *csv_field(const char *p, const char *end, tl_buf *field, bool *line_over, tl_status *st, tl_error *err) {
  tl_buf_clear(field);
  bool quoted = p < end && *p == '"';
  if (quoted) p++;
  while (p < end) {
    if (quoted && *p == '"') {
      if (p + 1 < end && p[1] == '"') p++;
      else {
        quoted = false;
        p++;
        continue;
      }
    } else if (!quoted && (*p == ',' || *p == '\n' || *p == '\r')) {
      break;
    }
    if ((*st = tl_buf_append(field, p++, 1, err)) != TL_OK) return p;
  }
  *line_over = p >= end || *p != ',';
  if (end - p >= 2 && *p == '\r' && p[1] == '\n') p++;
  return p < end ? p + 1 : p;
}

static tl_status parse_members(const char *path, const tl_buf *text, members *out, tl_error *err) {
  const char *p = text->data ? text->data : "", *end = p + text->len;
  int columns[3] = {0, -1, -1}; /* symbol, added_date, removed_date: where the header puts them */
  static const char *const names[3] = {"symbol", "added_date", "removed_date"};
  tl_buf field = {0}, values[3] = {{0}, {0}, {0}};
  tl_status st = TL_OK;
  if (text->len >= 3 && !memcmp(p, "\xEF\xBB\xBF", 3)) p += 3;
  for (size_t line = 1; !st && p < end; line++) {
    for (int i = 0; i < 3; i++) tl_buf_clear(&values[i]);
    bool over = false, blank = true;
    for (int column = 0; !st && !over; column++) {
      p = csv_field(p, end, &field, &over, &st, err);
      if (field.len) blank = false;
      for (int i = 0; !st && i < 3; i++) {
        if (line == 1 && field.len && !strcmp(field.data, names[i])) columns[i] = column;
        if (line > 1 && columns[i] == column) st = tl_buf_append(&values[i], field.data, field.len, err);
      }
    }
    if (st || line == 1 || blank) continue;
    st = tl_symbol_check(values[0].data, values[0].len, err);
    if (st) st = tl_fail_within(err, TL_EUSAGE, "%s:%zu", path, line);
    else st = add_member(out, values[0].data, values[1].len ? values[1].data : "", values[2].len ? values[2].data : "", err);
  }
  tl_buf_deinit(&field);
  for (int i = 0; i < 3; i++) tl_buf_deinit(&values[i]);
  return st;
}

static tl_status load(const tl_run_lake *lake, const char *key, members *out, tl_error *err) {
  tl_buf text = {0};
  tl_status st = tl_store_get(lake->store, key, INDEX_BYTES_MAX, &text, NULL, err);
  if (!st) st = parse_members(key, &text, out, err);
  tl_buf_deinit(&text);
  return st;
}

static tl_status append_csv(tl_buf *out, const char *text, char after, tl_error *err) {
  bool quote = strpbrk(text, "\",\r\n") != NULL;
  tl_status st = quote ? tl_buf_append(out, "\"", 1, err) : TL_OK;
  for (; !st && *text; text++) st = tl_buf_append(out, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1, err);
  if (!st && quote) st = tl_buf_append(out, "\"", 1, err);
  return st ? st : tl_buf_append(out, &after, 1, err);
}

static tl_status save(const tl_run_lake *lake, const char *key, const members *list, tl_error *err) {
  tl_buf text = {0};
  tl_status st = tl_buf_appends(&text, "symbol,added_date,removed_date\n", err);
  for (size_t i = 0; !st && i < list->count; i++) {
    st = append_csv(&text, list->items[i].symbol, ',', err);
    if (!st) st = append_csv(&text, list->items[i].added, ',', err);
    if (!st) st = append_csv(&text, list->items[i].removed, '\n', err);
  }
  if (!st) st = tl_store_put(lake->store, key, text.data, text.len, TL_PUT_ANY, NULL, NULL, err);
  tl_buf_deinit(&text);
  return st;
}

static tl_status set_text(char **target, const char *text, tl_error *err) {
  char *copy = tl_strdup(text);
  if (!copy) return tl_fail(err, TL_ENOMEM, "cannot keep a date");
  tl_free(*target);
  *target = copy;
  return TL_OK;
}

/* Known symbols keep their added_date; who is gone gets a removed_date, who came back loses it. */
static tl_status merge(members *list, const tl_symbols *wanted, const char *now, tl_error *err) {
  tl_symbols known = {0};
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < list->count; i++) {
    member *m = &list->items[i];
    bool stays = tl_symbols_find(wanted, m->symbol, strlen(m->symbol), NULL);
    if (!stays && !m->removed[0]) st = set_text(&m->removed, now, err);
    if (!st && stays && m->removed[0]) st = set_text(&m->removed, "", err);
    if (!st) st = tl_symbols_add(&known, m->symbol, strlen(m->symbol), err);
  }
  for (size_t i = 0; !st && i < wanted->count; i++)
    if (!tl_symbols_find(&known, wanted->items[i], strlen(wanted->items[i]), NULL))
      st = add_member(list, wanted->items[i], now, "", err);
  tl_symbols_deinit(&known);
  return st;
}

tl_status tl_run_index_store(tl_run_lake *lake, const char *name, const char *symbols, tl_error *err) {
  char key[KEY_BYTES_MAX], now[TL_TIME_TEXT_MAX];
  members list = {0};
  tl_symbols wanted = {0};
  tl_time_format(tl_clock_now_ns(), 0, now);
  tl_status st = index_key(name, key, err);
  if (!st) st = tl_run_symbols_parse(lake, symbols, &wanted, err);
  if (!st) st = load(lake, key, &list, err);
  if (st == TL_ENOTFOUND) st = TL_OK;
  if (!st) st = merge(&list, &wanted, now, err);
  if (!st) st = save(lake, key, &list, err);
  tl_symbols_deinit(&wanted);
  members_deinit(&list);
  return st;
}

typedef struct index_names {
  tl_index_fn each;
  void *user;
} index_names;

static int give_name(void *to, const char *key, const tl_store_info *info) {
  const index_names *names = to;
  char name[KEY_BYTES_MAX];
  (void)info;
  const char *file = key + sizeof FOLDER - 1;
  size_t len = strlen(file);
  if (len <= 4 || strcmp(file + len - 4, ".csv") != 0 || strchr(file, '/') || len >= sizeof name) return 0;
  snprintf(name, sizeof name, "%.*s", (int)(len - 4), file);
  return names->each(names->user, &(tl_index_row){sizeof(tl_index_row), name, "", "", ""});
}

static tl_status list_indices(const tl_run_lake *lake, tl_index_fn each, void *user, tl_error *err) {
  return tl_store_list(lake->store, FOLDER, NULL, false, give_name, &(index_names){each, user}, err);
}

tl_status tl_run_index_load(tl_run_lake *lake, const char *name, tl_index_fn each, void *user, tl_error *err) {
  if (!name) return list_indices(lake, each, user, err);
  char key[KEY_BYTES_MAX];
  members list = {0};
  tl_status st = index_key(name, key, err);
  if (!st) st = load(lake, key, &list, err);
  if (st == TL_ENOTFOUND) st = tl_fail(err, TL_EUSAGE, "there is no index '%s'; 'index store %s SYMBOLS' makes one", name, name);
  for (size_t i = 0; !st && i < list.count; i++) {
    tl_index_row row = {sizeof row, name, list.items[i].symbol, list.items[i].added, list.items[i].removed};
    if (each(user, &row)) break;
  }
  members_deinit(&list);
  return st;
}

typedef struct collector {
  tl_symbols *symbols;
  tl_status status;
  tl_error *err;
} collector;

static int collect_member(void *user, const tl_index_row *row) {
  collector *c = user;
  if (!row->removed_date[0]) c->status = tl_symbols_add(c->symbols, row->symbol, strlen(row->symbol), c->err);
  return c->status != TL_OK;
}

tl_status tl_run_symbols_parse(tl_run_lake *lake, const char *argument, tl_symbols *out, tl_error *err) {
  const char *index = tl_symbols_index_name(argument);
  if (!index) {
    tl_status st = tl_symbols_parse(out, argument, err);
    return st == TL_ENOTFOUND ? tl_fail_within(err, TL_EUSAGE, "cannot take the symbols of '%s'", argument) : st;
  }
  collector c = {out, TL_OK, err};
  tl_status st = tl_run_index_load(lake, index, collect_member, &c, err);
  if (!st) st = c.status;
  if (!st && !out->count) st = tl_fail(err, TL_EUSAGE, "index '%s' has no members", index);
  return st;
}
