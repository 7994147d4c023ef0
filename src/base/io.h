/* io.h - the only file-system calls. Each goes through seam "disk", so every one can be made to fail or to be the
 * last thing a process did. EINTR and short reads/writes are dealt with here. Errors name the path. Thread-safe.
 * Durability: tl_io_replace is write aside, fsync, rename, fsync the folder; readers never see half a file. */
#ifndef TL_BASE_IO_H
#define TL_BASE_IO_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

typedef struct tl_io_info {
  int64_t size_bytes, mtime_ns;
  uint64_t device, inode;
  bool is_dir, is_file; /* neither: a device, a pipe, a socket */
} tl_io_info;

tl_status tl_io_open(const char *path, int flags, int mode, int *fd, tl_error *err); /* open(2); O_CLOEXEC added */
tl_status tl_io_close(int fd, const char *path, tl_error *err);                      /* fd -1 is fine */
tl_status tl_io_write(int fd, const char *path, const void *data, size_t len, tl_error *err); /* EPIPE: TL_ECANCELED */
tl_status tl_io_pwrite(int fd, const char *path, const void *data, size_t len, int64_t offset, tl_error *err);
tl_status tl_io_pread(int fd, const char *path, void *data, size_t len, int64_t offset, size_t *got, tl_error *err);
tl_status tl_io_fsync(int fd, const char *path, tl_error *err);
tl_status tl_io_fsync_dir(const char *dir, tl_error *err);
tl_status tl_io_rename(const char *from, const char *to, tl_error *err);
tl_status tl_io_link(const char *from, const char *to, tl_error *err); /* TL_ECONFLICT when `to` exists */
tl_status tl_io_unlink(const char *path, tl_error *err);               /* TL_OK when it is not there */
tl_status tl_io_rmdir(const char *path, tl_error *err);                /* TL_OK when not there or not empty */
tl_status tl_io_mkdirs(const char *dir, tl_error *err);                /* mkdir -p, new folders fsynced in their parent */
tl_status tl_io_mkdir_parents(const char *path, tl_error *err);        /* mkdir -p of the folder that holds path */
tl_status tl_io_stat(const char *path, tl_io_info *out, tl_error *err); /* TL_ENOTFOUND when there is none */
tl_status tl_io_stat_open(int fd, const char *path, tl_io_info *out, tl_error *err); /* of the very file that is open */
tl_status tl_io_set_mtime(int fd, const char *path, int64_t mtime_ns, tl_error *err);
tl_status tl_io_read_file(const char *path, size_t bytes_max, tl_buf *out, tl_error *err); /* TL_ELIMIT over the limit */
tl_status tl_io_replace(const char *path, const void *data, size_t len, tl_error *err);    /* whole file, atomically */

/* Entries of one folder in byte order, without . and .., names only. TL_ENOTFOUND when it is not there. */
typedef struct tl_io_names {
  char **names;
  size_t count;
} tl_io_names;
tl_status tl_io_list(const char *dir, tl_io_names *out, tl_error *err);
void tl_io_names_deinit(tl_io_names *names);

const char *tl_io_temp(void); /* TMPDIR, else /tmp */
/* A folder of one's own below TMPDIR, else /tmp: its path appended. Only the user may look into it. */
tl_status tl_io_temp_folder(tl_buf *path, tl_error *err);
tl_status tl_io_remove_tree(const char *path, tl_error *err); /* rm -r; links are not followed; TL_OK when it is not there */

/* Advisory exclusive lock on one byte of a lock file (an open-file-description lock: works between threads and
 * processes, and dies with its holder). tl_io_lock waits; tl_io_unlock releases. */
tl_status tl_io_lock(int fd, const char *path, int64_t byte, tl_error *err);
void tl_io_unlock(int fd, int64_t byte);

/* A turn among those who ask for one in this folder (flock on the folder itself, so no file is left). Waits at most patience_ns.
 * -1: none was had; the caller goes on without, for a turn only spares others' work. End it with tl_io_turn_end; -1 is fine. */
int tl_io_turn(const char *folder, int64_t patience_ns);
void tl_io_turn_end(int turn);

/* "dir/name" on the heap; NULL when memory ran out. */
char *tl_io_join(const char *dir, const char *name);
#endif
