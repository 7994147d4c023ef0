/* folder_catalog.c - a table whose own folder says which metadata is the newest.
 *
 *     metadata/v7.metadata.json   whole or not there, put only when absent: that put is the commit
 *     metadata/version-hint.text  "7": where readers begin to look; may lag
 *
 * The hint is never the truth: from the version it names we probe forward, and without it the greatest N of a listing
 * counts. Whoever writes the hint looks once more behind it, so that of writers who race the last one leaves it right.
 * Old files may be deleted (write.metadata.delete-after-commit.enabled), lowest first and without gaps: so while vN is
 * there, v(N+1) has not been deleted, and a put of v(N+1) that won has won against everybody. A commit whose base is gone
 * afterwards went into such a hole, and is taken back. Tables whose files are named NNNNN-UUID.metadata.json belong to
 * a catalog elsewhere: they are read, not written. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "market/number.h"
#include "net/inflate.h"
#include "table/iceberg/iceberg_log.h"

enum { HINT_BYTES_MAX = 4096, READ_TRIES = 5, PREVIOUS_MAX = 100 };
static const char folder[] = "metadata/", hint_key[] = "metadata/version-hint.text";
static const size_t metadata_bytes_max = (size_t)1 << 30;

/* ---- names ---- */

static void key_of(int64_t number, char out[64]) { snprintf(out, 64, "metadata/v%" PRId64 ".metadata.json", number); }

static bool ends_with(const char *text, const char *end) {
  size_t len = strlen(text), end_len = strlen(end);
  return len >= end_len && !strcmp(text + len - end_len, end);
}

static bool is_metadata(const char *key) { return ends_with(key, ".metadata.json") || ends_with(key, ".metadata.json.gz"); }

static bool is_packed(const char *key) { return ends_with(key, ".gz.metadata.json") || ends_with(key, ".metadata.json.gz"); }

int64_t tl_iceberg_folder_number(const char *key) {
  int64_t number = 0;
  if (strncmp(key, "metadata/v", sizeof folder) != 0) return -1;
  const char *p = key + sizeof folder, *end = p; /* behind the v */
  while (*end >= '0' && *end <= '9') end++;
  if (tl_number_i64(p, (size_t)(end - p), &number)) return -1;
  return !strcmp(end, ".metadata.json") || !strcmp(end, ".gz.metadata.json") || !strcmp(end, ".metadata.json.gz") ? number : -1;
}

/* NNNNN of "metadata/NNNNN-UUID.metadata.json": of a catalog; -1 for other keys. */
static int64_t catalog_number(const char *key) {
  int64_t number = 0;
  if (strncmp(key, folder, sizeof folder - 1) != 0) return -1;
  const char *p = key + sizeof folder - 1, *end = p;
  while (*end >= '0' && *end <= '9') end++;
  if (*end != '-' || !is_metadata(key)) return -1;
  while (*p == '0' && p + 1 < end) p++;
  return tl_number_i64(p, (size_t)(end - p), &number) ? -1 : number;
}

/* ---- which is the newest ---- */

typedef struct newest {
  char key[1100];
  int64_t number;
  bool of_catalog, doubtful; /* doubtful: two files claim to be */
} newest;

static int see_key(void *to, const char *key, const tl_store_info *info) {
  newest *n = to;
  (void)info;
  int64_t own = tl_iceberg_folder_number(key), number = own >= 0 ? own : catalog_number(key);
  if (number < 0 || strlen(key) >= sizeof n->key) return 0;
  bool of_catalog = own < 0;
  bool better = n->number < 0 || (of_catalog == n->of_catalog ? number > n->number : !of_catalog); /* vN goes before NNNNN-UUID */
  if (!better) {
    if (of_catalog == n->of_catalog && number == n->number) n->doubtful = true;
    return 0;
  }
  n->number = number;
  n->of_catalog = of_catalog;
  n->doubtful = false;
  snprintf(n->key, sizeof n->key, "%s", key);
  return 0;
}

