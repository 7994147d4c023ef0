/* manifest.h - the two kinds of Avro files of an Iceberg table: manifests (data files) and manifest lists (manifests).
 *
 * Read as anybody wrote them (fields found by id, by name where there is none; any order; unknown ones skipped), written as
 * docs/formats/iceberg.md says. Callers may rely on: an entry is one heap block and holds all that a rewrite must carry
 * over; sequence numbers are explicit after reading (inherited ones filled in); counts and partition summaries of a written
 * manifest are those of its entries. What is no sound manifest is TL_ECORRUPT naming the file; delete files, formats other
 * than Parquet and encryption are TL_EUSAGE. Not here: where the files lie and which are live (iceberg_snapshot.c). */
#ifndef TL_TABLE_ICEBERG_MANIFEST_H
#define TL_TABLE_ICEBERG_MANIFEST_H
#include "table/iceberg/avro.h"
#include "table/iceberg/types.h"

/* ---- manifests ---- */

typedef enum tl_entry_status { TL_ENTRY_EXISTING, TL_ENTRY_ADDED, TL_ENTRY_DELETED } tl_entry_status;

typedef struct tl_manifest_metric { /* of one column (leaf), by field id; counts -1: unknown */
  int id;
  int64_t size_bytes, values, nulls, nans;
  bool has_lower, has_upper;
  tl_text lower, upper;
} tl_manifest_metric;

typedef struct tl_manifest_entry { /* views point into the entry's own block */
  tl_entry_status status;
  int64_t snapshot_id, sequence, file_sequence; /* sequences -1: to be inherited (only in one that is to be written) */
  int64_t rows, bytes;
  int sort_order_id; /* -1: none */
  int spec_id;
  size_t manifest;   /* free for the reader: which of the list it came from */
  tl_text path;      /* as the manifest spells it */
  tl_iceberg_value *partition;
  size_t partition_count;
  tl_manifest_metric *metrics; /* by id */
  size_t metric_count;
  int64_t *splits;
  size_t split_count;
} tl_manifest_entry;

/* A copy in one block (tl_free) of an entry whose parts lie anywhere. NULL when memory ran out. */
tl_manifest_entry *tl_manifest_entry_pack(const tl_manifest_entry *from);

typedef struct tl_manifest_spec { /* a partition spec with the types of its values */
  int id;
  const tl_partition_field *fields;
  tl_field *results;
  size_t count;
} tl_manifest_spec;

typedef struct tl_manifest_summary { /* of one partition field over a manifest */
  bool contains_null, has_lower, has_upper;
  int contains_nan; /* -1: not said */
  tl_buf lower, upper;
} tl_manifest_summary;

typedef struct tl_manifest_info { /* a row of a manifest list */
  char *path;
  int64_t length_bytes, sequence, min_sequence, snapshot_id;
  int spec_id, content; /* content 0: data files, 1: deletes */
  int64_t files[3], rows[3]; /* by tl_entry_status; -1: not said */
  tl_manifest_summary *summaries;
  size_t summary_count;
} tl_manifest_info;
void tl_manifest_info_deinit(tl_manifest_info *info);
tl_status tl_manifest_info_copy(const tl_manifest_info *from, tl_manifest_info *out, tl_error *err);

/* The entry is the callee's (tl_free). */
typedef tl_status (*tl_manifest_each)(void *to, tl_manifest_entry *entry, tl_error *err);
/* `info` fills in what entries inherit. Deleted entries are given too. */
tl_status tl_manifest_read(const char *what, const void *data, size_t len, const tl_manifest_info *info, const tl_manifest_spec *spec,
                           tl_manifest_each each, void *to, tl_error *err);

typedef struct tl_manifest_writer {
  tl_avro_writer avro;
  tl_buf out; /* the file, after tl_manifest_finish */
  const tl_manifest_spec *spec;
  tl_manifest_info info;
  tl_iceberg_value *least, *greatest; /* per partition field; null: none yet */
  tl_buf *texts;                      /* 2 per field: what text values of least and greatest view */
  size_t entries;
} tl_manifest_writer;

/* schema_json: the table's schema, for the header. snapshot_id: the one that adds this manifest. spec is borrowed. */
tl_status tl_manifest_begin(tl_manifest_writer *w, const tl_manifest_spec *spec, const char *schema_json, int schema_id,
                            int64_t snapshot_id, const char sync[16], tl_error *err);
/* Writes the entry with this status; snapshot_id and sequences as they stand in it. */
tl_status tl_manifest_put(tl_manifest_writer *w, const tl_manifest_entry *entry, tl_entry_status status, tl_error *err);
/* The file is w->out, its row w->info but for path and sequence numbers: sequence is set to `sequence`, min_sequence to the least
 * of the live entries, where an inherited one counts as `sequence`. */
tl_status tl_manifest_finish(tl_manifest_writer *w, int64_t sequence, tl_error *err);
void tl_manifest_writer_deinit(tl_manifest_writer *w);

/* ---- manifest lists ---- */

typedef struct tl_manifest_list {
  tl_manifest_info *items;
  size_t count, capacity;
} tl_manifest_list;

void tl_manifest_list_deinit(tl_manifest_list *list);
tl_status tl_manifest_list_add(tl_manifest_list *list, tl_manifest_info **out, tl_error *err); /* a zeroed row at the end */
tl_status tl_manifest_list_read(const char *what, const void *data, size_t len, tl_manifest_list *out, tl_error *err);

typedef struct tl_manifest_list_header { int64_t snapshot_id, parent_id, sequence; } tl_manifest_list_header; /* parent -1: none */
tl_status tl_manifest_list_write(const tl_manifest_list *list, const tl_manifest_list_header *header, const char sync[16], tl_buf *out,
                                 tl_error *err);
#endif
