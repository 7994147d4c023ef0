/* commit_test.c - creating, committing and loading tables in a folder; who conflicts with whom. The truth: the state of the table
 * written out by hand after each step. */
#include "iceberg_table.h"

static void a_table_is_created_empty_and_once(void **state) {
  (void)state;
  table t;
  bool found = true;
  tl_error err = {0};
  tl_committed out;
  table_open(&t, NULL);
  assert_int_equal(tl_format_iceberg.detect(t.store, &found, NULL), TL_OK);
  assert_false(found);
  tl_snapshot *s = NULL;
  assert_int_equal(tl_format_iceberg.load(t.log, (tl_at){.kind = TL_AT_LATEST}, &s, &err), TL_ENOTFOUND);
  table_create(&t);
  assert_int_equal(tl_format_iceberg.detect(t.store, &found, NULL), TL_OK);
  assert_true(found);
  s = table_load(&t);
  assert_int_equal(s->version, -1);
  assert_int_equal(s->sequence, 1);
  assert_int_equal(s->file_count, 0);
  assert_int_equal(s->fields.count, 4);
  assert_string_equal(s->fields.items[3].name, "ladder");
  assert_int_equal(s->fields.items[3].id, 4);
  assert_int_equal(s->fields.items[3].element_id, 5);
  assert_int_equal(s->fields.last_id, 5);
  assert_false(s->fields.items[0].nullable);
  assert_int_equal(s->partitioning.count, 2);
  assert_int_equal(s->partitioning.items[1].transform, TL_TRANSFORM_MONTH);
  assert_int_equal(s->partitioning.items[1].source, 1);
  assert_int_equal(s->partitioning.items[1].column, -1);
  assert_int_equal(s->partitioning.items[0].column, 0);
  assert_int_equal(s->partitioning.items[1].id, 1001);
  assert_string_equal(s->name, "ticks");
  assert_null(s->unwritable);
  assert_string_equal(tl_snapshot_property(s, "schema.name-mapping.default"),
                      "[{\"field-id\":1,\"names\":[\"symbol\"]},{\"field-id\":2,\"names\":[\"at\"]},{\"field-id\":3,\"names\":[\"price\"]},"
                      "{\"field-id\":4,\"names\":[\"ladder\"],\"fields\":[{\"field-id\":5,\"names\":[\"element\"]}]}]");
  tl_snapshot_close(s);
  const tl_fields fields = table_fields();
  const tl_create again = {.fields = &fields};
  assert_int_equal(tl_format_iceberg.create(t.log, &again, &out, &err), TL_ECONFLICT);
  table_close(&t, true);
}

static void an_append_is_a_snapshot_with_its_file(void **state) {
  (void)state;
  table t;
  table_open(&t, NULL);
  table_create(&t);
  tl_committed first = append(&t, "data/a.parquet", "AAPL", "2024-01", 10);
  tl_committed second = append(&t, "data/symbol=BTC%2FUSD/b.parquet", "BTC/USD", NULL, 5);
  assert_int_equal(first.sequence, 2);
  assert_int_equal(second.sequence, 3);
  assert_int_equal(second.attempts, 1);
  tl_snapshot *s = table_load(&t);
  assert_int_equal(s->version, second.version);
  assert_files(s, "data/a.parquet data/symbol=BTC%2FUSD/b.parquet");
  assert_int_equal(s->rows, 15);
  assert_int_equal(s->bytes, 1500);
  assert_int_equal(s->files[0].version, 1);
  assert_int_equal(s->files[1].version, 2);
  assert_string_equal(s->files[0].partition[0], "AAPL");
  assert_string_equal(s->files[0].partition[1], "2024-01");
  assert_string_equal(s->files[1].partition[0], "BTC/USD");
  assert_null(s->files[1].partition[1]);
  tl_snapshot_close(s);
  s = table_load_at(&t, (tl_at){TL_AT_VERSION, first.version});
  assert_files(s, "data/a.parquet");
  tl_snapshot_close(s);
  s = table_load_at(&t, (tl_at){TL_AT_TIMESTAMP, second.timestamp_ms - 1});
  assert_files(s, "data/a.parquet");
  tl_snapshot_close(s);
  tl_error err = {0};
  assert_int_equal(tl_format_iceberg.load(t.log, (tl_at){TL_AT_TIMESTAMP, first.timestamp_ms - 1}, &s, &err), TL_ENOTFOUND);
  assert_int_equal(tl_format_iceberg.load(t.log, (tl_at){TL_AT_VERSION, 77}, &s, &err), TL_ENOTFOUND);
  table_close(&t, true);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_table_is_created_empty_and_once),
    cmocka_unit_test(an_append_is_a_snapshot_with_its_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
