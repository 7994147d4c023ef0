/* server.c - connections and their bytes.
 *
 * The first worker accepts and hands connections out in turn, each belongs to one worker for life. A connection reads
 * a request, sends its delivery, and reads the next. Deliveries that wait (slow first byte, stall, drip) are looked at
 * again when their time has come; the worker's sleep is bounded by the earliest of them. */
#include "sim/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "sim/text.h"

enum { HEAD_MAX = 64 << 10, BODY_MAX = 1 << 20, WORKERS_MAX = 16, EVENTS = 64, ENDLESS_BYTES_MAX = 64 << 20 };
#define IDLE_NS (120 * TL_NS_PER_S)

typedef struct connection {
  int fd;
  bool sending, close_after, want_write, broken;
  tl_buf in;
  size_t scanned; /* of `in`: no end of head before here */
  sim_delivery out;
  size_t sent, cut_at;
  int64_t started_ns, stalled_ns, wake_ns, idle_since_ns;
  struct connection *next, *previous;
} connection;

typedef struct worker {
  struct server *server;
  int epoll, wake;
  pthread_t thread;
  pthread_mutex_t inbox_lock;
  int inbox[256];
  size_t inbox_count;
  connection *connections;
  sim_packer *packer;
} worker;

typedef struct server {
  sim_responder *responder;
  int listener;
  unsigned worker_count, next_worker;
  atomic_bool stop;
  worker workers[WORKERS_MAX];
} server;

static void wake(worker *w) {
  uint64_t one = 1;
  ssize_t n = write(w->wake, &one, sizeof one);
  (void)n; /* a full counter wakes too */
}

/* ---- connections ---- */

static void connection_close(worker *w, connection *c, bool reset) {
  if (reset) {
    struct linger now = {1, 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  close(c->fd);
  if (c->next) c->next->previous = c->previous;
  if (c->previous) c->previous->next = c->next;
  if (w->connections == c) w->connections = c->next;
  sim_delivery_deinit(&c->out);
  tl_buf_deinit(&c->in);
  tl_free(c);
  sim_responder_connection(w->server->responder, -1);
}

static void connection_open(worker *w, int fd) {
  connection *c = tl_calloc(1, sizeof *c);
  int on = 1;
  if (!c) {
    close(fd);
    return;
  }
  c->fd = fd;
  c->idle_since_ns = tl_clock_mono_ns();
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
  if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event)) {
    close(fd);
    tl_free(c);
    return;
  }
  c->next = w->connections;
  if (c->next) c->next->previous = c;
  w->connections = c;
  sim_responder_connection(w->server->responder, 1);
}

static void want_write(worker *w, connection *c, bool want) {
  if (c->want_write == want) return;
  c->want_write = want;
  struct epoll_event event = {.events = want ? EPOLLIN | EPOLLOUT | EPOLLRDHUP : EPOLLIN | EPOLLRDHUP, .data.ptr = c};
  epoll_ctl(w->epoll, EPOLL_CTL_MOD, c->fd, &event);
}

/* ---- reading a request ---- */

static tl_text trim(tl_text t) {
  while (t.len && (t.data[0] == ' ' || t.data[0] == '\t')) t.data++, t.len--;
  while (t.len && (t.data[t.len - 1] == ' ' || t.data[t.len - 1] == '\t' || t.data[t.len - 1] == '\r')) t.len--;
  return t;
}

static bool is_named(tl_text name, const char *wanted) { return name.len == strlen(wanted) && strncasecmp(name.data, wanted, name.len) == 0; }

static bool contains_word(tl_text text, const char *word) {
  size_t n = strlen(word);
  for (size_t i = 0; i + n <= text.len; i++)
    if (strncasecmp(text.data + i, word, n) == 0) return true;
  return false;
}

typedef struct parsed {
  sim_request request;
  size_t used;    /* bytes of `in` this request takes */
  bool keep_alive;
  uint64_t body_len;
} parsed;

