/* show.c - see show.h. */
#include "show.h"

#include <stdio.h>
#include <string.h>

#include "command.h"

/* ---- one cell ---- */

static void print_json(const cli_cell *cell) {
  switch (cell->kind) {
  case CLI_CELL_TEXT: cli_json_string(cell->text); break;
  case CLI_CELL_INT: printf("%lld", (long long)cell->number); break;
  case CLI_CELL_BOOL: printf(cell->number ? "true" : "false"); break;
  case CLI_CELL_JSON: printf("%s", cell->text); break;
  case CLI_CELL_NULL: printf("null"); break;
  }
}

static void print_csv(const cli_cell *cell) {
  if (cell->kind == CLI_CELL_NULL) return;
  if (cell->kind != CLI_CELL_TEXT && cell->kind != CLI_CELL_JSON) {
    print_json(cell);
    return;
  }
  bool plain = cell->text[0] && !strpbrk(cell->text, ",\"\r\n");
  if (!plain) putchar('"');
  for (const char *c = cell->text; *c; c++) {
    if (*c == '"') putchar('"');
    putchar(*c);
  }
  if (!plain) putchar('"');
}

/* For people: control characters as \xNN, padded to the width by characters. */
static void print_plain(const cli_cell *cell) {
  char number[32];
  const char *text = cell->kind == CLI_CELL_NULL ? "-" : cell->text;
  int shown = 0;
  if (cell->kind == CLI_CELL_BOOL) text = cell->number ? "yes" : "no";
  if (cell->kind == CLI_CELL_INT) {
    snprintf(number, sizeof number, "%lld", (long long)cell->number);
    text = number;
  }
  for (const char *c = text; *c; c++) {
    unsigned char byte = (unsigned char)*c;
    bool c1 = byte == 0xC2 && (unsigned char)c[1] >= 0x80 && (unsigned char)c[1] < 0xA0; /* U+0080..U+009F steer terminals too */
    if (byte < 0x20 || byte == 0x7F || c1) {
      shown += printf("\\x%02x", c1 ? (unsigned char)*++c : byte);
      continue;
    }
    putchar(*c);
    shown += (byte & 0xC0) != 0x80;
  }
  if (cell->width > shown) printf("%*s", cell->width - shown, "");
}

/* ---- rows and records ---- */

static void print_members(const cli_cell *cells, size_t count, const char *before) {
  for (size_t i = 0; i < count; i++) {
    printf("%s", i ? "," : before);
    cli_json_string(cells[i].name);
    putchar(':');
    print_json(&cells[i]);
  }
}

void cli_show_row(cli_show *show, const cli_cell *cells, size_t count) {
  if (show->format == CLI_JSON) {
    if (show->rows) printf(",\n");
    else if (show->list) printf("{\"%s\":[\n", show->list);
    else printf("[");
    print_members(cells, count, "{");
    putchar('}');
  } else {
    for (size_t i = 0; !show->rows && i < count; i++) {
      if (show->format == CLI_CSV) printf("%s%s", i ? "," : "", cells[i].name);
      else printf("%s%-*s", i ? "  " : "", cells[i].width, cells[i].name);
    }
    if (!show->rows) putchar('\n');
    for (size_t i = 0; i < count; i++) {
      printf("%s", !i ? "" : show->format == CLI_CSV ? "," : "  ");
      if (show->format == CLI_CSV) print_csv(&cells[i]);
      else print_plain(&cells[i]);
    }
    putchar('\n');
  }
  show->rows++;
}

static void print_header(const cli_show *show) {
  if (show->format == CLI_CSV && !show->rows && show->header) printf("%s\n", show->header);
}

void cli_show_end(cli_show *show) {
  print_header(show);
  if (show->format == CLI_JSON) printf(show->rows ? "]\n" : "[]\n");
}

static void print_pairs(const cli_cell *cells, size_t count) {
  int width = 0;
  for (size_t i = 0; i < count; i++)
    if ((int)strlen(cells[i].name) > width) width = (int)strlen(cells[i].name);
  for (size_t i = 0; i < count; i++) {
    printf("%-*s  ", width, cells[i].name);
    print_plain(&cells[i]);
    putchar('\n');
  }
}

static void print_aside(const cli_cell *cells, size_t count) {
  for (size_t i = 0; i < count; i++) {
    fprintf(stderr, "%s%s ", i ? ", " : "", cells[i].name);
    if (cells[i].kind == CLI_CELL_INT) fprintf(stderr, "%lld", (long long)cells[i].number);
    else fprintf(stderr, "%s", cells[i].kind == CLI_CELL_BOOL ? cells[i].number ? "yes" : "no" : cells[i].text ? cells[i].text : "-");
  }
  fprintf(stderr, "\n");
}

void cli_show_begin_record(cli_show *show, const cli_cell *cells, size_t count) {
  if (show->format == CLI_JSON) {
    if (show->list && show->rows) printf("],\n");
    else if (show->list) printf("{\"%s\":[],\n", show->list);
    print_members(cells, count, show->list ? "" : "{");
  } else if (show->format == CLI_CSV && show->list) {
    print_header(show);
    print_aside(cells, count);
  } else if (show->format == CLI_CSV) {
    cli_show_row(show, cells, count);
  } else {
    if (show->rows) putchar('\n');
    print_pairs(cells, count);
  }
}

void cli_show_record(cli_show *show, const cli_cell *cells, size_t count) {
  cli_show_begin_record(show, cells, count);
  if (show->format == CLI_JSON) printf("}\n");
}
