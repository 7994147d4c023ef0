/* secret.h - turns what stands in a settings file into the secret itself. Inside config/ only; see settings.h. */
#ifndef TL_CONFIG_SECRET_H
#define TL_CONFIG_SECRET_H
#include "base/keep.h"
#include "base/status.h"

/* Copies text, without blanks around it, into kept memory and hides it from the log. *out NULL when nothing is left. */
tl_status tl_secret_keep(const char *text, size_t len, tl_keep **out, tl_error *err);

/* `text` is the secret or a reference; `file` holds it and `where` ("settings.ini:12") names it in errors. */
tl_status tl_secret_resolve(const char *text, const char *file, const char *where, tl_keep **out, tl_error *err);
#endif
