/* origin.c - strict URL reading. */
#include "net/origin.h"

#include <stdio.h>
#include <string.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_alnum(char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }
static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

static bool starts_with_word(const char *text, const char *word) { /* any letter case */
  for (; *word; text++, word++)
    if (lower(*text) != *word) return false;
  return true;
}

/* A dotted quad written in full; short and hexadecimal spellings are host names that merely look odd. */
static bool is_loopback_ipv4(const char *host) {
  int parts = 0;
  const char *at = host;
  for (; parts < 4; parts++) {
    int value = 0, digits = 0;
    for (; is_digit(*at) && digits < 4; at++, digits++) value = value * 10 + (*at - '0');
    if (!digits || value > 255 || (parts == 0 && value != 127)) return false;
    if (parts < 3 && *at++ != '.') return false;
  }
  return *at == 0;
}

/* Reads scheme and authority; *rest is what follows them. Gives the reason, or NULL when all is well. */
static const char *read_origin(const char *url, tl_origin *out, const char **rest) {
  *out = (tl_origin){0};
  if (starts_with_word(url, "https://")) {
    out->https = true;
    url += 8;
  } else if (starts_with_word(url, "http://")) {
    url += 7;
  } else {
    return "it does not begin with https:// or http://";
  }
  size_t len = strcspn(url, "/?#");
  const char *end = url + len;
  for (const char *p = url; p < end; p++)
    if (*p == '@') return "it holds a user name";
  size_t used = 0;
  bool bracket = *url == '[';
  for (; url < end && *url != (bracket ? ']' : ':'); url++) {
    bool ok = is_alnum(*url) || *url == '.' || *url == '-' || *url == '_' || (bracket && (*url == ':' || *url == '['));
    if (!ok) return "its host holds a character that host names do not have";
    if (used + 2 >= sizeof out->host) return "its host is too long";
    out->host[used++] = lower(*url);
  }
  if (bracket) {
    if (url == end) return "its host lacks the closing bracket";
    out->host[used++] = *url++;
  }
  if (!used || !strcmp(out->host, "[]") || out->host[0] == '.' || (bracket && strchr(out->host + 1, '['))) return "it names no host";
  uint32_t port = out->https ? 443 : 80;
  if (url < end) {
    if (*url++ != ':') return "something follows its host";
    if (url == end) return "its port is empty";
    for (port = 0; url < end; url++) {
      if (!is_digit(*url)) return "its port is not a number";
      port = port * 10 + (uint32_t)(*url - '0');
      if (port > 65535) return "its port is over 65535";
    }
    if (!port) return "its port is 0";
  }
  out->port = (uint16_t)port;
  out->loopback = !strcmp(out->host, "localhost") || !strcmp(out->host, "[::1]") || is_loopback_ipv4(out->host);
  for (const char *p = end; *p; p++)
    if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7F || *p == '\\') return "it holds a character that URLs do not have";
  *rest = end;
  return NULL;
}

/* Length of prefix without a last "/v1", "/v2", "/v1beta3" ... */
static size_t cut_version(const char *prefix, size_t len) {
  size_t slash = len;
  while (slash && prefix[slash - 1] != '/') slash--;
  if (!slash || slash + 1 >= len || prefix[slash] != 'v' || !is_digit(prefix[slash + 1])) return len;
  for (size_t i = slash + 1; i < len; i++)
    if (!is_alnum(prefix[i])) return len;
  return slash - 1;
}

