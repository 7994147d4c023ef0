/* objects.c - see objects.h. The fact "entry" is the number of the newest entry the tables hold; it changes in the
 * transaction that plays the entry, so a checkpoint says itself how far it goes. */
#include "ledger/objects.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/prng.h"
#include "json/write.h"
#include "ledger/entry.h"
#include "market/number.h"

#define FOLDER "_ticklake/ledger/"
#define HINT FOLDER "checkpoint.json"
enum { KEY_MAX = 64, ID_MAX = 33, READ_AT_ONCE = 32, READERS = 8 };
static const size_t entry_bytes_max = (size_t)1 << 30;
static const int64_t give_up_ns = INT64_C(600) * TL_NS_PER_S; /* as long as sqlite.c waits for its lock */

struct tl_objects {
  tl_store *store;
  int64_t seen;       /* entries up to here have been taken in */
  int64_t checkpoint; /* the newest that is known to lie there */
  bool damaged;       /* one of them could not be played, and no reset came since */
  tl_error damage;
  tl_prng prng;
};

static void key_of(int64_t number, const char *ending, char key[KEY_MAX]) {
  snprintf(key, KEY_MAX, FOLDER "%020" PRId64 ".%s", number, ending);
}

/* Number of the key "…/00000000000000000007.json"; 0 when it is none. */
static int64_t number_of(const char *key, const char *ending) {
  const char *name = key + strlen(FOLDER);
  int64_t number = 0;
  for (int i = 0; i < 20; i++) {
    if (name[i] < '0' || name[i] > '9' || __builtin_mul_overflow(number, 10, &number)) return 0;
    if (__builtin_add_overflow(number, name[i] - '0', &number)) return 0;
  }
  return name[20] == '.' && !strcmp(name + 21, ending) ? number : 0;
}

/* Differs from every other entry's: a process may be killed and its id of process and time come again, chance does not. */
static void make_id(struct tl_objects *o, char id[ID_MAX]) {
  uint64_t words[2] = {0};
  size_t got = 0;
  int fd = -1;
  if (!tl_io_open("/dev/urandom", O_RDONLY, 0, &fd, NULL)) tl_io_pread(fd, "/dev/urandom", words, sizeof words, 0, &got, NULL);
  tl_io_close(fd, "/dev/urandom", NULL);
  snprintf(id, ID_MAX, "%016" PRIx64 "%016" PRIx64, words[0] ^ tl_prng_next(&o->prng), words[1] ^ tl_prng_next(&o->prng));
}

/* ---- what lies there ---- */

typedef struct listing {
  int64_t *numbers; /* of entries, ascending */
  size_t count, capacity;
  int64_t checkpoint;
  tl_status status;
  tl_error *err;
} listing;

static int add_key(void *to, const char *key, const tl_store_info *info) {
  listing *l = to;
  (void)info;
  int64_t number = number_of(key, "json"), checkpoint = number_of(key, "db");
  if (checkpoint > l->checkpoint) l->checkpoint = checkpoint;
  if (!number) return 0;
  l->status = tl_db_list_grow(&l->numbers, l->count, &l->capacity, sizeof *l->numbers, l->err);
  if (!l->status) l->numbers[l->count++] = number;
  return l->status != TL_OK;
}

static tl_status list_after(tl_store *store, int64_t number, listing *out, tl_error *err) {
  char after[KEY_MAX];
  key_of(number, "json", after);
  *out = (listing){.err = err};
  tl_status st = tl_store_list(store, FOLDER, number ? after : NULL, false, add_key, out, err);
  return st ? st : out->status;
}

/* ---- playing an entry ---- */

/* Where no lock holds others off, a commit asks about the files they recorded meanwhile. */
static tl_status remember_files(tl_ledger *ledger, const tl_ledger_group *group, int64_t number, tl_error *err) {
  static const char put[] = "INSERT OR REPLACE INTO temp.recorded(path, entry) VALUES(?1, ?2)";
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < group->file_count; i++) st = tl_db_run(ledger, err, put, "ti", group->files[i].path, number);
  return st;
}

