/* Any bytes as an Avro file of Iceberg's: walked by its own schema, read as a manifest and as a manifest list. What is read is
 * written, read again and written again: both writings are the same bytes. */
#include "base/alloc.h"
#include "table/iceberg/manifest.h"
#include "tests/fuzz/check.h"

static const char marker[16] = "0123456789abcde";

static void check_refusal(tl_status st, const tl_error *err, const char *what) {
  check(!st || (err->message[0] && (st == TL_ECORRUPT || st == TL_EUSAGE || st == TL_ELIMIT || st == TL_ENOMEM)), what);
}

static void walk(const void *data, size_t len) {
  tl_avro_file *file = NULL;
  tl_avro_cursor *c = NULL;
  tl_error err = {0};
  tl_status st = tl_avro_open("f", data, len, &file, &err);
  while (!st && !(st = tl_avro_next(file, &c, &err)) && c) tl_avro_skip(c, tl_avro_root(file));
  check_refusal(st, &err, "a walk failed in a way of its own");
  tl_avro_close(file);
}

static tl_status put_entry(void *to, tl_manifest_entry *entry, tl_error *err) {
  tl_manifest_writer *w = to;
  tl_status st = tl_manifest_put(w, entry, entry->status, err);
  tl_free(entry);
  return st;
}

/* Reads the manifest into a written one. */
static tl_status copy_manifest(const void *data, size_t len, const tl_manifest_spec *spec, tl_manifest_writer *w, tl_error *err) {
  const tl_manifest_info info = {.snapshot_id = 5, .sequence = 6};
  check(!tl_manifest_begin(w, spec, "{}", 0, 7, marker, err), "a manifest cannot be begun");
  tl_status st = tl_manifest_read("m", data, len, &info, spec, put_entry, w, err);
  tl_status end = tl_manifest_finish(w, 6, err);
  return st ? st : end;
}

static void manifest(const void *data, size_t len) {
  static tl_partition_field by[5];
  static tl_field results[5] = {{.type = TL_FIELD_STRING}, {.type = TL_FIELD_I32}, {.type = TL_FIELD_F64},
                                {.type = TL_FIELD_DECIMAL, .precision = 18, .scale = 2}, {.type = TL_FIELD_BOOL}};
  static const char *const field_names[5] = {"symbol", "at_month", "price", "amount", "flag"};
  for (int i = 0; i < 5; i++) by[i] = (tl_partition_field){.name = (char *)(uintptr_t)field_names[i], .source = i + 1, .id = 1000 + i};
  const tl_manifest_spec spec = {.id = 0, .fields = by, .results = results, .count = 5};
  tl_manifest_writer once = {0}, twice = {0};
  tl_error err = {0};
  tl_status st = copy_manifest(data, len, &spec, &once, &err);
  check_refusal(st, &err, "a manifest was refused in a way of its own");
  if (!st) {
    st = copy_manifest(once.out.data, once.out.len, &spec, &twice, &err);
    check(!st, err.message);
    check(once.out.len == twice.out.len && !memcmp(once.out.data, twice.out.data, once.out.len), "a manifest is another after a round trip");
    check(once.entries == twice.entries && once.info.min_sequence == twice.info.min_sequence, "its row is another after a round trip");
    tl_manifest_writer_deinit(&twice);
  }
  tl_manifest_writer_deinit(&once);
}

static void list(const void *data, size_t len) {
  tl_manifest_list once = {0}, twice = {0};
  tl_buf first = {0}, second = {0};
  tl_error err = {0};
  const tl_manifest_list_header header = {1, 2, 3};
  tl_status st = tl_manifest_list_read("l", data, len, &once, &err);
  check_refusal(st, &err, "a list was refused in a way of its own");
  if (!st) {
    check(!tl_manifest_list_write(&once, &header, marker, &first, NULL), "a list cannot be written");
    check(!tl_manifest_list_read("l", first.data, first.len, &twice, &err), err.message);
    check(!tl_manifest_list_write(&twice, &header, marker, &second, NULL), "a list cannot be written twice");
    check(first.len == second.len && !memcmp(first.data, second.data, first.len), "a list is another after a round trip");
  }
  tl_manifest_list_deinit(&once);
  tl_manifest_list_deinit(&twice);
  tl_buf_deinit(&first);
  tl_buf_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 64 << 10) return 0;
  walk(data, size);
  manifest(data, size);
  list(data, size);
  return 0;
}
