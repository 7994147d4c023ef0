/* commit.h - stage 6: finished pieces of units -> durable files and one ledger transaction.
 *
 * Of a lake of files (hive, flat); where datasets are open tables, into_table.h takes the place of the files, and one lock a
 * dataset that of the locks a file.
 * Callers may rely on: each file a group touches is written aside, synced, renamed into place and its folder synced, so
 * a reader sees the old file or the new one; then, and only then, the ledger records files and units in one
 * transaction. A crash in between loses nothing: the units are not in the ledger, are asked again, and merge to the
 * same rows. Two processes may commit into one lake: per-file locks (on bytes of _ticklake/commit.lock, taken in
 * ascending order) are held from reading the old file to the ledger's commit.
 * On an object store no lock keeps others off: a file is put only over the one its rows were merged with (If-Match, or
 * If-None-Match when there was none), else merged again with what lies there now; of rows in the ledger that came meanwhile
 * the one of the file that lies there stays.
 * Merging: bars and quotes_1s by time, new rows win; trades and raw quotes replace all rows of the piece's range.
 * Rows that broke their contract lie beside, in rejects/DATASET/symbol=S/START_END.jsonl, one file a unit.
 * Cost: new files are only encoded; existing ones are read once through DuckDB (opened at the first need), streaming.
 * Not here: planning, fetching; adopting foreign files (run/adopt.c). */
#ifndef TL_COMMIT_COMMIT_H
#define TL_COMMIT_COMMIT_H
#include "base/checksum.h"
#include "batch/batch.h"
#include "batch/words.h"
#include "ledger/ledger.h"
#include "table/table.h"

typedef struct tl_piece { /* what is known of [range) of one symbol, whole; owns everything */
  char *symbol;
  tl_range range;
  tl_coverage state;
  tl_batch rows;            /* ascending time, unique times for bars and quotes_1s */
  int64_t wire_rows, bytes, pages, asked_ns;
  char hash[TL_CHECKSUM_TEXT_MAX]; /* xxh3-128 of the pages' text */
  char *answer;             /* NULL, or the vendor's words */
  tl_buf rejects;           /* JSON lines */
  int64_t rejected;
} tl_piece;

void tl_piece_deinit(tl_piece *piece);
bool tl_piece_unanswered(const tl_piece *piece); /* the vendor gave no answer for the range: what is held of it stays */

typedef struct tl_commit_options {
  const char *lake;       /* as it was named */
  tl_store *store;        /* where its files lie */
  tl_layout layout;
  tl_dataset dataset;
  tl_words *words;
  tl_ledger *ledger;
  int64_t run;            /* of tl_ledger_run_begin, 0 for none */
  size_t workers;         /* files encoded at once; 0: one per core */
  int64_t memory_bytes;   /* for DuckDB when existing files must be read; 0: 128 MiB */
  const tl_settings *settings; /* of a lake of tables on S3; may be NULL */
} tl_commit_options;

typedef struct tl_commit tl_commit;

typedef struct tl_commit_totals { /* since tl_commit_open */
  int64_t rows;     /* new or changed */
  int64_t files;    /* different files written; one that came out byte-equal is not counted. Of tables: data files added */
  int64_t rejected;
} tl_commit_totals;

tl_status tl_commit_open(const tl_commit_options *options, tl_commit **out, tl_error *err); /* makes the lake's folders */
/* Commits the pieces as one group: all or nothing in the ledger. Not thread-safe. */
tl_status tl_commit_group(tl_commit *commit, const tl_piece *pieces, size_t count, tl_error *err);
void tl_commit_totals_of(const tl_commit *commit, tl_commit_totals *out);
/* i-th different file written, relative to the lake, in order of first writing; NULL past the end. */
const char *tl_commit_file(const tl_commit *commit, size_t i);
void tl_commit_close(tl_commit *commit); /* NULL is fine */
#endif
