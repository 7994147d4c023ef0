/* regroup.c - partitions written anew: of each the rows that stay and the rows that come, in the table's order.
 *
 * A statement costs as much as some thousand rows, and a table of bars has a partition for every symbol. So small partitions
 * are laid ready many at a time in "tl#rest", by partition and order, and cut by row numbers; one that fills a file by itself
 * goes straight into it. What was written is read back and must be, partition by partition, the old content less what was
 * lost plus what came. Rows of equal sort keys: those that stay, as they lay; then those that come, as they were staged. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "market/number.h"
#include "table/ops/ops.h"

enum { HELD_PARTS_MAX = 1000 };

typedef struct part {
  const char *const *texts;
  tl_picks files;           /* indexes are borrowed from regrouping.sorted */
  int64_t first, come;      /* rows of "tl#src" */
  tl_content wanted;
  size_t adds_from, adds_end;
  int64_t held_first, held; /* rows of "tl#rest" */
} part;

typedef struct regrouping {
  const tl_regroup *asked;
  tl_work *work;
  part *parts;
  size_t count, *sorted, sorted_count;
  tl_content *old, *come;   /* by file of the snapshot, by staged part */
  size_t come_count;
} regrouping;

/* ---- which partitions ---- */

static const char *const *texts_of(const tl_staged_part *staged) { return (const char *const *)staged->texts; }

static tl_status take_group(void *to, const tl_picks *files, const char *const *texts, tl_error *err) {
  (void)err;
  regrouping *r = to;
  part *p = &r->parts[r->count++];
  *p = (part){.texts = texts, .files = {r->sorted + r->sorted_count, files->count}};
  memcpy(p->files.items, files->items, files->count * sizeof *files->items);
  r->sorted_count += files->count;
  for (size_t i = 0; i < files->count; i++) p->wanted = tl_content_add(p->wanted, tl_content_less(r->old[files->items[i]], r->asked->lost[files->items[i]]));
  r->work->changed->rows_copied += p->wanted.rows;
  return TL_OK;
}

