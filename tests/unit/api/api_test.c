/* api_test.c - libticklake as a program of somebody else's sees it: only include/ticklake, and the vendor's simulator as
 * another process. The truth: the simulator's own JSON, taken with a bare socket and read by looking for words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ticklake/ticklake.h"

static pid_t simulator;
static unsigned short port;
static char endpoint[64], folder[64], lake_path[96];
static tl_error err;

#define OK(call) do { if ((call) != TL_OK) fail_msg("%s: %s", #call, err.message); } while (0)

/* ---- the simulator ---- */

static void program_path(char out[4096]) {
  const char *given = getenv("TICKLAKE_BIN");
  if (given) {
    snprintf(out, 4096, "%s", given);
    return;
  }
  ssize_t len = readlink("/proc/self/exe", out, 4000); /* BUILD/tests/unit.api.api */
  assert_true(len > 0);
  out[len] = 0;
  for (int up = 0; up < 2; up++) *strrchr(out, '/') = 0;
  strncat(out, "/ticklake", 95);
}

static int start_simulator(void **state) {
  (void)state;
  char program[4096], line[200] = "";
  int out[2];
  program_path(program);
  if (pipe(out)) return 1;
  simulator = fork();
  if (simulator == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out[1], 1);
    close(out[0]);
    execl(program, program, "simulate", "--port", "0", "--seed", "7", "--density", "0.05", "--rate", "1000000", (char *)NULL);
    _exit(127);
  }
  close(out[1]);
  for (size_t len = 0; len + 1 < sizeof line && !strchr(line, '\n');) {
    ssize_t n = read(out[0], line + len, 1);
    if (n <= 0) break;
    len += (size_t)n;
  }
  const char *colon = strrchr(line, ':');
  if (!colon) return 1;
  port = (unsigned short)strtol(colon + 1, NULL, 10);
  snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u", port);
  static const char *const names[] = {"TICKLAKE_LAKE", "TICKLAKE_ALPACA_ENDPOINT", "APCA_API_KEY_ID", "APCA_API_SECRET_KEY"};
  for (size_t i = 0; i < 4; i++) unsetenv(names[i]);
  return port == 0;
}

static int stop_simulator(void **state) {
  (void)state;
  kill(simulator, SIGTERM);
  waitpid(simulator, NULL, 0);
  return 0;
}

/* The body of the answer; the caller frees it. */
static char *ask(const char *method, const char *target, const char *body) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  char request[1000];
  int len = snprintf(request, sizeof request,
                     "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAPCA-API-KEY-ID: k\r\nAPCA-API-SECRET-KEY: s\r\nConnection: close\r\n"
                     "Content-Length: %zu\r\n\r\n%s", method, target, strlen(body), body);
  assert_true(write(fd, request, (size_t)len) == len);
  size_t got = 0, size = 1 << 20;
  char *text = malloc(size);
  for (ssize_t n; (n = read(fd, text + got, size - got - 1)) > 0;) {
    got += (size_t)n;
    if (got + 1 == size) text = realloc(text, size *= 2);
  }
  close(fd);
  text[got] = 0;
  char *start = strstr(text, "\r\n\r\n");
  assert_non_null(start);
  memmove(text, start + 4, strlen(start + 4) + 1);
  return text;
}

static void set_faults(const char *script) { free(ask("POST", "/_sim/faults", script)); }

static long requests_so_far(void) {
  char *text = ask("GET", "/_sim/stats", "");
  char *at = strstr(text, "\"requests\":");
  assert_non_null(at);
  long count = strtol(at + 11, NULL, 10);
  free(text);
  return count;
}

typedef struct bar {
  char symbol[16];
  int64_t us, volume;
  double open, close;
} bar;

static double number_after(const char *object, const char *name) {
  const char *at = strstr(object, name);
  assert_non_null(at);
  return strtod(at + strlen(name), NULL);
}

/* Minute bars of a UTC stretch as the simulator states them, symbol by symbol. */
static size_t true_bars(const char *symbols, const char *start, const char *end, bar *out, size_t most) {
  char target[400];
  snprintf(target, sizeof target, "/v2/stocks/bars?symbols=%s&timeframe=1Min&start=%s&end=%s&limit=10000&feed=sip", symbols, start, end);
  char *text = ask("GET", target, "");
  assert_non_null(strstr(text, "\"next_page_token\":null"));
  size_t count = 0;
  char symbol[16] = "";
  for (char *at = strstr(text, "{\"bars\":{") + 9; *at && *at != '}';) {
    if (*at == '"') {
      sscanf(at, "\"%15[^\"]\"", symbol);
      at = strchr(at, '[') + 1;
    } else if (*at == '{') {
      assert_true(count < most);
      struct tm t = {0};
      bar *b = &out[count++];
      assert_non_null(strptime(strstr(at, "\"t\":\"") + 5, "%Y-%m-%dT%H:%M:%SZ", &t));
      snprintf(b->symbol, sizeof b->symbol, "%s", symbol);
      b->us = (int64_t)timegm(&t) * 1000000;
      b->open = number_after(at, "\"o\":");
      b->close = number_after(at, "\"c\":");
      b->volume = (int64_t)number_after(at, "\"v\":");
      at = strchr(at, '}') + 1;
    } else {
      at++;
    }
  }
  free(text);
  return count;
}

