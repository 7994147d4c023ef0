/* store_tool.c - a store driven by lines, for test_store_s3.py.
 *
 *     store_tool URI [SETTINGS]      reads commands from stdin, answers each with lines on stdout
 * Fields are parted by tabs; %XX in a field is a byte. The first line of an answer is "STATUS\tfields", STATUS the number of a
 * tl_status and, when it is not 0, the error's text in the only field.
 *     get KEY MAX          -> bytes as hex, etag, size          range KEY OFFSET LEN -> bytes as hex
 *     stat KEY             -> etag, size, mtime_ms              fetch KEY PATH
 *     put KEY BYTES COND ETAG -> etag, size, mtime_ms           (COND: any absent match)
 *     putfile KEY PATH COND ETAG -> the same                    delete KEY
 *     list PREFIX AFTER ASIDE STOP -> count, then a line "key\tsize\tetag\tmtime_ms" each (STOP: after so many, 0: never)
 *     race N KEY           -> N threads put-if-absent each its own content: how many won, how many lost
 *     sweep SEAM KEY STRIDE -> every STRIDE-th call through the seam fails once (alloc, net, net-after): how many calls there were */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"
#include "config/settings.h"
#include "store/store.h"

enum { FIELDS_MAX = 8, RACERS_MAX = 64 };

static const char *uri;
static tl_settings *settings;
static tl_store *store;

static void print_bytes(const char *text, size_t len) { /* as a field */
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c <= ' ' || c == '%' || c >= 0x7F) printf("%%%02X", c);
    else putchar(c);
  }
}

static bool failed(tl_status st, const tl_error *err) {
  printf("%d\t", (int)st);
  if (!st) return false;
  print_bytes(err->message, strlen(err->message));
  putchar('\n');
  return true;
}

static void print_hex(const tl_buf *bytes) {
  for (size_t i = 0; i < bytes->len; i++) printf("%02x", (unsigned char)bytes->data[i]);
}

static tl_put_condition condition(const char *word) {
  return !strcmp(word, "absent") ? TL_PUT_ABSENT : !strcmp(word, "match") ? TL_PUT_MATCH : TL_PUT_ANY;
}

static void do_get(char **f) {
  tl_buf bytes = {0};
  tl_store_info info;
  tl_error err = {0};
  if (!failed(tl_store_get(store, f[1], strtoull(f[2], NULL, 10), &bytes, &info, &err), &err)) {
    print_hex(&bytes);
    printf("\t%s\t%" PRId64 "\n", info.etag, info.size_bytes);
  }
  tl_buf_deinit(&bytes);
}

static void do_range(char **f) {
  tl_buf bytes = {0};
  tl_error err = {0};
  if (!failed(tl_store_get_range(store, f[1], strtoll(f[2], NULL, 10), strtoull(f[3], NULL, 10), &bytes, &err), &err)) {
    print_hex(&bytes);
    putchar('\n');
  }
  tl_buf_deinit(&bytes);
}

static void print_info(tl_status st, const tl_store_info *info, const tl_error *err) {
  if (!failed(st, err)) printf("%s\t%" PRId64 "\t%" PRId64 "\n", info->etag, info->size_bytes, info->mtime_ms);
}

static void do_stat(char **f) {
  tl_store_info info;
  tl_error err = {0};
  tl_status st = tl_store_stat(store, f[1], &info, &err);
  print_info(st, &info, &err);
}

static void do_put(char **f) {
  tl_store_info info;
  tl_error err = {0};
  tl_status st = tl_store_put(store, f[1], f[2], strlen(f[2]), condition(f[3]), f[4], &info, &err);
  print_info(st, &info, &err);
}

static void do_putfile(char **f) {
  tl_store_info info;
  tl_error err = {0};
  tl_status st = tl_store_put_file(store, f[1], f[2], condition(f[3]), f[4], &info, &err);
  print_info(st, &info, &err);
}

