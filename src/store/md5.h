/* md5.h - MD5 (RFC 1321): what S3 compares a body with (Content-MD5) and answers as its ETag. Never a defence. */
#ifndef TL_STORE_MD5_H
#define TL_STORE_MD5_H
#include <stddef.h>
#include <stdint.h>

typedef struct tl_md5 { /* tl_md5_init to begin */
  uint32_t state[4];
  uint64_t len;
  unsigned char block[64];
} tl_md5;

void tl_md5_init(tl_md5 *md5);
void tl_md5_add(tl_md5 *md5, const void *data, size_t len);
void tl_md5_finish(tl_md5 *md5, unsigned char out[16]); /* md5 is used up */

void tl_md5_hex(const unsigned char digest[16], char out[33]);
void tl_md5_base64(const unsigned char digest[16], char out[25]);
#endif