/* ---- a lake of one's own for each test ---- */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *at) {
  (void)info, (void)type, (void)at;
  return remove(path);
}

static int make_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/tl-api-XXXXXX");
  if (!mkdtemp(folder)) return 1;
  snprintf(lake_path, sizeof lake_path, "%s/lake", folder);
  setenv("TICKLAKE_STATE", folder, 1);
  set_faults("");
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  return nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static tl_lake *open_lake(void) {
  tl_lake *lake = NULL;
  OK(tl_lake_open(&(tl_lake_options){.size = sizeof(tl_lake_options), .path = lake_path}, &lake, &err));
  return lake;
}

#define START "2024-01-03T14:30:00Z"
#define END "2024-01-03T16:30:00Z"
#define LAST "2024-01-03T16:29:00Z" /* the vendor's end is inclusive */
enum { BARS_MOST = 2000 };

static tl_import_options two_hours(void) {
  tl_import_options o = tl_import_options_default();
  o.kind = "1m";
  o.symbols = "AAPL,MSFT";
  o.start = START;
  o.end = END;
  o.endpoint = endpoint;
  return o;
}

static tl_import_totals import_rows(tl_lake *lake, const tl_import_options *o) {
  tl_import_result *result = NULL;
  tl_import_totals totals = {.size = sizeof totals};
  OK(tl_lake_import(lake, o, &result, &err));
  tl_import_result_totals(result, &totals);
  tl_import_result_free(result);
  return totals;
}

/* ---- Arrow by hand ---- */

static int column_of(const struct ArrowSchema *schema, const char *name) {
  for (int64_t i = 0; i < schema->n_children; i++)
    if (!strcmp(schema->children[i]->name, name)) return (int)i;
  fail_msg("there is no column '%s'", name);
  return -1;
}

static const void *values_of(const struct ArrowArray *array, int column, int buffer) {
  return array->children[column]->buffers[buffer];
}

static size_t read_bars(struct ArrowArrayStream *stream, bar *out, size_t most) {
  struct ArrowSchema schema;
  struct ArrowArray array;
  size_t count = 0;
  assert_int_equal(stream->get_schema(stream, &schema), 0);
  int symbol = column_of(&schema, "symbol"), time = column_of(&schema, "timestamp"), open = column_of(&schema, "open"),
      close_at = column_of(&schema, "close"), volume = column_of(&schema, "volume");
  assert_string_equal(schema.format, "+s");
  assert_string_equal(schema.children[symbol]->format, "u");
  assert_string_equal(schema.children[time]->format, "tsu:UTC");
  assert_string_equal(schema.children[open]->format, "g");
  assert_string_equal(schema.children[volume]->format, "l");
  for (;;) {
    assert_int_equal(stream->get_next(stream, &array), 0);
    if (!array.release) break;
    for (int64_t i = 0; i < array.length; i++, count++) {
      assert_true(count < most);
      const int32_t *ends = (const int32_t *)values_of(&array, symbol, 1) + array.children[symbol]->offset;
      snprintf(out[count].symbol, sizeof out->symbol, "%.*s", ends[i + 1] - ends[i],
               (const char *)values_of(&array, symbol, 2) + ends[i]);
      out[count].us = ((const int64_t *)values_of(&array, time, 1))[array.children[time]->offset + i];
      out[count].open = ((const double *)values_of(&array, open, 1))[array.children[open]->offset + i];
      out[count].close = ((const double *)values_of(&array, close_at, 1))[array.children[close_at]->offset + i];
      out[count].volume = ((const int64_t *)values_of(&array, volume, 1))[array.children[volume]->offset + i];
    }
    array.release(&array);
    assert_null(array.release);
  }
  schema.release(&schema);
  assert_null(schema.release);
  stream->release(stream);
  assert_null(stream->release);
  return count;
}

