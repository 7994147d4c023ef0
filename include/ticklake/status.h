/* status.h - what every ticklake call returns, and the error it may fill.
 *
 * Numbers are ABI: never reused, never reordered. A tl_error lives on the caller's stack and owns nothing,
 * so there is nothing to free. Thread-safe: every call writes only the tl_error it was given. */
#ifndef TICKLAKE_STATUS_H
#define TICKLAKE_STATUS_H

#if defined(__GNUC__)
#define TL_API __attribute__((visibility("default")))
#define TL_PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#else
#define TL_API
#define TL_PRINTF(format_index, first_index)
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define TL_STATUS_MAP(X)                                                  \
  X(TL_OK, 0, "ok")                                                       \
  X(TL_ENOMEM, 1, "out of memory")                                        \
  X(TL_EUSAGE, 2, "wrong usage or configuration")                         \
  X(TL_EIO, 3, "input or output failed")                                  \
  X(TL_ENOTFOUND, 4, "not found")                                         \
  X(TL_ECANCELED, 5, "stopped on request")                                \
  X(TL_EINTERNAL, 6, "a bug in ticklake")                                 \
  X(TL_ELIMIT, 7, "a configured limit was exceeded")                      \
  X(TL_ENET, 20, "the transfer failed")                                   \
  X(TL_EAUTH, 21, "the provider refused the credentials")                 \
  X(TL_EHTTP, 22, "the provider refused the request")                     \
  X(TL_EORIGIN, 23, "an answer pointed outside the configured host")      \
  X(TL_EDECODE, 30, "the answer is not what the provider documents")      \
  X(TL_ECONFLICT, 40, "another writer committed first")                   \
  X(TL_ECORRUPT, 41, "stored data does not match its record")             \
  X(TL_ELEDGER, 42, "the ledger could not be read or written")            \
  X(TL_ESQL, 50, "the query failed")

typedef enum tl_status {
#define X(name, value, text) name = value,
  TL_STATUS_MAP(X)
#undef X
} tl_status;

typedef struct tl_error {
  tl_status status;
  int http_code; /* 0 when no HTTP answer is behind this error */
  char message[400];
} tl_error;

/** Default text of a status, e.g. "out of memory". Static; never NULL, also for numbers not in the list. */
TL_API const char *tl_status_text(tl_status status);

#ifdef __cplusplus
}
#endif
#endif
