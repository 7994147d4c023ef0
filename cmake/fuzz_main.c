/* fuzz_main.c - runs a fuzz target over the files and folders given, so that its corpus is a test of every build, then over
 * inputs made from them: TICKLAKE_RELIABILITY_SCALE (0.05 in `make test`) times 2 million, or times a minute, whichever ends
 * first. The mutations are blind and the same each time (TICKLAKE_SEED chooses others); coverage-guided runs are `make fuzz`.
 * Exits 1 when a file cannot be read. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
  uint8_t *data;
  size_t size;
} input;

static input *inputs;
static size_t input_count, input_max;

static void keep(uint8_t *data, size_t size) {
  if (input_count == input_max) {
    input_max = input_max ? input_max * 2 : 64;
    inputs = realloc(inputs, input_max * sizeof *inputs);
    if (!inputs) abort();
  }
  inputs[input_count++] = (input){data, size};
}

static int run_file(const char *path, size_t size) {
  /* Exactly as many bytes as the file has, so that a sanitizer sees the first byte read too far. */
  uint8_t *data = malloc(size ? size : 1);
  FILE *file = fopen(path, "rb");
  int failed = !data || !file || fread(data, 1, size, file) != size;
  if (file) fclose(file);
  if (failed) {
    fprintf(stderr, "cannot read '%s'\n", path);
    free(data);
    return 1;
  }
  LLVMFuzzerTestOneInput(data, size);
  keep(data, size);
  return 0;
}

static int run_path(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0) {
    fprintf(stderr, "cannot find '%s'\n", path);
    return 1;
  }
  if (!S_ISDIR(st.st_mode)) return run_file(path, (size_t)st.st_size);
  int failed = 0;
  struct dirent **entries;
  int count = scandir(path, &entries, NULL, alphasort); /* in order: the same inputs each time */
  for (int i = 0; i < count; i++) {
    char inner[4096];
    snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
    if (entries[i]->d_name[0] != '.') failed |= run_path(inner);
    free(entries[i]);
  }
  if (count >= 0) free(entries);
  return failed | (count < 0);
}

/* ---- inputs made from the corpus ---- */

static uint64_t state;

static size_t below(size_t n) { /* splitmix64 */
  uint64_t z = (state += UINT64_C(0x9E3779B97F4A7C15));
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  return n ? (size_t)((z ^ z >> 31) % n) : 0;
}

static size_t mutate(uint8_t *data, size_t size, size_t max) {
  static const uint8_t odd[] = {0, 1, 0x7F, 0x80, 0xFF, '"', '\\', ',', ':', '.', '-', 'e', '0', '9', '/', '%', '[', '{', '\n', ' '};
  size_t at = below(size), len = 1 + below(8);
  const input *other = &inputs[below(input_count)];
  switch (below(7)) {
  case 0:
    if (size) data[at] ^= (uint8_t)(1u << below(8));
    return size;
  case 1:
    if (size) data[at] = odd[below(sizeof odd)];
    return size;
  case 2: /* take some away */
    if (at + len > size) return at;
    memmove(data + at, data + at + len, size - at - len);
    return size - len;
  case 3: /* repeat some */
    if (at + len > size || size + len > max) return size;
    memmove(data + at + len, data + at, size - at);
    return size + len;
  case 4: /* go on with another's tail */
    len = other->size ? below(other->size) : 0;
    if (at + other->size - len > max) return size;
    memcpy(data + at, other->data + len, other->size - len);
    return at + other->size - len;
  case 5: /* put a piece of another in */
    if (other->size < len || size + len > max) return size;
    memmove(data + at + len, data + at, size - at);
    memcpy(data + at, other->data + below(other->size - len + 1), len);
    return size + len;
  default: return at; /* cut */
  }
}

static long run_made(double scale) {
  enum { INPUT_MAX = 1 << 16 };
  long runs = 0;
  struct timespec begin, now;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (; input_count && (double)runs < 2e6 * scale; runs++) {
    const input *from = &inputs[below(input_count)];
    if (from->size > INPUT_MAX) continue;
    uint8_t *work = malloc(INPUT_MAX * 2);
    if (!work) abort();
    memcpy(work, from->data, from->size);
    size_t size = from->size;
    for (size_t i = 1 + below(5); i; i--) size = mutate(work, size, INPUT_MAX * 2);
    uint8_t *exact = realloc(work, size ? size : 1);
    if (!exact) abort();
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    clock_gettime(CLOCK_MONOTONIC, &now);
    if ((double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) / 1e9 > 60 * scale) break;
  }
  return runs;
}

int main(int argc, char **argv) {
  int failed = 0;
  const char *scale = getenv("TICKLAKE_RELIABILITY_SCALE"), *seed = getenv("TICKLAKE_SEED");
  state = seed ? strtoull(seed, NULL, 10) : 20241103;
  for (int i = 1; i < argc; i++) failed |= run_path(argv[i]);
  LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
  printf("seed: TICKLAKE_SEED=%llu\n", (unsigned long long)state);
  fflush(stdout);
  long runs = scale ? run_made(strtod(scale, NULL)) : 0;
  printf("%zu corpus files, the empty input, %ld inputs made from them\n", input_count, runs);
  for (size_t i = 0; i < input_count; i++) free(inputs[i].data);
  free(inputs);
  return failed;
}