static void expect_bars(const bar *got, size_t got_count, const bar *want, size_t want_count) {
  assert_int_equal(got_count, want_count);
  for (size_t i = 0; i < want_count; i++) {
    assert_string_equal(got[i].symbol, want[i].symbol);
    assert_int_equal(got[i].us, want[i].us);
    assert_true(got[i].open == want[i].open && got[i].close == want[i].close);
    assert_int_equal(got[i].volume, want[i].volume);
  }
}

static struct ArrowArrayStream open_stream(tl_lake *lake, const tl_read_options *o) {
  struct ArrowArrayStream stream;
  OK(tl_lake_read(lake, o, &stream, &err));
  return stream;
}

/* ---- the tests ---- */

static void rows_come_out_as_the_vendor_stated_them(void **state) {
  (void)state;
  static bar want[BARS_MOST], got[BARS_MOST];
  size_t count = true_bars("AAPL,MSFT", START, LAST, want, BARS_MOST);
  assert_true(count > 100);
  tl_lake *lake = open_lake();
  tl_import_options o = two_hours();
  tl_import_result *result = NULL;
  OK(tl_lake_import(lake, &o, &result, &err));
  tl_import_totals totals = {.size = sizeof totals};
  tl_import_result_totals(result, &totals);
  assert_int_equal(totals.rows, count);
  assert_int_equal(totals.files, 2);
  assert_int_equal(totals.successful_count, 2);
  assert_int_equal(totals.failed_count, 0);
  assert_true(totals.requests >= 1 && totals.bytes > 0 && totals.seconds > 0);
  assert_string_equal(tl_import_result_successful(result, 0), "AAPL");
  assert_string_equal(tl_import_result_successful(result, 1), "MSFT");
  assert_null(tl_import_result_successful(result, 2));
  assert_null(tl_import_result_failed(result, 0, NULL));
  assert_string_equal(tl_import_result_file(result, 0), "equities_1min/symbol=AAPL/year=2024/month=01/data.parquet");
  assert_null(tl_import_result_file(result, 2));
  tl_import_result_free(result);

  struct ArrowArrayStream stream = open_stream(lake, &(tl_read_options){.size = sizeof(tl_read_options), .kind = "1m"});
  tl_lake_close(lake); /* the stream lives on */
  expect_bars(got, read_bars(&stream, got, BARS_MOST), want, count);
}

static void a_second_import_asks_nothing(void **state) {
  (void)state;
  tl_lake *lake = open_lake();
  tl_import_options o = two_hours();
  import_rows(lake, &o);
  long before = requests_so_far();
  tl_import_totals totals = import_rows(lake, &o);
  assert_int_equal(requests_so_far(), before);
  assert_int_equal(totals.rows, 0);
  assert_int_equal(totals.files, 0);
  assert_int_equal(totals.requests, 0);
  assert_int_equal(totals.successful_count, 2);
  o.refresh = true;
  totals = import_rows(lake, &o);
  assert_true(totals.requests > 0);
  assert_int_equal(totals.rows, 0); /* the same rows again */
  OK(tl_lake_import(lake, &o, NULL, &err));
  tl_lake_close(lake);
}

static void a_read_may_be_narrowed(void **state) {
  (void)state;
  static bar want[BARS_MOST], got[BARS_MOST];
  size_t count = true_bars("MSFT", "2024-01-03T15:00:00Z", "2024-01-03T15:09:00Z", want, BARS_MOST);
  tl_lake *lake = open_lake();
  tl_import_options o = two_hours();
  import_rows(lake, &o);
  tl_read_options r = {.size = sizeof r, .kind = "1m", .symbols = "MSFT", .start = "2024-01-03T15:00:00Z", .end = "2024-01-03T15:10:00Z"};
  struct ArrowArrayStream stream = open_stream(lake, &r);
  expect_bars(got, read_bars(&stream, got, BARS_MOST), want, count);
  r.limit = 3;
  stream = open_stream(lake, &r);
  expect_bars(got, read_bars(&stream, got, BARS_MOST), want, 3);
  r.limit = 0;
  r.columns = "volume, timestamp";
  stream = open_stream(lake, &r);
  struct ArrowSchema schema;
  assert_int_equal(stream.get_schema(&stream, &schema), 0);
  assert_int_equal(schema.n_children, 2);
  assert_string_equal(schema.children[0]->name, "volume");
  schema.release(&schema);
  stream.release(&stream); /* before its end */
  r.columns = NULL;
  r.session = "regular";
  stream = open_stream(lake, &r);
  assert_int_equal(read_bars(&stream, got, BARS_MOST), count);

  static const struct { tl_read_options o; tl_status status; const char *words; } wrong[] = {
    {{.size = sizeof(tl_read_options)}, TL_EUSAGE, "which kind"},
    {{.size = sizeof(tl_read_options), .kind = "1n"}, TL_EUSAGE, "1n"},
    {{.size = sizeof(tl_read_options), .kind = "1m", .session = "night"}, TL_EUSAGE, "'night'"},
    {{.size = sizeof(tl_read_options), .kind = "1m", .columns = "price"}, TL_EUSAGE, "price"},
    {{.size = sizeof(tl_read_options), .kind = "1m", .columns = " , "}, TL_EUSAGE, "no columns"},
    {{.size = sizeof(tl_read_options), .kind = "1m", .start = "2024-01-03"}, TL_EUSAGE, "START and END"},
    {{.size = sizeof(tl_read_options), .kind = "1m", .symbols = "@/no/such"}, TL_EUSAGE, "/no/such"},
    {{.size = sizeof(tl_read_options), .kind = "trades"}, TL_ENOTFOUND, "trades"},
    {{.size = sizeof(tl_read_options), .kind = "1m", .symbols = "NONE"}, TL_ENOTFOUND, "NONE"},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    err = (tl_error){0};
    assert_int_equal(tl_lake_read(lake, &wrong[i].o, &stream, &err), wrong[i].status);
    if (!strstr(err.message, wrong[i].words)) fail_msg("'%s' does not say '%s'", err.message, wrong[i].words);
  }
  tl_lake_close(lake);
}

