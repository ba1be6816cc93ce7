/* SPDX-License-Identifier: Apache-2.0
 *
 * disagg_push.c: both legs of a request begin at once, and the engine that prefills
 * writes into blocks that the other one has taken meanwhile (spec/vllm-engine.md 5.4).
 *
 * The request itself is at the engine that decodes from its arrival on: it queues
 * there, takes blocks, and waits for its KV as one that reads does. What prefills is a
 * part of it, a request of its own that nobody else hears of. The KV sets out when the
 * prompt is computed and the blocks are taken, whichever is later. Faults are left to
 * legs that follow one another (scenario_disagg.c refuses both together).
 */
#include "base/check.h"
#include "sim/disagg_state.h"

/* Parts' ids count down from the top, away from those of traces. */
static struct request *part_new(struct sim *sim, const struct incoming *incoming,
                                struct split *split)
{
    const uint32_t engine = split->prefill_engine;
    const struct engine_config *config = &sim->pool_of[engine]->engine;
    struct trace_record record = *incoming->record;
    record.id = SEGMENT_ID_MAX - sim->disagg->parts++;
    struct request *part = request_table_add(
        sim->table, &record, 1, config->prefix_caching ? config->block_tokens : 0);
    sim_tiers_chunk(sim, part, &record);
    part->arrival_ns = incoming->arrival_ns;
    part->front = incoming->front;
    part->engine = engine;
    part->number = incoming->number;
    part->adapter = split->request->adapter;
    part->leg = LEG_PREFILL;
    part->part = true;
    part->split = split;
    sim_load_add(sim, engine);
    sim->parts++;
    return part;
}

void disagg_push(struct sim *sim, const struct incoming *incoming, uint32_t prefill,
                 uint32_t decode)
{
    struct request *request =
        sim_request_new(sim, incoming, decode, sim->disagg->model_len);
    CHECK(request != NULL, "a prompt of %u tokens was checked",
          incoming->record->prompt_tokens);
    struct split *split = disagg_split_new(request, incoming, prefill, decode);
    request->leg = LEG_DECODE;
    request->remote_tokens = disagg_shared_tokens(sim, decode, request->prompt_tokens);
    split->pushed = true;
    split->wants = request->remote_tokens > 0;
    split->part = part_new(sim, incoming, split);
    sim_engine_submit(sim, split->part, prefill);
    sim_engine_submit(sim, request, decode);
}

static void part_remove(struct sim *sim, struct request *part)
{
    if (part->timer != UINT32_MAX) {
        sim_timer_give(sim, part->timer);
    }
    if (part->load_timer != UINT32_MAX) {
        sim_timer_give(sim, part->load_timer);
    }
    request_table_remove(sim->table, part);
    sim->parts--;
}

void disagg_part_prefilled(struct sim *sim, struct request *part, struct kv_hold *hold)
{
    struct split *split = part->split;
    if (split != NULL) {
        split->part = NULL;
        disagg_prefilled(sim, split, part, hold);
    } else { /* its request has ended in this instant */
        sim_load_remove(sim, part->engine);
        if (hold != NULL) {
            disagg_timer_at(sim,
                            &(struct timer){.kind = EVENT_KV_FREED,
                                            .index = part->engine,
                                            .hold = hold},
                            sim->now_ns, part->number);
        }
    }
    request_move(part, REQUEST_ENDED);
    part_remove(sim, part);
}

bool disagg_push_unneeded(const struct split *split)
{
    return split->pushed && (!split->wants || (split->asked && split->blocks == 0));
}

void disagg_push_ready(struct sim *sim, struct split *split)
{
    struct request *request = split->request;
    struct replica *reader = sim->engines[split->decode_engine];
    split->timer = NO_TIMER;
    if (disagg_push_unneeded(split)) {
        if (split->hold != NULL) {
            disagg_hold_release(sim, split->prefill_engine, split->hold);
            split->hold = NULL;
        }
    } else if (split->hold == NULL) { /* lost to a preemption: all is computed anew */
        if (split->asked) {
            replica_kv_failed(reader, request, true, sim->now_ns);
        } else {
            replica_kv_lost(reader, request, sim->now_ns);
        }
        sim_engine_reschedule(sim, split->decode_engine);
    } else if (split->asked) {
        disagg_transfer_begin(sim, split);
    } else {
        disagg_lease_begin(sim, split);
    }
}

void disagg_part_leave(struct sim *sim, struct split *split)
{
    struct request *part = split->part;
    const struct timer timer = {.kind = EVENT_CANCEL, .request = part};
    part->split = NULL;
    part->timer = disagg_timer_at(sim, &timer, sim->now_ns, part->record_id);
    split->part = NULL;
}

uint64_t sim_disagg_whole(const struct request *part)
{
    return part->split->request->record_id;
}

void sim_part_end(struct sim *sim, struct request *part, enum outcome_status status)
{
    struct split *split = part->split;
    CHECK(split == NULL || status == OUTCOME_UNFINISHED,
          "a part ends with status %d before its request", (int)status);
    if (split != NULL) {
        split->part = NULL;
        disagg_prefill_close(sim, split,
                             (struct attempt_end){
                                 .request_id = split->request->record_id,
                                 .prompt_tokens = part->prompt_tokens,
                                 .how = ATTEMPT_ABORTED,
                             });
    } else {
        sim_load_remove(sim, part->engine);
    }
    part_remove(sim, part);
}
