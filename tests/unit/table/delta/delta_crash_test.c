/* delta_crash_test.c - a process that ends at any step or disk call of a commit with its checkpoint, or of an expiry: readers see
 * a whole version, what was acknowledged is there once, and the next process goes on. The truth: the names of files added,
 * kept by the parent. Every life is a process of its own; the parent never opens the engine. */
#include <sys/wait.h>

#include "tests/unit/table/delta/table.h"

typedef struct life {
  const char *folder;
  tl_seam seam;
  long at;              /* which call is the last; 0: none */
  int64_t versions;     /* that were acknowledged, and maybe one more */
  bool expires;
} life;

enum { FINE = 0, ENDED = 99, WRONG = 1 };

static void attach(table *t, const char *folder) {
  memset(t, 0, sizeof *t);
  snprintf(t->folder, sizeof t->folder, "%s", folder);
  if (tl_store_open(folder, NULL, &t->store, &t->err) || tl_engine_open(&(tl_engine_options){.threads = 1}, &t->engine, &t->err)) _exit(2);
  t->env = (tl_table_env){.engine = t->engine, .temp = folder};
  if (F->open(t->store, &t->env, &t->log, &t->err)) _exit(2);
}

static int write_life(const life *l) {
  table t;
  tl_snapshot *s = NULL;
  attach(&t, l->folder);
  if (F->load(t.log, (tl_at){TL_AT_LATEST, 0}, &s, &t.err)) return WRONG;
  char path[32];
  snprintf(path, sizeof path, "f%03d", (int)s->version + 1); /* the file of version v is named after it */
  if (l->at) tl_fault_arm(l->seam, l->at, TL_FAULT_EXIT_BEFORE, 0);
  tl_expired gone;
  tl_status st = l->expires ? F->expire(t.log, INT64_MAX, 2, false, &gone, &t.err) : table_append(&t, s, path, "A", NULL);
  return st ? WRONG : FINE;
}

/* Every version that can be read holds the files f001 .. f<version>, each once. */
static int read_life(const life *l) {
  table t;
  tl_snapshot *s = NULL;
  attach(&t, l->folder);
  if (F->load(t.log, (tl_at){TL_AT_LATEST, 0}, &s, &t.err)) {
    fprintf(stderr, "%s\n", t.err.message);
    return WRONG;
  }
  int64_t newest = s->version, readable = 0;
  if (newest != l->versions && newest != l->versions + 1) return WRONG;
  tl_snapshot_close(s);
  for (int64_t v = newest; v >= 0; v--) {
    tl_status st = F->load(t.log, (tl_at){TL_AT_VERSION, v}, &s, &t.err);
    if (st == TL_ENOTFOUND && l->expires && readable >= 2) break;
    if (st) {
      fprintf(stderr, "version %d: %s\n", (int)v, t.err.message);
      return WRONG;
    }
    readable++;
    if (s->file_count != (size_t)v) return WRONG;
    for (size_t i = 0; i < s->file_count; i++) {
      char name[32];
      snprintf(name, sizeof name, "f%03d", (int)i + 1);
      if (strcmp(s->files[i].path, name) != 0) return WRONG;
    }
    tl_snapshot_close(s);
  }
  return newest == l->versions ? FINE : 3;
}

static int live(int (*what)(const life *l), const life *l) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(what(l));
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

/* One more version is there than was acknowledged, or not; anything else fails. */
static void read_it(life *l) {
  int seen = live(read_life, l);
  if (seen != FINE && seen != 3) fail_msg("seam %d call %ld: a reader saw %d", (int)l->seam, l->at, seen);
  if (seen == 3) l->versions++;
}

static void end_at_every_call(tl_seam seam, long step, bool expires) {
  table t;
  table_open(&t, false);
  table_create(&t, &(tl_pair){(char *)(uintptr_t)"delta.checkpointInterval", (char *)(uintptr_t)"2"}, 1);
  life l = {.folder = t.folder, .seam = seam, .expires = expires};
  life plain = {.folder = t.folder};
  int ended = ENDED, rounds = 0;
  for (long at = 1; ended == ENDED; at += step, rounds++) {
    for (int more = expires ? 3 : (int)(l.versions % 2 == 0); more > 0; more--) { /* the life to end writes a checkpoint */
      assert_int_equal(live(write_life, &plain), FINE);
      l.versions++;
    }
    l.at = at;
    ended = live(write_life, &l);
    if (ended != FINE && ended != ENDED) fail_msg("seam %d call %ld: %d", (int)seam, at, ended);
    if (ended == FINE && !expires) l.versions++;
    read_it(&l);
  }
  assert_true(rounds > 2);
  table_close(&t);
}

static void a_commit_may_end_at_every_step(void **state) {
  (void)state;
  end_at_every_call(TL_SEAM_STEP, 1, false);
}

static void a_commit_may_end_at_any_disk_call(void **state) {
  (void)state;
  end_at_every_call(TL_SEAM_DISK, 7, false);
}

static void an_expiry_may_end_at_any_disk_call(void **state) {
  (void)state;
  end_at_every_call(TL_SEAM_DISK, 11, true);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_commit_may_end_at_every_step),
    cmocka_unit_test(a_commit_may_end_at_any_disk_call),
    cmocka_unit_test(an_expiry_may_end_at_any_disk_call),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
