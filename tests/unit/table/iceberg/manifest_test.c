/* manifest_test.c - manifests and manifest lists. The truth: what fastavro was given (foreign_avro.h), and a plain round trip. */
#include "foreign_avro.h"
#include "iceberg_table.h"
#include "table/iceberg/manifest.h"

static tl_partition_field by[2];
static tl_field results[2];

static tl_manifest_spec spec_of(void) {
  by[0] = (tl_partition_field){.name = (char *)(uintptr_t)"symbol", .transform = TL_TRANSFORM_IDENTITY, .source = 1, .id = 1000};
  by[1] = (tl_partition_field){.name = (char *)(uintptr_t)"at_month", .transform = TL_TRANSFORM_MONTH, .source = 2, .id = 1001};
  results[0] = (tl_field){.type = TL_FIELD_STRING};
  results[1] = (tl_field){.type = TL_FIELD_I32};
  return (tl_manifest_spec){.id = 0, .fields = by, .results = results, .count = 2};
}

typedef struct entries { tl_manifest_entry *items[8]; size_t count; } entries;

static tl_status take(void *to, tl_manifest_entry *entry, tl_error *err) {
  (void)err;
  entries *e = to;
  e->items[e->count++] = entry;
  return TL_OK;
}

static void entries_free(entries *e) {
  for (size_t i = 0; i < e->count; i++) tl_free(e->items[i]);
  e->count = 0;
}

static bool is(tl_text text, const char *expected) { return tl_text_is(text, expected); }

static void assert_foreign_entries(const entries *e) {
  assert_int_equal(e->count, 3);
  const tl_manifest_entry *a = e->items[0], *b = e->items[1], *c = e->items[2];
  assert_int_equal(a->status, TL_ENTRY_ADDED);
  assert_int_equal(a->snapshot_id, 77); /* inherited, as the two below */
  assert_int_equal(a->sequence, 4);
  assert_int_equal(a->file_sequence, 4);
  assert_true(is(a->path, "s3://b/t/data/x.parquet"));
  assert_int_equal(a->rows, 7);
  assert_int_equal(a->bytes, 1234);
  assert_true(is(a->partition[0].text, "BTC/USD"));
  assert_int_equal(a->partition[1].i64, 648);
  assert_int_equal(a->sort_order_id, 0);
  assert_int_equal(a->split_count, 2);
  assert_int_equal(a->splits[1], 4096);
  assert_int_equal(a->metric_count, 3);
  const tl_manifest_metric *one = &a->metrics[0], *two = &a->metrics[1], *three = &a->metrics[2];
  assert_int_equal(one->id, 1);
  assert_int_equal(one->size_bytes, 11);
  assert_int_equal(one->values, 7);
  assert_int_equal(one->nulls, 0);
  assert_int_equal(one->nans, -1);
  assert_true(one->has_lower && one->has_upper && is(one->lower, "BTC/USD") && is(one->upper, "BTC/USD"));
  assert_int_equal(two->size_bytes, 22);
  assert_int_equal(two->values, -1);
  assert_false(two->has_lower);
  assert_int_equal(three->nulls, 2);
  assert_int_equal(three->nans, 1);
  assert_true(three->has_lower && !three->has_upper && three->lower.len == 8);
  assert_int_equal(b->status, TL_ENTRY_EXISTING);
  assert_int_equal(b->snapshot_id, 55);
  assert_int_equal(b->sequence, 3);
  assert_int_equal(b->file_sequence, 2);
  assert_true(b->partition[0].null && b->partition[1].null);
  assert_int_equal(b->metric_count, 0);
  assert_int_equal(b->sort_order_id, -1);
  assert_int_equal(c->status, TL_ENTRY_DELETED);
  assert_int_equal(c->partition[1].i64, -1);
  assert_true(is(c->partition[0].text, "\xC3\xA9"));
}

static void a_foreign_manifest_is_read(void **state) {
  (void)state;
  const tl_manifest_spec spec = spec_of();
  const tl_manifest_info info = {.snapshot_id = 77, .sequence = 4};
  entries e = {0};
  tl_error err = {0};
  if (tl_manifest_read("m.avro", foreign_manifest, sizeof foreign_manifest, &info, &spec, take, &e, &err)) fail_msg("%s", err.message);
  assert_foreign_entries(&e);
  entries_free(&e);
}

