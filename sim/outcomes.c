/* SPDX-License-Identifier: Apache-2.0
 *
 * outcomes.c: the end of a request: its outcome, and everybody who is told of it.
 */
#include "base/check.h"
#include "sim/sim_state.h"

#include <inttypes.h>

const char *outcome_status_name(enum outcome_status status)
{
    static const char *const names[] = {"completed", "refused",    "rejected",
                                        "cancelled", "unfinished", "shed",
                                        "timed_out", "failed"};
    CHECK((size_t)status < sizeof(names) / sizeof(names[0]), "status %d", (int)status);
    return names[status];
}

static void digest_outcome(struct sim *sim, const struct request_outcome *outcome)
{
    const uint64_t words[] = {
        outcome->request_id,
        (uint64_t)outcome->engine << 32 | (uint64_t)outcome->status,
        (uint64_t)outcome->arrival_ns,
        (uint64_t)outcome->queued_ns,
        (uint64_t)outcome->scheduled_ns,
        (uint64_t)outcome->first_token_ns,
        (uint64_t)outcome->end_ns,
        (uint64_t)outcome->prompt_tokens << 32 | outcome->output_tokens,
        (uint64_t)outcome->cached_tokens << 32 | outcome->preemptions,
        outcome->recomputed_tokens,
    };
    digest_record(&sim->digest, words, sizeof(words) / sizeof(words[0]));
    if (outcome->prefill_engine != UINT32_MAX) {
        const uint64_t legs[] = {
            outcome->prefill_engine,
            (uint64_t)outcome->prefill_end_ns,
            (uint64_t)outcome->kv_asked_ns,
            (uint64_t)outcome->kv_here_ns,
        };
        digest_record(&sim->digest, legs, sizeof(legs) / sizeof(legs[0]));
    }
    if (outcome->tier_tokens > 0) {
        digest_word(&sim->digest, outcome->tier_tokens);
    }
    if (outcome->attempts > 1) {
        digest_word(&sim->digest, outcome->attempts);
    }
}

static void check_order(const struct request_outcome *outcome)
{
    const int64_t times[] = {outcome->arrival_ns, outcome->queued_ns,
                             outcome->scheduled_ns, outcome->first_token_ns,
                             outcome->end_ns};
    int64_t last_ns = times[0];
    for (size_t i = 1; i < sizeof(times) / sizeof(times[0]); i++) {
        if (times[i] == OUTCOME_TIME_NONE) {
            continue;
        }
        CHECK(times[i] >= last_ns, "INV-5: request %" PRIu64 " goes back in time",
              outcome->request_id);
        last_ns = times[i];
    }
}

static void summarise_outcome(struct sim_summary *summary,
                              const struct request_outcome *outcome)
{
    summary->requests++;
    summary->split += outcome->prefill_engine != UINT32_MAX ? 1 : 0;
    summary->end_ns = outcome->end_ns;
    switch (outcome->status) {
    case OUTCOME_COMPLETED:
        summary->completed++;
        summary->prompt_tokens += outcome->prompt_tokens;
        summary->output_tokens += outcome->output_tokens;
        break;
    case OUTCOME_REFUSED:
        summary->refused++;
        break;
    case OUTCOME_REJECTED:
        summary->rejected++;
        break;
    case OUTCOME_CANCELLED:
        summary->cancelled++;
        break;
    case OUTCOME_UNFINISHED:
        summary->unfinished++;
        break;
    case OUTCOME_SHED:
        summary->shed++;
        break;
    case OUTCOME_TIMED_OUT:
        summary->timed_out++;
        break;
    case OUTCOME_FAILED:
        summary->failed++;
        break;
    }
}

static enum attempt_how how_it_ended(enum outcome_status status)
{
    if (status == OUTCOME_COMPLETED) {
        return ATTEMPT_COMPLETED;
    }
    return status == OUTCOME_REFUSED ? ATTEMPT_REFUSED : ATTEMPT_ABORTED;
}

/* One that was let in has ended: those who wait are looked at when all steps that end
 * now have ended, so that in both modes they meet the same fleet. */
