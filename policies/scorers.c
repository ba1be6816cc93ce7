/* SPDX-License-Identifier: Apache-2.0
 *
 * scorers.c: one function per scorer, each a walk over the candidates.
 *
 * llm-d's clients echo a token that names the endpoint of their session; here a table
 * of sessions stands for what they remember. A session has one place in it, by its
 * hash; one that comes later takes the place, so memory is fixed and nothing is swept.
 */
#include "policies/scorers.h"

#include "base/hash.h"
#include "policies/adapters.h"

#include <string.h>

struct scorer_session {
    uint64_t key; /* hash */
    uint32_t endpoint_id;
    uint32_t known; /* 0 = an empty place */
};

static bool any_weight(const struct scorer_weights *weights)
{
    return weights->running > 0 || weights->load > 0 || weights->token_load > 0 ||
           weights->active > 0 || weights->session > 0 || weights->lora > 0 ||
           weights->no_hit_lru > 0;
}

void scorers_init(struct scorers *scorers, const struct policy_memory *memory,
                  const struct scorer_weights *weights)
{
    *scorers = (struct scorers){
        .weights = *weights, .any = any_weight(weights), .memory = *memory};
    id_table_init(&scorers->output_tokens, memory, sizeof(uint64_t));
    if (weights->session > 0) {
        const size_t bytes = weights->sessions_max * sizeof *scorers->sessions;
        scorers->sessions = memory->resize(memory->context, NULL, bytes);
        memset(scorers->sessions, 0, bytes);
    }
}

void scorers_fini(struct scorers *scorers)
{
    const struct policy_memory *memory = &scorers->memory;
    id_table_fini(&scorers->output_tokens);
    memory->resize(memory->context, scorers->sessions, 0);
    memory->resize(memory->context, scorers->cold_order, 0);
}

unsigned scorers_needs(const struct scorer_weights *weights)
{
    unsigned needs = 0;
    needs |= weights->running > 0 || weights->load > 0 ? NEED_METRICS : 0U;
    needs |= weights->session > 0 ? NEED_SESSION_KEY : 0U;
    needs |= weights->lora > 0 ? NEED_ADAPTERS : 0U;
    return needs;
}

size_t scorers_bytes(const struct scorers *scorers)
{
    const size_t sessions = scorers->sessions == NULL ? 0
                                                      : scorers->weights.sessions_max *
                                                            sizeof *scorers->sessions;
    return id_table_bytes(&scorers->output_tokens) + sessions +
           scorers->cold_capacity * sizeof *scorers->cold_order;
}

/* ---- load ----------------------------------------------------------------------- */

static void add_running(const struct scorers *scorers, const struct cluster_view *view,
                        double *scores)
{
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        const struct endpoint_metrics *metrics = &view->endpoints[i]->metrics;
        if ((metrics->valid & METRIC_RUNNING) != 0) {
            const uint32_t here = metrics->running_requests;
            least = here < least ? here : least;
            most = here > most ? here : most;
        }
    }
    for (uint32_t i = 0; i < view->count; i++) {
        const struct endpoint_metrics *metrics = &view->endpoints[i]->metrics;
        if ((metrics->valid & METRIC_RUNNING) != 0) {
            const uint32_t less = most - metrics->running_requests;
            scores[i] += scorers->weights.running *
                         (most > least ? less / (double)(most - least) : 1);
        }
    }
}

static void add_load(const struct scorers *scorers, const struct cluster_view *view,
                     double *scores)
{
    const double threshold = scorers->weights.load_threshold;
    for (uint32_t i = 0; i < view->count; i++) {
        const struct endpoint_metrics *metrics = &view->endpoints[i]->metrics;
        if ((metrics->valid & METRIC_WAITING) != 0) {
            const double here = metrics->waiting_requests;
            scores[i] += scorers->weights.load * 0.5 *
                         (1 - (here < threshold ? here : threshold) / threshold);
        }
    }
}

