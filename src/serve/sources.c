/* sources.c - the tables and the streams of a query; see sources.h. Files are rows_from.c. */
#include "serve/sources.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/suggest.h"
#include "market/symbol.h"
#include "market/time.h"
#include "serve/kept_stream.h"
#include "serve/sources_internal.h"
#include "serve/sql_tokens.h"

/* ---- opening, closing ---- */

tl_status tl_sources_open(tl_engine *engine, const tl_settings *settings, const char *temp, tl_sources **out, tl_error *err) {
  tl_sources *s = tl_calloc(1, sizeof *s);
  if (s) s->temp = tl_strdup(temp && *temp ? temp : tl_io_temp());
  if (!s || !s->temp) {
    tl_free(s);
    return tl_fail(err, TL_ENOMEM, "cannot look for the tables of a query");
  }
  s->engine = engine;
  s->settings = settings;
  *out = s;
  return TL_OK;
}

const tl_settings *tl_sources_settings(const tl_sources *s) { return s->settings; }

void tl_sources_close(tl_sources *s) {
  if (!s) return;
  for (size_t i = 0; i < s->table_count; i++) {
    tl_relation_close(s->tables[i].relation);
    tl_free(s->tables[i].uri);
  }
  for (size_t i = 0; i < s->file_count; i++) {
    tl_io_unlink(s->files[i], NULL);
    tl_free(s->files[i]);
  }
  if (s->folder) tl_io_rmdir(s->folder, NULL);
  tl_free(s->tables);
  tl_free(s->files);
  tl_free(s->folder);
  tl_free(s->temp);
  tl_engine_close(s->kept);
  tl_free(s);
}

/* Room for one more: the list grows only, and only at the end. */
static tl_status grow(void *list, size_t count, size_t size, tl_error *err) {
  void **items = list;
  void *more = tl_realloc_array(*items, count + 1, size);
  if (!more) return tl_fail(err, TL_ENOMEM, "cannot keep %zu sources of a query", count + 1);
  *items = more;
  return TL_OK;
}

tl_status tl_sources_file(tl_sources *s, const char *ending, const char **path, tl_error *err) {
  static atomic_uint folders; /* several queries of one process */
  tl_buf text = {0};
  tl_status st = grow(&s->files, s->file_count, sizeof *s->files, err);
  if (!st && !s->folder) {
    st = tl_buf_appendf(&text, err, "%s/ticklake-rows-%d-%u", s->temp, (int)getpid(), atomic_fetch_add(&folders, 1));
    if (!st) st = tl_io_mkdirs(text.data, err);
    if (!st) s->folder = tl_buf_take(&text);
  }
  if (!st) st = tl_buf_appendf(&text, err, "%s/%zu%s", s->folder, s->file_count, ending);
  if (st) tl_buf_deinit(&text);
  else *path = s->files[s->file_count++] = tl_buf_take(&text);
  return st;
}

tl_status tl_sources_spool(tl_sources *s, struct ArrowArrayStream *stream, tl_buf *out, tl_error *err) {
  const char *path = NULL;
  tl_status st = tl_sources_file(s, ".parquet", &path, err);
  if (!st) st = tl_engine_write_parquet(s->engine, stream, path, err);
  stream->release(stream);
  if (!st) st = tl_buf_appends(out, "SELECT * FROM read_parquet(", err);
  if (!st) st = tl_sql_quote(out, path, strlen(path), err);
  return st ? st : tl_buf_appends(out, ", hive_partitioning = false)", err);
}

/* ---- versions and times ---- */

