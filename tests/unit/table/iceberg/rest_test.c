/* rest_test.c - commits to a REST catalog that answers by a script: what is sent, and what becomes of answers that say nothing.
 * The truth: bodies by hand, after the protocol's open-api document; the script itself. */
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "iceberg_table.h"
#include "table/iceberg/rest_catalog.h"

/* ---- a catalog by script ---- */

/* Words: config, old, new, other (tables), 200, 409, 401, 500, 404; "cut" takes the request and closes. POSTs and GETs alike. */
typedef struct catalog {
  int fd, port;
  const char *script; /* "G:config G:old P:500 ..." */
  char log[65536];    /* the requests: line, then body */
  bool wrong;         /* a request that was not the script's next */
  pthread_t thread;
} catalog;

#define SCHEMAS "\"current-schema-id\":0,\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"fields\":[{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":\"int\"}]}]"
#define TABLE(snapshots) "{\"metadata-location\":\"s3://b/t/metadata/00001-x.metadata.json\",\"metadata\":{\"format-version\":2,\"table-uuid\":\"u-1\",\"location\":\"s3://b/t\",\"last-column-id\":1," SCHEMAS "," snapshots "},\"config\":{}}"
#define SNAPSHOT(id) "{\"snapshot-id\":" id ",\"timestamp-ms\":1,\"manifest-list\":\"l\",\"sequence-number\":4}"

static const struct { const char *word; int code; const char *body; } answers[] = {
  {"config", 200, "{\"defaults\":{},\"overrides\":{\"prefix\":\"my/p\"}}"},
  {"old", 200, TABLE("\"last-sequence-number\":3,\"current-snapshot-id\":11,\"snapshots\":[" SNAPSHOT("11") "]")},
  {"new", 200, TABLE("\"last-sequence-number\":4,\"current-snapshot-id\":12,\"snapshots\":[" SNAPSHOT("11") "," SNAPSHOT("12") "]")},
  {"other", 200, TABLE("\"last-sequence-number\":4,\"current-snapshot-id\":13,\"snapshots\":[" SNAPSHOT("11") "," SNAPSHOT("13") "]")},
  {"200", 200, "{}"},
  {"409", 409, "{\"error\":{\"message\":\"Requirement failed: branch main has changed\",\"type\":\"CommitFailedException\",\"code\":409}}"},
  {"401", 401, "{\"error\":{\"message\":\"who are you\\n?\"}}"},
  {"404", 404, "not even JSON"},
  {"500", 500, ""},
};

static void answer(catalog *c, int fd, const char *word, size_t len) {
  char head[200];
  for (size_t i = 0; i < COUNT(answers); i++) {
    if (strlen(answers[i].word) != len || strncmp(answers[i].word, word, len) != 0) continue;
    snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", answers[i].code, strlen(answers[i].body));
    c->wrong = c->wrong || send(fd, head, strlen(head), MSG_NOSIGNAL) < 0 || send(fd, answers[i].body, strlen(answers[i].body), MSG_NOSIGNAL) < 0;
  }
}

static void serve_one(catalog *c, int fd) {
  char text[16384] = "";
  size_t used = 0, want = SIZE_MAX;
  while (used < want && used < sizeof text - 1) {
    ssize_t n = recv(fd, text + used, sizeof text - 1 - used, 0);
    if (n <= 0) return;
    used += (size_t)n;
    text[used] = 0;
    char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "content-length:");
    if (end) want = (size_t)(end + 4 - text) + (length && length < end ? (size_t)strtol(length + 15, NULL, 10) : 0);
  }
  char *body = strstr(text, "\r\n\r\n") + 4;
  size_t at = strlen(c->log), step = strcspn(c->script, " ");
  snprintf(c->log + at, sizeof c->log - at, "%.*s\n%s\n", (int)strcspn(text, "\r"), text, body);
  if (!*c->script || c->script[0] != text[0]) c->wrong = true;
  else if (strncmp(c->script + 2, "cut", 3) != 0) answer(c, fd, c->script + 2, step - 2);
  c->script += step + (c->script[step] == ' ');
}

