/* Any bytes as header lines: counts are counts or absent, times are not negative, a refusal has a reason. */
#include "net/http_header.h"
#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tl_http_answer answer = {0};
  tl_http_header_reset(&answer);
  const char *p = (const char *)data, *end = p + size;
  while (p < end) {
    const char *next = memchr(p, '\n', (size_t)(end - p));
    next = next ? next + 1 : end;
    bool taken = tl_http_header_take(&answer, p, (size_t)(next - p));
    check(memchr(answer.reason, 0, sizeof answer.reason) != NULL, "a reason without end");
    check(taken || (answer.status && answer.reason[0]), "a refusal without a reason");
    check(answer.retry_after_ns >= -1 && answer.rate_limit >= -1 && answer.rate_remaining >= -1 && answer.rate_reset_s >= -1, "a negative count");
    p = next;
  }
  return 0;
}
