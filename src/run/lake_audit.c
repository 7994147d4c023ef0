/* lake_audit.c - the files of a lake against its ledger, and the repair of what differs.
 *
 * A file with more rows than recorded is what a crash between rename and ledger leaves: repair records it. One that is
 * gone or has fewer rows lost something: repair also forgets the coverage of its month, so an import asks again. A file
 * that cannot be read is set aside as NAME.damaged. Nothing is deleted but the writing-aside files of dead processes.
 * Objects of a store are brought one at a time. What a writer at work has put and not yet stated looks changed until he has. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "ledger/ledger.h"
#include "run/job.h"
#include "run/table_audit.h"
#include "serve/serve.h"

typedef struct auditor {
  tl_run_lake *lake;
  tl_ledger *ledger;
  tl_engine *engine;
  tl_layout layout;
  char *copy;    /* where an object is brought; NULL: the lake is a folder */
  int64_t since; /* tl_ledger_seen, before it was */
  bool repair, sound, stopped;
  tl_audit_fn each;
  void *user;
} auditor;

static void give(auditor *a, const char *path, const char *verdict, const char *detail, bool ok) {
  tl_audit_row row = {sizeof row, path, verdict, detail, ok};
  if (!ok) a->sound = false;
  if (!a->stopped) a->stopped = a->each(a->user, &row) != 0;
}

/* Another writer recorded the object meanwhile: whether it still is the one that was read (tl_ledger_group). */
static tl_status still_there(void *to, const tl_ledger_file *file, bool *is, tl_error *err) {
  auditor *a = to;
  char checksum[TL_CHECKSUM_TEXT_MAX];
  int64_t bytes = 0;
  tl_error why = {0};
  tl_status st = tl_store_fetch(a->lake->store, file->path, a->copy, &why);
  if (!st) st = tl_checksum_file(a->copy, checksum, &bytes, &why);
  *is = !st && !strcmp(checksum, file->checksum);
  if (st == TL_ENOTFOUND) return TL_OK;
  if (st && err) *err = why;
  return st;
}

/* Records the file as it is; forget: the months' coverage too. file->checksum NULL: it is no more. */
static tl_status record(auditor *a, const tl_ledger_file *file, const tl_range *forget, tl_error *err) {
  const char *removed[1] = {file->path};
  tl_ledger_unit unit = {.dataset = file->dataset, .symbol = file->symbol, .state = TL_COVER_MISSING};
  tl_ledger_group group = {.units = &unit, .since = a->since, .still = a->copy ? still_there : NULL, .to = a};
  if (forget) {
    unit.range = *forget;
    group.unit_count = 1;
  }
  if (file->checksum) {
    group.files = file;
    group.file_count = 1;
  } else {
    group.removed = removed;
    group.removed_count = 1;
  }
  return tl_ledger_commit(a->ledger, &group, err);
}

/* An object is put again under the other name, and deleted unless somebody replaced it meanwhile. */
static tl_status set_aside(auditor *a, const char *path, const char *full, tl_error *err) {
  tl_buf to = {0};
  tl_store *store = a->lake->store;
  tl_store_info before, now;
  tl_status st = tl_buf_appendf(&to, err, "%s.damaged", a->copy ? path : full);
  if (!st && !a->copy) st = tl_io_rename(full, to.data, err);
  if (!st && a->copy) {
    st = tl_store_stat(store, path, &before, err);
    if (!st) st = tl_store_fetch(store, path, full, err);
    if (!st) st = tl_store_put_file(store, to.data, full, TL_PUT_ANY, NULL, NULL, err);
    if (!st) st = tl_store_stat(store, path, &now, err);
    if (!st && strcmp(before.etag, now.etag) != 0) st = tl_fail(err, TL_ECONFLICT, "'%s' was replaced meanwhile: run the audit again", path);
    if (!st) st = tl_store_delete(store, path, err);
  }
  tl_buf_deinit(&to);
  return st;
}

