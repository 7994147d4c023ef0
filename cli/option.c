/* option.c - the option tables and everything that reads them. */
#include "command.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(cli_args, member)

const cli_option cli_common_options[] = {
    {"lake", 0, CLI_TEXT, AT(lake), "URI", "a folder or s3://bucket/prefix (default: TICKLAKE_LAKE, local_storage_dir, ./lake)"},
    {"config", 0, CLI_TEXT, AT(config), "FILE", "settings file (default: settings.ini, config/config.ini, user's folder)"},
    {"log-file", 0, CLI_TEXT, AT(log_file), "FILE", "append log lines to FILE"},
    {"log-level", 0, CLI_WORD, AT(log_level), "error|warn|info|debug|trace", "what to log (default: info; warn on a terminal)"},
    {"json", 0, CLI_FLAG, AT(json), NULL, "end stdout with one JSON document"},
    {"quiet", 'q', CLI_FLAG, AT(quiet), NULL, "no progress, no log lines but errors"},
    {"help", 'h', CLI_FLAG, AT(help), NULL, "this text"},
    {0}};

/* Options of several commands. */
#define ENDPOINT {"endpoint", 0, CLI_TEXT, AT(import.endpoint), "URL", "scheme://host[:port] to ask instead of the vendor's own"}
#define PROVIDER {"provider", 0, CLI_TEXT, AT(import.provider), "NAME", "alpaca (default)"}
#define FEED {"feed", 0, CLI_TEXT, AT(import.feed), "FEED", "sip (default), iex, otc, boats, delayed_sip"}
#define ADJUSTMENT {"adjustment", 0, CLI_TEXT, AT(import.adjustment), "KIND", "raw (default), split, dividend, spin-off, all"}
#define CONDITIONS {"conditions", 0, CLI_WORD, AT(import.conditions), "sip|all", "trades that make bars: the tape's rules (default), or all"}
#define RATE {"rate", 0, CLI_TEXT, AT(import.rate), "N[/min]", "at most N requests in any 60 s, over all processes of the key"}
#define ALLOW_HTTP {"allow-http", 0, CLI_FLAG, AT(import.allow_http), NULL, "plain http to hosts other than loopback"}

const cli_option cli_source_options[] = {
    PROVIDER,
    {"layout", 0, CLI_WORD, AT(import.layout), "hive|flat|delta|iceberg", "of a new lake (default hive)"},
    {"faces", 0, CLI_WORD, AT(import.faces), "delta|iceberg|delta,iceberg", "logs of a new lake's tables: one write, readable as both"},
    FEED,
    ADJUSTMENT,
    {"asof", 0, CLI_TEXT, AT(import.asof), "DATE|-", "whose names the symbols are; - stitches no renames"},
    {"currency", 0, CLI_TEXT, AT(import.currency), "CODE", "ISO 4217; default: the vendor's (USD)"},
    {"bar", 0, CLI_TEXT, AT(import.bar), "SIZE", "kind ticks: size of the bars (default 1s)"},
    CONDITIONS,
    {0}};

const cli_option cli_transfer_options[] = {
    ENDPOINT,
    {"threads", 0, CLI_COUNT, AT(import.threads), "N", "transfers in flight (default: api_threads, else 8)"},
    RATE,
    {"retries", 0, CLI_NUMBER, AT(import.retries), "N", "of one request (default 3); a 429 never counts"},
    {"page-limit", 0, CLI_COUNT, AT(import.page_limit), "N", "rows a page (default 10000)"},
    {"pages-per-unit", 0, CLI_COUNT, AT(import.pages_per_unit), "N", "pages a request chain is planned for (default 5)"},
    {"partitioning", 0, CLI_WORD, AT(import.partitioning), "calendar|plain", "plan with the calendar (default) or by the formula alone"},
    {"connect-timeout", 0, CLI_DURATION_MS, AT(import.connect_timeout_ms), "TIME", "e.g. 10s (default), 500ms"},
    {"read-timeout", 0, CLI_DURATION_MS, AT(import.read_timeout_ms), "TIME", "without a byte (default 30s)"},
    {"max-memory", 0, CLI_SIZE, AT(import.memory_max_bytes), "SIZE", "e.g. 256M (default 512M)"},
    {"on-error", 0, CLI_WORD, AT(import.on_error), "quarantine|skip|fail", "rows that break their contract (default quarantine)"},
    {"refresh", 0, CLI_FLAG, AT(import.refresh), NULL, "ask again for what is covered"},
    ALLOW_HTTP,
    {0}};

