/* lake.h - a lake folder of one's own with everything open that a commit needs, and its files read back against a list
 * of rows. For tests of commit/ and run/. */
#ifndef TL_TEST_COMMIT_LAKE_H
#define TL_TEST_COMMIT_LAKE_H
#include "tests/unit/commit/rows.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/io.h"
#include "commit/commit.h"

#define DAY_NS (INT64_C(86400) * 1000000000)
#define JAN_1 (INT64_C(1704067200) * 1000000000) /* 2024-01-01T00:00:00Z; February is 31 days on, March 60 */

typedef struct lake {
  char path[64];
  tl_store *store;
  tl_layout layout;
  tl_dataset dataset;
  tl_words *words;
  tl_ledger *ledger;
  tl_commit *commit;
} lake;

static inline int remove_entry(const char *path, const struct stat *info, int type, struct FTW *at) {
  (void)info, (void)type, (void)at;
  return remove(path);
}

static inline void lake_make(lake *l, tl_layout layout, const char *kind) {
  tl_job_kind job;
  *l = (lake){.layout = layout};
  snprintf(l->path, sizeof l->path, "%s/tl-commit-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  assert_non_null(mkdtemp(l->path));
  assert_int_equal(tl_job_kind_parse(kind, NULL, &job, NULL), TL_OK);
  l->dataset = job.dataset;
}

static inline void lake_remove(const lake *l) { nftw(l->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS); }

static inline void lake_close(lake *l) {
  tl_commit_close(l->commit);
  tl_ledger_close(l->ledger);
  tl_store_close(l->store);
  tl_words_close(l->words);
  l->store = NULL;
  l->commit = NULL;
  l->ledger = NULL;
  l->words = NULL;
}

static inline tl_status lake_open_commit(lake *l, size_t workers, tl_error *err) {
  tl_commit_options options = {.lake = l->path, .store = l->store, .layout = l->layout, .dataset = l->dataset, .words = l->words,
                               .ledger = l->ledger, .workers = workers};
  return tl_commit_open(&options, &l->commit, err);
}

static inline tl_status lake_open(lake *l, size_t workers, tl_error *err) {
  tl_status st = tl_words_open(&l->words, err);
  if (!st) st = tl_store_open(l->path, NULL, &l->store, err);
  if (!st) st = tl_ledger_open(l->store, true, &l->ledger, err);
  if (!st) st = lake_open_commit(l, workers, err);
  if (st) lake_close(l);
  return st;
}

static inline void must_open(lake *l) {
  tl_error err = {0};
  if (lake_open(l, 2, &err)) fail_msg("%s", err.message);
}

/* What a vendor answered for [range) of a symbol. */
static inline tl_piece piece_of(const lake *l, const char *symbol, tl_range range, const row *rows, size_t count) {
  tl_piece p = {.symbol = tl_strdup(symbol), .range = range, .state = count ? TL_COVER_PRESENT : TL_COVER_EMPTY,
                .rows = batch_of_rows(l->dataset.kind, l->words, rows, count), .wire_rows = (int64_t)count, .pages = 1,
                .bytes = 100, .asked_ns = range.end_ns, .hash = "00112233445566778899aabbccddeeff"};
  assert_non_null(p.symbol);
  return p;
}

static inline void must_commit(lake *l, tl_piece *pieces, size_t count) { /* and lets go of them */
  tl_error err = {0};
  if (tl_commit_group(l->commit, pieces, count, &err)) fail_msg("%s", err.message);
  for (size_t i = 0; i < count; i++) tl_piece_deinit(&pieces[i]);
}

static inline tl_commit_totals totals_of(const lake *l) {
  tl_commit_totals totals;
  tl_commit_totals_of(l->commit, &totals);
  return totals;
}

/* The folder layout said once more: by the UTC month, of plain symbols. */
static inline void path_of(const lake *l, const char *symbol, int64_t ns, char out[160]) {
  time_t seconds = (time_t)(ns / 1000000000);
  struct tm t;
  gmtime_r(&seconds, &t);
  if (l->layout == TL_LAYOUT_HIVE)
    snprintf(out, 160, "%s/symbol=%s/year=%d/month=%02d/data.parquet", l->dataset.name, symbol, t.tm_year + 1900, t.tm_mon + 1);
  else
    snprintf(out, 160, "%s/%s.%d-%02d.parquet", l->dataset.kind == TL_BARS ? "bars/1m" : "trades", symbol, t.tm_year + 1900,
             t.tm_mon + 1);
}

static inline size_t slurp(const lake *l, const char *relative, char **out) { /* 0 when there is no such file */
  char path[256];
  snprintf(path, sizeof path, "%s/%s", l->path, relative);
  *out = NULL;
  int fd = open(path, O_RDONLY);
  if (fd < 0) return 0;
  off_t size = lseek(fd, 0, SEEK_END);
  *out = malloc((size_t)size + 1);
  assert_true(pread(fd, *out, (size_t)size, 0) == size);
  (*out)[size] = 0;
  close(fd);
  return (size_t)size;
}

/* Rows of one file of the lake; 0 when there is none. *rows is the caller's to free. */
static inline size_t rows_in(const lake *l, const char *symbol, int64_t ns, row **rows) {
  char path[160], *bytes;
  path_of(l, symbol, ns, path);
  size_t len = slurp(l, path, &bytes), count = 0;
  *rows = NULL;
  if (len) count = rows_of_file(bytes, len, l->layout == TL_LAYOUT_FLAT ? symbol : NULL, rows);
  free(bytes);
  return count;
}

static inline void expect_file(const lake *l, const char *symbol, int64_t ns, const row *want, size_t count) {
  row *got;
  size_t got_count = rows_in(l, symbol, ns, &got);
  expect_rows(got, got_count, want, count);
  free(got);
}

/* Number of files below the lake that are neither ledger nor rejects. */
static int files_seen;
static inline int count_file(const char *path, const struct stat *info, int type, struct FTW *at) {
  (void)info, (void)at;
  if (type == FTW_F && !strstr(path, "/_ticklake/") && !strstr(path, "/rejects/")) files_seen++;
  return 0;
}
static inline int count_files(const lake *l) {
  files_seen = 0;
  nftw(l->path, count_file, 16, FTW_PHYS);
  return files_seen;
}

/* The ledger names exactly the files that lie there, with their sizes, sums, rows and times. */
static inline void expect_recorded(const lake *l) {
  tl_ledger_file_list list;
  tl_error err = {0};
  if (tl_ledger_files(l->ledger, NULL, NULL, &list, &err)) fail_msg("%s", err.message);
  assert_int_equal(list.count, count_files(l));
  for (size_t i = 0; i < list.count; i++) {
    const tl_ledger_file *f = &list.items[i];
    char *bytes, sum[40];
    size_t len = slurp(l, f->path, &bytes);
    row *rows;
    XXH128_hash_t hash = XXH3_128bits(bytes, len);
    snprintf(sum, sizeof sum, "%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
    assert_int_equal(f->bytes, len);
    assert_string_equal(f->checksum, sum);
    size_t count = rows_of_file(bytes, len, l->layout == TL_LAYOUT_FLAT ? f->symbol : NULL, &rows);
    assert_int_equal(f->rows, count);
    if (count) {
      assert_int_equal(f->time_min_ns, rows[0].ns);
      assert_int_equal(f->time_max_ns, rows[count - 1].ns);
    }
    free(rows);
    free(bytes);
  }
  tl_ledger_files_deinit(&list);
}

/* What the ledger knows of a range that is of one state; rows may be NULL. */
static inline tl_coverage state_of(const lake *l, const char *symbol, tl_range range, int64_t *rows) {
  tl_segments segments;
  tl_error err = {0};
  if (tl_ledger_coverage(l->ledger, l->dataset.name, symbol, range, &segments, &err)) fail_msg("%s", err.message);
  assert_int_equal(segments.count, 1);
  tl_coverage state = segments.items[0].state;
  if (rows) *rows = segments.items[0].rows;
  tl_segments_deinit(&segments);
  return state;
}

static inline tl_coverage state_at(const lake *l, const char *symbol, int64_t ns) {
  return state_of(l, symbol, (tl_range){ns, ns + 1}, NULL);
}
#endif
