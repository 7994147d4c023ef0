/* rest.c - an Iceberg REST catalog: finding, loading, creating and committing tables; see rest.h.
 *
 *     GET  /v1/config?warehouse=W                             overrides.prefix: P
 *     GET  /v1/P/namespaces/NS/tables/T                       {"metadata-location", "metadata"}
 *     POST /v1/P/namespaces/NS/tables                         create
 *     POST /v1/P/namespaces/NS/tables/T                       {"requirements", "updates"}: 200, or 409 when one does not hold */
#include "table/iceberg/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "net/call.h"
#include "net/origin.h"
#include "table/iceberg/rest_catalog.h"

enum { TRIES = 6, NAME_BYTES_MAX = 500 };
static const size_t answer_bytes_max = (size_t)1 << 30;

struct tl_iceberg_rest {
  tl_call *call;
  tl_call_answer answer;
  tl_origin origin;
  char *name;      /* NAMESPACE.TABLE, for errors */
  tl_buf tables;   /* "/v1/P/namespaces/NS/tables" */
  tl_buf table;    /* the same and "/T" */
  tl_buf base;     /* "/v1/P" */
  size_t table_at; /* where T begins in name */
};

/* ---- settings ---- */

static const char *setting(const tl_settings *settings, const char *variable, const char *key) {
  const char *value = getenv(variable);
  if (value && *value) return value;
  return settings ? tl_settings_get(settings, "iceberg", key) : NULL;
}

static tl_status take_token(const tl_settings *settings, tl_keep **out, tl_error *err) {
  static const char *const keys[] = {"token", NULL};
  const char *value = getenv("TICKLAKE_ICEBERG_TOKEN");
  *out = NULL;
  if (settings) return tl_settings_secret(settings, "TICKLAKE_ICEBERG_TOKEN", "iceberg", keys, out, err);
  if (!value || !*value) return TL_OK;
  *out = tl_keep_text(value, strlen(value));
  return *out ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot keep the token of the catalog");
}

static bool is_true(const char *text) { return text && (!strcmp(text, "true") || !strcmp(text, "yes") || !strcmp(text, "1")); }

/* ---- asking ---- */

static tl_status ask(tl_iceberg_rest *r, const char *method, const char *target, const tl_buf *json, tl_error *err) {
  tl_buf url = {0};
  tl_status st = tl_origin_url(&r->origin, target, &url, err);
  if (!st) st = tl_call_send(r->call, method, url.data, json ? json->data : NULL, json ? json->len : 0, answer_bytes_max, &r->answer, err);
  tl_buf_deinit(&url);
  return st;
}

/* The catalog's own words, {"error":{"message":...}}, as one short line. */
static tl_status refused(tl_iceberg_rest *r, const char *what, tl_error *err) {
  int code = r->answer.code;
  tl_status st = code == 401 || code == 403 ? TL_EAUTH : code == 404 ? TL_ENOTFOUND : code == 409 ? TL_ECONFLICT : code >= 500 ? TL_ENET : TL_EHTTP;
  tl_json *json = NULL;
  tl_text text = {0};
  char words[201] = "";
  if (r->answer.body.len && tl_json_open(r->answer.body.data, r->answer.body.len, 0, &json, NULL) == TL_OK)
    tl_json_string(tl_json_get(tl_json_get(tl_json_root(json), "error"), "message"), &text);
  size_t len = text.len < sizeof words - 1 ? text.len : sizeof words - 1;
  if (len) memcpy(words, text.data, len);
  while (len && ((unsigned char)words[len - 1] & 0xC0) == 0x80) len--; /* not within a character */
  if (len < text.len && len && (unsigned char)words[len - 1] >= 0x80) len--;
  words[len] = 0;
  for (size_t i = 0; i < len; i++)
    if ((unsigned char)words[i] < ' ') words[i] = ' ';
  tl_json_close(json);
  st = tl_fail(err, st, "the catalog does not %s '%s': HTTP %d%s%s", what, r->name, code, *words ? ", " : "", words);
  if (err) err->http_code = code;
  return st;
}

/* ---- opening ---- */

/* "a.b.T": the path of its namespace, levels joined by the unit separator. */
static tl_status make_paths(tl_iceberg_rest *r, tl_error *err) {
  const char *dot = strrchr(r->name, '.');
  if (!dot || dot == r->name || !dot[1] || strlen(r->name) > NAME_BYTES_MAX || strstr(r->name, "..") || r->name[0] == '.')
    return tl_fail(err, TL_EUSAGE, "'%.200s' is no table of a catalog: give NAMESPACE.TABLE", r->name);
  r->table_at = (size_t)(dot + 1 - r->name);
  tl_status st = tl_buf_appendf(&r->tables, err, "%s/namespaces/", r->base.data);
  for (const char *p = r->name; !st && p < dot;) {
    size_t len = strcspn(p, ".");
    st = tl_origin_append_value(&r->tables, p, len, err);
    p += len + 1;
    if (!st && p < dot) st = tl_buf_appends(&r->tables, "%1F", err);
  }
  if (!st) st = tl_buf_appends(&r->tables, "/tables", err);
  if (!st) st = tl_buf_appendf(&r->table, err, "%s/", r->tables.data);
  return st ? st : tl_origin_append_value(&r->table, dot + 1, strlen(dot + 1), err);
}

