/* sqlite.c - the ledger in one SQLite file, `<lake>/_ticklake/ledger.db`: open, migrate, wait, statements.
 *
 * A rollback journal, not WAL: commits come seconds apart, so speed does not matter, and after a clean end the ledger
 * is one file that any copy takes along; it also works on network folders. After a kill -9 the journal beside it
 * belongs to it and the next open rolls back. synchronous=EXTRA also makes the journal's removal durable.
 * Every writing transaction takes its lock at the beginning (BEGIN IMMEDIATE): only so does waiting always help.
 * POSIX locks end when any descriptor of the file is closed, so nothing else in the process may open ledger.db. */
#include "ledger/db.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "ledger/hooks.h"
#include "ledger/objects.h"

static const int64_t busy_wait_max_ns = INT64_C(600) * TL_NS_PER_S; /* longer than any import's commit */
static const int64_t application_id = 0x746c6b65;                  /* "tlke", in the file's header */

/* ---- errors ---- */

tl_status tl_db_fail(tl_ledger *ledger, int rc, const char *doing, tl_error *err) {
  const char *path = ledger->path, *text = ledger->db ? sqlite3_errmsg(ledger->db) : sqlite3_errstr(rc);
  int code = rc & 0xff;
  if (code == SQLITE_NOMEM || rc == SQLITE_IOERR_NOMEM)
    return tl_fail(err, TL_ENOMEM, "out of memory: cannot %s ledger '%s'", doing, path);
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
    return tl_fail(err, TL_ECORRUPT,
                   "ledger '%s' is damaged (%s): 'ticklake audit --repair' makes it anew from the lake's files", path,
                   text);
  if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
    return tl_fail(err, TL_ELEDGER, "cannot %s ledger '%s': another process has kept it locked for %d s", doing, path,
                   (int)(busy_wait_max_ns / TL_NS_PER_S));
  int system = ledger->db ? sqlite3_system_errno(ledger->db) : 0;
  if (system && (code == SQLITE_IOERR || code == SQLITE_CANTOPEN || code == SQLITE_FULL))
    return tl_fail(err, TL_ELEDGER, "cannot %s ledger '%s': %s (%s)", doing, path, text, strerrordesc_np(system));
  return tl_fail(err, TL_ELEDGER, "cannot %s ledger '%s': %s", doing, path, text);
}

/* ---- waiting for other processes ---- */

static int on_busy(void *argument, int tries) {
  tl_ledger *ledger = argument;
  int64_t now_ns = tl_clock_mono_ns();
  if (tries == 0) ledger->busy_since_ns = now_ns;
  if (now_ns - ledger->busy_since_ns > busy_wait_max_ns) return 0;
  tl_clock_sleep_ns((tries < 20 ? tries + 1 : 20) * TL_NS_PER_MS);
  return 1;
}

void tl_db_enter(tl_ledger *ledger) { pthread_mutex_lock(&ledger->lock); }
void tl_db_leave(tl_ledger *ledger) { pthread_mutex_unlock(&ledger->lock); }

/* ---- statements ---- */

static tl_status statement_of(tl_ledger *ledger, const char *sql, sqlite3_stmt **out, tl_error *err) {
  size_t i = 0;
  while (i < TL_LEDGER_STATEMENTS_MAX && ledger->kept[i].statement && ledger->kept[i].sql != sql) i++;
  if (i == TL_LEDGER_STATEMENTS_MAX) return tl_fail(err, TL_EINTERNAL, "too many statements on the ledger");
  if (!ledger->kept[i].statement) {
    int rc = sqlite3_prepare_v3(ledger->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &ledger->kept[i].statement, NULL);
    if (rc != SQLITE_OK) return tl_db_fail(ledger, rc, "use", err);
    ledger->kept[i].sql = sql;
  }
  *out = ledger->kept[i].statement;
  return TL_OK;
}

static tl_status bind_list(tl_ledger *ledger, sqlite3_stmt *statement, tl_error *err, const char *types,
                           va_list values) {
  for (int i = 0; types[i]; i++) {
    int rc = types[i] == 'i' ? sqlite3_bind_int64(statement, i + 1, va_arg(values, int64_t))
                             : sqlite3_bind_text(statement, i + 1, va_arg(values, const char *), -1, SQLITE_STATIC);
    if (rc != SQLITE_OK) return tl_db_fail(ledger, rc, "use", err);
  }
  return TL_OK;
}

static tl_status step(tl_ledger *ledger, sqlite3_stmt *statement, bool *row, tl_error *err) {
  int rc = sqlite3_step(statement);
  *row = rc == SQLITE_ROW;
  if (rc == SQLITE_ROW || rc == SQLITE_DONE) return TL_OK;
  return tl_db_fail(ledger, rc, sqlite3_stmt_readonly(statement) ? "read" : "write", err);
}