static tl_status find_by_list(tl_table_log *log, newest *out, tl_error *err) {
  *out = (newest){.number = -1};
  tl_status st = tl_store_list(log->store, folder, NULL, false, see_key, out, err);
  if (st) return st;
  if (out->number < 0) return tl_fail(err, TL_ENOTFOUND, "there is no Iceberg table at '%s'", tl_store_uri(log->store));
  if (out->doubtful)
    return tl_fail(err, TL_EUSAGE, "'%s' has two metadata files of number %" PRId64 ": which one counts only its catalog knows",
                   tl_store_uri(log->store), out->number);
  return TL_OK;
}

/* Moves *number on while there is a newer file. */
static tl_status probe(tl_table_log *log, int64_t *number, tl_error *err) {
  char key[64];
  tl_store_info info;
  for (;;) {
    if (*number == INT64_MAX) return TL_OK;
    key_of(*number + 1, key);
    tl_status st = tl_store_stat(log->store, key, &info, err);
    if (st) return st == TL_ENOTFOUND ? TL_OK : st;
    ++*number;
  }
}

/* What the hint says: a number, else -1 (none, or something else). */
static tl_status read_hint(tl_table_log *log, int64_t *number, tl_error *err) {
  tl_buf text = {0};
  *number = -1;
  tl_status st = tl_store_get(log->store, hint_key, HINT_BYTES_MAX, &text, NULL, err);
  size_t len = text.len;
  while (len && (text.data[len - 1] == '\n' || text.data[len - 1] == '\r' || text.data[len - 1] == ' ')) len--;
  if (st || !len || tl_number_i64(text.data, len, number) || *number < 0) *number = -1;
  tl_buf_deinit(&text);
  return st == TL_ENOTFOUND || st == TL_ELIMIT ? TL_OK : st;
}

/* Failures are left to the next open: the commit is done, the hint only lags. */
static void write_hint(tl_table_log *log, int64_t number) {
  char text[24];
  for (int64_t written = -1; written != number;) {
    int len = snprintf(text, sizeof text, "%" PRId64, number);
    if (tl_store_put(log->store, hint_key, text, (size_t)len, TL_PUT_ANY, NULL, NULL, NULL)) return;
    written = number;
    if (probe(log, &number, NULL)) return;
  }
}

static tl_status find_newest(tl_table_log *log, bool by_list, newest *out, tl_error *err) {
  int64_t hint = -1;
  tl_store_info info;
  tl_status st = read_hint(log, &hint, err);
  if (st) return st;
  *out = (newest){.number = hint};
  if (hint >= 0 && !by_list) {
    key_of(hint, out->key);
    st = tl_store_stat(log->store, out->key, &info, err);
    if (st && st != TL_ENOTFOUND) return st;
    if (!st) st = probe(log, &out->number, err);
    key_of(out->number, out->key);
  } else {
    st = TL_ENOTFOUND;
  }
  if (st == TL_ENOTFOUND) st = find_by_list(log, out, err);
  if (!st && !out->of_catalog && hint != out->number) write_hint(log, out->number);
  return st;
}

/* ---- reading ---- */

void tl_iceberg_state_deinit(tl_iceberg_state *state) {
  tl_iceberg_metadata_close(state->metadata);
  tl_free(state->path);
  tl_free(state->unwritable);
  *state = (tl_iceberg_state){0};
}

static tl_status unpack(const char *key, tl_buf *data, tl_error *err) {
  tl_inflate *inflate = NULL;
  tl_buf text = {0};
  tl_status st = tl_inflate_open(&inflate, err);
  if (!st) st = tl_inflate_gzip(inflate, data->data ? data->data : "", data->len, metadata_bytes_max, &text, err);
  tl_inflate_close(inflate);
  if (st == TL_ENET) st = tl_fail(err, TL_ECORRUPT, "'%s' is not a whole gzip file", key);
  if (st) {
    tl_buf_deinit(&text);
    return st;
  }
  tl_buf_deinit(data);
  *data = text;
  return TL_OK;
}

