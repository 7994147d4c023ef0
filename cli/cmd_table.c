/* cmd_table.c - table VERB URI: the verbs of ticklake/table.h, each answering what it changed in rows, files, bytes and version. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "show.h"
#include "ticklake/table.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static cli_show show_of(const cli_args *args) {
  const char *format = args->format ? args->format : args->json ? "json" : "table";
  cli_show show = {.format = !strcmp(format, "json") ? CLI_JSON : !strcmp(format, "csv") ? CLI_CSV : CLI_TABLE};
  if (show.format == CLI_JSON) cli_json_failures(true);
  return show;
}

static int open_table(const cli_args *args, bool read_only, tl_table **table) {
  tl_table_options options = {.size = sizeof options, .config_file = args->config, .file_bytes = args->table.file_bytes,
                              .memory_max_bytes = args->table.memory_max_bytes, .read_only = read_only, .face = args->table.face};
  tl_error err = {0};
  tl_status st = tl_table_open(args->words[0], &options, table, &err);
  return st ? cli_fail(st, &err) : 0;
}

static void time_text(int64_t ms, char out[40]) {
  int64_t ns = 0;
  if (__builtin_mul_overflow(ms, INT64_C(1000000), &ns)) ns = ms < 0 ? INT64_MIN : INT64_MAX;
  cli_time_text(ns, out);
}

static cli_cell version_cell(int64_t version) { return version < 0 ? cli_text("version", NULL) : cli_int("version", version); } /* no snapshot yet */

/* ---- what a table is ---- */

static int show_column(void *to, const tl_table_column *c) {
  cli_cell cells[] = {cli_wide(cli_text("column", c->name), 20), cli_wide(cli_text("type", c->type), 16), cli_wide(cli_bool("nullable", c->nullable), 8),
                      cli_wide(cli_int("id", c->id), 4), c->partition[0] ? cli_text("partition", c->partition) : cli_text("partition", NULL)};
  cli_show_row(to, cells, COUNT(cells));
  return 0;
}

int cli_table_schema(cli_args *args, const char *line) {
  (void)line;
  cli_show show = show_of(args);
  tl_table *table = NULL;
  int rc = open_table(args, true, &table);
  if (rc) return rc;
  tl_error err = {0};
  tl_status st = tl_table_schema(table, args->table.version, args->table.timestamp, show_column, &show, &err);
  tl_table_close(table);
  if (st) return cli_fail(st, &err);
  cli_show_end(&show);
  return 0;
}

typedef struct object { /* properties as one JSON object, or as lines */
  cli_format format;
  size_t count;
} object;

static int show_property(void *to, const char *key, const char *value) {
  object *o = to;
  cli_show line = {.format = o->format, .rows = o->count};
  cli_cell cells[] = {cli_wide(cli_text("property", key), 40), cli_text("value", value)};
  if (o->format == CLI_TABLE) {
    cli_show_row(&line, cells, COUNT(cells));
  } else {
    if (o->count) printf(",");
    cli_json_string(key);
    printf(":");
    cli_json_string(value);
  }
  o->count++;
  return 0;
}

/* After the record: columns and properties, where the form has a place for them. */
static tl_status show_details(tl_table *table, const cli_args *args, cli_format format, tl_error *err) {
  cli_show columns = {.format = format};
  object properties = {.format = format};
  if (format == CLI_TABLE) printf("\n");
  else printf(",\n\"columns\":");
  tl_status st = tl_table_schema(table, args->table.version, args->table.timestamp, show_column, &columns, err);
  if (!st && format == CLI_TABLE) printf("\n");
  else if (!st) printf(columns.rows ? "],\n\"properties\":{" : "[],\n\"properties\":{");
  if (!st) st = tl_table_properties(table, show_property, &properties, err);
  if (!st && format == CLI_JSON) printf("}}\n");
  return st;
}

