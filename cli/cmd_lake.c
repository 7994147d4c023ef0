/* cmd_lake.c - what a lake holds and whether it is sound: coverage, gaps, audit, adopt, symbols, range, index, doctor. */
#include <stdio.h>
#include <string.h>

#include "command.h"

typedef struct report {
  bool json;
  size_t rows;
} report;

static const char *before(const report *r) { return r->rows ? ",\n" : "["; } /* a row in JSON */

static int print_coverage(void *user, const tl_coverage_row *row) {
  report *r = user;
  char start[40], end[40];
  cli_time_text(row->start_ns, start);
  cli_time_text(row->end_ns, end);
  if (r->json) {
    printf("%s{\"kind\":", before(r));
    cli_json_string(row->kind);
    printf(",\"symbol\":");
    cli_json_string(row->symbol);
    printf(",\"start\":\"%s\",\"end\":\"%s\",\"state\":\"%s\",\"rows\":", start, end, row->state);
    if (row->rows < 0) printf("null");
    else printf("%lld", (long long)row->rows);
    if (row->reason[0]) {
      printf(",\"reason\":");
      cli_json_string(row->reason);
    }
    printf("}");
  } else {
    if (!r->rows) printf("%-15s %-10s %-21s %-21s %-8s %10s\n", "KIND", "SYMBOL", "START", "END", "STATE", "ROWS");
    char rows[24] = "?";
    if (row->rows >= 0) snprintf(rows, sizeof rows, "%lld", (long long)row->rows);
    printf("%-15s %-10s %-21s %-21s %-8s %10s%s%s\n", row->kind, row->symbol, start, end, row->state, rows,
           row->reason[0] ? "  " : "", row->reason);
  }
  r->rows++;
  return 0;
}

/* Around every list: the lake is opened, and the JSON array ended and the lake closed. */
static int begin(const cli_args *args, tl_lake **lake, report *r) {
  *r = (report){.json = args->json};
  return cli_open(args, lake);
}

static int end(tl_lake *lake, const report *r, tl_status st, const tl_error *err) {
  if (r->json && (r->rows || !st)) printf(r->rows ? "]\n" : "[]\n");
  tl_lake_close(lake);
  return st ? cli_fail(st, err) : 0;
}

typedef tl_status (*coverage_call)(tl_lake *, const char *, const char *, tl_coverage_fn, void *, tl_error *);

static int run_coverage(cli_args *args, coverage_call call, const char *nothing) {
  tl_lake *lake = NULL;
  report r;
  tl_error err = {0};
  int rc = begin(args, &lake, &r);
  if (rc) return rc;
  tl_status st = call(lake, args->words[0], args->words[1], print_coverage, &r, &err);
  if (st == TL_ENOTFOUND) { /* no lake holds nothing, and asking is no failure */
    fprintf(stderr, "ticklake: %s\n", err.message);
    st = TL_OK;
  } else if (!st && !r.rows && !r.json) {
    fprintf(stderr, "%s\n", nothing);
  }
  return end(lake, &r, st, &err);
}

int cli_coverage(cli_args *args, const char *line) {
  (void)line;
  return run_coverage(args, tl_lake_coverage, "the lake holds nothing of this");
}

int cli_gaps(cli_args *args, const char *line) {
  (void)line;
  return run_coverage(args, tl_lake_gaps, "no gaps");
}

static int print_audit(void *user, const tl_audit_row *row) {
  report *r = user;
  if (r->json) {
    printf("%s{\"path\":", before(r));
    cli_json_string(row->path);
    printf(",\"verdict\":\"%s\",\"ok\":%s,\"detail\":", row->verdict, row->ok ? "true" : "false");
    cli_json_string(row->detail);
    printf("}");
  } else {
    printf("%-10s %s%s%s\n", row->verdict, row->path, row->detail[0] ? ": " : "", row->detail);
  }
  r->rows++;
  return 0;
}

int cli_audit(cli_args *args, const char *line) {
  (void)line;
  tl_lake *lake = NULL;
  report r;
  tl_error err = {0};
  int rc = begin(args, &lake, &r);
  if (rc) return rc;
  bool sound = false;
  tl_status st = tl_lake_audit(lake, args->words[0], args->words[1], args->repair, print_audit, &r, &sound, &err);
  if (!st && !args->quiet) fprintf(stderr, "%zu files: %s\n", r.rows, sound ? "sound" : "NOT sound; 'audit --repair' records what they hold");
  rc = end(lake, &r, st, &err);
  return rc || sound ? rc : CLI_FAILED;
}

