/* columns.c - the columns a query or a user's words describe, in the types that tables have; the caller's rows cast to them.
 *
 * A value is taken when it fits the table's type exactly: casting it there and back gives it again. What does not fit is
 * refused by name while the rows stream by, without a pass of its own:
 *     CASE WHEN "v" IS NULL OR TRY_CAST(TRY_CAST("v" AS INTEGER) AS BIGINT) = "v" THEN TRY_CAST("v" AS INTEGER) ELSE error(...) END */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/suggest.h"
#include "table/ops/ops.h"

/* ---- types ---- */

static const struct {
  const char *words;
  tl_field_type type;
} scalars[] = {
  {"BOOLEAN", TL_FIELD_BOOL}, {"TINYINT", TL_FIELD_I8}, {"SMALLINT", TL_FIELD_I16}, {"INTEGER", TL_FIELD_I32}, {"BIGINT", TL_FIELD_I64},
  {"UTINYINT", TL_FIELD_I32}, {"USMALLINT", TL_FIELD_I32}, {"UINTEGER", TL_FIELD_I64}, {"FLOAT", TL_FIELD_F32}, {"DOUBLE", TL_FIELD_F64},
  {"VARCHAR", TL_FIELD_STRING}, {"BLOB", TL_FIELD_BINARY}, {"DATE", TL_FIELD_DATE}, {"TIMESTAMP", TL_FIELD_TIMESTAMP_NTZ},
  {"TIMESTAMP_S", TL_FIELD_TIMESTAMP_NTZ}, {"TIMESTAMP_MS", TL_FIELD_TIMESTAMP_NTZ}, {"TIMESTAMP_NS", TL_FIELD_TIMESTAMP_NTZ},
  {"TIMESTAMP WITH TIME ZONE", TL_FIELD_TIMESTAMP}};

/* DECIMAL(18,4) -> precision and scale. */
static bool read_decimal(const char *words, size_t len, int *precision, int *scale) {
  int numbers[2] = {0, 0}, at = 0;
  if (len < 12 || strncmp(words, "DECIMAL(", 8) != 0 || words[len - 1] != ')') return false;
  for (const char *p = words + 8; p < words + len - 1; p++) {
    if (*p == ',' && at == 0) at = 1;
    else if (*p >= '0' && *p <= '9' && numbers[at] < 100) numbers[at] = numbers[at] * 10 + (*p - '0');
    else return false;
  }
  *precision = numbers[0];
  *scale = numbers[1];
  return at == 1 && numbers[0] >= 1 && numbers[0] <= 38 && numbers[1] <= numbers[0];
}

static bool read_scalar(const char *words, size_t len, tl_field_type *type, tl_field *field) {
  for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++)
    if (strlen(scalars[i].words) == len && !strncmp(scalars[i].words, words, len)) {
      *type = scalars[i].type;
      return true;
    }
  *type = TL_FIELD_DECIMAL;
  return read_decimal(words, len, &field->precision, &field->scale);
}

bool tl_ops_type_parse(const char *words, tl_field *field) {
  size_t len = strlen(words);
  if (len > 2 && !strcmp(words + len - 2, "[]")) {
    field->type = TL_FIELD_LIST;
    return read_scalar(words, len - 2, &field->element, field);
  }
  if (!strncmp(words, "ENUM(", 5)) {
    field->type = TL_FIELD_STRING;
    return true;
  }
  return read_scalar(words, len, &field->type, field);
}

/* ---- fields ---- */

static tl_status push_field(tl_fields *fields, tl_field field, tl_error *err) {
  tl_field *grown = tl_realloc_array(fields->items, fields->count + 1, sizeof *grown);
  if (grown) fields->items = grown;
  if (!grown || !field.name) {
    tl_free(field.name);
    return tl_fail(err, TL_ENOMEM, "cannot hold a schema of %zu columns", fields->count + 1);
  }
  fields->items[fields->count++] = field;
  return TL_OK;
}

tl_status tl_ops_field_add(tl_fields *fields, const char *name, tl_field_type type, tl_error *err) {
  return push_field(fields, (tl_field){.name = tl_strdup(name), .type = type, .nullable = true}, err);
}

