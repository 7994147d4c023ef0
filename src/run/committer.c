/* committer.c - the thread between chains that end and files that are written. */
#include "run/committer.h"

#include <pthread.h>
#include <signal.h>

#include "base/alloc.h"
#include "base/clock.h"

static const int64_t group_age_ns = 30 * TL_NS_PER_S;

struct tl_committer {
  tl_commit *commit;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  tl_piece *pieces;
  size_t count, capacity;
  int64_t first_ns;               /* when the oldest piece came */
  int64_t budget, held, queued;   /* bytes: all held; of pieces not taken by the thread yet */
  bool starved, closing, started, busy;
  tl_status status;
  tl_error error;
};

static int64_t piece_bytes(const tl_piece *piece) {
  return (int64_t)(tl_batch_bytes(&piece->rows) + piece->rejects.capacity_bytes);
}

static bool due(const tl_committer *c) {
  if (!c->count) return false;
  return c->closing || c->starved || c->queued * 2 >= c->budget || tl_clock_mono_ns() - c->first_ns >= group_age_ns;
}

static void commit_pieces(tl_committer *c, tl_piece *pieces, size_t count) {
  tl_error err = {0};
  tl_status st = c->status;
  pthread_mutex_unlock(&c->lock);
  if (!st) st = tl_commit_group(c->commit, pieces, count, &err);
  int64_t bytes = 0;
  for (size_t i = 0; i < count; i++) {
    bytes += piece_bytes(&pieces[i]);
    tl_piece_deinit(&pieces[i]);
  }
  tl_free(pieces);
  pthread_mutex_lock(&c->lock);
  c->held -= bytes;
  if (st && !c->status) {
    c->status = st;
    c->error = err;
  }
}

static void *work(void *argument) {
  tl_committer *c = argument;
  pthread_mutex_lock(&c->lock);
  for (;;) {
    while (!due(c) && !c->closing) /* only the age of a group needs a look at the clock */
      tl_clock_wait(&c->changed, &c->lock, TL_NS_PER_S);
    if (!c->count) break;
    tl_piece *pieces = c->pieces;
    size_t count = c->count;
    c->pieces = NULL;
    c->count = c->capacity = 0;
    c->queued = 0;
    c->starved = false;
    c->busy = true;
    commit_pieces(c, pieces, count);
    c->busy = false;
    pthread_cond_broadcast(&c->changed);
  }
  pthread_mutex_unlock(&c->lock);
  return NULL;
}

tl_status tl_committer_open(tl_commit *commit, int64_t budget_bytes, tl_committer **out, tl_error *err) {
  tl_committer *c = tl_calloc(1, sizeof *c);
  if (!c) return tl_fail(err, TL_ENOMEM, "cannot start committing");
  c->commit = commit;
  c->budget = budget_bytes;
  pthread_mutex_init(&c->lock, NULL);
  pthread_cond_init(&c->changed, NULL);
  sigset_t all, before; /* signals are for the main thread */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = pthread_create(&c->thread, NULL, work, c);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (rc) {
    tl_committer_close(c);
    return tl_fail_errno(err, rc, "cannot start the committing thread");
  }
  c->started = true;
  *out = c;
  return TL_OK;
}

tl_status tl_committer_add(tl_committer *c, tl_piece *piece, tl_error *err) {
  pthread_mutex_lock(&c->lock);
  tl_status st = c->status;
  if (st && err) *err = c->error;
  if (!st && c->count == c->capacity) {
    size_t more = c->capacity ? c->capacity * 2 : 64;
    tl_piece *grown = tl_realloc_array(c->pieces, more, sizeof *grown);
    if (grown) {
      c->pieces = grown;
      c->capacity = more;
    } else {
      st = tl_fail(err, TL_ENOMEM, "cannot queue rows of '%s' for committing", piece->symbol);
    }
  }
  if (st) {
    tl_piece_deinit(piece);
  } else {
    if (!c->count) c->first_ns = tl_clock_mono_ns();
    c->held += piece_bytes(piece);
    c->queued += piece_bytes(piece);
    c->pieces[c->count++] = *piece;
    *piece = (tl_piece){0};
    if (due(c)) pthread_cond_broadcast(&c->changed);
  }
  pthread_mutex_unlock(&c->lock);
  return st;
}

void tl_committer_hold(tl_committer *c, int64_t bytes) {
  pthread_mutex_lock(&c->lock);
  c->held += bytes;
  pthread_mutex_unlock(&c->lock);
}

bool tl_committer_room(tl_committer *c) {
  pthread_mutex_lock(&c->lock);
  bool room = c->held < c->budget;
  if (!room && c->count && !c->starved) {
    c->starved = true;
    pthread_cond_broadcast(&c->changed);
  }
  pthread_mutex_unlock(&c->lock);
  return room;
}

void tl_committer_wait(tl_committer *c) {
  pthread_mutex_lock(&c->lock);
  while (c->held >= c->budget * 2 && (c->count || c->busy) && !c->status) {
    c->starved = true;
    pthread_cond_broadcast(&c->changed);
    tl_clock_wait(&c->changed, &c->lock, TL_NS_PER_S);
  }
  pthread_mutex_unlock(&c->lock);
}

bool tl_committer_failed(tl_committer *c) {
  pthread_mutex_lock(&c->lock);
  bool failed = c->status != TL_OK;
  pthread_mutex_unlock(&c->lock);
  return failed;
}

static void join(tl_committer *c) {
  if (!c->started) return;
  pthread_mutex_lock(&c->lock);
  c->closing = true;
  pthread_cond_broadcast(&c->changed);
  pthread_mutex_unlock(&c->lock);
  pthread_join(c->thread, NULL);
  c->started = false;
}

tl_status tl_committer_finish(tl_committer *c, tl_error *err) {
  join(c);
  if (c->status && err) *err = c->error;
  return c->status;
}

void tl_committer_close(tl_committer *c) {
  if (!c) return;
  pthread_mutex_lock(&c->lock);
  if (c->started && !c->status) c->status = TL_ECANCELED; /* nothing more is committed */
  pthread_mutex_unlock(&c->lock);
  join(c);
  for (size_t i = 0; i < c->count; i++) tl_piece_deinit(&c->pieces[i]);
  tl_free(c->pieces);
  pthread_cond_destroy(&c->changed);
  pthread_mutex_destroy(&c->lock);
  tl_free(c);
}