const cli_option cli_update_options[] = {
    {"look-back", 0, CLI_DURATION_NS, AT(import.look_back_ns), "TIME", "ask again for this long before now (default: 2 sessions)"},
    {0}};
const cli_option cli_adopt_options[] = {PROVIDER, FEED, ADJUSTMENT, CONDITIONS, {0}}; /* what it records as the source */
const cli_option cli_doctor_options[] = {PROVIDER, FEED, ENDPOINT, RATE, ALLOW_HTTP, {0}};

const cli_option cli_read_options[] = {
    {"session", 0, CLI_WORD, AT(read.session), "regular|extended|all", "rows of which part of the day (default all)"},
    {"columns", 0, CLI_TEXT, AT(read.columns), "A,B,...", "only these columns"},
    {"limit", 0, CLI_SIZE, AT(read.limit), "N", "at most N rows"},
    {0}};

const cli_option cli_output_options[] = {
    {"format", 0, CLI_WORD, AT(format), "table|csv|jsonl|json|parquet|arrow", "of the output (default table)"},
    {"output", 'o', CLI_TEXT, AT(output), "FILE", "write FILE, whole or not at all"},
    {0}};

const cli_option cli_zone_options[] = {
    {"tz", 0, CLI_TEXT, AT(tz), "ZONE", "show times in this zone (default America/New_York); parquet and arrow are UTC"},
    {0}};

/* ---- table VERB URI ---- */

#define WHERE(help) {"where", 0, CLI_TEXT, AT(table.where), "CONDITION", help}
#define COLUMNS(help) {"columns", 0, CLI_TEXT, AT(table.columns), "\"NAME TYPE, ...\"", help}
#define FILE_SIZE {"file-size", 0, CLI_SIZE, AT(table.file_bytes), "SIZE", "aimed size of a data file (default 128M)"}
#define MEMORY {"max-memory", 0, CLI_SIZE, AT(table.memory_max_bytes), "SIZE", "default a quarter of the machine, 1G at least; more spills"}
#define DRY_RUN(help) {"dry-run", 0, CLI_FLAG, AT(table.dry_run), NULL, help}

const cli_option cli_table_rows_options[] = {
    {"from", 0, CLI_TEXT, AT(table.from), "FILE|QUERY", "a Parquet, CSV or JSON file (.gz too, a glob, s3://...), or a query in quotes"},
    {"add-columns", 0, CLI_FLAG, AT(table.add_columns), NULL, "columns the table lacks are added to it"},
    {"widen", 0, CLI_FLAG, AT(table.widen), NULL, "columns that have to widen (INTEGER to BIGINT) are rewritten"},
    {"txn", 0, CLI_TEXT, AT(table.txn), "APP:N", "commit once, however often it is tried"},
    {"order-by", 0, CLI_TEXT, AT(table.order_by), "A,B,...", "of the rows in their files (default: property ticklake.sort, else as they come)"},
    FILE_SIZE,
    MEMORY,
    {0}};
const cli_option cli_table_merge_options[] = {
    {"keys", 0, CLI_TEXT, AT(table.keys), "A,B,...", "columns whose equal values make two rows one"}, {0}};
const cli_option cli_table_replace_options[] = {WHERE("what the rows stand for (default: the partitions they touch)"), {0}};
const cli_option cli_table_where_option[] = {WHERE("SQL: the rows that go"), MEMORY, {0}};
const cli_option cli_table_columns_option[] = {COLUMNS("of the new columns; rows that are there get NULL"), {0}};
const cli_option cli_table_create_options[] = {
    COLUMNS("e.g. \"symbol VARCHAR NOT NULL, timestamp TIMESTAMPTZ\""),
    {"from", 0, CLI_TEXT, AT(table.from), "FILE|QUERY", "take the columns of this, no rows"},
    {"format", 0, CLI_LIST, AT(table.formats), "delta|iceberg|table|csv|json", "of the table (default delta); of the output"},
    {"faces", 0, CLI_WORD, AT(table.faces), "delta|iceberg|delta,iceberg", "the same files under one or both logs"},
    {"partition-by", 0, CLI_TEXT, AT(table.partition_by), "A,month(B),...", "columns, or year month day bucket(N,A) of one"},
    {"property", 0, CLI_LIST, AT(table.properties), "KEY=VALUE", "may be given several times"},
    {"name", 0, CLI_TEXT, AT(table.name), "NAME", "of the table, in its log"},
    {0}};
