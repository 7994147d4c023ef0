/* status.h - fill a tl_error and return its status in one expression. */
#ifndef TL_BASE_STATUS_H
#define TL_BASE_STATUS_H
#include "ticklake/status.h"

/* Formats the message (cut at the buffer's end on a UTF-8 boundary) and returns `status`. err may be NULL. */
tl_status tl_fail(tl_error *err, tl_status status, const char *format, ...) TL_PRINTF(3, 4);

/* As tl_fail(TL_EIO) with the text of errno value `code` appended after ": ". */
tl_status tl_fail_errno(tl_error *err, int code, const char *format, ...) TL_PRINTF(3, 4);

/* Puts "<words>: " before the message err holds already; keeps the status. */
tl_status tl_fail_within(tl_error *err, tl_status status, const char *format, ...) TL_PRINTF(3, 4);
#endif
