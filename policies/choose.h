/* SPDX-License-Identifier: Apache-2.0
 *
 * choose.h: the candidate of least cost, and what tells equals apart.
 *
 * Candidates are offered one by one in discovery order:
 *
 *     struct choice choice = choice_begin(&breaker, view);
 *     for (...) choice_offer(&choice, cost_of(i), i);
 *     choice.index, choice.cost
 *
 * The rules are those of spec/policies.md 1.2. Costs are compared exactly. A cost that
 * is not a number is never chosen, unless nothing else is offered.
 */
#ifndef STACKSIM_POLICIES_CHOOSE_H
#define STACKSIM_POLICIES_CHOOSE_H

#include "policies/policy.h"

enum tie_rule {
    TIE_FIRST,      /* in discovery order */
    TIE_LAST,       /* in discovery order */
    TIE_RANDOM,     /* each equally likely */
    TIE_LEAST_LOAD, /* fewest requests in flight, then at random */
    TIE_URL_HASH,   /* smallest hash of the url */
};

/* An entry of a parameter table. */
#define TIE_PARAM(rule)                                                                \
    {                                                                                  \
        .name = "tie", .kind = PARAM_U64, .default_value = (rule),                     \
        .max = TIE_URL_HASH,                                                           \
        .help = "among equals: 0 the first in discovery order, 1 the last, 2 one at "  \
                "random, 3 the one with the fewest requests in flight, then at "       \
                "random, 4 the smallest hash of the url",                              \
    }

struct tie_breaker {
    enum tie_rule rule;
    struct rng *rng; /* borrowed */
};

struct choice {
    const struct tie_breaker *breaker;
    const struct cluster_view *view;
    double cost;
    uint32_t index;
    uint32_t offered;
    uint32_t equal; /* the random rules: equals so far */
};

static inline struct choice choice_begin(const struct tie_breaker *breaker,
                                         const struct cluster_view *view)
{
    return (struct choice){.breaker = breaker, .view = view};
}

/* Whether the newcomer, of equal cost, wins. */
bool choice_tie(struct choice *choice, uint32_t index);

static inline void choice_offer(struct choice *choice, double cost, uint32_t index)
{
    const bool first = choice->offered++ == 0;
    if (choice->view->scores != NULL) {
        choice->view->scores[index] = cost;
    }
    if (!first && cost == choice->cost) {
        choice->index = choice_tie(choice, index) ? index : choice->index;
    } else if (first || cost < choice->cost || choice->cost != choice->cost) {
        choice->cost = cost;
        choice->index = index;
        choice->equal = 1;
    }
}

/* One of all candidates, each equally likely; one draw. */
struct route_decision choose_random(const struct cluster_view *view, struct rng *rng,
                                    enum route_reason reason);
/* One of those with the fewest requests in flight. */
struct route_decision choose_least_loaded(const struct cluster_view *view,
                                          const struct tie_breaker *breaker,
                                          enum route_reason reason);

#endif
