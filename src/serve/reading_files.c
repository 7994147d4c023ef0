/* reading_files.c - rows of a kind, from the files that may hold them.
 * Files come in order of symbol and time and each is sorted, so rows stream in order without a sort; only files of
 * other hands (several a month, other names) are sorted here. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/suggest.h"
#include "serve/copies.h"
#include "serve/reading_tables.h"
#include "serve/source.h"

enum { LIST_ALL_ABOVE = 100 }; /* symbols: from here one walk over all is cheaper than one per symbol */

/* ---- columns ---- */

tl_status tl_read_check_columns(const tl_read *read, const char *const *known, size_t known_count, tl_error *err) {
  for (size_t i = 0; i < read->column_count; i++) {
    bool found = false;
    for (size_t k = 0; k < known_count && !found; k++) found = !strcmp(known[k], read->columns[i]);
    if (found) continue;
    const char *near = tl_suggest(read->columns[i], known, known_count);
    if (near) return tl_fail(err, TL_EUSAGE, "%s has no column '%s'; did you mean '%s'?", read->dataset.name, read->columns[i], near);
    tl_buf list = {0};
    tl_status st = TL_OK;
    for (size_t k = 0; !st && k < known_count; k++) st = tl_buf_appendf(&list, err, "%s%s", k ? ", " : "", known[k]);
    if (!st) st = tl_fail(err, TL_EUSAGE, "%s has no column '%s'; it has %s", read->dataset.name, read->columns[i], list.data);
    tl_buf_deinit(&list);
    return st;
  }
  return TL_OK;
}

/* ---- files ---- */

/* Drops the files of symbols nobody asked for. */
static void keep_asked(tl_table_files *files, const tl_symbols *asked) {
  size_t kept = 0;
  for (size_t i = 0; i < files->count; i++) {
    if (tl_symbols_find(asked, files->items[i].symbol, strlen(files->items[i].symbol), NULL)) files->items[kept++] = files->items[i];
    else tl_table_file_deinit(&files->items[i]);
  }
  files->count = kept;
}

static size_t count_symbols(const tl_table_files *files) {
  size_t count = 0;
  for (size_t i = 0; i < files->count; i++) count += i == 0 || strcmp(files->items[i].symbol, files->items[i - 1].symbol) != 0;
  return count;
}

static int compare_symbol(const void *symbol, const void *file) {
  return strcmp(symbol, ((const tl_table_file *)file)->symbol);
}

static tl_status find_files(const tl_read *read, tl_table_files *files, tl_read_info *info, tl_error *err) {
  tl_symbols asked = {0};
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < read->symbol_count; i++) st = tl_symbols_add(&asked, read->symbols[i], strlen(read->symbols[i]), err);
  if (!st && (!asked.count || asked.count > LIST_ALL_ABOVE)) {
    st = tl_table_list(read->lake, read->layout, &read->dataset, NULL, &read->range, files, err);
    if (!st && asked.count) keep_asked(files, &asked);
  } else {
    for (size_t i = 0; !st && i < asked.count; i++) /* the list stays sorted as a whole */
      st = tl_table_list(read->lake, read->layout, &read->dataset, asked.items[i], &read->range, files, err);
  }
  *info = (tl_read_info){.files = files->count, .symbols = count_symbols(files)};
  for (size_t i = 0; !st && info->symbols < asked.count && i < asked.count; i++) { /* there, but not in the range? */
    bool there = false;
    if (files->count && bsearch(asked.items[i], files->items, files->count, sizeof *files->items, compare_symbol)) continue;
    st = tl_table_has(read->lake, read->layout, &read->dataset, asked.items[i], &there, err);
    info->symbols += there;
  }
  tl_symbols_deinit(&asked);
  return st;
}

static bool all_canonical(const tl_table_files *files) {
  for (size_t i = 0; i < files->count; i++)
    if (!files->items[i].canonical) return false;
  return true;
}

/* ---- the query ---- */

