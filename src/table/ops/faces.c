/* faces.c - one table, two logs over the same files: keeping them level.
 *
 * Every edit is committed to Delta first; Iceberg is then brought level. Each Iceberg commit of ours says up to which
 * Delta version it goes: property ticklake.faces.delta, the mark. What each side did since is the difference to the
 * files of Delta at the mark, so it does not matter whether a crash, or somebody else's commit, left them apart:
 *     in Delta now, not at the mark, not in Iceberg      -> add to Iceberg        (ours, Iceberg was not reached)
 *     at the mark, not in Delta now, in Iceberg          -> remove from Iceberg
 *     in Iceberg, not at the mark, not in Delta          -> add to Delta          (somebody's commit to Iceberg)
 *     at the mark and in Delta, not in Iceberg           -> remove from Delta
 * Both rewrote one file: its rows would be there twice, so that is refused by name, as are columns that one side dropped
 * or changed. These commits read everything, so of two processes that level at once one begins anew. Delta is written first here too; a crash in between finds the same difference again.
 * A partition column that Delta holds for a transform (month) is the hidden transform in Iceberg, and no column there. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/log.h"
#include "market/number.h"
#include "table/ops/ops.h"

static const char mark_key[] = "ticklake.faces.delta";
enum { ROUNDS_MAX = 20, MARK_NONE = -1 };

static int iceberg_at(const tl_relation *relation) {
  for (size_t i = 0; i < relation->face_count; i++)
    if (!strcmp(relation->faces[i].format->name, "iceberg")) return (int)i;
  return -1;
}

tl_status tl_faces_ids(const tl_relation *relation, const tl_fields *fields, int *ids, int *element_ids, tl_error *err) {
  int at = iceberg_at(relation);
  (void)err;
  int last = at < 0 ? 0 : relation->faces[at].snapshot->fields.last_id;
  const tl_partitioning *partitioning = &relation->faces[0].snapshot->partitioning;
  for (size_t i = 0; i < fields->count; i++) {
    const tl_field *field = &fields->items[i];
    ids[i] = field->id;
    element_ids[i] = field->element_id;
    if (at <= 0) continue; /* one face: its own ids */
    int part = tl_ops_partition_of(partitioning, i), there = tl_fields_find(&relation->faces[at].snapshot->fields, field->name);
    if (part >= 0 && partitioning->items[part].source != (int)i) continue;
    ids[i] = there < 0 ? ++last : relation->faces[at].snapshot->fields.items[there].id;
    element_ids[i] = there >= 0 ? relation->faces[at].snapshot->fields.items[there].element_id : field->type == TL_FIELD_LIST ? ++last : 0;
  }
  return TL_OK;
}

/* ---- schemas ---- */

static bool derived(const tl_snapshot *delta, size_t field) {
  int part = tl_ops_partition_of(&delta->partitioning, field);
  return part >= 0 && delta->partitioning.items[part].source != (int)field;
}

static bool same_type(const tl_field *a, const tl_field *b) {
  bool list = a->type == TL_FIELD_LIST;
  if (a->type != b->type || (list && a->element != b->element)) return false;
  return (list ? a->element : a->type) != TL_FIELD_DECIMAL || (a->precision == b->precision && a->scale == b->scale);
}

static bool wider(const tl_field *a, const tl_field *b) {
  return (a->type == TL_FIELD_I64 && b->type == TL_FIELD_I32) || (a->type == TL_FIELD_F64 && b->type == TL_FIELD_F32);
}

static tl_status append_field(tl_fields *to, const tl_field *field, tl_error *err) {
  tl_status st = tl_ops_field_add(to, field->name, field->type, err);
  if (st) return st;
  tl_field *made = &to->items[to->count - 1];
  made->element = field->element;
  made->precision = field->precision;
  made->scale = field->scale;
  made->id = ++to->last_id;
  if (field->type == TL_FIELD_LIST) made->element_id = ++to->last_id;
  return TL_OK;
}

typedef struct schemas { /* the new one of each face, where it changes */
  tl_fields delta, iceberg;
  bool delta_changed, iceberg_changed;
} schemas;

