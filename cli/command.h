/* command.h - what the commands share: opening the lake, saying what went wrong, JSON on stdout. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H
#include "option.h"

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_SOME_FAILED = 3 };

int cli_open(const cli_args *args, tl_lake **lake); /* 0, or an exit code after saying why */
/* Say why on stderr and, with --json, as {"error":{"code","text"}} at the end of stdout. */
int cli_fail(tl_status status, const tl_error *err); /* 2 for usage, else 1 */
int cli_refuse(const char *command, const char *format, ...) TL_PRINTF(2, 3); /* wrong usage: 2. command "": none yet */
void cli_json_failures(bool on);
int cli_stdout(void *unused, const char *data, size_t len); /* a tl_write_fn */
int cli_finish_stdout(int code);                     /* flushes; 1 when stdout could not be written */
void cli_json_string(const char *text);              /* quoted and escaped, on stdout */
void cli_time_text(int64_t ns, char out[40]);        /* RFC 3339 UTC, fraction only where there is one */

/* One call per command of the table in main.c. */
int cli_import(cli_args *args, const char *line);
int cli_data_import(cli_args *args, const char *line);
int cli_update(cli_args *args, const char *line);
int cli_plan(cli_args *args, const char *line);
int cli_read(cli_args *args, const char *line);
int cli_sql(cli_args *args, const char *line);
int cli_symbols(cli_args *args, const char *line);
int cli_range(cli_args *args, const char *line);
int cli_coverage(cli_args *args, const char *line);
int cli_gaps(cli_args *args, const char *line);
int cli_audit(cli_args *args, const char *line);
int cli_adopt(cli_args *args, const char *line);
int cli_index(cli_args *args, const char *line);
int cli_doctor(cli_args *args, const char *line);
int cli_version(cli_args *args, const char *line);
int cli_table_create(cli_args *args, const char *line);
int cli_table_append(cli_args *args, const char *line);
int cli_table_merge(cli_args *args, const char *line);
int cli_table_replace(cli_args *args, const char *line);
int cli_table_delete(cli_args *args, const char *line);
int cli_table_add_columns(cli_args *args, const char *line);
int cli_table_set_properties(cli_args *args, const char *line);
int cli_table_describe(cli_args *args, const char *line);
int cli_table_schema(cli_args *args, const char *line);
int cli_table_history(cli_args *args, const char *line);
int cli_table_restore(cli_args *args, const char *line);
int cli_table_optimize(cli_args *args, const char *line);
int cli_table_zorder(cli_args *args, const char *line);
int cli_table_vacuum(cli_args *args, const char *line);
int cli_table_checkpoint(cli_args *args, const char *line);
int cli_table_expire(cli_args *args, const char *line);
int cli_table_verify(cli_args *args, const char *line);
#endif