/* Files hold microseconds, floored; the instant itself is in timestamp_ns where the kind has it. */
tl_status tl_read_append_range(const tl_read *read, bool has_ns, tl_buf *sql, tl_error *err) {
  const char *glue = " WHERE ";
  tl_status st = TL_OK;
  int64_t start_us = tl_time_us(read->range.start_ns), end_us = tl_time_us(read->range.end_ns);
  bool start_cut = read->range.start_ns % TL_NS_PER_US != 0, end_cut = read->range.end_ns % TL_NS_PER_US != 0;
  if (read->range.start_ns > INT64_MIN) {
    st = tl_buf_appendf(sql, err, "%stimestamp >= make_timestamptz(%" PRId64 ")", glue, start_us + (start_cut && !has_ns));
    glue = " AND ";
    if (!st && start_cut && has_ns) st = tl_buf_appendf(sql, err, " AND timestamp_ns >= %" PRId64, read->range.start_ns);
  }
  if (!st && read->range.end_ns < INT64_MAX) {
    st = tl_buf_appendf(sql, err, "%stimestamp < make_timestamptz(%" PRId64 ")", glue, end_us + end_cut);
    glue = " AND ";
    if (!st && end_cut && has_ns) st = tl_buf_appendf(sql, err, " AND timestamp_ns < %" PRId64, read->range.end_ns);
  }
  if (st || read->session == TL_SESSION_ALL) return st;
  char bar[TL_INTERVAL_TEXT_MAX] = "1s"; /* trades and quotes pass by their instant */
  if (read->dataset.interval.count) tl_interval_short(read->dataset.interval, bar);
  return tl_buf_appendf(sql, err, "%sin_session(timestamp, '%s', '%s')", glue,
                        read->session == TL_SESSION_REGULAR ? "regular" : "extended", bar);
}

tl_status tl_read_append_columns(const tl_read *read, const char *const *known, size_t known_count, tl_buf *sql, tl_error *err) {
  const char *const *columns = read->column_count ? read->columns : known;
  size_t count = read->column_count ? read->column_count : known_count;
  tl_status st = tl_buf_appends(sql, "SELECT ", err);
  for (size_t c = 0; !st && c < count; c++) st = tl_buf_appendf(sql, err, "%s\"%s\"", c ? ", " : "", columns[c]);
  return st;
}

tl_status tl_read_build(tl_engine *engine, const tl_read *read, const char *folder, const tl_table_files *files, bool sorted, tl_buf *sql,
                        tl_error *err) {
  const tl_kind_def *def = tl_kind_def_of(read->dataset.kind);
  const char *known[TL_SOURCE_COLUMNS_MAX];
  size_t known_count = tl_source_columns(def, known);
  tl_buf literals = {0};
  char *first = NULL;
  tl_status st = tl_read_check_columns(read, known, known_count, err);
  if (!st && files->count) st = tl_source_literals(folder, files->items, files->count, &literals, err);
  if (!st && files->count && !(first = tl_io_join(folder, files->items[0].path)))
    st = tl_fail(err, TL_ENOMEM, "cannot read from '%s'", folder);
  tl_source source = {.layout = read->layout, .dataset = &read->dataset, .files = literals.data, .first = first, .uniform = sorted};
  if (count_symbols(files) == 1) source.symbol = files->items[0].symbol;
  if (!st) st = tl_read_append_columns(read, known, known_count, sql, err);
  if (!st) st = tl_buf_appends(sql, " FROM (", err);
  if (!st) st = tl_source_select(engine, &source, known, known_count, sql, err);
  if (!st) st = tl_buf_appends(sql, ")", err);
  if (!st) st = tl_read_append_range(read, def->has_ns, sql, err);
  if (!st && !sorted) st = tl_buf_appendf(sql, err, " ORDER BY symbol, timestamp%s", def->has_ns ? ", timestamp_ns" : "");
  if (!st && read->limit > 0) st = tl_buf_appendf(sql, err, " LIMIT %" PRId64, read->limit);
  tl_free(first);
  tl_buf_deinit(&literals);
  return st;
}

tl_status tl_read_open(tl_engine *engine, const tl_read *read, struct ArrowArrayStream *out, tl_read_info *info, tl_error *err) {
  tl_table_files files = {0};
  tl_buf sql = {0};
  tl_read_info found = {0};
  const char *folder = tl_store_local(read->lake);
  if (tl_layout_is_table(read->layout)) return tl_read_table(engine, read, out, info, err);
  tl_status st = find_files(read, &files, &found, err);
  bool sorted = all_canonical(&files);
  if (!st && !folder) st = tl_read_parts(read, &files, sorted, out, err);
  if (!st && folder) st = tl_read_build(engine, read, folder, &files, sorted, &sql, err);
  if (!st && folder) st = tl_engine_query(engine, sql.data, NULL, 0, out, err);
  if (!st && info) *info = found;
  tl_buf_deinit(&sql);
  tl_table_files_deinit(&files);
  return st;
}

/* ---- first, last, how many ---- */

