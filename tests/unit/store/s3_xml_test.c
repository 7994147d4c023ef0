/* S3's XML: what is taken from it, what is refused, and memory that runs out anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "store/s3_xml.h"

/* As AWS prints it; MinIO puts EncodingType last. */
static const char list[] =
    "\xEF\xBB\xBF<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><Prefix>lake/</Prefix><!-- > <Key> -->"
    "<NextContinuationToken>1ueG/+=&amp;</NextContinuationToken><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated>"
    "<Contents><Key>lake/a+b%2Fc%25%C3%A9</Key><LastModified>2024-05-31T12:00:01.987Z</LastModified><ETag>&quot;5d41402abc4b2a76b9719d911017c592&#34;</ETag>"
    "<Size>5</Size><Owner><ID>x</ID><Key>not this</Key></Owner><StorageClass>STANDARD</StorageClass></Contents>\n"
    "<Contents><Size>9223372036854775807</Size><Key>&lt;x&gt;&#x2713;&apos;</Key><LastModified>1969-12-31T23:59:59Z</LastModified><ETag/></Contents>"
    "<CommonPrefixes/><EncodingType>url</EncodingType></ListBucketResult>";

static void a_list_is_read(void **state) {
  (void)state;
  tl_s3_page page = {0};
  tl_error err = {0};
  for (int again = 0; again < 2; again++) { /* a page takes another's place */
    assert_int_equal(tl_s3_xml_page(list, sizeof list - 1, &page, &err), TL_OK);
    assert_int_equal(page.count, 2);
    assert_true(page.truncated);
    assert_string_equal(page.token.data, "1ueG/+=&");
    assert_string_equal(page.keys.data + page.items[0].key_at, "lake/a b/c%\xC3\xA9");
    assert_string_equal(page.keys.data + page.items[1].key_at, "<x>\xE2\x9C\x93'");
    assert_string_equal(page.items[0].info.etag, "5d41402abc4b2a76b9719d911017c592");
    assert_string_equal(page.items[1].info.etag, "");
    assert_int_equal(page.items[0].info.size_bytes, 5);
    assert_true(page.items[1].info.size_bytes == INT64_MAX);
    assert_true(page.items[0].info.mtime_ms == INT64_C(1717156801000)); /* date -d 2024-05-31T12:00:01Z +%s */
    assert_true(page.items[1].info.mtime_ms == -1000);
  }
  static const char plain[] = "<ListBucketResult><Contents><Key>a+b%20</Key><Size>0</Size></Contents></ListBucketResult>";
  assert_int_equal(tl_s3_xml_page(plain, sizeof plain - 1, &page, &err), TL_OK); /* a store that does not encode */
  assert_string_equal(page.keys.data + page.items[0].key_at, "a+b%20");
  assert_false(page.truncated);
  tl_s3_page_deinit(&page);
}

static void what_is_no_list_is_refused(void **state) {
  (void)state;
  static const char *const bad[] = {
      "", " ", "text", "<html><body>log in<br></body></html>", "<!DOCTYPE html><ListBucketResult/>", "<ListBucketResult>", "<ListBucketResult/><x/>", "<ListBucketResult/>x",
      "</ListBucketResult>", "<Other/>", "<ListBucketResult></Other>", "<ListBucketResult><a></b></ListBucketResult>", "<ListBucketResult>&nbsp;</ListBucketResult>",
      "<ListBucketResult>&#0;</ListBucketResult>", "<ListBucketResult>&#xD800;</ListBucketResult>", "<ListBucketResult>&#1114112;</ListBucketResult>", "<ListBucketResult>&</ListBucketResult>",
      "<ListBucketResult>&#;</ListBucketResult>", "<ListBucketResult><![CDATA[x]]></ListBucketResult>", "<ListBucketResult a='></ListBucketResult>", "<ListBucketResult a=\"'><",
      "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>", "<ListBucketResult><Contents><Key>k</Key></Contents></ListBucketResult>",
      "<ListBucketResult><Contents><Key>k</Key><Size>-1</Size></Contents></ListBucketResult>", "<ListBucketResult><Contents><Key>k</Key><Size></Size></Contents></ListBucketResult>",
      "<ListBucketResult><Contents><Key>k</Key><Size>9223372036854775808</Size></Contents></ListBucketResult>",
      "<ListBucketResult><Contents><Key>k</Key><Size>1</Size><LastModified>now</LastModified></Contents></ListBucketResult>",
      "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
      "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%4</Key><Size>1</Size></Contents></ListBucketResult>",
      "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%00</Key><Size>1</Size></Contents></ListBucketResult>",
      "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a></a></a></a></a></a></a></a></a>"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    tl_s3_page page = {0};
    tl_error err = {0};
    if (tl_s3_xml_page(bad[i], strlen(bad[i]), &page, &err) != TL_EDECODE) fail_msg("taken: %s", bad[i]);
    assert_true(err.message[0]);
    assert_int_equal(page.count, 0);
    tl_s3_page_deinit(&page);
  }
  for (size_t len = 0; len + 1 < sizeof list; len++) { /* cut anywhere */
    tl_s3_page page = {0};
    assert_int_equal(tl_s3_xml_page(list, len, &page, NULL), TL_EDECODE);
    tl_s3_page_deinit(&page);
  }
}

