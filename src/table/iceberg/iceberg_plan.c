/* iceberg_plan.c - the manifests and the list of a commit; see iceberg_plan.h and iceberg_commit.c. */
#include "table/iceberg/iceberg_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum { MERGE_COUNT = 100 };
static const int64_t manifest_bytes = INT64_C(8) << 20; /* smaller ones are merged, larger ones are not begun */

static tl_status no_memory(tl_error *err) { return tl_fail(err, TL_ENOMEM, "cannot commit"); }

/* ---- open, undo, close ---- */

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static int file_by_path(const void *key, const void *file) { return strcmp(key, ((const tl_data_file *)file)->path); }

static const tl_data_file *find_file(const tl_snapshot *s, const char *path) {
  return s->file_count ? bsearch(path, s->files, s->file_count, sizeof *s->files, file_by_path) : NULL;
}

static tl_status open_removes(tl_iceberg_plan *p, tl_error *err) {
  const tl_edit *edit = p->edit;
  const tl_iceberg_own *own = p->base->own;
  p->removes = tl_calloc(edit->remove_count ? edit->remove_count : 1, sizeof *p->removes);
  p->found = tl_calloc(edit->remove_count ? edit->remove_count : 1, sizeof *p->found);
  p->touched = tl_calloc(own->list.count ? own->list.count : 1, sizeof *p->touched);
  if (!p->removes || !p->found || !p->touched) return no_memory(err);
  for (size_t i = 0; i < edit->remove_count; i++) {
    const tl_data_file *file = find_file(p->base, edit->removes[i]);
    if (!file) return tl_fail(err, TL_EUSAGE, "'%s' is no file of the table", edit->removes[i]);
    p->removes[i] = edit->removes[i];
    p->touched[((const tl_manifest_entry *)file->raw)->manifest] = true;
  }
  if (edit->remove_count) qsort(p->removes, edit->remove_count, sizeof *p->removes, by_text);
  for (size_t i = 1; i < edit->remove_count; i++)
    if (!strcmp(p->removes[i - 1], p->removes[i])) return tl_fail(err, TL_EUSAGE, "'%s' is removed twice", p->removes[i]);
  return TL_OK;
}

tl_status tl_iceberg_plan_open(tl_iceberg_plan *p, tl_error *err) {
  tl_iceberg_uuid(p->log, p->uuid);
  for (size_t i = 0; i < p->edit->add_count; i++)
    if (find_file(p->base, p->edit->adds[i].path)) return tl_fail(err, TL_EUSAGE, "'%s' is in the table already", p->edit->adds[i].path);
  return open_removes(p, err);
}

static void forget_attempt(tl_iceberg_plan *p) {
  tl_iceberg_specs_close(p->specs, p->resolved, p->state.metadata ? p->state.metadata->spec_count : 0);
  p->specs = NULL;
  p->resolved = NULL;
  tl_manifest_list_deinit(&p->current);
  tl_manifest_list_deinit(&p->next);
  for (size_t i = 0; i < p->key_count; i++) tl_free(p->keys[i]);
  p->key_count = 0;
  tl_free(p->list_path);
  p->list_path = NULL;
  for (size_t i = 0; i < p->summary_count; i++) {
    tl_free(p->summary[i].key);
    tl_free(p->summary[i].value);
  }
  p->summary_count = p->manifests_read = 0;
  p->removed = (tl_iceberg_counts){0};
}

void tl_iceberg_plan_undo(tl_iceberg_plan *p, bool all) {
  for (size_t i = 0; i < p->key_count; i++) tl_store_delete(p->log->store, p->keys[i], NULL); /* what stays is vacuum's */
  if (all && p->added_key) tl_store_delete(p->log->store, p->added_key, NULL);
  forget_attempt(p);
}

static void drop_state(tl_iceberg_plan *p) {
  if (p->borrowed) p->state = (tl_iceberg_state){0};
  else tl_iceberg_state_deinit(&p->state);
  p->borrowed = false;
}