/* Names DuckDB has for columns of its own; a table's would hide them. */
bool tl_ops_name_taken(const char *name) {
  return !strcasecmp(name, "file_index") || !strcasecmp(name, "file_row_number") || !strcasecmp(name, "rowid");
}

static tl_status check_name(const char *name, tl_error *err) {
  bool fits = name[0] && !strchr(name, '#') && !tl_ops_name_taken(name);
  return fits ? TL_OK : tl_fail(err, TL_EUSAGE, "a column cannot be named '%s'", name);
}

/* cells: name, type, "YES" when nullable, and what else is wanted of it */
static tl_status take_column(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  if (count > 3 && cells[3].text)
    return tl_fail(err, TL_EUSAGE, "column '%.*s': a table keeps names, types and NOT NULL, but no %.*s", (int)cells[0].len, cells[0].text,
                   (int)cells[3].len, cells[3].text);
  tl_fields *fields = to;
  tl_field field = {.nullable = cells[2].text && cells[2].text[0] != 'N'};
  char *words = tl_strndup(cells[1].text, cells[1].len);
  field.name = tl_strndup(cells[0].text, cells[0].len);
  tl_status st = words && field.name ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot read a schema");
  if (!st && !tl_ops_type_parse(words, &field))
    st = tl_fail(err, TL_EUSAGE, "column '%s' is %s, which a table cannot hold: cast it", field.name, words);
  if (!st) st = check_name(field.name, err);
  for (size_t i = 0; !st && i < fields->count; i++)
    if (!strcasecmp(fields->items[i].name, field.name)) st = tl_fail(err, TL_EUSAGE, "there are two columns '%s'", field.name);
  tl_free(words);
  if (!st) return push_field(fields, field, err);
  tl_free(field.name);
  return st;
}

/* A query in brackets; a comment at its end must not swallow ours, a semicolon is cut. */
static void add_query(tl_sql *sql, const char *query) {
  size_t len = strlen(query);
  while (len && strchr("; \t\r\n", query[len - 1])) len--;
  tl_sql_addf(sql, "(%.*s\n)", (int)(len < 0x7fffffff ? len : 0x7fffffff), query);
}

tl_status tl_ops_fields_of_query(tl_link *link, const char *query, tl_fields *out, tl_error *err) {
  tl_sql sql = {.err = err};
  *out = (tl_fields){0};
  tl_sql_add(&sql, "SELECT column_name, column_type, 'YES' FROM (DESCRIBE SELECT * FROM ");
  add_query(&sql, query);
  tl_sql_add(&sql, ")");
  tl_status st = tl_ops_wording(tl_sql_rows(&sql, link, take_column, out), err);
  tl_sql_deinit(&sql);
  if (st) tl_fields_deinit(out);
  return st;
}

tl_status tl_ops_fields_of_words(tl_link *link, const char *words, tl_fields *out, tl_error *err) {
  tl_sql sql = {.err = err};
  *out = (tl_fields){0};
  tl_sql_addf(&sql, "CREATE OR REPLACE TEMP TABLE \"tl#words\" (%s\n)", words);
  tl_status st = tl_sql_run(&sql, link);
  if (st == TL_ESQL) st = tl_fail_within(err, st, "cannot read the columns '%.80s'", words);
  if (!st) {
    tl_sql_add(&sql, "SELECT column_name, data_type, CASE WHEN is_nullable THEN 'YES' ELSE 'NO' END, coalesce('DEFAULT ' || nullif(column_default, 'NULL'), "
                     "(SELECT min(constraint_text) FROM duckdb_constraints() WHERE table_name = 'tl#words' AND constraint_type <> 'NOT NULL' "
                     "AND list_contains(constraint_column_names, column_name))) FROM duckdb_columns() "
                     "WHERE table_name = 'tl#words' ORDER BY column_index");
    st = tl_sql_rows(&sql, link, take_column, out);
    tl_link_run(link, "DROP TABLE \"tl#words\"", NULL);
  }
  tl_sql_deinit(&sql);
  if (st) tl_fields_deinit(out);
  return st == TL_ESQL && err ? (err->status = TL_EUSAGE) : st;
}

