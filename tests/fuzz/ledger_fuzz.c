/* Any bytes as a lake's ledger: every question answers or explains itself, and nothing is leaked.
 * An even first byte: the rest patches a sound ledger, four bytes each (three of offset, one value), which reaches
 * deeper than noise does. An odd one: the rest is the file. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "ledger/db.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char lake[64], path[96], journal[112];
static tl_buf sound;

static void check(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "ledger_fuzz: %s\n", what);
  abort();
}

static tl_status open_ledger(bool create, tl_ledger **out, tl_error *err) {
  return tl_ledger_open_formats(lake, create, tl_ledger_formats, tl_ledger_format_newest, out, err);
}

static void remove_lake(void) {
  char folder[96];
  unlink(journal);
  unlink(path);
  snprintf(folder, sizeof folder, "%s/_ticklake", lake);
  rmdir(folder);
  rmdir(lake);
  tl_buf_deinit(&sound);
}

/* A ledger with something in every table; its bytes are kept in `sound`. */
static void make_sound(void) {
  snprintf(lake, sizeof lake, "%s/tl-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  check(mkdtemp(lake) != NULL, "no scratch folder");
  snprintf(path, sizeof path, "%s/_ticklake/ledger.db", lake);
  snprintf(journal, sizeof journal, "%s-journal", path);
  atexit(remove_lake);
  tl_ledger *ledger = NULL;
  int64_t run = 0;
  char layout[16];
  tl_ledger_source source = {.provider = "alpaca", .feed = "sip"};
  tl_ledger_unit units[60];
  for (int i = 0; i < 60; i++)
    units[i] = (tl_ledger_unit){.dataset = "trades", .symbol = i % 2 ? "A" : "B", .range = {i * 10, i * 10 + 10},
                                .state = (tl_coverage)(1 + i % 4), .rows = i, .wire_rows = i, .pages = 1, .bytes = i,
                                .hash = "00ff", .answer = i % 4 == 3 ? "HTTP 500" : ""};
  tl_ledger_file file = {"trades/a.parquet", "trades", "A", 5, 50, "00", 0, 9};
  tl_ledger_result result = {"A", "no"};
  tl_ledger_group group = {.files = &file, .file_count = 1, .units = units, .unit_count = 60};
  tl_ledger_counts counts = {0};
  check(!open_ledger(true, &ledger, NULL) && !tl_ledger_layout(ledger, "hive", layout, NULL) &&
            !tl_ledger_source_of(ledger, "trades", &source, NULL, NULL) && !tl_ledger_commit(ledger, &group, NULL) &&
            !tl_ledger_run_begin(ledger, "import", 1, &run, NULL) &&
            !tl_ledger_run_end(ledger, run, 2, 0, "", &counts, &result, 1, NULL),
        "no sound ledger");
  tl_ledger_close(ledger);
  check(!tl_io_read_file(path, 1 << 24, &sound, NULL), "the sound ledger cannot be read");
}

static void write_bytes(const void *bytes, size_t len) {
  FILE *file = fopen(path, "wb");
  check(file && fwrite(bytes, 1, len, file) == len && fclose(file) == 0, "cannot write the scratch file");
  unlink(journal);
}

static void write_patched(const uint8_t *data, size_t size) {
  uint8_t *copy = malloc(sound.len);
  check(copy != NULL, "out of memory");
  memcpy(copy, sound.data, sound.len);
  for (; size >= 4; data += 4, size -= 4)
    copy[((size_t)data[0] << 16 | (size_t)data[1] << 8 | data[2]) % sound.len] = data[3];
  write_bytes(copy, sound.len);
  free(copy);
}

static void explained(tl_status st, const tl_error *err) { check(st == TL_OK || err->message[0], "no reason given"); }

static void ask_all(tl_ledger *ledger) {
  tl_error err = {0};
  tl_segments segments = {0}, gaps = {0};
  tl_ranges open[2] = {{0}, {0}};
  tl_ledger_series_list series = {0};
  tl_ledger_file_list files = {0};
  tl_ledger_run_list runs = {0};
  tl_ledger_result_list results = {0};
  tl_ledger_source source;
  const char *symbols[] = {"A", "B"};
  double rows[2], bytes_per_row = 0;
  char layout[16];
  tl_status st = tl_ledger_coverage(ledger, "trades", "A", (tl_range){0, 700}, &segments, &err);
  explained(st, &err);
  for (size_t i = 0; i < segments.count; i++) {
    check(!tl_range_empty(segments.items[i].range), "an empty segment");
    check(i == 0 || segments.items[i - 1].range.end_ns == segments.items[i].range.start_ns, "a hole in coverage");
  }
  if (!st) explained(tl_segments_gaps(&segments, true, 700, &gaps, &err), &err);
  explained(tl_ledger_uncovered(ledger, "trades", symbols, 2, (tl_range){0, 700}, open, &err), &err);
  explained(tl_ledger_estimates(ledger, "trades", symbols, 2, rows, &bytes_per_row, &err), &err);
  explained(tl_ledger_series_of(ledger, NULL, NULL, &series, &err), &err);
  explained(tl_ledger_files(ledger, NULL, NULL, &files, &err), &err);
  explained(tl_ledger_runs(ledger, 5, &runs, &err), &err);
  explained(tl_ledger_run_results(ledger, 1, &results, &err), &err);
  explained(tl_ledger_layout(ledger, "", layout, &err), &err);
  explained(tl_ledger_source_of(ledger, "trades", NULL, &source, &err), &err);
  tl_ledger_unit unit = {.dataset = "trades", .symbol = "A", .range = {15, 205}, .state = TL_COVER_FAILED};
  tl_ledger_group group = {.units = &unit, .unit_count = 1};
  explained(tl_ledger_commit(ledger, &group, &err), &err);
  unit.state = TL_COVER_PRESENT;
  explained(tl_ledger_commit(ledger, &group, &err), &err);
  tl_segments_deinit(&segments);
  tl_segments_deinit(&gaps);
  tl_ranges_deinit(&open[0]);
  tl_ranges_deinit(&open[1]);
  tl_ledger_series_deinit(&series);
  tl_ledger_files_deinit(&files);
  tl_ledger_runs_deinit(&runs);
  tl_ledger_results_deinit(&results);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!lake[0]) make_sound();
  if (size && data[0] & 1) write_bytes(data + 1, size - 1);
  else write_patched(data + (size > 0), size - (size > 0));
  tl_ledger *ledger = NULL;
  tl_error err = {0};
  int64_t live = tl_alloc_live();
  explained(open_ledger(false, &ledger, &err), &err);
  if (ledger) ask_all(ledger);
  tl_ledger_close(ledger);
  check(tl_alloc_live() == live, "leaked");
  return 0;
}
