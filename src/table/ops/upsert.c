/* upsert.c - merge: rows with equal keys replace the table's, the others are added.
 *
 * 1. The rows are laid ready in "tl#src"; two of one key are refused.
 * 2. Files that may hold such keys: of the partitions the rows lie in (all, when the keys do not decide the partition), and
 *    with bounds that meet the rows' spans of the keys.
 * 3. One join over those files says for each row of ours what it meets: "tl#match"(sid, file, changed, h), and by row
 *    "tl#hit"(sid, changed, rows). Rows that meet nothing but equal rows are taken out of "tl#src";
 *    columns the rows do not have take what they hold in the row that is met.
 * 4. Files holding a row that must change are written anew by partition: their rows without those of ours, and ours (regroup.c).
 * Nothing left to write: no commit. Cost: keys and columns of the candidates once, the rewritten files twice more. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "market/number.h"
#include "table/ops/ops.h"

enum { MATCHED_ROWS_MAX = 2000000 };

typedef struct key_span { /* the least and greatest of a key column in one part of the rows; without NULL among them */
  bool known;
  tl_datum min, max; /* text is heap */
} key_span;

typedef struct merging {
  tl_work *work;
  tl_link *link;
  size_t *keys, key_count;
  bool decided;       /* the keys decide the partition */
  tl_staged staged, touched; /* touched: as it was before unchanged rows were taken out; empty when it is staged */
  key_span *spans;    /* [part][key]; one part when not decided */
  size_t span_parts;
  size_t *sorted;     /* parts of our rows by their texts */
  tl_picks candidates, hit;   /* hit: files to be written anew */
  size_t *candidate_parts;    /* of each candidate */
  tl_content *removed;        /* by file of the snapshot: what of it is replaced */
} merging;

static void merging_deinit(merging *m) {
  for (size_t i = 0; i < m->span_parts * m->key_count; i++) {
    tl_free(m->spans[i].min.text);
    tl_free(m->spans[i].max.text);
  }
  tl_free(m->spans);
  tl_free(m->keys);
  tl_free(m->removed);
  tl_free(m->sorted);
  tl_free(m->candidate_parts);
  tl_picks_deinit(&m->candidates);
  tl_picks_deinit(&m->hit);
  tl_staged_deinit(&m->staged);
  tl_staged_deinit(&m->touched);
  static const char *const tables[] = {"tl#src", "tl#match", "tl#hit", "tl#rest"};
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    char sql[64];
    snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS \"%s\"", tables[i]);
    tl_link_run(m->link, sql, NULL);
  }
}

static const char *key_name(const merging *m, size_t k) { return m->work->fields.items[m->keys[k]].name; }

/* t."a" IS NOT DISTINCT FROM s."a" AND ... */
static void add_key_match(const merging *m, tl_sql *sql) {
  for (size_t k = 0; k < m->key_count; k++) {
    tl_sql_add(sql, k ? " AND t." : "t.");
    tl_sql_name(sql, key_name(m, k));
    tl_sql_add(sql, " IS NOT DISTINCT FROM s.");
    tl_sql_name(sql, key_name(m, k));
  }
}

static void add_key_list(const merging *m, tl_sql *sql) {
  for (size_t k = 0; k < m->key_count; k++) {
    tl_sql_add(sql, k ? ", " : "");
    tl_sql_name(sql, key_name(m, k));
  }
}

/* ---- 1. one row per key ---- */

static tl_status refuse_double(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  (void)count;
  *(bool *)to = true;
  return tl_fail(err, TL_EUSAGE, "the rows have two of one key that differ: %.*s", (int)(cells[0].len < 200 ? cells[0].len : 200), cells[0].text ? cells[0].text : "");
}