static tl_status set_number(tl_ledger *ledger, int64_t number, tl_error *err) {
  return tl_db_run(ledger, err, "INSERT OR REPLACE INTO fact(name, value) VALUES('entry', ?1)", "i", number);
}

static tl_status play(tl_ledger *ledger, int64_t number, tl_op *op, bool of_another, tl_error *err) {
  tl_status st = tl_db_apply(ledger, op, err);
  if (!st && (of_another || !op->idle)) st = set_number(ledger, number, err);
  if (!st && of_another && (op->type == TL_OP_COMMIT || op->type == TL_OP_REBUILD)) st = remember_files(ledger, op->group, number, err);
  return st;
}

static void mark_damaged(struct tl_objects *o, const tl_error *why) {
  if (!o->damaged) o->damage = *why;
  o->damaged = true;
}

/* What an entry there says, into the tables. Damage is remembered and passed over: a reset may follow. */
static tl_status take_in(tl_ledger *ledger, int64_t number, const tl_buf *text, tl_error *err) {
  struct tl_objects *o = ledger->objects;
  char key[KEY_MAX];
  tl_entry entry = {0};
  tl_error why = {0};
  key_of(number, "json", key);
  if (number != o->seen + 1) {
    key_of(o->seen + 1, "json", key);
    tl_fail(&why, TL_ECORRUPT, "the ledger's entry '%s/%s' is missing: 'ticklake audit --repair' makes the ledger anew from the lake's files",
            tl_store_uri(o->store), key);
    mark_damaged(o, &why);
    key_of(number, "json", key);
  }
  tl_status st = tl_entry_read(key, text->data ? text->data : "", text->len, &entry, &why);
  bool reset = !st && entry.op.type == TL_OP_RESET;
  if (!st && (reset || !o->damaged)) {
    st = tl_db_begin_write(ledger, &why);
    if (!st) st = tl_db_end(ledger, play(ledger, number, &entry.op, true, &why), &why);
    if (st == TL_EUSAGE || st == TL_EINTERNAL) { /* whoever put it had played it: this log was made otherwise */
      tl_error said = why;
      st = tl_fail(&why, TL_ECORRUPT, "the ledger's entry '%s' cannot follow those before it: %s", key, said.message);
    }
  }
  tl_entry_deinit(&entry);
  if (st && st != TL_ECORRUPT) {
    if (err) *err = why;
    return st;
  }
  if (st) mark_damaged(o, &why);
  else if (reset) o->damaged = false;
  o->seen = number;
  return TL_OK;
}

/* ---- reading entries ---- */

typedef struct reading {
  tl_store *store;
  char key[KEY_MAX];
  tl_buf text;
  tl_status status;
  tl_error err;
} reading;

static void read_entry(void *argument) {
  reading *r = argument;
  tl_buf_clear(&r->text);
  r->status = tl_store_get(r->store, r->key, entry_bytes_max, &r->text, NULL, &r->err);
}

/* The next entries of a list, read at once and taken in one after the other. */
static tl_status read_some(tl_ledger *ledger, const int64_t *numbers, size_t count, reading *slots, tl_pool *pool, tl_error *err) {
  for (size_t i = 0; i < count; i++) {
    slots[i].store = ledger->objects->store;
    key_of(numbers[i], "json", slots[i].key);
    if (pool) tl_pool_put(pool, read_entry, &slots[i]);
    else read_entry(&slots[i]);
  }
  if (pool) tl_pool_drain(pool);
  tl_status st = TL_OK;
  for (size_t i = 0; !st && i < count; i++) {
    st = slots[i].status;
    if (st && err) *err = slots[i].err;
    if (!st) st = take_in(ledger, numbers[i], &slots[i].text, err);
  }
  return st;
}

