/* aws.h - where S3 is and who we are there, from the places all S3 programs look at.
 *
 * Keys (id, secret and token always of one place), the first of:
 *   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   [s3] access_key, secret_key, session_token of settings.ini (access_key_id, secret_access_key too)
 *   the profile AWS_PROFILE (else "default") of ~/.aws/credentials and ~/.aws/config (AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE)
 * Region: AWS_REGION, AWS_DEFAULT_REGION, [s3] region, the profile's; else us-east-1. Endpoint: AWS_ENDPOINT_URL_S3,
 * AWS_ENDPOINT_URL, [s3] endpoint, the profile's endpoint_url; else none, which is AWS itself. A profile that needs a role, SSO
 * or a command is refused by name. The secret and the token are in kept memory and hidden from the log.
 * Not here: what is done with them (store/, engine/). */
#ifndef TL_CONFIG_AWS_H
#define TL_CONFIG_AWS_H
#include <stdbool.h>

#include "base/keep.h"
#include "base/status.h"
#include "config/settings.h"

typedef struct tl_aws {
  tl_keep *access_key, *secret_key, *session_token; /* token may be NULL */
  char region[48];
  char endpoint[512]; /* "": AWS itself */
  bool path_style;    /* bucket in the path, not in the host */
  bool allow_http;    /* plain http to other machines */
  int timeout_s;      /* [s3] timeout: a transfer that stands still so long is given up; 0: not set */
} tl_aws;

/* TL_EUSAGE when there are no keys or something in a file is wrong. settings may be NULL. */
tl_status tl_aws_read(const tl_settings *settings, tl_aws *out, tl_error *err);
void tl_aws_deinit(tl_aws *aws); /* {0} and twice are fine */
#endif