static tl_status name_double(merging *m, tl_error *err) {
  tl_sql sql = {.err = err};
  bool found = false;
  tl_sql_add(&sql, "SELECT CAST({");
  for (size_t k = 0; k < m->key_count; k++) {
    tl_sql_add(&sql, k ? ", " : "");
    tl_sql_value(&sql, key_name(m, k), strlen(key_name(m, k)));
    tl_sql_add(&sql, ": ");
    tl_sql_name(&sql, key_name(m, k));
  }
  tl_sql_add(&sql, "} AS VARCHAR) FROM \"tl#src\" GROUP BY ");
  add_key_list(m, &sql);
  tl_sql_add(&sql, " HAVING count(*) > 1 LIMIT 1");
  tl_status st = tl_sql_rows(&sql, m->link, refuse_double, &found);
  tl_sql_deinit(&sql);
  return st;
}

/* How many rows have the key of one before them. Where the keys decide the partition, equal ones lie side by side. */
static tl_status count_doubles(merging *m, int64_t *doubles, tl_error *err) {
  tl_sql sql = {.err = err};
  if (m->decided) {
    tl_sql_add(&sql, "SELECT count(*) FROM (SELECT row(");
    add_key_list(m, &sql);
    tl_sql_add(&sql, ") AS \"tl#k\", lag(\"tl#k\") OVER () AS \"tl#before\" FROM \"tl#src\") WHERE \"tl#k\" IS NOT DISTINCT FROM \"tl#before\"");
  } else {
    tl_sql_add(&sql, "SELECT (SELECT count(*) FROM \"tl#src\") - (SELECT count(*) FROM (SELECT DISTINCT ");
    add_key_list(m, &sql);
    tl_sql_add(&sql, " FROM \"tl#src\"))");
  }
  tl_status st = tl_sql_numbers(&sql, m->link, doubles, 1);
  tl_sql_deinit(&sql);
  return st;
}

/* By the keys within a partition: their order in the table comes when they are written. */
static tl_status stage_by_keys(merging *m, const char *select, tl_error *err) {
  tl_sql keys = {.err = err}, order = m->work->order;
  add_key_list(m, &keys);
  m->work->order = keys;
  tl_status st = keys.st ? keys.st : tl_stage(m->work, select, &m->staged, err);
  m->work->order = order;
  tl_sql_deinit(&keys);
  return st;
}

static tl_status stage_again(merging *m, const char *from, tl_error *err) {
  tl_sql sql = {.err = err};
  tl_sql_addf(&sql, "CREATE OR REPLACE TEMP TABLE \"tl#rest\" AS %s", from);
  tl_status st = tl_sql_run(&sql, m->link);
  tl_staged_deinit(&m->staged);
  if (!st) st = stage_by_keys(m, "SELECT * FROM \"tl#rest\"", err);
  tl_link_run(m->link, "DROP TABLE IF EXISTS \"tl#rest\"", NULL);
  tl_sql_deinit(&sql);
  return st;
}

static tl_status stage_rows(merging *m, const char *select, tl_error *err) {
  int64_t doubles = 0;
  tl_status st = stage_by_keys(m, select, err);
  if (!st) st = count_doubles(m, &doubles, err);
  if (st || !doubles) return st;
  st = stage_again(m, "SELECT DISTINCT * FROM \"tl#src\"", err);
  if (!st) st = count_doubles(m, &doubles, err);
  return st || !doubles ? st : name_double(m, err);
}

/* ---- 2. files that may hold the keys ---- */

static bool has_span(const tl_field *field) {
  return field->type != TL_FIELD_F32 && field->type != TL_FIELD_F64 && field->type != TL_FIELD_LIST && field->type != TL_FIELD_BINARY &&
         !(field->type == TL_FIELD_DECIMAL && field->precision > 18);
}

typedef struct span_reader {
  merging *m;
  size_t part;
} span_reader;

