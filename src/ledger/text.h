/* text.h - strings of a list, in chunks that never move, freed together. Private to ledger/.
 * Equal neighbours share one copy: lists come sorted, so a dataset's name is held once. Not thread-safe. */
#ifndef TL_LEDGER_TEXT_H
#define TL_LEDGER_TEXT_H
#include "base/status.h"

typedef struct tl_ledger_text tl_ledger_text;

/* Copies text (NULL is "") into *pool, made when NULL. `before` (may be NULL) is returned when it is equal. */
tl_status tl_ledger_text_add(tl_ledger_text **pool, const char *text, const char *before, const char **out,
                             tl_error *err);
void tl_ledger_text_deinit(tl_ledger_text **pool);
#endif