int cli_table_describe(cli_args *args, const char *line) {
  (void)line;
  cli_show show = show_of(args);
  tl_table *table = NULL;
  tl_error err = {0};
  char at[40];
  tl_table_info i = {.size = sizeof i};
  int rc = open_table(args, true, &table);
  if (rc) return rc;
  tl_status st = tl_table_describe(table, args->table.version, args->table.timestamp, &i, &err);
  if (!st) {
    time_text(i.timestamp_ms, at);
    cli_cell cells[] = {cli_text("uri", i.uri), cli_text("faces", i.faces), cli_text("id", i.id), cli_text("name", i.name[0] ? i.name : NULL),
                        version_cell(i.version), cli_int("sequence", i.sequence), cli_text("timestamp", at), cli_int("rows", i.rows),
                        cli_int("files", i.files), cli_int("bytes", i.bytes), cli_text("partition_by", i.partition_by[0] ? i.partition_by : NULL),
                        cli_text("unwritable", i.unwritable)};
    if (i.rows < 0) cells[7] = cli_text("rows", NULL);
    cli_show_begin_record(&show, cells, COUNT(cells));
    if (show.format != CLI_CSV) st = show_details(table, args, show.format, &err);
  }
  tl_table_close(table);
  return st ? cli_fail(st, &err) : 0;
}

typedef struct past {
  cli_show show;
  int width; /* of a version: Iceberg's are long */
} past;

static int show_version(void *to, const tl_table_version *v) {
  past *p = to;
  char at[40];
  time_text(v->timestamp_ms, at);
  cli_cell cells[] = {cli_wide(cli_int("version", v->version), p->width), cli_wide(cli_int("sequence", v->sequence), 8),
                      cli_wide(cli_text("timestamp", at), 24), cli_wide(cli_text("operation", v->operation), 17),
                      cli_wide(cli_bool("current", v->current), 7), v->parent < 0 ? cli_text("parent", NULL) : cli_int("parent", v->parent),
                      cli_wide(cli_text("engine", v->engine), 20), cli_json("parameters", v->parameters_json), cli_json("metrics", v->metrics_json)};
  cells[5].width = p->width;
  cli_show_row(&p->show, cells, COUNT(cells));
  return 0;
}

int cli_table_history(cli_args *args, const char *line) {
  (void)line;
  past p = {.show = show_of(args), .width = 8};
  p.show.header = "version,sequence,timestamp,operation,current,parent,engine,parameters,metrics";
  tl_table *table = NULL;
  tl_error err = {0};
  tl_table_info info = {.size = sizeof info};
  int rc = open_table(args, true, &table);
  if (rc) return rc;
  tl_status st = tl_table_describe(table, NULL, NULL, &info, &err);
  if (!st && !strcmp(info.format, "iceberg")) p.width = 19;
  if (!st) st = tl_table_history(table, args->table.limit, show_version, &p, &err);
  tl_table_close(table);
  if (st) return cli_fail(st, &err);
  cli_show_end(&p.show);
  return 0;
}

/* ---- verbs that write ---- */

/* An Iceberg table without a snapshot has no version, but a sequence. */
static bool did_nothing(const tl_table_change *c) { return c->version < 0 && c->sequence <= 0; }

static void show_change(cli_show *show, const tl_table_change *c) {
  cli_cell cells[] = {version_cell(c->version),
                      did_nothing(c) ? cli_text("sequence", NULL) : cli_int("sequence", c->sequence),
                      cli_int("rows_inserted", c->rows_inserted), cli_int("rows_updated", c->rows_updated), cli_int("rows_deleted", c->rows_deleted),
                      cli_int("rows_copied", c->rows_copied), cli_int("files_added", c->files_added), cli_int("files_removed", c->files_removed),
                      cli_int("bytes_added", c->bytes_added), cli_int("bytes_removed", c->bytes_removed), cli_int("attempts", c->attempts),
                      cli_bool("already", c->already)};
  cli_show_record(show, cells, COUNT(cells));
}

static const char *words_of_nothing(const tl_table_change *c) {
  return c->already ? "this txn was committed before: nothing was done" : "nothing had to change: no version was made";
}

typedef tl_status (*change_call)(tl_table *, const cli_args *, tl_table_change *, tl_error *);