/* cells: how many NULLs, least, greatest, per key */
static tl_status take_spans(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  span_reader *r = to;
  merging *m = r->m;
  if (count != 3 * m->key_count || r->part == m->span_parts) return tl_fail(err, TL_EINTERNAL, "the spans of the keys come in the wrong shape");
  for (size_t k = 0; k < m->key_count; k++) {
    const tl_field *field = &m->work->fields.items[m->keys[k]];
    const tl_cell *c = cells + 3 * k;
    key_span *span = &m->spans[r->part * m->key_count + k];
    if (!c[0].text || c[0].len != 1 || c[0].text[0] != '0' || !c[1].text || !c[2].text) continue;
    if (!tl_ops_datum_parse(field, c[1].text, c[1].len, &span->min) || !tl_ops_datum_parse(field, c[2].text, c[2].len, &span->max)) continue;
    if (span->min.text) {
      span->min.text = tl_strndup(c[1].text, c[1].len);
      span->max.text = tl_strndup(c[2].text, c[2].len);
      if (!span->min.text || !span->max.text) return tl_fail(err, TL_ENOMEM, "cannot hold the spans of the keys");
    }
    span->known = true;
  }
  r->part++;
  return TL_OK;
}

static void add_span(merging *m, size_t k, tl_sql *sql) {
  const tl_field *field = &m->work->fields.items[m->keys[k]];
  tl_sql name = {.err = sql->err};
  static const char *const which[] = {"min", "max"};
  tl_sql_name(&name, field->name);
  if (name.st) sql->st = name.st;
  tl_sql_addf(sql, "%sCAST(count(*) - count(%s) AS VARCHAR)", k ? ", " : "", name.buf.data ? name.buf.data : "");
  for (int i = 0; i < 2 && !sql->st; i++) {
    char *expression = NULL;
    tl_buf text = {0};
    sql->st = tl_buf_appendf(&text, sql->err, "%s(%s)", which[i], name.buf.data);
    expression = text.data;
    tl_sql_add(sql, ", ");
    if (!sql->st && (!has_span(field) || !tl_ops_datum_sql(sql, field, expression))) tl_sql_add(sql, "CAST(NULL AS VARCHAR)");
    tl_buf_deinit(&text);
  }
  tl_sql_deinit(&name);
}

static tl_status read_spans(merging *m, tl_error *err) {
  tl_sql sql = {.err = err};
  span_reader reader = {m, 0};
  size_t parts = m->decided ? m->staged.count : 1;
  m->spans = tl_calloc(parts * m->key_count + 1, sizeof *m->spans);
  if (!m->spans) return tl_fail(err, TL_ENOMEM, "cannot hold the spans of the keys");
  m->span_parts = parts;
  tl_sql_add(&sql, "SELECT ");
  for (size_t k = 0; k < m->key_count; k++) add_span(m, k, &sql);
  tl_sql_add(&sql, " FROM \"tl#src\"");
  if (m->decided) tl_stage_texts(m->work, " GROUP BY ", &sql);
  if (m->decided && m->work->partition_count) tl_sql_add(&sql, " ORDER BY min(rowid)");
  tl_status st = tl_sql_rows(&sql, m->link, take_spans, &reader);
  tl_sql_deinit(&sql);
  return st;
}

static int compare_parts(const merging *m, size_t part, char *const *texts) {
  return tl_ops_compare_texts((const char *const *)m->staged.parts[part].texts, (const char *const *)texts, m->work->partition_count);
}

static int by_texts(const void *a, const void *b, void *merging_) {
  const merging *m = merging_;
  return compare_parts(m, *(const size_t *)a, m->staged.parts[*(const size_t *)b].texts);
}

static tl_status sort_parts(merging *m, tl_error *err) {
  m->sorted = tl_calloc(m->staged.count + 1, sizeof *m->sorted);
  if (!m->sorted) return tl_fail(err, TL_ENOMEM, "cannot order %zu partitions", m->staged.count);
  for (size_t i = 0; i < m->staged.count; i++) m->sorted[i] = i;
  qsort_r(m->sorted, m->staged.count, sizeof *m->sorted, by_texts, m);
  return TL_OK;
}

