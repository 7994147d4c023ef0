/* text.h - digits, prices, instants and base64 written straight into memory; query strings read.
 * The put_ functions write at `to`, which has room (at most 48 bytes unless stated), and return the end. */
#ifndef TL_SIM_TEXT_H
#define TL_SIM_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

char *sim_put_u64(char *to, uint64_t value);
char *sim_put_i64(char *to, int64_t value);
/* value / 10^scale with trailing zeros of the fraction removed, as Go prints a double: 18230 scale 2 -> 182.3 */
char *sim_put_decimal(char *to, uint64_t value, int scale);
char *sim_put_date(char *to, int64_t day); /* 2024-03-11 */
char *sim_put_time(char *to, int64_t t_ns, bool whole_fraction); /* RFC 3339 UTC; 9 digits, or trimmed */
/* The digits of nanoseconds within a second, ".5" style, trimmed; nothing for 0. */
char *sim_put_fraction(char *to, uint32_t ns);
static inline char *sim_put_text(char *to, const char *text, size_t len) {
  memcpy(to, text, len);
  return to + len;
}
#define SIM_PUT(to, literal) sim_put_text(to, literal, sizeof(literal) - 1)

size_t sim_base64_encode(char *to, const char *text, size_t len);                    /* 4/3 len + 4 bytes of room */
bool sim_base64_decode(char *to, size_t room, const char *text, size_t len, size_t *out_len); /* both alphabets */

/* Undoes percent-encoding and '+' in place; returns the new length. Bad escapes stay as they are. */
size_t sim_url_decode(char *text, size_t len, bool plus_is_space);

uint64_t sim_hash_text(const char *text, size_t len); /* FNV-1a */
bool sim_parse_u64(const char *text, size_t len, uint64_t *out);
#endif
