/* SPDX-License-Identifier: Apache-2.0
 *
 * aliases.h: names that stand for a model at the router (#397 of the stack). A request
 * for an alias is one for its model from there on: counted, admitted, routed and
 * computed as such. One level: what an alias names is never looked up again.
 */
#ifndef STACKSIM_SIM_ALIASES_H
#define STACKSIM_SIM_ALIASES_H

#include "base/conf.h"

#include <stdint.h>

enum { ALIASES_MAX = 64 };

/* Names are borrowed from the configuration. */
struct aliases {
    uint32_t count;
    const char *names[ALIASES_MAX];
    const char *models[ALIASES_MAX];
};

/* `aliases: {gpt-4: Llama-3.1-8B}` of this map; it may be missing. */
NODISCARD bool aliases_read(struct aliases *aliases, const struct conf_node *map,
                            struct err *err);
/* The model that the name stands for, or the name itself; NULL for NULL. */
const char *aliases_find(const struct aliases *aliases, const char *name);

#endif
