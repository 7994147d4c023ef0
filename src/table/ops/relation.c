/* relation.c - open, create, look at and close a table; the loop of attempts is work.c's, the verbs have files of their own. */
#include "table/relation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/prng.h"
#include "table/iceberg/rest.h"
#include "table/ops/ops.h"

enum { ATTEMPTS = 40 };
static const int64_t memory_default = INT64_C(1) << 30, file_default = INT64_C(128) << 20;

void tl_uuid_make(char out[TL_UUID_TEXT_MAX]) {
  static _Atomic uint64_t made = 0;
  uint64_t turn = ++made;
  tl_prng high = tl_prng_init((uint64_t)tl_clock_now_ns() ^ turn << 48), low = tl_prng_init((uint64_t)tl_clock_mono_ns() ^ (uint64_t)getpid() << 40 ^ turn);
  uint64_t a = tl_prng_next(&high), b = tl_prng_next(&low);
  a = (a & ~UINT64_C(0xf000)) | 0x4000;
  b = (b & ~(UINT64_C(3) << 62)) | UINT64_C(2) << 62;
  snprintf(out, TL_UUID_TEXT_MAX, "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64, a >> 32, a >> 16 & 0xffff, a & 0xffff, b >> 48,
           b & UINT64_C(0xffffffffffff));
}

/* ---- opening ---- */

static tl_status make_temp(tl_relation *relation, tl_error *err) {
  char uuid[TL_UUID_TEXT_MAX];
  tl_buf path = {0};
  const char *base = relation->options.temp, *variable = getenv("TMPDIR");
  if (!base) base = variable && variable[0] == '/' ? variable : "/tmp";
  tl_uuid_make(uuid);
  tl_status st = tl_buf_appendf(&path, err, "%s/ticklake-%ld-%s", base, (long)getpid(), uuid);
  if (!st) st = tl_io_mkdirs(path.data, err);
  if (!st) relation->temp = tl_buf_take(&path);
  tl_buf_deinit(&path);
  return st;
}

static tl_status open_engine(tl_relation *relation, tl_error *err) {
  tl_status st = TL_OK;
  relation->engine = relation->options.engine;
  if (!relation->engine) {
    tl_engine_options options = {.memory_bytes = relation->options.memory_bytes, .threads_vary = true, .spill = relation->temp};
    st = tl_engine_open(&options, &relation->engine, err);
    relation->own_engine = !st;
  }
  return st ? st : tl_link_open(relation->engine, &relation->link, err);
}

/* "rest:NAMESPACE.TABLE" lies where its catalog says. */
static tl_status open_store(const char *uri, tl_relation *relation, tl_error *err) {
  const tl_settings *settings = relation->options.settings;
  tl_buf location = {0};
  if (strncmp(uri, "rest:", 5) != 0) return tl_store_open(uri, settings, &relation->store, err);
  relation->rest = tl_strdup(uri + 5);
  tl_status st = relation->rest ? tl_iceberg_rest_locate(settings, relation->rest, &location, &relation->rest_found, err)
                                : tl_fail(err, TL_ENOMEM, "cannot open '%s'", uri);
  if (!st) st = tl_store_open(location.data, settings, &relation->store, err);
  tl_buf_deinit(&location);
  return st;
}

/* Store, temp, engine: all but the logs. */
static tl_status open_base(const char *uri, const tl_relation_options *options, tl_relation **out, tl_error *err) {
  tl_relation *relation = tl_calloc(1, sizeof *relation);
  if (!relation) return tl_fail(err, TL_ENOMEM, "cannot open '%s'", uri);
  if (options) relation->options = *options;
  tl_relation_options *o = &relation->options;
  if (o->memory_bytes <= 0) o->memory_bytes = memory_default;
  if (o->file_bytes <= 0) o->file_bytes = file_default;
  if (o->attempts_max <= 0) o->attempts_max = ATTEMPTS;
  if (o->face) o->read_only = true;
  tl_status st = open_store(uri, relation, err);
  if (!st) st = make_temp(relation, err);
  if (!st) st = open_engine(relation, err);
  relation->env = (tl_table_env){relation->engine, o->settings, relation->temp, relation->rest};
  if (st) tl_relation_close(relation);
  else *out = relation;
  return st;
}

