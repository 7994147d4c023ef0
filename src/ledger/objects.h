/* objects.h - the ledger of a lake on an object store: numbered entries that are put once and never changed.
 *
 *   _ticklake/ledger/00000000000000000001.json   one call that writes (entry.h), numbers without gaps from 1
 *   _ticklake/ledger/00000000000000000100.db     the ledger's tables after entry 100, as an SQLite file
 *   _ticklake/ledger/checkpoint.json             which of these files is the newest, and its checksum: a hint
 *
 * Questions are answered by sqlite.c from a private temporary file into which the entries are played; before each one
 * the entries that are new are listed and taken in. A call that writes is played first, in a transaction that stays
 * open while its entry is put at the next number if there is none (TL_PUT_ABSENT): when another process was first, it is
 * rolled back, the other's entry is taken in, and the call is played again on what the ledger says now. So an entry that is
 * there can always be played, and every reader comes to the same tables.
 * An entry that is missing or cannot be read is TL_ECORRUPT, until an entry "reset" after it says that the ledger
 * begins anew (tl_objects_set_aside). Nothing is ever deleted.
 * Cost: a question is one LIST, a commit one LIST and one PUT; opening two GETs, a LIST and at most some hundred small
 * GETs, eight at once. Private to ledger/. */
#ifndef TL_LEDGER_OBJECTS_H
#define TL_LEDGER_OBJECTS_H
#include "ledger/db.h"
#include "store/store.h"

enum { TL_ENTRIES_PER_CHECKPOINT = 100 };

/* The store may be a folder too: that is how the tests have it. */
tl_status tl_objects_open(tl_store *lake, bool create, tl_ledger **out, tl_error *err);
void tl_objects_close(struct tl_objects *objects); /* NULL is fine */
tl_status tl_objects_refresh(tl_ledger *ledger, tl_error *err);             /* takes in what is new; entered */
tl_status tl_objects_write(tl_ledger *ledger, tl_op *op, tl_error *err);    /* tl_db_write */
tl_status tl_objects_set_aside(tl_store *lake, tl_error *err);              /* TL_OK when there is no entry */
#endif
