/* s3http.c - one signed request on a handle of the pool. */
#include "net/s3http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/keep.h"
#include "net/http_slot.h"

enum { REFUSAL_BYTES_MAX = 64 * 1024, HEADER_BYTES_MAX = 64 * 1024, SLOW_BYTES_PER_S = 50 };

typedef struct line { /* one connection and what runs on it */
  struct line *next;
  CURL *easy;
  const tl_s3_request *request;
  tl_s3_answer *answer;
  size_t sent_bytes, header_bytes;
  struct curl_slist headers[TL_S3_HEADERS_MAX + 3];
  char curl_text[CURL_ERROR_SIZE];
} line;

struct tl_s3http {
  tl_keep *user, *secret, *token; /* token: the whole header line */
  char sigv4[80];
  bool loopback;
  int64_t connect_timeout_ns, stall_timeout_ns;
  pthread_mutex_t lock;
  line *idle;
};

static size_t stop(line *l, tl_status status, const char *reason) {
  l->answer->status = status;
  snprintf(l->answer->reason, sizeof l->answer->reason, "%s", reason);
  return 0;
}

/* ---- the answer's header ---- */

static bool is_md5(const char *etag) { return strlen(etag) == 32 && strspn(etag, "0123456789abcdef") == 32; }

static int64_t read_count(const char *text, const char **end) {
  int64_t n = 0;
  const char *at = text;
  for (; *at >= '0' && *at <= '9'; at++)
    if (__builtin_mul_overflow(n, (int64_t)10, &n) || __builtin_add_overflow(n, (int64_t)(*at - '0'), &n)) return -1;
  *end = at;
  return at == text ? -1 : n;
}

static int64_t whole_count(const char *text) {
  const char *end = text;
  int64_t n = read_count(text, &end);
  return n >= 0 && *end ? -1 : n;
}

static void copy_text(char *to, size_t size, const char *value) {
  if (strlen(value) < size) memcpy(to, value, strlen(value) + 1);
}

static void take_etag(tl_s3_answer *a, const char *value) {
  if (!strncmp(value, "W/", 2)) value += 2;
  size_t len = strlen(value);
  if (len >= 2 && value[0] == '"' && value[len - 1] == '"') value++, len -= 2;
  if (len >= sizeof a->etag) return;
  memcpy(a->etag, value, len);
  a->etag[len] = 0;
}
static void take_range(tl_s3_answer *a, const char *value) { /* "bytes 0-9/100" */
  if (strncmp(value, "bytes ", 6) != 0) return;
  const char *end = value + 6, *slash = strchr(value, '/');
  if (*end != '*') a->range_start = read_count(end, &end);
  if (slash) a->range_total = whole_count(slash + 1);
}
static void take_region(tl_s3_answer *a, const char *value) { copy_text(a->region, sizeof a->region, value); }
static void take_put_id(tl_s3_answer *a, const char *value) { copy_text(a->put_id, sizeof a->put_id, value); }
static void take_type(tl_s3_answer *a, const char *value) { copy_text(a->type, sizeof a->type, value); }
static void take_length(tl_s3_answer *a, const char *value) { a->length = whole_count(value); }
static void take_modified(tl_s3_answer *a, const char *value) {
  int64_t at_s = (int64_t)curl_getdate(value, NULL);
  if (at_s >= 0) a->modified_ms = at_s * 1000;
}
static void take_transfer(tl_s3_answer *a, const char *value) { a->chunked = !strcasecmp(value, "chunked"); }
static void take_date(tl_s3_answer *a, const char *value) { a->date_s = (int64_t)curl_getdate(value, NULL); }
static void take_retry_after(tl_s3_answer *a, const char *value) {
  int64_t seconds = whole_count(value);
  if (seconds >= 0 && seconds < 86400) a->retry_after_ns = seconds * TL_NS_PER_S;
}
/* etag_is_md5 says "not excluded" while the header comes in, and is settled at its end. */
static void take_encryption(tl_s3_answer *a, const char *value) { a->etag_is_md5 = a->etag_is_md5 && !strcmp(value, "AES256"); }
static void take_own_key(tl_s3_answer *a, const char *value) { (void)value, a->etag_is_md5 = false; }

