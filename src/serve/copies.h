/* copies.h - files of a lake as paths that can be opened: those of a folder as they lie, those of an object store in a
 * temporary folder while somebody reads them. Private to serve/.
 * Cost: a folder's nothing; a store's one GET a file, eight at once. */
#ifndef TL_SERVE_COPIES_H
#define TL_SERVE_COPIES_H
#include "store/store.h"
#include "table/table.h"
#include "ticklake/arrow.h"

typedef struct tl_copies tl_copies;

tl_status tl_copies_open(tl_store *lake, tl_copies **out, tl_error *err); /* shares the store */
void tl_copies_close(tl_copies *copies);                                  /* removes what was brought; NULL is fine */

const char *tl_copies_folder(const tl_copies *copies); /* a file's path in the lake is its path below this */
tl_status tl_copies_bring(tl_copies *copies, const tl_table_file *files, size_t count, tl_error *err);
void tl_copies_drop(tl_copies *copies, const tl_table_file *files, size_t count); /* read to their end */

/* From here on the stream owns the copies and closes them when it is released. On failure both are released here. */
tl_status tl_copies_keep(struct ArrowArrayStream *stream, tl_copies *copies, tl_error *err);
#endif
