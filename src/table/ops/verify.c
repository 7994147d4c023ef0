/* verify.c - reads every live file and holds it against what the logs say of it.
 *
 * Per file: it is there, as long as stated, has as many rows; the least and greatest value of a column lie within its
 * bounds, as many NULLs as stated, no NaN where none is stated; the value of a month, day, year or bucket partition is that
 * of every row. Over all: no file twice, and two faces list the same files. Cost: one full scan, a query per file. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "market/number.h"
#include "table/ops/ops.h"

typedef struct checking {
  tl_relation *relation;
  const tl_snapshot *snapshot;
  size_t file;
  tl_file_stats stats;
  void (*each)(void *to, const char *path, const char *problem);
  void *to;
  tl_verified *out;
  bool wrong; /* this file */
} checking;

static void report(checking *c, const char *path, const char *format, ...) TL_PRINTF(3, 4);
static void report(checking *c, const char *path, const char *format, ...) {
  char text[400];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (c->each) c->each(c->to, path, text);
  if (!c->wrong) c->out->wrong++;
  c->wrong = true;
}

static bool in_file(const checking *c, size_t field) { return tl_ops_partition_of(&c->snapshot->partitioning, field) < 0; }

/* What is asked of each column: NULLs, NaNs, least, greatest. */
static void add_column(const checking *c, size_t i, tl_sql *sql) {
  const tl_field *field = &c->snapshot->fields.items[i];
  bool is_float = field->type == TL_FIELD_F32 || field->type == TL_FIELD_F64;
  static const char *const which[] = {"min", "max"};
  tl_sql name = {.err = sql->err};
  tl_sql_name(&name, field->name);
  const char *quoted = name.buf.data ? name.buf.data : "NULL";
  tl_sql_addf(sql, ", CAST(count(*) - count(%s) AS VARCHAR), ", quoted);
  if (is_float) tl_sql_addf(sql, "CAST(count(*) FILTER (WHERE isnan(%s)) AS VARCHAR)", quoted);
  else tl_sql_add(sql, "'0'");
  for (int k = 0; k < 2; k++) {
    char expression[640];
    int len = snprintf(expression, sizeof expression, is_float ? "%s(%s) FILTER (WHERE NOT isnan(%s))" : "%s(%s)", which[k], quoted, quoted);
    tl_sql_add(sql, ", ");
    if (len >= (int)sizeof expression || field->type == TL_FIELD_LIST || !tl_ops_datum_sql(sql, field, expression)) tl_sql_add(sql, "CAST(NULL AS VARCHAR)");
  }
  tl_sql_deinit(&name);
}

static int64_t number(tl_cell cell) {
  int64_t n = -1;
  return cell.text && tl_number_i64(cell.text, cell.len, &n) == TL_NUMBER_OK ? n : -1;
}

static void check_column(checking *c, size_t i, const tl_cell *cells) {
  const tl_field *field = &c->snapshot->fields.items[i];
  const char *path = c->snapshot->files[c->file].path;
  const tl_column_bounds *b = &c->stats.columns[i];
  int64_t nulls = number(cells[0]), nans = number(cells[1]);
  tl_datum least, greatest;
  if (b->null_count >= 0 && b->null_count != nulls && field->type != TL_FIELD_LIST)
    report(c, path, "column '%s' has %" PRId64 " NULLs, the log says %" PRId64, field->name, nulls, b->null_count);
  if (b->nan_count >= 0 && b->nan_count != nans) report(c, path, "column '%s' has %" PRId64 " NaNs, the log says %" PRId64, field->name, nans, b->nan_count);
  if (b->has_min && cells[2].text && tl_ops_datum_parse(field, cells[2].text, cells[2].len, &least) && tl_ops_datum_compare(field, &least, &b->min) < 0)
    report(c, path, "column '%s' has a value below the least the log states", field->name);
  if (b->has_max && cells[3].text && tl_ops_datum_parse(field, cells[3].text, cells[3].len, &greatest) && tl_ops_datum_compare(field, &greatest, &b->max) > 0)
    report(c, path, "column '%s' has a value above the greatest the log states", field->name);
}

/* cells: rows, rows of other partitions, then four per column in the file */
static tl_status take_answers(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  checking *c = to;
  (void)count, (void)err;
  const tl_data_file *file = &c->snapshot->files[c->file];
  int64_t rows = number(cells[0]), astray = number(cells[1]);
  c->out->rows += rows;
  if (file->rows >= 0 && rows != file->rows) report(c, file->path, "it has %" PRId64 " rows, the log says %" PRId64, rows, file->rows);
  if (astray) report(c, file->path, "%" PRId64 " rows do not belong to its partition", astray);
  size_t at = 2;
  for (size_t i = 0; i < c->snapshot->fields.count; i++)
    if (in_file(c, i)) {
      check_column(c, i, cells + at);
      at += 4;
    }
  return TL_OK;
}

/* Partition values that follow from a column in the file. */
static void add_astray(const checking *c, tl_sql *sql) {
  const tl_partitioning *partitioning = &c->snapshot->partitioning;
  tl_sql_add(sql, "CAST(count(*) FILTER (WHERE false");
  for (size_t p = 0; p < partitioning->count; p++) {
    const tl_partition_field *part = &partitioning->items[p];
    const char *text = c->snapshot->files[c->file].partition[p];
    if (part->column == part->source || part->transform == TL_TRANSFORM_OTHER || part->transform == TL_TRANSFORM_IDENTITY || !in_file(c, (size_t)part->source)) continue;
    tl_sql_add(sql, " OR (");
    tl_ops_partition_sql(sql, &c->snapshot->fields, part);
    tl_sql_add(sql, ") IS DISTINCT FROM ");
    tl_sql_value(sql, text, text ? strlen(text) : 0);
  }
  tl_sql_add(sql, ") AS VARCHAR)");
}