static void sql_streams_and_its_errors_are_told(void **state) {
  (void)state;
  tl_lake *lake = open_lake();
  tl_import_options o = two_hours();
  int64_t rows = import_rows(lake, &o).rows;
  struct ArrowArrayStream stream;
  struct ArrowArray array;
  OK(tl_lake_sql(lake, "SELECT count(*) AS n FROM equities_1min", &stream, &err));
  assert_int_equal(stream.get_next(&stream, &array), 0);
  assert_int_equal(*(const int64_t *)values_of(&array, 0, 1), rows);
  array.release(&array);
  stream.release(&stream);
  assert_int_equal(tl_lake_sql(lake, "SELEC", &stream, &err), TL_ESQL);
  assert_non_null(strstr(err.message, "SELEC"));
  OK(tl_lake_sql(lake, "SELECT CASE WHEN i = 5000000 THEN error('halt') ELSE i END FROM range(10000000) t(i)", &stream, &err));
  int rc = 0;
  while (!(rc = stream.get_next(&stream, &array)) && array.release) array.release(&array);
  assert_int_not_equal(rc, 0);
  assert_non_null(strstr(stream.get_last_error(&stream), "halt"));
  stream.release(&stream);
  tl_lake_close(lake);
}

typedef struct text {
  char data[8192];
  size_t len;
  int refuse;
} text;

static int put(void *user, const char *data, size_t len) {
  text *t = user;
  if (t->refuse) return 1;
  assert_true(t->len + len < sizeof t->data);
  memcpy(t->data + t->len, data, len);
  t->data[t->len += len] = 0;
  return 0;
}

static void rows_may_be_written_out(void **state) {
  (void)state;
  static bar want[BARS_MOST];
  true_bars("AAPL", START, LAST, want, BARS_MOST);
  tl_lake *lake = open_lake();
  tl_import_options o = two_hours();
  import_rows(lake, &o);
  tl_read_options r = {.size = sizeof r, .kind = "1m", .symbols = "AAPL", .columns = "timestamp,volume", .limit = 1};
  text t = {.len = 0};
  tl_output output = {.size = sizeof output, .format = "csv", .write = put, .user = &t};
  int64_t rows = 0;
  char line[100];
  OK(tl_lake_read_to(lake, &r, &output, &rows, &err));
  snprintf(line, sizeof line, "timestamp,volume\n2024-01-03T09:30:00-05:00,%lld\n", (long long)want[0].volume);
  assert_string_equal(t.data, line);
  assert_int_equal(rows, 1);
  t.len = 0;
  output.tz = "UTC";
  output.format = "jsonl";
  OK(tl_lake_read_to(lake, &r, &output, NULL, &err));
  assert_non_null(strstr(t.data, "2024-01-03T14:30:00+00:00"));
  t.len = 0;
  output.format = NULL;
  OK(tl_lake_sql_to(lake, "SELECT 41 + 1 AS answer", &output, &rows, &err));
  assert_non_null(strstr(t.data, "42"));
  char path[128];
  snprintf(path, sizeof path, "%s/out.parquet", folder);
  output = (tl_output){.size = sizeof output, .format = "parquet", .path = path};
  OK(tl_lake_read_to(lake, &r, &output, &rows, &err));
  assert_int_equal(access(path, R_OK), 0);

  output = (tl_output){.size = sizeof output, .format = "xml", .write = put, .user = &t};
  assert_int_equal(tl_lake_read_to(lake, &r, &output, NULL, &err), TL_EUSAGE);
  output.format = "parquet";
  assert_int_equal(tl_lake_read_to(lake, &r, &output, NULL, &err), TL_EUSAGE); /* needs a path */
  output.format = "csv";
  output.tz = "Mars/Olympus";
  assert_int_equal(tl_lake_read_to(lake, &r, &output, NULL, &err), TL_EUSAGE);
  output.tz = NULL;
  t.refuse = 1;
  assert_int_equal(tl_lake_read_to(lake, &r, &output, NULL, &err), TL_EIO);
  output.write = NULL;
  assert_int_equal(tl_lake_sql_to(lake, "SELECT 1", &output, NULL, &err), TL_EUSAGE);
  tl_lake_close(lake);
}