const cli_option cli_table_property_option[] = {
    {"property", 0, CLI_LIST, AT(table.properties), "KEY=VALUE", "KEY alone removes it; may be given several times"}, {0}};
const cli_option cli_table_at_options[] = {
    {"version", 0, CLI_TEXT, AT(table.version), "N", "as history shows it (Iceberg: the snapshot)"},
    {"timestamp", 0, CLI_TEXT, AT(table.timestamp), "TIME", "the newest version at or before it; without a zone UTC"},
    {0}};
const cli_option cli_table_face_option[] = {
    {"face", 0, CLI_WORD, AT(table.face), "delta|iceberg", "of a table with two: that one's versions (default: Delta's)"}, {0}};
const cli_option cli_table_limit_option[] = {{"limit", 0, CLI_SIZE, AT(table.limit), "N", "the newest N versions"}, {0}};
const cli_option cli_table_optimize_options[] = {WHERE("only these partitions"), FILE_SIZE, MEMORY, {0}};
const cli_option cli_table_zorder_options[] = {
    {"by", 0, CLI_TEXT, AT(table.by), "A,B,...", "columns that readers filter by"}, {0}};
const cli_option cli_table_vacuum_options[] = {
    {"retain", 0, CLI_DURATION_NS, AT(table.retain_ns), "TIME", "files younger than this stay (default 168h)"},
    {"force", 0, CLI_FLAG, AT(table.force), NULL, "retain less than 168h: nobody else reads or writes the table now"},
    DRY_RUN("list what would be deleted"),
    {0}};
const cli_option cli_table_expire_options[] = {
    {"older-than", 0, CLI_DURATION_NS, AT(table.older_than_ns), "TIME", "versions older than this are forgotten, e.g. 30d"},
    {"keep", 0, CLI_COUNT, AT(table.keep), "N", "the newest that stay whatever their age (default 1)"},
    DRY_RUN("count what would be forgotten"),
    {0}};
const cli_option cli_table_output_option[] = {{"format", 0, CLI_WORD, AT(format), "table|csv|json", "of the output (default table)"}, {0}};

typedef bool (*option_visitor)(const cli_option *option, void *user);

static const cli_option *each_option(const cli_command *command, option_visitor stop_at, void *user) {
  for (const cli_option *const *group = command->groups; group && *group; group++)
    for (const cli_option *option = *group; option->name; option++)
      if (stop_at(option, user)) return option;
  return NULL;
}

static bool has_name(const cli_option *option, void *name) { return !strcmp(option->name, name); }
static bool has_letter(const cli_option *option, void *letter) { return option->letter == *(char *)letter; }

typedef struct name_list {
  const char *names[64];
  size_t count;
} name_list;

static bool collect(const cli_option *option, void *user) {
  name_list *list = user;
  if (list->count < sizeof list->names / sizeof *list->names) list->names[list->count++] = option->name;
  return false;
}

static int unknown_option(const cli_command *command, const char *typed) {
  name_list list = {0};
  each_option(command, collect, &list);
  const char *near = tl_nearest_word(typed, list.names, list.count);
  if (near) return cli_refuse(command->name, "unknown option '--%s'; did you mean '--%s'?", typed, near);
  return cli_refuse(command->name, "unknown option '--%s'; 'ticklake %s --help' lists them", typed, command->name);
}

static bool parse_scaled(const char *text, const char *const *suffixes, const int64_t *factors, int64_t *out) {
  if (*text < '0' || *text > '9') return false;
  errno = 0;
  char *rest = NULL;
  long long number = strtoll(text, &rest, 10);
  if (errno) return false;
  for (size_t i = 0; suffixes[i]; i++)
    if (!strcmp(rest, suffixes[i])) return !__builtin_mul_overflow((int64_t)number, factors[i], out);
  return false;
}

static bool parse_size(const char *text, int64_t *out) {
  static const char *const suffixes[] = {"", "k", "K", "KiB", "M", "MB", "MiB", "G", "GB", "GiB", NULL};
  static const int64_t factors[] = {1, 1 << 10, 1 << 10, 1 << 10, 1 << 20, 1 << 20, 1 << 20, 1 << 30, 1 << 30, 1 << 30};
  return parse_scaled(text, suffixes, factors, out);
}

static bool parse_duration_ns(const char *text, int64_t *out) {
  static const char *const suffixes[] = {"", "s", "ms", "m", "min", "h", "d", NULL};
  static const int64_t s = 1000000000;
  static const int64_t factors[] = {s, s, s / 1000, 60 * s, 60 * s, 3600 * s, 86400 * s};
  return parse_scaled(text, suffixes, factors, out);
}

