/* prune.c - which files can hold a row that a condition is true for.
 *
 * A condition is cut at its outermost ANDs. A part that names partition columns only is answered by DuckDB, once per
 * partition. A part of the form  column = 1, < <= > >= BETWEEN, IN (...), IS [NOT] NULL  with constants is held against
 * the bounds of each file, and against the span a month, day or year partition puts around its source. Anything else
 * prunes nothing. Sound by these rules: a constant counts only when the column's type holds it exactly; NaN is above
 * every number and in no bound, so an upper bound of floats counts only where there is known to be no NaN; what the log
 * does not say is unknown. Cost: one query per constant, one decoding of a file's statistics at most. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "market/number.h"
#include "market/time.h"
#include "table/ops/ops.h"

/* ---- values ---- */

static bool is_time(tl_field_type type) { return type == TL_FIELD_TIMESTAMP || type == TL_FIELD_TIMESTAMP_NTZ; }
static bool is_float(tl_field_type type) { return type == TL_FIELD_F32 || type == TL_FIELD_F64; }
static bool is_whole(tl_field_type type) { return type == TL_FIELD_I8 || type == TL_FIELD_I16 || type == TL_FIELD_I32 || type == TL_FIELD_I64; }

bool tl_ops_datum_sql(tl_sql *sql, const tl_field *field, const char *expression) {
  if (field->type == TL_FIELD_STRING) tl_sql_addf(sql, "(%s)", expression);
  else if (field->type == TL_FIELD_BOOL) tl_sql_addf(sql, "CAST(CAST((%s) AS INTEGER) AS VARCHAR)", expression);
  else if (is_whole(field->type) || (field->type == TL_FIELD_DECIMAL && field->precision <= 18)) tl_sql_addf(sql, "CAST((%s) AS VARCHAR)", expression);
  else if (is_float(field->type)) tl_sql_addf(sql, "CASE WHEN isfinite(%s) THEN CAST(CAST((%s) AS DOUBLE) AS VARCHAR) END", expression, expression);
  else if (field->type == TL_FIELD_DATE) tl_sql_addf(sql, "CASE WHEN isfinite(%s) THEN CAST(datediff('day', DATE '1970-01-01', (%s)) AS VARCHAR) END", expression, expression);
  else if (is_time(field->type)) tl_sql_addf(sql, "CASE WHEN isfinite(%s) THEN CAST(epoch_us(%s) AS VARCHAR) END", expression, expression);
  else return false;
  return true;
}

static bool parse_unscaled(const char *text, size_t len, int64_t *out) {
  char digits[40];
  size_t at = 0;
  for (size_t i = 0; i < len; i++) {
    if (text[i] == '.') continue;
    if (at + 1 >= sizeof digits || (!(text[i] == '-' && i == 0) && (text[i] < '0' || text[i] > '9'))) return false;
    digits[at++] = text[i];
  }
  digits[at] = 0;
  char *end = NULL;
  long long value = strtoll(digits, &end, 10);
  *out = value;
  return at > 0 && at < 21 && *end == 0;
}

bool tl_ops_datum_parse(const tl_field *field, const char *text, size_t len, tl_datum *out) {
  *out = (tl_datum){0};
  if (field->type == TL_FIELD_STRING) {
    out->text = (char *)(uintptr_t)text; /* borrowed: whoever keeps it copies */
    out->len = len;
    return true;
  }
  if (is_float(field->type)) {
    double value = 0;
    if (tl_number_f64(text, len, &value) != TL_NUMBER_OK) return false;
    out->f64 = field->type == TL_FIELD_F32 ? (double)(float)value : value;
    return true;
  }
  return parse_unscaled(text, len, &out->i64);
}

