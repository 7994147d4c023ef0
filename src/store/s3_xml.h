/* s3_xml.h - the four XML documents of S3 that are read: an error, a page of a list, the begin and the end of an upload.
 *
 * Well-formed XML without DTD and CDATA, as S3 writes it; anything else, an HTML page above all, is TL_EDECODE. Names count
 * without their namespace, unknown elements are skipped. Memory: the document's size at most. Inside store/ only. */
#ifndef TL_STORE_S3_XML_H
#define TL_STORE_S3_XML_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "store/store.h"

typedef struct tl_s3_refusal {
  char code[64], message[240], region[40]; /* cut to fit, printable; "" when not said */
} tl_s3_refusal;
bool tl_s3_xml_refusal(const char *data, size_t len, tl_s3_refusal *out); /* false: it is not an error of S3 */

typedef struct tl_s3_item {
  size_t key_at; /* in keys.data, NUL-terminated */
  tl_store_info info;
} tl_s3_item;

typedef struct tl_s3_page { /* {0} is empty; deinit in the end */
  tl_buf keys, token;       /* token: where the next page begins, when truncated */
  tl_s3_item *items;
  size_t count, capacity;
  bool truncated;
} tl_s3_page;
tl_status tl_s3_xml_page(const char *data, size_t len, tl_s3_page *out, tl_error *err); /* replaces what out holds */
void tl_s3_page_deinit(tl_s3_page *page);

tl_status tl_s3_xml_upload_id(const char *data, size_t len, tl_buf *out, tl_error *err);
tl_status tl_s3_xml_completed(const char *data, size_t len, char etag[96], tl_error *err);
#endif