static tl_status read_all(tl_ledger *ledger, const listing *list, tl_error *err) {
  reading *slots = tl_calloc(READ_AT_ONCE, sizeof *slots);
  tl_pool *pool = NULL;
  if (!slots) return tl_fail(err, TL_ENOMEM, "out of memory: cannot read the ledger '%s'", ledger->path);
  tl_status st = list->count > 2 ? tl_pool_open(READERS, READ_AT_ONCE, &pool, err) : TL_OK;
  for (size_t begin = 0; !st && begin < list->count; begin += READ_AT_ONCE) {
    size_t left = list->count - begin;
    st = read_some(ledger, list->numbers + begin, left < READ_AT_ONCE ? left : READ_AT_ONCE, slots, pool, err);
  }
  tl_pool_close(pool);
  for (size_t i = 0; i < READ_AT_ONCE; i++) tl_buf_deinit(&slots[i].text);
  tl_free(slots);
  return st;
}

tl_status tl_objects_refresh(tl_ledger *ledger, tl_error *err) {
  struct tl_objects *o = ledger->objects;
  listing list;
  tl_status st = list_after(o->store, o->seen, &list, err);
  if (!st && list.count) st = read_all(ledger, &list, err);
  if (list.checkpoint > o->checkpoint) o->checkpoint = list.checkpoint;
  tl_free(list.numbers);
  if (!st && o->damaged) {
    st = TL_ECORRUPT;
    if (err) *err = o->damage;
  }
  return st;
}

/* ---- checkpoints: a temporary file in between, so that memory does not grow with the ledger ---- */

static tl_status put_hint(struct tl_objects *o, int64_t number, const char *checksum, tl_error *err) {
  tl_buf text = {0};
  tl_json_writer w = tl_json_writer_of(&text, err);
  tl_json_put_object(&w, NULL);
  tl_json_put_i64(&w, "format", TL_ENTRY_FORMAT);
  tl_json_put_i64(&w, "entry", number);
  tl_json_put_string(&w, "checksum", checksum);
  tl_json_put_close(&w);
  tl_status st = tl_json_writer_end(&w);
  if (!st) st = tl_store_put(o->store, HINT, text.data, text.len, TL_PUT_ANY, NULL, NULL, err);
  tl_buf_deinit(&text);
  return st;
}

static tl_status put_checkpoint(tl_ledger *ledger, const char *path, tl_error *err) {
  struct tl_objects *o = ledger->objects;
  char key[KEY_MAX], checksum[TL_CHECKSUM_TEXT_MAX];
  int64_t bytes = 0;
  key_of(o->seen, "db", key);
  tl_status st = tl_db_save(ledger, path, err);
  if (!st) st = tl_checksum_file(path, checksum, &bytes, err);
  if (!st) st = tl_store_put_file(o->store, key, path, TL_PUT_ABSENT, NULL, NULL, err);
  if (!st) st = put_hint(o, o->seen, checksum, err);
  if (st == TL_ECONFLICT) st = TL_OK; /* another process was first, and gives the hint */
  if (!st) o->checkpoint = o->seen;
  return st;
}

/* What was committed is committed: a checkpoint that fails only makes the next opening slower. */
static void checkpoint_when_due(tl_ledger *ledger) {
  struct tl_objects *o = ledger->objects;
  if (o->seen - o->checkpoint < TL_ENTRIES_PER_CHECKPOINT) return;
  tl_error why = {0};
  tl_buf folder = {0};
  tl_status st = tl_io_temp_folder(&folder, &why);
  char *path = st ? NULL : tl_io_join(folder.data, "ledger.db");
  if (path) st = put_checkpoint(ledger, path, &why);
  if (st) tl_log(TL_LOG_WARN, "the ledger '%s' got no checkpoint: %s", ledger->path, why.message);
  if (folder.len) tl_io_remove_tree(folder.data, NULL);
  tl_free(path);
  tl_buf_deinit(&folder);
}

