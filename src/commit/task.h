/* task.h - one file of a group on its way, what commit.c and on_store.c share. Private to commit/. */
#ifndef TL_COMMIT_TASK_H
#define TL_COMMIT_TASK_H
#include <pthread.h>

#include "base/pool.h"
#include "commit/commit.h"
#include "commit/merge.h"
#include "engine/engine.h"

typedef struct tl_file_task { /* one file of the group */
  tl_commit *commit;
  char *path;   /* relative to the lake */
  int64_t lock_byte;
  const char *symbol;
  tl_slice *slices;
  size_t slice_count, slice_max;
  tl_parquet_summary summary;
  char checksum[TL_CHECKSUM_TEXT_MAX];
  int64_t rows_changed;
  bool written, recorded; /* recorded: the ledger's row of it must be (re)written */
  tl_status status;
  tl_error error;
} tl_file_task;

struct tl_commit {
  tl_commit_options options;
  char *lake;
  tl_pool *pool;
  struct tl_into_table *table; /* NULL: files */
  pthread_mutex_t lock; /* engine, serial */
  tl_engine *engine;
  unsigned serial;
  int lock_fd;                /* -1 on object stores: their puts are conditional */
  char *lock_path;
  struct tl_on_store *on_store; /* NULL: the lake is a folder */
  tl_commit_totals totals;
  char **files;
  size_t file_count, file_max;
  uint64_t *seen; /* hashes of files; 0 is free */
  size_t seen_slots;
};

typedef struct tl_aside { /* the new file while it is written */
  char *path;
  int fd;
  tl_checksum *hash;
  int64_t bytes;
} tl_aside;

/* The rows of the old file (NULL: there is none) and the task's into the file that is being written. */
tl_status tl_commit_encode(tl_file_task *task, const char *old, tl_aside *a, tl_error *err);
/* The new file is byte-equal to the one at path: then nothing is changed. */
tl_status tl_commit_same_bytes(const char *path, const tl_file_task *task, int64_t bytes, bool *same, tl_error *err);

/* ---- on_store.c: the files of a lake on an object store ---- */

tl_status tl_on_store_open(tl_commit *c, tl_error *err); /* sets c->on_store */
void tl_on_store_close(struct tl_on_store *s);           /* NULL is fine */
tl_status tl_on_store_write(tl_file_task *task, tl_error *err);
tl_status tl_on_store_rejects(struct tl_on_store *s, const char *key, const tl_buf *lines, tl_error *err); /* none: removes them */
tl_status tl_on_store_still(void *on_store, const tl_ledger_file *file, bool *is, tl_error *err); /* tl_ledger_group */
#endif
