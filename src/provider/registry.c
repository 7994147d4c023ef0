/* registry.c - the list of providers. */
#include <strings.h>

#include "provider/alpaca/alpaca.h"
#include "provider/provider.h"

static const tl_provider *const providers[] = {&tl_alpaca};

const tl_provider *tl_provider_at(size_t index) {
  return index < sizeof providers / sizeof providers[0] ? providers[index] : NULL;
}

const tl_provider *tl_provider_find(const char *name) {
  for (size_t i = 0; i < sizeof providers / sizeof providers[0]; i++) {
    if (strcasecmp(providers[i]->name, name) == 0) return providers[i];
    for (const char *const *alias = providers[i]->aliases; *alias; alias++)
      if (strcasecmp(*alias, name) == 0) return providers[i];
  }
  return NULL;
}
