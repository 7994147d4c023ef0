/* Rows of symbols and stretches of time replaced in a table: held against the same done to a plain array. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/prng.h"
#include "engine/link.h"
#include "table/relation.h"

enum { ROWS_MAX = 4000, RANGES_MAX = 40 };
static const char *const symbols[] = {"A", "BRK.B", "BTC/USD", "it's", "\xc3\xa9"};
static const int64_t base_ns = INT64_C(1711900000000000000); /* 2024-03-31T15:46:40Z: a month's end is near */

typedef struct row {
  int symbol;
  int64_t ns, id; /* id: which row it is; equal instants are told apart by it */
} row;

typedef struct rows {
  row items[ROWS_MAX];
  size_t count;
} rows;

static char folder[64];
static tl_engine *engine;
static tl_error err;

static int set_up(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/replace_ranges_XXXXXX");
  return !mkdtemp(folder) || tl_engine_open(NULL, &engine, &err);
}

static int tear_down(void **state) {
  (void)state;
  char command[96];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  tl_engine_close(engine);
  return system(command);
}

static void must(tl_status st) {
  if (st) fail_msg("%s", err.message);
}

static tl_relation *make_table(const char *name, const char *faces, const char *partition_by) {
  char uri[128];
  snprintf(uri, sizeof uri, "%s/%s", folder, name);
  char key[] = "ticklake.sort", value[] = "symbol,timestamp_ns";
  const tl_pair sort[] = {{key, value}};
  tl_relation_create create = {.faces = faces, .partition_by = partition_by, .properties = sort, .property_count = 1,
                               .columns = "symbol VARCHAR, timestamp TIMESTAMPTZ, timestamp_ns BIGINT, id BIGINT, words VARCHAR[]"};
  tl_relation *table = NULL;
  must(tl_relation_create_table(uri, &(tl_relation_options){.engine = engine}, &create, &table, &err));
  return table;
}

static void append_value(tl_buf *sql, const row *r, bool first) {
  must(tl_buf_appendf(sql, &err, "%s(", first ? "" : ", "));
  for (const char *c = "'"; c; c = NULL) must(tl_buf_appends(sql, c, &err));
  for (const char *c = symbols[r->symbol]; *c; c++) must(tl_buf_appendf(sql, &err, *c == '\'' ? "''" : "%c", *c));
  must(tl_buf_appendf(sql, &err, "', make_timestamptz(%" PRId64 "), %" PRId64 "::BIGINT, %" PRId64 "::BIGINT, ", r->ns / 1000, r->ns, r->id));
  must(tl_buf_appends(sql, r->id % 3 ? "['@', 'F'])" : r->id % 2 ? "[]::VARCHAR[])" : "NULL::VARCHAR[])", &err));
}

static void replace(tl_relation *table, const rows *with, const tl_replaced_range *ranges, size_t count, tl_changed *changed) {
  tl_buf sql = {0};
  must(tl_buf_appends(&sql, "SELECT * FROM (VALUES ", &err));
  for (size_t i = 0; i < with->count; i++) append_value(&sql, &with->items[i], i == 0);
  row none = {0};
  if (!with->count) append_value(&sql, &none, true);
  must(tl_buf_appendf(&sql, &err, ") v(symbol, timestamp, timestamp_ns, id, words)%s", with->count ? "" : " WHERE false"));
  must(tl_relation_replace_ranges(table, &(tl_write){.rows = sql.data}, "symbol", "timestamp_ns", ranges, count, changed, &err));
  tl_buf_deinit(&sql);
}

/* The same to the array: what lies in a range goes, the new rows come in their order. */
static void replace_plainly(rows *held, const rows *with, const tl_replaced_range *ranges, size_t count) {
  size_t kept = 0;
  for (size_t i = 0; i < held->count; i++) {
    bool inside = false;
    for (size_t r = 0; r < count; r++)
      inside = inside || (!strcmp(ranges[r].symbol, symbols[held->items[i].symbol]) && held->items[i].ns >= ranges[r].start && held->items[i].ns < ranges[r].end);
    if (!inside) held->items[kept++] = held->items[i];
  }
  held->count = kept;
  for (size_t i = 0; i < with->count; i++) held->items[held->count++] = with->items[i];
}