/* A verb that writes: opens the table, runs it, says what it changed. */
static int run_change(const cli_args *args, change_call call) {
  cli_show show = show_of(args);
  tl_table *table = NULL;
  tl_error err = {0};
  tl_table_change change = {.size = sizeof change};
  int rc = open_table(args, false, &table);
  if (rc) return rc;
  tl_status st = call(table, args, &change, &err);
  tl_table_close(table);
  if (st) return cli_fail(st, &err);
  if ((change.already || did_nothing(&change)) && !args->quiet) fprintf(stderr, "%s\n", words_of_nothing(&change));
  show_change(&show, &change);
  return 0;
}

/* --format is said of the table (delta, iceberg) and of the output, each at most once. */
static int take_formats(cli_args *args) {
  for (int i = 0; i < args->table.formats.count; i++) {
    const char *word = args->table.formats.items[i];
    bool face = !strcmp(word, "delta") || !strcmp(word, "iceberg");
    const char **into = face ? &args->table.faces : &args->format;
    if (*into) return cli_refuse("table create", "--format %s, but it is '%s' already%s", word, *into, face ? "; two formats at once are --faces delta,iceberg" : "");
    *into = word;
  }
  return 0;
}

int cli_table_create(cli_args *args, const char *line) {
  (void)line;
  int rc = take_formats(args);
  if (rc) return rc;
  cli_show show = show_of(args);
  tl_table_options options = {.size = sizeof options, .config_file = args->config};
  tl_table_create_options create = {.size = sizeof create, .faces = args->table.faces, .columns = args->table.columns, .from = args->table.from,
                                    .partition_by = args->table.partition_by, .name = args->table.name, .properties = args->table.properties.items};
  tl_table *table = NULL;
  tl_error err = {0};
  tl_table_info i = {.size = sizeof i};
  tl_status st = tl_table_create(args->words[0], &options, &create, &table, &err);
  if (!st) st = tl_table_describe(table, NULL, NULL, &i, &err);
  if (!st) {
    cli_cell cells[] = {cli_text("uri", i.uri), cli_text("faces", i.faces), cli_text("id", i.id),
                        version_cell(i.version), cli_int("sequence", i.sequence),
                        cli_text("partition_by", i.partition_by[0] ? i.partition_by : NULL), cli_int("rows", i.rows), cli_int("files", i.files),
                        cli_int("bytes", i.bytes)};
    cli_show_record(&show, cells, COUNT(cells));
  }
  tl_table_close(table);
  return st ? cli_fail(st, &err) : 0;
}

/* APP:N in its two parts. */
static int take_txn(cli_args *args, const char *command) {
  cli_table_args *t = &args->table;
  const char *colon = t->txn ? strrchr(t->txn, ':') : NULL;
  bool fits = colon && colon > t->txn && colon[1] && (size_t)(colon - t->txn) < sizeof t->txn_app;
  for (const char *digit = fits ? colon + 1 : ""; fits && *digit; digit++)
    fits = *digit >= '0' && *digit <= '9' && !__builtin_mul_overflow(t->txn_version, INT64_C(10), &t->txn_version) &&
           !__builtin_add_overflow(t->txn_version, (int64_t)(*digit - '0'), &t->txn_version);
  if (t->txn && !fits) return cli_refuse(command, "--txn is APP:N, a name and a number that grows, not '%s'", t->txn);
  if (fits) snprintf(t->txn_app, sizeof t->txn_app, "%.*s", (int)(colon - t->txn), t->txn);
  return 0;
}

static tl_table_write_options rows_of(const cli_args *args) {
  const cli_table_args *t = &args->table;
  return (tl_table_write_options){.size = sizeof(tl_table_write_options), .from = t->from, .keys = t->keys, .where = t->where,
                                  .add_columns = t->add_columns, .widen = t->widen, .order_by = t->order_by,
                                  .txn_app = t->txn ? t->txn_app : NULL, .txn_version = t->txn_version};
}

