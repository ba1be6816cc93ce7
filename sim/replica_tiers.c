/* SPDX-License-Identifier: Apache-2.0
 *
 * replica_tiers.c: what the tiers behind its KV cache change in an engine's steps.
 *
 * The tiers are asked once for each admission, when the request is first at the head of
 * the queue, and what was found then is pinned. LMCache asks again in every step that
 * tries the request; but there, too, chunks that were found do not leave meanwhile, and
 * an answer that stays keeps decode runs exact while the head of the queue is stuck.
 */
#include "base/check.h"
#include "sim/replica_state.h"

static int64_t chunk_fx(const struct replica *replica, uint32_t from, uint32_t tokens)
{
    const struct batch_shape shape = {
        .chunks = 1,
        .chunk_tokens = tokens,
        .chunk_context = from,
        .chunk_pairs_twice = (uint64_t)tokens * (2 * (uint64_t)from + tokens),
        .chunk_squares = (uint64_t)tokens * tokens,
        .chunk_tokens_max = tokens,
    };
    return cost_step_fx(replica->setup.cost, &shape);
}

/* How long the engine would compute these tokens, in steps of their own. */
static int64_t compute_ns(const struct replica *replica, uint32_t from, uint32_t tokens)
{
    const uint32_t threshold = replica->engine.long_prefill_token_threshold;
    uint32_t most = replica->engine.max_num_batched_tokens;
    most = threshold > 0 && threshold < most ? threshold : most;
    int64_t sum_fx = 0;
    for (uint32_t done = 0; done < tokens;) {
        const uint32_t rest = tokens - done;
        const uint32_t chunk = rest < most ? rest : most;
        sum_fx += chunk_fx(replica, from + done, chunk);
        done += chunk;
    }
    return sum_fx / COST_FX_PER_NS;
}

/* Whether what was found beyond the engine's own cache is worth its way. */
static bool worth_loading(const struct replica *replica, const struct request *request,
                          uint32_t local)
{
    const struct tiers *tiers = replica->setup.tiers;
    const struct tiers_config *config = tiers_config(tiers);
    const uint32_t external = request->tier_hit - local;
    return external >= config->min_retrieve_tokens &&
           (!config->load_if_faster ||
            tiers_load_estimate(tiers, &request->tiers, local) <
                compute_ns(replica, local, external));
}

uint32_t replica_tiers_cached(struct replica *replica, struct request *request,
                              uint32_t local, int64_t now_ns)
{
    if (replica->setup.tiers == NULL || request->remote_tokens > 0) {
        return local;
    }
    if (!request->tiers.asked) {
        request->tier_hit = tiers_look_up(replica->setup.tiers, &request->tiers,
                                          replica_known_tokens(request), now_ns);
        if (request->tier_hit > local && !worth_loading(replica, request, local)) {
            tiers_decline(replica->setup.tiers, &request->tiers);
            request->tier_hit = 0;
        }
    }
    return request->tier_hit > local ? request->tier_hit : local;
}

bool replica_tiers_load_apart(const struct replica *replica)
{
    return tiers_config(replica->setup.tiers)->async_load;
}

int64_t replica_tiers_load(struct replica *replica, struct request *request,
                           uint32_t local, int64_t start_ns)
{
    if (replica->setup.tiers == NULL) {
        return start_ns;
    }
    if (request->tier_hit <= local) {
        tiers_decline(replica->setup.tiers, &request->tiers);
        return start_ns;
    }
    if (request->scheduled_ns == OUTCOME_TIME_NONE) {
        request->tier_tokens = request->tier_hit - local;
    }
    return tiers_load(replica->setup.tiers, &request->tiers, local, request->tier_hit,
                      start_ns);
}

void replica_tiers_forget(const struct replica *replica, struct request *request)
{
    if (replica->setup.tiers != NULL) {
        tiers_forget(replica->setup.tiers, &request->tiers);
        request->tier_hit = 0;
    }
}

void replica_tiers_leave(const struct replica *replica, struct request *request,
                         uint32_t tokens)
{
    struct tiers *tiers = replica->setup.tiers;
    if (tiers != NULL && tiers_config(tiers)->connector == CONNECTOR_OFFLOADING) {
        tiers_store(tiers, &request->tiers, tokens, replica->start_ns);
    }
}

void replica_tiers_check(const struct replica *replica)
{
    if (replica->setup.tiers != NULL) {
        CHECK(!replica->setup.lockstep, "engine %u is a rank and has tiers",
              replica->setup.id);
        tiers_check(replica->setup.tiers);
    }
}
