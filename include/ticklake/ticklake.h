/* ticklake.h - libticklake: a market-data lake from C. This header includes the whole public contract.
 *
 *     tl_error err;
 *     tl_lake *lake = NULL;
 *     if (tl_lake_open(&(tl_lake_options){.size = sizeof(tl_lake_options), .path = "lake"}, &lake, &err)) ...
 *     tl_import_options o = tl_import_options_default();
 *     o.kind = "1m"; o.symbols = "AAPL,MSFT"; o.start = "2024-01-02"; o.end = "2024-01-31";
 *     tl_import_result *result = NULL;
 *     tl_status st = tl_lake_import(lake, &o, &result, &err);      // needs no key against `ticklake simulate`
 *     struct ArrowArrayStream bars;
 *     st = tl_lake_read(lake, &(tl_read_options){.size = sizeof(tl_read_options), .kind = "1m", .symbols = "AAPL"}, &bars, &err);
 *
 * Handles are opaque. Option structs begin with their own size, so that a program built against an older header keeps
 * working with a newer library; zeroed members mean the default. Strings given to a call are borrowed for the call.
 * Threads: one call at a time per tl_lake, except tl_lake_cancel; different lakes are independent.
 * Nothing here prints, exits or installs a signal handler. */
#ifndef TICKLAKE_TICKLAKE_H
#define TICKLAKE_TICKLAKE_H
#include <stddef.h>
#include <stdint.h>

#include "ticklake/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TICKLAKE_VERSION "0.1.0"

/** Version of the library at run time, e.g. "0.1.0". Static. */
TL_API const char *tl_version(void);

typedef struct tl_lake tl_lake;

typedef struct tl_lake_options {
  size_t size;             /* sizeof(tl_lake_options) */
  const char *path;        /* folder or s3://bucket/prefix; NULL: TICKLAKE_LAKE, then local_storage_dir of the settings, then "./lake" */
  const char *config_file; /* NULL: settings.ini, config/config.ini, then the user's configuration folder */
} tl_lake_options;

/** Reads the settings and remembers where the lake lies; makes nothing on disk yet.
 * @param options  May be NULL for all defaults.
 * @param out      On TL_OK the caller owns *out and closes it with tl_lake_close; else untouched.
 * @return TL_OK; TL_EUSAGE for a setting that is wrong (file and line in the message); TL_ENOMEM; TL_EIO. */
TL_API tl_status tl_lake_open(const tl_lake_options *options, tl_lake **out, tl_error *err);

/** Pairs with a successful tl_lake_open; NULL is fine. */
TL_API void tl_lake_close(tl_lake *lake);

/** The lake's folder as resolved. A view, valid until tl_lake_close. */
TL_API const char *tl_lake_path(const tl_lake *lake);

/** Asks the running import or update of this lake, or the next one when none runs, to stop: it sends nothing more,
 * commits what is whole, and returns TL_ECANCELED.
 * Async-signal-safe; may be called from any thread. */
TL_API void tl_lake_cancel(tl_lake *lake);

typedef struct tl_log_options {
  size_t size;
  const char *stderr_level;              /* error, warn (default), info, debug, trace, none */
  const char *file, *file_level;         /* NULL: no file; file_level default info. Lines are appended */
  void (*before)(void), (*after)(void);  /* called around each line on stderr, e.g. to redraw a progress bar; may be NULL */
} tl_log_options;

/** Where the process-wide log goes. Credentials never reach it. @return TL_EUSAGE for an unknown level; TL_EIO. */
TL_API tl_status tl_log_configure(const tl_log_options *options, tl_error *err);

/** The word of a list nearest to what a user typed, NULL when none is near. For front ends' error messages. */
TL_API const char *tl_nearest_word(const char *typed, const char *const *words, size_t count);

/** Bytes of a text result, in order. @return non-zero stops the call, which then returns TL_EIO. */
typedef int (*tl_write_fn)(void *user, const char *data, size_t len);

#ifdef __cplusplus
}
#endif

#include "ticklake/arrow.h"
#include "ticklake/import.h"
#include "ticklake/read.h"
#include "ticklake/table.h"
#endif