static tl_status append(tl_table *table, const cli_args *args, tl_table_change *change, tl_error *err) {
  tl_table_write_options rows = rows_of(args);
  return tl_table_append(table, &rows, change, err);
}

static tl_status merge(tl_table *table, const cli_args *args, tl_table_change *change, tl_error *err) {
  tl_table_write_options rows = rows_of(args);
  return tl_table_merge(table, &rows, change, err);
}

static tl_status replace(tl_table *table, const cli_args *args, tl_table_change *change, tl_error *err) {
  tl_table_write_options rows = rows_of(args);
  return tl_table_replace(table, &rows, change, err);
}

static int run_write(cli_args *args, const char *command, change_call call) {
  if (!args->table.from) return cli_refuse(command, "where do the rows come from? --from FILE, or a query in quotes");
  int rc = take_txn(args, command);
  return rc ? rc : run_change(args, call);
}

int cli_table_append(cli_args *args, const char *line) {
  (void)line;
  return run_write(args, "table append", append);
}

int cli_table_merge(cli_args *args, const char *line) {
  (void)line;
  if (!args->table.keys) return cli_refuse("table merge", "which columns tell rows apart? --keys symbol,timestamp");
  return run_write(args, "table merge", merge);
}

int cli_table_replace(cli_args *args, const char *line) {
  (void)line;
  return run_write(args, "table replace", replace);
}

static tl_status delete_rows(tl_table *table, const cli_args *args, tl_table_change *change, tl_error *err) {
  return tl_table_delete(table, args->table.where, change, err);
}

int cli_table_delete(cli_args *args, const char *line) {
  (void)line;
  if (!args->table.where) return cli_refuse("table delete", "which rows? --where \"symbol = 'AAPL'\"; --where true is all of them");
  return run_change(args, delete_rows);
}

static tl_status add_columns(tl_table *table, const cli_args *args, tl_table_change *change, tl_error *err) {
  return tl_table_add_columns(table, args->table.columns, change, err);
}

int cli_table_add_columns(cli_args *args, const char *line) {
  (void)line;
  if (!args->table.columns) return cli_refuse("table add-columns", "which columns? --columns \"vwap DOUBLE, note VARCHAR\"");
  return run_change(args, add_columns);
}

static tl_status set_properties(tl_table *table, const cli_args *args, tl_table_change *change, tl_error *err) {
  return tl_table_set_properties(table, args->table.properties.items, change, err);
}

int cli_table_set_properties(cli_args *args, const char *line) {
  (void)line;
  if (!args->table.properties.count) return cli_refuse("table set-properties", "which property? --property KEY=VALUE, or --property KEY to remove it");
  return run_change(args, set_properties);
}

static tl_status restore(tl_table *table, const cli_args *args, tl_table_change *change, tl_error *err) {
  return tl_table_restore(table, args->table.version, args->table.timestamp, change, err);
}

int cli_table_restore(cli_args *args, const char *line) {
  (void)line;
  if (!args->table.version == !args->table.timestamp) return cli_refuse("table restore", "to what? --version N or --timestamp TIME, one of the two");
  return run_change(args, restore);
}

/* ---- maintenance ---- */

static tl_status optimize(tl_table *table, const cli_args *args, tl_table_change *change, tl_error *err) {
  tl_table_optimize_options options = {.size = sizeof options, .where = args->table.where, .zorder_by = args->table.by, .file_bytes = args->table.file_bytes};
  return tl_table_optimize(table, &options, change, err);
}

int cli_table_optimize(cli_args *args, const char *line) {
  (void)line;
  return run_change(args, optimize);
}

int cli_table_zorder(cli_args *args, const char *line) {
  (void)line;
  if (!args->table.by) return cli_refuse("table zorder", "by which columns? --by symbol,timestamp");
  return run_change(args, optimize);
}

static void show_file(void *to, const char *path, int64_t bytes) {
  cli_cell cells[] = {cli_wide(cli_int("bytes", bytes), 12), cli_text("path", path)};
  cli_show_row(to, cells, COUNT(cells));
}