/* A program built against an older header has fewer members: what lies behind them is not the library's to read. */
static void older_smaller_structs_are_taken(void **state) {
  (void)state;
  tl_lake *lake = NULL;
  tl_lake_options where = {.size = offsetof(tl_lake_options, config_file), .path = lake_path, .config_file = "/no/such/file"};
  OK(tl_lake_open(&where, &lake, &err));
  assert_string_equal(tl_lake_path(lake), lake_path);
  tl_import_options o;
  memset(&o, 0x55, sizeof o);
  tl_import_options real = two_hours();
  size_t known = offsetof(tl_import_options, memory_max_bytes);
  memcpy(&o, &real, known);
  o.size = known;
  tl_import_totals totals = import_rows(lake, &o);
  assert_true(totals.rows > 0);
  tl_read_options r;
  memset(&r, 0x55, sizeof r);
  r.size = offsetof(tl_read_options, start);
  r.kind = "1m";
  r.symbols = NULL;
  static bar got[BARS_MOST];
  struct ArrowArrayStream stream = open_stream(lake, &r);
  assert_int_equal(read_bars(&stream, got, BARS_MOST), totals.rows);
  char path[128];
  snprintf(path, sizeof path, "%s/out.csv", folder);
  tl_output output;
  memset(&output, 0x55, sizeof output);
  output.size = offsetof(tl_output, tz);
  output.format = "csv";
  output.path = path;
  OK(tl_lake_sql_to(lake, "SELECT 1", &output, NULL, &err));
  assert_int_equal(access(path, R_OK), 0);
  tl_lake_close(lake);
}

typedef struct stopper {
  tl_lake *lake;
  atomic_int seen, calls;
  int64_t last_requests;
} stopper;

static void on_progress(void *user, const tl_progress *p) {
  stopper *s = user;
  assert_int_equal(p->size, sizeof *p);
  assert_true(p->requests >= s->last_requests && p->fraction >= 0 && p->fraction <= 1);
  s->last_requests = p->requests;
  atomic_fetch_add(&s->calls, 1);
  if (p->requests > 2) atomic_store(&s->seen, 1);
}

static void *cancel_when_running(void *user) {
  stopper *s = user;
  while (!atomic_load(&s->seen)) {
    struct timespec ms = {0, 1000000};
    nanosleep(&ms, NULL);
  }
  tl_lake_cancel(s->lake);
  return NULL;
}

static void another_thread_may_stop_an_import_and_the_next_goes_on(void **state) {
  (void)state;
  tl_lake *lake = open_lake();
  stopper s = {.lake = lake};
  tl_import_options o = two_hours();
  o.page_limit = 1; /* 240 pages, each slow */
  o.pages_per_unit = 10;
  o.threads = 4;
  o.progress = on_progress;
  o.user = &s;
  set_faults("when path=/v2/stocks/* do slow-first-byte=50\n");
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, cancel_when_running, &s), 0);
  tl_import_result *result = NULL;
  assert_int_equal(tl_lake_import(lake, &o, &result, &err), TL_ECANCELED);
  pthread_join(thread, NULL);
  assert_true(atomic_load(&s.calls) > 0);
  assert_non_null(result);
  tl_import_totals totals = {.size = sizeof totals};
  tl_import_result_totals(result, &totals);
  assert_true(totals.requests < 240);
  assert_null(tl_import_result_successful(result, 0));
  assert_non_null(tl_import_result_failed(result, 0, NULL));
  tl_import_result_free(result);

  set_faults("");
  o.progress = NULL;
  o.page_limit = 0;
  import_rows(lake, &o);
  static bar want[BARS_MOST], got[BARS_MOST];
  size_t count = true_bars("AAPL,MSFT", START, LAST, want, BARS_MOST);
  struct ArrowArrayStream stream = open_stream(lake, &(tl_read_options){.size = sizeof(tl_read_options), .kind = "1m"});
  expect_bars(got, read_bars(&stream, got, BARS_MOST), want, count);
  tl_lake_close(lake);
}

