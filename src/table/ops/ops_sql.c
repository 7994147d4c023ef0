/* ops_sql.c - SQL being built and run; columns, partitions and orders as SQL. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "market/symbol.h"
#include "table/ops/ops.h"

void tl_sql_addf(tl_sql *sql, const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (!sql->st) sql->st = tl_buf_vappendf(&sql->buf, sql->err, format, args);
  va_end(args);
}

void tl_sql_add(tl_sql *sql, const char *text) {
  if (!sql->st) sql->st = tl_buf_appends(&sql->buf, text, sql->err);
}

void tl_sql_name(tl_sql *sql, const char *name) {
  tl_sql_add(sql, "\"");
  for (const char *p = name; !sql->st && *p; p++) sql->st = tl_buf_append(&sql->buf, *p == '"' ? "\"\"" : p, *p == '"' ? 2 : 1, sql->err);
  tl_sql_add(sql, "\"");
}

void tl_sql_value(tl_sql *sql, const char *text, size_t len) {
  if (!text) tl_sql_add(sql, "NULL");
  else if (!sql->st) sql->st = tl_sql_quote(&sql->buf, text, len, sql->err);
}

void tl_sql_type(tl_sql *sql, const tl_field *field) {
  if (!sql->st) sql->st = tl_field_sql_type(field, &sql->buf, sql->err);
}

void tl_sql_deinit(tl_sql *sql) {
  tl_buf_deinit(&sql->buf);
  sql->st = TL_OK;
}

static bool lost_reason(const tl_error *err) { return err && strstr(err->message, "DuckDB lost the reason"); }

/* DuckDB quotes the line of the statement it means, which is ours: the caller wrote a part of it at most. */
static tl_status without_statement(tl_status st, tl_error *err) {
  char *quoted = st == TL_ESQL && err ? strstr(err->message, "\n\nLINE ") : NULL;
  if (quoted) *quoted = 0;
  return st;
}

enum { TRIES = 8 }; /* to hear a reason that one of several threads lost */

tl_status tl_sql_run(tl_sql *sql, tl_link *link) {
  tl_status st = sql->st;
  for (int i = 0; i < TRIES && !sql->st && (i == 0 || (st == TL_ESQL && lost_reason(sql->err))); i++)
    st = tl_link_run(link, sql->buf.data, sql->err);
  tl_buf_clear(&sql->buf);
  return without_statement(st, sql->err);
}

tl_status tl_sql_numbers(tl_sql *sql, tl_link *link, int64_t *out, size_t count) {
  tl_status st = sql->st;
  for (int i = 0; i < TRIES && !sql->st && (i == 0 || (st == TL_ESQL && lost_reason(sql->err))); i++)
    st = tl_link_numbers(link, sql->buf.data, out, count, sql->err);
  tl_buf_clear(&sql->buf);
  return without_statement(st, sql->err);
}

tl_status tl_sql_rows(tl_sql *sql, tl_link *link, tl_link_row each, void *to) {
  tl_status st = sql->st ? sql->st : tl_link_rows(link, sql->buf.data, each, to, sql->err);
  tl_buf_clear(&sql->buf);
  return without_statement(st, sql->err);
}

tl_status tl_sql_check(tl_sql *sql, tl_link *link) {
  tl_status st = sql->st ? sql->st : without_statement(tl_link_check(link, sql->buf.data, sql->err), sql->err);
  tl_buf_clear(&sql->buf);
  if (st == TL_ESQL && sql->err) sql->err->status = TL_EUSAGE;
  return st == TL_ESQL ? TL_EUSAGE : st;
}

bool tl_ops_is_wording(const tl_error *err) {
  static const char *const kinds[] = {"Parser Error", "Binder Error", "Catalog Error"};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (!strncmp(err->message, kinds[i], strlen(kinds[i]))) return true;
  return false;
}

tl_status tl_ops_wording(tl_status st, tl_error *err) {
  return st == TL_ESQL && err && tl_ops_is_wording(err) ? (err->status = TL_EUSAGE) : st;
}

tl_status tl_ops_refusal(tl_status st, tl_error *err) {
  static const char refusal[] = "Invalid Input Error: column '";
  if (st != TL_ESQL || !err) return st;
  char *at = strstr(err->message, refusal);
  if (!at) return st;
  memmove(err->message, at + sizeof "Invalid Input Error: " - 1, strlen(at + sizeof "Invalid Input Error: " - 1) + 1);
  return err->status = TL_EUSAGE;
}

/* ---- lists of words: "a, b(c), d DESC" ---- */