/* The one with these texts among the first `groups`, which tl_ops_groups put in order; or a new one. */
static part *part_of(regrouping *r, const char *const *texts, size_t groups) {
  size_t low = 0, high = groups;
  while (low < high) {
    size_t middle = (low + high) / 2;
    int order = tl_ops_compare_texts(r->parts[middle].texts, texts, r->work->partition_count);
    if (order == 0) return &r->parts[middle];
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  part *p = &r->parts[r->count++];
  *p = (part){.texts = texts};
  return p;
}

static tl_status list_parts(regrouping *r, tl_error *err) {
  const tl_staged *staged = r->asked->staged;
  size_t most = r->asked->files->count + staged->count + 1;
  r->parts = tl_calloc(most, sizeof *r->parts);
  r->sorted = tl_calloc(most, sizeof *r->sorted);
  tl_status st = r->parts && r->sorted ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot plan %zu partitions", most);
  if (!st) st = tl_ops_groups(r->work->snapshot, r->asked->files, take_group, r, err);
  size_t groups = st ? 0 : r->count;
  for (size_t i = 0; !st && i < staged->count; i++) {
    part *p = part_of(r, texts_of(&staged->parts[i]), groups);
    p->first = staged->parts[i].first;
    p->come = staged->parts[i].rows;
    p->wanted = tl_content_add(p->wanted, r->come[i]);
  }
  return st;
}

/* ---- what they must hold ---- */

static void add_texts(const regrouping *r, size_t number, const char *const *texts, tl_sql *sql) {
  tl_sql_addf(sql, "(%zu", number);
  for (size_t p = 0; p < r->work->partition_count; p++) {
    tl_sql_add(sql, ", ");
    tl_sql_value(sql, texts[p], texts[p] ? strlen(texts[p]) : 0);
    tl_sql_add(sql, "::VARCHAR");
  }
  tl_sql_add(sql, ")");
}

/* v("tl#g", k0, k1, ...) joined to "tl#src" s */
static void add_texts_join(const regrouping *r, tl_sql *sql) {
  tl_sql_add(sql, ") v(\"tl#g\"");
  for (size_t p = 0; p < r->work->partition_count; p++) tl_sql_addf(sql, ", k%zu", p);
  tl_sql_add(sql, ") ON true");
  for (size_t p = 0; p < r->work->partition_count; p++) {
    tl_sql_addf(sql, " AND v.k%zu IS NOT DISTINCT FROM s.", p);
    tl_stage_text(r->work, p, sql);
  }
}

/* cells: the four numbers of each staged part, in their order */
static tl_status take_come(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  regrouping *r = to;
  int64_t n[4] = {0};
  for (size_t i = 0; i < 4 && i < count; i++)
    if (tl_number_i64(cells[i].text, cells[i].len, &n[i]) != TL_NUMBER_OK) return tl_fail(err, TL_EINTERNAL, "what the rows hold came as no number");
  if (r->come_count == r->asked->staged->count) return tl_fail(err, TL_EINTERNAL, "the rows have more partitions than were laid ready");
  r->come[r->come_count++] = (tl_content){n[0], n[1], n[2], n[3]};
  return TL_OK;
}

static tl_status read_come(regrouping *r, tl_error *err) {
  tl_sql sql = {.err = err};
  r->come = tl_calloc(r->asked->staged->count + 1, sizeof *r->come);
  if (!r->come) return tl_fail(err, TL_ENOMEM, "cannot plan %zu partitions", r->asked->staged->count);
  if (!r->asked->staged->count) return TL_OK;
  tl_sql_add(&sql, "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM (SELECT ");
  tl_content_sums(&sql, "\"tl#h\"");
  tl_sql_add(&sql, " FROM (SELECT s.rowid AS \"tl#r\", s.*, ");
  tl_content_hash(&sql, &r->work->fields, "s");
  tl_sql_add(&sql, " AS \"tl#h\" FROM \"tl#src\" s)");
  tl_stage_texts(r->work, " GROUP BY ", &sql);
  tl_sql_add(&sql, " ORDER BY min(\"tl#r\"))");
  tl_status st = tl_sql_rows(&sql, r->work->relation->link, take_come, r);
  if (!st && r->come_count != r->asked->staged->count) st = tl_fail(err, TL_EINTERNAL, "the rows have fewer partitions than were laid ready");
  tl_sql_deinit(&sql);
  return st;
}

static tl_status read_old(regrouping *r, tl_error *err) {
  const tl_picks *files = r->asked->files;
  size_t count = r->work->snapshot->file_count;
  tl_sql sql = {.err = err};
  r->old = tl_calloc(count + 1, sizeof *r->old);
  tl_status st = r->old ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot plan %zu files", count);
  for (size_t from = 0; !st && from < files->count; from += HELD_PARTS_MAX) {
    tl_picks some = {files->items + from, files->count - from < HELD_PARTS_MAX ? files->count - from : HELD_PARTS_MAX};
    tl_buf_clear(&sql.buf);
    tl_sql_add(&sql, "SELECT * FROM ");
    st = tl_work_scan(r->work, &some, &sql);
    if (!st) st = sql.st ? sql.st : tl_content_by(r->work, sql.buf.data, "\"tl#file\"", r->old, count, err);
  }
  tl_sql_deinit(&sql);
  return st;
}

/* ---- writing some of them ---- */

static void add_columns(const regrouping *r, const char *alias, tl_sql *sql) {
  for (size_t i = 0; i < r->work->fields.count; i++) {
    tl_sql_addf(sql, "%s%s.", i ? ", " : "", alias);
    tl_sql_name(sql, r->work->fields.items[i].name);
  }
}

static void add_rowids(const part *parts, size_t count, int64_t *first, int64_t *end) {
  *first = INT64_MAX;
  *end = 0;
  for (size_t i = 0; i < count; i++) {
    if (!parts[i].come) continue;
    if (parts[i].first < *first) *first = parts[i].first;
    if (parts[i].first + parts[i].come > *end) *end = parts[i].first + parts[i].come;
  }
  if (!*end) *first = 0;
}

/* Rows of the parts with "tl#g", which of them, and their place. */
static tl_status add_rows(const regrouping *r, const part *parts, size_t count, tl_sql *sql) {
  tl_picks files = {.items = tl_calloc(r->sorted_count + 1, sizeof *files.items)};
  int64_t first, end;
  if (!files.items) return sql->st = tl_fail(sql->err, TL_ENOMEM, "cannot plan partitions");
  add_rowids(parts, count, &first, &end);
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < parts[i].files.count; k++) files.items[files.count++] = parts[i].files.items[k];
  if (files.count) {
    tl_sql_add(sql, "SELECT ");
    add_columns(r, "t", sql);
    tl_sql_add(sql, ", g.g AS \"tl#g\", t.\"tl#file\", t.\"tl#row\" FROM ");
    tl_work_scan(r->work, &files, sql);
    tl_sql_add(sql, " t JOIN (VALUES ");
    for (size_t i = 0, n = 0; i < count; i++)
      for (size_t k = 0; k < parts[i].files.count; k++, n++) tl_sql_addf(sql, "%s(%zu, %zu)", n ? ", " : "", parts[i].files.items[k], i);
    tl_sql_add(sql, ") g(f, g) ON g.f = t.\"tl#file\"");
    r->asked->stay(r->asked->self, first, end, sql);
  }
  if (end) {
    tl_sql_add(sql, files.count ? " UNION ALL SELECT " : "SELECT ");
    add_columns(r, "s", sql);
    tl_sql_add(sql, ", v.\"tl#g\", 2147483647 AS \"tl#file\", s.rowid AS \"tl#row\" FROM \"tl#src\" s JOIN (VALUES ");
    for (size_t i = 0, n = 0; i < count; i++) {
      if (!parts[i].come) continue;
      tl_sql_add(sql, n++ ? ", " : "");
      add_texts(r, i, parts[i].texts, sql);
    }
    add_texts_join(r, sql);
    tl_sql_addf(sql, " WHERE s.rowid >= %" PRId64 " AND s.rowid < %" PRId64, first, end);
  }
  tl_picks_deinit(&files);
  return sql->st;
}

