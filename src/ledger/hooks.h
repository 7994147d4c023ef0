/* hooks.h - lets the fault seams reach SQLite. Private to ledger/.
 * With TL_FAULTS every allocation of SQLite goes through base/alloc.h and its file calls count as seam "disk"; without,
 * SQLite is left as the process has it, because a host program (Python) may use the same library. */
#ifndef TL_LEDGER_HOOKS_H
#define TL_LEDGER_HOOKS_H
#include "base/status.h"

tl_status tl_ledger_hooks_install(tl_error *err); /* once per process; further calls do nothing. Thread-safe */
#endif
