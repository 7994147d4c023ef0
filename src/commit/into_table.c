/* into_table.c - pieces -> staged files -> one verb of the table. */
#include "commit/into_table.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/io.h"
#include "parquet/writer.h"
#include "table/dataset_table.h"

enum { FILE_ROWS_MIN = 100000 }; /* a staged file of fewer rows is not worth a thread */

struct tl_into_table {
  const tl_commit_options *options;
  tl_pool *pool;
  size_t workers;
  unsigned serial;
  char *stage;           /* folder of the staged files */
  tl_relation *relation; /* NULL until the first group */
};

typedef struct staged { /* one file while it is written: pieces [begin, end) of the order */
  const tl_into_table *table;
  const tl_piece *const *pieces;
  size_t begin, end;
  char *path;
  int fd;
  tl_status status;
  tl_error error;
} staged;

typedef struct group {
  const tl_piece **pieces; /* answered ones, by symbol and time */
  size_t count;
  size_t rows;
  staged *files;
  size_t file_count;
} group;

/* ---- open ---- */

static bool of_the_dead(const char *name) { /* .stage.PID-N.tmp */
  if (strncmp(name, ".stage.", 7) != 0) return false;
  char *end = NULL;
  long pid = strtol(name + 7, &end, 10);
  return end && *end == '-' && pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

static tl_status remove_leftovers(const char *folder, tl_error *err) {
  tl_io_names names;
  tl_status st = tl_io_list(folder, &names, err);
  if (st) return st == TL_ENOTFOUND ? TL_OK : st;
  for (size_t i = 0; !st && i < names.count; i++) {
    if (!of_the_dead(names.names[i])) continue;
    char *path = tl_io_join(folder, names.names[i]);
    st = path ? tl_io_unlink(path, err) : tl_fail(err, TL_ENOMEM, "cannot clean '%s'", folder);
    tl_free(path);
  }
  tl_io_names_deinit(&names);
  return st;
}

tl_status tl_into_table_init(const tl_commit_options *options, tl_pool *pool, size_t workers, tl_into_table **out, tl_error *err) {
  tl_into_table *t = tl_calloc(1, sizeof *t);
  if (!t) return tl_fail(err, TL_ENOMEM, "cannot open the table of '%s'", options->dataset.name);
  *t = (tl_into_table){.options = options, .pool = pool, .workers = workers};
  t->stage = tl_store_is_s3_uri(options->lake) ? tl_strdup(tl_io_temp()) : tl_io_join(options->lake, "_ticklake");
  tl_status st = t->stage ? remove_leftovers(t->stage, err) : tl_fail(err, TL_ENOMEM, "cannot open the table of '%s'", options->dataset.name);
  if (st) tl_into_table_close(t);
  else *out = t;
  return st;
}

void tl_into_table_close(tl_into_table *t) {
  if (!t) return;
  tl_relation_close(t->relation);
  tl_free(t->stage);
  tl_free(t);
}

/* ---- staging ---- */

static int by_symbol_and_time(const void *a, const void *b) {
  const tl_piece *x = *(const tl_piece *const *)a, *y = *(const tl_piece *const *)b;
  int order = strcmp(x->symbol, y->symbol);
  if (order) return order;
  return x->range.start_ns < y->range.start_ns ? -1 : x->range.start_ns > y->range.start_ns;
}

static tl_status sort_pieces(group *g, const tl_piece *pieces, size_t count, tl_error *err) {
  g->pieces = tl_calloc(count, sizeof *g->pieces);
  if (!g->pieces) return tl_fail(err, TL_ENOMEM, "cannot commit %zu units", count);
  for (size_t i = 0; i < count; i++) {
    if (tl_piece_unanswered(&pieces[i])) continue;
    g->pieces[g->count++] = &pieces[i];
    g->rows += pieces[i].rows.rows;
  }
  if (g->count) qsort(g->pieces, g->count, sizeof *g->pieces, by_symbol_and_time);
  return TL_OK;
}

static tl_status sink(void *to, const void *data, size_t len, tl_error *err) {
  staged *file = to;
  return tl_io_write(file->fd, file->path, data, len, err);
}

static tl_status encode(staged *file, tl_error *err) {
  const tl_commit_options *o = file->table->options;
  tl_parquet_options options = {.kind = o->dataset.kind, .symbol = file->pieces[file->begin]->symbol, .words = o->words, .sink = sink, .to = file};
  tl_parquet *writer = NULL;
  tl_parquet_summary summary;
  tl_status st = tl_parquet_open(&options, &writer, err);
  for (size_t i = file->begin; !st && i < file->end; i++) {
    const tl_piece *piece = file->pieces[i];
    st = tl_parquet_next_symbol(writer, piece->symbol, err);
    if (!st) st = tl_parquet_write(writer, &piece->rows, 0, piece->rows.rows, err);
  }
  if (!st) st = tl_parquet_finish(writer, &summary, err);
  tl_parquet_close(writer);
  return st;
}

static void write_staged(void *argument) {
  staged *file = argument;
  file->status = tl_io_open(file->path, O_WRONLY | O_CREAT | O_TRUNC, 0600, &file->fd, &file->error);
  if (!file->status) file->status = encode(file, &file->error);
  tl_status closed = tl_io_close(file->fd, file->path, file->status ? NULL : &file->error);
  if (!file->status) file->status = closed;
}

/* Files of whole symbols with about as many rows each; one when there are few. A symbol's rows lie in one file, in order. */
static tl_status cut_files(tl_into_table *t, group *g, tl_error *err) {
  size_t most = g->rows / FILE_ROWS_MIN + 1;
  if (most > t->workers) most = t->workers;
  g->files = tl_calloc(most, sizeof *g->files);
  if (!g->files) return tl_fail(err, TL_ENOMEM, "cannot stage %zu rows", g->rows);
  size_t aim = g->rows / most + 1, begin = 0, rows = 0;
  for (size_t i = 0; i < g->count; i++) {
    rows += g->pieces[i]->rows.rows;
    bool last = i + 1 == g->count, symbol_ends = last || strcmp(g->pieces[i]->symbol, g->pieces[i + 1]->symbol) != 0;
    if (!last && (!symbol_ends || rows < aim || g->file_count + 1 == most)) continue;
    tl_buf path = {0};
    tl_status st = tl_buf_appendf(&path, err, "%s/.stage.%d-%u.tmp", t->stage, (int)getpid(), t->serial++);
    if (st) return st;
    g->files[g->file_count++] = (staged){.table = t, .pieces = g->pieces, .begin = begin, .end = i + 1, .path = tl_buf_take(&path), .fd = -1};
    begin = i + 1;
    rows = 0;
  }
  return TL_OK;
}

static tl_status stage(tl_into_table *t, group *g, tl_error *err) {
  tl_status st = cut_files(t, g, err);
  if (st) return st;
  for (size_t i = 0; i < g->file_count; i++) tl_pool_put(t->pool, write_staged, &g->files[i]);
  tl_pool_drain(t->pool);
  for (size_t i = 0; i < g->file_count; i++)
    if (g->files[i].status) {
      if (err) *err = g->files[i].error;
      return g->files[i].status;
    }
  return TL_OK;
}

static void group_deinit(group *g) {
  for (size_t i = 0; i < g->file_count; i++) {
    tl_io_unlink(g->files[i].path, NULL);
    tl_free(g->files[i].path);
  }
  tl_free(g->files);
  tl_free(g->pieces);
}

/* ---- the verb ---- */

static bool replaces_range(tl_kind kind) { return kind == TL_TRADES || kind == TL_QUOTES; }

/* Symbols in order, a symbol's rows as they came. */
static tl_status append_rows(const tl_into_table *t, const group *g, tl_buf *sql, tl_error *err) {
  tl_status st = tl_buf_appends(sql, "SELECT ", err);
  if (!st) st = tl_dataset_columns(&t->options->dataset, false, sql, err);
  if (!st) st = tl_buf_appends(sql, " FROM read_parquet([", err);
  for (size_t i = 0; !st && i < g->file_count; i++) {
    if (i) st = tl_buf_appends(sql, ", ", err);
    if (!st) st = tl_sql_quote(sql, g->files[i].path, strlen(g->files[i].path), err);
  }
  return st ? st : tl_buf_appends(sql, "], hive_partitioning = false)", err);
}

static tl_status replace_ranges(tl_into_table *t, const group *g, const tl_write *write, tl_changed *changed, tl_error *err) {
  tl_replaced_range *ranges = tl_calloc(g->count, sizeof *ranges);
  if (!ranges) return tl_fail(err, TL_ENOMEM, "cannot replace %zu ranges", g->count);
  for (size_t i = 0; i < g->count; i++)
    ranges[i] = (tl_replaced_range){g->pieces[i]->symbol, g->pieces[i]->range.start_ns, g->pieces[i]->range.end_ns};
  tl_status st = tl_relation_replace_ranges(t->relation, write, TL_SYMBOL_COLUMN, TL_NS_COLUMN, ranges, g->count, changed, err);
  tl_free(ranges);
  return st;
}

static tl_status run_verb(tl_into_table *t, const group *g, tl_changed *changed, tl_error *err) {
  tl_buf rows = {0};
  tl_status st = append_rows(t, g, &rows, err);
  tl_write write = {.rows = rows.data};
  if (!st && replaces_range(t->options->dataset.kind)) st = replace_ranges(t, g, &write, changed, err);
  else if (!st) st = tl_relation_merge(t->relation, &write, "symbol,timestamp", changed, err);
  tl_buf_deinit(&rows);
  return st;
}

/* The newest state of the table, made when there are rows for it; *there false: none, and nothing to put into one. */
static tl_status open_relation(tl_into_table *t, bool make, bool *there, tl_error *err) {
  const tl_commit_options *o = t->options;
  tl_relation_options options = {.settings = o->settings, .memory_bytes = o->memory_bytes ? o->memory_bytes : (int64_t)256 << 20};
  tl_status st;
  *there = true;
  if (t->relation) return tl_relation_refresh(t->relation, err);
  if (make) {
    st = tl_dataset_table_make(o->lake, o->layout, &o->dataset, &options, &t->relation, err);
  } else {
    st = tl_dataset_table_open(o->lake, &o->dataset, &options, &t->relation, err);
    *there = st == TL_OK;
    if (st == TL_ENOTFOUND) st = TL_OK;
  }
  if (st || !*there || !strcmp(tl_relation_faces(t->relation), tl_layout_name(o->layout))) return st;
  st = tl_fail(err, TL_EUSAGE, "the table '%s/%s' is %s, the lake's layout is %s: another program made it", o->lake, o->dataset.name,
               tl_relation_faces(t->relation), tl_layout_name(o->layout));
  tl_relation_close(t->relation);
  t->relation = NULL;
  return st;
}

/* The newest commit that added a live file: Delta's version, Iceberg's sequence number. */
static int64_t newest_file(const tl_into_table *t) {
  const tl_snapshot *s = tl_relation_snapshot(t->relation);
  int64_t newest = -1;
  for (size_t i = 0; i < s->file_count; i++)
    if (s->files[i].version > newest) newest = s->files[i].version;
  return newest;
}

static tl_status tell_files(const tl_into_table *t, int64_t after, tl_file_added added, void *to, tl_error *err) {
  const tl_snapshot *s = tl_relation_snapshot(t->relation);
  tl_buf path = {0};
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < s->file_count; i++) {
    if (s->files[i].version <= after) continue;
    tl_buf_clear(&path);
    st = tl_buf_appendf(&path, err, "%s/%s", t->options->dataset.name, s->files[i].path);
    if (!st) st = added(to, path.data, err);
  }
  tl_buf_deinit(&path);
  return st;
}

tl_status tl_into_table_write(tl_into_table *t, const tl_piece *pieces, size_t count, int64_t *rows_changed,
                              tl_file_added added, void *to, tl_error *err) {
  group g = {0};
  tl_changed changed = {.version = -1};
  bool there = false;
  tl_status st = sort_pieces(&g, pieces, count, err);
  *rows_changed = 0;
  if (!st && (g.rows || (g.count && replaces_range(t->options->dataset.kind)))) st = open_relation(t, g.rows > 0, &there, err);
  if (!st && there) st = stage(t, &g, err);
  int64_t newest = !st && there ? newest_file(t) : 0;
  TL_FAULT_STEP();
  if (!st && there) st = run_verb(t, &g, &changed, err);
  group_deinit(&g);
  if (!st && there) *rows_changed = changed.rows_inserted + changed.rows_updated;
  return st || !there || changed.version < 0 ? st : tell_files(t, newest, added, to, err);
}
