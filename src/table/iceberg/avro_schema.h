/* avro_schema.h - the JSON schema of an Avro file as nodes. Inside iceberg/ only.
 * Nodes live as long as the set. A record may hold itself: walkers bound their depth. TL_ECORRUPT without naming a file:
 * the caller does. Cost: one pass; named types are found by a linear search. */
#ifndef TL_TABLE_ICEBERG_AVRO_SCHEMA_H
#define TL_TABLE_ICEBERG_AVRO_SCHEMA_H
#include "table/iceberg/avro.h"

typedef struct tl_avro_nodes {
  tl_avro_node **items; /* one heap block each: pointers stay */
  size_t count, capacity;
} tl_avro_nodes;

tl_status tl_avro_schema_parse(const char *json, size_t len, tl_avro_nodes *nodes, const tl_avro_node **root, tl_error *err);
void tl_avro_nodes_deinit(tl_avro_nodes *nodes);
#endif
