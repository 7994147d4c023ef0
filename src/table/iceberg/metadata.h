/* metadata.h - the metadata file of an Iceberg table (vN.metadata.json): read into structs, written anew from the old one.
 *
 * Callers may rely on: format versions 1 (to read) and 2; 3 and later are TL_EUSAGE by name. Members this code does not
 * know are carried over untouched when the next version is written. Snapshots, schemas and specs that are referred to
 * are there, or reading is TL_ECORRUPT. Pure: no store, no clock. Texts view the document the struct owns.
 * Not here: manifests (manifest.h), which file is the newest (catalog.h). */
#ifndef TL_TABLE_ICEBERG_METADATA_H
#define TL_TABLE_ICEBERG_METADATA_H
#include "json/read.h"
#include "table/iceberg/manifest.h"
#include "table/snapshot.h"

typedef struct tl_iceberg_schema {
  int id;
  tl_fields fields;
  const tl_json_value *json;
} tl_iceberg_schema;

typedef struct tl_iceberg_spec { /* source: the field *id* of the source column; column: -1 */
  int id;
  tl_partitioning fields;
} tl_iceberg_spec;

typedef struct tl_iceberg_snap {
  int64_t id, parent, sequence, timestamp_ms; /* parent -1: none */
  int schema_id;                              /* -1: not said */
  tl_text manifest_list;
  const tl_json_value *summary, *json;
} tl_iceberg_snap;

typedef struct tl_iceberg_log_entry { int64_t id, timestamp_ms; } tl_iceberg_log_entry;

typedef struct tl_iceberg_metadata {
  tl_json *json;
  int format_version, last_column_id, current_schema_id, default_spec_id, last_partition_id, default_sort_order_id;
  tl_text uuid, location;                    /* location without a slash at its end */
  int64_t last_sequence, last_updated_ms, current; /* current -1: no snapshot */
  tl_iceberg_schema *schemas;
  size_t schema_count;
  tl_iceberg_spec *specs;
  size_t spec_count;
  tl_iceberg_snap *snaps;
  size_t snap_count;
  tl_iceberg_log_entry *log;                 /* when which snapshot became current, oldest first */
  size_t log_count;
  tl_pair *properties;
  size_t property_count;
} tl_iceberg_metadata;

/* what: the file's name, for errors. *out is the caller's (tl_iceberg_metadata_close). */
tl_status tl_iceberg_metadata_parse(const char *what, const char *data, size_t len, tl_iceberg_metadata **out, tl_error *err);
void tl_iceberg_metadata_close(tl_iceberg_metadata *metadata); /* NULL is fine */

const tl_iceberg_schema *tl_iceberg_find_schema(const tl_iceberg_metadata *metadata, int id); /* NULL: none */
const tl_iceberg_spec *tl_iceberg_find_spec(const tl_iceberg_metadata *metadata, int id);
const tl_iceberg_snap *tl_iceberg_find_snap(const tl_iceberg_metadata *metadata, int64_t id);
const char *tl_iceberg_property(const tl_iceberg_metadata *metadata, const char *key); /* NULL: not set */
/* The spec over a schema: source and column as indices, transform OTHER where the source is no column (any more). */
tl_status tl_iceberg_partitioning(const tl_iceberg_spec *spec, const tl_fields *fields, tl_partitioning *out, tl_error *err);

/* by_id: files may call the columns of `schema` (a copy of its fields is given) otherwise. Columns whose members may be called otherwise
 * become hidden. */
void tl_iceberg_names(const tl_iceberg_metadata *metadata, const tl_iceberg_schema *schema, tl_fields *fields, bool *by_id);

#define TL_ICEBERG_TXN "ticklake.txn." /* the property that holds an application's last committed version */
#define TL_ICEBERG_NAME "ticklake.name"
#define TL_ICEBERG_MAPPING "schema.name-mapping.default"

/* ---- writing ---- */

/* Gives ids to fields that have none (0), in order, a list's element behind its field. */
void tl_iceberg_fields_number(tl_fields *fields);

typedef struct tl_iceberg_new {
  const char *uuid, *location, *name; /* name may be NULL */
  const tl_fields *fields;            /* with ids */
  const tl_partitioning *partitioning; /* source: index; may be NULL */
  const tl_pair *properties;
  size_t property_count;
  int64_t now_ms;
} tl_iceberg_new;
tl_status tl_iceberg_metadata_create(const tl_iceberg_new *table, tl_buf *out, tl_error *err);
/* The three parts of it, for a catalog that writes the file itself. */
void tl_iceberg_put_schema(tl_json_writer *w, const char *key, const tl_iceberg_schema *old, const tl_fields *fields, int id);
tl_status tl_iceberg_put_spec(tl_json_writer *w, const char *key, const tl_fields *fields, const tl_partitioning *partitioning, tl_error *err);
/* The text of the name mapping: that of `old_mapping` (may be NULL) and an entry for each field it does not know. */
tl_status tl_iceberg_mapping(const char *old_mapping, const tl_fields *fields, tl_buf *out, tl_error *err);

typedef struct tl_iceberg_added { /* a snapshot to become current */
  int64_t id, parent, sequence, timestamp_ms;
  int schema_id;
  const char *manifest_list;
  const tl_pair *summary; /* "operation" is among them */
  size_t summary_count;
} tl_iceberg_added;
void tl_iceberg_put_snapshot(tl_json_writer *w, const char *key, const tl_iceberg_added *added);

typedef struct tl_iceberg_change {
  const tl_iceberg_added *added; /* NULL: none */
  const tl_fields *fields;       /* the new current schema, or NULL */
  const tl_pair *properties;     /* a NULL value removes */
  size_t property_count;
  const int64_t *expired;        /* ids of snapshots to forget */
  size_t expired_count;
  int64_t now_ms;
} tl_iceberg_change;
/* TL_OK when `fields` may follow the metadata's current schema; TL_EUSAGE says what may not. */
tl_status tl_iceberg_evolves(const tl_iceberg_metadata *metadata, const tl_fields *fields, tl_error *err);
/* `previous`: the path of the file `old` was read from. */
tl_status tl_iceberg_metadata_next(const tl_iceberg_metadata *old, const char *previous, const tl_iceberg_change *change, tl_buf *out,
                                   tl_error *err);
#endif