/* The hint's number and checksum; 0 when there is none that can be understood. */
static tl_status read_hint(struct tl_objects *o, int64_t *number, char checksum[TL_CHECKSUM_TEXT_MAX], tl_error *err) {
  enum { HINT_BYTES_MAX = 4096 };
  tl_buf text = {0};
  tl_json *json = NULL;
  tl_text value = {0};
  int64_t format = 0;
  *number = 0;
  tl_status st = tl_store_get(o->store, HINT, HINT_BYTES_MAX, &text, NULL, err);
  if (!st && tl_json_open(text.data, text.len, HINT_BYTES_MAX, &json, NULL) == TL_OK) {
    const tl_json_value *root = tl_json_root(json);
    bool sound = tl_json_number(tl_json_get(root, "format"), &value) && !tl_number_i64(value.data, value.len, &format) && format == TL_ENTRY_FORMAT;
    sound = sound && tl_json_string(tl_json_get(root, "checksum"), &value) && value.len == TL_CHECKSUM_TEXT_MAX - 1;
    if (sound) memcpy(checksum, value.data, TL_CHECKSUM_TEXT_MAX);
    if (!sound || !tl_json_number(tl_json_get(root, "entry"), &value) || tl_number_i64(value.data, value.len, number) || *number < 0) *number = 0;
  }
  tl_json_close(json);
  tl_buf_deinit(&text);
  return st == TL_ENOTFOUND || st == TL_ELIMIT ? TL_OK : st;
}

static tl_status stored_number(tl_ledger *ledger, int64_t *out, tl_error *err) {
  return tl_db_number(ledger, 0, out, err, "SELECT CAST(value AS INTEGER) FROM fact WHERE name = 'entry'", "");
}

static tl_status load(tl_ledger *ledger, int64_t number, const char *checksum, const char *path, tl_error *err) {
  char key[KEY_MAX], found[TL_CHECKSUM_TEXT_MAX];
  int64_t bytes = 0, held = 0;
  key_of(number, "db", key);
  tl_status st = tl_store_fetch(ledger->objects->store, key, path, err);
  if (!st) st = tl_checksum_file(path, found, &bytes, err);
  if (!st && strcmp(found, checksum) != 0) st = tl_fail(err, TL_ECORRUPT, "'%s' is not what was put there", key);
  if (!st) st = tl_db_load(ledger, path, err);
  if (!st) st = stored_number(ledger, &held, err);
  if (!st && held != number) st = tl_fail(err, TL_ECORRUPT, "'%s' goes to entry %" PRId64, key, held);
  return st;
}

/* A checkpoint that is not there, damaged or of another format is done without: entries say everything. */
static tl_status load_checkpoint(tl_ledger *ledger, tl_error *err) {
  struct tl_objects *o = ledger->objects;
  int64_t number = 0;
  char checksum[TL_CHECKSUM_TEXT_MAX];
  tl_buf folder = {0};
  tl_error why = {0};
  tl_status st = read_hint(o, &number, checksum, err);
  if (st || !number) return st;
  if ((st = tl_io_temp_folder(&folder, err)) != TL_OK) return st;
  char *path = tl_io_join(folder.data, "ledger.db");
  st = path ? load(ledger, number, checksum, path, &why) : tl_fail(&why, TL_ENOMEM, "out of memory: cannot open ledger '%s'", ledger->path);
  tl_io_remove_tree(folder.data, NULL);
  tl_free(path);
  tl_buf_deinit(&folder);
  if (!st) {
    o->seen = o->checkpoint = number;
    return TL_OK;
  }
  tl_db_close(ledger);
  if (st == TL_ENOTFOUND || st == TL_ECORRUPT || st == TL_EUSAGE) {
    tl_log(TL_LOG_WARN, "a checkpoint of the ledger is not used: %s", why.message);
    return TL_OK;
  }
  if (err) *err = why;
  return st;
}

/* ---- writing ---- */