tl_status tl_relation_add_face(tl_relation *relation, const tl_format *format, tl_error *err) {
  tl_face *face = &relation->faces[relation->face_count];
  *face = (tl_face){.format = format};
  tl_status st = format->open(relation->store, &relation->env, &face->log, err);
  if (!st) relation->face_count++;
  return st;
}

tl_status tl_relation_reload(tl_relation *relation, tl_error *err) {
  for (size_t i = 0; i < relation->face_count; i++) {
    tl_face *face = &relation->faces[i];
    tl_snapshot *fresh = NULL;
    tl_status st = face->format->load(face->log, (tl_at){.kind = TL_AT_LATEST}, &fresh, err);
    if (st) return st;
    tl_snapshot_close(face->snapshot);
    face->snapshot = fresh;
  }
  return TL_OK;
}

static const char *const format_names[] = {"delta", "iceberg"};

static tl_status detect_faces(tl_relation *relation, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < sizeof format_names / sizeof *format_names; i++) {
    const tl_format *format = tl_format_find(format_names[i]);
    bool found = false;
    if (relation->options.face && strcmp(relation->options.face, format_names[i]) != 0) continue;
    if (relation->rest) found = relation->rest_found && !strcmp(format_names[i], "iceberg");
    else if (format) st = format->detect(relation->store, &found, err);
    if (!st && found) st = tl_relation_add_face(relation, format, err);
  }
  if (!st && !relation->face_count && relation->options.face)
    st = tl_fail(err, TL_ENOTFOUND, "no %s table at '%s'", relation->options.face, tl_store_uri(relation->store));
  else if (!st && !relation->face_count)
    st = tl_fail(err, TL_ENOTFOUND, "no Delta or Iceberg table at '%s': make one with ticklake table create", tl_store_uri(relation->store));
  return st;
}

tl_status tl_relation_open(const char *uri, const tl_relation_options *options, tl_relation **out, tl_error *err) {
  tl_relation *relation = NULL;
  tl_status st = open_base(uri, options, &relation, err);
  if (st) return st;
  st = detect_faces(relation, err);
  if (!st) st = tl_relation_reload(relation, err);
  if (!st && !relation->options.read_only) st = tl_faces_level(relation, err);
  if (st) tl_relation_close(relation);
  else *out = relation;
  return st;
}

void tl_relation_close(tl_relation *relation) {
  if (!relation) return;
  for (size_t i = 0; i < relation->face_count; i++) {
    tl_snapshot_close(relation->faces[i].snapshot);
    relation->faces[i].format->close(relation->faces[i].log);
  }
  tl_link_close(relation->link);
  if (relation->own_engine) tl_engine_close(relation->engine);
  tl_store_close(relation->store);
  for (size_t i = 0; i < relation->fetched_count; i++) {
    tl_free(relation->fetched[i].path);
    tl_free(relation->fetched[i].local);
  }
  tl_free(relation->fetched);
  if (relation->temp) tl_ops_remove_folder(relation->temp);
  tl_free(relation->temp);
  tl_free(relation->rest);
  tl_free(relation);
}

/* ---- looking ---- */

const tl_snapshot *tl_relation_snapshot(const tl_relation *relation) { return relation->faces[0].snapshot; }
tl_store *tl_relation_store(const tl_relation *relation) { return relation->store; }
tl_table_log *tl_relation_log(const tl_relation *relation) { return relation->faces[0].log; }

const char *tl_relation_faces(const tl_relation *relation) { return relation->face_count == 2 ? "delta,iceberg" : relation->faces[0].format->name; }

tl_status tl_relation_refresh(tl_relation *relation, tl_error *err) {
  tl_status st = tl_relation_reload(relation, err);
  return st || relation->options.read_only ? st : tl_faces_level(relation, err);
}