static bool packs(const tl_iceberg_metadata *m) {
  const char *codec = tl_iceberg_property(m, "write.metadata.compression-codec");
  return codec && strcmp(codec, "none") != 0;
}

static tl_status path_below(const tl_table_log *log, const char *key, char **out, tl_error *err) {
  tl_buf path = {0};
  tl_status st = tl_buf_appendf(&path, err, "%s/%s", tl_store_uri(log->store), key);
  if (!st) *out = tl_buf_take(&path);
  tl_buf_deinit(&path);
  return st;
}

static tl_status read_newest(tl_table_log *log, const newest *n, tl_iceberg_state *out, tl_error *err) {
  tl_buf data = {0};
  tl_status st = tl_store_get(log->store, n->key, metadata_bytes_max, &data, NULL, err);
  if (!st && is_packed(n->key)) st = unpack(n->key, &data, err);
  if (!st) st = tl_iceberg_metadata_parse(n->key, data.data ? data.data : "", data.len, &out->metadata, err);
  if (!st) st = path_below(log, n->key, &out->path, err);
  tl_buf_deinit(&data);
  if (st) return st;
  out->number = n->number;
  const char *why = NULL;
  if (n->of_catalog) why = "its metadata files belong to a catalog, which alone may change them";
  else if (is_packed(n->key) || packs(out->metadata)) why = "its metadata files are compressed (write.metadata.compression-codec)";
  if (why && !(out->unwritable = tl_strdup(why))) return tl_fail(err, TL_ENOMEM, "cannot hold '%s'", n->key);
  return TL_OK;
}

tl_status tl_iceberg_folder_load(tl_table_log *log, tl_iceberg_state *out, tl_error *err) {
  newest n;
  bool by_list = false;
  for (int tries = 1;; tries++) {
    *out = (tl_iceberg_state){0};
    tl_status st = find_newest(log, by_list, &n, err);
    bool found = !st;
    if (!st) st = read_newest(log, &n, out, err);
    if (!st && !by_list && packs(out->metadata)) { /* a newer one may have a name that probing does not see */
      tl_iceberg_state_deinit(out);
      by_list = true;
      continue;
    }
    if (st) tl_iceberg_state_deinit(out);
    if (st != TL_ENOTFOUND || !found || tries == READ_TRIES) return st; /* found and gone: a hundred commits went by */
  }
}

bool tl_iceberg_folder_is_newest(tl_table_log *log, const tl_iceberg_state *state) {
  int64_t number = state->number;
  return !state->unwritable && !probe(log, &number, NULL) && number == state->number;
}

static int stop_at_metadata(void *to, const char *key, const tl_store_info *info) {
  (void)info;
  *(bool *)to = is_metadata(key);
  return *(bool *)to;
}

tl_status tl_iceberg_folder_detect(tl_store *store, bool *found, tl_error *err) {
  tl_store_info info;
  *found = false;
  tl_status st = tl_store_stat(store, hint_key, &info, err);
  if (!st) {
    *found = true;
    return TL_OK;
  }
  if (st != TL_ENOTFOUND) return st;
  return tl_store_list(store, folder, NULL, false, stop_at_metadata, found, err);
}

/* ---- committing ---- */

/* Deletes what lies `most` and more versions back, lowest first. Failures are left to the next commit. */
static void delete_old(tl_table_log *log, const tl_iceberg_metadata *m, int64_t newest_number) {
  const char *enabled = tl_iceberg_property(m, "write.metadata.delete-after-commit.enabled");
  const char *text = tl_iceberg_property(m, "write.metadata.previous-versions-max");
  int64_t most = PREVIOUS_MAX;
  char key[64];
  tl_store_info info;
  if (!enabled || strcmp(enabled, "true") != 0) return;
  if (text && (tl_number_i64(text, strlen(text), &most) || most < 1)) most = PREVIOUS_MAX;
  int64_t last = newest_number - most - 1, first = last;
  if (last < 1 || most >= newest_number) return;
  for (; first >= 1; first--) {
    key_of(first, key);
    tl_status st = tl_store_stat(log->store, key, &info, NULL);
    if (st == TL_ENOTFOUND) break;
    if (st) return;
  }
  for (int64_t number = first + 1; number <= last; number++) {
    key_of(number, key);
    if (tl_store_delete(log->store, key, NULL)) return;
  }
}

