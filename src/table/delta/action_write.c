/* action_write.c - actions as lines of a commit file: one object each, LF behind it, keys in the order of the format's text. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/prng.h"
#include "table/delta/delta.h"

tl_status tl_delta_put_value(tl_buf *out, const tl_json_value *value, tl_error *err) {
  tl_json_writer w = tl_json_writer_of(out, err);
  tl_json_put_value(&w, NULL, value);
  return w.status; /* a value too deep leaves the writer's levels open */
}

static tl_json_writer begin(tl_buf *out, const char *action, tl_error *err) {
  tl_json_writer w = tl_json_writer_of(out, err);
  tl_json_put_object(&w, NULL);
  tl_json_put_object(&w, action);
  return w;
}

static tl_status end(tl_json_writer *w) {
  tl_json_put_close(w);
  tl_json_put_close(w);
  tl_status st = tl_json_writer_end(w);
  return st ? st : tl_buf_append(w->buf, "\n", 1, w->err);
}

static void put_names(tl_json_writer *w, const char *key, const tl_delta_names *names) {
  tl_json_put_array(w, key);
  for (size_t i = 0; i < names->count; i++) tl_json_put_string(w, NULL, names->items[i]);
  tl_json_put_close(w);
}

static void put_pairs(tl_json_writer *w, const char *key, const tl_pair *pairs, size_t count) {
  tl_json_put_object(w, key);
  for (size_t i = 0; i < count; i++) tl_json_put_string(w, pairs[i].key, pairs[i].value);
  tl_json_put_close(w);
}

tl_status tl_delta_put_protocol(tl_buf *out, const tl_delta_protocol *protocol, tl_error *err) {
  tl_json_writer w = begin(out, "protocol", err);
  tl_json_put_i64(&w, "minReaderVersion", protocol->reader);
  tl_json_put_i64(&w, "minWriterVersion", protocol->writer);
  if (protocol->reader >= 3) put_names(&w, "readerFeatures", &protocol->reader_features);
  if (protocol->writer >= 7) put_names(&w, "writerFeatures", &protocol->writer_features);
  return end(&w);
}

tl_status tl_delta_put_metadata(tl_buf *out, const tl_delta_metadata *m, tl_error *err) {
  tl_json_writer w = begin(out, "metaData", err);
  tl_json_put_string(&w, "id", m->id);
  if (m->name) tl_json_put_string(&w, "name", m->name);
  if (m->description) tl_json_put_string(&w, "description", m->description);
  tl_json_put_object(&w, "format");
  tl_json_put_string(&w, "provider", "parquet");
  tl_json_put_object(&w, "options");
  tl_json_put_close(&w);
  tl_json_put_close(&w);
  tl_json_put_string(&w, "schemaString", m->schema);
  put_names(&w, "partitionColumns", &m->partition_columns);
  put_pairs(&w, "configuration", m->configuration.items, m->configuration.count);
  if (m->created_ms >= 0) tl_json_put_i64(&w, "createdTime", m->created_ms);
  return end(&w);
}

tl_status tl_delta_put_txn(tl_buf *out, const tl_delta_txn *txn, tl_error *err) {
  tl_json_writer w = begin(out, "txn", err);
  tl_json_put_string(&w, "appId", txn->app);
  tl_json_put_i64(&w, "version", txn->version);
  if (txn->updated_ms >= 0) tl_json_put_i64(&w, "lastUpdated", txn->updated_ms);
  return end(&w);
}

tl_status tl_delta_put_file(tl_buf *out, const tl_delta_file *file, tl_error *err) {
  tl_json_writer w = begin(out, file->removed ? "remove" : "add", err);
  tl_json_put_string(&w, "path", file->path);
  if (file->removed) {
    tl_json_put_i64(&w, "deletionTimestamp", file->deleted_ms);
    tl_json_put_bool(&w, "dataChange", file->data_change);
    tl_json_put_bool(&w, "extendedFileMetadata", file->has_partition && file->size_bytes >= 0);
  }
  if (file->has_partition) put_pairs(&w, "partitionValues", file->partition, file->partition_count);
  if (file->size_bytes >= 0) tl_json_put_i64(&w, "size", file->size_bytes);
  if (!file->removed) {
    tl_json_put_i64(&w, "modificationTime", file->modified_ms);
    tl_json_put_bool(&w, "dataChange", file->data_change);
    if (file->stats) tl_json_put_string(&w, "stats", file->stats);
    if (file->tag_count) put_pairs(&w, "tags", file->tags, file->tag_count);
  }
  return end(&w);
}

/* Names must differ between processes that start in the same instant: the system's own randomness, and where it cannot
 * be had, clocks and the process. */
void tl_delta_uuid(char out[TL_DELTA_UUID_MAX]) {
  static atomic_uint serial;
  uint64_t seed[2] = {0};
  size_t got = 0;
  int fd = -1;
  if (!tl_io_open("/dev/urandom", O_RDONLY, 0, &fd, NULL)) tl_io_pread(fd, "/dev/urandom", seed, sizeof seed, 0, &got, NULL);
  tl_io_close(fd, "/dev/urandom", NULL);
  tl_prng prng = tl_prng_init(seed[0] ^ (uint64_t)tl_clock_now_ns() ^ ((uint64_t)getpid() << 40));
  uint64_t high = tl_prng_next(&prng) ^ seed[1], low = tl_prng_next(&prng) ^ (uint64_t)tl_clock_mono_ns();
  low = tl_prng_mix(low + atomic_fetch_add(&serial, 1));
  snprintf(out, TL_DELTA_UUID_MAX, "%08x-%04x-4%03x-%04x-%04x%08x", (unsigned)(high >> 32), (unsigned)(high >> 16 & 0xffff),
           (unsigned)(high & 0xfff), (unsigned)(0x8000 | (low >> 48 & 0x3fff)), (unsigned)(low >> 32 & 0xffff), (unsigned)(low & 0xffffffff));
}