static void what_cannot_be_imported_is_said(void **state) {
  (void)state;
  tl_lake *lake = open_lake();
  tl_import_options o = two_hours();
  tl_import_result *result = NULL;
  o.symbols = "AAPL,NO,SUCH+SYMBOL";
  o.kind = "minutes";
  assert_int_equal(tl_lake_import(lake, &o, &result, &err), TL_EUSAGE);
  assert_null(result);
  o = two_hours();
  o.symbols = "-";
  assert_int_equal(tl_lake_import(lake, &o, &result, &err), TL_EUSAGE);
  o = two_hours();
  set_faults("when path=/v2/stocks/* do 401\n");
  assert_int_equal(tl_lake_import(lake, &o, &result, &err), TL_EAUTH);
  tl_import_result_free(result);
  set_faults("");
  o.endpoint = "http://127.0.0.1:1"; /* nobody listens */
  o.retries = 0;
  tl_status st = tl_lake_import(lake, &o, &result, &err);
  tl_import_totals totals = {.size = sizeof totals};
  if (!st) {
    const char *reason = NULL;
    tl_import_result_totals(result, &totals);
    assert_int_equal(totals.failed_count, 2);
    assert_string_equal(tl_import_result_failed(result, 0, &reason), "AAPL");
    assert_non_null(strstr(reason, "127.0.0.1"));
  }
  tl_import_result_free(result);
  tl_lake_close(lake);
}

/* ---- asking a lake ---- */

typedef struct seen {
  int count, ok;
  char text[4000];
} seen;

static int see_coverage(void *user, const tl_coverage_row *row) {
  seen *s = user;
  s->count++;
  size_t len = strlen(s->text);
  snprintf(s->text + len, sizeof s->text - len, "%s %s %s %lld|", row->kind, row->symbol, row->state, (long long)row->rows);
  return 0;
}

static int see_symbol(void *user, const char *symbol) {
  seen *s = user;
  strncat(s->text, symbol, 20);
  strncat(s->text, "|", 2);
  return 0;
}

static int see_audit(void *user, const tl_audit_row *row) {
  seen *s = user;
  s->count++;
  s->ok += row->ok;
  size_t len = strlen(s->text);
  snprintf(s->text + len, sizeof s->text - len, "%s %s|", row->path, row->verdict);
  return 0;
}

static int see_doctor(void *user, const char *what, bool ok, const char *detail) {
  seen *s = user;
  s->count++;
  size_t len = strlen(s->text);
  snprintf(s->text + len, sizeof s->text - len, "%s %d %s|", what, ok, detail);
  return 0;
}

static void a_lake_tells_what_it_holds(void **state) {
  (void)state;
  static bar want[BARS_MOST];
  size_t count = true_bars("AAPL", START, LAST, want, BARS_MOST);
  tl_lake *lake = open_lake();
  seen s = {0};
  assert_int_equal(tl_lake_coverage(lake, NULL, NULL, see_coverage, &s, &err), TL_ENOTFOUND);
  assert_int_equal(tl_lake_symbols(lake, "1m", see_symbol, &s, &err), TL_ENOTFOUND);
  tl_import_options o = two_hours();
  import_rows(lake, &o);
  char line[200];
  snprintf(line, sizeof line, "equities_1min AAPL present %zu|", count);
  OK(tl_lake_coverage(lake, "1m", "AAPL", see_coverage, &s, &err));
  assert_string_equal(s.text, line);
  s = (seen){0};
  OK(tl_lake_gaps(lake, NULL, NULL, see_coverage, &s, &err));
  assert_string_equal(s.text, "");
  OK(tl_lake_symbols(lake, "1m", see_symbol, &s, &err));
  assert_string_equal(s.text, "AAPL|MSFT|");
  int64_t first, last, rows;
  OK(tl_lake_range(lake, "1m", "AAPL", &first, &last, &rows, &err));
  assert_int_equal(first, want[0].us * 1000);
  assert_int_equal(last, want[count - 1].us * 1000);
  assert_int_equal(rows, count);
  assert_int_equal(tl_lake_range(lake, "1m", "NONE", &first, &last, &rows, &err), TL_ENOTFOUND);
  assert_int_equal(tl_lake_range(lake, "1x", "AAPL", &first, &last, &rows, &err), TL_EUSAGE);

  text t = {.len = 0};
  OK(tl_lake_plan(lake, &o, true, put, &t, &err));
  assert_non_null(strstr(t.data, "\"requests\""));
  t.len = 0;
  o.end = "2024-01-04";
  OK(tl_lake_plan(lake, &o, false, put, &t, &err));
  assert_true(t.len > 0);
  t.refuse = 1;
  assert_int_equal(tl_lake_plan(lake, &o, false, put, &t, &err), TL_EIO);

  bool sound = false;
  s = (seen){0};
  OK(tl_lake_audit(lake, NULL, NULL, false, see_audit, &s, &sound, &err));
  assert_true(sound);
  assert_string_equal(s.text, "equities_1min/symbol=AAPL/year=2024/month=01/data.parquet sound|"
                              "equities_1min/symbol=MSFT/year=2024/month=01/data.parquet sound|");
  tl_lake_close(lake);
}

