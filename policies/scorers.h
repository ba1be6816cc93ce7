/* SPDX-License-Identifier: Apache-2.0
 *
 * scorers.h: scores from 0 to 1 of a candidate, beyond those that weighted_sum always
 * has: the other scorers of llm-d (spec/policies.md P35, P48, P49).
 *
 *     running     (most - here) / (most - least) of running requests at the last
 *                 scrape; 1 for all when equal
 *     load        of requests waiting at the last scrape: 0.5 for none, falling to 0
 *                 at load_threshold
 *     token_load  1 - tokens in flight / token_load_max, at least 0: prompts without a
 *                 first token, and 1.5 output tokens for each prompt token until the
 *                 end
 *     active      1 with nothing in flight, else (most - here) / most
 *     session     1 where the session's last request went, else 0
 *     lora        adapter active 1, a slot free 0.8, waiting to be loaded 0.6, else 0
 *     no_hit_lru  of a request that nobody has a block of: 1 - rank / (n - 1), rank by
 *                 how long ago the last such one went there, 0 = longest; others 0.5
 *
 * Who did not report a metric has 0. A weight of 0 costs nothing.
 */
#ifndef STACKSIM_POLICIES_SCORERS_H
#define STACKSIM_POLICIES_SCORERS_H

#include "policies/id_table.h"
#include "policies/policy.h"

struct scorer_weights {
    double running;
    double load;
    double token_load;
    double active;
    double session;
    double lora;
    double no_hit_lru;
    double load_threshold;
    double token_load_max;
    uint32_t sessions_max;
};

struct scorer_session;

struct scorers {
    struct scorer_weights weights;
    bool any; /* some weight is not 0 */
    struct policy_memory memory;
    struct id_table output_tokens; /* estimated, in flight; uint64_t by endpoint id */
    struct scorer_session *sessions;
    uint32_t *cold_order; /* endpoint ids, the last cold request longest ago first */
    uint32_t cold_count;
    uint32_t cold_capacity;
};

void scorers_init(struct scorers *scorers, const struct policy_memory *memory,
                  const struct scorer_weights *weights);
void scorers_fini(struct scorers *scorers);
/* Bits of enum policy_need. */
unsigned scorers_needs(const struct scorer_weights *weights);

/* Adds every score times its weight to scores[], by index in the view. cold: nobody has
 * a block of the prompt. */
void scorers_add(struct scorers *scorers, const struct cluster_view *view,
                 const struct request_view *request, bool cold, double *scores);

/* To be called from the policy's callbacks of these names. */
void scorers_on_route(struct scorers *scorers, const struct cluster_view *view,
                      const struct request_view *request, uint32_t index, bool cold);
void scorers_on_end(struct scorers *scorers, const struct attempt_end *end);
void scorers_on_endpoint_change(struct scorers *scorers, enum endpoint_change change,
                                const struct endpoint_view *endpoint);
size_t scorers_bytes(const struct scorers *scorers);

#endif
