/* settings.c - reads an INI file in place: values are views into the one kept block that holds the file's text.
 * Not libinih: it cuts lines at 200 bytes without a word, and session tokens are longer. */
#include "config/settings.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "base/suggest.h"
#include "config/secret.h"

enum { FILE_BYTES_MAX = 1 << 20 };

typedef struct value {
  const char *section, *key, *text;
  int line;
} value;

struct tl_settings {
  char *file;
  const char *system;
  tl_keep *text;
  value *values;
  size_t count, capacity;
};

#define SYSTEM_KEYS {"local_storage_dir", "api_threads", "trading_timezone"}
#define VENDOR_KEYS {"api_key", "secret_key", "endpoint", "feed", "rate", "key", "key_id", "api_secret", "secret", "trading_timezone"}
static const struct {
  const char *name;
  const char *keys[12];
} sections[] = {
    {"macos", SYSTEM_KEYS}, {"windows", SYSTEM_KEYS}, {"linux", SYSTEM_KEYS}, {"alpaca", VENDOR_KEYS}, {"polygon", VENDOR_KEYS},
    {"alphavantage", VENDOR_KEYS}, {"s3", {"access_key", "access_key_id", "secret_key", "secret_access_key", "session_token", "region", "endpoint", "path_style", "allow_http", "timeout", "trading_timezone"}},
    {"iceberg", {"rest", "warehouse", "token", "allow_http"}}, {"general", {"trading_timezone"}}, {"", {"trading_timezone"}}, /* before the first [section] */
};
enum { SECTION_COUNT = sizeof sections / sizeof *sections };

