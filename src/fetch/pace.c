/* pace.c - the sliding window as a ring of grant times in a shared file.
 *
 *     0    header: magic, boot, taken (grants so far), pause end, learned rate, checksum
 *     64   slots: grant times, 8 bytes each; grant number n lies in slot n mod SLOTS
 *
 * A slot is written before the header that counts it: a process that dies in between has lost a grant it never used.
 * All reading and writing happens under the lock of byte 0. Times are tl_clock_mono_ns of this boot; a header of
 * another boot, or one whose checksum is wrong, counts as empty. Plain reads and writes instead of a mapping: someone
 * else cutting the file short must not kill us. */
#include "fetch/pace.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/prng.h"

enum { SLOTS = 8192, HEADER_BYTES = 64, RATE_MAX = 1000000 };
#define MAGIC UINT64_C(0x31306563617070fe)
static const int64_t MINUTE_NS = 60 * TL_NS_PER_S;
static const int64_t MARGIN_NS = 500 * TL_NS_PER_MS; /* the first of a window may have been slower on its way than the last */

typedef struct header {
  uint64_t magic, boot, taken;
  int64_t pause_end_ns;
  uint64_t learned_rate, unused[2], checksum;
} header;
_Static_assert(sizeof(header) == HEADER_BYTES, "the header's place in the file is fixed");

struct tl_pace {
  pthread_mutex_t lock; /* between threads; the file's lock is between processes */
  int fd;               /* -1: this process alone */
  char *path;
  uint64_t boot;
  atomic_uint rate; /* per minute; 0: none */
  bool fixed;
  header own;       /* state when there is no file */
  int64_t *own_slots;
};

static uint64_t hash_bytes(uint64_t h, const void *data, size_t len) {
  const unsigned char *p = data;
  for (size_t i = 0; i < len; i++) h = tl_prng_mix((h ^ p[i]) + UINT64_C(0x9e3779b97f4a7c15));
  return h;
}

static uint64_t checksum(const header *h) { return hash_bytes(MAGIC, h, offsetof(header, checksum)); }

/* Changes with every boot, so that times of the one before are not taken for times of this. */
static uint64_t read_boot(void) {
  tl_buf id = {0};
  uint64_t boot = 1;
  if (!tl_io_read_file("/proc/sys/kernel/random/boot_id", 4096, &id, NULL)) boot = hash_bytes(1, id.data, id.len);
  tl_buf_deinit(&id);
  return boot;
}

static tl_status state_folder(tl_buf *path, tl_error *err) {
  static const struct { const char *variable, *below; } places[] = {
      {"TICKLAKE_STATE", ""}, {"XDG_STATE_HOME", "/ticklake"}, {"HOME", "/.local/state/ticklake"}};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    const char *value = getenv(places[i].variable);
    if (!value || !*value) continue;
    tl_status st = tl_buf_appends(path, value, err);
    return st ? st : tl_buf_appends(path, places[i].below, err);
  }
  return tl_fail(err, TL_ENOTFOUND, "neither TICKLAKE_STATE nor HOME is set");
}

static tl_status open_file(tl_pace *pace, const char *scope, const char *key, tl_error *err) {
  uint64_t name = hash_bytes(hash_bytes(7, scope, strlen(scope) + 1), key, strlen(key));
  tl_buf path = {0};
  tl_status st = state_folder(&path, err);
  if (!st) st = tl_buf_appendf(&path, err, "/pace/%016" PRIx64, name);
  if (!st) st = tl_io_mkdir_parents(path.data, err);
  if (!st) st = tl_io_open(path.data, O_RDWR | O_CREAT, 0600, &pace->fd, err);
  if (st) pace->fd = -1;
  pace->path = tl_buf_take(&path);
  return st;
}

/* From now on this process keeps its own count. */
static void leave_file(tl_pace *pace, const tl_error *why) {
  tl_log(TL_LOG_WARN, "the request budget is not shared with other processes: %s", why->message);
  tl_io_close(pace->fd, pace->path, NULL);
  pace->fd = -1;
}

tl_status tl_pace_open(const char *scope, const char *key, uint32_t rate_per_minute, bool fixed, tl_pace **out, tl_error *err) {
  tl_pace *pace = tl_calloc(1, sizeof *pace);
  int64_t *slots = pace ? tl_calloc(SLOTS, sizeof *slots) : NULL;
  if (!slots) {
    tl_free(pace);
    return tl_fail(err, TL_ENOMEM, "cannot set up the request budget");
  }
  pthread_mutex_init(&pace->lock, NULL);
  pace->own_slots = slots;
  pace->fd = -1;
  pace->fixed = fixed;
  atomic_store(&pace->rate, rate_per_minute < RATE_MAX ? rate_per_minute : RATE_MAX);
  pace->boot = read_boot();
  tl_error why = {0};
  tl_status st = open_file(pace, scope, key, &why);
  if (st == TL_ENOMEM) {
    tl_pace_close(pace);
    return tl_fail(err, st, "cannot set up the request budget");
  }
  if (st) leave_file(pace, &why);
  *out = pace;
  return TL_OK;
}

void tl_pace_close(tl_pace *pace) {
  if (!pace) return;
  tl_io_close(pace->fd, pace->path, NULL);
  pthread_mutex_destroy(&pace->lock);
  tl_free(pace->path);
  tl_free(pace->own_slots);
  tl_free(pace);
}

