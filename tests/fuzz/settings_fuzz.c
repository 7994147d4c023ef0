/* Any bytes as settings.ini: refused with the line, or its values are single lines that can be asked for. Secrets are not
 * asked for here: "cmd:" would run what the fuzzer typed. */
#include "base/log.h"
#include "config/settings.h"
#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const sections[] = {NULL, "linux", "macos", "windows", "alpaca", "polygon", "s3", "nothing"};
  static const char *const keys[] = {"local_storage_dir", "api_threads", "api_key", "secret_key", "endpoint", "feed", "rate", "trading_timezone", "x"};
  static char path[128];
  if (!path[0]) {
    snprintf(path, sizeof path, "%s/settings.ini", scratch_folder());
    tl_log_set_level(TL_LOG_ERROR, TL_LOG_ERROR); /* unknown keys are warnings */
  }
  scratch_write(path, data, size);
  tl_settings *settings = NULL;
  tl_error err = {0};
  tl_status st = tl_settings_open(path, &settings, &err);
  unlink(path);
  check(st == TL_OK || (err.message[0] && !settings), "a refusal without a reason");
  check(st == TL_OK || st == TL_EUSAGE || st == TL_ELIMIT, "a status nobody promised");
  if (st) return 0;
  for (size_t s = 0; s < sizeof sections / sizeof *sections; s++)
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
      char where[200];
      const char *value = tl_settings_get(settings, sections[s], keys[k]);
      check(!value || (*value && !strchr(value, '\n')), "an empty value, or one of two lines");
      tl_settings_where(settings, sections[s], keys[k], where, sizeof where);
      check(strlen(where) < sizeof where, "no end of the place");
    }
  tl_settings_close(settings);
  return 0;
}
