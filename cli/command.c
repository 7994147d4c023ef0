/* command.c - what the commands share. */
#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static bool reader_gone; /* of a pipe on stdout, e.g. head: it has what it wanted, so that is no failure */
static bool json_failures, line_open; /* line_open: stdout holds part of a document */

void cli_json_failures(bool on) { json_failures = on; }

static const char *status_name(tl_status status) {
  switch (status) {
#define X(name, value, text) \
  case name: return #name;
    TL_STATUS_MAP(X)
#undef X
  }
  return "TL_EINTERNAL";
}

static void print_failure(tl_status status, const char *text) {
  if (!json_failures) return;
  printf("%s{\"error\":{\"code\":\"%s\",\"text\":", line_open ? "\n" : "", status_name(status));
  cli_json_string(text);
  printf("}}\n");
}

int cli_fail(tl_status status, const tl_error *err) {
  if (reader_gone) return CLI_OK;
  const char *text = err->message[0] ? err->message : tl_status_text(status);
  fprintf(stderr, "ticklake: %s\n", text);
  print_failure(status, text);
  return status == TL_EUSAGE ? CLI_USAGE : CLI_FAILED;
}

int cli_refuse(const char *command, const char *format, ...) {
  char text[2048];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  fprintf(stderr, "ticklake%s%s: %s\n", command[0] ? " " : "", command, text);
  print_failure(TL_EUSAGE, text);
  return CLI_USAGE;
}

int cli_open(const cli_args *args, tl_lake **lake) {
  tl_error err = {0};
  tl_lake_options options = {.size = sizeof options, .path = args->lake, .config_file = args->config};
  tl_status st = tl_lake_open(&options, lake, &err);
  return st ? cli_fail(st, &err) : 0;
}

int cli_stdout(void *unused, const char *data, size_t len) {
  (void)unused;
  line_open = len > 0 && data[len - 1] != '\n';
  if (fwrite(data, 1, len, stdout) == len) return 0;
  reader_gone = errno == EPIPE;
  return -1;
}

int cli_finish_stdout(int code) {
  if (fflush(stdout) == 0 && !ferror(stdout)) return code;
  if (reader_gone || errno == EPIPE) return code;
  fprintf(stderr, "ticklake: cannot write to standard output\n");
  return code ? code : CLI_FAILED;
}

void cli_json_string(const char *text) {
  putchar('"');
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') printf("\\%c", c);
    else if (c < 0x20) printf("\\u%04x", c);
    else putchar(c);
  }
  putchar('"');
}

void cli_time_text(int64_t ns, char out[40]) {
  int64_t fraction = ns % 1000000000, seconds = ns / 1000000000;
  if (fraction < 0) {
    fraction += 1000000000;
    seconds--;
  }
  time_t at = (time_t)seconds;
  struct tm utc;
  gmtime_r(&at, &utc);
  size_t used = strftime(out, 24, "%Y-%m-%dT%H:%M:%S", &utc);
  if (fraction) {
    used += (size_t)snprintf(out + used, 12, ".%09d", (int)fraction);
    while (out[used - 1] == '0') used--;
  }
  out[used++] = 'Z';
  out[used] = 0;
}
