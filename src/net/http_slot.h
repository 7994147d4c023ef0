/* http_slot.h - one transfer's place, shared by http.c (what a transfer is) and multi.c (the loop); and what s3http.c does
 * alike. Inside net/ only. */
#ifndef TL_NET_HTTP_SLOT_H
#define TL_NET_HTTP_SLOT_H
#include <curl/curl.h>

#include "base/keep.h"
#include "net/http.h"

typedef enum { SLOT_FREE, SLOT_ACTIVE, SLOT_FINISHED } slot_state;

typedef struct slot {
  slot_state state;
  struct slot *next_finished;
  const tl_http_options *limits;
  CURL *easy; /* kept between transfers */
  tl_http_answer answer;
  int64_t start_ns, mark_ns;            /* mark: where the running stall span began */
  uint64_t mark_bytes, received_bytes;  /* header and body */
  size_t header_bytes;
  char curl_text[CURL_ERROR_SIZE];
} slot;

tl_status tl_http_start(tl_error *err);                         /* libcurl on our memory; once is enough, often is fine */
CURLcode tl_http_dress(CURL *easy, int64_t connect_timeout_ns); /* what every transfer has: TLS, no redirects, our CAs */
/* What a failed transfer means: TL_ENET unless the table knows better. Writes the reason. */
tl_status tl_http_meaning(CURLcode result, const char *curl_text, bool *hopeless, char *reason, size_t reason_bytes);

/* Makes the curl handle of a fresh slot. `headers` is borrowed for the slot's life. */
tl_status tl_http_slot_open(slot *s, const tl_http_options *limits, struct curl_slist *headers, tl_error *err);
void tl_http_slot_close(slot *s);

tl_status tl_http_slot_aim(slot *s, const char *url, void *user, tl_buf *body, tl_error *err); /* ready to go; takes body's memory */
void tl_http_slot_finish(slot *s, CURLcode result);  /* fills the answer's status and code */
bool tl_http_slot_overdue(slot *s, int64_t now_ns);  /* a time-out has passed: answer says which */
#endif