tl_status tl_iceberg_plan_state(tl_iceberg_plan *p, bool first, tl_error *err) {
  const tl_iceberg_own *own = p->base->own;
  drop_state(p);
  p->borrowed = first && tl_iceberg_state_is_newest(p->log, &own->state);
  if (!p->borrowed) return tl_iceberg_state_load(p->log, &p->state, err);
  p->state = own->state;
  return TL_OK;
}

void tl_iceberg_plan_close(tl_iceberg_plan *p) {
  forget_attempt(p);
  drop_state(p);
  tl_manifest_info_deinit(&p->added);
  tl_free(p->added_key);
  tl_free(p->removes);
  tl_free(p->found);
  tl_free(p->touched);
  tl_free(p->keys);
  tl_free(p->summary);
}

/* ---- objects ---- */

void tl_iceberg_plan_sync(tl_iceberg_plan *p, char out[16]) {
  for (size_t i = 0; i < 16; i += 8) {
    uint64_t bits = tl_prng_next(&p->log->random);
    memcpy(out + i, &bits, sizeof bits);
  }
}

tl_status tl_iceberg_plan_put(tl_iceberg_plan *p, const char *name, const tl_buf *data, char **path, char **key, tl_error *err) {
  tl_text location = p->state.metadata->location;
  tl_buf full = {0}, below = {0};
  tl_status st = tl_buf_appendf(&full, err, "%.*s/metadata/%s", (int)location.len, location.data, name);
  if (!st) st = tl_buf_appendf(&below, err, "metadata/%s", name);
  if (!st) st = tl_store_put(p->log->store, below.data, data->data, data->len, TL_PUT_ANY, NULL, NULL, err);
  if (!st) {
    *path = tl_buf_take(&full);
    *key = tl_buf_take(&below);
  }
  tl_buf_deinit(&full);
  tl_buf_deinit(&below);
  return st;
}

tl_status tl_iceberg_plan_put_manifest(tl_iceberg_plan *p, const tl_buf *data, char **path, char **key, tl_error *err) {
  char name[80];
  snprintf(name, sizeof name, "%s-m%d.avro", p->uuid, p->serial++);
  return tl_iceberg_plan_put(p, name, data, path, key, err);
}

static tl_status remember_key(tl_iceberg_plan *p, char *key, tl_error *err) {
  if (p->key_count == p->key_capacity) {
    size_t more = p->key_capacity ? p->key_capacity * 2 : 8;
    char **grown = tl_realloc_array(p->keys, more, sizeof *grown);
    if (!grown) {
      tl_store_delete(p->log->store, key, NULL);
      tl_free(key);
      return no_memory(err);
    }
    p->keys = grown;
    p->key_capacity = more;
  }
  p->keys[p->key_count++] = key;
  return TL_OK;
}

tl_status tl_iceberg_schema_text(const tl_iceberg_metadata *m, int schema_id, tl_buf *out, tl_error *err) {
  tl_json_writer w = tl_json_writer_of(out, err);
  tl_json_put_value(&w, NULL, tl_iceberg_find_schema(m, schema_id)->json);
  return tl_json_writer_end(&w);
}

/* ---- manifests written anew ---- */

static tl_status manifest_open(tl_iceberg_plan *p, tl_manifest_writer *w, const tl_manifest_spec *spec, tl_error *err) {
  const tl_iceberg_metadata *m = p->state.metadata;
  tl_buf schema = {0};
  char sync[16];
  tl_iceberg_plan_sync(p, sync);
  tl_status st = tl_iceberg_schema_text(m, m->current_schema_id, &schema, err);
  if (!st) st = tl_manifest_begin(w, spec, schema.data, m->current_schema_id, p->id, sync, err);
  tl_buf_deinit(&schema);
  return st;
}

/* Puts the manifest and its row of the next list. The writer is closed. */
static tl_status manifest_close(tl_iceberg_plan *p, tl_manifest_writer *w, int64_t sequence, tl_error *err) {
  char *path = NULL, *key = NULL;
  tl_manifest_info *row = NULL;
  tl_status st = tl_manifest_finish(w, sequence, err);
  if (!st) st = tl_iceberg_plan_put_manifest(p, &w->out, &path, &key, err);
  if (!st) st = remember_key(p, key, err);
  if (!st) st = tl_manifest_list_add(&p->next, &row, err);
  if (!st) {
    *row = w->info;
    row->path = path;
    path = NULL;
    w->info = (tl_manifest_info){0};
  }
  tl_free(path);
  return st;
}

