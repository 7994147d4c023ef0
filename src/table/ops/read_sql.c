/* read_sql.c - files of a snapshot as one SELECT.
 *
 *   SELECT CAST(u."close" AS DOUBLE) AS "close", CAST(p.k0 AS VARCHAR) AS "symbol", u."tl#file"
 *   FROM (SELECT NULL::DOUBLE AS "close", ... WHERE false                       -- columns no file has, in the right type
 *         UNION ALL BY NAME SELECT *, file_index AS "tl#file", ... FROM read_parquet([...], union_by_name = true)) u
 *   JOIN (VALUES (0, 'AAPL'), (1, 'MSFT')) p(i, k0) ON p.i = u."tl#file"        -- values the files do not hold
 * Partition values are constants when all files have the same. Columns are found by name in any file, so files of other
 * writers and of older schemas read alike; where names may differ (by_id.c), each layout of files has a SELECT of its own that
 * names its columns. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/pool.h"
#include "table/ops/ops.h"

#define UNREADABLE "data file '%s' of the table cannot be read: %s; `ticklake table verify` says more"

/* ---- where a file can be read ---- */

static bool has_scheme(const char *path) { return strstr(path, "://") || !strncmp(path, "file:", 5); }

static tl_fetched *find_fetched(const tl_relation *relation, const char *path, size_t *at) {
  size_t low = 0, high = relation->fetched_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    int order = strcmp(relation->fetched[middle].path, path);
    if (order == 0) return &relation->fetched[middle];
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  *at = low;
  return NULL;
}

tl_status tl_ops_local_path(tl_relation *relation, const char *path, tl_buf *out, tl_error *err) {
  size_t at;
  const tl_fetched *fetched = find_fetched(relation, path, &at);
  if (fetched) return tl_buf_appends(out, fetched->local, err);
  if (!strncmp(path, "file:", 5)) {
    const char *bare = path + 5;
    if (!strncmp(bare, "//", 2)) bare = strchr(bare + 2, '/');
    if (bare) return tl_buf_appends(out, bare, err);
  }
  if (path[0] == '/') return tl_buf_appends(out, path, err);
  if (has_scheme(path) || !tl_store_is_local(relation->store))
    return tl_fail(err, TL_EUSAGE, "the table has the file '%s', which lies elsewhere and cannot be read from here", path);
  return tl_buf_appendf(out, err, "%s/%s", tl_store_local(relation->store), path);
}

