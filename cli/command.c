/* command.c - what the commands share. */
#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static bool reader_gone; /* of a pipe on stdout, e.g. head: it has what it wanted, so that is no failure */

int cli_fail(tl_status status, const tl_error *err) {
  if (reader_gone) return CLI_OK;
  fprintf(stderr, "ticklake: %s\n", err->message[0] ? err->message : tl_status_text(status));
  return status == TL_EUSAGE ? CLI_USAGE : CLI_FAILED;
}

int cli_open(const cli_args *args, tl_lake **lake) {
  tl_error err = {0};
  tl_lake_options options = {.size = sizeof options, .path = args->lake, .config_file = args->config};
  tl_status st = tl_lake_open(&options, lake, &err);
  return st ? cli_fail(st, &err) : 0;
}

int cli_stdout(void *unused, const char *data, size_t len) {
  (void)unused;
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
