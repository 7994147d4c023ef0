/* rows_from.c - "a file or a query" as one SELECT; see sources.h. */
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/io.h"
#include "market/symbol.h"
#include "serve/sources_internal.h"
#include "serve/sql_tokens.h"
#include "store/store.h"

/* ---- queries ---- */

static bool is_query(const char *from) {
  static const char *const words[] = {"select", "with", "from", "values", "table", "pivot", "unpivot"};
  tl_token token = tl_token_after(from);
  while (*token.at == '(') token = tl_token_after(token.at + 1);
  const char *after = token.at + token.len;
  if (token.kind != TL_TOKEN_WORD || !*after || strchr("./:=%+,~", *after)) return false; /* from.csv, table/x.parquet */
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (tl_token_is(&token, words[i])) return true;
  return false;
}

/* The query in brackets, without the semicolon at its end. */
static tl_status select_query(tl_sources *s, const char *from, tl_buf *out, tl_error *err) {
  size_t end = 0; /* of what counts */
  int depth = 0;
  bool ended = false;
  for (tl_token token = tl_token_next(from); token.kind != TL_TOKEN_END; token = tl_token_next(token.at + token.len)) {
    if (token.kind == TL_TOKEN_BLANK) continue;
    if (*token.at == ';') {
      ended = true;
      continue;
    }
    if (ended) return tl_fail(err, TL_EUSAGE, "one query gives the rows, not several: '%.80s'", from);
    depth += (*token.at == '(') - (*token.at == ')');
    if (depth < 0) return tl_fail(err, TL_EUSAGE, "a bracket is closed that was not opened: '%.80s'", from);
    end = (size_t)(token.at + token.len - from);
  }
  char *query = tl_strndup(from, end);
  tl_status st = query ? tl_buf_appends(out, "SELECT * FROM (\n", err) : tl_fail(err, TL_ENOMEM, "cannot read a query");
  if (!st) st = tl_sources_expand(s, query, out, err);
  tl_free(query);
  return st ? st : tl_buf_appends(out, "\n)", err);
}

/* ---- files ---- */

typedef enum file_kind { FILE_PARQUET, FILE_CSV, FILE_JSON, FILE_UNKNOWN } file_kind;

static bool ends_with(const char *text, size_t len, const char *ending) {
  size_t n = strlen(ending);
  return len >= n && !strncasecmp(text + len - n, ending, n);
}

static file_kind kind_by_name(const char *path) {
  static const struct {
    const char *ending;
    file_kind kind;
  } endings[] = {{".parquet", FILE_PARQUET}, {".pq", FILE_PARQUET}, {".csv", FILE_CSV}, {".tsv", FILE_CSV}, {".txt", FILE_CSV},
                 {".json", FILE_JSON}, {".jsonl", FILE_JSON}, {".ndjson", FILE_JSON}};
  size_t len = strlen(path);
  if (ends_with(path, len, ".gz")) len -= 3;
  else if (ends_with(path, len, ".zst")) len -= 4;
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
    if (ends_with(path, len, endings[i].ending)) return endings[i].kind;
  return FILE_UNKNOWN;
}

static const char *ending_of(const char *path) { /* ".csv.gz": what a copy must end with to be read alike */
  const char *slash = strrchr(path, '/'), *dot = strchr(slash ? slash : path, '.');
  return dot ? dot : "";
}

static tl_status refuse_empty(const char *name, tl_error *err) {
  return tl_fail(err, TL_EUSAGE, "the file '%s' is empty: it has no rows, and not even the names of columns", name);
}

static tl_status check_file(const char *path, tl_error *err) {
  tl_io_info info;
  tl_status st = tl_io_stat(path, &info, NULL);
  if (st == TL_ENOTFOUND) return tl_fail(err, TL_EUSAGE, "there is no file '%s', and it does not read as a query (select ..., from ..., values ...)", path);
  if (st) return tl_io_stat(path, &info, err);
  if (info.is_dir) return tl_fail(err, TL_EUSAGE, "'%s' is a folder: name a file, a glob ('%s/*.parquet'), or a table in a query (\"from delta('%s')\")", path, path, path);
  if (!info.size_bytes) return refuse_empty(path, err);
  if (kind_by_name(path) == FILE_UNKNOWN) return tl_fail(err, TL_EUSAGE, "'%s' ends in none of .parquet, .csv, .json, .jsonl, .ndjson (or those and .gz): what is it?", path);
  return TL_OK;
}