static tl_status add_fetched(tl_relation *relation, const char *path, char *local, tl_error *err) {
  size_t at = 0;
  if (relation->fetched_count == relation->fetched_capacity) {
    size_t capacity = relation->fetched_capacity ? relation->fetched_capacity * 2 : 64;
    tl_fetched *grown = tl_realloc_array(relation->fetched, capacity, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot remember a fetched file");
    relation->fetched = grown;
    relation->fetched_capacity = capacity;
  }
  find_fetched(relation, path, &at);
  char *copy = tl_strdup(path);
  if (!copy) return tl_fail(err, TL_ENOMEM, "cannot remember a fetched file");
  memmove(relation->fetched + at + 1, relation->fetched + at, (relation->fetched_count - at) * sizeof *relation->fetched);
  relation->fetched[at] = (tl_fetched){copy, local};
  relation->fetched_count++;
  return TL_OK;
}

typedef struct fetch_job {
  tl_store *store;
  const char *path;
  char *local;
  tl_status st;
  tl_error err;
} fetch_job;

static void fetch(void *argument) {
  fetch_job *job = argument;
  job->st = tl_store_fetch(job->store, job->path, job->local, &job->err);
  if (job->st == TL_ENOTFOUND) job->st = tl_fail(&job->err, TL_ECORRUPT, UNREADABLE, job->path, "it is gone");
}

enum { FETCHERS = 8 };

static tl_status run_fetches(fetch_job *jobs, size_t count, tl_error *err) {
  tl_pool *pool = NULL;
  if (!count) return TL_OK;
  tl_status st = tl_pool_open(count < FETCHERS ? count : FETCHERS, 2 * FETCHERS, &pool, err);
  for (size_t i = 0; !st && i < count; i++) tl_pool_put(pool, fetch, &jobs[i]);
  tl_pool_close(pool);
  for (size_t i = 0; !st && i < count; i++)
    if (jobs[i].st) {
      if (err) *err = jobs[i].err;
      st = jobs[i].st;
    }
  return st;
}

static tl_status fetch_files(tl_relation *relation, const tl_snapshot *snapshot, const tl_picks *files, tl_error *err) {
  if (tl_store_is_local(relation->store)) return TL_OK;
  size_t count = 0, at;
  fetch_job *jobs = tl_calloc(files->count ? files->count : 1, sizeof *jobs);
  tl_status st = jobs ? tl_io_mkdirs(relation->temp, err) : tl_fail(err, TL_ENOMEM, "cannot fetch files");
  for (size_t i = 0; !st && i < files->count; i++) {
    const char *path = snapshot->files[files->items[i]].path;
    if (path[0] == '/' || has_scheme(path) || find_fetched(relation, path, &at)) continue;
    tl_buf local = {0};
    st = tl_buf_appendf(&local, err, "%s/f%" PRIu64 ".parquet", relation->temp, relation->serial++);
    jobs[count++] = (fetch_job){.store = relation->store, .path = path, .local = tl_buf_take(&local)};
  }
  if (!st) st = run_fetches(jobs, count, err);
  for (size_t i = 0; i < count; i++) {
    tl_status kept = st ? st : add_fetched(relation, jobs[i].path, jobs[i].local, err);
    if (kept) tl_free(jobs[i].local);
    if (!st) st = kept;
  }
  tl_free(jobs);
  return st;
}

/* ---- the SELECT ---- */

bool tl_ops_is_ours(const char *path) { /* part-00003-UUID.zstd.parquet */
  static const char ending[] = ".zstd.parquet";
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  size_t len = strlen(name), digits = strncmp(name, "part-", 5) ? 0 : strspn(name + 5, "0123456789");
  return digits >= 5 && len == 5 + digits + 1 + (TL_UUID_TEXT_MAX - 1) + sizeof ending - 1 && !strcmp(name + len - (sizeof ending - 1), ending);
}

static bool all_ours(const tl_snapshot *snapshot, const tl_picks *files) {
  for (size_t i = 0; i < files->count; i++)
    if (!tl_ops_is_ours(snapshot->files[files->items[i]].path)) return false;
  return true;
}

static bool same_text(const char *a, const char *b) { return a == b || (a && b && !strcmp(a, b)); }

/* Do all picked files have one value of partition field p? */
static bool one_value(const tl_snapshot *snapshot, const tl_picks *files, size_t p) {
  for (size_t i = 1; i < files->count; i++)
    if (!same_text(snapshot->files[files->items[0]].partition[p], snapshot->files[files->items[i]].partition[p])) return false;
  return true;
}

static void add_text(tl_sql *sql, const char *text) { tl_sql_value(sql, text, text ? strlen(text) : 0); }

static void add_nulls(tl_sql *sql, const tl_snapshot *snapshot) {
  const char *comma = "";
  for (size_t i = 0; i < snapshot->fields.count; i++) {
    const tl_field *field = &snapshot->fields.items[i];
    if (tl_ops_partition_of(&snapshot->partitioning, i) >= 0) continue;
    tl_sql_addf(sql, "%sCAST(NULL AS ", comma);
    tl_sql_type(sql, field);
    tl_sql_add(sql, ") AS ");
    tl_sql_name(sql, field->name);
    comma = ", ";
  }
  tl_sql_addf(sql, "%s0::UBIGINT AS \"tl#file\", 0::BIGINT AS \"tl#row\"", comma);
}

void tl_ops_paths(tl_relation *relation, const tl_snapshot *snapshot, const tl_picks *files, tl_sql *sql) {
  tl_buf path = {0};
  tl_sql_add(sql, "[");
  for (size_t i = 0; i < files->count && !sql->st; i++) {
    tl_buf_clear(&path);
    sql->st = tl_ops_local_path(relation, snapshot->files[files->items[i]].path, &path, sql->err);
    if (i) tl_sql_add(sql, ",");
    if (!sql->st) tl_sql_value(sql, path.data, path.len);
  }
  tl_sql_add(sql, "]");
  tl_buf_deinit(&path);
}

static void add_list(tl_relation *relation, const tl_snapshot *snapshot, const tl_picks *files, tl_sql *sql) {
  tl_sql_add(sql, "file_row_number AS \"tl#row\" FROM read_parquet(");
  tl_ops_paths(relation, snapshot, files, sql);
  tl_sql_add(sql, ", union_by_name = true, hive_partitioning = false)");
}

/* The columns by the names their files have for them. */
static void add_layouts(tl_relation *relation, const tl_snapshot *snapshot, const tl_layouts *layouts, tl_sql *sql) {
  for (size_t l = 0; l < layouts->count; l++) {
    const tl_layout *layout = &layouts->items[l];
    tl_sql_add(sql, " UNION ALL BY NAME SELECT ");
    for (size_t i = 0; i < snapshot->fields.count; i++) {
      if (!layout->names[i]) continue;
      tl_sql_name(sql, layout->names[i]);
      tl_sql_add(sql, " AS ");
      tl_sql_name(sql, snapshot->fields.items[i].name);
      tl_sql_add(sql, ", ");
    }
    tl_sql_addf(sql, "CAST(file_index + %zu AS UBIGINT) AS \"tl#file\", ", layout->first);
    add_list(relation, snapshot, &(tl_picks){layouts->files.items + layout->first, layout->count}, sql);
  }
}

/* One column of the outer SELECT. */
static void add_column(tl_sql *sql, const tl_snapshot *snapshot, const tl_picks *files, bool ours, size_t i) {
  const tl_field *field = &snapshot->fields.items[i];
  int part = tl_ops_partition_of(&snapshot->partitioning, i);
  /* Others' files may tell the bounds of a column without its NaNs, and may have bloom filters that tell 0.0 from -0.0: DuckDB
   * 1.5.5 trusts both and loses rows. It does not see through two signs. */
  const char *veil = !ours && (field->type == TL_FIELD_F32 || field->type == TL_FIELD_F64) ? "-(-u." : "u.";
  tl_sql_add(sql, "CAST(");
  if (part < 0) {
    tl_sql_add(sql, veil);
    tl_sql_name(sql, field->name);
    if (veil[0] == '-') tl_sql_add(sql, ")");
  } else if (one_value(snapshot, files, (size_t)part)) {
    add_text(sql, snapshot->files[files->items[0]].partition[part]);
  } else {
    tl_sql_addf(sql, "p.k%d", part);
  }
  tl_sql_add(sql, " AS ");
  tl_sql_type(sql, field);
  tl_sql_add(sql, ") AS ");
  tl_sql_name(sql, field->name);
}

/* True when the SELECT needs the values of partitions by file, or the file's own index in the snapshot. */
static bool needs_join(const tl_snapshot *snapshot, const tl_picks *files, bool with_file) {
  if (with_file && files->count > 1) return true;
  for (size_t p = 0; p < snapshot->partitioning.count; p++)
    if (snapshot->partitioning.items[p].column >= 0 && !one_value(snapshot, files, p)) return true;
  return false;
}

static void add_values(tl_sql *sql, const tl_snapshot *snapshot, const tl_picks *files) {
  size_t count = snapshot->partitioning.count;
  tl_sql_add(sql, " JOIN (VALUES ");
  for (size_t i = 0; i < files->count && !sql->st; i++) {
    tl_sql_addf(sql, "%s(%zu::UBIGINT, %zu", i ? "," : "", i, files->items[i]);
    for (size_t p = 0; p < count; p++) {
      tl_sql_add(sql, ",");
      add_text(sql, snapshot->files[files->items[i]].partition[p]);
      if (!i) tl_sql_add(sql, "::VARCHAR");
    }
    tl_sql_add(sql, ")");
  }
  tl_sql_add(sql, ") p(i, f");
  for (size_t p = 0; p < count; p++) tl_sql_addf(sql, ", k%zu", p);
  tl_sql_add(sql, ") ON p.i = u.\"tl#file\"");
}

static void add_empty(tl_sql *sql, const tl_snapshot *snapshot, bool with_file) {
  tl_sql_add(sql, "(SELECT ");
  for (size_t i = 0; i < snapshot->fields.count; i++) {
    const tl_field *field = &snapshot->fields.items[i];
    tl_sql_add(sql, i ? ", CAST(NULL AS " : "CAST(NULL AS ");
    tl_sql_type(sql, field);
    tl_sql_add(sql, ") AS ");
    tl_sql_name(sql, field->name);
  }
  tl_sql_addf(sql, "%s WHERE false)", with_file ? ", 0 AS \"tl#file\", 0::BIGINT AS \"tl#row\"" : "");
}

static tl_status check_readable(const tl_snapshot *snapshot, tl_error *err) {
  static const char *const own[] = {"file_index", "file_row_number"};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    if (tl_fields_find(&snapshot->fields, own[i]) >= 0)
      return tl_fail(err, TL_EUSAGE, "a table with a column '%s' cannot be read: DuckDB keeps that name for itself", own[i]);
  for (size_t i = 0; i < snapshot->fields.count; i++)
    if (snapshot->fields.items[i].hidden)
      return tl_fail(err, TL_EUSAGE, "column '%s' cannot be read: members of it were renamed, or have names that engines spell in several ways",
                     snapshot->fields.items[i].name);
  return TL_OK;
}

static void add_scan(tl_relation *relation, const tl_snapshot *snapshot, const tl_picks *files, const tl_layouts *layouts, bool with_file, tl_sql *out) {
  bool join = needs_join(snapshot, files, with_file), ours = all_ours(snapshot, files);
  tl_sql_add(out, "(SELECT ");
  for (size_t i = 0; i < snapshot->fields.count; i++) {
    if (i) tl_sql_add(out, ", ");
    add_column(out, snapshot, files, ours, i);
  }
  if (with_file && join) tl_sql_add(out, ", p.f AS \"tl#file\", u.\"tl#row\"");
  else if (with_file) tl_sql_addf(out, ", %zu AS \"tl#file\", u.\"tl#row\"", files->items[0]);
  tl_sql_add(out, " FROM (SELECT ");
  add_nulls(out, snapshot);
  tl_sql_add(out, " WHERE false");
  if (layouts) {
    add_layouts(relation, snapshot, layouts, out);
  } else {
    tl_sql_add(out, " UNION ALL BY NAME SELECT *, file_index AS \"tl#file\", ");
    add_list(relation, snapshot, files, out);
  }
  tl_sql_add(out, ") u");
  if (join) add_values(out, snapshot, files);
  tl_sql_add(out, ")");
}

tl_status tl_ops_scan(tl_relation *relation, const tl_snapshot *snapshot, const tl_picks *files, bool with_file, tl_sql *out) {
  tl_layouts layouts = {0};
  if (!out->st) out->st = check_readable(snapshot, out->err);
  if (!out->st) out->st = fetch_files(relation, snapshot, files, out->err);
  if (out->st) return out->st;
  if (!files->count) {
    add_empty(out, snapshot, with_file);
    return out->st;
  }
  relation->scanned = true;
  if (snapshot->by_id) out->st = tl_ops_layouts(relation, snapshot, files, &layouts, out->err);
  if (!out->st) add_scan(relation, snapshot, snapshot->by_id ? &layouts.files : files, snapshot->by_id ? &layouts : NULL, with_file, out);
  tl_layouts_deinit(&layouts);
  return out->st;
}

/* ---- files that cannot be read ---- */

/* All of one file, by itself. */
static tl_status read_file(tl_relation *relation, size_t file, const char *local, tl_error *err) {
  tl_io_info info;
  tl_sql sql = {.err = err};
  tl_status st = tl_io_stat(local, &info, err);
  if (st == TL_ENOTFOUND) return tl_fail(err, st, "it is gone");
  tl_sql_add(&sql, "SELECT max(hash(t)) FROM ");
  if (!st) st = tl_ops_scan(relation, relation->faces[0].snapshot, &(tl_picks){&file, 1}, false, &sql);
  tl_sql_add(&sql, " t");
  if (!st) st = tl_sql_run(&sql, relation->link);
  tl_sql_deinit(&sql);
  return st;
}

tl_status tl_ops_name_unreadable(tl_relation *relation, tl_status st, tl_error *err) {
  const tl_snapshot *snapshot = relation->faces[0].snapshot;
  if (st != TL_ESQL || !err || !relation->scanned || tl_ops_is_wording(err)) return st;
  for (size_t i = 0; i < snapshot->file_count; i++) {
    tl_error why = {0};
    tl_buf local = {0};
    tl_status read = TL_OK;
    if (!tl_ops_local_path(relation, snapshot->files[i].path, &local, NULL)) read = read_file(relation, i, local.data, &why); /* else it was not fetched */
    tl_buf_deinit(&local);
    if (read && read != TL_ENOMEM) return tl_fail(err, TL_ECORRUPT, UNREADABLE, snapshot->files[i].path, why.message);
  }
  return st;
}

/* ---- what users read ---- */

static tl_status user_sql(tl_relation *relation, const tl_at *at, const char *where, bool placed, tl_buf *sql, tl_error *err) {
  tl_snapshot *other = NULL;
  tl_picks files = {0};
  tl_sql out = {.err = err};
  tl_face *face = &relation->faces[0];
  tl_status st = TL_OK;
  if (at && at->kind != TL_AT_LATEST) st = face->format->load(face->log, *at, &other, err);
  const tl_snapshot *snapshot = other ? other : face->snapshot;
  if (!st) st = tl_ops_prune(relation, snapshot, where, &files, err);
  if (!st) {
    tl_sql_add(&out, "SELECT * FROM ");
    st = tl_ops_scan(relation, snapshot, &files, placed, &out);
  }
  if (!st && where) tl_sql_addf(&out, " WHERE (%s\n)", where);
  if (!st) st = out.st;
  if (!st) st = tl_buf_append(sql, out.buf.data, out.buf.len, err);
  tl_picks_deinit(&files);
  tl_sql_deinit(&out);
  tl_snapshot_close(other);
  return st;
}

tl_status tl_relation_sql(tl_relation *relation, const tl_at *at, const char *where, tl_buf *sql, tl_error *err) {
  return user_sql(relation, at, where, false, sql, err);
}

tl_status tl_relation_sql_placed(tl_relation *relation, const tl_at *at, const char *where, tl_buf *sql, tl_error *err) {
  return user_sql(relation, at, where, true, sql, err);
}
