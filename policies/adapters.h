/* SPDX-License-Identifier: Apache-2.0
 *
 * adapters.h: what the last scrape said about an adapter on an endpoint.
 */
#ifndef STACKSIM_POLICIES_ADAPTERS_H
#define STACKSIM_POLICIES_ADAPTERS_H

#include "policies/view.h"

#include <stddef.h>

static inline bool adapters_hold(const uint64_t *adapters, uint32_t count,
                                 uint64_t adapter)
{
    for (uint32_t i = 0; i < count; i++) {
        if (adapters[i] >= adapter) {
            return adapters[i] == adapter;
        }
    }
    return false;
}

/* NULL when the endpoint did not say. */
static inline const struct endpoint_adapters *
adapters_of(const struct endpoint_view *endpoint)
{
    const bool known = (endpoint->metrics.valid & METRIC_ADAPTERS) != 0;
    return known ? endpoint->metrics.adapters : NULL;
}

#endif
