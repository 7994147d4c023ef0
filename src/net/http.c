/* http.c - one transfer: how curl is set up for it, what comes in, what its end means. */
#include "net/http.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/http_header.h"
#include "net/http_slot.h"
#include "net/origin.h"

enum { RECEIVE_BYTES = 128 * 1024, STALL_BYTES_MIN = 1024 };

static bool refuse(slot *s, tl_status status, const char *reason) {
  s->answer.status = status;
  snprintf(s->answer.reason, sizeof s->answer.reason, "%s", reason);
  return false;
}

static bool take_header(slot *s, const char *line, size_t len) {
  s->received_bytes += len;
  s->header_bytes += len;
  if (s->header_bytes > s->limits->header_bytes_max) return refuse(s, TL_ENET, "the answer's header does not end");
  return tl_http_header_take(&s->answer, line, len);
}

static bool take_body(slot *s, const char *data, size_t len) {
  tl_http_answer *a = &s->answer;
  s->received_bytes += len;
  if (!a->bytes) {
    curl_off_t announced = -1;
    curl_easy_getinfo(s->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    if (announced > 0 && (uint64_t)announced <= s->limits->body_bytes_max && tl_buf_reserve(&a->body, (size_t)announced, NULL))
      return refuse(s, TL_ENOMEM, "no memory for the answer");
  }
  a->bytes += len;
  if (a->bytes > s->limits->body_bytes_max) {
    snprintf(a->reason, sizeof a->reason, "the answer is larger than %zu bytes", s->limits->body_bytes_max);
    a->status = TL_ELIMIT;
    return false;
  }
  return !tl_buf_append(&a->body, data, len, NULL) || refuse(s, TL_ENOMEM, "no memory for the answer");
}

static size_t on_header(char *line, size_t size, size_t count, void *s) { return take_header(s, line, size * count) ? size * count : 0; }
static size_t on_body(char *data, size_t size, size_t count, void *s) { return take_body(s, data, size * count) ? size * count : 0; }

static int on_request(void *argument, char *remote_ip, char *local_ip, int remote_port, int local_port) {
  slot *s = argument;
  (void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
  s->answer.sends++;
  return CURL_PREREQFUNC_OK;
}

static const char *environment(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

CURLcode tl_http_dress(CURL *easy, int64_t connect_timeout_ns) {
  CURLcode rc = CURLE_OK;
#define SET(option, value) rc = rc ? rc : curl_easy_setopt(easy, option, value)
  SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* keys are not for the proxy */
  SET(CURLOPT_USERAGENT, "ticklake");
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_SSL_VERIFYPEER, 1L);
  SET(CURLOPT_SSL_VERIFYHOST, 2L);
  SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_TCP_KEEPALIVE, 1L);
  SET(CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
  SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(connect_timeout_ns / TL_NS_PER_MS + 1));
  const char *ca = environment("CURL_CA_BUNDLE"); /* the curl tool reads these, libcurl does not */
  if (!ca) ca = environment("SSL_CERT_FILE");
  if (ca) SET(CURLOPT_CAINFO, ca);
  if ((ca = environment("SSL_CERT_DIR")) != NULL) SET(CURLOPT_CAPATH, ca);
#undef SET
  return rc;
}

tl_status tl_http_slot_open(slot *s, const tl_http_options *limits, struct curl_slist *headers, tl_error *err) {
  s->limits = limits;
  s->easy = curl_easy_init();
  if (!s->easy) return tl_fail(err, TL_ENOMEM, "cannot make a transfer");
  CURLcode rc = tl_http_dress(s->easy, limits->connect_timeout_ns);
#define SET(option, value) rc = rc ? rc : curl_easy_setopt(s->easy, option, value)
  SET(CURLOPT_PRIVATE, s);
  SET(CURLOPT_ERRORBUFFER, s->curl_text);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, s);
  SET(CURLOPT_HEADERFUNCTION, on_header);
  SET(CURLOPT_HEADERDATA, s);
  SET(CURLOPT_PREREQFUNCTION, on_request);
  SET(CURLOPT_PREREQDATA, s);
  SET(CURLOPT_HTTPHEADER, headers); /* asks for gzip itself: curl must not decompress, workers do */
#undef SET
  if (!rc) return TL_OK;
  tl_http_slot_close(s);
  return rc == CURLE_OUT_OF_MEMORY ? tl_fail(err, TL_ENOMEM, "cannot make a transfer")
                                   : tl_fail(err, TL_EINTERNAL, "curl refused an option: %s", curl_easy_strerror(rc));
}

void tl_http_slot_close(slot *s) {
  curl_easy_cleanup(s->easy);
  s->easy = NULL;
  tl_buf_deinit(&s->answer.body);
}

