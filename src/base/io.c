/* io.c - file-system calls with a fault seam in front of each. */
#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fault.h"

/* Runs one call behind the seam. `call` answers -1 and errno as the system does. */
#define SEAM(result, call)                                           \
  do {                                                               \
    tl_fault_action action_ = tl_fault_hit(TL_SEAM_DISK);            \
    if (action_ == TL_FAULT_ERROR) {                                 \
      (result) = -1;                                                 \
      errno = tl_fault_errno();                                      \
    } else {                                                         \
      (result) = (call);                                             \
      if (action_ == TL_FAULT_EXIT_AFTER) tl_fault_exit();           \
    }                                                                \
  } while (0)

/* As SEAM, asks again on EINTR. */
#define SEAM_RETRY(result, call)                         \
  do {                                                   \
    SEAM(result, call);                                  \
  } while ((result) == -1 && errno == EINTR)

tl_status tl_io_open(const char *path, int flags, int mode, int *fd, tl_error *err) {
  SEAM_RETRY(*fd, open(path, flags | O_CLOEXEC, mode));
  if (*fd >= 0) return TL_OK;
  if (errno == ENOENT && !(flags & O_CREAT)) return tl_fail(err, TL_ENOTFOUND, "there is no file '%s'", path);
  if (errno == EEXIST) return tl_fail(err, TL_ECONFLICT, "file '%s' exists already", path);
  return tl_fail_errno(err, errno, "cannot open '%s'", path);
}

tl_status tl_io_close(int fd, const char *path, tl_error *err) {
  if (fd < 0) return TL_OK;
  int rc = close(fd); /* no seam: the data was fsynced before, and a close must always happen */
  return rc == 0 || errno == EINTR ? TL_OK : tl_fail_errno(err, errno, "cannot close '%s'", path);
}

static ssize_t write_some(int fd, const void *data, size_t len, int64_t offset) { /* offset -1: where the file stands */
  tl_fault_action action = tl_fault_hit(TL_SEAM_DISK);
  if (action == TL_FAULT_ERROR) {
    errno = tl_fault_errno();
    return -1;
  }
  if (action == TL_FAULT_SHORT && len > 1) len /= 2;
  ssize_t n = offset < 0 ? write(fd, data, len) : pwrite(fd, data, len, offset);
  if (action == TL_FAULT_EXIT_AFTER) tl_fault_exit();
  return n;
}

tl_status tl_io_write(int fd, const char *path, const void *data, size_t len, tl_error *err) {
  const char *at = data;
  while (len) {
    ssize_t n = write_some(fd, at, len, -1);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EPIPE) return tl_fail(err, TL_ECANCELED, "nobody reads '%s' any more", path);
    if (n <= 0) return tl_fail_errno(err, n < 0 ? errno : ENOSPC, "cannot write '%s'", path);
    at += n;
    len -= (size_t)n;
  }
  return TL_OK;
}