static tl_status keep_row(tl_iceberg_plan *p, const tl_manifest_info *info, tl_error *err) {
  tl_manifest_info *row = NULL;
  tl_manifest_info copy;
  for (int i = 0; i < 3; i++)
    if (info->files[i] < 0 || info->rows[i] < 0)
      return tl_fail(err, TL_ECORRUPT, "the list of manifests says not how many files '%s' has", info->path);
  tl_status st = tl_manifest_info_copy(info, &copy, err);
  if (st) return st;
  st = tl_manifest_list_add(&p->next, &row, err);
  if (st) tl_manifest_info_deinit(&copy);
  else *row = copy;
  return st;
}

/* ---- over the current list ---- */

static bool *found_remove(tl_iceberg_plan *p, const char *key) {
  size_t count = p->edit->remove_count;
  const char **at = count ? bsearch(&key, p->removes, count, sizeof *p->removes, by_text) : NULL;
  return at ? &p->found[at - p->removes] : NULL;
}

/* Are the values of an entry those of a partition in texts? Compared as values: 1.50 is 1.5. A text that is no value may be any. */
static bool in_partition(const tl_manifest_entry *e, const tl_manifest_spec *spec, const char *const *texts) {
  for (size_t i = 0; i < spec->count; i++) {
    tl_iceberg_value value;
    if (tl_iceberg_value_parse(&spec->results[i], spec->fields[i].transform, texts[i], &value, NULL)) continue;
    if (tl_iceberg_value_compare(&spec->results[i], &value, &e->partition[i]) != 0) return false;
  }
  return true;
}

/* A file that came since the base: was its partition read? */
static tl_status check_newcomer(tl_iceberg_plan *p, const tl_manifest_entry *e, const tl_manifest_spec *spec, const char *key, tl_error *err) {
  const tl_edit *edit = p->edit;
  bool read = edit->reads == TL_READS_ALL || e->spec_id != p->state.metadata->default_spec_id;
  for (size_t r = 0; !read && r < edit->read_partition_count; r++) read = in_partition(e, spec, edit->read_partitions[r]);
  if (!read) return TL_OK;
  p->final = true;
  return tl_fail(err, TL_ECONFLICT, "another writer added '%s' to what this change was made from", key);
}

/* Is it a manifest of the base too? Then its index there. */
static bool in_base(const tl_iceberg_plan *p, const char *path, size_t hint, size_t *index) {
  const tl_manifest_list *list = &((const tl_iceberg_own *)p->base->own)->list;
  if (hint < list->count && !strcmp(list->items[hint].path, path)) {
    *index = hint;
    return true;
  }
  for (size_t i = 0; i < list->count; i++)
    if (!strcmp(list->items[i].path, path)) {
      *index = i;
      return true;
    }
  return false;
}

static tl_status rewrite_without(tl_iceberg_plan *p, const tl_manifest_spec *spec, const tl_iceberg_entries *entries, const bool *gone,
                                 int64_t sequence, tl_error *err) {
  tl_manifest_writer w = {0};
  tl_status st = manifest_open(p, &w, spec, err);
  for (size_t i = 0; !st && i < entries->count; i++) {
    tl_manifest_entry *e = entries->items[i];
    if (gone[i]) e->snapshot_id = p->id; /* who deleted it */
    st = tl_manifest_put(&w, e, gone[i] ? TL_ENTRY_DELETED : TL_ENTRY_EXISTING, err);
  }
  if (!st) st = manifest_close(p, &w, sequence, err);
  if (w.spec) tl_manifest_writer_deinit(&w);
  return st;
}

