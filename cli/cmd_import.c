/* cmd_import.c - import, update, plan, data import-api. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "meter.h"

static tl_lake *volatile running;
static volatile sig_atomic_t stopped_by;

static void on_signal(int number) {
  stopped_by = number;
  if (running) tl_lake_cancel(running);
}

static void catch_signals(tl_lake *lake) {
  running = lake;
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)(SA_RESTART | SA_RESETHAND)}; /* a second one ends us at once */
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

/* result: NULL when the run ended before it had one; error: NULL when it did not end by one. */
static void print_json(const tl_import_result *result, const tl_import_totals *t, const char *error) {
  printf("{\"successful\":[");
  const char *symbol, *reason;
  for (size_t i = 0; result && (symbol = tl_import_result_successful(result, i)) != NULL; i++) {
    if (i) printf(",");
    cli_json_string(symbol);
  }
  printf("],\"failed\":[");
  for (size_t i = 0; result && (symbol = tl_import_result_failed(result, i, &reason)) != NULL; i++) {
    printf(i ? ",{\"symbol\":" : "{\"symbol\":");
    cli_json_string(symbol);
    printf(",\"reason\":");
    cli_json_string(reason);
    printf("}");
  }
  printf("],\"rows\":%lld,\"rejected\":%lld,\"files\":%lld,\"requests\":%lld,\"retries\":%lld,\"bytes\":%lld,\"seconds\":%.3f",
         (long long)t->rows, (long long)t->rejected, (long long)t->files, (long long)t->requests, (long long)t->retries,
         (long long)t->bytes, t->seconds);
  if (t->barless_volume) printf(",\"barless_volume\":%lld", (long long)t->barless_volume);
  if (error) {
    printf(",\"error\":");
    cli_json_string(error);
  }
  printf("}\n");
}

static void print_summary(const tl_import_result *result, const tl_import_totals *t, const char *lake) {
  const char *symbol, *reason, *file;
  for (size_t i = 0; (symbol = tl_import_result_failed(result, i, &reason)) != NULL; i++)
    fprintf(stderr, "failed: %s: %s\n", symbol, reason);
  fprintf(stderr, "%zu symbol%s done, %zu failed; %lld rows committed, %lld rejected; %lld requests (%lld retries), %.1f MB received; %.1f s\n",
          t->successful_count, t->successful_count == 1 ? "" : "s", t->failed_count, (long long)t->rows, (long long)t->rejected,
          (long long)t->requests, (long long)t->retries, (double)t->bytes / 1e6, t->seconds);
  if (t->barless_volume)
    fprintf(stderr, "%lld shares traded in intervals without a bar: no trade in them may set a price\n", (long long)t->barless_volume);
  if (t->rejected) fprintf(stderr, "rejected rows, with reasons: %s/rejects\n", lake);
  for (size_t i = 0; i < 8 && (file = tl_import_result_file(result, i)) != NULL; i++) fprintf(stderr, "  %s/%s\n", lake, file);
  if (t->files > 8) fprintf(stderr, "  ... %lld files in all\n", (long long)t->files);
}

typedef tl_status (*import_call)(tl_lake *, const tl_import_options *, tl_import_result **, tl_error *);

static int run_import(cli_args *args, const char *line, import_call call) {
  tl_lake *lake = NULL;
  int rc = cli_open(args, &lake);
  if (rc) return rc;
  bool terminal = isatty(STDERR_FILENO) == 1 && !args->quiet;
  if (terminal) {
    tl_log_options log = {.size = sizeof log, .file = args->log_file, .file_level = args->log_level, .before = cli_meter_hide,
                          .after = cli_meter_redraw, .stderr_level = args->log_level ? args->log_level : "warn"};
    tl_log_configure(&log, NULL);
  }
  cli_meter_start(terminal);
  args->import.progress = cli_meter_show;
  catch_signals(lake);
  tl_error err = {0};
  tl_import_result *result = NULL;
  tl_status st = call(lake, &args->import, &result, &err);
  running = NULL;
  cli_meter_stop();
  tl_import_totals totals = {.size = sizeof totals};
  if (result) {
    tl_import_result_totals(result, &totals);
    if (!args->quiet) print_summary(result, &totals, tl_lake_path(lake));
  }
  if (args->json) {
    print_json(result, &totals, !st ? NULL : err.message[0] ? err.message : tl_status_text(st));
    cli_json_failures(false); /* it is in that document */
  }
  if (st == TL_ECANCELED) {
    fprintf(stderr, "stopped; what was whole is committed. To resume, run again:\n  %s\n", line);
    rc = stopped_by ? 128 + (int)stopped_by : CLI_FAILED;
  } else if (st) {
    rc = cli_fail(st, &err);
  } else if (totals.failed_count) {
    rc = totals.successful_count ? CLI_SOME_FAILED : CLI_FAILED;
  }
  tl_import_result_free(result);
  tl_lake_close(lake);
  return rc;
}

static void take_words(cli_args *args) {
  tl_import_options *o = &args->import;
  o->kind = args->words[0];
  o->symbols = args->words[1];
  o->start = args->words[2];
  o->end = args->words[3];
}

int cli_import(cli_args *args, const char *line) {
  take_words(args);
  return run_import(args, line, tl_lake_import);
}

int cli_data_import(cli_args *args, const char *line) {
  const char *told = getenv("TICKLAKE_LAKE");
  if (!args->lake && (!told || !*told)) args->lake = "data/parquet";
  if (!args->import.layout && !args->import.faces) args->import.layout = "flat";
  return cli_import(args, line);
}

int cli_update(cli_args *args, const char *line) {
  take_words(args);
  return run_import(args, line, tl_lake_update);
}

int cli_plan(cli_args *args, const char *line) {
  (void)line;
  take_words(args);
  tl_lake *lake = NULL;
  int rc = cli_open(args, &lake);
  if (rc) return rc;
  tl_error err = {0};
  tl_status st = tl_lake_plan(lake, &args->import, args->json, cli_stdout, NULL, &err);
  tl_lake_close(lake);
  return st ? cli_fail(st, &err) : 0;
}