static void *serve(void *argument) {
  catalog *c = argument;
  for (int fd; (fd = accept(c->fd, NULL, NULL)) >= 0; close(fd)) serve_one(c, fd);
  return NULL;
}

static void catalog_open(catalog *c, const char *script) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  char url[64];
  memset(c, 0, sizeof *c);
  c->script = script;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(c->fd, (struct sockaddr *)&at, len), 0);
  assert_int_equal(listen(c->fd, 16), 0);
  assert_int_equal(getsockname(c->fd, (struct sockaddr *)&at, &len), 0);
  assert_int_equal(pthread_create(&c->thread, NULL, serve, c), 0);
  snprintf(url, sizeof url, "http://127.0.0.1:%d/iceberg", ntohs(at.sin_port));
  setenv("TICKLAKE_ICEBERG_REST", url, 1);
}

static void catalog_close(catalog *c) {
  shutdown(c->fd, SHUT_RDWR);
  pthread_join(c->thread, NULL);
  close(c->fd);
  if (c->wrong || *c->script) fail_msg("the script was left at '%s' after:\n%s", c->script, c->log);
}

/* ---- commits ---- */

static const tl_pair summary = {(char *)(uintptr_t)"operation", (char *)(uintptr_t)"append"};

static const tl_iceberg_added added = {.id = 12, .parent = 11, .sequence = 4, .timestamp_ms = 200, .manifest_list = "s3://b/t/metadata/l.avro",
                                       .summary = &summary, .summary_count = 1};

static void every_answer_to_a_commit_is_settled(void **state) {
  (void)state;
  const struct { const char *script; tl_status expected; bool unknown; const char *message; } cases[] = {
    {"P:200", TL_OK, false, ""},
    {"P:409", TL_ECONFLICT, false, "the catalog does not commit to 'n.s.t': HTTP 409, Requirement failed: branch main has changed"},
    {"P:500 G:new", TL_OK, false, ""},                       /* it was made, only the answer was lost */
    {"P:500 G:old P:200", TL_OK, false, ""},                 /* it was not: the same again */
    {"P:cut G:old P:409 G:new", TL_OK, false, ""},           /* the first one came late, the second lost to it */
    {"P:500 G:old P:409 G:other", TL_ECONFLICT, false, NULL}, /* lost to somebody else */
    {"P:500 G:500 G:500 G:new", TL_OK, false, ""},
    {"P:401", TL_EAUTH, false, "the catalog does not commit to 'n.s.t': HTTP 401, who are you ?"},
    {"P:404", TL_ENOTFOUND, false, "the catalog does not commit to 'n.s.t': HTTP 404"},
    {"P:500 G:old P:500 G:old P:500 G:old P:500 G:old P:500 G:old P:500 G:old", TL_ENET, true,
     "whether the commit was made is not known: the catalog does not commit to 'n.s.t': HTTP 500"},
  };
  tl_clock_fake_start(INT64_C(1700000000) * TL_NS_PER_S); /* pauses pass at once */
  for (size_t i = 0; i < COUNT(cases); i++) {
    catalog c;
    char script[400];
    tl_iceberg_rest *rest = NULL;
    tl_iceberg_state before = {0};
    tl_error err = {0};
    int64_t number = 0;
    bool unknown = false;
    snprintf(script, sizeof script, "G:config G:old %s", cases[i].script);
    catalog_open(&c, script);
    if (tl_iceberg_rest_open(NULL, "n.s.t", &rest, &err)) fail_msg("%s", err.message);
    if (tl_iceberg_rest_load(rest, &before, &err)) fail_msg("%s", err.message);
    assert_int_equal(before.metadata->current, 11);
    const tl_iceberg_change change = {.added = &added, .now_ms = 200};
    tl_status st = tl_iceberg_rest_commit(rest, &before, &change, &number, &unknown, &err);
    if (st != cases[i].expected) fail_msg("case %zu: %d, %s", i, (int)st, err.message);
    assert_int_equal(unknown, cases[i].unknown);
    if (st && cases[i].message) assert_string_equal(err.message, cases[i].message);
    if (!st) assert_int_equal(number, 4);
    tl_iceberg_state_deinit(&before);
    tl_iceberg_rest_close(rest);
    catalog_close(&c);
  }
  tl_clock_fake_stop();
}

