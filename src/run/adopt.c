/* adopt.c - a hive or flat lake made by others becomes ours, in place and without duplicates.
 *
 * File by file (symbol and month): all files of the month are read, joined by key (of equal keys the last file's row
 * wins; trades and quotes keep equal instants, but not the same row twice from two files), committed under our name and
 * form, and only then are the others removed. Every New York day that has rows is recorded as present; days without
 * rows stay unknown, so an import asks for them. Running it again after a crash goes on where it stopped. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "commit/commit.h"
#include "engine/engine.h"
#include "market/calendar.h"
#include "run/job.h"

typedef struct adopter {
  tl_run_lake *lake;
  tl_ledger *ledger;
  tl_engine *engine;
  tl_words *words;
  tl_commit *commit; /* of the dataset at hand */
  tl_layout layout;
  tl_dataset dataset;
  tl_audit_fn each;
  void *user;
} adopter;

typedef struct piece_list {
  tl_piece *items;
  size_t count, capacity;
} piece_list;

static void pieces_deinit(piece_list *list) {
  for (size_t i = 0; i < list->count; i++) tl_piece_deinit(&list->items[i]);
  tl_free(list->items);
}

static tl_status collect(void *to, const tl_batch *rows, tl_error *err) { return tl_batch_append(to, rows, 0, rows->rows, err); }

static bool by_time(tl_kind kind) { return kind == TL_BARS || kind == TL_QUOTES_1S; }

/* rows are sorted, equal times in file order. Of bars the last of a time stays; of ticks equal rows from two files. */
static tl_status drop_duplicates(tl_batch *rows, bool several_files, tl_error *err) {
  bool keyed = by_time(rows->def->kind);
  if (!keyed && !several_files) return TL_OK;
  const int64_t *times = tl_batch_times(rows);
  tl_batch kept;
  tl_batch_init(&kept, rows->def->kind);
  tl_status st = TL_OK;
  for (size_t row = 0; !st && row < rows->rows; row++) {
    bool again = false;
    for (size_t later = row + 1; !again && later < rows->rows && times[later] == times[row]; later++)
      again = keyed || tl_batch_rows_equal(rows, row, rows, later);
    if (!again) st = tl_batch_append(&kept, rows, row, row + 1, err);
  }
  if (!st && kept.rows < rows->rows) tl_batch_move(&kept, rows);
  tl_batch_deinit(&kept);
  return st;
}

