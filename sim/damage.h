/* damage.h - spoils the JSON text of a page the simulator wrote itself (so its shape is known), and gzip streams. */
#ifndef TL_SIM_DAMAGE_H
#define TL_SIM_DAMAGE_H
#include "base/buf.h"
#include "sim/faults.h"

/* Rewrites *page as the fault says; actions that do not concern text leave it alone. */
tl_status sim_damage_json(const sim_fault *fault, tl_buf *page, tl_error *err);

/* Puts the rows of `donor` before the first row of *page, in the opposite order. At most SIM_REPEAT_MAX. */
enum { SIM_REPEAT_MAX = 1000 };
tl_status sim_damage_prepend(tl_buf *page, const tl_buf *donor, tl_error *err);

/* Spoils a gzip stream. gzip-members is made by whoever compresses. */
tl_status sim_damage_gzip(const sim_fault *fault, tl_buf *stream, tl_error *err);
/* A gzip stream of about `mib` MiB of zeros, a thousandth as long. */
tl_status sim_gzip_bomb(int64_t mib, tl_buf *out, tl_error *err);
#endif