tl_status tl_io_pwrite(int fd, const char *path, const void *data, size_t len, int64_t offset, tl_error *err) {
  const char *at = data;
  while (len) {
    ssize_t n = write_some(fd, at, len, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return tl_fail_errno(err, n < 0 ? errno : ENOSPC, "cannot write '%s'", path);
    at += n;
    len -= (size_t)n;
    offset += n;
  }
  return TL_OK;
}

tl_status tl_io_pread(int fd, const char *path, void *data, size_t len, int64_t offset, size_t *got, tl_error *err) {
  *got = 0;
  while (*got < len) {
    tl_fault_action action = tl_fault_hit(TL_SEAM_DISK);
    size_t want = len - *got;
    if (action == TL_FAULT_SHORT && want > 1) want /= 2;
    ssize_t n = -1;
    if (action == TL_FAULT_ERROR) errno = tl_fault_errno();
    else n = pread(fd, (char *)data + *got, want, offset + (int64_t)*got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return tl_fail_errno(err, errno, "cannot read '%s'", path);
    if (n == 0) break;
    *got += (size_t)n;
  }
  return TL_OK;
}

tl_status tl_io_fsync(int fd, const char *path, tl_error *err) {
  int rc;
  SEAM_RETRY(rc, fsync(fd));
  return rc == 0 ? TL_OK : tl_fail_errno(err, errno, "cannot make '%s' durable", path);
}

tl_status tl_io_fsync_dir(const char *dir, tl_error *err) {
  int fd = -1;
  tl_status st = tl_io_open(dir, O_RDONLY | O_DIRECTORY, 0, &fd, err);
  if (st) return st;
  st = tl_io_fsync(fd, dir, err);
  tl_io_close(fd, dir, NULL);
  return st;
}

tl_status tl_io_rename(const char *from, const char *to, tl_error *err) {
  int rc;
  SEAM_RETRY(rc, rename(from, to));
  return rc == 0 ? TL_OK : tl_fail_errno(err, errno, "cannot rename '%s' to '%s'", from, to);
}

tl_status tl_io_link(const char *from, const char *to, tl_error *err) {
  int rc;
  SEAM_RETRY(rc, link(from, to));
  if (rc == 0) return TL_OK;
  if (errno == EEXIST) return tl_fail(err, TL_ECONFLICT, "'%s' exists already", to);
  return tl_fail_errno(err, errno, "cannot link '%s' as '%s'", from, to);
}

tl_status tl_io_unlink(const char *path, tl_error *err) {
  int rc;
  SEAM_RETRY(rc, unlink(path));
  return rc == 0 || errno == ENOENT ? TL_OK : tl_fail_errno(err, errno, "cannot remove '%s'", path);
}

tl_status tl_io_rmdir(const char *path, tl_error *err) {
  int rc;
  SEAM_RETRY(rc, rmdir(path));
  if (rc == 0 || errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST) return TL_OK;
  return tl_fail_errno(err, errno, "cannot remove folder '%s'", path);
}

static tl_status make_dir(const char *dir, tl_error *err) {
  int rc;
  SEAM_RETRY(rc, mkdir(dir, 0755));
  if (rc == 0) {
    char *parent = tl_strdup(dir);
    if (!parent) return tl_fail(err, TL_ENOMEM, "cannot make folder '%s'", dir);
    char *slash = strrchr(parent, '/');
    if (slash && slash != parent) *slash = 0;
    tl_status st = tl_io_fsync_dir(!slash ? "." : slash == parent ? "/" : parent, err);
    tl_free(parent);
    return st;
  }
  if (errno != EEXIST) return tl_fail_errno(err, errno, "cannot make folder '%s'", dir);
  struct stat info;
  if (stat(dir, &info) == 0 && S_ISDIR(info.st_mode)) return TL_OK;
  return tl_fail(err, TL_EIO, "'%s' is in the way: it is not a folder", dir);
}

tl_status tl_io_mkdirs(const char *dir, tl_error *err) {
  struct stat info;
  if (stat(dir, &info) == 0 && S_ISDIR(info.st_mode)) return TL_OK;
  char *path = tl_strdup(dir);
  if (!path) return tl_fail(err, TL_ENOMEM, "cannot make folder '%s'", dir);
  tl_status st = TL_OK;
  for (char *at = path + 1; !st && *at; at++)
    if (*at == '/') {
      *at = 0;
      st = make_dir(path, err);
      *at = '/';
    }
  if (!st) st = make_dir(path, err);
  tl_free(path);
  return st;
}

tl_status tl_io_mkdir_parents(const char *path, tl_error *err) {
  const char *slash = strrchr(path, '/');
  if (!slash || slash == path) return TL_OK;
  char *dir = tl_strndup(path, (size_t)(slash - path));
  if (!dir) return tl_fail(err, TL_ENOMEM, "cannot make the folder of '%s'", path);
  tl_status st = tl_io_mkdirs(dir, err);
  tl_free(dir);
  return st;
}

static void set_info(tl_io_info *out, const struct stat *info) {
  out->size_bytes = info->st_size;
  out->mtime_ns = (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec;
  out->device = info->st_dev;
  out->inode = info->st_ino;
  out->is_dir = S_ISDIR(info->st_mode);
  out->is_file = S_ISREG(info->st_mode);
}

tl_status tl_io_stat(const char *path, tl_io_info *out, tl_error *err) {
  struct stat info;
  int rc;
  SEAM_RETRY(rc, stat(path, &info));
  if (rc != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return tl_fail(err, TL_ENOTFOUND, "there is no '%s'", path);
    return tl_fail_errno(err, errno, "cannot look at '%s'", path);
  }
  set_info(out, &info);
  return TL_OK;
}

tl_status tl_io_stat_open(int fd, const char *path, tl_io_info *out, tl_error *err) {
  struct stat info;
  int rc;
  SEAM_RETRY(rc, fstat(fd, &info));
  if (rc != 0) return tl_fail_errno(err, errno, "cannot look at '%s'", path);
  set_info(out, &info);
  return TL_OK;
}

tl_status tl_io_set_mtime(int fd, const char *path, int64_t mtime_ns, tl_error *err) {
  int64_t ns = mtime_ns % 1000000000;
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = (mtime_ns - ns) / 1000000000, .tv_nsec = ns}};
  if (ns < 0) times[1].tv_sec--, times[1].tv_nsec += 1000000000;
  int rc;
  SEAM_RETRY(rc, futimens(fd, times));
  return rc == 0 ? TL_OK : tl_fail_errno(err, errno, "cannot date '%s'", path);
}

tl_status tl_io_read_file(const char *path, size_t bytes_max, tl_buf *out, tl_error *err) {
  int fd = -1;
  tl_status st = tl_io_open(path, O_RDONLY, 0, &fd, err);
  if (st) return st;
  tl_buf_clear(out);
  for (size_t chunk = 4096;; chunk = chunk < 1 << 20 ? chunk * 2 : chunk) {
    size_t got = 0;
    if ((st = tl_buf_reserve(out, chunk, err)) != TL_OK) break;
    if ((st = tl_io_pread(fd, path, out->data + out->len, chunk, (int64_t)out->len, &got, err)) != TL_OK) break;
    out->len += got;
    out->data[out->len] = 0;
    if (out->len > bytes_max) {
      st = tl_fail(err, TL_ELIMIT, "'%s' is larger than %zu bytes", path, bytes_max);
      break;
    }
    if (got < chunk) break;
  }
  tl_io_close(fd, path, NULL);
  return st;
}

tl_status tl_io_replace(const char *path, const void *data, size_t len, tl_error *err) {
  static atomic_uint serial;
  tl_buf aside = {0};
  int fd = -1;
  bool made = false;
  tl_status st = tl_io_mkdir_parents(path, err);
  if (st) return st;
  const char *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path;
  st = tl_buf_appendf(&aside, err, "%.*s.%s.%d-%u.tmp", (int)(name - path), path, name, (int)getpid(),
                      atomic_fetch_add(&serial, 1));
  if (st) goto done;
  if ((st = tl_io_open(aside.data, O_WRONLY | O_CREAT | O_TRUNC, 0644, &fd, err)) != TL_OK) goto done;
  made = true;
  if ((st = tl_io_write(fd, aside.data, data, len, err)) != TL_OK) goto done;
  if ((st = tl_io_fsync(fd, aside.data, err)) != TL_OK) goto done;
  if ((st = tl_io_rename(aside.data, path, err)) != TL_OK) goto done;
  made = false;
  tl_buf_clear(&aside);
  if (slash) st = tl_buf_append(&aside, path, slash == path ? 1 : (size_t)(slash - path), err);
  if (!st) st = tl_io_fsync_dir(slash ? aside.data : ".", err);
done:
  tl_io_close(fd, path, NULL);
  if (made) tl_io_unlink(aside.data, NULL);
  tl_buf_deinit(&aside);
  return st;
}

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

tl_status tl_io_list(const char *dir, tl_io_names *out, tl_error *err) {
  *out = (tl_io_names){0};
  int rc;
  DIR *handle = NULL;
  SEAM_RETRY(rc, (handle = opendir(dir)) ? 0 : -1);
  if (rc != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return tl_fail(err, TL_ENOTFOUND, "there is no folder '%s'", dir);
    return tl_fail_errno(err, errno, "cannot list '%s'", dir);
  }
  tl_status st = TL_OK;
  size_t capacity = 0;
  for (;;) {
    errno = 0;
    struct dirent *entry = readdir(handle);
    if (!entry) {
      if (errno) st = tl_fail_errno(err, errno, "cannot list '%s'", dir);
      break;
    }
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    if (out->count == capacity) {
      size_t more = capacity ? capacity * 2 : 16;
      char **grown = tl_realloc_array(out->names, more, sizeof *grown);
      if (!grown) {
        st = tl_fail(err, TL_ENOMEM, "cannot list '%s'", dir);
        break;
      }
      out->names = grown;
      capacity = more;
    }
    char *copy = tl_strdup(entry->d_name);
    if (!copy) {
      st = tl_fail(err, TL_ENOMEM, "cannot list '%s'", dir);
      break;
    }
    out->names[out->count++] = copy;
  }
  closedir(handle);
  if (st) tl_io_names_deinit(out);
  else if (out->count) qsort(out->names, out->count, sizeof *out->names, compare_names);
  return st;
}

void tl_io_names_deinit(tl_io_names *names) {
  for (size_t i = 0; i < names->count; i++) tl_free(names->names[i]);
  tl_free(names->names);
  *names = (tl_io_names){0};
}

const char *tl_io_temp(void) {
  const char *folder = getenv("TMPDIR");
  return folder && *folder ? folder : "/tmp";
}

tl_status tl_io_temp_folder(tl_buf *path, tl_error *err) {
  size_t before = path->len;
  tl_status st = tl_buf_appendf(path, err, "%s/ticklake-XXXXXX", tl_io_temp());
  if (st) return st;
  int rc;
  SEAM_RETRY(rc, mkdtemp(path->data + before) ? 0 : -1);
  if (rc == 0) return TL_OK;
  st = tl_fail_errno(err, errno, "cannot make a folder for temporary files in '%s'", tl_io_temp());
  path->len = before;
  path->data[before] = 0;
  return st;
}

static tl_status remove_entries(const char *path, tl_error *err) {
  tl_io_names names;
  tl_status st = tl_io_list(path, &names, err);
  if (st) return st == TL_ENOTFOUND ? TL_OK : st;
  for (size_t i = 0; !st && i < names.count; i++) {
    char *inner = tl_io_join(path, names.names[i]);
    st = inner ? tl_io_remove_tree(inner, err) : tl_fail(err, TL_ENOMEM, "cannot remove '%s'", path);
    tl_free(inner);
  }
  tl_io_names_deinit(&names);
  return st;
}

tl_status tl_io_remove_tree(const char *path, tl_error *err) {
  struct stat info;
  if (lstat(path, &info) != 0) return errno == ENOENT ? TL_OK : tl_fail_errno(err, errno, "cannot remove '%s'", path);
  if (!S_ISDIR(info.st_mode)) return tl_io_unlink(path, err);
  tl_status st = remove_entries(path, err);
  return st ? st : tl_io_rmdir(path, err);
}

tl_status tl_io_lock(int fd, const char *path, int64_t byte, tl_error *err) {
  struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
  int rc;
  SEAM_RETRY(rc, fcntl(fd, F_OFD_SETLKW, &range));
  return rc == 0 ? TL_OK : tl_fail_errno(err, errno, "cannot lock '%s'", path);
}

void tl_io_unlock(int fd, int64_t byte) {
  struct flock range = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
  fcntl(fd, F_OFD_SETLK, &range);
}

enum { TURN_POLL_NS = 5000000 };

int tl_io_turn(const char *folder, int64_t patience_ns) {
  int64_t until_ns = tl_clock_mono_ns() + patience_ns;
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if ((errno == EWOULDBLOCK || errno == EINTR) && tl_clock_mono_ns() < until_ns) {
      tl_clock_sleep_ns(TURN_POLL_NS);
      continue;
    }
    close(fd);
    fd = -1;
  }
  return fd;
}

void tl_io_turn_end(int turn) {
  if (turn >= 0) close(turn);
}

char *tl_io_join(const char *dir, const char *name) {
  size_t len = strlen(dir);
  while (len > 1 && dir[len - 1] == '/') len--;
  tl_buf path = {0};
  if (tl_buf_append(&path, dir, len, NULL) || (len && dir[len - 1] != '/' && tl_buf_append(&path, "/", 1, NULL)) ||
      tl_buf_appends(&path, name, NULL)) {
    tl_buf_deinit(&path);
    return NULL;
  }
  return tl_buf_take(&path);
}
