/* avro_fields.h - the field ids of Iceberg's Avro files. Inside iceberg/ only. */
#ifndef TL_TABLE_ICEBERG_AVRO_FIELDS_H
#define TL_TABLE_ICEBERG_AVRO_FIELDS_H
#include <string.h>

#include "table/iceberg/avro.h"

enum {
  ID_STATUS = 0, ID_SNAPSHOT = 1, ID_DATA_FILE = 2, ID_SEQUENCE = 3, ID_FILE_SEQUENCE = 4,
  ID_FILE_PATH = 100, ID_FILE_FORMAT = 101, ID_PARTITION = 102, ID_RECORD_COUNT = 103, ID_FILE_SIZE = 104,
  ID_COLUMN_SIZES = 108, ID_VALUE_COUNTS = 109, ID_NULL_COUNTS = 110, ID_LOWER = 125, ID_UPPER = 128,
  ID_KEY_METADATA = 131, ID_SPLITS = 132, ID_CONTENT = 134, ID_EQUALITY_IDS = 135, ID_NAN_COUNTS = 137, ID_SORT_ORDER = 140,

  ID_MANIFEST_PATH = 500, ID_MANIFEST_LENGTH = 501, ID_SPEC = 502, ID_ADDED_SNAPSHOT = 503, ID_ADDED_FILES = 504,
  ID_EXISTING_FILES = 505, ID_DELETED_FILES = 506, ID_PARTITIONS = 507, ID_CONTAINS_NULL = 509, ID_SUMMARY_LOWER = 510,
  ID_SUMMARY_UPPER = 511, ID_ADDED_ROWS = 512, ID_EXISTING_ROWS = 513, ID_DELETED_ROWS = 514, ID_MANIFEST_SEQUENCE = 515,
  ID_MIN_SEQUENCE = 516, ID_MANIFEST_CONTENT = 517, ID_CONTAINS_NAN = 518, ID_MANIFEST_KEY = 519
};

typedef struct avro_field_name { const char *name; int id; } avro_field_name;

/* The id of a record's field; files without ids go by name. -1: a field we do not know. */
static inline int avro_field_id(const tl_avro_child *child, const avro_field_name *names, size_t count) {
  if (child->id >= 0) return child->id;
  for (size_t i = 0; child->name && i < count; i++)
    if (!strcmp(child->name, names[i].name)) return names[i].id;
  return -1;
}
#endif
