/* Any bytes as an entry of a ledger on an object store: refused with a reason, or a call that writes the same entry again. */
#include "base/alloc.h"
#include "ledger/entry.h"
#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int64_t live = tl_alloc_live();
  tl_entry entry, again;
  tl_error err = {0};
  tl_status st = tl_entry_read("the entry", (const char *)data, size, &entry, &err);
  if (st) {
    check((st == TL_ECORRUPT || st == TL_EUSAGE) && strstr(err.message, "the entry"), "a refusal of another kind");
  } else {
    tl_buf first = {0}, second = {0};
    check(!tl_entry_write(&entry.op, "id", &first, &err), "what was read cannot be written");
    check(!tl_entry_read("the entry", first.data, first.len, &again, &err), "what was written cannot be read");
    check(!tl_entry_write(&again.op, "id", &second, &err), "what was read again cannot be written");
    check(first.len == second.len && !memcmp(first.data, second.data, first.len), "an entry changed on its way");
    tl_entry_deinit(&again);
    tl_entry_deinit(&entry);
    tl_buf_deinit(&first);
    tl_buf_deinit(&second);
  }
  check(tl_alloc_live() == live, "leaked");
  return 0;
}