static tl_status level_schemas(const tl_snapshot *delta, const tl_snapshot *at_mark, const tl_snapshot *iceberg, schemas *out, tl_error *err) {
  tl_status st = tl_fields_copy(&delta->fields, &out->delta, err);
  if (!st) st = tl_fields_copy(&iceberg->fields, &out->iceberg, err);
  for (size_t i = 0; !st && i < delta->fields.count; i++) {
    const tl_field *field = &delta->fields.items[i];
    int there = tl_fields_find(&iceberg->fields, field->name);
    if (derived(delta, i)) continue;
    if (there < 0 && at_mark && tl_fields_find(&at_mark->fields, field->name) >= 0)
      st = tl_fail(err, TL_EUSAGE, "somebody dropped or renamed column '%s' in the Iceberg face, which Delta cannot follow", field->name);
    else if (there < 0) {
      st = append_field(&out->iceberg, field, err);
      out->iceberg_changed = true;
    } else if (wider(field, &iceberg->fields.items[there])) {
      out->iceberg.items[there].type = field->type;
      out->iceberg_changed = true;
    } else if (!same_type(field, &iceberg->fields.items[there])) {
      st = tl_fail(err, TL_EUSAGE, "column '%s' has different types in the Delta and the Iceberg face", field->name);
    }
  }
  for (size_t i = 0; !st && i < iceberg->fields.count; i++) {
    if (tl_fields_find(&delta->fields, iceberg->fields.items[i].name) >= 0) continue;
    st = append_field(&out->delta, &iceberg->fields.items[i], err);
    out->delta_changed = true;
  }
  return st;
}

/* ---- partitions: one face's fields in the order of the other's ---- */

static tl_status match_partitions(const tl_snapshot *from, const tl_snapshot *to, size_t *map, tl_error *err) {
  for (size_t i = 0; i < to->partitioning.count; i++) {
    const tl_partition_field *want = &to->partitioning.items[i];
    size_t found = from->partitioning.count;
    for (size_t k = 0; k < from->partitioning.count; k++) {
      const tl_partition_field *have = &from->partitioning.items[k];
      if (have->transform == want->transform && have->buckets == want->buckets &&
          !strcmp(from->fields.items[have->source].name, to->fields.items[want->source].name))
        found = k;
    }
    if (found == from->partitioning.count || from->partitioning.count != to->partitioning.count)
      return tl_fail(err, TL_EUSAGE, "the Delta and the Iceberg face are partitioned differently ('%s'), which cannot be kept level", want->name);
    map[i] = found;
  }
  return TL_OK;
}

static tl_status copy_datum(const tl_field *field, const tl_datum *from, tl_datum *to, tl_error *err) {
  *to = *from;
  if (!from->text) return TL_OK;
  to->text = tl_strndup(from->text, from->len);
  return to->text ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot copy the bounds of column '%s'", field->name);
}

/* Statistics by the columns of `to`, found by name. */
static tl_status map_stats(const tl_fields *from, const tl_file_stats *stats, const tl_fields *to, tl_file_stats *out, tl_error *err) {
  tl_status st = tl_file_stats_init(out, to->count, err);
  for (size_t i = 0; !st && i < to->count; i++) {
    int at = tl_fields_find(from, to->items[i].name);
    if (at < 0 || (size_t)at >= stats->count || from->items[at].type != to->items[i].type) continue;
    tl_column_bounds *b = &out->columns[i];
    const tl_column_bounds *have = &stats->columns[at];
    *b = *have;
    b->min = b->max = (tl_datum){0};
    if (have->has_min) st = copy_datum(&to->items[i], &have->min, &b->min, err);
    if (!st && have->has_max) st = copy_datum(&to->items[i], &have->max, &b->max, err);
  }
  return st;
}

/* ---- one face's edit ---- */

typedef struct side {
  tl_data_file *adds;
  const char **removes;
  size_t add_count, remove_count, partition_count;
} side;

static tl_status side_init(side *s, size_t adds_max, size_t removes_max, size_t partition_count, tl_error *err) {
  s->adds = tl_calloc(adds_max + 1, sizeof *s->adds);
  s->removes = tl_calloc(removes_max + 1, sizeof *s->removes);
  s->partition_count = partition_count;
  return s->adds && s->removes ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot level the faces of a table");
}

