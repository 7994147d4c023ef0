/* committer.h - groups finished pieces and commits them on a thread of its own, so fetching goes on meanwhile.
 * A group closes after 30 s, when held rows fill half the budget, when nothing more may start for want of room, or at
 * the end. Held bytes are those of chains at work and of pieces not committed yet: admission asks for room, and page
 * takers wait while twice the budget is held. Thread-safe. */
#ifndef TL_RUN_COMMITTER_H
#define TL_RUN_COMMITTER_H
#include "commit/commit.h"

typedef struct tl_committer tl_committer;

tl_status tl_committer_open(tl_commit *commit, int64_t budget_bytes, tl_committer **out, tl_error *err);
/* Takes what the piece owns (piece becomes {0}), also on failure: TL_ENOMEM, or the error of an earlier group. */
tl_status tl_committer_add(tl_committer *committer, tl_piece *piece, tl_error *err);
void tl_committer_hold(tl_committer *committer, int64_t bytes); /* a chain at work holds so many more (or fewer) */
bool tl_committer_room(tl_committer *committer);                /* false: start nothing new; closes the group instead */
void tl_committer_wait(tl_committer *committer);                /* until less than twice the budget is held, or nothing can change that */
bool tl_committer_failed(tl_committer *committer);
/* Commits what is left; gives the first error of any group. Called once, before close. */
tl_status tl_committer_finish(tl_committer *committer, tl_error *err);
void tl_committer_close(tl_committer *committer); /* without finish: pieces not committed are dropped; NULL is fine */
#endif