int tl_ops_datum_compare(const tl_field *field, const tl_datum *a, const tl_datum *b) {
  if (is_float(field->type)) return (a->f64 > b->f64) - (a->f64 < b->f64);
  if (field->type != TL_FIELD_STRING && field->type != TL_FIELD_BINARY) return (a->i64 > b->i64) - (a->i64 < b->i64);
  size_t len = a->len < b->len ? a->len : b->len;
  int order = len ? memcmp(a->text, b->text, len) : 0;
  return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* ---- what a partition says of its source ---- */

static bool day_of_text(const char *text, int month_add, tl_transform transform, int32_t *out) {
  char date[16];
  int year = 0, month = 1, day = 1;
  size_t len = strlen(text);
  size_t wanted = transform == TL_TRANSFORM_YEAR ? 4 : transform == TL_TRANSFORM_MONTH ? 7 : 10;
  if (len != wanted) return false;
  snprintf(date, sizeof date, "%s%s", text, wanted == 4 ? "-01-01" : wanted == 7 ? "-01" : "");
  if (!tl_day_parse(date, 10, out)) return false;
  tl_civil_from_day(*out, &year, &month, &day);
  if (month_add && transform == TL_TRANSFORM_DAY) ++*out;
  else if (month_add) {
    year += transform == TL_TRANSFORM_YEAR || month == 12;
    month = transform == TL_TRANSFORM_YEAR || month == 12 ? 1 : month + 1;
    *out = tl_day_from_civil(year, month, 1);
  }
  return true;
}

static bool transform_bounds(const tl_snapshot *snapshot, size_t file, size_t field, tl_column_bounds *out) {
  bool time = is_time(snapshot->fields.items[field].type);
  int32_t first, behind;
  for (size_t p = 0; p < snapshot->partitioning.count; p++) {
    const tl_partition_field *part = &snapshot->partitioning.items[p];
    const char *text = snapshot->files[file].partition[p];
    bool span = part->transform == TL_TRANSFORM_YEAR || part->transform == TL_TRANSFORM_MONTH || part->transform == TL_TRANSFORM_DAY;
    if (part->source != (int)field || !span || !text) continue;
    if (!day_of_text(text, 0, part->transform, &first) || !day_of_text(text, 1, part->transform, &behind)) continue;
    const int64_t day_us = TL_NS_PER_DAY / TL_NS_PER_US;
    out->min = (tl_datum){.i64 = time ? first * day_us : first};
    out->max = (tl_datum){.i64 = time ? behind * day_us - 1 : behind - 1};
    out->has_min = out->has_max = true;
    out->null_count = 0;
    return true;
  }
  return false;
}

bool tl_ops_bounds(const tl_snapshot *snapshot, size_t file, const tl_file_stats *stats, size_t field, tl_column_bounds *out) {
  *out = (tl_column_bounds){.null_count = -1, .nan_count = -1, .value_count = -1, .size_bytes = -1};
  if (field < stats->count) *out = stats->columns[field];
  if (!out->has_min || !out->has_max) transform_bounds(snapshot, file, field, out);
  int64_t rows = snapshot->files[file].rows;
  return !(rows > 0 && out->null_count == rows);
}

/* ---- words of a condition ---- */

typedef struct token {
  enum { T_WORD, T_NAME, T_STRING, T_NUMBER, T_SIGN, T_END } kind; /* NAME: "quoted" */
  const char *text;
  size_t len;
} token;

typedef struct tokens {
  token *items;
  size_t count, capacity;
} tokens;

static bool word_byte(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (unsigned char)c >= 0x80; }

static size_t quoted_len(const char *p, char quote) {
  size_t i = 1;
  for (; p[i]; i++)
    if (p[i] == quote) {
      if (p[i + 1] != quote) return i + 1;
      i++;
    }
  return 0;
}

/* One token at p; false for what this reader does not know (comments, dollar quotes, e'it\'s'): then nothing is pruned. */
static bool read_token(const char *p, token *out) {
  *out = (token){T_SIGN, p, 1};
  if (*p == '\'' || *p == '"') {
    out->kind = *p == '"' ? T_NAME : T_STRING;
    out->len = quoted_len(p, *p);
  } else if (*p >= '0' && *p <= '9') {
    out->kind = T_NUMBER;
    while (word_byte(p[out->len]) || p[out->len] == '.' || ((p[out->len] == '+' || p[out->len] == '-') && (p[out->len - 1] | 32) == 'e')) out->len++;
  } else if (word_byte(*p)) {
    out->kind = T_WORD;
    while (word_byte(p[out->len])) out->len++;
    if (out->len == 1 && (*p | 32) == 'e' && p[1] == '\'') return false;
  } else if (strchr("<>!=:", *p)) {
    while (strchr("<>=:", p[out->len]) && p[out->len]) out->len++;
  } else if (!strncmp(p, "--", 2) || !strncmp(p, "/*", 2) || *p == '$') {
    return false;
  }
  return out->len > 0;
}

static bool push_token(tokens *list, token t) {
  if (list->count == list->capacity) {
    size_t capacity = list->capacity ? list->capacity * 2 : 64;
    token *grown = tl_realloc_array(list->items, capacity, sizeof *grown);
    if (!grown) return false;
    list->items = grown;
    list->capacity = capacity;
  }
  list->items[list->count++] = t;
  return true;
}

static bool read_tokens(const char *text, tokens *list) {
  token t;
  for (const char *p = text; *p; p += t.len) {
    t = (token){.len = 1};
    if (strchr(" \t\r\n", *p)) continue;
    if (!read_token(p, &t) || !push_token(list, t)) return false;
  }
  return push_token(list, (token){T_END, text + strlen(text), 0});
}

static bool is_word(const token *t, const char *word) { return t->kind == T_WORD && strlen(word) == t->len && !strncasecmp(t->text, word, t->len); }
static bool is_sign(const token *t, const char *sign) { return t->kind == T_SIGN && strlen(sign) == t->len && !strncmp(t->text, sign, t->len); }

/* ---- one part: column, comparison, constants ---- */

enum { CONSTANTS_MAX = 1000 };
typedef enum compare { C_EQ, C_LT, C_LE, C_GT, C_GE, C_NULL, C_NOT_NULL } compare;

typedef struct simple {
  size_t field;
  compare op;
  tl_datum *values; /* text of strings is heap */
  size_t count;
} simple;

static void simple_deinit(simple *s) {
  for (size_t i = 0; i < s->count; i++) tl_free(s->values[i].text);
  tl_free(s->values);
  *s = (simple){0};
}

static int column_of(const tl_fields *fields, const token *t) {
  char name[256];
  size_t at = 0;
  if ((t->kind != T_WORD && t->kind != T_NAME) || t->len + 1 > sizeof name) return -1;
  bool quoted = t->kind == T_NAME;
  for (size_t i = quoted; i < t->len - quoted; i++) {
    name[at++] = t->text[i];
    if (quoted && t->text[i] == '"') i++;
  }
  name[at] = 0;
  return tl_fields_find(fields, name);
}

/* A constant at tokens[at]: how many tokens it takes, 0 when there is none. */
static size_t constant_at(const token *t) {
  static const char *const types[] = {"DATE", "TIMESTAMP", "TIMESTAMPTZ"};
  size_t at = 0;
  if (is_sign(&t[0], "-")) at++;
  for (size_t i = 0; at == 0 && i < sizeof types / sizeof *types; i++)
    if (is_word(&t[0], types[i])) at++;
  if (at == 0 && (is_word(&t[0], "TRUE") || is_word(&t[0], "FALSE"))) return 1;
  if (t[at].kind != T_STRING && t[at].kind != T_NUMBER) return 0;
  if (at && is_sign(&t[0], "-") && t[at].kind != T_NUMBER) return 0;
  at++;
  while (is_sign(&t[at], "::") && t[at + 1].kind == T_WORD) at += 2;
  return at;
}

typedef struct answer {
  tl_buf text;
  bool there;
} answer;

static tl_status take_answer(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  (void)count;
  answer *a = to;
  a->there = cells[0].text != NULL;
  return a->there ? tl_buf_append(&a->text, cells[0].text, cells[0].len, err) : TL_OK;
}

/* The constant in the column's type, when it is exactly that; *fits false otherwise. */
static tl_status evaluate(tl_relation *relation, const tl_field *field, const char *text, size_t len, tl_datum *out, bool *fits, tl_error *err) {
  answer a = {0};
  tl_buf type = {0}, cast = {0};
  tl_sql sql = {.err = err};
  *fits = false;
  tl_status st = tl_field_sql_type(field, &type, err);
  if (!st) st = tl_buf_appendf(&cast, err, "TRY_CAST((%.*s) AS %s)", (int)len, text, type.data);
  if (st) goto done;
  tl_sql_addf(&sql, "SELECT CASE WHEN %s = (%.*s)", cast.data, (int)len, text);
  if (field->type == TL_FIELD_STRING) tl_sql_addf(&sql, " AND typeof(%.*s) = 'VARCHAR'", (int)len, text);
  if (is_whole(field->type)) tl_sql_addf(&sql, " AND typeof(%.*s) NOT IN ('DOUBLE', 'FLOAT')", (int)len, text);
  tl_sql_add(&sql, " THEN ");
  bool has_form = tl_ops_datum_sql(&sql, field, cast.data);
  tl_sql_add(&sql, " END");
  st = sql.st;
  if (!st && has_form && tl_link_rows(relation->link, sql.buf.data, take_answer, &a, NULL) == TL_OK && a.there && a.text.data) {
    *fits = tl_ops_datum_parse(field, a.text.data, a.text.len, out);
    if (*fits && out->text && !(out->text = tl_strndup(a.text.data, a.text.len))) st = tl_fail(err, TL_ENOMEM, "cannot read a condition");
  } else if (!st && a.there && has_form && field->type == TL_FIELD_STRING) { /* the empty text */
    *out = (tl_datum){.text = tl_strdup("")};
    *fits = out->text != NULL;
  }
done:
  tl_sql_deinit(&sql);
  tl_buf_deinit(&type);
  tl_buf_deinit(&cast);
  tl_buf_deinit(&a.text);
  return st;
}

static tl_status add_constant(tl_relation *relation, const tl_snapshot *snapshot, simple *s, const token *t, size_t count, bool *fits, tl_error *err) {
  tl_datum *grown = s->count < CONSTANTS_MAX ? tl_realloc_array(s->values, s->count + 1, sizeof *grown) : NULL;
  *fits = false;
  if (!grown) return s->count < CONSTANTS_MAX ? tl_fail(err, TL_ENOMEM, "cannot read a condition") : TL_OK;
  s->values = grown;
  size_t len = (size_t)(t[count - 1].text + t[count - 1].len - t[0].text);
  tl_status st = evaluate(relation, &snapshot->fields.items[s->field], t[0].text, len, &s->values[s->count], fits, err);
  if (!st && *fits) s->count++;
  return st;
}

static bool read_compare(const token *t, bool turned, compare *out) {
  static const struct {
    const char *sign;
    compare op, turned;
  } signs[] = {{"=", C_EQ, C_EQ}, {"==", C_EQ, C_EQ}, {"<", C_LT, C_GT}, {"<=", C_LE, C_GE}, {">", C_GT, C_LT}, {">=", C_GE, C_LE}};
  for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
    if (is_sign(t, signs[i].sign)) {
      *out = turned ? signs[i].turned : signs[i].op;
      return true;
    }
  return false;
}

typedef struct simples {
  simple *items;
  size_t count;
} simples;

static tl_status push_simple(simples *list, simple *s, tl_error *err) {
  simple *grown = tl_realloc_array(list->items, list->count + 1, sizeof *grown);
  if (!grown) {
    simple_deinit(s);
    return tl_fail(err, TL_ENOMEM, "cannot read a condition");
  }
  list->items = grown;
  list->items[list->count++] = *s;
  *s = (simple){0};
  return TL_OK;
}

/* column op constant */
static tl_status take_comparison(tl_relation *relation, const tl_snapshot *snapshot, size_t field, compare op, const token *t, size_t count,
                                 simples *list, tl_error *err) {
  simple s = {.field = field, .op = op};
  bool fits = false;
  tl_status st = add_constant(relation, snapshot, &s, t, count, &fits, err);
  if (!st && fits) return push_simple(list, &s, err);
  simple_deinit(&s);
  return st;
}

static tl_status take_in(tl_relation *relation, const tl_snapshot *snapshot, size_t field, const token *t, const token *end, simples *list, tl_error *err) {
  simple s = {.field = field, .op = C_EQ};
  bool fits = true;
  tl_status st = TL_OK;
  while (!st && fits) {
    size_t count = constant_at(t);
    if (!count || t + count >= end) fits = false;
    else st = add_constant(relation, snapshot, &s, t, count, &fits, err);
    if (st || !fits) break;
    t += count;
    if (is_sign(t, ")") && t + 1 == end) return push_simple(list, &s, err);
    if (!is_sign(t, ",")) fits = false;
    t++;
  }
  simple_deinit(&s);
  return st;
}

/* The tokens [t, end) as one simple part; what is not one adds nothing. */
static tl_status take_part(tl_relation *relation, const tl_snapshot *snapshot, const token *t, const token *end, simples *list, tl_error *err) {
  compare op;
  int field = column_of(&snapshot->fields, t);
  size_t count = field < 0 ? constant_at(t) : 0;
  if (field < 0 && count && t + count + 2 == end && read_compare(&t[count], true, &op)) {
    field = column_of(&snapshot->fields, &t[count + 1]);
    return field < 0 ? TL_OK : take_comparison(relation, snapshot, (size_t)field, op, t, count, list, err);
  }
  if (field < 0) return TL_OK;
  t++;
  if (is_word(t, "IS")) {
    bool negated = is_word(t + 1, "NOT");
    simple s = {.field = (size_t)field, .op = negated ? C_NOT_NULL : C_NULL};
    return is_word(t + 1 + negated, "NULL") && t + 2 + negated == end ? push_simple(list, &s, err) : TL_OK;
  }
  if (is_word(t, "IN") && is_sign(t + 1, "(")) return take_in(relation, snapshot, (size_t)field, t + 2, end, list, err);
  if (is_word(t, "BETWEEN")) {
    size_t low = constant_at(t + 1), high = low && is_word(t + 1 + low, "AND") ? constant_at(t + 2 + low) : 0;
    if (!high || t + 2 + low + high != end) return TL_OK;
    tl_status st = take_comparison(relation, snapshot, (size_t)field, C_GE, t + 1, low, list, err);
    return st ? st : take_comparison(relation, snapshot, (size_t)field, C_LE, t + 2 + low, high, list, err);
  }
  count = read_compare(t, false, &op) ? constant_at(t + 1) : 0;
  if (!count || t + 1 + count != end) return TL_OK;
  return take_comparison(relation, snapshot, (size_t)field, op, t + 1, count, list, err);
}

/* ---- a file against the parts ---- */

static bool holds_any(const tl_field *field, const tl_column_bounds *b, const simple *s) {
  for (size_t i = 0; i < s->count; i++)
    if (!(b->has_min && tl_ops_datum_compare(field, &s->values[i], &b->min) < 0) &&
        !(b->has_max && tl_ops_datum_compare(field, &s->values[i], &b->max) > 0))
      return true;
  return false;
}

static bool may_hold(const tl_snapshot *snapshot, size_t file, const tl_file_stats *stats, const simple *s) {
  const tl_field *field = &snapshot->fields.items[s->field];
  tl_column_bounds b;
  bool some = tl_ops_bounds(snapshot, file, stats, s->field, &b);
  if (s->op == C_NULL) return b.null_count != 0;
  if (!some) return false;
  bool has_max = b.has_max && (!is_float(field->type) || b.nan_count == 0);
  switch (s->op) {
    case C_EQ: return holds_any(field, &b, s);
    case C_LT: return !b.has_min || tl_ops_datum_compare(field, &b.min, &s->values[0]) < 0;
    case C_LE: return !b.has_min || tl_ops_datum_compare(field, &b.min, &s->values[0]) <= 0;
    case C_GT: return !has_max || tl_ops_datum_compare(field, &b.max, &s->values[0]) > 0;
    case C_GE: return !has_max || tl_ops_datum_compare(field, &b.max, &s->values[0]) >= 0;
    default: return true;
  }
}

static tl_status keep_files(const tl_snapshot *snapshot, const simples *parts, tl_picks *files, tl_error *err) {
  tl_status st = TL_OK;
  size_t kept = 0;
  for (size_t i = 0; !st && i < files->count; i++) {
    tl_file_stats stats = {0};
    st = tl_snapshot_stats(snapshot, files->items[i], &stats, err);
    bool may = true;
    for (size_t k = 0; !st && may && k < parts->count; k++) may = may_hold(snapshot, files->items[i], &stats, &parts->items[k]);
    tl_file_stats_deinit(&stats);
    if (may) files->items[kept++] = files->items[i];
  }
  if (!st) files->count = kept;
  return st;
}

/* ---- partitions ---- */

static void typed_columns(tl_sql *sql, const tl_snapshot *snapshot, bool nulls) {
  for (size_t p = 0; p < snapshot->partitioning.count; p++) {
    int column = snapshot->partitioning.items[p].column;
    if (column < 0) continue;
    if (nulls) tl_sql_add(sql, ", CAST(NULL AS ");
    else tl_sql_addf(sql, ", CAST(\"tl#k%zu\" AS ", p);
    tl_sql_type(sql, &snapshot->fields.items[column]);
    tl_sql_add(sql, ") AS ");
    tl_sql_name(sql, snapshot->fields.items[column].name);
  }
}

bool tl_ops_partition_only(tl_relation *relation, const tl_snapshot *snapshot, const char *where) {
  tl_sql sql = {0};
  tl_sql_add(&sql, "SELECT 1 FROM (SELECT 1 AS \"tl#none\"");
  typed_columns(&sql, snapshot, true);
  tl_sql_addf(&sql, ") WHERE (%s\n)", where);
  bool binds = tl_sql_check(&sql, relation->link) == TL_OK;
  tl_sql_deinit(&sql);
  return binds;
}

static bool same_partition(const tl_snapshot *snapshot, size_t a, size_t b) {
  for (size_t p = 0; p < snapshot->partitioning.count; p++) {
    const char *x = snapshot->files[a].partition[p], *y = snapshot->files[b].partition[p];
    if (!x != !y || (x && strcmp(x, y) != 0)) return false;
  }
  return true;
}

typedef struct marks {
  bool *items;
  size_t count;
} marks;

static tl_status take_mark(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  (void)count;
  marks *m = to;
  int64_t at = 0;
  if (tl_number_i64(cells[0].text, cells[0].len, &at) != TL_NUMBER_OK || at < 0 || (size_t)at >= m->count)
    return tl_fail(err, TL_EINTERNAL, "a partition answered with no number of its own");
  m->items[at] = true;
  return TL_OK;
}

tl_status tl_ops_partition_picks(tl_relation *relation, const tl_snapshot *snapshot, const char *where, tl_picks *out, tl_error *err) {
  marks m = {tl_calloc(snapshot->file_count ? snapshot->file_count : 1, sizeof(bool)), snapshot->file_count};
  tl_sql sql = {.err = err};
  tl_status st = m.items ? tl_picks_all(snapshot, out, err) : tl_fail(err, TL_ENOMEM, "cannot look at partitions");
  if (st || !snapshot->file_count) goto done;
  size_t columns = snapshot->partitioning.count;
  tl_sql_add(&sql, "SELECT CAST(\"tl#i\" AS VARCHAR) FROM (SELECT \"tl#i\"");
  typed_columns(&sql, snapshot, false);
  tl_sql_add(&sql, " FROM (VALUES ");
  for (size_t f = 0; f < snapshot->file_count; f++) { /* one row for each run of files of one partition */
    if (f && same_partition(snapshot, f - 1, f)) continue;
    tl_sql_addf(&sql, "%s(%zu", f ? ", " : "", f);
    for (size_t p = 0; p < columns; p++) {
      const char *text = snapshot->files[f].partition[p];
      tl_sql_add(&sql, ", ");
      tl_sql_value(&sql, text, text ? strlen(text) : 0);
      tl_sql_add(&sql, f ? "" : "::VARCHAR");
    }
    tl_sql_add(&sql, ")");
  }
  tl_sql_add(&sql, ") v(\"tl#i\""); /* no name a column could have */
  for (size_t p = 0; p < columns; p++) tl_sql_addf(&sql, ", \"tl#k%zu\"", p);
  tl_sql_addf(&sql, ")) WHERE (%s\n)", where);
  st = tl_sql_rows(&sql, relation->link, take_mark, &m);
  out->count = 0;
  for (size_t f = 0; !st && f < snapshot->file_count; f++) {
    if (f && same_partition(snapshot, f - 1, f)) m.items[f] = m.items[f - 1];
    if (m.items[f]) out->items[out->count++] = f;
  }
done:
  tl_sql_deinit(&sql);
  tl_free(m.items);
  if (st) tl_picks_deinit(out);
  return st;
}

/* ---- the whole ---- */

void tl_picks_deinit(tl_picks *picks) {
  tl_free(picks->items);
  *picks = (tl_picks){0};
}

tl_status tl_picks_all(const tl_snapshot *snapshot, tl_picks *out, tl_error *err) {
  *out = (tl_picks){tl_calloc(snapshot->file_count ? snapshot->file_count : 1, sizeof *out->items), snapshot->file_count};
  for (size_t i = 0; out->items && i < out->count; i++) out->items[i] = i;
  return out->items ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot list %zu files", snapshot->file_count);
}

static int deeper(const token *t) { /* brackets of every kind hold conditions: [a AND b, c][2] */
  if (t->kind != T_SIGN || t->len != 1) return 0;
  return (*t->text == '(' || *t->text == '[' || *t->text == '{') - (*t->text == ')' || *t->text == ']' || *t->text == '}');
}

/* Goes through the parts between outermost ANDs; a condition with an outermost OR, or a CASE, is one part. */
static tl_status each_part(tl_relation *relation, const tl_snapshot *snapshot, const tokens *list, tl_buf *partitions, simples *parts, tl_error *err) {
  const token *start = list->items, *last = list->items + list->count - 1;
  int depth = 0;
  bool between = false, whole = false;
  for (const token *t = start; t < last; t++) {
    depth += deeper(t);
    whole |= is_word(t, "CASE") || (depth == 0 && is_word(t, "OR"));
  }
  tl_status st = TL_OK;
  depth = 0;
  for (const token *t = start; !st && t <= last; t++) {
    depth += deeper(t);
    between |= depth == 0 && is_word(t, "BETWEEN");
    bool cut = t == last || (!whole && depth == 0 && is_word(t, "AND") && !between);
    if (!cut && depth == 0 && is_word(t, "AND")) between = false;
    if (!cut || t == start) continue;
    tl_buf text = {0};
    st = tl_buf_append(&text, start->text, (size_t)(t[-1].text + t[-1].len - start->text), err);
    if (!st && tl_ops_partition_only(relation, snapshot, text.data)) st = tl_buf_appendf(partitions, err, "%s(%s)", partitions->len ? " AND " : "", text.data);
    else if (!st && !whole) st = take_part(relation, snapshot, start, t, parts, err);
    tl_buf_deinit(&text);
    start = t + 1;
  }
  return st;
}

/* A condition that says nothing of this table is refused, whatever files there are. */
static tl_status check_condition(tl_relation *relation, const tl_snapshot *snapshot, const char *where, tl_error *err) {
  tl_sql sql = {.err = err};
  tl_sql_add(&sql, "SELECT 1 FROM ");
  tl_ops_scan(relation, snapshot, &(tl_picks){0}, false, &sql);
  tl_sql_addf(&sql, " WHERE (%s\n)", where);
  tl_status st = tl_sql_check(&sql, relation->link);
  tl_sql_deinit(&sql);
  return st;
}

tl_status tl_ops_prune(tl_relation *relation, const tl_snapshot *snapshot, const char *where, tl_picks *out, tl_error *err) {
  tokens list = {0};
  simples parts = {0};
  tl_buf partitions = {0};
  *out = (tl_picks){0};
  tl_status st = where ? check_condition(relation, snapshot, where, err) : TL_OK;
  if (!st && where && read_tokens(where, &list)) st = each_part(relation, snapshot, &list, &partitions, &parts, err);
  if (!st && partitions.len) st = tl_ops_partition_picks(relation, snapshot, partitions.data, out, err);
  else if (!st) st = tl_picks_all(snapshot, out, err);
  if (!st && parts.count) st = keep_files(snapshot, &parts, out, err);
  for (size_t i = 0; i < parts.count; i++) simple_deinit(&parts.items[i]);
  tl_free(parts.items);
  tl_free(list.items);
  tl_buf_deinit(&partitions);
  if (st) tl_picks_deinit(out);
  return st;
}