tl_status tl_at_parse(const char *version, const char *timestamp, struct tl_at *out, tl_error *err) {
  *out = (tl_at){.kind = TL_AT_LATEST};
  if (version && timestamp) return tl_fail(err, TL_EUSAGE, "a version or a timestamp, not both");
  if (version) {
    char *rest = NULL;
    errno = 0;
    long long number = *version >= '0' && *version <= '9' ? strtoll(version, &rest, 10) : -1;
    if (number < 0 || errno || *rest) return tl_fail(err, TL_EUSAGE, "'%s' is not a version: a number as 'table history' shows it", version);
    *out = (tl_at){.kind = TL_AT_VERSION, .value = number};
  }
  if (!timestamp) return TL_OK;
  char text[TL_TIME_TEXT_MAX];
  size_t len = strlen(timestamp);
  int32_t day = 0;
  int64_t ns = 0;
  tl_status st = TL_OK;
  if (tl_day_parse(timestamp, len, &day)) {
    ns = tl_day_ns(day);
  } else if (tl_time_parse(timestamp, len, &ns, NULL) != TL_OK) { /* without a zone it is UTC */
    if (len + 1 < sizeof text) memcpy(text, timestamp, len);
    if (len + 1 < sizeof text) text[len] = 'Z';
    if (len + 1 >= sizeof text || tl_time_parse(text, len + 1, &ns, NULL) != TL_OK)
      st = tl_fail(err, TL_EUSAGE, "'%s' is not a time such as 2024-01-31T12:00:00Z or 2024-01-31", timestamp);
  }
  *out = (tl_at){.kind = TL_AT_TIMESTAMP, .value = tl_floor_div(ns, TL_NS_PER_MS)};
  return st;
}

/* ---- delta(...) and iceberg(...) ---- */

tl_status tl_sources_table(tl_sources *s, const char *uri, const char *face, tl_relation **out, tl_error *err) {
  for (size_t i = 0; i < s->table_count; i++)
    if (!strcmp(s->tables[i].uri, uri) && s->tables[i].face == face) {
      *out = s->tables[i].relation;
      return TL_OK;
    }
  tl_relation_options options = {.settings = s->settings, .engine = s->engine, .temp = s->temp, .face = face};
  tl_source_table table = {.face = face};
  tl_status st = grow(&s->tables, s->table_count, sizeof *s->tables, err);
  if (!st && !(table.uri = tl_strdup(uri))) st = tl_fail(err, TL_ENOMEM, "cannot open '%s'", uri);
  if (!st) st = tl_relation_open(uri, &options, &table.relation, err);
  if (st == TL_ENOTFOUND) { /* or is it the other format? */
    options = (tl_relation_options){.settings = s->settings, .engine = s->engine, .temp = s->temp, .read_only = true};
    st = tl_relation_open(uri, &options, &table.relation, err);
    if (!st) st = tl_fail(err, TL_ENOTFOUND, "'%s' is a table of %s: write %s('%s')", uri, tl_relation_faces(table.relation), tl_relation_faces(table.relation), uri);
    tl_relation_close(table.relation);
  }
  if (st) {
    tl_free(table.uri);
    return st;
  }
  s->tables[s->table_count++] = table;
  *out = table.relation;
  return TL_OK;
}

typedef struct call { /* delta('URI', version => 3, timestamp => '...') as text */
  const char *face;
  tl_buf uri, version, timestamp;
} call;

/* What stands between the quotes. */
static tl_status unquote(const tl_token *token, tl_buf *out, tl_error *err) {
  tl_status st = TL_OK;
  tl_buf_clear(out);
  for (size_t i = 1; !st && i + 1 < token->len; i++) {
    if (token->at[i] == '\'') i++;
    st = tl_buf_append(out, &token->at[i], 1, err);
  }
  return st ? st : tl_buf_append(out, "", 0, err);
}

static tl_status bad_call(const call *c, const tl_token *at, tl_error *err) {
  return tl_fail(err, TL_EUSAGE, "cannot read %s(...) at '%.*s': write %s('URI', version => 3) or %s('URI', timestamp => '2024-01-31T12:00:00Z')",
                 c->face, (int)(at->len < 40 ? at->len : 40), at->at, c->face, c->face);
}

