/* hooks.c - SQLite's allocator and system calls behind the fault seams.
 * fsync and fcntl are not among the calls SQLite lets us replace by pointer in a portable way; they run unhooked. */
#include "ledger/hooks.h"

#ifdef TL_FAULTS
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>

#include "base/alloc.h"
#include "base/fault.h"

/* ---- memory: a block is preceded by its size, which SQLite wants to know ---- */

enum { HEADER_BYTES = 16 }; /* keeps the block aligned for any type */

static void *memory_alloc(int size) {
  char *block = size > 0 ? tl_alloc((size_t)size + HEADER_BYTES) : NULL;
  if (!block) return NULL;
  memcpy(block, &size, sizeof size);
  return block + HEADER_BYTES;
}
static void memory_free(void *block) {
  if (block) tl_free((char *)block - HEADER_BYTES);
}
static void *memory_realloc(void *block, int size) {
  char *grown = tl_realloc((char *)block - HEADER_BYTES, (size_t)size + HEADER_BYTES);
  if (!grown) return NULL;
  memcpy(grown, &size, sizeof size);
  return grown + HEADER_BYTES;
}
static int memory_size(void *block) {
  int size = 0;
  if (block) memcpy(&size, (char *)block - HEADER_BYTES, sizeof size);
  return size;
}
static int memory_round(int size) { return (size + 7) & ~7; }
static int memory_init(void *unused) {
  (void)unused;
  return SQLITE_OK;
}
static void memory_shutdown(void *unused) { (void)unused; }

/* ---- files ---- */

static struct {
  int (*open)(const char *, int, int);
  ssize_t (*pread)(int, void *, size_t, off_t);
  ssize_t (*pread64)(int, void *, size_t, off64_t);
  ssize_t (*pwrite)(int, const void *, size_t, off_t);
  ssize_t (*pwrite64)(int, const void *, size_t, off64_t);
  int (*ftruncate)(int, off_t);
  int (*unlink)(const char *);
} original;

#define SEAM_CALL(type, call, len)                                 \
  do {                                                             \
    tl_fault_action action = tl_fault_hit(TL_SEAM_DISK);           \
    if (action == TL_FAULT_ERROR) {                                \
      errno = tl_fault_errno();                                    \
      return -1;                                                   \
    }                                                              \
    if (action == TL_FAULT_SHORT && *(len) > 1) *(len) /= 2;       \
    type result = (call);                                          \
    if (action == TL_FAULT_EXIT_AFTER) tl_fault_exit();            \
    return result;                                                 \
  } while (0)

static int seam_open(const char *path, int flags, int mode) {
  SEAM_CALL(int, original.open(path, flags, mode), &(size_t){0});
}
static ssize_t seam_pread(int fd, void *data, size_t len, off_t at) {
  SEAM_CALL(ssize_t, original.pread(fd, data, len, at), &len);
}
static ssize_t seam_pread64(int fd, void *data, size_t len, off64_t at) {
  SEAM_CALL(ssize_t, original.pread64(fd, data, len, at), &len);
}
static ssize_t seam_pwrite(int fd, const void *data, size_t len, off_t at) {
  SEAM_CALL(ssize_t, original.pwrite(fd, data, len, at), &len);
}
static ssize_t seam_pwrite64(int fd, const void *data, size_t len, off64_t at) {
  SEAM_CALL(ssize_t, original.pwrite64(fd, data, len, at), &len);
}
static int seam_ftruncate(int fd, off_t len) { SEAM_CALL(int, original.ftruncate(fd, len), &(size_t){0}); }
static int seam_unlink(const char *path) { SEAM_CALL(int, original.unlink(path), &(size_t){0}); }

static void hook_call(sqlite3_vfs *vfs, const char *name, sqlite3_syscall_ptr seam, void *keep) {
  sqlite3_syscall_ptr found = vfs->xGetSystemCall(vfs, name);
  if (!found) return; /* this build of SQLite uses the other width */
  memcpy(keep, &found, sizeof found);
  vfs->xSetSystemCall(vfs, name, seam);
}

static void hook_files(void) {
  sqlite3_vfs *vfs = sqlite3_vfs_find("unix");
  if (!vfs || vfs->iVersion < 3) return;
  hook_call(vfs, "open", (sqlite3_syscall_ptr)seam_open, &original.open);
  hook_call(vfs, "pread", (sqlite3_syscall_ptr)seam_pread, &original.pread);
  hook_call(vfs, "pread64", (sqlite3_syscall_ptr)seam_pread64, &original.pread64);
  hook_call(vfs, "pwrite", (sqlite3_syscall_ptr)seam_pwrite, &original.pwrite);
  hook_call(vfs, "pwrite64", (sqlite3_syscall_ptr)seam_pwrite64, &original.pwrite64);
  hook_call(vfs, "ftruncate", (sqlite3_syscall_ptr)seam_ftruncate, &original.ftruncate);
  hook_call(vfs, "unlink", (sqlite3_syscall_ptr)seam_unlink, &original.unlink);
}

tl_status tl_ledger_hooks_install(tl_error *err) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static int configured, hooked;
  static const sqlite3_mem_methods methods = {memory_alloc, memory_free,  memory_realloc,  memory_size,
                                              memory_round, memory_init, memory_shutdown, NULL};
  pthread_mutex_lock(&lock);
  if (!configured) sqlite3_config(SQLITE_CONFIG_MALLOC, &methods); /* refused when SQLite runs already: then it stays */
  configured = 1;
  int rc = hooked ? SQLITE_OK : sqlite3_initialize(); /* takes memory, so it can fail and is tried again */
  if (!hooked && rc == SQLITE_OK) {
    hook_files();
    hooked = 1;
  }
  pthread_mutex_unlock(&lock);
  return rc == SQLITE_OK ? TL_OK : tl_fail(err, TL_ENOMEM, "out of memory: cannot start the ledger's database");
}
#else
tl_status tl_ledger_hooks_install(tl_error *err) {
  (void)err;
  return TL_OK;
}
#endif
