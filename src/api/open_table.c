/* open_table.c - include/ticklake/table.h onto table/relation.h, with serve/sources.h for what a verb reads. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/options.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/machine.h"
#include "config/settings.h"
#include "serve/sources.h"
#include "table/relation.h"
#include "ticklake/table.h"

struct tl_table {
  tl_settings *settings;
  tl_engine *engine;
  tl_relation *relation;
  char *temp;       /* NULL: TMPDIR or /tmp */
  tl_snapshot *old; /* what tl_table_describe and tl_table_schema looked at last, when it was not the newest */
  tl_buf text;      /* of tl_table_info */
};

/* ---- opening ---- */

static tl_status open_engine(tl_table *t, const tl_table_options *o, tl_error *err) {
  int64_t quarter = tl_machine_memory_bytes() / 4, least = (int64_t)1 << 30;
  int64_t memory = o->memory_max_bytes > 0 ? o->memory_max_bytes : quarter > least ? quarter : least;
  tl_engine_options options = {.memory_bytes = memory, .threads_vary = true,
                               .spill = t->temp ? t->temp : tl_io_temp()};
  return tl_engine_open(&options, &t->engine, err);
}

/* All but the relation. */
static tl_status prepare(const char *uri, const tl_table_options *o, tl_table **out, tl_error *err) {
  if (!uri || !*uri) return tl_fail(err, TL_EUSAGE, "a table needs a URI: a path, or s3://bucket/prefix");
  tl_table *t = tl_calloc(1, sizeof *t);
  if (!t) return tl_fail(err, TL_ENOMEM, "cannot open the table '%s'", uri);
  tl_status st = tl_settings_open(o->config_file, &t->settings, err);
  if (st == TL_ENOTFOUND) st = TL_EUSAGE; /* the file was named */
  if (!st && o->temp && *o->temp && !(t->temp = tl_strdup(o->temp))) st = tl_fail(err, TL_ENOMEM, "cannot open the table '%s'", uri);
  if (!st) st = open_engine(t, o, err);
  if (st) tl_table_close(t);
  else *out = t;
  return st;
}

static tl_relation_options relation_options(const tl_table *t, const tl_table_options *o) {
  return (tl_relation_options){.settings = t->settings, .engine = t->engine, .temp = t->temp, .file_bytes = o->file_bytes,
                               .attempts_max = o->attempts_max, .read_only = o->read_only, .face = o->face};
}

tl_status tl_table_open(const char *uri, const tl_table_options *given, tl_table **out, tl_error *err) {
  tl_table_options o;
  tl_take_options(&o, sizeof o, given);
  tl_table *t = NULL;
  tl_status st = prepare(uri, &o, &t, err);
  if (st) return st;
  tl_relation_options options = relation_options(t, &o);
  if (o.face && !tl_format_find(o.face)) st = tl_fail(err, TL_EUSAGE, "face '%s' is not delta or iceberg", o.face);
  if (!st) st = tl_relation_open(uri, &options, &t->relation, err);
  if (st) tl_table_close(t);
  else *out = t;
  return st;
}

void tl_table_close(tl_table *t) {
  if (!t) return;
  tl_snapshot_close(t->old);
  tl_relation_close(t->relation);
  tl_engine_close(t->engine);
  tl_settings_close(t->settings);
  tl_buf_deinit(&t->text);
  tl_free(t->temp);
  tl_free(t);
}

/* "key=value" becomes a pair, "key" one without a value. A pair's text is one block that begins with the key. */
static tl_status take_properties(const char *const *properties, bool removes, tl_pair **out, size_t *count, tl_error *err) {
  *out = NULL;
  *count = 0;
  size_t most = 0;
  while (properties && properties[most]) most++;
  tl_pair *pairs = most ? tl_calloc(most, sizeof *pairs) : NULL;
  if (most && !pairs) return tl_fail(err, TL_ENOMEM, "cannot read %zu properties", most);
  *out = pairs;
  for (size_t i = 0; i < most; i++) {
    char *equals = strchr(properties[i], '=');
    if (equals == properties[i] || !*properties[i] || (!equals && !removes))
      return tl_fail(err, TL_EUSAGE, "the property '%s' is not key=value", properties[i]);
    pairs[i].key = tl_strdup(properties[i]);
    if (!pairs[i].key) return tl_fail(err, TL_ENOMEM, "cannot read a property");
    *count = i + 1;
    if (!equals) continue;
    pairs[i].key[equals - properties[i]] = 0;
    pairs[i].value = pairs[i].key + (equals - properties[i]) + 1;
  }
  return TL_OK;
}

