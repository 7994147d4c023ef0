/* simulate.c - the command line of `ticklake simulate`. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "sim/days.h"
#include "sim/server.h"
#include "sim/sim.h"
#include "sim/text.h"

static const char usage[] =
    "usage: ticklake simulate [options]\n"
    "\n"
    "A double of Alpaca's market-data API on http://127.0.0.1. Same URLs, parameters, pages and refusals; invented data.\n"
    "\n"
    "  --port N                 port to listen on (default 8321; 0: any free one)\n"
    "  --seed N                 another market (default 1)\n"
    "  --rate N/min             requests a minute and key before 429 (default 10000/min)\n"
    "  --faults FILE            fault script, see docs/simulator.md\n"
    "  --key K --secret S       the only credentials taken (default: any)\n"
    "  --realtime               the newest 15 minutes of SIP data may be asked for\n"
    "  --token-style new|old    bar tokens name the next row (new, default) or the last one delivered\n"
    "  --empty-last-page        the last page with rows leads to an empty one\n"
    "  --latency MS             wait before each answer (default 0)\n"
    "  --density F              times trades and quotes (default 1)\n"
    "  --trades-per-second N    mean over the regular session, every symbol alike (default: by symbol)\n"
    "  --quotes-per-second N    likewise\n"
    "  --threads N              threads that serve (default 2)\n"
    "  --gzip-level N           1 to 6 (default 1)\n"
    "  --cache-bytes N          memory for finished pages (default 268435456)\n"
    "  --now TIME               pretend it is TIME (RFC 3339) when the simulator starts\n";

typedef struct choice {
  sim_options options;
  uint16_t port;
  unsigned threads;
  tl_buf faults;
  bool help;
} choice;

static tl_status number(const char *option, const char *text, uint64_t low, uint64_t high, uint64_t *out, tl_error *err) {
  if (sim_parse_u64(text, strlen(text), out) && *out >= low && *out <= high) return TL_OK;
  return tl_fail(err, TL_EUSAGE, "'%s %s': give a whole number from %llu to %llu", option, text, (unsigned long long)low, (unsigned long long)high);
}

/* "2.5" as 2500; at most three decimals. */
static tl_status thousandths(const char *option, const char *text, uint32_t *out, tl_error *err) {
  const char *dot = strchr(text, '.');
  size_t whole_len = dot ? (size_t)(dot - text) : strlen(text), decimals = dot ? strlen(dot + 1) : 0;
  uint64_t whole = 0, fraction = 0;
  bool good = sim_parse_u64(text, whole_len, &whole) && whole <= 1000 && decimals <= 3 && (!decimals || sim_parse_u64(dot + 1, decimals, &fraction));
  if (!good) return tl_fail(err, TL_EUSAGE, "'%s %s': give a number from 0.001 to 1000", option, text);
  for (size_t i = decimals; i < 3; i++) fraction *= 10;
  *out = (uint32_t)(whole * 1000 + fraction);
  return *out ? TL_OK : tl_fail(err, TL_EUSAGE, "'%s %s': give a number from 0.001 to 1000", option, text);
}

static tl_status read_rate(const char *text, uint32_t *out, tl_error *err) {
  size_t len = strlen(text);
  uint64_t n = 0;
  if (len > 4 && strcmp(text + len - 4, "/min") == 0) len -= 4;
  if (!sim_parse_u64(text, len, &n) || n < 1 || n > 100000000) return tl_fail(err, TL_EUSAGE, "'--rate %s': give N or N/min", text);
  *out = (uint32_t)n;
  return TL_OK;
}

