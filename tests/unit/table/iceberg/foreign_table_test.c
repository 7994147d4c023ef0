/* foreign_table_test.c - tables as other engines leave them: several partition specs, row-level deletes, version 1, packed metadata,
 * a file twice. Made from our own by changing the metadata's text, or a manifest list, by hand. */
#include <zlib.h>

#include "iceberg_table.h"
#include "table/iceberg/iceberg_log.h"

/* The newest metadata's text with one part replaced becomes the next version. */
static void next_version(table *t, int number, const char *part, const char *with) {
  char key[64];
  tl_buf text = {0}, out = {0};
  snprintf(key, sizeof key, "metadata/v%d.metadata.json", number);
  assert_int_equal(tl_store_get(t->store, key, 1 << 20, &text, NULL, NULL), TL_OK);
  const char *at = strstr(text.data, part);
  if (!at) fail_msg("%s is not in %s", part, text.data);
  assert_int_equal(tl_buf_append(&out, text.data, (size_t)(at - text.data), NULL), TL_OK);
  assert_int_equal(tl_buf_appends(&out, with, NULL), TL_OK);
  assert_int_equal(tl_buf_appends(&out, at + strlen(part), NULL), TL_OK);
  snprintf(key, sizeof key, "metadata/v%d.metadata.json", number + 1);
  assert_int_equal(tl_store_put(t->store, key, out.data, out.len, TL_PUT_ANY, NULL, NULL, NULL), TL_OK);
  tl_buf_deinit(&text);
  tl_buf_deinit(&out);
}

static void one_file(table *t) {
  table_open(t, NULL);
  table_create(t);
  append(t, "a", "AAPL", "2024-01", 10);
}

static void files_of_two_specs_share_the_fields_both_have(void **state) {
  (void)state;
  table t;
  one_file(&t);
  next_version(&t, 2, "\"partition-specs\":[", "\"partition-specs\":[{\"spec-id\":1,\"fields\":[{\"name\":\"symbol\",\"transform\":\"identity\",\"source-id\":1,\"field-id\":1000},"
                                               "{\"name\":\"price\",\"transform\":\"truncate[4]\",\"source-id\":3,\"field-id\":1002}]},");
  next_version(&t, 3, "\"default-spec-id\":0", "\"default-spec-id\":1");
  tl_snapshot *s = table_load(&t);
  assert_files(s, "a");
  assert_int_equal(s->partitioning.count, 1);
  assert_string_equal(s->partitioning.items[0].name, "symbol");
  assert_string_equal(s->files[0].partition[0], "AAPL");
  assert_int_equal(s->files[0].spec_id, 0);
  assert_non_null(strstr(s->unwritable, "several partition specs"));
  tl_snapshot_close(s);
  table_close(&t, true);
}

/* The list of the current snapshot is written again with its one manifest said to be of deletes. */
static void rewrite_list(table *t, int content, int64_t live, bool twice) {
  tl_iceberg_state state;
  tl_manifest_list list = {0};
  tl_buf out = {0};
  char *key = NULL;
  static const char marker[16] = "0123456789abcde";
  assert_int_equal(tl_iceberg_state_load(t->log, &state, NULL), TL_OK);
  const tl_iceberg_snap *snap = tl_iceberg_find_snap(state.metadata, state.metadata->current);
  assert_int_equal(tl_iceberg_list_load(t->log, state.metadata, snap->manifest_list, &list, NULL), TL_OK);
  list.items[0].content = content;
  list.items[0].files[TL_ENTRY_ADDED] = live;
  if (twice) {
    tl_manifest_info *row = NULL;
    assert_int_equal(tl_manifest_list_add(&list, &row, NULL), TL_OK);
    assert_int_equal(tl_manifest_info_copy(&list.items[0], row, NULL), TL_OK);
  }
  assert_int_equal(tl_manifest_list_write(&list, &(tl_manifest_list_header){1, -1, 1}, marker, &out, NULL), TL_OK);
  assert_int_equal(tl_iceberg_key(t->log, state.metadata, snap->manifest_list, &key, NULL), TL_OK);
  assert_int_equal(tl_store_put(t->store, key, out.data, out.len, TL_PUT_ANY, NULL, NULL, NULL), TL_OK);
  tl_free(key);
  tl_buf_deinit(&out);
  tl_manifest_list_deinit(&list);
  tl_iceberg_state_deinit(&state);
}

