/* pool.h - a fixed set of worker threads over one bounded queue.
 * Jobs start in the order they were put; tl_pool_put waits while the queue is full, so producers feel the pressure.
 * Workers call tl_log_set_worker(1..n). */
#ifndef TL_BASE_POOL_H
#define TL_BASE_POOL_H
#include <stddef.h>

#include "base/status.h"

typedef struct tl_pool tl_pool;
typedef void (*tl_pool_job)(void *argument);

tl_status tl_pool_open(size_t workers, size_t queue_max, tl_pool **out, tl_error *err);
void tl_pool_put(tl_pool *pool, tl_pool_job job, void *argument); /* cannot fail */
void tl_pool_drain(tl_pool *pool);                                /* returns when no job is queued or running */
void tl_pool_close(tl_pool *pool);                                /* drains, joins; NULL is fine */
#endif