/* s3://bucket/a/b.csv, brought here. */
static tl_status fetch(tl_sources *s, const char *uri, const char **path, tl_error *err) {
  tl_store *store = NULL;
  const char *slash = strrchr(uri, '/');
  if (!slash[1]) return tl_fail(err, TL_EUSAGE, "'%s' names no object", uri);
  if (strpbrk(uri, "*?[")) return tl_fail(err, TL_EUSAGE, "'%s': globs are for local files; name one object", uri);
  if (kind_by_name(uri) == FILE_UNKNOWN) return tl_fail(err, TL_EUSAGE, "'%s' ends in none of .parquet, .csv, .json, .jsonl, .ndjson (or those and .gz): what is it?", uri);
  char *folder = tl_strndup(uri, (size_t)(slash - uri));
  tl_status st = folder ? tl_store_open(folder, s->settings, &store, err) : tl_fail(err, TL_ENOMEM, "cannot read '%s'", uri);
  if (!st) st = tl_sources_file(s, ending_of(uri), path, err);
  if (!st) st = tl_store_fetch(store, slash + 1, *path, err);
  tl_io_info info;
  if (!st) st = tl_io_stat(*path, &info, err);
  if (!st && !info.size_bytes) st = refuse_empty(uri, err);
  tl_store_close(store);
  tl_free(folder);
  return st;
}

/* The columns a SELECT would give. */
static tl_status columns_of(tl_sources *s, const char *select, struct ArrowSchema *out, tl_error *err) {
  struct ArrowArrayStream stream = {0};
  tl_buf sql = {0};
  tl_status st = tl_buf_appendf(&sql, err, "%s LIMIT 0", select);
  if (!st) st = tl_engine_query(s->engine, sql.data, NULL, 0, &stream, err);
  if (!st && stream.get_schema(&stream, out)) st = tl_fail(err, TL_ENOMEM, "cannot look at the columns of a file");
  if (stream.release) stream.release(&stream);
  tl_buf_deinit(&sql);
  return st;
}

/* DuckDB's readers of text round numbers and cut times until they fit, and 1.5.5 makes NULL of an instant that CSV spells wrong.
 * Such columns come as they stand there: who takes the rows holds them against the type, value by value. */
static bool comes_as_text(tl_field_type type) {
  return type == TL_FIELD_I8 || type == TL_FIELD_I16 || type == TL_FIELD_I32 || type == TL_FIELD_I64 || type == TL_FIELD_DECIMAL || type == TL_FIELD_DATE ||
         type == TL_FIELD_TIMESTAMP || type == TL_FIELD_TIMESTAMP_NTZ;
}

/* , types = {'symbol': VARCHAR, ...} for the columns both have; known: those are all of the file's. `whole`: nothing unless
 * they are, because read_json takes all types or none. */
static tl_status append_types(const struct ArrowSchema *file, const tl_fields *like, const char *parameter, bool whole, tl_buf *out,
                              bool *known, tl_error *err) {
  size_t shared = 0;
  for (int64_t c = 0; c < file->n_children; c++) shared += tl_fields_find(like, file->children[c]->name) >= 0;
  *known = (int64_t)shared == file->n_children;
  if (!shared || (whole && !*known)) return TL_OK;
  tl_status st = tl_buf_appendf(out, err, ", %s = {", parameter);
  const char *comma = "";
  for (int64_t c = 0; !st && c < file->n_children; c++) {
    const char *name = file->children[c]->name;
    int field = tl_fields_find(like, name);
    if (field < 0) continue;
    tl_buf type = {0};
    st = tl_buf_appends(out, comma, err);
    if (!st) st = tl_sql_quote(out, name, strlen(name), err);
    if (!st) st = tl_buf_appends(out, ": ", err);
    if (!st && comes_as_text(like->items[field].type)) st = tl_buf_appends(&type, "VARCHAR", err);
    else if (!st) st = tl_field_sql_type(&like->items[field], &type, err);
    if (!st) st = tl_sql_quote(out, type.data, type.len, err);
    tl_buf_deinit(&type);
    comma = ", ";
  }
  return st ? st : tl_buf_appends(out, "}", err);
}