static void side_deinit(side *s) {
  for (size_t i = 0; i < s->add_count; i++) tl_data_file_deinit(&s->adds[i], s->partition_count);
  tl_free(s->adds);
  tl_free(s->removes);
  *s = (side){0};
}

typedef struct carry { /* how files of one face become files of the other */
  const tl_snapshot *from;
  const tl_fields *from_fields, *to_fields;
  const tl_edit *hint; /* may be NULL: the edit just made, whose statistics are better than what a log says of them */
  size_t *map;
} carry;

static const tl_data_file *in_hint(const tl_edit *hint, const char *path) {
  for (size_t i = 0; hint && i < hint->add_count; i++)
    if (!strcmp(hint->adds[i].path, path)) return &hint->adds[i];
  return NULL;
}

static tl_status carry_file(const carry *c, size_t file, side *to, tl_error *err) {
  const tl_data_file *from = &c->from->files[file], *better = in_hint(c->hint, from->path);
  tl_data_file *add = &to->adds[to->add_count];
  *add = (tl_data_file){.path = tl_strdup(from->path), .partition = tl_calloc(to->partition_count + 1, sizeof *add->partition),
                        .size_bytes = from->size_bytes, .rows = from->rows, .modified_ms = from->modified_ms};
  if (!add->path || !add->partition) {
    tl_free(add->path);
    tl_free(add->partition);
    return tl_fail(err, TL_ENOMEM, "cannot level the faces of a table");
  }
  to->add_count++;
  for (size_t p = 0; p < to->partition_count; p++)
    if (from->partition[c->map[p]] && !(add->partition[p] = tl_strdup(from->partition[c->map[p]])))
      return tl_fail(err, TL_ENOMEM, "cannot level the faces of a table");
  if (add->rows < 0) return tl_fail(err, TL_EUSAGE, "the log does not say how many rows '%s' has: run ticklake table optimize on a table of one face", from->path);
  tl_file_stats stats = {0};
  tl_status st = better ? TL_OK : tl_snapshot_stats(c->from, file, &stats, err);
  if (!st) st = map_stats(c->from_fields, better ? &better->stats : &stats, c->to_fields, &add->stats, err);
  tl_file_stats_deinit(&stats);
  return st;
}

/* ---- the difference ---- */

typedef struct walk { /* files of three snapshots by path */
  const tl_snapshot *mark, *delta, *iceberg; /* mark NULL: no file */
  size_t m, d, i;
} walk;

static const char *path_at(const tl_snapshot *s, size_t at) { return s && at < s->file_count ? s->files[at].path : NULL; }

/* The next path and where it is; false at the end. */
static bool step(walk *w, bool *in_mark, bool *in_delta, bool *in_iceberg, size_t *delta_file, size_t *iceberg_file) {
  const char *paths[3] = {path_at(w->mark, w->m), path_at(w->delta, w->d), path_at(w->iceberg, w->i)}, *least = NULL;
  for (int k = 0; k < 3; k++)
    if (paths[k] && (!least || strcmp(paths[k], least) < 0)) least = paths[k];
  if (!least) return false;
  *in_mark = paths[0] && !strcmp(paths[0], least);
  *in_delta = paths[1] && !strcmp(paths[1], least);
  *in_iceberg = paths[2] && !strcmp(paths[2], least);
  *delta_file = w->d;
  *iceberg_file = w->i;
  w->m += *in_mark;
  w->d += *in_delta;
  w->i += *in_iceberg;
  return true;
}

