/* Any bytes as a path in a lake: what is taken names a symbol whose own path lies in the lake, and a canonical path is the
 * one we would write. */
#include "table/table.h"
#include "tests/fuzz/check.h"

static void check_inside(const char *path) {
  check(path[0] != '/', "an absolute path");
  for (const char *part = path; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
    check(strncmp(part, "../", 3) != 0 && strcmp(part, "..") != 0, "a path that leaves the lake");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char text[1024];
  if (size >= sizeof text) return 0;
  memcpy(text, data, size);
  text[size] = 0;
  for (int layout = TL_LAYOUT_HIVE; layout <= TL_LAYOUT_FLAT; layout++) {
    tl_dataset dataset;
    tl_table_file file = {0};
    tl_error err = {0};
    tl_status st = tl_table_parse((tl_layout)layout, text, &dataset, &file, &err);
    check(st == TL_OK || st == TL_ENOTFOUND, "a status nobody promised");
    if (st) continue;
    check(tl_symbol_check(file.symbol, strlen(file.symbol), NULL) == TL_OK, "a file without symbol");
    if (tl_range_empty(file.period)) { /* the year 9294: no instant of ours lies there */
      tl_table_file_deinit(&file);
      continue;
    }
    tl_buf own = {0};
    check(tl_table_path((tl_layout)layout, &dataset, file.symbol, file.period.start_ns, &own, &err) == TL_OK, "a symbol that was read has no path");
    check_inside(own.data);
    check(!file.canonical || !strcmp(own.data, file.path), "canonical, but not what we write");
    tl_dataset other;
    tl_table_file back = {0};
    check(tl_table_parse((tl_layout)layout, own.data, &other, &back, &err) == TL_OK && back.canonical && !strcmp(back.symbol, file.symbol) &&
          tl_range_holds(back.period, file.period.start_ns), "our own path reads differently");
    tl_table_file_deinit(&back);
    tl_table_file_deinit(&file);
    tl_buf_deinit(&own);
  }
  return 0;
}
