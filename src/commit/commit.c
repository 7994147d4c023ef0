/* commit.c - a group of pieces: lock its files, write them, state it in the ledger. */
#include "commit/commit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/io.h"
#include "base/log.h"
#include "base/pool.h"
#include "commit/into_table.h"
#include "commit/task.h"
#include "engine/engine.h"

enum { STORE_WORKERS = 8 }; /* an object store answers late, so more files are under way than there are cores */

typedef struct group {
  tl_file_task *tasks;
  size_t count, capacity;
  int64_t *locks; /* ascending, no byte twice */
  size_t lock_count, held;
  int64_t since;        /* tl_ledger_seen, before a file is read */
  int64_t rows_changed; /* of an open table */
} group;

void tl_piece_deinit(tl_piece *piece) {
  tl_free(piece->symbol);
  tl_free(piece->answer);
  tl_batch_deinit(&piece->rows);
  tl_buf_deinit(&piece->rejects);
  *piece = (tl_piece){0};
}

static tl_status open_locks(tl_commit *c, tl_error *err) {
  c->lock_path = tl_io_join(c->lake, "_ticklake/commit.lock");
  if (!c->lock_path) return tl_fail(err, TL_ENOMEM, "cannot open lake '%s' for committing", c->lake);
  tl_status st = tl_io_mkdir_parents(c->lock_path, err);
  return st ? st : tl_io_open(c->lock_path, O_RDWR | O_CREAT, 0644, &c->lock_fd, err);
}

tl_status tl_commit_open(const tl_commit_options *options, tl_commit **out, tl_error *err) {
  tl_commit *c = tl_calloc(1, sizeof *c);
  if (!c) return tl_fail(err, TL_ENOMEM, "cannot open lake '%s' for committing", options->lake);
  c->options = *options;
  c->lock_fd = -1;
  pthread_mutex_init(&c->lock, NULL);
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  size_t workers = options->workers ? options->workers : cores > 0 ? (size_t)cores : 1;
  tl_status st = TL_OK;
  c->lake = tl_strdup(options->lake);
  if (!c->lake) st = tl_fail(err, TL_ENOMEM, "cannot open lake '%s' for committing", options->lake);
  if (!st) st = tl_store_is_local(options->store) ? open_locks(c, err) : tl_on_store_open(c, err);
  if (!st && c->on_store && !options->workers && workers < STORE_WORKERS) workers = STORE_WORKERS;
  if (!st) st = tl_pool_open(workers, 64, &c->pool, err);
  c->options.lake = c->lake;
  if (!st && tl_layout_is_table(c->options.layout)) st = tl_into_table_init(&c->options, c->pool, workers, &c->table, err);
  if (st) tl_commit_close(c);
  else *out = c;
  return st;
}

void tl_commit_close(tl_commit *c) {
  if (!c) return;
  tl_into_table_close(c->table);
  tl_pool_close(c->pool);
  tl_engine_close(c->engine);
  tl_io_close(c->lock_fd, c->lock_path, NULL);
  tl_on_store_close(c->on_store);
  for (size_t i = 0; i < c->file_count; i++) tl_free(c->files[i]);
  tl_free(c->files);
  tl_free(c->seen);
  tl_free(c->lock_path);
  tl_free(c->lake);
  pthread_mutex_destroy(&c->lock);
  tl_free(c);
}

void tl_commit_totals_of(const tl_commit *c, tl_commit_totals *out) { *out = c->totals; }

const char *tl_commit_file(const tl_commit *c, size_t i) { return i < c->file_count ? c->files[i] : NULL; }

/* ---- one file ---- */

static tl_status aside_sink(void *to, const void *data, size_t len, tl_error *err) {
  tl_aside *a = to;
  tl_checksum_add(a->hash, data, len);
  a->bytes += (int64_t)len;
  return tl_io_write(a->fd, a->path, data, len, err);
}