static void free_properties(tl_pair *pairs, size_t count) {
  for (size_t i = 0; i < count; i++) tl_free(pairs[i].key); /* value lies in the same block */
  tl_free(pairs);
}

tl_status tl_table_create(const char *uri, const tl_table_options *given, const tl_table_create_options *create, tl_table **out,
                          tl_error *err) {
  tl_table_options o;
  tl_table_create_options c;
  tl_take_options(&o, sizeof o, given);
  tl_take_options(&c, sizeof c, create);
  tl_table *t = NULL;
  tl_sources *sources = NULL;
  tl_pair *pairs = NULL;
  size_t pair_count = 0;
  tl_buf query = {0};
  if (!c.columns == !c.from) return tl_fail(err, TL_EUSAGE, "a new table needs columns or a file or query to take them from, one of the two");
  if (o.read_only || o.face) return tl_fail(err, TL_EUSAGE, "a table cannot be made read-only");
  tl_status st = prepare(uri, &o, &t, err);
  if (st) return st;
  st = tl_sources_open(t->engine, t->settings, t->temp, &sources, err);
  if (!st && c.from) st = tl_sources_select(sources, c.from, NULL, &query, err);
  if (!st) st = take_properties(c.properties, false, &pairs, &pair_count, err);
  if (!st) {
    tl_relation_options options = relation_options(t, &o);
    tl_relation_create made = {.faces = c.faces ? c.faces : "delta", .columns = c.columns, .query = c.from ? query.data : NULL,
                               .partition_by = c.partition_by, .name = c.name, .properties = pairs, .property_count = pair_count};
    st = tl_relation_create_table(uri, &options, &made, &t->relation, err);
  }
  free_properties(pairs, pair_count);
  tl_buf_deinit(&query);
  tl_sources_close(sources);
  if (st) tl_table_close(t);
  else *out = t;
  return st;
}

/* ---- what a table is ---- */

static tl_status snapshot_at(tl_table *t, const char *version, const char *timestamp, const tl_snapshot **out, tl_error *err) {
  tl_at at;
  tl_status st = tl_at_parse(version, timestamp, &at, err);
  if (st) return st;
  *out = tl_relation_snapshot(t->relation);
  if (at.kind == TL_AT_LATEST) return TL_OK;
  tl_snapshot *old = NULL;
  st = (*out)->format->load(tl_relation_log(t->relation), at, &old, err);
  if (st) return st;
  tl_snapshot_close(t->old);
  *out = t->old = old;
  return TL_OK;
}

static tl_status append_transform(const tl_partition_field *p, const char *source, tl_buf *out, tl_error *err) {
  static const char *const names[] = {[TL_TRANSFORM_YEAR] = "year", [TL_TRANSFORM_MONTH] = "month", [TL_TRANSFORM_DAY] = "day"};
  switch (p->transform) {
  case TL_TRANSFORM_IDENTITY: return tl_buf_appends(out, source ? source : "identity", err);
  case TL_TRANSFORM_BUCKET: return tl_buf_appendf(out, err, "bucket(%d%s%s)", p->buckets, source ? "," : "", source ? source : "");
  case TL_TRANSFORM_OTHER: return source ? tl_buf_appendf(out, err, "%s(%s)", "other", source) : tl_buf_appends(out, "other", err);
  default: return source ? tl_buf_appendf(out, err, "%s(%s)", names[p->transform], source) : tl_buf_appends(out, names[p->transform], err);
  }
}

tl_status tl_table_describe(tl_table *t, const char *version, const char *timestamp, tl_table_info *out, tl_error *err) {
  const tl_snapshot *s = NULL;
  tl_status st = snapshot_at(t, version, timestamp, &s, err);
  tl_buf_clear(&t->text);
  if (!st) st = tl_buf_appends(&t->text, "", err);
  for (size_t i = 0; !st && i < s->partitioning.count; i++) {
    if (i) st = tl_buf_appends(&t->text, ",", err);
    if (!st) st = append_transform(&s->partitioning.items[i], s->fields.items[s->partitioning.items[i].source].name, &t->text, err);
  }
  if (st) return st;
  tl_table_info info = {.uri = tl_store_uri(tl_relation_store(t->relation)), .format = s->format->name, .faces = tl_relation_faces(t->relation),
                        .id = s->table_id, .name = s->name ? s->name : "", .partition_by = t->text.data, .unwritable = s->unwritable,
                        .version = s->version, .sequence = s->sequence, .timestamp_ms = s->timestamp_ms,
                        .files = (int64_t)s->file_count, .rows = s->rows, .bytes = s->bytes};
  tl_give_result(out, &info, sizeof info);
  return TL_OK;
}

