/* aws.c - environment, settings.ini, then the profile files. */
#include "config/aws.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/io.h"
#include "config/secret.h"

enum { FILE_BYTES_MAX = 1 << 20 };

static const char *environment(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

/* ---- the profile files ---- */

typedef struct profile { /* views into the kept texts of the files */
  tl_keep *texts[2];
  const char *name;
  bool found;
  const char *access_key, *secret_key, *session_token, *region, *endpoint, *addressing, *needs;
} profile;

static char *trim(char *text) {
  text += strspn(text, " \t\r");
  size_t len = strlen(text);
  while (len && strchr(" \t\r", text[len - 1])) text[--len] = 0;
  return text;
}

static void take_pair(profile *p, char *line, bool nested) {
  char *equals = strchr(line, '=');
  if (!equals) return;
  *equals = 0;
  const char *key = trim(line), *value = trim(equals + 1);
  const struct { const char *key; const char **to; } plain[] = {
      {"aws_access_key_id", &p->access_key}, {"aws_secret_access_key", &p->secret_key}, {"aws_session_token", &p->session_token},
      {"region", &p->region}, {"endpoint_url", &p->endpoint}};
  static const char *const needs[] = {"role_arn", "credential_process", "sso_session", "sso_start_url", "web_identity_token_file"};
  if (!*value) return;
  if (nested) { /* below "s3 =" */
    if (!strcmp(key, "addressing_style")) p->addressing = value;
    if (!strcmp(key, "endpoint_url")) p->endpoint = value;
    return;
  }
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
    if (!strcasecmp(plain[i].key, key) && !*plain[i].to) *plain[i].to = value;
  for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
    if (!strcasecmp(needs[i], key)) p->needs = needs[i];
}

static bool is_section(const profile *p, char *line, bool config) {
  char *end = strchr(line, ']');
  if (!end) return false;
  *end = 0;
  char *name = trim(line + 1);
  if (config && !strncmp(name, "profile", 7) && strchr(" \t", name[7])) name = trim(name + 7);
  else if (config && strcmp(name, "default") != 0) return false;
  return !strcmp(name, p->name);
}

static void read_lines(profile *p, char *text, bool config) {
  bool inside = false, s3 = false;
  for (char *line = text; *line;) {
    char *end = line + strcspn(line, "\n"), *next = *end ? end + 1 : end;
    *end = 0;
    bool indented = *line == ' ' || *line == '\t';
    line = trim(line);
    if (*line == '[') {
      inside = is_section(p, line, config);
      p->found = p->found || inside;
      s3 = false;
    } else if (inside && *line && *line != '#' && *line != ';') {
      if (!indented) s3 = !strncmp(line, "s3", 2) && strchr(" \t=", line[2]);
      if (!indented || s3) take_pair(p, line, indented);
    }
    line = next;
  }
}

static tl_status read_file(profile *p, int which, const char *path, tl_error *err) {
  int fd = -1;
  size_t got = 0;
  tl_io_info info;
  tl_status st = tl_io_stat(path, &info, NULL);
  if (st == TL_ENOTFOUND) return TL_OK;
  if (!st && (!info.is_file || info.size_bytes > FILE_BYTES_MAX)) return tl_fail(err, TL_EUSAGE, "'%s' is not a profile file", path);
  st = tl_io_open(path, O_RDONLY, 0, &fd, err);
  if (st) return st;
  p->texts[which] = tl_keep_open((size_t)info.size_bytes + 1);
  if (p->texts[which]) st = tl_io_pread(fd, path, tl_keep_data(p->texts[which]), (size_t)info.size_bytes, 0, &got, err);
  else st = tl_fail(err, TL_ENOMEM, "cannot read '%s'", path);
  tl_io_close(fd, path, NULL);
  if (!st) read_lines(p, tl_keep_data(p->texts[which]), which == 1);
  return st;
}

static tl_status read_profile(profile *p, tl_error *err) {
  static const char *const variables[] = {"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"}, *const files[] = {".aws/credentials", ".aws/config"};
  const char *named = environment("AWS_PROFILE"), *home = environment("HOME");
  p->name = named ? named : "default";
  tl_status st = TL_OK;
  for (int i = 0; !st && i < 2; i++) {
    const char *from = environment(variables[i]);
    if (!from && !home) continue;
    char *path = from ? tl_strdup(from) : tl_io_join(home, files[i]);
    st = path ? read_file(p, i, path, err) : tl_fail(err, TL_ENOMEM, "cannot read the AWS profiles");
    tl_free(path);
  }
  return st;
}

static void profile_deinit(profile *p) {
  for (int i = 0; i < 2; i++) tl_keep_close(p->texts[i]);
}

/* ---- keys ---- */

static tl_status half(const char *has, const char *lacks, const char *where, tl_error *err) {
  return tl_fail(err, TL_EUSAGE, "%s sets %s but not %s", where, has, lacks);
}

static tl_status keep_text(const char *text, tl_keep **out, tl_error *err) { return text ? tl_secret_keep(text, strlen(text), out, err) : TL_OK; }

static tl_status keep_set(tl_aws *aws, const char *id, const char *secret, const char *token, tl_error *err) {
  tl_status st = keep_text(id, &aws->access_key, err);
  if (!st) st = keep_text(secret, &aws->secret_key, err);
  return st ? st : keep_text(token, &aws->session_token, err);
}

static tl_status keys_of_environment(tl_aws *aws, tl_error *err) {
  const char *id = environment("AWS_ACCESS_KEY_ID"), *secret = environment("AWS_SECRET_ACCESS_KEY");
  if (!id && !secret) return TL_OK;
  if (!secret) return half("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "the environment", err);
  if (!id) return half("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "the environment", err);
  return keep_set(aws, id, secret, environment("AWS_SESSION_TOKEN"), err);
}

static tl_status keys_of_settings(const tl_settings *settings, tl_aws *aws, tl_error *err) {
  static const char *const id[] = {"access_key", "access_key_id", NULL}, *const secret[] = {"secret_key", "secret_access_key", NULL}, *const token[] = {"session_token", NULL};
  tl_status st = tl_settings_secret(settings, NULL, "s3", id, &aws->access_key, err);
  if (!st) st = tl_settings_secret(settings, NULL, "s3", secret, &aws->secret_key, err);
  if (st || (!aws->access_key && !aws->secret_key)) return st;
  if (!aws->secret_key) return half("access_key", "secret_key", "[s3] of the settings", err);
  if (!aws->access_key) return half("secret_key", "access_key", "[s3] of the settings", err);
  return tl_settings_secret(settings, NULL, "s3", token, &aws->session_token, err);
}

static tl_status keys_of_profile(const profile *p, tl_aws *aws, tl_error *err) {
  if (p->access_key && p->secret_key) return keep_set(aws, p->access_key, p->secret_key, p->session_token, err);
  if (p->access_key) return half("aws_access_key_id", "aws_secret_access_key", p->name, err);
  if (p->secret_key) return half("aws_secret_access_key", "aws_access_key_id", p->name, err);
  if (!p->found && environment("AWS_PROFILE")) return tl_fail(err, TL_EUSAGE, "AWS_PROFILE '%s' stands in neither ~/.aws/credentials nor ~/.aws/config", p->name);
  if (p->needs)
    return tl_fail(err, TL_EUSAGE, "the AWS profile '%s' gets its keys by %s, which this version does not do; run: eval \"$(aws configure export-credentials --profile %s --format env)\"",
                   p->name, p->needs, p->name);
  return tl_fail(err, TL_EUSAGE, "there are no S3 keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or access_key and secret_key in [s3] of settings.ini");
}

/* ---- the rest ---- */

static const char *setting(const tl_settings *settings, const char *key) { return settings ? tl_settings_get(settings, "s3", key) : NULL; }

static tl_status wrong_setting(const tl_settings *settings, const char *key, const char *form, tl_error *err) {
  char where[300];
  tl_settings_where(settings, "s3", key, where, sizeof where);
  return tl_fail(err, TL_EUSAGE, "%s: '%s' of [s3] is %s", where, key, form);
}

static tl_status read_switch(const tl_settings *settings, const char *key, bool *out, tl_error *err) {
  const char *text = setting(settings, key);
  if (!text) return TL_OK;
  bool on = !strcasecmp(text, "true") || !strcasecmp(text, "yes") || !strcmp(text, "1");
  if (!on && strcasecmp(text, "false") != 0 && strcasecmp(text, "no") != 0 && strcmp(text, "0") != 0) return wrong_setting(settings, key, "true or false", err);
  *out = on;
  return TL_OK;
}

static tl_status copy_text(char *to, size_t size, const char *text, const char *what, tl_error *err) {
  if (strlen(text) >= size) return tl_fail(err, TL_EUSAGE, "the S3 %s is too long", what);
  memcpy(to, text, strlen(text) + 1);
  return TL_OK;
}

static tl_status read_place(const tl_settings *settings, const profile *p, tl_aws *aws, tl_error *err) {
  const char *region = environment("AWS_REGION"), *endpoint = environment("AWS_ENDPOINT_URL_S3");
  if (!region) region = environment("AWS_DEFAULT_REGION");
  if (!region) region = setting(settings, "region");
  if (!region) region = p->region;
  if (!endpoint) endpoint = environment("AWS_ENDPOINT_URL");
  if (!endpoint) endpoint = setting(settings, "endpoint");
  if (!endpoint) endpoint = p->endpoint;
  tl_status st = copy_text(aws->region, sizeof aws->region, region ? region : "us-east-1", "region", err);
  if (!st) st = copy_text(aws->endpoint, sizeof aws->endpoint, endpoint ? endpoint : "", "endpoint", err);
  aws->path_style = endpoint != NULL;
  if (p->addressing && strcmp(p->addressing, "auto") != 0) aws->path_style = !strcmp(p->addressing, "path");
  if (!st) st = read_switch(settings, "path_style", &aws->path_style, err);
  if (!st) st = read_switch(settings, "allow_http", &aws->allow_http, err);
  const char *timeout = setting(settings, "timeout");
  if (st || !timeout) return st;
  size_t len = strlen(timeout);
  if (!len || len > 4 || strspn(timeout, "0123456789") != len || timeout[0] == '0') return wrong_setting(settings, "timeout", "whole seconds", err);
  for (; *timeout; timeout++) aws->timeout_s = aws->timeout_s * 10 + (*timeout - '0');
  return TL_OK;
}

tl_status tl_aws_read(const tl_settings *settings, tl_aws *out, tl_error *err) {
  profile p = {0};
  *out = (tl_aws){0};
  tl_status st = read_profile(&p, err);
  if (!st) st = read_place(settings, &p, out, err);
  if (!st) st = keys_of_environment(out, err);
  if (!st && !out->access_key && settings) st = keys_of_settings(settings, out, err);
  if (!st && !out->access_key) st = keys_of_profile(&p, out, err);
  profile_deinit(&p);
  if (st) tl_aws_deinit(out);
  return st;
}

void tl_aws_deinit(tl_aws *aws) {
  tl_keep_close(aws->access_key);
  tl_keep_close(aws->secret_key);
  tl_keep_close(aws->session_token);
  *aws = (tl_aws){0};
}
