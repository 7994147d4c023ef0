/* reading.c - read and sql: the lake's layout, the engine, and the way out. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "config/settings.h"
#include "ledger/ledger.h"
#include "run/job.h"
#include "serve/serve.h"
#include "serve/sources.h"

/* As the ledger says; a lake without one (a folder of files made by others) is recognised by its files. */
tl_status tl_run_layout(tl_run_lake *lake, tl_layout *out, tl_error *err) {
  tl_ledger *ledger = NULL;
  char name[16] = "";
  tl_status st = tl_ledger_open(lake->store, false, &ledger, err);
  if (!st) st = tl_ledger_layout(ledger, "", name, err);
  tl_ledger_close(ledger);
  if (!st && tl_layout_parse(name, out)) return TL_OK;
  if (st && st != TL_ENOTFOUND) return st;
  if (tl_table_detect(lake->store, out, err) == TL_OK) return TL_OK;
  if (tl_run_tables_detect(lake, out) == TL_OK) return TL_OK;
  return tl_fail(err, TL_ENOTFOUND, "there is no lake at '%s'; import something, or name one with --lake", lake->path);
}

tl_status tl_run_open_engine(tl_run_lake *lake, tl_layout layout, tl_engine **engine, struct tl_sources **sources, tl_error *err) {
  /* A table's rows are put in order here: what does not fit goes to a folder. */
  tl_engine_options options = {.spill = tl_layout_is_table(layout) ? tl_io_temp() : NULL};
  tl_status st = tl_engine_open(&options, engine, err);
  return st ? st : tl_sources_open(*engine, lake->settings, NULL, sources, err);
}

/* "a,b,c" into columns; the text is cut in place. */
static tl_status split_columns(char *text, const char ***out, size_t *count, tl_error *err) {
  size_t most = 1;
  for (const char *c = text; *c; c++) most += *c == ',';
  *out = tl_realloc_array(NULL, most, sizeof **out);
  if (!*out) return tl_fail(err, TL_ENOMEM, "cannot read %zu columns", most);
  for (char *at = text, *next; at; at = next) {
    next = strchr(at, ',');
    if (next) *next++ = 0;
    while (*at == ' ') at++;
    size_t len = strlen(at);
    while (len && at[len - 1] == ' ') at[--len] = 0;
    if (len) (*out)[(*count)++] = at;
  }
  return *count ? TL_OK : tl_fail(err, TL_EUSAGE, "no columns are named");
}

static tl_status open_read(tl_run_lake *lake, const tl_read_options *o, tl_read *read, struct ArrowArrayStream *out, tl_error *err) {
  tl_symbols symbols = {0};
  tl_engine *engine = NULL;
  tl_sources *sources = NULL;
  tl_read_info info = {0};
  const char **columns = NULL;
  char *column_text = NULL;
  *read = (tl_read){.lake = lake->store, .range = {INT64_MIN, INT64_MAX}, .limit = o->limit > 0 ? o->limit : -1};
  if (!o->kind) return tl_fail(err, TL_EUSAGE, "which kind of rows should be read?");
  tl_status st = tl_dataset_parse(o->kind, &read->dataset, err);
  if (!st && o->session && !tl_session_kind_parse(o->session, &read->session))
    st = tl_fail(err, TL_EUSAGE, "session '%s' is not one of regular, extended, all", o->session);
  if (!st && o->start && o->end) st = tl_days_to_range(o->start, o->end, tl_clock_now_ns(), &read->range, err);
  else if (!st && (o->start || o->end)) st = tl_fail(err, TL_EUSAGE, "START and END go together");
  if (!st && o->symbols) st = tl_run_symbols_parse(lake, o->symbols, &symbols, err);
  if (!st && o->columns && !(column_text = tl_strdup(o->columns))) st = tl_fail(err, TL_ENOMEM, "cannot read columns");
  if (!st && column_text) st = split_columns(column_text, &columns, &read->column_count, err);
  if (!st) st = tl_run_layout(lake, &read->layout, err);
  if (!st) st = tl_run_open_engine(lake, read->layout, &engine, &sources, err);
  read->sources = sources;
  read->symbols = (const char *const *)symbols.items;
  read->symbol_count = symbols.count;
  read->columns = columns;
  if (!st) st = tl_read_open(engine, read, out, &info, err);
  if (!st && symbols.count && info.symbols < symbols.count) {
    if (!info.symbols) {
      out->release(out);
      st = tl_fail(err, TL_ENOTFOUND, "the lake '%s' holds no %s of %s", lake->path, read->dataset.name, o->symbols);
    } else {
      tl_log(TL_LOG_WARN, "%zu of %zu symbols have no %s in the lake", symbols.count - info.symbols, symbols.count,
             read->dataset.name);
    }
  }
  if (!st && !symbols.count && !info.files) { /* nothing in the range, or nothing at all? */
    st = tl_read_symbols(engine, lake->store, read->layout, sources, &read->dataset, &symbols, err);
    if (!st && !symbols.count) st = tl_fail(err, TL_ENOTFOUND, "the lake '%s' holds no %s", lake->path, read->dataset.name);
    if (st) out->release(out);
  }
  tl_free(columns);
  tl_free(column_text);
  tl_symbols_deinit(&symbols);
  if (!st) return tl_sources_keep(out, sources, engine, err); /* tables are open, and files fetched, as long as the rows are read */
  tl_sources_close(sources);
  tl_engine_close(engine);
  return st;
}

