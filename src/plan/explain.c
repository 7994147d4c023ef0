/* explain.c - a plan in words and as JSON, for `ticklake plan`. Numbers are expectations, the units are exact. */
#include <inttypes.h>

#include "plan/plan.h"

enum { TEXT_ASKS_MAX = 12 };

static tl_status print_bytes(tl_buf *out, double bytes, tl_error *err) {
  static const char *const units[] = {"bytes", "KB", "MB", "GB", "TB"};
  size_t unit = 0;
  for (; bytes >= 1000 && unit < 4; unit++) bytes /= 1000;
  return tl_buf_appendf(out, err, unit ? "about %.1f %s" : "about %.0f %s", bytes, units[unit]);
}

static tl_status print_totals(const tl_plan_input *input, const tl_plan *plan, tl_buf *out, tl_error *err) {
  tl_status st = tl_buf_appendf(out, err,
                                "kind      %s into %s\n"
                                "symbols   %zu\n"
                                "units     %" PRId64 " to ask for, %" PRId64 " known to be empty without asking\n"
                                "requests  %" PRId64 "\n"
                                "pages     about %" PRId64 " of at most %" PRIu32 " rows\n"
                                "rows      about %" PRId64 "\n"
                                "bytes     ",
                                input->job.word, input->job.dataset.name, input->symbol_count, plan->units,
                                plan->closed_units, plan->requests, plan->pages, input->page_limit, plan->rows);
  if (!st) st = print_bytes(out, (double)plan->bytes, err);
  if (!st) st = tl_buf_appends(out, " compressed\n", err);
  if (!st && input->rate_per_minute)
    st = tl_buf_appendf(out, err, "minutes   at least %.1f at %" PRIu32 " requests a minute\n", plan->minutes,
                        input->rate_per_minute);
  return st;
}

static tl_status print_symbols(const tl_plan_input *input, const tl_plan_ask *ask, tl_buf *out, tl_error *err) {
  tl_status st = tl_buf_appends(out, input->symbols[ask->symbols[0]].name, err);
  if (!st && ask->symbol_count > 1)
    st = tl_buf_appendf(out, err, " .. %s (%" PRIu32 " symbols)",
                        input->symbols[ask->symbols[ask->symbol_count - 1]].name, ask->symbol_count);
  return st;
}

static tl_status print_ask(const tl_plan_input *input, const tl_plan_ask *ask, tl_buf *out, tl_error *err) {
  char start[TL_TIME_TEXT_MAX], end[TL_TIME_TEXT_MAX];
  tl_time_format(ask->range.start_ns, -1, start);
  tl_time_format(ask->range.end_ns, -1, end);
  tl_status st = tl_buf_appendf(out, err, "  %s  %s  %8" PRId64 " %6" PRIu32 "  ", start, end, ask->rows_expected,
                                ask->pages_expected);
  if (!st) st = print_symbols(input, ask, out, err);
  if (!st && ask->closed) st = tl_buf_appendf(out, err, "  not asked: %s", ask->closed);
  return st ? st : tl_buf_append(out, "\n", 1, err);
}

tl_status tl_plan_print_text(const tl_plan_input *input, const tl_plan *plan, tl_buf *out, tl_error *err) {
  tl_status st = print_totals(input, plan, out, err);
  if (!st && plan->ask_count == 0) return tl_buf_appends(out, "nothing to do: all of it is covered\n", err);
  if (!st)
    st = tl_buf_appends(out, "\n  start                 end                       rows  pages  symbols\n", err);
  size_t shown = plan->ask_count > TEXT_ASKS_MAX ? TEXT_ASKS_MAX - 1 : plan->ask_count;
  for (size_t i = 0; !st && i < shown; i++) st = print_ask(input, &plan->asks[i], out, err);
  if (!st && shown < plan->ask_count)
    st = tl_buf_appendf(out, err, "  ... and %zu more (--json lists all)\n", plan->ask_count - shown);
  return st;
}

static tl_status print_json_ask(const tl_plan_input *input, const tl_plan_ask *ask, tl_buf *out, tl_error *err) {
  char start[TL_TIME_TEXT_MAX], end[TL_TIME_TEXT_MAX];
  tl_time_format(ask->range.start_ns, -1, start);
  tl_time_format(ask->range.end_ns, -1, end);
  tl_status st = tl_buf_appends(out, "{\"symbols\":[", err);
  for (uint32_t i = 0; !st && i < ask->symbol_count; i++) {
    tl_text name = tl_text_from(input->symbols[ask->symbols[i]].name);
    if (i) st = tl_buf_append(out, ",", 1, err);
    if (!st) st = tl_buf_append_json(out, name.data, name.len, err);
  }
  if (!st)
    st = tl_buf_appendf(out, err,
                        "],\"start\":\"%s\",\"end\":\"%s\",\"rows\":%" PRId64 ",\"pages\":%" PRIu32
                        ",\"closed\":",
                        start, end, ask->rows_expected, ask->pages_expected);
  if (!st) st = ask->closed ? tl_buf_appendf(out, err, "\"%s\"}", ask->closed) : tl_buf_appends(out, "null}", err);
  return st;
}

tl_status tl_plan_print_json(const tl_plan_input *input, const tl_plan *plan, tl_buf *out, tl_error *err) {
  tl_status st = tl_buf_appendf(
      out, err,
      "{\"kind\":\"%s\",\"dataset\":\"%s\",\"symbols\":%zu,\"units\":%" PRId64 ",\"closed_units\":%" PRId64
      ",\"requests\":%" PRId64 ",\"pages\":%" PRId64 ",\"rows\":%" PRId64 ",\"bytes\":%" PRId64
      ",\"rate_per_minute\":%" PRIu32 ",\"minutes\":%.3f,\"asks\":[",
      input->job.word, input->job.dataset.name, input->symbol_count, plan->units, plan->closed_units, plan->requests,
      plan->pages, plan->rows, plan->bytes, input->rate_per_minute, plan->minutes);
  for (size_t i = 0; !st && i < plan->ask_count; i++) {
    if (i) st = tl_buf_append(out, ",", 1, err);
    if (!st) st = print_json_ask(input, &plan->asks[i], out, err);
  }
  return st ? st : tl_buf_appends(out, "]}", err);
}