static tl_status difference(const tl_snapshot *mark, const carry *to_iceberg, const carry *to_delta, side *delta, side *iceberg, tl_error *err) {
  walk w = {mark, to_iceberg->from, to_delta->from, 0, 0, 0};
  bool m, d, i;
  size_t delta_file, iceberg_file, both = 0;
  const char *twice = "";
  tl_status st = TL_OK;
  while (!st && step(&w, &m, &d, &i, &delta_file, &iceberg_file)) {
    if (d && !i && !m) st = carry_file(to_iceberg, delta_file, iceberg, err);
    else if (i && !d && !m) st = carry_file(to_delta, iceberg_file, delta, err);
    else if (m && !d && i) iceberg->removes[iceberg->remove_count++] = to_delta->from->files[iceberg_file].path;
    else if (m && d && !i) delta->removes[delta->remove_count++] = to_iceberg->from->files[delta_file].path;
    else if (m && !d && !i && !both++) twice = mark->files[w.m - 1].path;
  }
  if (!st && both && delta->add_count && iceberg->add_count)
    st = tl_fail(err, TL_EUSAGE, "the Delta and the Iceberg face were both rewritten ('%s' in each): the rows of one must be given up, by restoring it", twice);
  return st;
}

/* ---- one round ---- */

typedef struct round {
  tl_relation *relation;
  tl_face *delta, *iceberg;
  tl_snapshot *delta_now, *iceberg_now, *loaded; /* loaded: Delta at the mark, when it had to be read */
  const tl_snapshot *mark;                       /* NULL: from before the first file */
  int64_t mark_version;
  schemas schema;
  side to_delta, to_iceberg;
  size_t *delta_map, *iceberg_map;
} round;

static void round_deinit(round *r) {
  tl_snapshot_close(r->delta_now);
  tl_snapshot_close(r->iceberg_now);
  tl_snapshot_close(r->loaded);
  tl_fields_deinit(&r->schema.delta);
  tl_fields_deinit(&r->schema.iceberg);
  side_deinit(&r->to_delta);
  side_deinit(&r->to_iceberg);
  tl_free(r->delta_map);
  tl_free(r->iceberg_map);
}

static bool same_files(const tl_snapshot *a, const tl_snapshot *b) {
  bool same = a->file_count == b->file_count;
  for (size_t i = 0; same && i < a->file_count; i++) same = !strcmp(a->files[i].path, b->files[i].path);
  return same;
}

static tl_status load_mark(round *r, tl_error *err) {
  const char *text = tl_snapshot_property(r->iceberg_now, mark_key);
  r->mark_version = r->delta_now->version;
  r->mark = r->delta_now;
  if (!text) {
    if (same_files(r->delta_now, r->iceberg_now)) return TL_OK;
    return tl_fail(err, TL_EUSAGE, "'%s' has a Delta and an Iceberg log which do not list the same files, and no word of ours which is right",
                   tl_store_uri(r->relation->store));
  }
  if (tl_number_i64(text, strlen(text), &r->mark_version) != TL_NUMBER_OK)
    return tl_fail(err, TL_ECORRUPT, "property %s of the Iceberg face is '%s', no version", mark_key, text);
  if (r->mark_version == MARK_NONE) r->mark = NULL;
  else if (r->mark_version != r->delta_now->version) {
    tl_status st = r->delta->format->load(r->delta->log, (tl_at){TL_AT_VERSION, r->mark_version}, &r->loaded, err);
    if (st) return tl_fail_within(err, st, "the Iceberg face goes up to Delta version %" PRId64 ", which cannot be read", r->mark_version);
    r->mark = r->loaded;
  }
  return TL_OK;
}

static tl_status plan_round(round *r, const tl_edit *hint, tl_error *err) {
  const tl_at latest = {.kind = TL_AT_LATEST};
  tl_status st = r->delta->format->load(r->delta->log, latest, &r->delta_now, err);
  if (!st) st = r->iceberg->format->load(r->iceberg->log, latest, &r->iceberg_now, err);
  if (!st) st = load_mark(r, err);
  if (!st) st = level_schemas(r->delta_now, r->mark, r->iceberg_now, &r->schema, err);
  size_t d = r->delta_now ? r->delta_now->partitioning.count : 0, i = r->iceberg_now ? r->iceberg_now->partitioning.count : 0;
  if (!st && (!(r->delta_map = tl_calloc(d + 1, sizeof(size_t))) || !(r->iceberg_map = tl_calloc(i + 1, sizeof(size_t)))))
    st = tl_fail(err, TL_ENOMEM, "cannot level the faces of a table");
  if (!st) st = match_partitions(r->delta_now, r->iceberg_now, r->iceberg_map, err);
  if (!st) st = match_partitions(r->iceberg_now, r->delta_now, r->delta_map, err);
  if (!st) st = side_init(&r->to_delta, r->iceberg_now->file_count, r->delta_now->file_count, d, err);
  if (!st) st = side_init(&r->to_iceberg, r->delta_now->file_count, r->iceberg_now->file_count, i, err);
  if (st) return st;
  carry to_iceberg = {r->delta_now, &r->delta_now->fields, &r->schema.iceberg, hint, r->iceberg_map};
  carry to_delta = {r->iceberg_now, &r->iceberg_now->fields, &r->schema.delta, NULL, r->delta_map};
  return difference(r->mark, &to_iceberg, &to_delta, &r->to_delta, &r->to_iceberg, err);
}