int cli_adopt(cli_args *args, const char *line) {
  (void)line;
  args->lake = args->words[0];
  tl_lake *lake = NULL;
  report r;
  tl_error err = {0};
  int rc = begin(args, &lake, &r);
  if (rc) return rc;
  tl_status st = tl_lake_adopt(lake, &args->import, print_audit, &r, &err);
  return end(lake, &r, st, &err);
}

static int print_symbol(void *user, const char *symbol) {
  report *r = user;
  if (r->json) {
    printf("%s", before(r));
    cli_json_string(symbol);
  } else {
    printf("%s\n", symbol);
  }
  r->rows++;
  return 0;
}

int cli_symbols(cli_args *args, const char *line) {
  (void)line;
  tl_lake *lake = NULL;
  report r;
  tl_error err = {0};
  int rc = begin(args, &lake, &r);
  if (rc) return rc;
  tl_status st = tl_lake_symbols(lake, args->words[0], print_symbol, &r, &err);
  return end(lake, &r, st, &err);
}

int cli_range(cli_args *args, const char *line) {
  (void)line;
  tl_lake *lake = NULL;
  int rc = cli_open(args, &lake);
  if (rc) return rc;
  tl_error err = {0};
  int64_t first_ns = 0, last_ns = 0, rows = 0;
  tl_status st = tl_lake_range(lake, args->words[0], args->words[1], &first_ns, &last_ns, &rows, &err);
  tl_lake_close(lake);
  if (st) return cli_fail(st, &err);
  char first[40], last[40];
  cli_time_text(first_ns, first);
  cli_time_text(last_ns, last);
  if (args->json) printf("{\"first\":\"%s\",\"last\":\"%s\",\"rows\":%lld}\n", first, last, (long long)rows);
  else printf("%s  %s  %lld rows\n", first, last, (long long)rows);
  return 0;
}

static int print_index(void *user, const tl_index_row *row) {
  report *r = user;
  if (!row->symbol[0]) return print_symbol(user, row->index);
  if (r->json) {
    printf("%s{\"symbol\":", before(r));
    cli_json_string(row->symbol);
    printf(",\"added_date\":\"%s\",\"removed_date\":", row->added_date);
    if (row->removed_date[0]) cli_json_string(row->removed_date);
    else printf("null");
    printf("}");
  } else {
    printf("%-10s %-21s %s\n", row->symbol, row->added_date, row->removed_date);
  }
  r->rows++;
  return 0;
}

int cli_index(cli_args *args, const char *line) {
  (void)line;
  const char *verb = args->words[0];
  bool store = !strcmp(verb, "store"), load = !strcmp(verb, "load"), list = !strcmp(verb, "list");
  if ((!store && !load && !list) || args->word_count != (store ? 3 : load ? 2 : 1))
    return cli_refuse("index", "usage: index store NAME SYMBOLS | load NAME | list");
  tl_lake *lake = NULL;
  report r;
  tl_error err = {0};
  int rc = begin(args, &lake, &r);
  if (rc) return rc;
  if (!store) return end(lake, &r, tl_lake_index_load(lake, load ? args->words[1] : NULL, print_index, &r, &err), &err);
  tl_status st = tl_lake_index_store(lake, args->words[1], args->words[2], &err);
  tl_lake_close(lake);
  return st ? cli_fail(st, &err) : 0;
}

static int print_check(void *user, const char *what, bool ok, const char *detail) {
  report *r = user;
  if (r->json) {
    printf("%s{\"check\":", before(r));
    cli_json_string(what);
    printf(",\"ok\":%s,\"detail\":", ok ? "true" : "false");
    cli_json_string(detail);
    printf("}");
  } else {
    printf("%-4s %-14s %s\n", ok ? "ok" : "BAD", what, detail);
  }
  r->rows++;
  return 0;
}

int cli_doctor(cli_args *args, const char *line) {
  (void)line;
  tl_lake *lake = NULL;
  report r;
  tl_error err = {0};
  int rc = begin(args, &lake, &r);
  if (rc) return rc;
  bool ok = false;
  tl_status st = tl_lake_doctor(lake, &args->import, print_check, &r, &ok, &err);
  rc = end(lake, &r, st, &err);
  return rc || ok ? rc : CLI_FAILED;
}

int cli_version(cli_args *args, const char *line) {
  (void)line;
  if (args->json) printf("{\"version\":\"%s\"}\n", tl_version());
  else printf("ticklake %s\n", tl_version());
  return 0;
}
