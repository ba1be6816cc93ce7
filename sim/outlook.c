/* SPDX-License-Identifier: Apache-2.0
 *
 * outlook.c: a census of the engine's requests, then arithmetic with its cost model.
 *
 * A decode run under way is not booked yet: `ended` of its steps are over, and every
 * member has moved on by as many. Members are counted one by one, for those whose last
 * step is formed are members no more in one mode and still are in the other.
 */
#include "sim/outlook.h"

#include "sim/replica_state.h"

struct census {
    uint64_t ended;   /* steps of the run under way that are over */
    uint32_t decodes; /* with steps to go */
    uint64_t context; /* computed tokens of these */
    uint32_t longest; /* of these, if the cost model asks */
    uint64_t overlap; /* sum of min(steps to go, outputs of the question) */
    uint32_t others;  /* requests that have still to prefill */
    uint64_t prefill; /* tokens that these have to compute */
    uint64_t known;   /* tokens of these, computed or not */
    uint64_t needed;  /* blocks that the waiting ones need */
};

static uint64_t steps_left(const struct replica *replica, const struct request *request,
                           uint64_t ended)
{
    const uint64_t formed = replica->decodes.formed + ended;
    const bool decoding = request->state == REQUEST_DECODING;
    return decoding && request->last_step > formed ? request->last_step - formed : 0;
}

static uint32_t computed_tokens(const struct replica *replica,
                                const struct request *request,
                                const struct census *census)
{
    return request->state == REQUEST_DECODING
               ? decode_set_computed(&replica->decodes, request) +
                     (uint32_t)census->ended
               : request->computed;
}

static uint32_t cached_blocks(const struct replica *replica,
                              const struct request *request)
{
    const uint32_t limit =
        (replica_known_tokens(request) - 1) / replica->engine.block_tokens;
    return kvpool_lookup(replica->pool, request->kv.runs, request->kv.run_count, limit)
        .blocks;
}

static void count_running(const struct replica *replica, uint64_t outputs,
                          struct census *census)
{
    for (const struct request *at = replica->running.first; at != NULL; at = at->next) {
        const uint64_t left = steps_left(replica, at, census->ended);
        if (left > 0) {
            const uint32_t computed =
                decode_set_computed(&replica->decodes, at) + (uint32_t)census->ended;
            census->decodes++;
            census->context += computed;
            census->longest = computed > census->longest ? computed : census->longest;
            census->overlap += left < outputs ? left : outputs;
        } else if (at->state == REQUEST_PREFILLING) {
            census->others++;
            census->prefill += replica_known_tokens(at) - at->computed;
            census->known += replica_known_tokens(at);
        }
    }
}

static void count_waiting(const struct replica *replica, struct census *census)
{
    for (const struct request *at = replica->waiting.first; at != NULL; at = at->next) {
        const uint32_t known = replica_known_tokens(at);
        const uint32_t blocks = cached_blocks(replica, at);
        census->others++;
        census->prefill += known - blocks * replica->engine.block_tokens;
        census->known += known;
        census->needed += replica_blocks_of(replica, known) - blocks;
    }
}

/* ---- waiting for blocks and places --------------------------------------------------
 */

/* Whether `blocks` and `places` are free when `steps` more steps are over. */
static bool enough_after(const struct replica *replica, const struct census *census,
                         uint64_t steps, uint64_t blocks, uint64_t places)
{
    uint64_t blocks_free = 0;
    uint64_t places_free = 0;
    for (const struct request *at = replica->running.first; at != NULL; at = at->next) {
        if (at->state == REQUEST_PREFILLING ||
            steps_left(replica, at, census->ended) > steps) {
            continue;
        }
        places_free++;
        blocks_free += replica_blocks_of(replica, computed_tokens(replica, at, census));
    }
    return blocks_free >= blocks && places_free >= places;
}