static const char place[] = "\"tl#file\", \"tl#row\"";

static tl_status write_straight(const regrouping *r, part *p, tl_error *err) {
  tl_sql sql = {.err = err};
  tl_status st = add_rows(r, p, 1, &sql);
  p->adds_from = r->work->add_count;
  r->work->tie = place;
  if (!st) st = tl_work_write(r->work, p->texts, sql.buf.data, p->wanted.rows, err);
  r->work->tie = NULL;
  p->adds_end = r->work->add_count;
  tl_sql_deinit(&sql);
  return st;
}

static tl_status take_held(void *to, const tl_cell *cells, size_t count, tl_error *err) {
  part *parts = to;
  int64_t n[3] = {0};
  for (size_t i = 0; i < 3 && i < count; i++)
    if (tl_number_i64(cells[i].text, cells[i].len, &n[i]) != TL_NUMBER_OK) return tl_fail(err, TL_EINTERNAL, "where a partition's rows lie is no number");
  parts[n[0]].held_first = n[1];
  parts[n[0]].held = n[2];
  return TL_OK;
}

static tl_status hold(const regrouping *r, part *parts, size_t count, tl_error *err) {
  tl_sql sql = {.err = err};
  tl_sql_add(&sql, "CREATE OR REPLACE TEMP TABLE \"tl#rest\" AS SELECT \"tl#g\", ");
  tl_work_columns(r->work, &sql);
  tl_sql_add(&sql, " FROM (");
  add_rows(r, parts, count, &sql);
  tl_sql_addf(&sql, ") ORDER BY \"tl#g\", %s%s%s", r->work->order.buf.len ? r->work->order.buf.data : "", r->work->order.buf.len ? ", " : "", place);
  tl_status st = tl_ops_refusal(tl_sql_run(&sql, r->work->relation->link), err);
  if (!st) {
    tl_sql_add(&sql, "SELECT CAST(\"tl#g\" AS VARCHAR), CAST(min(rowid) AS VARCHAR), CAST(count(*) AS VARCHAR) FROM \"tl#rest\" GROUP BY \"tl#g\"");
    st = tl_sql_rows(&sql, r->work->relation->link, take_held, parts);
  }
  tl_sql_deinit(&sql);
  return st;
}

