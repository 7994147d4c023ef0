/* manifest_list.c - reading and writing manifest lists; see manifest.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "table/iceberg/avro_fields.h"
#include "table/iceberg/manifest.h"

static const avro_field_name names[] = {
  {"manifest_path", ID_MANIFEST_PATH}, {"manifest_length", ID_MANIFEST_LENGTH}, {"partition_spec_id", ID_SPEC},
  {"added_snapshot_id", ID_ADDED_SNAPSHOT}, {"partitions", ID_PARTITIONS}, {"sequence_number", ID_MANIFEST_SEQUENCE},
  {"min_sequence_number", ID_MIN_SEQUENCE}, {"content", ID_MANIFEST_CONTENT}, {"key_metadata", ID_MANIFEST_KEY},
  {"added_files_count", ID_ADDED_FILES}, {"added_data_files_count", ID_ADDED_FILES},
  {"existing_files_count", ID_EXISTING_FILES}, {"existing_data_files_count", ID_EXISTING_FILES},
  {"deleted_files_count", ID_DELETED_FILES}, {"deleted_data_files_count", ID_DELETED_FILES},
  {"added_rows_count", ID_ADDED_ROWS}, {"existing_rows_count", ID_EXISTING_ROWS}, {"deleted_rows_count", ID_DELETED_ROWS},
  {"contains_null", ID_CONTAINS_NULL}, {"contains_nan", ID_CONTAINS_NAN}, {"lower_bound", ID_SUMMARY_LOWER},
  {"upper_bound", ID_SUMMARY_UPPER},
};

static int id_of(const tl_avro_child *child) { return avro_field_id(child, names, sizeof names / sizeof *names); }

/* ---- rows ---- */

static void summaries_free(tl_manifest_summary *summaries, size_t count) {
  if (!summaries) return;
  for (size_t i = 0; i < count; i++) {
    tl_buf_deinit(&summaries[i].lower);
    tl_buf_deinit(&summaries[i].upper);
  }
  tl_free(summaries);
}

void tl_manifest_info_deinit(tl_manifest_info *info) {
  summaries_free(info->summaries, info->summary_count);
  tl_free(info->path);
  *info = (tl_manifest_info){0};
}

tl_status tl_manifest_info_copy(const tl_manifest_info *from, tl_manifest_info *out, tl_error *err) {
  *out = *from;
  out->path = tl_strdup(from->path);
  out->summary_count = 0;
  out->summaries = tl_calloc(from->summary_count ? from->summary_count : 1, sizeof *out->summaries);
  tl_status st = out->path && out->summaries ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot copy the row of a manifest");
  for (size_t i = 0; !st && i < from->summary_count; i++) {
    tl_manifest_summary *to = &out->summaries[i];
    *to = from->summaries[i];
    to->lower = to->upper = (tl_buf){0};
    out->summary_count++;
    st = tl_buf_append(&to->lower, from->summaries[i].lower.data, from->summaries[i].lower.len, err);
    if (!st) st = tl_buf_append(&to->upper, from->summaries[i].upper.data, from->summaries[i].upper.len, err);
  }
  if (st) tl_manifest_info_deinit(out);
  return st;
}

void tl_manifest_list_deinit(tl_manifest_list *list) {
  for (size_t i = 0; i < list->count; i++) tl_manifest_info_deinit(&list->items[i]);
  tl_free(list->items);
  *list = (tl_manifest_list){0};
}

