/* s3_ask.c - one request with patience, and what a refusal means in a user's words. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/s3.h"

enum { WAITS_MAX = 8, WAIT_DOUBLINGS_MAX = 6, SKEW_S_MAX = 300 };
static const int64_t WAIT_BASE_NS = 100 * TL_NS_PER_MS, WAIT_ALL_NS = 120 * TL_NS_PER_S, WAIT_ASKED_MAX_NS = 30 * TL_NS_PER_S;

tl_status tl_s3_no_memory(const tl_s3 *s, const char *key, tl_error *err) {
  return tl_fail(err, TL_ENOMEM, "no memory for a request to '%s%s%s'", s->uri, key ? "/" : "", key ? key : "");
}

tl_status tl_s3_url(const tl_s3 *s, const char *key, const char *query, tl_buf *url, tl_error *err) {
  tl_buf_clear(url);
  tl_status st = tl_buf_append(url, s->url.data, s->url.len, err);
  const char *parts[2] = {key && s->prefix.len ? s->prefix.data : "", key ? key : ""};
  for (int i = 0; i < 2; i++)
    for (const char *at = parts[i]; !st && *at;) {
      size_t len = strcspn(at, "/");
      st = tl_origin_append_value(url, at, len, err);
      at += len;
      if (!st && *at == '/') st = tl_buf_append(url, at++, 1, err);
    }
  return st || !query ? st : tl_buf_appendf(url, err, "?%s", query);
}

/* ---- judging ---- */

static const char *const passing_codes[] = {"RequestTimeout", "IncompleteBody", "BadDigest", "SlowDown", "SlowDownRead", "SlowDownWrite", "InternalError",
                                            "ServiceUnavailable", "OperationAborted", "ConditionalRequestConflict", "RequestLimitExceeded", "Throttling"};

tl_s3_verdict tl_s3_judge(const tl_s3_answer *a, tl_s3_refusal *refusal) {
  *refusal = (tl_s3_refusal){0};
  if (a->status) return a->hopeless || a->status != TL_ENET ? TL_S3_REFUSED : TL_S3_AGAIN;
  if (a->code >= 200 && a->code <= 299) return TL_S3_DONE;
  if (a->body.len) tl_s3_xml_refusal(a->body.data, a->body.len, refusal);
  for (size_t i = 0; i < sizeof passing_codes / sizeof *passing_codes; i++)
    if (!strcmp(refusal->code, passing_codes[i])) return TL_S3_AGAIN;
  return a->code == 408 || a->code == 425 || a->code == 429 || (a->code >= 500 && a->code != 501 && a->code != 507) ? TL_S3_AGAIN : TL_S3_REFUSED;
}

bool tl_s3_wait(tl_s3_patience *p, const tl_s3_answer *a) {
  int64_t now_ns = tl_clock_mono_ns();
  if (!p->begin_ns) {
    p->begin_ns = now_ns;
    p->jitter = tl_prng_init((uint64_t)now_ns ^ (uint64_t)getpid() << 40 ^ (uint64_t)(uintptr_t)p);
  }
  if (p->waits == WAITS_MAX || now_ns - p->begin_ns > WAIT_ALL_NS) return false;
  int doublings = p->waits < WAIT_DOUBLINGS_MAX ? p->waits : WAIT_DOUBLINGS_MAX;
  int64_t wait_ns = (int64_t)tl_prng_below(&p->jitter, (uint64_t)(WAIT_BASE_NS << doublings) + 1);
  int64_t asked_ns = a->retry_after_ns < WAIT_ASKED_MAX_NS ? a->retry_after_ns : WAIT_ASKED_MAX_NS;
  p->waits++;
  tl_clock_sleep_ns(wait_ns > asked_ns ? wait_ns : asked_ns);
  return true;
}

tl_status tl_s3_ask(tl_s3 *s, const char *key, const tl_s3_request *request, tl_s3_answer *a, tl_s3_refusal *refusal, tl_error *err) {
  tl_s3_patience patience = {0};
  for (;;) {
    tl_s3http_ask(s->http, request, a);
    tl_s3_verdict v = tl_s3_judge(a, refusal);
    if (v == TL_S3_DONE) atomic_store(&s->bucket_seen, true);
    if (v == TL_S3_DONE || (v == TL_S3_REFUSED && !a->status)) return TL_OK;
    if (v == TL_S3_REFUSED || !tl_s3_wait(&patience, a)) break;
    tl_log(TL_LOG_DEBUG, "%s of '%s%s%s': %s; asked again", request->method, s->uri, key ? "/" : "", key ? key : "", a->status ? a->reason : refusal->code);
  }
  return tl_s3_explain(s, key, a, refusal, err);
}

/* ---- words ---- */

