/* pool.c - worker threads over a ring of jobs. */
#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "base/alloc.h"
#include "base/log.h"

typedef struct job {
  tl_pool_job run;
  void *argument;
} job;

struct tl_pool {
  pthread_mutex_t lock;
  pthread_cond_t changed; /* any of: queued, taken, finished, closing */
  job *ring;
  size_t ring_size, first, queued, running, workers, started;
  bool closing;
  pthread_t *threads;
};

static void *work(void *argument) {
  tl_pool *pool = argument;
  pthread_mutex_lock(&pool->lock);
  tl_log_set_worker((int)++pool->started);
  for (;;) {
    while (!pool->queued && !pool->closing) pthread_cond_wait(&pool->changed, &pool->lock);
    if (!pool->queued) break;
    job next = pool->ring[pool->first];
    pool->first = (pool->first + 1) % pool->ring_size;
    pool->queued--;
    pool->running++;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    next.run(next.argument);
    pthread_mutex_lock(&pool->lock);
    pool->running--;
    pthread_cond_broadcast(&pool->changed);
  }
  pthread_mutex_unlock(&pool->lock);
  return NULL;
}

tl_status tl_pool_open(size_t workers, size_t queue_max, tl_pool **out, tl_error *err) {
  tl_pool *pool = tl_calloc(1, sizeof *pool);
  if (!pool) return tl_fail(err, TL_ENOMEM, "cannot start %zu workers", workers);
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->changed, NULL);
  pool->ring_size = queue_max ? queue_max : 1;
  pool->ring = tl_calloc(pool->ring_size, sizeof *pool->ring);
  pool->threads = tl_calloc(workers, sizeof *pool->threads);
  if (!pool->ring || !pool->threads) {
    tl_pool_close(pool);
    return tl_fail(err, TL_ENOMEM, "cannot start %zu workers", workers);
  }
  sigset_t all, before; /* signals are for the main thread: a worker must not be interrupted half-way */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = 0;
  while (pool->workers < workers && !rc) {
    rc = pthread_create(&pool->threads[pool->workers], NULL, work, pool);
    if (!rc) pool->workers++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (rc) {
    tl_pool_close(pool);
    return tl_fail_errno(err, rc, "cannot start worker thread");
  }
  *out = pool;
  return TL_OK;
}

void tl_pool_put(tl_pool *pool, tl_pool_job run, void *argument) {
  pthread_mutex_lock(&pool->lock);
  while (pool->queued == pool->ring_size) pthread_cond_wait(&pool->changed, &pool->lock);
  pool->ring[(pool->first + pool->queued++) % pool->ring_size] = (job){run, argument};
  pthread_cond_broadcast(&pool->changed);
  pthread_mutex_unlock(&pool->lock);
}

void tl_pool_drain(tl_pool *pool) {
  pthread_mutex_lock(&pool->lock);
  while (pool->queued || pool->running) pthread_cond_wait(&pool->changed, &pool->lock);
  pthread_mutex_unlock(&pool->lock);
}

void tl_pool_close(tl_pool *pool) {
  if (!pool) return;
  pthread_mutex_lock(&pool->lock);
  pool->closing = true;
  pthread_cond_broadcast(&pool->changed);
  pthread_mutex_unlock(&pool->lock);
  for (size_t i = 0; i < pool->workers; i++) pthread_join(pool->threads[i], NULL);
  pthread_cond_destroy(&pool->changed);
  pthread_mutex_destroy(&pool->lock);
  tl_free(pool->threads);
  tl_free(pool->ring);
  tl_free(pool);
}