static bool read_line(parsed *p, tl_text line, bool first) {
  if (first) {
    const char *space = memchr(line.data, ' ', line.len), *last = memrchr(line.data, ' ', line.len);
    if (!space || space == last) return false;
    tl_text version = trim(tl_text_of(last + 1, line.len - (size_t)(last + 1 - line.data)));
    if (version.len != 8 || memcmp(version.data, "HTTP/1.", 7) || space[1] != '/') return false;
    p->request.method = tl_text_of(line.data, (size_t)(space - line.data));
    p->request.target_len = (size_t)(last - space - 1);
    p->request.target = (char *)(uintptr_t)space + 1; /* the connection's own bytes */
    p->keep_alive = version.data[7] != '0';
    return true;
  }
  const char *colon = memchr(line.data, ':', line.len);
  if (!colon) return false;
  tl_text name = {line.data, (size_t)(colon - line.data)}, value = trim(tl_text_of(colon + 1, line.len - name.len - 1));
  if (is_named(name, "APCA-API-KEY-ID")) p->request.key = value;
  if (is_named(name, "APCA-API-SECRET-KEY")) p->request.secret = value;
  if (is_named(name, "Authorization")) p->request.authorization = value;
  if (is_named(name, "Accept-Encoding")) p->request.accepts_gzip = contains_word(value, "gzip");
  if (is_named(name, "Connection") && contains_word(value, "close")) p->keep_alive = false;
  if (is_named(name, "Connection") && contains_word(value, "keep-alive")) p->keep_alive = true;
  if (is_named(name, "Content-Length") && (!sim_parse_u64(value.data, value.len, &p->body_len) || p->body_len > BODY_MAX)) return false;
  return !is_named(name, "Transfer-Encoding");
}

typedef enum readiness { INCOMPLETE, READY, BAD } readiness;

static readiness read_request(connection *c, parsed *p) {
  const char *data = c->in.data;
  size_t from = c->scanned > 3 ? c->scanned - 3 : 0;
  const char *end = c->in.len ? memmem(data + from, c->in.len - from, "\r\n\r\n", 4) : NULL;
  c->scanned = c->in.len;
  if (!end) return c->in.len > HEAD_MAX ? BAD : INCOMPLETE;
  size_t head = (size_t)(end - data) + 4;
  bool first = true;
  for (size_t at = 0; at + 2 < head;) {
    const char *stop = memmem(data + at, head - at, "\r\n", 2);
    if (!read_line(p, tl_text_of(data + at, (size_t)(stop - data) - at), first)) return BAD;
    first = false;
    at = (size_t)(stop - data) + 2;
  }
  if (first) return BAD;
  p->used = head + (size_t)p->body_len;
  if (c->in.len < p->used) {
    c->scanned = 0;
    return INCOMPLETE;
  }
  p->request.body = tl_text_of(data + head, (size_t)p->body_len);
  return READY;
}

/* ---- sending ---- */