/* ---- rows -> the table's types ---- */

typedef struct given { /* a column of the caller's rows */
  char *name, *type;
  int field; /* of the table */
} given;
typedef struct givens {
  given *items;
  size_t count;
} givens;

static void givens_deinit(givens *rows) {
  for (size_t i = 0; i < rows->count; i++) {
    tl_free(rows->items[i].name);
    tl_free(rows->items[i].type);
  }
  tl_free(rows->items);
  *rows = (givens){0};
}

static tl_status take_given(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  (void)count;
  givens *rows = to;
  given *grown = tl_realloc_array(rows->items, rows->count + 1, sizeof *grown);
  if (!grown) return tl_fail(err, TL_ENOMEM, "cannot read the rows' columns");
  rows->items = grown;
  given *column = &rows->items[rows->count++];
  *column = (given){tl_strndup(cells[0].text, cells[0].len), tl_strndup(cells[1].text, cells[1].len), -1};
  return column->name && column->type ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot read the rows' columns");
}

static tl_status unknown_column(const tl_fields *fields, const char *name, tl_error *err) {
  const char **names = tl_calloc(fields->count + 1, sizeof *names);
  for (size_t i = 0; names && i < fields->count; i++) names[i] = fields->items[i].name;
  const char *near = names ? tl_suggest(name, names, fields->count) : NULL;
  tl_free(names);
  if (near) return tl_fail(err, TL_EUSAGE, "the table has no column '%s' (it has '%s'): --add-columns adds it", name, near);
  return tl_fail(err, TL_EUSAGE, "the table has no column '%s': --add-columns adds it", name);
}

static tl_status new_column(tl_work *work, const given *column, tl_error *err) {
  tl_field like = {0};
  if (!tl_ops_type_parse(column->type, &like))
    return tl_fail(err, TL_EUSAGE, "column '%s' is %s, which a table cannot hold: cast it", column->name, column->type);
  tl_status st = check_name(column->name, err);
  if (!st) st = tl_ops_field_add(&work->fields, column->name, like.type, err);
  if (st) return st;
  tl_field *field = &work->fields.items[work->fields.count - 1];
  field->element = like.element;
  field->precision = like.precision;
  field->scale = like.scale;
  field->id = ++work->fields.last_id;
  if (like.type == TL_FIELD_LIST) field->element_id = ++work->fields.last_id;
  work->fields_changed = true;
  return TL_OK;
}

/* How wide a number is: a column widens from a lower rank to a higher one of its family. */
static int width(tl_field_type type) {
  switch (type) {
    case TL_FIELD_I8: return 1;
    case TL_FIELD_I16: return 2;
    case TL_FIELD_I32: return 3;
    case TL_FIELD_I64: return 4;
    case TL_FIELD_F32: return 11;
    case TL_FIELD_F64: return 12;
    default: return 0;
  }
}

static bool widens(const tl_field *field, const given *column, tl_field_type *to) {
  tl_field like = {0};
  if (!tl_ops_type_parse(column->type, &like)) return false;
  *to = like.type;
  return width(field->type) && width(*to) > width(field->type) && width(*to) / 10 == width(field->type) / 10;
}

static void widen(tl_work *work, const given *column) {
  tl_field *field = &work->fields.items[column->field];
  tl_field_type type;
  if (!widens(field, column, &type)) return;
  field->type = type;
  work->fields_changed = work->widened = true;
}

static bool is_narrow(const tl_field *field) { return width(field->type) >= 1 && width(field->type) <= 3; }

