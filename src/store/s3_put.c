/* s3_put.c - puts on S3 that are exact although answers get lost.
 *
 * Each put carries an id of its own as metadata. Whenever an answer leaves a doubt (none came, 5xx, 409, 412, a 200 that is
 * not S3's) the object is read back: with our id it is ours, and the put is won; else the condition says whether it is lost
 * or may be sent again. libcurl may send twice by itself, so a 412 is a doubt too. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/log.h"
#include "store/md5.h"
#include "store/s3.h"

enum { BLOCK_BYTES = 256 * 1024, COMPARE_BYTES = 8 << 20, UPLOAD_ABOVE_BYTES = 16 << 20 };

void tl_s3_new_put_id(char out[TL_S3_PUT_ID_MAX]) {
  static atomic_uint serial;
  uint64_t parts[2] = {0, 0};
  const void *random = (const void *)getauxval(AT_RANDOM); /* 16 bytes the kernel drew for this process; a fork shares them */
  if (random) memcpy(parts, random, sizeof parts);
  tl_prng a = tl_prng_init(parts[0] ^ tl_prng_mix((uint64_t)getpid() << 32 | atomic_fetch_add(&serial, 1)));
  tl_prng b = tl_prng_init(parts[1] ^ tl_prng_mix((uint64_t)tl_clock_now_ns()) ^ tl_prng_next(&a));
  snprintf(out, TL_S3_PUT_ID_MAX, "%016" PRIx64 "%016" PRIx64, tl_prng_next(&a), tl_prng_next(&b));
}

tl_status tl_s3_lost(const tl_s3 *s, const char *key, tl_error *err) {
  return tl_fail(err, TL_ECONFLICT, "another writer was first at '%s/%s'", s->uri, key);
}

tl_status tl_s3_condition_header(const tl_store_put_as *as, tl_buf *out, tl_error *err) {
  if (as->condition == TL_PUT_ABSENT) return tl_buf_appends(out, "If-None-Match: *", err);
  return as->condition == TL_PUT_MATCH ? tl_buf_appendf(out, err, "If-Match: \"%s\"", as->etag) : TL_OK;
}

/* ---- what is put ---- */

static tl_status read_block(const tl_s3_body *body, int64_t offset, char *block, size_t len, tl_error *err) {
  size_t got = 0;
  tl_status st = tl_io_pread(body->fd, body->path, block, len, offset, &got, err);
  return st || got == len ? st : tl_fail(err, TL_EIO, "'%s' became shorter while it was sent", body->path);
}

tl_status tl_s3_body_md5(const tl_s3_body *body, int64_t offset, int64_t len, unsigned char digest[16], tl_error *err) {
  tl_md5 md5;
  tl_status st = TL_OK;
  tl_md5_init(&md5);
  if (!body->path) {
    if (len) tl_md5_add(&md5, (const char *)body->data + offset, (size_t)len);
  } else {
    char *block = tl_alloc(BLOCK_BYTES);
    if (!block) return tl_fail(err, TL_ENOMEM, "cannot read '%s'", body->path);
    for (int64_t end = offset + len; !st && offset < end;) {
      size_t step = end - offset < BLOCK_BYTES ? (size_t)(end - offset) : BLOCK_BYTES;
      st = read_block(body, offset, block, step, err);
      if (!st) tl_md5_add(&md5, block, step);
      offset += (int64_t)step;
    }
    tl_free(block);
  }
  tl_md5_finish(&md5, digest);
  return st;
}

/* ---- what is there ---- */

static tl_status same_block(const tl_s3_body *body, int64_t offset, const tl_buf *there, char *block, bool *same, tl_error *err) {
  tl_status st = body->path ? read_block(body, offset, block, there->len, err) : TL_OK;
  if (!st) *same = memcmp(body->path ? block : (const char *)body->data + offset, there->data, there->len) == 0;
  return st;
}