static void requests_are_those_of_the_protocol(void **state) {
  (void)state;
  catalog c;
  tl_iceberg_rest *rest = NULL;
  tl_iceberg_state before = {0};
  int64_t number;
  bool unknown;
  setenv("TICKLAKE_ICEBERG_WAREHOUSE", "s3://b/w h", 1);
  catalog_open(&c, "G:config G:old P:200");
  assert_int_equal(tl_iceberg_rest_open(NULL, "n.s.t", &rest, NULL), TL_OK);
  assert_int_equal(tl_iceberg_rest_load(rest, &before, NULL), TL_OK);
  assert_int_equal(tl_iceberg_rest_commit(rest, &before, &(tl_iceberg_change){.added = &added}, &number, &unknown, NULL), TL_OK);
  tl_iceberg_state_deinit(&before);
  tl_iceberg_rest_close(rest);
  catalog_close(&c); /* its thread has ended: the log is ours */
  assert_string_equal(c.log,
    "GET /iceberg/v1/config?warehouse=s3%3A%2F%2Fb%2Fw%20h HTTP/1.1\n\n"
    "GET /iceberg/v1/my/p/namespaces/n%1Fs/tables/t HTTP/1.1\n\n"
    "POST /iceberg/v1/my/p/namespaces/n%1Fs/tables/t HTTP/1.1\n"
    "{\"requirements\":[{\"type\":\"assert-table-uuid\",\"uuid\":\"u-1\"},{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"main\",\"snapshot-id\":11},"
    "{\"type\":\"assert-current-schema-id\",\"current-schema-id\":0},{\"type\":\"assert-default-spec-id\",\"default-spec-id\":0}],"
    "\"updates\":[{\"action\":\"add-snapshot\",\"snapshot\":{\"sequence-number\":4,\"snapshot-id\":12,\"parent-snapshot-id\":11,\"timestamp-ms\":200,"
    "\"summary\":{\"operation\":\"append\"},\"manifest-list\":\"s3://b/t/metadata/l.avro\",\"schema-id\":0}},"
    "{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\",\"type\":\"branch\",\"snapshot-id\":12}]}\n");
  unsetenv("TICKLAKE_ICEBERG_WAREHOUSE");
}