tl_status tl_relation_may_write(const tl_relation *relation, tl_error *err) {
  const tl_snapshot *snapshot = relation->faces[0].snapshot;
  if (relation->options.read_only) return tl_fail(err, TL_EUSAGE, "the table '%s' is open for reading only", tl_store_uri(relation->store));
  for (size_t i = 0; i < relation->face_count; i++)
    if (relation->faces[i].snapshot->unwritable)
      return tl_fail(err, TL_EUSAGE, "the table '%s' cannot be written: %s", tl_store_uri(relation->store), relation->faces[i].snapshot->unwritable);
  for (size_t i = 0; i < snapshot->fields.count; i++)
    if (snapshot->fields.items[i].type == TL_FIELD_OTHER)
      return tl_fail(err, TL_EUSAGE, "the table '%s' cannot be written: column '%s' is %s", tl_store_uri(relation->store),
                     snapshot->fields.items[i].name, snapshot->fields.items[i].sql_type);
  for (size_t i = 0; i < snapshot->fields.count; i++)
    if (tl_ops_name_taken(snapshot->fields.items[i].name))
      return tl_fail(err, TL_EUSAGE, "the table '%s' cannot be written: DuckDB keeps the name of column '%s' for itself", tl_store_uri(relation->store),
                     snapshot->fields.items[i].name);
  for (size_t i = 0; i < snapshot->partitioning.count; i++)
    if (snapshot->partitioning.items[i].transform == TL_TRANSFORM_OTHER)
      return tl_fail(err, TL_EUSAGE, "the table '%s' cannot be written: its partitions go by '%s', which this program does not know",
                     tl_store_uri(relation->store), snapshot->partitioning.items[i].name);
  return TL_OK;
}

/* ---- creating ---- */

typedef struct plan {
  tl_fields fields;
  tl_partitioning partitioning;
  tl_pair *properties; /* own */
  size_t property_count;
} plan;

static void plan_deinit(plan *p) {
  tl_fields_deinit(&p->fields);
  tl_partitioning_deinit(&p->partitioning);
  for (size_t i = 0; i < p->property_count; i++) {
    tl_free(p->properties[i].key);
    tl_free(p->properties[i].value);
  }
  tl_free(p->properties);
  *p = (plan){0};
}

static tl_status add_property(plan *p, const char *key, const char *value, tl_error *err) {
  tl_pair *grown = tl_realloc_array(p->properties, p->property_count + 1, sizeof *grown);
  if (!grown) return tl_fail(err, TL_ENOMEM, "cannot plan a table");
  p->properties = grown;
  p->properties[p->property_count] = (tl_pair){tl_strdup(key), tl_strdup(value)};
  tl_pair *made = &p->properties[p->property_count++];
  return made->key && made->value ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot plan a table");
}

/* "ticklake.partition.month": "month(timestamp)" for each column our writer fills. */
static tl_status derived_properties(plan *p, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < p->partitioning.count; i++) {
    const tl_partition_field *field = &p->partitioning.items[i];
    if (field->column < 0 || field->column == field->source) continue;
    tl_buf key = {0}, value = {0};
    st = tl_buf_appendf(&key, err, "ticklake.partition.%s", field->name);
    if (!st) st = tl_buf_appendf(&value, err, "%s(%s)", tl_ops_transform_name(field->transform), p->fields.items[field->source].name);
    if (!st) st = add_property(p, key.data, value.data, err);
    tl_buf_deinit(&key);
    tl_buf_deinit(&value);
  }
  return st;
}

/* Set by hand, they would shut us or every other reader out, or make us take done work for undone. */
bool tl_ops_own_property(const char *key) {
  static const char *const begin[] = {"ticklake.faces", "ticklake.partition.", "ticklake.txn.", "schema.name-mapping.default",
                                      "write.metadata.compression-codec", "format-version", "delta.feature.", "delta.minReaderVersion",
                                      "delta.minWriterVersion"};
  for (size_t i = 0; i < sizeof begin / sizeof *begin; i++)
    if (!strncmp(key, begin[i], strlen(begin[i]))) return true;
  return false;
}

