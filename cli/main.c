/* main.c - the command table of ticklake and its dispatch. Nothing here that a library user could not do. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "sim/sim.h"

static const cli_option *const common[] = {cli_common_options, NULL};
static const cli_option *const importing[] = {cli_source_options, cli_transfer_options, cli_common_options, NULL};
static const cli_option *const updating[] = {cli_update_options, cli_transfer_options, cli_common_options, NULL};
static const cli_option *const adopting[] = {cli_adopt_options, cli_common_options, NULL};
static const cli_option *const checking[] = {cli_doctor_options, cli_common_options, NULL};
static const cli_option *const reading[] = {cli_read_options, cli_output_options, cli_zone_options, cli_common_options, NULL};
static const cli_option *const output[] = {cli_output_options, cli_common_options, NULL};

static const cli_option repair_option[] = {
    {"repair", 0, CLI_FLAG, offsetof(cli_args, repair), NULL, "record what the files hold, remove leftovers"}, {0}};
static const cli_option *const auditing[] = {repair_option, cli_common_options, NULL};

static const cli_option *const creating[] = {cli_table_create_options, cli_common_options, NULL};
static const cli_option *const appending[] = {cli_table_rows_options, cli_table_output_option, cli_common_options, NULL};
static const cli_option *const merging[] = {cli_table_merge_options, cli_table_rows_options, cli_table_output_option, cli_common_options, NULL};
static const cli_option *const replacing[] = {cli_table_replace_options, cli_table_rows_options, cli_table_output_option, cli_common_options, NULL};
static const cli_option *const deleting[] = {cli_table_where_option, cli_table_output_option, cli_common_options, NULL};
static const cli_option *const adding[] = {cli_table_columns_option, cli_table_output_option, cli_common_options, NULL};
static const cli_option *const setting[] = {cli_table_property_option, cli_table_output_option, cli_common_options, NULL};
static const cli_option *const restoring[] = {cli_table_at_options, cli_table_output_option, cli_common_options, NULL};
static const cli_option *const looking_back[] = {cli_table_at_options, cli_table_face_option, cli_table_output_option, cli_common_options, NULL};
static const cli_option *const listing[] = {cli_table_limit_option, cli_table_face_option, cli_table_output_option, cli_common_options, NULL};
static const cli_option *const packing[] = {cli_table_optimize_options, cli_table_output_option, cli_common_options, NULL};
static const cli_option *const clustering[] = {cli_table_zorder_options, cli_table_optimize_options, cli_table_output_option, cli_common_options, NULL};
static const cli_option *const vacuuming[] = {cli_table_vacuum_options, cli_table_output_option, cli_common_options, NULL};
static const cli_option *const expiring[] = {cli_table_expire_options, cli_table_output_option, cli_common_options, NULL};
static const cli_option *const answering[] = {cli_table_output_option, cli_common_options, NULL};

static const char import_details[] =
    "KIND     ticks (trades made into 1s bars) | quotes (one per second) | 1s 1m 5m 15m 30m 1h 1d 1w 1mo |\n"
    "         trades | raw-quotes\n"
    "SYMBOLS  AAPL | AAPL,MSFT | @list.csv (column symbol or ticker, else the first) | @list.txt | index:NAME\n"
    "START END  dates: exchange-local days, END included; instants (RFC 3339): [START, END)\n"
    "exit: 0 all done, 1 the run failed, 2 usage or configuration, 3 some symbols failed (listed)";

static const cli_command commands[] = {
    {"import", "Fetch what the lake does not hold yet, shape it, commit it.", "KIND SYMBOLS START END [options]", importing, 4, 4,
     import_details, "ticklake import 1m AAPL,MSFT 2024-01-02 2024-01-31", cli_import},
    {"plan", "Print the requests an import would make and what they cost; fetch nothing.", "KIND SYMBOLS START END [options]",
     importing, 4, 4, import_details, "ticklake plan 1m index:sp500 2015-01-01 2023-12-31", cli_plan},
    {"update", "Fetch what is missing up to now, with a look-back for late rows.", "[KIND [SYMBOLS]] [options]", updating, 0, 2,
     NULL, "ticklake update 1m", cli_update},
    {"read", "Print rows of the lake.", "KIND SYMBOLS [START END] [options]", reading, 2, 4, NULL,
     "ticklake read 1m AAPL 2024-01-02 2024-01-02 --session regular --format csv", cli_read},
    {"sql", "Run SQL of the embedded DuckDB over the lake's views.", "QUERY [options]", output, 1, 1,
     "Views: equities_1min, quotes_1sec, trades, quotes, ... for what the lake holds. Times are UTC.\n"
     "delta('URI', version => 3) and iceberg('URI', snapshot => ID, or timestamp => '2024-01-31') stand for open tables.",
     "ticklake sql \"select symbol, count(*) from equities_1min group by 1\"", cli_sql},
    {"symbols", "List the symbols the lake has rows of.", "KIND", common, 1, 1, NULL, "ticklake symbols 1m", cli_symbols},
    {"range", "Print the first and the last instant with rows.", "KIND SYMBOL", common, 2, 2, NULL, "ticklake range 1m AAPL",
     cli_range},
    {"coverage", "Show what the lake holds, by symbol and range.", "[KIND [SYMBOLS]]", common, 0, 2,
     "States: present, empty (the vendor answered without rows), partial (too fresh: asked again), failed.",
     "ticklake coverage 1m AAPL --json", cli_coverage},
    {"gaps", "Show session ranges that are missing, partial or failed.", "[KIND [SYMBOLS]]", common, 0, 2, NULL,
     "ticklake gaps 1m", cli_gaps},
    {"audit", "Compare the files with the ledger: rows, checksums, order.", "[KIND [SYMBOLS]] [--repair]", auditing, 0, 2,
     "exit: 0 sound, 1 not", "ticklake audit", cli_audit},
    {"adopt", "Take over a hive or flat Parquet lake made by others, in place.", "PATH [options]", adopting, 1, 1,
     "Reads month=1 or month=01, any file names, foreign column types; leaves no duplicates.", "ticklake adopt /data/old-lake",
     cli_adopt},
    {"index", "Store, load and list index memberships.", "store NAME SYMBOLS | load NAME | list", common, 1, 3, NULL,
     "ticklake index store mine AAPL,MSFT", cli_index},
    {"table", "Create, write, inspect and maintain Delta Lake and Iceberg tables.", "VERB URI [options]", common, 0, 0,
     "URI is a path or s3://bucket/prefix; which format lies there is found out by looking. Every verb says what it changed in\n"
     "rows, files, bytes and version. 'ticklake table VERB --help' says more; 'ticklake sql' reads: \"from delta('URI')\".",
     "ticklake table describe lake/closes", NULL},
    {"table create", "Make an empty table.", "URI --columns COLUMNS [options]", creating, 1, 1,
     "Types are DuckDB's: VARCHAR, BIGINT, DOUBLE, DECIMAL(18,6), BOOLEAN, DATE, TIMESTAMPTZ, DOUBLE[], ...",
     "ticklake table create lake/closes --columns \"symbol VARCHAR, timestamp TIMESTAMPTZ, close DOUBLE\" --partition-by \"month(timestamp)\"",
     cli_table_create},
    {"table append", "Add rows.", "URI --from FILE|QUERY [options]", appending, 1, 1, NULL,
     "ticklake table append lake/closes --from closes.parquet", cli_table_append},
    {"table merge", "Replace rows with equal keys, add the others.", "URI --from FILE|QUERY --keys A,B [options]", merging, 1, 1, NULL,
     "ticklake table merge lake/closes --from \"from 'new.csv' where close > 0\" --keys symbol,timestamp", cli_table_merge},
    {"table replace", "Replace partitions, or what a condition selects, by rows.", "URI --from FILE|QUERY [--where CONDITION] [options]", replacing,
     1, 1, NULL, "ticklake table replace lake/closes --from day.csv --where \"timestamp >= '2024-01-31'\"", cli_table_replace},
    {"table delete", "Delete rows.", "URI --where CONDITION [options]", deleting, 1, 1, NULL,
     "ticklake table delete lake/closes --where \"symbol = 'TEST'\"", cli_table_delete},
    {"table add-columns", "Add columns.", "URI --columns COLUMNS [options]", adding, 1, 1, NULL,
     "ticklake table add-columns lake/closes --columns \"vwap DOUBLE\"", cli_table_add_columns},
    {"table set-properties", "Set or remove properties.", "URI --property KEY=VALUE... [options]", setting, 1, 1, NULL,
     "ticklake table set-properties lake/closes --property ticklake.sort=symbol,timestamp", cli_table_set_properties},
    {"table describe", "Say what a table is: format, version, size, columns, properties.", "URI [--version N | --timestamp TIME] [options]",
     looking_back, 1, 1, NULL, "ticklake table describe s3://bucket/lake/closes --json", cli_table_describe},
    {"table schema", "List the columns.", "URI [--version N | --timestamp TIME] [options]", looking_back, 1, 1, NULL,
     "ticklake table schema lake/closes", cli_table_schema},
    {"table history", "List the versions, newest first.", "URI [--limit N] [options]", listing, 1, 1, NULL,
     "ticklake table history lake/closes --limit 10", cli_table_history},
    {"table restore", "Bring back the rows of a version, as a new one.", "URI --version N | --timestamp TIME [options]", restoring, 1, 1, NULL,
     "ticklake table restore lake/closes --version 3", cli_table_restore},
    {"table optimize", "Pack small files into large ones.", "URI [--where CONDITION] [options]", packing, 1, 1, NULL,
     "ticklake table optimize lake/closes --file-size 256M", cli_table_optimize},
    {"table zorder", "Cluster rows by several columns, so that readers skip files.", "URI --by A,B [--where CONDITION] [options]", clustering, 1, 1,
     NULL, "ticklake table zorder lake/closes --by symbol,timestamp", cli_table_zorder},
    {"table vacuum", "Delete files no version that can be reached needs.", "URI [--retain TIME] [--dry-run] [options]", vacuuming, 1, 1,
     "A file of a write in progress is protected by its age only: less than 168h needs --force.",
     "ticklake table vacuum lake/closes --dry-run", cli_table_vacuum},
    {"table checkpoint", "Write what makes the table open quickly.", "URI [options]", answering, 1, 1, NULL, "ticklake table checkpoint lake/closes",
     cli_table_checkpoint},
    {"table expire", "Forget old versions.", "URI --older-than TIME [--keep N] [options]", expiring, 1, 1,
     "Time travel to them ends; the next vacuum may delete what only they needed.", "ticklake table expire lake/closes --older-than 30d",
     cli_table_expire},
    {"table verify", "Read every file and compare it with the log.", "URI [options]", answering, 1, 1, "exit: 0 sound, 1 not",
     "ticklake table verify lake/closes", cli_table_verify},
    {"simulate", "Serve the vendor simulator on loopback, for trying and testing without a key.",
     "[--port N] [--seed N] [--faults FILE] [--rate N/min] ...", NULL, 0, 0, "'ticklake simulate --help' lists its own options.",
     "ticklake simulate --port 8787", NULL},
    {"doctor", "Check settings, keys, endpoint, lake, disk and time zone data.", "[options]", checking, 0, 0, NULL,
     "ticklake doctor", cli_doctor},
    {"version", "Print the version.", "", common, 0, 0, NULL, NULL, cli_version},
    {"data import-api", "Import into flat monthly files under data/parquet, as the tick and quote importers do.",
     "KIND SYMBOL START END [options]", importing, 4, 4,
     "The same as: import --layout flat --lake data/parquet --log-file data/logs/app.log (unless told otherwise).",
     "ticklake data import-api quotes AAPL 2024-11-01 2024-11-30", cli_data_import},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

/* "table append" belongs to "table". */
static bool belongs_to(const cli_command *command, const cli_command *group) {
  size_t len = strlen(group->name);
  return !strncmp(command->name, group->name, len) && command->name[len] == ' ';
}