static tl_engine *engine_of(tl_commit *c, tl_status *st, tl_error *err) {
  pthread_mutex_lock(&c->lock);
  if (!c->engine) {
    int64_t memory = c->options.memory_bytes ? c->options.memory_bytes : (int64_t)128 << 20;
    *st = tl_engine_open(&(tl_engine_options){.memory_bytes = memory, .threads = 1}, &c->engine, err);
  }
  pthread_mutex_unlock(&c->lock);
  return c->engine;
}

/* Leftovers of a writer that was killed: whoever holds the file's lock may remove them. */
static tl_status remove_leftovers(const char *folder, const char *name, tl_error *err) {
  tl_io_names names;
  tl_status st = tl_io_list(folder, &names, err);
  if (st) return st;
  size_t len = strlen(name);
  for (size_t i = 0; !st && i < names.count; i++) {
    const char *n = names.names[i];
    size_t n_len = strlen(n);
    if (n[0] != '.' || strncmp(n + 1, name, len) != 0 || n_len < len + 5 || strcmp(n + n_len - 4, ".tmp") != 0) continue;
    char *path = tl_io_join(folder, n);
    st = path ? tl_io_unlink(path, err) : tl_fail(err, TL_ENOMEM, "cannot clean '%s'", folder);
    tl_free(path);
  }
  tl_io_names_deinit(&names);
  return st;
}

static bool replaces_range(tl_kind kind) { return kind == TL_TRADES || kind == TL_QUOTES; }

tl_status tl_commit_encode(tl_file_task *task, const char *old, tl_aside *a, tl_error *err) {
  tl_commit *c = task->commit;
  tl_parquet *writer = NULL;
  tl_parquet_options options = {.kind = c->options.dataset.kind,
                                .symbol = c->options.layout == TL_LAYOUT_FLAT ? task->symbol : NULL,
                                .words = c->options.words,
                                .sink = aside_sink,
                                .to = a};
  tl_status st = tl_parquet_open(&options, &writer, err);
  if (st) return st;
  tl_merge merge = tl_merge_of(writer, task->slices, task->slice_count, replaces_range(options.kind));
  int64_t rows_new = 0;
  for (size_t i = 0; i < task->slice_count; i++) rows_new += (int64_t)(task->slices[i].end - task->slices[i].begin);
  if (old) {
    tl_engine *engine = engine_of(c, &st, err);
    tl_scan scan = {.path = old, .kind = options.kind, .words = c->options.words, .rows = tl_merge_old, .to = &merge};
    if (!st) st = tl_engine_scan(engine, &scan, NULL, err);
  }
  if (!st) st = tl_merge_finish(&merge, err);
  if (!st) st = tl_parquet_finish(writer, &task->summary, err);
  tl_parquet_close(writer);
  task->rows_changed = rows_new > merge.unchanged ? rows_new - merge.unchanged : 0;
  return st;
}

/* The new file came out byte-equal to the old one: then nothing is changed on disk. */
tl_status tl_commit_same_bytes(const char *path, const tl_file_task *task, int64_t bytes, bool *same, tl_error *err) {
  char old[TL_CHECKSUM_TEXT_MAX];
  int64_t old_bytes = 0;
  tl_status st = tl_checksum_file(path, old, &old_bytes, err);
  *same = !st && old_bytes == bytes && !strcmp(old, task->checksum);
  return st;
}

