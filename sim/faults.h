/* faults.h - the fault script: which requests are answered badly, and how. The grammar is in docs/simulator.md.
 * A script is read once; matching changes its counters under a lock, so a rule with times=1 strikes once. */
#ifndef TL_SIM_FAULTS_H
#define TL_SIM_FAULTS_H
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

#define SIM_ACTIONS(X)                                                                                              \
  X(STATUS, "status") X(REDIRECT, "redirect") X(SLOW, "slow-first-byte") X(STALL, "stall-after") X(DRIP, "drip")    \
  X(RESET, "reset") X(CLOSE, "close") X(BAD_CHUNKS, "bad-chunks") X(ENDLESS_HEADERS, "endless-headers")             \
  X(GZIP_TRUNCATE, "gzip-truncate") X(GZIP_FLIP, "gzip-flip") X(GZIP_TRAILING, "gzip-trailing")                     \
  X(GZIP_MEMBERS, "gzip-members") X(GZIP_CRC, "gzip-crc") X(GZIP_SIZE, "gzip-size") X(GZIP_BOMB, "gzip-bomb")       \
  X(JSON_TRUNCATE, "json-truncate") X(JSON_GARBLE, "json-garble") X(WRONG_TYPE, "wrong-type") X(HTML, "html-200")   \
  X(ERROR, "error-200") X(NULL_PAGE, "null-page") X(EMPTY_OBJECT, "empty-object") X(NO_DATA, "no-data")             \
  X(EMPTY_WITH_TOKEN, "empty-with-token") X(SAME_TOKEN, "same-token") X(REPEAT_ROWS, "repeat-rows")                 \
  X(REORDER, "reorder") X(ROW_SET, "set") X(ROW_ADD, "add") X(ROW_DROP, "drop") X(EXPONENT, "exponent")             \
  X(FRACTION, "fraction") X(DEEP, "deep") X(HUGE_STRING, "huge-string") X(MANY_KEYS, "many-keys")                   \
  X(DUPLICATE_KEYS, "duplicate-keys") X(INVALID_SYMBOL, "invalid-symbol") X(BODY, "body")

typedef enum sim_action {
  SIM_NO_ACTION,
#define X(name, word) SIM_DO_##name,
  SIM_ACTIONS(X)
#undef X
} sim_action;

typedef struct sim_fault { /* what to do to one answer */
  sim_action action;
  int status;        /* of status, redirect */
  int64_t number[2]; /* arguments that are numbers; -1 where not given */
  char word[64];     /* first argument that is none */
  char name[32];     /* set, add, drop, exponent, fraction: the member */
  char text[1024];   /* message, body, URL, the member's new text */
  char retry_after[128];
  int64_t row; /* -1: the middle one, -2: all */
} sim_fault;

typedef struct sim_occasion { /* a request, as rules see it */
  uint64_t number;
  uint32_t page;
  tl_text path;
  const char *symbols; /* ",AAPL,MSFT," */
} sim_occasion;

typedef struct sim_script sim_script;
tl_status sim_script_open(const char *text, uint64_t seed, sim_script **out, tl_error *err); /* TL_EUSAGE names the line */
void sim_script_close(sim_script *script);                                                   /* NULL is fine */
/* The first rule that fits strikes: true and *out filled. */
bool sim_script_match(sim_script *script, const sim_occasion *occasion, sim_fault *out);
const char *sim_action_word(sim_action action);
#endif