/* Text of a file says how wide it is by its values alone. */
static tl_status widen_for_text(tl_work *work, const tl_write *write, const given *column, tl_error *err) {
  tl_field *field = &work->fields.items[column->field];
  tl_sql sql = {.err = err};
  int64_t wide = 0;
  if (!is_narrow(field) || strcmp(column->type, "VARCHAR") != 0) return TL_OK;
  tl_sql_add(&sql, "SELECT count(*) FROM ");
  add_query(&sql, write->rows);
  tl_sql_add(&sql, " WHERE TRY_CAST(");
  tl_sql_name(&sql, column->name);
  tl_sql_add(&sql, " AS ");
  tl_sql_type(&sql, field);
  tl_sql_add(&sql, ") IS NULL AND TRY_CAST(");
  tl_sql_name(&sql, column->name);
  tl_sql_add(&sql, " AS BIGINT) IS NOT NULL");
  tl_status st = tl_sql_numbers(&sql, work->relation->link, &wide, 1);
  tl_sql_deinit(&sql);
  if (st || !wide) return st;
  field->type = TL_FIELD_I64;
  work->fields_changed = work->widened = true;
  return TL_OK;
}

static tl_status match_columns(tl_work *work, const tl_write *write, givens *rows, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < rows->count; i++) {
    given *column = &rows->items[i];
    column->field = tl_fields_find(&work->fields, column->name);
    if (column->field < 0) {
      st = write->add_columns ? new_column(work, column, err) : unknown_column(&work->fields, column->name, err);
      column->field = (int)work->fields.count - 1;
    } else if (write->widen) {
      widen(work, column);
      st = widen_for_text(work, write, column, err);
    }
    for (size_t k = 0; !st && k < i; k++)
      if (rows->items[k].field == column->field) st = tl_fail(err, TL_EUSAGE, "the rows have two columns '%s'", column->name);
  }
  return st;
}

static void add_cast(tl_sql *sql, const char *name, const char *type) {
  tl_sql_add(sql, "TRY_CAST(");
  tl_sql_name(sql, name);
  tl_sql_addf(sql, " AS %s)", type);
}

static bool is_time(tl_field_type type) { return type == TL_FIELD_DATE || type == TL_FIELD_TIMESTAMP || type == TL_FIELD_TIMESTAMP_NTZ; }

/* DuckDB cuts what follows the microseconds of a text, and all that follows its date. */
static void add_uncut(tl_sql *sql, const char *name, const tl_field *field) {
  tl_sql_add(sql, " AND NOT regexp_matches(");
  tl_sql_name(sql, name);
  tl_sql_add(sql, ", '[.]\\d{6}\\d*[1-9]')");
  if (field->type != TL_FIELD_DATE) return;
  tl_sql_add(sql, " AND TRY_CAST(");
  add_cast(sql, name, "DATE");
  tl_sql_add(sql, " AS TIMESTAMP) IS NOT DISTINCT FROM TRY_CAST(trim(");
  tl_sql_name(sql, name);
  tl_sql_add(sql, ") AS TIMESTAMP)");
}

static void add_exact(tl_sql *sql, const given *column, const tl_field *field, const char *type) {
  bool whole = width(field->type) >= 1 && width(field->type) <= 4;
  if (!strcmp(column->type, "VARCHAR") && (whole || field->type == TL_FIELD_DECIMAL)) {
    /* '1.5' is no integer, though DuckDB rounds it; the digits of wide decimals are more than a double tells apart */
    add_cast(sql, column->name, type);
    tl_sql_add(sql, " IS NOT NULL AND (");
    add_cast(sql, column->name, "DOUBLE");
    tl_sql_add(sql, " = CAST(");
    add_cast(sql, column->name, type);
    tl_sql_add(sql, " AS DOUBLE) OR regexp_full_match(");
    tl_sql_name(sql, column->name);
    tl_sql_addf(sql, ", '\\s*[+-]?\\d*(\\.\\d{0,%d}0*)?\\s*'))", whole ? 0 : field->scale);
  } else if (!strcmp(column->type, "VARCHAR")) {
    add_cast(sql, column->name, type);
    tl_sql_add(sql, " IS NOT NULL");
    if (is_time(field->type)) add_uncut(sql, column->name, field);
  } else {
    tl_sql_add(sql, "TRY_CAST(");
    add_cast(sql, column->name, type);
    tl_sql_addf(sql, " AS %s) = ", column->type);
    tl_sql_name(sql, column->name);
  }
}

