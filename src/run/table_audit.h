/* table_audit.h - the open tables of a lake against its ledger. Private to run/. */
#ifndef TL_RUN_TABLE_AUDIT_H
#define TL_RUN_TABLE_AUDIT_H
#include "engine/engine.h"
#include "run/job.h"

typedef struct tl_table_audit {
  tl_run_lake *lake;
  tl_ledger *ledger;
  tl_engine *engine;
  tl_layout layout;
  const tl_dataset *dataset; /* NULL: all */
  const tl_symbols *only;    /* none: all */
  bool repair;
  tl_audit_fn each;
  void *user;
} tl_table_audit;

/* Every file is read and held against its log; keys occur once; each stretch the ledger knows has the rows it counted. Repair
 * counts again; a stretch that lost rows is forgotten, so that an import asks for it. */
tl_status tl_run_audit_tables(const tl_table_audit *audit, bool *sound, tl_error *err);
#endif