static tl_status each_list(tl_ledger *ledger, tl_db_on_row on_row, void *context, tl_error *err, const char *sql,
                           const char *types, va_list values) {
  sqlite3_stmt *statement = NULL;
  bool row = true;
  tl_status st = statement_of(ledger, sql, &statement, err);
  if (st) return st;
  st = bind_list(ledger, statement, err, types, values);
  while (!st && (st = step(ledger, statement, &row, err)) == TL_OK && row)
    if (on_row) st = on_row(statement, context, err);
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement); /* the texts are the caller's */
  return st;
}

tl_status tl_db_each(tl_ledger *ledger, tl_db_on_row on_row, void *context, tl_error *err, const char *sql,
                     const char *types, ...) {
  va_list values;
  va_start(values, types);
  tl_status st = each_list(ledger, on_row, context, err, sql, types, values);
  va_end(values);
  return st;
}

tl_status tl_db_run(tl_ledger *ledger, tl_error *err, const char *sql, const char *types, ...) {
  va_list values;
  va_start(values, types);
  tl_status st = each_list(ledger, NULL, NULL, err, sql, types, values);
  va_end(values);
  return st;
}

static tl_status copy_number(sqlite3_stmt *row, void *context, tl_error *err) {
  (void)err;
  if (sqlite3_column_type(row, 0) != SQLITE_NULL) *(int64_t *)context = sqlite3_column_int64(row, 0);
  return TL_OK;
}

tl_status tl_db_number(tl_ledger *ledger, int64_t otherwise, int64_t *out, tl_error *err, const char *sql,
                       const char *types, ...) {
  va_list values;
  va_start(values, types);
  *out = otherwise;
  tl_status st = each_list(ledger, copy_number, out, err, sql, types, values);
  va_end(values);
  return st;
}

tl_status tl_db_list_grow(void *items, size_t count, size_t *capacity, size_t item_bytes, tl_error *err) {
  if (count < *capacity) return TL_OK;
  size_t more = *capacity ? *capacity * 2 : 16;
  void *held;
  memcpy(&held, items, sizeof held); /* the list's pointer, whatever it points to */
  void *grown = tl_realloc_array(held, more, item_bytes);
  if (!grown) return tl_fail(err, TL_ENOMEM, "out of memory for the ledger's answer");
  memcpy(items, &grown, sizeof grown);
  *capacity = more;
  return TL_OK;
}

const char *tl_db_text(sqlite3_stmt *statement, int column) {
  const unsigned char *text = sqlite3_column_text(statement, column);
  return text ? (const char *)text : "";
}

/* ---- transactions ---- */

static tl_status execute(tl_ledger *ledger, const char *sql, const char *doing, tl_error *err) {
  int rc = sqlite3_exec(ledger->db, sql, NULL, NULL, NULL);
  return rc == SQLITE_OK ? TL_OK : tl_db_fail(ledger, rc, doing, err);
}

tl_status tl_db_begin_write(tl_ledger *ledger, tl_error *err) {
  if (sqlite3_db_readonly(ledger->db, "main") == 1)
    return tl_fail(err, TL_ELEDGER, "cannot write ledger '%s': it is read-only here", ledger->path);
  return tl_db_run(ledger, err, "BEGIN IMMEDIATE", "");
}

tl_status tl_db_fresh(tl_ledger *ledger, tl_error *err) {
  return ledger->objects ? tl_objects_refresh(ledger, err) : TL_OK;
}

tl_status tl_db_begin_read(tl_ledger *ledger, tl_error *err) {
  tl_status st = tl_db_fresh(ledger, err);
  return st ? st : tl_db_run(ledger, err, "BEGIN", "");
}

tl_status tl_db_write(tl_ledger *ledger, tl_op *op, tl_error *err) {
  if (ledger->objects) return tl_objects_write(ledger, op, err);
  tl_status st = tl_db_begin_write(ledger, err);
  return st ? st : tl_db_end(ledger, tl_db_apply(ledger, op, err), err);
}

tl_status tl_db_end(tl_ledger *ledger, tl_status st, tl_error *err) {
  if (!st) st = tl_db_run(ledger, err, "COMMIT", "");
  if (!st) return TL_OK;
  if (!sqlite3_get_autocommit(ledger->db)) sqlite3_exec(ledger->db, "ROLLBACK", NULL, NULL, NULL);
  return st;
}

/* ---- formats ---- */

