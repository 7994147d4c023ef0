/* settings.h - what settings.ini, the environment and the system say, and where each value came from.
 *
 * The first of settings.ini, config/config.ini (working directory) and $XDG_CONFIG_HOME/ticklake/settings.ini (else
 * ~/.config) counts; files are never merged; --config names one, which must be there. Sections: [macos] [windows]
 * [linux] with local_storage_dir and api_threads (the running system's counts; TICKLAKE_OS overrides), [alpaca]
 * [polygon] [alphavantage] with api_key, secret_key, endpoint, feed, rate, and [s3]; trading_timezone anywhere.
 *     # or ; at a line's begin is a comment, so is what follows a blank and ;     key = value  or  key: value
 * Letter case of sections and keys does not matter; a pair of double quotes around a value is taken off; lines have no
 * length limit. A key that is set twice is an error. An unknown section or key is a warning in the log with its line
 * and the nearest known one. Values are text; a secret is only given by tl_settings_secret. The file's text is kept
 * off core dumps. Thread-safe after open. Not here: flags (cli), what a value means (run). */
#ifndef TL_CONFIG_SETTINGS_H
#define TL_CONFIG_SETTINGS_H
#include "base/buf.h"
#include "base/keep.h"
#include "base/status.h"

typedef struct tl_settings tl_settings;

/* file NULL: look for one; none is fine. TL_EUSAGE naming file and line; TL_ENOTFOUND for a named file. */
tl_status tl_settings_open(const char *file, tl_settings **out, tl_error *err);
void tl_settings_close(tl_settings *settings); /* NULL is fine */

const char *tl_settings_file(const tl_settings *settings);   /* "" when there is none */
const char *tl_settings_system(const tl_settings *settings); /* "linux", "macos" or "windows" */

/* NULL when it is not set or empty; "${VAR}" gives the variable's value. section NULL: whichever section has the key.
 * Views until close. */
const char *tl_settings_get(const tl_settings *settings, const char *section, const char *key);
/* "settings.ini:12" into text, or "" when the file does not set it. */
void tl_settings_where(const tl_settings *settings, const char *section, const char *key, char *text, size_t size_bytes);

/* A secret: from the environment variable (may be NULL), else the file's value of any of the keys (NULL-terminated),
 * where "${VAR}" means a variable, "file:PATH" the first line of a file only its owner can read, "cmd:COMMAND" the first
 * line a command prints. *out is NULL when it is not set anywhere. The secret is hidden from the log for good.
 * TL_EUSAGE with the chmod line to run when the file that holds it can be read by others. */
tl_status tl_settings_secret(const tl_settings *settings, const char *variable, const char *section,
                             const char *const *keys, tl_keep **out, tl_error *err);

/* No core dumps, no other process of the user looking in: called once a secret is in memory. */
void tl_settings_harden(void);
#endif