static void an_error_is_read(void **state) {
  (void)state;
  tl_s3_refusal r;
  static const char text[] = "<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please\nreduce \xC3\xA9</Message><Region>eu-west-3</Region><x:RequestId/></Error>";
  assert_true(tl_s3_xml_refusal(text, sizeof text - 1, &r));
  assert_string_equal(r.code, "SlowDown");
  assert_string_equal(r.message, "Please reduce ??");
  assert_string_equal(r.region, "eu-west-3");
  static const char *const none[] = {"<Error><Message>x</Message></Error>", "<html><Error><Code>x</Code></Error></html>", "<Error><Code>x</Code>", "{\"Code\":\"x\"}"};
  for (size_t i = 0; i < 4; i++) {
    assert_false(tl_s3_xml_refusal(none[i], strlen(none[i]), &r));
    assert_string_equal(r.code, "");
  }
  char longer[2000];
  int len = snprintf(longer, sizeof longer, "<Error><Code>%0100d</Code><Message>%0900d</Message></Error>", 7, 7);
  assert_true(tl_s3_xml_refusal(longer, (size_t)len, &r));
  assert_int_equal(strlen(r.code), sizeof r.code - 1);
  assert_int_equal(strlen(r.message), sizeof r.message - 1);
}

static void an_upload_is_read(void **state) {
  (void)state;
  tl_buf id = {0};
  char etag[96];
  tl_error err = {0};
  static const char begun[] = "<InitiateMultipartUploadResult xmlns=\"x\"><Bucket>b</Bucket><Key>k</Key><UploadId>a/b+c==</UploadId></InitiateMultipartUploadResult>";
  static const char ended[] = "<CompleteMultipartUploadResult>\n<ETag>\"abc-3\"</ETag></CompleteMultipartUploadResult>";
  static const char error[] = "<Error><Code>InternalError</Code></Error>"; /* with code 200, too */
  assert_int_equal(tl_s3_xml_upload_id(begun, sizeof begun - 1, &id, &err), TL_OK);
  assert_string_equal(id.data, "a/b+c==");
  assert_int_equal(tl_s3_xml_completed(ended, sizeof ended - 1, etag, &err), TL_OK);
  assert_string_equal(etag, "abc-3");
  assert_int_equal(tl_s3_xml_completed(error, sizeof error - 1, etag, &err), TL_EDECODE);
  assert_int_equal(tl_s3_xml_upload_id(error, sizeof error - 1, &id, &err), TL_EDECODE);
  assert_int_equal(tl_s3_xml_upload_id(ended, sizeof ended - 1, &id, &err), TL_EDECODE);
  assert_int_equal(id.len, 0);
  tl_buf_deinit(&id);
}

static void memory_may_run_out_anywhere(void **state) {
  (void)state;
  bool fired = true;
  for (long n = 1; fired; n++) {
    int64_t live = tl_alloc_live();
    tl_s3_page page = {0};
    tl_error err = {0};
    tl_fault_arm(TL_SEAM_ALLOC, n, TL_FAULT_ERROR, 0);
    tl_status st = tl_s3_xml_page(list, sizeof list - 1, &page, &err);
    fired = tl_fault_disarm();
    assert_int_equal(st, fired ? TL_ENOMEM : TL_OK);
    assert_int_equal(page.count, fired ? 0 : 2);
    tl_s3_page_deinit(&page);
    assert_true(tl_alloc_live() == live);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_list_is_read), cmocka_unit_test(what_is_no_list_is_refused), cmocka_unit_test(an_error_is_read),
                                     cmocka_unit_test(an_upload_is_read), cmocka_unit_test(memory_may_run_out_anywhere)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