static const struct {
  const char *name;
  void (*take)(tl_s3_answer *answer, const char *value);
} fields[] = {
    {"etag", take_etag},
    {"content-range", take_range},
    {"content-length", take_length},
    {"content-type", take_type},
    {"transfer-encoding", take_transfer},
    {"last-modified", take_modified},
    {"date", take_date},
    {"retry-after", take_retry_after},
    {"x-amz-bucket-region", take_region},
    {"x-amz-meta-ticklake-put", take_put_id},
    {"x-amz-server-side-encryption", take_encryption},
    {"x-amz-server-side-encryption-customer-algorithm", take_own_key},
};

static void reset(tl_s3_answer *a) {
  tl_buf body = a->body;
  bool sent = a->sent;
  *a = (tl_s3_answer){.sent = sent, .etag_is_md5 = true, .length = -1, .range_start = -1, .range_total = -1, .modified_ms = -1, .date_s = -1, .retry_after_ns = -1, .body = body};
}

static void take_header(tl_s3_answer *a, const char *text, size_t len) {
  if (len > 5 && !memcmp(text, "HTTP/", 5)) { /* 100 Continue comes before the real one */
    reset(a);
    return;
  }
  const char *colon = memchr(text, ':', len);
  if (!colon) return;
  size_t name_len = (size_t)(colon - text);
  const char *value = colon + 1, *end = text + len;
  while (value < end && (*value == ' ' || *value == '\t')) value++;
  while (end > value && (unsigned char)end[-1] <= ' ') end--;
  if (name_len > 6 && !strncasecmp(text, "x-amz-", 6)) a->is_s3 = true;
  char copy[200];
  if ((size_t)(end - value) >= sizeof copy) return;
  memcpy(copy, value, (size_t)(end - value));
  copy[end - value] = 0;
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    if (strlen(fields[i].name) == name_len && !strncasecmp(fields[i].name, text, name_len)) fields[i].take(a, copy);
}

/* ---- curl's calls ---- */

static size_t on_header(char *text, size_t size, size_t count, void *argument) {
  line *l = argument;
  l->header_bytes += size * count;
  if (l->header_bytes > HEADER_BYTES_MAX) return stop(l, TL_ENET, "the answer's header does not end");
  take_header(l->answer, text, size * count);
  return size * count;
}

static size_t on_body(char *data, size_t size, size_t count, void *argument) {
  line *l = argument;
  tl_buf *body = &l->answer->body;
  size_t len = size * count;
  long code = 0;
  curl_easy_getinfo(l->easy, CURLINFO_RESPONSE_CODE, &code);
  size_t bytes_max = code >= 200 && code <= 299 && l->request->answer_bytes_max ? l->request->answer_bytes_max : REFUSAL_BYTES_MAX;
  if (len > bytes_max - body->len) {
    stop(l, TL_ELIMIT, "");
    snprintf(l->answer->reason, sizeof l->answer->reason, "it is larger than %zu bytes", bytes_max);
    return 0;
  }
  size_t announced = l->answer->length > 0 && (uint64_t)l->answer->length <= bytes_max ? (size_t)l->answer->length : 0;
  if (!body->len && tl_buf_reserve(body, announced, NULL)) return stop(l, TL_ENOMEM, "no memory for the answer");
  return tl_buf_append(body, data, len, NULL) ? stop(l, TL_ENOMEM, "no memory for the answer") : len;
}

static size_t on_send(char *data, size_t size, size_t count, void *argument) {
  line *l = argument;
  const tl_s3_request *r = l->request;
  size_t len = size * count, got = 0;
  if (len > r->body_len - l->sent_bytes) len = r->body_len - l->sent_bytes;
  if (!len) return 0;
  if (r->path) {
    tl_error err;
    tl_status st = tl_io_pread(r->fd, r->path, data, len, r->offset + (int64_t)l->sent_bytes, &got, &err);
    if (!st && got < len) st = tl_fail(&err, TL_EIO, "'%s' became shorter while it was sent", r->path);
    if (st) {
      l->answer->hopeless = true;
      stop(l, st, err.message);
      return CURL_READFUNC_ABORT;
    }
  } else {
    memcpy(data, (const char *)r->body + l->sent_bytes, len);
  }
  l->sent_bytes += len;
  return len;
}

static int on_rewind(void *argument, curl_off_t offset, int origin) {
  line *l = argument;
  if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > l->request->body_len) return CURL_SEEKFUNC_FAIL;
  l->sent_bytes = (size_t)offset;
  return CURL_SEEKFUNC_OK;
}