tl_status tl_origin_parse(const char *endpoint, bool allow_http, tl_origin *out, tl_error *err) {
  const char *rest = NULL;
  const char *wrong = endpoint ? read_origin(endpoint, out, &rest) : "it is missing";
  if (!wrong && strpbrk(rest, "?#")) wrong = "it holds a query";
  size_t len = wrong ? 0 : strlen(rest);
  if (!wrong && len >= sizeof out->prefix) wrong = "its path is too long";
  char shown[sizeof out->host + 32] = "";
  if (endpoint) tl_origin_describe(endpoint, shown, sizeof shown);
  if (wrong) return tl_fail(err, TL_EUSAGE, "cannot use endpoint '%s': %s; write scheme://host[:port][/prefix]", shown, wrong);
  while (len && rest[len - 1] == '/') len--;
  len = cut_version(rest, len);
  while (len && rest[len - 1] == '/') len--;
  memcpy(out->prefix, rest, len);
  out->prefix[len] = 0;
  if (!out->https && !out->loopback && !allow_http)
    return tl_fail(err, TL_EUSAGE, "cannot use endpoint '%s': plain http would send the key in the clear; use https, or --allow-http", shown);
  return TL_OK;
}

static bool same(const tl_origin *a, const tl_origin *b) {
  return a->https == b->https && a->port == b->port && !strcmp(a->host, b->host);
}

bool tl_origin_same(const tl_origin *origin, const char *url) {
  tl_origin other;
  const char *rest = NULL;
  return !read_origin(url, &other, &rest) && same(origin, &other);
}

bool tl_origin_is_loopback(const char *url) {
  tl_origin origin;
  const char *rest = NULL;
  return !read_origin(url, &origin, &rest) && origin.loopback;
}

tl_status tl_origin_url(const tl_origin *origin, const char *target, tl_buf *url, tl_error *err) {
  const char *path = target, *prefix = origin->prefix;
  if (*target != '/' || target[1] == '/') { /* "//host/" names a host too */
    tl_origin other;
    const char *wrong = read_origin(target, &other, &path);
    if (wrong || !same(origin, &other)) {
      char shown[sizeof other.host + 32];
      tl_origin_describe(target, shown, sizeof shown);
      return tl_fail(err, TL_EORIGIN, "refused to go to '%s': the key belongs to %s", shown, origin->host);
    }
    prefix = "";
  }
  for (const char *p = path; *p; p++)
    if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7F || *p == '\\' || *p == '#')
      return tl_fail(err, TL_EORIGIN, "refused a request path that holds byte 0x%02x", (unsigned)(unsigned char)*p);
  tl_status st = tl_buf_appendf(url, err, "%s://%s", origin->https ? "https" : "http", origin->host);
  if (!st && origin->port != (origin->https ? 443 : 80)) st = tl_buf_appendf(url, err, ":%u", origin->port);
  if (!st) st = tl_buf_appends(url, prefix, err);
  if (!st && *path != '/') st = tl_buf_appends(url, "/", err);
  return st ? st : tl_buf_appends(url, path, err);
}

void tl_origin_describe(const char *url, char *text, size_t size_bytes) {
  size_t scheme = strspn(url, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
  const char *host = url;
  if (scheme && url[scheme] == ':') host = url + scheme + 1 + strspn(url + scheme + 1, "/\\");
  else scheme = 0;
  size_t len = strcspn(host, "/?#\\");
  for (size_t i = len; i > 0; i--)
    if (host[i - 1] == '@') { /* never show a password */
      host += i;
      len -= i;
      break;
    }
  if (len > 200) len = 200;
  snprintf(text, size_bytes, "%.*s%s%.*s", (int)(scheme < 12 ? scheme : 12), url, scheme ? "://" : "", (int)len, host);
  for (char *p = text; *p; p++)
    if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7F) *p = '?'; /* a look-alike letter must look odd */
}

tl_status tl_origin_append_value(tl_buf *url, const char *value, size_t len, tl_error *err) {
  static const char digits[] = "0123456789ABCDEF";
  tl_status st = tl_buf_reserve(url, len <= SIZE_MAX / 4 ? len * 3 : SIZE_MAX, err);
  if (st) return st;
  char *at = url->data + url->len;
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)value[i];
    if (is_alnum((char)c) || (c && strchr("-._~", c))) {
      *at++ = (char)c;
    } else {
      *at++ = '%';
      *at++ = digits[c >> 4];
      *at++ = digits[c & 15];
    }
  }
  *at = 0;
  url->len = (size_t)(at - url->data);
  return TL_OK;
}