static bool is_sound(const header *h, const tl_pace *pace, int64_t now_ns) {
  return h->magic == MAGIC && h->boot == pace->boot && h->checksum == checksum(h) && h->pause_end_ns <= now_ns + MINUTE_NS;
}

/* Takes both locks, then reads the clock (so that no grant of another lies in our future) and the header. */
static header enter(tl_pace *pace, int64_t *now_ns) {
  header h = {0};
  pthread_mutex_lock(&pace->lock);
  if (pace->fd >= 0) {
    tl_error why = {0};
    size_t got = 0;
    if (tl_io_lock(pace->fd, pace->path, 0, &why) || tl_io_pread(pace->fd, pace->path, &h, sizeof h, 0, &got, &why)) leave_file(pace, &why);
  }
  if (pace->fd < 0) h = pace->own;
  *now_ns = tl_clock_mono_ns();
  if (!is_sound(&h, pace, *now_ns)) h = (header){.magic = MAGIC, .boot = pace->boot};
  if (!pace->fixed && h.learned_rate && h.learned_rate <= RATE_MAX) atomic_store(&pace->rate, (unsigned)h.learned_rate);
  return h;
}

static void leave(tl_pace *pace, header *h, bool changed) {
  if (changed) {
    h->checksum = checksum(h);
    pace->own = *h;
    tl_error why = {0};
    if (pace->fd >= 0 && tl_io_pwrite(pace->fd, pace->path, h, sizeof *h, 0, &why)) leave_file(pace, &why);
  }
  if (pace->fd >= 0) tl_io_unlock(pace->fd, 0);
  pthread_mutex_unlock(&pace->lock);
}

static int64_t slot_offset(uint64_t grant) { return (int64_t)(HEADER_BYTES + grant % SLOTS * sizeof(int64_t)); }

/* When grant number `grant` was given; 0 when that is not known (a slot that holds nonsense frees a place). */
static int64_t read_slot(tl_pace *pace, uint64_t grant, int64_t now_ns) {
  int64_t at_ns = pace->own_slots[grant % SLOTS];
  size_t got = sizeof at_ns;
  if (pace->fd >= 0) {
    at_ns = 0;
    if (tl_io_pread(pace->fd, pace->path, &at_ns, sizeof at_ns, slot_offset(grant), &got, NULL)) got = 0;
  }
  return got == sizeof at_ns && at_ns > 0 && at_ns <= now_ns ? at_ns : 0;
}

static void write_slot(tl_pace *pace, uint64_t grant, int64_t at_ns) {
  tl_error why = {0};
  pace->own_slots[grant % SLOTS] = at_ns;
  if (pace->fd >= 0 && tl_io_pwrite(pace->fd, pace->path, &at_ns, sizeof at_ns, slot_offset(grant), &why)) leave_file(pace, &why);
}

/* How long until one more grant keeps the rule. A rate above the ring's size is kept in k shorter windows of rate / k
 * each: k of them make a minute, so the rule holds all the same. */
static int64_t window_wait(tl_pace *pace, const header *h, uint32_t rate, int64_t now_ns) {
  uint32_t windows = (rate + SLOTS - 1) / SLOTS;
  uint32_t grants = rate / windows;
  if (h->taken < grants) return 0;
  int64_t oldest_ns = read_slot(pace, h->taken - grants, now_ns);
  int64_t free_ns = oldest_ns ? oldest_ns + (MINUTE_NS + MARGIN_NS) / windows : 0;
  return free_ns > now_ns ? free_ns - now_ns : 0;
}

bool tl_pace_take(tl_pace *pace, int64_t *wait_ns) {
  int64_t now_ns = 0;
  header h = enter(pace, &now_ns);
  uint32_t rate = atomic_load(&pace->rate);
  int64_t wait = rate ? window_wait(pace, &h, rate, now_ns) : 0;
  if (h.pause_end_ns - now_ns > wait) wait = h.pause_end_ns - now_ns;
  if (wait <= 0) {
    write_slot(pace, h.taken, now_ns); /* also without a limit: another process may have one */
    h.taken++;
  }
  leave(pace, &h, wait <= 0);
  *wait_ns = wait;
  return wait <= 0;
}

void tl_pace_pause(tl_pace *pace, int64_t for_ns) {
  int64_t now_ns = 0;
  header h = enter(pace, &now_ns);
  int64_t end_ns = now_ns + (for_ns < MINUTE_NS ? for_ns : MINUTE_NS);
  bool longer = end_ns > h.pause_end_ns;
  if (longer) h.pause_end_ns = end_ns;
  leave(pace, &h, longer);
}

void tl_pace_learn(tl_pace *pace, int64_t limit) {
  if (limit <= 0 || limit > RATE_MAX || pace->fixed || tl_pace_rate(pace) == (uint32_t)limit) return;
  int64_t now_ns = 0;
  header h = enter(pace, &now_ns);
  h.learned_rate = (uint64_t)limit;
  atomic_store(&pace->rate, (unsigned)limit);
  leave(pace, &h, true);
}

uint32_t tl_pace_rate(const tl_pace *pace) { return atomic_load(&pace->rate); }
