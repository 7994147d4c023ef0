/* coverage.c - sets of ranges, segments of coverage, gaps against the exchange calendar. Pure: no database, no clock.
 *
 * A set of ranges is sorted and its members do not touch, so union, difference and intersection are one merge of two
 * lists. A list of segments is a set of ranges with a state each; neighbours of one state are one segment, which is
 * why ten years of daily units read as a handful of lines.
 * Cost: linear in the lists; gaps also in the sessions. */
#include <string.h>

#include "base/alloc.h"
#include "ledger/ledger.h"
#include "ledger/db.h"
#include "ledger/text.h"
#include "market/calendar.h"

/* ---- ranges ---- */

static tl_status ranges_grow(tl_ranges *ranges, tl_error *err) {
  if (ranges->count < ranges->capacity) return TL_OK;
  size_t more = ranges->capacity ? ranges->capacity * 2 : 8;
  tl_range *grown = tl_realloc_array(ranges->items, more, sizeof *grown);
  if (!grown) return tl_fail(err, TL_ENOMEM, "out of memory for %zu time ranges", more);
  ranges->items = grown;
  ranges->capacity = more;
  return TL_OK;
}

tl_status tl_ranges_add(tl_ranges *ranges, tl_range range, tl_error *err) {
  if (tl_range_empty(range)) return TL_OK;
  size_t begin = ranges->count; /* [begin, end) are the members that range swallows */
  while (begin && ranges->items[begin - 1].end_ns >= range.start_ns) begin--;
  size_t end = begin;
  while (end < ranges->count && ranges->items[end].start_ns <= range.end_ns) end++;
  if (begin == end) {
    tl_status st = ranges_grow(ranges, err);
    if (st) return st;
    memmove(ranges->items + begin + 1, ranges->items + begin, (ranges->count - begin) * sizeof *ranges->items);
    ranges->items[begin] = range;
    ranges->count++;
    return TL_OK;
  }
  tl_range *into = &ranges->items[begin];
  if (range.start_ns < into->start_ns) into->start_ns = range.start_ns;
  into->end_ns = ranges->items[end - 1].end_ns;
  if (range.end_ns > into->end_ns) into->end_ns = range.end_ns;
  memmove(into + 1, ranges->items + end, (ranges->count - end) * sizeof *into);
  ranges->count -= end - begin - 1;
  return TL_OK;
}

tl_status tl_ranges_subtract(const tl_ranges *from, const tl_ranges *take, tl_ranges *out, tl_error *err) {
  out->count = 0;
  size_t t = 0;
  for (size_t i = 0; i < from->count; i++) {
    tl_range left = from->items[i];
    while (t < take->count && take->items[t].end_ns <= left.start_ns) t++;
    for (size_t k = t; k < take->count && take->items[k].start_ns < left.end_ns; k++) {
      tl_status st = tl_ranges_add(out, (tl_range){left.start_ns, take->items[k].start_ns}, err);
      if (st) return st;
      left.start_ns = take->items[k].end_ns;
    }
    tl_status st = tl_ranges_add(out, left, err);
    if (st) return st;
  }
  return TL_OK;
}

tl_status tl_ranges_intersect(const tl_ranges *a, const tl_ranges *b, tl_ranges *out, tl_error *err) {
  out->count = 0;
  for (size_t i = 0, k = 0; i < a->count && k < b->count;) {
    tl_status st = tl_ranges_add(out, tl_range_clip(a->items[i], b->items[k]), err);
    if (st) return st;
    if (a->items[i].end_ns < b->items[k].end_ns) i++;
    else k++;
  }
  return TL_OK;
}

int64_t tl_ranges_ns(const tl_ranges *ranges) {
  __int128 total_ns = 0;
  for (size_t i = 0; i < ranges->count; i++)
    total_ns += (__int128)ranges->items[i].end_ns - ranges->items[i].start_ns;
  return total_ns > INT64_MAX ? INT64_MAX : (int64_t)total_ns;
}

void tl_ranges_deinit(tl_ranges *ranges) {
  tl_free(ranges->items);
  *ranges = (tl_ranges){0};
}

