/* cmd_read.c - read and sql: rows to stdout or a file. */
#include <stdio.h>

#include "command.h"

static tl_output output_of(const cli_args *args) {
  return (tl_output){.size = sizeof(tl_output),
                     .format = args->format ? args->format : args->json ? "json" : "table",
                     .path = args->output,
                     .tz = args->tz,
                     .write = cli_stdout};
}

static int finish(const cli_args *args, tl_lake *lake, tl_status st, const tl_error *err, int64_t rows) {
  if (!st && args->output && !args->quiet) fprintf(stderr, "%lld rows in %s\n", (long long)rows, args->output);
  tl_lake_close(lake);
  return st ? cli_fail(st, err) : 0;
}

int cli_read(cli_args *args, const char *line) {
  (void)line;
  args->read.kind = args->words[0];
  args->read.symbols = args->words[1];
  args->read.start = args->words[2];
  args->read.end = args->words[3];
  if (args->word_count == 3) return cli_refuse("read", "START needs an END");
  tl_lake *lake = NULL;
  int rc = cli_open(args, &lake);
  if (rc) return rc;
  tl_error err = {0};
  tl_output output = output_of(args);
  int64_t rows = 0;
  tl_status st = tl_lake_read_to(lake, &args->read, &output, &rows, &err);
  return finish(args, lake, st, &err, rows);
}

int cli_sql(cli_args *args, const char *line) {
  (void)line;
  tl_lake *lake = NULL;
  int rc = cli_open(args, &lake);
  if (rc) return rc;
  tl_error err = {0};
  tl_output output = output_of(args);
  int64_t rows = 0;
  tl_status st = tl_lake_sql_to(lake, args->words[0], &output, &rows, &err);
  return finish(args, lake, st, &err, rows);
}