static tl_status write_held(const regrouping *r, part *parts, size_t count, tl_error *err) {
  tl_sql sql = {.err = err};
  tl_status st = hold(r, parts, count, err);
  tl_sql order = r->work->order;
  r->work->order = (tl_sql){.err = err}; /* they lie in order */
  for (size_t i = 0; !st && i < count; i++) {
    part *p = &parts[i];
    if (p->held != p->wanted.rows)
      st = tl_fail(err, TL_ECORRUPT, "a partition came to %" PRId64 " rows instead of %" PRId64 ": nothing is committed", p->held, p->wanted.rows);
    tl_buf_clear(&sql.buf);
    tl_sql_addf(&sql, "SELECT * FROM \"tl#rest\" WHERE rowid >= %" PRId64 " AND rowid < %" PRId64, p->held_first, p->held_first + p->held);
    p->adds_from = r->work->add_count;
    if (!st) st = sql.st ? sql.st : tl_work_write(r->work, p->texts, sql.buf.data, p->wanted.rows, err);
    p->adds_end = r->work->add_count;
  }
  tl_sql_deinit(&r->work->order);
  r->work->order = order;
  tl_sql_deinit(&sql);
  tl_link_run(r->work->relation->link, "DROP TABLE IF EXISTS \"tl#rest\"", NULL);
  return st;
}

static tl_status check(const regrouping *r, const part *parts, size_t count, size_t from, tl_error *err) {
  tl_content *found = tl_calloc(r->work->add_count - from + 1, sizeof *found);
  tl_status st = found ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot check new files");
  if (!st && r->work->add_count > from) st = tl_content_of_adds(r->work, from, found, err);
  for (size_t i = 0; !st && i < count; i++)
    st = tl_content_judge(r->work, parts[i].adds_from, parts[i].adds_end, found + (parts[i].adds_from - from), parts[i].wanted, err);
  tl_free(found);
  return st;
}

static tl_status write_some(const regrouping *r, part *parts, size_t count, tl_error *err) {
  size_t from = r->work->add_count;
  tl_status st = count == 1 ? write_straight(r, parts, err) : write_held(r, parts, count, err);
  return st ? st : check(r, parts, count, from, err);
}

static tl_status write_all(regrouping *r, tl_error *err) {
  double full = 1.5 * (double)r->work->file_bytes;
  tl_status st = TL_OK;
  for (size_t from = 0, end; !st && from < r->count; from = end) {
    int64_t rows = r->parts[from].wanted.rows;
    for (end = from + 1; end < r->count && end - from < HELD_PARTS_MAX; end++) {
      bool large = (double)r->parts[end - 1].wanted.rows * r->work->row_bytes >= full || (double)r->parts[end].wanted.rows * r->work->row_bytes >= full;
      rows += r->parts[end].wanted.rows;
      if (large || rows > TL_HELD_ROWS_MAX) break;
    }
    st = write_some(r, r->parts + from, end - from, err);
  }
  for (size_t i = 0; !st && i < r->asked->files->count; i++) st = tl_work_remove(r->work, r->asked->files->items[i], err);
  return st;
}

tl_status tl_regroup_write(const tl_regroup *regroup, tl_error *err) {
  regrouping r = {.asked = regroup, .work = regroup->work};
  tl_status st = read_old(&r, err);
  if (!st) st = read_come(&r, err);
  if (!st) st = list_parts(&r, err);
  if (!st) st = write_all(&r, err);
  tl_free(r.parts);
  tl_free(r.sorted);
  tl_free(r.old);
  tl_free(r.come);
  return st;
}
