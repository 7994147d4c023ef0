/* fuzz_main.c - runs a fuzz target over the files and folders given, so that its corpus is a test of every build.
 * Without libFuzzer and so without new inputs; those come from `make fuzz`. Exits 1 when a file cannot be read. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path, size_t size) {
  /* Exactly as many bytes as the file has, so that a sanitizer sees the first byte read too far. */
  uint8_t *data = malloc(size ? size : 1);
  FILE *file = fopen(path, "rb");
  int failed = !data || !file || fread(data, 1, size, file) != size;
  if (file) fclose(file);
  if (failed)
    fprintf(stderr, "cannot read '%s'\n", path);
  else
    LLVMFuzzerTestOneInput(data, size);
  free(data);
  return failed;
}

static int run_path(const char *path, int *files) {
  struct stat st;
  if (stat(path, &st) != 0) {
    fprintf(stderr, "cannot find '%s'\n", path);
    return 1;
  }
  if (!S_ISDIR(st.st_mode)) {
    ++*files;
    return run_file(path, (size_t)st.st_size);
  }
  int failed = 0;
  DIR *folder = opendir(path);
  if (!folder) return 1;
  for (struct dirent *entry; (entry = readdir(folder));) {
    char inner[4096];
    if (entry->d_name[0] == '.') continue;
    snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
    failed |= run_path(inner, files);
  }
  closedir(folder);
  return failed;
}

int main(int argc, char **argv) {
  int failed = 0, files = 0;
  for (int i = 1; i < argc; i++) failed |= run_path(argv[i], &files);
  LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
  printf("%d corpus files and the empty input\n", files);
  return failed;
}
