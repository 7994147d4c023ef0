/* Any bytes as S3's XML: what is taken is whole and in bounds; nothing is both an error and a list. */
#include "base/alloc.h"
#include "store/s3_xml.h"
#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int64_t live = tl_alloc_live();
  const char *text = (const char *)data;
  tl_error err = {0};
  tl_s3_page page = {0};
  tl_s3_refusal refusal;
  tl_buf id = {0};
  char etag[96];

  tl_status list = tl_s3_xml_page(text, size, &page, &err);
  check(list == TL_OK || list == TL_EDECODE, "another status for a list");
  check(list == TL_OK || (err.message[0] && page.count == 0), "a refusal without a reason, or with keys");
  for (size_t i = 0; i < page.count; i++) {
    const tl_s3_item *item = &page.items[i];
    check(item->key_at < page.keys.len && memchr(page.keys.data + item->key_at, 0, page.keys.len - item->key_at) != NULL, "a key out of bounds");
    check(item->info.size_bytes >= 0 && memchr(item->info.etag, 0, sizeof item->info.etag) != NULL, "a size below nothing, an etag without end");
  }
  check(!page.truncated || list || page.token.len, "a list that breaks off");
  bool error = tl_s3_xml_refusal(text, size, &refusal);
  check(!error || (list && refusal.code[0]), "an error that is a list, or has no code");
  for (const char *p = refusal.message; *p; p++) check(*p >= ' ' && *p < 0x7F, "a message that cannot be printed");
  tl_status begun = tl_s3_xml_upload_id(text, size, &id, NULL), ended = tl_s3_xml_completed(text, size, etag, NULL);
  check((begun == TL_OK) == (id.len > 0) && (ended == TL_OK) == (etag[0] != 0), "an upload without a name");
  check((list == TL_OK) + error + (begun == TL_OK) + (ended == TL_OK) <= 1, "two documents in one");

  tl_buf_deinit(&id);
  tl_s3_page_deinit(&page);
  check(tl_alloc_live() == live, "a leak");
  return 0;
}