static const struct {
  const char *code;
  tl_status status;
  const char *words;
} meanings[] = {
    {"NoSuchKey", TL_ENOTFOUND, "there is no such object"},
    {"NoSuchUpload", TL_ENOTFOUND, "the upload is not known any more"},
    {"InvalidAccessKeyId", TL_EAUTH, "the store does not know the access key; check AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL"},
    {"SignatureDoesNotMatch", TL_EAUTH, "the secret key does not fit the access key; check AWS_SECRET_ACCESS_KEY"},
    {"ExpiredToken", TL_EAUTH, "the session token has expired; renew AWS_SESSION_TOKEN and its keys"},
    {"InvalidToken", TL_EAUTH, "the session token is not valid; renew AWS_SESSION_TOKEN and its keys"},
    {"InvalidTokenId", TL_EAUTH, "the session token is not valid; renew AWS_SESSION_TOKEN and its keys"},
    {"AccessDenied", TL_EAUTH, "access is denied; the key needs the right to get, put, delete and list here"},
    {"AllAccessDisabled", TL_EAUTH, "access is denied to all"},
    {"AccountProblem", TL_EAUTH, "there is a problem with the account"},
    {"InvalidBucketName", TL_EUSAGE, "a bucket cannot have this name"},
    {"EntityTooLarge", TL_ELIMIT, "the store does not take an object of this size"},
    {"QuotaExceeded", TL_EIO, "the store's quota is used up"},
    {"XMinioStorageFull", TL_EIO, "the store is full"},
    {"XMinioAdminBucketQuotaExceeded", TL_EIO, "the bucket's quota is used up"},
    {"NotImplemented", TL_EUSAGE, "the store does not do what was asked"},
};

static int64_t skew_s(const tl_s3_answer *a) { /* how far the machine's clock is ahead of the store's */
  return a->date_s > 0 ? tl_clock_now_ns() / TL_NS_PER_S - a->date_s : 0;
}

static tl_status wrong_clock(const char *what, const tl_s3_answer *a, tl_error *err) {
  int64_t skew = skew_s(a);
  if (!skew) return tl_fail(err, TL_EUSAGE, "%s: the store finds this machine's clock wrong; set it right", what);
  return tl_fail(err, TL_EUSAGE, "%s: this machine's clock is %" PRId64 " s %s of the store's; set it right", what, skew < 0 ? -skew : skew, skew < 0 ? "behind" : "ahead");
}

static tl_status wrong_region(const tl_s3 *s, const char *region, tl_error *err) {
  if (region[0]) return tl_fail(err, TL_EUSAGE, "bucket '%s' is in region '%s'; set AWS_REGION=%s", s->bucket, region, region);
  return tl_fail(err, TL_EUSAGE, "bucket '%s' is elsewhere than at %s; set AWS_REGION, or AWS_ENDPOINT_URL, to where it is", s->bucket, s->endpoint);
}

static bool is_about_region(const tl_s3_answer *a, const tl_s3_refusal *r) {
  static const char *const codes[] = {"AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "Redirect", "IllegalLocationConstraintException", "InvalidRegion"};
  if (a->code >= 300 && a->code <= 399) return true;
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    if (!strcmp(r->code, codes[i])) return i > 0 || r->region[0] || a->region[0];
  return false;
}

static tl_status refused(const tl_s3 *s, const char *what, const tl_s3_answer *a, const tl_s3_refusal *r, tl_error *err) {
  const char *hint = r->region[0] ? r->region : a->region;
  if (!strcmp(r->code, "RequestTimeTooSkewed") || !strcmp(r->code, "RequestExpired")) return wrong_clock(what, a, err);
  if (a->code == 403 && llabs(skew_s(a)) > SKEW_S_MAX && strcmp(r->code, "InvalidAccessKeyId") != 0) return wrong_clock(what, a, err);
  if (is_about_region(a, r)) return wrong_region(s, hint, err);
  if (!strcmp(r->code, "NoSuchBucket"))
    return tl_fail(err, TL_EUSAGE, "%s: there is no bucket '%s' at %s; make it, or check the name, AWS_REGION and AWS_ENDPOINT_URL", what, s->bucket, s->endpoint);
  for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
    if (!strcmp(meanings[i].code, r->code)) return tl_fail(err, meanings[i].status, "%s: %s", what, meanings[i].words);
  if (r->code[0]) return tl_fail(err, a->code == 401 || a->code == 403 ? TL_EAUTH : TL_EHTTP, "%s: HTTP %d %s%s%s", what, a->code, r->code, r->message[0] ? ": " : "", r->message);
  if (a->code == 401 || a->code == 403) return tl_fail(err, TL_EAUTH, "%s: HTTP %d, access is denied", what, a->code);
  if (a->code == 408 || a->code == 429 || a->code >= 500) return tl_fail(err, TL_EHTTP, "%s: %s answers HTTP %d again and again", what, s->endpoint, a->code);
  return tl_fail(err, TL_EHTTP, "%s: HTTP %d without the words of an S3 store%s%s; is %s one, and no proxy between?", what, a->code, a->type[0] ? ", but " : "", a->type, s->endpoint);
}

tl_status tl_s3_explain(const tl_s3 *s, const char *key, const tl_s3_answer *a, const tl_s3_refusal *r, tl_error *err) {
  char what[300];
  snprintf(what, sizeof what, "'%.140s%s%.140s'", s->uri, key ? "/" : "", key ? key : "");
  tl_status st;
  if (a->status == TL_ENET) st = tl_fail(err, TL_ENET, "%s: no answer from %s: %s", what, s->endpoint, a->reason);
  else if (a->status) st = tl_fail(err, a->status, "%s: %s", what, a->reason);
  else st = refused(s, what, a, r, err);
  if (err) err->http_code = a->code;
  return st;
}
