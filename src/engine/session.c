/* session.c - in_session(timestamp, session, bar) in SQL: the exchange calendar as a function, so that filtering by
 * session is a streaming filter that keeps the order of rows. Rows with equal words share one look-up of them. */
#include <string.h>

#include "engine/internal.h"
#include "market/calendar.h"

typedef struct words { /* the session and bar looked up last */
  char session[16], bar[TL_INTERVAL_TEXT_MAX];
  bool known;
  tl_session_filter filter;
} words;

static bool fits(duckdb_string_t *text, char *out, size_t out_bytes) {
  uint32_t len = duckdb_string_t_length(*text);
  if (len >= out_bytes) return false;
  memcpy(out, duckdb_string_t_data(text), len);
  out[len] = 0;
  return true;
}

static bool look_up(words *last, duckdb_string_t *session, duckdb_string_t *bar, tl_error *err) {
  words now = {0};
  tl_session_kind kind;
  tl_interval interval;
  if (!fits(session, now.session, sizeof now.session) || !fits(bar, now.bar, sizeof now.bar)) {
    tl_fail(err, TL_EUSAGE, "in_session: the session is regular, extended or all, the bar a size such as 1m");
    return false;
  }
  if (last->known && strcmp(now.session, last->session) == 0 && strcmp(now.bar, last->bar) == 0) return true;
  if (!tl_session_kind_parse(now.session, &kind)) {
    tl_fail(err, TL_EUSAGE, "in_session: '%s' is no session: regular, extended or all", now.session);
    return false;
  }
  if (tl_interval_parse(now.bar, &interval, err)) return false;
  now.known = true;
  now.filter = tl_session_filter_of(kind, interval);
  *last = now;
  return true;
}

static void in_session(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) {
  idx_t rows = duckdb_data_chunk_get_size(input);
  const duckdb_timestamp *times = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 0));
  duckdb_string_t *sessions = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 1));
  duckdb_string_t *bars = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 2));
  const uint64_t *valid[3];
  for (idx_t c = 0; c < 3; c++) valid[c] = duckdb_vector_get_validity(duckdb_data_chunk_get_vector(input, c));
  bool *pass = duckdb_vector_get_data(output);
  words last = {0};
  tl_error err = {0};
  duckdb_vector_ensure_validity_writable(output);
  uint64_t *answered = duckdb_vector_get_validity(output);
  for (idx_t row = 0; row < rows; row++) {
    bool null = false;
    for (int c = 0; c < 3; c++) null |= valid[c] && !duckdb_validity_row_is_valid((uint64_t *)(uintptr_t)valid[c], row);
    int64_t ns = 0;
    if (null || __builtin_mul_overflow(times[row].micros, TL_NS_PER_US, &ns)) { /* NULL, or outside 1677..2262 */
      duckdb_validity_set_row_invalid(answered, row);
      continue;
    }
    if (!look_up(&last, &sessions[row], &bars[row], &err)) {
      duckdb_scalar_function_set_error(info, err.message);
      return;
    }
    pass[row] = tl_session_filter_pass(&last.filter, ns);
  }
}

static void add_parameter(duckdb_scalar_function function, duckdb_type type) {
  duckdb_logical_type logical = duckdb_create_logical_type(type);
  duckdb_scalar_function_add_parameter(function, logical);
  duckdb_destroy_logical_type(&logical);
}

tl_status tl_engine_add_session(duckdb_connection connection, tl_error *err) {
  duckdb_scalar_function function = duckdb_create_scalar_function();
  duckdb_scalar_function_set_name(function, "in_session");
  add_parameter(function, DUCKDB_TYPE_TIMESTAMP_TZ);
  add_parameter(function, DUCKDB_TYPE_VARCHAR);
  add_parameter(function, DUCKDB_TYPE_VARCHAR);
  duckdb_logical_type result = duckdb_create_logical_type(DUCKDB_TYPE_BOOLEAN);
  duckdb_scalar_function_set_return_type(function, result);
  duckdb_destroy_logical_type(&result);
  duckdb_scalar_function_set_function(function, in_session);
  duckdb_state state = duckdb_register_scalar_function(connection, function);
  duckdb_destroy_scalar_function(&function);
  return state == DuckDBSuccess ? TL_OK : tl_fail(err, TL_EINTERNAL, "cannot add in_session to DuckDB");
}
