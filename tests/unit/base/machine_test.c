/* What of the machine a process may use, against /proc/meminfo and limits as control groups write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/machine.h"

static void limits_are_read(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t limit;
  } cases[] = {{"max\n", INT64_MAX}, {"4294967296\n", INT64_C(4294967296)}, {"100", 100}, {"", INT64_MAX}, {"\n", INT64_MAX}, {"0\n", INT64_MAX},
               {"9223372036854771712\n", INT64_C(9223372036854771712)}, {"92233720368547717120\n", INT64_MAX}, {"-1\n", INT64_MAX}, {"12x\n", INT64_MAX}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) assert_int_equal(tl_machine_limit(cases[i].text), cases[i].limit);
}

static void memory_is_not_more_than_is_built_in(void **state) {
  (void)state;
  long long kilobytes = 0;
  FILE *meminfo = fopen("/proc/meminfo", "r");
  assert_non_null(meminfo);
  assert_int_equal(fscanf(meminfo, "MemTotal: %lld kB", &kilobytes), 1);
  fclose(meminfo);
  assert_in_range(tl_machine_memory_bytes(), 1 << 20, kilobytes * 1024);
  assert_int_equal(tl_alloc_live(), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(limits_are_read), cmocka_unit_test(memory_is_not_more_than_is_built_in)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