static void add_token_load(struct scorers *scorers, const struct cluster_view *view,
                           double *scores)
{
    const uint64_t *outputs = id_table_items(&scorers->output_tokens, view->id_count);
    const double most = scorers->weights.token_load_max;
    for (uint32_t i = 0; i < view->count; i++) {
        const struct endpoint_view *endpoint = view->endpoints[i];
        const double here =
            (double)(endpoint->inflight_prompt_tokens + outputs[endpoint->id]);
        scores[i] +=
            scorers->weights.token_load * (1 - (here < most ? here : most) / most);
    }
}

static void add_active(const struct scorers *scorers, const struct cluster_view *view,
                       double *scores)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        most = view->inflight[i] > most ? view->inflight[i] : most;
    }
    for (uint32_t i = 0; i < view->count; i++) {
        const uint32_t here = view->inflight[i];
        scores[i] += scorers->weights.active *
                     (here == 0 ? 1 : (double)(most - here) / (double)most);
    }
}

/* ---- affinity ------------------------------------------------------------------- */

static struct scorer_session *session_of(const struct scorers *scorers,
                                         const struct request_view *request,
                                         uint64_t *key)
{
    *key = hash_xxh64(request->session_key, strlen(request->session_key), 0);
    return &scorers->sessions[*key % scorers->weights.sessions_max];
}

static void add_session(const struct scorers *scorers, const struct cluster_view *view,
                        const struct request_view *request, double *scores)
{
    if (request->session_key == NULL) {
        return;
    }
    uint64_t key = 0;
    const struct scorer_session *session = session_of(scorers, request, &key);
    if (session->known == 0 || session->key != key ||
        session->endpoint_id >= view->id_count) {
        return;
    }
    const uint32_t index = view->index_of_id[session->endpoint_id];
    if (index != NOT_A_CANDIDATE) {
        scores[index] += scorers->weights.session;
    }
}

static double lora_score(const struct endpoint_view *endpoint, uint64_t adapter)
{
    const struct endpoint_adapters *adapters = adapters_of(endpoint);
    if (adapters == NULL) {
        return 0;
    }
    if (adapters_hold(adapters->active, adapters->active_count, adapter)) {
        return 1;
    }
    if (adapters->active_count + adapters->waiting_count < adapters->max) {
        return 0.8;
    }
    const bool waits =
        adapters_hold(adapters->waiting, adapters->waiting_count, adapter);
    return waits ? 0.6 : 0;
}

static void add_lora(const struct scorers *scorers, const struct cluster_view *view,
                     const struct request_view *request, double *scores)
{
    for (uint32_t i = 0; request->adapter != 0 && i < view->count; i++) {
        scores[i] +=
            scorers->weights.lora * lora_score(view->endpoints[i], request->adapter);
    }
}

/* ---- cold requests -------------------------------------------------------------- */

static uint32_t cold_place(const struct scorers *scorers, uint32_t id)
{
    uint32_t at = 0;
    while (at < scorers->cold_count && scorers->cold_order[at] != id) {
        at++;
    }
    return at;
}

static void cold_remove(struct scorers *scorers, uint32_t id)
{
    const uint32_t at = cold_place(scorers, id);
    if (at < scorers->cold_count) {
        scorers->cold_count--;
        memmove(scorers->cold_order + at, scorers->cold_order + at + 1,
                (scorers->cold_count - at) * sizeof *scorers->cold_order);
    }
}

static void cold_append(struct scorers *scorers, uint32_t id)
{
    cold_remove(scorers, id);
    if (scorers->cold_count == scorers->cold_capacity) {
        scorers->cold_capacity =
            scorers->cold_capacity > 0 ? 2 * scorers->cold_capacity : 16;
        scorers->cold_order = scorers->memory.resize(
            scorers->memory.context, scorers->cold_order,
            scorers->cold_capacity * sizeof *scorers->cold_order);
    }
    scorers->cold_order[scorers->cold_count++] = id;
}

