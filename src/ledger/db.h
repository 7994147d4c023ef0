/* db.h - the SQLite side of the ledger, shared by its files. Private to ledger/; the only header with sqlite3.h.
 *
 * Calling order: tl_db_enter, tl_db_begin_*, statements, tl_db_end, tl_db_leave; between enter and leave one thread
 * works. Statements are prepared once and kept; between calls none is active. */
#ifndef TL_LEDGER_DB_H
#define TL_LEDGER_DB_H
#include <pthread.h>
#include <sqlite3.h>

#include "ledger/ledger.h"

enum { TL_LEDGER_STATEMENTS_MAX = 48 };

struct tl_ledger {
  sqlite3 *db;
  char *path;
  const char *const *formats; /* texts that take an empty file to format 1, format 1 to 2, ... */
  int format_newest;
  pthread_mutex_t lock;
  int64_t busy_since_ns; /* monotonic, of the wait the busy handler is in */
  struct {
    const char *sql; /* static text; its address is the key */
    sqlite3_stmt *statement;
  } kept[TL_LEDGER_STATEMENTS_MAX];
};

extern const char *const tl_ledger_formats[]; /* formats.c */
extern const int tl_ledger_format_newest;
/* tl_ledger_open with formats of one's own, so that migration can be tested before there is a second one. */
tl_status tl_ledger_open_formats(const char *lake, bool create, const char *const *formats, int format_newest,
                                 tl_ledger **out, tl_error *err);

/* Turns an SQLite result into a status; `doing` completes "cannot ... the ledger". */
tl_status tl_db_fail(tl_ledger *ledger, int rc, const char *doing, tl_error *err);

void tl_db_enter(tl_ledger *ledger);
void tl_db_leave(tl_ledger *ledger);
tl_status tl_db_begin_write(tl_ledger *ledger, tl_error *err);
tl_status tl_db_begin_read(tl_ledger *ledger, tl_error *err);
tl_status tl_db_end(tl_ledger *ledger, tl_status st, tl_error *err); /* commits when st is TL_OK, else rolls back */

/* Statements: sql must be static text. types says what is bound to ?1, ?2, ...: 'i' int64_t, 't' const char * (NULL
 * is NULL). */
/* Calls on_row for each row until it fails; a query never stays open, which would hold up writers. */
typedef tl_status (*tl_db_on_row)(sqlite3_stmt *row, void *context, tl_error *err);
tl_status tl_db_each(tl_ledger *ledger, tl_db_on_row on_row, void *context, tl_error *err, const char *sql,
                     const char *types, ...);
tl_status tl_db_run(tl_ledger *ledger, tl_error *err, const char *sql, const char *types, ...); /* no rows wanted */
/* The one integer of the first row; `otherwise` when there is no row or it is NULL. */
tl_status tl_db_number(tl_ledger *ledger, int64_t otherwise, int64_t *out, tl_error *err, const char *sql,
                       const char *types, ...);
const char *tl_db_text(sqlite3_stmt *statement, int column); /* "" for NULL; valid until the next step */

/* units.c, the two ids of a name; 0 from the find when it is not known. */
tl_status tl_db_id(tl_ledger *ledger, bool is_symbol, const char *name, bool add, int64_t *out, tl_error *err);

/* Units that overlap [?3, ?4) of dataset ?1, symbol ?2. They are disjoint, so the search starts at the last one that
 * begins at or before the range. */
#define TL_UNITS_OVERLAPPING                                                                        \
  " FROM unit WHERE dataset = ?1 AND symbol = ?2 AND start_ns < ?4 AND end_ns > ?3 AND start_ns >=" \
  " coalesce((SELECT max(start_ns) FROM unit WHERE dataset = ?1 AND symbol = ?2 AND start_ns <= ?3), ?3)"

/* Room for one more item of a list {items, count, capacity}. */
#define TL_DB_GROW(list, err) \
  tl_db_list_grow(&(list)->items, (list)->count, &(list)->capacity, sizeof *(list)->items, err)
tl_status tl_db_list_grow(void *items, size_t count, size_t *capacity, size_t item_bytes, tl_error *err);

/* coverage.c: adds at the end; an empty one is dropped, `join` lets it grow the last one. */
tl_status tl_segments_push(tl_segments *segments, const tl_segment *segment, bool join, tl_error *err);
#endif
