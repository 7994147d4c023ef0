/* s3.c - an S3 bucket as a store: opening, reading, listing. Puts are in s3_put.c and s3_upload.c. */
#include "store/s3.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "config/aws.h"
#include "store/md5.h"

enum { FETCH_BYTES = 8 << 20, LIST_BYTES_MAX = 16 << 20, KEY_BYTES_MAX = 1024 };

static tl_status not_there(const tl_s3 *s, const char *key, tl_error *err) {
  return tl_fail(err, TL_ENOTFOUND, "there is no '%s/%s'", s->uri, key);
}

/* S3 takes UTF-8 only, and counts the prefix in. */
tl_status tl_s3_check_key(const tl_s3 *s, const char *key, tl_error *err) {
  size_t len = strlen(key);
  if (len + s->prefix.len > KEY_BYTES_MAX) return tl_fail(err, TL_EUSAGE, "the name '%.100s...' is longer than S3 allows below '%s'", key, s->uri);
  for (size_t i = 0, step; i < len; i += step)
    if (!(step = tl_utf8_length(key + i, len - i))) return tl_fail(err, TL_EUSAGE, "a name in '%s' must be UTF-8", s->uri);
  return TL_OK;
}

void tl_s3_describe(const tl_s3_answer *a, int64_t size_bytes, tl_store_info *info) {
  *info = (tl_store_info){.size_bytes = size_bytes, .mtime_ms = a->modified_ms};
  memcpy(info->etag, a->etag, sizeof info->etag);
}

/* ---- reading ---- */

static tl_status get_request(tl_s3 *s, const char *key, const char *range, const char *etag, size_t bytes_max, tl_s3_answer *a, tl_s3_refusal *r, tl_error *err) {
  tl_buf url = {0};
  char match[128];
  if (etag) snprintf(match, sizeof match, "If-Match: \"%s\"", etag);
  tl_status st = tl_s3_url(s, key, NULL, &url, err);
  if (!st) st = tl_s3_ask(s, key, &(tl_s3_request){.method = "GET", .url = url.data, .headers = {range, etag ? match : NULL}, .answer_bytes_max = bytes_max}, a, r, err);
  tl_buf_deinit(&url);
  return st;
}

tl_status tl_s3_no_object(const tl_s3 *s, const char *key, const tl_s3_answer *a, tl_error *err) { /* 200, but whose? */
  return tl_fail(err, TL_EHTTP, "'%s/%s': HTTP %d, but not an object of an S3 store%s%s; is %s one, and no proxy between?", s->uri, key, a->code,
                 a->type[0] ? ", rather " : "", a->type, s->endpoint);
}

static bool is_no_such_key(tl_s3 *s, const tl_s3_answer *a, const tl_s3_refusal *r) {
  bool no_key = a->code == 404 && !strcmp(r->code, "NoSuchKey");
  if (no_key) atomic_store(&s->bucket_seen, true); /* it was looked for in there */
  return no_key;
}

tl_status tl_s3_read(tl_s3 *s, const char *key, const char *etag, int64_t offset, int64_t len, tl_s3_answer *a, tl_error *err) {
  tl_s3_refusal r;
  char range[80];
  snprintf(range, sizeof range, "Range: bytes=%" PRId64 "-%" PRId64, offset, offset + len - 1);
  tl_status st = get_request(s, key, range, etag, (size_t)len, a, &r, err);
  if (st == TL_ELIMIT) return tl_s3_no_object(s, key, a, err); /* more than was asked for */
  if (st) return st;
  if (a->code == 416) { /* behind its end, or it is empty */
    tl_buf_clear(&a->body);
    return TL_OK;
  }
  if (is_no_such_key(s, a, &r)) return not_there(s, key, err);
  if (a->code == 412) return tl_fail(err, TL_ECONFLICT, "'%s/%s' was changed while it was read", s->uri, key);
  if (a->code < 200 || a->code > 299) return tl_s3_explain(s, key, a, &r, err);
  if (a->code != 206 || a->range_start != offset || a->range_total < 0 || !a->etag[0]) return tl_s3_no_object(s, key, a, err);
  int64_t there = a->range_total - offset;
  if ((int64_t)a->body.len != (there < len ? there : len)) return tl_fail(err, TL_ENET, "'%s/%s': %zu bytes came of %" PRId64, s->uri, key, a->body.len, there < len ? there : len);
  return TL_OK;
}

static bool body_fits_etag(const tl_s3_answer *a) {
  unsigned char digest[16];
  char hex[33];
  tl_md5 md5;
  tl_md5_init(&md5);
  if (a->body.len) tl_md5_add(&md5, a->body.data, a->body.len);
  tl_md5_finish(&md5, digest);
  tl_md5_hex(digest, hex);
  return !strcmp(hex, a->etag);
}