/* Those that never got a cold request come first, all with rank 0: equals, so that the
 * picker draws among them. */
static void add_no_hit_lru(const struct scorers *scorers,
                           const struct cluster_view *view, bool cold, double *scores)
{
    const double weight = scorers->weights.no_hit_lru;
    uint32_t used = 0;
    for (uint32_t i = 0; i < scorers->cold_count; i++) {
        const uint32_t id = scorers->cold_order[i];
        used += id < view->id_count && view->index_of_id[id] != NOT_A_CANDIDATE;
    }
    for (uint32_t i = 0; i < view->count; i++) {
        scores[i] += cold ? weight : 0.5 * weight;
    }
    uint32_t rank = view->count - used;
    for (uint32_t i = 0; cold && view->count > 1 && i < scorers->cold_count; i++) {
        const uint32_t id = scorers->cold_order[i];
        const uint32_t index =
            id < view->id_count ? view->index_of_id[id] : NOT_A_CANDIDATE;
        if (index != NOT_A_CANDIDATE) {
            scores[index] -= weight * rank / (view->count - 1);
            rank++;
        }
    }
}

/* ---- all of them ---------------------------------------------------------------- */

void scorers_add(struct scorers *scorers, const struct cluster_view *view,
                 const struct request_view *request, bool cold, double *scores)
{
    const struct scorer_weights *weights = &scorers->weights;
    if (weights->running > 0) {
        add_running(scorers, view, scores);
    }
    if (weights->load > 0) {
        add_load(scorers, view, scores);
    }
    if (weights->token_load > 0) {
        add_token_load(scorers, view, scores);
    }
    if (weights->active > 0) {
        add_active(scorers, view, scores);
    }
    if (weights->session > 0) {
        add_session(scorers, view, request, scores);
    }
    if (weights->lora > 0) {
        add_lora(scorers, view, request, scores);
    }
    if (weights->no_hit_lru > 0) {
        add_no_hit_lru(scorers, view, cold, scores);
    }
}

static uint64_t output_guess(uint32_t prompt_tokens)
{
    return UINT64_C(3) * prompt_tokens / 2;
}

void scorers_on_route(struct scorers *scorers, const struct cluster_view *view,
                      const struct request_view *request, uint32_t index, bool cold)
{
    const uint32_t id = view->endpoints[index]->id;
    if (scorers->weights.token_load > 0) {
        uint64_t *outputs = id_table_items(&scorers->output_tokens, view->id_count);
        outputs[id] += output_guess(request->prompt_tokens);
    }
    if (scorers->weights.session > 0 && request->session_key != NULL) {
        uint64_t key = 0;
        struct scorer_session *session = session_of(scorers, request, &key);
        *session = (struct scorer_session){.key = key, .endpoint_id = id, .known = 1};
    }
    if (scorers->weights.no_hit_lru > 0 && cold) {
        cold_append(scorers, id);
    }
}

void scorers_on_end(struct scorers *scorers, const struct attempt_end *end)
{
    if (scorers->weights.token_load > 0) {
        uint64_t *outputs =
            id_table_items(&scorers->output_tokens, end->endpoint_id + 1);
        outputs[end->endpoint_id] -= output_guess(end->prompt_tokens);
    }
}

void scorers_on_endpoint_change(struct scorers *scorers, enum endpoint_change change,
                                const struct endpoint_view *endpoint)
{
    if (change == ENDPOINT_LEFT && scorers->weights.no_hit_lru > 0) {
        cold_remove(scorers, endpoint->id);
    }
    if (change == ENDPOINT_FORGOTTEN && scorers->sessions != NULL) {
        for (uint32_t i = 0; i < scorers->weights.sessions_max; i++) {
            if (scorers->sessions[i].endpoint_id == endpoint->id) {
                scorers->sessions[i].known = 0;
            }
        }
    }
}