typedef struct reader {
  const rows *want; /* sorted */
  size_t at;
} reader;

static int64_t number(const tl_cell *cell) {
  char digits[32];
  snprintf(digits, sizeof digits, "%.*s", (int)cell->len, cell->text);
  return strtoll(digits, NULL, 10);
}

static tl_status take(void *to, const tl_cell *cells, size_t count, tl_error *e) {
  (void)e;
  reader *r = to;
  assert_int_equal(count, 4);
  assert_true(r->at < r->want->count);
  const row *want = &r->want->items[r->at++];
  assert_int_equal(cells[0].len, strlen(symbols[want->symbol]));
  assert_memory_equal(cells[0].text, symbols[want->symbol], cells[0].len);
  assert_int_equal(number(&cells[1]), want->ns);
  assert_int_equal(number(&cells[2]), want->id);
  assert_int_equal(number(&cells[3]), want->id % 3 ? 2 : want->id % 2 ? 0 : -1);
  return TL_OK;
}

static const row *sorting;
static int by_symbol_time_and_place(const void *a, const void *b) {
  const row *x = *(const row *const *)a, *y = *(const row *const *)b;
  int order = strcmp(symbols[x->symbol], symbols[y->symbol]);
  if (order) return order;
  if (x->ns != y->ns) return x->ns < y->ns ? -1 : 1;
  return x < y ? -1 : 1;
}

static void check(tl_relation *table, const rows *held) {
  static const row *order[ROWS_MAX];
  static rows want;
  tl_buf sql = {0};
  tl_link *link = NULL;
  for (size_t i = 0; i < held->count; i++) order[i] = &held->items[i];
  sorting = held->items;
  qsort(order, held->count, sizeof *order, by_symbol_time_and_place);
  for (size_t i = 0; i < held->count; i++) want.items[i] = *order[i];
  want.count = held->count;
  must(tl_buf_appends(&sql, "SELECT symbol, timestamp_ns::VARCHAR, id::VARCHAR, coalesce(len(words), -1)::VARCHAR FROM (", &err));
  must(tl_relation_sql_placed(table, NULL, NULL, &sql, &err));
  must(tl_buf_appends(&sql, ") ORDER BY symbol, timestamp_ns, \"tl#file\", \"tl#row\"", &err));
  must(tl_link_open(engine, &link, &err));
  reader r = {.want = &want};
  must(tl_link_rows(link, sql.data, take, &r, &err));
  assert_int_equal(r.at, want.count);
  tl_link_close(link);
  tl_buf_deinit(&sql);
}

static size_t count_new(const rows *held, const rows *with) { /* ids are never used twice */
  size_t count = 0;
  for (size_t i = 0; i < with->count; i++) {
    bool there = false;
    for (size_t j = 0; j < held->count; j++) there = there || held->items[j].id == with->items[i].id;
    count += !there;
  }
  return count;
}

/* Ranges of a few symbols, side by side, over the end of the month; many instants are hit twice. */
static void random_replacements(const char *faces, const char *partition_by, uint64_t seed) {
  static rows held, with;
  tl_prng dice = tl_prng_init(seed);
  char name[40];
  snprintf(name, sizeof name, "t%" PRIu64, seed);
  tl_relation *table = make_table(name, faces, partition_by);
  int64_t id = 1;
  held.count = 0;
  for (int round = 0; round < 12; round++) {
    tl_replaced_range ranges[RANGES_MAX];
    size_t count = 0;
    with.count = 0;
    for (int s = 0; s < 5; s++) {
      int64_t at = base_ns + (int64_t)tl_prng_below(&dice, 40) * INT64_C(1000000000000);
      for (uint64_t n = tl_prng_below(&dice, 4); n; n--) {
        int64_t end = at + 1 + (int64_t)tl_prng_below(&dice, 8) * INT64_C(1000000000000);
        ranges[count++] = (tl_replaced_range){symbols[s], at, end};
        int64_t ns = at;
        for (uint64_t k = tl_prng_below(&dice, 25); k && ns < end; k--) {
          with.items[with.count++] = (row){s, ns, id++};
          if (tl_prng_below(&dice, 2)) ns += 1 + (int64_t)tl_prng_below(&dice, INT64_C(900000000000));
        }
        at = end + (int64_t)tl_prng_below(&dice, 2) * 1000;
      }
    }
    tl_changed changed;
    size_t before = held.count;
    replace(table, &with, ranges, count, &changed);
    replace_plainly(&held, &with, ranges, count);
    assert_int_equal(changed.rows_inserted, with.count);
    assert_int_equal(changed.rows_deleted, before + with.count - held.count);
    check(table, &held);
    replace(table, &with, ranges, count, &changed); /* again: nothing changes, so nothing is committed */
    assert_int_equal(changed.version, -1);
    assert_int_equal(changed.rows_inserted + changed.rows_deleted, 0);
    assert_int_equal(count_new(&held, &with), 0);
  }
  tl_relation_close(table);
}

