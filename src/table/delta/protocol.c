/* protocol.c - which tables we may read and write: every feature by name, none ignored.
 * A feature that a version number implies (writer 3 to 6) or a list names counts where the table uses it: constraints in
 * its properties, generated columns in its schema. Features whose mere presence changes what a writer must do are refused
 * whenever they are named. Pure. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "market/number.h"
#include "table/delta/delta.h"

/* Readers need nothing for these: an instant without a zone is a Parquet type; the other watches over vacuum. */
static const char *const readable[] = {"timestampNtz", "vacuumProtocolCheck"};
/* Writers: honoured, or refused below where the table uses them. */
static const char *const writable[] = {"appendOnly", "invariants", "timestampNtz", "vacuumProtocolCheck", "checkConstraints",
                                       "changeDataFeed", "generatedColumns", "columnMapping", "identityColumns"};

static bool among(const char *const *names, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (!strcmp(names[i], name)) return true;
  return false;
}

static bool is_true(const tl_delta_metadata *metadata, const char *key) {
  const char *value = tl_delta_pairs_get(&metadata->configuration, key);
  return value && !strcasecmp(value, "true");
}

static bool maps_columns(const tl_delta_metadata *metadata) {
  const char *mode = tl_delta_pairs_get(&metadata->configuration, "delta.columnMapping.mode");
  return mode && strcasecmp(mode, "none") != 0;
}

tl_status tl_delta_check_readable(const tl_delta_protocol *protocol, const tl_delta_metadata *metadata, tl_error *err) {
  if (protocol->reader > 3)
    return tl_fail(err, TL_EUSAGE, "the table needs a reader of version %" PRId64 ", newer than this engine knows (3)", protocol->reader);
  for (size_t i = 0; i < protocol->reader_features.count; i++)
    if (!among(readable, sizeof readable / sizeof readable[0], protocol->reader_features.items[i]))
      return tl_fail(err, TL_EUSAGE, "the table has the feature '%.100s', which this engine cannot read", protocol->reader_features.items[i]);
  if (maps_columns(metadata)) return tl_fail(err, TL_EUSAGE, "the table has the feature 'columnMapping', which this engine cannot read");
  return TL_OK;
}

tl_status tl_delta_protocol_for(const tl_fields *fields, tl_delta_protocol *out, tl_error *err) {
  static const char *const features[] = {"appendOnly", "invariants", "timestampNtz"};
  bool ntz = false;
  for (size_t i = 0; i < fields->count; i++)
    ntz |= fields->items[i].type == TL_FIELD_TIMESTAMP_NTZ || (fields->items[i].type == TL_FIELD_LIST && fields->items[i].element == TL_FIELD_TIMESTAMP_NTZ);
  *out = (tl_delta_protocol){.reader = ntz ? 3 : 1, .writer = ntz ? 7 : 2};
  tl_status st = ntz ? tl_delta_names_add(&out->reader_features, tl_text_from(features[2]), err) : TL_OK;
  for (size_t i = 0; !st && ntz && i < 3; i++) st = tl_delta_names_add(&out->writer_features, tl_text_from(features[i]), err);
  if (st) tl_delta_protocol_deinit(out);
  return st;
}

tl_status tl_delta_check_properties(const tl_pair *properties, size_t count, tl_error *err) {
  static const struct { const char *key; enum { WHOLE, SPAN, TRUTH } kind; int64_t least; const char *words; } known[] = {
    {"delta.checkpointInterval", WHOLE, 1, "a whole number from 1 on"}, {"delta.dataSkippingNumIndexedCols", WHOLE, -1, "a whole number, or -1"},
    {"delta.deletedFileRetentionDuration", SPAN, 0, "a time such as 'interval 30 days'"},
    {"delta.logRetentionDuration", SPAN, 0, "a time such as 'interval 30 days'"}, {"delta.appendOnly", TRUTH, 0, "true or false"}};
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; properties[i].value && k < sizeof known / sizeof known[0]; k++) {
      const char *value = properties[i].value;
      int64_t number = -1;
      if (strcmp(properties[i].key, known[k].key) != 0) continue;
      tl_pair pair = properties[i];
      const tl_delta_metadata one = {.configuration = {.items = &pair, .count = 1}};
      bool fits = known[k].kind == WHOLE  ? tl_number_i64(value, strlen(value), &number) == TL_NUMBER_OK && number >= known[k].least
                  : known[k].kind == SPAN ? tl_delta_interval_ms(&one, known[k].key, -1) >= 0
                                          : !strcasecmp(value, "true") || !strcasecmp(value, "false");
      if (!fits) return tl_fail(err, TL_EUSAGE, "property '%s' is %s, not '%.100s'", known[k].key, known[k].words, value);
    }
  return TL_OK;
}