/* What somebody committed to Iceberg, into Delta. */
static tl_status commit_delta(round *r, int64_t *version, tl_error *err) {
  const tl_pair parameters[] = {{(char *)(uintptr_t) "mode", (char *)(uintptr_t) "Append"}, {(char *)(uintptr_t) "partitionBy", (char *)(uintptr_t) "[]"}};
  tl_edit edit = {.operation = "WRITE", .parameters = parameters, .parameter_count = 2, .removes = r->to_delta.removes,
                  .remove_count = r->to_delta.remove_count, .adds = r->to_delta.adds, .add_count = r->to_delta.add_count, .data_change = true,
                  .reads = TL_READS_ALL, .fields = r->schema.delta_changed ? &r->schema.delta : NULL};
  tl_committed done = {0};
  *version = r->delta_now->version;
  if (!edit.add_count && !edit.remove_count && !edit.fields) return TL_OK;
  tl_status st = r->delta->format->commit(r->delta->log, r->delta_now, &edit, &done, err);
  if (!st) *version = done.version;
  return st;
}

static tl_status commit_iceberg(round *r, const tl_edit *hint, int64_t version, tl_error *err) {
  char text[24];
  size_t count = 0;
  snprintf(text, sizeof text, "%" PRId64, version);
  tl_pair *properties = tl_calloc((hint ? hint->property_count : 0) + 1, sizeof *properties);
  if (!properties) return tl_fail(err, TL_ENOMEM, "cannot level the faces of a table");
  for (size_t i = 0; hint && i < hint->property_count; i++)
    if (!strncmp(hint->properties[i].key, "ticklake.", 9)) properties[count++] = hint->properties[i];
  properties[count++] = (tl_pair){(char *)(uintptr_t)mark_key, text};
  tl_edit edit = {.operation = hint ? hint->operation : "WRITE", .removes = r->to_iceberg.removes, .remove_count = r->to_iceberg.remove_count,
                  .adds = r->to_iceberg.adds, .add_count = r->to_iceberg.add_count, .data_change = hint ? hint->data_change : true,
                  .reads = TL_READS_ALL, .fields = r->schema.iceberg_changed ? &r->schema.iceberg : NULL, .properties = properties,
                  .property_count = count};
  tl_committed done = {0};
  bool needed = edit.add_count || edit.remove_count || edit.fields || version != r->mark_version || !tl_snapshot_property(r->iceberg_now, mark_key);
  tl_status st = needed ? r->iceberg->format->commit(r->iceberg->log, r->iceberg_now, &edit, &done, err) : TL_OK;
  tl_free(properties);
  return st;
}

static tl_status run_round(tl_relation *relation, const tl_edit *hint, tl_error *err) {
  round r = {.relation = relation, .delta = &relation->faces[0], .iceberg = &relation->faces[1]};
  int64_t version = 0;
  tl_status st = plan_round(&r, hint, err);
  if (!st) st = commit_delta(&r, &version, err);
  TL_FAULT_STEP();
  if (!st) st = commit_iceberg(&r, hint, version, err);
  round_deinit(&r);
  return st;
}

static tl_status level(tl_relation *relation, const tl_edit *hint, tl_error *err) {
  tl_status st = TL_ECONFLICT;
  for (int i = 0; i < ROUNDS_MAX && st == TL_ECONFLICT; i++) st = run_round(relation, hint, err);
  return st;
}