tl_status tl_manifest_list_add(tl_manifest_list *list, tl_manifest_info **out, tl_error *err) {
  if (list->count == list->capacity) {
    size_t more = list->capacity ? list->capacity * 2 : 16;
    tl_manifest_info *grown = tl_realloc_array(list->items, more, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot hold a list of %zu manifests", more);
    list->items = grown;
    list->capacity = more;
  }
  *out = &list->items[list->count++];
  **out = (tl_manifest_info){0};
  return TL_OK;
}

/* ---- reading ---- */

typedef struct reader {
  const char *what;
  tl_avro_cursor *c;
  tl_manifest_info *row;
  tl_text path, key;
  size_t summary_capacity;
  tl_status status;
  tl_error *err;
} reader;

static tl_manifest_summary *summary_add(reader *r) {
  tl_manifest_info *row = r->row;
  if (row->summary_count == r->summary_capacity) {
    size_t more = r->summary_capacity ? r->summary_capacity * 2 : 4;
    tl_manifest_summary *grown = tl_realloc_array(row->summaries, more, sizeof *grown);
    if (!grown) {
      r->status = tl_fail(r->err, TL_ENOMEM, "cannot read '%s'", r->what);
      return NULL;
    }
    row->summaries = grown;
    r->summary_capacity = more;
  }
  tl_manifest_summary *s = &row->summaries[row->summary_count++];
  *s = (tl_manifest_summary){.contains_nan = -1};
  return s;
}

static bool take_bound(reader *r, const tl_avro_node *node, tl_buf *out) {
  tl_text bytes;
  if (!tl_avro_take_text(r->c, node, &bytes)) return false;
  tl_status st = tl_buf_append(out, bytes.data, bytes.len, r->err);
  if (st) r->status = st;
  return !st;
}

static void take_summaries(reader *r, const tl_avro_node *node) {
  tl_avro_cursor *c = r->c;
  node = tl_avro_branch(c, node);
  if (node->type == TL_AVRO_NULL) return;
  if (node->type != TL_AVRO_ARRAY || node->children[0].node->type != TL_AVRO_RECORD) {
    tl_avro_fail(c);
    return;
  }
  const tl_avro_node *record = node->children[0].node;
  for (int64_t n; (n = tl_avro_items(c)) > 0;)
    for (; n > 0 && !c->failed; n--) {
      tl_manifest_summary *s = summary_add(r);
      int64_t flag;
      for (size_t i = 0; s && !c->failed && i < record->count; i++) {
        const tl_avro_node *at = record->children[i].node;
        switch (id_of(&record->children[i])) {
          case ID_CONTAINS_NULL: s->contains_null = tl_avro_take_i64(c, at, &flag) && flag; break;
          case ID_CONTAINS_NAN: s->contains_nan = tl_avro_take_i64(c, at, &flag) ? flag != 0 : -1; break;
          case ID_SUMMARY_LOWER: s->has_lower = take_bound(r, at, &s->lower); break;
          case ID_SUMMARY_UPPER: s->has_upper = take_bound(r, at, &s->upper); break;
          default: tl_avro_skip(c, at);
        }
      }
      if (r->status) tl_avro_fail(c);
    }
}

static void take_small(reader *r, const tl_avro_node *node, int *out) {
  int64_t value = 0;
  if (!tl_avro_take_i64(r->c, node, &value)) return;
  if (value < 0 || value > INT32_MAX) tl_avro_fail(r->c);
  else *out = (int)value;
}

static void take_row(reader *r, const tl_avro_node *root) {
  tl_manifest_info *row = r->row;
  *row = (tl_manifest_info){.length_bytes = -1, .files = {-1, -1, -1}, .rows = {-1, -1, -1}};
  r->path = r->key = (tl_text){0};
  r->summary_capacity = 0;
  for (size_t i = 0; !r->c->failed && i < root->count; i++) {
    const tl_avro_node *at = root->children[i].node;
    switch (id_of(&root->children[i])) {
      case ID_MANIFEST_PATH: tl_avro_take_text(r->c, at, &r->path); break;
      case ID_MANIFEST_LENGTH: tl_avro_take_i64(r->c, at, &row->length_bytes); break;
      case ID_SPEC: take_small(r, at, &row->spec_id); break;
      case ID_MANIFEST_CONTENT: take_small(r, at, &row->content); break;
      case ID_MANIFEST_SEQUENCE: tl_avro_take_i64(r->c, at, &row->sequence); break;
      case ID_MIN_SEQUENCE: tl_avro_take_i64(r->c, at, &row->min_sequence); break;
      case ID_ADDED_SNAPSHOT: tl_avro_take_i64(r->c, at, &row->snapshot_id); break;
      case ID_ADDED_FILES: tl_avro_take_i64(r->c, at, &row->files[TL_ENTRY_ADDED]); break;
      case ID_EXISTING_FILES: tl_avro_take_i64(r->c, at, &row->files[TL_ENTRY_EXISTING]); break;
      case ID_DELETED_FILES: tl_avro_take_i64(r->c, at, &row->files[TL_ENTRY_DELETED]); break;
      case ID_ADDED_ROWS: tl_avro_take_i64(r->c, at, &row->rows[TL_ENTRY_ADDED]); break;
      case ID_EXISTING_ROWS: tl_avro_take_i64(r->c, at, &row->rows[TL_ENTRY_EXISTING]); break;
      case ID_DELETED_ROWS: tl_avro_take_i64(r->c, at, &row->rows[TL_ENTRY_DELETED]); break;
      case ID_PARTITIONS: take_summaries(r, at); break;
      case ID_MANIFEST_KEY: tl_avro_take_text(r->c, at, &r->key); break;
      default: tl_avro_skip(r->c, at);
    }
  }
}

static tl_status judge(reader *r, tl_error *err) {
  tl_manifest_info *row = r->row;
  if (!r->path.len || memchr(r->path.data, 0, r->path.len)) return tl_fail(err, TL_ECORRUPT, "a row of manifest list '%s' has no path", r->what);
  if (row->sequence < 0 || row->min_sequence < 0 || row->content > 1) return tl_fail(err, TL_ECORRUPT, "a row of manifest list '%s' has impossible numbers", r->what);
  if (r->key.len) return tl_fail(err, TL_EUSAGE, "manifest list '%s' names encrypted manifests: they cannot be read", r->what);
  for (int i = 0; i < 3; i++)
    if (row->files[i] < -1 || row->rows[i] < -1) return tl_fail(err, TL_ECORRUPT, "a row of manifest list '%s' has a negative count", r->what);
  row->path = tl_strndup(r->path.data, r->path.len);
  return row->path ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot read '%s'", r->what);
}

tl_status tl_manifest_list_read(const char *what, const void *data, size_t len, tl_manifest_list *out, tl_error *err) {
  tl_avro_file *file = NULL;
  reader r = {.what = what, .err = err};
  tl_status st = tl_avro_open(what, data, len, &file, err);
  const tl_avro_node *root = st ? NULL : tl_avro_root(file);
  if (!st && root->type != TL_AVRO_RECORD) st = tl_fail(err, TL_ECORRUPT, "'%s' is no manifest list: it holds no records", what);
  while (!st && !(st = tl_avro_next(file, &r.c, err)) && r.c) {
    st = tl_manifest_list_add(out, &r.row, err);
    if (st) break;
    take_row(&r, root);
    st = r.status;
    if (!st && !r.c->failed) st = judge(&r, err);
  }
  tl_avro_close(file);
  return st;
}

/* ---- writing ---- */

#define FIELD(name, type, id) "{\"name\":\"" name "\",\"type\":\"" type "\",\"field-id\":" #id "}"
#define OPTIONAL(name, type, id) "{\"name\":\"" name "\",\"type\":[\"null\",\"" type "\"],\"default\":null,\"field-id\":" #id "}"

static const char list_schema[] =
  "{\"type\":\"record\",\"name\":\"manifest_file\",\"fields\":["
  FIELD("manifest_path", "string", 500) "," FIELD("manifest_length", "long", 501) "," FIELD("partition_spec_id", "int", 502) ","
  FIELD("content", "int", 517) "," FIELD("sequence_number", "long", 515) "," FIELD("min_sequence_number", "long", 516) ","
  FIELD("added_snapshot_id", "long", 503) "," FIELD("added_files_count", "int", 504) "," FIELD("existing_files_count", "int", 505) ","
  FIELD("deleted_files_count", "int", 506) "," FIELD("added_rows_count", "long", 512) "," FIELD("existing_rows_count", "long", 513) ","
  FIELD("deleted_rows_count", "long", 514) ","
  "{\"name\":\"partitions\",\"type\":[\"null\",{\"type\":\"array\",\"element-id\":508,\"items\":{\"type\":\"record\",\"name\":\"r508\",\"fields\":["
  FIELD("contains_null", "boolean", 509) "," OPTIONAL("contains_nan", "boolean", 518) "," OPTIONAL("lower_bound", "bytes", 510) ","
  OPTIONAL("upper_bound", "bytes", 511) "]}}],\"default\":null,\"field-id\":507}]}";

static void put_bound(tl_avro_writer *a, bool has, const tl_buf *bytes) {
  tl_avro_put_long(a, has ? 1 : 0);
  if (has) tl_avro_put_bytes(a, bytes->data, bytes->len);
}

static void put_row(tl_avro_writer *a, const tl_manifest_info *row) {
  static const tl_entry_status order[] = {TL_ENTRY_ADDED, TL_ENTRY_EXISTING, TL_ENTRY_DELETED};
  tl_avro_put_bytes(a, row->path, strlen(row->path));
  tl_avro_put_long(a, row->length_bytes);
  tl_avro_put_long(a, row->spec_id);
  tl_avro_put_long(a, row->content);
  tl_avro_put_long(a, row->sequence);
  tl_avro_put_long(a, row->min_sequence);
  tl_avro_put_long(a, row->snapshot_id);
  for (size_t i = 0; i < 3; i++) tl_avro_put_long(a, row->files[order[i]]);
  for (size_t i = 0; i < 3; i++) tl_avro_put_long(a, row->rows[order[i]]);
  tl_avro_put_long(a, row->summary_count ? 1 : 0);
  if (row->summary_count) {
    tl_avro_put_long(a, (int64_t)row->summary_count);
    for (size_t i = 0; i < row->summary_count; i++) {
      const tl_manifest_summary *s = &row->summaries[i];
      tl_avro_put_boolean(a, s->contains_null);
      tl_avro_put_long(a, s->contains_nan >= 0 ? 1 : 0);
      if (s->contains_nan >= 0) tl_avro_put_boolean(a, s->contains_nan > 0);
      put_bound(a, s->has_lower, &s->lower);
      put_bound(a, s->has_upper, &s->upper);
    }
    tl_avro_put_long(a, 0);
  }
  tl_avro_put_end(a);
}

tl_status tl_manifest_list_write(const tl_manifest_list *list, const tl_manifest_list_header *header, const char sync[16], tl_buf *out,
                                 tl_error *err) {
  char id[24], parent[24], sequence[24];
  snprintf(id, sizeof id, "%" PRId64, header->snapshot_id);
  snprintf(parent, sizeof parent, "%" PRId64, header->parent_id);
  snprintf(sequence, sizeof sequence, "%" PRId64, header->sequence);
  if (header->parent_id < 0) snprintf(parent, sizeof parent, "null");
  const tl_avro_pair meta[] = {{"snapshot-id", id}, {"parent-snapshot-id", parent}, {"sequence-number", sequence}, {"format-version", "2"}};
  tl_avro_writer a;
  tl_avro_begin(&a, out, list_schema, meta, sizeof meta / sizeof *meta, sync, true, err);
  for (size_t i = 0; i < list->count; i++) put_row(&a, &list->items[i]);
  return tl_avro_finish(&a);
}