static tl_status add_piece(piece_list *list, const char *symbol, tl_range range, const tl_batch *rows, size_t begin, size_t end,
                           tl_error *err) {
  if (list->count == list->capacity) {
    size_t more = list->capacity ? list->capacity * 2 : 32;
    tl_piece *grown = tl_realloc_array(list->items, more, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot adopt '%s'", symbol);
    list->items = grown;
    list->capacity = more;
  }
  tl_piece *piece = &list->items[list->count];
  *piece = (tl_piece){.range = range, .state = TL_COVER_PRESENT, .asked_ns = tl_clock_now_ns(),
                      .symbol = tl_strdup(symbol), .answer = tl_strdup("adopted")};
  tl_batch_init(&piece->rows, rows->def->kind);
  list->count++;
  if (!piece->symbol || !piece->answer) return tl_fail(err, TL_ENOMEM, "cannot adopt '%s'", symbol);
  return tl_batch_append(&piece->rows, rows, begin, end, err);
}

/* One piece for each New York day with rows, cut where the file's month ends, as the rest of that day lies in another
 * file and is not replaced by this one's rows; bars of a day and longer: one for each bar. */
static tl_status cut_into_days(const adopter *a, const char *symbol, const tl_batch *rows, piece_list *out, tl_error *err) {
  const int64_t *times = tl_batch_times(rows);
  bool long_bars = a->dataset.kind == TL_BARS && !tl_interval_below_day(a->dataset.interval);
  for (size_t begin = 0, end; begin < rows->rows; begin = end) {
    tl_range range;
    if (long_bars) {
      range = (tl_range){tl_interval_floor(a->dataset.interval, times[begin]), tl_interval_next(a->dataset.interval, times[begin])};
    } else {
      int32_t day = tl_calendar_day(times[begin]);
      range = tl_range_clip((tl_range){tl_calendar_day_start_ns(day), tl_calendar_day_start_ns(day + 1)},
                            tl_table_period(a->layout, &a->dataset, times[begin]));
    }
    end = tl_batch_lower_bound(rows, begin, rows->rows, range.end_ns);
    tl_status st = add_piece(out, symbol, range, rows, begin, end, err);
    if (st) return st;
  }
  return TL_OK;
}

static void say(const adopter *a, const char *path, const char *verdict, const char *detail, bool ok) {
  tl_audit_row row = {sizeof row, path, verdict, detail, ok};
  a->each(a->user, &row);
}

/* Others cut months by the local date: a file in the place of ours then holds rows of the next month, which a merge into it
 * would keep. Such a file gets a foreign name (data_0.parquet, A.2024-001.parquet): it is read, and goes after the commit. */
static tl_status step_aside(const adopter *a, tl_table_file *file, tl_error *err) {
  static const char *const zeros[] = {"0", "00"};
  size_t keep = a->layout == TL_LAYOUT_HIVE ? (size_t)(strrchr(file->path, '/') + 1 - file->path) : strlen(file->path) - strlen("01.parquet");
  for (int n = 0; a->layout == TL_LAYOUT_HIVE || n < 2; n++) {
    tl_buf name = {0};
    tl_io_info info;
    tl_status st = tl_buf_append(&name, file->path, keep, err);
    if (!st) st = a->layout == TL_LAYOUT_HIVE ? tl_buf_appendf(&name, err, "data_%d.parquet", n)
                                              : tl_buf_appendf(&name, err, "%s%s", zeros[n], file->path + keep);
    char *from = st ? NULL : tl_io_join(a->lake->path, file->path), *to = st ? NULL : tl_io_join(a->lake->path, name.data);
    if (!st && (!from || !to)) st = tl_fail(err, TL_ENOMEM, "cannot move '%s' aside", file->path);
    if (!st) st = tl_io_stat(to, &info, err);
    bool taken = st == TL_OK;
    if (st == TL_ENOTFOUND) st = tl_io_rename(from, to, err);
    if (!st && !taken) {
      tl_free(file->path);
      file->path = tl_buf_take(&name);
      file->canonical = false;
    }
    tl_free(from);
    tl_free(to);
    tl_buf_deinit(&name);
    if (st || !taken) return st;
  }
  return tl_fail(err, TL_ECONFLICT, "cannot move '%s' aside: its other names are taken", file->path);
}

static tl_status clear_our_place(const adopter *a, tl_table_file *files, size_t count, const tl_batch *rows, tl_error *err) {
  if (!rows->rows || (a->layout == TL_LAYOUT_FLAT && a->dataset.by_year)) return TL_OK; /* a year's bars begin at its midnights */
  const int64_t *times = tl_batch_times(rows);
  if (tl_range_holds(files[0].period, times[0]) && tl_range_holds(files[0].period, times[rows->rows - 1])) return TL_OK;
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < count; i++)
    if (files[i].canonical) st = step_aside(a, &files[i], err);
  return st;
}

/* Files [begin, end) are of one symbol and month. A month with an unreadable file is left as it is, and named. */
static tl_status adopt_month(adopter *a, tl_table_file *files, size_t count, tl_error *err) {
  tl_batch rows;
  tl_batch_init(&rows, a->dataset.kind);
  piece_list pieces = {0};
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < count; i++) {
    tl_error why = {0};
    char *full = tl_io_join(a->lake->path, files[i].path);
    if (!full) {
      st = tl_fail(err, TL_ENOMEM, "cannot adopt '%s'", files[i].path);
      break;
    }
    tl_scan scan = {.path = full, .kind = a->dataset.kind, .words = a->words, .symbol = files[i].symbol, .rows = collect, .to = &rows};
    tl_status read = tl_engine_scan(a->engine, &scan, NULL, &why);
    tl_free(full);
    if (!read) continue;
    if (read == TL_ECORRUPT || read == TL_EDECODE) {
      say(a, files[i].path, "unreadable", why.message, false);
      goto done;
    }
    st = read;
    if (err) *err = why;
  }
  if (!st) st = tl_batch_sort(&rows, err);
  if (!st) st = drop_duplicates(&rows, count > 1, err);
  if (!st) st = cut_into_days(a, files[0].symbol, &rows, &pieces, err);
  if (!st) st = clear_our_place(a, files, count, &rows, err);
  if (!st) st = tl_commit_group(a->commit, pieces.items, pieces.count, err);
  for (size_t i = 0; !st && i < count; i++) {
    if (files[i].canonical) continue;
    char *full = tl_io_join(a->lake->path, files[i].path);
    st = full ? tl_io_unlink(full, err) : tl_fail(err, TL_ENOMEM, "cannot remove '%s'", files[i].path);
    char *slash = full ? strrchr(full, '/') : NULL;
    if (slash && !st) {
      *slash = 0;
      st = tl_io_rmdir(full, err);
    }
    tl_free(full);
  }
  if (!st) {
    char detail[64];
    snprintf(detail, sizeof detail, "%zu rows from %zu file%s", rows.rows, count, count == 1 ? "" : "s");
    say(a, files[0].path, "adopted", detail, true);
  }
