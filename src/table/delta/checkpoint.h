/* checkpoint.h - a row of a checkpoint as it comes from Parquet, and the action it is. Private to delta/; apart for fuzzing. */
#ifndef TL_TABLE_DELTA_CHECKPOINT_H
#define TL_TABLE_DELTA_CHECKPOINT_H
#include "table/delta/delta.h"

typedef struct tl_delta_row { /* texts with data NULL and numbers of INT64_MIN are null; all borrowed */
  tl_text txn_app, add_path, stats, remove_path, id, name, description, schema, provider;
  int64_t txn_version, txn_updated, add_size, add_modified, remove_size, remove_deleted, created, reader, writer;
  bool add_vector, remove_vector, has_partition; /* of the add or the remove */
  bool is_metadata, is_protocol;
  const tl_delta_words *partition, *tags, *configuration; /* lists of names: keys alone */
  const tl_delta_words *partition_columns, *reader_features, *writer_features;
  size_t partition_count, tag_count, configuration_count, partition_column_count, reader_feature_count, writer_feature_count;
} tl_delta_row;

extern const tl_delta_row tl_delta_row_null;

/* Adds the row's actions; TL_ECORRUPT says what is wrong with it. */
tl_status tl_delta_row_apply(const tl_delta_row *row, tl_delta_actions *actions, tl_error *err);
#endif