/* DuckDB has infinite times; no format has them, so that other readers would take them for days of the calendar. */
static void add_finite(tl_sql *sql, const char *name, const tl_field *field, const char *type) {
  tl_sql_add(sql, field->type == TL_FIELD_LIST ? "len(list_filter(" : "isfinite(");
  add_cast(sql, name, type);
  tl_sql_add(sql, field->type == TL_FIELD_LIST ? ", lambda \"tl#e\": NOT isfinite(\"tl#e\"))) = 0" : ")");
}

/* One column of the rows as the table's type. */
static void add_fitted(tl_sql *sql, const given *column, const tl_field *field, const char *type) {
  bool same = !strcmp(column->type, type) || (field->type == TL_FIELD_TIMESTAMP && !strcmp(column->type, "TIMESTAMP WITH TIME ZONE"));
  bool timed = is_time(field->type == TL_FIELD_LIST ? field->element : field->type);
  if (same && !timed) {
    tl_sql_name(sql, column->name);
    return;
  }
  if (!strcmp(column->type, "\"NULL\"")) {
    tl_sql_addf(sql, "CAST(NULL AS %s)", type);
    return;
  }
  tl_sql_add(sql, "CASE WHEN ");
  tl_sql_name(sql, column->name);
  tl_sql_add(sql, " IS NULL THEN NULL WHEN ");
  if (!same) add_exact(sql, column, field, type);
  if (!same && timed) tl_sql_add(sql, " AND ");
  if (timed) add_finite(sql, column->name, field, type);
  tl_sql_add(sql, " THEN ");
  add_cast(sql, column->name, type);
  tl_sql_add(sql, " ELSE error('column ''' || ");
  tl_sql_value(sql, field->name, strlen(field->name));
  tl_sql_addf(sql, " || ''' is %s and cannot hold %s%s' || CAST(", type, same ? "" : strncmp(column->type, "ENUM", 4) ? column->type : "ENUM", same ? "" : " ");
  tl_sql_name(sql, column->name);
  tl_sql_add(sql, " AS VARCHAR)");
  if (is_narrow(field) && !strcmp(column->type, "VARCHAR")) {
    tl_sql_add(sql, " || CASE WHEN regexp_full_match(");
    tl_sql_name(sql, column->name);
    tl_sql_add(sql, ", '\\s*[+-]?\\d{1,18}\\s*') THEN ': --widen rewrites the table' ELSE '' END) END");
    return;
  }
  tl_sql_addf(sql, " || '%s') END", widens(field, column, &(tl_field_type){0}) ? ": --widen rewrites the table" : "");
}

static void add_name_alias(tl_sql *sql, const tl_field *field) {
  tl_sql_add(sql, " AS ");
  tl_sql_name(sql, field->name);
}

static const given *given_of(const givens *rows, size_t field) {
  for (size_t i = 0; i < rows->count; i++)
    if (rows->items[i].field == (int)field) return &rows->items[i];
  return NULL;
}

static void add_casts(const tl_work *work, const givens *rows, tl_sql *sql) {
  tl_buf type = {0};
  for (size_t i = 0; i < work->fields.count && !sql->st; i++) {
    const tl_field *field = &work->fields.items[i];
    const given *column = given_of(rows, i);
    tl_buf_clear(&type);
    sql->st = tl_field_sql_type(field, &type, sql->err);
    if (sql->st) break;
    if (i) tl_sql_add(sql, ", ");
    if (column) add_fitted(sql, column, field, type.data);
    else tl_sql_addf(sql, "CAST(NULL AS %s)", type.data);
    add_name_alias(sql, field);
  }
  tl_buf_deinit(&type);
}

