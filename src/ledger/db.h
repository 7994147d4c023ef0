/* db.h - the SQLite side of the ledger, shared by its files. Private to ledger/; the only header with sqlite3.h.
 *
 * Calling order: tl_db_enter, tl_db_begin_read or tl_db_fresh, statements, tl_db_end, tl_db_leave; between enter and leave
 * one thread works. Whatever writes is a tl_op given to tl_db_write. Statements are prepared once and kept; between calls
 * none is active. A ledger on an object store (objects.c) has the same tables in a file of its own process. */
#ifndef TL_LEDGER_DB_H
#define TL_LEDGER_DB_H
#include <pthread.h>
#include <sqlite3.h>

#include "ledger/ledger.h"

enum { TL_LEDGER_STATEMENTS_MAX = 56 };

struct tl_ledger {
  sqlite3 *db;
  char *path;
  const char *const *formats; /* texts that take an empty file to format 1, format 1 to 2, ... */
  int format_newest;
  pthread_mutex_t lock;
  int64_t busy_since_ns; /* monotonic, of the wait the busy handler is in */
  struct tl_objects *objects; /* NULL: path is the lake's ledger itself */
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

/* SQLite on a file; path "" is a private one that is gone when it is closed. The ledger's path is what messages name. */
tl_status tl_db_open(tl_ledger *ledger, const char *path, bool create, tl_error *err);
void tl_db_close(tl_ledger *ledger);
/* The tables from and to a file; what tl_db_load opens is a private copy. */
tl_status tl_db_load(tl_ledger *ledger, const char *path, tl_error *err);
tl_status tl_db_save(tl_ledger *ledger, const char *path, tl_error *err);
tl_status tl_ledger_make(const char *path, tl_ledger **out, tl_error *err); /* not open yet; path is copied */

/* Turns an SQLite result into a status; `doing` completes "cannot ... the ledger". */
tl_status tl_db_fail(tl_ledger *ledger, int rc, const char *doing, tl_error *err);

void tl_db_enter(tl_ledger *ledger);
void tl_db_leave(tl_ledger *ledger);
tl_status tl_db_fresh(tl_ledger *ledger, tl_error *err); /* before reading: takes in what others wrote (object stores) */
tl_status tl_db_begin_write(tl_ledger *ledger, tl_error *err);
tl_status tl_db_begin_read(tl_ledger *ledger, tl_error *err); /* fresh, and one state for all that is read */
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

/* ---- writing ---- */

/* One call that writes, as data: applied in a transaction here, kept as an entry on object stores (entry.c). Text is
 * borrowed and never NULL. */
typedef enum tl_op_type {
  TL_OP_LAYOUT,    /* text: the layout wanted */
  TL_OP_SOURCE,    /* dataset, source */
  TL_OP_COMMIT,    /* group */
  TL_OP_REBUILD,   /* group */
  TL_OP_RECOUNT,   /* dataset, symbol, range, rows */
  TL_OP_RUN_BEGIN, /* text: the command; at_ns; gives run */
  TL_OP_RUN_END,   /* run, at_ns, exit_code, text: the message, counts, results */
  TL_OP_RESET      /* the ledger begins anew */
} tl_op_type;

typedef struct tl_op {
  tl_op_type type;
  const char *text, *dataset, *symbol;
  const tl_ledger_source *source;
  const tl_ledger_group *group;
  tl_range range;
  int64_t rows, run, at_ns, exit_code;
  tl_ledger_counts counts;
  const tl_ledger_result *results;
  size_t result_count;
  bool idle; /* set by apply: the ledger says so already, nothing was changed */
} tl_op;

typedef struct tl_source_field {
  const char *name;
  size_t offset, size;
} tl_source_field;
enum { TL_SOURCE_FIELDS = 7 };
extern const tl_source_field tl_source_fields[TL_SOURCE_FIELDS]; /* units.c */

tl_status tl_db_write(tl_ledger *ledger, tl_op *op, tl_error *err); /* durable when it is TL_OK; entered, not begun */
tl_status tl_db_apply(tl_ledger *ledger, tl_op *op, tl_error *err); /* units.c; inside a transaction */
tl_status tl_db_apply_run(tl_ledger *ledger, tl_op *op, tl_error *err); /* runs.c */

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