static tl_status same_bytes(tl_s3 *s, const char *key, const char *etag, const tl_s3_body *body, bool *same, tl_error *err) {
  tl_s3_answer a = {0};
  char *block = body->path ? tl_alloc(COMPARE_BYTES) : NULL;
  tl_status st = body->path && !block ? tl_s3_no_memory(s, key, err) : TL_OK;
  *same = true;
  for (int64_t at = 0; !st && *same && at < body->size_bytes; at += (int64_t)a.body.len) {
    st = tl_s3_read(s, key, etag, at, COMPARE_BYTES, &a, err);
    if (!st && (a.code == 416 || a.range_total != body->size_bytes)) *same = false;
    else if (!st) st = same_block(body, at, &a.body, block, same, err);
  }
  tl_free(block);
  tl_buf_deinit(&a.body);
  return st;
}

tl_status tl_s3_read_back(tl_s3 *s, const char *key, const char *put_id, const tl_s3_body *body, const tl_store_put_as *as, tl_s3_whose *whose, bool *again,
                          tl_store_info *info, tl_error *err) {
  tl_s3_answer a = {0};
  bool same = false;
  tl_status st = tl_s3_head(s, key, &a, err);
  if (st == TL_ENOTFOUND) {
    *whose = TL_S3_NOBODYS;
    *again = as->condition != TL_PUT_MATCH;
    st = TL_OK;
  } else if (!st) {
    if (a.put_id[0]) same = !strcmp(a.put_id, put_id);
    else if (a.length == body->size_bytes) st = same_bytes(s, key, a.etag, body, &same, err);
    *whose = same ? TL_S3_OURS : TL_S3_OTHERS;
    *again = as->condition == TL_PUT_ANY || (as->condition == TL_PUT_MATCH && !strcmp(a.etag, as->etag));
    tl_s3_describe(&a, a.length, info);
  }
  tl_buf_deinit(&a.body);
  return st ? tl_fail_within(err, st, "cannot tell whether '%s/%s' was written", s->uri, key) : TL_OK;
}

/* ---- one request ---- */

typedef struct put {
  tl_s3 *s;
  const char *key;
  const tl_s3_body *body;
  const tl_store_put_as *as;
  char id[TL_S3_PUT_ID_MAX], hex[33], id_header[80], md5_header[80];
  tl_buf url, condition;
  bool sent; /* some try got out: the object may be ours whatever the last try says */
} put;

static tl_status put_init(put *p, tl_error *err) {
  unsigned char digest[16];
  char base64[25];
  tl_s3_new_put_id(p->id);
  tl_status st = tl_s3_body_md5(p->body, 0, p->body->size_bytes, digest, err);
  if (st) return st;
  tl_md5_hex(digest, p->hex);
  tl_md5_base64(digest, base64);
  snprintf(p->id_header, sizeof p->id_header, "x-amz-meta-ticklake-put: %s", p->id);
  snprintf(p->md5_header, sizeof p->md5_header, "Content-MD5: %s", base64);
  st = tl_s3_url(p->s, p->key, NULL, &p->url, err);
  return st ? st : tl_s3_condition_header(p->as, &p->condition, err);
}

static void put_deinit(put *p) {
  tl_buf_deinit(&p->url);
  tl_buf_deinit(&p->condition);
}

static void put_ask(put *p, tl_s3_answer *a) {
  tl_s3_request request = {.method = "PUT", .url = p->url.data, .headers = {p->md5_header, p->id_header, p->condition.len ? p->condition.data : NULL}, .body = p->body->data,
                           .path = p->body->path, .fd = p->body->fd, .body_len = (size_t)p->body->size_bytes};
  TL_FAULT_STEP();
  tl_s3http_ask(p->s->http, &request, a);
  p->sent = p->sent || a->sent;
  TL_FAULT_STEP();
}

/* A 200 that S3 gave for these very bytes; with an etag that tells nothing, S3's own headers must do. */
static bool is_taken(const put *p, const tl_s3_answer *a) {
  if (a->code != 200 || !a->etag[0]) return false;
  if (a->etag_is_md5 && !strcmp(a->etag, p->hex)) return true;
  return a->is_s3 && (!a->etag_is_md5 || atomic_load(&p->s->odd_etags));
}

static void describe_taken(const put *p, const tl_s3_answer *a, tl_store_info *info) {
  tl_s3_describe(a, p->body->size_bytes, info);
  info->mtime_ms = a->date_s > 0 ? a->date_s * 1000 : tl_clock_now_ns() / TL_NS_PER_S * 1000;
}

