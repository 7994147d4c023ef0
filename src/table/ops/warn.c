/* warn.c - a line into the log, for the files that know tables' logs by a like name. */
#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "base/status.h"

void tl_ops_warn(const char *format, ...) TL_PRINTF(1, 2);
void tl_ops_warn(const char *format, ...) {
  char text[700];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  tl_log(TL_LOG_WARN, "%s", text);
}