static tl_text trim(tl_text text) {
  while (text.len && strchr(" \t\r\n", text.data[0])) text = tl_text_of(text.data + 1, text.len - 1);
  while (text.len && strchr(" \t\r\n", text.data[text.len - 1])) text.len--;
  return text;
}

/* The next item before a comma outside brackets and quotes; false at the end. */
static bool next_item(const char **at, tl_text *out) {
  if (!*at) return false;
  int depth = 0;
  char quote = 0;
  const char *p = *at;
  for (; *p && (quote || depth || *p != ','); p++) {
    if (quote) quote = *p == quote ? 0 : quote;
    else if (*p == '"' || *p == '\'') quote = *p;
    else if (*p == '(') depth++;
    else if (*p == ')') depth--;
  }
  *out = trim(tl_text_of(*at, (size_t)(p - *at)));
  *at = *p ? p + 1 : NULL;
  return true;
}

static char *unquoted(tl_text text) {
  if (text.len < 2 || text.data[0] != '"' || text.data[text.len - 1] != '"') return tl_strndup(text.data, text.len);
  char *name = tl_strndup(text.data + 1, text.len - 2), *to = name;
  for (char *from = name; from && *from; from++) {
    *to++ = *from;
    if (from[0] == '"' && from[1] == '"') from++;
  }
  if (name) *to = 0;
  return name;
}

static tl_status find_field(const tl_fields *fields, tl_text text, int *out, tl_error *err) {
  char *name = unquoted(text);
  if (!name) return tl_fail(err, TL_ENOMEM, "cannot look up a column");
  *out = tl_fields_find(fields, name);
  tl_free(name);
  if (*out >= 0) return TL_OK;
  return tl_fail(err, TL_EUSAGE, "the table has no column '%.*s'", (int)text.len, text.data);
}

tl_status tl_ops_columns(const char *words, const tl_fields *fields, size_t **out, size_t *count, tl_error *err) {
  tl_text item;
  *out = NULL;
  *count = 0;
  for (const char *at = words; next_item(&at, &item);) {
    int field = -1;
    size_t *grown = tl_realloc_array(*out, *count + 1, sizeof **out);
    if (grown) *out = grown;
    tl_status st = grown ? find_field(fields, item, &field, err) : tl_fail(err, TL_ENOMEM, "cannot read '%s'", words);
    for (size_t i = 0; !st && i < *count; i++)
      if ((*out)[i] == (size_t)field) st = tl_fail(err, TL_EUSAGE, "column '%s' is named twice in '%s'", fields->items[field].name, words);
    if (st) {
      tl_free(*out);
      *out = NULL;
      return st;
    }
    (*out)[(*count)++] = (size_t)field;
  }
  return TL_OK;
}

static bool cut_word(tl_text *text, const char *word) {
  size_t len = strlen(word);
  if (text->len <= len || strncasecmp(text->data + text->len - len, word, len) != 0 || text->data[text->len - len - 1] != ' ') return false;
  *text = trim(tl_text_of(text->data, text->len - len));
  return true;
}

tl_status tl_ops_order(const char *words, const tl_fields *fields, bool strict, tl_sql *out, tl_error *err) {
  tl_text item;
  for (const char *at = words; next_item(&at, &item);) {
    if (!item.len) continue;
    bool down = cut_word(&item, "desc");
    if (!down) cut_word(&item, "asc");
    int field = -1;
    tl_status st = find_field(fields, item, &field, strict ? err : NULL);
    if (st == TL_EUSAGE && !strict) continue;
    if (st) return st;
    if (out->buf.len) tl_sql_add(out, ", ");
    tl_sql_name(out, fields->items[field].name);
    if (down) tl_sql_add(out, " DESC");
  }
  return out->st;
}

/* ---- partitions ---- */

int tl_ops_partition_of(const tl_partitioning *partitioning, size_t field) {
  for (size_t i = 0; i < partitioning->count; i++)
    if (partitioning->items[i].column == (int)field) return (int)i;
  return -1;
}

static const struct {
  const char *name, *format;
  tl_transform transform;
} transforms[] = {{"year", "%Y", TL_TRANSFORM_YEAR}, {"month", "%Y-%m", TL_TRANSFORM_MONTH}, {"day", "%Y-%m-%d", TL_TRANSFORM_DAY},
                  {"bucket", NULL, TL_TRANSFORM_BUCKET}};
enum { TRANSFORMS = sizeof transforms / sizeof *transforms };