/* It carries our id, but was its content kept? Only an etag that is an MD5 and not ours makes one ask. */
static tl_status check_content(const put *p, const tl_store_info *there, tl_error *err) {
  bool same = false, looks_md5 = strlen(there->etag) == 32 && strspn(there->etag, "0123456789abcdef") == 32;
  if (!looks_md5 || !strcmp(there->etag, p->hex) || atomic_load(&p->s->odd_etags)) return TL_OK;
  tl_status st = same_bytes(p->s, p->key, there->etag, p->body, &same, err);
  if (!st && !same) st = tl_fail(err, TL_ECORRUPT, "'%s/%s' was written, but the store holds other bytes than were sent", p->s->uri, p->key);
  if (!st) atomic_store(&p->s->odd_etags, true);
  return st;
}

typedef enum next { WON, LOST, AGAIN, REFUSED } next;

static tl_status read_back(put *p, next *what, tl_store_info *info, tl_error *err) {
  tl_s3_whose whose;
  bool again = false;
  tl_status st = tl_s3_read_back(p->s, p->key, p->id, p->body, p->as, &whose, &again, info, err);
  if (st) return st;
  *what = whose == TL_S3_OURS ? WON : again ? AGAIN : LOST;
  return whose == TL_S3_OURS ? check_content(p, info, err) : TL_OK;
}

/* What one answer means. LOST is the caller's TL_ECONFLICT, REFUSED its error text. */
static tl_status settle(put *p, const tl_s3_answer *a, const tl_s3_refusal *r, tl_s3_verdict v, next *what, tl_store_info *info, tl_error *err) {
  if (v == TL_S3_DONE && is_taken(p, a)) {
    describe_taken(p, a, info);
    *what = WON;
    return TL_OK;
  }
  if (!p->sent) {
    *what = v == TL_S3_AGAIN ? AGAIN : REFUSED;
    return TL_OK;
  }
  bool stands = v == TL_S3_REFUSED, lost = stands && p->as->condition != TL_PUT_ANY && (a->code == 412 || (a->code == 404 && !strcmp(r->code, "NoSuchKey")));
  if (stands && !lost && !a->status && a->code != 412) { /* refused outright: no doubt but what earlier tries left, and they were read back */
    *what = REFUSED;
    return TL_OK;
  }
  tl_status st = read_back(p, what, info, err);
  if (!st && *what == AGAIN && stands) *what = lost ? LOST : REFUSED;
  return st;
}

tl_status tl_s3_put_one(tl_s3 *s, const char *key, const tl_s3_body *body, const tl_store_put_as *as, tl_store_info *info, tl_error *err) {
  put p = {.s = s, .key = key, .body = body, .as = as};
  tl_s3_answer a = {0};
  tl_s3_refusal r = {0};
  tl_s3_patience patience = {0};
  next what = AGAIN;
  tl_status st = put_init(&p, err);
  for (;;) {
    if (st) break;
    put_ask(&p, &a);
    tl_s3_verdict v = tl_s3_judge(&a, &r);
    if (v == TL_S3_DONE) atomic_store(&s->bucket_seen, true);
    st = settle(&p, &a, &r, v, &what, info, err);
    if (st || what != AGAIN || !tl_s3_wait(&patience, &a)) break;
    tl_log(TL_LOG_DEBUG, "put of '%s/%s': %s; sent again", s->uri, key, a.status ? a.reason : r.code);
  }
  if (!st && what == LOST) st = tl_s3_lost(s, key, err);
  else if (!st && what != WON) st = a.status || a.code < 200 || a.code > 299 ? tl_s3_explain(s, key, &a, &r, err) : tl_s3_no_object(s, key, &a, err);
  put_deinit(&p);
  tl_buf_deinit(&a.body);
  return st;
}

/* ---- the proof ---- */

