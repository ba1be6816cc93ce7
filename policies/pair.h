/* SPDX-License-Identifier: Apache-2.0
 *
 * pair.h: what a pair policy is: whether a request's prompt is computed by one engine
 * and its output by another, and in which order the two are chosen.
 *
 * The engines themselves are chosen by routing policies, one for each leg, over the
 * endpoints of that role. A pair policy holds no state: a const struct with a function
 * of what is known of one request. One file policies/pair_<name>.c and one line
 * PAIR(<name>) in policies/registry.def make one.
 */
#ifndef STACKSIM_POLICIES_PAIR_H
#define STACKSIM_POLICIES_PAIR_H

#include "policies/policy.h"

/* What is known when the endpoint that decodes has been chosen. */
struct pair_view {
    uint32_t prompt_tokens;
    uint32_t cached_tokens; /* that the decode leg's policy expects to find there */
    /* Fewest requests without a first token on an endpoint that prefills, as this
     * gateway counts them. */
    uint32_t prefill_queue;
};

struct pair_policy {
    const char *name;
    const char *const *aliases; /* NULL-terminated, or NULL */
    const char *help;
    const char *source;
    const char *breaks;                /* under which load it fails, and how */
    const struct policy_param *params; /* or NULL */
    /* The decode leg's endpoint is chosen at arrival, before the other one; else when
     * the prompt has been computed, as a router does that carries the first answer
     * into the second request. Needed by `split`. */
    bool decode_first;
    /* Routing policy of both legs where the pair policy is one with it, with its
     * defaults; NULL = the scenario's choice. */
    const char *route;
    /* Whether the legs go apart; false: the decode leg's endpoint does it all. NULL =
     * always. */
    bool (*split)(const double *values, const struct pair_view *view);
    /* The prefill leg produces the whole output, which is thrown away. NULL = one
     * token. */
    bool (*in_full)(const double *values);
    /* A client that asks for one token at most has its decode leg routed as another
     * prefill leg. Only with the decode leg chosen later; NULL = no. */
    bool (*one_token_stays)(const double *values);
};

/* By name or alias; NULL when unknown. */
const struct pair_policy *pair_policy_find(const char *name);
/* i-th of the registry in its order, NULL past the end. */
const struct pair_policy *pair_policy_at(size_t index);

#endif
