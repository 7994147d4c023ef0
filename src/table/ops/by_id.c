/* by_id.c - what the data files of a table call its columns, where that is known by field id only.
 * Files alike in this make a layout; DuckDB is asked for the ids in their footers. A file without any id goes by the
 * table's name mapping, and without that by name. Cost: a look into the footer of each file. */
#include <string.h>

#include "base/alloc.h"
#include "json/read.h"
#include "market/number.h"
#include "table/ops/ops.h"

typedef struct reading {
  const tl_snapshot *snapshot;
  const tl_picks *files;
  tl_layouts *out;
  size_t *layout_of;       /* by pick */
  size_t done;             /* files whose columns are known */
  bool open, has_ids;      /* of the file being told */
  int64_t columns, below;  /* of it still to come: columns, and members of the column told last */
  char **by_id, **by_name; /* by field: what the file calls it */
  tl_json *mapping;
} reading;

static void names_deinit(char **names, size_t count) {
  for (size_t i = 0; names && i < count; i++) tl_free(names[i]);
  tl_free(names);
}

static void clear(char **names, size_t count) {
  for (size_t i = 0; i < count; i++) {
    tl_free(names[i]);
    names[i] = NULL;
  }
}

void tl_layouts_deinit(tl_layouts *layouts) {
  for (size_t i = 0; i < layouts->count; i++) names_deinit(layouts->items[i].names, layouts->field_count);
  tl_free(layouts->items);
  tl_picks_deinit(&layouts->files);
  *layouts = (tl_layouts){0};
}

/* ---- a column of a file ---- */

static int field_of_id(const tl_snapshot *snapshot, int64_t id) {
  for (size_t i = 0; i < snapshot->fields.count; i++)
    if (snapshot->fields.items[i].id == id && tl_ops_partition_of(&snapshot->partitioning, i) < 0) return (int)i;
  return -1;
}

/* [{"field-id": 1, "names": ["id", "record_id"]}, ...] */
static int field_of_name(const reading *r, tl_cell name) {
  const tl_json_value *entry, *alias;
  tl_text text;
  int64_t id;
  if (!r->mapping) return tl_fields_find(&r->snapshot->fields, name.text);
  for (tl_json_iter iter = tl_json_iter_of(tl_json_root(r->mapping)); tl_json_iter_next(&iter, NULL, &entry);)
    for (tl_json_iter names = tl_json_iter_of(tl_json_get(entry, "names")); tl_json_iter_next(&names, NULL, &alias);)
      if (tl_json_string(alias, &text) && text.len == name.len && !memcmp(text.data, name.text, name.len) &&
          tl_json_number(tl_json_get(entry, "field-id"), &text) && tl_number_i64(text.data, text.len, &id) == TL_NUMBER_OK)
        return field_of_id(r->snapshot, id);
  return -1;
}

static tl_status take_column(reading *r, tl_cell name, tl_cell id_text, tl_error *err) {
  int64_t id = -1;
  bool has_id = id_text.text && tl_number_i64(id_text.text, id_text.len, &id) == TL_NUMBER_OK;
  int field = has_id ? field_of_id(r->snapshot, id) : field_of_name(r, name);
  char **to = has_id ? r->by_id : r->by_name;
  r->has_ids |= has_id;
  if (field < 0 || to[field]) return TL_OK;
  to[field] = tl_strndup(name.text, name.len);
  return to[field] ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot hold the columns of a file");
}

/* ---- a file ---- */

static bool same_names(char *const *a, char *const *b, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!a[i] != !b[i] || (a[i] && strcmp(a[i], b[i]) != 0)) return false;
  return true;
}

static tl_status add_layout(reading *r, char **names, tl_error *err) {
  tl_layouts *out = r->out;
  size_t count = out->field_count;
  tl_layout *grown = tl_realloc_array(out->items, out->count + 1, sizeof *grown);
  if (grown) out->items = grown;
  char **kept = grown ? tl_calloc(count + 1, sizeof *kept) : NULL;
  if (!kept) return tl_fail(err, TL_ENOMEM, "cannot hold the columns of a file");
  memcpy(kept, names, count * sizeof *kept);
  memset(names, 0, count * sizeof *names);
  out->items[out->count++] = (tl_layout){.names = kept};
  return TL_OK;
}