const char *tl_ops_transform_name(tl_transform transform) {
  for (size_t i = 0; i < TRANSFORMS; i++)
    if (transforms[i].transform == transform) return transforms[i].name;
  return NULL;
}

/* The date or the UTC clock time. A cast of TIMESTAMPTZ would ask the time zone library row by row, at 20 times the cost. */
static void plain_time(tl_sql *sql, const tl_field *field) {
  bool zoned = field->type == TL_FIELD_TIMESTAMP;
  tl_sql_add(sql, zoned ? "make_timestamp(epoch_us(" : "");
  tl_sql_name(sql, field->name);
  tl_sql_add(sql, zoned ? "))" : "");
}

static void time_text(tl_sql *sql, const tl_field *field, const char *format) {
  const char *type = field->type == TL_FIELD_DATE ? "DATE" : field->type == TL_FIELD_TIMESTAMP ? "TIMESTAMPTZ" : "TIMESTAMP";
  const char *zone = field->type == TL_FIELD_TIMESTAMP ? " 00:00:00+00" : "";
  tl_sql_add(sql, "CASE WHEN ");
  tl_sql_name(sql, field->name);
  tl_sql_addf(sql, " >= %s '0001-01-01%s' AND ", type, zone);
  tl_sql_name(sql, field->name);
  tl_sql_addf(sql, " < %s '10000-01-01%s' THEN strftime(", type, zone);
  plain_time(sql, field);
  tl_sql_addf(sql, ", '%s') WHEN ", format);
  tl_sql_name(sql, field->name);
  tl_sql_add(sql, " IS NOT NULL THEN error('column ''' || ");
  tl_sql_value(sql, field->name, strlen(field->name));
  tl_sql_add(sql, " || ''' holds a time that cannot name a partition: ' || CAST(");
  tl_sql_name(sql, field->name);
  tl_sql_add(sql, " AS VARCHAR)) END");
}

static void bucket_text(tl_sql *sql, const tl_field *field, int buckets) {
  bool text = field->type == TL_FIELD_STRING;
  tl_sql_addf(sql, "CAST(iceberg_bucket_%s(%d, ", text ? "text" : "number", buckets);
  if (field->type == TL_FIELD_DATE) tl_sql_add(sql, "datediff('day', DATE '1970-01-01', ");
  else if (field->type == TL_FIELD_TIMESTAMP || field->type == TL_FIELD_TIMESTAMP_NTZ) tl_sql_add(sql, "epoch_us(");
  else tl_sql_add(sql, text ? "(" : "CAST(");
  tl_sql_name(sql, field->name);
  tl_sql_add(sql, field->type == TL_FIELD_I32 || field->type == TL_FIELD_I64 ? " AS BIGINT)" : ")");
  tl_sql_add(sql, ") AS VARCHAR)");
}

void tl_ops_partition_sql(tl_sql *sql, const tl_fields *fields, const tl_partition_field *field) {
  const tl_field *source = &fields->items[field->source];
  bool time = source->type == TL_FIELD_TIMESTAMP || source->type == TL_FIELD_TIMESTAMP_NTZ;
  const char *format = NULL;
  for (size_t i = 0; i < TRANSFORMS; i++)
    if (transforms[i].transform == field->transform) format = transforms[i].format;
  if (field->transform == TL_TRANSFORM_BUCKET) {
    bucket_text(sql, source, field->buckets);
  } else if (format || time || source->type == TL_FIELD_DATE) {
    time_text(sql, source, format ? format : time ? "%Y-%m-%dT%H:%M:%S.%fZ" : "%Y-%m-%d");
  } else {
    tl_sql_add(sql, "CAST(");
    tl_sql_name(sql, source->name);
    tl_sql_add(sql, " AS VARCHAR)");
  }
}

static bool may_partition(tl_field_type type, tl_transform transform) {
  bool time = type == TL_FIELD_DATE || type == TL_FIELD_TIMESTAMP || type == TL_FIELD_TIMESTAMP_NTZ;
  bool whole = type == TL_FIELD_I32 || type == TL_FIELD_I64;
  switch (transform) {
    case TL_TRANSFORM_IDENTITY: return time || whole || type == TL_FIELD_BOOL || type == TL_FIELD_I8 || type == TL_FIELD_I16 || type == TL_FIELD_STRING || type == TL_FIELD_DECIMAL;
    case TL_TRANSFORM_BUCKET: return time || whole || type == TL_FIELD_STRING;
    default: return time;
  }
}