static void damage_is_found_and_repaired(void **state) {
  (void)state;
  tl_lake *lake = open_lake();
  tl_import_options o = two_hours();
  int64_t rows = import_rows(lake, &o).rows;
  char path[256], other[256];
  snprintf(path, sizeof path, "%s/equities_1min/symbol=AAPL/year=2024/month=01/data.parquet", lake_path);
  snprintf(other, sizeof other, "%s/equities_1min/symbol=MSFT/year=2024/month=01/data.parquet", lake_path);
  assert_int_equal(truncate(path, 100), 0);
  assert_int_equal(unlink(other), 0);
  snprintf(other, sizeof other, "%s/equities_1min/symbol=MSFT/year=2024/month=01/.data.parquet.999999999-1.tmp", lake_path);
  close(open(other, O_WRONLY | O_CREAT, 0644));
  bool sound = true;
  seen s = {0};
  OK(tl_lake_audit(lake, NULL, NULL, false, see_audit, &s, &sound, &err));
  assert_false(sound);
  assert_non_null(strstr(s.text, "symbol=AAPL/year=2024/month=01/data.parquet unreadable|"));
  assert_non_null(strstr(s.text, "symbol=MSFT/year=2024/month=01/data.parquet missing|"));
  assert_non_null(strstr(s.text, ".tmp leftover|"));
  s = (seen){0};
  OK(tl_lake_audit(lake, NULL, NULL, true, see_audit, &s, &sound, &err));
  s = (seen){0};
  OK(tl_lake_audit(lake, "1m", "AAPL,MSFT", false, see_audit, &s, &sound, &err));
  assert_true(sound);
  assert_int_equal(import_rows(lake, &o).rows, rows); /* what was lost is asked again */
  OK(tl_lake_audit(lake, NULL, NULL, false, see_audit, &s, &sound, &err));
  assert_true(sound);
  tl_lake_close(lake);
}

static void an_update_asks_for_what_is_missing_up_to_now(void **state) {
  (void)state;
  tl_lake *lake = open_lake();
  tl_import_options o = tl_import_options_default(), update = tl_import_options_default();
  update.endpoint = endpoint;
  assert_int_equal(tl_lake_update(lake, &update, NULL, &err), TL_ENOTFOUND);
  o.kind = "1d";
  o.symbols = "AAPL";
  o.start = "2024-01-02";
  o.end = "2024-03-28";
  o.endpoint = endpoint;
  tl_import_totals first = import_rows(lake, &o);
  assert_int_equal(first.rows, 61); /* trading days of a quarter */
  tl_import_result *result = NULL;
  OK(tl_lake_update(lake, &update, &result, &err));
  tl_import_totals totals = {.size = sizeof totals};
  tl_import_result_totals(result, &totals);
  tl_import_result_free(result);
  assert_true(totals.rows > 200);
  update.look_back_ns = INT64_C(3600) * 1000000000;
  update.kind = "1d";
  update.symbols = "AAPL";
  OK(tl_lake_update(lake, &update, NULL, &err));
  tl_lake_close(lake);
}

static void indices_and_the_doctor(void **state) {
  (void)state;
  tl_lake *lake = open_lake();
  OK(tl_lake_index_store(lake, "mine", "MSFT,AAPL", &err));
  tl_import_options o = two_hours();
  o.symbols = "index:mine";
  assert_int_equal(import_rows(lake, &o).successful_count, 2);
  seen s = {0};
  bool ok = false;
  OK(tl_lake_doctor(lake, &o, see_doctor, &s, &ok, &err));
  assert_true(ok);
  assert_non_null(strstr(s.text, "answers and takes the key"));
  s = (seen){0};
  o.endpoint = "http://127.0.0.1:1";
  OK(tl_lake_doctor(lake, &o, see_doctor, &s, &ok, &err));
  assert_false(ok);
  s = (seen){0};
  o.endpoint = NULL; /* the vendor itself, without a key: nothing is sent */
  OK(tl_lake_doctor(lake, &o, see_doctor, &s, &ok, &err));
  assert_false(ok);
  assert_non_null(strstr(s.text, "APCA_API_KEY_ID"));
  tl_lake_close(lake);
}