static bool metadata_has(const tl_field *field, const char *key) { /* a key, by its text with quotes: keys come escaped by us */
  char quoted[64];
  snprintf(quoted, sizeof quoted, "\"%s", key);
  return field->metadata && strstr(field->metadata, quoted);
}

/* A feature the table uses, its name and where; NULL: none. */
static const char *used(const tl_delta_metadata *metadata, const tl_fields *fields, char where[128]) {
  for (size_t i = 0; i < metadata->configuration.count; i++) {
    const char *key = metadata->configuration.items[i].key;
    snprintf(where, 128, "property %.100s", key);
    if (!strncmp(key, "delta.constraints.", 18)) return "checkConstraints";
  }
  for (size_t i = 0; i < fields->count; i++) {
    const tl_field *field = &fields->items[i];
    snprintf(where, 128, "column %.100s", field->name);
    if (metadata_has(field, "delta.invariants\"")) return "invariants";
    if (metadata_has(field, "delta.generationExpression\"")) return "generatedColumns";
    if (metadata_has(field, "delta.identity.")) return "identityColumns";
    if (metadata_has(field, "CURRENT_DEFAULT\"")) return "allowColumnDefaults";
  }
  where[0] = 0;
  if (is_true(metadata, "delta.enableChangeDataFeed")) return "changeDataFeed";
  if (maps_columns(metadata)) return "columnMapping";
  if (is_true(metadata, "delta.enableDeletionVectors")) return "deletionVectors";
  if (is_true(metadata, "delta.enableRowTracking")) return "rowTracking";
  if (is_true(metadata, "delta.enableInCommitTimestamps")) return "inCommitTimestamp";
  return NULL;
}

static tl_status explain(tl_buf *text, char **why, tl_status st) {
  if (!st) *why = tl_buf_take(text);
  tl_buf_deinit(text);
  return st;
}

tl_status tl_delta_unwritable(const tl_delta_protocol *protocol, const tl_delta_metadata *metadata, const tl_fields *fields, char **why, tl_error *err) {
  char where[128] = "";
  tl_buf text = {0};
  *why = NULL;
  if (protocol->writer > 7 || protocol->reader > 3)
    return explain(&text, why, tl_buf_appendf(&text, err, "it needs a writer of version %" PRId64 ", newer than this engine knows (7)", protocol->writer));
  for (size_t i = 0; i < protocol->writer_features.count; i++)
    if (!among(writable, sizeof writable / sizeof writable[0], protocol->writer_features.items[i]))
      return explain(&text, why, tl_buf_appendf(&text, err, "it has the feature '%s', which this engine does not write", protocol->writer_features.items[i]));
  const char *feature = used(metadata, fields, where);
  if (feature)
    return explain(&text, why, tl_buf_appendf(&text, err, "it has the feature '%s'%s%s%s, which this engine does not write", feature,
                                              where[0] ? " (" : "", where, where[0] ? ")" : ""));
  for (size_t i = 0; i < fields->count; i++)
    if (fields->items[i].type == TL_FIELD_OTHER)
      return explain(&text, why, tl_buf_appendf(&text, err, "its column '%s' is of a type this engine does not write", fields->items[i].name));
  for (size_t i = 0; i < metadata->partition_columns.count; i++) {
    int at = tl_fields_find(fields, metadata->partition_columns.items[i]);
    tl_field_type type = at < 0 ? TL_FIELD_STRING : fields->items[at].type;
    if (type == TL_FIELD_F32 || type == TL_FIELD_F64 || type == TL_FIELD_BINARY) /* 1, 1.0 and 1e0 would be partitions of their own */
      return explain(&text, why, tl_buf_appendf(&text, err, "it is partitioned by '%s', whose type has more than one spelling for a value", fields->items[at].name));
  }
  for (size_t i = 0; i < metadata->configuration.count; i++) {
    tl_partitioning partitioning;
    if (strncmp(metadata->configuration.items[i].key, "ticklake.partition.", 19) != 0) continue;
    tl_status st = tl_delta_partitioning_read(metadata, fields, &partitioning, err);
    if (st) return st;
    bool odd = false;
    for (size_t k = 0; k < partitioning.count; k++) odd |= partitioning.items[k].transform == TL_TRANSFORM_OTHER;
    tl_partitioning_deinit(&partitioning);
    if (odd) return explain(&text, why, tl_buf_appendf(&text, err, "its property %s is not year, month or day of a column", metadata->configuration.items[i].key));
  }
  return TL_OK;
}
