/* engine_name.c - who wrote a snapshot. A file of its own: the public header's names do not go with table/snapshot.h's. */
#include "ticklake/ticklake.h"

extern const char tl_iceberg_engine_version[];
const char tl_iceberg_engine_version[] = TICKLAKE_VERSION;