/* "bucket(16,symbol)" -> transform, buckets and the column's words; a plain name is identity. */
static tl_status read_transform(tl_text item, tl_partition_field *field, tl_text *column, tl_error *err) {
  const char *open = memchr(item.data, '(', item.len);
  *column = item;
  field->transform = TL_TRANSFORM_IDENTITY;
  if (!open || item.data[0] == '"') return TL_OK;
  tl_text word = trim(tl_text_of(item.data, (size_t)(open - item.data)));
  size_t i = 0;
  while (i < TRANSFORMS && !(strlen(transforms[i].name) == word.len && !strncasecmp(word.data, transforms[i].name, word.len))) i++;
  if (i == TRANSFORMS || item.data[item.len - 1] != ')')
    return tl_fail(err, TL_EUSAGE, "cannot partition by '%.*s': a column, year(c), month(c), day(c) or bucket(n, c)", (int)item.len, item.data);
  field->transform = transforms[i].transform;
  *column = trim(tl_text_of(open + 1, (size_t)(item.data + item.len - 1 - (open + 1))));
  if (field->transform != TL_TRANSFORM_BUCKET) return TL_OK;
  const char *comma = memchr(column->data, ',', column->len);
  long buckets = 0;
  for (const char *p = column->data; comma && p < comma; p++)
    if (*p >= '0' && *p <= '9' && buckets < 100000) buckets = buckets * 10 + (*p - '0');
    else if (*p != ' ') buckets = 100001;
  if (buckets < 1 || buckets > 100000) return tl_fail(err, TL_EUSAGE, "bucket takes how many and a column: bucket(16, symbol)");
  field->buckets = (int)buckets;
  *column = trim(tl_text_of(comma + 1, (size_t)(column->data + column->len - (comma + 1))));
  return TL_OK;
}

/* The column that holds what Delta cannot hide: `month`, made when it is not there. */
static tl_status derived_column(tl_partition_field *field, tl_fields *fields, tl_error *err) {
  const char *name = tl_ops_transform_name(field->transform);
  if (!name || field->transform == TL_TRANSFORM_BUCKET) return tl_fail(err, TL_EUSAGE, "Delta has no bucket partitions: use --format iceberg");
  field->column = tl_fields_find(fields, name);
  tl_status st = TL_OK;
  if (field->column < 0) {
    st = tl_ops_field_add(fields, name, TL_FIELD_STRING, err);
    field->column = (int)fields->count - 1;
  } else if (fields->items[field->column].type != TL_FIELD_STRING) {
    st = tl_fail(err, TL_EUSAGE, "column '%s' must be VARCHAR to hold the partition %s", name, name);
  }
  if (!st && !(field->name = tl_strdup(fields->items[field->column].name))) st = tl_fail(err, TL_ENOMEM, "cannot plan partitions");
  return st;
}

static tl_status add_partition(tl_text item, bool derive, tl_fields *fields, tl_partition_field *field, tl_error *err) {
  tl_text column;
  *field = (tl_partition_field){.column = -1};
  tl_status st = read_transform(item, field, &column, err);
  if (!st) st = find_field(fields, column, &field->source, err);
  if (st) return st;
  const tl_field *source = &fields->items[field->source];
  const char *transform = tl_ops_transform_name(field->transform);
  if (!may_partition(source->type, field->transform))
    return tl_fail(err, TL_EUSAGE, "column '%s' is of a type that cannot be partitioned by %s", source->name, transform ? transform : "its value");
  if (transform && derive) return derived_column(field, fields, err);
  tl_buf name = {0};
  st = tl_buf_appendf(&name, err, "%s%s%s", source->name, transform ? "_" : "", transform ? transform : "");
  if (!transform) field->column = field->source;
  field->name = tl_buf_take(&name);
  return st;
}

tl_status tl_ops_partitioning(const char *words, bool derive, tl_fields *fields, tl_partitioning *out, tl_error *err) {
  tl_text item;
  *out = (tl_partitioning){0};
  for (const char *at = words; next_item(&at, &item);) {
    if (!item.len) continue;
    tl_partition_field *grown = tl_realloc_array(out->items, out->count + 1, sizeof *grown);
    tl_status st = grown ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot plan partitions");
    if (grown) {
      out->items = grown;
      st = add_partition(item, derive, fields, &out->items[out->count++], err);
    }
    for (size_t i = 0; !st && i + 1 < out->count; i++)
      if (!strcasecmp(out->items[i].name, out->items[out->count - 1].name))
        st = tl_fail(err, TL_EUSAGE, "two partition fields would be named '%s'", out->items[i].name);
    if (st) {
      tl_partitioning_deinit(out);
      return st;
    }
  }
  return TL_OK;
}