/* NAME => VALUE; `token` stands on the name and is left behind the value. */
static tl_status read_argument(call *c, tl_token *token, tl_error *err) {
  static const char *const names[] = {"version", "snapshot", "timestamp"};
  tl_token name = *token;
  char word[32];
  snprintf(word, sizeof word, "%.*s", (int)(name.len < sizeof word ? name.len : sizeof word - 1), name.at);
  if (name.kind != TL_TOKEN_WORD || (*name.at >= '0' && *name.at <= '9')) return bad_call(c, &name, err);
  bool is_time = tl_token_is(&name, "timestamp");
  if (!is_time && !tl_token_is(&name, "version") && !tl_token_is(&name, "snapshot")) {
    const char *near = tl_suggest(word, names, 3);
    return tl_fail(err, TL_EUSAGE, "%s(...) has no argument '%s'; %s%s", c->face, word, near ? "did you mean " : "it has version, snapshot, timestamp", near ? near : "");
  }
  tl_token op = tl_token_after(name.at + name.len), value;
  if (*op.at == '=' && op.at[1] == '>') value = tl_token_after(op.at + 2);
  else if (*op.at == ':' && op.at[1] == '=') value = tl_token_after(op.at + 2);
  else if (*op.at == '=') value = tl_token_after(op.at + 1);
  else return bad_call(c, &op, err);
  if (tl_token_is(&value, "timestamp") || tl_token_is(&value, "timestamptz") || tl_token_is(&value, "date"))
    value = tl_token_after(value.at + value.len); /* TIMESTAMP '...' */
  tl_buf *into = is_time ? &c->timestamp : &c->version;
  if (into->data) return tl_fail(err, TL_EUSAGE, "%s(...) is told '%s' twice", c->face, word);
  tl_status st;
  if (value.kind == TL_TOKEN_TEXT) st = unquote(&value, into, err);
  else if (value.kind == TL_TOKEN_WORD && !is_time) st = tl_buf_append(into, value.at, value.len, err);
  else return bad_call(c, &value, err);
  *token = tl_token_after(value.at + value.len);
  return st;
}

/* `token` stands on the URI and is left behind the closing bracket. */
static tl_status read_call(call *c, tl_token *token, tl_error *err) {
  tl_status st = unquote(token, &c->uri, err);
  *token = tl_token_after(token->at + token->len);
  while (!st && *token->at == ',') {
    *token = tl_token_after(token->at + 1);
    st = read_argument(c, token, err);
  }
  if (!st && *token->at != ')') st = bad_call(c, token, err);
  return st;
}

static tl_status append_table(tl_sources *s, const call *c, tl_buf *out, tl_error *err) {
  tl_relation *relation = NULL;
  tl_at at;
  tl_status st = tl_at_parse(c->version.data, c->timestamp.data, &at, err);
  if (!st && !c->uri.len) st = tl_fail(err, TL_EUSAGE, "%s('') names no table", c->face);
  if (!st) st = tl_sources_table(s, c->uri.data, c->face, &relation, err);
  if (!st) st = tl_buf_appends(out, "(", err);
  if (!st) st = tl_relation_sql(relation, at.kind == TL_AT_LATEST ? NULL : &at, NULL, out, err);
  return st ? st : tl_buf_appends(out, ")", err);
}

tl_status tl_sources_expand(tl_sources *s, const char *sql, tl_buf *out, tl_error *err) {
  static const char *const faces[] = {"delta", "iceberg"};
  bool after_dot = false;
  tl_status st = TL_OK;
  for (tl_token token = tl_token_next(sql); !st && token.kind != TL_TOKEN_END; token = tl_token_next(token.at + token.len)) {
    const char *face = NULL;
    for (size_t i = 0; i < 2 && token.kind == TL_TOKEN_WORD && !after_dot; i++)
      if (tl_token_is(&token, faces[i])) face = faces[i];
    tl_token open = tl_token_after(token.at + token.len), uri = *open.at == '(' ? tl_token_after(open.at + 1) : open;
    if (face && *open.at == '(' && uri.kind == TL_TOKEN_TEXT) {
      call c = {.face = face};
      st = read_call(&c, &uri, err);
      if (!st) st = append_table(s, &c, out, err);
      tl_buf_deinit(&c.uri);
      tl_buf_deinit(&c.version);
      tl_buf_deinit(&c.timestamp);
      if (st) break; /* uri may stand on the text's end */
      token = (tl_token){TL_TOKEN_OTHER, uri.at, 1};
    } else {
      st = tl_buf_append(out, token.at, token.len, err);
    }
    if (token.kind != TL_TOKEN_BLANK) after_dot = token.len == 1 && *token.at == '.';
  }
  return st;
}

/* ---- a stream that owns what it reads ---- */

static void drop(void *sources) { tl_sources_close(sources); }

tl_status tl_sources_keep(struct ArrowArrayStream *stream, tl_sources *sources, tl_engine *engine, tl_error *err) {
  sources->kept = engine;
  return tl_stream_keep(stream, drop, sources, err);
}
