/* options.h - structs across library versions: every option and result struct begins with its size. */
#ifndef TL_API_OPTIONS_H
#define TL_API_OPTIONS_H
#include <stddef.h>
#include <string.h>

/* A caller built against an older header gives fewer members: the others are zero, which means the default; so does NULL. */
static inline void tl_take_options(void *into, size_t size, const void *given) {
  memset(into, 0, size);
  if (!given) return;
  size_t given_size = *(const size_t *)given;
  memcpy(into, given, given_size < size ? given_size : size);
}

/* Fills as many members of a caller's struct as it says it has; out may be NULL. */
static inline void tl_give_result(void *out, const void *result, size_t size) {
  if (!out) return;
  size_t room = *(size_t *)out;
  if (room > size) room = size;
  if (room > sizeof room) memcpy((char *)out + sizeof room, (const char *)result + sizeof room, room - sizeof room);
}
#endif