static void a_change_of_schema_properties_and_snapshots_is_said_in_updates(void **state) {
  (void)state;
  tl_iceberg_metadata *m = NULL;
  static const char text[] = "{\"format-version\":2,\"table-uuid\":\"u\",\"location\":\"/t\",\"last-column-id\":1," SCHEMAS "}";
  assert_int_equal(tl_iceberg_metadata_parse("m", text, sizeof text - 1, &m, NULL), TL_OK);
  tl_field items[] = {{.name = (char *)(uintptr_t)"a", .type = TL_FIELD_I32, .nullable = true, .id = 1},
                      {.name = (char *)(uintptr_t)"b", .type = TL_FIELD_DATE, .nullable = true, .id = 2}};
  const tl_fields fields = {items, 2, 2};
  const tl_pair pairs[] = {{(char *)(uintptr_t)"k", (char *)(uintptr_t)"v"}, {(char *)(uintptr_t)"gone", NULL}};
  const int64_t expired[] = {7, 8};
  tl_buf out = {0};
  assert_int_equal(tl_iceberg_rest_body(m, &(tl_iceberg_change){.fields = &fields, .properties = pairs, .property_count = 2, .expired = expired, .expired_count = 2}, &out, NULL), TL_OK);
  assert_string_equal(out.data,
    "{\"requirements\":[{\"type\":\"assert-table-uuid\",\"uuid\":\"u\"},{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"main\",\"snapshot-id\":null},"
    "{\"type\":\"assert-current-schema-id\",\"current-schema-id\":0},{\"type\":\"assert-default-spec-id\",\"default-spec-id\":0},"
    "{\"type\":\"assert-last-assigned-field-id\",\"last-assigned-field-id\":1}],"
    "\"updates\":[{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"schema-id\":1,\"fields\":[{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":\"int\"},"
    "{\"id\":2,\"name\":\"b\",\"required\":false,\"type\":\"date\"}]},\"last-column-id\":2},{\"action\":\"set-current-schema\",\"schema-id\":-1},"
    "{\"action\":\"set-properties\",\"updates\":{\"k\":\"v\"}},{\"action\":\"remove-properties\",\"removals\":[\"gone\"]},"
    "{\"action\":\"remove-snapshots\",\"snapshot-ids\":[7,8]}]}");
  tl_buf_deinit(&out);
  tl_iceberg_metadata_close(m);
}

static void tables_are_located(void **state) {
  (void)state;
  catalog c;
  tl_buf where = {0};
  bool found = false;
  tl_error err = {0};
  catalog_open(&c, "G:config G:old G:config G:404 G:config G:404");
  assert_int_equal(tl_iceberg_rest_locate(NULL, "n.t", &where, &found, &err), TL_OK);
  assert_true(found);
  assert_string_equal(where.data, "s3://b/t");
  tl_buf_clear(&where);
  assert_int_equal(tl_iceberg_rest_locate(NULL, "n.t", &where, &found, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "TICKLAKE_ICEBERG_WAREHOUSE"));
  setenv("TICKLAKE_ICEBERG_WAREHOUSE", "/w/", 1);
  assert_int_equal(tl_iceberg_rest_locate(NULL, "n.s.t", &where, &found, &err), TL_OK);
  assert_false(found);
  assert_string_equal(where.data, "/w/n/s/t");
  unsetenv("TICKLAKE_ICEBERG_WAREHOUSE");
  catalog_close(&c);
  tl_buf_deinit(&where);
}

static void names_and_addresses_that_are_none_are_refused(void **state) {
  (void)state;
  const char *names[] = {"t", ".t", "n.", "a..t", ""};
  for (size_t i = 0; i < COUNT(names); i++) {
    catalog c;
    tl_iceberg_rest *rest = NULL;
    tl_error err = {0};
    catalog_open(&c, "G:config");
    assert_int_equal(tl_iceberg_rest_open(NULL, names[i], &rest, &err), TL_EUSAGE);
    assert_non_null(strstr(err.message, "NAMESPACE.TABLE"));
    catalog_close(&c);
  }
  tl_iceberg_rest *rest = NULL;
  tl_error err = {0};
  unsetenv("TICKLAKE_ICEBERG_REST");
  assert_int_equal(tl_iceberg_rest_open(NULL, "n.t", &rest, &err), TL_EUSAGE);
  assert_non_null(strstr(err.message, "TICKLAKE_ICEBERG_REST"));
  setenv("TICKLAKE_ICEBERG_REST", "http://catalog.example", 1); /* plain http to another machine */
  assert_int_equal(tl_iceberg_rest_open(NULL, "n.t", &rest, &err), TL_EUSAGE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_answer_to_a_commit_is_settled),
    cmocka_unit_test(requests_are_those_of_the_protocol),
    cmocka_unit_test(a_change_of_schema_properties_and_snapshots_is_said_in_updates),
    cmocka_unit_test(tables_are_located),
    cmocka_unit_test(names_and_addresses_that_are_none_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