static bool one_of(const char *words, const char *text) {
  size_t len = strlen(text);
  if (!len || strchr(text, '|')) return false;
  for (const char *at = words; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
    if (!strncmp(at, text, len) && (at[len] == '|' || !at[len])) return true;
  return false;
}

static bool add_to(cli_list *list, const char *allowed, const char *text) {
  if (list->count + 1 == sizeof list->items / sizeof *list->items || (strchr(allowed, '|') && !one_of(allowed, text))) return false;
  list->items[list->count++] = text;
  return true;
}

static bool store(const cli_option *option, const char *text, cli_args *args) {
  void *target = (char *)args + option->offset;
  int64_t number = 0;
  switch (option->type) {
    case CLI_FLAG: *(bool *)target = true; return true;
    case CLI_WORD:
      if (!one_of(option->value, text)) return false;
      *(const char **)target = text;
      return true;
    case CLI_TEXT: *(const char **)target = text; return true;
    case CLI_LIST: return add_to(target, option->value, text);
    case CLI_NUMBER:
    case CLI_COUNT:
      if (!parse_size(text, &number) || number > INT32_MAX || (!number && option->type == CLI_COUNT)) return false;
      *(int32_t *)target = (int32_t)number;
      return true;
    case CLI_SIZE: return parse_size(text, target) && *(int64_t *)target > 0;
    case CLI_DURATION_NS:
      if (!parse_duration_ns(text, &number)) return false;
      *(int64_t *)target = number ? number : 1; /* as good as none */
      return true;
    case CLI_DURATION_MS:
      if (!parse_duration_ns(text, &number) || number < 1000000 || number / 1000000 > INT32_MAX) return false;
      *(int32_t *)target = (int32_t)(number / 1000000);
      return true;
  }
  return false;
}

static int take_option(const cli_command *command, char **argv, int argc, int *i, cli_args *args) {
  const char *typed = argv[*i];
  char name[64];
  const char *value = NULL;
  const cli_option *option = NULL;
  if (typed[1] != '-') {
    option = typed[2] ? NULL : each_option(command, has_letter, (void *)(argv[*i] + 1));
    snprintf(name, sizeof name, "%s", typed + 1);
  } else {
    value = strchr(typed, '=');
    size_t len = value ? (size_t)(value - typed - 2) : strlen(typed + 2);
    snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), typed + 2);
    if (value) value++;
    option = each_option(command, has_name, name);
  }
  if (!option) return unknown_option(command, name);
  if (option->type == CLI_FLAG && value) return cli_refuse(command->name, "option '--%s' takes no value", option->name);
  if (option->type != CLI_FLAG && !value) {
    if (*i + 1 >= argc) return cli_refuse(command->name, "option '--%s' needs a value: %s", option->name, option->value);
    value = argv[++*i];
  }
  if (store(option, value, args)) return 0;
  return cli_refuse(command->name, "'%s' does not fit option '--%s': %s", value, option->name, option->value);
}

int cli_parse(const cli_command *command, int argc, char **argv, cli_args *args) {
  bool only_words = false;
  for (int i = 0; i < argc; i++) {
    if (!only_words && !strcmp(argv[i], "--")) {
      only_words = true;
    } else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
      int rc = take_option(command, argv, argc, &i, args);
      if (rc) return rc;
    } else if (args->word_count == command->words_max) {
      return cli_refuse(command->name, "unexpected argument '%s'\nusage: ticklake %s %s", argv[i], command->name, command->usage);
    } else {
      args->words[args->word_count++] = argv[i];
    }
  }
  if (args->help || args->word_count >= command->words_min) return 0;
  return cli_refuse(command->name, "an argument is missing\nusage: ticklake %s %s", command->name, command->usage);
}

static bool print_option(const cli_option *option, void *user) {
  (void)user;
  char left[96];
  char letter[8] = "    ";
  if (option->letter) snprintf(letter, sizeof letter, "-%c, ", option->letter);
  snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name, option->value ? "=" : "", option->value ? option->value : "");
  if (strlen(left) > 30) printf("  %s\n  %-30s %s\n", left, "", option->help);
  else printf("  %-30s %s\n", left, option->help);
  return false;
}

void cli_print_help(const cli_command *command) {
  printf("usage: ticklake %s %s\n%s\n", command->name, command->usage, command->summary);
  if (command->details) printf("\n%s\n", command->details);
  if (command->groups) printf("\noptions:\n");
  each_option(command, print_option, NULL);
  if (command->example) printf("\nexample: %s\n", command->example);
}

