/* SPDX-License-Identifier: Apache-2.0
 *
 * catalog.h: policies of every kind, one list: what their tables say, for help and
 * reference.
 */
#ifndef STACKSIM_POLICIES_CATALOG_H
#define STACKSIM_POLICIES_CATALOG_H

#include "policies/policy_set.h"

/* Kind, its name, the key of a scenario that chooses one, and that of its parameters.
 */
#define POLICY_KINDS(X)                                                                \
    X(ROUTE, "route", "routing.policy", "routing.params",                              \
      "which endpoint gets a request")                                                 \
    X(ADMIT, "admit", "admission.policy", "admission.params",                          \
      "who may come in, who waits at the gateway, who is turned away")                 \
    X(ORDER, "order", "engine.scheduling_policy", "engine.scheduling_params",          \
      "in which order an engine admits the requests of its queue")                     \
    X(PAIR, "pair", "routing.disaggregation.policy", "routing.disaggregation.params",  \
      "whether one engine computes a prompt and another one its output")               \
    X(SCALE, "scale", "autoscale.policy", "autoscale.params",                          \
      "how many replicas a pool should have")

enum policy_kind {
#define X(id, name, key, params, help) POLICY_##id,
    POLICY_KINDS(X)
#undef X
        POLICY_KIND_COUNT
};
const char *policy_kind_name(enum policy_kind kind);       /* "admit" */
const char *policy_kind_key(enum policy_kind kind);        /* "admission.policy" */
const char *policy_kind_params_key(enum policy_kind kind); /* "admission.params" */
const char *policy_kind_help(enum policy_kind kind);

/* Borrowed from the policy's table. */
struct policy_entry {
    enum policy_kind kind;
    const char *name;
    const char *const *aliases; /* NULL-terminated, or NULL */
    const char *help;
    const char *source;
    const char *breaks;                /* NULL = its author has not said */
    unsigned needs;                    /* bits of enum policy_need */
    const struct policy_param *params; /* or NULL */
};

/* i-th, kind by kind in the registry's order, routing policies of plug-ins behind the
 * registry's; false past the end. set NULL = the registry alone. */
bool policy_catalog_at(const struct policy_set *set, size_t index,
                       struct policy_entry *entry);
/* i-th thing that a policy may read, by its one bit: "engine metrics"; NULL past the
 * end. */
const char *policy_need_name(size_t index, unsigned *bit);

/* What a parameter is when it is not given: "1.25", "true"; "tag true, else false". */
enum { POLICY_DEFAULT_BYTES = 64 };
const char *policy_default_text(const struct policy_param *param,
                                char text[POLICY_DEFAULT_BYTES]);

#endif