static const char *reason(int status) {
  static const struct {
    int status;
    const char *words;
  } list[] = {{200, "OK"}, {301, "Moved Permanently"}, {302, "Found"}, {307, "Temporary Redirect"}, {308, "Permanent Redirect"}, {400, "Bad Request"},
              {401, "Unauthorized"}, {403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"}, {408, "Request Timeout"},
              {422, "Unprocessable Entity"}, {429, "Too Many Requests"}, {500, "Internal Server Error"}, {502, "Bad Gateway"},
              {503, "Service Unavailable"}, {504, "Gateway Timeout"}};
  for (size_t i = 0; i < sizeof list / sizeof *list; i++)
    if (list[i].status == status) return list[i].words;
  return "Unknown";
}

static tl_status print_head(connection *c, tl_error *err) {
  sim_delivery *d = &c->out;
  tl_status st = tl_buf_appendf(&d->head, err, "HTTP/1.1 %d %s\r\nServer: nginx\r\nContent-Type: %s\r\n%s%s", d->status, reason(d->status),
                                d->content_type ? d->content_type : "text/plain", d->gzip ? "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n" : "",
                                d->headers);
  if (!st && d->bad_chunks) st = tl_buf_appends(&d->head, "Transfer-Encoding: chunked\r\n", err);
  if (!st && !d->bad_chunks) st = tl_buf_appendf(&d->head, err, "Content-Length: %zu\r\n", sim_delivery_body(d).len);
  if (!st && c->close_after) st = tl_buf_appends(&d->head, "Connection: close\r\n", err);
  if (!st && !d->endless_headers) st = tl_buf_appends(&d->head, "\r\n", err);
  return st;
}

static void start_sending(connection *c) {
  sim_delivery *d = &c->out;
  c->sending = true;
  c->sent = 0;
  c->stalled_ns = 0;
  c->started_ns = tl_clock_mono_ns() + d->first_byte_ms * TL_NS_PER_MS;
  c->cut_at = d->cut_point == SIM_CUT_BEFORE ? 0 : d->cut_point == SIM_CUT_HEAD ? d->head.len / 2 : d->head.len + d->cut_after;
}

/* How many bytes of head and body may have left by now; *wake_ns when to look again, 0 for no need. */
static size_t bytes_due(connection *c, int64_t now, size_t total, int64_t *wake_ns) {
  sim_delivery *d = &c->out;
  size_t due = total;
  *wake_ns = 0;
  if (d->drip_per_s) {
    int64_t elapsed_ms = (now - c->started_ns) / TL_NS_PER_MS;
    size_t dripped = d->head.len + 1 + (size_t)((uint64_t)elapsed_ms * d->drip_per_s / 1000);
    if (dripped < due) {
      due = dripped;
      *wake_ns = now + (d->drip_per_s < 100 ? TL_NS_PER_S / (int64_t)d->drip_per_s : 10 * TL_NS_PER_MS);
    }
  }
  size_t stall_at = d->head.len + d->stall_after;
  if (d->stall_ms && due > stall_at) {
    if (!c->stalled_ns && c->sent >= stall_at) c->stalled_ns = now;
    int64_t until = c->stalled_ns + d->stall_ms * TL_NS_PER_MS;
    if (!c->stalled_ns || now < until) {
      due = stall_at;
      *wake_ns = c->stalled_ns ? until : now + TL_NS_PER_MS;
    }
  }
  return due;
}

typedef enum progress { WAITING, DONE, GONE } progress;

static progress send_endless(worker *w, connection *c) {
  char lines[4096];
  for (size_t i = 0; i < sizeof lines; i += 64) {
    memset(lines + i, 'a', 64);
    memcpy(lines + i, "X-More: ", 8);
    memcpy(lines + i + 62, "\r\n", 2);
  }
  while (c->sent < ENDLESS_BYTES_MAX) {
    size_t head = c->out.head.len;
    ssize_t n = c->sent < head ? send(c->fd, c->out.head.data + c->sent, head - c->sent, MSG_NOSIGNAL)
                               : send(c->fd, lines + (c->sent - head) % 64, sizeof lines - 64, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      want_write(w, c, true);
      return WAITING;
    }
    if (n < 0) return GONE;
    c->sent += (size_t)n;
  }
  return GONE;
}

static progress send_some(worker *w, connection *c) {
  sim_delivery *d = &c->out;
  tl_text body = sim_delivery_body(d);
  size_t total = d->head.len + body.len;
  if (d->cut && c->cut_at < total) total = c->cut_at;
  if (d->endless_headers) return send_endless(w, c);
  for (;;) {
    int64_t now = tl_clock_mono_ns();
    c->wake_ns = c->started_ns;
    size_t due = now < c->started_ns ? 0 : bytes_due(c, now, total, &c->wake_ns);
    if (c->sent >= total && now >= c->started_ns) return DONE;
    if (c->sent >= due) {
      want_write(w, c, false);
      return WAITING;
    }
    struct iovec parts[2] = {{0}};
    size_t head_left = c->sent < d->head.len ? d->head.len - c->sent : 0, body_sent = c->sent > d->head.len ? c->sent - d->head.len : 0;
    if (head_left > due - c->sent) head_left = due - c->sent;
    parts[0] = (struct iovec){d->head.data ? d->head.data + (c->sent < d->head.len ? c->sent : 0) : NULL, head_left};
    size_t body_due = due - c->sent - head_left;
    parts[1] = (struct iovec){body_due ? (char *)(uintptr_t)body.data + body_sent : NULL, body_due};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      want_write(w, c, true);
      return WAITING;
    }
    if (n < 0) return GONE;
    c->sent += (size_t)n;
  }
}

static tl_status answer_bad(connection *c, tl_error *err) {
  c->out.status = 400;
  c->out.content_type = "text/html";
  c->close_after = true;
  return tl_buf_appends(&c->out.own, "<html><head><title>400 Bad Request</title></head></html>\r\n", err);
}

