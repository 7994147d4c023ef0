/* result.c - outcomes by symbol. */
#include "run/result.h"

#include <string.h>

#include "base/alloc.h"

static char no_memory_reason[] = "out of memory"; /* stands in when the reason cannot be copied */

tl_status tl_run_result_open(const tl_symbols *symbols, tl_run_result **out, tl_error *err) {
  tl_run_result *r = tl_calloc(1, sizeof *r);
  if (!r) return tl_fail(err, TL_ENOMEM, "cannot keep results");
  pthread_mutex_init(&r->lock, NULL);
  r->totals.size = sizeof r->totals;
  r->symbols = tl_calloc(symbols->count, sizeof *r->symbols);
  r->reasons = tl_calloc(symbols->count, sizeof *r->reasons);
  bool ok = r->symbols && r->reasons;
  for (size_t i = 0; ok && i < symbols->count; i++) {
    r->symbols[i] = tl_strdup(symbols->items[i]);
    ok = r->symbols[i] != NULL;
    r->count++;
  }
  if (!ok) {
    tl_run_result_free(r);
    return tl_fail(err, TL_ENOMEM, "cannot keep results of %zu symbols", symbols->count);
  }
  *out = r;
  return TL_OK;
}

void tl_run_result_fail(tl_run_result *r, size_t symbol, const char *reason) {
  pthread_mutex_lock(&r->lock);
  if (!r->reasons[symbol]) {
    char *copy = tl_strdup(reason);
    r->reasons[symbol] = copy ? copy : no_memory_reason;
    r->failed_count++;
  }
  pthread_mutex_unlock(&r->lock);
}

size_t tl_run_result_failures(tl_run_result *r) {
  pthread_mutex_lock(&r->lock);
  size_t count = r->failed_count;
  pthread_mutex_unlock(&r->lock);
  return count;
}

tl_status tl_run_result_take_files(tl_run_result *r, const tl_commit *commit, tl_error *err) {
  size_t count = 0;
  while (tl_commit_file(commit, count)) count++;
  char **files = tl_realloc_array(r->files, r->file_count + count, sizeof *files);
  if (!files) return tl_fail(err, TL_ENOMEM, "cannot list %zu files", count);
  r->files = files;
  for (size_t i = 0; i < count; i++) {
    files[r->file_count] = tl_strdup(tl_commit_file(commit, i));
    if (!files[r->file_count]) return tl_fail(err, TL_ENOMEM, "cannot list %zu files", count);
    r->file_count++;
  }
  return TL_OK;
}

static void free_list(char **list, size_t count) {
  for (size_t i = 0; list && i < count; i++)
    if (list[i] != no_memory_reason) tl_free(list[i]);
  tl_free(list);
}

void tl_run_result_free(tl_run_result *r) {
  if (!r) return;
  free_list(r->symbols, r->count);
  free_list(r->reasons, r->count);
  free_list(r->files, r->file_count);
  pthread_mutex_destroy(&r->lock);
  tl_free(r);
}

static bool grow_list(char ***list, size_t count, size_t extra) {
  char **grown = tl_realloc_array(*list, count + extra + 1, sizeof *grown);
  if (grown) *list = grown;
  return grown != NULL;
}

static size_t find_symbol(const tl_run_result *r, const char *symbol, size_t hint) {
  if (hint < r->count && !strcmp(r->symbols[hint], symbol)) return hint; /* datasets often have the same symbols */
  for (size_t i = 0; i < r->count; i++)
    if (!strcmp(r->symbols[i], symbol)) return i;
  return r->count;
}

tl_status tl_run_result_merge(tl_run_result *into, tl_run_result *from, tl_error *err) {
  bool ok = grow_list(&into->symbols, into->count, from->count) && grow_list(&into->reasons, into->count, from->count) &&
            grow_list(&into->files, into->file_count, from->file_count);
  for (size_t i = 0; ok && i < from->count; i++) {
    size_t at = find_symbol(into, from->symbols[i], i);
    if (at == into->count) {
      into->symbols[at] = from->symbols[i];
      into->reasons[at] = NULL;
      from->symbols[i] = NULL;
      into->count++;
    }
    if (from->reasons[i] && !into->reasons[at]) {
      into->reasons[at] = from->reasons[i];
      from->reasons[i] = NULL;
      into->failed_count++;
    }
  }
  for (size_t i = 0; ok && i < from->file_count; i++) {
    into->files[into->file_count++] = from->files[i];
    from->files[i] = NULL;
  }
  into->totals.rows += from->totals.rows;
  into->totals.rejected += from->totals.rejected;
  into->totals.files += from->totals.files;
  into->totals.requests += from->totals.requests;
  into->totals.retries += from->totals.retries;
  into->totals.bytes += from->totals.bytes;
  into->totals.barless_volume += from->totals.barless_volume;
  into->totals.seconds += from->totals.seconds;
  tl_run_result_free(from);
  return ok ? TL_OK : tl_fail(err, TL_ENOMEM, "cannot keep results");
}

void tl_run_result_totals(const tl_run_result *r, tl_import_totals *out) {
  tl_import_totals totals = r->totals;
  totals.failed_count = r->failed_count;
  totals.successful_count = r->count - r->failed_count;
  size_t size = out->size && out->size < sizeof totals ? out->size : sizeof totals;
  totals.size = size;
  memcpy(out, &totals, size);
}

const char *tl_run_result_successful(const tl_run_result *r, size_t i) {
  for (size_t at = 0; at < r->count; at++)
    if (!r->reasons[at] && i-- == 0) return r->symbols[at];
  return NULL;
}

const char *tl_run_result_failed(const tl_run_result *r, size_t i, const char **reason) {
  for (size_t at = 0; at < r->count; at++)
    if (r->reasons[at] && i-- == 0) {
      if (reason) *reason = r->reasons[at];
      return r->symbols[at];
    }
  return NULL;
}

const char *tl_run_result_file(const tl_run_result *r, size_t i) { return i < r->file_count ? r->files[i] : NULL; }
