/* known_formats.c - the table formats, one row each. */
#include <string.h>

#include "table/snapshot.h"

static const tl_format *const formats[] = {&tl_format_delta, &tl_format_iceberg, NULL}; /* the first that is found names a table with two faces */

const tl_format *tl_format_find(const char *name) {
  for (size_t i = 0; formats[i]; i++)
    if (!strcmp(formats[i]->name, name)) return formats[i];
  return NULL;
}

tl_status tl_format_detect(tl_store *store, const tl_format **out, tl_error *err) {
  for (size_t i = 0; formats[i]; i++) {
    bool found = false;
    tl_status st = formats[i]->detect(store, &found, err);
    if (st) return st;
    if (found) {
      *out = formats[i];
      return TL_OK;
    }
  }
  return tl_fail(err, TL_ENOTFOUND, "no Delta or Iceberg table at '%s': make one with ticklake table create", tl_store_uri(store));
}