/* The part of our rows in the same partition; span_parts: none. */
static size_t part_of(const merging *m, char *const *texts) {
  size_t low = 0, high = m->staged.count;
  if (!m->decided) return 0;
  while (low < high) {
    size_t middle = (low + high) / 2;
    int order = compare_parts(m, m->sorted[middle], texts);
    if (order == 0) return m->sorted[middle];
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return m->span_parts;
}

static tl_status may_meet(const merging *m, size_t file, size_t part, bool *out, tl_error *err) {
  const tl_snapshot *snapshot = m->work->snapshot;
  tl_file_stats stats = {0};
  *out = part < m->span_parts;
  tl_status st = *out ? tl_snapshot_stats(snapshot, file, &stats, err) : TL_OK;
  for (size_t k = 0; !st && *out && k < m->key_count; k++) {
    const tl_field *field = &m->work->fields.items[m->keys[k]];
    const key_span *span = &m->spans[part * m->key_count + k];
    tl_column_bounds b;
    if (!span->known || m->keys[k] >= snapshot->fields.count || m->work->widened) continue;
    if (!tl_ops_bounds(snapshot, file, &stats, m->keys[k], &b) || (b.has_min && tl_ops_datum_compare(field, &span->max, &b.min) < 0) ||
        (b.has_max && tl_ops_datum_compare(field, &span->min, &b.max) > 0))
      *out = false;
  }
  tl_file_stats_deinit(&stats);
  return st;
}

static tl_status find_candidates(merging *m, tl_error *err) {
  tl_status st = read_spans(m, err);
  if (!st) st = sort_parts(m, err);
  if (!st) st = tl_picks_all(m->work->snapshot, &m->candidates, err);
  m->candidate_parts = tl_calloc(m->candidates.count + 1, sizeof *m->candidate_parts);
  if (!st && !m->candidate_parts) st = tl_fail(err, TL_ENOMEM, "cannot plan a merge of %zu files", m->candidates.count);
  size_t kept = 0;
  for (size_t i = 0; !st && i < m->candidates.count; i++) {
    bool may = false;
    size_t part = part_of(m, m->work->snapshot->files[i].partition);
    st = may_meet(m, i, part, &may, err);
    if (may) m->candidate_parts[kept] = part;
    if (may) m->candidates.items[kept++] = i;
  }
  m->candidates.count = st ? 0 : kept;
  return st;
}

/* ---- 3. what each row meets ---- */

/* A column the rows do not have keeps what it holds in the table. One that follows from others is filled anyway. */
static bool keeps(const merging *m, size_t field) {
  int part = tl_ops_partition_of(&m->work->snapshot->partitioning, field);
  return m->work->absent[field] && (part < 0 || m->work->snapshot->partitioning.items[part].source == (int)field);
}

static tl_status need_columns(const merging *m, tl_error *err) {
  const tl_partitioning *partitioning = &m->work->snapshot->partitioning;
  for (size_t k = 0; k < m->key_count; k++)
    if (keeps(m, m->keys[k])) return tl_fail(err, TL_EUSAGE, "the rows have no column '%s', which is a key of the merge", key_name(m, k));
  for (size_t p = 0; p < partitioning->count; p++)
    if (keeps(m, (size_t)partitioning->items[p].source))
      return tl_fail(err, TL_EUSAGE, "the rows have no column '%s', which decides where they lie", m->work->fields.items[partitioning->items[p].source].name);
  return TL_OK;
}

static void add_met(const merging *m, tl_sql *sql) {
  tl_sql_add(sql, "SELECT s.rowid AS sid, t.\"tl#file\" AS file, (false");
  for (size_t i = 0; i < m->work->fields.count; i++) {
    if (keeps(m, i)) continue;
    tl_sql_add(sql, " OR t.");
    tl_sql_name(sql, m->work->fields.items[i].name);
    tl_sql_add(sql, " IS DISTINCT FROM s.");
    tl_sql_name(sql, m->work->fields.items[i].name);
  }
  tl_sql_add(sql, ") AS changed, ");
  for (size_t i = 0; i < m->work->fields.count; i++) {
    if (!keeps(m, i)) continue;
    tl_sql_add(sql, "t.");
    tl_sql_name(sql, m->work->fields.items[i].name);
    tl_sql_addf(sql, " AS \"tl#k%zu\", ", i);
  }
  tl_content_hash(sql, &m->work->fields, "t");
  tl_sql_add(sql, " AS h FROM ");
}

/* Our rows in [first, end), those of the parts [from, to), and the files that may hold their keys. */
static tl_status match_some(merging *m, size_t from, size_t to, int64_t first, int64_t end, tl_error *err) {
  tl_sql sql = {.err = err};
  tl_picks files = {.items = tl_calloc(m->candidates.count + 1, sizeof *files.items)};
  if (!files.items) return tl_fail(err, TL_ENOMEM, "cannot plan a merge of %zu files", m->candidates.count);
  for (size_t i = 0; i < m->candidates.count; i++)
    if (m->candidate_parts[i] >= from && m->candidate_parts[i] < to) files.items[files.count++] = m->candidates.items[i];
  tl_sql_add(&sql, from ? "INSERT INTO \"tl#match\" " : "CREATE OR REPLACE TEMP TABLE \"tl#match\" AS ");
  add_met(m, &sql);
  tl_status st = tl_work_scan(m->work, &files, &sql);
  tl_sql_addf(&sql, " t JOIN (SELECT *, rowid FROM \"tl#src\" WHERE rowid >= %" PRId64 " AND rowid < %" PRId64 ") s ON ", first, end);
  add_key_match(m, &sql);
  if (!st && (files.count || !from)) st = tl_sql_run(&sql, m->link);
  tl_sql_deinit(&sql);
  tl_picks_deinit(&files);
  return st;
}

/* Where the keys decide the partition some partitions at a time, so that the join needs no more memory than they. */
static tl_status match_all(merging *m, tl_error *err) {
  const tl_staged_part *parts = m->staged.parts;
  if (!m->decided) return match_some(m, 0, 1, 0, m->staged.rows, err);
  tl_status st = TL_OK;
  for (size_t from = 0, to; !st && from < m->staged.count; from = to) {
    int64_t rows = parts[from].rows;
    for (to = from + 1; to < m->staged.count && rows + parts[to].rows <= MATCHED_ROWS_MAX; to++) rows += parts[to].rows;
    st = match_some(m, from, to, parts[from].first, parts[from].first + rows, err);
  }
  return st;
}

static tl_status make_match(merging *m, tl_error *err) {
  tl_sql sql = {.err = err};
  tl_status st = m->work->widened ? TL_OK : tl_work_hold(m->work, &m->candidates, err); /* widened: all files will be read */
  if (!st) st = match_all(m, err);
  if (!st) {
    tl_sql_add(&sql, "CREATE OR REPLACE TEMP TABLE \"tl#hit\" AS SELECT sid, bool_or(changed) AS changed, count(*) AS rows FROM \"tl#match\" GROUP BY sid");
    st = tl_sql_run(&sql, m->link);
  }
  tl_sql_deinit(&sql);
  return st;
}

/* cells: file and the four numbers of what is replaced of it */
static tl_status take_removed(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  merging *m = to;
  int64_t n[5];
  for (size_t i = 0; i < 5 && i < count; i++)
    if (tl_number_i64(cells[i].text, cells[i].len, &n[i]) != TL_NUMBER_OK) return tl_fail(err, TL_EINTERNAL, "what a file loses came as no number");
  if (n[0] < 0 || (size_t)n[0] >= m->work->snapshot->file_count) return tl_fail(err, TL_EINTERNAL, "a row met a file that is not there");
  m->removed[n[0]] = (tl_content){n[1], n[2], n[3], n[4]};
  m->hit.items[m->hit.count++] = (size_t)n[0];
  return TL_OK;
}

static tl_status read_removed(merging *m, tl_error *err) {
  tl_sql sql = {.err = err};
  tl_sql sums = {.err = err};
  int64_t equal = 0;
  tl_content_sums(&sums, "h");
  tl_status st = sums.st ? sums.st : tl_link_numbers(m->link, "SELECT count(*) FROM \"tl#hit\" WHERE NOT changed", &equal, 1, err);
  tl_sql_addf(&sql, "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM (SELECT file, %s FROM \"tl#match\"%s GROUP BY file) ORDER BY CAST(file AS INTEGER)",
              sums.buf.data ? sums.buf.data : "", equal ? " WHERE sid IN (SELECT sid FROM \"tl#hit\" WHERE changed)" : "");
  if (!st) st = tl_sql_rows(&sql, m->link, take_removed, m);
  tl_sql_deinit(&sums);
  tl_sql_deinit(&sql);
  return st;
}

/* Rows that meet nothing but equal ones are not to be written; columns they do not have come from what they meet. */
static tl_status settle_rows(merging *m, tl_error *err) {
  int64_t n[3] = {0};
  tl_sql sql = {.err = err};
  tl_changed *changed = m->work->changed;
  const char *comma = " REPLACE (";
  tl_status st = tl_link_numbers(m->link,
                                 "SELECT count(*), count(*) FILTER (WHERE changed), CAST(coalesce(sum(rows) FILTER (WHERE changed), 0) AS BIGINT) FROM \"tl#hit\"",
                                 n, 3, err);
  if (st) return st;
  changed->rows_inserted = m->staged.rows - n[0];
  changed->rows_updated = n[1];
  changed->rows_deleted = n[2] - n[1]; /* further rows of one key */
  tl_sql_add(&sql, "SELECT s.*");
  for (size_t i = 0; i < m->work->fields.count; i++) {
    if (!keeps(m, i)) continue;
    tl_sql_addf(&sql, "%sm.\"tl#k%zu\" AS ", comma, i);
    tl_sql_name(&sql, m->work->fields.items[i].name);
    comma = ", ";
  }
  bool fill = n[0] > 0 && comma[0] == ',';
  tl_sql_add(&sql, comma[0] == ',' ? ") FROM \"tl#src\" s LEFT JOIN (SELECT DISTINCT ON (sid) * FROM \"tl#match\" ORDER BY sid, file) m ON m.sid = s.rowid"
                                   : " FROM \"tl#src\" s");
  tl_sql_add(&sql, " WHERE s.rowid NOT IN (SELECT sid FROM \"tl#hit\" WHERE NOT changed)");
  st = sql.st;
  if (!st && (fill || n[0] != n[1])) {
    m->touched = m->staged;
    m->staged = (tl_staged){0};
    st = stage_again(m, sql.buf.data, err);
  }
  tl_sql_deinit(&sql);
  return st;
}

/* ---- 4. writing ---- */

/* The table's rows that none of ours replaces. Where the keys do not decide the partition, any of ours may. */
static void add_stay(const void *self, int64_t first, int64_t end, tl_sql *sql) {
  const merging *m = self;
  tl_sql_add(sql, " ANTI JOIN (FROM \"tl#src\"");
  if (m->decided) tl_sql_addf(sql, " WHERE rowid >= %" PRId64 " AND rowid < %" PRId64, first, end);
  tl_sql_add(sql, ") s ON ");
  add_key_match(m, sql);
}

static tl_status write_all(merging *m, tl_error *err) {
  tl_status st = TL_OK;
  if (m->work->widened) {
    tl_picks_deinit(&m->hit);
    st = tl_picks_all(m->work->snapshot, &m->hit, err);
  }
  return st ? st : tl_regroup_write(&(tl_regroup){.work = m->work, .staged = &m->staged, .files = &m->hit, .lost = m->removed, .stay = add_stay, .self = m}, err);
}

/* ---- the whole ---- */

typedef struct merge_request {
  const tl_write *write;
  const char *keys;
} merge_request;

static bool keys_decide(const merging *m) {
  const tl_partitioning *partitioning = &m->work->snapshot->partitioning;
  for (size_t p = 0; p < partitioning->count; p++) {
    bool found = false;
    for (size_t k = 0; k < m->key_count; k++)
      found |= (int)m->keys[k] == partitioning->items[p].source || (int)m->keys[k] == partitioning->items[p].column;
    if (!found) return false;
  }
  return true;
}

static tl_status plan(merging *m, const merge_request *request, tl_error *err) {
  tl_sql select = {.err = err};
  tl_status st = tl_stage_select(m->work, request->write, true, &select, err);
  if (!st) st = tl_ops_columns(request->keys, &m->work->fields, &m->keys, &m->key_count, err);
  if (!st && !m->key_count) st = tl_fail(err, TL_EUSAGE, "a merge needs the columns that are the key");
  if (!st) st = need_columns(m, err);
  m->decided = !st && keys_decide(m);
  m->removed = tl_calloc(m->work->snapshot->file_count + 1, sizeof *m->removed);
  m->hit.items = tl_calloc(m->work->snapshot->file_count + 1, sizeof *m->hit.items);
  if (!st && (!m->removed || !m->hit.items)) st = tl_fail(err, TL_ENOMEM, "cannot plan a merge");
  if (!st) st = stage_rows(m, select.buf.data, err);
  tl_sql_deinit(&select);
  if (st || !m->staged.rows) return st;
  st = find_candidates(m, err);
  if (!st) st = make_match(m, err);
  if (!st) st = read_removed(m, err);
  return st ? st : settle_rows(m, err);
}

static tl_status commit_merge(merging *m, const tl_write *write, tl_error *err) {
  tl_sql predicate = {.err = err};
  tl_status st = TL_OK;
  for (size_t k = 0; k < m->key_count; k++) tl_sql_addf(&predicate, "%starget.%s = source.%s", k ? " AND " : "", key_name(m, k), key_name(m, k));
  tl_pair parameters[] = {{(char *)(uintptr_t) "predicate", predicate.buf.data},
                          {(char *)(uintptr_t) "matchedPredicates", (char *)(uintptr_t) "[{\"actionType\":\"update\"}]"},
                          {(char *)(uintptr_t) "notMatchedPredicates", (char *)(uintptr_t) "[{\"actionType\":\"insert\"}]"}};
  const tl_staged *touched = m->touched.parts ? &m->touched : &m->staged;
  const char *const *const *read = tl_calloc(touched->count + 1, sizeof *read);
  const char *const **fill = (const char *const **)(uintptr_t)read;
  if (!read) st = tl_fail(err, TL_ENOMEM, "cannot commit a merge");
  for (size_t i = 0; read && i < touched->count; i++) fill[i] = (const char *const *)touched->parts[i].texts;
  bool partitions = m->decided && m->work->partition_count && !m->work->widened;
  tl_commit commit = {.operation = "MERGE", .parameters = parameters, .parameter_count = 3, .reads = partitions ? TL_READS_PARTITIONS : TL_READS_ALL,
                      .read_partitions = read, .read_partition_count = partitions ? touched->count : 0,
                      .txn_app = write->txn_app, .txn_version = write->txn_version};
  if (!st) st = predicate.st ? predicate.st : tl_work_commit(m->work, &commit, err);
  tl_free(fill);
  tl_sql_deinit(&predicate);
  return st;
}

static tl_status merge(tl_relation *relation, const void *argument, tl_changed *changed, tl_error *err) {
  const merge_request *request = argument;
  tl_work work = {0};
  merging m = {.work = &work, .link = relation->link};
  if (tl_ops_txn_done(relation, request->write, changed)) return TL_OK;
  tl_status st = tl_work_begin(&work, relation, request->write->order_by, changed, err);
  if (!st) st = plan(&m, request, err);
  if (!st) st = write_all(&m, err);
  if (!st) st = commit_merge(&m, request->write, err);
  merging_deinit(&m);
  tl_work_deinit(&work);
  return st;
}

tl_status tl_relation_merge(tl_relation *relation, const tl_write *write, const char *keys, tl_changed *out, tl_error *err) {
  if (!keys || !keys[0]) return tl_fail(err, TL_EUSAGE, "a merge needs the columns that are the key");
  return tl_ops_attempts(relation, merge, &(merge_request){write, keys}, out, err);
}
