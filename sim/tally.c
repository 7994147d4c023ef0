/* tally.c - one lock around small tables; a request takes it a few times. */
#include "sim/tally.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "sim/text.h"

enum { LINES = 10000, PATHS = 64, STATUSES = 32, FAULTS = 64, KEYS = 64, PAGES = 1 << 16, NAME_ROOM = 48, TARGET_ROOM = 512 };

typedef struct line {
  char *target;
  uint64_t number;
  uint32_t page;
  int status;
  const char *fault; /* names are static */
} line;
typedef struct counter {
  char name[NAME_ROOM];
  uint64_t count;
} counter;
typedef struct bucket {
  uint64_t key;
  double tokens;
  int64_t at_ns;
} bucket;
typedef struct page_number {
  uint64_t key;
  uint32_t page;
} page_number;

struct sim_tally {
  pthread_mutex_t lock;
  uint64_t requests, answered, faults_total, bytes, opened;
  int64_t open;
  counter paths[PATHS], statuses[STATUSES], faults[FAULTS];
  line lines[LINES];
  uint64_t line_count;
  bucket buckets[KEYS];
  page_number pages[PAGES];
};

tl_status sim_tally_open(sim_tally **out, tl_error *err) {
  sim_tally *t = tl_calloc(1, sizeof *t);
  if (!t) return tl_fail(err, TL_ENOMEM, "out of memory for the request tally");
  pthread_mutex_init(&t->lock, NULL);
  *out = t;
  return TL_OK;
}

static void forget(sim_tally *t) {
  for (size_t i = 0; i < LINES; i++) tl_free(t->lines[i].target);
  memset(t->lines, 0, sizeof t->lines);
  memset(t->paths, 0, sizeof t->paths);
  memset(t->statuses, 0, sizeof t->statuses);
  memset(t->faults, 0, sizeof t->faults);
  memset(t->buckets, 0, sizeof t->buckets);
  memset(t->pages, 0, sizeof t->pages);
  t->requests = t->answered = t->faults_total = t->bytes = t->line_count = 0;
}

void sim_tally_reset(sim_tally *t) {
  pthread_mutex_lock(&t->lock);
  forget(t);
  pthread_mutex_unlock(&t->lock);
}

void sim_tally_close(sim_tally *t) {
  if (!t) return;
  forget(t);
  pthread_mutex_destroy(&t->lock);
  tl_free(t);
}

uint64_t sim_tally_request(sim_tally *t) {
  pthread_mutex_lock(&t->lock);
  uint64_t n = ++t->requests;
  pthread_mutex_unlock(&t->lock);
  return n;
}

static void count(counter *list, size_t room, const char *name, size_t len) {
  if (len >= NAME_ROOM) len = NAME_ROOM - 1;
  for (size_t i = 0; i < room; i++) {
    if (list[i].count && (strncmp(list[i].name, name, len) || list[i].name[len])) continue;
    if (!list[i].count) memcpy(list[i].name, name, len);
    list[i].count++;
    return;
  }
}

void sim_tally_answer(sim_tally *t, uint64_t number, tl_text target, uint32_t page, int status, const char *fault) {
  char code[24];
  size_t n = (size_t)(sim_put_i64(code, status) - code), path_len = 0;
  while (path_len < target.len && target.data[path_len] != '?') path_len++;
  char *copy = tl_strndup(target.data, target.len < TARGET_ROOM ? target.len : TARGET_ROOM);
  pthread_mutex_lock(&t->lock);
  t->answered++;
  count(t->paths, PATHS, target.data, path_len);
  count(t->statuses, STATUSES, code, n);
  if (fault) {
    t->faults_total++;
    count(t->faults, FAULTS, fault, strlen(fault));
  }
  line *l = &t->lines[t->line_count++ % LINES];
  tl_free(l->target);
  *l = (line){copy, number, page, status, fault};
  pthread_mutex_unlock(&t->lock);
}

void sim_tally_bytes(sim_tally *t, size_t sent) {
  pthread_mutex_lock(&t->lock);
  t->bytes += sent;
  pthread_mutex_unlock(&t->lock);
}

void sim_tally_connection(sim_tally *t, int change) {
  pthread_mutex_lock(&t->lock);
  t->open += change;
  if (change > 0) t->opened++;
  pthread_mutex_unlock(&t->lock);
}