static tl_status recorded_since(tl_ledger *ledger, const char *path, int64_t since, bool *out, tl_error *err) {
  int64_t found = 0;
  tl_status st = tl_db_number(ledger, 0, &found, err, "SELECT 1 FROM temp.recorded WHERE path = ?1 AND entry > ?2", "ti", path, since);
  *out = found != 0;
  return st;
}

typedef struct kept_rows { /* of a group, for the caller to free */
  tl_ledger_file *files;
  const char **removed;
} kept_rows;

/* The group without the files that are not the lake's any more, and without removing what another recorded meanwhile. */
static tl_status drop_replaced(tl_ledger *ledger, tl_ledger_group *group, kept_rows *kept, tl_error *err) {
  tl_status st = TL_OK;
  size_t count = 0, removed = 0;
  kept->files = tl_calloc(group->file_count + 1, sizeof *kept->files);
  kept->removed = tl_calloc(group->removed_count + 1, sizeof *kept->removed);
  if (!kept->files || !kept->removed) return tl_fail(err, TL_ENOMEM, "out of memory: cannot write ledger '%s'", ledger->path);
  for (size_t i = 0; !st && i < group->file_count; i++) {
    bool asked = false, still = true;
    st = recorded_since(ledger, group->files[i].path, group->since, &asked, err);
    if (!st && asked) st = group->still(group->to, &group->files[i], &still, err);
    if (still) kept->files[count++] = group->files[i];
  }
  for (size_t i = 0; !st && i < group->removed_count; i++) {
    bool again = false;
    st = recorded_since(ledger, group->removed[i], group->since, &again, err);
    if (!again) kept->removed[removed++] = group->removed[i];
  }
  group->files = kept->files;
  group->file_count = count;
  group->removed = kept->removed;
  group->removed_count = removed;
  return st;
}

/* Plays the entry's text, as everybody else will, and puts it before the transaction ends. */
static tl_status play_and_put(tl_ledger *ledger, const tl_buf *text, tl_op *op, tl_error *err) {
  struct tl_objects *o = ledger->objects;
  int64_t number = o->seen + 1;
  char key[KEY_MAX];
  tl_entry entry = {0};
  bool there = false;
  key_of(number, "json", key);
  tl_status st = tl_entry_read(key, text->data, text->len, &entry, err);
  if (!st) st = tl_db_begin_write(ledger, err);
  if (!st) {
    st = play(ledger, number, &entry.op, false, err);
    op->idle = entry.op.idle;
    op->run = entry.op.run;
    if (!st && !op->idle) {
      st = tl_store_put(o->store, key, text->data, text->len, TL_PUT_ABSENT, NULL, NULL, err);
      there = !st;
    }
    tl_status ended = tl_db_end(ledger, st, there ? NULL : err);
    if (there && !ended) o->seen = number; /* else the next refresh takes it in: it is there */
    st = there ? TL_OK : ended;
  }
  tl_entry_deinit(&entry);
  return st;
}

static tl_status attempt(tl_ledger *ledger, tl_op *op, const char *id, tl_error *err) {
  kept_rows kept = {0};
  tl_ledger_group group;
  tl_op own = *op;
  tl_buf text = {0};
  tl_status st = tl_objects_refresh(ledger, err);
  if (!st && op->group && op->group->still) {
    group = *op->group;
    own.group = &group;
    st = drop_replaced(ledger, &group, &kept, err);
  }
  if (!st) st = tl_entry_write(&own, id, &text, err);
  if (!st) st = play_and_put(ledger, &text, op, err);
  tl_buf_deinit(&text);
  tl_free(kept.files);
  tl_free(kept.removed);
  return st;
}

