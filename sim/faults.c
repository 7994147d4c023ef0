/* faults.c - reads rules and finds the one that strikes. */
#include "sim/faults.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/prng.h"
#include "sim/text.h"

enum { RULES_MAX = 256, WORDS_MAX = 24 };

typedef struct range {
  uint64_t first, last; /* both included */
} range;

typedef struct rule {
  bool has_n, has_nth, has_page, has_token, token, has_p;
  range n, nth, page;
  uint64_t every, p_e9, times, matched, struck;
  char symbol[24], path[96], kind[16];
  sim_fault fault;
} rule;

struct sim_script {
  pthread_mutex_t lock;
  uint64_t seed;
  size_t count;
  rule rules[RULES_MAX];
};

static const char *const words[] = {"none",
#define X(name, word) word,
                                    SIM_ACTIONS(X)
#undef X
};
const char *sim_action_word(sim_action action) { return words[action]; }

typedef struct line { /* one line cut into words */
  unsigned number;
  tl_text words[WORDS_MAX], rest[WORDS_MAX]; /* rest: from that word to the end of the line */
  size_t count, at;
  tl_error *err;
} line;

static tl_status wrong(const line *l, const char *what, tl_text word) {
  return tl_fail(l->err, TL_EUSAGE, "fault script line %u: %s '%.*s'", l->number, what, (int)(word.len > 60 ? 60 : word.len), word.data ? word.data : "");
}

static bool cut(tl_text word, const char *name, tl_text *value) {
  size_t n = strlen(name);
  if (word.len <= n || memcmp(word.data, name, n) || word.data[n] != '=') return false;
  *value = tl_text_of(word.data + n + 1, word.len - n - 1);
  return true;
}

static bool read_number(tl_text t, uint64_t *out) { return sim_parse_u64(t.data, t.len, out); }

static bool read_range(tl_text t, range *out) {
  const char *dash = memchr(t.data, '-', t.len);
  size_t n = dash ? (size_t)(dash - t.data) : t.len;
  if (!sim_parse_u64(t.data, n, &out->first)) return false;
  out->last = dash ? UINT64_MAX : out->first;
  return !dash || n + 1 == t.len || sim_parse_u64(dash + 1, t.len - n - 1, &out->last);
}

/* "0.015" as 15000000 */
static bool read_probability(tl_text t, uint64_t *e9) {
  const char *dot = memchr(t.data, '.', t.len);
  size_t whole = dot ? (size_t)(dot - t.data) : t.len, decimals = dot ? t.len - whole - 1 : 0;
  uint64_t units, fraction = 0;
  if (!sim_parse_u64(t.data, whole, &units) || units > 1 || decimals > 9) return false;
  if (decimals && !sim_parse_u64(dot + 1, decimals, &fraction)) return false;
  for (size_t i = decimals; i < 9; i++) fraction *= 10;
  *e9 = units * 1000000000 + fraction;
  return *e9 <= 1000000000;
}

static bool read_text(tl_text t, char *to, size_t room) {
  if (t.len >= room) return false;
  memcpy(to, t.data, t.len);
  to[t.len] = 0;
  return true;
}

static tl_status read_condition(const line *l, tl_text word, rule *r) {
  tl_text v = {NULL, 0};
  bool good = true;
  if (tl_text_is(word, "always")) return TL_OK;
  if (cut(word, "n", &v)) {
    good = r->has_n = read_range(v, &r->n);
  } else if (cut(word, "nth", &v)) {
    good = r->has_nth = read_range(v, &r->nth);
  } else if (cut(word, "page", &v)) {
    good = r->has_page = read_range(v, &r->page);
  } else if (cut(word, "every", &v)) {
    good = read_number(v, &r->every) && r->every;
  } else if (cut(word, "p", &v)) {
    good = r->has_p = read_probability(v, &r->p_e9);
  } else if (cut(word, "times", &v)) {
    good = read_number(v, &r->times) && r->times;
  } else if (cut(word, "symbol", &v)) {
    good = read_text(v, r->symbol + 1, sizeof r->symbol - 2);
    r->symbol[0] = ','; /* as it stands in a list with commas all around */
    memcpy(r->symbol + strlen(r->symbol), ",", 2);
  } else if (cut(word, "path", &v)) {
    good = read_text(v, r->path, sizeof r->path);
  } else if (cut(word, "kind", &v)) {
    good = read_text(v, r->kind, sizeof r->kind);
  } else if (cut(word, "token", &v)) {
    r->has_token = true;
    r->token = tl_text_is(v, "yes");
    good = r->token || tl_text_is(v, "no");
  } else {
    good = false;
  }
  return good ? TL_OK : wrong(l, "cannot read the condition", word);
}

