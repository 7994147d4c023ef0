/* call.c - one request on one curl handle; see call.h. */
#include "net/call.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/keep.h"
#include "net/http_slot.h"
#include "net/origin.h"

enum { STALL_S = 60, SLOW_BYTES_PER_S = 20 };

struct tl_call {
  CURL *easy;
  tl_keep *bearer; /* the whole header line */
  struct curl_slist headers[3];
  tl_call_answer *answer;
  size_t bytes_max;
  tl_status status; /* why we stopped the transfer */
  char curl_text[CURL_ERROR_SIZE];
};

static size_t on_body(char *data, size_t size, size_t count, void *argument) {
  tl_call *call = argument;
  size_t len = size * count;
  tl_buf *body = &call->answer->body;
  if (len > call->bytes_max - body->len) call->status = TL_ELIMIT;
  else if (tl_buf_append(body, data, len, NULL)) call->status = TL_ENOMEM;
  return call->status ? 0 : len;
}

static int on_request(void *argument, char *remote_ip, char *local_ip, int remote_port, int local_port) {
  tl_call *call = argument;
  (void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
  call->answer->sent = true;
  return CURL_PREREQFUNC_OK;
}

static tl_status make_headers(tl_call *call, const char *bearer, tl_error *err) {
  static char type[] = "Content-Type: application/json", accept[] = "Accept: application/json";
  static const char name[] = "Authorization: Bearer ";
  call->headers[0] = (struct curl_slist){.data = type, .next = &call->headers[1]};
  call->headers[1] = (struct curl_slist){.data = accept};
  if (!bearer) return TL_OK;
  for (const char *p = bearer; *p; p++)
    if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f)
      return tl_fail(err, TL_EUSAGE, "the token of the catalog holds a blank or a control character; check it for a stray line end");
  call->bearer = tl_keep_open(sizeof name + strlen(bearer));
  if (!call->bearer) return tl_fail(err, TL_ENOMEM, "cannot keep the token of the catalog");
  memcpy(tl_keep_data(call->bearer), name, sizeof name - 1);
  memcpy(tl_keep_data(call->bearer) + sizeof name - 1, bearer, strlen(bearer));
  call->headers[1].next = &call->headers[2];
  call->headers[2] = (struct curl_slist){.data = tl_keep_data(call->bearer)};
  return TL_OK;
}

static tl_status make_easy(tl_call *call, tl_error *err) {
  tl_status st = tl_http_start(err);
  if (st) return st;
  call->easy = curl_easy_init();
  if (!call->easy) return tl_fail(err, TL_ENOMEM, "cannot make a request");
  CURLcode rc = tl_http_dress(call->easy, 10 * TL_NS_PER_S);
#define SET(option, value) rc = rc ? rc : curl_easy_setopt(call->easy, option, value)
  SET(CURLOPT_ERRORBUFFER, call->curl_text);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, call);
  SET(CURLOPT_PREREQFUNCTION, on_request);
  SET(CURLOPT_PREREQDATA, call);
  SET(CURLOPT_HTTPHEADER, call->headers);
  SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES_PER_S);
  SET(CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
#undef SET
  return rc ? tl_fail(err, rc == CURLE_OUT_OF_MEMORY ? TL_ENOMEM : TL_EINTERNAL, "curl refused an option: %s", curl_easy_strerror(rc)) : TL_OK;
}

tl_status tl_call_open(const char *bearer, tl_call **out, tl_error *err) {
  tl_call *call = tl_calloc(1, sizeof *call);
  if (!call) return tl_fail(err, TL_ENOMEM, "cannot make a request");
  tl_status st = make_headers(call, bearer, err);
  if (!st) st = make_easy(call, err);
  if (st) tl_call_close(call);
  else *out = call;
  return st;
}

void tl_call_close(tl_call *call) {
  if (!call) return;
  curl_easy_cleanup(call->easy);
  tl_keep_close(call->bearer);
  tl_free(call);
}

static CURLcode aim(tl_call *call, const char *method, const char *url, const char *json, size_t json_len) {
  CURLcode rc = CURLE_OK;
#define SET(option, value) rc = rc ? rc : curl_easy_setopt(call->easy, option, value)
  SET(CURLOPT_HTTPGET, 1L); /* undoes what the last request set */
  SET(CURLOPT_CUSTOMREQUEST, NULL);
  if (!strcmp(method, "POST")) {
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)json_len);
    SET(CURLOPT_POSTFIELDS, json ? json : "");
  } else if (strcmp(method, "GET") != 0) {
    SET(CURLOPT_CUSTOMREQUEST, method);
  }
  /* On a kept connection that dies without an answer curl sends again by itself: a commit would race with itself, and its 409 be
   * taken for another writer's. On a new connection it does not. */
  SET(CURLOPT_FRESH_CONNECT, strcmp(method, "GET") != 0 ? 1L : 0L);
  SET(CURLOPT_URL, url);
  SET(CURLOPT_PROXY, tl_origin_is_loopback(url) ? "" : NULL);
#undef SET
  return rc;
}

tl_status tl_call_send(tl_call *call, const char *method, const char *url, const char *json, size_t json_len, size_t bytes_max,
                       tl_call_answer *answer, tl_error *err) {
  char host[300], reason[256] = "connection reset (injected)";
  bool hopeless = false;
  long code = 0;
  call->answer = answer;
  call->bytes_max = bytes_max;
  call->status = TL_OK;
  call->curl_text[0] = 0;
  answer->code = 0;
  answer->sent = false;
  tl_buf_clear(&answer->body);
  tl_origin_describe(url, host, sizeof host);
  CURLcode rc = aim(call, method, url, json, json_len);
  tl_fault_action fault = tl_fault_hit(TL_SEAM_NET);
  tl_status st = TL_ENET;
  if (fault != TL_FAULT_ERROR) {
    if (!rc) rc = curl_easy_perform(call->easy);
    if (fault == TL_FAULT_EXIT_AFTER) tl_fault_exit();
    st = call->status;
    if (!st && rc) st = tl_http_meaning(rc, call->curl_text, &hopeless, reason, sizeof reason);
    else if (st == TL_ELIMIT) snprintf(reason, sizeof reason, "its answer is larger than %zu bytes", bytes_max);
    else if (st) snprintf(reason, sizeof reason, "no memory for its answer");
    if (!st && fault == TL_FAULT_SHORT) st = TL_ENET;
  }
  if (st) return tl_fail(err, st, "cannot ask '%s': %s", host, reason);
  curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &code);
  answer->code = (int)code;
  return TL_OK;
}
