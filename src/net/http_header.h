/* http_header.h - what the answer's header lines say. Pure but for the clock behind an HTTP-date. Inside net/ only. */
#ifndef TL_NET_HTTP_HEADER_H
#define TL_NET_HTTP_HEADER_H
#include "net/http.h"

/* Takes one header line (without need of its CRLF) into the answer. A status line starts the answer anew. False: the
 * answer cannot be used (a content coding we did not ask for); answer->reason says why. */
bool tl_http_header_take(tl_http_answer *answer, const char *line, size_t len);

void tl_http_header_reset(tl_http_answer *answer); /* no header seen */
#endif