static tl_status check_properties(const plan *p, const tl_relation_create *create, tl_error *err) {
  tl_sql order = {.err = err};
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < create->property_count; i++) {
    const tl_pair *pair = &create->properties[i];
    if (tl_ops_own_property(pair->key)) st = tl_fail(err, TL_EUSAGE, "property '%s' says how the table is made and cannot be set", pair->key);
    else if (!strcmp(pair->key, "ticklake.sort") && pair->value) st = tl_ops_order(pair->value, &p->fields, true, &order, err);
  }
  tl_sql_deinit(&order);
  return st;
}

static tl_status make_plan(tl_relation *relation, const tl_relation_create *create, bool delta, bool both, plan *p, tl_error *err) {
  tl_status st = TL_OK;
  if (create->columns) st = tl_ops_fields_of_words(relation->link, create->columns, &p->fields, err);
  else if (create->query) st = tl_ops_fields_of_query(relation->link, create->query, &p->fields, err);
  else return tl_fail(err, TL_EUSAGE, "a new table needs columns, or rows to take them from");
  if (!st && create->partition_by) st = tl_ops_partitioning(create->partition_by, delta, &p->fields, &p->partitioning, err);
  size_t data = 0;
  for (size_t i = 0; i < p->fields.count; i++) data += tl_ops_partition_of(&p->partitioning, i) < 0;
  if (!st && !data) st = tl_fail(err, TL_EUSAGE, "a table needs a column that is no partition");
  for (size_t i = 0; !st && i < create->property_count; i++)
    if (create->properties[i].value) st = add_property(p, create->properties[i].key, create->properties[i].value, err);
  if (!st) st = derived_properties(p, err);
  if (!st && both) st = add_property(p, "ticklake.faces", "delta,iceberg", err);
  return st ? st : check_properties(p, create, err);
}

static tl_status read_faces(const char *words, bool *delta, bool *iceberg, tl_error *err) {
  *delta = !words || !strcmp(words, "delta") || !strcmp(words, "delta,iceberg") || !strcmp(words, "iceberg,delta");
  *iceberg = words && (!strcmp(words, "iceberg") || (*delta && strcmp(words, "delta") != 0));
  return *delta || *iceberg ? TL_OK : tl_fail(err, TL_EUSAGE, "'%s' is no format: delta, iceberg or delta,iceberg", words);
}

/* No face may be there, so that the second one does not grow onto another's table. */
static tl_status check_absent(tl_relation *relation, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < sizeof format_names / sizeof *format_names; i++) {
    const tl_format *format = tl_format_find(format_names[i]);
    bool found = relation->rest_found;
    if (format && !relation->rest) st = format->detect(relation->store, &found, err);
    if (!st && found) st = tl_fail(err, TL_ECONFLICT, "there is a table at '%s' already", tl_store_uri(relation->store));
  }
  return st;
}

/* What a vacuum of the new table would take for its own, or for garbage: files that are there, other tables, a lake. Logs of the
 * table itself are check_absent's. */
typedef struct strange {
  char key[200];
  bool lake;
} strange;

static int see_file(void *to, const char *key, const tl_store_info *info) {
  strange *s = to;
  (void)info;
  s->lake = !strncmp(key, "_ticklake/", 10);
  if (!s->lake && (key[0] == '_' || key[0] == '.' || !strncmp(key, "metadata/", 9))) return 0;
  snprintf(s->key, sizeof s->key, "%s", key);
  return 1;
}

bool tl_ops_is_metadata(const char *key) {
  static const char ending[] = ".metadata.json";
  size_t len = strlen(key);
  return len >= sizeof ending && !strcmp(key + len - (sizeof ending - 1), ending);
}

