/* versions.c - how long does opening a table take that has many versions? In-process, as a program holding the library does it.
 *
 *     versions [VERSIONS [FOLDER]]          cmake --build --preset release --target versions
 * For each format: appends a row VERSIONS (10,000) times through one open handle, then opens and describes the table ten
 * times (each time with an engine of its own). Prints what a commit cost, the least and the median of opening; the target
 * is 100 ms at 10,000. FOLDER keeps the tables, for another run, or for other programs to open or to pack. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "ticklake/table.h"

enum { OPENS = 11 };

static void check(tl_status st, const tl_error *err) {
  if (!st) return;
  fprintf(stderr, "versions: %s\n", err->message);
  exit(1);
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double seconds_since(int64_t began_ns) { return (double)(tl_clock_mono_ns() - began_ns) / 1e9; }

static void grow(const char *uri, const char *faces, int versions) {
  tl_error err = {0};
  tl_table *table = NULL;
  tl_table_create_options create = {.size = sizeof create, .faces = faces, .columns = "symbol VARCHAR, timestamp TIMESTAMPTZ, close DOUBLE, volume BIGINT"};
  if (!tl_table_open(uri, NULL, &table, NULL)) { /* grown by an earlier run */
    tl_table_close(table);
    return;
  }
  check(tl_table_create(uri, NULL, &create, &table, &err), &err);
  for (int i = 0; i < versions; i++) {
    char from[200];
    snprintf(from, sizeof from, "SELECT 'AAPL' AS symbol, to_timestamp(%d) AS timestamp, 1.5 AS close, %d AS volume", i, i);
    tl_table_write_options write = {.size = sizeof write, .from = from};
    tl_table_change change = {.size = sizeof change};
    check(tl_table_append(table, &write, &change, &err), &err);
  }
  tl_table_close(table);
}

static void open_often(const char *uri, const char *faces, int versions, double commits_s) {
  double took[OPENS];
  tl_error err = {0};
  tl_table_info info = {.size = sizeof info};
  for (int i = 0; i < OPENS; i++) {
    tl_table *table = NULL;
    int64_t began = tl_clock_mono_ns();
    check(tl_table_open(uri, NULL, &table, &err), &err);
    check(tl_table_describe(table, NULL, NULL, &info, &err), &err);
    took[i] = seconds_since(began);
    tl_table_close(table);
  }
  if (info.rows != versions) {
    fprintf(stderr, "versions: %s has %" PRId64 " rows after %d commits of one\n", uri, info.rows, versions);
    exit(1);
  }
  qsort(took, OPENS, sizeof *took, by_size);
  printf("%-8s %d versions: %.2f ms a commit; opened in %.1f ms at least, %.1f ms median\n", faces, versions, 1e3 * commits_s / versions, 1e3 * took[0], 1e3 * took[OPENS / 2]);
}

int main(int argc, char **argv) {
  int versions = argc > 1 ? atoi(argv[1]) : 10000;
  static const char *const faces[] = {"delta", "iceberg"};
  char folder[] = "/tmp/ticklake-versions-XXXXXX";
  const char *base = argc > 2 ? argv[2] : mkdtemp(folder);
  for (size_t i = 0; base && versions > 0 && i < sizeof faces / sizeof *faces; i++) {
    char uri[400], clear[440];
    snprintf(uri, sizeof uri, "%s/%s", base, faces[i]);
    int64_t began = tl_clock_mono_ns();
    grow(uri, faces[i], versions);
    open_often(uri, faces[i], versions, seconds_since(began));
    snprintf(clear, sizeof clear, "rm -rf '%s'", uri);
    if (argc <= 2 && system(clear)) return 1;
  }
  return base ? 0 : 1;
}