tl_status tl_objects_write(tl_ledger *ledger, tl_op *op, tl_error *err) {
  struct tl_objects *o = ledger->objects;
  char id[ID_MAX];
  int64_t until_ns = tl_clock_mono_ns() + give_up_ns;
  make_id(o, id);
  tl_status st = TL_ECONFLICT;
  for (uint64_t tries = 0; st == TL_ECONFLICT; tries++) {
    if (tries && tl_clock_mono_ns() > until_ns)
      return tl_fail(err, TL_ELEDGER, "cannot write ledger '%s': other processes have been first for %d s", ledger->path,
                     (int)(give_up_ns / TL_NS_PER_S));
    uint64_t most_ms = tries < 6 ? UINT64_C(3) << tries : 200;
    if (tries) tl_clock_sleep_ns((int64_t)tl_prng_below(&o->prng, most_ms) * TL_NS_PER_MS);
    st = attempt(ledger, op, id, err);
  }
  if (!st) checkpoint_when_due(ledger);
  return st;
}

/* ---- open and close ---- */

static tl_status make(tl_store *store, tl_ledger **out, tl_error *err) {
  tl_ledger *ledger = NULL;
  char *path = tl_io_join(tl_store_uri(store), "_ticklake/ledger");
  tl_status st = path ? tl_ledger_make(path, &ledger, err) : tl_fail(err, TL_ENOMEM, "out of memory: cannot open the ledger of '%s'", tl_store_uri(store));
  tl_free(path);
  if (st) return st;
  struct tl_objects *o = ledger->objects = tl_calloc(1, sizeof *o);
  if (!o) {
    tl_ledger_close(ledger);
    return tl_fail(err, TL_ENOMEM, "out of memory: cannot open the ledger of '%s'", tl_store_uri(store));
  }
  o->store = store;
  o->prng = tl_prng_init((uint64_t)tl_clock_now_ns() ^ tl_prng_mix((uint64_t)getpid()) ^ tl_prng_mix((uint64_t)(uintptr_t)o));
  *out = ledger;
  return TL_OK;
}

tl_status tl_objects_open(tl_store *store, bool create, tl_ledger **out, tl_error *err) {
  tl_ledger *ledger = NULL;
  *out = NULL;
  tl_status st = make(store, &ledger, err);
  if (st) return st;
  st = load_checkpoint(ledger, err);
  if (!st && !ledger->db) st = tl_db_open(ledger, "", true, err);
  if (!st) st = tl_db_run(ledger, err, "CREATE TEMP TABLE recorded(path TEXT PRIMARY KEY, entry INTEGER NOT NULL) WITHOUT ROWID", "");
  if (!st) st = tl_objects_refresh(ledger, err);
  if (!st && !ledger->objects->seen && !create) st = tl_fail(err, TL_ENOTFOUND, "there is no ledger in '%s'", tl_store_uri(store));
  if (st) tl_ledger_close(ledger);
  else *out = ledger;
  return st;
}

void tl_objects_close(struct tl_objects *objects) { tl_free(objects); }

int64_t tl_ledger_seen(tl_ledger *ledger) {
  tl_db_enter(ledger);
  int64_t seen = ledger->objects ? ledger->objects->seen : 0;
  tl_db_leave(ledger);
  return seen;
}

tl_status tl_objects_set_aside(tl_store *store, tl_error *err) {
  struct tl_objects o = {.prng = tl_prng_init((uint64_t)tl_clock_now_ns())};
  char id[ID_MAX], key[KEY_MAX];
  tl_buf text = {0};
  make_id(&o, id);
  tl_status st = tl_entry_write(&(tl_op){.type = TL_OP_RESET}, id, &text, err);
  for (bool again = true; !st && again;) {
    listing list;
    st = list_after(store, 0, &list, err);
    int64_t last = list.count ? list.numbers[list.count - 1] : 0;
    tl_free(list.numbers);
    if (st || !last) break;
    key_of(last + 1, "json", key);
    st = tl_store_put(store, key, text.data, text.len, TL_PUT_ABSENT, NULL, NULL, err);
    again = st == TL_ECONFLICT;
    if (again) st = TL_OK;
  }
  tl_buf_deinit(&text);
  return st;
}