/* How partitions come from the field: "identity", "month, bucket(16)", ... */
static tl_status partition_of(const tl_snapshot *s, int field, tl_buf *out, tl_error *err) {
  tl_buf_clear(out);
  tl_status st = tl_buf_appends(out, "", err);
  for (size_t i = 0; !st && i < s->partitioning.count; i++) {
    if (s->partitioning.items[i].source != field) continue;
    if (out->len) st = tl_buf_appends(out, ", ", err);
    if (!st) st = append_transform(&s->partitioning.items[i], NULL, out, err);
  }
  return st;
}

tl_status tl_table_schema(tl_table *t, const char *version, const char *timestamp, int (*each)(void *user, const tl_table_column *column),
                          void *user, tl_error *err) {
  const tl_snapshot *s = NULL;
  tl_buf type = {0}, partition = {0};
  bool stopped = false;
  tl_status st = snapshot_at(t, version, timestamp, &s, err);
  for (size_t i = 0; !st && !stopped && i < s->fields.count; i++) {
    const tl_field *f = &s->fields.items[i];
    tl_buf_clear(&type);
    st = tl_field_sql_type(f, &type, err);
    if (!st) st = partition_of(s, (int)i, &partition, err);
    if (!st) stopped = each(user, &(tl_table_column){sizeof(tl_table_column), f->name, type.data, f->nullable, f->id, partition.data}) != 0;
  }
  tl_buf_deinit(&type);
  tl_buf_deinit(&partition);
  return st;
}

tl_status tl_table_properties(tl_table *t, int (*each)(void *user, const char *key, const char *value), void *user, tl_error *err) {
  (void)err;
  const tl_snapshot *s = tl_relation_snapshot(t->relation);
  for (size_t i = 0; i < s->property_count; i++)
    if (each(user, s->properties[i].key, s->properties[i].value)) break;
  return TL_OK;
}

typedef struct teller {
  int (*each)(void *user, const tl_table_version *version);
  void *user;
} teller;

static const char *or_empty(const char *text, const char *empty) { return text ? text : empty; }

static int tell_version(void *to, const tl_version *v) {
  teller *t = to;
  return t->each(t->user, &(tl_table_version){.size = sizeof(tl_table_version), .version = v->version, .sequence = v->sequence,
                                              .timestamp_ms = v->timestamp_ms, .parent = v->parent, .operation = or_empty(v->operation, ""),
                                              .parameters_json = or_empty(v->parameters_json, "{}"), .metrics_json = or_empty(v->metrics_json, "{}"),
                                              .engine = or_empty(v->engine, ""), .current = v->current});
}

tl_status tl_table_history(tl_table *t, int64_t limit, int (*each)(void *user, const tl_table_version *version), void *user, tl_error *err) {
  teller to = {each, user};
  const tl_snapshot *s = tl_relation_snapshot(t->relation);
  if (limit < 0) return tl_fail(err, TL_EUSAGE, "a history has no %" PRId64 " versions", limit);
  return s->format->history(tl_relation_log(t->relation), limit ? (size_t)limit : SIZE_MAX, tell_version, &to, err);
}

/* ---- reading ---- */

