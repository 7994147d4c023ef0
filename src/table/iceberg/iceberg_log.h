/* iceberg_log.h - what the files of iceberg/ share: the handle, the newest metadata, the catalogs. Inside iceberg/ only.
 *
 * A catalog knows which metadata is the newest and swaps it atomically. Two of them: the table's own folder (folder_catalog.c)
 * and a REST service (rest.c). Above them nothing differs. */
#ifndef TL_TABLE_ICEBERG_ICEBERG_LOG_H
#define TL_TABLE_ICEBERG_ICEBERG_LOG_H
#include "base/prng.h"
#include "table/iceberg/metadata.h"

typedef struct tl_iceberg_rest tl_iceberg_rest;

struct tl_table_log {
  tl_store *store;
  tl_table_env env;
  tl_prng random;        /* names of files, snapshot ids, pauses between attempts */
  tl_iceberg_rest *rest; /* NULL: the folder is the catalog */
};

typedef struct tl_iceberg_state { /* the newest metadata, as it was read */
  tl_iceberg_metadata *metadata;
  char *path;      /* of its file, as metadata-log names it */
  int64_t number;  /* N of vN.metadata.json; REST: the sequence number */
  char *unwritable; /* NULL, or why this catalog cannot commit to it */
} tl_iceberg_state;
void tl_iceberg_state_deinit(tl_iceberg_state *state);

/* TL_ENOTFOUND: there is no table. */
tl_status tl_iceberg_state_load(tl_table_log *log, tl_iceberg_state *out, tl_error *err);
/* Is the state, as far as a quick look tells, still the newest? A commit on top of one that is not is lost, no more. */
bool tl_iceberg_state_is_newest(tl_table_log *log, const tl_iceberg_state *state);
/* Makes the change the newest metadata, on top of `state`. TL_ECONFLICT: another commit was there first. After any other failure
 * *unknown says whether the change may have been made: then nothing it names may be deleted. number: of the new metadata. */
tl_status tl_iceberg_state_commit(tl_table_log *log, const tl_iceberg_state *state, const tl_iceberg_change *change, int64_t *number,
                                  bool *unknown, tl_error *err);
tl_status tl_iceberg_state_create(tl_table_log *log, const tl_iceberg_new *table, tl_error *err); /* TL_ECONFLICT: one is there */

/* ---- the folder as the catalog ---- */
tl_status tl_iceberg_folder_detect(tl_store *store, bool *found, tl_error *err);
tl_status tl_iceberg_folder_load(tl_table_log *log, tl_iceberg_state *out, tl_error *err);
bool tl_iceberg_folder_is_newest(tl_table_log *log, const tl_iceberg_state *state);
tl_status tl_iceberg_folder_commit(tl_table_log *log, const tl_iceberg_state *state, const tl_iceberg_change *change, int64_t *number,
                                   bool *unknown, tl_error *err);
tl_status tl_iceberg_folder_create(tl_table_log *log, const tl_iceberg_new *table, tl_error *err);
/* N of "metadata/vN.metadata.json" (or .gz), -1 for other keys. */
int64_t tl_iceberg_folder_number(const char *key);

/* ---- a snapshot's own part, and what commits need of it ---- */

typedef struct tl_iceberg_own {
  tl_iceberg_state state;
  int schema_id;
  tl_manifest_list list;      /* of the snapshot */
  tl_manifest_spec *specs;    /* by index of state.metadata->specs, resolved over the snapshot's schema */
  tl_partitioning *resolved;  /* likewise */
} tl_iceberg_own;

/* specs and their types over a schema; count is metadata->spec_count. */
tl_status tl_iceberg_specs_open(const tl_iceberg_metadata *metadata, const tl_fields *fields, tl_manifest_spec **specs,
                                tl_partitioning **resolved, tl_error *err);
void tl_iceberg_specs_close(tl_manifest_spec *specs, tl_partitioning *resolved, size_t count);
const tl_manifest_spec *tl_iceberg_spec_of(const tl_manifest_spec *specs, size_t count, int id); /* NULL: none */

/* What a file's path of the metadata is below the store: a heap text, the key where it lies below, else the path as given.
 * TL_ECORRUPT for a path that is not absolute. */
tl_status tl_iceberg_key(const tl_table_log *log, const tl_iceberg_metadata *metadata, tl_text path, char **out, tl_error *err);
/* The object behind a path of the metadata. TL_ECORRUPT where it is gone. */
tl_status tl_iceberg_get(tl_table_log *log, const tl_iceberg_metadata *metadata, const char *path, tl_buf *out, tl_error *err);
tl_status tl_iceberg_list_load(tl_table_log *log, const tl_iceberg_metadata *metadata, tl_text path, tl_manifest_list *out, tl_error *err);

typedef struct tl_iceberg_entries { /* heap entries; `manifest` is the index of their manifest in the list */
  tl_manifest_entry **items;
  size_t count, capacity;
} tl_iceberg_entries;
void tl_iceberg_entries_deinit(tl_iceberg_entries *entries); /* frees them, NULL ones skipped */
/* Adds the live entries of one manifest. */
tl_status tl_iceberg_entries_load(tl_table_log *log, const tl_iceberg_metadata *metadata, const tl_manifest_info *info, size_t index,
                                  const tl_manifest_spec *spec, tl_iceberg_entries *out, tl_error *err);

/* The same for all of a list that `wanted` says, those on S3 side by side: in the order of the list. */
tl_status tl_iceberg_entries_load_all(tl_table_log *log, const tl_iceberg_metadata *metadata, const tl_manifest_list *list, const bool *wanted,
                                      const tl_manifest_spec *specs, tl_iceberg_entries *out, tl_error *err);

/* The texts of an entry's partition, in the order of its spec; NULL for null. */
tl_status tl_iceberg_texts(const tl_manifest_entry *entry, const tl_manifest_spec *spec, char **out, tl_error *err);

tl_status tl_iceberg_load(tl_table_log *log, tl_at at, tl_snapshot **out, tl_error *err);
tl_status tl_iceberg_stats(const tl_snapshot *snapshot, size_t file, tl_file_stats *out, tl_error *err);
void tl_iceberg_own_free(tl_snapshot *snapshot);
tl_status tl_iceberg_commit(tl_table_log *log, const tl_snapshot *base, const tl_edit *edit, tl_committed *out, tl_error *err);
tl_status tl_iceberg_history(tl_table_log *log, size_t versions_max, tl_version_fn each, void *to, tl_error *err);
tl_status tl_iceberg_checkpoint(tl_table_log *log, const tl_snapshot *snapshot, tl_error *err);
tl_status tl_iceberg_expire(tl_table_log *log, int64_t before_ms, int keep_min, bool dry_run, tl_expired *out, tl_error *err);
tl_status tl_iceberg_keeps(tl_table_log *log, int64_t since_ms, int (*each)(void *to, const char *path), void *to, tl_error *err);

extern const char tl_iceberg_engine_version[];

#define TL_ICEBERG_UUID_MAX 37
void tl_iceberg_uuid(tl_table_log *log, char out[TL_ICEBERG_UUID_MAX]);
/* When something new is written: later than everything the metadata tells of. */
int64_t tl_iceberg_now_ms(const tl_iceberg_metadata *metadata);
#endif