/* Answers requests as long as there are whole ones. False: the connection is gone. */
static bool advance(worker *w, connection *c) {
  for (;;) {
    if (c->sending) {
      progress p = send_some(w, c);
      if (p == WAITING) return true;
      sim_responder_sent(w->server->responder, c->sent);
      bool reset = c->out.cut == SIM_CUT_RESET, stop = p == GONE || c->out.cut || c->close_after || c->out.bad_chunks;
      if (stop) {
        connection_close(w, c, reset);
        return false;
      }
      sim_delivery_deinit(&c->out);
      c->sending = false;
      c->wake_ns = 0;
      c->idle_since_ns = tl_clock_mono_ns();
      want_write(w, c, false);
    }
    parsed p = {.keep_alive = true};
    readiness ready = read_request(c, &p);
    if (ready == INCOMPLETE) {
      if (!c->broken) return true;
      connection_close(w, c, false);
      return false;
    }
    tl_status st = TL_OK;
    c->close_after = !p.keep_alive;
    st = ready == BAD ? answer_bad(c, NULL) : sim_respond(w->server->responder, w->packer, &p.request, &c->out, NULL);
    if (!st) st = print_head(c, NULL);
    if (st) {
      connection_close(w, c, true);
      return false;
    }
    size_t used = ready == BAD ? c->in.len : p.used;
    memmove(c->in.data, c->in.data + used, c->in.len - used);
    c->in.len -= used;
    c->scanned = 0;
    start_sending(c);
  }
}

/* False: the connection is gone. */
static bool receive(worker *w, connection *c) {
  for (;;) {
    if (c->in.len > HEAD_MAX + BODY_MAX || tl_buf_reserve(&c->in, 16384, NULL)) {
      connection_close(w, c, true);
      return false;
    }
    ssize_t n = recv(c->fd, c->in.data + c->in.len, 16384, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) {
      connection_close(w, c, false);
      return false;
    }
    if (n == 0) { /* it may have closed its half only: finish what is under way */
      c->broken = true;
      if (!c->sending && c->in.len == 0) {
        connection_close(w, c, false);
        return false;
      }
      if (c->sending) { /* nobody will read a delivery that waits */
        connection_close(w, c, false);
        return false;
      }
      break;
    }
    c->in.len += (size_t)n;
    if (n < 16384) break;
  }
  return true;
}

static void accept_all(server *s) {
  for (;;) {
    int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    worker *w = &s->workers[s->next_worker++ % s->worker_count];
    pthread_mutex_lock(&w->inbox_lock);
    bool room = w->inbox_count < sizeof w->inbox / sizeof *w->inbox;
    if (room) w->inbox[w->inbox_count++] = fd;
    pthread_mutex_unlock(&w->inbox_lock);
    if (!room) close(fd);
    wake(w);
  }
}

static void empty_inbox(worker *w) {
  int fds[256];
  uint64_t n;
  ssize_t got = read(w->wake, &n, sizeof n);
  (void)got;
  pthread_mutex_lock(&w->inbox_lock);
  size_t count = w->inbox_count;
  memcpy(fds, w->inbox, count * sizeof *fds);
  w->inbox_count = 0;
  pthread_mutex_unlock(&w->inbox_lock);
  for (size_t i = 0; i < count; i++) connection_open(w, fds[i]);
}

/* Looks at what waits for its time; answers how long the worker may sleep. */
static int run_timers(worker *w) {
  int64_t now = tl_clock_mono_ns(), earliest = now + TL_NS_PER_S;
  for (connection *c = w->connections, *next; c; c = next) {
    next = c->next;
    if (c->sending && c->wake_ns && c->wake_ns <= now && !advance(w, c)) continue;
    if (!c->sending && now - c->idle_since_ns > IDLE_NS) {
      connection_close(w, c, false);
      continue;
    }
    if (c->sending && c->wake_ns && c->wake_ns < earliest) earliest = c->wake_ns;
  }
  int64_t wait_ns = earliest - tl_clock_mono_ns();
  return wait_ns <= 0 ? 0 : (int)((wait_ns + TL_NS_PER_MS - 1) / TL_NS_PER_MS);
}

