/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_counters.c: names of counters.
 */
#include "reports/engine_counters.h"

#include <string.h>

static const char *const names[] = {
#define X(id, name, help) name,
    ENGINE_COUNTERS(X)
#undef X
};

const char *engine_counter_name(enum engine_counter counter)
{
    return names[counter];
}

enum engine_counter engine_counter_find(const char *name)
{
    unsigned at = 0;
    while (at < ENGINE_COUNTER_COUNT && strcmp(names[at], name) != 0) {
        at++;
    }
    return (enum engine_counter)at;
}
