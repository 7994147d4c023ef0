/* log.h - leveled log lines to stderr and/or a file. One process-wide sink; thread-safe; a line is written whole.
 * Text that was registered as secret (tl_log_hide) is replaced by "***" wherever it occurs, so no caller has to
 * remember to redact. Lines look like:  2024-11-04T15:04:05.123Z INFO  [w3] [Alpaca] Received 10000 quotes ... */
#ifndef TL_BASE_LOG_H
#define TL_BASE_LOG_H
#include "base/status.h"

typedef enum tl_log_level { TL_LOG_ERROR, TL_LOG_WARN, TL_LOG_INFO, TL_LOG_DEBUG, TL_LOG_TRACE } tl_log_level;

tl_status tl_log_open_file(const char *path, tl_error *err); /* appends; folders are made; NULL closes the file */
void tl_log_set_level(tl_log_level stderr_level, tl_log_level file_level); /* default WARN on stderr, INFO in the file */
void tl_log_set_worker(int id);                  /* of the calling thread; shown as [wN]; 0 (default) shows nothing, TL_LOG_W0 [w0] */
enum { TL_LOG_W0 = -1 };                         /* the thread that talks to the network */
tl_status tl_log_hide(const char *secret, tl_error *err); /* at least 4 bytes; kept for the life of the process */
void tl_log_redact(char *text);                  /* in place: registered secrets become ***, padded with '*' */
int tl_log_enabled(tl_log_level level);          /* some sink takes this level: skip building costly lines otherwise */
void tl_log(tl_log_level level, const char *format, ...) TL_PRINTF(2, 3);
/* Called around every write to stderr, so that a progress line can be cleared and drawn again; NULL for none. */
void tl_log_set_hooks(void (*before)(void), void (*after)(void));
void tl_log_close(void);
#endif
