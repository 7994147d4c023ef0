/* meter.c - one line, drawn at most ten times a second:
 *  42% [########............] 1.2M rows  380k rows/s  12.3 req/s  0:03 ETA 0:04  16 in flight  1 failed */
#include "meter.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct {
  pthread_mutex_t lock;
  bool on, shown;
  char line[256];
} meter = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void short_number(double value, char *out, size_t size) {
  if (value >= 1e9) snprintf(out, size, "%.1fG", value / 1e9);
  else if (value >= 1e6) snprintf(out, size, "%.1fM", value / 1e6);
  else if (value >= 1e4) snprintf(out, size, "%.0fk", value / 1e3);
  else snprintf(out, size, "%.0f", value);
}

static void clock_text(double seconds, char *out, size_t size) {
  long s = (long)seconds;
  if (s >= 3600) snprintf(out, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  else snprintf(out, size, "%ld:%02ld", s / 60, s % 60);
}

static void draw(void) {
  struct winsize window = {0};
  size_t width = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 20 ? window.ws_col - 1u : 100;
  fprintf(stderr, "\r\033[K%.*s", (int)width, meter.line);
  fflush(stderr);
  meter.shown = true;
}

static void clear(void) {
  if (meter.shown) fprintf(stderr, "\r\033[K");
  fflush(stderr);
  meter.shown = false;
}

void cli_meter_start(bool on) { meter.on = on; }

void cli_meter_show(void *unused, const tl_progress *p) {
  (void)unused;
  if (!meter.on) return;
  double seconds = (double)p->elapsed_ns / 1e9, fraction = p->fraction < 0 ? 0 : p->fraction > 1 ? 1 : p->fraction;
  char rows[16], rate[16], elapsed[16], eta[16] = "?", bar[21], waiting[48] = "", failed[32] = "";
  short_number((double)p->rows, rows, sizeof rows);
  short_number(seconds > 0 ? (double)p->rows / seconds : 0, rate, sizeof rate);
  clock_text(seconds, elapsed, sizeof elapsed);
  if (fraction > 0.005) clock_text(seconds / fraction - seconds, eta, sizeof eta);
  for (int i = 0; i < 20; i++) bar[i] = i < (int)(fraction * 20) ? '#' : '.';
  bar[20] = 0;
  if (p->waiting_ns > 0) snprintf(waiting, sizeof waiting, "  rate limit: %.0f s", (double)p->waiting_ns / 1e9);
  if (p->symbols_failed) snprintf(failed, sizeof failed, "  %lld failed", (long long)p->symbols_failed);
  pthread_mutex_lock(&meter.lock);
  snprintf(meter.line, sizeof meter.line, "%3d%% [%s] %s rows  %s rows/s  %.1f req/s  %s ETA %s  %d in flight%s%s",
           (int)(fraction * 100), bar, rows, rate, seconds > 0 ? (double)p->requests / seconds : 0, elapsed, eta,
           (int)p->in_flight, failed, waiting);
  draw();
  pthread_mutex_unlock(&meter.lock);
}

void cli_meter_hide(void) {
  pthread_mutex_lock(&meter.lock);
  clear();
  pthread_mutex_unlock(&meter.lock);
}

void cli_meter_redraw(void) {
  pthread_mutex_lock(&meter.lock);
  if (meter.on && meter.line[0]) draw();
  pthread_mutex_unlock(&meter.lock);
}

void cli_meter_stop(void) {
  pthread_mutex_lock(&meter.lock);
  clear();
  meter.on = false;
  meter.line[0] = 0;
  pthread_mutex_unlock(&meter.lock);
}