done:
  pieces_deinit(&pieces);
  tl_batch_deinit(&rows);
  return st;
}

/* The list is by symbol and period, but foreign spellings of one month may have other paths between them. */
static tl_status adopt_dataset(adopter *a, tl_error *err) {
  tl_table_files files = {0};
  tl_commit_options options = {.lake = a->lake->path, .store = a->lake->store, .layout = a->layout, .dataset = a->dataset, .words = a->words, .ledger = a->ledger};
  tl_status st = tl_commit_open(&options, &a->commit, err);
  if (!st) st = tl_table_list(a->lake->store, a->layout, &a->dataset, NULL, NULL, &files, err);
  for (size_t begin = 0, end; !st && begin < files.count; begin = end) {
    tl_table_file *first = &files.items[begin];
    for (end = begin + 1; end < files.count && !strcmp(files.items[end].symbol, first->symbol) &&
                          files.items[end].period.start_ns == first->period.start_ns;)
      end++;
    st = adopt_month(a, first, end - begin, err);
  }
  tl_table_files_deinit(&files);
  tl_commit_close(a->commit);
  a->commit = NULL;
  return st;
}

static tl_status claim_source(adopter *a, const tl_import_options *options, tl_error *err) {
  tl_ledger_source source = {.built_from = "bars"};
  snprintf(source.provider, sizeof source.provider, "%s", options->provider ? options->provider : "alpaca");
  snprintf(source.feed, sizeof source.feed, "%s", options->feed ? options->feed : "sip");
  bool second = a->dataset.kind == TL_BARS && a->dataset.interval.unit == TL_SECOND;
  if (second || a->dataset.kind == TL_TRADES) snprintf(source.built_from, sizeof source.built_from, "trades");
  if (a->dataset.kind == TL_QUOTES || a->dataset.kind == TL_QUOTES_1S) snprintf(source.built_from, sizeof source.built_from, "quotes");
  if (second) snprintf(source.conditions, sizeof source.conditions, "%s", options->conditions ? options->conditions : "sip");
  else if (a->dataset.kind == TL_BARS)
    snprintf(source.adjustment, sizeof source.adjustment, "%s", options->adjustment ? options->adjustment : "raw");
  return tl_ledger_source_of(a->ledger, a->dataset.name, &source, NULL, err);
}

tl_status tl_run_adopt(tl_run_lake *lake, const tl_import_options *options, tl_audit_fn each, void *user, tl_error *err) {
  adopter a = {.lake = lake, .each = each, .user = user};
  tl_table_datasets datasets = {0};
  char layout[16];
  if (!tl_store_is_local(lake->store))
    return tl_fail(err, TL_EUSAGE, "adopt works on a folder, in place, and '%s' is none: adopt it there, or import into another lake", lake->path);
  tl_status st = tl_run_tables_detect(lake, &a.layout);
  if (!st) return tl_fail(err, TL_EUSAGE, "'%s' is a lake of open tables (%s): adopt takes over files; 'ticklake table append' takes rows in", lake->path, tl_layout_name(a.layout));
  st = tl_table_detect(lake->store, &a.layout, err);
  if (!st) st = tl_ledger_open(lake->store, true, &a.ledger, err);
  if (!st) st = tl_ledger_layout(a.ledger, tl_layout_name(a.layout), layout, err);
  if (!st) st = tl_engine_open(NULL, &a.engine, err);
  if (!st) st = tl_words_open(&a.words, err);
  if (!st) st = tl_table_datasets_list(lake->store, a.layout, &datasets, err);
  for (size_t i = 0; !st && i < datasets.count; i++) {
    a.dataset = datasets.items[i];
    st = claim_source(&a, options, err);
    if (!st) st = adopt_dataset(&a, err);
  }
  tl_table_datasets_deinit(&datasets);
  tl_words_close(a.words);
  tl_engine_close(a.engine);
  tl_ledger_close(a.ledger);
  return st;
}