static int on_request(void *argument, char *remote_ip, char *local_ip, int remote_port, int local_port) {
  line *l = argument;
  (void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
  l->answer->sent = true;
  return CURL_PREREQFUNC_OK;
}

/* ---- lines ---- */

static CURLcode dress(tl_s3http *http, line *l) {
  CURLcode rc = tl_http_dress(l->easy, http->connect_timeout_ns);
#define SET(option, value) rc = rc ? rc : curl_easy_setopt(l->easy, option, value)
  SET(CURLOPT_ERRORBUFFER, l->curl_text);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, l);
  SET(CURLOPT_HEADERFUNCTION, on_header);
  SET(CURLOPT_HEADERDATA, l);
  SET(CURLOPT_READFUNCTION, on_send);
  SET(CURLOPT_READDATA, l);
  SET(CURLOPT_SEEKFUNCTION, on_rewind);
  SET(CURLOPT_SEEKDATA, l);
  SET(CURLOPT_PREREQFUNCTION, on_request);
  SET(CURLOPT_PREREQDATA, l);
  SET(CURLOPT_PATH_AS_IS, 1L); /* keys are literal */
  SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES_PER_S);
  SET(CURLOPT_LOW_SPEED_TIME, (long)(http->stall_timeout_ns / TL_NS_PER_S + 1));
  SET(CURLOPT_AWS_SIGV4, http->sigv4);
  SET(CURLOPT_USERNAME, tl_keep_data(http->user));
  SET(CURLOPT_PASSWORD, tl_keep_data(http->secret));
  if (http->loopback) SET(CURLOPT_PROXY, "");
#undef SET
  return rc;
}

static void close_line(line *l) {
  curl_easy_cleanup(l->easy);
  tl_free(l);
}

static line *take_line(tl_s3http *http) {
  pthread_mutex_lock(&http->lock);
  line *l = http->idle;
  if (l) http->idle = l->next;
  pthread_mutex_unlock(&http->lock);
  if (l) return l;
  l = tl_calloc(1, sizeof *l);
  if (!l) return NULL;
  l->easy = curl_easy_init();
  if (l->easy && !dress(http, l)) return l;
  close_line(l);
  return NULL;
}

static void give_line(tl_s3http *http, line *l) {
  pthread_mutex_lock(&http->lock);
  l->next = http->idle;
  http->idle = l;
  pthread_mutex_unlock(&http->lock);
}

static void add_header(line *l, size_t *count, const char *text) {
  if (!text) return;
  union { const char *in; char *out; } unconst = {.in = text}; /* curl's type; it only reads */
  l->headers[*count] = (struct curl_slist){.data = unconst.out};
  if (*count) l->headers[*count - 1].next = &l->headers[*count];
  ++*count;
}

static CURLcode aim(tl_s3http *http, line *l, const tl_s3_request *r) {
  bool put = !strcmp(r->method, "PUT"), post = !strcmp(r->method, "POST"), head = !strcmp(r->method, "HEAD");
  size_t count = 0;
  add_header(l, &count, "x-amz-content-sha256: UNSIGNED-PAYLOAD");
  add_header(l, &count, tl_keep_data(http->token));
  for (size_t i = 0; i < TL_S3_HEADERS_MAX; i++) add_header(l, &count, r->headers[i]);
  if (put || post) add_header(l, &count, put ? "Content-Type: application/octet-stream" : "Content-Type: application/xml");
  CURLcode rc = CURLE_OK;
#define SET(option, value) rc = rc ? rc : curl_easy_setopt(l->easy, option, value)
  SET(CURLOPT_NOBODY, 0L);
  SET(CURLOPT_UPLOAD, 0L);
  SET(CURLOPT_HTTPGET, 1L); /* undoes what the last request set */
  SET(CURLOPT_CUSTOMREQUEST, NULL);
  if (head) SET(CURLOPT_NOBODY, 1L);
  if (put) {
    SET(CURLOPT_UPLOAD, 1L);
    SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->body_len);
  } else if (post) {
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
    SET(CURLOPT_POSTFIELDS, r->body ? r->body : "");
  } else if (!strcmp(r->method, "DELETE")) {
    SET(CURLOPT_CUSTOMREQUEST, "DELETE");
  }
  SET(CURLOPT_HTTPHEADER, l->headers);
  SET(CURLOPT_URL, r->url);
  /* libcurl 7.88 drops the query without a word when memory for its copy runs out, and a part would become the object.
   * Said apart, the query is sent all the same, and the signature does not fit. A proxy's request line is curl's to write. */
  const char *host = strstr(r->url, "://"), *target = host ? strchr(host + 3, '/') : NULL;
  SET(CURLOPT_REQUEST_TARGET, http->loopback || !strncmp(r->url, "https:", 6) ? target : NULL);
