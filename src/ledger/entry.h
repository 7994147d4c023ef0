/* entry.h - a call that writes the ledger <-> one JSON object, for the log on an object store. Pure.
 *
 *   {"format":1,"id":"6f1c…","op":"commit","run":3,"counts":[rows,rejected,files,requests,retries,bytes],
 *    "files":[[path,dataset,symbol,rows,bytes,checksum,first_ns,last_ns],…],"removed":[path,…],
 *    "units":[[dataset,symbol,start_ns,end_ns,state,rows,wire_rows,bytes,pages,rejected,asked_ns,hash,answer],…]}
 *   op: layout {layout}, source {dataset, source: {provider, feed, …}}, commit, rebuild (as commit), recount {dataset, symbol,
 *   range, rows}, run_begin {command, at_ns}, run_end {run, at_ns, exit_code, message, counts, results: [[symbol, reason],…]},
 *   reset {}
 * id differs between any two entries, so that a store can tell whose entry lies at a number. Private to ledger/. */
#ifndef TL_LEDGER_ENTRY_H
#define TL_LEDGER_ENTRY_H
#include "json/read.h"
#include "ledger/db.h"

enum { TL_ENTRY_FORMAT = 1 };

tl_status tl_entry_write(const tl_op *op, const char *id, tl_buf *out, tl_error *err);

typedef struct tl_entry { /* op borrows from the rest */
  tl_op op;
  tl_json *json;
  tl_ledger_group group;
  tl_ledger_source source;
  tl_ledger_file *files;
  tl_ledger_unit *units;
  tl_ledger_result *results;
  const char **removed;
} tl_entry;

/* TL_ECORRUPT for anything that is not an entry; a newer format is TL_EUSAGE. name: the entry's, for messages. */
tl_status tl_entry_read(const char *name, const char *data, size_t len, tl_entry *out, tl_error *err);
void tl_entry_deinit(tl_entry *entry);
#endif