/* What the catalog wants before anything else: the prefix of its paths. */
static tl_status ask_config(tl_iceberg_rest *r, const char *warehouse, tl_error *err) {
  tl_buf target = {0};
  tl_json *json = NULL;
  tl_text prefix = {0};
  tl_status st = tl_buf_appends(&target, "/v1/config", err);
  if (!st && warehouse) st = tl_buf_appends(&target, "?warehouse=", err);
  if (!st && warehouse) st = tl_origin_append_value(&target, warehouse, strlen(warehouse), err);
  if (!st) st = ask(r, "GET", target.data, NULL, err);
  if (!st && r->answer.code != 200) st = refused(r, "give its configuration for", err);
  if (!st && (st = tl_json_open(r->answer.body.data ? r->answer.body.data : "", r->answer.body.len, 0, &json, err)) != TL_OK)
    tl_fail_within(err, st, "cannot read the catalog's configuration");
  if (!st && !tl_json_string(tl_json_get(tl_json_get(tl_json_root(json), "overrides"), "prefix"), &prefix))
    tl_json_string(tl_json_get(tl_json_get(tl_json_root(json), "defaults"), "prefix"), &prefix);
  if (!st) st = tl_buf_appends(&r->base, "/v1", err);
  while (prefix.len && prefix.data[0] == '/') prefix = tl_text_of(prefix.data + 1, prefix.len - 1);
  if (!st && prefix.len) st = tl_buf_appends(&r->base, "/", err);
  for (size_t at = 0; !st && at < prefix.len;) { /* its slashes stay */
    size_t len = 0;
    while (at + len < prefix.len && prefix.data[at + len] != '/') len++;
    st = tl_origin_append_value(&r->base, prefix.data + at, len, err);
    at += len;
    if (!st && at < prefix.len) st = tl_buf_append(&r->base, &prefix.data[at++], 1, err);
  }
  tl_json_close(json);
  tl_buf_deinit(&target);
  return st;
}

tl_status tl_iceberg_rest_open(const tl_settings *settings, const char *name, tl_iceberg_rest **out, tl_error *err) {
  const char *endpoint = setting(settings, "TICKLAKE_ICEBERG_REST", "rest");
  if (!endpoint)
    return tl_fail(err, TL_EUSAGE, "'rest:%s' needs a catalog: set TICKLAKE_ICEBERG_REST, or rest in [iceberg] of settings.ini, to its address", name);
  tl_iceberg_rest *r = tl_calloc(1, sizeof *r);
  tl_keep *token = NULL;
  if (!r) return tl_fail(err, TL_ENOMEM, "cannot open a catalog");
  bool allow_http = is_true(settings ? tl_settings_get(settings, "iceberg", "allow_http") : NULL);
  r->name = tl_strdup(name);
  tl_status st = r->name ? tl_origin_parse(endpoint, allow_http, &r->origin, err) : tl_fail(err, TL_ENOMEM, "cannot open a catalog");
  if (!st) st = take_token(settings, &token, err);
  if (!st) st = tl_call_open(token ? tl_keep_data(token) : NULL, &r->call, err);
  tl_keep_close(token);
  if (!st) st = ask_config(r, setting(settings, "TICKLAKE_ICEBERG_WAREHOUSE", "warehouse"), err);
  if (!st) st = make_paths(r, err);
  if (st) tl_iceberg_rest_close(r);
  else *out = r;
  return st;
}

void tl_iceberg_rest_close(tl_iceberg_rest *r) {
  if (!r) return;
  tl_call_close(r->call);
  tl_buf_deinit(&r->answer.body);
  tl_buf_deinit(&r->tables);
  tl_buf_deinit(&r->table);
  tl_buf_deinit(&r->base);
  tl_free(r->name);
  tl_free(r);
}

/* ---- loading ---- */

