/* words.h - short strings and lists of short strings as 32-bit codes (exchange letters, tapes, condition lists).
 *
 * One pool serves a whole run: equal bytes get equal codes, a code never changes, texts live as long as the pool.
 * Trades repeat a few hundred condition lists millions of times, so a row costs 4 bytes and an equality test.
 * Thread-safe: interning takes a lock, reading a code does not. At most TL_WORDS_MAX different texts (TL_ELIMIT). */
#ifndef TL_BATCH_WORDS_H
#define TL_BATCH_WORDS_H
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { TL_WORDS_MAX = 1 << 20, TL_WORD_BYTES_MAX = 255 };

typedef struct tl_words tl_words;

tl_status tl_words_open(tl_words **out, tl_error *err);
void tl_words_close(tl_words *words); /* NULL is fine */
tl_status tl_words_intern(tl_words *words, const char *data, size_t len, uint32_t *code, tl_error *err);
tl_text tl_words_text(const tl_words *words, uint32_t code); /* code must come from tl_words_intern of this pool */
uint32_t tl_words_count(const tl_words *words);

/* A list is one word: each item is a length byte and its bytes. Build it in a tl_buf, then intern that. */
tl_status tl_words_list_add(tl_buf *list, const char *item, size_t len, tl_error *err); /* TL_ELIMIT over 255 bytes */
bool tl_words_list_next(tl_text *list, tl_text *item); /* takes the first item off; false at the end */
#endif