/* Reads one manifest: newcomers are checked, removed files found; it is kept, or written anew without those. */
static tl_status visit_manifest(tl_iceberg_plan *p, const tl_manifest_info *info, size_t index, bool known, int64_t sequence, tl_error *err) {
  const tl_iceberg_metadata *m = p->state.metadata;
  const tl_manifest_spec *spec = tl_iceberg_spec_of(p->specs, m->spec_count, info->spec_id);
  tl_iceberg_entries entries = {0};
  bool *gone = NULL, any = false;
  if (!spec) return tl_fail(err, TL_ECORRUPT, "manifest '%s' is of partition spec %d, which the table has not", info->path, info->spec_id);
  tl_status st = tl_iceberg_entries_load(p->log, m, info, index, spec, &entries, err);
  if (!st && !(gone = tl_calloc(entries.count ? entries.count : 1, sizeof *gone))) st = no_memory(err);
  for (size_t i = 0; !st && i < entries.count; i++) {
    const tl_manifest_entry *e = entries.items[i];
    char *key = NULL;
    st = tl_iceberg_key(p->log, m, e->path, &key, err);
    bool *found = st ? NULL : found_remove(p, key);
    if (found) {
      *found = gone[i] = any = true;
      p->removed.files++;
      p->removed.rows += e->rows;
      p->removed.bytes += e->bytes;
    } else if (!st && !known && p->edit->reads >= TL_READS_PARTITIONS && !find_file(p->base, key)) {
      st = check_newcomer(p, e, spec, key, err);
    }
    tl_free(key);
  }
  if (!st) st = any ? rewrite_without(p, spec, &entries, gone, sequence, err) : keep_row(p, info, err);
  tl_free(gone);
  tl_iceberg_entries_deinit(&entries);
  return st;
}

static tl_status check_all_found(tl_iceberg_plan *p, tl_error *err) {
  for (size_t i = 0; i < p->edit->remove_count; i++)
    if (!p->found[i]) {
      p->final = true;
      return tl_fail(err, TL_ECONFLICT, "another writer removed '%s', which this change replaces", p->removes[i]);
    }
  return TL_OK;
}

static tl_status walk_current(tl_iceberg_plan *p, int64_t sequence, tl_error *err) {
  tl_status st = TL_OK;
  bool reads = p->edit->remove_count || p->edit->reads >= TL_READS_PARTITIONS;
  for (size_t i = 0; i < p->edit->remove_count; i++) p->found[i] = false;
  for (size_t i = 0; !st && i < p->current.count; i++) {
    const tl_manifest_info *info = &p->current.items[i];
    size_t index = 0;
    bool known = in_base(p, info->path, i, &index);
    bool live = info->files[TL_ENTRY_ADDED] != 0 || info->files[TL_ENTRY_EXISTING] != 0;
    if (info->content != 0 && live) { /* deletes have come since: what they delete this change does not know */
      p->final = true;
      return tl_fail(err, TL_ECONFLICT, "another writer added row-level deletes");
    }
    if (reads && live && (!known || p->touched[index])) st = visit_manifest(p, info, i, known, sequence, err);
    else if (live || info->content != 0) st = keep_row(p, info, err); /* one of deleted entries only has had its time */
  }
  return st ? st : check_all_found(p, err);
}

/* ---- few manifests out of many ---- */

static int compare_entries(const tl_manifest_entry *a, const tl_manifest_entry *b, const tl_manifest_spec *spec) {
  for (size_t i = 0; i < spec->count; i++) {
    int order = tl_iceberg_value_compare(&spec->results[i], &a->partition[i], &b->partition[i]);
    if (order) return order;
  }
  size_t common = a->path.len < b->path.len ? a->path.len : b->path.len;
  int order = memcmp(a->path.data, b->path.data, common);
  return order ? order : (a->path.len > b->path.len) - (a->path.len < b->path.len);
}

static int entry_order(const void *a, const void *b, void *spec) {
  return compare_entries(*(tl_manifest_entry *const *)a, *(tl_manifest_entry *const *)b, spec);
}

