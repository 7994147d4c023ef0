/* rest_catalog.h - the REST catalog behind a handle. Inside iceberg/ only. */
#ifndef TL_TABLE_ICEBERG_REST_CATALOG_H
#define TL_TABLE_ICEBERG_REST_CATALOG_H
#include "table/iceberg/iceberg_log.h"
#include "table/iceberg/rest.h"

tl_status tl_iceberg_rest_open(const tl_settings *settings, const char *name, tl_iceberg_rest **out, tl_error *err);
void tl_iceberg_rest_close(tl_iceberg_rest *rest); /* NULL is fine */
tl_status tl_iceberg_rest_load(tl_iceberg_rest *rest, tl_iceberg_state *out, tl_error *err);
tl_status tl_iceberg_rest_commit(tl_iceberg_rest *rest, const tl_iceberg_state *state, const tl_iceberg_change *change, int64_t *number,
                                 bool *unknown, tl_error *err);
/* The catalog gives ids of its own: table->fields are numbered anew, as it will number them. */
tl_status tl_iceberg_rest_create(tl_iceberg_rest *rest, const tl_iceberg_new *table, tl_error *err);

/* The body of a commit. Pure. */
tl_status tl_iceberg_rest_body(const tl_iceberg_metadata *old, const tl_iceberg_change *change, tl_buf *out, tl_error *err);
#endif