tl_status tl_table_read(tl_table *t, const tl_table_read_options *given, struct ArrowArrayStream *out, tl_error *err) {
  tl_table_read_options o;
  tl_take_options(&o, sizeof o, given);
  tl_at at;
  tl_buf sql = {0};
  tl_status st = tl_at_parse(o.version, o.timestamp, &at, err);
  if (!st && o.limit < 0) st = tl_fail(err, TL_EUSAGE, "a limit of %" PRId64 " rows", o.limit);
  if (!st) st = tl_buf_appendf(&sql, err, "SELECT %s FROM (", o.columns && *o.columns ? o.columns : "*");
  if (!st) st = tl_relation_sql(t->relation, at.kind == TL_AT_LATEST ? NULL : &at, o.where, &sql, err);
  if (!st) st = tl_buf_appends(&sql, ")", err);
  if (!st && o.where) st = tl_buf_appendf(&sql, err, " WHERE (%s\n)", o.where);
  if (!st && o.limit) st = tl_buf_appendf(&sql, err, " LIMIT %" PRId64, o.limit);
  if (!st) st = tl_engine_query(t->engine, sql.data, NULL, 0, out, err);
  tl_buf_deinit(&sql);
  return st;
}

/* ---- writing ---- */

static void give_change(tl_table_change *out, const tl_changed *c) {
  tl_table_change change = {.version = c->version, .sequence = c->sequence, .rows_inserted = c->rows_inserted, .rows_updated = c->rows_updated,
                            .rows_deleted = c->rows_deleted, .rows_copied = c->rows_copied, .files_added = c->files_added,
                            .files_removed = c->files_removed, .bytes_added = c->bytes_added, .bytes_removed = c->bytes_removed,
                            .attempts = c->attempts, .already = c->already};
  tl_give_result(out, &change, sizeof change);
}

typedef enum write_verb { APPEND, MERGE, REPLACE } write_verb;

static tl_status write_rows(tl_table *t, write_verb verb, const tl_table_write_options *given, tl_table_change *out, tl_error *err) {
  tl_table_write_options o;
  tl_take_options(&o, sizeof o, given);
  tl_sources *sources = NULL;
  tl_buf rows = {0};
  tl_changed changed = {0};
  tl_status st = TL_OK;
  if (!o.from == !o.stream) st = tl_fail(err, TL_EUSAGE, "rows come from a file or a query, or from a stream: one of them");
  else if (verb == MERGE && (!o.keys || !*o.keys)) st = tl_fail(err, TL_EUSAGE, "a merge needs keys: the columns whose equal values make two rows one");
  else if (verb != MERGE && o.keys) st = tl_fail(err, TL_EUSAGE, "keys go with a merge");
  else if (verb != REPLACE && o.where) st = tl_fail(err, TL_EUSAGE, "a condition goes with replace and delete");
  if (!st) st = tl_sources_open(t->engine, t->settings, t->temp, &sources, err);
  if (!st && o.from) st = tl_sources_select(sources, o.from, &tl_relation_snapshot(t->relation)->fields, &rows, err);
  if (!st && o.stream) {
    st = tl_sources_spool(sources, o.stream, &rows, err);
    o.stream = NULL; /* released */
  }
  tl_write write = {.rows = rows.data, .txn_app = o.txn_app, .txn_version = o.txn_version, .add_columns = o.add_columns,
                    .widen = o.widen, .order_by = o.order_by};
  if (!st && verb == APPEND) st = tl_relation_append(t->relation, &write, &changed, err);
  if (!st && verb == MERGE) st = tl_relation_merge(t->relation, &write, o.keys, &changed, err);
  if (!st && verb == REPLACE) st = tl_relation_replace(t->relation, &write, o.where, &changed, err);
  if (!st) give_change(out, &changed);
  if (o.stream && o.stream->release) o.stream->release(o.stream);
  tl_sources_close(sources);
  tl_buf_deinit(&rows);
  return st;
}

tl_status tl_table_append(tl_table *t, const tl_table_write_options *o, tl_table_change *out, tl_error *err) { return write_rows(t, APPEND, o, out, err); }
tl_status tl_table_merge(tl_table *t, const tl_table_write_options *o, tl_table_change *out, tl_error *err) { return write_rows(t, MERGE, o, out, err); }
tl_status tl_table_replace(tl_table *t, const tl_table_write_options *o, tl_table_change *out, tl_error *err) { return write_rows(t, REPLACE, o, out, err); }

static tl_status done(tl_status st, const tl_changed *changed, tl_table_change *out) {
  if (!st) give_change(out, changed);
  return st;
}

tl_status tl_table_delete(tl_table *t, const char *where, tl_table_change *out, tl_error *err) {
  tl_changed changed = {0};
  if (!where || !*where) return tl_fail(err, TL_EUSAGE, "which rows should be deleted? 'true' is all of them");
  return done(tl_relation_delete(t->relation, where, &changed, err), &changed, out);
}