static void warn_unknown(const tl_settings *s, const value *v) {
  const char *names[SECTION_COUNT], *near;
  size_t at = 0, keys = 0;
  for (size_t i = 0; i < SECTION_COUNT; i++) names[i] = sections[i].name;
  while (at < SECTION_COUNT && strcasecmp(names[at], v->section) != 0) at++;
  if (at == SECTION_COUNT) {
    near = tl_suggest(v->section, names, SECTION_COUNT);
    tl_log(TL_LOG_WARN, "%s:%d: unknown section [%s] is ignored%s%s%s", s->file, v->line, v->section, near ? "; did you mean [" : "", near ? near : "", near ? "]?" : "");
    return;
  }
  for (; sections[at].keys[keys]; keys++)
    if (!strcasecmp(sections[at].keys[keys], v->key)) return;
  near = tl_suggest(v->key, sections[at].keys, keys);
  tl_log(TL_LOG_WARN, "%s:%d: unknown key '%s' of [%s] is ignored%s%s%s", s->file, v->line, v->key, v->section, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* ---- reading ---- */

static char *trim(char *text) {
  text += strspn(text, " \t\r");
  size_t len = strlen(text);
  while (len && strchr(" \t\r", text[len - 1])) text[--len] = 0;
  return text;
}

static tl_status add_value(tl_settings *s, value v, tl_error *err) {
  for (size_t i = 0; i < s->count; i++)
    if (!strcasecmp(s->values[i].section, v.section) && !strcasecmp(s->values[i].key, v.key))
      return tl_fail(err, TL_EUSAGE, "%s:%d: '%s' is set in line %d already", s->file, v.line, v.key, s->values[i].line);
  if (s->count == s->capacity) {
    size_t more = s->capacity ? s->capacity * 2 : 16;
    value *grown = tl_realloc_array(s->values, more, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "cannot hold the settings of '%s'", s->file);
    s->values = grown;
    s->capacity = more;
  }
  s->values[s->count++] = v;
  warn_unknown(s, &v);
  return TL_OK;
}

static char *trim_value(char *text) {
  text = trim(text);
  char *comment = *text == ';' ? text : strstr(text, " ;");
  if (!comment) comment = strstr(text, "\t;");
  if (comment && strncmp(text, "cmd:", 4) != 0) { /* in a command it parts two commands */
    *comment = 0;
    text = trim(text);
  }
  size_t len = strlen(text);
  if (len < 2 || text[0] != '"' || text[len - 1] != '"') return text;
  text[len - 1] = 0;
  return text + 1;
}

static tl_status take_line(tl_settings *s, char *line, int number, const char **section, tl_error *err) {
  line = trim(line);
  if (!*line || *line == '#' || *line == ';') return TL_OK;
  if (*line == '[') {
    char *end = strchr(line, ']');
    const char *rest = end ? end + 1 + strspn(end + 1, " \t") : NULL;
    if (!end || (*rest && *rest != ';' && *rest != '#')) return tl_fail(err, TL_EUSAGE, "%s:%d: a section is written [name]", s->file, number);
    *end = 0;
    *section = trim(line + 1);
    return TL_OK;
  }
  size_t len = strcspn(line, "=:");
  if (!len || !line[len]) return tl_fail(err, TL_EUSAGE, "%s:%d: neither a [section] nor a key = value", s->file, number);
  line[len] = 0;
  return add_value(s, (value){*section, trim(line), trim_value(line + len + 1), number}, err);
}

static tl_status read_text(tl_settings *s, tl_error *err) {
  int fd = -1;
  tl_io_info info;
  tl_status st = tl_io_stat(s->file, &info, err);
  if (!st && info.is_dir) st = tl_fail(err, TL_EUSAGE, "'%s' is a folder, not a settings file", s->file);
  if (!st && info.size_bytes > FILE_BYTES_MAX) st = tl_fail(err, TL_EUSAGE, "'%s' is too large for a settings file", s->file);
  if (!st) st = tl_io_open(s->file, O_RDONLY, 0, &fd, err);
  if (st) return st;
  size_t size = info.size_bytes > 0 ? (size_t)info.size_bytes : FILE_BYTES_MAX, got = 0; /* a pipe has no size */
  s->text = tl_keep_open(size + 1);
  if (s->text) st = tl_io_pread(fd, s->file, tl_keep_data(s->text), size, 0, &got, err);
  else st = tl_fail(err, TL_ENOMEM, "cannot hold the settings of '%s'", s->file);
  tl_io_close(fd, s->file, NULL);
  if (!st && memchr(tl_keep_data(s->text), 0, got)) st = tl_fail(err, TL_EUSAGE, "'%s' is not a text file: it holds a NUL byte", s->file);
  return st;
}

static tl_status parse(tl_settings *s, tl_error *err) {
  tl_status st = read_text(s, err);
  if (st) return st;
  char *line = tl_keep_data(s->text);
  const char *section = "";
  if (!strncmp(line, "\xEF\xBB\xBF", 3)) line += 3;
  for (int number = 1; !st && *line; number++) {
    char *end = line + strcspn(line, "\n");
    char *next = *end ? end + 1 : end;
    *end = 0;
    st = take_line(s, line, number, &section, err);
    line = next;
  }
  return st;
}

/* ---- which file, which system ---- */

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
  for (int i = 0; i < 3; i++) {
    tl_io_info info;
    s->file = i == 2 ? user_file() : tl_strdup(i ? "config/config.ini" : "settings.ini");
    if (!s->file) return tl_fail(err, TL_ENOMEM, "cannot look for settings");
    tl_status st = *s->file ? tl_io_stat(s->file, &info, err) : TL_ENOTFOUND;
    if (!st) return parse(s, err);
    if (st != TL_ENOTFOUND) return st;
    if (i < 2) tl_free(s->file);
  }
  *s->file = 0; /* there is none */
  return TL_OK;
}

static tl_status find_system(tl_settings *s, tl_error *err) {
  static const char *const systems[] = {"linux", "macos", "windows"};
  const char *named = getenv("TICKLAKE_OS");
#ifdef __APPLE__
  s->system = "macos";
#else
  s->system = "linux";
#endif
  if (!named || !*named) return TL_OK;
  for (size_t i = 0; i < 3; i++)
    if (!strcasecmp(named, systems[i])) {
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
  tl_keep_close(s->text);
  tl_free(s->values);
  tl_free(s->file);
  tl_free(s);
}

/* ---- asking ---- */

const char *tl_settings_file(const tl_settings *s) { return s->file; }
const char *tl_settings_system(const tl_settings *s) { return s->system; }

static const value *find_value(const tl_settings *s, const char *section, const char *key) {
  for (size_t i = 0; i < s->count; i++)
    if (*s->values[i].text && (!section || !strcasecmp(s->values[i].section, section)) && !strcasecmp(s->values[i].key, key)) return &s->values[i];
  return NULL;
}

const char *tl_settings_get(const tl_settings *s, const char *section, const char *key) {
  const value *v = find_value(s, section, key);
  if (!v) return NULL;
  size_t len = strlen(v->text);
  char name[128];
  if (len < 4 || len - 3 >= sizeof name || strncmp(v->text, "${", 2) != 0 || v->text[len - 1] != '}') return v->text;
  memcpy(name, v->text + 2, len - 3);
  name[len - 3] = 0;
  const char *found = getenv(name);
  return found && *found ? found : NULL;
}

void tl_settings_where(const tl_settings *s, const char *section, const char *key, char *text, size_t size_bytes) {
  const value *v = find_value(s, section, key);
  if (v) snprintf(text, size_bytes, "%s:%d", s->file, v->line);
  else text[0] = 0;
}

tl_status tl_settings_secret(const tl_settings *s, const char *variable, const char *section, const char *const *keys,
                             tl_keep **out, tl_error *err) {
  *out = NULL;
  const char *found = variable ? getenv(variable) : NULL;
  if (found && *found) return tl_secret_keep(found, strlen(found), out, err);
  for (; *keys; keys++) {
    const value *v = find_value(s, section, *keys);
    if (!v) continue;
    char where[300];
    tl_settings_where(s, section, *keys, where, sizeof where);
    return tl_secret_resolve(v->text, s->file, where, out, err);
  }
  return TL_OK;
}
