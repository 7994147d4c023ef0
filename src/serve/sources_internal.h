/* sources_internal.h - what sources.c and rows_from.c share. */
#ifndef TL_SERVE_SOURCES_INTERNAL_H
#define TL_SERVE_SOURCES_INTERNAL_H
#include "serve/sources.h"
#include "table/relation.h"

typedef struct tl_source_table {
  char *uri;
  const char *face; /* as the query called it */
  tl_relation *relation;
} tl_source_table;

struct tl_sources {
  tl_engine *engine;
  tl_engine *kept;     /* closed at the end, after what uses it; NULL: the caller's */
  const tl_settings *settings;
  char *temp, *folder; /* folder: below temp, made with the first file */
  tl_source_table *tables;
  char **files;        /* work files, removed at the end */
  size_t table_count, file_count;
};

/* The path of a new work file, whose name ends as told; a view until the sources are closed. */
tl_status tl_sources_file(tl_sources *sources, const char *ending, const char **path, tl_error *err);
#endif
