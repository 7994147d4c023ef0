/* cache.c - a hash table over a list in order of use. */
#include "sim/cache.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "sim/text.h"

enum { BUCKETS = 16384 };

struct sim_cache {
  pthread_mutex_t lock;
  size_t bytes, bytes_max;
  sim_body *newest, *oldest;
  sim_body *buckets[BUCKETS];
};

tl_status sim_cache_open(size_t bytes_max, sim_cache **out, tl_error *err) {
  sim_cache *c = tl_calloc(1, sizeof *c);
  if (!c) return tl_fail(err, TL_ENOMEM, "out of memory for the page cache");
  c->bytes_max = bytes_max;
  pthread_mutex_init(&c->lock, NULL);
  *out = c;
  return TL_OK;
}

sim_body *sim_body_open(const char *key, size_t key_len) {
  sim_body *b = tl_calloc(1, sizeof *b);
  if (!b) return NULL;
  b->key = tl_strndup(key, key_len);
  if (!b->key) {
    tl_free(b);
    return NULL;
  }
  b->key_len = key_len;
  b->hash = sim_hash_text(key, key_len);
  b->holders = 1;
  return b;
}

void sim_body_release(sim_body *b) {
  if (!b || atomic_fetch_sub(&b->holders, 1) != 1) return;
  tl_buf_deinit(&b->bytes);
  tl_free(b->key);
  tl_free(b);
}

static void unlink_body(sim_cache *c, sim_body *b) {
  if (b->newer) b->newer->older = b->older;
  if (b->older) b->older->newer = b->newer;
  if (c->newest == b) c->newest = b->older;
  if (c->oldest == b) c->oldest = b->newer;
  b->newer = b->older = NULL;
}

static void link_newest(sim_cache *c, sim_body *b) {
  b->older = c->newest;
  if (c->newest) c->newest->newer = b;
  c->newest = b;
  if (!c->oldest) c->oldest = b;
}

static size_t weight(const sim_body *b) { return sizeof *b + b->bytes.capacity_bytes + b->key_len; }

static void evict(sim_cache *c, sim_body *b) {
  sim_body **at = &c->buckets[b->hash % BUCKETS];
  while (*at != b) at = &(*at)->next;
  *at = b->next;
  unlink_body(c, b);
  c->bytes -= weight(b);
  sim_body_release(b);
}

static sim_body *find(sim_cache *c, const char *key, size_t key_len) {
  uint64_t hash = sim_hash_text(key, key_len);
  for (sim_body *b = c->buckets[hash % BUCKETS]; b; b = b->next)
    if (b->hash == hash && b->key_len == key_len && memcmp(b->key, key, key_len) == 0) return b;
  return NULL;
}

sim_body *sim_cache_get(sim_cache *c, const char *key, size_t key_len) {
  pthread_mutex_lock(&c->lock);
  sim_body *b = find(c, key, key_len);
  if (b) {
    unlink_body(c, b);
    link_newest(c, b);
    atomic_fetch_add(&b->holders, 1);
  }
  pthread_mutex_unlock(&c->lock);
  return b;
}

void sim_cache_put(sim_cache *c, sim_body *b) {
  pthread_mutex_lock(&c->lock);
  if (weight(b) <= c->bytes_max && !find(c, b->key, b->key_len)) {
    atomic_fetch_add(&b->holders, 1);
    b->next = c->buckets[b->hash % BUCKETS];
    c->buckets[b->hash % BUCKETS] = b;
    link_newest(c, b);
    c->bytes += weight(b);
    while (c->bytes > c->bytes_max && c->oldest != b) evict(c, c->oldest);
  }
  pthread_mutex_unlock(&c->lock);
}

void sim_cache_clear(sim_cache *c) {
  pthread_mutex_lock(&c->lock);
  while (c->oldest) evict(c, c->oldest);
  pthread_mutex_unlock(&c->lock);
}

void sim_cache_close(sim_cache *c) {
  if (!c) return;
  sim_cache_clear(c);
  pthread_mutex_destroy(&c->lock);
  tl_free(c);
}
