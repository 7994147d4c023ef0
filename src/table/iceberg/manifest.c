/* manifest.c - reading manifests; see manifest.h. */
#include "table/iceberg/manifest.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "table/iceberg/avro_fields.h"

enum { COLUMNS_MAX = 10000 };

static const avro_field_name names[] = {
  {"status", ID_STATUS}, {"snapshot_id", ID_SNAPSHOT}, {"data_file", ID_DATA_FILE}, {"sequence_number", ID_SEQUENCE},
  {"file_sequence_number", ID_FILE_SEQUENCE}, {"file_path", ID_FILE_PATH}, {"file_format", ID_FILE_FORMAT},
  {"partition", ID_PARTITION}, {"record_count", ID_RECORD_COUNT}, {"file_size_in_bytes", ID_FILE_SIZE},
  {"column_sizes", ID_COLUMN_SIZES}, {"value_counts", ID_VALUE_COUNTS}, {"null_value_counts", ID_NULL_COUNTS},
  {"nan_value_counts", ID_NAN_COUNTS}, {"lower_bounds", ID_LOWER}, {"upper_bounds", ID_UPPER},
  {"key_metadata", ID_KEY_METADATA}, {"split_offsets", ID_SPLITS}, {"content", ID_CONTENT},
  {"equality_ids", ID_EQUALITY_IDS}, {"sort_order_id", ID_SORT_ORDER},
};

static int id_of(const tl_avro_child *child) { return avro_field_id(child, names, sizeof names / sizeof *names); }

/* ---- one block for an entry ---- */

static void copy_text(char **at, tl_text *text) {
  if (text->len) memcpy(*at, text->data, text->len);
  text->data = *at;
  *at += text->len;
}

tl_manifest_entry *tl_manifest_entry_pack(const tl_manifest_entry *from) {
  size_t values = from->partition_count * sizeof *from->partition, metrics = from->metric_count * sizeof *from->metrics;
  size_t splits = from->split_count * sizeof *from->splits, texts = from->path.len;
  for (size_t i = 0; i < from->partition_count; i++) texts += from->partition[i].text.len;
  for (size_t i = 0; i < from->metric_count; i++) texts += from->metrics[i].lower.len + from->metrics[i].upper.len;
  _Static_assert(sizeof(tl_manifest_entry) % 8 == 0 && sizeof(tl_iceberg_value) % 8 == 0 && sizeof(tl_manifest_metric) % 8 == 0,
                 "the parts of the block follow each other aligned");
  tl_manifest_entry *to = tl_alloc(sizeof *to + values + metrics + splits + texts);
  if (!to) return NULL;
  *to = *from;
  char *at = (char *)(to + 1);
  to->partition = (tl_iceberg_value *)(void *)at;
  to->metrics = (tl_manifest_metric *)(void *)(at + values);
  to->splits = (int64_t *)(void *)(at + values + metrics);
  at += values + metrics + splits;
  if (values) memcpy(to->partition, from->partition, values);
  if (metrics) memcpy(to->metrics, from->metrics, metrics);
  if (splits) memcpy(to->splits, from->splits, splits);
  copy_text(&at, &to->path);
  for (size_t i = 0; i < to->partition_count; i++) copy_text(&at, &to->partition[i].text);
  for (size_t i = 0; i < to->metric_count; i++) {
    copy_text(&at, &to->metrics[i].lower);
    copy_text(&at, &to->metrics[i].upper);
  }
  return to;
}

/* ---- reading ---- */

typedef struct reader {
  const char *what;
  const tl_manifest_info *info;
  const tl_manifest_spec *spec;
  tl_avro_cursor *c;
  tl_manifest_entry entry; /* its arrays are these, and grow */
  size_t metric_capacity, metric_hint, split_capacity;
  bool has_sequence, has_file_sequence, has_snapshot, has_status, has_path, has_rows;
  int64_t content;
  tl_text format, key;
  tl_status status; /* of memory */
  tl_error *err;
} reader;

static void keep(reader *r, tl_status st) {
  if (!r->status) r->status = st;
}