tl_status tl_run_read(tl_run_lake *lake, const tl_read_options *options, struct ArrowArrayStream *out, tl_error *err) {
  tl_read read;
  return open_read(lake, options, &read, out, err);
}

tl_status tl_run_sql(tl_run_lake *lake, const char *query, struct ArrowArrayStream *out, tl_error *err) {
  tl_layout layout = TL_LAYOUT_HIVE;
  tl_engine *engine = NULL;
  tl_error none;
  tl_status st = tl_run_layout(lake, &layout, &none);
  if (st && st != TL_ENOTFOUND) { /* without a lake SQL still reads files by their names */
    if (err) *err = none;
    return st;
  }
  tl_sources *sources = NULL;
  tl_buf sql = {0};
  st = tl_run_open_engine(lake, layout, &engine, &sources, err);
  if (!st) st = tl_sources_expand(sources, query, &sql, err);
  if (!st) st = tl_sql_open(engine, lake->store, layout, sources, sql.data ? sql.data : "", out, err);
  tl_buf_deinit(&sql);
  if (!st) return tl_sources_keep(out, sources, engine, err); /* files of S3 tables live as long as the rows */
  tl_sources_close(sources);
  tl_engine_close(engine);
  return st;
}

typedef struct text_sink {
  tl_write_fn write;
  void *user;
} text_sink;

static tl_status give_text(void *to, const void *data, size_t len, tl_error *err) {
  text_sink *sink = to;
  return sink->write(sink->user, data, len) ? tl_fail(err, TL_EIO, "cannot write the rows") : TL_OK;
}

static tl_status write_out(const tl_output *output, const tl_format_options *with, struct ArrowArrayStream *stream, int64_t *rows,
                           tl_error *err) {
  text_sink sink = {output->write, output->user};
  tl_format_options options = *with;
  options.path = output->path;
  if (!output->path) {
    options.sink = give_text;
    options.to = &sink;
  }
  return tl_format_write(&options, stream, rows, err);
}

static tl_status check_output(const tl_output *output, tl_output_format *format, tl_error *err) {
  tl_status st = tl_format_parse(output->format ? output->format : "table", format, err);
  if (!st && *format == TL_FORMAT_PARQUET && !output->path) st = tl_fail(err, TL_EUSAGE, "format parquet needs a file: -o FILE");
  if (!st && !output->path && !output->write) st = tl_fail(err, TL_EUSAGE, "output needs a path or a write function");
  return st;
}

