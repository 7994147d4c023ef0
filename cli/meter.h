/* meter.h - the progress line of an import on a terminal; silent elsewhere. Process-wide: one import at a time. */
#ifndef CLI_METER_H
#define CLI_METER_H
#include <stdbool.h>

#include "ticklake/ticklake.h"

void cli_meter_start(bool on);                                  /* on: stderr is a terminal and the user wants it */
void cli_meter_show(void *unused, const tl_progress *progress); /* a tl_import_options.progress */
void cli_meter_hide(void);                                      /* before another line goes to stderr */
void cli_meter_redraw(void);                                    /* after it */
void cli_meter_stop(void);
#endif