/* The metric of a column; they come in the order of the one map before, so the place behind the last is tried first. */
static tl_manifest_metric *metric_of(reader *r, int id) {
  tl_manifest_entry *e = &r->entry;
  size_t at = r->metric_hint < e->metric_count && e->metrics[r->metric_hint].id <= id ? r->metric_hint : 0;
  while (at < e->metric_count && e->metrics[at].id < id) at++;
  r->metric_hint = at;
  if (at < e->metric_count && e->metrics[at].id == id) return &e->metrics[at];
  if (e->metric_count == COLUMNS_MAX) {
    keep(r, tl_fail(r->err, TL_ELIMIT, "'%s' has statistics of over %d columns", r->what, COLUMNS_MAX));
    return NULL;
  }
  if (e->metric_count == r->metric_capacity) {
    size_t more = r->metric_capacity ? r->metric_capacity * 2 : 32;
    tl_manifest_metric *grown = tl_realloc_array(e->metrics, more, sizeof *grown);
    if (!grown) {
      keep(r, tl_fail(r->err, TL_ENOMEM, "cannot hold the statistics of '%s'", r->what));
      return NULL;
    }
    e->metrics = grown;
    r->metric_capacity = more;
  }
  memmove(e->metrics + at + 1, e->metrics + at, (e->metric_count - at) * sizeof *e->metrics);
  e->metric_count++;
  e->metrics[at] = (tl_manifest_metric){.id = id, .size_bytes = -1, .values = -1, .nulls = -1, .nans = -1};
  return &e->metrics[at];
}

static void set_metric(reader *r, int field, int id, int64_t count, tl_text bytes) {
  tl_manifest_metric *m = metric_of(r, id);
  if (!m) return;
  switch (field) {
    case ID_COLUMN_SIZES: m->size_bytes = count; break;
    case ID_VALUE_COUNTS: m->values = count; break;
    case ID_NULL_COUNTS: m->nulls = count; break;
    case ID_NAN_COUNTS: m->nans = count; break;
    case ID_LOWER:
      m->lower = bytes;
      m->has_lower = true;
      break;
    default:
      m->upper = bytes;
      m->has_upper = true;
  }
}

/* A map with int keys: an array of records {key, value}, in any order of the two. */
static void take_map(reader *r, const tl_avro_node *node, int field) {
  tl_avro_cursor *c = r->c;
  bool bound = field == ID_LOWER || field == ID_UPPER;
  node = tl_avro_branch(c, node);
  if (node->type == TL_AVRO_NULL) return;
  if (node->type != TL_AVRO_ARRAY || node->children[0].node->type != TL_AVRO_RECORD) {
    tl_avro_fail(c);
    return;
  }
  const tl_avro_node *pair = node->children[0].node;
  for (int64_t n; (n = tl_avro_items(c)) > 0;)
    for (; n > 0 && !c->failed && !r->status; n--) {
      int64_t key = -1, count = -1;
      tl_text bytes = {0};
      for (size_t i = 0; i < pair->count && !c->failed; i++) {
        const tl_avro_child *child = &pair->children[i];
        if (!strcmp(child->name, "key")) tl_avro_take_i64(c, child->node, &key);
        else if (strcmp(child->name, "value") != 0) tl_avro_skip(c, child->node);
        else if (bound) tl_avro_take_text(c, child->node, &bytes);
        else tl_avro_take_i64(c, child->node, &count);
      }
      if (key < 0 || key > INT32_MAX || count < -1) tl_avro_fail(c);
      else set_metric(r, field, (int)key, count, bytes);
      if (r->status) tl_avro_fail(c);
    }
}

static void take_splits(reader *r, const tl_avro_node *node) {
  tl_avro_cursor *c = r->c;
  tl_manifest_entry *e = &r->entry;
  node = tl_avro_branch(c, node);
  if (node->type == TL_AVRO_NULL) return;
  if (node->type != TL_AVRO_ARRAY) {
    tl_avro_fail(c);
    return;
  }
  for (int64_t n; (n = tl_avro_items(c)) > 0;)
    for (; n > 0 && !c->failed; n--) {
      int64_t offset = 0;
      if (!tl_avro_take_i64(c, node->children[0].node, &offset)) continue;
      if (e->split_count == r->split_capacity) {
        size_t more = r->split_capacity ? r->split_capacity * 2 : 16;
        int64_t *grown = tl_realloc_array(e->splits, more, sizeof *grown);
        if (!grown) {
          keep(r, tl_fail(r->err, TL_ENOMEM, "cannot hold the split offsets of '%s'", r->what));
          tl_avro_fail(c);
          return;
        }
        e->splits = grown;
        r->split_capacity = more;
      }
      e->splits[e->split_count++] = offset;
    }
}