static int see_index(void *user, const tl_index_row *row) {
  strncat(user, row->symbol, 20);
  return 0;
}

static void small_things(void **state) {
  (void)state;
  assert_string_equal(tl_version(), TICKLAKE_VERSION);
  assert_string_equal(tl_status_text(TL_OK), "ok");
  assert_non_null(tl_status_text((tl_status)12345));
  static const char *const words[] = {"import", "update"};
  assert_string_equal(tl_nearest_word("imprt", words, 2), "import");
  assert_null(tl_nearest_word("zzzzzz", words, 2));
  tl_lake_close(NULL);
  tl_import_result_free(NULL);
  tl_lake *lake = NULL;
  setenv("TICKLAKE_LAKE", folder, 1);
  OK(tl_lake_open(NULL, &lake, &err));
  assert_string_equal(tl_lake_path(lake), folder);
  char got[100] = "";
  OK(tl_lake_index_store(lake, "i", "A,B", &err));
  OK(tl_lake_index_load(lake, "i", see_index, got, &err));
  assert_string_equal(got, "AB");
  tl_import_result *result = NULL; /* no options are no options, not a crash */
  struct ArrowArrayStream stream;
  assert_int_equal(tl_lake_import(lake, NULL, &result, &err), TL_EUSAGE);
  assert_int_equal(tl_lake_read(lake, NULL, &stream, &err), TL_EUSAGE);
  assert_int_equal(tl_lake_sql_to(lake, "SELECT 1", NULL, NULL, &err), TL_EUSAGE);
  tl_lake_close(lake);
  unsetenv("TICKLAKE_LAKE");
  lake = NULL;
  tl_lake_options wrong = {.size = sizeof wrong, .path = lake_path, .config_file = "/no/such/settings.ini"};
  assert_int_equal(tl_lake_open(&wrong, &lake, &err), TL_EUSAGE);
  assert_null(lake);
}

static void the_log_goes_where_it_is_told(void **state) {
  (void)state;
  char path[128], line[400] = "";
  snprintf(path, sizeof path, "%s/app.log", folder);
  OK(tl_log_configure(&(tl_log_options){.size = sizeof(tl_log_options), .stderr_level = "none", .file = path, .file_level = "trace"}, &err));
  tl_lake *lake = open_lake();
  tl_import_options o = two_hours();
  import_rows(lake, &o);
  tl_lake_close(lake);
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  assert_non_null(fgets(line, sizeof line, f));
  fclose(f);
  assert_int_equal(tl_log_configure(&(tl_log_options){.size = sizeof(tl_log_options), .stderr_level = "loud"}, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "'loud'"));
  assert_int_equal(tl_log_configure(&(tl_log_options){.size = sizeof(tl_log_options), .file_level = "loud"}, &err), TL_EUSAGE);
  assert_int_not_equal(tl_log_configure(&(tl_log_options){.size = sizeof(tl_log_options), .file = "/dev/null/app.log"}, &err), TL_OK);
  OK(tl_log_configure(&(tl_log_options){.size = sizeof(tl_log_options), .stderr_level = "error"}, &err));
}

int main(void) {
#define LAKE_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
  const struct CMUnitTest tests[] = {
    LAKE_TEST(rows_come_out_as_the_vendor_stated_them),
    LAKE_TEST(a_second_import_asks_nothing),
    LAKE_TEST(a_read_may_be_narrowed),
    LAKE_TEST(sql_streams_and_its_errors_are_told),
    LAKE_TEST(rows_may_be_written_out),
    LAKE_TEST(older_smaller_structs_are_taken),
    LAKE_TEST(another_thread_may_stop_an_import_and_the_next_goes_on),
    LAKE_TEST(what_cannot_be_imported_is_said),
    LAKE_TEST(a_lake_tells_what_it_holds),
    LAKE_TEST(damage_is_found_and_repaired),
    LAKE_TEST(an_update_asks_for_what_is_missing_up_to_now),
    LAKE_TEST(indices_and_the_doctor),
    LAKE_TEST(small_things),
    LAKE_TEST(the_log_goes_where_it_is_told),
  };
  return cmocka_run_group_tests(tests, start_simulator, stop_simulator);
}