/* What DuckDB takes from NAME=VALUE folders: types for the columns `like` has, and names of the others. */
static tl_status path_columns(tl_sources *s, const tl_buf *call, const tl_fields *like, tl_buf *types, tl_buf *drop, tl_error *err) {
  struct ArrowSchema inside = {0}, all = {0};
  tl_buf select = {0};
  tl_status st = tl_buf_appendf(&select, err, "%s, hive_partitioning = false)", call->data);
  if (!st) st = columns_of(s, select.data, &inside, err);
  tl_buf_clear(&select);
  if (!st) st = tl_buf_appendf(&select, err, "%s, hive_partitioning = true)", call->data);
  if (!st) st = columns_of(s, select.data, &all, err);
  for (int64_t c = st ? 0 : inside.n_children; !st && c < all.n_children; c++) { /* they come behind those of the files */
    const char *name = all.children[c]->name;
    int field = tl_fields_find(like, name);
    tl_buf *into = field < 0 ? drop : types;
    if (into->len) st = tl_buf_appends(into, ", ", err);
    if (!st) st = field < 0 ? tl_sql_identifier(into, name, strlen(name), err) : tl_sql_quote(into, name, strlen(name), err);
    if (!st && field >= 0) st = tl_buf_appends(into, ": ", err);
    if (!st && field >= 0) st = tl_field_sql_type(&like->items[field], into, err);
  }
  if (inside.release) inside.release(&inside);
  if (all.release) all.release(&all);
  tl_buf_deinit(&select);
  return st;
}

static tl_status select_parquet(tl_sources *s, const char *path, const tl_fields *like, tl_buf *out, tl_error *err) {
  tl_buf call = {0}, types = {0}, drop = {0};
  bool hive = strchr(path, '=') != NULL || strpbrk(path, "*?[") != NULL;
  tl_status st = tl_buf_appends(&call, "SELECT * FROM read_parquet(", err);
  if (!st) st = tl_sql_quote(&call, path, strlen(path), err);
  if (!st) st = tl_buf_appends(&call, ", union_by_name = true", err);
  if (!st && hive && like) st = path_columns(s, &call, like, &types, &drop, err);
  if (!st && drop.len) st = tl_buf_appendf(out, err, "SELECT * EXCLUDE (%s)%s", drop.data, call.data + strlen("SELECT *"));
  else if (!st) st = tl_buf_append(out, call.data, call.len, err);
  if (!st) st = tl_buf_appendf(out, err, ", hive_partitioning = %s", hive ? "true" : "false");
  if (!st && types.len) st = tl_buf_appendf(out, err, ", hive_types = {%s}", types.data);
  tl_buf_deinit(&call);
  tl_buf_deinit(&types);
  tl_buf_deinit(&drop);
  return st ? st : tl_buf_appends(out, ")", err);
}

/* DuckDB guesses types from all of a file, not its first rows, unless they are known. A header names every column of CSV, but
 * a member of JSON may appear late, so there the names need the whole file too. */
static tl_status select_text(tl_sources *s, const char *path, file_kind kind, const tl_fields *like, tl_buf *out, tl_error *err) {
  static const char all[] = ", sample_size = -1";
  tl_buf call = {0}, look = {0}, types = {0};
  struct ArrowSchema schema = {0};
  bool csv = kind == FILE_CSV, known = false;
  tl_status st = tl_buf_appends(&call, csv ? "SELECT * FROM read_csv(" : "SELECT * FROM read_json(", err);
  if (!st) st = tl_sql_quote(&call, path, strlen(path), err);
  if (!st) st = tl_buf_appends(&call, ", union_by_name = true", err);
  if (!st && like) st = tl_buf_appendf(&look, err, "%s%s)", call.data, csv ? "" : all);
  if (!st && like) st = columns_of(s, look.data, &schema, err);
  if (!st && like) st = append_types(&schema, like, csv ? "types" : "columns", !csv, &types, &known, err);
  if (!st) st = tl_buf_appendf(out, err, "%s%s%s)", call.data, types.len ? types.data : "", known ? "" : all);
  if (schema.release) schema.release(&schema);
  tl_buf_deinit(&call);
  tl_buf_deinit(&look);
  tl_buf_deinit(&types);
  return st;
}

tl_status tl_sources_select(tl_sources *s, const char *from, const tl_fields *like, tl_buf *out, tl_error *err) {
  if (is_query(from) && tl_io_stat(from, &(tl_io_info){0}, NULL) != TL_OK) return select_query(s, from, out, err);
  if (!*from) return tl_fail(err, TL_EUSAGE, "'' names neither a file nor a query");
  const char *path = !strncmp(from, "file://", 7) ? from + 7 : !strncmp(from, "file:/", 6) ? from + 5 : from;
  tl_status st = TL_OK;
  if (tl_store_is_s3_uri(from)) st = fetch(s, from, &path, err);
  else if (!strpbrk(path, "*?[") || tl_io_stat(path, &(tl_io_info){0}, NULL) == TL_OK) st = check_file(path, err);
  file_kind kind = kind_by_name(path);
  if (!st && kind == FILE_UNKNOWN) st = tl_fail(err, TL_EUSAGE, "'%s' does not say what it is: let it end in .parquet, .csv or .json", path);
  if (st) return st;
  return kind == FILE_PARQUET ? select_parquet(s, path, like, out, err) : select_text(s, path, kind, like, out, err);
}
