/* formats.c - the tables of the ledger, one text per format step. A released text is never edited: add the next one.
 *
 * Units of one (dataset, symbol) never overlap: whoever inserts one cuts what was there (units.c). That is what makes
 * "what covers this range" one index search, and the newest statement the only one. */
#include "ledger/db.h"

static const char format_1[] =
    /* facts of the lake: "layout" */
    "CREATE TABLE fact(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"

    /* provider NULL: no import has fixed the source yet */
    "CREATE TABLE dataset(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, provider TEXT, feed TEXT,"
    " adjustment TEXT, asof TEXT, currency TEXT, built_from TEXT, conditions TEXT);"

    "CREATE TABLE symbol(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"

    /* state as in tl_coverage; rows, wire_rows and bytes are -1 when a later statement cut the unit */
    "CREATE TABLE unit(dataset INTEGER NOT NULL, symbol INTEGER NOT NULL, start_ns INTEGER NOT NULL,"
    " end_ns INTEGER NOT NULL CHECK(end_ns > start_ns), state INTEGER NOT NULL CHECK(state BETWEEN 1 AND 4),"
    " rows INTEGER NOT NULL, wire_rows INTEGER NOT NULL, bytes INTEGER NOT NULL, pages INTEGER NOT NULL,"
    " rejected INTEGER NOT NULL, asked_ns INTEGER NOT NULL, run INTEGER NOT NULL, hash TEXT NOT NULL,"
    " answer TEXT NOT NULL, PRIMARY KEY(dataset, symbol, start_ns)) WITHOUT ROWID;"

    "CREATE TABLE file(path TEXT PRIMARY KEY, dataset INTEGER NOT NULL, symbol INTEGER NOT NULL,"
    " rows INTEGER NOT NULL, bytes INTEGER NOT NULL, time_min_ns INTEGER NOT NULL, time_max_ns INTEGER NOT NULL,"
    " checksum TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX file_series ON file(dataset, symbol);"

    /* ended_ns 0: running, or killed */
    "CREATE TABLE run(id INTEGER PRIMARY KEY AUTOINCREMENT, started_ns INTEGER NOT NULL,"
    " ended_ns INTEGER NOT NULL DEFAULT 0, exit_code INTEGER NOT NULL DEFAULT -1, rows INTEGER NOT NULL DEFAULT 0,"
    " rejected INTEGER NOT NULL DEFAULT 0, files INTEGER NOT NULL DEFAULT 0, requests INTEGER NOT NULL DEFAULT 0,"
    " retries INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, command TEXT NOT NULL,"
    " message TEXT NOT NULL DEFAULT '');"
    "CREATE TABLE run_symbol(run INTEGER NOT NULL, symbol TEXT NOT NULL, reason TEXT NOT NULL,"
    " PRIMARY KEY(run, symbol)) WITHOUT ROWID;";

const char *const tl_ledger_formats[] = {format_1};
const int tl_ledger_format_newest = (int)(sizeof tl_ledger_formats / sizeof *tl_ledger_formats);