static tl_status repair_lost(auditor *a, const tl_ledger_file *known, const char *full, bool damaged, tl_error *err) {
  tl_dataset dataset;
  tl_table_file parsed = {0};
  tl_status st = tl_table_parse(a->layout, known->path, &dataset, &parsed, err);
  if (st) return st;
  tl_ledger_file gone = *known;
  gone.checksum = NULL;
  if (damaged) st = set_aside(a, known->path, full, err);
  if (!st) st = record(a, &gone, &parsed.period, err);
  if (!st) give(a, known->path, "repaired", damaged ? "set aside as .damaged; its month will be asked for again" : "its month will be asked for again", true);
  tl_table_file_deinit(&parsed);
  return st;
}

static tl_status repair_changed(auditor *a, const tl_ledger_file *known, const tl_audit *found, tl_error *err) {
  tl_dataset dataset;
  tl_table_file parsed = {0};
  tl_status st = tl_table_parse(a->layout, known->path, &dataset, &parsed, err);
  if (st) return st;
  tl_ledger_file now = *known;
  now.rows = found->rows;
  now.bytes = found->bytes;
  now.checksum = found->checksum;
  now.time_min_ns = found->first_ns;
  now.time_max_ns = found->last_ns;
  bool lost = known->checksum && found->rows < known->rows;
  st = record(a, &now, lost ? &parsed.period : NULL, err);
  if (!st) give(a, known->path, "repaired", lost ? "recorded; its month will be asked for again" : "recorded as it is", true);
  tl_table_file_deinit(&parsed);
  return st;
}

static tl_status read_file(auditor *a, const tl_ledger_file *known, const char *full, tl_audit *found, tl_error *err) {
  tl_dataset dataset;
  tl_status st = tl_dataset_of_name(known->dataset, &dataset, err);
  if (!st && a->copy) st = tl_store_fetch(a->lake->store, known->path, full, err);
  return st ? st : tl_audit_file(a->engine, full, &dataset, found, err);
}

static bool agrees(const tl_ledger_file *known, const tl_audit *found) {
  return known->checksum && !strcmp(found->checksum, known->checksum) && found->rows == known->rows;
}

/* Whether the ledger says by now what was found: a writer may have come between the list of files and the look. */
static tl_status is_recorded_by_now(auditor *a, const tl_ledger_file *known, const tl_audit *found, bool *is, tl_error *err) {
  tl_ledger_file_list now = {0};
  *is = false;
  tl_status st = tl_ledger_files(a->ledger, known->dataset, known->symbol, &now, err);
  for (size_t i = 0; !st && i < now.count; i++) *is |= !strcmp(now.items[i].path, known->path) && agrees(&now.items[i], found);
  tl_ledger_files_deinit(&now);
  return st;
}

/* known->checksum NULL: the ledger does not know the file. */
static tl_status check_file(auditor *a, const tl_ledger_file *known, tl_error *err) {
  tl_audit found = {0};
  tl_error why = {0};
  bool by_now = false;
  a->since = tl_ledger_seen(a->ledger);
  char *full = a->copy ? tl_strdup(a->copy) : tl_io_join(a->lake->path, known->path);
  if (!full) return tl_fail(err, TL_ENOMEM, "cannot check '%s'", known->path);
  tl_status st = TL_OK, read = read_file(a, known, full, &found, &why);
  if (!read && !agrees(known, &found)) st = is_recorded_by_now(a, known, &found, &by_now, err);
  if (st) goto done;
  char detail[160];
  if (read == TL_ENOTFOUND) {
    if (a->repair) st = repair_lost(a, known, full, false, err);
    else give(a, known->path, "missing", "the ledger knows it, the lake has no such file", false);
  } else if (read == TL_ECORRUPT || read == TL_EDECODE) {
    if (a->repair) st = repair_lost(a, known, full, true, err);
    else give(a, known->path, "unreadable", why.message, false);
  } else if (read) {
    st = read;
    if (err) *err = why;
  } else if (!known->checksum && !by_now) {
    if (a->repair) st = repair_changed(a, known, &found, err);
    else give(a, known->path, "unrecorded", "the ledger does not know it", false);
  } else if (!by_now && !agrees(known, &found)) {
    snprintf(detail, sizeof detail, "%lld rows, checksum %.8s; the ledger says %lld rows, %.8s", (long long)found.rows,
             found.checksum, (long long)known->rows, known->checksum);
    if (a->repair) st = repair_changed(a, known, &found, err);
    else give(a, known->path, "changed", detail, false);
  } else if (!found.sorted || !found.unique) {
    give(a, known->path, "unsorted", found.sorted ? "a key occurs twice; 'adopt' rewrites it" : "rows are out of order; 'adopt' rewrites it", false);
  } else {
    snprintf(detail, sizeof detail, "%lld rows", (long long)found.rows);
    give(a, known->path, "sound", detail, true);
  }
done:
  if (a->copy) tl_io_unlink(full, NULL);
  tl_free(full);
  return st;
}

