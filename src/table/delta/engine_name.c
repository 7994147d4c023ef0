/* engine_name.c - what we sign commits with. Apart, as the public header and table/snapshot.h both know a tl_version. */
#include "ticklake/ticklake.h"

extern const char tl_delta_engine[];
const char tl_delta_engine[] = "ticklake/" TICKLAKE_VERSION;