static tl_status write_file(tl_file_task *task, tl_error *err) {
  tl_commit *c = task->commit;
  char *path = tl_io_join(c->lake, task->path);
  char *folder = path ? tl_strndup(path, (size_t)(strrchr(path, '/') - path)) : NULL;
  tl_aside a = {.fd = -1, .hash = tl_checksum_open()};
  tl_buf name = {0};
  bool made = false, same = false, exists = false;
  tl_io_info info;
  tl_status st = TL_OK;
  if (!path || !folder || !a.hash) {
    st = tl_fail(err, TL_ENOMEM, "cannot write '%s'", task->path);
    goto done;
  }
  if ((st = tl_io_mkdirs(folder, err)) != TL_OK) goto done;
  const char *base = path + strlen(folder) + 1;
  if ((st = remove_leftovers(folder, base, err)) != TL_OK) goto done;
  st = tl_io_stat(path, &info, err);
  exists = st == TL_OK;
  if (st && st != TL_ENOTFOUND) goto done;
  bool rows = false;
  for (size_t i = 0; i < task->slice_count; i++) rows = rows || task->slices[i].end > task->slices[i].begin;
  st = TL_OK;
  if (!exists && !rows) goto done; /* a range without rows, and no file whose rows it could replace */
  pthread_mutex_lock(&c->lock);
  unsigned serial = c->serial++;
  pthread_mutex_unlock(&c->lock);
  if ((st = tl_buf_appendf(&name, err, "%s/.%s.%d-%u.tmp", folder, base, (int)getpid(), serial)) != TL_OK) goto done;
  a.path = name.data;
  if ((st = tl_io_open(a.path, O_WRONLY | O_CREAT | O_TRUNC, 0644, &a.fd, err)) != TL_OK) goto done;
  made = true;
  if ((st = tl_commit_encode(task, exists ? path : NULL, &a, err)) != TL_OK) goto done;
  tl_checksum_text(a.hash, task->checksum);
  task->recorded = true;
  if (exists && (st = tl_commit_same_bytes(path, task, a.bytes, &same, err)) != TL_OK) goto done;
  if (same) goto done;
  if ((st = tl_io_fsync(a.fd, a.path, err)) != TL_OK) goto done;
  if ((st = tl_io_rename(a.path, path, err)) != TL_OK) goto done;
  made = false;
  task->written = true;
  st = tl_io_fsync_dir(folder, err);
done:
  if (st) task->recorded = task->written; /* renamed but not known durable: still what the folder holds */
  tl_io_close(a.fd, path, NULL);
  if (made) tl_io_unlink(a.path, NULL);
  tl_checksum_close(a.hash);
  tl_buf_deinit(&name);
  tl_free(folder);
  tl_free(path);
  return st;
}

static void write_file_job(void *argument) {
  tl_file_task *task = argument;
  task->status = task->commit->on_store ? tl_on_store_write(task, &task->error) : write_file(task, &task->error);
}

/* ---- a group ---- */

static tl_status add_slice(tl_commit *c, group *g, const tl_piece *piece, tl_range period, size_t begin, size_t end, tl_error *err) {
  tl_buf path = {0};
  tl_status st = tl_table_path(c->options.layout, &c->options.dataset, piece->symbol, period.start_ns, &path, err);
  if (st) goto done;
  if (g->count == g->capacity) {
    size_t more = g->capacity ? g->capacity * 2 : 64;
    tl_file_task *grown = tl_realloc_array(g->tasks, more, sizeof *grown);
    if (!grown) {
      st = tl_fail(err, TL_ENOMEM, "cannot commit %zu files", g->count);
      goto done;
    }
    g->tasks = grown;
    g->capacity = more;
  }
  tl_slice *slice = tl_calloc(1, sizeof *slice);
  if (!slice) {
    st = tl_fail(err, TL_ENOMEM, "cannot commit '%s'", path.data);
    goto done;
  }
  *slice = (tl_slice){&piece->rows, begin, end, piece->range};
  int64_t byte = (int64_t)(XXH3_64bits(path.data, path.len) >> 1);
  g->tasks[g->count++] = (tl_file_task){.commit = c, .path = tl_buf_take(&path), .lock_byte = byte, .symbol = piece->symbol,
                                     .slices = slice, .slice_count = 1, .slice_max = 1};
done:
  tl_buf_deinit(&path);
  return st;
}

bool tl_piece_unanswered(const tl_piece *piece) {
  return piece->state == TL_COVER_FAILED || (piece->state == TL_COVER_PARTIAL && !piece->pages);
}