/* The whole object. An etag that is an MD5 must fit; when it does not twice, the store's etags are something else. */
static tl_status read_whole(tl_s3 *s, const char *key, size_t bytes_max, tl_s3_answer *a, tl_error *err) {
  char etag[sizeof a->etag] = "";
  for (;;) {
    tl_s3_refusal r;
    tl_status st = get_request(s, key, NULL, NULL, bytes_max ? bytes_max : 1, a, &r, err);
    if (st) return st;
    if (is_no_such_key(s, a, &r)) return not_there(s, key, err);
    if (a->code < 200 || a->code > 299) return tl_s3_explain(s, key, a, &r, err);
    bool fits = a->etag_is_md5 && body_fits_etag(a);
    if (a->code != 200 || !a->etag[0] || (!a->is_s3 && !fits)) return tl_s3_no_object(s, key, a, err);
    if (a->body.len > bytes_max) return tl_fail(err, TL_ELIMIT, "'%s/%s' is larger than %zu bytes", s->uri, key, bytes_max);
    if (fits || !a->etag_is_md5 || atomic_load(&s->odd_etags)) return TL_OK;
    if (!strcmp(etag, a->etag)) {
      tl_log(TL_LOG_WARN, "the etags of '%s' are not what its objects hold; they are not compared any more", s->uri);
      atomic_store(&s->odd_etags, true);
      return TL_OK;
    }
    memcpy(etag, a->etag, sizeof etag);
  }
}

tl_status tl_s3_head(tl_s3 *s, const char *key, tl_s3_answer *a, tl_error *err) {
  tl_s3_refusal r;
  tl_buf url = {0};
  tl_status st = tl_s3_url(s, key, NULL, &url, err);
  if (!st) st = tl_s3_ask(s, key, &(tl_s3_request){.method = "HEAD", .url = url.data}, a, &r, err);
  tl_buf_deinit(&url);
  if (st) return st;
  if (a->code == 200 && a->etag[0] && a->length >= 0) return TL_OK;
  if (a->code == 404 && a->is_s3 && atomic_load(&s->bucket_seen)) return not_there(s, key, err);
  st = tl_s3_read(s, key, NULL, 0, 1, a, err); /* an answer to HEAD has no words: which key, which bucket, whose? */
  if (st) return st;
  if (a->code == 416) a->range_total = 0;
  a->length = a->range_total;
  return a->etag[0] && a->length >= 0 ? TL_OK : tl_s3_no_object(s, key, a, err);
}

static tl_status s3_get(void *self, const char *key, int64_t offset, int64_t len, size_t bytes_max, tl_buf *out, tl_store_info *info, tl_error *err) {
  tl_s3 *s = self;
  tl_s3_answer a = {0};
  tl_status st = tl_s3_check_key(s, key, err);
  if (!st && len < 0) st = read_whole(s, key, bytes_max, &a, err);
  else if (!st && len == 0) st = tl_s3_head(s, key, &a, err);
  else if (!st) st = tl_s3_read(s, key, NULL, offset, len, &a, err);
  if (!st && info) tl_s3_describe(&a, (int64_t)a.body.len, info);
  if (!st && a.body.len && !out->data) { /* hands the memory on */
    *out = a.body;
    a.body = (tl_buf){0};
  } else if (!st && a.body.len) {
    st = tl_buf_append(out, a.body.data, a.body.len, err);
  }
  tl_buf_deinit(&a.body);
  return st;
}

static tl_status s3_stat(void *self, const char *key, tl_store_info *info, tl_error *err) {
  tl_s3 *s = self;
  tl_s3_answer a = {0};
  tl_status st = tl_s3_check_key(s, key, err);
  if (!st) st = tl_s3_head(s, key, &a, err);
  if (!st) tl_s3_describe(&a, a.length, info);
  tl_buf_deinit(&a.body);
  return st;
}

static tl_status s3_fetch(void *self, const char *key, int fd, const char *local_path, tl_error *err) {
  tl_s3 *s = self;
  tl_s3_answer a = {0};
  char etag[sizeof a.etag] = "";
  tl_status st = tl_s3_check_key(s, key, err);
  for (int64_t at = 0, total = 1; !st && at < total;) {
    st = tl_s3_read(s, key, at ? etag : NULL, at, FETCH_BYTES, &a, err);
    if (st || a.code == 416) break;
    memcpy(etag, a.etag, sizeof etag);
    total = a.range_total;
    st = tl_io_pwrite(fd, local_path, a.body.data, a.body.len, at, err);
    at += (int64_t)a.body.len;
  }
  tl_buf_deinit(&a.body);
  return st;
}