/* One put of the probe: *code 200 or the refusal's; asks again until an answer stands that S3 gave. */
static tl_status probe(tl_s3 *s, const char *key, const tl_store_put_as *as, int *code, tl_error *err) {
  static const tl_s3_body body = {.data = "ticklake", .size_bytes = 8};
  put p = {.s = s, .key = key, .body = &body, .as = as};
  tl_s3_answer a = {0};
  tl_s3_refusal r = {0};
  tl_s3_patience patience = {0};
  tl_status st = put_init(&p, err);
  while (!st) {
    put_ask(&p, &a);
    tl_s3_verdict v = tl_s3_judge(&a, &r);
    if (v == TL_S3_DONE) atomic_store(&s->bucket_seen, true);
    if ((v == TL_S3_DONE && (is_taken(&p, &a) || (a.is_s3 && a.etag[0]))) || (v == TL_S3_REFUSED && !a.status)) break;
    if (v == TL_S3_REFUSED || !tl_s3_wait(&patience, &a)) st = a.status || v != TL_S3_DONE ? tl_s3_explain(s, key, &a, &r, err) : tl_s3_no_object(s, key, &a, err);
  }
  *code = a.code;
  if (!st && a.code != 200 && a.code != 412 && a.code != 501) st = tl_s3_explain(s, key, &a, &r, err);
  put_deinit(&p);
  tl_buf_deinit(&a.body);
  return st;
}

static tl_status unproven(const tl_s3 *s, const char *header, int code, tl_error *err) {
  return tl_fail(err, TL_EUSAGE, "the store at %s %s %s on a put, so two writers could overwrite each other; '%s' needs a store that honours it", s->endpoint,
                 code == 200 ? "ignores" : "does not know", header, s->uri);
}

static tl_status prove_with(tl_s3 *s, const char *key, bool upload, tl_error *err) {
  static const tl_store_put_as absent = {.condition = TL_PUT_ABSENT}, match = {TL_PUT_MATCH, "00000000000000000000000000000000"};
  int code = 0;
  tl_status st = probe(s, key, &absent, &code, err);
  if (!st && code == 501) st = unproven(s, "If-None-Match", code, err);
  if (!st) st = probe(s, key, &absent, &code, err); /* the first put, or a try of it, is there */
  if (!st && code != 412) st = unproven(s, "If-None-Match", code, err);
  if (!st && !upload) st = probe(s, key, &match, &code, err);
  else if (!st) st = tl_s3_try_upload(s, key, &code, err);
  return st || code == 412 ? st : unproven(s, upload ? "If-None-Match at the end of an upload" : "If-Match", code, err);
}

tl_status tl_s3_prove(tl_s3 *s, bool upload, tl_error *err) {
  bool *proven = upload ? &s->upload_is_proven : &s->put_is_proven;
  pthread_mutex_lock(&s->probe_lock);
  tl_status st = TL_OK;
  if (!*proven) {
    char key[64], id[TL_S3_PUT_ID_MAX];
    tl_s3_new_put_id(id);
    snprintf(key, sizeof key, TL_STORE_PROBE "%s.tmp", id);
    st = prove_with(s, key, upload, err);
    if (st != TL_ENET) tl_s3_remove(s, key, NULL); /* else it waits long for the same */
    *proven = !st;
  }
  pthread_mutex_unlock(&s->probe_lock);
  return st;
}

/* ---- the call ---- */

static tl_status open_body(const tl_store_source *source, tl_s3_body *body, tl_error *err) {
  *body = (tl_s3_body){.data = source->data, .path = source->path, .fd = -1, .size_bytes = (int64_t)source->len};
  if (!source->path) return TL_OK;
  tl_io_info file;
  tl_status st = tl_io_open(source->path, O_RDONLY, 0, &body->fd, err);
  if (!st) st = tl_io_stat_open(body->fd, source->path, &file, err);
  if (!st && !file.is_file) st = tl_fail(err, TL_EUSAGE, "'%s' is not a file", source->path);
  if (!st) body->size_bytes = file.size_bytes;
  return st;
}

tl_status tl_s3_put(void *self, const char *key, const tl_store_source *source, const tl_store_put_as *as, tl_store_info *info, tl_error *err) {
  tl_s3 *s = self;
  tl_s3_body body = {.fd = -1};
  tl_status st = tl_s3_check_key(s, key, err);
  if (!st) st = open_body(source, &body, err);
  bool upload = body.size_bytes > UPLOAD_ABOVE_BYTES;
  if (!st && as->condition != TL_PUT_ANY) st = tl_s3_prove(s, false, err);
  if (!st && as->condition != TL_PUT_ANY && upload) st = tl_s3_prove(s, true, err);
  if (!st) st = upload ? tl_s3_upload(s, key, &body, as, info, err) : tl_s3_put_one(s, key, &body, as, info, err);
  tl_io_close(body.fd, source->path, NULL);
  return st;
}