static bool take_decimal(tl_text bytes, int64_t *out) {
  if (!bytes.len) return false;
  bool negative = (uint8_t)bytes.data[0] & 0x80;
  size_t i = 0;
  for (; bytes.len - i > 8; i++) /* only sign bytes may stand before the last eight */
    if ((uint8_t)bytes.data[i] != (negative ? 0xff : 0)) return false;
  uint64_t bits = negative ? UINT64_MAX : 0;
  for (; i < bytes.len; i++) bits = bits << 8 | (uint8_t)bytes.data[i];
  *out = (int64_t)bits;
  return (*out < 0) == negative;
}

static void take_value(reader *r, const tl_avro_node *node, const tl_field *result, tl_iceberg_value *out) {
  tl_avro_cursor *c = r->c;
  switch (result->type) {
    case TL_FIELD_F32:
    case TL_FIELD_F64: out->null = !tl_avro_take_f64(c, node, &out->f64); break;
    case TL_FIELD_STRING: out->null = !tl_avro_take_text(c, node, &out->text); break;
    case TL_FIELD_DECIMAL: {
      tl_text bytes;
      out->null = !tl_avro_take_text(c, node, &bytes);
      if (!out->null && !take_decimal(bytes, &out->i64)) tl_avro_fail(c);
      break;
    }
    case TL_FIELD_OTHER: tl_avro_skip(c, node); break;
    default: out->null = !tl_avro_take_i64(c, node, &out->i64);
  }
}

static void take_partition(reader *r, const tl_avro_node *node) {
  node = tl_avro_branch(r->c, node);
  if (node->type != TL_AVRO_RECORD) {
    if (node->type != TL_AVRO_NULL) tl_avro_fail(r->c);
    return;
  }
  for (size_t i = 0; i < node->count && !r->c->failed; i++) {
    const tl_avro_child *child = &node->children[i];
    size_t k = 0;
    while (k < r->spec->count && child->id != r->spec->fields[k].id && (child->id >= 0 || strcmp(child->name, r->spec->fields[k].name) != 0)) k++;
    if (k < r->spec->count) take_value(r, child->node, &r->spec->results[k], &r->entry.partition[k]);
    else tl_avro_skip(r->c, child->node);
  }
}

static void take_data_file(reader *r, const tl_avro_node *node) {
  tl_avro_cursor *c = r->c;
  tl_manifest_entry *e = &r->entry;
  int64_t order = -1;
  node = tl_avro_branch(c, node);
  if (node->type != TL_AVRO_RECORD) tl_avro_fail(c);
  for (size_t i = 0; !c->failed && i < node->count; i++) {
    const tl_avro_node *at = node->children[i].node;
    int id = id_of(&node->children[i]);
    switch (id) {
      case ID_CONTENT: tl_avro_take_i64(c, at, &r->content); break;
      case ID_FILE_PATH: r->has_path = tl_avro_take_text(c, at, &e->path); break;
      case ID_FILE_FORMAT: tl_avro_take_text(c, at, &r->format); break;
      case ID_PARTITION: take_partition(r, at); break;
      case ID_RECORD_COUNT: r->has_rows = tl_avro_take_i64(c, at, &e->rows); break;
      case ID_FILE_SIZE: tl_avro_take_i64(c, at, &e->bytes); break;
      case ID_COLUMN_SIZES:
      case ID_VALUE_COUNTS:
      case ID_NULL_COUNTS:
      case ID_NAN_COUNTS:
      case ID_LOWER:
      case ID_UPPER: take_map(r, at, id); break;
      case ID_KEY_METADATA: tl_avro_take_text(c, at, &r->key); break;
      case ID_SPLITS: take_splits(r, at); break;
      case ID_SORT_ORDER: tl_avro_take_i64(c, at, &order); break;
      default: tl_avro_skip(c, at);
    }
  }
  if (order < -1 || order > INT32_MAX) tl_avro_fail(c);
  else e->sort_order_id = (int)order;
}

