/* log.c - the process-wide log. A line is built on the stack and written with one write(2). */
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"

enum { HIDDEN_MAX = 32, HIDDEN_BYTES_MIN = 4, LINE_BYTES = 2048 };

static struct {
  pthread_mutex_t lock;
  int fd; /* -1 for none */
  atomic_int stderr_level, file_level;
  char *hidden[HIDDEN_MAX];
  int hidden_count;
  void (*before)(void), (*after)(void);
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1, .stderr_level = TL_LOG_WARN, .file_level = TL_LOG_INFO};

static _Thread_local int worker_id;

tl_status tl_log_open_file(const char *path, tl_error *err) {
  int fd = -1;
  if (path) {
    tl_status st = tl_io_mkdir_parents(path, err);
    if (st) return st;
    fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return tl_fail(err, TL_EIO, "cannot open log file '%s'", path);
  }
  pthread_mutex_lock(&sink.lock);
  if (sink.fd >= 0) close(sink.fd);
  sink.fd = fd;
  pthread_mutex_unlock(&sink.lock);
  return TL_OK;
}

void tl_log_set_level(tl_log_level stderr_level, tl_log_level file_level) {
  atomic_store(&sink.stderr_level, (int)stderr_level);
  atomic_store(&sink.file_level, (int)file_level);
}

void tl_log_set_worker(int id) { worker_id = id; }

tl_status tl_log_hide(const char *secret, tl_error *err) {
  if (!secret || strlen(secret) < HIDDEN_BYTES_MIN) return TL_OK;
  tl_status st = TL_OK;
  pthread_mutex_lock(&sink.lock);
  for (int i = 0; i < sink.hidden_count; i++)
    if (!strcmp(sink.hidden[i], secret)) goto done;
  if (sink.hidden_count == HIDDEN_MAX) {
    st = tl_fail(err, TL_ELIMIT, "more than %d secrets are in use", HIDDEN_MAX);
    goto done;
  }
  char *copy = tl_strdup(secret);
  if (copy) sink.hidden[sink.hidden_count++] = copy;
  else st = tl_fail(err, TL_ENOMEM, "cannot keep a secret out of the log");
done:
  pthread_mutex_unlock(&sink.lock);
  return st;
}

static void redact_locked(char *text) {
  for (int i = 0; i < sink.hidden_count; i++)
    for (char *at = text; (at = strstr(at, sink.hidden[i])) != NULL;) {
      size_t len = strlen(sink.hidden[i]);
      memset(at, '*', len);
      at += len;
    }
}

void tl_log_redact(char *text) {
  pthread_mutex_lock(&sink.lock);
  redact_locked(text);
  pthread_mutex_unlock(&sink.lock);
}

int tl_log_enabled(tl_log_level level) {
  return (int)level <= atomic_load(&sink.stderr_level) || (sink.fd >= 0 && (int)level <= atomic_load(&sink.file_level));
}

static void write_line(int fd, const char *line, size_t len) {
  while (len) {
    ssize_t n = write(fd, line, len);
    if (n <= 0) return; /* a log that cannot be written must not stop the work */
    line += n;
    len -= (size_t)n;
  }
}

void tl_log(tl_log_level level, const char *format, ...) {
  if (!tl_log_enabled(level)) return;
  static const char *const names[] = {"ERROR", "WARN ", "INFO ", "DEBUG", "TRACE"};
  char line[LINE_BYTES];
  int64_t now_ns = tl_clock_now_ns();
  time_t seconds = (time_t)(now_ns / TL_NS_PER_S);
  struct tm utc;
  gmtime_r(&seconds, &utc);
  size_t used = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
  int n = snprintf(line + used, sizeof line - used, ".%03dZ %s ", (int)(now_ns % TL_NS_PER_S / TL_NS_PER_MS), names[level]);
  used += (size_t)n;
  if (worker_id) used += (size_t)snprintf(line + used, sizeof line - used, "[w%d] ", worker_id > 0 ? worker_id : 0);
  size_t prefix = used;
  va_list args;
  va_start(args, format);
  vsnprintf(line + used, sizeof line - used - 1, format, args);
  va_end(args);
  used = strlen(line);
  for (size_t i = prefix; i < used; i++)
    if ((unsigned char)line[i] < 0x20) line[i] = ' '; /* bytes from outside must not fake a second line */
  pthread_mutex_lock(&sink.lock);
  redact_locked(line + prefix);
  line[used++] = '\n';
  if ((int)level <= atomic_load(&sink.stderr_level)) {
    if (sink.before) sink.before();
    write_line(STDERR_FILENO, line, used);
    if (sink.after) sink.after();
  }
  if (sink.fd >= 0 && (int)level <= atomic_load(&sink.file_level)) write_line(sink.fd, line, used);
  pthread_mutex_unlock(&sink.lock);
}

void tl_log_set_hooks(void (*before)(void), void (*after)(void)) {
  pthread_mutex_lock(&sink.lock);
  sink.before = before;
  sink.after = after;
  pthread_mutex_unlock(&sink.lock);
}

void tl_log_close(void) {
  pthread_mutex_lock(&sink.lock);
  if (sink.fd >= 0) close(sink.fd);
  sink.fd = -1;
  for (int i = 0; i < sink.hidden_count; i++) {
    explicit_bzero(sink.hidden[i], strlen(sink.hidden[i]));
    tl_free(sink.hidden[i]);
    sink.hidden[i] = NULL;
  }
  sink.hidden_count = 0;
  pthread_mutex_unlock(&sink.lock);
}