static bool is_group(const cli_command *command) {
  for (int i = 0; i < COMMAND_COUNT; i++)
    if (belongs_to(&commands[i], command)) return true;
  return false;
}

static bool in_group(const cli_command *command) {
  for (int i = 0; i < COMMAND_COUNT; i++)
    if (belongs_to(command, &commands[i])) return true;
  return false;
}

static void print_overview(FILE *to) {
  fprintf(to, "usage: ticklake COMMAND [arguments] [options]\n\n");
  for (int i = 0; i < COMMAND_COUNT; i++)
    if (!in_group(&commands[i])) fprintf(to, "  %-16s %s\n", commands[i].name, commands[i].summary);
  fprintf(to, "\n'ticklake COMMAND --help' says more. Without a key: run 'ticklake simulate' and give its address as --endpoint.\n");
}

static void print_help(const cli_command *command) {
  if (is_group(command)) {
    printf("usage: ticklake %s %s\n%s\n\n", command->name, command->usage, command->summary);
    for (int i = 0; i < COMMAND_COUNT; i++)
      if (belongs_to(&commands[i], command)) printf("  %-22s %s\n", commands[i].name, commands[i].summary);
    printf("\n%s\n\nexample: %s\n", command->details, command->example);
  } else {
    cli_print_help(command);
  }
}