tl_status tl_http_slot_aim(slot *s, const char *url, void *user, tl_buf *body, tl_error *err) {
  bool https = !strncmp(url, "https:", 6);
  CURLcode rc = CURLE_OK;
#define SET(option, value) rc = rc ? rc : curl_easy_setopt(s->easy, option, value)
  SET(CURLOPT_URL, url);
  SET(CURLOPT_PROXY, tl_origin_is_loopback(url) ? "" : NULL);
  SET(CURLOPT_HTTP_VERSION, https ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
  SET(CURLOPT_PIPEWAIT, https ? 1L : 0L); /* rather share a connection than open one per transfer */
#undef SET
  if (rc) return tl_fail(err, rc == CURLE_OUT_OF_MEMORY ? TL_ENOMEM : TL_EINTERNAL, "cannot aim a transfer: %s", curl_easy_strerror(rc));
  s->answer = (tl_http_answer){.user = user, .body = *body};
  *body = (tl_buf){0};
  tl_buf_clear(&s->answer.body);
  tl_http_header_reset(&s->answer);
  s->curl_text[0] = 0;
  s->header_bytes = 0;
  s->received_bytes = s->mark_bytes = 0;
  s->start_ns = s->mark_ns = tl_clock_mono_ns();
  return TL_OK;
}

/* What curl's failures mean for us; everything else is a broken transfer that may be tried again. */
static const struct {
  CURLcode code;
  tl_status status;
  bool hopeless;
} meanings[] = {
    {CURLE_OUT_OF_MEMORY, TL_ENOMEM, true},         {CURLE_PEER_FAILED_VERIFICATION, TL_ENET, true},
    {CURLE_SSL_CACERT_BADFILE, TL_EUSAGE, true},    {CURLE_SSL_ISSUER_ERROR, TL_ENET, true},
    {CURLE_URL_MALFORMAT, TL_EUSAGE, true},         {CURLE_BAD_FUNCTION_ARGUMENT, TL_EINTERNAL, true},
};

tl_status tl_http_meaning(CURLcode result, const char *curl_text, bool *hopeless, char *reason, size_t reason_bytes) {
  tl_status status = TL_ENET;
  for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
    if (meanings[i].code == result) {
      status = meanings[i].status;
      *hopeless = meanings[i].hopeless;
    }
  snprintf(reason, reason_bytes, "%.180s%s", curl_text[0] ? curl_text : curl_easy_strerror(result),
           result == CURLE_PEER_FAILED_VERIFICATION ? "; for a CA of your own set CURL_CA_BUNDLE to its file" : "");
  return status;
}

static void explain_failure(slot *s, CURLcode result) {
  tl_http_answer *a = &s->answer;
  if (result == CURLE_OUT_OF_MEMORY && s->header_bytes && !a->bytes) refuse(s, TL_ENET, "a header line of the answer does not end"); /* curl's word for a line over its limit */
  else a->status = tl_http_meaning(result, s->curl_text, &a->hopeless, a->reason, sizeof a->reason);
}

void tl_http_slot_finish(slot *s, CURLcode result) {
  tl_http_answer *a = &s->answer;
  long code = 0;
  curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &code);
  a->code = (int)code;
  a->elapsed_ns = tl_clock_mono_ns() - s->start_ns;
  if (a->status) return; /* we stopped it and said why */
  if (result) {
    explain_failure(s, result);
    return;
  }
  char *target = NULL;
  curl_easy_getinfo(s->easy, CURLINFO_REDIRECT_URL, &target);
  if (code >= 300 && code <= 399 && target) {
    char shown[200];
    tl_origin_describe(target, shown, sizeof shown);
    a->status = TL_EORIGIN;
    a->hopeless = true;
    snprintf(a->reason, sizeof a->reason, "HTTP %ld redirects to '%s'; redirects are not followed", code, shown);
  }
}

bool tl_http_slot_overdue(slot *s, int64_t now_ns) {
  tl_http_answer *a = &s->answer;
  if (!s->received_bytes) {
    curl_off_t sent_us = 0; /* 0: still connecting, or waiting for a connection to share */
    curl_easy_getinfo(s->easy, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
    int64_t allowed_ns = s->limits->first_byte_timeout_ns;
    allowed_ns += sent_us > 0 ? (int64_t)sent_us * TL_NS_PER_US : s->limits->connect_timeout_ns;
    s->mark_ns = now_ns;
    if (now_ns - s->start_ns < allowed_ns) return false;
    a->status = TL_ENET;
    snprintf(a->reason, sizeof a->reason, "no answer within %.1f s", (double)(now_ns - s->start_ns) / 1e9);
    return true;
  }
  if (now_ns - s->mark_ns < s->limits->stall_timeout_ns) return false;
  uint64_t came = s->received_bytes - s->mark_bytes;
  s->mark_ns = now_ns;
  s->mark_bytes = s->received_bytes;
  if (came >= STALL_BYTES_MIN) return false;
  a->status = TL_ENET;
  snprintf(a->reason, sizeof a->reason, "the answer stalled: %" PRIu64 " bytes in %.1f s", came, (double)s->limits->stall_timeout_ns / 1e9);
  return true;
}

tl_status tl_http_get(tl_http *http, const char *url, tl_http_answer *out, tl_error *err) {
  tl_status st = tl_http_send(http, url, NULL, err);
  while (!st && !tl_http_next(http, out)) {
    st = tl_http_step(http, TL_NS_PER_S, err);
    if (st) { /* the answer must not turn up in a later call */
      tl_http_abort(http);
      if (tl_http_next(http, out)) tl_http_recycle(http, &out->body);
      return st;
    }
  }
  if (st || !out->status) return st;
  st = tl_fail(err, out->status, "%s", out->reason);
  if (err) err->http_code = out->code;
  tl_http_recycle(http, &out->body);
  return st;
}
