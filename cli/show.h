/* show.h - answers of a command on stdout as a table for people, CSV, or one JSON document: a record, or rows, or both.
 * Cells stand on the caller's stack. Control characters never reach a terminal. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum cli_format { CLI_TABLE, CLI_CSV, CLI_JSON } cli_format;

typedef struct cli_cell {
  const char *name;
  enum { CLI_CELL_TEXT, CLI_CELL_INT, CLI_CELL_BOOL, CLI_CELL_JSON, CLI_CELL_NULL } kind; /* JSON: text holds an object */
  const char *text;
  int64_t number;
  int width; /* of its column in a table; the last column has none */
} cli_cell;

static inline cli_cell cli_text(const char *name, const char *text) { return (cli_cell){name, text ? CLI_CELL_TEXT : CLI_CELL_NULL, text, 0, 0}; }
static inline cli_cell cli_int(const char *name, int64_t number) { return (cli_cell){name, CLI_CELL_INT, NULL, number, 0}; }
static inline cli_cell cli_bool(const char *name, bool yes) { return (cli_cell){name, CLI_CELL_BOOL, NULL, yes, 0}; }
static inline cli_cell cli_json(const char *name, const char *object) { return (cli_cell){name, CLI_CELL_JSON, object, 0, 0}; }
static inline cli_cell cli_wide(cli_cell cell, int width) {
  cell.width = width;
  return cell;
}

typedef struct cli_show {
  cli_format format;
  const char *list; /* JSON: the rows' name inside the record; NULL: the rows are the document */
  size_t rows;
  const char *header; /* CSV: of a list that has no row */
} cli_show;

void cli_show_row(cli_show *show, const cli_cell *cells, size_t count);
void cli_show_end(cli_show *show); /* of rows without a record */
/* A record alone, or after rows under show->list: in JSON they are one object; in CSV the record after rows goes to stderr. */
void cli_show_record(cli_show *show, const cli_cell *cells, size_t count);
void cli_show_begin_record(cli_show *show, const cli_cell *cells, size_t count); /* the same, the JSON object left open */
#endif
