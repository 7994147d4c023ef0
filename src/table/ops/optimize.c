/* optimize.c - the same rows in fewer, fuller files, or in Z-order; no row changes, so nobody's reads conflict with it.
 *
 * Bin-packing takes the files of a partition below three quarters of the aimed size, in order, into bins that end once they
 * are full; a bin of one file is left alone, so that running it again does nothing. Z-order writes each partition anew along
 * the curve over the ranks of the columns. Each bin is checked against what it was made of before the one commit. */
#include <string.h>

#include "base/alloc.h"
#include "table/ops/ops.h"

typedef struct packing {
  tl_work *work;
  bool curve; /* Z-order: whole partitions */
} packing;

static tl_status rewrite_bin(packing *p, const tl_picks *bin, const char *const *partition, tl_error *err) {
  int64_t rows = 0, bytes = 0;
  for (size_t i = 0; i < bin->count; i++) {
    const tl_data_file *file = &p->work->snapshot->files[bin->items[i]];
    rows = file->rows < 0 || rows < 0 ? -1 : rows + file->rows;
    bytes += file->size_bytes;
  }
  if (rows > 0) p->work->row_bytes = (double)bytes / (double)rows;
  return tl_work_rewrite(p->work, bin, partition, NULL, rows, err);
}

static tl_status pack_group(void *to, const tl_picks *files, const char *const *partition, tl_error *err) {
  packing *p = to;
  if (p->curve) return rewrite_bin(p, files, partition, err);
  tl_picks bin = {tl_calloc(files->count + 1, sizeof *bin.items), 0};
  int64_t bytes = 0, target = p->work->file_bytes;
  tl_status st = bin.items ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot plan bins");
  for (size_t i = 0; !st && i < files->count; i++) {
    int64_t size = p->work->snapshot->files[files->items[i]].size_bytes;
    if (size < target / 4 * 3) {
      bin.items[bin.count++] = files->items[i];
      bytes += size;
    }
    if (bytes < target && i + 1 < files->count) continue;
    if (bin.count > 1) st = rewrite_bin(p, &bin, partition, err);
    bin.count = 0;
    bytes = 0;
  }
  tl_picks_deinit(&bin);
  return st;
}

enum { CURVE_COLUMNS_MAX = 4 };

/* zorder(rank of a in 0..65535, ...) */
static tl_status curve_order(tl_work *work, const char *columns, tl_buf *names_json, tl_error *err) {
  size_t *items = NULL, count = 0;
  tl_status st = tl_ops_columns(columns, &work->fields, &items, &count, err);
  if (!st && (count == 0 || count > CURVE_COLUMNS_MAX)) st = tl_fail(err, TL_EUSAGE, "Z-order goes over one to %d columns", CURVE_COLUMNS_MAX);
  tl_sql_deinit(&work->order);
  work->order.err = err;
  tl_sql_add(&work->order, "zorder(");
  if (!st) st = tl_buf_appends(names_json, "[", err);
  for (size_t i = 0; !st && i < count; i++) {
    const char *name = work->fields.items[items[i]].name;
    tl_sql_addf(&work->order, "%sCAST((rank() OVER (ORDER BY ", i ? ", " : "");
    tl_sql_name(&work->order, name);
    tl_sql_add(&work->order, ") - 1) * 65536 // (count(*) OVER ()) AS INTEGER)");
    st = tl_buf_appends(names_json, i ? "," : "", err);
    if (!st) st = tl_buf_append_json(names_json, name, strlen(name), err);
  }
  tl_sql_add(&work->order, ")");
  if (!st) st = tl_buf_appends(names_json, "]", err);
  tl_free(items);
  return st ? st : work->order.st;
}

static tl_status pick(tl_relation *relation, const char *where, tl_picks *out, tl_error *err) {
  const tl_snapshot *snapshot = relation->faces[0].snapshot;
  if (!where) return tl_picks_all(snapshot, out, err);
  if (tl_ops_partition_only(relation, snapshot, where)) return tl_ops_partition_picks(relation, snapshot, where, out, err);
  return tl_fail(err, TL_EUSAGE, "'%s' must be over the table's partition columns, for whole files are written anew", where);
}

static tl_status optimize(tl_relation *relation, const void *argument, tl_changed *changed, tl_error *err) {
  const tl_optimize *request = argument;
  tl_work work = {0};
  tl_picks files = {0};
  tl_buf names = {0};
  packing p = {&work, request->zorder_by != NULL};
  tl_status st = tl_work_begin(&work, relation, NULL, changed, err);
  if (request->file_bytes > 0) work.file_bytes = request->file_bytes;
  if (!st && p.curve) st = curve_order(&work, request->zorder_by, &names, err);
  if (!st) st = pick(relation, request->where, &files, err);
  if (!st) st = tl_ops_groups(work.snapshot, &files, pack_group, &p, err);
  tl_pair parameters[] = {{(char *)(uintptr_t) "predicate", (char *)(uintptr_t) "[]"},
                          {(char *)(uintptr_t) "zOrderBy", p.curve ? names.data : (char *)(uintptr_t) "[]"},
                          {(char *)(uintptr_t) "auto", (char *)(uintptr_t) "false"}};
  tl_commit commit = {.operation = "OPTIMIZE", .parameters = parameters, .parameter_count = 3, .keeps_rows = true, .reads = TL_READS_REMOVED};
  if (!st) st = tl_work_commit(&work, &commit, err);
  tl_picks_deinit(&files);
  tl_buf_deinit(&names);
  tl_work_deinit(&work);
  return st;
}

tl_status tl_relation_optimize(tl_relation *relation, const tl_optimize *request, tl_changed *out, tl_error *err) {
  return tl_ops_attempts(relation, optimize, request, out, err);
}