/* Steps until there is room; as many as the longest request has when there never is. */
static uint64_t steps_until_room(const struct replica *replica,
                                 const struct census *census, uint64_t blocks,
                                 uint64_t places)
{
    uint64_t low = 0;
    uint64_t high = 0;
    for (const struct request *at = replica->running.first; at != NULL; at = at->next) {
        const uint64_t left = steps_left(replica, at, census->ended);
        high = left > high ? left : high;
    }
    while (low < high) {
        const uint64_t middle = (low + high) / 2;
        if (enough_after(replica, census, middle, blocks, places)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static uint64_t steps_blocked(const struct replica *replica,
                              const struct census *census, uint32_t need)
{
    uint64_t blocks_free = kvpool_free_blocks(replica->pool);
    if (census->ended > 0) {
        blocks_free -= decode_set_blocks(&replica->decodes, census->ended);
    }
    const uint64_t wanted = census->needed + need;
    const uint64_t members =
        (uint64_t)replica->running.count + replica->waiting.count + 1;
    const uint64_t places = replica->engine.max_num_seqs;
    if (wanted <= blocks_free && members <= places) {
        return 0;
    }
    return steps_until_room(replica, census,
                            wanted > blocks_free ? wanted - blocks_free : 0,
                            members > places ? members - places : 0);
}

/* ---- times ---------------------------------------------------------------------- */

struct batch {
    uint32_t decodes;
    uint64_t context;
};

/* The decodes with so many more; beyond the limit those that fit, with their share of
 * the context: cost models are made for batches that an engine can form. */
static struct batch batch_of(const struct census *census, uint32_t more,
                             uint64_t more_context, uint32_t most)
{
    struct batch batch = {census->decodes + more, census->context + more_context};
    if (batch.decodes > most) {
        batch.context = batch.context / batch.decodes * most;
        batch.decodes = most;
    }
    return batch;
}

static uint32_t members_max(const struct replica *replica)
{
    const uint32_t budget = replica->engine.max_num_batched_tokens;
    const uint32_t places = replica->engine.max_num_seqs;
    return budget < places ? budget : places;
}

static double decode_ns(const struct replica *replica, const struct census *census,
                        uint32_t more, uint64_t more_context)
{
    const struct batch batch =
        batch_of(census, more, more_context, members_max(replica));
    if (batch.decodes == 0) {
        return 0;
    }
    const int64_t step_fx =
        cost_decode(replica->setup.cost, batch.decodes, batch.context, census->longest)
            .first_fx;
    return (double)step_fx / COST_FX_PER_NS;
}

static double chunk_ns(const struct replica *replica, const struct batch *batch,
                       uint32_t longest, uint64_t tokens, uint64_t context)
{
    const struct batch_shape shape = {
        .decodes = batch->decodes,
        .chunks = 1,
        .decode_context = batch->context,
        .decode_context_max = batch->decodes > 0 ? longest : 0,
        .chunk_tokens_max = (uint32_t)tokens,
        .chunk_tokens = tokens,
        .chunk_context = context,
        .chunk_pairs_twice = tokens * (2 * context + tokens),
        .chunk_squares = tokens * tokens,
    };
    return (double)cost_step_fx(replica->setup.cost, &shape) / COST_FX_PER_NS;
}

/* Of so many tokens, in steps of the budget that decodes leave. */
static double prefill_ns(const struct replica *replica, const struct census *census,
                         uint64_t tokens, uint64_t context)
{
    const struct batch batch = batch_of(census, 0, 0, members_max(replica) - 1);
    const uint32_t room = replica->engine.max_num_batched_tokens - batch.decodes;
    const uint64_t full = tokens / room;
    const uint64_t rest = tokens % room;
    double sum_ns = 0;
    if (full > 0) {
        sum_ns +=
            (double)full * chunk_ns(replica, &batch, census->longest, room, context);
    }
    if (rest > 0) {
        sum_ns += chunk_ns(replica, &batch, census->longest, rest, context);
    }
    return sum_ns;
}

/* Until a step that is not formed yet can begin. */
static double pipeline_ns(const struct replica *replica, const struct census *census,
                          int64_t now_ns)
{
    if (replica->step_count == 0) {
        return 0;
    }
    const double rest_ns = (double)(run_end_ns(replica, census->ended + 1) - now_ns);
    const double ahead_ns =
        replica->engine.async_scheduling ? decode_ns(replica, census, 0, 0) : 0;
    return rest_ns + ahead_ns;
}

struct outlook replica_outlook(const struct replica *replica,
                               const struct outlook_question *question)
{
    struct census census = {.ended = run_ended(replica, question->now_ns, false)};
    count_running(replica, question->output_tokens, &census);
    count_waiting(replica, &census);
    census.longest = replica->decodes.knows_longest ? census.longest : 0;
    const uint32_t block_tokens = replica->engine.block_tokens;
    const uint32_t hit =
        kvpool_lookup(replica->pool, question->runs, question->run_count,
                      (question->prompt_tokens - 1) / block_tokens)
            .blocks;
    const uint32_t cached = hit * block_tokens;
    const uint32_t own = question->prompt_tokens - cached;
    const uint32_t need = replica_blocks_of(replica, question->prompt_tokens) - hit;
    const double step_ns = decode_ns(replica, &census, 0, 0);
    const double ahead_ns = prefill_ns(replica, &census, census.prefill, 0);
    const double all_ns = prefill_ns(replica, &census, census.prefill + own, cached);
    const double first_ns = pipeline_ns(replica, &census, question->now_ns) +
                            (double)steps_blocked(replica, &census, need) * step_ns +
                            all_ns;
    const double without_ns = decode_ns(replica, &census, census.others, census.known);
    const double with_ns = decode_ns(replica, &census, census.others + 1,
                                     census.known + question->prompt_tokens);
    const double outputs = question->output_tokens;
    const double own_ns = all_ns > ahead_ns ? all_ns - ahead_ns : 0;
    const double shared_steps = (double)census.overlap + census.others * outputs;
    return (struct outlook){
        .first_token_ns = (int64_t)first_ns,
        .end_ns = (int64_t)(first_ns + (outputs - 1) * with_ns),
        .delay_ns = (int64_t)(own_ns * ((double)census.decodes + census.others) +
                              (with_ns - without_ns) * shared_steps),
        .cached_tokens = cached,
    };
}
