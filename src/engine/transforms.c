/* transforms.c - what open tables need of SQL and DuckDB lacks: Iceberg's bucket transform, and the Z-order curve.
 *
 *   iceberg_bucket_number(n INTEGER, value BIGINT)  also of DATE (days) and TIMESTAMP (us) once they are numbers
 *   iceberg_bucket_text(n INTEGER, value VARCHAR)   (murmur3_x86_32(bytes, seed 0) & 0x7fffffff) % n, by Iceberg's appendix B
 *   zorder(rank INTEGER, ...)                       bit 15 of each rank, then bit 14 of each, ...; up to 4 ranks of 0..65535
 * NULL gives NULL (a rank of NULL counts as 0). */
#include <string.h>

#include "engine/internal.h"

static uint32_t rotate(uint32_t x, int by) { return (x << by) | (x >> (32 - by)); }

static uint32_t mix(uint32_t word) { return rotate(word * 0xcc9e2d51u, 15) * 0x1b873593u; }

static uint32_t murmur3(const uint8_t *data, size_t len) {
  uint32_t hash = 0, word = 0;
  size_t whole = len / 4 * 4;
  for (size_t i = 0; i < whole; i += 4) {
    word = data[i] | (uint32_t)data[i + 1] << 8 | (uint32_t)data[i + 2] << 16 | (uint32_t)data[i + 3] << 24;
    hash = rotate(hash ^ mix(word), 13) * 5 + 0xe6546b64u;
  }
  word = 0;
  for (size_t i = len; i > whole; i--) word = word << 8 | data[i - 1];
  if (len > whole) hash ^= mix(word);
  hash ^= (uint32_t)len;
  hash = (hash ^ hash >> 16) * 0x85ebca6bu;
  hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
  return hash ^ hash >> 16;
}

static bool is_null(duckdb_vector vector, idx_t row) {
  uint64_t *validity = duckdb_vector_get_validity(vector);
  return validity && !duckdb_validity_row_is_valid(validity, row);
}

static uint32_t hash_at(bool text, duckdb_vector values, idx_t row) {
  if (text) {
    duckdb_string_t *string = (duckdb_string_t *)duckdb_vector_get_data(values) + row;
    return murmur3((const uint8_t *)duckdb_string_t_data(string), duckdb_string_t_length(*string));
  }
  uint64_t number = (uint64_t)((const int64_t *)duckdb_vector_get_data(values))[row];
  uint8_t bytes[8];
  for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(number >> 8 * i);
  return murmur3(bytes, sizeof bytes);
}

static void bucket(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output, bool text) {
  idx_t rows = duckdb_data_chunk_get_size(input);
  duckdb_vector counts = duckdb_data_chunk_get_vector(input, 0), values = duckdb_data_chunk_get_vector(input, 1);
  const int32_t *n = duckdb_vector_get_data(counts);
  int32_t *out = duckdb_vector_get_data(output);
  duckdb_vector_ensure_validity_writable(output);
  uint64_t *answered = duckdb_vector_get_validity(output);
  for (idx_t row = 0; row < rows; row++) {
    if (is_null(counts, row) || is_null(values, row)) {
      duckdb_validity_set_row_invalid(answered, row);
    } else if (n[row] <= 0) {
      duckdb_scalar_function_set_error(info, "iceberg_bucket: the number of buckets must be positive");
      return;
    } else {
      out[row] = (int32_t)((hash_at(text, values, row) & 0x7fffffffu) % (uint32_t)n[row]);
    }
  }
}

static void bucket_number(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) { bucket(info, input, output, false); }
static void bucket_text(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) { bucket(info, input, output, true); }

static void zorder(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) {
  enum { RANKS_MAX = 4, BITS = 16 };
  idx_t rows = duckdb_data_chunk_get_size(input), ranks = duckdb_data_chunk_get_column_count(input);
  duckdb_vector vectors[RANKS_MAX];
  uint64_t *out = duckdb_vector_get_data(output);
  if (ranks == 0 || ranks > RANKS_MAX) {
    duckdb_scalar_function_set_error(info, "zorder takes one to four ranks");
    return;
  }
  for (idx_t r = 0; r < ranks; r++) vectors[r] = duckdb_data_chunk_get_vector(input, r);
  for (idx_t row = 0; row < rows; row++) {
    uint64_t curve = 0;
    for (int bit = BITS - 1; bit >= 0; bit--)
      for (idx_t r = 0; r < ranks; r++) {
        uint32_t rank = is_null(vectors[r], row) ? 0 : (uint32_t)((const int32_t *)duckdb_vector_get_data(vectors[r]))[row];
        curve = curve << 1 | (rank >> bit & 1);
      }
    out[row] = curve;
  }
}

typedef struct described {
  const char *name;
  duckdb_type types[2]; /* DUCKDB_TYPE_INVALID ends */
  duckdb_type varargs, result;
  duckdb_scalar_function_t run;
} described;

static tl_status add(duckdb_connection connection, const described *what, tl_error *err) {
  duckdb_scalar_function function = duckdb_create_scalar_function();
  duckdb_scalar_function_set_name(function, what->name);
  for (int i = 0; i < 2 && what->types[i] != DUCKDB_TYPE_INVALID; i++) {
    duckdb_logical_type type = duckdb_create_logical_type(what->types[i]);
    duckdb_scalar_function_add_parameter(function, type);
    duckdb_destroy_logical_type(&type);
  }
  duckdb_logical_type varargs = duckdb_create_logical_type(what->varargs), result = duckdb_create_logical_type(what->result);
  if (what->varargs != DUCKDB_TYPE_INVALID) {
    duckdb_scalar_function_set_varargs(function, varargs);
    duckdb_scalar_function_set_special_handling(function);
  }
  duckdb_scalar_function_set_return_type(function, result);
  duckdb_scalar_function_set_function(function, what->run);
  duckdb_state state = duckdb_register_scalar_function(connection, function);
  duckdb_destroy_logical_type(&varargs);
  duckdb_destroy_logical_type(&result);
  duckdb_destroy_scalar_function(&function);
  return state == DuckDBSuccess ? TL_OK : tl_fail(err, TL_EINTERNAL, "cannot add %s to DuckDB", what->name);
}

tl_status tl_engine_add_table_functions(duckdb_connection connection, tl_error *err) {
  static const described functions[] = {
    {"iceberg_bucket_number", {DUCKDB_TYPE_INTEGER, DUCKDB_TYPE_BIGINT}, DUCKDB_TYPE_INVALID, DUCKDB_TYPE_INTEGER, bucket_number},
    {"iceberg_bucket_text", {DUCKDB_TYPE_INTEGER, DUCKDB_TYPE_VARCHAR}, DUCKDB_TYPE_INVALID, DUCKDB_TYPE_INTEGER, bucket_text},
    {"zorder", {DUCKDB_TYPE_INVALID, DUCKDB_TYPE_INVALID}, DUCKDB_TYPE_INTEGER, DUCKDB_TYPE_UBIGINT, zorder},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    tl_status st = add(connection, &functions[i], err);
    if (st) return st;
  }
  return TL_OK;
}