static tl_status print_counters(const char *title, const counter *list, size_t room, tl_buf *out, tl_error *err) {
  tl_status st = tl_buf_appendf(out, err, ",\"%s\":{", title);
  for (size_t i = 0; i < room && list[i].count && !st; i++) {
    if (i) st = tl_buf_append(out, ",", 1, err);
    if (!st) st = tl_buf_append_json(out, list[i].name, strlen(list[i].name), err);
    if (!st) st = tl_buf_appendf(out, err, ":%llu", (unsigned long long)list[i].count);
  }
  return st ? st : tl_buf_append(out, "}", 1, err);
}

static tl_status print_lines(const sim_tally *t, tl_buf *out, tl_error *err) {
  tl_status st = tl_buf_appends(out, ",\"last\":[", err);
  uint64_t first = t->line_count > LINES ? t->line_count - LINES : 0;
  for (uint64_t i = first; i < t->line_count && !st; i++) {
    const line *l = &t->lines[i % LINES];
    const char *target = l->target ? l->target : "";
    st = tl_buf_appendf(out, err, "%s{\"n\":%llu,\"page\":%u,\"status\":%d,\"fault\":%s%s%s,\"target\":", i > first ? "," : "",
                        (unsigned long long)l->number, l->page, l->status, l->fault ? "\"" : "", l->fault ? l->fault : "null",
                        l->fault ? "\"" : "");
    if (!st) st = tl_buf_append_json(out, target, strlen(target), err);
    if (!st) st = tl_buf_append(out, "}", 1, err);
  }
  return st ? st : tl_buf_appends(out, "]}", err);
}

tl_status sim_tally_print(sim_tally *t, tl_buf *out, tl_error *err) {
  pthread_mutex_lock(&t->lock);
  tl_status st = tl_buf_appendf(out, err, "{\"requests\":%llu,\"faults\":%llu,\"bytes\":%llu,\"connections_open\":%lld,\"connections\":%llu",
                                (unsigned long long)t->requests, (unsigned long long)t->faults_total, (unsigned long long)t->bytes,
                                (long long)t->open, (unsigned long long)t->opened);
  if (!st) st = print_counters("by_path", t->paths, PATHS, out, err);
  if (!st) st = print_counters("by_status", t->statuses, STATUSES, out, err);
  if (!st) st = print_counters("by_fault", t->faults, FAULTS, out, err);
  if (!st) st = print_lines(t, out, err);
  pthread_mutex_unlock(&t->lock);
  return st;
}

uint32_t sim_tally_page(sim_tally *t, uint64_t query_hash, uint64_t token_hash) {
  if (!token_hash) return 1;
  uint64_t key = query_hash ^ (token_hash * UINT64_C(0x9e3779b97f4a7c15));
  pthread_mutex_lock(&t->lock);
  const page_number *p = &t->pages[key % PAGES];
  uint32_t page = p->key == key ? p->page : 0;
  pthread_mutex_unlock(&t->lock);
  return page;
}

void sim_tally_page_set(sim_tally *t, uint64_t query_hash, uint64_t token_hash, uint32_t page) {
  uint64_t key = query_hash ^ (token_hash * UINT64_C(0x9e3779b97f4a7c15));
  pthread_mutex_lock(&t->lock);
  t->pages[key % PAGES] = (page_number){key, page};
  pthread_mutex_unlock(&t->lock);
}

bool sim_tally_take(sim_tally *t, uint64_t key_hash, uint32_t per_minute, int64_t mono_ns, int64_t now_ns, sim_rate *out) {
  double full = per_minute, per_s = full / 60;
  pthread_mutex_lock(&t->lock);
  bucket *b = &t->buckets[0];
  for (size_t i = 0; i < KEYS; i++) { /* its own, else a free one, else the one left alone the longest */
    if (t->buckets[i].key == key_hash && t->buckets[i].at_ns) {
      b = &t->buckets[i];
      break;
    }
    if (t->buckets[i].at_ns < b->at_ns) b = &t->buckets[i];
  }
  if (b->key != key_hash || !b->at_ns) *b = (bucket){key_hash, full, mono_ns};
  b->tokens += (double)(mono_ns - b->at_ns) / 1e9 * per_s;
  if (b->tokens > full) b->tokens = full;
  b->at_ns = mono_ns;
  bool granted = b->tokens >= 1;
  if (granted) b->tokens -= 1;
  out->limit = per_minute;
  out->remaining = (uint32_t)b->tokens;
  out->reset_s = now_ns / TL_NS_PER_S + (int64_t)((full - b->tokens) / per_s) + 1;
  pthread_mutex_unlock(&t->lock);
  return granted;
}
