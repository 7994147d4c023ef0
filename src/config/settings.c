/* settings.c - INI through libinih; secrets through their references. */
#include "config/settings.h"

#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "base/suggest.h"

enum { FILE_BYTES_MAX = 1 << 20, SECRET_BYTES_MAX = 4096 };

typedef struct value {
  char *section, *key, *text;
} value;

struct tl_settings {
  char *file;
  const char *system;
  value *values;
  size_t count, capacity;
  tl_error *err; /* while parsing */
  tl_status status;
};

static const char *const sections[] = {"macos", "windows", "linux", "alpaca", "polygon", "alphavantage", "s3", "general"};
static const char *const keys[] = {"local_storage_dir", "api_threads", "api_key", "secret_key", "endpoint", "feed", "rate",
                                   "trading_timezone", "access_key_id", "secret_access_key", "session_token", "region", "layout"};

static void warn_unknown(const tl_settings *s, const char *what, const char *word, const char *const *known, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!strcmp(word, known[i])) return;
  const char *near = tl_suggest(word, known, count);
  if (near) tl_log(TL_LOG_WARN, "%s: unknown %s '%s'; did you mean '%s'?", s->file, what, word, near);
  else tl_log(TL_LOG_WARN, "%s: unknown %s '%s' is ignored", s->file, what, word);
}

static int take_value(void *user, const char *section, const char *key, const char *text) {
  tl_settings *s = user;
  if (*section) warn_unknown(s, "section", section, sections, sizeof sections / sizeof *sections);
  warn_unknown(s, "key", key, keys, sizeof keys / sizeof *keys);
  if (s->count == s->capacity) {
    size_t more = s->capacity ? s->capacity * 2 : 16;
    value *grown = tl_realloc_array(s->values, more, sizeof *grown);
    if (!grown) {
      s->status = tl_fail(s->err, TL_ENOMEM, "cannot hold the settings of '%s'", s->file);
      return 0;
    }
    s->values = grown;
    s->capacity = more;
  }
  value v = {tl_strdup(section), tl_strdup(key), tl_strdup(text)};
  s->values[s->count++] = v;
  if (v.section && v.key && v.text) return 1;
  s->status = tl_fail(s->err, TL_ENOMEM, "cannot hold the settings of '%s'", s->file);
  return 0;
}

static tl_status parse(tl_settings *s, tl_error *err) {
  tl_buf text = {0};
  tl_status st = tl_io_read_file(s->file, FILE_BYTES_MAX, &text, err);
  if (!st) {
    s->err = err;
    int line = ini_parse_string(text.data ? text.data : "", take_value, s);
    s->err = NULL;
    st = s->status;
    if (!st && line > 0) st = tl_fail(err, TL_EUSAGE, "%s:%d: neither a [section] nor a key = value", s->file, line);
    if (!st && line < 0) st = tl_fail(err, TL_ENOMEM, "cannot read '%s'", s->file);
  }
  if (text.data) explicit_bzero(text.data, text.len); /* a key may stand in it */
  tl_buf_deinit(&text);
  return st;
}

static char *user_file(void) {
  const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
  if (base && *base) return tl_io_join(base, "ticklake/settings.ini");
  return home && *home ? tl_io_join(home, ".config/ticklake/settings.ini") : tl_strdup("");
}

static tl_status find_file(tl_settings *s, const char *named, tl_error *err) {
  if (named) {
    s->file = tl_strdup(named);
    return s->file ? parse(s, err) : tl_fail(err, TL_ENOMEM, "cannot read '%s'", named);
  }
  char *candidates[] = {tl_strdup("settings.ini"), tl_strdup("config/config.ini"), user_file()};
  tl_status st = TL_OK;
  for (int i = 0; i < 3; i++) {
    if (!candidates[i]) st = tl_fail(err, TL_ENOMEM, "cannot look for settings");
    else if (!st && !s->file && candidates[i][0] && access(candidates[i], F_OK) == 0) {
      s->file = candidates[i];
      candidates[i] = NULL;
    }
    tl_free(candidates[i]);
  }
  if (!st && s->file) return parse(s, err);
  if (!st && !s->file && !(s->file = tl_strdup(""))) st = tl_fail(err, TL_ENOMEM, "cannot look for settings");
  return st;
}

static tl_status find_system(tl_settings *s, tl_error *err) {
  static const char *const systems[] = {"linux", "macos", "windows"};
  const char *named = getenv("TICKLAKE_OS");
  s->system = "linux";
#ifdef __APPLE__
  s->system = "macos";
#endif
  if (!named || !*named) return TL_OK;
  for (size_t i = 0; i < 3; i++)
    if (!strcmp(named, systems[i])) {
      s->system = systems[i];
      return TL_OK;
    }
  return tl_fail(err, TL_EUSAGE, "TICKLAKE_OS '%s' is not one of linux, macos, windows", named);
}