static bool alive(const char *aside) { /* .NAME.PID-N.tmp */
  const char *dash = strrchr(aside, '-');
  if (!dash) return false;
  const char *pid = dash;
  while (pid > aside && pid[-1] >= '0' && pid[-1] <= '9') pid--;
  long number = strtol(pid, NULL, 10);
  return number > 0 && (kill((pid_t)number, 0) == 0 || errno == EPERM);
}

static tl_status find_leftovers(auditor *a, const char *folder, int depth, tl_error *err) {
  char *full = tl_io_join(a->lake->path, folder);
  if (!full) return tl_fail(err, TL_ENOMEM, "cannot look through '%s'", folder);
  tl_io_names names = {0};
  tl_status st = tl_io_list(full, &names, err);
  if (st == TL_ENOTFOUND) st = TL_OK; /* a file, or gone meanwhile */
  for (size_t i = 0; !st && i < names.count && !a->stopped; i++) {
    const char *name = names.names[i];
    size_t len = strlen(name);
    char *path = folder[0] ? tl_io_join(folder, name) : tl_strdup(name);
    if (!path) {
      st = tl_fail(err, TL_ENOMEM, "cannot look through '%s'", folder);
      break;
    }
    tl_io_info info;
    char *inner = tl_io_join(a->lake->path, path);
    bool is_dir = inner && tl_io_stat(inner, &info, NULL) == TL_OK && info.is_dir;
    if (is_dir && depth < 6) {
      st = find_leftovers(a, path, depth + 1, err);
    } else if (name[0] == '.' && len > 4 && !strcmp(name + len - 4, ".tmp") && !alive(name)) {
      if (a->repair && inner) st = tl_io_unlink(inner, err);
      if (!st) give(a, path, a->repair ? "repaired" : "leftover", a->repair ? "removed" : "of an interrupted run", a->repair);
    }
    tl_free(inner);
    tl_free(path);
  }
  tl_io_names_deinit(&names);
  tl_free(full);
  return st;
}

static bool recorded(const tl_ledger_file_list *files, const char *path) {
  size_t low = 0, high = files->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = strcmp(files->items[middle].path, path);
    if (!order) return true;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return false;
}

static tl_status find_unrecorded(auditor *a, const tl_ledger_file_list *known, const tl_dataset *dataset, const char *symbol,
                                 tl_error *err) {
  tl_table_files found = {0};
  tl_status st = tl_table_list(a->lake->store, a->layout, dataset, symbol, NULL, &found, err);
  for (size_t i = 0; !st && i < found.count && !a->stopped; i++) {
    if (recorded(known, found.items[i].path)) continue;
    tl_ledger_file file = {.path = found.items[i].path, .dataset = dataset->name, .symbol = found.items[i].symbol};
    st = check_file(a, &file, err);
  }
  tl_table_files_deinit(&found);
  return st;
}