static void replacements_are_those_of_a_plain_array(void **state) {
  (void)state;
  random_replacements("delta", "month(timestamp)", 1);
  random_replacements("iceberg", "month(timestamp)", 2);
  random_replacements("delta,iceberg", "month(timestamp)", 3);
  random_replacements("delta", NULL, 4);
  random_replacements("iceberg", "bucket(4,symbol)", 5);
}

static void one_row_changed_is_one_row_changed(void **state) {
  (void)state;
  static rows held, with;
  tl_relation *table = make_table("one", "delta", "month(timestamp)");
  tl_replaced_range range = {"A", base_ns, base_ns + 1000};
  tl_changed changed;
  held.count = 0;
  for (int i = 0; i < 5; i++) held.items[held.count++] = (row){0, base_ns + i * 10, 100 + i};
  replace(table, &held, &range, 1, &changed);
  assert_int_equal(changed.rows_inserted, 5);
  with = held;
  with.items[2].id = 999;
  replace(table, &with, &range, 1, &changed);
  assert_int_equal(changed.rows_inserted, 1);
  assert_int_equal(changed.rows_deleted, 1);
  check(table, &with);
  tl_relation_close(table);
}

/* Two rows of one instant the other way round is another answer of the vendor. */
static void the_order_of_one_instant_counts(void **state) {
  (void)state;
  static rows held;
  tl_relation *table = make_table("order", "iceberg", "month(timestamp)");
  tl_replaced_range range = {"A", base_ns, base_ns + 1000};
  tl_changed changed;
  held.count = 2;
  held.items[0] = (row){0, base_ns, 7};
  held.items[1] = (row){0, base_ns, 3};
  replace(table, &held, &range, 1, &changed);
  check(table, &held);
  held.items[0].id = 3;
  held.items[1].id = 7;
  replace(table, &held, &range, 1, &changed);
  assert_int_not_equal(changed.version, -1);
  check(table, &held);
  tl_relation_close(table);
}

static void rows_outside_the_ranges_are_refused(void **state) {
  (void)state;
  tl_relation *table = make_table("outside", "delta", "month(timestamp)");
  tl_replaced_range ranges[] = {{"A", base_ns, base_ns + 10}, {"A", base_ns + 50, base_ns + 50}, {"BRK.B", base_ns, base_ns + 100}};
  tl_changed changed;
  char rows_sql[200];
  for (int64_t at = 9; at <= 10; at++) {
    snprintf(rows_sql, sizeof rows_sql, "SELECT 'A' AS symbol, make_timestamptz(%" PRId64 ") AS timestamp, %" PRId64 "::BIGINT AS timestamp_ns, 1::BIGINT AS id",
             (base_ns + at) / 1000, base_ns + at);
    tl_status st = tl_relation_replace_ranges(table, &(tl_write){.rows = rows_sql}, "symbol", "timestamp_ns", ranges, 3, &changed, &err);
    assert_int_equal(st, at == 9 ? TL_OK : TL_EUSAGE);
  }
  assert_non_null(strstr(err.message, "none of the ranges"));
  assert_int_equal(tl_relation_replace_ranges(table, &(tl_write){.rows = rows_sql}, "symbol", "no_such", ranges, 3, &changed, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "no_such"));
  tl_relation_close(table);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(replacements_are_those_of_a_plain_array),
    cmocka_unit_test(one_row_changed_is_one_row_changed),
    cmocka_unit_test(the_order_of_one_instant_counts),
    cmocka_unit_test(rows_outside_the_ranges_are_refused),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