/* {"metadata-location", "metadata"} of the last answer. */
static tl_status take_table(tl_iceberg_rest *r, tl_iceberg_state *out, tl_error *err) {
  tl_json *json = NULL;
  tl_buf text = {0};
  tl_text location;
  tl_status st = tl_json_open(r->answer.body.data ? r->answer.body.data : "", r->answer.body.len, answer_bytes_max, &json, err);
  if (st) return tl_fail_within(err, st, "cannot read the catalog's answer about '%s'", r->name);
  const tl_json_value *root = tl_json_root(json), *metadata = tl_json_get(root, "metadata");
  if (!tl_json_string(tl_json_get(root, "metadata-location"), &location) || tl_json_type_of(metadata) != TL_JSON_OBJECT)
    st = tl_fail(err, TL_EDECODE, "the catalog's answer about '%s' holds no metadata", r->name);
  if (!st) {
    tl_json_writer w = tl_json_writer_of(&text, err);
    tl_json_put_value(&w, NULL, metadata);
    st = tl_json_writer_end(&w);
  }
  if (!st && !(out->path = tl_strndup(location.data, location.len))) st = tl_fail(err, TL_ENOMEM, "cannot hold the metadata of '%s'", r->name);
  if (!st) st = tl_iceberg_metadata_parse(out->path, text.data, text.len, &out->metadata, err);
  if (!st) out->number = out->metadata->last_sequence;
  tl_json_close(json);
  tl_buf_deinit(&text);
  if (st) tl_iceberg_state_deinit(out);
  return st;
}

tl_status tl_iceberg_rest_load(tl_iceberg_rest *r, tl_iceberg_state *out, tl_error *err) {
  *out = (tl_iceberg_state){0};
  for (int tries = 1;; tries++) { /* reading again does no harm */
    tl_status st = ask(r, "GET", r->table.data, NULL, err);
    if (!st && r->answer.code == 200) return take_table(r, out, err);
    if (!st) st = refused(r, "have", err);
    if (st != TL_ENET || tries == TRIES) return st;
    tl_clock_sleep_ns((INT64_C(50) << tries) * TL_NS_PER_MS);
  }
}

tl_status tl_iceberg_rest_locate(const tl_settings *settings, const char *name, tl_buf *location, bool *found, tl_error *err) {
  tl_iceberg_rest *r = NULL;
  tl_iceberg_state state = {0};
  const char *warehouse = setting(settings, "TICKLAKE_ICEBERG_WAREHOUSE", "warehouse");
  tl_status st = tl_iceberg_rest_open(settings, name, &r, err);
  if (st) return st;
  st = tl_iceberg_rest_load(r, &state, err);
  *found = !st;
  if (!st) {
    st = tl_buf_append(location, state.metadata->location.data, state.metadata->location.len, err);
  } else if (st == TL_ENOTFOUND && !warehouse) {
    st = tl_fail(err, TL_EUSAGE, "a new table of the catalog needs a place: set TICKLAKE_ICEBERG_WAREHOUSE, or warehouse in [iceberg] of settings.ini");
  } else if (st == TL_ENOTFOUND) {
    size_t len = strlen(warehouse);
    while (len > 1 && warehouse[len - 1] == '/') len--;
    st = tl_buf_append(location, warehouse, len, err);
    if (!st) st = tl_buf_appends(location, "/", err);
    for (const char *p = name; !st && *p; p++) st = tl_buf_append(location, *p == '.' ? "/" : p, 1, err);
  }
  tl_iceberg_state_deinit(&state);
  tl_iceberg_rest_close(r);
  return st;
}

/* ---- committing ---- */

/* After an answer that says nothing, or a refusal that may come from our own first try: is our snapshot there? */
static tl_status look_for(tl_iceberg_rest *r, int64_t id, bool *there, tl_error *err) {
  tl_iceberg_state now;
  tl_status st = tl_iceberg_rest_load(r, &now, err);
  *there = !st && tl_iceberg_find_snap(now.metadata, id);
  tl_iceberg_state_deinit(&now);
  return st;
}

tl_status tl_iceberg_rest_commit(tl_iceberg_rest *r, const tl_iceberg_state *state, const tl_iceberg_change *change, int64_t *number,
                                 bool *unknown, tl_error *err) {
  tl_buf body = {0};
  *unknown = false;
  *number = change->added ? change->added->sequence : state->number;
  tl_status st = tl_iceberg_rest_body(state->metadata, change, &body, err);
  if (st) goto done;
  TL_FAULT_STEP(); /* manifests and list are there, nobody knows of them */
  for (int tries = 1;; tries++) {
    st = ask(r, "POST", r->table.data, &body, err);
    if (!st && r->answer.code == 200) {
      *unknown = false;
      break;
    }
    bool open = st ? r->answer.sent : r->answer.code >= 500 || r->answer.code == 408;
    if (!st) st = refused(r, "commit to", err);
    *unknown = *unknown || open;
    if (st == TL_ECONFLICT && !*unknown) break;
    if (*unknown && change->added) {
      bool there = false;
      tl_error reading = {0};
      tl_status looked = look_for(r, change->added->id, &there, &reading);
      if (!looked && there) st = TL_OK;
      if (!looked && (there || st == TL_ECONFLICT)) { /* who lost once to another's commit cannot win any more */
        *unknown = false;
        break;
      }
    } else if (st == TL_ECONFLICT) {
      *unknown = false;
      break;
    }
    if ((st != TL_ENET && st != TL_ECONFLICT) || tries == TRIES) break;
    tl_clock_sleep_ns((INT64_C(50) << tries) * TL_NS_PER_MS); /* the same again: the requirement lets one of the two in */
  }
  if (st && *unknown) tl_fail_within(err, st, "whether the commit was made is not known");
  if (!st) TL_FAULT_STEP();
done:
  tl_buf_deinit(&body);
  return st;
}

