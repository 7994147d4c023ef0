/* encode_test.c - bit packing, hybrid runs and differences. The truth: decoders that read bit by bit. */
#include "parquet/encode.h"

#include "parquet_reader.h"

#include "base/prng.h"

enum { MOST = 5000, GUARD = 0x5A };
static tl_prng prng;
static uint32_t values[MOST];
static int64_t numbers[MOST];

/* Encodes, checks that no byte beyond the promised room was touched, decodes, compares. */
static size_t hybrid_and_back(size_t count, unsigned width, bool levels) {
  size_t room = tl_hybrid_bytes_max(count, width);
  uint8_t *out = malloc(room + 1), *small = malloc(count + 1);
  uint32_t *back = malloc((count + 1) * sizeof *back);
  out[room] = GUARD;
  for (size_t i = 0; i < count; i++) small[i] = (uint8_t)values[i];
  size_t len = levels ? tl_levels_encode(small, count, width, out) : tl_hybrid_encode(values, count, width, out);
  assert_true(len <= room);
  assert_int_equal(out[room], GUARD);
  read_hybrid(out, out + len, width, count, back);
  if (count) assert_memory_equal(back, values, count * sizeof *back);
  free(out);
  free(small);
  free(back);
  return len;
}

static void fill(size_t count, unsigned width, int style) {
  uint32_t mask = width == 32 ? UINT32_MAX : (1u << width) - 1, value = 0;
  for (size_t i = 0; i < count; i++) {
    if (style == 0 || (style == 1 && tl_prng_below(&prng, 8) == 0) || (style == 2 && tl_prng_below(&prng, 60) == 0))
      value = (uint32_t)tl_prng_next(&prng) & mask;
    values[i] = style == 3 ? mask : value;
  }
}

static void hybrid_gives_the_values_back_at_every_width_and_length(void **state) {
  (void)state;
  static const size_t counts[] = {0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 504, 511, 512, 1000, MOST};
  for (unsigned width = 1; width <= 32; width++)
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
      for (int style = 0; style < 4; style++) {
        fill(counts[c], width, style);
        hybrid_and_back(counts[c], width, false);
        if (width <= 2) hybrid_and_back(counts[c], width, true);
      }
}

static void equal_values_cost_a_few_bytes_whatever_their_number(void **state) {
  (void)state;
  for (size_t i = 0; i < MOST; i++) values[i] = 1;
  assert_true(hybrid_and_back(MOST, 1, true) <= 4);
  assert_true(hybrid_and_back(MOST, 20, false) <= 6);
  values[MOST - 1] = 0; /* a tail of one */
  assert_true(hybrid_and_back(MOST, 1, true) <= 8);
}

static void one_run_is_a_count_and_a_value(void **state) {
  (void)state;
  uint8_t out[16];
  assert_int_equal(tl_run_encode(300, 1, 1, out), 3);
  assert_int_equal(out[0], 0xD8); /* 600 as varint: 0xD8 0x04 */
  assert_int_equal(out[1], 0x04);
  assert_int_equal(out[2], 1);
}

static void delta_and_back(size_t count) {
  size_t room = tl_delta_bytes_max(count);
  uint8_t *out = malloc(room + 1);
  int64_t *back = malloc((count + 1) * sizeof *back);
  out[room] = GUARD;
  size_t len = tl_delta_encode(numbers, count, out);
  assert_true(len <= room);
  assert_int_equal(out[room], GUARD);
  read_delta(out, out + len, count, back);
  if (count) assert_memory_equal(back, numbers, count * sizeof *back);
  free(out);
  free(back);
}

static void differences_give_the_values_back_at_every_width_and_length(void **state) {
  (void)state;
  static const size_t counts[] = {0, 1, 2, 31, 32, 33, 34, 128, 129, 130, 257, 1000, MOST};
  for (unsigned width = 0; width <= 64; width++)
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
      for (size_t i = 0; i < counts[c]; i++)
        numbers[i] = width ? (int64_t)(tl_prng_next(&prng) >> (64 - width)) - (int64_t)(tl_prng_next(&prng) & 1) : 77;
      delta_and_back(counts[c]);
    }
}

static void differences_that_overflow_wrap(void **state) {
  (void)state;
  static const int64_t edges[] = {INT64_MIN, INT64_MAX, 0, -1, 1, INT64_MIN, INT64_MIN, INT64_MAX, INT64_MAX, INT64_MIN + 1};
  for (size_t i = 0; i < MOST; i++) numbers[i] = edges[tl_prng_below(&prng, sizeof edges / sizeof edges[0])];
  delta_and_back(MOST);
}

static void a_steady_clock_costs_next_to_nothing(void **state) {
  (void)state;
  uint8_t out[4096 + 45000];
  for (size_t i = 0; i < MOST; i++) numbers[i] = INT64_C(1704205800000000) + (int64_t)i * 60000000;
  assert_true(tl_delta_encode(numbers, MOST, out) < MOST / 10);
}

static void width_is_the_bits_needed(void **state) {
  (void)state;
  assert_int_equal(tl_bit_width(0), 0);
  for (unsigned bits = 1; bits <= 64; bits++) {
    uint64_t least = UINT64_C(1) << (bits - 1);
    assert_int_equal(tl_bit_width(least), bits);
    assert_int_equal(tl_bit_width(least | (least - 1)), bits);
  }
}

int main(void) {
  prng = tl_prng_init(1);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(hybrid_gives_the_values_back_at_every_width_and_length),
    cmocka_unit_test(equal_values_cost_a_few_bytes_whatever_their_number),
    cmocka_unit_test(one_run_is_a_count_and_a_value),
    cmocka_unit_test(differences_give_the_values_back_at_every_width_and_length),
    cmocka_unit_test(differences_that_overflow_wrap),
    cmocka_unit_test(a_steady_clock_costs_next_to_nothing),
    cmocka_unit_test(width_is_the_bits_needed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