tl_status tl_s3_remove(void *self, const char *key, tl_error *err) {
  tl_s3 *s = self;
  tl_s3_refusal r = {0};
  tl_s3_answer a = {0};
  tl_buf url = {0};
  tl_status st = tl_s3_check_key(s, key, err);
  if (!st) st = tl_s3_url(s, key, NULL, &url, err);
  if (!st) st = tl_s3_ask(s, key, &(tl_s3_request){.method = "DELETE", .url = url.data}, &a, &r, err);
  bool gone = a.code == 204 || (a.code == 200 && a.is_s3) || is_no_such_key(s, &a, &r);
  if (!st && !gone) st = a.code >= 200 && a.code <= 299 ? tl_s3_no_object(s, key, &a, err) : tl_s3_explain(s, key, &a, &r, err);
  tl_buf_deinit(&url);
  tl_buf_deinit(&a.body);
  return st;
}

/* ---- listing ---- */

static tl_status append_parameter(tl_buf *query, const char *name, const char *prefix, const char *value, tl_error *err) {
  tl_status st = tl_buf_appendf(query, err, "%s%s=", query->len ? "&" : "", name);
  if (!st) st = tl_origin_append_value(query, prefix, strlen(prefix), err);
  return st ? st : tl_origin_append_value(query, value, strlen(value), err);
}

static tl_status list_page(tl_s3 *s, const tl_store_list_as *as, tl_s3_page *page, tl_error *err) {
  const char *base = s->prefix.len ? s->prefix.data : "";
  tl_buf query = {0}, url = {0};
  tl_s3_answer a = {0};
  tl_s3_refusal r;
  tl_status st = page->truncated ? append_parameter(&query, "continuation-token", "", page->token.data, err) : TL_OK; /* sorted by name, or the signature is wrong */
  if (!st) st = append_parameter(&query, "encoding-type", "", "url", err);
  if (!st) st = append_parameter(&query, "list-type", "", "2", err);
  if (!st) st = append_parameter(&query, "prefix", base, as->prefix, err);
  if (!st && *as->after && !page->truncated) st = append_parameter(&query, "start-after", base, as->after, err);
  if (!st) st = tl_s3_url(s, NULL, query.data, &url, err);
  if (!st) st = tl_s3_ask(s, NULL, &(tl_s3_request){.method = "GET", .url = url.data, .answer_bytes_max = LIST_BYTES_MAX}, &a, &r, err);
  if (!st && a.code != 200) st = tl_s3_explain(s, NULL, &a, &r, err);
  if (!st) {
    st = tl_s3_xml_page(a.body.len ? a.body.data : "", a.body.len, page, err);
    if (st == TL_EDECODE) st = tl_fail(err, TL_EDECODE, "'%s': the list is not that of an S3 store%s%s; is %s one, and no proxy between?", s->uri, a.type[0] ? ", rather " : "", a.type, s->endpoint);
  }
  tl_buf_deinit(&query);
  tl_buf_deinit(&url);
  tl_buf_deinit(&a.body);
  return st;
}

/* Hands a page's keys on, in their order, which a store must keep. */
static tl_status take_page(const tl_s3 *s, const tl_store_list_as *as, const tl_s3_page *page, tl_buf *last, bool *stopped, tl_error *err) {
  for (size_t i = 0; i < page->count && !*stopped; i++) {
    const char *key = page->keys.data + page->items[i].key_at;
    if (s->prefix.len && strncmp(key, s->prefix.data, s->prefix.len) != 0) return tl_fail(err, TL_EDECODE, "'%s': the store lists what was not asked for", s->uri);
    key += s->prefix.len;
    if (strncmp(key, as->prefix, strlen(as->prefix)) != 0 || (last->len && strcmp(last->data, key) >= 0))
      return tl_fail(err, TL_EDECODE, "'%s': the store does not list in the order of the keys", s->uri);
    tl_buf_clear(last);
    tl_status st = tl_buf_appends(last, key, err);
    if (st) return st;
    bool listed = tl_store_key_is_sound(key, strlen(key)) && strcmp(key, as->after) > 0 && (as->aside || !tl_store_is_aside(key)); /* "folder/" marks a folder for some tools */
    if (listed) *stopped = as->each(as->to, key, &page->items[i].info) != 0;
  }
  return TL_OK;
}

static tl_status s3_list(void *self, const tl_store_list_as *as, tl_error *err) {
  tl_s3 *s = self;
  tl_s3_page page = {0};
  tl_buf last = {0};
  bool stopped = false;
  tl_status st;
  do {
    st = list_page(s, as, &page, err);
    if (!st) st = take_page(s, as, &page, &last, &stopped, err);
  } while (!st && !stopped && page.truncated);
  tl_s3_page_deinit(&page);
  tl_buf_deinit(&last);
  return st;
}

