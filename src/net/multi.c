/* multi.c - the loop over curl's multi interface. It keeps slots, knows deadlines and order of answers, decides nothing. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "net/http.h"
#include "net/http_slot.h"

enum { SPARE_MAX = 64 };
static const int64_t LOOK_NS = 50 * TL_NS_PER_MS; /* deadlines are looked at this often */

struct tl_http {
  CURLM *multi;
  tl_http_options limits;
  tl_keep *header_bytes;
  struct curl_slist *headers; /* an array of nodes that point into header_bytes */
  slot **slots;
  size_t slot_count, active, finished;
  slot *first_finished, **last_finished;
  tl_buf spares[SPARE_MAX];
  size_t spare_count;
  int64_t look_at_ns;
};

tl_status tl_http_start(tl_error *err) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static bool started;
  pthread_mutex_lock(&lock);
  CURLcode rc = started ? CURLE_OK : curl_global_init_mem(CURL_GLOBAL_DEFAULT, tl_alloc, tl_free, tl_realloc, tl_strdup, tl_calloc);
  started = !rc; /* for the life of the process: others in it may use libcurl too */
  pthread_mutex_unlock(&lock);
  return rc ? tl_fail(err, TL_ENOMEM, "cannot start libcurl: %s", curl_easy_strerror(rc)) : TL_OK;
}

/* Splits the lines into a list of nodes; curl's own list functions would copy secrets all over the heap. */
static tl_status set_headers(tl_http *http, const char *lines, tl_error *err) {
  static const char always[] = "Accept-Encoding: gzip";
  size_t len = lines ? strlen(lines) : 0, count = 1;
  http->header_bytes = tl_keep_open(len + sizeof always + 1);
  char *text = tl_keep_data(http->header_bytes);
  if (!text) return tl_fail(err, TL_ENOMEM, "cannot keep the request headers");
  memcpy(text, always, sizeof always - 1);
  text[sizeof always - 1] = '\n';
  if (len) memcpy(text + sizeof always, lines, len);
  for (const char *p = text; *p; p++) {
    if (*p == '\n') count++;
    else if ((unsigned char)*p < 0x20 || *p == 0x7F) return tl_fail(err, TL_EUSAGE, "a request header holds a control character; check the key for a stray line end");
  }
  http->headers = tl_calloc(count, sizeof *http->headers);
  if (!http->headers) return tl_fail(err, TL_ENOMEM, "cannot keep the request headers");
  size_t used = 0;
  for (char *line = text; *line;) {
    char *end = strchr(line, '\n');
    if (end) *end = 0;
    if (*line) {
      http->headers[used].data = line;
      if (used) http->headers[used - 1].next = &http->headers[used];
      used++;
    }
    if (!end) break;
    line = end + 1;
  }
  return TL_OK;
}

tl_status tl_http_open(const tl_http_options *options, tl_http **out, tl_error *err) {
  tl_status st = tl_http_start(err);
  if (st) return st;
  tl_http *http = tl_calloc(1, sizeof *http);
  if (!http) return tl_fail(err, TL_ENOMEM, "cannot open the network");
  http->last_finished = &http->first_finished;
  http->limits = *options;
  http->limits.headers = NULL;
  if (http->limits.connect_timeout_ns <= 0) http->limits.connect_timeout_ns = 10 * TL_NS_PER_S;
  if (http->limits.first_byte_timeout_ns <= 0) http->limits.first_byte_timeout_ns = 30 * TL_NS_PER_S;
  if (http->limits.stall_timeout_ns <= 0) http->limits.stall_timeout_ns = 20 * TL_NS_PER_S;
  if (!http->limits.body_bytes_max) http->limits.body_bytes_max = (size_t)64 << 20;
  if (!http->limits.header_bytes_max) http->limits.header_bytes_max = (size_t)64 << 10;
  st = set_headers(http, options->headers, err);
  if (!st && !(http->multi = curl_multi_init())) st = tl_fail(err, TL_ENOMEM, "cannot open the network");
  if (st) {
    tl_http_close(http);
    return st;
  }
  *out = http;
  return TL_OK;
}

void tl_http_close(tl_http *http) {
  if (!http) return;
  for (size_t i = 0; i < http->slot_count; i++) {
    if (http->slots[i]->state == SLOT_ACTIVE) curl_multi_remove_handle(http->multi, http->slots[i]->easy);
    tl_http_slot_close(http->slots[i]);
    tl_free(http->slots[i]);
  }
  tl_free(http->slots);
  if (http->multi) curl_multi_cleanup(http->multi);
  for (size_t i = 0; i < http->spare_count; i++) tl_buf_deinit(&http->spares[i]);
  tl_free(http->headers);
  tl_keep_close(http->header_bytes);
  tl_free(http);
}