static int first_word(const cli_command *command) { return (int)strcspn(command->name, " "); }
static const char *second_word(const cli_command *command) { return command->name[first_word(command)] ? command->name + first_word(command) + 1 : NULL; }

/* The first of the commands that begin with this word? */
static bool begins_group(const cli_command *commands, size_t i) {
  for (size_t before = 0; before < i; before++)
    if (first_word(&commands[before]) == first_word(&commands[i]) && !strncmp(commands[before].name, commands[i].name, (size_t)first_word(&commands[i])))
      return false;
  return true;
}

/* The second words after the first word of commands[i], each after a blank; false when there are none. */
static bool print_verbs(const cli_command *commands, size_t count, size_t i, const char *before) {
  bool any = false;
  for (size_t other = 0; other < count; other++) {
    if (!second_word(&commands[other]) || first_word(&commands[other]) != first_word(&commands[i]) ||
        strncmp(commands[other].name, commands[i].name, (size_t)first_word(&commands[i])) != 0)
      continue;
    printf("%s%s", any ? " " : before, second_word(&commands[other]));
    any = true;
  }
  return any;
}

static bool print_bash_word(const cli_option *option, void *user) {
  (void)user;
  printf(" --%s", option->name);
  return false;
}

static void print_bash(const cli_command *commands, size_t count) {
  printf("# bash completion for ticklake, made from its option tables\n_ticklake() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} verbs=\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    COMPREPLY=($(compgen -W '");
  for (size_t i = 0; i < count; i++)
    if (begins_group(commands, i)) printf("%s%.*s", i ? " " : "", first_word(&commands[i]), commands[i].name);
  printf("' -- \"$cur\"))\n    return\n  fi\n  case $verb in\n");
  for (size_t i = 0; i < count; i++) {
    char before[64];
    snprintf(before, sizeof before, "    %.*s) verbs='", first_word(&commands[i]), commands[i].name);
    if (begins_group(commands, i) && print_verbs(commands, count, i, before)) printf("' ;;\n");
  }
  printf("  esac\n  if [ \"$verbs\" ]; then\n    if [ \"$COMP_CWORD\" -eq 2 ]; then\n      COMPREPLY=($(compgen -W \"$verbs\" -- \"$cur\"))\n"
         "      return\n    fi\n    verb=\"$verb ${COMP_WORDS[2]}\"\n  fi\n  case $verb in\n");
  for (size_t i = 0; i < count; i++) {
    printf("    '%s') COMPREPLY=($(compgen -f -W '", commands[i].name);
    each_option(&commands[i], print_bash_word, NULL);
    printf("' -- \"$cur\")) ;;\n");
  }
  printf("  esac\n}\ncomplete -F _ticklake ticklake\n");
}

static void print_quoted(const char *text, const char *bad) { /* leaves out what the shell's quoting would trip on */
  for (; *text; text++)
    if (!strchr(bad, *text)) putchar(*text);
}

static bool print_zsh_word(const cli_option *option, void *user) {
  (void)user;
  printf("        '--%s%s[", option->name, option->type == CLI_FLAG ? "" : "=");
  print_quoted(option->help, "'[]:");
  printf("]%s'\n", option->type == CLI_FLAG ? "" : ":value:_files");
  return false;
}

static void print_zsh(const cli_command *commands, size_t count) {
  printf("#compdef ticklake\n# made from ticklake's option tables\n_ticklake() {\n  local -a verbs options\n  local verb=$words[2]\n  verbs=(\n");
  for (size_t i = 0; i < count; i++) {
    if (!begins_group(commands, i)) continue;
    printf("    '%.*s:", first_word(&commands[i]), commands[i].name);
    print_quoted(commands[i].summary, "':");
    printf("'\n");
  }
  printf("  )\n  if (( CURRENT == 2 )); then _describe verb verbs; return; fi\n  case $verb in\n");
  for (size_t i = 0; i < count; i++) {
    char before[64];
    snprintf(before, sizeof before, "    %.*s)\n      verbs=(", first_word(&commands[i]), commands[i].name);
    if (begins_group(commands, i) && print_verbs(commands, count, i, before))
      printf(")\n      if (( CURRENT == 3 )); then _describe verb verbs; return; fi\n      verb=\"$verb $words[3]\" ;;\n");
  }
  printf("  esac\n  case $verb in\n");
  for (size_t i = 0; i < count; i++) {
    printf("    '%s')\n      options=(\n", commands[i].name);
    each_option(&commands[i], print_zsh_word, NULL);
    printf("      )\n      _arguments $options '*:argument:_files' ;;\n");
  }
  printf("  esac\n}\n_ticklake \"$@\"\n");
}

