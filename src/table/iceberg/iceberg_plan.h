/* iceberg_plan.h - the manifests and the list of a commit, written over the newest snapshot. Inside iceberg/ only. */
#ifndef TL_TABLE_ICEBERG_ICEBERG_PLAN_H
#define TL_TABLE_ICEBERG_ICEBERG_PLAN_H
#include "table/iceberg/iceberg_log.h"

typedef struct tl_iceberg_counts { int64_t files, rows, bytes; } tl_iceberg_counts;

typedef struct tl_iceberg_plan {
  tl_table_log *log;
  const tl_snapshot *base;
  const tl_edit *edit;
  tl_iceberg_state state; /* the newest, at each attempt */
  bool borrowed;          /* it is the base's: the first attempt needs no other when nobody was faster */
  int64_t id;             /* of the snapshot; 0: none yet */
  char uuid[TL_ICEBERG_UUID_MAX]; /* in the names of what it writes */
  int serial, attempts;
  bool rewrite;           /* every manifest anew, into few, by partition */
  bool committed, unclear;
  bool final;             /* the conflict is one of substance */

  const char **removes;   /* the edit's, sorted */
  bool *found;            /* by index of removes: is it live in the newest? */
  bool *touched;          /* by index of the base's manifests: does it hold a removed file? */
  tl_manifest_info added; /* of the added files; path NULL: not written yet */
  char *added_key;

  /* of the attempt */
  tl_manifest_spec *specs;
  tl_partitioning *resolved;
  tl_manifest_list current, next;
  char **keys;            /* objects written, to be deleted when it fails */
  size_t key_count, key_capacity;
  char *list_path;
  tl_pair *summary;       /* heap texts */
  size_t summary_count, summary_capacity;
  size_t manifests_read;  /* by a rewrite */
  tl_iceberg_counts removed;
  int64_t partitions_changed;
} tl_iceberg_plan;

tl_status tl_iceberg_plan_open(tl_iceberg_plan *plan, tl_error *err);
/* Writes what the snapshot needs; fills manifest_list and summary of *added, which the plan owns. Sets `final` on a conflict that
 * cannot be helped by another attempt. */
tl_status tl_iceberg_plan_write(tl_iceberg_plan *plan, const char *operation, tl_iceberg_added *added, tl_error *err);
/* Deletes what the attempt wrote; all: the added files' manifest too. */
void tl_iceberg_plan_undo(tl_iceberg_plan *plan, bool all);
void tl_iceberg_plan_close(tl_iceberg_plan *plan);
tl_status tl_iceberg_plan_state(tl_iceberg_plan *plan, bool first, tl_error *err); /* the newest metadata into state */

/* Puts a manifest under a name of its own; *path is as the metadata spells it, *key its key: both on the heap. */
tl_status tl_iceberg_plan_put(tl_iceberg_plan *plan, const char *name, const tl_buf *data, char **path, char **key, tl_error *err);
tl_status tl_iceberg_plan_put_manifest(tl_iceberg_plan *plan, const tl_buf *data, char **path, char **key, tl_error *err);
void tl_iceberg_plan_sync(tl_iceberg_plan *plan, char out[16]); /* bytes for an Avro file's marker */
/* Appends the JSON of a schema of the metadata. */
tl_status tl_iceberg_schema_text(const tl_iceberg_metadata *metadata, int schema_id, tl_buf *out, tl_error *err);
/* The manifest of the edit's added files, once per commit: iceberg_added.c. */
tl_status tl_iceberg_plan_added(tl_iceberg_plan *plan, int64_t sequence, tl_error *err);
tl_status tl_iceberg_plan_summary(tl_iceberg_plan *plan, const char *operation, tl_iceberg_added *added, tl_error *err);
#endif