static void do_fetch(char **f) {
  tl_error err = {0};
  if (!failed(tl_store_fetch(store, f[1], f[2], &err), &err)) putchar('\n');
}

static void do_delete(char **f) {
  tl_error err = {0};
  if (!failed(tl_store_delete(store, f[1], &err), &err)) putchar('\n');
}

typedef struct listing {
  tl_buf text;
  long count, stop;
} listing;

static int take_key(void *to, const char *key, const tl_store_info *info) {
  listing *l = to;
  for (; *key; key++) tl_buf_appendf(&l->text, NULL, (unsigned char)*key <= ' ' || *key == '%' || (unsigned char)*key >= 0x7F ? "%%%02X" : "%c", (unsigned char)*key);
  tl_buf_appendf(&l->text, NULL, "\t%" PRId64 "\t%s\t%" PRId64 "\n", info->size_bytes, info->etag, info->mtime_ms);
  return ++l->count == l->stop;
}

static void do_list(char **f) {
  listing l = {.stop = strtol(f[4], NULL, 10)};
  tl_error err = {0};
  if (!failed(tl_store_list(store, f[1], *f[2] ? f[2] : NULL, *f[3] == '1', take_key, &l, &err), &err))
    printf("%ld\n%s", l.count, l.text.data ? l.text.data : "");
  tl_buf_deinit(&l.text);
}

typedef struct racer {
  pthread_t thread;
  const char *key;
  char text[40];
  tl_status status;
  tl_error err;
} racer;

static void *run_racer(void *argument) {
  racer *r = argument;
  r->status = tl_store_put(store, r->key, r->text, strlen(r->text), TL_PUT_ABSENT, NULL, NULL, &r->err);
  return NULL;
}

static void do_race(char **f) {
  static racer racers[RACERS_MAX];
  int count = (int)strtol(f[1], NULL, 10), won = 0, lost = 0;
  if (count > RACERS_MAX) count = RACERS_MAX;
  for (int i = 0; i < count; i++) {
    racers[i] = (racer){.key = f[2]};
    snprintf(racers[i].text, sizeof racers[i].text, "racer %d", i);
    pthread_create(&racers[i].thread, NULL, run_racer, &racers[i]);
  }
  const racer *wrong = NULL;
  for (int i = 0; i < count; i++) {
    pthread_join(racers[i].thread, NULL);
    if (!racers[i].status) won++;
    else if (racers[i].status == TL_ECONFLICT) lost++;
    else wrong = &racers[i];
  }
  if (!failed(wrong ? wrong->status : TL_OK, wrong ? &wrong->err : NULL)) printf("%d\t%d\n", won, lost);
}

static int count_key(void *to, const char *key, const tl_store_info *info) {
  (void)key, (void)info;
  ++*(int *)to;
  return 0;
}

/* One life of a store: what was acknowledged must be there, what was refused need not be. */
static tl_status live(const char *key, bool *acknowledged, tl_error *err) {
  tl_store *s = NULL;
  tl_store_info info;
  tl_buf bytes = {0};
  int count = 0;
  tl_status st = tl_store_open(uri, settings, &s, err);
  if (!st) st = tl_store_put(s, key, "one", 3, TL_PUT_ABSENT, NULL, &info, err);
  if (!st) *acknowledged = true;
  if (!st) st = tl_store_put(s, key, "one", 3, TL_PUT_MATCH, info.etag, &info, err);
  if (!st) st = tl_store_get(s, key, 100, &bytes, &info, err);
  if (!st && (bytes.len != 3 || memcmp(bytes.data, "one", 3))) st = tl_fail(err, TL_ECORRUPT, "read what was not written");
  if (!st) st = tl_store_list(s, key, NULL, false, count_key, &count, err);
  if (!st && count != 1) st = tl_fail(err, TL_ECORRUPT, "the list has %d keys", count);
  tl_buf_deinit(&bytes);
  tl_store_close(s);
  return st;
}

