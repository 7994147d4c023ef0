/* origin.h - the one host that credentials may go to, and the check that nothing else is asked.
 *
 * URLs are read strictly: user names, percent signs or non-ASCII letters in the host, backslashes and control bytes are
 * refused, so that no two parsers can disagree about the host. Requests are always built from the parsed origin, never
 * by handing a foreign URL on. Pure functions; no network, no name look-up. */
#ifndef TL_NET_ORIGIN_H
#define TL_NET_ORIGIN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

typedef struct tl_origin {
  char host[256];   /* lower case; IPv6 with its brackets */
  char prefix[256]; /* "" or "/path" without a slash at its end */
  uint16_t port;
  bool https, loopback; /* loopback: localhost, 127.0.0.0/8, [::1] */
} tl_origin;

/* An endpoint as a user writes it: scheme://host[:port][/prefix], a trailing /v1, /v2, /v1beta3 ... is cut. Plain http
 * is taken for loopback, for other hosts only with allow_http. TL_EUSAGE says what is wrong with it. */
tl_status tl_origin_parse(const char *endpoint, bool allow_http, tl_origin *out, tl_error *err);

/* Appends the full URL of a request: `target` is "/path?query" below the prefix, or a full URL that must lie on the same
 * scheme, host and port: else TL_EORIGIN naming the other host. */
tl_status tl_origin_url(const tl_origin *origin, const char *target, tl_buf *url, tl_error *err);

bool tl_origin_same(const tl_origin *origin, const char *url); /* a full URL on the same scheme, host and port */

bool tl_origin_is_loopback(const char *url); /* a full URL to this machine */

/* Writes scheme://host[:port] of any URL for an error text: never user names, path or query. */
void tl_origin_describe(const char *url, char *text, size_t size_bytes);

/* Appends a query value percent-encoded: all but letters, digits and -._~ */
tl_status tl_origin_append_value(tl_buf *url, const char *value, size_t len, tl_error *err);
#endif