/* Cuts a piece by file. Kinds that replace ranges touch every file of the range: rows may have to go. */
static tl_status add_piece(tl_commit *c, group *g, const tl_piece *piece, tl_error *err) {
  if (tl_piece_unanswered(piece)) return TL_OK;
  const int64_t *times = tl_batch_times(&piece->rows);
  bool whole_range = replaces_range(c->options.dataset.kind);
  size_t begin = 0;
  int64_t at_ns = whole_range ? piece->range.start_ns : 0;
  while (whole_range ? at_ns < piece->range.end_ns : begin < piece->rows.rows) {
    if (!whole_range) at_ns = times[begin];
    tl_range period = tl_table_period(c->options.layout, &c->options.dataset, at_ns);
    size_t end = tl_batch_lower_bound(&piece->rows, begin, piece->rows.rows, period.end_ns);
    tl_status st = add_slice(c, g, piece, period, begin, end, err);
    if (st) return st;
    begin = end;
    if (period.end_ns <= at_ns) break; /* held at the end of time */
    at_ns = period.end_ns;
  }
  return TL_OK;
}

static int by_path(const void *a, const void *b) {
  const tl_file_task *x = a, *y = b;
  int order = strcmp(x->path, y->path);
  if (order) return order;
  int64_t s = x->slices[0].range.start_ns, t = y->slices[0].range.start_ns;
  return s < t ? -1 : s > t;
}

/* Tasks of one path become one task with several slices. */
static tl_status join_tasks(group *g, tl_error *err) {
  if (!g->count) return TL_OK;
  qsort(g->tasks, g->count, sizeof *g->tasks, by_path);
  size_t kept = 0;
  tl_status st = TL_OK;
  for (size_t i = 1; i < g->count; i++) {
    tl_file_task *into = &g->tasks[kept], *task = &g->tasks[i];
    if (strcmp(into->path, task->path) != 0) {
      if (++kept != i) {
        g->tasks[kept] = *task;
        *task = (tl_file_task){0};
      }
      continue;
    }
    if (!st && into->slice_count == into->slice_max) {
      tl_slice *grown = tl_realloc_array(into->slices, into->slice_max * 2, sizeof *grown);
      if (grown) {
        into->slices = grown;
        into->slice_max *= 2;
      } else {
        st = tl_fail(err, TL_ENOMEM, "cannot commit '%s'", into->path);
      }
    }
    if (!st) into->slices[into->slice_count++] = task->slices[0];
    tl_free(task->slices);
    tl_free(task->path);
    *task = (tl_file_task){0};
  }
  g->count = kept + 1;
  return st;
}

static int ascending(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return x < y ? -1 : x > y;
}

/* Ascending order over all processes: two groups cannot wait for each other. */
static tl_status lock_files(tl_commit *c, group *g, tl_error *err) {
  g->locks = tl_realloc_array(NULL, g->count, sizeof *g->locks);
  if (!g->locks) return tl_fail(err, TL_ENOMEM, "cannot lock %zu files", g->count);
  for (size_t i = 0; i < g->count; i++) g->locks[i] = g->tasks[i].lock_byte;
  qsort(g->locks, g->count, sizeof *g->locks, ascending);
  for (size_t i = 0; i < g->count; i++)
    if (!i || g->locks[i] != g->locks[i - 1]) g->locks[g->lock_count++] = g->locks[i];
  for (; g->held < g->lock_count; g->held++) {
    tl_status st = tl_io_lock(c->lock_fd, c->lock_path, g->locks[g->held], err);
    if (st) return st;
  }
  return TL_OK;
}

static void group_deinit(tl_commit *c, group *g) {
  for (size_t i = 0; i < g->held; i++) tl_io_unlock(c->lock_fd, g->locks[i]);
  for (size_t i = 0; i < g->count; i++) {
    tl_free(g->tasks[i].path);
    tl_free(g->tasks[i].slices);
  }
  tl_free(g->tasks);
  tl_free(g->locks);
}

static tl_status reject_path(const tl_commit *c, const tl_piece *piece, tl_buf *out, tl_error *err) {
  char symbol[TL_SYMBOL_ESCAPED_MAX + 1];
  tl_status st = tl_symbol_escape(piece->symbol, strlen(piece->symbol), symbol, err);
  if (st) return st;
  return tl_buf_appendf(out, err, "%s%srejects/%s/symbol=%s/%lld_%lld.jsonl", c->on_store ? "" : c->lake, c->on_store ? "" : "/",
                        c->options.dataset.name, symbol, (long long)piece->range.start_ns, (long long)piece->range.end_ns);
}