/* ---- segments ---- */

const char *tl_coverage_name(tl_coverage state) {
  switch (state) {
  case TL_COVER_MISSING: return "missing";
  case TL_COVER_PRESENT: return "present";
  case TL_COVER_EMPTY: return "empty";
  case TL_COVER_PARTIAL: return "partial";
  case TL_COVER_FAILED: return "failed";
  }
  return "unknown";
}

tl_coverage tl_coverage_of(int64_t settles_ns, int64_t rows, int64_t now_ns) {
  if (settles_ns > now_ns - TL_SETTLE_NS) return TL_COVER_PARTIAL;
  return rows > 0 ? TL_COVER_PRESENT : TL_COVER_EMPTY;
}

static bool segments_join(const tl_segment *a, const tl_segment *b) {
  return a->range.end_ns == b->range.start_ns && a->state == b->state &&
         (a->state != TL_COVER_FAILED || !strcmp(a->answer, b->answer));
}

tl_status tl_segments_push(tl_segments *segments, const tl_segment *segment, bool join, tl_error *err) {
  if (tl_range_empty(segment->range)) return TL_OK;
  tl_segment *last = segments->count ? &segments->items[segments->count - 1] : NULL;
  if (join && last && segments_join(last, segment)) {
    last->range.end_ns = segment->range.end_ns;
    if (last->rows < 0 || segment->rows < 0 || __builtin_add_overflow(last->rows, segment->rows, &last->rows))
      last->rows = -1;
    return TL_OK;
  }
  if (segments->count == segments->capacity) {
    size_t more = segments->capacity ? segments->capacity * 2 : 16;
    tl_segment *grown = tl_realloc_array(segments->items, more, sizeof *grown);
    if (!grown) return tl_fail(err, TL_ENOMEM, "out of memory for %zu segments of coverage", more);
    segments->items = grown;
    segments->capacity = more;
  }
  segments->items[segments->count++] = *segment;
  return TL_OK;
}

void tl_segments_deinit(tl_segments *segments) {
  tl_free(segments->items);
  tl_ledger_text_deinit(&segments->text);
  *segments = (tl_segments){0};
}

static bool is_answered(tl_coverage state) { return state == TL_COVER_PRESENT || state == TL_COVER_EMPTY; }

tl_status tl_segments_open(const tl_segments *segments, tl_ranges *out, tl_error *err) {
  out->count = 0;
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < segments->count; i++)
    if (!is_answered(segments->items[i].state)) st = tl_ranges_add(out, segments->items[i].range, err);
  return st;
}

/* The part of one segment that lies in sessions, one piece per session. */
static tl_status gaps_of(const tl_segment *segment, tl_session_kind kind, int64_t now_ns, tl_segments *out,
                         tl_error *err) {
  tl_range range = tl_range_clip(segment->range, (tl_range){INT64_MIN, now_ns});
  if (tl_range_empty(range)) return TL_OK;
  tl_session session;
  tl_session_iter sessions = tl_session_iter_of(range, kind);
  while (tl_session_iter_next(&sessions, &session)) {
    tl_segment gap = *segment;
    gap.range = tl_range_clip(range, tl_session_window(&session, kind));
    gap.rows = segment->state == TL_COVER_MISSING ? 0 : -1; /* rows of a partial unit are not counted by session */
    tl_status st = tl_segments_push(out, &gap, false, err);
    if (st) return st;
  }
  return TL_OK;
}

tl_status tl_segments_gaps(const tl_segments *segments, bool whole_days, int64_t now_ns, tl_segments *out,
                           tl_error *err) {
  *out = (tl_segments){0};
  tl_session_kind kind = whole_days ? TL_SESSION_ALL : TL_SESSION_EXTENDED;
  for (size_t i = 0; i < segments->count; i++) {
    if (is_answered(segments->items[i].state)) continue;
    tl_status st = gaps_of(&segments->items[i], kind, now_ns, out, err);
    if (st) {
      tl_segments_deinit(out);
      return st;
    }
  }
  return TL_OK;
}
