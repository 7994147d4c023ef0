/* machine.h - what of the machine a process may use. Costs a few system calls; nothing is kept. Thread-safe. */
#ifndef TL_BASE_MACHINE_H
#define TL_BASE_MACHINE_H
#include <stdint.h>

/* Memory, in bytes: what is built in, or less where a control group (a container) allows less. At least 1. */
int64_t tl_machine_memory_bytes(void);

/* A limit as control groups write it: "max" or digits, and the end of the line. INT64_MAX: none, or no number. */
int64_t tl_machine_limit(const char *text);
#endif
