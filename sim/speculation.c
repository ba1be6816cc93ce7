/* SPDX-License-Identifier: Apache-2.0
 *
 * speculation.c: drafts in the scheduler.
 *
 * `computed` of a request counts what will turn out to be right. `wasted` of its last
 * step tells by how much vLLM's count is above that until the step has ended.
 */
#include "sim/speculation.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/rng.h"

uint64_t speculation_key(uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed, "engine.acceptance", 0);
    return rng_next(&rng);
}

uint32_t speculation_draw(const struct speculation_config *config, uint64_t key,
                          uint64_t record_id, uint32_t produced, uint32_t drafts)
{
    const uint64_t own = hash_pair(key, record_id);
    uint32_t right = 0;
    while (right < drafts) {
        const uint64_t bits = hash_pair(own, (uint64_t)produced + right);
        if ((double)(bits >> 11) * 0x1p-53 >= config->acceptance[right]) {
            break;
        }
        right++;
    }
    return right;
}

static const struct flight *last_flight(const struct request *request)
{
    const struct flight *flights = request->flights;
    return flights[0].step > flights[1].step ? &flights[0] : &flights[1];
}

/* Tokens by which the scheduler's count of computed ones is too high. */
static uint32_t overcount(const struct replica *replica, const struct request *request)
{
    uint32_t wasted = 0;
    for (size_t i = 0; request->state != REQUEST_PREFILLING && i < 2; i++) {
        const struct flight *flight = &request->flights[i];
        wasted += flight->step > replica->returned ? flight->wasted : 0;
    }
    return wasted;
}

static uint32_t computed_of(const struct replica *replica,
                            const struct request *request)
{
    return request->state == REQUEST_DECODING
               ? decode_set_computed(&replica->decodes, request)
               : request->computed;
}

/* A request whose last token is in the step under way is scheduled once more, unless
 * the scheduler can tell: one token was all that it lacked. */
static bool seems_to_go_on(const struct replica *replica, const struct request *request)
{
    const struct flight *flight = last_flight(request);
    return request->state == REQUEST_DRAINING && flight->step > replica->returned &&
           flight->tokens + flight->left > 1;
}

uint32_t speculation_wanted(const struct replica *replica,
                            const struct request *request, uint32_t budget)
{
    if (request->state == REQUEST_PREFILLING) {
        return chunk_wanted(replica, replica_known_tokens(request) - request->computed,
                            budget);
    }
    if (request->state != REQUEST_DECODING && !seems_to_go_on(replica, request)) {
        return 0;
    }
    const struct engine_config *engine = &replica->engine;
    const bool late = engine->compat == ENGINE_V019 || engine->compat == ENGINE_HEAD;
    const uint64_t end = engine->max_model_len - (late ? 1U : 0U);
    const uint64_t from =
        (uint64_t)computed_of(replica, request) + overcount(replica, request);
    const uint64_t room = from < end ? end - from : 0;
    const uint32_t tokens =
        chunk_wanted(replica, 1 + engine->speculation.tokens, budget);
    return tokens < room ? tokens : (uint32_t)room;
}

/* Up to which token it needs blocks. */
static uint32_t reach_of(const struct replica *replica, const struct request *request,
                         uint32_t tokens)
{
    const uint64_t reach = (uint64_t)computed_of(replica, request) +
                           overcount(replica, request) + tokens +
                           replica->engine.speculation.lookahead;
    return reach < replica->engine.max_model_len ? (uint32_t)reach
                                                 : replica->engine.max_model_len;
}

uint32_t speculation_need(const struct replica *replica, const struct request *request,
                          uint32_t tokens)
{
    const uint32_t wanted =
        replica_blocks_of(replica, reach_of(replica, request, tokens));
    const uint32_t owned = replica_blocks_of(replica, request->reach);
    return tokens > 0 && wanted > owned ? wanted - owned : 0;
}

void speculation_take(struct replica *replica, struct request *request, uint32_t tokens)
{
    const uint32_t reach = reach_of(replica, request, tokens);
    if (tokens > 0 && reach > request->reach) {
        request->reach = reach;
    }
}

/* ---- booking --------------------------------------------------------------------- */

/* A model that does not know drafts is shown a chunk. */
static void shape_add(const struct replica *replica, struct batch_shape *shape,
                      uint32_t computed, uint32_t tokens)
{
    if (tokens > 1 && !replica->shows_drafts) {
        shape_add_chunk(shape, tokens, computed);
        return;
    }
    shape_add_decode(shape, computed);
    shape->drafts += tokens - 1;
}

