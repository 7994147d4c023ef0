/* s3_upload.c - large objects by parts: begin, parts one after the other, end; given up whenever it does not end well.
 *
 * Nothing is seen of an upload until its last step, so only that step is a put: it carries the condition, and what was said
 * of doubts in s3_put.c holds for it. A part may be sent twice without harm. An upload the store has forgotten (404, or 409 at
 * the end) is begun anew. Memory: a list of 33 bytes a part. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "store/md5.h"
#include "store/s3.h"

enum { PART_BYTES_MIN = 16 << 20, PARTS_MAX = 10000, BEGINS_MAX = 3, ETAG_BYTES = 96 };

typedef struct upload {
  tl_s3 *s;
  const char *key;
  const tl_s3_body *body;
  const tl_store_put_as *as;
  int64_t part_bytes;
  char id[TL_S3_PUT_ID_MAX], etag[ETAG_BYTES];
  tl_buf upload_id, end; /* end: the XML that names the parts */
  tl_buf url, query;
  tl_md5 whole; /* of the parts' digests: what the last etag shows */
  int parts;
  tl_s3_answer answer;
  tl_s3_refusal refusal;
} upload;

typedef enum next { WON, LOST, RESEND, BEGIN, REFUSED } next;

static void deinit(upload *u) {
  tl_buf_deinit(&u->upload_id);
  tl_buf_deinit(&u->end);
  tl_buf_deinit(&u->url);
  tl_buf_deinit(&u->query);
  tl_buf_deinit(&u->answer.body);
}

static bool is_forgotten(const upload *u) { return u->answer.code == 404 && !strcmp(u->refusal.code, "NoSuchUpload"); }

/* The query of a step, sorted: partNumber, then uploadId. part 0: none. */
static tl_status step_url(upload *u, int part, tl_error *err) {
  tl_buf_clear(&u->query);
  tl_status st = part ? tl_buf_appendf(&u->query, err, "partNumber=%d&", part) : TL_OK;
  if (!st) st = tl_buf_appends(&u->query, "uploadId=", err);
  if (!st) st = tl_origin_append_value(&u->query, u->upload_id.data, u->upload_id.len, err);
  return st ? st : tl_s3_url(u->s, u->key, u->query.data, &u->url, err);
}

static tl_status begin(upload *u, tl_error *err) {
  char id_header[80];
  tl_s3_new_put_id(u->id);
  snprintf(id_header, sizeof id_header, "x-amz-meta-ticklake-put: %s", u->id);
  tl_status st = tl_s3_url(u->s, u->key, "uploads=", &u->url, err);
  if (!st) st = tl_s3_ask(u->s, u->key, &(tl_s3_request){.method = "POST", .url = u->url.data, .headers = {id_header}}, &u->answer, &u->refusal, err);
  if (st) return st;
  if (u->answer.code != 200) return tl_s3_explain(u->s, u->key, &u->answer, &u->refusal, err);
  st = tl_s3_xml_upload_id(u->answer.body.len ? u->answer.body.data : "", u->answer.body.len, &u->upload_id, err);
  if (st == TL_EDECODE) st = tl_s3_no_object(u->s, u->key, &u->answer, err);
  tl_md5_init(&u->whole);
  tl_buf_clear(&u->end);
  u->parts = 0;
  return st ? st : tl_buf_appends(&u->end, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">", err);
}

/* A part's etag must be its MD5, or of a kind that tells nothing. */
static bool part_is_taken(const upload *u, const char *hex) {
  const tl_s3_answer *a = &u->answer;
  if (a->code != 200 || !a->etag[0]) return false;
  return a->etag_is_md5 && !atomic_load(&u->s->odd_etags) ? !strcmp(a->etag, hex) : a->is_s3;
}

