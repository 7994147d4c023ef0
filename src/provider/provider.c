/* provider.c - a decoded page: its rows, runs, rejects and token. See provider.h. */
#include "provider/provider.h"

#include "base/alloc.h"

void tl_page_init(tl_page *page, tl_words *words) { *page = (tl_page){.words = words}; }

void tl_page_clear(tl_page *page, tl_kind kind) {
  if (!page->batch.def || page->batch.def->kind != kind) {
    tl_batch_deinit(&page->batch);
    tl_batch_init(&page->batch, kind);
  }
  tl_batch_clear(&page->batch);
  page->run_count = page->reject_count = 0;
  tl_buf_clear(&page->names);
  tl_buf_clear(&page->token);
}

void tl_page_deinit(tl_page *page) {
  tl_batch_deinit(&page->batch);
  tl_free(page->runs);
  tl_free(page->rejects);
  tl_buf_deinit(&page->names);
  tl_buf_deinit(&page->token);
  tl_free(page->scratch);
  *page = (tl_page){0};
}

size_t tl_page_rows(const tl_page *page) {
  size_t rows = 0;
  for (size_t i = 0; i < page->run_count; i++) rows += page->runs[i].end - page->runs[i].begin;
  return rows;
}

tl_status tl_page_add_run(tl_page *page, const char *symbol, size_t begin, size_t end, tl_error *err) {
  if (page->run_count == page->run_max) {
    size_t run_max = page->run_max ? page->run_max * 2 : 16;
    tl_run *runs = tl_realloc_array(page->runs, run_max, sizeof *runs);
    if (!runs) return tl_fail(err, TL_ENOMEM, "cannot hold %zu runs of rows", run_max);
    page->runs = runs;
    page->run_max = run_max;
  }
  page->runs[page->run_count++] = (tl_run){symbol, begin, end};
  return TL_OK;
}

tl_status tl_page_add_reject(tl_page *page, const char *symbol, tl_text row, const char *reason, tl_error *err) {
  if (page->reject_count == page->reject_max) {
    size_t reject_max = page->reject_max ? page->reject_max * 2 : 16;
    tl_reject *rejects = tl_realloc_array(page->rejects, reject_max, sizeof *rejects);
    if (!rejects) return tl_fail(err, TL_ENOMEM, "cannot hold %zu rejected rows", reject_max);
    page->rejects = rejects;
    page->reject_max = reject_max;
  }
  tl_reject *reject = &page->rejects[page->reject_count++];
  *reject = (tl_reject){.symbol = symbol, .row = row};
  size_t len = strnlen(reason, sizeof reject->reason - 1);
  memcpy(reject->reason, reason, len);
  return TL_OK;
}

/* Room is taken once and for all before the first pointer into it, so none of them moves. */
tl_status tl_page_seal(tl_page *page, tl_error *err) {
  size_t bytes = 0;
  for (size_t i = 0; i < page->run_count; i++) bytes += strlen(page->runs[i].symbol) + 1;
  for (size_t i = 0; i < page->reject_count; i++)
    bytes += strlen(page->rejects[i].symbol) + 1 + page->rejects[i].row.len + 1;
  tl_buf_clear(&page->names);
  tl_status st = tl_buf_reserve(&page->names, bytes, err);
  if (st) return st;
  char *at = page->names.data;
  for (size_t i = 0; i < page->run_count; i++) {
    size_t size = strlen(page->runs[i].symbol) + 1;
    page->runs[i].symbol = memcpy(at, page->runs[i].symbol, size);
    at += size;
  }
  for (size_t i = 0; i < page->reject_count; i++) {
    tl_reject *reject = &page->rejects[i];
    size_t size = strlen(reject->symbol) + 1;
    reject->symbol = memcpy(at, reject->symbol, size);
    at += size;
    if (reject->row.len) memcpy(at, reject->row.data, reject->row.len);
    at[reject->row.len] = 0;
    reject->row.data = at;
    at += reject->row.len + 1;
  }
  page->names.len = bytes;
  return TL_OK;
}