static bool matches(const cli_command *command, int argc, char **argv) {
  const char *space = strchr(command->name, ' ');
  size_t first = space ? (size_t)(space - command->name) : strlen(command->name);
  if (strlen(argv[1]) != first || strncmp(argv[1], command->name, first) != 0) return false;
  return !space || (argc > 2 && !strcmp(argv[2], space + 1));
}

/* The command of two words where there is one, else that of one. */
static const cli_command *find_command(int argc, char **argv, int *used) {
  const cli_command *found = NULL;
  for (int i = 0; i < COMMAND_COUNT; i++)
    if (matches(&commands[i], argc, argv) && (!found || strchr(commands[i].name, ' '))) found = &commands[i];
  *used = found && strchr(found->name, ' ') ? 3 : 2;
  return found;
}

static int unknown_command(int argc, char **argv) {
  const char *names[COMMAND_COUNT];
  if (!strcmp(argv[1], "data")) /* the one command of two words without others beside it */
    return cli_refuse("", "unknown command 'data%s%s'; did you mean 'data import-api'?", argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
  for (int i = 0; i < COMMAND_COUNT; i++) names[i] = commands[i].name;
  const char *near = tl_nearest_word(argv[1], names, COMMAND_COUNT);
  if (near) return cli_refuse("", "unknown command '%s'; did you mean '%s'?", argv[1], near);
  return cli_refuse("", "unknown command '%s'", argv[1]);
}

/* "table" with no verb, or with none that there is. */
static int run_group(const cli_command *group, int argc, char **argv) {
  const char *verbs[COMMAND_COUNT];
  size_t count = 0;
  for (int i = 0; i < COMMAND_COUNT; i++)
    if (belongs_to(&commands[i], group)) verbs[count++] = strchr(commands[i].name, ' ') + 1;
  for (int i = 2; i < argc; i++) {
    if (strcmp(argv[i], "--help") != 0 && strcmp(argv[i], "-h") != 0) continue;
    print_help(group);
    return cli_finish_stdout(0);
  }
  if (argc < 3 || argv[2][0] == '-') return cli_refuse(group->name, "a verb is missing; 'ticklake %s --help' lists them", group->name);
  const char *near = tl_nearest_word(argv[2], verbs, count);
  if (near) return cli_refuse(group->name, "unknown verb '%s'; did you mean '%s'?", argv[2], near);
  return cli_refuse(group->name, "unknown verb '%s'; 'ticklake %s --help' lists them", argv[2], group->name);
}

/* The command as typed, for "run this again"; words the shell would not take as they are stand in quotes. It is as
 * long as it is: only a line beyond what any list of symbols needs ends in "...". */
static const char *join_line(int argc, char **argv) {
  static char line[256 * 1024];
  const size_t room = sizeof line - 8;
  size_t used = (size_t)snprintf(line, room, "ticklake");
  for (int i = 1; i < argc && used < room; i++) {
    bool quote = !argv[i][0] || strpbrk(argv[i], " \t\r\n\"'$&;|<>()*?\\`!#~[]{}") != NULL;
    line[used++] = ' ';
    if (quote) line[used++] = '\'';
    for (const char *c = argv[i]; *c && used < room; c++) {
      if (*c == '\'') used += (size_t)snprintf(line + used, 4, "'\\'");
      line[used++] = *c;
    }
    if (quote) line[used++] = '\'';
  }
  if (used >= room) used = room - 4 + (size_t)snprintf(line + room - 4, 4, "...");
  line[used] = 0;
  return line;
}

static int configure_log(const cli_args *args) {
  tl_error err;
  bool terminal = isatty(STDERR_FILENO) == 1;
  tl_log_options log = {.size = sizeof log, .file = args->log_file};
  log.stderr_level = args->quiet ? "error" : args->log_level ? args->log_level : terminal ? "warn" : "info";
  log.file_level = args->log_level;
  tl_status st = tl_log_configure(&log, &err);
  return st ? cli_fail(st, &err) : 0;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN); /* a reader that went away is an error of write, not our end */
  if (argc < 2) {
    print_overview(stderr);
    return CLI_USAGE;
  }
  if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
    int used = 0;
    const cli_command *asked = argc > 2 ? find_command(argc - 1, argv + 1, &used) : NULL;
    if (asked) print_help(asked);
    else print_overview(stdout);
    return cli_finish_stdout(0);
  }
  static char version[] = "version";
  if (!strcmp(argv[1], "--version")) argv[1] = version;
  if (!strcmp(argv[1], "simulate")) return sim_main(argc - 1, argv + 1);
  if (!strcmp(argv[1], "__man")) {
    cli_print_man(commands, COMMAND_COUNT);
    return cli_finish_stdout(0);
  }
  if (!strcmp(argv[1], "__completion") && argc == 3) {
    cli_print_completion(argv[2], commands, COMMAND_COUNT);
    return cli_finish_stdout(0);
  }
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
    if (!strcmp(argv[i], "--json")) cli_json_failures(true);
  int used = 0;
  const cli_command *command = find_command(argc, argv, &used);
  if (!command) return unknown_command(argc, argv);
  if (is_group(command)) return run_group(command, argc, argv);
  cli_args args = {.import = tl_import_options_default(), .read = {.size = sizeof args.read}};
  int rc = cli_parse(command, argc - used, argv + used, &args);
  if (rc) return rc;
  if (args.help) {
    cli_print_help(command);
    return cli_finish_stdout(0);
  }
  const char *line = join_line(argc, argv);
  if (command->run == cli_data_import && !args.log_file) args.log_file = "data/logs/app.log";
  rc = configure_log(&args);
  return rc ? rc : cli_finish_stdout(command->run(&args, line));
}