static void take_entry(reader *r, const tl_avro_node *root) {
  tl_avro_cursor *c = r->c;
  tl_manifest_entry *e = &r->entry;
  int64_t status = 0;
  *e = (tl_manifest_entry){.sequence = -1, .file_sequence = -1, .sort_order_id = -1, .spec_id = r->spec->id, .bytes = -1, .rows = -1,
                           .partition = e->partition, .partition_count = r->spec->count, .metrics = e->metrics, .splits = e->splits};
  for (size_t i = 0; i < e->partition_count; i++) e->partition[i] = (tl_iceberg_value){.null = true};
  r->has_sequence = r->has_file_sequence = r->has_snapshot = r->has_status = r->has_path = r->has_rows = false;
  r->metric_hint = 0;
  r->content = 0;
  r->format = r->key = (tl_text){0};
  for (size_t i = 0; !c->failed && i < root->count; i++) {
    const tl_avro_node *at = root->children[i].node;
    switch (id_of(&root->children[i])) {
      case ID_STATUS: r->has_status = tl_avro_take_i64(c, at, &status); break;
      case ID_SNAPSHOT: r->has_snapshot = tl_avro_take_i64(c, at, &e->snapshot_id); break;
      case ID_SEQUENCE: r->has_sequence = tl_avro_take_i64(c, at, &e->sequence); break;
      case ID_FILE_SEQUENCE: r->has_file_sequence = tl_avro_take_i64(c, at, &e->file_sequence); break;
      case ID_DATA_FILE: take_data_file(r, at); break;
      default: tl_avro_skip(c, at);
    }
  }
  if (status < 0 || status > 2) tl_avro_fail(c);
  else e->status = (tl_entry_status)status;
}

/* What an entry must have, and what it inherits from its row in the list. */
static tl_status judge(reader *r) {
  tl_manifest_entry *e = &r->entry;
  if (!r->has_status || !r->has_path || !r->has_rows || e->rows < 0 || e->bytes < 0 || !e->path.len || memchr(e->path.data, 0, e->path.len))
    return tl_fail(r->err, TL_ECORRUPT, "an entry of manifest '%s' lacks its status, path, size or row count", r->what);
  if (r->content != 0 && !r->info->content) return tl_fail(r->err, TL_EUSAGE, "manifest '%s' holds delete files: they cannot be read", r->what);
  if (r->info->content) return TL_OK; /* of delete files nobody asks but the path */
  if (r->format.len != 7 || strncasecmp(r->format.data, "PARQUET", 7) != 0)
    return tl_fail(r->err, TL_EUSAGE, "manifest '%s' holds files of the format '%.*s': only Parquet is read", r->what,
                   (int)(r->format.len < 32 ? r->format.len : 32), r->format.data ? r->format.data : "");
  if (r->key.len) return tl_fail(r->err, TL_EUSAGE, "manifest '%s' holds encrypted files: they cannot be read", r->what);
  if (!r->has_snapshot) e->snapshot_id = r->info->snapshot_id;
  if (!r->has_sequence) e->sequence = r->info->sequence;
  if (!r->has_file_sequence) e->file_sequence = r->info->sequence;
  return e->sequence < 0 || e->file_sequence < 0 ? tl_fail(r->err, TL_ECORRUPT, "an entry of manifest '%s' has a negative sequence number", r->what) : TL_OK;
}

static tl_status read_entries(reader *r, tl_avro_file *file, tl_manifest_each each, void *to, tl_error *err) {
  const tl_avro_node *root = tl_avro_root(file);
  if (root->type != TL_AVRO_RECORD) return tl_fail(err, TL_ECORRUPT, "'%s' is no manifest: it holds no records", r->what);
  for (;;) {
    tl_status st = tl_avro_next(file, &r->c, err);
    if (st || !r->c) return st;
    take_entry(r, root);
    if (r->status) return r->status;
    if (r->c->failed) continue; /* the next tl_avro_next says so */
    st = judge(r);
    if (st) return st;
    tl_manifest_entry *entry = tl_manifest_entry_pack(&r->entry);
    if (!entry) return tl_fail(err, TL_ENOMEM, "cannot hold an entry of '%s'", r->what);
    st = each(to, entry, err);
    if (st) return st;
  }
}

tl_status tl_manifest_read(const char *what, const void *data, size_t len, const tl_manifest_info *info, const tl_manifest_spec *spec,
                           tl_manifest_each each, void *to, tl_error *err) {
  tl_avro_file *file = NULL;
  reader r = {.what = what, .info = info, .spec = spec, .err = err};
  r.entry.partition = tl_calloc(spec->count ? spec->count : 1, sizeof *r.entry.partition);
  tl_status st = r.entry.partition ? tl_avro_open(what, data, len, &file, err) : tl_fail(err, TL_ENOMEM, "cannot read '%s'", what);
  if (!st) st = read_entries(&r, file, each, to, err);
  tl_avro_close(file);
  tl_free(r.entry.partition);
  tl_free(r.entry.metrics);
  tl_free(r.entry.splits);
  return st;
}