/* Options with a value. */
static tl_status take_value(choice *c, const char *option, const char *value, tl_error *err) {
  sim_options *o = &c->options;
  uint64_t n = 0;
  tl_status st = TL_OK;
  if (strcmp(option, "--port") == 0) {
    st = number(option, value, 0, 65535, &n, err);
    c->port = (uint16_t)n;
  } else if (strcmp(option, "--seed") == 0) {
    st = number(option, value, 0, UINT64_MAX, &o->settings.world.seed, err);
  } else if (strcmp(option, "--rate") == 0) {
    st = read_rate(value, &o->rate_per_minute, err);
  } else if (strcmp(option, "--faults") == 0) {
    st = tl_io_read_file(value, 1 << 20, &c->faults, err);
  } else if (strcmp(option, "--key") == 0) {
    o->settings.key = value;
  } else if (strcmp(option, "--secret") == 0) {
    o->settings.secret = value;
  } else if (strcmp(option, "--token-style") == 0) {
    o->settings.old_tokens = strcmp(value, "old") == 0;
    if (!o->settings.old_tokens && strcmp(value, "new")) st = tl_fail(err, TL_EUSAGE, "'--token-style %s': give new or old", value);
  } else if (strcmp(option, "--latency") == 0) {
    st = number(option, value, 0, 600000, &n, err);
    o->latency_ms = (int64_t)n;
  } else if (strcmp(option, "--density") == 0) {
    st = thousandths(option, value, &o->settings.world.trade_density_e3, err);
    o->settings.world.quote_density_e3 = o->settings.world.trade_density_e3;
  } else if (strcmp(option, "--trades-per-second") == 0) {
    st = number(option, value, 1, 1000000, &n, err);
    o->settings.world.trades_per_second = (uint32_t)n;
  } else if (strcmp(option, "--quotes-per-second") == 0) {
    st = number(option, value, 1, 1000000, &n, err);
    o->settings.world.quotes_per_second = (uint32_t)n;
  } else if (strcmp(option, "--threads") == 0) {
    st = number(option, value, 1, 16, &n, err);
    c->threads = (unsigned)n;
  } else if (strcmp(option, "--gzip-level") == 0) {
    st = number(option, value, 1, 6, &n, err);
    o->gzip_level = (int)n;
  } else if (strcmp(option, "--cache-bytes") == 0) {
    st = number(option, value, 0, INT64_MAX, &n, err);
    o->cache_bytes = (size_t)n;
  } else if (strcmp(option, "--now") == 0) {
    int64_t t;
    if (!sim_time_parse(value, strlen(value), &t)) return tl_fail(err, TL_EUSAGE, "'--now %s': give a time like 2024-11-04T15:00:00Z", value);
    o->clock_shift_ns = t - tl_clock_now_ns();
  } else {
    st = tl_fail(err, TL_EUSAGE, "unknown option '%s'; see ticklake simulate --help", option);
  }
  return st;
}

static tl_status read_arguments(choice *c, int argc, char **argv, tl_error *err) {
  for (int i = 1; i < argc; i++) {
    char name[64];
    const char *equals = strchr(argv[i], '='), *value = equals ? equals + 1 : NULL;
    size_t len = equals ? (size_t)(equals - argv[i]) : strlen(argv[i]);
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      c->help = true;
      return TL_OK;
    }
    if (strcmp(argv[i], "--realtime") == 0) {
      c->options.settings.realtime = true;
      continue;
    }
    if (strcmp(argv[i], "--empty-last-page") == 0) {
      c->options.settings.empty_last_page = true;
      continue;
    }
    if (len >= sizeof name) len = sizeof name - 1;
    memcpy(name, argv[i], len);
    name[len] = 0;
    if (!value && i + 1 < argc && strncmp(name, "--", 2) == 0) value = argv[++i];
    if (!value) return tl_fail(err, TL_EUSAGE, "option '%s' needs a value or is unknown; see ticklake simulate --help", name);
    tl_status st = take_value(c, name, value, err);
    if (st) return st;
  }
  return TL_OK;
}

static tl_status run(choice *c, tl_error *err) {
  sim_responder *responder = NULL;
  tl_status st = sim_responder_open(&c->options, &responder, err);
  if (!st) st = sim_server_run(responder, c->port, c->threads, err);
  sim_responder_close(responder);
  return st;
}

int sim_main(int argc, char **argv) {
  choice c = {.port = 8321, .threads = 2};
  c.options = (sim_options){.rate_per_minute = 10000, .gzip_level = 1, .cache_bytes = 256u << 20};
  c.options.settings.world = (sim_world){.seed = 1, .trade_density_e3 = 1000, .quote_density_e3 = 1000};
  tl_error err = {0};
  tl_status st = read_arguments(&c, argc, argv, &err);
  if (!st && c.help) {
    st = tl_io_write(STDOUT_FILENO, "stdout", usage, sizeof usage - 1, &err);
  } else if (!st) {
    c.options.faults = c.faults.data;
    st = run(&c, &err);
  }
  if (st) {
    static const char lead[] = "ticklake simulate: ";
    (void)tl_io_write(STDERR_FILENO, "stderr", lead, sizeof lead - 1, NULL);
    (void)tl_io_write(STDERR_FILENO, "stderr", err.message, strlen(err.message), NULL);
    (void)tl_io_write(STDERR_FILENO, "stderr", "\n", 1, NULL);
  }
  tl_buf_deinit(&c.faults);
  return st == TL_OK ? 0 : st == TL_EUSAGE ? 2 : 1;
}