tl_status tl_run_read_to(tl_run_lake *lake, const tl_read_options *options, const tl_output *output, int64_t *rows, tl_error *err) {
  tl_read read;
  struct ArrowArrayStream stream;
  tl_format_options with = {0};
  tl_zone *zone = NULL;
  tl_status st = check_output(output, &with.format, err);
  const char *tz = output->tz ? output->tz : tl_settings_get(lake->settings, NULL, "trading_timezone");
  if (!st && tz) st = tl_zone_open(tz, &zone, err);
  if (st == TL_ENOTFOUND) st = TL_EUSAGE; /* a zone that does not exist is the user's word, not a lake's lack */
  if (!st) st = open_read(lake, options, &read, &stream, err);
  with.zone = zone ? zone : tl_zone_new_york();
  if (!st) {
    with.time_digits = tl_format_time_digits(&read.dataset);
    st = write_out(output, &with, &stream, rows, err);
  }
  tl_zone_close(zone);
  return st;
}

tl_status tl_run_sql_to(tl_run_lake *lake, const char *query, const tl_output *output, int64_t *rows, tl_error *err) {
  struct ArrowArrayStream stream;
  tl_format_options with = {.time_digits = -1};
  tl_status st = check_output(output, &with.format, err);
  if (!st) st = tl_run_sql(lake, query, &stream, err);
  return st ? st : write_out(output, &with, &stream, rows, err);
}

tl_status tl_run_symbols(tl_run_lake *lake, const char *kind, int (*each)(void *user, const char *symbol), void *user,
                         tl_error *err) {
  tl_dataset dataset;
  tl_layout layout;
  tl_symbols symbols = {0};
  tl_engine *engine = NULL;
  tl_sources *sources = NULL;
  tl_status st = tl_dataset_parse(kind, &dataset, err);
  if (!st) st = tl_run_layout(lake, &layout, err);
  if (!st && tl_layout_is_table(layout)) st = tl_run_open_engine(lake, layout, &engine, &sources, err);
  if (!st) st = tl_read_symbols(engine, lake->store, layout, sources, &dataset, &symbols, err);
  tl_sources_close(sources);
  tl_engine_close(engine);
  for (size_t i = 0; !st && i < symbols.count; i++)
    if (each(user, symbols.items[i])) break;
  tl_symbols_deinit(&symbols);
  return st;
}

/* From the ledger where it knows the files, else from the files' own statistics. */
tl_status tl_run_range(tl_run_lake *lake, const char *kind, const char *symbol, int64_t *first_ns, int64_t *last_ns,
                       int64_t *rows, tl_error *err) {
  tl_dataset dataset;
  tl_layout layout;
  tl_ledger *ledger = NULL;
  tl_ledger_series_list list = {0};
  tl_engine *engine = NULL;
  tl_sources *sources = NULL;
  tl_read_extent extent = {0};
  tl_status st = tl_dataset_parse(kind, &dataset, err);
  if (!st) st = tl_run_layout(lake, &layout, err);
  if (st) return st;
  if (tl_ledger_open(lake->store, false, &ledger, NULL) == TL_OK &&
      tl_ledger_series_of(ledger, dataset.name, symbol, &list, NULL) == TL_OK && list.count && list.items[0].files &&
      list.items[0].time_min_ns <= list.items[0].time_max_ns)
    extent = (tl_read_extent){list.items[0].time_min_ns, list.items[0].time_max_ns, list.items[0].rows};
  if (!extent.rows) {
    st = tl_run_open_engine(lake, layout, &engine, &sources, err);
    if (!st) st = tl_read_extent_of(engine, lake->store, layout, sources, &dataset, symbol, &extent, err);
  }
  *first_ns = extent.first_ns;
  *last_ns = extent.last_ns;
  *rows = extent.rows;
  tl_sources_close(sources);
  tl_engine_close(engine);
  tl_ledger_series_deinit(&list);
  tl_ledger_close(ledger);
  return st;
}
