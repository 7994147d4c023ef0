/* cache.h - finished bodies by request, least recently used first out. Thread-safe.
 * A body is shared: hold it with sim_cache_get or sim_cache_put, give it back with sim_body_release. */
#ifndef TL_SIM_CACHE_H
#define TL_SIM_CACHE_H
#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"

typedef struct sim_body {
  tl_buf bytes; /* as sent */
  const char *content_type;
  int status;
  bool gzip;
  uint64_t token_hash; /* of next_page_token; 0 for none */
  char *key;
  size_t key_len;
  uint64_t hash;
  struct sim_body *newer, *older, *next;
  atomic_int holders;
} sim_body;

typedef struct sim_cache sim_cache;
tl_status sim_cache_open(size_t bytes_max, sim_cache **out, tl_error *err);
void sim_cache_close(sim_cache *cache); /* NULL is fine */
sim_body *sim_cache_get(sim_cache *cache, const char *key, size_t key_len); /* NULL when it is not there */
void sim_cache_put(sim_cache *cache, sim_body *body); /* body->key is set; the caller keeps its hold */
void sim_cache_clear(sim_cache *cache);

sim_body *sim_body_open(const char *key, size_t key_len); /* one hold; NULL when memory ran out */
void sim_body_release(sim_body *body);                    /* NULL is fine */
#endif