static tl_status pragma_number(tl_ledger *ledger, const char *sql, int64_t *out, tl_error *err) {
  sqlite3_stmt *statement = NULL; /* not kept: a pragma's answer may be fixed when it is prepared */
  int rc = sqlite3_prepare_v2(ledger->db, sql, -1, &statement, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_step(statement);
  *out = rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
  sqlite3_finalize(statement);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? TL_OK : tl_db_fail(ledger, rc, "read", err);
}

/* The three are read one after the other while another process may be making the ledger, which sets them in one commit: in
 * this order, who sees its tables sees its number too. */
static tl_status check_format(tl_ledger *ledger, int64_t *format, tl_error *err) {
  int64_t application = 0, objects = 0;
  tl_status st = pragma_number(ledger, "SELECT count(*) FROM sqlite_schema", &objects, err);
  if (!st) st = pragma_number(ledger, "PRAGMA application_id", &application, err);
  if (!st) st = pragma_number(ledger, "PRAGMA user_version", format, err);
  if (st) return st;
  if (objects && application != application_id)
    return tl_fail(err, TL_EUSAGE, "'%s' is a database of another program, not a ticklake ledger", ledger->path);
  if (*format > ledger->format_newest)
    return tl_fail(err, TL_EUSAGE,
                   "ledger '%s' has format %lld, this ticklake knows formats up to %d: use a newer ticklake",
                   ledger->path, (long long)*format, ledger->format_newest);
  return TL_OK;
}

static tl_status migrate(tl_ledger *ledger, tl_error *err) {
  int64_t format = 0;
  tl_status st = tl_db_begin_write(ledger, err);
  if (st) return st;
  st = check_format(ledger, &format, err); /* again: another process may have been first */
  char text[96];
  for (int64_t i = format > 0 ? format : 0; !st && i < ledger->format_newest; i++)
    st = execute(ledger, ledger->formats[i], "migrate", err);
  snprintf(text, sizeof text, "PRAGMA application_id=%lld; PRAGMA user_version=%d;", (long long)application_id,
           ledger->format_newest);
  if (!st) st = execute(ledger, text, "migrate", err);
  return tl_db_end(ledger, st, err);
}

static tl_status prepare_file(tl_ledger *ledger, bool create, tl_error *err) {
  static const char settings[] = "PRAGMA synchronous=EXTRA; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;"
                                 "PRAGMA cell_size_check=ON;";
  int64_t format = 0;
  sqlite3_extended_result_codes(ledger->db, 1);
  sqlite3_busy_handler(ledger->db, on_busy, ledger);
  sqlite3_db_config(ledger->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  tl_status st = execute(ledger, settings, "open", err);
  if (!st) st = check_format(ledger, &format, err);
  if (st || format == ledger->format_newest) return st;
  if (format == 0 && !create) return tl_fail(err, TL_ENOTFOUND, "there is no ledger in '%s'", ledger->path);
  return migrate(ledger, err);
}

/* ---- open and close ---- */

tl_status tl_ledger_make(const char *path, tl_ledger **out, tl_error *err) {
  tl_ledger *ledger = tl_calloc(1, sizeof *ledger);
  char *copy = ledger ? tl_strdup(path) : NULL;
  if (!copy) {
    tl_free(ledger);
    return tl_fail(err, TL_ENOMEM, "out of memory: cannot open ledger '%s'", path);
  }
  pthread_mutex_init(&ledger->lock, NULL);
  ledger->path = copy;
  ledger->formats = tl_ledger_formats;
  ledger->format_newest = tl_ledger_format_newest;
  *out = ledger;
  return TL_OK;
}

tl_status tl_db_open(tl_ledger *ledger, const char *path, bool create, tl_error *err) {
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
  int rc = sqlite3_open_v2(path, &ledger->db, flags, NULL);
  return rc == SQLITE_OK ? prepare_file(ledger, create, err) : tl_db_fail(ledger, rc, "open", err);
}

void tl_db_close(tl_ledger *ledger) {
  for (size_t i = 0; i < TL_LEDGER_STATEMENTS_MAX; i++) {
    sqlite3_finalize(ledger->kept[i].statement);
    ledger->kept[i].statement = NULL;
  }
  sqlite3_close(ledger->db);
  ledger->db = NULL;
}

static tl_status copy_tables(tl_ledger *ledger, sqlite3 *to, sqlite3 *from, const char *doing, tl_error *err) {
  sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
  int rc = backup ? sqlite3_backup_step(backup, -1) : sqlite3_errcode(to);
  if (backup) sqlite3_backup_finish(backup);
  return rc == SQLITE_DONE ? TL_OK : tl_db_fail(ledger, rc == SQLITE_OK ? SQLITE_ERROR : rc, doing, err);
}

tl_status tl_db_load(tl_ledger *ledger, const char *path, tl_error *err) {
  sqlite3 *from = NULL;
  int rc = sqlite3_open_v2("", &ledger->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_open_v2(path, &from, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
  tl_status st = rc == SQLITE_OK ? copy_tables(ledger, ledger->db, from, "read", err) : tl_db_fail(ledger, rc, "open", err);
  sqlite3_close(from);
  return st ? st : prepare_file(ledger, false, err);
}

tl_status tl_db_save(tl_ledger *ledger, const char *path, tl_error *err) {
  sqlite3 *to = NULL;
  int rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
  tl_status st = rc == SQLITE_OK ? copy_tables(ledger, to, ledger->db, "copy", err) : tl_db_fail(ledger, rc, "copy", err);
  sqlite3_close(to);
  return st;
}

static tl_status open_file(tl_ledger *ledger, bool create, tl_error *err) {
  tl_io_info info;
  tl_status st = tl_io_stat(ledger->path, &info, err);
  if (st && (st != TL_ENOTFOUND || !create)) return st;
  if (st && (st = tl_io_mkdir_parents(ledger->path, err)) != TL_OK) return st;
  return tl_db_open(ledger, ledger->path, create, err);
}

static char *ledger_path(const char *lake) {
  char *folder = tl_io_join(lake, "_ticklake");
  char *path = folder ? tl_io_join(folder, "ledger.db") : NULL;
  tl_free(folder);
  return path;
}

tl_status tl_ledger_open(tl_store *lake, bool create, tl_ledger **out, tl_error *err) {
  *out = NULL;
  tl_status st = tl_ledger_hooks_install(err);
  if (st) return st;
  if (!tl_store_is_local(lake)) return tl_objects_open(lake, create, out, err);
  return tl_ledger_open_formats(tl_store_local(lake), create, tl_ledger_formats, tl_ledger_format_newest, out, err);
}

tl_status tl_ledger_open_formats(const char *lake, bool create, const char *const *formats, int format_newest,
                                 tl_ledger **out, tl_error *err) {
  *out = NULL;
  tl_ledger *ledger = NULL;
  tl_status st = tl_ledger_hooks_install(err);
  if (st) return st;
  char *path = ledger_path(lake);
  if (!path) return tl_fail(err, TL_ENOMEM, "out of memory: cannot open the ledger of '%s'", lake);
  st = tl_ledger_make(path, &ledger, err);
  tl_free(path);
  if (st) return st;
  ledger->formats = formats;
  ledger->format_newest = format_newest;
  st = open_file(ledger, create, err);
  if (st) tl_ledger_close(ledger);
  else *out = ledger;
  return st;
}

void tl_ledger_close(tl_ledger *ledger) {
  if (!ledger) return;
  tl_db_close(ledger);
  tl_objects_close(ledger->objects);
  pthread_mutex_destroy(&ledger->lock);
  tl_free(ledger->path);
  tl_free(ledger);
}

/* The journal follows its ledger. Should we die between the two, SQLite drops a journal that lies beside an empty
 * file. */
static tl_status set_file_aside(const char *lake, tl_error *err) {
  tl_buf to = {0};
  tl_io_info info;
  char *path = ledger_path(lake);
  tl_status st = path ? tl_io_stat(path, &info, err) : tl_fail(err, TL_ENOMEM, "cannot name the ledger of '%s'", lake);
  if (st) goto done;
  for (int n = 1; !st; n++) {
    tl_buf_clear(&to);
    st = tl_buf_appendf(&to, err, "%s.damaged-%d", path, n);
    if (!st && (st = tl_io_stat(to.data, &info, err)) == TL_ENOTFOUND) break;
  }
  if (st != TL_ENOTFOUND) goto done;
  if ((st = tl_io_rename(path, to.data, err)) != TL_OK) goto done;
  size_t path_len = strlen(path);
  tl_buf from = {0};
  if ((st = tl_buf_appendf(&from, err, "%s-journal", path)) == TL_OK &&
      (st = tl_buf_appends(&to, "-journal", err)) == TL_OK && tl_io_stat(from.data, &info, NULL) == TL_OK)
    st = tl_io_rename(from.data, to.data, err);
  tl_buf_deinit(&from);
  path[path_len - strlen("/ledger.db")] = 0;
  if (!st) st = tl_io_fsync_dir(path, err);
done:
  tl_buf_deinit(&to);
  tl_free(path);
  return st == TL_ENOTFOUND ? TL_OK : st;
}

tl_status tl_ledger_set_aside(tl_store *lake, tl_error *err) {
  tl_status st = tl_ledger_hooks_install(err);
  if (st) return st;
  return tl_store_is_local(lake) ? set_file_aside(tl_store_local(lake), err) : tl_objects_set_aside(lake, err);
}
