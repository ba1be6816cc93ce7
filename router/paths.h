/* SPDX-License-Identifier: Apache-2.0
 *
 * paths.h: what the router answers, and how.
 */
#ifndef STACKSIM_ROUTER_PATHS_H
#define STACKSIM_ROUTER_PATHS_H

#include <stdbool.h>
#include <stddef.h>

enum path_kind {
    PATH_PROXY, /* to a backend of the model in the body */
    PATH_MODELS,
    PATH_ENGINES,
    PATH_HEALTH,
    PATH_VERSION,
    PATH_METRICS,
    PATH_SLEEP,
    PATH_WAKE,
    PATH_IS_SLEEPING,
    PATH_KV_EVENTS,
};

struct path {
    const char *path;
    const char *method;
    enum path_kind kind;
    bool since_head; /* release 0.1.3 does not have it */
};

enum path_answer { PATH_FOUND, PATH_UNKNOWN, PATH_WRONG_METHOD };

/* The target may have a query, which does not count. */
enum path_answer path_find(const char *target, const char *method, bool at_head,
                           const struct path **path);
/* The value of a query parameter, percent-decoded into out (NUL-terminated, cut at
 * out_bytes); false when absent. */
bool path_query(const char *target, const char *name, char *out, size_t out_bytes);

#endif