tl_status tl_table_add_columns(tl_table *t, const char *columns, tl_table_change *out, tl_error *err) {
  tl_changed changed = {0};
  if (!columns || !*columns) return tl_fail(err, TL_EUSAGE, "which columns should be added? e.g. 'vwap DOUBLE'");
  return done(tl_relation_add_columns(t->relation, columns, &changed, err), &changed, out);
}

tl_status tl_table_set_properties(tl_table *t, const char *const *properties, tl_table_change *out, tl_error *err) {
  tl_changed changed = {0};
  tl_pair *pairs = NULL;
  size_t count = 0;
  tl_status st = take_properties(properties, true, &pairs, &count, err);
  if (!st && !count) st = tl_fail(err, TL_EUSAGE, "which properties should be set? key=value, or a key to remove");
  if (!st) st = tl_relation_set_properties(t->relation, pairs, count, &changed, err);
  free_properties(pairs, count);
  return done(st, &changed, out);
}

tl_status tl_table_restore(tl_table *t, const char *version, const char *timestamp, tl_table_change *out, tl_error *err) {
  tl_changed changed = {0};
  tl_at at;
  if (!version && !timestamp) return tl_fail(err, TL_EUSAGE, "which version should be restored? a version or a timestamp");
  tl_status st = tl_at_parse(version, timestamp, &at, err);
  if (!st) st = tl_relation_restore(t->relation, at, &changed, err);
  return done(st, &changed, out);
}

/* ---- maintenance ---- */

tl_status tl_table_optimize(tl_table *t, const tl_table_optimize_options *given, tl_table_change *out, tl_error *err) {
  tl_table_optimize_options o;
  tl_changed changed = {0};
  tl_take_options(&o, sizeof o, given);
  tl_optimize optimize = {.where = o.where, .zorder_by = o.zorder_by, .file_bytes = o.file_bytes};
  return done(tl_relation_optimize(t->relation, &optimize, &changed, err), &changed, out);
}

tl_status tl_table_vacuum(tl_table *t, const tl_table_vacuum_options *given, tl_table_vacuumed *out, tl_error *err) {
  tl_table_vacuum_options o;
  tl_vacuumed done = {0};
  tl_take_options(&o, sizeof o, given);
  int64_t retain_ms = o.retain_ms > 0 ? o.retain_ms : o.retain_ms < 0 ? 0 : INT64_C(168) * 3600 * 1000;
  tl_status st = tl_relation_vacuum(t->relation, retain_ms, o.force, o.dry_run, o.each, o.user, &done, err);
  tl_table_vacuumed result = {.files = done.files, .bytes = done.bytes, .kept = done.kept};
  if (!st) tl_give_result(out, &result, sizeof result);
  return st;
}

tl_status tl_table_checkpoint(tl_table *t, tl_error *err) { return tl_relation_checkpoint(t->relation, err); }

tl_status tl_table_expire(tl_table *t, const tl_table_expire_options *given, tl_table_expired *out, tl_error *err) {
  tl_table_expire_options o;
  tl_expired done = {0};
  tl_take_options(&o, sizeof o, given);
  if (o.older_than_ms <= 0) return tl_fail(err, TL_EUSAGE, "how old must a version be to be forgotten? e.g. 30d");
  int64_t before_ms = 0, now_ms = tl_clock_now_ns() / TL_NS_PER_MS;
  if (__builtin_sub_overflow(now_ms, o.older_than_ms, &before_ms)) before_ms = INT64_MIN;
  tl_status st = tl_relation_expire(t->relation, before_ms, o.keep_min > 0 ? o.keep_min : 1, o.dry_run, &done, err);
  tl_table_expired result = {.versions = done.versions, .files = done.files, .bytes = done.bytes};
  if (!st) tl_give_result(out, &result, sizeof result);
  return st;
}

tl_status tl_table_verify(tl_table *t, void (*each)(void *user, const char *path, const char *problem), void *user, tl_table_verified *out,
                          tl_error *err) {
  tl_verified done = {0};
  tl_status st = tl_relation_verify(t->relation, each, user, &done, err);
  tl_table_verified result = {.files = done.files, .rows = done.rows, .bytes = done.bytes, .wrong = done.wrong};
  if (!st) tl_give_result(out, &result, sizeof result);
  return st;
}