/* ---- the second face of a table that shall have one ---- */

static tl_status add_iceberg(tl_relation *relation, const tl_format *format, tl_error *err) {
  const tl_snapshot *delta = relation->faces[0].snapshot;
  tl_fields fields = {0};
  tl_partitioning partitioning = {0};
  tl_committed done;
  tl_status st = tl_relation_add_face(relation, format, err);
  for (size_t i = 0; !st && i < delta->fields.count; i++) {
    if (derived(delta, i)) continue;
    st = append_field(&fields, &delta->fields.items[i], err);
    if (!st) fields.items[fields.count - 1].nullable = delta->fields.items[i].nullable;
  }
  if (!st) st = tl_partitioning_copy(&delta->partitioning, &partitioning, err);
  for (size_t i = 0; !st && i < partitioning.count; i++) {
    tl_partition_field *field = &partitioning.items[i];
    bool hidden = field->source != field->column;
    tl_buf name = {0};
    field->source = tl_fields_find(&fields, delta->fields.items[field->source].name);
    field->column = hidden ? -1 : field->source;
    if (!hidden) continue;
    st = tl_buf_appendf(&name, err, "%s_%s", fields.items[field->source].name, tl_ops_transform_name(field->transform));
    tl_free(field->name);
    field->name = tl_buf_take(&name);
  }
  tl_pair properties[3] = {{(char *)(uintptr_t)mark_key, (char *)(uintptr_t) "-1"}};
  size_t count = 1;
  static const char *const shared[] = {"ticklake.sort", "ticklake.faces"};
  for (size_t i = 0; i < 2; i++) {
    const char *value = tl_snapshot_property(delta, shared[i]);
    if (value) properties[count++] = (tl_pair){(char *)(uintptr_t)shared[i], (char *)(uintptr_t)value};
  }
  for (size_t i = 0; i < fields.count; i++) fields.items[i].id = fields.items[i].element_id = 0;
  tl_create request = {delta->name && delta->name[0] ? delta->name : NULL, &fields, &partitioning, properties, count};
  if (!st) st = format->create(relation->faces[1].log, &request, &done, err);
  if (st == TL_ECONFLICT) st = TL_OK; /* another process was as quick */
  tl_fields_deinit(&fields);
  tl_partitioning_deinit(&partitioning);
  return st ? st : tl_relation_reload(relation, err);
}

/* ---- what the others call ---- */

/* Quick: is there anything to do? */
static bool is_level(const tl_relation *relation) {
  const tl_snapshot *delta = relation->faces[0].snapshot, *iceberg = relation->faces[1].snapshot;
  const char *mark = tl_snapshot_property(iceberg, mark_key);
  int64_t version = 0;
  return mark && tl_number_i64(mark, strlen(mark), &version) == TL_NUMBER_OK && version == delta->version && same_files(delta, iceberg);
}

tl_status tl_faces_level(tl_relation *relation, tl_error *err) {
  const char *wanted = relation->face_count == 1 ? tl_snapshot_property(relation->faces[0].snapshot, "ticklake.faces") : NULL;
  const tl_format *iceberg = tl_format_find("iceberg");
  tl_status st = TL_OK;
  if (wanted && !strcmp(wanted, "delta,iceberg") && !strcmp(relation->faces[0].format->name, "delta") && iceberg) st = add_iceberg(relation, iceberg, err);
  if (st || relation->face_count < 2 || is_level(relation)) return st;
  st = level(relation, NULL, err);
  return st ? st : tl_relation_reload(relation, err);
}

tl_status tl_faces_commit(tl_relation *relation, const tl_edit *edit, tl_committed *out, tl_error *err) {
  tl_face *first = &relation->faces[0];
  tl_status st = first->format->commit(first->log, first->snapshot, edit, out, err);
  if (st || relation->face_count < 2) return st;
  TL_FAULT_STEP();
  tl_error why = {0};
  if (level(relation, edit, &why)) tl_log(TL_LOG_WARN, "version %" PRId64 " is committed to Delta, and not yet to Iceberg: %s", out->version, why.message);
  return TL_OK;
}