static tl_status send_part(upload *u, int64_t offset, int64_t len, bool *forgotten, tl_error *err) {
  unsigned char digest[16];
  char hex[33], base64[25], header[80];
  tl_s3_patience patience = {0};
  tl_status st = tl_s3_body_md5(u->body, offset, len, digest, err);
  if (!st) st = step_url(u, ++u->parts, err);
  if (st) return st;
  tl_md5_hex(digest, hex);
  tl_md5_base64(digest, base64);
  tl_md5_add(&u->whole, digest, sizeof digest);
  snprintf(header, sizeof header, "Content-MD5: %s", base64);
  tl_s3_request request = {.method = "PUT", .url = u->url.data, .headers = {header}, .path = u->body->path, .fd = u->body->fd, .offset = offset, .body_len = (size_t)len};
  if (!u->body->path) request.body = (const char *)u->body->data + offset;
  do {
    st = tl_s3_ask(u->s, u->key, &request, &u->answer, &u->refusal, err);
    if (st) return st;
    *forgotten = is_forgotten(u);
    if (*forgotten) return TL_OK;
    if (u->answer.code < 200 || u->answer.code > 299) return tl_s3_explain(u->s, u->key, &u->answer, &u->refusal, err);
    if (part_is_taken(u, hex))
      return tl_buf_appendf(&u->end, err, "<Part><PartNumber>%d</PartNumber><ETag>&quot;%s&quot;</ETag></Part>", u->parts, u->answer.etag);
  } while (tl_s3_wait(&patience, &u->answer)); /* a proxy's page, or other bytes than were sent */
  return tl_s3_no_object(u->s, u->key, &u->answer, err);
}

static tl_status send_parts(upload *u, bool *forgotten, tl_error *err) {
  tl_status st = TL_OK;
  *forgotten = false;
  for (int64_t at = 0; !st && !*forgotten && at < u->body->size_bytes; at += u->part_bytes)
    st = send_part(u, at, u->body->size_bytes - at < u->part_bytes ? u->body->size_bytes - at : u->part_bytes, forgotten, err);
  return st || *forgotten ? st : tl_buf_appends(&u->end, "</CompleteMultipartUpload>", err);
}

static void expected_etag(const upload *u, char out[ETAG_BYTES]) {
  unsigned char digest[16];
  tl_md5 whole = u->whole;
  tl_md5_finish(&whole, digest);
  tl_md5_hex(digest, out);
  snprintf(out + 32, ETAG_BYTES - 32, "-%d", u->parts);
}

/* What the answer to the last step means. A 200 may hold an error: the store begins to answer before it knows. */
static tl_status settle(upload *u, tl_s3_verdict v, next *what, tl_store_info *info, tl_error *err) {
  tl_s3_answer *a = &u->answer;
  tl_s3_refusal *r = &u->refusal;
  if (v == TL_S3_DONE) {
    const char *data = a->body.len ? a->body.data : "";
    char expected[ETAG_BYTES];
    expected_etag(u, expected);
    tl_status st = tl_s3_xml_completed(data, a->body.len, u->etag, err);
    if (st && st != TL_EDECODE) return st;
    if (!st && !strcmp(u->etag, expected)) {
      *info = (tl_store_info){.size_bytes = u->body->size_bytes, .mtime_ms = a->date_s > 0 ? a->date_s * 1000 : tl_clock_now_ns() / TL_NS_PER_S * 1000};
      memcpy(info->etag, u->etag, sizeof info->etag);
      *what = WON;
      return TL_OK;
    }
    tl_s3_xml_refusal(data, a->body.len, r);
  }
  bool early = !a->sent, lost = a->code == 412 || !strcmp(r->code, "PreconditionFailed") || (a->code == 404 && !strcmp(r->code, "NoSuchKey"));
  bool forgotten = is_forgotten(u) || a->code == 409, stands = v == TL_S3_REFUSED && !lost && !forgotten && !a->status;
  *what = early && v == TL_S3_AGAIN ? RESEND : REFUSED;
  if (early || stands) return TL_OK;
  tl_s3_whose whose;
  bool again = false;
  tl_status st = tl_s3_read_back(u->s, u->key, u->id, u->body, u->as, &whose, &again, info, err);
  if (st) return st;
  if (whose == TL_S3_OURS) *what = WON;
  else if (lost && u->as->condition != TL_PUT_ANY) *what = LOST;
  else if (!again) *what = LOST;
  else *what = forgotten ? BEGIN : v == TL_S3_REFUSED ? REFUSED : RESEND;
  return TL_OK;
}

static void ask_end(upload *u, const char *condition) {
  TL_FAULT_STEP();
  tl_s3http_ask(u->s->http, &(tl_s3_request){.method = "POST", .url = u->url.data, .headers = {condition}, .body = u->end.data, .body_len = u->end.len}, &u->answer);
  TL_FAULT_STEP();
}

