/* option.h - one table of options per command: parser, help, completion and man page all read it.
 * Options may stand anywhere among the arguments; `--name value`, `--name=value`, `--` ends them. An unknown option or a
 * value that does not fit is exit 2 with the nearest real option named. */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H
#include <stdbool.h>
#include <stddef.h>

#include "ticklake/ticklake.h"

typedef struct cli_list { /* an option given several times; ended by NULL */
  const char *items[33];
  int count;
} cli_list;

typedef struct cli_table_args {
  const char *columns, *from, *faces, *partition_by, *name, *keys, *where, *by, *order_by, *version, *timestamp, *face, *txn;
  char txn_app[512]; /* of --txn APP:N */
  int64_t txn_version, file_bytes, memory_max_bytes, retain_ns, older_than_ns, limit;
  int32_t keep;
  cli_list properties, formats;
  bool add_columns, widen, dry_run, force;
} cli_table_args;

typedef struct cli_args { /* everything any command can be told */
  const char *lake, *config, *log_file, *log_level;
  bool json, quiet, help;
  tl_import_options import;
  tl_read_options read;
  cli_table_args table;
  const char *format, *output, *tz;
  bool repair;
  const char *words[8]; /* positional arguments */
  int word_count;
} cli_args;

typedef enum cli_type { /* CLI_NUMBER may be 0; counts, sizes and milliseconds are at least 1: 0 would read as "default" */
  CLI_FLAG, CLI_TEXT, CLI_WORD, CLI_NUMBER, CLI_COUNT, CLI_SIZE, CLI_DURATION_MS, CLI_DURATION_NS, CLI_LIST
} cli_type;

typedef struct cli_option {
  const char *name;           /* without the dashes */
  char letter;                /* 0 for none */
  cli_type type;
  size_t offset;              /* in cli_args: bool, const char * (2), int32_t (2), int64_t, int32_t, int64_t, cli_list */
  const char *value;          /* name of the value in help, or the allowed words "a|b|c" of CLI_WORD and CLI_LIST */
  const char *help;
} cli_option;

typedef struct cli_command {
  const char *name, *summary, *usage; /* usage: the arguments after the name */
  const cli_option *const *groups;    /* NULL-terminated lists of options, each ended by {0} */
  int words_min, words_max;
  const char *details;                /* further help text; may be NULL */
  const char *example;
  int (*run)(cli_args *args, const char *program_line);
} cli_command;

extern const cli_option cli_common_options[], cli_source_options[], cli_transfer_options[], cli_update_options[], cli_adopt_options[],
    cli_doctor_options[], cli_read_options[], cli_output_options[], cli_zone_options[], cli_table_rows_options[],
    cli_table_merge_options[], cli_table_replace_options[], cli_table_where_option[], cli_table_columns_option[],
    cli_table_create_options[], cli_table_property_option[], cli_table_at_options[], cli_table_face_option[], cli_table_limit_option[], cli_table_optimize_options[],
    cli_table_zorder_options[], cli_table_vacuum_options[], cli_table_expire_options[], cli_table_output_option[];

int cli_parse(const cli_command *command, int argc, char **argv, cli_args *args); /* 0, or 2 after saying why */
void cli_print_help(const cli_command *command);
void cli_print_completion(const char *shell, const cli_command *commands, size_t count);
void cli_print_man(const cli_command *commands, size_t count);
#endif
