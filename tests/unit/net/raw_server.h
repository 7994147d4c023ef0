/* raw_server.h - a loopback server of scripted bytes for tests: every request is handed to the test's own function,
 * which writes whatever it likes, right or wrong, and closes or resets at will. A thread per connection. It uses plain
 * malloc, so counts and faults of base/alloc never touch it. */
#ifndef TL_TESTS_RAW_SERVER_H
#define TL_TESTS_RAW_SERVER_H
#include <arpa/inet.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RAW_CONNECTIONS_MAX = 4096 };

typedef struct raw_server raw_server;
typedef struct raw_request {
  raw_server *server;
  int fd, index;     /* index: from 0, over all connections */
  const char *text;  /* request line and headers */
  char target[2048]; /* path and query */
} raw_request;

/* True: keep the connection for the next request. */
typedef bool (*raw_handler)(raw_request *request);

struct raw_server {
  raw_handler handler;
  void *user;
  int listen_fd, port;
  char endpoint[64];
  atomic_int requests, connections, busy, busy_max; /* busy: requests being answered */
  atomic_bool stop;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_t threads[RAW_CONNECTIONS_MAX];
  int fds[RAW_CONNECTIONS_MAX]; /* -1: closed */
};

static inline void raw_write(raw_request *r, const void *data, size_t len) {
  for (const char *at = data; len;) {
    ssize_t n = send(r->fd, at, len, MSG_NOSIGNAL);
    if (n <= 0) return;
    at += n;
    len -= (size_t)n;
  }
}

__attribute__((format(printf, 2, 3))) static inline void raw_printf(raw_request *r, const char *format, ...) {
  char text[8192];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  raw_write(r, text, (size_t)n);
}

/* A plain answer; `headers` are whole lines ending in \r\n, or "". */
static inline void raw_answer(raw_request *r, int code, const char *headers, const char *body) {
  raw_printf(r, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n", code, strlen(body), headers);
  raw_write(r, body, strlen(body));
}

static inline bool raw_reset(raw_request *r) { /* RST instead of FIN */
  setsockopt(r->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
  return false;
}

static inline void raw_sleep_ms(raw_request *r, int ms) { /* ends early when the server stops */
  for (; ms > 0 && !atomic_load(&r->server->stop); ms -= 5) usleep(5000);
}

typedef struct raw_connection {
  raw_server *server;
  int slot;
} raw_connection;

static inline void *raw_connection_run(void *argument) {
  raw_connection c = *(raw_connection *)argument;
  free(argument);
  raw_server *s = c.server;
  int fd = s->fds[c.slot];
  char text[16384];
  size_t used = 0;
  for (bool keep = true; keep;) {
    text[used] = 0;
    char *end = strstr(text, "\r\n\r\n");
    if (!end) {
      ssize_t n = recv(fd, text + used, sizeof text - 1 - used, 0);
      if (n <= 0) break;
      used += (size_t)n;
      continue;
    }
    raw_request r = {.server = s, .fd = fd, .index = atomic_fetch_add(&s->requests, 1), .text = text};
    sscanf(text, "%*s %2047s", r.target);
    int busy = atomic_fetch_add(&s->busy, 1) + 1;
    for (int max = atomic_load(&s->busy_max); busy > max && !atomic_compare_exchange_weak(&s->busy_max, &max, busy);) {
    }
    end[2] = 0;
    keep = s->handler(&r);
    atomic_fetch_sub(&s->busy, 1);
    size_t taken = (size_t)(end + 4 - text);
    memmove(text, text + taken, used - taken);
    used -= taken;
  }
  pthread_mutex_lock(&s->lock);
  s->fds[c.slot] = -1;
  pthread_mutex_unlock(&s->lock);
  close(fd);
  return NULL;
}

static inline void *raw_server_run(void *argument) {
  raw_server *s = argument;
  for (;;) {
    int fd = accept(s->listen_fd, NULL, NULL);
    if (fd < 0) return NULL;
    pthread_mutex_lock(&s->lock);
    int slot = atomic_load(&s->connections);
    if (atomic_load(&s->stop) || slot == RAW_CONNECTIONS_MAX) {
      close(fd);
    } else {
      raw_connection *c = malloc(sizeof *c);
      *c = (raw_connection){s, slot};
      s->fds[slot] = fd;
      pthread_create(&s->threads[slot], NULL, raw_connection_run, c);
      atomic_store(&s->connections, slot + 1);
    }
    pthread_mutex_unlock(&s->lock);
  }
}

static inline raw_server *raw_server_open(raw_handler handler, void *user) {
  raw_server *s = calloc(1, sizeof *s);
  s->handler = handler;
  s->user = user;
  pthread_mutex_init(&s->lock, NULL);
  s->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  if (bind(s->listen_fd, (struct sockaddr *)&at, len) || listen(s->listen_fd, 256) || getsockname(s->listen_fd, (struct sockaddr *)&at, &len))
    abort();
  s->port = ntohs(at.sin_port);
  snprintf(s->endpoint, sizeof s->endpoint, "http://127.0.0.1:%d", s->port);
  pthread_create(&s->thread, NULL, raw_server_run, s);
  return s;
}

static inline void raw_server_close(raw_server *s) {
  atomic_store(&s->stop, true);
  shutdown(s->listen_fd, SHUT_RDWR);
  pthread_join(s->thread, NULL);
  close(s->listen_fd);
  pthread_mutex_lock(&s->lock);
  for (int i = 0; i < atomic_load(&s->connections); i++)
    if (s->fds[i] >= 0) shutdown(s->fds[i], SHUT_RDWR);
  pthread_mutex_unlock(&s->lock);
  for (int i = 0; i < atomic_load(&s->connections); i++) pthread_join(s->threads[i], NULL);
  pthread_mutex_destroy(&s->lock);
  free(s);
}
#endif