static void row_level_deletes_are_refused_while_they_live(void **state) {
  (void)state;
  table t;
  tl_snapshot *s = NULL;
  tl_error err = {0};
  one_file(&t);
  rewrite_list(&t, 1, 1, false);
  assert_int_equal(tl_format_iceberg.load(t.log, (tl_at){.kind = TL_AT_LATEST}, &s, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "row-level deletes (merge-on-read)"));
  rewrite_list(&t, 1, 0, false);
  assert_live(&t, "");
  append(&t, "b", "AAPL", "2024-01", 1); /* and the row of the dead ones is carried over */
  assert_live(&t, "b");
  table_close(&t, true);
}

static int is_a(void *found, const char *path) {
  *(bool *)found |= !strcmp(path, "a");
  return 0;
}

/* Spark rewrites a table with deletes; the snapshots before that still need them. */
static void a_vacuum_keeps_the_delete_files_of_snapshots(void **state) {
  (void)state;
  table t;
  bool kept = false;
  tl_error err = {0};
  one_file(&t);
  rewrite_list(&t, 1, 1, false);
  assert_int_equal(tl_format_iceberg.keeps(t.log, 0, is_a, &kept, &err), TL_OK);
  assert_true(kept);
  table_close(&t, true);
}

static void a_file_that_is_there_twice_is_refused(void **state) {
  (void)state;
  table t;
  tl_snapshot *s = NULL;
  tl_error err = {0};
  one_file(&t);
  rewrite_list(&t, 0, 1, true);
  assert_int_equal(tl_format_iceberg.load(t.log, (tl_at){.kind = TL_AT_LATEST}, &s, &err), TL_ECORRUPT);
  assert_string_equal(err.message, "the table holds 'a' twice: its rows would be read twice");
  table_close(&t, true);
}

static void version_1_is_read_and_not_written(void **state) {
  (void)state;
  table t;
  one_file(&t);
  next_version(&t, 2, "\"format-version\":2", "\"format-version\":1");
  tl_snapshot *s = table_load(&t);
  assert_files(s, "a");
  assert_non_null(strstr(s->unwritable, "version 1"));
  tl_snapshot_close(s);
  table_close(&t, true);
}

static void columns_that_are_not_written_are_named(void **state) {
  (void)state;
  table t;
  one_file(&t);
  next_version(&t, 2, "\"type\":\"double\"", "\"type\":\"uuid\"");
  tl_snapshot *s = table_load(&t);
  assert_string_equal(s->unwritable, "column 'price' is of a type that is not written");
  assert_string_equal(s->fields.items[2].sql_type, "UUID");
  tl_snapshot_close(s);
  table_close(&t, true);
}

static void packed_metadata_is_read_and_not_written(void **state) {
  (void)state;
  table t;
  tl_buf text = {0};
  unsigned char packed[16384];
  one_file(&t);
  assert_int_equal(tl_store_get(t.store, "metadata/v2.metadata.json", 1 << 20, &text, NULL, NULL), TL_OK);
  z_stream z = {.next_in = (Bytef *)text.data, .avail_in = (uInt)text.len, .next_out = packed, .avail_out = sizeof packed};
  assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  deflateEnd(&z);
  assert_int_equal(tl_store_put(t.store, "metadata/v3.gz.metadata.json", packed, sizeof packed - z.avail_out, TL_PUT_ANY, NULL, NULL, NULL), TL_OK);
  assert_int_equal(tl_store_delete(t.store, "metadata/version-hint.text", NULL), TL_OK);
  tl_snapshot *s = table_load(&t);
  assert_files(s, "a");
  assert_int_equal(s->sequence, 3);
  assert_non_null(strstr(s->unwritable, "compressed"));
  tl_snapshot_close(s);
  tl_buf_deinit(&text);
  table_close(&t, true);
}

static void a_file_that_is_gone_is_named(void **state) {
  (void)state;
  table t;
  tl_snapshot *s = NULL;
  tl_error err = {0};
  one_file(&t);
  next_version(&t, 2, "/metadata/snap-", "/metadata/nosnap-");
  assert_int_equal(tl_format_iceberg.load(t.log, (tl_at){.kind = TL_AT_LATEST}, &s, &err), TL_ECORRUPT);
  assert_non_null(strstr(err.message, "/metadata/nosnap-"));
  assert_non_null(strstr(err.message, "is gone, though the table needs it"));
  table_close(&t, true);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(files_of_two_specs_share_the_fields_both_have),
    cmocka_unit_test(row_level_deletes_are_refused_while_they_live),
    cmocka_unit_test(a_vacuum_keeps_the_delete_files_of_snapshots),
    cmocka_unit_test(a_file_that_is_there_twice_is_refused),
    cmocka_unit_test(version_1_is_read_and_not_written),
    cmocka_unit_test(columns_that_are_not_written_are_named),
    cmocka_unit_test(packed_metadata_is_read_and_not_written),
    cmocka_unit_test(a_file_that_is_gone_is_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