/* NOT NULL, and the columns our writer fills from others. */
static void add_finished(const tl_work *work, const givens *rows, tl_sql *sql) {
  const tl_partitioning *partitioning = &work->snapshot->partitioning;
  for (size_t i = 0; i < work->fields.count; i++) {
    const tl_field *field = &work->fields.items[i];
    int part = tl_ops_partition_of(partitioning, i);
    bool derived = part >= 0 && partitioning->items[part].source != (int)i;
    if (i) tl_sql_add(sql, ", ");
    if (derived && given_of(rows, i)) {
      tl_sql_add(sql, "CASE WHEN ");
      tl_sql_name(sql, field->name);
      tl_sql_add(sql, " IS DISTINCT FROM ");
      tl_ops_partition_sql(sql, &work->fields, &partitioning->items[part]);
      tl_sql_add(sql, " THEN error('column ''' || ");
      tl_sql_value(sql, field->name, strlen(field->name));
      tl_sql_addf(sql, " || ''' is the %s of another and cannot be ' || coalesce(", tl_ops_transform_name(partitioning->items[part].transform));
      tl_sql_name(sql, field->name);
      tl_sql_add(sql, ", 'NULL') || ' here') ELSE ");
      tl_sql_name(sql, field->name);
      tl_sql_add(sql, " END");
    } else if (derived) {
      tl_ops_partition_sql(sql, &work->fields, &partitioning->items[part]);
    } else if (!field->nullable) {
      tl_sql_add(sql, "CASE WHEN ");
      tl_sql_name(sql, field->name);
      tl_sql_add(sql, " IS NULL THEN error('column ''' || ");
      tl_sql_value(sql, field->name, strlen(field->name));
      tl_sql_add(sql, " || ''' must not be NULL') ELSE ");
      tl_sql_name(sql, field->name);
      tl_sql_add(sql, " END");
    } else {
      tl_sql_name(sql, field->name);
    }
    add_name_alias(sql, field);
  }
}

/* A second copy of a text in each row would cost as much as sorting the rows. */
static const char *text_column(const tl_work *work, size_t part) {
  int column = work->snapshot->partitioning.items[part].column;
  return column >= 0 && work->fields.items[column].type == TL_FIELD_STRING ? work->fields.items[column].name : NULL;
}

void tl_stage_text(const tl_work *work, size_t part, tl_sql *sql) {
  const char *column = text_column(work, part);
  if (column) tl_sql_name(sql, column);
  else tl_sql_addf(sql, "\"tl#p%zu\"", part);
}

void tl_stage_texts(const tl_work *work, const char *before, tl_sql *sql) {
  for (size_t p = 0; p < work->partition_count; p++) {
    tl_sql_add(sql, p ? ", " : before);
    tl_stage_text(work, p, sql);
  }
}

static void add_texts(const tl_work *work, tl_sql *sql) {
  for (size_t p = 0; p < work->partition_count; p++) {
    if (text_column(work, p)) continue;
    tl_sql_add(sql, ", ");
    tl_ops_partition_sql(sql, &work->fields, &work->snapshot->partitioning.items[p]);
    tl_sql_addf(sql, " AS \"tl#p%zu\"", p);
  }
}

static tl_status note_absent(tl_work *work, const givens *rows, tl_error *err) {
  tl_free(work->absent);
  work->absent = tl_calloc(work->fields.count + 1, sizeof *work->absent);
  if (!work->absent) return tl_fail(err, TL_ENOMEM, "cannot note the rows' columns");
  for (size_t i = 0; i < work->fields.count; i++) work->absent[i] = !given_of(rows, i);
  return TL_OK;
}

tl_status tl_stage_select(tl_work *work, const tl_write *write, bool texts, tl_sql *out, tl_error *err) {
  tl_sql sql = {.err = err};
  givens rows = {0};
  tl_sql_add(&sql, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ");
  add_query(&sql, write->rows);
  tl_sql_add(&sql, ")");
  tl_status st = tl_ops_wording(tl_sql_rows(&sql, work->relation->link, take_given, &rows), err);
  tl_sql_deinit(&sql);
  if (!st) st = match_columns(work, write, &rows, err);
  if (!st) st = note_absent(work, &rows, err);
  if (!st) {
    tl_sql_add(out, "SELECT *");
    if (texts) add_texts(work, out);
    tl_sql_add(out, " FROM (SELECT ");
    add_finished(work, &rows, out);
    tl_sql_add(out, " FROM (SELECT ");
    add_casts(work, &rows, out);
    tl_sql_add(out, " FROM ");
    add_query(out, write->rows);
    tl_sql_add(out, "))");
    st = out->st;
  }
  givens_deinit(&rows);
  return st;
}