static bool is_member_action(sim_action a) {
  return a == SIM_DO_ROW_SET || a == SIM_DO_ROW_ADD || a == SIM_DO_ROW_DROP || a == SIM_DO_EXPONENT || a == SIM_DO_FRACTION;
}

/* "NAME" or "NAME=TEXT"; TEXT may hold percent escapes. */
static tl_status read_member(const line *l, tl_text word, sim_fault *f) {
  const char *equals = memchr(word.data, '=', word.len);
  size_t n = equals ? (size_t)(equals - word.data) : word.len;
  bool with_text = f->action == SIM_DO_ROW_SET || f->action == SIM_DO_ROW_ADD;
  if (with_text != (equals != NULL) || !read_text(tl_text_of(word.data, n), f->name, sizeof f->name)) return wrong(l, "cannot read the member", word);
  if (!equals) return TL_OK;
  if (!read_text(tl_text_of(equals + 1, word.len - n - 1), f->text, sizeof f->text)) return wrong(l, "too long a text", word);
  f->text[sim_url_decode(f->text, strlen(f->text), false)] = 0;
  return TL_OK;
}

static tl_status read_argument(line *l, tl_text word, sim_fault *f, size_t *numbers) {
  tl_text v;
  uint64_t n;
  if (cut(word, "retry-after", &v)) {
    if (!read_text(v, f->retry_after, sizeof f->retry_after)) return wrong(l, "too long a text", word);
    f->retry_after[sim_url_decode(f->retry_after, strlen(f->retry_after), false)] = 0;
    return TL_OK;
  }
  if (cut(word, "message", &v)) { /* takes the rest of the line */
    tl_text rest = l->rest[l->at];
    l->at = l->count;
    return read_text(tl_text_of(v.data, rest.len - 8), f->text, sizeof f->text) ? TL_OK : wrong(l, "too long a text", word);
  }
  if (cut(word, "status", &v)) {
    if (!read_number(v, &n) || n < 100 || n > 599) return wrong(l, "cannot read the status", word);
    f->status = (int)n;
    return TL_OK;
  }
  if (cut(word, "row", &v)) {
    if (!tl_text_is(v, "all") && (!read_number(v, &n) || n > 100000)) return wrong(l, "cannot read the row", word);
    f->row = tl_text_is(v, "all") ? -2 : (int64_t)n;
    return TL_OK;
  }
  if (is_member_action(f->action) && !f->name[0]) return read_member(l, word, f);
  if (f->action == SIM_DO_REDIRECT || f->action == SIM_DO_BODY || f->action == SIM_DO_ERROR) {
    if (!read_text(word, f->text, sizeof f->text)) return wrong(l, "too long a text", word);
    f->text[sim_url_decode(f->text, strlen(f->text), false)] = 0;
    return TL_OK;
  }
  if (*numbers < 2 && read_number(word, &n) && n <= INT64_MAX) {
    f->number[(*numbers)++] = (int64_t)n;
    return TL_OK;
  }
  return read_text(word, f->word, sizeof f->word) ? TL_OK : wrong(l, "cannot read the argument", word);
}

/* Arguments that come with the action: "stall-after=1000,500". */
static tl_status read_attached(line *l, tl_text list, sim_fault *f, size_t *numbers) {
  for (size_t at = 0, i = 0; i <= list.len; i++) {
    if (i < list.len && (list.data[i] != ',' || f->action == SIM_DO_REDIRECT || f->action == SIM_DO_BODY)) continue;
    tl_status st = read_argument(l, tl_text_of(list.data + at, i - at), f, numbers);
    if (st) return st;
    at = i + 1;
  }
  return TL_OK;
}

static tl_status read_action(line *l, sim_fault *f) {
  if (l->at >= l->count) return wrong(l, "no action after", tl_text_from("do"));
  tl_text word = l->words[l->at], name = word, attached = {NULL, 0};
  const char *equals = memchr(word.data, '=', word.len);
  size_t numbers = 0;
  uint64_t status;
  if (equals) {
    name.len = (size_t)(equals - word.data);
    attached = tl_text_of(equals + 1, word.len - name.len - 1);
  }
  *f = (sim_fault){.number = {-1, -1}, .row = -1};
  for (size_t i = 1; i < sizeof words / sizeof *words; i++)
    if (tl_text_is(name, words[i])) f->action = (sim_action)i;
  if (read_number(name, &status) && status >= 200 && status <= 599) {
    f->action = SIM_DO_STATUS;
    f->status = (int)status;
  }
  if (f->action == SIM_NO_ACTION) return wrong(l, "unknown action", name);
  tl_status st = attached.len ? read_attached(l, attached, f, &numbers) : TL_OK;
  for (l->at++; !st && l->at < l->count; l->at++) st = read_argument(l, l->words[l->at], f, &numbers);
  if (!st && is_member_action(f->action) && !f->name[0]) return wrong(l, "no member after", name);
  if (!st && f->action == SIM_DO_STATUS && !f->status) return wrong(l, "no status after", name);
  return st;
}