static void what_is_written_is_read_again(void **state) {
  (void)state;
  const tl_manifest_spec spec = spec_of();
  const tl_manifest_info info = {.snapshot_id = 77, .sequence = 4};
  static const char sync_marker[16] = "0123456789abcde";
  entries e = {0}, again = {0};
  tl_manifest_writer w;
  assert_int_equal(tl_manifest_read("m.avro", foreign_manifest, sizeof foreign_manifest, &info, &spec, take, &e, NULL), TL_OK);
  assert_int_equal(tl_manifest_begin(&w, &spec, "{\"type\":\"struct\",\"fields\":[]}", 0, 90, sync_marker, NULL), TL_OK);
  for (size_t i = 0; i < e.count; i++) assert_int_equal(tl_manifest_put(&w, e.items[i], e.items[i]->status, NULL), TL_OK);
  assert_int_equal(tl_manifest_finish(&w, 9, NULL), TL_OK);
  assert_int_equal(tl_manifest_read("m.avro", w.out.data, w.out.len, &w.info, &spec, take, &again, NULL), TL_OK);
  assert_foreign_entries(&again);
  assert_int_equal(w.info.files[TL_ENTRY_EXISTING], 1);
  assert_int_equal(w.info.rows[TL_ENTRY_ADDED], 7);
  assert_int_equal(w.info.rows[TL_ENTRY_DELETED], 4);
  assert_int_equal(w.info.min_sequence, 3); /* of live entries */
  assert_int_equal(w.info.snapshot_id, 90);
  assert_int_equal(w.info.length_bytes, w.out.len);
  const tl_manifest_summary *symbol = &w.info.summaries[0], *month = &w.info.summaries[1];
  assert_true(symbol->contains_null && month->contains_null);
  assert_string_equal(symbol->lower.data, "BTC/USD");
  assert_string_equal(symbol->upper.data, "\xC3\xA9");
  assert_int_equal(month->lower.len, 4);
  assert_memory_equal(month->lower.data, "\xff\xff\xff\xff", 4);
  assert_memory_equal(month->upper.data, "\x88\x02\x00\x00", 4);
  entries_free(&e);
  entries_free(&again);
  tl_manifest_writer_deinit(&w);
}

static void assert_foreign_list(const tl_manifest_list *list) {
  assert_int_equal(list->count, 1);
  const tl_manifest_info *row = &list->items[0];
  assert_string_equal(row->path, "s3://b/t/metadata/m0.avro");
  assert_int_equal(row->length_bytes, 99);
  assert_int_equal(row->sequence, 4);
  assert_int_equal(row->min_sequence, 2);
  assert_int_equal(row->snapshot_id, 77);
  assert_int_equal(row->files[TL_ENTRY_ADDED], 1);
  assert_int_equal(row->rows[TL_ENTRY_DELETED], 4);
  assert_int_equal(row->summary_count, 2);
  assert_true(row->summaries[0].contains_null);
  assert_int_equal(row->summaries[0].contains_nan, 0);
  assert_string_equal(row->summaries[0].lower.data, "BTC/USD");
  assert_string_equal(row->summaries[0].upper.data, "\xC3\xA9");
  assert_int_equal(row->summaries[1].contains_nan, -1);
  assert_false(row->summaries[1].has_lower);
}

static void a_foreign_list_is_read_and_written_again(void **state) {
  (void)state;
  tl_manifest_list list = {0}, again = {0};
  tl_buf out = {0};
  tl_error err = {0};
  static const char sync_marker[16] = "0123456789abcde";
  const tl_manifest_list_header header = {5, -1, 4};
  if (tl_manifest_list_read("l.avro", foreign_list, sizeof foreign_list, &list, &err)) fail_msg("%s", err.message);
  assert_foreign_list(&list);
  assert_int_equal(tl_manifest_list_write(&list, &header, sync_marker, &out, NULL), TL_OK);
  assert_int_equal(tl_manifest_list_read("l.avro", out.data, out.len, &again, NULL), TL_OK);
  assert_foreign_list(&again);
  tl_manifest_list_deinit(&list);
  tl_manifest_list_deinit(&again);
  tl_buf_deinit(&out);
}

static void a_list_is_no_manifest(void **state) {
  (void)state;
  const tl_manifest_spec spec = spec_of();
  const tl_manifest_info info = {0};
  entries e = {0};
  tl_error err = {0};
  assert_int_equal(tl_manifest_read("m.avro", foreign_list, sizeof foreign_list, &info, &spec, take, &e, &err), TL_ECORRUPT);
  assert_string_equal(err.message, "an entry of manifest 'm.avro' lacks its status, path, size or row count");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_foreign_manifest_is_read),
    cmocka_unit_test(what_is_written_is_read_again),
    cmocka_unit_test(a_foreign_list_is_read_and_written_again),
    cmocka_unit_test(a_list_is_no_manifest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
