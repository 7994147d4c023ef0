/* secret.c - references to secrets, and keeping them in. No secret passes through memory that is not wiped. */
#include "config/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "config/settings.h"

enum { SECRET_BYTES_MAX = 4096 };
extern char **environ;

tl_status tl_secret_keep(const char *text, size_t len, tl_keep **out, tl_error *err) {
  static const char blanks[] = " \t\r\n";
  *out = NULL;
  for (; len && strchr(blanks, *text); len--) text++;
  while (len && strchr(blanks, text[len - 1])) len--;
  if (!len) return TL_OK;
  *out = tl_keep_text(text, len);
  if (!*out) return tl_fail(err, TL_ENOMEM, "cannot keep a key");
  tl_status st = tl_log_hide(tl_keep_data(*out), err);
  if (!st) return TL_OK;
  tl_keep_close(*out);
  *out = NULL;
  return st;
}

static tl_status keep_first_line(const char *text, size_t len, const char *where, tl_keep **out, tl_error *err) {
  const char *end = memchr(text, '\n', len);
  if (!end && len == SECRET_BYTES_MAX) return tl_fail(err, TL_EUSAGE, "%s: the key is longer than %d bytes", where, SECRET_BYTES_MAX);
  tl_status st = tl_secret_keep(text, end ? (size_t)(end - text) : len, out, err);
  return st || *out ? st : tl_fail(err, TL_EUSAGE, "%s: the key is empty", where);
}

static tl_status check_owner(int fd, const char *path, tl_error *err) {
  struct stat info;
  if (fstat(fd, &info) != 0) return tl_fail_errno(err, errno, "cannot look at '%s'", path);
  if (S_ISREG(info.st_mode) && (info.st_mode & (S_IRWXG | S_IRWXO)))
    return tl_fail(err, TL_EUSAGE, "'%s' holds a key and others may read it; run: chmod 600 '%s'", path, path);
  return TL_OK;
}

static tl_status owner_only(const char *path, tl_error *err) {
  int fd = -1;
  tl_status st = tl_io_open(path, O_RDONLY, 0, &fd, err);
  if (!st) st = check_owner(fd, path, err);
  tl_io_close(fd, path, NULL);
  return st;
}

static tl_status from_file(const char *path, const char *where, tl_keep **out, tl_error *err) {
  char text[SECRET_BYTES_MAX];
  size_t len = 0;
  int fd = -1;
  tl_status st = tl_io_open(path, O_RDONLY, 0, &fd, err);
  if (!st) st = check_owner(fd, path, err); /* of the very file that is read */
  if (!st) st = tl_io_pread(fd, path, text, sizeof text, 0, &len, err);
  if (!st) st = keep_first_line(text, len, where, out, err);
  else st = tl_fail_within(err, st == TL_ENOMEM ? st : TL_EUSAGE, "%s", where);
  tl_io_close(fd, path, NULL);
  explicit_bzero(text, sizeof text);
  return st;
}

/* Starts /bin/sh -c command with its output in *from. */
static int start(const char *command, pid_t *pid, int *from) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  posix_spawn_file_actions_t actions;
  int rc = posix_spawn_file_actions_init(&actions);
  if (!rc) rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (!rc) rc = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  char sh[] = "sh", c[] = "-c";
  char *arguments[] = {sh, c, (char *)(uintptr_t)command, NULL};
  if (!rc) rc = posix_spawn(pid, "/bin/sh", &actions, NULL, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (rc) close(ends[0]);
  else *from = ends[0];
  return rc;
}

static tl_status from_command(const char *command, const char *where, tl_keep **out, tl_error *err) {
  char text[SECRET_BYTES_MAX];
  pid_t pid = 0;
  int from = -1, ended = 0;
  int rc = start(command, &pid, &from);
  if (rc) return tl_fail_errno(err, rc, "%s: cannot run the command that should print the key", where);
  size_t len = 0;
  for (ssize_t n; len < sizeof text && ((n = read(from, text + len, sizeof text - len)) > 0 || (n < 0 && errno == EINTR));)
    if (n > 0) len += (size_t)n;
  close(from);
  while (waitpid(pid, &ended, 0) < 0 && errno == EINTR) {
  }
  tl_status st = TL_OK;
  if (len < sizeof text && !(WIFEXITED(ended) && WEXITSTATUS(ended) == 0))
    st = tl_fail(err, TL_EUSAGE, "%s: the command that should print the key failed with %s %d", where,
                 WIFEXITED(ended) ? "exit code" : "signal", WIFEXITED(ended) ? WEXITSTATUS(ended) : WTERMSIG(ended));
  if (!st) st = keep_first_line(text, len, where, out, err);
  explicit_bzero(text, sizeof text);
  return st;
}

static tl_status from_variable(const char *text, size_t len, const char *where, tl_keep **out, tl_error *err) {
  char name[128];
  if (len - 3 >= sizeof name) return tl_fail(err, TL_EUSAGE, "%s: the variable's name is too long", where);
  memcpy(name, text + 2, len - 3);
  name[len - 3] = 0;
  const char *found = getenv(name);
  if (!found || !*found) return tl_fail(err, TL_EUSAGE, "%s: the variable '%s' is not set", where, name);
  return tl_secret_keep(found, strlen(found), out, err);
}

tl_status tl_secret_resolve(const char *text, const char *file, const char *where, tl_keep **out, tl_error *err) {
  size_t len = strlen(text);
  if (len > 3 && !strncmp(text, "${", 2) && text[len - 1] == '}') return from_variable(text, len, where, out, err);
  if (!strncmp(text, "file:", 5)) return from_file(text + 5, where, out, err);
  if (!strncmp(text, "cmd:", 4)) return from_command(text + 4, where, out, err);
  if (!strncmp(text, "aws-sm:", 7))
    return tl_fail(err, TL_EUSAGE, "%s: 'aws-sm:' is not known to this version; write cmd:aws secretsmanager get-secret-value ...", where);
  tl_status st = owner_only(file, err);
  return st ? st : tl_secret_keep(text, len, out, err);
}

void tl_settings_harden(void) {
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
}