static tl_status read_rule(line *l, rule *r) {
  *r = (rule){0};
  if (!tl_text_is(l->words[0], "when")) return wrong(l, "a rule begins with 'when', not", l->words[0]);
  for (l->at = 1; l->at < l->count && !tl_text_is(l->words[l->at], "do"); l->at++) {
    tl_status st = read_condition(l, l->words[l->at], r);
    if (st) return st;
  }
  if (l->at == 1 || l->at == l->count) return wrong(l, "write 'when CONDITION ... do ACTION', not", l->rest[0]);
  l->at++;
  bool counted = r->has_n || r->has_page || r->has_nth, spans = r->n.last > r->n.first || r->nth.last > r->nth.first || r->page.last > r->page.first;
  if (!r->times) r->times = counted && !spans ? 1 : UINT64_MAX;
  return read_action(l, &r->fault);
}

static void cut_words(line *l, const char *text, size_t len) {
  l->count = 0;
  for (size_t at = 0; at < len && l->count < WORDS_MAX;) {
    while (at < len && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r')) at++;
    if (at == len || text[at] == '#') break;
    size_t start = at;
    while (at < len && text[at] != ' ' && text[at] != '\t' && text[at] != '\r') at++;
    l->rest[l->count] = tl_text_of(text + start, len - start);
    l->words[l->count++] = tl_text_of(text + start, at - start);
  }
}

tl_status sim_script_open(const char *text, uint64_t seed, sim_script **out, tl_error *err) {
  sim_script *s = tl_calloc(1, sizeof *s);
  if (!s) return tl_fail(err, TL_ENOMEM, "out of memory for the fault script");
  pthread_mutex_init(&s->lock, NULL);
  s->seed = seed;
  tl_status st = TL_OK;
  line l = {.err = err};
  for (const char *at = text; *at && !st;) {
    const char *end = strchr(at, '\n');
    size_t len = end ? (size_t)(end - at) : strlen(at);
    l.number++;
    cut_words(&l, at, len);
    if (l.count && s->count == RULES_MAX) st = tl_fail(err, TL_EUSAGE, "fault script line %u: more than %d rules", l.number, RULES_MAX);
    if (l.count && !st) st = read_rule(&l, &s->rules[s->count++]);
    at += len + (end ? 1 : 0);
  }
  if (st) {
    sim_script_close(s);
    return st;
  }
  *out = s;
  return TL_OK;
}

void sim_script_close(sim_script *s) {
  if (!s) return;
  pthread_mutex_destroy(&s->lock);
  tl_free(s);
}

static bool within(uint64_t n, range r) { return n >= r.first && n <= r.last; }

static bool path_fits(const rule *r, tl_text path) {
  size_t n = strlen(r->path);
  if (!n) return true;
  if (r->path[n - 1] == '*') return path.len >= n - 1 && memcmp(path.data, r->path, n - 1) == 0;
  return tl_text_is(path, r->path);
}

static bool kind_fits(const rule *r, tl_text path) {
  size_t n = strlen(r->kind);
  if (!n) return true;
  return path.len > n && path.data[path.len - n - 1] == '/' && memcmp(path.data + path.len - n, r->kind, n) == 0;
}

/* Conditions on the request itself; nth, every and p choose among those it fits. */
static bool fits(const rule *r, const sim_occasion *o) {
  if (r->has_n && !within(o->number, r->n)) return false;
  if (r->has_page && !within(o->page, r->page)) return false;
  if (r->has_token && r->token != (o->page != 1)) return false;
  if (r->symbol[0] && !strstr(o->symbols, r->symbol)) return false;
  return path_fits(r, o->path) && kind_fits(r, o->path);
}

bool sim_script_match(sim_script *s, const sim_occasion *o, sim_fault *out) {
  bool struck = false;
  pthread_mutex_lock(&s->lock);
  for (size_t i = 0; i < s->count && !struck; i++) {
    rule *r = &s->rules[i];
    if (!fits(r, o)) continue;
    r->matched++;
    if (r->has_nth && !within(r->matched, r->nth)) continue;
    if (r->every && r->matched % r->every) continue;
    if (r->has_p && tl_prng_mix(s->seed ^ tl_prng_mix(o->number * 131 + i)) % 1000000000 >= r->p_e9) continue;
    if (r->struck >= r->times) continue;
    r->struck++;
    *out = r->fault;
    struck = true;
  }
  pthread_mutex_unlock(&s->lock);
  return struck;
}