static tl_status end_file(reading *r, tl_error *err) {
  char **names = r->has_ids ? r->by_id : r->by_name;
  size_t count = r->out->field_count, at = 0;
  tl_status st = TL_OK;
  while (at < r->out->count && !same_names(r->out->items[at].names, names, count)) at++;
  if (at == r->out->count) st = add_layout(r, names, err);
  if (st) return st;
  r->out->items[at].count++;
  r->layout_of[r->done++] = at;
  clear(r->by_id, count);
  clear(r->by_name, count);
  r->open = r->has_ids = false;
  return TL_OK;
}

/* name, field_id, num_children: a tree, depth first, file after file. */
static tl_status take_element(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  reading *r = to;
  int64_t children = 0;
  tl_status st = TL_OK;
  (void)count;
  if (tl_number_i64(cells[2].text, cells[2].len, &children) != TL_NUMBER_OK || children < 0 || children > INT32_MAX) children = 0;
  if (!r->open) { /* the root */
    if (r->done == r->files->count) return tl_fail(err, TL_ECORRUPT, "the columns of the table's files cannot be told apart");
    r->open = true;
    r->columns = children;
  } else if (r->below) {
    r->below += children - 1;
  } else {
    r->columns--;
    r->below = children;
    st = take_column(r, cells[0], cells[1], err);
  }
  return !st && !r->columns && !r->below ? end_file(r, err) : st;
}

/* ---- the whole ---- */

static tl_status ask(reading *r, tl_relation *relation, tl_error *err) {
  tl_sql sql = {.err = err};
  tl_sql_add(&sql, "SELECT coalesce(name, ''), CAST(field_id AS VARCHAR), CAST(coalesce(num_children, 0) AS VARCHAR) FROM parquet_schema(");
  tl_ops_paths(relation, r->snapshot, r->files, &sql);
  tl_sql_add(&sql, ")");
  tl_status st = tl_sql_rows(&sql, relation->link, take_element, r);
  tl_sql_deinit(&sql);
  if (!st && r->done != r->files->count) st = tl_fail(err, TL_ECORRUPT, "the columns of the table's files cannot be told apart");
  return st;
}

/* Files by layout, in the order they had. */
static void sort_files(reading *r) {
  tl_layouts *out = r->out;
  for (size_t at = 0, i = 0; i < out->count; i++) {
    out->items[i].first = at;
    for (size_t f = 0; f < r->files->count; f++)
      if (r->layout_of[f] == i) out->files.items[at++] = r->files->items[f];
  }
}

tl_status tl_ops_layouts(tl_relation *relation, const tl_snapshot *snapshot, const tl_picks *files, tl_layouts *out, tl_error *err) {
  size_t fields = snapshot->fields.count;
  const char *mapping = tl_snapshot_property(snapshot, "schema.name-mapping.default");
  *out = (tl_layouts){.field_count = fields, .files = {tl_calloc(files->count + 1, sizeof *out->files.items), files->count}};
  reading r = {.snapshot = snapshot, .files = files, .out = out, .layout_of = tl_calloc(files->count + 1, sizeof *r.layout_of),
               .by_id = tl_calloc(fields + 1, sizeof *r.by_id), .by_name = tl_calloc(fields + 1, sizeof *r.by_name)};
  tl_status st = out->files.items && r.layout_of && r.by_id && r.by_name ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot hold the columns of %zu files", files->count);
  if (!st && mapping) st = tl_json_open(mapping, strlen(mapping), 0, &r.mapping, err);
  if (!st) st = ask(&r, relation, err);
  if (!st) sort_files(&r);
  names_deinit(r.by_id, r.by_id ? fields : 0);
  names_deinit(r.by_name, r.by_name ? fields : 0);
  tl_free(r.layout_of);
  tl_json_close(r.mapping);
  if (st) tl_layouts_deinit(out);
  return st;
}