static void admission_free(struct sim *sim, const struct request *request,
                           const struct request_outcome *outcome)
{
    const uint32_t seen = request->seen_tokens;
    const uint32_t tokens =
        outcome->output_tokens > seen ? outcome->output_tokens : seen;
    const struct front *front = &sim->fronts[request->front];
    admission_ended(front->admission, request->number, tokens);
    if (front_waiting(front) > 0) {
        evq_set(sim->events, sim->source_admit, sim->now_ns, sim_rank(EVENT_ADMIT, 0));
    }
}

static struct request_outcome outcome_of(const struct sim *sim,
                                         const struct request *request,
                                         enum outcome_status status)
{
    struct request_outcome outcome = {
        .request_id = request->record_id,
        .session = request->session,
        .turn = request->turn,
        .status = status,
        .arrival_ns = request->arrival_ns,
        .queued_ns =
            request->queued_ns <= sim->now_ns ? request->queued_ns : OUTCOME_TIME_NONE,
        .scheduled_ns = request->scheduled_ns,
        .first_token_ns = request->first_token_ns,
        .end_ns = sim->now_ns,
        .engine = request->engine,
        .prompt_tokens = request->prompt_tokens,
        .output_tokens = status == OUTCOME_COMPLETED ? request->output_tokens : 0,
        .cached_tokens = request->cached_tokens,
        .preemptions = request->preemptions,
        .recomputed_tokens = request->recomputed_tokens,
        .aside_ns = request->aside_ns,
        .tier_tokens = request->tier_tokens,
        .prefill_engine = UINT32_MAX,
        .attempts = 1,
    };
    if (request->split != NULL) {
        sim_disagg_outcome(request, &outcome);
    }
    return outcome;
}

/* Gateways and load are told of an attempt's end. */
static void engine_leave(struct sim *sim, struct request *request,
                         enum outcome_status status, uint32_t output_tokens)
{
    const struct attempt_end end = {
        .request_id = request->record_id,
        .endpoint_id = request->engine,
        .prompt_tokens = request->prompt_tokens,
        .cached_tokens = request->cached_tokens,
        .how = how_it_ended(status),
        .had_first_token = request->first_token_ns != OUTCOME_TIME_NONE,
        .output_tokens = output_tokens,
    };
    if (request->split != NULL) {
        sim_disagg_end(sim, request, &end);
    } else {
        gateway_end(sim->fronts[request->front].gateway, sim->now_ns, &end);
        sim_load_remove(sim, request->engine);
    }
}

void sim_attempt_close(struct sim *sim, struct request *request, bool routed_on)
{
    engine_leave(sim, request, OUTCOME_FAILED, 0);
    if (request->admitted && !routed_on) {
        const struct request_outcome nothing = {.output_tokens = 0};
        admission_free(sim, request, &nothing);
    }
    if (request->timer != UINT32_MAX) {
        sim_timer_give(sim, request->timer);
    }
    if (request->load_timer != UINT32_MAX) {
        sim_timer_give(sim, request->load_timer);
    }
    request_table_remove(sim->table, request);
}

/* Every request passes here exactly once. */
void sim_finish(struct sim *sim, struct request *request, enum outcome_status status)
{
    struct request_outcome outcome = outcome_of(sim, request, status);
    if (request->attempt != NULL) {
        outcome.attempts = sim_attempt_end(request);
    }
    check_order(&outcome);
    digest_outcome(sim, &outcome);
    summarise_outcome(&sim->summary, &outcome);
    if (sim->scaling != NULL) {
        sim_scaling_ended(sim, &outcome);
    }
    if (request->engine != UINT32_MAX) {
        engine_leave(sim, request, status, outcome.output_tokens);
    }
    if (request->admitted) {
        admission_free(sim, request, &outcome);
    }
    if (sim->fronts[request->front].admission != NULL) {
        fairness_ended(sim->fairness, request->account, &outcome);
    }
    if (sim->observer.on_outcome != NULL) {
        sim->observer.on_outcome(sim->observer.context, &outcome);
    }
    if (request->timer != UINT32_MAX) {
        sim_timer_give(sim, request->timer);
    }
    if (request->load_timer != UINT32_MAX) {
        sim_timer_give(sim, request->load_timer);
    }
    replay_ended(sim->replay, request->record_id, sim->now_ns, sim_on_release, sim);
    request_table_remove(sim->table, request);
    if (sim->arrival_held) {
        sim_arrival_schedule(sim);
    }
}