#undef SET
  return rc;
}

static void finish(line *l, CURLcode rc) {
  tl_s3_answer *a = l->answer;
  long code = 0;
  curl_easy_getinfo(l->easy, CURLINFO_RESPONSE_CODE, &code);
  a->code = (int)code;
  a->etag_is_md5 = a->etag_is_md5 && is_md5(a->etag);
  if (!a->status && rc) a->status = tl_http_meaning(rc, l->curl_text, &a->hopeless, a->reason, sizeof a->reason);
  if (!a->status && a->body.len && a->length < 0 && !a->chunked) stop(l, TL_ENET, "the answer does not say where it ends");
}

void tl_s3http_ask(tl_s3http *http, const tl_s3_request *request, tl_s3_answer *answer) {
  answer->sent = false;
  reset(answer);
  tl_buf_clear(&answer->body);
  line *l = take_line(http);
  if (!l) {
    answer->status = TL_ENOMEM;
    answer->hopeless = true;
    snprintf(answer->reason, sizeof answer->reason, "no memory for a request");
    return;
  }
  l->request = request;
  l->answer = answer;
  l->sent_bytes = l->header_bytes = 0;
  l->curl_text[0] = 0;
  CURLcode rc = aim(http, l, request);
  tl_fault_action fault = rc ? TL_FAULT_NONE : tl_fault_hit(TL_SEAM_NET);
  if (fault == TL_FAULT_ERROR) {
    stop(l, TL_ENET, "connection reset (injected)");
  } else {
    if (!rc) rc = curl_easy_perform(l->easy);
    if (fault == TL_FAULT_EXIT_AFTER) tl_fault_exit();
    finish(l, rc);
    if (fault == TL_FAULT_SHORT) stop(l, TL_ENET, "connection reset after the request (injected)");
  }
  give_line(http, l);
}

/* ---- opening ---- */

static bool is_plain(const char *text) { /* fit for a header line */
  for (; *text; text++)
    if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7F) return false;
  return true;
}

static tl_keep *token_line(const char *token) {
  static const char name[] = "x-amz-security-token: ";
  tl_keep *keep = tl_keep_open(sizeof name + strlen(token));
  if (!keep) return NULL;
  memcpy(tl_keep_data(keep), name, sizeof name - 1);
  memcpy(tl_keep_data(keep) + sizeof name - 1, token, strlen(token));
  return keep;
}

tl_status tl_s3http_open(const tl_s3http_options *o, tl_s3http **out, tl_error *err) {
  if (!is_plain(o->access_key) || !is_plain(o->secret_key) || (o->session_token && !is_plain(o->session_token)))
    return tl_fail(err, TL_EUSAGE, "an S3 key holds a blank or a control character; check it for a stray line end");
  if (!*o->region || strlen(o->region) > 40 || strspn(o->region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != strlen(o->region))
    return tl_fail(err, TL_EUSAGE, "'%.60s' is not the name of a region", o->region);
  tl_status st = tl_http_start(err);
  if (st) return st;
  tl_s3http *http = tl_calloc(1, sizeof *http);
  if (!http) return tl_fail(err, TL_ENOMEM, "cannot open S3");
  pthread_mutex_init(&http->lock, NULL);
  http->user = tl_keep_text(o->access_key, strlen(o->access_key));
  http->secret = tl_keep_text(o->secret_key, strlen(o->secret_key));
  if (o->session_token) http->token = token_line(o->session_token);
  if (!http->user || !http->secret || (o->session_token && !http->token)) {
    tl_s3http_close(http);
    return tl_fail(err, TL_ENOMEM, "cannot keep the S3 keys");
  }
  snprintf(http->sigv4, sizeof http->sigv4, "aws:amz:%s:s3", o->region);
  http->loopback = o->loopback;
  http->connect_timeout_ns = o->connect_timeout_ns > 0 ? o->connect_timeout_ns : 10 * TL_NS_PER_S;
  http->stall_timeout_ns = o->stall_timeout_ns > 0 ? o->stall_timeout_ns : 30 * TL_NS_PER_S;
  *out = http;
  return TL_OK;
}

void tl_s3http_close(tl_s3http *http) {
  if (!http) return;
  while (http->idle) {
    line *l = http->idle;
    http->idle = l->next;
    close_line(l);
  }
  tl_keep_close(http->user);
  tl_keep_close(http->secret);
  tl_keep_close(http->token);
  pthread_mutex_destroy(&http->lock);
  tl_free(http);
}