static tl_status extreme(tl_engine *engine, const char *folder, tl_layout layout, const tl_dataset *dataset, const tl_table_file *files,
                         size_t count, const char *function, int64_t *out_ns, tl_error *err) {
  bool has_ns = tl_kind_def_of(dataset->kind)->has_ns;
  const char *column = has_ns ? TL_NS_COLUMN : "timestamp";
  tl_buf sql = {0}, literals = {0};
  char *first = tl_io_join(folder, files[0].path);
  tl_status st = first ? tl_source_literals(folder, files, count, &literals, err) : tl_fail(err, TL_ENOMEM, "cannot read '%s'", folder);
  tl_source source = {.layout = layout, .dataset = dataset, .files = literals.data, .first = first, .symbol = files[0].symbol};
  if (!st) st = tl_buf_appendf(&sql, err, "SELECT %s(%s) FROM (", function, column);
  if (!st) st = tl_source_select(engine, &source, &column, 1, &sql, err);
  if (!st) st = tl_buf_appends(&sql, ")", err);
  if (!st) st = tl_engine_numbers(engine, sql.data, NULL, 0, out_ns, 1, err);
  if (!st && !has_ns && *out_ns != INT64_MIN) *out_ns *= TL_NS_PER_US;
  tl_free(first);
  tl_buf_deinit(&literals);
  tl_buf_deinit(&sql);
  return st;
}

static tl_status count_rows(tl_engine *engine, const char *folder, const tl_table_files *files, int64_t *rows, tl_error *err) {
  tl_buf sql = {0};
  tl_status st = tl_buf_appends(&sql, "SELECT coalesce(sum(num_rows), 0) FROM parquet_file_metadata(", err);
  if (!st) st = tl_source_literals(folder, files->items, files->count, &sql, err);
  if (!st) st = tl_buf_appends(&sql, ")", err);
  if (!st) st = tl_engine_numbers(engine, sql.data, NULL, 0, rows, 1, err);
  tl_buf_deinit(&sql);
  return st;
}

tl_status tl_read_symbols(tl_engine *engine, tl_store *lake, tl_layout layout, tl_sources *sources,
                          const tl_dataset *dataset, tl_symbols *out, tl_error *err) {
  if (tl_layout_is_table(layout)) return tl_read_table_symbols(engine, sources, lake, dataset, out, err);
  return tl_table_symbols(lake, layout, dataset, out, err);
}

tl_status tl_read_extent_of(tl_engine *engine, tl_store *lake, tl_layout layout, tl_sources *sources,
                            const tl_dataset *dataset, const char *symbol, tl_read_extent *out, tl_error *err) {
  if (tl_layout_is_table(layout)) return tl_read_table_extent(engine, sources, lake, dataset, symbol, out, err);
  tl_table_files files = {0};
  tl_copies *copies = NULL;
  size_t head = 0, tail = 0; /* files of the first and of the last period */
  *out = (tl_read_extent){INT64_MIN, INT64_MIN, 0};
  tl_status st = tl_table_list(lake, layout, dataset, symbol, NULL, &files, err);
  if (!st) st = tl_copies_open(lake, &copies, err);
  if (!st) st = tl_copies_bring(copies, files.items, files.count, err);
  const char *folder = st ? NULL : tl_copies_folder(copies);
  if (!st && files.count) st = count_rows(engine, folder, &files, &out->rows, err);
  if (!st && out->rows) {
    while (head < files.count && files.items[head].period.start_ns == files.items[0].period.start_ns) head++;
    while (tail < files.count && files.items[files.count - 1 - tail].period.start_ns == files.items[files.count - 1].period.start_ns) tail++;
    st = extreme(engine, folder, layout, dataset, files.items, head, "min", &out->first_ns, err);
    if (!st) st = extreme(engine, folder, layout, dataset, files.items + files.count - tail, tail, "max", &out->last_ns, err);
    /* A file of another hand may hold no row: then all of them are asked. */
    if (!st && out->first_ns == INT64_MIN) st = extreme(engine, folder, layout, dataset, files.items, files.count, "min", &out->first_ns, err);
    if (!st && out->last_ns == INT64_MIN) st = extreme(engine, folder, layout, dataset, files.items, files.count, "max", &out->last_ns, err);
  }
  if (!st && !out->rows) st = tl_fail(err, TL_ENOTFOUND, "the lake holds no rows of '%s' in %s", symbol, dataset->name);
  tl_copies_close(copies);
  tl_table_files_deinit(&files);
  return st;
}