/* A unit asked again states its rejects anew, so they are never counted twice. */
static tl_status write_rejects(const tl_commit *c, const tl_piece *piece, tl_error *err) {
  tl_buf path = {0};
  tl_status st = reject_path(c, piece, &path, err);
  if (!st && c->on_store) st = tl_on_store_rejects(c->on_store, path.data, &piece->rejects, err);
  else if (!st && piece->rejects.len) st = tl_io_replace(path.data, piece->rejects.data, piece->rejects.len, err);
  else if (!st) st = tl_io_unlink(path.data, err);
  tl_buf_deinit(&path);
  return st;
}

static bool seen_before(const uint64_t *seen, size_t slots, uint64_t hash, size_t *at) {
  for (*at = (size_t)hash & (slots - 1); seen[*at] && seen[*at] != hash;) *at = (*at + 1) & (slots - 1);
  return seen[*at] == hash;
}

static tl_status grow_files(tl_commit *c, tl_error *err) {
  size_t more = c->file_max ? c->file_max * 2 : 64;
  uint64_t *seen = tl_calloc(more * 2, sizeof *seen);
  char **files = tl_realloc_array(c->files, more, sizeof *files);
  if (files) c->files = files;
  if (!files || !seen) {
    tl_free(seen);
    return tl_fail(err, TL_ENOMEM, "cannot remember %zu files", more);
  }
  for (size_t i = 0, at; i < c->seen_slots; i++)
    if (c->seen[i] && !seen_before(seen, more * 2, c->seen[i], &at)) seen[at] = c->seen[i];
  tl_free(c->seen);
  c->seen = seen;
  c->seen_slots = more * 2;
  c->file_max = more;
  return TL_OK;
}

static tl_status remember_file(tl_commit *c, const char *path, tl_error *err) {
  if (c->file_count == c->file_max) {
    tl_status st = grow_files(c, err);
    if (st) return st;
  }
  size_t at = 0;
  uint64_t hash = XXH3_64bits(path, strlen(path)) | 1;
  if (seen_before(c->seen, c->seen_slots, hash, &at)) return TL_OK;
  c->files[c->file_count] = tl_strdup(path);
  if (!c->files[c->file_count]) return tl_fail(err, TL_ENOMEM, "cannot remember file '%s'", path);
  c->file_count++;
  c->seen[at] = hash;
  c->totals.files = (int64_t)c->file_count;
  return TL_OK;
}

static tl_ledger_unit unit_of(const tl_commit *c, const tl_piece *piece) {
  return (tl_ledger_unit){.dataset = c->options.dataset.name, .symbol = piece->symbol, .range = piece->range,
                          .state = piece->state, .rows = (int64_t)piece->rows.rows, .wire_rows = piece->wire_rows,
                          .bytes = piece->bytes, .pages = piece->pages, .rejected = piece->rejected,
                          .asked_ns = piece->asked_ns, .hash = piece->hash, .answer = piece->answer};
}

/* Without units (a file could not be written) only what the folders hold now is recorded. */
static tl_status state_group(tl_commit *c, const group *g, const tl_piece *pieces, size_t count, tl_error *err) {
  tl_ledger_file *files = tl_calloc(g->count, sizeof *files);
  tl_ledger_unit *units = tl_calloc(count, sizeof *units);
  tl_ledger_group stated = {.files = files, .units = units, .unit_count = count, .run = c->options.run};
  if (c->on_store) {
    stated.since = g->since;
    stated.still = tl_on_store_still;
    stated.to = c->on_store;
  }
  stated.counts.rows = g->rows_changed;
  tl_status st = files && units ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot record %zu files", g->count);
  for (size_t i = 0; !st && i < g->count; i++) {
    const tl_file_task *task = &g->tasks[i];
    if (!task->recorded) continue;
    files[stated.file_count++] =
        (tl_ledger_file){.path = task->path, .dataset = c->options.dataset.name, .symbol = task->symbol,
                         .rows = task->summary.rows, .bytes = task->summary.bytes, .checksum = task->checksum,
                         .time_min_ns = task->summary.time_min_ns, .time_max_ns = task->summary.time_max_ns};
    stated.counts.rows += task->rows_changed;
    stated.counts.files += task->written;
  }
  for (size_t i = 0; !st && i < count; i++) {
    units[i] = unit_of(c, &pieces[i]);
    stated.counts.rejected += pieces[i].rejected;
  }
  if (!st) st = tl_ledger_commit(c->options.ledger, &stated, err);
  if (!st) {
    c->totals.rows += stated.counts.rows;
    c->totals.rejected += stated.counts.rejected;
  }
  tl_free(units);
  tl_free(files);
  return st;
}

