/* rest.h - tables of an Iceberg REST catalog: "NAMESPACE.TABLE", found and committed to over HTTP; their files by the store.
 *
 * Settings: environment TICKLAKE_ICEBERG_REST, TICKLAKE_ICEBERG_WAREHOUSE, TICKLAKE_ICEBERG_TOKEN; else settings.ini [iceberg] rest
 * (http://host:port[/prefix]), warehouse (s3://bucket/prefix or a folder: where new tables go), token (an OAuth2 bearer token,
 * as a secret), allow_http (plain http to another machine). A namespace of several levels is a.b.TABLE.
 * Callers may rely on: a commit is made once or not, whatever becomes of its answer: after one that leaves it open (5xx, a lost
 * answer) the table is read again and our snapshot looked for; only when that does not settle it the error says so, and no
 * file is deleted. 409 is TL_ECONFLICT. Not here: credentials the catalog would hand out; the store has its own. */
#ifndef TL_TABLE_ICEBERG_REST_H
#define TL_TABLE_ICEBERG_REST_H
#include "table/snapshot.h"

/* Where the table lies, as tl_store_open takes it. *found false: there is none, and location is where a new one goes (TL_EUSAGE
 * without a warehouse). */
tl_status tl_iceberg_rest_locate(const tl_settings *settings, const char *name, tl_buf *location, bool *found, tl_error *err);
#endif