tl_status tl_settings_open(const char *file, tl_settings **out, tl_error *err) {
  tl_settings *s = tl_calloc(1, sizeof *s);
  if (!s) return tl_fail(err, TL_ENOMEM, "cannot read settings");
  tl_status st = find_system(s, err);
  if (!st) st = find_file(s, file, err);
  if (st) tl_settings_close(s);
  else *out = s;
  return st;
}

void tl_settings_close(tl_settings *s) {
  if (!s) return;
  for (size_t i = 0; i < s->count; i++) {
    if (s->values[i].text) explicit_bzero(s->values[i].text, strlen(s->values[i].text));
    tl_free(s->values[i].section);
    tl_free(s->values[i].key);
    tl_free(s->values[i].text);
  }
  tl_free(s->values);
  tl_free(s->file);
  tl_free(s);
}

const char *tl_settings_file(const tl_settings *s) { return s->file; }
const char *tl_settings_system(const tl_settings *s) { return s->system; }

const char *tl_settings_get(const tl_settings *s, const char *section, const char *key) {
  for (size_t i = s->count; i-- > 0;)
    if (!strcmp(s->values[i].section, section) && !strcmp(s->values[i].key, key)) return s->values[i].text;
  return NULL;
}

/* ---- secrets ---- */

static tl_status owner_only(const char *path, tl_error *err) {
  struct stat info;
  if (stat(path, &info) != 0) return tl_fail(err, TL_EUSAGE, "cannot look at '%s', which should hold a key", path);
  if (info.st_mode & (S_IRWXG | S_IRWXO))
    return tl_fail(err, TL_EUSAGE, "'%s' holds a key and others may read it; run: chmod 600 '%s'", path, path);
  return TL_OK;
}

static tl_status keep_text(const char *text, size_t len, tl_keep **out, tl_error *err) {
  while (len && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' ')) len--;
  if (!len) return TL_OK;
  *out = tl_keep_text(text, len);
  if (!*out) return tl_fail(err, TL_ENOMEM, "cannot keep a key");
  tl_status st = tl_log_hide(tl_keep_data(*out), err);
  if (!st) return TL_OK;
  tl_keep_close(*out);
  *out = NULL;
  return st;
}

static size_t first_line(const char *text, size_t len) {
  const char *end = memchr(text, '\n', len);
  return end ? (size_t)(end - text) : len;
}

static tl_status from_file(const char *path, tl_keep **out, tl_error *err) {
  tl_buf text = {0};
  tl_status st = owner_only(path, err);
  if (!st) st = tl_io_read_file(path, SECRET_BYTES_MAX, &text, err);
  if (!st) st = keep_text(text.data, first_line(text.data, text.len), out, err);
  if (text.data) explicit_bzero(text.data, text.capacity_bytes);
  tl_buf_deinit(&text);
  return st;
}

static tl_status from_command(const char *command, tl_keep **out, tl_error *err) {
  char text[SECRET_BYTES_MAX];
  FILE *pipe = popen(command, "re");
  if (!pipe) return tl_fail(err, TL_EUSAGE, "cannot run the command that should print a key");
  size_t len = fread(text, 1, sizeof text, pipe);
  int rc = pclose(pipe);
  tl_status st = rc == 0 ? keep_text(text, first_line(text, len), out, err)
                         : tl_fail(err, TL_EUSAGE, "the command that should print a key ended with %d", WEXITSTATUS(rc));
  explicit_bzero(text, sizeof text);
  return st;
}

static tl_status resolve(const tl_settings *s, const char *text, tl_keep **out, tl_error *err) {
  size_t len = strlen(text);
  if (len > 3 && !strncmp(text, "${", 2) && text[len - 1] == '}') {
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)(len - 3), text + 2);
    const char *found = getenv(name);
    if (!found) return tl_fail(err, TL_EUSAGE, "%s names the variable '%s', which is not set", s->file, name);
    return keep_text(found, strlen(found), out, err);
  }
  if (!strncmp(text, "file:", 5)) return from_file(text + 5, out, err);
  if (!strncmp(text, "cmd:", 4)) return from_command(text + 4, out, err);
  if (!strncmp(text, "aws-sm:", 7))
    return tl_fail(err, TL_EUSAGE, "%s: 'aws-sm:' is not known to this version; use cmd:aws secretsmanager get-secret-value ...", s->file);
  tl_status st = owner_only(s->file, err);
  return st ? st : keep_text(text, len, out, err);
}

tl_status tl_settings_secret(const tl_settings *s, const char *variable, const char *section, const char *const *names,
                             tl_keep **out, tl_error *err) {
  *out = NULL;
  const char *found = variable ? getenv(variable) : NULL;
  if (found && *found) return keep_text(found, strlen(found), out, err);
  for (; *names; names++) {
    const char *text = tl_settings_get(s, section, *names);
    if (text && *text) return resolve(s, text, out, err);
  }
  return TL_OK;
}

void tl_settings_harden(void) {
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
}