static void *work(void *argument) {
  worker *w = argument;
  server *s = w->server;
  while (!atomic_load(&s->stop)) {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(w->epoll, events, EVENTS, run_timers(w));
    for (int i = 0; i < n; i++) {
      void *who = events[i].data.ptr;
      if (who == w) {
        empty_inbox(w);
      } else if (who == s) {
        accept_all(s);
      } else {
        connection *c = who;
        bool readable = events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
        if (readable && !receive(w, c)) continue;
        advance(w, c);
      }
    }
  }
  while (w->connections) connection_close(w, w->connections, false);
  return NULL;
}

/* ---- start and stop ---- */

static tl_status listen_on(server *s, uint16_t port, uint16_t *bound, tl_error *err) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  int on = 1;
  s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (s->listener < 0) return tl_fail_errno(err, errno, "cannot make a socket");
  setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(s->listener, (struct sockaddr *)&address, sizeof address)) return tl_fail_errno(err, errno, "cannot listen on port %u", (unsigned)port);
  if (listen(s->listener, 1024)) return tl_fail_errno(err, errno, "cannot listen on port %u", (unsigned)port);
  if (getsockname(s->listener, (struct sockaddr *)&address, &len)) return tl_fail_errno(err, errno, "cannot read the port");
  *bound = ntohs(address.sin_port);
  return TL_OK;
}

static tl_status worker_open(server *s, worker *w, tl_error *err) {
  w->server = s;
  w->epoll = epoll_create1(EPOLL_CLOEXEC);
  w->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  pthread_mutex_init(&w->inbox_lock, NULL);
  if (w->epoll < 0 || w->wake < 0) return tl_fail_errno(err, errno, "cannot make an event queue");
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = w};
  if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake, &event)) return tl_fail_errno(err, errno, "cannot watch an event");
  if (w == s->workers) {
    event.data.ptr = s;
    if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, s->listener, &event)) return tl_fail_errno(err, errno, "cannot watch the socket");
  }
  return sim_packer_open(sim_responder_gzip_level(s->responder), &w->packer, err);
}

static void worker_close(worker *w) {
  if (w->epoll >= 0) close(w->epoll);
  if (w->wake >= 0) close(w->wake);
  for (size_t i = 0; i < w->inbox_count; i++) close(w->inbox[i]);
  sim_packer_close(w->packer);
  pthread_mutex_destroy(&w->inbox_lock);
}

static tl_status announce(uint16_t port, tl_error *err) {
  tl_buf line = {0};
  tl_status st = tl_buf_appendf(&line, err, "listening on http://127.0.0.1:%u\n", (unsigned)port);
  if (!st) st = tl_io_write(STDOUT_FILENO, "stdout", line.data, line.len, err);
  tl_buf_deinit(&line);
  return st;
}

tl_status sim_server_run(sim_responder *responder, uint16_t port, unsigned threads, tl_error *err) {
  server *s = tl_calloc(1, sizeof *s);
  sigset_t stop, before;
  unsigned opened = 0, started = 0;
  int got = 0;
  uint16_t bound = 0;
  if (!s) return tl_fail(err, TL_ENOMEM, "out of memory for the server");
  s->responder = responder;
  s->listener = -1;
  s->worker_count = threads < 1 ? 1 : threads > WORKERS_MAX ? WORKERS_MAX : threads;
  sigemptyset(&stop);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop, &before); /* inherited by the workers; only this thread waits for them */
  tl_status st = listen_on(s, port, &bound, err);
  while (!st && opened < s->worker_count) st = worker_open(s, &s->workers[opened++], err);
  for (; !st && started < s->worker_count; started++)
    if (pthread_create(&s->workers[started].thread, NULL, work, &s->workers[started])) {
      st = tl_fail(err, TL_ENOMEM, "cannot start a thread");
      break;
    }
  if (!st) st = announce(bound, err);
  if (!st) sigwait(&stop, &got);
  atomic_store(&s->stop, true);
  for (unsigned i = 0; i < started; i++) wake(&s->workers[i]);
  for (unsigned i = 0; i < started; i++) pthread_join(s->workers[i].thread, NULL);
  for (unsigned i = 0; i < opened; i++) worker_close(&s->workers[i]);
  if (s->listener >= 0) close(s->listener);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  tl_free(s);
  return st;
}