static tl_status write_group(tl_commit *c, group *g, tl_error *err) {
  for (size_t i = 0; i < g->count; i++) tl_pool_put(c->pool, write_file_job, &g->tasks[i]);
  tl_pool_drain(c->pool);
  tl_status st = TL_OK;
  for (size_t i = 0; i < g->count; i++)
    if (g->tasks[i].status && !st) {
      st = g->tasks[i].status;
      if (err) *err = g->tasks[i].error;
    }
  return st;
}

static tl_status remember_added(void *to, const char *path, tl_error *err) { return remember_file(to, path, err); }

/* Rejects and ledger of a group whose rows are durable. */
static tl_status state_answers(tl_commit *c, const group *g, const tl_piece *pieces, size_t count, tl_error *err) {
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < count; i++)
    if (!tl_piece_unanswered(&pieces[i])) st = write_rejects(c, &pieces[i], err);
  TL_FAULT_STEP();
  return st ? st : state_group(c, g, pieces, count, err);
}

/* One writer of this lake at a time in a dataset's table: the others would only have to plan again. Other programs may
 * commit meanwhile: the table's log sees to that. */
static tl_status commit_to_table(tl_commit *c, const tl_piece *pieces, size_t count, tl_error *err) {
  group g = {0};
  int64_t byte = (int64_t)(XXH3_64bits(c->options.dataset.name, strlen(c->options.dataset.name)) >> 1);
  int64_t started_ns = tl_clock_mono_ns();
  tl_status st = c->on_store ? TL_OK : tl_io_lock(c->lock_fd, c->lock_path, byte, err);
  if (st) return st;
  st = tl_into_table_write(c->table, pieces, count, &g.rows_changed, remember_added, c, err);
  TL_FAULT_STEP();
  if (!st) st = state_answers(c, &g, pieces, count, err);
  TL_FAULT_STEP();
  if (!c->on_store) tl_io_unlock(c->lock_fd, byte);
  if (!st)
    tl_log(TL_LOG_INFO, "[Commit] %zu units into table %s, %.0f ms", count, c->options.dataset.name,
           (double)(tl_clock_mono_ns() - started_ns) / 1e6);
  return st;
}

tl_status tl_commit_group(tl_commit *c, const tl_piece *pieces, size_t count, tl_error *err) {
  if (!count) return TL_OK;
  if (c->table) return commit_to_table(c, pieces, count, err);
  group g = {.since = tl_ledger_seen(c->options.ledger)};
  tl_status st = TL_OK;
  int64_t started_ns = tl_clock_mono_ns();
  for (size_t i = 0; !st && i < count; i++) st = add_piece(c, &g, &pieces[i], err);
  if (!st) st = join_tasks(&g, err);
  if (!st && g.count && !c->on_store) st = lock_files(c, &g, err);
  TL_FAULT_STEP();
  if (!st) {
    st = write_group(c, &g, err);
    if (st) state_group(c, &g, NULL, 0, NULL);
  }
  TL_FAULT_STEP();
  if (!st) st = state_answers(c, &g, pieces, count, err);
  TL_FAULT_STEP();
  for (size_t i = 0; !st && i < g.count; i++)
    if (g.tasks[i].written) st = remember_file(c, g.tasks[i].path, err);
  if (!st)
    tl_log(TL_LOG_INFO, "[Commit] %zu units in %zu files, %.0f ms", count, g.count,
           (double)(tl_clock_mono_ns() - started_ns) / 1e6);
  group_deinit(c, &g);
  return st;
}