static void flight_add(struct replica *replica, struct request *request,
                       const struct flight *flight)
{
    CHECK(request->flights[flight->step & 1].step <= replica->returned,
          "request %llu is in three steps", (unsigned long long)request->record_id);
    request->flights[flight->step & 1] = *flight;
}

/* Tokens that the step gives the request. */
static void decode_commit(struct replica *replica, struct forming *forming,
                          struct request *request)
{
    struct decode_set *set = &replica->decodes;
    const struct speculation_config *config = &replica->engine.speculation;
    const uint32_t tokens = request->step_tokens;
    const uint32_t produced = decode_set_produced(set, request);
    const uint32_t lacks = request->output_tokens - produced;
    const uint32_t right = speculation_draw(config, replica->speculation_key,
                                            request->record_id, produced, tokens - 1);
    const uint32_t got = right + 1 < lacks ? right + 1 : lacks;
    shape_add(replica, &forming->shape, decode_set_computed(set, request), tokens);
    flight_add(replica, request,
               &(struct flight){.step = set->formed + 1,
                                .tokens = got,
                                .wasted = tokens - got,
                                .left = lacks - got,
                                .cut = right + 1 > got});
    replica->stats.speculation.drafts += tokens > 1 ? 1 : 0;
    replica->stats.speculation.draft_tokens += tokens - 1;
    replica->stats.speculation.accepted_tokens += right;
    decode_set_jump(set, request, got - 1);
    forming->samplers++;
}

void speculation_keep_slots(struct replica *replica)
{
    for (struct request *at = replica->running.first; at != NULL; at = at->next) {
        if (at->state == REQUEST_DECODING && at->step_tokens == 0) {
            step_note_adapter(replica, at, 0);
        }
    }
}

void speculation_commit(struct replica *replica, struct forming *forming)
{
    struct decode_set *set = &replica->decodes;
    forming->shape = (struct batch_shape){0};
    for (struct request *at = replica->running.first; at != NULL; at = at->next) {
        if (at->state == REQUEST_PREFILLING) {
            continue;
        }
        if (at->step_tokens > 0) {
            step_note_adapter(replica, at, at->step_tokens);
        }
        if (at->state == REQUEST_DECODING && at->step_tokens > 0) {
            decode_commit(replica, forming, at);
        } else if (at->state == REQUEST_DECODING) {
            decode_set_skip_unsorted(set, at);
        } else if (at->step_tokens > 0) {
            shape_add(replica, &forming->shape, at->computed, at->step_tokens);
            forming->samplers++; /* for nothing: it will have ended */
        }
        at->step_tokens = 0;
    }
    decode_set_sort(set);
}

void speculation_skip(struct replica *replica)
{
    for (struct request *at = replica->running.first; at != NULL; at = at->next) {
        if (at->state == REQUEST_DECODING) {
            decode_set_skip_unsorted(&replica->decodes, at);
        }
    }
    decode_set_sort(&replica->decodes);
}

void speculation_first_token(struct replica *replica, struct request *request)
{
    flight_add(replica, request,
               &(struct flight){.step = replica->decodes.formed,
                                .tokens = 1,
                                .left = request->output_tokens - request->produced});
}

/* ---- what is known ----------------------------------------------------------------
 */

uint32_t speculation_flying(const struct request *request, uint64_t ended)
{
    uint32_t tokens = 0;
    for (size_t i = 0; i < 2; i++) {
        tokens += request->flights[i].step > ended ? request->flights[i].tokens : 0;
    }
    return tokens;
}

/* vLLM registers blocks when it schedules; under asynchronous scheduling also when a
 * step's tokens come. When tokens behind the last one were right, that one's KV has
 * been computed with them. */
uint32_t speculation_registrable(const struct replica *replica,
                                 const struct request *request)
{
    const struct flight *flight = last_flight(request);
    uint32_t computed = computed_of(replica, request);
    uint32_t known = request->prompt_tokens + request->produced;
    if (request->state == REQUEST_PREFILLING) {
        return computed;
    }
    if (request->state == REQUEST_DECODING) {
        known =
            request->prompt_tokens + decode_set_produced(&replica->decodes, request);
    } else {
        computed += flight->cut ? 1 : 0;
    }
    known -= replica->depth > 1 ? speculation_flying(request, replica->returned)
                                : flight->tokens;
    return computed < known ? computed : known;
}

int64_t speculation_extra_fx(const struct replica *replica,
                             const struct forming *forming)
{
    const struct speculation_config *config = &replica->engine.speculation;
    if (forming->samplers == 0) {
        return 0;
    }
    return (config->draft_ns + config->draft_sequence_ns * (int64_t)forming->samplers) *
           COST_FX_PER_NS;
}
