/* SPDX-License-Identifier: Apache-2.0
 *
 * probes.c: from a check to requests, and from their ends to its answer.
 */
#include "sim/probes.h"

#include "base/check.h"
#include "base/mem.h"
#include "sim/sim_state.h"

void probes_init(struct probes *probes, uint32_t engines)
{
    *probes = (struct probes){
        .asked = mem_alloc(engines, sizeof(struct request *)),
        .at = mem_alloc(engines, sizeof(uint32_t)),
    };
}

void probes_fini(struct probes *probes)
{
    mem_free(probes->asked);
    mem_free(probes->at);
    *probes = (struct probes){0};
}

/* All say the same: what fills whole blocks of it is cached after the first one. Ids
 * count down from the top, away from those of traces. */
static struct request *probe_new(struct sim *sim, uint32_t engine)
{
    const struct scenario_control *config = sim->scenario->control;
    const struct engine_config *own = &sim->pool_of[engine]->engine;
    const struct segment prompt = {.stream =
                                       segment_stream(SEGMENT_TEXT, SEGMENT_ID_MAX),
                                   .tokens = config->check_prompt_tokens};
    const struct trace_record record = {
        .id = SEGMENT_ID_MAX - sim->probes.sent++,
        .arrival_ns = sim->now_ns,
        .prompt_tokens = config->check_prompt_tokens,
        .output_tokens = config->check_output_tokens,
        .segment_count = 1,
        .segments = &prompt,
    };
    struct request *request =
        request_table_add(sim->table, &record, record.output_tokens,
                          own->prefix_caching ? own->block_tokens : 0);
    request->probe = true;
    request->engine = engine;
    sim->probes.asked[engine] = request;
    sim->probes.at[engine]++;
    sim->probes.live++;
    return request;
}

void sim_probe_send(struct sim *sim, uint32_t first, uint32_t count)
{
    const struct scenario_control *config = sim->scenario->control;
    const uint32_t tokens = config->check_prompt_tokens + config->check_output_tokens;
    CHECK(sim->probes.open == 0, "a check begins before the last one has ended");
    if (tokens > sim->pool_of[first]->engine.max_model_len) {
        sim_life_checked(sim, first, false);
        return;
    }
    sim->probes.open = count;
    for (uint32_t engine = first; engine < first + count; engine++) {
        struct request *request = probe_new(sim, engine);
        if (sim->group_of[engine] != NULL) {
            lockstep_submit(sim->group_of[engine], engine - sim->first_of[engine],
                            request, sim->now_ns);
        } else {
            replica_submit(sim->engines[engine], request, sim->now_ns);
        }
        sim_engine_reschedule(sim, engine);
    }
}

void sim_probe_drop(struct sim *sim, uint32_t first, uint32_t count)
{
    sim->probes.open = 0;
    for (uint32_t engine = first; engine < first + count; engine++) {
        struct request *request = sim->probes.asked[engine];
        sim->probes.asked[engine] = NULL;
        if (request != NULL) {
            replica_cancel(sim->engines[engine], request, sim->now_ns);
            sim_engine_reschedule(sim, engine);
        }
    }
}

/* True: the check under way asked it. */
static bool probe_gone(struct sim *sim, struct request *request)
{
    struct probes *probes = &sim->probes;
    const uint32_t engine = request->engine;
    const bool waited_for = probes->asked[engine] == request;
    if (waited_for) {
        probes->asked[engine] = NULL;
    }
    CHECK(probes->at[engine] > 0, "engine %u has no probe", engine);
    probes->at[engine]--;
    probes->live--;
    request_table_remove(sim->table, request);
    return waited_for;
}

void sim_probe_end(struct sim *sim, struct request *request, enum outcome_status status)
{
    const uint32_t engine = request->engine;
    if (probe_gone(sim, request) && --sim->probes.open == 0) {
        sim_life_checked(sim, engine, status == OUTCOME_COMPLETED);
    }
    sim_life_left(sim, engine);
}

void sim_probe_lose(struct sim *sim, struct request *request, bool silent)
{
    const uint32_t engine = request->engine;
    if (request->state != REQUEST_ENDED) {
        request_move(request, REQUEST_ENDED);
    }
    if (probe_gone(sim, request) && !silent) {
        sim->probes.open = 0;
        sim_life_checked(sim, engine, false);
    }
}