int cli_table_vacuum(cli_args *args, const char *line) {
  (void)line;
  cli_show show = show_of(args);
  show.list = args->table.dry_run ? "would_delete" : "deleted";
  show.header = "bytes,path";
  int64_t retain_ms = args->table.retain_ns / 1000000; /* 0: the default; what is given and less than 1 ms keeps nothing */
  tl_table_vacuum_options options = {.size = sizeof options, .retain_ms = args->table.retain_ns && !retain_ms ? -1 : retain_ms,
                                     .force = args->table.force, .dry_run = args->table.dry_run, .each = show_file, .user = &show};
  tl_table *table = NULL;
  tl_error err = {0};
  tl_table_vacuumed done = {.size = sizeof done};
  int rc = open_table(args, args->table.dry_run, &table);
  if (rc) return rc;
  tl_status st = tl_table_vacuum(table, &options, &done, &err);
  tl_table_close(table);
  if (st) return cli_fail(st, &err);
  cli_cell cells[] = {cli_int("files", done.files), cli_int("bytes", done.bytes), cli_int("kept", done.kept), cli_bool("dry_run", args->table.dry_run)};
  cli_show_record(&show, cells, COUNT(cells));
  return 0;
}

int cli_table_checkpoint(cli_args *args, const char *line) {
  (void)line;
  cli_show show = show_of(args);
  tl_table *table = NULL;
  tl_error err = {0};
  tl_table_info i = {.size = sizeof i};
  int rc = open_table(args, false, &table);
  if (rc) return rc;
  tl_status st = tl_table_checkpoint(table, &err);
  if (!st) st = tl_table_describe(table, NULL, NULL, &i, &err);
  if (!st) {
    cli_cell cells[] = {version_cell(i.version), cli_int("sequence", i.sequence), cli_int("rows", i.rows), cli_int("files", i.files), cli_int("bytes", i.bytes)};
    cli_show_record(&show, cells, COUNT(cells));
  }
  tl_table_close(table);
  return st ? cli_fail(st, &err) : 0;
}

int cli_table_expire(cli_args *args, const char *line) {
  (void)line;
  cli_show show = show_of(args);
  if (!args->table.older_than_ns) return cli_refuse("table expire", "which versions? --older-than 30d");
  tl_table_expire_options options = {.size = sizeof options, .older_than_ms = args->table.older_than_ns / 1000000, .keep_min = args->table.keep,
                                     .dry_run = args->table.dry_run};
  if (!options.older_than_ms) options.older_than_ms = 1;
  tl_table *table = NULL;
  tl_error err = {0};
  tl_table_expired done = {.size = sizeof done};
  int rc = open_table(args, false, &table);
  if (rc) return rc;
  tl_status st = tl_table_expire(table, &options, &done, &err);
  tl_table_close(table);
  if (st) return cli_fail(st, &err);
  cli_cell cells[] = {cli_int("versions", done.versions), cli_int("files", done.files), cli_int("bytes", done.bytes), cli_bool("dry_run", args->table.dry_run)};
  cli_show_record(&show, cells, COUNT(cells));
  return 0;
}

static void show_problem(void *to, const char *path, const char *problem) {
  cli_cell cells[] = {cli_wide(cli_text("path", path), 60), cli_text("problem", problem)};
  cli_show_row(to, cells, COUNT(cells));
}

int cli_table_verify(cli_args *args, const char *line) {
  (void)line;
  cli_show show = show_of(args);
  show.list = "problems";
  show.header = "path,problem";
  tl_table *table = NULL;
  tl_error err = {0};
  tl_table_verified done = {.size = sizeof done};
  int rc = open_table(args, true, &table);
  if (rc) return rc;
  tl_status st = tl_table_verify(table, show_problem, &show, &done, &err);
  tl_table_close(table);
  if (st) return cli_fail(st, &err);
  cli_cell cells[] = {cli_int("files", done.files), cli_int("rows", done.rows), cli_int("bytes", done.bytes), cli_int("wrong", done.wrong)};
  cli_show_record(&show, cells, COUNT(cells));
  return done.wrong ? CLI_FAILED : CLI_OK;
}