/* ---- creating ---- */

static tl_status create_namespace(tl_iceberg_rest *r, tl_error *err) {
  tl_buf body = {0}, target = {0};
  const char *end = r->name + r->table_at - 1;
  tl_json_writer w = tl_json_writer_of(&body, err);
  tl_json_put_object(&w, NULL);
  tl_json_put_array(&w, "namespace");
  for (const char *p = r->name; p < end;) {
    size_t len = strcspn(p, ".");
    tl_json_put_bytes(&w, NULL, p, len);
    p += len + 1;
  }
  tl_json_put_close(&w);
  tl_json_put_object(&w, "properties");
  tl_json_put_close(&w);
  tl_json_put_close(&w);
  tl_status st = tl_json_writer_end(&w);
  if (!st) st = tl_buf_appendf(&target, err, "%s/namespaces", r->base.data);
  if (!st) st = ask(r, "POST", target.data, &body, err);
  if (!st && r->answer.code != 200 && r->answer.code != 409) st = refused(r, "make the namespace of", err);
  tl_buf_deinit(&target);
  tl_buf_deinit(&body);
  return st;
}

static tl_status create_body(const tl_iceberg_rest *r, const tl_iceberg_new *t, const char *mapping, tl_buf *body, tl_error *err) {
  tl_json_writer w = tl_json_writer_of(body, err);
  bool has_mapping = false;
  tl_json_put_object(&w, NULL);
  tl_json_put_string(&w, "name", r->name + r->table_at);
  tl_json_put_string(&w, "location", t->location);
  tl_iceberg_put_schema(&w, "schema", NULL, t->fields, 0);
  tl_status st = tl_iceberg_put_spec(&w, "partition-spec", t->fields, t->partitioning, err);
  if (st) return st;
  tl_json_put_bool(&w, "stage-create", false);
  tl_json_put_object(&w, "properties");
  for (size_t i = 0; i < t->property_count; i++) {
    has_mapping = has_mapping || !strcmp(t->properties[i].key, TL_ICEBERG_MAPPING);
    if (t->properties[i].value) tl_json_put_string(&w, t->properties[i].key, t->properties[i].value);
  }
  if (!has_mapping) tl_json_put_string(&w, TL_ICEBERG_MAPPING, mapping);
  if (t->name) tl_json_put_string(&w, TL_ICEBERG_NAME, t->name);
  tl_json_put_string(&w, "format-version", "2");
  tl_json_put_close(&w);
  tl_json_put_close(&w);
  return tl_json_writer_end(&w);
}

/* As catalogs number a new schema: the columns, then what lies within them. */
static void number_anew(tl_fields *fields) {
  fields->last_id = 0;
  for (size_t i = 0; i < fields->count; i++) fields->items[i].id = ++fields->last_id;
  for (size_t i = 0; i < fields->count; i++)
    if (fields->items[i].type == TL_FIELD_LIST) fields->items[i].element_id = ++fields->last_id;
}

tl_status tl_iceberg_rest_create(tl_iceberg_rest *r, const tl_iceberg_new *table, tl_error *err) {
  tl_buf body = {0}, mapping = {0};
  tl_fields fields = {0};
  tl_iceberg_new t = *table;
  tl_status st = tl_fields_copy(table->fields, &fields, err);
  if (st) return st;
  number_anew(&fields);
  t.fields = &fields;
  st = tl_iceberg_fields_check(&fields, err);
  if (!st) st = tl_iceberg_mapping(NULL, &fields, &mapping, err);
  if (!st) st = create_body(r, &t, mapping.data, &body, err);
  if (!st) st = ask(r, "POST", r->tables.data, &body, err);
  if (!st && r->answer.code == 404) {
    st = create_namespace(r, err);
    if (!st) st = ask(r, "POST", r->tables.data, &body, err);
  }
  if (!st && r->answer.code != 200) st = refused(r, "create", err);
  tl_fields_deinit(&fields);
  tl_buf_deinit(&mapping);
  tl_buf_deinit(&body);
  return st;
}