static void do_sweep(char **f) {
  tl_seam seam = !strcmp(f[1], "alloc") ? TL_SEAM_ALLOC : TL_SEAM_NET;
  bool must_heal = seam == TL_SEAM_NET; /* a lost connection is no failure; memory that ran out is, though libcurl may ask unsigned then */
  tl_error err = {0};
  tl_status st = TL_OK;
  tl_clock_fake_start((int64_t)time(NULL) * TL_NS_PER_S); /* waits take no time */
  long stride = strtol(f[3], NULL, 10), n = 1 - stride;
  for (bool fired = true; fired && !st;) {
    char key[200];
    bool acknowledged = false;
    tl_buf bytes = {0};
    snprintf(key, sizeof key, "%s-%ld", f[2], n += stride);
    int64_t before = tl_alloc_live();
    tl_fault_arm(seam, n, !strcmp(f[1], "net-after") ? TL_FAULT_SHORT : TL_FAULT_ERROR, 0);
    tl_status lived = live(key, &acknowledged, &err);
    fired = tl_fault_disarm();
    if (tl_alloc_live() != before && n > 1) st = tl_fail(&err, TL_EINTERNAL, "fault %ld leaks %ld blocks", n, (long)(tl_alloc_live() - before));
    else if (lived && !err.message[0]) st = tl_fail(&err, TL_EINTERNAL, "fault %ld gives no reason", n);
    else if (lived && (must_heal || (lived != TL_ENOMEM && lived != TL_EAUTH))) st = tl_fail_within(&err, TL_EINTERNAL, "fault %ld, status %d", n, (int)lived);
    if (!st && acknowledged) st = tl_store_get(store, key, 100, &bytes, NULL, &err);
    tl_buf_deinit(&bytes);
  }
  tl_clock_fake_stop();
  if (!failed(st, &err)) printf("%ld\n", n - 1);
}

static const struct {
  const char *verb;
  int fields;
  void (*run)(char **fields);
} commands[] = {{"get", 3, do_get},         {"range", 4, do_range}, {"stat", 2, do_stat}, {"put", 5, do_put},   {"putfile", 5, do_putfile}, {"fetch", 3, do_fetch},
                {"delete", 2, do_delete}, {"list", 5, do_list},   {"race", 3, do_race}, {"sweep", 4, do_sweep}};

static int digit(char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; }

static int split(char *line, char **fields) { /* decodes in place */
  int count = 1;
  char *to = fields[0] = line;
  for (char *at = line; *at && *at != '\n'; at++) {
    if (*at == '\t' && count < FIELDS_MAX) {
      *to++ = 0;
      fields[count++] = to;
    } else if (*at == '%') {
      *to++ = (char)(digit(at[1]) << 4 | digit(at[2]));
      at += 2;
    } else {
      *to++ = *at;
    }
  }
  *to = 0;
  return count;
}

int main(int argc, char **argv) {
  tl_error err = {0};
  if (argc != 2 && argc != 3) {
    fputs("usage: store_tool URI [SETTINGS] < commands\n", stderr);
    return 2;
  }
  uri = argv[1];
  tl_status st = argc == 3 ? tl_settings_open(argv[2], &settings, &err) : TL_OK;
  if (!st) st = tl_store_open(uri, settings, &store, &err);
  if (!failed(st, &err)) printf("%s\n", tl_store_uri(store));
  fflush(stdout);
  char *line = NULL;
  size_t capacity = 0;
  while (!st && getline(&line, &capacity, stdin) > 0) {
    char *fields[FIELDS_MAX];
    int count = split(line, fields);
    size_t i = 0;
    while (i < sizeof commands / sizeof *commands && strcmp(commands[i].verb, fields[0]) != 0) i++;
    if (i == sizeof commands / sizeof *commands || commands[i].fields != count) return 2;
    commands[i].run(fields);
    fflush(stdout);
  }
  free(line);
  tl_store_close(store);
  tl_settings_close(settings);
  return 0;
}
