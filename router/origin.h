/* SPDX-License-Identifier: Apache-2.0
 *
 * origin.h: where a connection goes: scheme, host, port, and the path in front of all
 * paths. Counted, because connections outlive the configuration that named them.
 */
#ifndef STACKSIM_ROUTER_ORIGIN_H
#define STACKSIM_ROUTER_ORIGIN_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct origin {
    char *url;          /* as configured */
    char *host;         /* without brackets */
    char *host_field;   /* value of the Host field: "[::1]:8000", "engine" */
    char *base;         /* path prefix without a slash at its end, often "" */
    uint32_t conn_list; /* of the core: first idle connection, UINT32_MAX = none */
    uint32_t idle_count;
    uint32_t holders;
    uint16_t port;
    bool tls;
    bool of_cluster; /* the Kubernetes API: it has roots of its own */
};

/* Only http and https; a user part, a query and a fragment are refused. One holder. */
NODISCARD bool origin_new(struct origin **out, const char *url, struct err *err);
struct origin *origin_take(struct origin *origin);
void origin_give(struct origin *origin);

/* Release 0.1.3 takes only dotted domains, localhost and IPv4 addresses as hosts. */
bool origin_fits_tag(const char *url);

#endif