/* The put of v(number) won. Was it at the end of the history? Then its base is still there, or what it added is known. */
static tl_status settle(tl_table_log *log, int64_t number, const tl_iceberg_change *change, bool *unknown, tl_error *err) {
  char base[64], key[64];
  tl_store_info info;
  tl_iceberg_state now = {0};
  key_of(number - 1, base);
  tl_status st = tl_store_stat(log->store, base, &info, err);
  if (!st) return TL_OK;
  *unknown = true;
  if (st != TL_ENOTFOUND) return st;
  st = tl_iceberg_folder_load(log, &now, err);
  bool there = !st && change->added && tl_iceberg_find_snap(now.metadata, change->added->id);
  bool hole = !st && !there && now.number > number;
  tl_iceberg_state_deinit(&now);
  if (st || !hole) return st;
  key_of(number, key);
  *unknown = false;
  st = tl_store_delete(log->store, key, err);
  return st ? st : tl_fail(err, TL_ECONFLICT, "metadata version %" PRId64 " of '%s' is long past", number, tl_store_uri(log->store));
}

/* After a put that failed in an unclear way: is our file there? */
static bool may_be_there(tl_table_log *log, const char *key) {
  tl_store_info info;
  return tl_store_stat(log->store, key, &info, NULL) != TL_ENOTFOUND;
}

tl_status tl_iceberg_folder_commit(tl_table_log *log, const tl_iceberg_state *state, const tl_iceberg_change *change, int64_t *number,
                                   bool *unknown, tl_error *err) {
  tl_buf text = {0};
  char key[64];
  *unknown = false;
  *number = state->number + 1;
  key_of(*number, key);
  tl_status st = tl_iceberg_metadata_next(state->metadata, state->path, change, &text, err);
  if (st) goto done;
  TL_FAULT_STEP(); /* manifests and list are there, nobody knows of them */
  st = tl_store_put(log->store, key, text.data, text.len, TL_PUT_ABSENT, NULL, NULL, err);
  if (st && st != TL_ECONFLICT) *unknown = may_be_there(log, key);
  if (!st) st = settle(log, *number, change, unknown, err);
  if (st) goto done;
  TL_FAULT_STEP(); /* committed; the hint still names the version before */
  write_hint(log, *number);
  delete_old(log, state->metadata, *number);
done:
  tl_buf_deinit(&text);
  return st;
}

tl_status tl_iceberg_folder_create(tl_table_log *log, const tl_iceberg_new *table, tl_error *err) {
  tl_buf text = {0};
  bool found = false;
  char key[64];
  key_of(1, key);
  tl_status st = tl_iceberg_folder_detect(log->store, &found, err);
  if (!st && found) st = tl_fail(err, TL_ECONFLICT, "there is an Iceberg table at '%s' already", tl_store_uri(log->store));
  if (!st) st = tl_iceberg_metadata_create(table, &text, err);
  if (!st) {
    TL_FAULT_STEP();
    st = tl_store_put(log->store, key, text.data, text.len, TL_PUT_ABSENT, NULL, NULL, err);
    if (st == TL_ECONFLICT) st = tl_fail(err, TL_ECONFLICT, "there is an Iceberg table at '%s' already", tl_store_uri(log->store));
  }
  if (!st) {
    TL_FAULT_STEP();
    write_hint(log, 1);
  }
  tl_buf_deinit(&text);
  return st;
}