static bool print_fish_word(const cli_option *option, void *user) {
  printf("complete -c ticklake -n '%s' -l %s%s -d '", (const char *)user, option->name, option->type == CLI_FLAG ? "" : " -r");
  print_quoted(option->help, "'");
  printf("'\n");
  return false;
}

static void print_fish(const cli_command *commands, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const cli_command *c = &commands[i];
    char condition[160];
    if (begins_group(commands, i)) {
      printf("complete -c ticklake -n __fish_use_subcommand -a %.*s -d '", first_word(c), c->name);
      print_quoted(c->summary, "'");
      printf("'\n");
    }
    if (second_word(c)) {
      printf("complete -c ticklake -n '__fish_seen_subcommand_from %.*s' -a %s -d '", first_word(c), c->name, second_word(c));
      print_quoted(c->summary, "'");
      printf("'\n");
    }
    snprintf(condition, sizeof condition, "__fish_seen_subcommand_from %.*s%s%s", first_word(c), c->name,
             second_word(c) ? "; and __fish_seen_subcommand_from " : "", second_word(c) ? second_word(c) : "");
    each_option(c, print_fish_word, condition);
  }
}

void cli_print_completion(const char *shell, const cli_command *commands, size_t count) {
  if (!strcmp(shell, "bash")) print_bash(commands, count);
  if (!strcmp(shell, "zsh")) print_zsh(commands, count);
  if (!strcmp(shell, "fish")) print_fish(commands, count);
}

static void print_roff(const char *text) { /* a leading dot or quote is a request; dashes are minus signs */
  bool line_start = true;
  for (; *text; text++) {
    if (line_start && (*text == '.' || *text == '\'')) printf("\\&");
    if (*text == '-') printf("\\-");
    else if (*text == '\\') printf("\\e");
    else putchar(*text);
    line_start = *text == '\n';
  }
}

static bool print_man_option(const cli_option *option, void *user) {
  (void)user;
  printf(".TP\n.B ");
  if (option->letter) printf("\\-%c, ", option->letter);
  printf("\\-\\-");
  print_roff(option->name);
  if (option->value) {
    printf("=");
    print_roff(option->value);
  }
  printf("\n");
  print_roff(option->help);
  printf("\n");
  return false;
}

void cli_print_man(const cli_command *commands, size_t count) {
  printf(".TH TICKLAKE 1 \"\" \"ticklake %s\" \"User Commands\"\n.SH NAME\nticklake \\- a market\\-data lake engine\n"
         ".SH SYNOPSIS\n.B ticklake\n.I command\n[arguments] [options]\n.SH DESCRIPTION\n"
         "Pulls historical market data from vendor APIs into lakes of Parquet files and of Delta Lake and Iceberg tables: planned, "
         "resumable, proven complete.\n"
         ".SH COMMANDS\n", tl_version());
  for (size_t i = 0; i < count; i++) {
    printf(".SS \"ticklake ");
    print_roff(commands[i].name);
    printf(" ");
    print_roff(commands[i].usage);
    printf("\"\n");
    print_roff(commands[i].summary);
    printf("\n");
    if (commands[i].details) {
      printf(".PP\n.nf\n");
      print_roff(commands[i].details);
      printf("\n.fi\n");
    }
    each_option(&commands[i], print_man_option, NULL);
    if (commands[i].example) {
      printf(".PP\nExample:\n.B ");
      print_roff(commands[i].example);
      printf("\n");
    }
  }
  printf(".SH EXIT STATUS\n0 all done, 1 the run failed, 2 usage or configuration, 3 some symbols failed, "
         "130 and 143 stopped by a signal after committing what was whole. audit and table verify: 0 sound, 1 not.\n"
         ".SH ENVIRONMENT\nTICKLAKE_LAKE, TICKLAKE_ALPACA_ENDPOINT, APCA_API_KEY_ID, APCA_API_SECRET_KEY, TICKLAKE_OS, "
         "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL, AWS_PROFILE\n"
         ".SH FILES\nsettings.ini, config/config.ini: settings; LAKE/_ticklake/: the ledger; LAKE/rejects/: rows that broke "
         "their contract\n");
}
