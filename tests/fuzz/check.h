/* check.h - what the fuzz targets share: a check that names itself, and a scratch folder of the process in memory. */
#ifndef TL_TESTS_FUZZ_CHECK_H
#define TL_TESTS_FUZZ_CHECK_H
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void check(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "fuzz check failed: %s\n", what);
  abort();
}

/* Made once, "<memory or temporary folder>/ticklake-fuzz-<pid>/": a leftover holds one small file at most. */
static inline const char *scratch_folder(void) {
  static char folder[64];
  if (!folder[0]) {
    snprintf(folder, sizeof folder, "%s/ticklake-fuzz-%d", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
    check(mkdir(folder, 0700) == 0, "cannot make the scratch folder");
  }
  return folder;
}

static inline void scratch_write(const char *path, const uint8_t *data, size_t size) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  check(fd >= 0 && write(fd, data, size) == (ssize_t)size && close(fd) == 0, "cannot write the scratch file");
}
#endif