static tl_status audit_one(auditor *a, const tl_dataset *dataset, const char *symbol, tl_error *err) {
  tl_ledger_file_list known = {0};
  tl_status st = tl_ledger_files(a->ledger, dataset ? dataset->name : NULL, symbol, &known, err);
  for (size_t i = 0; !st && i < known.count && !a->stopped; i++) st = check_file(a, &known.items[i], err);
  if (!st && dataset) {
    st = find_unrecorded(a, &known, dataset, symbol, err);
  } else if (!st) {
    tl_table_datasets all = {0};
    st = tl_table_datasets_list(a->lake->store, a->layout, &all, err);
    for (size_t i = 0; !st && i < all.count; i++) st = find_unrecorded(a, &known, &all.items[i], symbol, err);
    tl_table_datasets_deinit(&all);
  }
  tl_ledger_files_deinit(&known);
  return st;
}

tl_status tl_run_audit(tl_run_lake *lake, const char *kind, const char *symbols, bool repair, tl_audit_fn each,
                       void *user, bool *sound, tl_error *err) {
  auditor a = {.lake = lake, .repair = repair, .sound = true, .each = each, .user = user};
  tl_symbols only = {0};
  tl_buf folder = {0};
  tl_dataset dataset;
  tl_status st = kind ? tl_dataset_parse(kind, &dataset, err) : TL_OK;
  if (!st && symbols) st = tl_run_symbols_parse(lake, symbols, &only, err);
  if (!st && tl_run_layout(lake, &a.layout, err) == TL_ENOTFOUND) st = TL_ENOTFOUND; /* a mistyped path makes no lake */
  if (!st) st = tl_ledger_open(lake->store, repair, &a.ledger, err); /* a lost ledger is made anew from the files */
  if (st == TL_ENOTFOUND && (tl_table_detect(lake->store, &a.layout, NULL) == TL_OK || tl_run_tables_detect(lake, &a.layout) == TL_OK))
    st = tl_fail(err, TL_ENOTFOUND, "the lake at '%s' has no ledger; 'audit --repair' makes one from its files", lake->path);
  if (st == TL_ECORRUPT && repair) {
    st = tl_ledger_set_aside(lake->store, err);
    if (!st) st = tl_ledger_open(lake->store, true, &a.ledger, err);
    if (!st) give(&a, tl_store_is_local(lake->store) ? "_ticklake/ledger.db" : "_ticklake/ledger", "repaired", "set aside as damaged; made anew from the files", true);
  }
  if (!st) st = tl_run_layout(lake, &a.layout, err);
  char layout[16];
  if (!st && repair) st = tl_ledger_layout(a.ledger, tl_layout_name(a.layout), layout, err);
  if (!st && !tl_store_is_local(lake->store) && !(st = tl_io_temp_folder(&folder, err)) && !(a.copy = tl_io_join(folder.data, "object.parquet")))
    st = tl_fail(err, TL_ENOMEM, "cannot audit '%s'", lake->path);
  tl_engine_options options = {.spill = tl_io_temp()}; /* counting a table's rows may need room */
  if (!st) st = tl_engine_open(&options, &a.engine, err);
  bool tables = !st && tl_layout_is_table(a.layout), tables_sound = true;
  tl_table_audit of_tables = {.lake = lake, .ledger = a.ledger, .engine = a.engine, .layout = a.layout, .dataset = kind ? &dataset : NULL,
                              .only = &only, .repair = repair, .each = each, .user = user};
  if (tables) st = tl_run_audit_tables(&of_tables, &tables_sound, err);
  a.sound = a.sound && tables_sound;
  if (!st && !tables && !only.count) st = audit_one(&a, kind ? &dataset : NULL, NULL, err);
  for (size_t i = 0; !st && !tables && i < only.count; i++) st = audit_one(&a, kind ? &dataset : NULL, only.items[i], err);
  if (!st && !kind && !symbols && !a.copy) st = find_leftovers(&a, "", 0, err); /* an object is whole or not there */
  *sound = !st && a.sound;
  tl_engine_close(a.engine);
  if (folder.len) tl_io_remove_tree(folder.data, NULL);
  tl_free(a.copy);
  tl_buf_deinit(&folder);
  tl_ledger_close(a.ledger);
  tl_symbols_deinit(&only);
  return st;
}
