/* machine.c - the kernel's figures. Inside a container its own group is the root of what it sees below /sys/fs/cgroup. */
#include "base/machine.h"

#include <unistd.h>

#include "base/io.h"

int64_t tl_machine_limit(const char *text) {
  int64_t limit = 0;
  const char *p = text;
  for (; *p >= '0' && *p <= '9'; p++)
    if (__builtin_mul_overflow(limit, 10, &limit) || __builtin_add_overflow(limit, *p - '0', &limit)) return INT64_MAX;
  return p == text || (*p && *p != '\n') || !limit ? INT64_MAX : limit;
}

int64_t tl_machine_memory_bytes(void) {
  static const char *const limits[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}; /* version 2, version 1 */
  int64_t pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE), memory = 1;
  if (pages > 0 && page_bytes > 0) memory = pages * page_bytes;
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    tl_buf text = {0};
    if (!tl_io_read_file(limits[i], 100, &text, NULL) && text.data && tl_machine_limit(text.data) < memory) memory = tl_machine_limit(text.data);
    tl_buf_deinit(&text);
  }
  return memory;
}