static tl_status end_upload(upload *u, next *what, tl_store_info *info, tl_error *err) {
  tl_buf condition = {0};
  tl_s3_patience patience = {0};
  tl_status st = step_url(u, 0, err);
  if (!st) st = tl_s3_condition_header(u->as, &condition, err);
  while (!st) {
    ask_end(u, condition.len ? condition.data : NULL);
    st = settle(u, tl_s3_judge(&u->answer, &u->refusal), what, info, err);
    if (st || *what != RESEND || !tl_s3_wait(&patience, &u->answer)) break;
    tl_log(TL_LOG_DEBUG, "end of the upload of '%s/%s': %s; sent again", u->s->uri, u->key, u->answer.status ? u->answer.reason : u->refusal.code);
  }
  tl_buf_deinit(&condition);
  return st;
}

static void give_up(upload *u) {
  if (!u->upload_id.len || step_url(u, 0, NULL)) return;
  tl_s3http_ask(u->s->http, &(tl_s3_request){.method = "DELETE", .url = u->url.data}, &u->answer); /* one try: the bucket's own rules clear the rest */
}

static tl_status run(upload *u, next *what, tl_store_info *info, tl_error *err) {
  bool forgotten = false;
  *what = BEGIN;
  tl_status st = begin(u, err);
  if (!st) st = send_parts(u, &forgotten, err);
  if (!st && !forgotten) st = end_upload(u, what, info, err);
  if (!st && (*what == REFUSED || *what == RESEND)) {
    bool words = u->answer.status || u->answer.code > 299 || u->refusal.code[0];
    st = words ? tl_s3_explain(u->s, u->key, &u->answer, &u->refusal, err) : tl_s3_no_object(u->s, u->key, &u->answer, err);
  }
  if (st || *what != WON) give_up(u);
  return st;
}

tl_status tl_s3_upload(tl_s3 *s, const char *key, const tl_s3_body *body, const tl_store_put_as *as, tl_store_info *info, tl_error *err) {
  upload u = {.s = s, .key = key, .body = body, .as = as, .part_bytes = PART_BYTES_MIN};
  if (body->size_bytes / PARTS_MAX >= PART_BYTES_MIN) u.part_bytes = (body->size_bytes / PARTS_MAX / (1 << 20) + 1) << 20;
  next what = BEGIN;
  tl_status st = TL_OK;
  if (as->condition == TL_PUT_ABSENT) { /* spares the sending */
    st = tl_s3_head(s, key, &u.answer, err);
    what = st ? BEGIN : LOST;
    if (st == TL_ENOTFOUND) st = TL_OK;
  }
  for (int i = 0; !st && what == BEGIN && i < BEGINS_MAX; i++) st = run(&u, &what, info, err);
  if (!st && what == LOST) st = tl_s3_lost(s, key, err);
  else if (!st && what != WON) st = tl_fail(err, TL_EHTTP, "'%s/%s': the store forgets the upload again and again", s->uri, key);
  deinit(&u);
  return st;
}

tl_status tl_s3_try_upload(tl_s3 *s, const char *key, int *code, tl_error *err) {
  static const tl_s3_body body = {.data = "ticklake", .fd = -1, .size_bytes = 8};
  static const tl_store_put_as absent = {.condition = TL_PUT_ABSENT};
  upload u = {.s = s, .key = key, .body = &body, .as = &absent, .part_bytes = PART_BYTES_MIN};
  tl_s3_patience patience = {0};
  bool forgotten = false;
  tl_status st = begin(&u, err);
  if (!st) st = send_parts(&u, &forgotten, err);
  if (!st) st = step_url(&u, 0, err);
  tl_s3_verdict v = TL_S3_AGAIN;
  while (!st && v == TL_S3_AGAIN) {
    ask_end(&u, "If-None-Match: *");
    v = tl_s3_judge(&u.answer, &u.refusal);
    if (v == TL_S3_AGAIN ? !tl_s3_wait(&patience, &u.answer) : u.answer.status) st = tl_s3_explain(s, key, &u.answer, &u.refusal, err);
  }
  if (v == TL_S3_DONE && u.answer.body.len) tl_s3_xml_refusal(u.answer.body.data, u.answer.body.len, &u.refusal);
  *code = !strcmp(u.refusal.code, "PreconditionFailed") ? 412 : u.answer.code;
  give_up(&u);
  deinit(&u);
  return st;
}