static tl_status check_rows(checking *c, tl_error *err) {
  tl_error why = {0};
  tl_sql sql = {.err = &why};
  tl_picks one = {&c->file, 1};
  tl_sql_add(&sql, "SELECT CAST(count(*) AS VARCHAR), ");
  add_astray(c, &sql);
  for (size_t i = 0; i < c->snapshot->fields.count; i++)
    if (in_file(c, i)) add_column(c, i, &sql);
  tl_sql_add(&sql, " FROM ");
  tl_status st = tl_ops_scan(c->relation, c->snapshot, &one, false, &sql);
  if (!st) st = tl_sql_rows(&sql, c->relation->link, take_answers, c);
  tl_sql_deinit(&sql);
  if (st == TL_ENOMEM) return tl_fail(err, st, "%s", why.message);
  if (st) report(c, c->snapshot->files[c->file].path, "it cannot be read: %.300s", why.message);
  return TL_OK;
}

static bool lies_here(const tl_relation *relation, const char *path) { return relation->store && path[0] != '/' && !strstr(path, "://") && strncmp(path, "file:", 5) != 0; }

/* Is `folder` (ends at a slash) the text with %XX for some of its bytes? */
static bool spells(const char *folder, const char *text) {
  for (; *folder != '/'; text++) {
    bool coded = *folder == '%' && tl_hex_digit(folder[1]) >= 0 && tl_hex_digit(folder[2]) >= 0;
    if (!*text || (unsigned char)*text != (coded ? tl_hex_digit(folder[1]) * 16 + tl_hex_digit(folder[2]) : (unsigned char)*folder)) return false;
    folder += coded ? 3 : 1;
  }
  return !*text;
}

/* The value of an identity partition is in no column of the file: the folder is the only other witness. */
static void check_folders(checking *c) {
  const tl_data_file *file = &c->snapshot->files[c->file];
  const tl_partitioning *partitioning = &c->snapshot->partitioning;
  for (size_t p = 0; p < partitioning->count && tl_ops_is_ours(file->path); p++) {
    const tl_partition_field *part = &partitioning->items[p];
    tl_field_type type = c->snapshot->fields.items[part->source].type;
    bool one_text = type == TL_FIELD_STRING || type == TL_FIELD_DATE || type <= TL_FIELD_I64; /* of a value; numbers with a point may have two */
    const char *value = file->partition[p] ? file->partition[p] : "__HIVE_DEFAULT_PARTITION__";
    size_t len = strlen(part->name);
    for (const char *at = file->path, *slash; part->transform == TL_TRANSFORM_IDENTITY && one_text && (slash = strchr(at, '/')); at = slash + 1)
      if (!strncmp(at, part->name, len) && at[len] == '=' && !spells(at + len + 1, value))
        report(c, file->path, "it lies in '%.*s', the log says %s=%.100s", (int)(slash - at), at, part->name, value);
  }
}

static tl_status check_file(checking *c, tl_error *err) {
  const tl_data_file *file = &c->snapshot->files[c->file];
  tl_store_info info = {.size_bytes = file->size_bytes};
  c->wrong = false;
  c->out->files++;
  tl_status st = lies_here(c->relation, file->path) ? tl_store_stat(c->relation->store, file->path, &info, err) : TL_OK;
  if (st == TL_ENOTFOUND) {
    report(c, file->path, "it is gone");
    return TL_OK;
  }
  if (st) return st;
  c->out->bytes += info.size_bytes;
  if (c->file && !strcmp(c->snapshot->files[c->file - 1].path, file->path)) report(c, file->path, "the log lists it twice");
  check_folders(c);
  if (info.size_bytes != file->size_bytes) report(c, file->path, "it is %" PRId64 " bytes long, the log says %" PRId64, info.size_bytes, file->size_bytes);
  st = tl_snapshot_stats(c->snapshot, c->file, &c->stats, err);
  if (!st) st = check_rows(c, err);
  tl_file_stats_deinit(&c->stats);
  return st;
}

static void check_faces(checking *c) {
  const tl_snapshot *a = c->relation->faces[0].snapshot, *b = c->relation->faces[1].snapshot;
  size_t i = 0, k = 0;
  while (i < a->file_count || k < b->file_count) {
    int order = i == a->file_count ? 1 : k == b->file_count ? -1 : strcmp(a->files[i].path, b->files[k].path);
    c->wrong = false;
    if (order < 0) report(c, a->files[i].path, "Delta has it and Iceberg has not");
    if (order > 0) report(c, b->files[k].path, "Iceberg has it and Delta has not");
    i += order <= 0;
    k += order >= 0;
  }
}

tl_status tl_relation_verify(tl_relation *relation, void (*each)(void *to, const char *path, const char *problem), void *to,
                             tl_verified *out, tl_error *err) {
  tl_status st = tl_relation_reload(relation, err);
  *out = (tl_verified){0};
  checking c = {.relation = relation, .snapshot = relation->faces[0].snapshot, .each = each, .to = to, .out = out};
  if (!st && relation->face_count == 2) check_faces(&c);
  for (c.file = 0; !st && c.file < c.snapshot->file_count; c.file++) st = check_file(&c, err);
  return st;
}
