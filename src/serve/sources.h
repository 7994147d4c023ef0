/* sources.h - what a query reads besides the lake: open tables named in it, files of any store, Arrow streams.
 *
 *     select a.symbol from delta('lake/trades', version => 3) a join iceberg('s3://b/t', snapshot => 7123) b using (symbol)
 *
 * delta(...) and iceberg(...) are words of ours: each call is replaced by a SELECT over the table's files as of that version,
 * in brackets. Text, quoted names and comments are left alone. DuckDB's own extensions are never loaded.
 * Callers may rely on: one table is opened once for a query, so two calls see one state of it; tables and files brought here
 * from S3 live until the sources are closed, which a stream does when it was given them (tl_sources_keep).
 * Not here: what the SQL means (engine), the lake's own views (sql.c), where a table's files lie (table/). */
#ifndef TL_SERVE_SOURCES_H
#define TL_SERVE_SOURCES_H
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"
#include "config/settings.h"
#include "engine/engine.h"

struct tl_at;
struct tl_fields;

typedef struct tl_sources tl_sources;

/* All borrowed; temp NULL: TMPDIR, else /tmp. Nothing is made on disk before it is needed. */
tl_status tl_sources_open(tl_engine *engine, const tl_settings *settings, const char *temp, tl_sources **out, tl_error *err);
void tl_sources_close(tl_sources *sources); /* NULL is fine */
const tl_settings *tl_sources_settings(const tl_sources *sources);

/* Appends sql with the calls replaced. TL_EUSAGE for an argument that is none, TL_ENOTFOUND for a table that is not there. */
tl_status tl_sources_expand(tl_sources *sources, const char *sql, tl_buf *out, tl_error *err);

/* Appends one SELECT for "a file or a query": a query begins with SELECT, WITH, FROM, VALUES, TABLE, PIVOT or UNPIVOT, anything
 * else names a Parquet, CSV or JSON file, a glob of such files, or an s3:// object. Columns that `like` has (may be NULL)
 * are read as its types (a symbol TRUE in a CSV file is text), whole numbers, decimals and instants of CSV and JSON as the text
 * they are, which the taker casts. Columns in the path (symbol=AAPL/) count when `like` has them. */
tl_status tl_sources_select(tl_sources *sources, const char *from, const struct tl_fields *like, tl_buf *out, tl_error *err);

/* The rows of a stream, read to its end and released, as a SELECT. */
tl_status tl_sources_spool(tl_sources *sources, struct ArrowArrayStream *stream, tl_buf *out, tl_error *err);

/* From here on the stream owns sources and engine (may be NULL) and closes them when it is released. They are closed on
 * failure too, and so is the stream. */
tl_status tl_sources_keep(struct ArrowArrayStream *stream, tl_sources *sources, tl_engine *engine, tl_error *err);

/* The open table at a URI, held until the sources are closed. face: static text it must have, NULL: any. */
struct tl_relation;
tl_status tl_sources_table(tl_sources *sources, const char *uri, const char *face, struct tl_relation **out, tl_error *err);

/* A version (digits) or a time (RFC 3339; without a zone, or a date: UTC), at most one of them; none is the newest. */
tl_status tl_at_parse(const char *version, const char *timestamp, struct tl_at *out, tl_error *err);
#endif