/* ---- opening ---- */

static void s3_close(void *self) {
  tl_s3 *s = self;
  tl_s3http_close(s->http);
  tl_buf_deinit(&s->url);
  tl_buf_deinit(&s->prefix);
  pthread_mutex_destroy(&s->probe_lock);
  tl_free(s);
}

static const tl_backend backend = {s3_close, s3_get, s3_stat, s3_fetch, tl_s3_put, NULL, tl_s3_remove, s3_list};

/* "bucket/a/b/" -> bucket, prefix "a/b/", and the store's uri. */
static tl_status take_place(tl_store *store, tl_s3 *s, const char *place, tl_error *err) {
  size_t bucket_len = strcspn(place, "/");
  const char *prefix = place + bucket_len;
  bool sound = bucket_len >= 3 && bucket_len < sizeof s->bucket && isalnum((unsigned char)place[0]);
  for (size_t i = 0; sound && i < bucket_len; i++) sound = isalnum((unsigned char)place[i]) || strchr(".-_", place[i]);
  if (!sound) return tl_fail(err, TL_EUSAGE, "cannot use 's3://%.200s': '%.*s' is not the name of a bucket", place, (int)(bucket_len < 80 ? bucket_len : 80), place);
  memcpy(s->bucket, place, bucket_len);
  if (*prefix) prefix++;
  size_t len = strlen(prefix);
  while (len && prefix[len - 1] == '/') len--;
  if (len && !tl_store_key_is_sound(prefix, len)) return tl_fail(err, TL_EUSAGE, "cannot use 's3://%.200s': the parts of a prefix must not be empty, '.' or '..'", place);
  tl_buf uri = {0};
  tl_status st = tl_buf_appendf(&uri, err, "s3://%s%s%.*s", s->bucket, len ? "/" : "", (int)len, prefix);
  if (!st && len) st = tl_buf_appendf(&s->prefix, err, "%.*s/", (int)len, prefix);
  if (!st) s->uri = store->uri = tl_buf_take(&uri);
  tl_buf_deinit(&uri);
  return st ? st : tl_s3_check_key(s, "", err);
}

static tl_status take_endpoint(tl_s3 *s, const tl_aws *aws, tl_origin *origin, tl_error *err) {
  char of_aws[200];
  snprintf(of_aws, sizeof of_aws, "https://s3.%s.amazonaws.com%s", aws->region, strncmp(aws->region, "cn-", 3) ? "" : ".cn");
  const char *endpoint = aws->endpoint[0] ? aws->endpoint : of_aws;
  tl_status st = tl_origin_parse(endpoint, true, origin, err);
  if (st) return st;
  tl_origin_describe(endpoint, s->endpoint, sizeof s->endpoint);
  if (!origin->https && !origin->loopback && !aws->allow_http)
    return tl_fail(err, TL_EUSAGE, "cannot use endpoint '%s': plain http would send everything in the clear; use https, or set allow_http = true in [s3] of settings.ini", s->endpoint);
  bool in_path = aws->path_style || (origin->https && strchr(s->bucket, '.')); /* a certificate's * covers one part */
  tl_origin at = *origin;
  if (!in_path && (size_t)snprintf(at.host, sizeof at.host, "%s.%s", s->bucket, origin->host) >= sizeof at.host) return tl_fail(err, TL_EUSAGE, "the endpoint '%s' is too long", s->endpoint);
  st = tl_origin_url(&at, "/", &s->url, err);
  return st || !in_path ? st : tl_buf_appendf(&s->url, err, "%s/", s->bucket);
}

tl_status tl_store_s3_open(tl_store *store, const char *place, const tl_settings *settings, tl_error *err) {
  tl_s3 *s = tl_calloc(1, sizeof *s);
  if (!s) return tl_fail(err, TL_ENOMEM, "cannot open 's3://%s'", place);
  pthread_mutex_init(&s->probe_lock, NULL);
  store->self = s;
  store->backend = &backend;
  tl_aws aws = {0};
  tl_origin origin = {0};
  tl_status st = take_place(store, s, place, err);
  if (!st) st = tl_aws_read(settings, &aws, err);
  if (!st) st = take_endpoint(s, &aws, &origin, err);
  if (!st) {
    tl_s3http_options options = {.access_key = tl_keep_data(aws.access_key), .secret_key = tl_keep_data(aws.secret_key), .session_token = tl_keep_data(aws.session_token),
                                 .region = aws.region, .loopback = origin.loopback, .stall_timeout_ns = aws.timeout_s * TL_NS_PER_S, .connect_timeout_ns = aws.timeout_s * TL_NS_PER_S};
    st = tl_s3http_open(&options, &s->http, err);
  }
  tl_aws_deinit(&aws);
  return st;
}