/* metadata/v7.metadata.json. A folder that cannot be looked into holds nothing we could harm. */
static tl_status holds_metadata(const char *folder, bool *found, tl_error *err) {
  tl_io_names names = {0};
  char *metadata = tl_io_join(folder, "metadata");
  tl_status st = metadata ? tl_io_list(metadata, &names, err) : TL_ENOMEM;
  for (size_t i = 0; !st && i < names.count; i++) *found |= tl_ops_is_metadata(names.names[i]);
  tl_io_names_deinit(&names);
  tl_free(metadata);
  return st == TL_ENOMEM ? tl_fail(err, st, "cannot look for tables around '%s'", folder) : TL_OK;
}

static tl_status holds_table(const char *folder, bool *found, tl_error *err) {
  tl_io_info info;
  char *delta = tl_io_join(folder, "_delta_log");
  if (!delta) return tl_fail(err, TL_ENOMEM, "cannot look for tables around '%s'", folder);
  *found = !tl_io_stat(delta, &info, NULL) && info.is_dir;
  tl_free(delta);
  return *found ? TL_OK : holds_metadata(folder, found, err);
}

/* A new table must not lie where it and another would delete each other's files. */
static tl_status check_place(tl_relation *relation, tl_error *err) {
  const char *uri = tl_store_uri(relation->store), *local = tl_store_local(relation->store);
  strange s = {0};
  tl_status st = tl_store_list(relation->store, "", NULL, false, see_file, &s, err);
  if (st) return st == TL_ENOTFOUND ? TL_OK : st;
  if (s.lake) return tl_fail(err, TL_EUSAGE, "'%s' is a lake (it has '%s'): make the table in a folder of its own", uri, s.key);
  if (s.key[0])
    return tl_fail(err, TL_EUSAGE, "'%s' holds files already ('%s'), which a vacuum of the new table would delete: make it in an empty folder and append them to it", uri, s.key);
  char *above = local ? tl_strdup(local) : NULL;
  if (local && !above) return tl_fail(err, TL_ENOMEM, "cannot create '%s'", uri);
  for (char *slash = NULL; !st && above && (slash = strrchr(above, '/')) && slash > above;) {
    bool found = false;
    *slash = 0;
    st = holds_table(above, &found, err);
    if (!st && found) st = tl_fail(err, TL_EUSAGE, "'%s' lies in the folder of the table '%s', whose vacuum would delete its files: make it elsewhere", uri, above);
  }
  tl_free(above);
  return st;
}

tl_status tl_relation_create_table(const char *uri, const tl_relation_options *options, const tl_relation_create *create,
                                   tl_relation **out, tl_error *err) {
  tl_relation *relation = NULL;
  plan p = {0};
  bool delta, iceberg;
  tl_committed done;
  tl_status st = read_faces(create->faces, &delta, &iceberg, err);
  if (!st && delta && !strncmp(uri, "rest:", 5)) st = tl_fail(err, TL_EUSAGE, "'%s' is in an Iceberg catalog: such a table is created as iceberg", uri);
  if (!st) st = open_base(uri, options, &relation, err);
  if (st) return st;
  st = make_plan(relation, create, delta, delta && iceberg, &p, err);
  tl_error strange_place = {0}; /* looked at first: files of a table that another process is making come after its log */
  tl_status place = st || relation->rest ? TL_OK : check_place(relation, &strange_place);
  if (!st) st = check_absent(relation, err);
  if (!st && place) {
    if (err) *err = strange_place;
    st = place;
  }
  const tl_format *format = tl_format_find(delta ? "delta" : "iceberg");
  if (!st && !format) st = tl_fail(err, TL_EINTERNAL, "this build has no format '%s'", delta ? "delta" : "iceberg");
  if (!st) st = tl_relation_add_face(relation, format, err);
  tl_create request = {create->name, &p.fields, &p.partitioning, p.properties, p.property_count};
  if (!st) st = format->create(relation->faces[0].log, &request, &done, err);
  TL_FAULT_STEP();
  if (!st) st = tl_relation_reload(relation, err);
  if (!st && !relation->options.read_only) st = tl_faces_level(relation, err);
  plan_deinit(&p);
  if (st) tl_relation_close(relation);
  else *out = relation;
  return st;
}