/* Writes the entries, by partition, into manifests of about 8 MiB. */
static tl_status write_merged(tl_iceberg_plan *p, const tl_manifest_spec *spec, tl_iceberg_entries *entries, int64_t sequence, tl_error *err) {
  tl_manifest_writer w = {0};
  tl_status st = TL_OK;
  qsort_r(entries->items, entries->count, sizeof *entries->items, entry_order, (void *)(uintptr_t)spec);
  for (size_t i = 0; !st && i < entries->count; i++) {
    if (!w.spec) st = manifest_open(p, &w, spec, err);
    if (!st) st = tl_manifest_put(&w, entries->items[i], TL_ENTRY_EXISTING, err);
    if (st || ((int64_t)w.out.len < manifest_bytes && i + 1 < entries->count)) continue;
    st = manifest_close(p, &w, sequence, err);
    tl_manifest_writer_deinit(&w);
  }
  if (w.spec) tl_manifest_writer_deinit(&w);
  return st;
}

static bool can_merge(const tl_iceberg_plan *p, const tl_manifest_info *info) {
  return info->content == 0 && info->spec_id == p->state.metadata->default_spec_id && info->snapshot_id != p->id &&
         (p->rewrite || info->length_bytes < manifest_bytes);
}

/* Manifests of one file each would make every open slow: from a hundred small ones on, they become one. */
static tl_status merge_manifests(tl_iceberg_plan *p, int64_t sequence, tl_error *err) {
  const tl_iceberg_metadata *m = p->state.metadata;
  const tl_manifest_spec *spec = tl_iceberg_spec_of(p->specs, m->spec_count, m->default_spec_id);
  size_t small = 0, kept = 0;
  for (size_t i = 0; i < p->next.count; i++) small += can_merge(p, &p->next.items[i]);
  if (!p->rewrite && small < MERGE_COUNT) return TL_OK;
  tl_iceberg_entries entries = {0};
  tl_status st = TL_OK;
  int64_t bytes = 0;
  size_t count = p->next.count;
  for (size_t i = 0; i < count; i++) {
    tl_manifest_info row = p->next.items[i];
    bool takes = !st && can_merge(p, &row) && (p->rewrite || bytes + row.length_bytes <= manifest_bytes * 2);
    if (takes) {
      bytes += row.length_bytes;
      p->manifests_read++;
      st = tl_iceberg_entries_load(p->log, m, &row, i, spec, &entries, err);
      tl_manifest_info_deinit(&row);
    } else {
      p->next.items[kept++] = row;
    }
  }
  p->next.count = kept;
  if (!st) st = write_merged(p, spec, &entries, sequence, err);
  tl_iceberg_entries_deinit(&entries);
  return st;
}

/* ---- all ---- */

static tl_status write_list(tl_iceberg_plan *p, const tl_iceberg_added *added, tl_error *err) {
  tl_buf data = {0};
  char name[128], sync[16], *key = NULL;
  const tl_manifest_list_header header = {added->id, added->parent, added->sequence};
  tl_iceberg_plan_sync(p, sync);
  snprintf(name, sizeof name, "snap-%" PRId64 "-%d-%s.avro", added->id, ++p->attempts, p->uuid);
  tl_status st = tl_manifest_list_write(&p->next, &header, sync, &data, err);
  if (!st) st = tl_iceberg_plan_put(p, name, &data, &p->list_path, &key, err);
  if (!st) st = remember_key(p, key, err);
  tl_buf_deinit(&data);
  return st;
}

tl_status tl_iceberg_plan_write(tl_iceberg_plan *p, const char *operation, tl_iceberg_added *added, tl_error *err) {
  const tl_iceberg_metadata *m = p->state.metadata;
  const tl_iceberg_schema *schema = tl_iceberg_find_schema(m, m->current_schema_id);
  tl_status st = tl_iceberg_specs_open(m, &schema->fields, &p->specs, &p->resolved, err);
  if (!st && m->current >= 0) st = tl_iceberg_list_load(p->log, m, tl_iceberg_find_snap(m, m->current)->manifest_list, &p->current, err);
  if (!st) st = walk_current(p, added->sequence, err);
  if (!st) st = merge_manifests(p, added->sequence, err);
  if (!st && p->edit->add_count) {
    st = tl_iceberg_plan_added(p, added->sequence, err);
    if (!st) st = keep_row(p, &p->added, err);
  }
  if (!st) st = write_list(p, added, err);
  if (!st) st = tl_iceberg_plan_summary(p, operation, added, err);
  added->manifest_list = p->list_path;
  return st;
}