static tl_status free_slot(tl_http *http, slot **out, tl_error *err) {
  for (size_t i = 0; i < http->slot_count; i++)
    if (http->slots[i]->state == SLOT_FREE) {
      *out = http->slots[i];
      return TL_OK;
    }
  slot **grown = tl_realloc_array(http->slots, http->slot_count + 1, sizeof *grown);
  if (!grown) return tl_fail(err, TL_ENOMEM, "cannot make a transfer");
  http->slots = grown;
  slot *fresh = tl_calloc(1, sizeof *fresh);
  if (!fresh) return tl_fail(err, TL_ENOMEM, "cannot make a transfer");
  tl_status st = tl_http_slot_open(fresh, &http->limits, http->headers, err);
  if (st) {
    tl_free(fresh);
    return st;
  }
  http->slots[http->slot_count++] = *out = fresh;
  return TL_OK;
}

static void finish(tl_http *http, slot *s, CURLcode result) {
  if (s->state == SLOT_ACTIVE) {
    http->active--;
    curl_multi_remove_handle(http->multi, s->easy);
  }
  tl_http_slot_finish(s, result);
  s->state = SLOT_FINISHED;
  s->next_finished = NULL;
  *http->last_finished = s;
  http->last_finished = &s->next_finished;
  http->finished++;
}

static tl_status multi_failed(CURLMcode code, tl_error *err) {
  return tl_fail(err, code == CURLM_OUT_OF_MEMORY ? TL_ENOMEM : TL_EINTERNAL, "the network loop failed: %s", curl_multi_strerror(code));
}

tl_status tl_http_send(tl_http *http, const char *url, void *user, tl_error *err) {
  slot *s = NULL;
  tl_status st = free_slot(http, &s, err);
  if (st) return st;
  tl_buf body = {0};
  if (http->spare_count) body = http->spares[--http->spare_count];
  st = tl_http_slot_aim(s, url, user, &body, err);
  tl_buf_deinit(&body);
  if (st) return st;
  if (tl_fault_hit(TL_SEAM_NET)) {
    s->answer.status = TL_ENET;
    snprintf(s->answer.reason, sizeof s->answer.reason, "connection reset (injected)");
    finish(http, s, CURLE_RECV_ERROR);
    s->answer.code = 0; /* the handle still remembers its last transfer */
    return TL_OK;
  }
  CURLMcode rc = curl_multi_add_handle(http->multi, s->easy);
  if (rc) return multi_failed(rc, err);
  s->state = SLOT_ACTIVE;
  http->active++;
  return TL_OK;
}

static tl_status perform(tl_http *http, tl_error *err) {
  int running = 0, left = 0;
  CURLMcode rc = curl_multi_perform(http->multi, &running);
  if (rc) return multi_failed(rc, err);
  for (CURLMsg *m; (m = curl_multi_info_read(http->multi, &left));) {
    if (m->msg != CURLMSG_DONE) continue;
    slot *s = NULL;
    CURLcode result = m->data.result; /* m is gone once the handle is removed */
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&s);
    finish(http, s, result);
  }
  int64_t now_ns = tl_clock_mono_ns();
  if (now_ns < http->look_at_ns) return TL_OK;
  http->look_at_ns = now_ns + LOOK_NS;
  for (size_t i = 0; i < http->slot_count; i++)
    if (http->slots[i]->state == SLOT_ACTIVE && tl_http_slot_overdue(http->slots[i], now_ns)) finish(http, http->slots[i], CURLE_OPERATION_TIMEDOUT);
  return TL_OK;
}

tl_status tl_http_step(tl_http *http, int64_t timeout_ns, tl_error *err) {
  tl_status st = perform(http, err);
  if (st || http->finished) return st;
  if (http->active && timeout_ns > LOOK_NS) timeout_ns = LOOK_NS;
  if (timeout_ns > 3600 * TL_NS_PER_S) timeout_ns = 3600 * TL_NS_PER_S;
  int timeout_ms = timeout_ns > 0 ? (int)((timeout_ns + TL_NS_PER_MS - 1) / TL_NS_PER_MS) : 0;
  CURLMcode rc = curl_multi_poll(http->multi, NULL, 0, timeout_ms, NULL);
  return rc ? multi_failed(rc, err) : perform(http, err);
}

bool tl_http_next(tl_http *http, tl_http_answer *out) {
  slot *s = http->first_finished;
  if (!s) return false;
  http->first_finished = s->next_finished;
  if (!http->first_finished) http->last_finished = &http->first_finished;
  http->finished--;
  *out = s->answer;
  s->answer.body = (tl_buf){0};
  s->state = SLOT_FREE;
  return true;
}

void tl_http_recycle(tl_http *http, tl_buf *body) {
  if (http->spare_count < SPARE_MAX && body->data) {
    http->spares[http->spare_count++] = *body;
    *body = (tl_buf){0};
  } else {
    tl_buf_deinit(body);
  }
}

size_t tl_http_in_flight(const tl_http *http) { return http->active + http->finished; }

void tl_http_abort(tl_http *http) {
  for (size_t i = 0; i < http->slot_count; i++) {
    slot *s = http->slots[i];
    if (s->state != SLOT_ACTIVE) continue;
    s->answer.status = TL_ECANCELED;
    snprintf(s->answer.reason, sizeof s->answer.reason, "stopped on request");
    finish(http, s, CURLE_ABORTED_BY_CALLBACK);
  }
}

void tl_http_wakeup(tl_http *http) { curl_multi_wakeup(http->multi); }
